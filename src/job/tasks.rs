//! *Purpose*: the tasks of a job, as `sbatch` counts them.
//!
//! *Owns*: [`Tasks`], and how many CPUs a job asks for by them.
//!
//! *Promises*: what nobody said stays unsaid, since a script is told the difference.
//!
//! *Not here*: the variables that tell a script (`actors::environment`), starting tasks: a script
//! starts its own.
//!
//! Source: sbatch(1), "--ntasks", "--ntasks-per-node", "--cpus-per-task". This server is one node,
//! so the tasks of a node are all tasks.

use serde::{Deserialize, Serialize};

/// What was said of a job's tasks; `None` for what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tasks {
    /// Tasks, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ntasks: Option<u32>,
    /// Tasks of each node, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ntasks_per_node: Option<u32>,
    /// CPUs of each task, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus_per_task: Option<u32>,
}

impl Tasks {
    /// Whether nothing was said of them.
    #[must_use]
    pub fn is_unsaid(&self) -> bool {
        *self == Tasks::default()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.ntasks.or(self.ntasks_per_node).unwrap_or(1)
    }

    /// CPUs of each task of a job that has so many.
    #[must_use]
    pub fn cpus_of_each(&self, cpus: u32) -> u32 {
        self.cpus_per_task.unwrap_or_else(|| cpus / self.count().max(1)).max(1)
    }

    /// The CPUs of all tasks together.
    #[must_use]
    pub fn cpus(&self) -> i64 {
        i64::from(self.count()).saturating_mul(self.cpus_per_task.unwrap_or(1).into())
    }

    /// What is said of them when the job gets so many CPUs.
    ///
    /// # Errors
    /// When so many are no whole number of tasks.
    pub fn with_cpus(self, cpus: u32) -> Result<Tasks, String> {
        match self.cpus_per_task {
            Some(each) if !cpus.is_multiple_of(each) => {
                Err(format!("{cpus} asked for; its tasks have {each} each, so a multiple of that"))
            }
            Some(each) => Ok(Tasks { ntasks: Some(cpus / each), ntasks_per_node: None, ..self }),
            None if self.count() <= cpus => Ok(self),
            None => Ok(Tasks { ntasks: Some(cpus), ntasks_per_node: None, ..self }),
        }
    }

    /// Why these cannot be on one node.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let (all, each) = (self.ntasks?, self.ntasks_per_node?);
        let nodes = all.div_ceil(each.max(1));
        (nodes > 1).then(|| {
            format!(
                "{all} tasks with {each} on each node need {nodes} nodes; this server is one node"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(all: Option<u32>, each: Option<u32>, cpus: Option<u32>) -> Tasks {
        Tasks { ntasks: all, ntasks_per_node: each, cpus_per_task: cpus }
    }

    #[test]
    fn cpus_are_those_of_all_tasks() {
        for (said, count, cpus, each) in [
            (tasks(None, None, None), 1, 1, 1),
            (tasks(Some(2), None, Some(3)), 2, 6, 3),
            (tasks(None, Some(4), None), 4, 4, 1),
            (tasks(Some(2), Some(4), None), 2, 2, 1),
            (tasks(None, None, Some(5)), 1, 5, 5),
        ] {
            assert_eq!((said.count(), said.cpus()), (count, cpus), "{said:?}");
            assert_eq!(said.cpus_of_each(u32::try_from(cpus).unwrap_or(0)), each, "{said:?}");
        }
        let all_of_the_machine = tasks(Some(2), None, None);
        assert_eq!(all_of_the_machine.cpus_of_each(9), 4);
        assert_eq!(tasks(Some(u32::MAX), None, Some(u32::MAX)).cpus(), i64::MAX);
    }

    #[test]
    fn with_other_cpus_there_are_as_many_tasks_as_have_theirs() {
        let with = |said: Tasks, cpus| said.with_cpus(cpus);
        assert_eq!(with(tasks(Some(2), None, Some(3)), 9), Ok(tasks(Some(3), None, Some(3))));
        assert_eq!(with(tasks(None, None, Some(4)), 8), Ok(tasks(Some(2), None, Some(4))));
        assert!(with(tasks(Some(2), None, Some(3)), 8).is_err());
        assert_eq!(with(tasks(Some(4), None, None), 8), Ok(tasks(Some(4), None, None)));
        assert_eq!(with(tasks(None, Some(4), None), 2), Ok(tasks(Some(2), None, None)));
        assert_eq!(with(Tasks::default(), 7), Ok(Tasks::default()));
    }

    #[test]
    fn tasks_that_need_more_nodes_than_one_are_told_so() {
        assert_eq!(tasks(Some(4), Some(4), None).fault(), None);
        assert_eq!(tasks(None, Some(4), None).fault(), None);
        let said = tasks(Some(5), Some(2), None).fault();
        assert!(said.is_some_and(|said| said.contains("need 3 nodes")));
    }
}
