//! *Purpose*: the scheduling pass is judged by the published schedules of real machines.
//!
//! *Owns*: the rows of reference: trace × policy → the SHA-256 of every job's wait.
//!
//! *Promises*: equal job by job, not nearly; all rows are compared before the first difference is
//! told, with the first job that differs where the expected waits are at hand.
//!
//! *Not here*: the traces, which belong to others: they are read from `DOWNBEAT_TRACES` or from
//! `../shared/traces`, and their absence is said in the last lines of a run.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use downbeat::simulate::replay::{Clock, Setting, replay};
use downbeat::simulate::summary::{Summary, waits_text};
use downbeat::simulate::swf::{self, Trace};

fn folder() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("DOWNBEAT_TRACES").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| here.join("../shared/traces"));
    let found = folder.join("expected-simref-batch.tsv").exists();
    if !found {
        println!("ABSENT traces: {} has none; set DOWNBEAT_TRACES", folder.display());
    }
    found.then_some(folder)
}

/// One line of a table, by the names of its columns.
type Row = BTreeMap<String, String>;

fn rows(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let row = |line: &str| {
        let words = line.split('\t').map(str::to_owned);
        header.iter().map(|name| (*name).to_owned()).zip(words).collect()
    };
    lines.map(row).collect()
}

/// A row, and in which mode it is to be replayed.
struct Case {
    row: Row,
    clock: Clock,
}

impl Case {
    fn setting(&self) -> Setting {
        let mut setting: Setting = self.row["policy"].parse().unwrap();
        setting.clock = self.clock;
        setting.clairvoyant = self.row.get("estimates").is_some_and(|e| e == "clairvoyant");
        setting
    }

    /// What differs from the row; empty when nothing does.
    fn judge(&self, folder: &Path, trace: &Trace) -> String {
        let outcome = replay(trace, self.setting(), &mut |_, _| ());
        let got = Summary::of(trace, &outcome);
        let mut wrong = String::new();
        let mut exact = |column: &str, value: String| {
            if let Some(expected) = self.row.get(column).filter(|expected| **expected != value) {
                let _ = write!(wrong, " {column} {expected} got {value};");
            }
        };
        exact("jobs", got.jobs.to_string());
        exact("procs", got.processors.to_string());
        exact("dropped", got.dropped.to_string());
        exact("sum_wait", got.wait_sum.to_string());
        exact("max_wait", got.wait_max.to_string());
        exact("p95_wait", got.wait_p95.to_string());
        exact("makespan", got.makespan.to_string());
        exact("wide_at", got.wide_at.to_string());
        exact("wide_n", got.wide_jobs.to_string());
        exact("wide_max_wait", got.wide_wait_max.to_string());
        exact("max_queue", got.queue_max.to_string());
        // The reference also looks at instants whose reservation has moved since.
        if !self.row["policy"].contains("+cons") {
            exact("passes", got.passes.to_string());
        }
        exact("sha256", got.waits_sha256.clone());
        exact("sha256_of_id_wait_lines", got.waits_sha256);
        let mut close = |column: &str, value: f64| {
            let Some(expected) = self.row.get(column) else { return };
            let expected: f64 = expected.parse().unwrap();
            // Tables round means to six places; sums of doubles depend on their order.
            if (expected - value).abs() > 1e-9 * expected.abs() + 6e-7 {
                let _ = write!(wrong, " {column} {expected} got {value};");
            }
        };
        close("mean_wait", got.wait_mean);
        close("mean_bsld", got.slowdown_mean);
        close("p95_bsld", got.slowdown_p95);
        close("max_bsld", got.slowdown_max);
        close("util", got.utilization);
        close("wide_mean_wait", got.wide_wait_mean);
        if !wrong.is_empty() {
            wrong.push_str(&self.first_difference(folder, &waits_text(trace, &outcome)));
        }
        wrong
    }

    fn first_difference(&self, folder: &Path, got: &str) -> String {
        let name =
            |key: &str| self.row.get(key).map_or("request", String::as_str).replace('+', "_");
        let file = format!("{}.{}.{}.waits.gz", name("trace"), name("policy"), name("estimates"));
        let Ok(packed) = std::fs::File::open(folder.join(file)) else { return String::new() };
        let mut expected = String::new();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut expected).unwrap();
        let differs = expected.lines().zip(got.lines()).find(|(a, b)| a != b);
        differs.map_or_else(String::new, |(a, b)| format!(" first: expected \"{a}\", got \"{b}\""))
    }
}

fn compare(clocks: &[Clock], table: &str) {
    let Some(folder) = folder() else { return };
    let cases: Vec<Case> = rows(&folder.join(table))
        .into_iter()
        .flat_map(|row| clocks.iter().map(move |clock| Case { row: row.clone(), clock: *clock }))
        .collect();
    assert!(cases.len() > 9, "{} rows in {table}", cases.len());
    let mut traces: BTreeMap<&str, Arc<Trace>> = BTreeMap::new();
    for case in &cases {
        let name = case.row["trace"].as_str();
        let read = || Arc::new(swf::read(&folder.join(format!("{name}.swf.gz")), None).unwrap());
        traces.entry(name).or_insert_with(read);
    }
    let next = AtomicUsize::new(0);
    let said = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let wrong = case.judge(&folder, &traces[case.row["trace"].as_str()]);
                    let word = if wrong.is_empty() { "equal" } else { "DIFFERS" };
                    let (row, clock) = (&case.row, case.clock);
                    let estimates = row.get("estimates").map_or("request", String::as_str);
                    let (trace, policy) = (&row["trace"], &row["policy"]);
                    let line = format!("{trace} {policy} {clock:?} {estimates}: {word}{wrong}");
                    said.lock().unwrap().push(line);
                }
            });
        }
    });
    let mut said = said.into_inner().unwrap();
    said.sort();
    println!("{}", said.join("\n"));
    let wrong = said.iter().filter(|line| line.contains("DIFFERS")).count();
    assert_eq!(wrong, 0, "of {} rows:\n{}", said.len(), said.join("\n"));
}

#[test]
fn in_batch_mode_every_row_of_the_reference_is_met_job_by_job() {
    compare(&[Clock::Batch], "expected-simref-batch.tsv");
}

#[test]
fn in_sequential_mode_every_schedule_of_pyss_is_met_job_by_job() {
    compare(&[Clock::Sequential], "expected-pyss.tsv");
}

#[test]
fn where_no_instants_coincide_both_modes_meet_ocst_job_by_job() {
    compare(&[Clock::Batch, Clock::Sequential], "expected-ocst-tiefree.tsv");
}
