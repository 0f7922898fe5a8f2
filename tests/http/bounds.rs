//! *Purpose*: what one request can make of an answer, and of the server.
//!
//! *Owns*: numbers that overflow, crowds of faults and warnings, parameters that nobody knows.
//!
//! *Promises*: the server that is asked afterwards is the same process.
//!
//! *Not here*: which bodies are bad (`refusals`).

use serde_json::{Map, Value, json};

use crate::common::Server;
use crate::help::{fields, is_kind, problem};

/// More than any answer that lists faults may have.
const ANSWER_BYTES: usize = 64 * 1024;

cases! {
    a_number_beyond_all_bounds_is_a_refusal => ["POST /api/v1/jobs", "POST /jobs/submit"],
    of_two_hundred_thousand_faults_twenty_are_named => ["POST /api/v1/jobs",
        "POST /api/v1/jobs/batch"],
    a_fault_is_not_as_long_as_what_was_sent => ["POST /api/v1/jobs", "GET /api/v1/jobs"],
    a_body_of_too_many_values_is_not_read => ["POST /api/v1/jobs"],
    of_a_thousand_warnings_twenty_are_kept => ["POST /api/v1/jobs", "GET /api/v1/jobs/{id}"],
    a_parameter_that_a_route_does_not_know_is_refused_whatever_the_method => ["POST /api/v1/jobs",
        "POST /api/v1/jobs/batch", "POST /api/v1/jobs/{id}/hold", "PATCH /api/v1/jobs/{id}",
        "DELETE /api/v1/jobs/{id}", "GET /api/v1/jobs/{id}", "POST /jobs/submit",
        "GET /api/v1/events", "DELETE /api/v1/maintenance"],
    a_dry_run_of_a_batch_checks_and_stores_nothing => ["POST /api/v1/jobs/batch",
        "GET /api/v1/jobs"],
}

fn a_number_beyond_all_bounds_is_a_refusal() {
    let server = Server::start();
    let pid = server.pid();
    for number in [
        "184467440737095516155",
        "18446744073709551615.9",
        "99999999999999999999999999999999999999999999.9E",
        "9223372036854775808",
    ] {
        for path in ["/api/v1/jobs", "/api/v1/jobs?dry_run=true"] {
            let body = json!({"script": "true", "memory": number});
            assert_eq!(fields(&problem(server.post(path, &body), 422)), ["memory"]);
            let script = format!("#!/bin/sh\n#SBATCH --mem={number}\ntrue");
            let said = problem(server.post(path, &json!({"script": script})), 422);
            assert_eq!(fields(&said), ["script"], "{said}");
        }
        let nested = json!({"script": "true", "job": {"memory_per_node": number}});
        problem(server.post("/jobs/submit", &nested), 422);
        for field in ["time_limit", "kill_grace", "begin_time", "array", "signal", "dependency"] {
            let body = json!({"script": "true", field: number});
            assert_eq!(fields(&problem(server.post("/api/v1/jobs", &body), 422)), [field]);
        }
        for query in ["limit", "cursor", "array_job_id", "since"] {
            problem(server.get(&format!("/api/v1/jobs?{query}={number}")), 400);
        }
    }
    assert_eq!((server.run("true"), server.pid()), (1, pid));
}

/// How many the last of the listed faults says there are more.
fn more(said: &Value) -> String {
    said["errors"].as_array().unwrap().last().unwrap()["message"].as_str().unwrap().to_owned()
}

fn of_two_hundred_thousand_faults_twenty_are_named() {
    let server = Server::start();
    let mut unknown: Map<String, Value> =
        (0..200_000).map(|n| (format!("f{n}"), json!(0))).collect();
    unknown.insert("script".to_owned(), json!("true"));
    let answer = server.post("/api/v1/jobs", &Value::Object(unknown));
    assert!(answer.body.len() < ANSWER_BYTES, "{} bytes", answer.body.len());
    let said = problem(answer, 422);
    assert_eq!((fields(&said).len(), more(&said).as_str()), (21, "and 199980 more"));
    assert_eq!(said.to_string().matches("known are").count(), 2, "once in each list: {said}");
    for (body, total) in [
        (json!({"jobs": vec![json!({"script": "true", "cpus": 0, "nope": 1}); 10_000]}), 20_000),
        (json!({"jobs": vec![json!({"script": "true", "cpus": 99}); 10_000]}), 10_000),
        (json!({"jobs": vec![json!(7); 10_000]}), 10_000),
    ] {
        let answer = server.post("/api/v1/jobs/batch", &body);
        assert!(answer.body.len() < ANSWER_BYTES, "{} bytes", answer.body.len());
        let said = problem(answer, 422);
        assert_eq!(more(&said), format!("and {} more", total - 20), "{said}");
    }
    let environment: Map<String, Value> =
        (0..50_000).map(|n| (format!("A={n}"), json!("x"))).collect();
    let answer =
        server.post("/api/v1/jobs", &json!({"script": "true", "environment": environment}));
    assert_eq!(more(&problem(answer, 422)), "and 49980 more");
}

fn a_fault_is_not_as_long_as_what_was_sent() {
    let server = Server::start();
    let long = "x".repeat(3_000_000);
    for field in ["dependency", "array", "signal", "time_limit", "memory", "working_directory"] {
        let answer = server.post("/api/v1/jobs", &json!({"script": "true", field: long}));
        assert!(answer.body.len() < ANSWER_BYTES, "{field}: {} bytes", answer.body.len());
        problem(answer, 422);
    }
    let answer = server.post("/api/v1/jobs", &json!({"script": "true", (long.as_str()): 1}));
    assert!(answer.body.len() < ANSWER_BYTES, "{} bytes", answer.body.len());
    let answer = server.get(&format!("/api/v1/jobs?state={}", "x".repeat(60_000)));
    assert!(answer.body.len() < ANSWER_BYTES, "{} bytes", answer.body.len());
    problem(answer, 400);
}

fn a_body_of_too_many_values_is_not_read() {
    let server = Server::start();
    let body = format!("{{\"script\":\"true\",\"x\":[{}0]}}", "0,".repeat(2_000_000));
    let json = [("content-type", "application/json")];
    let said = problem(server.send("POST", "/api/v1/jobs", &json, body.as_bytes()), 400);
    assert!(said["detail"].as_str().unwrap().contains("values"), "{said}");
    // Commas in a string are none.
    let body = json!({"script": format!("true #{}", ",[{".repeat(1_000_000))}).to_string();
    server.send("POST", "/api/v1/jobs", &json, body.as_bytes()).expect(201);
}

fn of_a_thousand_warnings_twenty_are_kept() {
    let server = Server::start();
    let lines: String = (0..1_000).map(|n| format!("#SBATCH --wckey=u{n}\n")).collect();
    let body = json!({"script": format!("#!/bin/sh\n{lines}true")});
    let job = server.post("/api/v1/jobs", &body).expect(201).json();
    for job in [&job, &server.job(job["id"].as_i64().unwrap())] {
        let warnings = job["warnings"].as_array().unwrap();
        assert_eq!((warnings.len(), &warnings[20]), (21, &json!("and 980 more.")));
    }
}

fn a_parameter_that_a_route_does_not_know_is_refused_whatever_the_method() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "true", "held": true}));
    let body = json!({"script": "true"}).to_string();
    let json = [("content-type", "application/json")];
    for (method, path, body) in [
        ("POST", "/api/v1/jobs?dryrun=true".to_owned(), body.as_str()),
        ("POST", "/api/v1/jobs?dry_run=true&x=1".to_owned(), &body),
        ("POST", "/api/v1/jobs/batch?Dry_Run=true".to_owned(), "{\"jobs\":[]}"),
        ("POST", "/jobs/submit?dry_run=true".to_owned(), &body),
        ("POST", format!("/api/v1/jobs/{id}/hold?hold=true"), ""),
        ("PATCH", format!("/api/v1/jobs/{id}?force=1"), "{\"priority\":1}"),
        ("DELETE", format!("/api/v1/jobs/{id}?signal=9"), ""),
        ("DELETE", "/api/v1/maintenance?id=1".to_owned(), ""),
        ("GET", format!("/api/v1/jobs/{id}?fields=id"), ""),
        ("GET", "/api/v1/events?last_event_id=1".to_owned(), ""),
        ("GET", "/api/v1/events?name=x".to_owned(), ""),
        ("GET", "/api/v1/info?pretty=1".to_owned(), ""),
        ("GET", "/metrics?name[]=x".to_owned(), ""),
        ("GET", format!("/api/v1/jobs/{id}/stdout?lines=3"), ""),
        ("POST", "/api/v1/jobs?dry%5Frun=true&dry-run".to_owned(), &body),
    ] {
        let answer = server.send(method, &path, &json, body.as_bytes());
        let said = is_kind(answer, (400, "unknown_parameter"));
        let named = fields(&said).remove(0);
        assert!(path.contains(&named), "{path}: {said}");
    }
    let twice = "/api/v1/jobs?dry_run=true&dry_run=false";
    problem(server.send("POST", twice, &json, body.as_bytes()), 400);
    let job = server.job(id);
    assert_eq!((&job["state"], &job["held"]), (&json!("PENDING"), &json!(true)));
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM jobs"), "1");
}

fn a_dry_run_of_a_batch_checks_and_stores_nothing() {
    let server = Server::start();
    let dry = "/api/v1/jobs/batch?dry_run=true";
    let good = json!({"jobs": [{"script": "true"}, {"script": "true", "cpus": 2}]});
    assert_eq!(server.post(dry, &good).expect(200).json(), json!({"job_ids": []}));
    let bad = json!({"jobs": [{"script": "true"}, {"script": "true", "cpus": 99}]});
    assert_eq!(fields(&problem(server.post(dry, &bad), 422)), ["jobs[1].cpus"]);
    let waits = json!({"jobs": [{"script": "true", "dependency": "afterok:77"}]});
    assert_eq!(fields(&problem(server.post(dry, &waits), 422)), ["jobs[0].dependency"]);
    assert_eq!(server.get("/api/v1/jobs").expect(200).json()["jobs"], json!([]));
    server.post("/api/v1/jobs/batch?dry_run=false", &good).expect(201);
}
