//! *Purpose*: what a new server has to know.
//!
//! *Owns*: [`Loaded`].
//!
//! *Promises*: everything is of one commit.
//!
//! *Not here*: the queries (`store::body`), what becomes of live attempts (`actors::recovery`).

use std::sync::Arc;

use crate::job::ids::{Attempt, CommitNo};
use crate::kernel::restore::PersistedState;
use crate::time::Time;

/// Nonce and boot id of a live attempt's engine key.
pub type AttemptKey = (Attempt, Arc<str>, Arc<str>);

/// All that boot needs.
#[derive(Debug)]
pub struct Loaded {
    /// For the kernel.
    pub memory: PersistedState,
    /// The last commit.
    pub commit_no: CommitNo,
    /// When it was, as far as an event tells.
    pub last_commit: Option<Time>,
    /// Keys of live attempts.
    pub keys: Vec<AttemptKey>,
}
