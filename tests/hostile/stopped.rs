//! *Purpose*: processes are frozen for a while.
//!
//! *Owns*: SIGSTOP of the server, of supervisors, of the step daemon.
//!
//! *Promises*: frozen is not dead: nothing is taken for lost, nothing is started twice, all is
//! told once it is thawed.
//!
//! *Not here*: SIGKILL (`tests/process.rs`).

use std::time::Duration;

use serde_json::json;

use crate::common::{Server, signal, until};
use crate::help::{Marks, cancel, ends_as, gone, is_stopped, parent, pause, script_of, until_file};

/// Freezes a process and waits until it is.
fn freeze(pid: u32) {
    signal(pid, "STOP");
    until("it to be frozen", || if is_stopped(pid) { Ok(()) } else { Err("no".to_owned()) });
}

#[test]
fn jobs_end_truly_while_the_server_is_frozen() {
    let server = Server::start();
    let marks = Marks::of(&server);
    let ids: Vec<(i64, i64)> =
        (1..=8).map(|n| (server.run(&marks.script(&format!("j{n}"), "sleep 0.5", n)), n)).collect();
    let scripts: Vec<u32> =
        ids[..4].iter().map(|(id, _)| script_of(&server.started(*id))).collect();
    freeze(server.pid());
    for script in scripts {
        gone(script);
    }
    signal(server.pid(), "CONT");
    for (id, code) in ids {
        ends_as(&server, id, "FAILED", Some(&format!("{code}:0")));
        assert_eq!(marks.starts(&format!("j{code}")), 1);
    }
    server.is_clean();
}

#[test]
fn a_limit_that_passes_while_the_supervisor_is_frozen_is_kept_afterwards() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "sleep 600", "time_limit": "1s", "kill_grace_s": 1}));
    let script = script_of(&server.started(id));
    let supervisor = parent(script);
    freeze(supervisor);
    // Longer than limit and grace together.
    pause(Duration::from_millis(2500));
    assert_eq!(server.job(id)["state"], "RUNNING", "it lives, so it holds its CPUs");
    signal(supervisor, "CONT");
    ends_as(&server, id, "TIMEOUT", Some("0:15"));
    server.is_clean();
}

#[test]
fn a_cancel_wakes_a_frozen_supervisor() {
    let server = Server::start();
    let id = server.run("sleep 600");
    let supervisor = parent(script_of(&server.started(id)));
    freeze(supervisor);
    cancel(&server, id);
    ends_as(&server, id, "CANCELLED", Some("0:15"));
    server.is_clean();
}

#[test]
fn a_script_that_ends_while_its_supervisor_is_frozen_holds_its_cpus_until_that_says_so() {
    let mut server = Server::start();
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    let id = server.run(&marks.script("job", &until_file(&go), 7));
    let script = script_of(&server.started(id));
    let supervisor = parent(script);
    freeze(supervisor);
    std::fs::write(go, "").unwrap();
    gone(script);
    // Also for a server that comes new: frozen is not dead.
    server.kill();
    server.up();
    assert_eq!(server.job(id)["state"], "RUNNING");
    assert_eq!(server.get("/api/v1/resources").json()["used_cpus"], 1);
    signal(supervisor, "CONT");
    ends_as(&server, id, "FAILED", Some("7:0"));
    assert_eq!(marks.starts("job"), 1);
    server.is_clean();
}

#[test]
fn launches_wait_for_a_frozen_step_daemon_and_a_cancelled_one_never_runs() {
    let server = Server::start();
    let marks = Marks::of(&server);
    let daemon = server.step_daemon();
    freeze(daemon);
    let ids: Vec<i64> =
        (0..3).map(|n| server.run(&marks.script(&format!("j{n}"), "true", 5))).collect();
    until("all to be ordered", || {
        let now = server.get("/api/v1/resources").json();
        if now["used_cpus"] == 3 { Ok(()) } else { Err(now.to_string()) }
    });
    cancel(&server, ids[2]);
    let control = || crate::help::spool_of(&server, ids[2]).join("control");
    until("the wish to be written", || if control().exists() { Ok(()) } else { Err("no".into()) });
    assert_eq!(marks.starts("j0") + marks.starts("j1") + marks.starts("j2"), 0);
    signal(daemon, "CONT");
    ends_as(&server, ids[0], "FAILED", Some("5:0"));
    ends_as(&server, ids[1], "FAILED", Some("5:0"));
    ends_as(&server, ids[2], "CANCELLED", None);
    assert_eq!((marks.starts("j0"), marks.starts("j1"), marks.starts("j2")), (1, 1, 0));
    server.is_clean();
}

#[test]
fn a_server_that_starts_beside_a_frozen_step_daemon_replaces_it_and_starts_nothing_twice() {
    let mut server = Server::start();
    let marks = Marks::of(&server);
    let running = server.run(&marks.script("running", "sleep 1", 5));
    server.started(running);
    let daemon = server.step_daemon();
    freeze(daemon);
    // Their orders are in the socket of a daemon that will never read them.
    let ids: Vec<i64> =
        (0..3).map(|n| server.run(&marks.script(&format!("j{n}"), "true", 6))).collect();
    until("all to be ordered", || {
        let now = server.get("/api/v1/resources").json();
        if now["used_cpus"] == 4 { Ok(()) } else { Err(now.to_string()) }
    });
    server.kill();
    server.up();
    ends_as(&server, running, "FAILED", Some("5:0"));
    for (n, id) in ids.iter().enumerate() {
        ends_as(&server, *id, "FAILED", Some("6:0"));
        assert_eq!(marks.starts(&format!("j{n}")), 1, "j{n} ran once");
    }
    signal(daemon, "CONT");
    gone(daemon);
    for n in 0..3 {
        assert_eq!(marks.starts(&format!("j{n}")), 1, "j{n} ran once");
    }
    server.is_clean();
}
