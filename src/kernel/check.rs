//! *Purpose*: the invariants, as functions.
//!
//! *Owns*: what must be true of a kernel after every step.
//!
//! *Promises*: each function answers the sentence in its name, or says what breaks it; each has
//! a test that breaks it and sees it fire.
//!
//! *Not here*: the comparison with the database and `/proc` (`actors::audit`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::job::ids::{Attempt, JobId, UnitId};
use crate::job::request::{CPU, Request, split};
use crate::kernel::parts::accounts::Account;
use crate::kernel::parts::limits::Waiting;
use crate::kernel::parts::names::Words;
use crate::kernel::parts::queue::Queue;
use crate::kernel::parts::queued::Queued;
use crate::kernel::parts::rules::Rules;
use crate::kernel::state::Kernel;
use crate::kernel::transition::JobState;
use crate::resources::allocation::{Held, Share};
use crate::time::Time;

/// What is broken, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

fn broken<T>(sentence: String) -> Result<T, Broken> {
    Err(Broken(sentence))
}

/// Each unit that a live attempt holds.
fn held_by_states(kernel: &Kernel) -> impl Iterator<Item = (Attempt, Arc<str>, UnitId)> {
    let cpu: Arc<str> = CPU.into();
    let held = kernel.live.values().filter_map(|l| Some((l.attempt(), l.state.allocation()?)));
    held.flat_map(move |(attempt, held)| {
        let cpus = held.cpus().iter().map(|unit| (Arc::clone(&cpu), *unit));
        let rest = held.rest().iter().flat_map(|share| {
            let units = if let Held::Units(units) = &share.held { &units[..] } else { &[] };
            units.iter().map(|unit| (Arc::clone(&share.resource), *unit))
        });
        let all: Vec<(Arc<str>, UnitId)> = cpus.chain(rest).collect();
        all.into_iter().map(move |(resource, unit)| (attempt, resource, unit))
    })
}

/// Every unit is free, or held back, or held by exactly one live attempt, and never free as well.
///
/// # Errors
/// Names the resource and the unit.
pub fn units_are_conserved(kernel: &Kernel) -> Result<(), Broken> {
    if let Some((resource, unit)) = kernel.ledger.broken_unit() {
        return broken(format!("{resource} {unit} is both free and taken, or neither"));
    }
    let mut by_states: BTreeMap<(Arc<str>, UnitId), Attempt> = BTreeMap::new();
    for (live, resource, unit) in held_by_states(kernel) {
        if let Some(other) = by_states.insert((Arc::clone(&resource), unit), live) {
            return broken(format!("{resource} {unit} is held by {other} and {live}"));
        }
    }
    let by_ledger = kernel.ledger.held_units();
    if by_states != by_ledger {
        return broken(format!("states hold {by_states:?}, ledger {by_ledger:?}"));
    }
    Ok(())
}

/// Of each amount as much is held as live attempts hold, and the ledger counts just that.
///
/// # Errors
/// Names both sums.
pub fn amounts_are_conserved(kernel: &Kernel) -> Result<(), Broken> {
    let mut by_states: BTreeMap<Arc<str>, u64> = BTreeMap::new();
    let held = kernel.live.values().filter_map(|live| live.state.allocation());
    for share in held.flat_map(|held| held.rest()) {
        if let Held::Amount(amount) = share.held {
            let all = by_states.entry(Arc::clone(&share.resource)).or_default();
            *all = all.saturating_add(amount);
        }
    }
    let by_ledger = kernel.ledger.held_amounts();
    if by_states != by_ledger {
        return broken(format!("states hold {by_states:?}, the ledger says {by_ledger:?}"));
    }
    Ok(())
}

/// No amount is handed out beyond what there is. Not true of a kernel that took over more than
/// is configured now, so not part of [`all`].
///
/// # Errors
/// Names both amounts.
pub fn no_amount_is_handed_out_twice(kernel: &Kernel) -> Result<(), Broken> {
    let held = kernel.ledger.held_amounts();
    for resource in kernel.ledger.inventory().all() {
        let held = held.get(&resource.name).copied().unwrap_or(0);
        if let Some(total) = resource.total().filter(|total| held > *total) {
            let name = &resource.name;
            return broken(format!("{held} of {name} are held, there are {total}"));
        }
    }
    Ok(())
}

/// Every live attempt holds CPUs, as many as its job asked for, and as much of all else; nothing
/// else holds any.
///
/// # Errors
/// Names the attempt.
pub fn the_living_hold_what_they_asked_for(kernel: &Kernel) -> Result<(), Broken> {
    for live in kernel.live.values() {
        let held = live.state.allocation().map_or(0, |a| a.cpus().len());
        if held != live.job.cpus as usize {
            return broken(format!("{} asked for {}, holds {held}", live.attempt(), live.job.cpus));
        }
        let nothing = Request::default();
        let asked = kernel.requests.get(live.job.rest).map_or(&nothing, |asked| asked);
        let nothing_held: &[Share] = &[];
        let rest = live.state.allocation().map_or(nothing_held, |held| held.rest());
        let asked_of = asked.iter().map(|(name, _)| split(name).0);
        for name in asked_of.chain(rest.iter().map(|share| &*share.resource)) {
            let share = rest.iter().find(|share| &*share.resource == name);
            let (held, asked) = (share.map_or(0, |share| share.held.amount()), asked.of(name));
            if held != asked {
                let who = live.attempt();
                return broken(format!("{who} asked for {asked} of {name}, holds {held}"));
            }
        }
        if live.state.allocation().is_some_and(|a| a.holder() != live.attempt()) {
            return broken(format!("{} holds somebody else's allocation", live.attempt()));
        }
    }
    Ok(())
}

/// No ended job is kept, no pending job is live, and no job is both.
///
/// # Errors
/// Names the job.
pub fn a_job_is_in_one_place(kernel: &Kernel) -> Result<(), Broken> {
    for (id, live) in &kernel.live {
        let states = matches!(
            live.state,
            JobState::Pending | JobState::Finished(_) | JobState::Requeued(..)
        );
        if states {
            return broken(format!("job {id} is {} and kept as live", live.state.word()));
        }
        if kernel.queue.get(*id).is_some() {
            return broken(format!("job {id} waits and lives"));
        }
    }
    Ok(())
}

/// Whoever may be started before its submission is durable waits, or was started.
///
/// # Errors
/// Names the job.
pub fn the_unstored_are_there(kernel: &Kernel) -> Result<(), Broken> {
    let is_there = |job: &JobId| kernel.queue.get(*job).is_some() || kernel.live.contains_key(job);
    match kernel.unstored.iter().find(|job| !is_there(job)) {
        Some(id) => broken(format!("job {id} is not durable yet, and neither waits nor lives")),
        None => Ok(()),
    }
}

/// Every id in memory was given out: it is below the next one.
///
/// # Errors
/// Names the job.
pub fn ids_were_given_out(kernel: &Kernel) -> Result<(), Broken> {
    let waiting = kernel.queue.iter().map(|q| q.id);
    match waiting.chain(kernel.live.keys().copied()).find(|id| id.0 >= kernel.next_job) {
        Some(id) => broken(format!("job {id} exists, the next id is {}", kernel.next_job)),
        None => Ok(()),
    }
}

/// How a condition stands is what its answers say, and whoever may start is seen: answers one
/// job of which that is not true at this time.
fn wrongly_placed(kernel: &Kernel, now: Time) -> Option<JobId> {
    let wrong = |job: &&Queued| {
        let conditions = kernel.eligibility.get(job.id);
        let waits_for_time = conditions.is_some_and(|c| c.begin.is_some());
        let may_start = kernel.hold_reason(job, now).is_none();
        let shown = kernel.queue.is_shown(job.id);
        if waits_for_time { shown && !may_start } else { shown != may_start }
    };
    kernel.queue.iter().find(wrong).map(|job| job.id)
}

/// Whoever may start is seen by a pass, and nobody else. Time goes on without anybody looking, so
/// of those who wait for a time nothing is said.
///
/// # Errors
/// Names the job.
pub fn conditions_are_kept(kernel: &Kernel) -> Result<(), Broken> {
    match wrongly_placed(kernel, Time(i64::MAX)) {
        Some(id) => broken(format!("job {id} is hidden though it may start, or the reverse")),
        None => Ok(()),
    }
}

/// No task of an array is both left and started, an array counts its live tasks, and never runs
/// more of them than it may.
///
/// # Errors
/// Names the array.
pub fn arrays_are_kept(kernel: &Kernel) -> Result<(), Broken> {
    match kernel.arrays.broken(|job| kernel.live.contains_key(&job)) {
        Some(sentence) => broken(sentence),
        None => Ok(()),
    }
}

/// Of accounts and of users: what they are called, all of them, which of them a job counts against,
/// by number and by its words, and what of them the queue says that waits.
type Payers<'a> = (
    &'static str,
    &'a [Account],
    fn(&Queued) -> u32,
    fn(&Rules, &Words) -> u32,
    fn(&Queue, u32) -> Waiting,
);

fn payers(rules: &Rules) -> [Payers<'_>; 2] {
    let account = |rules: &Rules, words: &Words| rules.accounts.find(&words.account);
    let user = |rules: &Rules, words: &Words| rules.users.find(&words.user);
    [
        ("account", rules.accounts.all(), |job| job.account, account, Queue::waiting_of_account),
        ("user", rules.users.all(), |job| job.user, user, Queue::waiting_of_user),
    ]
}

/// Each account and each user has as many jobs and CPUs as its live jobs hold, and as many jobs and
/// bytes waiting as its jobs in the queue.
///
/// # Errors
/// Names the account or the user.
pub fn accounts_are_counted(kernel: &Kernel) -> Result<(), Broken> {
    for (what, all, of, _, counted_waiting) in payers(&kernel.rules) {
        let mut by_states: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
        for live in kernel.live.values() {
            let (jobs, cpus) = by_states.entry(of(&live.job)).or_default();
            *jobs += 1;
            *cpus += live.job.cpus;
        }
        let mut by_queue: BTreeMap<u32, Waiting> = BTreeMap::new();
        for job in kernel.queue.iter() {
            let waiting = by_queue.entry(of(job)).or_default();
            *waiting = waiting.plus(Waiting::one(job.input_bytes));
        }
        for (account, id) in all.iter().zip(1..) {
            let held = by_states.get(&id).copied().unwrap_or_default();
            let counted = (account.running_jobs, account.running_cpus);
            let name = &account.name;
            if held != counted {
                return broken(format!("{what} {name} has {held:?}, {counted:?} are counted"));
            }
            let waits = by_queue.get(&id).copied().unwrap_or_default();
            let counted = counted_waiting(&kernel.queue, id);
            if waits != counted {
                return broken(format!("of {what} {name} {waits:?}, {counted:?} are counted"));
            }
        }
    }
    Ok(())
}

/// Every job stands where the rules of now put it, and each account and user counts what of it is
/// entering.
///
/// # Errors
/// Names the job, the account or the user.
pub fn jobs_stand_where_the_rules_say(kernel: &Kernel) -> Result<(), Broken> {
    let live = kernel.live.values().map(|live| &live.job);
    for job in kernel.queue.iter().chain(live) {
        if !kernel.may_stand(job) {
            let seated = kernel.seated(*job);
            return broken(format!("job {} stands as {job:?}, not as {seated:?}", job.id));
        }
    }
    for (what, all, _, of, _) in payers(&kernel.rules) {
        let mut entering: BTreeMap<u32, Waiting> = BTreeMap::new();
        for one in kernel.entering.values() {
            if let Some(words) = kernel.names.get(one.names) {
                let sum = entering.entry(of(&kernel.rules, words)).or_default();
                *sum = sum.plus(one.waiting);
            }
        }
        for (account, id) in all.iter().zip(1..) {
            let there = entering.get(&id).copied().unwrap_or_default();
            let (name, counted) = (&account.name, account.entering);
            if there != counted {
                return broken(format!(
                    "of {what} {name} {there:?} is entering, {counted:?} is counted"
                ));
            }
        }
    }
    Ok(())
}

/// All invariants.
///
/// # Errors
/// The first that is broken.
pub fn all(kernel: &Kernel) -> Result<(), Broken> {
    units_are_conserved(kernel)?;
    amounts_are_conserved(kernel)?;
    the_living_hold_what_they_asked_for(kernel)?;
    a_job_is_in_one_place(kernel)?;
    conditions_are_kept(kernel)?;
    arrays_are_kept(kernel)?;
    accounts_are_counted(kernel)?;
    jobs_stand_where_the_rules_say(kernel)?;
    the_unstored_are_there(kernel)?;
    ids_were_given_out(kernel)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::job::ids::{CpuId, JobId};
    use crate::job::outcome::EndState;
    use crate::job::request::MEMORY;
    use crate::kernel::parts::queued::Queued;
    use crate::kernel::testing::KernelBuilder;
    use crate::kernel::testing::job::job;

    /// Job 1 runs on CPU 0, job 2 waits.
    fn kernel() -> Kernel {
        kernel_of(None)
    }

    /// One that has so much memory to hand out.
    fn kernel_of(memory: Option<u64>) -> Kernel {
        let asks = || job().memory(100);
        let kernel = KernelBuilder::new().cpus(2).memory(memory);
        kernel.holds(1, asks(), [0]).waits(2, asks()).build()
    }

    #[test]
    fn a_sound_kernel_passes() {
        assert_eq!(all(&kernel()), Ok(()));
    }

    #[test]
    fn a_forgotten_cpu_is_noticed() {
        let mut kernel = kernel();
        kernel.ledger.break_by_forgetting("cpu", CpuId(0));
        assert!(units_are_conserved(&kernel).unwrap_err().0.contains("cpu 0"));
    }

    #[test]
    fn a_job_that_is_hidden_without_a_reason_is_noticed() {
        let mut kernel = kernel();
        kernel.queue.show(JobId(2), false);
        assert!(conditions_are_kept(&kernel).unwrap_err().0.contains("job 2"));
    }

    #[test]
    fn forgotten_memory_is_noticed() {
        let mut kernel = kernel();
        kernel.ledger.break_by_forgetting_memory();
        assert!(amounts_are_conserved(&kernel).unwrap_err().0.contains("\"memory\": 100"));
    }

    #[test]
    fn memory_handed_out_twice_is_noticed() {
        assert_eq!(no_amount_is_handed_out_twice(&kernel_of(Some(100))), Ok(()));
        let refused = no_amount_is_handed_out_twice(&kernel_of(Some(99))).unwrap_err();
        assert!(refused.0.contains("there are 99"));
    }

    #[test]
    fn a_leaked_allocation_is_noticed() {
        let mut kernel = kernel();
        kernel.live.remove(&JobId(1));
        assert!(units_are_conserved(&kernel).unwrap_err().0.contains("states hold"));
    }

    #[test]
    fn holding_less_than_asked_is_noticed() {
        let mut kernel = kernel();
        let before = kernel.live[&JobId(1)].job;
        let rest = kernel.requests.number(&Request::default().with(MEMORY, 101));
        kernel.live.get_mut(&JobId(1)).unwrap().job = Queued { rest, ..before };
        let said = the_living_hold_what_they_asked_for(&kernel).unwrap_err().0;
        assert!(said.contains("asked for 101 of memory, holds 100"), "{said}");
        kernel.live.get_mut(&JobId(1)).unwrap().job = Queued { cpus: 2, ..before };
        assert!(
            the_living_hold_what_they_asked_for(&kernel).unwrap_err().0.contains("asked for 2")
        );
    }

    #[test]
    fn a_waiting_job_that_lives_is_noticed() {
        let mut kernel = kernel();
        let job = kernel.live[&JobId(1)].job;
        kernel.queue.insert(job, true);
        assert!(a_job_is_in_one_place(&kernel).unwrap_err().0.contains("waits and lives"));
    }

    #[test]
    fn an_ended_job_kept_as_live_is_noticed() {
        let mut kernel = kernel();
        let end = EndState {
            word: crate::job::state::StateWord::Completed,
            exit_code: None,
            error: None,
            end_time: Time(0),
            usage: crate::job::outcome::Usage::default(),
            handle: None,
            warnings: Vec::new(),
        };
        kernel.live.get_mut(&JobId(1)).unwrap().state = JobState::Finished(end);
        assert!(a_job_is_in_one_place(&kernel).unwrap_err().0.contains("kept as live"));
    }

    #[test]
    fn a_job_that_old_rules_placed_is_noticed() {
        let mut kernel = kernel();
        let job = Queued { id: JobId(2), cpus: 1, ..Queued::default() };
        let job = kernel.with_words(job, ("gone", "", ""));
        kernel.queue.remove(JobId(2));
        kernel.queue.insert(Queued { account: 7, ..job }, true);
        assert!(jobs_stand_where_the_rules_say(&kernel).unwrap_err().0.contains("job 2"));
    }

    #[test]
    fn a_lost_job_that_is_not_durable_is_noticed() {
        let mut kernel = kernel();
        kernel.unstored.insert(JobId(7));
        assert!(the_unstored_are_there(&kernel).unwrap_err().0.contains("job 7"));
    }

    #[test]
    fn an_id_from_nowhere_is_noticed() {
        let mut kernel = kernel();
        kernel.next_job = 2;
        assert!(ids_were_given_out(&kernel).unwrap_err().0.contains("job 2"));
    }
}
