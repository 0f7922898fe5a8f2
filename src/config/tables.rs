//! *Purpose*: the tables of `downbeat.toml` that no flag can express.
//!
//! *Owns*: [`AccountTable`], [`PriorityTable`], and what all tables come to.
//!
//! *Promises*: a table that makes no sense is refused, naming the key; what is in effect is shown.
//!
//! *Not here*: partitions (`config::partitions`), what the rules do (`kernel::parts::rules`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::error::ConfigError;
use super::named::Named;
use super::origin::{Origin, Setting};
use super::partitions::{PartitionTable, described, partitions};
use super::people::{AccountPeople, Mode};
use super::resolve::Resolver;
use super::resources::{self, ResourceTable};
use super::scalar::Scalar;
use super::users::{self, UserTable};
use crate::job::ids::CpuId;
use crate::kernel::parts::accounts::Accounts;
use crate::kernel::parts::limits::{AccountRule, AccountRules};
use crate::kernel::parts::priority::Weights;
use crate::kernel::parts::rules::Rules;
use crate::resources::inventory::Inventory;
use crate::text::duration;

/// Longest `max_age` and half-life, seconds: a year.
const SPAN_S_MAX: u64 = 366 * 86_400;
/// Half-life of usage when nobody says, seconds: a week, as Slurm's.
const HALF_LIFE_S: u32 = 7 * 86_400;

/// `[[account]]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct AccountTable {
    /// Its name; `*` is every account that is not named, each for itself.
    pub name: String,
    /// Most CPUs that its jobs hold at a time.
    pub max_running_cpus: Option<u32>,
    /// Most of its jobs that hold CPUs at a time.
    pub max_running_jobs: Option<u32>,
    /// Most of its jobs that wait at a time.
    pub max_queued_jobs: Option<u32>,
    /// Most of other resources that its jobs hold at a time, by name.
    #[serde(default)]
    pub max_running: BTreeMap<String, Scalar>,
    /// Its part of the machine, in comparison with others.
    pub shares: Option<u32>,
    /// The only users who may charge it, where all users are served; none are all.
    #[serde(default)]
    pub users: Vec<String>,
    /// Users who give orders about its jobs, where all users are served.
    #[serde(default)]
    pub coordinators: Vec<String>,
}

/// `[priority]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PriorityTable {
    /// Points of a job that has waited for `max_age`.
    #[serde(default)]
    pub age_weight: u32,
    /// After this wait age no longer grows.
    pub max_age: Option<Scalar>,
    /// Points of a job whose account has used nothing.
    #[serde(default)]
    pub fair_share_weight: u32,
    /// In which time usage counts half.
    pub fair_share_half_life: Option<Scalar>,
}

impl Resolver<'_> {
    /// The rules that only the file can hold, for a server of this mode.
    pub(super) fn rules(
        &mut self,
        (partition, account, user): (&[PartitionTable], &[AccountTable], &[UserTable]),
        mode: Mode,
        priority: Option<&PriorityTable>,
        inventory: &Inventory,
    ) -> Result<Rules, ConfigError> {
        let partitions = partitions(partition, inventory)?;
        let parts: Vec<String> = partitions.iter().map(described).collect();
        self.table("partition", &parts);
        let names: Vec<String> = account.iter().map(told).collect();
        self.table("account", &names);
        let rules = Arc::new(accounts(account, inventory)?);
        let told: Vec<String> = user.iter().map(users::told).collect();
        self.table("user", &told);
        let users = Accounts::new(Arc::new(users::rules(user, mode, inventory)?), None);
        let (weights, half_life_s) = self.priority(priority)?;
        let half_life_s = half_life_s.filter(|_| weights.fair_share > 0);
        let accounts = Accounts::new(rules, half_life_s);
        Ok(Rules { partitions: Arc::new(partitions), accounts, users, weights })
    }

    /// All that this server hands out.
    pub(super) fn inventory(
        &mut self,
        tables: &[ResourceTable],
        cpus: &[CpuId],
        memory: Option<u64>,
        found: &[u32],
    ) -> Result<Inventory, ConfigError> {
        let base = Inventory::of(cpus.iter().copied(), memory);
        let inventory = resources::inventory(base, tables, found)?;
        let others = inventory.all().iter().skip(2).map(resources::described);
        self.table("resource", &others.collect::<Vec<_>>());
        Ok(inventory)
    }

    fn table(&mut self, name: &'static str, parts: &[String]) {
        let (value, source) = match parts {
            [] => ("none".to_owned(), Origin::Default),
            parts => (parts.join("; "), Origin::File),
        };
        self.settings.push(Setting { name, value, source });
    }

    fn priority(
        &mut self,
        table: Option<&PriorityTable>,
    ) -> Result<(Weights, Option<u32>), ConfigError> {
        let none = PriorityTable::default();
        let given = table.unwrap_or(&none);
        let max_age_s = span("max_age", given.max_age.as_ref())?;
        let half_life_s = span("fair_share_half_life", given.fair_share_half_life.as_ref())?;
        let weights = Weights {
            age: given.age_weight,
            max_age_s: max_age_s.unwrap_or(Weights::default().max_age_s),
            fair_share: given.fair_share_weight,
        };
        let half_life_s = half_life_s.unwrap_or(HALF_LIFE_S);
        let mut parts = Vec::new();
        if weights.age > 0 {
            parts.push(format!("age_weight {} after {} s", weights.age, weights.max_age_s));
        }
        if weights.fair_share > 0 {
            let weight = weights.fair_share;
            parts.push(format!("fair_share_weight {weight}, half-life {half_life_s} s"));
        }
        self.table("priority", &parts);
        Ok((weights, Some(half_life_s)))
    }
}

/// Who is what to accounts.
#[must_use]
pub(super) fn people(tables: &[AccountTable]) -> AccountPeople {
    let mut people = AccountPeople::default();
    for account in tables {
        for user in &account.coordinators {
            let own = people.coordinates.entry(user.clone()).or_default();
            own.insert(account.name.as_str().into());
        }
        if !account.users.is_empty() {
            let users = account.users.iter().cloned().collect();
            people.members.insert(account.name.clone(), users);
        }
    }
    people
}

fn accounts(tables: &[AccountTable], inventory: &Inventory) -> Result<AccountRules, ConfigError> {
    let mut rules = Named::new("account");
    for table in tables {
        let max_running = resources::amounts(&table.max_running, inventory)
            .map_err(|message| rules.refuse(&table.name, &format!("max_running {message}")))?;
        let rule = AccountRule {
            max_running: max_running.into_iter().collect(),
            max_running_cpus: table.max_running_cpus,
            max_running_jobs: table.max_running_jobs,
            max_queued_jobs: table.max_queued_jobs,
            shares: table.shares.unwrap_or(1),
            ..AccountRule::default()
        };
        rules.put(&table.name, rule)?;
    }
    Ok(rules.into_rules())
}

/// A span of the table `[priority]`, seconds.
fn span(key: &str, text: Option<&Scalar>) -> Result<Option<u32>, ConfigError> {
    let Some(text) = text.map(ToString::to_string) else { return Ok(None) };
    let span = duration::parse(&text).map(|span| span.as_secs());
    let good = span.filter(|s| (1..=SPAN_S_MAX).contains(s)).and_then(|s| u32::try_from(s).ok());
    if good.is_some() {
        return Ok(good);
    }
    let message = format!("{key} is \"{text}\"; a duration from 1s to a year such as \"7d\"");
    Err(ConfigError::Table { table: "priority".to_owned(), message })
}

fn told(table: &AccountTable) -> String {
    let AccountTable {
        name,
        max_running_cpus,
        max_running_jobs,
        max_queued_jobs,
        max_running,
        shares,
        users,
        coordinators,
    } = table;
    let limits = [
        ("CPUs", max_running_cpus),
        ("running", max_running_jobs),
        ("queued", max_queued_jobs),
        ("shares", shares),
    ];
    let some = limits.iter().filter_map(|(word, limit)| limit.map(|n| format!("{word} {n}")));
    let others = max_running.iter().map(|(resource, max)| format!("{resource} {max}"));
    let people = [("users", users), ("coordinators", coordinators)].into_iter();
    let people = people.filter(|(_, names)| !names.is_empty());
    let people = people.map(|(word, names)| format!("{word} {}", names.join(" ")));
    format!("{name} ({})", some.chain(others).chain(people).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::super::settings::FileSettings;
    use super::*;

    fn read(text: &str) -> Result<(Rules, Vec<String>), String> {
        let file = FileSettings::parse(text, Path::new("x.toml")).map_err(|e| e.to_string())?;
        let mut resolver = Resolver::new(&|_| None);
        let inventory = Inventory::of([CpuId(0)], None);
        let rules = resolver
            .rules(
                (&file.partition, &file.account, &file.user),
                Mode::System,
                file.priority.as_ref(),
                &inventory,
            )
            .map_err(|e| e.to_string())?;
        Ok((rules, resolver.settings.into_iter().map(|s| s.value).collect()))
    }

    #[test]
    fn tables_come_to_rules_and_are_shown() {
        let (rules, shown) = read(
            "[[account]]\nname = \"a\"\nmax_running_cpus = 4\nshares = 3\n\
             [[account]]\nname = \"*\"\nmax_queued_jobs = 9\n\
             [priority]\nage_weight = 10\nmax_age = \"1h\"\nfair_share_weight = 5",
        )
        .unwrap();
        let own = rules.accounts.rules();
        assert_eq!(own.of("a").unwrap().max_running_cpus, Some(4));
        assert_eq!(own.of("x").unwrap().max_queued_jobs, Some(9));
        assert_eq!((rules.weights.age, rules.weights.max_age_s), (10, 3_600));
        assert!(rules.accounts.share());
        assert_eq!(shown[1], "a (CPUs 4, shares 3); * (queued 9)");
        let (rules, shown) = read("").unwrap();
        assert!(!rules.accounts.share() && rules.weights == Weights::default());
        assert_eq!(shown, ["none", "none", "none", "none"]);
    }

    #[test]
    fn a_bad_table_names_its_key() {
        for (text, part) in [
            (
                "[[account]]\nname = \"a\"\n[[account]]\nname = \"a\"",
                "account \"a\": name is there",
            ),
            ("[[account]]\nname = \"\"", "printable"),
            ("[[account]]\nname = \"a\"\nmax_cpus = 1", "max_cpus"),
            ("[[account]]\nname = \"a\"\nmax_running_jobs = -1", "account[0].max_running_jobs"),
            ("[priority]\nmax_age = \"soon\"", "priority: max_age is \"soon\""),
            ("[priority]\nage = 1", "age"),
            ("[priority]\nfair_share_half_life = \"0s\"", "from 1s to a year"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(part), "{said}");
        }
    }
}
