//! *Purpose*: what a bug ends, and what a standstill is told as.
//!
//! *Owns*: bugs in a handler, in a read, in the resource manager, in `top`; parts of the
//! server that do not move.
//!
//! *Promises*: the server that goes on is the same process.
//!
//! *Not here*: kills (`table`).

use serde_json::json;

use crate::common::{Server, until};
use crate::freeze::Faults;
use crate::screen::Screen;

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

#[test]
fn a_server_whose_writer_or_manager_does_not_move_is_not_ready_and_says_which() {
    for (point, who) in [
        ("submit.committing", "the writer of the database"),
        ("allocate.planned", "the resource manager"),
    ] {
        let mut server = Server::unstarted(&["--cpus", "4"]);
        let mut faults = Faults::new(server.dir.path().join("faults"));
        server.env.push(("DOWNBEAT_FAULT_DIR".to_owned(), faults.dir.display().to_string()));
        server.up();
        server.send("GET", "/health/ready", &[], b"").expect(200);
        faults.arm(point);
        let (agent, url) = (server.agent(), server.at("/api/v1/jobs"));
        let asked = std::thread::spawn(move || {
            let body = json!({"script": "true"}).to_string();
            agent.post(&url).content_type("application/json").send(&body).map(|a| a.status())
        });
        assert_eq!(faults.frozen(point), server.pid());
        let began = std::time::Instant::now();
        let said = server.send("GET", "/health/ready", &[], b"").expect(503).text();
        assert!(said.contains(&format!("{who} has not answered for 2 s")), "{said}");
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
        server.send("GET", "/health/live", &[], b"").expect(200);
        faults.go();
        asked.join().unwrap().unwrap();
        until("readiness", || match server.send("GET", "/health/ready", &[], b"").status {
            200 => Ok(()),
            other => Err(other.to_string()),
        });
    }
}

#[test]
fn a_bug_in_top_leaves_the_terminal_as_it_was() {
    let server = Server::start();
    let dir = server.dir.path().join("faults");
    std::fs::create_dir(&dir).unwrap();
    let mut top = std::process::Command::new(env!("CARGO_BIN_EXE_downbeat"));
    top.arg("top").env("DOWNBEAT_FAULT_DIR", &dir);
    let screen = Screen::of(&server, top);
    screen.shows("Nothing runs.");
    std::fs::write(dir.join("bug.top"), "").unwrap();
    // Killed by its own signal, it says why where everybody can read it.
    screen.shows("a bug that a test wanted at bug.top");
    assert_eq!(screen.ends(), None);
}
