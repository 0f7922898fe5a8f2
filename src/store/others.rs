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
use crate::kernel::kin::Family;

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

/// The jobs of this name and user that have not ended.
///
/// # Errors
/// What the database says.
pub fn kin(conn: &mut SqliteConnection, (name, user): &Family) -> Result<Vec<JobId>, StoreError> {
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
    conn: &mut SqliteConnection,
    singletons: &[i64],
) -> Result<Vec<(Family, Vec<JobId>)>, StoreError> {
    let mut families = BTreeSet::new();
    for some in singletons.chunks(IDS_AT_A_TIME) {
        let of = jobs::table.filter(jobs::id.eq_any(some)).select((jobs::name, jobs::user));
        families.extend(of.load::<Family>(conn)?);
    }
    let with_members = |family: Family| kin(conn, &family).map(|members| (family, members));
    families.into_iter().map(with_members).collect()
}

/// At boot: what is known of the jobs that this one names.
///
/// # Errors
/// What the database says.
pub fn remember(
    conn: &mut SqliteConnection,
    conditions: &mut Conditions,
) -> Result<(), StoreError> {
    let wanted = conditions.dependencies.list.iter().map(|one| one.job).collect();
    let found = standings(conn, &wanted)?;
    conditions.answers = remembered_answers(conditions, |other| found.get(&other).copied());
    Ok(())
}
