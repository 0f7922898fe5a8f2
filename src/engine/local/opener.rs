//! *Purpose*: files and folders of a person, opened and removed as that person would.
//!
//! *Owns*: what a helper is asked for, and how long one is waited for.
//!
//! *Promises*: no thread of the server follows a path of a person's; the place of a helper is given
//! back only when that is gone.
//!
//! *Not here*: what a helper does (`helper`), how many there may be (`helpers`), who may read what
//! (`api`).

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::runtime::Handle;

use super::helper::{self, Act, Answer, Request};
use super::helpers::Place;
use super::inner::Inner;
use super::{own_files, sys};
use crate::clock;
use crate::engine::{OpenError, Person, StreamFile};
use crate::trees;

/// How much longer than its life a helper is waited for.
const SLACK: Duration = Duration::from_millis(500);
/// Files and folders that one helper removes: far less than it has time for.
const PIECE: u64 = 5_000;
/// Pieces of one folder: whatever is left after so many is root's to remove.
const PIECES_MAX: u32 = 1_000;

impl Inner {
    /// See [`crate::engine::Engine::open_stream`]. Blocks, for a little longer than a helper lives.
    pub fn open_stream(&self, person: &Person, stream: &StreamFile) -> Result<File, OpenError> {
        if let Some(opened) = self.open_kept(person, stream) {
            return opened;
        }
        match self.ask(person, Act::Open(stream.full()))? {
            (Answer::Open, Some(file)) => Ok(file.into()),
            (Answer::NotRegular, _) => Err(OpenError::NotRegular),
            (Answer::Refused(number), _) => Err(refused(Errno::from_raw_os_error(number))),
            (Answer::Failed(why), _) => Err(OpenError::Io(io::Error::other(why))),
            (answer, _) => Err(OpenError::Io(io::Error::other(format!("{answer:?}")))),
        }
    }

    /// Opens a stream that the server keeps: in a folder that nobody else can change. `None` where
    /// it is no such stream.
    fn open_kept(&self, person: &Person, stream: &StreamFile) -> Option<Result<File, OpenError>> {
        let mut parts = stream.path.components();
        let is_a_name = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
        let jobs = self.data_dir.join("jobs");
        let name = stream.root.strip_prefix(&jobs).ok()?;
        if !is_a_name || name.components().count() != 1 {
            return None;
        }
        let open = || -> Result<File, Errno> {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let folder = rustix::fs::open(&stream.root, flags, Mode::empty())?;
            if !own_files::is_kept_folder(&rustix::fs::fstat(&folder)?) {
                return Err(Errno::ACCESS);
            }
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
            let file = rustix::fs::openat2(&folder, &stream.path, flags, Mode::empty(), within)?;
            match own_files::is_stream_of(&rustix::fs::fstat(&file)?, person.uid) {
                true => Ok(file.into()),
                false => Err(Errno::ACCESS),
            }
        };
        Some(open().map_err(refused))
    }

    /// See [`crate::engine::Engine::remove_tree`]. Blocks.
    pub fn remove_tree(&self, person: Option<&Person>, folder: &Path) -> Result<(), String> {
        let parts = folder.parent().zip(folder.file_name().and_then(|name| name.to_str()));
        let Some((above, name)) = parts else { return Err("it has no name".to_owned()) };
        if let Some(person) = person {
            self.remove_as(person, folder);
        }
        trees::remove(above, name)
    }

    /// Removes what is in the folders of a person's in this folder, as that person. What is left is
    /// root's to remove.
    fn remove_as(&self, person: &Person, folder: &Path) {
        for inner in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = inner.file_name().to_string_lossy().into_owned();
            let act = || Act::Remove(folder.to_owned(), name.clone(), PIECE);
            let is_folder = inner.file_type().is_ok_and(|kind| kind.is_dir());
            let mut pieces = if is_folder { 0 } else { PIECES_MAX };
            while pieces < PIECES_MAX {
                pieces += 1;
                if !matches!(self.ask(person, act()), Ok((Answer::Removed(false), _))) {
                    break;
                }
            }
        }
    }

    /// Has a helper do something as this person.
    fn ask(&self, person: &Person, act: Act) -> Result<(Answer, Option<OwnedFd>), OpenError> {
        let place = self.helpers.take(person.uid).ok_or(OpenError::Busy)?;
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, flags, None)?;
        // Before its own clock begins: what that has ended is never taken for killed by somebody.
        let begun = clock::monotonic();
        // Said first, so that it waits for the helper and not the other way round.
        Request { person: person.clone(), act }.send(&ours)?;
        self.client.send_file(helper::WORD, &theirs)?;
        drop(theirs);
        set_socket_timeout(&ours, Timeout::Recv, Some(helper::LIFE + SLACK))?;
        match helper::hear(&ours) {
            Ok(Some(answer)) => Ok(answer),
            // It was ended by its clock, or by somebody.
            Ok(None) if begun.elapsed() >= helper::LIFE => Err(OpenError::Timeout),
            Ok(None) => Err(OpenError::Io(io::Error::other("its helper was killed"))),
            Err(Errno::AGAIN) => {
                // Not even KILL has ended it: it waits in the kernel.
                hold_until_gone(place, ours);
                Err(OpenError::Timeout)
            }
            Err(e) => Err(OpenError::Io(e.into())),
        }
    }
}

/// Keeps a place taken until the helper has closed its end.
fn hold_until_gone(place: Place, socket: OwnedFd) {
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(async move {
        if let Ok(socket) = sys::watch_readable(socket) {
            let _gone = socket.readable().await;
        }
        drop(place);
    });
}

fn refused(error: Errno) -> OpenError {
    match error {
        Errno::NOENT | Errno::NOTDIR => OpenError::Absent,
        Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::XDEV => OpenError::Denied,
        Errno::ISDIR | Errno::NXIO => OpenError::NotRegular,
        other => OpenError::Io(other.into()),
    }
}

impl From<Errno> for OpenError {
    fn from(error: Errno) -> OpenError {
        OpenError::Io(error.into())
    }
}
