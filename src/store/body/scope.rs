//! *Purpose*: the jobs that somebody sees, in the database.
//!
//! *Owns*: [`seen`], and the rows behind it.
//!
//! *Promises*: what a [`Scope`] does not see is not among its rows.
//!
//! *Not here*: who sees what (`kernel::access`), pages of jobs (`store::body::find`).

use std::collections::BTreeSet;

use diesel::prelude::*;

use super::{Conn, Db};
use crate::job::ids::{JobId, Uid};
use crate::kernel::access::{Own, Scope};
use crate::store::error::StoreError;
use crate::store::schema::jobs;

/// Ids asked for at a time: far below the parameters that a statement may have.
const IDS_AT_A_TIME: usize = 500;

/// The jobs of somebody, and of accounts that he coordinates.
pub(super) fn of(own: &Own) -> jobs::BoxedQuery<'static, Db> {
    let accounts: Vec<String> = own.accounts.iter().map(ToString::to_string).collect();
    let coordinated = jobs::account.eq_any(accounts);
    let all = jobs::table.into_boxed();
    match own.owner {
        Some(Uid(uid)) => {
            let mine = jobs::uid.is_not_null().and(jobs::uid.assume_not_null().eq(i64::from(uid)));
            all.filter(mine.or(coordinated))
        }
        None => all.filter(jobs::uid.is_null().or(coordinated)),
    }
}

/// Those of these jobs that are seen.
///
/// # Errors
/// What the database says.
pub fn seen(
    conn: &mut Conn,
    all: BTreeSet<JobId>,
    scope: &Scope,
) -> Result<BTreeSet<JobId>, StoreError> {
    let Some(own) = scope.own() else { return Ok(all) };
    let all: Vec<i64> = all.into_iter().map(|job| job.0).collect();
    let mut found = BTreeSet::new();
    for some in all.chunks(IDS_AT_A_TIME) {
        let named = jobs::id.eq_any(some.to_vec());
        let ids: Vec<i64> = of(own).filter(named).select(jobs::id).load(conn)?;
        found.extend(ids.into_iter().map(JobId));
    }
    Ok(found)
}
