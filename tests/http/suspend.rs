//! *Purpose*: jobs that are suspended and go on.
//!
//! *Owns*: `POST /jobs/{id}/suspend` and `/unsuspend`.
//!
//! *Promises*: none of its own. Where nothing can be suspended the cases see that it is refused.
//!
//! *Not here*: what the processes notice (`tests/engine_conformance`), crashes on the way
//! (`tests/faults`), who may (`tests/people`).

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{Gate, problem};

cases! {
    a_suspended_job_is_shown_as_such_and_goes_on => [
        "POST /api/v1/jobs/{id}/suspend",
        "POST /api/v1/jobs/{id}/unsuspend",
    ],
    of_an_array_every_task_that_runs_is_suspended => [
        "POST /api/v1/jobs/{id}/suspend",
        "POST /api/v1/jobs/{id}/unsuspend",
    ],
    whoever_does_not_run_cannot_be_suspended => [
        "POST /api/v1/jobs/{id}/suspend",
        "POST /api/v1/jobs/{id}/unsuspend",
    ],
}

fn ask(server: &Server, id: impl std::fmt::Display, what: &str) -> crate::common::Answer {
    server.post(&format!("/api/v1/jobs/{id}/{what}"), &json!({}))
}

/// Whether jobs can be suspended here; where they cannot, that is what is said.
fn can(server: &Server, id: i64) -> bool {
    let answer = ask(server, id, "suspend");
    if answer.status != 501 {
        return true;
    }
    let refused = answer.json();
    println!("SKIPPED suspend: {refused}");
    assert_eq!(refused["code"], "not_possible_here");
    false
}

fn causes(server: &Server, id: i64) -> Vec<String> {
    let events = server.get(&format!("/api/v1/jobs/{id}/events")).json();
    let causes = events.as_array().unwrap().iter().map(|e| e["cause"].as_str().unwrap());
    causes.filter(|cause| cause.contains("suspended")).map(str::to_owned).collect()
}

fn a_suspended_job_is_shown_as_such_and_goes_on() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let id = server.submit(&json!({"script": gate.wait(), "time_limit": "1h"}));
    server.started(id);
    let job = server.job(id);
    assert_eq!((&job["suspend_time"], &job["suspended_s"]), (&Value::Null, &json!(0)));
    if !can(&server, id) {
        return gate.open();
    }
    let job = ask(&server, id, "suspend").expect(202).json();
    assert_eq!((&job["state"], &job["state_reason"]), (&json!("RUNNING"), &json!("Suspended")));
    assert!(job["suspend_time"].is_string(), "{job}");
    assert!(job["state_detail"].as_str().unwrap().contains("keeps what it holds"), "{job}");
    assert_eq!(job["allocation"]["released"], false);
    let again = ask(&server, id, "suspend").expect(202).json();
    assert_eq!(again["suspend_time"], job["suspend_time"], "it is suspended already");
    let job = ask(&server, id, "unsuspend").expect(202).json();
    assert_eq!((&job["suspend_time"], &job["state_reason"]), (&Value::Null, &Value::Null));
    let refused = problem(ask(&server, id, "unsuspend"), 409);
    assert_eq!(refused["detail"], format!("job {id} is not suspended"));
    assert_eq!(causes(&server, id), ["suspended", "unsuspended"]);
    let history = server.get("/api/v1/history?limit=2").json();
    let verbs = history.as_array().unwrap().iter().map(|line| line["verb"].as_str().unwrap());
    assert_eq!(verbs.collect::<Vec<_>>(), ["unsuspend", "suspend"]);
    // What is ended is not suspended any more, and a cancel reaches it.
    ask(&server, id, "suspend").expect(202);
    let cancelled = ask(&server, id, "cancel");
    // It may have ended before it is looked at for the answer.
    assert!([200, 202].contains(&cancelled.status), "{}", cancelled.text());
    let job = server.ended(id);
    assert_eq!((&job["state"], &job["suspend_time"]), (&json!("CANCELLED"), &Value::Null));
    assert_eq!(causes(&server, id), ["suspended", "unsuspended", "suspended", "unsuspended"]);
    server.is_clean();
}

fn of_an_array_every_task_that_runs_is_suspended() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let id = server.submit(&json!({"script": gate.wait(), "array": "0-2%2"}));
    let task = |n: u32| server.get(&format!("/api/v1/jobs/{id}_{n}")).expect(200).json();
    for n in [0, 1] {
        until("two tasks to run", || match task(n) {
            job if !job["start_time"].is_null() => Ok(()),
            job => Err(job.to_string()),
        });
    }
    let first = task(0)["id"].as_i64().unwrap();
    if !can(&server, first) {
        return gate.open();
    }
    let waits = problem(ask(&server, format!("{id}_2"), "suspend"), 409);
    assert!(waits["detail"].as_str().unwrap().contains("is PENDING"), "{waits}");
    ask(&server, id, "suspend").expect(202);
    assert!(task(0)["suspend_time"].is_string() && task(1)["suspend_time"].is_string());
    ask(&server, format!("{id}_1"), "unsuspend").expect(202);
    assert!(task(0)["suspend_time"].is_string() && task(1)["suspend_time"].is_null());
    ask(&server, id, "unsuspend").expect(202);
    assert!(task(0)["suspend_time"].is_null());
    gate.open();
    for n in 0..3 {
        assert_eq!(server.ended(task(n)["id"].as_i64().unwrap())["state"], "COMPLETED");
    }
}

fn whoever_does_not_run_cannot_be_suspended() {
    let server = Server::start();
    let over = server.run("true");
    server.ended(over);
    let held = server.submit(&json!({"script": "true", "held": true}));
    if !can(&server, over) {
        return;
    }
    for (id, state) in [(over, "COMPLETED"), (held, "PENDING")] {
        let refused = problem(ask(&server, id, "suspend"), 409);
        let detail = format!("job {id} is {state}; only a job that runs can be suspended");
        assert_eq!((&refused["code"], &refused["detail"]), (&json!("job_state"), &json!(detail)));
        let refused = problem(ask(&server, id, "unsuspend"), 409);
        assert_eq!(refused["detail"], format!("job {id} is {state} and not suspended"));
    }
    problem(ask(&server, 999, "suspend"), 404);
    assert!(causes(&server, held).is_empty());
}
