//! *Purpose*: who is alive, by `/proc`.
//!
//! *Owns*: [`Identity`] (a pid that cannot be mistaken for a later process with the same
//! number), the reading of `/proc/<pid>/stat` and of a process's children.
//!
//! *Promises*: nothing is signalled by a bare pid: [`open`] answers a pidfd only of the
//! process that was meant. Where a wrong "nobody is there" would give CPUs back, not being able
//! to look (no descriptor left) is an error.
//!
//! *Not here*: which processes belong to an attempt (`processes`), who is told to end
//! (`supervisor`).

use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal};

/// A process for certain, during one boot: its number and the tick at which it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its number.
    pub pid: i32,
    /// When it started, in ticks since boot.
    pub ticks: u64,
}

/// The part of `/proc/<pid>/stat` that matters here.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// Its number and start.
    pub identity: Identity,
    /// One letter: `R`, `S`, … `Z` for one that has ended and is not reaped.
    pub state: char,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// The time of CPUs that it has used, in ticks.
    pub own_ticks: u64,
    /// The same of its children that have ended and that it has waited for.
    pub children_ticks: u64,
    /// Whether it has memory and no environment in it: it is between two programs, for the
    /// instant in which the kernel replaces the one by the other. Nobody can say whose it is.
    /// (One that is not ours to look into seems to be so too.)
    pub is_between_programs: bool,
}

impl Stat {
    /// Whether it can still do anything.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Whether it was stopped by a signal, or by a debugger.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

/// Longer than any `/proc/<pid>/stat`: 52 numbers and a name.
const STAT_BYTES_MAX: usize = 2048;

/// Reads a process's state; `None` when there is none with this number, or none to be seen.
#[must_use]
pub fn stat(pid: i32) -> Option<Stat> {
    look(pid).ok().flatten()
}

/// The same, and an error when nobody can look now.
fn look(pid: i32) -> io::Result<Option<Stat>> {
    // One read into a buffer that is long enough: this happens twice for every job.
    let mut buffer = [0; STAT_BYTES_MAX];
    let read = fs::File::open(format!("/proc/{pid}/stat")).and_then(|mut f| f.read(&mut buffer));
    Ok(match read {
        Ok(count) => parse(pid, &buffer[..count]),
        Err(e) if is_nobody(&e) => None,
        Err(e) => return Err(e),
    })
}

/// Whether an error of `/proc` says that the process is gone, or somebody else's secret.
fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

fn parse(pid: i32, text: &[u8]) -> Option<Stat> {
    // The name may hold anything, spaces and brackets too; it ends at the last bracket.
    let name_end = text.iter().rposition(|b| *b == b')')?;
    let rest = std::str::from_utf8(text.get(name_end + 2..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let (memory, environment_end) = (fields.get(20)?, fields.get(48)?);
    let ticks = |at: usize| -> Option<u64> {
        let (user, system): (u64, u64) =
            (fields.get(at)?.parse().ok()?, fields.get(at + 1)?.parse().ok()?);
        Some(user.saturating_add(system))
    };
    Some(Stat {
        identity: Identity { pid, ticks: fields.get(19)?.parse().ok()? },
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        own_ticks: ticks(11)?,
        children_ticks: ticks(13)?,
        is_between_programs: *memory != "0" && *environment_end == "0",
    })
}

/// This process.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn myself() -> io::Result<Identity> {
    let pid = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    stat(pid).map(|s| s.identity).ok_or_else(|| io::Error::other("/proc/self/stat is unreadable"))
}

/// Where the kernel says which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The identity of this boot of the machine.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn boot_id() -> io::Result<String> {
    match fs::read_to_string(BOOT_ID) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(e) => Err(io::Error::other(format!("{BOOT_ID} cannot be read; mount /proc: {e}"))),
    }
}

/// A descriptor of exactly this process; `None` when it is gone (even if another process has
/// its number now).
#[must_use]
pub fn open(identity: Identity) -> Option<OwnedFd> {
    find(identity).ok().flatten()
}

/// The same, and an error when nobody can look now.
///
/// # Errors
/// When no descriptor is left.
pub fn find(identity: Identity) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(identity.pid) else { return Ok(None) };
    let fd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    // Looked at after opening: if the number still names the process we mean, so did the
    // descriptor a moment before.
    Ok(look(identity.pid)?.is_some_and(|seen| seen.identity == identity).then_some(fd))
}

/// Sends a signal to exactly this process; answers whether it was there.
pub fn signal(identity: Identity, signal: Signal) -> bool {
    open(identity).is_some_and(|fd| rustix::process::pidfd_send_signal(&fd, signal).is_ok())
}

/// The children of a process, of all its threads. Empty when it is gone.
#[must_use]
pub fn children(pid: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return found };
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(text) => {
                found.extend(text.split_ascii_whitespace().filter_map(|p| p.parse::<i32>().ok()))
            }
            // A kernel built without this file: look at everybody's parent instead.
            Err(e) if e.kind() == io::ErrorKind::NotFound && stat(pid).is_some() => {
                return all()
                    .unwrap_or_default()
                    .into_iter()
                    .filter(|s| s.parent == pid)
                    .map(|s| s.identity.pid)
                    .collect();
            }
            Err(_) => {}
        }
    }
    found
}

/// Visits every process below `root` in the tree, itself not included, each parent before its
/// children: a visitor that kills thereby stops a parent from having more.
pub fn visit_descendants(root: i32, mut visit: impl FnMut(&Stat)) {
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            // Asked again who its parent is: between two looks a number can change hands.
            if let Some(seen) = stat(child).filter(|s| s.parent == parent) {
                visit(&seen);
                parents.push(child);
            }
        }
    }
}

/// Every process below `root` in the tree, itself not included: those that were there before
/// anything was done to any of them.
#[must_use]
pub fn descendants(root: i32) -> Vec<Stat> {
    let mut found = Vec::new();
    visit_descendants(root, |seen| found.push(*seen));
    found
}

/// Every process that can be seen.
///
/// # Errors
/// When nobody can look now.
pub fn all() -> io::Result<Vec<Stat>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        if let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            found.extend(look(pid)?);
        }
    }
    Ok(found)
}

/// What a process calls itself; `?` when it is gone. Control characters are left out: the name is
/// the program's to choose.
#[must_use]
pub fn name(pid: i32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_else(|_| "?".to_owned());
    name.chars().filter(|c| !c.is_control()).collect()
}

/// The values of a variable in the environment of a process, usually one or none; `None` when the
/// process seems to be between two programs.
///
/// # Errors
/// When nobody can look now.
pub fn variable(pid: i32, name: &str) -> io::Result<Option<Vec<String>>> {
    let value = |word: &Vec<u8>| {
        let value = word.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    let mut environment = words(pid, "environ")?;
    if environment.iter().all(Vec::is_empty)
        && let Some(seen) = look(pid)?
    {
        if seen.is_between_programs {
            return Ok(None);
        }
        // It may have been so when we read.
        environment = words(pid, "environ")?;
    }
    Ok(Some(environment.iter().filter_map(value).collect()))
}

/// The real number of a process's user; `None` when it is gone.
///
/// # Errors
/// When nobody can look now.
pub fn real_user(pid: i32) -> io::Result<Option<u32>> {
    let status = match fs::read_to_string(format!("/proc/{pid}/status")) {
        Ok(status) => status,
        Err(e) if is_nobody(&e) => return Ok(None),
        Err(e) => return Err(e),
    };
    // The real, the effective, the saved one and that of files.
    let numbers = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let real = numbers.and_then(|numbers| numbers.split_ascii_whitespace().next());
    Ok(real.and_then(|real| real.parse().ok()))
}

/// The words of a process's command line; none when it is gone.
///
/// # Errors
/// When nobody can look now.
pub fn command_line(pid: i32) -> io::Result<Vec<Vec<u8>>> {
    words(pid, "cmdline")
}

fn words(pid: i32, file: &str) -> io::Result<Vec<Vec<u8>>> {
    match fs::read(format!("/proc/{pid}/{file}")) {
        Ok(text) => Ok(text.split(|b| *b == 0).map(<[u8]>::to_vec).collect()),
        Err(e) if is_nobody(&e) => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

/// The file that a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    device: u64,
    inode: u64,
}

impl Program {
    /// Of this file, if it is there.
    #[must_use]
    pub fn of_file(path: &Path) -> Option<Program> {
        let about = fs::metadata(path).ok()?;
        Some(Program { device: about.dev(), inode: about.ino() })
    }

    /// Whether a process is known to run another one. One that is ending has no program any more,
    /// and one that is not ours to look into does not show it: of these nothing is known.
    #[must_use]
    pub fn is_not_of(self, pid: i32) -> bool {
        let theirs = Program::of_file(Path::new(&format!("/proc/{pid}/exe")));
        theirs.is_some_and(|theirs| theirs != self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_with_the_recorded_pid_is_never_signalled() {
        let me = myself().unwrap();
        let earlier = Identity { ticks: me.ticks - 1, ..me };
        assert!(open(me).is_some());
        assert!(open(earlier).is_none());
        assert!(!signal(earlier, Signal::KILL), "this test would have died");
    }

    #[test]
    fn my_own_state_is_read_from_proc() {
        let me = stat(myself().unwrap().pid).unwrap();
        assert!(me.is_alive());
        assert_eq!(me.parent, rustix::process::getppid().unwrap().as_raw_nonzero().get());
        let own = rustix::process::getuid().as_raw();
        assert_eq!(real_user(me.identity.pid).unwrap(), Some(own));
        let program = Program::of_file(Path::new("/proc/self/exe")).unwrap();
        assert!(!program.is_not_of(me.identity.pid));
    }

    #[test]
    fn a_process_between_two_programs_has_memory_and_no_environment() {
        let line = |memory: u64, environment_end: u64| {
            let middle = "0 ".repeat(15);
            let addresses = "0 ".repeat(27);
            format!("7 (a) b) R 1 2 3 {middle}99 {memory} {addresses}{environment_end} 0\n")
        };
        let seen = |memory, end| parse(7, line(memory, end).as_bytes()).unwrap();
        assert_eq!(seen(4096, 0).identity, Identity { pid: 7, ticks: 99 });
        assert!(seen(4096, 0).is_between_programs);
        assert!(!seen(4096, 700).is_between_programs, "it has an environment");
        assert!(
            !seen(0, 0).is_between_programs,
            "the kernel's own have no memory, nor have the ended"
        );
        assert!(!stat(myself().unwrap().pid).unwrap().is_between_programs);
    }

    #[test]
    fn a_process_that_has_ended_differs_from_nobody() {
        let program = Program::of_file(Path::new("/proc/self/exe")).unwrap();
        let mut child = std::process::Command::new("/bin/cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert!(program.is_not_of(pid));
        drop(child.stdin.take());
        // Ended and not reaped: its number is still its own.
        let id = rustix::process::WaitId::Pid(Pid::from_raw(pid).unwrap());
        let options =
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(id, options).unwrap();
        assert_eq!(stat(pid).unwrap().state, 'Z');
        assert!(!program.is_not_of(pid));
        child.wait().unwrap();
    }
}
