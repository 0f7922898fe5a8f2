//! *Purpose*: files that a job or an administrator names do not answer: a dead NFS server, a stopped FUSE daemon.
//!
//! *Owns*: a file system that hangs for whoever touches it.
//!
//! *Promises*: limit and cancel work, no script starts afterwards, the CPUs come back, and nobody
//! else waits.
//!
//! *Not here*: reading such files over HTTP (`tests/http`).

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::io::FdFlags;
use serde_json::json;

use crate::common::{Server, signal, until};
use crate::help::{cancel, ends_as, skipped};

/// Longest time between SIGTERM and the end.
const STOP_MAX: Duration = Duration::from_secs(5);

/// A FUSE file system that nobody serves: whoever touches it waits, until it goes out of scope.
struct Hanging {
    path: PathBuf,
    _device: File,
}

impl Hanging {
    fn mount(path: &Path) -> Result<Hanging, String> {
        fs::create_dir_all(path).unwrap();
        let device = File::options().read(true).write(true).open("/dev/fuse");
        let device = device.map_err(|e| format!("/dev/fuse: {e}"))?;
        rustix::io::fcntl_setfd(&device, FdFlags::empty()).unwrap();
        let fd = device.as_raw_fd();
        let options = format!("fd={fd},rootmode=40000,user_id=0,group_id=0");
        let words = ["-i", "-t", "fuse", "-o", &options, "hanging"];
        let done = Command::new("mount").args(words).arg(path).output().unwrap();
        rustix::io::fcntl_setfd(&device, FdFlags::CLOEXEC).unwrap();
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).trim().to_owned());
        }
        Ok(Hanging { path: path.to_owned(), _device: device })
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        // With the device closed afterwards, whoever still waits is let go.
        let _gone = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// A server, and a folder that hangs.
fn staged(test: &str) -> Option<(Server, Hanging)> {
    let server = Server::start();
    match Hanging::mount(&server.dir.path().join("hanging")) {
        Ok(hanging) => Some((server, hanging)),
        Err(why) => {
            skipped(test, &why);
            None
        }
    }
}

/// Jobs whose working directory, or output, or both hang; each marks its start elsewhere.
fn bodies(server: &Server, hanging: &Hanging) -> Vec<serde_json::Value> {
    let (mark, path) = (server.dir.path().join("mark"), &hanging.path);
    let script = format!("echo started >> {}; sleep 600", mark.display());
    let body = |more: serde_json::Value| {
        let mut body = json!({"script": script, "kill_grace_s": 1});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    vec![
        body(json!({"working_directory": path})),
        body(json!({"working_directory": path.join("below")})),
        body(json!({"working_directory": path, "standard_output": "out", "standard_error": "err"})),
    ]
}

fn nobody_started(server: &Server) {
    assert!(!server.dir.path().join("mark").exists(), "a script was started");
}

#[test]
fn a_launch_that_hangs_can_be_cancelled_and_starts_nothing_afterwards() {
    let test = "a_launch_that_hangs_can_be_cancelled_and_starts_nothing_afterwards";
    let Some((server, hanging)) = staged(test) else { return };
    for body in bodies(&server, &hanging) {
        let id = server.submit(&body);
        server.granted(id);
        // Whoever does not touch it runs meanwhile.
        ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
        assert!(server.job(id)["start_time"].is_null());
        cancel(&server, id);
        ends_as(&server, id, "CANCELLED", None);
    }
    drop(hanging);
    ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
    nobody_started(&server);
    server.is_clean();
}

#[test]
fn a_launch_that_hangs_ends_at_its_limit() {
    let Some((server, hanging)) = staged("a_launch_that_hangs_ends_at_its_limit") else { return };
    for mut body in bodies(&server, &hanging) {
        body["time_limit"] = json!("1s");
        let id = server.submit(&body);
        ends_as(&server, id, "TIMEOUT", None);
    }
    drop(hanging);
    nobody_started(&server);
    server.is_clean();
}

#[test]
fn a_launch_that_hangs_outlives_servers_and_dies_with_its_supervisor() {
    let test = "a_launch_that_hangs_outlives_servers_and_dies_with_its_supervisor";
    let Some((mut server, hanging)) = staged(test) else { return };
    let bodies = bodies(&server, &hanging);
    let (cancelled, lost) = (server.submit(&bodies[0]), server.submit(&bodies[1]));
    server.granted(lost);
    let supervisor = until("the supervisor to have said who it is", || {
        let all = fs::read_dir(server.data().join("spool")).unwrap().flatten();
        let prefix = format!("{lost}.");
        let mut own = all.filter(|e| e.file_name().to_string_lossy().starts_with(&prefix));
        let state = own.next().map(|folder| folder.path().join("state"));
        let text = state.and_then(|state| fs::read_to_string(state).ok()).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("supervisor "));
        let pid = line.and_then(|l| l.split(' ').next()?.parse::<u32>().ok());
        pid.ok_or(text)
    });
    server.kill();
    server.up();
    cancel(&server, cancelled);
    ends_as(&server, cancelled, "CANCELLED", None);
    signal(supervisor, "KILL");
    ends_as(&server, lost, "NODE_FAIL", None);
    drop(hanging);
    nobody_started(&server);
    server.is_clean();
}

#[test]
fn settings_that_do_not_answer_keep_no_server_from_stopping() {
    let test = "settings_that_do_not_answer_keep_no_server_from_stopping";
    let mut server = Server::unstarted(&["--cpus", "2"]);
    let settings = server.dir.path().join("own.toml");
    fs::write(&settings, "max_time_limit = \"1h\"\n").unwrap();
    server.args.extend(["--config".to_owned(), settings.display().to_string()]);
    server.up();
    let hanging = match Hanging::mount(&server.dir.path().join("hanging")) {
        Ok(hanging) => hanging,
        Err(why) => return skipped(test, &why),
    };
    let id = server.run("exit 3");
    fs::remove_file(&settings).unwrap();
    symlink(hanging.path.join("own.toml"), &settings).unwrap();
    signal(server.pid(), "HUP");
    let opens = format!("{} ", libc::SYS_openat);
    until("the settings to be waited for", || {
        let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap().flatten();
        let mut calls = tasks.map(|task| fs::read_to_string(task.path().join("syscall")));
        match calls.any(|call| call.is_ok_and(|call| call.starts_with(&opens))) {
            true => Ok(()),
            false => Err("nobody waits".to_owned()),
        }
    });
    ends_as(&server, id, "FAILED", Some("3:0"));
    let asked = Instant::now();
    assert_eq!(server.stop(), Some(0));
    assert!(asked.elapsed() < STOP_MAX, "{:?}", asked.elapsed());
}
