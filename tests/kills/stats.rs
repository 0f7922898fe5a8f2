//! *Purpose*: what was seen, as a table.
//!
//! *Owns*: [`Stats`].
//!
//! *Promises*: it holds numbers, not jobs; a broken promise is kept in words.
//!
//! *Not here*: judging (`job`, `consistency`).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::job::Job;
use crate::targets::Targets;

/// A boot late in the history may take so many times what one takes at first, and that much more.
const SLOWER: u128 = 3;
/// See [`SLOWER`].
const SLACK_MS: u128 = 100;
/// The same for the memory of a server that has just started, KiB more.
const HEAVIER_KIB: u64 = 16 * 1024;
/// Fewer boots than this say nothing about growth.
const BOOTS_MIN: usize = 40;

/// What was seen.
#[derive(Default)]
pub struct Stats {
    pub rounds: u64,
    pub jobs: u64,
    /// Kills during a boot.
    pub booting: u64,
    /// Submissions without an answer that were not stored, and that were.
    pub absent: u64,
    pub whole: u64,
    pub twice: u64,
    pub lost: u64,
    pub untrue: u64,
    pub leaks: u64,
    pub drift: u64,
    pub broken: Vec<String>,
    targets: BTreeMap<Targets, u64>,
    states: BTreeMap<String, u64>,
    /// Time to listen, and KiB resident then.
    boots: Vec<(Duration, u64)>,
}

impl Stats {
    pub fn breaks(&mut self, promise: String) {
        eprintln!("BROKEN in round {}: {promise}", self.rounds);
        self.broken.push(promise);
    }

    pub fn killed(&mut self, targets: Targets) {
        *self.targets.entry(targets).or_default() += 1;
    }

    pub fn booted(&mut self, took: Duration, pid: u32) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("0");
        let kib = line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
        self.boots.push((took, kib));
    }

    pub fn ended(&mut self, job: &Job, shown: &Value) {
        self.jobs += 1;
        let state = shown["state"].as_str().unwrap_or("?");
        let known = if shown["exit_code"].is_null() { ", code unknown" } else { "" };
        *self.states.entry(format!("{state}{known}")).or_default() += 1;
        if let Err(why) = job.may_be(shown) {
            *(if why == "ran twice" { &mut self.twice } else { &mut self.untrue }) += 1;
            let starts = job.starts();
            self.breaks(format!("{why}: {starts} starts, {job:?}, ended as {shown}"));
        }
    }

    /// Medians of the first and the last tenth of the boots.
    fn first_and_last(&self) -> Option<[(Duration, u64); 2]> {
        let tenth = self.boots.len() / 10;
        let median = |part: &[(Duration, u64)]| {
            let (mut times, mut sizes): (Vec<_>, Vec<_>) = part.iter().copied().unzip();
            times.sort_unstable();
            sizes.sort_unstable();
            (times[times.len() / 2], sizes[sizes.len() / 2])
        };
        let enough = self.boots.len() >= BOOTS_MIN;
        enough.then(|| [&self.boots[..tenth], &self.boots[self.boots.len() - tenth..]].map(median))
    }

    /// Boots neither slow down nor grow with the history.
    pub fn history_costs_nothing(&self) {
        let Some([first, last]) = self.first_and_last() else { return };
        let bound = first.0.as_millis() * SLOWER + SLACK_MS;
        assert!(last.0.as_millis() <= bound, "boots took {:?}, then {:?}", first.0, last.0);
        assert!(last.1 <= first.1 + HEAVIER_KIB, "servers had {} KiB, then {}", first.1, last.1);
    }

    pub fn table(&self, took: Duration) -> String {
        let mut rows: Vec<(String, String)> = Vec::new();
        let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
        let s = took.as_secs_f64();
        row("rounds", format!("{} in {s:.0} s", self.rounds));
        for (targets, n) in &self.targets {
            row(&format!("killed: {targets}"), n.to_string());
        }
        row("killed again while it booted", self.booting.to_string());
        row("jobs", self.jobs.to_string());
        for (state, n) in &self.states {
            row(&format!("ended {state}"), n.to_string());
        }
        row("unanswered, found whole", self.whole.to_string());
        row("unanswered, absent, sent again", self.absent.to_string());
        if let Some([first, last]) = self.first_and_last() {
            let ms = |d: Duration| d.as_secs_f64() * 1e3;
            row("boot, first tenth", format!("{:.0} ms, {} MiB", ms(first.0), first.1 / 1024));
            row("boot, last tenth", format!("{:.0} ms, {} MiB", ms(last.0), last.1 / 1024));
        }
        row("ran twice", self.twice.to_string());
        row("lost", self.lost.to_string());
        row("untrue codes or states", self.untrue.to_string());
        row("leaked CPUs or processes", self.leaks.to_string());
        row("audits that drifted", self.drift.to_string());
        let mut table = String::new();
        for (name, value) in rows {
            let _ = writeln!(table, "{name:<55} {value:>20}");
        }
        table
    }
}
