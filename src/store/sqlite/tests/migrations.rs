//! *Purpose*: a database of the first version becomes one of this version, and back.
//!
//! *Owns*: rows as the first version wrote them.
//!
//! *Promises*: what later commits keep up is there for old rows too.
//!
//! *Not here*: crashes within a migration (`tests/faults`).

use diesel_migrations::{FileBasedMigrations, MigrationHarness};

use super::*;
use crate::kernel::access::Scope;
use crate::store::sqlite::body::find::find;

const FIRST: &str = include_str!("../../../../migrations/sqlite/2026-11-22-000000_first/up.sql");

/// Five jobs of the first version; before the fourth the clock was set back an hour.
fn first_version(database: &Database) {
    let mut conn = database.session().unwrap();
    conn.batch_execute(FIRST).unwrap();
    let notes = "CREATE TABLE __diesel_schema_migrations \
                 (version VARCHAR(50) PRIMARY KEY NOT NULL, \
                 run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP); \
                 INSERT INTO __diesel_schema_migrations (version) VALUES ('20261122000000'); \
                 UPDATE meta SET next_job_id = 6, next_event_id = 6;";
    conn.batch_execute(notes).unwrap();
    let jobs = [
        (1, "job", "", "COMPLETED", "{}", 7_200),
        (2, "a", "lab", "COMPLETED", r#"{"k \"x\".y":"v\\"}"#, 7_201),
        (3, "job", "lab", "FAILED", "not JSON", 7_202),
        (4, "a", "", "NODE_FAIL", r#"{"k":"1","l":"2"}"#, 3_600),
        (5, "job", "", "PENDING", r#"{"k":"1"}"#, 3_601),
    ];
    for (id, name, account, state, labels, second) in jobs {
        let labels = labels.replace('\'', "''");
        let time = second * 1_000_000_i64;
        let rows = format!(
            "INSERT INTO jobs VALUES ({id}, '{name}', '{account}', 'u', 'p', '{state}', 0, 1, \
             NULL, NULL, 30, NULL, 0, NULL, NULL, '{labels}', NULL, 'API', '[]', {time}, {time}, \
             NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL); \
             INSERT INTO job_scripts VALUES ({id}, 'true', '{{}}'); \
             INSERT INTO events VALUES ({id}, {id}, 0, {time}, NULL, 'PENDING', 'submitted', 'u');"
        );
        conn.batch_execute(&rows).unwrap();
    }
    let key = "INSERT INTO idempotency_keys VALUES ('k', 'h', 1, 1, 9)";
    conn.batch_execute(key).unwrap();
}

fn ids(writer: &mut OnlyWriter, change: impl FnOnce(&mut JobFilter)) -> Vec<i64> {
    let mut filter = JobFilter { ascending: true, limit: 9, ..JobFilter::default() };
    change(&mut filter);
    find(writer.connection().unwrap(), &filter, &Scope::SERVER).unwrap().ids
}

fn label(key: &str, value: &str) -> Vec<(String, String)> {
    vec![(key.to_owned(), value.to_owned())]
}

fn is_as_if_it_had_always_been_so(writer: &mut OnlyWriter) {
    let loaded = load(writer.connection().unwrap(), Rules::default()).unwrap();
    let ended = [(StateWord::Completed, 2), (StateWord::Failed, 1), (StateWord::NodeFail, 1)];
    assert_eq!(loaded.memory.ended, ended.into());
    assert_eq!(loaded.memory.pending.iter().map(|job| job.id.0).collect::<Vec<_>>(), [5]);
    assert_eq!(ids(writer, |f| f.accounts = vec!["lab".to_owned()]), [2, 3]);
    assert_eq!(ids(writer, |f| f.name = Some("a".to_owned())), [2, 4]);
    assert_eq!(ids(writer, |f| f.labels = label("k", "1")), [4, 5]);
    assert_eq!(ids(writer, |f| f.labels = label("k \"x\".y", "v\\")), [2]);
    assert_eq!(ids(writer, |f| f.since = Some(Time(7_201_000_000))), [2, 3]);
    assert_eq!(ids(writer, |f| f.until = Some(Time(3_601_000_000))), [4]);
    let conn = writer.connection().unwrap();
    assert_eq!(read::events_of(conn, JobId(4), EventId(0), 9).unwrap().value.len(), 1);
    assert_eq!(read::script(conn, JobId(4)).unwrap().map(|row| row.script), Some("true".into()));
    assert!(read::key(conn, "k").unwrap().value.is_some());
}

#[test]
fn a_database_of_the_first_version_is_brought_here_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::new(dir.path().join("t.db"));
    first_version(&database);
    let mut writer = OnlyWriter::open(database.clone()).unwrap();
    is_as_if_it_had_always_been_so(&mut writer);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
    let all = || FileBasedMigrations::from_path(folder).unwrap();
    let conn = writer.connection().unwrap();
    for _ in 1..conn.applied_migrations().unwrap().len() {
        conn.revert_last_migration(all()).unwrap();
    }
    let jobs: i64 = crate::store::schema::jobs::table.count().get_result(conn).unwrap();
    assert_eq!((jobs, conn.applied_migrations().unwrap().len()), (5, 1));
    is_as_if_it_had_always_been_so(&mut OnlyWriter::open(database).unwrap());
}

#[test]
fn no_two_migrations_have_one_version() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let version = |name: &std::ffi::OsString| {
        let name = name.to_string_lossy();
        name.split('_').next().unwrap_or_default().replace('-', "")
    };
    let versions: Vec<String> = names.map(|name| version(&name)).collect();
    let distinct: std::collections::BTreeSet<&String> = versions.iter().collect();
    // The second of two would be taken for the first, and never run.
    assert_eq!(distinct.len(), versions.len(), "{versions:?}");
}

/// A data folder of the version before properties of jobs were one object, as SQL text: its server
/// was killed while jobs waited (held, for others, for a time, as an array, for their turn), two
/// ran, and others had ended.
const BEFORE: &str = include_str!("../../../../tests/fixtures/database_before_specs.sql");

/// What stands in each column of each row of these tables, line by line, by SQL alone.
fn lines(conn: &mut Conn, columns: &[(&str, String)]) -> Vec<String> {
    let mut all = Vec::new();
    for (table, column) in columns {
        let name = column.rsplit(" AS ").next().unwrap();
        let value = column.split(" AS ").next().unwrap();
        let sql = format!(
            "SELECT '{table} ' || rowid || ' {name} ' || quote({value}) AS line FROM {table}"
        );
        let rows = diesel::sql_query(sql)
            .load::<crate::store::sqlite::body::tests::counts::Line>(conn)
            .unwrap();
        all.extend(rows.into_iter().map(|row| row.line));
    }
    all.sort();
    all
}

fn columns_of(conn: &mut Conn, table: &'static str) -> Vec<(&'static str, String)> {
    let sql = format!("SELECT name AS line FROM pragma_table_info('{table}')");
    let rows = diesel::sql_query(sql)
        .load::<crate::store::sqlite::body::tests::counts::Line>(conn)
        .unwrap();
    rows.into_iter().map(|row| (table, row.line)).collect()
}

const ROWID_TABLES: [&str; 5] = ["meta", "jobs", "job_scripts", "resource_allocations", "events"];

/// The columns of before, as they are found now.
fn found_now((table, column): &(&'static str, String)) -> (&'static str, String) {
    let of_spec = match (*table, column.as_str()) {
        ("jobs", "warnings") => "coalesce(json_extract(spec, '$.warnings'), '[]')".to_owned(),
        (
            "jobs",
            "kill_grace_s"
            | "working_directory"
            | "create_working_directory"
            | "standard_output"
            | "standard_error"
            | "comment"
            | "data_source"
            | "retry"
            | "signal"
            | "open_mode",
        ) => format!("json_extract(spec, '$.{column}')"),
        (
            "meta",
            "completed" | "failed" | "cancelled" | "timeout" | "out_of_memory" | "node_fail",
        ) => format!("(SELECT n FROM job_counts WHERE state = upper('{column}'))"),
        _ => return (table, column.clone()),
    };
    (table, format!("{of_spec} AS {column}"))
}

#[test]
fn every_field_of_the_version_before_is_there_and_goes_back_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::new(dir.path().join("t.db"));
    let mut conn = database.session().unwrap();
    conn.batch_execute(BEFORE).unwrap();
    let was_applied = conn.applied_migrations().unwrap().len();
    let all: Vec<_> = ROWID_TABLES.iter().flat_map(|t| columns_of(&mut conn, t)).collect();
    let before = lines(&mut conn, &all);
    assert!(before.len() > 14 * 40, "{} values", before.len());
    drop(conn);

    let mut writer = OnlyWriter::open(database.clone()).unwrap();
    let conn = writer.connection().unwrap();
    // Each start takes the next one.
    conn.batch_execute("UPDATE meta SET epoch = epoch - 1").unwrap();
    let now: Vec<_> = all.iter().map(found_now).collect();
    assert_eq!(lines(conn, &now), before);

    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
    while conn.applied_migrations().unwrap().len() > was_applied {
        conn.revert_last_migration(FileBasedMigrations::from_path(folder).unwrap()).unwrap();
    }
    assert_eq!(lines(conn, &all), before);
}

#[test]
fn a_server_goes_on_where_the_version_before_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::new(dir.path().join("t.db"));
    database.session().unwrap().batch_execute(BEFORE).unwrap();
    let mut writer = OnlyWriter::open(database).unwrap();
    let (kernel, _) = boot(&mut writer);
    assert_eq!(check::all(&kernel), Ok(()));
    let counts = [(StateWord::Completed, 3), (StateWord::Failed, 1), (StateWord::Timeout, 1)];
    let ended = counts.into_iter().chain([(StateWord::Cancelled, 1)]).collect();
    assert_eq!(kernel.snapshot().ended, ended);
    assert_eq!((kernel.ledger().used(), kernel.ledger().used_memory()), (3, 64 << 20));
    let live: Vec<i64> = kernel.live().keys().map(|job| job.0).collect();
    assert_eq!((live, kernel.next_ids().0), (vec![7, 8], JobId(15)));
    let conn = writer.connection().unwrap();
    let held: i64 = crate::store::schema::held_units::table.count().get_result(conn).unwrap();
    assert_eq!(held, 3);
    let mut job = |id| read::job(conn, JobId(id)).unwrap().value.unwrap().0;
    let spec = job(9).spec;
    assert_eq!(spec.working_directory.as_deref(), Some("/srv/work"));
    assert_eq!(spec.standard_output.as_deref(), Some("9.out"));
    assert_eq!(spec.comment.as_deref(), Some("it's \"held\" – ü"));
    assert_eq!((spec.kill_grace_s, spec.open_mode.word()), (11, "append"));
    assert_eq!(spec.warnings.len(), 1);
    assert_eq!(job(9).labels, [("k".to_owned(), "1".to_owned())].into());
    assert!(job(9).held && job(9).priority == 7);
    assert_eq!(job(10).spec.retry.map(|policy| policy.max), Some(3));
    let dependency = job(10).dependency.map(|all| all.to_string());
    assert_eq!(dependency.as_deref(), Some("afterok:7:1,afternotok:2"));
    assert_eq!(job(7).spec.signal.map(|signal| signal.to_string()).as_deref(), Some("B:USR1@60"));
    assert_eq!(job(12).array_tasks.map(|left| left.to_string()).as_deref(), Some("3-9:2%2"));
    assert_eq!(job(12).spec.standard_output.as_deref(), Some("%A_%a.log"));
}
