//! *Purpose*: pages of a server of all users.
//!
//! *Owns*: the cases about them.
//!
//! *Promises*: a page, and its stream, tells nobody what the routes would not tell him, and no
//! longer than they would.
//!
//! *Not here*: rights (`rights`), what stands in a page (`tests/web`).

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::house::{ALICE, BOB, House, houses};

houses! {
    a_stream_ends_with_the_token_that_opened_it ""
    a_stream_of_a_browser_goes_on_until_it_logs_out ""
    what_is_followed_ends_with_the_token_too ""
    a_stream_of_one_who_is_no_operator_any_more_ends
        "[people]\noperators = [\"dbt-alice\"]"
    in_a_private_house_no_page_tells_bob_of_alice
        "[people]\nprivate = [\"jobs\", \"usage\"]"
    of_alice_s_job_a_page_tells_bob_what_its_route_does ""
    a_page_says_by_what_each_is_known ""
}

/// Longest wait for a stream; one round of it is at most 5 s after the last.
const PATIENCE: Duration = Duration::from_secs(30);
/// What stands in all that bob must not know.
const SECRET: &str = "of-no-business";

/// A stream, over TCP.
struct Live(BufReader<TcpStream>);

impl Live {
    /// Opened with this token.
    fn open(house: &House, view: &str, token: &str) -> Live {
        Live::of(house, &format!("/live?view={view}"), token)
    }

    /// Whatever is told at this path.
    fn of(house: &House, path: &str, token: &str) -> Live {
        let address = house.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        Live(BufReader::new(stream))
    }

    /// All that is told until this is.
    #[track_caller]
    fn until(&mut self, wanted: &str) -> String {
        let mut told = String::new();
        let deadline = Instant::now() + PATIENCE;
        while !told.contains(wanted) {
            let n = self.0.read_line(&mut told).unwrap();
            assert!(n > 0 && Instant::now() < deadline, "{wanted}: {told}");
        }
        told
    }

    /// All that is told until nothing more is.
    #[track_caller]
    fn end(mut self) -> String {
        let mut told = String::new();
        let deadline = Instant::now() + PATIENCE;
        while self.0.read_line(&mut told).unwrap() > 0 {
            assert!(Instant::now() < deadline, "it goes on: {told}");
        }
        told
    }
}

/// A token of this user.
#[track_caller]
fn token(house: &House, name: &str, body: Value) -> Value {
    house.post(name, "/api/v1/tokens", &body).expect(201)
}

/// Jobs of alice's that wait, run and have ended, and an array; all of each says [`SECRET`].
fn jobs_of_alice(house: &House, name: &str) -> [i64; 4] {
    let job = |more: Value| {
        let mut body = json!({"name": name, "comment": SECRET, "labels": {SECRET: SECRET},
            "script": format!("#!/bin/sh\n# {SECRET}\nexit 3\n"), "args": [SECRET]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        house.submit(ALICE, body)
    };
    let ended = job(json!({}));
    house.ended(ALICE, ended);
    let sleeps = format!("#!/bin/sh\n# {SECRET}\nsleep 600\n");
    let runs = job(json!({"script": sleeps, "time_limit": "2h"}));
    crate::until_now("it runs", || {
        let job = house.ask(ALICE, &format!("GET /api/v1/jobs/{runs}")).expect(200);
        if job["state"] == "RUNNING" { Ok(()) } else { Err(job.to_string()) }
    });
    let waits = job(json!({"held": true}));
    let array = job(json!({"held": true, "array": "0-9"}));
    [ended, runs, waits, array]
}

#[track_caller]
fn page(house: &House, name: &str, path: &str) -> String {
    let answer = house.ask(name, &format!("GET {path}"));
    assert_eq!(answer.status, 200, "{path}: {}", answer.bytes);
    answer.bytes
}

mod cases {
    use super::*;

    pub fn a_stream_of_a_browser_goes_on_until_it_logs_out(house: House) {
        let bearer = |text: &Value| format!("Authorization: Bearer {}\r\n", text.as_str().unwrap());
        let code = house.ask(ALICE, "POST /api/v1/web/codes").expect(201);
        let opened = house.over_tcp("POST /api/v1/web/sessions", &bearer(&code["code"]), "");
        let session = opened.expect(201)["token"].clone();
        let mut live = Live::open(&house, "/jobs", session.as_str().unwrap());
        live.until("There are no jobs.");
        // Each is told a round later than the one before it, when it is looked who reads.
        for (name, told) in [("one", "one"), ("two", "Show 1 newer"), ("three", "Show 2 newer")] {
            house.submit(ALICE, json!({"script": "true", "held": true, "name": name}));
            live.until(told);
        }
        house.over_tcp("DELETE /api/v1/web/sessions", &bearer(&session), "").expect(204);
        house.submit(ALICE, json!({"script": "true", "held": true, "name": "afterwards"}));
        let told = live.end();
        assert!(!told.contains("Show 3 newer"), "{told}");
    }

    pub fn a_stream_ends_with_the_token_that_opened_it(house: House) {
        let made = token(&house, ALICE, json!({}));
        let text = made["token"].as_str().unwrap();
        let mut live = Live::open(&house, "/jobs", text);
        live.until("There are no jobs.");
        house.submit(ALICE, json!({"script": "true", "held": true, "name": "before"}));
        live.until("before");
        let path = format!("DELETE /api/v1/tokens/{}", made["id"].as_str().unwrap());
        house.ask(ALICE, &path).expect(200);
        house.submit(ALICE, json!({"script": "true", "held": true, "name": "afterwards"}));
        let told = live.end();
        assert!(!told.contains("afterwards"), "{told}");
    }

    pub fn what_is_followed_ends_with_the_token_too(house: House) {
        let made = token(&house, ALICE, json!({}));
        let text = made["token"].as_str().unwrap();
        let gate = house.home.path().join("gate");
        let script = format!(
            "echo before; until [ -e {} ]; do sleep 0.1; done; echo afterwards; sleep 600",
            gate.display()
        );
        let id = house.submit(ALICE, json!({"script": script}));
        let log = format!("/api/v1/jobs/{id}/stdout?follow=true");
        let mut log = Live::of(&house, &log, text);
        log.until("before");
        let mut events = Live::of(&house, "/api/v1/events", text);
        house.submit(ALICE, json!({"script": "true", "held": true}));
        events.until("submitted");
        let path = format!("DELETE /api/v1/tokens/{}", made["id"].as_str().unwrap());
        house.ask(ALICE, &path).expect(200);
        let revoked = Instant::now();
        // A second later at most nothing more is told.
        crate::until_now("another second", || {
            if revoked.elapsed() > Duration::from_secs(1) { Ok(()) } else { Err(String::new()) }
        });
        let gone = house.submit(ALICE, json!({"script": "true", "held": true}));
        std::fs::write(gate, "").unwrap();
        let told = log.end();
        assert!(!told.contains("afterwards"), "{told}");
        let told = events.end();
        assert!(!told.contains(&format!("\"job_id\":{gone}")), "{told}");
    }

    pub fn a_stream_of_one_who_is_no_operator_any_more_ends(mut house: House) {
        let made = token(&house, ALICE, json!({"role": "operator"}));
        let text = made["token"].as_str().unwrap();
        let mut live = Live::open(&house, "/admin", text);
        live.until("create token");
        house.settings = String::new();
        house.read_again();
        house.submit(BOB, json!({"script": "true", "held": true, "name": SECRET}));
        let told = live.end();
        assert!(!told.contains("submit <a"), "{told}");
        let mut live = Live::open(&house, "/admin", text);
        let told = live.until("Shown to operators.");
        assert!(!told.contains("create token"), "{told}");
    }

    pub fn in_a_private_house_no_page_tells_bob_of_alice(house: House) {
        let alices = jobs_of_alice(&house, SECRET);
        let own = house.submit(BOB, json!({"script": "true", "name": "own", "held": true}));
        let ids = alices.map(|id| id.to_string()).join(",");
        let made = token(&house, BOB, json!({}));
        let text = made["token"].as_str().unwrap();
        let seen = |path: &str, html: &str| {
            for secret in [SECRET, ALICE] {
                assert!(!html.contains(secret), "{path}: {secret}: {html}");
            }
            for id in alices {
                assert!(!html.contains(&format!("/jobs/{id}\"")), "{path}: {id}: {html}");
            }
        };
        let usage = ["user", "account", "name", "day"].map(|by| format!("/usage?by={by}"));
        let pages = [
            "/",
            "/jobs",
            "/jobs?sort=-end_time",
            "/jobs?state=PENDING&sort=position",
            "/admin",
            "/submit",
            "/jobs?state=RUNNING",
        ];
        let pages = pages.map(str::to_owned).into_iter().chain(usage);
        for path in pages.chain([format!("/jobs?open={ids}"), format!("/jobs/{own}")]) {
            seen(&path, &page(&house, BOB, &path));
        }
        // What he asks for stands there, and nothing besides.
        for asked in
            [format!("q={SECRET}"), format!("user={ALICE}"), format!("label={SECRET}:{SECRET}")]
        {
            let html = page(&house, BOB, &format!("/jobs?{asked}"));
            assert!(html.contains("No job is like that."), "{asked}: {html}");
        }
        for path in
            alices.iter().flat_map(|id| [format!("/jobs/{id}"), format!("/submit?from={id}")])
        {
            let refused = house.ask(BOB, &format!("GET {path}"));
            assert_eq!(refused.status, 404, "{path}: {}", refused.bytes);
        }
        let told =
            Live::open(&house, &format!("/jobs&shown={ids},{own}"), text).until("id=\"list\"");
        seen("its stream", &told);
        let first = page(&house, BOB, "/");
        assert!(first.contains("not yours") && !first.contains(": free\""), "{first}");
        assert!(page(&house, ALICE, "/").contains(SECRET), "she sees hers");
    }

    pub fn of_alice_s_job_a_page_tells_bob_what_its_route_does(house: House) {
        let alices = jobs_of_alice(&house, "alices");
        let made = token(&house, BOB, json!({}));
        let text = made["token"].as_str().unwrap();
        for id in alices {
            let path = format!("/jobs/{id}");
            let told = Live::open(&house, &path, text).until("id=\"events\"");
            for html in [page(&house, BOB, &path), told] {
                assert!(html.contains("alices") && !html.contains(SECRET), "{path}: {html}");
                assert!(!html.contains("data-do=") || html.contains("data-do=\"help\""), "{html}");
                for verb in ["cancel", "change", "requeue", "release", "extend", "hold"] {
                    assert!(!html.contains(&format!("data-do=\"{verb}\"")), "{verb}: {html}");
                }
            }
            let refused = house.ask(BOB, &format!("GET /submit?from={id}"));
            assert_eq!(refused.status, 403, "{}", refused.bytes);
        }
        for path in ["/", "/jobs", &format!("/jobs?open={}", alices[3]), "/admin", "/usage?by=name"]
        {
            let html = page(&house, BOB, path);
            assert!(!html.contains(SECRET), "{path}: {html}");
        }
        let found = page(&house, BOB, &format!("/jobs?label={SECRET}:{SECRET}"));
        assert!(found.contains("No job is like that."), "{found}");
    }

    pub fn a_page_says_by_what_each_is_known(house: House) {
        let made = token(&house, ALICE, json!({}));
        let bearer = format!("Authorization: Bearer {}\r\n", made["token"].as_str().unwrap());
        let by_socket = page(&house, ALICE, "/admin");
        assert!(by_socket.contains("dbt-alice, user, known by the server&#39;s socket"));
        let by_token = house.over_tcp("GET /admin", &bearer, "").bytes;
        assert!(by_token.contains("dbt-alice, user, known by a token"), "{by_token}");
    }
}
