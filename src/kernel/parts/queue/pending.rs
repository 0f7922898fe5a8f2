//! *Purpose*: how a pending job looks to planning.
//!
//! *Owns*: [`waiting`], [`pointed`], and the bounds of what one pass looks at.
//!
//! *Promises*: an unlimited job is planned to last 366 days, so there is always a reservation.
//!
//! *Not here*: how a live attempt looks (`kernel::views::pass_input`), the pass (`policy`).

use crate::kernel::parts::priority::Priorities;
use crate::kernel::parts::queued::Queued;
use crate::policy::input::PendingJob;
use crate::time::SECOND_US;

/// How many pending jobs one pass decides upon: more than it can start at a time on most
/// machines, few enough that a pass stays in microseconds.
pub const PLAN_DEPTH: usize = 1_000;
/// How long an unlimited job lasts in planning, seconds.
pub const UNLIMITED_S: i64 = 366 * 86_400;

/// How long a job with this limit lasts in planning, µs.
#[must_use]
pub fn request_us(limit_s: Option<u32>) -> i64 {
    limit_s.map_or(UNLIMITED_S, i64::from) * SECOND_US
}

/// A pending job, as a pass sees it.
#[must_use]
pub fn waiting(job: &Queued) -> PendingJob {
    PendingJob {
        job: job.id,
        cpus: job.cpus,
        rest: job.rest,
        regions: job.placement.regions,
        request: request_us(job.limit_s),
        submitted: job.submitted.0,
        points: job.priority,
        quotas: [job.account.checked_sub(1), job.user.checked_sub(1)],
        preempts: 0,
    }
}

/// A pending job as a pass sees it, with its points of now.
#[must_use]
pub fn pointed(job: &Queued, points: &Priorities) -> PendingJob {
    PendingJob { points: points.of(job).sum(), ..waiting(job) }
}
