//! *Purpose*: the real binary is killed, and nothing is lost, doubled or invented.
//!
//! *Owns*: kill -9 of the server with jobs running and ending while it is down, of the step
//! daemon, of supervisors; graceful stop; a second server.
//!
//! *Promises*: each job leaves its own marks, so what happened is known from outside.
//!
//! *Not here*: faults inside one commit (`tests/simulation`), kills at named points
//! (`tests/faults`) and at random moments under load (`tests/kills`).

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::process::Stdio;

use common::{Server, children, signal, until};
use serde_json::json;

/// A script that marks its start, sleeps, marks its end and exits with a code.
fn marking(dir: &std::path::Path, name: &str, seconds: &str, code: i64) -> String {
    let dir = dir.display();
    format!(
        "#!/bin/bash\necho \"$DOWNBEAT_ATTEMPT\" >> {dir}/{name}.start\nsleep {seconds}\n\
         echo $? >> {dir}/{name}.end\nexit {code}\n"
    )
}

fn lines(path: std::path::PathBuf) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

/// The one crash test that every rival was put to: capacity 4; four jobs of 3, 5, 8 and 25 s,
/// six behind them, SIGKILL two seconds after the fourth start, twelve seconds nothing.
#[test]
fn the_crash_test_of_the_rivals_is_survived_whole() {
    let mut server = Server::start();
    let marks = server.dir.path().to_owned();
    let first = [("j1", "3", 11), ("j2", "5", 0), ("j3", "8", 13), ("j4", "25", 14)];
    let submit = |server: &Server, name: &str, seconds: &str, code| {
        (server.run(&marking(&marks, name, seconds, code)), code)
    };
    let running: Vec<(i64, i64)> =
        first.iter().map(|(name, s, code)| submit(&server, name, s, *code)).collect();
    let waiting: Vec<(i64, i64)> =
        (5..=10).map(|n| submit(&server, &format!("j{n}"), "0.3", n)).collect();
    for (id, _) in &running {
        server.started(*id);
    }
    pause(2);
    server.kill();
    pause(12);
    server.up();
    for (id, code) in running.iter().chain(&waiting) {
        let job = server.ended(*id);
        assert_eq!(job["exit_code"], format!("{code}:0"), "{job}");
    }
    for n in 1..=10 {
        assert_eq!(lines(marks.join(format!("j{n}.start"))), 1, "j{n} ran once");
        assert_eq!(lines(marks.join(format!("j{n}.end"))), 1, "j{n} ended once");
    }
    let probes: Vec<i64> = (0..6).map(|n| submit(&server, &format!("p{n}"), "1", 0).0).collect();
    until("four probes at once", || {
        let now = server.get("/api/v1/resources").json();
        if now["used_cpus"] == 4 { Ok(()) } else { Err(now.to_string()) }
    });
    for id in probes {
        assert_eq!(server.ended(id)["exit_code"], "0:0");
    }
    server.is_clean();
}

/// The test's own clock: time in which nothing is done, not a wait for something.
fn pause(seconds: u64) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    until("time to pass", || {
        if std::time::Instant::now() >= end { Ok(()) } else { Err("early".to_owned()) }
    });
}

#[test]
fn a_time_limit_is_kept_while_no_server_runs() {
    let mut server = Server::start();
    let id = server.submit(&json!({"script": "sleep 600", "time_limit": "1s", "kill_grace_s": 1}));
    let pid = server.started(id)["allocation"]["process_id"].as_i64().unwrap();
    server.kill();
    until("the script to be ended by its supervisor alone", || {
        let alive = std::path::Path::new(&format!("/proc/{pid}")).exists();
        if alive { Err(format!("{pid} lives")) } else { Ok(()) }
    });
    server.up();
    let job = server.ended(id);
    assert_eq!((job["state"].as_str(), job["exit_code"].as_str()), (Some("TIMEOUT"), Some("0:15")));
    server.is_clean();
}

#[test]
fn a_cancel_survives_the_server() {
    let mut server = Server::start();
    let id = server.submit(&json!({
        "script": "trap '' TERM; echo up; while :; do sleep 0.1; done", "kill_grace_s": 2
    }));
    server.says(id, "up\n");
    let answer = server.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).expect(202);
    assert_eq!(answer.json()["state"], "COMPLETING");
    assert_eq!(server.get("/api/v1/resources").json()["used_cpus"], 1, "CPUs stay held");
    server.kill();
    server.up();
    let job = server.ended(id);
    assert_eq!(
        (job["state"].as_str(), job["exit_code"].as_str()),
        (Some("CANCELLED"), Some("0:9"))
    );
    server.is_clean();
}

#[test]
fn the_step_daemon_may_die_and_jobs_go_on() {
    let server = Server::start();
    let id = server.run("sleep 1; exit 5");
    server.started(id);
    let daemon = server.step_daemon();
    signal(daemon, "KILL");
    until("another step daemon", || {
        let now = children(server.pid());
        if now.iter().any(|p| *p != daemon) { Ok(()) } else { Err(format!("{now:?}")) }
    });
    let after = server.run("exit 6");
    assert_eq!(server.ended(after)["exit_code"], "6:0");
    assert_eq!(server.ended(id)["exit_code"], "5:0");
    server.is_clean();
}

#[test]
fn a_lost_supervisor_is_node_fail_without_a_code_and_nothing_of_it_lives() {
    let server = Server::start();
    let id = server.run("setsid sleep 987 & sleep 986");
    let pid = server.started(id)["allocation"]["process_id"].as_i64().unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let parent = status.lines().find_map(|l| l.strip_prefix("PPid:")).unwrap().trim().to_owned();
    signal(parent.parse().unwrap(), "KILL");
    let job = server.ended(id);
    assert_eq!(job["state"], "NODE_FAIL", "{job}");
    assert!(job["exit_code"].is_null(), "{job}");
    assert!(job["error"].as_str().unwrap().contains("supervisor"), "{job}");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    server.is_clean();
}

#[test]
fn sigterm_leaves_jobs_running_and_exits_0() {
    let mut server = Server::start();
    let id = server.run("sleep 1; exit 7");
    server.started(id);
    let asked = std::time::Instant::now();
    assert_eq!(server.stop(), Some(0));
    assert!(asked.elapsed().as_secs() < 5, "within five seconds");
    server.up();
    assert_eq!(server.ended(id)["exit_code"], "7:0");
    server.is_clean();
}

#[test]
fn a_second_server_is_refused_with_the_holders_name() {
    let server = Server::start();
    let second = server.command().stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&format!("process {}", server.pid())), "{said}");
    assert!(said.contains(&server.url), "{said}");
    assert_eq!(server.ended(server.run("exit 4"))["exit_code"], "4:0", "the first one is unharmed");
}

/// What `tests/faults` builds into a binary of its own.
#[cfg(not(feature = "fault-points"))]
#[test]
fn a_normal_binary_knows_no_fault_point() {
    let binary = fs::read(env!("CARGO_BIN_EXE_downbeat")).unwrap();
    let holds = |text: &str| binary.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(holds("DOWNBEAT_DATA_DIR"), "the binary can be searched");
    for text in ["DOWNBEAT_FAULT_DIR", "DOWNBEAT_CLOCK_SKEW_FILE", "DOWNBEAT_EXTRA_MIGRATIONS"] {
        assert!(!holds(text), "{text}");
    }
    assert!(!holds("launch.state-locked"), "the table is not there");
}

/// Found by kills at random: a server that is killed while it starts its step daemon leaves a
/// copy of itself behind, for the moment until that becomes another program.
#[test]
fn a_lock_that_is_let_go_a_moment_later_refuses_no_server() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    fs::create_dir_all(server.data()).unwrap();
    let lock = fs::File::create(server.data().join("server.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let moment = std::time::Instant::now() + std::time::Duration::from_millis(300);
    server.spawn();
    until("the moment to pass", || {
        if std::time::Instant::now() >= moment { Ok(()) } else { Err("early".to_owned()) }
    });
    drop(lock);
    assert!(server.listens(), "{}", server.log());
}

#[test]
fn no_line_of_the_log_is_one_of_the_seeds_defects() {
    let server = Server::start();
    for _ in 0..3 {
        server.ended(server.run("true"));
    }
    server.is_clean();
    let log = server.log();
    assert!(log.contains("Resource manager initialized: total=4, used=0, available=4"), "{log}");
    assert!(log.contains("Scheduled 1 jobs, utilization: 25.0% (1/4 CPUs)"), "{log}");
    assert!(log.contains("Released 1 CPUs for job 1: used=0/4"), "{log}");
    assert!(!log.contains("No unreleased allocation found"), "{log}");
    assert!(!log.contains("Released orphan resources"), "{log}");
    let rows = server.sql(
        "SELECT job_id || ' ' || allocated_cpus || ' ' || released || ' ' || \
         ((released_time - allocation_time) > 0) AS line FROM resource_allocations ORDER BY id DESC LIMIT 10",
    );
    assert_eq!(rows, "3 1 1 1\n2 1 1 1\n1 1 1 1");
}
