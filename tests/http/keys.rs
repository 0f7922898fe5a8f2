//! *Purpose*: a submit that is sent twice is one job.
//!
//! *Owns*: `Idempotency-Key`.
//!
//! *Promises*: judged by the table of jobs, not by the answers alone.
//!
//! *Not here*: what the command line does with keys (`tests/cli`).

use serde_json::{Value, json};

use crate::common::{Answer, Server};
use crate::help::{fields, is_job, problem};

cases! {
    the_same_key_and_body_is_the_same_job => ["POST /api/v1/jobs"],
    the_same_key_with_another_body_is_a_conflict => ["POST /api/v1/jobs"],
    a_batch_sent_twice_is_stored_once => ["POST /api/v1/jobs/batch"],
    eight_at_once_with_one_key_are_one_job => ["GET /api/v1/jobs"],
    a_key_outlives_the_server => ["POST /api/v1/jobs", "POST /jobs/submit"],
    a_refused_body_uses_no_key_up => ["POST /api/v1/jobs"],
}

fn send(server: &Server, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    server.send("POST", path, &headers, body.to_string().as_bytes())
}

fn count(server: &Server) -> String {
    server.sql("SELECT count(*) || '' AS line FROM jobs")
}

fn the_same_key_and_body_is_the_same_job() {
    let server = Server::start();
    let body = json!({"script": "true"});
    assert_eq!(send(&server, "/api/v1/jobs", "k", &body).expect(201).json()["id"], 1);
    let again = send(&server, "/api/v1/jobs", "k", &body).expect(200);
    assert_eq!(again.header("location"), Some("/api/v1/jobs/1"));
    is_job(&again.json());
    assert_eq!(again.json()["id"], 1);
    server.ended(1);
    assert_eq!(send(&server, "/api/v1/jobs", "k", &body).expect(200).json()["state"], "COMPLETED");
    assert_eq!(count(&server), "1");
}

fn the_same_key_with_another_body_is_a_conflict() {
    let server = Server::start();
    send(&server, "/api/v1/jobs", "k", &json!({"script": "true"})).expect(201);
    let other = send(&server, "/api/v1/jobs", "k", &json!({"script": "false"}));
    let said = problem(other, 409);
    assert!(said["detail"].as_str().unwrap().contains("\"k\""), "{said}");
    assert_eq!(count(&server), "1");
    for key in ["", &"k".repeat(256)] {
        let bad = send(&server, "/api/v1/jobs", key, &json!({"script": "true"}));
        assert_eq!(fields(&problem(bad, 400)), ["Idempotency-Key"]);
    }
    assert_eq!(count(&server), "1");
}

fn a_batch_sent_twice_is_stored_once() {
    let server = Server::start();
    let body = json!({"jobs": [{"script": "true"}, {"script": "true"}]});
    let first = send(&server, "/api/v1/jobs/batch", "k", &body).expect(201).json();
    let again = send(&server, "/api/v1/jobs/batch", "k", &body).expect(200).json();
    assert_eq!(first, again);
    problem(send(&server, "/api/v1/jobs/batch", "k", &json!({"jobs": [{"script": "x"}]})), 409);
    assert_eq!(count(&server), "2");
}

fn eight_at_once_with_one_key_are_one_job() {
    let server = Server::start();
    let body = json!({"script": "true"});
    for round in 0..5 {
        let key = format!("k{round}");
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let sent: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| send(&server, "/api/v1/jobs", &key, &body)))
                .collect();
            sent.into_iter().map(|s| s.join().unwrap()).collect()
        });
        let made = answers.iter().filter(|a| a.status == 201).count();
        let again = answers.iter().filter(|a| a.status == 200).count();
        assert_eq!((made, again), (1, 7), "{answers:?}");
        assert!(answers.iter().all(|a| a.json()["id"] == round + 1), "{answers:?}");
    }
    let list = server.get("/api/v1/jobs").expect(200).json();
    assert_eq!(list["jobs"].as_array().unwrap().len(), 5, "{list}");
}

fn a_key_outlives_the_server() {
    let mut server = Server::start();
    let body = json!({"script": "true"});
    send(&server, "/api/v1/jobs", "k", &body).expect(201);
    let old = json!({"script": "true", "job": {}});
    assert_eq!(send(&server, "/jobs/submit", "old", &old).expect(201).json()["job_id"], "2");
    server.kill();
    server.up();
    assert_eq!(send(&server, "/api/v1/jobs", "k", &body).expect(200).json()["id"], 1);
    assert_eq!(send(&server, "/jobs/submit", "old", &old).expect(200).json()["job_id"], "2");
    problem(send(&server, "/api/v1/jobs", "k", &json!({"script": "false"})), 409);
    assert_eq!(count(&server), "2");
}

fn a_refused_body_uses_no_key_up() {
    let server = Server::start();
    problem(send(&server, "/api/v1/jobs", "k", &json!({"script": ""})), 422);
    send(&server, "/api/v1/jobs", "k", &json!({"script": "true"})).expect(201);
}
