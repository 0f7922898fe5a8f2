//! *Purpose*: the list of jobs in order of a field.
//!
//! *Owns*: `sort` and its cursors, as a client meets them.
//!
//! *Promises*: the pages are followed as they are given, without a look into a cursor.
//!
//! *Not here*: every order of random jobs (`store::body::tests::orders`), the order of ids (`jobs`).

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{Gate, fields, problem};

cases! {
    pages_in_order_of_a_field_hold_every_job_once => ["GET /api/v1/jobs"],
    a_cursor_of_another_order_and_an_unknown_order_are_refused => ["GET /api/v1/jobs"],
}

/// The values of a field, page by page.
fn pages(server: &Server, query: &str, field: &str) -> Vec<Vec<Value>> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let list = server.get(&format!("/api/v1/jobs?{query}{cursor}")).expect(200).json();
        let jobs = list["jobs"].as_array().unwrap();
        all.push(jobs.iter().map(|job| job[field].clone()).collect());
        match list["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// A job that runs, and five that wait: the names and time limits of those that wait are not in the
/// order of their ids, two are alike, one has no limit.
fn filled() -> (Server, Gate) {
    let server = Server::with(&["--cpus", "1"]);
    let gate = Gate::new(&server);
    gate.blocker(&server);
    for (name, limit) in [("ö&~", 30), ("a", 10), ("job", 20), ("a", 10)] {
        server.submit(&json!({"script": "true", "name": name, "time_limit": format!("{limit}m")}));
    }
    server.submit(&json!({"script": "true", "name": "z"}));
    (server, gate)
}

fn pages_in_order_of_a_field_hold_every_job_once() {
    let (server, gate) = filled();
    let by_limit = |sort: &str| pages(&server, &format!("limit=2&sort={sort}"), "id");
    assert_eq!(by_limit("time_limit_s"), [[3, 5], [4, 2], [1, 6]]);
    assert_eq!(by_limit("-time_limit_s"), [[2, 4], [5, 3], [6, 1]]);
    let names = pages(&server, "state=PENDING&limit=2&sort=-name", "name");
    assert_eq!(names, [vec!["ö&~", "z"], vec!["job", "a"], vec!["a"]]);
    assert_eq!(pages(&server, "limit=4&sort=state", "id"), [vec![2, 3, 4, 5], vec![6, 1]]);
    assert_eq!(pages(&server, "limit=4&sort=-start_time", "id"), [vec![1, 6, 5, 4], vec![3, 2]]);
    gate.open();
    until("all have ended", || {
        let left = server.get("/api/v1/jobs?state=PENDING,RUNNING,COMPLETING").json();
        match left["jobs"].as_array().unwrap().len() {
            0 => Ok(()),
            some => Err(format!("{some} have not")),
        }
    });
    let ends = pages(&server, "limit=2&sort=-end_time", "end_time").concat();
    let mut sorted: Vec<&str> = ends.iter().map(|end| end.as_str().unwrap()).collect();
    sorted.sort_unstable();
    sorted.reverse();
    assert_eq!((ends.len(), json!(ends)), (6, json!(sorted)));
}

fn a_cursor_of_another_order_and_an_unknown_order_are_refused() {
    let (server, _gate) = filled();
    let next = |sort: &str| {
        let list = server.get(&format!("/api/v1/jobs?limit=2&sort={sort}")).expect(200).json();
        list["next_cursor"].as_str().unwrap().to_owned()
    };
    for (given, asked) in [
        ("name", "-name"),
        ("name", "user"),
        ("name", "id"),
        ("-id", "name"),
        ("priority", "cpus"),
        ("state", "-end_time"),
    ] {
        let path = format!("/api/v1/jobs?cursor={}&sort={asked}", next(given));
        let refused = problem(server.get(&path), 400);
        assert_eq!(fields(&refused), ["cursor"], "{path}");
        let said = refused["detail"].as_str().unwrap();
        // By id a cursor is the same either way.
        assert!(said.contains(&format!("of sort={}, ", given.replace("-id", "id"))), "{said}");
    }
    let document = server.get("/openapi.json").expect(200).json();
    let parameters = document["paths"]["/api/v1/jobs"]["get"]["parameters"].as_array().unwrap();
    let sort = parameters.iter().find(|one| one["name"] == "sort").unwrap();
    let pattern = sort["schema"]["pattern"].as_str().unwrap();
    let keys = pattern.strip_prefix("^(position|-?(").unwrap().strip_suffix("))$").unwrap();
    for unknown in ["size", "-", "--id", "Name", "-position"] {
        let refused = problem(server.get(&format!("/api/v1/jobs?sort={unknown}")), 400);
        assert_eq!(fields(&refused), ["sort"], "{unknown}");
        let said = refused["detail"].as_str().unwrap();
        assert!(said.contains(&keys.replace('|', ", ")), "{said}\n{keys}");
    }
    for key in keys.split('|').filter(|key| *key != "end") {
        for sort in [key.to_owned(), format!("-{key}")] {
            assert_eq!(pages(&server, &format!("sort={sort}"), "id").concat().len(), 6, "{sort}");
        }
    }
}
