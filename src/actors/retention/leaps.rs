//! *Purpose*: whether the wall clock may be believed, where something is given up by it.
//!
//! *Owns*: [`Leaps`].
//!
//! *Promises*: who sets the clock ahead, while the server runs or while it does not, has jobs
//! forgotten no sooner than a day of running later; nothing of that is asked of the clock itself.
//!
//! *Not here*: what is given up (`actors::retention`).

use std::time::{Duration, Instant};

use crate::clock::rfc3339;
use crate::time::{SECOND_US, Time};

/// By so much the wall clock may differ from the other one between two looks, seconds: far more
/// than clocks are put right by, far less than anybody keeps jobs.
const LEAP_S: i64 = 3_600;
/// A server may have been down for so long and nothing is odd about it, seconds (a day).
const DOWN_S: i64 = 86_400;
/// So long a clock that has leapt has to go on as it does to be believed: a day, in which whoever
/// runs the machine can put it right.
const BELIEVED_AFTER: Duration = Duration::from_secs(86_400);

/// What is known of the clocks.
#[derive(Debug)]
pub struct Leaps {
    last: Option<(Time, Instant)>,
    /// When the last commit of the server before this one was.
    last_commit: Option<Time>,
    doubted_since: Option<Instant>,
}

impl Leaps {
    /// Nothing, but when the last commit was.
    #[must_use]
    pub fn new(last_commit: Option<Time>) -> Leaps {
        Leaps { last: None, last_commit, doubted_since: None }
    }

    /// Both clocks say this now: whether the wall clock is believed.
    pub fn believes(&mut self, wall: Time, other: Instant) -> bool {
        if let Some(why) = self.leapt(wall, other) {
            log::warn!(
                "{why}: no job is forgotten before the clock has gone on from {} for a day; put it \
                 right, or wait",
                rfc3339(wall)
            );
            self.doubted_since = Some(other);
        }
        let doubted = |since: Instant| other.saturating_duration_since(since) < BELIEVED_AFTER;
        if self.doubted_since.is_some_and(|since| !doubted(since)) {
            log::warn!("The clock has gone on for a day and is believed: old jobs are forgotten");
            self.doubted_since = None;
        }
        self.doubted_since.is_none()
    }
}

impl Leaps {
    /// Why the wall clock is doubted since the last look, if it is.
    fn leapt(&mut self, wall: Time, other: Instant) -> Option<String> {
        let commit = self.last_commit.take();
        match self.last.replace((wall, other)) {
            Some((before, then)) => {
                let passed = other.saturating_duration_since(then).as_micros();
                let passed = i64::try_from(passed).unwrap_or(i64::MAX);
                let ahead = wall.since_us(before).saturating_sub(passed) / SECOND_US;
                (ahead > LEAP_S).then(|| format!("The clock was set ahead by {ahead} s"))
            }
            None => {
                let since = wall.since_us(commit?) / SECOND_US;
                let why = "the server was down so long, or the clock was set";
                (since > DOWN_S).then(|| format!("The last commit was {since} s ago, {why}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(start: Instant, s: u64) -> Instant {
        start + Duration::from_secs(s)
    }

    #[test]
    fn a_clock_that_is_set_far_ahead_is_believed_a_day_later() {
        let (start, mut leaps) = (crate::clock::monotonic(), Leaps::new(None));
        let wall = |s: i64| Time(1_700_000_000 * SECOND_US).plus_s(s);
        assert!(leaps.believes(wall(0), at(start, 0)));
        assert!(leaps.believes(wall(10), at(start, 10)));
        assert!(leaps.believes(wall(30), at(start, 20)), "put right by ten seconds");
        assert!(!leaps.believes(wall(400 * DAY), at(start, 30)));
        assert!(!leaps.believes(wall(400 * DAY + 86_399), at(start, 30 + 86_399)));
        assert!(leaps.believes(wall(401 * DAY), at(start, 30 + 86_400)));
        assert!(leaps.believes(wall(0), at(start, 86_500)), "back again nothing is too old");
        assert!(!leaps.believes(wall(400 * DAY), at(start, 86_510)));
    }

    #[test]
    fn what_was_set_while_no_server_ran_is_seen_by_the_last_commit() {
        let start = crate::clock::monotonic();
        let commit = Time(1_700_000_000 * SECOND_US);
        let later = |s: i64| Leaps::new(Some(commit)).believes(commit.plus_s(s), start);
        assert!(later(3 * 3_600), "it was down for a few hours");
        assert!(!later(400 * DAY));
        assert!(later(-400 * DAY));
    }
}
