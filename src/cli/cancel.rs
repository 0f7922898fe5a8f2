//! *Purpose*: `downbeat cancel ID…`.
//!
//! *Owns*: nothing.
//!
//! *Promises*: every job is asked for, also after one that failed.
//!
//! *Not here*: what cancelling does (`kernel::transition`).

use super::client::{Client, Connect};
use super::ids::Ids;
use super::{CliError, remark, say};
use crate::api::wire::v1::Job;

/// Which jobs.
#[derive(clap::Args, Clone, Debug)]
pub struct CancelArgs {
    #[command(flatten)]
    connect: Connect,
    /// Print each job as JSON, one a line
    #[arg(long)]
    json: bool,
    /// The jobs; 17 is an array with all its tasks, 17_4 one of them, 17_[3-5] some
    #[arg(required = true, value_name = "ID")]
    ids: Vec<Ids>,
}

pub(super) fn run(args: &CancelArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let mut code = 0;
    for id in Ids::all(&args.ids) {
        let answer = match client.post(&format!("/api/v1/jobs/{id}/cancel"), "", None) {
            Ok(answer) => answer,
            // One job that is not there does not keep the others running.
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
        let done = if answer.status == 200 { "had ended already" } else { "is being cancelled" };
        say(&format!("job {id} {done} ({})", job.state))?;
    }
    Ok(code)
}
