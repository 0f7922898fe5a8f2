//! *Purpose*: what only a file of SQLite can do, and suffer.
//!
//! *Owns*: those tests of the store that look into a file, or speak SQLite.
//!
//! *Promises*: nothing beyond the assertions.
//!
//! *Not here*: what holds for every database (`store::body::tests`).

#![allow(clippy::unwrap_used)]

mod damage;
mod migrations;
mod plans;
mod writes;

use super::Conn;
use super::body::events;
use super::body::load::load;
use super::body::read;
use super::body::tests::*;
use super::body::write::OnlyWriter;
use super::database::Database;
use crate::job::ids::{Attempt, EventId, JobId};
use crate::job::spec::JobRequest;
use crate::job::state::StateWord;
use crate::kernel::access::Scope;
use crate::kernel::change::{Change, IdempotencyKey};
use crate::kernel::check;
use crate::kernel::commands::forget::Old;
use crate::kernel::parts::rules::Rules;
use crate::kernel::testing::job::job;
use crate::kernel::transition::Fact;
use crate::store::error::StoreError;
use crate::store::events::EventFilter;
use crate::store::filter::JobFilter;
use crate::store::reader::Reader;
use crate::store::write::CommitError;
use crate::store::writer::Writer;
use crate::time::Time;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;

#[test]
fn a_full_disk_stores_nothing_and_passes() {
    let mut world = World::new().unwrap();
    world.submit();
    let pages = "SELECT page_count AS n FROM pragma_page_count";
    #[derive(QueryableByName)]
    struct N {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        n: i64,
    }
    let conn = world.writer.connection().unwrap();
    let now = diesel::sql_query(pages).get_result::<N>(conn).unwrap().n;
    world.batch(&format!("PRAGMA max_page_count = {now}"));
    let (id, step) = world.submission(JobRequest::new("#".repeat(1 << 20)));
    let commit = world.next(step);
    let refused = world.writer.commit(&commit).unwrap_err();
    assert!(
        matches!(&refused, CommitError::NotCommitted(e) if e.to_string().contains("full")),
        "{refused}"
    );
    assert!(world.job(id).is_none());
    // The writer has a new connection by now, which is not bound to that size.
    world.writer.commit(&commit).unwrap();
    assert!(world.job(id).is_some());
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let mut world = World::new().unwrap();
    world.batch("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')");
    let refused = OnlyWriter::open(world.database()).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("newer Downbeat"), "{refused}");
    assert!(refused.to_string().contains("t.db"), "{refused}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    std::fs::write(&path, "my diary, not a database, long enough to be read as a header").unwrap();
    let refused = OnlyWriter::open(Database::new(&path)).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("t.db"), "{refused}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("my diary"));
}

#[test]
fn readers_cannot_write() {
    let world = World::new().unwrap();
    let readers = world.database().readers().unwrap();
    let refused = readers.read(|c| Ok(c.batch_execute("DELETE FROM jobs")?)).unwrap_err();
    assert!(refused.to_string().contains("readonly"), "{refused}");
}

/// `print_schema` would say the same as `schema.rs`: names, order and types.
#[test]
fn the_schema_file_is_the_migrated_database() {
    #[derive(QueryableByName)]
    struct Column {
        #[diesel(sql_type = diesel::sql_types::Text)]
        line: String,
    }
    let mut world = World::new().unwrap();
    let file = include_str!("../schema.rs");
    let conn = world.writer.connection().unwrap();
    for table in [
        "meta",
        "jobs",
        "job_scripts",
        "resource_allocations",
        "held_units",
        "job_counts",
        "events",
        "idempotency_keys",
        "job_labels",
        "submit_time_falls",
        "audit",
    ] {
        let columns: Vec<Column> = diesel::sql_query(format!(
            "SELECT name || ' -> ' || CASE \"notnull\" WHEN 0 THEN 'Nullable<' ELSE '' END || \
             CASE WHEN pk AND type = 'INTEGER' THEN 'BigInt' WHEN type = 'BIGINT' THEN 'BigInt' \
             WHEN type = 'INTEGER' THEN 'Integer' WHEN type = 'TEXT' THEN 'Text' \
             WHEN type = 'BOOLEAN' THEN 'Bool' ELSE type END || \
             CASE \"notnull\" WHEN 0 THEN '>' ELSE '' END || ',' AS line \
             FROM pragma_table_info('{table}') ORDER BY cid"
        ))
        .load(conn)
        .unwrap();
        let begin = file.find(&format!("    {table} (")).unwrap();
        let body = &file[begin..begin + file[begin..].find("    }\n").unwrap()];
        let lines: Vec<&str> = body.lines().skip(1).map(str::trim).collect();
        let migrated: Vec<&str> = columns.iter().map(|c| c.line.as_str()).collect();
        assert_eq!(lines, migrated, "{table}");
    }
}

#[test]
fn a_log_that_was_given_room_is_read_after_a_crash() {
    let mut world = World::new().unwrap();
    let log = world.dir.path().join("t.db-wal");
    let length = std::fs::metadata(&log).unwrap().len();
    assert!(length >= 4_000 * 4_096, "the log has its full length at once: {length}");
    let jobs: Vec<JobId> = (0..3).map(|_| world.submit()).collect();
    assert_eq!(std::fs::metadata(&log).unwrap().len(), length, "commits do not lengthen it");
    // As a killed server leaves it: nobody has closed the database.
    let after = tempfile::tempdir().unwrap();
    for name in ["t.db", "t.db-wal"] {
        std::fs::copy(world.dir.path().join(name), after.path().join(name)).unwrap();
    }
    let mut writer = OnlyWriter::open(Database::new(after.path().join("t.db"))).unwrap();
    let (kernel, _) = boot(&mut writer);
    assert_eq!(kernel.queue().iter().map(|job| job.id).collect::<Vec<_>>(), jobs);
}

#[test]
fn what_was_forgotten_is_found_nowhere() {
    let mut world = World::new().unwrap();
    let secret = |n: usize| format!("correct-horse-{n}-battery");
    let large = (0..4_000).map(secret).collect::<Vec<_>>().join("\n");
    let mut request = JobRequest::new(format!("echo {}\n{large}", secret(9_999)));
    request.environment.insert("TOKEN".to_owned(), secret(8_888));
    request.comment = Some(secret(7_777));
    let (id, step) = world.submission(request);
    world.commit(step);
    let stays = world.submit();
    world.start();
    world.ends(id, 0);
    let found = |world: &World| {
        let traces = ["t.db", "t.db-wal"].map(|name| {
            let bytes = std::fs::read(world.dir.path().join(name)).unwrap();
            bytes.windows(14).filter(|part| part == b"correct-horse-").count()
        });
        traces.iter().sum::<usize>()
    };
    assert!(found(&world) > 0);
    world.forget(&[id], None);
    for _ in 0..10 {
        world.writer.wipe().unwrap();
    }
    assert_eq!(found(&world), 0);
    assert!(world.job(stays).is_some());
    let log = std::fs::metadata(world.dir.path().join("t.db-wal")).unwrap().len();
    assert!(log > 4_000 * 4_096, "the log has its full length again: {log}");
    world.submit();
}
