//! *Purpose*: jobs that want more memory than they asked for, or more than there is.
//!
//! *Owns*: the cases about `memory` of a job, from the request to the end.
//!
//! *Promises*: where no control group can be made, a case that needs one says `SKIPPED`.
//!
//! *Not here*: memory of the server (`limits`), one engine alone (`tests/engine_conformance`).

use std::fs;

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{cancel, ends_as, skipped, until_file};

/// A server that keeps jobs below their memory.
fn enforcing(test: &str, args: &[&str]) -> Option<Server> {
    let server = Server::with(args);
    let info = server.get("/api/v1/info").expect(200).json();
    let abilities = info["isolation"].as_array().unwrap();
    let memory = abilities.iter().find(|a| a["name"] == "memory").unwrap();
    let detail = memory["detail"].as_str().unwrap();
    if detail.contains("control group (version") {
        return Some(server);
    }
    skipped(test, detail);
    None
}

fn submit(server: &Server, script: &str, memory: &str) -> i64 {
    server.submit(&json!({"script": script, "memory": memory}))
}

/// Total, held, free.
fn memory(server: &Server) -> [Value; 3] {
    let now = server.get("/api/v1/resources").expect(200).json();
    ["total_memory_bytes", "used_memory_bytes", "available_memory_bytes"]
        .map(|name| now[name].clone())
}

#[test]
fn a_job_over_its_memory_ends_for_that_and_its_neighbour_lives() {
    let test = "a_job_over_its_memory_ends_for_that_and_its_neighbour_lives";
    let Some(server) = enforcing(test, &["--cpus", "4"]) else { return };
    let go = server.dir.path().join("go");
    let neighbour = submit(&server, &format!("{}; exit 5", until_file(&go)), "32M");
    server.started(neighbour);
    let greedy = submit(&server, "exec tail /dev/zero", "32M");
    let filling = "x=$(head -c 200M /dev/zero | tr '\\0' x); echo ${#x}";
    let shell = submit(&server, filling, "48M");
    ends_as(&server, greedy, "OUT_OF_MEMORY", Some("0:9"));
    let error = server.job(greedy)["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("out of memory: it reached its limit of 32 MiB (peak "), "{error}");
    until("the shell to end", || match &server.job(shell)["state"] {
        state if state == "OUT_OF_MEMORY" => Ok(()),
        state => Err(state.to_string()),
    });
    assert_eq!(server.job(neighbour)["state"], "RUNNING");
    fs::write(go, "").unwrap();
    ends_as(&server, neighbour, "FAILED", Some("5:0"));
    let enough = submit(&server, filling, "1G");
    ends_as(&server, enough, "COMPLETED", Some("0:0"));
    assert_eq!(server.stdout(enough), format!("{}\n", 200 << 20));
    server.is_clean();
}

#[test]
fn a_cancelled_job_is_cancelled_whatever_memory_it_wanted() {
    let test = "a_cancelled_job_is_cancelled_whatever_memory_it_wanted";
    let Some(server) = enforcing(test, &["--cpus", "4"]) else { return };
    let greedy = "trap 'tail /dev/zero' TERM; echo up; sleep 600 & wait; exit 5";
    let id = submit(&server, greedy, "32M");
    server.says(id, "up\n");
    cancel(&server, id);
    until("it to end", || match &server.job(id)["state"] {
        state if state == "CANCELLED" => Ok(()),
        state => Err(state.to_string()),
    });
    server.is_clean();
}

#[test]
fn two_jobs_that_want_more_than_there_is_run_one_after_the_other() {
    let mut server = Server::with(&["--cpus", "4", "--memory", "1G"]);
    assert_eq!(memory(&server), [json!(1 << 30), json!(0), json!(1 << 30)]);
    let [go, begun] = ["go", "begun"].map(|name| server.dir.path().join(name));
    let first = submit(&server, &until_file(&go), "700M");
    server.started(first);
    let second = submit(&server, &format!("touch {}", begun.display()), "400M");
    let third = submit(&server, "exit 3", "300M");
    ends_as(&server, third, "FAILED", Some("3:0"));
    let waits = server.job(second);
    let waits = (&waits["state_reason"], &waits["state_detail"]);
    let says = "is next; needs 400 MiB of memory, 324 MiB of 1 GiB are free";
    assert_eq!(waits, (&json!("Resources"), &json!(says)));
    let held = [json!(1 << 30), json!(700 << 20), json!(324 << 20)];
    assert_eq!(memory(&server), held);
    // What is held outlives the server, with it or without.
    server.kill();
    server.up();
    assert_eq!(memory(&server), held);
    assert_eq!(server.job(second)["state"], "PENDING");
    let fourth = submit(&server, "exit 4", "300M");
    ends_as(&server, fourth, "FAILED", Some("4:0"));
    assert!(!begun.exists());
    fs::write(go, "").unwrap();
    ends_as(&server, first, "COMPLETED", Some("0:0"));
    ends_as(&server, second, "COMPLETED", Some("0:0"));
    assert!(begun.exists());
    assert_eq!(memory(&server), [json!(1 << 30), json!(0), json!(1 << 30)]);
    server.is_clean();
}

#[test]
fn more_memory_than_there_is_is_refused_and_a_default_is_what_a_job_asked_for() {
    let settings = ["--cpus", "4", "--memory", "1G", "--default-memory-per-cpu", "64M"];
    let mut server = Server::with(&settings);
    let refused = json!({"script": "true", "memory": "2G"}).to_string();
    let refused = server.send(
        "POST",
        "/api/v1/jobs",
        &[("content-type", "application/json")],
        refused.as_bytes(),
    );
    let errors = refused.expect(422).json()["errors"].clone();
    let says = "2 GiB asked for, this server has 1 GiB";
    assert_eq!(errors, json!([{"field": "memory", "message": says}]));
    let go = server.dir.path().join("go");
    let id = server.submit(&json!({"script": until_file(&go), "cpus": 3}));
    server.started(id);
    assert_eq!(server.job(id)["memory_bytes"], 192 << 20);
    assert_eq!(memory(&server)[1], 192 << 20);
    // A server with less memory than is held hands out none.
    server.kill();
    server.args = ["--cpus", "4", "--memory", "128M"].iter().map(ToString::to_string).collect();
    server.up();
    assert_eq!(memory(&server), [json!(128 << 20), json!(192 << 20), json!(0)]);
    let waits = submit(&server, "exit 3", "1M");
    until("a reason", || match server.job(waits)["state_detail"].as_str() {
        Some(text) if text.contains("1 MiB of memory, 0 bytes of 128 MiB are free") => Ok(()),
        text => Err(format!("{text:?}")),
    });
    fs::write(go, "").unwrap();
    ends_as(&server, id, "COMPLETED", Some("0:0"));
    ends_as(&server, waits, "FAILED", Some("3:0"));
    server.is_clean();
}

#[test]
fn memory_that_is_not_counted_never_runs_out() {
    let server = Server::with(&["--cpus", "4", "--memory", "unlimited"]);
    let go = server.dir.path().join("go");
    let all: Vec<i64> = (0..3)
        .map(|_| server.submit(&json!({"script": until_file(&go), "memory": i64::MAX})))
        .collect();
    for id in &all {
        server.started(*id);
    }
    assert_eq!(memory(&server), [Value::Null, json!(u64::MAX), Value::Null]);
    fs::write(go, "").unwrap();
    for id in all {
        ends_as(&server, id, "COMPLETED", Some("0:0"));
    }
    assert_eq!(memory(&server)[1], 0);
    server.is_clean();
}
