//! *Purpose*: whether the files of the database are still those that are written to.
//!
//! *Owns*: [`Place`]: which file is the database, which its log, which the log's index.
//!
//! *Promises*: a file that was deleted, moved, replaced or cut off is noticed by three looks at the
//! file system, which take a microsecond each.
//!
//! *Not here*: what is done about it (`store::body::write`).
//!
//! Why: SQLite goes on writing to a file that has no name any more. What stands in a log that was
//! deleted is gone with the last process that has it open, and whoever opens the database meanwhile
//! makes another log, or another index, of which the first knows nothing.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file, as the file system knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(file: &Metadata) -> Identity {
        Identity { device: file.dev(), inode: file.ino() }
    }

    fn at(path: &Path) -> Option<Identity> {
        std::fs::metadata(path).ok().map(|file| Identity::of(&file))
    }
}

/// The files of an open database.
#[derive(Clone, Debug)]
pub struct Place {
    path: PathBuf,
    log_path: PathBuf,
    index_path: PathBuf,
    database: Option<Identity>,
    log: Option<Identity>,
    /// It only ever becomes longer.
    log_bytes: u64,
    index: Option<Identity>,
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(ending);
    name.into()
}

impl Place {
    /// As they are now, while the database is open.
    #[must_use]
    pub fn of(path: &Path) -> Place {
        let (log_path, index_path) = (beside(path, "-wal"), beside(path, "-shm"));
        let log = std::fs::metadata(&log_path).ok();
        Place {
            database: Identity::at(path),
            log: log.as_ref().map(Identity::of),
            log_bytes: log.map_or(0, |file| file.len()),
            index: Identity::at(&index_path),
            path: path.to_owned(),
            log_path,
            index_path,
        }
    }

    /// Whether the database itself is where it was.
    #[must_use]
    pub fn has_database(&self) -> bool {
        self.database.is_none() || Identity::at(&self.path) == self.database
    }

    /// Whether its log and the log's index are where they were, and the log is as long.
    #[must_use]
    pub fn has_log(&mut self) -> bool {
        let log = std::fs::metadata(&self.log_path).ok();
        let bytes = log.as_ref().map_or(0, Metadata::len);
        let same = log.as_ref().map(Identity::of) == self.log && bytes >= self.log_bytes;
        self.log_bytes = bytes.max(self.log_bytes);
        same && Identity::at(&self.index_path) == self.index
    }

    /// Whether the log is the same file, and shorter than it was.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        let log = std::fs::metadata(&self.log_path).ok();
        log.is_some_and(|log| Some(Identity::of(&log)) == self.log && log.len() < self.log_bytes)
    }

    /// Once nobody has the database open: what others put in the place of its log is put aside, so
    /// that nobody takes it for ours; an index holds nothing that is not in its log.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn clear(&self) -> io::Result<()> {
        let found = Identity::at(&self.log_path);
        if found.is_some() && found != self.log {
            std::fs::rename(&self.log_path, beside(&self.log_path, ".aside"))?;
        }
        match std::fs::remove_file(&self.index_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The log's path.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log_path
    }
}
