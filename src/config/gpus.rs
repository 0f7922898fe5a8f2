//! *Purpose*: which GPUs the machine has, and how jobs see theirs.
//!
//! *Owns*: [`Gpus`].
//!
//! *Promises*: what the settings say of GPUs is compared with what the machine has; where it says
//! nothing, GPUs that cannot be read are passed over with a warning and given to nobody.
//!
//! *Not here*: reading the machine (`devices`), how many are handed out (`config::resources`).

use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::resources::{ResourceTable, gpu_table, wrong};
use crate::devices::{Gpu, discover};
use crate::job::ids::UnitId;
use crate::job::request::GPU;
use crate::resources::inventory::{Inventory, Stock};

/// The GPUs of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gpus {
    /// All that there are, handed out or not; those that only the settings know have no vendor.
    pub list: Vec<Gpu>,
    /// Whether jobs see theirs by UUID.
    pub by_uuid: bool,
    /// Below which folder they were looked for.
    pub root: PathBuf,
    /// Why GPUs of the machine are passed over, if they are.
    pub warning: Option<String>,
}

impl Gpus {
    /// Those that the machine has, as these tables name the folder to look below.
    ///
    /// # Errors
    /// When the settings speak of GPUs and the machine's cannot be read.
    pub(super) fn find(tables: &[ResourceTable]) -> Result<Gpus, ConfigError> {
        let table = gpu_table(tables);
        let root = table.and_then(|table| table.root.clone());
        let root = root.unwrap_or_else(|| Path::new("/").to_owned());
        let by_uuid = table.is_some_and(|table| table.uuid);
        match (discover(&root), table) {
            (Ok(list), _) => Ok(Gpus { list, by_uuid, root, warning: None }),
            (Err(error), None) => {
                let warning = format!("The GPUs of this machine are given to nobody: {error}.");
                Ok(Gpus { root, warning: Some(warning), ..Gpus::default() })
            }
            (Err(error), Some(_)) => Err(wrong(GPU, "cannot be counted:", error.to_string())),
        }
    }

    /// With those that only the settings know, when the inventory has any.
    ///
    /// # Errors
    /// When jobs shall see UUIDs and one of them has none.
    pub(super) fn with_declared(mut self, inventory: &Inventory) -> Result<Gpus, ConfigError> {
        let Some(Stock::Units(units)) = inventory.get(GPU).map(|gpus| &gpus.stock) else {
            return Ok(self);
        };
        let known = |unit: &&UnitId| self.list.iter().any(|gpu| gpu.index == unit.0);
        let declared: Vec<Gpu> =
            units.keys().filter(|unit| !known(unit)).map(|unit| Gpu::declared(unit.0)).collect();
        self.list.extend(declared);
        let nameless = |gpu: &&Gpu| gpu.uuid.is_none() && units.contains_key(&UnitId(gpu.index));
        // Where a card is cut jobs see UUIDs whatever the settings say.
        let is_cut = self.list.iter().any(|gpu| gpu.card.is_some());
        match self.list.iter().find(nameless).filter(|_| self.by_uuid || is_cut) {
            Some(gpu) => {
                let message = format!(
                    "is needed (uuid = true, or a card is cut), and that of GPU {} is not known",
                    gpu.index
                );
                Err(wrong(GPU, "uuid", message))
            }
            None => Ok(self),
        }
    }
}
