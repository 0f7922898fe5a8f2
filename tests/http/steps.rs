//! *Purpose*: what jobs say of their steps.
//!
//! *Owns*: `PUT /jobs/{id}/steps/{step}`, `GET /steps`.
//!
//! *Promises*: what is shown is what was told last.
//!
//! *Not here*: starting steps (`tests/slurm`).

use serde_json::{Value, json};

use crate::common::{Answer, Server};
use crate::help::{Gate, fields, problem};

cases! {
    a_step_is_told_shown_and_told_again =>
        ["PUT /api/v1/jobs/{id}/steps/{step}", "GET /api/v1/steps"],
    steps_come_in_pages_and_go_with_their_job => ["GET /api/v1/steps"],
    what_is_no_step_is_refused => ["PUT /api/v1/jobs/{id}/steps/{step}", "GET /api/v1/steps"],
}

const AT: &str = "2026-11-28T12:00:00Z";

fn put(server: &Server, path: &str, body: &Value) -> Answer {
    let json = [("content-type", "application/json")];
    server.send("PUT", &format!("/api/v1/jobs/{path}"), &json, body.to_string().as_bytes())
}

fn steps(server: &Server, query: &str) -> Value {
    server.get(&format!("/api/v1/steps?{query}")).expect(200).json()
}

/// A job that runs until its gate opens.
fn runs(server: &Server, gate: &Gate) -> i64 {
    let id = server.run(&gate.wait());
    server.started(id);
    id
}

fn a_step_is_told_shown_and_told_again() {
    let mut server = Server::start();
    let gate = Gate::new(&server);
    let id = runs(&server, &gate);
    let begun = json!({"name": "train", "tasks": 4, "cpus": 2, "start_time": AT});
    let shown = put(&server, &format!("{id}/steps/0"), &begun).expect(200).json();
    let wanted = json!({"job_id": id, "attempt": 1, "step": 0, "name": "train", "tasks": 4,
        "cpus": 2, "start_time": "2026-11-28T12:00:00.000000Z", "end_time": null,
        "exit_code": null, "usage": null});
    assert_eq!(shown, wanted);
    assert_eq!(
        steps(&server, &format!("ids={id}")),
        json!({"steps": [wanted],
        "next_cursor": null})
    );
    let usage = json!({"user_cpu_s": 1.5, "system_cpu_s": 0.25, "max_rss_bytes": 4096});
    let ended = json!({"attempt": 1, "name": "train", "start_time": AT,
        "end_time": "2026-11-28T12:00:01Z", "exit_code": "0:9", "usage": usage});
    put(&server, &format!("{id}/steps/0"), &ended).expect(200);
    server.kill();
    server.up();
    let list = steps(&server, &format!("ids={id}"));
    let one = &list["steps"][0];
    assert_eq!(
        (&one["exit_code"], &one["usage"], &one["tasks"]),
        (&json!("0:9"), &usage, &json!(1))
    );
    assert_eq!(list["steps"].as_array().unwrap().len(), 1, "{list}");
    gate.open();
    server.ended(id);
    let late = problem(put(&server, &format!("{id}/steps/1"), &begun), 409);
    assert_eq!(late["detail"], format!("job {id} does not run"));
}

fn steps_come_in_pages_and_go_with_their_job() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let (first, second) = (runs(&server, &gate), runs(&server, &gate));
    for (id, no) in [(first, 0), (second, 0), (first, 1)] {
        let body = json!({"name": "a", "start_time": AT});
        put(&server, &format!("{id}/steps/{no}"), &body).expect(200);
    }
    let whose = |list: &Value| -> Vec<(i64, i64)> {
        let each = list["steps"].as_array().unwrap().iter();
        each.map(|s| (s["job_id"].as_i64().unwrap(), s["step"].as_i64().unwrap())).collect()
    };
    let page = steps(&server, &format!("ids={first},{second}&limit=2"));
    assert_eq!(whose(&page), [(first, 0), (second, 0)]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = steps(&server, &format!("ids={first},{second}&limit=2&cursor={cursor}"));
    assert_eq!((whose(&rest), &rest["next_cursor"]), (vec![(first, 1)], &Value::Null));
    assert_eq!(whose(&steps(&server, &format!("ids={second}"))), [(second, 0)]);
    assert_eq!(whose(&steps(&server, "")), [(first, 0), (second, 0), (first, 1)]);
    gate.open();
    gate.open();
}

fn what_is_no_step_is_refused() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let id = runs(&server, &gate);
    let good = json!({"name": "a", "start_time": AT});
    problem(put(&server, "999/steps/0", &good), 404);
    problem(put(&server, &format!("{id}/steps/last"), &good), 404);
    let other = json!({"name": "a", "start_time": AT, "attempt": 2});
    problem(put(&server, &format!("{id}/steps/0"), &other), 409);
    let refused = problem(put(&server, &format!("{id}/steps/10000"), &good), 422);
    assert_eq!(fields(&refused), ["step"]);
    let bad = json!({"name": 1, "start_time": "noon", "cpus": 0, "exit_code": "x", "y": 1});
    let refused = problem(put(&server, &format!("{id}/steps/0"), &bad), 422);
    assert_eq!(fields(&refused), ["name", "cpus", "start_time", "exit_code", "y"]);
    for query in ["ids=", "ids=a", "ids=1&limit=0", "ids=1&cursor=x", "ids=1&x=1"] {
        problem(server.get(&format!("/api/v1/steps?{query}")), 400);
    }
    assert_eq!(steps(&server, &format!("ids={id}"))["steps"], json!([]));
    gate.open();
}
