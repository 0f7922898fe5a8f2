//! *Purpose*: `downbeat completions SHELL`.
//!
//! *Owns*: nothing; clap knows the verbs.
//!
//! *Promises*: the script goes to stdout, to be sourced.
//!
//! *Not here*: the verbs (`cli`).

use super::error::CliError;
use super::print::say;

/// For which shell.
#[derive(clap::Args, Clone, Debug)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// For these verbs.
pub(super) fn run(args: &CompletionsArgs, mut verbs: clap::Command) -> Result<u8, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut verbs, "downbeat", &mut script);
    say(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
