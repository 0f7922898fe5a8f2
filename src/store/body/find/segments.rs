//! *Purpose*: jobs read off an index that stands in the order of a key.
//!
//! *Owns*: which stretches such an order consists of.
//!
//! *Promises*: nothing is put in order; a page takes as many looks that lead to no answer as one
//! by ids, in each stretch that it comes through.
//!
//! *Not here*: keys without such an order (`find::by_key`).
//!
//! **How.** An index leaves out what most rows have: the usual name, nobody as the user, no end.
//! Those rows all have one value, so they stand by their ids, between the stretches of the index.

use diesel::connection::DefaultLoadingMode;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::super::{Conn, dialect};
use super::by_id::{self, Found, looks_of_each};
use super::collected::value_of;
use super::query::{NO_USER, Part, Question, Sql, USUAL_NAME};
use crate::job::ids::JobId;
use crate::job::state::StateWord;
use crate::store::cell::Cell;
use crate::store::error::StoreError;
use crate::store::filter::JobFilter;
use crate::store::order::{Cursor, KeyValue, SortKey};
use crate::time::Time;

/// Of the rows that no index has so many times more are looked at: they stand one behind the other
/// in the table, and where other names are many a page of nothing for every thousand would help
/// nobody.
const USUAL: usize = 100;
/// Each further look at them goes so many times farther: where most match, the first is enough.
const FARTHER: usize = 10;

/// A stretch of an order.
pub(super) enum Segment<'a> {
    /// All have this value.
    Same(KeyValue, Only<'a>),
    /// As an index has them.
    Index(Between),
}

/// Which jobs have one value.
pub(super) enum Only<'a> {
    /// All that are asked for.
    All,
    /// Those in one of these states.
    States(Vec<StateWord>),
    /// Those of which this holds too.
    Part(Part<'a>),
}

/// What lies between two values, without them.
#[derive(Clone, Default)]
pub(super) struct Between {
    over: Option<KeyValue>,
    under: Option<KeyValue>,
}

/// An index in the order of a key, and which rows are in it.
struct Index {
    name: &'static str,
    holds: &'static str,
}

fn index_of(key: SortKey) -> Option<Index> {
    let (name, holds) = match key {
        SortKey::EndTime => ("jobs_by_end_time", "job.end_time IS NOT NULL"),
        SortKey::Name => ("jobs_by_name", "job.name <> 'job'"),
        SortKey::User => ("jobs_by_user", "job.user <> ''"),
        _ => return None,
    };
    Some(Index { name, holds })
}

/// The stretches, in the order of the page; `None` where no index has the order.
pub(super) fn of(filter: &JobFilter) -> Option<Vec<Segment<'_>>> {
    match filter.key {
        SortKey::State => Some(states(filter)),
        SortKey::EndTime => Some(ends(filter)),
        SortKey::Name => Some(texts(filter, filter.name.as_deref(), Part::Name(USUAL_NAME))),
        SortKey::User => {
            let only = match filter.users.as_slice() {
                [user] => Some(user.as_str()),
                _ => None,
            };
            Some(texts(filter, only, Part::User(NO_USER)))
        }
        _ => None,
    }
}

fn turned<'a>(filter: &JobFilter, mut segments: Vec<Segment<'a>>) -> Vec<Segment<'a>> {
    if !filter.ascending {
        segments.reverse();
    }
    segments
}

fn asked(filter: &JobFilter) -> impl Iterator<Item = StateWord> {
    let all = StateWord::ALL.iter().copied();
    all.filter(|state| filter.states.is_empty() || filter.states.contains(state))
}

fn states(filter: &JobFilter) -> Vec<Segment<'_>> {
    let same = |state| Segment::Same(KeyValue::of_state(state), Only::States(vec![state]));
    turned(filter, asked(filter).map(same).collect())
}

/// An end is written with the state that is final, in one statement: who has none is live.
fn ends(filter: &JobFilter) -> Vec<Segment<'_>> {
    let (ended, live): (Vec<_>, Vec<_>) = asked(filter).partition(|state| state.is_final());
    let mut segments = Vec::new();
    if !ended.is_empty() {
        let over = filter.ended_since.map(|Time(since)| KeyValue::Number(since.saturating_sub(1)));
        let under = filter.ended_until.map(|Time(until)| KeyValue::Number(until));
        segments.push(Segment::Index(Between { over, under }));
    }
    if !live.is_empty() && filter.ended_since.is_none() && filter.ended_until.is_none() {
        segments.push(Segment::Same(KeyValue::Nothing, Only::States(live)));
    }
    segments
}

/// What is asked for by its text has but one; otherwise the usual text stands among the others.
fn texts<'a>(filter: &'a JobFilter, only: Option<&str>, usual: Part<'a>) -> Vec<Segment<'a>> {
    if let Some(only) = only {
        return vec![Segment::Same(KeyValue::Text(only.to_owned()), Only::All)];
    }
    let text = match usual {
        Part::Name(text) | Part::User(text) => KeyValue::Text(text.to_owned()),
        _ => KeyValue::Nothing,
    };
    let below = Between { over: None, under: Some(text.clone()) };
    let above = Between { over: Some(text.clone()), under: None };
    let between = Segment::Same(text, Only::Part(usual));
    turned(filter, vec![Segment::Index(below), between, Segment::Index(above)])
}

impl Segment<'_> {
    /// Whether it ends before a place.
    fn is_before(&self, cursor: &Cursor, ascending: bool) -> bool {
        let passed = |value: &KeyValue| {
            let of = |value: &KeyValue| Cursor { value: value.clone(), id: cursor.id };
            of(value).compare(cursor, ascending).is_lt()
        };
        match self {
            Segment::Same(value, _) => passed(value),
            Segment::Index(Between { over, under }) => {
                let end = if ascending { under } else { over };
                let is_at_end = end.as_ref() == Some(&cursor.value);
                is_at_end || end.as_ref().is_some_and(passed) || cursor.value == KeyValue::Nothing
            }
        }
    }

    /// Whether a place lies in it.
    fn has(&self, cursor: &Cursor) -> bool {
        match self {
            Segment::Same(value, _) => *value == cursor.value,
            Segment::Index(Between { over, under }) => {
                cursor.value != KeyValue::Nothing
                    && over.as_ref().is_none_or(|over| *over < cursor.value)
                    && under.as_ref().is_none_or(|under| cursor.value < *under)
            }
        }
    }
}

/// What a stretch has for a page.
#[derive(Default)]
struct Walked {
    rows: Vec<Cursor>,
    /// Where it was given up, if it was.
    stop: Option<Cursor>,
}

/// A page.
///
/// # Errors
/// What the database says.
pub(super) fn page(
    conn: &mut Conn,
    question: &Question,
    segments: Vec<Segment>,
) -> Result<Found, StoreError> {
    let (filter, wanted) = (question.filter, question.wanted);
    let mut found = Vec::new();
    let begins = |segment: &Segment| match &filter.after {
        Some(cursor) => !segment.is_before(cursor, filter.ascending),
        None => true,
    };
    for segment in segments.iter().filter(|segment| begins(segment)) {
        // One more tells whether there are more.
        let most = wanted + 1 - found.len();
        let after = filter.after.as_ref().filter(|cursor| segment.has(cursor));
        let Walked { rows, stop } = match segment {
            Segment::Same(value, only) => same(conn, question, (value, only), after, most)?,
            Segment::Index(between) => indexed(conn, question, between, after, most)?,
        };
        found.extend(rows);
        if found.len() > wanted {
            break;
        }
        if let Some(stop) = stop {
            let ids = found.iter().map(|row| row.id.0).collect();
            return Ok(Found { ids, next: Some(stop) });
        }
    }
    Ok(Found::of(found, wanted))
}

/// Those of one value.
fn same(
    conn: &mut Conn,
    question: &Question,
    (value, only): (&KeyValue, &Only),
    after: Option<&Cursor>,
    most: usize,
) -> Result<Walked, StoreError> {
    let (mut parts, mut bound) = (question.parts.clone(), question.bound);
    let mut bound_max = bound;
    match only {
        Only::All => {}
        Only::States(states) => {
            parts.retain(|part| !matches!(part, Part::States(_)));
            parts.push(Part::States(states));
        }
        Only::Part(part) => {
            parts.push(*part);
            bound_max = bound.saturating_mul(USUAL);
        }
    }
    let mut window = after.map_or(question.window, |cursor| question.window.behind(cursor.id));
    let place = |id: JobId| Cursor { value: value.clone(), id };
    let mut rows = Vec::new();
    loop {
        let left = most - rows.len();
        let Found { ids, next } = by_id::page(conn, &parts, window, left, bound)?;
        rows.extend(ids.into_iter().map(|id| place(JobId(id))));
        let stop = next.filter(|_| rows.len() < most).map(|cursor| cursor.id);
        match stop {
            Some(stop) if bound < bound_max => {
                window = window.behind(stop);
                bound = bound.saturating_mul(FARTHER).min(bound_max);
            }
            stop => return Ok(Walked { rows, stop: stop.map(place) }),
        }
    }
}

/// An entry of an index, and whether it is an answer.
#[derive(QueryableByName)]
struct Look {
    #[diesel(sql_type = Nullable<Text>)]
    value: Cell,
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Bool)]
    hit: bool,
}

/// Those of an index: first what has the same value as the page before ended with, then the rest.
fn indexed(
    conn: &mut Conn,
    question: &Question,
    between: &Between,
    after: Option<&Cursor>,
    most: usize,
) -> Result<Walked, StoreError> {
    let filter = question.filter;
    let mut rest = between.clone();
    if let Some(cursor) = after {
        let end = if filter.ascending { &mut rest.over } else { &mut rest.under };
        *end = Some(cursor.value.clone());
    }
    let mut vain = (question.bound / looks_of_each(&[], &question.parts)).max(1);
    let mut walked = Walked::default();
    for equal in after.map(Some).into_iter().chain([None]) {
        let limit = vain + most - walked.rows.len();
        let Some(sql) = statement(question, &rest, equal, limit) else { break };
        for look in sql.query().load_iter::<Look, DefaultLoadingMode>(conn)? {
            let Look { value, id, hit } = look?;
            let place = Cursor { value: value_of(filter.key, id, value)?, id: JobId(id) };
            if hit {
                walked.rows.push(place);
            } else if vain == 1 {
                walked.stop = Some(place);
            } else {
                vain -= 1;
            }
            if walked.stop.is_some() || walked.rows.len() == most {
                return Ok(walked);
            }
        }
    }
    Ok(walked)
}

/// The entries of a value behind a job, or all between two values.
fn statement(
    question: &Question,
    between: &Between,
    equal: Option<&Cursor>,
    limit: usize,
) -> Option<Sql> {
    let Question { filter, parts, .. } = question;
    let Index { name, holds } = index_of(filter.key)?;
    let column = format!("job.{}", filter.key.word());
    let (sign, back) = if filter.ascending { ('>', '<') } else { ('<', '>') };
    let order = if filter.ascending { "ASC" } else { "DESC" };
    let mut sql = Sql::default();
    sql.add(&format!("SELECT {column} AS value, job.id AS id, (TRUE"));
    parts.iter().for_each(|part| part.test(&mut sql, "job.id"));
    sql.add(") IS TRUE AS hit FROM ");
    sql.add(&dialect::jobs("job", Some(name))).add(&format!(" WHERE {holds}"));
    match equal {
        Some(Cursor { value, id: JobId(id) }) => {
            if dialect::IS_TOLD_INDEXES {
                sql.add(&format!(" AND {column} = ")).value(value);
                sql.add(&format!(" AND job.id {sign} {id} ORDER BY job.id {order}"));
            } else {
                let end = if filter.ascending { i64::MAX } else { -i64::MAX };
                sql.add(&format!(" AND ({column}, job.id) {sign} (")).value(value);
                sql.add(&format!(", {id}) AND ({column}, job.id) {back}= (")).value(value);
                sql.add(&format!(", {end}) ORDER BY {column} {order}, job.id {order}"));
            }
            sql.add(&format!(" LIMIT {limit}"));
        }
        None => {
            if let Some(over) = &between.over {
                sql.add(&format!(" AND {column} > ")).value(over);
            }
            if let Some(under) = &between.under {
                sql.add(&format!(" AND {column} < ")).value(under);
            }
            sql.add(&format!(" ORDER BY {column} {order}, job.id {order} LIMIT {limit}"));
        }
    }
    Some(sql)
}
