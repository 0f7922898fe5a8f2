//! *Purpose*: tokens of users, read.
//!
//! *Owns*: [`by_id`], [`page`].
//!
//! *Promises*: what stands there is what was committed last: a token that was revoked is not found.
//!
//! *Not here*: whether a text opens one (`kernel::token`), writing (`store::body::write`).

use diesel::prelude::*;

use super::Conn;
use crate::job::ids::Uid;
use crate::kernel::token::Token;
use crate::store::cell::{Cell, RowRef};
use crate::store::error::StoreError;
use crate::store::rows::{get, records};
use crate::store::schema::tokens;

#[derive(Queryable, Selectable)]
#[diesel(table_name = tokens)]
struct TokenRow {
    id: String,
    uid: Cell,
    user: Cell,
    name: Cell,
    role: Cell,
    hash: Cell,
    created: Cell,
    expires: Cell,
}

impl TryFrom<TokenRow> for Token {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Token, StoreError> {
        let at = RowRef { table: "tokens", what: "token", id: &row.id };
        Ok(Token {
            uid: get!(at, row.uid),
            user: get!(at, row.user),
            name: get!(at, row.name),
            role: get!(at, row.role),
            hash: get!(at, row.hash),
            created: get!(at, row.created),
            expires: get!(at, row.expires),
            id: row.id,
        })
    }
}

/// The token of this number.
///
/// # Errors
/// What the database says.
pub fn by_id(conn: &mut Conn, id: &str) -> Result<Option<Token>, StoreError> {
    let row: Option<TokenRow> =
        tokens::table.find(id).select(TokenRow::as_select()).first(conn).optional()?;
    row.map(Token::try_from).transpose()
}

/// Tokens of one user, or of all, by their numbers; those behind a number.
///
/// # Errors
/// What the database says.
pub fn page(
    conn: &mut Conn,
    of: Option<Uid>,
    (behind, limit): (Option<&str>, i64),
) -> Result<Vec<Token>, StoreError> {
    let mut query = tokens::table.select(TokenRow::as_select()).into_boxed();
    if let Some(Uid(uid)) = of {
        query = query.filter(tokens::uid.eq(i64::from(uid)));
    }
    if let Some(behind) = behind {
        query = query.filter(tokens::id.gt(behind.to_owned()));
    }
    let rows: Vec<TokenRow> = query.order(tokens::id.asc()).limit(limit).load(conn)?;
    records(rows)
}

/// How many a user has.
///
/// # Errors
/// What the database says.
pub fn count(conn: &mut Conn, of: Uid) -> Result<i64, StoreError> {
    Ok(tokens::table.filter(tokens::uid.eq(i64::from(of.0))).count().get_result(conn)?)
}
