//! *Purpose*: scripts that can signal nobody but themselves and whom they start.
//!
//! *Owns*: whether this kernel can do that, and the ruleset for it.
//!
//! *Promises*: a script that is confined so cannot stop or kill its supervisor, the server or
//! another job, though all are of one user; it is never run unconfined where that was asked for.
//!
//! *Not here*: putting it into force (`child`), the setting (`config`).
//!
//! The price is `no_new_privs`, without which the kernel allows it to root alone: `sudo`, `ping`
//! and the like gain nothing in such a script.

use std::os::fd::OwnedFd;

use landlock::{CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetError, Scope};

use super::persons::Persons;

/// The least version of Linux that can do it.
const LEAST_KERNEL: &str = "6.12";

fn ruleset() -> Result<landlock::RulesetCreated, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .scope(Scope::Signal)?
        .create()
}

/// Whether it can be done here.
///
/// # Errors
/// A sentence that says why not.
pub fn can_confine() -> Result<(), String> {
    ruleset().map(drop).map_err(|e| {
        format!("signals of scripts cannot be confined here ({e}); it needs Linux {LEAST_KERNEL}")
    })
}

/// The ruleset by which a process confines itself, and whoever it becomes and starts, for ever.
///
/// # Errors
/// What the system says.
pub fn ruleset_to_confine() -> Result<OwnedFd, String> {
    let ruleset = ruleset().map_err(|e| e.to_string())?;
    Option::<OwnedFd>::from(ruleset).ok_or_else(|| "this system makes no ruleset".to_owned())
}

/// What `/info` says.
#[must_use]
pub fn sentence(is_wanted: bool, persons: Persons) -> String {
    let is_owners = matches!(persons, Persons::Users { .. });
    match (is_wanted, can_confine()) {
        (false, _) if is_owners => {
            "a script can signal every process of its owner; supervisor and server are root's"
                .to_owned()
        }
        (true, _) => {
            "a script can signal nobody but itself and whom it starts (Landlock), and gains no \
             privileges by programs it runs; limits and priorities of processes of its user \
             (prlimit, renice) it can still change"
                .to_owned()
        }
        (false, Ok(())) => {
            "a script can signal every process of its user, its supervisor and the server too; \
             --confine-signals keeps it from that"
                .to_owned()
        }
        (false, Err(why)) => {
            format!("a script can signal every process of its user, its supervisor too; {why}")
        }
    }
}
