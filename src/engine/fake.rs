//! *Purpose*: an engine whose world is written by a test.
//!
//! *Owns*: [`FakeEngine`] and the [`Plan`]s by which its scripts behave; a diary of what it was
//! asked.
//!
//! *Promises*: it keeps the promises of [`Engine`] (`tests/engine_conformance` runs the same
//! cases against it); it survives the server: a clone is a new server's look at the same world.
//!
//! *Not here*: processes (`engine::local`).

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};

use super::{
    AttemptStatus, Control, Elsewhere, Engine, EngineError, ExitRecord, Handle, Key, Measured,
    OpenError, Order, Person, Stop, Stopping, StreamFile, Trouble,
};
use crate::clock;
use crate::job::outcome::{ExitCode, Usage};
use crate::job::signal::NumberedSignal;
use crate::trees;

/// How a script behaves once it is launched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Plan {
    /// Starts; ends when the test says so, or with `0:15` when it is cancelled.
    #[default]
    Runs,
    /// Starts and ends at once.
    Exits(ExitCode),
    /// Starts; a cancel is heard, but it ends only when the test says so.
    Stubborn,
    /// Nothing happens until the test says so: the order is on its way.
    Waits,
    /// Is not started, with this sentence.
    Fails(String),
    /// Starts and loses its supervisor; so many processes remain.
    Vanishes(usize),
}

/// One thing the engine was asked, in the order of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A launch that began an attempt (a repeated one begins nothing).
    Launch(String),
    /// A wish.
    Control(String, Control),
    /// Signals.
    Signal(String, Vec<NumberedSignal>),
    /// One round of killing.
    KillLeftovers(String),
    /// Forgotten.
    Forget(String),
}

#[derive(Debug, Default)]
struct Attempt {
    order: Option<Order>,
    plan: Plan,
    status: Option<AttemptStatus>,
    failure: Option<EngineError>,
    cancelled: bool,
    leftovers: usize,
    hint: Arc<Notify>,
}

#[derive(Debug, Default)]
struct World {
    attempts: BTreeMap<String, Attempt>,
    plans: VecDeque<Plan>,
    usual: Plan,
    refusals: usize,
    diary: Vec<Asked>,
    launches: Vec<Order>,
    last_pid: i32,
    trouble: watch::Sender<Trouble>,
}

/// An engine in memory. Clones share one world, as servers that follow each other do.
#[derive(Clone, Debug, Default)]
pub struct FakeEngine(Arc<Mutex<World>>);

impl FakeEngine {
    /// An engine whose scripts follow [`Plan::Runs`].
    #[must_use]
    pub fn new() -> FakeEngine {
        FakeEngine::default()
    }

    /// An engine whose scripts follow this plan unless [`FakeEngine::plan_next`] says otherwise.
    #[must_use]
    pub fn with_plan(plan: Plan) -> FakeEngine {
        let engine = FakeEngine::default();
        engine.world().usual = plan;
        engine
    }

    /// The next launch without a plan of its own follows this one; may be called ahead for
    /// several.
    pub fn plan_next(&self, plan: Plan) {
        self.world().plans.push_back(plan);
    }

    /// The next `count` launches are refused with an error; nothing is started.
    pub fn refuse_launches(&self, count: usize) {
        self.world().refusals = count;
    }

    /// The script is spawned (of an order that waits). Answers its handle.
    pub fn start(&self, key: &Key) -> Handle {
        self.world().start(&key.name())
    }

    /// The script ends by itself, or at last after a stop, which the record then names.
    pub fn exit(&self, key: &Key, code: ExitCode) {
        self.world().exit(&key.name(), code);
    }

    /// The time limit passes: the supervisor stops the script, which ends unless stubborn.
    pub fn reach_limit(&self, key: &Key) {
        self.world().stop(&key.name(), Stop::TimeLimit);
    }

    /// Any end whatever.
    pub fn end(&self, key: &Key, record: ExitRecord) {
        self.world().see(&key.name(), AttemptStatus::Exited(record));
    }

    /// The supervisor vanishes; `leftovers` processes of its script live on.
    pub fn lose(&self, key: &Key, leftovers: usize) {
        self.world().lose(&key.name(), leftovers);
    }

    /// The machine restarts: every attempt without a record belongs to another boot.
    pub fn reboot(&self) {
        let mut world = self.world();
        let names: Vec<String> = world.attempts.keys().cloned().collect();
        for name in names {
            let seen = world.attempts.get(&name).and_then(|a| a.status.as_ref());
            if !matches!(seen, Some(AttemptStatus::Exited(_))) {
                world.see(&name, AttemptStatus::Foreign(Elsewhere::Boot));
            }
        }
    }

    /// The machine is short of something that these attempts wait for; of nothing when there are
    /// none.
    pub fn is_short_for(&self, keys: &[&Key]) {
        let why = |key: &&Key| (key.name(), "no process could be started".to_owned());
        self.world().trouble.send_replace(Trouble(keys.iter().map(why).collect()));
    }

    /// A hint without news.
    pub fn hint(&self, key: &Key) {
        self.world().attempt(&key.name()).hint.notify_one();
    }

    /// What has become of it, without waiting.
    #[must_use]
    pub fn status(&self, key: &Key) -> AttemptStatus {
        self.world().status(&key.name())
    }

    /// Every order that began an attempt, in order.
    #[must_use]
    pub fn launches(&self) -> Vec<Order> {
        self.world().launches.clone()
    }

    /// Everything it was asked that changes the world, in order.
    #[must_use]
    pub fn diary(&self) -> Vec<Asked> {
        self.world().diary.clone()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A test that panicked is reported; the next may still look.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    fn attempt(&mut self, name: &str) -> &mut Attempt {
        self.attempts.entry(name.to_owned()).or_default()
    }

    fn status(&self, name: &str) -> AttemptStatus {
        let seen = self.attempts.get(name).and_then(|a| a.status.clone());
        seen.unwrap_or(AttemptStatus::NeverStarted)
    }

    fn see(&mut self, name: &str, status: AttemptStatus) {
        let attempt = self.attempt(name);
        attempt.status = Some(status);
        attempt.hint.notify_one();
    }

    fn failure(&mut self, name: &str) -> Result<(), EngineError> {
        match self.attempt(name).failure.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn launch(&mut self, order: Order) {
        let name = order.key.name();
        if self.attempts.get(&name).is_some_and(|a| a.status.is_some()) {
            return;
        }
        if self.refusals > 0 {
            self.refusals -= 1;
            let refused = EngineError::Daemon(io::Error::other("refused by the test"));
            let attempt = self.attempt(&name);
            attempt.failure = Some(refused);
            attempt.hint.notify_one();
            return;
        }
        self.diary.push(Asked::Launch(name.clone()));
        self.launches.push(order.clone());
        let plan = self.plans.pop_front().unwrap_or_else(|| self.usual.clone());
        let attempt = self.attempt(&name);
        attempt.order = Some(order);
        attempt.plan = plan.clone();
        self.see(&name, AttemptStatus::Launching);
        match plan {
            _ if self.attempt(&name).cancelled && plan != Plan::Waits => {
                self.end(&name, None, Some(Stop::Cancelled), None);
            }
            Plan::Runs | Plan::Stubborn => drop(self.start(&name)),
            Plan::Exits(code) => {
                self.start(&name);
                self.exit(&name, code);
            }
            Plan::Waits => {}
            Plan::Fails(sentence) => self.end(&name, None, None, Some(sentence)),
            Plan::Vanishes(leftovers) => {
                self.start(&name);
                self.lose(&name, leftovers);
            }
        }
    }

    fn start(&mut self, name: &str) -> Handle {
        self.last_pid += 1;
        // Beyond any pid of Linux, so that a test that signals one hits nobody.
        let handle = Handle { pid: 5_000_000 + self.last_pid, start_time: clock::now() };
        if self.attempt(name).cancelled {
            self.end(name, None, Some(Stop::Cancelled), None);
        } else {
            self.see(name, AttemptStatus::Running { handle, stopping: None });
        }
        handle
    }

    fn exit(&mut self, name: &str, code: ExitCode) {
        let stop = match self.status(name) {
            AttemptStatus::Running { stopping: Some(Stopping::Told(stop)), .. } => Some(stop),
            _ => None,
        };
        self.end(name, Some(code), stop, None);
    }

    fn stop(&mut self, name: &str, stop: Stop) {
        let AttemptStatus::Running { handle, stopping: None } = self.status(name) else { return };
        self.see(name, AttemptStatus::Running { handle, stopping: Some(Stopping::Told(stop)) });
        if self.attempt(name).plan != Plan::Stubborn {
            self.exit(name, ExitCode { code: 0, signal: 15 });
        }
    }

    fn lose(&mut self, name: &str, leftovers: usize) {
        self.attempt(name).leftovers = leftovers;
        self.see(name, AttemptStatus::Lost);
    }

    fn end(
        &mut self,
        name: &str,
        exit_code: Option<ExitCode>,
        stop: Option<Stop>,
        launch_error: Option<String>,
    ) {
        let handle = match self.status(name) {
            AttemptStatus::Running { handle, .. } => Some(handle),
            _ => None,
        };
        let (end_time, usage) = (clock::now(), Usage::default());
        let record = ExitRecord {
            version: 3,
            exit_code,
            stop,
            launch_error,
            handle,
            end_time,
            usage,
            out_of_memory: None,
            left_behind: Vec::new(),
        };
        self.see(name, AttemptStatus::Exited(record));
    }

    fn control(&mut self, name: &str, control: Control) {
        self.diary.push(Asked::Control(name.to_owned(), control));
        if control.cancel {
            self.attempt(name).cancelled = true;
            self.stop(name, Stop::Cancelled);
        }
    }

    fn kill_leftovers(&mut self, name: &str) -> usize {
        self.diary.push(Asked::KillLeftovers(name.to_owned()));
        std::mem::take(&mut self.attempt(name).leftovers)
    }
}

impl Engine for FakeEngine {
    fn launch(&self, order: Order) -> BoxFuture<'static, Result<(), EngineError>> {
        let (world, name) = (self.clone(), order.key.name());
        self.world().launch(order);
        Box::pin(async move { world.world().failure(&name) })
    }

    fn reattach<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<AttemptStatus, EngineError>> {
        Box::pin(async move {
            self.world().failure(&key.name())?;
            Ok(self.status(key))
        })
    }

    fn changed<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, ()> {
        let hint = Arc::clone(&self.world().attempt(&key.name()).hint);
        Box::pin(async move { hint.notified().await })
    }

    fn control<'a>(
        &'a self,
        key: &'a Key,
        control: Control,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            self.world().control(&key.name(), control);
            Ok(())
        })
    }

    fn signal<'a>(
        &'a self,
        key: &'a Key,
        signals: Vec<NumberedSignal>,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            self.world().diary.push(Asked::Signal(key.name(), signals));
            Ok(())
        })
    }

    fn kill_leftovers<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<usize, EngineError>> {
        Box::pin(async move { Ok(self.world().kill_leftovers(&key.name())) })
    }

    fn forget(&self, key: &Key) -> BoxFuture<'static, ()> {
        let mut world = self.world();
        world.diary.push(Asked::Forget(key.name()));
        world.attempts.remove(&key.name());
        Box::pin(async {})
    }

    fn known(&self) -> BoxFuture<'_, Result<Vec<String>, EngineError>> {
        Box::pin(async move { Ok(self.world().attempts.keys().cloned().collect()) })
    }

    fn processes<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Vec<i32>, EngineError>> {
        Box::pin(async move {
            Ok(match self.status(key) {
                AttemptStatus::Running { handle, .. } => vec![handle.pid],
                _ => Vec::new(),
            })
        })
    }

    fn measure(&self) -> BoxFuture<'static, Result<Vec<(Key, Measured)>, EngineError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn forget_secrets(&self) {}

    fn borne(&self) -> BoxFuture<'_, Result<Vec<Key>, EngineError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn open_stream(&self, _: Person, _: StreamFile) -> BoxFuture<'static, Result<File, OpenError>> {
        Box::pin(async { Err(OpenError::Absent) })
    }

    fn remove_tree(
        &self,
        _: Option<Person>,
        folder: PathBuf,
    ) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async move {
            let parts = folder.parent().zip(folder.file_name().and_then(|name| name.to_str()));
            parts.map_or(Ok(()), |(above, name)| trees::remove(above, name))
        })
    }

    fn trouble(&self) -> watch::Receiver<Trouble> {
        self.world().trouble.subscribe()
    }

    fn cannot_suspend(&self) -> Option<String> {
        None
    }

    fn denies_devices(&self) -> bool {
        false
    }

    fn isolation(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("processes".to_owned(), "none: this engine is a fake".to_owned())])
    }
}
