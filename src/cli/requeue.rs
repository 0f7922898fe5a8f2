//! *Purpose*: `downbeat requeue ID…`.
//!
//! *Owns*: its flags; the attempts of a job as lines.
//!
//! *Promises*: every job is asked for, also after one that failed.
//!
//! *Not here*: what a requeue does (`kernel::commands::requeue`).

use super::error::CliError;
use super::for_each_job::{JobsArgs, for_each_of};
use super::selection::Act;
use super::times;
use super::update::state;
use crate::api::wire::v1::{Attempt, Job, Retry, StateWord};

/// Which jobs.
#[derive(clap::Args, Clone, Debug)]
pub struct RequeueArgs {
    /// Keep them from starting until they are released
    #[arg(long)]
    hold: bool,
    #[command(flatten)]
    jobs: JobsArgs,
}

pub(super) fn run(args: &RequeueArgs) -> Result<u8, CliError> {
    let query = if args.hold { "?hold=true" } else { "" };
    let ask = |client: &super::client::Client, id| {
        client.post(&format!("/api/v1/jobs/{id}/requeue{query}"), "", None)
    };
    // Of an array each task is run again by itself.
    let running = &[StateWord::Running, StateWord::Completing];
    let act = Act { asks: Some("Run again"), states: running, whole: false };
    for_each_of(&args.jobs, act, ask, |_, job| format!("is requeued {}", state(job)))
}

/// What is left of a job's retries.
pub(super) fn retries(retry: &Retry) -> String {
    let Retry { max, on, delay_s, max_delay_s, used } = retry;
    let on = on.join(",");
    format!("{used} of {max} used, after {on}; waits from {delay_s} s to {max_delay_s} s")
}

/// Whether the list of attempts says more than the job does.
pub(super) fn is_worth_a_list(job: &Job) -> bool {
    job.attempt > 1 || job.attempt == 1 && job.state == StateWord::Pending
}

/// The attempts, one a line, and whose the output is.
pub(super) fn lines(job: &Job, attempts: &[Attempt]) -> Vec<(&'static str, Option<String>)> {
    let mut lines: Vec<_> = attempts.iter().map(|one| ("attempt", Some(line(one)))).collect();
    let output = match job.state {
        StateWord::Pending => "the next attempt writes its files anew",
        _ => "of the last attempt alone; each writes its files anew",
    };
    lines.push(("output", Some(output.to_owned())));
    lines
}

fn line(one: &Attempt) -> String {
    let cpus: Vec<String> = one.cpu_ids.iter().map(ToString::to_string).collect();
    let mut line = format!("{} {}", one.attempt, one.state.as_deref().unwrap_or("ended"));
    let mut add = |word: &str, value: Option<&str>| {
        if let Some(value) = value {
            line.push_str(word);
            line.push_str(value);
        }
    };
    add(" ", one.exit_code.as_deref());
    add(", started ", one.start_time.as_deref().map(times::here).as_deref());
    add(", ended ", one.end_time.as_deref().map(times::here).as_deref());
    add(", CPU ", Some(&cpus.join(",")));
    add(": ", one.error.as_deref());
    line
}
