//! *Purpose*: jobs that are fetched and put in order.
//!
//! *Owns*: the statement that does it.
//!
//! *Promises*: SQLite keeps no more than a page of them; of a table that has too many none is
//! read.
//!
//! *Not here*: how many are too many (`find::by_key`).

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::super::{Conn, dialect};
use super::by_id::{Found, reach};
use super::query::{Question, Source, Sql};
use super::window::Window;
use crate::job::ids::JobId;
use crate::job::state::StateWord;
use crate::store::cell::{Cell, RowRef};
use crate::store::error::StoreError;
use crate::store::order::{Cursor, KeyValue, SortKey};
use crate::store::schema::jobs;
use crate::time::Time;

/// A job and its value. What stands in a column is told by the value itself.
#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Nullable<Text>)]
    value: Cell,
    #[diesel(sql_type = BigInt)]
    id: i64,
}

/// The value of a key as it stands in the database.
///
/// # Errors
/// When it is none of its kind.
pub(super) fn value_of(key: SortKey, id: i64, cell: Cell) -> Result<KeyValue, StoreError> {
    let at = RowRef::job(&id);
    let value = match key.is_text() {
        true => at.read::<Option<String>>(key.word(), cell)?.map(KeyValue::Text),
        false => at.read::<Option<i64>>(key.word(), cell)?.map(KeyValue::Number),
    };
    Ok(value.unwrap_or_default())
}

/// A page of the jobs of these places, which have `most` at the most.
///
/// # Errors
/// What the database says.
pub(super) fn page(
    conn: &mut Conn,
    question: &Question,
    sources: &[Source],
    most: usize,
) -> Result<Found, StoreError> {
    let (filter, wanted) = (question.filter, question.wanted);
    let mut found = Vec::new();
    for source in sources {
        let rows: Vec<Row> = statement(question, source, most).query().load(conn)?;
        for Row { value, id } in rows {
            found.push(Cursor { value: value_of(filter.key, id, value)?, id: JobId(id) });
        }
    }
    found.sort_unstable_by(|a, b| a.compare(b, filter.ascending));
    Ok(Found::of(found, wanted))
}

/// A page of all jobs of the table.
///
/// # Errors
/// When the table has more than `most` where they are sought, and what the database says.
pub(super) fn whole(
    conn: &mut Conn,
    question: &Question,
    most: usize,
) -> Result<Found, StoreError> {
    if !has_at_most(conn, question.window, most)? {
        return Err(StoreError::TooManyToOrder { key: question.filter.key.word(), most });
    }
    page(conn, question, &[Source::Table], most)
}

/// Whether there are so many jobs in a window, or fewer.
fn has_at_most(conn: &mut Conn, window: Window, most: usize) -> Result<bool, StoreError> {
    let ends = (nearest(conn, window)?, nearest(conn, window.turned())?);
    let (Some((one, _)), Some((other, _))) = ends else { return Ok(true) };
    if one.abs_diff(other) < most as u64 {
        return Ok(true);
    }
    // Ids have gaps where jobs were forgotten. The index of states has all jobs, on few pages.
    let mut left = most;
    for state in StateWord::ALL {
        let rows = reach(conn, &[Source::State(*state)], window, left)?.rows;
        match left.checked_sub(rows.unsigned_abs() as usize) {
            Some(fewer) => left = fewer,
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// The first job of a window, and when it was submitted.
///
/// # Errors
/// What the database says.
pub(super) fn nearest(conn: &mut Conn, window: Window) -> Result<Option<(i64, Time)>, StoreError> {
    let rows = jobs::table
        .filter(jobs::id.between(window.first, window.last))
        .select((jobs::id, jobs::submit_time));
    let row: Option<(i64, Cell)> = match window.ascending {
        true => rows.order(jobs::id.asc()).first(conn).optional()?,
        false => rows.order(jobs::id.desc()).first(conn).optional()?,
    };
    row.map(|(id, time)| Ok((id, RowRef::job(&id).read("submit_time", time)?))).transpose()
}

/// The first of one place. They are read in the direction of the page: of equal ones those that
/// come later have no place then, and are let go at once.
fn statement(question: &Question, source: &Source, most: usize) -> Sql {
    let Question { filter, parts, window, wanted, .. } = question;
    let this = if matches!(source, Source::Label(..)) { "it" } else { "job" };
    let value = expression(filter.key, filter.now);
    let mut sql = Sql::default();
    sql.add(&format!("SELECT value, id FROM (SELECT {value} AS value, job.id AS id FROM "));
    source.table(&mut sql, this);
    if this != "job" {
        sql.add(&dialect::joined("job", &source.id(this)));
    }
    sql.add(" WHERE ");
    let tests = |sql: &mut Sql| {
        for part in parts.iter().filter(|part| !source.serves(**part)) {
            part.test_row(sql);
        }
        if let Some(after) = &filter.after {
            behind(sql, &value, after, filter.ascending);
        }
    };
    source.walk(&mut sql, this, tests, (*window, most));
    let order = if filter.ascending { "ASC" } else { "DESC" };
    sql.add(&format!(") AS walked ORDER BY value IS NULL, value {order}, id {order}"));
    sql.add(&format!(" LIMIT {}", wanted + 1));
    sql
}

/// What SQL makes of a row of `job`.
fn expression(key: SortKey, Time(now): Time) -> String {
    match key {
        SortKey::State => {}
        // NULL where there is neither limit nor start; the least of two where both are known.
        SortKey::End => {
            let limit = "job.start_time + job.time_limit_s * 1000000";
            let (most, least) = (dialect::GREATEST, dialect::LEAST);
            let past = "coalesce(job.suspended_us, 0)";
            let current = format!("coalesce({most}({now} - job.suspend_time, 0), 0)");
            let end = format!("({limit} + {past} + {current})");
            return format!("coalesce({least}({end}, job.deadline), {end}, job.deadline)");
        }
        _ => return format!("job.{}", key.word()),
    }
    let place = |(n, state): (usize, &StateWord)| format!(" WHEN '{}' THEN {n}", state.word());
    let places: String = StateWord::ALL.iter().enumerate().map(place).collect();
    format!("CASE job.state{places} END")
}

/// Only what stands behind this job.
fn behind(sql: &mut Sql, value: &str, after: &Cursor, ascending: bool) {
    let (sign, JobId(id)) = (if ascending { '>' } else { '<' }, after.id);
    if after.value == KeyValue::Nothing {
        sql.add(&format!(" AND {value} IS NULL AND job.id {sign} {id}"));
        return;
    }
    sql.add(&format!(" AND ({value} IS NULL OR {value} {sign} ")).value(&after.value);
    sql.add(&format!(" OR ({value} = ")).value(&after.value);
    sql.add(&format!(" AND job.id {sign} {id}))"));
}
