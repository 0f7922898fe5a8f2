//! *Purpose*: who used how much, on a real file.
//!
//! *Owns*: attempts within a time, before it and after it, GPUs, what cannot be read.
//!
//! *Promises*: sums are worked out by hand.
//!
//! *Not here*: the route (`api::usage`).

use super::super::used::{By, Used, used};
use super::*;
use crate::job::state::Hold;
use crate::kernel::access::Scope;

/// What this one used from then until then.
fn of(world: &World, name: &str, (since, until): (i64, i64), by: By) -> Option<Used> {
    let readers = world.database().readers().unwrap();
    let window = (Time(since), Time(until));
    let found = readers.read(|c| used(c, window, by, &Scope::SERVER)).unwrap().unwrap();
    found.get(name).cloned()
}

/// One job whose first attempt held a CPU from 2 to 4, and whose second one holds it since 5.
fn requeued() -> (World, JobId) {
    let mut world = World::new();
    let (id, step) = world.submission(job().account("lab"));
    world.commit(step);
    world.start();
    let (_, step) = world.kernel.requeue_asked(id, Hold::No, &"me".into(), Time(3));
    world.commit(step);
    let step = world.fact(id, exited());
    world.commit(step);
    let (started, _, grant) = world.kernel.start(&planned(&world.kernel), Time(5));
    assert_eq!(started, 1);
    world.commit(grant);
    (world, id)
}

#[test]
fn every_attempt_counts_as_far_as_it_is_within_the_time() {
    let (world, _) = requeued();
    let cpu_us = |window| of(&world, "lab", window, By::Account).map(|used| used.cpu_us);
    assert_eq!(cpu_us((0, 10)), Some(2 + 5), "what runs counts until then");
    assert_eq!(cpu_us((3, 8)), Some(1 + 3));
    assert_eq!(cpu_us((0, 4)), Some(2));
    assert_eq!(cpu_us((0, 2)), Some(0));
    let now = of(&world, "lab", (0, 10), By::Account).unwrap();
    assert_eq!((now.running, now.ended, now.waited), (1, 0, (0, 0)));
    assert!(of(&world, "", (0, 10), By::Account).is_none());
}

#[test]
fn gpus_are_held_as_cpus_are_and_who_has_only_waited_used_nothing() {
    let (mut world, _) = requeued();
    let (_, step) = world.submission(job().account("idle"));
    world.commit(step);
    world.batch("UPDATE resource_allocations SET resources = '{\"gpu\":[0,1]}' WHERE attempt = 1");
    let lab = of(&world, "lab", (0, 10), By::Account).unwrap();
    assert_eq!((lab.cpu_us, lab.gpu_us), (7, 4));
    assert_eq!(of(&world, "idle", (0, 10), By::Account), None);
}

#[test]
fn a_job_is_counted_where_it_ended_by_how_it_did() {
    let mut world = World::new();
    let id = world.submit();
    world.start();
    let step = world.fact(id, Fact::Started(HANDLE));
    world.commit(step);
    let step = world.fact(id, exited());
    world.commit(step);
    let all = of(&world, "", (0, 10), By::Account).unwrap();
    assert_eq!((all.ended, all.completed, all.cancelled, all.running), (1, 0, 0, 0));
    assert_eq!(all.waited, (1, 2), "submitted at 1, started at 3");
    let later = of(&world, "", (4, 10), By::Account).unwrap();
    assert_eq!((later.ended, later.cpu_us), (1, 0), "it ended at 4");
    assert_eq!(of(&world, "", (5, 10), By::Account), None);
    let before = of(&world, "", (0, 3), By::Account).unwrap();
    assert_eq!((before.ended, before.cpu_us), (0, 1), "it held a CPU then, and ended later");
}

#[test]
fn what_cannot_be_read_is_no_sum() {
    let (mut world, id) = requeued();
    world.batch("UPDATE resource_allocations SET allocated_cpus = 'two' WHERE attempt = 2");
    let readers = world.database().readers().unwrap();
    let window = (Time(0), Time(10));
    let refused = readers.read(|c| used(c, window, By::User, &Scope::SERVER)).unwrap_err();
    assert!(matches!(refused, StoreError::Damaged { .. }), "job {id}: {refused}");
}
