//! *Purpose*: why a job is as it is: waits, is being stopped, ended otherwise than it should.
//!
//! *Owns*: [`Why`], [`Waiting`].
//!
//! *Promises*: the sentence is the server's; what is measured beside it is of the same moment.
//!
//! *Not here*: measuring (`web::waits`).

use std::sync::Arc;

use super::board::{Sight, Tried};
use super::waits::{self, Help, Need, Point};
use super::words::{self, AsOf, Clock};
use crate::api::wire::job::Job;
use crate::api::wire::rank::Rank;
use crate::job::state::StateWord;

/// What is known of a wait.
pub struct Waiting {
    /// How things stand.
    pub sight: Arc<Sight>,
    /// Its place, and of what its points are made.
    pub rank: Option<Rank>,
    /// What became of changes that were tried.
    pub tried: Tried,
}

/// With a capital letter.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + letters.as_str()
}

/// Why a job is as it is.
pub struct Why {
    /// What is said here.
    pub head: &'static str,
    /// In a word, with its place in the line.
    pub word: String,
    /// In a sentence; empty when there is nothing to say.
    pub said: String,
    /// When it starts at the latest.
    pub starts: Clock,
    /// On what that rests.
    pub basis: String,
    /// What it needs beside what is free.
    pub needs: Vec<Need>,
    /// What would let it start sooner.
    pub helps: Vec<Help>,
    /// What its points are made of.
    pub points: Vec<Point>,
    /// All of them.
    pub points_sum: String,
}

impl Why {
    /// Of a job, as far as it is the reader's business.
    #[must_use]
    pub fn of(job: &Job, waits: Option<&Waiting>, at: AsOf) -> Why {
        let (head, said) = match job.state {
            StateWord::Pending => ("Why it waits", &job.state_detail),
            StateWord::Running | StateWord::Completing => ("How it is", &job.state_detail),
            _ => ("How it ended", &job.error),
        };
        let place = job.position.map(|n| format!("place {}", words::number(n)));
        let word = [job.state_reason.clone(), place].into_iter().flatten();
        let rank = waits.and_then(|waits| waits.rank.as_ref());
        let sum = rank.and_then(|rank| rank.points);
        Why {
            head,
            word: word.collect::<Vec<_>>().join(" · "),
            said: sentence(said.as_deref().unwrap_or_default()),
            starts: at.clock(job.estimated_start_time.as_deref()).unwrap_or_default(),
            basis: job.estimate_basis.clone().unwrap_or_default(),
            needs: waits.map(|waits| waits::needs(job, &waits.sight.overview)).unwrap_or_default(),
            helps: waits.map(|waits| waits::helps(job, &waits.tried, at)).unwrap_or_default(),
            points: waits::points(job, rank),
            points_sum: sum.map(|sum| sum.to_string()).unwrap_or_default(),
        }
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.said.is_empty() && self.needs.is_empty()
    }
}
