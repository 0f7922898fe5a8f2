//! *Purpose*: a newer binary, with a migration of its own, takes over while jobs run.
//!
//! *Owns*: the extra migration; the file of the running program being replaced.
//!
//! *Promises*: it is done as people do it: the new file is renamed over the old one, the server
//! is stopped (or dies), the new one is started.
//!
//! *Not here*: a crash inside a migration (`table`).

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use crate::common::{Server, signal, until};
use crate::freeze::Gate;

/// The migration's version, as the database and the refusal name it.
const VERSION: &str = "20990101000000";

/// Writes a migration that this program does not know into a folder of migrations.
pub fn write_migration(folder: &Path) {
    let migration = folder.join("2099-01-01-000000_newer");
    fs::create_dir_all(&migration).unwrap();
    let up =
        "ALTER TABLE jobs ADD COLUMN newer TEXT;\nCREATE TABLE newer (id INTEGER PRIMARY KEY);\n";
    fs::write(migration.join("up.sql"), up).unwrap();
    fs::write(migration.join("down.sql"), "DROP TABLE newer;\n").unwrap();
}

/// Puts a copy of the program there, by rename.
fn install(program: &Path) {
    let new = program.with_extension("new");
    fs::copy(env!("CARGO_BIN_EXE_downbeat"), &new).unwrap();
    fs::rename(&new, program).unwrap();
}

/// One job at a gate, one that ends while no server runs, one behind both.
fn three_jobs(server: &Server, gates: [&Gate; 2]) -> [i64; 3] {
    let script = |gate: &Gate, code| {
        let gate = gate.path.display();
        json!({"script": format!("echo up\nread -r _ < {gate}\nexit {code}\n"), "cpus": 2})
    };
    let (stays, ends) =
        (server.submit(&script(gates[0], 41)), server.submit(&script(gates[1], 42)));
    let behind = server.submit(&json!({"script": "exit 43", "cpus": 4}));
    server.says(stays, "up\n");
    server.says(ends, "up\n");
    [stays, ends, behind]
}

fn newer_takes_over(gracefully: bool) {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    let home = server.dir.path().to_owned();
    server.program = home.join("downbeat");
    install(&server.program);
    server.up();
    let (mut stay, mut end) = (Gate::new(home.join("stay")), Gate::new(home.join("end")));
    let [stays, ends, behind] = three_jobs(&server, [&stay, &end]);

    // The running server's file is gone now; it must still find itself to start a step daemon.
    install(&server.program);
    let daemon = server.step_daemon();
    signal(daemon, "KILL");
    until("another step daemon of the old server", || match server.step_daemon() {
        now if now == daemon => Err(format!("still {now}")),
        _ => Ok(()),
    });

    if gracefully {
        assert_eq!(server.stop(), Some(0));
    } else {
        server.kill();
    }
    end.open();
    until("a job to end without a server", || {
        let mut attempts = fs::read_dir(server.data().join("spool")).unwrap().flatten();
        let ended = attempts.any(|a| a.path().join("exit").exists());
        if ended { Ok(()) } else { Err("no record".to_owned()) }
    });
    write_migration(&home.join("migrations"));
    let extra = home.join("migrations").display().to_string();
    server.env.push(("DOWNBEAT_EXTRA_MIGRATIONS".to_owned(), extra));
    server.up();

    assert_eq!(server.ended(ends)["exit_code"], "42:0");
    assert_eq!(server.job(stays)["state"], "RUNNING", "adopted");
    assert_eq!(server.job(behind)["state"], "PENDING", "its CPUs are held");
    stay.open();
    assert_eq!(server.ended(stays)["exit_code"], "41:0");
    assert_eq!(server.ended(behind)["exit_code"], "43:0");
    assert_eq!(server.ended(server.run("exit 44"))["exit_code"], "44:0");
    server.is_clean();
    assert_eq!(server.stop(), Some(0));
    the_older_refuses(&mut server);
}

fn the_older_refuses(server: &mut Server) {
    let newer = server.env.pop().unwrap();
    let state = "SELECT commit_no || ' ' || epoch AS line FROM meta";
    let before = server.sql(state);
    let refused = server.command().stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    let sentence =
        format!("was written by a newer Downbeat (migration {VERSION}); start that version");
    assert!(said.contains(&sentence), "{said}");
    assert_eq!(server.sql(state), before, "left untouched");
    server.env.push(newer);
    server.up();
    server.is_clean();
}

#[test]
fn a_newer_binary_with_a_new_migration_takes_over_while_jobs_run() {
    newer_takes_over(true);
}

#[test]
fn a_newer_binary_with_a_new_migration_takes_over_from_a_killed_server() {
    newer_takes_over(false);
}
