//! *Purpose*: what an audit and retention make of the rows.
//!
//! *Owns*: spoilt rows, before and after.
//!
//! *Promises*: what is not asked for stays as it is.
//!
//! *Not here*: who asks (`kernel::commands::repair`).

use super::*;
use crate::kernel::access::Scope;

fn note(world: &mut World, change: Change) {
    world.commit(Step { changes: vec![change], ..Step::default() });
}

impl World {
    /// A job that runs on the lowest free CPU.
    fn running(&mut self) -> Attempt {
        let job = self.submit();
        self.start();
        let step = self.fact(job, Fact::Started(HANDLE));
        self.commit(step);
        Attempt { job, n: 1 }
    }
}

fn held(world: &World) -> Vec<(CpuId, JobId)> {
    let db = world.database().readers().unwrap().read(|db| db.db_snapshot()).unwrap().value;
    db.held.into_iter().map(|(_, unit, job)| (unit, job)).collect()
}

#[test]
fn a_live_attempt_gets_exactly_its_cpus_back() {
    let Some(mut world) = World::new() else { return };
    let (a, b) = (world.running(), world.running());
    let before = held(&world);
    let spoil = "DELETE FROM held_units; INSERT INTO held_units VALUES ('cpu', 0, 99);
                 UPDATE resource_allocations SET released = TRUE, cpu_ids = '[]' WHERE job_id = 1";
    world.batch(spoil);
    for (attempt, cpu) in [(a, CpuId(0)), (b, CpuId(1))] {
        note(&mut world, Change::Restored { attempt, cpus: vec![cpu], rest: Vec::new() });
    }
    assert_eq!(held(&world), before);
    let row = world.job(a.job).unwrap().1.unwrap();
    assert_eq!((row.released, row.cpus), (false, vec![CpuId(0)]));
}

#[test]
fn only_the_job_that_is_over_is_reclaimed() {
    let Some(mut world) = World::new() else { return };
    let (a, b) = (world.running(), world.running());
    note(
        &mut world,
        Change::Reclaimed { job: b.job, units: vec![("cpu".into(), CpuId(1))], time: Time(77) },
    );
    assert_eq!(held(&world), [(CpuId(0), a.job)]);
    let row = world.job(b.job).unwrap().1.unwrap();
    assert_eq!((row.released, row.released_time), (true, Some(Time(77))));
    assert!(!world.job(a.job).unwrap().1.unwrap().released);
}

#[test]
fn ended_jobs_leave_every_table_and_others_stay() {
    let Some(mut world) = World::new() else { return };
    let (a, b) = (world.running(), world.running());
    let end = world.fact(a.job, exited());
    world.commit(end);
    note(&mut world, Change::Forgotten { jobs: vec![a.job, b.job] });
    assert!(world.job(a.job).is_none());
    assert!(world.job(b.job).is_some(), "it has not ended");
    let readers = world.database().readers().unwrap();
    let (gone, kept) = (a.job, b.job);
    assert_eq!(readers.read(|db| db.script(gone)).unwrap(), None);
    assert_eq!(readers.read(|db| db.events_of(gone, EventId(0), 9)).unwrap().value, []);
    assert!(readers.read(|db| db.script(kept)).unwrap().is_some());
    assert_eq!(readers.read(|db| db.events_of(kept, EventId(0), 9)).unwrap().value.len(), 3);
    let rows =
        readers.read(|db| db.allocations((None, None), None, 10, &Scope::SERVER)).unwrap().value;
    assert_eq!(rows.iter().map(|r| r.attempt.job).collect::<Vec<_>>(), [kept]);
}

#[test]
fn the_oldest_that_ended_are_found_behind_those_that_wait() {
    let Some(mut world) = World::new() else { return };
    let waiting: Vec<JobId> = (0..9).map(|_| world.submit()).collect();
    for id in &waiting[6..8] {
        let (_, step) = world.kernel.cancel(&[*id], &"me".into(), Time(4));
        world.commit(step);
    }
    let readers = world.database().readers().unwrap();
    let oldest = |behind| {
        let ages = readers.read(|db| db.ages(behind, 1, Time(i64::MAX))).unwrap();
        ages.value.into_iter().map(|age| (age.job, age.state, age.ended)).collect::<Vec<_>>()
    };
    assert_eq!(oldest(JobId(0)), [(waiting[6], StateWord::Cancelled, Some(Time(4)))]);
    assert_eq!(oldest(waiting[6]), [(waiting[7], StateWord::Cancelled, Some(Time(4)))]);
    assert_eq!(oldest(waiting[7]), []);
}
