//! *Purpose*: the engine that runs scripts on this machine, so that they outlive the server.
//!
//! *Owns*: [`LocalEngine`]; below it the step daemon, the supervisors and the spool.
//!
//! ```text
//! serve ──socketpair── step daemon ──socketpair── supervisor (an attempt's) ──posix_spawn── script
//!   │ ▲                                           │ │
//!   │ └────────── one pipe: started, ended ───────┘ │
//!   └── spool/<key>/{order,script,state,control,exit}
//! ```
//!
//! *Promises*: [`LocalEngine::start`] returns only when one step daemon, this one, can start
//! anything, so no answer of `reattach` is overtaken by an old order; answers come from the
//! spool, never from memory; an end is one that a supervisor wrote, or none.
//!
//! *Not here*: the words between them (`report`), who lives (`proc`), what follows (`actors`).

mod crew;
mod errands;
mod launch;
mod link;
mod mail;
mod memory;
mod pool;
pub mod proc;
mod remains;
mod report;
mod spool;
pub mod stepd;
mod supervisor;
mod sys;
mod vigil;
mod watch;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{Either, select};
use rustix::fs::FlockOperation;
use rustix::process::Signal;
use tokio::sync::oneshot;

use self::errands::Errands;
use self::link::{Link, Recipe};
use self::memory::Means;
use self::pool::Pool;
use self::proc::Identity;
use self::remains::Traceless;
use self::spool::{End, Folder, State};
use self::watch::{Attempts, Entry, held};
use super::{Control, Engine, EngineError, Key, Later, Order, Sighting};
use crate::fault;

/// How soon `changed` suggests another look at an attempt of a former server whose supervisor
/// has not yet written who it is, or is gone by now: both last microseconds.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How to start a [`LocalEngine`].
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// The data folder; `spool/`, `stepd.lock` and `stepd.log` are made in it.
    pub data_dir: PathBuf,
    /// The program whose hidden subcommand `stepd` is the step daemon: this one.
    pub program: PathBuf,
    /// The soft limit of open files that scripts shall have: the one the server was started
    /// with, before it raised its own. `None` leaves it alone.
    pub soft_nofile: Option<u64>,
    /// Whether control groups are used where they can be.
    pub control_groups: bool,
}

impl LocalConfig {
    /// The usual: this very program.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> LocalConfig {
        let program = PathBuf::from("/proc/self/exe");
        LocalConfig { data_dir: data_dir.into(), program, soft_nofile: None, control_groups: true }
    }
}

/// The identity of this boot of the machine, for [`Key::boot_id`].
///
/// # Errors
/// When `/proc` is not mounted.
pub fn boot_id() -> io::Result<String> {
    proc::boot_id()
}

/// Scripts as processes of this machine. Dropping it ends the step daemon, not the jobs.
#[derive(Debug)]
pub struct LocalEngine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    data_dir: PathBuf,
    boot_id: String,
    attempts: Arc<Attempts>,
    link: Arc<Link>,
    pool: Pool,
    errands: Arc<Errands>,
    memory: Means,
    /// The same for people.
    memory_says: String,
    /// The pipe of all supervisors, until somebody hears it.
    reports: Mutex<Option<OwnedFd>>,
}

impl Drop for LocalEngine {
    fn drop(&mut self) {
        self.inner.link.close();
    }
}

impl LocalEngine {
    /// Starts the step daemon and returns when it is ready. Blocks, for milliseconds; for up
    /// to ten seconds when a former step daemon hangs.
    ///
    /// # Errors
    /// When the data folder cannot be used or no daemon can be started.
    pub fn start(config: LocalConfig) -> Result<LocalEngine, EngineError> {
        let spool = config.data_dir.join("spool");
        let error = |source| EngineError::Spool { path: spool.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&spool).map_err(error)?;
        let data_dir = config.data_dir.canonicalize().map_err(error)?;
        let boot_id = proc::boot_id().map_err(EngineError::Daemon)?;
        let attempts = Arc::new(Attempts::default());
        let (reports, report_out) = report::pipe().map_err(EngineError::Daemon)?;
        let reports = Mutex::new(Some(reports));
        let (memory, memory_says) = match config.control_groups {
            true => Means::find(),
            false => Means::without_groups("none are wanted"),
        };
        memory.sweep(|name| spool.join(name).exists());
        let recipe = Recipe {
            program: config.program,
            data_dir: data_dir.clone(),
            soft_nofile: config.soft_nofile,
            memory: memory.clone(),
            report_out,
        };
        let link = Link::start(recipe, Arc::clone(&attempts)).map_err(EngineError::Daemon)?;
        let pool = Pool::new(&data_dir);
        let errands = Arc::default();
        let inner = Inner {
            data_dir,
            boot_id,
            attempts,
            link,
            pool,
            errands,
            memory,
            memory_says,
            reports,
        };
        Ok(LocalEngine { inner: Arc::new(inner) })
    }

    /// The step daemon's process id, while there is one.
    #[must_use]
    pub fn step_daemon(&self) -> Option<i32> {
        self.inner.link.daemon()
    }

    /// Gives an order, away from the threads that answer requests. `word` is where the supervisor
    /// hears when to start.
    fn begin(&self, order: Order, word: OwnedFd, entry: Arc<Entry>) -> oneshot::Receiver<()> {
        entry.under_way.store(true, Ordering::Release);
        let (inner, hand) = (Arc::clone(&self.inner), self.inner.errands.lend_a_hand());
        let (done, wait) = oneshot::channel::<()>();
        tokio::task::spawn_blocking(move || {
            let failure = inner.give_order(order, &word).err();
            drop(word);
            // The daemon will only tell of what it was sent.
            let nobody_else_hints = failure.is_some() || entry.sent() == 0;
            *held(&entry.failure) = failure;
            entry.under_way.store(false, Ordering::Release);
            if nobody_else_hints {
                entry.hint.notify_one();
            }
            drop(done);
            hand.run(|name| inner.take_back(name));
        });
        wait
    }

    /// Work that touches files, away from the threads that answer requests.
    fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, EngineError> + Send + 'static,
    ) -> Later<'_, Result<T, EngineError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            match tokio::task::spawn_blocking(move || work(&inner)).await {
                Ok(answer) => answer,
                Err(e) => Err(EngineError::Daemon(io::Error::other(e))),
            }
        })
    }
}

impl Inner {
    fn folder(&self, name: &str) -> Folder {
        Folder::new(&self.data_dir, name)
    }

    fn give_order(&self, order: Order, word: &OwnedFd) -> Result<(), EngineError> {
        let name = order.key.name();
        if !self.pool.write_order(&self.folder(&name), order)? {
            return Ok(());
        }
        fault::point(fault::LAUNCH_ORDER_WRITTEN);
        let entry = self.attempts.entry(&name);
        self.link
            .send(&name, word, |generation| entry.set_sent(generation))
            .map_err(EngineError::Daemon)?;
        fault::point(fault::LAUNCH_SENT);
        Ok(())
    }

    /// From the first launch or wait on, what supervisors say is heard where that is.
    fn listen(&self) {
        if let Some(pipe) = held(&self.reports).take() {
            tokio::spawn(report::hear_all(pipe, Arc::clone(&self.attempts)));
        }
    }

    fn take_back(&self, name: &str) {
        fault::point(fault::RELEASE_COLLECTING);
        self.attempts.forget(name);
        if let Err(e) = self.pool.take_back(&self.folder(name)) {
            // Harmless and seen again: `known` lists it at the next start.
            log::warn!("{e}");
        }
    }

    fn reattach(&self, key: &Key) -> Result<Sighting, EngineError> {
        let name = key.name();
        let folder = self.folder(&name);
        if let Some(end) = folder.read_exit()? {
            return self.at_end(key, end);
        }
        if key.boot_id != self.boot_id {
            return Ok(Sighting::OtherBoot);
        }
        let entry = self.attempts.get(&name);
        if let Some(failure) = entry.as_ref().and_then(|e| held(&e.failure).take()) {
            return Err(failure);
        }
        if entry.as_ref().is_some_and(|e| held(&e.lost).is_some()) {
            return Ok(Sighting::Lost);
        }
        let Some(mut file) = folder.open_state()? else {
            return self.without_state(key, &folder);
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                // Free: the supervisor is gone. It may have written its record since we looked.
                if let Some(end) = folder.read_exit()? {
                    return self.at_end(key, end);
                }
                *held(&self.attempts.entry(&name).lost) = Some(file);
                fault::point(fault::LOST_LOCKED);
                Ok(Sighting::Lost)
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let state = folder.read_open_state(&mut file)?;
                let sighting = alive(&state);
                if let (Sighting::Launching, Some(supervisor)) =
                    (&sighting, self.supervisor(&state))
                {
                    // A script may stop it before it has said who the script is.
                    proc::signal(supervisor, Signal::CONT);
                }
                *held(&self.attempts.entry(&name).seen) = Some(state);
                Ok(sighting)
            }
            Err(e) => Err(folder.error("state", e.into())),
        }
    }

    /// What can be said of an attempt whose supervisor has written its last word.
    fn at_end(&self, key: &Key, end: End) -> Result<Sighting, EngineError> {
        match end {
            End::Record(record) => Ok(Sighting::Exited(record)),
            // A key is good for one boot.
            End::Withdrawn if key.boot_id != self.boot_id => Ok(Sighting::OtherBoot),
            End::Withdrawn => {
                let name = &key.name();
                // As if there had never been an order: this one may be given again.
                self.attempts.forget(name);
                self.folder(name).remove()?;
                Ok(Sighting::NeverStarted)
            }
        }
    }

    /// What can be said of an attempt that has no `state`: it was never begun, or somebody took
    /// its folder away. An attempt that lives must not look unbegun: it would run twice.
    fn without_state(&self, key: &Key, folder: &Folder) -> Result<Sighting, EngineError> {
        let name = &key.name();
        let unseen = |e| folder.error("state", e);
        let entry = self.attempts.entry(name);
        // After its end the same supervisor may serve another attempt.
        if !entry.over.load(Ordering::Acquire)
            && let Some(state) = held(&entry.seen).clone()
            && let Some(supervisor) = self.supervisor(&state)
        {
            if proc::find(supervisor).map_err(unseen)?.is_some() {
                return Ok(alive(&state));
            }
            entry.over.store(true, Ordering::Release);
        }
        let over = entry.over.load(Ordering::Acquire);
        if over {
            // It may have written its record since we looked.
            return match folder.read_exit()? {
                Some(end) => self.at_end(key, end),
                None => Ok(Sighting::Lost),
            };
        }
        let under_way = entry.under_way.load(Ordering::Acquire);
        if under_way || entry.sent() != 0 && entry.sent() == self.link.generation() {
            // Sent to the daemon that lives, or just about to be: it may be in its socket.
            return Ok(Sighting::Launching);
        }
        let daemon = self.link.daemon();
        match remains::without_folder(name, &self.data_dir, daemon).map_err(unseen)? {
            Traceless::Nobody => Ok(Sighting::NeverStarted),
            Traceless::Supervised(supervisor) => {
                let boot_id = self.boot_id.clone();
                let state = State { boot_id, supervisor: Some(supervisor), ..State::default() };
                *held(&entry.seen) = Some(state);
                Ok(Sighting::Launching)
            }
            Traceless::Abandoned => {
                entry.over.store(true, Ordering::Release);
                Ok(Sighting::Lost)
            }
        }
    }

    /// What `state` says, or said when it was last seen.
    fn state(&self, name: &str) -> Result<State, EngineError> {
        let seen = || held(&self.attempts.get(name)?.seen).clone();
        Ok(self.folder(name).read_state()?.or_else(seen).unwrap_or_default())
    }

    /// The supervisor of an attempt of this boot, if it has said who it is.
    fn supervisor(&self, state: &State) -> Option<Identity> {
        state.supervisor.filter(|_| state.boot_id == self.boot_id)
    }

    fn control(&self, name: &str, control: Control) -> Result<(), EngineError> {
        let folder = self.folder(name);
        folder.create()?;
        folder.write_control(control)?;
        fault::point(fault::CANCEL_WRITTEN);
        let state = self.state(name)?;
        // One that has not said who it is will read the wish before it spawns anything.
        if let Some(supervisor) = self.supervisor(&state) {
            proc::signal(supervisor, Signal::USR1);
            // It may have been stopped.
            proc::signal(supervisor, Signal::CONT);
        }
        Ok(())
    }

    fn kill_remains(&self, key: &Key) -> Result<usize, EngineError> {
        let name = key.name();
        let folder = self.folder(&name);
        match self.reattach(key)? {
            Sighting::Lost => {}
            Sighting::OtherBoot | Sighting::NeverStarted | Sighting::Exited(_) => return Ok(0),
            other => {
                let sentence = format!("its supervisor lives ({other:?})");
                return Err(folder.error("state", io::Error::other(sentence)));
            }
        }
        let state = self.state(&name)?;
        let them = remains::of_lost(&name, &state, self.link.daemon());
        let seen =
            them.and_then(|them| remains::kill(&them)).map_err(|e| folder.error("state", e))?;
        if seen == 0
            && let Some(group) = state.group.filter(|group| group.ends_with(&name))
            && let Err(e) = memory::remove(&group)
        {
            log::warn!("The control group {} is left behind: {e}", group.display());
        }
        Ok(seen)
    }

    fn processes(&self, key: &Key) -> Result<Vec<i32>, EngineError> {
        let name = key.name();
        let state = self.state(&name)?;
        let folder = self.folder(&name);
        let unseen = |e| folder.error("state", e);
        if let Some(supervisor) = self.supervisor(&state)
            && proc::find(supervisor).map_err(unseen)?.is_some()
        {
            let them = remains::under_supervisor(supervisor);
            // If it has gone on to another attempt meanwhile, they are of that one.
            let is_over = folder.has_exit()
                || self.supervisor(&self.state(&name)?).is_none_or(|now| now != supervisor);
            return Ok(if is_over { Vec::new() } else { them });
        }
        if folder.has_exit() {
            // Written when the last process was gone.
            return Ok(Vec::new());
        }
        let them = remains::of_lost(&name, &state, self.link.daemon()).map_err(unseen)?;
        Ok(them.into_iter().map(|one| one.pid).collect())
    }

    /// What to wait for beside hints: a supervisor whose hints do not reach us.
    fn stranger(&self, name: &str) -> Stranger {
        let folder = self.folder(name);
        if folder.has_exit() {
            return Stranger::Ended;
        }
        let seen = || held(&self.attempts.get(name)?.seen).clone();
        let state = match folder.read_state() {
            Ok(Some(state)) if state.script.is_some() => state,
            // One whose `state` was taken away will not say more in it.
            Ok(None) => match seen() {
                Some(state) => state,
                None => return Stranger::Absent,
            },
            _ => return Stranger::Passing,
        };
        match self.supervisor(&state).and_then(proc::open) {
            Some(fd) => Stranger::Alive(fd),
            None => Stranger::Passing,
        }
    }

    async fn changed(&self, name: &str) {
        self.listen();
        let entry = self.attempts.entry(name);
        let sent = entry.sent();
        let under_way = entry.under_way.load(Ordering::Acquire);
        if under_way || sent != 0 && sent == self.link.generation() {
            return entry.hint.notified().await;
        }
        let hint = pin!(entry.hint.notified());
        match self.stranger(name) {
            Stranger::Ended => {}
            Stranger::Absent => hint.await,
            Stranger::Passing => {
                let _ = select(hint, pin!(tokio::time::sleep(LOOK_AGAIN))).await;
            }
            Stranger::Alive(pidfd) => match sys::watch_readable(pidfd) {
                Ok(pidfd) => match select(hint, pin!(pidfd.readable())).await {
                    Either::Left(_) | Either::Right(_) => {}
                },
                // No descriptor left to watch with: look again soon instead.
                Err(_) => {
                    let _ = select(hint, pin!(tokio::time::sleep(LOOK_AGAIN))).await;
                }
            },
        }
    }
}

/// What a state whose supervisor lives says.
fn alive(state: &State) -> Sighting {
    match state.handle() {
        Some(handle) => Sighting::Running { handle, stopping: state.stopping },
        None => Sighting::Launching,
    }
}

/// What is known of an attempt whose hints do not come to this server.
enum Stranger {
    /// Its record is there.
    Ended,
    /// Nothing was started.
    Absent,
    /// It is about to say who it is, or about to be seen as gone.
    Passing,
    /// This is its supervisor; readable when it ends.
    Alive(OwnedFd),
}

impl Engine for LocalEngine {
    fn prepare(&self, order: Order) {
        let entry = self.inner.attempts.entry(&order.key.name());
        let mut word = held(&entry.word);
        // Without a pipe nothing is ahead, and the launch says why.
        if word.is_none()
            && let Ok((theirs, ours)) = report::word()
        {
            *word = Some(ours);
            drop(word);
            drop(self.begin(order, theirs, entry));
        }
    }

    fn launch_prepared(&self, key: &Key) -> bool {
        self.inner.listen();
        let entry = self.inner.attempts.get(&key.name());
        let word = entry.and_then(|entry| held(&entry.word).take());
        word.is_some_and(|word| report::give(&word).is_ok())
    }

    fn launch(&self, order: Order) -> Later<'static, Result<(), EngineError>> {
        self.inner.listen();
        let given = report::word().and_then(|(theirs, ours)| report::give(&ours).map(|()| theirs));
        let entry = self.inner.attempts.entry(&order.key.name());
        let done = match given {
            Ok(theirs) => self.begin(order, theirs, Arc::clone(&entry)),
            Err(e) => {
                *held(&entry.failure) = Some(EngineError::Daemon(e));
                entry.hint.notify_one();
                oneshot::channel().1
            }
        };
        Box::pin(async move {
            let _done = done.await;
            held(&entry.failure).take().map_or(Ok(()), Err)
        })
    }

    fn reattach<'a>(&'a self, key: &'a Key) -> Later<'a, Result<Sighting, EngineError>> {
        // Two reads of files that were just written cost less than another thread.
        Box::pin(async move { self.inner.reattach(key) })
    }

    fn changed<'a>(&'a self, key: &'a Key) -> Later<'a, ()> {
        Box::pin(async move { self.inner.changed(&key.name()).await })
    }

    fn control<'a>(&'a self, key: &'a Key, control: Control) -> Later<'a, Result<(), EngineError>> {
        let name = key.name();
        self.aside(move |inner| inner.control(&name, control))
    }

    fn kill_remains<'a>(&'a self, key: &'a Key) -> Later<'a, Result<usize, EngineError>> {
        let key = key.clone();
        self.aside(move |inner| inner.kill_remains(&key))
    }

    fn collect(&self, key: &Key) -> Later<'static, ()> {
        let (done, hand) = self.inner.errands.leave(key.name());
        if let Some(hand) = hand {
            let inner = Arc::clone(&self.inner);
            tokio::task::spawn_blocking(move || hand.run(|name| inner.take_back(name)));
        }
        Box::pin(async move {
            let _gone = done.await;
        })
    }

    fn known(&self) -> Later<'_, Result<Vec<String>, EngineError>> {
        self.aside(|inner| spool::known(&inner.data_dir.join("spool")))
    }

    fn processes<'a>(&'a self, key: &'a Key) -> Later<'a, Result<Vec<i32>, EngineError>> {
        let key = key.clone();
        self.aside(move |inner| inner.processes(&key))
    }

    fn isolation(&self) -> BTreeMap<String, String> {
        let groups = match self.inner.memory {
            Means::Groups(..) => "one for each job that asks for memory",
            Means::DataLimit => "not used",
        };
        let says = [
            ("cpus", "scripts are pinned to their CPUs where the machine has these CPUs"),
            (
                "processes",
                "its supervisor adopts every descendant of a script; all of them end with it",
            ),
            (
                "lost supervisors",
                "what remains is found by DOWNBEAT_KEY, session, group and parentage; a process \
                 that left its session and emptied its environment can escape if the step \
                 daemon was killed as well",
            ),
            ("cgroups", groups),
            ("memory", &self.inner.memory_says),
        ];
        says.into_iter().map(|(name, says)| (name.to_owned(), says.to_owned())).collect()
    }
}
