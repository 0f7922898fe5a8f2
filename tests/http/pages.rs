//! *Purpose*: pages of lists whose bodies are bare.
//!
//! *Owns*: `limit`, `cursor` and `Link` of every such list.
//!
//! *Promises*: the pages are the list, each entry once.
//!
//! *Not here*: the list of jobs (`jobs`).

use serde_json::{Value, json};

use crate::common::Server;
use crate::help::{fields, problem};

cases! {
    every_bare_list_has_pages_which_are_the_list => ["GET /api/v1/allocations",
        "GET /api/v1/partitions", "GET /api/v1/maintenance", "GET /api/v1/jobs/{id}/events",
        "GET /api/v1/jobs/{id}/attempts"],
    what_is_no_page_is_refused => ["GET /api/v1/allocations", "GET /api/v1/partitions"],
}

/// A server with three of everything.
fn filled() -> (Server, i64) {
    let mut server = Server::unstarted(&["--cpus", "2"]);
    let settings = server.dir.path().join("parts.toml");
    let part = |name: &str| format!("[[partition]]\nname = \"{name}\"\n");
    std::fs::write(&settings, ["a", "b c", "ö>"].map(part).concat()).unwrap();
    server.args.extend(["--config".to_owned(), settings.display().to_string()]);
    server.up();
    let retry = json!({"max": 2, "on": ["failed"], "delay": 0});
    let id = server.submit(&json!({"script": "exit 1", "retry": retry}));
    server.reaches(id, "FAILED");
    for year in [2100, 2101, 2102] {
        let times = [format!("{year}-01-01T00:00:00Z"), format!("{year}-02-01T00:00:00Z")];
        let window = json!({"start_time": times[0], "end_time": times[1], "reason": "r"});
        server.post("/api/v1/maintenance", &window).expect(201);
    }
    (server, id)
}

fn lists(id: i64) -> [String; 5] {
    let of_job = |list: &str| format!("/api/v1/jobs/{id}/{list}");
    let whole = |list: &str| format!("/api/v1/{list}");
    [
        whole("allocations"),
        whole("partitions"),
        whole("maintenance"),
        of_job("events"),
        of_job("attempts"),
    ]
}

fn every_bare_list_has_pages_which_are_the_list() {
    let (server, id) = filled();
    for list in lists(id) {
        let whole = server.get(&list).expect(200);
        assert_eq!(whole.header("link"), None, "{list}");
        let whole = whole.json();
        let whole = whole.as_array().unwrap();
        assert!(whole.len() >= 3, "{list}: {whole:?}");
        for size in [1, 2] {
            let mut next = Some(format!("{list}?limit={size}"));
            let mut found: Vec<Value> = Vec::new();
            while let Some(path) = next {
                let page = server.get(&path).expect(200);
                let link = page.header("link").map(str::to_owned);
                let entries = page.json().as_array().unwrap().clone();
                assert!(entries.len() <= size && found.len() <= whole.len(), "{path}");
                found.extend(entries);
                next = link.map(|link| {
                    let end = link.strip_suffix(">; rel=\"next\"").unwrap();
                    end.strip_prefix('<').unwrap().to_owned()
                });
            }
            assert_eq!(&found, whole, "{list} by {size}");
        }
    }
    let rest = format!("/api/v1/allocations?released=true&job_id={id}&limit=1");
    let link = server.get(&rest).expect(200).header("link").unwrap().to_owned();
    assert!(link.contains("released=true&") && link.contains("limit=1&cursor="), "{link}");
}

fn what_is_no_page_is_refused() {
    let (server, id) = filled();
    for list in lists(id) {
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=-1", "limit"),
            ("cursor=never", "cursor"),
            ("fields=colour", "fields"),
        ] {
            let said = problem(server.get(&format!("{list}?{query}")), 400);
            assert_eq!(fields(&said), [field], "{list}?{query}");
        }
        problem(server.get(&format!("{list}?page=2")), 400);
    }
}
