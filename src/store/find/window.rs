//! *Purpose*: the ids in which a page is still sought.
//!
//! *Owns*: [`Window`], and what lies before and behind an id in the order of the page.
//!
//! *Promises*: a window only becomes narrower.
//!
//! *Not here*: how far one question may look (`store::find`).

use crate::job::ids::JobId;
use crate::store::filter::JobFilter;

/// Ids that are still in question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) ascending: bool,
}

impl Window {
    pub(super) fn of(filter: &JobFilter) -> Window {
        let ascending = filter.ascending;
        let (first, last) = match filter.after {
            Some(JobId(after)) if ascending => (after.saturating_add(1), i64::MAX),
            Some(JobId(after)) => (i64::MIN, after.saturating_sub(1)),
            None => (i64::MIN, i64::MAX),
        };
        Window { first, last, ascending }
    }

    pub(super) fn within(self, first: i64, end: i64) -> Window {
        let last = self.last.min(end.saturating_sub(1));
        Window { first: self.first.max(first), last, ..self }
    }

    /// What lies before this id.
    pub(super) fn before(self, stop: i64) -> Window {
        if self.ascending {
            Window { last: stop - 1, ..self }
        } else {
            Window { first: stop + 1, ..self }
        }
    }

    /// The id after which one goes on with this one.
    pub(super) fn cursor(self, stop: i64) -> JobId {
        JobId(if self.ascending { stop - 1 } else { stop + 1 })
    }

    /// The nearer of two places to stop.
    pub(super) fn nearer(self, a: Option<i64>, b: Option<i64>) -> Option<i64> {
        let near = if self.ascending { i64::min } else { i64::max };
        a.zip(b).map(|(a, b)| near(a, b)).or(a).or(b)
    }
}
