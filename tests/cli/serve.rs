//! *Purpose*: the server's own verbs: what they refuse, and what they bring up to date.
//!
//! *Owns*: refusals of `serve`, and `migrate`.
//!
//! *Promises*: a refusal names the setting, and no folder or database was made.
//!
//! *Not here*: settings that are taken (`settings`), crashes (`tests/process.rs`).

use std::path::Path;

use crate::common::{Server, until};
use crate::help::{Said, binary, call, finish};

cases! {
    a_server_that_others_can_reach_needs_a_token => ["serve"],
    what_cannot_be_served_is_refused_by_name => ["serve"],
    a_settings_file_that_is_wrong_is_named_with_its_key => ["serve"],
    migrate_makes_a_database_and_then_finds_it_up_to_date => ["migrate"],
    migrate_does_not_touch_a_served_database => ["migrate"],
    a_stop_is_heard_by_both_signals => ["status"],
    processes_are_named_by_what_they_are_and_those_that_live_are_adopted => ["cancel"],
}

fn serve(folder: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Said {
    let mut words = vec!["serve", "--data-dir", "state"];
    if !flags.contains(&"--listen") {
        words.extend(["--listen", "127.0.0.1:0"]);
    }
    words.extend(flags);
    let mut command = binary(folder, &words);
    command.envs(variables.iter().copied());
    finish(command, "")
}

fn a_server_that_others_can_reach_needs_a_token() {
    let folder = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let said = serve(folder.path(), &["--listen", address], &[]).ends(2);
        assert!(said.err.contains("token") && said.err.contains("DOWNBEAT_TOKEN"), "{said:?}");
        assert!(!said.out.contains("listening"), "{said:?}");
    }
    assert!(!folder.path().join("state").exists());
}

fn what_cannot_be_served_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (flags, words) in [
        (vec!["--database-url", "postgres://u:hunter2@h/d?schema=A"], "schema"),
        (vec!["--database-url", "mysql://h/d"], "--database-url"),
        (vec!["--cpus", "0"], "--cpus"),
        (vec!["--cpus", "many"], "--cpus"),
        (vec!["--tick", "0s"], "--tick"),
        (vec!["--tick", "soon"], "--tick"),
        (vec!["--listen", "127.0.0.1"], "--listen"),
        (vec!["--token-file", "missing"], "--token-file"),
        (vec!["--output-root", "relative"], "--output-root"),
        (vec!["--default-time-limit", "0"], "--default-time-limit"),
        (vec!["--max-time-limit", "x"], "--max-time-limit"),
        (vec!["--kill-grace", "soon"], "--kill-grace"),
        (vec!["--log-level", "loud"], "--log-level"),
        (vec!["--default-time-limit", "2h", "--max-time-limit", "1h"], "--default-time-limit"),
        (vec!["--nope"], "--nope"),
    ] {
        let said = serve(folder.path(), &flags, &[]).ends(2);
        assert!(said.err.contains(words), "{flags:?}: {said:?}");
        assert!(!said.err.contains("hunter2"), "a password is not printed: {said:?}");
    }
    let said = serve(folder.path(), &[], &[("DOWNBEAT_CPUS", "x")]).ends(2);
    assert!(said.err.contains("environment"), "it says where the value came from: {said:?}");
    assert!(!folder.path().join("state").exists());
    std::fs::write(folder.path().join("state"), "a file").unwrap();
    let said = serve(folder.path(), &[], &[]).ends(1);
    assert!(said.err.contains("--data-dir"), "{said:?}");
}

fn a_settings_file_that_is_wrong_is_named_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let said = serve(folder.path(), &["--config", "missing.toml"], &[]).ends(2);
    assert!(said.err.contains("missing.toml"), "{said:?}");
    for (text, key) in [
        ("lisen = \"x\"", "lisen"),
        ("cpus = true", "cpus"),
        ("tick = [1]", "tick"),
        ("cpus = ", "line 1"),
    ] {
        std::fs::write(folder.path().join("downbeat.toml"), text).unwrap();
        let said = serve(folder.path(), &[], &[]).ends(2);
        assert!(said.err.contains("downbeat.toml") && said.err.contains(key), "{text}: {said:?}");
    }
}

fn migrate_makes_a_database_and_then_finds_it_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let migrate = || finish(binary(folder.path(), &["migrate", "--data-dir", "state"]), "").ends(0);
    let first = migrate();
    assert!(first.out.contains("downbeat.db") && first.out.contains("ran"), "{first:?}");
    let again = migrate();
    assert!(again.out.contains("up to date"), "{again:?}");
    let tables =
        "SELECT group_concat(name, ' ') AS line FROM (SELECT name FROM sqlite_master WHERE \
                  type = 'table' AND name IN ('jobs', 'events',
                      'resource_allocations') ORDER BY name)";
    let found = crate::common::sql(&folder.path().join("state/downbeat.db"), tables);
    assert_eq!(found, "events jobs resource_allocations");
}

fn migrate_does_not_touch_a_served_database() {
    let server = Server::start();
    let data = server.data().display().to_string();
    let said = finish(binary(server.dir.path(), &["migrate", "--data-dir", &data]), "").ends(1);
    assert!(said.err.contains(&format!("process {}", server.pid())), "{said:?}");
    assert!(said.err.contains(&server.url), "{said:?}");
}

fn a_stop_is_heard_by_both_signals() {
    for name in ["TERM", "INT"] {
        let server = Server::start();
        crate::common::signal(server.pid(), name);
        until("the server to stop", || {
            let mut command = binary(server.dir.path(), &["status"]);
            command.env("DOWNBEAT_SERVER", &server.url);
            match finish(command, "").code {
                Some(3) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
        assert!(server.log().contains("Stopping"), "{name}: {}", server.log());
    }
}

fn processes_are_named_by_what_they_are_and_those_that_live_are_adopted() {
    // A job of the same number, of another server.
    let other = Server::start();
    other.started(other.run("sleep 600"));
    let mut server = Server::start();
    let gate = server.dir.path().join("gate");
    let wait = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    let (ends, stays) = (server.run(&wait), server.run("sleep 600"));
    let gone = server.started(ends)["allocation"]["process_id"].as_i64().unwrap();
    let script = server.started(stays)["allocation"]["process_id"].as_i64().unwrap();
    let field = |pid: i64, name: &str| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.unwrap().trim().to_owned()
    };
    let supervisor: i64 = field(script, "PPid").parse().unwrap();
    assert_eq!(field(supervisor, "Name"), "downbeat-superv");
    let stepd: i64 = field(supervisor, "PPid").parse().unwrap();
    assert_eq!(field(stepd, "Name"), "downbeat-stepd");
    server.kill();
    std::fs::write(gate, "").unwrap();
    // Gone it is before its supervisor has recorded that.
    until("the record of its end", || {
        let attempts = std::fs::read_dir(server.data().join("spool")).unwrap().flatten();
        let recorded = attempts.map(|one| one.path().join("exit")).any(|exit| exit.exists());
        if recorded { Ok(()) } else { Err("no exit".to_owned()) }
    });
    assert!(!Path::new(&format!("/proc/{gone}")).exists(), "{gone} is recorded, and lives");
    server.up();
    assert_eq!(server.ended(ends)["state"], "COMPLETED");
    until("what lives is adopted, and no more", || match server.log() {
        log if log.contains("Adopted 1 attempts that live already") => Ok(()),
        log => Err(log),
    });
    assert_eq!(call(&server, &["cancel", &stays.to_string()]).ends(0).err, "");
}
