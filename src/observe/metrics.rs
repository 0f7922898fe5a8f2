//! *Purpose*: numbers for Prometheus.
//!
//! *Owns*: the counters that a snapshot does not have, and both [`Exposition`]s.
//!
//! *Promises*: gauges are read from the snapshot at scrape time, so they are of one commit. Each
//! name has its type and help in either form, and only counters end in `_total`.
//!
//! *Not here*: the route (`api::health`).

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::by_account::ByAccount;
use crate::job::state::StateWord;
use crate::kernel::access::Role;
use crate::kernel::views::snapshot::Snapshot;
use crate::time::SECOND_US;

/// Bounds of the start latency histogram, seconds: from a bare spawn to a long queue.
const LATENCY_BUCKETS_S: [f64; 14] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3_600.0, 86_400.0];

/// The form in which numbers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus text, 0.0.4: what everybody reads.
    Prometheus,
    /// OpenMetrics text, 1.0.0.
    OpenMetrics,
}

/// Counters of this process.
#[derive(Debug)]
pub struct Metrics {
    start_latency: Histogram,
    commits: Counter,
    drift: AtomicI64,
    drifted: Counter,
    refused: Family<Vec<(&'static str, &'static str)>, Counter>,
    /// What accounts have used.
    pub by_account: ByAccount,
    /// Living resource managers; must be 1.
    pub resource_managers: AtomicU32,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            start_latency: Histogram::new(LATENCY_BUCKETS_S),
            commits: Counter::default(),
            drift: AtomicI64::new(0),
            drifted: Counter::default(),
            refused: Family::default(),
            by_account: ByAccount::default(),
            resource_managers: AtomicU32::new(0),
        }
    }
}

impl Metrics {
    /// A script was spawned so long after its submission.
    pub fn started(&self, waited_us: i64) {
        self.start_latency.observe(waited_us.max(0) as f64 / SECOND_US as f64);
    }

    /// A commit is durable.
    pub fn committed(&self) {
        self.commits.inc();
    }

    /// The last audit found so many disagreements.
    pub fn drift(&self, found: usize) {
        self.drift.store(found as i64, Ordering::Relaxed);
    }

    /// A sweep found a disagreement that the one before had not.
    pub fn drifted(&self) {
        self.drifted.inc();
    }

    /// Somebody of this role asked for what he may not; `None`: nobody who is known.
    pub fn refused(&self, role: Option<Role>) {
        let role = role.map_or("none", Role::into);
        self.refused.get_or_create(&vec![("role", role)]).inc();
    }

    /// The numbers as text, with "now" from this snapshot; with accounts, where what they use is no
    /// secret.
    ///
    /// # Errors
    /// Never in practice: writing into a string.
    pub fn text(
        &self,
        now: &Snapshot,
        form: Exposition,
        accounts: bool,
    ) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("downbeat");
        let jobs: Family<Vec<(String, String)>, Gauge> = Family::default();
        for state in StateWord::ALL.iter().copied() {
            let labels = vec![("state".to_owned(), state.word().to_owned())];
            jobs.get_or_create(&labels).set(now.count(state) as i64);
        }
        registry.register("jobs", "Jobs by state", jobs);
        let gauge = |value: i64| ConstGauge::new(value);
        registry.register("cpus_capacity", "CPUs configured", gauge(now.total_cpus.into()));
        registry.register("cpus_used", "CPUs held by jobs", gauge(now.used_cpus.into()));
        registry.register("cpus_available", "CPUs free", gauge(now.available_cpus.into()));
        let bytes = |value: u64| gauge(i64::try_from(value).unwrap_or(i64::MAX));
        let used = bytes(now.used_memory);
        registry.register_with_unit("memory_used", "Memory held by jobs", Unit::Bytes, used);
        // Where memory is not counted there is no total.
        if let (Some(total), Some(free)) = (now.total_memory, now.available_memory) {
            let (total, free) = (bytes(total), bytes(free));
            registry.register_with_unit("memory_total", "Memory to hand out", Unit::Bytes, total);
            registry.register_with_unit("memory_available", "Memory free", Unit::Bytes, free);
        }
        others(&mut registry, now);
        self.counted(&mut registry, now);
        if accounts {
            self.by_account.register(&mut registry);
        }
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(match form {
            Exposition::OpenMetrics => text,
            Exposition::Prometheus => prometheus(&text),
        })
    }

    /// What this process counts, and what must be so.
    fn counted(&self, registry: &mut Registry, now: &Snapshot) {
        let gauge = |value: i64| ConstGauge::new(value);
        registry.register(
            "allocations",
            "Allocations since this server started",
            ConstCounter::new(now.allocations),
        );
        registry.register(
            "releases",
            "Releases since this server started",
            ConstCounter::new(now.releases),
        );
        registry.register(
            "stale_facts",
            "Facts that came late or twice; normal",
            ConstCounter::new(now.stale_facts),
        );
        registry.register("commits", "Durable commits of this server", self.commits.clone());
        registry.register(
            "ledger_drift",
            "Disagreements found by the last audit; must be 0",
            gauge(self.drift.load(Ordering::Relaxed)),
        );
        registry.register(
            "drift_found",
            "Disagreements found by sweeps since this server started; must be 0",
            self.drifted.clone(),
        );
        registry.register(
            "cpus_held_back",
            "CPUs not handed out because an audit doubts that they are free; must be 0",
            gauge(now.held_back.len() as i64),
        );
        registry.register(
            "resource_managers",
            "Living resource managers; must be 1",
            gauge(self.resource_managers.load(Ordering::SeqCst).into()),
        );
        registry.register(
            "requests_refused",
            "Requests for what their sender may not, by what he is",
            self.refused.clone(),
        );
        registry.register_with_unit(
            "start_latency",
            "From submission to the spawn of the script",
            Unit::Seconds,
            self.start_latency.clone(),
        );
    }
}

/// OpenMetrics text as Prometheus text: there a counter is declared by the name that its sample
/// has, and there are no units and no end.
fn prometheus(text: &str) -> String {
    let type_of = |line: &str| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        (kind == "counter").then(|| name.to_owned())
    };
    let counters: HashSet<String> = text.lines().filter_map(type_of).collect();
    let mut told = String::with_capacity(text.len());
    for line in text.lines().filter(|line| !line.starts_with("# UNIT ") && *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(name), Some(rest)) if counters.contains(name) => {
                told.extend(["# ", what, " ", name, "_total ", rest, "\n"]);
            }
            _ => told.extend([line, "\n"]),
        }
    }
    told
}

/// Other resources by name; what is not counted has no total.
fn others(registry: &mut Registry, now: &Snapshot) {
    type Named = Family<Vec<(String, String)>, Gauge>;
    let (total, used, free) = (Named::default(), Named::default(), Named::default());
    for one in &now.others {
        let name = vec![("resource".to_owned(), one.name.to_string())];
        let set = |family: &Named, amount: u64| {
            family.get_or_create(&name).set(i64::try_from(amount).unwrap_or(i64::MAX));
        };
        set(&used, one.used);
        if let (Some(all), Some(left)) = (one.total, one.free) {
            set(&total, all);
            set(&free, left);
        }
    }
    registry.register("resource_capacity", "What there is of a resource", total);
    registry.register("resource_used", "What jobs hold of it", used);
    registry.register("resource_available", "What can be handed out of it", free);
}
