//! *Purpose*: where a pending job stands in the line, and why there.
//!
//! *Owns*: [`QueuePosition`].
//!
//! *Promises*: those that room was made for stand before all others.
//!
//! *Not here*: the order (`policy::order`), points (`kernel::parts::priority`).

use crate::job::ids::JobId;
use crate::kernel::parts::priority::Parts;
use crate::kernel::parts::queue::pending::pointed;
use crate::kernel::state::Kernel;
use crate::policy::name::Policy;
use crate::time::{SECOND_US, Time};

/// Where a pending job stands in the line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueuePosition {
    /// Its place, from 1; `None` while it may not start.
    pub position: Option<usize>,
    /// Its points: more goes first.
    pub points: i64,
    /// Of what they are made.
    pub parts: Parts,
    /// What the policy's order sees in it, among those with as many points.
    pub value: Option<f64>,
    /// How long it has waited, seconds.
    pub waited_s: i64,
}

impl Kernel {
    /// Where a pending job stands, and why there; `None` when it does not wait.
    #[must_use]
    pub fn rank(&self, id: JobId, policy: &Policy, now: Time) -> Option<QueuePosition> {
        let job = self.queue.get(id)?;
        let points = self.rules.points(now);
        let waiting = pointed(job, &points);
        let rule = policy.rule(SECOND_US);
        let place = rule.place(&waiting, now.0);
        // Those that room was made for stand before all others.
        let claims = self.claims_now(now);
        let position = match claims.iter().position(|claim| claim.job == id) {
            Some(before) => Some(before + 1),
            None => {
                let behind = claims.iter().filter(|claim| rule.place(claim, now.0) > place);
                let in_line = self.queue.position(policy, now, &points, id);
                in_line.map(|position| position + behind.count())
            }
        };
        Some(QueuePosition {
            position,
            points: waiting.points,
            parts: points.of(job),
            value: policy.order.value(&waiting, now.0),
            waited_s: now.since_us(job.submitted).max(0) / SECOND_US,
        })
    }
}
