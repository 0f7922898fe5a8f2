//! *Purpose*: policies, and how people write them.
//!
//! *Owns*: [`Policy`], [`Backfill`], `ORDER[+BACKFILL[:BFORDER]][@THRESHOLD]`, read and written.
//!
//! *Promises*: what is written reads back as the same policy; what cannot be read is refused with
//! the part that is wrong and what it could be.
//!
//! *Not here*: what a pass does by them (`policy::pass`).
//!
//! **The default** is `wfp3+easy@259200`: on three real traces it beats EASY over submit order in
//! mean bounded slowdown, mean wait and the wait of the widest jobs, and its threshold keeps the
//! longest wait within 1.32 of it. First fit looks good on averages and starves the wide.

use std::fmt;
use std::str::FromStr;

use super::order::{Order, Rule};
use crate::text::duration;

/// Who starts although a job before it does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backfill {
    /// Nobody.
    None,
    /// Whoever fits.
    FirstFit,
    /// Whoever does not delay the first job that does not fit; candidates in the queue's order or
    /// in one of their own.
    Easy(Option<Order>),
    /// Whoever delays nobody's reservation.
    Conservative,
}

/// A scheduling policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The rule of the queue.
    pub order: Order,
    /// Who starts out of line.
    pub backfill: Backfill,
    /// Whoever has waited longer than this goes first, seconds.
    pub threshold_s: Option<i64>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { order: Order::Wfp3, backfill: Backfill::Easy(None), threshold_s: Some(3 * 86_400) }
    }
}

impl Policy {
    /// How it orders a queue, for inputs that count so many units in a second.
    #[must_use]
    pub fn rule(&self, units_in_a_second: i64) -> Rule {
        let threshold = self.threshold_s.map(|s| s.saturating_mul(units_in_a_second));
        Rule { order: self.order, threshold }
    }
}

/// Words for orders.
const ORDERS: [(&str, Order); 5] = [
    ("fcfs", Order::Fcfs),
    ("sjf", Order::Sjf),
    ("saf", Order::Saf),
    ("wfp3", Order::Wfp3),
    ("f1", Order::F1),
];

/// What is wrong with a policy's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefused {
    /// Not an order.
    #[error("\"{0}\" is not an order; fcfs, sjf, saf, wfp3 or f1")]
    Order(String),
    /// Not a way to backfill.
    #[error("\"{0}\" is not a way to backfill; none, firstfit, easy or cons")]
    Backfill(String),
    /// Only EASY tries candidates in an order of their own.
    #[error("\"{0}\": only easy takes an order of its own, as in fcfs+easy:sjf")]
    OrderOfBackfill(String),
    /// Conservative backfilling knows one order.
    #[error("cons keeps reservations in submit order: write fcfs+cons, without a threshold")]
    Conservative,
    /// Not a threshold.
    #[error("\"{0}\" is not a threshold; seconds, or a number with d, h, m or s, as in @3d")]
    Threshold(String),
}

fn order(word: &str) -> Result<Order, PolicyRefused> {
    let known = ORDERS.iter().find(|(name, _)| *name == word);
    known.map(|(_, order)| *order).ok_or_else(|| PolicyRefused::Order(word.to_owned()))
}

impl FromStr for Policy {
    type Err = PolicyRefused;

    fn from_str(text: &str) -> Result<Policy, PolicyRefused> {
        let (rest, after) = match text.split_once('@') {
            Some((rest, after)) => (rest, Some(after)),
            None => (text, None),
        };
        let threshold = match after {
            None => None,
            Some(t) => {
                Some(duration::seconds(t).ok_or_else(|| PolicyRefused::Threshold(t.to_owned()))?)
            }
        };
        let (first, backfill) = rest.split_once('+').unwrap_or((rest, "none"));
        let first = order(first)?;
        let (way, own) = match backfill.split_once(':') {
            Some((way, own)) => (way, Some(own)),
            None => (backfill, None),
        };
        let backfill = match way {
            "none" => Backfill::None,
            "firstfit" => Backfill::FirstFit,
            "easy" => Backfill::Easy(own.map(order).transpose()?),
            "cons" => Backfill::Conservative,
            other => return Err(PolicyRefused::Backfill(other.to_owned())),
        };
        if own.is_some() && !matches!(backfill, Backfill::Easy(_)) {
            return Err(PolicyRefused::OrderOfBackfill(text.to_owned()));
        }
        if backfill == Backfill::Conservative && (first != Order::Fcfs || threshold.is_some()) {
            return Err(PolicyRefused::Conservative);
        }
        Ok(Policy { order: first, backfill, threshold_s: threshold })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = ORDERS.iter().find(|(_, order)| order == self).map_or("", |(word, _)| word);
        f.write_str(word)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.order)?;
        match self.backfill {
            Backfill::None => {}
            Backfill::FirstFit => f.write_str("+firstfit")?,
            Backfill::Easy(None) => f.write_str("+easy")?,
            Backfill::Easy(Some(order)) => write!(f, "+easy:{order}")?,
            Backfill::Conservative => f.write_str("+cons")?,
        }
        self.threshold_s.map_or(Ok(()), |s| write!(f, "@{s}"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_as_the_same_policy() {
        for (text, canonical) in [
            ("fcfs", "fcfs"),
            ("fcfs+none", "fcfs"),
            ("sjf+firstfit", "sjf+firstfit"),
            ("fcfs+easy:saf", "fcfs+easy:saf"),
            ("fcfs+cons", "fcfs+cons"),
            ("wfp3+easy@3d", "wfp3+easy@259200"),
            ("wfp3+easy@72h", "wfp3+easy@259200"),
            ("f1+easy@90", "f1+easy@90"),
            ("sjf@1h30m", "sjf@5400"),
        ] {
            let policy: Policy = text.parse().unwrap();
            assert_eq!(policy.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(policy));
        }
        assert_eq!(Policy::default().to_string(), "wfp3+easy@259200");
    }

    #[test]
    fn a_wrong_policy_is_refused_with_its_wrong_part() {
        let refused = |text: &str| text.parse::<Policy>().unwrap_err().to_string();
        assert!(refused("lifo+easy").starts_with("\"lifo\" is not an order"));
        assert!(refused("").starts_with("\"\" is not an order"));
        assert!(refused("fcfs+hard").starts_with("\"hard\" is not a way to backfill"));
        assert!(refused("fcfs+easy:no").starts_with("\"no\" is not an order"));
        assert!(refused("fcfs+firstfit:sjf").contains("only easy takes an order"));
        assert!(refused("sjf+cons").starts_with("cons keeps reservations in submit order"));
        assert!(refused("fcfs+cons@3d").starts_with("cons keeps reservations in submit order"));
        for threshold in ["", "d", "-3d", "3w", "99999999999999999d", "+3"] {
            let text = format!("wfp3+easy@{threshold}");
            assert!(refused(&text).starts_with(&format!("\"{threshold}\" is not a threshold")));
        }
    }
}
