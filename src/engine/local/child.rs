//! *Purpose*: what the process does that is to become the script, until it is that.
//!
//! *Owns*: the order of its acts, and the fault that it reports when one of them fails.
//!
//! *Promises*: nothing of the supervisor is inherited by the script; a stream is a regular file
//! below its root, whatever links say; both streams to one path share one open file. A process that
//! is to be somebody else's is that before it touches anything of theirs: what a file may be is
//! then the kernel's to say, and no root holds it. Nothing here takes memory, panics or writes
//! `errno` (of the C library it only closes descriptors, which are open): the process may share its
//! memory with the supervisor, which goes on at the same time.
//!
//! *Not here*: making ready what it needs and the sentence for a fault (`launch`), becoming
//! somebody else (`person`), starting the process (`sys`), the watch over it (`start`).
//!
//! Why the memory is shared: a copy of a supervisor's tables, and the page faults that follow in
//! both processes, cost about as much as all the rest of a launch.
//!
//! Why it is not shared with a process that becomes somebody else: between its new number and the
//! program that person may signal it and set its limits, and whoever could look into it would hold
//! root's memory. All that keeps them out is one mark on that memory, which the kernel itself sets
//! anew with each new number, to what `fs.suid_dumpable` says at that moment. The mark held in
//! every trial (kill, ptrace, `/proc/<pid>/mem`, `process_vm_writev`, prlimit against a child that
//! was stopped right there), but a whole server must not hang on it. And who is killed for want of
//! memory in the job's control group, or before Linux 5.16 with a core, takes along every process
//! that shares the memory. A copy has neither trouble, for the price of its page faults.

pub mod person;

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit};

use self::person::{Act, Become};
use super::sys;

/// How often an open beneath a root is tried while others rename folders around it.
const BENEATH_TRIES: u32 = 16;
/// Exit code of a child that did not become the script. Nobody looks at it.
const NOT_STARTED: i32 = 127;
/// Mode of folders that are created, before the file mode creation mask.
const FOLDER_MODE: Mode = Mode::RWXU.union(Mode::RWXG).union(Mode::RWXO);
/// Mode of files that are created, before the same mask.
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);

/// All that the process needs, made ready by its supervisor.
pub struct Steps {
    /// The supervisor.
    pub parent: Pid,
    /// What keeps it within its memory.
    pub within: Option<Within>,
    /// The door of the control group that denies it devices, if that is another one.
    pub wall: Option<OwnedFd>,
    /// Whom it becomes, if that is somebody else.
    pub person: Option<Become>,
    /// Whether its out-of-memory score is not 0, and has to be.
    pub has_score: bool,
    /// The working directory with the folders above it, from the root on, if they are to be created
    /// when they are missing.
    pub folders: Vec<CString>,
    /// The working directory.
    pub directory: CString,
    /// Standard input, from the working directory on, if it is not that of the supervisor.
    pub stdin: Option<CString>,
    /// Standard output.
    pub stdout: Stream,
    /// Standard error, when it goes elsewhere.
    pub stderr: Option<Stream>,
    /// The mask of files that it creates, if it is not that of the supervisor.
    pub umask: Option<Mode>,
    /// Soft limits, each at most as high as the hard one; `None` is that.
    pub limits: Vec<(Resource, Option<u64>)>,
    /// The Landlock ruleset that it is confined by.
    pub ruleset: Option<OwnedFd>,
    /// What it becomes.
    pub program: sys::Program,
}

/// What a script is kept within from its first instruction.
#[derive(Debug)]
pub enum Within {
    /// The control group whose `cgroup.procs` this is, open for writing.
    Group(OwnedFd),
    /// So many bytes of data for each process.
    Data(u64),
}

/// Where a stream goes.
pub struct Stream {
    /// The folder that it may not leave.
    pub root: CString,
    /// The file, below the root.
    pub path: CString,
    /// The folders that the file is in, each with the name of the one in it: created when they are
    /// missing.
    pub parents: Vec<(CString, CString)>,
    /// Whether the file is emptied or written on behind its end.
    pub truncate: bool,
    /// Whether it may not leave the root: else it goes wherever its user may.
    pub beneath: bool,
}

/// Where it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It could not get a process group of its own.
    Group,
    /// It could not be kept within its memory.
    Memory,
    /// It could not be kept from devices.
    Devices,
    /// Its out-of-memory score could not be set.
    Score,
    /// It could not become whose it is to be.
    Person(Act),
    /// A folder could not be created.
    Folder,
    /// The working directory could not be entered.
    Directory,
    /// Standard input could not be opened.
    Stdin,
    /// Standard input is a named pipe or the like.
    StdinPipe,
    /// The root of standard output could not be opened.
    StdoutRoot,
    /// Standard output could not be opened.
    Stdout,
    /// Standard output is a named pipe.
    StdoutPipe,
    /// Standard output is a device or the like.
    StdoutDevice,
    /// The root of standard error could not be opened.
    StderrRoot,
    /// Standard error could not be opened.
    Stderr,
    /// Standard error is a named pipe.
    StderrPipe,
    /// Standard error is a device or the like.
    StderrDevice,
    /// The streams could not be put in their places.
    Streams,
    /// A limit could not be set.
    Limits,
    /// It could not be confined.
    Confine,
    /// The program could not be executed.
    Program,
}

/// Every stage, by its number.
const STAGES: [Stage; 28] = [
    Stage::Group,
    Stage::Memory,
    Stage::Devices,
    Stage::Score,
    Stage::Person(Act::Keyring),
    Stage::Person(Act::Hide),
    Stage::Person(Act::Capabilities),
    Stage::Person(Act::Groups),
    Stage::Person(Act::GroupNumber),
    Stage::Person(Act::UserNumber),
    Stage::Person(Act::Proof),
    Stage::Person(Act::Parent),
    Stage::Folder,
    Stage::Directory,
    Stage::Stdin,
    Stage::StdinPipe,
    Stage::StdoutRoot,
    Stage::Stdout,
    Stage::StdoutPipe,
    Stage::StdoutDevice,
    Stage::StderrRoot,
    Stage::Stderr,
    Stage::StderrPipe,
    Stage::StderrDevice,
    Stage::Streams,
    Stage::Limits,
    Stage::Confine,
    Stage::Program,
];

/// Why it did not become the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it failed.
    pub stage: Stage,
    /// What the system said.
    pub error: Errno,
}

/// Bytes of a fault in the pipe by which it is told.
pub const FAULT_BYTES: usize = 5;

impl Fault {
    fn to_bytes(self) -> [u8; FAULT_BYTES] {
        let [a, b, c, d] = self.error.raw_os_error().to_ne_bytes();
        let stage = STAGES.iter().position(|stage| *stage == self.stage).unwrap_or_default();
        [stage as u8, a, b, c, d]
    }

    /// Reads what [`Steps::take`] wrote; `None` when that is no fault.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Fault> {
        let [stage, error @ ..] = *<&[u8; FAULT_BYTES]>::try_from(bytes).ok()?;
        let stage = *STAGES.get(usize::from(stage))?;
        Some(Fault { stage, error: Errno::from_raw_os_error(i32::from_ne_bytes(error)) })
    }
}

/// Which of the two streams.
#[derive(Clone, Copy)]
enum Standard {
    Output,
    Error,
}

impl Steps {
    /// Takes them all. In the child; returns only when it did not become the script, with its exit
    /// code, and has told why.
    pub fn take(&self, tell: BorrowedFd<'_>) -> i32 {
        let Err(fault) = self.one_after_the_other(tell);
        let _nobody_waits = rustix::io::write(tell, &fault.to_bytes());
        NOT_STARTED
    }

    fn one_after_the_other(&self, tell: BorrowedFd<'_>) -> Result<std::convert::Infallible, Fault> {
        let at = |stage: Stage| move |error: Errno| Fault { stage, error };
        self.belong().map_err(at(Stage::Group))?;
        self.keep_within().map_err(at(Stage::Memory))?;
        if let Some(door) = &self.wall {
            rustix::io::write(door, b"0").map_err(at(Stage::Devices))?;
        }
        if let Some(mask) = self.umask {
            rustix::process::umask(mask);
        }
        if let Some(person) = &self.person {
            self.become_somebody_else(person, tell)?;
        }
        self.go_to_directory()?;
        if let Some(path) = &self.stdin {
            let stdin = open_input(path, self.person.is_some())?;
            rustix::stdio::dup2_stdin(&stdin).map_err(at(Stage::Streams))?;
        }
        let stdout = open_stream(&self.stdout, Standard::Output)?;
        let separate = match &self.stderr {
            Some(stderr) => Some(open_stream(stderr, Standard::Error)?),
            None => None,
        };
        let stderr = separate.as_ref().unwrap_or(&stdout);
        rustix::stdio::dup2_stdout(&stdout)
            .and_then(|()| rustix::stdio::dup2_stderr(stderr))
            .map_err(at(Stage::Streams))?;
        for &(resource, soft) in &self.limits {
            limit(resource, soft).map_err(at(Stage::Limits))?;
        }
        if let Some(ruleset) = &self.ruleset {
            rustix::thread::set_no_new_privs(true)
                .and_then(|()| sys::restrict_self(ruleset.as_fd()))
                .map_err(at(Stage::Confine))?;
        }
        sys::unblock_all_signals();
        Err(at(Stage::Program)(self.program.become_it()))
    }

    /// Whoever starts the script must be there when it starts, and the script dies with whoever
    /// tells its end.
    fn belong(&self) -> Result<(), Errno> {
        rustix::process::setpgid(None, None)?;
        person::die_with(self.parent)
    }

    /// The last acts as the supervisor's user, then the end of that.
    fn become_somebody_else(&self, person: &Become, tell: BorrowedFd<'_>) -> Result<(), Fault> {
        let at = |stage: Stage| move |error: Errno| Fault { stage, error };
        if self.has_score {
            have_no_score().map_err(at(Stage::Score))?;
        }
        // Before the number: the kernel counts a user's processes when one becomes theirs, and
        // refuses the program if that was one too many. Descriptors are needed for the streams.
        let limits = self.limits.iter().filter(|(resource, _)| *resource != Resource::Nofile);
        for &(resource, soft) in limits {
            limit(resource, soft).map_err(at(Stage::Limits))?;
        }
        sys::close_files_but(tell, self.ruleset.as_ref().map(AsFd::as_fd));
        person.take().map_err(|(act, error)| Fault { stage: Stage::Person(act), error })
    }

    fn keep_within(&self) -> Result<(), Errno> {
        match &self.within {
            None => Ok(()),
            Some(Within::Group(door)) => rustix::io::write(door, b"0").map(drop),
            Some(Within::Data(bytes)) => {
                let hard = rustix::process::getrlimit(Resource::Data).maximum;
                let least = hard.map_or(*bytes, |hard| hard.min(*bytes));
                let limit = Rlimit { current: Some(least), maximum: Some(least) };
                rustix::process::setrlimit(Resource::Data, limit)
            }
        }
    }

    fn go_to_directory(&self) -> Result<(), Fault> {
        let enter = || rustix::process::chdir(self.directory.as_c_str());
        let entered = match enter() {
            Err(Errno::NOENT) if !self.folders.is_empty() => {
                self.create_folders().map_err(|error| Fault { stage: Stage::Folder, error })?;
                enter()
            }
            other => other,
        };
        entered.map_err(|error| Fault { stage: Stage::Directory, error })
    }

    /// Creates the working directory, and what is missing of the folders above it.
    fn create_folders(&self) -> Result<(), Errno> {
        // Upwards to one that is there, then down again: those above may be others', and closed.
        let mut missing = 0;
        for folder in self.folders.iter().rev() {
            match rustix::fs::mkdir(folder.as_c_str(), FOLDER_MODE) {
                Ok(()) | Err(Errno::EXIST) => break,
                Err(Errno::NOENT) => missing += 1,
                Err(e) => return Err(e),
            }
        }
        let above = self.folders.len().saturating_sub(missing);
        for folder in self.folders.iter().skip(above) {
            match rustix::fs::mkdir(folder.as_c_str(), FOLDER_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Sets a soft limit, never above the hard one, and never above one that stands for its memory.
fn limit(resource: Resource, soft: Option<u64>) -> Result<(), Errno> {
    let Rlimit { maximum, .. } = rustix::process::getrlimit(resource);
    let current = match (soft, maximum) {
        (Some(soft), Some(hard)) => Some(soft.min(hard)),
        (soft, hard) => soft.or(hard),
    };
    rustix::process::setrlimit(resource, Rlimit { current, maximum })
}

/// The out-of-memory score that every job of somebody else has.
fn have_no_score() -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, c"/proc/self/oom_score_adj", flags, Mode::empty())?;
    rustix::io::write(&file, b"0").map(drop)
}

/// Opens what the script reads. A pipe or a terminal that nobody writes to would keep it waiting;
/// of devices somebody else is given the one alone that holds nothing.
fn open_input(path: &CStr, is_of_a_person: bool) -> Result<OwnedFd, Fault> {
    let at = |stage: Stage| move |error: Errno| Fault { stage, error };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let mut resolve = ResolveFlags::empty();
    resolve.set(ResolveFlags::NO_MAGICLINKS, is_of_a_person);
    let file =
        rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve).map_err(at(Stage::Stdin))?;
    let about = rustix::fs::fstat(&file).map_err(at(Stage::Stdin))?;
    match FileType::from_raw_mode(about.st_mode) {
        FileType::RegularFile => {}
        FileType::CharacterDevice if !is_of_a_person || is_null(&about) => {}
        FileType::Directory => return Err(at(Stage::Stdin)(Errno::ISDIR)),
        _ => return Err(at(Stage::StdinPipe)(Errno::INVAL)),
    }
    rustix::fs::fcntl_setfl(&file, OFlags::empty()).map_err(at(Stage::Stdin))?;
    Ok(file)
}

/// The device that keeps nothing.
const NULL: (u32, u32) = (1, 3);

fn is_null(about: &Stat) -> bool {
    (rustix::fs::major(about.st_rdev), rustix::fs::minor(about.st_rdev)) == NULL
}

/// Opens one stream for writing, emptied or behind what is there.
fn open_stream(stream: &Stream, which: Standard) -> Result<OwnedFd, Fault> {
    let (in_root, in_file, pipe, device) = match which {
        Standard::Output => {
            (Stage::StdoutRoot, Stage::Stdout, Stage::StdoutPipe, Stage::StdoutDevice)
        }
        Standard::Error => {
            (Stage::StderrRoot, Stage::Stderr, Stage::StderrPipe, Stage::StderrDevice)
        }
    };
    let at = |stage: Stage| move |error: Errno| Fault { stage, error };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut resolve = ResolveFlags::NO_MAGICLINKS;
    let root = match stream.beneath {
        true => rustix::fs::openat(CWD, stream.root.as_c_str(), flags, Mode::empty()),
        false => open_within(CWD, &stream.root, flags, Mode::empty(), resolve),
    };
    let root = root.map_err(at(in_root))?;
    resolve.set(ResolveFlags::BENEATH, stream.beneath);
    // NONBLOCK, so that a named pipe without a reader is refused instead of waited for.
    let mut flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOCTTY | OFlags::NONBLOCK;
    flags.set(OFlags::TRUNC, stream.truncate);
    let open = || open_within(root.as_fd(), &stream.path, flags, FILE_MODE, resolve);
    let file = match open() {
        Err(Errno::NOENT) => {
            create_parents(root.as_fd(), &stream.parents, resolve).and_then(|()| open())
        }
        other => other,
    };
    let file = file.map_err(at(in_file))?;
    let about = rustix::fs::fstat(&file).map_err(at(in_file))?;
    match FileType::from_raw_mode(about.st_mode) {
        FileType::RegularFile => {}
        FileType::CharacterDevice if is_null(&about) && stream.root.to_bytes() == b"/dev" => {}
        FileType::Fifo => return Err(at(pipe)(Errno::INVAL)),
        _ => return Err(at(device)(Errno::INVAL)),
    }
    // The script shall find an ordinary stream.
    rustix::fs::fcntl_setfl(&file, OFlags::APPEND).map_err(at(in_file))?;
    Ok(file)
}

fn open_within(
    root: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    let mut tries = 0;
    loop {
        tries += 1;
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) if tries < BENEATH_TRIES => {}
            other => return other,
        }
    }
}

/// Creates missing folders below `root`, never through a link that leads where it may not.
fn create_parents(
    root: BorrowedFd<'_>,
    parents: &[(CString, CString)],
    resolve: ResolveFlags,
) -> rustix::io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    for (parent, name) in parents {
        let folder = open_within(root, parent, flags, Mode::empty(), resolve)?;
        match rustix::fs::mkdirat(&folder, name.as_c_str(), FOLDER_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_survives_its_pipe() {
        for (number, stage) in STAGES.into_iter().enumerate() {
            assert_eq!(STAGES.iter().position(|other| *other == stage), Some(number));
            let fault = Fault { stage, error: Errno::NOSPC };
            assert_eq!(Fault::from_bytes(&fault.to_bytes()), Some(fault));
        }
        assert_eq!(Fault::from_bytes(&[]), None);
        assert_eq!(Fault::from_bytes(&[99, 0, 0, 0, 0]), None);
    }
}
