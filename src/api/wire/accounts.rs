//! *Purpose*: what accounts have and may have, as JSON; and the same of users.
//!
//! *Owns*: [`AccountLine`].
//!
//! *Promises*: what is not counted is null.
//!
//! *Not here*: what they used in a time (`wire::usage`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::me::Limits;

/// What an account has, or a user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccountLine {
    /// Its name; empty for jobs that name none.
    #[schema(example = "physics")]
    pub name: String,
    /// Its part of the machine, in comparison with the shares of others; null of users, and where
    /// usage does not count.
    pub shares: Option<u32>,
    /// CPU hours that its jobs used, those of long ago less, as they count for its share; null
    /// where they do not.
    pub cpu_hours: Option<f64>,
    /// How far it is from having used more than its share: 1 for one that used nothing, 1/2 for one
    /// that used just its share, towards 0 beyond; null where usage does not count.
    pub share_factor: Option<f64>,
    /// CPUs that its jobs hold.
    pub cpus: u32,
    /// GPUs that they hold.
    pub gpus: u64,
    /// Bytes of memory that they hold, where they asked for any.
    pub memory_bytes: u64,
    /// Its jobs that hold CPUs.
    pub running: u64,
    /// Its jobs that wait, each task of an array by itself.
    pub waiting: u64,
    /// What it has and may have of what is limited.
    pub limits: Limits,
}
