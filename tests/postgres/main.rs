//! *Purpose*: the real binary on PostgreSQL.
//!
//! *Owns*: what its users see: jobs that outlive the server, refusals.
//!
//! *Promises*: each case has a schema of its own; without a server to test on each says `SKIPPED`.
//!
//! *Not here*: what is written and found (`store::body::tests`); the server, which `tests/run`
//! starts and removes.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

use common::Server;
use serde_json::json;

/// Names a server that tests may fill with schemas.
const POSTGRES: &str = "DOWNBEAT_TEST_POSTGRES";

/// Its URL with a schema of this name; with a password, which it does not ask for.
fn url(schema: &str) -> Option<String> {
    let Ok(server) = std::env::var(POSTGRES) else {
        println!("SKIPPED {schema}: no PostgreSQL is named by {POSTGRES}");
        return None;
    };
    let sign = if server.contains('?') { '&' } else { '?' };
    let nobody_else = std::process::id();
    Some(format!("{server}{sign}password=hunter2&schema={schema}_{nobody_else}"))
}

fn on(url: &str) -> Server {
    Server::unstarted(&["--cpus", "4", "--database-url", url])
}

/// What a server says that cannot be started.
fn refused(server: &Server) -> String {
    let mut command = server.command();
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let said = common::finish(command, "").ends(1);
    assert!(!said.err.contains("hunter2") && !said.out.contains("hunter2"), "{said:?}");
    said.err
}

#[test]
fn jobs_outlive_a_server_that_is_killed() {
    let Some(url) = url("outlive") else { return };
    let mut server = on(&url);
    server.up();
    let done = server.run("echo before; exit 3");
    assert_eq!(server.ended(done)["exit_code"], "3:0");
    let runs = server.run("while [ ! -e go ]; do sleep 0.02; done");
    server.started(runs);
    let many: Vec<_> = (0..20).map(|_| json!({"script": "#!/bin/sh\ntrue\n"})).collect();
    let stored = server.post("/api/v1/jobs/batch", &json!({ "jobs": many })).expect(201).json();
    server.kill();
    server.up();
    assert_eq!(server.job(done)["state"], "FAILED", "what ended is remembered");
    assert_eq!(server.stdout(done), "before\n");
    assert_eq!(server.job(runs)["state"], "RUNNING", "what runs is taken up");
    let folder = server.job(runs)["working_directory"].as_str().unwrap().to_owned();
    std::fs::write(std::path::Path::new(&folder).join("go"), "").unwrap();
    assert_eq!(server.ended(runs)["state"], "COMPLETED");
    for id in stored["job_ids"].as_array().unwrap() {
        assert_eq!(server.ended(id.as_i64().unwrap())["state"], "COMPLETED");
    }
    let audit = server.get("/api/v1/audit").expect(200).json();
    assert_eq!(audit["consistent"], true, "{audit}");
    let info = server.get("/api/v1/info").expect(200).text();
    assert!(!info.contains("hunter2") && !server.log().contains("hunter2"), "{info}");
}

#[test]
fn two_servers_never_share_a_schema() {
    let Some(url) = url("shared") else { return };
    let mut first = on(&url);
    first.up();
    let said = refused(&on(&url));
    let pid = first.pid().to_string();
    assert!(said.contains("another server uses the schema") && said.contains(&pid), "{said}");
    let id = first.run("true");
    assert_eq!(first.ended(id)["state"], "COMPLETED", "the first one goes on");
}

#[test]
fn what_cannot_be_used_is_refused_in_a_sentence() {
    let Some(good) = url("refused") else { return };
    for (from, to, words) in [
        ("/postgres?", "/nowhere?", "database \"nowhere\" does not exist"),
        ("host=", "host=/nowhere", "/nowhere"),
        ("schema=refused", "schema=information_schema&x=", "invalid URI query parameter"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "the server for tests is named in another way");
        let said = refused(&on(&bad));
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
    let foreign =
        good.replace(&format!("schema=refused_{}", std::process::id()), "schema=pg_toast");
    let said = on(&foreign).command().output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("schema begins with pg_") && !said.contains("hunter2"), "{said}");
}
