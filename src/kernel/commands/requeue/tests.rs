//! *Purpose*: tests of `kernel::commands::requeue`.
//!
//! *Owns*: lives with requeues, retries, cancels and restarts in any order.
//!
//! *Promises*: none of its own.
//!
//! *Not here*: durability (`tests/simulation`, `tests/model`).

use proptest::prelude::*;

use super::*;
use crate::job::ids::Attempt;
use crate::job::outcome::{Exit, Stop};
use crate::job::retry_policy::RETRY_DELAY_S;
use crate::job::state::Hold;
use crate::kernel::check;
use crate::kernel::commands::cancel::Cancelled;
use crate::kernel::parts::conditions::Blocked;
use crate::kernel::parts::limits::AccountRule;
use crate::kernel::parts::rules::WHOLE;
use crate::kernel::restore::PersistedState;
use crate::kernel::testing::job::{JobBuilder, job};
use crate::kernel::testing::{KernelBuilder, exit};
use crate::policy::name::Policy;
use crate::policy::pass::plan;
use crate::policy::plan::Plan;

const CPUS: u32 = 2;
const SECOND: i64 = 1_000_000;

/// One job of one CPU, submitted at 0.
fn kernel(job: JobBuilder) -> (Kernel, JobId) {
    let mut kernel = KernelBuilder::new().cpus(CPUS).build();
    let ids = kernel.enter([job], Time(0));
    (kernel, ids[0])
}

/// The next attempt gets CPUs; `None` when it may not.
fn grant(kernel: &mut Kernel, job: JobId, now: Time) -> Option<Attempt> {
    kernel.run_timers(now);
    let plan = Plan { start: vec![job], ..Plan::default() };
    let (started, _, _) = kernel.start(&plan, now);
    (started == 1).then(|| kernel.live()[&job].attempt())
}

fn exited(code: u8, now: Time) -> Fact {
    Fact::Exited(exit(code, now))
}

/// A server dies and another takes up what the database has.
fn again(kernel: &Kernel, words: &[Option<Blocked>]) -> Kernel {
    let memory = kernel.remembered(Time(0));
    let conditions = memory.pending.iter().zip(words).filter_map(|(job, blocked)| {
        let begin = match blocked {
            Some(Blocked::BeginTime(begin)) => Some(*begin),
            _ => None,
        };
        let held = *blocked == Some(Blocked::Held);
        Some((job.id, Conditions { begin, held, ..Conditions::default() }))
            .filter(|(_, conditions)| !conditions.is_empty())
    });
    let conditions = conditions.collect();
    KernelBuilder::of(PersistedState { conditions, ..memory }).cpus(CPUS).build()
}

#[test]
fn a_failed_attempt_waits_twice_as_long_each_time_and_then_is_the_end() {
    let (mut kernel, job) = kernel(job().retry(RetryPolicy::usual(2)));
    let mut now = Time(0);
    for (n, wait_s) in [(1, 10), (2, 20)] {
        let attempt = grant(&mut kernel, job, now).unwrap();
        assert_eq!(attempt.n, n);
        let step = kernel.fact(attempt, exited(3, now), now).unwrap();
        let [Change::Requeued { past: Some(past), begin, retries, .. }] = &step.changes[..] else {
            panic!("{step:?}")
        };
        assert_eq!((past.state, past.released.cpus, *retries), ("FAILED", 1, n));
        let at = now.plus_s(wait_s);
        assert_eq!((*begin, kernel.blocked(job, now)), (Some(at), Some(Blocked::BeginTime(at))));
        assert_eq!(grant(&mut kernel, job, Time(at.0 - 1)), None, "not before its time");
        now = at;
    }
    let attempt = grant(&mut kernel, job, now).unwrap();
    let step = kernel.fact(attempt, exited(3, now), now).unwrap();
    assert!(matches!(&step.changes[..], [Change::Ended { .. }]), "{step:?}");
    assert!(kernel.retries().is_empty() && kernel.queue().is_empty());
    assert_eq!(check::all(&kernel), Ok(()));
}

#[test]
fn a_requeued_job_comes_back_held_and_with_its_deadline() {
    let deadline = Time(100 * SECOND);
    let (mut kernel, job) = kernel(job().deadline(deadline));
    let attempt = grant(&mut kernel, job, Time(1)).unwrap();
    let (told, step) = kernel.requeue_asked(job, Hold::ByUser, &"me".into(), Time(2));
    assert_eq!(told, Requeued::Stopping);
    assert_eq!(step.effects, [Effect::Stop(attempt)]);
    assert_eq!(kernel.ledger().used(), 1, "the CPUs stay held until the tree is gone");
    // Asked again, it is stopped no more than before.
    let (told, step) = kernel.requeue_asked(job, Hold::No, &"me".into(), Time(2));
    assert_eq!((told, step), (Requeued::Stopping, Step::default()));
    let cancelled = Exit { stop: Some(Stop::Cancelled), ..exit(0, Time(3)) };
    let step = kernel.fact(attempt, Fact::Exited(cancelled), Time(3)).unwrap();
    let [Change::Requeued { past: Some(past), held: Hold::ByUser, .. }] = &step.changes[..] else {
        panic!("{step:?}")
    };
    assert_eq!(past.state, REQUEUED);
    assert_eq!(kernel.blocked(job, Time(4)), Some(Blocked::Held));
    assert_eq!(kernel.ledger().used(), 0);
    let (told, _) = kernel.requeue_asked(job, Hold::ByUser, &"me".into(), Time(4));
    assert_eq!(told, Requeued::Pending);
    let step = kernel.run_timers(deadline);
    assert!(matches!(&step.changes[..], [Change::Ended { .. }]), "{step:?}");
}

#[test]
fn a_cancel_wins_over_a_requeue_in_either_order() {
    for cancel_first in [false, true] {
        let (mut kernel, job) = kernel(job().retry(RetryPolicy::usual(9)));
        let attempt = grant(&mut kernel, job, Time(1)).unwrap();
        let me: Permitted = "me".into();
        if cancel_first {
            kernel.cancel(&[job], &me, Time(2));
            let (told, _) = kernel.requeue_asked(job, Hold::No, &me, Time(2));
            assert_eq!(told, Requeued::Cancelling);
        } else {
            kernel.requeue_asked(job, Hold::No, &me, Time(2));
            assert_eq!(kernel.cancel(&[job], &me, Time(2)).0, [Cancelled::Stopping]);
        }
        let step = kernel.fact(attempt, exited(1, Time(3)), Time(3)).unwrap();
        let [Change::Ended { end, .. }] = &step.changes[..] else { panic!("{step:?}") };
        assert_eq!(end.word, StateWord::Cancelled);
    }
}

#[test]
fn a_job_that_was_over_is_counted_no_more_and_its_retries_begin_anew() {
    let (mut kernel, job) = kernel(job());
    let queued = *kernel.queue().get(job).unwrap();
    let attempt = grant(&mut kernel, job, Time(1)).unwrap();
    kernel.fact(attempt, exited(1, Time(2)), Time(2)).unwrap();
    assert_eq!(kernel.snapshot().count(StateWord::Failed), 1);
    let over = EndedJob {
        job: Queued { attempts: 1, ..queued },
        rest: Request::default(),
        word: StateWord::Failed,
        held: Hold::No,
        begin: Some(Time(1)),
        deadline: None,
        retry: Some(Arc::new(RetryPolicy::usual(1))),
        partition: "default".to_owned(),
        account: String::new(),
        user: String::new(),
        task: None,
    };
    let me: Permitted = "me".into();
    let (told, step) = kernel.requeue_over(over.clone(), Hold::No, &me, Time(3));
    assert_eq!((told, step.changes.len()), (Requeued::Waiting, 1));
    assert_eq!(kernel.snapshot().count(StateWord::Failed), 0);
    let (told, step) = kernel.requeue_over(over, Hold::No, &me, Time(3));
    assert_eq!((told, step), (Requeued::Waiting, Step::default()), "somebody was faster");
    assert_eq!(grant(&mut kernel, job, Time(4)).unwrap().n, 2);
    assert_eq!(kernel.retries()[&job].retry.as_ref().unwrap().used, 0);
    assert_eq!(check::all(&kernel), Ok(()));
}

proptest! {
    /// Whatever happens in whatever order: CPUs are conserved, nobody runs more often than once
    /// and `max` times and once for each wish, and whoever was cancelled ends so.
    #[test]
    fn no_life_runs_too_often_or_escapes_a_cancel(
        max in 1..4u32,
        acts in prop::collection::vec((0..8u8, 0..3u8), 1..60),
    ) {
        let (mut kernel, job) = kernel(job().retry(RetryPolicy::usual(max)));
        let (mut now, mut attempts, mut wishes, mut cancelled) = (Time(0), 0, 0, false);
        let mut ends = Vec::new();
        let me: Permitted = "me".into();
        for (act, code) in acts {
            now = now.plus_s(7);
            let live = kernel.live().get(&job).map(Live::attempt);
            let step = match (act, live) {
                (0..3, None) => {
                    attempts += u32::from(grant(&mut kernel, job, now).is_some());
                    Step::default()
                }
                (0..3, Some(attempt)) => kernel.fact(attempt, exited(code, now), now).unwrap(),
                (3, Some(attempt)) => {
                    let fact = Fact::Vanished("gone".to_owned());
                    kernel.fact(attempt, fact, now).unwrap()
                }
                (4, _) => {
                    let (told, step) = kernel.requeue_asked(job, Hold::No, &me, now);
                    wishes += u32::from(told == Requeued::Stopping);
                    step
                }
                (5, _) if code == 0 => {
                    let (told, step) = kernel.cancel(&[job], &me, now);
                    cancelled |= told[0] != Cancelled::NotLive;
                    step
                }
                (6, _) => {
                    let words = kernel.queue().iter().map(|q| kernel.blocked(q.id, now));
                    let (words, before) = (words.collect::<Vec<_>>(), kernel.retries().clone());
                    kernel = again(&kernel, &words);
                    kernel.run_timers(now);
                    prop_assert_eq!(kernel.retries(), &before, "a restart keeps what is used up");
                    let after: Vec<_> =
                        kernel.queue().iter().map(|q| kernel.blocked(q.id, now)).collect();
                    prop_assert_eq!(after, words, "a restart keeps the wait");
                    Step::default()
                }
                _ => Step::default(),
            };
            ends.extend(step.changes.iter().filter_map(|change| match change {
                Change::Ended { end, .. } => Some(end.word),
                _ => None,
            }));
            prop_assert_eq!(check::all(&kernel), Ok(()));
            prop_assert!(attempts <= 1 + max + wishes, "{} attempts", attempts);
        }
        prop_assert!(ends.len() <= 1);
        prop_assert!(!cancelled || ends.iter().all(|word| *word == StateWord::Cancelled));
        prop_assert!(!ends.is_empty() || kernel.queue().len() + kernel.live().len() == 1);
    }
}

/// Tasks `array` of account `a`, which may hold three of four CPUs; each is retried once.
fn array_of_an_account(array: &str) -> Kernel {
    let rule = AccountRule { max_running_cpus: Some(3), ..AccountRule::default() };
    let mut kernel = KernelBuilder::new().cpus(4).account("a", rule).build();
    kernel.enter([job().array(array).account("a").retry(RetryPolicy::usual(1))], Time(0));
    kernel
}

/// What a pass starts; answers who runs.
fn pass(kernel: &mut Kernel, now: Time) -> Vec<Attempt> {
    kernel.run_timers(now);
    let policy = Policy::default();
    let plan = plan(policy, &kernel.input(&policy, now));
    kernel.start(&plan, now);
    assert_eq!(check::all(kernel), Ok(()));
    kernel.live().values().map(Live::attempt).collect()
}

#[test]
fn tasks_that_go_back_still_count_for_their_array_and_their_account() {
    for (array, most) in [("0-4%2", 2), ("0-4", 3)] {
        let mut kernel = array_of_an_account(array);
        let mut now = Time(0);
        loop {
            let live = pass(&mut kernel, now);
            assert!(live.len() <= most, "{} run, {most} may", live.len());
            if live.is_empty() {
                break;
            }
            for attempt in live {
                let code = u8::from(attempt.n == 1);
                kernel.fact(attempt, exited(code, now), now).unwrap();
                assert_eq!(check::all(&kernel), Ok(()));
            }
            now = now.plus_s(RETRY_DELAY_S.into());
        }
        let snapshot = kernel.snapshot();
        assert_eq!((snapshot.count(StateWord::Completed), snapshot.allocations), (5, 10));
        assert_eq!((kernel.queue().len(), kernel.arrays().iter().count()), (0, 0));
    }
}

#[test]
fn a_task_that_was_over_is_one_of_its_array_again() {
    let mut kernel = array_of_an_account("0-1%1");
    let live = pass(&mut kernel, Time(0));
    let job = kernel.live()[&live[0].job].job;
    kernel.fact(live[0], exited(0, Time(1)), Time(1)).unwrap();
    let over = EndedJob {
        job,
        rest: Request::default(),
        word: StateWord::Completed,
        held: Hold::No,
        begin: None,
        deadline: None,
        retry: None,
        partition: "default".to_owned(),
        account: "a".to_owned(),
        user: String::new(),
        task: Some((JobId(1), 0)),
    };
    kernel.requeue_over(over, Hold::No, &"me".into(), Time(2));
    for _ in 0..2 {
        let live = pass(&mut kernel, Time(3));
        assert_eq!(live.len(), 1, "one at a time");
        kernel.fact(live[0], exited(0, Time(3)), Time(3)).unwrap();
    }
    assert_eq!(kernel.arrays().iter().count(), 0);
    assert_eq!(kernel.snapshot().count(StateWord::Completed), 2);
}

#[test]
fn what_an_operator_holds_stays_his_also_when_its_owner_asks_or_it_was_over() {
    let (mut kernel, job) = kernel(job());
    let attempt = grant(&mut kernel, job, Time(1)).unwrap();
    kernel.requeue_asked(job, Hold::ByOperator, &"operator".into(), Time(2));
    let (_, step) = kernel.requeue_asked(job, Hold::ByUser, &"me".into(), Time(3));
    assert_eq!(step, Step::default(), "it is an operator's already");
    let cancelled = Exit { stop: Some(Stop::Cancelled), ..exit(0, Time(4)) };
    let step = kernel.fact(attempt, Fact::Exited(cancelled), Time(4)).unwrap();
    assert!(matches!(&step.changes[..], [Change::Requeued { held: Hold::ByOperator, .. }]));
    assert_eq!(kernel.blocked(job, Time(5)), Some(Blocked::HeldByOperator));
    let queued = *kernel.queue().get(job).unwrap();
    kernel.cancel(&[job], &"me".into(), Time(6));
    let over = EndedJob {
        job: queued,
        rest: Request::default(),
        word: StateWord::Cancelled,
        held: Hold::ByOperator,
        begin: None,
        deadline: None,
        retry: None,
        partition: WHOLE.to_owned(),
        account: String::new(),
        user: String::new(),
        task: None,
    };
    let (_, step) = kernel.requeue_over(over, Hold::No, &"me".into(), Time(7));
    assert!(matches!(&step.changes[..], [Change::Requeued { held: Hold::ByOperator, .. }]));
    assert_eq!(kernel.blocked(job, Time(8)), Some(Blocked::HeldByOperator));
    assert_eq!(check::all(&kernel), Ok(()));
}
