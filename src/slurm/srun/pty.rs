//! *Purpose*: the terminal of a step's first task.
//!
//! *Owns*: [`Terminal`], from the start of the task to its last output.
//!
//! *Promises*: the near end is where the user sits: where `srun` was called outside of the job, or
//! the streams of this process.
//!
//! *Not here*: the ends themselves (`slurm::terminal`).

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::Sender;

use super::heard::Heard;
use super::step::Hangup;
use crate::slurm::terminal::{self, Attended, Carrying};

/// The terminal of a task that runs.
pub struct Terminal {
    far: Carrying,
    near: Option<Attended>,
}

/// Starts a task on one.
///
/// # Errors
/// When there is none, or no such program.
pub fn start(
    command: Command,
    hangup: Hangup,
    told: &Sender<Heard>,
) -> io::Result<(Child, Terminal)> {
    let (line, near) = match terminal::given()? {
        Some((line, _)) => (line, None),
        None => {
            let (far, near) = terminal::both()?;
            (far, Some(near))
        }
    };
    let (child, far) = terminal::start(command, line)?;
    let told = told.clone();
    let far = far.attend(move |had_terminal| {
        if hangup == Hangup::Ends {
            Heard::hung_up(&told, had_terminal);
        }
    })?;
    Ok((child, Terminal { far, near: near.map(terminal::attend) }))
}

impl Terminal {
    /// The task has ended: returns when all that it wrote is on its way.
    pub fn finish(self) {
        self.far.finish();
        if let Some(near) = self.near {
            near.finish();
        }
    }
}
