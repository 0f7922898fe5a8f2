//! *Purpose*: jobs that are run again.
//!
//! *Owns*: requeue, retries, attempts, and the signal before the limit.
//!
//! *Promises*: what is counted and waited for survives a killed server.
//!
//! *Not here*: which end is a cause (`kernel::parts::retries`), crashes at every point
//! (`tests/faults`).

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{Gate, Stream, fields, is_time, keys, problem};

cases! {
    a_live_job_is_stopped_and_runs_again_under_its_number =>
        ["POST /api/v1/jobs/{id}/requeue", "GET /api/v1/jobs/{id}/attempts"],
    a_job_that_appends_keeps_what_its_earlier_attempts_wrote => ["POST /api/v1/jobs",
        "POST /api/v1/jobs/{id}/requeue"],
    a_job_that_is_over_runs_again => ["POST /api/v1/jobs/{id}/requeue"],
    what_cannot_run_again_is_refused_with_a_reason => ["POST /api/v1/jobs/{id}/requeue"],
    a_requeue_survives_a_killed_server => ["POST /api/v1/jobs/{id}/requeue"],
    a_job_is_retried_until_it_succeeds =>
        ["POST /api/v1/jobs", "GET /api/v1/jobs/{id}/attempts"],
    a_wait_before_a_retry_survives_a_killed_server => ["POST /api/v1/jobs"],
    tasks_are_retried_and_run_again_one_by_one_also_after_a_killed_server =>
        ["POST /api/v1/jobs/{id}/requeue", "GET /api/v1/jobs/{id}/array"],
    a_retry_that_makes_no_sense_is_refused_by_its_part => ["POST /api/v1/jobs"],
    a_script_hears_of_its_limit_in_time => ["POST /api/v1/jobs"],
    without_b_the_others_hear_and_the_script_does_not => ["POST /api/v1/jobs"],
}

fn requeue(server: &Server, id: i64, query: &str) -> crate::common::Answer {
    server.post(&format!("/api/v1/jobs/{id}/requeue{query}"), &json!({}))
}

fn attempts(server: &Server, id: i64) -> Vec<Value> {
    let list = server.get(&format!("/api/v1/jobs/{id}/attempts")).expect(200).json();
    let list = list.as_array().unwrap().clone();
    for one in &list {
        keys(
            one,
            "attempt state exit_code exit_status exit_signal error allocation_time start_time end_time cpu_ids resources",
        );
        is_time(&one["allocation_time"]);
    }
    list
}

fn states(server: &Server, id: i64) -> Vec<String> {
    let word = |one: &Value| one["state"].as_str().unwrap().to_owned();
    attempts(server, id).iter().map(word).collect()
}

/// Lasts in its first attempt, and tells the restart count in each.
const LASTS_ONCE: &str = "echo \"count ${SLURM_RESTART_COUNT-none}\"\n\
                          [ \"$DOWNBEAT_ATTEMPT\" = 1 ] && sleep 600\ntrue";

fn a_live_job_is_stopped_and_runs_again_under_its_number() {
    let server = Server::start();
    let id = server.run(LASTS_ONCE);
    server.started(id);
    until("its first word", || match server.stdout(id).as_str() {
        "count none\n" => Ok(()),
        other => Err(other.to_owned()),
    });
    let mut follower = Stream::open(&server, &format!("/api/v1/jobs/{id}/stdout?follow=true"), &[]);
    assert_eq!(follower.line(), "count none\n");
    let job = requeue(&server, id, "").expect(202).json();
    assert_eq!(job["id"], id);
    assert_eq!(follower.rest(), b"count 1\n", "the next attempt is followed too");
    let job = server.ended(id);
    assert_eq!((&job["state"], &job["attempt"]), (&json!("COMPLETED"), &json!(2)));
    assert_eq!(job["restart_count"], 1);
    assert_eq!(server.stdout(id), "count 1\n", "each attempt writes its files anew");
    let list = attempts(&server, id);
    assert_eq!(states(&server, id), ["REQUEUED", "COMPLETED"]);
    assert_eq!((&list[0]["exit_code"], &list[1]["exit_code"]), (&json!("0:15"), &json!("0:0")));
    assert_eq!((&list[0]["exit_signal"], &list[1]["exit_signal"]), (&json!(15), &Value::Null));
    assert_eq!((&list[0]["exit_status"], &list[1]["exit_status"]), (&Value::Null, &json!(0)));
    is_time(&list[0]["start_time"]);
    is_time(&list[0]["end_time"]);
    server.is_clean();
}

fn a_job_that_appends_keeps_what_its_earlier_attempts_wrote() {
    let server = Server::start();
    let folder = server.dir.path();
    std::fs::write(folder.join("kept"), "yesterday\n").unwrap();
    let script = "echo out $SLURM_RESTART_COUNT; echo err >&2";
    let lines = format!("#!/bin/bash\n#SBATCH --open-mode=append -o kept\n{script}\n");
    let named = server.submit(&json!({"script": lines, "working_directory": folder}));
    let kept = server.submit(&json!({"script": script, "open_mode": "append"}));
    let anew = server.submit(&json!({"script": lines, "open_mode": "truncate",
        "working_directory": folder, "standard_output": "anew"}));
    for id in [named, kept, anew] {
        server.ended(id);
        requeue(&server, id, "").expect(200);
        server.ended(id);
    }
    let text = std::fs::read_to_string(folder.join("kept")).unwrap();
    assert_eq!(text, "yesterday\nout\nerr\nout 1\nerr\n");
    assert_eq!(server.stdout(kept), "out\nout 1\n", "what the server keeps is kept too");
    assert_eq!(server.stdout(anew), "out 1\nerr\n", "the body wins");
    assert_eq!(server.job(named)["open_mode"], "append");
    assert_eq!(server.job(anew)["open_mode"], "truncate");
    let bad = json!({"script": "true", "open_mode": "write"});
    let refused = server.post("/api/v1/jobs", &bad).expect(422).json();
    assert_eq!(fields(&refused), ["open_mode"], "{refused}");
}

fn a_job_that_is_over_runs_again() {
    let server = Server::start();
    let id = server.run("exit $((4 - DOWNBEAT_ATTEMPT))");
    assert_eq!(server.ended(id)["exit_code"], "3:0");
    let job = requeue(&server, id, "?hold=true").expect(200).json();
    assert_eq!((&job["state"], &job["state_reason"]), (&json!("PENDING"), &json!("JobHeldUser")));
    for field in ["exit_code", "start_time", "end_time", "error", "usage"] {
        assert_eq!(job[field], Value::Null, "{field}");
    }
    let failed = || server.get("/api/v1/dashboard").expect(200).json()["job_stats"].clone();
    assert_eq!((&failed()["failed"], &failed()["pending"]), (&json!(0), &json!(1)));
    server.post(&format!("/api/v1/jobs/{id}/release"), &json!({})).expect(200);
    assert_eq!(server.ended(id)["exit_code"], "2:0");
    requeue(&server, id, "").expect(200);
    assert_eq!(server.ended(id)["exit_code"], "1:0");
    assert_eq!(states(&server, id), ["FAILED", "FAILED", "FAILED"]);
    assert_eq!(failed()["failed"], 1);
    server.is_clean();
}

fn what_cannot_run_again_is_refused_with_a_reason() {
    let server = Server::start();
    problem(requeue(&server, 77, ""), 404);
    let held = server.submit(&json!({"script": "true", "held": true}));
    let refused = problem(requeue(&server, held, ""), 409);
    assert!(refused["detail"].as_str().unwrap().contains("waits already"), "{refused}");
    let dependency = format!("afterok:{held}");
    let after = server.submit(&json!({"script": "true", "dependency": dependency}));
    server.post(&format!("/api/v1/jobs/{after}/cancel"), &json!({})).expect(200);
    let refused = problem(requeue(&server, after, ""), 409);
    assert!(refused["detail"].as_str().unwrap().contains("never started"), "{refused}");
    let stubborn = server.submit(&json!({"script": "trap '' TERM\nsleep 600 & wait", "cpus": 1}));
    server.started(stubborn);
    server.post(&format!("/api/v1/jobs/{stubborn}/cancel"), &json!({})).expect(202);
    let answer = requeue(&server, stubborn, "");
    if server.job(stubborn)["state"] == "COMPLETING" {
        let refused = problem(answer, 409);
        assert!(refused["detail"].as_str().unwrap().contains("being cancelled"), "{refused}");
    }
    problem(requeue(&server, held, "?hole=true"), 400);
}

fn a_requeue_survives_a_killed_server() {
    let mut server = Server::start();
    let lasts = format!("trap '' TERM\n{LASTS_ONCE}");
    let id = server.submit(&json!({"script": lasts, "kill_grace": "2s"}));
    server.started(id);
    let job = requeue(&server, id, "?hold=true").expect(202).json();
    assert_eq!((&job["state"], &job["state_reason"]), (&json!("COMPLETING"), &json!("Requeued")));
    server.kill();
    server.up();
    let job = server.reaches(id, "PENDING");
    assert_eq!((&job["held"], &job["restart_count"]), (&json!(true), &json!(1)), "{job}");
    assert_eq!(states(&server, id), ["REQUEUED"]);
    server.kill();
    server.up();
    server.post(&format!("/api/v1/jobs/{id}/release"), &json!({})).expect(200);
    let job = server.ended(id);
    assert_eq!((&job["state"], &job["attempt"]), (&json!("COMPLETED"), &json!(2)));
    server.is_clean();
}

fn a_job_is_retried_until_it_succeeds() {
    let server = Server::start();
    let retry = json!({"max": 5, "on": ["exit_code:70-79"], "delay": 0});
    let script = "[ $DOWNBEAT_ATTEMPT -ge 3 ] || exit 75";
    let id = server.submit(&json!({"script": script, "retry": retry}));
    let job = server.ended(id);
    assert_eq!((&job["state"], &job["attempt"]), (&json!("COMPLETED"), &json!(3)), "{job}");
    let said = json!({"max": 5, "on": ["exit_code:70-79"], "delay_s": 0, "max_delay_s": 3600,
                      "used": 2});
    assert_eq!(job["retry"], said);
    assert_eq!(states(&server, id), ["FAILED", "FAILED", "COMPLETED"]);
    let retry = json!({"max": 2, "on": ["exit_code:75"], "delay": 0});
    let other = server.submit(&json!({"script": "exit 76", "retry": retry}));
    assert_eq!(server.ended(other)["attempt"], 1, "another code is no cause");
    let spent = server.submit(&json!({"script": "exit 75", "retry": retry}));
    let job = server.ended(spent);
    assert_eq!((&job["state"], &job["attempt"]), (&json!("FAILED"), &json!(3)), "{job}");
    server.is_clean();
}

fn a_wait_before_a_retry_survives_a_killed_server() {
    let mut server = Server::start();
    let retry = json!({"max": 3, "delay": "1h"});
    let id = server.submit(&json!({"script": "exit $DOWNBEAT_ATTEMPT", "retry": retry}));
    let waits = |server: &Server, detail: &str| {
        until(detail, || {
            let job = server.job(id);
            let said = job["state_detail"].as_str().unwrap_or_default();
            if said.starts_with(detail) { Ok(job.clone()) } else { Err(job.to_string()) }
        })
    };
    let job = waits(&server, "attempt 1 of 4 ended with 1:0; tries again at ");
    assert_eq!((&job["state"], &job["state_reason"]), (&json!("PENDING"), &json!("BeginTime")));
    let begin = job["begin_time"].clone();
    server.kill();
    server.up();
    let job = waits(&server, "attempt 1 of 4 ended with 1:0; tries again at ");
    assert_eq!((&job["begin_time"], &job["retry"]["used"]), (&begin, &json!(1)));
    server.send(
        "PATCH",
        &format!("/api/v1/jobs/{id}"),
        &[("content-type", "application/json")],
        br#"{"begin_time": "now"}"#,
    );
    waits(&server, "attempt 2 of 4 ended with 2:0; tries again at ");
    server.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).expect(200);
    let job = server.ended(id);
    assert_eq!((&job["state"], &job["exit_code"]), (&json!("CANCELLED"), &Value::Null));
    server.is_clean();
}

fn a_retry_that_makes_no_sense_is_refused_by_its_part() {
    let server = Server::start();
    for (retry, field) in [
        (json!({"max": 0}), "retry.max"),
        (json!({"max": 101}), "retry.max"),
        (json!({"max": 3, "on": []}), "retry.on"),
        (json!({"max": 3, "on": ["cancelled"]}), "retry.on"),
        (json!({"max": 3, "delay": "2d", "max_delay": "2d"}), "retry.delay"),
        (json!({"max": 3, "delay": "2m", "max_delay": "1m"}), "retry.max_delay"),
        (json!("often"), "retry"),
    ] {
        let body = json!({"script": "true", "retry": retry});
        let refused = problem(server.post("/api/v1/jobs", &body), 422);
        assert_eq!(fields(&refused)[0], field, "{refused}");
    }
    let body = json!({"script": "true", "signal": "R:USR1"});
    let refused = problem(server.post("/api/v1/jobs", &body), 422);
    assert_eq!(fields(&refused), ["signal"], "{refused}");
    let body = json!({"jobs": [{"script": "true"}, {"script": "true", "retry": {"max": 0}}]});
    let refused = problem(server.post("/api/v1/jobs/batch", &body), 422);
    assert_eq!(fields(&refused), ["jobs[1].retry.max"]);
    let job = server.post("/api/v1/jobs", &json!({"script": "true", "signal": "USR1"}));
    let warnings = job.expect(201).json()["warnings"].clone();
    assert!(warnings[0].as_str().unwrap().contains("no time limit"), "{warnings}");
}

/// Says so when it hears of its limit, and ends well.
const SAVES: &str = "trap 'echo saved; exit 0' USR1\necho ready\nsleep 600 & wait";

fn a_script_hears_of_its_limit_in_time() {
    let mut server = Server::start();
    let body = json!({"script": SAVES, "time_limit": "600s", "signal": "B:SIGUSR1@597"});
    let id = server.submit(&body);
    server.started(id);
    // The supervisor keeps the time while no server runs.
    server.kill();
    server.up();
    let job = server.ended(id);
    assert_eq!((&job["state"], &job["exit_code"]), (&json!("COMPLETED"), &json!("0:0")), "{job}");
    assert_eq!(
        (server.stdout(id).as_str(), &job["signal"]),
        ("ready\nsaved\n", &json!("B:USR1@597"))
    );
}

fn without_b_the_others_hear_and_the_script_does_not() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let child = "bash -c 'trap \"echo child saved; exit 5\" USR1; sleep 600 & wait'";
    let script = format!("{child}\necho \"child $?\"\n{}", gate.wait());
    let body = json!({"script": script, "time_limit": "600s", "signal": "USR1@597"});
    let id = server.submit(&body);
    until("the child to hear", || match server.stdout(id).as_str() {
        "child saved\nchild 5\n" => Ok(()),
        other => Err(other.to_owned()),
    });
    assert_eq!(server.job(id)["state"], "RUNNING", "the script has not heard");
    gate.open();
    assert_eq!(server.ended(id)["state"], "COMPLETED");
}

fn tasks_are_retried_and_run_again_one_by_one_also_after_a_killed_server() {
    let mut server = Server::start();
    let gate = Gate::new(&server);
    // Each task fails once; the last of them waits for the gate in its second run.
    let script = format!(
        "[ \"$DOWNBEAT_ATTEMPT\" = 1 ] && exit 1\n\
         [ \"$SLURM_ARRAY_TASK_ID\" = 3 ] && {{ {}; }}\ntrue",
        gate.wait()
    );
    let retry = json!({"max": 1, "delay": "1s"});
    let id = server.submit(&json!({"script": script, "array": "0-3%2", "retry": retry}));
    let array =
        |server: &Server| server.get(&format!("/api/v1/jobs/{id}/array")).expect(200).json();
    until("three to have completed", || match array(&server) {
        array if array["completed"] == 3 => Ok(()),
        array => Err(array.to_string()),
    });
    server.kill();
    server.up();
    let whole = requeue(&server, id, "");
    assert!(problem(whole, 409)["detail"].as_str().unwrap().contains("is an array"));
    let held = server.submit(&json!({"script": "true", "array": "0-1", "held": true}));
    let refused = |server: &Server| {
        let answer = server.post(&format!("/api/v1/jobs/{held}_1/requeue"), &json!({}));
        problem(answer, 409)["detail"].as_str().unwrap().to_owned()
    };
    assert!(refused(&server).contains("waits already"));
    server.post(&format!("/api/v1/jobs/{held}/cancel"), &json!({})).expect(200);
    assert!(refused(&server).contains("was cancelled before it started"));
    let task = format!("/api/v1/jobs/{id}_0");
    let again = server.post(&format!("{task}/requeue"), &json!({})).expect(200).json();
    assert_eq!((&again["array_task_id"], &again["restart_count"]), (&json!(0), &json!(2)));
    gate.open();
    until("the array to be over", || match array(&server) {
        array if array["over"] == true => Ok(()),
        array => Err(array.to_string()),
    });
    assert_eq!(array(&server)["completed"], 4);
    assert_eq!(server.get(&task).expect(200).json()["attempt"], 3);
    let runs = "SELECT count(*) || '' AS line FROM resource_allocations WHERE released";
    assert_eq!(server.sql(runs), "9", "two of each, and one more of the first");
    server.is_clean();
}
