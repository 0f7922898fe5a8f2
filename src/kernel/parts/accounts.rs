//! *Purpose*: what each account may have, what it has, and what it has used; and the same of each
//! user.
//!
//! *Owns*: [`Accounts`], the decay of usage.
//!
//! *Promises*: counts follow every start and end; usage falls by half in each half-life,
//! whether it is looked at often or seldom. Where no account has a rule and nothing is shared,
//! accounts are not told apart and cost nothing. A user is limited as an account is; usage is
//! counted of accounts alone.
//!
//! *Not here*: what usage is worth in the queue (`kernel::parts::priority`), who is kept from
//! starting (`policy::input`), the rules (`kernel::parts::limits`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::kernel::parts::limits::{AccountRule, AccountRules, Waiting};
use crate::policy::input::{Quota, of_resource};
use crate::resources::capacity::{Demand, Part};
use crate::resources::inventory::Inventory;
use crate::time::{SECOND_US, Time};

/// Accounts that are told apart; beyond them one without jobs, of the least usage, makes room. A
/// pass looks at all of them, and a site has hundreds.
pub const ACCOUNTS_KEPT: usize = 10_000;
/// The account of nobody: it is not counted.
pub const UNCOUNTED: u32 = 0;

/// An account, or a user, as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Its name; empty for jobs that name no account.
    pub name: Arc<str>,
    /// What it may have.
    pub rule: AccountRule,
    /// CPUs that its jobs hold.
    pub running_cpus: u32,
    /// Its jobs that hold CPUs.
    pub running_jobs: u32,
    /// What its jobs may hold of each other resource that its rule names, and what they hold.
    running: Vec<(Part, u64)>,
    /// Its jobs that are submitted and not durable yet.
    pub entering: Waiting,
    /// CPU-seconds, decayed, as of `at`.
    usage: f64,
    at: Time,
}

impl Account {
    /// What it may still start.
    #[must_use]
    pub fn quota(&self) -> Quota {
        let left = |max: Option<u32>, now: u32| max.map_or(u32::MAX, |max| max.saturating_sub(now));
        Quota {
            cpus: left(self.rule.max_running_cpus, self.running_cpus),
            jobs: left(self.rule.max_running_jobs, self.running_jobs),
            rest: self.running.iter().map(|(max, now)| left_of(max, *now)).collect(),
        }
    }

    /// Its jobs hold so much more from now on, or so much less.
    fn count(&mut self, asked: &Demand<'_>, more: bool) {
        let add = |now: u32, n: u32| if more { now + n } else { now.saturating_sub(n) };
        self.running_cpus = add(self.running_cpus, asked.cpus);
        self.running_jobs = add(self.running_jobs, 1);
        for (max, now) in &mut self.running {
            let amount = of_resource(asked, max);
            *now = if more { now.saturating_add(amount) } else { now.saturating_sub(amount) };
        }
    }

    fn settle(&mut self, now: Time, half_life_s: Option<u32>) {
        if let Some(half_life_s) = half_life_s {
            self.usage = self.usage_at(now, half_life_s);
        }
        self.at = self.at.max(now);
    }

    /// CPU-seconds, decayed; what runs now counts.
    fn usage_at(&self, now: Time, half_life_s: u32) -> f64 {
        let span_s = now.since_us(self.at).max(0) as f64 / SECOND_US as f64;
        decayed(self.usage, self.running_cpus, span_s, half_life_s)
    }
}

fn left_of(max: &Part, now: u64) -> Part {
    Part { amount: max.amount.saturating_sub(now), ..*max }
}

/// What is left of so much usage after this span, in which so many CPUs were held.
#[must_use]
pub fn decayed(usage: f64, cpus: u32, span_s: f64, half_life_s: u32) -> f64 {
    let rate = std::f64::consts::LN_2 / f64::from(half_life_s.max(1));
    let kept = (-rate * span_s).exp();
    // What is used in an instant decays from then on: the integral of that over the span.
    usage * kept + f64::from(cpus) * (1.0 - kept) / rate
}

/// All accounts that are told apart.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    rules: Arc<AccountRules>,
    /// What the limits of rules are of.
    inventory: Arc<Inventory>,
    half_life_s: Option<u32>,
    ids: HashMap<Arc<str>, u32>,
    /// Account `n` stands at `n - 1`.
    list: Vec<Account>,
    /// What accounts had used by when, CPU-µs, as long as usage is not counted.
    set_aside: BTreeMap<Arc<str>, (i64, Time)>,
}

impl Accounts {
    /// Accounts under these rules; with a half-life, usage is counted too.
    #[must_use]
    pub fn new(rules: Arc<AccountRules>, half_life_s: Option<u32>) -> Accounts {
        Accounts { rules, half_life_s, ..Accounts::default() }
    }

    /// From now on limits are of this inventory. Nobody has jobs yet.
    pub(in crate::kernel) fn over(&mut self, inventory: &Inventory) {
        self.inventory = Arc::new(inventory.clone());
        for account in &mut self.list {
            let parts = self.inventory.parts(&account.rule.max_running);
            account.running = parts.iter().map(|max| (*max, 0)).collect();
        }
    }

    /// Accounts under the rules of `next`, with what these have used. Nobody has jobs yet.
    pub(in crate::kernel) fn under(&self, next: &Accounts, now: Time) -> Accounts {
        let mut next = Accounts::new(Arc::clone(next.rules()), next.half_life_s());
        for (name, cpu_us, at) in self.usages(now) {
            next.remember(&name, cpu_us, at);
        }
        next
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Arc<AccountRules> {
        &self.rules
    }

    /// Whether usage is counted.
    #[must_use]
    pub fn share(&self) -> bool {
        self.half_life_s.is_some()
    }

    /// In which time usage counts half, seconds, where it is counted.
    #[must_use]
    pub fn half_life_s(&self) -> Option<u32> {
        self.half_life_s
    }

    fn counts(&self, name: &str) -> bool {
        self.share() || self.rules.of(name).is_some_and(AccountRule::limits)
    }

    /// The number of this account, if it has one.
    #[must_use]
    pub fn find(&self, name: &str) -> u32 {
        if self.list.is_empty() {
            UNCOUNTED
        } else {
            self.ids.get(name).copied().unwrap_or(UNCOUNTED)
        }
    }

    /// The number of this account, given out if need be; `waits` tells which have jobs that wait.
    pub fn number(&mut self, name: &str, waits: impl Fn(u32) -> bool) -> u32 {
        if !self.counts(name) {
            return UNCOUNTED;
        }
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let name: Arc<str> = name.into();
        let account = Account {
            name: Arc::clone(&name),
            rule: self.rules.of(&name).cloned().unwrap_or_default(),
            running_cpus: 0,
            running_jobs: 0,
            running: Vec::new(),
            entering: Waiting::default(),
            usage: 0.0,
            at: Time(i64::MIN),
        };
        let parts = self.inventory.parts(&account.rule.max_running);
        let account = Account { running: parts.iter().map(|max| (*max, 0)).collect(), ..account };
        let id = match self.idle(waits).filter(|_| self.list.len() >= ACCOUNTS_KEPT) {
            Some(n) => {
                self.ids.remove(&self.list[n].name);
                self.list[n] = account;
                n as u32 + 1
            }
            None => {
                self.list.push(account);
                self.list.len() as u32
            }
        };
        self.ids.insert(name, id);
        id
    }

    /// Who has no jobs, and the least usage of those.
    fn idle(&self, waits: impl Fn(u32) -> bool) -> Option<usize> {
        if self.list.len() < ACCOUNTS_KEPT {
            return None;
        }
        let idle = |(n, account): &(usize, &Account)| {
            account.running_jobs == 0 && account.entering.jobs == 0 && !waits(*n as u32 + 1)
        };
        let all = self.list.iter().enumerate().filter(idle);
        all.min_by(|(_, a), (_, b)| a.usage.total_cmp(&b.usage)).map(|(n, _)| n)
    }

    /// The account of this number.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&Account> {
        self.list.get((id as usize).checked_sub(1)?)
    }

    fn get_mut(&mut self, id: u32) -> Option<&mut Account> {
        self.list.get_mut((id as usize).checked_sub(1)?)
    }

    /// All of them, by number from 1.
    #[must_use]
    pub fn all(&self) -> &[Account] {
        &self.list
    }

    /// What each may still start, at its number less one; empty where nobody is limited.
    #[must_use]
    pub fn quotas(&self) -> Vec<Quota> {
        match self.rules.limit_starts() {
            true => self.list.iter().map(Account::quota).collect(),
            false => Vec::new(),
        }
    }

    /// Whether this account may start a job that takes this now.
    #[must_use]
    pub fn may_start(&self, id: u32, asked: &Demand<'_>) -> bool {
        let quota = self.get(id).map(Account::quota);
        quota.is_none_or(|quota| !quota.lacks(asked))
    }

    /// These of its jobs wait to be durable, or do no longer.
    pub(in crate::kernel) fn entering(&mut self, id: u32, jobs: Waiting, more: bool) {
        if let Some(account) = self.get_mut(id) {
            let now = account.entering;
            account.entering = if more { now.plus(jobs) } else { now.minus(jobs) };
        }
    }

    /// A job of it holds this from now on.
    pub(in crate::kernel) fn started(&mut self, id: u32, asked: &Demand<'_>, now: Time) {
        let half_life_s = self.half_life_s;
        if let Some(account) = self.get_mut(id) {
            account.settle(now, half_life_s);
            account.count(asked, true);
        }
    }

    /// A job of it gives this back.
    pub(in crate::kernel) fn ended(&mut self, id: u32, asked: &Demand<'_>, now: Time) {
        let half_life_s = self.half_life_s;
        if let Some(account) = self.get_mut(id) {
            account.settle(now, half_life_s);
            account.count(asked, false);
        }
    }

    /// Its name and what it has used as of the last start or end, in CPU-µs; `None` where usage is
    /// not counted.
    #[must_use]
    pub fn charge(&self, id: u32) -> Option<(Arc<str>, i64, Time)> {
        let account = self.get(id).filter(|_| self.share())?;
        let cpu_us = (account.usage * SECOND_US as f64) as i64;
        Some((Arc::clone(&account.name), cpu_us, account.at))
    }

    /// What each has used by when, CPU-µs: by now, or when it was set aside.
    pub(in crate::kernel) fn usages(&self, now: Time) -> Vec<(Arc<str>, i64, Time)> {
        let Some(half_life_s) = self.half_life_s else {
            let aside = self.set_aside.iter();
            return aside.map(|(name, (cpu_us, at))| (Arc::clone(name), *cpu_us, *at)).collect();
        };
        let used = |account: &Account| {
            let cpu_us = account.usage_at(now, half_life_s) * SECOND_US as f64;
            (Arc::clone(&account.name), cpu_us as i64, account.at.max(now))
        };
        self.list.iter().map(used).collect()
    }

    /// This account had used so much by then. Where usage is not counted that is set aside, for
    /// when it is.
    pub fn remember(&mut self, name: &str, cpu_us: i64, at: Time) {
        if !self.share() {
            self.set_aside.insert(name.into(), (cpu_us, at));
            return;
        }
        let id = self.number(name, |_| true);
        if let Some(account) = self.get_mut(id) {
            account.usage = cpu_us as f64 / SECOND_US as f64;
            account.at = at;
        }
    }

    /// How far each is from having used more than its share, at its number less one: 1 for one
    /// that used nothing, 1/2 for one that used just its share, towards 0 beyond. Empty where
    /// usage is not counted.
    #[must_use]
    pub fn factors(&self, now: Time) -> Vec<f64> {
        let Some(half_life_s) = self.half_life_s else { return Vec::new() };
        let usages: Vec<f64> = self.list.iter().map(|a| a.usage_at(now, half_life_s)).collect();
        let used: f64 = usages.iter().sum();
        let shares: f64 = self.list.iter().map(|a| f64::from(a.rule.shares)).sum();
        let factor = |(account, usage): (&Account, f64)| match account.rule.shares {
            _ if used <= 0.0 => 1.0,
            0 => 0.0,
            own => (-(usage / used) / (f64::from(own) / shares)).exp2(),
        };
        self.list.iter().zip(usages).map(factor).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sharing(shares: &[(&str, u32)]) -> Accounts {
        let rule = |shares| AccountRule { shares, ..AccountRule::default() };
        let named = shares.iter().map(|(name, n)| ((*name).to_owned(), rule(*n))).collect();
        let rules = AccountRules { named, others: None };
        let mut accounts = Accounts::new(Arc::new(rules), Some(100));
        for (name, _) in shares {
            accounts.number(name, |_| true);
        }
        accounts
    }

    fn at(second: i64) -> Time {
        Time(second * SECOND_US)
    }

    #[test]
    fn usage_falls_by_half_in_a_half_life_and_what_runs_counts() {
        assert!((decayed(8.0, 0, 100.0, 100) - 4.0).abs() < 1e-9);
        assert!((decayed(0.0, 2, 1.0, 1_000_000) - 2.0).abs() < 1e-3, "little has decayed");
        let mut accounts = sharing(&[("a", 1), ("b", 1)]);
        assert_eq!(accounts.factors(at(0)), [1.0, 1.0], "nobody has used anything");
        accounts.started(1, &Demand::of(4), at(0));
        let [a, b] = accounts.factors(at(10))[..] else { panic!() };
        assert!((a - 0.25).abs() < 1e-9 && (b - 1.0).abs() < 1e-9, "all by one of two: {a} {b}");
        accounts.ended(1, &Demand::of(4), at(10));
        accounts.started(2, &Demand::of(4), at(10));
        let [a, b] = accounts.factors(at(20))[..] else { panic!() };
        assert!(a > b && b > 0.25, "b used its part later: {a} {b}");
    }

    #[test]
    fn who_uses_just_its_share_has_half() {
        let mut accounts = sharing(&[("a", 3), ("b", 1)]);
        accounts.started(1, &Demand::of(3), at(0));
        accounts.started(2, &Demand::of(1), at(0));
        for factor in accounts.factors(at(50)) {
            assert!((factor - 0.5).abs() < 1e-9, "{factor}");
        }
    }

    #[test]
    fn what_was_charged_goes_on_after_a_restart() {
        let mut before = sharing(&[("a", 1)]);
        before.started(1, &Demand::of(2), at(5));
        before.started(1, &Demand::of(1), at(7));
        before.ended(1, &Demand::of(2), at(9));
        let (name, cpu_us, as_of) = before.charge(1).unwrap();
        let mut after = sharing(&[("a", 1)]);
        after.remember(&name, cpu_us, as_of);
        after.started(1, &Demand::of(1), at(7));
        let (a, b) = (before.get(1).unwrap(), after.get(1).unwrap());
        assert!((a.usage_at(at(60), 100) - b.usage_at(at(60), 100)).abs() < 1e-4);
        assert_eq!(b.running_jobs, 1);
    }

    #[test]
    fn accounts_are_told_apart_only_where_it_matters() {
        assert_eq!(Accounts::default().number("a", |_| true), UNCOUNTED);
        let rule = AccountRule { max_running_jobs: Some(1), ..AccountRule::default() };
        let named = BTreeMap::from([("a".to_owned(), rule.clone())]);
        let mut accounts = Accounts::new(Arc::new(AccountRules { named, others: None }), None);
        assert_eq!((accounts.number("a", |_| true), accounts.number("b", |_| true)), (1, 0));
        accounts.started(1, &Demand::of(5), at(0));
        assert!(
            !accounts.may_start(1, &Demand::of(1)) && accounts.may_start(UNCOUNTED, &Demand::of(1))
        );
        let rules = AccountRules { named: BTreeMap::new(), others: Some(rule) };
        let mut accounts = Accounts::new(Arc::new(rules), None);
        assert_eq!((accounts.number("a", |_| true), accounts.number("b", |_| true)), (1, 2));
    }

    #[test]
    fn there_are_only_so_many_and_whoever_has_jobs_stays() {
        let rule = AccountRule { max_running_jobs: Some(1), ..AccountRule::default() };
        let rules = AccountRules { named: BTreeMap::new(), others: Some(rule) };
        let mut accounts = Accounts::new(Arc::new(rules), None);
        for n in 0..ACCOUNTS_KEPT {
            accounts.number(&n.to_string(), |_| true);
        }
        accounts.started(1, &Demand::of(1), at(0));
        assert_eq!(accounts.number("new", |id| id == 2), 3);
        assert_eq!(
            (accounts.find("2"), accounts.find("new"), accounts.all().len()),
            (0, 3, ACCOUNTS_KEPT)
        );
        assert_eq!(
            accounts.number("newer", |id| id != 1),
            ACCOUNTS_KEPT as u32 + 1,
            "all have jobs"
        );
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_often_usage_is_looked_at(
            usage in 0.0..1e6f64,
            cpus in 0..100u32,
            spans in prop::collection::vec(0.0..1e5f64, 1..6),
            half_life_s in 1..1_000_000u32,
        ) {
            let whole = decayed(usage, cpus, spans.iter().sum(), half_life_s);
            let parts = spans.iter().fold(usage, |u, span| decayed(u, cpus, *span, half_life_s));
            prop_assert!((whole - parts).abs() <= 1e-6 * whole.max(1.0), "{whole} {parts}");
        }
    }
}
