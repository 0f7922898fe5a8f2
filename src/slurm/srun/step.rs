//! *Purpose*: a step, as it was asked for.
//!
//! *Owns*: [`Step`]: its tasks, its CPUs, its variables.
//!
//! *Promises*: what cannot be is refused before anything is started.
//!
//! *Not here*: the way from its start to its end (`srun::life`).

use std::collections::BTreeMap;
use std::time::Duration;

use super::files::Target;
use super::place::Place;
use super::programs::Programs;
use super::say::error;
use crate::api::wire::slurm::facts::Facts;
use crate::slurm::failure::{BAD_OPTION, Failure};
use crate::slurm::getopt::Given;
use crate::text::time_limit::{self, LimitAsked};

/// Tasks of one step: as many processes as a machine may well have to bear at once.
const TASKS_MAX: u32 = 4_096;
/// Which MPI libraries need nobody to start them.
const WITHOUT_MPI: &str = "none";

/// How the step shares the CPUs of its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// It has as many as it needs, and so has every other such step.
    Counted,
    /// The same, and its tasks run on these alone.
    Own,
    /// It takes none from others.
    Overlapping,
}

/// What becomes of a task whose terminal is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// It is told so, and ended when it goes on.
    Ends,
    /// Nothing.
    Ignored,
}

/// A step.
#[derive(Debug)]
pub struct Step {
    /// What its tasks run.
    pub programs: Programs,
    /// What it is called.
    pub name: String,
    /// How many tasks.
    pub tasks: u32,
    /// CPUs of each, where that was said.
    pub cpus_per_task: Option<u32>,
    /// How many CPUs it needs.
    pub cpus: u32,
    /// How it shares them.
    pub sharing: Sharing,
    /// How long it waits for them; for ever without.
    pub patience: Option<Duration>,
    /// Standard input, output, error.
    pub streams: [Target; 3],
    /// Whether files that are there are added to.
    pub appends: bool,
    /// Whether the first task has a terminal, and what becomes of it without.
    pub terminal: Option<Hangup>,
    /// Whether lines begin with the number of their task.
    pub labels: bool,
    /// Where tasks run; where `srun` does without.
    pub folder: Option<String>,
    /// Variables of the tasks; all of `srun` when `None`.
    pub variables: Option<BTreeMap<String, String>>,
    /// How long it may run.
    pub limit: Option<Duration>,
    /// How long the others may run on when a task has ended.
    pub wait: Option<Duration>,
    /// Whether a task that fails ends the others.
    pub kills: bool,
    /// Whether nothing is said of tasks that fail.
    pub quiet: bool,
}

/// A number of something, at least one.
fn count(given: &Given, option: &str) -> Result<Option<u32>, Failure> {
    let read = |text: &str| match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(error(&format!("Invalid numeric value \"{text}\" for --{option}."))),
    };
    given.value(option).map(read).transpose()
}

fn seconds(given: &Given, option: &str) -> Result<Option<Duration>, Failure> {
    let read = |text: &str| match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => Err(error(&format!("Invalid numeric value \"{text}\" for --{option}."))),
    };
    Ok(given.value(option).map(read).transpose()?.filter(|time| !time.is_zero()))
}

/// How many tasks: without a word as many as the job has.
///
/// # Errors
/// When that is no number, or too large a one.
pub fn tasks(given: &Given, of_job: u32) -> Result<u32, Failure> {
    let tasks = match count(given, "ntasks")? {
        Some(tasks) => tasks,
        None => count(given, "ntasks-per-node")?.unwrap_or(of_job),
    };
    if tasks > TASKS_MAX {
        return Err(error(&format!("a step has at most {TASKS_MAX} tasks")));
    }
    Ok(tasks)
}

impl Step {
    /// What was asked for.
    ///
    /// # Errors
    /// When it makes no sense, or its job has not so much.
    pub fn of(given: &Given, place: &Place) -> Result<Step, Failure> {
        possible(given)?;
        let tasks = tasks(given, place.tasks)?;
        let cpus_per_task = count(given, "cpus-per-task")?;
        let needed = tasks.saturating_mul(cpus_per_task.unwrap_or(1));
        let all = place.cpus.unwrap_or(needed);
        let is_overlapping = given.has("overlap") || given.has("oversubscribe") || nested();
        let cpus = match (given.has("overcommit"), given.has("whole")) {
            (_, true) => all,
            (true, false) => needed.min(all),
            (false, false) => needed,
        };
        if cpus > all {
            let what = "Unable to create step for job";
            let what = format!("{what} {}: More processors requested than permitted", place.job);
            return Err(error(&what));
        }
        let own = given.has("exclusive") || given.has("exact") || cpus_per_task.is_some();
        let sharing = match (is_overlapping, own) {
            (true, _) => Sharing::Overlapping,
            (false, true) => Sharing::Own,
            (false, false) => Sharing::Counted,
        };
        let limit = given.value("time").filter(|text| *text != "0").map(|text| {
            let invalid = |_| error("Invalid --time specification").with_code(BAD_OPTION);
            time_limit::parse(text).map_err(invalid)
        });
        let limit = match limit.transpose()? {
            Some(LimitAsked::Seconds(s)) => Some(Duration::from_secs(s.unsigned_abs())),
            _ => None,
        };
        let kills = match given.options.iter().rfind(|(name, _)| *name == "kill-on-bad-exit") {
            Some((_, value)) => value.as_deref() != Some("0"),
            None => false,
        };
        let output = given.value("output").map(Target::of).unwrap_or_default();
        let errors = given.value("error").map_or_else(|| output.clone(), Target::of);
        let short = given.words.first().map(|word| Facts::short_name(word));
        let patience = given.has("immediate").then(|| seconds(given, "immediate")).transpose()?;
        Ok(Step {
            name: given.value("job-name").or(short).unwrap_or_default().to_owned(),
            programs: Programs::of(given, tasks)?,
            tasks,
            cpus_per_task,
            cpus,
            sharing,
            patience: patience.map(|time| time.unwrap_or(Duration::from_secs(1))),
            streams: [given.value("input").map(Target::of).unwrap_or_default(), output, errors],
            appends: given.value("open-mode").is_some_and(|mode| mode.starts_with('a')),
            terminal: given.has("pty").then(|| match given.has("no-kill-on-hangup") {
                true => Hangup::Ignored,
                false => Hangup::Ends,
            }),
            labels: given.has("label"),
            folder: given.value("chdir").map(str::to_owned),
            variables: given.value("export").and_then(exported),
            limit,
            wait: seconds(given, "wait")?,
            kills,
            quiet: given.has("quiet"),
        })
    }
}

/// Whether this is called in a step: its CPUs are that step's, which would wait for itself.
fn nested() -> bool {
    std::env::var_os("SLURM_STEP_ID").is_some()
}

/// Whether one machine can do it.
fn possible(given: &Given) -> Result<(), Failure> {
    if let Some(other) = given.value("mpi").filter(|mpi| *mpi != WITHOUT_MPI) {
        let what =
            format!("--mpi={other} is not honoured here: nobody starts MPI by srun; call mpirun");
        return Err(error(&what));
    }
    let Some(nodes) = given.value("nodes") else { return Ok(()) };
    let least = nodes.split('-').next().unwrap_or_default();
    match least.parse::<u32>() {
        Ok(1) => Ok(()),
        Ok(more) if more > 1 => Err(error(&format!("Only allocated 1 nodes asked for {nodes}"))),
        _ => Err(error(&format!("invalid node count `{nodes}'"))),
    }
}

/// The variables that are passed on; `None`: all.
fn exported(text: &str) -> Option<BTreeMap<String, String>> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut parts = text.split(',').map(str::trim).filter(|part| !part.is_empty()).peekable();
    if parts.peek() == Some(&"ALL") {
        parts.next();
        parts.peek()?;
        all.extend(std::env::vars());
    } else {
        // What a task of Slurm has in any case, and what leads back to its job.
        let kept = |name: &str| {
            ["SLURM_", "SLURMD_", "DOWNBEAT_"].iter().any(|begin| name.starts_with(begin))
                || ["PATH", "HOME", "USER", "LOGNAME", "TMPDIR"].contains(&name)
        };
        all.extend(std::env::vars().filter(|(name, _)| kept(name)));
    }
    for part in parts.filter(|part| *part != "NONE" && *part != "NIL") {
        match part.split_once('=') {
            Some((name, value)) => drop(all.insert(name.to_owned(), value.to_owned())),
            None => all.extend(std::env::var(part).ok().map(|value| (part.to_owned(), value))),
        }
    }
    Some(all)
}
