//! *Purpose*: `downbeat completions SHELL`.
//!
//! *Owns*: nothing; clap knows the verbs.
//!
//! *Promises*: the script goes to stdout, to be sourced.
//!
//! *Not here*: the verbs (`cli`).

use clap::CommandFactory;

use super::{Cli, CliError, say};

/// For which shell.
#[derive(clap::Args, Clone, Debug)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> Result<u8, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "downbeat", &mut script);
    say(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
