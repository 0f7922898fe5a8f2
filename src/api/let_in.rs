//! *Purpose*: answers that go on for long.
//!
//! *Owns*: [`LetIn`].
//!
//! *Promises*: whoever would not be let in any more, or as somebody who may do other things, is
//! told nothing more by an answer that began before: a token that was revoked or has expired, a
//! role that was taken, settings that were read again.
//!
//! *Not here*: who is let in (`api::auth`, `api::served`, `api::by_token`).

use std::sync::Arc;

use super::app::App;
use super::caller::Caller;
use super::live::Live;
use super::served::Served;
use crate::clock;
use crate::job::ids::Uid;
use crate::kernel::access;
use crate::people::People;
use crate::store::tokens;

/// How somebody was let in.
pub struct LetIn {
    who: Arc<access::Caller>,
    by: Arc<Live>,
}

impl LetIn {
    /// This caller, by the settings of now.
    #[must_use]
    pub fn now(app: &App, caller: &Caller) -> LetIn {
        LetIn { who: Arc::clone(&caller.who), by: app.live() }
    }

    /// Whether he would be let in as the same now. After settings were read again nobody would:
    /// he asks anew, and passes all that a request passes. What cannot be found out is no.
    pub async fn holds(&self, app: &App) -> bool {
        if !Arc::ptr_eq(&self.by, &app.live()) {
            return false;
        }
        match (&app.served, self.who.acts_as) {
            (Served::System(users), Some(uid)) => {
                let now = self.who_he_is(app, (users, uid)).await;
                now.is_some_and(|now| *now.who == *self.who)
            }
            _ => true,
        }
    }

    /// Whom a request of his would be taken for.
    async fn who_he_is(&self, app: &App, (users, uid): (&People, Uid)) -> Option<Caller> {
        let person = users.by_uid(uid).await.ok()??;
        let origin = self.who.origin.clone();
        let Some(id) = origin.token.clone() else {
            return Some(Caller::of_many(person, &self.by.people, (self.who.via, origin)));
        };
        let token = app.read_raw(move |conn| tokens::by_id(conn, &id)).await.ok()??;
        let is_good = token.user == person.name && clock::now() < token.expires;
        is_good.then(|| Caller::of_token(person, &self.by.people, &token, origin))
    }
}
