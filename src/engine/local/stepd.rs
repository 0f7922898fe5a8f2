//! *Purpose*: the step daemon: the small process that forks supervisors, so that the server
//! never forks.
//!
//! *Owns*: `stepd.lock` (held for life), `stepd.log`, the creation of every `state` file, the fork
//! of helpers.
//!
//! *Promises*: there is one step daemon per data folder, and it says `Ready` only when that is
//! so; an attempt whose `state` exists is never launched again; it ends when the server's
//! socket closes, after the orders already sent, while supervisors and scripts go on.
//!
//! *Not here*: the server's end of the socket (`client`), who gets an order (`supervisor_pool`),
//! the life of one attempt (`supervisor`).
//!
//! Called as `downbeat stepd --data-dir <absolute folder>` with a SEQPACKET socket as standard
//! input and the pipe of all supervisors as standard output; only `client` does that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSliceMut, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::FlockOperation;
use rustix::net::SendFlags;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::affinity_and_oom::oom_score_if_it_may_be_lowered;
use super::devices::Wall;
use super::fd_passing::{self, DATAGRAM_BYTES_MAX};
use super::freezer::Freezer;
use super::helper;
use super::memory::MemoryControl;
use super::notice::Notice;
use super::origin::Origin;
use super::persons::Persons;
use super::plain;
use super::proc;
use super::proctrack::ProcTrack;
use super::served_attempt::SupervisorConfig;
use super::spool::Folder;
use super::state::State;
use super::supervisor_pool::SupervisorPool;
use super::sys;
use crate::clock;
use crate::fault;

/// A log that has grown beyond this is begun anew: it is for the last accident.
const LOG_BYTES_MAX: u64 = 1024 * 1024;
/// First word of the server's first message, see `Greeting`.
pub const NOFILE_WORD: &str = "nofile ";

/// The whole life of a step daemon. `data_dir` is absolute; standard input is the server's
/// socket. The process must have a single thread.
#[must_use]
pub fn main(data_dir: &Path) -> process::ExitCode {
    let mut log = Log::open(data_dir);
    match serve(data_dir, &mut log) {
        Ok(()) => process::ExitCode::SUCCESS,
        Err(e) => {
            log.say(&format!("ended: {e}"));
            process::ExitCode::FAILURE
        }
    }
}

fn serve(data_dir: &Path, log: &mut Log) -> io::Result<()> {
    sys::block_all_signals();
    // A name that is not set harms nobody.
    let _ = rustix::thread::set_name(NAME);
    // Neither this process nor a supervisor, which is a fork of it, is a script's to look into: not
    // by ptrace, not by /proc.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let notices = io::stdout().as_fd().try_clone_to_owned()?;
    let nothing = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    sys::replace_stdin_and_stdout(nothing.as_fd())?;
    let _ = rustix::process::setsid();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    std::env::set_current_dir("/")?;
    let Some(greeting) = greeting(&socket)? else { return Ok(()) };
    let Greeting { soft_nofile, memory, track, wall, freezer, persons, origin } = greeting;
    let boot_id = origin.id().to_owned();
    let _lock = take_lock(data_dir, &boot_id)?;
    fault::point(fault::DAEMON_LOCKED);
    warm_up();
    let supervisors = SupervisorPool::new(SupervisorConfig {
        data_dir: data_dir.to_owned(),
        boot_id,
        all_cpus: rustix::thread::sched_getaffinity(None)?,
        soft_nofile,
        oom_score: oom_score_if_it_may_be_lowered(),
        memory: memory.clone(),
        track: track.clone(),
        wall: wall.clone(),
        freezer: freezer.clone(),
        persons,
        notices,
    })?;
    let ended = sys::child_signals()?;
    let data_dir = data_dir.to_owned();
    let mut daemon = Daemon { data_dir, socket, ended, supervisors, persons };
    let served =
        if daemon.send(Notice::Ready.line().as_bytes()) { daemon.attend(log) } else { Ok(()) };
    memory.leave();
    track.leave();
    wall.leave();
    freezer.leave();
    served
}

/// Learns what libraries learn at first use, once here instead of in every supervisor: asking
/// the processor what it can do costs 60 µs in a virtual machine.
fn warm_up() {
    #[cfg(target_arch = "x86_64")]
    let _ = std::arch::is_x86_feature_detected!("avx2");
}

/// What the server says first, a line each.
struct Greeting {
    /// The soft limit of open files for scripts, if it names one.
    soft_nofile: Option<u64>,
    /// What keeps jobs below their memory.
    memory: MemoryControl,
    /// Where supervisors have control groups.
    track: ProcTrack,
    /// What keeps jobs from devices.
    wall: Wall,
    /// What suspends jobs.
    freezer: Freezer,
    /// As whom scripts may run.
    persons: Persons,
    /// What its attempts bear.
    origin: Origin,
}

/// `None` when the server has gone without a word.
fn greeting(socket: &OwnedFd) -> io::Result<Option<Greeting>> {
    let said = rustix::io::retry_on_intr(|| hear(socket))?.map(|(said, _)| said);
    Ok(said.as_deref().and_then(|said| said.strip_prefix(NOFILE_WORD)).map(|said| {
        let mut lines = said.split('\n');
        let mut next = || lines.next().unwrap_or_default();
        let soft_nofile = next().parse().ok();
        Greeting {
            soft_nofile,
            memory: MemoryControl::parse(next()),
            track: ProcTrack::parse(next()),
            wall: Wall::parse(next()),
            freezer: Freezer::parse(next()),
            origin: Origin::parse(next()),
            persons: Persons::parse(next()),
        }
    }))
}

/// One message of the server, and the file that came along; `None` when there will be no more.
fn hear(socket: &OwnedFd) -> rustix::io::Result<Option<(String, Option<OwnedFd>)>> {
    let mut text = [0; DATAGRAM_BYTES_MAX];
    let (count, file) = fd_passing::receive_any(socket, &mut [IoSliceMut::new(&mut text)])?;
    let said = String::from_utf8_lossy(&text[..count]).into_owned();
    Ok((count > 0).then_some((said, file)))
}

/// Waits for the lock and writes who holds it, so that a server can end one that hangs.
fn take_lock(data_dir: &Path, boot_id: &str) -> io::Result<File> {
    let path = data_dir.join(LOCK_FILE);
    let mut lock = plain::open(&path, OpenOptions::new().read(true).write(true).create(true))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
    lock.set_len(0)?;
    lock.rewind()?;
    lock.write_all(State::supervisor_line(proc::myself()?, boot_id).as_bytes())?;
    Ok(lock)
}

/// What `ps` and `top` call it: fifteen characters at the most.
const NAME: &std::ffi::CStr = c"downbeat-stepd";

/// The file whose lock is the step daemon's life, in the data folder.
pub const LOCK_FILE: &str = "stepd.lock";

struct Daemon {
    data_dir: PathBuf,
    socket: OwnedFd,
    ended: OwnedFd,
    supervisors: SupervisorPool,
    persons: Persons,
}

impl Daemon {
    /// Until the server closes its end.
    fn attend(&mut self, log: &mut Log) -> io::Result<()> {
        loop {
            if !self.supervisors.is_fit() {
                // The server starts another, which is; supervisors and scripts go on.
                log.say("somebody has changed this process (renice, prlimit); it ends");
                return Ok(());
            }
            if let Err(e) = self.supervisors.keep_a_spare() {
                log.say(&format!("no supervisor is forked ahead: {e}"));
            }
            let (server, child) = {
                let mut fds = [
                    PollFd::new(&self.socket, PollFlags::IN),
                    PollFd::new(&self.ended, PollFlags::IN),
                ];
                match rustix::event::poll(&mut fds, None) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(e) => return Err(e.into()),
                }
                let has = |fd: &PollFd<'_>| !fd.revents().is_empty();
                (has(&fds[0]), has(&fds[1]))
            };
            if child && !self.reap_supervisors(log) {
                return Ok(());
            }
            if server && !self.take_order(log)? {
                return Ok(());
            }
        }
    }

    /// Sends to the server; answers whether there is still one. Blocks while the server does
    /// not read: hints must not pile up, and supervisors do not need us.
    fn send(&self, text: &[u8]) -> bool {
        rustix::io::retry_on_intr(|| rustix::net::send(&self.socket, text, SendFlags::NOSIGNAL))
            .is_ok()
    }

    /// Reaps supervisors, and orphans of those that were killed.
    fn reap_supervisors(&mut self, log: &mut Log) -> bool {
        let mut signal = [0; 128];
        let _ = rustix::io::read(&self.ended, &mut signal);
        while let sys::Reaped::Child(pid, code, _) = sys::reap() {
            let Some(name) = self.supervisors.has_ended(pid, code) else { continue };
            log.say(&format!("the supervisor of {name} ended with {code}"));
            if !self.send(Notice::Died(name).line().as_bytes()) {
                return false;
            }
        }
        true
    }

    /// Takes one message of the server; answers false at its end.
    fn take_order(&mut self, log: &mut Log) -> io::Result<bool> {
        let name = match hear(&self.socket) {
            Ok(Some((word, Some(socket)))) if word == helper::WORD => {
                self.help(&socket, log);
                return Ok(true);
            }
            Ok(Some((name, _))) => name,
            Ok(None) | Err(rustix::io::Errno::CONNRESET) => return Ok(false),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return Ok(true),
            Err(e) => return Err(e.into()),
        };
        if name.contains('/') || name.starts_with('.') {
            log.say(&format!("{name:?} is not the name of an attempt"));
            return Ok(true);
        }
        match self.launch(&name) {
            Ok(()) => Ok(true),
            Err(e) => {
                log.say(&format!("{name} was not started: {e}"));
                Ok(self.send(Notice::NotTaken(name, e.to_string()).line().as_bytes()))
            }
        }
    }

    /// Forks a helper, who hears over this socket what it is to do. Without one the other end sees
    /// that nobody is there.
    fn help(&self, socket: &OwnedFd, log: &mut Log) {
        let (persons, me) = (self.persons, rustix::process::getpid());
        if let Err(e) = sys::fork(|| helper::run(socket, persons, me)) {
            log.say(&format!("no helper is forked: {e}"));
        }
    }

    fn launch(&mut self, name: &str) -> io::Result<()> {
        fault::point(fault::LAUNCH_TAKEN);
        let folder = Folder::new(&self.data_dir, name);
        let Some(state) = folder.create_state()? else {
            // Sent twice. Whoever waits for a hint may have missed it.
            self.send(Notice::Changed(name.to_owned()).line().as_bytes());
            return Ok(());
        };
        fault::point(fault::LAUNCH_STATE_LOCKED);
        match self.supervisors.hand_over(name, &state) {
            Ok(()) => fault::point(fault::LAUNCH_HANDED_OVER),
            Err(e) => {
                // Nobody has it: the order may be given again once there is room.
                folder.remove_state()?;
                return Err(e);
            }
        }
        Ok(())
    }
}

/// `stepd.log`: where a daemon without a terminal says what went wrong.
struct Log(Option<File>);

impl Log {
    fn open(data_dir: &Path) -> Log {
        let path = data_dir.join("stepd.log");
        if fs::metadata(&path).is_ok_and(|m| m.len() > LOG_BYTES_MAX) {
            drop(fs::remove_file(&path));
        }
        Log(plain::open(&path, OpenOptions::new().create(true).append(true)).ok())
    }

    fn say(&mut self, sentence: &str) {
        if let Some(file) = &mut self.0 {
            let line = format!("{} {sentence}\n", clock::rfc3339(clock::now()));
            drop(file.write_all(line.as_bytes()));
        }
    }
}

/// How the command line of this folder's step daemon ends, and of the supervisors it forks.
#[must_use]
pub fn command_line(data_dir: &Path) -> [Vec<u8>; 4] {
    use std::os::unix::ffi::OsStrExt;
    let folder = data_dir.as_os_str().as_bytes();
    // Each word ends with a NUL byte, so an empty one is last.
    [b"stepd".to_vec(), b"--data-dir".to_vec(), folder.to_vec(), Vec::new()]
}

/// Who holds the lock of this data folder's step daemon, and where.
#[must_use]
pub fn holder(data_dir: &Path) -> Option<(proc::Identity, String)> {
    let text = plain::read(&data_dir.join(LOCK_FILE), LOCK_BYTES_MAX).ok()?;
    let state = State::parse(&String::from_utf8_lossy(&text));
    Some((state.supervisor?, state.boot_id))
}

/// The longest lock file that is read: a line of ours has some dozens of bytes.
const LOCK_BYTES_MAX: u64 = 4096;
