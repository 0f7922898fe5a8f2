//! *Purpose*: a database of the first version becomes one of this version, and back.
//!
//! *Owns*: rows as the first version wrote them.
//!
//! *Promises*: what later commits keep up is there for old rows too.
//!
//! *Not here*: crashes within a migration (`tests/faults`).

use diesel_migrations::{FileBasedMigrations, MigrationHarness};

use super::super::find::find;
use super::*;

const FIRST: &str = include_str!("../../../migrations/sqlite/2026-11-22-000000_first/up.sql");

/// Five jobs of the first version; before the fourth the clock was set back an hour.
fn first_version(database: &Database) {
    let mut conn = database.writer().unwrap();
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

fn ids(writer: &mut Writer, change: impl FnOnce(&mut JobFilter)) -> Vec<i64> {
    let mut filter = JobFilter { ascending: true, limit: 9, ..JobFilter::default() };
    change(&mut filter);
    find(writer.connection().unwrap(), &filter).unwrap().ids
}

fn label(key: &str, value: &str) -> Vec<(String, String)> {
    vec![(key.to_owned(), value.to_owned())]
}

fn is_as_if_it_had_always_been_so(writer: &mut Writer) {
    let loaded = load(writer.connection().unwrap(), Rules::default()).unwrap();
    let ended = [(StateWord::Completed, 2), (StateWord::Failed, 1), (StateWord::NodeFail, 1)];
    assert_eq!(loaded.memory.ended, ended.into());
    assert_eq!(loaded.memory.pending.iter().map(|job| job.id.0).collect::<Vec<_>>(), [5]);
    assert_eq!(ids(writer, |f| f.account = Some("lab".to_owned())), [2, 3]);
    assert_eq!(ids(writer, |f| f.name = Some("a".to_owned())), [2, 4]);
    assert_eq!(ids(writer, |f| f.labels = label("k", "1")), [4, 5]);
    assert_eq!(ids(writer, |f| f.labels = label("k \"x\".y", "v\\")), [2]);
    assert_eq!(ids(writer, |f| f.since = Some(Time(7_201_000_000))), [2, 3]);
    assert_eq!(ids(writer, |f| f.until = Some(Time(3_601_000_000))), [4]);
    let conn = writer.connection().unwrap();
    assert_eq!(read::events_of(conn, JobId(4)).unwrap().value.len(), 1);
    assert_eq!(read::script(conn, JobId(4)).unwrap().map(|row| row.script), Some("true".into()));
    assert!(read::key(conn, "k").unwrap().value.is_some());
}

#[test]
fn a_database_of_the_first_version_is_brought_here_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::new(dir.path().join("t.db"));
    first_version(&database);
    let mut writer = Writer::open(database.clone()).unwrap();
    is_as_if_it_had_always_been_so(&mut writer);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
    let all = || FileBasedMigrations::from_path(folder).unwrap();
    let conn = writer.connection().unwrap();
    for _ in 1..conn.applied_migrations().unwrap().len() {
        conn.revert_last_migration(all()).unwrap();
    }
    let jobs: i64 = crate::store::schema::jobs::table.count().get_result(conn).unwrap();
    assert_eq!((jobs, conn.applied_migrations().unwrap().len()), (5, 1));
    is_as_if_it_had_always_been_so(&mut Writer::open(database).unwrap());
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
