//! *Purpose*: tests of `kernel::commands::signal`.
//!
//! *Owns*: nothing.
//!
//! *Promises*: none of its own.
//!
//! *Not here*: the way to the processes (`tests/run`, `tests/faults`).

use super::*;
use crate::job::outcome::Handle;
use crate::job::signal::Recipients;
use crate::kernel::testing::KernelBuilder;
use crate::kernel::testing::job::job;
use crate::kernel::transition::Fact;
use crate::policy::plan::Plan;

const USR1: Signal = Signal { number: 10, to: Recipients::Others };

/// Job 1 runs and job 2 waits.
fn kernel() -> (Kernel, Attempt) {
    let mut kernel = KernelBuilder::new().cpus(1).holds(1, job(), [0]).waits(2, job()).build();
    let attempt = kernel.live()[&JobId(1)].attempt();
    let handle = Handle { pid: 7, start_time: Time(1) };
    kernel.fact(attempt, Fact::Started(handle), Time(1)).unwrap();
    (kernel, attempt)
}

fn sent(step: &Step) -> Vec<(EventId, EventId)> {
    let numbers = step.changes.iter().map(|change| match change {
        Change::Signalled { event, given, .. } => (event.id, *given),
        other => panic!("{other:?}"),
    });
    numbers.collect()
}

#[test]
fn what_runs_is_sent_it_and_whatever_else_is_not() {
    let (mut kernel, attempt) = kernel();
    let (outcome, step) = kernel.signal(JobId(1), false, USR1, &"ada".into(), Time(2));
    assert_eq!((outcome, &step.effects[..]), (Signalled::Sent, &[Effect::Signal(attempt)][..]));
    let Change::Signalled { event, signal, .. } = &step.changes[0] else { panic!("{step:?}") };
    assert_eq!((event.to, event.attempt, *signal), (StateWord::Running, 1, USR1));
    assert_eq!(event.cause, "signal_asked");
    for absent in [2, 3] {
        let answer = kernel.signal(JobId(absent), false, USR1, &"ada".into(), Time(2));
        assert_eq!(answer, (Signalled::NotRunning, Step::default()), "{absent}");
    }
    kernel.cancel(&[JobId(1)], &"ada".into(), Time(3));
    let answer = kernel.signal(JobId(1), false, USR1, &"ada".into(), Time(4));
    assert_eq!(answer, (Signalled::NotRunning, Step::default()), "it is being ended");
}

#[test]
fn numbers_say_what_is_new_and_what_has_arrived() {
    let (mut kernel, attempt) = kernel();
    let send = |kernel: &mut Kernel| {
        let (outcome, step) = kernel.signal(JobId(1), false, USR1, &"ada".into(), Time(2));
        (outcome, sent(&step))
    };
    let (_, first) = send(&mut kernel);
    let (no, given) = first[0];
    assert_eq!(given, no, "nothing is on its way");
    let (_, second) = send(&mut kernel);
    assert_eq!(second[0].1, no, "the first may be");
    kernel.signals_given(Attempt { n: 2, ..attempt }, second[0].0);
    kernel.signals_given(attempt, no);
    let (_, third) = send(&mut kernel);
    assert_eq!(third[0].1, second[0].0, "of another attempt nothing is known by that");
    // Nobody takes them.
    let answers: Vec<_> = (0..SIGNALS_UNDER_WAY_MAX).map(|_| send(&mut kernel)).collect();
    assert_eq!(answers.last().unwrap(), &(Signalled::TooMany(JobId(1)), Vec::new()));
    let loaded = kernel.remembered(Time(9)).live;
    assert_eq!(loaded[0].signals.len(), SIGNALS_UNDER_WAY_MAX);
}

#[test]
fn of_an_array_everything_that_runs_is_sent_it() {
    let mut kernel = KernelBuilder::new().cpus(2).build();
    let array = kernel.enter([job().array("0-4")], Time(0))[0];
    let plan = Plan { start: vec![array, array], ..Plan::default() };
    let (_, _, step) = kernel.start(&plan, Time(1));
    let launched = step.effects.iter().filter_map(|effect| match effect {
        Effect::Launch(attempt) => Some(*attempt),
        _ => None,
    });
    let started: Vec<Attempt> = launched.collect();
    for attempt in &started {
        let handle = Handle { pid: 7, start_time: Time(1) };
        kernel.fact(*attempt, Fact::Started(handle), Time(1)).unwrap();
    }
    let (outcome, step) = kernel.signal(array, true, USR1, &"ada".into(), Time(2));
    let effects: Vec<Effect> = started.iter().map(|attempt| Effect::Signal(*attempt)).collect();
    assert_eq!((outcome, step.effects), (Signalled::Sent, effects));
    assert_eq!(started.len(), 2);
    let (outcome, step) = kernel.signal(started[1].job, false, USR1, &"ada".into(), Time(2));
    assert_eq!((outcome, step.effects), (Signalled::Sent, vec![Effect::Signal(started[1])]));
}
