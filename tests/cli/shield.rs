//! *Purpose*: what a server and a client put up with, and what they do not.
//!
//! *Owns*: taken addresses, outputs that cannot be written, signals, folders and files of others,
//! servers of others, readers that leave.
//!
//! *Promises*: parts that need a second user are left out where nobody can become one.
//!
//! *Not here*: requests of strangers (`tests/http/strangers.rs`).

use std::fs::{File, Permissions, set_permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Server, signal, until};
use crate::help::{binary, call, client, finish};

/// A user that every system has, `nobody`.
const NOBODY: u32 = 65_534;

cases! {
    a_taken_address_is_told_with_who_answers_there_and_nothing_is_begun => ["serve"],
    a_server_whose_output_cannot_be_written_serves_all_the_same => ["status"],
    only_two_signals_end_a_server_and_one_reads_the_settings_again => ["status"],
    a_pipe_in_the_place_of_the_settings_keeps_no_signal_from_being_heard => ["status"],
    a_data_folder_that_is_open_to_others_is_refused => ["serve"],
    what_is_a_link_is_not_written_through => ["serve"],
    settings_that_others_could_have_written_are_refused => ["serve"],
    a_server_of_another_user_is_sent_nothing => ["status", "submit"],
    a_job_does_not_read_the_environment_of_its_server => ["status"],
    a_server_that_never_answers_is_waited_for_a_bounded_time => ["status"],
    a_command_whose_reader_goes_ends_at_once_and_its_job_with_it => ["run"],
    logs_whose_reader_goes_end_at_once => ["logs"],
}

fn a_taken_address_is_told_with_who_answers_there_and_nothing_is_begun() {
    let server = Server::start();
    let taken = server.url.strip_prefix("http://").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let words = ["serve", "--data-dir", "state", "--listen", taken];
    let said = finish(binary(folder.path(), &words), "").ends(1);
    let who = format!("another Downbeat answers there, process {}", server.pid());
    assert!(said.err.contains(&who) && said.err.contains("--listen"), "{said:?}");
    assert_eq!(said.err.trim().lines().count(), 1, "{said:?}");
    assert!(!folder.path().join("state").exists());
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = other.local_addr().unwrap().to_string();
    let words = ["serve", "--data-dir", "state", "--listen", &at];
    let said = finish(binary(folder.path(), &words), "").ends(1);
    assert!(said.err.contains(&format!("process {}", std::process::id())), "{said:?}");
    server.get("/health/live").expect(200);
}

fn a_server_whose_output_cannot_be_written_serves_all_the_same() {
    for how in ["/dev/full", "a pipe that nobody reads"] {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        drop(listener);
        let mut command =
            binary(folder.path(), &["serve", "--data-dir", "s", "--cpus", "1", "--listen", &at]);
        if how == "/dev/full" {
            let full = || File::options().write(true).open("/dev/full").unwrap();
            command.stdout(full()).stderr(full());
        }
        let mut child = command.spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        until("the server to be ready", || {
            let mut status = binary(folder.path(), &["status"]);
            status.env("DOWNBEAT_SERVER", &at);
            match finish(status, "").code {
                Some(0) => Ok(()),
                other => Err(format!("{other:?}, server {:?}", child.try_wait())),
            }
        });
        signal(child.id(), "TERM");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{how}");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut migrate = binary(folder.path(), &["migrate", "--data-dir", "state"]);
    migrate.stdout(File::options().write(true).open("/dev/full").unwrap());
    finish(migrate, "").ends(1);
}

fn only_two_signals_end_a_server_and_one_reads_the_settings_again() {
    let mut server = Server::unstarted(&["--cpus", "2"]);
    let path = server.dir.path().join("own.toml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("max_time_limit = \"1h\"\n");
    server.args.extend(["--config".to_owned(), path.display().to_string()]);
    server.up();
    let asks = |minutes: i64| {
        let body = json!({"script": "true", "time_limit": minutes});
        server.post("/api/v1/jobs?dry_run=true", &body).status
    };
    assert_eq!((asks(60), asks(120)), (200, 422));
    write("max_time_limit = \"3h\"\ntick = \"1s\"\ncpus = 1\n");
    signal(server.pid(), "HUP");
    let log = |part: &str| {
        until(part, || {
            let log = server.log();
            if log.contains(part) { Ok(()) } else { Err(log) }
        });
    };
    log("in force only after a restart: tick");
    assert_eq!((asks(120), asks(240)), (200, 422));
    for (broken, part) in
        [("max_time_limit = ", "line 1"), ("max_time_limits = 1", "max_time_limits")]
    {
        write(broken);
        signal(server.pid(), "HUP");
        log("The settings stay as they were");
        log(part);
        assert_eq!((asks(120), asks(240)), (200, 422));
    }
    for harmless in ["USR1", "USR2", "QUIT", "PIPE", "HUP"] {
        signal(server.pid(), harmless);
        server.get("/health/ready").expect(200);
    }
    call(&server, &["status"]).ends(0);
    assert_eq!(server.stop(), Some(0));
}

fn a_pipe_in_the_place_of_the_settings_keeps_no_signal_from_being_heard() {
    let mut server = Server::unstarted(&["--cpus", "2"]);
    let path = server.dir.path().join("own.toml");
    let write = |limit: &str| std::fs::write(&path, format!("max_time_limit = \"{limit}\"\n"));
    write("1h").unwrap();
    server.args.extend(["--config".to_owned(), path.display().to_string()]);
    server.up();
    let read_again = |part: &str| {
        let before = server.log().len();
        signal(server.pid(), "HUP");
        until(part, || match server.log().split_off(before) {
            log if log.contains(part) => Ok(()),
            log => Err(log),
        });
    };
    let pipe = || {
        std::fs::remove_file(&path).unwrap();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    };
    pipe();
    read_again("is not a plain file");
    // With the file back it is read again: nothing still waits for the pipe.
    std::fs::remove_file(&path).unwrap();
    write("3h").unwrap();
    read_again("The settings were read again");
    let body = json!({"script": "true", "time_limit": 120});
    server.post("/api/v1/jobs?dry_run=true", &body).expect(200);
    call(&server, &["status"]).ends(0);
    pipe();
    signal(server.pid(), "HUP");
    let asked = Instant::now();
    assert_eq!(server.stop(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

fn a_data_folder_that_is_open_to_others_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let words = ["serve", "--data-dir", "state", "--listen", "127.0.0.1:0"];
    set_permissions(&state, Permissions::from_mode(0o777)).unwrap();
    let said = finish(binary(folder.path(), &words), "").ends(1);
    assert!(said.err.contains("chmod 700"), "{said:?}");
    assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0);
    if rustix::process::geteuid().is_root() {
        set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(&state, Some(NOBODY), None).unwrap();
        let said = finish(binary(folder.path(), &words), "").ends(1);
        assert!(said.err.contains("chown") && said.err.contains("(65534)"), "{said:?}");
        assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0);
    }
}

fn what_is_a_link_is_not_written_through() {
    for name in ["server.lock", "downbeat.db.lock", "downbeat.db", "stepd.lock"] {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let precious = folder.path().join("precious");
        std::fs::create_dir(&state).unwrap();
        set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
        std::fs::write(&precious, "precious").unwrap();
        symlink(&precious, state.join(name)).unwrap();
        let words = ["serve", "--data-dir", "state", "--listen", "127.0.0.1:0"];
        let said = finish(binary(folder.path(), &words), "");
        assert_eq!(said.code, Some(1), "{name}: {said:?}");
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious", "{name}");
    }
}

fn settings_that_others_could_have_written_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("downbeat.toml");
    std::fs::write(&path, "data_dir = \"theirs\"\n").unwrap();
    set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let words = ["serve", "--listen", "127.0.0.1:0"];
    let said = finish(binary(folder.path(), &words), "").ends(2);
    assert!(said.err.contains("others may write"), "{said:?}");
    assert!(!folder.path().join("theirs").exists());
    let token = folder.path().join("token");
    std::fs::write(&token, "sesame").unwrap();
    set_permissions(&token, Permissions::from_mode(0o646)).unwrap();
    std::fs::remove_file(&path).unwrap();
    let words = ["serve", "--listen", "127.0.0.1:0", "--token-file", "token", "--data-dir", "s"];
    let said = finish(binary(folder.path(), &words), "").ends(2);
    assert!(said.err.contains("others may write") && !said.err.contains("sesame"), "{said:?}");
}

/// A server of another user; `None` where nobody can become one.
fn of_nobody(env: &[(&str, &str)]) -> Option<Server> {
    let can_become = || {
        let mut other = Command::new("setpriv");
        other.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
        other.arg(env!("CARGO_BIN_EXE_downbeat")).arg("--version");
        other.stdout(Stdio::null()).stderr(Stdio::null());
        other.status().is_ok_and(|status| status.success())
    };
    if !rustix::process::geteuid().is_root() || !can_become() {
        return None;
    }
    let mut server = Server::unstarted(&["--cpus", "1"]);
    server.env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    std::os::unix::fs::chown(server.dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    server.wrap = words.map(str::to_owned).to_vec();
    server.up();
    Some(server)
}

fn a_server_of_another_user_is_sent_nothing() {
    let own = Server::start();
    call(&own, &["status"]).ends(0);
    finish(client(&own, &["submit", "--test-only", "-"]), "#!/bin/sh\ntrue\n").ends(0);
    let Some(server) = of_nobody(&[]) else { return };
    let said = call(&server, &["status"]).ends(3);
    assert!(said.err.contains("(65534); nothing was sent"), "{said:?}");
    finish(client(&server, &["submit", "-"]), "#!/bin/sh\ntrue\n").ends(3);
    // Root itself may ask, by other means.
    server.get("/api/v1/jobs").expect(200);
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM jobs"), "0");
}

fn a_job_does_not_read_the_environment_of_its_server() {
    let Some(server) = of_nobody(&[("DOWNBEAT_ADMIN_TOKEN", "above-sesame")]) else {
        call(&Server::start(), &["status"]).ends(0);
        return;
    };
    let of_server = format!("/proc/{}/environ", server.pid());
    assert_eq!(std::fs::metadata(&of_server).unwrap().uid(), 0, "no longer its user's");
    let body = json!({"script": format!("id -u; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' \
        '\\n' | grep above-; cat {of_server} > /dev/null || echo refused")});
    let answer = server.send(
        "POST",
        "/api/v1/jobs",
        &[("content-type", "application/json")],
        body.to_string().as_bytes(),
    );
    let id = answer.expect(201).json()["id"].as_i64().unwrap();
    server.ended(id);
    assert_eq!(server.stdout(id), "65534\nrefused\n");
    call(&server, &["status"]).ends(3);
}

fn a_server_that_never_answers_is_waited_for_a_bounded_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut status = binary(folder.path(), &["status"]);
    status.env("DOWNBEAT_SERVER", silent.local_addr().unwrap().to_string());
    let began = Instant::now();
    let said = finish(status, "").ends(3);
    assert!(said.err.contains("no answer in 15 s"), "{said:?}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

fn a_command_whose_reader_goes_ends_at_once_and_its_job_with_it() {
    let server = Server::start();
    for words in [vec!["run", "--", "yes"], vec!["run", "--", "sh", "-c", "echo y; sleep 1000"]] {
        let mut run = client(&server, &words).spawn().unwrap();
        let mut first = [0];
        let mut out = run.stdout.take().unwrap();
        std::io::Read::read_exact(&mut out, &mut first).unwrap();
        drop((out, run.stderr.take()));
        let code = until("its end", || run.try_wait().unwrap().ok_or("it runs".to_owned()));
        assert_eq!(code.code(), Some(141), "{words:?}");
    }
    for id in [1, 2] {
        assert_eq!(server.ended(id)["state"], "CANCELLED");
    }
}

fn logs_whose_reader_goes_end_at_once() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "echo y; sleep 1000"}));
    server.says(id, "y\n");
    let mut logs = client(&server, &["logs", "-f", &id.to_string()]).spawn().unwrap();
    let mut first = [0];
    let mut out = logs.stdout.take().unwrap();
    std::io::Read::read_exact(&mut out, &mut first).unwrap();
    drop(out);
    let code = until("its end", || logs.try_wait().unwrap().ok_or("it runs".to_owned()));
    assert_eq!(code.code(), Some(0));
    assert_eq!(server.job(id)["state"], "RUNNING");
}
