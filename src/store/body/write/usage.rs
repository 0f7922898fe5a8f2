//! *Purpose*: what accounts have used.
//!
//! *Owns*: the writes to `account_usage`.
//!
//! *Promises*: of each account that a commit charges, the last word is kept; a commit that charges
//! none costs nothing.
//!
//! *Not here*: how usage decays (`kernel::parts::accounts`).

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::super::Conn;
use crate::kernel::change::Change;
use crate::store::schema::account_usage;

/// Keeps what the accounts of these changes have used.
///
/// # Errors
/// What the database says.
pub fn charged<'a>(conn: &mut Conn, changes: impl Iterator<Item = &'a Change>) -> QueryResult<()> {
    let mut last = BTreeMap::new();
    for change in changes {
        if let Change::Charged { account, cpu_us, at } = change {
            last.insert(account, (*cpu_us, at.0));
        }
    }
    for (account, (cpu_us, at)) in last {
        let used = (account_usage::cpu_us.eq(cpu_us), account_usage::as_of.eq(at));
        diesel::insert_into(account_usage::table)
            .values((account_usage::account.eq(&**account), used))
            .on_conflict(account_usage::account)
            .do_update()
            .set(used)
            .execute(conn)?;
    }
    Ok(())
}
