//! *Purpose*: the folder through which server and supervisor speak, `<data>/spool/<key>/`.
//!
//! *Owns*: its files: `order` and `script` (by the server, before the launch), `state`
//! (created locked by the step daemon, lines added by the supervisor, its lock is the
//! supervisor's life), `control` (by the server, replaced by rename), `exit` (by the
//! supervisor, by rename: the true end).
//!
//! *Promises*: no file is ever half written to a reader: replaced ones are renamed, and a line
//! of `state` counts only with its end. Nothing is fsynced: whoever asks after a power cut
//! finds another boot id and trusts only a record that parses. Scripts can reach this folder, so
//! nothing in it is followed, waited for or read without a bound (`plain`).
//!
//! *Not here*: who may conclude what from these files (`mod.rs`, `reattach`).

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, RenameFlags};
use serde::{Deserialize, Serialize};

use super::own_files;
use super::persons::Persons;
use super::plain;
use super::state::State;
use crate::engine::{Control, EngineError, ExitRecord, Order, Person};
use crate::job::script;

/// Version of `order`; a supervisor refuses one that it does not know.
pub const ORDER_VERSION: u32 = 1;
/// The same of one that names a person: whoever does not know persons would run the script as root.
pub const PERSON_VERSION: u32 = 2;
/// Version of the exit record. Version 1 did not know what ran out of memory, version 2 not what
/// was left behind; each reads the others'.
pub const EXIT_VERSION: u32 = 3;

/// How the names of folders begin that belong to no attempt (see `folder_pool`).
pub const FREE_PREFIX: &str = "free.";

/// What a folder for this user alone has.
const OWN_RIGHTS: u32 = 0o700;
/// The longest `exit`, `state` or `control` that is read: ours are a few hundred bytes.
const RECORD_BYTES_MAX: u64 = 64 * 1024;
/// The longest `order` that is read: its environment has at most a mebibyte, which JSON may write
/// six times as long.
const ORDER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Names of the folder's files, in the order in which they are removed: `exit` last, so that
/// a removal that stops half-way never makes an ended attempt look unfinished.
const FILES: [&str; 5] = ["order", "script", "control", "state", "exit"];

/// What the supervisor reads: the order, with the script in a file of its own (its
/// interpreter opens it) and its interpreter already taken from the first line.
#[derive(Debug, Serialize, Deserialize)]
pub struct OrderFile {
    /// [`ORDER_VERSION`] or [`PERSON_VERSION`].
    pub version: u32,
    /// Program and at most one argument.
    pub interpreter: Vec<String>,
    /// The order; its script is empty here.
    pub order: Order,
    /// Where the attempt has a folder of its own, by its name.
    #[serde(default)]
    pub scratch: Option<PathBuf>,
}

/// `order` and `script`, ready to be written.
#[derive(Debug)]
pub struct OrderText {
    order: Vec<u8>,
    script: Vec<u8>,
    person: Option<Person>,
}

/// `exit`: the record, if there was a start, and whose it is.
#[derive(Debug, Serialize, Deserialize)]
struct ExitFile<'a> {
    key: Cow<'a, str>,
    record: Option<Cow<'a, ExitRecord>>,
}

/// What `exit` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// This is how it ended.
    Record(ExitRecord),
    /// The supervisor gave the order back: nothing was started.
    Withdrawn,
}

/// The folder of one attempt.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder of this key's name; it need not exist.
    #[must_use]
    pub fn new(data_dir: &Path, name: &str) -> Folder {
        Folder { path: data_dir.join("spool").join(name) }
    }

    /// The folder at this path.
    #[must_use]
    pub fn at(path: PathBuf) -> Folder {
        Folder { path }
    }

    /// The data folder it is in.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.path.ancestors().nth(2).unwrap_or(&self.path)
    }

    /// The key's name.
    fn name(&self) -> &str {
        self.path.file_name().and_then(|n| n.to_str()).unwrap_or_default()
    }

    /// One of its files.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Creates it, for this user alone; answers whether it is new. A spool that was deleted is
    /// made again; a data folder is not.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn create(&self) -> Result<bool, EngineError> {
        let make = |path: &Path| fs::DirBuilder::new().mode(0o700).create(path);
        let made = match (make(&self.path), self.path.parent()) {
            (Err(e), Some(spool)) if e.kind() == io::ErrorKind::NotFound => {
                // Somebody else may be making it too.
                let _there = make(spool);
                make(&self.path)
            }
            (made, _) => made,
        };
        match made {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(self.error("", e)),
        }
    }

    /// Gives this user back the rights that a script may have taken from the folder, or from those
    /// around it.
    pub fn open_up(&self) {
        open_up(self.data_dir());
        open(&self.path);
    }

    /// The texts of `order` and `script`.
    ///
    /// # Errors
    /// When a path in the order is not UTF-8.
    pub fn order_text(
        &self,
        mut order: Order,
        scratch: &Path,
        persons: Persons,
    ) -> Result<OrderText, EngineError> {
        let script = std::mem::take(&mut order.script);
        let interpreter = interpreter(&script);
        let scratch = Some(scratch.to_owned());
        let file = OrderFile { version: version_of(&order), interpreter, order, scratch };
        let order = serde_json::to_vec(&file).map_err(|e| self.error("order", e.into()))?;
        let script = script::to_bytes(script, file.order.script_is_bytes);
        // A script that will be refused is given to nobody.
        let person = file.order.person.filter(|person| persons.admit(person).is_ok());
        Ok(OrderText { order, script, person })
    }

    /// Writes order and script, unless the attempt was launched already.
    /// Answers whether there is something to launch.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_order(&self, text: &OrderText) -> Result<bool, EngineError> {
        if self.create()? {
            // Nobody looks at a new folder before the daemon is told of it.
            self.write_in_place(text)?;
            return Ok(true);
        }
        if self.file("state").exists() || self.file("exit").exists() {
            return Ok(false);
        }
        // Left by an earlier try, whose order may be on its way: replaced whole.
        match &text.person {
            None => self.replace("script", &text.script)?,
            Some(person) => self.give_script(&text.script, person)?,
        }
        self.replace("order", &text.order)?;
        Ok(true)
    }

    /// Writes order and script into a folder that nobody looks at yet.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_in_place(&self, text: &OrderText) -> Result<(), EngineError> {
        match &text.person {
            None => self.fill("script", &text.script)?,
            Some(person) => self.give_script(&text.script, person)?,
        }
        self.fill("order", &text.order)
    }

    /// Writes the script of a person's job: a new file each time, for whoever once had a script
    /// open would read what comes to stand in it. Others may pass through the folder.
    fn give_script(&self, text: &[u8], person: &Person) -> Result<(), EngineError> {
        let new = self.file("script.tmp");
        let made = own_files::let_pass(&self.path)
            .and_then(|()| without(&new))
            .and_then(|()| own_files::script(&new, text, person))
            .and_then(|()| plain::replace(&new, &self.file("script")));
        made.map_err(|e| self.error("script", e))
    }

    /// Gives the folder another name, if that is free; answers whether it was.
    #[must_use]
    pub fn rename_to(&self, other: &Folder) -> bool {
        let cwd = rustix::fs::CWD;
        // Where the file system does not know this the folder is not used again.
        rustix::fs::renameat_with(cwd, &self.path, cwd, &other.path, RenameFlags::NOREPLACE).is_ok()
    }

    /// Makes the folder of an ended attempt like new, keeping its files; its script only where
    /// nobody but this user can have it open.
    ///
    /// # Errors
    /// When something is missing or the system refuses.
    pub fn empty(&self, persons: Persons) -> io::Result<()> {
        without(&self.file("control"))?;
        if persons.are_served() {
            without(&self.file("script"))?;
        }
        for (from, to) in [("state", "state.new"), ("exit", "exit.tmp")] {
            fs::rename(self.file(from), self.file(to))?;
        }
        // The others are written over before anybody reads them; this one is added to. Emptied
        // now and not when it is next opened for writing: ext4 takes a file that is emptied,
        // written and closed for one that must reach the disk at once.
        plain::open(&self.file("state.new"), OpenOptions::new().write(true))?.set_len(0)
    }

    /// Empties what a used folder still holds of its former job, which may be secret.
    ///
    /// # Errors
    /// When something is missing or the system refuses.
    pub fn wipe(&self) -> io::Result<()> {
        let open = |name| plain::open(&self.file(name), OpenOptions::new().write(true));
        open("order")?.set_len(0)?;
        match open("script") {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            script => script?.set_len(0),
        }
    }

    /// Reads the order.
    ///
    /// # Errors
    /// When it is missing or not an order of this version.
    pub fn read_order(&self) -> Result<OrderFile, EngineError> {
        let text = plain::read(&self.file("order"), ORDER_BYTES_MAX)
            .map_err(|e| self.error("order", e))?;
        let file: OrderFile =
            serde_json::from_slice(&text).map_err(|e| self.error("order", e.into()))?;
        if file.version != version_of(&file.order) {
            let sentence = format!("version {} is not known here", file.version);
            return Err(self.error("order", io::Error::other(sentence)));
        }
        Ok(file)
    }

    /// Creates `state`, locked: at no instant can a reader find it without a lock. `None`
    /// when it exists: the attempt was launched before.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn create_state(&self) -> io::Result<Option<File>> {
        // Only the one step daemon that holds its lock does this, so the name is free.
        let new = self.file("state.new");
        let locked =
            |file: &File| rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive);
        let open = || plain::open(&new, OpenOptions::new().create(true).append(true));
        let mut file = open()?;
        if locked(&file).is_err() {
            // A used file, whose former supervisor has told its end and not quite ended.
            fs::remove_file(&new)?;
            file = open()?;
            locked(&file)?;
        }
        match plain::rename_new(&new, &self.file("state")) {
            Ok(()) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&new)?;
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// Takes `state` back, whose attempt nobody was given: the order may be given again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove_state(&self) -> io::Result<()> {
        fs::remove_file(self.file("state"))
    }

    /// Opens `state`; `None` when there is none, or something else in its place.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open_state(&self) -> Result<Option<File>, EngineError> {
        match plain::open(&self.file("state"), OpenOptions::new().read(true)) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound || plain::is_strange(&e) => Ok(None),
            Err(e) => Err(self.error("state", e)),
        }
    }

    /// Reads `state`; `None` when there is none.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn read_state(&self) -> Result<Option<State>, EngineError> {
        let Some(mut file) = self.open_state()? else { return Ok(None) };
        self.read_open_state(&mut file).map(Some)
    }

    /// Reads an open `state`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn read_open_state(&self, file: &mut File) -> Result<State, EngineError> {
        let text = plain::read_open(file, RECORD_BYTES_MAX).map_err(|e| self.error("state", e))?;
        Ok(State::parse(&String::from_utf8_lossy(&text)))
    }

    /// Replaces `control`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_control(&self, control: Control) -> Result<(), EngineError> {
        let text = serde_json::to_vec(&control).map_err(|e| self.error("control", e.into()))?;
        self.replace("control", &text)
    }

    /// Reads `control`; a missing one wishes nothing, and so does what no server wrote.
    #[must_use]
    pub fn read_control(&self) -> Control {
        let text = plain::read(&self.file("control"), RECORD_BYTES_MAX).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Writes the exit record.
    ///
    /// # Errors
    /// When the system refuses; trying again is safe.
    pub fn write_exit(&self, record: &ExitRecord) -> Result<(), EngineError> {
        self.put_exit(&self.exit_text(Some(record))?)
    }

    /// Writes that nothing was started and nothing will be.
    ///
    /// # Errors
    /// When the system refuses; trying again is safe.
    pub fn write_withdrawn(&self) -> Result<(), EngineError> {
        self.put_exit(&self.exit_text(None)?)
    }

    fn put_exit(&self, text: &[u8]) -> Result<(), EngineError> {
        self.fill("exit.tmp", text)?;
        plain::replace(&self.file("exit.tmp"), &self.file("exit"))
            .map_err(|e| self.error("exit", e))
    }

    /// The text of an exit record of this folder; without one, of an order that was withdrawn.
    ///
    /// # Errors
    /// Never: a record has no key that JSON cannot hold.
    pub fn exit_text(&self, record: Option<&ExitRecord>) -> Result<Vec<u8>, EngineError> {
        let file = ExitFile { key: self.name().into(), record: record.map(Cow::Borrowed) };
        serde_json::to_vec(&file).map_err(|e| self.error("exit", e.into()))
    }

    /// Reads what is in `exit`: `None` when there is nothing, or nothing that can be trusted: torn,
    /// of another attempt (a power cut can bring back what a file held before), or no plain file
    /// (a link, a pipe, a device, more than a record can be: no supervisor makes such a thing).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn read_exit(&self) -> Result<Option<End>, EngineError> {
        match plain::read(&self.file("exit"), RECORD_BYTES_MAX) {
            Ok(text) => {
                let file: Option<ExitFile<'_>> = serde_json::from_slice(&text).ok();
                let ours = file.filter(|file| file.key == self.name());
                Ok(ours.map(|file| match file.record {
                    Some(record) => End::Record(record.into_owned()),
                    None => End::Withdrawn,
                }))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound || plain::is_strange(&e) => Ok(None),
            Err(e) => Err(self.error("exit", e)),
        }
    }

    /// Whether there is an exit record, torn or not.
    #[must_use]
    pub fn has_exit(&self) -> bool {
        self.file("exit").exists()
    }

    /// Removes the folder and all that is in it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove(&self) -> Result<(), EngineError> {
        // The known names first: cheaper than listing the folder.
        for name in FILES {
            drop(fs::remove_file(self.file(name)));
        }
        match fs::remove_dir(&self.path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(_) => fs::remove_dir_all(&self.path).map_err(|e| self.error("", e)),
        }
    }

    /// Makes this the whole text of a file, which is usually new or empty.
    fn fill(&self, name: &str, text: &[u8]) -> Result<(), EngineError> {
        let length = text.len() as u64;
        let path = self.file(name);
        let filled = plain::open_own(&path, OpenOptions::new().write(true).create(true));
        let filled = filled.and_then(|mut file| {
            file.write_all(text)?;
            if file.metadata()?.len() == length { Ok(()) } else { file.set_len(length) }
        });
        filled.map_err(|e| self.error(name, e))
    }

    fn replace(&self, name: &str, text: &[u8]) -> Result<(), EngineError> {
        let new = self.file(&format!("{name}.tmp"));
        plain::open_own(&new, OpenOptions::new().write(true).create(true))
            .and_then(|mut f| {
                f.set_len(0)?;
                f.write_all(text)
            })
            .and_then(|()| plain::replace(&new, &self.file(name)))
            .map_err(|e| self.error(name, e))
    }

    /// An error that names the file.
    #[must_use]
    pub fn error(&self, name: &str, source: io::Error) -> EngineError {
        EngineError::Spool { path: self.file(name), source }
    }
}

/// The version of a file with this order.
fn version_of(order: &Order) -> u32 {
    if order.person.is_some() { PERSON_VERSION } else { ORDER_VERSION }
}

/// Removes a file that need not be there.
fn without(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Gives this user back the rights that a script may have taken from the folders of all jobs.
pub fn open_up(data_dir: &Path) {
    for path in [data_dir, &data_dir.join("spool"), &data_dir.join("jobs")] {
        open(path);
    }
}

/// The same for one folder.
pub fn open(folder: &Path) {
    let lacks = |found: fs::Metadata| {
        found.is_dir() && found.permissions().mode() & OWN_RIGHTS != OWN_RIGHTS
    };
    if fs::symlink_metadata(folder).is_ok_and(lacks) {
        let rights = fs::Permissions::from_mode(OWN_RIGHTS);
        let _ours_if_it_can_be = fs::set_permissions(folder, rights);
    }
}

/// The names of the attempts that have a folder in this spool.
///
/// # Errors
/// When the system refuses.
pub fn known(spool: &Path) -> Result<Vec<String>, EngineError> {
    let error = |source| EngineError::Spool { path: spool.to_owned(), source };
    let mut names = Vec::new();
    let entries = match fs::read_dir(spool) {
        Ok(entries) => entries,
        // Deleted under us; the next launch makes it again.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(names),
        Err(e) => return Err(error(e)),
    };
    for entry in entries {
        let name = entry.map_err(error)?.file_name().to_string_lossy().into_owned();
        if !name.starts_with(FREE_PREFIX) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The program that runs a script, as Linux reads a first line `#!program argument`: at most
/// one argument, everything after the first blank. Without such a line, bash.
fn interpreter(script: &str) -> Vec<String> {
    let words = script.strip_prefix("#!").and_then(|rest| {
        let line = rest.split('\n').next()?.trim_matches([' ', '\t']);
        let (program, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let argument = argument.trim_start_matches([' ', '\t']);
        let words = [program, argument].into_iter().filter(|w| !w.is_empty());
        Some(words.map(str::to_owned).collect::<Vec<_>>())
    });
    words.filter(|w| !w.is_empty()).unwrap_or_else(|| vec!["/bin/bash".to_owned()])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub mod tests;
