//! *Purpose*: jobs as `squeue --json` and `sacct --json` write them.
//!
//! *Owns*: the fields, in the shapes of Slurm 23.11 (data parser 0.0.40).
//!
//! *Promises*: a number that may be missing says so itself; what Downbeat does not have is left
//! out, not invented.
//!
//! *Not here*: columns for people.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::facts::{CLUSTER, Facts, QOS};
use super::help::LIKE;
use super::words::epoch;
use crate::api::wire::v1::{Job, JobId, Step};

/// A number, or none.
fn number(value: Option<i64>) -> Value {
    json!({"set": value.is_some(), "infinite": false, "number": value.unwrap_or(0)})
}

/// A time limit in minutes; none is infinite.
fn minutes(seconds: Option<i64>) -> Value {
    let number = seconds.map_or(0, |seconds| (seconds + 59) / 60);
    json!({"set": seconds.is_some(), "infinite": seconds.is_none(), "number": number})
}

fn exit(code: &str) -> Value {
    let (code, signal) = code.split_once(':').unwrap_or((code, "0"));
    let (code, signal) = (code.parse::<i64>().unwrap_or(0), signal.parse::<i64>().unwrap_or(0));
    let status = match (code, signal) {
        (0, 0) => "SUCCESS",
        (_, 0) => "ERROR",
        _ => "SIGNALED",
    };
    let name = crate::job::signal::name_of(signal).unwrap_or_default();
    json!({
        "status": [status],
        "return_code": number(Some(code)),
        "signal": {"id": number(Some(signal).filter(|n| *n > 0)), "name": name},
    })
}

fn meta(command: &str) -> Value {
    let of = |n: usize| LIKE.split('.').nth(n).unwrap_or("0").to_owned();
    json!({
        "plugin": {"type": "openapi/downbeat", "data_parser": "data_parser/v0.0.40"},
        "command": command,
        "Slurm": {
            "version": {"major": of(0), "minor": of(1), "micro": of(2)},
            "release": format!("Downbeat {}", env!("CARGO_PKG_VERSION")),
        },
    })
}

fn of_queue(job: &Job) -> Value {
    let facts = Facts(job);
    let mut value = json!({
        "account": job.account,
        "array_job_id": number(Some(job.array_job_id.map_or(0, |id| id.0))),
        "array_task_id": number(job.array_task_id.map(i64::from)),
        "array_task_string": job.array_tasks.clone().unwrap_or_default(),
        "batch_flag": true,
        "batch_host": facts.nodes(),
        "cluster": CLUSTER,
        "comment": job.comment.clone().unwrap_or_default(),
        "cpus": number(Some(job.cpus.into())),
        "cpus_per_task": number(Some(facts.cpus_per_task().into())),
        "current_working_directory": job.working_directory.clone().unwrap_or_default(),
        "dependency": job.dependency.clone().unwrap_or_default(),
        "eligible_time": number(Some(epoch(job.eligible_time.as_deref()))),
        "end_time": number(Some(epoch(job.end_time.as_deref()))),
        "exit_code": exit(&facts.script_code()),
        "hold": job.held,
        "job_id": job.id.0,
        "job_state": [job.state.word()],
        "licenses": if facts.licenses() == "(null)" { String::new() } else { facts.licenses() },
        "name": job.name,
        "node_count": number(Some(1)),
        "nodes": facts.nodes(),
        "partition": job.partition,
        "priority": number(Some(job.priority)),
        "qos": QOS,
        "restart_cnt": job.restart_count,
        "standard_error": job.stderr_path.clone().unwrap_or_default(),
        "standard_input": job.standard_input.clone().unwrap_or_default(),
        "standard_output": job.stdout_path.clone().unwrap_or_default(),
        "start_time": number(Some(epoch(job.start_time.as_deref()))),
        "state_reason": facts.reason(),
        "submit_time": number(Some(epoch(Some(&job.submit_time)))),
    });
    let rest = json!({
        "tasks": number(Some(facts.tasks_count().into())),
        "time_limit": minutes(job.time_limit_s),
        "tres_alloc_str": if job.allocation.is_some() { facts.tres() } else { String::new() },
        "tres_req_str": facts.tres(),
        "user_id": facts.uid().parse::<i64>().unwrap_or(0),
        "user_name": facts.user(),
    });
    if let (Value::Object(all), Value::Object(rest)) = (&mut value, rest) {
        all.extend(rest);
    }
    value
}

/// The answer of `squeue --json`.
#[must_use]
pub fn jobs(jobs: &[Job]) -> String {
    let jobs: Vec<Value> = jobs.iter().map(of_queue).collect();
    let all = json!({"jobs": jobs, "meta": meta("squeue"), "errors": [], "warnings": []});
    format!("{all:#}\n")
}

/// A step, as the list of a job's steps has it.
fn of_step(job: &Job, step: &Step) -> Value {
    json!({
        "exit_code": exit(step.exit_code.as_deref().unwrap_or("0:0")),
        "nodes": {"count": 1, "range": Facts(job).nodes()},
        "step": {"id": format!("{}.{}", job.id, step.step), "name": step.name},
        "tasks": {"count": step.tasks},
        "time": {
            "start": number(Some(epoch(Some(&step.start_time)))),
            "end": number(Some(epoch(step.end_time.as_deref()))),
        },
    })
}

fn of_accounting(job: &Job, steps: &[Step]) -> Value {
    let own = steps.iter().filter(|step| step.attempt == job.attempt);
    let steps: Vec<Value> = own.map(|step| of_step(job, step)).collect();
    let facts = Facts(job);
    let counted =
        |kind: &str, name: &str, count: i64| json!({"type": kind, "name": name, "count": count});
    let mut tres = vec![counted("cpu", "", job.cpus.into()), counted("node", "", 1)];
    tres.extend(job.memory_bytes.map(|bytes| counted("mem", "", bytes >> 20)));
    for (name, count) in &job.resources {
        tres.push(counted("gres", name, i64::try_from(*count).unwrap_or(i64::MAX)));
    }
    let allocated = if job.allocation.is_some() { tres.clone() } else { Vec::new() };
    json!({
        "account": job.account,
        "array": {
            "job_id": job.array_job_id.map_or(0, |id| id.0),
            "task_id": number(job.array_task_id.map(i64::from)),
            "task": job.array_tasks.clone().unwrap_or_default(),
        },
        "cluster": CLUSTER,
        "comment": {"job": job.comment.clone().unwrap_or_default()},
        "derived_exit_code": exit(&facts.exit_code()),
        "exit_code": exit(&facts.exit_code()),
        "job_id": job.id.0,
        "name": job.name,
        "nodes": facts.nodes(),
        "partition": job.partition,
        "qos": QOS,
        "required": {
            "CPUs": job.cpus,
            "memory_per_node": number(job.memory_bytes.map(|bytes| bytes >> 20)),
        },
        "restart_cnt": job.restart_count,
        "state": {"current": [job.state.word()], "reason": facts.reason()},
        "steps": steps,
        "time": {
            "elapsed": job.elapsed_s,
            "eligible": epoch(job.eligible_time.as_deref()),
            "end": epoch(job.end_time.as_deref()),
            "limit": minutes(job.time_limit_s),
            "start": epoch(job.start_time.as_deref()),
            "submission": epoch(Some(&job.submit_time)),
        },
        "tres": {"allocated": allocated, "requested": tres},
        "user": facts.user(),
        "working_directory": job.working_directory.clone().unwrap_or_default(),
    })
}

/// The answer of `sacct --json`.
#[must_use]
pub fn accounting(jobs: &[Job], steps: &BTreeMap<JobId, Vec<Step>>) -> String {
    let steps = |job: &Job| steps.get(&job.id).map_or(&[][..], |steps| &steps[..]);
    let jobs: Vec<Value> = jobs.iter().map(|job| of_accounting(job, steps(job))).collect();
    let all = json!({"jobs": jobs, "meta": meta("sacct"), "errors": [], "warnings": []});
    format!("{all:#}\n")
}
