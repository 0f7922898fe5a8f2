//! *Purpose*: `squeue --steps`.
//!
//! *Owns*: the columns of steps, and which are listed.
//!
//! *Promises*: the script of a job that runs is its step `batch`; of the others the server knows
//! what `srun` told it.
//!
//! *Not here*: steps that have ended (`sacct`), the jobs themselves (`squeue`).
//!
//! Source: squeue(1) of Slurm 22.05, and what it answered.

use super::asked::{Asked, sort};
use crate::api::wire::slurm::facts::{CLUSTER, Facts, NULL};
use crate::api::wire::slurm::steps::{self, Shown};
use crate::api::wire::slurm::words::short_span;
use crate::api::wire::v1::{Job, JobId, StateWord};
use crate::slurm::columns::{self, Column, Pad};
use crate::slurm::failure::Failure;
use crate::slurm::getopt::Given;
use crate::slurm::jobs::{Named, Server, ids, words};
use crate::slurm::owner::Owned;
use crate::slurm::say::remark;

/// Columns that are shown when nobody says which.
const USUAL: &str = "%.15i %.8j %.9P %.8u %.9M %N";
/// Of which fields of its job a step is made.
const FIELDS: &str = "array_job_id,array_task_id,array_tasks,attempt,cpus,elapsed_s,end_time,\
                      exit_code,node,partition,start_time,suspend_time,uid,user";
/// Jobs that may have steps that run.
const STARTED: [StateWord; 2] = [StateWord::Running, StateWord::Completing];

/// A step that runs, and its job with what is the step's in the place of its own.
#[derive(Debug)]
pub struct Row {
    pub job: Job,
    pub step: Shown,
}

impl Row {
    /// `17.0`, `17_4.batch`.
    pub fn id(&self) -> String {
        format!("{}.{}", Facts(&self.job).id(), self.step.suffix)
    }

    /// The number of the step; the script has none.
    pub fn number(&self) -> Option<u32> {
        self.step.suffix.parse().ok()
    }
}

/// A column: its letter, its names with `-O`, its head, what stands in it.
type Fact = (Option<char>, &'static [&'static str], &'static str, fn(&Row) -> String);

/// Every column.
#[rustfmt::skip]
const FACTS: &[Fact] = &[
    (Some('A'), &["NumTasks"], "TASKS", |row| row.step.tasks.to_string()),
    (Some('b'), &["Gres", "tres-per-node"], "TRES_PER_JOB", |_| NULL.to_owned()),
    (Some('i'), &["StepID"], "STEPID", Row::id),
    (Some('j'), &["StepName"], "NAME", |row| row.step.name.clone()),
    // The limit of the job is not that of its steps, and of their own the server is not told.
    (Some('l'), &["TimeLimit"], "TIME_LIMIT", |_| "UNLIMITED".to_owned()),
    (Some('M'), &["TimeUsed"], "TIME", |row| short_span(row.job.elapsed_s)),
    (Some('N'), &["Nodes"], "NODELIST", |row| Facts(&row.job).nodes()),
    (Some('P'), &["Partition"], "PARTITION", |row| row.job.partition.clone()),
    (Some('S'), &["StartTime"], "START_TIME", |row| Facts(&row.job).start("N/A")),
    (Some('u'), &["UserName"], "USER", |row| Facts(&row.job).user()),
    (Some('U'), &["UserID"], "UID", |row| Facts(&row.job).uid()),
    (None, &["JobID"], "JOB_ID", |row| Facts(&row.job).raw_id()),
    (None, &["ArrayJobID"], "ARRAY_JOB_ID",
        |row| row.job.array_job_id.map_or_else(|| "0".to_owned(), |id| id.to_string())),
    (None, &["ArrayTaskID"], "ARRAY_TASK_ID",
        |row| Facts(&row.job).tasks().unwrap_or_else(|| "N/A".to_owned())),
    (None, &["StepState"], "STATE", |row| row.step.state.to_owned()),
    (None, &["NumCPUs"], "NUM_CPUS",
        |row| row.number().map_or(0, |_| row.job.cpus).to_string()),
    (None, &["Cluster"], "CLUSTER", |_| CLUSTER.to_owned()),
    (None, &["Container", "ContainerID"], "CONTAINER", |_| NULL.to_owned()),
    (None, &["CPUFreq"], "CPU_FREQ", |_| "Unknown-Unknown:Unknown".to_owned()),
    (None, &["Network"], "NETWORK", |_| NULL.to_owned()),
    (None, &["ResvPorts"], "RESERVED_PORTS", |_| NULL.to_owned()),
    (None, &["cpus-per-tres"], "CPUS_PER_TRES", |_| NULL.to_owned()),
    (None, &["mem-per-tres"], "MEM_PER_TRES", |_| NULL.to_owned()),
    (None, &["tres-bind"], "TRES_BIND", |_| NULL.to_owned()),
    (None, &["tres-freq"], "TRES_FREQ", |_| NULL.to_owned()),
    (None, &["tres-per-step", "tres-per-job"], "TRES_PER_STEP", |_| NULL.to_owned()),
    (None, &["tres-per-socket"], "TRES_PER_SOCKET", |_| NULL.to_owned()),
    (None, &["tres-per-task"], "TRES_PER_TASK", |_| NULL.to_owned()),
];

fn column(fact: &Fact, pad: Pad) -> Column<Row> {
    Column { head: fact.2, pad, needs: "", fact: fact.3 }
}

fn unknown(command: &str, what: &str) {
    remark(&format!("{command}: error: Invalid job step format specification: {what}"));
}

/// The columns that are wanted.
pub fn columns(command: &str, given: &Given) -> Vec<Column<Row>> {
    if let Some(names) = given.value("Format") {
        let known = |name: &str, pad| {
            let is_it = |fact: &&Fact| fact.1.iter().any(|own| own.eq_ignore_ascii_case(name));
            FACTS.iter().find(is_it).map(|fact| column(fact, pad)).into_iter().collect()
        };
        return columns::by_names(names, known, |name| unknown(command, name));
    }
    let known = |letter, pad| {
        FACTS.iter().find(|fact| fact.0 == Some(letter)).map(|fact| column(fact, pad))
    };
    let letters = given.value("format").unwrap_or(USUAL);
    columns::by_letters(letters, known, |letter| unknown(command, &letter.to_string()))
}

/// The steps of this list, `17.0,17_4.batch`: of which job, and which.
fn listed<'a>(server: &Server, list: &'a str) -> Result<Vec<(Named, &'a str)>, Failure> {
    let mut all = Vec::new();
    for word in words(list) {
        let (job, step) = match word.split_once('.') {
            Some((job, step)) if !step.is_empty() => (ids(job), step),
            _ => {
                let job = word.trim_end_matches('.');
                return Err(server.error(&format!("Invalid job_step id: {job}.??")));
            }
        };
        let invalid = || server.error(&format!("Invalid job_step id: {word}"));
        all.extend(job.ok_or_else(invalid)?.into_iter().map(|job| (job, step)));
    }
    Ok(all)
}

/// The steps that run and are wanted, in their order.
///
/// # Errors
/// When the server does not answer, or a list makes no sense.
pub fn found(given: &Given, server: &Server) -> Result<Vec<Row>, Failure> {
    // The list may stand in a word of its own, to Slurm.
    let list = given.value("steps").or(given.words.first().map(String::as_str));
    let steps = list.map(|list| listed(server, list)).transpose()?;
    let mut named: Vec<Named> = Vec::new();
    for word in given.all("jobs").flat_map(words) {
        let what = format!("Invalid job id: {word}");
        named.extend(ids(word).ok_or_else(|| server.error(&what))?);
    }
    let is_step = |row: &Row| {
        let names: Vec<Named> = Named::of(&row.job).collect();
        let is_it = |(job, step): &(Named, &str)| names.contains(job) && *step == row.step.suffix;
        steps.as_ref().is_none_or(|steps| steps.iter().any(is_it))
    };
    let jobs = jobs(server, &named, steps.as_deref())?;
    let asked = Asked::of(given);
    let mut rows = with_steps(server, jobs.into_iter().filter(|job| asked.is_it(job)))?;
    rows.retain(is_step);
    match given.value("sort") {
        Some(order) => sort(&mut rows, order, key),
        None => rows.sort_by(|a, b| own_order(a).cmp(&own_order(b))),
    }
    Ok(rows)
}

/// The steps that run of these jobs, or of all; `None` when none of these is known.
///
/// # Errors
/// When the server does not answer.
pub fn of(server: &Server, named: &[Named]) -> Result<Option<Vec<Row>>, Failure> {
    let jobs = jobs(server, named, None)?;
    if jobs.is_empty() && !named.is_empty() {
        return Ok(None);
    }
    let mut rows = with_steps(server, jobs.into_iter())?;
    rows.sort_by(|a, b| own_order(a).cmp(&own_order(b)));
    Ok(Some(rows))
}

/// Where a step stands if nobody says: the script of a job behind its other steps.
fn own_order(row: &Row) -> (&str, JobId, u32) {
    (&row.job.partition, row.job.id, row.number().unwrap_or(u32::MAX))
}

/// A key of an order: what its letter shows, numbers as numbers.
fn key(row: &Row, letter: char) -> (f64, String) {
    let fact = FACTS.iter().find(|fact| fact.0 == Some(letter));
    let text = fact.map(|fact| fact.3(row)).unwrap_or_default();
    match letter {
        'i' => {
            let (_, job, number) = own_order(row);
            (job.0 as f64, format!("{number:>10}"))
        }
        'M' => (row.job.elapsed_s as f64, String::new()),
        'A' | 'U' => (text.parse().unwrap_or(0.0), String::new()),
        _ => (0.0, text),
    }
}

/// Jobs that run: those that are named, of those of which steps are wanted, or all.
fn jobs(
    server: &Server,
    named: &[Named],
    steps: Option<&[(Named, &str)]>,
) -> Result<Vec<Job>, Failure> {
    let of_steps: Vec<Named> = steps.into_iter().flatten().map(|(job, _)| *job).collect();
    let mut jobs = match (named.is_empty(), steps) {
        (true, None) => {
            server.all(&STARTED.map(|state| ("state", state.word().to_owned())), FIELDS)?
        }
        (true, Some(_)) => server.named(&of_steps, FIELDS)?,
        (false, _) => server.named(named, FIELDS)?,
    };
    jobs.retain(|job| STARTED.contains(&job.state));
    Ok(jobs)
}

/// The steps of these jobs that run. Those of a thousand jobs are asked for at a time, and among
/// them come those that have ended: the server tells them apart by their jobs alone.
fn with_steps(server: &Server, jobs: impl Iterator<Item = Job>) -> Result<Vec<Row>, Failure> {
    let jobs: Vec<Job> = jobs.collect();
    let numbers: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    let mut told = server.steps(&numbers)?;
    let mut rows = Vec::new();
    for job in jobs {
        let mut own = told.remove(&job.id).unwrap_or_default();
        own.retain(|step| step.end_time.is_none());
        let own = steps::of_job(&job, &own).into_iter();
        rows.extend(own.map(|(job, step)| Row { job, step }));
    }
    Ok(rows)
}
