//! *Purpose*: what all parts of the engine share.
//!
//! *Owns*: [`Inner`]: the attempts, the step daemon's client, the folders, the words for people.
//!
//! *Promises*: all of it can be used by several threads at once.
//!
//! *Not here*: how it is made and given orders (`engine::local`), what is found out with it
//! (`look`).

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use super::attempts::Attempts;
use super::cleanup::CleanupQueue;
use super::client::DaemonClient;
use super::folder_pool::FolderPool;
use super::helpers::Helpers;
use super::origin::Origin;
use super::persons::Persons;
use super::proc;
use super::proctrack::ProcTrack;
use super::scratch::Scratch;
use super::spool::Folder;
use crate::engine::Elsewhere;

/// The engine, behind its questions and orders.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) data_dir: PathBuf,
    pub(super) origin: Origin,
    pub(super) elsewhere: Elsewhere,
    /// Which attempts had processes when this server first needed to know.
    pub(super) first_seen: OnceLock<HashSet<String>>,
    pub(super) attempts: Arc<Attempts>,
    /// The pipe of all supervisors, until somebody hears it.
    pub(super) notices: Mutex<Option<OwnedFd>>,
    pub(super) client: Arc<DaemonClient>,
    pub(super) pool: FolderPool,
    pub(super) scratch: Arc<Scratch>,
    pub(super) cleanup: Arc<CleanupQueue>,
    /// What keeps jobs below their memory, for people.
    pub(super) memory_says: String,
    /// Whether something keeps jobs from devices.
    pub(super) denies_devices: bool,
    /// The same, for people.
    pub(super) devices_say: String,
    pub(super) can_suspend: bool,
    pub(super) suspending_says: String,
    /// Whom scripts can signal, for people.
    pub(super) signals_say: String,
    /// As whom scripts may run.
    pub(super) persons: Persons,
    pub(super) track: ProcTrack,
    /// Who has helpers.
    pub(super) helpers: Arc<Helpers>,
    /// The file that step daemon and supervisors run.
    pub(super) program: Option<proc::Program>,
}

impl Inner {
    /// The folder of this attempt in the spool.
    pub(super) fn folder(&self, name: &str) -> Folder {
        Folder::new(&self.data_dir, name)
    }
}
