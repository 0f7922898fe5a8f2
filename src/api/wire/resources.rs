//! *Purpose*: CPUs and who holds them, memory and how much is held, as JSON.
//!
//! *Owns*: [`Resources`], [`Cpu`], [`NumaNode`], [`GpuState`], [`AllocationRow`].
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
    /// The NUMA nodes of the machine; none where it does not tell.
    #[serde(default)]
    pub nodes: Vec<NumaNode>,
    /// The GPUs of the machine; left out where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuState>,
}

/// A NUMA node: CPUs, and the memory that is near them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NumaNode {
    /// Its number.
    #[schema(example = 0)]
    pub node: u32,
    /// Those of its CPUs that are handed out here.
    #[schema(value_type = Vec<u32>)]
    pub cpus: Vec<CpuId>,
    /// Bytes of the machine's memory that are near them; null when that is not known.
    #[schema(example = 274_877_906_944_u64)]
    pub memory_bytes: Option<u64>,
}

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GpuState {
    /// Its number among all GPUs of the machine, as `resources[].units[].id` of `gpu` has it.
    #[schema(example = 0)]
    pub index: u32,
    /// The vendor's name for it; null when that is not known.
    #[schema(example = "GPU-8f3e12aa-0000-4bce-9c1d-2a1b7a0f4e55")]
    pub uuid: Option<String>,
    /// What it is called.
    #[schema(example = "NVIDIA A100-SXM4-80GB")]
    pub name: String,
    /// The job that holds it; null when none does.
    #[schema(value_type = Option<i64>)]
    pub job_id: Option<JobId>,
    /// Bytes of its memory; null when that is not known.
    #[schema(example = 85_899_345_920_u64)]
    pub memory_bytes: Option<u64>,
    /// Of that in use, by whomever; null when that is not known.
    #[schema(example = 65_498_251_264_u64)]
    pub used_bytes: Option<u64>,
    /// How busy it is, per mille, as its driver says it; null when that is not known.
    #[schema(example = 920)]
    pub load: Option<u16>,
    /// Who uses it though no job holds it; null when nobody is known to.
    pub outside: Option<Outsider>,
}

/// Who uses a GPU that no job holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outsider {
    /// The process; null when it is not known.
    #[schema(example = 4711)]
    pub pid: Option<i32>,
    /// Whose it is; null when that is not known.
    #[schema(example = "jonas")]
    pub user: Option<String>,
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
    /// How busy it was in the last 2 s, per mille; null when that is not known: it is looked for
    /// only while somebody asks, so the first answer knows none.
    #[serde(default)]
    #[schema(example = 870)]
    pub load: Option<u16>,
    /// The NUMA node that it is of; null when that is not known.
    #[serde(default)]
    #[schema(example = 0)]
    pub node: Option<u32>,
    /// The core that it is of, by the lowest number of the CPUs that share it; null when that is
    /// not known.
    #[serde(default)]
    #[schema(example = 0)]
    pub core: Option<u32>,
}

impl Cpu {
    /// One that this job holds, or none. How busy it is and where it stands is not known.
    #[must_use]
    pub fn held_by(id: CpuId, job_id: Option<JobId>) -> Cpu {
        Cpu { id, job_id, load: None, node: None, core: None }
    }
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
