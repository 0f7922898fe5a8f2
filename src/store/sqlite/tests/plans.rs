//! *Purpose*: along which index SQLite walks.
//!
//! *Owns*: what it says of each statement that a page is made of.
//!
//! *Promises*: nothing beyond the assertions.
//!
//! *Not here*: what is found (`store::body::tests`).

use std::sync::{Arc, Mutex};

use diesel::connection::InstrumentationEvent;

use super::*;
use crate::store::order::{Cursor, KeyValue, SortKey};
use crate::store::sqlite::body::ended;
use crate::store::sqlite::body::find::{LOOKS_MAX, find_within};
use crate::store::sqlite::body::id_by_time::SLACK_US;
use crate::store::sqlite::body::tests::ended::with_ends;
use crate::store::sqlite::body::tests::folded::fold;
use crate::store::sqlite::body::tests::orders::alike;

/// The statements of a question.
fn statements(world: &mut World, ask: impl FnOnce(&mut Conn)) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let conn = world.writer.connection().unwrap();
    conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            // Behind this mark the values of the parameters are told.
            sink.lock().unwrap().push(text.split(" -- binds").next().unwrap().to_owned());
        }
    });
    ask(conn);
    conn.set_instrumentation(|_: InstrumentationEvent<'_>| {});
    let seen = seen.lock().unwrap();
    let of_rows = |text: &&String| !text.contains("`meta`") && text.starts_with("SELECT");
    seen.iter().filter(of_rows).cloned().collect()
}

#[derive(QueryableByName)]
struct Plan {
    #[diesel(sql_type = diesel::sql_types::Text)]
    detail: String,
}

fn plan_of(world: &mut World, statement: &str) -> Vec<String> {
    let conn = world.writer.connection().unwrap();
    let explain = diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}"));
    explain.load::<Plan>(conn).unwrap().into_iter().map(|plan| plan.detail).collect()
}

#[test]
fn a_folded_page_is_read_off_indexes() {
    let Some(mut world) = World::new() else { return };
    for n in 0..9 {
        let (_, step) = world.submission_at(job().named("a").account("x"), Time(n));
        world.commit(step);
    }
    fold(&mut world, 9);
    let states = vec![StateWord::Pending, StateWord::Failed];
    let accounts = vec!["x".to_owned(), "y".to_owned()];
    let plain = JobFilter { fold: true, limit: 2, ..JobFilter::default() };
    let filters = [
        JobFilter { states: states.clone(), ..plain.clone() },
        JobFilter { states, accounts, ascending: true, ..plain.clone() },
        JobFilter { name_begins: Some("a".to_owned()), ..plain.clone() },
        plain,
    ];
    let statements = statements(&mut world, |conn| {
        for filter in &filters {
            assert_eq!(
                find_within(conn, (filter, &Scope::SERVER), LOOKS_MAX).unwrap().ids.len(),
                2
            );
        }
    });
    assert!(statements.iter().any(|text| text.contains("jobs_by_array")));
    for text in statements {
        for detail in plan_of(&mut world, &text) {
            let scans = detail.starts_with("SCAN") && !detail.starts_with("SCAN walked");
            assert!(!scans && !detail.contains("TEMP B-TREE"), "{detail}\n{text}");
        }
    }
}

#[test]
fn an_index_with_the_order_is_read_and_nothing_is_put_in_order() {
    let Some(mut world) = World::new() else { return };
    alike(&mut world, 20);
    for (key, value) in [
        (SortKey::Name, KeyValue::Text("a".to_owned())),
        (SortKey::User, KeyValue::Text("u".to_owned())),
        (SortKey::State, KeyValue::of_state(StateWord::Pending)),
        (SortKey::EndTime, KeyValue::Number(7)),
    ] {
        for (ascending, after) in [
            (true, None),
            (false, None),
            (true, Some(Cursor { value: value.clone(), id: JobId(4) })),
            (false, Some(Cursor { value, id: JobId(4) })),
        ] {
            let filter = JobFilter { key, ascending, after, limit: 3, ..JobFilter::default() };
            let statements = statements(&mut world, |conn| {
                find_within(conn, (&filter, &Scope::SERVER), 3).unwrap();
            });
            assert!(!statements.is_empty(), "{filter:?}");
            for text in statements {
                for detail in plan_of(&mut world, &text) {
                    let scans = detail.starts_with("SCAN") && !detail.starts_with("SCAN walked");
                    assert!(!scans && !detail.contains("TEMP B-TREE"), "{detail}\n{text}");
                    let covered = detail.contains("COVERING INDEX") || !detail.contains("jobs_by_");
                    assert!(covered, "{detail}\n{text}");
                }
            }
        }
    }
}

#[test]
fn the_unreleased_are_found_by_their_index() {
    let Some(mut world) = World::new() else { return };
    let statements = statements(&mut world, |conn| {
        read::allocations(conn, (None, Some(false)), None, 9, &Scope::SERVER).unwrap();
        read::db_snapshot(conn).unwrap();
    });
    let of_allocations = statements.iter().filter(|text| text.contains("FROM `resource_alloc"));
    let found: Vec<String> = of_allocations.flat_map(|text| plan_of(&mut world, text)).collect();
    let by_index = |detail: &&String| detail.ends_with("INDEX resource_allocations_unreleased");
    assert_eq!(found.iter().filter(by_index).count(), 2, "{found:?}");
    assert_eq!(found.iter().filter(|detail| detail.starts_with("S")).count(), 2, "{found:?}");
}

/// No statement sorts, and none walks a table or an index but from one id to another.
#[test]
fn no_question_sorts_or_scans() {
    let Some(mut world) = World::new() else { return };
    for n in 0..20 {
        let job = job().named("a").account("x").label("k", "1").label("l", "1");
        let (_, step) = world.submission_at(job, Time(n * SLACK_US));
        world.commit(step);
    }
    let base = JobFilter { limit: 3, ..JobFilter::default() };
    let mut filters = vec![base];
    let alternatives: [fn(&mut JobFilter); 12] = [
        |f| f.users = vec!["u".to_owned(), "v".to_owned()],
        |f| (f.partition, f.ids) = (Some("p".to_owned()), Some(vec![JobId(3), JobId(9)])),
        |f| {
            (f.ended_since, f.name_like) = (Some(Time(0)), Some("a*".to_owned()));
            f.name_begins = Some("a".to_owned());
        },
        |f| f.states = vec![StateWord::Pending],
        |f| f.states = vec![StateWord::Pending, StateWord::Failed],
        |f| f.accounts = vec!["x".to_owned()],
        |f| f.accounts = vec![String::new()],
        |f| f.name = Some("a".to_owned()),
        |f| f.name = Some("job".to_owned()),
        |f| f.labels = vec![("k".to_owned(), "1".to_owned()), ("l".to_owned(), "1".to_owned())],
        |f| (f.since, f.until) = (Some(Time(0)), Some(Time(15 * SLACK_US))),
        |f| (f.ascending, f.after) = (true, Some(JobId(2).into())),
    ];
    for change in alternatives {
        let mut more = filters.clone();
        more.iter_mut().for_each(change);
        filters.extend(more);
    }
    let statements = statements(&mut world, |conn| {
        for filter in &filters {
            find_within(conn, (filter, &Scope::SERVER), 3).unwrap();
            read::jobs_page(conn, filter, &Scope::SERVER).unwrap();
        }
    });
    assert!(statements.len() > filters.len(), "{} statements", statements.len());
    let distinct: std::collections::BTreeSet<String> = statements.into_iter().collect();
    // The allocations of a page are sorted, which are no more than the page; the times at which the
    // clock was set back are walked, which are few.
    let small = ["FROM `resource_allocations`", "FROM `submit_time_falls`"];
    for text in distinct.iter().filter(|text| !small.iter().any(|from| text.contains(from))) {
        for detail in plan_of(&mut world, text) {
            // A bounded number of rows is counted.
            let scans = detail.starts_with("SCAN") && !detail.starts_with("SCAN walked");
            let walks = text.contains("id IN (") && detail.contains("SEARCH it USING INTEGER");
            assert!(!walks || detail.contains("(rowid=?)"), "{detail}\n{text}");
            let seeks = ["SEARCH it ", "SEARCH has "].iter().any(|how| detail.starts_with(how));
            let fetches = !detail.contains("COVERING INDEX") && !detail.contains("PRIMARY KEY");
            assert!(!seeks || !fetches, "{detail}\n{text}");
            assert!(!scans && !detail.contains("TEMP B-TREE"), "{detail}\n{text}");
        }
    }
}

#[test]
fn the_index_of_ends_has_all_that_is_counted() {
    let mut world = with_ends().unwrap();
    let statements = statements(&mut world, |conn| {
        ended::within(conn, Time(0), 3).unwrap();
    });
    let of_ends: Vec<_> = statements.iter().filter(|text| text.contains("end_time")).collect();
    assert_eq!(of_ends.len(), 2, "{statements:?}");
    for text in of_ends {
        let plan = plan_of(&mut world, text);
        let by_index = "SEARCH job USING COVERING INDEX jobs_by_end_time (end_time>?)";
        assert!(plan.iter().any(|detail| detail == by_index), "{plan:?}");
        assert!(!plan.iter().any(|detail| detail.contains("TEMP B-TREE")), "{plan:?}");
    }
}
