//! *Purpose*: what a supervisor keeps for its launches.
//!
//! *Owns*: [`Launcher`]: the stack of the child, and the descriptor that wakes its watch.
//!
//! *Promises*: a supervisor makes both once, and none if it never launches.
//!
//! *Not here*: the launch (`start`, `launch`).

use std::io;
use std::os::fd::OwnedFd;

use super::sys::{self, Stack};

/// What a supervisor keeps for its launches.
pub struct Launcher {
    /// Where the child runs until it is the script.
    pub stack: Stack,
    /// Readable when a child has ended or the server has poked.
    pub signals: OwnedFd,
}

impl Launcher {
    /// For this process, whose signals are blocked.
    ///
    /// # Errors
    /// When no descriptor is left: blind to a cancel nothing must be started.
    pub fn new() -> io::Result<Launcher> {
        Ok(Launcher { stack: Stack::new(), signals: sys::child_signals_and_pokes()? })
    }
}
