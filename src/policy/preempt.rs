//! *Purpose*: which attempts make room for a job of a partition that goes before theirs.
//!
//! *Owns*: [`of`], [`for_claimant`].
//!
//! *Promises*: only for the first job of the line, which then keeps the room; nobody is
//! preempted in vain: all of them together make the job fit, and none of them could be left out;
//! who was started last goes first, since the least work is lost; what is leaving already is
//! waited for.
//!
//! *Not here*: that nobody else takes the room (`policy::claims`), which partition preempts which
//! (`resources::partitions`), sending attempts back to the
//! queue (`kernel::commands::requeue`).
//!
//! Source: Slurm's preemption by partition with `PreemptMode=REQUEUE` (slurm.conf(5)).

use std::cmp::Reverse;

use super::input::{PassInput, PendingJob, Preemptable};
use super::order::Rule;
use crate::job::ids::JobId;
use crate::resources::capacity::{Capacity, Demand};

/// The first job of the line, when these are started, and who makes room for it.
#[must_use]
pub fn of(input: &PassInput, started: &[JobId], rule: &Rule) -> Option<(JobId, Vec<JobId>)> {
    let waits =
        |job: &&PendingJob| !started.contains(&job.job) && input.bars(job, &input.quotas).is_none();
    let line = input.queue.iter().filter(waits);
    let first = line.min_by_key(|job| rule.place(job, input.now));
    let first = first.filter(|job| job.preempts != 0)?;
    let mut soon = input.free;
    for job in started.iter().filter_map(|id| input.queue.iter().find(|job| job.job == *id)) {
        soon = soon.minus(&soon.taken_by(&input.demand(job)));
    }
    let leaving = input.preemptable.iter().filter(|attempt| attempt.leaves);
    let soon = leaving.fold(soon, |room, attempt| room.plus(&attempt.held));
    for_claimant(first, soon, input)
}

/// A job, and who makes room for it where `soon` is what it will find without that.
#[must_use]
pub fn for_claimant(
    job: &PendingJob,
    soon: Capacity,
    input: &PassInput,
) -> Option<(JobId, Vec<JobId>)> {
    let below = |attempt: &&Preemptable| {
        let its = 1_u64.checked_shl(attempt.partition.into()).unwrap_or(0);
        !attempt.leaves && job.preempts & its != 0
    };
    let running = input.preemptable.iter().filter(below).copied().collect();
    let going = preempted(&input.demand(job), soon, running);
    (!going.is_empty()).then_some((job.job, going))
}

/// Those of `running` that have to go so that this fits; `soon` is what is free, and what is held
/// by those that are leaving. None when it fits without, or not even then.
fn preempted(asked: &Demand<'_>, soon: Capacity, mut running: Vec<Preemptable>) -> Vec<JobId> {
    let fits = |room: &Capacity| room.holds(asked);
    running.sort_by_key(|attempt| Reverse((attempt.since, attempt.job)));
    let mut room = soon;
    let mut going = Vec::new();
    for attempt in running {
        if fits(&room) {
            break;
        }
        room = room.plus(&attempt.held);
        going.push(attempt);
    }
    if !fits(&room) {
        return Vec::new();
    }
    // Of those that turned out not to be needed the oldest stay.
    let mut needed = Vec::with_capacity(going.len());
    while let Some(attempt) = going.pop() {
        let without = room.minus(&attempt.held);
        if fits(&without) {
            room = without;
        } else {
            needed.push(attempt);
        }
    }
    needed.into_iter().rev().map(|attempt| attempt.job).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::resources::capacity::{Part, RegionSet};

    fn job(cpus: u32, regions: u8) -> PendingJob {
        PendingJob { cpus, regions: RegionSet(regions), ..PendingJob::default() }
    }

    fn asks(cpus: u32, regions: u8) -> Demand<'static> {
        Demand { regions: RegionSet(regions), ..Demand::of(cpus) }
    }

    fn room(cpus: [u64; 2], memory: u64) -> Capacity {
        Capacity::default().with(0, cpus[0]).with(1, cpus[1]).with_memory(memory)
    }

    fn attempt(id: i64, since: i64, held: Capacity) -> Preemptable {
        Preemptable { job: JobId(id), partition: 0, since, held, leaves: false }
    }

    #[test]
    fn who_was_started_last_goes_first_and_no_more_than_needed() {
        let two = room([2, 0], 0);
        let running = vec![attempt(1, 10, two), attempt(2, 30, two), attempt(3, 20, two)];
        let of = |cpus| preempted(&asks(cpus, 1), room([1, 0], 0), running.clone());
        assert_eq!(of(1), [], "it fits as it is");
        assert_eq!(of(3), [JobId(2)]);
        assert_eq!(of(4), [JobId(2), JobId(3)]);
        assert_eq!(of(8), [], "not even all of them make it fit");
    }

    #[test]
    fn who_holds_nothing_that_it_needs_stays() {
        let running = vec![attempt(1, 10, room([0, 4], 0)), attempt(2, 20, room([2, 0], 0))];
        assert_eq!(preempted(&asks(4, 2), Capacity::default(), running), [JobId(1)]);
    }

    fn crowded(leaves: bool, preempts: u64) -> Option<(JobId, Vec<JobId>)> {
        let held = room([2, 0], 0);
        let urgent = PendingJob { job: JobId(9), preempts, points: 1, ..job(2, 1) };
        let input = PassInput {
            total: held,
            queue: vec![PendingJob { job: JobId(8), ..job(1, 1) }, urgent],
            preemptable: vec![Preemptable { partition: 3, leaves, ..attempt(1, 10, held) }],
            ..PassInput::default()
        };
        of(&input, &[], &crate::policy::name::Policy::default().rule(1))
    }

    #[test]
    fn only_the_first_of_the_line_preempts_and_only_partitions_below_its_own() {
        assert_eq!(crowded(false, 1 << 3), Some((JobId(9), vec![JobId(1)])));
        assert_eq!(crowded(false, 1 << 2), None, "not of this partition");
        assert_eq!(crowded(false, 0), None);
        assert_eq!(crowded(true, 1 << 3), None, "it leaves already");
    }

    #[test]
    fn whoever_is_started_in_the_same_pass_is_not_made_room_for() {
        let held = room([2, 0], 0);
        let urgent = PendingJob { job: JobId(9), preempts: 1, ..job(2, 1) };
        let input = PassInput {
            free: held,
            total: held.plus(&held),
            queue: vec![urgent],
            preemptable: vec![attempt(1, 10, held)],
            ..PassInput::default()
        };
        let rule = crate::policy::name::Policy::default().rule(1);
        assert_eq!(of(&input, &[JobId(9)], &rule), None);
    }

    proptest! {
        #[test]
        fn nobody_is_preempted_in_vain(
            cpus in 1..6u32,
            memory in 0..4u64,
            regions in 1..4u8,
            soon in ((0..3u64, 0..3u64), 0..3u64),
            held in prop::collection::vec(((0..3u64, 0..3u64), 0..3u64, 0..9i64), 0..7),
        ) {
            let rest = [Part::of_memory(memory)];
            let asked = Demand { rest: &rest, ..asks(cpus, regions) };
            let soon = room([soon.0.0, soon.0.1], soon.1);
            let running: Vec<Preemptable> = held
                .iter()
                .enumerate()
                .map(|(n, ((a, b), memory, since))| {
                    attempt(n as i64, *since, room([*a, *b], *memory))
                })
                .collect();
            let fits = |going: &[JobId]| {
                let all = running.iter().filter(|one| going.contains(&one.job));
                all.fold(soon, |room, one| room.plus(&one.held)).holds(&asked)
            };
            let everybody: Vec<JobId> = running.iter().map(|one| one.job).collect();
            let going = preempted(&asked, soon, running.clone());
            if fits(&[]) || !fits(&everybody) {
                prop_assert!(going.is_empty());
            } else {
                prop_assert!(fits(&going));
                for left_out in &going {
                    let fewer: Vec<JobId> =
                        going.iter().copied().filter(|job| job != left_out).collect();
                    prop_assert!(!fits(&fewer), "{left_out} could have stayed");
                }
            }
        }
    }
}
