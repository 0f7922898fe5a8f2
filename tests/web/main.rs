//! *Purpose*: the pages, asked of the real binary as a browser asks.
//!
//! *Owns*: headers, frames, files, the stream, names that are markup.
//!
//! *Promises*: what stands in a page is compared with what the API says.
//!
//! *Not here*: what a browser does with it.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;

use common::{Answer, Server};
use regex::Regex;
use serde_json::{Value, json};

const TOKEN: &str = "a-token-of-this-test";
const HOSTILE: &str = "<b id=x onclick=alert(1)>&\"'";

/// The pages of a server on which this job is.
fn pages(job: i64) -> Vec<String> {
    let of_job = [format!("/jobs/{job}"), format!("/submit?from={job}")];
    ["/", "/jobs", "/submit", "/admin", "/docs"]
        .map(str::to_owned)
        .into_iter()
        .chain(of_job)
        .collect()
}

fn with_token(server: &Server, path: &str) -> Answer {
    let token = format!("Bearer {TOKEN}");
    server.send("GET", path, &[("authorization", &token)], b"")
}

/// The first region of a page's stream, which is told at once.
fn first_region(server: &Server, view: &str, token: Option<&str>) -> String {
    let mut request = server.agent().get(server.at(&format!("/live?view={view}&frame=true")));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let answer = request.call().unwrap();
    assert_eq!(answer.status(), 200);
    let mut html = String::new();
    for line in BufReader::new(answer.into_body().into_reader()).lines() {
        match line.unwrap() {
            line if line.is_empty() && !html.is_empty() => break,
            line => {
                if let Some(data) = line.strip_prefix("data:") {
                    html.push_str(data.strip_prefix(' ').unwrap_or(data));
                    html.push('\n');
                }
            }
        }
    }
    html
}

#[test]
fn every_answer_tells_a_browser_what_it_may_not_do() {
    let server = Server::start();
    let job = server.run("echo '<script>'");
    server.ended(job);
    let api = ["/api/v1/jobs", "/health/live", "/api/v1/nothing"].map(str::to_owned);
    for path in pages(job).into_iter().chain(api).chain(["/login".to_owned()]) {
        let answer = server.get(&path);
        let policy = answer.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("set-cookie"), None, "{path}");
    }
    for part in ["stdout", "stderr", "script"] {
        let answer = server.get(&format!("/api/v1/jobs/{job}/{part}")).expect(200);
        assert_eq!(answer.header("content-security-policy"), Some("sandbox"), "{part}");
    }
}

#[test]
fn a_page_is_whole_without_a_script_and_says_what_the_api_says() {
    let server = Server::with(&["--cpus", "4"]);
    let job = server.submit(&json!({"script": "exit 3", "name": "make-dataset"}));
    let ended = server.ended(job);
    let held = server.submit(&json!({"script": "true", "name": "later", "held": true}));
    let first = server.get("/").expect(200).text();
    for said in ["of 4</small>", "make-dataset", "Failed", "3:0", "JobHeldUser", "later"] {
        assert!(first.contains(said), "{said}: {first}");
    }
    let list = server.get("/jobs?state=PENDING").expect(200).text();
    assert!(list.contains(&format!("href=\"/jobs/{held}\"")), "{list}");
    assert!(!list.contains("make-dataset"), "{list}");
    let one = server.get(&format!("/jobs/{job}")).expect(200).text();
    assert!(one.contains("exit 3") && one.contains(ended["exit_code"].as_str().unwrap()));
    server.get("/jobs/99").expect(404);
    server.get("/jobs?colour=red").expect(400);
    server.get("/?span=3y").expect(400);
}

#[test]
fn the_first_page_tells_of_the_machine_what_its_route_does() {
    let server = Server::with(&["--cpus", "2"]);
    // Loads are looked for while somebody asks, and change.
    let without_loads = |mut resources: Value| {
        for cpu in resources["cpus"].as_array_mut().unwrap() {
            cpu["load"] = Value::Null;
        }
        resources
    };
    let all = server.get("/api/v1/overview").expect(200).json()["resources"].clone();
    let own = server.get("/api/v1/resources").expect(200).json();
    assert_eq!(without_loads(all), without_loads(own.clone()));
    let page = server.get("/").expect(200).text();
    for node in own["nodes"].as_array().unwrap() {
        assert!(page.contains(&format!("<h3>Node {} · CPU", node["node"])), "{page}");
    }
}

#[test]
fn lists_are_paged_and_each_job_comes_once() {
    let server = Server::start();
    let job = json!({"script": "true", "held": true});
    let batch: Vec<_> = (0..120).map(|_| job.clone()).collect();
    server.post("/api/v1/jobs/batch", &json!({"jobs": batch})).expect(201);
    let row = Regex::new("<tr data-key=\"(\\d+)\"").unwrap();
    let older = Regex::new("href=\"(/jobs[^\"]*)\" rel=\"next\"").unwrap();
    let (mut seen, mut at) = (Vec::new(), Some("/jobs".to_owned()));
    while let Some(path) = at {
        let page = server.get(&path).expect(200).text();
        seen.extend(row.captures_iter(&page).map(|found| found[1].parse::<i64>().unwrap()));
        at = older.captures(&page).map(|found| found[1].replace("&#38;", "&"));
    }
    assert_eq!(seen, (1..=120).rev().collect::<Vec<i64>>());
}

#[test]
fn names_are_text_wherever_they_stand() {
    let server = Server::start();
    let body = json!({"script": HOSTILE, "name": HOSTILE, "account": HOSTILE, "held": true,
        "comment": HOSTILE, "labels": {"a": HOSTILE}});
    let job = server.submit(&body);
    for view in pages(job) {
        let page = server.get(&view).expect(200).text();
        let live = first_region(&server, &view, None);
        for html in [page, live] {
            assert!(!html.contains("<b id"), "{view}: {html}");
            assert!(html.contains("&#60;b id=x") || view == "/docs", "{view}: {html}");
        }
    }
}

/// The value of a field of the form.
fn field(html: &str, name: &str) -> String {
    let pattern = format!("<input name=\"{name}\"[^>]* value=\"([^\"]*)\"");
    Regex::new(&pattern).unwrap().captures(html).unwrap()[1].to_owned()
}

#[test]
fn a_form_says_once_what_the_job_before_it_had() {
    let server = Server::with(&["--cpus", "4"]);
    let me = server.get("/api/v1/me").json()["user"].clone();
    let script = "#!/bin/bash\n#SBATCH --job-name=of-the-script --cpus-per-task=2\ntrue\n";
    let body = json!({"script": script, "memory": "64M", "time_limit": "90m", "held": true,
        "account": "physics", "labels": {"exp": "7"}, "args": ["a", "b"], "user": me,
        "retry": {"max": 3}, "working_directory": "/tmp"});
    let job = server.submit(&body);
    let page = server.get(&format!("/submit?from={job}")).expect(200).text();
    let said = ["name", "cpus", "memory", "time_limit", "account", "retry", "working_directory"];
    let said = said.map(|name| field(&page, name));
    assert_eq!(said, ["", "", "64M", "90m", "physics", "3", "/tmp"]);
    assert!(page.contains("#SBATCH --job-name=of-the-script"), "{page}");
    assert!(page.contains("labels: exp=7") && page.contains("args: a b"), "{page}");
    let plain = server.submit(&json!({"script": "true", "name": "plain", "cpus": 3, "held": true}));
    let page = server.get(&format!("/submit?from={plain}")).expect(200).text();
    let said = ["name", "cpus", "working_directory", "memory"].map(|name| field(&page, name));
    assert_eq!(said, ["plain", "3", "", ""]);
    let tasks = server.submit(&json!({"script": "true", "array": "0-9%2", "held": true}));
    let page = server.get(&format!("/submit?from={tasks}")).expect(200).text();
    assert_eq!(field(&page, "array"), "0-9%2");
    assert!(page.contains(&format!("<option value=\"{job}\">{job} of-the-script")), "{page}");
    server.get("/submit?from=99").expect(404);
    server.get("/submit?from=x").expect(400);
    server.get("/submit?job=1").expect(400);
}

/// A job that would wait is told with what it would start sooner, tried under the rights and from
/// the pages from which it could be submitted.
#[test]
fn what_would_start_sooner_is_tried_for_a_form() {
    let server = Server::with(&["--cpus", "4", "--memory", "4G"]);
    let tries = |headers: &[(&str, &str)], body: &Value| {
        let json = [("content-type", "application/json")];
        let headers = [&json, headers].concat();
        server.send("POST", "/submit/tries", &headers, body.to_string().as_bytes())
    };
    let asked = |fields: Value| {
        let mut body = json!({"script": "true", "cpus": 4, "time_limit": "2h", "memory": "1G"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        tries(&[], &body)
    };
    let none = asked(json!({})).expect(200);
    assert!(!none.text().contains("<tr"), "it would start at once: {}", none.text());
    assert_eq!(none.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(none.header("cache-control"), Some("no-store"));
    assert!(none.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let sleeps = json!({"script": "sleep 600", "cpus": 2, "time_limit": "1h", "memory": "3584M"});
    let runs = server.submit(&sleeps);
    server.started(runs);
    let rows = |fields| {
        let html = asked(fields).expect(200).text().to_owned();
        let row = Regex::new("<tr data-key=\"([^\"]*)\">.*?<td class=\"n\">(<b>starts at once)?")
            .unwrap();
        let all = row.captures_iter(&html);
        all.map(|row| (row[1].to_owned(), row.get(2).is_some())).collect::<Vec<_>>()
    };
    let now = |words: &str| (words.to_owned(), true);
    assert_eq!(rows(json!({"cpus": 2})), [now("With 512 M")]);
    assert_eq!(rows(json!({"memory": null})), [now("With 2 CPUs")]);
    assert_eq!(rows(json!({})), [], "half of one thing is not enough");
    assert_eq!(rows(json!({"held": true})), []);
    assert_eq!(rows(json!({"dependency": format!("afterok:{runs}"), "cpus": 2})), []);
    let bad = asked(json!({"cpus": 5}));
    assert_eq!((bad.status, bad.json()["errors"][0]["field"].clone()), (422, json!("cpus")));
    let body = json!({"script": "true"});
    for foreign in [("origin", "http://elsewhere.example"), ("host", "elsewhere.example")] {
        tries(&[foreign], &body).expect(403);
    }
    assert_eq!(server.get("/api/v1/jobs").json()["jobs"].as_array().map(Vec::len), Some(1));
    let closed = server_with_token();
    let json = [("content-type", "application/json")];
    closed.send("POST", "/submit/tries", &json, b"{}").expect(401);
}

fn server_with_token() -> Server {
    let mut server = Server::unstarted(&[]);
    server.env.push(("DOWNBEAT_TOKEN".to_owned(), TOKEN.to_owned()));
    server.up();
    server
}

#[test]
fn who_is_not_known_gets_a_frame_without_data() {
    let server = server_with_token();
    let token = format!("Bearer {TOKEN}");
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let body = json!({"script": "true", "name": "secret-name", "held": true}).to_string();
    server.send("POST", "/api/v1/jobs", &headers, body.as_bytes()).expect(201);
    let host = with_token(&server, "/api/v1/resources").json()["node"].clone();
    let host = host.as_str().unwrap();
    let shown = format!(">{host}<");
    for view in pages(1) {
        let frame = server.send("GET", &view, &[], b"").expect(200).text();
        assert!(frame.contains("data-frame"), "{frame}");
        assert!(!frame.contains("secret-name") && !frame.contains(&shown), "{frame}");
        server.send("GET", &format!("/live?view={view}"), &[], b"").expect(401);
        let filled = first_region(&server, &view, Some(TOKEN));
        assert!(filled.starts_with("<main id=\"main\""), "{filled}");
        assert!(filled.contains(&format!("data-host=\"{host}\"")), "{filled}");
        assert!(
            filled.contains("secret-name") || ["/admin", "/docs"].contains(&&*view),
            "{filled}"
        );
    }
    // Whether there is such a job is nobody's business either.
    server.send("GET", "/jobs/99", &[], b"").expect(200);
    let login = server.send("GET", "/login", &[], b"").expect(200).text();
    assert!(login.contains("type=\"password\"") && !login.contains(&shown), "{login}");
}

const ADMIN_TOKEN: &str = "an-administrators-token";

#[test]
fn buttons_are_there_for_whoever_may_press_them() {
    let mut server = Server::unstarted(&[]);
    server.env.push(("DOWNBEAT_TOKEN".to_owned(), TOKEN.to_owned()));
    server.env.push(("DOWNBEAT_ADMIN_TOKEN".to_owned(), ADMIN_TOKEN.to_owned()));
    server.up();
    let user = first_region(&server, "/admin", Some(TOKEN));
    assert!(user.contains("token, user, known by a token"), "{user}");
    assert!(!user.contains("data-do=\"drain\"") && !user.contains("data-do=\"plan\""), "{user}");
    let admin = first_region(&server, "/admin", Some(ADMIN_TOKEN));
    assert!(admin.contains("data-do=\"drain\"") && admin.contains("data-do=\"plan\""), "{admin}");
    for html in [&user, &admin] {
        assert!(!html.contains(TOKEN) && !html.contains(ADMIN_TOKEN), "{html}");
    }
}

#[test]
fn the_server_s_own_page_says_what_its_routes_say() {
    let server = Server::with(&["--cpus", "4", "--retention", "7d"]);
    let job = server.submit(&json!({"script": "true", "held": true, "account": HOSTILE}));
    let window = json!({"start_time": "now+2h", "end_time": "now+3h", "reason": HOSTILE});
    let window = server.post("/api/v1/maintenance", &window).expect(201).json();
    let page = server.get("/admin").expect(200).text();
    let info = server.get("/api/v1/info").json();
    for said in [
        "Ledger, database and processes agree",
        "data-do=\"drain\"",
        "data-waiting=\"1\"",
        "<td>retention<td class=\"mono\"><bdi>7d</bdi><td class=\"n s\">flag",
        &format!("submit <a href=\"/jobs/{job}\">{job}</a>"),
        &format!("data-window=\"{}\"", window["id"]),
        &format!(
            "downbeat {} on {}",
            info["version"].as_str().unwrap(),
            info["host"].as_str().unwrap()
        ),
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("<b id"), "{page}");
    server.post("/api/v1/maintenance", &json!({})).expect(201);
    let page = server.get("/admin").expect(200).text();
    assert!(page.contains("data-do=\"resume\"") && !page.contains("data-do=\"drain\""), "{page}");
}

#[test]
fn who_used_how_much_is_a_page_that_its_stream_fills_once() {
    let server = server_with_token();
    let token = format!("Bearer {TOKEN}");
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let body = json!({"script": "exit 1", "name": "n", "account": HOSTILE}).to_string();
    let sent = server.send("POST", "/api/v1/jobs", &headers, body.as_bytes()).expect(201).json();
    let wait = format!("/api/v1/jobs/{}/wait", sent["id"]);
    assert_eq!(with_token(&server, &wait).json()["state"], "FAILED");
    let view = "/usage?by=account%26span=30d";
    let frame = server.send("GET", "/usage?by=account&span=30d", &[], b"").expect(200).text();
    assert!(frame.contains("data-frame") && !frame.contains("b id"), "{frame}");
    let page = with_token(&server, "/usage?by=account&span=30d").text();
    for html in [page, first_region(&server, view, Some(TOKEN))] {
        assert!(html.contains("&#60;b id=x") && !html.contains("<b id"), "{html}");
        assert!(html.contains("aria-current=\"true\">Account</a>"), "{html}");
    }
    let days = with_token(&server, "/usage?by=day&span=7d").text();
    assert_eq!(days.matches("<tr><td>").count(), 1, "one day was anything used: {days}");
    for wrong in ["by=colour", "span=2d", "user=me"] {
        assert_eq!(with_token(&server, &format!("/usage?{wrong}")).status, 400, "{wrong}");
    }
}

#[test]
fn each_route_can_be_read_about_without_a_script() {
    let server = Server::start();
    let page = server.get("/docs").expect(200).text();
    let document = server.get("/openapi.json").expect(200).json();
    let mut seen = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, route) in methods.as_object().unwrap() {
            let said = format!("<code>{} {path}</code>", method.to_uppercase());
            assert!(page.contains(&said), "{said}");
            assert!(page.contains(&format!("id=\"{}\"", route["operationId"].as_str().unwrap())));
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

fn as_a_browser(server: &Server, path: &str) -> Answer {
    let accept = "text/html,application/xhtml+xml,*/*;q=0.8";
    server.send("GET", path, &[("accept", accept)], b"")
}

#[test]
fn a_browser_is_told_of_errors_by_a_page_and_a_program_by_json() {
    let server = Server::start();
    for (path, status) in [("/jobs/99", 404), ("/nothing", 404), ("/?span=3y", 400)] {
        let page = as_a_browser(&server, path).expect(status);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert!(page.header("content-security-policy").unwrap().contains("'none'"), "{path}");
        let number = page.header("x-request-id").unwrap().to_owned();
        let html = page.text();
        assert!(html.contains(&number) && html.contains("data-still"), "{path}: {html}");
        let said = server.get(path).expect(status);
        assert_eq!(said.header("content-type"), Some("application/problem+json"), "{path}");
    }
    let named = as_a_browser(&server, "/jobs?%3Cb%20id=1").expect(400).text();
    assert!(!named.contains("<b id") && named.contains("&#60;b id"), "{named}");
    for path in ["/api/v1/jobs/99", "/live?view=/jobs/99", "/slurm/v0.0.43/job/99"] {
        let said = as_a_browser(&server, path);
        assert!(said.status >= 400, "{path}");
        assert_ne!(said.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    }
}

#[test]
fn an_error_tells_a_stranger_nothing_of_this_machine() {
    let server = server_with_token();
    let host = with_token(&server, "/api/v1/resources").json()["node"].clone();
    let page = as_a_browser(&server, "/nothing").expect(401);
    assert_eq!(page.header("www-authenticate"), Some("Bearer"));
    let html = page.text();
    assert!(html.contains("href=\"/login\""), "{html}");
    assert!(!html.contains(&format!(">{}<", host.as_str().unwrap())), "{html}");
}

#[test]
fn files_are_kept_for_good_and_packed_and_small() {
    let server = Server::start();
    let page = server.get("/").expect(200).text();
    let files = Regex::new("(?:href|src)=\"(/assets/[^\"]+)\"").unwrap();
    let files: Vec<String> = files.captures_iter(&page).map(|one| one[1].to_owned()).collect();
    assert_eq!(files.len(), 3, "{page}");
    let mut sizes = (0, 0);
    for file in &files {
        let plain = server.send("GET", file, &[("accept-encoding", "identity")], b"").expect(200);
        assert!(plain.header("cache-control").unwrap().contains("immutable"));
        assert_eq!(plain.header("content-encoding"), None);
        let length = |answer: &Answer| answer.header("content-length").unwrap().parse().unwrap();
        let packed = server.send("HEAD", file, &[("accept-encoding", "gzip")], b"").expect(200);
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{file}");
        let (raw, gzip): (usize, usize) = (length(&plain), length(&packed));
        sizes = (sizes.0 + raw, sizes.1 + gzip);
    }
    assert!(sizes.0 <= 60_000 && sizes.1 <= 20_000, "{sizes:?}");
    server.get("/assets/app.js").expect(404);
}

#[test]
fn a_page_is_told_what_changed() {
    let server = Server::start();
    let answer = server.agent().get(server.at("/live?view=/jobs")).call().unwrap();
    let mut lines = BufReader::new(answer.into_body().into_reader()).lines();
    // The next time that the list is told.
    let mut region = || {
        let mut html = String::new();
        for line in lines.by_ref() {
            let line = line.unwrap();
            match line.strip_prefix("data:") {
                Some(data) => html.push_str(data),
                None if line.is_empty() && html.contains("id=\"list\"") => break,
                None if line.is_empty() => html.clear(),
                None => {}
            }
        }
        html
    };
    assert!(region().contains("There are no jobs."));
    let body = json!({"script": "true", "name": "fresh", "held": true});
    let id = server.submit(&body);
    assert!(region().contains("fresh"));
    server.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).expect(200);
    assert!(region().contains("Cancelled"));
}

#[test]
fn a_list_that_its_stream_filled_stands_still_too() {
    let server = Server::start();
    let first = server.submit(&json!({"script": "true", "name": "first", "held": true}));
    let stream = server.agent().get(server.at("/live?view=/jobs&frame=true")).call().unwrap();
    let mut lines = BufReader::new(stream.into_body().into_reader()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains(&format!("data-key=\"{first}\""))));
    let newer = server.submit(&json!({"script": "true", "name": "newer", "held": true}));
    let row = format!("data-key=\"{newer}\"");
    let offered = lines.find(|line| line.contains(&row) || line.contains("Show 1 newer job"));
    assert!(offered.unwrap().contains("Show 1 newer job"));
}

/// Which regions come from the stream's first comment to its second one, 15 s later: the first
/// round, and what changed behind it.
fn regions_between_comments(server: &Server, view: &str) -> Vec<String> {
    let answer = server.agent().get(server.at(&format!("/live?view={view}"))).call().unwrap();
    let id = Regex::new("^data: ?<[a-z]+ [^>]*?id=\"([a-z]+)\"").unwrap();
    let lines = BufReader::new(answer.into_body().into_reader()).lines().map(Result::unwrap);
    let mut comments = 0;
    let until = lines.take_while(|line| {
        comments += usize::from(line.starts_with(':'));
        comments < 2
    });
    until.filter_map(|line| Some(id.captures(&line)?[1].to_owned())).collect()
}

#[test]
fn a_page_on_which_only_time_passes_is_sent_nothing() {
    let server = Server::with(&["--cpus", "2"]);
    server.ended(server.run("true"));
    let runs = server.submit(&json!({"script": "sleep 600", "time_limit": "1h"}));
    server.started(runs);
    server.submit(&json!({"script": "true", "cpus": 2}));
    let seen = regions_between_comments(&server, "/jobs");
    let lists = seen.iter().filter(|id| *id == "list").count();
    assert_eq!(lists, 1, "three ran, waited and ended: {seen:?}");
    // Loads of cores change by themselves, and what a job uses is measured anew.
    let seen = regions_between_comments(&server, "/");
    for quiet in ["notices", "yours", "ended", "waiting", "people"] {
        assert_eq!(seen.iter().filter(|id| *id == quiet).count(), 1, "{quiet}: {seen:?}");
    }
    server.post(&format!("/api/v1/jobs/{runs}/cancel"), &json!({})).expect(202);
    server.ended(runs);
}

#[test]
fn templates_have_no_styles_no_handlers_and_nothing_unescaped() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/templates");
    let forbidden = Regex::new(r#"\sstyle=|\son[a-z]+=|\|\s*safe|<script>|https?://"#).unwrap();
    let mut looked = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let found: Vec<&str> = forbidden.find_iter(&text).map(|one| one.as_str()).collect();
        assert_eq!(found, [""; 0], "{}", path.display());
        looked += 1;
    }
    assert!(looked >= 6, "{looked}");
}
