//! *Purpose*: `downbeat wait`, and what a job's end means to a shell.
//!
//! *Owns*: [`until_end`], [`own_code`].
//!
//! *Promises*: a job's code is its own; 128+n for a signal, 124 time limit, 125 cancelled, 126
//! lost, 127 launch failed. A restart of the server is waited out.
//!
//! *Not here*: the verb's own failures (`cli::error`).

use std::time::Duration;

use super::client::{Client, Connect, RetryBudget};
use super::error::CliError;
use super::print::{say, say_json};
use super::progress::Progress;
use super::times::in_sentence;
use crate::api::wire::v1::{ArrayState, ExitCode, Job, JobRef, StateWord};

/// Whom to wait for.
#[derive(clap::Args, Clone, Debug)]
pub struct WaitArgs {
    #[command(flatten)]
    connect: Connect,
    /// Print each job as JSON, one a line
    #[arg(long)]
    json: bool,
    /// The jobs; the code is that of the first of them, or of an array's tasks, that did not end
    /// well
    #[arg(required = true, value_name = "ID")]
    ids: Vec<JobRef>,
}

pub(super) fn run(args: &WaitArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let mut code = 0;
    for id in &args.ids {
        let ended = until_end(&client, *id)?;
        if args.json { say_json(&ended.text) } else { say(&ended.line) }?;
        if code == 0 {
            code = ended.code;
        }
    }
    Ok(code)
}

/// How long one question waits for the end; then it is asked again.
const WAIT_S: u64 = 30;
/// See [`WAIT_S`].
const WAIT: Duration = Duration::from_secs(WAIT_S);

/// What is to be said of a job that has ended.
pub(super) struct Ended {
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
pub(super) fn until_end(client: &Client, id: impl Into<JobRef>) -> Result<Ended, CliError> {
    let id = id.into();
    let progress = Progress::start(format!("job {id}"));
    let mut budget = RetryBudget::default();
    loop {
        let polled = client
            .get_within(&format!("/api/v1/jobs/{id}/wait?timeout_s={WAIT_S}"), WAIT)
            .and_then(|answer| Ok((answer.parse::<Job>()?, answer.text)))
            .and_then(|(job, text)| Ok((ended(client, id, &job)?, job, text)));
        match polled {
            Ok((Some((line, code)), job, text)) => return Ok(Ended { job, text, line, code }),
            Ok((None, job, _)) => {
                budget.refresh();
                let detail = job.state_detail.map(|d| format!(": {}", in_sentence(&d)));
                let detail = detail.unwrap_or_default();
                progress.update(format!("job {id} {}{detail}", job.state));
            }
            Err(error) => budget.spend(error)?,
        }
    }
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
pub(super) mod tests {
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
