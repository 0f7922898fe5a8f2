//! *Purpose*: what a job asks for beside CPUs, by name.
//!
//! *Owns*: [`Request`], the names of resources and the text form of one request for one.
//!
//! *Promises*: each resource once, in the order of names; an amount is never 0.
//!
//! *Not here*: which resources a server has (`resources::inventory`), how amounts of memory are
//! written (`text::size`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name under which memory is asked for, in bytes.
pub const MEMORY: &str = "memory";
/// The name of CPUs.
pub const CPU: &str = "cpu";
/// The name of GPUs.
pub const GPU: &str = "gpu";
/// The name of local disk space for the time of an attempt, in bytes.
pub const SCRATCH: &str = "scratch";
/// What stands before the names of licences.
pub const LICENSE: &str = "license/";

/// Longest name of a resource with its type, bytes.
pub const RESOURCE_NAME_BYTES_MAX: usize = 64;
/// Most resources that one job names: more than a server can have.
pub const RESOURCES_OF_A_JOB_MAX: usize = 32;

/// Amounts by resource: `gpu`, `gpu:a100` (of this type only), `license/matlab`, `memory`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Request(BTreeMap<Arc<str>, u64>);

impl Request {
    /// Asks for so much of it; 0 asks for none.
    pub fn set(&mut self, resource: &str, amount: u64) {
        match amount {
            0 => drop(self.0.remove(resource)),
            amount => drop(self.0.insert(resource.into(), amount)),
        }
    }

    /// This request, and so much of one resource.
    #[must_use]
    pub fn with(mut self, resource: &str, amount: u64) -> Request {
        self.set(resource, amount);
        self
    }

    /// How much of it is asked for under exactly this name.
    #[must_use]
    pub fn get(&self, resource: &str) -> u64 {
        self.0.get(resource).copied().unwrap_or(0)
    }

    /// How much of it is asked for, whatever the type.
    #[must_use]
    pub fn of(&self, resource: &str) -> u64 {
        let of = |(name, amount): (&Arc<str>, &u64)| (split(name).0 == resource).then_some(*amount);
        self.0.iter().filter_map(of).fold(0, u64::saturating_add)
    }

    /// Each resource and how much of it, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        self.0.iter().map(|(name, amount)| (name, *amount))
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many names stand in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<(Arc<str>, u64)> for Request {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, u64)>>(amounts: I) -> Request {
        Request(amounts.into_iter().filter(|(_, amount)| *amount > 0).collect())
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (name, amount)) in self.0.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            write!(f, "{comma}{name}={amount}")?;
        }
        Ok(())
    }
}

/// A resource's name and, after a colon, the type of its units that is asked for.
#[must_use]
pub fn split(name: &str) -> (&str, Option<&str>) {
    match name.split_once(':') {
        Some((resource, kind)) => (resource, Some(kind)),
        None => (name, None),
    }
}

/// Why this is no name of a resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no name of a resource: letters, digits, - _ . and / only, at most \
     {RESOURCE_NAME_BYTES_MAX} bytes, a type of it after a colon (gpu:a100)"
)]
pub struct NameRefused(pub String);

/// Checks a name as people write it.
///
/// # Errors
/// When it is empty, too long, or has characters that would be read as something else.
pub fn check_name(name: &str) -> Result<(), NameRefused> {
    let word = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        !part.is_empty() && part.chars().all(plain)
    };
    let (resource, kind) = split(name);
    let fine = name.len() <= RESOURCE_NAME_BYTES_MAX && word(resource) && kind.is_none_or(word);
    let shown = || name.chars().take(RESOURCE_NAME_BYTES_MAX).collect();
    if fine { Ok(()) } else { Err(NameRefused(shown())) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_type_counts_for_its_resource_and_nothing_is_asked_for_twice() {
        let asked = Request::default().with("gpu:a100", 2).with("gpu:h100", 1).with("gpu:h100", 3);
        assert_eq!((asked.get("gpu"), asked.of("gpu"), asked.len()), (0, 5, 2));
        assert_eq!(asked.to_string(), "gpu:a100=2,gpu:h100=3");
        assert!(asked.with("gpu:a100", 0).with("gpu:h100", 0).is_empty());
    }

    #[test]
    fn only_names_that_read_as_one_are_names() {
        for name in ["gpu", "gpu:a100", "license/matlab", "a-b_c.d"] {
            assert_eq!(check_name(name), Ok(()));
        }
        let long = "x".repeat(RESOURCE_NAME_BYTES_MAX + 1);
        for name in ["", ":", "gpu:", ":a", "a:b:c", "a b", "gpu=1", "a,b", "ä", long.as_str()] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
