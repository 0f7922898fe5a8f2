//! *Purpose*: room that was made for a job is its own until it starts.
//!
//! *Owns*: [`Kept`], what an input is for everybody else.
//!
//! *Promises*: as long as a job that room was made for waits, nobody else takes what is free of
//! it, whatever the order and whoever may go ahead otherwise; it starts in the first pass in which
//! it fits; whom it waits for is waited for by nobody else; a job that may not start whatever
//! comes free keeps nothing.
//!
//! *Not here*: who makes room (`policy::preempt`), who has claims (`kernel::commands::preempt`).

use std::sync::Arc;

use super::input::{PassInput, PendingJob, Running, demand, spend};
use crate::job::ids::JobId;
use crate::resources::capacity::{Capacity, Demand, Part};

/// An input, when those that room was made for have been served.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// What is left for the others.
    pub rest: PassInput,
    /// Who starts now.
    pub start: Vec<JobId>,
    /// The first for whom what is free and what is leaving is too little, and how much that is.
    pub short: Option<(PendingJob, Capacity)>,
}

/// Who keeps room in this input, in turn.
#[must_use]
pub fn claimants(input: &PassInput) -> Vec<PendingJob> {
    let mut quotas = input.quotas.clone();
    let counts = |claim: &&PendingJob| {
        let counts = input.bars(claim, &quotas).is_none();
        if counts {
            spend(&mut quotas, claim, &input.demand(claim));
        }
        counts
    };
    input.claims.iter().filter(counts).copied().collect()
}

/// Serves them.
#[must_use]
pub fn keep(input: &PassInput) -> Kept {
    let mut rest = input.clone();
    rest.queue.retain(|job| input.claims.iter().all(|claim| claim.job != job.job));
    let mut kept = Kept { rest, ..Kept::default() };
    for claim in claimants(input) {
        kept.serve(&claim);
    }
    kept
}

/// What these keep of so much free room, each taking so much.
#[must_use]
pub fn aside<'a>(mut free: Capacity, claimants: impl Iterator<Item = Demand<'a>>) -> Capacity {
    let mut aside = Capacity::default();
    for claim in claimants {
        let part = free.taken_by(&claim);
        free = free.minus(&part);
        aside = aside.plus(&part);
    }
    aside
}

/// What is free, and what comes back of attempts that are being stopped.
#[must_use]
pub fn soon(input: &PassInput) -> Capacity {
    let leaving = input.preemptable.iter().filter(|attempt| attempt.leaves);
    leaving.fold(input.free, |room, attempt| room.plus(&attempt.held))
}

/// What is still missing of this where so much is held.
fn missing(asked: &Demand<'_>, held: &Capacity) -> (u32, Vec<Part>) {
    let left =
        |part: &Part| Part { amount: part.amount.saturating_sub(held.within(part.cells)), ..*part };
    (asked.cpus.saturating_sub(held.all_cpus()), asked.rest.iter().map(left).collect())
}

impl Kept {
    fn serve(&mut self, claim: &PendingJob) {
        let input = &mut self.rest;
        let requests = Arc::clone(&input.requests);
        let asked = demand(&requests, claim);
        spend(&mut input.quotas, claim, &asked);
        let soon = soon(input);
        let mut held = input.free.taken_by(&asked);
        if input.free.holds(&asked) {
            self.start.push(claim.job);
        } else if !soon.holds(&asked) && self.short.is_none() {
            self.short = Some((*claim, soon));
        }
        input.free = input.free.minus(&held);
        for attempt in input.preemptable.iter_mut().filter(|attempt| attempt.leaves) {
            let (cpus, rest) = missing(&asked, &held);
            let more = attempt.held.taken_by(&Demand { cpus, rest: &rest, ..asked });
            attempt.held = attempt.held.minus(&more);
            let runs = input.running.iter_mut().find(|running| running.job == attempt.job);
            if let Some(running) = runs {
                running.held = running.held.minus(&more);
            }
            held = held.plus(&more);
        }
        // Whoever plans around it sees it as if it ran.
        let end = input.now.saturating_add(claim.request);
        input.running.push(Running { job: claim.job, end, held });
    }
}
