//! *Purpose*: what is foretold, asked of the real binary.
//!
//! *Owns*: `GET /forecast`.
//!
//! *Promises*: what is foretold of a size is compared with what a dry run of such a job says.
//!
//! *Not here*: how it is worked out (`observe::openings`).

use serde_json::{Value, json};

use crate::common::Server;
use crate::help::{Gate, fields, is_time, keys, problem};

cases! {
    who_submits_as_foretold_starts_then => ["GET /api/v1/forecast", "POST /api/v1/jobs"],
    an_empty_machine_is_free_for_ever => ["GET /api/v1/forecast"],
}

fn forecast(server: &Server) -> Value {
    server.get("/api/v1/forecast").expect(200).json()
}

/// Seconds of `HH:MM:SS` of a time, over midnight too.
fn apart_s(one: &str, other: &str) -> i64 {
    let of = |time: &str| downbeat::clock::parse_rfc3339(time).unwrap().0 / 1_000_000;
    (of(one) - of(other)).abs()
}

fn who_submits_as_foretold_starts_then() {
    let server = Server::with(&["--cpus", "4", "--memory", "4G"]);
    let gate = Gate::new(&server);
    let script = gate.wait();
    let body = |cpus: u32, limit: &str| json!({"script": script, "cpus": cpus, "time_limit": limit, "memory": "1G"});
    let runs = server.submit(&body(2, "1h"));
    server.started(runs);
    let waits = server.submit(&body(3, "2h"));
    let told = forecast(&server);
    keys(&told, "time free starts earliest");
    keys(&told["free"][0], "time cpus memory_bytes gpus");
    assert_eq!((&told["free"][0]["cpus"], &told["free"][0]["gpus"]), (&json!(2), &Value::Null));
    assert_eq!(told["free"][0]["memory_bytes"], json!(3_u64 << 30));
    assert_eq!(told["starts"][0]["job_id"], waits);
    let start = |id| server.job(id)["estimated_start_time"].as_str().unwrap().to_owned();
    assert!(apart_s(told["starts"][0]["start_time"].as_str().unwrap(), &start(waits)) < 2);
    let earliest = told["earliest"].as_array().unwrap();
    let sizes: Vec<&Value> = earliest.iter().map(|one| &one["cpus"]).collect();
    assert_eq!(json!(sizes), json!([1, 2, 4]));
    for one in earliest {
        is_time(&one["start_time"]);
        let limit = match one["limit_s"].as_i64() {
            Some(seconds) => json!(format!("{seconds}s")),
            None => json!("unlimited"),
        };
        let tried = json!({"script": "true", "cpus": one["cpus"], "time_limit": limit});
        let job = server.post("/api/v1/jobs?dry_run=true", &tried).expect(200).json();
        let starts = job["estimated_start_time"].as_str().unwrap();
        assert!(apart_s(starts, one["start_time"].as_str().unwrap()) < 3, "{one} {job}");
    }
    assert_eq!(earliest[0]["limit_s"], Value::Null, "a CPU is left beside all");
    let limit_s = earliest[1]["limit_s"].as_i64().unwrap();
    assert!((3_000..3_600).contains(&limit_s) && limit_s % 60 == 0, "{limit_s}");
    let long = json!({"script": "true", "cpus": 2, "time_limit": "61m"});
    let job = server.post("/api/v1/jobs?dry_run=true", &long).expect(200).json();
    let starts = job["estimated_start_time"].as_str().unwrap();
    assert!(apart_s(starts, earliest[1]["start_time"].as_str().unwrap()) > 3_600, "{job}");
    let soon = told["free"][0]["time"].as_str().unwrap();
    let until = server.get(&format!("/api/v1/forecast?until={soon}")).expect(200).json();
    assert_eq!(until["free"].as_array().unwrap().len(), 0, "what was now then is past");
    let refused = problem(server.get("/api/v1/forecast?until=soon"), 400);
    assert_eq!(fields(&refused), ["until"]);
    gate.open();
    server.ended(waits);
}

fn an_empty_machine_is_free_for_ever() {
    let server = Server::with(&["--cpus", "3"]);
    let told = forecast(&server);
    let rows: Vec<(&Value, &Value)> = told["earliest"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["cpus"], &one["limit_s"]))
        .collect();
    let free = Value::Null;
    assert_eq!(rows, [(&json!(1), &free), (&json!(2), &free), (&json!(3), &free)]);
    assert_eq!((&told["starts"], &told["free"][0]["cpus"]), (&json!([]), &json!(3)));
}
