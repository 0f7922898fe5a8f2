//! *Purpose*: what the server says about itself, as JSON.
//!
//! *Owns*: [`Audit`], [`Drift`], [`Info`].
//!
//! *Promises*: `consistent` is true exactly when `drift` is empty; no secret is ever a value.
//!
//! *Not here*: how drift is found (`actors`), where settings come from (`crate::config`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::ids::JobId;

/// Ledger, database and live processes compared at one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Audit {
    /// Whether all three agree.
    pub consistent: bool,
    /// Where they do not.
    pub drift: Vec<Drift>,
    /// What the sweeps of this server found before, newest first; at most 100.
    #[serde(default)]
    pub history: Vec<PastDrift>,
    /// The commit at which they were compared.
    pub commit_no: i64,
    /// When.
    #[schema(format = DateTime)]
    pub checked_at: String,
}

/// One disagreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drift {
    /// What kind, in a word: `ended_job_holds_cpus`, `process_without_cpus` …
    pub kind: String,
    /// The job concerned.
    #[schema(value_type = Option<i64>)]
    pub job_id: Option<JobId>,
    /// What disagrees, as one sentence.
    pub message: String,
    /// What the next sweep, within 10 s, does about it: `reclaimed` (the CPUs are provably free:
    /// the database gives them back), `restored` (the ledger is right: the database is told
    /// again), `held_back` (the CPUs are not handed out while that is so) or `reported`.
    #[serde(default)]
    pub remedy: String,
}

/// A disagreement that a sweep found and acted upon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PastDrift {
    /// When.
    #[schema(format = DateTime)]
    pub found_at: String,
    /// What.
    #[serde(flatten)]
    pub drift: Drift,
}

/// What this server is and can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Info {
    /// Its version.
    #[schema(example = "0.1.0")]
    pub version: String,
    /// The effective settings by name; secrets are hidden.
    pub configuration: BTreeMap<String, SettingValue>,
    /// What isolation works here, and what does not.
    pub isolation: Vec<Ability>,
    /// What a user should know about this installation, one sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The machine's name.
    #[serde(default)]
    #[schema(example = "big")]
    pub host: String,
    /// When the server began to serve, RFC 3339.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub start_time: String,
    /// How long that is ago, seconds.
    #[serde(default)]
    #[schema(example = 86_400)]
    pub uptime_s: u64,
    /// Bytes of its database, with the log beside it; null when that is not known.
    #[serde(default)]
    #[schema(example = 41_943_040_u64)]
    pub database_bytes: Option<u64>,
    /// Bytes that are free on the disk of its database; null when that is not known.
    #[serde(default)]
    #[schema(example = 214_748_364_800_u64)]
    pub free_bytes: Option<u64>,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingValue {
    /// Its value as text.
    pub value: String,
    /// Where it came from: `flag`, `environment`, `file` or `default`.
    #[schema(example = "default")]
    pub source: String,
}

/// One kind of isolation, and how far it goes here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ability {
    /// Its name: `cpu_pinning`, `memory_limit` …
    pub name: String,
    /// How, or why not.
    pub detail: String,
}
