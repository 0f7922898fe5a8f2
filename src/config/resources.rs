//! *Purpose*: the resources of `downbeat.toml`, beside CPUs and memory.
//!
//! *Owns*: [`ResourceTable`], [`amounts`], and what their keys come to.
//!
//! *Promises*: a table that makes no sense is refused, naming the resource and the key; GPUs that
//! nobody names are those that the machine has.
//!
//! *Not here*: how resources are counted (`resources::inventory`), finding GPUs (`config::gpus`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use super::error::ConfigError;
use super::scalar::Scalar;
use crate::job::ids::UnitId;
use crate::job::request::{CPU, GPU, MEMORY, check_name};
use crate::resources::inventory::{Inventory, Resource, Stock, is_bytes};
use crate::text::{cpu_list, size};

/// `[[resource]]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ResourceTable {
    /// What jobs call it: `gpu`, `license/matlab`, `scratch`.
    pub name: String,
    /// Its units, as in `0-3`; of GPUs those that are found when absent.
    pub units: Option<Scalar>,
    /// How many there are, where nobody can tell one from another.
    pub count: Option<u64>,
    /// How many bytes there are.
    pub size: Option<Scalar>,
    /// Which units are of which type.
    #[serde(default, rename = "type")]
    pub types: BTreeMap<String, Scalar>,
    /// Whether jobs see their GPUs by UUID instead of by index.
    #[serde(default)]
    pub uuid: bool,
    /// Below which folder the machine's GPUs are looked for; `/` when absent. For a container that
    /// sees them elsewhere.
    pub root: Option<PathBuf>,
}

/// All that a server has: these CPUs and so much memory, what the tables name, and the GPUs that
/// were found.
pub(super) fn inventory(
    base: Inventory,
    tables: &[ResourceTable],
    found: &[u32],
) -> Result<Inventory, ConfigError> {
    let mut list = Vec::new();
    for table in tables {
        list.extend(resource(table, found)?);
    }
    if gpu_table(tables).is_none() {
        list.extend(found_gpus(found));
    }
    base.and(list).map_err(|refused| ConfigError::Table {
        table: "resource".to_owned(),
        message: refused.to_string(),
    })
}

/// What the tables say of GPUs.
pub(super) fn gpu_table(tables: &[ResourceTable]) -> Option<&ResourceTable> {
    tables.iter().find(|table| table.name == GPU)
}

fn found_gpus(found: &[u32]) -> Option<Resource> {
    let units: BTreeMap<UnitId, _> = found.iter().map(|unit| (UnitId(*unit), None)).collect();
    let some = !units.is_empty();
    some.then(|| Resource { name: GPU.into(), stock: Stock::Units(units) })
}

/// `None`: there is nothing of it.
fn resource(table: &ResourceTable, found: &[u32]) -> Result<Option<Resource>, ConfigError> {
    let refuse = |key, message: &str| Err(wrong(&table.name, key, message));
    let name: Arc<str> = table.name.as_str().into();
    check_name(&name).map_err(|refused| wrong(&name, "name", refused.to_string()))?;
    if name.contains(':') {
        return refuse("name", "has a type in it; types are named by type = { a100 = \"0-1\" }");
    }
    if [CPU, MEMORY].contains(&&*name) {
        return refuse("name", "is set by cpus and memory");
    }
    let is_gpu = &*name == GPU;
    if !is_gpu && (table.uuid || table.root.is_some()) {
        return refuse("uuid and root", "are for GPUs only");
    }
    if let Some(count) = table.count {
        if is_gpu {
            return refuse("count", "GPUs are told apart; write units = \"0-3\"");
        }
        if table.units.is_some() || table.size.is_some() || !table.types.is_empty() {
            return refuse("count", "excludes units, size and type");
        }
        return Ok(Some(Resource { name, stock: Stock::Amount(Some(count)) }));
    }
    if let Some(size) = &table.size {
        if table.units.is_some() || !table.types.is_empty() {
            return refuse("size", "excludes units and type");
        }
        if !is_bytes(&name) {
            return refuse("size", "is for scratch; other resources have a count or units");
        }
        let bytes = size::parse(&size.to_string()).map_err(|m| wrong(&name, "size", m))?;
        let stock = Stock::Amount(Some(bytes.unsigned_abs()));
        return Ok(Some(Resource { name, stock }));
    }
    let units = match &table.units {
        Some(text) => list(table, "units", text)?,
        None if is_gpu => found.iter().copied().collect(),
        None => return refuse("units", "is missing, and so are count and size; one is needed"),
    };
    if let (true, Some(gone)) =
        (is_gpu && !found.is_empty(), units.iter().find(|u| !found.contains(u)))
    {
        let has = cpu_list::format(found.iter().copied());
        let message = format!("has {gone}, and the machine has the GPUs {has}");
        return refuse("units", &message);
    }
    let mut kinds: BTreeMap<UnitId, Option<Arc<str>>> =
        units.iter().map(|unit| (UnitId(*unit), None)).collect();
    for (kind, of) in &table.types {
        check_name(kind).map_err(|refused| wrong(&name, "type", refused.to_string()))?;
        for unit in list(table, "type", of)? {
            match kinds.get_mut(&UnitId(unit)) {
                None => return refuse("type", &format!("{kind} names {unit}, which is no unit")),
                Some(Some(other)) => {
                    let message = format!("{unit} is of type {kind} and {other}");
                    return refuse("type", &message);
                }
                Some(none) => *none = Some(kind.as_str().into()),
            }
        }
    }
    Ok((!kinds.is_empty()).then_some(Resource { name, stock: Stock::Units(kinds) }))
}

fn list(table: &ResourceTable, key: &str, text: &Scalar) -> Result<BTreeSet<u32>, ConfigError> {
    let text = text.to_string();
    if text.trim().is_empty() {
        return Ok(BTreeSet::new());
    }
    cpu_list::parse(&text).map_err(|message| {
        let message = message.replace("CPU ids", "units");
        wrong(&table.name, key, message)
    })
}

/// Limits by resource, as a table of them: each one of the inventory, bytes as people write them.
///
/// # Errors
/// A sentence that names the resource.
pub(super) fn amounts(
    table: &BTreeMap<String, Scalar>,
    inventory: &Inventory,
) -> Result<BTreeMap<Arc<str>, u64>, String> {
    let mut all = BTreeMap::new();
    for (name, amount) in table {
        let (resource, kind) = crate::job::request::split(name);
        let place = inventory.find(resource).filter(|_| ![CPU, MEMORY].contains(&resource));
        let cells = place.map(|place| inventory.cells(place, kind));
        if cells.is_none_or(|cells| cells.0 == 0) {
            return Err(format!("names \"{name}\", which is no resource of this server"));
        }
        let text = amount.to_string();
        let number = if is_bytes(resource) {
            size::parse(&text)?.try_into().ok()
        } else {
            text.trim().parse::<u64>().ok()
        };
        let Some(number) = number else {
            return Err(format!("gives {name} \"{text}\", which is no whole number"));
        };
        all.insert(name.as_str().into(), number);
    }
    Ok(all)
}

/// As `/info` shows it.
pub(super) fn described(resource: &Resource) -> String {
    let name = &resource.name;
    match &resource.stock {
        Stock::Amount(None) => format!("{name} (not counted)"),
        Stock::Amount(Some(bytes)) if is_bytes(name) => format!("{name} ({})", size::shown(*bytes)),
        Stock::Amount(Some(count)) => format!("{name} ({count})"),
        Stock::Units(units) => {
            let of = |kind: Option<&str>| {
                let some = units.iter().filter(|(_, one)| one.as_deref() == kind);
                cpu_list::format(some.map(|(unit, _)| unit.0))
            };
            let mut parts: Vec<String> =
                resource.types().iter().map(|kind| format!("{kind} {}", of(Some(kind)))).collect();
            parts.extend(Some(of(None)).filter(|plain| !plain.is_empty()));
            format!("{name} ({})", parts.join(", "))
        }
    }
}

pub(super) fn wrong(name: &str, key: &str, message: impl Into<String>) -> ConfigError {
    ConfigError::Table {
        table: format!("resource \"{name}\""),
        message: format!("{key} {}", message.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::super::settings::FileSettings;
    use super::*;

    fn read(text: &str, found: &[u32]) -> Result<Vec<String>, String> {
        let file = FileSettings::parse(text, Path::new("x.toml")).map_err(|e| e.to_string())?;
        let read = inventory(Inventory::default(), &file.resource, found);
        let read = read.map_err(|e| e.to_string())?;
        Ok(read.all().iter().skip(2).map(described).collect())
    }

    #[test]
    fn tables_come_to_an_inventory() {
        let text = "[[resource]]\nname = \"gpu\"\nunits = \"0-3\"\ntype = { a100 = \"0-1\" }\n\
                    [[resource]]\nname = \"license/matlab\"\ncount = 4\n\
                    [[resource]]\nname = \"scratch\"\nsize = \"2G\"";
        let all = ["gpu (a100 0-1, 2-3)", "license/matlab (4)", "scratch (2 GiB)"];
        assert_eq!(read(text, &[]).unwrap(), all);
    }

    #[test]
    fn gpus_that_nobody_names_are_those_that_are_found() {
        assert_eq!(read("", &[0, 1]).unwrap(), ["gpu (0-1)"]);
        assert_eq!(read("", &[]).unwrap(), [""; 0]);
        let some = "[[resource]]\nname = \"gpu\"\nunits = 1";
        assert_eq!(read(some, &[0, 1]).unwrap(), ["gpu (1)"]);
        let all = "[[resource]]\nname = \"gpu\"\ntype = { t4 = \"1\" }";
        assert_eq!(read(all, &[0, 1]).unwrap(), ["gpu (t4 1, 0)"]);
        let none = "[[resource]]\nname = \"gpu\"\nunits = \"\"";
        assert_eq!(read(none, &[0, 1]).unwrap(), [""; 0], "they can be kept from jobs");
    }

    #[test]
    fn a_bad_table_names_its_key() {
        let with = |name: &str, keys: &str| format!("[[resource]]\nname = \"{name}\"\n{keys}");
        for (text, part) in [
            (with("gpu", "count = 4"), "resource \"gpu\": count GPUs are told apart"),
            (with("gpu", "units = \"0-5\""), "units has 4, and the machine has the GPUs 0-3"),
            (with("gpu", "units = \"x\""), "units \"x\" is not a list of units"),
            (with("gpu", "type = { a = \"7\" }"), "type a names 7, which is no unit"),
            (with("gpu", "type = { a = \"1\", b = \"1\" }"), "1 is of type b and a"),
            (with("license/x", ""), "units is missing, and so are count and size"),
            (with("license/x", "count = 1\nunits = \"1\""), "count excludes"),
            (with("license/x", "size = \"1G\""), "size is for scratch"),
            (with("license/x", "count = 1\nuuid = true"), "for GPUs only"),
            (with("license/x", "count = -1"), "resource[0].count"),
            (with("cpu", "count = 1"), "is set by cpus and memory"),
            (with("a b", "count = 1"), "is no name of a resource"),
            (with("a:b", "count = 1"), "has a type in it"),
            (with("a", "nope = 1"), "nope"),
            (with("a", "count = 1") + "\n" + &with("a", "count = 2"), "is there twice"),
        ] {
            let said = read(&text, &[0, 1, 2, 3]).unwrap_err();
            assert!(said.contains(part), "{said}");
        }
    }
}
