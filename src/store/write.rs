//! *Purpose*: what a writer is told, and answers.
//!
//! *Owns*: [`CommitError`], [`Launches`].
//!
//! *Promises*: an error says whether the commit may be durable.
//!
//! *Not here*: writing (`store::body`).

use super::error::StoreError;
use super::read::LaunchRecords;
use crate::job::ids::Attempt;

/// How long idempotency keys are kept, seconds.
pub const KEY_KEPT_S: i64 = 86_400;

/// What the launches need that a commit grants: read with it, since here the rows are at hand;
/// elsewhere they cost a transaction and a thread.
pub type Launches = Vec<(Attempt, LaunchRecords)>;

/// Why a commit did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Known not to be durable; may be tried again.
    #[error("not committed: {0}")]
    NotCommitted(StoreError),
    /// Not known whether it is durable; asking again (by committing again) is safe.
    #[error("outcome unknown: {0}")]
    Unknown(StoreError),
    /// Must not be tried again: the process has to end, boot repairs.
    #[error("{0}")]
    Fatal(StoreError),
}
