//! *Purpose*: folders of the server that a job of the same, ordinary user has closed.
//!
//! *Owns*: `chmod 000` at each level of the data folder.
//!
//! *Promises*: the record is written, the code is true, and other jobs run.
//!
//! *Not here*: folders that are gone (`spool`).

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::common::until;
use crate::help::{cancel, ends_as, until_file};
use crate::users::{may_be_staged, ordinary};

/// The job closes a folder, ends with 7, and its end is seen; then another one runs. `$D` is the
/// job's folder in the spool.
fn is_opened_again(test: &str, uid: u32, folder: &str) {
    if !may_be_staged(test) {
        return;
    }
    let mut server = ordinary(uid, "true", &["--cpus", "2"]);
    server.up();
    let [go, done] = ["go", "done"].map(|name| server.dir.path().join(name));
    // The script can mark nothing outside, and says so by a name that it may make.
    fs::write(&done, "").unwrap();
    std::os::unix::fs::chown(&done, Some(uid), Some(uid)).unwrap();
    let id = server.run(&format!(
        "D={}/spool/$DOWNBEAT_KEY; chmod 000 {folder}; echo closed > {}; {}; exit 7",
        server.data().display(),
        done.display(),
        until_file(&go)
    ));
    until("the folder to be closed", || match fs::read_to_string(&done) {
        Ok(said) if said == "closed\n" => Ok(()),
        said => Err(format!("{said:?} {}", server.log())),
    });
    server.get("/health/live").expect(200);
    let mut beside = None;
    until("another to be taken", || {
        match server.post("/api/v1/jobs", &json!({"script": "exit 3"})) {
            answer if answer.status == 201 => {
                beside = answer.json()["id"].as_i64();
                Ok(())
            }
            answer => Err(answer.text()),
        }
    });
    let beside = beside.unwrap();
    fs::write(go, "").unwrap();
    ends_as(&server, id, "FAILED", Some("7:0"));
    ends_as(&server, beside, "FAILED", Some("3:0"));
    ends_as(&server, server.run("exit 4"), "FAILED", Some("4:0"));
    server.is_clean();
}

#[test]
fn a_spool_folder_that_its_own_job_closed_is_opened_for_its_record() {
    let test = "a_spool_folder_that_its_own_job_closed_is_opened_for_its_record";
    is_opened_again(test, 64_911, "$D");
}

#[test]
fn a_spool_that_a_job_closed_is_opened() {
    is_opened_again("a_spool_that_a_job_closed_is_opened", 64_912, "$D/..");
}

#[test]
fn a_data_folder_that_a_job_closed_is_opened() {
    is_opened_again("a_data_folder_that_a_job_closed_is_opened", 64_913, "$D/../..");
}

#[test]
fn folders_of_jobs_that_a_job_closed_are_opened() {
    is_opened_again("folders_of_jobs_that_a_job_closed_are_opened", 64_914, "$D/../../jobs");
}

#[test]
fn a_job_that_closed_its_spool_folder_can_be_cancelled() {
    if !may_be_staged("a_job_that_closed_its_spool_folder_can_be_cancelled") {
        return;
    }
    let mut server = ordinary(64_916, "true", &["--cpus", "2"]);
    server.up();
    for folder in ["$D", "$D/.."] {
        let script = format!(
            "D={}/spool/$DOWNBEAT_KEY; echo closes; chmod 000 {folder}; exec sleep 600",
            server.data().display()
        );
        let id = server.submit(&json!({"script": script, "kill_grace_s": 1}));
        server.says(id, "closes\n");
        cancel(&server, id);
        ends_as(&server, id, "CANCELLED", Some("0:15"));
    }
    server.is_clean();
}

#[test]
fn a_server_starts_in_folders_that_a_job_closed() {
    if !may_be_staged("a_server_starts_in_folders_that_a_job_closed") {
        return;
    }
    let mut server = ordinary(64_915, "true", &["--cpus", "2"]);
    server.up();
    let go = server.dir.path().join("go");
    let data = server.data();
    let id = server.run(&format!("{}; exit 7", until_file(&go)));
    server.started(id);
    for closed in ["jobs", "spool", "."] {
        server.kill();
        fs::set_permissions(data.join(closed), fs::Permissions::from_mode(0o000)).unwrap();
        server.up();
        assert_eq!(server.job(id)["state"], "RUNNING", "{closed}");
        ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
    }
    fs::write(go, "").unwrap();
    ends_as(&server, id, "FAILED", Some("7:0"));
    server.is_clean();
}
