//! *Purpose*: what each user may have, where a server serves all.
//!
//! *Owns*: [`UserTable`], what such tables come to, and what a user may have of whom none speaks.
//!
//! *Promises*: nobody fills the memory of the server with scripts that wait, also where no table
//! says so; a table that makes no sense is refused, naming the key.
//!
//! *Not here*: who may have jobs at all (`config::people`), counting (`kernel::parts::accounts`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::ConfigError;
use super::named::Named;
use super::people::Mode;
use super::resources;
use super::scalar::Scalar;
use crate::kernel::parts::limits::{AccountRule, AccountRules};
use crate::resources::inventory::Inventory;
use crate::text::size;

/// Scripts and environments that may wait of a user when nobody says, bytes: sixty of the longest
/// scripts, or a hundred thousand usual ones.
const QUEUED_BYTES: u64 = 256 * size::MIB;

/// `[[user]]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct UserTable {
    /// His name; `*` is every user who is not named, each for himself.
    pub name: String,
    /// Most CPUs that his jobs hold at a time.
    pub max_running_cpus: Option<u32>,
    /// Most of his jobs that hold CPUs at a time.
    pub max_running_jobs: Option<u32>,
    /// Most of his jobs that wait at a time.
    pub max_queued_jobs: Option<u32>,
    /// Most bytes of scripts and environments of his jobs that wait.
    pub max_queued_bytes: Option<Scalar>,
    /// Most of other resources that his jobs hold at a time, by name.
    #[serde(default)]
    pub max_running: BTreeMap<String, Scalar>,
}

/// What the tables come to.
pub(super) fn rules(
    tables: &[UserTable],
    mode: Mode,
    inventory: &Inventory,
) -> Result<AccountRules, ConfigError> {
    let mut rules = Named::new("user");
    if mode == Mode::One {
        let Some(first) = tables.first() else { return Ok(AccountRules::default()) };
        let message =
            "says what a user may have, and this server serves one; set people = \"system\"";
        return Err(rules.refuse(&first.name, message));
    }
    for table in tables {
        let refuse = |message: String| rules.refuse(&table.name, &message);
        let max_running = resources::amounts(&table.max_running, inventory)
            .map_err(|message| refuse(format!("max_running {message}")))?;
        let bytes = match &table.max_queued_bytes {
            None => QUEUED_BYTES,
            Some(text) => queued_bytes(&text.to_string())
                .map_err(|message| refuse(format!("max_queued_bytes {message}")))?,
        };
        let rule = AccountRule {
            max_running: max_running.into_iter().collect(),
            max_running_cpus: table.max_running_cpus,
            max_running_jobs: table.max_running_jobs,
            max_queued_jobs: table.max_queued_jobs,
            max_queued_bytes: Some(bytes),
            ..AccountRule::default()
        };
        rules.put(&table.name, rule)?;
    }
    let mut rules = rules.into_rules();
    let usual = AccountRule { max_queued_bytes: Some(QUEUED_BYTES), ..AccountRule::default() };
    rules.others.get_or_insert(usual);
    Ok(rules)
}

fn queued_bytes(text: &str) -> Result<u64, String> {
    let bytes = size::parse(text)?;
    u64::try_from(bytes).map_err(|_| format!("is \"{text}\"; at least 0"))
}

/// As the settings show it.
pub(super) fn told(table: &UserTable) -> String {
    let UserTable {
        name,
        max_running_cpus,
        max_running_jobs,
        max_queued_jobs,
        max_queued_bytes,
        max_running,
    } = table;
    let limits =
        [("CPUs", max_running_cpus), ("running", max_running_jobs), ("queued", max_queued_jobs)];
    let some = limits.iter().filter_map(|(word, limit)| limit.map(|n| format!("{word} {n}")));
    let bytes = max_queued_bytes.iter().map(|bytes| format!("queued bytes {bytes}"));
    let others = max_running.iter().map(|(resource, max)| format!("{resource} {max}"));
    format!("{name} ({})", some.chain(bytes).chain(others).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::super::settings::FileSettings;
    use super::*;
    use crate::job::ids::CpuId;

    fn read(text: &str, mode: Mode) -> Result<AccountRules, String> {
        let file = FileSettings::parse(text, Path::new("x.toml")).map_err(|e| e.to_string())?;
        let inventory = Inventory::of([CpuId(0)], None);
        rules(&file.user, mode, &inventory).map_err(|e| e.to_string())
    }

    #[test]
    fn who_is_not_named_may_have_so_much_waiting_and_no_more() {
        let rules = read("", Mode::System).unwrap();
        assert_eq!(rules.of("alice").unwrap().max_queued_bytes, Some(256 << 20));
        let text = "[[user]]\nname = \"alice\"\nmax_running_jobs = 2\n\
                    [[user]]\nname = \"*\"\nmax_queued_bytes = \"1M\"\nmax_queued_jobs = 9";
        let rules = read(text, Mode::System).unwrap();
        let alice = rules.of("alice").unwrap();
        assert_eq!((alice.max_running_jobs, alice.max_queued_jobs), (Some(2), None));
        assert_eq!(alice.max_queued_bytes, Some(256 << 20), "of one as of all");
        let bob = rules.of("bob").unwrap();
        assert_eq!((bob.max_queued_jobs, bob.max_queued_bytes), (Some(9), Some(1 << 20)));
        assert_eq!(read("", Mode::One).unwrap(), AccountRules::default());
    }

    #[test]
    fn a_bad_table_names_its_key() {
        for (text, part) in [
            ("[[user]]\nname = \"a\"\n[[user]]\nname = \"a\"", "user \"a\": name is there twice"),
            ("[[user]]\nname = \"\"", "printable"),
            ("[[user]]\nname = \"a\"\nshares = 1", "shares"),
            ("[[user]]\nname = \"a\"\nmax_queued_bytes = \"much\"", "max_queued_bytes \"much\""),
            ("[[user]]\nname = \"a\"\nmax_queued_bytes = \"-1\"", "max_queued_bytes"),
            ("[[user]]\nname = \"a\"\nmax_running = { gpu = 1 }", "max_running names \"gpu\""),
        ] {
            let said = read(text, Mode::System).unwrap_err();
            assert!(said.contains(part), "{said}");
        }
        let said = read("[[user]]\nname = \"a\"", Mode::One).unwrap_err();
        assert!(said.contains("set people = \"system\""), "{said}");
    }
}
