//! *Purpose*: careless surroundings: masks, missing variables, users, races, names.
//!
//! *Owns*: what the other files of this program have no theme for.
//!
//! *Promises*: files of the server are private whatever the mask; a name is never a log line.
//!
//! *Not here*: settings (`tests/cli`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::common::{Server, until};
use crate::help::{cancel, ends_as, skipped};

fn wrapped(shell: &str) -> Server {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    let shell = format!("{shell}; exec \"$@\"");
    server.wrap = ["sh", "-c", &shell, "sh"].iter().map(ToString::to_string).collect();
    server
}

#[test]
fn files_are_private_whatever_the_mask() {
    for mask in ["000", "027", "077"] {
        let mut server = wrapped(&format!("umask {mask}"));
        server.up();
        let id = server.run("umask; echo x > file; exit 3");
        ends_as(&server, id, "FAILED", Some("3:0"));
        assert!(server.stdout(id).contains(mask), "the script has the mask of its server");
        for entry in walkdir::WalkDir::new(server.data()) {
            let entry = entry.unwrap();
            // What scripts write is theirs; the folder around it is closed.
            if entry.path().strip_prefix(server.data()).unwrap().components().count() > 2 {
                continue;
            }
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            let private = if entry.file_type().is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, private, "{} with umask {mask}", entry.path().display());
        }
        server.is_clean();
    }
}

#[test]
fn a_server_needs_no_variable_at_all() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    server.wrap = ["env", "-i"].iter().map(ToString::to_string).collect();
    server.up();
    let id = server.run("echo \"$PATH\"; ls / > /dev/null; exit 3");
    ends_as(&server, id, "FAILED", Some("3:0"));
    assert!(server.stdout(id).contains("/usr/bin"), "{}", server.stdout(id));
    server.is_clean();
}

#[test]
fn a_server_of_an_ordinary_user_runs_jobs() {
    let test = "a_server_of_an_ordinary_user_runs_jobs";
    if !rustix::process::geteuid().is_root() {
        return skipped(test, "only root can become somebody else; every other case shows it");
    }
    let mut server = Server::unstarted(&["--cpus", "4"]);
    let home = server.dir.path().to_owned();
    // A copy that anybody may run, in a folder that anybody may enter.
    let program = home.join("downbeat");
    fs::copy(env!("CARGO_BIN_EXE_downbeat"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(&home, Some(65_534), Some(65_534)).unwrap();
    let become_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c"];
    let copy = format!("shift; exec {} \"$@\"", program.display());
    server.wrap =
        become_nobody.iter().map(ToString::to_string).chain([copy, "sh".to_owned()]).collect();
    server.up();
    let id = server.run("id -u; setsid sleep 619 & sleep 0.2; exit 3");
    ends_as(&server, id, "FAILED", Some("3:0"));
    assert_eq!(server.stdout(id), "65534\n");
    let id = server.run("sleep 600");
    server.started(id);
    cancel(&server, id);
    ends_as(&server, id, "CANCELLED", Some("0:15"));
    let id = server.run("kill -9 $PPID; sleep 620");
    ends_as(&server, id, "NODE_FAIL", None);
    server.is_clean();
}

#[test]
fn of_servers_that_start_in_the_same_instant_one_serves() {
    let server = Server::unstarted(&["--cpus", "4"]);
    let mut racing: Vec<_> = (0..6)
        .map(|n| {
            let log = fs::File::create(server.dir.path().join(format!("log{n}"))).unwrap();
            server.command().stdout(Stdio::null()).stderr(log).spawn().unwrap()
        })
        .collect();
    let mut ended = Vec::new();
    until("all but one to be refused", || {
        for (n, child) in racing.iter_mut().enumerate() {
            if let Some(status) = child.try_wait().unwrap()
                && !ended.contains(&(n, status.code()))
            {
                ended.push((n, status.code()));
            }
        }
        if ended.len() == 5 { Ok(()) } else { Err(format!("{ended:?}")) }
    });
    for (n, code) in &ended {
        let said = fs::read_to_string(server.dir.path().join(format!("log{n}"))).unwrap();
        assert_eq!(*code, Some(1), "{said}");
        assert!(said.contains("another server holds"), "{said}");
    }
    for child in &mut racing {
        let _dead = child.kill();
        child.wait().unwrap();
    }
}

#[test]
fn a_name_is_never_a_line_of_the_log() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    server.env.push(("RUST_LOG".to_owned(), "debug".to_owned()));
    server.args.extend(["--log-level".to_owned(), "debug".to_owned()]);
    server.up();
    let forged = "x\n[2026-01-01T00:00:00Z INFO  downbeat] forged\r\u{1b}[31mline";
    let body = json!({
        "script": "exit 3", "name": forged, "account": forged, "comment": forged,
        "labels": {"a": forged}, "partition": forged,
    });
    let answer = server.post("/api/v1/jobs", &body);
    if answer.status == 201 {
        let id = answer.json()["id"].as_i64().unwrap();
        ends_as(&server, id, "FAILED", Some("3:0"));
    } else {
        assert_eq!(answer.status, 422, "{}", answer.text());
    }
    server.get("/api/v1/nothing%0A[2026]%20forged");
    let said = Command::new(env!("CARGO_BIN_EXE_downbeat"))
        .args(["queue", "--server", &server.url])
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&said.stdout).contains('\u{1b}'), "{said:?}");
    let log = server.log();
    assert!(!log.lines().any(|l| l.contains("forged") && l.starts_with("[2026-01-01")), "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
    server.is_clean();
}

#[test]
fn a_server_without_proc_says_so() {
    let test = "a_server_without_proc_says_so";
    let mut server = Server::unstarted(&["--cpus", "4"]);
    let hide = "mount -t tmpfs tmpfs /proc || exit 77; exec \"$@\"";
    server.wrap = ["unshare", "-m", "sh", "-c", hide, "sh"].map(str::to_owned).to_vec();
    let done = server.command().stdin(Stdio::null()).output().unwrap();
    if matches!(done.status.code(), Some(77))
        || !done.status.success() && done.stdout.is_empty() && done.stderr.starts_with(b"unshare")
    {
        return skipped(test, "no file system can be mounted");
    }
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("/proc"), "{said}");
}
