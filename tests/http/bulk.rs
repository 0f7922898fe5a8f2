//! *Purpose*: many jobs in one request.
//!
//! *Owns*: `POST /jobs/cancel`, `/jobs/hold` and `/jobs/release`.
//!
//! *Promises*: none of its own.
//!
//! *Not here*: one job (`jobs`, `update`), whose jobs they are (`tests/people`).

use serde_json::{Value, json};

use crate::common::Server;
use crate::help::{fields, problem};

cases! {
    many_jobs_are_held_released_and_cancelled_and_each_is_answered_for => [
        "POST /api/v1/jobs/hold",
        "POST /api/v1/jobs/release",
        "POST /api/v1/jobs/cancel",
    ],
    a_list_that_is_none_changes_nothing => [
        "POST /api/v1/jobs/hold",
        "POST /api/v1/jobs/release",
        "POST /api/v1/jobs/cancel",
    ],
}

fn ask(server: &Server, what: &str, ids: &Value) -> (Vec<(String, u64)>, Value) {
    let answer = server.post(&format!("/api/v1/jobs/{what}"), &json!({"ids": ids}));
    let answer = answer.expect(200).json();
    let one = |result: &Value| {
        let id = result["id"].as_str().unwrap().to_owned();
        assert_eq!(result["status"] == 200, result["problem"].is_null(), "{result}");
        (id, result["status"].as_u64().unwrap())
    };
    (answer["results"].as_array().unwrap().iter().map(one).collect(), answer)
}

fn many_jobs_are_held_released_and_cancelled_and_each_is_answered_for() {
    let server = Server::start();
    let over = server.run("true");
    server.ended(over);
    let later = json!({"script": "true", "begin_time": "now+1h"});
    let ids: Vec<i64> = (0..300).map(|_| server.submit(&later)).collect();
    let array = server.submit(&json!({"script": "true", "array": "0-2", "begin_time": "now+1h"}));
    let mut named: Vec<Value> = ids.iter().map(|id| json!(id)).collect();
    named.extend([json!(format!("{array}_1")), json!(over), json!(99_999)]);
    let named = Value::from(named);
    let (results, answer) = ask(&server, "hold", &named);
    assert_eq!(answer["refused"], 2, "{:?}", results.last());
    let order: Vec<String> = results.iter().map(|(id, _)| id.clone()).collect();
    let asked = named.as_array().unwrap().iter();
    let asked = asked.map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
    assert_eq!(order, asked.collect::<Vec<_>>());
    let last: Vec<u64> = results[300..].iter().map(|(_, status)| *status).collect();
    assert_eq!(last, [200, 409, 404]);
    assert_eq!(answer["results"][302]["problem"]["code"], "no_such_job");
    assert!(ids.iter().all(|id| server.job(*id)["held"] == true));
    let task = |n: u32| server.get(&format!("/api/v1/jobs/{array}_{n}")).expect(200).json();
    assert_eq!((&task(1)["held"], &task(2)["held"]), (&json!(true), &json!(false)));
    let (results, _) = ask(&server, "release", &json!(ids));
    assert!(results.iter().all(|(_, status)| *status == 200));
    assert_eq!(server.job(ids[7])["held"], false);
    let (_, answer) = ask(&server, "cancel", &named);
    assert_eq!(answer["refused"], 1, "one that is over is over");
    assert!(ids.iter().all(|id| server.job(*id)["state"] == "CANCELLED"));
    assert_eq!(server.job(over)["state"], "COMPLETED");
    assert_eq!((&task(1)["state"], &task(2)["state"]), (&json!("CANCELLED"), &json!("PENDING")));
    server.is_clean();
}

fn a_list_that_is_none_changes_nothing() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "true", "held": true}));
    for what in ["cancel", "hold", "release"] {
        let path = format!("/api/v1/jobs/{what}");
        for body in [json!({}), json!({"ids": []}), json!({"ids": vec![id; 1_001]})] {
            assert_eq!(fields(&problem(server.post(&path, &body), 422)), ["ids"], "{what}");
        }
        let body = json!({"ids": [id, "x"], "whole": true});
        let refused = problem(server.post(&path, &body), 422);
        assert_eq!(fields(&refused), ["ids[1]", "whole"], "{refused}");
    }
    assert_eq!(
        (&server.job(id)["state"], &server.job(id)["held"]),
        (&json!("PENDING"), &json!(true))
    );
}
