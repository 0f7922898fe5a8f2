//! *Purpose*: all of a first page, as JSON.
//!
//! *Owns*: [`Overview`], [`EndedToday`].
//!
//! *Promises*: each part is what the route of that part answers.
//!
//! *Not here*: the parts themselves.

use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::accounts::AccountLine;
use super::array::TaskCounts;
use super::forecast::Forecast;
use super::job::Job;
use super::maintenance::Window;
use super::me::Me;
use super::pick::{Fields, Picked};
use super::resources::Resources;

/// How it all stands, in one answer. Of each job it has what such a page shows; the rest is null.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// As of when.
    #[schema(format = DateTime)]
    pub time: String,
    /// The commit that it is as of, or of a later one.
    pub commit_no: i64,
    /// Whom the server takes the asker for.
    pub me: Me,
    /// What there is, and who holds it.
    pub resources: Resources,
    /// Jobs by state, those that ended over all that the server remembers: a field for each, named
    /// as the state in small letters. Null for who sees his own jobs alone.
    pub counts: Option<TaskCounts>,
    /// Jobs that ended since midnight, by the server's clock on the wall. Null for who sees his own
    /// jobs alone.
    #[serde(default)]
    pub ended_today: Option<EndedToday>,
    /// Jobs that hold CPUs, by when they end, soonest first; 100 at most.
    #[serde(serialize_with = "picked")]
    pub running: Vec<Job>,
    /// Jobs that wait: first the line, first to run first, then those that may not start yet, by
    /// their numbers; 100 at most.
    #[serde(serialize_with = "picked")]
    pub waiting: Vec<Job>,
    /// Jobs that ended, latest first; 20 at most.
    #[serde(serialize_with = "picked")]
    pub ended: Vec<Job>,
    /// The asker's own jobs, newest first; 20 at most.
    #[serde(serialize_with = "picked")]
    pub own: Vec<Job>,
    /// What accounts have, by name; 100 at most.
    pub accounts: Vec<AccountLine>,
    /// What users have, by name; 100 at most.
    pub people: Vec<AccountLine>,
    /// What is foretold.
    pub forecast: Forecast,
    /// Times in which no job may run.
    pub maintenance: Vec<Window>,
}

/// How many jobs ended since a day began: 100,000 are counted at the most, and where there are
/// more the newest of them. Tasks of an array are jobs; those that were cancelled with their array
/// before they became any are one together.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EndedToday {
    /// When the day began.
    #[schema(format = DateTime)]
    pub since: String,
    /// Those that completed.
    pub completed: u64,
    /// Those that ended in any other way.
    pub other: u64,
    /// More ended than are counted.
    pub is_more: bool,
}

/// What of each job is told.
pub const SHOWN: Fields = Fields {
    id: true,
    name: true,
    account: true,
    user: true,
    uid: true,
    redacted: true,
    partition: true,
    state: true,
    state_reason: true,
    state_detail: true,
    position: true,
    estimated_start_time: true,
    held: true,
    array_job_id: true,
    array_task_id: true,
    array_tasks: true,
    cpus: true,
    memory_bytes: true,
    resources: true,
    time_limit_s: true,
    start_time: true,
    end_time: true,
    expected_end_time: true,
    kill_time: true,
    suspend_time: true,
    suspended_s: true,
    elapsed_s: true,
    exit_code: true,
    error: true,
    attempt: true,
    usage: true,
    usage_now: true,
    ..Fields::NONE
};

fn picked<S: Serializer>(jobs: &[Job], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(jobs.iter().map(|job| Picked { job, fields: &SHOWN }))
}
