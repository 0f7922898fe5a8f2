//! *Purpose*: tests of `kernel::commands::suspend`.
//!
//! *Owns*: nothing.
//!
//! *Promises*: none of its own.
//!
//! *Not here*: the way to the processes (`tests/engine_conformance`, `tests/faults`).

use super::*;
use crate::job::ids::Attempt;
use crate::job::outcome::Handle;
use crate::job::state::Hold;
use crate::kernel::testing::KernelBuilder;
use crate::kernel::testing::job::job;
use crate::kernel::transition::Fact;
use crate::policy::plan::Plan;
use crate::time::SECOND_US;

/// Job 1 runs since second 1, for 100 seconds at the most, and job 2 waits.
fn kernel() -> (Kernel, Attempt) {
    let runs = job().time_limit(100);
    let mut kernel = KernelBuilder::new().cpus(1).holds(1, runs, [0]).waits(2, job()).build();
    let attempt = kernel.live()[&JobId(1)].attempt();
    let handle = Handle { pid: 7, start_time: at(1) };
    kernel.fact(attempt, Fact::Started(handle), at(1)).unwrap();
    (kernel, attempt)
}

fn at(second: i64) -> Time {
    Time(0).plus_s(second)
}

/// What of this step is about suspension: the cause, and what holds from then on.
fn changes(step: &Step) -> Vec<(&'static str, Option<Time>, i64)> {
    let about = step.changes.iter().filter_map(|change| match change {
        Change::Suspended { event, suspension } => {
            Some((event.cause, suspension.since, suspension.past_us / SECOND_US))
        }
        _ => None,
    });
    about.collect()
}

fn end(kernel: &Kernel, now: Time) -> i64 {
    kernel.ground(now).running[0].end / SECOND_US
}

#[test]
fn what_runs_is_suspended_once_and_goes_on_once() {
    let (mut kernel, attempt) = kernel();
    let mut ask =
        |suspend, second| kernel.suspend((JobId(1), false), suspend, &"ada".into(), at(second));
    assert_eq!(ask(false, 9), (Suspended::NotSuspended, Step::default()));
    let (became, step) = ask(true, 10);
    assert_eq!((became, &step.effects[..]), (Suspended::Done, &[Effect::Adjust(attempt)][..]));
    assert_eq!(changes(&step), [("suspended", Some(at(10)), 0)]);
    assert_eq!(ask(true, 12), (Suspended::Done, Step::default()), "it is");
    let (became, step) = ask(false, 15);
    assert_eq!((became, &step.effects[..]), (Suspended::Done, &[Effect::Adjust(attempt)][..]));
    assert_eq!(changes(&step), [("unsuspended", None, 5)]);
    let (_, step) = ask(true, 20);
    assert_eq!(changes(&step), [("suspended", Some(at(20)), 5)]);
    assert_eq!(kernel.live()[&JobId(1)].suspension.us(at(23)), 8 * SECOND_US);
}

#[test]
fn whoever_does_not_run_is_left_alone() {
    let (mut kernel, _) = kernel();
    for absent in [2, 3] {
        for suspend in [true, false] {
            let answer = kernel.suspend((JobId(absent), false), suspend, &"ada".into(), at(9));
            assert_eq!(answer, (Suspended::NotRunning, Step::default()), "{absent}");
        }
    }
    kernel.cancel(&[JobId(1)], &"ada".into(), at(9));
    let answer = kernel.suspend((JobId(1), false), true, &"ada".into(), at(10));
    assert_eq!(answer, (Suspended::NotRunning, Step::default()), "it is being ended");
}

#[test]
fn planning_waits_for_as_long_as_it_stands_still() {
    let (mut kernel, _) = kernel();
    assert_eq!(end(&kernel, at(10)), 101);
    kernel.suspend((JobId(1), false), true, &"ada".into(), at(10));
    assert_eq!((end(&kernel, at(10)), end(&kernel, at(500))), (101, 591));
    kernel.suspend((JobId(1), false), false, &"ada".into(), at(510));
    assert_eq!((end(&kernel, at(510)), end(&kernel, at(590))), (601, 601));
}

#[test]
fn what_ends_is_not_suspended_any_more() {
    for how in [Fact::CancelAsked, Fact::RequeueAsked { hold: Hold::No }, Fact::Lost] {
        let (mut kernel, attempt) = kernel();
        kernel.suspend((JobId(1), false), true, &"ada".into(), at(10));
        let step = kernel.fact(attempt, how, at(14)).unwrap();
        let ids: Vec<_> = step.changes.iter().filter_map(Change::event).map(|e| e.id).collect();
        assert!(ids.is_sorted() && ids.len() == 2, "{step:?}");
        assert_eq!(changes(&step), [("unsuspended", None, 4)]);
        assert!(matches!(step.changes[1], Change::Completing { .. }), "{step:?}");
    }
}

#[test]
fn it_is_remembered() {
    let (mut kernel, _) = kernel();
    kernel.suspend((JobId(1), false), true, &"ada".into(), at(10));
    let suspension = Suspension { since: Some(at(10)), past_us: 0 };
    assert_eq!(kernel.remembered(at(11)).live[0].suspension, suspension);
}

#[test]
fn of_an_array_everything_that_runs_is_suspended() {
    let mut kernel = KernelBuilder::new().cpus(2).build();
    let array = kernel.enter([job().array("0-4")], Time(0))[0];
    let plan = Plan { start: vec![array, array], ..Plan::default() };
    let (_, _, step) = kernel.start(&plan, at(1));
    let launched = step.effects.iter().filter_map(|effect| match effect {
        Effect::Launch(attempt) => Some(*attempt),
        _ => None,
    });
    let started: Vec<Attempt> = launched.collect();
    let (became, step) = kernel.suspend((started[1].job, false), true, &"ada".into(), at(2));
    assert_eq!((became, step.effects), (Suspended::Done, vec![Effect::Adjust(started[1])]));
    let (became, step) = kernel.suspend((array, true), true, &"ada".into(), at(3));
    assert_eq!((became, step.effects), (Suspended::Done, vec![Effect::Adjust(started[0])]));
    let (became, step) = kernel.suspend((array, true), false, &"ada".into(), at(4));
    let both: Vec<Effect> = started.iter().map(|attempt| Effect::Adjust(*attempt)).collect();
    assert_eq!((became, step.effects), (Suspended::Done, both));
}
