//! *Purpose*: `downbeat queue` (`list`).
//!
//! *Owns*: which jobs are asked for, and their order.
//!
//! *Promises*: without filters it shows the jobs that have not ended, as `squeue` does: those that
//! run, then those that wait as they stand in the line, then those that ended, the latest first. A
//! page of the server may end early; the next ones are asked for until there are as many jobs as
//! wanted.
//!
//! *Not here*: what is seen of a job (`cli::columns`), one job in full (`cli::show`).

use std::time::Duration;

use serde_json::Value;

use super::client::{Answer, Client, Connect, query};
use super::columns::{self, Column, SortBy};
use super::error::CliError;
use super::filters::Filters;
use super::fold::folded;
use super::ids::Ids;
use super::print::{print, remark, say, say_json};
use super::table::width;
use super::{selection, tasks, terminal};
use crate::api::wire::v1::{Job, JobId, JobList, StateWord};

/// Pages that are asked for before giving up: with what a server looks at for each of them, the
/// newest five million jobs.
const PAGES_MAX: usize = 1_000;
/// How often a list that is watched is asked for when nobody says: as often as people look.
const WATCH: &str = "2";
/// Moves a terminal to its first line and empties it.
const EMPTIED: &str = "\u{1b}[H\u{1b}[2J\u{1b}[3J";

/// Which jobs.
#[derive(clap::Args, Clone, Debug)]
pub struct QueueArgs {
    #[command(flatten)]
    connect: Connect,
    /// Ended jobs too; so with --since, with --until and with ids
    #[arg(long, short)]
    all: bool,
    /// At most so many
    #[arg(long, short = 'n', default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Every task of an array in a line of its own
    #[arg(long)]
    tasks: bool,
    /// Only these columns, with commas
    #[arg(long, short = 'o', value_delimiter = ',', value_name = "COLUMNS")]
    format: Vec<Column>,
    /// In the order of these columns, with commas; -time: the largest first
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS", allow_hyphen_values = true)]
    sort: Vec<SortBy>,
    /// Show it again every so many seconds, until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = WATCH,
        require_equals = true, conflicts_with = "json",
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
    /// Print the server's JSON
    #[arg(long)]
    json: bool,
    /// Only these jobs: 17, 17-20, an array 17, its tasks 17_4 and 17_[3-5], `last` for my last one
    #[arg(value_name = "ID", conflicts_with = "array")]
    ids: Vec<Ids>,
    #[command(flatten)]
    filters: Filters,
    /// Only the tasks of this array, and what is left of it
    #[arg(long, value_name = "ID", help_heading = "Which jobs")]
    array: Option<JobId>,
}

/// Which states are asked for together, and whether the oldest come first.
type Group = (Vec<StateWord>, bool);

impl QueueArgs {
    /// The states that were asked for; none means all.
    fn states(&self) -> Vec<StateWord> {
        let Filters { state, since, until, .. } = &self.filters;
        let all = self.all || !self.ids.is_empty() || since.is_some() || until.is_some();
        if state.is_empty() && !all {
            vec![StateWord::Pending, StateWord::Running, StateWord::Completing]
        } else {
            state.clone()
        }
    }

    /// Those that run, those that wait, those that have ended.
    fn groups(&self) -> Vec<Group> {
        let asked = self.states();
        let of = |wanted: fn(StateWord) -> bool| -> Vec<StateWord> {
            let all = StateWord::ALL.iter().copied().filter(|state| wanted(*state));
            all.filter(|state| asked.is_empty() || asked.contains(state)).collect()
        };
        let waits = |state| state == StateWord::Pending;
        let groups = [
            (of(|state| !state.is_final() && state != StateWord::Pending), false),
            // The line begins with those that came first.
            (of(waits), true),
            (of(StateWord::is_final), false),
        ];
        groups.into_iter().filter(|(states, _)| !states.is_empty()).collect()
    }

    /// For `wanted` jobs more, behind the cursor.
    fn path(
        &self,
        (states, ascending): &Group,
        wanted: usize,
        cursor: Option<&str>,
    ) -> Result<String, CliError> {
        let mut pairs: Vec<(&str, String)> =
            states.iter().map(|s| ("state", s.word().to_owned())).collect();
        pairs.extend(self.filters.pairs()?);
        pairs.extend(self.array.map(|array| ("array_job_id", array.to_string())));
        pairs.push(("limit", wanted.to_string()));
        pairs.extend(ascending.then(|| ("sort", "id".to_owned())));
        pairs.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        Ok(format!("/api/v1/jobs{}", query(&pairs)))
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
    group: &Group,
    most: usize,
    ask: &mut dyn FnMut(&str) -> Result<Answer, CliError>,
) -> Result<Pages, CliError> {
    let answer = ask(&args.path(group, most, None)?)?;
    let mut all = Pages { list: answer.parse()?, json: answer.text };
    if all.list.next_cursor.is_none() {
        return Ok(all);
    }
    let mut merged: Value = serde_json::from_str(&all.json).unwrap_or_default();
    for _ in 1..PAGES_MAX {
        let wanted = most.saturating_sub(all.list.jobs.len());
        let Some(cursor) = all.list.next_cursor.as_deref().filter(|_| wanted > 0) else { break };
        let answer = ask(&args.path(group, wanted, Some(cursor))?)?;
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

/// What is listed, in order.
struct Listed {
    jobs: Vec<Job>,
    /// Whether there are more than were asked for.
    more: bool,
    /// The id at which the server gave up looking.
    gave_up: Option<String>,
}

/// The jobs that are asked for by filters, those that run first.
fn listed(
    args: &QueueArgs,
    ask: &mut dyn FnMut(&str) -> Result<Answer, CliError>,
) -> Result<Listed, CliError> {
    let limit = args.limit as usize;
    let mut all = Listed { jobs: Vec::new(), more: false, gave_up: None };
    for group in args.groups() {
        // One more tells whether there are more.
        let wanted = (limit + 1).saturating_sub(all.jobs.len());
        if wanted == 0 {
            break;
        }
        let JobList { mut jobs, next_cursor } = gather(args, &group, wanted.min(PAGE), ask)?.list;
        let is_full = jobs.len() >= wanted.min(PAGE);
        all.more |= is_full && next_cursor.is_some();
        all.gave_up = next_cursor.filter(|_| !is_full).or(all.gave_up);
        // As they stand in the line, as far as that is known.
        jobs.sort_by_key(|job| job.position.unwrap_or(u64::MAX));
        all.jobs.extend(jobs);
    }
    all.more |= all.jobs.len() > limit;
    all.jobs.truncate(limit);
    Ok(all)
}

/// Jobs of a page: as many as a server gives.
const PAGE: usize = 1_000;

/// The jobs that are named, in the order in which they are; the tasks of arrays with them.
fn named(client: &Client, args: &QueueArgs) -> Result<Listed, CliError> {
    let mut jobs = Vec::new();
    for id in selection::named(client, &args.ids)? {
        let (job, _) = tasks::known(client, id)?;
        match id.task.is_none() && job.is_array() {
            true => jobs.extend(tasks::rows(client, job.id)?),
            false => jobs.push(job),
        }
    }
    Ok(Listed { jobs, more: false, gave_up: None })
}

/// The list as it stands now.
fn shown(client: &Client, args: &QueueArgs) -> Result<(String, Listed), CliError> {
    let mut all = match args.ids.is_empty() {
        true => listed(args, &mut |path| client.get(path))?,
        false => named(client, args)?,
    };
    // Whoever asks for one array wants to see its tasks.
    if !args.tasks && args.array.is_none() {
        all.jobs = folded(std::mem::take(&mut all.jobs));
    }
    columns::sort(&mut all.jobs, &args.sort);
    let width = width();
    let of_width = columns::fitting(width);
    let columns = if args.format.is_empty() { of_width } else { &args.format };
    Ok((columns::table(columns, &all.jobs, width), all))
}

pub(super) fn run(args: &QueueArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    if args.json {
        return as_json(&client, args);
    }
    if let Some(seconds) = args.watch {
        return watch(&client, args, Duration::from_secs(seconds));
    }
    let (text, all) = shown(&client, args)?;
    say(&text)?;
    if all.more {
        remark(&format!("downbeat: there are more than {}; see --limit", args.limit));
    }
    if let Some(id) = all.gave_up {
        remark(&format!(
            "downbeat: the jobs beyond {id} were not looked at, they are too many; ask for a \
             state, an account, a name or a label that few jobs have"
        ));
    }
    Ok(0)
}

fn as_json(client: &Client, args: &QueueArgs) -> Result<u8, CliError> {
    if args.ids.is_empty() {
        let all = (args.states(), false);
        let mut ask = |path: &str| client.get(path);
        say_json(&gather(args, &all, args.limit as usize, &mut ask)?.json)?;
        return Ok(0);
    }
    let list = JobList { jobs: named(client, args)?.jobs, next_cursor: None };
    let text = serde_json::to_string(&list)
        .map_err(|error| CliError::Other(format!("the jobs make no JSON: {error}")))?;
    say_json(&text)?;
    Ok(0)
}

/// Shows the list again and again, on a terminal in the same place, as much of it as has room.
fn watch(client: &Client, args: &QueueArgs, every: Duration) -> Result<u8, CliError> {
    loop {
        let (text, _) = shown(client, args)?;
        match super::table::height() {
            Some(height) => {
                // The last line stays free for the cursor.
                let lines: Vec<&str> = text.lines().take(height.saturating_sub(1)).collect();
                print(&format!("{EMPTIED}{}", terminal::shown(&lines.join("\n"))))?;
            }
            None => say(&format!("{text}\n"))?,
        }
        std::thread::sleep(every);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::super::client::Answer;
    use super::super::wait::tests::job;
    use super::super::{Ask, Cli, Command};
    use super::{PAGES_MAX, Pages, QueueArgs, gather, listed};

    fn args(line: &str) -> QueueArgs {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Ask(Ask::Queue(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    fn path(line: &str) -> String {
        let args = args(line);
        args.path(&(args.states(), false), args.limit as usize, None).unwrap()
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
        assert_eq!(
            path("downbeat queue --since 2026-11-22T03:42:17Z -u ann -p gpu -J al*"),
            "/api/v1/jobs?name_like=al%2A&user=ann&partition=gpu\
             &since=2026-11-22T03%3A42%3A17.000000Z&limit=100"
        );
    }

    /// Answers with pages, and keeps the paths that were asked for.
    fn walk(line: &str, pages: &[Value]) -> (Pages, Vec<String>) {
        let (mut left, mut asked) = (pages.iter().cycle(), Vec::new());
        let args = args(line);
        let pages = gather(&args, &(args.states(), false), args.limit as usize, &mut |path| {
            asked.push(path.to_owned());
            Ok(Answer { status: 200, text: left.next().unwrap().to_string(), did: None })
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

    #[test]
    fn those_that_run_come_first_then_the_line_then_what_ended() {
        let of = |state: &str, id: i64, position: Option<u64>| {
            let mut job: Value = serde_json::from_str(&job(state, None)).unwrap();
            (job["id"], job["position"]) = (json!(id), json!(position));
            job
        };
        let line =
            json!([of("PENDING", 4, None), of("PENDING", 5, Some(2)), of("PENDING", 6, Some(1))]);
        let mut asked = Vec::new();
        let all = listed(&args("downbeat queue --all --limit 4"), &mut |path| {
            asked.push(path.to_owned());
            let jobs = match path {
                path if path.contains("PENDING") => line.clone(),
                path if path.contains("FAILED") => json!([of("FAILED", 9, None)]),
                _ => json!([of("RUNNING", 7, None)]),
            };
            Ok(Answer {
                status: 200,
                text: json!({"jobs": jobs, "next_cursor": null}).to_string(),
                did: None,
            })
        });
        let all = all.unwrap();
        let ids: Vec<i64> = all.jobs.iter().map(|job| job.id.0).collect();
        assert_eq!((ids, all.more), (vec![7, 6, 5, 4], true));
        assert!(asked[1].contains("&sort=id") && asked[1].contains("limit=4"), "{asked:?}");
        let mut one = |path: &str| Err(super::CliError::Other(path.to_owned()));
        let first = listed(&args("downbeat queue -s failed"), &mut one).err().unwrap();
        assert_eq!(first.to_string(), "/api/v1/jobs?state=FAILED&limit=101");
    }
}
