//! *Purpose*: records as the wire's values.
//!
//! *Owns*: the one translation of a job's record into [`Job`].
//!
//! *Promises*: what is unknown is null; a pending job has a reason.
//!
//! *Not here*: the types (`api::wire`), the reasons (`observe::explain`).

use std::sync::Arc;

use super::app::App;
use super::aside::aside;
use super::caller::Caller;
use super::error::ApiError;
use super::job_usage;
use super::wire::attempt::Retry;
use super::wire::job::{Allocation, Event, HeldBy, Job, StreamEnd, Usage};
use super::wire::pick::Fields;
use super::wire::resources::{AllocationRow as WireAllocation, HeldResources};
use crate::actors::messages::{DRY_RUN_ID, Explain};
use crate::clock::{now, rfc3339};
use crate::job::array_spec::JobRef;
use crate::job::files::{JobFiles, StreamFile};
use crate::job::ids::JobId;
use crate::job::outcome::{self, ExitCode};
use crate::job::spec::JobSpec;
use crate::job::state::{AttemptEnd, EndReason, StateWord};
use crate::kernel::access::{Action, may};
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::kernel::views::explain::Explained;
use crate::observe::explain::{self, Reasons, Why};
use crate::resources::allocation::Share;
use crate::store::read::JobAndAllocation;
use crate::store::record::{AllocationRecord, EventRecord, JobRecord};
use crate::time::{SECOND_US, Time};

/// A time column on the wire.
#[must_use]
pub fn time(at: Time) -> String {
    rfc3339(at)
}

/// Seconds from the start to the end, or to now while it runs, without those in which it was
/// suspended.
#[must_use]
pub fn elapsed_s(row: &JobRecord) -> i64 {
    let until = row.end_time.unwrap_or_else(now);
    let ran = |start| until.since_us(start) - row.suspension.us(until);
    row.start_time.map_or(0, |start| (ran(start) / SECOND_US).max(0))
}

/// When a job has to end that runs.
fn live_end(row: &JobRecord) -> Option<Time> {
    row.expected_end(now()).filter(|_| row.state.is_live())
}

/// Why a job stands still that runs.
fn suspended(since: Time) -> (Option<String>, Option<String>) {
    let sentence = format!(
        "It is suspended since {}: its processes stand still, and it keeps what it holds. \
         `downbeat unsuspend` lets it go on.",
        time(since)
    );
    (Some("Suspended".to_owned()), Some(sentence))
}

/// A job as it stands now, with why it waits, as far as it is its asker's business.
pub async fn one(app: &App, caller: &Caller, job: JobAndAllocation) -> Job {
    let reasons = reasons(app, std::slice::from_ref(&job)).await;
    for_caller(app, caller, job, (&reasons, &Fields::ALL))
}

/// A job that is not stored so, explained as if it were.
pub async fn as_explained(
    app: &App,
    caller: &Caller,
    job: JobAndAllocation,
    explained: Explained,
) -> Job {
    let policy = app.live().policy;
    let reasons = aside(move || Reasons::new(policy, explained)).await.unwrap_or_default();
    for_caller(app, caller, job, (&reasons, &Fields::ALL))
}

/// Jobs as they stand now, likewise; what is not wanted may be missing, for finding it out takes
/// longer than all the rest.
pub async fn many(
    app: &App,
    caller: &Caller,
    jobs: Vec<JobAndAllocation>,
    wanted: &Fields,
) -> Vec<Job> {
    let reasons = match wanted.tell_reasons() {
        true => reasons(app, &jobs).await,
        false => Reasons::default(),
    };
    jobs.into_iter().map(|job| for_caller(app, caller, job, (&reasons, wanted))).collect()
}

fn for_caller(app: &App, caller: &Caller, job: JobAndAllocation, told: Told<'_>) -> Job {
    let may = may(&caller.who, Action::ReadDetails, job.0.whose());
    let job = shown(app, job, told);
    if may.is_ok() { job } else { job.redacted() }
}

/// Why those of these wait that do; nobody is asked when none does.
async fn reasons(app: &App, all: &[JobAndAllocation]) -> Reasons {
    let waiting = || all.iter().map(|(row, _)| row).filter(|row| row.state == StateWord::Pending);
    // A task that is no job yet is shown by the row of its array, under the array's id.
    let task = |row: &JobRecord| row.array_task_id.filter(|_| row.array_job_id == Some(row.id));
    let jobs: Vec<JobRef> = waiting().map(|row| JobRef { job: row.id, task: task(row) }).collect();
    if jobs.is_empty() {
        return Reasons::default();
    }
    let policy = app.live().policy;
    match app.system.explain.send(Explain { jobs, policy, as_if: None }).await {
        Ok(mut explained) => {
            for row in waiting() {
                let left = row.array_tasks.as_ref().map(|left| left.tasks.len());
                left.into_iter().for_each(|left| explained.as_of_row(row.id, left));
            }
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
pub async fn dry_run(
    app: &App,
    spec: Arc<JobSpec>,
    elsewhere: DependencySnapshot,
) -> Result<Job, ApiError> {
    let row = JobRecord::submitted(DRY_RUN_ID, now(), &spec);
    let policy = app.live().policy;
    let message = Explain { jobs: Vec::new(), policy, as_if: Some((spec, elsewhere)) };
    let explained = app.system.explain.send(message).await;
    let explained = explained.map_err(|_| ApiError::unavailable("the server is stopping"))?;
    let reasons = aside(move || Reasons::new(policy, explained)).await.unwrap_or_default();
    let job = shown(app, (row, None), (&reasons, &Fields::ALL));
    Ok(Job { id: JobId(0), array_job_id: job.array_job_id.map(|_| JobId(0)), ..job })
}

/// Why jobs wait, and what of them is wanted.
type Told<'a> = (&'a Reasons, &'a Fields);

fn shown(app: &App, (row, allocation): JobAndAllocation, (reasons, wanted): Told<'_>) -> Job {
    let state = row.state;
    let why = match state {
        StateWord::Pending => {
            let why = reasons.why(row.id, (row.cpus, &row.beside_cpus()), &app.now());
            kept_by_trouble(app, why)
        }
        _ => Why::default(),
    };
    let retry = row.spec.retry.as_deref().map(|policy| Retry::new(policy, row.retries));
    let back_off = backs_off(&row, allocation.as_ref(), retry.as_ref());
    let (state_reason, state_detail) = match state {
        StateWord::Pending if why.word == "BeginTime" && back_off.is_some() => back_off
            .map_or((None, None), |(word, sentence)| (Some(word.to_owned()), Some(sentence))),
        StateWord::Pending => (Some(why.word.to_owned()), Some(why.sentence)),
        _ => row.suspension.since.map_or_else(|| reason(&row, state), suspended),
    };
    let files = wanted.tell_paths().then(|| {
        app.places.files(
            row.id,
            row.spec.working_directory.as_deref(),
            row.spec.standard_output.as_deref(),
            row.spec.standard_error.as_deref(),
        )
    });
    let full = |of: &StreamFile| of.full().display().to_string();
    let asked = |asked: &Option<String>, of: fn(&JobFiles) -> &StreamFile| {
        asked.as_ref().and(files.as_ref()).map(|files| full(of(files)))
    };
    let kept = |of: fn(&JobFiles) -> &StreamFile| {
        files.as_ref().map(of).filter(|of| !of.is_nowhere()).map(full)
    };
    let (live_end, kill_time) = (live_end(&row), row.kill_time().filter(|_| state.is_live()));
    let at = |is_wanted: bool, at: Option<Time>| at.filter(|_| is_wanted).map(time);
    let keep_s = app.system.dials.borrow().keep_s;
    Job {
        id: row.id,
        state,
        state_reason,
        state_detail,
        elapsed_s: elapsed_s(&row),
        usage_now: job_usage::now(app, &row),
        position: why.position.map(|n| n as u64),
        estimated_start_time: why.start.map(time),
        estimate_basis: why.basis,
        held: row.held,
        held_by: held_by(&row),
        begin_time: at(wanted.begin_time, row.begin_time),
        deadline: at(wanted.deadline, row.deadline),
        priority: row.priority,
        cpus: row.cpus,
        ntasks: row.spec.tasks.ntasks.or(row.spec.tasks.ntasks_per_node),
        cpus_per_task: row.spec.tasks.cpus_per_task,
        args: row.spec.invocation.arguments,
        standard_input: row.spec.invocation.standard_input,
        submit_directory: row.spec.invocation.submit_directory,
        command: row.spec.invocation.command,
        mail_type: row.spec.invocation.mail_type,
        mail_user: row.spec.invocation.mail_user,
        memory_bytes: row.memory_bytes.map(u64::cast_signed),
        resources: row.spec.resources.iter().map(|(name, n)| (name.to_string(), n)).collect(),
        time_limit_s: row.time_limit_s.map(i64::from),
        standard_output: asked(&row.spec.standard_output, |files| &files.stdout),
        standard_error: asked(&row.spec.standard_error, |files| &files.stderr),
        stdout_path: kept(|files| &files.stdout),
        stderr_path: kept(|files| &files.stderr),
        kept_until: keep_s
            .and_then(|s| at(wanted.kept_until, Some(row.end_time?.plus_s(i64::from(s))))),
        working_directory: files
            .as_ref()
            .map(|files| files.working_directory.display().to_string()),
        labels: row.labels,
        data_source: row.spec.data_source,
        submit_time: at(wanted.submit_time, Some(row.submit_time)).unwrap_or_default(),
        eligible_time: at(wanted.eligible_time, Some(row.eligible_time)),
        start_time: at(wanted.start_time, row.start_time),
        end_time: at(wanted.end_time, row.end_time),
        expected_end_time: at(wanted.expected_end_time, live_end),
        kill_time: at(wanted.kill_time, kill_time),
        suspend_time: at(wanted.suspend_time, row.suspension.since),
        suspended_s: row.suspension.us(row.end_time.unwrap_or_else(now)) / SECOND_US,
        warnings: row.spec.warnings,
        attempt: row.attempt,
        node: allocation.as_ref().map(|_| app.host.clone()),
        allocation: allocation.map(|a| Allocation {
            cpu_ids: a.cpus,
            resources: held(&a.rest),
            process_id: a.process_id.map(i64::from),
            allocation_time: time(a.allocation_time),
            released: a.released,
            released_time: a.released_time.map(time),
        }),
        usage: row.usage.map(usage),
        name: row.name,
        account: row.account,
        user: row.user,
        uid: row.owner.map(|uid| uid.0),
        redacted: false,
        partition: row.partition,
        comment: row.spec.comment,
        exit_code: row.exit_code.map(|code| code.to_string()),
        exit_status: row.exit_code.and_then(ExitCode::status),
        exit_signal: row.exit_code.and_then(ExitCode::by_signal),
        error: row.error,
        dependency: row.dependency.map(|all| all.to_string()),
        array_job_id: row.array_job_id,
        array_task_id: row.array_task_id,
        array_tasks: row.array_tasks.map(|left| left.to_string()),
        array: None,
        retry,
        restart_count: row.restarts,
        signal: row.spec.signal.map(|signal| signal.to_string()),
        kill_on_invalid_dependency: row.spec.kill_on_invalid_dependency,
        open_mode: row.spec.open_mode.word().to_owned(),
    }
}

/// How a job ended, for whoever followed its output.
#[must_use]
pub fn end(row: &JobRecord) -> StreamEnd {
    StreamEnd {
        job_id: row.id,
        attempt: row.attempt,
        state: row.state,
        exit_code: row.exit_code.map(|code| code.to_string()),
        exit_status: row.exit_code.and_then(ExitCode::status),
        exit_signal: row.exit_code.and_then(ExitCode::by_signal),
    }
}

/// A job that nothing keeps does not start where none is started.
fn kept_by_trouble(app: &App, why: Why) -> Why {
    let trouble = app.system.trouble.borrow().drains().filter(|_| why.word == explain::STARTS);
    match trouble {
        Some(sentence) => Why { word: "ReqNodeNotAvail", sentence, ..why },
        None => why,
    }
}

/// What is said of a job that waits to be run again by itself, in Slurm's word and a sentence.
fn backs_off(
    row: &JobRecord,
    last: Option<&AllocationRecord>,
    retry: Option<&Retry>,
) -> Option<(&'static str, String)> {
    let (last, at) = (last?, row.begin_time?);
    if last.end == Some(AttemptEnd::UserUnknown) {
        let why = last.error.as_deref().unwrap_or_default();
        return Some(("UserUnknown", explain::user_unknown(&row.user, why, at)));
    }
    let retry = retry.filter(|retry| retry.used > 0)?;
    let of = (row.attempt + 1).saturating_add(retry.max.saturating_sub(retry.used));
    let code = last.exit_code.map(|code| code.to_string());
    let how = (last.end?.word(), code.as_deref());
    Some(("BeginTime", explain::retries((row.attempt, of), how, at)))
}

fn reason(row: &JobRecord, state: StateWord) -> (Option<String>, Option<String>) {
    let (word, sentence) = match (state, row.completing) {
        (StateWord::Completing, Some(why)) => ending(why),
        (StateWord::Running, _) if row.start_time.is_none() => {
            ("Starting", "has its CPUs and is being started")
        }
        _ => return (None, None),
    };
    (Some(word.to_owned()), Some(sentence.to_owned()))
}

/// Why a job is being ended, in a word and in a sentence.
fn ending(why: EndReason) -> (&'static str, &'static str) {
    match why {
        EndReason::Cancelled => {
            ("Cancelled", "was told to stop; its CPUs stay held until its processes are gone")
        }
        EndReason::Requeued { .. } => {
            ("Requeued", "was told to stop, and waits again when its processes are gone")
        }
        EndReason::Preempted => (
            "Preempted",
            "was told to stop to make room for another job, and waits again when its processes \
             are gone",
        ),
        EndReason::TimeLimit => ("TimeLimit", "is past its time limit and being stopped"),
        EndReason::OutputLimit => {
            ("OutputLimit", "has written more than it may and is being stopped")
        }
        EndReason::Finishing => {
            ("Finishing", "has ended; processes that its script left behind may finish for a while")
        }
        EndReason::Lost => ("NodeFail", "lost its supervisor; what remains of it is being killed"),
    }
}

/// What processes used.
pub fn usage(used: outcome::Usage) -> Usage {
    Usage {
        user_cpu_s: used.user_us as f64 / SECOND_US as f64,
        system_cpu_s: used.system_us as f64 / SECOND_US as f64,
        max_rss_bytes: used.max_rss_bytes,
    }
}

/// An allocation.
#[must_use]
pub fn allocation(of: &AllocationRecord) -> WireAllocation {
    WireAllocation {
        id: of.id.0,
        job_id: of.attempt.job,
        attempt: of.attempt.n,
        allocated_cpus: of.allocated_cpus,
        cpu_ids: of.cpus.clone(),
        resources: held(&of.rest),
        process_id: of.process_id.map(i64::from),
        released: of.released,
        allocation_time: time(of.allocation_time),
        released_time: of.released_time.map(time),
    }
}

/// Who holds a job that waits for a release.
fn held_by(row: &JobRecord) -> Option<HeldBy> {
    let by = if row.spec.held_by_operator { HeldBy::Operator } else { HeldBy::User };
    row.held.then_some(by)
}

/// What is held beside CPUs, by name.
pub fn held(rest: &[Share]) -> HeldResources {
    rest.iter().map(|share| (share.resource.to_string(), share.held.clone())).collect()
}

/// The principal of what nobody asked for: a grant, an end.
const SERVER: &str = "downbeat";

/// A transition.
#[must_use]
pub fn event(of: EventRecord) -> Event {
    Event {
        id: of.id,
        job_id: of.job,
        time: time(of.time),
        from: of.from,
        to: of.to,
        cause: of.cause,
        principal: if of.principal.is_empty() { SERVER.to_owned() } else { of.principal },
        uid: of.uid.map(|uid| uid.0),
        attempt: of.attempt,
    }
}
