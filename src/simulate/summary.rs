//! *Purpose*: what a schedule is worth.
//!
//! *Owns*: [`Summary`].
//!
//! *Promises*: the figures that papers on scheduling use, and a hash by which two simulators can
//! tell whether they agree job by job.
//!
//! *Not here*: the schedule (`simulate::replay`), tables and JSON (`cli::simulate`).
//!
//! Bounded slowdown: Feitelson, Rudolph, Schwiegelshohn, Sevcik, Wong, "Theory and practice in
//! parallel job scheduling" (JSSPP 1997), with τ = 10 s.

use std::fmt::Write as _;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::replay::Outcome;
use super::swf::Trace;

/// A run shorter than this counts as so long, seconds.
pub const TAU_S: i64 = 10;

/// The figures of one schedule. Times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "named as they are printed")]
pub struct Summary {
    pub jobs: usize,
    pub dropped: u64,
    pub processors: u32,
    /// May be more than 63 bits hold.
    pub wait_sum: i128,
    pub wait_mean: f64,
    pub wait_median: i64,
    pub wait_p95: i64,
    pub wait_max: i64,
    pub slowdown_mean: f64,
    pub slowdown_p95: f64,
    pub slowdown_max: f64,
    /// Of the processors from the first submission to the last end, 0 to 1.
    pub utilization: f64,
    pub makespan: i64,
    /// From so many processors on a job counts as wide.
    pub wide_at: u32,
    pub wide_jobs: usize,
    pub wide_wait_mean: f64,
    pub wide_wait_max: i64,
    pub queue_max: usize,
    pub passes: u64,
    /// SHA-256 of a line `number wait` for each job, in the order of the file.
    pub waits_sha256: String,
}

/// The value below which so many percent lie, by nearest rank.
fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// The waits of a schedule, a line `number wait` for each job, in the order of the file.
#[must_use]
pub fn waits_text(trace: &Trace, outcome: &Outcome) -> String {
    let mut lines: Vec<(u32, i64, i64)> = Vec::with_capacity(trace.jobs.len());
    for (job, start) in trace.jobs.iter().zip(&outcome.starts) {
        lines.push((job.line, job.number, start - job.submit));
    }
    lines.sort_unstable();
    let mut text = String::new();
    for (_, number, wait) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{number} {wait}");
    }
    text
}

impl Summary {
    /// The figures of a schedule.
    #[must_use]
    pub fn of(trace: &Trace, outcome: &Outcome) -> Summary {
        let count = trace.jobs.len();
        let mut waits = Vec::with_capacity(count);
        let mut slowdowns = Vec::with_capacity(count);
        let (mut work, mut last, mut first) = (0_i128, i64::MIN, i64::MAX);
        for (job, start) in trace.jobs.iter().zip(&outcome.starts) {
            let wait = start - job.submit;
            let turnaround = (wait + job.run) as f64;
            waits.push(wait);
            slowdowns.push((turnaround / job.run.max(TAU_S) as f64).max(1.0));
            work += i128::from(job.cpus) * i128::from(job.run);
            last = last.max(start + job.run);
            first = first.min(job.submit);
        }
        let mut widths: Vec<u32> = trace.jobs.iter().map(|job| job.cpus).collect();
        widths.sort_unstable();
        let wide_at = percentile(&widths, 99).unwrap_or_default();
        let pairs = trace.jobs.iter().zip(&waits);
        let wide: Vec<i64> =
            pairs.filter(|(job, _)| job.cpus >= wide_at).map(|(_, wait)| *wait).collect();
        let wait_sum: i128 = waits.iter().map(|wait| i128::from(*wait)).sum();
        let slowdown_mean = slowdowns.iter().sum::<f64>() / count as f64;
        waits.sort_unstable();
        slowdowns.sort_unstable_by(f64::total_cmp);
        let makespan = last - first;
        let waits_sha256 = Sha256::digest(waits_text(trace, outcome));
        Summary {
            jobs: count,
            dropped: trace.dropped,
            processors: trace.cpus,
            wait_sum,
            wait_mean: wait_sum as f64 / count as f64,
            wait_median: percentile(&waits, 50).unwrap_or_default(),
            wait_p95: percentile(&waits, 95).unwrap_or_default(),
            wait_max: waits.last().copied().unwrap_or_default(),
            slowdown_mean,
            slowdown_p95: percentile(&slowdowns, 95).unwrap_or_default(),
            slowdown_max: slowdowns.last().copied().unwrap_or_default(),
            utilization: work as f64 / (f64::from(trace.cpus) * makespan as f64),
            makespan,
            wide_at,
            wide_jobs: wide.len(),
            wide_wait_mean: wide.iter().map(|wait| i128::from(*wait)).sum::<i128>() as f64
                / wide.len() as f64,
            wide_wait_max: wide.iter().max().copied().unwrap_or_default(),
            queue_max: outcome.queue_max,
            passes: outcome.passes,
            waits_sha256: waits_sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}
