//! *Purpose*: a name with open files, from one process of the house to another.
//!
//! *Owns*: how both travel in one datagram.
//!
//! *Promises*: name and files arrive together or not at all; what was received is closed on exec.
//!
//! *Not here*: what a name or a file means (`link`, `stepd`, `crew`).

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// The longest datagram that is sent: a key's name, or some lines of reports.
pub const DATAGRAM_BYTES_MAX: usize = 4096;
/// The most files that travel with a name.
const FILES_MAX: usize = 2;

/// Sends.
///
/// # Errors
/// What the system says; `AGAIN` with [`SendFlags::DONTWAIT`] and no room.
pub fn send(
    socket: &OwnedFd,
    name: &str,
    files: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !rights.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(rustix::io::Errno::TOOBIG);
    }
    let text = [IoSlice::new(name.as_bytes())];
    sendmsg(socket, &text, &mut rights, flags | SendFlags::NOSIGNAL).map(|_| ())
}

/// Receives; `None` when nobody will send any more.
///
/// # Errors
/// What the system says.
pub fn receive(socket: &OwnedFd) -> rustix::io::Result<Option<(String, Vec<OwnedFd>)>> {
    let mut text = [0; DATAGRAM_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut text)];
    let bytes = recvmsg(socket, &mut into, &mut rights, RecvFlags::CMSG_CLOEXEC)?.bytes;
    let files = rights
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(files) => Some(files),
            _ => None,
        })
        .flatten()
        .collect();
    Ok((bytes > 0).then(|| (String::from_utf8_lossy(&text[..bytes]).into_owned(), files)))
}
