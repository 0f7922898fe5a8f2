//! *Purpose*: sees to it that every live attempt is followed, and that ledger, database and
//! processes agree.
//!
//! *Owns*: the sweep: at boot, and every 10 s as a net; the audit and the memory of what it
//! found; periodic chores.
//!
//! *Promises*: boot adoption and the sweep are the same code; a lost attempt is noticed within
//! 10 s; no CPU is handed out before the first audit; drift is a loud warning, a metric and an
//! entry in `/audit`, and what can be mended is mended by the sweep that found it.
//!
//! *Not here*: following one attempt (`actors::executor`), the comparison (`actors::audit`), the
//! mending (`kernel::commands::repair`), which jobs are old (`actors::retention`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::watch;

use super::ask::ask;
use super::audit::{Drift, Report, Strangers, compare};
use super::messages::{DoChores, ForgetJobs, LookAtAll, Mend, RunAudit};
use super::retention::leaps::Leaps;
use super::retention::{Forgot, Retention, forget_old};
use crate::clock;
use crate::engine::{Engine, EngineError, Key};
use crate::job::ids::{Attempt, JobId};
use crate::kernel::commands::repair::Findings;
use crate::kernel::views::snapshot::Snapshot;
use crate::observe::metrics::Metrics;
use crate::store::backend::Readers;
use crate::store::read::DbSnapshot;
use crate::store::record::AllocationRecord;
use crate::time::Time;

/// How often the net is drawn.
pub const SWEEP: Duration = Duration::from_secs(10);
/// When the first audit is tried again, for nothing is scheduled before it.
const FIRST_AUDIT_AGAIN: Duration = Duration::from_secs(1);
/// Mailbox: audits asked for at once.
const MAILBOX: usize = 64;
/// How often an audit looks for a moment in which memory and disk are at the same commit.
const SAME_COMMIT_TRIES: u32 = 200;
/// Keys without an attempt that one audit follows up.
const BORNE_MAX: usize = 20;
/// Former findings that `/audit` shows.
const HISTORY_MAX: usize = 100;

/// What the audit looks at.
pub struct Witnesses {
    /// Memory.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// Disk.
    pub readers: Readers,
    /// Processes.
    pub engine: Arc<dyn Engine>,
    /// Where drift is counted.
    pub metrics: Arc<Metrics>,
}

/// Whom the sweep tells.
#[derive(Clone)]
pub struct Told {
    /// To have every live attempt looked at.
    pub look: Recipient<LookAtAll>,
    /// To have findings acted upon.
    pub mend: Recipient<Mend>,
    /// To have old jobs forgotten.
    pub forget: Recipient<ForgetJobs>,
    /// To have the database kept tidy.
    pub chores: Recipient<DoChores>,
}

/// The recovery actor.
pub struct RecoveryActor {
    told: Told,
    witnesses: Arc<Witnesses>,
    retention: Retention,
    leaps: Leaps,
    /// Jobs that could not be forgotten at the last sweep: said once.
    stuck: BTreeSet<JobId>,
    /// A sweep is under way.
    sweeping: bool,
    /// An audit was made.
    audited: bool,
    /// What the last sweep found.
    last: Vec<Drift>,
    history: VecDeque<(Time, Drift)>,
    /// Whether nothing was swept yet.
    boots: bool,
}

impl RecoveryActor {
    /// An actor that sweeps through there.
    #[must_use]
    pub fn new(told: Told, witnesses: Arc<Witnesses>, retention: Retention) -> RecoveryActor {
        RecoveryActor {
            told,
            witnesses,
            leaps: Leaps::new(retention.last_commit),
            stuck: BTreeSet::new(),
            retention,
            sweeping: false,
            audited: false,
            last: Vec::new(),
            history: VecDeque::new(),
            boots: true,
        }
    }

    fn sweep(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.sweeping, true) {
            return;
        }
        let (told, witnesses) = (self.told.clone(), Arc::clone(&self.witnesses));
        let retention = self.retention.clone();
        let believed = self.leaps.believes(clock::now(), clock::monotonic());
        let boots = std::mem::replace(&mut self.boots, false);
        let sweep = async move {
            let audit = audit(&witnesses).await;
            // Before anybody looks after them: then they are strangers no more.
            let living = if boots { own_borne(&*witnesses.engine).await.ok() } else { None };
            let audit = match audit {
                Ok((report, findings)) => {
                    let mended = told.mend.send(Mend(findings)).await;
                    let mended = mended.map_err(|e| e.to_string());
                    mended.and_then(|m| m.map_err(|e| e.to_string())).map(|()| report)
                }
                Err(error) => Err(error),
            };
            match told.look.send(LookAtAll).await {
                Ok(made) if made.is_empty() => {}
                Ok(made) => say_adopted(&made, &living.unwrap_or_default()),
                Err(error) => log::debug!("no sweep: {error}"),
            }
            let forget_before = retention.before().filter(|_| believed);
            told.chores.do_send(DoChores { forget_before });
            let forgot = match believed {
                true => {
                    let with = (&witnesses.readers, &*witnesses.engine);
                    forget_old(&retention, with, &told.forget).await
                }
                false => Ok(Forgot::default()),
            };
            (audit, forgot)
        };
        ctx.spawn(sweep.into_actor(self).map(|(audit, forgot), actor, ctx| {
            actor.forgot(forgot);
            actor.swept(audit, ctx);
        }));
    }

    fn forgot(&mut self, forgot: Result<Forgot, String>) {
        match forgot {
            Ok(Forgot { count, stuck }) => {
                if count > 0 {
                    self.witnesses.engine.forget_secrets();
                    log::info!("Forgot {count} jobs that ended longer ago than the retention");
                }
                for (job, why) in stuck.iter().filter(|(job, _)| !self.stuck.contains(job)) {
                    log::warn!("Job {job} is not forgotten, its folder cannot be removed: {why}");
                }
                self.stuck = stuck.into_keys().collect();
            }
            Err(error) => log::warn!("Old jobs were not forgotten: {error}"),
        }
    }

    fn swept(&mut self, audit: Result<Report, String>, ctx: &mut Context<Self>) {
        self.sweeping = false;
        match audit {
            Ok(report) => {
                self.audited = true;
                self.remember(report);
            }
            Err(error) => {
                log::warn!("The audit could not be made: {error}");
                if !self.audited {
                    ctx.run_later(FIRST_AUDIT_AGAIN, Self::sweep);
                }
            }
        }
    }

    /// New drift is told in full, drift that stays in a sentence.
    fn remember(&mut self, report: Report) {
        let fresh = report.drift.iter().filter(|d| !self.last.contains(d));
        let mut known = report.drift.len();
        for drift in fresh {
            known -= 1;
            let job = drift.job.map(|id| format!(" (job {id})")).unwrap_or_default();
            let (kind, remedy) = (drift.kind, drift.remedy.word());
            log::warn!("DRIFT {kind}{job}: {}; {remedy}", drift.detail);
            self.witnesses.metrics.drifted();
            self.history.push_front((report.checked_at, drift.clone()));
        }
        if known > 0 {
            log::warn!("The audit still finds {known} disagreements; `downbeat audit` shows them");
        }
        self.history.truncate(HISTORY_MAX);
        self.last = report.drift;
    }
}

impl Actor for RecoveryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.sweep(ctx);
        ctx.run_interval(SWEEP, Self::sweep);
    }
}

impl Handler<RunAudit> for RecoveryActor {
    type Result = ResponseFuture<Result<Report, String>>;

    fn handle(&mut self, _: RunAudit, _: &mut Self::Context) -> Self::Result {
        let witnesses = Arc::clone(&self.witnesses);
        let history = self.history.iter().cloned().collect();
        Box::pin(async move {
            let (report, _only_a_sweep_mends) = audit(&witnesses).await?;
            Ok(Report { history, ..report })
        })
    }
}

async fn audit(witnesses: &Witnesses) -> Result<(Report, Findings), String> {
    let mut snapshots = witnesses.snapshot.clone();
    for _ in 0..SAME_COMMIT_TRIES {
        // Let go before the wait: who holds a borrow keeps the resource manager from publishing.
        let at_first = Arc::clone(&snapshots.borrow());
        let borne = borne(witnesses, &at_first).await?;
        let before = strangers(witnesses, &at_first, &DbSnapshot::default(), &borne).await?;
        let db = ask(&witnesses.readers, |db| db.db_snapshot()).await?;
        let now = snapshots
            .wait_for(|s| s.commit_no >= db.commit_no)
            .await
            .map_err(|e| e.to_string())?
            .clone();
        if now.commit_no != db.commit_no {
            continue;
        }
        let mut strangers = strangers(witnesses, &now, &db.value, &borne).await?;
        // An attempt that has just ended, or is just starting, may appear for a moment: only
        // who is seen twice counts, unless the database says that it holds CPUs.
        let holds = |job: &JobId| db.value.unreleased.iter().any(|row| row.attempt.job == *job);
        strangers.retain(|job, _| before.contains_key(job) || holds(job));
        let (drift, findings) = compare(&now, &db.value, &strangers);
        witnesses.metrics.drift(drift.len());
        let (checked_at, commit_no) = (clock::now(), now.commit_no);
        return Ok((Report { checked_at, commit_no, drift, history: Vec::new() }, findings));
    }
    Err("the server is too busy: no commit was seen in memory and on disk at once".to_owned())
}

fn holds_cpus(now: &Snapshot, job: JobId) -> bool {
    now.cpus.iter().any(|(_, holder)| *holder == Some(job))
}

/// Says how many attempts of the server before this one live on; the others ended without one.
fn say_adopted(made: &[Attempt], borne: &[Key]) {
    let lives = |of: &&Attempt| borne.iter().any(|key| key.attempt == **of);
    let living = made.iter().filter(lives).count();
    if living > 0 {
        log::info!("Adopted {living} attempts that live already");
    }
    if living < made.len() {
        log::info!("Looks for the ends of {} attempts that live no more", made.len() - living);
    }
}

/// The keys that somebody bears and of which the engine has something: another server's attempts
/// have the same numbers.
async fn own_borne(engine: &dyn Engine) -> Result<Vec<Key>, EngineError> {
    let known: BTreeSet<String> = engine.known().await?.into_iter().collect();
    let mut borne = engine.borne().await?;
    borne.retain(|key| known.contains(&key.name()));
    Ok(borne)
}

/// The attempts of ours that hold no CPUs and whose key somebody bears. At most
/// [`BORNE_MAX`]: one is enough to be told of.
async fn borne(witnesses: &Witnesses, now: &Snapshot) -> Result<Vec<Key>, String> {
    let keys = witnesses.engine.borne().await.map_err(|e| e.to_string())?;
    let mut ours = Vec::new();
    for key in keys.into_iter().filter(|key| !holds_cpus(now, key.attempt.job)).take(BORNE_MAX) {
        let attempt = key.attempt;
        let row = ask(&witnesses.readers, move |db| db.allocation_of(attempt)).await?;
        // Of another server, or of nobody: a number says little, the random text all.
        if let Some(row) = row.filter(|row| row.nonce == key.nonce) {
            ours.push(key_of(&row));
        }
    }
    Ok(ours)
}

/// Processes of attempts that hold no CPUs in the ledger: of those the engine still has
/// something of, of those that the database says hold some, and of those whose key is borne. The
/// last are told of and no more: a key alone proves nothing that CPUs could be kept for.
async fn strangers(
    witnesses: &Witnesses,
    now: &Snapshot,
    db: &DbSnapshot,
    borne: &[Key],
) -> Result<BTreeMap<JobId, Strangers>, String> {
    let names = witnesses.engine.known().await.map_err(|e| e.to_string())?;
    let unreleased = db.unreleased.iter().map(key_of);
    let keys = names.iter().filter_map(|name| Key::parse(name)).chain(unreleased);
    let keys = keys.map(|key| (key, true)).chain(borne.iter().map(|key| (key.clone(), false)));
    let mut found: BTreeMap<JobId, Strangers> = BTreeMap::new();
    for (key, may_use_cpus) in keys {
        let job = key.attempt.job;
        if holds_cpus(now, job) {
            continue;
        }
        let pids = witnesses.engine.processes(&key).await.map_err(|e| e.to_string())?;
        if pids.is_empty() {
            continue;
        }
        let them = found.entry(job).or_default();
        them.pids.extend(pids);
        if !may_use_cpus {
            continue;
        }
        let allocation = ask(&witnesses.readers, move |db| db.allocation_of(key.attempt)).await?;
        them.units.extend(allocation.iter().flat_map(AllocationRecord::units));
    }
    for them in found.values_mut() {
        them.pids.sort_unstable();
        them.pids.dedup();
    }
    Ok(found)
}

fn key_of(allocation: &AllocationRecord) -> Key {
    let AllocationRecord { attempt, nonce, boot_id, .. } = allocation;
    Key { attempt: *attempt, nonce: nonce.clone(), boot_id: boot_id.clone() }
}
