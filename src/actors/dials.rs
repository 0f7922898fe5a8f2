//! *Purpose*: settings that actors look up each time, since they may change while they work.
//!
//! *Owns*: [`Dials`].
//!
//! *Promises*: whoever looks sees all of one reading of the settings.
//!
//! *Not here*: who turns them (`actors::resource_manager`, with the kernel's rules), what they
//! mean.

use tokio::sync::watch;

use crate::policy::name::Policy;

/// What is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dials {
    /// Who goes first.
    pub policy: Policy,
    /// Seconds for what a script leaves behind.
    pub finish_s: u32,
    /// Bytes that a job may write into its kept streams; `None` is no limit.
    pub max_output: Option<u64>,
    /// How long ended jobs are kept, seconds; `None` keeps them for ever.
    pub keep_s: Option<u32>,
}

/// Where they are looked up.
pub type Dialled = watch::Receiver<Dials>;
