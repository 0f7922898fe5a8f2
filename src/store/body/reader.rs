//! *Purpose*: answers what can be asked.
//!
//! *Owns*: which query each question of a [`Reader`] is.
//!
//! *Promises*: nothing but the call.
//!
//! *Not here*: the queries, which stand beside this file.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Conn, arrays, dependencies, ended, events, history, load, read, samples, scope, signals, steps,
    tokens, used, used_while_running,
};
use crate::job::array_spec::JobRef;
use crate::job::dependency::Dependency;
use crate::job::ids::{Attempt, EventId, JobId, Uid};
use crate::job::signal::NumberedSignal;
use crate::job::spec::SingletonKey;
use crate::job::usage_series::UsageSeries;
use crate::kernel::access::Scope;
use crate::kernel::parts::rules::Rules;
use crate::kernel::token::Token;
use crate::store::arrays::{Counts, Named, Tally};
use crate::store::dependencies::LookedUp;
use crate::store::ended::Ended;
use crate::store::error::StoreError;
use crate::store::events::{EventFilter, EventPage};
use crate::store::filter::JobFilter;
use crate::store::history::{AskedFilter, AskedRecord};
use crate::store::load::Loaded;
use crate::store::read::{Age, AsOf, DbSnapshot, JobAndAllocation, JobPage, LaunchRecords};
use crate::store::reader::Reader;
use crate::store::record::{AllocationRecord, EventRecord, KeyRecord, ScriptRecord};
use crate::store::samples::Row;
use crate::store::steps::StepRecord;
use crate::store::used::{By, Key, TooMany, Used};
use crate::time::Time;

impl Reader for Conn {
    fn named(&mut self, of: JobRef) -> Result<Named, StoreError> {
        arrays::named(self, of)
    }

    fn tally(&mut self, array: JobId) -> Result<Option<Tally>, StoreError> {
        arrays::tally(self, array)
    }

    fn array_counts(&mut self, jobs: &[JobId]) -> Result<BTreeMap<JobId, Counts>, StoreError> {
        arrays::counts(self, jobs)
    }

    fn is_array_over(&mut self, array: JobId) -> Result<bool, StoreError> {
        arrays::is_over(self, array)
    }

    fn look_up(&mut self, named: &[Dependency], scope: &Scope) -> Result<LookedUp, StoreError> {
        dependencies::look_up(self, named, scope)
    }

    fn family(&mut self, key: &SingletonKey) -> Result<Vec<JobId>, StoreError> {
        dependencies::of_key(self, key)
    }

    fn events(
        &mut self,
        after: EventId,
        looks: i64,
        filter: &EventFilter,
        scope: &Scope,
    ) -> Result<EventPage, StoreError> {
        events::page(self, after, looks, filter, scope)
    }

    fn events_of(
        &mut self,
        job: JobId,
        after: EventId,
        limit: i64,
    ) -> Result<AsOf<Vec<EventRecord>>, StoreError> {
        read::events_of(self, job, after, limit)
    }

    fn ended_since(&mut self, since: Time) -> Result<Ended, StoreError> {
        ended::since(self, since)
    }

    fn asked(&mut self, filter: &AskedFilter) -> Result<Vec<AskedRecord>, StoreError> {
        history::page(self, filter)
    }

    fn job(&mut self, id: JobId) -> Result<AsOf<Option<JobAndAllocation>>, StoreError> {
        read::job(self, id)
    }

    fn jobs(&mut self, filter: &JobFilter, scope: &Scope) -> Result<AsOf<JobPage>, StoreError> {
        read::jobs_page(self, filter, scope)
    }

    fn job_ids(&mut self, filter: &JobFilter, scope: &Scope) -> Result<Vec<JobId>, StoreError> {
        read::job_ids(self, filter, scope)
    }

    fn seen(
        &mut self,
        jobs: BTreeSet<JobId>,
        scope: &Scope,
    ) -> Result<BTreeSet<JobId>, StoreError> {
        scope::seen(self, jobs, scope)
    }

    fn script(&mut self, job: JobId) -> Result<Option<ScriptRecord>, StoreError> {
        read::script(self, job)
    }

    fn launch(&mut self, job: JobId) -> Result<LaunchRecords, StoreError> {
        read::launch(self, job)
    }

    fn allocations(
        &mut self,
        of: (Option<JobId>, Option<bool>),
        before: Option<i64>,
        limit: i64,
        scope: &Scope,
    ) -> Result<AsOf<Vec<AllocationRecord>>, StoreError> {
        read::allocations(self, of, before, limit, scope)
    }

    fn allocation_of(&mut self, attempt: Attempt) -> Result<Option<AllocationRecord>, StoreError> {
        read::allocation_of(self, attempt)
    }

    fn signals(
        &mut self,
        attempt: Attempt,
        after: EventId,
    ) -> Result<Vec<NumberedSignal>, StoreError> {
        signals::signals(self, attempt, after)
    }

    fn steps(
        &mut self,
        jobs: Option<&[JobId]>,
        scope: &Scope,
        page: (i64, i64),
    ) -> Result<AsOf<Vec<StepRecord>>, StoreError> {
        steps::page(self, jobs, scope, page)
    }

    fn ages(
        &mut self,
        behind: JobId,
        limit: i64,
        before: Time,
    ) -> Result<AsOf<Vec<Age>>, StoreError> {
        read::ages(self, behind, limit, before)
    }

    fn key(&mut self, key: &str) -> Result<AsOf<Option<KeyRecord>>, StoreError> {
        read::key(self, key)
    }

    fn db_snapshot(&mut self) -> Result<AsOf<DbSnapshot>, StoreError> {
        read::db_snapshot(self)
    }

    fn samples(&mut self, span: (i64, i64)) -> Result<Vec<Row>, StoreError> {
        samples::between(self, span)
    }

    fn token(&mut self, id: &str) -> Result<Option<Token>, StoreError> {
        tokens::by_id(self, id)
    }

    fn tokens(
        &mut self,
        of: Option<Uid>,
        page: (Option<&str>, i64),
    ) -> Result<Vec<Token>, StoreError> {
        tokens::page(self, of, page)
    }

    fn token_count(&mut self, of: Uid) -> Result<i64, StoreError> {
        tokens::count(self, of)
    }

    fn used(
        &mut self,
        span: (Time, Time),
        by: &By,
        scope: &Scope,
    ) -> Result<Result<BTreeMap<Key, Used>, TooMany>, StoreError> {
        used::used(self, span, by, scope)
    }

    fn used_while_running(
        &mut self,
        attempts: &[Attempt],
    ) -> Result<BTreeMap<Attempt, UsageSeries>, StoreError> {
        used_while_running::of_several(self, attempts)
    }

    fn loaded(&mut self, rules: Rules) -> Result<Loaded, StoreError> {
        load::load(self, rules)
    }

    fn jobs_of_others(&mut self, own: Uid) -> Result<i64, StoreError> {
        load::jobs_of_others(self, own)
    }
}
