//! *Purpose*: tokens of users, written.
//!
//! *Owns*: rows of `tokens`.
//!
//! *Promises*: one that is revoked opens nothing from its commit on.
//!
//! *Not here*: reading them (`store::body::tokens`).

use diesel::prelude::*;

use super::super::Conn;
use crate::kernel::token::Token;
use crate::store::error::StoreError;
use crate::store::schema::tokens;
use crate::time::Time;

pub(super) fn made(conn: &mut Conn, token: &Token) -> Result<(), StoreError> {
    let role: &str = token.role.into();
    let row = (
        tokens::id.eq(&token.id),
        tokens::uid.eq(i64::from(token.uid.0)),
        tokens::user.eq(&token.user),
        tokens::name.eq(&token.name),
        tokens::role.eq(role),
        tokens::hash.eq(&token.hash),
        tokens::created.eq(token.created.0),
        tokens::expires.eq(token.expires.0),
    );
    diesel::insert_into(tokens::table).values(row).execute(conn)?;
    Ok(())
}

pub(super) fn revoked(conn: &mut Conn, ids: &[String]) -> Result<(), StoreError> {
    diesel::delete(tokens::table.filter(tokens::id.eq_any(ids))).execute(conn)?;
    Ok(())
}

pub(super) fn forget(conn: &mut Conn, before: Time) -> Result<usize, StoreError> {
    Ok(diesel::delete(tokens::table.filter(tokens::expires.lt(before.0))).execute(conn)?)
}
