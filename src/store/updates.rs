//! *Purpose*: what becomes of rows that are there, as structs.
//!
//! *Owns*: the updates that most jobs go through ([`GrantedRow`] and the like).
//!
//! *Promises*: each names the row and what is true of it before, so that one that is not as the
//! kernel knows it is noticed.
//!
//! *Not here*: which columns those are (`store::columns`), their order (`store::writes`), what is
//! new (`store::rows`).

use crate::job::outcome::{EndState, Handle};
use crate::job::state::{EndReason, StateWord};
use crate::kernel::change::Event;
use crate::kernel::outbox::Commit;

/// The state before, as a guard.
fn before(event: &Event) -> &'static str {
    event.from.map_or("", StateWord::word)
}

/// An update that an event is about.
pub(super) trait Of {
    /// The event.
    fn event(&self) -> &Event;
}

macro_rules! of {
    ($($row:ident)+) => {$(
        impl Of for $row<'_> {
            fn event(&self) -> &Event {
                self.event
            }
        }
    )+};
}

of! { GrantedRow PlacedRow StartedRow CompletingRow EndedRow ReleasedRow }

/// `meta`: the numbers behind a commit, if those before it are its own.
pub(super) struct FenceRow {
    pub id: i64,
    pub before: i64,
    pub epoch: i64,
    pub commit_no: i64,
    pub next_job_id: i64,
    pub next_event_id: i64,
}

impl From<&Commit> for FenceRow {
    fn from(commit: &Commit) -> FenceRow {
        FenceRow {
            id: 1,
            before: commit.no.0 - 1,
            epoch: commit.epoch.0,
            commit_no: commit.no.0,
            next_job_id: commit.next_job.0,
            next_event_id: commit.next_event.0,
        }
    }
}

/// `jobs`: it was granted what it asks for.
pub(super) struct GrantedRow<'a> {
    pub event: &'a Event,
    pub id: i64,
    pub was: &'static str,
    pub state: &'static str,
    pub attempt: i32,
}

impl<'a> From<&'a Event> for GrantedRow<'a> {
    fn from(event: &'a Event) -> GrantedRow<'a> {
        GrantedRow {
            event,
            id: event.job.0,
            was: before(event),
            state: event.to.word(),
            attempt: event.attempt.cast_signed(),
        }
    }
}

/// `jobs`: it was started in this one of the partitions that it lists.
pub(super) struct PlacedRow<'a> {
    pub event: &'a Event,
    pub id: i64,
    pub partition: &'a str,
}

/// `jobs`: its script was spawned.
pub(super) struct StartedRow<'a> {
    pub event: &'a Event,
    pub id: i64,
    pub was: &'static str,
    pub state: &'static str,
    pub start_time: Option<i64>,
    pub process_id: Option<i32>,
}

impl<'a> StartedRow<'a> {
    pub fn new(event: &'a Event, handle: Handle) -> StartedRow<'a> {
        StartedRow {
            event,
            id: event.job.0,
            was: before(event),
            state: event.to.word(),
            start_time: Some(handle.start_time.0),
            process_id: Some(handle.pid),
        }
    }
}

/// `jobs`: its attempt is being ended.
pub(super) struct CompletingRow<'a> {
    pub event: &'a Event,
    pub id: i64,
    pub was: &'static str,
    pub state: &'static str,
    pub completing: Option<&'static str>,
}

impl<'a> CompletingRow<'a> {
    pub fn new(event: &'a Event, reason: EndReason) -> CompletingRow<'a> {
        CompletingRow {
            event,
            id: event.job.0,
            was: before(event),
            state: event.to.word(),
            completing: Some(reason.word()),
        }
    }
}

/// `jobs`: it is over.
pub(super) struct EndedRow<'a> {
    pub event: &'a Event,
    pub id: i64,
    pub was: &'static str,
    pub state: &'static str,
    pub end_time: Option<i64>,
    pub exit_code: Option<String>,
    pub error: Option<&'a str>,
    pub start_time: Option<i64>,
    pub process_id: Option<i32>,
    pub user_cpu_us: Option<i64>,
    pub system_cpu_us: Option<i64>,
    pub max_rss_bytes: Option<i64>,
}

impl<'a> EndedRow<'a> {
    pub fn new(event: &'a Event, end: &'a EndState) -> EndedRow<'a> {
        // An end that nobody saw has no usage, rather than one of zero.
        let usage = end.exit_code.is_some().then_some(end.usage);
        EndedRow {
            event,
            id: event.job.0,
            was: before(event),
            state: event.to.word(),
            end_time: Some(end.end_time.0),
            exit_code: end.exit_code.map(|code| code.to_string()),
            error: end.error.as_deref(),
            start_time: end.handle.map(|handle| handle.start_time.0),
            process_id: end.handle.map(|handle| handle.pid),
            user_cpu_us: usage.map(|usage| usage.user_us),
            system_cpu_us: usage.map(|usage| usage.system_us),
            max_rss_bytes: usage.map(|usage| usage.max_rss_bytes),
        }
    }

    /// The same of a job that is first heard to have started with its end.
    pub fn started(mut self, start: &Event) -> EndedRow<'a> {
        self.was = before(start);
        self
    }
}

/// `resource_allocations`: the process of an attempt.
pub(super) struct ProcessRow {
    pub job_id: i64,
    pub attempt: i32,
    pub process_id: Option<i32>,
}

impl ProcessRow {
    pub fn new(event: &Event, handle: Handle) -> ProcessRow {
        ProcessRow {
            job_id: event.job.0,
            attempt: event.attempt.cast_signed(),
            process_id: Some(handle.pid),
        }
    }
}

/// `resource_allocations`: an attempt ended so, and gave back what it held.
pub(super) struct ReleasedRow<'a> {
    pub event: &'a Event,
    pub job_id: i64,
    pub attempt: i32,
    pub released: bool,
    pub released_time: Option<i64>,
    pub process_id: Option<i32>,
    pub state: Option<&'a str>,
    pub exit_code: Option<String>,
    pub error: Option<&'a str>,
    pub start_time: Option<i64>,
    pub end_time: Option<i64>,
    /// Not a column: how many units are `held_units` of the job.
    pub units: u32,
}

impl<'a> ReleasedRow<'a> {
    pub fn new(event: &'a Event, state: &'a str, end: &'a EndState, units: u32) -> ReleasedRow<'a> {
        ReleasedRow {
            event,
            job_id: event.job.0,
            attempt: event.attempt.cast_signed(),
            released: true,
            released_time: Some(event.time.0),
            process_id: end.handle.map(|handle| handle.pid),
            state: Some(state),
            exit_code: end.exit_code.map(|code| code.to_string()),
            error: end.error.as_deref(),
            start_time: end.handle.map(|handle| handle.start_time.0),
            end_time: Some(end.end_time.0),
            units,
        }
    }
}
