//! *Purpose*: what can be seen of a job in a line.
//!
//! *Owns*: [`Column`]: their names, heads and cells, by what each sorts, which ones fit where.
//!
//! *Promises*: a state is never cut nor wrapped; a column has the same name in `--format` and in
//! `--sort`.
//!
//! *Not here*: which jobs (`cli::queue`), how a table is fitted (`cli::table`).

use super::table::{self, Cut, Line};
use super::times;
use crate::api::wire::v1::{Job, StateWord};
use crate::text::duration;
use crate::text::size;

/// A column of a list of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[allow(missing_docs, reason = "each is what it is called")]
pub enum Column {
    Id,
    Name,
    User,
    Account,
    Partition,
    State,
    Reason,
    Detail,
    Priority,
    Position,
    Cpus,
    Memory,
    Time,
    Limit,
    Left,
    Submitted,
    Eligible,
    Started,
    Ended,
    Exit,
    Attempt,
    Labels,
    Comment,
    Folder,
    Output,
}

use Column::{
    Account, Attempt, Comment, Cpus, Detail, Eligible, Ended, Exit, Folder, Id, Labels, Left,
    Limit, Memory, Name, Output, Partition, Position, Priority, Reason, Started, State, Submitted,
    Time, User,
};

/// For 80 characters.
const NARROW: &[Column] = &[Id, Name, User, State, Cpus, Time, Reason];
/// For 120, and off a terminal, where nothing is cut.
const MIDDLE: &[Column] = &[Id, Name, User, State, Cpus, Time, Limit, Partition, Account, Reason];
/// For 160 and more.
const WIDE: &[Column] = &[
    Id, Name, User, State, Cpus, Time, Limit, Partition, Account, Priority, Submitted, Started,
    Reason, Detail,
];
/// From so many characters on a list has the middle columns.
const MIDDLE_FROM: usize = 110;
/// And from so many on the wide ones.
const WIDE_FROM: usize = 160;

/// The columns for a terminal so wide; off a terminal nobody knows.
pub(super) fn fitting(width: Option<usize>) -> &'static [Column] {
    match width {
        Some(width) if width >= WIDE_FROM => WIDE,
        Some(width) if width < MIDDLE_FROM => NARROW,
        _ => MIDDLE,
    }
}

/// By what jobs are put in order: numbers before texts, nothing last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Number(i64),
    Text(String),
    Nothing,
}

impl Column {
    /// What stands above it.
    pub(super) fn head(self) -> String {
        let value = clap::ValueEnum::to_possible_value(&self);
        value.map(|value| value.get_name().to_uppercase()).unwrap_or_default()
    }

    /// Whether and how a value may be cut where there is no room.
    pub(super) fn cut(self) -> Cut {
        match self {
            Name | User | Account | Partition | Labels => Cut::To(8),
            Reason => Cut::To(10),
            Detail | Comment => Cut::To(12),
            Folder | Output => Cut::Front(12),
            _ => Cut::Never,
        }
    }

    /// Its value of a job, or of what a line stands for.
    pub(super) fn cell(self, job: &Job) -> Line {
        match self {
            State => Line::state(job.state),
            _ => Line::plain(self.text(job)),
        }
    }

    fn text(self, job: &Job) -> String {
        let time = |at: &Option<String>| at.as_deref().map(times::short).unwrap_or_default();
        let number = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
        let text = |of: &Option<String>| of.clone().unwrap_or_default();
        match self {
            Id => job.shown_id(),
            Name => job.name.clone(),
            User => job.user.clone(),
            Account => job.account.clone(),
            Partition => job.partition.clone(),
            State => job.state.to_string(),
            Reason => reason(job),
            Detail => job.state_detail.as_deref().map(times::in_sentence).unwrap_or_default(),
            Priority => job.priority.to_string(),
            Position => job.position.map(|n| n.to_string()).unwrap_or_default(),
            Cpus => job.cpus.to_string(),
            Memory => job.memory_bytes.map(|n| size::shown(n.unsigned_abs())).unwrap_or_default(),
            Time if job.start_time.is_none() => "-".to_owned(),
            Time => duration::short(job.elapsed_s),
            Limit => job.time_limit_s.map_or_else(|| "-".to_owned(), duration::short),
            Left => job
                .time_limit_s
                .filter(|_| !job.state.is_final())
                .map_or_else(|| "-".to_owned(), |limit| duration::short(limit - job.elapsed_s)),
            Submitted => times::short(&job.submit_time),
            Eligible => time(&job.eligible_time),
            Started => time(&job.start_time),
            Ended => time(&job.end_time),
            Exit => text(&job.exit_code),
            Attempt => number(Some(i64::from(job.attempt))),
            Labels => {
                let labels = job.labels.iter().map(|(key, value)| format!("{key}={value}"));
                labels.collect::<Vec<_>>().join(",")
            }
            Comment => text(&job.comment),
            Folder => text(&job.working_directory),
            Output => text(&job.stdout_path),
        }
    }

    /// By what it puts jobs in order.
    pub(super) fn key(self, job: &Job) -> Key {
        let time = |at: &Option<String>| at.clone().map_or(Key::Nothing, Key::Text);
        let number = |n: Option<i64>| n.map_or(Key::Nothing, Key::Number);
        match self {
            Id => Key::Number(job.id.0),
            Priority => Key::Number(job.priority),
            Position => number(job.position.and_then(|n| i64::try_from(n).ok())),
            Cpus => Key::Number(i64::from(job.cpus)),
            Memory => number(job.memory_bytes),
            Time => Key::Number(job.elapsed_s),
            Limit => number(job.time_limit_s),
            Left => number(job.time_limit_s.map(|limit| limit - job.elapsed_s)),
            // RFC 3339 in UTC is in order as text.
            Submitted => Key::Text(job.submit_time.clone()),
            Eligible => time(&job.eligible_time),
            Started => time(&job.start_time),
            Ended => time(&job.end_time),
            Attempt => Key::Number(i64::from(job.attempt)),
            State => {
                Key::Number(StateWord::ALL.iter().position(|s| *s == job.state).unwrap_or(0) as i64)
            }
            _ => Key::Text(self.text(job)),
        }
    }
}

/// The code of what has ended, and otherwise the word for why it stands as it does.
fn reason(job: &Job) -> String {
    match (&job.exit_code, &job.state_reason) {
        (Some(code), _) if job.state.is_final() => code.clone(),
        (_, Some(reason)) => reason.clone(),
        _ => String::new(),
    }
}

/// A column to sort by, the other way round with a minus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortBy {
    column: Column,
    descending: bool,
}

impl std::str::FromStr for SortBy {
    type Err = String;

    fn from_str(text: &str) -> Result<SortBy, String> {
        let (name, descending) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let column = <Column as clap::ValueEnum>::from_str(name, true).map_err(|_| {
            let names = <Column as clap::ValueEnum>::value_variants().iter();
            let names: Vec<String> = names.map(|c| c.head().to_lowercase()).collect();
            format!("\"{name}\" is no column; they are {}", names.join(", "))
        })?;
        Ok(SortBy { column, descending })
    }
}

/// Puts jobs in order, by the first column first; those that have no value come last.
pub(super) fn sort(jobs: &mut [Job], by: &[SortBy]) {
    jobs.sort_by(|a, b| {
        let orders = by.iter().map(|by| {
            let (a, b) = (by.column.key(a), by.column.key(b));
            match (&a, &b) {
                (Key::Nothing, _) | (_, Key::Nothing) => a.cmp(&b),
                _ if by.descending => b.cmp(&a),
                _ => a.cmp(&b),
            }
        });
        orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
}

/// The table of these columns.
pub(super) fn table(columns: &[Column], jobs: &[Job], width: Option<usize>) -> String {
    let heads = columns.iter().map(|column| (column.head(), column.cut())).collect();
    let rows = jobs.iter().map(|job| columns.iter().map(|column| column.cell(job)).collect());
    table::fitted(heads, rows.collect(), width)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::wait::tests::job;
    use super::*;

    /// A job that has much to say of everything.
    fn wordy(state: &str) -> Job {
        let mut one: Job = serde_json::from_str(&job(state, None)).unwrap();
        (one.name, one.user) = ("n".repeat(200), "u".repeat(32));
        (one.account, one.partition) = ("a".repeat(40), "p".repeat(40));
        one.state_reason = Some("DependencyNeverSatisfied".into());
        one.state_detail = Some("word ".repeat(60));
        (one.cpus, one.elapsed_s, one.time_limit_s) = (1_024, 9_999_999, Some(99_999_999));
        one.start_time = Some("2025-11-22T03:42:17Z".into());
        one
    }

    #[test]
    fn a_line_fits_and_its_state_is_whole() {
        for width in [80, 100, 120, 160, 200] {
            for state in StateWord::ALL {
                let jobs = [wordy(state.word())];
                let text = table(fitting(Some(width)), &jobs, Some(width));
                let lines: Vec<&str> = text.lines().collect();
                assert_eq!(lines.len(), 2, "{width}: nothing is wrapped\n{text}");
                let longest = lines.iter().map(|line| line.chars().count()).max();
                assert!(longest <= Some(width), "{width}\n{text}");
                assert!(lines[1].contains(state.word()) && lines[1].contains('…'), "{text}");
            }
        }
    }

    #[test]
    fn jobs_are_sorted_by_each_column_in_turn_and_those_without_a_value_last() {
        let of = |name: &str, limit: Option<i64>| {
            let mut one: Job = serde_json::from_str(&job("RUNNING", None)).unwrap();
            (one.name, one.time_limit_s) = (name.into(), limit);
            one
        };
        let mut jobs =
            vec![of("none", None), of("b", Some(60)), of("long", Some(100)), of("a", Some(60))];
        let mut names = |by: &[&str]| {
            let by: Vec<SortBy> = by.iter().map(|by| by.parse().unwrap()).collect();
            sort(&mut jobs, &by);
            jobs.iter().map(|job| job.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&["limit", "name"]), ["a", "b", "long", "none"]);
        assert_eq!(names(&["-limit", "-name"]), ["long", "b", "a", "none"]);
        assert!("-size".parse::<SortBy>().unwrap_err().contains("they are id, name"));
    }
}
