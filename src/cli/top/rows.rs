//! *Purpose*: jobs as rows of a screen.
//!
//! *Owns*: which jobs are one row, and in which order rows stand.
//!
//! *Promises*: the tasks of an array that run are one row unless they are asked for one by one.
//!
//! *Not here*: columns (`top::lists`).

use std::collections::BTreeMap;

use crate::api::wire::v1::{Job, JobId};

/// Jobs that are one row.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    /// The first of them.
    pub(super) job: &'a Job,
    /// All of them.
    pub(super) all: Vec<&'a Job>,
}

impl Row<'_> {
    /// What orders about it are given to: the job, or the whole array.
    pub(super) fn id(&self) -> JobId {
        match self.job.array_job_id {
            Some(array) if self.all.len() > 1 => array,
            _ => self.job.id,
        }
    }

    /// As people name it.
    pub(super) fn shown_id(&self) -> String {
        let tasks: Vec<u32> = self.all.iter().filter_map(|job| job.array_task_id).collect();
        match (self.job.array_job_id, tasks.as_slice()) {
            (Some(array), [_, _, ..]) => {
                format!("{array}_[{}]", crate::text::cpu_list::format(tasks))
            }
            _ => self.job.shown_id(),
        }
    }

    pub(super) fn cpus(&self) -> u32 {
        self.all.iter().map(|job| job.cpus).sum()
    }
}

/// Jobs as rows, those of one array as one unless `apart`.
pub(super) fn rows<'a>(jobs: impl Iterator<Item = &'a Job>, apart: bool) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut places: BTreeMap<JobId, usize> = BTreeMap::new();
    for job in jobs {
        let array = job.array_job_id.filter(|_| !apart);
        match array.and_then(|array| places.get(&array)).and_then(|place| rows.get_mut(*place)) {
            Some(row) => row.all.push(job),
            None => {
                array.map(|array| places.insert(array, rows.len()));
                rows.push(Row { job, all: vec![job] });
            }
        }
    }
    rows
}
