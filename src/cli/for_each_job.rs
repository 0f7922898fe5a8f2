//! *Purpose*: one request for each of several jobs.
//!
//! *Owns*: [`JobsArgs`] and the loop over the jobs.
//!
//! *Promises*: every job is asked for, also after one that was refused; the exit code tells.
//!
//! *Not here*: which jobs (`cli::selection`), what is asked (`cli::cancel`, `cli::update`).

use super::client::{Answer, Client, Connect};
use super::error::CliError;
use super::print::{remark, say, say_json};
use super::selection::{Act, Selection};
use crate::api::wire::v1::{Job, JobRef, StateWord};

/// Which jobs.
#[derive(clap::Args, Clone, Debug)]
pub struct JobsArgs {
    #[command(flatten)]
    connect: Connect,
    /// Print each job as JSON, one a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: Selection,
}

/// A change of jobs that wait.
const CHANGE: Act = Act { asks: Some("Change"), states: &[StateWord::Pending], whole: false };

/// Asks for each job that waits, and says what `done` makes of the answer.
pub(super) fn for_each_job(
    args: &JobsArgs,
    ask: impl Fn(&Client, JobRef) -> Result<Answer, CliError>,
    done: impl Fn(&Answer, &Job) -> String,
) -> Result<u8, CliError> {
    for_each_of(args, CHANGE, ask, done)
}

/// The same for those that this act is for.
pub(super) fn for_each_of(
    args: &JobsArgs,
    act: Act,
    ask: impl Fn(&Client, JobRef) -> Result<Answer, CliError>,
    done: impl Fn(&Answer, &Job) -> String,
) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let jobs = args.selection.jobs(&client, act)?;
    each_of(&client, &jobs, args.json, ask, done)
}

/// The same for these.
pub(super) fn each_of(
    client: &Client,
    jobs: &[JobRef],
    json: bool,
    ask: impl Fn(&Client, JobRef) -> Result<Answer, CliError>,
    done: impl Fn(&Answer, &Job) -> String,
) -> Result<u8, CliError> {
    let mut code = 0;
    for id in jobs.iter().copied() {
        let answer = match ask(client, id) {
            Ok(answer) => answer,
            // One job that is refused does not keep the others from it.
            Err(error @ CliError::Refused { .. }) => {
                remark(&format!("downbeat: job {id}: {error}"));
                code = 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        if json {
            say_json(&answer.text)?;
            continue;
        }
        let job: Job = answer.parse()?;
        say(&format!("job {id} {}", done(&answer, &job)))?;
    }
    Ok(code)
}
