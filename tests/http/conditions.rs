//! *Purpose*: what a job waits for besides its turn, asked of the real binary.
//!
//! *Owns*: dependencies, hold and release, begin time and deadline, the dry run.
//!
//! *Promises*: a job that waits says why, with Slurm's word.
//!
//! *Not here*: every order of events (`kernel::commands::enqueue`).

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{Gate, is_job, is_time, problem};

cases! {
    a_dependent_job_runs_after_the_other_and_one_that_never_can_says_so => ["POST /api/v1/jobs",
        "GET /api/v1/jobs/{id}"],
    who_waits_for_a_job_is_told => ["GET /api/v1/jobs/{id}/dependents"],
    a_job_that_can_never_start_is_cancelled_if_it_was_to_be => ["POST /api/v1/jobs"],
    a_submit_behind_jobs_that_are_just_ending_is_accepted => ["POST /api/v1/jobs/batch"],
    a_held_job_waits_for_its_release => ["POST /api/v1/jobs/{id}/hold",
        "POST /api/v1/jobs/{id}/release"],
    times_are_kept => ["POST /api/v1/jobs", "GET /api/v1/jobs/{id}/events"],
    a_running_job_is_stopped_at_its_deadline => ["POST /api/v1/jobs"],
    an_impossible_condition_stores_nothing => ["POST /api/v1/jobs", "GET /api/v1/jobs"],
    a_dry_run_says_what_would_happen_and_stores_nothing => ["POST /api/v1/jobs"],
    a_line_is_explained => ["GET /api/v1/jobs"],
    a_drained_server_starts_nothing_until_it_is_resumed => ["POST /api/v1/maintenance",
        "GET /api/v1/maintenance", "DELETE /api/v1/maintenance"],
    a_job_waits_that_would_run_into_a_window => ["POST /api/v1/maintenance",
        "DELETE /api/v1/maintenance/{id}"],
}

fn reason(job: &Value) -> &str {
    job["state_reason"].as_str().unwrap()
}

fn a_dependent_job_runs_after_the_other_and_one_that_never_can_says_so() {
    let mut server = Server::start();
    let gate = Gate::new(&server);
    let first = gate.blocker(&server);
    let after = |relation: &str| {
        server.submit(&json!({"script": "true", "dependency": format!("{relation}:{first}")}))
    };
    let (ok, not_ok) = (after("afterok"), after("afternotok"));
    assert_eq!(reason(&server.job(ok)), "Dependency");
    assert_eq!(server.job(ok)["dependency"], format!("afterok:{first}"));
    assert_eq!(server.job(ok)["state_detail"], format!("waits for job {first}"));
    server.kill();
    server.up();
    assert_eq!(reason(&server.job(ok)), "Dependency", "a restart forgets nothing");
    gate.open();
    assert_eq!(server.ended(ok)["state"], "COMPLETED");
    let end = server.job(first)["end_time"].as_str().unwrap().to_owned();
    assert!(server.job(ok)["start_time"].as_str().unwrap() > end.as_str());
    let never = server.job(not_ok);
    assert_eq!((reason(&never), &never["state"]), ("DependencyNeverSatisfied", &json!("PENDING")));
    server.kill();
    server.up();
    assert_eq!(reason(&server.job(not_ok)), "DependencyNeverSatisfied");
}

/// Of a job that runs, of a task and of an array; after a kill too, and until it is over.
fn who_waits_for_a_job_is_told() {
    let mut server = Server::start();
    let gate = Gate::new(&server);
    let first = gate.blocker(&server);
    let array = server.submit(&json!({"script": "true", "array": "0-2", "held": true}));
    let after = |text: String| {
        server.submit(&json!({"script": "true", "name": "next", "dependency": text}))
    };
    let waits = after(format!("afterok:{first}"));
    let (task, all) = (after(format!("afterok:{array}_1")), after(format!("afterany:{array}")));
    let told = |server: &Server, of: String| {
        let answer = server.get(&format!("/api/v1/jobs/{of}/dependents")).expect(200).json();
        assert_eq!(answer["has_more"], false, "{answer}");
        let jobs = answer["jobs"].as_array().unwrap().clone();
        jobs.iter().map(|job| job["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        assert_eq!(told(&server, first.to_string()), [waits]);
        assert_eq!(told(&server, array.to_string()), [task, all]);
        assert_eq!(told(&server, format!("{array}_1")), [task, all]);
        assert_eq!(told(&server, format!("{array}_2")), [all]);
        assert_eq!(told(&server, waits.to_string()), [0_i64; 0]);
        server.kill();
        server.up();
    }
    let one = server.get(&format!("/api/v1/jobs/{first}/dependents")).expect(200).json();
    let whole = server.job(waits);
    assert_eq!(
        (&one["jobs"][0]["name"], &one["jobs"][0]["dependency"]),
        (&json!("next"), &whole["dependency"])
    );
    let page = server.get(&format!("/jobs/{first}")).expect(200).text().to_owned();
    let link = format!("<dt>Then<dd><a href=\"/jobs/{waits}\">{waits} <bdi>next</bdi></a> waits");
    assert!(page.contains(&link), "{page}");
    gate.open();
    server.ended(waits);
    assert_eq!(told(&server, first.to_string()), [0_i64; 0], "it is met");
    problem(server.get("/api/v1/jobs/987654/dependents"), 404);
    let batch = vec![json!({"script": "true", "dependency": format!("afterany:{array}")}); 101];
    server.post("/api/v1/jobs/batch", &json!({"jobs": batch})).expect(201);
    let many = server.get(&format!("/api/v1/jobs/{array}/dependents")).expect(200).json();
    assert_eq!(many["jobs"].as_array().map(Vec::len), Some(100));
    assert_eq!(many["has_more"], true);
}

/// Many quick jobs, and submits behind them that hit every instant of their ends.
fn a_job_that_can_never_start_is_cancelled_if_it_was_to_be() {
    let mut server = Server::start();
    let gate = Gate::new(&server);
    let script = format!("{}; exit 1", gate.wait());
    let first = server.submit(&json!({"script": script}));
    let after = |kill: bool| {
        json!({
            "script": "true", "dependency": format!("afterok:{first}"),
            "kill_on_invalid_dependency": kill,
        })
    };
    let (kill, keep) = (server.submit(&after(true)), server.submit(&after(false)));
    let behind =
        server.submit(&json!({"script": "true", "dependency": format!("afterany:{kill}")}));
    let array = json!({
        "script": format!("#!/bin/bash\n#SBATCH --kill-on-invalid-dep=yes\ntrue"),
        "array": "0-2", "dependency": format!("afterok:{first}"),
    });
    let array = server.submit(&array);
    assert_eq!(server.job(kill)["kill_on_invalid_dependency"], true);
    server.kill();
    server.up();
    gate.open();
    let ended = server.ended(kill);
    assert_eq!((&ended["state"], &ended["start_time"]), (&json!("CANCELLED"), &Value::Null));
    assert!(ended["error"].as_str().unwrap().contains("can never be"), "{ended}");
    assert_eq!(server.ended(array)["state"], "CANCELLED");
    assert_eq!(server.ended(behind)["state"], "COMPLETED", "who waited for it goes on");
    assert_eq!(reason(&server.job(keep)), "DependencyNeverSatisfied");
    let late = server.submit(&after(true));
    assert_eq!(server.ended(late)["state"], "CANCELLED", "what is over already counts at once");
    server.is_at_rest();
}

fn a_submit_behind_jobs_that_are_just_ending_is_accepted() {
    let server = Server::start();
    for _ in 0..8 {
        let jobs = vec![json!({"script": "true", "name": "quick"}); 40];
        let batch = server.post("/api/v1/jobs/batch", &json!({"jobs": jobs})).expect(201).json();
        let ids: Vec<String> =
            batch["job_ids"].as_array().unwrap().iter().map(ToString::to_string).collect();
        for behind in ids.windows(8) {
            let dependency = format!("afterok:{}", behind.join(":"));
            let one = json!({"script": "true", "dependency": dependency, "held": true});
            server.post("/api/v1/jobs", &one).expect(201);
            let two = json!({"script": "true", "dependency": format!("afterany:{}", behind[7])});
            server.post("/api/v1/jobs/batch", &json!({"jobs": [one, two]})).expect(201);
        }
        let kin = json!({"script": "true", "name": "quick", "dependency": "singleton"});
        server.post("/api/v1/jobs", &kin).expect(201);
    }
}

fn a_held_job_waits_for_its_release() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "true", "held": true}));
    let job = server.job(id);
    assert_eq!((reason(&job), &job["held"]), ("JobHeldUser", &json!(true)));
    server.ended(server.run("true"));
    assert_eq!(server.job(id)["state"], "PENDING", "another one went by");
    let hold = format!("/api/v1/jobs/{id}/hold");
    is_job(&server.post(&hold, &json!({})).expect(200).json());
    let released = server.post(&format!("/api/v1/jobs/{id}/release"), &json!({})).expect(200);
    assert_eq!(released.json()["held"], false);
    assert_eq!(server.ended(id)["state"], "COMPLETED");
    let too_late = problem(server.post(&hold, &json!({})), 409);
    assert!(too_late["detail"].as_str().unwrap().contains("is COMPLETED"), "{too_late}");
    problem(server.post("/api/v1/jobs/999/release", &json!({})), 404);
}

fn times_are_kept() {
    let server = Server::start();
    let begin = server.submit(&json!({"script": "true", "begin_time": "now+1s"}));
    assert_eq!(reason(&server.job(begin)), "BeginTime");
    let late = server.submit(&json!({"script": "true", "held": true, "deadline": "now+1s"}));
    let ended = server.ended(begin);
    let (start, not_before) = (&ended["start_time"], &ended["begin_time"]);
    assert!(start.as_str().unwrap() >= not_before.as_str().unwrap(), "{ended}");
    let late = server.ended(late);
    assert_eq!((&late["state"], &late["exit_code"]), (&json!("CANCELLED"), &Value::Null));
    assert!(late["error"].as_str().unwrap().contains("deadline passed"), "{late}");
    let events = server.get(&format!("/api/v1/jobs/{}/events", late["id"])).expect(200).json();
    assert_eq!(events[1]["cause"], "deadline_reached");
}

fn a_running_job_is_stopped_at_its_deadline() {
    let server = Server::start();
    let body = json!({
        "script": "exec sleep 600", "deadline": "now+2s", "time_limit": "1h", "kill_grace_s": 0,
    });
    let ended = server.ended(server.submit(&body));
    assert_eq!(ended["state"], "TIMEOUT", "{ended}");
}

fn an_impossible_condition_stores_nothing() {
    let server = Server::start();
    for (field, body) in [
        ("dependency", json!({"script": "true", "dependency": "afterok:99"})),
        ("dependency", json!({"script": "true", "dependency": "beforeok:1"})),
        ("dependency", json!({"script": "true", "dependency": 5})),
        ("deadline", json!({"script": "true", "deadline": "2001-01-01T00:00:00Z"})),
        ("deadline", json!({"script": "true", "begin_time": "now+2h", "deadline": "now+1h"})),
        ("begin_time", json!({"script": "true", "begin_time": "tomorrow"})),
        ("script", json!({"script": "#SBATCH --dependency=afterok:x\ntrue"})),
    ] {
        let refused = problem(server.post("/api/v1/jobs", &body), 422);
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    let list = server.get("/api/v1/jobs").expect(200).json();
    assert_eq!(list["jobs"], json!([]));
}

fn a_dry_run_says_what_would_happen_and_stores_nothing() {
    let server = Server::with(&["--cpus", "2"]);
    let gate = Gate::new(&server);
    let wait = gate.wait();
    let blocker = json!({"script": wait, "cpus": 2, "time_limit": "1h"});
    let blocker = server.submit(&blocker);
    server.started(blocker);
    let ask = |body: Value| server.post("/api/v1/jobs?dry_run=true", &body);
    let job = ask(json!({"script": "true", "cpus": 2, "time_limit": "5m"})).expect(200).json();
    is_job(&job);
    assert_eq!((&job["id"], reason(&job), &job["position"]), (&json!(0), "Resources", &json!(1)));
    is_time(&job["estimated_start_time"]);
    let held = ask(json!({"script": "true", "held": true})).expect(200).json();
    assert_eq!(reason(&held), "JobHeldUser");
    let after = format!("afterok:{blocker}");
    let after = ask(json!({"script": "true", "dependency": after})).expect(200).json();
    assert_eq!(reason(&after), "Dependency");
    problem(ask(json!({"script": "true", "cpus": 3})), 422);
    let list = server.get("/api/v1/jobs").expect(200).json();
    assert_eq!(list["jobs"].as_array().unwrap().len(), 1);
    gate.open();
    server.ended(blocker);
}

fn a_line_is_explained() {
    let server = Server::with(&["--cpus", "2"]);
    let gate = Gate::new(&server);
    let blocker = server.submit(&json!({"script": gate.wait(), "cpus": 1, "time_limit": "1h"}));
    server.started(blocker);
    let wide = server.submit(&json!({"script": "true", "cpus": 2, "time_limit": "10m"}));
    let long = server.submit(&json!({"script": "true", "cpus": 2, "time_limit": "2h"}));
    let list = until("both wait for their turn", || {
        let list = server.get("/api/v1/jobs?state=PENDING&sort=id").expect(200).json();
        let reasons: Vec<&str> = list["jobs"].as_array().unwrap().iter().map(reason).collect();
        if reasons == ["Resources", "Priority"] { Ok(list.clone()) } else { Err(list.to_string()) }
    });
    let (first, second) = (&list["jobs"][0], &list["jobs"][1]);
    assert_eq!((&first["id"], &first["position"]), (&json!(wide), &json!(1)));
    assert_eq!((&second["id"], &second["position"]), (&json!(long), &json!(2)));
    let starts = |job: &Value| job["estimated_start_time"].as_str().unwrap().to_owned();
    assert!(starts(first) < starts(second), "{list}");
    assert!(second["state_detail"].as_str().unwrap().starts_with(&format!("job {wide} is first")));
    gate.open();
    server.ended(long);
}

fn a_drained_server_starts_nothing_until_it_is_resumed() {
    let mut server = Server::start();
    let gate = Gate::new(&server);
    let running = gate.blocker(&server);
    let made = server.post("/api/v1/maintenance", &json!({"reason": "disks"})).expect(201).json();
    assert_eq!((&made["id"], &made["end_time"]), (&json!(1), &Value::Null));
    let waits = server.run("true");
    gate.open();
    assert_eq!(server.ended(running)["state"], "COMPLETED", "what runs already runs on");
    server.kill();
    server.up();
    let job = server.job(waits);
    assert_eq!((reason(&job), &job["state"]), ("ReqNodeNotAvail", &json!("PENDING")), "{job}");
    let detail = job["state_detail"].as_str().unwrap();
    assert!(detail.starts_with("the server is drained (disks) since "), "{job}");
    let windows = server.get("/api/v1/maintenance").expect(200).json();
    assert_eq!((&windows[0]["reason"], &windows[0]["active"]), (&json!("disks"), &json!(true)));
    let gone = server.send("DELETE", "/api/v1/maintenance", &[], b"").expect(200).json();
    assert_eq!(gone.as_array().unwrap().len(), 1);
    assert_eq!(server.ended(waits)["state"], "COMPLETED");
    let windows = server.get("/api/v1/maintenance").expect(200).json();
    assert_eq!(windows, json!([]));
}

fn a_job_waits_that_would_run_into_a_window() {
    let server = Server::start();
    let body = json!({"start_time": "now+1h", "end_time": "now+2h"});
    let id = server.post("/api/v1/maintenance", &body).expect(201).json()["id"].clone();
    let long = server.submit(&json!({"script": "true", "time_limit": "2h"}));
    let short = server.submit(&json!({"script": "true", "time_limit": "10m"}));
    assert_eq!(server.ended(short)["state"], "COMPLETED");
    let job = server.job(long);
    assert_eq!(reason(&job), "ReqNodeNotAvail");
    assert!(job["state_detail"].as_str().unwrap().contains("shorter time limit"), "{job}");
    is_time(&job["estimated_start_time"]);
    for (field, body) in [
        ("end_time", json!({"end_time": "2001-01-01T00:00:00Z"})),
        ("start_time", json!({"start_time": "soon"})),
        ("until", json!({"until": "now+1h"})),
    ] {
        let refused = problem(server.post("/api/v1/maintenance", &body), 422);
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    problem(server.send("DELETE", "/api/v1/maintenance/99", &[], b""), 404);
    server.send("DELETE", &format!("/api/v1/maintenance/{id}"), &[], b"").expect(200);
    assert_eq!(server.ended(long)["state"], "COMPLETED");
}
