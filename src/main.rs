//! *Purpose*: picks a role.
//!
//! *Owns*: the process's exit code.
//!
//! *Promises*: parses, hands on, and does nothing else; wrong settings are exit code 2.
//!
//! *Not here*: the server (`downbeat::serve`), the verbs (`downbeat::cli`), Slurm's programs
//! (`downbeat::slurm`).

use std::io::Write;
use std::process::ExitCode;

use downbeat::cli::{self, Command};
use downbeat::config::{Config, ConfigError, ServeArgs};

fn main() -> ExitCode {
    downbeat::panics::install();
    // Called by the name of one of Slurm's programs it is that one.
    if let Some(code) = downbeat::slurm::called() {
        return code;
    }
    let done = match cli::parse().command {
        Command::Ask(ask) => return cli::run(&ask),
        Command::Slurm(args) => return downbeat::slurm::run(&args.words),
        Command::Stepd(args) => return downbeat::engine::local::stepd::main(&args.data_dir),
        Command::Serve(args) => {
            downbeat::serve::conceal();
            configured(&args).and_then(|config| downbeat::serve::run(&args, config))
        }
        Command::Migrate(args) => {
            configured(&args.as_serve_args()).and_then(downbeat::serve::migrate)
        }
        Command::Demo(args) => downbeat::demo::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            remark(&format!("downbeat: {error:#}"));
            ExitCode::from(if error.is::<ConfigError>() { 2 } else { 1 })
        }
    }
}

/// Says something to the person at the terminal; if nobody can read it, it is lost.
fn remark(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The settings, with what the person who starts the server should know on stderr.
fn configured(args: &ServeArgs) -> anyhow::Result<Config> {
    let config = Config::load(args)?;
    for warning in config.warnings() {
        remark(&format!("downbeat: warning: {warning}"));
    }
    Ok(config)
}
