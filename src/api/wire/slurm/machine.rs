//! *Purpose*: the server as nodes, partitions and licences of Slurm.
//!
//! *Owns*: [`Machine`], and what follows from it; the fields of a node, a partition, a licence.
//!
//! *Promises*: what is not counted here is as Slurm has what is not set.
//!
//! *Not here*: how it is printed (`sinfo`, `scontrol`), how each version writes a fact
//! (`slurm::version`).

use serde_json::{Value, json};

use super::jobs::{minutes, or_empty};
use super::version::Version::{V38, V39, V40, V41};
use super::version::{Fact, Field, Version, field};
use crate::api::wire::partitions::Partition;
use crate::api::wire::resources::{ResourceState, Resources};

/// The machine, and its partitions.
#[derive(Clone, Debug)]
pub struct Machine {
    /// CPUs, memory and the rest.
    pub resources: Resources,
    /// Those that there are; one at the least.
    pub partitions: Vec<Partition>,
    /// Why nothing is started now, if nothing is.
    pub drained: Option<String>,
}

impl Machine {
    /// `idle`, `mixed`, `allocated`; `drained` or `draining` when nothing is started.
    #[must_use]
    pub fn state(&self) -> &'static str {
        let (used, total) = (self.resources.used_cpus, self.resources.total_cpus);
        let is_drained = self.drained.is_some();
        match (is_drained, used) {
            (true, 0) => "drained",
            (true, _) => "draining",
            (false, 0) => "idle",
            (false, used) if used < total => "mixed",
            (false, _) => "allocated",
        }
    }

    /// The same in short.
    #[must_use]
    pub fn short_state(&self) -> &'static str {
        match self.state() {
            "drained" => "drain",
            "draining" => "drng",
            "mixed" => "mix",
            "allocated" => "alloc",
            state => state,
        }
    }

    /// Memory to hand out, MiB; 1 where it is not counted, as an unset node has in Slurm.
    #[must_use]
    pub fn memory_mib(&self) -> u64 {
        self.resources.total_memory_bytes.map_or(1, |bytes| bytes >> 20)
    }

    /// What `--gres` may ask for here.
    pub fn counted(&self) -> impl Iterator<Item = &ResourceState> {
        let all = self.resources.resources.iter().filter(|one| one.total.is_some());
        all.filter(|one| !one.name.starts_with("license/") && one.name != "scratch")
    }

    /// `gpu:2`, with commas; `(null)` where there is nothing of the kind.
    #[must_use]
    pub fn gres(&self) -> String {
        let all = self.counted();
        let all: Vec<String> =
            all.filter_map(|one| Some(format!("{}:{}", one.name, one.total?))).collect();
        if all.is_empty() { "(null)".to_owned() } else { all.join(",") }
    }

    /// A partition's longest time limit in this form.
    #[must_use]
    pub fn limit(partition: &Partition, none: &str, form: fn(i64) -> String) -> String {
        partition.max_time_limit_s.map_or_else(|| none.to_owned(), |s| form(i64::from(s)))
    }
}

/// Words as 0.0.38 has them in one text, and the others in a list.
fn words(list: &[&str]) -> Fact {
    Fact::Words(list.iter().map(|word| (*word).to_owned()).collect())
}

/// The one node.
#[must_use]
pub fn node(version: Version, machine: &Machine) -> Value {
    let own = &machine.resources;
    let (node, total, used) = (own.node.as_str(), own.total_cpus, own.used_cpus);
    let free_mib = own.available_memory_bytes.map(|bytes| (bytes >> 20) as i64);
    let partitions: Vec<&str> = machine.partitions.iter().map(|one| one.name.as_str()).collect();
    let state = machine.state();
    let memory = machine.memory_mib();
    let unknown = || Fact::Time(0);
    let slurm = version.release();
    let mut all: Vec<Field> = vec![
        field("architecture", std::env::consts::ARCH),
        field("boards", 1),
        field("boot_time", unknown()),
        field("cores", 1),
        field("cpus", total),
        field("effective_cpus", total).from(V39),
        field("free_memory", free_mib.unwrap_or(0)).until(V39),
        field("free_mem", Fact::Number(free_mib)).from(V40),
        field("last_busy", unknown()),
        field("features", words(&[])),
        field("active_features", words(&[])),
        field("gres", or_empty(&machine.gres())),
        field("gres_drained", "N/A"),
        field("gres_used", ""),
        field("name", node),
        field("address", node),
        field("hostname", node),
        field("state", state).until(V38),
        field("state", words(&[state.to_ascii_uppercase().as_str()])).from(V39),
        field("state_flags", json!([])).until(V39),
        field("operating_system", std::env::consts::OS),
        field("owner", Value::Null).until(V38),
        field("owner", "").from(V39),
        field("partitions", partitions),
        field("port", 0),
        field("real_memory", memory),
        field("reason", machine.drained.clone().unwrap_or_default()),
        field("reason_changed_at", unknown()),
    ];
    all.extend([
        field("sockets", total),
        field("threads", 1),
        field("temporary_disk", 0),
        field("weight", 1),
        field("tres", format!("cpu={total},mem={memory}M,billing={total}")),
        field("tres_used", if used == 0 { String::new() } else { format!("cpu={used}") }),
        field("slurmd_start_time", unknown()),
        field("slurmd_version", slurm).until(V39),
        field("version", slurm).from(V40),
        field("alloc_memory", own.used_memory_bytes >> 20),
        field("alloc_cpus", used),
        field("idle_cpus", own.available_cpus).until(V39),
        field("alloc_idle_cpus", own.available_cpus).from(V40),
    ]);
    version.object(all)
}

/// A partition: flat in 0.0.38, in parts since.
#[must_use]
pub fn partition(version: Version, machine: &Machine, own: &Partition) -> Value {
    let total = own.total_cpus;
    let node = machine.resources.node.as_str();
    let longest = minutes(own.max_time_limit_s.map(i64::from));
    let usual = own.default_time_limit_s.map(|seconds| (i64::from(seconds) + 59) / 60);
    let state = own.state.to_ascii_uppercase();
    let tres = format!("cpu={total},mem={}M,node=1,billing={total}", machine.memory_mib());
    let flags: &[&str] = if own.default { &["default"] } else { &[] };
    let memory = own.max_memory_bytes_per_job.map(|bytes| (bytes >> 20) as i64);
    let most = own.max_cpus_per_job.map(i64::from);
    let flat = [
        field("flags", flags.to_vec()),
        field("default_time_limit", Fact::Number(usual)),
        field("maximum_cpus_per_node", most.unwrap_or(-1)),
        field("maximum_memory_per_node", Fact::Number(memory)),
        field("maximum_nodes_per_job", 1),
        field("max_time_limit", own.max_time_limit_s.map_or(-1, |s| (i64::from(s) + 59) / 60)),
        field("min nodes per job", 0),
        field("nodes", node),
        field("priority_job_factor", own.priority_weight),
        field("priority_tier", 1),
        field("state", state.as_str()),
        field("total_cpus", total),
        field("total_nodes", 1),
        field("tres", tres.as_str()),
    ];
    let mut all: Vec<Field> = flat.map(|one| one.until(V38)).to_vec();
    all.push(field("name", own.name.as_str()));
    let nodes = vec![field("configured", node), field("total", 1)];
    let maximums = vec![
        field("cpus_per_node", Fact::Limit(most)),
        field("partition_memory_per_node", Fact::Limit(memory)).from(V40),
        field("nodes", Fact::Number(Some(1))),
        field("time", longest),
    ];
    let priority = vec![field("job_factor", own.priority_weight), field("tier", 1)];
    let parts = [
        field("nodes", Fact::Object(nodes)),
        field("cpus", Fact::Object(vec![field("total", total)])),
        field("defaults", Fact::Object(vec![field("time", Fact::Number(usual))])),
        field("maximums", Fact::Object(maximums)),
        field("minimums", Fact::Object(vec![field("nodes", 0)])),
        field("priority", Fact::Object(priority)),
        field("partition", Fact::Object(vec![field("state", words(&[state.as_str()]))])),
        field("tres", Fact::Object(vec![field("configured", tres)])),
    ];
    all.extend(parts.map(|part| part.from(V39)));
    version.object(all)
}

/// The licences that are counted here.
#[must_use]
pub fn licenses(version: Version, resources: &Resources) -> Vec<Value> {
    let all = resources.resources.iter();
    let all = all.filter_map(|one| {
        let (name, total) = (one.name.strip_prefix("license/")?, one.total?);
        Some(version.object(vec![
            field("LicenseName", name),
            field("Total", total),
            field("Used", one.used),
            field("Free", one.available.unwrap_or(0)),
            field("Remote", false),
            field("Reserved", 0),
        ]))
    });
    all.collect()
}

/// That the server answers.
#[must_use]
pub fn ping(node: &str) -> Vec<Field> {
    let all = vec![
        field("hostname", node),
        field("ping", "UP").until(V38),
        field("status", 0).until(V38),
        field("pinged", "UP").from(V39),
        field("latency", 0).from(V39),
        field("mode", "primary"),
        field("responding", true).from(V41),
        field("primary", true).from(V41),
    ];
    vec![field("pings", Fact::All(vec![all]))]
}
