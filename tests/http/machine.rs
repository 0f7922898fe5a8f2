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
    what_a_job_used_of_what_it_asked_is_told_with_advice => ["GET /api/v1/jobs/{id}/efficiency"],
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

/// Makes a job one that ran two minutes with a CPU and a half, or so.
fn long_ago(server: &Server, id: i64) {
    let series = json!({"start": 0, "step_s": 10, "cpus_busy": [1_500, null, 1_900],
        "rss_bytes": [50 << 20, null, 100 << 20], "gpu_load": [null, null, null]});
    let of = format!("WHERE id = {id} RETURNING 'done' AS line");
    let ended = "start_time = end_time - 120500000, user_cpu_us = 180000000";
    let rest = "system_cpu_us = 750000, max_rss_bytes = 1048576";
    assert_eq!(server.sql(&format!("UPDATE jobs SET {ended}, {rest} {of}")), "done");
    let row = format!("({id}, 1, '{series}') RETURNING 'done' AS line");
    assert_eq!(server.sql(&format!("REPLACE INTO attempt_usage VALUES {row}")), "done");
}

fn what_a_job_used_of_what_it_asked_is_told_with_advice() {
    let server = Server::start();
    let told = |id: i64| server.get(&format!("/api/v1/jobs/{id}/efficiency")).expect(200).json();
    let ask = json!({"script": "true", "cpus": 4, "memory": "2G", "time_limit": "1h"});
    let (quick, long) = (server.submit(&ask), server.submit(&ask));
    server.ended(quick);
    server.ended(long);
    let said = told(quick);
    keys(&said, "attempt cpu memory gpu time advice");
    keys(&said["cpu"], "asked used most used_s");
    keys(&said["memory"], "asked_bytes used_bytes");
    keys(&said["time"], "asked_s used_s");
    assert!(said["cpu"]["used"].as_f64().unwrap() >= 0.0, "{said}");
    for field in ["gpu", "advice"] {
        assert_eq!(said[field], Value::Null, "it ran too short, without a GPU: {said}");
    }
    assert_eq!(said["cpu"]["most"], Value::Null, "it was never measured: {said}");
    long_ago(&server, long);
    let said = told(long);
    assert_eq!(said["cpu"], json!({"asked": 4, "used": 1.5, "most": 1.9, "used_s": 180.75}));
    assert_eq!(said["memory"], json!({"asked_bytes": 2_u64 << 30, "used_bytes": 100 << 20}));
    assert_eq!(said["time"], json!({"asked_s": 3_600, "used_s": 120}));
    let enough = "asked 2 GiB, used 100 MiB at most; `--memory 128M` would be enough";
    assert_eq!(said["advice"], enough, "the larger part, and four are free too");
    // Where two are free and four are not it would start, and only then.
    let other = server.submit(&json!({"script": "exec sleep 600", "cpus": 2}));
    server.started(other);
    let starts = "asked 4 CPUs, used 1.5, at most 1.9; `--cpus 2` would start now";
    assert_eq!(told(long)["advice"], starts);
    let third = server.submit(&json!({"script": "exec sleep 600", "cpus": 1}));
    server.started(third);
    assert_eq!(told(long)["advice"], enough);
    let page = server.get(&format!("/jobs/{long}")).expect(200).text();
    assert!(page.contains(&format!("<dd>{enough}")), "{page}");
    assert!(page.contains("1.5 of 4 busy in the mean"), "{page}");
    // Who failed is told nothing, and who waits used nothing.
    let state = format!("UPDATE jobs SET state = 'TIMEOUT' WHERE id = {long} RETURNING '' AS line");
    server.sql(&state);
    assert_eq!(told(long)["advice"], Value::Null);
    let waits = server.submit(&json!({"script": "true", "cpus": 4}));
    let said = told(waits);
    assert_eq!((&said["attempt"], &said["cpu"]["used"]), (&json!(0), &Value::Null), "{said}");
    problem(server.get("/api/v1/jobs/777/efficiency"), 404);
    for id in [other, third] {
        server.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).expect(202);
    }
}
