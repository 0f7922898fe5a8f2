//! *Purpose*: finds the jobs that a filter asks for, in order of their ids.
//!
//! *Owns*: which index serves a filter, and how far one question may look.
//!
//! *Promises*: ids come in order, each page goes on where the one before ended, and no question
//! takes more than [`LOOKS_MAX`] looks that lead to no answer: where they are not enough the page
//! ends early and says where to go on.
//!
//! *Not here*: other orders (`find::by_key`), times to ids (`store::body::id_by_time`).
//!
//! **How.** Every index ends with the id, so a filter of one part is read off its index in order,
//! several states from several places, merged. Of a filter with more parts the index that
//! reaches farthest is walked, and each id is sought in the indexes of the other parts: two
//! hundred entries stand on a page of an index, sixteen jobs on one of the table, so rows are
//! fetched only for what has no index (times, codes, name patterns, an empty account or user, the
//! usual name or partition). Each statement
//! names its index: SQLite, which knows no statistics here, would guess.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

use super::super::{Conn, dialect};
use super::query::{Part, Source, Sql};
use super::window::Window;
use crate::job::ids::JobId;
use crate::store::error::StoreError;
use crate::store::order::Cursor;

/// Looks of one question that lead to no answer, at most. In a history of ten million a look into
/// an index takes a microsecond, on a machine that is busy too.
pub const LOOKS_MAX: usize = 10_000;
/// A row of the table is worth so many looks: mostly it stands on a page of its own.
const LOOKS_OF_A_ROW: usize = 10;

/// The jobs of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Their ids, in the order that was asked for.
    pub ids: Vec<i64>,
    /// There may be more behind this place.
    pub next: Option<Cursor>,
}

impl Found {
    /// The page that so many begin, in order.
    pub(super) fn of(mut all: Vec<Cursor>, wanted: usize) -> Found {
        let more = all.len() > wanted;
        all.truncate(wanted);
        let ids = all.iter().map(|cursor| cursor.id.0).collect();
        Found { ids, next: all.pop().filter(|_| more) }
    }
}

/// A page of jobs of which these parts hold.
///
/// # Errors
/// What the database says.
pub(super) fn page(
    conn: &mut Conn,
    parts: &[Part],
    window: Window,
    wanted: usize,
    bound: usize,
) -> Result<Found, StoreError> {
    let Some(Walk { sources, window, mut next }) = walk(conn, parts, window, bound)? else {
        return Ok(Found::default());
    };
    let mut ids = Vec::new();
    for source in &sources {
        ids.extend(matching(conn, source, parts, window, wanted + 1)?);
    }
    ids.sort_unstable();
    if !window.ascending {
        ids.reverse();
    }
    if ids.len() > wanted {
        ids.truncate(wanted);
        next = ids.last().copied().map(JobId);
    }
    Ok(Found { ids, next: next.map(Cursor::from) })
}

/// What is to be walked for a page.
struct Walk<'a> {
    sources: Vec<Source<'a>>,
    window: Window,
    /// Where the next page goes on, if this one finds no more than it is asked for.
    next: Option<JobId>,
}

/// Chooses what to walk, and how far; `None` where nothing can be found.
fn walk<'a>(
    conn: &mut Conn,
    parts: &[Part<'a>],
    window: Window,
    bound: usize,
) -> Result<Option<Walk<'a>>, StoreError> {
    let mut ways = ways(parts);
    if ways.is_empty() {
        ways.push(vec![Source::Table]);
    }
    // Where every row is an answer nothing is looked at in vain.
    let plain =
        parts.len() <= 1 && ways.iter().flatten().all(|s| parts.iter().all(|p| s.serves(*p)));
    if plain {
        let sources = ways.remove(0);
        return Ok(Some(Walk { sources, window, next: None }));
    }
    let mut best: Option<(Reach, Vec<Source>)> = None;
    for sources in ways {
        let reach = reach(conn, &sources, window, bound / looks_of_each(&sources, parts))?;
        if reach.rows == 0 {
            return Ok(None);
        }
        if best.as_ref().is_none_or(|(best, _)| reach.is_farther(*best, window)) {
            best = Some((reach, sources));
        }
    }
    Ok(best.map(|(reach, sources)| match reach.stop {
        None => Walk { sources, window, next: None },
        Some(stop) => {
            Walk { sources, window: window.before(stop), next: Some(window.cursor(stop)) }
        }
    }))
}

/// The places of each part that has an index.
pub(super) fn ways<'a>(parts: &[Part<'a>]) -> Vec<Vec<Source<'a>>> {
    let mut ways: Vec<Vec<Source>> = parts.iter().map(|part| part.sources()).collect();
    ways.retain(|sources| !sources.is_empty());
    ways
}

/// How many looks each id of these places takes.
pub(super) fn looks_of_each(sources: &[Source], parts: &[Part]) -> usize {
    let tested = |part: &&Part| sources.iter().all(|source| !source.serves(**part));
    let (mut looks, mut row) = (0, 0);
    for part in parts.iter().filter(tested) {
        match part.sources().len() {
            0 => row = LOOKS_OF_A_ROW,
            some => looks += some,
        }
    }
    (looks + row).max(1)
}

/// How far a walk comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) rows: i64,
    /// The first id at which it may not look; `None`: it comes to the end.
    pub(super) stop: Option<i64>,
}

impl Reach {
    fn is_farther(self, other: Reach, window: Window) -> bool {
        match (self.stop, other.stop) {
            (None, None) => self.rows < other.rows,
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (mine, theirs) => window.nearer(mine, theirs) == theirs,
        }
    }
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    rows: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    farthest: Option<i64>,
}

pub(super) fn reach(
    conn: &mut Conn,
    sources: &[Source],
    window: Window,
    bound: usize,
) -> Result<Reach, StoreError> {
    let each = (bound / sources.len()).max(1);
    let mut all = Reach { rows: 0, stop: None };
    for source in sources {
        let farthest = if window.ascending { "max(id)" } else { "min(id)" };
        let mut sql = Sql::default();
        sql.add(&format!("SELECT count(*) AS rows, {farthest} AS farthest FROM (SELECT "));
        sql.add(&source.id("it")).add(" AS id FROM ");
        source.table(&mut sql, "it");
        sql.add(" WHERE ");
        source.walk(&mut sql, "it", |_| {}, (window, each + 1));
        sql.add(") AS walked");
        let counted: Counted = sql.query().get_result(conn)?;
        all.rows += counted.rows;
        if counted.rows > each as i64 {
            all.stop = window.nearer(all.stop, counted.farthest);
        }
    }
    Ok(all)
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

fn matching(
    conn: &mut Conn,
    source: &Source,
    parts: &[Part],
    window: Window,
    limit: usize,
) -> Result<Vec<i64>, StoreError> {
    let rest = || parts.iter().copied().filter(|part| !source.serves(*part));
    let of_rows = rest().any(|part| part.sources().is_empty());
    // What is walked is the table itself, or has each row fetched, or needs none.
    let this = if *source == Source::Table { "job" } else { "it" };
    let id = source.id(this);
    let mut sql = Sql::default();
    sql.add(&format!("SELECT {id} AS id FROM "));
    source.table(&mut sql, this);
    if of_rows && this != "job" {
        sql.add(&dialect::joined("job", &id));
    }
    sql.add(" WHERE ");
    let tests = |sql: &mut Sql| rest().for_each(|part| part.test(sql, &id));
    source.walk(&mut sql, this, tests, (window, limit));
    let ids: Vec<Id> = sql.query().load(conn)?;
    Ok(ids.into_iter().map(|row| row.id).collect())
}
