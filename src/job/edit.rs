//! *Purpose*: what is to be different about a job that exists.
//!
//! *Owns*: [`EditRequest`], as asked for; [`Edit`], checked.
//!
//! *Promises*: what is left out stays as it is.
//!
//! *Not here*: the checks (`kernel::admission`), what an edit does (`kernel::commands::edit`).

use std::collections::BTreeMap;

use super::dependency::Dependencies;
use super::spec::SingletonKey;
use super::tasks::Tasks;
use crate::text::time_limit::LimitAsked;
use crate::time::Time;

/// What is to be different, as somebody asks for it; `None` leaves it, `Some(None)` takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditRequest {
    /// Whether it waits until somebody releases it.
    pub held: Option<bool>,
    /// Larger runs first.
    pub priority: Option<i64>,
    /// Time limit.
    pub limit: Option<LimitAsked>,
    /// Not before.
    pub begin: Option<Option<Time>>,
    /// Not after.
    pub deadline: Option<Option<Time>>,
    /// Its name.
    pub name: Option<String>,
    /// Whom to charge.
    pub account: Option<String>,
    /// The partition.
    pub partition: Option<String>,
    /// CPUs.
    pub cpus: Option<i64>,
    /// Memory, bytes; taken away, it is the site's default for so many CPUs.
    pub memory_bytes: Option<Option<i64>>,
    /// The jobs that it waits for; an empty list for none.
    pub dependencies: Option<Dependencies>,
    /// Labels to set and to take away; `Some(None)` takes all away.
    pub labels: Option<Option<BTreeMap<String, Option<String>>>>,
    /// A remark.
    pub comment: Option<Option<String>>,
}

/// What is to be different, checked; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Whether it is held.
    pub held: Option<bool>,
    /// Whether it is an operator who holds it; looked at only with `held`.
    pub by_operator: bool,
    /// Its priority.
    pub priority: Option<i64>,
    /// Its time limit, seconds; `Some(None)` is unlimited.
    pub limit_s: Option<Option<u32>>,
    /// Not before; `Some(None)` is at once.
    pub begin: Option<Option<Time>>,
    /// Not after; `Some(None)` is never.
    pub deadline: Option<Option<Time>>,
    /// Its name.
    pub name: Option<String>,
    /// Its account.
    pub account: Option<String>,
    /// Its partition.
    pub partition: Option<String>,
    /// Its CPUs, and what is said of its tasks with so many.
    pub cpus: Option<(u32, Tasks)>,
    /// Its memory, bytes; `Some(None)` holds none.
    pub memory_bytes: Option<Option<u64>>,
    /// The jobs that it waits for.
    pub dependencies: Option<Dependencies>,
    /// Whether it is cancelled when those can never be; looked at only with them.
    pub gives_up: bool,
    /// Its labels, all of them.
    pub labels: Option<BTreeMap<String, String>>,
    /// Its remark.
    pub comment: Option<Option<String>>,
    /// Name and user that it has then; there where its name or what it waits for is different.
    pub family: Option<SingletonKey>,
}

impl Edit {
    /// The word for it in events.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        let only_held = Edit { held: None, by_operator: false, ..self.clone() } == Edit::default();
        match self.held {
            Some(true) if only_held => "held",
            Some(false) if only_held => "released",
            _ => "edited",
        }
    }

    /// What whoever wants it asks for, a word.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self.cause() {
            "held" => "hold",
            "released" => "release",
            _ => "update",
        }
    }

    /// Whether it can be done to a job that runs: when its CPUs are given back, and what nothing
    /// but people and singletons look at.
    #[must_use]
    pub fn suits_running(&self) -> bool {
        let of_running = Edit {
            limit_s: self.limit_s,
            deadline: self.deadline,
            name: self.name.clone(),
            labels: self.labels.clone(),
            comment: self.comment.clone(),
            family: self.family.clone(),
            ..Edit::default()
        };
        *self == of_running
    }

    /// Whether it only takes away what a job waits for: of one that waits no longer that is so
    /// already.
    #[must_use]
    pub fn only_frees(&self) -> bool {
        let frees = self.begin.is_none_or(|begin| begin.is_none())
            && self.deadline.is_none_or(|deadline| deadline.is_none())
            && self.dependencies.as_ref().is_none_or(|all| *all == Dependencies::default());
        let rest = Edit {
            begin: self.begin,
            deadline: self.deadline,
            dependencies: self.dependencies.clone(),
            gives_up: self.gives_up,
            family: self.family.clone(),
            ..Edit::default()
        };
        frees && *self == rest
    }

    /// Whether it changes until when a job may run.
    #[must_use]
    pub fn changes_end(&self) -> bool {
        self.limit_s.is_some() || self.deadline.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_running_job_only_its_end_and_its_words_can_be_changed() {
        let limit = Edit { limit_s: Some(Some(60)), ..Edit::default() };
        assert!(limit.suits_running() && limit.changes_end());
        let words = Edit { comment: Some(None), name: Some("n".into()), ..Edit::default() };
        assert!(words.suits_running() && !words.changes_end());
        let wider = Edit { cpus: Some((2, Tasks::default())), ..limit };
        assert!(!wider.suits_running());
        assert!(!Edit { held: Some(true), ..Edit::default() }.suits_running());
    }

    #[test]
    fn what_only_takes_away_keeps_nobody() {
        let away = Edit {
            begin: Some(None),
            deadline: Some(None),
            dependencies: Some(Dependencies::default()),
            ..Edit::default()
        };
        assert!(away.only_frees());
        assert!(!Edit { begin: Some(Some(Time(1))), ..away.clone() }.only_frees());
        assert!(!Edit { held: Some(false), ..away }.only_frees());
    }

    #[test]
    fn an_event_says_whether_more_was_changed_than_the_hold() {
        let held = |held| Edit { held: Some(held), ..Edit::default() };
        assert_eq!((held(true).cause(), held(false).cause()), ("held", "released"));
        assert_eq!(Edit { priority: Some(1), ..held(true) }.cause(), "edited");
    }
}
