//! *Purpose*: who may ask, from where, with what; and what every error looks like.
//!
//! *Owns*: token, `Host` and `Origin`, content type, size, request ids, unknown paths.
//!
//! *Promises*: every refusal leaves the table of jobs empty.
//!
//! *Not here*: bodies (`refusals`).

use downbeat::api::ROUTES;
use serde_json::json;

use crate::common::Server;
use crate::help::{bare, problem};

const BODY: &str = "{\"script\":\"true\"}";
const TOKEN: &str = "a-token-of-this-test";

cases! {
    a_body_that_is_not_json_by_its_type_is_refused => ["POST /api/v1/jobs", "POST /jobs/submit"],
    a_foreign_page_may_change_nothing => ["POST /api/v1/jobs", "DELETE /api/v1/jobs/{id}"],
    a_body_above_the_bound_is_refused_unread => ["POST /api/v1/jobs/batch"],
    an_unknown_path_or_method_is_a_problem_with_its_request_id => ["GET /api/v1/jobs/{id}"],
    a_request_id_is_echoed_or_made_up => ["GET /health/live", "GET /api/v1/info"],
    with_a_token_every_route_but_health_needs_it => ["GET /health/live", "GET /health/ready",
        "GET /metrics"],
    what_can_be_read_can_be_asked_for_without_its_body => ["GET /api/v1/jobs/{id}"],
    every_route_tells_its_methods => [],
    a_slash_at_the_end_is_no_other_path => ["GET /api/v1/jobs", "GET /api/v1/jobs/{id}"],
    behind_a_proxy_the_public_name_is_ours => ["POST /api/v1/jobs", "GET /api/v1/jobs"],
    the_token_is_shown_nowhere => ["GET /api/v1/info", "POST /api/v1/jobs"],
}

fn nothing_is_stored(server: &Server) {
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM jobs"), "0");
}

fn a_body_that_is_not_json_by_its_type_is_refused() {
    let server = Server::start();
    for path in ["/api/v1/jobs", "/jobs/submit"] {
        problem(server.send("POST", path, &[], BODY.as_bytes()), 415);
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
            problem(server.send("POST", path, &[("content-type", kind)], BODY.as_bytes()), 415);
        }
    }
    nothing_is_stored(&server);
    let with_charset = [("content-type", "Application/JSON; charset=utf-8")];
    server.send("POST", "/api/v1/jobs", &with_charset, BODY.as_bytes()).expect(201);
}

fn a_foreign_page_may_change_nothing() {
    let server = Server::start();
    let own = server.url.strip_prefix("http://").unwrap();
    let length = format!("Content-Length: {}", BODY.len());
    let post = |host: &str, origin: Option<&str>| {
        let host = format!("Host: {host}");
        let origin = origin.map(|o| format!("Origin: {o}"));
        let mut head =
            vec!["POST /api/v1/jobs HTTP/1.1", &host, "Content-Type: application/json", &length];
        head.extend(origin.as_deref());
        bare(&server, &head, BODY)
    };
    for (host, origin) in [
        ("evil.example", None),
        ("evil.example:80", None),
        ("127.0.0.1.evil.example", None),
        ("", None),
        (own, Some("http://evil.example")),
        (own, Some("null")),
        (own, Some("http://127.0.0.1:1")),
        ("evil.example", Some("http://evil.example")),
    ] {
        let (status, text) = post(host, origin);
        assert_eq!(status, 403, "{host} {origin:?}: {text}");
        assert!(text.to_lowercase().contains("application/problem+json"), "{text}");
    }
    let (status, text) =
        bare(&server, &["DELETE /api/v1/jobs/1 HTTP/1.1", "Host: evil.example"], "");
    assert_eq!(status, 403, "{text}");
    nothing_is_stored(&server);
    let port = own.rsplit(':').next().unwrap();
    for (host, origin) in [
        (own.to_owned(), None),
        (format!("localhost:{port}"), Some(format!("http://localhost:{port}"))),
        (format!("[::1]:{port}"), None),
    ] {
        let (status, text) = post(&host, origin.as_deref());
        assert_eq!(status, 201, "{host} {origin:?}: {text}");
    }
}

fn a_body_above_the_bound_is_refused_unread() {
    let server = Server::start();
    let host = format!("Host: {}", server.url.strip_prefix("http://").unwrap());
    for path in ["/api/v1/jobs", "/api/v1/jobs/batch", "/jobs/submit"] {
        let first = format!("POST {path} HTTP/1.1");
        let length = format!("Content-Length: {}", (64 << 20) + 1);
        let head = [first.as_str(), &host, "Content-Type: application/json", &length];
        let (status, text) = bare(&server, &head, "{");
        assert_eq!(status, 413, "{text}");
        assert!(text.to_lowercase().contains("application/problem+json"), "{text}");
        assert!(text.contains("request_id"), "{text}");
    }
    nothing_is_stored(&server);
    // Below it a large batch goes through: 40 scripts of a mebibyte.
    let script = format!("true\n#{}", "x".repeat(1 << 20));
    let jobs = vec![json!({ "script": script }); 40];
    server.post("/api/v1/jobs/batch", &json!({ "jobs": jobs })).expect(201);
}

fn an_unknown_path_or_method_is_a_problem_with_its_request_id() {
    let server = Server::start();
    for path in ["/nope", "/api/v1", "/api/v1/jobs/1", "/api/v1/jobs/x", "/api/v1/jobs/1/nope"] {
        let answer = server.send("GET", path, &[("x-request-id", "r-1")], b"");
        assert_eq!(problem(answer, 404)["request_id"], "r-1", "{path}");
    }
    for id in ["-1", "99999999999999999999", "1.0", "%00"] {
        problem(server.get(&format!("/api/v1/jobs/{id}")), 404);
    }
    for (method, path) in [
        ("PUT", "/api/v1/jobs"),
        ("DELETE", "/api/v1/jobs"),
        ("POST", "/api/v1/resources"),
        ("GET", "/api/v1/jobs/1/cancel"),
        ("PUT", "/api/v1/jobs/1"),
    ] {
        let answer = server.send(method, path, &[("x-request-id", "r-2")], b"");
        let allow = answer.header("allow").unwrap_or_default().to_owned();
        assert_eq!(problem(answer, 405)["request_id"], "r-2", "{method} {path}");
        assert!(!allow.is_empty() && !allow.contains(method), "Allow of {path}: {allow:?}");
    }
}

fn a_request_id_is_echoed_or_made_up() {
    let server = Server::start();
    let echoed = server.send("GET", "/api/v1/info", &[("x-request-id", "mine 7")], b"");
    assert_eq!(echoed.header("x-request-id"), Some("mine 7"));
    let made: Vec<String> = (0..2)
        .map(|_| server.get("/health/live").header("x-request-id").unwrap().to_owned())
        .collect();
    assert!(!made[0].is_empty() && made[0] != made[1], "{made:?}");
    let long = "x".repeat(1_000);
    let answer = server.send("GET", "/health/live", &[("x-request-id", &long)], b"");
    assert!(answer.header("x-request-id").unwrap().len() < 200);
}

fn with_token() -> Server {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    server.env.push(("DOWNBEAT_TOKEN".to_owned(), TOKEN.to_owned()));
    server.up();
    server
}

fn with_a_token_every_route_but_health_needs_it() {
    let server = with_token();
    let right = format!("Bearer {TOKEN}");
    for route in ROUTES.iter().filter(|route| route.is_documented()) {
        let path = route.path.replace("{id}", "1");
        let free = path.starts_with("/health/");
        let json = ("content-type", "application/json");
        let without = server.send(route.method, &path, &[json], b"");
        if free {
            assert_eq!(without.status, 200, "{path}: {}", without.text());
            continue;
        }
        assert_eq!(without.header("www-authenticate"), Some("Bearer"), "{} {path}", route.method);
        problem(without, 401);
        for wrong in ["Bearer nope", "Basic nope", TOKEN, "Bearer", &format!("{right}x")] {
            let answer = server.send(route.method, &path, &[json, ("authorization", wrong)], b"");
            assert_eq!(answer.status, 401, "{wrong} on {path}");
        }
    }
    problem(server.get("/nope"), 401);
    nothing_is_stored(&server);
    let known = [("authorization", right.as_str()), ("content-type", "application/json")];
    // One that waits, for only such a job has a place in the line.
    let held = b"{\"script\":\"true\",\"held\":true}";
    server.send("POST", "/api/v1/jobs", &known, held).expect(201);
    let routes = ROUTES.iter().filter(|route| route.is_documented());
    for route in routes.filter(|r| r.method == "GET" && r.path != "/api/v1/events") {
        let path = route.path.replace("{id}", "1");
        let answer = server.send("GET", &path, &known, b"");
        // The job that is asked for is no array.
        let status = if path.ends_with("/array") { 404 } else { 200 };
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
}

fn the_token_is_shown_nowhere() {
    let server = with_token();
    let right = format!("Bearer {TOKEN}");
    let known = [("authorization", right.as_str()), ("content-type", "application/json")];
    let script = "env; tr '\\0' '\\n' < /proc/$PPID/environ";
    let body = json!({ "script": script }).to_string();
    server.send("POST", "/api/v1/jobs", &known, body.as_bytes()).expect(201);
    let wait = server.send("GET", "/api/v1/jobs/1/wait", &known, b"").expect(200).json();
    assert_eq!(wait["state"], "COMPLETED", "{wait}");
    let stdout = server.send("GET", "/api/v1/jobs/1/stdout", &known, b"").expect(200).text();
    assert!(stdout.contains("SLURM_JOB_ID=1"), "{stdout}");
    let info = server.send("GET", "/api/v1/info", &known, b"").expect(200);
    assert_eq!(info.json()["configuration"]["token"]["value"], "***");
    for (what, text) in [("log", server.log()), ("info", info.text()), ("environment", stdout)] {
        assert!(!text.contains(TOKEN), "the {what} shows the token: {text}");
    }
}

fn every_route_tells_its_methods() {
    let server = Server::start();
    for route in ROUTES {
        let path = route.path.replace("{id}", "1");
        let answer = server.send("OPTIONS", &path, &[], b"").expect(204);
        let allow: Vec<&str> = answer.header("allow").unwrap().split(", ").collect();
        assert!(allow.contains(&"OPTIONS") && allow.contains(&route.method), "{path}: {allow:?}");
        assert_eq!(allow.contains(&"GET"), allow.contains(&"HEAD"), "{path}: {allow:?}");
        assert!(answer.body.is_empty(), "{path}");
    }
    problem(server.send("OPTIONS", "/nope", &[], b""), 404);
}

fn a_slash_at_the_end_is_no_other_path() {
    let server = Server::start();
    let body = json!({"script": "true", "held": true});
    let id = server.post("/api/v1/jobs/", &body).expect(201).json()["id"].as_i64().unwrap();
    for route in ROUTES.iter().filter(|route| route.method == "GET") {
        // A stream does not end.
        if route.path == "/api/v1/events" || route.path.ends_with("/wait") {
            continue;
        }
        let path = route.path.replace("{id}", &id.to_string());
        let (plain, slash) = (server.get(&path), server.get(&format!("{path}/")));
        assert_eq!(plain.status, slash.status, "{path}");
        assert_eq!(plain.header("content-type"), slash.header("content-type"), "{path}");
    }
    server.get("/api/v1/jobs/?limit=1").expect(200);
    problem(server.get("/api/v1/jobs/?nope=1"), 400);
    let with_token = with_token();
    problem(with_token.get("/api/v1/jobs/"), 401);
    problem(with_token.get("//api/v1/jobs"), 401);
}

fn behind_a_proxy_the_public_name_is_ours() {
    let server = Server::with(&["--cpus", "1", "--public-host", "batch.example.org"]);
    let length = format!("Content-Length: {}", BODY.len());
    let post = |host: &str, origin: &str| {
        let (host, origin) = (format!("Host: {host}"), format!("Origin: {origin}"));
        let head = ["POST /api/v1/jobs HTTP/1.1", &host, "Content-Type: application/json", &length];
        bare(&server, &[&head[..], &[&origin]].concat(), BODY).0
    };
    // nginx with `Host $host` and Caddy pass the name on, others that of the server.
    for host in ["batch.example.org", "Batch.Example.org", "localhost"] {
        assert_eq!(post(host, "https://batch.example.org"), 201, "{host}");
    }
    assert_eq!(post("evil.example", "https://batch.example.org"), 403);
    assert_eq!(post("batch.example.org", "https://evil.example"), 403);
    assert_eq!(post("batch.example.org", "https://batch.example.org:8443"), 403);
    let read =
        |host: &str| bare(&server, &["GET /api/v1/jobs HTTP/1.1", &format!("Host: {host}")], "").0;
    assert_eq!((read("batch.example.org"), read("evil.example")), (200, 403));
}

fn what_can_be_read_can_be_asked_for_without_its_body() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "true", "held": true}));
    for route in ROUTES.iter().filter(|route| route.method == "GET") {
        if ["/wait", "/array", "/{name}"].iter().any(|end| route.path.ends_with(end)) {
            continue;
        }
        let path = route.path.replace("{id}", &id.to_string());
        let path = &path.replace("{version}", "v0.0.41");
        let head = server.send("HEAD", path, &[], b"").expect(200);
        // It does not end; its head does, and the connection goes on.
        if route.path == "/api/v1/events" {
            assert_eq!(head.header("content-type"), Some("text/event-stream"));
            continue;
        }
        let whole = server.get(path).expect(200);
        assert!(head.body.is_empty(), "{path}");
        assert_eq!(head.header("content-type"), whole.header("content-type"), "{path}");
    }
    let said = server.send("HEAD", "/api/v1/jobs/submit", &[], b"");
    assert_eq!(said.status, 405);
    assert_eq!(server.send("HEAD", "/api/v1/jobs?nope=1", &[], b"").status, 400);
}
