//! *Purpose*: the standard input of `downbeat run`.
//!
//! *Owns*: what of it reaches the job.
//!
//! *Promises*: a file that was not read yet is the job's standard input; of anything else that has
//! something to say it is said that it stays here. Nothing is taken from it.
//!
//! *Not here*: opening it for the job (`engine::local::child`).

use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, SeekFrom};

/// What becomes of our standard input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OwnInput {
    /// There is nothing in it, or nobody expects anything: a terminal, `/dev/null`, a closed one.
    Nothing,
    /// The job reads this file.
    File(PathBuf),
    /// It does not reach the job.
    Stays,
}

/// Looks at it.
pub(super) fn look() -> OwnInput {
    let stdin = rustix::stdio::stdin();
    let Ok(about) = rustix::fs::fstat(stdin) else { return OwnInput::Nothing };
    match FileType::from_raw_mode(about.st_mode) {
        FileType::RegularFile => {
            let at = rustix::fs::seek(stdin, SeekFrom::Current(0)).unwrap_or(0);
            let path = std::fs::read_link("/proc/self/fd/0").ok();
            // One that was deleted has a name that leads to nobody, or to another file.
            let is_it = |path: &PathBuf| {
                rustix::fs::stat(path.as_path())
                    .is_ok_and(|named| (named.st_dev, named.st_ino) == (about.st_dev, about.st_ino))
            };
            match path.filter(|path| path.to_str().is_some() && is_it(path)) {
                _ if i64::try_from(at).is_ok_and(|at| at >= about.st_size) => OwnInput::Nothing,
                Some(path) if at == 0 => OwnInput::File(path),
                _ => OwnInput::Stays,
            }
        }
        FileType::CharacterDevice => OwnInput::Nothing,
        _ => {
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            let mut fds = [PollFd::from_borrowed_fd(stdin, PollFlags::IN)];
            let asked = rustix::event::poll(&mut fds, Some(&now));
            let has_some = asked.is_ok() && fds[0].revents().contains(PollFlags::IN);
            if has_some { OwnInput::Stays } else { OwnInput::Nothing }
        }
    }
}
