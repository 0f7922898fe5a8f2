//! *Purpose*: a name with an open file, from one process of the house to another.
//!
//! *Owns*: how both travel in one datagram.
//!
//! *Promises*: name and file arrive together or not at all; what was received is closed on exec.
//!
//! *Not here*: what a name or a file means (`stepd`, `supervisor_pool`).

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// The longest datagram that is sent: a key's name, or some lines of notices.
pub const DATAGRAM_BYTES_MAX: usize = 4096;

/// Sends.
///
/// # Errors
/// What the system says; `AGAIN` with [`SendFlags::DONTWAIT`] and no room.
pub fn send(
    socket: &OwnedFd,
    name: &str,
    file: BorrowedFd<'_>,
    flags: SendFlags,
) -> rustix::io::Result<()> {
    let files = [file];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    if !rights.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(rustix::io::Errno::TOOBIG);
    }
    let text = [IoSlice::new(name.as_bytes())];
    sendmsg(socket, &text, &mut rights, flags | SendFlags::NOSIGNAL).map(|_| ())
}

/// Receives; `None` when nobody will send any more.
///
/// # Errors
/// What the system says.
pub fn receive(socket: &OwnedFd) -> rustix::io::Result<Option<(String, OwnedFd)>> {
    let mut text = [0; DATAGRAM_BYTES_MAX];
    let (bytes, file) = receive_any(socket, &mut [IoSliceMut::new(&mut text)])?;
    Ok(file.map(|file| (String::from_utf8_lossy(&text[..bytes]).into_owned(), file)))
}

/// Receives what need not have a file with it; no bytes and no file when nobody will send any more.
///
/// # Errors
/// What the system says.
pub fn receive_any(
    socket: &OwnedFd,
    into: &mut [IoSliceMut<'_>],
) -> rustix::io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let bytes = recvmsg(socket, into, &mut rights, RecvFlags::CMSG_CLOEXEC)?.bytes;
    let files = rights.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    Ok((bytes, files.flatten().next()))
}
