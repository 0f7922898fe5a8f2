//! *Purpose*: measures what live attempts use, and has it kept.
//!
//! *Owns*: [`UsageWatchActor`], the one timer for all attempts; [`LiveUsage`], the newest figures.
//!
//! *Promises*: one round at a time, on a thread that nothing waits for, and none while nothing
//! runs. What is measured is in memory and is kept now and then, when the attempt is over and when
//! the server stops; where it is killed, what came since is lost.
//!
//! *Not here*: what is measured (`engine`), steps (`recording`), rows (`store`).

mod recording;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;
use tokio::sync::watch;

pub use self::recording::{EVERY_S, Latest};
use self::recording::{Reading, Recording};
use super::messages::{GetUsage, KeepAllUsage, KeepUsage};
use crate::clock;
use crate::engine::{Engine, EngineError, Measured};
use crate::job::ids::Attempt;
use crate::job::request::GPU;
use crate::job::usage_series::UsageSeries;
use crate::kernel::views::snapshot::Snapshot;
use crate::store::backend::Readers;
use crate::time::Time;

/// Mailbox: questions of people.
const MAILBOX: usize = 1_024;

/// How busy each GPU is that is known, per mille, by number.
pub type GpuLoads = Box<dyn Fn() -> BTreeMap<u32, u16>>;
/// The newest figures of each attempt that was measured.
pub type LiveUsage = watch::Receiver<Arc<BTreeMap<Attempt, Latest>>>;

/// What the actor works with.
pub struct Witnesses {
    /// Who measures.
    pub engine: Arc<dyn Engine>,
    /// Who holds which GPU, and whether anything runs.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// How busy GPUs are. Asked only while a job holds one.
    pub gpu_loads: GpuLoads,
    /// What was kept before.
    pub readers: Readers,
    /// Who has it kept.
    pub keep: Recipient<KeepUsage>,
}

/// The ends of it.
#[derive(Clone)]
pub struct UsageWatch {
    /// The newest figures.
    pub live: LiveUsage,
    /// What a live attempt used so far.
    pub get: Recipient<GetUsage>,
    /// Has it all kept.
    pub keep_all: Recipient<KeepAllUsage>,
}

/// Measures; see the module.
pub struct UsageWatchActor {
    witnesses: Witnesses,
    live: watch::Sender<Arc<BTreeMap<Attempt, Latest>>>,
    recordings: BTreeMap<Attempt, Recording>,
    is_measuring: bool,
}

/// What a round found.
struct Round {
    time: Time,
    measured: Vec<(Attempt, Measured)>,
    /// What was kept of attempts that this server has not measured before.
    kept: BTreeMap<Attempt, UsageSeries>,
}

impl UsageWatchActor {
    /// Begins to measure.
    #[must_use]
    pub fn launch(witnesses: Witnesses) -> UsageWatch {
        let (sender, live) = watch::channel(Arc::default());
        let (recordings, is_measuring) = (BTreeMap::new(), false);
        let actor = UsageWatchActor { witnesses, live: sender, recordings, is_measuring };
        let actor = actor.start();
        UsageWatch { live, get: actor.clone().recipient(), keep_all: actor.recipient() }
    }

    fn measure(&mut self, ctx: &mut Context<Self>) {
        let now = Arc::clone(&self.witnesses.snapshot.borrow());
        let runs = now.running + now.completing > 0;
        if self.is_measuring || !runs && self.recordings.is_empty() {
            return;
        }
        self.is_measuring = true;
        let engine = Arc::clone(&self.witnesses.engine);
        let readers = self.witnesses.readers.clone();
        let known: Vec<Attempt> = self.recordings.keys().copied().collect();
        let round = async move {
            let begun = clock::monotonic();
            let measured = engine.measure().await?;
            let time = clock::now();
            log::debug!("Measured {} attempts in {:?}", measured.len(), begun.elapsed());
            let measured: Vec<(Attempt, Measured)> =
                measured.into_iter().map(|(key, of)| (key.attempt, of)).collect();
            let new: Vec<Attempt> = measured.iter().map(|(attempt, _)| *attempt).collect();
            let new = new.into_iter().filter(|attempt| known.binary_search(attempt).is_err());
            let new: Vec<Attempt> = new.collect();
            let read = move || readers.read(|db| db.used_while_running(&new));
            let kept = match actix_rt::task::spawn_blocking(read).await {
                Ok(Ok(kept)) => kept,
                // They begin anew; what was kept is written over.
                Ok(Err(error)) => {
                    log::warn!("What attempts used before is not known: {error}");
                    BTreeMap::new()
                }
                Err(_) => BTreeMap::new(),
            };
            Ok::<_, EngineError>(Round { time, measured, kept })
        };
        ctx.spawn(round.into_actor(self).map(|round, actor, ctx| {
            actor.is_measuring = false;
            match round {
                Ok(round) => actor.take(round, ctx),
                Err(error) => log::debug!("What attempts use is not known: {error}"),
            }
        }));
    }

    fn take(&mut self, round: Round, ctx: &mut Context<Self>) {
        let gpus = self.gpus();
        let mut before = std::mem::take(&mut self.recordings);
        let mut live = BTreeMap::new();
        for (attempt, Measured { cpu_us, rss_bytes }) in round.measured {
            let gpu_load = gpus.get(&attempt).copied().flatten();
            let reading = Reading { cpu_us, rss_bytes, gpu_load };
            let mut recording = match (before.remove(&attempt), round.kept.get(&attempt)) {
                (Some(mut recording), _) => {
                    recording.note(round.time, reading);
                    recording
                }
                (None, Some(kept)) => Recording::resume(kept, round.time, reading)
                    .unwrap_or_else(|| Recording::begin(round.time, reading)),
                (None, None) => Recording::begin(round.time, reading),
            };
            if let Some(series) = recording.take_if_due() {
                self.keep(attempt, series, ctx);
            }
            live.insert(attempt, recording.latest());
            self.recordings.insert(attempt, recording);
        }
        // The others are over.
        for (attempt, recording) in before {
            if let Some(series) = recording.series() {
                self.keep(attempt, series, ctx);
            }
        }
        self.live.send_replace(Arc::new(live));
    }

    fn keep(&self, attempt: Attempt, series: UsageSeries, ctx: &mut Context<Self>) {
        let sent = self.witnesses.keep.send(KeepUsage { attempt, series: Arc::new(series) });
        ctx.spawn(sent.into_actor(self).map(move |sent, _, _| {
            if sent.is_err() {
                log::debug!("What attempt {attempt} used is not kept: the server is stopping");
            }
        }));
    }

    /// How busy the GPUs of each attempt are that holds any, in their mean.
    fn gpus(&self) -> BTreeMap<Attempt, Option<u16>> {
        let now = Arc::clone(&self.witnesses.snapshot.borrow());
        let units = now.others.iter().filter(|one| &*one.name == GPU).flat_map(|one| &one.units);
        let mut held: BTreeMap<Attempt, Vec<u32>> = BTreeMap::new();
        for unit in units {
            if let Some(holder) = unit.holder {
                held.entry(holder).or_default().push(unit.unit.0);
            }
        }
        if held.is_empty() {
            return BTreeMap::new();
        }
        let loads = (self.witnesses.gpu_loads)();
        let mean = |(attempt, gpus): (Attempt, Vec<u32>)| {
            let known: Vec<u32> =
                gpus.iter().filter_map(|gpu| loads.get(gpu)).map(|load| u32::from(*load)).collect();
            let mean = known.iter().sum::<u32>().checked_div(known.len() as u32);
            (attempt, mean.and_then(|mean| u16::try_from(mean).ok()))
        };
        held.into_iter().map(mean).collect()
    }
}

impl Actor for UsageWatchActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(Duration::from_secs(EVERY_S.into()), |actor, ctx| actor.measure(ctx));
    }
}

impl Handler<GetUsage> for UsageWatchActor {
    type Result = Option<UsageSeries>;

    fn handle(&mut self, GetUsage(attempt): GetUsage, _: &mut Self::Context) -> Self::Result {
        self.recordings.get(&attempt).and_then(Recording::series)
    }
}

impl Handler<KeepAllUsage> for UsageWatchActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: KeepAllUsage, _: &mut Self::Context) -> Self::Result {
        let all = self.recordings.iter().filter_map(|(attempt, recording)| {
            let series = Arc::new(recording.series()?);
            Some(self.witnesses.keep.send(KeepUsage { attempt: *attempt, series }))
        });
        let all = join_all(all);
        Box::pin(async move {
            let lost = all.await.into_iter().filter(Result::is_err).count();
            if lost > 0 {
                log::warn!("What {lost} attempts used lately is not kept");
            }
        })
    }
}
