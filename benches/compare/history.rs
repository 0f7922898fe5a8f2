//! *Purpose*: what a long past costs.
//!
//! *Owns*: the section `history`: rate, latency, pages, filters and restart with many ended jobs
//! in the database, and the one place that makes them up, in SQL ([`PAST`]).
//!
//! *Promises*: the rows are such as real lives leave (script, allocation, three events); the
//! server's own audit agrees with them; each turn stands beside one of a server without a past.
//!
//! *Not here*: deep queues (`depth`).
//!
//! **When the schema changes**, `PAST` is what has to follow: it names each column of each table.

use std::time::Instant;

use diesel::connection::SimpleConnection;
use downbeat::store::sqlite::database::Database;
use serde_json::Value;

use super::daily::probe;
use super::listing;
use super::machine::{rss_kib, size_mib};
use super::server::{Downbeat, trivial};
use super::settings::Settings;
use super::sums::{median, spread_ms, thousands};

/// Quick jobs of one turn.
const QUICK: usize = 500;
/// Probes of latency.
const PROBES: usize = 100;
/// Restarts.
const RESTARTS: usize = 3;
/// The past of so many µs a job: a million jobs fill a day, which no retention forgets.
const APART_US: i64 = 86_400;

/// The past, job by job. `n` counts from 1, `t` is when job `n` was submitted. Of 200 jobs 196
/// are COMPLETED, two FAILED, one TIMEOUT, one CANCELLED before it started; there are 100
/// accounts, 1,000 names and a label with 50 values; job 500 and its like have a name and an
/// account that are rare. Events of job `n` have the ids `3 n - 2` to `3 n`.
const PAST: &str = "
PRAGMA synchronous = OFF;
BEGIN IMMEDIATE;
CREATE TEMP TABLE past AS
  WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < {jobs})
  SELECT n, {begin} + n * {apart} AS t,
    CASE n % 200 WHEN 7 THEN 'FAILED' WHEN 107 THEN 'FAILED' WHEN 57 THEN 'TIMEOUT'
      WHEN 157 THEN 'CANCELLED' ELSE 'COMPLETED' END AS state,
    n % 200 <> 157 AS ran
  FROM count;
INSERT INTO jobs (id, name, account, user, partition, state, priority, cpus, memory_bytes,
    time_limit_s, labels, spec, submit_time, eligible_time,
    start_time, end_time, exit_code, error, attempt, completing, process_id, user_cpu_us,
    system_cpu_us, max_rss_bytes)
  SELECT n, CASE n WHEN {jobs} / 2 THEN 'rare' ELSE 'job-' || (n % 1000) END,
    CASE n WHEN {jobs} / 2 THEN 'rare' ELSE 'account-' || (n % 100) END,
    '', 'default', state, 0, 1, NULL, 3600, '{\"team\":\"' || (n % 50) || '\"}',
    '{\"v\":1,\"kill_grace_s\":30,\"create_working_directory\":false,\"data_source\":\"API\"}', t, t,
    CASE WHEN ran THEN t + 2000 END, t + 5000,
    CASE state WHEN 'COMPLETED' THEN '0:0' WHEN 'FAILED' THEN '1:0' WHEN 'TIMEOUT' THEN '0:15' END,
    NULL, ran, CASE state WHEN 'CANCELLED' THEN NULL WHEN 'TIMEOUT' THEN 'time_limit' END,
    CASE WHEN ran THEN 1000 + n % 30000 END, CASE WHEN ran THEN 900 END,
    CASE WHEN ran THEN 700 END, CASE WHEN ran THEN 4734976 END
  FROM past;
INSERT INTO job_scripts (job_id, script, environment)
  SELECT n, '#!/bin/bash' || char(10) || ':' || char(10), '{}' FROM past;
INSERT INTO resource_allocations (id, job_id, attempt, allocated_cpus, cpu_ids, released,
    allocation_time, released_time, process_id, nonce, boot_id)
  SELECT 3 * n - 1, n, 1, 1, '[' || (n % 2) || ']', 1, t + 1000, t + 5000, 1000 + n % 30000,
    '9e3ef54363204ac882e45c53f1069420', 'eb4b0766-cded-4473-a95e-525090af960f'
  FROM past WHERE ran;
INSERT INTO events (id, job_id, attempt, time, from_state, to_state, cause, principal)
  SELECT 3 * n - 2, n, 0, t, NULL, 'PENDING', 'submitted', 'api' FROM past
  UNION ALL
  SELECT 3 * n - 1, n, 1, t + 1000, 'PENDING', 'RUNNING', 'granted', '' FROM past WHERE ran
  UNION ALL
  SELECT 3 * n, n, ran, t + 5000, CASE WHEN ran THEN 'RUNNING' ELSE 'PENDING' END, state,
    CASE WHEN ran THEN 'exited' ELSE 'cancel_asked' END, CASE WHEN ran THEN '' ELSE 'api' END
  FROM past
  ORDER BY 1;
INSERT INTO job_labels (key, value, job_id)
  SELECT 'team', n % 50, n FROM past ORDER BY CAST(n % 50 AS TEXT), n;
UPDATE meta SET next_job_id = {jobs} + 1, next_event_id = 3 * {jobs} + 1;
REPLACE INTO job_counts (state, n) SELECT state, count(*) FROM past GROUP BY state;
DROP TABLE past;
COMMIT;
PRAGMA wal_checkpoint(TRUNCATE);
";

/// A server that remembers so many jobs, which it never ran.
fn with_past(jobs: usize) -> Downbeat {
    let mut server = Downbeat::unstarted(2);
    // The server itself makes the tables.
    server.up();
    assert_eq!(server.stop(), Some(0), "{}", server.log());
    let begin = downbeat::clock::now().0 - (jobs as i64 + 1_000) * APART_US;
    let sql = PAST
        .replace("{jobs}", &jobs.to_string())
        .replace("{begin}", &begin.to_string())
        .replace("{apart}", &APART_US.to_string());
    let before = Instant::now();
    Database::new(server.database()).session().unwrap().batch_execute(&sql).unwrap();
    println!(
        "- {} ended jobs written in {:.0} s; the file has {}",
        thousands(jobs),
        before.elapsed().as_secs_f64(),
        size_mib(&server.database())
    );
    Downbeat::take_over(server)
}

/// Makes the section.
pub fn figures(settings: &Settings) {
    let jobs = settings.history;
    println!("\n## History\n");
    let mut old = with_past(jobs);
    let mut new = Downbeat::start(2);
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..settings.turns {
        let bare = new.batch_rate(&trivial(), QUICK);
        let laden = old.batch_rate(&trivial(), QUICK);
        rates.push(laden);
        ratios.push(laden / bare);
    }
    println!(
        "- {QUICK} quick jobs a turn: {:.0}/s, {:.2} of a server without a past",
        median(&rates),
        median(&ratios)
    );
    println!("- idle submit → first act: {}", spread_ms(&probe(&mut old, PROBES)));
    let restarts: Vec<f64> = (0..RESTARTS).map(|_| old.restart()).collect();
    let first: Vec<f64> = (0..RESTARTS).map(|_| new.restart()).collect();
    println!(
        "- restart → ready: {:.0} ms, without a past {:.0} ms",
        median(&restarts),
        median(&first)
    );
    let mib = |server: &Downbeat| rss_kib(server.server.pid()) / 1024.0;
    println!("- RSS {:.1} MiB, without a past {:.1} MiB", mib(&old), mib(&new));
    listing::print(&listing::ask(&mut old, &questions(jobs)));
    old.server.is_clean();
    let counted: Value = old.get("/api/v1/dashboard");
    let failed = counted["job_stats"]["failed"].as_u64().unwrap();
    // Two of 200 FAILED and one TIMEOUT, which the dashboard counts as failed too.
    assert_eq!(failed as usize, (0..=jobs).filter(|n| [7, 57, 107].contains(&(n % 200))).count());
}

/// What people ask of a long past. The rare job stands in its middle.
fn questions(jobs: usize) -> Vec<(&'static str, String)> {
    let middle = jobs / 2;
    let ago_us = downbeat::clock::now().0 - middle as i64 * APART_US;
    let since = downbeat::clock::rfc3339(downbeat::time::Time(ago_us));
    let page = |query: &str| format!("/api/v1/jobs?limit=1000{query}");
    vec![
        ("all, first page", page("")),
        ("all, middle page", page(&format!("&cursor={middle}"))),
        ("COMPLETED, middle page", page(&format!("&state=COMPLETED&cursor={middle}"))),
        ("FAILED (1 %), first page", page("&state=FAILED")),
        ("FAILED, middle page", page(&format!("&state=FAILED&cursor={middle}"))),
        ("PENDING (none)", page("&state=PENDING")),
        ("account of 1 %", page("&account=account-7")),
        ("account of one job", page("&account=rare")),
        ("account of nobody", page("&account=nobody")),
        ("name of 0.1 %", page("&name=job-7")),
        ("name of one job", page("&name=rare")),
        ("label of 2 %", page("&label=team:7")),
        ("label of nobody", page("&label=team:none")),
        ("since, oldest first", page(&format!("&since={since}&sort=id"))),
        ("until, newest first", page(&format!("&until={since}"))),
        ("COMPLETED, the last end first", page("&state=COMPLETED&sort=-end_time")),
        ("all, by name", page("&sort=name")),
        ("FAILED of an account, by CPUs", page("&state=FAILED&account=account-7&sort=-cpus")),
        ("FAILED of an account", page("&state=FAILED&account=account-7")),
        ("one job", format!("/api/v1/jobs/{middle}")),
        ("its events", format!("/api/v1/jobs/{middle}/events")),
        ("dashboard", "/api/v1/dashboard".to_owned()),
        ("allocations", "/api/v1/allocations?limit=1000".to_owned()),
        ("audit", "/api/v1/audit".to_owned()),
    ]
}
