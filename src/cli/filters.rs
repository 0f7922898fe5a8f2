//! *Purpose*: which jobs people mean who do not name them one by one.
//!
//! *Owns*: [`Filters`], shared by all verbs that take several jobs.
//!
//! *Promises*: what is not given excludes nobody; a flag means the same with every verb.
//!
//! *Not here*: ids (`cli::ids`), how a filter is answered (the server).

use super::caller::Caller;
use super::error::CliError;
use crate::api::wire::v1::StateWord;
use crate::clock;
use crate::text::when;

/// What a name is a pattern by, as in a shell.
const OF_A_PATTERN: [char; 3] = ['*', '?', '['];

/// Which jobs.
#[derive(clap::Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Which jobs")]
pub struct Filters {
    /// Only these states (repeatable, or with commas)
    #[arg(long, short, value_delimiter = ',')]
    pub state: Vec<StateWord>,
    /// Only this account
    #[arg(long, short = 'A')]
    pub account: Option<String>,
    /// Only this name; * ? and [ab] as in a shell
    #[arg(long, short = 'J')]
    pub name: Option<String>,
    /// Only this user's
    #[arg(long, short, conflicts_with = "me")]
    pub user: Option<String>,
    /// Only my own
    #[arg(long)]
    pub me: bool,
    /// Only this partition
    #[arg(long, short)]
    pub partition: Option<String>,
    /// Only this label (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Submitted at or after: yesterday, 16:00, 2026-11-22T16:00, now-2h
    #[arg(long, value_name = "WHEN", value_parser = passed)]
    pub since: Option<String>,
    /// Submitted before
    #[arg(long, value_name = "WHEN", value_parser = passed)]
    pub until: Option<String>,
}

impl Filters {
    /// The filters as the server takes them, without states.
    ///
    /// # Errors
    /// When nobody knows who runs this.
    pub(super) fn pairs(&self) -> Result<Vec<(&'static str, String)>, CliError> {
        let mut pairs = Vec::new();
        let mut add = |key, value: Option<String>| {
            pairs.extend(value.map(|value| (key, value)));
        };
        add("account", self.account.clone());
        let is_pattern = self.name.as_ref().is_some_and(|name| name.contains(OF_A_PATTERN));
        add(if is_pattern { "name_like" } else { "name" }, self.name.clone());
        // As a submission names whoever runs this program.
        let me = if self.me { Caller::here()?.user } else { None };
        add("user", me.or_else(|| self.user.clone()));
        add("partition", self.partition.clone());
        for label in &self.label {
            // The wire separates key and value by a colon; on the command line both are natural.
            add("label", Some(label.replacen('=', ":", 1)));
        }
        add("since", self.since.clone());
        add("until", self.until.clone());
        Ok(pairs)
    }
}

/// A time that has passed, as the server reads it.
fn passed(text: &str) -> Result<String, String> {
    when::parse_past(text).map(clock::rfc3339)
}
