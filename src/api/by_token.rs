//! *Purpose*: whose a request is that comes with a token of a user.
//!
//! *Owns*: [`TokenCheck`].
//!
//! *Promises*: a token that is not known, was revoked, has expired, or belonged to somebody whose
//! number is another's by now is refused with the same words. Whoever sends one is never more than
//! that user is by the settings of now, nor more than the token lets him be.
//!
//! *Not here*: the one token of a server of one user (`api::auth`), making and revoking
//! (`api::tokens`), whether a text opens a token (`kernel::token`).

use actix_web::dev::ServiceRequest;

use super::app;
use super::caller::{Caller, Connection};
use super::code::Code;
use super::error::ApiError;
use super::live::Live;
use crate::clock;
use crate::kernel::token::Token;
use crate::people::People;
use crate::store::backend::Readers;

/// Looks at tokens of users.
#[derive(Clone)]
pub struct TokenCheck {
    /// Who knows users.
    pub users: People,
    /// Where tokens stand.
    pub readers: Readers,
}

impl TokenCheck {
    /// Who sent a request with this text as its token.
    ///
    /// # Errors
    /// 401 for a text that opens nothing, 503 when nobody can tell now.
    pub async fn caller(
        &self,
        sent: &str,
        request: &ServiceRequest,
        live: &Live,
    ) -> Result<Caller, ApiError> {
        let closed = || {
            let detail = "this token opens nothing: nobody was given it, or it was revoked, or it \
                          has expired; `downbeat token create` makes another";
            ApiError::new(Code::Unauthorized, detail)
        };
        let id = Token::id_in(sent).ok_or_else(closed)?.to_owned();
        let found = app::read(&self.readers, move |db| db.token(&id)).await?;
        let token = found.filter(|token| token.opens(sent, clock::now())).ok_or_else(closed)?;
        let person = self.users.by_uid(token.uid).await;
        let person = person.map_err(|error| ApiError::unavailable(error.to_string()))?;
        let person = person.filter(|person| person.name == token.user).ok_or_else(closed)?;
        Ok(Caller::of_token(person, &live.people, &token, Connection::origin(request)))
    }
}
