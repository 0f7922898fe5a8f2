//! *Purpose*: opens the output of a job, as its owner.
//!
//! *Owns*: [`Opener`]; [`OwnersFiles`], whoever can open a file as somebody else.
//!
//! *Promises*: a path that a user can turn elsewhere is never followed with the rights of another.
//!
//! *Not here*: reading what is open (`api::log_stream`), becoming an owner (`engine`).

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use tokio::runtime::Handle;

use super::code::Code;
use super::error::ApiError;
use crate::job::files::StreamFile;
use crate::job::ids::{Owner, Uid};

/// Why a file of somebody's is not open.
#[derive(Debug, thiserror::Error)]
pub enum NotOpen {
    /// He may not read it, or it is no file.
    #[error("{0}")]
    Refused(String),
    /// Not now.
    #[error("{0}")]
    Later(String),
}

/// Who can open files as their owners.
pub trait OwnersFiles: Send + Sync {
    /// Opens a stream of this user's job for reading, as that user; `None` when there is none.
    ///
    /// # Errors
    /// Why it is not open.
    fn open(
        &self,
        owner: Uid,
        stream: StreamFile,
    ) -> BoxFuture<'static, Result<Option<File>, NotOpen>>;
}

/// Opens the output of one job.
#[derive(Clone)]
pub struct Opener {
    /// Whose job it is.
    pub owner: Owner,
    /// Who can become him; nobody on a server of one user.
    pub files: Option<Arc<dyn OwnersFiles>>,
}

impl Opener {
    /// Opens a stream's file, on a thread of [`Files`](super::files::Files); `None` when there is
    /// none (yet).
    ///
    /// # Errors
    /// 409 when what is there must not be read, 503 when that is not known now.
    pub fn open(&self, stream: &StreamFile) -> Result<Option<File>, ApiError> {
        let Some(owner) = self.owner else { return open(stream) };
        let path = stream.full();
        let refuse = |why: String| {
            let detail = format!("{} is not read: {why}", path.display());
            ApiError::new(Code::OutputNotReadable, detail)
        };
        let Some(files) = &self.files else {
            let why = format!("it is of user {owner}, and this server serves another one");
            return Err(refuse(why));
        };
        let opened = Handle::current().block_on(files.open(owner, stream.clone()));
        opened.map_err(|error| match error {
            NotOpen::Refused(why) => refuse(why),
            NotOpen::Later(why) => {
                ApiError::unavailable(format!("{} is not read: {why}", path.display()))
            }
        })
    }
}

/// How often a path is followed anew when folders were renamed under it meanwhile: each try takes
/// microseconds, and a script that renames for ever shall not hold a thread.
const BENEATH_TRIES: u32 = 16;

/// Opens a stream's file beneath its root, which the server's own user has written; `None` when
/// there is none (yet). As for the script that wrote it, a link is followed that stays there.
///
/// # Errors
/// 409 with a sentence when what is there must not be read.
fn open(stream: &StreamFile) -> Result<Option<File>, ApiError> {
    let refuse = |why: String| {
        let path = stream.full();
        let detail = format!("{} is not read: {why}", path.display());
        Err(ApiError::new(Code::OutputNotReadable, detail))
    };
    // Only the folder's place: whatever stands there instead is not opened.
    let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = match rustix::fs::open(&stream.root, place, Mode::empty()) {
        Ok(root) => root,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::NOTDIR) => {
            return refuse(format!("{} is no folder", stream.root.display()));
        }
        Err(e) => return refuse(e.to_string()),
    };
    let file = match open_beneath(&root, stream) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP | Errno::XDEV) => {
            let root = stream.root.display();
            return refuse(format!("a link in its way leads out of {root}, or nowhere"));
        }
        Err(e) => return refuse(e.to_string()),
    };
    match file.metadata() {
        Ok(meta) if meta.is_file() => Ok(Some(file)),
        Ok(_) => refuse("it is not a regular file".to_owned()),
        Err(e) => refuse(e.to_string()),
    }
}

fn open_beneath(root: &OwnedFd, stream: &StreamFile) -> rustix::io::Result<File> {
    // A FIFO would block an open without O_NONBLOCK.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        tries += 1;
        match rustix::fs::openat2(root, &stream.path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if tries < BENEATH_TRIES => {}
            opened => return opened.map(File::from),
        }
    }
}
