//! *Purpose*: who asks, as JSON.
//!
//! *Owns*: [`Me`], [`Allowance`].
//!
//! *Promises*: what stands here is what the server goes by.
//!
//! *Not here*: how it is found out (`api::caller`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use crate::kernel::access::{Role, Via};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// As events and history name him.
    #[schema(example = "alice")]
    pub user: String,
    /// His number; null of a token.
    pub uid: Option<u32>,
    /// What he may do.
    pub role: Role,
    /// How he is known.
    pub via: Via,
    /// Those of his groups that the settings name; where all users are served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Accounts of whose jobs he gives orders too; where all users are served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coordinates: Vec<String>,
    /// What his jobs have and may have; where all users are served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// What a user's jobs have and may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Limits {
    /// CPUs that they hold.
    pub running_cpus: Allowance,
    /// Jobs that hold CPUs.
    pub running_jobs: Allowance,
    /// Jobs that wait, each task of an array by itself where that is limited.
    pub queued_jobs: Allowance,
    /// Bytes of scripts and environments of jobs that wait.
    pub queued_bytes: Allowance,
    /// Most of other resources that they hold at a time, by name, bytes where bytes are counted.
    #[schema(example = json!({"gpu": 4}))]
    pub running: BTreeMap<String, u64>,
}

/// How much of something, and how much at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Allowance {
    /// Now.
    pub used: u64,
    /// At most; null: as much as there is.
    pub max: Option<u64>,
}
