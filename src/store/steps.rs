//! *Purpose*: a step of a job, as a row.
//!
//! *Owns*: [`StepRecord`].
//!
//! *Promises*: every field is of the type that it means.
//!
//! *Not here*: reading and writing (`store::body`).

use diesel::prelude::*;

use super::cell::{Cell, RowRef};
use super::error::StoreError;
use super::rows::get;
use super::schema::steps;
use crate::job::ids::Attempt;
use crate::job::outcome::{ExitCode, Usage};
use crate::job::step::{Step, StepEnd};
use crate::time::Time;

#[derive(Queryable, Selectable)]
#[diesel(table_name = steps)]
pub(super) struct StepRow {
    id: i64,
    job_id: Cell,
    attempt: Cell,
    step: Cell,
    name: Cell,
    tasks: Cell,
    cpus: Cell,
    start_time: Cell,
    end_time: Cell,
    exit_code: Cell,
    user_cpu_us: Cell,
    system_cpu_us: Cell,
    max_rss_bytes: Cell,
}

/// A step, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRecord {
    /// The number of its row, by which pages go on.
    pub id: i64,
    /// Of which run of which job.
    pub attempt: Attempt,
    /// What was told of it.
    pub step: Step,
}

impl TryFrom<StepRow> for StepRecord {
    type Error = StoreError;

    fn try_from(row: StepRow) -> Result<StepRecord, StoreError> {
        let at = RowRef { table: "steps", what: "step", id: &row.id };
        let (time, exit): (Option<Time>, Option<ExitCode>) =
            (get!(at, row.end_time), get!(at, row.exit_code));
        let end = match time.zip(exit) {
            None => None,
            Some((time, exit)) => Some(StepEnd {
                time,
                exit,
                usage: Usage {
                    user_us: get!(at, row.user_cpu_us),
                    system_us: get!(at, row.system_cpu_us),
                    max_rss_bytes: get!(at, row.max_rss_bytes),
                },
            }),
        };
        let name: String = get!(at, row.name);
        Ok(StepRecord {
            id: row.id,
            attempt: Attempt { job: get!(at, row.job_id), n: get!(at, row.attempt) },
            step: Step {
                no: get!(at, row.step),
                name: name.into(),
                tasks: get!(at, row.tasks),
                cpus: get!(at, row.cpus),
                start: get!(at, row.start_time),
                end,
            },
        })
    }
}
