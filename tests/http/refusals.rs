//! *Purpose*: what cannot be is refused, names its field and leaves nothing behind.
//!
//! *Owns*: the table of bad bodies.
//!
//! *Promises*: after the whole table there is no job, and the next one is the first.
//!
//! *Not here*: refusals for who asks and from where (`gate`).

use serde_json::{Value, json};

use crate::common::Server;
use crate::help::{fields, problem};

cases! {
    a_bad_body_names_its_field_and_stores_nothing => ["POST /api/v1/jobs", "GET /api/v1/jobs"],
    what_acts_on_a_terminal_is_refused_in_every_field_that_others_read => ["POST /api/v1/jobs",
        "POST /api/v1/maintenance"],
    a_bad_batch_names_job_and_field_and_stores_nothing => ["POST /api/v1/jobs/batch",
        "GET /api/v1/jobs"],
    what_is_found_out_late_is_named_as_the_body_names_it => ["POST /api/v1/jobs",
        "POST /api/v1/jobs/batch"],
    all_faults_of_a_body_are_named_at_once => ["POST /api/v1/jobs"],
    what_is_not_json_is_a_bad_request => ["POST /api/v1/jobs", "POST /api/v1/jobs/batch",
        "POST /jobs/submit"],
    a_longer_limit_than_the_maximum_is_refused => ["POST /api/v1/jobs"],
    a_bad_parameter_of_a_query_is_named => ["GET /api/v1/jobs", "GET /api/v1/allocations"],
}

/// Nothing was stored, and no id was used up.
#[track_caller]
fn nothing_is_stored(server: &Server) {
    let list = server.get("/api/v1/jobs").expect(200).json();
    assert_eq!(list, json!({"jobs": [], "next_cursor": null}));
    let rows = "SELECT (SELECT count(*) FROM jobs) || ' ' || \
                (SELECT count(*) FROM events) || ' ' || \
                (SELECT count(*) FROM job_scripts) AS line";
    assert_eq!(server.sql(rows), "0 0 0");
    assert_eq!(server.run("true"), 1, "no id was given out wrongly");
}

fn what_acts_on_a_terminal_is_refused_in_every_field_that_others_read() {
    let server = Server::start();
    for c in [
        "\u{1b}[2J",
        "\n",
        "\r",
        "\u{7f}",
        "\u{9b}",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{feff}",
        "\u{e0041}",
    ] {
        let text = format!("a{c}b");
        for field in
            ["name", "account", "user", "partition", "comment", "standard_output", "standard_error"]
        {
            let mut body = json!({"script": "true"});
            body[field] = json!(text);
            let refused = server.post("/api/v1/jobs", &body).expect(422).json();
            assert_eq!(fields(&refused), [field], "{refused}");
        }
        let folder = json!({"script": "true", "working_directory": format!("/tmp/{text}")});
        let refused = server.post("/api/v1/jobs", &folder).expect(422).json();
        assert_eq!(fields(&refused), ["working_directory"], "{refused}");
        for labels in [json!({"k": text}), json!({text.clone(): "v"})] {
            let body = json!({"script": "true", "labels": labels});
            let refused = server.post("/api/v1/jobs", &body).expect(422).json();
            assert!(fields(&refused)[0].starts_with("labels."), "{refused}");
        }
        for field in ["dependency", "array", "signal"] {
            let mut body = json!({"script": "true"});
            body[field] = json!(text);
            let refused = server.post("/api/v1/jobs", &body).expect(422).json();
            assert_eq!(fields(&refused), [field], "{refused}");
        }
        let drain = json!({"reason": text});
        let refused = server.post("/api/v1/maintenance", &drain).expect(422).json();
        assert_eq!(fields(&refused), ["reason"], "{refused}");
    }
    nothing_is_stored(&server);
    let plain =
        json!({"script": "true", "name": "Zürich 中文 👩", "comment": "a\u{301} ❤\u{fe0f}"});
    server.submit(&plain);
}

fn a_bad_body_names_its_field_and_stores_nothing() {
    let server = Server::start();
    let with = |field: &str, value: Value| {
        let mut body = json!({"script": "true"});
        body[field] = value;
        body
    };
    let nested = |field: &str, value: Value| {
        let mut body = json!({"script": "true", "job": {}});
        body["job"][field] = value;
        body
    };
    let script = |text: &str| json!({ "script": text });
    let long = "x".repeat(128 * 1024);
    let many: serde_json::Map<String, Value> =
        (0..9).map(|n| (format!("V{n}"), json!("x".repeat(127 * 1024)))).collect();
    let table = [
        (json!({}), "script"),
        (json!({"script": null}), "script"),
        (script(""), "script"),
        (script(" \n\t\n"), "script"),
        (script("a\0b"), "script"),
        (script(&"x".repeat((4 << 20) + 1)), "script"),
        (json!({"script": 7}), "script"),
        (with("cpus", json!(0)), "cpus"),
        (with("cpus", json!(-1)), "cpus"),
        (with("cpus", json!(5)), "cpus"),
        (with("cpus", json!("2")), "cpus"),
        (with("cpus", json!(1.5)), "cpus"),
        (with("cpus", json!(99_999_999_999_i64)), "cpus"),
        (with("cpus", json!(18_446_744_073_709_551_615_u64)), "cpus"),
        (json!({"script": "true", "cpus": 2, "cpus_per_task": 3}), "cpus"),
        (json!({"script": "true", "cpus_per_task": 3, "ntasks_per_node": 2}), "cpus_per_task"),
        (with("cpus_per_task", json!(0)), "cpus_per_task"),
        (with("ntasks_per_node", json!(9)), "ntasks_per_node"),
        (with("memory", json!("much")), "memory"),
        (with("memory", json!(0)), "memory"),
        (with("memory", json!(-1)), "memory"),
        (with("memory", json!(512)), "memory"),
        (with("memory", json!("512")), "memory"),
        (with("memory", json!([])), "memory"),
        (with("time_limit", json!(0)), "time_limit"),
        (with("time_limit", json!("0")), "time_limit"),
        (with("time_limit", json!("0:00")), "time_limit"),
        (with("time_limit", json!(-5)), "time_limit"),
        (with("time_limit", json!("-1")), "time_limit"),
        (with("time_limit", json!(1.5)), "time_limit"),
        (with("time_limit", json!("soon")), "time_limit"),
        (with("time_limit", json!(true)), "time_limit"),
        (with("name", json!("n".repeat(256))), "name"),
        (with("name", json!(7)), "name"),
        (with("name", json!("a\0b")), "name"),
        (with("account", json!([])), "account"),
        (with("working_directory", json!("relative/path")), "working_directory"),
        (with("working_directory", json!("/a\0b")), "working_directory"),
        (with("standard_output", json!("/etc/passwd")), "standard_output"),
        (with("standard_output", json!("../x")), "standard_output"),
        (with("standard_output", json!("a/../../x")), "standard_output"),
        (with("standard_output", json!("%q")), "standard_output"),
        (with("standard_output", json!("")), "standard_output"),
        (with("standard_output", json!("a\0b")), "standard_output"),
        (with("standard_error", json!("/etc/passwd")), "standard_error"),
        (with("environment", json!(["A=1"])), "environment"),
        (with("environment", json!({"A": 1})), "environment.A"),
        (with("environment", json!({"A=B": "1"})), "environment.A=B"),
        (with("environment", json!({"": "1"})), "environment."),
        (with("environment", json!({"A": "a\0b"})), "environment.A"),
        (with("environment", json!({"A\0": "a"})), "environment.A\0"),
        (with("environment", json!({ "A": long })), "environment.A"),
        (with("environment", json!(many)), "environment"),
        (with("priority", json!("high")), "priority"),
        (with("partition", json!(5)), "partition"),
        (with("labels", json!([])), "labels"),
        (with("labels", json!({"k": 1})), "labels.k"),
        (with("labels", json!({"a:b": "c"})), "labels.a:b"),
        (with("comment", json!({})), "comment"),
        (with("exclusive", json!("yes")), "exclusive"),
        (with("cpu", json!(1)), "cpu"),
        (with("data_source", json!("MAIL")), "data_source"),
        (with("job", json!(5)), "job"),
        (nested("cpus_per_task", json!(0)), "job.cpus_per_task"),
        (nested("cpus_per_task", json!(9)), "job.cpus_per_task"),
        (nested("cpus", json!(1)), "job.cpus"),
        (nested("time_limit", json!(0)), "job.time_limit"),
        (nested("memory_per_node", json!("x")), "job.memory_per_node"),
        (nested("memory_per_node", json!(2048)), "job.memory_per_node"),
        (nested("current_working_directory", json!("x")), "job.current_working_directory"),
        (nested("standard_output", json!("/etc/x")), "job.standard_output"),
        (json!({"job": {}}), "script"),
        (json!({"job": {}, "script": "true", "name": "n"}), "name"),
        (script("#SBATCH --nodes=2\ntrue"), "script"),
        (script("#SBATCH --time=soon\ntrue"), "script"),
        (script("#SBATCH -c 5\ntrue"), "script"),
        (json!([]), "body"),
        (json!("true"), "body"),
        (json!(null), "body"),
    ];
    for (body, field) in &table {
        let shown: String = body.to_string().chars().take(200).collect();
        let answer = server.post("/api/v1/jobs", body);
        assert_eq!(answer.status, 422, "{shown}: {}", answer.text());
        let problem = problem(answer, 422);
        let named = fields(&problem);
        assert!(named.iter().any(|f| f == field), "{shown} named {named:?}, not {field}");
    }
    nothing_is_stored(&server);
}

fn a_bad_batch_names_job_and_field_and_stores_nothing() {
    let server = Server::start();
    let good = json!({"script": "true"});
    let table = [
        (json!({"jobs": [good, {"script": "true", "cpus": 0}]}), "jobs[1].cpus"),
        (json!({"jobs": [good, {"script": "true", "cpus": 5}]}), "jobs[1].cpus"),
        (json!({"jobs": [good, {"script": "true", "cpus": "x"}]}), "jobs[1].cpus"),
        (json!({"jobs": [good, good, {"script": ""}]}), "jobs[2].script"),
        (json!({"jobs": [{"script": "true", "nope": 1}, good]}), "jobs[0].nope"),
        (
            json!({"jobs": [good, {"script": "x", "job": {"cpus_per_task": 9}}]}),
            "jobs[1].job.cpus_per_task",
        ),
        (
            json!({"jobs": [good, {"script": "x", "environment": {"A=": ""}}]}),
            "jobs[1].environment.A=",
        ),
        (json!({"jobs": [good, {"script": "#SBATCH -N 3\nx"}]}), "jobs[1].script"),
        (json!({"jobs": [good, 5]}), "jobs[1]"),
        (json!({"jobs": []}), "jobs"),
        (json!({"jobs": good}), "jobs"),
        (json!({}), "jobs"),
        (json!({"jobs": [good], "more": 1}), "more"),
        (json!([good]), "body"),
        (json!({"jobs": vec![good.clone(); 10_001]}), "jobs"),
    ];
    for (body, field) in &table {
        let shown: String = body.to_string().chars().take(200).collect();
        let answer = server.post("/api/v1/jobs/batch", body);
        assert_eq!(answer.status, 422, "{shown}: {}", answer.text());
        let named = fields(&problem(answer, 422));
        assert!(named.iter().any(|f| f == field), "{shown} named {named:?}, not {field}");
    }
    nothing_is_stored(&server);
}

fn what_is_found_out_late_is_named_as_the_body_names_it() {
    let server = Server::start();
    let past = json!({"script": "true", "deadline": "2001-01-01T00:00:00Z"});
    let nobody = json!({"script": "true", "dependency": "afterok:99"});
    let line = json!({"script": "#!/bin/sh\n#SBATCH --dependency=afterok:98\ntrue"});
    let nested = |inner: &Value| json!({"script": "true", "job": inner});
    let good = json!({"script": "true"});
    let batch = |jobs: &[&Value]| {
        fields(&problem(server.post("/api/v1/jobs/batch", &json!({ "jobs": jobs })), 422))
    };
    assert_eq!(batch(&[&good, &past, &past]), ["jobs[1].deadline", "jobs[2].deadline"]);
    assert_eq!(batch(&[&nobody, &good, &line]), ["jobs[0].dependency", "jobs[2].script"]);
    let one = |body: &Value| fields(&problem(server.post("/api/v1/jobs", body), 422));
    assert_eq!(one(&past), ["deadline"]);
    let inner = json!({"deadline": "2001-01-01T00:00:00Z"});
    assert_eq!(one(&nested(&inner)), ["job.deadline"]);
    assert_eq!(one(&nested(&json!({"dependency": "afterok:97"}))), ["job.dependency"]);
    nothing_is_stored(&server);
}

fn all_faults_of_a_body_are_named_at_once() {
    let server = Server::start();
    let body = json!({"script": "true", "cpus": "x", "memory": "x", "nope": 1});
    let problem = problem(server.post("/api/v1/jobs", &body), 422);
    assert_eq!(fields(&problem).len(), 3, "{problem}");
    nothing_is_stored(&server);
}

fn what_is_not_json_is_a_bad_request() {
    let server = Server::start();
    let json = [("content-type", "application/json")];
    for route in ["/api/v1/jobs", "/api/v1/jobs/batch", "/jobs/submit"] {
        for body in ["{\"script\":", "script=true", "\u{1}", " "] {
            problem(server.send("POST", route, &json, body.as_bytes()), 400);
        }
        problem(server.send("POST", route, &json, b"{\"script\":\"\xFF\"}"), 400);
        problem(server.send("POST", route, &[], b""), 400);
    }
    nothing_is_stored(&server);
}

fn a_longer_limit_than_the_maximum_is_refused() {
    let server = Server::with(&["--cpus", "4", "--max-time-limit", "1h"]);
    for limit in [json!(61), json!("UNLIMITED"), json!("1:00:01")] {
        let answer = server.post("/api/v1/jobs", &json!({"script": "true", "time_limit": limit}));
        assert_eq!(fields(&problem(answer, 422)), ["time_limit"], "{limit}");
    }
    nothing_is_stored(&server);
}

fn a_bad_parameter_of_a_query_is_named() {
    let server = Server::start();
    for (query, field) in [
        ("state=ASLEEP", "state"),
        ("limit=0", "limit"),
        ("exit_code=3", "exit_code"),
        ("ids=1,x", "ids"),
        ("ended_since=soon", "ended_since"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        ("since=yesterday", "since"),
        ("until=1", "until"),
        ("label=k", "label"),
        ("sort=size", "sort"),
        ("nope=1", "nope"),
    ] {
        let answer = server.get(&format!("/api/v1/jobs?{query}"));
        assert_eq!(fields(&problem(answer, 400)), [field], "{query}");
    }
    for query in ["limit=0", "limit=1001", "job_id=x", "released=maybe", "nope=1"] {
        problem(server.get(&format!("/api/v1/allocations?{query}")), 400);
    }
}
