//! *Purpose*: the database is not what it should be.
//!
//! *Owns*: files that cannot be written, are locked, damaged, empty, foreign or newer.
//!
//! *Promises*: a refusal names the file and what to do, changes no byte, and is exit code 1;
//! trouble that passes is waited for while jobs run on.
//!
//! *Not here*: the sorting of errors (`store::error`), full disks (`disk`).

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Server, until};
use crate::help::{
    Foreign, Immutable, Marks, Mount, bytes_below, ends_as, gone, refused, script_of, skipped,
    until_file,
};

/// A server that ran a few jobs and was stopped.
fn used() -> Server {
    let mut server = Server::start();
    for n in 0..3 {
        server.ended(server.run(&format!("exit {n}")));
    }
    assert_eq!(server.stop(), Some(0));
    // Whoever closes it last folds the log in: what follows is about the file itself.
    drop(Foreign::open(&server.database()));
    server
}

/// It refuses, names the file, says each of these, and leaves every byte as it was.
#[track_caller]
fn refuses_untouched(server: &Server, says: &[&str]) -> String {
    let before = bytes_below(&server.data());
    let said = refused(server);
    assert!(said.contains(&server.database().display().to_string()), "{said}");
    for words in says {
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
    let after = bytes_below(&server.data());
    let names = |all: &std::collections::BTreeMap<_, _>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after), "files came or went");
    for (path, bytes) in &before {
        assert!(after[path] == *bytes, "{} was changed", path.display());
    }
    said
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let server = used();
    let path = server.database();
    let mut bytes = fs::read(&path).unwrap();
    bytes[..16].copy_from_slice(b"no database here");
    fs::write(&path, bytes).unwrap();
    refuses_untouched(&server, &["damaged", "backup"]);
}

#[test]
fn a_damaged_page_is_refused_at_start() {
    let server = used();
    let path = server.database();
    let mut bytes = fs::read(&path).unwrap();
    // Not the first page: its header is fine, and so are the first tables.
    let (page, len) = (4096, bytes.len());
    for byte in &mut bytes[page * 3..len.min(page * 6)] {
        *byte = 0xA5;
    }
    fs::write(&path, bytes).unwrap();
    refuses_untouched(&server, &["damaged", "backup"]);
}

#[test]
fn a_database_cut_to_nothing_is_refused_where_jobs_ran() {
    let server = used();
    fs::write(server.database(), "").unwrap();
    refuses_untouched(&server, &["empty", "jobs"]);
    fs::remove_file(server.database()).unwrap();
    refuses_untouched(&server, &["empty", "jobs"]);
}

#[test]
fn an_empty_file_in_a_new_folder_is_a_new_database() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    fs::create_dir(server.data()).unwrap();
    fs::write(server.database(), "").unwrap();
    server.up();
    ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
}

#[test]
fn a_folder_in_the_databases_place_is_refused() {
    let server = Server::unstarted(&[]);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(server.database()).unwrap();
    refuses_untouched(&server, &["folder"]);
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let server = Server::unstarted(&[]);
    fs::create_dir(server.data()).unwrap();
    let mut other = Foreign::open(&server.database());
    other.does("CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('soup');");
    drop(other);
    refuses_untouched(&server, &["another program", "--database-url"]);
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let server = used();
    let mut newer = Foreign::open(&server.database());
    newer.does("INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')");
    drop(newer);
    refuses_untouched(&server, &["newer", "29991231000000"]);
}

#[test]
fn a_newer_database_is_left_alone_also_when_its_server_was_killed() {
    let mut server = Server::start();
    server.ended(server.run("true"));
    server.kill();
    let mut newer = Foreign::open(&server.database());
    newer.does("PRAGMA wal_autocheckpoint = 0");
    newer.does("INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')");
    // Its log is not folded in, as after a power cut.
    std::mem::forget(newer);
    assert!(fs::metadata(with_suffix(&server.database(), "-wal")).unwrap().len() > 0);
    refuses_untouched(&server, &["newer"]);
}

fn with_suffix(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[test]
fn a_data_folder_on_a_read_only_file_system_is_refused() {
    let server = used();
    let mount = match Mount::read_only(&server.data()) {
        Ok(mount) => mount,
        Err(why) => return skipped("a_data_folder_on_a_read_only_file_system_is_refused", &why),
    };
    let said = refused(&server);
    assert!(said.contains(&server.data().display().to_string()), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    drop(mount);
}

#[test]
fn a_database_that_cannot_be_written_is_refused_at_start() {
    let mut server = used();
    let lock = match Immutable::make(server.database()) {
        Ok(lock) => lock,
        Err(why) => {
            return skipped("a_database_that_cannot_be_written_is_refused_at_start", &why);
        }
    };
    refuses_untouched(&server, &["cannot be written"]);
    drop(lock);
    server.up();
    ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
}

#[test]
fn a_database_that_cannot_be_written_for_a_while_costs_nothing() {
    let server = Server::start();
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    let wait = until_file(&go);
    let id = server.run(&marks.script("early", &wait, 5));
    server.started(id);
    let lock = match Immutable::make(with_suffix(&server.database(), "-wal")) {
        Ok(lock) => lock,
        Err(why) => {
            let test = "a_database_that_cannot_be_written_for_a_while_costs_nothing";
            return skipped(test, &why);
        }
    };
    nothing_is_stored_and_all_is_read(&server, id);
    fs::write(go, "").unwrap();
    until("the job to end", || match marks.ends("early") {
        1 => Ok(()),
        n => Err(format!("{n} ends")),
    });
    drop(lock);
    ends_as(&server, id, "FAILED", Some("5:0"));
    ends_as(&server, server.run("exit 6"), "FAILED", Some("6:0"));
    server.is_clean();
}

fn nothing_is_stored_and_all_is_read(server: &Server, id: i64) {
    let answer = server.post("/api/v1/jobs", &json!({"script": "true"}));
    assert!(matches!(answer.status, 503 | 507), "{answer:?}");
    assert!(answer.text().contains("nothing stored"), "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    assert_eq!(server.job(id)["state"], "RUNNING");
    assert_eq!(server.get("/api/v1/audit").expect(200).json()["consistent"], true);
}

#[test]
fn a_database_that_another_program_locks_for_long_is_waited_for() {
    let server = Server::start();
    let go = server.dir.path().join("go");
    let id = server.run(&format!("{}; exit 5", until_file(&go)));
    server.started(id);
    let mut other = Foreign::open(&server.database());
    other.does("BEGIN EXCLUSIVE; UPDATE meta SET epoch = epoch");
    nothing_is_stored_and_all_is_read(&server, id);
    // The job ends while nothing can be written.
    fs::write(go, "").unwrap();
    let pid = script_of(&server.job(id));
    gone(pid);
    assert_eq!(server.job(id)["state"], "RUNNING", "nothing is visible before it is durable");
    other.does("ROLLBACK");
    ends_as(&server, id, "FAILED", Some("5:0"));
    ends_as(&server, server.run("exit 6"), "FAILED", Some("6:0"));
    server.is_clean();
}

#[test]
fn sigterm_is_obeyed_in_time_while_another_program_locks_the_database() {
    let mut server = Server::start();
    let id = server.run("sleep 1; exit 5");
    server.started(id);
    let mut other = Foreign::open(&server.database());
    other.does("BEGIN IMMEDIATE; UPDATE meta SET epoch = epoch");
    gone(script_of(&server.job(id)));
    let asked = Instant::now();
    assert_eq!(server.stop(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    other.does("ROLLBACK");
    server.up();
    ends_as(&server, id, "FAILED", Some("5:0"));
    server.is_clean();
}

#[test]
fn a_database_that_another_program_locks_is_refused_at_start() {
    let mut server = used();
    for lock in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"] {
        let mut other = Foreign::open(&server.database());
        other.does(&format!("{lock}; UPDATE meta SET epoch = epoch"));
        let said = refused(&server);
        assert!(said.contains(&server.database().display().to_string()), "{said}");
        assert!(said.contains("locked") && said.contains("another program"), "{said}");
        other.does("ROLLBACK");
    }
    server.up();
    ends_as(&server, server.run("exit 6"), "FAILED", Some("6:0"));
}

#[test]
fn nothing_is_accepted_into_a_database_that_was_deleted_or_moved() {
    let server = Server::start();
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    let wait = until_file(&go);
    let id = server.run(&marks.script("early", &wait, 5));
    server.started(id);
    let away = server.dir.path().join("away.db");
    fs::rename(server.database(), &away).unwrap();
    for body in [json!({"script": "true"}), json!({"script": "true", "name": "again"})] {
        let answer = server.post("/api/v1/jobs", &body);
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.text().contains("nothing stored"), "{}", answer.text());
        assert!(answer.text().contains("put it back"), "{}", answer.text());
    }
    fs::write(go, "").unwrap();
    until("the script to end", || match marks.ends("early") {
        1 => Ok(()),
        n => Err(format!("{n} ends")),
    });
    assert!(!server.database().exists(), "another was made in its place");
    fs::rename(away, server.database()).unwrap();
    ends_as(&server, id, "FAILED", Some("5:0"));
    ends_as(&server, server.run("exit 6"), "FAILED", Some("6:0"));
    server.is_clean();
}

/// Puts a database in the place of the server's, which does not run.
fn put_back(server: &Server, backup: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _there_or_not = fs::remove_file(with_suffix(&server.database(), suffix));
    }
    fs::copy(backup, server.database()).unwrap();
    fs::set_permissions(server.database(), fs::Permissions::from_mode(0o600)).unwrap();
}

/// A server of which a backup was made after its second job.
fn backed_up() -> (Server, std::path::PathBuf) {
    let server = Server::start();
    for _ in 0..2 {
        server.ended(server.run("exit 3"));
    }
    let backup = server.dir.path().join("backup.db");
    Foreign::open(&server.database()).does(&format!("VACUUM INTO '{}'", backup.display()));
    (server, backup)
}

#[test]
fn an_older_backup_that_is_put_back_gives_no_number_out_again() {
    let (mut server, backup) = backed_up();
    // Jobs of after it: one is over and its file is kept, one runs.
    let over = server.run("echo kept > file; exit 3");
    server.ended(over);
    let kept = server.data().join(format!("jobs/{over}/work/file"));
    let runs = server.run("sleep 600");
    let script = script_of(&server.started(runs));
    for number in [over, runs] {
        server.kill();
        if number == over {
            fs::rename(server.data().join("spool"), server.dir.path().join("away")).unwrap();
        }
        put_back(&server, &backup);
        server.up();
        let next = server.run("ls; exit 4");
        assert!(next > number, "{next} was given out again");
        ends_as(&server, next, "FAILED", Some("4:0"));
        assert_eq!(server.stdout(next), "", "it found what another left");
        if number == over {
            server.kill();
            fs::remove_dir_all(server.data().join("spool")).unwrap();
            fs::rename(server.dir.path().join("away"), server.data().join("spool")).unwrap();
            server.up();
        }
    }
    assert_eq!(fs::read_to_string(kept).unwrap(), "kept\n");
    assert!(crate::help::alive(script), "nothing is known of it, so nothing is done to it");
}

#[test]
fn numbers_that_a_script_makes_up_use_none_up() {
    let (mut server, _) = backed_up();
    let far = i64::MAX - 1;
    let id = server.run(&format!(
        "cd {}; for n in {far} {} 99999999999999999999; do mkdir -p spool/$n.1.x jobs/$n; done; \
         exit 3",
        server.data().display(),
        i64::MAX
    ));
    ends_as(&server, id, "FAILED", Some("3:0"));
    server.kill();
    server.up();
    let ids: Vec<i64> = (0..3).map(|_| server.run("exit 4")).collect();
    assert_eq!(ids, [id + 1, id + 2, id + 3]);
    for id in ids {
        ends_as(&server, id, "FAILED", Some("4:0"));
    }
    server.is_clean();
}
