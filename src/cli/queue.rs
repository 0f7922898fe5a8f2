//! *Purpose*: `downbeat queue` (`list`).
//!
//! *Owns*: the table of jobs.
//!
//! *Promises*: without filters it shows the jobs that have not ended, as `squeue` does.
//!
//! *Not here*: one job in full (`cli::show`).

use comfy_table::Cell;

use super::client::{Client, Connect, query};
use super::{CliError, remark, say, table};
use crate::api::wire::time_limit::{format_dhms, format_limit};
use crate::api::wire::v1::{Job, JobList, StateWord};

/// Which jobs.
#[derive(clap::Args, Clone, Debug)]
pub struct QueueArgs {
    #[command(flatten)]
    connect: Connect,
    /// Ended jobs too
    #[arg(long, short)]
    all: bool,
    /// Only these states (repeatable, or with commas)
    #[arg(long, short, value_delimiter = ',')]
    state: Vec<StateWord>,
    /// Only this account
    #[arg(long, short = 'A')]
    account: Option<String>,
    /// Only this name
    #[arg(long, short = 'J')]
    name: Option<String>,
    /// Only this label
    #[arg(long, value_name = "KEY=VALUE")]
    label: Option<String>,
    /// At most so many
    #[arg(long, short = 'n', default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

impl QueueArgs {
    fn path(&self) -> String {
        let states = if self.state.is_empty() && !self.all {
            vec![StateWord::Pending, StateWord::Running, StateWord::Completing]
        } else {
            self.state.clone()
        };
        let mut pairs: Vec<(&str, String)> =
            states.iter().map(|s| ("state", s.word().to_owned())).collect();
        pairs.extend(self.account.iter().map(|a| ("account", a.clone())));
        pairs.extend(self.name.iter().map(|n| ("name", n.clone())));
        // The wire separates key and value by a colon; on the command line both are natural.
        pairs.extend(self.label.iter().map(|l| match l.split_once('=') {
            Some((key, value)) => ("label", format!("{key}:{value}")),
            None => ("label", l.clone()),
        }));
        pairs.push(("limit", self.limit.to_string()));
        format!("/api/v1/jobs{}", query(&pairs))
    }
}

pub(super) fn run(args: &QueueArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let answer = client.get(&args.path())?;
    if args.json {
        say(&answer.text)?;
        return Ok(0);
    }
    let list: JobList = answer.parse()?;
    let header = ["ID", "NAME", "USER", "STATE", "CPUS", "TIME", "LIMIT", "REASON"];
    say(&table::table(&header, list.jobs.iter().map(row).collect()))?;
    if list.next_cursor.is_some() {
        remark(&format!("downbeat: there are more than {}; see --limit", args.limit));
    }
    Ok(0)
}

fn row(job: &Job) -> Vec<Cell> {
    let why = match (&job.exit_code, &job.state_reason) {
        (Some(code), _) if job.state.is_final() => code,
        (_, Some(reason)) => reason,
        _ => "",
    };
    vec![
        Cell::new(job.id),
        Cell::new(&job.name),
        Cell::new(&job.user),
        table::state(job.state),
        Cell::new(job.cpus),
        Cell::new(format_dhms(job.elapsed_s)),
        Cell::new(format_limit(job.time_limit_s)),
        Cell::new(why),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::super::{Ask, Cli, Command};

    fn path(line: &str) -> String {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Ask(Ask::Queue(args)) => args.path(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_filters_only_live_jobs_are_asked_for() {
        assert_eq!(
            path("downbeat queue"),
            "/api/v1/jobs?state=PENDING&state=RUNNING&state=COMPLETING&limit=100"
        );
        assert_eq!(path("downbeat list --all"), "/api/v1/jobs?limit=100");
        assert_eq!(
            path("downbeat queue --state failed,timeout --label a=b -A x --limit 5"),
            "/api/v1/jobs?state=FAILED&state=TIMEOUT&account=x&label=a%3Ab&limit=5"
        );
    }
}
