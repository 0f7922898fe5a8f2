//! *Purpose*: whom a server serves, and who of them may do what.
//!
//! *Owns*: [`PeopleTable`], as it stands in the file; [`People`], what it comes to.
//!
//! *Promises*: nobody is an administrator or an operator whom the settings file, or root's number,
//! does not make one; who is denied is denied, whatever else allows him.
//!
//! *Not here*: who somebody is (`crate::people`), the rights of a role (`kernel::access`), what an
//! account may have (`config::tables`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};

use super::error::ConfigError;
use crate::kernel::access::Role;
use crate::people::Person;

/// The socket of a server of one user, in its data folder.
pub const SOCKET: &str = "downbeat.sock";
/// Where clients look for the server of all users.
pub const SYSTEM_SOCKET: &str = "/run/downbeat/downbeat.sock";
/// Where the lowest number of an ordinary user stands.
const LOGIN_DEFS: &str = "/etc/login.defs";
/// That number where nobody says.
const MIN_UID: u32 = 1000;
/// Where jobs of users look for programs, when nobody says.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Whom a server serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// Its own user, and root.
    #[default]
    One,
    /// All users of the system, each as himself.
    System,
}

/// What is shown to its owner alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Private {
    /// That a job is there.
    Jobs,
    /// What accounts have used.
    Usage,
}

/// `[people]`, or `people = "system"` where nothing else is to be said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeopleTable(Table);

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
struct Table {
    mode: Option<String>,
    allow_users: Vec<String>,
    deny_users: Vec<String>,
    allow_groups: Vec<String>,
    deny_groups: Vec<String>,
    min_uid: Option<u32>,
    admins: Vec<String>,
    operators: Vec<String>,
    admin_groups: Vec<String>,
    operator_groups: Vec<String>,
    private: BTreeSet<Private>,
    root_jobs: bool,
    metrics_open: bool,
    path: Option<String>,
}

impl<'de> Deserialize<'de> for PeopleTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PeopleTable, D::Error> {
        struct Word;

        impl<'de> Visitor<'de> for Word {
            type Value = Table;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("\"one\", \"system\" or a table")
            }

            fn visit_str<E>(self, mode: &str) -> Result<Table, E> {
                Ok(Table { mode: Some(mode.to_owned()), ..Table::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Table, A::Error> {
                Table::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_any(Word).map(PeopleTable)
    }
}

impl PeopleTable {
    /// Whom it says that the server serves.
    #[must_use]
    pub fn mode(&self) -> Option<&str> {
        self.0.mode.as_deref()
    }
}

/// Whom a server serves, and who of them may do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct People {
    /// All, or one.
    pub mode: Mode,
    /// Where users of this machine reach it.
    pub socket: PathBuf,
    /// Where jobs of users look for programs.
    pub path: String,
    /// The lowest number of a user who may have jobs.
    pub min_uid: u32,
    /// Whether root may have jobs.
    pub root_jobs: bool,
    table: Table,
    accounts: AccountPeople,
}

/// Who is what to accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountPeople {
    /// The accounts that a user coordinates, by his name.
    pub coordinates: BTreeMap<String, BTreeSet<Arc<str>>>,
    /// The users of an account that has only some.
    pub members: BTreeMap<String, BTreeSet<String>>,
}

/// Why somebody may not have jobs here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the sentences say it")]
pub enum Denied {
    #[error(
        "root has no jobs here: say --run-as NAME, or set root_jobs = true below [people] in the \
         server's settings"
    )]
    Root,
    #[error("user {name} ({uid}) is no ordinary user: those have numbers from {min} on")]
    Low { name: String, uid: u32, min: u32 },
    #[error("the own group of user {0} is that of root")]
    RootsGroup(String),
    #[error("user {0} is not among those who may have jobs here (allow_users, allow_groups)")]
    NotAllowed(String),
    #[error("user {0} may have no jobs here (deny_users, deny_groups)")]
    Excluded(String),
}

impl People {
    /// Those of a server of one user.
    #[must_use]
    pub fn one() -> People {
        People::of(Mode::One, PathBuf::new(), &PeopleTable::default(), AccountPeople::default())
    }

    /// What the settings come to.
    #[must_use]
    pub(super) fn of(
        mode: Mode,
        socket: PathBuf,
        PeopleTable(table): &PeopleTable,
        accounts: AccountPeople,
    ) -> People {
        People {
            mode,
            socket,
            path: table.path.clone().unwrap_or_else(|| PATH.to_owned()),
            min_uid: table.min_uid.unwrap_or_else(|| least_uid(Path::new(LOGIN_DEFS))),
            root_jobs: table.root_jobs,
            table: table.clone(),
            accounts,
        }
    }

    /// What somebody is to the server.
    #[must_use]
    pub fn role(&self, person: &Person) -> Role {
        let Table { admins, admin_groups, operators, operator_groups, .. } = &self.table;
        if person.uid.0 == 0 || is_one_of(person, admins, admin_groups) {
            Role::Admin
        } else if is_one_of(person, operators, operator_groups) {
            Role::Operator
        } else {
            Role::User
        }
    }

    /// The accounts that somebody coordinates.
    #[must_use]
    pub fn coordinates(&self, person: &Person) -> BTreeSet<Arc<str>> {
        self.accounts.coordinates.get(&person.name).cloned().unwrap_or_default()
    }

    /// The groups of somebody that the settings name, by which he is let in, kept out, or more than
    /// a user.
    #[must_use]
    pub fn groups_that_count(&self, person: &Person) -> Vec<String> {
        let Table { allow_groups, deny_groups, admin_groups, operator_groups, .. } = &self.table;
        let named = [allow_groups, deny_groups, admin_groups, operator_groups];
        let named = named.into_iter().flatten().filter(|group| person.is_in(group));
        let groups: BTreeSet<&String> = named.collect();
        groups.into_iter().cloned().collect()
    }

    /// Whether that is shown to its owner alone.
    #[must_use]
    pub fn is_private(&self, what: Private) -> bool {
        self.table.private.contains(&what)
    }

    /// Whether whoever reaches the server may read its numbers, though nobody knows who he is.
    #[must_use]
    pub fn metrics_open(&self) -> bool {
        self.table.metrics_open
    }

    /// Whether somebody may have jobs here.
    ///
    /// # Errors
    /// When he may not.
    pub fn admits(&self, person: &Person) -> Result<(), Denied> {
        let Table { allow_users, allow_groups, deny_users, deny_groups, .. } = &self.table;
        let (name, uid) = (person.name.clone(), person.uid.0);
        if uid == 0 {
            return if self.root_jobs { Ok(()) } else { Err(Denied::Root) };
        }
        if uid < self.min_uid || uid == u32::MAX {
            return Err(Denied::Low { name, uid, min: self.min_uid });
        }
        if person.gid == 0 || person.gid == u32::MAX {
            return Err(Denied::RootsGroup(name));
        }
        if is_one_of(person, deny_users, deny_groups) {
            return Err(Denied::Excluded(name));
        }
        let all = allow_users.is_empty() && allow_groups.is_empty();
        match all || is_one_of(person, allow_users, allow_groups) {
            true => Ok(()),
            false => Err(Denied::NotAllowed(name)),
        }
    }

    /// Whether somebody may charge his jobs to this account.
    #[must_use]
    pub fn may_charge(&self, person: &Person, account: &str) -> bool {
        let members = self.accounts.members.get(account);
        let coordinates = || self.coordinates(person).contains(account);
        members.is_none_or(|members| members.contains(&person.name) || coordinates())
    }

    /// What there is of it, for people.
    pub(super) fn described(&self) -> String {
        let table = &self.table;
        let lists = [
            ("allow_users", &table.allow_users),
            ("allow_groups", &table.allow_groups),
            ("deny_users", &table.deny_users),
            ("deny_groups", &table.deny_groups),
            ("admins", &table.admins),
            ("admin_groups", &table.admin_groups),
            ("operators", &table.operators),
            ("operator_groups", &table.operator_groups),
        ];
        let some = lists.into_iter().filter(|(_, names)| !names.is_empty());
        let mut parts: Vec<String> =
            some.map(|(name, names)| format!("{name} {}", names.join(", "))).collect();
        if !table.private.is_empty() {
            parts.push(format!("private {:?}", table.private).to_lowercase());
        }
        if self.root_jobs {
            parts.push("root_jobs".to_owned());
        }
        if table.metrics_open {
            parts.push("metrics_open".to_owned());
        }
        let mode: &str = self.mode.into();
        if parts.is_empty() { mode.to_owned() } else { format!("{mode} ({})", parts.join("; ")) }
    }
}

/// Reads whom a server serves.
pub(super) fn mode(text: &str) -> Result<Mode, String> {
    Mode::from_str(text).map_err(|_| format!("\"{text}\" is neither one nor system"))
}

/// Checks a table that only makes sense where all users are served.
pub(super) fn checked(mode: Mode, PeopleTable(table): &PeopleTable) -> Result<(), ConfigError> {
    let refuse =
        |message: &str| Err(ConfigError::Table { table: "people".into(), message: message.into() });
    if mode == Mode::One && *table != (Table { mode: table.mode.clone(), ..Table::default() }) {
        return refuse(
            "says who may do what, and this server serves one user; set mode = \"system\"",
        );
    }
    if table.min_uid == Some(0) {
        return refuse("min_uid is 0; root_jobs = true lets root have jobs");
    }
    if table.path.as_ref().is_some_and(|path| path.split(':').any(|part| !part.starts_with('/'))) {
        return refuse("path holds a folder that does not begin with /");
    }
    Ok(())
}

fn is_one_of(person: &Person, users: &[String], groups: &[String]) -> bool {
    users.contains(&person.name) || groups.iter().any(|group| person.is_in(group))
}

/// The lowest number of an ordinary user, as programs that make users have it.
fn least_uid(file: &Path) -> u32 {
    // Without the file, or the line, there is a number that everybody takes.
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().filter_map(|line| line.trim().strip_prefix("UID_MIN")).next_back();
    line.and_then(|value| value.trim().parse().ok()).filter(|uid| *uid > 0).unwrap_or(MIN_UID)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::job::ids::Uid;
    use crate::people::Group;

    fn person(name: &str, uid: u32, groups: &[&str]) -> Person {
        let group = |name: &&str| Group { gid: 50, name: Some((*name).to_owned()) };
        Person {
            uid: Uid(uid),
            name: name.to_owned(),
            gid: uid,
            groups: groups.iter().map(group).collect(),
            home: "/".into(),
            shell: "/bin/sh".into(),
        }
    }

    fn people(text: &str) -> People {
        let table: PeopleTable = toml::from_str(text).unwrap();
        checked(Mode::System, &table).unwrap();
        let accounts = AccountPeople {
            coordinates: [("carol".to_owned(), ["physics".into()].into())].into(),
            members: [("physics".to_owned(), ["alice".to_owned()].into())].into(),
        };
        People::of(Mode::System, PathBuf::new(), &table, accounts)
    }

    #[test]
    fn roles_come_from_the_settings_and_from_root_alone() {
        let people = people("admins = [\"ann\"]\noperator_groups = [\"wheel\"]");
        assert_eq!(people.role(&person("root", 0, &[])), Role::Admin);
        assert_eq!(people.role(&person("ann", 1000, &[])), Role::Admin);
        assert_eq!(people.role(&person("ops", 1001, &["wheel"])), Role::Operator);
        assert_eq!(people.role(&person("root", 1002, &["admins"])), Role::User);
        assert!(people.coordinates(&person("carol", 1003, &[])).contains("physics"));
        assert!(people.may_charge(&person("alice", 1004, &[]), "physics"));
        assert!(people.may_charge(&person("carol", 1003, &[]), "physics"));
        assert!(!people.may_charge(&person("bob", 1005, &[]), "physics"));
        assert!(people.may_charge(&person("bob", 1005, &[]), "art"));
    }

    #[test]
    fn who_is_denied_is_denied_whatever_allows_him() {
        let closed = people(
            "allow_groups = [\"staff\"]\nallow_users = [\"eve\"]\ndeny_users = [\"bob\"]\n\
             min_uid = 500",
        );
        assert_eq!(closed.admits(&person("alice", 1000, &["staff"])), Ok(()));
        assert_eq!(closed.admits(&person("eve", 1000, &[])), Ok(()));
        let excluded = Denied::Excluded("bob".to_owned());
        assert_eq!(closed.admits(&person("bob", 1000, &["staff"])), Err(excluded));
        let stranger = Denied::NotAllowed("carol".to_owned());
        assert_eq!(closed.admits(&person("carol", 1000, &[])), Err(stranger));
        assert_eq!(closed.admits(&person("root", 0, &["staff"])), Err(Denied::Root));
        assert_eq!(people("root_jobs = true").admits(&person("root", 0, &[])), Ok(()));
        for (name, uid) in [("toor", 0), ("daemon", 499), ("nobody", u32::MAX)] {
            assert!(closed.admits(&person(name, uid, &["staff"])).is_err(), "{name}");
        }
        let roots = Person { gid: 0, ..person("mallory", 1000, &["staff"]) };
        assert_eq!(closed.admits(&roots), Err(Denied::RootsGroup("mallory".to_owned())));
    }

    #[test]
    fn a_table_that_makes_no_sense_is_refused() {
        for (mode, text, said) in [
            (Mode::One, "admins = [\"ann\"]", "serves one user"),
            (Mode::One, "metrics_open = true", "serves one user"),
            (Mode::System, "min_uid = 0", "root_jobs"),
            (Mode::System, "path = \"/bin:.\"", "does not begin with /"),
        ] {
            let table: PeopleTable = toml::from_str(text).unwrap();
            let refused = checked(mode, &table).unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
        }
        assert!(toml::from_str::<PeopleTable>("admin = []").is_err());
        assert!(mode("all").is_err());
    }

    #[test]
    fn the_lowest_number_is_that_of_the_system() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("login.defs");
        assert_eq!(least_uid(&file), 1000);
        std::fs::write(&file, "#UID_MIN 5\nUID_MIN\t\t 2000\nUID_MAX 60000\n").unwrap();
        assert_eq!(least_uid(&file), 2000);
    }
}
