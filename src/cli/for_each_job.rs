//! *Purpose*: one request for each of several jobs.
//!
//! *Owns*: [`JobsArgs`] and the loop over the jobs.
//!
//! *Promises*: every job is asked for, also after one that was refused; the exit code tells.
//!
//! *Not here*: what is asked (`cli::cancel`, `cli::update`).

use super::client::{Answer, Client, Connect};
use super::error::CliError;
use super::ids::Ids;
use super::print::{remark, say, say_json};
use crate::api::wire::v1::{Job, JobRef};

/// Which jobs.
#[derive(clap::Args, Clone, Debug)]
pub struct JobsArgs {
    #[command(flatten)]
    connect: Connect,
    /// Print each job as JSON, one a line
    #[arg(long)]
    json: bool,
    /// The jobs; 17 is an array, 17_4 a task of it, 17_[3-5] some
    #[arg(required = true, value_name = "ID")]
    ids: Vec<Ids>,
}

/// Asks for each job, and says what `done` makes of the answer.
pub(super) fn for_each_job(
    args: &JobsArgs,
    ask: impl Fn(&Client, JobRef) -> Result<Answer, CliError>,
    done: impl Fn(&Answer, &Job) -> String,
) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let mut code = 0;
    for id in Ids::all(&args.ids) {
        let answer = match ask(&client, id) {
            Ok(answer) => answer,
            // One job that is refused does not keep the others from it.
            Err(error @ CliError::Refused { .. }) => {
                remark(&format!("downbeat: job {id}: {error}"));
                code = 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        if args.json {
            say_json(&answer.text)?;
            continue;
        }
        let job: Job = answer.parse()?;
        say(&format!("job {id} {}", done(&answer, &job)))?;
    }
    Ok(code)
}
