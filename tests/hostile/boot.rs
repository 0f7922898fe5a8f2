//! *Purpose*: numbers that no longer mean what they meant: another boot, another process.
//!
//! *Owns*: a boot id that changed under the database; a stranger with a recorded pid.
//!
//! *Promises*: nothing is started twice, nobody is signalled by a bare number, a true record
//! counts whoever wrote it when.
//!
//! *Not here*: what the engine answers (`tests/engine_conformance`).

use std::fs;

use serde_json::json;

use crate::common::{Server, signal, until};
use crate::help::{
    Foreign, Marks, alive, cancel, ends_as, parent, script_of, spool_of, ticks, until_file,
};
use crate::strangers::{Stranger, cut_power, kill_all, lend_the_numbers};

fn pretend_another_boot(server: &Server) {
    let mut other = Foreign::open(&server.database());
    other.does("UPDATE resource_allocations SET boot_id = 'another' WHERE NOT released");
}

#[test]
fn after_a_reboot_running_jobs_are_node_fail_and_the_queue_runs() {
    let mut server = Server::start();
    let marks = Marks::of(&server);
    let running: Vec<i64> =
        (0..3).map(|n| server.run(&marks.script(&format!("r{n}"), "sleep 600", 1))).collect();
    // One ends while no server runs: its true record survives the cut.
    let go = server.dir.path().join("go");
    let wait = until_file(&go);
    let last = server.run(&marks.script("last", &wait, 9));
    for id in running.iter().chain([&last]) {
        server.started(*id);
    }
    for name in ["r0", "r1", "r2", "last"] {
        marks.begun(name);
    }
    let queue: Vec<i64> =
        (0..3).map(|n| server.run(&marks.script(&format!("q{n}"), "true", 8))).collect();
    server.kill();
    fs::write(go, "").unwrap();
    let record = spool_of(&server, last).join("exit");
    until("the record", || if record.exists() { Ok(()) } else { Err("none".to_owned()) });
    kill_all(&server);
    pretend_another_boot(&server);
    server.up();
    for id in &running {
        let job = ends_as(&server, *id, "NODE_FAIL", None);
        assert!(job["error"].as_str().unwrap().contains("restarted"), "{job}");
    }
    ends_as(&server, last, "FAILED", Some("9:0"));
    for (n, id) in queue.iter().enumerate() {
        ends_as(&server, *id, "FAILED", Some("8:0"));
        assert_eq!(marks.starts(&format!("q{n}")), 1);
    }
    for n in 0..3 {
        assert_eq!(marks.starts(&format!("r{n}")), 1, "nothing is started twice");
    }
    assert_eq!(marks.starts("last"), 1);
    server.is_clean();
}

#[test]
fn after_a_reboot_without_a_spool_running_jobs_are_node_fail() {
    let mut server = Server::start();
    let marks = Marks::of(&server);
    let id = server.run(&marks.script("lost", "sleep 600", 1));
    let big = server.submit(&json!({"script": marks.script("next", "true", 8), "cpus": 4}));
    server.started(id);
    marks.begun("lost");
    cut_power(&mut server);
    fs::remove_dir_all(server.data().join("spool")).unwrap();
    pretend_another_boot(&server);
    server.up();
    ends_as(&server, id, "NODE_FAIL", None);
    ends_as(&server, big, "FAILED", Some("8:0"));
    assert_eq!((marks.starts("lost"), marks.starts("next")), (1, 1));
    server.is_clean();
}

#[test]
fn a_stranger_with_a_recorded_number_is_never_signalled() {
    let mut server = Server::start();
    let marks = Marks::of(&server);
    let id = server.run(&marks.script("lost", "sleep 600", 1));
    let script = script_of(&server.started(id));
    marks.begun("lost");
    cut_power(&mut server);
    let stranger = Stranger::start();
    assert_ne!(ticks(stranger.pid()), 0);
    lend_the_numbers(&server, id, stranger.pid(), &["supervisor", "script"]);
    server.up();
    let job = ends_as(&server, id, "NODE_FAIL", None);
    assert!(job["error"].as_str().unwrap().contains("supervisor"), "{job}");
    assert!(alive(stranger.pid()), "the stranger was killed");
    assert!(!alive(script));
    assert_eq!(marks.starts("lost"), 1);
    server.is_clean();
}

#[test]
fn a_cancel_never_reaches_a_stranger_with_a_recorded_number() {
    let mut server = Server::start();
    let id = server.run("sleep 600");
    let script = script_of(&server.started(id));
    // The supervisor lives, but its records name somebody else from now on.
    let supervisor = parent(script);
    let stranger = Stranger::start();
    lend_the_numbers(&server, id, stranger.pid(), &["supervisor", "script"]);
    assert_eq!(cancel(&server, id)["state"], "COMPLETING");
    let wish = spool_of(&server, id).join("control");
    until("the wish to be written", || if wish.exists() { Ok(()) } else { Err("no".to_owned()) });
    signal(supervisor, "USR1");
    ends_as(&server, id, "CANCELLED", Some("0:15"));
    assert!(alive(stranger.pid()), "the stranger was killed");
    // And once more with everybody dead: the cancel is asked while nobody can answer it.
    let id = server.run("sleep 600");
    server.started(id);
    cut_power(&mut server);
    lend_the_numbers(&server, id, stranger.pid(), &["supervisor", "script"]);
    server.up();
    // It may have been found lost before.
    server.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({}));
    let job = server.ended(id);
    assert!(matches!(job["state"].as_str(), Some("NODE_FAIL" | "CANCELLED")), "{job}");
    assert!(job["exit_code"].is_null(), "{job}");
    assert!(alive(stranger.pid()), "the stranger was killed");
    server.is_clean();
}
