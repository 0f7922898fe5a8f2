//! *Purpose*: a folded list has each array once, at the place of its number, page by page.
//!
//! *Owns*: random families, the naive answer, what SQLite does for it.
//!
//! *Promises*: the naive answer is made in Rust, from the jobs that were submitted.
//!
//! *Not here*: filters by themselves (`tests::pages`).

use std::collections::BTreeSet;

use super::super::find::{Found, find_within};
use super::pages::{Made, filters, make, parts, told};
use super::*;
use crate::kernel::access::Scope;

/// Jobs of one array: every fourth begins one, and is the array's own row.
const FAMILY: i64 = 4;

/// The array that a job is made a part of; the last of each family stays by itself.
fn array_of(id: i64) -> Option<i64> {
    let place = (id - 1) % FAMILY;
    (place < FAMILY - 1).then_some(id - place)
}

/// All pages, one after the other.
pub(in crate::store) fn walk(world: &mut World, filter: &JobFilter, bound: usize) -> Vec<i64> {
    let (mut found, mut filter) = (Vec::new(), filter.clone());
    loop {
        let conn = world.writer.connection().unwrap();
        let Found { ids, next } = find_within(conn, (&filter, &Scope::SERVER), bound).unwrap();
        assert!(ids.len() as i64 <= filter.limit, "{ids:?}");
        found.extend(ids);
        let Some(next) = next else { return found };
        let before = filter.after.replace(next.clone());
        assert!(before.is_none_or(|before| before.compare(&next, filter.ascending).is_lt()));
    }
}

fn naive(all: &[Made], filter: &JobFilter) -> Vec<i64> {
    let parts = parts(filter);
    let meant = all.iter().filter(|made| parts.iter().all(|part| part.1(made)));
    let places: BTreeSet<i64> = meant.map(|made| array_of(made.id).unwrap_or(made.id)).collect();
    let mut places: Vec<i64> = places.into_iter().collect();
    if !filter.ascending {
        places.reverse();
    }
    places
}

pub(in crate::store) fn fold(world: &mut World, count: i64) {
    for id in 1..=count {
        if let Some(array) = array_of(id) {
            world.batch(&format!("UPDATE jobs SET array_job_id = {array} WHERE id = {id}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn each_array_stands_once_whatever_is_asked_for_and_however_long_a_page_is(
        told in proptest::collection::vec(told(), 1..50),
        filters in proptest::collection::vec((filters(), 1..12_usize), 30),
    ) {
        let Some(mut world) = World::new() else { return Ok(()) };
        let count = told.len() as i64;
        let (all, _) = make(&mut world, told);
        fold(&mut world, count);
        for (filter, bound) in filters {
            let filter = JobFilter { fold: true, ..filter };
            let walked = walk(&mut world, &filter, bound);
            prop_assert_eq!(walked, naive(&all, &filter), "{:?}", filter);
        }
    }
}
