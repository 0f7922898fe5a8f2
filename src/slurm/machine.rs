//! *Purpose*: the server as nodes and partitions of Slurm.
//!
//! *Owns*: [`Machine`]: what is asked of the server for that, and what follows from it.
//!
//! *Promises*: what is not counted here has the word that Slurm has for that.
//!
//! *Not here*: how it is printed (`sinfo`, `scontrol`).

use super::failure::Failure;
use super::jobs::Server;
use crate::api::wire::maintenance::Window;
use crate::api::wire::v1::{Partition, Resources};

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
    /// As it stands now.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn of(server: &Server) -> Result<Machine, Failure> {
        let ask = |path: &str| server.client.get(path).map_err(|error| server.failed(&error));
        let parse = |error| server.failed(&error);
        let resources = ask("/api/v1/resources")?.parse().map_err(parse)?;
        let partitions = ask("/api/v1/partitions")?.parse().map_err(parse)?;
        let windows: Vec<Window> = ask("/api/v1/maintenance")?.parse().map_err(parse)?;
        let drained = windows.into_iter().find(|window| window.active);
        Ok(Machine { resources, partitions, drained: drained.map(|window| window.reason) })
    }

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

    /// `gpu:2`, with commas; `(null)` where there is nothing of the kind.
    #[must_use]
    pub fn gres(&self) -> String {
        let all = self.resources.resources.iter();
        let all = all.filter(|one| !one.name.starts_with("license/") && one.name != "scratch");
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
