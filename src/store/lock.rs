//! *Purpose*: one server per installation.
//!
//! *Owns*: flocks on files of their own, in the data folder and beside the SQLite file.
//!
//! *Promises*: a second server is refused with the holder's process id and address; a dead
//! server's lock is free at once, or after the moment in which a process that it was starting
//! still holds it. The database file itself is never opened here: closing such
//! a descriptor would drop SQLite's locks.
//!
//! *Not here*: fencing inside the database (`store::body::write`).

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags};

/// How often a held lock is tried: a server that is killed while it starts its step daemon
/// leaves, until that has become another program, a copy of itself that holds the lock.
const TRIES: u32 = 100;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(10);
/// So much is read of who holds a lock: a number and an address, unless somebody wrote into it.
const HOLDER_BYTES_MAX: u64 = 1024;

/// A lock that is held as long as this value lives.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Why a lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it.
    #[error("another server holds {path}: {holder}; stop it, or use another --data-dir")]
    Held {
        /// The lock file.
        path: PathBuf,
        /// What the holder wrote: process id and address.
        holder: String,
    },
    /// A link stands in its place.
    #[error("{path} is a link, and would be written through it; remove it")]
    Link {
        /// The lock file.
        path: PathBuf,
    },
    /// The file cannot be made or locked.
    #[error("cannot lock {path}: {source}")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The one path of a database file, whatever links name it: two servers that name it differently
/// must meet at one lock.
///
/// # Errors
/// When its folder is not there, when a link leads to no file, and when the file has a second name
/// beside this one (a hard link), by which another server would find another lock.
pub fn one_name(path: &Path) -> Result<PathBuf, LockError> {
    let refused = |source| LockError::Io { path: path.to_owned(), source };
    let other = |sentence: &str| refused(std::io::Error::other(sentence));
    match path.canonicalize() {
        Ok(canonical) => {
            let about = canonical.metadata().map_err(refused)?;
            if about.is_file() && about.nlink() > 1 {
                return Err(other("the file has more than one name; remove its other hard links"));
            }
            Ok(canonical)
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            if path.symlink_metadata().is_ok_and(|about| about.is_symlink()) {
                return Err(other("it is a link to a file that is not there"));
            }
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(other("it names no file"));
            };
            Ok(folder.canonicalize().map_err(refused)?.join(name))
        }
        Err(e) => Err(refused(e)),
    }
}

impl Lock {
    /// Takes the lock, or says who has it.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(path: &Path) -> Result<Lock, LockError> {
        let io = |source: std::io::Error| match source.raw_os_error() {
            Some(errno) if errno == rustix::io::Errno::LOOP.raw_os_error() => {
                LockError::Link { path: path.to_owned() }
            }
            _ => LockError::Io { path: path.to_owned(), source },
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // A link may lead to a file of somebody else's choosing, which would be written.
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(path)
            .map_err(io)?;
        let mut tries = 1;
        let locked = loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) if tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(PAUSE);
                }
                other => break other,
            }
        };
        match locked {
            Ok(()) => Ok(Lock { file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                file.take(HOLDER_BYTES_MAX).read_to_string(&mut holder).map_err(io)?;
                let holder = match holder.trim() {
                    "" => "a server that is just starting".to_owned(),
                    text => text.to_owned(),
                };
                Err(LockError::Held { path: path.to_owned(), holder })
            }
            Err(e) => Err(io(e.into())),
        }
    }

    /// Writes who holds it.
    ///
    /// # Errors
    /// What the system says.
    pub fn sign(&mut self, holder: &str) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(holder.as_bytes())
    }
}
