//! *Purpose*: room that was made for a job is its own until it starts.
//!
//! *Owns*: [`Kept`], what an input is for everybody else.
//!
//! *Promises*: as long as a job that room was made for waits, nobody else takes what is free of
//! it, whatever the order and whoever may go ahead otherwise; it starts in the first pass in which
//! it fits; whom it waits for is waited for by nobody else; a job that may not start whatever
//! comes free keeps nothing.
//!
//! *Not here*: who makes room (`policy::preempt`), who has claims (`kernel::claims`).

use super::input::{PassInput, PendingJob, Running, spend};
use crate::job::ids::JobId;
use crate::resources::capacity::Capacity;

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
            spend(&mut quotas, claim);
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

/// What these keep of so much free room.
#[must_use]
pub fn aside(mut free: Capacity, claimants: &[PendingJob]) -> Capacity {
    let mut aside = Capacity::default();
    for claim in claimants {
        let part = part(&free, claim);
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

/// As much of this room as the job can use.
fn part(room: &Capacity, job: &PendingJob) -> Capacity {
    room.share(job.cpus, job.memory.min(room.memory), job.regions)
}

impl Kept {
    fn serve(&mut self, claim: &PendingJob) {
        let input = &mut self.rest;
        spend(&mut input.quotas, claim);
        let soon = soon(input);
        let mut held = part(&input.free, claim);
        if input.free.holds(claim.cpus, claim.memory, claim.regions) {
            self.start.push(claim.job);
        } else if !soon.holds(claim.cpus, claim.memory, claim.regions) && self.short.is_none() {
            self.short = Some((*claim, soon));
        }
        input.free = input.free.minus(&held);
        for attempt in input.preemptable.iter_mut().filter(|attempt| attempt.leaves) {
            let missing = PendingJob {
                cpus: claim.cpus - held.all_cpus(),
                memory: claim.memory - held.memory,
                ..*claim
            };
            let more = part(&attempt.held, &missing);
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
