//! *Purpose*: folders vanish under running jobs.
//!
//! *Owns*: the spool of one job, the whole spool, the data folder, working directories.
//!
//! *Promises*: the server lives, no job runs twice, CPUs come back only when the processes
//! are gone, the code is true or honestly unknown, and new jobs run.
//!
//! *Not here*: what the engine keeps in these folders (`engine::local::spool`).

use std::fs;

use serde_json::json;

use crate::common::{Server, signal, until};
use crate::help::{Marks, alive, cancel, ends_as, gone, parent, script_of, spool_of, until_file};

#[test]
fn a_job_whose_spool_is_deleted_while_it_runs_still_tells_its_code() {
    let server = Server::start();
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    let id = server.run(&marks.script("job", &until_file(&go), 5));
    server.started(id);
    fs::remove_dir_all(spool_of(&server, id)).unwrap();
    ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
    assert_eq!(server.get("/api/v1/resources").json()["used_cpus"], 1);
    fs::write(go, "").unwrap();
    ends_as(&server, id, "FAILED", Some("5:0"));
    assert_eq!(marks.starts("job"), 1);
    server.is_clean();
}

#[test]
fn a_job_whose_spool_was_deleted_can_be_cancelled() {
    let server = Server::start();
    let id = server.run("sleep 600");
    let script = script_of(&server.started(id));
    fs::remove_dir_all(spool_of(&server, id)).unwrap();
    cancel(&server, id);
    let job = server.ended(id);
    assert_eq!(job["state"], "CANCELLED", "{job}");
    assert!(!alive(script), "its CPUs came back before it was gone");
    server.is_clean();
}

#[test]
fn the_whole_spool_may_vanish_while_jobs_run() {
    let server = Server::start();
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    let ids: Vec<i64> =
        (0..3).map(|n| server.run(&marks.script(&format!("j{n}"), &until_file(&go), 5))).collect();
    for id in &ids {
        server.started(*id);
    }
    fs::remove_dir_all(server.data().join("spool")).unwrap();
    ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
    fs::write(go, "").unwrap();
    for (n, id) in ids.iter().enumerate() {
        ends_as(&server, *id, "FAILED", Some("5:0"));
        assert_eq!(marks.starts(&format!("j{n}")), 1);
    }
    server.is_clean();
}

#[test]
fn a_spool_that_vanishes_while_no_server_runs_makes_nothing_run_twice() {
    let mut server = Server::start();
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    // One that goes on, one that ends meanwhile, one whose supervisor is killed meanwhile.
    let goes_on = server.run(&marks.script("goes_on", &until_file(&go), 5));
    let ends = server.run(&marks.script("ends", "sleep 0.5", 6));
    let lost = server.run(&marks.script("lost", "sleep 600", 7));
    let scripts: Vec<u32> =
        [goes_on, ends, lost].iter().map(|id| script_of(&server.started(*id))).collect();
    for name in ["goes_on", "ends", "lost"] {
        marks.begun(name);
    }
    server.kill();
    gone(scripts[1]);
    signal(parent(scripts[2]), "KILL");
    fs::remove_dir_all(server.data().join("spool")).unwrap();
    server.up();
    let job = server.ended(ends);
    assert!(job["exit_code"] == "6:0" || job["exit_code"].is_null(), "{job}");
    let job = server.ended(lost);
    assert_eq!((job["state"].as_str(), job["exit_code"].as_str()), (Some("NODE_FAIL"), None));
    assert!(!alive(scripts[2]), "its CPUs came back before it was gone");
    assert!(server.job(goes_on)["end_time"].is_null(), "it lives and so it holds its CPUs");
    ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
    fs::write(go, "").unwrap();
    ends_as(&server, goes_on, "FAILED", Some("5:0"));
    for name in ["goes_on", "ends", "lost"] {
        assert_eq!(marks.starts(name), 1, "{name} ran once");
    }
    server.is_clean();
}

#[test]
fn a_job_whose_spool_vanished_with_the_server_can_be_cancelled() {
    let mut server = Server::start();
    let id = server.run("setsid sleep 611 & sleep 612");
    let script = script_of(&server.started(id));
    server.kill();
    fs::remove_dir_all(server.data().join("spool")).unwrap();
    server.up();
    cancel(&server, id);
    let job = server.ended(id);
    assert_eq!(job["state"], "CANCELLED", "{job}");
    assert!(!alive(script));
    server.is_clean();
}

#[test]
fn a_data_folder_that_is_moved_away_and_back_costs_no_code() {
    let server = Server::start();
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    let id = server.run(&marks.script("job", &until_file(&go), 5));
    server.started(id);
    let away = server.dir.path().join("away");
    fs::rename(server.data(), &away).unwrap();
    // Whatever is answered now, the server lives and nothing is lost.
    let answer = server.post("/api/v1/jobs", &json!({"script": marks.script("new", "true", 6)}));
    fs::write(go, "").unwrap();
    until("the script to end", || match marks.ends("job") {
        1 => Ok(()),
        n => Err(format!("{n} ends")),
    });
    server.get("/health/live").expect(200);
    if server.data().exists() {
        fs::remove_dir_all(server.data()).unwrap();
    }
    fs::rename(&away, server.data()).unwrap();
    ends_as(&server, id, "FAILED", Some("5:0"));
    if answer.status == 201 {
        let new = answer.json()["id"].as_i64().unwrap();
        ends_as(&server, new, "FAILED", Some("6:0"));
        assert_eq!(marks.starts("new"), 1);
    }
    server.is_clean();
}

#[test]
fn a_working_directory_may_vanish_before_and_during_the_run() {
    let server = Server::start();
    let marks = Marks::of(&server);
    let (go, work) = (server.dir.path().join("go"), server.dir.path().join("work"));
    fs::create_dir(&work).unwrap();
    let script = marks.script("job", &until_file(&go), 5);
    let blocker = server.submit(&json!({
        "script": script, "working_directory": work, "standard_output": "out", "cpus": 4
    }));
    let next = server.submit(&json!({"script": "true", "working_directory": work}));
    server.started(blocker);
    fs::remove_dir_all(&work).unwrap();
    server.get(&format!("/api/v1/jobs/{blocker}/stdout"));
    fs::write(go, "").unwrap();
    ends_as(&server, blocker, "FAILED", Some("5:0"));
    let job = ends_as(&server, next, "FAILED", None);
    let error = job["error"].as_str().unwrap();
    assert!(error.contains("working directory") && error.contains("not found"), "{job}");
    server.is_clean();
}
