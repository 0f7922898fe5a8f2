//! *Purpose*: `downbeat hold`, `release`, `suspend`, `unsuspend` and `update`: jobs, changed.
//!
//! *Owns*: their flags.
//!
//! *Promises*: a change of nothing is a mistake in the command.
//!
//! *Not here*: what a change does (`kernel::commands::edit`), the loop over the jobs
//! (`cli::for_each_job`).

use std::collections::BTreeMap;

use super::client::{Client, Connect};
use super::error::CliError;
use super::for_each_job::{JobsArgs, each_of, for_each_job, for_each_of};
use super::ids::Ids;
use super::moment::as_sent;
use super::selection::{Act, named};
use crate::api::wire::amount::Amount;
use crate::api::wire::update::UpdateBody;
use crate::api::wire::v1::{Job, StateWord};
use crate::text::size;

/// What is to be different.
#[derive(clap::Args, Clone, Debug)]
pub struct UpdateArgs {
    #[command(flatten)]
    connect: Connect,
    /// Print each job as JSON, one a line
    #[arg(long)]
    json: bool,
    /// Time limit, also of a running job, from its start: minutes, H:M:S, D-H:M:S, 90s, UNLIMITED
    #[arg(long, short, value_name = "TIME")]
    time: Option<String>,
    /// Not after, also of a running job: 16:00, tomorrow, 2026-11-22T16:00, now+2h; or `none`
    #[arg(long, value_name = "WHEN")]
    deadline: Option<String>,
    /// Not before, in the same forms; `now` takes it away
    #[arg(long, value_name = "WHEN")]
    begin: Option<String>,
    /// Larger runs first
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    priority: Option<i64>,
    /// CPUs
    #[arg(long, value_name = "N")]
    cpus: Option<i64>,
    /// Memory: MiB, 512M, 2G
    #[arg(long, alias = "mem", value_name = "SIZE", value_parser = size::parse_mib)]
    memory: Option<i64>,
    /// The partition that it waits for
    #[arg(long, short, value_name = "NAME")]
    partition: Option<String>,
    /// Whom to charge; "" for nobody
    #[arg(long, short = 'A', value_name = "NAME")]
    account: Option<String>,
    /// The jobs that it waits for: afterok:7, afterany:7:8, singleton; or `none`
    #[arg(long, short, value_name = "WHAT")]
    dependency: Option<String>,
    /// Its name
    #[arg(long, short = 'J', alias = "job-name", value_name = "NAME")]
    name: Option<String>,
    /// A remark; "" takes it away
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// A label to set, any number of them
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = super::job_flags::label)]
    labels: Vec<(String, String)>,
    /// A label to take away, any number of them
    #[arg(long = "unlabel", value_name = "KEY")]
    unlabel: Vec<String>,
    /// The jobs: 17, 17-20, an array 17, its tasks 17_4 and 17_[3-5], `last` for my last one
    #[arg(value_name = "ID", required = true)]
    ids: Vec<Ids>,
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

/// Of what runs.
const SUSPEND: Act = Act { asks: Some("Suspend"), states: &[StateWord::Running], whole: true };
/// Likewise.
const UNSUSPEND: Act = Act { asks: Some("Unsuspend"), ..SUSPEND };

pub(super) fn suspend(args: &JobsArgs) -> Result<u8, CliError> {
    for_each_of(
        args,
        SUSPEND,
        |client, id| client.post(&format!("/api/v1/jobs/{id}/suspend"), "", None),
        |_, _| "is suspended; it keeps its CPUs, and its time limit stands still".to_owned(),
    )
}

pub(super) fn unsuspend(args: &JobsArgs) -> Result<u8, CliError> {
    for_each_of(
        args,
        UNSUSPEND,
        |client, id| client.post(&format!("/api/v1/jobs/{id}/unsuspend"), "", None),
        |_, _| "goes on".to_owned(),
    )
}

pub(super) fn update(args: &UpdateArgs) -> Result<u8, CliError> {
    let set = args.labels.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
    let labels: BTreeMap<String, Option<String>> =
        set.chain(args.unlabel.iter().map(|key| (key.clone(), None))).collect();
    let body = UpdateBody {
        priority: args.priority,
        time_limit: args.time.clone().map(Amount::Text),
        held: None,
        begin_time: as_sent("--begin", args.begin.as_deref(), "now")?,
        deadline: as_sent("--deadline", args.deadline.as_deref(), "none")?,
        cpus: args.cpus,
        memory: args.memory.map(Amount::Number),
        name: args.name.clone(),
        partition: args.partition.clone(),
        account: args.account.clone(),
        dependency: args.dependency.clone(),
        labels: (!labels.is_empty()).then_some(labels),
        comment: args.comment.clone(),
    };
    if body == UpdateBody::default() {
        let message = "say what to change: --time, --deadline, --begin, --priority, --cpus, \
                       --memory, --partition, --account, --dependency, --name, --comment, --label";
        return Err(CliError::Usage(message.to_owned()));
    }
    let body = serde_json::to_string(&body)
        .map_err(|error| CliError::Other(format!("the change makes no JSON: {error}")))?;
    let client = Client::new(&args.connect)?;
    each_of(
        &client,
        &named(&client, &args.ids)?,
        args.json,
        |client, id| client.patch(&format!("/api/v1/jobs/{id}"), &body),
        |_, job| format!("is changed {}", state(job)),
    )
}

/// Its state and what it waits for.
pub(super) fn state(job: &Job) -> String {
    let reason = job.state_reason.as_ref().map(|word| format!(" {word}")).unwrap_or_default();
    format!("({}{reason})", job.state)
}
