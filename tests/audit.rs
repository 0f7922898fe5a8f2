//! *Purpose*: the safety net in the real program: books that somebody spoilt, and what follows.
//!
//! *Owns*: each remedy of the audit, with the real database and real processes.
//!
//! *Promises*: the net fails closed: what is provably free comes back, what is not is not handed
//! out; each finding is a warning, a metric and an entry of `/audit`.
//!
//! *Not here*: the comparison case by case (`actors::audit`), how to spoil a kernel
//! (`kernel::check`).

#![allow(clippy::unwrap_used)]

mod common;

use common::{Server, signal, until};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::{Value, json};

/// Another program writes into the database.
fn spoil(server: &Server, sql: &str) {
    let mut conn = SqliteConnection::establish(&server.database().to_string_lossy()).unwrap();
    conn.batch_execute(&format!("PRAGMA busy_timeout = 10000; {sql}")).unwrap();
}

fn audit(server: &Server) -> Value {
    server.get("/api/v1/audit").expect(200).json()
}

/// Waits for the sweep after which the witnesses agree; answers what it remembers.
fn agreed(server: &Server) -> Value {
    until("the sweep to mend the books", || {
        let audit = audit(server);
        let past = !audit["history"].as_array().unwrap().is_empty();
        if past && audit["consistent"] == true { Ok(audit) } else { Err(audit.to_string()) }
    })
}

fn metric(server: &Server, name: &str) -> String {
    let text = server.get("/metrics").expect(200).text();
    let line = text.lines().find_map(|l| l.strip_prefix(&format!("downbeat_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}

#[test]
fn cpus_that_an_ended_job_holds_in_the_database_are_given_back_there() {
    let server = Server::start();
    let id = server.run("exit 3");
    server.ended(id);
    spoil(
        &server,
        "UPDATE resource_allocations SET released = 0, released_time = NULL;
         INSERT INTO held_units VALUES ('cpu', 0, 1)",
    );
    let after = agreed(&server);
    assert_eq!(after["history"][0]["kind"], "ended_job_holds_cpus", "{after}");
    assert_eq!(after["history"][0]["remedy"], "reclaimed", "{after}");
    assert!(after["history"][0]["found_at"].is_string(), "{after}");
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM held_units"), "0");
    let row = "SELECT released || ' ' || (released_time > allocation_time) AS line \
               FROM resource_allocations";
    assert_eq!(server.sql(row), "1 1");
    let log = server.log();
    assert!(log.contains("DRIFT ended_job_holds_cpus (job 1)"), "{log}");
    assert!(log.contains("Released orphan resources: job 1, CPU "), "{log}");
    assert_eq!(metric(&server, "drift_found_total"), "1");
    assert_eq!(metric(&server, "ledger_drift"), "0");
    assert_eq!(server.ended(server.run("exit 4"))["exit_code"], "4:0");
    server.is_clean();
}

#[test]
fn a_database_that_forgot_the_cpus_of_a_running_job_is_told_again() {
    let server = Server::start();
    let gate = server.dir.path().join("gate");
    let made = std::process::Command::new("mkfifo").arg(&gate).status().unwrap();
    assert!(made.success());
    let id = server.submit(&json!({"script": "read -r _ < gate; exit 5", "cpus": 2,
        "working_directory": server.dir.path()}));
    server.started(id);
    spoil(&server, "DELETE FROM held_units; UPDATE resource_allocations SET released = 1");
    let after = agreed(&server);
    let history = after["history"].as_array().unwrap();
    // Newest first.
    let kinds: Vec<&Value> = history.iter().map(|d| &d["kind"]).collect();
    assert_eq!(kinds, ["ledger_vs_allocation", "ledger_vs_held_cpus"], "{after}");
    assert!(history.iter().all(|d| d["remedy"] == "restored"), "{after}");
    assert_eq!(server.get("/api/v1/resources").json()["used_cpus"], 2);
    std::fs::write(&gate, "go\n").unwrap();
    let job = server.ended(id);
    assert_eq!((&job["exit_code"], &job["allocation"]["released"]), (&json!("5:0"), &json!(true)));
    server.is_clean();
}

#[test]
fn cpus_of_processes_that_nobody_knows_are_held_back_until_they_are_gone() {
    let mut server = Server::start();
    let id = server.submit(&json!({"script": "sleep 600", "cpus": 2}));
    let pid = server.started(id)["allocation"]["process_id"].as_u64().unwrap();
    server.kill();
    spoil(
        &server,
        "UPDATE jobs SET state = 'FAILED', end_time = start_time;
         UPDATE resource_allocations SET released = 1, released_time = allocation_time + 1;
         DELETE FROM held_units",
    );
    server.up();
    let wide = server.submit(&json!({"script": "exit 6", "cpus": 4}));
    let narrow = server.submit(&json!({"script": "exit 7", "cpus": 2}));
    assert_eq!(server.ended(narrow)["exit_code"], "7:0", "the other two CPUs are handed out");
    let waiting = server.job(wide);
    assert_eq!(waiting["state_reason"], "ReqNodeNotAvail", "{waiting}");
    assert!(waiting["state_detail"].as_str().unwrap().contains("2 of 4 are held back"));
    let found = audit(&server);
    assert_eq!(found["drift"][0]["kind"], "process_without_cpus", "{found}");
    assert_eq!(found["drift"][0]["remedy"], "held_back", "{found}");
    let now = server.get("/api/v1/resources").json();
    assert_eq!(now["held_back_cpus"], json!([0, 1]), "{now}");
    assert_eq!((&now["used_cpus"], &now["available_cpus"]), (&json!(0), &json!(2)), "{now}");
    assert_eq!(metric(&server, "cpus_held_back"), "2");
    signal(pid as u32, "KILL");
    assert_eq!(server.ended(wide)["exit_code"], "6:0");
    agreed(&server);
    assert_eq!(server.get("/api/v1/resources").json()["held_back_cpus"], json!([]));
    server.is_clean();
}

#[test]
fn a_server_that_starts_over_spoilt_books_mends_them_before_it_hands_anything_out() {
    let mut server = Server::start();
    server.ended(server.run("true"));
    server.kill();
    spoil(
        &server,
        "INSERT INTO held_units VALUES ('cpu', 0, 99), ('cpu', 1, 98), ('cpu', 2, 97), ('cpu', 3, 96)",
    );
    server.up();
    // Without the audit first, taking CPU 0 again would break a rule of the database.
    assert_eq!(server.ended(server.run("exit 8"))["exit_code"], "8:0");
    assert_eq!(metric(&server, "drift_found_total"), "4");
    server.is_clean();
}

/// The key that a job's script bears.
fn key_of(server: &Server, job: i64) -> String {
    let pid = server.started(job)["allocation"]["process_id"].as_u64().unwrap();
    until("the script to have its environment", || {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let words = environment.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        let mut keys =
            words.filter_map(|word| Some(word.strip_prefix("DOWNBEAT_KEY=")?.to_owned()));
        keys.next().ok_or_else(|| String::from_utf8_lossy(&environment).into_owned())
    })
}

/// A process that is of no job and bears a key.
struct Bearer(std::process::Child);

impl Bearer {
    fn of(key: &str) -> Bearer {
        let child = std::process::Command::new("sleep").arg("600").env("DOWNBEAT_KEY", key).spawn();
        Bearer(child.unwrap())
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Bearer {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn who_bears_the_key_of_a_job_that_is_over_is_reported_and_takes_no_cpu() {
    let mut server = Server::start();
    let gate = server.dir.path().join("gate");
    assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let script = json!({"script": "read -r _ < gate; exit 5",
        "working_directory": server.dir.path()});
    let id = server.submit(&script);
    let key = key_of(&server, id);
    // As a daemon takes its client's environment.
    let mut bearer = Bearer::of(&key);
    // Of another server, which may have a job of this number.
    let mut stranger = Bearer::of(&format!("{key}0"));
    std::fs::write(&gate, "go\n").unwrap();
    // The key is in its environment alone: it is no process of the job's tree.
    assert_eq!(server.ended(id)["exit_code"], "5:0");
    assert!(bearer.lives(), "it was killed with the job");
    for _ in 0..2 {
        let found = until("the bearer to be reported", || match audit(&server) {
            found if found["consistent"] == false => Ok(found),
            found => Err(found.to_string()),
        });
        let [drift] = &found["drift"].as_array().unwrap()[..] else { panic!("{found}") };
        assert_eq!(
            (&drift["kind"], &drift["job_id"], &drift["remedy"]),
            (&json!("process_without_cpus"), &json!(id), &json!("reported")),
            "{found}"
        );
        assert!(drift["message"].as_str().unwrap().contains(&bearer.pid()), "{found}");
        assert!(!drift["message"].as_str().unwrap().contains(&stranger.pid()), "{found}");
        let wide = server.submit(&json!({"script": "exit 6", "cpus": 4}));
        assert_eq!(server.ended(wide)["exit_code"], "6:0", "no CPU is kept for it");
        // The same for a server that comes later.
        server.kill();
        server.up();
    }
    drop(bearer);
    server.is_clean();
    assert!(stranger.lives(), "the stranger was killed");
}
