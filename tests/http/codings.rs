//! *Purpose*: bodies that are sent packed.
//!
//! *Owns*: `Content-Encoding` on every route that takes a body, and its bounds.
//!
//! *Promises*: a packed body does what the same does unpacked.
//!
//! *Not here*: other heads of requests (`gate`).

use std::io::Write;

use downbeat::api::{Needs, ROUTES, RouteEntry};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::common::{Answer, Server};
use crate::help::{is_kind, problem};

cases! {
    a_packed_body_is_read_on_every_route_that_takes_one => ["POST /api/v1/jobs",
        "POST /api/v1/jobs/batch", "PATCH /api/v1/jobs/{id}", "POST /jobs/submit",
        "POST /api/v1/maintenance"],
    a_coding_that_is_not_read_is_refused_on_every_route_with_what_is => ["POST /api/v1/jobs",
        "POST /api/v1/jobs/batch"],
    a_small_body_that_unpacks_to_a_large_one_is_refused_by_the_bound_of_all => [
        "POST /api/v1/jobs/batch"],
    what_is_not_packed_is_refused_and_leaves_nothing => ["POST /api/v1/jobs"],
}

fn packed(body: &[u8]) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::fast());
    to.write_all(body).unwrap();
    to.finish().unwrap()
}

fn coded(server: &Server, (method, path): (&str, &str), coding: &str, body: &[u8]) -> Answer {
    let headers = [("content-type", "application/json"), ("content-encoding", coding)];
    server.send(method, path, &headers, body)
}

fn a_packed_body_is_read_on_every_route_that_takes_one() {
    let server = Server::start();
    let job = json!({"script": "true", "held": true});
    for (method, path, body, status) in [
        ("POST", "/api/v1/jobs", job.clone(), 201),
        ("POST", "/api/v1/jobs/batch", json!({"jobs": [job.clone(), job.clone()]}), 201),
        ("POST", "/jobs/submit", job.clone(), 201),
        ("PATCH", "/api/v1/jobs/1", json!({"time_limit": 7}), 200),
        ("POST", "/api/v1/maintenance", json!({"reason": "disk"}), 201),
    ] {
        let body = packed(body.to_string().as_bytes());
        coded(&server, (method, path), "gzip", &body).expect(status);
    }
    assert_eq!(server.job(1)["time_limit_s"], 420);
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM jobs"), "4");
    // The key counts what was packed, not how.
    let headers = |coding| {
        [
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
            ("content-encoding", coding),
        ]
    };
    let plain = job.to_string();
    let first = server.send("POST", "/api/v1/jobs", &headers("identity"), plain.as_bytes());
    let again = server.send("POST", "/api/v1/jobs", &headers("x-gzip"), &packed(plain.as_bytes()));
    assert_eq!(first.expect(201).json()["id"], again.expect(200).json()["id"]);
}

fn a_coding_that_is_not_read_is_refused_on_every_route_with_what_is() {
    let server = Server::start();
    // Of what is open to all no body is read.
    let takes = |route: &&RouteEntry| route.is_documented() && route.needs != Needs::Nothing;
    let routes = ROUTES.iter().filter(takes);
    for route in routes.filter(|route| matches!(route.method, "POST" | "PATCH")) {
        let path = route.path.replace("{id}", "1");
        for coding in ["br", "deflate", "gzip, br", "zstd"] {
            let answer = coded(&server, (route.method, &path), coding, b"{\"script\":\"true\"}");
            assert_eq!(answer.header("accept-encoding"), Some("gzip"), "{path} {coding}");
            let said = is_kind(answer, (415, "unsupported_content_encoding"));
            let said = said["detail"].as_str().unwrap();
            assert!(said.contains(coding) && said.contains("Content-Encoding: gzip"), "{said}");
        }
    }
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM jobs"), "0");
}

fn a_small_body_that_unpacks_to_a_large_one_is_refused_by_the_bound_of_all() {
    let server = Server::start();
    let bomb = packed(&vec![b' '; (64 << 20) + 1]);
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    for _ in 0..8 {
        let answer = coded(&server, ("POST", "/api/v1/jobs/batch"), "gzip", &bomb);
        is_kind(answer, (413, "body_too_large"));
    }
    // What they held is given back.
    let script = format!("true\n#{}", "x".repeat(1 << 20));
    let jobs = json!({ "jobs": vec![json!({"script": script, "held": true}); 40] }).to_string();
    coded(&server, ("POST", "/api/v1/jobs/batch"), "gzip", &packed(jobs.as_bytes())).expect(201);
}

fn what_is_not_packed_is_refused_and_leaves_nothing() {
    let server = Server::start();
    let whole = packed(b"{\"script\":\"true\"}");
    for body in [&b"{\"script\":\"true\"}"[..], &whole[..whole.len() - 1], &whole[..4]] {
        let said = is_kind(
            coded(&server, ("POST", "/api/v1/jobs"), "gzip", body),
            (400, "malformed_body"),
        );
        assert!(said["detail"].as_str().unwrap().contains("Content-Encoding: gzip"), "{said}");
    }
    problem(coded(&server, ("POST", "/api/v1/jobs"), "gzip", &packed(b"no JSON")), 400);
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM jobs"), "0");
}
