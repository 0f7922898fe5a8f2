//! *Purpose*: CPUs and who holds them, memory and how much is held, as JSON.
//!
//! *Owns*: [`Resources`], [`Cpu`], [`AllocationRow`].
//!
//! *Promises*: `used_cpus + available_cpus == total_cpus` unless CPUs vanished in a
//! reconfiguration while a job held them.
//!
//! *Not here*: the replaced system's dashboard (`wire::seed`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::ids::{CpuId, JobId};

/// The ledger at one commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Resources {
    /// CPUs to hand out.
    #[schema(example = 8)]
    pub total_cpus: u32,
    /// CPUs that jobs hold.
    #[schema(example = 4)]
    pub used_cpus: u32,
    /// CPUs that are free.
    #[schema(example = 4)]
    pub available_cpus: u32,
    /// Used CPUs in percent.
    #[schema(example = 50.0)]
    pub utilization: f64,
    /// Bytes of memory to hand out; null where memory is not counted.
    #[serde(default)]
    #[schema(example = 17_179_869_184_u64)]
    pub total_memory_bytes: Option<u64>,
    /// Bytes of memory that jobs hold.
    #[serde(default)]
    #[schema(example = 4_294_967_296_u64)]
    pub used_memory_bytes: u64,
    /// Bytes of memory that are free; null where memory is not counted.
    #[serde(default)]
    #[schema(example = 12_884_901_888_u64)]
    pub available_memory_bytes: Option<u64>,
    /// Each CPU and its holder.
    pub cpus: Vec<Cpu>,
    /// CPUs that are not handed out because an audit doubts that they are free; normally none.
    #[serde(default)]
    #[schema(value_type = Vec<u32>)]
    pub held_back_cpus: Vec<CpuId>,
    /// Jobs that hold CPUs.
    pub running_jobs: u64,
    /// Jobs that wait.
    pub pending_jobs: u64,
    /// How many managers of resources there are: 1, or something is badly wrong.
    #[schema(example = 1)]
    pub resource_managers: u32,
}

/// One CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cpu {
    /// As the operating system numbers it.
    #[schema(value_type = u32)]
    pub id: CpuId,
    /// The job that holds it; null when free.
    #[schema(value_type = Option<i64>)]
    pub job_id: Option<JobId>,
}

/// A row of `resource_allocations`. `GET /allocations` answers a list of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AllocationRow {
    /// The row's number.
    pub id: i64,
    /// The job.
    #[schema(value_type = i64)]
    pub job_id: JobId,
    /// Which run of it.
    pub attempt: u32,
    /// How many CPUs.
    pub allocated_cpus: u32,
    /// Which.
    #[schema(value_type = Vec<u32>)]
    pub cpu_ids: Vec<CpuId>,
    /// The script's process.
    pub process_id: Option<i64>,
    /// Whether they were given back.
    pub released: bool,
    /// Since when.
    pub allocation_time: String,
    /// When they were given back.
    pub released_time: Option<String>,
}
