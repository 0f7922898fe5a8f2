//! *Purpose*: `downbeat hold`, `release` and `update`: pending jobs, changed.
//!
//! *Owns*: their flags.
//!
//! *Promises*: a change of nothing is a mistake in the command.
//!
//! *Not here*: what a change does (`kernel::commands::edit`), the loop over the jobs
//! (`cli::for_each_job`).

use super::error::CliError;
use super::for_each_job::{JobsArgs, for_each_job};
use super::moment::as_sent;
use crate::api::wire::amount::Amount;
use crate::api::wire::update::UpdateBody;
use crate::api::wire::v1::Job;

/// What is to be different.
#[derive(clap::Args, Clone, Debug)]
pub struct UpdateArgs {
    /// Larger runs first
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    priority: Option<i64>,
    /// Time limit: minutes, H:M:S, D-H:M:S, 90s, 2h, UNLIMITED
    #[arg(long, short, value_name = "TIME")]
    time: Option<String>,
    /// Not before: 16:00, tomorrow, 2026-11-22T16:00, now+2h; `now` takes it away
    #[arg(long, value_name = "WHEN")]
    begin: Option<String>,
    /// Not after, in the same forms: whoever waits then is cancelled; `none` takes it away
    #[arg(long, value_name = "WHEN")]
    deadline: Option<String>,
    #[command(flatten)]
    jobs: JobsArgs,
}

pub(super) fn hold(args: &JobsArgs) -> Result<u8, CliError> {
    for_each_job(
        args,
        |client, id| client.post(&format!("/api/v1/jobs/{id}/hold"), "", None),
        |_, job| format!("is held {}", state(job)),
    )
}

pub(super) fn release(args: &JobsArgs) -> Result<u8, CliError> {
    for_each_job(
        args,
        |client, id| client.post(&format!("/api/v1/jobs/{id}/release"), "", None),
        |_, job| format!("is released {}", state(job)),
    )
}

pub(super) fn update(args: &UpdateArgs) -> Result<u8, CliError> {
    let body = UpdateBody {
        priority: args.priority,
        time_limit: args.time.clone().map(Amount::Text),
        held: None,
        begin_time: as_sent("--begin", args.begin.as_deref(), "now")?,
        deadline: as_sent("--deadline", args.deadline.as_deref(), "none")?,
    };
    if body == UpdateBody::default() {
        let message = "say what to change: --priority, --time, --begin or --deadline";
        return Err(CliError::Usage(message.to_owned()));
    }
    let body = serde_json::to_string(&body)
        .map_err(|error| CliError::Other(format!("the change makes no JSON: {error}")))?;
    for_each_job(
        &args.jobs,
        |client, id| client.patch(&format!("/api/v1/jobs/{id}"), &body),
        |_, job| format!("is changed {}", state(job)),
    )
}

/// Its state and what it waits for.
pub(super) fn state(job: &Job) -> String {
    let reason = job.state_reason.as_ref().map(|word| format!(" {word}")).unwrap_or_default();
    format!("({}{reason})", job.state)
}
