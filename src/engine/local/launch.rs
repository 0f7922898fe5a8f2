//! *Purpose*: from an order to a running script, or to the sentence that says why not.
//!
//! *Owns*: opening streams beneath their roots, the working directory, pinning, the
//! interpreter; the sentences of launch failures.
//!
//! *Promises*: a stream is a regular file below its root, whatever links say; both streams to
//! one path share one open file; nothing of the supervisor is inherited by the script.
//!
//! *Not here*: watching what was started (`supervisor`), which paths are allowed
//! (`kernel::job` as text; this room when the file is opened).

use std::ffi::CString;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::thread::CpuSet;

use super::spool::{Folder, OrderFile};
use super::sys::{self, NotSpawned, Within};
use crate::engine::{Order, StreamFile};
use crate::kernel::ids::CpuId;
use crate::kernel::job::OpenMode;

/// How often an open beneath a root is tried while others rename folders around it.
const BENEATH_TRIES: u32 = 16;

/// Why no script was started.
#[derive(Debug)]
pub struct Failure {
    /// The sentence for the person who submitted it.
    pub sentence: String,
    /// Whether only room on the disk of the data folder is missing: that is the server's
    /// trouble, not the job's.
    pub is_full_disk: bool,
}

impl From<String> for Failure {
    fn from(sentence: String) -> Failure {
        Failure { sentence, is_full_disk: false }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
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
            create_folder("folder", own, 0o700, &data_dir)?;
            if order.create_working_directory && order.working_directory.starts_with(own) {
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

    /// Starts the script, within bounds if there are any; answers its pid.
    ///
    /// # Errors
    /// Why not.
    pub fn start(self, within: Option<Within<'_>>) -> Result<i32, Failure> {
        let Prepared { order, data_dir, program, arguments, environment } = self;
        let directory = &order.working_directory;
        let is_own = order.own_folder.as_ref().is_some_and(|own| directory.starts_with(own));
        if order.create_working_directory && !is_own {
            create_folder("working directory", directory, 0o777, &data_dir)?;
        }
        std::env::set_current_dir(directory)
            .map_err(|e| format!("working directory {}: {}", directory.display(), why(&e)))?;
        let open = |which: &str, stream: &StreamFile| {
            open_stream(which, stream, order.open_mode).map_err(|failure| Failure {
                is_full_disk: failure.is_full_disk && stream.root.starts_with(&data_dir),
                ..failure
            })
        };
        let stdout = open("standard output", &order.stdout)?;
        let separate = (order.stderr != order.stdout)
            .then(|| open("standard error", &order.stderr))
            .transpose()?;
        let stderr = separate.as_ref().unwrap_or(&stdout);
        let Some(path) = arguments.first() else { return Err("no program".to_owned().into()) };
        let (stdout, stderr) = (stdout.as_fd(), stderr.as_fd());
        let spawned = match within {
            None => sys::spawn(path, &arguments, &environment, stdout, stderr)
                .map_err(NotSpawned::Program),
            Some(within) => {
                sys::spawn_within(within, path, &arguments, &environment, stdout, stderr)
            }
        };
        spawned.map_err(|e| match e {
            NotSpawned::Program(e) => spawn_sentence(program, &e).into(),
            NotSpawned::Within(e) => format!("its memory cannot be limited: {}", why(&e)).into(),
        })
    }
}

/// Makes a folder, and those it is in, unless it is there.
fn create_folder(what: &str, path: &Path, mode: u32, data_dir: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|e| Failure {
        sentence: format!("{what} {}: {}", path.display(), why(&e)),
        is_full_disk: is_full(&e) && path.starts_with(data_dir),
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
fn open_stream(which: &str, stream: &StreamFile, mode: OpenMode) -> Result<File, Failure> {
    let shown = stream.root.join(&stream.path);
    let shown = shown.display();
    let root = rustix::fs::openat(
        CWD,
        &stream.root,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|e| {
        format!("{which} {shown}: folder {}: {}", stream.root.display(), why(&e.into()))
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
    let is_full_disk = opened.as_ref().is_err_and(|e| is_full(&io::Error::from(*e)));
    let opened = opened.map_err(|e| match e {
        rustix::io::Errno::XDEV => {
            format!("{which} {shown}: a link leads out of {}", stream.root.display())
        }
        rustix::io::Errno::NXIO => format!("{which} {shown}: is not a regular file"),
        other => format!("{which} {shown}: {}", why(&other.into())),
    });
    let file = File::from(opened.map_err(|sentence| Failure { sentence, is_full_disk })?);
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
