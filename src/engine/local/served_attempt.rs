//! *Purpose*: an attempt, while a supervisor serves it.
//!
//! *Owns*: what the supervisor has of it, the lines of its `state`, the wait for its cancel.
//!
//! *Promises*: what a full disk does not take of `state` is kept and written later.
//!
//! *Not here*: serving it (`supervisor`), what else stands in its folder (`spool`), what its lines
//! say (`state`).

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::thread::CpuSet;

use super::devices::Wall;
use super::freezer::Freezer;
use super::launcher::Launcher;
use super::memory::{Group, MemoryControl};
use super::notice::{Notice, hint};
use super::persons::Persons;
use super::proc::Identity;
use super::proctrack::ProcTrack;
use super::spool::Folder;
use super::sys;
use crate::clock;
use crate::job::ids::CpuId;

/// Between two attempts to write something on a full disk.
pub const RECORD_PAUSE: Duration = Duration::from_secs(1);

/// What every supervisor takes over from the step daemon at the fork, for its whole life.
pub struct SupervisorConfig {
    /// The data folder.
    pub data_dir: PathBuf,
    /// The pipe of all supervisors, where their hints go.
    pub notices: OwnedFd,
    /// This boot.
    pub boot_id: String,
    /// The soft limit of open files that scripts shall have.
    pub soft_nofile: Option<u64>,
    /// The CPUs of an unpinned process.
    pub all_cpus: CpuSet,
    /// What the out-of-memory killer thinks of the step daemon, if it may be told otherwise.
    pub oom_score: Option<String>,
    /// What keeps jobs below their memory.
    pub memory: MemoryControl,
    /// Where supervisors have control groups.
    pub track: ProcTrack,
    /// What keeps jobs from devices.
    pub wall: Wall,
    /// What suspends jobs.
    pub freezer: Freezer,
    /// As whom scripts may run.
    pub persons: Persons,
}

/// One attempt, while a supervisor serves it.
pub struct ServedAttempt<'a> {
    /// What its supervisor was given.
    pub config: &'a SupervisorConfig,
    /// The attempt's name.
    pub name: String,
    /// Its folder.
    pub folder: Folder,
    /// Its state file, locked: this lock is the supervisor's life.
    pub state: File,
    /// The attempt's control group for memory, once it has one.
    pub group: Option<Group>,
    /// Its control group for devices, if that is another one.
    pub wall: Option<PathBuf>,
    /// Its control group to be frozen in, once it was suspended.
    pub frozen: Option<PathBuf>,
    /// Whether a group denies it the devices of others.
    pub is_walled: bool,
    /// What `state` did not take yet.
    pub owed: Vec<u8>,
    /// What a script would inherit.
    pub inherited: &'a mut InheritedState,
}

/// What this process has made of itself since it was forked.
#[derive(Default)]
pub struct InheritedState {
    /// Who it is, once it has looked.
    pub me: Option<Identity>,
    /// Whether it is protected from the out-of-memory killer.
    pub protected: bool,
    /// The CPUs it keeps to; all when there are none.
    pub confined_to: Vec<CpuId>,
    /// The control group that it is in.
    pub track: Option<PathBuf>,
    /// What it launches with, once it has launched.
    pub launcher: Option<Launcher>,
    /// Whether there is more, which cannot be taken back.
    pub unfit: bool,
}

/// Adds a line to `state`. What does not fit on a full disk is owed: until it is paid the lock
/// says "alive".
pub fn note(attempt: &mut ServedAttempt<'_>, line: &str) {
    attempt.owed.extend_from_slice(line.as_bytes());
    let _paid = settle(attempt);
}

/// Pays what is owed to `state`, going on where a write stopped; answers whether there was
/// something to pay and nothing is left.
pub fn settle(attempt: &mut ServedAttempt<'_>) -> bool {
    if attempt.owed.is_empty() {
        return false;
    }
    while !attempt.owed.is_empty() {
        match (&attempt.state).write(&attempt.owed) {
            Ok(written) if written > 0 => drop(attempt.owed.drain(..written)),
            _ => return false,
        }
    }
    true
}

/// Tells the server what is waited for; if it is not there, nobody needs to know.
pub fn say(attempt: &ServedAttempt<'_>, sentence: &str) {
    let trouble = Notice::Trouble(attempt.name.clone(), sentence.to_owned());
    let _heard = hint(&attempt.config.notices, &trouble);
}

/// Waits; answers whether a cancel came.
pub fn is_cancelled_within(attempt: &mut ServedAttempt<'_>, pause: Duration) -> bool {
    let due = clock::monotonic() + pause;
    loop {
        let left = due.saturating_duration_since(clock::monotonic());
        if left.is_zero() {
            return false;
        }
        let _poked = sys::wait_child_or_poke(Some(left));
        let _told = settle(attempt);
        if attempt.folder.read_control().cancel {
            return true;
        }
    }
}
