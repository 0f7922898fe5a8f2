//! *Purpose*: "now", for answers.
//!
//! *Owns*: [`Snapshot`].
//!
//! *Promises*: a snapshot shows exactly what the commit it names made durable.
//!
//! *Not here*: history (`store::read`).

use std::collections::BTreeMap;

use crate::job::ids::{CommitNo, CpuId, EventId, JobId};
use crate::job::state::StateWord;
use crate::kernel::parts::maintenance::Maintenance;
use crate::kernel::state::Kernel;
use crate::kernel::transition::JobState;
use crate::resources::ledger::ResourceNow;

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
    /// Bytes of memory to hand out; `None`: not counted.
    pub total_memory: Option<u64>,
    /// Bytes of memory that are held.
    pub used_memory: u64,
    /// Bytes of memory that can be handed out; `None`: not counted.
    pub available_memory: Option<u64>,
    /// How everything stands that is neither CPUs nor memory.
    pub others: Vec<ResourceNow>,
    /// Every CPU and who holds it.
    pub cpus: Vec<(CpuId, Option<JobId>)>,
    /// CPUs that are not handed out because an audit doubts that they are free.
    pub held_back: Vec<CpuId>,
    /// Pending jobs; of each array one.
    pub pending: u64,
    /// Tasks of arrays that are pending beyond these.
    pub further_tasks: u64,
    /// Attempts ordered or running.
    pub running: u64,
    /// Attempts being ended.
    pub completing: u64,
    /// Jobs that ended, by final state, over all time that the database remembers.
    pub ended: BTreeMap<StateWord, u64>,
    /// Allocations since this server started.
    pub allocations: u64,
    /// Releases since this server started.
    pub releases: u64,
    /// Facts that came late or twice since this server started.
    pub stale_facts: u64,
    /// Times in which no job may run.
    pub maintenance: Vec<Maintenance>,
}

impl Snapshot {
    /// Jobs in this state.
    #[must_use]
    pub fn count(&self, state: StateWord) -> u64 {
        match state {
            StateWord::Pending => self.pending + self.further_tasks,
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

impl Kernel {
    /// "Now" as memory has it; the outbox stamps the commit that makes it true.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let completing =
            self.live.values().filter(|l| matches!(l.state, JobState::Completing(..))).count();
        let cpus = self.ledger.cpus();
        let cpus = cpus.into_iter().map(|(cpu, by)| (cpu, by.map(|a| a.job))).collect();
        Snapshot {
            total_cpus: self.ledger.total(),
            used_cpus: self.ledger.used(),
            available_cpus: self.ledger.free(),
            total_memory: self.ledger.total_memory(),
            used_memory: self.ledger.used_memory(),
            available_memory: self.ledger.free_memory(),
            cpus,
            held_back: self.ledger.held_back().collect(),
            others: self.ledger.others(),
            pending: self.queue.len() as u64,
            further_tasks: self.arrays.further(),
            running: (self.live.len() - completing) as u64,
            completing: completing as u64,
            ended: self.ended.clone(),
            allocations: self.allocations,
            releases: self.releases,
            stale_facts: self.stale_facts,
            maintenance: self.maintenance.all().to_vec(),
            ..Snapshot::default()
        }
    }
}
