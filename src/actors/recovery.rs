//! *Purpose*: sees to it that every live attempt is followed, and that the books agree.
//!
//! *Owns*: the sweep: at boot, and every 10 s as a net; the audit; periodic chores.
//!
//! *Promises*: boot adoption and the sweep are the same code; a lost attempt is noticed within
//! 10 s; drift is a loud warning and a metric.
//!
//! *Not here*: following one attempt (`actors::executor`), the comparison (`actors::audit`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::watch;

use super::audit::{Processes, Report, compare};
use super::messages::{DoChores, LookAtAll, RunAudit};
use crate::clock;
use crate::engine::{Engine, Key};
use crate::kernel::view::Snapshot;
use crate::observe::metrics::Metrics;
use crate::store::backend::Readers;
use crate::store::read;

/// How often the net is drawn.
pub const SWEEP: Duration = Duration::from_secs(10);
/// Mailbox: audits asked for at once.
const MAILBOX: usize = 64;
/// How often an audit looks for a moment in which memory and disk are at the same commit.
const SAME_COMMIT_TRIES: u32 = 200;

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

/// The recovery actor.
pub struct RecoveryActor {
    look: Recipient<LookAtAll>,
    chores: Recipient<DoChores>,
    witnesses: Arc<Witnesses>,
}

impl RecoveryActor {
    /// An actor that sweeps through there.
    #[must_use]
    pub fn new(
        look: Recipient<LookAtAll>,
        chores: Recipient<DoChores>,
        witnesses: Arc<Witnesses>,
    ) -> RecoveryActor {
        RecoveryActor { look, chores, witnesses }
    }

    fn sweep(&mut self, ctx: &mut Context<Self>) {
        let (look, witnesses) = (self.look.clone(), Arc::clone(&self.witnesses));
        self.chores.do_send(DoChores);
        let sweep = async move {
            match look.send(LookAtAll).await {
                Ok(0) => {}
                Ok(n) => log::info!("Adopted {n} attempts that live already"),
                Err(error) => log::debug!("no sweep: {error}"),
            }
            if let Err(error) = audit(&witnesses).await {
                log::warn!("The audit could not be made: {error}");
            }
        };
        ctx.spawn(sweep.into_actor(self));
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
        Box::pin(async move { audit(&witnesses).await })
    }
}

async fn audit(witnesses: &Witnesses) -> Result<Report, String> {
    let mut snapshots = witnesses.snapshot.clone();
    for _ in 0..SAME_COMMIT_TRIES {
        let readers = witnesses.readers.clone();
        // Let go before the wait: who holds a borrow keeps the resource manager from publishing.
        let at_first = Arc::clone(&snapshots.borrow());
        let before = strangers(witnesses, &at_first).await?;
        let books = actix_rt::task::spawn_blocking(move || readers.read(read::books))
            .await
            .map_err(|e| e.to_string())?
            .map_err(|e| e.to_string())?;
        let now = snapshots
            .wait_for(|s| s.commit_no >= books.commit_no)
            .await
            .map_err(|e| e.to_string())?
            .clone();
        if now.commit_no != books.commit_no {
            continue;
        }
        let mut strangers = strangers(witnesses, &now).await?;
        strangers.retain(|job, _| before.contains_key(job));
        let drift = compare(&now, &books.value, &strangers);
        witnesses.metrics.drift(drift.len());
        for d in &drift {
            log::warn!("DRIFT {} (job {:?}): {}", d.kind, d.job, d.detail);
        }
        return Ok(Report { checked_at: clock::now(), commit_no: now.commit_no, drift });
    }
    Err("the server is too busy: no commit was seen in memory and on disk at once".to_owned())
}

/// Processes of attempts that hold no CPUs. An attempt that has just ended, or is just
/// starting, may appear for a moment: only who is seen twice counts.
async fn strangers(witnesses: &Witnesses, now: &Snapshot) -> Result<Processes, String> {
    let names = witnesses.engine.known().await.map_err(|e| e.to_string())?;
    let mut found: Processes = BTreeMap::new();
    for key in names.iter().filter_map(|name| Key::parse(name)) {
        let job = key.attempt.job;
        if now.cpus.iter().any(|(_, holder)| *holder == Some(job)) {
            continue;
        }
        let pids = witnesses.engine.processes(&key).await.map_err(|e| e.to_string())?;
        if !pids.is_empty() {
            found.entry(job).or_default().extend(pids);
        }
    }
    Ok(found)
}
