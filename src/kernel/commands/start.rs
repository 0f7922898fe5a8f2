//! *Purpose*: grants a plan's jobs what they ask for.
//!
//! *Owns*: [`Kernel::start`].
//!
//! *Promises*: nothing starts that no longer fits, waits or may start, however old a plan is.
//!
//! *Not here*: making the plan (`policy`), starting a process (`engine`).

use std::sync::Arc;

use crate::job::ids::Attempt;
use crate::job::state::StateWord;
use crate::job::suspension::Suspension;
use crate::kernel::access::Principal;
use crate::kernel::change::{Change, Effect, Step};
use crate::kernel::parts::live::Live;
use crate::kernel::parts::queued::Queued;
use crate::kernel::state::Kernel;
use crate::kernel::transition::{Fact, JobState, Outcome, transition};
use crate::policy::claims::aside;
use crate::policy::input::demand;
use crate::policy::plan::Plan;
use crate::resources::allocation::Allocation;
use crate::time::Time;

impl Kernel {
    /// Grants CPUs to a plan's jobs, and sends those back that make room; entries that no longer
    /// fit or no longer wait are skipped.
    /// Answers how many were started and how many were stale.
    pub fn start(&mut self, plan: &Plan, now: Time) -> (u32, u32, Step) {
        let mut step = Step::default();
        let (mut started, mut stale) = (0, 0);
        self.drop_claims(&mut step);
        let mut claimants = self.claimants(now);
        let unlooked = self.unlooked(now);
        for id in &plan.start {
            let shown = self.queue.is_shown(*id);
            let Some(job) = self.queue.get(*id).copied().filter(|_| shown) else {
                stale += 1;
                continue;
            };
            let asked = self.requests.demand(&job);
            if !self.rules.may_start(&job, &asked) {
                stale += 1;
                continue;
            }
            let task = self.next_task(job.id);
            let own = task.map_or(job.id, |(_, own)| own);
            let attempt = Attempt { job: own, n: job.attempts + 1 };
            let before = claimants.iter().position(|claim| claim.job == *id);
            let others = &claimants[..before.unwrap_or(claimants.len())];
            let others = others.iter().map(|claim| demand(self.requests.parts(), claim));
            let kept = aside(self.ledger.free_room(), others).plus(&unlooked);
            let given = self.ledger.allocate_beside(attempt, &asked, &kept);
            let Ok(allocation) = given else {
                stale += 1;
                continue;
            };
            claimants.retain(|claim| claim.job != *id);
            self.give_up_claim(*id, &mut step);
            let deadline = self.eligibility.deadline(*id);
            match task {
                Some(task) => self.split(job, task, true, &Principal::default(), now, &mut step),
                None => drop(self.queue.remove(*id)),
            }
            self.eligibility.forget(own);
            if deadline.is_some() {
                self.retries.entry(own).or_default().deadline = deadline;
            }
            let job = Queued { attempts: attempt.n, ..job.as_own(own) };
            self.grant(job, allocation, now, &mut step);
            if let Some(array) = self.arrays.granted(own) {
                self.look_again(array, now);
            }
            started += 1;
        }
        // Nobody is stopped for a job that may not become one.
        if let Some((job, going)) = &plan.preempt
            && (self.unstored.contains(job) || !self.make_room(*job, going, now, &mut step))
        {
            stale += 1;
        }
        (started, stale, step)
    }

    fn grant(&mut self, job: Queued, allocation: Allocation, now: Time, step: &mut Step) {
        let (cpus, rest) = (allocation.cpus().to_vec(), allocation.rest().to_vec());
        let outcome = transition(JobState::Pending, Fact::Granted(allocation), now);
        let Outcome::Moved(state, None) = outcome else {
            unreachable!("PENDING accepts a grant");
        };
        self.allocations += 1;
        self.rules.started(&job, &self.requests.demand(&job), now);
        let event = self.event(
            (job.id, job.attempts),
            (Some(StateWord::Pending), StateWord::Running),
            ("granted", Principal::default()),
            now,
        );
        let partition = self.chosen(&job);
        let suspension = Suspension::default();
        let live = Live { job, state, granted: now, suspension, signals: Vec::new() };
        step.effects.push(Effect::Launch(live.attempt()));
        self.live.insert(job.id, live);
        step.changes.push(Change::Granted {
            event,
            cpus,
            rest,
            partition,
            nonce: Arc::clone(&self.boot_context.nonce),
            boot_id: Arc::clone(&self.boot_context.boot_id),
        });
    }
}
