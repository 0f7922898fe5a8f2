//! *Purpose*: folders and files of ended attempts, used again.
//!
//! *Owns*: `spool/free.<n>`: folders with emptied files, ready for another order.
//!
//! *Promises*: what a folder holds of its former job is gone once that was forgotten, and at once
//! the script where others than this user may have had it open; a folder
//! enters the pool only with a record of its end; it leaves by one rename,
//! with order and script complete, so nobody ever sees a half-made attempt.
//!
//! *Not here*: what the files mean (`spool`).
//!
//! Why: an ext4 without a journal makes every new file pass over each inode that was freed in
//! the last minutes (`recently_deleted` stood out in a profile of a busy server), so files that
//! are not removed are not paid for twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::attempts::held;
use super::persons::Persons;
use super::spool::{FREE_PREFIX, Folder};
use crate::engine::{EngineError, Order};

/// More than are ever in flight between the end of an attempt and the next launch; the rest is
/// removed.
const FREE_MAX: usize = 256;

/// The free folders of one spool.
#[derive(Debug)]
pub struct FolderPool {
    spool: PathBuf,
    /// Where attempts have folders of their own, as their orders say.
    scratch: PathBuf,
    persons: Persons,
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    folders: Vec<PathBuf>,
    next: u64,
}

impl FolderPool {
    /// The pool of this data folder. Free folders of a former server are removed: some may be
    /// half emptied.
    #[must_use]
    pub fn new(data_dir: &Path, scratch: &Path, persons: Persons) -> FolderPool {
        let spool = data_dir.join("spool");
        for entry in fs::read_dir(&spool).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(FREE_PREFIX) {
                drop(fs::remove_dir_all(entry.path()));
            }
        }
        FolderPool { spool, scratch: scratch.to_owned(), persons, free: Mutex::default() }
    }

    /// Writes an order into the spool, unless the attempt was launched already. Answers
    /// whether there is something to launch.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_order(&self, folder: &Folder, order: Order) -> Result<bool, EngineError> {
        let text = folder.order_text(order, &self.scratch, self.persons)?;
        let free = held(&self.free).folders.pop();
        if let Some(path) = free {
            let used = Folder::at(path.clone());
            if used.write_in_place(&text).is_ok() && used.rename_to(folder) {
                return Ok(true);
            }
            // The name is taken (a second launch), or the disk is full: the plain way says.
            drop(fs::remove_dir_all(&path));
        }
        folder.write_order(&text)
    }

    /// Empties whatever free folders still hold of former jobs. Those that cannot be emptied are
    /// removed.
    pub fn wipe(&self) {
        // Nobody gets one meanwhile, so none is half emptied when it is used.
        let folders = std::mem::take(&mut held(&self.free).folders);
        let wiped = folders.into_iter().filter(|path| {
            let done = Folder::at(path.clone()).wipe();
            if done.is_err() {
                drop(fs::remove_dir_all(path));
            }
            done.is_ok()
        });
        let wiped: Vec<PathBuf> = wiped.collect();
        held(&self.free).folders.extend(wiped);
    }

    /// Takes the folder of an ended attempt back; removes it when it cannot be used again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn take_back(&self, folder: &Folder) -> Result<(), EngineError> {
        let path = {
            let mut free = held(&self.free);
            free.next += 1;
            let room = free.folders.len() < FREE_MAX;
            room.then(|| self.spool.join(format!("{FREE_PREFIX}{}", free.next)))
        };
        let Some(path) = path else { return folder.remove() };
        let emptied = Folder::at(path.clone());
        if folder.rename_to(&emptied) && emptied.empty(self.persons).is_ok() {
            held(&self.free).folders.push(path);
            return Ok(());
        }
        drop(fs::remove_dir_all(&path));
        folder.remove()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::spool::tests::{order, record};
    use super::*;

    #[test]
    fn a_used_folder_shows_nothing_of_its_former_attempt() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("spool")).unwrap();
        let pool = FolderPool::new(home.path(), &home.path().join("scratch"), Persons::Nobody);
        let (first, second) = (order(1, "a long script of the first job"), order(2, "short"));
        let folder = |order: &Order| Folder::new(home.path(), &order.key.name());

        let used = folder(&first);
        assert!(pool.write_order(&used, first.clone()).unwrap());
        drop(used.create_state().unwrap().unwrap());
        assert!(!pool.write_order(&used, first).unwrap(), "launched already");
        used.write_exit(&record()).unwrap();
        pool.take_back(&used).unwrap();
        assert!(!used.file("").exists());
        pool.wipe();
        for entry in walkdir::WalkDir::new(home.path()).into_iter().map(Result::unwrap) {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            assert!(!text.contains("of the first job"), "{}", entry.path().display());
        }

        let again = folder(&second);
        assert!(pool.write_order(&again, second.clone()).unwrap());
        assert_eq!(fs::read_to_string(again.file("script")).unwrap(), "short");
        assert_eq!(again.read_order().unwrap().order.key, second.key);
        assert_eq!((again.read_exit().unwrap(), again.has_exit()), (None, false));
        assert!(again.read_state().unwrap().is_none());
        let state = again.create_state().unwrap().unwrap();
        assert_eq!(state.metadata().unwrap().len(), 0);
        // A stale record that a power cut brought back names another attempt.
        fs::write(again.file("exit"), used.exit_text(Some(&record())).unwrap()).unwrap();
        assert_eq!(again.read_exit().unwrap(), None);
    }
}
