//! *Purpose*: other users of the machine, and web pages of other names.
//!
//! *Owns*: requests that another user makes; they need root to become one, and are left out
//! without.
//!
//! *Promises*: the other user is a real process of his own.
//!
//! *Not here*: tokens and mutations by foreign pages (`gate`).

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::common::Server;
use crate::help::{bare, problem};

/// A user that every system has, `nobody`.
const NOBODY: u32 = 65_534;

cases! {
    without_a_token_another_user_is_refused_and_health_is_not => ["GET /api/v1/jobs",
        "POST /api/v1/jobs", "GET /health/live"],
    with_a_token_another_user_may_ask => ["GET /api/v1/jobs"],
    a_page_of_another_name_reads_nothing => ["GET /api/v1/jobs", "GET /api/v1/info",
        "GET /health/live"],
    a_key_is_its_senders => ["POST /api/v1/jobs"],
}

/// Asks as another user; `None` where one cannot be become.
fn as_nobody(server: &Server, request: &str) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    crate::common::note(request.split(' ').next().unwrap(), request.split(' ').nth(1).unwrap());
    let port = server.url.rsplit(':').next().unwrap();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; printf \"$1\" >&3; cat <&3");
    let mut bash = Command::new("/bin/bash");
    bash.args(["-c", &script, "x", request]).uid(NOBODY).gid(NOBODY).stdin(Stdio::null());
    Some(String::from_utf8_lossy(&bash.output().unwrap().stdout).into_owned())
}

const REST: &str = "Host: localhost\\r\\nConnection: close\\r\\n";

fn without_a_token_another_user_is_refused_and_health_is_not() {
    let server = Server::start();
    server.get("/api/v1/jobs").expect(200);
    server.get("/health/live").expect(200);
    let post = format!(
        "POST /api/v1/jobs HTTP/1.1\\r\\n{REST}Content-Type: application/json\\r\\n\
         Content-Length: 17\\r\\n\\r\\n{{\"script\":\"true\"}}"
    );
    let get = format!("GET /api/v1/jobs HTTP/1.1\\r\\n{REST}\\r\\n");
    for request in [&post, &get] {
        let Some(answer) = as_nobody(&server, request) else { break };
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert!(answer.contains("you are user 65534"), "{answer}");
    }
    server.post("/api/v1/jobs", &json!({"script": "true"})).expect(201);
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM jobs"), "1");
    let health = format!("GET /health/live HTTP/1.1\\r\\n{REST}\\r\\n");
    if let Some(answer) = as_nobody(&server, &health) {
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

fn with_a_token_another_user_may_ask() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    server.env.push(("DOWNBEAT_TOKEN".to_owned(), "sesame".to_owned()));
    server.up();
    problem(server.get("/api/v1/jobs"), 401);
    for (token, status) in [("sesame", "200"), ("seed", "401")] {
        let request = format!(
            "GET /api/v1/jobs HTTP/1.1\\r\\n{REST}Authorization: Bearer {token}\\r\\n\\r\\n"
        );
        let Some(answer) = as_nobody(&server, &request) else { return };
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

fn a_page_of_another_name_reads_nothing() {
    let server = Server::start();
    for path in ["/api/v1/jobs", "/api/v1/info", "/api/v1/events", "/metrics", "/openapi.json"] {
        let (status, text) =
            bare(&server, &[&format!("GET {path} HTTP/1.1"), "Host: evil.example"], "");
        assert_eq!(status, 403, "{path}: {text}");
    }
    let (status, _) = bare(&server, &["GET /health/live HTTP/1.1", "Host: evil.example"], "");
    assert_eq!(status, 200);
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for host in ["localhost", "127.0.0.1:1", "[::1]:8000", own.as_str()] {
        let (status, text) =
            bare(&server, &["GET /api/v1/jobs HTTP/1.1", &format!("Host: {host}")], "");
        assert_eq!(status, 200, "{host}: {text}");
    }
}

fn a_key_is_its_senders() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    server.env.push(("DOWNBEAT_TOKEN".to_owned(), "sesame".to_owned()));
    server.env.push(("DOWNBEAT_ADMIN_TOKEN".to_owned(), "above-sesame".to_owned()));
    server.up();
    let submit = |token: &str, script: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
            ("authorization", bearer.as_str()),
        ];
        let body = json!({"script": script, "held": true}).to_string();
        server.send("POST", "/api/v1/jobs", &headers, body.as_bytes())
    };
    let first = submit("sesame", "true").expect(201).json()["id"].clone();
    let second = submit("above-sesame", "true").expect(201).json()["id"].clone();
    assert_ne!(first, second);
    assert_eq!(submit("sesame", "true").expect(200).json()["id"], first);
    assert_eq!(submit("above-sesame", "true").expect(200).json()["id"], second);
    problem(submit("sesame", "false"), 409);
}
