//! *Purpose*: the parts of a filter, and the places in which the database keeps each in order.
//!
//! *Owns*: the text of the statements.
//!
//! *Promises*: every statement names its index; values are parameters.
//!
//! *Not here*: which place is walked, and how far (`store::body::find`).

use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::{BigInt, Text};

use super::super::{Db, dialect};
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
    /// One of several.
    Accounts(&'a [String]),
    Name(&'a str),
    /// One of these: all that begin alike.
    Names(&'a [String]),
    /// The same where they are too many.
    NameBegins(&'a str),
    NameLike(&'a str),
    User(&'a str),
    /// One of several.
    Users(&'a [String]),
    Partition(&'a str),
    ExitCode(ExitCode),
    Ids(&'a [JobId]),
    Label(&'a str, &'a str),
    Array(JobId),
    /// No part of an array.
    NoArray,
    Since(Time),
    Until(Time),
    EndedSince(Time),
    EndedUntil(Time),
    /// What its asker sees.
    Own(&'a Own),
}

/// What was found out about a filter before its jobs are.
#[derive(Default)]
pub(super) struct Resolved {
    /// The names that begin as it asks for; `None`: they are too many, or none is asked for.
    pub(super) names: Option<Vec<String>>,
    /// The one job that it asks for.
    pub(super) one: Option<Vec<JobId>>,
}

pub(super) fn parts<'a>(
    filter: &'a JobFilter,
    resolved: &'a Resolved,
    scope: &'a Scope,
) -> Vec<Part<'a>> {
    let states = Some(filter.states.as_slice()).filter(|states| !states.is_empty());
    let mut parts: Vec<Part> = states.map(Part::States).into_iter().collect();
    parts.extend(match filter.accounts.as_slice() {
        [] => None,
        [account] => Some(Part::Account(account)),
        several => Some(Part::Accounts(several)),
    });
    parts.extend(filter.name.as_deref().map(Part::Name));
    parts.extend(filter.name_like.as_deref().map(Part::NameLike));
    parts.extend(match (&resolved.names, &filter.name_begins) {
        (Some(names), _) => Some(Part::Names(names)),
        (None, begins) => begins.as_deref().map(Part::NameBegins),
    });
    parts.extend(match filter.users.as_slice() {
        [] => None,
        [user] => Some(Part::User(user)),
        several => Some(Part::Users(several)),
    });
    parts.extend(filter.partition.as_deref().map(Part::Partition));
    parts.extend(filter.exit_code.map(Part::ExitCode));
    parts.extend(filter.ids.as_deref().map(Part::Ids));
    parts.extend(resolved.one.as_deref().map(Part::Ids));
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
            Part::Accounts(all) if !has(all, NO_ACCOUNT) => each(all, Source::Account),
            Part::Names(all) if !has(all, USUAL_NAME) => each(all, Source::Name),
            Part::Users(all) if !has(all, NO_USER) => each(all, Source::User),
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
            Part::NoArray => sql.add(" AND job.array_job_id IS NULL"),
            Part::ExitCode(code) => sql.add(" AND job.exit_code = ").text(&code.to_string()),
            Part::NameLike(pattern) => {
                let (sign, pattern) = dialect::like(pattern);
                sql.add(&format!(" AND job.name {sign} ")).text(&pattern)
            }
            Part::NameBegins(text) => {
                // Bytes, as the index has them: SQLite's LIKE takes letters for others.
                let bytes = format!(" AND substr(job.name, 1, {}) = ", text.chars().count());
                sql.add(&bytes).text(text)
            }
            Part::Accounts(all) if has(all, NO_ACCOUNT) => one_of(sql, "account", all),
            Part::Names(all) if has(all, USUAL_NAME) => one_of(sql, "name", all),
            Part::Users(all) if has(all, NO_USER) => one_of(sql, "user", all),
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
            Part::Accounts(all) => one_of(sql, "account", all),
            Part::Name(name) => sql.add(" AND job.name = ").text(name),
            Part::Names(all) => one_of(sql, "name", all),
            Part::User(user) => sql.add(" AND job.user = ").text(user),
            Part::Users(all) => one_of(sql, "user", all),
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

/// Whether the text is among these that no index has.
fn has(all: &[String], usual: &str) -> bool {
    all.iter().any(|one| one == usual)
}

/// A place of each of these texts, once.
fn each<'a>(all: &'a [String], place: fn(&'a str) -> Source<'a>) -> Vec<Source<'a>> {
    let all: std::collections::BTreeSet<&str> = all.iter().map(String::as_str).collect();
    all.into_iter().map(place).collect()
}

/// Tests whether a column of the row `job` is one of these.
fn one_of<'s>(sql: &'s mut Sql, column: &str, all: &[String]) -> &'s mut Sql {
    sql.add(&format!(" AND job.{column} IN ("));
    for (n, text) in all.iter().enumerate() {
        sql.add(if n == 0 { "" } else { "," }).text(text);
    }
    sql.add(")")
}

/// Ids as text: a statement takes so many values only.
fn listed(ids: &[JobId]) -> String {
    if ids.is_empty() {
        return "NULL".to_owned();
    }
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

    /// What its rows have in common: columns in the order of its index, and their values.
    fn keys(self) -> Vec<(&'static str, KeyValue)> {
        let text = |value: &str| KeyValue::Text(value.to_owned());
        match self {
            Source::Table | Source::Ids(_) => Vec::new(),
            Source::State(state) => vec![("state", text(state.word()))],
            Source::Account(account) => vec![("account", text(account))],
            Source::Name(name) => vec![("name", text(name))],
            Source::User(user) => vec![("user", text(user))],
            Source::Partition(name) => vec![("partition", text(name))],
            Source::Label(key, value) => vec![("key", text(key)), ("value", text(value))],
            Source::Array(JobId(array)) => vec![("array_job_id", KeyValue::Number(array))],
            Source::Owner(Uid(uid)) => vec![("uid", KeyValue::Number(uid.into()))],
        }
    }

    /// Which rows its index leaves out. A database uses it where the same words say so again.
    fn holds(self) -> Option<(&'static str, &'static str)> {
        match self {
            Source::Account(_) => Some(("account", "<> ''")),
            Source::Name(_) => Some(("name", "<> 'job'")),
            Source::User(_) => Some(("user", "<> ''")),
            Source::Partition(_) => Some(("partition", "<> 'default'")),
            Source::Array(_) => Some(("array_job_id", "IS NOT NULL")),
            Source::Owner(_) => Some(("uid", "IS NOT NULL")),
            _ => None,
        }
    }

    /// The index that has its rows; of the table itself, and of labels, the key.
    fn index(self) -> Option<&'static str> {
        Some(match self {
            Source::Table | Source::Ids(_) | Source::Label(..) => return None,
            Source::State(_) => "jobs_by_state",
            Source::Account(_) => "jobs_by_account",
            Source::Name(_) => "jobs_by_name",
            Source::User(_) => "jobs_by_user",
            Source::Partition(_) => "jobs_by_partition",
            Source::Array(_) => "jobs_by_array",
            Source::Owner(_) => "jobs_by_uid",
        })
    }

    pub(super) fn table(self, sql: &mut Sql, this: &str) {
        sql.add(&match self {
            Source::Label(..) => format!("job_labels AS {this}"),
            _ => dialect::jobs(this, self.index()),
        });
    }

    /// That a row is one of these.
    pub(super) fn condition(self, sql: &mut Sql, this: &str) {
        self.left_out(sql, this);
        for (n, (column, value)) in self.keys().iter().enumerate() {
            sql.add(if n == 0 { "" } else { " AND " });
            sql.add(&format!("{this}.{column} = ")).value(value);
        }
        match self {
            Source::Table => {
                sql.add("TRUE");
            }
            Source::Ids(ids) => {
                sql.add(&format!("{this}.id IN ({})", listed(ids)));
            }
            _ => {}
        }
    }

    fn left_out(self, sql: &mut Sql, this: &str) {
        if let Some((column, holds)) = self.holds() {
            sql.add(&format!("{this}.{column} {holds} AND "));
        }
    }

    /// These rows, of which `tests` hold too, and only of these ids; in order, at most so many.
    ///
    /// Where a database is told no index, the order tells it: rows are compared by the columns of
    /// the index and the id together, and no other index has them in this order.
    pub(super) fn walk(
        self,
        sql: &mut Sql,
        this: &str,
        tests: impl FnOnce(&mut Sql),
        (window, limit): (Window, usize),
    ) {
        let (id, keys) = (self.id(this), self.keys());
        let order = if window.ascending { "ASC" } else { "DESC" };
        // The least number of all has no sign of its own, and ids are none of such.
        let (first, last) = (window.first.max(-i64::MAX), window.last);
        // Numbers as text: SQLite prepares a statement with a bound LIMIT anew at each run.
        if !dialect::IS_TOLD_INDEXES && !keys.is_empty() {
            let columns: Vec<String> =
                keys.iter().map(|(column, _)| format!("{this}.{column}")).collect();
            self.left_out(sql, this);
            sql.add(&format!("({}, {id}) BETWEEN (", columns.join(", ")));
            keys.iter().for_each(|(_, value)| {
                sql.value(value).add(", ");
            });
            sql.add(&format!("{first}) AND ("));
            keys.iter().for_each(|(_, value)| {
                sql.value(value).add(", ");
            });
            sql.add(&format!("{last})"));
            tests(sql);
            let columns = columns.join(&format!(" {order}, "));
            sql.add(&format!(" ORDER BY {columns} {order}, {id} {order} LIMIT {limit}"));
            return;
        }
        self.condition(sql, this);
        tests(sql);
        sql.add(&format!(" AND {id} BETWEEN {first} AND {last}"));
        sql.add(&format!(" ORDER BY {id} {order} LIMIT {limit}"));
    }

    /// Whether the part holds of all that stands here. Of names, users and ids a filter may have
    /// two parts, of which each is another.
    pub(super) fn serves(self, part: Part) -> bool {
        match (self, part) {
            (Source::State(_), Part::States(_))
            | (Source::Partition(_), Part::Partition(_))
            | (Source::Owner(_), Part::Own(_)) => true,
            (Source::Account(account), Part::Account(other)) => account == other,
            (Source::Account(account), Part::Accounts(all)) => has(all, account),
            (Source::User(user), Part::User(other)) => user == other,
            (Source::User(user), Part::Users(all)) => has(all, user),
            (Source::Name(name), Part::Name(other)) => name == other,
            (Source::Name(name), Part::Names(all)) => has(all, name),
            (Source::Ids(ids), Part::Ids(others)) => ids == others,
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
        self.placed()
    }

    pub(super) fn int(&mut self, value: i64) -> &mut Sql {
        self.values.push(KeyValue::Number(value));
        self.placed()
    }

    /// The place of the last value.
    fn placed(&mut self) -> &mut Sql {
        let place = format!("${}", self.values.len());
        self.add(&place)
    }

    pub(super) fn value(&mut self, value: &KeyValue) -> &mut Sql {
        match value {
            KeyValue::Text(text) => self.text(text),
            KeyValue::Number(number) => self.int(*number),
            KeyValue::Nothing => self.add("NULL"),
        }
    }

    pub(super) fn query<'a>(self) -> BoxedSqlQuery<'a, Db, SqlQuery> {
        let mut query = diesel::sql_query(self.text).into_boxed::<Db>();
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
