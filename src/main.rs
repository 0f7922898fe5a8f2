//! *Purpose*: picks a role.
//!
//! *Owns*: the process's exit code.
//!
//! *Promises*: parses, hands on, and does nothing else; wrong settings are exit code 2.
//!
//! *Not here*: the server (`downbeat::serve`), the verbs (`downbeat::cli`).

use std::process::ExitCode;

use clap::Parser;
use downbeat::cli::{self, Cli, Command};
use downbeat::config::{Config, ConfigError, ServeArgs};

fn main() -> ExitCode {
    downbeat::panics::install();
    let done = match Cli::parse().command {
        Command::Ask(ask) => return cli::run(&ask),
        Command::Stepd(args) => return downbeat::engine::local::stepd::main(&args.data_dir),
        Command::Serve(args) => configured(&args).and_then(downbeat::serve::run),
        Command::Migrate(args) => {
            configured(&args.as_serve_args()).and_then(|config| downbeat::serve::migrate(&config))
        }
        Command::Demo(args) => downbeat::demo::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("downbeat: {error:#}");
            ExitCode::from(if error.is::<ConfigError>() { 2 } else { 1 })
        }
    }
}

/// The settings, with what the person who starts the server should know on stderr.
fn configured(args: &ServeArgs) -> anyhow::Result<Config> {
    let config = Config::load(args)?;
    for warning in config.warnings() {
        eprintln!("downbeat: warning: {warning}");
    }
    Ok(config)
}
