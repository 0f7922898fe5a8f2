//! *Purpose*: who used how much, on a real file.
//!
//! *Owns*: attempts within a time, before it and after it, GPUs, what cannot be read.
//!
//! *Promises*: sums are worked out by hand.
//!
//! *Not here*: the route (`api::usage`).

use super::*;
use crate::job::state::Hold;
use crate::kernel::access::Scope;
use crate::store::used::{By, Key, Used};

/// What this one used from then until then.
fn of(world: &World, name: &str, (since, until): (i64, i64), by: By) -> Option<Used> {
    let readers = world.database().readers().unwrap();
    let window = (Time(since), Time(until));
    let found = readers.read(|db| db.used(window, &by, &Scope::SERVER)).unwrap().unwrap();
    found.get(&Key::Name(name.to_owned())).cloned()
}

/// One job whose first attempt held a CPU from 2 to 4, and whose second one holds it since 5.
fn requeued() -> Option<(World, JobId)> {
    let mut world = World::new()?;
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
    Some((world, id))
}

#[test]
fn every_attempt_counts_as_far_as_it_is_within_the_time() {
    let Some((world, _)) = requeued() else { return };
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
    let Some((mut world, _)) = requeued() else { return };
    let (_, step) = world.submission(job().account("idle"));
    world.commit(step);
    world.batch("UPDATE resource_allocations SET resources = '{\"gpu\":[0,1]}' WHERE attempt = 1");
    let lab = of(&world, "lab", (0, 10), By::Account).unwrap();
    assert_eq!((lab.cpu_us, lab.gpu_us), (7, 4));
    assert_eq!(of(&world, "idle", (0, 10), By::Account), None);
}

#[test]
fn a_job_is_counted_where_it_ended_by_how_it_did() {
    let Some(mut world) = World::new() else { return };
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
fn what_lasts_over_midnight_counts_on_both_days() {
    let Some((mut world, _)) = requeued() else { return };
    world.batch("UPDATE jobs SET memory_bytes = 10");
    let readers = world.database().readers().unwrap();
    let days = |(since, until): (i64, i64), days: &[i64]| -> Vec<(i64, i64, i128, u64)> {
        let by = By::Day(days.iter().map(|at| Time(*at)).collect());
        let window = (Time(since), Time(until));
        let found = readers.read(|db| db.used(window, &by, &Scope::SERVER)).unwrap().unwrap();
        let row = |(key, of): (Key, Used)| match key {
            Key::Day(day) => (day.0, of.cpu_us, of.memory_byte_us, of.running),
            Key::Name(name) => panic!("{name} is no day"),
        };
        found.into_iter().map(row).collect()
    };
    // A CPU from 2 to 4, and one since 5.
    assert_eq!(days((0, 10), &[]), [(0, 7, 70, 1)]);
    assert_eq!(days((0, 10), &[3, 6]), [(0, 1, 10, 0), (3, 2, 20, 0), (6, 4, 40, 1)]);
    assert_eq!(days((1, 8), &[0, 2, 9]), [(2, 5, 50, 1)], "days outside of the time are none");
    assert_eq!(days((0, 10), &[5]), [(0, 2, 20, 0), (5, 5, 50, 1)]);
}

#[test]
fn who_ended_is_told_by_name_with_how_busy_its_cpus_were() {
    let Some(mut world) = World::new() else { return };
    let id = world.submit();
    world.start();
    for fact in [Fact::Started(HANDLE), exited()] {
        let step = world.fact(id, fact);
        world.commit(step);
    }
    let set = "end_time = start_time + 10, cpus = 2, user_cpu_us = 4, system_cpu_us = 1";
    world.batch(&format!("UPDATE jobs SET {set}"));
    let name = world.database().readers().unwrap();
    let names = name.read(|db| db.used((Time(0), Time(99)), &By::Name, &Scope::SERVER));
    let names: Vec<(Key, Used)> = names.unwrap().unwrap().into_iter().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(names[0].1.busy_us, (5, 20));
    world.batch("UPDATE jobs SET user_cpu_us = NULL, system_cpu_us = NULL, max_rss_bytes = NULL");
    let unknown = of(&world, "", (0, 99), By::Account).unwrap();
    assert_eq!((unknown.ended, unknown.busy_us), (1, (0, 0)), "nobody saw what it used");
}

#[test]
fn what_cannot_be_read_is_no_sum() {
    let Some((mut world, id)) = requeued() else { return };
    world.batch("UPDATE resource_allocations SET allocated_cpus = -2 WHERE attempt = 2");
    let readers = world.database().readers().unwrap();
    let window = (Time(0), Time(10));
    let refused = readers.read(|db| db.used(window, &By::User, &Scope::SERVER)).unwrap_err();
    assert!(matches!(refused, StoreError::Damaged { .. }), "job {id}: {refused}");
}
