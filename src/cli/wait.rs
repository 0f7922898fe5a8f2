//! *Purpose*: `downbeat wait`, and what a job's end means to a shell.
//!
//! *Owns*: [`until_end`], [`own_code`].
//!
//! *Promises*: a job's code is its own; 128+n for a signal, 124 time limit, 125 cancelled, 126
//! lost, 127 launch failed. A restart of the server is waited out. A job that can never start is
//! not waited for.
//!
//! *Not here*: the verb's own failures (`cli::error`).

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, Connect, RetryBudget};
use super::error::CliError;
use super::print::{say, say_json};
use super::progress::Progress;
use super::selection::{Act, LIVE, Selection};
use super::times::in_sentence;
use crate::api::wire::v1::{ArrayState, ExitCode, Job, JobRef, StateWord};
use crate::clock;
use crate::job::array_spec::ArraySpec;
use crate::text::duration;

/// Whom to wait for.
#[derive(clap::Args, Clone, Debug)]
pub struct WaitArgs {
    #[command(flatten)]
    connect: Connect,
    /// Print each job as JSON, one a line
    #[arg(long)]
    json: bool,
    /// Until the first of them has ended; the code is its own
    #[arg(long)]
    any: bool,
    /// At most so long, 90s or 2h; then the code is 1
    #[arg(long, value_name = "TIME", value_parser = duration::parse_s)]
    timeout: Option<i64>,
    #[command(flatten)]
    selection: Selection,
}

/// Most jobs of `--any`: each is waited for on a connection of its own.
const ANY_MAX: usize = 64;

/// Those that have not ended, an array as a whole.
const WAIT_FOR: Act = Act { asks: None, states: LIVE, whole: true };

pub(super) fn run(args: &WaitArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let jobs = args.selection.jobs(&client, WAIT_FOR)?;
    let until = args.timeout.map(|seconds| {
        clock::monotonic() + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    });
    let late = |id: JobRef| {
        let seconds = args.timeout.unwrap_or_default();
        CliError::Other(format!("job {id} has not ended in {}", duration::short(seconds)))
    };
    if args.any && !jobs.is_empty() {
        let ended = first_of(&client, &jobs, until)?.ok_or_else(|| late(jobs[0]))?;
        return say_ended(args, &ended).map(|()| ended.code);
    }
    let mut code = 0;
    for id in jobs {
        let ended = until_end_within(&client, id, until)?.ok_or_else(|| late(id))?;
        say_ended(args, &ended)?;
        if code == 0 {
            code = ended.code;
        }
    }
    Ok(code)
}

fn say_ended(args: &WaitArgs, ended: &Ended) -> Result<(), CliError> {
    if args.json { say_json(&ended.text) } else { say(&ended.line) }
}

/// The first of these that ends; `None` when none does in time.
fn first_of(
    client: &Client,
    jobs: &[JobRef],
    until: Option<Instant>,
) -> Result<Option<Ended>, CliError> {
    if jobs.len() > ANY_MAX {
        let message = format!("--any waits for at most {ANY_MAX} jobs, these are {}", jobs.len());
        return Err(CliError::Usage(message));
    }
    let (tell, told) = mpsc::channel();
    for id in jobs.iter().copied() {
        let (client, tell) = (client.clone(), tell.clone());
        // The program ends with the first answer, and these with it.
        thread::spawn(move || {
            let _somebody_was_sooner = tell.send(until_end_within(&client, id, until));
        });
    }
    drop(tell);
    told.recv().map_err(|_| CliError::Other("waiting ended in a panic".to_owned()))?
}

/// How long one question waits for the end; then it is asked again.
const WAIT_S: u64 = 30;
/// The same of a job that waits for another: that it never will start is no change of its own.
const DEPENDS_S: u64 = 2;
/// See [`WAIT_S`].
const WAIT: Duration = Duration::from_secs(WAIT_S);

/// What is to be said of a job that has ended.
pub(crate) struct Ended {
    /// The job; of an array its own.
    pub job: Job,
    /// The server's JSON.
    pub text: String,
    /// In one line.
    pub line: String,
    /// For a shell: of an array that of the first task that did not end well.
    pub code: u8,
}

/// Waits until a job has ended, or all tasks of an array.
pub(crate) fn until_end(client: &Client, id: impl Into<JobRef>) -> Result<Ended, CliError> {
    let ended = until_end_within(client, id.into(), None)?;
    ended.ok_or_else(|| CliError::Other("waiting ended before the job did".to_owned()))
}

/// The same, until then at the most; `None` when it has not ended by then.
fn until_end_within(
    client: &Client,
    id: JobRef,
    until: Option<Instant>,
) -> Result<Option<Ended>, CliError> {
    let progress = Progress::start(format!("job {id}"));
    let mut budget = RetryBudget::default();
    // The first question is answered at once: the job may never be able to start.
    let mut patience = 0;
    loop {
        let left = until.map(|until| until.saturating_duration_since(clock::monotonic()));
        let wait_s = left.map_or(patience, |left| patience.min(left.as_secs()));
        let polled = client
            .get_within(&format!("/api/v1/jobs/{id}/wait?timeout_s={wait_s}"), WAIT)
            .and_then(|answer| Ok((answer.parse::<Job>()?, answer.text)))
            .and_then(|(job, text)| Ok((ended(client, id, &job)?, job, text)));
        match polled {
            Ok((Some((line, code)), job, text)) => {
                return Ok(Some(Ended { job, text, line, code }));
            }
            Ok((None, job, _)) => {
                budget.refresh();
                let detail = job.state_detail.as_deref().map(in_sentence);
                if is_never(client, id, &job)? {
                    let why = detail.unwrap_or_default();
                    return Err(CliError::Other(format!("job {id} cannot start: {why}")));
                }
                let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
                progress.update(format!("job {id} {}{detail}", job.state));
                let depends = job.state_reason.as_deref() == Some("Dependency");
                patience = if depends { DEPENDS_S } else { WAIT_S };
            }
            Err(error) => budget.spend(error)?,
        }
        if until.is_some_and(|until| clock::monotonic() >= until) {
            return Ok(None);
        }
        // Less than a second is left, which the server does not count in.
        if let Some(left) = left.filter(|left| left.as_secs() == 0 && patience > 0) {
            thread::sleep(left);
        }
    }
}

/// Whether a job waits for what will never be. Of an array, whether no task goes on either.
fn is_never(client: &Client, id: JobRef, job: &Job) -> Result<bool, CliError> {
    if job.state_reason.as_deref() != Some("DependencyNeverSatisfied") {
        return Ok(false);
    }
    if id.task.is_some() || !job.is_array() {
        return Ok(true);
    }
    // Its row is that of the tasks that are no jobs of their own; those may still run, or wait.
    let left = job.array_tasks.as_deref().and_then(|left| left.parse::<ArraySpec>().ok());
    let states = client.array(job.id)?.states;
    let open = [StateWord::Pending, StateWord::Running, StateWord::Completing];
    let open: u64 = open.into_iter().map(|state| states.of(state)).sum();
    Ok(left.is_some_and(|left| left.tasks.len() as u64 == open))
}

/// The line and the code of what has ended; `None` while it has not.
fn ended(client: &Client, id: JobRef, job: &Job) -> Result<Option<(String, u8)>, CliError> {
    if !job.state.is_final() {
        return Ok(None);
    }
    if id.task.is_some() || !job.is_array() {
        return Ok(Some((line(job), own_code(job))));
    }
    let array = client.array(job.id)?;
    if !array.over {
        return Ok(None);
    }
    let worst = array.first_not_completed.as_deref().and_then(|id| id.parse::<JobRef>().ok());
    let code = match worst {
        Some(task) => own_code(&client.job(task)?.0),
        None => 0,
    };
    Ok(Some((format!("job {id} {}", tally(&array)), code)))
}

/// How many tasks are in which state, those that there are.
pub(super) fn tally(array: &ArrayState) -> String {
    let counts = StateWord::ALL.iter().map(|state| (array.states.of(*state), state));
    let some = counts.filter(|(n, _)| *n > 0);
    some.map(|(n, state)| format!("{n} {state}")).collect::<Vec<_>>().join(", ")
}

/// An ended job in one line.
pub(super) fn line(job: &Job) -> String {
    let mut line = format!("job {} {}", job.shown_id(), job.state);
    if let Some(code) = &job.exit_code {
        line.push_str(&format!(" {code}"));
    }
    if let Some(error) = &job.error {
        line.push_str(&format!(" ({error})"));
    }
    line
}

/// The code that a shell would have seen had it run the job itself.
pub(super) fn own_code(job: &Job) -> u8 {
    job.state.shell_code(job.exit_code.as_deref().and_then(|code| code.parse::<ExitCode>().ok()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::super::client::tests::{Canned, answer};
    use super::*;
    use crate::api::wire::v1::JobId;

    /// A job as the server writes one.
    pub(crate) fn job(state: &str, exit_code: Option<&str>) -> String {
        serde_json::json!({
            "id": 17, "name": "n", "account": "", "user": "me", "partition": "default",
            "state": state, "state_reason": null, "state_detail": null, "priority": 0, "cpus": 1,
            "memory_bytes": null, "time_limit_s": null, "working_directory": null,
            "standard_output": null, "standard_error": null, "labels": {}, "comment": null,
            "data_source": "CLI", "submit_time": "2026-11-22T03:42:17.123456Z",
            "eligible_time": null, "start_time": null, "end_time": null, "elapsed_s": 0,
            "exit_code": exit_code, "error": null, "warnings": [], "attempt": 1,
            "allocation": null, "usage": null,
        })
        .to_string()
    }

    #[test]
    fn a_job_s_end_is_the_code_a_shell_would_have_seen() {
        let table = [
            ("COMPLETED", Some("0:0"), 0),
            ("FAILED", Some("3:0"), 3),
            ("FAILED", Some("0:11"), 139),
            ("FAILED", Some("0:0"), 1),
            ("FAILED", None, 127),
            ("TIMEOUT", Some("0:15"), 124),
            ("CANCELLED", Some("0:15"), 125),
            ("CANCELLED", None, 125),
            ("NODE_FAIL", None, 126),
            ("OUT_OF_MEMORY", Some("0:9"), 137),
            ("OUT_OF_MEMORY", None, 137),
            ("OUT_OF_MEMORY", Some("0:0"), 137),
            ("OUT_OF_MEMORY", Some("2:0"), 2),
        ];
        for (state, exit_code, code) in table {
            let job: Job = serde_json::from_str(&job(state, exit_code)).unwrap();
            assert_eq!(own_code(&job), code, "{state} {exit_code:?}");
        }
    }

    #[test]
    fn waiting_outlives_a_server_that_restarts() {
        let server = Canned::start(vec![
            answer("200 OK", &job("PENDING", None)),
            String::new(),
            answer("503 Service Unavailable", "{}"),
            answer("200 OK", &job("FAILED", Some("3:0"))),
        ]);
        let ended = until_end(&server.client(), JobId(17)).unwrap();
        assert_eq!((ended.code, ended.line.as_str()), (3, "job 17 FAILED 3:0"));
        assert_eq!(server.requests().len(), 4);
    }
}
