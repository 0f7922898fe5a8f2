//! *Purpose*: how `srun` speaks.
//!
//! *Owns*: its name in front of its sentences.
//!
//! *Promises*: none of its own.
//!
//! *Not here*: the sentences.

use crate::slurm::failure::Failure;

/// Its name.
pub const COMMAND: &str = "srun";

/// A sentence of its own.
#[must_use]
pub fn error(what: &str) -> Failure {
    Failure::error(COMMAND, what)
}
