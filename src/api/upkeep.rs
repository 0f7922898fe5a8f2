//! *Purpose*: how long a server has run, and what its database takes.
//!
//! *Owns*: [`Upkeep`], [`Disk`].
//!
//! *Promises*: a disk that does not answer keeps nobody: its numbers are not known then.
//!
//! *Not here*: the database itself (`store`): its files are measured, never opened.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::aside::aside;
use crate::clock;
use crate::time::Time;

/// How long a disk may take to say how full it is.
const DISK_WAIT: Duration = Duration::from_secs(1);

/// Since when a server runs, and where its database is.
#[derive(Clone, Debug)]
pub struct Upkeep {
    /// When it began to serve.
    pub start: Time,
    begun: Instant,
    /// Its file, if it is one of this machine.
    database: Option<PathBuf>,
}

/// What a database takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// Bytes of its file and of the log beside it.
    pub database_bytes: Option<u64>,
    /// Bytes that are free on their disk for whoever writes them.
    pub free_bytes: Option<u64>,
}

impl Upkeep {
    /// Of a server that begins now, with this database.
    #[must_use]
    pub fn begin(database: Option<PathBuf>) -> Upkeep {
        Upkeep { start: clock::now(), begun: clock::monotonic(), database }
    }

    /// How long it has run, seconds, whatever was done to the clock meanwhile.
    #[must_use]
    pub fn uptime_s(&self) -> u64 {
        self.begun.elapsed().as_secs()
    }

    /// What the database takes now.
    pub async fn disk(&self) -> Disk {
        let Some(database) = self.database.clone() else { return Disk::default() };
        let measured = tokio::time::timeout(DISK_WAIT, aside(move || Disk::of(&database))).await;
        measured.ok().and_then(Result::ok).unwrap_or_default()
    }
}

impl Disk {
    fn of(database: &Path) -> Disk {
        let bytes = |path: &Path| std::fs::metadata(path).map(|about| about.len());
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        let own = bytes(database).ok();
        // There may be no log yet.
        let database_bytes = own.map(|own| own.saturating_add(bytes(Path::new(&log)).unwrap_or(0)));
        let disk = rustix::fs::statvfs(database).ok();
        let free_bytes = disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        Disk { database_bytes, free_bytes }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_log_counts_and_what_is_not_there_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("d.db");
        assert_eq!(Disk::of(&database), Disk::default());
        std::fs::write(&database, [0; 100]).unwrap();
        assert_eq!(Disk::of(&database).database_bytes, Some(100));
        std::fs::write(folder.path().join("d.db-wal"), [0; 23]).unwrap();
        let disk = Disk::of(&database);
        assert_eq!(disk.database_bytes, Some(123));
        assert!(disk.free_bytes.is_some_and(|bytes| bytes > 0), "{disk:?}");
    }
}
