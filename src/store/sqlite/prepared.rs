//! *Purpose*: inserts and updates that stay prepared.
//!
//! *Owns*: [`insert`], [`update_all`] and [`Update`], whose text does not depend on their values.
//!
//! *Promises*: each is parsed once for each connection.
//!
//! *Not here*: which columns a row fills (`store::columns`), which rows become what
//! (`store::body::write`).
//!
//! Diesel prepares every UPDATE of its own anew, since in general its text depends on its values
//! (an absent field of a changeset is left out), and every INSERT of several rows, since their
//! number is part of it. Parsing and planning one costs several times what running it does, and a
//! job's life has six updates. Ours set the same columns each time, so their text is a key under
//! which diesel's cache finds them; of an insert table and number are the key.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::Bool;

use super::bind::{Change, New};
use super::words::INSERT;
use super::{Conn, Db};
use crate::store::schema::held_units;

/// Rows of one statement, as long as there are so many: it begins, finds its place in each tree
/// and ends once for all of them. Of what that costs a single row little is left; with more, the
/// statement only grows.
const MANY: usize = 16;

/// Inserts rows: together as long as there are enough, then one by one.
///
/// # Errors
/// What the database says.
pub fn insert<R: New>(conn: &mut Conn, rows: &[R]) -> QueryResult<()> {
    let (many, rest) = rows.as_chunks::<MANY>();
    for rows in many {
        Insert(rows).execute(conn)?;
    }
    for row in rest {
        Insert(std::array::from_ref(row)).execute(conn)?;
    }
    Ok(())
}

/// Updates rows, no row twice. Answers which is the first that is not one row as its guard says.
///
/// # Errors
/// What the database says.
pub fn update_all<R: Change>(conn: &mut Conn, rows: &[R]) -> QueryResult<Option<usize>> {
    let mut unlike = None;
    for (n, row) in rows.iter().enumerate() {
        if UpdateRow(row).execute(conn)? != 1 {
            unlike = unlike.or(Some(n));
        }
    }
    Ok(unlike)
}

/// These jobs hold nothing any more; how many units each did.
///
/// # Errors
/// What the database says.
pub fn free(conn: &mut Conn, jobs: impl IntoIterator<Item = i64>) -> QueryResult<Vec<usize>> {
    let held = |job: i64| held_units::table.filter(held_units::job_id.eq(job));
    jobs.into_iter().map(|job| diesel::delete(held(job)).execute(conn)).collect()
}

/// `INSERT INTO table (…) VALUES (…), …`
struct Insert<'r, R, const N: usize>(&'r [R; N]);

impl<R: New, const N: usize> QueryId for Insert<'_, R, N> {
    type QueryId = (R::Table, [(); N]);
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<R: New, const N: usize> QueryFragment<Db> for Insert<'_, R, N> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        out.push_sql(INSERT);
        out.push_identifier(R::TABLE)?;
        let mut comma = " (";
        for column in R::COLUMNS {
            out.push_sql(std::mem::replace(&mut comma, ", "));
            out.push_identifier(column)?;
        }
        comma = ") VALUES (";
        for row in self.0 {
            out.push_sql(std::mem::replace(&mut comma, "), ("));
            row.bind(out.reborrow())?;
        }
        out.push_sql(")");
        Ok(())
    }
}

impl<R, const N: usize> RunQueryDsl<Conn> for Insert<'_, R, N> {}

/// `UPDATE table SET … WHERE …` of one row.
struct UpdateRow<'r, R>(&'r R);

impl<R: Change> QueryId for UpdateRow<'_, R> {
    type QueryId = UpdateRow<'static, R::Kind>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<R: Change> QueryFragment<Db> for UpdateRow<'_, R> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        out.push_sql("UPDATE ");
        out.push_identifier(R::TABLE)?;
        out.push_sql(" SET ");
        self.0.bind_set(out.reborrow())?;
        out.push_sql(" WHERE ");
        self.0.bind_guard(out.reborrow())?;
        out.push_sql(R::ALSO);
        Ok(())
    }
}

impl<R> RunQueryDsl<Conn> for UpdateRow<'_, R> {}

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

impl<F, S, W> QueryFragment<Db> for Update<F, S, W>
where
    F: QueryFragment<Db>,
    S: QueryFragment<Db>,
    W: QueryFragment<Db>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        out.push_sql("UPDATE ");
        self.table.walk_ast(out.reborrow())?;
        out.push_sql(" SET ");
        self.set.walk_ast(out.reborrow())?;
        out.push_sql(" WHERE ");
        self.rows.walk_ast(out)
    }
}

impl<F, S, W> RunQueryDsl<Conn> for Update<F, S, W> {}
