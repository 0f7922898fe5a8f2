//! *Purpose*: whom room was made for, until it starts or waits no longer.
//!
//! *Owns*: claims, and the preemption that they come from.
//!
//! *Promises*: nobody is preempted for a job that would find its room without that by now; a claim
//! is durable with the preemption that it comes from, and outlives the server; it ends when its job
//! starts, ends, is held or otherwise kept from starting, or is given a lower priority.
//!
//! *Not here*: what a claim keeps from others (`policy::claims`), whom to preempt
//! (`policy::preempt`).

use std::sync::Arc;

use crate::job::ids::JobId;
use crate::kernel::change::{Change, Step};
use crate::kernel::kernel::Kernel;
use crate::kernel::parts::queue::pending::{pointed, waiting};
use crate::kernel::transition::Fact;
use crate::policy::claims::{Kept, claimants, keep, soon};
use crate::policy::input::PendingJob;
use crate::policy::preempt::for_claimant;
use crate::time::Time;

impl Kernel {
    /// Jobs that room was made for, in the order in which it was.
    #[must_use]
    pub fn claims(&self) -> &[(Time, JobId)] {
        &self.claims
    }

    /// The same, as a pass sees them.
    pub(super) fn claims_now(&self, now: Time) -> Vec<PendingJob> {
        if self.claims.is_empty() {
            return Vec::new();
        }
        let points = self.rules.points(now);
        let seen = |(_, id): &(Time, JobId)| {
            let job = self.queue.get(*id).filter(|_| self.has_claim(*id))?;
            Some(PendingJob { preempts: self.preempts(*id), ..pointed(job, &points) })
        };
        self.claims.iter().filter_map(seen).collect()
    }

    /// Those of them that keep room now.
    pub(super) fn claimants(&self, now: Time) -> Vec<PendingJob> {
        if self.claims.is_empty() { Vec::new() } else { claimants(&self.ground(now)) }
    }

    /// Whether it still waits for the room that was made for it.
    fn has_claim(&self, id: JobId) -> bool {
        self.queue.is_shown(id) && self.preempts(id) != 0
    }

    /// Whoever waits no longer has no claim any more.
    pub(super) fn drop_claims(&mut self, step: &mut Step) {
        let over = |(_, id): &(Time, JobId)| Some(*id).filter(|id| !self.has_claim(*id));
        let over: Vec<JobId> = self.claims.iter().filter_map(over).collect();
        over.into_iter().for_each(|id| self.give_up_claim(id, step));
    }

    pub(super) fn give_up_claim(&mut self, id: JobId, step: &mut Step) {
        let before = self.claims.len();
        self.claims.retain(|(_, job)| *job != id);
        if self.claims.len() < before {
            step.changes.push(Change::Claimed { job: id, since: None });
        }
    }

    /// Sends these attempts back to the queue so that a job finds room, which is its own from then
    /// on. `false`, and nothing is done, when things are no longer as the plan saw them.
    pub(super) fn make_room(
        &mut self,
        id: JobId,
        going: &[JobId],
        now: Time,
        step: &mut Step,
    ) -> bool {
        let Some(job) = self.queue.get(id).filter(|_| self.has_claim(id)) else { return false };
        let Kept { mut rest, short, .. } = keep(&self.ground(now));
        // Whether it still takes all of these, and no more.
        rest.preemptable.retain(|attempt| attempt.leaves || going.contains(&attempt.job));
        let claims = self.claims.iter().any(|(_, job)| *job == id);
        let needed = match (claims, short) {
            (true, Some((short, soon))) if short.job == id => for_claimant(&short, soon, &rest),
            (true, _) => None,
            (false, _) => {
                let job = PendingJob { preempts: self.preempts(id), ..waiting(job) };
                for_claimant(&job, soon(&rest), &rest)
            }
        };
        if needed.is_none_or(|(_, needed)| needed != going) {
            return false;
        }
        let principal: Arc<str> = format!("preempted for job {id}").into();
        for victim in going {
            let attempt = self.live[victim].attempt();
            if let Ok(more) = self.take_fact(attempt, Fact::PreemptAsked, &principal, now) {
                step.changes.extend(more.changes);
                step.effects.extend(more.effects);
            }
        }
        if !claims {
            self.claims.push((now, id));
            step.changes.push(Change::Claimed { job: id, since: Some(now) });
        }
        true
    }
}

#[cfg(test)]
mod tests;
