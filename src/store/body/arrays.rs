//! *Purpose*: the questions about job arrays.
//!
//! *Owns*: which job a task is, how an array stands, and what boot has to know of those that are
//! not over.
//!
//! *Promises*: nothing is asked about jobs that are no part of an array.
//!
//! *Not here*: what follows from it (`kernel::parts::arrays`).

use std::collections::{BTreeMap, BTreeSet};

use diesel::connection::DefaultLoadingMode;
use diesel::dsl::{exists, select};
use diesel::prelude::*;

use super::Conn;
use crate::job::array_spec::{ArraySpec, JobRef, TaskSet};
use crate::job::dependency::DependencyState;
use crate::job::ids::JobId;
use crate::job::state::StateWord;
use crate::kernel::parts::arrays::{ArrayProgress, OpenArray};
use crate::store::arrays::{Counts, Named, OpenPart, Tally};
use crate::store::cell::{Cell, RowRef};
use crate::store::error::StoreError;
use crate::store::schema::jobs;
use crate::time::Time;

/// Which job is meant.
///
/// # Errors
/// What the database says.
pub fn named(conn: &mut Conn, of: JobRef) -> Result<Named, StoreError> {
    let Some(task) = of.task else { return Ok(Named::Job(of.job)) };
    let job: Option<i64> = jobs::table
        .filter(jobs::array_job_id.eq(of.job.0))
        .filter(jobs::array_task_id.eq(i64::from(task)))
        .select(jobs::id)
        .get_result(conn)
        .optional()?;
    if let Some(job) = job {
        return Ok(Named::Job(JobId(job)));
    }
    let left: Option<Cell> =
        jobs::table.find(of.job.0).select(jobs::array_tasks).get_result(conn).optional()?;
    let left = match left {
        Some(left) => RowRef::job(&of.job).read::<Option<ArraySpec>>("array_tasks", left)?,
        None => None,
    };
    let is_left = left.is_some_and(|left| left.tasks.contains(task));
    Ok(if is_left { Named::Left } else { Named::Missing })
}

/// The array's own row.
struct Own {
    /// All tasks.
    all: TaskSet,
    /// The same, as it was submitted.
    spec: ArraySpec,
    /// Those that have no row of their own.
    left: TaskSet,
    /// The state of those.
    state: StateWord,
}

/// The array's own row; `None` when this job is none.
fn own(conn: &mut Conn, array: JobId) -> Result<Option<Own>, StoreError> {
    let columns = (jobs::array_spec, jobs::array_tasks, jobs::state);
    let row: Option<(Cell, Cell, Cell)> =
        jobs::table.find(array.0).select(columns).get_result(conn).optional()?;
    let Some((all, left, state)) = row else { return Ok(None) };
    let at = RowRef::job(&array);
    let Some(spec) = at.read::<Option<ArraySpec>>("array_spec", all)? else { return Ok(None) };
    let left: Option<ArraySpec> = at.read("array_tasks", left)?;
    let left = left.map(|left| left.tasks).unwrap_or_default();
    Ok(Some(Own { all: spec.tasks.clone(), spec, left, state: at.read("state", state)? }))
}

/// The tasks of an array that have rows of their own, in order: number, job and state.
fn tasks(
    conn: &mut Conn,
    array: JobId,
    mut take: impl FnMut(u32, JobId, StateWord),
) -> Result<(), StoreError> {
    let query = jobs::table
        .filter(jobs::array_job_id.eq(array.0))
        .filter(jobs::array_task_id.is_not_null())
        .order(jobs::array_task_id.asc())
        .select((jobs::array_task_id, jobs::id, jobs::state));
    for row in query.load_iter::<(Cell, i64, Cell), DefaultLoadingMode>(conn)? {
        let (task, id, state) = row?;
        let at = RowRef::job(&id);
        take(at.read("array_task_id", task)?, JobId(id), at.read("state", state)?);
    }
    Ok(())
}

/// How a job stands that is no array, from these columns of its row.
///
/// # Errors
/// When one of them cannot be read.
pub(super) fn stands(
    at: RowRef<'_>,
    state: Cell,
    start_time: Cell,
) -> Result<DependencyState, StoreError> {
    let state: StateWord = at.read("state", state)?;
    let started: Option<Time> = at.read("start_time", start_time)?;
    Ok(match (state.is_final(), started) {
        (true, _) => DependencyState::Ended { completed: state == StateWord::Completed },
        (false, Some(_)) => DependencyState::Started,
        (false, None) => DependencyState::Waiting,
    })
}

/// How an array stands; `None` when this job is none.
///
/// # Errors
/// What the database says.
pub fn tally(conn: &mut Conn, array: JobId) -> Result<Option<Tally>, StoreError> {
    let Some(own) = own(conn, array)? else { return Ok(None) };
    let mut tally = Tally { spec: own.spec, ..Tally::default() };
    tasks(conn, array, |task, id, state| {
        *tally.states.entry(state).or_default() += 1;
        if state.is_failure() && tally.worst.is_none() {
            tally.worst = Some((task, id));
        }
    })?;
    if let Some(first) = own.left.first() {
        *tally.states.entry(own.state).or_default() += own.left.len() as u64;
        if own.state.is_final() && tally.worst.is_none_or(|(task, _)| first < task) {
            tally.worst = Some((first, array));
        }
    }
    Ok(Some(tally))
}

/// How the tasks of those of these jobs stand that are arrays.
///
/// # Errors
/// What the database says.
pub fn counts(conn: &mut Conn, jobs: &[JobId]) -> Result<BTreeMap<JobId, Counts>, StoreError> {
    let mut all = BTreeMap::new();
    for job in jobs {
        if let Some(tally) = tally(conn, *job)? {
            all.insert(*job, tally.states);
        }
    }
    Ok(all)
}

/// Whether no task of this array waits or runs.
///
/// # Errors
/// What the database says.
pub fn is_over(conn: &mut Conn, array: JobId) -> Result<bool, StoreError> {
    let rest = jobs::table.find(array.0).select(jobs::end_time);
    // Without this row's end no other has to be looked at.
    if rest.get_result::<Option<i64>>(conn).optional()?.is_some_and(|end| end.is_none()) {
        return Ok(false);
    }
    let unended =
        jobs::table.filter(jobs::array_job_id.eq(array.0)).filter(jobs::end_time.is_null());
    Ok(!select(exists(unended)).get_result::<bool>(conn)?)
}

/// Whether every task of this array had ended before that time.
///
/// # Errors
/// What the database says.
pub fn was_over(conn: &mut Conn, array: JobId, before: Time) -> Result<bool, StoreError> {
    let later = jobs::end_time.is_null().or(jobs::end_time.ge(before.0));
    let younger =
        jobs::table.filter(jobs::array_job_id.eq(array.0)).filter(later.assume_not_null());
    Ok(!select(exists(younger)).get_result::<bool>(conn)?)
}

/// How an array as a whole stands; `None` when this job is none.
///
/// # Errors
/// What the database says.
pub fn standing(conn: &mut Conn, array: JobId) -> Result<Option<DependencyState>, StoreError> {
    if own(conn, array)?.is_none() {
        return Ok(None);
    }
    if is_over(conn, array)? {
        let bad = jobs::table
            .filter(jobs::array_job_id.eq(array.0))
            .filter(jobs::state.ne(StateWord::Completed.word()))
            .select((jobs::id, jobs::state));
        let bad: Option<(i64, Cell)> = bad.first(conn).optional()?;
        if let Some((id, state)) = &bad {
            RowRef::job(id).read::<StateWord>("state", state.clone())?;
        }
        return Ok(Some(DependencyState::Ended { completed: bad.is_none() }));
    }
    let unstarted = jobs::table
        .filter(jobs::array_job_id.eq(array.0))
        .filter(jobs::end_time.is_null().and(jobs::start_time.is_null()));
    let waits = select(exists(unstarted)).get_result::<bool>(conn)?;
    Ok(Some(if waits { DependencyState::Waiting } else { DependencyState::Started }))
}

/// How one task stands; `None` when there is none of this number.
///
/// # Errors
/// What the database says.
pub fn task_standing(
    conn: &mut Conn,
    array: JobId,
    task: u32,
) -> Result<Option<DependencyState>, StoreError> {
    let row: Option<(i64, Cell, Cell)> = jobs::table
        .filter(jobs::array_job_id.eq(array.0))
        .filter(jobs::array_task_id.eq(i64::from(task)))
        .select((jobs::id, jobs::state, jobs::start_time))
        .get_result(conn)
        .optional()?;
    if let Some((id, state, start)) = row {
        return stands(RowRef::job(&id), state, start).map(Some);
    }
    let Some(own) = own(conn, array)? else { return Ok(None) };
    if !own.all.contains(task) {
        return Ok(None);
    }
    // One that has no row and is not left was forgotten: nobody knows how it ended.
    let standing = match own.state {
        StateWord::Pending => DependencyState::Waiting,
        _ => DependencyState::Ended { completed: false },
    };
    Ok(own.left.contains(task).then_some(standing))
}

/// How far the tasks of an array are; `None` when this job is none.
///
/// # Errors
/// What the database says.
pub fn partner(conn: &mut Conn, array: JobId) -> Result<Option<ArrayProgress>, StoreError> {
    let Some(own) = own(conn, array)? else { return Ok(None) };
    let mut partner = ArrayProgress { all: own.all, ..ArrayProgress::default() };
    if own.state == StateWord::Pending {
        partner.open = own.left;
    }
    tasks(conn, array, |task, _, state| {
        match state {
            StateWord::Completed => partner.completed.insert(task),
            state if state.is_final() => false,
            _ => partner.open.insert(task),
        };
    })?;
    Ok(Some(partner))
}

/// The arrays that these are parts of.
///
/// # Errors
/// What the database says.
pub fn open(conn: &mut Conn, parts: &[OpenPart]) -> Result<Vec<(JobId, OpenArray)>, StoreError> {
    let ids: BTreeSet<JobId> = parts.iter().map(|part| part.array).collect();
    let mut arrays = BTreeMap::new();
    for id in ids {
        // Of one whose own row has been lost only the tasks are known.
        let spec = own(conn, id)?.map(|own| own.spec).unwrap_or_default();
        let mut array = OpenArray::new(spec);
        array.left = TaskSet::default();
        if let Some(partner) = partner(conn, id)? {
            array.completed = partner.completed;
        }
        arrays.insert(id, array);
    }
    for part in parts {
        let Some(mut array) = arrays.remove(&part.array) else { continue };
        match part.task {
            Some(task) => array = array.with((task, part.job), part.live, part.started),
            None => array.left = part.left.clone().unwrap_or_default().tasks,
        }
        arrays.insert(part.array, array);
    }
    Ok(arrays.into_iter().collect())
}
