//! *Purpose*: makes room for a job, which has a claim to it until it starts or waits no longer.
//!
//! *Owns*: preemption, and the end of claims.
//!
//! *Promises*: nobody is preempted for a job that would find its room without that by now; a claim
//! is durable with the preemption that it comes from, and outlives the server; it ends when its job
//! starts, ends, is held or otherwise kept from starting, or is given a lower priority.
//!
//! *Not here*: what a claim keeps from others (`policy::claims`), whom to preempt
//! (`policy::preempt`).

use crate::job::ids::JobId;
use crate::kernel::access::Principal;
use crate::kernel::change::{Change, Step};
use crate::kernel::parts::queue::pending::waiting;
use crate::kernel::state::Kernel;
use crate::kernel::transition::Fact;
use crate::policy::claims::{Kept, keep, soon};
use crate::policy::input::PendingJob;
use crate::policy::preempt::for_claimant;
use crate::time::Time;

impl Kernel {
    /// Whoever waits no longer has no claim any more.
    pub(in crate::kernel) fn drop_claims(&mut self, step: &mut Step) {
        let over = |(_, id): &(Time, JobId)| Some(*id).filter(|id| !self.has_claim(*id));
        let over: Vec<JobId> = self.claims.iter().filter_map(over).collect();
        over.into_iter().for_each(|id| self.give_up_claim(id, step));
    }

    pub(in crate::kernel) fn give_up_claim(&mut self, id: JobId, step: &mut Step) {
        let before = self.claims.len();
        self.claims.retain(|(_, job)| *job != id);
        if self.claims.len() < before {
            step.changes.push(Change::Claimed { job: id, since: None });
        }
    }

    /// Sends these attempts back to the queue so that a job finds room, which is its own from then
    /// on. `false`, and nothing is done, when things are no longer as the plan saw them.
    pub(in crate::kernel) fn make_room(
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
        let principal = Principal::server(format!("preempted for job {id}"));
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
