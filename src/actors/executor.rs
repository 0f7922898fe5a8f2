//! *Purpose*: follows one attempt from order to end.
//!
//! *Owns*: the loop: ask the engine, turn the status into a fact, have it acknowledged, wait
//! for a change.
//!
//! *Promises*: one loop serves a fresh launch, an adopted attempt and the sweep; facts are
//! resent until acknowledged; the spool goes only when the end is durable; a cancel is resent
//! until the attempt has ended; every wait also listens for requests.
//!
//! *Not here*: what a fact leads to (`kernel::transition`), processes (`engine`).

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::watch;

use super::messages::{
    AdjustAttempt, ExecutorAddr, Look, Observed, SignalAttempt, SignalsGiven, StopAttempt,
};
use super::order::{NoOrder, Orders, Wish};
use super::owners::NotRun;
use crate::engine::{AttemptStatus, Control, Engine, EngineError, ExitRecord, LimitWish, Stopping};
use crate::fault;
use crate::job::ids::{Attempt, EventId};
use crate::job::outcome::{Exit, Stop};
use crate::job::state::Hold;
use crate::kernel::transition::Fact;
use crate::store::error::StoreError;
use crate::store::read::LaunchRecords;
use crate::time::Time;

/// Mailbox: a stop and a few looks.
const MAILBOX: usize = 16;
/// First and longest pause before something that failed, or processes that will not die, are
/// looked at again.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// See [`PAUSE_MIN`].
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// First and longest pause before a launch that the machine had no room for is tried again: what
/// runs needs room too, and takes it when nobody else tries.
const SHORT_MIN: Duration = Duration::from_secs(1);
/// See [`SHORT_MIN`].
const SHORT_MAX: Duration = Duration::from_secs(30);

/// What every executor needs.
pub struct Tools {
    /// What runs scripts.
    pub engine: Arc<dyn Engine>,
    /// Where orders come from.
    pub orders: Arc<dyn Orders>,
    /// Who hears the facts.
    pub observed: Recipient<Observed>,
    /// Who hears which signals have arrived.
    pub given: Recipient<SignalsGiven>,
}

/// What the executor was asked; a new value wakes the loop.
#[derive(Clone, Copy, Default)]
struct Asked {
    stop: bool,
    looks: u64,
    /// How often its time limit was changed, or it was suspended or resumed.
    adjustments: u64,
    /// How often it was sent a signal.
    signals: u64,
}

/// What is known of an attempt when its executor is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Granted just now: nobody can have started it. With the rows of its order, where they are at
    /// hand.
    Granted(Option<Box<LaunchRecords>>),
    /// Granted earlier; it may have been ordered.
    Ordered,
    /// Its script was started: whatever is missing now, it must not start again.
    Started,
}

/// The executor of one attempt.
pub struct ExecutorActor {
    attempt: Attempt,
    known: Known,
    tools: Arc<Tools>,
    asked: watch::Sender<Asked>,
}

impl ExecutorActor {
    /// Starts an executor.
    #[must_use]
    pub fn launch(attempt: Attempt, known: Known, tools: Arc<Tools>) -> ExecutorAddr {
        let (asked, _) = watch::channel(Asked::default());
        let addr = ExecutorActor { attempt, known, tools, asked }.start();
        ExecutorAddr {
            stop: addr.clone().recipient(),
            adjust: addr.clone().recipient(),
            signal: addr.clone().recipient(),
            look: addr.recipient(),
        }
    }
}

impl Actor for ExecutorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        let known = std::mem::replace(&mut self.known, Known::Ordered);
        let fresh = matches!(known, Known::Granted(_));
        let was_started = known == Known::Started;
        let rows = match known {
            Known::Granted(rows) => rows,
            Known::Ordered | Known::Started => None,
        };
        let attempt = Follow {
            attempt: self.attempt,
            tools: Arc::clone(&self.tools),
            asked: self.asked.subscribe(),
            rows,
            ordered: false,
            was_started,
            told_started: false,
            told_stopping: false,
            // One that is adopted may have been suspended, sent a signal or given another limit,
            // and nobody told of that.
            adjustments_told: fresh.then_some(0),
            signals_told: fresh.then_some(0),
            given: EventId(0),
            pause: PAUSE_MIN,
        };
        let follow = async move { attempt.run(fresh).await };
        ctx.spawn(follow.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }
}

impl Handler<StopAttempt> for ExecutorActor {
    type Result = ();

    fn handle(&mut self, _: StopAttempt, _: &mut Self::Context) {
        self.asked.send_modify(|asked| asked.stop = true);
    }
}

impl Handler<AdjustAttempt> for ExecutorActor {
    type Result = ();

    fn handle(&mut self, _: AdjustAttempt, _: &mut Self::Context) {
        self.asked.send_modify(|asked| asked.adjustments += 1);
    }
}

impl Handler<SignalAttempt> for ExecutorActor {
    type Result = ();

    fn handle(&mut self, _: SignalAttempt, _: &mut Self::Context) {
        self.asked.send_modify(|asked| asked.signals += 1);
    }
}

impl Handler<Look> for ExecutorActor {
    type Result = ();

    fn handle(&mut self, _: Look, _: &mut Self::Context) {
        self.asked.send_modify(|asked| asked.looks += 1);
    }
}

/// The loop's state.
struct Follow {
    attempt: Attempt,
    tools: Arc<Tools>,
    asked: watch::Receiver<Asked>,
    /// The rows of its order, until it is given.
    rows: Option<Box<LaunchRecords>>,
    ordered: bool,
    /// Its start is durable.
    was_started: bool,
    told_started: bool,
    /// What of its stop is told.
    told_stopping: bool,
    /// Up to which adjustment its supervisor was told.
    adjustments_told: Option<u64>,
    /// Up to which signal its supervisor was asked.
    signals_told: Option<u64>,
    /// The last signal that its supervisor has.
    given: EventId,
    pause: Duration,
}

/// Why signals were not handed over.
#[derive(Debug, thiserror::Error)]
enum SignalsKept {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Whether the loop goes on.
enum Next {
    Wait,
    Pause,
    /// Its end is durable: the spool may go.
    Over,
    /// Its end was told and nobody made it durable: the next server reads the record again.
    Unheard,
}

impl Follow {
    async fn run(mut self, fresh: bool) {
        let key = match self.key().await {
            Some(key) => key,
            None => return,
        };
        let engine = Arc::clone(&self.tools.engine);
        let (mut first, mut looked) = (fresh, fresh);
        loop {
            let asked = *self.asked.borrow_and_update();
            let status = match std::mem::take(&mut first) {
                // Nobody can know it yet: no need to ask.
                true => Ok(AttemptStatus::NeverStarted),
                false => engine.reattach(&key).await,
            };
            if !std::mem::replace(&mut looked, true) {
                fault::point(fault::RECOVERY_LOOKED);
            }
            let next = match status {
                Ok(status) => self.react(&key, status, asked).await,
                Err(error) => self.failed("launch or look at", &error),
            };
            match next {
                Next::Over => break,
                Next::Unheard => return,
                Next::Pause => self.rest().await,
                Next::Wait => {
                    tokio::select! {
                        () = engine.changed(&key) => {}
                        gone = self.asked.changed() => if gone.is_err() { return },
                    }
                }
            }
        }
        // Nobody is waiting for that.
        drop(engine.forget(&key));
    }

    async fn key(&mut self) -> Option<crate::engine::Key> {
        loop {
            match self.tools.orders.key(self.attempt).await {
                Ok(key) => return Some(key),
                Err(error) => {
                    log::warn!("Cannot read the key of attempt {}: {error}", self.attempt);
                    self.rest().await;
                }
            }
        }
    }

    async fn react(
        &mut self,
        key: &crate::engine::Key,
        status: AttemptStatus,
        asked: Asked,
    ) -> Next {
        let stop = asked.stop;
        match status {
            AttemptStatus::NeverStarted if self.was_started => {
                let why = "the job's files in the spool are gone, and so are its processes; how \
                           the script ended is unknown";
                self.tell_end(Fact::Vanished(why.to_owned())).await
            }
            AttemptStatus::NeverStarted if stop => self.tell_end(Fact::Exited(never_ran())).await,
            AttemptStatus::NeverStarted => self.order(key).await,
            AttemptStatus::Launching => self.control(key, stop).await,
            AttemptStatus::Running { handle, stopping } => {
                self.pause = PAUSE_MIN;
                if !self.told_started {
                    fault::point(fault::STARTED_SEEN);
                    self.tell(Fact::Started(handle)).await;
                    (self.told_started, self.was_started) = (true, true);
                }
                if let Some(fact) = stopping.and_then(fact_of).filter(|_| !self.told_stopping) {
                    self.tell(fact).await;
                    self.told_stopping = true;
                }
                if self.signals_told != Some(asked.signals)
                    && let Err(error) = self.give_signals(key, asked.signals).await
                {
                    log::warn!("Cannot signal attempt {}, trying again: {error}", self.attempt);
                    return Next::Pause;
                }
                if !stop && self.adjustments_told != Some(asked.adjustments) {
                    return self.adjust(key, handle.start_time, asked.adjustments).await;
                }
                self.control(key, stop).await
            }
            AttemptStatus::Exited(record) => {
                fault::point(fault::EXITED_SEEN);
                self.tell_end(end_of(record)).await
            }
            AttemptStatus::Lost => self.lost(key).await,
            AttemptStatus::Foreign(elsewhere) => {
                self.tell_end(Fact::Vanished(elsewhere.sentence().to_owned())).await
            }
        }
    }

    /// Orders the launch. An order that went to a step daemon which died is given again: the
    /// engine says `NeverStarted` only when no daemon can still act on it.
    async fn order(&mut self, key: &crate::engine::Key) -> Next {
        if self.tools.engine.trouble().borrow().0.contains_key(&key.name()) {
            self.pause = self.pause.max(SHORT_MIN);
            self.rest_at_most(SHORT_MAX).await;
        } else if self.ordered {
            log::debug!("Attempt {} was ordered and not started; ordering again", self.attempt);
            self.rest().await;
        }
        self.ordered = true;
        let order = match self.rows.take() {
            Some(rows) => self.tools.orders.order_from(self.attempt, *rows).await,
            None => self.tools.orders.order(self.attempt).await,
        };
        let order = match order {
            Ok(order) => order,
            Err(none) => return self.no_order(none).await,
        };
        // A failure is hinted at and told by the next look.
        drop(self.tools.engine.launch(order));
        Next::Wait
    }

    /// Nothing of it was started.
    async fn no_order(&mut self, why: NoOrder) -> Next {
        match why {
            NoOrder::Store(error) if !error.may_pass() => {
                // It would not be read the next time either.
                log::error!("Cannot start attempt {}: {error}", self.attempt);
                self.tell_end(Fact::LaunchFailed(error.to_string())).await
            }
            NoOrder::Owner(NotRun::Withheld(why)) => {
                log::warn!("Attempt {} is not started, its job is held: {why}", self.attempt);
                self.tell(Fact::RequeueAsked { hold: Hold::ByUser }).await;
                self.tell_end(Fact::LaunchFailed(why)).await
            }
            NoOrder::Owner(NotRun::Later(why)) => {
                // It keeps no CPUs from others until somebody can say.
                log::warn!("Attempt {} is put off, its owner is not known: {why}", self.attempt);
                self.tell_end(Fact::UserUnknown(why)).await
            }
            NoOrder::Store(_) => {
                log::warn!("Cannot make the order of attempt {}: {why}", self.attempt);
                Next::Pause
            }
        }
    }

    async fn control(&mut self, key: &crate::engine::Key, stop: bool) -> Next {
        if !stop {
            return Next::Wait;
        }
        let control = Control { cancel: true, ..Control::default() };
        match self.tools.engine.control(key, control).await {
            Ok(()) => Next::Wait,
            Err(error) => self.failed("stop", &error),
        }
    }

    /// Tells the supervisor of a running script the limit that its job has now, and whether it is
    /// suspended.
    async fn adjust(&mut self, key: &crate::engine::Key, start: Time, count: u64) -> Next {
        let Wish { limit_s, suspend } = match self.tools.orders.wish(self.attempt, start).await {
            Ok(wish) => wish,
            Err(error) => {
                log::warn!("Cannot read what attempt {} shall do: {error}", self.attempt);
                return Next::Pause;
            }
        };
        let limit = Some(LimitWish::of(limit_s));
        let control = Control { limit, suspend, ..Control::default() };
        match self.tools.engine.control(key, control).await {
            Ok(()) => {
                self.adjustments_told = Some(count);
                Next::Wait
            }
            Err(error) => self.failed("adjust", &error),
        }
    }

    /// Hands over what it was sent.
    async fn give_signals(
        &mut self,
        key: &crate::engine::Key,
        count: u64,
    ) -> Result<(), SignalsKept> {
        let signals = self.tools.orders.signals(self.attempt, self.given).await?;
        if let Some(last) = signals.last().map(|signal| signal.no) {
            self.tools.engine.signal(key, signals).await?;
            self.given = last;
            self.tools.given.do_send(SignalsGiven { attempt: self.attempt, last });
        }
        self.signals_told = Some(count);
        Ok(())
    }

    /// Its supervisor is gone: nothing of it may live when the CPUs are given back.
    async fn lost(&mut self, key: &crate::engine::Key) -> Next {
        self.tell(Fact::Lost).await;
        match self.tools.engine.kill_leftovers(key).await {
            Ok(0) => {
                fault::point(fault::LOST_KILLED);
                let why = "the job's supervisor was killed; how the script ended is unknown";
                self.tell_end(Fact::Vanished(why.to_owned())).await
            }
            Ok(n) => {
                log::info!("{n} processes of lost attempt {} are being killed", self.attempt);
                Next::Pause
            }
            Err(error) => self.failed("kill the remains of", &error),
        }
    }

    fn failed(&self, what: &str, error: &EngineError) -> Next {
        log::warn!("Cannot {what} attempt {}, trying again: {error}", self.attempt);
        Next::Pause
    }

    async fn rest(&mut self) {
        self.rest_at_most(PAUSE_MAX).await;
    }

    async fn rest_at_most(&mut self, longest: Duration) {
        tokio::select! {
            () = actix_rt::time::sleep(self.pause) => {}
            _ = self.asked.changed() => {}
        }
        self.pause = (self.pause * 2).min(longest);
    }

    /// Tells a fact and waits until it is durable; answers whether it is.
    async fn tell(&self, fact: Fact) -> bool {
        let told = Observed { attempt: self.attempt, fact };
        let answer = self.tools.observed.send(told).await;
        let heard = matches!(answer, Ok(Ok(())));
        if !heard {
            log::debug!("Attempt {}: nobody hears ({answer:?}); boot will", self.attempt);
        }
        heard
    }

    async fn tell_end(&self, fact: Fact) -> Next {
        if self.tell(fact).await { Next::Over } else { Next::Unheard }
    }
}

fn never_ran() -> Exit {
    Exit {
        exit_code: None,
        stop: Some(Stop::Cancelled),
        handle: None,
        end_time: crate::clock::now(),
        usage: crate::job::outcome::Usage::default(),
        out_of_memory: None,
        left_behind: Vec::new(),
    }
}

/// What is told of an attempt that its supervisor is ending; of a cancel everybody knows.
fn fact_of(stopping: Stopping) -> Option<Fact> {
    match stopping {
        Stopping::Told(Stop::Cancelled) => None,
        Stopping::Told(Stop::TimeLimit) => Some(Fact::LimitReached),
        Stopping::Told(Stop::OutputLimit) => Some(Fact::OutputLimitReached),
        Stopping::Finishing => Some(Fact::ScriptEnded),
    }
}

fn end_of(record: ExitRecord) -> Fact {
    match record.launch_error {
        Some(error) => Fact::LaunchFailed(error),
        None => Fact::Exited(Exit {
            exit_code: record.exit_code,
            stop: record.stop,
            handle: record.handle,
            end_time: record.end_time,
            usage: record.usage,
            out_of_memory: record.out_of_memory,
            left_behind: record.left_behind,
        }),
    }
}
