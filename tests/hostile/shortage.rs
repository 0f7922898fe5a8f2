//! *Purpose*: the machine is short of something while jobs are to be started.
//!
//! *Owns*: limits of processes and descriptors, a folder of jobs that takes nothing.
//!
//! *Promises*: no job ends for it; the server lives, says what is wrong, and goes on by itself.
//!
//! *Not here*: full disks (`disk`), descriptors of a server at rest (`limits`).

use std::collections::BTreeSet;

use serde_json::json;

use crate::common::{Server, until};
use crate::help::{Mount, cancel, ends_as, skipped};
use crate::users::{may_be_staged, ordinary};

#[test]
fn a_queue_outlives_a_limit_of_processes() {
    if !may_be_staged("a_queue_outlives_a_limit_of_processes") {
        return;
    }
    let mut server = ordinary(64_901, "ulimit -u 60", &["--cpus", "30"]);
    server.up();
    let ids: Vec<i64> = (0..30).map(|n| server.run(&format!("sleep 1; exit {}", n + 1))).collect();
    for (n, id) in ids.into_iter().enumerate() {
        ends_as(&server, id, "FAILED", Some(&format!("{}:0", n + 1)));
    }
    server.is_clean();
}

#[test]
fn a_fork_bomb_of_a_job_ends_no_server() {
    if !may_be_staged("a_fork_bomb_of_a_job_ends_no_server") {
        return;
    }
    let mut server = ordinary(64_902, "ulimit -u 200", &["--cpus", "2"]);
    server.up();
    let id = server.submit(&json!({
        "script": "echo hello; b() { b | b & }; b; sleep 600", "kill_grace_s": 1
    }));
    server.started(id);
    // Reads of all kinds need threads, and there are none to be had.
    for path in ["stdout", "events", "attempts", "script"] {
        for _ in 0..5 {
            let answer = server.get(&format!("/api/v1/jobs/{id}/{path}"));
            assert!(matches!(answer.status, 200 | 503), "{path}: {answer:?}");
        }
    }
    assert_eq!(server.get("/api/v1/jobs").status, 200);
    cancel(&server, id);
    assert_eq!(server.ended(id)["state"], "CANCELLED");
    ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
    server.is_clean();
}

#[test]
fn a_folder_of_jobs_that_takes_nothing_is_waited_for_and_spoken_of() {
    let test = "a_folder_of_jobs_that_takes_nothing_is_waited_for_and_spoken_of";
    let server = Server::start();
    ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
    let closed = match Mount::read_only(&server.data().join("jobs")) {
        Ok(mount) => mount,
        Err(why) => return skipped(test, &why),
    };
    let ids: Vec<i64> = (0..6).map(|_| server.run("exit 4")).collect();
    let notes = || server.get("/api/v1/info").json()["notes"].to_string();
    until("the trouble to be spoken of", || match notes() {
        said if said.contains("read-only") && said.contains("cannot be started") => Ok(()),
        said => Err(said),
    });
    let states: BTreeSet<String> =
        ids.iter().map(|id| server.job(*id)["state"].as_str().unwrap().to_owned()).collect();
    assert!(states.is_subset(&["PENDING", "RUNNING"].map(String::from).into()), "{states:?}");
    assert!(states.contains("PENDING"), "no more are started while none can be: {states:?}");
    cancel(&server, ids[0]);
    ends_as(&server, ids[0], "CANCELLED", None);
    drop(closed);
    for id in &ids[1..] {
        ends_as(&server, *id, "FAILED", Some("4:0"));
    }
    until("it to be over", || match notes() {
        said if said.contains("cannot be started") => Err(said),
        _ => Ok(()),
    });
    server.is_clean();
}

#[test]
fn a_limit_of_file_sizes_ends_no_server() {
    let mut server = Server::unstarted(&["--cpus", "2"]);
    let words = ["bash", "-c", "ulimit -f 8000; exec \"$@\"", "x"];
    server.wrap = words.iter().map(ToString::to_string).collect();
    server.up();
    let long = format!("#{}\ntrue", "x".repeat(3_000_000));
    let answers: BTreeSet<u16> =
        (0..8).map(|_| server.post("/api/v1/jobs", &json!({"script": long})).status).collect();
    assert!(answers.iter().all(|status| matches!(status, 201 | 503 | 507)), "{answers:?}");
    assert_eq!(server.get("/health/live").status, 200);
}
