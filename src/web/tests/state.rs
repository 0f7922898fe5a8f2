//! *Purpose*: a server that stands still, as pages are told of it.
//!
//! *Owns*: its values, at one moment.
//!
//! *Promises*: times are those of the clock of wherever the tests run.
//!
//! *Not here*: what is made of it (`web::tests`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::admin::Told;
use super::super::board::Sight;
use super::super::job::Known;
use super::super::listed::Listed;
use super::super::shell::Shell;
use super::super::slots::{Slots, owner};
use super::super::waits::changes;
use super::super::why::Waiting;
use super::super::words::{self, AsOf};
use crate::clock::{LocalTime, rfc3339};
use crate::job::ids::JobId;

/// Bytes of a GiB.
const G: u64 = 1 << 30;

/// 2026-11-28 is a Saturday.
pub fn at(day: u32, hour: u32, minute: u32, second: u32) -> String {
    let time = LocalTime { year: 2026, month: 11, day, hour, minute, second };
    rfc3339(time.moment().unwrap())
}

/// The moment of all that is drawn, without a script that counts on.
pub fn now() -> AsOf {
    AsOf { now: words::moment(Some(&at(28, 14, 32, 7))).unwrap(), is_live: false }
}

/// A value of the wire.
#[track_caller]
pub fn of<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A value, and what is different about it.
pub fn with(mut value: Value, more: Value) -> Value {
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    value
}

/// Around a page of `mara`'s at this address. Names of files do not change with what is in them.
pub fn shell(view: &str) -> Shell {
    Shell {
        title: "Downbeat".to_owned(),
        host: "atlas".to_owned(),
        user: "mara".to_owned(),
        view: view.to_owned(),
        style: "/assets/style.css",
        script: "/assets/app.js",
        icon: "/assets/icon.svg",
        still: false,
    }
}

/// A job that waits, and what is different about it.
pub fn job(id: i64, name: &str, user: &str, more: Value) -> Value {
    let all = json!({
        "id": id, "name": name, "user": user, "account": "lab", "state": "PENDING", "cpus": 1,
        "partition": "default", "submit_time": at(28, 13, 2, 7),
    });
    with(all, more)
}

/// One that has run so many seconds of so many, until then at the latest.
fn runs((elapsed_s, limit_s): (i64, i64), end: String, cpus: u32) -> Value {
    json!({"state": "RUNNING", "elapsed_s": elapsed_s, "time_limit_s": limit_s, "cpus": cpus,
        "start_time": at(28, 4, 50, 55), "expected_end_time": end, "attempt": 1})
}

/// The job whose page is drawn while it runs.
pub fn vit_large() -> Value {
    let more = with(
        runs((34_872, 43_200), at(28, 16, 51, 0), 4),
        json!({"memory_bytes": 96 * G, "resources": {"gpu": 1}, "priority": 5, "attempt": 2,
            "state_detail": "it runs", "command": "train.sh --epochs 60",
            "working_directory": "/home/mara/vit", "stdout_path": "/home/mara/vit/out.txt",
            "labels": {"exp": "7", "seed": "1"}, "comment": "the large one",
            "signal": "USR1@60", "usage_now": {"cpus_busy": 3.4, "rss_bytes": 61 * G,
                "gpu_load": 920},
            "retry": {"max": 3, "on": ["FAILED"], "delay_s": 60, "max_delay_s": 600, "used": 1},
            "allocation": {"cpu_ids": [6, 7, 8, 9], "resources": {"gpu": [0]},
                "process_id": 4711, "allocation_time": at(28, 4, 50, 55), "released": false,
                "released_time": null}}),
    );
    job(4102, "vit-large", "mara", more)
}

fn running() -> Value {
    let stopped = with(
        runs((120, 1_200), at(28, 14, 50, 7), 2),
        json!({"state": "COMPLETING", "kill_time": at(28, 14, 32, 25)}),
    );
    let task = |n: u32| {
        let of = json!({"array_job_id": 4139, "array_task_id": n});
        let id = 4159 + i64::from(n);
        job(id, "sweep-lr", "lena", with(runs((2_400, 7_200), at(28, 15, 52, 7), 2), of))
    };
    let idle = json!({"usage_now": {"cpus_busy": 0.02, "rss_bytes": G, "gpu_load": null}});
    let asleep = json!({"suspend_time": at(28, 14, 0, 0), "time_limit_s": null,
        "expected_end_time": null, "state_detail": "suspended by mara"});
    json!([
        job(4150, "ci <build> & \"test\"", "ci", stopped),
        task(11),
        task(12),
        vit_large(),
        job(4144, "notebook", "lena", with(runs((19_203, 28_800), at(28, 17, 12, 0), 2), idle)),
        job(4098, "md", "jonas", with(runs((97_960, 172_800), at(29, 11, 20, 0), 2), asleep)),
    ])
}

/// The job whose page is drawn while it waits.
pub fn vit_huge() -> Value {
    job(
        4151,
        "vit-huge",
        "mara",
        json!({"state_reason": "Resources", "state_detail": "is next; needs 16 CPUs, 1 is free",
            "cpus": 16, "memory_bytes": 128 * G, "resources": {"gpu": 2}, "position": 1,
            "estimated_start_time": at(28, 16, 51, 0), "estimate_basis": "if all run to their \
            limits", "time_limit_s": 86_400, "dependency": "afterok:4098"}),
    )
}

/// The job whose page is drawn when it is over.
pub fn make_dataset() -> Value {
    job(
        4142,
        "make-dataset",
        "mara",
        json!({"state": "FAILED", "exit_code": "3:0", "elapsed_s": 723, "cpus": 2, "attempt": 1,
            "error": "the script ended with exit code 3", "start_time": at(28, 13, 49, 0),
            "end_time": at(28, 14, 1, 3), "time_limit_s": 3_600, "memory_bytes": 4 * G,
            "usage": {"user_cpu_s": 600.0, "system_cpu_s": 12.5, "max_rss_bytes": G}}),
    )
}

fn waiting() -> Value {
    let why = |word: &str, sentence: &str| json!({"state_reason": word, "state_detail": sentence});
    let array = why("JobArrayTaskLimit", "as many tasks of its array run as may at a time, 4");
    let array = with(array, json!({"array_job_id": 4139, "array_tasks": "15-99%4"}));
    json!([
        vit_huge(),
        job(4139, "sweep-lr", "lena", array),
        job(4153, "eval-ckpt", "mara", why("Dependency", "waits for job 4102")),
    ])
}

fn ended() -> Value {
    let over = |state: &str, code: Value, end: String| {
        let ran = json!({"elapsed_s": 723, "start_time": at(27, 13, 0, 0)});
        with(ran, json!({"state": state, "exit_code": code, "end_time": end}))
    };
    json!([
        job(4146, "rnaseq-qc", "priya", over("COMPLETED", json!("0:0"), at(28, 14, 30, 0))),
        job(4145, "unet-512", "lena", over("OUT_OF_MEMORY", json!("0:9"), at(28, 14, 23, 0))),
        make_dataset(),
        job(4136, "bench-io", "ci", over("NODE_FAIL", Value::Null, at(27, 13, 20, 0))),
    ])
}

/// Two nodes of eight CPUs, one of them held back and one busy though nobody holds it; four GPUs:
/// held, held by a job that is not told of, used from outside, free.
fn resources() -> Value {
    let holders =
        [4150, 4150, 4170, 4170, 4171, 4171, 4102, 4102, 4102, 4102, 4144, 4144, 4098, 0, 0, 0];
    let cpu = |(id, job): (usize, &i64)| {
        let job = Some(*job).filter(|job| *job > 0);
        let load = if id == 15 { 700 } else { id * 60 };
        json!({"id": id, "job_id": job, "node": id / 8, "load": load, "core": id / 2})
    };
    let cpus: Vec<Value> = holders.iter().enumerate().map(cpu).collect();
    let node = |n: u32| {
        let cpus: Vec<u32> = (n * 8..n * 8 + 8).collect();
        json!({"node": n, "cpus": cpus, "memory_bytes": 256 * G})
    };
    let gpu = |n: u32, job: Option<i64>, load: Option<u32>, outside: Value| {
        json!({"index": n, "uuid": null, "name": "A100", "job_id": job, "memory_bytes": 80 * G,
            "used_bytes": load.map(|_| 61 * G), "load": load, "outside": outside})
    };
    let stranger = json!({"pid": 7, "user": "<i>jonas</i>"});
    json!({
        "node": "atlas", "total_cpus": 16, "used_cpus": 13, "available_cpus": 2,
        "utilization": 81.25, "total_memory_bytes": 512 * G, "used_memory_bytes": 408 * G,
        "available_memory_bytes": 104 * G, "cpus": cpus, "held_back_cpus": [14],
        "running_jobs": 6, "pending_jobs": 1_089, "resource_managers": 1,
        "nodes": [node(0), node(1)],
        "gpus": [gpu(0, Some(4102), Some(920), Value::Null), gpu(1, Some(9), None, Value::Null),
            gpu(2, None, Some(40), stranger), gpu(3, None, Some(0), Value::Null)],
        "resources": [{"name": "gpu", "total": 4, "used": 2, "available": 1, "units": []}],
    })
}

fn payer(name: &str, cpus: u32, max: Option<u64>) -> Value {
    let of = |used: u64, max: Option<u64>| json!({"used": used, "max": max});
    let limits = json!({"running_cpus": of(cpus.into(), max), "running_jobs": of(1, None),
        "queued_jobs": of(1, None), "queued_bytes": of(0, None), "running": {}});
    json!({"name": name, "shares": 2, "cpu_hours": 1_234.5, "share_factor": 0.25, "cpus": cpus,
        "gpus": 0, "memory_bytes": 0, "running": 2, "waiting": 1_000, "limits": limits})
}

fn forecast() -> Value {
    let free = |time: String, cpus: u32| {
        let others = json!({"memory_bytes": 104 * G, "gpus": 1});
        with(others, json!({"time": time, "cpus": cpus}))
    };
    let earliest = |(cpus, gpus): (u32, u64), start: Option<String>, limit_s: Option<i64>| {
        let asked = json!({"cpus": cpus, "gpus": gpus});
        with(asked, json!({"start_time": start, "limit_s": limit_s}))
    };
    json!({"time": at(28, 14, 32, 0),
        "free": [free(at(28, 14, 32, 0), 2), free(at(28, 16, 51, 0), 0),
            free(at(28, 18, 30, 0), 9)],
        "starts": [{"job_id": 4151, "start_time": at(28, 16, 51, 0)}],
        "earliest": [earliest((1, 0), Some(at(28, 14, 32, 0)), None),
            earliest((2, 0), Some(at(28, 14, 32, 0)), Some(8_280)),
            earliest((16, 0), None, None), earliest((1, 1), Some(at(28, 14, 32, 0)), None)]})
}

/// What `GET /overview` says of a busy server.
pub fn overview() -> Value {
    let window = |id: i64, active: bool| {
        json!({"id": id, "start_time": at(29, 8, 0, 0), "end_time": at(29, 12, 0, 0),
            "reason": "new disks", "principal": "root", "active": active})
    };
    json!({
        "time": at(28, 14, 32, 7), "commit_no": 7,
        "me": {"user": "mara", "uid": 1001, "role": "user", "via": "socket",
            "limits": payer("mara", 4, None)["limits"]},
        "resources": resources(),
        "counts": {"pending": 1_089, "running": 5, "completing": 1, "failed": 17,
            "completed": 365},
        "ended_today": {"since": at(28, 0, 0, 0), "completed": 365, "other": 17, "is_more": false},
        "running": running(), "waiting": waiting(), "ended": ended(),
        "own": [vit_huge(), job(4153, "eval-ckpt", "mara", json!({"state_reason": "Dependency"})),
            vit_large(), make_dataset()],
        "accounts": [payer("", 1, None), payer("<b>lab</b>", 13, Some(32))],
        "people": [payer("lena", 6, None), payer("mara", 4, None)],
        "forecast": forecast(), "maintenance": [window(1, false)],
    })
}

/// What `GET /overview` says of a server on which nothing ever was.
pub fn nothing() -> Value {
    let cpus: Vec<Value> = (0..4).map(|id| json!({"id": id, "job_id": null})).collect();
    json!({
        "time": at(28, 14, 32, 7), "commit_no": 0,
        "me": {"user": "mara", "uid": 1001, "role": "admin", "via": "tcp"},
        "resources": {"node": "atlas", "total_cpus": 4, "used_cpus": 0, "available_cpus": 4,
            "utilization": 0.0, "used_memory_bytes": 0, "cpus": cpus, "running_jobs": 0,
            "pending_jobs": 0, "resource_managers": 1},
        "counts": {}, "running": [], "waiting": [], "ended": [], "own": [], "accounts": [],
        "ended_today": {"since": at(28, 0, 0, 0), "completed": 0, "other": 0, "is_more": false},
        "people": [], "forecast": {"time": at(28, 14, 32, 0), "free": [], "starts": [],
            "earliest": []},
        "maintenance": [],
    })
}

/// How the array stands of which tasks run.
pub fn array() -> Value {
    json!({"total": 100, "pending": 85, "running": 2, "completed": 10, "failed": 3})
}

/// That, as all who look share it.
pub fn sight(overview: Value) -> Arc<Sight> {
    let overview: crate::api::wire::overview::Overview = of(overview);
    let slots = Slots::default().after(overview.running.iter().map(owner));
    let arrays = BTreeMap::from([(JobId(4139), of(array()))]);
    Arc::new(Sight { overview, arrays, slots })
}

/// What was held in the last hours, a quarter of one of which nobody knows. A quarter begins at one
/// time in all places.
pub fn samples() -> Value {
    let quarters = |value: &dyn Fn(u32) -> Value| -> Vec<Value> { (0..18).map(value).collect() };
    let known = |n: u32, value: f64| if n == 6 { Value::Null } else { json!(value) };
    let held = quarters(&|n| known(n, f64::from(n % 17)));
    let waited = quarters(&|n| known(n, f64::from(n * n)));
    let none = quarters(&|_| Value::Null);
    json!({"start": at(28, 10, 0, 0), "step_s": 900, "cpus_total": 16, "cpus_held": held,
        "memory_held_bytes": none, "gpus_held": none, "pending": waited, "running": none,
        "started": none, "ended_ok": none, "ended_not_ok": none, "wait_s": none})
}

/// A list that was read before: one row is an open array, and others came meanwhile.
pub fn listed() -> Listed {
    let array = with(
        json!({"array_tasks": "0-99%4", "array_job_id": 4139}),
        json!({"array":
        array()}),
    );
    let task = json!({"state": "FAILED", "exit_code": "1:0", "array_job_id": 4139,
        "array_task_id": 3, "end_time": at(28, 14, 0, 0), "elapsed_s": 61,
        "error": "the script ended with exit code 1"});
    let jobs = [vit_huge(), vit_large(), job(4139, "sweep-lr", "lena", array), make_dataset()];
    Listed {
        jobs: jobs.into_iter().map(of).collect(),
        next_cursor: Some("aWQ6NDEzOQ".to_owned()),
        more: 3,
        are_newer: true,
        tasks: HashMap::from([(JobId(4139), vec![of(job(4162, "sweep-lr", "lena", task))])]),
        counts: Some(of(overview()["counts"].clone())),
        accounts: vec!["<b>lab</b>".to_owned(), "chem".to_owned()],
        me: "mara".to_owned(),
    }
}

/// Who waits for a job.
pub fn then() -> Value {
    let names = ["eval-ckpt", "<b>report</b>", "\u{202e}copy", "more"];
    let job = |(n, name): (i64, &&str)| job(4_153 + n, name, "mara", json!({}));
    let jobs: Vec<Value> = (0..).zip(&names).map(job).collect();
    json!({"jobs": jobs, "has_more": false})
}

/// What is known of a job that its reader may change.
pub fn known(job: Value) -> Known {
    let (id, state) = (job["id"].clone(), job["state"].as_str().unwrap().to_owned());
    let attempt = job["attempt"].as_u64().unwrap_or(0);
    let event = |n: i64, from: Value, to: &str, cause: &str| {
        json!({"id": n, "job_id": id, "time": at(28, 13, 2, 7), "from": from, "to": to,
            "cause": cause, "principal": "mara", "uid": 1001, "attempt": attempt})
    };
    let mut events = vec![event(1, Value::Null, "PENDING", "submitted")];
    if attempt > 0 {
        events.push(event(2, json!("PENDING"), &state, "granted"));
    }
    let first = json!({"attempt": 1, "state": "FAILED", "exit_code": "75:0", "cpu_ids": [0],
        "allocation_time": at(28, 13, 10, 0), "start_time": at(28, 13, 10, 1),
        "end_time": at(28, 13, 20, 0)});
    let run = json!({"attempt": attempt, "state": state, "exit_code": job["exit_code"],
        "cpu_ids": [6, 7], "allocation_time": at(28, 13, 48, 59),
        "start_time": at(28, 13, 49, 0), "end_time": job["end_time"]});
    let runs = match attempt {
        0 => vec![],
        1 => vec![run],
        _ => vec![first, run],
    };
    Known {
        usage: Some(of(usage(attempt))),
        efficiency: Some(of(efficiency(attempt))),
        events: events.into_iter().map(of).collect(),
        attempts: runs.into_iter().map(of).collect(),
        script: Some("#!/bin/bash\n</pre><script>alert(1)</script>\n".to_owned()),
        may_change: true,
        ..Known::of(of(job))
    }
}

fn usage(attempt: u64) -> Value {
    let (busy, bytes, loads) = match attempt {
        0 => (json!([]), json!([]), json!([])),
        _ => (json!([1.0, null, 3.9]), json!([G, null, 61 * G]), json!([100, null, 920])),
    };
    json!({"attempt": attempt, "start": at(28, 13, 49, 0), "step_s": 10, "cpus": 4,
        "memory_bytes": 96 * G, "cpus_busy": busy, "rss_bytes": bytes, "gpu_load": loads})
}

fn efficiency(attempt: u64) -> Value {
    let known = attempt > 0;
    let used = |value: Value| if known { value } else { Value::Null };
    let gpu = json!({"asked": 1, "used": 0.51});
    json!({"attempt": attempt,
        "cpu": {"asked": 4, "used": used(json!(3.4)), "most": used(json!(3.9)), "used_s": null},
        "memory": {"asked_bytes": 96 * G, "used_bytes": used(json!(61 * G))},
        "gpu": used(gpu), "time": {"asked_s": 43_200, "used_s": 34_872},
        "advice": used(json!("Ask for 64G: it used 61G at most."))})
}

/// What is known of the wait of [`vit_huge`].
pub fn waits() -> Waiting {
    let rank = json!({"job_id": 4151, "position": 1, "points": 530,
        "parts": {"priority": 500, "partition": 0, "age": 10, "fair_share": 20},
        "policy": {"order": "fcfs", "value": null, "waited_s": 5_400, "first_after_s": null}});
    let sooner = with(vit_huge(), json!({"estimated_start_time": at(28, 14, 32, 0)}));
    let later = with(vit_huge(), json!({"estimated_start_time": at(28, 15, 52, 7)}));
    let same = vit_huge();
    // Half of its CPUs, a shorter limit, both.
    let changes = changes(&of(vit_huge())).into_iter();
    let tried = changes.zip([later, same, sooner].map(of)).collect();
    Waiting { sight: sight(overview()), rank: Some(of(rank)), tried: Arc::new(tried) }
}

/// What an operator is told of the server itself.
pub fn told() -> Told {
    let drift = json!({"kind": "held_but_free", "job_id": 4098, "message": "CPU 14 is held by <b>",
        "remedy": "held back"});
    let past = with(drift.clone(), json!({"found_at": at(28, 9, 0, 0)}));
    let deed = |id: i64, token: Value, count: u32| {
        json!({"id": id, "time": at(28, 14, 0, 0), "user": "<b>mara</b>", "uid": 1001,
            "role": "user", "via": "token", "token": token, "process_id": null,
            "remote": "127.0.0.1:5", "request_id": "r", "verb": "cancel", "job_id": 4102,
            "count": count, "detail": ""})
    };
    let set = |value: &str, source: &str| json!({"value": value, "source": source});
    let part = json!({"name": "default", "state": "up", "default": true, "cpu_ids": [0],
        "total_cpus": 16, "available_cpus": 2, "running_jobs": 6, "pending_jobs": 1_089,
        "default_time_limit_s": null, "max_time_limit_s": 172_800, "max_cpus_per_job": null,
        "max_memory_bytes_per_job": null, "priority_weight": 0});
    let mut windows = overview()["maintenance"].clone();
    let active = with(windows[0].clone(), json!({"id": 2, "active": true, "end_time": null}));
    windows.as_array_mut().unwrap().push(active);
    Told {
        sight: sight(overview()),
        info: of(json!({"version": "0.0.1", "host": "atlas", "uptime_s": 3_600 * 50,
            "database_bytes": 5 * G, "free_bytes": null, "notes": ["no cgroups"],
            "start_time": at(26, 12, 0, 0),
            "configuration": {"retention": set("7d", "flag"), "policy": set("fcfs", "default"),
                "priority": set("7d half-life", "settings.toml")},
            "isolation": [{"name": "memory", "detail": "by a limit of the process"}]})),
        audit: Some(Arc::new(of(json!({"consistent": false, "drift": [drift], "history": [past],
            "commit_no": 1_234_567, "checked_at": at(28, 14, 32, 0)})))),
        history: Some(vec![of(deed(2, json!("abc"), 1)), of(deed(1, Value::Null, 3))]),
        partitions: vec![of(part)],
        windows: of(windows),
        operates: true,
    }
}

/// Who used how much.
pub fn used() -> Value {
    let line = |name: &str, hours: f64, part: Option<f64>, wait: Option<f64>| {
        json!({"name": name, "cpu_hours": hours, "cpu_used_hours": hours / 2.0,
            "cpu_efficiency": part, "gpu_hours": 0.0, "memory_gib_hours": 12.25, "jobs": 1_000,
            "completed": 9, "failed": 3, "cancelled": 1, "running": 0, "mean_wait_s": wait})
    };
    json!({"since": at(22, 0, 0, 0), "until": at(28, 14, 32, 7), "by": "user", "left_off": 2,
        "lines": [line("mara", 1_234.5, Some(0.5), Some(61.0)), line("", 0.25, None, None)]})
}
