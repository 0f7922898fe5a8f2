//! *Purpose*: what `squeue --json`, `sacct --json` and `sinfo --json` write.
//!
//! *Owns*: which version of Slurm's shapes these are: that of 23.11 (data parser 0.0.40).
//!
//! *Promises*: the fields are those of the routes of that version.
//!
//! *Not here*: the fields (`api::wire::slurm`), columns for people.

use std::collections::BTreeMap;

use serde_json::Value;

use super::owner::Owned;
use crate::api::wire::slurm::answer::answer;
use crate::api::wire::slurm::facts::Facts;
use crate::api::wire::slurm::jobs::Owner;
use crate::api::wire::slurm::machine::{Machine, node};
use crate::api::wire::slurm::version::{Version, field};
use crate::api::wire::slurm::{history, jobs as queue};
use crate::api::wire::v1::{Job, JobId, Step};
use crate::people;

const VERSION: Version = Version::V40;

fn owner(job: &Job) -> Owner {
    let facts = Facts(job);
    let (name, uid) = (facts.user(), facts.uid().parse().unwrap_or(0));
    let (group, gid) = people::primary_group(&name).unwrap_or_default();
    Owner { name, uid, group, gid: gid.into() }
}

fn written(command: &str, name: &'static str, list: Vec<Value>) -> String {
    let all = answer(VERSION, command, vec![field(name, list)], Default::default());
    format!("{all:#}\n")
}

/// The answer of `squeue --json`.
#[must_use]
pub fn jobs(jobs: &[Job]) -> String {
    let all = jobs.iter().map(|job| queue::job(VERSION, job, &owner(job)));
    written("squeue", "jobs", all.collect())
}

/// The answer of `sacct --json`.
#[must_use]
pub fn accounting(jobs: &[Job], steps: &BTreeMap<JobId, Vec<Step>>) -> String {
    let steps = |job: &Job| steps.get(&job.id).map_or(&[][..], |steps| &steps[..]);
    let all = jobs.iter().map(|job| history::job(VERSION, job, (&owner(job), steps(job))));
    written("sacct", "jobs", all.collect())
}

/// The answer of `sinfo --json`: the nodes, as that of 22.05 has them.
#[must_use]
pub fn nodes(machine: &Machine) -> String {
    written("sinfo", "nodes", vec![node(VERSION, machine)])
}
