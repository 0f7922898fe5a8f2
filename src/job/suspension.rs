//! *Purpose*: how long a job stood still while it ran.
//!
//! *Owns*: [`Suspension`].
//!
//! *Promises*: its time counts neither for the time limit nor for how long the job has run.
//!
//! *Not here*: who suspends it (`kernel::commands::suspend`), how (`engine`).

use crate::time::Time;

/// Whether a running attempt is suspended, and for how long it was before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suspension {
    /// Since when it is.
    pub since: Option<Time>,
    /// For how long it was before that, µs.
    pub past_us: i64,
}

impl Suspension {
    /// How long it has stood still in all, µs.
    #[must_use]
    pub fn us(&self, now: Time) -> i64 {
        let current = self.since.map_or(0, |since| now.since_us(since).max(0));
        self.past_us.saturating_add(current)
    }

    /// The same, suspended now.
    #[must_use]
    pub fn suspended(self, now: Time) -> Suspension {
        Suspension { since: self.since.or(Some(now)), ..self }
    }

    /// The same, going on now.
    #[must_use]
    pub fn resumed(self, now: Time) -> Suspension {
        Suspension { since: None, past_us: self.us(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stood_still_adds_up() {
        let at = |s| Time(0).plus_s(s);
        let never = Suspension::default();
        assert_eq!(never.us(at(9)), 0);
        let first = never.suspended(at(10));
        assert_eq!((first.us(at(13)), first.suspended(at(12))), (3_000_000, first));
        let second = first.resumed(at(14)).suspended(at(20));
        assert_eq!(second.us(at(21)), 5_000_000);
        assert_eq!(second.resumed(at(21)), Suspension { since: None, past_us: 5_000_000 });
        assert_eq!(second.us(at(19)), 4_000_000, "a clock that was set back takes nothing away");
    }
}
