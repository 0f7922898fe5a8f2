//! *Purpose*: jobs are accepted as they were asked for.
//!
//! *Owns*: flat, nested and batch bodies, time limits, `#SBATCH` lines.
//!
//! *Promises*: each accepted value is seen again in the Job.
//!
//! *Not here*: refusals, keys, the seed's routes.

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{Gate, fields, is_job, keys};
use crate::partitions::with_file;

const SUBMIT: &str = "/api/v1/jobs";

cases! {
    a_flat_body_is_stored_as_it_was_asked_for => ["POST /api/v1/jobs", "GET /api/v1/jobs/{id}"],
    a_bare_script_gets_every_default => ["POST /api/v1/jobs"],
    a_nested_body_is_stored_and_its_folder_made => ["POST /api/v1/jobs"],
    cpus_are_tasks_times_cpus_of_each => ["POST /api/v1/jobs"],
    time_limits_are_read_as_slurm_writes_them => ["POST /api/v1/jobs"],
    sbatch_lines_fill_what_the_body_leaves_out => ["POST /api/v1/jobs"],
    a_batch_is_stored_whole_and_in_order => ["POST /api/v1/jobs/batch", "GET /api/v1/jobs"],
    ten_thousand_jobs_are_one_batch => ["POST /api/v1/jobs/batch", "GET /api/v1/resources"],
    what_is_started_with_its_submission_is_answered_as_it_was_committed => ["POST /api/v1/jobs"],
}

fn what_is_started_with_its_submission_is_answered_as_it_was_committed() {
    let server = with_file(
        "[[partition]]\nname = \"a\"\ncpus = \"0\"\n[[partition]]\nname = \"b\"\ncpus = \"1-3\"\n\
         [[resource]]\nname = \"license/matlab\"\ncount = 9\n",
    );
    // Before it has audited itself a server starts nothing.
    server.ended(server.run("true"));
    let gate = Gate::new(&server);
    let body = json!({
        "script": gate.wait(), "cpus": 2, "memory": "64M", "partition": "a,b",
        "resources": {"license/matlab": 2},
    });
    // A pass that was under way when it came knew nothing of it.
    let answered = until("a job to be started with its submission", || {
        let job = server.post(SUBMIT, &body).expect(201).json();
        if job["state"] == "RUNNING" { Ok(job) } else { Err(job.to_string()) }
    });
    is_job(&answered);
    let wanted = json!({
        "state_reason": "Starting", "attempt": 1, "partition": "b", "start_time": null,
        "position": null, "estimated_start_time": null,
    });
    same(&answered, &wanted);
    let later = server.started(answered["id"].as_i64().unwrap());
    for name in ["attempt", "partition", "submit_time", "eligible_time", "memory_bytes"] {
        assert_eq!(answered[name], later[name], "{name}");
    }
    for name in ["cpu_ids", "resources", "allocation_time", "released", "released_time"] {
        assert_eq!(answered["allocation"][name], later["allocation"][name], "{name}");
    }
    assert_eq!(answered["allocation"]["resources"]["license/matlab"], 2);
    gate.open();
}

fn a_flat_body_is_stored_as_it_was_asked_for() {
    let server = Server::start();
    let folder = server.dir.path().display().to_string();
    let answer = server.post(
        SUBMIT,
        &json!({
            "script": "#!/bin/sh\ntrue\n", "name": "n", "account": "a", "cpus": 3,
            "memory": "512M", "time_limit": "90s", "working_directory": folder,
            "standard_output": "o-%j-%x-%%", "standard_error": "deep/er/e",
            "environment": {"A": "1"}, "priority": -7, "partition": "p",
            "labels": {"k": "v"}, "comment": "c",
        }),
    );
    let answer = answer.expect(201);
    assert_eq!(answer.header("location"), Some("/api/v1/jobs/1"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let job = answer.json();
    is_job(&job);
    let wanted = json!({
        "id": 1, "name": "n", "account": "a", "cpus": 3, "memory_bytes": 512 << 20,
        "time_limit_s": 90, "working_directory": folder,
        "standard_output": format!("{folder}/o-1-n-%"),
            "standard_error": format!("{folder}/deep/er/e"),
        "priority": -7, "partition": "p", "labels": {"k": "v"}, "comment": "c",
        "data_source": "API", "warnings": [],
    });
    same(&job, &wanted);
    let ended = server.ended(1);
    is_job(&ended);
    same(&ended, &wanted);
    same(&ended, &json!({"state": "COMPLETED", "exit_code": "0:0", "error": null, "attempt": 1}));
    assert_eq!(ended["allocation"]["cpu_ids"].as_array().unwrap().len(), 3);
    assert_eq!(ended["allocation"]["released"], true);
    assert!(ended["allocation"]["process_id"].as_i64().unwrap() > 1);
    assert!(ended["usage"]["max_rss_bytes"].as_i64().unwrap() > 0);
    assert!(
        server.dir.path().join("o-1-n-%").is_file()
            && server.dir.path().join("deep/er/e").is_file()
    );
    let times =
        ["submit_time", "start_time", "end_time"].map(|t| ended[t].as_str().unwrap().to_owned());
    assert!(times.is_sorted(), "{times:?}");
    server.is_clean();
}

/// Every field of `wanted` is so in `job`.
#[track_caller]
fn same(job: &Value, wanted: &Value) {
    for (field, value) in wanted.as_object().unwrap() {
        assert_eq!(&job[field], value, "{field} of {job}");
    }
}

fn a_bare_script_gets_every_default() {
    let server = Server::start();
    let job = server.post(SUBMIT, &json!({"script": "pwd; echo $0 >&2"})).expect(201).json();
    is_job(&job);
    same(
        &job,
        &json!({
            "cpus": 1, "memory_bytes": null, "time_limit_s": null, "standard_output": null,
            "standard_error": null, "labels": {}, "comment": null, "priority": 0, "account": "",
            "partition": "default", "end_time": null, "exit_code": null,
        }),
    );
    let ended = server.ended(1);
    let folder = ended["working_directory"].as_str().unwrap();
    assert!(folder.starts_with(server.data().to_str().unwrap()), "{folder}");
    assert_eq!(server.stdout(1).trim_end(), folder);
}

fn a_nested_body_is_stored_and_its_folder_made() {
    let server = Server::start();
    let folder = server.dir.path().join("new/er").display().to_string();
    let body = json!({
        "job": {
            "account": "a", "name": "n", "partition": "p", "current_working_directory": folder,
            "standard_output": "o", "standard_error": "e", "environment": {"A": "x y"},
            "ntasks_per_node": 2, "cpus_per_task": 2, "memory_per_node": "1G", "time_limit": "1:30",
        },
        "script": "#!/bin/bash\necho \"$A\"; echo err >&2",
    });
    let job = server.post(SUBMIT, &body).expect(201).json();
    is_job(&job);
    same(
        &job,
        &json!({
            "account": "a", "name": "n", "partition": "p", "working_directory": folder, "cpus": 4,
            "memory_bytes": 1 << 30, "time_limit_s": 90,
        }),
    );
    assert_eq!(server.ended(1)["exit_code"], "0:0");
    assert_eq!(std::fs::read_to_string(format!("{folder}/o")).unwrap(), "x y\n");
    assert_eq!(std::fs::read_to_string(format!("{folder}/e")).unwrap(), "err\n");
    let whole = server.post(SUBMIT, &json!({"job": {"exclusive": true}, "script": "true"}));
    assert_eq!(whole.expect(201).json()["cpus"], 4);
}

fn cpus_are_tasks_times_cpus_of_each() {
    let server = Server::start();
    for (body, cpus) in [
        (json!({"cpus_per_task": 3}), 3),
        (json!({"ntasks_per_node": 2}), 2),
        (json!({"cpus_per_task": 2, "ntasks_per_node": 2}), 4),
        (json!({"cpus": 4, "cpus_per_task": 2, "ntasks_per_node": 2}), 4),
        (json!({"exclusive": true}), 4),
        (json!({"exclusive": false}), 1),
    ] {
        let mut body = body;
        body["script"] = json!("true");
        let job = server.post(SUBMIT, &body).expect(201).json();
        assert_eq!(job["cpus"], cpus, "{body}");
    }
}

fn time_limits_are_read_as_slurm_writes_them() {
    let server = Server::start();
    for (limit, seconds) in [
        (json!(2), json!(120)),
        (json!("90"), json!(5_400)),
        (json!("1:30"), json!(90)),
        (json!("1:02:03"), json!(3_723)),
        (json!("1-2"), json!(93_600)),
        (json!("1-2:3"), json!(93_780)),
        (json!("1-2:3:4"), json!(93_784)),
        (json!("90s"), json!(90)),
        (json!("10m"), json!(600)),
        (json!("2h"), json!(7_200)),
        (json!("UNLIMITED"), Value::Null),
        (Value::Null, Value::Null),
    ] {
        let body = json!({"script": "true", "time_limit": limit});
        let job = server.post(SUBMIT, &body).expect(201).json();
        assert_eq!(job["time_limit_s"], seconds, "{limit}");
    }
}

fn sbatch_lines_fill_what_the_body_leaves_out() {
    let server = Server::start();
    let folder = server.dir.path().display();
    let script = format!(
        "#!/bin/bash\n#SBATCH --time=1:30\n#SBATCH -J inside -p batch -A lab\n\
         #SBATCH --cpus-per-task=2 --ntasks=2 --nodes=1\n#SBATCH --mem-per-cpu=10M\n\
         #SBATCH -o out-%j --error=err-%j --chdir={folder}\n#SBATCH --comment='two words'\n\
         #SBATCH --export=FROM_LINE=7\n#SBATCH --switches=1\n#SBATCH --mail-type=END\n\
         echo \"line $FROM_LINE\"\n#SBATCH --time=9\n"
    );
    let job = server.post(SUBMIT, &json!({"script": script})).expect(201).json();
    same(
        &job,
        &json!({
            "time_limit_s": 90, "name": "inside", "partition": "batch", "account": "lab",
            "cpus": 4, "memory_bytes": 40 << 20, "comment": "two words",
            "standard_output": format!("{folder}/out-1"),
                "standard_error": format!("{folder}/err-1"),
            "working_directory": folder.to_string(),
        }),
    );
    let warnings: Vec<&str> =
        job["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].contains("switches") && warnings[1].contains("mail-type"), "{warnings:?}");
    assert!(warnings[2].starts_with("line 12: this #SBATCH line is not read"), "{warnings:?}");
    assert_eq!(server.ended(1)["warnings"], job["warnings"]);
    assert_eq!(server.stdout(1), "line 7\n");
    let body = json!({"script": script, "name": "body", "time_limit": 1, "cpus": 1});
    let job = server.post(SUBMIT, &body).expect(201).json();
    same(&job, &json!({"name": "body", "time_limit_s": 60, "cpus": 1, "account": "lab"}));
    let lines = "#SBATCH --exclusive\n#SBATCH --mem=100\n#SBATCH --ntasks-per-node=1\ntrue";
    let job = server.post(SUBMIT, &json!({"script": lines})).expect(201).json();
    same(&job, &json!({"cpus": 4, "memory_bytes": 100 << 20, "warnings": []}));
    let next = job["id"].as_i64().unwrap() + 1;
    for line in ["--gres=gpu:1", "-w node7", "--constraint=avx", "--frobnicate=1", "--cpus=2"] {
        let script = format!("#!/bin/bash\n#SBATCH {line}\ntrue\n");
        let refused = server.post(SUBMIT, &json!({"script": script})).expect(422).json();
        assert_eq!(fields(&refused), ["script"], "{refused}");
        let said = refused["errors"][0]["message"].as_str().unwrap();
        let name = line.trim_start_matches('-').split(['=', ' ']).next().unwrap();
        let name = if name == "w" { "nodelist" } else { name };
        assert!(said.contains("line 2") && said.contains(name), "{said}");
    }
    assert_eq!(server.run("true"), next, "what is refused stores nothing");
}

fn a_batch_is_stored_whole_and_in_order() {
    let server = Server::start();
    let body = json!({"jobs": [
        {"script": "exit 1", "name": "a"},
        {"job": {"name": "b", "cpus_per_task": 2}, "script": "exit 2"},
        {"script": "exit 3", "name": "c"},
    ]});
    let answer = server.post("/api/v1/jobs/batch", &body).expect(201).json();
    keys(&answer, "job_ids");
    assert_eq!(answer, json!({"job_ids": [1, 2, 3]}));
    for (id, name) in [(1, "a"), (2, "b"), (3, "c")] {
        let job = server.ended(id);
        assert_eq!(job["name"], name);
        assert_eq!(job["exit_code"], format!("{id}:0"));
    }
    let times = server.get("/api/v1/jobs").expect(200).json();
    let times: Vec<&Value> =
        times["jobs"].as_array().unwrap().iter().map(|j| &j["submit_time"]).collect();
    assert!(times.iter().all(|t| *t == times[0]), "one transaction, one time: {times:?}");
    server.is_clean();
}

fn ten_thousand_jobs_are_one_batch() {
    let server = Server::with(&["--cpus", "1"]);
    let gate = crate::help::Gate::new(&server);
    gate.blocker(&server);
    let jobs = vec![json!({"script": "true"}); 10_000];
    let answer = server.post("/api/v1/jobs/batch", &json!({ "jobs": jobs })).expect(201).json();
    let ids = answer["job_ids"].as_array().unwrap();
    assert_eq!((ids.len(), &ids[0], &ids[9_999]), (10_000, &json!(2), &json!(10_001)));
    assert_eq!(server.get("/api/v1/resources").json()["pending_jobs"], 10_000);
    assert_eq!(server.sql("SELECT count(*) || '' AS line FROM jobs"), "10001");
    // A part of each is told of them all at once, all of each of a thousand.
    let list = "/api/v1/jobs?state=PENDING&sort=id&limit=10000";
    crate::help::problem(server.get(list), 400);
    let page = server.get(&format!("{list}&fields=name,cpus")).expect(200).json();
    assert_eq!(page["jobs"].as_array().unwrap().len(), 10_000);
    let first = json!({"id": 2, "state": "PENDING", "name": "job", "cpus": 1});
    assert_eq!((&page["jobs"][0], &page["next_cursor"]), (&first, &Value::Null));
}
