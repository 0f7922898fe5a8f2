//! *Purpose*: what a script is told by its variables.
//!
//! *Owns*: the one table of them, as a batch step of Slurm has it.
//!
//! *Promises*: what another job was told never reaches this one, though it was submitted from
//! there; nothing of the server's environment beyond what a site lets through does.
//!
//! *Not here*: GPUs (`devices::visible`), `DOWNBEAT_KEY` and `TMPDIR` (`engine`).
//!
//! Source: sbatch(1), "OUTPUT ENVIRONMENT VARIABLES". This server is one node, and the script is
//! the first and only process that it starts, so it is process 0 of node 0.

use std::collections::BTreeMap;
use std::path::Path;

use super::owners::RunsAs;
use super::site::{OF_THE_PLACE, OrderSite};
use crate::clock;
use crate::engine::Key;
use crate::job::array_spec::ArraySpec;
use crate::job::ids::CpuId;
use crate::store::record::{JobRecord, ScriptRecord};
use crate::time::SECOND_US;

/// Variables of another job: whatever begins so is not passed on.
const OF_ANOTHER_JOB: [&str; 17] = [
    "SLURMD_",
    "SLURM_ARRAY_",
    "SLURM_CLUSTER_",
    "SLURM_CPUS_",
    "SLURM_GTIDS",
    "SLURM_JOB",
    "SLURM_LOCALID",
    "SLURM_MEM_",
    "SLURM_NNODES",
    "SLURM_NODE",
    "SLURM_NPROCS",
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "SLURM_RESTART_",
    "SLURM_STEP",
    "SLURM_SUBMIT_",
    "SLURM_TASK",
];

/// How launchers of MPI start processes where no `srun` does it: by themselves, on this machine.
/// Whoever sets them otherwise has that.
const LAUNCHERS: [(&str, &str); 5] = [
    // MPICH, and its successor in Intel's library.
    ("HYDRA_LAUNCHER", "fork"),
    ("I_MPI_HYDRA_BOOTSTRAP", "fork"),
    // Open MPI 4 would call srun as soon as it sees a job of Slurm; 5 has the same under a
    // new name.
    ("OMPI_MCA_plm", "^slurm"),
    ("PRTE_MCA_plm", "^slurm"),
    // A job is pinned to its CPUs; their numbers are not those that it would bind to.
    ("OMPI_MCA_hwloc_base_binding_policy", "none"),
];

/// What of a job its script is told.
pub(super) struct Told<'a> {
    pub(super) key: &'a Key,
    pub(super) job: &'a JobRecord,
    pub(super) script: &'a ScriptRecord,
    pub(super) cpus: &'a [CpuId],
    pub(super) array: Option<ArraySpec>,
    pub(super) working_directory: &'a Path,
    pub(super) limit_s: Option<u32>,
    /// As whom it runs, where that is not the server's own user.
    pub(super) owner: Option<&'a RunsAs>,
}

/// The environment of a script, without GPUs.
pub(super) fn environment(site: &OrderSite, told: &Told<'_>) -> BTreeMap<String, String> {
    let mut vars = inherited(site, told.owner);
    let submitted = told.script.environment.iter();
    let is_of_another = |name: &str| OF_ANOTHER_JOB.iter().any(|begin| name.starts_with(begin));
    let submitted = submitted.filter(|(name, _)| !is_of_another(name));
    vars.extend(submitted.map(|(name, value)| (name.clone(), value.clone())));
    let each = told.job.spec.tasks.cpus_of_each(count_of(told.cpus)).to_string();
    let unless_set = LAUNCHERS.into_iter().chain([("OMP_NUM_THREADS", &*each)]);
    for (name, value) in unless_set {
        vars.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    vars.extend(table(site, told).into_iter().map(|(name, value)| (name.to_owned(), value)));
    vars
}

/// What a script has before all else.
fn inherited(site: &OrderSite, owner: Option<&RunsAs>) -> BTreeMap<String, String> {
    let Some(owner) = owner else { return site.inherited.clone() };
    let of_place = |name: &&str| site.inherited.contains_key(*name);
    let place = OF_THE_PLACE.iter().filter(|name| of_place(name));
    let place = place.map(|name| ((*name).to_owned(), site.inherited[*name].clone()));
    let name = || owner.name.clone();
    let own = [
        ("PATH", owner.path.clone()),
        ("HOME", owner.home.display().to_string()),
        ("USER", name()),
        ("LOGNAME", name()),
        ("SHELL", owner.shell.display().to_string()),
    ];
    place.chain(own.map(|(name, value)| (name.to_owned(), value))).collect()
}

fn count_of(cpus: &[CpuId]) -> u32 {
    u32::try_from(cpus.len()).unwrap_or(u32::MAX)
}

/// Every variable that a job has whoever submitted it.
fn table(site: &OrderSite, told: &Told<'_>) -> Vec<(&'static str, String)> {
    let Told { key, job, cpus, .. } = told;
    let (id, count, tasks) = (job.id.to_string(), count_of(cpus), job.spec.tasks);
    let invocation = &job.spec.invocation;
    let submit_directory = invocation.submit_directory.clone();
    let submit_directory =
        submit_directory.unwrap_or_else(|| told.working_directory.display().to_string());
    let cpu_ids: Vec<String> = cpus.iter().map(ToString::to_string).collect();
    let start = clock::now().0.div_euclid(SECOND_US);
    let (one, zero) = ("1".to_owned(), "0".to_owned());
    let mut vars = vec![
        ("SLURM_CLUSTER_NAME", "downbeat".to_owned()),
        ("SLURM_CPUS_ON_NODE", count.to_string()),
        ("SLURM_CPUS_PER_TASK", tasks.cpus_of_each(count).to_string()),
        ("SLURM_GTIDS", zero.clone()),
        ("SLURM_JOBID", id.clone()),
        ("SLURM_JOB_ACCOUNT", job.account.clone()),
        ("SLURM_JOB_CPUS_PER_NODE", count.to_string()),
        ("SLURM_JOB_ID", id.clone()),
        ("SLURM_JOB_NAME", job.name.clone()),
        ("SLURM_JOB_NODELIST", site.host.clone()),
        ("SLURM_JOB_NUM_NODES", one.clone()),
        ("SLURM_JOB_PARTITION", job.partition.clone()),
        ("SLURM_JOB_START_TIME", start.to_string()),
        ("SLURM_JOB_UID", told.owner.map_or(site.uid, |own| own.uid).to_string()),
        ("SLURM_JOB_USER", told.owner.map_or(&site.user, |own| &own.name).clone()),
        ("SLURM_LOCALID", zero.clone()),
        ("SLURM_NNODES", one),
        ("SLURM_NODEID", zero.clone()),
        ("SLURM_NODELIST", site.host.clone()),
        ("SLURM_NPROCS", tasks.count().to_string()),
        ("SLURM_NTASKS", tasks.count().to_string()),
        ("SLURM_PROCID", zero),
        ("SLURM_SUBMIT_DIR", submit_directory),
        ("SLURM_SUBMIT_HOST", invocation.submit_host.clone().unwrap_or_else(|| site.host.clone())),
        ("SLURM_TASKS_PER_NODE", tasks.count().to_string()),
        ("SLURMD_NODENAME", site.host.clone()),
        ("ENVIRONMENT", "BATCH".to_owned()),
        ("DOWNBEAT_ATTEMPT", key.attempt.n.to_string()),
        ("DOWNBEAT_CPU_IDS", cpu_ids.join(",")),
        ("DOWNBEAT_JOB_ID", id),
        ("DOWNBEAT_SERVER", site.server.clone()),
    ];
    let sometimes = [
        ("SLURM_JOB_END_TIME", told.limit_s.map(|limit| (start + i64::from(limit)).to_string())),
        // MiB, as Slurm counts.
        ("SLURM_MEM_PER_NODE", job.memory_bytes.map(|bytes| (bytes >> 20).max(1).to_string())),
        ("SLURM_NTASKS_PER_NODE", tasks.ntasks_per_node.map(|n| n.to_string())),
        // As in Slurm, only of a job that was run before.
        ("SLURM_RESTART_COUNT", Some(job.restarts).filter(|n| *n > 0).map(|n| n.to_string())),
    ];
    vars.extend(sometimes.into_iter().filter_map(|(name, value)| Some((name, value?))));
    vars.extend(of_array(job, told.array.clone()));
    vars
}

/// What a task of an array is told of the array.
fn of_array(job: &JobRecord, spec: Option<ArraySpec>) -> Vec<(&'static str, String)> {
    let (Some(array), Some(task)) = (job.array_job_id, job.array_task_id) else {
        return Vec::new();
    };
    let tasks = spec.unwrap_or_default().tasks;
    vec![
        ("SLURM_ARRAY_JOB_ID", array.to_string()),
        ("SLURM_ARRAY_TASK_ID", task.to_string()),
        ("SLURM_ARRAY_TASK_COUNT", tasks.len().to_string()),
        ("SLURM_ARRAY_TASK_MIN", tasks.first().unwrap_or(0).to_string()),
        ("SLURM_ARRAY_TASK_MAX", tasks.last().unwrap_or(0).to_string()),
        ("SLURM_ARRAY_TASK_STEP", tasks.step().to_string()),
    ]
}
