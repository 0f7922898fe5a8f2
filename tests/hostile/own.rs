//! *Purpose*: a server signals only what is its own: beside copies of itself, in containers, under
//! other names of its files.
//!
//! *Owns*: the copies, the links, the containers.
//!
//! *Promises*: the original's jobs end by themselves with their own codes, and who has nothing to do
//! with any of it lives.
//!
//! *Not here*: numbers that are lent to strangers (`boot`), how an installation is known
//! (`installation`).

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::json;

use crate::common::Server;
use crate::help::{
    Foreign, Marks, alive, cancel, ends_as, is_in_container, refused, script_of, skipped,
    until_file,
};
use crate::strangers::{Session, cut_power, lend_the_numbers};

/// What a copy says of a job that ran under the original.
const ELSEWHERE: &str = "another installation, of which this one is a copy";

/// A server on a copy, which `copy` makes from the first folder into the second.
fn beside(original: &Server, copy: impl FnOnce(&Server, &Server)) -> Server {
    let mut other = Server::unstarted(&["--cpus", "4"]);
    copy(original, &other);
    other.up();
    other
}

/// The original's job outlives the start, a sweep and the end of a server on a copy.
fn the_original_is_not_touched(copy: impl FnOnce(&Server, &Server)) {
    let original = Server::start();
    let marks = Marks::of(&original);
    let go = original.dir.path().join("go");
    let id = original.run(&marks.script("job", &until_file(&go), 7));
    let script = script_of(&original.started(id));
    marks.begun("job");
    let mut other = beside(&original, copy);
    let job = ends_as(&other, id, "NODE_FAIL", None);
    assert!(job["error"].as_str().unwrap().contains(ELSEWHERE), "{job}");
    assert!(other.log().contains("is a copy of an installation"), "{}", other.log());
    // It has a queue and numbers of its own from now on, and is at peace with itself.
    ends_as(&other, other.run("exit 4"), "FAILED", Some("4:0"));
    other.is_clean();
    assert_eq!(other.stop(), Some(0));
    other.up();
    other.is_clean();
    assert!(alive(script), "the original's script was killed");
    fs::write(go, "").unwrap();
    ends_as(&original, id, "FAILED", Some("7:0"));
    original.is_clean();
}

#[test]
fn a_backup_that_is_opened_touches_no_job_of_the_original() {
    the_original_is_not_touched(|original, other| {
        fs::create_dir_all(other.data()).unwrap();
        let into = format!("VACUUM INTO '{}'", other.database().display());
        Foreign::open(&original.database()).does(&into);
    });
}

#[test]
fn a_folder_that_is_copied_while_it_serves_touches_no_job_of_the_original() {
    the_original_is_not_touched(copy_whole);
}

fn copy_whole(original: &Server, other: &Server) {
    let copied = Command::new("cp").arg("-a").arg(original.data()).arg(other.data()).status();
    assert!(copied.unwrap().success());
}

#[test]
fn a_folder_that_was_moved_on_its_disk_keeps_its_jobs() {
    let mut server = Server::start();
    let go = server.dir.path().join("go");
    let id = server.run(&format!("{}; exit 7", until_file(&go)));
    server.started(id);
    server.kill();
    let moved = server.dir.path().join("moved");
    fs::rename(server.data(), &moved).unwrap();
    // Back again, as somebody does who needed the place for a moment.
    fs::rename(&moved, server.data()).unwrap();
    server.up();
    assert_eq!(server.job(id)["state"], "RUNNING");
    fs::write(go, "").unwrap();
    ends_as(&server, id, "FAILED", Some("7:0"));
    server.is_clean();
}

#[test]
fn a_copy_in_the_place_of_the_original_takes_its_jobs_over_only_on_somebodys_word() {
    let mut server = Server::start();
    let go = server.dir.path().join("go");
    let id = server.run(&format!("{}; exit 7", until_file(&go)));
    server.started(id);
    server.kill();
    let away = server.dir.path().join("away");
    fs::rename(server.data(), &away).unwrap();
    let back = Command::new("cp").arg("-a").arg(&away).arg(server.data()).status().unwrap();
    assert!(back.success());
    server.args.push("--adopt".to_owned());
    server.up();
    assert_eq!(server.job(id)["state"], "RUNNING");
    fs::write(go, "").unwrap();
    ends_as(&server, id, "FAILED", Some("7:0"));
    server.is_clean();
}

#[test]
fn a_second_server_meets_the_first_one_whatever_it_calls_the_database() {
    let first = Server::start();
    let mut second = Server::unstarted(&["--cpus", "4"]);
    let link = second.dir.path().join("linked.db");
    symlink(first.database(), &link).unwrap();
    let folder = second.dir.path().join("folder");
    symlink(first.data(), &folder).unwrap();
    for path in [link, folder.join("downbeat.db")] {
        second.args = vec!["--database-url".into(), format!("sqlite://{}", path.display())];
        let said = refused(&second);
        assert!(said.contains(&format!("process {}", first.pid())), "{}: {said}", path.display());
    }
    let hard = second.dir.path().join("hard.db");
    fs::hard_link(first.database(), &hard).unwrap();
    second.args = vec!["--database-url".into(), format!("sqlite://{}", hard.display())];
    let said = refused(&second);
    assert!(said.contains("more than one name"), "{said}");
    ends_as(&first, first.run("exit 3"), "FAILED", Some("3:0"));
    first.is_clean();
}

#[test]
fn a_server_in_another_container_cancels_what_it_cannot_signal() {
    let test = "a_server_in_another_container_cancels_what_it_cannot_signal";
    let mut server = Server::start();
    let id = server.submit(&json!({"script": "sleep 600", "kill_grace_s": 1}));
    let script = script_of(&server.started(id));
    server.kill();
    server.wrap = is_in_container();
    server.spawn();
    if !server.listens() {
        return skipped(test, "no namespace of processes can be made here");
    }
    assert_eq!(server.job(id)["state"], "RUNNING", "its supervisor lives");
    cancel(&server, id);
    ends_as(&server, id, "CANCELLED", Some("0:15"));
    assert!(!alive(script));
    server.is_clean();
}

#[test]
fn a_container_that_begins_anew_kills_nobody_by_an_old_number() {
    let test = "a_container_that_begins_anew_kills_nobody_by_an_old_number";
    let mut server = Server::unstarted(&["--cpus", "4"]);
    server.wrap = is_in_container();
    server.spawn();
    if !server.listens() {
        return skipped(test, "no namespace of processes can be made here");
    }
    let id = server.run("sleep 600");
    server.started(id);
    // The whole container ends, and everybody in it.
    server.kill();
    server.up();
    let job = ends_as(&server, id, "NODE_FAIL", None);
    assert!(job["error"].as_str().unwrap().contains("container was restarted"), "{job}");
    ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
    server.is_clean();
}

/// A job is lost, and strangers are in the session or group that its record names in this line.
fn strangers_live_where_a_record_names_them_in(line: &str) {
    let mut server = Server::start();
    let id = server.run("exec sleep 611");
    let script = script_of(&server.started(id));
    cut_power(&mut server);
    let strangers = Session::start();
    lend_the_numbers(&server, id, strangers.number, &[line]);
    server.up();
    ends_as(&server, id, "NODE_FAIL", None);
    assert!(alive(strangers.member), "{line}: a stranger was killed");
    assert!(!alive(script));
    server.is_clean();
}

#[test]
fn a_lost_supervisors_number_alone_kills_nobody() {
    strangers_live_where_a_record_names_them_in("supervisor");
}

#[test]
fn a_lost_scripts_number_alone_kills_nobody() {
    strangers_live_where_a_record_names_them_in("script");
}
