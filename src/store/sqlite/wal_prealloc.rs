//! *Purpose*: room in the write-ahead log before the first commit needs it.
//!
//! *Owns*: the size of a new log.
//!
//! *Promises*: only bytes behind what SQLite has written are touched, while nobody else may write;
//! where the disk is small or refuses, the log stays as it is.
//!
//! *Not here*: when the log is moved into the database (`store::backend`).
//!
//! Why: a commit that makes the log longer has to write the file's new length and its new blocks
//! too, which makes `fdatasync` take several times as long; SQLite begins a new log at each start
//! and writes over it from its beginning once it has reached its full length. What stands behind
//! its last frame SQLite never reads as one: a frame carries the log's salt and a checksum (SQLite,
//! "WAL-mode File Format"). Zeros are written, not only reserved: turning a reserved block into a
//! written one is work for the file system as well.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use diesel::SqliteConnection;

use super::database::{CHECKPOINT_PAGES, PAGE_BYTES};
use crate::store::error::StoreError;

/// Header of a page in the log, bytes.
const FRAME_BYTES: u64 = 24;
/// The log when it is moved, and the commit that has it moved: a hundredth of it.
const ROOM_BYTES: u64 = CHECKPOINT_PAGES as u64 * (PAGE_BYTES + FRAME_BYTES) / 100 * 101;
/// A disk with less free space than so many logs needs it for something better.
const FREE_LOGS: u64 = 16;
/// Written at a time.
const STEP_BYTES: usize = 1024 * 1024;

/// Gives the log of this database its full length.
pub fn to_full_length(conn: &mut SqliteConnection, database: &Path) {
    let mut path = database.to_owned().into_os_string();
    path.push("-wal");
    // Holding the right to write: nobody else can add to the log meanwhile.
    let made = conn.immediate_transaction(|_| {
        let log = OpenOptions::new().write(true).open(&path);
        log.and_then(|log| lengthen(&log)).map_err(|e| StoreError::Transient(e.to_string()))
    });
    if let Err(error) = made {
        log::debug!("the write-ahead log gets its length bit by bit: {error}");
    }
}

fn lengthen(log: &File) -> io::Result<()> {
    let length = log.metadata()?.len();
    let disk = rustix::fs::fstatvfs(log)?;
    if length >= ROOM_BYTES || disk.f_bavail.saturating_mul(disk.f_frsize) < FREE_LOGS * ROOM_BYTES
    {
        return Ok(());
    }
    let written = zeros(log, length).and_then(|()| log.sync_all());
    if written.is_err() {
        log.set_len(length)?;
    }
    written
}

fn zeros(log: &File, from: u64) -> io::Result<()> {
    let zeros = vec![0; STEP_BYTES];
    let mut at = from;
    while at < ROOM_BYTES {
        let step = (ROOM_BYTES - at).min(STEP_BYTES as u64);
        log.write_all_at(&zeros[..usize::try_from(step).unwrap_or(STEP_BYTES)], at)?;
        at += step;
    }
    Ok(())
}
