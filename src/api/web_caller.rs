//! *Purpose*: who asks with a browser's session.
//!
//! *Owns*: [`Open::caller`].
//!
//! *Promises*: a session is never more than whoever had its code made is now, nor more than he was
//! then or his token lets him be, and ends with that token.
//!
//! *Not here*: which sessions there are (`api::web_sessions`).

use std::sync::Arc;

use super::app;
use super::by_token::TokenCheck;
use super::caller::Caller;
use super::error::ApiError;
use super::live::Live;
use super::web_sessions::{By, Maker, Open};
use crate::kernel::access::{Origin, Via};
use crate::time::Time;

impl Open {
    /// Who asks with it now; `None` when it has ended: its maker's token was revoked or has
    /// expired, or he is nobody here any more.
    ///
    /// # Errors
    /// 503 when nobody can tell now.
    pub async fn caller(
        &self,
        (tokens, live): (Option<&TokenCheck>, &Live),
        origin: Origin,
        now: Time,
    ) -> Result<Option<Caller>, ApiError> {
        let origin = Origin { token: Some(Arc::clone(&self.number)), ..origin };
        let found = match tokens {
            Some(tokens) => self.of_many(tokens, live, origin, now).await?,
            None => self.of_one_user(live, origin),
        };
        Ok(found.map(|Caller { who, person }| {
            let mut who = Arc::unwrap_or_clone(who);
            who.role = who.role.min(self.maker.role);
            Caller { who: Arc::new(who), person }
        }))
    }

    async fn of_many(
        &self,
        TokenCheck { users, readers }: &TokenCheck,
        live: &Live,
        origin: Origin,
        now: Time,
    ) -> Result<Option<Caller>, ApiError> {
        let Maker { uid: Some(uid), name, by, .. } = &self.maker else { return Ok(None) };
        if let By::OwnToken(id) = by {
            let id = id.to_string();
            let found = app::read(readers, move |db| db.token(&id)).await?;
            if found.is_none_or(|token| token.expires <= now) {
                return Ok(None);
            }
        }
        let person = users.by_uid(*uid).await;
        let person = person.map_err(|error| ApiError::unavailable(error.to_string()))?;
        let person = person.filter(|person| *person.name == **name);
        Ok(person.map(|person| Caller::of_many(person, &live.people, (Via::Token, origin))))
    }

    fn of_one_user(&self, live: &Live, origin: Origin) -> Option<Caller> {
        let Maker { uid, name, role, by } = &self.maker;
        if let By::ServerToken(sent) = by {
            let all = [&live.token, &live.admin_token].into_iter().flatten();
            // Both are looked at, whichever it is.
            let still = all.fold(false, |still, one| still | one.matches(sent.reveal()));
            if !still {
                return None;
            }
        }
        let who = (Arc::clone(name), uid.map(|uid| uid.0));
        Some(Caller::of_one_user(who, *role, (Via::Token, origin)))
    }
}
