//! *Purpose*: a machine that is divided, asked of the real binary.
//!
//! *Owns*: partitions: their CPUs, their limits, what waits for them.
//!
//! *Promises*: what the file says holds, also after a restart with another file.
//!
//! *Not here*: every overlap of partitions (`kernel::views::hold`).

use serde_json::{Value, json};

use crate::common::Server;
use crate::help::{Gate, fields, keys, problem};

cases! {
    a_server_without_partitions_is_one => ["GET /api/v1/partitions"],
    jobs_run_where_their_partition_is => ["GET /api/v1/partitions", "POST /api/v1/jobs",
        "GET /api/v1/dashboard"],
    a_job_of_several_partitions_starts_where_there_is_room_first => ["POST /api/v1/jobs",
        "POST /api/v1/jobs/{id}/requeue"],
    a_partition_refuses_what_it_does_not_allow => ["POST /api/v1/jobs", "PATCH /api/v1/jobs/{id}"],
    jobs_wait_for_a_partition_that_is_down_or_gone => ["GET /api/v1/jobs/{id}",
        "GET /api/v1/partitions"],
    room_that_was_made_stays_the_preemptors_through_a_restart => ["GET /api/v1/jobs/{id}",
        "GET /api/v1/jobs/{id}/events"],
    a_job_of_a_partition_that_preempts_gets_its_room => ["GET /api/v1/jobs/{id}/attempts",
        "GET /api/v1/partitions"],
}

const TWO: &str = "[[partition]]\nname = \"cpu\"\ncpus = \"0-2\"\n\
    [[partition]]\nname = \"gpu\"\ncpus = \"2-3\"\ndefault_time_limit = \"10m\"\n\
    max_time_limit = \"1h\"\nmax_cpus_per_job = 1\nmax_memory_per_job = \"64M\"\n";

/// A server with four CPUs and this file.
pub fn with_file(text: &str) -> Server {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    write(&mut server, text);
    server.up();
    server
}

pub fn write(server: &mut Server, text: &str) {
    let file = server.dir.path().join("downbeat.toml");
    std::fs::write(&file, text).unwrap();
    if !server.args.contains(&"--config".to_owned()) {
        server.args.extend(["--config".to_owned(), file.display().to_string()]);
    }
}

fn partitions(server: &Server) -> Value {
    server.get("/api/v1/partitions").expect(200).json()
}

fn a_server_without_partitions_is_one() {
    let server = Server::start();
    let all = partitions(&server);
    keys(
        &all[0],
        "name state default cpu_ids total_cpus available_cpus running_jobs pending_jobs \
         default_time_limit_s max_time_limit_s max_cpus_per_job max_memory_bytes_per_job \
         priority_weight preempts max_per_job",
    );
    assert_eq!((&all[0]["name"], &all[1]), (&json!("default"), &Value::Null));
    assert_eq!(all[0]["cpu_ids"], json!([0, 1, 2, 3]));
    let id = server.submit(&json!({"script": "true", "partition": "any word"}));
    assert_eq!(server.ended(id)["partition"], "any word");
}

fn jobs_run_where_their_partition_is() {
    let server = with_file(TWO);
    let gate = Gate::new(&server);
    let wide = server.submit(&json!({"script": gate.wait(), "exclusive": true}));
    let job = server.started(wide);
    assert_eq!((&job["partition"], &job["cpus"]), (&json!("cpu"), &json!(3)), "the first one");
    assert_eq!(job["allocation"]["cpu_ids"], json!([0, 1, 2]));
    let script = format!("{}; echo $SLURM_JOB_PARTITION", gate.wait());
    let gpu = server.submit(&json!({"script": script, "partition": "gpu"}));
    let job = server.started(gpu);
    assert_eq!((&job["allocation"]["cpu_ids"], &job["time_limit_s"]), (&json!([3]), &json!(600)));
    let waits = server.submit(&json!({"script": "true", "partition": "gpu"}));
    let job = server.job(waits);
    assert_eq!(job["state_reason"], "Resources");
    let detail = job["state_detail"].as_str().unwrap();
    assert_eq!(detail, "is next; needs 1 CPU, 0 of 2 are free in partition gpu");
    let all = partitions(&server);
    assert_eq!((&all[0]["default"], &all[1]["default"]), (&json!(true), &json!(false)));
    assert_eq!((&all[1]["running_jobs"], &all[1]["pending_jobs"]), (&json!(1), &json!(1)));
    assert_eq!(all[1]["available_cpus"], 0);
    let nodes = server.get("/api/v1/dashboard").expect(200).json()["node_info"].clone();
    assert_eq!((&nodes[0]["partition"], &nodes[0]["allocated_cpus"]), (&json!("cpu"), &json!(3)));
    assert_eq!((&nodes[1]["partition"], &nodes[1]["total_cpus"]), (&json!("gpu"), &json!(2)));
    gate.open();
    assert_eq!(server.ended(waits)["state"], "COMPLETED");
    server.ended(wide);
    server.ended(gpu);
    assert_eq!(server.stdout(gpu), "gpu\n");
    server.is_clean();
}

fn a_job_of_several_partitions_starts_where_there_is_room_first() {
    let mut server = with_file(
        "[[partition]]\nname = \"a\"\ncpus = \"0\"\n[[partition]]\nname = \"b\"\ncpus = \"1\"\n\
         [[partition]]\nname = \"c\"\ncpus = \"2-3\"\n",
    );
    let gate = Gate::new(&server);
    let first = server.submit(&json!({"script": gate.wait(), "partition": "a"}));
    server.started(first);
    let script = format!("#!/bin/bash\n#SBATCH -p a,b\necho $SLURM_JOB_PARTITION\n{}", gate.wait());
    let second = server.submit(&json!({"script": script}));
    let started = server.started(second);
    let at = |job: &Value| (job["partition"].clone(), job["allocation"]["cpu_ids"].clone());
    assert_eq!(at(&started), (json!("b"), json!([1])), "{started}");
    let third = server.submit(&json!({"script": gate.wait(), "partition": "b, a"}));
    let waits = server.job(third);
    assert_eq!((&waits["partition"], &waits["state"]), (&json!("b,a"), &json!("PENDING")));
    server.kill();
    server.up();
    assert_eq!(server.job(second)["partition"], "b");
    let found = server.get("/api/v1/jobs?partition=b").expect(200).json();
    assert_eq!(found["jobs"][0]["id"], second, "{found}");
    // It goes back to both, behind nobody in the first.
    server.post(&format!("/api/v1/jobs/{first}/cancel"), &json!({})).expect(202);
    assert_eq!(at(&server.started(third)).0, "a");
    server.post(&format!("/api/v1/jobs/{second}/requeue?hold=true"), &json!({})).expect(202);
    let back = server.reaches(second, "PENDING");
    assert_eq!(back["partition"], "a,b", "{back}");
    gate.open();
    server.post(&format!("/api/v1/jobs/{second}/release"), &json!({})).expect(200);
    for id in [second, third] {
        assert_eq!(server.ended(id)["state"], "COMPLETED");
    }
    let text = server.stdout(second);
    assert!(["a\n", "b\n"].contains(&text.as_str()), "{text}");
    let unknown = json!({"script": "true", "partition": "a,x"});
    let refused = problem(server.post("/api/v1/jobs", &unknown), 422);
    assert!(refused["detail"].as_str().unwrap().contains("no partition \"x\""), "{refused}");
    let wide = server.submit(&json!({"script": "true", "partition": "a,c", "cpus": 2}));
    assert_eq!(server.ended(wide)["partition"], "c");
    let wider = json!({"script": "true", "partition": "a,c", "cpus": 3});
    problem(server.post("/api/v1/jobs", &wider), 422);
}

fn a_partition_refuses_what_it_does_not_allow() {
    let server = with_file(TWO);
    for (body, field, part) in [
        (json!({"partition": "gp"}), "partition", "no partition \"gp\"; there are: cpu, gpu"),
        (json!({"cpus": 4}), "cpus", "partition cpu has 3"),
        (json!({"partition": "gpu", "cpus": 2}), "cpus", "partition gpu allows 1 for one job"),
        (json!({"partition": "gpu", "exclusive": true}), "cpus", "2 asked for"),
        (json!({"partition": "gpu", "time_limit": "2h"}), "time_limit", "partition gpu allows"),
        (json!({"partition": "gpu", "memory": "65M"}), "memory", "partition gpu allows 64 MiB"),
    ] {
        let mut body = body;
        body["script"] = json!("true");
        let problem = problem(server.post("/api/v1/jobs", &body), 422);
        assert_eq!(fields(&problem), [field], "{problem}");
        let message = problem["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(part), "{message}");
    }
    let held = json!({"script": "true", "partition": "gpu", "held": true});
    let id = server.submit(&held);
    let json = [("content-type", "application/json")];
    let longer = br#"{"time_limit": "2h"}"#;
    let answer = server.send("PATCH", &format!("/api/v1/jobs/{id}"), &json, longer);
    assert_eq!(fields(&problem(answer, 422)), ["time_limit"]);
}

fn jobs_wait_for_a_partition_that_is_down_or_gone() {
    let mut server = with_file(TWO);
    let gate = Gate::new(&server);
    let runs = server.submit(&json!({"script": gate.wait(), "partition": "gpu"}));
    server.started(runs);
    let one = |held| json!({"script": "true", "partition": "gpu", "held": held});
    let waits = server.submit(&one(true));
    server.kill();
    write(&mut server, &format!("{TWO}state = \"down\""));
    server.up();
    let release = |id: i64| server.post(&format!("/api/v1/jobs/{id}/release"), &json!({})).status;
    assert_eq!(release(waits), 200);
    let late = server.submit(&one(false));
    for id in [waits, late] {
        assert_eq!(server.job(id)["state_reason"], "PartitionDown");
    }
    assert_eq!(partitions(&server)[1]["state"], "down");
    assert_eq!(partitions(&server)[1]["running_jobs"], 1, "what runs runs on");
    server.kill();
    write(&mut server, "[[partition]]\nname = \"cpu\"\ncpus = \"0-1\"\n");
    server.up();
    let job = server.job(waits);
    assert_eq!(job["state_reason"], "PartitionConfig");
    assert!(job["state_detail"].as_str().unwrap().contains("downbeat.toml"), "{job}");
    assert_eq!(server.job(runs)["state"], "RUNNING");
    server.kill();
    write(&mut server, TWO);
    server.up();
    gate.open();
    for id in [runs, waits, late] {
        assert_eq!(server.ended(id)["state"], "COMPLETED");
    }
    server.is_clean();
}

fn a_job_of_a_partition_that_preempts_gets_its_room() {
    let mut server = with_file(
        "[[partition]]\nname = \"batch\"\n[[partition]]\nname = \"urgent\"\n\
         priority_weight = 10\npreempts = [\"batch\"]\n",
    );
    assert_eq!(partitions(&server)[1]["preempts"], json!(["batch"]));
    let gate = Gate::new(&server);
    let fill = |partition: &str, cpus: u32| json!({"script": gate.wait(), "partition": partition, "cpus": cpus});
    let older = server.submit(&fill("batch", 2));
    server.started(older);
    let younger = server.submit(&fill("batch", 2));
    server.started(younger);
    let same = server.submit(&fill("batch", 1));
    assert_eq!(server.job(same)["state"], "PENDING", "nobody makes room for his own kind");
    let urgent = server.submit(&fill("urgent", 2));
    server.started(urgent);
    let back = server.job(younger);
    assert_eq!((&back["state"], &back["restart_count"]), (&json!("PENDING"), &json!(1)), "{back}");
    let attempts = server.get(&format!("/api/v1/jobs/{younger}/attempts")).expect(200).json();
    assert_eq!(attempts[0]["state"], "PREEMPTED", "{attempts}");
    let events = server.get(&format!("/api/v1/jobs/{younger}/events")).expect(200).json();
    let said = format!("\"principal\":\"preempted for job {urgent}\"");
    assert!(events.to_string().contains(&said), "{events}");
    assert_eq!(server.job(older)["state"], "RUNNING", "the older attempt stays");
    // A server that dies in between finds the same.
    server.kill();
    server.up();
    assert_eq!(server.job(younger)["state"], "PENDING");
    let more = server.submit(&fill("urgent", 2));
    server.started(more);
    assert_eq!(server.job(urgent)["state"], "RUNNING", "urgent jobs do not preempt one another");
    gate.open();
    for id in [older, younger, same, urgent, more] {
        assert_eq!(server.ended(id)["state"], "COMPLETED");
    }
    server.is_clean();
}

fn room_that_was_made_stays_the_preemptors_through_a_restart() {
    // Nothing brings urgent jobs to the front: the victim has waited longer.
    let mut server = with_file(
        "[[partition]]\nname = \"batch\"\n[[partition]]\nname = \"urgent\"\n\
         preempts = [\"batch\"]\n",
    );
    let (gate, grace) = (Gate::new(&server), server.dir.path().join("grace"));
    let stubborn = format!("trap '' TERM; until [ -e '{}' ]; do sleep 0.02; done", grace.display());
    let lo = server.submit(&json!({
        "script": stubborn, "partition": "batch", "cpus": 4, "time_limit": "8s",
        "kill_grace_s": 3600,
    }));
    server.started(lo);
    let hi = server.submit(&json!({
        "script": gate.wait(), "partition": "urgent", "cpus": 4, "time_limit": "1h",
    }));
    let leaves = server.reaches(lo, "COMPLETING");
    assert_eq!(leaves["state_reason"], "Preempted", "{leaves}");
    let detail = server.job(hi)["state_detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("room is being made for it"), "{detail}");
    server.kill();
    server.up();
    std::fs::write(&grace, "").unwrap();
    server.started(hi);
    let back = server.job(lo);
    assert_eq!((&back["state"], &back["restart_count"]), (&json!("PENDING"), &json!(1)), "{back}");
    let events = server.get(&format!("/api/v1/jobs/{lo}/events")).expect(200).json();
    let causes = events.to_string();
    assert_eq!(causes.matches("\"cause\":\"preempted\"").count(), 1, "{events}");
    gate.open();
    for id in [hi, lo] {
        assert_eq!(server.ended(id)["state"], "COMPLETED");
    }
    server.is_clean();
}
