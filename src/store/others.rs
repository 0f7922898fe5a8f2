//! *Purpose*: how the jobs stand that others wait for.
//!
//! *Owns*: the questions behind dependencies.
//!
//! *Promises*: a bounded number of rows is read for each question.
//!
//! *Not here*: what follows from it (`kernel::conditions`).

use std::collections::{BTreeMap, BTreeSet};

use diesel::SqliteConnection;
use diesel::prelude::*;

use super::error::StoreError;
use super::schema::jobs;
use crate::kernel::conditions::{Conditions, Standing};
use crate::kernel::eligible::remembered_answers;
use crate::kernel::ids::JobId;
use crate::kernel::job::StateWord;

/// Rows asked for at a time: far below the parameters that a statement may have.
const IDS_AT_A_TIME: usize = 500;
/// Most earlier jobs of one name and user that a singleton waits for.
const KIN_MAX: i64 = 10_000;
/// States of a job that has not ended.
const OPEN: [StateWord; 3] = [StateWord::Pending, StateWord::Running, StateWord::Completing];

/// How these jobs stand; one that is missing is not in the database.
///
/// # Errors
/// What the database says.
pub fn standings(
    conn: &mut SqliteConnection,
    wanted: &BTreeSet<JobId>,
) -> Result<BTreeMap<JobId, Standing>, StoreError> {
    let wanted: Vec<i64> = wanted.iter().map(|job| job.0).collect();
    let mut found = BTreeMap::new();
    for some in wanted.chunks(IDS_AT_A_TIME) {
        let rows: Vec<(i64, String, Option<i64>)> = jobs::table
            .filter(jobs::id.eq_any(some))
            .select((jobs::id, jobs::state, jobs::start_time))
            .load(conn)?;
        for (id, state, start_time) in rows {
            let word: StateWord = state.parse().unwrap_or(StateWord::Failed);
            let standing = match (word.is_final(), start_time) {
                (true, _) => Standing::Ended { completed: word == StateWord::Completed },
                (false, Some(_)) => Standing::Started,
                (false, None) => Standing::Waiting,
            };
            found.insert(JobId(id), standing);
        }
    }
    Ok(found)
}

/// The jobs of this name and user that have not ended, those before `before` only.
///
/// # Errors
/// What the database says.
pub fn kin(
    conn: &mut SqliteConnection,
    (name, user): (&str, &str),
    before: JobId,
) -> Result<Vec<JobId>, StoreError> {
    let ids: Vec<i64> = jobs::table
        .filter(jobs::state.eq_any(OPEN.map(StateWord::word)))
        .filter(jobs::name.eq(name).and(jobs::user.eq(user)).and(jobs::id.lt(before.0)))
        .select(jobs::id)
        .limit(KIN_MAX)
        .load(conn)?;
    Ok(ids.into_iter().map(JobId).collect())
}

/// At boot: what is known of everything that this job waits for.
///
/// # Errors
/// What the database says.
pub fn remember(
    conn: &mut SqliteConnection,
    job: JobId,
    conditions: &mut Conditions,
) -> Result<(), StoreError> {
    let wanted = conditions.dependencies.list.iter().map(|one| one.job).collect();
    let found = standings(conn, &wanted)?;
    conditions.answers = remembered_answers(conditions, |other| found.get(&other).copied());
    if conditions.dependencies.singleton {
        let (name, user): (String, String) =
            jobs::table.find(job.0).select((jobs::name, jobs::user)).first(conn)?;
        conditions.kin = kin(conn, (&name, &user), job)?;
    }
    Ok(())
}
