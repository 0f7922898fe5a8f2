//! *Purpose*: what the machine itself does: loads, nodes, what was held when.
//!
//! *Owns*: nothing.
//!
//! *Promises*: what the server says is compared with what the system says, and what is not known
//! is null.
//!
//! *Not here*: GPUs, which need a tree of stand-ins (`tests/hostile/gpus.rs`); what was held over
//! minutes, which needs a clock that a test sets (`tests/faults/clock.rs`).

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{is_time, keys, problem};

cases! {
    loads_are_known_to_whoever_asks_again => ["GET /api/v1/resources"],
    of_a_server_that_has_just_begun_no_minute_is_known => ["GET /api/v1/samples"],
    samples_that_cannot_be_are_refused_by_name => ["GET /api/v1/samples"],
    a_running_job_shows_what_it_uses_and_an_ended_one_what_it_used =>
        ["GET /api/v1/jobs/{id}/usage", "GET /api/v1/jobs/{id}"],
}

/// A file of the system, without the end of its line.
fn told(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

fn loads_are_known_to_whoever_asks_again() {
    // More CPUs than any machine that runs this.
    let server = Server::with(&["--cpus", "512"]);
    let cpus = |server: &Server| -> Vec<Value> {
        server.get("/api/v1/resources").expect(200).json()["cpus"].as_array().unwrap().clone()
    };
    let first = cpus(&server);
    assert!(first.iter().all(|cpu| cpu["load"].is_null()), "nobody has looked: {first:?}");
    let known = until("loads", || {
        let now = cpus(&server);
        match now.iter().any(|cpu| !cpu["load"].is_null()) {
            true => Ok(now),
            false => Err(format!("{:?}", now.first())),
        }
    });
    for cpu in &known {
        let (id, load) = (cpu["id"].as_u64().unwrap(), &cpu["load"]);
        let folder = format!("/sys/devices/system/cpu/cpu{id}/topology");
        let shares = told(&format!("{folder}/core_cpus_list"));
        let core = shares.map(|list| {
            let lowest = list.split(['-', ',']).next().unwrap_or_default().to_owned();
            lowest.parse::<u64>().unwrap()
        });
        assert_eq!(cpu["core"].as_u64(), core, "{cpu}");
        match Path::new(&folder).exists() {
            true => assert!(load.as_u64().is_none_or(|load| load <= 1_000), "{cpu}"),
            false => assert!(load.is_null() && cpu["node"].is_null(), "there is none: {cpu}"),
        }
    }
    let now = server.get("/api/v1/resources").expect(200).json();
    let nodes = now["nodes"].as_array().unwrap();
    let is_told = Path::new("/sys/devices/system/node/node0").exists();
    assert_eq!(!nodes.is_empty(), is_told, "{nodes:?}");
    for node in nodes {
        keys(node, "node cpus memory_bytes");
        let of = |cpu: &&Value| cpu["node"] == node["node"];
        let own: BTreeSet<u64> =
            known.iter().filter(of).map(|cpu| cpu["id"].as_u64().unwrap()).collect();
        let said = node["cpus"].as_array().unwrap().iter().map(|cpu| cpu.as_u64().unwrap());
        assert_eq!(said.collect::<BTreeSet<u64>>(), own);
    }
}

const SAMPLES: &str = "start step_s cpus_total cpus_held memory_held_bytes gpus_held pending running \
                       started ended_ok ended_not_ok wait_s";

fn of_a_server_that_has_just_begun_no_minute_is_known() {
    let server = Server::start();
    let empty = server.get("/api/v1/samples").expect(200).json();
    keys(&empty, SAMPLES);
    is_time(&empty["start"]);
    assert_eq!((&empty["step_s"], &empty["cpus_total"]), (&json!(60), &json!(4)));
    let held = empty["cpus_held"].as_array().unwrap();
    assert!(!held.is_empty() && held.iter().all(Value::is_null), "{empty}");
}

fn samples_that_cannot_be_are_refused_by_name() {
    let server = Server::start();
    for (query, field) in [
        ("from=yesterday-ish", "from"),
        ("from=2026-11-22T16:00:00", "from"),
        ("until=tomorrow", "until"),
        ("from=now", "from"),
        ("from=-9y", "from"),
        ("from=-300w", "from"),
        ("step_s=59", "step_s"),
        ("step_s=0", "step_s"),
        ("step_s=61", "step_s"),
        ("from=-30h&step_s=60", "step_s"),
        ("from=-3d&step_s=60", "step_s"),
    ] {
        let refused = server.get(&format!("/api/v1/samples?{query}")).expect(400).json();
        assert_eq!(refused["errors"][0]["field"], field, "{query}: {refused}");
    }
    problem(server.get("/api/v1/samples?step=60"), 400);
}

fn a_running_job_shows_what_it_uses_and_an_ended_one_what_it_used() {
    let mut server = Server::start();
    let path = |id: i64, query: &str| format!("/api/v1/jobs/{id}/usage{query}");
    let quick = server.run("true");
    server.ended(quick);
    let id = server.submit(&json!({"script": "while :; do :; done", "cpus": 2, "memory": "1G"}));
    let waits = server.submit(&json!({"script": "true", "cpus": 4}));
    server.started(id);
    assert_eq!(server.job(id)["usage_now"], Value::Null, "not known yet");
    // A step is over 20 s after the start at the latest.
    let used = until("a step", || {
        let used = server.get(&path(id, "")).expect(200).json();
        match used["cpus_busy"].as_array().unwrap().first() {
            Some(busy) if busy.is_number() => Ok(used),
            _ => Err(used.to_string()),
        }
    });
    keys(&used, "attempt start step_s cpus memory_bytes cpus_busy rss_bytes gpu_load");
    is_time(&used["start"]);
    for (field, value) in [
        ("attempt", json!(1)),
        ("step_s", json!(10)),
        ("cpus", json!(2)),
        ("memory_bytes", json!(1_u64 << 30)),
        ("gpu_load", json!([null])),
    ] {
        assert_eq!(used[field], value, "{field}: {used}");
    }
    let busy = used["cpus_busy"][0].as_f64().unwrap();
    assert!((0.02..1.2).contains(&busy), "one loop on a machine that may be full: {used}");
    let bytes = used["rss_bytes"][0].as_u64().unwrap();
    assert!((50_000..1 << 30).contains(&bytes), "{used}");
    let now = server.job(id)["usage_now"].clone();
    keys(&now, "cpus_busy rss_bytes gpu_load");
    assert!(now["cpus_busy"].as_f64().unwrap() > 0.02, "{now}");
    let list = server.get("/api/v1/jobs?fields=usage_now&state=RUNNING").expect(200).json();
    assert!(list["jobs"][0]["usage_now"]["rss_bytes"].is_number(), "{list}");
    // What was never measured is not known.
    for other in [quick, waits] {
        let none = server.get(&path(other, "")).expect(200).json();
        assert_eq!((&none["start"], &none["cpus_busy"]), (&Value::Null, &json!([])), "{none}");
        assert_eq!(server.job(other)["usage_now"], Value::Null);
    }
    problem(server.get(&path(id, "?attempt=2")), 400);
    problem(server.get(&path(id, "?attempt=0")), 400);
    problem(server.get(&path(777, "")), 404);
    // A server that stops has it kept, and its successor shows it at once.
    assert_eq!(server.stop(), Some(0));
    server.up();
    let again = server.get(&path(id, "")).expect(200).json();
    assert_eq!((&again["start"], &again["cpus_busy"][0]), (&used["start"], &used["cpus_busy"][0]));
    server.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).expect(202);
    server.ended(id);
    assert_eq!(server.job(id)["usage_now"], Value::Null);
    let line = "SELECT COUNT(*) || '' AS line FROM attempt_usage";
    until("the row", || match server.sql(line).as_str() {
        "1" => Ok(()),
        rows => Err(rows.to_owned()),
    });
    let kept = server.get(&path(id, "?attempt=1")).expect(200).json();
    assert_eq!((&kept["start"], &kept["cpus_busy"][0]), (&used["start"], &used["cpus_busy"][0]));
    server.kill();
    server.up();
    assert_eq!(server.get(&path(id, "")).expect(200).json(), kept);
    server.ended(waits);
    server.is_clean();
}
