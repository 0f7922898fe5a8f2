//! *Purpose*: the GPUs of this machine, as they are looked at before jobs get them, and all of it,
//! as it is looked at for people.
//!
//! *Owns*: [`MachineDevices`], [`watch()`], [`usage()`].
//!
//! *Promises*: only units that nobody of ours holds are asked about, so whoever is found there is
//! an outsider.
//!
//! *Not here*: finding out (`devices`), what follows (`kernel::commands::looks`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::actors::System;
use crate::actors::device_watch::LookAtDevices;
use crate::actors::usage_watch::{UsageWatch, UsageWatchActor, Witnesses};
use crate::config::Config;
use crate::devices::Gpu;
use crate::devices::usage::{Probe, Use};
use crate::engine::Engine;
use crate::job::ids::UnitId;
use crate::job::request::GPU;
use crate::machine::{HeldGpus, Topology, Watch};

/// Where the files of the machine stand.
const MACHINE: &str = "/";

/// The GPUs that can be looked at.
pub(super) struct MachineDevices {
    root: PathBuf,
    gpus: Vec<Gpu>,
    probe: Probe,
}

impl MachineDevices {
    /// Those of this server; `None` where there is nothing to look at: no GPUs, or such as only
    /// the settings know.
    pub(super) fn of(config: &Config) -> Option<MachineDevices> {
        let gpus: Vec<Gpu> =
            config.gpus.list.iter().filter(|gpu| gpu.vendor.is_some()).cloned().collect();
        let root = config.gpus.root.clone();
        (!gpus.is_empty()).then(|| MachineDevices { root, gpus, probe: Probe::default() })
    }
}

/// Looks how busy this machine is. Only the GPUs may stand below a root of their own.
pub(super) fn watch(config: &Config, system: &System) -> Watch {
    let cpus = config.inventory.cpus().map(|cpu| cpu.0);
    let topology = Topology::read(Path::new(MACHINE), cpus);
    let snapshot = system.snapshot.clone();
    let held: HeldGpus = Box::new(move || {
        let now = snapshot.borrow();
        let gpus = now.others.iter().filter(|one| &*one.name == GPU);
        let held = gpus.flat_map(|one| &one.units).filter(|unit| unit.holder.is_some());
        held.map(|unit| unit.unit.0).collect()
    });
    let gpus = (config.gpus.root.clone(), config.gpus.list.clone());
    Watch::new((MACHINE.into(), topology), gpus, held)
}

/// Measures what attempts use while they run. While one of them holds a GPU somebody wants to know
/// how busy these are.
pub(super) fn usage(machine: &Arc<Watch>, system: &System, engine: Arc<dyn Engine>) -> UsageWatch {
    let machine = Arc::clone(machine);
    let gpu_loads = move || {
        let loads = machine.loads();
        loads.gpus.iter().filter_map(|gpu| Some((gpu.index, gpu.load.load?))).collect()
    };
    UsageWatchActor::launch(Witnesses {
        engine,
        snapshot: system.snapshot.clone(),
        gpu_loads: Box::new(gpu_loads),
        readers: system.readers.clone(),
        keep: system.keep_usage.clone(),
    })
}

impl LookAtDevices for MachineDevices {
    fn look(&mut self, held: &BTreeSet<UnitId>) -> BTreeMap<UnitId, Arc<str>> {
        let open: Vec<Gpu> =
            self.gpus.iter().filter(|gpu| !held.contains(&UnitId(gpu.index))).cloned().collect();
        let uses = self.probe.usage(&self.root, &open);
        let found = open.iter().zip(uses).filter(|(_, of)| *of != Use::Free);
        found.map(|(gpu, of)| (UnitId(gpu.index), of.to_string().into())).collect()
    }
}
