//! *Purpose*: who used how much in a time.
//!
//! *Owns*: [`used`], its sums.
//!
//! *Promises*: every attempt counts, as long as its CPUs were its own and within the time, whether
//! it was run again later or runs still. A job is counted where it ended, a run that lasts from one
//! day to the next on both.
//!
//! *Not here*: what usage is worth in the queue (`kernel::parts::accounts`), who may read it
//! (`api`).

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;

use super::scope;
use super::{Conn, Db};
use crate::job::request::GPU;
use crate::job::state::StateWord;
use crate::kernel::access::Scope;
use crate::resources::allocation::Share;
use crate::store::cell::{Cell, RowRef};
use crate::store::error::StoreError;
use crate::store::rows::get;
use crate::store::schema::{jobs, resource_allocations};
use crate::store::used::{By, JOBS_MAX, Key, TooMany, Used};
use crate::time::Time;

#[derive(Queryable, Selectable)]
#[diesel(table_name = jobs)]
struct JobRow {
    id: i64,
    name: Cell,
    user: Cell,
    account: Cell,
    state: Cell,
    cpus: Cell,
    memory_bytes: Cell,
    eligible_time: Cell,
    start_time: Cell,
    end_time: Cell,
    user_cpu_us: Cell,
    system_cpu_us: Cell,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = resource_allocations)]
struct HeldRow {
    id: i64,
    job_id: i64,
    allocated_cpus: Cell,
    allocation_time: Cell,
    released_time: Cell,
    resources: Cell,
}

/// What each used from then until then; what holds CPUs still counts until then.
///
/// # Errors
/// What the database says.
pub fn used(
    conn: &mut Conn,
    (since, until): (Time, Time),
    by: &By,
    scope: &Scope,
) -> Result<Result<BTreeMap<Key, Used>, TooMany>, StoreError> {
    let (all, jobs) = (BTreeMap::new(), HashMap::new());
    let mut sums = Sums { since, until, by, all, jobs };
    for of in [Which::Ended(since), Which::Open] {
        let rows: Vec<JobRow> =
            of.rows(scope).select(JobRow::as_select()).limit(JOBS_MAX + 1).load(conn)?;
        if rows.len() as i64 > JOBS_MAX {
            return Ok(Err(TooMany));
        }
        rows.into_iter().try_for_each(|row| sums.add_job(row))?;
        let held: Vec<HeldRow> = resource_allocations::table
            .filter(resource_allocations::job_id.eq_any(of.rows(scope).select(jobs::id)))
            .select(HeldRow::as_select())
            .load(conn)?;
        held.into_iter().try_for_each(|row| sums.add_held(row))?;
    }
    // Who only waits has used nothing.
    sums.all.retain(|_, one| *one != Used::default());
    Ok(Ok(sums.all))
}

/// What was added up so far.
struct Sums<'a> {
    since: Time,
    until: Time,
    by: &'a By,
    all: BTreeMap<Key, Used>,
    /// Whose each job is, where that is asked for, and its bytes of memory.
    jobs: HashMap<i64, (Option<Key>, u64)>,
}

impl Sums<'_> {
    fn add_job(&mut self, row: JobRow) -> Result<(), StoreError> {
        let at = RowRef::job(&row.id);
        let name: Option<String> = match self.by {
            By::User => Some(get!(at, row.user)),
            By::Account => Some(get!(at, row.account)),
            By::Name => Some(get!(at, row.name)),
            By::Day(_) => None,
        };
        let state: StateWord = get!(at, row.state);
        let (start, end): (Option<Time>, Option<Time>) =
            (get!(at, row.start_time), get!(at, row.end_time));
        let key = name.map(Key::Name);
        let memory: Option<u64> = get!(at, row.memory_bytes);
        let of = |at: Time| key.clone().unwrap_or_else(|| Key::Day(self.day_of(at)));
        let ended = end.filter(|end| state.is_final() && (self.since..self.until).contains(end));
        let (now, ended) = (of(self.until), ended.map(|end| (end, of(end))));
        if let Some((end, of)) = ended {
            let eligible: Time = get!(at, row.eligible_time);
            let (user, system): (Option<i64>, Option<i64>) =
                (get!(at, row.user_cpu_us), get!(at, row.system_cpu_us));
            let cpus: u32 = get!(at, row.cpus);
            let busy_us = user.zip(system).zip(start).map(|((user, system), start)| {
                let had = end.since_us(start).max(0).saturating_mul(cpus.into());
                (user.saturating_add(system), had)
            });
            let one = self.all.entry(of).or_default();
            one.end(state, start.map(|start| start.since_us(eligible).max(0)));
            let (busy, had) = busy_us.unwrap_or_default();
            let (sum, of) = one.busy_us;
            one.busy_us = (sum.saturating_add(busy), of.saturating_add(had));
        }
        if matches!(state, StateWord::Running | StateWord::Completing) {
            self.all.entry(now).or_default().running += 1;
        }
        self.jobs.insert(row.id, (key, memory.unwrap_or(0)));
        Ok(())
    }

    fn add_held(&mut self, row: HeldRow) -> Result<(), StoreError> {
        let Some((key, memory)) = self.jobs.get(&row.job_id).cloned() else { return Ok(()) };
        let at = RowRef { table: "resource_allocations", what: "allocation", id: &row.id };
        let (from, to): (Time, Option<Time>) =
            (get!(at, row.allocation_time), get!(at, row.released_time));
        let (from, to) = (from.max(self.since), to.unwrap_or(self.until).min(self.until));
        let (cpus, rest): (u32, Vec<Share>) =
            (get!(at, row.allocated_cpus), get!(at, row.resources));
        let gpus = rest.iter().find(|share| &*share.resource == GPU);
        let gpus = gpus.map_or(0, |share| share.held.amount());
        let gpus = i64::try_from(gpus).unwrap_or(i64::MAX);
        for (key, us) in self.parts(key, (from, to)) {
            let one = self.all.entry(key).or_default();
            one.cpu_us = one.cpu_us.saturating_add(us.saturating_mul(cpus.into()));
            one.gpu_us = one.gpu_us.saturating_add(us.saturating_mul(gpus));
            let bytes = i128::from(us).saturating_mul(memory.into());
            one.memory_byte_us = one.memory_byte_us.saturating_add(bytes);
        }
        Ok(())
    }

    /// The day of a moment within the time.
    fn day_of(&self, at: Time) -> Time {
        let By::Day(days) = self.by else { return self.since };
        let later = days.partition_point(|day| *day <= at);
        let day = later.checked_sub(1).and_then(|last| days.get(last)).copied();
        day.map_or(self.since, |day| day.max(self.since))
    }

    /// How long something was held within the time, µs, by what it counts for.
    fn parts(&self, key: Option<Key>, (from, to): (Time, Time)) -> Vec<(Key, i64)> {
        if to <= from {
            return Vec::new();
        }
        let By::Day(days) = self.by else {
            return key.map(|key| (key, to.since_us(from))).into_iter().collect();
        };
        let within = days.iter().filter(|day| (from..to).contains(*day) && **day > from);
        let starts = [from].into_iter().chain(within.copied());
        let ends = starts.clone().skip(1).chain([to]);
        let part = |(from, to): (Time, Time)| (Key::Day(self.day_of(from)), to.since_us(from));
        starts.zip(ends).map(part).collect()
    }
}

/// The jobs that can have held something in the time.
#[derive(Clone, Copy)]
enum Which {
    /// Those that ended since.
    Ended(Time),
    /// Those that hold something now, or have.
    Open,
}

impl Which {
    fn rows(self, scope: &Scope) -> jobs::BoxedQuery<'static, Db> {
        let seen = match scope.own() {
            Some(own) => scope::of(own),
            None => jobs::table.into_boxed(),
        };
        match self {
            Which::Ended(since) => {
                seen.filter(jobs::end_time.is_not_null().and(jobs::end_time.ge(since.0)))
            }
            Which::Open => {
                let open = [StateWord::Running, StateWord::Completing, StateWord::Pending];
                seen.filter(jobs::state.eq_any(open.map(StateWord::word)))
                    .filter(jobs::attempt.gt(0))
            }
        }
    }
}
