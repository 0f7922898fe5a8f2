//! *Purpose*: asks the server for jobs, as Slurm's programs name them.
//!
//! *Owns*: [`Server`], [`Named`], and the ids of a command line.
//!
//! *Promises*: an array stands for its tasks, those that are jobs and those that are left; a task
//! that is no job yet is found as one that is. Of each
//! page no more is asked than the server gives.
//!
//! *Not here*: what is shown of them.

use std::collections::{BTreeMap, BTreeSet};

use super::failure::Failure;
use crate::api::wire::v1::{
    ArraySpec, Attempt, Job, JobId, JobList, JobRef, StateWord, Step, StepList,
};
use crate::cli::CliError;
use crate::cli::client::{Client, Connect, query};

/// Jobs of a page: as many as a server gives.
const PAGE: usize = 1_000;
/// The same where a part of each is wanted.
const LINES: usize = 10_000;

/// The server, to one command.
#[derive(Clone, Debug)]
pub struct Server {
    /// Which command asks.
    pub command: &'static str,
    /// How it is reached.
    pub client: Client,
}

/// A job as people name it: a number, a task, tasks, or an array as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// The number.
    pub id: JobId,
    /// The task.
    pub task: Option<u32>,
}

impl Named {
    /// How the server is asked for it.
    #[must_use]
    pub fn reference(self) -> JobRef {
        JobRef { job: self.id, task: self.task }
    }

    /// Every way in which a job is named: by its number, as a task, as one of its array.
    pub fn of(job: &Job) -> impl Iterator<Item = Named> + use<> {
        let own = Named { id: job.id, task: None };
        let whole = job.array_job_id.map(|id| Named { id, task: None });
        let task = job.array_task_id.and(job.array_job_id);
        let task = task.map(|id| Named { id, task: job.array_task_id });
        [Some(own), whole, task].into_iter().flatten()
    }
}

impl Server {
    /// The server that this process would ask under any name.
    ///
    /// # Errors
    /// When what names it makes no sense.
    pub fn of(command: &'static str) -> Result<Server, Failure> {
        let client = Client::new(&Connect::from_environment());
        let client = client.map_err(|error| Failure::of(command, &error))?;
        Ok(Server { command, client })
    }

    /// What goes wrong on the way, as this command says it.
    #[must_use]
    pub fn failed(&self, error: &CliError) -> Failure {
        Failure::of(self.command, error)
    }

    /// An error of this command.
    #[must_use]
    pub fn error(&self, what: &str) -> Failure {
        Failure::error(self.command, what)
    }

    /// All jobs that these parameters find, oldest first; of each these fields alone, or all.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub fn all(&self, pairs: &[(&str, String)], fields: &str) -> Result<Vec<Job>, Failure> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut pairs = pairs.to_vec();
            let limit = if fields.is_empty() { PAGE } else { LINES };
            pairs.extend([("limit", limit.to_string()), ("sort", "id".to_owned())]);
            pairs.extend((!fields.is_empty()).then(|| ("fields", fields.to_owned())));
            pairs.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let page = self.client.get(&format!("/api/v1/jobs{}", query(&pairs)));
            let page = page.and_then(|page| page.parse::<JobList>());
            let JobList { jobs, next_cursor } = page.map_err(|error| self.failed(&error))?;
            // Most answers are one page, which is not copied.
            if all.is_empty() {
                all = jobs
            } else {
                all.extend(jobs)
            }
            match next_cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// The runs of a job before the one that it is in, or ended with, oldest first.
    ///
    /// # Errors
    /// As [`Server::all`].
    pub fn past_runs(&self, job: &Job) -> Result<Vec<Attempt>, Failure> {
        let waits_again = job.state == StateWord::Pending;
        if job.attempt == 0 || job.attempt == 1 && !waits_again {
            return Ok(Vec::new());
        }
        let runs = self.client.get(&format!("/api/v1/jobs/{}/attempts", job.id));
        let runs = runs.and_then(|answer| answer.parse::<Vec<Attempt>>());
        let mut runs = runs.map_err(|error| self.failed(&error))?;
        runs.retain(|run| waits_again || run.attempt < job.attempt);
        Ok(runs)
    }

    /// What these jobs said of their steps, of each in the order of its steps.
    ///
    /// # Errors
    /// As [`Server::all`].
    pub fn steps(&self, jobs: &[JobId]) -> Result<BTreeMap<JobId, Vec<Step>>, Failure> {
        let mut all: BTreeMap<JobId, Vec<Step>> = BTreeMap::new();
        for part in jobs.chunks(PAGE) {
            let ids: Vec<String> = part.iter().map(ToString::to_string).collect();
            let mut cursor: Option<String> = None;
            loop {
                let mut pairs = vec![("ids", ids.join(","))];
                pairs.extend(cursor.take().map(|cursor| ("cursor", cursor)));
                let page = self.client.get(&format!("/api/v1/steps{}", query(&pairs)));
                let page = page.and_then(|page| page.parse::<StepList>());
                let StepList { steps, next_cursor } = page.map_err(|error| self.failed(&error))?;
                steps.into_iter().for_each(|step| all.entry(step.job_id).or_default().push(step));
                match next_cursor {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
        }
        all.values_mut().for_each(|steps| steps.sort_by_key(|step| (step.attempt, step.step)));
        Ok(all)
    }

    /// Those of these that there are; of arrays all their tasks.
    ///
    /// # Errors
    /// As [`Server::all`].
    pub fn named(&self, named: &[Named], fields: &str) -> Result<Vec<Job>, Failure> {
        let numbers: BTreeSet<JobId> = named.iter().map(|named| named.id).collect();
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let mut all: Vec<Job> = Vec::new();
        for part in numbers.chunks(PAGE) {
            all.extend(self.all(&[("ids", part.join(","))], fields)?);
        }
        let arrays: Vec<JobId> =
            all.iter().filter(|job| job.is_array()).map(|job| job.id).collect();
        for array in arrays {
            all.extend(self.all(&[("array_job_id", array.to_string())], fields)?);
        }
        let (wanted, mut seen) = (BTreeSet::from_iter(named.iter().copied()), BTreeSet::new());
        all.retain(|job| seen.insert(job.id));
        let found = |job: Job| match is_wanted(&wanted, &job) {
            true => vec![job],
            false => left(&job).into_iter().filter(|task| is_wanted(&wanted, task)).collect(),
        };
        Ok(all.into_iter().flat_map(found).collect())
    }
}

fn is_wanted(wanted: &BTreeSet<Named>, job: &Job) -> bool {
    Named::of(job).any(|name| wanted.contains(&name))
}

/// The tasks that this row stands for, if it stands for what is left of an array, each by itself.
#[must_use]
pub fn left(job: &Job) -> Vec<Job> {
    let left = job.array_tasks.as_deref().filter(|_| job.array_task_id.is_none());
    let left = left.and_then(|left| left.parse::<ArraySpec>().ok());
    let one = |task| Job { array_task_id: Some(task), array_tasks: None, ..job.clone() };
    left.map(|left| left.tasks.iter().map(one).collect()).unwrap_or_default()
}

/// The tasks of `3`, `1-5`, `[1-3,7]`, `0-9:2`, `1-5%2`.
fn tasks(text: &str) -> Option<Vec<u32>> {
    let text = text.strip_prefix('[').map_or(Some(text), |rest| rest.strip_suffix(']'))?;
    let spec: ArraySpec = text.parse().ok()?;
    Some(spec.tasks.iter().collect())
}

/// Ids as they stand in lists: `17`, `17_4`, `17_[1-3]`; what follows a dot names a step. `None`
/// where this is no id.
#[must_use]
pub fn ids(word: &str) -> Option<Vec<Named>> {
    let word = word.split_once('.').map_or(word, |(job, _)| job);
    let (number, of) = match word.split_once('_') {
        Some((number, of)) => (number, Some(of)),
        None => (word, None),
    };
    let id = JobId(number.parse().ok().filter(|n| *n > 0)?);
    match of {
        None => Some(vec![Named { id, task: None }]),
        Some(of) => {
            Some(tasks(of)?.into_iter().map(|task| Named { id, task: Some(task) }).collect())
        }
    }
}

/// The words of a list with commas, in which brackets keep commas together.
#[must_use]
pub fn words(list: &str) -> Vec<&str> {
    let (mut words, mut begin, mut depth) = (Vec::new(), 0, 0_u32);
    for (at, letter) in list.char_indices() {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                words.push(&list[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    words.push(&list[begin..]);
    words.into_iter().map(str::trim).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_people_write_them() {
        let named = |id, task| Named { id: JobId(id), task };
        assert_eq!(ids("17").unwrap(), [named(17, None)]);
        assert_eq!(ids("17_4.batch").unwrap(), [named(17, Some(4))]);
        let two = [named(17, Some(1)), named(17, Some(3))];
        assert_eq!(ids("17_[1,3]").unwrap(), two);
        for word in ["", "abc", "0", "-1", "17_", "17_x"] {
            assert_eq!(ids(word), None, "{word}");
        }
        assert_eq!(words("1, 17_[1,3],,2"), ["1", "17_[1,3]", "2"]);
    }
}
