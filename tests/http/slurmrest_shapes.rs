//! *Purpose*: what clients of Slurm's API are told has the shapes that they know.
//!
//! *Owns*: jobs, the machine and the accounting in all versions.
//!
//! *Promises*: the names and types of 0.0.38 are those that slurmrestd 22.05 answered with.
//!
//! *Not here*: what the routes do and refuse (`slurmrest`).

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{Gate, keys};
use crate::slurmrest::{VERSIONS, body, one, set, show, submit};

cases! {
    a_job_of_the_oldest_version_has_the_fields_of_slurm_22_05 => ["GET /slurm/{version}/jobs"],
    each_version_writes_what_has_ended_in_its_own_types => ["GET /slurm/{version}/job/{id}"],
    an_array_is_shown_by_its_tasks => ["GET /slurm/{version}/job/{id}"],
    the_machine_is_told_in_every_version => [
        "GET /slurm/{version}/ping", "GET /slurm/{version}/diag", "GET /slurm/{version}/nodes",
        "GET /slurm/{version}/node/{name}", "GET /slurm/{version}/partitions",
        "GET /slurm/{version}/partition/{name}", "GET /slurm/{version}/licenses",
        "GET /slurm/{version}/reservations",
    ],
    the_accounting_knows_a_job_at_once_and_after_its_end => [
        "GET /slurmdb/{version}/job/{id}", "GET /slurmdb/{version}/jobs",
    ],
    a_job_that_goes_back_keeps_its_number => ["GET /slurm/{version}/job/{id}"],
}

/// What slurmrestd 22.05 answered about jobs that waited, ran and had ended: of each type the
/// fields; what may be null besides stands behind it.
#[rustfmt::skip]
const FIELDS: [(&str, &str, &str); 8] = [
    ("text", "account admin_comment array_task_string batch_features batch_host burst_buffer \
        burst_buffer_state cluster cluster_features command comment container cpus_per_tres \
        current_working_directory dependency excluded_nodes features federation_origin \
        federation_siblings_active federation_siblings_viable group_name het_job_id_set job_state \
        licenses mcs_label memory_per_tres name nodes partition prefer qos required_nodes \
        resv_name standard_error standard_input standard_output state_description state_reason \
        system_comment tres_alloc_str tres_bind tres_freq tres_per_job tres_per_node \
        tres_per_socket tres_per_task tres_req_str user_name wckey", ""),
    ("whole", "accrue_time array_job_id array_max_tasks association_id cpus deadline delay_boot \
        derived_exit_code eligible_time end_time exit_code group_id het_job_id het_job_offset \
        job_id last_sched_evaluation max_cpus max_nodes minimum_cpus_per_node \
        minimum_tmp_disk_per_node node_count pre_sus_time preempt_time priority resize_time \
        restart_cnt sockets_per_board start_time submit_time suspend_time tasks tasks_per_board \
        tasks_per_node time_minimum user_id", "array_task_id memory_per_node nice time_limit"),
    ("flag", "batch_flag contiguous reboot requeue", ""),
    ("list", "flags gres_detail show_flags", ""),
    ("null", "", "core_spec cores_per_socket cpu_frequency_governor cpu_frequency_maximum \
        cpu_frequency_minimum memory_per_cpu profile shared sockets_per_node tasks_per_core \
        tasks_per_socket thread_spec threads_per_core"),
    ("text", "", "cpus_per_task"),
    ("whole", "", "billable_tres"),
    ("object", "job_resources", ""),
];

fn a_job_of_the_oldest_version_has_the_fields_of_slurm_22_05() {
    let server = Server::start();
    let waits = json!({"name": "w", "hold": true, "cpus_per_task": 2, "memory_per_node": 100});
    submit(&server, "v0.0.38", &body("true", waits));
    let ended = submit(&server, "v0.0.38", &body("exit 3", json!({"time_limit": 5})));
    server.ended(ended);
    let runs = submit(&server, "v0.0.38", &body("sleep 600", json!({"array": "1-2"})));
    until("a task to run", || {
        let job = &server.get(&format!("/slurm/v0.0.38/job/{runs}")).expect(200).json()["jobs"];
        if job[1]["job_state"] == "RUNNING" { Ok(()) } else { Err(job.to_string()) }
    });
    let all = server.get("/slurm/v0.0.38/jobs").expect(200).json();
    keys(&all, "meta errors jobs");
    for job in all["jobs"].as_array().unwrap() {
        let names: Vec<&str> = FIELDS.iter().flat_map(|(_, a, b)| [*a, *b]).collect();
        keys(job, &names.join(" "));
        for (kind, always, perhaps) in FIELDS {
            let is = |value: &Value| match kind {
                "text" => value.is_string(),
                "whole" => value.is_i64(),
                "flag" => value.is_boolean(),
                "list" => value.is_array(),
                "object" => value.is_object(),
                _ => value.is_null(),
            };
            for name in always.split_whitespace() {
                assert!(is(&job[name]), "{name} is {}", job[name]);
            }
            for name in perhaps.split_whitespace() {
                assert!(job[name].is_null() || is(&job[name]), "{name} is {}", job[name]);
            }
        }
    }
    let exit = show(&server, "v0.0.38", ended);
    assert_eq!((&exit["exit_code"], &exit["time_limit"]), (&json!(768), &json!(5)), "{exit}");
    assert_eq!(
        (&exit["job_state"], &exit["state_reason"]),
        (&json!("FAILED"), &json!("NonZeroExitCode"))
    );
    server.send("DELETE", &format!("/slurm/v0.0.38/job/{runs}"), &[], b"").expect(200);
}

fn each_version_writes_what_has_ended_in_its_own_types() {
    let server = Server::start();
    let id = submit(&server, "v0.0.40", &body("exit 3", json!({"time_limit": 5, "tasks": 2})));
    let signalled = submit(&server, "v0.0.40", &body("kill -9 $$", json!({})));
    server.ended(id);
    server.ended(signalled);
    for version in VERSIONS {
        let job = show(&server, version, id);
        let is_old = version == "v0.0.38";
        let has_lists = version >= "v0.0.40";
        let number = |n: i64| if is_old { json!(n) } else { set(n) };
        assert_eq!(job["cpus"], number(2), "{version}");
        assert_eq!(job["time_limit"], number(5), "{version}");
        let state = if has_lists { json!(["FAILED"]) } else { json!("FAILED") };
        assert_eq!(job["job_state"], state, "{version}");
        assert_eq!(job["end_time"].is_object(), has_lists, "{version}");
        let (exit, other) = (&job["exit_code"], &show(&server, version, signalled)["exit_code"]);
        match version {
            "v0.0.38" => assert_eq!((exit, other), (&json!(768), &json!(9))),
            "v0.0.39" => assert_eq!((exit, other), (&set(768), &set(9))),
            _ => {
                assert_eq!((&exit["status"], &exit["return_code"]), (&json!(["ERROR"]), &set(3)));
                assert_eq!(other["status"], json!(["SIGNALED"]));
                assert_eq!(other["signal"], json!({"id": set(9), "name": "KILL"}));
            }
        }
        assert_eq!(job["hold"].is_null(), is_old, "{version}");
        assert_eq!(
            job["exclusive"].is_array(),
            ["v0.0.39", "v0.0.40", "v0.0.41"].contains(&version)
        );
        assert!(job["user_name"].as_str().is_some_and(|name| !name.is_empty()), "{job}");
    }
    let endless = submit(&server, "v0.0.40", &body("true", json!({"hold": true})));
    assert_eq!(show(&server, "v0.0.38", endless)["time_limit"], Value::Null);
    assert_eq!(show(&server, "v0.0.40", endless)["time_limit"]["infinite"], true);
}

fn an_array_is_shown_by_its_tasks() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let id = submit(&server, "v0.0.38", &body(&gate.wait(), json!({"array": "0-3%2"})));
    let path = format!("/slurm/v0.0.38/job/{id}");
    let tasks = until("two tasks to run", || {
        let all = server.get(&path).expect(200).json()["jobs"].clone();
        let running = all.as_array().unwrap().iter().filter(|job| job["job_state"] == "RUNNING");
        if running.count() == 2 { Ok(all) } else { Err(all.to_string()) }
    });
    let all = tasks.as_array().unwrap();
    assert!(all.iter().all(|job| job["array_job_id"] == id), "{tasks}");
    let left = all.iter().find(|job| job["array_task_id"].is_null()).unwrap();
    assert_eq!((&left["job_id"], &left["array_task_string"]), (&json!(id), &json!("2-3%2")));
    assert_eq!(left["array_max_tasks"], 2);
    let task = one(server.get(&format!("/slurm/v0.0.40/job/{id}_1")));
    assert_eq!((&task["array_task_id"], &task["array_job_id"]), (&set(1), &set(id)));
    server.send("DELETE", &format!("/slurm/v0.0.38/job/{id}_3"), &[], b"").expect(200);
    gate.open();
    let end = format!("/api/v1/jobs/{id}/wait");
    server.get(&end).expect(200);
    let all = server.get(&path).expect(200).json()["jobs"].clone();
    let count =
        |word: &str| all.as_array().unwrap().iter().filter(|j| j["job_state"] == word).count();
    assert_eq!((count("COMPLETED"), count("CANCELLED")), (3, 1), "{all}");
}

fn the_machine_is_told_in_every_version() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    let settings = server.dir.path().join("one.toml");
    let text = "[[resource]]\nname = \"license/matlab\"\ncount = 4\n\
                [[partition]]\nname = \"short\"\nmax_time_limit = \"1h\"\ndefault = true\n";
    std::fs::write(&settings, text).unwrap();
    server.args.extend(["--config".to_owned(), settings.display().to_string()]);
    server.up();
    let gate = Gate::new(&server);
    let id = server.submit(&json!({"script": gate.wait(), "resources": {"license/matlab": 1}}));
    server.started(id);
    for version in VERSIONS {
        let get = |path: &str| {
            let answer = server.get(&format!("/slurm/{version}/{path}")).expect(200).json();
            assert_eq!(answer["errors"], json!([]), "{answer}");
            answer
        };
        let pong = &get("ping")["pings"][0];
        assert!(pong["ping"] == "UP" || pong["pinged"] == "UP", "{pong}");
        assert_eq!(get("diag")["statistics"]["jobs_running"], 1);
        let node = get("nodes")["nodes"][0].clone();
        let name = node["name"].as_str().unwrap();
        assert_eq!((&node["cpus"], &node["alloc_cpus"]), (&json!(4), &json!(1)));
        let state = if version == "v0.0.38" { json!("mixed") } else { json!(["MIXED"]) };
        assert_eq!((&node["state"], &node["partitions"]), (&state, &json!(["short"])));
        assert_eq!(get(&format!("node/{name}"))["nodes"][0]["name"], name);
        let partition = get("partitions")["partitions"][0].clone();
        assert_eq!(partition["name"], "short");
        match version {
            "v0.0.38" => assert_eq!(partition["max_time_limit"], 60),
            _ => assert_eq!(partition["maximums"]["time"], set(60)),
        }
        assert_eq!(get("partition/short")["partitions"][0], partition);
        let license = &get("licenses")["licenses"][0];
        assert_eq!((&license["LicenseName"], &license["Total"]), (&json!("matlab"), &json!(4)));
        assert_eq!(license["Free"], 3);
        assert_eq!(get("reservations")["reservations"], json!([]));
        assert_eq!(show(&server, version, id)["licenses"], "matlab:1");
    }
    gate.open();
    server.ended(id);
}

fn the_accounting_knows_a_job_at_once_and_after_its_end() {
    let server = Server::start();
    let id = submit(&server, "v0.0.38", &body("exit 3", json!({"name": "a", "account": "x"})));
    let waits = submit(&server, "v0.0.38", &body("true", json!({"name": "b", "hold": true})));
    server.ended(id);
    for version in VERSIONS {
        let get = |path: &str| server.get(&format!("/slurmdb/{version}/{path}"));
        let job = one(get(&format!("job/{id}")));
        let has_lists = version >= "v0.0.40";
        let word = |text: &str| if has_lists { json!([text]) } else { json!(text) };
        assert_eq!(job["state"]["current"], word("FAILED"), "{version}");
        assert_eq!(job["exit_code"]["status"], word("ERROR"), "{version}");
        let code = if has_lists { set(3) } else { json!(3) };
        assert_eq!(job["exit_code"]["return_code"], code, "{version}");
        assert_eq!(job["steps"][0]["step"]["name"], "batch");
        assert_eq!(job["time"]["limit"].is_null(), version == "v0.0.38");
        assert_eq!(job["required"]["CPUs"], 1);
        let found = |query: &str| -> Vec<i64> {
            let all = get(&format!("jobs?{query}")).expect(200).json();
            let jobs = all["jobs"].as_array().unwrap();
            jobs.iter().map(|job| job["job_id"].as_i64().unwrap()).collect()
        };
        assert_eq!(found(""), [id, waits]);
        assert_eq!(found("state=FAILED,TIMEOUT"), [id]);
        assert_eq!(found("state=PENDING"), [waits]);
        assert_eq!(found("state=SUSPENDED"), [0; 0]);
        assert_eq!(found("job_name=a"), [id]);
        assert_eq!(found("job_name=a,b&account=x"), [id]);
        assert_eq!(found(&format!("step={waits}")), [waits]);
        assert_eq!(found("users=nobody-here"), [0; 0]);
        assert_eq!(found("start_time=now-1hour"), [id, waits]);
        assert_eq!(found("start_time=4000000000"), [waits], "it has not ended by then");
        assert_eq!(found("end_time=1000000000"), [0; 0]);
    }
}

fn a_job_that_goes_back_keeps_its_number() {
    let server = Server::start();
    let id = submit(&server, "v0.0.38", &body("sleep 600", json!({"requeue": true})));
    server.started(id);
    server.post(&format!("/api/v1/jobs/{id}/requeue"), &json!({})).expect(202);
    let job = until("a second run", || {
        let job = show(&server, "v0.0.38", id);
        let again = job["restart_cnt"] == 1 && job["job_state"] == "RUNNING";
        if again { Ok(job) } else { Err(job.to_string()) }
    });
    assert_eq!((&job["job_id"], &job["requeue"]), (&json!(id), &json!(true)));
    let never =
        submit(&server, "v0.0.38", &body("#SBATCH --requeue\ntrue", json!({"requeue": false})));
    assert_eq!(show(&server, "v0.0.38", never)["requeue"], false);
    server.send("DELETE", &format!("/slurm/v0.0.38/job/{id}"), &[], b"").expect(200);
}
