//! *Purpose*: how the far end finds the near end, and what the near end does.
//!
//! *Owns*: [`Manner`], the variables of the job that lead to the near end.
//!
//! *Promises*: the variables are seen by the program that they are for, and by none that it starts.
//!
//! *Not here*: the ends (`far`, `near`).

use std::io;
use std::os::unix::net::UnixStream;
use std::process::Command;

use super::line::{Frame, send};

/// Where a program of a job finds the near end: the path of a socket.
const TERMINAL: &str = "DOWNBEAT_TERMINAL";
/// The same, where its own streams are left alone.
const CALLER: &str = "DOWNBEAT_CALLER";

/// What is done with the streams of the near end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// They are the terminal's.
    Carried,
    /// They are left alone: only that both ends are there is of interest.
    Silent,
}

impl Manner {
    /// Where a program of a job finds it.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Manner::Carried => TERMINAL,
            Manner::Silent => CALLER,
        }
    }
}

/// The line to the near end that this process was given; `None` when it was given none.
///
/// # Errors
/// When nobody is at the near end any more.
pub fn given() -> io::Result<Option<(UnixStream, Manner)>> {
    for manner in [Manner::Carried, Manner::Silent] {
        if let Some(path) = std::env::var_os(manner.variable()) {
            let gone = |_| io::Error::other("nobody sits at its terminal on this machine");
            let mut line = UnixStream::connect(path).map_err(gone)?;
            send(&mut line, &Frame::Hello)?;
            return Ok(Some((line, manner)));
        }
    }
    Ok(None)
}

/// The near end is that of this process, and of nothing that it starts.
pub fn is_of_nobody_else(command: &mut Command) {
    command.env_remove(TERMINAL).env_remove(CALLER);
}

/// Both ends of a line, where one process has both.
///
/// # Errors
/// What the system says.
pub fn both() -> io::Result<(UnixStream, UnixStream)> {
    let (mut far, near) = UnixStream::pair()?;
    send(&mut far, &Frame::Hello)?;
    Ok((far, near))
}
