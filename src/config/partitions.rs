//! *Purpose*: the partitions of `downbeat.toml`.
//!
//! *Owns*: [`PartitionTable`], and what its keys come to.
//!
//! *Promises*: a table that makes no sense is refused, naming the partition and the key; a
//! partition has at least one CPU, and only CPUs of this server.
//!
//! *Not here*: how partitions overlap (`resources::partitions`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::error::ConfigError;
use super::resources::amounts;
use super::scalar::Scalar;
use crate::job::ids::CpuId;
use crate::job::request::MEMORY;
use crate::job::spec::{LIMIT_S_MAX, NAME_CHARS_MAX};
use crate::resources::inventory::Inventory;
use crate::resources::partitions::{Partition, Partitions, is_list};
use crate::text::time_limit::LimitAsked;
use crate::text::{cpu_list, size, time_limit};

/// `[[partition]]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PartitionTable {
    /// What jobs call it.
    pub name: String,
    /// CPU ids, as in `0-3,8`; all when absent.
    pub cpus: Option<Scalar>,
    /// Whether it is for jobs that name none; else the first is.
    #[serde(default)]
    pub default: bool,
    /// Time limit of a job that names none.
    pub default_time_limit: Option<Scalar>,
    /// Longest time limit.
    pub max_time_limit: Option<Scalar>,
    /// Most CPUs of one job.
    pub max_cpus_per_job: Option<u32>,
    /// Most memory of one job.
    pub max_memory_per_job: Option<Scalar>,
    /// Most of other resources of one job, by name.
    #[serde(default)]
    pub max_per_job: BTreeMap<String, Scalar>,
    /// Points of its jobs beyond their priority.
    #[serde(default)]
    pub priority_weight: i64,
    /// Whether its jobs start.
    #[serde(default)]
    pub state: PartitionState,
    /// Partitions whose jobs go back to the queue when its own need their CPUs.
    #[serde(default)]
    pub preempts: Vec<String>,
}

/// Whether the jobs of a partition start.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum PartitionState {
    /// They do.
    #[default]
    Up,
    /// They wait.
    Down,
}

/// The partitions of these tables, on a server with these CPUs.
pub(super) fn partitions(
    tables: &[PartitionTable],
    inventory: &Inventory,
) -> Result<Partitions, ConfigError> {
    let mut names = BTreeSet::new();
    let mut list = Vec::with_capacity(tables.len());
    for table in tables {
        let partition = partition(table, inventory)?;
        if !names.insert(Arc::clone(&partition.name)) {
            return Err(wrong(&table.name, "name", "is there twice"));
        }
        list.push(partition);
    }
    for (table, n) in tables.iter().zip(0..) {
        for name in &table.preempts {
            let other = list.iter().position(|partition| *partition.name == **name);
            match other {
                Some(other) if other == n => {
                    return Err(wrong(&table.name, "preempts", "names the partition itself"));
                }
                Some(other) if tables[other].preempts.contains(&table.name) => {
                    let message = format!("names \"{name}\", which preempts this one");
                    return Err(wrong(&table.name, "preempts", message));
                }
                Some(other) => list[n].preempts |= 1_u64.checked_shl(other as u32).unwrap_or(0),
                None => {
                    let message = format!("names \"{name}\", which is none");
                    return Err(wrong(&table.name, "preempts", message));
                }
            }
        }
    }
    let mut defaults = tables.iter().enumerate().filter(|(_, table)| table.default);
    let default = defaults.next().map_or(0, |(n, _)| n);
    if let Some((_, second)) = defaults.next() {
        let first = &tables[default].name;
        let message = format!("is set for partition \"{first}\" too; only one can be");
        return Err(wrong(&second.name, "default", message));
    }
    Partitions::new(list, default).map_err(|refused| ConfigError::Table {
        table: "partition".to_owned(),
        message: refused.to_string(),
    })
}

fn partition(table: &PartitionTable, inventory: &Inventory) -> Result<Partition, ConfigError> {
    let refuse = |key, message: String| Err(wrong(&table.name, key, message));
    let all: Vec<CpuId> = inventory.cpus().collect();
    let name = table.name.trim();
    if name.is_empty() || name.len() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return refuse("name", format!("is 1 to {NAME_CHARS_MAX} printable characters"));
    }
    if is_list(name) {
        return refuse("name", "has a comma; jobs list partitions with commas".to_owned());
    }
    let cpus = match &table.cpus {
        None => all.iter().copied().collect(),
        Some(text) => {
            let own = cpu_list::parse(&text.to_string());
            let own = own.map_err(|m| wrong(&table.name, "cpus", m))?;
            let own: BTreeSet<CpuId> = own.into_iter().map(CpuId).collect();
            if let Some(stranger) = own.iter().find(|cpu| !all.contains(cpu)) {
                let ours = cpu_list::format(all.iter().map(|cpu| cpu.0));
                let message =
                    format!("CPU {stranger} is not of this server, which hands out {ours}");
                return refuse("cpus", message);
            }
            own
        }
    };
    let limit = |key, text: &Option<Scalar>| match text {
        None => Ok(None),
        Some(text) => limit(&text.to_string()).map_err(|m| wrong(&table.name, key, m)),
    };
    let default_limit_s = limit("default_time_limit", &table.default_time_limit)?;
    let max_limit_s = limit("max_time_limit", &table.max_time_limit)?;
    if let (Some(default), Some(max)) = (default_limit_s, max_limit_s)
        && default > max
    {
        return refuse("default_time_limit", "is longer than its max_time_limit".to_owned());
    }
    if table.max_cpus_per_job == Some(0) {
        return refuse("max_cpus_per_job", "is 0; at least 1".to_owned());
    }
    let max_memory = match &table.max_memory_per_job {
        None => None,
        Some(text) => match size::parse(&text.to_string()) {
            Ok(bytes) if bytes > 0 => Some(bytes.unsigned_abs()),
            Ok(_) => return refuse("max_memory_per_job", "is not more than 0".to_owned()),
            Err(message) => return refuse("max_memory_per_job", message),
        },
    };
    let mut max = amounts(&table.max_per_job, inventory)
        .map_err(|message| wrong(&table.name, "max_per_job", message))?;
    max.extend(max_memory.map(|bytes| (MEMORY.into(), bytes)));
    Ok(Partition {
        name: name.into(),
        cpus,
        default_limit_s,
        max_limit_s,
        max_cpus: table.max_cpus_per_job,
        max,
        weight: table.priority_weight,
        up: table.state == PartitionState::Up,
        preempts: 0,
    })
}

pub(super) fn limit(text: &str) -> Result<Option<u32>, String> {
    match time_limit::parse(text)? {
        LimitAsked::Seconds(s) if s > LIMIT_S_MAX => {
            Err("is longer than ten years; leave it out".to_owned())
        }
        LimitAsked::Seconds(s) => Ok(u32::try_from(s).ok()),
        LimitAsked::Unlimited | LimitAsked::Default => Ok(None),
    }
}

pub(super) fn described(partition: &Partition) -> String {
    let cpus = cpu_list::format(partition.cpus.iter().map(|cpu| cpu.0));
    let down = if partition.up { "" } else { ", down" };
    format!("{} (CPU {cpus}{down})", partition.name)
}

fn wrong(name: &str, key: &str, message: impl Into<String>) -> ConfigError {
    ConfigError::Table {
        table: format!("partition \"{name}\""),
        message: format!("{key} {}", message.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::super::settings::FileSettings;
    use super::*;

    fn read(text: &str) -> Result<Partitions, String> {
        let file = FileSettings::parse(text, Path::new("x.toml")).map_err(|e| e.to_string())?;
        let inventory = Inventory::of((0..4).map(CpuId), None);
        partitions(&file.partition, &inventory).map_err(|e| e.to_string())
    }

    #[test]
    fn a_table_is_read_key_by_key() {
        let text = "[[partition]]\nname = \"cpu\"\ncpus = \"0-1, 3\"\n\
            [[partition]]\nname = \"all\"\ndefault = true\nmax_time_limit = \"2h\"\n\
            default_time_limit = 30\nmax_cpus_per_job = 3\nmax_memory_per_job = \"1G\"\n\
            priority_weight = -5\nstate = \"down\"";
        let partitions = read(text).unwrap();
        assert_eq!(partitions.names(), "cpu, all");
        let all = partitions.default_one().unwrap();
        assert_eq!((all.total(), all.up, all.weight), (4, false, -5));
        assert_eq!((all.default_limit_s, all.max_limit_s), (Some(1_800), Some(7_200)));
        assert_eq!((all.max_cpus, all.max.get(MEMORY)), (Some(3), Some(&(1 << 30))));
        let cpu = partitions.named("cpu").unwrap();
        assert_eq!(cpu_list::format(cpu.cpus.iter().map(|cpu| cpu.0)), "0-1,3");
        assert!(read("").unwrap().is_empty());
        let preempts = format!("{text}\npreempts = [\"cpu\"]");
        let preempts = read(&preempts).unwrap();
        assert_eq!((preempts.preempts(1), preempts.preempts(0), preempts.preempted()), (1, 0, 1));
    }

    #[test]
    fn a_bad_table_names_partition_and_key() {
        let said = |keys: &str| read(&format!("[[partition]]\nname = \"a\"\n{keys}")).unwrap_err();
        assert_eq!(
            said("cpus = \"2-4\""),
            "in the settings file, partition \"a\": cpus CPU 4 is not of this server, which hands \
             out 0-3"
        );
        for (keys, part) in [
            ("cpus = \"1-0\"", "counts backwards"),
            ("cpus = \"x\"", "list of CPU ids"),
            ("max_cpus_per_job = 0", "max_cpus_per_job is 0"),
            ("default_time_limit = \"2h\"\nmax_time_limit = \"1h\"", "default_time_limit"),
            ("max_memory_per_job = \"much\"", "max_memory_per_job"),
            ("[[partition]]\nname = \"a\"", "is there twice"),
            ("default = true\n[[partition]]\nname = \"b\"\ndefault = true", "only one can be"),
            ("state = \"sideways\"", "state"),
            ("preempts = [\"b\"]", "preempts names \"b\", which is none"),
            ("preempts = [\"a\"]", "preempts names the partition itself"),
            (
                "preempts = [\"b\"]\n[[partition]]\nname = \"b\"\npreempts = [\"a\"]",
                "preempts names \"b\", which preempts this one",
            ),
            ("cpu = \"0\"", "cpu"),
            ("max_cpus_per_job = -1", "partition[0].max_cpus_per_job"),
        ] {
            assert!(said(keys).contains(part), "{}", said(keys));
        }
        assert!(read("[[partition]]\ncpus = 1").unwrap_err().contains("name"));
    }
}
