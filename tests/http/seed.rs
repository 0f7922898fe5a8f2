//! *Purpose*: clients of the replaced system go on working.
//!
//! *Owns*: its routes below each of the three bases.
//!
//! *Promises*: every base is asked the same and must answer the same.
//!
//! *Not here*: its dashboard (`numbers`).

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{Gate, fields, is_time, keys, problem};

const BASES: [&str; 3] = ["/api/v1", "/api", ""];

cases! {
    both_bodies_are_taken_below_every_base => [
        "POST /api/v1/jobs/submit", "POST /api/jobs/submit", "POST /jobs/submit",
        "GET /api/v1/jobs/query/{id}", "GET /api/jobs/query/{id}", "GET /jobs/query/{id}",
    ],
    a_job_is_cancelled_below_every_base => [
        "POST /api/v1/jobs/cancel/{id}", "POST /api/jobs/cancel/{id}", "POST /jobs/cancel/{id}",
    ],
    two_readings_of_a_time_limit_are_refused_with_both => ["POST /jobs/submit"],
    nine_states_are_told_in_five_words => ["GET /jobs/query/{id}"],
    a_query_has_every_old_field => ["GET /jobs/query/{id}"],
    a_query_shows_the_last_thousand_lines => ["GET /jobs/query/{id}"],
    a_missing_folder_is_made_and_exclusive_takes_all => ["POST /jobs/submit"],
    a_bad_old_body_stores_nothing => ["POST /jobs/submit"],
}

fn query(server: &Server, id: &str) -> Value {
    server.get(&format!("/jobs/query/{id}")).expect(200).json()
}

#[track_caller]
fn ends(server: &Server, id: &str) -> Value {
    until("an old job to end", || {
        let job = query(server, id);
        if job["time"]["end_time"].is_string() { Ok(job) } else { Err(job.to_string()) }
    })
}

fn both_bodies_are_taken_below_every_base() {
    let server = Server::start();
    let bodies = [
        json!({"script": "echo old", "name": "n"}),
        json!({"job": {"name": "n", "cpus_per_task": 2}, "script": "echo old"}),
    ];
    let mut next = 1;
    for base in BASES {
        for body in &bodies {
            let answer = server.post(&format!("{base}/jobs/submit"), body).expect(201).json();
            assert_eq!(answer, json!({"job_id": next.to_string()}), "{base}: an id is a string");
            ends(&server, &next.to_string());
            let job = server.get(&format!("{base}/jobs/query/{next}")).expect(200).json();
            assert_eq!(job["job_id"], next.to_string());
            assert_eq!(
                (&job["state"], &job["job_log"]["stdout"]),
                (&json!("COMPLETED"), &json!("old\n"))
            );
            next += 1;
        }
        problem(server.get(&format!("{base}/jobs/query/77")), 404);
        problem(server.get(&format!("{base}/jobs/query/x")), 404);
    }
    server.is_clean();
}

fn a_job_is_cancelled_below_every_base() {
    let server = Server::start();
    for base in BASES {
        let id = server.run("sleep 600");
        server.started(id);
        for _ in 0..2 {
            let answer = server.post(&format!("{base}/jobs/cancel/{id}"), &json!({})).expect(200);
            assert_eq!(answer.json(), json!({"msg": "cancelled"}));
        }
        let job = ends(&server, &id.to_string());
        assert_eq!(job["state"], "CANCELLED", "{job}");
        server.send("POST", &format!("{base}/jobs/cancel/{id}"), &[], b"").expect(200);
        problem(server.post(&format!("{base}/jobs/cancel/77"), &json!({})), 404);
    }
    server.is_clean();
}

fn two_readings_of_a_time_limit_are_refused_with_both() {
    let server = Server::start();
    for base in BASES {
        for (body, field) in [
            (json!({"script": "true", "time_limit": "2:30"}), "time_limit"),
            (json!({"script": "true", "job": {"time_limit": "2:30"}}), "job.time_limit"),
        ] {
            let said = problem(server.post(&format!("{base}/jobs/submit"), &body), 422);
            assert_eq!(fields(&said), [field], "{said}");
            let message = said["errors"][0]["message"].as_str().unwrap();
            assert!(message.contains("2 hours 30 minutes"), "{message}");
            assert!(message.contains("2 minutes 30 seconds"), "{message}");
        }
    }
    for (limit, shown) in [
        (json!("2:30:00"), "0-02:30:00"),
        (json!(90), "0-01:30:00"),
        (json!("1-00:00:01"), "1-00:00:01"),
        (json!("20s"), "0-00:00:20"),
        (json!("UNLIMITED"), "UNLIMITED"),
    ] {
        let body = json!({"script": "true", "time_limit": limit});
        let id = server.post("/jobs/submit", &body).expect(201).json()["job_id"].clone();
        assert_eq!(query(&server, id.as_str().unwrap())["time"]["limit_time"], shown);
    }
}

fn nine_states_are_told_in_five_words() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let submit = |body: Value| server.submit(&body).to_string();
    let good = submit(json!({"script": "true"}));
    let bad = submit(json!({"script": "exit 2"}));
    let late = submit(json!({"script": "sleep 60", "time_limit": "1s", "kill_grace_s": 1}));
    for (id, state, error) in
        [(&good, "COMPLETED", None), (&bad, "FAILED", None), (&late, "FAILED", Some("TIMEOUT"))]
    {
        let job = ends(&server, id);
        assert_eq!(job["state"], state, "{job}");
        if let Some(word) = error {
            assert!(job["error_msg"].as_str().is_some_and(|m| m.starts_with(word)), "{job}");
        }
    }
    assert!(query(&server, &good)["error_msg"].is_null());
    assert_eq!(query(&server, &bad)["detail"]["exit_code"], "2:0");
    let lost = server.run("sleep 600");
    let pid = server.started(lost)["allocation"]["process_id"].as_i64().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let parent = status.lines().find_map(|l| l.strip_prefix("PPid:")).unwrap().trim().to_owned();
    crate::common::signal(parent.parse().unwrap(), "KILL");
    let job = ends(&server, &lost.to_string());
    assert_eq!(
        (&job["state"], &job["detail"]["exit_code"]),
        (&json!("FAILED"), &Value::Null),
        "{job}"
    );
    assert!(job["error_msg"].as_str().is_some_and(|m| m.starts_with("NODE_FAIL")), "{job}");
    let script =
        format!("trap '{}; exit' TERM; echo up; while :; do sleep 0.02; done", gate.wait());
    let stopping = server.submit(&json!({"script": script, "exclusive": true, "kill_grace_s": 50}));
    server.says(stopping, "up\n");
    assert_eq!(query(&server, &stopping.to_string())["state"], "RUNNING");
    let waits = submit(json!({"script": "true"}));
    assert_eq!(query(&server, &waits)["state"], "PENDING");
    server.post(&format!("/jobs/cancel/{stopping}"), &json!({})).expect(200);
    assert_eq!(server.job(stopping)["state"], "COMPLETING");
    assert_eq!(query(&server, &stopping.to_string())["state"], "RUNNING", "COMPLETING is told so");
    gate.open();
    assert_eq!(ends(&server, &stopping.to_string())["state"], "CANCELLED");
}

fn a_query_has_every_old_field() {
    let server = Server::start();
    let folder = server.dir.path().display().to_string();
    let body = json!({
        "job": {
            "name": "n", "account": "a", "partition": "p", "cpus_per_task": 2,
            "current_working_directory": folder, "time_limit": 2,
            "standard_output": "o", "standard_error": "e",
        },
        "script": "echo out; echo err >&2; exit 4",
    });
    server.post("/jobs/submit", &body).expect(201);
    let job = ends(&server, "1");
    keys(&job, "job_id state error_msg time job_log detail");
    keys(&job["time"], "submit_time start_time end_time eligible_time elapsed_time limit_time");
    keys(&job["job_log"], "stdout stderr");
    keys(
        &job["detail"],
        "job_name user partition allocated_cpus allocated_nodes node_list exit_code work_dir \
         data_source account",
    );
    for time in ["submit_time", "start_time", "end_time", "eligible_time"] {
        is_time(&job["time"][time]);
    }
    assert_eq!(
        (&job["time"]["elapsed_time"], &job["time"]["limit_time"]),
        (&json!("0-00:00:00"), &json!("0-00:02:00"))
    );
    assert_eq!(job["job_log"], json!({"stdout": "out\n", "stderr": "err\n"}));
    for (field, value) in [
        ("job_name", json!("n")),
        ("partition", json!("p")),
        ("allocated_cpus", json!(2)),
        ("allocated_nodes", json!(1)),
        ("exit_code", json!("4:0")),
        ("work_dir", json!(folder)),
        ("data_source", json!("API")),
        ("account", json!("a")),
    ] {
        assert_eq!(job["detail"][field], value, "{field}: {job}");
    }
    assert!(job["detail"]["node_list"].as_str().is_some_and(|n| !n.is_empty()), "{job}");
}

fn a_query_shows_the_last_thousand_lines() {
    let server = Server::start();
    server.run("seq 1 1500; head -c 3000000 /dev/zero | tr '\\0' x >&2");
    let job = ends(&server, "1");
    let lines: Vec<&str> = job["job_log"]["stdout"].as_str().unwrap().lines().collect();
    assert_eq!((lines.len(), lines[0], lines[999]), (1_000, "501", "1500"));
    assert_eq!(job["job_log"]["stderr"].as_str().unwrap().len(), 1 << 20, "one long line");
}

fn a_missing_folder_is_made_and_exclusive_takes_all() {
    let server = Server::start();
    let folder = server.dir.path().join("not/there/yet");
    let body = json!({
        "job": {"current_working_directory": folder, "exclusive": true, "standard_output": "o"},
        "script": "pwd; echo err >&2",
    });
    server.post("/jobs/submit", &body).expect(201);
    let job = ends(&server, "1");
    assert_eq!(
        (&job["state"], &job["detail"]["allocated_cpus"]),
        (&json!("COMPLETED"), &json!(4)),
        "{job}"
    );
    let both = format!("{}\nerr\n", folder.display());
    assert_eq!(std::fs::read_to_string(folder.join("o")).unwrap(), both, "both streams are there");
}

fn a_bad_old_body_stores_nothing() {
    let server = Server::start();
    for (body, field) in [
        (json!({"job": {"name": "n"}}), "script"),
        (json!({"job": {"cpus_per_task": 99}, "script": "true"}), "job.cpus_per_task"),
        (json!({"job": {"nope": 1}, "script": "true"}), "job.nope"),
        (
            json!({"job": {"standard_output": "/etc/passwd"}, "script": "true"}),
            "job.standard_output",
        ),
    ] {
        let said = problem(server.post("/jobs/submit", &body), 422);
        assert_eq!(fields(&said), [field], "{said}");
    }
    assert_eq!(server.run("true"), 1);
}
