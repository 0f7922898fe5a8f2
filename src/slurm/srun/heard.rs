//! *Purpose*: what `srun` hears while its tasks run.
//!
//! *Owns*: [`Heard`].
//!
//! *Promises*: none of its own.
//!
//! *Not here*: what it does then (`srun::tasks`).

use std::io;
use std::process::ExitStatus;
use std::sync::mpsc::Sender;

use rustix::process::Pid;

/// One thing that is heard.
pub enum Heard {
    /// A task has ended.
    Ended(u32, io::Result<ExitStatus>),
    /// Somebody sent a signal: its number, and who.
    Signal(i32, Option<i32>),
    /// Nobody is at the terminal of the first task any more.
    /// The process group that had it is told so.
    HungUp(Option<Pid>),
}

impl Heard {
    /// Tells that nobody is at the terminal.
    pub fn hung_up(told: &Sender<Heard>, had_terminal: Option<Pid>) {
        // Only when the step is over nobody listens.
        let _heard = told.send(Heard::HungUp(had_terminal));
    }
}
