//! *Purpose*: jobs are listed, waited for and told about.
//!
//! *Owns*: list filters and pages, `wait`, `script`, events of one job, events of all.
//!
//! *Promises*: the stream of all events is compared with the table of events, row by row.
//!
//! *Not here*: output (`streams`), cancelling (`cancel`).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{Gate, Stream, fields, is_job, is_time, keys, problem};

cases! {
    events_are_followed_by_job_state_and_label => ["GET /api/v1/events"],
    each_filter_of_the_list_picks_its_jobs => ["GET /api/v1/jobs"],
    pages_of_the_list_hold_every_job_once => ["GET /api/v1/jobs"],
    the_longest_page_goes_on_too => ["GET /api/v1/jobs"],
    a_page_is_not_disturbed_by_new_jobs => ["GET /api/v1/jobs"],
    a_wait_ends_with_its_job => ["GET /api/v1/jobs/{id}/wait"],
    a_wait_whose_time_is_over_answers_the_state => ["GET /api/v1/jobs/{id}/wait"],
    a_script_is_given_back_byte_for_byte => ["GET /api/v1/jobs/{id}/script"],
    events_of_a_job_are_its_whole_life => ["GET /api/v1/jobs/{id}/events"],
    the_stream_of_events_has_no_gap_and_no_double => ["GET /api/v1/events"],
    a_pending_job_says_why_it_waits => ["GET /api/v1/jobs/{id}"],
}

fn ids(list: &Value) -> Vec<i64> {
    list["jobs"].as_array().unwrap().iter().map(|j| j["id"].as_i64().unwrap()).collect()
}

fn each_filter_of_the_list_picks_its_jobs() {
    let server = Server::start();
    let submit = |body: Value| {
        let id = server.submit(&body);
        server.ended(id);
    };
    submit(
        json!({"script": "true", "name": "a", "account": "lab", "labels": {"k.x": "1", "l": "2"}}),
    );
    submit(json!({"script": "false", "name": "b", "account": "lab"}));
    submit(json!({"script": "true", "name": "a b&c", "labels": {"k.x": "2"}}));
    let id = server.submit(&json!({"script": "sleep 60", "labels": {"q\"q": "v:w"}}));
    server.started(id);
    let since = server.job(3)["submit_time"].as_str().unwrap().to_owned();
    let table = [
        (String::new(), vec![4, 3, 2, 1]),
        ("sort=id".to_owned(), vec![1, 2, 3, 4]),
        ("state=FAILED".to_owned(), vec![2]),
        ("state=FAILED&state=RUNNING".to_owned(), vec![4, 2]),
        ("state=failed,completed".to_owned(), vec![3, 2, 1]),
        ("account=lab".to_owned(), vec![2, 1]),
        ("account=".to_owned(), vec![4, 3]),
        ("name=a".to_owned(), vec![1]),
        ("name=a%20b%26c".to_owned(), vec![3]),
        ("label=k.x:1".to_owned(), vec![1]),
        ("label=k.x:1&label=l:2".to_owned(), vec![1]),
        ("label=k.x:1&label=l:3".to_owned(), vec![]),
        ("label=k.x:3".to_owned(), vec![]),
        ("label=q%22q:v:w".to_owned(), vec![4]),
        (format!("since={since}"), vec![4, 3]),
        (format!("until={since}"), vec![2, 1]),
        (format!("since={since}&state=COMPLETED"), vec![3]),
        ("limit=2".to_owned(), vec![4, 3]),
        ("limit=1000".to_owned(), vec![4, 3, 2, 1]),
    ];
    for (query, wanted) in table {
        let list = server.get(&format!("/api/v1/jobs?{query}")).expect(200).json();
        keys(&list, "jobs next_cursor");
        assert_eq!(ids(&list), wanted, "{query}");
        list["jobs"].as_array().unwrap().iter().for_each(is_job);
    }
}

/// Walks all pages of a query.
fn walk(server: &Server, query: &str) -> (Vec<i64>, usize) {
    let (mut all, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let list = server.get(&format!("/api/v1/jobs?{query}{cursor}")).expect(200).json();
        pages += 1;
        all.extend(ids(&list));
        match list["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (all, pages),
        }
    }
}

fn with_jobs(count: usize) -> (Server, Gate) {
    let server = Server::with(&["--cpus", "1"]);
    let gate = Gate::new(&server);
    gate.blocker(&server);
    let jobs: Vec<Value> =
        (1..count).map(|n| json!({"script": "true", "account": (["x", "y"][n % 2])})).collect();
    server.post("/api/v1/jobs/batch", &json!({ "jobs": jobs })).expect(201);
    (server, gate)
}

fn pages_of_the_list_hold_every_job_once() {
    let (server, _gate) = with_jobs(25);
    let newest: Vec<i64> = (1..=25).rev().collect();
    assert_eq!(walk(&server, "limit=10"), (newest.clone(), 3));
    assert_eq!(walk(&server, "limit=5"), (newest.clone(), 5), "no empty page at the end");
    assert_eq!(walk(&server, "limit=25"), (newest, 1));
    assert_eq!(walk(&server, "limit=7&sort=id"), ((1..=25).collect(), 4));
    assert_eq!(
        walk(&server, "limit=4&account=y").0,
        (2..=25).rev().filter(|n| n % 2 == 0).collect::<Vec<_>>()
    );
}

fn the_longest_page_goes_on_too() {
    let (server, _gate) = with_jobs(1_001);
    assert_eq!(walk(&server, "limit=1000"), ((1..=1_001).rev().collect(), 2));
}

fn a_page_is_not_disturbed_by_new_jobs() {
    let (server, _gate) = with_jobs(10);
    let first = server.get("/api/v1/jobs?limit=4").json();
    server.run("true");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = server.get(&format!("/api/v1/jobs?limit=4&cursor={cursor}")).json();
    assert_eq!((ids(&first), ids(&second)), (vec![10, 9, 8, 7], vec![6, 5, 4, 3]));
}

fn a_wait_ends_with_its_job() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let id = server.run(&format!("{}; exit 9", gate.wait()));
    server.started(id);
    let asked = Instant::now();
    let job = std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            server.get(&format!("/api/v1/jobs/{id}/wait?timeout_s=50")).expect(200).json()
        });
        // Something else changes meanwhile and must not end the wait.
        server.ended(server.run("true"));
        assert!(!waits.is_finished());
        gate.open();
        waits.join().unwrap()
    });
    assert!(asked.elapsed() < Duration::from_secs(40));
    is_job(&job);
    assert_eq!((job["state"].as_str(), job["exit_code"].as_str()), (Some("FAILED"), Some("9:0")));
    let again = server.get(&format!("/api/v1/jobs/{id}/wait")).expect(200).json();
    assert_eq!(again["state"], "FAILED", "an ended job is answered at once");
}

fn a_wait_whose_time_is_over_answers_the_state() {
    let server = Server::start();
    let id = server.run("sleep 600");
    server.started(id);
    for seconds in [0, 1] {
        let asked = Instant::now();
        let job =
            server.get(&format!("/api/v1/jobs/{id}/wait?timeout_s={seconds}")).expect(200).json();
        is_job(&job);
        assert_eq!(job["state"], "RUNNING");
        assert!(asked.elapsed() >= Duration::from_secs(seconds));
    }
    problem(server.get("/api/v1/jobs/77/wait?timeout_s=1"), 404);
    problem(server.get(&format!("/api/v1/jobs/{id}/wait?timeout_s=-1")), 400);
}

fn a_script_is_given_back_byte_for_byte() {
    let server = Server::start();
    let script = "#!/bin/bash\r\necho \"é€😀\"\t\n\n# no newline at the end";
    let id = server.run(script);
    let answer = server.get(&format!("/api/v1/jobs/{id}/script")).expect(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.text(), script);
    problem(server.get("/api/v1/jobs/77/script"), 404);
}

fn events_of_a_job_are_its_whole_life() {
    let server = Server::start();
    let id = server.run("exit 1");
    server.ended(id);
    let events = server.get(&format!("/api/v1/jobs/{id}/events")).expect(200).json();
    let events = events.as_array().unwrap();
    let path: Vec<(Option<&str>, &str)> =
        events.iter().map(|e| (e["from"].as_str(), e["to"].as_str().unwrap())).collect();
    assert_eq!(path.first(), Some(&(None, "PENDING")), "{events:?}");
    assert_eq!(path.last().map(|p| p.1), Some("FAILED"), "{events:?}");
    assert!(
        path.windows(2).all(|w| w[1].0 == Some(w[0].1)),
        "each begins where the last ended: {path:?}"
    );
    for event in events {
        is_time(&event["time"]);
        assert_eq!(event["job_id"], id);
        for word in ["cause", "principal"] {
            assert!(event[word].as_str().is_some_and(|w| !w.is_empty()), "{word}: {event}");
        }
    }
    problem(server.get("/api/v1/jobs/77/events"), 404);
}

fn the_stream_of_events_has_no_gap_and_no_double() {
    let server = Server::start();
    for _ in 0..3 {
        server.ended(server.run("true"));
    }
    let mut seen: Vec<(i64, Value)> = Vec::new();
    let take = |stream: &mut Stream, seen: &mut Vec<(i64, Value)>, until_job: i64| loop {
        let sent = stream.sent().unwrap();
        let data: Value = serde_json::from_str(&sent.data).unwrap();
        assert_eq!(data["id"], sent.id);
        seen.push((sent.id, data.clone()));
        if data["job_id"] == until_job && data["to"] == "COMPLETED" {
            return;
        }
    };
    // History first, then live on the same stream, then again behind the last id.
    let mut stream = Stream::events(&server, "/api/v1/events", Some(0));
    take(&mut stream, &mut seen, 2);
    drop(stream);
    let last = seen.last().unwrap().0;
    let mut stream = Stream::events(&server, "/api/v1/events", Some(last));
    let more: Vec<i64> = (0..8).map(|_| server.run("true")).collect();
    for id in &more {
        server.ended(*id);
    }
    let live = server.run("true");
    take(&mut stream, &mut seen, live);
    let rows =
        server.sql("SELECT id || ' ' || job_id || ' ' || to_state AS line FROM events ORDER BY id");
    let text: Vec<String> = seen
        .iter()
        .map(|(id, e)| format!("{id} {} {}", e["job_id"], e["to"].as_str().unwrap()))
        .collect();
    assert_eq!(text.join("\n"), rows);
    // Without an id only what comes now is sent.
    let mut fresh = Stream::events(&server, "/api/v1/events", None);
    let id = server.run("true");
    let first = fresh.sent().unwrap();
    let data: Value = serde_json::from_str(&first.data).unwrap();
    assert_eq!((&data["job_id"], &data["to"]), (&json!(id), &json!("PENDING")));
    let last = fresh.sent().unwrap().id.to_string() + "9";
    for never in ["x", "-1", &last, "99999999999999999999"] {
        problem(server.send("GET", "/api/v1/events", &[("last-event-id", never)], b""), 400);
    }
}

fn events_are_followed_by_job_state_and_label() {
    let server = Server::start();
    let label = |value: &str| json!({"script": "true", "labels": {"run": value, "all": "y"}});
    let (a, b) = (server.submit(&label("a")), server.submit(&label("b")));
    let array = server.submit(&json!({"script": "true", "array": "0-1"}));
    for id in [a, b, array] {
        server.ended(id);
    }
    until("the tasks", || match server.get(&format!("/api/v1/jobs/{array}/array")).json() {
        all if all["over"] == true => Ok(()),
        all => Err(all.to_string()),
    });
    let told = |query: &str, count: usize| -> Vec<(i64, String)> {
        let mut stream = Stream::events(&server, &format!("/api/v1/events?{query}"), Some(0));
        let mut all = Vec::new();
        while all.len() < count {
            let event: Value = serde_json::from_str(&stream.sent().unwrap().data).unwrap();
            // A job that runs for longer than an instant is told of twice as RUNNING.
            if event["from"] != event["to"] {
                let to = event["to"].as_str().unwrap().to_owned();
                all.push((event["job_id"].as_i64().unwrap(), to));
            }
        }
        all
    };
    let run = |id| ["PENDING", "RUNNING", "COMPLETED"].map(|to| (id, to.to_owned())).to_vec();
    assert_eq!(told(&format!("job={b}"), 3), run(b));
    assert_eq!(told("label=run:a", 3), run(a));
    assert_eq!(told("label=all:y&label=run:b", 3), run(b));
    let ended = |id| (id, "COMPLETED".to_owned());
    let both = told(&format!("job={a}&job={b}&state=COMPLETED"), 2);
    assert!(both.contains(&ended(a)) && both.contains(&ended(b)), "{both:?}");
    let tasks = told(&format!("job={array}&state=COMPLETED,FAILED"), 2);
    assert!(tasks.iter().all(|(id, _)| ![a, b].contains(id)), "{tasks:?}");
    // What comes later is told as well, and what is not asked for is passed over.
    let mut stream = Stream::events(&server, "/api/v1/events?label=run:late&state=FAILED", None);
    server.ended(server.run("exit 1"));
    let late = json!({"script": "exit 1", "labels": {"run": "late"}});
    let late = server.submit(&late);
    let event: Value = serde_json::from_str(&stream.sent().unwrap().data).unwrap();
    assert_eq!((&event["job_id"], &event["to"]), (&json!(late), &json!("FAILED")));
    let many = format!("/api/v1/events?{}", "job=1&".repeat(101));
    for (query, field) in [
        ("/api/v1/events?job=x", "job"),
        ("/api/v1/events?state=ASLEEP", "state"),
        ("/api/v1/events?label=k", "label"),
        (many.trim_end_matches('&'), "job"),
    ] {
        assert_eq!(fields(&problem(server.get(query), 400)), [field], "{query}");
    }
}

fn a_pending_job_says_why_it_waits() {
    let server = Server::start();
    let gate = Gate::new(&server);
    gate.blocker(&server);
    let next = server.submit(&json!({"script": "true", "cpus": 4}));
    let behind = server.submit(&json!({"script": "true", "cpus": 4}));
    for (id, reason) in [(next, "Resources"), (behind, "Priority")] {
        let job = server.job(id);
        assert_eq!(job["state"], "PENDING", "{job}");
        assert_eq!(job["state_reason"], reason, "{job}");
        assert!(job["state_detail"].as_str().is_some_and(|d| d.contains(' ')), "{job}");
        assert!(job["allocation"].is_null() && job["start_time"].is_null(), "{job}");
    }
    gate.open();
    for id in [next, behind] {
        let job = server.ended(id);
        assert!(job["state_reason"].is_null(), "{job}");
    }
}
