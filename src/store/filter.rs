//! *Purpose*: which jobs a list is of.
//!
//! *Owns*: [`JobFilter`], and how long a page may be.
//!
//! *Promises*: a part that is not given excludes no job.
//!
//! *Not here*: how its jobs are found (`store::body::find`), the rows of a page (`store::read`).

use crate::job::array_spec::JobRef;
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
/// Most accounts, or users, of one question: each is another place to look at.
pub const NAMED_MAX: usize = 32;

/// Which jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// In one of these states; empty means all.
    pub states: Vec<StateWord>,
    /// Of one of these accounts, [`NAMED_MAX`] at the most; empty means all.
    pub accounts: Vec<String>,
    /// Of this name.
    pub name: Option<String>,
    /// Of a name like this: `*` is any text, `?` any character, `[ab]` one of these.
    pub name_like: Option<String>,
    /// Of a name that begins so.
    pub name_begins: Option<String>,
    /// Of one of these users, [`NAMED_MAX`] at the most; empty means all.
    pub users: Vec<String>,
    /// In this partition.
    pub partition: Option<String>,
    /// Ended with this code.
    pub exit_code: Option<ExitCode>,
    /// One of these, [`IDS_MAX`] at the most; `None` means all.
    pub ids: Option<Vec<JobId>>,
    /// This job, or this task of an array; one that is no job yet is shown by its array's row.
    pub one: Option<JobRef>,
    /// An array counts as one, and stands at the place of its own number; only in the order of
    /// numbers.
    pub fold: bool,
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
    /// As of when ends are expected: that of a job that is suspended moves along.
    pub now: Time,
}
