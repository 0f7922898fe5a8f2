//! *Purpose*: what commits count is what the rows say.
//!
//! *Owns*: whole lives of jobs, then the same jobs forgotten.
//!
//! *Promises*: the rows are counted by SQL, not by the code that keeps the counts.
//!
//! *Not here*: the kernel's own counts (`tests/kernel.rs`).

use super::*;
use crate::job::outcome::Stop;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

const KEPT: &str = "SELECT completed || ' ' || failed || ' ' || cancelled || ' ' || timeout || ' ' \
                    || out_of_memory || ' ' || node_fail AS line FROM meta";
const ROWS: &str = "SELECT sum(state = 'COMPLETED') || ' ' || sum(state = 'FAILED') || ' ' || \
                    sum(state = 'CANCELLED') || ' ' || sum(state = 'TIMEOUT') || ' ' || \
                    sum(state = 'OUT_OF_MEMORY') || ' ' || sum(state = 'NODE_FAIL') AS line \
                    FROM jobs";

impl World {
    fn line(&mut self, sql: &str) -> String {
        let conn = self.writer.connection().unwrap();
        diesel::sql_query(sql).get_result::<Line>(conn).unwrap().line
    }

    pub(super) fn one_that_ends(&mut self, fact: Fact) {
        let id = self.submit();
        self.start();
        let step = self.fact(id, fact);
        self.commit(step);
    }
}

fn exit(code: u8, stop: Option<Stop>) -> Fact {
    let Fact::Exited(exit) = exited() else { unreachable!() };
    Fact::Exited(Exit { exit_code: Some(ExitCode { code, signal: 0 }), stop, ..exit })
}

#[test]
fn each_commit_counts_the_ended_as_the_rows_do() {
    let mut world = World::new();
    let facts = [
        exit(0, None),
        exit(0, None),
        exit(1, None),
        exit(9, Some(Stop::TimeLimit)),
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
    assert_eq!(world.line(KEPT), "2 1 1 1 0 1");
    assert_eq!(world.line(ROWS), "2 1 1 1 0 1");
    let (kernel, _) = boot(&mut world.writer);
    assert_eq!(kernel.snapshot().ended, world.kernel.snapshot().ended, "a start reads them");
    let old = |id, word| Old { job: JobId(id), word, array: None };
    let old = [old(1, StateWord::Completed), old(3, StateWord::Failed)];
    let step = world.kernel.forget(&old);
    world.commit(step);
    assert_eq!(world.line(KEPT), "1 0 1 1 0 1");
    assert_eq!(world.line(ROWS), "1 0 1 1 0 1");
}
