//! *Purpose*: what a bug ends.
//!
//! *Owns*: bugs in a handler, in a read of the database, in the resource manager.
//!
//! *Promises*: the server that goes on is the same process.
//!
//! *Not here*: kills (`table`).

use serde_json::json;

use crate::common::{Server, until};

fn armed(server: &mut Server) -> std::path::PathBuf {
    let dir = server.dir.path().join("faults");
    std::fs::create_dir(&dir).unwrap();
    server.env.push(("DOWNBEAT_FAULT_DIR".to_owned(), dir.display().to_string()));
    server.up();
    dir
}

#[test]
fn a_bug_in_a_handler_or_in_its_read_is_a_500_of_that_request_alone() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    let dir = armed(&mut server);
    let job = server.submit(&json!({"script": "sleep 60"}));
    server.started(job);
    let pid = server.pid();
    for (place, path) in [("bug.handler", "/api/v1/info"), ("bug.read", "/api/v1/jobs")] {
        std::fs::write(dir.join(place), "").unwrap();
        let answer = server.send("GET", path, &[("X-Request-ID", place)], b"").expect(500);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("x-request-id"), Some(place));
        let problem = answer.json();
        assert_eq!((&problem["status"], &problem["request_id"]), (&json!(500), &json!(place)));
        assert!(server.log().contains(&format!("wanted at {place}")), "{}", server.log());
        assert!(server.log().contains(&format!("(request {place})")), "{}", server.log());
        server.send("GET", path, &[], b"").expect(200);
    }
    assert_eq!((server.pid(), server.job(job)["state"].as_str()), (pid, Some("RUNNING")));
    server.send("GET", "/health/ready", &[], b"").expect(200);
}

#[test]
fn a_bug_in_the_resource_manager_ends_the_server_and_the_next_start_repairs() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    let dir = armed(&mut server);
    let job = server.submit(&json!({"script": "sleep 60"}));
    server.started(job);
    std::fs::write(dir.join("bug.manager"), "").unwrap();
    let answer = server.try_send("GET", "/api/v1/partitions", &[], b"");
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(server.died_of(), Some(6));
    server.up();
    until("the job to be there", || match server.job(job)["state"].as_str() {
        Some("RUNNING") => Ok(()),
        other => Err(format!("{other:?}")),
    });
}
