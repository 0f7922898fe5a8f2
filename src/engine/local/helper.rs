//! *Purpose*: one act in somebody else's name, in a process of its own that ends with it.
//!
//! *Owns*: the request for such an act, its answer, the life of the process.
//!
//! *Promises*: no path that a person can influence is followed with root's rights: the process is
//! that person before it follows any. It ends by the system's clock, whatever a file system answers
//! or a signal of the person's does; what it opened is a regular file.
//!
//! *Not here*: whose turn it is and how long is waited for (`opener`), becoming somebody
//! (`child::person`).
//!
//! The step daemon forks it, since it is small and has one thread. The server never has a thread
//! with other numbers: the person could kill all of it through that one.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use super::child::person::Become;
use super::fd_passing;
use super::persons::Persons;
use super::sys;
use crate::engine::Person;
use crate::trees;

/// What the server sends to the step daemon, with the socket over which the rest is said. No
/// attempt bears this name.
pub const WORD: &str = "help/";
/// How long a process for one act may live.
pub const LIFE: Duration = Duration::from_secs(2);
/// The longest request: a path of 4 KiB, which JSON may write six times as long, and
/// `persons::GROUPS_MAX` groups of eleven letters.
const REQUEST_BYTES_MAX: usize = 96 * 1024;
/// The longest answer: a sentence with a path in it.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// What `ps` and `top` call it, fifteen characters at the most.
const NAME: &std::ffi::CStr = c"downbeat-helper";
/// What an answer says whose file comes with it.
const HERE: &str = "here";

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// In whose name.
    pub person: Person,
    /// What.
    pub act: Act,
}

/// An act.
#[derive(Debug, Serialize, Deserialize)]
pub enum Act {
    /// Opens this file for reading.
    Open(PathBuf),
    /// Removes from this folder what has this name, at most so many files and folders of it.
    Remove(PathBuf, String, u64),
}

/// What became of it.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// It is open; the descriptor comes along.
    Open,
    /// What is there is not a regular file.
    NotRegular,
    /// The system refused, and said this.
    Refused(i32),
    /// Whether nothing is left.
    Removed(bool),
    /// It was not done.
    Failed(String),
}

impl Request {
    /// Says it, on the socket whose other end is about to be the process's.
    ///
    /// # Errors
    /// What the system says.
    pub fn send(&self, socket: &OwnedFd) -> std::io::Result<()> {
        let text = serde_json::to_vec(self)?;
        rustix::net::send(socket, &text, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// Hears an answer, and the file that comes along; `None` when the process has ended without one.
///
/// # Errors
/// What the system says: that it takes too long, above all.
pub fn hear(socket: &OwnedFd) -> rustix::io::Result<Option<(Answer, Option<OwnedFd>)>> {
    let mut text = vec![0; ANSWER_BYTES_MAX];
    let (bytes, file) = fd_passing::receive_any(socket, &mut [IoSliceMut::new(&mut text)])?;
    let answer = match &text[..bytes] {
        [] => return Ok(None),
        text if text == HERE.as_bytes() => Some(Answer::Open),
        text => serde_json::from_slice(text).ok(),
    };
    Ok(answer.map(|answer| (answer, file)))
}

/// The whole life of the process, a child of `parent`; its answer is the exit code.
pub fn run(socket: &OwnedFd, persons: Persons, parent: Pid) -> i32 {
    sys::close_all_but(vec![socket.as_raw_fd()]);
    // A name that is not set harms nobody.
    let _ = rustix::thread::set_name(NAME);
    sys::end_within(LIFE);
    let mut text = vec![0; REQUEST_BYTES_MAX];
    let Ok((bytes, _)) = rustix::net::recv(socket, text.as_mut_slice(), RecvFlags::empty()) else {
        return 1;
    };
    let answered = match serde_json::from_slice(&text[..bytes]) {
        Ok(request) => answer(request, socket, persons, parent),
        Err(e) => tell(socket, &Answer::Failed(e.to_string())),
    };
    i32::from(answered.is_err())
}

fn answer(
    request: Request,
    socket: &OwnedFd,
    persons: Persons,
    parent: Pid,
) -> rustix::io::Result<()> {
    let Request { person, act } = request;
    if let Err(refused) = persons.admit(&person) {
        return tell(socket, &Answer::Failed(refused));
    }
    if let Err((act, e)) = Become::new(&person, parent).take() {
        let name = person.name;
        return tell(socket, &Answer::Failed(format!("could not become {name}: {act:?}: {e}")));
    }
    match act {
        Act::Open(path) => match open(&path) {
            Ok(Some(file)) => fd_passing::send(socket, HERE, file.as_fd(), SendFlags::empty()),
            Ok(None) => tell(socket, &Answer::NotRegular),
            Err(e) => tell(socket, &Answer::Refused(e.raw_os_error())),
        },
        Act::Remove(above, name, most) => match trees::remove_piece(&above, &name, most) {
            Ok(nothing_is_left) => tell(socket, &Answer::Removed(nothing_is_left)),
            Err(why) => tell(socket, &Answer::Failed(why)),
        },
    }
}

/// Opens a regular file; `None` when it is none.
fn open(path: &std::path::Path) -> rustix::io::Result<Option<OwnedFd>> {
    // A pipe without a writer, or a terminal, would keep us waiting.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file =
        match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
            // A socket, or a device without a driver.
            Err(Errno::NXIO | Errno::NODEV) => return Ok(None),
            file => file?,
        };
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
    Ok((kind == FileType::RegularFile).then_some(file))
}

fn tell(socket: &OwnedFd, answer: &Answer) -> rustix::io::Result<()> {
    let text = serde_json::to_vec(answer).unwrap_or_default();
    let text = [IoSlice::new(&text)];
    let mut nothing = rustix::net::SendAncillaryBuffer::default();
    rustix::net::sendmsg(socket, &text, &mut nothing, SendFlags::NOSIGNAL).map(drop)
}
