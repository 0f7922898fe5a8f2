//! *Purpose*: what a job finds in its environment, and what it does not.
//!
//! *Owns*: inherited, asked-for and made-up variables.
//!
//! *Promises*: the whole environment is read from the job itself.
//!
//! *Not here*: what the command line sends along (`tests/cli`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::common::Server;

cases! {
    a_job_gets_its_own_variables_and_the_seven_inherited_ones => ["POST /api/v1/jobs",
        "GET /api/v1/jobs/{id}/stdout"],
    what_the_body_sets_wins_over_what_is_inherited => ["POST /api/v1/jobs"],
    threads_are_as_many_as_cpus_unless_the_job_says_so => ["POST /api/v1/jobs"],
    the_shebang_is_honoured => ["POST /api/v1/jobs"],
}

const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"];

/// The environment that a job of this body sees.
fn seen(server: &Server, body: &Value) -> BTreeMap<String, String> {
    let mut body = body.clone();
    body["script"] = json!("#!/bin/sh\ntr '\\0' '\\001' < /proc/$$/environ\n");
    let id = server.submit(&body);
    assert_eq!(server.ended(id)["exit_code"], "0:0");
    let text = server.stdout(id);
    let pairs = text.split('\u{1}').filter(|p| !p.is_empty());
    pairs.map(|p| p.split_once('=').unwrap()).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

fn a_job_gets_its_own_variables_and_the_seven_inherited_ones() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    for (name, value) in [
        ("SECRET", "s3"),
        ("LANG", "C.UTF-8"),
        ("TZ", "UTC"),
        ("DOWNBEAT_LOG_LEVEL", "debug"),
        ("LD_PRELOAD_NOT", "x"),
        ("PGPASSWORD", "p"),
    ] {
        server.env.push((name.to_owned(), value.to_owned()));
    }
    server.env.push((
        "DOWNBEAT_DATABASE_URL".to_owned(),
        format!("sqlite://{}", server.dir.path().join("d.db").display()),
    ));
    server.up();
    let body = json!({"environment": {"MINE": "a b"}, "name": "n", "account": "a",
        "partition": "p", "cpus": 2});

    let vars = seen(&server, &body);
    let job = server.job(1);
    let ids: Vec<String> =
        job["allocation"]["cpu_ids"].as_array().unwrap().iter().map(ToString::to_string).collect();
    let folder = job["working_directory"].as_str().unwrap();
    for (name, value) in [
        ("MINE", "a b"),
        ("LANG", "C.UTF-8"),
        ("TZ", "UTC"),
        ("SLURM_JOB_ID", "1"),
        ("SLURM_JOBID", "1"),
        ("SLURM_JOB_NAME", "n"),
        ("SLURM_CPUS_PER_TASK", "2"),
        ("SLURM_CPUS_ON_NODE", "2"),
        ("SLURM_NTASKS", "1"),
        ("SLURM_SUBMIT_DIR", folder),
        ("SLURM_JOB_ACCOUNT", "a"),
        ("SLURM_JOB_PARTITION", "p"),
        ("DOWNBEAT_JOB_ID", "1"),
        ("DOWNBEAT_ATTEMPT", "1"),
        ("DOWNBEAT_SERVER", &server.url),
        ("DOWNBEAT_CPU_IDS", &ids.join(",")),
        ("OMP_NUM_THREADS", "2"),
    ] {
        assert_eq!(vars.get(name).map(String::as_str), Some(value), "{name} of {vars:?}");
    }
    assert!(vars.get("SLURM_JOB_NODELIST").is_some_and(|n| !n.is_empty()), "{vars:?}");
    let foreign: Vec<&String> = vars.keys().filter(|name| !is_known(name)).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

/// Whether a job has this variable by right.
fn is_known(name: &str) -> bool {
    INHERITED.contains(&name)
        || name.starts_with("SLURM_")
        || name.starts_with("OMPI_")
        || [
            "MINE",
            "OMP_NUM_THREADS",
            "DOWNBEAT_JOB_ID",
            "DOWNBEAT_ATTEMPT",
            "DOWNBEAT_CPU_IDS",
            "DOWNBEAT_KEY",
            "DOWNBEAT_SERVER",
            "ENVIRONMENT",
            "HYDRA_LAUNCHER",
            "I_MPI_HYDRA_BOOTSTRAP",
            "PRTE_MCA_plm",
            "SLURMD_NODENAME",
            "TMPDIR",
            "PWD",
        ]
        .contains(&name)
}

fn what_the_body_sets_wins_over_what_is_inherited() {
    let server = Server::start();
    let body = json!({"environment": {
        "HOME": "/elsewhere", "SLURM_JOB_ID": "99", "DOWNBEAT_JOB_ID": "99", "EMPTY": "",
            "EQ": "a=b", "TMPDIR": "/elsewhere", "SLURM_ARRAY_TASK_ID": "3", "SLURM_RESTART_COUNT": "2",
    }});
    let vars = seen(&server, &body);
    let of_another = |name: &&String| name.contains("ARRAY") || name.contains("RESTART");
    assert_eq!(vars.keys().find(of_another), None, "a task that submits is not what it submits");
    assert_eq!(vars["HOME"], "/elsewhere");
    assert!(vars["TMPDIR"].contains("/scratch/1.1."), "its private folder wins: {vars:?}");
    assert_eq!(
        (vars["SLURM_JOB_ID"].as_str(), vars["DOWNBEAT_JOB_ID"].as_str()),
        ("1", "1"),
        "ours win"
    );
    assert_eq!((vars["EMPTY"].as_str(), vars["EQ"].as_str()), ("", "a=b"));
}

fn threads_are_as_many_as_cpus_unless_the_job_says_so() {
    let server = Server::start();
    assert_eq!(seen(&server, &json!({"cpus": 3}))["OMP_NUM_THREADS"], "3");
    let body = json!({"cpus": 3, "environment": {"OMP_NUM_THREADS": "7"}});
    assert_eq!(seen(&server, &body)["OMP_NUM_THREADS"], "7");
}

fn the_shebang_is_honoured() {
    let server = Server::start();
    for (script, says) in [
        ("#!/bin/cat\nitself\n", "#!/bin/cat\nitself\n"),
        ("#!/bin/sh -e\nfalse\necho not here\n", ""),
        ("#! /usr/bin/env bash\necho ${BASH_VERSION:+bash}\n", "bash\n"),
        ("echo ${BASH_VERSION:+bash}\n", "bash\n"),
    ] {
        let id = server.run(script);
        server.ended(id);
        assert_eq!(server.stdout(id), says, "{script}");
    }
}
