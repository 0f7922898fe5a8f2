//! *Purpose*: a job as the accounting of Slurm has it: `GET /slurmdb/…/jobs`, `sacct --json`.
//!
//! *Owns*: [`job`], its steps among it.
//!
//! *Promises*: a field that a version has is there, in that version's type; what this system does
//! not have is as Slurm has what is not set, never invented.
//!
//! *Not here*: how each version writes a fact (`slurm::version`), the queue (`slurm::jobs`).

use serde_json::{Value, json};

use super::facts::{CLUSTER, Facts, QOS};
use super::jobs::{Owner, minutes, or_empty};
use super::steps::{Shown, of_job};
use super::version::Version::{V38, V39, V40, V41, V42};
use super::version::{Fact, Field, Version, field};
use super::words::epoch;
use crate::api::wire::job::Job;
use crate::api::wire::step::Step;

/// A job, and the steps that it told of.
#[must_use]
pub fn job(version: Version, job: &Job, (owner, steps): (&Owner, &[Step])) -> Value {
    let facts = Facts(job);
    let comment = |text: Option<&String>| text.map_or_else(String::new, Clone::clone);
    let comment = vec![
        field("administrator", ""),
        field("job", comment(job.comment.as_ref())),
        field("system", ""),
    ];
    let reservation = vec![field("id", 0), field("name", 0).until(V39)];
    let steps = of_job(job, steps).iter().map(|(job, step)| of_step(job, step)).collect();
    let mut all = vec![
        field("account", job.account.clone()),
        field("comment", Fact::Object(comment)),
        field("allocation_nodes", u8::from(job.allocation.is_some())),
        field("array", array(job)),
        field("association", association(job, owner)),
        field("cluster", CLUSTER),
        field("constraints", ""),
        field("container", ""),
        field("derived_exit_code", Fact::EndedWith(facts.exit_code())),
        field("exit_code", Fact::EndedWith(facts.exit_code())),
        field("failed_node", "").from(V39),
        field("flags", json!([])),
        field("group", owner.group.clone()),
        field(
            "het",
            Fact::Object(vec![field("job_id", 0), field("job_offset", Fact::Number(None))]),
        ),
        field("hold", job.held).from(V40),
        field("job_id", job.id.0),
        field("kill_request_user", Value::Null).until(V38),
        field("kill_request_user", "").from(V39),
        field("licenses", or_empty(&facts.licenses())).from(V40),
        field("mcs", Fact::Object(vec![field("label", "")])),
        field("name", job.name.clone()),
        field("nodes", facts.nodes()),
        field("partition", job.partition.clone()),
        field("priority", Fact::Number(Some(job.priority))),
        field("qos", QOS),
        field("required", required(job)),
        field("reservation", Fact::Object(reservation)),
        field("restart_cnt", job.restart_count).from(V40),
        field("state", state(job)),
        field("steps", Fact::All(steps)),
        field("submit_line", "").from(V39),
        field("time", times(job)),
        field("tres", tres(job)),
        field("user", owner.name.clone()),
    ];
    all.push(field("working_directory", job.working_directory.clone().unwrap_or_default()));
    let files = [
        ("stdout", job.stdout_path.as_ref()),
        ("stdout_expanded", job.stdout_path.as_ref()),
        ("stderr", job.stderr_path.as_ref()),
        ("stderr_expanded", job.stderr_path.as_ref()),
        ("stdin", job.standard_input.as_ref()),
        ("stdin_expanded", job.standard_input.as_ref()),
    ];
    let file = |(name, path): (&'static str, Option<&String>)| {
        field(name, path.cloned().unwrap_or_default()).from(V41)
    };
    all.extend(files.map(file));
    version.object(all)
}

fn array(job: &Job) -> Fact {
    let running = Fact::Object(vec![field("tasks", 0)]);
    let limits = Fact::Object(vec![field("max", Fact::Object(vec![field("running", running)]))]);
    Fact::Object(vec![
        field("job_id", job.array_job_id.map_or(0, |id| id.0)),
        field("limits", limits),
        field("task", job.array_tasks.clone()).until(V38),
        field("task", job.array_tasks.clone().unwrap_or_default()).from(V39),
        field("task_id", Fact::Number(job.array_task_id.map(i64::from))),
    ])
}

fn association(job: &Job, owner: &Owner) -> Fact {
    Fact::Object(vec![
        field("account", job.account.clone()),
        field("cluster", CLUSTER),
        field("partition", ""),
        field("user", owner.name.clone()),
    ])
}

fn required(job: &Job) -> Fact {
    let memory = job.memory_bytes.map(|bytes| bytes >> 20);
    Fact::Object(vec![
        field("CPUs", job.cpus),
        field("memory", memory.unwrap_or(0)).until(V39),
        field("memory_per_cpu", Fact::Number(None)).from(V39),
        field("memory_per_node", Fact::Number(memory)).from(V39),
    ])
}

fn state(job: &Job) -> Fact {
    let current = Fact::State(Facts(job).state());
    Fact::Object(vec![field("current", current), field("reason", Facts(job).reason())])
}

/// Seconds and microseconds of CPU time.
fn cpu(seconds: f64) -> Fact {
    let parts = [("seconds", seconds.trunc()), ("microseconds", seconds.fract() * 1e6)];
    Fact::Object(parts.map(|(name, value)| field(name, value as i64)).to_vec())
}

/// CPU time that was used: in the kernel, in all, by the programs.
fn used(job: &Job) -> [Field; 3] {
    let (user, system) = job.usage.map_or((0.0, 0.0), |all| (all.user_cpu_s, all.system_cpu_s));
    [field("system", cpu(system)), field("total", cpu(user + system)), field("user", cpu(user))]
}

fn times(job: &Job) -> Fact {
    let mut all = vec![
        field("elapsed", job.elapsed_s),
        field("eligible", epoch(job.eligible_time.as_deref())),
        field("end", epoch(job.end_time.as_deref())),
        field("limit", minutes(job.time_limit_s)),
        field("start", epoch(job.start_time.as_deref())),
        field("submission", epoch(Some(&job.submit_time))),
        field("suspended", job.suspended_s),
        field("planned", Fact::Number(Some(waited(job)))).from(V42),
    ];
    all.extend(used(job));
    Fact::Object(all)
}

/// Seconds from where it could start to where it did.
fn waited(job: &Job) -> i64 {
    let started = job.start_time.as_deref().map_or(0, |start| epoch(Some(start)));
    (started - epoch(job.eligible_time.as_deref())).max(0)
}

/// CPUs, memory in MiB, the node and the rest.
fn tres(job: &Job) -> Fact {
    let counted = |kind: &str, name: &str, id: i64, count: i64| {
        vec![field("type", kind), field("name", name), field("id", id), field("count", count)]
    };
    let mut all = vec![counted("cpu", "", 1, job.cpus.into())];
    all.extend(job.memory_bytes.map(|bytes| counted("mem", "", 2, bytes >> 20)));
    all.push(counted("node", "", 4, 1));
    // Slurm numbers what else there is from 1001 on.
    for (id, (name, count)) in (1001..).zip(&job.resources) {
        let (kind, name) = name.split_once('/').unwrap_or(("gres", name));
        all.push(counted(kind, name, id, i64::try_from(*count).unwrap_or(i64::MAX)));
    }
    let allocated = if job.allocation.is_some() { all.clone() } else { Vec::new() };
    Fact::Object(vec![field("allocated", Fact::All(allocated)), field("requested", Fact::All(all))])
}

/// A step, as the list of a job's steps has it.
fn of_step(job: &Job, step: &Shown) -> Vec<Field> {
    let node = Facts(job).nodes();
    let nodes = vec![field("list", json!([node])), field("count", 1), field("range", node.clone())];
    let mut time = vec![
        field("elapsed", job.elapsed_s),
        field("end", Fact::Time(epoch(job.end_time.as_deref()))),
        field("start", Fact::Time(epoch(job.start_time.as_deref()))),
        field("suspended", 0),
    ];
    time.extend(used(job));
    let own = vec![
        field("job_id", job.id.0).until(V39),
        field("id", step.suffix.clone()).until(V39),
        field("id", format!("{}.{}", job.id, step.suffix)).from(V40),
        field("name", step.name.clone()),
    ];
    vec![
        field("exit_code", Fact::EndedWith(step.exit.clone())),
        field("nodes", Fact::Object(nodes)),
        field("pid", Value::Null).until(V38),
        field("pid", "").from(V39),
        field("state", Fact::State(step.state)),
        field("step", Fact::Object(own)),
        field("task", Fact::Object(vec![field("distribution", "Unknown")])),
        field("tasks", Fact::Object(vec![field("count", step.tasks)])),
        field("time", Fact::Object(time)),
    ]
}
