//! *Purpose*: what the wire costs: reading what is submitted, writing what is asked for.
//!
//! *Owns*: criterion benches of JSON.
//!
//! *Promises*: no I/O; a body that is read goes through the kernel's door too, as a submit does.
//!
//! *Not here*: HTTP (`benches/compare`), rows (`benches/store.rs`).

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use downbeat::api::wire::dialect::ApiDialect;
use downbeat::api::wire::submit::{parse_batch, parse_submit};
use downbeat::api::wire::v1::{Job, JobList};
use downbeat::kernel::admission::Site;
use serde_json::{Value, json};

/// Jobs of a batch.
const BATCH: usize = 1_000;
/// Jobs of a page.
const PAGE: usize = 100;

fn site() -> Site {
    Site { total_cpus: 64, kill_grace_s: 30, output_roots: Vec::new(), ..Site::default() }
}

/// A body as people send it: a few fields, a script with a few lines for Slurm.
fn full() -> Value {
    json!({
        "script": "#!/bin/bash\n#SBATCH --time=10\n#SBATCH --mem=2G\nsrun ./align input.fa\n",
        "name": "align", "account": "genomics", "cpus": 4,
        "environment": {"REFERENCE": "/data/hg38.fa", "LANG": "C.UTF-8"},
        "labels": {"run": "17", "team": "blue"},
    })
}

fn reading(c: &mut Criterion) {
    let site = site();
    let mut group = c.benchmark_group("read");
    for (name, body) in [("trivial", json!({"script": "#!/bin/bash\n:\n"})), ("full", full())] {
        let text = body.to_string();
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("a {name} submit"), |b| {
            b.iter(|| {
                parse_submit(black_box(text.as_bytes()), ApiDialect::V1).unwrap().check(&site)
            });
        });
        let jobs: Vec<&Value> = std::iter::repeat_n(&body, BATCH).collect();
        let text = json!({ "jobs": jobs }).to_string();
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function(format!("a batch of {BATCH} {name} jobs"), |b| {
            b.iter(|| {
                let all = parse_batch(black_box(text.as_bytes())).unwrap().into_iter();
                all.map(|one| one.check(&site).unwrap()).collect::<Vec<_>>()
            });
        });
    }
    group.finish();
}

/// A job that has ended, with every field.
fn ended() -> Job {
    let time = "2026-11-22T03:42:17.123456Z";
    serde_json::from_value(json!({
        "id": 123_456, "name": "align", "account": "genomics", "user": "anna",
        "partition": "default", "state": "COMPLETED", "priority": 0, "cpus": 4,
        "memory_bytes": 2_147_483_648_u64, "time_limit_s": 600,
        "working_directory": "/var/lib/downbeat/jobs/123456/work",
        "labels": {"run": "17", "team": "blue"}, "data_source": "API",
        "submit_time": time, "eligible_time": time, "start_time": time, "end_time": time,
        "elapsed_s": 17, "exit_code": "0:0", "warnings": [], "attempt": 1,
        "allocation": {"cpu_ids": [0, 1, 2, 3], "process_id": 4_711, "allocation_time": time,
            "released": true, "released_time": time},
        "usage": {"user_cpu_s": 12.5, "system_cpu_s": 0.25, "max_rss_bytes": 104_857_600},
    }))
    .unwrap()
}

fn writing(c: &mut Criterion) {
    let mut group = c.benchmark_group("write");
    let job = ended();
    group.throughput(Throughput::Elements(1));
    group.bench_function("a job", |b| b.iter(|| serde_json::to_vec(black_box(&job)).unwrap()));
    let jobs = std::iter::repeat_n(job, PAGE).collect();
    let page = JobList { jobs, next_cursor: Some("123356".to_owned()) };
    group.throughput(Throughput::Elements(PAGE as u64));
    group.bench_function(format!("a page of {PAGE} jobs"), |b| {
        b.iter(|| serde_json::to_vec(black_box(&page)).unwrap());
    });
    group.finish();
}

criterion_group!(group, reading, writing);
criterion_main!(group);
