//! *Purpose*: notices that the reader of our output has gone.
//!
//! *Owns*: [`when_gone`].
//!
//! *Promises*: it is noticed at once, also while there is nothing to write; nobody polls.
//!
//! *Not here*: what a verb does then.

use std::io;
use std::os::fd::AsFd;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};

/// Calls `act` when whoever reads our standard output has closed it. A terminal that closes is a
/// signal instead, and a file has no reader.
pub(super) fn when_gone(act: impl FnOnce() + Send + 'static) {
    thread::spawn(move || {
        let out = io::stdout();
        // The other end of a pipe that nobody reads is an error, which is told without being asked.
        let mut asked = [PollFd::from_borrowed_fd(out.as_fd(), PollFlags::empty())];
        let told = loop {
            match poll(&mut asked, None) {
                Err(rustix::io::Errno::INTR) => {}
                told => break told,
            }
        };
        if told.is_ok() && asked[0].revents().contains(PollFlags::ERR) {
            act();
        }
    });
}
