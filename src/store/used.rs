//! *Purpose*: who used how much in a time.
//!
//! *Owns*: [`used`], its sums.
//!
//! *Promises*: every attempt counts, as long as its CPUs were its own and within the time, whether
//! it was run again later or runs still. A job is counted where it ended.
//!
//! *Not here*: what usage is worth in the queue (`kernel::parts::accounts`), who may read it
//! (`api`).

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel::sqlite::Sqlite;

use super::cell::{Cell, RowRef};
use super::error::StoreError;
use super::rows::get;
use super::schema::{jobs, resource_allocations};
use super::scope;
use crate::job::request::GPU;
use crate::job::state::StateWord;
use crate::kernel::access::Scope;
use crate::resources::allocation::Share;
use crate::time::Time;

/// Jobs that one question adds up: a million take some two seconds, and a question has ten.
pub const JOBS_MAX: i64 = 1_000_000;

/// By what is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// By whose the jobs are.
    User,
    /// By whom they are charged to.
    Account,
}

/// What somebody used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Jobs that ended in the time.
    pub ended: u64,
    /// Those of them that completed.
    pub completed: u64,
    /// Those that somebody cancelled.
    pub cancelled: u64,
    /// Jobs that hold CPUs now.
    pub running: u64,
    /// CPUs times µs.
    pub cpu_us: i64,
    /// GPUs times µs.
    pub gpu_us: i64,
    /// Those of the ended that had started, and how long all of these had waited, µs.
    pub waited: (u64, i64),
}

/// More jobs than are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

#[derive(Queryable, Selectable)]
#[diesel(table_name = jobs)]
struct JobRow {
    id: i64,
    user: Cell,
    account: Cell,
    state: Cell,
    eligible_time: Cell,
    start_time: Cell,
    end_time: Cell,
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

/// What each used from then until then, by name; what holds CPUs still counts until then.
///
/// # Errors
/// What the database says.
pub fn used(
    conn: &mut SqliteConnection,
    (since, until): (Time, Time),
    by: By,
    scope: &Scope,
) -> Result<Result<BTreeMap<String, Used>, TooMany>, StoreError> {
    let (mut all, mut names) = (BTreeMap::<String, Used>::new(), HashMap::new());
    for of in [Which::Ended(since), Which::Open] {
        let rows: Vec<JobRow> =
            of.rows(scope).select(JobRow::as_select()).limit(JOBS_MAX + 1).load(conn)?;
        if rows.len() as i64 > JOBS_MAX {
            return Ok(Err(TooMany));
        }
        for row in rows {
            let at = RowRef::job(&row.id);
            let name: String = match by {
                By::User => get!(at, row.user),
                By::Account => get!(at, row.account),
            };
            let state: StateWord = get!(at, row.state);
            let (start, end): (Option<Time>, Option<Time>) =
                (get!(at, row.start_time), get!(at, row.end_time));
            let one = all.entry(name.clone()).or_default();
            let ended = end.filter(|end| state.is_final() && (since..until).contains(end));
            if ended.is_some() {
                let eligible: Time = get!(at, row.eligible_time);
                one.end(state, start.map(|start| start.since_us(eligible).max(0)));
            }
            one.running += u64::from(matches!(state, StateWord::Running | StateWord::Completing));
            names.insert(row.id, name);
        }
        let held: Vec<HeldRow> = resource_allocations::table
            .filter(resource_allocations::job_id.eq_any(of.rows(scope).select(jobs::id)))
            .select(HeldRow::as_select())
            .load(conn)?;
        for row in held {
            let Some(one) = names.get(&row.job_id).and_then(|name| all.get_mut(name)) else {
                continue;
            };
            let at = RowRef { table: "resource_allocations", what: "allocation", id: &row.id };
            let (from, to): (Time, Option<Time>) =
                (get!(at, row.allocation_time), get!(at, row.released_time));
            let held_us = to.unwrap_or(until).min(until).since_us(from.max(since)).max(0);
            let (cpus, rest): (u32, Vec<Share>) =
                (get!(at, row.allocated_cpus), get!(at, row.resources));
            let gpus = rest.iter().find(|share| &*share.resource == GPU);
            let gpus = gpus.map_or(0, |share| share.held.amount());
            one.cpu_us = one.cpu_us.saturating_add(held_us.saturating_mul(cpus.into()));
            let gpus = i64::try_from(gpus).unwrap_or(i64::MAX);
            one.gpu_us = one.gpu_us.saturating_add(held_us.saturating_mul(gpus));
        }
    }
    // Who only waits has used nothing.
    all.retain(|_, one| *one != Used::default());
    Ok(Ok(all))
}

impl Used {
    fn end(&mut self, state: StateWord, waited_us: Option<i64>) {
        self.ended += 1;
        self.completed += u64::from(state == StateWord::Completed);
        self.cancelled += u64::from(state == StateWord::Cancelled);
        if let Some(waited_us) = waited_us {
            let (jobs, sum) = self.waited;
            self.waited = (jobs + 1, sum.saturating_add(waited_us));
        }
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
    fn rows(self, scope: &Scope) -> jobs::BoxedQuery<'static, Sqlite> {
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
