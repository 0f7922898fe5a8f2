//! *Purpose*: what attempts used while they ran is kept with them, and forgotten with their jobs.
//!
//! *Owns*: nothing.
//!
//! *Promises*: what is read is what was written.
//!
//! *Not here*: measuring (`actors::usage_watch`).

use super::*;
use crate::job::usage_series::UsageSeries;

fn series(busy: u32) -> UsageSeries {
    let (cpus_busy, rss_bytes) = (vec![Some(busy), None], vec![None, Some(u64::MAX)]);
    UsageSeries { start: Time(7), step_s: 20, cpus_busy, rss_bytes, gpu_load: vec![None; 2] }
}

impl World {
    fn keep_usage(&mut self, attempt: Attempt, busy: u32) {
        let change = Change::UsageKept { attempt, series: Arc::new(series(busy)) };
        self.commit(Step { changes: vec![change], effects: vec![] });
    }

    fn used(&self, attempt: Attempt) -> Option<UsageSeries> {
        self.database()
            .readers()
            .unwrap()
            .read(|db| db.used_while_running(&[attempt]))
            .unwrap()
            .remove(&attempt)
    }
}

#[test]
fn the_newest_word_of_each_attempt_is_kept_until_its_job_is_forgotten() {
    let Some(mut world) = World::new() else { return };
    let id = world.submit();
    let run = |n| Attempt { job: id, n };
    world.keep_usage(run(1), 100);
    world.keep_usage(run(1), 200);
    world.keep_usage(run(2), 300);
    assert_eq!((world.used(run(1)), world.used(run(2))), (Some(series(200)), Some(series(300))));
    assert_eq!(world.used(run(3)), None);
    let readers = world.database().readers().unwrap();
    let all = readers.read(|db| db.used_while_running(&[run(1), run(3), run(2)])).unwrap();
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), [run(1), run(2)]);
    // Of a job that is not there, as one that was forgotten meanwhile.
    let stranger = Attempt { job: JobId(77), n: 1 };
    world.keep_usage(stranger, 100);
    assert_eq!(world.used(stranger), None);
    world.batch("UPDATE jobs SET end_time = 1, state = 'COMPLETED'");
    world.commit(Step { changes: vec![Change::Forgotten { jobs: vec![id] }], effects: vec![] });
    assert_eq!((world.used(run(1)), world.used(run(2))), (None, None));
}

#[test]
fn a_series_that_cannot_be_read_is_an_error_that_says_where() {
    let Some(mut world) = World::new() else { return };
    let attempt = Attempt { job: world.submit(), n: 1 };
    world.keep_usage(attempt, 100);
    for wrong in ["''", "'[]'", "7", "'{}'"] {
        world.batch(&format!("UPDATE attempt_usage SET series = {wrong}"));
        let read = world.database().readers().unwrap().read(|db| db.used_while_running(&[attempt]));
        let said = read.unwrap_err().to_string();
        assert!(said.contains("attempt_usage") && said.contains("series"), "{wrong}: {said}");
    }
}
