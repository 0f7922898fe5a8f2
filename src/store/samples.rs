//! *Purpose*: what was held, waited and ran, as rows.
//!
//! *Owns*: [`Row`], [`Sums`], and how long the times of rows are.
//!
//! *Promises*: a time of which there is no row is not there: nobody knows what was.
//!
//! *Not here*: reading, writing and putting old ones together (`store::body`).

use diesel::prelude::*;

use super::cell::{Cell, RowRef};
use super::error::StoreError;
use super::rows::get;
use super::schema::samples;
use crate::kernel::parts::samples::{MINUTE_US, Sample};
use crate::time::SECOND_US;

/// The length of a row when it is written, seconds.
pub const MINUTE_S: i64 = 60;
/// The length of a row that old ones have become, seconds.
pub const LONG_S: i64 = 600;

/// How long minutes are kept as such, seconds.
pub const MINUTES_KEPT_S: i64 = 48 * 3_600;

/// A row: the sum of some minutes.
#[derive(Clone, Debug, PartialEq, Eq, Insertable)]
#[diesel(table_name = samples)]
pub struct Row {
    /// The length of the time that it is about, seconds.
    pub step_s: i64,
    /// Its begin, seconds since 1970.
    pub start: i64,
    /// Of how many minutes of that time it is known what was.
    pub minutes: i64,
    /// CPUs times µs.
    pub cpu_us: i64,
    /// Bytes of memory that jobs held, in the mean of these minutes.
    pub memory_bytes: i64,
    /// GPUs times µs.
    pub gpu_us: i64,
    /// Waiting jobs times µs.
    pub pending_us: i64,
    /// Running jobs times µs.
    pub running_us: i64,
    /// Scripts that were started.
    pub started: i64,
    /// Jobs that completed.
    pub ended_ok: i64,
    /// Jobs that ended in another way.
    pub ended_not_ok: i64,
    /// How long those that were started had waited, all together, µs.
    pub waited_us: i64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = samples)]
pub(super) struct StoredRow {
    step_s: i64,
    start: i64,
    minutes: Cell,
    cpu_us: Cell,
    memory_bytes: Cell,
    gpu_us: Cell,
    pending_us: Cell,
    running_us: Cell,
    started: Cell,
    ended_ok: Cell,
    ended_not_ok: Cell,
    waited_us: Cell,
}

impl TryFrom<StoredRow> for Row {
    type Error = StoreError;

    fn try_from(row: StoredRow) -> Result<Row, StoreError> {
        let at = RowRef { table: "samples", what: "sample", id: &row.start };
        Ok(Row {
            step_s: row.step_s,
            start: row.start,
            minutes: get!(at, row.minutes),
            cpu_us: get!(at, row.cpu_us),
            memory_bytes: get!(at, row.memory_bytes),
            gpu_us: get!(at, row.gpu_us),
            pending_us: get!(at, row.pending_us),
            running_us: get!(at, row.running_us),
            started: get!(at, row.started),
            ended_ok: get!(at, row.ended_ok),
            ended_not_ok: get!(at, row.ended_not_ok),
            waited_us: get!(at, row.waited_us),
        })
    }
}

impl From<&Sample> for Row {
    fn from(sample: &Sample) -> Row {
        let counts = &sample.counts;
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Row {
            step_s: MINUTE_S,
            start: sample.start.0 / SECOND_US,
            minutes: 1,
            cpu_us: sample.cpu_us,
            memory_bytes: sample.memory_bytes,
            gpu_us: sample.gpu_us,
            pending_us: sample.pending_us,
            running_us: sample.running_us,
            started: count(counts.started),
            ended_ok: count(counts.ended_ok),
            ended_not_ok: count(counts.ended_not_ok),
            waited_us: counts.waited_us,
        }
    }
}

impl Row {
    /// The begin of the ten minutes that it is in.
    #[must_use]
    pub fn ten(&self) -> i64 {
        self.start - self.start.rem_euclid(LONG_S)
    }

    /// Rows of ten minutes as one; `None` of none.
    #[must_use]
    pub fn together(rows: &[&Row]) -> Option<Row> {
        let start = rows.first()?.ten();
        let mut sums = Sums::default();
        rows.iter().for_each(|row| sums.add(row));
        let cut = |sum: i128| i64::try_from(sum).unwrap_or(i64::MAX);
        Some(Row {
            step_s: LONG_S,
            start,
            minutes: cut(sums.minutes),
            cpu_us: cut(sums.cpu_us),
            memory_bytes: cut(sums.memory_minutes / sums.minutes.max(1)),
            gpu_us: cut(sums.gpu_us),
            pending_us: cut(sums.pending_us),
            running_us: cut(sums.running_us),
            started: cut(sums.started),
            ended_ok: cut(sums.ended_ok),
            ended_not_ok: cut(sums.ended_not_ok),
            waited_us: cut(sums.waited_us),
        })
    }
}

/// Rows added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the sum of what a row calls so")]
pub struct Sums {
    pub minutes: i128,
    pub cpu_us: i128,
    /// Bytes times minutes.
    pub memory_minutes: i128,
    pub gpu_us: i128,
    pub pending_us: i128,
    pub running_us: i128,
    pub started: i128,
    pub ended_ok: i128,
    pub ended_not_ok: i128,
    pub waited_us: i128,
}

impl Sums {
    /// One more.
    pub fn add(&mut self, row: &Row) {
        self.minutes += i128::from(row.minutes);
        self.cpu_us += i128::from(row.cpu_us);
        self.memory_minutes += i128::from(row.memory_bytes) * i128::from(row.minutes);
        self.gpu_us += i128::from(row.gpu_us);
        self.pending_us += i128::from(row.pending_us);
        self.running_us += i128::from(row.running_us);
        self.started += i128::from(row.started);
        self.ended_ok += i128::from(row.ended_ok);
        self.ended_not_ok += i128::from(row.ended_not_ok);
        self.waited_us += i128::from(row.waited_us);
    }

    /// What a sum of a level times µs was in the mean of the known minutes; `None` when there are
    /// none.
    #[must_use]
    pub fn mean(&self, sum_us: i128) -> Option<f64> {
        let known_us = self.minutes * i128::from(MINUTE_US);
        (known_us > 0).then(|| sum_us as f64 / known_us as f64)
    }
}
