//! *Purpose*: a first page in one answer, asked of the real binary.
//!
//! *Owns*: `GET /overview`.
//!
//! *Promises*: each part is compared with what the route of that part answers.
//!
//! *Not here*: the parts themselves.

use serde_json::{Value, json};

use crate::common::Server;
use crate::help::{Gate, keys};

cases! {
    an_overview_is_what_its_parts_are => ["GET /api/v1/overview"],
    who_has_the_newest_overview_is_told_so => ["GET /api/v1/overview"],
}

fn ids(jobs: &Value) -> Vec<i64> {
    jobs.as_array().unwrap().iter().map(|job| job["id"].as_i64().unwrap()).collect()
}

/// What is known of the machine changes between two questions: the first of them begins the look.
fn without_looks(part: &Value) -> Value {
    let mut part = part.clone();
    for cpu in part.get_mut("cpus").and_then(Value::as_array_mut).into_iter().flatten() {
        for field in ["load", "node", "core"] {
            cpu[field] = Value::Null;
        }
    }
    if let Some(nodes) = part.get_mut("nodes") {
        *nodes = Value::Null;
    }
    part
}

fn an_overview_is_what_its_parts_are() {
    let server = Server::with(&["--cpus", "2"]);
    let gate = Gate::new(&server);
    let done = server.run("true");
    server.ended(done);
    gate.blocker(&server);
    let held = server.submit(&json!({"script": "true", "held": true, "account": "a"}));
    let array = server.submit(&json!({"script": "true", "cpus": 1, "array": "0-9"}));
    let told = server.get("/api/v1/overview").expect(200).json();
    keys(
        &told,
        "time commit_no me resources counts ended_today running waiting ended own accounts people \
        forecast maintenance",
    );
    for (part, path) in [
        ("resources", "resources"),
        ("me", "me"),
        ("maintenance", "maintenance"),
        ("accounts", "accounts"),
        ("people", "accounts?by=user"),
    ] {
        let alone = server.get(&format!("/api/v1/{path}")).expect(200).json();
        assert_eq!(without_looks(&told[part]), without_looks(&alone), "{part}");
    }
    let forecast = server.get("/api/v1/forecast").expect(200).json();
    assert_eq!(ids(&json!([])), [0_i64; 0]);
    assert_eq!(
        told["forecast"]["earliest"].as_array().map(Vec::len),
        forecast["earliest"].as_array().map(Vec::len)
    );
    assert_eq!(ids(&told["waiting"]), [array, held], "first the line, then who may not start");
    assert_eq!(ids(&told["ended"]), [done]);
    assert_eq!(ids(&told["own"]).len(), 4);
    assert_eq!((&told["counts"]["pending"], &told["counts"]["completed"]), (&json!(11), &json!(1)));
    let today = &told["ended_today"];
    let counted = json!({"since": today["since"], "completed": 1, "other": 0, "is_more": false});
    assert_eq!(*today, counted);
    assert!(today["since"].as_str().unwrap() <= told["time"].as_str().unwrap(), "{today}");
    for list in ["running", "waiting", "ended", "own"] {
        for job in told[list].as_array().unwrap() {
            let whole = server.job(job["id"].as_i64().unwrap());
            for (field, value) in job.as_object().unwrap() {
                if field != "elapsed_s" && field != "estimated_start_time" {
                    assert_eq!(*value, whole[field], "{field} of {job}");
                }
            }
        }
    }
    gate.open();
}

fn who_has_the_newest_overview_is_told_so() {
    let server = Server::start();
    let asked =
        |known: &str| server.send("GET", "/api/v1/overview", &[("If-None-Match", known)], b"");
    let first = server.get("/api/v1/overview").expect(200);
    let tag = first.header("etag").unwrap().to_owned();
    let same = asked(&tag).expect(304);
    assert_eq!((same.header("etag"), same.text().len()), (Some(&*tag), 0));
    asked(&format!("\"x\", {tag}")).expect(304);
    asked("\"x\"").expect(200);
    server.submit(&json!({"script": "true", "held": true}));
    let next = asked(&tag).expect(200);
    assert_ne!(next.header("etag"), Some(&*tag));
}
