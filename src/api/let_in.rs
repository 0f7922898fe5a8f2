//! *Purpose*: answers that go on for long.
//!
//! *Owns*: [`LetIn`].
//!
//! *Promises*: whoever would not be let in any more, or as somebody who may do other things, is
//! told nothing more, a second later at most, by an answer that began before: a token that was
//! revoked or has expired, a session that was ended, a role that was taken, a house that became
//! private.
//!
//! *Not here*: who is let in (`api::auth`, `api::served`, `api::by_token`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::app::App;
use super::by_token::TokenCheck;
use super::caller::Caller;
use super::code::Code;
use super::error::ApiError;
use super::live::Live;
use super::served::Served;
use super::web_sessions;
use crate::clock;
use crate::config::Secret;
use crate::job::ids::Uid;
use crate::kernel::access;
use crate::people::People;

/// An answer is looked at at most so often: for it a row is read.
const EVERY: Duration = Duration::from_secs(1);

/// How somebody was let in: on a server of one user by tokens of its settings, if by any.
pub struct LetIn {
    who: Arc<access::Caller>,
    by: Arc<Live>,
    seen: Instant,
}

impl LetIn {
    /// This caller, by the settings of now.
    #[must_use]
    pub fn now(app: &App, caller: &Caller) -> LetIn {
        LetIn { who: Arc::clone(&caller.who), by: app.live(), seen: clock::monotonic() }
    }

    /// Looks whether he would be let in as the same now, unless it was just looked.
    ///
    /// # Errors
    /// 401 when he would not.
    pub async fn check(&mut self, app: &App) -> Result<(), ApiError> {
        let now = clock::monotonic();
        if now.duration_since(self.seen) < EVERY {
            return Ok(());
        }
        self.seen = now;
        let detail = "who asked for this may do other things by now; ask again";
        match self.holds(app).await {
            true => Ok(()),
            false => Err(ApiError::new(Code::Unauthorized, detail)),
        }
    }

    /// What cannot be found out is no.
    async fn holds(&self, app: &App) -> bool {
        let now = app.live();
        if web_sessions::is_session(&self.who.origin) {
            let him = self.whom_a_session_lets_in(app, &now).await;
            return him.is_some_and(|him| *him.who == *self.who);
        }
        match (&app.served, self.who.acts_as) {
            (Served::System(users), Some(uid)) => {
                let him = self.who_he_is((app, &now), (users, uid)).await;
                him.is_some_and(|him| *him.who == *self.who)
            }
            _ => {
                let tokens = |of: &Live| [of.token.clone(), of.admin_token.clone()];
                let same = |(then, now): (&Option<Secret>, &Option<Secret>)| match (then, now) {
                    (Some(then), Some(now)) => then.is(now),
                    (then, now) => then.is_none() && now.is_none(),
                };
                tokens(&self.by).iter().zip(&tokens(&now)).all(same)
            }
        }
    }

    /// Whom a request with his browser's session would be taken for.
    async fn whom_a_session_lets_in(&self, app: &App, live: &Live) -> Option<Caller> {
        let (origin, now) = (self.who.origin.clone(), clock::now());
        let open = app.web.numbered(origin.token.as_deref()?, now)?;
        let tokens = match &app.served {
            Served::System(users) => {
                Some(TokenCheck { users: users.clone(), readers: app.system.readers.clone() })
            }
            Served::One(_) => None,
        };
        open.caller((tokens.as_ref(), live), origin, now).await.ok()?
    }

    /// Whom a request of his would be taken for.
    async fn who_he_is(
        &self,
        (app, live): (&App, &Live),
        (users, uid): (&People, Uid),
    ) -> Option<Caller> {
        let person = users.by_uid(uid).await.ok()??;
        let origin = self.who.origin.clone();
        let Some(id) = origin.token.clone() else {
            return Some(Caller::of_many(person, &live.people, (self.who.via, origin)));
        };
        let token = app.read_raw(move |db| db.token(&id)).await.ok()??;
        let is_good = token.user == person.name && clock::now() < token.expires;
        is_good.then(|| Caller::of_token(person, &live.people, &token, origin))
    }
}
