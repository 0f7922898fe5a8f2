//! *Purpose*: what others may see of the kernel.
//!
//! *Owns*: [`QueueView`] for planning and [`Snapshot`] for answers.
//!
//! *Promises*: a view carries what a pass could start, in policy order, at most [`PLAN_DEPTH`]
//! jobs; a snapshot shows exactly what the commit it names made durable.
//!
//! *Not here*: history (`store::read`).

use std::collections::BTreeMap;

use super::change::Queued;
use super::ids::{CommitNo, CpuId, EventId, JobId};
use super::job::StateWord;
use super::time::Time;

/// How many pending jobs one pass decides upon: more than it can start at a time on most
/// machines, few enough that a pass stays in microseconds.
pub const PLAN_DEPTH: usize = 1_000;

/// A live attempt, as planning sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// CPUs that come back when it ends. CPUs that are no longer configured do not.
    pub cpus: u32,
    /// When it was granted, or spawned once that is known.
    pub since: Time,
    /// Its limit, seconds.
    pub limit_s: Option<u32>,
}

/// What a scheduling pass decides upon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueView {
    /// CPUs configured.
    pub total: u32,
    /// CPUs free now.
    pub free: u32,
    /// Attempts that hold CPUs.
    pub busy: Vec<Busy>,
    /// Pending jobs that could start and the first that is too wide, first to run first.
    pub queue: Vec<Queued>,
}

/// "Now", as of one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The commit that made it true.
    pub commit_no: CommitNo,
    /// The last event of that commit.
    pub last_event: EventId,
    /// CPUs configured.
    pub total_cpus: u32,
    /// CPUs held.
    pub used_cpus: u32,
    /// CPUs that can be handed out.
    pub available_cpus: u32,
    /// Every CPU and who holds it.
    pub cpus: Vec<(CpuId, Option<JobId>)>,
    /// CPUs that are not handed out because an audit doubts that they are free.
    pub held_back: Vec<CpuId>,
    /// Pending jobs.
    pub pending: u64,
    /// Attempts ordered or running.
    pub running: u64,
    /// Attempts being ended.
    pub completing: u64,
    /// Jobs that ended, by final state, over all time that the database remembers.
    pub ended: BTreeMap<StateWord, u64>,
    /// The first pending job in policy order, and the CPUs it asks for.
    pub head: Option<(JobId, u32)>,
    /// Allocations since this server started.
    pub allocations: u64,
    /// Releases since this server started.
    pub releases: u64,
    /// Facts that came late or twice since this server started.
    pub stale_facts: u64,
}

impl Snapshot {
    /// Jobs in this state.
    #[must_use]
    pub fn count(&self, state: StateWord) -> u64 {
        match state {
            StateWord::Pending => self.pending,
            StateWord::Running => self.running,
            StateWord::Completing => self.completing,
            ended => self.ended.get(&ended).copied().unwrap_or(0),
        }
    }

    /// Held CPUs in percent of those configured.
    #[must_use]
    pub fn utilization(&self) -> f64 {
        if self.total_cpus == 0 {
            return 0.0;
        }
        f64::from(self.used_cpus) * 100.0 / f64::from(self.total_cpus)
    }
}
