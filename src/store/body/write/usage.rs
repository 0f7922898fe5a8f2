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
use crate::store::schema::account_usage;

/// Keeps what the accounts of these changes have used.
///
/// # Errors
/// What the database says.
pub fn charged(conn: &mut Conn, charged: &BTreeMap<&str, (i64, i64)>) -> QueryResult<()> {
    for (account, (cpu_us, at)) in charged {
        let used = (account_usage::cpu_us.eq(cpu_us), account_usage::as_of.eq(at));
        diesel::insert_into(account_usage::table)
            .values((account_usage::account.eq(account), used))
            .on_conflict(account_usage::account)
            .do_update()
            .set(used)
            .execute(conn)?;
    }
    Ok(())
}
