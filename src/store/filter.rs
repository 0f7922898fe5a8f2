//! *Purpose*: which jobs a list is of.
//!
//! *Owns*: [`JobFilter`], and how long a page may be.
//!
//! *Promises*: a part that is not given excludes no job.
//!
//! *Not here*: how its jobs are found (`store::find`), the rows of a page (`store::read`).

use crate::job::ids::JobId;
use crate::job::outcome::ExitCode;
use crate::job::state::StateWord;
use crate::store::order::{Cursor, SortKey};
use crate::time::Time;

/// Longest page of a list.
pub const PAGE_MAX: i64 = 1_000;
/// The same of a page that tells a part of each job: as many as a batch has.
pub const LINES_MAX: i64 = 10_000;
/// Most ids of one question: a page of them.
pub const IDS_MAX: usize = PAGE_MAX as usize;

/// Which jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// In one of these states; empty means all.
    pub states: Vec<StateWord>,
    /// Of this account.
    pub account: Option<String>,
    /// Of this name.
    pub name: Option<String>,
    /// Of a name like this: `*` is any text, `?` any character, `[ab]` one of these.
    pub name_like: Option<String>,
    /// Of this user.
    pub user: Option<String>,
    /// In this partition.
    pub partition: Option<String>,
    /// Ended with this code.
    pub exit_code: Option<ExitCode>,
    /// One of these, [`IDS_MAX`] at the most; `None` means all.
    pub ids: Option<Vec<JobId>>,
    /// With each of these labels.
    pub labels: Vec<(String, String)>,
    /// Of this array.
    pub array: Option<JobId>,
    /// Submitted at or after.
    pub since: Option<Time>,
    /// Submitted before.
    pub until: Option<Time>,
    /// Ended at or after.
    pub ended_since: Option<Time>,
    /// Ended before.
    pub ended_until: Option<Time>,
    /// In the order of this.
    pub key: SortKey,
    /// The oldest, the smallest first instead of the newest, the largest.
    pub ascending: bool,
    /// Go on behind this place.
    pub after: Option<Cursor>,
    /// At most so many, [`LINES_MAX`] at the most.
    pub limit: i64,
}
