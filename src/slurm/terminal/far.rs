//! *Purpose*: the far end of a terminal: a pseudo terminal in the job.
//!
//! *Owns*: [`start`], which starts a program on one; [`FarEnd`].
//!
//! *Promises*: the program leads a session of its own, whose terminal it is. What it writes is read
//! whether or not anybody is at the near end, so it never waits for him.
//!
//! *Not here*: what becomes of the program when the near end is gone (who started it).

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use pty_process::Size;
use pty_process::blocking::{Pty, open};
use rustix::process::Pid;

use super::line::{BYTES_MAX, Frame, receive, send};
use super::manner::is_of_nobody_else;

/// How long the last output may take after the end of the program: what it left behind may hold
/// its terminal for ever.
const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// The far end of a terminal on which a program runs.
pub struct FarEnd {
    pty: Arc<Pty>,
    line: UnixStream,
}

/// Starts a program on a terminal of its own.
///
/// # Errors
/// When there is no terminal left, or no such program.
pub fn start(mut command: Command, line: UnixStream) -> io::Result<(Child, FarEnd)> {
    let (pty, pts) = open().map_err(plain)?;
    is_of_nobody_else(&mut command);
    let mut command = pty_process::blocking::Command::from(command);
    let child = command.spawn_borrowed(&pts).map_err(plain)?;
    Ok((child, FarEnd { pty: Arc::new(pty), line }))
}

fn plain(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        pty_process::Error::Rustix(error) => error.into(),
    }
}

impl FarEnd {
    /// Carries what is typed and what is shown; calls `gone` when nobody is at the near end, with
    /// the process group that has the terminal then.
    ///
    /// # Errors
    /// What the system says.
    pub fn attend(self, gone: impl FnOnce(Option<Pid>) + Send + 'static) -> io::Result<Carrying> {
        let FarEnd { pty, line } = self;
        let mut to = line.try_clone()?;
        let (over, drained) = channel::<()>();
        let shown = Arc::clone(&pty);
        thread::spawn(move || {
            let (mut part, mut is_heard) = (vec![0; BYTES_MAX], true);
            // Ends with an error, when the last program has closed its side.
            while let Ok(count @ 1..) = (&*shown).read(&mut part) {
                let frame = Frame::Bytes(part[..count].to_vec());
                is_heard = is_heard && send(&mut to, &frame).is_ok();
            }
            drop(over);
        });
        let from = line.try_clone()?;
        thread::spawn(move || {
            while let Ok(Some(frame)) = receive(&from) {
                // A program that has ended takes nothing more.
                let _taken = match frame {
                    Frame::Hello => Ok(()),
                    Frame::Bytes(bytes) => (&*pty).write_all(&bytes),
                    Frame::Size(size) => {
                        pty.resize(Size::new(size.rows, size.columns)).map_err(plain)
                    }
                };
            }
            gone(rustix::termios::tcgetpgrp(&*pty).ok());
        });
        Ok(Carrying { drained, line })
    }
}

/// What is typed and shown is being carried.
pub struct Carrying {
    drained: Receiver<()>,
    line: UnixStream,
}

impl Carrying {
    /// The program has its own streams; calls `gone` when nobody is at the near end.
    ///
    /// # Errors
    /// What the system says.
    pub fn of_nothing(
        line: UnixStream,
        gone: impl FnOnce(Option<Pid>) + Send + 'static,
    ) -> io::Result<Carrying> {
        let from = line.try_clone()?;
        let (_, drained) = channel();
        thread::spawn(move || {
            while let Ok(Some(_)) = receive(&from) {}
            gone(None);
        });
        Ok(Carrying { drained, line })
    }

    /// The program has ended: what it wrote last still reaches the near end, which then hears that
    /// this is all.
    pub fn finish(self) {
        let _all_if_not_late = self.drained.recv_timeout(LAST_OUTPUT);
        let _gone_if_not = self.line.shutdown(std::net::Shutdown::Both);
    }
}
