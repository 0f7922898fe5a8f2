//! *Purpose*: what commits count is what the rows say.
//!
//! *Owns*: whole lives of jobs, then the same jobs forgotten.
//!
//! *Promises*: the rows are counted by SQL, not by the code that keeps the counts.
//!
//! *Not here*: the kernel's own counts (`tests/kernel.rs`).

use std::collections::BTreeMap;

use super::*;
use crate::job::outcome::Stop;

#[derive(QueryableByName)]
pub(in crate::store) struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub line: String,
}

const KEPT: &str = "SELECT string_agg(n || ' ' || state, ', ') AS line FROM \
                    (SELECT state, n FROM job_counts WHERE n <> 0 ORDER BY state) AS kept";
const ROWS: &str = "SELECT string_agg(n || ' ' || state, ', ') AS line FROM \
                    (SELECT state, count(*) AS n FROM jobs WHERE end_time IS NOT NULL \
                    GROUP BY state ORDER BY state) AS rows";

impl World {
    fn line(&mut self, sql: &str) -> String {
        let conn = self.writer.connection().unwrap();
        diesel::sql_query(sql).get_result::<Line>(conn).unwrap().line
    }

    pub(in crate::store) fn one_that_ends(&mut self, fact: Fact) {
        let id = self.submit();
        self.start();
        let step = self.fact(id, fact);
        self.commit(step);
    }
}

fn ended(code: u8, stop: Option<Stop>) -> Fact {
    Fact::Exited(Exit { stop, ..exit(code, Time(4)) })
}

#[test]
fn each_commit_counts_the_ended_as_the_rows_do() {
    let Some(mut world) = World::new() else { return };
    let facts = [
        ended(0, None),
        ended(0, None),
        ended(1, None),
        ended(9, Some(Stop::TimeLimit)),
        Fact::Vanished("gone".to_owned()),
    ];
    for fact in facts {
        world.one_that_ends(fact);
        assert_eq!(world.line(KEPT), world.line(ROWS));
    }
    let waiting = world.submit();
    let (_, step) = world.kernel.cancel(&[waiting], &"me".into(), Time(4));
    world.commit(step);
    world.submit();
    let counts = "1 CANCELLED, 2 COMPLETED, 1 FAILED, 1 NODE_FAIL, 1 TIMEOUT";
    assert_eq!((world.line(KEPT).as_str(), world.line(ROWS).as_str()), (counts, counts));
    let (kernel, _) = boot(&mut world.writer);
    assert_eq!(kernel.snapshot().ended, world.kernel.snapshot().ended, "a start reads them");
    let old = |id, word| Old { job: JobId(id), word, array: None };
    let old = [old(1, StateWord::Completed), old(3, StateWord::Failed)];
    let step = world.kernel.forget(&old);
    world.commit(step);
    let counts = "1 CANCELLED, 1 COMPLETED, 1 NODE_FAIL, 1 TIMEOUT";
    assert_eq!((world.line(KEPT).as_str(), world.line(ROWS).as_str()), (counts, counts));
}

#[test]
fn every_final_state_has_a_count_that_outlives_the_server() {
    let Some(mut world) = World::new() else { return };
    let job = world.submit();
    let states = || StateWord::ALL.iter().copied().filter(|state| state.is_final());
    let ended = |n| states().map(|state| (state, n)).collect::<BTreeMap<_, _>>();
    let some = |n| if n == 0 { BTreeMap::new() } else { ended(n) };
    for n in [3, 3, 0, 5] {
        let (_, step) = world.kernel.cancel(&[job], &"me".into(), Time(4));
        let mut commit = world.next(if step.changes.is_empty() { hold(job) } else { step });
        commit.ended = ended(n);
        world.writer.commit(&commit).unwrap();
        world.outbox.settle(commit.no);
        let loaded = load(world.writer.connection().unwrap(), Rules::default()).unwrap();
        assert_eq!(loaded.memory.ended, some(n));
        world.writer.lose_connection();
        let mut next = OnlyWriter::open(world.database()).unwrap();
        let loaded = load(next.connection().unwrap(), Rules::default()).unwrap();
        assert_eq!(loaded.memory.ended, some(n), "another server");
        world.writer = next;
        world.outbox = Outbox::new(world.writer.epoch(), commit.no);
    }
    let mut commit = world.next(hold(job));
    commit.ended.clear();
    world.writer.commit(&commit).unwrap();
    let loaded = load(world.writer.connection().unwrap(), Rules::default()).unwrap();
    assert_eq!(loaded.memory.ended.values().sum::<u64>(), 0, "what is not named is none");
}

/// A step without an end.
fn hold(job: JobId) -> Step {
    Step { changes: vec![Change::Claimed { job, since: None }], ..Step::default() }
}
