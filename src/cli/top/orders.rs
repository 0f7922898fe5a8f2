//! *Purpose*: orders that `top` gives.
//!
//! *Owns*: [`Order`], how it is asked about, and how it is sent.
//!
//! *Promises*: an order is of one row, and names it before it is given.
//!
//! *Not here*: the keys (`top::input`).

use super::super::client::Client;
use super::super::error::CliError;
use super::rows::Row;
use super::words::span;
use crate::api::wire::v1::{JobId, StateWord};
use crate::text::quote::escaped;

/// A running job is given so much more at a time, seconds.
const MORE_S: i64 = 3_600;

/// What is to be done to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Cancel,
    Hold,
    Release,
    Again,
    /// Its limit is so many seconds from then on.
    Limit(i64),
}

/// An order about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) deed: Deed,
    id: JobId,
    /// As it is named.
    what: String,
}

impl Order {
    pub(super) fn new(deed: Deed, row: &Row<'_>) -> Order {
        let name = escaped(&row.job.name, |_| false);
        let id = row.id();
        let is_rest = row.job.is_array() && row.job.array_task_id.is_none();
        let what = match is_rest || row.all.len() > 1 {
            true => format!("all of array {id} {name}"),
            false => format!("{} {name}", row.shown_id()),
        };
        Order { deed, id, what }
    }

    /// The one that more time for a row is; `None` where it has all there is, or does not run.
    pub(super) fn more_time(row: &Row<'_>) -> Option<Order> {
        let limit_s = row.job.time_limit_s.filter(|_| row.job.state == StateWord::Running)?;
        let one = Row { job: row.job, all: vec![row.job] };
        Some(Order::new(Deed::Limit(limit_s.saturating_add(MORE_S)), &one))
    }

    /// What is asked before it is given.
    pub(super) fn question(&self) -> String {
        let Order { deed, what, .. } = self;
        match deed {
            Deed::Cancel => format!("Cancel {what}? y/N"),
            Deed::Hold => format!("Hold {what}? y/N"),
            Deed::Release => format!("Release {what}? y/N"),
            Deed::Again => format!("Run {what} again? y/N"),
            Deed::Limit(s) => format!("Let {what} run for {} in all? y/N", span(*s)),
        }
    }

    /// Gives it; what became of it, in a sentence.
    pub(super) fn give(&self, client: &Client) -> String {
        let Order { deed, id, what } = self;
        let path = format!("/api/v1/jobs/{id}");
        let post = |verb: &str| client.post(&format!("{path}/{verb}"), "{}", None);
        let answer: Result<_, CliError> = match deed {
            Deed::Cancel => client.delete(&path),
            Deed::Hold => post("hold"),
            Deed::Release => post("release"),
            Deed::Again => post("requeue"),
            Deed::Limit(s) => client.patch(&path, &format!("{{\"time_limit\": \"{s}s\"}}")),
        };
        match (answer, deed) {
            (Err(error), _) => error.to_string(),
            (Ok(_), Deed::Cancel) => format!("{what} is being cancelled"),
            (Ok(_), Deed::Hold) => format!("{what} is held"),
            (Ok(_), Deed::Release) => format!("{what} is released"),
            (Ok(_), Deed::Again) => format!("{what} runs again"),
            (Ok(_), Deed::Limit(s)) => format!("{what} may run for {}", span(*s)),
        }
    }
}
