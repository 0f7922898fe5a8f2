//! *Purpose*: minutes are kept with commits, put together when they are old, and forgotten.
//!
//! *Owns*: nothing.
//!
//! *Promises*: sums before and after are compared, not rows.
//!
//! *Not here*: adding up (`kernel::parts::samples`), steps of answers (`api::samples`).

use super::*;
use crate::kernel::parts::samples::{Counts, MINUTE_US, Sample};
use crate::store::samples::{LONG_S, MINUTE_S, MINUTES_KEPT_S, Row, Sums};
use crate::time::SECOND_US;

/// That of this minute.
fn sample(minute: i64) -> Sample {
    let counts = Counts { started: 1, ended_ok: 2, ended_not_ok: 3, waited_us: minute };
    let (start, n) = (Time(minute * MINUTE_US), minute);
    let (cpu_us, gpu_us, pending_us, running_us) = (n, 2 * n, 3 * n, 4 * n);
    Sample { start, cpu_us, memory_bytes: 600, gpu_us, pending_us, running_us, counts }
}

impl World {
    pub(in crate::store) fn keep(&mut self, minutes: impl IntoIterator<Item = i64>) {
        let changes = minutes.into_iter().map(|n| Change::Sampled(sample(n))).collect();
        self.commit(Step { changes, effects: vec![] });
    }

    fn rows(&self) -> Vec<Row> {
        self.database().readers().unwrap().read(|db| db.samples((0, i64::MAX))).unwrap()
    }

    fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        self.rows().iter().for_each(|row| sums.add(row));
        sums
    }
}

fn after(minute: i64) -> Time {
    Time((minute * MINUTE_S + MINUTES_KEPT_S) * SECOND_US)
}

#[test]
fn a_minute_is_kept_once_with_its_commit() {
    let Some(mut world) = World::new() else { return };
    world.keep([3, 4]);
    let rows = world.rows();
    assert_eq!(rows, [Row::from(&sample(3)), Row::from(&sample(4))]);
    let later = Sample { cpu_us: 77, ..sample(4) };
    let changes = vec![Change::Sampled(later), Change::Sampled(sample(5))];
    world.commit(Step { changes, effects: vec![] });
    assert_eq!(world.rows()[..2], rows[..], "of before the clock was set back");
    assert_eq!(world.rows().len(), 3);
}

#[test]
fn ten_old_minutes_become_one_row_and_nothing_is_lost() {
    let Some(mut world) = World::new() else { return };
    world.keep((3..30).filter(|minute| *minute != 14));
    let before = world.sums();
    assert_eq!(world.writer.fold_samples(after(9)).unwrap(), 0, "the ten are not over");
    assert_eq!(world.writer.fold_samples(after(25)).unwrap(), 16);
    let shape = |rows: &[Row]| -> Vec<(i64, i64, i64)> {
        rows.iter().map(|row| (row.step_s, row.start / MINUTE_S, row.minutes)).collect()
    };
    let rows = world.rows();
    assert_eq!(shape(&rows[..3]), [(LONG_S, 0, 7), (LONG_S, 10, 9), (MINUTE_S, 20, 1)]);
    assert_eq!((world.sums(), rows[0].memory_bytes), (before, 600));
    assert_eq!(world.writer.fold_samples(after(25)).unwrap(), 0, "that is done");
    assert_eq!(world.writer.fold_samples(after(40)).unwrap(), 10);
    assert_eq!((world.sums(), world.rows().len()), (before, 3));
}

#[test]
fn one_chore_puts_no_more_together_than_it_may_and_the_next_goes_on() {
    let Some(mut world) = World::new() else { return };
    world.keep(5..1_400);
    let before = world.sums();
    let mut folded = Vec::new();
    while folded.last() != Some(&0) {
        folded.push(world.writer.fold_samples(after(10_000)).unwrap());
    }
    assert_eq!((folded.iter().sum::<usize>(), world.sums()), (1_395, before));
    assert!(folded.iter().all(|n| *n <= 600), "{folded:?}");
    assert_eq!(world.rows().len(), 140);
    assert!(world.rows().iter().all(|row| row.step_s == LONG_S));
}

#[test]
fn what_is_older_than_ended_jobs_are_kept_is_forgotten() {
    let Some(mut world) = World::new() else { return };
    world.keep(0..100);
    world.writer.fold_samples(after(50)).unwrap();
    assert_eq!(world.writer.forget_old_samples(Time(20 * MINUTE_US)).unwrap(), 2);
    assert_eq!(world.rows().first().map(|row| row.start), Some(20 * MINUTE_S));
    assert_eq!(world.writer.forget_old_samples(Time(60 * MINUTE_US)).unwrap(), 3 + 10);
    assert_eq!(world.writer.forget_old_samples(Time(60 * MINUTE_US)).unwrap(), 0);
    assert_eq!(world.rows().len(), 40);
}
