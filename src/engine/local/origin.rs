//! *Purpose*: where a process number means what it meant when it was noted.
//!
//! *Owns*: [`Origin`], and what of the machine goes into it.
//!
//! *Promises*: an attempt of another boot, of another container or of another installation is never
//! taken for one of ours, however equal the numbers are: nothing of it is signalled.
//!
//! *Not here*: which installation this is (`installation`), what follows from a foreign attempt
//! (`mod.rs`, `reattach`).
//!
//! What makes a number meaningful: the boot; the namespace of processes, with the start of its
//! first process, since the kernel gives the number of a namespace that is gone to the next one;
//! and the namespace of time, by which starts are counted.

use std::fs;
use std::io;

use sha2::{Digest, Sha256};

use super::proc;

/// Hexadecimal digits of [`Origin::id`].
const ID_DIGITS: usize = 32;

/// Which boot of which machine, as one process sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The kernel's name of this boot.
    pub boot: String,
    /// The namespaces.
    pub namespaces: String,
}

impl Machine {
    /// The one that this process is on.
    ///
    /// # Errors
    /// When `/proc` is not mounted, or shows the processes of another namespace.
    pub fn here() -> io::Result<Machine> {
        let namespace = |kind: &str| match fs::read_link(format!("/proc/self/ns/{kind}")) {
            Ok(link) => Ok(link.to_string_lossy().into_owned()),
            // A kernel without it: there is only one.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(e) => Err(e),
        };
        proc::myself()?;
        // Others may be hidden from an ordinary user: always, or never.
        let first = proc::stat(1).map_or(0, |first| first.identity.ticks);
        let namespaces = format!("{} {} first {first}", namespace("pid")?, namespace("time")?);
        Ok(Machine { boot: proc::boot_id()?, namespaces })
    }
}

/// The machine, and whose attempts are ours on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    id: String,
    /// What attempts bear that an earlier version granted, if those are ours.
    older: Option<String>,
}

impl Origin {
    /// Of this installation on this machine. `takes_older` says whether attempts are ours that know
    /// only their boot, as versions before this noted it.
    #[must_use]
    pub fn new(installation: &str, machine: &Machine, takes_older: bool) -> Origin {
        let Machine { boot, namespaces } = machine;
        let digest = Sha256::digest(format!("{installation}\n{boot}\n{namespaces}"));
        let mut id: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        id.truncate(ID_DIGITS);
        Origin { id, older: takes_older.then(|| boot.clone()) }
    }

    /// Of a folder that belongs to no installation.
    ///
    /// # Errors
    /// See [`Machine::here`].
    pub fn here() -> io::Result<Origin> {
        Ok(Origin::new("", &Machine::here()?, false))
    }

    /// What an attempt bears that is granted here.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether an attempt that bears this was granted here.
    #[must_use]
    pub fn is_of(&self, noted: &str) -> bool {
        noted == self.id || self.older.as_deref() == Some(noted)
    }

    /// As one word for the step daemon.
    #[must_use]
    pub fn word(&self) -> String {
        format!("{} {}", self.id, self.older.as_deref().unwrap_or_default())
    }

    /// Reads [`Origin::word`].
    #[must_use]
    pub fn parse(word: &str) -> Origin {
        let (id, older) = word.split_once(' ').unwrap_or((word, ""));
        let older = Some(older.to_owned()).filter(|older| !older.is_empty());
        Origin { id: id.to_owned(), older }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn another_boot_container_or_installation_is_another_origin() {
        let here = Machine { boot: "b".into(), namespaces: "n".into() };
        let origin = Origin::new("i", &here, false);
        assert!(origin.is_of(Origin::new("i", &here, true).id()));
        let rebooted = Machine { boot: "c".into(), ..here.clone() };
        let contained = Machine { namespaces: "m".into(), ..here.clone() };
        for other in [
            Origin::new("i", &rebooted, false),
            Origin::new("i", &contained, false),
            Origin::new("copy", &here, false),
        ] {
            assert!(!origin.is_of(other.id()), "{other:?}");
        }
        assert!(!origin.is_of("b"));
        assert!(Origin::new("i", &here, true).is_of("b"));
        assert!(!Origin::new("i", &rebooted, true).is_of("b"));
        assert!(!origin.is_of(""));
    }

    #[test]
    fn an_origin_survives_its_word() {
        let here = Machine::here().unwrap();
        assert_eq!(here, Machine::here().unwrap(), "the same for the whole life of a machine");
        for takes_older in [true, false] {
            let origin = Origin::new("i", &here, takes_older);
            assert_eq!(Origin::parse(&origin.word()), origin);
        }
    }
}
