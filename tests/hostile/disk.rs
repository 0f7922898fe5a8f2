//! *Purpose*: the disk is full while jobs run.
//!
//! *Owns*: a data folder on a file system of a few MiB, filled to the last byte or inode.
//!
//! *Promises*: what was accepted runs once and ends with its true code; what was not is said
//! to be so.
//!
//! *Not here*: a disk that cannot be written at all (`database`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::common::{Server, signal, until};
use crate::help::{Marks, Mount, cancel, ends_as, fill, pause, skipped, until_file};

/// A server whose data folder is a small file system of its own.
fn small(test: &str, options: &str) -> Option<(Server, Mount)> {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    match Mount::tmpfs(&server.data(), options) {
        Ok(mount) => {
            server.up();
            Some((server, mount))
        }
        Err(why) => {
            skipped(test, &format!("no file system can be mounted: {why}"));
            None
        }
    }
}

#[test]
fn a_full_disk_costs_no_code_no_job_and_no_cpu() {
    let test = "a_full_disk_costs_no_code_no_job_and_no_cpu";
    let Some((server, _mount)) = small(test, "size=6m,mode=700") else { return };
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    let mut expected = Vec::new();
    for n in 1..=4 {
        let name = format!("early{n}");
        let id = server.run(&marks.script(&name, &until_file(&go), n));
        server.started(id);
        expected.push((id, name, n));
    }
    for n in 5..=8 {
        let name = format!("pending{n}");
        expected.push((server.run(&marks.script(&name, "true", n)), name, n));
    }
    let ballast = fill(&server.data());
    // The log of the database may have room left in it: whoever is told 201 counts.
    let mut n = 8;
    let padding = format!("# {}\n", "x".repeat(20_000));
    let refused = until("a submission to be refused", || {
        n += 1;
        let name = format!("late{n}");
        let script = format!("{}{padding}", marks.script(&name, "true", n));
        let answer = server.post("/api/v1/jobs", &json!({ "script": script }));
        if answer.status == 201 {
            expected.push((answer.json()["id"].as_i64().unwrap(), name, n));
            return Err("201".to_owned());
        }
        Ok(answer)
    });
    let accepted = expected.len();
    assert!(matches!(refused.status, 507 | 503), "{refused:?}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert!(refused.text().contains("nothing stored"), "{}", refused.text());
    let batch = json!({"jobs": [{"script": format!("true {padding}")}]});
    let refused = server.post("/api/v1/jobs/batch", &batch);
    assert!(matches!(refused.status, 507 | 503), "{refused:?}");
    // The running ones end now, and nothing of it can be written anywhere.
    fs::write(&go, "").unwrap();
    until("the running jobs to end", || {
        let ended = (1..=4).filter(|n| marks.ends(&format!("early{n}")) == 1).count();
        if ended == 4 { Ok(()) } else { Err(format!("{ended} of 4")) }
    });
    for path in ["/api/v1/jobs", "/api/v1/jobs/1", "/api/v1/resources", "/api/v1/audit"] {
        server.get(path).expect(200);
    }
    let audit = server.get("/api/v1/audit").json();
    assert_eq!(audit["consistent"], true, "{audit}");
    fs::remove_file(&ballast).unwrap();
    for (id, name, code) in &expected {
        ends_as(&server, *id, "FAILED", Some(&format!("{code}:0")));
        assert_eq!((marks.starts(name), marks.ends(name)), (1, 1), "{name} ran once");
    }
    assert_eq!(
        server.get("/api/v1/jobs?limit=1000").json()["jobs"].as_array().unwrap().len(),
        accepted
    );
    let after = server.run(&marks.script("after", "true", 9));
    ends_as(&server, after, "FAILED", Some("9:0"));
    server.is_clean();
}

#[test]
fn a_job_that_started_on_a_full_disk_can_be_cancelled_once_there_is_room() {
    let test = "a_job_that_started_on_a_full_disk_can_be_cancelled_once_there_is_room";
    let Some((server, _mount)) = small(test, "size=6m,mode=700") else { return };
    let marks = Marks::of(&server);
    // The step daemon waits while the disk fills, so nothing that is told in `state` fits.
    let daemon = server.step_daemon();
    signal(daemon, "STOP");
    let id = server.run(&marks.script("held", "sleep 600", 3));
    until("the order to be written", || {
        let names: Vec<String> = fs::read_dir(server.data().join("spool"))
            .unwrap()
            .flatten()
            .filter(|e| e.path().join("order").exists())
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        if names.is_empty() { Err("nothing".to_owned()) } else { Ok(()) }
    });
    let ballast = fill(&server.data());
    signal(daemon, "CONT");
    until("the script to run", || match marks.starts("held") {
        1 => Ok(()),
        n => Err(format!("{n} starts")),
    });
    fs::remove_file(ballast).unwrap();
    server.started(id);
    cancel(&server, id);
    ends_as(&server, id, "CANCELLED", Some("0:15"));
    server.is_clean();
}

/// Makes files until no more can be made, but for the last `spare`; answers their folder.
fn hoard(data: &Path, spare: usize) -> PathBuf {
    let folder = data.join("hoard");
    fs::create_dir(&folder).unwrap();
    let full = (0..).find(|n| fs::File::create(folder.join(n.to_string())).is_err()).unwrap();
    for n in full - spare..full {
        fs::remove_file(folder.join(n.to_string())).unwrap();
    }
    folder
}

#[test]
fn an_order_that_finds_no_room_waits_for_it() {
    let test = "an_order_that_finds_no_room_waits_for_it";
    let Some((server, _mount)) = small(test, "size=16m,nr_inodes=200,mode=700") else { return };
    let marks = Marks::of(&server);
    // No file can be made, but the database, which is there, can grow.
    let hoarded = hoard(&server.data(), 0);
    let ids: Vec<i64> =
        (0..3).map(|n| server.run(&marks.script(&format!("j{n}"), "true", 4))).collect();
    until("a launch to have failed", || {
        let log = server.log();
        if log.contains("No space left") { Ok(()) } else { Err(log) }
    });
    until("all three to have their CPUs, and to wait", || {
        let now = server.get("/api/v1/resources").json();
        if now["used_cpus"] == 3 { Ok(()) } else { Err(now.to_string()) }
    });
    fs::remove_dir_all(&hoarded).unwrap();
    for (n, id) in ids.iter().enumerate() {
        ends_as(&server, *id, "FAILED", Some("4:0"));
        assert_eq!(marks.starts(&format!("j{n}")), 1);
    }
    server.is_clean();
}

#[test]
fn a_launch_that_finds_no_room_waits_for_it_at_whatever_step() {
    let test = "a_launch_that_finds_no_room_waits_for_it_at_whatever_step";
    let Some((server, _mount)) = small(test, "size=16m,nr_inodes=200,mode=700") else { return };
    let marks = Marks::of(&server);
    let daemon = server.step_daemon();
    // The daemon waits until only so many files can be made: the state, the working directory,
    // each stream and the record are refused in turn.
    for spare in 0..6 {
        signal(daemon, "STOP");
        let name = format!("j{spare}");
        let id = server.run(&marks.script(&name, "true", 4));
        let order = || fs::read_dir(server.data().join("spool")).unwrap().flatten();
        until("the order to be written", || {
            let prefix = format!("{id}.");
            let mut all = order().filter(|e| e.path().join("order").exists());
            let written = all.any(|e| e.file_name().to_string_lossy().starts_with(&prefix));
            if written { Ok(()) } else { Err("nothing".to_owned()) }
        });
        let hoarded = hoard(&server.data(), spare);
        signal(daemon, "CONT");
        // Time for what is possible; none of it may be the end of an attempt that could not run.
        pause(Duration::from_millis(300));
        let job = server.job(id);
        assert!(job["end_time"].is_null() || marks.ends(&name) == 1, "spare {spare}: {job}");
        fs::remove_dir_all(&hoarded).unwrap();
        ends_as(&server, id, "FAILED", Some("4:0"));
        assert_eq!((marks.starts(&name), marks.ends(&name)), (1, 1), "{name} ran once");
    }
    server.is_clean();
}
