//! *Purpose*: a server under mixed load for long: nothing grows that should not.
//!
//! *Owns*: the load (short, failing, talkative, forking, overdue and cancelled jobs, followed
//! logs, pages), the measurements, restarts in the last third.
//!
//! *Promises*: memory, descriptors, threads, spool, folders and database are measured at rest
//! before and after; a minute in each run of the tests, and as long as
//! `DOWNBEAT_SOAK_SECONDS` says by hand.
//!
//! *Not here*: kills (`tests/kills`), speed (`benches/`).

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{Server, until};
use serde_json::{Value, json};

/// How long ended jobs are kept, so that a short run sees many of them forgotten.
const RETENTION: &str = "5s";
/// Asks how many pages the database has, of 4 KiB each.
const PAGES: &str = "SELECT page_count || '' AS line FROM pragma_page_count";
/// Threads that load the server.
const CLIENTS: u64 = 4;
/// By how much memory may differ between two measurements at rest …
const RSS_GROWTH: f64 = 1.10;
/// … beside the stacks and heaps of a few threads, which a short run may happen to start late.
const RSS_THREADS_KIB: u64 = 4 * 1024;

/// What must not grow.
#[derive(Debug)]
struct Measured {
    rss_kib: u64,
    descriptors: usize,
    threads: usize,
    spool: usize,
    folders: usize,
    rows: i64,
    database_kib: u64,
}

fn count(path: &std::path::Path) -> usize {
    fs::read_dir(path).unwrap().count()
}

fn measure(server: &Server) -> Measured {
    let proc = std::path::PathBuf::from(format!("/proc/{}", server.pid()));
    let status = fs::read_to_string(proc.join("status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    Measured {
        rss_kib: field("VmRSS:"),
        threads: field("Threads:") as usize,
        descriptors: count(&proc.join("fd")),
        spool: count(&server.data().join("spool")),
        folders: count(&server.data().join("jobs")),
        rows: server.sql("SELECT count(*) || '' AS line FROM jobs").parse().unwrap(),
        // Pages, wherever they are: the log is moved into the file now and then.
        database_kib: server.sql(PAGES).parse::<u64>().unwrap() * 4,
    }
}

/// Waits until nothing runs or waits, and retention has forgotten everything.
fn at_rest(server: &Server) -> Measured {
    until("the server to be at rest", || {
        let now = server.get("/api/v1/resources").json();
        let jobs = server.get("/api/v1/jobs?limit=1").json();
        let idle = now["used_cpus"] == 0 && now["pending_jobs"] == 0;
        let empty = jobs["jobs"].as_array().unwrap().is_empty();
        if idle && empty { Ok(()) } else { Err(format!("{now} {jobs}")) }
    });
    server.is_clean();
    measure(server)
}

/// One job of the mix, and the ends that are right for it.
fn job(rng: &mut fastrand::Rng) -> (Value, &'static [&'static str]) {
    match rng.u8(..10) {
        0..4 => (json!({"script": "exit 0"}), &["COMPLETED"]),
        4 => (json!({"script": "exit 9", "cpus": 2}), &["FAILED"]),
        5 => (json!({"script": "head -c 300000 /dev/zero; echo err >&2"}), &["COMPLETED"]),
        6 => (json!({"script": "setsid sleep 300 & sleep 0.05"}), &["COMPLETED"]),
        7 => (json!({"script": "sleep 300", "time_limit": "1s"}), &["TIMEOUT"]),
        8 => (json!({"script": "sleep 300", "cpus": 4, "comment": "cancel"}), &["CANCELLED"]),
        _ => (
            json!({"script": format!("# {}\nsleep 0.1", "x".repeat(20_000)),
                "environment": {"A": "b".repeat(2_000)}}),
            &["COMPLETED"],
        ),
    }
}

/// Loads the server until told to stop; answers how many jobs were seen to end rightly.
fn load(server: &Server, stop: &AtomicBool, seed: u64) -> u64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut ended = 0;
    while !stop.load(Ordering::Relaxed) {
        let jobs: Vec<_> = (0..rng.usize(1..6)).map(|_| job(&mut rng)).collect();
        let bodies: Vec<&Value> = jobs.iter().map(|(body, _)| body).collect();
        let answer = server.post("/api/v1/jobs/batch", &json!({ "jobs": bodies })).expect(201);
        let ids: Vec<i64> = serde_json::from_value(answer.json()["job_ids"].clone()).unwrap();
        for (id, (body, ends)) in ids.iter().zip(&jobs) {
            if body["comment"] == "cancel" {
                let gone = server.send("DELETE", &format!("/api/v1/jobs/{id}"), &[], b"");
                // 200: it waited still, and is over.
                assert!([200, 202].contains(&gone.status), "{}", gone.text());
            }
            let path = format!("/api/v1/jobs/{id}");
            if rng.u8(..4) == 0 {
                server.get(&format!("{path}/stdout?follow=true")).expect(200);
            }
            let job = server.get(&format!("{path}/wait?timeout_s=50")).expect(200).json();
            assert!(ends.contains(&job["state"].as_str().unwrap()), "{job}");
            ended += 1;
        }
        server.get("/api/v1/jobs?limit=20").expect(200);
        server.get("/metrics").expect(200);
    }
    ended
}

/// Loads the server for so long.
fn loaded(server: &Server, time: Duration, seed: u64) -> u64 {
    let (stop, ended) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (stop, ended) = (&stop, &ended);
            scope.spawn(move || {
                ended.fetch_add(load(server, stop, seed + client), Ordering::Relaxed)
            });
        }
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
    });
    ended.into_inner()
}

#[test]
fn a_long_mixed_load_leaves_nothing_behind() {
    let seconds = match std::env::var("DOWNBEAT_SOAK_SECONDS") {
        Ok(text) => text.parse().expect("DOWNBEAT_SOAK_SECONDS is a number"),
        Err(_) => 60,
    };
    let third = Duration::from_secs(seconds) / 3;
    let begun = Instant::now();
    // In submit order: a client cancels its wide sleeper only after its jobs before that have ended,
    // and by another policy the sleeper might start first and keep them waiting.
    let server =
        ["--cpus", "4", "--retention", RETENTION, "--policy", "fcfs+easy", "--finish-time", "0s"];
    let mut server = Server::with(&server);
    let mut jobs = loaded(&server, third, 1);
    let before = at_rest(&server);
    jobs += loaded(&server, third, 100);
    let after = at_rest(&server);
    println!(
        "soak: {jobs} jobs in {} s\nbefore {before:?}\nafter  {after:?}",
        begun.elapsed().as_secs()
    );
    let rss_max = before.rss_kib as f64 * RSS_GROWTH;
    assert!(after.rss_kib <= rss_max as u64 + RSS_THREADS_KIB, "memory grew");
    assert!(after.descriptors <= before.descriptors + CLIENTS as usize, "descriptors grew");
    // Threads that block on files come and go with the requests of the last seconds.
    assert!(after.threads <= before.threads + CLIENTS as usize, "threads grew");
    assert_eq!((after.rows, after.folders), (0, 0), "old jobs are forgotten");
    assert!(after.spool <= before.spool.max(64), "the spool grew");
    assert!(after.database_kib <= before.database_kib * 3 / 2, "the database grew");

    let mut restarts = 0;
    let restarting = Instant::now();
    while restarting.elapsed() < third {
        let ids: Vec<i64> = (0..8).map(|n| server.run(&format!("sleep 0.3; exit {n}"))).collect();
        if restarts % 2 == 0 {
            server.kill()
        } else {
            assert_eq!(server.stop(), Some(0))
        }
        server.up();
        restarts += 1;
        for (n, id) in ids.iter().enumerate() {
            // Forgotten already, or ended with its code.
            let answer = server.get(&format!("/api/v1/jobs/{id}/wait?timeout_s=50"));
            if answer.status != 404 {
                assert_eq!(answer.expect(200).json()["exit_code"], format!("{n}:0"));
            }
        }
    }
    let last = at_rest(&server);
    println!("{restarts} restarts\nlast   {last:?}");
    assert!(restarts >= 2 && (last.rows, last.folders) == (0, 0), "{last:?}");
    assert!(last.descriptors <= before.descriptors + CLIENTS as usize, "descriptors grew");
}
