//! *Purpose*: what `scontrol show` says of jobs, steps, the node, partitions and the settings.
//!
//! *Owns*: the records of `KEY=VALUE`.
//!
//! *Promises*: the keys that programs read are those of real Slurm, in its order; what is absent is
//! `(null)`, `Unknown` or `N/A`, as there.
//!
//! *Not here*: what is asked for (`slurm::scontrol`).

use super::help::LIKE;
use super::squeue::MIN_JOB_AGE_S;
use super::squeue::steps::Row as Step;
use crate::api::wire::slurm::facts::{CLUSTER, Facts, NULL, QOS};
use crate::api::wire::slurm::machine::Machine;
use crate::api::wire::slurm::words::{memory, moment, span};
use crate::api::wire::v1::{Job, Partition};
use crate::job::array_spec::ARRAY_INDEX_MAX;
use crate::people;
use crate::slurm::owner::Owned;

/// Lines of a record, each of words with blanks between.
type Lines = Vec<String>;

/// A record in lines, or in one.
fn record(lines: &Lines, in_one: bool) -> String {
    match in_one {
        true => format!("{} \n", lines.join(" ")),
        false => format!("{}\n\n", lines.join("\n   ")),
    }
}

/// A job.
#[must_use]
pub fn job(job: &Job, in_one: bool) -> String {
    let f = Facts(job);
    let uid = f.uid();
    let group = people::primary_group(&f.user());
    let group =
        group.map_or_else(|| "nobody(4294967294)".to_owned(), |(n, gid)| format!("{n}({gid})"));
    let array = job.array_job_id.map_or_else(String::new, |array| {
        format!(" ArrayJobId={array} ArrayTaskId={}", f.tasks().unwrap_or_default())
    });
    let eligible = moment(job.eligible_time.as_deref(), "Unknown");
    let eligible = if job.held { "Unknown".to_owned() } else { eligible };
    let requeue = u8::from(job.retry.is_some());
    let mut lines = vec![
        format!("JobId={}{array} JobName={}", job.id, job.name),
        format!("UserId={}({uid}) GroupId={group} MCS_label=N/A", f.user()),
        format!(
            "Priority={} Nice=0 Account={} QOS={QOS}",
            job.priority,
            Facts::or_null(Some(&job.account))
        ),
        format!(
            "JobState={} Reason={} Dependency={}",
            f.state(),
            f.reason(),
            Facts::or_null(job.dependency.as_deref())
        ),
        format!(
            "Requeue={requeue} Restarts={} BatchFlag=1 Reboot=0 ExitCode={}",
            job.restart_count,
            f.script_code()
        ),
        format!("RunTime={} TimeLimit={} TimeMin=N/A", f.run_time(), f.limit(span)),
        format!("SubmitTime={} EligibleTime={eligible}", moment(Some(&job.submit_time), "Unknown")),
        format!("AccrueTime={eligible}"),
        format!(
            "StartTime={} EndTime={} Deadline={}",
            f.start("Unknown"),
            f.end("Unknown"),
            moment(job.deadline.as_deref(), "N/A")
        ),
        match f.suspended() {
            Some((since, ran)) => {
                format!("SuspendTime={} SecsPreSuspend={ran}", moment(Some(since), "None"))
            }
            None => "SuspendTime=None SecsPreSuspend=0".to_owned(),
        },
        format!(
            "Partition={} AllocNode:Sid={}:N/A",
            job.partition,
            job.node.as_deref().unwrap_or("N/A")
        ),
        "ReqNodeList=(null) ExcNodeList=(null)".to_owned(),
        format!("NodeList={}", f.nodes()),
    ];
    lines.extend(job.node.as_ref().map(|node| format!("BatchHost={node}")));
    lines.extend(asked(job));
    lines.extend(files(job));
    record(&lines, in_one)
}

/// A step that runs.
#[must_use]
pub fn step(row: &Step, in_one: bool) -> String {
    let f = Facts(&row.job);
    let (cpus, tres, layout) = match row.number() {
        Some(_) => {
            let cpus = row.job.cpus;
            (cpus, format!("cpu={cpus},mem=0,node=1"), " Dist=Block")
        }
        None => (0, NULL.to_owned(), ""),
    };
    let lines = vec![
        format!(
            "StepId={} UserId={} StartTime={} TimeLimit=UNLIMITED",
            row.id(),
            f.uid(),
            f.start("Unknown")
        ),
        format!("State={} Partition={} NodeList={}", row.step.state, row.job.partition, f.nodes()),
        format!(
            "Nodes=1 CPUs={cpus} Tasks={} Name={} Network={NULL}",
            row.step.tasks, row.step.name
        ),
        format!("TRES={tres}"),
        format!("ResvPorts={NULL}"),
        format!("CPUFreqReq=Default{layout}"),
        format!("SrunHost:Pid={NULL}:0"),
    ];
    record(&lines, in_one)
}

/// What it asked for.
fn asked(job: &Job) -> Lines {
    let f = Facts(job);
    let of_node = job.memory_bytes.map_or_else(|| "0".to_owned(), |_| f.memory());
    vec![
        format!(
            "NumNodes=1 NumCPUs={} NumTasks={} CPUs/Task={} ReqB:S:C:T=0:0:*:*",
            job.cpus,
            f.tasks_count(),
            f.cpus_per_task()
        ),
        format!("TRES={}", f.tres()),
        "Socks/Node=* NtasksPerN:B:S:C=0:0:*:* CoreSpec=*".to_owned(),
        format!("MinCPUsNode={} MinMemoryNode={of_node} MinTmpDiskNode=0", f.cpus_per_task()),
        "Features=(null) DelayBoot=00:00:00".to_owned(),
        format!("OverSubscribe=OK Contiguous=0 Licenses={} Network=(null)", f.licenses()),
    ]
}

/// Where it runs, and where its output goes.
fn files(job: &Job) -> Lines {
    let f = Facts(job);
    let command = Facts::or_null(job.command.as_deref());
    let mut lines = vec![format!("Command={command}"), format!("WorkDir={}", f.folder())];
    lines.extend(job.comment.as_ref().map(|comment| format!("Comment={comment}")));
    lines.extend([
        format!("StdErr={}", Facts::file(job.stderr_path.as_deref())),
        format!("StdIn={}", Facts::file(job.standard_input.as_deref())),
        format!("StdOut={}", Facts::file(job.stdout_path.as_deref())),
        "Power=".to_owned(),
    ]);
    let gres = f.gres();
    lines.extend((gres != "N/A").then(|| format!("TresPerNode={gres}")));
    if let Some(wanted) = &job.mail_type {
        let user = job.mail_user.clone().unwrap_or_else(|| f.user());
        lines.push(format!("MailUser={user} MailType={wanted}"));
    }
    lines
}

/// The one node.
#[must_use]
pub fn node(machine: &Machine, in_one: bool) -> String {
    let own = &machine.resources;
    let (node, total, used) = (&own.node, own.total_cpus, own.used_cpus);
    let memory_mib = machine.memory_mib();
    let partitions: Vec<&str> = machine.partitions.iter().map(|one| one.name.as_str()).collect();
    let lines = vec![
        format!("NodeName={node} Arch={} CoresPerSocket=1", std::env::consts::ARCH),
        format!("CPUAlloc={used} CPUEfctv={total} CPUTot={total} CPULoad=N/A"),
        "AvailableFeatures=(null)".to_owned(),
        "ActiveFeatures=(null)".to_owned(),
        format!("Gres={}", machine.gres()),
        format!("NodeAddr={node} NodeHostName={node} Version={LIKE}"),
        format!(
            "RealMemory={memory_mib} AllocMem={} FreeMem={} Sockets={total} Boards=1",
            own.used_memory_bytes >> 20,
            own.available_memory_bytes.map_or_else(|| "N/A".to_owned(), |b| (b >> 20).to_string())
        ),
        format!(
            "State={} ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A",
            machine.state().to_ascii_uppercase()
        ),
        format!("Partitions={}", partitions.join(",")),
        format!("CfgTRES=cpu={total},mem={memory_mib}M,billing={total}"),
        format!("AllocTRES={}", if used == 0 { String::new() } else { format!("cpu={used}") }),
    ];
    record(&lines, in_one)
}

/// A partition.
#[must_use]
pub fn partition(machine: &Machine, own: &Partition, in_one: bool) -> String {
    let yes_or_no = if own.default { "YES" } else { "NO" };
    let unlimited = |most: Option<String>| most.unwrap_or_else(|| "UNLIMITED".to_owned());
    let preempt = if own.preempts.is_empty() { "OFF" } else { "REQUEUE" };
    let default = own.default_time_limit_s.map_or("NONE".to_owned(), |s| span(i64::from(s)));
    let total = own.total_cpus;
    let lines = vec![
        format!("PartitionName={}", own.name),
        "AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL".to_owned(),
        format!("AllocNodes=ALL Default={yes_or_no} QoS=N/A"),
        format!("DefaultTime={default} DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO"),
        format!(
            "MaxNodes=1 MaxTime={} MinNodes=0 LLN=NO MaxCPUsPerNode={}",
            Machine::limit(own, "UNLIMITED", span),
            unlimited(own.max_cpus_per_job.map(|most| most.to_string()))
        ),
        format!("Nodes={}", machine.resources.node),
        format!(
            "PriorityJobFactor={} PriorityTier=1 RootOnly=NO ReqResv=NO OverSubscribe=NO",
            own.priority_weight
        ),
        format!("OverTimeLimit=NONE PreemptMode={preempt}"),
        format!(
            "State={} TotalCPUs={total} TotalNodes=1 SelectTypeParameters=NONE",
            own.state.to_ascii_uppercase()
        ),
        "JobDefaults=(null)".to_owned(),
        format!(
            "DefMemPerNode=UNLIMITED MaxMemPerNode={}",
            unlimited(own.max_memory_bytes_per_job.map(memory))
        ),
        format!("TRES=cpu={total},mem={}M,node=1,billing={total}", machine.memory_mib()),
    ];
    record(&lines, in_one)
}

/// The settings that programs ask for.
#[must_use]
pub fn config(node: &str) -> String {
    let settings = [
        ("ClusterName", CLUSTER.to_owned()),
        ("MaxArraySize", (u64::from(ARRAY_INDEX_MAX) + 1).to_string()),
        ("MinJobAge", format!("{MIN_JOB_AGE_S} sec")),
        ("SlurmctldHost[0]", node.to_owned()),
        ("SlurmctldParameters", NULL.to_owned()),
        ("SLURM_VERSION", LIKE.to_owned()),
    ];
    let line = |(name, value): &(&str, String)| format!("{name:<23} = {value}\n");
    let lines: String = settings.iter().map(line).collect();
    let now = crate::api::wire::slurm::words::local(crate::clock::now());
    format!("Configuration data as of {now}\n{lines}\nSlurmctld(primary) at {node} is UP\n")
}
