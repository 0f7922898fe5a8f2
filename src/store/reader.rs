//! *Purpose*: what can be asked of a database.
//!
//! *Owns*: [`Reader`].
//!
//! *Promises*: all that is asked of one reader is of one commit; each answer is bounded by
//! what asks for it.
//!
//! *Not here*: the queries (`store::body`), the transaction around them (`store::backend`).

use std::collections::{BTreeMap, BTreeSet};

use super::arrays::{Counts, Named, Tally};
use super::dependencies::LookedUp;
use super::ended::Ended;
use super::error::StoreError;
use super::events::{EventFilter, EventPage};
use super::filter::JobFilter;
use super::history::{AskedFilter, AskedRecord};
use super::load::Loaded;
use super::read::{Age, AsOf, DbSnapshot, JobAndAllocation, JobPage, LaunchRecords};
use super::record::{AllocationRecord, EventRecord, KeyRecord, ScriptRecord};
use super::samples::Row;
use super::steps::StepRecord;
use super::used::{By, Key, TooMany, Used};
use crate::job::array_spec::JobRef;
use crate::job::dependency::Dependency;
use crate::job::ids::{Attempt, EventId, JobId, Uid};
use crate::job::signal::NumberedSignal;
use crate::job::spec::SingletonKey;
use crate::job::usage_series::UsageSeries;
use crate::kernel::access::Scope;
use crate::kernel::parts::rules::Rules;
use crate::kernel::token::Token;
use crate::time::Time;

/// A database in a transaction that only reads. Each question fails with what the database says.
pub trait Reader {
    /// Which job is meant.
    ///
    /// # Errors
    /// What the database says.
    fn named(&mut self, of: JobRef) -> Result<Named, StoreError>;

    /// How an array stands; `None` when this job is none.
    ///
    /// # Errors
    /// What the database says.
    fn tally(&mut self, array: JobId) -> Result<Option<Tally>, StoreError>;

    /// How the tasks of those of these jobs stand that are arrays.
    ///
    /// # Errors
    /// What the database says.
    fn array_counts(&mut self, jobs: &[JobId]) -> Result<BTreeMap<JobId, Counts>, StoreError>;

    /// Whether no task of this array waits or runs.
    ///
    /// # Errors
    /// What the database says.
    fn is_array_over(&mut self, array: JobId) -> Result<bool, StoreError>;

    /// Looks up all that these dependencies name; what is not seen is not there.
    ///
    /// # Errors
    /// What the database says.
    fn look_up(&mut self, named: &[Dependency], scope: &Scope) -> Result<LookedUp, StoreError>;

    /// The jobs of this name and user that have not ended.
    ///
    /// # Errors
    /// What the database says.
    fn family(&mut self, key: &SingletonKey) -> Result<Vec<JobId>, StoreError>;

    /// The transitions after one that are asked for and seen, among the next so many.
    ///
    /// # Errors
    /// What the database says.
    fn events(
        &mut self,
        after: EventId,
        looks: i64,
        filter: &EventFilter,
        scope: &Scope,
    ) -> Result<EventPage, StoreError>;

    /// The transitions of one job behind one of them, oldest first, at most `PAGE_MAX`.
    ///
    /// # Errors
    /// What the database says.
    fn events_of(
        &mut self,
        job: JobId,
        after: EventId,
        limit: i64,
    ) -> Result<AsOf<Vec<EventRecord>>, StoreError>;

    /// How many jobs ended then or later.
    ///
    /// # Errors
    /// What the database says.
    fn ended_since(&mut self, since: Time) -> Result<Ended, StoreError>;

    /// A page of requests, newest first.
    ///
    /// # Errors
    /// What the database says.
    fn asked(&mut self, filter: &AskedFilter) -> Result<Vec<AskedRecord>, StoreError>;

    /// One job.
    ///
    /// # Errors
    /// What the database says.
    fn job(&mut self, id: JobId) -> Result<AsOf<Option<JobAndAllocation>>, StoreError>;

    /// A page of jobs.
    ///
    /// # Errors
    /// What the database says.
    fn jobs(&mut self, filter: &JobFilter, scope: &Scope) -> Result<AsOf<JobPage>, StoreError>;

    /// The same of which only the numbers are told.
    ///
    /// # Errors
    /// What the database says.
    fn job_ids(&mut self, filter: &JobFilter, scope: &Scope) -> Result<Vec<JobId>, StoreError>;

    /// Those of these jobs that are seen.
    ///
    /// # Errors
    /// What the database says.
    fn seen(&mut self, jobs: BTreeSet<JobId>, scope: &Scope)
    -> Result<BTreeSet<JobId>, StoreError>;

    /// A job's script and environment.
    ///
    /// # Errors
    /// What the database says.
    fn script(&mut self, job: JobId) -> Result<Option<ScriptRecord>, StoreError>;

    /// What launching a job needs, from its rows.
    ///
    /// # Errors
    /// What the database says.
    fn launch(&mut self, job: JobId) -> Result<LaunchRecords, StoreError>;

    /// Allocations of a job, or of all; those that were released, or were not, or both;
    /// before one of them, newest first.
    ///
    /// # Errors
    /// What the database says.
    fn allocations(
        &mut self,
        of: (Option<JobId>, Option<bool>),
        before: Option<i64>,
        limit: i64,
        scope: &Scope,
    ) -> Result<AsOf<Vec<AllocationRecord>>, StoreError>;

    /// The allocation of one attempt, released or not.
    ///
    /// # Errors
    /// What the database says.
    fn allocation_of(&mut self, attempt: Attempt) -> Result<Option<AllocationRecord>, StoreError>;

    /// Signals of a live attempt behind this one.
    ///
    /// # Errors
    /// What the database says.
    fn signals(
        &mut self,
        attempt: Attempt,
        after: EventId,
    ) -> Result<Vec<NumberedSignal>, StoreError>;

    /// The steps of these jobs, or of all, as far as they are seen, behind one of them, at most so
    /// many.
    ///
    /// # Errors
    /// What the database says.
    fn steps(
        &mut self,
        jobs: Option<&[JobId]>,
        scope: &Scope,
        page: (i64, i64),
    ) -> Result<AsOf<Vec<StepRecord>>, StoreError>;

    /// The ages of the `limit` oldest ended jobs behind this one, for who forgets what ended
    /// `before`.
    ///
    /// # Errors
    /// What the database says.
    fn ages(
        &mut self,
        behind: JobId,
        limit: i64,
        before: Time,
    ) -> Result<AsOf<Vec<Age>>, StoreError>;

    /// What an earlier submission with this key led to.
    ///
    /// # Errors
    /// What the database says.
    fn key(&mut self, key: &str) -> Result<AsOf<Option<KeyRecord>>, StoreError>;

    /// What the database says about "now", for the audit.
    ///
    /// # Errors
    /// What the database says.
    fn db_snapshot(&mut self) -> Result<AsOf<DbSnapshot>, StoreError>;

    /// The rows that begin in this time, seconds since 1970.
    ///
    /// # Errors
    /// What the database says.
    fn samples(&mut self, span: (i64, i64)) -> Result<Vec<Row>, StoreError>;

    /// The token of this number.
    ///
    /// # Errors
    /// What the database says.
    fn token(&mut self, id: &str) -> Result<Option<Token>, StoreError>;

    /// Tokens of one user, or of all, by their numbers; those behind a number, at most so many.
    ///
    /// # Errors
    /// What the database says.
    fn tokens(
        &mut self,
        of: Option<Uid>,
        page: (Option<&str>, i64),
    ) -> Result<Vec<Token>, StoreError>;

    /// How many tokens a user has.
    ///
    /// # Errors
    /// What the database says.
    fn token_count(&mut self, of: Uid) -> Result<i64, StoreError>;

    /// What each used from then until then; what holds CPUs still counts until then.
    ///
    /// # Errors
    /// What the database says.
    fn used(
        &mut self,
        span: (Time, Time),
        by: &By,
        scope: &Scope,
    ) -> Result<Result<BTreeMap<Key, Used>, TooMany>, StoreError>;

    /// What these attempts used while they ran, of each that was measured.
    ///
    /// # Errors
    /// What the database says.
    fn used_while_running(
        &mut self,
        attempts: &[Attempt],
    ) -> Result<BTreeMap<Attempt, UsageSeries>, StoreError>;

    /// All that boot needs, for a server with these rules.
    ///
    /// # Errors
    /// What the database says.
    fn loaded(&mut self, rules: Rules) -> Result<Loaded, StoreError>;

    /// Jobs that have not ended, of others than the server's own user.
    ///
    /// # Errors
    /// What the database says.
    fn jobs_of_others(&mut self, own: Uid) -> Result<i64, StoreError>;
}
