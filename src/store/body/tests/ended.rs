//! *Purpose*: how many ended is what the rows say, and no row is read for it.
//!
//! *Owns*: ends beside a bound and beside a moment.
//!
//! *Promises*: the same is counted by hand from what was written.
//!
//! *Not here*: the counts of all time (`tests::counts`).

use super::super::ended;
use super::*;
use crate::store::ended::Ended;

/// Ends that are equal, and states that come in turn; what lives has no end.
const ENDS: [(i64, StateWord); 9] = [
    (9, StateWord::Completed),
    (1, StateWord::Completed),
    (4, StateWord::Failed),
    (4, StateWord::Completed),
    (5, StateWord::Cancelled),
    (5, StateWord::Completed),
    (5, StateWord::Timeout),
    (7, StateWord::OutOfMemory),
    (8, StateWord::NodeFail),
];

pub(in crate::store) fn with_ends() -> Option<World> {
    let mut world = World::new()?;
    for (end, state) in ENDS {
        let id = world.submit();
        let word = state.word();
        world.batch(&format!("UPDATE jobs SET state = '{word}', end_time = {end} WHERE id = {id}"));
    }
    world.submit();
    Some(world)
}

#[test]
fn those_that_ended_since_are_counted_as_far_as_they_are_told() {
    let Some(mut world) = with_ends() else { return };
    for since in 0..11 {
        // Of equal ends the later job is the newer one.
        let mut newest: Vec<(i64, usize)> =
            ENDS.iter().map(|end| end.0).zip(0..).filter(|(end, _)| *end >= since).collect();
        newest.sort_unstable_by(|a, b| b.cmp(a));
        for most in 1..11 {
            let told = newest.iter().take(most as usize);
            let ok = told.clone().filter(|(_, n)| ENDS[*n].1 == StateWord::Completed).count();
            let naive = Ended {
                completed: ok as u64,
                other: (told.count() - ok) as u64,
                is_more: newest.len() as u64 > most,
            };
            let conn = world.writer.connection().unwrap();
            let counted = ended::within(conn, Time(since), most).unwrap();
            assert_eq!(counted, naive, "since {since}, {most} at the most");
        }
    }
}

#[test]
fn one_whose_state_is_none_is_an_error_and_no_end() {
    let Some(mut world) = with_ends() else { return };
    world.batch("UPDATE jobs SET state = 'ENDED' WHERE id = 3");
    let refused = ended::since(world.writer.connection().unwrap(), Time(0)).unwrap_err();
    assert!(refused.to_string().contains("job 3"), "{refused}");
}
