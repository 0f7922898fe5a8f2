//! *Purpose*: a value that cannot be read is an error that says where it stands.
//!
//! *Owns*: every column that is read, spoilt one at a time, and who is told.
//!
//! *Promises*: no other job, no default and no shorter list comes in its place.
//!
//! *Not here*: pages of the file that are damaged (`tests/hostile`), what is answered over HTTP
//! (`tests/http`).

use diesel::result::Error as Diesel;

use super::*;
use crate::job::array_spec::JobRef;
use crate::kernel::access::Scope;
use crate::store::sqlite::body::arrays;
use crate::store::sqlite::body::dependencies;

/// Columns of `jobs`, each with values that are none of its kind.
const JOB: &[(&str, &[&str])] = &[
    ("state", &["'XYZZY'", "'pending'", "''", "7", "x'00'"]),
    ("name", &["x'ff'"]),
    ("account", &["x'ff'"]),
    ("user", &["x'ff'"]),
    ("partition", &["x'ff'"]),
    ("priority", &["'high'", "1.5"]),
    ("cpus", &["'two'", "-1", "4294967296", "1.5", "x'01'"]),
    ("memory_bytes", &["'much'", "-1"]),
    ("time_limit_s", &["'soon'", "-1", "4294967296"]),
    ("labels", &["''", "'['", "'[]'", "'{\"k\":1}'", "x'ff'"]),
    ("spec", SPECS),
    ("submit_time", &["'now'", "-1", "9000000000000000000"]),
    ("eligible_time", &["'now'", "-1"]),
    ("start_time", &["'now'"]),
    ("end_time", &["'now'"]),
    ("exit_code", &["'three'", "'3'", "'3:0:0'", "3"]),
    ("error", &["x'ff'"]),
    ("attempt", &["'first'", "-1"]),
    ("completing", &["'bored'", "''"]),
    ("process_id", &["'init'", "-1", "0"]),
    ("user_cpu_us", &["'much'"]),
    ("held", &["'yes'", "2"]),
    ("begin_time", &["'later'"]),
    ("deadline", &["'never'"]),
    ("dependency", &["'after lunch'", "'afterok:x'", "''"]),
    ("array_job_id", &["'x'", "0"]),
    ("array_task_id", &["'x'", "-1"]),
    ("array_tasks", &["'all'", "''"]),
    ("array_spec", &["'9-0'"]),
    ("retries", &["'often'", "-1"]),
    ("restarts", &["'often'", "-1"]),
];

/// Objects that are none of a job: not even one, of no version, of one to come, without what every
/// job has, and with each value that is none of its kind.
const SPECS: &[&str] = &[
    "''",
    "'['",
    "'[]'",
    "7",
    "x'ff'",
    "'{}'",
    "json_remove(spec, '$.v')",
    "json_set(spec, '$.v', 2)",
    "json_remove(spec, '$.kill_grace_s')",
    "json_remove(spec, '$.data_source')",
    "json_remove(spec, '$.create_working_directory')",
    "json_set(spec, '$.kill_grace_s', 'late')",
    "json_set(spec, '$.kill_grace_s', -1)",
    "json_set(spec, '$.create_working_directory', 1)",
    "json_set(spec, '$.working_directory', 7)",
    "json_set(spec, '$.standard_output', 7)",
    "json_set(spec, '$.standard_error', 7)",
    "json_set(spec, '$.comment', 7)",
    "json_set(spec, '$.data_source', 'DOOR')",
    "json_set(spec, '$.warnings', '')",
    "json_set(spec, '$.warnings', json('[1]'))",
    "json_set(spec, '$.retry', 'often')",
    "json_set(spec, '$.retry', json('{}'))",
    "json_set(spec, '$.signal', 'SIGLESS')",
    "json_set(spec, '$.open_mode', 'sideways')",
    "json_set(spec, '$.resources', json('{\"gpu\":-1}'))",
];

/// Columns of `jobs` that only a start reads.
const OF_PENDING: &[(&str, &[&str])] =
    &[("room_since", &["'now'"]), ("told", &["'nothing'", "'{}'", "x'ff'"])];

impl World {
    /// Puts this value into a column, until it is mended.
    fn spoil(&mut self, table: &str, column: &str, value: &str, rows: &str) {
        self.batch(&format!(
            "CREATE TEMP TABLE before AS SELECT * FROM {table};
             UPDATE {table} SET \"{column}\" = {value} {rows}"
        ));
    }

    fn mend(&mut self, table: &str) {
        self.batch(&format!(
            "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM before; DROP TABLE before"
        ));
    }

    fn loaded(&mut self) -> Result<(), StoreError> {
        load(self.writer.connection().unwrap(), Rules::default()).map(|_| ())
    }
}

/// The error is about this place.
fn is_about(result: Result<(), StoreError>, place: (&str, &str, &str), value: &str) {
    let error = result.expect_err(&format!("{place:?} = {value} was read"));
    let StoreError::Damaged { table, row, column, .. } = &error else {
        panic!("{place:?} = {value}: {error}")
    };
    assert_eq!((*table, row.as_str(), *column), place, "{value}: {error}");
    assert!(!error.may_pass(), "{error}");
}

#[test]
fn each_column_of_a_job_is_read_or_named() {
    let mut world = World::new().unwrap();
    let id = world.submit();
    for (column, values) in JOB {
        for value in *values {
            world.spoil("jobs", column, value, "");
            let conn = world.writer.connection().unwrap();
            is_about(read::job(conn, id).map(|_| ()), ("jobs", "job 1", column), value);
            let all = JobFilter { limit: 9, ..JobFilter::default() };
            let page = read::jobs_page(conn, &all, &Scope::SERVER).map(|_| ());
            is_about(page, ("jobs", "job 1", column), value);
            is_about(
                read::launch_on(conn, id, vec![], vec![]).map(|_| ()),
                ("jobs", "job 1", column),
                value,
            );
            world.mend("jobs");
        }
    }
    assert!(world.job(id).is_some(), "nothing is left of it");
}

#[test]
fn what_a_later_version_adds_to_a_job_is_left_alone() {
    let mut world = World::new().unwrap();
    let id = world.submit();
    let before = world.job(id);
    world.batch(
        "UPDATE jobs SET spec = json_set(spec, '$.colour', 'red', '$.resources', json('{}'))",
    );
    assert_eq!(world.job(id), before);
}

#[test]
fn a_start_reads_all_of_what_waits_or_names_the_column() {
    let mut world = World::new().unwrap();
    world.submit();
    for (column, values) in JOB.iter().chain(OF_PENDING) {
        for value in *values {
            world.spoil("jobs", column, value, "");
            is_about(world.loaded(), ("jobs", "job 1", column), value);
            world.mend("jobs");
        }
    }
    world.loaded().unwrap();
}

#[test]
fn a_start_takes_up_no_attempt_of_which_it_cannot_read_all() {
    let mut world = World::new().unwrap();
    let id = world.submit();
    world.start();
    let step = world.fact(id, Fact::Started(HANDLE));
    world.commit(step);
    let job = |column| ("jobs", "job 1", column);
    let allocation = |column| ("resource_allocations", "allocation 2", column);
    for (place, value) in [
        (job("process_id"), "NULL"),
        (job("start_time"), "NULL"),
        (job("completing"), "'cancelled'"),
        (allocation("cpu_ids"), "'[]'"),
        (allocation("cpu_ids"), "''"),
        (allocation("cpu_ids"), "'[-1]'"),
        (allocation("cpu_ids"), "'{}'"),
        (allocation("attempt"), "'x'"),
        (allocation("job_id"), "'x'"),
        (allocation("nonce"), "x'ff'"),
        (allocation("state"), "'XYZZY'"),
        (allocation("exit_code"), "'x'"),
        (allocation("allocation_time"), "'x'"),
    ] {
        let (table, _, column) = place;
        world.spoil(table, column, value, "");
        let wanted = match value {
            // How many there are is written beside them.
            "'[]'" => allocation("allocated_cpus"),
            _ => place,
        };
        is_about(world.loaded(), wanted, value);
        world.mend(table);
    }
    world.spoil("jobs", "state", "'COMPLETING'", "");
    is_about(world.loaded(), job("completing"), "COMPLETING for no reason");
    world.mend("jobs");
    world.loaded().unwrap();
}

#[test]
fn a_start_finds_a_state_that_is_none_in_history_too() {
    let mut world = World::new().unwrap();
    for _ in 0..3 {
        world.one_that_ends(exited());
    }
    for value in ["'XYZZY'", "'failed'", "'AAA'", "'FAILED '", "'P'", "7", "x'00'", "''"] {
        world.spoil("jobs", "state", value, "WHERE id = 2");
        is_about(world.loaded(), ("jobs", "job 2", "state"), value);
        let conn = world.writer.connection().unwrap();
        let of_one = dependencies::standings(conn, &[JobId(2)].into()).map(|_| ());
        is_about(of_one, ("jobs", "job 2", "state"), value);
        let states = vec![StateWord::Pending];
        let by_state = JobFilter { states, limit: 9, ..JobFilter::default() };
        let conn = world.writer.connection().unwrap();
        let page = read::jobs_page(conn, &by_state, &Scope::SERVER).map(|_| ());
        is_about(page, ("jobs", "job 2", "state"), value);
        world.mend("jobs");
    }
    world.loaded().unwrap();
}

#[test]
fn a_start_goes_on_from_no_number_that_is_none() {
    let mut world = World::new().unwrap();
    world.submit();
    for (table, row, column, value) in [
        ("meta", "row 1", "next_job_id", "'x'"),
        ("meta", "row 1", "next_job_id", "0"),
        ("meta", "row 1", "next_event_id", "'x'"),
        ("meta", "row 1", "commit_no", "'x'"),
        ("meta", "row 1", "epoch", "'x'"),
        ("events", "event 1", "time", "'x'"),
        ("job_counts", "count of FAILED", "n", "'x'"),
        ("job_counts", "count of FAILED", "n", "-1"),
        ("job_counts", "count of XYZZY", "state", "'XYZZY'"),
        ("account_usage", "account lab", "cpu_us", "'x'"),
        ("maintenance", "window 1", "start_time", "'x'"),
        ("maintenance", "window 1", "end_time", "'x'"),
    ] {
        world.batch(
            "INSERT OR REPLACE INTO account_usage VALUES ('lab', 1, 1);
             DELETE FROM job_counts; INSERT INTO job_counts VALUES ('FAILED', 0);
             INSERT OR REPLACE INTO maintenance VALUES (1, 1, NULL, 'r', 'p')",
        );
        world.spoil(table, column, value, "");
        is_about(world.loaded(), (table, row, column), value);
        world.mend(table);
    }
    world.batch("UPDATE meta SET epoch = 'x'");
    let refused = OnlyWriter::open(world.database()).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("t.db") && refused.contains("row 1: column \"epoch\""), "{refused}");
}

#[test]
fn what_stands_beside_jobs_is_read_or_named() {
    let mut world = World::new().unwrap();
    let (id, mut step) = world.submission(job());
    let key = IdempotencyKey {
        key: "k".into(),
        body_hash: "h".into(),
        first: id,
        count: 1,
        time: Time(1),
    };
    step.changes.push(Change::Key(key));
    world.commit(step);
    world.start();
    for (table, row, column, value) in [
        ("job_scripts", "job 1", "script", "x'ff'"),
        ("job_scripts", "job 1", "environment", "''"),
        ("job_scripts", "job 1", "environment", "'{\"A\":1}'"),
        ("events", "event 1", "to_state", "'XYZZY'"),
        ("events", "event 2", "from_state", "'XYZZY'"),
        ("events", "event 1", "attempt", "'x'"),
        ("events", "event 1", "cause", "x'ff'"),
        ("idempotency_keys", "key k", "first_job_id", "'x'"),
        ("idempotency_keys", "key k", "job_count", "-1"),
        ("resource_allocations", "allocation 2", "released_time", "'x'"),
        ("held_units", "cpu 0", "job_id", "'x'"),
        ("held_units", "cpu 0", "unit", "'x'"),
    ] {
        let rows =
            if table == "events" { format!("WHERE id = {}", &row[6..]) } else { String::new() };
        world.spoil(table, column, value, &rows);
        let conn = world.writer.connection().unwrap();
        let read = match table {
            "job_scripts" => read::script(conn, id).map(|_| ()),
            "events" => read::events_of(conn, id, EventId(0), 9).map(|_| ()).and(
                events::page(conn, EventId(0), 9, &EventFilter::default(), &Scope::SERVER)
                    .map(|_| ()),
            ),
            "idempotency_keys" => read::key(conn, "k").map(|_| ()),
            "held_units" => read::db_snapshot(conn).map(|_| ()),
            _ => read::allocations(conn, (Some(id), None), None, 9, &Scope::SERVER)
                .map(|_| ())
                .and(read::allocation_of(conn, Attempt { job: id, n: 1 }).map(|_| ())),
        };
        is_about(read, (table, row, column), value);
        world.mend(table);
    }
}

#[test]
fn an_array_is_counted_only_if_all_of_its_rows_can_be_read() {
    let mut world = World::new().unwrap();
    let (id, step) = world.submission(job().array("0-2"));
    world.commit(step);
    world.start();
    for (job, column, value) in [
        (1, "array_spec", "'x'"),
        (1, "state", "'XYZZY'"),
        (2, "state", "'XYZZY'"),
        (2, "array_task_id", "'x'"),
    ] {
        world.spoil("jobs", column, value, &format!("WHERE id = {job}"));
        let place = format!("job {job}");
        let conn = world.writer.connection().unwrap();
        is_about(arrays::tally(conn, id).map(|_| ()), ("jobs", &place, column), value);
        is_about(arrays::partner(conn, id).map(|_| ()), ("jobs", &place, column), value);
        world.mend("jobs");
    }
    world.spoil("jobs", "array_tasks", "'x'", "WHERE id = 1");
    let conn = world.writer.connection().unwrap();
    let left = arrays::named(conn, JobRef { job: id, task: Some(7) }).map(|_| ());
    is_about(left, ("jobs", "job 1", "array_tasks"), "'x'");
    world.mend("jobs");
    world.spoil("jobs", "state", "'XYZZY', end_time = 5", "WHERE id = 2");
    world.batch("UPDATE jobs SET state = 'COMPLETED', end_time = 5 WHERE id <> 2");
    let conn = world.writer.connection().unwrap();
    let standing = arrays::standing(conn, id).map(|_| ());
    is_about(standing, ("jobs", "job 2", "state"), "not even for those that wait for it");
    world.mend("jobs");
}

#[test]
fn a_search_by_time_and_retention_say_so_too() {
    let mut world = World::new().unwrap();
    world.one_that_ends(exited());
    for (column, value) in [("submit_time", "'x'"), ("end_time", "'x'")] {
        world.spoil("jobs", column, value, "");
        let conn = world.writer.connection().unwrap();
        let ages = read::ages(conn, JobId(0), 9, Time(i64::MAX)).map(|_| ());
        is_about(ages, ("jobs", "job 1", column), value);
        let since = JobFilter { since: Some(Time(1)), limit: 9, ..JobFilter::default() };
        is_about(
            read::jobs_page(conn, &since, &Scope::SERVER).map(|_| ()),
            ("jobs", "job 1", column),
            value,
        );
        world.mend("jobs");
    }
}

#[test]
fn a_damaged_job_is_forgotten_with_all_that_is_its_own() {
    let mut world = World::new().unwrap();
    let (id, step) = world.submission(job().label("k", "v"));
    world.commit(step);
    world.start();
    let step = world.fact(id, exited());
    world.commit(step);
    world.batch("UPDATE jobs SET labels = 'x'");
    let step = world.kernel.forget(&[Old { job: id, word: StateWord::Failed, array: None }]);
    world.commit(step);
    let conn = world.writer.connection().unwrap();
    let labels: i64 = crate::store::schema::job_labels::table.count().get_result(conn).unwrap();
    assert_eq!((labels, world.job(id)), (0, None));
}

#[test]
fn a_launch_that_cannot_be_read_is_no_reason_to_refuse_a_commit() {
    let mut world = World::new().unwrap();
    let id = world.submit();
    world.batch("UPDATE job_scripts SET environment = 'x'");
    world.start();
    assert_eq!(world.job(id).unwrap().0.state, StateWord::Running);
    let conn = world.writer.connection().unwrap();
    let launch = read::launch(conn, id).map(|_| ());
    is_about(launch, ("job_scripts", "job 1", "environment"), "'x'");
}

#[test]
fn the_sentence_says_where_it_is_and_what_to_do() {
    let mut world = World::new().unwrap();
    let id = world.submit();
    world.batch("UPDATE jobs SET state = 'XYZZY'");
    let conn = world.writer.connection().unwrap();
    let error = read::job(conn, id).unwrap_err().to_string();
    assert_eq!(
        error,
        "the database is damaged: job 1: column \"state\" of table \"jobs\" holds \"XYZZY\", which \
         is not a state such as PENDING; put a backup in its place, or set that value right with \
         sqlite3 while no server runs"
    );
    world.batch(&format!("UPDATE jobs SET state = '{}'", "y".repeat(10_000)));
    let conn = world.writer.connection().unwrap();
    let error = read::job(conn, id).unwrap_err().to_string();
    assert!(error.len() < 400 && error.contains("yyy\"…"), "{error}");
    assert!(matches!(StoreError::from(Diesel::NotFound), StoreError::Disagrees(_)));
}

#[test]
fn a_sample_that_cannot_be_read_is_an_error_that_says_where() {
    let mut world = World::new().unwrap();
    world.keep([1]);
    world.batch("UPDATE samples SET pending_us = 'many'");
    let read = world.database().readers().unwrap().read(|db| db.samples((0, 600)));
    let said = read.unwrap_err().to_string();
    assert!(said.contains("samples") && said.contains("pending_us"), "{said}");
}
