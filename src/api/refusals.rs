//! *Purpose*: what was refused, for whoever looks after the server.
//!
//! *Owns*: [`Refusals`]: a line in the log, and a count.
//!
//! *Promises*: each refusal is counted; of one sender ten lines a second are written at the most,
//! so that nobody fills a disk with what he may not do. Nothing that was sent stands there raw.
//!
//! *Not here*: what changed something (`api::history`).

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::caller::Caller;
use super::error::ApiError;
use crate::job::ids::Uid;
use crate::observe::metrics::Metrics;
use crate::text::quote::escaped;

/// Lines of one sender in a second.
const LINES_A_SECOND: u32 = 10;
/// Senders that are remembered before those who have long been silent are forgotten.
const REMEMBERED: usize = 4_096;

/// Without characters that act.
fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// Notes what was refused.
#[derive(Debug)]
pub struct Refusals {
    metrics: Arc<Metrics>,
    lines: DefaultKeyedRateLimiter<Option<Uid>>,
}

impl Refusals {
    /// Counted here.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Refusals {
        let a_second = NonZeroU32::new(LINES_A_SECOND).unwrap_or(NonZeroU32::MIN);
        Refusals { metrics, lines: RateLimiter::keyed(Quota::per_second(a_second)) }
    }

    /// Notes an error, if it is a refusal: what somebody asked for, and who, where he is known; of
    /// others where they asked from.
    pub fn note(
        &self,
        error: &ApiError,
        (who, remote): (Option<&Caller>, Option<&str>),
        (asked, number): (&str, &str),
    ) {
        if !error.is_refusal {
            return;
        }
        self.metrics.refused(who.map(|caller| caller.who.role));
        let uid = who.and_then(|caller| caller.who.uid);
        if self.lines.len() > REMEMBERED {
            self.lines.retain_recent();
        }
        if self.lines.check_key(&uid).is_err() {
            return;
        }
        let sender = match who {
            Some(caller) => {
                let (who, via): (_, &str) = (&caller.who, caller.who.via.into());
                let uid = who.uid.map(|uid| format!(" ({uid})")).unwrap_or_default();
                let from = match (who.origin.process, &who.origin.remote) {
                    (Some(process), _) => format!(", process {process}"),
                    (None, Some(remote)) => format!(", {remote}"),
                    (None, None) => String::new(),
                };
                format!("{}{uid} by {via}{from}", plain(&who.name))
            }
            None => format!("somebody who is not known, {}", remote.unwrap_or("from nowhere")),
        };
        let (asked, code, number) = (plain(asked), error.code.word(), plain(number));
        log::warn!("Refused: {sender}, {asked}: {code} (request {number})");
    }
}
