//! *Purpose*: the numbers are true: CPUs, allocations, audit, dashboard, metrics.
//!
//! *Owns*: what the server says about itself, and the OpenAPI document.
//!
//! *Promises*: numbers are compared with jobs that are known to run, not with each other.
//!
//! *Not here*: numbers under load (`load`).

use std::collections::{BTreeMap, BTreeSet};

use downbeat::api::ROUTES;
use serde_json::{Value, json};

use crate::common::Server;
use crate::help::{Gate, is_time, keys, problem};

cases! {
    resources_show_which_job_holds_which_cpu => ["GET /api/v1/resources"],
    allocations_are_picked_by_job_and_release => ["GET /api/v1/allocations"],
    the_audit_agrees_before_during_and_after => ["GET /api/v1/audit"],
    the_dashboard_counts_true_numbers => ["GET /api/v1/dashboard", "GET /api/dashboard",
        "GET /dashboard"],
    info_shows_settings_isolation_and_what_is_missing => ["GET /api/v1/info"],
    the_server_is_live_and_ready => ["GET /health/live", "GET /health/ready"],
    each_form_of_metrics_declares_what_it_has_by_the_conventions => ["GET /metrics"],
    metrics_have_every_name_and_true_values => ["GET /metrics"],
    the_document_lists_the_routes_and_nothing_else => ["GET /openapi.json"],
}

fn resources_show_which_job_holds_which_cpu() {
    let server = Server::start();
    let free = server.get("/api/v1/resources").expect(200).json();
    keys(
        &free,
        "total_cpus used_cpus available_cpus utilization cpus held_back_cpus running_jobs pending_jobs \
         resource_managers node total_memory_bytes used_memory_bytes available_memory_bytes \
         resources nodes",
    );
    assert_eq!(free["cpus"].as_array().unwrap().len(), 4);
    let gate = Gate::new(&server);
    let id = server.submit(&json!({"script": gate.wait(), "cpus": 3}));
    let waits = server.submit(&json!({"script": "true", "cpus": 4}));
    let job = server.started(id);
    let now = server.get("/api/v1/resources").expect(200).json();
    let held: Vec<&Value> = now["cpus"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["job_id"] == id)
        .map(|c| &c["id"])
        .collect();
    let own: Vec<&Value> = job["allocation"]["cpu_ids"].as_array().unwrap().iter().collect();
    assert_eq!(held, own);
    now["cpus"].as_array().unwrap().iter().for_each(|cpu| keys(cpu, "id job_id load node core"));
    for (field, value) in [
        ("total_cpus", json!(4)),
        ("used_cpus", json!(3)),
        ("available_cpus", json!(1)),
        ("utilization", json!(75.0)),
        ("running_jobs", json!(1)),
        ("pending_jobs", json!(1)),
        ("resource_managers", json!(1)),
    ] {
        assert_eq!(now[field], value, "{field}: {now}");
    }
    gate.open();
    server.ended(waits);
    server.is_clean();
    let without_load = |mut now: Value| {
        now["cpus"].as_array_mut().unwrap().iter_mut().for_each(|cpu| cpu["load"] = Value::Null);
        now
    };
    let after = server.get("/api/v1/resources").json();
    assert_eq!(without_load(after), without_load(free));
}

fn allocations_are_picked_by_job_and_release() {
    let server = Server::start();
    let gate = Gate::new(&server);
    for _ in 0..2 {
        server.ended(server.run("true"));
    }
    let id = server.submit(&json!({"script": gate.wait(), "cpus": 2}));
    server.started(id);
    let jobs = |query: &str| -> Vec<i64> {
        let rows = server.get(&format!("/api/v1/allocations?{query}")).expect(200).json();
        let rows = rows.as_array().unwrap();
        for row in rows {
            keys(
                row,
                "id job_id attempt allocated_cpus cpu_ids process_id released allocation_time \
                 released_time resources",
            );
            is_time(&row["allocation_time"]);
            assert_eq!(row["released"] == true, row["released_time"].is_string(), "{row}");
            assert_eq!(row["allocated_cpus"], row["cpu_ids"].as_array().unwrap().len());
        }
        rows.iter().map(|r| r["job_id"].as_i64().unwrap()).collect()
    };
    assert_eq!(jobs(""), [3, 2, 1]);
    assert_eq!(jobs("job_id=2"), [2]);
    assert_eq!(jobs("released=true"), [2, 1]);
    assert_eq!(jobs("released=false"), [3]);
    assert_eq!(jobs("released=false&job_id=1"), [0_i64; 0]);
    assert_eq!(jobs("limit=1"), [3]);
    gate.open();
    server.ended(id);
    assert_eq!(jobs("released=false"), [0_i64; 0]);
}

fn the_audit_agrees_before_during_and_after() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let audit = || {
        let audit = server.get("/api/v1/audit").expect(200).json();
        keys(&audit, "consistent drift history commit_no checked_at");
        assert_eq!(audit["history"], json!([]), "{audit}");
        is_time(&audit["checked_at"]);
        assert_eq!((&audit["consistent"], &audit["drift"]), (&json!(true), &json!([])), "{audit}");
    };
    audit();
    let id = server.submit(&json!({"script": format!("sleep 600 & {}", gate.wait())}));
    server.started(id);
    audit();
    gate.open();
    server.ended(id);
    audit();
}

fn the_dashboard_counts_true_numbers() {
    let server = Server::start();
    let gate = Gate::new(&server);
    for script in ["true", "true", "exit 1"] {
        server.ended(server.run(script));
    }
    let late = server.submit(&json!({"script": "sleep 60", "time_limit": "1s", "kill_grace_s": 1}));
    server.ended(late);
    let running =
        server.submit(&json!({"script": gate.wait(), "cpus": 4, "name": "r", "account": "a"}));
    server.started(running);
    let cancelled = server.run("true");
    server.send("DELETE", &format!("/api/v1/jobs/{cancelled}"), &[], b"");
    let pending: Vec<i64> = (0..25).map(|_| server.run("true")).collect();
    let shown = server.get("/api/v1/dashboard").expect(200).json();
    keys(&shown, "job_stats resource_stats node_info running_jobs pending_jobs");
    assert_eq!(
        shown["job_stats"],
        json!({"total": 31, "running": 1, "pending": 25, "completed": 2, "failed": 2,
            "cancelled": 1})
    );
    assert_eq!(
        shown["resource_stats"],
        json!({"total_cpus": 4, "allocated_cpus": 4, "available_cpus": 0,
            "utilization_rate": 100.0})
    );
    let node = &shown["node_info"][0];
    keys(
        node,
        "node_name partition total_cpus allocated_cpus available_cpus available utilization_rate",
    );
    assert_eq!((&node["total_cpus"], &node["allocated_cpus"]), (&json!(4), &json!(4)));
    for list in ["running_jobs", "pending_jobs"] {
        for job in shown[list].as_array().unwrap() {
            keys(job, "job_id name account state allocated_cpus submit_time start_time");
        }
    }
    let line = &shown["running_jobs"][0];
    assert_eq!(
        (&line["name"], &line["account"], &line["state"]),
        (&json!("r"), &json!("a"), &json!("RUNNING"))
    );
    assert_eq!(line["allocated_cpus"], 4);
    let listed: Vec<&Value> =
        shown["pending_jobs"].as_array().unwrap().iter().map(|j| &j["job_id"]).collect();
    assert_eq!(
        listed,
        pending[..20].iter().map(|id| json!(id)).collect::<Vec<_>>().iter().collect::<Vec<_>>()
    );
    for base in ["/api", ""] {
        assert_eq!(server.get(&format!("{base}/dashboard")).expect(200).json(), shown, "{base}");
    }
    gate.open();
    server.ended(*pending.last().unwrap());
}

fn info_shows_settings_isolation_and_what_is_missing() {
    let server = Server::with(&["--cpus", "4", "--kill-grace", "7s"]);
    let answer = server.get("/api/v1/info").expect(200);
    let info = answer.json();
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    keys(
        &info,
        "version configuration isolation notes host start_time uptime_s database_bytes free_bytes",
    );
    is_time(&info["start_time"]);
    let database = std::fs::metadata(server.database()).unwrap().len();
    assert!(info["database_bytes"].as_u64().unwrap() >= database, "{info}");
    assert!(info["free_bytes"].as_u64().is_some() && info["uptime_s"].as_u64().unwrap() < 3_600);
    assert_eq!(info["host"], server.get("/api/v1/resources").expect(200).json()["node"]);
    let settings = &info["configuration"];
    assert_eq!(settings["kill_grace"], json!({"value": "7s", "source": "flag"}));
    assert_eq!(settings["tick"], json!({"value": "5s", "source": "default"}));
    for name in [
        "listen",
        "data_dir",
        "database_url",
        "cpus",
        "tick",
        "token",
        "output_root",
        "default_time_limit",
        "max_time_limit",
        "kill_grace",
    ] {
        assert!(settings[name]["value"].is_string(), "{name}: {settings}");
    }
    let isolation = info["isolation"].as_array().unwrap();
    assert!(!isolation.is_empty());
    let memory = isolation.iter().find(|a| a["name"] == "memory").unwrap();
    let detail = memory["detail"].as_str().unwrap();
    let either = ["control group (version", "no control group can be used here ("];
    assert!(either.iter().any(|says| detail.contains(says)), "{memory}");
}

fn the_server_is_live_and_ready() {
    let server = Server::start();
    assert_eq!(server.get("/health/live").expect(200).json()["status"], "live");
    assert_eq!(server.get("/health/ready").expect(200).json()["status"], "ready");
    problem(server.post("/health/live", &json!({})), 405);
}

fn metrics_have_every_name_and_true_values() {
    let server = Server::start();
    let gate = Gate::new(&server);
    for script in ["true", "false"] {
        server.ended(server.run(script));
    }
    let id = server.submit(&json!({"script": gate.wait(), "cpus": 3}));
    server.started(id);
    server.get("/api/v1/audit").expect(200);
    let text = server.get("/metrics").expect(200).text();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    };
    for (name, wanted) in [
        ("downbeat_jobs{state=\"COMPLETED\"}", 1.0),
        ("downbeat_jobs{state=\"FAILED\"}", 1.0),
        ("downbeat_jobs{state=\"RUNNING\"}", 1.0),
        ("downbeat_jobs{state=\"PENDING\"}", 0.0),
        ("downbeat_cpus_capacity", 4.0),
        ("downbeat_cpus_used", 3.0),
        ("downbeat_cpus_available", 1.0),
        ("downbeat_allocations_total", 3.0),
        ("downbeat_releases_total", 2.0),
        ("downbeat_ledger_drift", 0.0),
        ("downbeat_resource_managers", 1.0),
        ("downbeat_start_latency_seconds_count", 3.0),
        ("downbeat_start_latency_seconds_bucket{le=\"+Inf\"}", 3.0),
    ] {
        assert!((value(name) - wanted).abs() < 1e-9, "{name} is {}, not {wanted}", value(name));
    }
    assert!(value("downbeat_commits_total") >= 3.0);
    assert!(value("downbeat_start_latency_seconds_sum") > 0.0);
}

/// What `promtool check metrics` looks at.
fn each_form_of_metrics_declares_what_it_has_by_the_conventions() {
    let server = Server::start();
    server.ended(server.run("true"));
    for (accept, kind) in [
        (None, "text/plain; version=0.0.4; charset=utf-8"),
        (Some("text/plain;version=0.0.4"), "text/plain; version=0.0.4; charset=utf-8"),
        (
            Some("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"),
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ] {
        let headers: Vec<(&str, &str)> = accept.map(|a| ("accept", a)).into_iter().collect();
        let answer = server.send("GET", "/metrics", &headers, b"").expect(200);
        assert_eq!(answer.header("content-type"), Some(kind));
        assert_eq!(answer.header("vary"), Some("Accept"));
        let (text, open) = (answer.text(), kind.contains("openmetrics"));
        assert_eq!(text.ends_with("# EOF\n"), open, "{text}");
        assert_eq!(text.contains("# UNIT "), open, "{text}");
        let declared = |what: &str| -> BTreeMap<String, String> {
            let lines = text.lines().filter_map(|line| line.strip_prefix(what)?.split_once(' '));
            lines.map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
        };
        let (types, helps) = (declared("# TYPE "), declared("# HELP "));
        assert_eq!(types.keys().collect::<Vec<_>>(), helps.keys().collect::<Vec<_>>());
        assert!(helps.values().all(|help| !help.is_empty()), "{helps:?}");
        for (name, kind) in &types {
            let is_total = name.ends_with("_total");
            assert_eq!(is_total, kind == "counter" && !open, "{name} is a {kind}");
        }
        for sample in text.lines().filter(|line| !line.starts_with('#')) {
            let name = sample.split(['{', ' ']).next().unwrap();
            let of = |ending: &str| name.strip_suffix(ending).and_then(|base| types.get(base));
            let histogram = ["_bucket", "_sum", "_count"]
                .iter()
                .any(|ending| of(ending).is_some_and(|kind| kind == "histogram"));
            let counter = open && of("_total").is_some_and(|kind| kind == "counter");
            assert!(histogram || counter || types.contains_key(name), "{sample} is not declared");
        }
    }
}

fn the_document_lists_the_routes_and_nothing_else() {
    let server = Server::start();
    let document = server.get("/openapi.json").expect(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."), "{}", document["openapi"]);
    let mut listed = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "delete", "patch"] {
            if let Some(operation) = item.get(method) {
                listed.insert(format!("{} {path}", method.to_uppercase()));
                assert!(
                    operation["responses"].as_object().is_some_and(|r| !r.is_empty()),
                    "{path}"
                );
            }
        }
    }
    let table: BTreeSet<String> = ROUTES
        .iter()
        .filter(|r| r.is_documented())
        .map(|r| format!("{} {}", r.method, r.path))
        .collect();
    assert_eq!(listed, table);
    let job = &document["components"]["schemas"]["Job"]["properties"];
    keys(job, crate::help::JOB);
}
