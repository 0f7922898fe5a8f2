//! *Purpose*: what a scheduling pass looks at.
//!
//! *Owns*: [`PassInput`] and what stands in it.
//!
//! *Promises*: nothing of it says where it comes from: the server's scheduler and the simulation
//! of a trace make the same.
//!
//! *Not here*: how it is made of the kernel's state (`kernel::view`) or of a trace (`simulate`).
//!
//! Instants and spans are whole numbers in one unit; the server counts µs since 1970, a
//! simulation the seconds of its trace.

use crate::job::ids::JobId;
use crate::resources::capacity::{Capacity, RegionSet};

/// A point in time.
pub type Instant = i64;
/// A length of time.
pub type Span = i64;

/// A job that waits and may start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingJob {
    /// The job. Of two that are alike otherwise, the smaller id goes first.
    pub job: JobId,
    /// CPUs that it asks for.
    pub cpus: u32,
    /// Memory that it asks for, bytes.
    pub memory: u64,
    /// Where its CPUs may be.
    pub regions: RegionSet,
    /// How long it may run.
    pub request: Span,
    /// When it was submitted.
    pub submitted: Instant,
    /// What people gave it; more goes first, before anything else is looked at.
    pub points: i64,
    /// Whose limits it counts against: places in [`PassInput::quotas`].
    pub quotas: [Option<u32>; 2],
    /// The partitions whose attempts make room for it, each a bit.
    pub preempts: u64,
}

/// An attempt that holds CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its job.
    pub job: JobId,
    /// When it ends at the latest: later than now.
    pub end: Instant,
    /// What comes back then.
    pub held: Capacity,
}

/// An attempt of a partition that others preempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preemptable {
    /// Its job.
    pub job: JobId,
    /// Its partition.
    pub partition: u8,
    /// When it was started.
    pub since: Instant,
    /// What it holds.
    pub held: Capacity,
    /// Whether it is being stopped already.
    pub leaves: bool,
}

/// What an account or an array may still start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// CPUs.
    pub cpus: u32,
    /// Jobs.
    pub jobs: u32,
}

/// A time in which nothing may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first instant.
    pub start: Instant,
    /// The first instant after it.
    pub end: Instant,
    /// Where.
    pub regions: RegionSet,
}

/// What a pass looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassInput {
    /// Now.
    pub now: Instant,
    /// What can be taken now.
    pub free: Capacity,
    /// What could be taken if nothing ran.
    pub total: Capacity,
    /// What runs, in any order.
    pub running: Vec<Running>,
    /// What waits, in any order.
    pub queue: Vec<PendingJob>,
    /// Jobs that room was made for, in the order in which it was: it is theirs before anybody
    /// else's. They do not stand in the queue.
    pub claims: Vec<PendingJob>,
    /// Limits.
    pub quotas: Vec<Quota>,
    /// Maintenance.
    pub windows: Vec<Window>,
    /// Attempts that make room for jobs of other partitions; none where no partition preempts.
    pub preemptable: Vec<Preemptable>,
}

/// Why a job may not start, however much is free. Nobody waits behind such a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// A limit of this quota is reached.
    Quota(u32),
    /// It would run into a window.
    Window(Window),
    /// It asks for more than there is.
    TooLarge,
}

impl PassInput {
    /// Why this job may not start now whatever comes free, while these quotas are left.
    #[must_use]
    pub fn bars(&self, job: &PendingJob, quotas: &[Quota]) -> Option<Barred> {
        let full = |at: &u32| {
            let quota = quotas.get(*at as usize)?;
            (quota.jobs == 0 || quota.cpus < job.cpus).then_some(Barred::Quota(*at))
        };
        if let Some(barred) = job.quotas.iter().flatten().find_map(full) {
            return Some(barred);
        }
        let end = self.now.saturating_add(job.request);
        let meets =
            |w: &&Window| self.now < w.end && end > w.start && w.regions.0 & job.regions.0 != 0;
        if let Some(window) = self.windows.iter().find(meets) {
            return Some(Barred::Window(*window));
        }
        (!self.total.holds(job.cpus, job.memory, job.regions)).then_some(Barred::TooLarge)
    }
}

/// Takes a job's start out of its quotas.
pub fn spend(quotas: &mut [Quota], job: &PendingJob) {
    for at in job.quotas.iter().flatten() {
        if let Some(quota) = quotas.get_mut(*at as usize) {
            quota.jobs = quota.jobs.saturating_sub(1);
            quota.cpus = quota.cpus.saturating_sub(job.cpus);
        }
    }
}
