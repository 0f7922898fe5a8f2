//! *Purpose*: ledger = database = processes, seen from outside.
//!
//! *Owns*: the comparison at intervals, and the last one.
//!
//! *Promises*: nothing is compared that may rightly differ at that moment: the database is read
//! in one statement, and a process is held against ends that were read before it was seen.
//!
//! *Not here*: the server's own audit (`actors::audit`), which is only asked.

use std::collections::BTreeSet;
use std::fs;

use crate::common::{Server, processes_of, until};
use crate::load::Load;
use crate::stats::Stats;

/// At any time.
pub fn agree(server: &Server, load: &Load, stats: &mut Stats) {
    let audit = server.get("/api/v1/audit").expect(200).json();
    if audit["consistent"] != true {
        stats.drift += 1;
        stats.breaks(format!("the audit: {audit}"));
    }
    let leak = server.sql(
        "SELECT (SELECT count(*) FROM held_units) - (SELECT coalesce(sum(cpus), 0) FROM jobs \
         WHERE state IN ('RUNNING', 'COMPLETING')) || '' AS line",
    );
    if leak != "0" {
        stats.leaks += 1;
        stats.breaks(format!("{leak} CPUs are held by nobody that lives"));
    }
    let open: BTreeSet<i64> = load.open.keys().copied().collect();
    for pid in processes_of(&server.data()) {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let key = environment.split('\0').find_map(|e| e.strip_prefix("DOWNBEAT_KEY="));
        let job = key.and_then(|key| key.split('.').next()?.parse::<i64>().ok());
        if job.is_some_and(|job| !open.contains(&job)) {
            stats.leaks += 1;
            stats.breaks(format!("process {pid} of job {job:?} outlives its job"));
        }
    }
    // All is well so far: what led here needs no keeping.
    if stats.broken.is_empty() {
        let log = fs::File::options().write(true).open(server.dir.path().join("log")).unwrap();
        log.set_len(0).unwrap();
    }
}

/// When every job has ended.
pub fn all_is_over(server: &Server, load: &Load, stats: &mut Stats) {
    let now = server.get("/api/v1/resources").expect(200).json();
    if now["used_cpus"] != 0 {
        stats.leaks += now["used_cpus"].as_u64().unwrap_or(1);
        stats.breaks(format!("in the end {now}"));
    }
    let history = server.sql(
        "SELECT (SELECT count(*) FROM held_units) || ' ' || \
         (SELECT count(*) FROM resource_allocations \
          WHERE NOT released OR released_time IS NULL) || ' ' || \
         (SELECT count(*) FROM jobs j WHERE attempt > 1 OR end_time IS NULL OR attempt <> \
          (SELECT count(*) FROM resource_allocations WHERE job_id = j.id)) || ' ' || \
         (SELECT count(*) FROM jobs j WHERE 1 <> \
          (SELECT count(*) FROM events WHERE job_id = j.id AND to_state NOT IN \
           ('PENDING', 'RUNNING', 'COMPLETING'))) || ' ' || \
         (SELECT count(*) FROM jobs) AS line",
    );
    if history != format!("0 0 0 0 {}", stats.jobs) {
        stats.breaks(format!("held, unreleased, attempts, ends, jobs: {history}"));
    }
    let marks: Vec<_> = fs::read_dir(load.home.join("marks")).unwrap().flatten().collect();
    if !marks.is_empty() {
        stats.twice += 1;
        stats.breaks(format!("started again after their end: {marks:?}"));
    }
    server.is_at_rest();
    until("the spool to be tidy", || {
        let entries = fs::read_dir(server.data().join("spool")).unwrap().flatten();
        let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.find(|name| !name.starts_with("free.")).map_or(Ok(()), Err)
    });
}
