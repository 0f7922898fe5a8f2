//! *Purpose*: `downbeat signal NAME ID…`.
//!
//! *Owns*: its flags.
//!
//! *Promises*: every job is asked for, also after one that does not run.
//!
//! *Not here*: to whom a signal goes (`job::signal`).

use super::error::CliError;
use super::for_each_job::{JobsArgs, for_each_of};
use super::selection::Act;
use crate::api::wire::v1::{Recipients, SignalBody, StateWord};

/// Which signal, and to whom of which jobs.
#[derive(clap::Args, Clone, Debug)]
pub struct SignalArgs {
    /// A name or a number: USR1, TERM, 10
    #[arg(value_name = "SIGNAL")]
    signal: String,
    /// Who of a job gets it. A script that was replaced by its program (`exec`, `downbeat run`) is
    /// the script
    #[arg(long, value_name = "WHOM", default_value = "others", value_parser = whom)]
    to: Recipients,
    #[command(flatten)]
    jobs: JobsArgs,
}

/// One of the words, which a refusal names.
fn whom(word: &str) -> Result<Recipients, String> {
    word.parse().map_err(|_: String| "it is script, others or all".to_owned())
}

pub(super) fn run(args: &SignalArgs) -> Result<u8, CliError> {
    let body = SignalBody { signal: args.signal.clone(), to: args.to };
    let body = serde_json::to_string(&body)
        .map_err(|error| CliError::Other(format!("the signal makes no JSON: {error}")))?;
    let act = Act { asks: Some("Signal"), states: &[StateWord::Running], whole: false };
    let whom = match args.to {
        Recipients::Script => "its script",
        Recipients::Others => "all but its script",
        Recipients::All => "all of it",
    };
    for_each_of(
        &args.jobs,
        act,
        |client, id| client.post(&format!("/api/v1/jobs/{id}/signal"), &body, None),
        |_, _| format!("is sent {}: {whom}", args.signal),
    )
}
