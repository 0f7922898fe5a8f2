//! *Purpose*: `downbeat hold`, `release` and `update`: pending jobs, changed.
//!
//! *Owns*: their flags.
//!
//! *Promises*: every job is asked for, also after one that failed.
//!
//! *Not here*: what a change does (`kernel::eligible`).

use super::client::{Client, Connect};
use super::{CliError, remark, say};
use crate::api::wire::body::Amount;
use crate::api::wire::update::UpdateBody;
use crate::api::wire::v1::{Job, JobId};

/// Which jobs.
#[derive(clap::Args, Clone, Debug)]
pub struct JobsArgs {
    #[command(flatten)]
    connect: Connect,
    /// Print each job as JSON, one a line
    #[arg(long)]
    json: bool,
    /// The jobs
    #[arg(required = true, value_name = "ID")]
    ids: Vec<JobId>,
}

/// What is to be different.
#[derive(clap::Args, Clone, Debug)]
pub struct UpdateArgs {
    /// Larger runs first
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    priority: Option<i64>,
    /// Time limit: minutes, H:M:S, D-H:M:S, 90s, 2h, UNLIMITED
    #[arg(long, short, value_name = "TIME")]
    time: Option<String>,
    /// Not before: 2026-11-22T16:00:00Z, now+2h; `now` takes it away
    #[arg(long, value_name = "WHEN")]
    begin: Option<String>,
    /// Not after: whoever waits then is cancelled; `none` takes it away
    #[arg(long, value_name = "WHEN")]
    deadline: Option<String>,
    #[command(flatten)]
    jobs: JobsArgs,
}

pub(super) fn hold(args: &JobsArgs) -> Result<u8, CliError> {
    each(args, "is held", |client, id| client.post(&format!("/api/v1/jobs/{id}/hold"), "", None))
}

pub(super) fn release(args: &JobsArgs) -> Result<u8, CliError> {
    each(args, "is released", |client, id| {
        client.post(&format!("/api/v1/jobs/{id}/release"), "", None)
    })
}

pub(super) fn update(args: &UpdateArgs) -> Result<u8, CliError> {
    let body = UpdateBody {
        priority: args.priority,
        time_limit: args.time.clone().map(Amount::Text),
        held: None,
        begin_time: args.begin.clone(),
        deadline: args.deadline.clone(),
    };
    if body == UpdateBody::default() {
        let message = "say what to change: --priority, --time, --begin or --deadline";
        return Err(CliError::Usage(message.to_owned()));
    }
    let body = serde_json::to_string(&body)
        .map_err(|error| CliError::Other(format!("the change makes no JSON: {error}")))?;
    each(&args.jobs, "is changed", |client, id| client.patch(&format!("/api/v1/jobs/{id}"), &body))
}

pub(super) fn each(
    args: &JobsArgs,
    done: &str,
    ask: impl Fn(&Client, JobId) -> Result<super::client::Answer, CliError>,
) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let mut code = 0;
    for id in &args.ids {
        let answer = match ask(&client, *id) {
            Ok(answer) => answer,
            // One job that cannot be changed does not keep the others from it.
            Err(error @ CliError::Refused { .. }) => {
                remark(&format!("downbeat: job {id}: {error}"));
                code = 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        if args.json {
            say(&answer.text)?;
            continue;
        }
        let job: Job = answer.parse()?;
        let reason = job.state_reason.map(|word| format!(" {word}")).unwrap_or_default();
        say(&format!("job {id} {done} ({}{reason})", job.state))?;
    }
    Ok(code)
}
