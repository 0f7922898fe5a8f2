//! *Purpose*: somebody deletes, replaces or cuts off what stands beside the database.
//!
//! *Owns*: the write-ahead log and its index, taken away from a server that runs.
//!
//! *Promises*: what was answered with 201 is there after a crash, whenever that comes.
//!
//! *Not here*: the database itself (`database`).

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::common::{Server, until};
use crate::help::{Marks, ends_as, until_file};

fn beside(server: &Server, ending: &str) -> PathBuf {
    let mut name = server.database().into_os_string();
    name.push(ending);
    name.into()
}

/// Submits until so many were confirmed; what is refused meanwhile says that nothing is stored.
fn confirmed(server: &Server, count: usize) -> Vec<i64> {
    let mut ids = Vec::new();
    until("jobs to be accepted", || {
        let answer = server.post("/api/v1/jobs", &json!({"script": "exit 4", "held": true}));
        match answer.status {
            201 => ids.extend(answer.json()["id"].as_i64()),
            503 | 507 => assert!(answer.text().contains("nothing stored"), "{}", answer.text()),
            other => panic!("{other}: {}", answer.text()),
        }
        if ids.len() < count { Err(format!("{} are", ids.len())) } else { Ok(()) }
    });
    ids
}

fn all_are_there(server: &Server, ids: &[i64]) {
    for id in ids {
        assert_eq!(server.get(&format!("/api/v1/jobs/{id}")).status, 200, "job {id} is lost");
    }
}

/// Something is done to the files, jobs are confirmed before and after, and the server is killed.
fn nothing_confirmed_is_lost(what: &str, done: impl Fn(&Server)) {
    let mut server = Server::start();
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    let runs = server.run(&marks.script("runs", &until_file(&go), 5));
    server.started(runs);
    let before = confirmed(&server, 3);
    done(&server);
    let after = confirmed(&server, 3);
    all_are_there(&server, &[&before[..], &after[..]].concat());
    server.kill();
    fs::write(go, "").unwrap();
    server.up();
    all_are_there(&server, &[&before[..], &after[..]].concat());
    ends_as(&server, runs, "FAILED", Some("5:0"));
    assert_eq!(server.get("/api/v1/audit").expect(200).json()["consistent"], true, "{what}");
    // It goes on as any other.
    ends_as(&server, server.run("exit 6"), "FAILED", Some("6:0"));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_log_that_is_deleted_loses_nothing_that_was_confirmed() {
    nothing_confirmed_is_lost("the log", |server| {
        fs::remove_file(beside(server, "-wal")).unwrap();
    });
}

#[test]
fn an_index_of_the_log_that_is_deleted_loses_nothing_that_was_confirmed() {
    nothing_confirmed_is_lost("the index", |server| {
        fs::remove_file(beside(server, "-shm")).unwrap();
    });
    nothing_confirmed_is_lost("both", |server| {
        fs::remove_file(beside(server, "-wal")).unwrap();
        fs::remove_file(beside(server, "-shm")).unwrap();
    });
}

#[test]
fn a_log_that_is_replaced_by_an_older_one_is_not_taken_for_ours() {
    nothing_confirmed_is_lost("a copy", |server| {
        let (log, copy) = (beside(server, "-wal"), server.dir.path().join("copy"));
        fs::copy(&log, &copy).unwrap();
        confirmed(server, 2);
        fs::rename(&copy, &log).unwrap();
    });
    nothing_confirmed_is_lost("an empty one", |server| {
        fs::remove_file(beside(server, "-wal")).unwrap();
        fs::write(beside(server, "-wal"), "").unwrap();
    });
}

#[test]
fn a_log_that_has_another_name_too_is_none_of_our_business() {
    nothing_confirmed_is_lost("a hard link", |server| {
        fs::hard_link(beside(server, "-wal"), server.dir.path().join("link")).unwrap();
    });
}

#[test]
fn a_log_that_goes_while_nothing_is_committed_is_noticed_by_the_next_chore() {
    let mut server = Server::start();
    let ids = confirmed(&server, 5);
    fs::remove_file(beside(&server, "-wal")).unwrap();
    until("a new log", || match beside(&server, "-wal").exists() {
        true => Ok(()),
        false => Err("there is none".to_owned()),
    });
    server.kill();
    server.up();
    all_are_there(&server, &ids);
}

#[test]
fn what_cannot_be_had_back_ends_the_server_and_confirms_nothing() {
    let mut server = Server::start();
    let before = confirmed(&server, 3);
    let log = fs::OpenOptions::new().write(true).open(beside(&server, "-wal")).unwrap();
    log.set_len(0).unwrap();
    let json = [("content-type", "application/json")];
    let body = json!({"script": "true", "held": true}).to_string();
    let answer = server.try_send("POST", "/api/v1/jobs", &json, body.as_bytes());
    let confirmed_after = answer.ok().filter(|answer| answer.status == 201);
    let after = confirmed_after.map(|answer| answer.json()["id"].as_i64().unwrap());
    server.kill();
    server.up();
    if let Some(id) = after {
        all_are_there(&server, &[id]);
        all_are_there(&server, &before);
    }
}
