//! *Purpose*: `downbeat wait`, and what a job's end means to a shell.
//!
//! *Owns*: [`until_end`], [`own_code`].
//!
//! *Promises*: a job's code is its own; 128+n for a signal, 124 time limit, 125 cancelled, 126
//! lost, 127 launch failed. A restart of the server is waited out.
//!
//! *Not here*: the verb's own failures (`cli::error`).

use super::client::{Client, Connect, Patience};
use super::progress::Progress;
use super::{CliError, say};
use crate::api::wire::v1::{ExitCode, Job, JobId, StateWord};

/// Whom to wait for.
#[derive(clap::Args, Clone, Debug)]
pub struct WaitArgs {
    #[command(flatten)]
    connect: Connect,
    /// Print each job as JSON, one a line
    #[arg(long)]
    json: bool,
    /// The jobs; the code is that of the first of them that did not end well
    #[arg(required = true, value_name = "ID")]
    ids: Vec<JobId>,
}

pub(super) fn run(args: &WaitArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let mut code = 0;
    for &id in &args.ids {
        let (job, text) = until_end(&client, id)?;
        say(if args.json { text } else { line(&job) }.as_str())?;
        if code == 0 {
            code = own_code(&job);
        }
    }
    Ok(code)
}

/// Waits until a job has ended; returns it, and the server's JSON.
pub(super) fn until_end(client: &Client, id: JobId) -> Result<(Job, String), CliError> {
    let progress = Progress::start(format!("job {id}"));
    let mut patience = Patience::default();
    loop {
        let polled = client
            .get(&format!("/api/v1/jobs/{id}/wait?timeout_s=30"))
            .and_then(|answer| Ok((answer.parse::<Job>()?, answer.text)));
        match polled {
            Ok((job, text)) if job.state.is_final() => return Ok((job, text)),
            Ok((job, _)) => {
                patience.refresh();
                let detail = job.state_detail.map(|d| format!(": {d}")).unwrap_or_default();
                progress.update(format!("job {id} {}{detail}", job.state));
            }
            Err(error) => patience.bear(error)?,
        }
    }
}

/// An ended job in one line.
pub(super) fn line(job: &Job) -> String {
    let mut line = format!("job {} {}", job.id, job.state);
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
    let ended = job.exit_code.as_deref().and_then(|c| c.parse::<ExitCode>().ok());
    match (job.state, ended) {
        (StateWord::Completed, _) => 0,
        (StateWord::Timeout, _) => 124,
        (StateWord::Cancelled, _) => 125,
        (StateWord::NodeFail, _) => 126,
        // The script may have ended well although one of its processes was killed.
        (StateWord::OutOfMemory, None | Some(ExitCode { code: 0, signal: 0 })) => 128 + 9,
        (_, None) => 127,
        (_, Some(ExitCode { signal, .. })) if signal != 0 => 128_u8.saturating_add(signal),
        // It failed for another reason than its code, so the code must not say "well".
        (_, Some(ExitCode { code: 0, .. })) => 1,
        (_, Some(ExitCode { code, .. })) => code,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::super::client::tests::{Canned, answer};
    use super::*;

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
        let (job, _) = until_end(&server.client(), JobId(17)).unwrap();
        assert_eq!((own_code(&job), line(&job).as_str()), (3, "job 17 FAILED 3:0"));
        assert_eq!(server.requests().len(), 4);
    }
}
