//! *Purpose*: inserts and updates that stay prepared.
//!
//! *Owns*: [`Insert`] and [`Update`], whose text does not depend on their values.
//!
//! *Promises*: each is parsed once for each connection.
//!
//! *Not here*: which rows become what (`store::write`).
//!
//! Diesel prepares every UPDATE of its own anew, since in general its text depends on its values
//! (an absent field of a changeset is left out). Parsing and planning one costs several times
//! what running it does, and a job's life has six of them. Ours set the same columns each time,
//! so their text is a key under which diesel's cache finds them. Inserts diesel does keep, but it
//! makes their text anew to find them, 31 columns of a job: here the type of the row is the key.

use std::marker::PhantomData;

use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::Bool;
use diesel::sqlite::Sqlite;

/// `INSERT INTO table (…) VALUES (…)`, all columns of a row.
pub struct Insert<F, V, R> {
    table: F,
    values: V,
    row: PhantomData<R>,
}

/// Inserts a row of a type that says `treat_none_as_default_value = false`: a column that is left
/// out would change the text.
pub fn insert<T, R>(table: T, row: R) -> Insert<T::FromClause, R::Values, R>
where
    T: QuerySource,
    R: Insertable<T>,
{
    Insert { table: table.from_clause(), values: row.values(), row: PhantomData }
}

impl<F, V, R: 'static> QueryId for Insert<F, V, R> {
    type QueryId = Insert<(), (), R>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<F, V, R> QueryFragment<Sqlite> for Insert<F, V, R>
where
    F: QueryFragment<Sqlite>,
    V: QueryFragment<Sqlite>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("INSERT INTO ");
        self.table.walk_ast(out.reborrow())?;
        out.push_sql(" ");
        self.values.walk_ast(out)
    }
}

impl<F, V, R> RunQueryDsl<SqliteConnection> for Insert<F, V, R> {}

/// `UPDATE table SET set WHERE rows`.
pub struct Update<F, S, W> {
    table: F,
    set: S,
    rows: W,
}

/// Sets columns of the rows of a table for which `rows` holds.
pub fn update<T, V, W>(table: T, rows: W, set: V) -> Update<T::FromClause, V::Changeset, W>
where
    T: QuerySource,
    V: AsChangeset<Target = T>,
    W: AppearsOnTable<T> + Expression<SqlType = Bool>,
{
    Update { table: table.from_clause(), set: set.as_changeset(), rows }
}

impl<F, S, W> QueryId for Update<F, S, W> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<F, S, W> QueryFragment<Sqlite> for Update<F, S, W>
where
    F: QueryFragment<Sqlite>,
    S: QueryFragment<Sqlite>,
    W: QueryFragment<Sqlite>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("UPDATE ");
        self.table.walk_ast(out.reborrow())?;
        out.push_sql(" SET ");
        self.set.walk_ast(out.reborrow())?;
        out.push_sql(" WHERE ");
        self.rows.walk_ast(out)
    }
}

impl<F, S, W> RunQueryDsl<SqliteConnection> for Update<F, S, W> {}
