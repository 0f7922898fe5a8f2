//! *Purpose*: rows as the wire's values.
//!
//! *Owns*: the one translation of a job's rows into [`Job`].
//!
//! *Promises*: what is unknown is null; a pending job has a reason.
//!
//! *Not here*: the types (`api::wire`), the reasons (`observe::explain`).

use super::app::App;
use super::wire::job::{Allocation, Event, Job, Usage};
use super::wire::resources::AllocationRow as WireAllocation;
use crate::clock::{now, rfc3339};
use crate::kernel::ids::{EventId, JobId};
use crate::kernel::job::{DataSource, StateWord};
use crate::kernel::time::{SECOND_US, Time};
use crate::observe::explain::pending_reason;
use crate::store::read::JobAndAllocation;
use crate::store::rows::{AllocationRow, EventRow, JobRow, from_json};

/// A time column on the wire.
#[must_use]
pub fn time(us: i64) -> String {
    rfc3339(Time(us))
}

/// Seconds from the start to the end, or to now while it runs.
#[must_use]
pub fn elapsed_s(row: &JobRow) -> i64 {
    let until = row.end_time.unwrap_or_else(|| now().0);
    row.start_time.map_or(0, |start| (until.saturating_sub(start) / SECOND_US).max(0))
}

/// A job.
#[must_use]
pub fn job(app: &App, (row, allocation): JobAndAllocation) -> Job {
    let state = row.state_word();
    let (state_reason, state_detail) = reason(app, &row, state);
    let files = app.places.files(
        row.job(),
        row.working_directory.as_deref(),
        row.standard_output.as_deref(),
        row.standard_error.as_deref(),
    );
    let path = |asked: &Option<String>, full: std::path::PathBuf| {
        asked.is_some().then(|| full.display().to_string())
    };
    Job {
        id: row.job(),
        state,
        state_reason,
        state_detail,
        elapsed_s: elapsed_s(&row),
        priority: row.priority,
        cpus: row.cpus as u32,
        memory_bytes: row.memory_bytes,
        time_limit_s: row.time_limit_s,
        standard_output: path(&row.standard_output, files.stdout.full()),
        standard_error: path(&row.standard_error, files.stderr.full()),
        working_directory: Some(files.working_directory.display().to_string()),
        labels: from_json(&row.labels),
        data_source: match row.data_source.as_str() {
            "CLI" => DataSource::Cli,
            "WEB" => DataSource::Web,
            _ => DataSource::Api,
        },
        submit_time: time(row.submit_time),
        eligible_time: Some(time(row.eligible_time)),
        start_time: row.start_time.map(time),
        end_time: row.end_time.map(time),
        warnings: from_json(&row.warnings),
        attempt: row.attempt as u32,
        allocation: allocation.map(|a| Allocation {
            cpu_ids: a.cpus(),
            process_id: a.process_id.map(i64::from),
            allocation_time: time(a.allocation_time),
            released: a.released,
            released_time: a.released_time.map(time),
        }),
        usage: usage(&row),
        name: row.name,
        account: row.account,
        user: row.user,
        partition: row.partition,
        comment: row.comment,
        exit_code: row.exit_code,
        error: row.error,
    }
}

fn reason(app: &App, row: &JobRow, state: StateWord) -> (Option<String>, Option<String>) {
    let (word, sentence) = match (state, row.completing.as_deref()) {
        (StateWord::Pending, _) => {
            let memory = row.memory_bytes.and_then(|m| u64::try_from(m).ok()).unwrap_or(0);
            pending_reason(&app.now(), row.job(), row.cpus as u32, memory)
        }
        (StateWord::Completing, Some("cancelled")) => (
            "Cancelled",
            "was told to stop; its CPUs stay held until its processes are gone".into(),
        ),
        (StateWord::Completing, Some("time_limit")) => {
            ("TimeLimit", "is past its time limit and being stopped".into())
        }
        (StateWord::Completing, _) => {
            ("NodeFail", "lost its supervisor; what remains of it is being killed".into())
        }
        (StateWord::Running, _) if row.start_time.is_none() => {
            ("Starting", "has its CPUs and is being started".into())
        }
        _ => return (None, None),
    };
    (Some(word.to_owned()), Some(sentence))
}

fn usage(row: &JobRow) -> Option<Usage> {
    Some(Usage {
        user_cpu_s: row.user_cpu_us? as f64 / SECOND_US as f64,
        system_cpu_s: row.system_cpu_us? as f64 / SECOND_US as f64,
        max_rss_bytes: row.max_rss_bytes?,
    })
}

/// A row of `resource_allocations`.
#[must_use]
pub fn allocation(row: &AllocationRow) -> WireAllocation {
    WireAllocation {
        id: row.id,
        job_id: JobId(row.job_id),
        attempt: row.attempt as u32,
        allocated_cpus: row.allocated_cpus as u32,
        cpu_ids: row.cpus(),
        process_id: row.process_id.map(i64::from),
        released: row.released,
        allocation_time: time(row.allocation_time),
        released_time: row.released_time.map(time),
    }
}

/// The principal of what nobody asked for: a grant, an end.
const SERVER: &str = "downbeat";

/// A transition.
#[must_use]
pub fn event(row: EventRow) -> Event {
    Event {
        id: EventId(row.id),
        job_id: JobId(row.job_id),
        time: time(row.time),
        from: row.from_state.as_deref().and_then(|s| s.parse().ok()),
        to: row.to_state.parse().unwrap_or(StateWord::Failed),
        cause: row.cause,
        principal: if row.principal.is_empty() { SERVER.to_owned() } else { row.principal },
        attempt: row.attempt as u32,
    }
}
