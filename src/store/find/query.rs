//! *Purpose*: the parts of a filter, and the places in which the database keeps each in order.
//!
//! *Owns*: the text of the statements.
//!
//! *Promises*: every statement names its index; values are parameters.
//!
//! *Not here*: which place is walked, and how far (`store::find`).

use std::fmt::Write;

use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;

use super::window::Window;
use crate::job::ids::{JobId, Uid};
use crate::job::outcome::ExitCode;
use crate::job::state::StateWord;
use crate::kernel::access::{Own, Scope};
use crate::store::filter::JobFilter;
use crate::store::order::KeyValue;
use crate::time::Time;

/// The account that is in no index: nobody's.
const NO_ACCOUNT: &str = "";
/// The user who is in no index: nobody.
pub(super) const NO_USER: &str = "";
/// The partition that is in no index: the one of a machine that is not divided.
const USUAL_PARTITION: &str = "default";
/// The name that is in no index: what a job is called that was given none.
pub(super) const USUAL_NAME: &str = "job";

/// What is asked, once it is known in which ids to look.
pub(super) struct Question<'a> {
    pub(super) filter: &'a JobFilter,
    pub(super) parts: Vec<Part<'a>>,
    pub(super) window: Window,
    /// Jobs of the page.
    pub(super) wanted: usize,
    /// Looks that may lead to no answer.
    pub(super) bound: usize,
}

/// A part of a filter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part<'a> {
    States(&'a [StateWord]),
    Account(&'a str),
    Name(&'a str),
    NameLike(&'a str),
    User(&'a str),
    Partition(&'a str),
    ExitCode(ExitCode),
    Ids(&'a [JobId]),
    Label(&'a str, &'a str),
    Array(JobId),
    Since(Time),
    Until(Time),
    EndedSince(Time),
    EndedUntil(Time),
    /// What its asker sees.
    Own(&'a Own),
}

pub(super) fn parts<'a>(filter: &'a JobFilter, scope: &'a Scope) -> Vec<Part<'a>> {
    let states = Some(filter.states.as_slice()).filter(|states| !states.is_empty());
    let mut parts: Vec<Part> = states.map(Part::States).into_iter().collect();
    parts.extend(filter.account.as_deref().map(Part::Account));
    parts.extend(filter.name.as_deref().map(Part::Name));
    parts.extend(filter.name_like.as_deref().map(Part::NameLike));
    parts.extend(filter.user.as_deref().map(Part::User));
    parts.extend(filter.partition.as_deref().map(Part::Partition));
    parts.extend(filter.exit_code.map(Part::ExitCode));
    parts.extend(filter.ids.as_deref().map(Part::Ids));
    parts.extend(filter.labels.iter().map(|(key, value)| Part::Label(key, value)));
    parts.extend(filter.array.map(Part::Array));
    parts.extend(filter.since.map(Part::Since));
    parts.extend(filter.until.map(Part::Until));
    parts.extend(filter.ended_since.map(Part::EndedSince));
    parts.extend(filter.ended_until.map(Part::EndedUntil));
    parts.extend(scope.own().map(Part::Own));
    parts
}

impl<'a> Part<'a> {
    /// The places in which exactly the rows of this part stand, in order; none without an index.
    pub(super) fn sources(self) -> Vec<Source<'a>> {
        match self {
            Part::States(states) => {
                let mut states = states.to_vec();
                states.sort_unstable();
                states.dedup();
                states.into_iter().map(Source::State).collect()
            }
            Part::Account(account) if account != NO_ACCOUNT => vec![Source::Account(account)],
            Part::Name(name) if name != USUAL_NAME => vec![Source::Name(name)],
            Part::User(user) if user != NO_USER => vec![Source::User(user)],
            Part::Partition(name) if name != USUAL_PARTITION => vec![Source::Partition(name)],
            Part::Ids(ids) => vec![Source::Ids(ids)],
            Part::Label(key, value) => vec![Source::Label(key, value)],
            Part::Array(array) => vec![Source::Array(array)],
            Part::Own(Own { owner: Some(uid), accounts }) if accounts.is_empty() => {
                vec![Source::Owner(*uid)]
            }
            _ => Vec::new(),
        }
    }

    /// Tests the row `job`, or the id by itself where an index knows. A scalar subquery, for of an
    /// EXISTS SQLite may make a join, and of a join another order.
    pub(super) fn test(self, sql: &mut Sql, id: &str) {
        match self {
            Part::Since(Time(since)) => sql.add(" AND job.submit_time >= ").int(since),
            Part::Until(Time(until)) => sql.add(" AND job.submit_time < ").int(until),
            Part::EndedSince(Time(since)) => sql.add(" AND job.end_time >= ").int(since),
            Part::EndedUntil(Time(until)) => sql.add(" AND job.end_time < ").int(until),
            Part::ExitCode(code) => sql.add(" AND job.exit_code = ").text(&code.to_string()),
            Part::NameLike(pattern) => sql.add(" AND job.name GLOB ").text(pattern),
            Part::User(NO_USER) => sql.add(" AND job.user = ").text(NO_USER),
            Part::Partition(USUAL_PARTITION) => {
                sql.add(" AND job.partition = ").text(USUAL_PARTITION)
            }
            Part::Ids(ids) => sql.add(&format!(" AND {id} IN ({})", listed(ids))),
            Part::Own(own) if self.sources().is_empty() => owned(sql, own),
            Part::Account(NO_ACCOUNT) => sql.add(" AND job.account = ").text(NO_ACCOUNT),
            Part::Name(USUAL_NAME) => sql.add(" AND job.name = ").text(USUAL_NAME),
            _ => {
                let places = self.sources();
                for (n, place) in places.iter().enumerate() {
                    sql.add(if n == 0 {
                        " AND ((SELECT TRUE FROM "
                    } else {
                        " OR (SELECT TRUE FROM "
                    });
                    place.rows(sql, "has");
                    sql.add(&format!(" AND {} = {id})", place.id("has")));
                }
                sql.add(")")
            }
        };
    }

    /// Tests the row `job`, where it is at hand: no other place has to be asked then.
    pub(super) fn test_row(self, sql: &mut Sql) {
        match self {
            Part::States(states) => {
                let words: Vec<String> =
                    states.iter().map(|state| format!("'{}'", state.word())).collect();
                sql.add(&format!(" AND job.state IN ({})", words.join(",")))
            }
            Part::Account(account) => sql.add(" AND job.account = ").text(account),
            Part::Name(name) => sql.add(" AND job.name = ").text(name),
            Part::User(user) => sql.add(" AND job.user = ").text(user),
            Part::Partition(name) => sql.add(" AND job.partition = ").text(name),
            Part::Array(JobId(array)) => sql.add(" AND job.array_job_id = ").int(array),
            Part::Own(own) => owned(sql, own),
            _ => {
                self.test(sql, "job.id");
                sql
            }
        };
    }
}

/// A place from which rows come in order of their ids.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Source<'a> {
    Table,
    State(StateWord),
    Account(&'a str),
    Name(&'a str),
    User(&'a str),
    Partition(&'a str),
    Ids(&'a [JobId]),
    Label(&'a str, &'a str),
    Array(JobId),
    Owner(Uid),
}

/// Tests whether the row `job` is somebody's, or of an account that he coordinates.
fn owned<'s>(sql: &'s mut Sql, Own { owner, accounts }: &Own) -> &'s mut Sql {
    match owner {
        Some(Uid(uid)) => sql.add(" AND (job.uid = ").int((*uid).into()),
        None => sql.add(" AND (job.uid IS NULL"),
    };
    for account in accounts {
        sql.add(" OR job.account = ").text(account);
    }
    sql.add(")")
}

/// Ids as text: a statement takes so many values only.
fn listed(ids: &[JobId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Source<'_> {
    /// Its id, where it is called `this`.
    pub(super) fn id(self, this: &str) -> String {
        let column = if matches!(self, Source::Label(..)) { "job_id" } else { "id" };
        format!("{this}.{column}")
    }

    /// `FROM … WHERE …`, without FROM.
    pub(super) fn rows(self, sql: &mut Sql, this: &str) {
        self.table(sql, this);
        sql.add(" WHERE ");
        self.condition(sql, this);
    }

    pub(super) fn table(self, sql: &mut Sql, this: &str) {
        sql.add(&match self {
            Source::Table | Source::Ids(_) => format!("jobs AS {this} NOT INDEXED"),
            Source::State(_) => format!("jobs AS {this} INDEXED BY jobs_by_state"),
            Source::Account(_) => format!("jobs AS {this} INDEXED BY jobs_by_account"),
            Source::Name(_) => format!("jobs AS {this} INDEXED BY jobs_by_name"),
            Source::User(_) => format!("jobs AS {this} INDEXED BY jobs_by_user"),
            Source::Partition(_) => format!("jobs AS {this} INDEXED BY jobs_by_partition"),
            Source::Label(..) => format!("job_labels AS {this}"),
            Source::Array(_) => format!("jobs AS {this} INDEXED BY jobs_by_array"),
            Source::Owner(_) => format!("jobs AS {this} INDEXED BY jobs_by_uid"),
        });
    }

    pub(super) fn condition(self, sql: &mut Sql, this: &str) {
        match self {
            Source::Table => sql.add("TRUE"),
            Source::State(state) => sql.add(&format!("{this}.state = '{}'", state.word())),
            // The index leaves some out; SQLite uses it where the same words say so again.
            Source::Account(account) => {
                sql.add(&format!("{this}.account <> '' AND {this}.account = ")).text(account)
            }
            Source::Name(name) => {
                sql.add(&format!("{this}.name <> 'job' AND {this}.name = ")).text(name)
            }
            Source::User(user) => {
                sql.add(&format!("{this}.user <> '' AND {this}.user = ")).text(user)
            }
            Source::Partition(name) => {
                let others = format!("{this}.partition <> 'default' AND {this}.partition = ");
                sql.add(&others).text(name)
            }
            Source::Ids(ids) => sql.add(&format!("{this}.id IN ({})", listed(ids))),
            Source::Array(JobId(array)) => sql.add(&format!("{this}.array_job_id = ")).int(array),
            Source::Owner(Uid(uid)) => sql.add(&format!("{this}.uid = ")).int(uid.into()),
            Source::Label(key, value) => sql
                .add(&format!("{this}.key = "))
                .text(key)
                .add(&format!(" AND {this}.value = "))
                .text(value),
        };
    }

    pub(super) fn serves(self, part: Part) -> bool {
        match (self, part) {
            (Source::State(_), Part::States(_))
            | (Source::Account(_), Part::Account(_))
            | (Source::Name(_), Part::Name(_))
            | (Source::User(_), Part::User(_))
            | (Source::Partition(_), Part::Partition(_))
            | (Source::Ids(_), Part::Ids(_))
            | (Source::Owner(_), Part::Own(_)) => true,
            (Source::Array(array), part) => part == Part::Array(array),
            (Source::Label(key, value), label) => label == Part::Label(key, value),
            _ => false,
        }
    }
}

/// A statement in the making.
#[derive(Default)]
pub(super) struct Sql {
    text: String,
    values: Vec<KeyValue>,
}

impl Sql {
    pub(super) fn add(&mut self, text: &str) -> &mut Sql {
        self.text.push_str(text);
        self
    }

    pub(super) fn text(&mut self, value: &str) -> &mut Sql {
        self.values.push(KeyValue::Text(value.to_owned()));
        self.add("?")
    }

    pub(super) fn int(&mut self, value: i64) -> &mut Sql {
        self.values.push(KeyValue::Number(value));
        self.add("?")
    }

    pub(super) fn value(&mut self, value: &KeyValue) -> &mut Sql {
        match value {
            KeyValue::Text(text) => self.text(text),
            KeyValue::Number(number) => self.int(*number),
            KeyValue::Nothing => self.add("NULL"),
        }
    }

    /// Only of these ids, in order, at most so many.
    pub(super) fn window(&mut self, id: &str, window: Window, limit: usize) -> &mut Sql {
        let order = if window.ascending { "ASC" } else { "DESC" };
        let (first, last) = (window.first, window.last);
        // Numbers as text: SQLite prepares a statement with a bound LIMIT anew at each run.
        let _ = write!(
            self.text,
            " AND {id} BETWEEN {first} AND {last} ORDER BY {id} {order} LIMIT {limit}"
        );
        self
    }

    pub(super) fn query<'a>(self) -> BoxedSqlQuery<'a, Sqlite, SqlQuery> {
        let mut query = diesel::sql_query(self.text).into_boxed::<Sqlite>();
        for value in self.values {
            query = match value {
                KeyValue::Text(text) => query.bind::<Text, _>(text),
                KeyValue::Number(number) => query.bind::<BigInt, _>(number),
                KeyValue::Nothing => query,
            };
        }
        query
    }
}
