//! *Purpose*: jobs that are changed, asked of the real binary.
//!
//! *Owns*: PATCH: of those that wait and of those that run.
//!
//! *Promises*: what an edit answers outlives a server that is killed at once.
//!
//! *Not here*: hold and release (`conditions`), every order of events (`kernel::commands::edit`).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Server;
use crate::help::{Gate, is_job, problem};
use crate::partitions::with_file;

cases! {
    an_edit_is_there_at_once_and_after_a_crash => ["PATCH /api/v1/jobs/{id}"],
    a_bad_edit_names_its_field_and_changes_nothing => ["PATCH /api/v1/jobs/{id}"],
    a_waiting_job_becomes_another => ["PATCH /api/v1/jobs/{id}"],
    a_waiting_job_moves_to_another_partition => ["PATCH /api/v1/jobs/{id}"],
    what_a_job_waits_for_is_replaced_and_never_itself => ["PATCH /api/v1/jobs/{id}"],
    what_takes_away_a_condition_is_so_of_a_job_that_waits_no_longer => [
        "PATCH /api/v1/jobs/{id}"],
    a_running_job_gets_more_time_whatever_becomes_of_the_server => ["PATCH /api/v1/jobs/{id}"],
    a_running_job_gets_less_time => ["PATCH /api/v1/jobs/{id}"],
    what_would_be_is_told_and_changes_nothing => ["PATCH /api/v1/jobs/{id}"],
    more_time_that_another_waits_for_is_for_administrators => ["PATCH /api/v1/jobs/{id}"],
}

fn patch(server: &Server, id: i64, body: &Value) -> crate::common::Answer {
    let json = [("Content-Type", "application/json")];
    server.send("PATCH", &format!("/api/v1/jobs/{id}"), &json, body.to_string().as_bytes())
}

fn an_edit_is_there_at_once_and_after_a_crash() {
    let mut server = Server::start();
    let id = server.submit(&json!({"script": "true", "held": true, "time_limit": "1h"}));
    let edit = json!({
        "priority": 9, "time_limit": "90s", "begin_time": "2126-01-01T00:00:00Z",
        "deadline": "2126-01-02T00:00:00Z",
    });
    let edited = patch(&server, id, &edit).expect(200).json();
    is_job(&edited);
    let check = |job: &Value| {
        assert_eq!((&job["priority"], &job["time_limit_s"]), (&json!(9), &json!(90)), "{job}");
        assert_eq!(job["begin_time"], "2126-01-01T00:00:00.000000Z");
        assert_eq!(job["eligible_time"], "2126-01-01T00:00:00.000000Z");
        assert_eq!(job["deadline"], "2126-01-02T00:00:00.000000Z");
        assert_eq!(job["held"], true, "what was not named stays");
    };
    check(&edited);
    server.kill();
    server.up();
    check(&server.job(id));
    let events = server.get(&format!("/api/v1/jobs/{id}/events")).expect(200).json();
    assert_eq!(events[1]["cause"], "edited");
    let now = json!({"begin_time": "now", "deadline": "none", "held": false});
    patch(&server, id, &now).expect(200);
    let ended = server.ended(id);
    assert_eq!((&ended["state"], &ended["begin_time"]), (&json!("COMPLETED"), &Value::Null));
}

fn a_bad_edit_names_its_field_and_changes_nothing() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "true", "held": true}));
    let before = server.job(id);
    for (field, body) in [
        ("priority", json!({"priority": "high", "time_limit": 5})),
        ("time_limit", json!({"time_limit": 0})),
        ("deadline", json!({"deadline": "2001-01-01T00:00:00Z"})),
        ("begin_time", json!({"begin_time": "soon"})),
        ("cpus", json!({"cpus": 200})),
        ("user", json!({"user": "somebody"})),
        ("partition", json!({"partition": ""})),
        ("memory", json!({"memory": 512})),
        ("labels.a:b", json!({"labels": {"a:b": "c"}})),
        ("comment", json!({"comment": "a\u{7}b"})),
        ("dependency", json!({"dependency": "afterok:999"})),
        ("dependency", json!({"dependency": format!("afterok:{id}")})),
        ("dependency", json!({"dependency": "aftercorr:1"})),
        ("body", json!({})),
    ] {
        let refused = problem(patch(&server, id, &body), 422);
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    problem(patch(&server, 999, &json!({"priority": 1})), 404);
    assert_eq!(server.job(id), before);
}

fn a_waiting_job_becomes_another() {
    let mut server = Server::start();
    let id = server.submit(&json!({
        "script": "echo $SLURM_CPUS_PER_TASK $SLURM_NTASKS", "held": true, "ntasks": 1,
        "cpus_per_task": 2, "labels": {"keep": "1", "drop": "2"}, "comment": "old",
    }));
    let edit = json!({
        "cpus": 4, "memory": "64M", "name": "new", "account": "physics", "comment": null,
        "labels": {"drop": null, "add": "3"},
    });
    let edited = patch(&server, id, &edit).expect(200).json();
    is_job(&edited);
    server.kill();
    server.up();
    let job = server.job(id);
    let labels = json!({"keep": "1", "add": "3"});
    assert_eq!(
        (&job["cpus"], &job["ntasks"], &job["cpus_per_task"]),
        (&json!(4), &json!(2), &json!(2))
    );
    assert_eq!((&job["memory_bytes"], &job["labels"]), (&json!(64 << 20), &labels));
    assert_eq!((&job["name"], &job["account"]), (&json!("new"), &json!("physics")));
    assert_eq!(job["comment"], Value::Null);
    let found = |label: &str| {
        let list = server.get(&format!("/api/v1/jobs?label={label}")).expect(200).json();
        list["jobs"].as_array().unwrap().len()
    };
    assert_eq!((found("add:3"), found("drop:2")), (1, 0));
    patch(&server, id, &json!({"held": false})).expect(200);
    let ended = server.ended(id);
    assert_eq!(ended["allocation"]["cpu_ids"].as_array().unwrap().len(), 4, "{ended}");
    assert_eq!(server.stdout(id), "2 2\n");
    server.is_at_rest();
}

fn a_waiting_job_moves_to_another_partition() {
    let server = with_file(
        "[[partition]]\nname = \"a\"\ncpus = \"0-2\"\n[[partition]]\nname = \"b\"\ncpus = \"3\"\n\
         max_time_limit = \"1h\"\n",
    );
    let id = server.submit(&json!({
        "script": "true", "held": true, "cpus": 2, "time_limit": "2h", "partition": "a",
    }));
    let refused = problem(patch(&server, id, &json!({"partition": "b"})), 422);
    let fields: Vec<&Value> =
        refused["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["cpus", "time_limit"], "{refused}");
    let moved = json!({"partition": "b", "cpus": 1, "time_limit": "1h", "held": false});
    patch(&server, id, &moved).expect(200);
    let ended = server.ended(id);
    assert_eq!(ended["allocation"]["cpu_ids"], json!([3]), "{ended}");
}

fn what_a_job_waits_for_is_replaced_and_never_itself() {
    let mut server = Server::start();
    let failed = server.run("exit 1");
    server.ended(failed);
    let wait = |on: i64, relation: &str| json!({"dependency": format!("{relation}:{on}")});
    let first = server.submit(&json!({"script": "true", "held": true}));
    let second =
        server.submit(&json!({"script": "true", "dependency": format!("afterok:{first}")}));
    let refused = problem(patch(&server, first, &wait(second, "afterany")), 422);
    let said = refused["errors"][0]["message"].as_str().unwrap();
    assert!(said.contains("would wait for itself"), "{refused}");
    patch(&server, second, &wait(failed, "afterok")).expect(200);
    server.kill();
    server.up();
    assert_eq!(server.job(second)["state_reason"], "DependencyNeverSatisfied");
    patch(&server, second, &wait(failed, "afternotok")).expect(200);
    assert_eq!(server.ended(second)["state"], "COMPLETED");
    patch(&server, first, &wait(second, "afterok")).expect(200);
    patch(&server, first, &json!({"held": false})).expect(200);
    assert_eq!(server.ended(first)["state"], "COMPLETED");
}

fn what_takes_away_a_condition_is_so_of_a_job_that_waits_no_longer() {
    let server = Server::start();
    let id = server.run("true");
    server.ended(id);
    for body in [json!({"dependency": null}), json!({"begin_time": null, "deadline": "none"})] {
        is_job(&patch(&server, id, &body).expect(200).json());
    }
    let events = server.get(&format!("/api/v1/jobs/{id}/events")).expect(200).json();
    assert!(events.as_array().unwrap().iter().all(|event| event["cause"] != "edited"));
    let refused = problem(patch(&server, id, &json!({"dependency": null, "priority": -1})), 409);
    assert!(refused["detail"].as_str().unwrap().contains("is COMPLETED"), "{refused}");
}

fn a_running_job_gets_more_time_whatever_becomes_of_the_server() {
    let mut server = Server::start();
    let gate = Gate::new(&server);
    let script = format!("{}; exit 5", gate.wait());
    let id = server.submit(&json!({"script": script, "time_limit": "3s"}));
    server.started(id);
    let begun = Instant::now();
    let body = json!({"time_limit": "UNLIMITED", "comment": "let it"});
    let job = patch(&server, id, &body).expect(200).json();
    assert_eq!((&job["time_limit_s"], &job["comment"]), (&Value::Null, &json!("let it")));
    server.kill();
    server.up();
    // Until it would have been past its old limit.
    let late = Duration::from_millis(3_500);
    let wait = late.saturating_sub(begun.elapsed()).as_secs() + 1;
    server.get(&format!("/api/v1/jobs/{id}/wait?timeout_s={wait}")).expect(200);
    assert_eq!(server.job(id)["state"], "RUNNING");
    let refused = problem(patch(&server, id, &json!({"cpus": 1})), 409);
    assert!(refused["detail"].as_str().unwrap().contains("of a running job"), "{refused}");
    gate.open();
    let ended = server.ended(id);
    assert_eq!((&ended["state"], &ended["exit_code"]), (&json!("FAILED"), &json!("5:0")));
}

fn a_running_job_gets_less_time() {
    let server = Server::start();
    let id = server.run("exec sleep 600");
    server.started(id);
    patch(&server, id, &json!({"time_limit": "1s"})).expect(200);
    assert_eq!(server.ended(id)["state"], "TIMEOUT");
    let id = server.run("exec sleep 600");
    server.started(id);
    let soon = downbeat::clock::rfc3339(downbeat::clock::now().plus_s(1));
    patch(&server, id, &json!({"deadline": soon})).expect(200);
    assert_eq!(server.ended(id)["state"], "TIMEOUT");
}

fn more_time_that_another_waits_for_is_for_administrators() {
    let mut server = Server::unstarted(&["--cpus", "1"]);
    server.env.push(("DOWNBEAT_ADMIN_TOKEN".to_owned(), "the-admins".to_owned()));
    server.up();
    let id = server.submit(&json!({"script": "exec sleep 600", "time_limit": "10m"}));
    server.started(id);
    let as_admin = |body: &Value| {
        let headers =
            [("content-type", "application/json"), ("authorization", "Bearer the-admins")];
        server.send("PATCH", &format!("/api/v1/jobs/{id}"), &headers, body.to_string().as_bytes())
    };
    patch(&server, id, &json!({"time_limit": "20m"})).expect(200);
    let other = server.submit(&json!({"script": "true", "time_limit": "1m"}));
    let refused = problem(patch(&server, id, &json!({"time_limit": "21m"})), 403);
    let said = refused["detail"].as_str().unwrap();
    assert!(said.contains(&format!("job {other} would start later")), "{refused}");
    patch(&server, id, &json!({"time_limit": "19m"})).expect(200);
    patch(&server, id, &json!({"comment": "nobody minds"})).expect(200);
    as_admin(&json!({"time_limit": "2h"})).expect(200);
    assert_eq!(server.job(id)["time_limit_s"], 7_200);
}

fn what_would_be_is_told_and_changes_nothing() {
    let server = Server::with(&["--cpus", "2"]);
    let gate = Gate::new(&server);
    let try_patch = |id: i64, body: &Value| {
        let json = [("Content-Type", "application/json")];
        let path = format!("/api/v1/jobs/{id}?dry_run=true");
        server.send("PATCH", &path, &json, body.to_string().as_bytes())
    };
    let runs = server.submit(&json!({"script": gate.wait(), "cpus": 1, "time_limit": "1h"}));
    server.started(runs);
    let waits = json!({"script": gate.wait(), "cpus": 2, "time_limit": "2h", "labels": {"a": "1"}});
    let waits = server.submit(&waits);
    let held = server.submit(&json!({"script": "true", "held": true}));
    let before = [server.job(waits), server.job(held)];
    let would = try_patch(waits, &json!({"cpus": 1, "name": "n"})).expect(200).json();
    is_job(&would);
    assert_eq!(
        (&would["cpus"], &would["name"], &would["id"]),
        (&json!(1), &json!("n"), &json!(waits))
    );
    assert_eq!(would["state_reason"], "None", "with one CPU it starts at once: {would}");
    let start = |job: &Value| job["estimated_start_time"].as_str().unwrap().to_owned();
    assert!(start(&would) < start(&before[0]));
    let would = try_patch(held, &json!({"held": false})).expect(200).json();
    assert_eq!((&would["held"], &would["position"]), (&json!(false), &json!(2)), "{would}");
    let would =
        try_patch(waits, &json!({"dependency": format!("afterok:{held}")})).expect(200).json();
    assert_eq!((&would["state_reason"], &would["position"]), (&json!("Dependency"), &Value::Null));
    for (id, body, status) in [
        (waits, json!({"cpus": 9}), 422),
        (waits, json!({"dependency": format!("afterok:{waits}")}), 422),
        (runs, json!({"cpus": 2}), 409),
        (999, json!({"name": "x"}), 404),
    ] {
        let refused = problem(try_patch(id, &body), status);
        let real = problem(patch(&server, id, &body), status);
        assert_eq!((&refused["detail"], &refused["code"]), (&real["detail"], &real["code"]));
    }
    let longer = try_patch(runs, &json!({"time_limit": "3h"})).expect(200).json();
    assert_eq!(longer["time_limit_s"], 3 * 3_600);
    assert_eq!(server.job(runs)["time_limit_s"], 3_600);
    assert_eq!(
        [server.job(waits), server.job(held)].map(|job| job["state_detail"].clone()),
        before.clone().map(|job| job["state_detail"].clone())
    );
    let list = format!("/api/v1/jobs/{waits}/events");
    assert_eq!(
        server.get(&list).expect(200).json().as_array().unwrap().len(),
        1,
        "nothing happened"
    );
    gate.open();
    server.ended(waits);
}
