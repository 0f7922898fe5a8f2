//! *Purpose*: every way that two CPUs and three jobs can go, with a crash and a cancel anywhere.
//!
//! *Owns*: the bounds of the small world, and what must be true in all of it.
//!
//! *Promises*: the real kernel and the real outbox are driven, by all interleavings of clients,
//! scheduler, writer, executors, step daemon and supervisors within the bounds; what must never
//! be has no path to it; each world comes to rest as it should; what is hoped to be explored is
//! reached.
//!
//! *Not here*: long lives (`tests/simulation`), time and priorities (`tests/kernel.rs`).

#![allow(clippy::unwrap_used)]

#[path = "../protocol/mod.rs"]
mod protocol;
mod world;

use std::time::Instant;

use downbeat::job::state::StateWord;
use stateright::{Checker, HasDiscoveries, Model, Property};
use world::{Act, Bounds, Faults, World};

/// As many as the smallest machine has that is worth testing on.
const THREADS: usize = 2;

impl Model for Bounds {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, acts: &mut Vec<Act>) {
        world.acts(acts);
    }

    fn next_state(&self, world: &World, act: Act) -> Option<World> {
        world.after(act)
    }

    /// What is hoped for is asked of the worlds in which it can be.
    fn properties(&self) -> Vec<Property<Self>> {
        let faults = &self.faults;
        let mut all = vec![
            Property::<Self>::always(KEPT, |_, w| w.broken.is_none()),
            Property::<Self>::always("who comes to rest has ended every job", |_, w| {
                w.rests_as_it_should()
            }),
        ];
        let mut sometimes = |possible: bool, name, seen: fn(&Bounds, &World) -> bool| {
            if possible {
                all.push(Property::sometimes(name, seen));
            }
        };
        sometimes(true, "all jobs complete", |_, w| w.all_are(StateWord::Completed));
        sometimes(faults.crashes > 0, "all jobs complete in spite of a crash", |_, w| {
            w.crashed() && w.all_are(StateWord::Completed)
        });
        sometimes(faults.crashes > 0, "a living job is adopted", |_, w| w.adopted);
        sometimes(faults.cancels > 0, "a waiting job is cancelled", |_, w| w.cancelled_unstarted());
        sometimes(faults.cancels > 0, "a cancel comes too late for the script", |_, w| {
            w.saw_code_of_cancelled()
        });
        sometimes(faults.refusals > 0, "an unknown outcome is durable", |_, w| {
            w.unknown_is_durable()
        });
        sometimes(faults.limits > 0, "a job runs out of time", |_, w| {
            w.some_is(StateWord::Timeout)
        });
        sometimes(faults.requeues > 0, "a job runs again", |_, w| w.ran_again());
        sometimes(
            faults.requeues > 0 && faults.cancels > 0,
            "one is cancelled after that",
            |_, w| w.cancelled_on_its_way_back(),
        );
        sometimes(faults.preempts, "a job makes room for another", |_, w| w.made_room());
        sometimes(faults.retries > 0, "a job is retried", |_, w| w.retried());
        sometimes(faults.supervisors > 0, "a job is lost with its supervisor", |_, w| {
            w.some_is(StateWord::NodeFail)
        });
        all
    }
}

const KEPT: &str = "no promise is broken";

#[test]
fn no_way_of_a_small_world_breaks_a_promise() {
    let crash_and_cancel = Faults { crashes: 1, cancels: 1, ..Faults::default() };
    let disk = Faults { refusals: 1, ..crash_and_cancel.clone() };
    let supervisor = Faults { supervisors: 1, ..crash_and_cancel.clone() };
    let all = Faults {
        crashes: 1,
        cancels: 1,
        refusals: 1,
        daemons: 1,
        supervisors: 1,
        limits: 1,
        doubles: 1,
        ..Faults::default()
    };
    let again = Faults { requeues: 1, ..crash_and_cancel.clone() };
    let preempt = Faults { preempts: true, ..crash_and_cancel.clone() };
    let retry = Faults { retries: 1, limits: 1, supervisors: 1, ..crash_and_cancel.clone() };
    // Two jobs in one submission, a wide one in another: every way of the whole protocol.
    explore(&[&[1, 1], &[2]], crash_and_cancel, 500_000);
    explore(&[&[1], &[2]], disk, 50_000);
    explore(&[&[1], &[2]], supervisor, 30_000);
    explore(&[&[1]], all, 200_000);
    // Jobs that run again: because somebody asked, and by themselves.
    explore(&[&[1], &[2]], again, 300_000);
    explore(&[&[1]], retry, 13_000);
    // One job makes room for another.
    explore(&[&[2], &[1]], preempt, 1_000);
}

/// Two CPUs. `states_min` is a little less than there are, so that no world silently shrinks.
fn explore(submissions: &[&[u32]], faults: Faults, states_min: usize) {
    let name = format!("{submissions:?} {faults:?}");
    let submissions = submissions.iter().map(|widths| widths.to_vec()).collect();
    let bounds = Bounds { cpus: 2, submissions, faults };
    let usual = std::panic::take_hook();
    // A broken promise is a state, and its way there is what is printed.
    std::panic::set_hook(Box::new(|_| {}));
    let start = Instant::now();
    let stop = HasDiscoveries::AnyFailures;
    let checker = bounds.checker().threads(THREADS).finish_when(stop).spawn_bfs().join();
    std::panic::set_hook(usual);
    let (states, generated) = (checker.unique_state_count(), checker.state_count());
    println!(
        "model {name}: {states} states of {generated} generated, {} steps deep, {:.1} s",
        checker.max_depth(),
        start.elapsed().as_secs_f64(),
    );
    if let Some(path) = checker.discovery(KEPT) {
        let end = path.last_state().clone();
        let way = path.into_actions();
        panic!("{end:?} after {} steps: {way:#?}", way.len());
    }
    checker.assert_properties();
    assert!(states >= states_min, "only {states} of at least {states_min} states");
}
