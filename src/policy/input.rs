//! *Purpose*: what a scheduling pass looks at.
//!
//! *Owns*: [`PassInput`] and what stands in it.
//!
//! *Promises*: nothing of it says where it comes from: the server's scheduler and the simulation
//! of a trace make the same.
//!
//! *Not here*: how it is made of the kernel's state (`kernel::views::pass_input`) or of a trace
//! (`simulate`).
//!
//! Instants and spans are whole numbers in one unit; the server counts µs since 1970, a
//! simulation the seconds of its trace.

use std::sync::Arc;

use crate::job::ids::JobId;
use crate::resources::capacity::{Capacity, Demand, Part, RegionSet};

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
    /// What it asks for beside CPUs: its place in [`PassInput::requests`].
    pub rest: RequestId,
    /// Where its CPUs may be.
    pub regions: RegionSet,
    /// How long it may run.
    pub request: Span,
    /// When it was submitted.
    pub submitted: Instant,
    /// What people gave it; more goes first, before anything else is looked at.
    pub points: i64,
    /// Whose limits it counts against, its account's and its user's: places in
    /// [`PassInput::quotas`].
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

/// What an account may still start, or a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// CPUs.
    pub cpus: u32,
    /// Jobs.
    pub jobs: u32,
    /// Of other resources so much is left, of those that are limited.
    pub rest: Vec<Part>,
}

/// What all that are limited may still start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Accounts, by number.
    pub accounts: Vec<Quota>,
    /// Users, by number.
    pub users: Vec<Quota>,
}

/// Whose quota it is, and which of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaOf {
    /// An account's.
    Account(u32),
    /// A user's.
    User(u32),
}

impl Quotas {
    /// Whether nobody is limited.
    #[must_use]
    pub fn is_nobodys(&self) -> bool {
        self.accounts.is_empty() && self.users.is_empty()
    }

    /// Those that a job counts against.
    pub fn of(&self, job: &PendingJob) -> impl Iterator<Item = (QuotaOf, &Quota)> {
        let [account, user] = job.quotas;
        let account =
            account.and_then(|at| Some((QuotaOf::Account(at), self.accounts.get(at as usize)?)));
        let user = user.and_then(|at| Some((QuotaOf::User(at), self.users.get(at as usize)?)));
        account.into_iter().chain(user)
    }

    fn of_mut(&mut self, job: &PendingJob) -> impl Iterator<Item = &mut Quota> {
        let [account, user] = job.quotas;
        let account = account.and_then(|at| self.accounts.get_mut(at as usize));
        let user = user.and_then(|at| self.users.get_mut(at as usize));
        account.into_iter().chain(user)
    }
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

/// A request for resources beside CPUs, by its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

impl RequestId {
    /// The request for nothing.
    pub const NOTHING: RequestId = RequestId(0);
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
    /// What each request asks for, by its number from 1.
    pub requests: Arc<Vec<Box<[Part]>>>,
    /// Limits.
    pub quotas: Quotas,
    /// Maintenance.
    pub windows: Vec<Window>,
    /// Attempts that make room for jobs of other partitions; none where no partition preempts.
    pub preemptable: Vec<Preemptable>,
}

/// Why a job may not start, however much is free. Nobody waits behind such a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// A limit of this quota is reached.
    Quota(QuotaOf),
    /// It would run into a window.
    Window(Window),
    /// It asks for more than there is.
    TooLarge,
}

impl PassInput {
    /// All that this job takes.
    #[must_use]
    pub fn demand(&self, job: &PendingJob) -> Demand<'_> {
        demand(&self.requests, job)
    }

    /// Why this job may not start now whatever comes free, while these quotas are left.
    #[must_use]
    pub fn bars(&self, job: &PendingJob, quotas: &Quotas) -> Option<Barred> {
        let mut full = quotas.of(job).filter(|(_, quota)| quota.lacks(&self.demand(job)));
        if let Some((whose, _)) = full.next() {
            return Some(Barred::Quota(whose));
        }
        let end = self.now.saturating_add(job.request);
        let meets =
            |w: &&Window| self.now < w.end && end > w.start && w.regions.0 & job.regions.0 != 0;
        if let Some(window) = self.windows.iter().find(meets) {
            return Some(Barred::Window(*window));
        }
        (!self.total.holds(&self.demand(job))).then_some(Barred::TooLarge)
    }
}

/// All that a job takes where these are the requests.
#[must_use]
pub fn demand<'a>(requests: &'a [Box<[Part]>], job: &PendingJob) -> Demand<'a> {
    let rest = (job.rest.0 as usize).checked_sub(1).and_then(|place| requests.get(place));
    Demand { cpus: job.cpus, regions: job.regions, rest: rest.map_or(&[], |parts| parts) }
}

impl Quota {
    /// Whether too little of it is left for one job that takes this.
    #[must_use]
    pub fn lacks(&self, asked: &Demand<'_>) -> bool {
        let of = |left: &Part| of_resource(asked, left) > left.amount;
        self.jobs == 0 || self.cpus < asked.cpus || self.rest.iter().any(of)
    }
}

/// How much of what a limit counts a job takes.
#[must_use]
pub fn of_resource(asked: &Demand<'_>, limit: &Part) -> u64 {
    let counted = asked.rest.iter().filter(|part| part.cells.0 & limit.cells.0 != 0);
    counted.fold(0, |all, part| all.saturating_add(part.amount))
}

/// Takes a job's start out of its quotas.
pub fn spend(quotas: &mut Quotas, job: &PendingJob, asked: &Demand<'_>) {
    for quota in quotas.of_mut(job) {
        quota.jobs = quota.jobs.saturating_sub(1);
        quota.cpus = quota.cpus.saturating_sub(job.cpus);
        for left in &mut quota.rest {
            left.amount = left.amount.saturating_sub(of_resource(asked, left));
        }
    }
}
