//! *Purpose*: changes that are asked for while the database cannot be written.
//!
//! *Owns*: each kind of change, under a foreign lock and on a disk that has stopped.
//!
//! *Promises*: every one is answered in bounded time; what was answered with an error is done at
//! most once, also when it is sent again.
//!
//! *Not here*: what is read meanwhile, and jobs that end then (`database`).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Answer, Server, until};
use crate::help::{Foreign, Frozen, Mount, ends_as, skipped};

/// Ten seconds of waiting, and what a busy machine needs beside.
const ANSWER_MAX: Duration = Duration::from_secs(14);

/// A request; one with a key may be sent again.
struct Change {
    method: &'static str,
    path: String,
    key: Option<&'static str>,
    body: Value,
}

impl Change {
    fn new(method: &'static str, path: impl Into<String>, body: Value) -> Change {
        Change { method, path: path.into(), key: None, body }
    }

    fn post(path: impl Into<String>) -> Change {
        Change::new("POST", path, json!({}))
    }

    fn keyed(path: &str, key: &'static str, body: Value) -> Change {
        Change { key: Some(key), ..Change::new("POST", path, body) }
    }

    fn send(&self, server: &Server) -> Answer {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(self.key.map(|key| ("idempotency-key", key)));
        server.send(self.method, &self.path, &headers, self.body.to_string().as_bytes())
    }

    #[track_caller]
    fn is_refused_in_time(&self, server: &Server) {
        let asked = Instant::now();
        let answer = self.send(server);
        let (path, took) = (&self.path, asked.elapsed());
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert!(took < ANSWER_MAX, "{path} took {took:?}");
        assert!(answer.header("retry-after").is_some(), "{path}");
    }
}

/// Submissions of one job each, by every door.
fn submissions() -> Vec<Change> {
    let job = |name: &str| json!({"script": "exit 4", "name": name});
    vec![
        Change::keyed("/api/v1/jobs", "one", job("one")),
        Change::keyed("/api/v1/jobs/batch", "two", json!({"jobs": [job("two")]})),
        Change::keyed("/jobs/submit", "old", json!({"script": "exit 4", "job": {"name": "old"}})),
    ]
}

/// Sent again they are one job each, whatever they were told before.
fn are_done_once(server: &Server, sent: &[Change]) {
    for change in sent {
        for _ in 0..2 {
            until("the database to be written again", || match change.send(server) {
                answer if matches!(answer.status, 200 | 201) => Ok(()),
                answer if answer.status == 503 => Err(answer.text()),
                answer => panic!("{}: {answer:?}", change.path),
            });
        }
    }
    for name in ["one", "two", "old"] {
        let found = server.get(&format!("/api/v1/jobs?name={name}")).json();
        let [job] = &found["jobs"].as_array().unwrap()[..] else { panic!("{name}: {found}") };
        ends_as(server, job["id"].as_i64().unwrap(), "FAILED", Some("4:0"));
    }
}

fn all_at_once(server: &Server, changes: &[Change]) {
    std::thread::scope(|scope| {
        for change in changes {
            scope.spawn(|| change.is_refused_in_time(server));
        }
    });
}

#[test]
fn every_change_is_answered_in_time_while_another_program_locks_the_database() {
    let server = Server::with(&["--cpus", "8"]);
    let held = |more: Value| {
        let mut body = json!({"script": "exit 3", "held": true});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.submit(&body)
    };
    let runs = [server.run("sleep 600"), server.run("sleep 600"), server.run("sleep 600")];
    runs.iter().for_each(|id| drop(server.started(*id)));
    let [waits, released, edited] = [held(json!({})), held(json!({})), held(json!({}))];
    let array = held(json!({"array": "0-3"}));
    let soon = json!({"start_time": "2999-01-01T00:00:00Z", "end_time": "2999-01-02T00:00:00Z"});
    let window = server.post("/api/v1/maintenance", &soon).expect(201).json()["id"].clone();
    let job = |id: i64, verb: &str| Change::post(format!("/api/v1/jobs/{id}/{verb}"));
    let mut changes = vec![
        job(runs[0], "cancel"),
        job(runs[1], "requeue?hold=true"),
        Change::post(format!("/jobs/cancel/{}", runs[2])),
        job(waits, "cancel"),
        job(released, "release"),
        Change::new("PATCH", format!("/api/v1/jobs/{edited}"), json!({"time_limit": "7m"})),
        Change::post(format!("/api/v1/jobs/{array}_1/release")),
        Change::post(format!("/api/v1/jobs/{array}_2/cancel")),
        Change::new("POST", "/api/v1/maintenance", soon),
        Change::new("DELETE", format!("/api/v1/maintenance/{window}"), json!({})),
    ];
    changes.extend(submissions());
    let mut other = Foreign::open(&server.database());
    other.does("BEGIN IMMEDIATE; UPDATE meta SET epoch = epoch");
    all_at_once(&server, &changes);
    other.does("ROLLBACK");
    are_done_once(&server, &changes[changes.len() - submissions().len()..]);
    // What was decided is done, though nobody could be told.
    for id in [runs[0], runs[2], waits] {
        assert_eq!(server.ended(id)["state"], "CANCELLED");
    }
    until("the requeued job to wait", || match server.job(runs[1]) {
        job if job["state"] == "PENDING" => Ok(()),
        job => Err(job.to_string()),
    });
    ends_as(&server, released, "FAILED", Some("3:0"));
    assert_eq!(server.job(edited)["time_limit_s"], 420, "{}", server.job(edited));
    server.is_clean();
}

#[test]
fn changes_are_answered_in_time_on_a_disk_that_has_stopped_and_done_once() {
    let test = "changes_are_answered_in_time_on_a_disk_that_has_stopped_and_done_once";
    let mut server = Server::unstarted(&["--cpus", "4"]);
    let disk = match Mount::disk(&server.data()) {
        Ok(disk) => disk,
        Err(why) => return skipped(test, &why),
    };
    server.up();
    let [runs, waits] = ["sleep 600", "sleep 600"].map(|script| server.run(script));
    [runs, waits].iter().for_each(|id| drop(server.started(*id)));
    let mut changes: Vec<Change> =
        [runs, waits].iter().map(|id| Change::post(format!("/api/v1/jobs/{id}/cancel"))).collect();
    changes.extend(submissions());
    let frozen = match Frozen::freeze(&disk) {
        Ok(frozen) => frozen,
        Err(why) => return skipped(test, &why),
    };
    all_at_once(&server, &changes);
    // Once more: who is told the same twice has not asked for two.
    all_at_once(&server, &changes[2..]);
    server.get("/health/live").expect(200);
    drop(frozen);
    are_done_once(&server, &changes[2..]);
    for id in [runs, waits] {
        server.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({}));
        assert_eq!(server.ended(id)["state"], "CANCELLED");
    }
    server.is_clean();
    assert_eq!(server.stop(), Some(0));
}
