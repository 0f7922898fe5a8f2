//! *Purpose*: a server of all users stays a server of all, however much one of them asks.
//!
//! *Owns*: [`Crowd`]: how often each user may ask, how many connections he may have, and how much
//! of his work goes on at a time.
//!
//! *Promises*: whoever asks too often gets 429 and when to come back, and nothing of his is looked
//! at; operators are never told so. The connection of somebody who has too many is closed at once.
//!
//! *Not here*: streams and waits (`api::places`), what a user may have queued
//! (`kernel::admission`).

use std::num::NonZeroU32;
use std::sync::Arc;

use actix_web::http::Method;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::Semaphore;

use super::code::Code;
use super::error::ApiError;
use super::per_user::{One, PerUser};
use crate::job::ids::Uid;
use crate::kernel::access::{Caller, Role};
use crate::threads::Turns;

/// Requests that change something, of one user: so many in a second on and on. It is a tenth of
/// what the server takes of single jobs, and a batch of ten thousand jobs is one request.
const CHANGES_A_SECOND: u32 = 200;
/// So many at once, from somebody who was silent before: a loop over a folder of scripts.
const CHANGES_AT_ONCE: u32 = 2_000;
/// Questions of one user likewise: a page that looks ten times a second in fifty windows.
const QUESTIONS_A_SECOND: u32 = 500;
/// So many at once.
const QUESTIONS_AT_ONCE: u32 = 2_000;
/// Users whose rates are remembered before those who have long been silent are forgotten.
const REMEMBERED: usize = 4_096;
/// Work of one user at once on the threads that read the database. The machine does not read faster
/// with more, and what others ask is never behind more of his.
const WORK_AT_ONCE: usize = 2;
/// Each user may have this part of all connections, and so may all who come over TCP together,
/// since of them nobody is known before he has sent a token.
const PART: usize = 8;

/// Whose a connection is: a user over the socket, or whoever came over TCP.
pub type Door = Option<Uid>;

/// How much one user may ask.
#[derive(Debug)]
pub struct Crowd {
    clock: DefaultClock,
    changes: DefaultKeyedRateLimiter<Uid>,
    questions: DefaultKeyedRateLimiter<Uid>,
    connections: PerUser<Door>,
    work: Turns<Uid>,
}

impl Crowd {
    /// At a server that takes so many connections.
    #[must_use]
    pub fn new(connections: usize) -> Crowd {
        let rate = |a_second, at_once| {
            let at_once = NonZeroU32::new(at_once).unwrap_or(NonZeroU32::MIN);
            let a_second = NonZeroU32::new(a_second).unwrap_or(NonZeroU32::MIN);
            RateLimiter::keyed(Quota::per_second(a_second).allow_burst(at_once))
        };
        Crowd {
            clock: DefaultClock::default(),
            changes: rate(CHANGES_A_SECOND, CHANGES_AT_ONCE),
            questions: rate(QUESTIONS_A_SECOND, QUESTIONS_AT_ONCE),
            connections: PerUser::new(connections / PART),
            work: Turns::new(WORK_AT_ONCE),
        }
    }

    /// One more connection; `None` when there are too many like it. Root has as many as there are.
    #[must_use]
    pub fn enters(&self, door: Door) -> Option<Option<One<Door>>> {
        match door {
            Some(Uid(0)) => Some(None),
            door => self.connections.take(door).map(Some),
        }
    }

    /// The turns of this user on the threads for work that waits; `None`: he may have them all.
    #[must_use]
    pub fn turns(&self, caller: &Caller) -> Option<Arc<Semaphore>> {
        limited(caller).map(|uid| self.work.of(uid))
    }

    /// Whether this user may ask once more now.
    ///
    /// # Errors
    /// 429.
    pub fn admits(&self, caller: &Caller, method: &Method) -> Result<(), ApiError> {
        let Some(uid) = limited(caller) else { return Ok(()) };
        let is_question = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let (limiter, a_second, what) = match is_question {
            true => (&self.questions, QUESTIONS_A_SECOND, "questions"),
            false => (&self.changes, CHANGES_A_SECOND, "changes"),
        };
        if limiter.len() > REMEMBERED {
            limiter.retain_recent();
        }
        limiter.check_key(&uid).map_err(|early| {
            let wait = early.wait_time_from(self.clock.now());
            let detail = format!(
                "too many {what}: {} may have {a_second} a second; nothing was done, ask again \
                 later (many jobs go in one request as a batch or an array)",
                caller.name
            );
            ApiError::new(Code::TooManyRequests, detail).retry_after(wait)
        })
    }
}

/// Whose part is limited: everybody's but operators'.
fn limited(caller: &Caller) -> Option<Uid> {
    caller.uid.filter(|_| caller.role < Role::Operator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_s_connections_leave_room_for_others() {
        let crowd = Crowd::new(16);
        let (alice, tcp) = (Some(Uid(1_000)), None);
        let hers: Vec<_> = (0..3).map(|_| crowd.enters(alice)).collect();
        assert_eq!(hers.iter().filter(|one| one.is_some()).count(), 2);
        assert!(crowd.enters(Some(Uid(1_001))).is_some() && crowd.enters(tcp).is_some());
        let of_root = (0..20).all(|_| crowd.enters(Some(Uid(0))).is_some());
        assert!(of_root, "root has as many as there are");
        drop(hers);
        assert!(crowd.enters(alice).is_some());
    }
}
