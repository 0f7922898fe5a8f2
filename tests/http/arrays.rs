//! *Purpose*: job arrays, asked of the real binary.
//!
//! *Owns*: submission, tasks, what they are told, limits, cancels, holds, dependencies, a crash.
//!
//! *Promises*: every task runs once.
//!
//! *Not here*: every order of events (`kernel::commands::task`), the notation (`job::array_spec`).

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{Gate, fields, is_job, keys, problem};

cases! {
    each_task_is_a_job_that_knows_its_number => ["POST /api/v1/jobs", "GET /api/v1/jobs/{id}",
        "GET /api/v1/jobs/{id}/wait", "GET /api/v1/jobs/{id}/array",
        "GET /api/v1/jobs/{id}/stdout"],
    no_more_tasks_run_at_a_time_than_the_array_allows => ["GET /api/v1/jobs/{id}"],
    an_array_that_makes_no_sense_stores_nothing => ["POST /api/v1/jobs"],
    a_hundred_thousand_tasks_are_one_row => ["POST /api/v1/jobs", "GET /api/v1/resources"],
    a_task_is_cancelled_alone_and_an_array_as_a_whole => ["POST /api/v1/jobs/{id}/cancel",
        "DELETE /api/v1/jobs/{id}"],
    a_task_is_held_alone => ["POST /api/v1/jobs/{id}/hold", "POST /api/v1/jobs/{id}/release",
        "PATCH /api/v1/jobs/{id}", "GET /api/v1/jobs/{id}/events"],
    jobs_wait_for_arrays_and_their_tasks => ["POST /api/v1/jobs"],
    tasks_follow_tasks => ["POST /api/v1/jobs", "GET /api/v1/jobs/{id}"],
    a_crash_in_the_middle_runs_no_task_twice_and_forgets_none => ["GET /api/v1/jobs"],
    an_array_in_the_seed_s_words_is_one_job => ["GET /api/v1/jobs/query/{id}",
        "POST /api/v1/jobs/cancel/{id}"],
}

fn array_of(server: &Server, id: i64) -> Value {
    server.get(&format!("/api/v1/jobs/{id}/array")).expect(200).json()
}

fn over(server: &Server, id: i64) -> Value {
    until(&format!("array {id} to be over"), || {
        let array = array_of(server, id);
        if array["over"] == true { Ok(array) } else { Err(array.to_string()) }
    })
}

fn task(server: &Server, id: i64, task: u32) -> Value {
    server.get(&format!("/api/v1/jobs/{id}_{task}")).expect(200).json()
}

fn reason(job: &Value) -> &str {
    job["state_reason"].as_str().unwrap_or_default()
}

fn post(server: &Server, path: &str) -> Value {
    server.post(&format!("/api/v1/jobs/{path}"), &json!({})).expect(200).json()
}

fn each_task_is_a_job_that_knows_its_number() {
    let server = Server::start();
    let folder = server.dir.path().display().to_string();
    let script = "#SBATCH --array=1-7:2\necho $SLURM_ARRAY_JOB_ID $SLURM_ARRAY_TASK_ID \
        $SLURM_ARRAY_TASK_COUNT $SLURM_ARRAY_TASK_MIN $SLURM_ARRAY_TASK_MAX \
        $SLURM_ARRAY_TASK_STEP; [ $SLURM_ARRAY_TASK_ID != 3 ] || exit 9";
    let id = server.submit(&json!({
        "script": script, "working_directory": folder, "standard_output": "out-%A_%a.txt",
        "labels": {"k": "v"},
    }));
    let whole = server.get(&format!("/api/v1/jobs/{id}/wait?timeout_s=30")).expect(200).json();
    is_job(&whole);
    assert_eq!((&whole["id"], &whole["array_job_id"]), (&json!(id), &json!(id)));
    let array = array_of(&server, id);
    keys(
        &array,
        "array_job_id tasks pending running completing completed failed cancelled timeout \
         out_of_memory node_fail over first_not_completed",
    );
    assert_eq!((&array["tasks"], &array["over"]), (&json!("1-7:2"), &json!(true)));
    assert_eq!((&array["completed"], &array["failed"]), (&json!(3), &json!(1)));
    assert_eq!(array["first_not_completed"], format!("{id}_3"));
    for n in [1, 3, 5, 7] {
        let job = task(&server, id, n);
        is_job(&job);
        assert_eq!((&job["array_job_id"], &job["array_task_id"]), (&json!(id), &json!(n)));
        assert_eq!(job["array_tasks"], Value::Null);
        let said = server.get(&format!("/api/v1/jobs/{id}_{n}/stdout")).expect(200).text();
        assert_eq!(said, format!("{id} {n} 4 1 7 2\n"));
        let file = format!("{folder}/out-{id}_{n}.txt");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), said, "{file}");
        let script = server.get(&format!("/api/v1/jobs/{id}_{n}/script")).expect(200).text();
        assert!(script.starts_with("#SBATCH --array"));
    }
    assert_eq!(task(&server, id, 7)["id"], id, "the last task keeps the array's id");
    for query in [format!("array_job_id={id}"), "label=k:v".to_owned()] {
        let list = server.get(&format!("/api/v1/jobs?{query}")).expect(200).json();
        assert_eq!(list["jobs"].as_array().unwrap().len(), 4, "{query}: {list}");
    }
    let missing = problem(server.get(&format!("/api/v1/jobs/{id}_2")), 404);
    assert_eq!(missing["detail"], format!("there is no job {id}_2"));
    problem(server.get(&format!("/api/v1/jobs/{id}/stdout")), 409);
    let other = server.run("true");
    problem(server.get(&format!("/api/v1/jobs/{other}/array")), 404);
    server.ended(other);
    server.is_clean();
}

fn no_more_tasks_run_at_a_time_than_the_array_allows() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let id = server.submit(&json!({"script": gate.wait(), "array": "0-9%2"}));
    let job = until("two tasks to run", || {
        let array = array_of(&server, id);
        if array["running"] == 2 { Ok(server.job(id)) } else { Err(array.to_string()) }
    });
    assert_eq!((reason(&job), &job["array_tasks"]), ("JobArrayTaskLimit", &json!("2-9%2")));
    assert!(job["state_detail"].as_str().unwrap().contains("at a time, 2"), "{job}");
    let waits = task(&server, id, 5);
    assert_eq!((&waits["state"], &waits["array_task_id"]), (&json!("PENDING"), &json!(5)));
    let numbers = server.get("/api/v1/resources").expect(200).json();
    assert_eq!((&numbers["pending_jobs"], &numbers["running_jobs"]), (&json!(8), &json!(2)));
    gate.open();
    assert_eq!(over(&server, id)["completed"], 10);
    server.is_clean();
}

fn an_array_that_makes_no_sense_stores_nothing() {
    let server = Server::start();
    for array in ["", "9-3", "0-9:0", "1,1", "0-9%0", "0-9999999", "0-3000000", "all"] {
        let body = json!({"script": "true", "array": array});
        let refused = problem(server.post("/api/v1/jobs", &body), 422);
        assert_eq!(fields(&refused), ["array"], "{array}");
    }
    let array = server.submit(&json!({"script": "true", "array": "0-3", "held": true}));
    let plain = server.submit(&json!({"script": "true", "held": true}));
    for (dependency, body) in [
        (format!("afterok:{array}_9"), json!({"script": "true"})),
        (format!("aftercorr:{array}"), json!({"script": "true"})),
        (format!("aftercorr:{plain}"), json!({"script": "true", "array": "0-3"})),
        ("aftercorr:99".to_owned(), json!({"script": "true", "array": "0-3"})),
    ] {
        let mut body = body;
        body["dependency"] = dependency.clone().into();
        let refused = problem(server.post("/api/v1/jobs", &body), 422);
        assert_eq!(fields(&refused), ["dependency"], "{dependency}: {refused}");
    }
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM jobs"), "2");
}

fn a_hundred_thousand_tasks_are_one_row() {
    let server = Server::start();
    let body = json!({"script": "true", "array": "0-99999", "held": true});
    let start = std::time::Instant::now();
    let id = server.submit(&body);
    let took = start.elapsed();
    assert!(took.as_secs() < 1, "{took:?}");
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM jobs"), "1");
    let numbers = server.get("/api/v1/resources").expect(200).json();
    assert_eq!(numbers["pending_jobs"], 100_000);
    assert_eq!(array_of(&server, id)["pending"], 100_000);
    server.is_clean();
    server.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).expect(200);
    let array = array_of(&server, id);
    assert_eq!((&array["cancelled"], &array["over"]), (&json!(100_000), &json!(true)));
}

fn a_task_is_cancelled_alone_and_an_array_as_a_whole() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let id = server.submit(&json!({"script": gate.wait(), "array": "0-9%2"}));
    until("two tasks to run", || match array_of(&server, id) {
        array if array["running"] == 2 => Ok(()),
        array => Err(array.to_string()),
    });
    let cancelled = server.post(&format!("/api/v1/jobs/{id}_5/cancel"), &json!({})).expect(200);
    let cancelled = cancelled.json();
    assert_eq!(
        (&cancelled["state"], &cancelled["array_task_id"]),
        (&json!("CANCELLED"), &json!(5))
    );
    assert_eq!(server.job(id)["array_tasks"], "2-4,6-9%2");
    server.post(&format!("/api/v1/jobs/{id}_0/cancel"), &json!({}));
    until("another task in its place", || match array_of(&server, id) {
        array if array["cancelled"] == 2 && array["running"] == 2 => Ok(()),
        array => Err(array.to_string()),
    });
    problem(server.post(&format!("/api/v1/jobs/{id}_77/cancel"), &json!({})), 404);
    let path = format!("/api/v1/jobs/{id}");
    let status = server.send("DELETE", &path, &[], b"").status;
    assert_eq!(status, 202, "tasks are still running");
    let array = over(&server, id);
    assert_eq!((&array["cancelled"], &array["completed"]), (&json!(10), &json!(0)), "{array}");
    server.send("DELETE", &path, &[], b"").expect(200);
    server.is_clean();
}

fn a_task_is_held_alone() {
    let mut server = Server::start();
    let id = server.submit(&json!({"script": "true", "array": "0-4%1", "held": true}));
    assert_eq!(reason(&server.job(id)), "JobHeldUser");
    let held = post(&server, &format!("{id}_2/hold"));
    assert_eq!((&held["array_task_id"], &held["held"]), (&json!(2), &json!(true)));
    let own = held["id"].as_i64().unwrap();
    assert_ne!(own, id);
    post(&server, &format!("{id}/release"));
    until("the others to run", || match array_of(&server, id) {
        array if array["completed"] == 4 => Ok(()),
        array => Err(array.to_string()),
    });
    server.kill();
    server.up();
    assert_eq!(reason(&task(&server, id, 2)), "JobHeldUser");
    let json = [("Content-Type", "application/json")];
    let body = json!({"priority": 7}).to_string();
    let path = format!("/api/v1/jobs/{id}_2");
    server.send("PATCH", &path, &json, body.as_bytes()).expect(200);
    post(&server, &format!("{id}_2/release"));
    assert_eq!(over(&server, id)["completed"], 5);
    let job = task(&server, id, 2);
    assert_eq!((&job["id"], &job["priority"]), (&json!(own), &json!(7)));
    let events = server.get(&format!("/api/v1/jobs/{id}_2/events")).expect(200).json();
    let causes: Vec<&str> =
        events.as_array().unwrap().iter().map(|e| e["cause"].as_str().unwrap()).collect();
    // Of a short script the start may be heard of with the end.
    let causes: Vec<&str> = causes.into_iter().filter(|cause| *cause != "started").collect();
    assert_eq!(causes, ["split", "held", "edited", "released", "granted", "exited"]);
    problem(server.post(&format!("/api/v1/jobs/{id}_2/hold"), &json!({})), 409);
}

fn jobs_wait_for_arrays_and_their_tasks() {
    let mut server = Server::start();
    let gate = Gate::new(&server);
    let script = format!("[ $SLURM_ARRAY_TASK_ID != 1 ] || {{ {}; exit 1; }}", gate.wait());
    let id = server.submit(&json!({"script": script, "array": "0-3"}));
    let after = |relation: &str| server.submit(&json!({"script": "true", "dependency": relation}));
    let ok = after(&format!("afterok:{id}"));
    let any = after(&format!("afterany:{id}"));
    let one = after(&format!("afterok:{id}_0"));
    let failed = after(&format!("afternotok:{id}_1"));
    assert_eq!(server.ended(one)["state"], "COMPLETED");
    server.kill();
    server.up();
    assert_eq!(reason(&server.job(any)), "Dependency");
    assert_eq!(server.job(failed)["dependency"], format!("afternotok:{id}_1"));
    gate.open();
    assert_eq!(server.ended(any)["state"], "COMPLETED");
    assert_eq!(server.ended(failed)["state"], "COMPLETED");
    assert_eq!(reason(&server.job(ok)), "DependencyNeverSatisfied");
    server.kill();
    server.up();
    assert_eq!(reason(&server.job(ok)), "DependencyNeverSatisfied");
}

fn tasks_follow_tasks() {
    let mut server = Server::start();
    let gate = Gate::new(&server);
    let script = format!("case $SLURM_ARRAY_TASK_ID in 1) {};; 2) exit 1;; esac", gate.wait());
    let first = server.submit(&json!({"script": script, "array": "0-2"}));
    let dependency = format!("aftercorr:{first}");
    let second =
        server.submit(&json!({"script": "true", "array": "0-3", "dependency": dependency}));
    until("the task whose partner has completed", || match array_of(&server, second) {
        array if array["completed"] == 1 => Ok(()),
        array => Err(array.to_string()),
    });
    assert_eq!(reason(&server.job(second)), "Dependency");
    server.kill();
    server.up();
    assert_eq!(server.job(second)["array_tasks"], "1-3");
    gate.open();
    until("the other", || match array_of(&server, second) {
        array if array["completed"] == 2 => Ok(()),
        array => Err(array.to_string()),
    });
    server.kill();
    server.up();
    let rest = server.job(second);
    assert_eq!((reason(&rest), &rest["array_tasks"]), ("DependencyNeverSatisfied", &json!("2-3")));
    assert!(rest["state_detail"].as_str().unwrap().starts_with("2 tasks follow"), "{rest}");
    let alone = post(&server, &format!("{second}_3/hold"));
    assert_eq!(alone["dependency"], format!("afterok:{first}_3"));
    server.kill();
    server.up();
    let alone = post(&server, &format!("{second}_3/release"));
    assert_eq!(reason(&alone), "DependencyNeverSatisfied", "{alone}");
}

fn a_crash_in_the_middle_runs_no_task_twice_and_forgets_none() {
    let mut server = Server::start();
    let file = server.dir.path().join("ran");
    let script = format!("sleep 0.02; echo $SLURM_ARRAY_TASK_ID >> '{}'", file.display());
    let id = server.submit(&json!({"script": script, "array": "0-49"}));
    let lines = || std::fs::read_to_string(&file).unwrap_or_default();
    for least in [5, 20, 35] {
        until("some to have run", || {
            let lines = lines().lines().count();
            if lines >= least { Ok(()) } else { Err(lines.to_string()) }
        });
        server.kill();
        server.up();
    }
    assert_eq!(over(&server, id)["completed"], 50);
    let mut ran: Vec<u32> = lines().lines().map(|line| line.parse().unwrap()).collect();
    ran.sort_unstable();
    assert_eq!(ran, (0..50).collect::<Vec<u32>>());
    let list = server.get(&format!("/api/v1/jobs?array_job_id={id}&limit=1000")).expect(200);
    assert_eq!(list.json()["jobs"].as_array().unwrap().len(), 50);
    server.is_clean();
}

fn an_array_in_the_seed_s_words_is_one_job() {
    let server = Server::start();
    let id = server.submit(&json!({"script": "true", "array": "0-3", "held": true}));
    let shown = server.get(&format!("/api/v1/jobs/query/{id}_2")).expect(200).json();
    assert_eq!(shown["state"], "PENDING");
    server.post(&format!("/api/v1/jobs/cancel/{id}_2"), &json!({})).expect(200);
    assert_eq!(task(&server, id, 2)["state"], "CANCELLED");
    server.post(&format!("/api/v1/jobs/cancel/{id}"), &json!({})).expect(200);
    assert_eq!(over(&server, id)["cancelled"], 4);
}
