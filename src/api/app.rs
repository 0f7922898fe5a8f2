//! *Purpose*: what every handler may reach.
//!
//! *Owns*: [`App`], reads of the database, and the rule that answers wait for the snapshot.
//!
//! *Promises*: `/jobs` and `/resources` never disagree.
//!
//! *Not here*: routes, the threads that read (`api::aside`).

use std::sync::Arc;
use std::time::Duration;

use super::aside::aside;
use super::error::ApiError;
use super::file_watch::FileWatcher;
use super::files::Files;
use super::live::{InForce, Live};
use super::opener::{Opener, OwnersFiles};
use super::places::Room;
use super::served::Served;
use super::upkeep::Upkeep;
use super::web_sessions::WebSessions;
use super::wire::report::Ability;
use crate::actors::System;
use crate::actors::usage_watch::UsageWatch;
use crate::fault;
use crate::job::files::Places;
use crate::job::ids::JobId;
use crate::kernel::views::snapshot::Snapshot;
use crate::machine::Watch;
use crate::store::backend::Readers;
use crate::store::error::StoreError;
use crate::store::read::{AsOf, JobAndAllocation};
use crate::store::reader::Reader;
use crate::store::record::JobRecord;

/// How long the database is waited for: it cannot be written or read then, and a person wants to
/// know.
pub const DATABASE_WAIT: Duration = Duration::from_secs(10);

/// The answer to a change, which comes when it is on disk.
///
/// # Errors
/// 503 when the server is stopping, or when it is not on disk in time: it is kept and will be.
pub async fn durable<T>(
    sent: impl Future<Output = Result<T, actix::MailboxError>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(DATABASE_WAIT, sent).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(ApiError::unavailable("the server is stopping")),
        Err(_) => Err(ApiError::unavailable(
            "the database cannot be written now; the change is kept and made as soon as it can, \
             unless the server ends before; look before you ask again",
        )),
    }
}

/// Reads on a blocking thread. On a disk that has stopped a read may hang as well as a change: so
/// many threads as there are connections for readers, and nobody who asks.
///
/// # Errors
/// What the database says, and that it says nothing in time.
pub async fn read<T: Send + 'static>(
    readers: &Readers,
    body: impl FnOnce(&mut dyn Reader) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    let readers = readers.clone();
    let read = aside(move || {
        fault::bug(fault::BUG_IN_READ);
        readers.read(body)
    });
    match tokio::time::timeout(DATABASE_WAIT, read).await {
        Ok(read) => Ok(read??),
        Err(_) => Err(ApiError::unavailable("the database cannot be read now; ask again")),
    }
}

/// Shared by all handlers.
pub struct App {
    /// The actors.
    pub system: System,
    /// The settings in force.
    pub in_force: InForce,
    /// Whom it serves without a token.
    pub served: Served,
    /// Browsers that somebody has let in.
    pub web: Arc<WebSessions>,
    /// Where job files are.
    pub places: Places,
    /// This machine's name.
    pub host: String,
    /// How it is built, and how busy it is.
    pub machine: Arc<Watch>,
    /// What attempts use while they run.
    pub usage: UsageWatch,
    /// How long it has run, and what its database takes.
    pub upkeep: Upkeep,
    /// What isolation works.
    pub isolation: Vec<Ability>,
    /// Why no job can be suspended here, if none can.
    pub cannot_suspend: Option<String>,
    /// Opens files of jobs as their owners, where all users are served.
    pub owners_files: Option<Arc<dyn OwnersFiles>>,
    /// Reads files that jobs can name.
    pub files: Files,
    /// Wakes followers of logs.
    pub file_watcher: Arc<FileWatcher>,
    /// Room for streams.
    pub streams: Room,
    /// Room for requests that wait for a job.
    pub waits: Room,
}

impl App {
    /// The settings in force.
    #[must_use]
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.in_force.borrow())
    }

    /// Opens the output of this job.
    #[must_use]
    pub fn opener(&self, row: &JobRecord) -> Opener {
        Opener { owner: row.owner, files: self.owners_files.clone() }
    }

    /// "Now".
    #[must_use]
    pub fn now(&self) -> Arc<Snapshot> {
        Arc::clone(&self.system.snapshot.borrow())
    }

    /// Reads, see [`read()`].
    ///
    /// # Errors
    /// What the database says, and that it says nothing in time.
    pub async fn read_raw<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ApiError> {
        read(&self.system.readers, body).await
    }

    /// Reads, and waits until the snapshot is as new as what was read.
    ///
    /// # Errors
    /// What the database says.
    pub async fn read<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut dyn Reader) -> Result<AsOf<T>, StoreError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let AsOf { commit_no, value } = self.read_raw(body).await?;
        let mut snapshot = self.system.snapshot.clone();
        let reached = snapshot.wait_for(|s| s.commit_no >= commit_no).await;
        reached.map_err(|_| ApiError::unavailable("the server is stopping"))?;
        Ok(value)
    }

    /// One job, or 404.
    ///
    /// # Errors
    /// What the database says.
    pub async fn job(&self, id: JobId) -> Result<JobAndAllocation, ApiError> {
        self.read(move |db| db.job(id)).await?.ok_or_else(|| ApiError::no_job(id))
    }
}
