//! *Purpose*: a list in order of any key is what a plain sort makes of all its jobs.
//!
//! *Owns*: random values of each key, the naive sort, what SQLite does for each key.
//!
//! *Promises*: the naive order is made in Rust, from the values that were written.
//!
//! *Not here*: the order of ids, and filters by themselves (`tests::pages`).

use proptest::option;
use proptest::sample::select;

use super::super::find::{Found, LOOKS_MAX, find_within};
use super::pages::{Made, Told, filters, make, parts, told};
use super::*;
use crate::kernel::access::Scope;
use crate::store::order::{Cursor, KeyValue, SortKey};

/// Few values, so that many are equal.
#[derive(Clone, Debug)]
struct Values {
    priority: i64,
    cpus: i64,
    limit: Option<i64>,
    start: Option<i64>,
    end: i64,
    deadline: Option<i64>,
}

fn values() -> impl Strategy<Value = Values> {
    let some = || option::of(0..4_i64);
    let deadline = option::weighted(0.3, 0..3_000_000_i64);
    (-1..3_i64, 1..4_i64, some(), some(), 0..6_i64, deadline).prop_map(
        |(priority, cpus, limit, start, end, deadline)| Values {
            priority,
            cpus,
            limit,
            start,
            end,
            deadline,
        },
    )
}

impl Values {
    fn end(&self, made: &Made) -> Option<i64> {
        made.state.is_final().then_some(self.end)
    }

    fn of(&self, made: &Made, key: SortKey) -> KeyValue {
        let number = |n: Option<i64>| n.map_or(KeyValue::Nothing, KeyValue::Number);
        match key {
            SortKey::Id => KeyValue::Nothing,
            SortKey::SubmitTime => KeyValue::Number(made.submitted),
            SortKey::StartTime => number(self.start),
            SortKey::EndTime => number(self.end(made)),
            SortKey::End => {
                let ends = self.start.zip(self.limit).map(|(start, s)| start + s * 1_000_000);
                number(ends.into_iter().chain(self.deadline).min())
            }
            SortKey::Priority => KeyValue::Number(self.priority),
            SortKey::Cpus => KeyValue::Number(self.cpus),
            SortKey::TimeLimitS => number(self.limit),
            SortKey::Name => KeyValue::Text(made.name.clone()),
            SortKey::User => KeyValue::Text(made.user.clone()),
            SortKey::State => KeyValue::of_state(made.state),
        }
    }
}

/// Jobs with these values.
fn filled(world: &mut World, told: Vec<(Told, Values)>) -> Vec<(Made, Values)> {
    let (told, values): (Vec<_>, Vec<_>) = told.into_iter().unzip();
    let (all, _) = make(world, told);
    let text = |n: Option<i64>| n.map_or_else(|| "NULL".to_owned(), |n| n.to_string());
    let with = all.into_iter().map(|made| {
        // The first job has the id 1.
        let values = values[made.id as usize - 1].clone();
        let Values { priority, cpus, limit, start, deadline, .. } = &values;
        world.batch(&format!(
            "UPDATE jobs SET priority = {priority}, cpus = {cpus}, time_limit_s = {}, \
             start_time = {}, end_time = {}, deadline = {} WHERE id = {}",
            text(*limit),
            text(*start),
            text(values.end(&made)),
            text(*deadline),
            made.id
        ));
        (made, values)
    });
    with.collect()
}

/// The same by means that have nothing to do with ours.
fn naive(all: &[(Made, Values)], filter: &JobFilter) -> Vec<i64> {
    let parts = parts(filter);
    let ends = |(made, values): &&(Made, Values)| {
        let end = values.end(made);
        let since = filter.ended_since.is_none_or(|Time(t)| end.is_some_and(|end| end >= t));
        since && filter.ended_until.is_none_or(|Time(t)| end.is_some_and(|end| end < t))
    };
    let meant = all.iter().filter(|(made, _)| parts.iter().all(|part| part.1(made))).filter(ends);
    let (mut some, mut none): (Vec<_>, Vec<_>) = meant
        .map(|(made, values)| (values.of(made, filter.key), made.id))
        .partition(|(value, _)| *value != KeyValue::Nothing);
    some.sort();
    none.sort();
    if !filter.ascending {
        some.reverse();
        none.reverse();
    }
    some.into_iter().chain(none).map(|(_, id)| id).collect()
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
        let goes_on = |before: &Cursor| before.compare(&next, filter.ascending).is_lt();
        assert!(before.as_ref().is_none_or(goes_on), "{before:?} to {next:?}");
    }
}

fn ordered() -> impl Strategy<Value = JobFilter> {
    let time = || option::weighted(0.2, (0..6_i64).prop_map(Time));
    let plain = (any::<bool>(), 1..6_i64).prop_map(|(ascending, limit)| JobFilter {
        ascending,
        limit,
        ..JobFilter::default()
    });
    // A filter of many parts leaves little to put in order.
    let filters = prop_oneof![plain, filters()];
    (filters, select(SortKey::ALL.to_vec()), time(), time()).prop_map(
        |(filter, key, ended_since, ended_until)| JobFilter {
            key,
            ended_since,
            ended_until,
            ..filter
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_pages_of_each_order_are_a_plain_sort_of_all_rows(
        told in proptest::collection::vec((told(), values()), 1..60),
        filters in proptest::collection::vec((ordered(), 1..12_usize), 40),
    ) {
        let Some(mut world) = World::new() else { return Ok(()) };
        let all = filled(&mut world, told);
        for (filter, bound) in filters {
            let naive = naive(&all, &filter);
            prop_assert_eq!(walk(&mut world, &filter, bound), &*naive, "{:?}", filter);
            prop_assert_eq!(walk(&mut world, &filter, LOOKS_MAX), &*naive, "{:?}", filter);
            let conn = world.writer.connection().unwrap();
            let one = JobFilter { limit: 1_000, ..filter.clone() };
            let page = read::jobs_page(conn, &one, &Scope::SERVER).unwrap().value;
            let ids: Vec<i64> = page.jobs.iter().map(|(row, _)| row.id.0).collect();
            prop_assert_eq!((ids, page.next), (naive, None), "{:?}", filter);
        }
    }
}

/// So many jobs at once, all alike, of which every second one has a name and a user.
pub(in crate::store) fn alike(world: &mut World, count: usize) {
    for n in 0..count {
        let mut job = JobRequest::from(job().named(if n % 2 == 0 { "job" } else { "a" }));
        job.user = Some(if n % 2 == 0 { String::new() } else { "u".to_owned() });
        let (_, step) = world.submission_at(job, Time(n as i64 * 1_000_000));
        world.outbox.push(step, true, ());
    }
    let commit = world.outbox.take(&world.kernel).unwrap();
    world.writer.commit(&commit).unwrap();
}

#[test]
fn more_jobs_than_may_be_put_in_order_are_refused_and_fewer_of_them_are_not() {
    let Some(mut world) = World::new() else { return };
    alike(&mut world, 101);
    let ask = |world: &mut World, key: SortKey, change: &dyn Fn(&mut JobFilter)| {
        let mut filter = JobFilter { key, limit: 2, ascending: true, ..JobFilter::default() };
        change(&mut filter);
        find_within(world.writer.connection().unwrap(), (&filter, &Scope::SERVER), 1)
            .map(|found| found.ids)
    };
    for key in [SortKey::StartTime, SortKey::Priority, SortKey::Cpus, SortKey::TimeLimitS] {
        let refused = ask(&mut world, key, &|_| {}).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains(key.word()) && said.contains("more than 100 "), "{said}");
        assert!(!refused.may_pass());
        let until = |filter: &mut JobFilter| filter.until = Some(Time(90_000_000));
        assert_eq!(ask(&mut world, key, &until).unwrap(), [1, 2], "{key:?}");
        let ids = |filter: &mut JobFilter| filter.ids = Some(vec![JobId(9), JobId(7)]);
        assert_eq!(ask(&mut world, key, &ids).unwrap(), [7, 9], "{key:?}");
    }
    assert_eq!(ask(&mut world, SortKey::SubmitTime, &|_| {}).unwrap(), [1, 2]);
    assert_eq!(ask(&mut world, SortKey::Name, &|_| {}).unwrap(), [2, 4]);
    assert_eq!(ask(&mut world, SortKey::User, &|_| {}).unwrap(), [1, 3]);
    assert_eq!(ask(&mut world, SortKey::EndTime, &|_| {}).unwrap(), [1, 2]);
}

#[test]
fn a_page_of_which_a_walk_finds_nothing_is_whole_unless_the_jobs_are_too_many() {
    for (count, is_whole) in [(100, true), (101, false)] {
        let Some(mut world) = World::new() else { return };
        alike(&mut world, count);
        world.batch("UPDATE jobs SET name = 'rare' WHERE id IN (40, 60)");
        let like = Some("r*".to_owned());
        for key in [SortKey::Name, SortKey::User, SortKey::State, SortKey::EndTime] {
            let filter = JobFilter {
                key,
                name_like: like.clone(),
                ascending: true,
                limit: 2,
                ..JobFilter::default()
            };
            let page =
                find_within(world.writer.connection().unwrap(), (&filter, &Scope::SERVER), 1)
                    .unwrap();
            assert_eq!(page.next.is_none(), is_whole, "{key:?} {page:?}");
            assert_eq!(page.ids == [40, 60], is_whole, "{key:?} {page:?}");
            assert_eq!(walk(&mut world, &filter, 1), [40, 60], "{key:?}");
        }
    }
}

/// Between what the index of users has stand those of nobody, of which a filter of several users
/// asks for none.
#[test]
fn jobs_of_several_users_stand_once_in_the_order_of_users() {
    let Some(mut world) = World::new() else { return };
    alike(&mut world, 40);
    let users: Vec<String> = ["a", "u"].map(str::to_owned).into();
    for ascending in [true, false] {
        let limit = 3;
        let filter = JobFilter {
            key: SortKey::User,
            users: users.clone(),
            ascending,
            limit,
            ..JobFilter::default()
        };
        let whole = walk(&mut world, &JobFilter { limit: 1_000, ..filter.clone() }, LOOKS_MAX);
        assert_eq!(whole.len(), 20);
        for bound in 1..12 {
            assert_eq!(walk(&mut world, &filter, bound), whole, "{bound} looks");
        }
    }
}
