//! *Purpose*: the ids in which a page is still sought.
//!
//! *Owns*: [`Window`], and what lies before and behind an id in the order of the page.
//!
//! *Promises*: a window only becomes narrower.
//!
//! *Not here*: how far one question may look (`store::body::find`).

use crate::job::ids::JobId;
use crate::store::filter::JobFilter;
use crate::store::order::SortKey;

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
        let all = Window { first: i64::MIN, last: i64::MAX, ascending };
        match &filter.after {
            Some(cursor) if filter.key == SortKey::Id => all.behind(cursor.id),
            _ => all,
        }
    }

    /// What lies behind this job.
    pub(super) fn behind(self, JobId(after): JobId) -> Window {
        match self.ascending {
            true => Window { first: self.first.max(after.saturating_add(1)), ..self },
            false => Window { last: self.last.min(after.saturating_sub(1)), ..self },
        }
    }

    pub(super) fn within(self, first: i64, end: i64) -> Window {
        let last = self.last.min(end.saturating_sub(1));
        Window { first: self.first.max(first), last, ..self }
    }

    /// The same from its other end.
    pub(super) fn turned(self) -> Window {
        Window { ascending: !self.ascending, ..self }
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
