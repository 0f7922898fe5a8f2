//! *Purpose*: a job's output is read before, during and after its run.
//!
//! *Owns*: parts by offset, limit, tail and `Range`; following as bytes and as events.
//!
//! *Promises*: every byte is accounted for by its offset.
//!
//! *Not here*: where output may be written (`paths`).

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{Gate, Stream, fields, problem};

cases! {
    parts_are_cut_by_offset_limit_and_tail => ["GET /api/v1/jobs/{id}/stdout",
        "GET /api/v1/jobs/{id}/stderr"],
    ranges_are_served_as_http_has_them => ["GET /api/v1/jobs/{id}/stdout"],
    output_is_read_before_during_and_after => ["GET /api/v1/jobs/{id}/stdout",
        "GET /api/v1/jobs/{id}/stderr"],
    a_follower_gets_every_byte_and_the_end => ["GET /api/v1/jobs/{id}/stdout"],
    a_follower_of_a_pending_job_waits_for_it => ["GET /api/v1/jobs/{id}/stderr"],
    a_stream_of_events_is_resumed_at_its_byte => ["GET /api/v1/jobs/{id}/stdout"],
    a_stream_of_events_ends_with_how_its_job_ended => ["GET /api/v1/jobs/{id}/stdout",
        "GET /api/v1/jobs/{id}/stderr"],
    a_large_output_is_read_whole => ["GET /api/v1/jobs/{id}/stdout"],
    a_link_in_place_of_the_output_is_not_read => ["GET /api/v1/jobs/{id}/stdout"],
    output_of_no_job_is_not_found => ["GET /api/v1/jobs/{id}/stdout",
        "GET /api/v1/jobs/{id}/stderr"],
}

const TEN: &str = "for n in 0 1 2 3 4 5 6 7 8 9; do echo line-$n; echo oops-$n >&2; done";

fn parts_are_cut_by_offset_limit_and_tail() {
    let server = Server::start();
    let id = server.run(TEN);
    server.ended(id);
    let all: String = (0..10).map(|n| format!("line-{n}\n")).collect();
    let get = |query: &str| {
        let answer = server.get(&format!("/api/v1/jobs/{id}/stdout?{query}")).expect(200);
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        answer.text()
    };
    assert_eq!(get(""), all);
    assert_eq!(get("offset=63"), "line-9\n");
    assert_eq!(get("offset=3&limit=6"), all[3..9]);
    assert_eq!(get("limit=7"), "line-0\n");
    assert_eq!(get("limit=0"), "");
    assert_eq!(get("offset=70"), "");
    assert_eq!(get("offset=1000"), "");
    assert_eq!(get("offset=18446744073709551615&limit=18446744073709551615"), "");
    assert_eq!(get("tail=1"), "line-9\n");
    assert_eq!(get("tail=3"), "line-7\nline-8\nline-9\n");
    assert_eq!(get("tail=10"), all);
    assert_eq!(get("tail=99999"), all);
    assert_eq!(get("tail=0"), "");
    let stderr = server.get(&format!("/api/v1/jobs/{id}/stderr?tail=1")).expect(200);
    assert_eq!(stderr.text(), "oops-9\n");
    for bad in ["offset=-1", "tail=x", "nope=1", "follow=perhaps"] {
        problem(server.get(&format!("/api/v1/jobs/{id}/stdout?{bad}")), 400);
    }
    let unended = server.run("printf 'a\\nb\\nc'");
    server.ended(unended);
    let tail = server.get(&format!("/api/v1/jobs/{unended}/stdout?tail=2")).expect(200);
    assert_eq!(tail.text(), "b\nc", "a last line without its end is a line");
}

fn ranges_are_served_as_http_has_them() {
    let server = Server::start();
    let id = server.run(TEN);
    server.ended(id);
    let path = format!("/api/v1/jobs/{id}/stdout");
    let range = |range: &str| server.send("GET", &path, &[("range", range)], b"");
    for (asked, text, said) in [
        ("bytes=0-6", "line-0\n", "bytes 0-6/70"),
        ("bytes=63-", "line-9\n", "bytes 63-69/70"),
        ("bytes=63-1000", "line-9\n", "bytes 63-69/70"),
        ("bytes=-7", "line-9\n", "bytes 63-69/70"),
    ] {
        let answer = range(asked).expect(206);
        assert_eq!(answer.header("content-range"), Some(said), "{asked}");
        assert_eq!(answer.text(), text, "{asked}");
    }
    let beyond = range("bytes=70-");
    assert_eq!(beyond.header("content-range"), Some("bytes */70"));
    problem(beyond, 416);
    assert_eq!(range("lines=1-2").expect(200).body.len(), 70, "an unknown unit is ignored");
}

fn output_is_read_before_during_and_after() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let blocker = gate.blocker(&server);
    let other = server.dir.path().join("second-gate");
    let wait = format!("until [ -e '{}' ]; do sleep 0.02; done", other.display());
    let id = server.run(&format!("echo first; echo err >&2; {wait}; echo second"));
    let read = || server.stdout(id);
    assert_eq!(read(), "", "before");
    gate.open();
    server.ended(blocker);
    until("the first line", || if read() == "first\n" { Ok(()) } else { Err(read()) });
    assert_eq!(server.get(&format!("/api/v1/jobs/{id}/stderr")).expect(200).text(), "err\n");
    std::fs::write(other, "").unwrap();
    server.ended(id);
    assert_eq!(read(), "first\nsecond\n", "after");
}

fn a_follower_gets_every_byte_and_the_end() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let id = server.run(&format!("echo first; {}; printf 'second\\377\\nlast'", gate.wait()));
    server.started(id);
    let path = format!("/api/v1/jobs/{id}/stdout?follow=true");
    let mut stream = Stream::open(&server, &path, &[]);
    assert_eq!(stream.line(), "first\n", "it comes while the job runs");
    gate.open();
    assert_eq!(stream.rest(), b"second\xFF\nlast");
    server.ended(id);
    let mut again = Stream::open(&server, &format!("{path}&offset=6"), &[]);
    assert_eq!(again.rest(), b"second\xFF\nlast", "an ended job's stream ends too");
    let mut tail = Stream::open(&server, &format!("{path}&tail=1"), &[]);
    assert_eq!(tail.rest(), b"last");
}

fn a_follower_of_a_pending_job_waits_for_it() {
    let server = Server::start();
    let gate = Gate::new(&server);
    gate.blocker(&server);
    let id = server.run("echo late >&2");
    let mut stream = Stream::open(&server, &format!("/api/v1/jobs/{id}/stderr?follow=true"), &[]);
    gate.open();
    assert_eq!(stream.rest(), b"late\n");
    let gate = gate.wait();
    let never = server.run(&format!("{gate}; true"));
    server.ended(never);
    let mut empty = Stream::open(&server, &format!("/api/v1/jobs/{never}/stderr?follow=true"), &[]);
    assert_eq!(empty.rest(), b"");
}

fn a_stream_of_events_is_resumed_at_its_byte() {
    let server = Server::start();
    let gate = Gate::new(&server);
    let id = server.run(&format!("echo é1; {}; echo two; echo; printf end", gate.wait()));
    server.started(id);
    let path = format!("/api/v1/jobs/{id}/stdout?follow=true");
    let mut stream = Stream::events(&server, &path, None);
    let first = stream.sent().unwrap();
    assert_eq!((first.data.as_str(), first.id), ("é1\n", 4), "the id is the offset behind it");
    drop(stream);
    gate.open();
    server.ended(id);
    let mut stream = Stream::events(&server, &path, Some(first.id));
    let (mut text, mut last) = (String::new(), 0);
    let mut end = None;
    while let Some(sent) = stream.sent() {
        assert_eq!(end, None, "something follows the end");
        if sent.event == "end" {
            end = Some(serde_json::from_str::<Value>(&sent.data).unwrap());
            continue;
        }
        text.push_str(&sent.data);
        last = sent.id;
    }
    assert_eq!((text.as_str(), last), ("two\n\nend", 12));
    let wanted = json!({"job_id": id, "attempt": 1, "state": "COMPLETED", "exit_code": "0:0",
        "exit_status": 0, "exit_signal": null});
    assert_eq!(end, Some(wanted));
    // An id that was never given is refused; that of the end is not.
    for never in ["13", "99999999999999999999", "x", "-1", "4.0"] {
        let headers = [("accept", "text/event-stream"), ("last-event-id", never)];
        let said = problem(server.send("GET", &path, &headers, b""), 400);
        assert_eq!(fields(&said), ["Last-Event-ID"], "{said}");
    }
    let mut stream = Stream::events(&server, &path, Some(12));
    assert_eq!(stream.sent().map(|sent| sent.event), Some("end".to_owned()));
}

fn a_stream_of_events_ends_with_how_its_job_ended() {
    let server = Server::start();
    let end = |id: i64, stream: &str| -> (String, Value) {
        let path = format!("/api/v1/jobs/{id}/{stream}?follow=true");
        let mut events = Stream::events(&server, &path, None);
        let mut text = String::new();
        loop {
            let sent = events.sent().expect("an end");
            if sent.event == "end" {
                return (text, serde_json::from_str(&sent.data).unwrap());
            }
            text.push_str(&sent.data);
        }
    };
    for (script, state, code, status, signal) in [
        ("exit 3", "FAILED", json!("3:0"), json!(3), Value::Null),
        ("kill -SEGV $$", "FAILED", json!("0:11"), Value::Null, json!(11)),
    ] {
        let id = server.run(script);
        let (_, said) = end(id, "stderr");
        assert_eq!((&said["job_id"], &said["state"]), (&json!(id), &json!(state)), "{said}");
        assert_eq!(said["exit_code"], code, "{said}");
        assert_eq!((&said["exit_status"], &said["exit_signal"]), (&status, &signal), "{said}");
        let job = server.job(id);
        assert_eq!((&job["exit_status"], &job["exit_signal"]), (&status, &signal), "{job}");
    }
    let held = server.submit(&json!({"script": "true", "held": true}));
    server.post(&format!("/api/v1/jobs/{held}/cancel"), &json!({})).expect(200);
    let (text, said) = end(held, "stdout");
    assert_eq!((text.as_str(), &said["state"]), ("", &json!("CANCELLED")));
    assert!(said["exit_code"].is_null() && said["exit_status"].is_null(), "{said}");
    // Half a character at the end is told before the end.
    let half = server.run("printf 'x\\303'");
    assert_eq!(end(half, "stdout").0, "x\u{FFFD}");
}

fn a_large_output_is_read_whole() {
    let server = Server::start();
    let id = server.run("seq 1 400000");
    server.ended(id);
    let text = server.stdout(id);
    assert_eq!(text.lines().count(), 400_000);
    assert_eq!(text.lines().last(), Some("400000"));
    let tail = server.get(&format!("/api/v1/jobs/{id}/stdout?tail=20000")).expect(200).text();
    assert_eq!(tail.lines().next(), Some("380001"), "further back than one block");
    let mut stream = Stream::open(&server, &format!("/api/v1/jobs/{id}/stdout?follow=true"), &[]);
    assert_eq!(stream.rest(), text.as_bytes());
}

fn a_link_in_place_of_the_output_is_not_read() {
    let server = Server::start();
    let folder = server.dir.path().join("w");
    std::fs::create_dir(&folder).unwrap();
    let secret = server.dir.path().join("secret");
    std::fs::write(&secret, "hidden words").unwrap();
    let script = format!("rm -f out; ln -s '{}' out", secret.display());
    let id = server
        .submit(&json!({"script": script, "working_directory": folder, "standard_output": "out"}));
    server.ended(id);
    let answer = server.get(&format!("/api/v1/jobs/{id}/stdout"));
    assert!(!answer.text().contains("hidden words"));
    let said = problem(answer, 409);
    assert!(said["detail"].as_str().unwrap().contains("link"), "{said}");
    // The same with a named pipe, which a reader could hang on.
    let script = "rm -f pipe; mkfifo pipe";
    let id = server
        .submit(&json!({"script": script, "working_directory": folder, "standard_output": "pipe"}));
    server.ended(id);
    problem(server.get(&format!("/api/v1/jobs/{id}/stdout")), 409);
}

fn output_of_no_job_is_not_found() {
    let server = Server::start();
    for stream in ["stdout", "stderr", "stdout?follow=true", "script"] {
        problem(server.get(&format!("/api/v1/jobs/77/{stream}")), 404);
    }
}
