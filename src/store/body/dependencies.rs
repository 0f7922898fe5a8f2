//! *Purpose*: the states of jobs that other jobs depend on.
//!
//! *Owns*: the questions behind dependencies.
//!
//! *Promises*: a bounded number of rows is read for each question.
//!
//! *Not here*: what follows from it (`kernel::parts::conditions`).

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::Conn;
use super::arrays;
use super::scope;
use crate::job::dependency::{Dependency, DependencyKind, DependencyState, Told};
use crate::job::ids::JobId;
use crate::job::spec::SingletonKey;
use crate::job::state::StateWord;
use crate::kernel::access::Scope;
use crate::kernel::parts::conditions::Conditions;
use crate::kernel::parts::eligibility::remembered_answers;
use crate::store::cell::{Cell, RowRef};
use crate::store::dependencies::LookedUp;
use crate::store::error::StoreError;
use crate::store::schema::jobs;

/// Rows asked for at a time: far below the parameters that a statement may have.
const IDS_AT_A_TIME: usize = 500;
/// Most jobs of one name and user that a singleton waits for: as many as a queue is made for.
const KIN_MAX: i64 = 1_000_000;
/// States of a job that has not ended.
const OPEN: [StateWord; 3] = [StateWord::Pending, StateWord::Running, StateWord::Completing];

/// How these jobs stand; one that is missing is not in the database.
///
/// # Errors
/// What the database says.
pub fn standings(
    conn: &mut Conn,
    wanted: &BTreeSet<JobId>,
) -> Result<BTreeMap<JobId, DependencyState>, StoreError> {
    let wanted: Vec<i64> = wanted.iter().map(|job| job.0).collect();
    let mut found = BTreeMap::new();
    for some in wanted.chunks(IDS_AT_A_TIME) {
        let rows: Vec<(i64, Cell, Cell, Cell)> = jobs::table
            .filter(jobs::id.eq_any(some))
            .select((jobs::id, jobs::state, jobs::start_time, jobs::array_job_id))
            .load(conn)?;
        for (id, state, start_time, array) in rows {
            let at = RowRef::job(&id);
            let array: Option<JobId> = at.read("array_job_id", array)?;
            let standing = arrays::stands(at, state, start_time)?;
            let is_array = array == Some(JobId(id));
            let array = if is_array { arrays::standing(conn, JobId(id))? } else { None };
            found.insert(JobId(id), array.unwrap_or(standing));
        }
    }
    Ok(found)
}

/// Looks up all that these dependencies name; what is not seen is not there.
///
/// # Errors
/// What the database says.
pub fn look_up(
    conn: &mut Conn,
    named: &[Dependency],
    scope: &Scope,
) -> Result<LookedUp, StoreError> {
    let mut found = LookedUp::default();
    let elsewhere = &mut found.elsewhere;
    let ids: BTreeSet<JobId> = named.iter().map(|one| one.job).collect();
    let seen = scope::seen(conn, ids, scope)?;
    let jobs = standings(conn, &seen)?;
    for one in named {
        let Some(standing) = jobs.get(&one.job) else {
            let message = format!("there is no job {} to wait for", one.job);
            found.missing.insert(*one, message);
            continue;
        };
        if one.relation == DependencyKind::AfterCorr {
            let Some(partner) = arrays::partner(conn, one.job)? else {
                let message = format!("aftercorr: job {} is no array", one.job);
                found.missing.insert(*one, message);
                continue;
            };
            if partner.open.is_empty() {
                elsewhere.partners.insert(one.job, partner);
            }
        } else if let Some(task) = one.task {
            let Some(standing) = arrays::task_standing(conn, one.job, task)? else {
                let message = format!("there is no task {}_{task} to wait for", one.job);
                found.missing.insert(*one, message);
                continue;
            };
            if let DependencyState::Ended { completed } = standing {
                elsewhere.tasks.insert((one.job, task), completed);
            }
        } else if let DependencyState::Ended { completed } = *standing {
            elsewhere.ended.insert(one.job, completed);
        }
    }
    Ok(found)
}

/// The jobs of this name and user that have not ended.
///
/// # Errors
/// What the database says.
pub fn of_key(conn: &mut Conn, (name, user): &SingletonKey) -> Result<Vec<JobId>, StoreError> {
    let ids: Vec<i64> = jobs::table
        .filter(jobs::state.eq_any(OPEN.map(StateWord::word)))
        .filter(jobs::name.eq(name).and(jobs::user.eq(user)))
        .select(jobs::id)
        .limit(KIN_MAX)
        .load(conn)?;
    Ok(ids.into_iter().map(JobId).collect())
}

/// At boot: the families of these singletons, with their members.
///
/// # Errors
/// What the database says.
pub fn families(
    conn: &mut Conn,
    singletons: &[i64],
) -> Result<Vec<(SingletonKey, Vec<JobId>)>, StoreError> {
    let mut families = BTreeSet::new();
    for some in singletons.chunks(IDS_AT_A_TIME) {
        let of = jobs::table.filter(jobs::id.eq_any(some)).select((jobs::name, jobs::user));
        families.extend(of.load::<SingletonKey>(conn)?);
    }
    let with_members =
        |family: SingletonKey| of_key(conn, &family).map(|members| (family, members));
    families.into_iter().map(with_members).collect()
}

/// A task that its array never had can only be one that another array's task was to follow: it
/// never completes. `None`: it was forgotten.
fn task_at_boot(
    conn: &mut Conn,
    array: JobId,
    task: u32,
) -> Result<Option<DependencyState>, StoreError> {
    let there = arrays::standing(conn, array)?.is_some();
    let standing = arrays::task_standing(conn, array, task)?;
    Ok(standing.or(there.then_some(DependencyState::Ended { completed: false })))
}

/// At boot: what is known of everything that this job names, of which it was told so much.
///
/// # Errors
/// What the database says.
pub fn remember(
    conn: &mut Conn,
    conditions: &mut Conditions,
    told: &Told,
) -> Result<(), StoreError> {
    let wanted = conditions.dependencies.list.iter().map(|one| one.job).collect();
    let found = standings(conn, &wanted)?;
    let mut tasks = BTreeMap::new();
    for one in &conditions.dependencies.list {
        if let Some(task) = one.task {
            tasks.insert((one.job, task), task_at_boot(conn, one.job, task)?);
        }
    }
    let mut standing = |one: &Dependency| match one.task {
        Some(task) => tasks.get(&(one.job, task)).copied().flatten(),
        None => found.get(&one.job).copied(),
    };
    conditions.answers = remembered_answers(&conditions.dependencies, told, &mut standing);
    Ok(())
}
