//! *Purpose*: whether scripts run as others than the server's user, and as whom never.
//!
//! *Owns*: [`Persons`], its line in the greeting of the step daemon, the refusals.
//!
//! *Promises*: who starts a process as somebody decides by what it was told at its own start,
//! whatever an order says; what it was not told is refused.
//!
//! *Not here*: becoming somebody (`child::person`), who exists and may log in (whoever fills
//! [`Person`]).

use crate::engine::Person;

/// The user, and the group, that Linux takes for "as it is".
const NOBODY: u32 = u32::MAX;
/// The user, and the group, of the system itself.
const ROOT: u32 = 0;
/// More supplementary groups than any directory gives; Linux takes 65,536. What is read back to be
/// compared lies on the stack of the process.
pub const GROUPS_MAX: usize = 4096;
/// First word of the line.
const WORD: &str = "persons";
/// Last word of it, where root is served too.
const AND_ROOT: &str = "root";

/// As whom scripts may run, beside the server's own user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persons {
    /// As nobody.
    Nobody,
    /// As users.
    Users {
        /// From this number on.
        floor: u32,
        /// Also as root, the server's own user, whom an order does not name.
        root: bool,
    },
}

impl Persons {
    /// As a line for the step daemon.
    #[must_use]
    pub fn line(self) -> String {
        match self {
            Persons::Nobody => String::new(),
            Persons::Users { floor, root: false } => format!("{WORD} {floor}"),
            Persons::Users { floor, root: true } => format!("{WORD} {floor} {AND_ROOT}"),
        }
    }

    /// What `/info` says.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Persons::Nobody => "scripts run as the server's user",
            Persons::Users { .. } => {
                "a script becomes its owner before it touches anything of his: a keyring of its \
                 own, the login number where none is set, no capabilities, his groups and numbers, \
                 which are read back; without PAM"
            }
        }
    }

    /// Reads [`Persons::line`]; what is no such line serves nobody.
    #[must_use]
    pub fn parse(line: &str) -> Persons {
        let words: Vec<&str> = line.split(' ').collect();
        let (floor, root) = match words[..] {
            [WORD, floor] => (floor, false),
            [WORD, floor, AND_ROOT] => (floor, true),
            _ => return Persons::Nobody,
        };
        floor.parse().map_or(Persons::Nobody, |floor| Persons::Users { floor, root })
    }

    /// Whether anybody is served.
    #[must_use]
    pub fn are_served(self) -> bool {
        self != Persons::Nobody
    }

    /// Whether a script may run as this person, or, where an order names none, as the server's own
    /// user.
    ///
    /// # Errors
    /// The sentence why not.
    pub fn admit_any(self, person: Option<&Person>) -> Result<(), String> {
        match (self, person) {
            (_, Some(person)) => self.admit(person),
            (Persons::Nobody | Persons::Users { root: true, .. }, None) => Ok(()),
            (Persons::Users { root: false, .. }, None) => {
                Err("its order names nobody as whom it runs, and no job runs as root".to_owned())
            }
        }
    }

    /// Whether a script may run as this person.
    ///
    /// # Errors
    /// The sentence why not.
    pub fn admit(self, person: &Person) -> Result<(), String> {
        let Person { uid, gid, groups, name } = person;
        let Persons::Users { floor, .. } = self else {
            return Err(format!("this server runs jobs as its own user alone, not as {name}"));
        };
        let refused = |why: String| Err(format!("no job runs as {name}: {why}"));
        match (*uid, *gid) {
            (ROOT, _) => refused("the user's number is 0".to_owned()),
            (NOBODY, _) => refused(format!("{NOBODY} is no user's number")),
            (uid, _) if uid < floor => {
                refused(format!("the user's number, {uid}, is below {floor}"))
            }
            (_, ROOT) => refused("the primary group's number is 0".to_owned()),
            (_, NOBODY) => refused(format!("{NOBODY} is no group's number")),
            _ if groups.contains(&NOBODY) => refused(format!("{NOBODY} is no group's number")),
            _ if groups.len() > GROUPS_MAX => {
                refused(format!("{} groups, and at most {GROUPS_MAX} are kept", groups.len()))
            }
            _ => Ok(()),
        }
    }
}

/// Where the kernel says what it makes of a process that changes its numbers.
const SUID_DUMPABLE: &str = "/proc/sys/fs/suid_dumpable";
/// Its answer where such a process is open to its new user: root's memory with it.
const OPEN: &str = "1";

/// Whether scripts can be run as others here.
///
/// # Errors
/// The sentence why not.
pub fn can_be_served() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only a server that runs as root can run jobs as their owners".to_owned());
    }
    // Without this file there is no such switch.
    let says = std::fs::read_to_string(SUID_DUMPABLE).unwrap_or_default();
    if says.trim() == OPEN {
        return Err(format!(
            "jobs cannot run as their owners while {SUID_DUMPABLE} is 1: users could look into a \
             process of root's that becomes theirs; make it 0 or 2"
        ));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn person(uid: u32, gid: u32, groups: &[u32]) -> Person {
        Person { uid, gid, groups: groups.to_vec(), name: "toor".to_owned() }
    }

    #[test]
    fn nobody_is_served_unless_a_line_says_so() {
        let users = |floor, root| Persons::Users { floor, root };
        for persons in [Persons::Nobody, users(0, false), users(1000, true)] {
            assert_eq!(Persons::parse(&persons.line()), persons);
        }
        for line in [
            "",
            "persons",
            "persons ",
            "persons -1",
            "persons 4294967296",
            "1000",
            "persons 1 toor",
        ] {
            assert_eq!(Persons::parse(line), Persons::Nobody, "{line:?}");
        }
        let refused = Persons::Nobody.admit(&person(1000, 1000, &[])).unwrap_err();
        assert_eq!(refused, "this server runs jobs as its own user alone, not as toor");
        assert!(Persons::Nobody.admit_any(None).is_ok() && users(1, true).admit_any(None).is_ok());
        let refused = users(1, false).admit_any(None).unwrap_err();
        assert!(refused.contains("no job runs as root"), "{refused}");
    }

    #[test]
    fn root_the_system_s_users_and_numbers_that_mean_nobody_are_refused_whatever_the_floor() {
        let is_admitted =
            |floor, person: Person| Persons::Users { floor, root: true }.admit(&person).is_ok();
        for floor in [0, 1000] {
            assert!(is_admitted(floor, person(1000, 100, &[0, 4, 100])));
            for (uid, gid, groups) in [
                (0, 100, &[][..]),
                (u32::MAX, 100, &[]),
                (1000, 0, &[]),
                (1000, u32::MAX, &[]),
                (1000, 100, &[4, u32::MAX]),
            ] {
                assert!(!is_admitted(floor, person(uid, gid, groups)), "{uid} {gid} {groups:?}");
            }
        }
        assert!(is_admitted(0, person(999, 100, &[])) && !is_admitted(1000, person(999, 100, &[])));
        assert!(!is_admitted(0, person(1000, 100, &vec![7; GROUPS_MAX + 1])));
    }
}
