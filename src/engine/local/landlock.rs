//! *Purpose*: scripts that can signal nobody but themselves and whom they start.
//!
//! *Owns*: whether this kernel can do that, and doing it.
//!
//! *Promises*: a script that is confined so cannot stop or kill its supervisor, the server or
//! another job, though all are of one user; it is never run unconfined where that was asked for.
//!
//! *Not here*: when it is done (`launch`), the setting (`config`).
//!
//! The price is `no_new_privs`, without which the kernel allows it to root alone: `sudo`, `ping`
//! and the like gain nothing in such a script.

use landlock::{
    CompatLevel, Compatible, RestrictionStatus, Ruleset, RulesetAttr, RulesetError, Scope,
};

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

/// Confines this process, and whoever it becomes and starts, for ever.
///
/// # Errors
/// What the system says.
pub fn confine() -> Result<RestrictionStatus, RulesetError> {
    ruleset()?.restrict_self()
}

/// What `/info` says.
#[must_use]
pub fn sentence(is_wanted: bool) -> String {
    match (is_wanted, can_confine()) {
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
