//! *Purpose*: which jobs a verb is for.
//!
//! *Owns*: [`Selection`], the question before many jobs are changed.
//!
//! *Promises*: ids and filters narrow each other down; a verb without either is a mistake; who
//! names an array through its tasks gets no other task of it.
//!
//! *Not here*: what is done with the jobs (the verbs).

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};

use super::caller::Caller;
use super::client::{Client, query};
use super::error::CliError;
use super::filters::Filters;
use super::ids::Ids;
use super::print::remark;
use crate::api::wire::v1::{ArraySpec, Job, JobId, JobList, JobRef, StateWord};

/// Most jobs that one command may be for: more are a mistake, or work for a program.
const SELECTED_MAX: usize = 10_000;
/// Jobs of a page: as many as a server gives.
const PAGE: usize = 1_000;
/// From more jobs than this on a person is asked first: as many as are seen at a glance.
const ASKED_ABOVE: usize = 10;

/// Which jobs.
#[derive(clap::Args, Clone, Debug)]
pub struct Selection {
    /// Do not ask before many jobs are changed
    #[arg(long, short = 'y')]
    yes: bool,
    /// The jobs: 17, 17-20, an array 17, its tasks 17_4 and 17_[3-5], `last` for my last one
    #[arg(value_name = "ID")]
    ids: Vec<Ids>,
    #[command(flatten)]
    filters: Filters,
    /// All that the verb can be for
    #[arg(long, help_heading = "Which jobs")]
    all: bool,
}

/// What a verb does with those that are selected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Act {
    /// What a person is asked whether to do; `None`: nobody is asked.
    pub asks: Option<&'static str>,
    /// The states of those that are meant where nobody says; none means all.
    pub states: &'static [StateWord],
    /// Whether the id of an array means all of its tasks, also those that run or have ended.
    pub whole: bool,
}

/// The states of jobs that have not ended.
pub(super) const LIVE: &[StateWord] =
    &[StateWord::Pending, StateWord::Running, StateWord::Completing];

impl Selection {
    /// The jobs, each once; none when the person thinks better of it.
    ///
    /// # Errors
    /// See [`CliError`].
    pub(super) fn jobs(&self, client: &Client, act: Act) -> Result<Vec<JobRef>, CliError> {
        let named = named(client, &self.ids)?;
        let by_name = self.filters == Filters::default() && !self.all;
        if by_name && self.ids.is_empty() {
            let message = "name jobs (17, 17-20, 17_[3-5], last), or say which: --state, --name, \
                           --me and others, or --all";
            return Err(CliError::Usage(message.to_owned()));
        }
        if by_name {
            return Ok(named);
        }
        let states = match &self.filters.state[..] {
            [] => act.states,
            asked => asked,
        };
        let rows = self.rows(client, states, &named)?;
        let whole = act.whole && (states.is_empty() || LIVE.iter().all(|s| states.contains(s)));
        let (jobs, count) = references(&rows, whole || !act.whole, act.whole);
        if jobs.is_empty() {
            remark("downbeat: there is no such job");
        }
        match act.asks.filter(|_| count > ASKED_ABOVE && !self.yes) {
            Some(what) if !agreed(what, count)? => Ok(Vec::new()),
            _ => Ok(jobs),
        }
    }

    /// The rows that the filters leave, oldest first.
    fn rows(
        &self,
        client: &Client,
        states: &[StateWord],
        named: &[JobRef],
    ) -> Result<Vec<Job>, CliError> {
        if let Some(task) = named.iter().find(|job| job.task.is_some()) {
            let message = format!("{task} is a task; filters narrow down whole jobs only");
            return Err(CliError::Usage(message));
        }
        let mut rows: Vec<Job> = Vec::new();
        let every: [&[JobRef]; 1] = [&[]];
        let parts: Vec<&[JobRef]> =
            if named.is_empty() { every.to_vec() } else { named.chunks(PAGE).collect() };
        for part in parts {
            let mut fixed = self.filters.pairs()?;
            fixed.extend(states.iter().map(|state| ("state", state.word().to_owned())));
            fixed.extend([("limit", PAGE.to_string()), ("sort", "id".to_owned())]);
            let ids: Vec<String> = part.iter().map(ToString::to_string).collect();
            fixed.extend((!ids.is_empty()).then(|| ("ids", ids.join(","))));
            let mut cursor = None;
            loop {
                let mut pairs = fixed.clone();
                pairs.extend(cursor.map(|cursor| ("cursor", cursor)));
                let page = client.get(&format!("/api/v1/jobs{}", query(&pairs)))?;
                let JobList { jobs, next_cursor } = page.parse()?;
                rows.extend(jobs);
                if rows.len() > SELECTED_MAX {
                    let message = format!("these are more than {SELECTED_MAX} jobs; say fewer");
                    return Err(CliError::Usage(message));
                }
                cursor = next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(rows)
    }
}

/// Those that are named by ids, each once.
pub(super) fn named(client: &Client, words: &[Ids]) -> Result<Vec<JobRef>, CliError> {
    let mut named = Vec::new();
    for word in words {
        match word {
            Ids::Of(jobs) => named.extend(jobs),
            Ids::Last => named.push(last(client)?),
        }
    }
    let mut seen = BTreeSet::new();
    named.retain(|job| seen.insert(*job));
    Ok(named)
}

/// How these rows are named, and how many jobs and tasks they are. The row of an array stands for
/// its tasks that are left: by the array's id if that `is_left`, otherwise one by one. Where the id
/// `covers` all tasks of the array, they are not named beside it.
fn references(rows: &[Job], is_left: bool, covers: bool) -> (Vec<JobRef>, usize) {
    let mut jobs = Vec::new();
    let mut count = 0;
    let whole: BTreeSet<JobId> = rows
        .iter()
        .filter(|job| is_left && covers && job.array_task_id.is_none() && job.is_array())
        .map(|job| job.id)
        .collect();
    for row in rows {
        let left = row.array_tasks.as_deref().and_then(|left| left.parse::<ArraySpec>().ok());
        match (row.array_job_id, row.array_task_id) {
            (Some(array), Some(task)) => {
                count += 1;
                if !whole.contains(&array) {
                    jobs.push(JobRef { job: array, task: Some(task) });
                }
            }
            (Some(array), None) => {
                let tasks = left.map(|left| left.tasks).unwrap_or_default();
                count += tasks.len();
                match is_left {
                    true => jobs.push(array.into()),
                    false => {
                        let each = tasks.iter().map(|n| JobRef { job: array, task: Some(n) });
                        jobs.extend(each);
                    }
                }
            }
            (None, _) => {
                count += 1;
                jobs.push(row.id.into());
            }
        }
    }
    (jobs, count)
}

/// The job that whoever runs this program submitted last; of a task its array.
fn last(client: &Client) -> Result<JobRef, CliError> {
    let user = Caller::here()?.user.unwrap_or_default();
    // Tasks get their ids when they start, so the highest id need not be the last submitted.
    let pairs = [("user", user.clone()), ("limit", PAGE.to_string())];
    let page = client.get(&format!("/api/v1/jobs{}", query(&pairs)))?;
    let JobList { jobs, .. } = page.parse()?;
    let last = jobs.iter().max_by_key(|job| (&job.submit_time, job.array_job_id.unwrap_or(job.id)));
    let last = last.map(|job| job.array_job_id.unwrap_or(job.id).into());
    last.ok_or_else(|| CliError::Refused {
        fields: Vec::new(),
        status: 404,
        message: format!("{user} has submitted no job that this server remembers"),
    })
}

/// Asks a person; a program is taken at its word.
fn agreed(what: &str, count: usize) -> Result<bool, CliError> {
    let (input, out) = (std::io::stdin(), std::io::stderr());
    if !input.is_terminal() || !out.is_terminal() {
        return Ok(true);
    }
    let asked = write!(out.lock(), "{what} {count} jobs? [y/N] ").and_then(|()| out.lock().flush());
    asked.map_err(CliError::from_write)?;
    let mut answer = String::new();
    let read = input.lock().read_line(&mut answer);
    read.map_err(|error| CliError::Other(format!("the answer cannot be read: {error}")))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::wait::tests::job;
    use super::*;

    fn row(id: i64, array: Option<i64>, task: Option<u32>, left: Option<&str>) -> Job {
        let mut one: Job = serde_json::from_str(&job("PENDING", None)).unwrap();
        (one.id, one.array_job_id) = (JobId(id), array.map(JobId));
        (one.array_task_id, one.array_tasks) = (task, left.map(str::to_owned));
        one
    }

    #[test]
    fn an_array_is_named_so_that_no_other_task_is_meant() {
        let rows = [
            row(1, None, None, None),
            row(3, Some(3), None, Some("2-4")),
            row(5, Some(3), Some(0), None),
            row(6, Some(6), Some(9), None),
        ];
        let named = |is_left, covers| {
            let (jobs, count) = references(&rows, is_left, covers);
            assert_eq!(count, 6);
            jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(named(true, true), "1 3 6_9", "all that lives: the array in one");
        assert_eq!(
            named(false, true),
            "1 3_2 3_3 3_4 3_0 6_9",
            "what waits, and nothing that runs"
        );
        assert_eq!(named(true, false), "1 3 3_0 6_9", "an id that means those that are left");
    }
}
