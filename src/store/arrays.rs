//! *Purpose*: the questions about job arrays.
//!
//! *Owns*: which job a task is, how an array stands, and what boot has to know of those that are
//! not over.
//!
//! *Promises*: nothing is asked about jobs that are no part of an array.
//!
//! *Not here*: what follows from it (`kernel::arrays`).

use std::collections::{BTreeMap, BTreeSet};

use diesel::SqliteConnection;
use diesel::connection::DefaultLoadingMode;
use diesel::dsl::{exists, select};
use diesel::prelude::*;

use super::error::StoreError;
use super::schema::jobs;
use crate::job::array_spec::{ArraySpec, JobRef, TaskSet};
use crate::job::dependency::DependencyState;
use crate::job::ids::JobId;
use crate::job::state::StateWord;
use crate::kernel::arrays::{ArrayProgress, OpenArray};
use crate::time::Time;

/// The job that a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// This job.
    Job(JobId),
    /// A task that is left: none of its own yet.
    Left,
    /// No such task, or no such job.
    Missing,
}

/// Which job is meant.
///
/// # Errors
/// What the database says.
pub fn named(conn: &mut SqliteConnection, of: JobRef) -> Result<Named, StoreError> {
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
    let left: Option<Option<String>> =
        jobs::table.find(of.job.0).select(jobs::array_tasks).get_result(conn).optional()?;
    let left = spec(left.flatten());
    Ok(if left.tasks.contains(task) { Named::Left } else { Named::Missing })
}

fn spec(text: Option<String>) -> ArraySpec {
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// How many tasks of an array are in which state, and the first that did not end well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// As it was submitted.
    pub spec: String,
    /// Tasks by state.
    pub states: BTreeMap<StateWord, u64>,
    /// The lowest task that ended otherwise than COMPLETED, and its job.
    pub worst: Option<(u32, JobId)>,
}

impl Tally {
    /// Whether none of them waits or runs.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.states.keys().all(|state| state.is_final())
    }
}

/// All tasks of an array, those that are left, and the state of its own row; `None` when this job
/// is none.
fn own(
    conn: &mut SqliteConnection,
    array: JobId,
) -> Result<Option<(String, Option<String>, String)>, StoreError> {
    let columns = (jobs::array_spec, jobs::array_tasks, jobs::state);
    let row: Option<(Option<String>, _, _)> =
        jobs::table.find(array.0).select(columns).get_result(conn).optional()?;
    Ok(row.and_then(|(all, left, state)| Some((all?, left, state))))
}

/// How an array stands; `None` when this job is none.
///
/// # Errors
/// What the database says.
pub fn tally(conn: &mut SqliteConnection, array: JobId) -> Result<Option<Tally>, StoreError> {
    let Some((text, left, state)) = own(conn, array)? else { return Ok(None) };
    let mut tally = Tally { spec: text, ..Tally::default() };
    let query = jobs::table
        .filter(jobs::array_job_id.eq(array.0))
        .filter(jobs::array_task_id.is_not_null())
        .order(jobs::array_task_id.asc())
        .select((jobs::array_task_id.assume_not_null(), jobs::id, jobs::state));
    for row in query.load_iter::<(i64, i64, String), DefaultLoadingMode>(conn)? {
        let (task, id, state) = row?;
        let state = state.parse().unwrap_or(StateWord::Failed);
        *tally.states.entry(state).or_default() += 1;
        if state.is_final() && state != StateWord::Completed && tally.worst.is_none() {
            tally.worst = Some((task as u32, JobId(id)));
        }
    }
    let left = left.map(|text| spec(Some(text)).tasks).unwrap_or_default();
    if let Some(first) = left.first() {
        let state = state.parse().unwrap_or(StateWord::Failed);
        *tally.states.entry(state).or_default() += left.len() as u64;
        if state.is_final() && tally.worst.is_none_or(|(task, _)| first < task) {
            tally.worst = Some((first, array));
        }
    }
    Ok(Some(tally))
}

/// Whether no task of this array waits or runs.
///
/// # Errors
/// What the database says.
pub fn is_over(conn: &mut SqliteConnection, array: JobId) -> Result<bool, StoreError> {
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
pub fn was_over(
    conn: &mut SqliteConnection,
    array: JobId,
    before: Time,
) -> Result<bool, StoreError> {
    let later = jobs::end_time.is_null().or(jobs::end_time.ge(before.0));
    let younger =
        jobs::table.filter(jobs::array_job_id.eq(array.0)).filter(later.assume_not_null());
    Ok(!select(exists(younger)).get_result::<bool>(conn)?)
}

/// How an array as a whole stands; `None` when this job is none.
///
/// # Errors
/// What the database says.
pub fn standing(
    conn: &mut SqliteConnection,
    array: JobId,
) -> Result<Option<DependencyState>, StoreError> {
    let is_array: Option<Option<String>> =
        jobs::table.find(array.0).select(jobs::array_spec).get_result(conn).optional()?;
    if is_array.flatten().is_none() {
        return Ok(None);
    }
    if is_over(conn, array)? {
        let bad = jobs::table
            .filter(jobs::array_job_id.eq(array.0))
            .filter(jobs::state.ne(StateWord::Completed.word()));
        let completed = !select(exists(bad)).get_result::<bool>(conn)?;
        return Ok(Some(DependencyState::Ended { completed }));
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
    conn: &mut SqliteConnection,
    array: JobId,
    task: u32,
) -> Result<Option<DependencyState>, StoreError> {
    let row: Option<(String, Option<i64>)> = jobs::table
        .filter(jobs::array_job_id.eq(array.0))
        .filter(jobs::array_task_id.eq(i64::from(task)))
        .select((jobs::state, jobs::start_time))
        .get_result(conn)
        .optional()?;
    if let Some((state, start)) = row {
        let state: StateWord = state.parse().unwrap_or(StateWord::Failed);
        return Ok(Some(match (state.is_final(), start) {
            (true, _) => DependencyState::Ended { completed: state == StateWord::Completed },
            (false, Some(_)) => DependencyState::Started,
            (false, None) => DependencyState::Waiting,
        }));
    }
    let Some((all, left, state)) = own(conn, array)? else { return Ok(None) };
    if !spec(Some(all)).tasks.contains(task) {
        return Ok(None);
    }
    let is_left = spec(left).tasks.contains(task);
    // One that has no row and is not left was forgotten: nobody knows how it ended.
    let waits = state == StateWord::Pending.word();
    let standing =
        if waits { DependencyState::Waiting } else { DependencyState::Ended { completed: false } };
    Ok(is_left.then_some(standing))
}

/// How far the tasks of an array are; `None` when this job is none.
///
/// # Errors
/// What the database says.
pub fn partner(
    conn: &mut SqliteConnection,
    array: JobId,
) -> Result<Option<ArrayProgress>, StoreError> {
    let Some((all, left, state)) = own(conn, array)? else { return Ok(None) };
    let mut partner = ArrayProgress { all: spec(Some(all)).tasks, ..ArrayProgress::default() };
    if state == StateWord::Pending.word() {
        partner.open = spec(left).tasks;
    }
    let rows = jobs::table
        .filter(jobs::array_job_id.eq(array.0))
        .filter(jobs::array_task_id.is_not_null())
        .order(jobs::array_task_id.asc())
        .select((jobs::array_task_id.assume_not_null(), jobs::state));
    for row in rows.load_iter::<(i64, String), DefaultLoadingMode>(conn)? {
        let (task, state) = row?;
        let state: StateWord = state.parse().unwrap_or(StateWord::Failed);
        match state {
            StateWord::Completed => partner.completed.insert(task as u32),
            state if state.is_final() => false,
            _ => partner.open.insert(task as u32),
        };
    }
    Ok(Some(partner))
}

/// A job of an array that has not ended, as boot reads it.
#[derive(Clone, Debug)]
pub struct OpenPart {
    /// The job.
    pub job: JobId,
    /// Its array.
    pub array: JobId,
    /// Which task; `None` for the row of those that are left.
    pub task: Option<u32>,
    /// What is left.
    pub left: Option<String>,
    /// Whether it holds CPUs.
    pub live: bool,
    /// Whether it was started.
    pub started: bool,
}

/// The arrays that these are parts of.
///
/// # Errors
/// What the database says.
pub fn open(
    conn: &mut SqliteConnection,
    parts: &[OpenPart],
) -> Result<Vec<(JobId, OpenArray)>, StoreError> {
    let ids: BTreeSet<JobId> = parts.iter().map(|part| part.array).collect();
    let mut arrays = BTreeMap::new();
    for id in ids {
        let text = jobs::table.find(id.0).select(jobs::array_spec).get_result(conn).optional()?;
        let mut array = OpenArray::new(spec(text.flatten()));
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
            None => array.left = spec(part.left.clone()).tasks,
        }
        arrays.insert(part.array, array);
    }
    Ok(arrays.into_iter().collect())
}
