//! *Purpose*: `downbeat queue` (`list`).
//!
//! *Owns*: the table of jobs.
//!
//! *Promises*: without filters it shows the jobs that have not ended, as `squeue` does. A page of
//! the server may end early; the next ones are asked for until there are as many jobs as wanted.
//!
//! *Not here*: one job in full (`cli::show`).

use comfy_table::Cell;
use serde_json::Value;

use super::client::{Answer, Client, Connect, query};
use super::error::CliError;
use super::print::{remark, say, say_json};
use super::table;
use crate::api::wire::v1::{Job, JobId, JobList, StateWord};
use crate::text::duration::format_dhms;
use crate::text::time_limit::format_limit;

/// Pages that are asked for before giving up: with what a server looks at for each of them, the
/// newest five million jobs.
const PAGES_MAX: usize = 1_000;

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
    /// Only the tasks of this array, and what is left of it
    #[arg(long, value_name = "ID")]
    array: Option<JobId>,
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
    /// For `wanted` jobs more, behind the cursor.
    fn path(&self, wanted: usize, cursor: Option<&str>) -> String {
        let states = if self.state.is_empty() && !self.all {
            vec![StateWord::Pending, StateWord::Running, StateWord::Completing]
        } else {
            self.state.clone()
        };
        let mut pairs: Vec<(&str, String)> =
            states.iter().map(|s| ("state", s.word().to_owned())).collect();
        pairs.extend(self.account.iter().map(|a| ("account", a.clone())));
        pairs.extend(self.name.iter().map(|n| ("name", n.clone())));
        pairs.extend(self.array.map(|array| ("array_job_id", array.to_string())));
        // The wire separates key and value by a colon; on the command line both are natural.
        pairs.extend(self.label.iter().map(|l| match l.split_once('=') {
            Some((key, value)) => ("label", format!("{key}:{value}")),
            None => ("label", l.clone()),
        }));
        pairs.push(("limit", wanted.to_string()));
        pairs.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        format!("/api/v1/jobs{}", query(&pairs))
    }
}

/// All pages as one.
#[derive(Debug, PartialEq)]
struct Pages {
    /// The server's JSON.
    json: String,
    list: JobList,
}

/// Asks for page after page until there are as many jobs as wanted, or no more.
fn gather(
    args: &QueueArgs,
    mut ask: impl FnMut(&str) -> Result<Answer, CliError>,
) -> Result<Pages, CliError> {
    let answer = ask(&args.path(args.limit as usize, None))?;
    let mut all = Pages { list: answer.parse()?, json: answer.text };
    if all.list.next_cursor.is_none() {
        return Ok(all);
    }
    let mut merged: Value = serde_json::from_str(&all.json).unwrap_or_default();
    for _ in 1..PAGES_MAX {
        let wanted = (args.limit as usize).saturating_sub(all.list.jobs.len());
        let Some(cursor) = all.list.next_cursor.as_deref().filter(|_| wanted > 0) else { break };
        let answer = ask(&args.path(wanted, Some(cursor)))?;
        let JobList { jobs, next_cursor } = answer.parse()?;
        all.list.jobs.extend(jobs);
        all.list.next_cursor = next_cursor;
        let mut text: Value = answer.parse()?;
        merged["next_cursor"] = text["next_cursor"].take();
        if let (Some(all), Some(more)) =
            (merged["jobs"].as_array_mut(), text["jobs"].as_array_mut())
        {
            all.append(more);
        }
    }
    all.json = merged.to_string();
    Ok(all)
}

pub(super) fn run(args: &QueueArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let Pages { json, list } = gather(args, |path| client.get(path))?;
    if args.json {
        say_json(&json)?;
        return Ok(0);
    }
    let header = ["ID", "NAME", "USER", "STATE", "CPUS", "TIME", "LIMIT", "REASON"];
    say(&table::table(&header, list.jobs.iter().map(row).collect()))?;
    match list.next_cursor {
        None => {}
        Some(_) if list.jobs.len() >= args.limit as usize => {
            remark(&format!("downbeat: there are more than {}; see --limit", args.limit));
        }
        Some(id) => remark(&format!(
            "downbeat: the jobs older than {id} were not looked at, they are too many; ask for a \
             state, an account, a name or a label that few jobs have"
        )),
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
        Cell::new(job.shown_id()),
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
    use serde_json::{Value, json};

    use super::super::client::Answer;
    use super::super::wait::tests::job;
    use super::super::{Ask, Cli, Command};
    use super::{PAGES_MAX, Pages, QueueArgs, gather};

    fn args(line: &str) -> QueueArgs {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Ask(Ask::Queue(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    fn path(line: &str) -> String {
        let args = args(line);
        args.path(args.limit as usize, None)
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

    /// Answers with pages, and keeps the paths that were asked for.
    fn walk(line: &str, pages: &[Value]) -> (Pages, Vec<String>) {
        let (mut left, mut asked) = (pages.iter().cycle(), Vec::new());
        let pages = gather(&args(line), |path| {
            asked.push(path.to_owned());
            Ok(Answer { status: 200, text: left.next().unwrap().to_string() })
        });
        (pages.unwrap(), asked)
    }

    fn page(jobs: usize, next: Value) -> Value {
        let job: Value = serde_json::from_str(&job("FAILED", None)).unwrap();
        json!({ "jobs": vec![job; jobs], "next_cursor": next })
    }

    #[test]
    fn pages_that_end_early_are_gone_on_from() {
        let line = "downbeat queue --all --limit 5";
        let pages = [page(2, json!("90")), page(0, json!("80")), page(3, json!("70"))];
        let (all, asked) = walk(line, &pages);
        let first = "/api/v1/jobs?limit=5";
        let [second, third] = [90, 80].map(|c| format!("/api/v1/jobs?limit=3&cursor={c}"));
        assert_eq!(asked, [first, &second, &third]);
        assert_eq!((all.list.jobs.len(), all.list.next_cursor.as_deref()), (5, Some("70")));
        assert_eq!(serde_json::from_str::<Value>(&all.json).unwrap(), page(5, json!("70")));
        let (all, asked) = walk(line, &[page(5, json!("9"))]);
        assert_eq!((asked.len(), all.json), (1, page(5, json!("9")).to_string()), "word for word");
        let (all, asked) = walk(line, &[page(0, json!("9"))]);
        assert_eq!((asked.len(), all.list.next_cursor.is_some()), (PAGES_MAX, true), "no end");
    }
}
