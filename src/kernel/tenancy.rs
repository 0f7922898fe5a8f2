//! *Purpose*: who may use what part of the machine.
//!
//! *Owns*: [`Rules`], which hold for one reign of a server, and how the kernel keeps them.
//!
//! *Promises*: a job of a partition that is down, or gone, is not seen by a pass.
//!
//! *Not here*: what partitions are (`kernel::partitions`), their CPUs (`kernel::ledger`).

use std::sync::Arc;

use super::change::Queued;
use super::conditions::Blocked;
use super::ids::{CpuId, JobId};
use super::job::JobSpec;
use super::kernel::Kernel;
use super::partitions::{Berth, Partition, Partitions};
use super::time::Time;
use super::view::Explained;

/// The name of the whole machine where it is not divided.
pub const WHOLE: &str = "default";

/// What holds for everybody as long as this server lives.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Its partitions.
    pub partitions: Arc<Partitions>,
}

/// How a partition stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionNow {
    /// Its name.
    pub name: Arc<str>,
    /// Whether its jobs start.
    pub up: bool,
    /// Whether it is for jobs that name none.
    pub default: bool,
    /// Its CPUs.
    pub cpus: Vec<CpuId>,
    /// CPUs of it that are free; others may take them too.
    pub free: u32,
    /// Its jobs that hold CPUs.
    pub running: u64,
    /// Its jobs that wait.
    pub pending: u64,
}

impl Kernel {
    /// How a new job stands in the queue.
    pub(super) fn queued(&self, id: JobId, spec: &JobSpec, now: Time) -> Queued {
        let berth = self.rules.partitions.berth(&spec.partition);
        Queued { berth, ..Queued::submitted(id, spec, now) }
    }

    /// Why a pass may not see this job.
    pub(super) fn keeps(&self, job: &Queued, now: Time) -> Option<Blocked> {
        let conditions = self.eligibility.blocked(job.id, now);
        conditions.or_else(|| self.arrays.blocked(job.id)).or_else(|| self.closed(job))
    }

    /// Why no job of its partition starts.
    pub(super) fn closed(&self, job: &Queued) -> Option<Blocked> {
        if self.rules.partitions.is_empty() {
            return None;
        }
        match self.rules.partitions.at(job.berth.partition) {
            Some(partition) => (!partition.up).then_some(Blocked::PartitionDown),
            None => Some(Blocked::PartitionGone),
        }
    }

    /// Adds how the partitions stand, and in which of them these jobs wait.
    pub fn explain_partitions(&self, explained: &mut Explained, jobs: &[JobId]) {
        if self.rules.partitions.is_empty() {
            return;
        }
        explained.partitions = self.partitions_now();
        let berth = |job: &JobId| Some((*job, self.queue.get(*job)?.berth.partition));
        explained.berths = jobs.iter().filter_map(berth).collect();
    }

    /// How all partitions stand; the whole machine is one where it is not divided.
    #[must_use]
    pub fn partitions_now(&self) -> Vec<PartitionNow> {
        if !self.rules.partitions.is_empty() {
            return self.rules.partitions.iter().map(|one| self.partition_now(one)).collect();
        }
        vec![PartitionNow {
            name: WHOLE.into(),
            up: true,
            default: true,
            cpus: self.ledger.configured().collect(),
            free: self.ledger.free(),
            running: self.live.len() as u64,
            pending: self.queue.len() as u64,
        }]
    }

    fn partition_now(&self, partition: &Partition) -> PartitionNow {
        let partitions = &self.rules.partitions;
        let Berth { partition: place, regions } = partitions.berth(&partition.name);
        let live = self.live.values().filter(|live| live.job.berth.partition == place);
        PartitionNow {
            name: Arc::clone(&partition.name),
            up: partition.up,
            default: partitions.default_one().is_some_and(|one| one.name == partition.name),
            cpus: partition.cpus.iter().copied().collect(),
            free: self.ledger.free_within(regions),
            running: live.count() as u64,
            pending: self.queue.waiting_for(place),
        }
    }
}

#[cfg(test)]
#[path = "tenancy/tests.rs"]
mod tests;
