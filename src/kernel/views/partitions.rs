//! *Purpose*: how the partitions stand.
//!
//! *Owns*: [`PartitionNow`].
//!
//! *Promises*: where the machine is not divided, it is one partition.
//!
//! *Not here*: what partitions are (`resources::partitions`).

use std::sync::Arc;

use crate::job::ids::CpuId;
use crate::kernel::parts::rules::WHOLE;
use crate::kernel::state::Kernel;
use crate::resources::partitions::{Partition, Placement};

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
        let Placement { partition: place, regions } = partitions.placement(&partition.name);
        let live = self.live.values().filter(|live| live.job.placement.partition == place);
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
