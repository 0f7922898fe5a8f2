//! *Purpose*: the rows of `sacct`: jobs and their steps.
//!
//! *Owns*: [`Row`]; how a step ended, in the words of a job.
//!
//! *Promises*: what only the job has stands in the job's row alone.
//!
//! *Not here*: columns (`sacct`), starting steps (`srun`).

use crate::api::wire::slurm::facts::Facts;
use crate::api::wire::slurm::steps::{self, Shown, parsed};
use crate::api::wire::slurm::words;
use crate::api::wire::v1::{Attempt, Job, StateWord, Step};
use crate::slurm::owner::Owned;
use crate::time::SECOND_US;

/// A row: a job, or one of its steps, whose times, code and use then stand in the job's place.
#[derive(Debug)]
pub(super) struct Row {
    /// The job.
    pub job: Job,
    /// Of a step.
    pub step: Option<Shown>,
    /// How an earlier run of the job ended, in the words of its attempts.
    pub past: Option<String>,
    /// Sizes are written in this unit.
    pub unit: Option<char>,
}

impl Row {
    /// The job's own row.
    pub fn of_job_itself(job: Job, unit: Option<char>) -> Row {
        Row { job, step: None, past: None, unit }
    }

    /// An earlier run of a job, as if the job had ended with it.
    pub fn of_past(job: &Job, run: &Attempt, unit: Option<char>) -> Row {
        let end = run.end_time.as_deref();
        let since = run.start_time.as_deref().zip(end);
        let job = Job {
            start_time: run.start_time.clone(),
            end_time: run.end_time.clone(),
            elapsed_s: since.map_or(0, |(start, end)| (parsed(end) - parsed(start)) / SECOND_US),
            exit_code: run.exit_code.clone(),
            attempt: run.attempt,
            usage: None,
            ..job.clone()
        };
        let word = run.state.clone().unwrap_or_else(|| StateWord::Failed.to_string());
        // What is no final state was ended from outside: it has no code of its own, to Slurm.
        let state = word.parse().unwrap_or(StateWord::Cancelled);
        Row { job: Job { state, ..job }, step: None, past: Some(word), unit }
    }

    /// The steps of the run that a job is in, or was last in: first the script.
    pub fn of_steps(job: &Job, steps: &[Step], unit: Option<char>) -> Vec<Row> {
        let all = steps::of_job(job, steps).into_iter();
        all.map(|(job, step)| Row { job, step: Some(step), past: None, unit }).collect()
    }

    /// Whether this is the step that was named: `17.batch`, `17.0`, `17_4.0`.
    pub fn is_step_of(&self, word: &str) -> bool {
        let named = word.rsplit_once('.').map(|(_, step)| step);
        self.step.as_ref().is_some_and(|own| named == Some(&own.suffix))
    }

    pub fn facts(&self) -> Facts<'_> {
        Facts(&self.job)
    }

    /// With the name of the step behind it.
    pub fn id(&self, id: String) -> String {
        match &self.step {
            Some(step) => format!("{id}.{}", step.suffix),
            None => id,
        }
    }

    /// What only the job's own row says.
    pub fn of_job(&self, fact: impl FnOnce(Facts<'_>) -> String) -> String {
        if self.step.is_some() { String::new() } else { fact(self.facts()) }
    }

    pub fn state(&self) -> String {
        if let Some(past) = &self.past {
            return past.clone();
        }
        match (&self.step, self.job.state) {
            (Some(step), _) => step.state.to_owned(),
            (None, StateWord::Cancelled) => {
                format!("{} by {}", self.job.state, self.facts().uid())
            }
            (None, _) => self.facts().state().to_owned(),
        }
    }

    pub fn exit_code(&self) -> String {
        self.step.as_ref().map_or_else(|| self.facts().exit_code(), |step| step.exit.clone())
    }

    pub fn memory(&self) -> String {
        match (&self.step, self.job.memory_bytes) {
            (None, Some(bytes)) => self.size(bytes.unsigned_abs()),
            _ => String::new(),
        }
    }

    /// What the largest process had; known of the script's row after its end.
    pub fn max_rss(&self) -> String {
        let used = self.job.usage.filter(|_| self.step.is_some());
        used.map_or_else(String::new, |usage| self.size(usage.max_rss_bytes.unsigned_abs()))
    }

    fn size(&self, bytes: u64) -> String {
        let in_unit = |shift: u32, unit: char| {
            let value = bytes as f64 / (1_u64 << shift) as f64;
            let text = format!("{value:.2}");
            format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
        };
        match self.unit {
            Some('K') => in_unit(10, 'K'),
            Some('M') => in_unit(20, 'M'),
            Some('G') => in_unit(30, 'G'),
            Some('T') => in_unit(40, 'T'),
            _ if bytes.is_multiple_of(1 << 20) => words::memory(bytes),
            _ => format!("{}K", bytes >> 10),
        }
    }
}
