//! *Purpose*: rules by name, of accounts or of users, as their tables are read.
//!
//! *Owns*: [`Named`].
//!
//! *Promises*: a name is there once, and can be read on a terminal.
//!
//! *Not here*: what the tables say (`config::tables`, `config::users`).

use super::error::ConfigError;
use crate::job::spec::NAME_CHARS_MAX;
use crate::kernel::parts::limits::{AccountRule, AccountRules, OTHERS};

/// Most accounts, and most users, with rules of their own: more come from a program, which means
/// `"*"`.
const RULES_MAX: usize = 10_000;

/// Rules by name, of accounts or of users, as their tables are read.
pub(super) struct Named {
    /// What the tables are of.
    of: &'static str,
    rules: AccountRules,
    count: usize,
}

impl Named {
    pub(super) fn new(of: &'static str) -> Named {
        Named { of, rules: AccountRules::default(), count: 0 }
    }

    /// A table that makes no sense.
    pub(super) fn refuse(&self, name: &str, message: &str) -> ConfigError {
        let table = format!("{} \"{name}\"", self.of);
        ConfigError::Table { table, message: message.to_owned() }
    }

    /// This is the rule of this name.
    pub(super) fn put(&mut self, name: &str, rule: AccountRule) -> Result<(), ConfigError> {
        let long = name.chars().count() > NAME_CHARS_MAX;
        if name.is_empty() || long || name.chars().any(char::is_control) {
            let message = format!("name is 1 to {NAME_CHARS_MAX} printable characters");
            return Err(self.refuse(name, &message));
        }
        self.count += 1;
        if self.count > RULES_MAX {
            return Err(self.refuse(name, &format!("is one too many; at most {RULES_MAX}")));
        }
        let before = match name {
            OTHERS => self.rules.others.replace(rule).is_some(),
            name => self.rules.named.insert(name.to_owned(), rule).is_some(),
        };
        if before { Err(self.refuse(name, "name is there twice")) } else { Ok(()) }
    }

    pub(super) fn into_rules(self) -> AccountRules {
        self.rules
    }
}
