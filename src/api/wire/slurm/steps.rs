//! *Purpose*: the steps of a job as Slurm accounts for them.
//!
//! *Owns*: [`Shown`]; how a step ended, in the words of a job.
//!
//! *Promises*: the script is the first step of its job.
//!
//! *Not here*: rows and columns (`sacct`), fields (`slurm::history`), starting steps (`srun`).

use super::facts::Facts;
use crate::api::wire::job::Job;
use crate::api::wire::step::Step;
use crate::clock::{self, parse_rfc3339};
use crate::job::state::StateWord;
use crate::time::SECOND_US;

/// The code of what was ended from outside.
const ENDED: &str = "0:15";

/// What is said of a step that is not said of its job.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What stands behind the job's number.
    pub suffix: String,
    /// What it is called.
    pub name: String,
    /// How many processes were started for it.
    pub tasks: u32,
    /// Its state.
    pub state: &'static str,
    /// `code:signal`.
    pub exit: String,
}

/// The script, as the first step of its job.
#[must_use]
pub fn batch(job: &Job) -> Shown {
    let facts = Facts(job);
    let exit = match job.state {
        // What was ended at its limit had TERM, whatever it made of that.
        StateWord::Timeout if job.exit_code.is_none() => ENDED.to_owned(),
        _ => facts.script_code(),
    };
    let (suffix, state) = ("batch".to_owned(), facts.script_state());
    Shown { name: suffix.clone(), suffix, tasks: 1, state, exit }
}

/// A step that the script has started.
#[must_use]
pub fn started(job: &Job, step: &Step) -> Shown {
    let (state, exit) = match &step.exit_code {
        Some(code) if code == "0:0" => (StateWord::Completed, code.clone()),
        // Whatever a signal ended was cancelled, to Slurm.
        Some(code) if !code.ends_with(":0") => (StateWord::Cancelled, code.clone()),
        Some(code) => (StateWord::Failed, code.clone()),
        None if job.end_time.is_none() => (StateWord::Running, "0:0".to_owned()),
        None => (StateWord::Cancelled, ENDED.to_owned()),
    };
    let (suffix, name) = (step.step.to_string(), step.name.clone());
    Shown { suffix, name, tasks: step.tasks, state: state.word(), exit }
}

/// The job with what its step says in the place of its own.
#[must_use]
pub fn as_if(job: &Job, step: &Step) -> Job {
    let end = step.end_time.clone().or_else(|| job.end_time.clone());
    let until = end.as_deref().map_or_else(|| clock::now().0, parsed);
    Job {
        start_time: Some(step.start_time.clone()),
        elapsed_s: (until - parsed(&step.start_time)).max(0) / SECOND_US,
        end_time: end,
        usage: step.usage,
        cpus: step.cpus,
        ..job.clone()
    }
}

/// A time on the wire, as microseconds since 1970; 0 of what is none.
#[must_use]
pub fn parsed(text: &str) -> i64 {
    parse_rfc3339(text).map_or(0, |time| time.0)
}

/// The steps of the run that a job is in, or was last in, each with the job as if it were that
/// step: first the script.
#[must_use]
pub fn of_job(job: &Job, steps: &[Step]) -> Vec<(Job, Shown)> {
    if job.start_time.is_none() {
        return Vec::new();
    }
    let own = steps.iter().filter(|step| step.attempt == job.attempt);
    let own = own.map(|step| (as_if(job, step), started(job, step)));
    std::iter::once((job.clone(), batch(job))).chain(own).collect()
}
