//! *Purpose*: a job as the queue of Slurm has it: `GET /slurm/…/jobs`, `squeue --json`.
//!
//! *Owns*: [`job`], every field of it; [`Owner`].
//!
//! *Promises*: a field that a version has is there, in that version's type; what this system does
//! not have is as Slurm has what is not set, never invented.
//!
//! *Not here*: how each version writes a fact (`slurm::version`), the accounting
//! (`slurm::history`).

use serde_json::Value;

use super::facts::{CLUSTER, Facts, NULL, QOS};
use super::version::Version::{V38, V39, V40, V41, V42};
use super::version::{Fact, Field, Version, field};
use super::words::epoch;
use crate::api::wire::job::Job;

/// Whose a job is, as the system knows him.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// His name.
    pub name: String,
    /// His number.
    pub uid: i64,
    /// The name of his first group.
    pub group: String,
    /// Its number.
    pub gid: i64,
}

/// A time limit, rounded up to minutes.
pub(super) fn minutes(seconds: Option<i64>) -> Fact {
    Fact::Limit(seconds.map(|seconds| (seconds + 59) / 60))
}

/// Nothing where Slurm writes nothing.
pub(super) fn or_empty(text: &str) -> String {
    if text == NULL || text == "N/A" { String::new() } else { text.to_owned() }
}

fn text(value: Option<&String>) -> Fact {
    value.cloned().unwrap_or_default().into()
}

fn number(value: impl Into<i64>) -> Fact {
    Fact::Number(Some(value.into()))
}

fn time(value: Option<&String>) -> Fact {
    Fact::Time(epoch(value.map(String::as_str)))
}

fn none() -> Value {
    Value::Array(Vec::new())
}

/// A job.
#[must_use]
pub fn job(version: Version, job: &Job, owner: &Owner) -> Value {
    let mut all = named(job, owner);
    all.extend(timed(job));
    all.extend(sized(job));
    all.extend(resources(job));
    all.extend(unset_texts());
    all.extend(unset_numbers());
    version.object(all)
}

/// What it is called, whose it is, how it stands.
fn named(job: &Job, owner: &Owner) -> Vec<Field> {
    let facts = Facts(job);
    let at_a_time = job.array_tasks.as_deref().and_then(|left| left.split_once('%'));
    let at_a_time = at_a_time.and_then(|(_, most)| most.parse().ok()).unwrap_or(0);
    let exit = Fact::Exit(facts.script_code());
    let mail = job.mail_type.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect();
    vec![
        field("account", job.account.clone()),
        field("allocating_node", facts.nodes()).from(V39),
        field("array_job_id", number(job.array_job_id.map_or(0, |id| id.0))),
        field("array_task_id", Fact::Number(job.array_task_id.map(i64::from))),
        field("array_max_tasks", Fact::Number(Some(at_a_time))),
        field("array_task_string", text(job.array_tasks.as_ref())),
        field("batch_flag", true),
        field("batch_host", facts.nodes()),
        field("cluster", CLUSTER),
        field("command", text(job.command.as_ref())),
        field("comment", text(job.comment.as_ref())),
        field("dependency", text(job.dependency.as_ref())),
        field("derived_exit_code", exit.clone()),
        field("exit_code", exit),
        field("flags", none()),
        field("group_id", owner.gid),
        field("group_name", owner.group.clone()),
        field("hold", job.held).from(V39),
        field("job_id", job.id.0),
        field("job_state", Fact::State(facts.state())),
        field("mail_type", Fact::Words(mail)).from(V39),
        field("mail_user", text(job.mail_user.as_ref())).from(V39),
        field("name", job.name.clone()),
        field("partition", job.partition.clone()),
        field("priority", number(job.priority)),
        field("qos", QOS),
        field("requeue", job.retry.is_some()),
        field("restart_cnt", job.restart_count),
        field("standard_error", text(job.stderr_path.as_ref())),
        field("standard_input", text(job.standard_input.as_ref())),
        field("standard_output", text(job.stdout_path.as_ref())),
        field("state_description", text(job.state_detail.as_ref())),
        field("state_reason", facts.reason()),
        field("user_id", owner.uid),
        field("user_name", owner.name.clone()),
        field("current_working_directory", text(job.working_directory.as_ref())),
    ]
}

/// Its times.
fn timed(job: &Job) -> Vec<Field> {
    let facts = Facts(job);
    let unknown = || Fact::Time(0);
    vec![
        field("accrue_time", time(job.eligible_time.as_ref())),
        field("deadline", time(job.deadline.as_ref())),
        field("eligible_time", time(job.eligible_time.as_ref())),
        field("end_time", Fact::Time(facts.end_s())),
        field("last_sched_evaluation", unknown()),
        field("preempt_time", unknown()),
        field("preemptable_time", unknown()).from(V39),
        field("pre_sus_time", Fact::Time(facts.suspended().map_or(0, |(_, ran)| ran))),
        field("resize_time", unknown()),
        field("start_time", Fact::Time(facts.start_s())),
        field("submit_time", Fact::Time(epoch(Some(&job.submit_time)))),
        field("suspend_time", Fact::Time(epoch(job.suspend_time.as_deref()))),
        field("time_limit", minutes(job.time_limit_s)),
        field("time_minimum", number(0)),
    ]
}

/// What it asks for and has.
fn sized(job: &Job) -> Vec<Field> {
    let facts = Facts(job);
    let gres = or_empty(&facts.gres());
    let memory = job.memory_bytes.map(|bytes| bytes >> 20);
    let has = job.allocation.is_some();
    // Text in the document of 0.0.38, and null where nobody said.
    let old_cpus = job.cpus_per_task.map(|cpus| cpus.to_string());
    vec![
        field("billable_tres", Fact::Number(has.then_some(job.cpus.into()))),
        field("cpus", number(job.cpus)),
        field("cpus_per_task", old_cpus).until(V38),
        field("cpus_per_task", number(facts.cpus_per_task())).from(V39),
        field("licenses", or_empty(&facts.licenses())),
        field("memory_per_cpu", Fact::Number(None)),
        field("memory_per_node", Fact::Number(memory)),
        field("minimum_cpus_per_node", number(facts.cpus_per_task())),
        field("node_count", number(1)),
        field("nodes", facts.nodes()),
        field("tasks", number(facts.tasks_count())),
        field("tasks_per_node", number(0)),
        field("tres_alloc_str", if has { facts.tres() } else { String::new() }),
        field("tres_per_node", gres),
        field("tres_req_str", facts.tres()),
    ]
}

/// Its node and what it has there; before it has one nothing, and newer versions no field either.
fn resources(job: &Job) -> Vec<Field> {
    const NAME: &str = "job_resources";
    if job.allocation.is_none() {
        return vec![field(NAME, Fact::Object(Vec::new())).until(V40)];
    }
    let node = Facts(job).nodes();
    let of_node = vec![
        field("nodename", node.clone()),
        field("cpus_used", job.cpus),
        field("memory_used", 0),
        field("memory_allocated", job.memory_bytes.map_or(0, |bytes| bytes >> 20)),
    ];
    let nodes = vec![
        field("count", 1),
        field("select_type", none()),
        field("list", node.clone()),
        field("whole", false),
        field("allocation", none()),
    ];
    let all = vec![
        field("nodes", node).until(V40),
        field("allocated_cpus", job.cpus).until(V40),
        field("allocated_hosts", 1).until(V40),
        field("allocated_nodes", Fact::All(vec![of_node])).until(V40),
        field("select_type", none()).from(V41),
        field("nodes", Fact::Object(nodes)).from(V41),
        field("cpus", job.cpus).from(V41),
        field("threads_per_core", Fact::Number(Some(1))).from(V41),
    ];
    vec![field(NAME, Fact::Object(all))]
}

/// Texts and lists that are never set here.
fn unset_texts() -> Vec<Field> {
    const OF_ALL: [&str; 25] = [
        "admin_comment",
        "batch_features",
        "burst_buffer",
        "burst_buffer_state",
        "cluster_features",
        "container",
        "cpus_per_tres",
        "excluded_nodes",
        "features",
        "federation_origin",
        "federation_siblings_active",
        "federation_siblings_viable",
        "het_job_id_set",
        "mcs_label",
        "memory_per_tres",
        "prefer",
        "required_nodes",
        "resv_name",
        "system_comment",
        "tres_bind",
        "tres_freq",
        "tres_per_job",
        "tres_per_socket",
        "tres_per_task",
        "wckey",
    ];
    const LATER: [&str; 7] = [
        "container_id",
        "cron",
        "extra",
        "failed_node",
        "network",
        "scheduled_nodes",
        "selinux_context",
    ];
    let mut all: Vec<Field> = OF_ALL.iter().map(|name| field(name, "")).collect();
    all.extend(LATER.iter().map(|name| field(name, "").from(V39)));
    all.extend([
        field("exclusive", none()).from(V39).until(V41),
        field("gres_detail", none()),
        field("job_size_str", none()).from(V39),
        field("power", Fact::Object(vec![field("flags", none())])).from(V39),
        field("priority_by_partition", none()).from(V42),
        field("profile", Value::Null).until(V38),
        field("profile", none()).from(V39),
        field("shared", Value::Null).until(V38),
        field("shared", none()).from(V39),
        field("show_flags", none()).until(V41),
    ]);
    all
}

/// Numbers and switches that are never set here.
fn unset_numbers() -> Vec<Field> {
    const UNSET: [&str; 9] = [
        "cores_per_socket",
        "cpu_frequency_governor",
        "cpu_frequency_maximum",
        "cpu_frequency_minimum",
        "sockets_per_node",
        "tasks_per_core",
        "tasks_per_socket",
        "threads_per_core",
        "tasks_per_tres",
    ];
    const NOUGHT: [&str; 7] = [
        "delay_boot",
        "het_job_id",
        "het_job_offset",
        "max_cpus",
        "max_nodes",
        "minimum_tmp_disk_per_node",
        "tasks_per_board",
    ];
    let since = |name: &str| if name == "tasks_per_tres" { V39 } else { V38 };
    let unset = UNSET.iter().map(|name| field(name, Fact::Number(None)).from(since(name)));
    let mut all: Vec<Field> = unset.collect();
    all.extend(NOUGHT.iter().map(|name| field(name, number(0))));
    all.extend(["core_spec", "thread_spec"].map(|name| field(name, Value::Null).until(V38)));
    all.extend(["core_spec", "thread_spec"].map(|name| field(name, 0).from(V39)));
    all.extend([
        field("association_id", 0),
        field("contiguous", false),
        field("maximum_switch_wait_time", 0).from(V39),
        field("minimum_switches", 0).from(V39).until(V41),
        field("nice", Value::Null).until(V38),
        field("nice", 0).from(V39),
        field("oversubscribe", false).from(V39).until(V41),
        field("reboot", false),
        field("required_switches", 0).from(V42),
        field("sockets_per_board", 0),
    ]);
    all
}
