//! *Purpose*: the engine that runs scripts on this machine, so that they outlive the server.
//!
//! *Owns*: [`LocalEngine`]; below it the step daemon, the supervisors and the spool.
//!
//! ```text
//! serve ──socketpair── step daemon ──socketpair── supervisor (an attempt's) ──fork, exec── script
//!   │ ▲                                           │ │
//!   │ └────────── one pipe: started, ended ───────┘ │
//!   └── spool/<key>/{order,script,state,control,exit}
//! ```
//!
//! *Promises*: [`LocalEngine::start`] returns only when one step daemon, this one, can start
//! anything, so no answer of `reattach` is overtaken by an old order; answers come from the
//! spool, never from memory; an end is one that a supervisor wrote, or none.
//!
//! *Not here*: what has become of an attempt (`look`), the words between these processes
//! (`notice`), who lives (`proc`), what follows (`actors`).

mod affinity_and_oom;
mod attempt_watch;
mod attempts;
mod cgroup;
mod child;
mod cleanup;
mod client;
mod devices;
mod fd_passing;
mod fitness;
mod folder_pool;
mod freezer;
mod helper;
mod helpers;
mod inner;
mod landlock;
mod launch;
mod launcher;
mod look;
mod memory;
mod meter;
mod notice;
mod notice_reader;
mod opener;
mod origin;
mod own_files;
mod persons;
mod plain;
mod probe;
pub mod proc;
mod processes;
mod proctrack;
mod scratch;
mod served_attempt;
mod signal_files;
mod spool;
mod start;
mod state;
pub mod stepd;
mod supervisor;
mod supervisor_pool;
mod sys;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::{oneshot, watch as channel};

use self::attempts::{Attempts, Entry, held};
use self::client::{DaemonClient, DaemonCommand};
use self::devices::Wall;
use self::folder_pool::FolderPool;
use self::freezer::Freezer;
use self::inner::Inner;
use self::look::AdoptedSupervisor;
use self::memory::MemoryControl;
pub use self::origin::{Machine, Origin};
use self::persons::Persons;
pub use self::plain::read as read_plain;
use self::proctrack::ProcTrack;
use self::scratch::Scratch;
use super::{
    AttemptStatus, BoxFuture, Control, Elsewhere, Engine, EngineError, Key, Measured, OpenError,
    Order, Person, StreamFile, Trouble,
};
use crate::fault;
use crate::job::signal::NumberedSignal;

/// How soon `changed` suggests another look at an attempt of a former server whose supervisor
/// has not yet written who it is, or is gone by now: both last microseconds.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The same for one whose supervisor is in another container: its end is seen by its lock alone.
const LOOK_ELSEWHERE: Duration = Duration::from_secs(1);

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
    /// The folder below which each attempt has a private folder; `scratch` in the data folder when
    /// there is none. Nobody else may use it: what bears the name of an ended attempt goes.
    pub scratch: Option<PathBuf>,
    /// Whether control groups are used where they can be.
    pub control_groups: bool,
    /// Whether control groups of version 1 are passed over where devices are denied: where a
    /// machine has both, tests try version 2 so.
    pub only_version_2: bool,
    /// Whether orders will ask for scripts whose signals are confined; refused where that cannot
    /// be.
    pub confine_signals: bool,
    /// Whose attempts are ours; by default those of a folder that belongs to no installation.
    pub origin: Option<Origin>,
    /// Where attempts come from that are not.
    pub elsewhere: Elsewhere,
    /// Whether orders may name a [`Person`]. Only root can serve others.
    pub people: bool,
    /// The lowest number of a user whom they may name.
    pub floor: u32,
    /// Whether they may name nobody then, and root runs them.
    pub root_jobs: bool,
}

/// The lowest number that login.defs gives to a user who is no service of the system's.
const FLOOR: u32 = 1000;

impl LocalConfig {
    /// The usual: this very program.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> LocalConfig {
        let program = PathBuf::from("/proc/self/exe");
        LocalConfig {
            data_dir: data_dir.into(),
            program,
            soft_nofile: None,
            scratch: None,
            control_groups: true,
            only_version_2: false,
            confine_signals: false,
            origin: None,
            elsewhere: Elsewhere::default(),
            people: false,
            floor: FLOOR,
            root_jobs: false,
        }
    }
}

/// Scripts as processes of this machine. Dropping it ends the step daemon, not the jobs.
#[derive(Debug)]
pub struct LocalEngine {
    inner: Arc<Inner>,
}

impl Drop for LocalEngine {
    fn drop(&mut self) {
        self.inner.client.close();
    }
}

/// What control groups do here, with the sentences for `/info`.
struct Groups {
    memory: (MemoryControl, String),
    track: ProcTrack,
    wall: (Wall, String),
    freezer: (Freezer, String),
}

impl Groups {
    /// Finds it out, and removes what attempts left behind that nobody knows any more.
    fn find(config: &LocalConfig, spool: &Path) -> Groups {
        const WHY: &str = "none are wanted";
        let groups = match config.control_groups {
            true => Groups {
                memory: MemoryControl::find(),
                track: ProcTrack::find(),
                wall: Wall::find(config.only_version_2),
                freezer: Freezer::find(config.only_version_2),
            },
            false => Groups {
                memory: MemoryControl::without_groups(WHY),
                track: ProcTrack::nowhere(),
                wall: Wall::advisory(WHY),
                freezer: Freezer::absent(WHY),
            },
        };
        let is_known = |name: &str| spool.join(name).exists();
        groups.memory.0.sweep(is_known);
        groups.track.sweep();
        groups.wall.0.sweep(is_known);
        groups.freezer.0.sweep(is_known);
        groups
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
        probe::probe(&spool).map_err(|e| EngineError::Machine(e.to_string()))?;
        if config.confine_signals {
            landlock::can_confine().map_err(EngineError::Machine)?;
        }
        let persons = served(&config, &data_dir, &spool)?;
        let groups = Groups::find(&config, &spool);
        let origin = config.origin.map_or_else(Origin::here, Ok).map_err(EngineError::Daemon)?;
        let attempts = Arc::new(Attempts::default());
        let (notices, notices_out) = notice::pipe().map_err(EngineError::Daemon)?;
        let Groups { memory: (memory, memory_says), track, wall, freezer } = groups;
        let ((wall, devices_say), (freezer, suspending_says)) = (wall, freezer);
        let denies_devices = wall != Wall::Advisory;
        let can_suspend = freezer != Freezer::Absent;
        let command = DaemonCommand {
            program: config.program,
            data_dir: data_dir.clone(),
            soft_nofile: config.soft_nofile,
            memory: memory.clone(),
            track: track.clone(),
            wall,
            freezer,
            persons,
            origin: origin.clone(),
            notices_out,
        };
        let scratch = config.scratch.unwrap_or_else(|| data_dir.join("scratch"));
        let scratch = Arc::new(Scratch::open(scratch, persons)?);
        let program = proc::Program::of_file(&command.program);
        let client =
            DaemonClient::start(command, Arc::clone(&attempts)).map_err(EngineError::Daemon)?;
        let pool = FolderPool::new(&data_dir, scratch.base(), persons);
        let inner = Inner {
            data_dir,
            origin,
            elsewhere: config.elsewhere,
            first_seen: OnceLock::new(),
            attempts,
            notices: Mutex::new(Some(notices)),
            client,
            pool,
            scratch,
            cleanup: Arc::default(),
            memory_says,
            denies_devices,
            devices_say,
            can_suspend,
            suspending_says,
            signals_say: landlock::sentence(config.confine_signals, persons),
            persons,
            track,
            helpers: Arc::default(),
            program,
        };
        Ok(LocalEngine { inner: Arc::new(inner) })
    }

    /// The step daemon's process id, while there is one.
    #[must_use]
    pub fn step_daemon(&self) -> Option<i32> {
        self.inner.client.daemon()
    }

    /// Gives an order, away from the threads that answer requests.
    fn begin(&self, order: Order, entry: Arc<Entry>) -> oneshot::Receiver<()> {
        self.inner.listen();
        entry.under_way.store(true, Ordering::Release);
        let (inner, worker) = (Arc::clone(&self.inner), self.inner.cleanup.add_worker());
        let (done, wait) = oneshot::channel::<()>();
        tokio::task::spawn_blocking(move || {
            let failure = inner.give_order(order).err();
            // The daemon will only tell of what it was sent.
            let nobody_else_hints = failure.is_some() || entry.sent() == 0;
            *held(&entry.failure) = failure;
            entry.under_way.store(false, Ordering::Release);
            if nobody_else_hints {
                entry.hint.notify_one();
            }
            drop(done);
            worker.run(|name| inner.take_back(name));
        });
        wait
    }

    /// Work that touches files, away from the threads that answer requests.
    fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, EngineError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, EngineError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            match tokio::task::spawn_blocking(move || work(&inner)).await {
                Ok(answer) => answer,
                Err(e) => Err(EngineError::Daemon(io::Error::other(e))),
            }
        })
    }
}

/// As whom scripts may run; the server's folders let those pass.
fn served(config: &LocalConfig, data_dir: &Path, spool: &Path) -> Result<Persons, EngineError> {
    if !config.people {
        return Ok(Persons::Nobody);
    }
    persons::can_be_served().map_err(EngineError::Machine)?;
    let opened = own_files::open_home(data_dir, spool);
    opened.map_err(|source| EngineError::Spool { path: spool.to_owned(), source })?;
    Ok(Persons::Users { floor: config.floor, root: config.root_jobs })
}

impl Inner {
    fn give_order(&self, order: Order) -> Result<(), EngineError> {
        let name = order.key.name();
        let owner = order.person.as_ref().map(|person| person.uid);
        let entry = self.attempts.entry(&name);
        if let Some(owner) = owner {
            let _the_same = entry.owner.set(owner);
        }
        if !self.pool.write_order(&self.folder(&name), order)? {
            return Ok(());
        }
        if owner.is_none() {
            self.scratch.give(&name);
        }
        fault::point(fault::LAUNCH_ORDER_WRITTEN);
        self.client
            .send(&name, |generation| entry.set_sent(generation))
            .map_err(EngineError::Daemon)?;
        fault::point(fault::LAUNCH_SENT);
        Ok(())
    }

    /// From the first launch or wait on, what supervisors say is heard where that is.
    fn listen(&self) {
        if let Some(pipe) = held(&self.notices).take() {
            tokio::spawn(notice_reader::hear_all(pipe, Arc::downgrade(&self.attempts)));
        }
    }

    fn take_back(&self, name: &str) {
        fault::point(fault::RELEASE_COLLECTING);
        self.attempts.forget(name);
        let folder = self.folder(name);
        let left = self.scratch.left_by(name, || folder.read_order().ok()?.scratch);
        if let Err(e) = self.pool.take_back(&folder) {
            // Harmless and seen again: `known` lists it at the next start.
            log::warn!("{e}");
        }
        if let Some(left) = left {
            self.scratch.remove(left);
        }
    }

    async fn changed(&self, name: &str) {
        self.listen();
        let entry = self.attempts.entry(name);
        let sent = entry.sent();
        let under_way = entry.under_way.load(Ordering::Acquire);
        if under_way || sent != 0 && sent == self.client.generation() {
            return entry.hint.notified().await;
        }
        let hint = pin!(entry.hint.notified());
        match self.adopted(name) {
            AdoptedSupervisor::Ended => {}
            AdoptedSupervisor::Absent => hint.await,
            AdoptedSupervisor::Passing => {
                let _ = select(hint, pin!(tokio::time::sleep(LOOK_AGAIN))).await;
            }
            AdoptedSupervisor::Unreachable => {
                let _ = select(hint, pin!(tokio::time::sleep(LOOK_ELSEWHERE))).await;
            }
            AdoptedSupervisor::Alive(pidfd) => match sys::watch_readable(pidfd) {
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

impl Engine for LocalEngine {
    fn launch(&self, order: Order) -> BoxFuture<'static, Result<(), EngineError>> {
        let entry = self.inner.attempts.entry(&order.key.name());
        let done = self.begin(order, Arc::clone(&entry));
        Box::pin(async move {
            let _done = done.await;
            held(&entry.failure).take().map_or(Ok(()), Err)
        })
    }

    fn reattach<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<AttemptStatus, EngineError>> {
        // Who heard of the end has its record: the usual case touches no file.
        let told = self.inner.told_end(key);
        let key = key.clone();
        Box::pin(async move {
            match told {
                Some(record) => Ok(AttemptStatus::Exited(record)),
                None => self.aside(move |inner| inner.reattach(&key)).await,
            }
        })
    }

    fn changed<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, ()> {
        Box::pin(async move { self.inner.changed(&key.name()).await })
    }

    fn control<'a>(
        &'a self,
        key: &'a Key,
        control: Control,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        let name = key.name();
        self.aside(move |inner| inner.control(&name, control))
    }

    fn signal<'a>(
        &'a self,
        key: &'a Key,
        signals: Vec<NumberedSignal>,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        let name = key.name();
        self.aside(move |inner| inner.signal(&name, &signals))
    }

    fn kill_leftovers<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<usize, EngineError>> {
        let key = key.clone();
        self.aside(move |inner| inner.kill_leftovers(&key))
    }

    fn forget(&self, key: &Key) -> BoxFuture<'static, ()> {
        let (done, worker) = self.inner.cleanup.push(key.name());
        if let Some(worker) = worker {
            let inner = Arc::clone(&self.inner);
            tokio::task::spawn_blocking(move || worker.run(|name| inner.take_back(name)));
        }
        Box::pin(async move {
            let _gone = done.await;
        })
    }

    fn known(&self) -> BoxFuture<'_, Result<Vec<String>, EngineError>> {
        self.aside(Inner::known)
    }

    fn processes<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Vec<i32>, EngineError>> {
        let key = key.clone();
        self.aside(move |inner| inner.processes(&key))
    }

    fn measure(&self) -> BoxFuture<'static, Result<Vec<(Key, Measured)>, EngineError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            match tokio::task::spawn_blocking(move || inner.measure()).await {
                Ok(measured) => measured,
                Err(e) => Err(EngineError::Daemon(io::Error::other(e))),
            }
        })
    }

    fn forget_secrets(&self) {
        let inner = Arc::clone(&self.inner);
        drop(tokio::task::spawn_blocking(move || inner.pool.wipe()));
    }

    fn borne(&self) -> BoxFuture<'_, Result<Vec<Key>, EngineError>> {
        self.aside(|inner| {
            let error = |e| EngineError::Spool { path: "/proc".into(), source: e };
            let keys = processes::keys().map_err(error)?;
            let live = |name: &String| inner.attempts.get(name).is_none();
            Ok(keys.into_iter().filter(live).filter_map(|name| Key::parse(&name)).collect())
        })
    }

    fn open_stream(
        &self,
        person: Person,
        stream: StreamFile,
    ) -> BoxFuture<'static, Result<File, OpenError>> {
        let inner = Arc::clone(&self.inner);
        let opened = move || inner.open_stream(&person, &stream);
        let opened = tokio::task::spawn_blocking(opened);
        Box::pin(async move { opened.await.unwrap_or_else(|e| Err(OpenError::Io(e.into()))) })
    }

    fn remove_tree(
        &self,
        person: Option<Person>,
        folder: PathBuf,
    ) -> BoxFuture<'static, Result<(), String>> {
        let inner = Arc::clone(&self.inner);
        let removed = move || inner.remove_tree(person.as_ref(), &folder);
        let removed = tokio::task::spawn_blocking(removed);
        Box::pin(async move { removed.await.unwrap_or_else(|e| Err(e.to_string())) })
    }

    fn trouble(&self) -> channel::Receiver<Trouble> {
        self.inner.attempts.trouble()
    }

    fn denies_devices(&self) -> bool {
        self.inner.denies_devices
    }

    fn cannot_suspend(&self) -> Option<String> {
        (!self.inner.can_suspend).then(|| self.inner.suspending_says.clone())
    }

    fn isolation(&self) -> BTreeMap<String, String> {
        let groups = self.inner.track.sentence();
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let kernel = format!("Linux {release}; the least is {}", probe::LEAST_KERNEL);
        let says = [
            ("cpus", "scripts are pinned to their CPUs where the machine has these CPUs"),
            (
                "processes",
                "its supervisor adopts every descendant of a script; all of them end with it",
            ),
            (
                "lost supervisors",
                "what remains is found by control group, by DOWNBEAT_KEY, by the session and group \
                 of whoever bears it, and by parentage",
            ),
            ("cgroups", &groups),
            ("devices", &self.inner.devices_say),
            ("kernel", &kernel),
            ("memory", &self.inner.memory_says),
            ("owners", self.inner.persons.sentence()),
            ("signals", &self.inner.signals_say),
            ("suspending", &self.inner.suspending_says),
        ];
        says.into_iter().map(|(name, says)| (name.to_owned(), says.to_owned())).collect()
    }
}
