//! *Purpose*: who writes.
//!
//! *Owns*: [`Writer`].
//!
//! *Promises*: there is one for each database; what it has answered is durable.
//!
//! *Not here*: how (`store::body`), retries and their timing (`actors::resource_manager`).

use super::error::StoreError;
use super::reader::Reader;
use super::write::{CommitError, Launches};
use crate::job::ids::Epoch;
use crate::kernel::outbox::Commit;
use crate::time::Time;

/// The one that changes a database.
pub trait Writer: Send {
    /// The name of the installation that this database belongs to; empty when it has none yet.
    ///
    /// # Errors
    /// What the database says.
    fn installation(&mut self) -> Result<String, StoreError>;

    /// From now on it belongs to this one.
    ///
    /// # Errors
    /// What the database says.
    fn belongs_to(&mut self, installation: &str) -> Result<(), StoreError>;

    /// This reign.
    #[must_use]
    fn epoch(&self) -> Epoch;

    /// Answers what boot asks, outside of any transaction: nobody else writes.
    ///
    /// # Errors
    /// When the connection cannot be opened again.
    fn reader(&mut self) -> Result<&mut dyn Reader, StoreError>;

    /// Sees to it that what was committed outlives this process: if somebody took the log away, or
    /// what stands beside it, all of it is moved into the database, and a new log is begun.
    ///
    /// # Errors
    /// When the database is not in its place, or cannot be written now; the next commit, or the
    /// next chore, tries again, and no reader is let in before that. When the log was cut off, so
    /// that what stood in it is lost.
    fn look_after(&mut self) -> Result<(), StoreError>;

    /// Wipes what was forgotten out of the log, some chores after it was. In the database SQLite
    /// has overwritten it already (`secure_delete`).
    ///
    /// # Errors
    /// When the database refuses, or another program reads it; the next chore tries again.
    fn wipe(&mut self) -> Result<(), StoreError>;

    /// Makes a commit durable. Committing a number again that is durable already succeeds. Answers
    /// what its launches need, as far as that is at hand and not too much.
    ///
    /// # Errors
    /// [`CommitError`] says what is known.
    fn commit(&mut self, commit: &Commit) -> Result<Launches, CommitError>;

    /// Forgets idempotency keys that are older than a day. A chore: idempotent, small.
    ///
    /// # Errors
    /// When the database refuses; the next chore tries again.
    fn forget_old_keys(&mut self, now: Time) -> Result<usize, StoreError>;

    /// Forgets tokens that expired a month ago. A chore, likewise.
    ///
    /// # Errors
    /// When the database refuses; the next chore tries again.
    fn forget_old_tokens(&mut self, now: Time) -> Result<usize, StoreError>;

    /// Forgets signals of attempts that are over. A chore, likewise.
    ///
    /// # Errors
    /// When the database refuses; the next chore tries again.
    fn forget_old_signals(&mut self) -> Result<usize, StoreError>;

    /// Puts samples of minutes together that are old. A chore, likewise.
    ///
    /// # Errors
    /// When the database refuses; the next chore tries again.
    fn fold_samples(&mut self, now: Time) -> Result<usize, StoreError>;

    /// Forgets samples of before then. A chore, likewise.
    ///
    /// # Errors
    /// When the database refuses; the next chore tries again.
    fn forget_old_samples(&mut self, before: Time) -> Result<usize, StoreError>;

    /// Forgets who asked for what before then. A chore, likewise.
    ///
    /// # Errors
    /// When the database refuses; the next chore tries again.
    fn forget_old_requests(&mut self, before: Time) -> Result<usize, StoreError>;
}
