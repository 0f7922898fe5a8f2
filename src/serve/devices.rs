//! *Purpose*: the GPUs of this machine, as jobs get them and as they are looked at.
//!
//! *Owns*: [`MachineDevices`].
//!
//! *Promises*: only units that nobody of ours holds are asked about, so whoever is found there is
//! an outsider.
//!
//! *Not here*: finding out (`devices`), what follows (`kernel::commands::looks`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::actors::device_watch::LookAtDevices;
use crate::config::Config;
use crate::devices::Gpu;
use crate::devices::usage::{Probe, Use};
use crate::job::ids::UnitId;

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

impl LookAtDevices for MachineDevices {
    fn look(&mut self, held: &BTreeSet<UnitId>) -> BTreeMap<UnitId, Arc<str>> {
        let open: Vec<Gpu> =
            self.gpus.iter().filter(|gpu| !held.contains(&UnitId(gpu.index))).cloned().collect();
        let uses = self.probe.usage(&self.root, &open);
        let found = open.iter().zip(uses).filter(|(_, of)| *of != Use::Free);
        found.map(|(gpu, of)| (UnitId(gpu.index), of.to_string().into())).collect()
    }
}
