//! *Purpose*: when CPUs will come back.
//!
//! *Owns*: expected ends and the head job's reservation.
//!
//! *Promises*: a reservation exists whenever the machine is wide enough: an unlimited job is
//! planned to last 366 days, an overdue one to end a second from now.
//!
//! *Not here*: who runs meanwhile (`policy::backfill`).

use crate::kernel::time::Time;
use crate::kernel::view::Busy;

/// How long an unlimited job lasts in planning, seconds.
pub const UNLIMITED_S: i64 = 366 * 86_400;
/// When an overdue job is expected to end, seconds from now.
pub const OVERDUE_S: i64 = 1;

/// CPUs that come back at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// When.
    pub at: Time,
    /// How many.
    pub cpus: u32,
}

/// The head job's reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The shadow time: when the head job can start at the latest.
    pub at: Time,
    /// CPUs that are free at that time beyond what the head job needs.
    pub extra: u32,
}

/// When something that starts at `start` ends at the latest.
#[must_use]
pub fn expected_end(start: Time, limit_s: Option<u32>) -> Time {
    start.plus_s(limit_s.map_or(UNLIMITED_S, i64::from))
}

/// When a live attempt gives its CPUs back at the latest, as far as planning goes.
#[must_use]
pub fn release_of(busy: &Busy, now: Time) -> Release {
    let end = expected_end(busy.since, busy.limit_s);
    let at = if end <= now { now.plus_s(OVERDUE_S) } else { end };
    Release { at, cpus: busy.cpus }
}

/// The earliest time at which `cpus` are free; `None` when the machine is too narrow. All
/// releases at that very instant count.
#[must_use]
pub fn reservation(cpus: u32, free: u32, busy: &mut [Release]) -> Option<Reservation> {
    busy.sort_by_key(|r| r.at);
    let mut then_free = free;
    let mut at = None;
    for release in busy.iter() {
        if at.is_some_and(|at| release.at > at) {
            break;
        }
        then_free += release.cpus;
        if at.is_none() && then_free >= cpus {
            at = Some(release.at);
        }
    }
    at.map(|at| Reservation { at, extra: then_free - cpus })
}
