//! *Purpose*: what accounts use, as numbers for Prometheus.
//!
//! *Owns*: [`ByAccount`]: of each account what its attempts held, how long its jobs waited and how
//! they ended, since this server started.
//!
//! *Promises*: an attempt counts once, when it has given back what it held; beyond
//! [`ACCOUNTS_MAX`] accounts the others share one line, so that names made up by users take bounded
//! memory.
//!
//! *Not here*: usage over any time (`store::used`), the part of usage that makes priorities
//! (`kernel::parts::accounts`).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use crate::job::state::StateWord;
use crate::kernel::views::holding::Holding;
use crate::time::{SECOND_US, Time};

/// Accounts with lines of their own: a large site has hundreds.
pub const ACCOUNTS_MAX: usize = 1_000;
/// The name of all others together, as in the settings.
const OTHERS: &str = "*";

/// What one account has used.
#[derive(Clone, Debug, Default)]
struct Used {
    cpu_us: u64,
    gpu_us: u64,
    started: u64,
    waited_us: u64,
    ended: BTreeMap<StateWord, u64>,
}

/// What all have used.
#[derive(Debug, Default)]
pub struct ByAccount(Mutex<HashMap<Arc<str>, Used>>);

impl ByAccount {
    /// An attempt of this account gave back what it held.
    pub fn released(&self, held: &Holding, now: Time) {
        let span_us = u64::try_from(now.since_us(held.granted)).unwrap_or(0);
        self.with(&held.account, |used| {
            used.cpu_us = used.cpu_us.saturating_add(span_us.saturating_mul(held.cpus.into()));
            used.gpu_us = used.gpu_us.saturating_add(span_us.saturating_mul(held.gpus));
        });
    }

    /// A script of this account was spawned so long after its submission.
    pub fn started(&self, account: &Arc<str>, waited_us: i64) {
        self.with(account, |used| {
            used.started += 1;
            used.waited_us = used.waited_us.saturating_add(u64::try_from(waited_us).unwrap_or(0));
        });
    }

    /// A job of this account ended so.
    pub fn ended(&self, account: &Arc<str>, state: StateWord) {
        self.with(account, |used| *used.ended.entry(state).or_default() += 1);
    }

    fn with(&self, account: &Arc<str>, count: impl FnOnce(&mut Used)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = all.len() < ACCOUNTS_MAX || all.contains_key(account);
        let name = if room { Arc::clone(account) } else { OTHERS.into() };
        count(all.entry(name).or_default());
    }

    /// Adds the numbers.
    pub(super) fn register(&self, registry: &mut Registry) {
        type Labels = Vec<(&'static str, String)>;
        type Seconds = Family<Labels, Counter<f64>>;
        let (cpu, gpu, waited) = (Seconds::default(), Seconds::default(), Seconds::default());
        let (started, ended) = (Family::<Labels, Counter>::default(), Family::default());
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (name, used) in all {
            let account = || ("account", name.to_string());
            let seconds = |us: u64| us as f64 / SECOND_US as f64;
            cpu.get_or_create(&vec![account()]).inc_by(seconds(used.cpu_us));
            gpu.get_or_create(&vec![account()]).inc_by(seconds(used.gpu_us));
            waited.get_or_create(&vec![account()]).inc_by(seconds(used.waited_us));
            started.get_or_create(&vec![account()]).inc_by(used.started);
            for (state, count) in used.ended {
                let labels = vec![account(), ("state", state.word().to_owned())];
                let of_state: &Family<Labels, Counter> = &ended;
                of_state.get_or_create(&labels).inc_by(count);
            }
        }
        let mut seconds = |name, help, family| {
            registry.register_with_unit(name, help, Unit::Seconds, family);
        };
        seconds("account_cpu", "CPU time that attempts of an account held, once they ended", cpu);
        seconds("account_gpu", "GPU time that attempts of an account held, once they ended", gpu);
        seconds("account_wait", "How long jobs of an account waited that were started", waited);
        registry.register("account_jobs_started", "Scripts spawned, by account", started);
        registry.register("account_jobs_ended", "Jobs that ended, by account and state", ended);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    fn text(all: &ByAccount) -> String {
        let (mut registry, mut text) = (Registry::default(), String::new());
        all.register(&mut registry);
        encode(&mut text, &registry).unwrap();
        text
    }

    fn held(account: &str, cpus: u32, gpus: u64) -> Holding {
        Holding { account: account.into(), cpus, gpus, granted: Time(0) }
    }

    #[test]
    fn what_an_attempt_held_counts_for_as_long_as_it_held_it() {
        let all = ByAccount::default();
        all.released(&held("a", 4, 1), Time(3 * SECOND_US));
        all.released(&held("a", 1, 0), Time(SECOND_US / 2));
        all.released(&held("b", 1, 0), Time(-SECOND_US));
        all.started(&"a".into(), 1_500_000);
        all.ended(&"a".into(), StateWord::Timeout);
        let text = text(&all);
        for line in [
            "account_cpu_seconds_total{account=\"a\"} 12.5",
            "account_gpu_seconds_total{account=\"a\"} 3.0",
            "account_cpu_seconds_total{account=\"b\"} 0.0",
            "account_wait_seconds_total{account=\"a\"} 1.5",
            "account_jobs_started_total{account=\"a\"} 1",
            "account_jobs_ended_total{account=\"a\",state=\"TIMEOUT\"} 1",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}: {text}");
        }
    }

    #[test]
    fn names_made_up_by_users_take_only_so_many_lines_and_break_none() {
        let all = ByAccount::default();
        let odd: Arc<str> = "a\"b\\c".into();
        all.started(&odd, 0);
        for n in 0..ACCOUNTS_MAX + 5 {
            all.started(&n.to_string().into(), 0);
        }
        let text = text(&all);
        assert!(text.contains("account_jobs_started_total{account=\"a\\\"b\\\\c\"} 1\n"), "{text}");
        assert!(text.contains("account_jobs_started_total{account=\"*\"} 6\n"));
        let lines = text.lines().filter(|line| line.starts_with("account_jobs_started_total"));
        assert_eq!(lines.count(), ACCOUNTS_MAX + 1);
    }
}
