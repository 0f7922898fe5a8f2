//! *Purpose*: which pending jobs start now.
//!
//! *Owns*: [`Planner`] and its pass, a function of an input (and, for conservative backfilling, of
//! the reservations it made before).
//!
//! *Promises*: what it starts fits; with `easy` the first job that does not fit gets a
//! reservation that no later job delays; a job that may not start whatever comes free is passed
//! over and holds nobody up. A bad policy can waste time, never CPUs: the ledger checks every
//! entry again.
//!
//! *Not here*: what a pass looks at (`policy::input`), taking CPUs (`resources::ledger`), the
//! traces that the same pass is judged by (`crate::simulate`).
//!
//! **A pass.** Jobs are started from the front of the line while the front job fits. Then, by
//! [`Backfill`]: nobody; whoever fits; or whoever fits and either ends by the front job's shadow
//! time or takes only CPUs that are extra then. Where the machine is divided, the first job that
//! has to wait in CPUs that no front job waits for is a front job too. One sweep; nothing is tried
//! twice.

use super::input::{Instant, PassInput, PendingJob, Quotas, Running, spend};
use super::name::{Backfill, Policy};
use super::order::{Place, Rule};
use super::plan::Plan;
use super::shadow::Shadow;
use super::{claims, conservative, preempt};
use crate::resources::capacity::{Capacity, RegionSet};
use crate::time::SECOND_US;

/// A policy at work.
#[derive(Debug)]
pub struct Planner {
    policy: Policy,
    rule: Rule,
    book: conservative::Reservations,
    /// Kept from pass to pass for their memory only.
    line: Vec<(Place, usize)>,
    started: Vec<Running>,
    ends: Vec<u32>,
}

impl Planner {
    /// A planner for inputs that count so many units in a second.
    #[must_use]
    pub fn new(policy: Policy, units_in_a_second: i64) -> Planner {
        Planner {
            policy,
            rule: policy.rule(units_in_a_second),
            book: conservative::Reservations::default(),
            line: Vec::new(),
            started: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Its policy.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The next instant at which somebody has a reservation.
    #[must_use]
    pub fn next_reserved(&self) -> Option<Instant> {
        self.book.next()
    }

    /// At the next pass every reservation is taken out and put back, although nothing ended
    /// before its time: other simulators do so at every ending.
    pub fn ask_for_a_round(&mut self) {
        self.book.ask_for_a_round();
    }

    /// Who starts now, and who makes room.
    pub fn pass(&mut self, input: &PassInput) -> Plan {
        if input.claims.is_empty() {
            return self.pass_of_all(input);
        }
        let claims::Kept { rest, mut start, short } = claims::keep(input);
        let mut plan = self.pass_of_all(&rest);
        start.append(&mut plan.start);
        plan.start = start;
        if let Some((job, soon)) = short {
            plan.preempt = preempt::for_claimant(&job, soon, &rest);
        }
        plan
    }

    /// The same where room was made for nobody, or theirs is set aside.
    fn pass_of_all(&mut self, input: &PassInput) -> Plan {
        let mut plan = self.starts(input);
        if !input.preemptable.is_empty() {
            plan.preempt = preempt::of(input, &plan.start, &self.rule);
        }
        plan
    }

    fn starts(&mut self, input: &PassInput) -> Plan {
        if self.policy.backfill == Backfill::Conservative {
            return self.book.pass(input);
        }
        let mut pass = Pass {
            input,
            free: input.free,
            quotas: input.quotas.clone(),
            started: std::mem::take(&mut self.started),
            ends: std::mem::take(&mut self.ends),
            plan: Plan::default(),
        };
        let mut line = std::mem::take(&mut self.line);
        if pass.could_start(input.queue.iter()) {
            pass.started.clear();
            self.walk(&mut pass, &mut line);
        }
        (self.line, self.started, self.ends) = (line, pass.started, pass.ends);
        pass.plan
    }

    fn walk(&self, pass: &mut Pass<'_>, line: &mut Vec<(Place, usize)>) {
        let input = pass.input;
        line.clear();
        let jobs = input.queue.iter().enumerate();
        line.extend(jobs.map(|(n, job)| (self.rule.place(job, input.now), n)));
        // Lines that stand already, as those of `fcfs` do, cost one look at each.
        line.sort_unstable();
        let front = line.iter().position(|(_, n)| pass.front(&input.queue[*n]));
        let Some(front) = front else { return };
        let head = &input.queue[line[front].1];
        let rest = &mut line[front + 1..];
        let left = rest.iter().map(|(_, n)| &input.queue[*n]);
        if self.policy.backfill == Backfill::None || !pass.could_start(left) {
            pass.plan.head = Some((head.job, None));
            return;
        }
        let Backfill::Easy(own) = self.policy.backfill else {
            rest.iter().for_each(|(_, n)| pass.fit(&input.queue[*n]));
            return;
        };
        pass.sort_ends();
        let shadow = Shadow::of(&input.demand(head), pass.free, pass.by_end());
        pass.plan.head = Some((head.job, shadow.as_ref().map(|shadow| shadow.at)));
        let mut shadows: Vec<Shadow> = shadow.into_iter().collect();
        let mut headed = head.regions.0;
        for (_, n) in rest.iter() {
            let job = &input.queue[*n];
            if headed & job.regions.0 == 0 && pass.has_to_wait(job) {
                headed |= job.regions.0;
                shadows.extend(Shadow::of(&input.demand(job), pass.free, pass.by_end()));
            }
            if headed == RegionSet::ALL.0 {
                break;
            }
        }
        let own = Rule { order: own.unwrap_or(self.rule.order), threshold: None };
        if own != self.rule {
            rest.iter_mut().for_each(|(at, n)| *at = own.place(&input.queue[*n], input.now));
            rest.sort_unstable();
        }
        rest.iter().for_each(|(_, n)| pass.backfill(&input.queue[*n], &mut shadows));
    }
}

/// One pass that knows of none before it.
#[must_use]
pub fn plan(policy: Policy, input: &PassInput) -> Plan {
    // Only a threshold has a unit, and whoever calls this once counts as the server does.
    Planner::new(policy, SECOND_US).pass(input)
}

/// A pass on its way.
struct Pass<'a> {
    input: &'a PassInput,
    free: Capacity,
    quotas: Quotas,
    /// What this pass started.
    started: Vec<Running>,
    /// For EASY, what runs and then what this pass started before it met the first job that has
    /// to wait, by their ends: places in the one list and, behind it, in the other. An attempt is
    /// large, a place is not.
    ends: Vec<u32>,
    plan: Plan,
}

impl Pass<'_> {
    /// The attempt at this place.
    fn attempt(&self, place: u32) -> &Running {
        let place = place as usize;
        let running = &self.input.running;
        running.get(place).unwrap_or_else(|| &self.started[place - running.len()])
    }

    fn sort_ends(&mut self) {
        let mut ends = std::mem::take(&mut self.ends);
        ends.clear();
        let many = self.input.running.len() + self.started.len();
        ends.extend(0..u32::try_from(many).unwrap_or(u32::MAX));
        // What the caller keeps in this order, as a simulation does, costs a look.
        ends.sort_by_key(|place| self.attempt(*place).end);
        self.ends = ends;
    }

    fn by_end(&self) -> impl Iterator<Item = &Running> {
        self.ends.iter().map(|place| self.attempt(*place))
    }

    fn fits(&self, job: &PendingJob) -> bool {
        self.free.holds(&self.input.demand(job))
    }

    /// A cheap look that spares a full machine the rest of the pass.
    fn could_start<'b>(&self, mut jobs: impl Iterator<Item = &'b PendingJob>) -> bool {
        self.free.all_cpus() > 0 && jobs.any(|job| self.fits(job))
    }

    /// Starts the front job, or passes over it; `true` when it has to wait and others with it.
    fn front(&mut self, job: &PendingJob) -> bool {
        if self.input.bars(job, &self.quotas).is_some() {
            return false;
        }
        if !self.fits(job) {
            return true;
        }
        self.start(job);
        false
    }

    fn fit(&mut self, job: &PendingJob) {
        if self.fits(job) && self.input.bars(job, &self.quotas).is_none() {
            self.start(job);
        }
    }

    fn has_to_wait(&self, job: &PendingJob) -> bool {
        !self.fits(job) && self.input.bars(job, &self.quotas).is_none()
    }

    fn backfill(&mut self, job: &PendingJob, shadows: &mut [Shadow]) {
        if !self.fits(job) || self.input.bars(job, &self.quotas).is_some() {
            return;
        }
        let share = self.free.taken_by(&self.input.demand(job));
        let until = self.input.now.saturating_add(job.request);
        if shadows.iter().all(|shadow| shadow.admits(&share, until)) {
            shadows.iter_mut().for_each(|shadow| shadow.admit(&share, until));
            self.start(job);
        }
    }

    fn start(&mut self, job: &PendingJob) {
        let held = self.free.taken_by(&self.input.demand(job));
        self.free = self.free.minus(&held);
        spend(&mut self.quotas, job, &self.input.demand(job));
        let end = self.input.now.saturating_add(job.request);
        self.started.push(Running { job: job.job, end, held });
        self.plan.start.push(job.job);
    }
}
