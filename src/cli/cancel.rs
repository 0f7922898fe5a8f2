//! *Purpose*: `downbeat cancel ID…`.
//!
//! *Owns*: nothing.
//!
//! *Promises*: a job that had ended already is said to have, and one that waited is not.
//!
//! *Not here*: what cancelling does (`kernel::transition`).

use super::error::CliError;
use super::for_each_job::{JobsArgs, for_each_of};
use super::selection::{Act, LIVE};

pub(super) fn run(args: &JobsArgs) -> Result<u8, CliError> {
    for_each_of(
        args,
        Act { asks: Some("Cancel"), states: LIVE, whole: true },
        |client, id| client.post(&format!("/api/v1/jobs/{id}/cancel"), "", None),
        |answer, job| {
            let done = match (answer.did.as_deref(), answer.status) {
                (Some("ended"), _) => "is cancelled, it had not started",
                (Some("over"), _) | (None, 200) => "had ended already",
                _ => "is being cancelled",
            };
            format!("{done} ({})", job.state)
        },
    )
}
