//! *Purpose*: a private folder for what an attempt needs while it runs, its `TMPDIR`.
//!
//! *Owns*: the folder of all of them, the name of each (that of its attempt), and their removal.
//!
//! *Promises*: a folder is for the job's user alone and goes when its attempt is forgotten, so
//! not before the last process is gone and the end is committed; nothing that a link leads to goes
//! with it. Large ones go piece by piece, one after the other on one thread, and nobody waits for
//! that. What a server that was killed left behind is known to the next one, by its name.
//!
//! *Not here*: which attempts are over (`actors`), the walk through a folder (`trees`), making it
//! before the script (`launch`).
//!
//! Folders that are still empty are used again, under another name: to make and to remove one costs
//! an ext4 without a journal up to a millisecond, two new names cost hundredths of that (see
//! `folder_pool`).

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::RenameFlags;

use super::attempts::held;
use super::own_files;
use super::persons::Persons;
use super::plain;
use super::spool;
use crate::engine::{EngineError, Key, Person};
use crate::trees;

/// The variable that names it.
pub const VARIABLE: &str = "TMPDIR";
/// Whom the folders are for: their owner.
const MODE: u32 = 0o700;
/// All bits of rights.
const RIGHTS: u32 = 0o777;
/// The bits that let others in.
const OTHERS: u32 = 0o077;
/// How the names of folders begin that belong to no attempt.
const FREE_PREFIX: &str = "free.";
/// More empty folders than are ever in flight between the end of an attempt and the next launch.
const FREE_MAX: usize = 256;
/// A folder that has held so much that it is larger than this is slow for whoever has it next.
const FREE_BYTES_MAX: u64 = 4096;
/// Files that are removed of one folder before it is the turn of the next: some hundred
/// milliseconds at most, also on a slow disk.
const PIECE: u64 = 5_000;

/// The folder of all private folders, and what of them is to be removed.
#[derive(Debug)]
pub struct Scratch {
    base: PathBuf,
    left: Mutex<Left>,
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    folders: Vec<PathBuf>,
    next: u64,
}

#[derive(Debug, Default)]
struct Left {
    folders: VecDeque<PathBuf>,
    /// Whether a thread removes them.
    is_attended: bool,
}

impl Scratch {
    /// Makes the folder, or takes one that is there, this user's and nobody else's.
    ///
    /// # Errors
    /// When it is neither.
    pub fn open(base: PathBuf, persons: Persons) -> Result<Scratch, EngineError> {
        let error = |source| EngineError::Scratch { path: base.clone(), source };
        let mode = if persons.are_served() { own_files::PASSAGE } else { MODE };
        match fs::DirBuilder::new().mode(mode).create(&base) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(error(e)),
            _ => {}
        }
        let found = base.symlink_metadata().map_err(error)?;
        if !is_ours(&found) {
            return Err(error(io::Error::other("it is there, and no folder of this user")));
        }
        if found.mode() & RIGHTS != mode {
            // A job of this user may have done that. What is in it is looked at by each launch.
            let was = if persons.are_served() { "closed to others" } else { "open to others" };
            log::warn!("The folder {} was {was}; it is {mode:o} now", base.display());
            fs::set_permissions(&base, fs::Permissions::from_mode(mode)).map_err(error)?;
        }
        for entry in fs::read_dir(&base).map_err(error)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(FREE_PREFIX) {
                // Of a server before this one, so at most a few hundred, and empty as it left them.
                let _seen_again = trees::remove_piece(&base, &name, PIECE);
            }
        }
        Ok(Scratch { base, left: Mutex::default(), free: Mutex::default() })
    }

    /// Gives an attempt an empty folder, if one is free: else its supervisor makes one.
    pub fn give(&self, name: &str) {
        let free = held(&self.free).folders.pop();
        if let Some(free) = free {
            let (cwd, own) = (rustix::fs::CWD, self.base.join(name));
            // It has one of an earlier try, or the file system does not know this.
            if rustix::fs::renameat_with(cwd, &free, cwd, own, RenameFlags::NOREPLACE).is_err() {
                let _gone_at_the_next_start = fs::remove_dir(free);
            }
        }
    }

    /// Keeps a folder for another attempt, if it is like new; answers whether.
    fn keep(&self, folder: &Path) -> bool {
        let is_like_new = folder.symlink_metadata().is_ok_and(|found| {
            is_ours(&found)
                && found.mode() & 0o7777 == MODE
                && found.len() <= FREE_BYTES_MAX
                && fs::read_dir(folder).is_ok_and(|mut inner| inner.next().is_none())
        });
        if !is_like_new {
            return false;
        }
        let free = {
            let mut free = held(&self.free);
            free.next += 1;
            let has_room = free.folders.len() < FREE_MAX;
            has_room.then(|| self.base.join(format!("{FREE_PREFIX}{}", free.next)))
        };
        let Some(free) = free.filter(|free| fs::rename(folder, free).is_ok()) else { return false };
        held(&self.free).folders.push(free);
        true
    }

    /// The folder of all of them.
    #[must_use]
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Attempts that have a folder.
    ///
    /// # Errors
    /// When the folder of all of them cannot be read.
    pub fn names(&self) -> Result<Vec<String>, EngineError> {
        let error = |source| EngineError::Scratch { path: self.base.clone(), source };
        let entries = match fs::read_dir(&self.base) {
            Ok(entries) => entries,
            // Somebody took it away; the next launch makes it again.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(error(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(error)?.file_name().to_string_lossy().into_owned();
            if Key::parse(&name).is_some() {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The folder of an attempt that is over, if there is more to it than an empty folder, which is
    /// kept or goes here. `noted` says where its order had it: the setting may have changed since.
    pub fn left_by(&self, name: &str, noted: impl FnOnce() -> Option<PathBuf>) -> Option<PathBuf> {
        let is_left = |folder: &Path| match fs::remove_dir(folder) {
            Ok(()) => Some(false),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(_) => Some(true),
        };
        let here = self.base.join(name);
        if self.keep(&here) {
            return None;
        }
        let (folder, is_left) = match is_left(&here) {
            Some(left) => (here, left),
            None => {
                let there = noted().filter(|base| *base != self.base)?.join(name);
                let left = is_left(&there)?;
                (there, left)
            }
        };
        is_left.then_some(folder)
    }

    /// Removes a folder, as soon as those before it are gone. On a thread that may wait.
    pub fn remove(self: &Arc<Scratch>, folder: PathBuf) {
        let is_attended = {
            let mut left = held(&self.left);
            if !left.folders.contains(&folder) {
                left.folders.push_back(folder);
            }
            std::mem::replace(&mut left.is_attended, true)
        };
        if !is_attended {
            let scratch = Arc::clone(self);
            drop(tokio::task::spawn_blocking(move || scratch.attend()));
        }
    }

    /// Removes what is left, a piece of each in turn.
    fn attend(&self) {
        loop {
            let folder = {
                let mut left = held(&self.left);
                match left.folders.pop_front() {
                    Some(folder) => folder,
                    None => {
                        left.is_attended = false;
                        return;
                    }
                }
            };
            let name = folder.file_name().and_then(|name| name.to_str());
            let Some((parent, name)) = folder.parent().zip(name) else { continue };
            spool::open(parent);
            match trees::remove_piece(parent, name, PIECE) {
                Ok(true) => {}
                Ok(false) => held(&self.left).folders.push_back(folder),
                // Seen again: `names` lists it at the next start.
                Err(why) => log::warn!("The scratch folder of an ended attempt is left: {why}"),
            }
        }
    }
}

/// Makes the private folder of an attempt, and those above it. One that is there was made by an
/// earlier try of the same launch; anything else in its place is moved aside.
///
/// # Errors
/// What the system says.
pub fn make(own: &Path, person: Option<&Person>) -> io::Result<()> {
    match person {
        None => make_own(own),
        Some(person) => make_for(own, person),
    }
}

/// The folder of all of them is the server's, that in it the person's.
fn make_for(own: &Path, person: &Person) -> io::Result<()> {
    let Some((base, name)) = own.parent().zip(own.file_name()) else { return Ok(()) };
    let make = || own_files::folder(base, name.as_ref(), person);
    match make() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            fs::DirBuilder::new().recursive(true).mode(own_files::PASSAGE).create(base)?;
            own_files::let_pass(base)?;
            make()
        }
        made => made,
    }
}

fn make_own(own: &Path) -> io::Result<()> {
    let create = || fs::DirBuilder::new().recursive(true).mode(MODE).create(own);
    let look = || match own.symlink_metadata() {
        Ok(found) if is_ours(&found) && found.mode() & OTHERS == 0 => Ok(()),
        Ok(_) => plain::move_aside(own).and_then(|()| create()),
        Err(_) => create(),
    };
    match (look(), own.parent()) {
        // A job may have taken the rights to the folder of all of them.
        (Err(e), Some(base)) if e.kind() == io::ErrorKind::PermissionDenied => {
            spool::open(base);
            look()
        }
        (made, _) => made,
    }
}

fn is_ours(found: &fs::Metadata) -> bool {
    found.is_dir() && found.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_is_closed_to_others_and_a_link_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let base = home.path().join("scratch");
        Scratch::open(base.clone(), Persons::Nobody).unwrap();
        Scratch::open(base.clone(), Persons::Nobody).unwrap();
        assert_eq!(base.metadata().unwrap().permissions().mode() & 0o777, MODE);
        let refused =
            |base: &Path| Scratch::open(base.to_owned(), Persons::Nobody).unwrap_err().to_string();
        for mode in [0o777, 0] {
            fs::set_permissions(&base, fs::Permissions::from_mode(mode)).unwrap();
            Scratch::open(base.clone(), Persons::Nobody).unwrap();
            assert_eq!(base.metadata().unwrap().permissions().mode() & RIGHTS, MODE);
        }
        let link = home.path().join("link");
        symlink(home.path(), &link).unwrap();
        assert!(refused(&link).contains("no folder of this user"), "{}", refused(&link));
        assert!(refused(&home.path().join("no/such")).contains("[scratch] path"));
    }

    #[test]
    fn what_stands_in_the_place_of_a_private_folder_is_moved_aside() {
        let home = tempfile::tempdir().unwrap();
        let own = home.path().join("scratch/1.1.x");
        make(&own, None).unwrap();
        fs::write(own.join("of an earlier try"), "").unwrap();
        make(&own, None).unwrap();
        assert!(own.join("of an earlier try").exists());
        fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
        make(&own, None).unwrap();
        assert_eq!(fs::read_dir(&own).unwrap().count(), 0, "what others could write is not used");
        fs::remove_dir(&own).unwrap();
        symlink("/etc", &own).unwrap();
        make(&own, None).unwrap();
        let made = own.symlink_metadata().unwrap();
        assert_eq!((made.is_dir(), made.permissions().mode() & 0o777), (true, MODE));
    }

    #[test]
    fn a_folder_that_is_like_new_is_used_again_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let base = home.path().join("scratch");
        let scratch = Scratch::open(base.clone(), Persons::Nobody).unwrap();
        let none = || None;
        scratch.give("1.1.x");
        assert!(!base.join("1.1.x").exists(), "none is free");
        make(&base.join("1.1.x"), None).unwrap();
        let inode = |path: &Path| path.symlink_metadata().unwrap().ino();
        let first = inode(&base.join("1.1.x"));
        assert_eq!(scratch.left_by("1.1.x", none), None);
        assert_eq!(scratch.names().unwrap(), [""; 0], "it is of no attempt");
        scratch.give("2.1.x");
        assert_eq!(inode(&base.join("2.1.x")), first);
        let rights = |mode| {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(base.join("2.1.x"), mode).unwrap();
        };
        rights(0o750);
        assert_eq!(scratch.left_by("2.1.x", none), None);
        assert_eq!(fs::read_dir(&base).unwrap().count(), 0, "it was opened to others, so it went");
        make(&base.join("3.1.x"), None).unwrap();
        scratch.left_by("3.1.x", none);
        make(&base.join("4.1.x"), None).unwrap();
        scratch.give("4.1.x");
        assert_eq!(fs::read_dir(&base).unwrap().count(), 1, "it had one already");
        scratch.left_by("4.1.x", none);
        assert_eq!(fs::read_dir(&base).unwrap().count(), 1);
        Scratch::open(base.clone(), Persons::Nobody).unwrap();
        assert_eq!(fs::read_dir(&base).unwrap().count(), 0, "the next server begins anew");
    }

    #[test]
    fn an_empty_folder_goes_at_once_and_another_is_named_wherever_it_was_ordered() {
        let home = tempfile::tempdir().unwrap();
        let [base, old] = ["scratch", "old"].map(|name| home.path().join(name));
        let scratch = Scratch::open(base.clone(), Persons::Nobody).unwrap();
        let noted = || Some(old.clone());
        assert_eq!(scratch.left_by("1.1.x", noted), None, "there is none");
        fs::create_dir_all(base.join("1.1.x")).unwrap();
        fs::create_dir_all(base.join("2.1.x/file")).unwrap();
        fs::create_dir_all(old.join("3.1.x/file")).unwrap();
        fs::create_dir_all(base.join("something else")).unwrap();
        let mut names = scratch.names().unwrap();
        names.sort();
        assert_eq!(names, ["1.1.x", "2.1.x"]);
        assert_eq!(scratch.left_by("1.1.x", || panic!("it is here")), None);
        assert!(!base.join("1.1.x").exists());
        assert_eq!(scratch.left_by("2.1.x", noted), Some(base.join("2.1.x")));
        assert_eq!(scratch.left_by("3.1.x", noted), Some(old.join("3.1.x")));
    }
}
