//! *Purpose*: a cancel is taken by pending, running and ended jobs alike.
//!
//! *Owns*: `DELETE` and both `cancel` routes.
//!
//! *Promises*: CPUs stay held until the process tree is gone.
//!
//! *Not here*: a server that dies in between (`tests/process.rs`).

use std::path::Path;

use serde_json::json;

use crate::common::Server;
use crate::help::{Gate, is_job, problem};

cases! {
    a_pending_job_is_cancelled_at_once => ["DELETE /api/v1/jobs/{id}"],
    a_running_job_keeps_its_cpus_until_it_is_gone => ["POST /api/v1/jobs/{id}/cancel",
        "GET /api/v1/resources"],
    a_job_that_ignores_term_is_killed_after_its_grace => ["DELETE /api/v1/jobs/{id}"],
    an_ended_job_stays_as_it_ended => ["DELETE /api/v1/jobs/{id}", "POST /api/v1/jobs/{id}/cancel"],
    cancelling_twice_is_the_same_as_once => ["POST /api/v1/jobs/{id}/cancel",
        "GET /api/v1/jobs/{id}/events"],
    an_unknown_job_cannot_be_cancelled => ["DELETE /api/v1/jobs/{id}",
        "POST /api/v1/jobs/{id}/cancel"],
    a_cancel_between_submit_and_start_is_never_lost => ["DELETE /api/v1/jobs/{id}"],
}

fn a_pending_job_is_cancelled_at_once() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let blocker = gate.blocker(&server);
    let mark = server.dir.path().join("ran");
    let id = server.run(&format!("touch '{}'", mark.display()));
    let answer = server.send("DELETE", &format!("/api/v1/jobs/{id}"), &[], b"");
    assert!(matches!(answer.status, 200 | 202), "{}", answer.text());
    is_job(&answer.json());
    let job = server.ended(id);
    assert_eq!(job["state"], "CANCELLED", "{job}");
    assert!(job["exit_code"].is_null() && job["start_time"].is_null(), "{job}");
    assert!(job["allocation"].is_null(), "{job}");
    gate.open();
    server.ended(blocker);
    server.ended(server.run("true"));
    assert!(!mark.exists(), "it ran nevertheless");
    server.is_clean();
}

fn a_running_job_keeps_its_cpus_until_it_is_gone() {
    let server = Server::start();
    let gate = Gate::new(&server);
    // TERM is heard and answered only when the gate opens.
    let script =
        format!("trap '{}; exit 0' TERM; echo up; while :; do sleep 0.02; done", gate.wait());
    let id = server.submit(&json!({"script": script, "cpus": 3, "kill_grace_s": 50}));
    server.started(id);
    server.says(id, "up\n");
    let answer = server.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).expect(202);
    is_job(&answer.json());
    assert_eq!(answer.json()["state"], "COMPLETING");
    let small = server.submit(&json!({"script": "true"}));
    server.ended(small);
    let large = server.submit(&json!({"script": "true", "cpus": 4}));
    let now = server.get("/api/v1/resources").json();
    assert_eq!((&now["used_cpus"], &now["pending_jobs"]), (&json!(3), &json!(1)), "{now}");
    assert_eq!(server.job(id)["allocation"]["released"], false);
    gate.open();
    let job = server.ended(id);
    assert_eq!(job["state"], "CANCELLED", "{job}");
    assert_eq!(job["allocation"]["released"], true, "{job}");
    assert_eq!(server.ended(large)["state"], "COMPLETED");
    server.is_clean();
}

fn a_job_that_ignores_term_is_killed_after_its_grace() {
    let server = Server::start();
    let script = "trap '' TERM; echo up; while :; do sleep 0.05; done";
    let id = server.submit(&json!({"script": script, "kill_grace_s": 1}));
    server.says(id, "up\n");
    server.send("DELETE", &format!("/api/v1/jobs/{id}"), &[], b"").expect(202);
    let job = server.ended(id);
    assert_eq!((&job["state"], &job["exit_code"]), (&json!("CANCELLED"), &json!("0:9")), "{job}");
    server.is_clean();
}

fn an_ended_job_stays_as_it_ended() {
    let server = Server::start();
    let id = server.run("exit 3");
    let before = server.ended(id);
    let path = format!("/api/v1/jobs/{id}");
    assert_eq!(server.send("DELETE", &path, &[], b"").expect(200).json(), before);
    assert_eq!(server.post(&format!("{path}/cancel"), &json!({})).expect(200).json(), before);
    assert_eq!(server.job(id), before);
}

fn cancelling_twice_is_the_same_as_once() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "sleep 600"}));
    let pid = server.started(id)["allocation"]["process_id"].as_i64().unwrap();
    let path = format!("/api/v1/jobs/{id}/cancel");
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..4).map(|_| scope.spawn(|| server.send("POST", &path, &[], b"").status)).collect();
        all.into_iter().map(|a| a.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|s| matches!(s, 200 | 202)), "{answers:?}");
    let job = server.ended(id);
    assert_eq!((&job["state"], &job["exit_code"]), (&json!("CANCELLED"), &json!("0:15")), "{job}");
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    server.send("POST", &path, &[], b"").expect(200);
    let events = server.get(&format!("/api/v1/jobs/{id}/events")).json();
    let to: Vec<&str> =
        events.as_array().unwrap().iter().map(|e| e["to"].as_str().unwrap()).collect();
    assert_eq!(to.iter().filter(|t| **t == "COMPLETING").count(), 1, "{to:?}");
    assert_eq!(to.iter().filter(|t| **t == "CANCELLED").count(), 1, "{to:?}");
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM resource_allocations"), "1");
    server.is_clean();
}

fn an_unknown_job_cannot_be_cancelled() {
    let server = Server::start();
    problem(server.send("DELETE", "/api/v1/jobs/77", &[], b""), 404);
    problem(server.post("/api/v1/jobs/77/cancel", &json!({})), 404);
    problem(server.post("/api/v1/jobs/x/cancel", &json!({})), 404);
}

fn a_cancel_between_submit_and_start_is_never_lost() {
    let server = Server::start();
    let ids: Vec<i64> = (0..20)
        .map(|_| {
            let id = server.submit(&json!({"script": "sleep 600", "kill_grace_s": 1}));
            let answer = server.send("DELETE", &format!("/api/v1/jobs/{id}"), &[], b"");
            assert!(matches!(answer.status, 200 | 202), "{}", answer.text());
            id
        })
        .collect();
    for id in ids {
        assert_eq!(server.ended(id)["state"], "CANCELLED");
    }
    server.is_clean();
}
