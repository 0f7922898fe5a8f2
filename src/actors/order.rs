//! *Purpose*: makes the order of an attempt from its rows.
//!
//! *Owns*: the environment of a job, and what of the server's own is inherited.
//!
//! *Promises*: nothing of the server's environment beyond [`INHERITED`] reaches a job.
//!
//! *Not here*: launching (`engine`), what a job asked for (`job::spec`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::dials::Dialled;
use crate::clock;
use crate::devices::visible::{Naming, VARIABLES, visible};
use crate::devices::{DeviceNode, Gpu};
use crate::engine::{CharDevice, Key, Order};
use crate::job::array_spec::ArraySpec;
use crate::job::files::Places;
use crate::job::ids::{Attempt, CpuId, JobId, UnitId};
use crate::job::request::GPU;
use crate::resources::allocation::{Held, Share};
use crate::store::backend::Readers;
use crate::store::error::StoreError;
use crate::store::read::{self, LaunchRecords};
use crate::store::record::{JobRecord, ScriptRecord};
use crate::time::SECOND_US;

/// The only variables a job inherits from the server.
pub const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"];
/// Where jobs look for programs when the server was started without a `PATH`.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where orders come from.
pub trait Orders: Send + Sync {
    /// The key to the engine of a live attempt.
    ///
    /// # Errors
    /// What the database says.
    fn key(&self, attempt: Attempt) -> BoxFuture<'_, Result<Key, StoreError>>;

    /// The order of a live attempt.
    ///
    /// # Errors
    /// What the database says.
    fn order(&self, attempt: Attempt) -> BoxFuture<'_, Result<Order, StoreError>>;

    /// The same, where the records are at hand.
    fn order_from(&self, attempt: Attempt, records: LaunchRecords) -> Order;
}

/// Orders from the database.
pub struct FromStore {
    readers: Readers,
    site: Arc<OrderSite>,
    /// Of attempts of this start of the server the key is known without a question.
    nonce: Arc<str>,
    boot_id: Arc<str>,
    /// Of attempts that were live at boot.
    older: BTreeMap<Attempt, (Arc<str>, Arc<str>)>,
}

/// What is the same for every order.
#[derive(Debug)]
pub struct OrderSite {
    /// Where files are.
    pub places: Places,
    /// Whether jobs are pinned to their CPUs.
    pub pin: bool,
    /// Whether scripts can signal only themselves and whom they start.
    pub confine_signals: bool,
    /// Where it is looked up what a job may leave behind and write.
    pub dials: Dialled,
    /// This machine's name.
    pub host: String,
    /// The inherited variables.
    pub inherited: BTreeMap<String, String>,
    /// The machine's GPUs.
    pub gpus: JobGpus,
}

/// GPUs, as jobs see them.
#[derive(Clone, Debug, Default)]
pub struct JobGpus {
    /// All that there are, handed out or not.
    pub all: Vec<Gpu>,
    /// Whether jobs are told UUIDs.
    pub by_uuid: bool,
    /// Whether those that a job does not hold cannot be opened by it.
    pub are_denied: bool,
}

impl JobGpus {
    /// Those of these shares.
    fn held<'a>(&'a self, rest: &[Share]) -> Vec<&'a Gpu> {
        let share = rest.iter().find(|share| &*share.resource == GPU);
        let units = match share.map(|share| &share.held) {
            Some(Held::Units(units)) => &units[..],
            _ => &[],
        };
        self.all.iter().filter(|gpu| units.contains(&UnitId(gpu.index))).collect()
    }

    /// The devices of all others. A card that is cut is open to whoever holds a part of it.
    fn denied(&self, held: &[&Gpu]) -> Vec<CharDevice> {
        let others = self.all.iter().filter(|gpu| held.iter().all(|own| own.index != gpu.index));
        let nodes = others.flat_map(|gpu| gpu.nodes.iter().chain(&gpu.card));
        let needed = |node: &&DeviceNode| {
            held.iter().any(|own| own.nodes.iter().chain(&own.card).any(|own| own == *node))
        };
        let denied = nodes.filter(|node| !needed(node));
        let denied = denied.map(|node| CharDevice { major: node.major, minor: node.minor });
        // A card that is cut is named by each of its parts.
        denied.collect::<BTreeSet<CharDevice>>().into_iter().collect()
    }

    /// Puts into the environment which are the job's own, and takes out what else says so.
    fn tell(&self, held: &[&Gpu], vars: &mut BTreeMap<String, String>) {
        let slurms = |name: &str| name.starts_with("SLURM_");
        vars.retain(|name, _| {
            !VARIABLES.contains(&&**name) || (self.all.is_empty() && !slurms(name))
        });
        let are_alone = self.are_denied && self.all.iter().all(|gpu| !gpu.nodes.is_empty());
        let naming = match (self.by_uuid, are_alone) {
            (true, _) => Naming::Uuid,
            (false, true) => Naming::IndexOfHeld,
            (false, false) => Naming::Index,
        };
        let said = visible(&self.all, held, naming).unwrap_or_else(|unknown| {
            // The settings are refused before that.
            log::error!("A job is told of no GPU: {unknown}");
            Vec::new()
        });
        vars.extend(said.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
}

impl OrderSite {
    /// Picks what is inherited from this process.
    #[must_use]
    pub fn inherited() -> BTreeMap<String, String> {
        let mut vars: BTreeMap<String, String> = INHERITED
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
            .collect();
        vars.entry("PATH".to_owned()).or_insert_with(|| PATH.to_owned());
        vars
    }
}

impl FromStore {
    /// Orders read through these readers. `older` are the keys of attempts that live already.
    #[must_use]
    pub fn new(
        readers: Readers,
        site: Arc<OrderSite>,
        (nonce, boot_id): (Arc<str>, Arc<str>),
        older: Vec<crate::store::load::AttemptKey>,
    ) -> FromStore {
        let older = older.into_iter().map(|(a, nonce, boot)| (a, (nonce, boot))).collect();
        FromStore { readers, site, nonce, boot_id, older }
    }

    fn key_of(&self, attempt: Attempt) -> Key {
        let (nonce, boot_id) =
            self.older.get(&attempt).map_or((&self.nonce, &self.boot_id), |(n, b)| (n, b));
        Key { attempt, nonce: nonce.to_string(), boot_id: boot_id.to_string() }
    }
}

impl FromStore {
    async fn read(&self, job: JobId) -> Result<LaunchRecords, StoreError> {
        let readers = self.readers.clone();
        let read =
            actix_rt::task::spawn_blocking(move || readers.read(|conn| read::launch(conn, job)));
        read.await.unwrap_or_else(|e| Err(StoreError::Transient(e.to_string())))
    }
}

impl Orders for FromStore {
    fn key(&self, attempt: Attempt) -> BoxFuture<'_, Result<Key, StoreError>> {
        let key = self.key_of(attempt);
        Box::pin(async { Ok(key) })
    }

    fn order(&self, attempt: Attempt) -> BoxFuture<'_, Result<Order, StoreError>> {
        Box::pin(async move {
            let records = self.read(attempt.job).await?;
            Ok(self.order_from(attempt, records))
        })
    }

    fn order_from(&self, attempt: Attempt, records: LaunchRecords) -> Order {
        order(&self.site, self.key_of(attempt), records)
    }
}

fn order(site: &OrderSite, key: Key, records: LaunchRecords) -> Order {
    let dials = *site.dials.borrow();
    let LaunchRecords { job, script, cpus, rest, array_spec } = records;
    let files = site.places.files(
        job.id,
        job.spec.working_directory.as_deref(),
        job.spec.standard_output.as_deref(),
        job.spec.standard_error.as_deref(),
    );
    let own = site.places.own_folder(job.id);
    // A job that keeps anything with the server has a folder there.
    let uses = [&files.working_directory, &files.stdout.root, &files.stderr.root];
    let own_folder = uses.iter().any(|path| path.starts_with(&own)).then_some(own);
    let mut environment = environment(site, &key, &job, &script, &cpus, &files.working_directory);
    // Never those of a task that submitted this job.
    environment.retain(|name, _| !name.starts_with("SLURM_ARRAY_"));
    environment.extend(of_array(&job, array_spec));
    let gpus = site.gpus.held(&rest);
    site.gpus.tell(&gpus, &mut environment);
    let denied_devices = site.gpus.denied(&gpus);
    Order {
        key,
        script: script.script,
        environment,
        own_folder,
        create_working_directory: job.spec.create_working_directory
            || job.spec.working_directory.is_none(),
        working_directory: files.working_directory,
        stdout: files.stdout,
        stderr: files.stderr,
        limit_s: limit_s(&job),
        kill_grace_s: job.spec.kill_grace_s,
        confine_signals: site.confine_signals,
        finish_s: dials.finish_s,
        output_bytes: dials.max_output,
        cpus,
        pin: site.pin,
        memory_bytes: job.memory_bytes,
        denied_devices,
        signal: job.spec.signal,
        open_mode: job.spec.open_mode,
    }
}

/// Its time limit, or what is left until its deadline if that is less: at least a second, since
/// a limit of none means for ever.
fn limit_s(job: &JobRecord) -> Option<u32> {
    let left_us = job.deadline.map(|deadline| deadline.since_us(clock::now()));
    let left = left_us.map(|us| us.max(SECOND_US).unsigned_abs().div_ceil(SECOND_US as u64));
    let limit = job.time_limit_s.map(u64::from);
    let least = limit.into_iter().chain(left).min()?;
    Some(u32::try_from(least).unwrap_or(u32::MAX))
}

/// What a task of an array is told of the array.
fn of_array(job: &JobRecord, spec: Option<ArraySpec>) -> Vec<(String, String)> {
    let (Some(array), Some(task)) = (job.array_job_id, job.array_task_id) else {
        return Vec::new();
    };
    let tasks = spec.unwrap_or_default().tasks;
    let vars = [
        ("JOB_ID", array.to_string()),
        ("TASK_ID", task.to_string()),
        ("TASK_COUNT", tasks.len().to_string()),
        ("TASK_MIN", tasks.first().unwrap_or(0).to_string()),
        ("TASK_MAX", tasks.last().unwrap_or(0).to_string()),
        ("TASK_STEP", tasks.step().to_string()),
    ];
    vars.map(|(name, value)| (format!("SLURM_ARRAY_{name}"), value)).to_vec()
}

fn environment(
    site: &OrderSite,
    key: &Key,
    job: &JobRecord,
    script: &ScriptRecord,
    cpus: &[CpuId],
    work: &Path,
) -> BTreeMap<String, String> {
    let mut vars = site.inherited.clone();
    vars.extend(script.environment.clone());
    let count = cpus.len().to_string();
    vars.entry("OMP_NUM_THREADS".to_owned()).or_insert_with(|| count.clone());
    let id = job.id.to_string();
    let ids: Vec<String> = cpus.iter().map(ToString::to_string).collect();
    let ours = [
        ("SLURM_JOB_ID", id.clone()),
        ("SLURM_JOBID", id.clone()),
        ("SLURM_JOB_NAME", job.name.clone()),
        ("SLURM_CPUS_PER_TASK", count.clone()),
        ("SLURM_CPUS_ON_NODE", count),
        ("SLURM_NTASKS", "1".to_owned()),
        ("SLURM_SUBMIT_DIR", work.display().to_string()),
        ("SLURM_JOB_NODELIST", site.host.clone()),
        ("SLURM_JOB_ACCOUNT", job.account.clone()),
        ("SLURM_JOB_PARTITION", job.partition.clone()),
        ("DOWNBEAT_JOB_ID", id),
        ("DOWNBEAT_ATTEMPT", key.attempt.n.to_string()),
        ("DOWNBEAT_CPU_IDS", ids.join(",")),
    ];
    vars.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    // As in Slurm, only of a job that was run before; never that of a job that submitted this one.
    match job.restarts {
        0 => vars.remove("SLURM_RESTART_COUNT"),
        count => vars.insert("SLURM_RESTART_COUNT".to_owned(), count.to_string()),
    };
    vars
}
