//! *Purpose*: how busy the machine is, beside who holds it.
//!
//! *Owns*: what `/resources` says of load, of NUMA nodes and of GPUs, and to whom.
//!
//! *Promises*: whoever sees some jobs only gets numbers of what these hold, and of nothing else.
//!
//! *Not here*: looking (`crate::machine`), who holds what (`api::allocations`).

use std::collections::{BTreeMap, BTreeSet};

use super::wire::resources::{GpuState, NumaNode, Outsider, Resources};
use crate::job::ids::{CpuId, JobId};
use crate::job::request::GPU;
use crate::kernel::views::snapshot::Snapshot;
use crate::machine::{GpuNow, Watch};

/// Adds it to what is held now. `seen` are the holders that somebody sees; `None`: he sees all.
pub fn add(
    resources: &mut Resources,
    machine: &Watch,
    now: &Snapshot,
    seen: Option<&BTreeSet<JobId>>,
) {
    let loads = machine.loads();
    // What a hidden job holds and what is free look alike.
    let shown = |holder: Option<JobId>| seen.is_none() || holder.is_some();
    for cpu in &mut resources.cpus {
        let id = cpu.id.0;
        cpu.load = loads.cpus.get(&id).copied().filter(|_| shown(cpu.job_id));
        (cpu.node, cpu.core) = (machine.topology.node(id), machine.topology.core(id));
    }
    let here: BTreeSet<CpuId> = resources.cpus.iter().map(|cpu| cpu.id).collect();
    let nodes = machine.topology.nodes.iter().map(|node| NumaNode {
        node: node.id,
        cpus: node.cpus.iter().map(|cpu| CpuId(*cpu)).filter(|cpu| here.contains(cpu)).collect(),
        memory_bytes: node.memory_bytes,
    });
    resources.nodes = nodes.collect();
    let holders = holders(now);
    let gpus = machine.gpus().iter().map(|gpu| {
        let holder = holders.get(&gpu.index).copied();
        let job_id = holder.filter(|job| seen.is_none_or(|seen| seen.contains(job)));
        let known = loads.gpus.iter().find(|found| found.index == gpu.index);
        let known = known.filter(|_| shown(job_id));
        let load = known.map(|found| found.load).unwrap_or_default();
        GpuState {
            index: gpu.index,
            uuid: gpu.uuid.clone(),
            name: gpu.model.clone(),
            job_id,
            memory_bytes: load.memory_bytes,
            used_bytes: load.used_bytes,
            load: load.load,
            outside: known.filter(|_| holder.is_none()).and_then(outsider),
        }
    });
    resources.gpus = gpus.collect();
}

fn outsider(gpu: &GpuNow) -> Option<Outsider> {
    let (pid, user) = gpu.outside.clone()?;
    Some(Outsider { pid, user: Some(user).filter(|user| !user.is_empty()) })
}

/// Who holds which GPU.
fn holders(now: &Snapshot) -> BTreeMap<u32, JobId> {
    let gpus = now.others.iter().filter(|one| &*one.name == GPU);
    let units = gpus.flat_map(|one| &one.units);
    units.filter_map(|unit| Some((unit.unit.0, unit.holder?.job))).collect()
}
