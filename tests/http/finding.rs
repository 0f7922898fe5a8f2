//! *Purpose*: jobs found as people ask for them: in the order of the line, by their ends, by words.
//!
//! *Owns*: `sort=position`, `sort=end`, `q`, several accounts and users, expected ends.
//!
//! *Promises*: what is compared is what each job itself shows.
//!
//! *Not here*: every filter of random jobs (`store::body::tests::pages`), the other orders (`orders`).

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{Gate, fields, is_time, problem};

cases! {
    the_line_is_listed_in_the_order_of_its_places => ["GET /api/v1/jobs"],
    jobs_that_run_are_listed_by_when_they_end => ["GET /api/v1/jobs", "DELETE /api/v1/jobs/{id}"],
    jobs_are_found_by_words => ["GET /api/v1/jobs"],
    an_array_is_one_row_of_a_folded_list => ["GET /api/v1/jobs"],
}

fn listed(server: &Server, query: &str) -> Vec<Value> {
    let list = server.get(&format!("/api/v1/jobs?{query}")).expect(200).json();
    list["jobs"].as_array().unwrap().clone()
}

fn ids(server: &Server, query: &str) -> Vec<i64> {
    listed(server, query).iter().map(|job| job["id"].as_i64().unwrap()).collect()
}

fn the_line_is_listed_in_the_order_of_its_places() {
    let server = Server::with(&["--cpus", "2", "--policy", "fcfs+easy"]);
    let gate = Gate::new(&server);
    gate.blocker(&server);
    let waits = |body: Value| server.submit(&body);
    let last = waits(json!({"script": "true", "name": "last"}));
    let first = waits(json!({"script": "true", "priority": 0, "account": "a"}));
    server.post(&format!("/api/v1/jobs/{first}/hold"), &json!({})).expect(200);
    let array = waits(json!({"script": "true", "array": "0-4%3"}));
    let behind = waits(json!({"script": "true", "account": "a"}));
    let all = ids(&server, "state=PENDING&sort=position");
    assert_eq!(all, [last, array, behind], "who is held has no place");
    let places: Vec<Value> = listed(&server, "state=PENDING&sort=position")
        .iter()
        .map(|j| j["position"].clone())
        .collect();
    assert_eq!(
        json!(places),
        json!([1, 2, 4]),
        "an array has a place for each task that may start"
    );
    server.post(&format!("/api/v1/jobs/{first}/release"), &json!({})).expect(200);
    assert_eq!(ids(&server, "state=PENDING&sort=position&account=a"), [first, behind]);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let query = format!("state=PENDING&sort=position&limit=1{cursor}");
        let page = server.get(&format!("/api/v1/jobs?{query}")).expect(200).json();
        seen.push(page["jobs"][0]["id"].as_i64().unwrap());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, [last, first, array, behind]);
    for query in
        ["sort=position", "sort=position&state=RUNNING", "sort=position&state=PENDING,FAILED"]
    {
        let refused = problem(server.get(&format!("/api/v1/jobs?{query}")), 400);
        assert_eq!(fields(&refused), ["state"], "{query}");
    }
    for cursor in ["x", "end~1~2", "position~x", "17"] {
        let path = format!("/api/v1/jobs?sort=position&state=PENDING&cursor={cursor}");
        assert_eq!(fields(&problem(server.get(&path), 400)), ["cursor"], "{cursor}");
    }
    let foreign = server.get("/api/v1/jobs?cursor=position~1");
    assert_eq!(fields(&problem(foreign, 400)), ["cursor"]);
    gate.open();
    server.ended(behind);
}

fn jobs_that_run_are_listed_by_when_they_end() {
    let server = Server::with(&["--cpus", "4"]);
    let gate = Gate::new(&server);
    let run = |limit: Value| {
        let id = server.submit(&json!({"script": gate.wait(), "time_limit": limit, "cpus": 1}));
        server.started(id);
        id
    };
    let (long, short) = (run(json!("2h")), run(json!("10m")));
    let endless =
        server.submit(&json!({"script": format!("trap '' TERM; {}", gate.wait()), "cpus": 1}));
    server.started(endless);
    let query = "state=RUNNING,COMPLETING&sort=end";
    assert_eq!(ids(&server, query), [short, long, endless]);
    let job = server.job(short);
    is_time(&job["expected_end_time"]);
    let end = |job: &Value, field: &str| job[field].as_str().unwrap().to_owned();
    assert!(end(&job, "expected_end_time") > end(&job, "start_time"));
    assert_eq!(server.job(endless)["expected_end_time"], Value::Null, "it has no limit");
    assert_eq!(job["kill_time"], Value::Null, "nobody ends it");
    let path = format!("/api/v1/jobs/{endless}");
    let json = [("Content-Type", "application/json")];
    server.send("PATCH", &path, &json, br#"{"time_limit": "1h"}"#).expect(200);
    assert_eq!(ids(&server, query), [short, endless, long]);
    server.send("DELETE", &path, &[], b"").expect(202);
    let completing = until("it to be told", || {
        let job = server.job(endless);
        if job["state"] == "COMPLETING" { Ok(job) } else { Err(job.to_string()) }
    });
    is_time(&completing["kill_time"]);
    let shown = listed(&server, query);
    let shown = shown.iter().find(|job| job["id"] == endless).unwrap();
    assert_eq!(shown["kill_time"], completing["kill_time"], "in lists as by itself");
    for query in ["sort=end", "sort=-end&state=PENDING", "sort=end&state=RUNNING,FAILED"] {
        let refused = problem(server.get(&format!("/api/v1/jobs?{query}")), 400);
        assert_eq!(fields(&refused), ["state"], "{query}");
    }
    gate.open();
    for id in [long, short] {
        let job = server.ended(id);
        assert_eq!((&job["expected_end_time"], &job["kill_time"]), (&Value::Null, &Value::Null));
    }
    server.ended(endless);
}

fn jobs_are_found_by_words() {
    let server = Server::with(&["--cpus", "1"]);
    let held = |name: &str, account: &str, user: &str| {
        let labels = json!({"sweep": "lr"});
        server.submit(&json!({"script": "true", "held": true, "name": name, "account": account,
            "user": user, "labels": labels}))
    };
    let vit = held("vit-large", "chem", "mara");
    let huge = held("vit-huge", "bio", "jonas");
    let usual = held("job", "chem", "lena");
    let array = server.submit(&json!({"script": "true", "held": true, "array": "0-9"}));
    let by = |q: &str| ids(&server, &format!("sort=id&q={q}"));
    assert_eq!(by("vit"), [vit, huge]);
    assert_eq!(by("vit-h"), [huge]);
    assert_eq!(by("jo"), [usual, array], "the usual name stands in no index");
    assert_eq!(by("VIT"), [0_i64; 0]);
    assert_eq!(by(&huge.to_string()), [huge]);
    assert_eq!(by(&format!("{array}_4")), [array], "a task that is no job yet");
    assert_eq!(by(&format!("{array}_10")), [0_i64; 0]);
    assert_eq!(by("user:mara%20user:jonas"), [vit, huge]);
    assert_eq!(by("account:chem%20vit"), [vit]);
    assert_eq!(by("label:sweep=lr%20state:pending%20user:lena"), [usual]);
    assert_eq!(ids(&server, "sort=id&account=chem&account=bio"), [vit, huge, usual]);
    assert_eq!(ids(&server, "sort=name&user=mara&user=jonas"), [huge, vit]);
    for q in ["colour:red", "label:x", "state:asleep", "a%20b", "99999999999999999999"] {
        let refused = problem(server.get(&format!("/api/v1/jobs?q={q}")), 400);
        assert_eq!(fields(&refused), ["q"], "{q}");
    }
    let many = "&user=u".repeat(33);
    let refused = problem(server.get(&format!("/api/v1/jobs?limit=1{many}")), 400);
    assert_eq!(fields(&refused), ["user"]);
}

fn an_array_is_one_row_of_a_folded_list() {
    let server = Server::with(&["--cpus", "2"]);
    let gate = Gate::new(&server);
    let before = server.run("true");
    server.ended(before);
    let body = json!({"script": gate.wait(), "cpus": 1, "array": "0-9"});
    let array = server.submit(&body);
    let failed = "[ $SLURM_ARRAY_TASK_ID = 0 ] && exit 1; exit 0";
    until("two tasks to run", || {
        let run = ids(&server, "state=RUNNING").len();
        if run == 2 { Ok(()) } else { Err(run.to_string()) }
    });
    let other = server.submit(&json!({"script": failed, "cpus": 1, "array": "0-1"}));
    let behind = server.submit(&json!({"script": "true", "held": true}));
    let fold = |query: &str| ids(&server, &format!("fold=arrays{query}"));
    assert_eq!(fold(""), [behind, other, array, before]);
    assert_eq!(fold("&sort=id"), [before, array, other, behind]);
    assert_eq!(fold("&state=RUNNING"), [array], "a task of it runs, which has another number");
    let row = &listed(&server, "fold=arrays&state=RUNNING")[0];
    let counts = &row["array"];
    assert_eq!(
        (&counts["total"], &counts["running"], &counts["pending"], &counts["failed"]),
        (&json!(10), &json!(2), &json!(8), &json!(0))
    );
    assert_eq!(listed(&server, "state=PENDING&limit=1")[0]["array"], Value::Null);
    for size in 1..4 {
        for sort in ["id", "-id"] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let path = format!("/api/v1/jobs?fold=arrays&sort={sort}&limit={size}{cursor}");
                let page = server.get(&path).expect(200).json();
                let jobs = page["jobs"].as_array().unwrap();
                seen.extend(jobs.iter().map(|job| job["id"].as_i64().unwrap()));
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(seen, fold(&format!("&sort={sort}")), "{size} {sort}");
        }
    }
    let line = &listed(&server, "fold=arrays&sort=position&state=PENDING")[0];
    assert_eq!((&line["id"], &line["array"]["pending"]), (&json!(array), &json!(8)));
    for (query, field) in [("fold=all", "fold"), ("fold=arrays&sort=name", "fold")] {
        let refused = problem(server.get(&format!("/api/v1/jobs?{query}")), 400);
        assert_eq!(fields(&refused), [field], "{query}");
    }
    gate.open();
    server.ended(array);
    until("all tasks to end", || {
        let left = fold("&state=PENDING,RUNNING,COMPLETING");
        if left == [behind] { Ok(()) } else { Err(format!("{left:?}")) }
    });
    assert_eq!(fold("&state=FAILED"), [other]);
    assert_eq!(fold("&state=COMPLETED"), [other, array, before]);
}
