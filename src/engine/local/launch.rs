//! *Purpose*: from an order to a running script, or to the sentence that says why not.
//!
//! *Owns*: opening streams beneath their roots, the working directory, pinning, the
//! interpreter; the sentences of launch failures.
//!
//! *Promises*: a stream is a regular file below its root, whatever links say; both streams to
//! one path share one open file; nothing of the supervisor is inherited by the script. What
//! touches the job's files is done by the process that becomes the script: if they do not answer,
//! it is that process that hangs, and it can be killed.
//!
//! *Not here*: watching what was started (`supervisor`, `vigil`), which paths are allowed
//! (`kernel::job` as text; this room when the file is opened).

use std::ffi::CString;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::pipe::PipeFlags;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use rustix::thread::CpuSet;

use super::landlock;
use super::plain;
use super::spool::{Folder, OrderFile};
use super::sys;
use crate::engine::{Order, StreamFile};
use crate::kernel::ids::CpuId;
use crate::kernel::job::OpenMode;

/// How often an open beneath a root is tried while others rename folders around it.
const BENEATH_TRIES: u32 = 16;

/// Why no script was started.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// The sentence for a person.
    pub sentence: String,
    /// Whose trouble it is.
    pub whose: Whose,
}

/// Whose trouble it is that no script was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The job's: its end.
    Job,
    /// The server's: something that it has to read or write does not let it. It may pass.
    Server,
    /// The machine's: it is short of processes, memory or descriptors. It may pass, the sooner the
    /// fewer processes wait for it.
    Machine,
}

impl From<String> for Failure {
    fn from(sentence: String) -> Failure {
        Failure { sentence, whose: Whose::Job }
    }
}

impl Failure {
    /// An error that has nothing to do with the job: of what the machine or the server lacks.
    #[must_use]
    pub fn of_the_machine(sentence: String, error: &io::Error) -> Failure {
        let whose = match error {
            e if is_short(e) => Whose::Machine,
            e if is_unreadable(e) || is_closed(e) => Whose::Server,
            _ => Whose::Job,
        };
        Failure { sentence, whose }
    }

    /// As one message of a pipe.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.whose as u8];
        bytes.extend_from_slice(self.sentence.as_bytes());
        bytes.truncate(FAILURE_BYTES_MAX);
        bytes
    }

    /// Reads [`Failure::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Failure {
        let (whose, sentence) = bytes.split_first().unwrap_or((&0, &[]));
        let all = [Whose::Job, Whose::Server, Whose::Machine];
        let whose = all.into_iter().find(|one| *one as u8 == *whose).unwrap_or(Whose::Job);
        Failure { sentence: String::from_utf8_lossy(sentence).into_owned(), whose }
    }
}

/// The longest message about a failure: what a pipe takes as a whole.
pub const FAILURE_BYTES_MAX: usize = 4096;

/// Whether this system is short of something that it may have again: processes, memory,
/// descriptors.
fn is_short(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let short = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::NOBUFS];
    Errno::from_io_error(error).is_some_and(|errno| short.contains(&errno))
}

/// Whether a disk or a program cannot be read just now.
fn is_unreadable(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let unreadable = [Errno::IO, Errno::STALE, Errno::TXTBSY];
    Errno::from_io_error(error).is_some_and(|errno| unreadable.contains(&errno))
}

/// Whether a place does not let itself be written to: full, read-only, forbidden.
fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::PermissionDenied
    )
}

/// Whether something of somebody else's stands in a place of the server's.
fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory)
}

/// Whose trouble with a path it is: in its own folder all is the server's, elsewhere only what is
/// no matter of the path.
fn whose(error: &io::Error, path: &Path, data_dir: &Path) -> Whose {
    match error {
        e if is_short(e) => Whose::Machine,
        e if is_unreadable(e) => Whose::Server,
        e if (is_closed(e) || is_taken(e)) && path.starts_with(data_dir) => Whose::Server,
        _ => Whose::Job,
    }
}

/// What a launch needs, as far as it can be had before the start without anybody seeing it.
pub struct Prepared<'a> {
    order: &'a Order,
    data_dir: PathBuf,
    program: &'a str,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl<'a> Prepared<'a> {
    /// From the order that is in this folder.
    ///
    /// # Errors
    /// Why it cannot be launched.
    pub fn make(
        file: &'a OrderFile,
        folder: &Folder,
        key_name: &str,
    ) -> Result<Prepared<'a>, Failure> {
        let order = &file.order;
        let data_dir = folder.data_dir().to_owned();
        if let Some(own) = &order.own_folder {
            make_way(own);
            create_folder("folder", own, 0o700, &data_dir)?;
            if order.create_working_directory && order.working_directory.starts_with(own) {
                make_way(&order.working_directory);
                create_folder("working directory", &order.working_directory, 0o777, &data_dir)?;
            }
        }
        let Some(program) = file.interpreter.first() else {
            return Err("the order names no interpreter".to_owned().into());
        };
        let text = |s: &str| CString::new(s).map_err(|_| format!("{s:?} holds a NUL byte"));
        let mut arguments = Vec::with_capacity(3);
        for word in &file.interpreter {
            arguments.push(text(word)?);
        }
        arguments.push(text(&folder.file("script").to_string_lossy())?);
        let mut environment = Vec::with_capacity(order.environment.len() + 1);
        for (name, value) in order.environment.iter().filter(|(name, _)| *name != KEY_VARIABLE) {
            environment.push(text(&format!("{name}={value}"))?);
        }
        environment.push(text(&format!("{KEY_VARIABLE}={key_name}"))?);
        Ok(Prepared { order, data_dir, program, arguments, environment })
    }

    /// Forks the process that becomes the script.
    ///
    /// # Errors
    /// When the system has no room for another.
    pub fn start(&self, within: Option<Within<'_>>) -> Result<Launching, Failure> {
        let short =
            |what: &str, e: io::Error| Failure::of_the_machine(format!("{what}: {}", why(&e)), &e);
        let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
        let (told, tell) =
            rustix::pipe::pipe_with(flags).map_err(|e| short("no pipe could be made", e.into()))?;
        let pid = sys::fork(|| {
            let failure = self.become_the_script(within);
            let _nobody_waits = rustix::io::write(&tell, &failure.to_bytes());
            NOT_STARTED
        })
        .map_err(|e| short("no process could be started", e))?;
        Ok(Launching { pid, told })
    }

    /// In the child. Returns only when it cannot, with the reason.
    fn become_the_script(&self, within: Option<Within<'_>>) -> Failure {
        let Prepared { order, data_dir, program, arguments, environment } = self;
        let tried = enter(within).and_then(|()| {
            let directory = &order.working_directory;
            let is_own = order.own_folder.as_ref().is_some_and(|own| directory.starts_with(own));
            if order.create_working_directory && !is_own {
                create_folder("working directory", directory, 0o777, data_dir)?;
            }
            std::env::set_current_dir(directory).map_err(|e| Failure {
                sentence: format!("working directory {}: {}", directory.display(), why(&e)),
                whose: whose(&e, directory, data_dir),
            })?;
            let stdout = open_stream("standard output", &order.stdout, order.open_mode, data_dir)?;
            let separate = (order.stderr != order.stdout)
                .then(|| open_stream("standard error", &order.stderr, order.open_mode, data_dir))
                .transpose()?;
            let stderr = separate.as_ref().unwrap_or(&stdout);
            sys::replace_stdout_and_stderr(stdout.as_fd(), stderr.as_fd())
                .map_err(|e| Failure::from(format!("its streams: {}", why(&e))))
        });
        if let Err(failure) = tried {
            return failure;
        }
        if order.confine_signals
            && let Err(e) = landlock::confine()
        {
            return format!("its signals cannot be confined: {e}").into();
        }
        let Some(path) = arguments.first() else { return "no program".to_owned().into() };
        sys::unblock_all_signals();
        let error = sys::exec(path, arguments, environment);
        let whose = whose(&error, Path::new(program), data_dir);
        Failure { sentence: spawn_sentence(program, &error), whose }
    }
}

/// A process on its way to becoming the script.
#[derive(Debug)]
pub struct Launching {
    /// Its number, which is the script's.
    pub pid: i32,
    /// Where it says why it cannot; the end without a word says that it can.
    pub told: OwnedFd,
}

/// What a script is kept within from its first instruction.
#[derive(Clone, Copy, Debug)]
pub enum Within<'a> {
    /// The control group whose `cgroup.procs` this is, open for writing.
    Group(BorrowedFd<'a>),
    /// So many bytes of data for each process.
    Data(u64),
}

/// Exit code of a child that did not become the script. Nobody looks at it.
const NOT_STARTED: i32 = 127;

/// What the child does before it touches anything of the job's.
fn enter(within: Option<Within<'_>>) -> Result<(), Failure> {
    let own_group = rustix::process::setpgid(None, None);
    // Who would start it must be there when it starts; and it dies with whoever tells its end.
    let bound = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let ready = own_group.and(bound).map_err(io::Error::from);
    ready.map_err(|e| Failure::from(format!("no process group: {}", why(&e))))?;
    let kept = match within {
        None => Ok(()),
        Some(Within::Group(door)) => rustix::io::write(door, b"0").map(drop),
        Some(Within::Data(bytes)) => {
            let hard = getrlimit(Resource::Data).maximum;
            let least = hard.map_or(bytes, |hard| hard.min(bytes));
            let limit = Rlimit { current: Some(least), maximum: Some(least) };
            setrlimit(Resource::Data, limit)
        }
    };
    kept.map_err(io::Error::from).map_err(|e| {
        Failure::of_the_machine(format!("its memory cannot be limited: {}", why(&e)), &e)
    })
}

/// What its kept streams take on the disk, bytes: a hole takes nothing.
#[must_use]
pub fn kept_bytes(order: &Order) -> u64 {
    let Some(own) = &order.own_folder else { return 0 };
    let mut streams = vec![&order.stdout];
    if order.stderr != order.stdout {
        streams.push(&order.stderr);
    }
    let kept = streams.into_iter().filter(|stream| stream.root.starts_with(own));
    let size = |stream: &StreamFile| {
        // The folder is the server's, but the name in it is the job's to change.
        let about = std::fs::symlink_metadata(stream.root.join(&stream.path)).ok();
        about.filter(|about| about.is_file()).map_or(0, |about| about.blocks() * BLOCK_BYTES)
    };
    kept.map(size).sum()
}

/// What `stat` counts in.
const BLOCK_BYTES: u64 = 512;

/// Another job may have put a link, a pipe or a file where a folder of the server's is to be.
fn make_way(folder: &Path) {
    if std::fs::symlink_metadata(folder).is_ok_and(|found| !found.is_dir()) {
        let _said_by_whoever_makes_the_folder = plain::move_aside(folder);
    }
}

/// Makes a folder, and those it is in, unless it is there.
fn create_folder(what: &str, path: &Path, mode: u32, data_dir: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|e| Failure {
        sentence: format!("{what} {}: {}", path.display(), why(&e)),
        whose: whose(&e, path, data_dir),
    })
}

/// The variable by which a process can be attributed to its attempt.
pub const KEY_VARIABLE: &str = "DOWNBEAT_KEY";

/// Keeps this process on these CPUs; answers whether that was possible. A CPU that this
/// machine does not have (a server told to count more than there are) pins nothing.
pub fn pin(cpus: &[CpuId]) -> bool {
    if cpus.is_empty() {
        return false;
    }
    let mut set = CpuSet::new();
    for cpu in cpus {
        let cpu = usize::try_from(cpu.0).unwrap_or(usize::MAX);
        if cpu >= CpuSet::MAX_CPU {
            return false;
        }
        set.set(cpu);
    }
    rustix::thread::sched_setaffinity(None, &set).is_ok()
}

fn spawn_sentence(program: &str, error: &io::Error) -> String {
    let carriage = program.ends_with('\r');
    let program = program.trim_end_matches('\r');
    match error.kind() {
        _ if carriage => {
            format!("interpreter {program} not found: the script's lines end in carriage returns")
        }
        io::ErrorKind::NotFound if Path::new(program).exists() => {
            format!("interpreter {program} is there, but the loader it names is not")
        }
        io::ErrorKind::NotFound => format!("interpreter {program} not found"),
        io::ErrorKind::ArgumentListTooLong => {
            "the environment is larger than this system allows".to_owned()
        }
        _ => format!("interpreter {program} cannot be executed: {}", why(error)),
    }
}

/// Opens one stream for writing, emptied or behind what is there.
fn open_stream(
    which: &str,
    stream: &StreamFile,
    mode: OpenMode,
    data_dir: &Path,
) -> Result<File, Failure> {
    let path = stream.root.join(&stream.path);
    let shown = path.display();
    let root = rustix::fs::openat(
        CWD,
        &stream.root,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(io::Error::from)
    .map_err(|e| Failure {
        sentence: format!("{which} {shown}: folder {}: {}", stream.root.display(), why(&e)),
        whose: whose(&e, &stream.root, data_dir),
    })?;
    // NONBLOCK, so that a named pipe without a reader is refused instead of waited for.
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOCTTY | OFlags::NONBLOCK;
    let flags = match mode {
        OpenMode::Truncate => flags | OFlags::TRUNC,
        OpenMode::Append => flags,
    };
    let opened = match open_beneath(&root, &stream.path, flags) {
        Err(rustix::io::Errno::NOENT) => create_parents(&root, &stream.path)
            .and_then(|()| open_beneath(&root, &stream.path, flags)),
        other => other,
    };
    let trouble = opened.as_ref().err().map(|e| whose(&(*e).into(), &stream.root, data_dir));
    let whose = trouble.unwrap_or(Whose::Job);
    let opened = opened.map_err(|e| match e {
        rustix::io::Errno::XDEV => {
            format!("{which} {shown}: a link leads out of {}", stream.root.display())
        }
        rustix::io::Errno::NXIO => format!("{which} {shown}: is not a regular file"),
        other => format!("{which} {shown}: {}", why(&other.into())),
    });
    let file = File::from(opened.map_err(|sentence| Failure { sentence, whose })?);
    let kind = file.metadata().map_err(|e| format!("{which} {shown}: {}", why(&e)))?.file_type();
    if !kind.is_file() {
        let what = if kind.is_fifo() { "a named pipe" } else { "a device" };
        return Err(format!("{which} {shown}: is {what}, not a regular file").into());
    }
    // The script shall find an ordinary stream.
    rustix::fs::fcntl_setfl(&file, OFlags::APPEND)
        .map_err(|e| format!("{which} {shown}: {}", why(&e.into())))?;
    Ok(file)
}

fn open_beneath(root: &OwnedFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let mode = Mode::from_raw_mode(0o666);
    let mode = if flags.contains(OFlags::CREATE) { mode } else { Mode::empty() };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        tries += 1;
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) if tries < BENEATH_TRIES => {}
            other => return other,
        }
    }
}

/// Creates the missing folders of `path` below `root`, never through a link that leaves it.
fn create_parents(root: &OwnedFd, path: &Path) -> rustix::io::Result<()> {
    let mut parent = PathBuf::from(".");
    for component in path.parent().into_iter().flat_map(Path::components) {
        let Component::Normal(name) = component else { continue };
        let folder = open_beneath(root, &parent, OFlags::PATH | OFlags::DIRECTORY)?;
        match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(e),
        }
        parent.push(name);
    }
    Ok(())
}

/// A system's reason in words, without its number.
fn why(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    match error.kind() {
        io::ErrorKind::NotFound => "not found".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::NotADirectory => "not a folder".to_owned(),
        io::ErrorKind::IsADirectory => "is a folder".to_owned(),
        _ => text.to_lowercase(),
    }
}
