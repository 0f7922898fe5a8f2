//! *Purpose*: from an order to a process that becomes the script, or to the sentence that says why
//! not.
//!
//! *Owns*: what that process needs, made ready; pinning; the sentences of launch failures and whose
//! trouble each is.
//!
//! *Promises*: what touches the job's files is done by the process that becomes the script: if they
//! do not answer, it is that process that hangs, and it can be killed.
//!
//! *Not here*: what that process does (`child`), watching over it (`start`, `attempt_watch`), which
//! paths are allowed (`job::spec`).

use std::ffi::CString;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::thread::CpuSet;

use super::child::person::{Act, Become};
use super::child::{FAULT_BYTES, Fault, Stage, Steps, Stream, Within};
use super::landlock;
use super::own_files;
use super::plain;
use super::scratch;
use super::served_attempt::SupervisorConfig;
use super::spool::{Folder, OrderFile};
use super::sys::{self, Beside, Memory, Stack};
use crate::engine::{Order, Person, StreamFile};
use crate::job::ids::CpuId;
use crate::job::spec::OpenMode;
use crate::ulimits::resource;

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
}

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

/// The mask of files that a person's script creates unless its order names one, as after a login.
const PERSONS_UMASK: Mode = Mode::WGRP.union(Mode::WOTH);
/// The out-of-memory score of a person's script.
const NO_SCORE: &str = "0";

/// What a script is kept within.
#[derive(Default)]
pub struct Bounds {
    /// Its memory.
    pub within: Option<Within>,
    /// The door of the control group that denies it devices.
    pub wall: Option<OwnedFd>,
}

/// What a launch needs, as far as it can be had before the start without anybody seeing it.
pub struct Prepared<'a> {
    order: &'a Order,
    data_dir: PathBuf,
    interpreter: &'a str,
    steps: Steps,
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
        config: &SupervisorConfig,
    ) -> Result<Prepared<'a>, Failure> {
        let order = &file.order;
        let parent = rustix::process::getpid();
        let person = order.person.as_ref();
        config.persons.admit_any(person)?;
        let data_dir = folder.data_dir().to_owned();
        match (&order.own_folder, person) {
            (None, _) => {}
            (Some(own), None) => make_own_folder(order, own, &data_dir)?,
            (Some(own), Some(person)) => make_folder_of(order, own, person, &data_dir)?,
        }
        let scratch = file.scratch.as_ref().map(|base| base.join(key_name));
        if let Some(own) = &scratch {
            // Wherever it is, it is the server's.
            scratch::make(own, person).map_err(|e| Failure {
                sentence: format!("scratch folder {}: {}", own.display(), why(&e)),
                whose: whose(&e, own, own),
            })?;
        }
        let interpreter = file.interpreter.first().map(String::as_str);
        let interpreter = interpreter.ok_or_else(|| "the order names no interpreter".to_owned())?;
        let steps = Steps {
            parent,
            within: None,
            wall: None,
            has_score: config.oom_score.as_deref() != Some(NO_SCORE),
            folders: folders_to_create(order)?,
            directory: c_path(&order.working_directory)?,
            stdin: order.standard_input.as_deref().map(c_path).transpose()?,
            stdout: stream(&order.stdout, order)?,
            stderr: (order.stderr != order.stdout)
                .then(|| stream(&order.stderr, order))
                .transpose()?,
            umask: umask(order),
            limits: order.limits.0.iter().map(|(limit, soft)| (resource(*limit), *soft)).collect(),
            ruleset: None,
            program: program(file, folder, key_name, scratch.as_deref())?,
            person: person.map(|person| Become::new(person, parent)),
        };
        Ok(Prepared { order, data_dir, interpreter, steps })
    }

    /// Starts the process that becomes the script.
    ///
    /// # Errors
    /// When the system has no room for another.
    pub fn start<'b>(
        &'b mut self,
        bounds: Bounds,
        stack: &'b mut Stack,
    ) -> Result<Launching<'b>, Failure> {
        Bounds { within: self.steps.within, wall: self.steps.wall } = bounds;
        if self.order.confine_signals {
            self.steps.ruleset =
                Some(landlock::ruleset_to_confine().map_err(|e| not_confined(&e))?);
        }
        let prepared = &*self;
        let memory = if self.order.person.is_some() { Memory::Copied } else { Memory::Shared };
        let process = sys::start_beside(stack, memory, &prepared.steps, Steps::take);
        let process = process.map_err(|e| {
            Failure::of_the_machine(format!("no process could be started: {}", why(&e)), &e)
        })?;
        Ok(Launching { process, prepared })
    }

    /// The sentence for a fault of the child, and whose trouble it is.
    fn failure(&self, fault: Fault) -> Failure {
        let Prepared { order, data_dir, interpreter, .. } = self;
        let error = io::Error::from(fault.error);
        // A person's folders may be on a file system of the person's, which answers what it likes:
        // that the machine is short of something is then nothing that others should wait for.
        let of_path = |sentence: String, path: &Path| {
            let is_theirs = order.person.is_some() && order.own_folder.as_deref() != Some(path);
            let whose = if is_theirs { Whose::Job } else { whose(&error, path, data_dir) };
            Failure { sentence, whose }
        };
        let directory = &order.working_directory;
        match fault.stage {
            Stage::Group => format!("no process group: {}", why(&error)).into(),
            Stage::Memory => {
                let sentence = format!("its memory cannot be limited: {}", why(&error));
                Failure::of_the_machine(sentence, &error)
            }
            Stage::Devices => not_denied(&error),
            Stage::Score => {
                format!("its out-of-memory score cannot be set: {}", why(&error)).into()
            }
            Stage::Person(act) => not_become(order, act, &error),
            Stage::Folder | Stage::Directory => of_path(
                format!("working directory {}: {}", directory.display(), why(&error)),
                directory,
            ),
            Stage::Stdin | Stage::StdinPipe => {
                let path = order.standard_input.clone().unwrap_or_default();
                let path = order.working_directory.join(path);
                let why = match fault.stage {
                    Stage::StdinPipe => "is a named pipe, not a file".to_owned(),
                    _ => why(&error),
                };
                of_path(format!("standard input {}: {why}", path.display()), &path)
            }
            Stage::Limits => format!("its limits: {}", why(&error)).into(),
            Stage::StdoutRoot | Stage::Stdout | Stage::StdoutPipe | Stage::StdoutDevice => of_path(
                stream_sentence("standard output", &order.stdout, fault.stage, &error),
                &order.stdout.root,
            ),
            Stage::StderrRoot | Stage::Stderr | Stage::StderrPipe | Stage::StderrDevice => of_path(
                stream_sentence("standard error", &order.stderr, fault.stage, &error),
                &order.stderr.root,
            ),
            Stage::Streams => format!("its streams: {}", why(&error)).into(),
            Stage::Confine => not_confined(&error),
            Stage::Program if order.person.is_some() && fault.error == Errno::AGAIN => {
                too_many_processes(order)
            }
            Stage::Program => {
                of_path(program_sentence(interpreter, &error), Path::new(interpreter))
            }
        }
    }
}

/// The devices of others could not be kept from it. The wall stood when the server started: a job
/// does not run without it, nor does it wait for it, as long as the machine is not short.
#[must_use]
pub fn not_denied(error: &io::Error) -> Failure {
    let sentence = format!("the devices of others cannot be denied to it: {error}");
    let whose = if is_short(error) { Whose::Machine } else { Whose::Job };
    Failure { sentence, whose }
}

/// It did not become its owner, so it becomes nothing, and nobody runs the script in its owner's
/// place.
fn not_become(order: &Order, act: Act, error: &io::Error) -> Failure {
    let name = order.person.as_ref().map_or("its owner", |person| &person.name);
    let what = match act {
        Act::Keyring => "the keyring of its session",
        Act::Hide => "being hidden from others",
        Act::Capabilities => "its capabilities",
        Act::Groups => "its groups",
        Act::GroupNumber => "the number of its group",
        Act::UserNumber => "the number of its user",
        Act::Proof => "what the system then said of its numbers, groups and capabilities",
        Act::Parent => "its supervisor",
    };
    let sentence = format!("could not become {name}: {what}: {}", why(error));
    let whose = if is_short(error) { Whose::Machine } else { Whose::Job };
    Failure { sentence, whose }
}

/// The kernel refuses a program to a user whose processes are more than the limit already. Others
/// are not, so it is no shortage of the machine.
fn too_many_processes(order: &Order) -> Failure {
    let name = order.person.as_ref().map_or("its owner", |person| &person.name);
    format!("{name} has as many processes as the limit allows (ulimit -u), so no other was started")
        .into()
}

fn not_confined(error: &dyn std::fmt::Display) -> Failure {
    format!("its signals cannot be confined: {error}").into()
}

/// A process on its way to becoming the script. It reads what its supervisor made ready, so that
/// is kept until it is the script or has ended.
pub struct Launching<'a> {
    process: Beside<'a>,
    prepared: &'a Prepared<'a>,
}

impl Launching<'_> {
    /// Its number, which is the script's.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid
    }

    /// Where it says why it cannot; the end without a word says that it can.
    #[must_use]
    pub fn told(&self) -> &OwnedFd {
        &self.process.told
    }

    /// What the child says, once there is something to read: nothing when it is the script.
    #[must_use]
    pub fn why_not(&self) -> Option<Failure> {
        let mut bytes = [0; FAULT_BYTES];
        match rustix::io::retry_on_intr(|| rustix::io::read(self.told(), &mut bytes)) {
            Ok(FAULT_BYTES) => Fault::from_bytes(&bytes).map(|fault| self.prepared.failure(fault)),
            _ => None,
        }
    }
}

fn text(s: impl Into<Vec<u8>>) -> Result<CString, Failure> {
    CString::new(s).map_err(|e| {
        let s = String::from_utf8_lossy(&e.into_vec()).into_owned();
        format!("{s:?} holds a NUL byte").into()
    })
}

fn c_path(path: &Path) -> Result<CString, Failure> {
    text(path.as_os_str().as_bytes())
}

/// The script's interpreter, arguments and environment.
fn program(
    file: &OrderFile,
    folder: &Folder,
    key_name: &str,
    scratch: Option<&Path>,
) -> Result<sys::Program, Failure> {
    let mut arguments = Vec::with_capacity(3 + file.order.arguments.len());
    for word in &file.interpreter {
        arguments.push(text(word.as_str())?);
    }
    arguments.push(c_path(&folder.file("script"))?);
    for word in &file.order.arguments {
        arguments.push(text(word.as_str())?);
    }
    let variables = &file.order.environment;
    let mut environment = Vec::with_capacity(variables.len() + 2);
    let is_given =
        |name: &str| name == KEY_VARIABLE || name == scratch::VARIABLE && scratch.is_some();
    for (name, value) in variables.iter().filter(|(name, _)| !is_given(name)) {
        environment.push(text(format!("{name}={value}"))?);
    }
    if let Some(scratch) = scratch {
        let mut variable = format!("{}=", scratch::VARIABLE).into_bytes();
        variable.extend_from_slice(scratch.as_os_str().as_bytes());
        environment.push(text(variable)?);
    }
    environment.push(text(format!("{KEY_VARIABLE}={key_name}"))?);
    Ok(sys::Program::new(arguments, environment))
}

/// The working directory with all above it, if it is the child that creates them.
fn folders_to_create(order: &Order) -> Result<Vec<CString>, Failure> {
    let directory = &order.working_directory;
    let is_own = order.own_folder.as_ref().is_some_and(|own| match &order.person {
        None => directory.starts_with(own),
        // What is in a folder of the person's is the person's to make.
        Some(_) => name_in(own, directory).is_some(),
    });
    if !order.create_working_directory || is_own {
        return Ok(Vec::new());
    }
    let mut folders: Vec<&Path> = directory.ancestors().collect();
    folders.reverse();
    folders.into_iter().filter(|path| path.parent().is_some()).map(c_path).collect()
}

/// The mask of the files that it creates: a server's own is no matter of its users.
fn umask(order: &Order) -> Option<Mode> {
    let ordered = order.umask.map(|umask| Mode::from_raw_mode(umask.bits()));
    ordered.or(order.person.as_ref().map(|_| PERSONS_UMASK))
}

fn stream(file: &StreamFile, order: &Order) -> Result<Stream, Failure> {
    let mut parents = Vec::new();
    // Only where nothing holds it beneath its root it may be absolute.
    let mut above = PathBuf::from(if file.path.is_absolute() { "/" } else { "." });
    for component in file.path.parent().into_iter().flat_map(Path::components) {
        if let Component::Normal(name) = component {
            parents.push((c_path(&above)?, c_path(Path::new(name))?));
        }
        above.push(component);
    }
    let truncate = order.open_mode == OpenMode::Truncate;
    // A person's files are where the kernel lets that person write.
    let beneath = order.person.is_none();
    let (root, path) = (c_path(&file.root)?, c_path(&file.path)?);
    Ok(Stream { root, path, parents, truncate, beneath })
}

/// What its kept streams take on the disk, bytes: a hole takes nothing.
#[must_use]
pub fn kept_bytes(order: &Order) -> u64 {
    let Some(own) = &order.own_folder else { return 0 };
    let mut streams = vec![&order.stdout];
    if order.stderr != order.stdout {
        streams.push(&order.stderr);
    }
    let is_kept = |stream: &&StreamFile| match &order.person {
        None => stream.root.starts_with(own),
        // Nobody looks through a folder of the person's with root's eyes.
        Some(_) => is_kept_of_person(order, stream),
    };
    let kept = streams.into_iter().filter(is_kept);
    let size = |stream: &StreamFile| {
        // The folder is the server's, but the name in it is the job's to change.
        let about = std::fs::symlink_metadata(stream.root.join(&stream.path)).ok();
        about.filter(|about| about.is_file()).map_or(0, |about| about.blocks() * BLOCK_BYTES)
    };
    kept.map(size).sum()
}

/// Whether a stream of a person's job stands in the server's own folder.
fn is_kept_of_person(order: &Order, stream: &StreamFile) -> bool {
    let own = order.own_folder.as_ref().filter(|own| stream.root == **own);
    own.is_some_and(|own| name_in(own, &stream.full()).is_some())
}

/// What `stat` counts in.
const BLOCK_BYTES: u64 = 512;

/// The server's user's own folder, and the working directory in it.
fn make_own_folder(order: &Order, own: &Path, data_dir: &Path) -> Result<(), Failure> {
    make_way(own);
    create_folder("folder", own, 0o700, data_dir)?;
    if order.create_working_directory && order.working_directory.starts_with(own) {
        make_way(&order.working_directory);
        create_folder("working directory", &order.working_directory, 0o777, data_dir)?;
    }
    Ok(())
}

/// The folder of a person's job: the server's, and in it what is the person's.
fn make_folder_of(
    order: &Order,
    own: &Path,
    person: &Person,
    data_dir: &Path,
) -> Result<(), Failure> {
    let failed = |what: &str, path: &Path| {
        let shown = format!("{what} {}", path.display());
        let (path, data_dir) = (path.to_owned(), data_dir.to_owned());
        move |e: io::Error| Failure {
            sentence: format!("{shown}: {}", why(&e)),
            // Nobody but root puts anything there, and nobody else takes it away again.
            whose: if is_taken(&e) { Whose::Job } else { whose(&e, &path, &data_dir) },
        }
    };
    create_folder("folder", own, own_files::PASSAGE, data_dir)?;
    for passed in own.parent().into_iter().chain([own]) {
        own_files::let_pass(passed).map_err(failed("folder", passed))?;
    }
    let work = &order.working_directory;
    if let Some(name) = name_in(own, work).filter(|_| order.create_working_directory) {
        own_files::folder(own, name, person).map_err(failed("working directory", work))?;
    }
    let mut kept = vec![("standard output", &order.stdout)];
    if order.stderr != order.stdout {
        kept.push(("standard error", &order.stderr));
    }
    for (what, stream) in kept {
        if let Some(name) = name_in(own, &stream.full()).filter(|_| stream.root == own) {
            own_files::stream(own, name, person).map_err(failed(what, &stream.full()))?;
        }
    }
    Ok(())
}

/// What this folder calls this path, if that is right in it.
fn name_in<'a>(folder: &Path, path: &'a Path) -> Option<&'a Path> {
    let name = path.strip_prefix(folder).ok()?;
    let mut parts = name.components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)).then_some(name)
}

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

fn program_sentence(program: &str, error: &io::Error) -> String {
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
            "arguments and environment are larger than this system allows".to_owned()
        }
        _ => format!("interpreter {program} cannot be executed: {}", why(error)),
    }
}

fn stream_sentence(which: &str, stream: &StreamFile, stage: Stage, error: &io::Error) -> String {
    let path = stream.root.join(&stream.path);
    let shown = path.display();
    match (stage, rustix::io::Errno::from_io_error(error)) {
        (Stage::StdoutRoot | Stage::StderrRoot, _) => {
            format!("{which} {shown}: folder {}: {}", stream.root.display(), why(error))
        }
        (Stage::StdoutPipe | Stage::StderrPipe, _) => {
            format!("{which} {shown}: is a named pipe, not a regular file")
        }
        (Stage::StdoutDevice | Stage::StderrDevice, _) => {
            format!("{which} {shown}: is a device, not a regular file")
        }
        (_, Some(rustix::io::Errno::XDEV)) => {
            format!("{which} {shown}: a link leads out of {}", stream.root.display())
        }
        (_, Some(rustix::io::Errno::NXIO)) => format!("{which} {shown}: is not a regular file"),
        _ => format!("{which} {shown}: {}", why(error)),
    }
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
