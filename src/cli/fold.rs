//! *Purpose*: an array as one line of a list.
//!
//! *Owns*: [`folded`].
//!
//! *Promises*: every task that was listed is in exactly one line; a line is where the first of its
//! tasks was, and its id names them all, so that it can be handed to `cancel`.
//!
//! *Not here*: how a line is shown (`cli::columns`).

use std::collections::BTreeMap;

use crate::api::wire::v1::{ArraySpec, Job, JobId, StateWord};
use crate::job::array_spec::TaskSet;

/// The tasks of one array that were listed.
struct Tasks {
    /// Where its line is.
    at: usize,
    tasks: TaskSet,
    states: BTreeMap<StateWord, usize>,
    /// How many of them hold CPUs.
    holding: u32,
    rows: u32,
}

/// The same jobs, with the tasks of each array in one line.
pub(super) fn folded(jobs: Vec<Job>) -> Vec<Job> {
    let mut lines: Vec<Job> = Vec::new();
    let mut arrays: BTreeMap<JobId, Tasks> = BTreeMap::new();
    for job in jobs {
        let Some(array) = job.array_job_id else {
            lines.push(job);
            continue;
        };
        let of = arrays.entry(array).or_insert_with(|| Tasks {
            at: lines.len(),
            tasks: TaskSet::default(),
            states: BTreeMap::new(),
            holding: 0,
            rows: 0,
        });
        let left = job.array_tasks.as_deref().and_then(|left| left.parse::<ArraySpec>().ok());
        let count = match (job.array_task_id, left) {
            (Some(task), _) => usize::from(of.tasks.insert(task)),
            (None, Some(left)) => left.tasks.iter().filter(|task| of.tasks.insert(*task)).count(),
            // The row of an array whose tasks are all jobs of their own says nothing more.
            (None, None) => continue,
        };
        *of.states.entry(job.state).or_default() += count;
        of.holding += u32::from(is_holding(&job));
        of.rows += 1;
        if of.at == lines.len() {
            lines.push(job);
        }
    }
    for (array, tasks) in arrays {
        if let Some(line) = lines.get_mut(tasks.at).filter(|_| tasks.rows > 1) {
            fold(line, array, &tasks);
        }
    }
    lines
}

fn is_holding(job: &Job) -> bool {
    matches!(job.state, StateWord::Running | StateWord::Completing)
}

fn fold(line: &mut Job, array: JobId, of: &Tasks) {
    (line.id, line.array_task_id) = (array, None);
    line.array_tasks = Some(of.tasks.to_string());
    line.cpus = line.cpus.saturating_mul(of.holding.max(1));
    if of.states.len() > 1 {
        let counts = of.states.iter().map(|(state, n)| format!("{n} {state}"));
        line.state_reason = Some(counts.collect::<Vec<_>>().join(", "));
        line.state_detail = None;
        // A line of several states has ended in none of them.
        line.exit_code = None;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::wait::tests::job;
    use super::*;

    fn task(state: &str, task: Option<u32>, left: Option<&str>) -> Job {
        let mut one: Job = serde_json::from_str(&job(state, None)).unwrap();
        one.array_job_id = Some(JobId(3));
        (one.array_task_id, one.array_tasks) = (task, left.map(str::to_owned));
        one
    }

    #[test]
    fn tasks_of_an_array_are_one_line_that_names_them() {
        let alone: Job = serde_json::from_str(&job("RUNNING", None)).unwrap();
        let jobs = vec![
            task("RUNNING", Some(1), None),
            alone.clone(),
            task("RUNNING", Some(0), None),
            task("PENDING", None, Some("2-9%4")),
        ];
        let lines = folded(jobs);
        let shown: Vec<String> = lines.iter().map(Job::shown_id).collect();
        assert_eq!(shown, ["3_[0-9]", "17"]);
        assert_eq!(lines[0].state_reason.as_deref(), Some("8 PENDING, 2 RUNNING"));
        assert_eq!((lines[0].state, lines[0].cpus), (StateWord::Running, 2));
        let one = vec![task("PENDING", None, Some("2-9%4"))];
        assert_eq!(folded(one.clone()), one, "what is alone stays as it is");
        let same = folded(vec![task("FAILED", Some(1), None), task("FAILED", Some(2), None)]);
        assert_eq!((same.len(), same[0].state_reason.clone()), (1, None));
    }
}
