//! *Purpose*: asks. The command line: which verbs there are, and what each prints.
//!
//! *Owns*: [`Cli`], [`Command`] and exit codes: 0 done, 1 the request failed, 2 usage, 3 server
//! unreachable; `wait` and `run` end with the job's own code.
//!
//! *Promises*: results go to stdout, remarks to stderr; no colour and no animation off a
//! terminal; a closed pipe is an end, not an error.
//!
//! *Not here*: what `serve`, `demo`, `migrate` and `stepd` do: `main` hands their arguments on,
//! for this room links against no actor.

mod audit;
pub(crate) mod caller;
mod cancel;
pub mod client;
mod columns;
mod completions;
pub mod demo;
mod drain;
mod error;
mod filters;
mod fold;
mod follow;
mod for_each_job;
mod history;
mod ids;
pub mod job_flags;
mod logs;
mod migrate;
mod moment;
mod own_input;
mod partitions;
mod place;
mod print;
mod progress;
mod queue;
pub(crate) mod raw_mode;
mod reader;
mod requeue;
pub(crate) mod run;
pub(crate) mod sbatch_options;
mod selection;
mod serve;
mod show;
mod signal;
mod simulate;
mod status;
pub mod stepd;
pub(crate) mod submit;
pub(crate) mod table;
mod tasks;
mod terminal;
mod times;
mod token;
mod top;
mod trust;
mod update;
mod usage;
mod used;
pub(crate) mod wait;
mod web;
mod whoami;

use std::process::ExitCode;

use clap::{Command as Clap, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use demo::DemoArgs;
pub use error::CliError;
pub use migrate::MigrateArgs;
use print::remark;
pub use serve::ServeArgs;
pub use stepd::StepdArgs;

/// A batch-job scheduler for one big shared server.
#[derive(Debug, Parser)]
#[command(name = "downbeat", version, about, max_term_width = 100, subcommand_required = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of it, made once")]
pub enum Command {
    /// Run the server
    Serve(ServeArgs),
    /// Show it all in one command: a private server, example jobs, the ledger, the audit
    Demo(DemoArgs),
    /// Bring the database to this version's form, without serving
    Migrate(MigrateArgs),
    /// The step daemon, which the server starts by itself
    #[command(hide = true)]
    Stepd(StepdArgs),
    /// Slurm's programs by their names: downbeat slurm sbatch job.sh; install makes links
    #[command(disable_help_flag = true)]
    Slurm(SlurmArgs),
    /// The verbs that ask a server.
    #[command(flatten)]
    Ask(Ask),
}

/// A program of Slurm's, and its own command line.
#[derive(clap::Args, Clone, Debug)]
pub struct SlurmArgs {
    /// sbatch, squeue, scancel …, or install --dir DIR
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub words: Vec<std::ffi::OsString>,
}

/// The verbs that ask a server, or nobody but a file.
#[derive(Debug, Subcommand)]
pub enum Ask {
    /// Submit a script
    Submit(submit::SubmitArgs),
    /// Submit a command, stream its output, end with its code
    Run(run::RunArgs),
    /// List jobs
    #[command(visible_alias = "list")]
    Queue(queue::QueueArgs),
    /// Show all there is to know about a job
    Show(show::ShowArgs),
    /// Print what a job wrote
    Logs(logs::LogsArgs),
    /// Cancel jobs
    Cancel(for_each_job::JobsArgs),
    /// Keep pending jobs from starting until they are released
    Hold(for_each_job::JobsArgs),
    /// Let held jobs start again
    Release(for_each_job::JobsArgs),
    /// Run jobs again under their own ids; running ones are stopped first
    Requeue(requeue::RequeueArgs),
    /// Stop jobs that run where they stand; they keep their CPUs
    Suspend(for_each_job::JobsArgs),
    /// Let suspended jobs go on
    Unsuspend(for_each_job::JobsArgs),
    /// Send a signal to jobs that run
    Signal(signal::SignalArgs),
    /// Change jobs: of running ones the time limit, of others anything
    Update(update::UpdateArgs),
    /// Watch it all on one screen: cores, what runs, waits and ended, what a job prints
    Top(top::TopArgs),
    /// Wait for jobs to end, and end with their code
    Wait(wait::WaitArgs),
    /// Start no more jobs, now or in a time to come; what runs runs on
    Drain(drain::DrainArgs),
    /// Start jobs again
    Resume(drain::ResumeArgs),
    /// Show the server's CPUs, job counts and health
    Status(status::StatusArgs),
    /// Open the pages in a browser, as you: print an address that is good once
    Web(web::WebArgs),
    /// Say whom the server takes you for, and what you may do
    Whoami(whoami::WhoamiArgs),
    /// Make, list and revoke tokens: with one you are yourself over TCP too
    Token(token::TokenArgs),
    /// Tell who used how much: CPU and GPU hours, jobs, waits
    Usage(used::UsageArgs),
    /// List who asked for what
    History(history::HistoryArgs),
    /// List partitions: their CPUs, what is free of them, their limits
    Partitions(partitions::PartitionsArgs),
    /// Compare ledger, database and processes; exit 1 when they disagree
    Audit(audit::AuditArgs),
    /// Tell what policies would have done with the jobs of a real machine
    Simulate(simulate::SimulateArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

/// The command line as its help shows it.
#[must_use]
pub fn command() -> Clap {
    usage::arranged(Cli::command())
}

/// What was typed. Ends the program where it makes no sense, or asks for help.
#[must_use]
pub fn parse() -> Cli {
    let words = usage::behind_the_verb(std::env::args_os().collect());
    let parsed = command().try_get_matches_from(words);
    match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => usage::without_bad_tip(error).exit(),
    }
}

/// Does what a verb asks and prints what came of it.
#[must_use]
pub fn run(ask: &Ask) -> ExitCode {
    let done = match ask {
        Ask::Submit(args) => submit::run(args),
        Ask::Run(args) => run::run(args),
        Ask::Queue(args) => queue::run(args),
        Ask::Show(args) => show::run(args),
        Ask::Logs(args) => logs::run(args),
        Ask::Cancel(args) => cancel::run(args),
        Ask::Hold(args) => update::hold(args),
        Ask::Release(args) => update::release(args),
        Ask::Requeue(args) => requeue::run(args),
        Ask::Suspend(args) => update::suspend(args),
        Ask::Unsuspend(args) => update::unsuspend(args),
        Ask::Signal(args) => signal::run(args),
        Ask::Update(args) => update::update(args),
        Ask::Top(args) => top::run(args),
        Ask::Wait(args) => wait::run(args),
        Ask::Drain(args) => drain::drain(args),
        Ask::Resume(args) => drain::resume(args),
        Ask::Status(args) => status::run(args),
        Ask::Web(args) => web::run(args),
        Ask::Whoami(args) => whoami::run(args),
        Ask::Token(args) => token::run(args),
        Ask::Usage(args) => used::run(args),
        Ask::History(args) => history::run(args),
        Ask::Partitions(args) => partitions::run(args),
        Ask::Audit(args) => audit::run(args),
        Ask::Simulate(args) => simulate::run(args),
        Ask::Completions(args) => completions::run(args, command()),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(CliError::Pipe) => ExitCode::SUCCESS,
        Err(error) => {
            remark(&format!("downbeat: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn every_verb_of_the_contract_is_there() {
        for line in [
            "downbeat serve --listen 127.0.0.1:0 --output-root /a --output-root /b",
            "downbeat demo",
            "downbeat migrate --data-dir /tmp/x",
            "downbeat stepd --data-dir /tmp/x",
            "downbeat submit -J n -c 2 --mem 1G -t 1:00 -o o -e e -D /tmp -A a -p p --wait x.sh",
            "downbeat submit --label a=b --label c=d --export A=1,B --exclusive -",
            "downbeat run -c 2 -- sh -c true",
            "downbeat list --all --json",
            "downbeat queue --state pending,RUNNING --limit 5",
            "downbeat queue -o id,state --sort -time,id --me --since yesterday --watch 17 18_[1-3]",
            "downbeat show 1 --json",
            "downbeat logs -f --stderr 1",
            "downbeat logs --tail 5 1",
            "downbeat cancel 1 2",
            "downbeat cancel --state pending --name x --user u --label a=b -A a --all --yes",
            "downbeat wait --any --timeout 5m 1-3 last 4_[1-2]",
            "downbeat hold 1 2",
            "downbeat requeue --hold 1 2",
            "downbeat submit --retry 3 --retry-on exit_code:75,node_fail --retry-delay 5s x.sh",
            "downbeat submit --retry 3 --retry-max-delay 1m --signal B:USR1@60 x.sh",
            "downbeat drain --from now+1h --until now+2h --reason disks",
            "downbeat resume 1",
            "downbeat release 1 2",
            "downbeat update --priority -3 --time 2h --begin now+1h --deadline none 1 2",
            "downbeat submit --hold --begin now+2h --dependency afterok:1 --test-only x.sh",
            "downbeat wait 1 2",
            "downbeat top --ascii --me",
            "downbeat status --server http://h:1",
            "downbeat partitions --json",
            "downbeat audit",
            "downbeat token create --name laptop --role viewer --user ann --expires 30d",
            "downbeat token list --all --json",
            "downbeat token revoke 1f0c5a9b2e47",
            "downbeat usage --by account --since yesterday --until today --csv",
            "downbeat history --user alice --job 17 -n 5 --json",
            "downbeat simulate a.swf b.swf.gz --policy fcfs,fcfs+easy --policy fcfs+firstfit/tick5",
            "downbeat simulate a.swf --mode sequential --estimates clairvoyant --json --cpus 9",
            "downbeat completions bash",
        ] {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {:?}", parsed.err().map(|e| e.to_string()));
        }
        for line in ["downbeat", "downbeat wait x", "downbeat queue --state ASLEEP", "downbeat run"]
        {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
