//! *Purpose*: finds the jobs that a filter asks for.
//!
//! *Owns*: which index serves a filter, and how far one question may look.
//!
//! *Promises*: ids come in order, each page goes on where the one before ended, and no question
//! looks at more than [`LOOKED_AT_MAX`] rows that it does not answer with: where that is not
//! enough the page ends early and says where to go on.
//!
//! *Not here*: the rows themselves (`store::read`), times to ids (`store::submit_times`).
//!
//! **How.** Every index ends with the id, so a filter of one part is read off its index in order,
//! several states from several places, merged. Of a filter with more parts the index that
//! reaches farthest within the bound is walked and the other parts are tested on its rows; what
//! has no index (times, an empty account, the usual name) is tested on the rows of the table.
//! Each statement names its index: SQLite, which knows no statistics here, would guess.

use std::fmt::Write;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::Sqlite;

use super::error::StoreError;
use super::read::{JobFilter, PAGE_MAX};
use super::submit_times;
use crate::kernel::ids::JobId;
use crate::kernel::job::StateWord;
use crate::kernel::time::Time;

/// Rows that one question looks at in vain, at most: measured at 2 µs a row that has to be sought
/// from an index in a history of ten million.
pub const LOOKED_AT_MAX: usize = 5_000;
/// The account that is in no index: nobody's.
const NO_ACCOUNT: &str = "";
/// The name that is in no index: what a job is called that was given none.
const USUAL_NAME: &str = "job";

/// The jobs of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Their ids, in the order that was asked for.
    pub ids: Vec<i64>,
    /// There may be more behind this id.
    pub next: Option<JobId>,
}

/// A page of jobs.
///
/// # Errors
/// What the database says.
pub fn find(conn: &mut SqliteConnection, filter: &JobFilter) -> Result<Found, StoreError> {
    find_within(conn, filter, LOOKED_AT_MAX)
}

/// The same with another bound.
pub(super) fn find_within(
    conn: &mut SqliteConnection,
    filter: &JobFilter,
    bound: usize,
) -> Result<Found, StoreError> {
    let wanted = filter.limit.clamp(1, PAGE_MAX) as usize;
    let (first, end) = submit_times::ids(conn, filter.since, filter.until)?;
    let window = Window::of(filter).within(first, end);
    let parts = parts(filter);
    let Some(Walk { sources, window, mut next }) = walk(conn, &parts, window, bound)? else {
        return Ok(Found::default());
    };
    let mut ids = Vec::new();
    for source in &sources {
        ids.extend(matching(conn, source, &parts, window, wanted + 1)?);
    }
    ids.sort_unstable();
    if !window.ascending {
        ids.reverse();
    }
    if ids.len() > wanted {
        ids.truncate(wanted);
        next = ids.last().copied().map(JobId);
    }
    Ok(Found { ids, next })
}

/// Ids that are still in question.
#[derive(Clone, Copy, Debug)]
struct Window {
    first: i64,
    last: i64,
    ascending: bool,
}

impl Window {
    fn of(filter: &JobFilter) -> Window {
        let ascending = filter.ascending;
        let (first, last) = match filter.after {
            Some(JobId(after)) if ascending => (after.saturating_add(1), i64::MAX),
            Some(JobId(after)) => (i64::MIN, after.saturating_sub(1)),
            None => (i64::MIN, i64::MAX),
        };
        Window { first, last, ascending }
    }

    fn within(self, first: i64, end: i64) -> Window {
        let last = self.last.min(end.saturating_sub(1));
        Window { first: self.first.max(first), last, ..self }
    }

    /// What lies before this id.
    fn before(self, stop: i64) -> Window {
        if self.ascending {
            Window { last: stop - 1, ..self }
        } else {
            Window { first: stop + 1, ..self }
        }
    }

    /// The id after which one goes on with this one.
    fn cursor(self, stop: i64) -> JobId {
        JobId(if self.ascending { stop - 1 } else { stop + 1 })
    }

    /// The nearer of two places to stop.
    fn nearer(self, a: Option<i64>, b: Option<i64>) -> Option<i64> {
        let near = if self.ascending { i64::min } else { i64::max };
        a.zip(b).map(|(a, b)| near(a, b)).or(a).or(b)
    }
}

/// A part of a filter.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part<'a> {
    States(&'a [StateWord]),
    Account(&'a str),
    Name(&'a str),
    Label(&'a str, &'a str),
    Since(Time),
    Until(Time),
}

fn parts(filter: &JobFilter) -> Vec<Part<'_>> {
    let states = Some(filter.states.as_slice()).filter(|states| !states.is_empty());
    let mut parts: Vec<Part> = states.map(Part::States).into_iter().collect();
    parts.extend(filter.account.as_deref().map(Part::Account));
    parts.extend(filter.name.as_deref().map(Part::Name));
    parts.extend(filter.labels.iter().map(|(key, value)| Part::Label(key, value)));
    parts.extend(filter.since.map(Part::Since));
    parts.extend(filter.until.map(Part::Until));
    parts
}

impl<'a> Part<'a> {
    /// The places in which exactly the rows of this part stand, in order; none without an index.
    fn sources(self) -> Vec<Source<'a>> {
        match self {
            Part::States(states) => {
                let mut states = states.to_vec();
                states.sort_unstable();
                states.dedup();
                states.into_iter().map(Source::State).collect()
            }
            Part::Account(account) if account != NO_ACCOUNT => vec![Source::Account(account)],
            Part::Name(name) if name != USUAL_NAME => vec![Source::Name(name)],
            Part::Label(key, value) => vec![Source::Label(key, value)],
            _ => Vec::new(),
        }
    }

    fn test(self, sql: &mut Sql) {
        match self {
            Part::States(states) => {
                let words: Vec<String> = states.iter().map(|s| format!("'{}'", s.word())).collect();
                sql.add(&format!(" AND jobs.state IN ({})", words.join(", ")))
            }
            Part::Account(account) => sql.add(" AND jobs.account = ").text(account),
            Part::Name(name) => sql.add(" AND jobs.name = ").text(name),
            Part::Label(key, value) => sql
                .add(" AND EXISTS (SELECT 1 FROM job_labels AS has WHERE has.key = ")
                .text(key)
                .add(" AND has.value = ")
                .text(value)
                .add(" AND has.job_id = jobs.id)"),
            Part::Since(Time(since)) => sql.add(" AND jobs.submit_time >= ").int(since),
            Part::Until(Time(until)) => sql.add(" AND jobs.submit_time < ").int(until),
        };
    }
}

/// A place from which rows come in order of their ids.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source<'a> {
    Table,
    State(StateWord),
    Account(&'a str),
    Name(&'a str),
    Label(&'a str, &'a str),
}

impl Source<'_> {
    fn id(self) -> &'static str {
        if matches!(self, Source::Label(..)) { "job_labels.job_id" } else { "jobs.id" }
    }

    /// `FROM … WHERE …`; of a label's jobs only where they have to be looked at.
    fn rows(self, sql: &mut Sql, look_at_jobs: bool) {
        match self {
            Source::Table => sql.add("jobs NOT INDEXED WHERE TRUE"),
            Source::State(state) => {
                let word = state.word();
                sql.add(&format!("jobs INDEXED BY jobs_by_state WHERE jobs.state = '{word}'"))
            }
            // The index leaves some out; SQLite uses it where the same words say so again.
            Source::Account(account) => sql
                .add("jobs INDEXED BY jobs_by_account WHERE account <> '' AND jobs.account = ")
                .text(account),
            Source::Name(name) => sql
                .add("jobs INDEXED BY jobs_by_name WHERE name <> 'job' AND jobs.name = ")
                .text(name),
            Source::Label(key, value) => {
                sql.add("job_labels");
                if look_at_jobs {
                    sql.add(" CROSS JOIN jobs NOT INDEXED ON jobs.id = job_labels.job_id");
                }
                sql.add(" WHERE job_labels.key = ").text(key);
                sql.add(" AND job_labels.value = ").text(value)
            }
        };
    }

    fn serves(self, part: Part) -> bool {
        match (self, part) {
            (Source::State(_), Part::States(_))
            | (Source::Account(_), Part::Account(_))
            | (Source::Name(_), Part::Name(_)) => true,
            (Source::Label(key, value), label) => label == Part::Label(key, value),
            _ => false,
        }
    }
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
    conn: &mut SqliteConnection,
    parts: &[Part<'a>],
    window: Window,
    bound: usize,
) -> Result<Option<Walk<'a>>, StoreError> {
    let mut ways: Vec<Vec<Source>> = parts.iter().map(|part| part.sources()).collect();
    ways.retain(|sources| !sources.is_empty());
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
    // A row costs a look for each label.
    let labels = parts.iter().filter(|part| matches!(part, Part::Label(..))).count();
    let bound = bound / labels.max(1);
    let mut best: Option<(Reach, Vec<Source>)> = None;
    for sources in ways {
        let reach = reach(conn, &sources, window, bound)?;
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

/// How far a walk comes.
#[derive(Clone, Copy, Debug)]
struct Reach {
    rows: i64,
    /// The first id at which it may not look; `None`: it comes to the end.
    stop: Option<i64>,
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

fn reach(
    conn: &mut SqliteConnection,
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
        sql.add(source.id()).add(" AS id FROM ");
        source.rows(&mut sql, false);
        sql.window(source.id(), window, each + 1).add(")");
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
    conn: &mut SqliteConnection,
    source: &Source,
    parts: &[Part],
    window: Window,
    limit: usize,
) -> Result<Vec<i64>, StoreError> {
    let rest: Vec<Part> = parts.iter().copied().filter(|part| !source.serves(*part)).collect();
    let mut sql = Sql::default();
    sql.add("SELECT ").add(source.id()).add(" AS id FROM ");
    source.rows(&mut sql, !rest.is_empty());
    for part in rest {
        part.test(&mut sql);
    }
    sql.window(source.id(), window, limit);
    let ids: Vec<Id> = sql.query().load(conn)?;
    Ok(ids.into_iter().map(|row| row.id).collect())
}

/// A statement in the making.
#[derive(Default)]
struct Sql {
    text: String,
    values: Vec<Value>,
}

enum Value {
    Text(String),
    Int(i64),
}

impl Sql {
    fn add(&mut self, text: &str) -> &mut Sql {
        self.text.push_str(text);
        self
    }

    fn text(&mut self, value: &str) -> &mut Sql {
        self.values.push(Value::Text(value.to_owned()));
        self.add("?")
    }

    fn int(&mut self, value: i64) -> &mut Sql {
        self.values.push(Value::Int(value));
        self.add("?")
    }

    /// Only of these ids, in order, at most so many.
    fn window(&mut self, id: &str, window: Window, limit: usize) -> &mut Sql {
        let order = if window.ascending { "ASC" } else { "DESC" };
        let (first, last) = (window.first, window.last);
        // Numbers as text: SQLite prepares a statement with a bound LIMIT anew at each run.
        let _ = write!(
            self.text,
            " AND {id} BETWEEN {first} AND {last} ORDER BY {id} {order} LIMIT {limit}"
        );
        self
    }

    fn query<'a>(
        self,
    ) -> diesel::query_builder::BoxedSqlQuery<'a, Sqlite, diesel::query_builder::SqlQuery> {
        let mut query = diesel::sql_query(self.text).into_boxed::<Sqlite>();
        for value in self.values {
            query = match value {
                Value::Text(text) => query.bind::<Text, _>(text),
                Value::Int(int) => query.bind::<BigInt, _>(int),
            };
        }
        query
    }
}
