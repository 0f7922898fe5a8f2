//! *Purpose*: rows as the wire's values.
//!
//! *Owns*: the one translation of a job's rows into [`Job`].
//!
//! *Promises*: what is unknown is null; a pending job has a reason.
//!
//! *Not here*: the types (`api::wire`), the reasons (`observe::explain`).

use std::sync::Arc;

use super::app::{App, aside};
use super::error::ApiError;
use super::wire::attempt::Retry;
use super::wire::job::{Allocation, Event, Job, Usage};
use super::wire::resources::AllocationRow as WireAllocation;
use crate::actors::messages::{AS_IF, Explain};
use crate::clock::{now, rfc3339};
use crate::job::ids::{EventId, JobId};
use crate::job::retry_policy::RetryPolicy;
use crate::job::spec::{DataSource, JobSpec, OpenMode};
use crate::job::state::StateWord;
use crate::kernel::eligible::DependencySnapshot;
use crate::observe::explain::{self, Reasons, Why};
use crate::store::read::JobAndAllocation;
use crate::store::rows::{AllocationRow, EventRow, JobRow, from_json};
use crate::time::{SECOND_US, Time};

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

/// A job as it stands now, with why it waits.
pub async fn one(app: &App, job: JobAndAllocation) -> Job {
    let waits = job.0.state_word() == StateWord::Pending;
    let reasons = reasons(app, waits.then(|| job.0.job()).into_iter().collect()).await;
    shown(app, job, &reasons)
}

/// Jobs as they stand now, each with why it waits.
pub async fn many(app: &App, jobs: Vec<JobAndAllocation>) -> Vec<Job> {
    let waiting = jobs.iter().filter(|(row, _)| row.state_word() == StateWord::Pending);
    let reasons = reasons(app, waiting.map(|(row, _)| row.job()).collect()).await;
    jobs.into_iter().map(|job| shown(app, job, &reasons)).collect()
}

/// Why these wait; nobody is asked when none does.
async fn reasons(app: &App, jobs: Vec<JobId>) -> Reasons {
    if jobs.is_empty() {
        return Reasons::default();
    }
    let policy = app.live().policy;
    match app.system.explain.send(Explain { jobs, policy, as_if: None }).await {
        Ok(explained) => {
            // Some milliseconds for a long line: not on the thread that answers everybody.
            aside(move || Reasons::new(policy, explained)).await.unwrap_or_default()
        }
        // The server is stopping; what is known is told.
        Err(_) => Reasons::default(),
    }
}

/// A job as it would stand if it were submitted now; its id is 0, for it has none.
///
/// # Errors
/// When the server is stopping.
pub async fn as_if(
    app: &App,
    spec: Arc<JobSpec>,
    elsewhere: DependencySnapshot,
) -> Result<Job, ApiError> {
    let row = JobRow::submitted(AS_IF, now(), &spec);
    let policy = app.live().policy;
    let message = Explain { jobs: Vec::new(), policy, as_if: Some((spec, elsewhere)) };
    let explained = app.system.explain.send(message).await;
    let explained = explained.map_err(|_| ApiError::unavailable("the server is stopping"))?;
    let reasons = aside(move || Reasons::new(policy, explained)).await.unwrap_or_default();
    let job = shown(app, (row, None), &reasons);
    Ok(Job { id: JobId(0), array_job_id: job.array_job_id.map(|_| JobId(0)), ..job })
}

fn shown(app: &App, (row, allocation): JobAndAllocation, reasons: &Reasons) -> Job {
    let state = row.state_word();
    let why = match state {
        StateWord::Pending => {
            reasons.why(row.job(), (row.cpus as u32, &row.beside_cpus()), &app.now())
        }
        _ => Why::default(),
    };
    let retry = retry(&row);
    let back_off = backs_off(&row, allocation.as_ref(), retry.as_ref());
    let (state_reason, state_detail) = match state {
        StateWord::Pending if why.word == "BeginTime" && back_off.is_some() => {
            (Some(why.word.to_owned()), back_off)
        }
        StateWord::Pending => (Some(why.word.to_owned()), Some(why.sentence)),
        _ => reason(&row, state),
    };
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
        position: why.position.map(|n| n as u64),
        estimated_start_time: why.start.map(|at| time(at.0)),
        estimate_basis: why.basis,
        held: row.held.unwrap_or(false),
        begin_time: row.begin_time.map(time),
        deadline: row.deadline.map(time),
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
        dependency: row.dependency,
        array_job_id: row.array_job_id.map(JobId),
        array_task_id: row.array_task_id.and_then(|task| u32::try_from(task).ok()),
        array_tasks: row.array_tasks,
        retry,
        restart_count: row.restarts as u32,
        signal: row.signal,
        open_mode: row.open_mode.unwrap_or_else(|| OpenMode::Truncate.word().to_owned()),
    }
}

/// When it is run again by itself.
fn retry(row: &JobRow) -> Option<Retry> {
    let policy: RetryPolicy = serde_json::from_str(row.retry.as_deref()?).ok()?;
    Some(Retry::new(&policy, u32::try_from(row.retries).unwrap_or(0)))
}

/// What is said of a job that waits to be run again by itself.
fn backs_off(row: &JobRow, last: Option<&AllocationRow>, retry: Option<&Retry>) -> Option<String> {
    let (last, retry) = (last?, retry.filter(|retry| retry.used > 0)?);
    let attempt = row.attempt as u32;
    let of = (attempt + 1).saturating_add(retry.max.saturating_sub(retry.used));
    let how = (last.state.as_deref()?, last.exit_code.as_deref());
    Some(explain::retries((attempt, of), how, Time(row.begin_time?)))
}

fn reason(row: &JobRow, state: StateWord) -> (Option<String>, Option<String>) {
    let (word, sentence) = match (state, row.completing.as_deref()) {
        (StateWord::Completing, Some("cancelled")) => (
            "Cancelled",
            "was told to stop; its CPUs stay held until its processes are gone".into(),
        ),
        (StateWord::Completing, Some("requeued" | "requeued_hold")) => {
            ("Requeued", "was told to stop, and waits again when its processes are gone".into())
        }
        (StateWord::Completing, Some("preempted")) => (
            "Preempted",
            "was told to stop to make room for another job, and waits again when its processes \
             are gone"
                .into(),
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
