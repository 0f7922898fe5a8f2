//! *Purpose*: CPUs and who holds them, memory and how much is held, as JSON.
//!
//! *Owns*: [`Resources`], [`Cpu`], [`AllocationRow`].
//!
//! *Promises*: `used_cpus + available_cpus == total_cpus` unless CPUs vanished in a
//! reconfiguration while a job held them.
//!
//! *Not here*: the replaced system's dashboard (`wire::seed`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::ids::{CpuId, JobId};
use crate::resources::allocation::Held;

/// The ledger at one commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Resources {
    /// The machine's name.
    #[serde(default)]
    #[schema(example = "big")]
    pub node: String,
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
    /// Everything else that is handed out; empty where there is nothing.
    #[serde(default)]
    pub resources: Vec<ResourceState>,
    /// Jobs that hold CPUs.
    pub running_jobs: u64,
    /// Jobs that wait.
    pub pending_jobs: u64,
    /// How many managers of resources there are: 1, or something is badly wrong.
    #[schema(example = 1)]
    pub resource_managers: u32,
}

/// A resource beside CPUs and memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResourceState {
    /// Its name.
    #[schema(example = "gpu")]
    pub name: String,
    /// How much there is, of scratch in bytes; null where it is not counted.
    #[schema(example = 4)]
    pub total: Option<u64>,
    /// How much jobs hold.
    #[schema(example = 2)]
    pub used: u64,
    /// How much can be handed out; null where it is not counted.
    #[schema(example = 1)]
    pub available: Option<u64>,
    /// Its units, where it has any.
    pub units: Vec<UnitState>,
}

/// One unit of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnitState {
    /// Its number.
    pub id: u32,
    /// Its type, if it has one.
    #[serde(rename = "type")]
    #[schema(example = "a100")]
    pub kind: Option<String>,
    /// The job that holds it; null when none does.
    #[schema(value_type = Option<i64>)]
    pub job_id: Option<JobId>,
    /// Why it is not handed out, if it is not.
    #[schema(example = "process 4711 (python3, ann) uses it")]
    pub held_back: Option<String>,
}

/// What an attempt holds or held beside CPUs and memory: of a resource with units their numbers, of
/// another how much.
pub type HeldResources = BTreeMap<String, Held>;

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
    /// What else: numbers of units, or an amount.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"gpu": [0, 1], "license/matlab": 1}))]
    pub resources: HeldResources,
    /// The script's process.
    pub process_id: Option<i64>,
    /// Whether they were given back.
    pub released: bool,
    /// Since when.
    #[schema(format = DateTime)]
    pub allocation_time: String,
    /// When they were given back.
    #[schema(format = DateTime)]
    pub released_time: Option<String>,
}
