//! *Purpose*: what accounts and users may have, and what of them waits.
//!
//! *Owns*: [`AccountRule`], [`AccountRules`], [`Waiting`], [`Payer`], [`TooMany`].
//!
//! *Promises*: an account and a user are limited by the same rules, and named alike in sentences.
//!
//! *Not here*: what they have (`kernel::parts::accounts`), reading the rules (`config`).

use std::collections::BTreeMap;
use std::fmt;

use crate::job::request::Request;
use crate::job::spec::JobSpec;

/// The name in the settings that stands for whoever has no rule of its own.
pub const OTHERS: &str = "*";

/// What an account may have, or a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRule {
    /// Most CPUs that its jobs hold at a time.
    pub max_running_cpus: Option<u32>,
    /// Most of its jobs that hold CPUs at a time.
    pub max_running_jobs: Option<u32>,
    /// Most of its jobs that wait at a time.
    pub max_queued_jobs: Option<u32>,
    /// Most bytes of scripts and environments of its jobs that wait.
    pub max_queued_bytes: Option<u64>,
    /// Most of other resources that its jobs hold at a time, by name.
    pub max_running: Request,
    /// Its part of the machine, in comparison with the shares of others.
    pub shares: u32,
}

impl Default for AccountRule {
    fn default() -> AccountRule {
        let shares = 1;
        AccountRule {
            max_running_cpus: None,
            max_running_jobs: None,
            max_queued_jobs: None,
            max_queued_bytes: None,
            max_running: Request::default(),
            shares,
        }
    }
}

impl AccountRule {
    /// Whether it limits what runs.
    fn limits_starts(&self) -> bool {
        self.max_running_cpus.is_some()
            || self.max_running_jobs.is_some()
            || !self.max_running.is_empty()
    }

    pub(in crate::kernel) fn limits(&self) -> bool {
        self.limits_starts() || self.max_queued_jobs.is_some() || self.max_queued_bytes.is_some()
    }
}

/// The rules of all accounts, or of all users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountRules {
    /// Of those that are named.
    pub named: BTreeMap<String, AccountRule>,
    /// Of each other.
    pub others: Option<AccountRule>,
}

impl AccountRules {
    /// The rule of the one of this name.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&AccountRule> {
        self.named.get(name).or(self.others.as_ref())
    }

    pub(in crate::kernel) fn limit_starts(&self) -> bool {
        self.named.values().chain(&self.others).any(AccountRule::limits_starts)
    }
}

/// Jobs that wait, or are about to, and what is kept of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub jobs: u64,
    /// Bytes of their scripts and environments.
    pub bytes: u64,
}

impl Waiting {
    /// What a new job has waiting: each task of an array is one, what they run is there once.
    #[must_use]
    pub fn of(spec: &JobSpec) -> Waiting {
        let jobs = spec.array.as_ref().map_or(1, |array| array.tasks.len() as u64);
        Waiting { jobs, bytes: spec.counted_bytes().into() }
    }

    /// One job, with so many bytes.
    #[must_use]
    pub fn one(bytes: u32) -> Waiting {
        Waiting { jobs: 1, bytes: bytes.into() }
    }

    /// With these as well.
    #[must_use]
    pub fn plus(self, other: Waiting) -> Waiting {
        Waiting {
            jobs: self.jobs.saturating_add(other.jobs),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// Without these.
    #[must_use]
    pub fn minus(self, other: Waiting) -> Waiting {
        Waiting {
            jobs: self.jobs.saturating_sub(other.jobs),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// Whom a limit is of, as a sentence names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payer<'a> {
    /// The account of this name; empty for jobs that name none.
    Account(&'a str),
    /// The user of this name.
    User(&'a str),
}

impl Payer<'_> {
    /// The field of a job that names it.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Payer::Account(_) => "account",
            Payer::User(_) => "user",
        }
    }
}

impl fmt::Display for Payer<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Payer::Account("") => out.write_str("whoever names no account"),
            Payer::Account(name) => write!(out, "account {name}"),
            Payer::User(name) => write!(out, "user {name}"),
        }
    }
}

/// Why somebody may not have so much more that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// The field of a job that names him.
    pub field: &'static str,
    /// The limit, and what to do.
    pub sentence: String,
}
