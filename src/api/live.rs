//! *Purpose*: what of the settings may change while the server runs.
//!
//! *Owns*: [`Live`].
//!
//! *Promises*: a request sees one set of settings from its beginning to its end of checks.
//!
//! *Not here*: who changes them (`serve::live`).

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::wire::report::SettingValue;
use crate::config::Secret;
use crate::config::people::People;
use crate::kernel::admission::Site;
use crate::policy::name::Policy;

/// Settings in force.
#[derive(Clone, Debug)]
pub struct Live {
    /// What requests are checked against.
    pub site: Site,
    /// Who goes first.
    pub policy: Policy,
    /// What requests must send; `None`: the server's own user and root may ask.
    pub token: Option<Secret>,
    /// What requests must send that only administrators may make; `None`: all may.
    pub admin_token: Option<Secret>,
    /// Whom the server serves, and who of them may do what.
    pub people: Arc<People>,
    /// All settings, as `/info` shows them.
    pub configuration: BTreeMap<String, SettingValue>,
    /// What a user should know about this installation.
    pub notes: Vec<String>,
}

/// Where the settings in force are read.
pub type InForce = watch::Receiver<Arc<Live>>;
