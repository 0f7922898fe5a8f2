//! *Purpose*: who goes first.
//!
//! *Owns*: [`Order`], the line that a pass walks along.
//!
//! *Promises*: more points first; then, with a threshold, whoever has waited longer than that, by
//! id; then the order's own rule; then the smaller id. Under `fcfs`, `sjf`, `saf` and `wfp3` jobs
//! alike in points, CPUs and request never overtake one another.
//!
//! *Not here*: who starts (`policy`).
//!
//! Sources: WFP3 from Tang, Lan, Desai, Buettner, "Fault-aware, utility-based job scheduling on
//! Blue Gene/P systems" (CLUSTER 2009); SAF and F1 from Carastan-Santos, de Camargo, "Obtaining
//! dynamic scheduling policies with simulation and machine learning" (SC 2017).

use std::cmp::Reverse;

use super::input::{Instant, PendingJob, Span};
use crate::job::ids::JobId;
use crate::time::SECOND_US;

/// The rule of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// First come, first served.
    Fcfs,
    /// Shortest request first.
    Sjf,
    /// Smallest area (request × CPUs) first.
    Saf,
    /// Largest (wait / request)³ × CPUs first.
    Wfp3,
    /// Smallest log₁₀(request) × CPUs + 870 log₁₀(submit time) first; submit times count from
    /// the beginning of a trace, so only simulations can use it.
    F1,
}

impl Order {
    /// Where a job stands by this rule: smaller goes first.
    fn rank(self, job: &PendingJob, now: Instant) -> u64 {
        match self {
            Order::Fcfs => 0,
            Order::Sjf => job.request.unsigned_abs(),
            Order::Saf => job.request.unsigned_abs().saturating_mul(u64::from(job.cpus)),
            Order::Wfp3 => {
                let x = now.saturating_sub(job.submitted) as f64 / job.request as f64;
                // Left to right: another order of the products rounds differently.
                !ascending(x * x * x * f64::from(job.cpus))
            }
            Order::F1 => {
                let size = (job.request as f64).log10() * f64::from(job.cpus);
                ascending(size + 870.0 * (job.submitted as f64).log10())
            }
        }
    }
}

impl Order {
    /// What it sees in a job, as a person may read it: the request in s, the area in CPU-s, or
    /// the utility; `None` where only the submit order counts.
    #[must_use]
    pub fn value(self, job: &PendingJob, now: Instant) -> Option<f64> {
        let request_s = job.request as f64 / SECOND_US as f64;
        match self {
            Order::Fcfs | Order::F1 => None,
            Order::Sjf => Some(request_s),
            Order::Saf => Some(request_s * f64::from(job.cpus)),
            Order::Wfp3 => {
                let x = now.saturating_sub(job.submitted) as f64 / job.request as f64;
                Some(x * x * x * f64::from(job.cpus))
            }
        }
    }
}

/// Numbers that stand as the floating-point numbers do.
fn ascending(x: f64) -> u64 {
    let bits = x.to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// How a queue is ordered: the rule, and after how long a wait it no longer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The rule.
    pub order: Order,
    /// Whoever has waited longer than this goes first, in the input's unit.
    pub threshold: Option<Span>,
}

/// A job's place in the line: smaller goes first.
pub type Place = (Reverse<i64>, bool, u64, JobId);

impl Rule {
    /// Where a job stands.
    #[must_use]
    pub fn place(&self, job: &PendingJob, now: Instant) -> Place {
        let waited = now.saturating_sub(job.submitted);
        let senior = self.threshold.is_some_and(|threshold| waited > threshold);
        let rank = if senior { 0 } else { self.order.rank(job, now) };
        (Reverse(job.points), !senior, rank, job.job)
    }
}
