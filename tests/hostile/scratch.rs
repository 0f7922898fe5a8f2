//! *Purpose*: the private folders of jobs, whoever is killed meanwhile.
//!
//! *Owns*: what is left of them by servers and jobs that were killed.
//!
//! *Promises*: the folder of a job that lives is there; that of one that has ended goes.
//!
//! *Not here*: the same without a server (`tests/engine_conformance`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::common::{Server, signal, until};
use crate::help::{cancel, parent, script_of, spool_of};
use crate::users::{may_be_staged, ordinary};

/// A user whom nobody knows.
const USER: u32 = 64_917;

/// The private folders that there are, without those that are of nobody.
fn folders(server: &Server) -> Vec<PathBuf> {
    let all = fs::read_dir(server.data().join("scratch")).unwrap().map(|entry| entry.unwrap());
    let of_jobs = all.filter(|entry| !entry.file_name().to_string_lossy().starts_with("free."));
    of_jobs.map(|entry| entry.path()).collect()
}

fn none_is_left(server: &Server) {
    until("no private folder", || match folders(server) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
}

const FILLS: &str = "mkdir $TMPDIR/sub; touch $TMPDIR/one $TMPDIR/sub/two; echo full\n";

#[test]
fn a_server_that_was_killed_leaves_no_folder_of_ended_jobs_and_takes_none_of_those_that_live() {
    let mut server = Server::start();
    let gate = server.dir.path().join("gate").display().to_string();
    let waits = format!("until [ -e '{gate}' ]; do sleep 0.02; done");
    let ends = server.run(&format!("{FILLS}{waits}"));
    let lives = server.run(&format!("{FILLS}read never < <(sleep 600)\ntest -e $TMPDIR/sub/two"));
    for id in [ends, lives] {
        server.says(id, "full\n");
    }
    server.kill();
    fs::write(&gate, "").unwrap();
    let key = |id| format!("{id}.1.");
    let record = spool_of(&server, ends).join("exit");
    until("an end without a server", || record.exists().then_some(()).ok_or("no record".into()));
    assert_eq!(folders(&server).len(), 2, "nobody has committed the end");
    server.up();
    assert_eq!(server.ended(ends)["exit_code"], "0:0");
    until("one private folder", || {
        let left = folders(&server);
        let is_of_the_living = |f: &PathBuf| f.display().to_string().contains(&key(lives));
        if left.iter().all(is_of_the_living) { Ok(()) } else { Err(format!("{left:?}")) }
    });
    assert!(folders(&server)[0].join("sub/two").exists());
    cancel(&server, lives);
    server.ended(lives);
    none_is_left(&server);
}

#[test]
fn a_killed_supervisor_leaves_no_folder() {
    let server = Server::start();
    let id = server.run(&format!("{FILLS}sleep 600"));
    server.says(id, "full\n");
    signal(parent(script_of(&server.started(id))), "KILL");
    assert_eq!(server.ended(id)["state"], "NODE_FAIL");
    none_is_left(&server);
}

#[test]
fn a_job_that_takes_all_rights_of_its_own_user_keeps_no_other_from_its_folder() {
    let test = "a_job_that_takes_all_rights_of_its_own_user_keeps_no_other_from_its_folder";
    if !may_be_staged(test) {
        return;
    }
    let elsewhere = tempfile::tempdir().unwrap();
    fs::set_permissions(elsewhere.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let path = elsewhere.path().display().to_string();
    let mut server = ordinary(USER, "true", &["--cpus", "2", "--scratch-path", &path]);
    server.up();
    let closes = "mkdir -p $TMPDIR/a/b; touch $TMPDIR/a/b/c; chmod 0 $TMPDIR/a/b $TMPDIR/a $TMPDIR
        chmod 0 \"${TMPDIR%/*}\"; echo $TMPDIR";
    for script in [closes, "echo $TMPDIR; touch $TMPDIR/x", closes] {
        let id = server.run(script);
        assert_eq!(server.ended(id)["exit_code"], "0:0", "{}", server.job(id));
        let own = PathBuf::from(server.stdout(id).trim_end());
        assert!(own.starts_with(elsewhere.path()), "{}", own.display());
        until("the folder to go", || match own.symlink_metadata() {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            seen => Err(format!("{seen:?}")),
        });
    }
    server.stop();
    let base = fs::read_dir(elsewhere.path()).unwrap().next().unwrap().unwrap().path();
    fs::set_permissions(&base, fs::Permissions::from_mode(0o0)).unwrap();
    server.up();
    let id = server.run("touch $TMPDIR/x");
    assert_eq!(server.ended(id)["exit_code"], "0:0");
}
