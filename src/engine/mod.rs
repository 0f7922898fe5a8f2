//! *Purpose*: the door to whatever runs scripts.
//!
//! *Owns*: the [`Engine`] trait and the values that pass through it: orders, statuses of
//! attempts, exit records.
//!
//! *Promises*: `launch` is idempotent by key; `reattach` is the only question ever asked about
//! an attempt, after a launch, in the sweep and after a crash alike; an [`AttemptStatus`] never
//! invents an end.
//!
//! *Not here*: what follows from a status (`actors::executor` turns it into a fact,
//! `kernel::transition` decides).

#[cfg(feature = "test-support")]
pub mod fake;
pub mod local;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use crate::job::files::StreamFile;
use crate::job::ids::{Attempt, CpuId, JobId};
use crate::job::invocation::{Ulimits, Umask};
use crate::job::outcome::{ExitCode, OutOfMemory, Usage};
pub use crate::job::outcome::{Handle, Stop};
use crate::job::signal::{EarlySignal, NumberedSignal};
use crate::job::spec::OpenMode;
use crate::time::Time;

/// The identity of an attempt to the engine: durable before launch, never reused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// The attempt.
    pub attempt: Attempt,
    /// Random text, so that an old folder is never taken for a new one.
    pub nonce: String,
    /// Where it was granted: the boot, the container and the installation, so that a number of a
    /// process is never taken for that of another one.
    pub boot_id: String,
}

impl Key {
    /// The spool folder's name and the value of `DOWNBEAT_KEY`: `<job>.<n>.<nonce>`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.attempt, self.nonce)
    }

    /// Reads [`Key::name`]. The boot is not in it: good for looking at the living, and for
    /// forgetting, not for asking how an attempt ended.
    #[must_use]
    pub fn parse(name: &str) -> Option<Key> {
        let mut parts = name.splitn(3, '.');
        let job = JobId(parts.next()?.parse().ok()?);
        let n = parts.next()?.parse().ok()?;
        let nonce = parts.next()?.to_owned();
        Some(Key { attempt: Attempt { job, n }, nonce, boot_id: String::new() })
    }
}

/// A character device, as the kernel numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CharDevice {
    /// The driver, below 2^12.
    pub major: u32,
    /// The device within the driver, below 2^20.
    pub minor: u32,
}

/// As whom an attempt runs, when that is not the server's own user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The user's number: the real, the effective and the saved one.
    pub uid: u32,
    /// The number of the primary group, likewise.
    pub gid: u32,
    /// All supplementary groups; no other is kept.
    pub groups: Vec<u32>,
    /// What sentences call the user; nothing is decided by it.
    pub name: String,
}

/// All that is needed to run one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Whose order.
    pub key: Key,
    /// The script's text.
    pub script: String,
    /// Whether each of its characters stands for a byte.
    #[serde(default)]
    pub script_is_bytes: bool,
    /// The complete environment of the script; the engine adds only `DOWNBEAT_KEY` and `TMPDIR`.
    pub environment: BTreeMap<String, String>,
    /// A folder of the job's own, made when it is missing; only the server's user may enter.
    pub own_folder: Option<PathBuf>,
    /// Where it runs, absolute.
    pub working_directory: PathBuf,
    /// Whether a missing working directory is created.
    pub create_working_directory: bool,
    /// Standard output.
    pub stdout: StreamFile,
    /// Standard error; the same file as `stdout` is fine.
    pub stderr: StreamFile,
    /// Time limit in seconds from the spawn.
    pub limit_s: Option<u32>,
    /// Seconds between TERM and KILL.
    pub kill_grace_s: u32,
    /// Seconds for processes that the script leaves behind, to finish by themselves.
    #[serde(default)]
    pub finish_s: u32,
    /// Whether it can signal only itself and whom it starts.
    #[serde(default)]
    pub confine_signals: bool,
    /// Bytes on disk that its kept streams may have together; `None` is no limit. Only streams
    /// below `own_folder` are kept.
    #[serde(default)]
    pub output_bytes: Option<u64>,
    /// The CPUs it holds.
    pub cpus: Vec<CpuId>,
    /// Whether to pin it to them.
    pub pin: bool,
    /// Memory that it may use, bytes; `None` is no limit.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Character devices that it may not open, neither it nor whoever it starts. Denied where
    /// [`Engine::denies_devices`].
    #[serde(default)]
    pub denied_devices: Vec<CharDevice>,
    /// What it is sent before its limit.
    #[serde(default)]
    pub signal: Option<EarlySignal>,
    /// How its output files are opened.
    #[serde(default)]
    pub open_mode: OpenMode,
    /// The script's arguments.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// The file that it reads as its standard input, from the working directory on; `/dev/null`
    /// without one.
    #[serde(default)]
    pub standard_input: Option<PathBuf>,
    /// Its file mode creation mask; the server's without one.
    #[serde(default)]
    pub umask: Option<Umask>,
    /// Its soft limits, where they are not the server's.
    #[serde(default)]
    pub limits: Ulimits,
    /// As whom it runs; the server's own user without one.
    #[serde(default)]
    pub person: Option<Person>,
}

/// What a supervisor knows at the end of its attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Version of this record.
    pub version: u32,
    /// The script's true end; `None` when none was started.
    pub exit_code: Option<ExitCode>,
    /// Whether the supervisor had told it to stop, and why.
    pub stop: Option<Stop>,
    /// Why no script was started, a sentence.
    pub launch_error: Option<String>,
    /// The script's process, when one was started.
    pub handle: Option<Handle>,
    /// When the last process of the tree was gone.
    pub end_time: Time,
    /// What the tree used.
    pub usage: Usage,
    /// Whether processes of it were killed for want of memory. Since version 2.
    #[serde(default)]
    pub out_of_memory: Option<OutOfMemory>,
    /// Processes that the script left behind and that did not finish in time, by name and number.
    /// Since version 3.
    #[serde(default)]
    pub left_behind: Vec<String>,
}

/// The answer to "what has become of this attempt?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptStatus {
    /// An order is on its way, no script yet.
    Launching,
    /// The script runs; `stopping` once the supervisor has begun to end it.
    Running {
        /// Its process.
        handle: Handle,
        /// Why it is about to end.
        stopping: Option<Stopping>,
    },
    /// It ended, and this is how.
    Exited(ExitRecord),
    /// No trace of a launch: launching it (again) is safe. After a launch it
    /// means that the order was lost on its way (the step daemon died with it, or could not
    /// take it): launch again, with a pause if that repeats.
    NeverStarted,
    /// Its supervisor is gone without a record; processes may remain.
    Lost,
    /// It was granted elsewhere: its end is unknown, and nothing here may be signalled for it.
    Foreign(Elsewhere),
}

/// Where an attempt was granted that is not of this server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Elsewhere {
    /// On an earlier boot of the machine.
    #[default]
    Boot,
    /// In a container that is gone, or another one.
    Container,
    /// By the installation of which this one is a copy.
    Installation,
}

impl Elsewhere {
    /// What the person is told who submitted it.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Elsewhere::Boot => {
                "the machine was restarted while the job ran; how it ended is unknown"
            }
            Elsewhere::Container => {
                "the server's container was restarted while the job ran; how it ended is unknown"
            }
            Elsewhere::Installation => {
                "the job ran under another installation, of which this one is a copy; nothing of \
                 it was touched, and how it ends is known there"
            }
        }
    }
}

/// What an attempt uses; `None` for what cannot be found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Time of CPUs that its supervisor's tree has used so far, µs. What it grows by is the
    /// attempt's; what it is may be that of an earlier attempt too.
    pub cpu_us: Option<u64>,
    /// Memory of its processes, without pages of files, bytes.
    pub rss_bytes: Option<u64>,
}

/// Why a script's tree is about to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopping {
    /// Its supervisor has told it to.
    Told(Stop),
    /// The script has ended; what it left behind may finish for a while.
    Finishing,
}

/// What the machine is short of, by the names of the attempts that wait for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trouble(pub BTreeMap<String, String>);

impl Trouble {
    /// So many attempts in a row that cannot be started say that others could not be either.
    pub const DRAINS: usize = 3;

    /// Why no more scripts shall be started now, if that is so.
    #[must_use]
    pub fn drains(&self) -> Option<String> {
        let why = self.0.values().next().filter(|_| self.0.len() >= Trouble::DRAINS)?;
        let count = self.0.len();
        Some(format!(
            "{count} jobs cannot be started, or their ends not be recorded, so no more are started \
             until one can be: {why}"
        ))
    }

    /// What a person who can act should know now.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let (name, why) = self.0.first_key_value()?;
        let count = self.0.len();
        self.drains().or_else(|| {
            Some(format!("Attempts that wait for something: {count}; {name} for this: {why}"))
        })
    }
}

/// A wish about a living attempt. All fields are what shall hold from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// End it: TERM, grace, KILL.
    pub cancel: bool,
    /// Grace for this cancel, seconds; the order's when absent.
    pub kill_grace_s: Option<u32>,
    /// The time limit, counted from the script's start; the order's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitWish>,
    /// Stop all of it where it stands, its limit too, as long as this is wished for. A script that
    /// has ended, or is being ended, is not stopped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// A time limit in the place of the order's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitWish {
    /// It may run for ever.
    Unlimited,
    /// So many seconds from the start of its script.
    Seconds(u32),
}

impl LimitWish {
    /// The wish for a limit of so many seconds; `None` is unlimited.
    #[must_use]
    pub fn of(limit_s: Option<u32>) -> LimitWish {
        limit_s.map_or(LimitWish::Unlimited, LimitWish::Seconds)
    }

    /// How long the script may run.
    #[must_use]
    pub fn time(self) -> Option<Duration> {
        match self {
            LimitWish::Unlimited => None,
            LimitWish::Seconds(s) => Some(Duration::from_secs(s.into())),
        }
    }
}

/// What goes wrong in an engine. The sentence reaches the person who can act.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The spool could not be written or read.
    #[error("spool {path}: {source}")]
    Spool {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder of the private folders of attempts cannot be used.
    #[error("the folder for scratch, {path}: {source}; see the setting [scratch] path")]
    Scratch {
        /// Which folder.
        path: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// This machine lacks what the engine is built on.
    #[error("{0}")]
    Machine(String),
    /// The step daemon did not take the order.
    #[error("step daemon: {0}")]
    Daemon(std::io::Error),
}

/// Why a stream of a person's job is not open, a sentence about a path that was named before.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nothing is there, yet.
    #[error("it is not there")]
    Absent,
    /// The job's user may not read it, or a link leads where no file is.
    #[error("the job's user may not read it")]
    Denied,
    /// It is something else than a file: a pipe, a device, a folder.
    #[error("it is not a regular file")]
    NotRegular,
    /// Its file system does not answer.
    #[error("its file system does not answer")]
    Timeout,
    /// As many files of that user, or of all, are being opened as may be.
    #[error("too many files are being opened; try again")]
    Busy,
    /// Anything else that the system said.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Something that runs scripts.
pub trait Engine: Send + Sync + 'static {
    /// Hands an order over. Idempotent by key: an attempt is started at most once. Begun by the
    /// call; who does not wait hears of a failure by the next [`Engine::reattach`], and a hint.
    ///
    /// # Errors
    /// When the order could not be written or handed over; trying again is safe.
    fn launch(&self, order: Order) -> BoxFuture<'static, Result<(), EngineError>>;

    /// What has become of this attempt.
    ///
    /// # Errors
    /// When the spool cannot be read, or an order could not be handed over; nothing is known then,
    /// ask again.
    fn reattach<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<AttemptStatus, EngineError>>;

    /// Resolves when asking [`Engine::reattach`] again may give a new answer: the script was
    /// spawned, is being stopped, or its supervisor ended. A hint; it may come too often, and
    /// a hint that came while nobody waited is kept for the next who does.
    fn changed<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, ()>;

    /// Asks for something; repeated until the attempt has ended. Works for an attempt that
    /// has not started yet and for one of a former server.
    ///
    /// # Errors
    /// When the wish could not be written; trying again is safe.
    fn control<'a>(
        &'a self,
        key: &'a Key,
        control: Control,
    ) -> BoxFuture<'a, Result<(), EngineError>>;

    /// Hands signals to the supervisor of an attempt whose script was started, in order. Each is
    /// sent once, by its number, however often it is handed over.
    ///
    /// # Errors
    /// When they could not be written; trying again is safe.
    fn signal<'a>(
        &'a self,
        key: &'a Key,
        signals: Vec<NumberedSignal>,
    ) -> BoxFuture<'a, Result<(), EngineError>>;

    /// For an [`AttemptStatus::Lost`] attempt: kills every process that can be attributed to it.
    /// Answers how many were seen alive; 0 means that none remains. Call until 0.
    ///
    /// # Errors
    /// When `/proc` or the spool cannot be read.
    fn kill_leftovers<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<usize, EngineError>>;

    /// Forgets an attempt whose end is committed: removes its spool folder, and begins to remove
    /// its scratch folder, whose end nobody waits for. Begun by the call; only who needs to know
    /// when it is done has to wait.
    fn forget(&self, key: &Key) -> BoxFuture<'static, ()>;

    /// Jobs were forgotten: whatever is left of the scripts and environments of forgotten attempts
    /// goes too. Begun by the call.
    fn forget_secrets(&self);

    /// Keys (by [`Key::name`]) of which the engine still holds something.
    ///
    /// # Errors
    /// When the spool cannot be read.
    fn known(&self) -> BoxFuture<'_, Result<Vec<String>, EngineError>>;

    /// The process ids of living processes that can be attributed to this attempt, for the
    /// audit.
    ///
    /// # Errors
    /// When `/proc` or the spool cannot be read.
    fn processes<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Vec<i32>, EngineError>>;

    /// What each attempt uses whose script runs here, in one look at all of them.
    ///
    /// # Errors
    /// When the spool cannot be read.
    fn measure(&self) -> BoxFuture<'static, Result<Vec<(Key, Measured)>, EngineError>>;

    /// Keys that living processes bear, whatever became of the attempts, for the audit. A key is in
    /// the environment, so anybody can bear any; the boot is not in it.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    fn borne(&self) -> BoxFuture<'_, Result<Vec<Key>, EngineError>>;

    /// Opens a stream of this person's job for reading, as that person would: in a process that is
    /// the person, by a path that nobody else follows. Only regular files; ends within seconds.
    ///
    /// # Errors
    /// Why it is not open.
    fn open_stream(
        &self,
        person: Person,
        stream: StreamFile,
    ) -> BoxFuture<'static, Result<File, OpenError>>;

    /// Removes a folder of the server's with all that is in it: first as this person, if it is a
    /// person's job's, then what others left there. No link is followed and no mount entered.
    ///
    /// # Errors
    /// A sentence that names what is left, and why.
    fn remove_tree(
        &self,
        person: Option<Person>,
        folder: PathBuf,
    ) -> BoxFuture<'static, Result<(), String>>;

    /// What keeps scripts from being started, as it changes.
    fn trouble(&self) -> watch::Receiver<Trouble>;

    /// Whether [`Order::denied_devices`] are denied: then a program of a job sees its own devices
    /// alone, and counts them from 0.
    fn denies_devices(&self) -> bool;

    /// Why [`Control::suspend`] does nothing here, a sentence; `None` where it does.
    fn cannot_suspend(&self) -> Option<String>;

    /// What works here and what does not, for `/info`: name → sentence.
    fn isolation(&self) -> BTreeMap<String, String>;
}
