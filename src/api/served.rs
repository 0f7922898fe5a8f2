//! *Purpose*: whom the server serves without a token.
//!
//! *Owns*: [`Served`]: its own user and root, or every user of the system.
//!
//! *Promises*: who is not known is refused. On a server of all users a connection over TCP says of
//! nobody who he is.
//!
//! *Not here*: whose a connection is (`api::caller`), tokens (`api::auth`), what users there are
//! (`crate::people`).

use std::sync::Arc;

use actix_web::dev::ServiceRequest;

use super::caller::{Caller, Connection};
use super::code::Code;
use super::error::ApiError;
use super::live::Live;
use crate::job::ids;
use crate::kernel::access::Role;
use crate::peer::Uid;
use crate::people::{self, People};

/// Whom a server serves without a token.
#[derive(Clone, Debug)]
pub enum Served {
    /// Its own user and root: their numbers and names.
    One(Vec<(Uid, Arc<str>)>),
    /// All users of the system.
    System(People),
}

impl Served {
    /// The user of this process, and root; their names are looked up here, once.
    #[must_use]
    pub fn own_user() -> Served {
        let own = rustix::process::geteuid().as_raw();
        let each = if own == 0 { vec![0] } else { vec![own, 0] };
        let named = |uid| people::name(uid).unwrap_or_else(|| uid.to_string()).into();
        Served::One(each.into_iter().map(|uid| (uid, named(uid))).collect())
    }

    /// Who sent a request, by his end of the connection. On a server of one user everybody who is
    /// served has `role`.
    ///
    /// # Errors
    /// 401, 403 for whoever is not known or not served, 503 when nobody knows users now.
    pub async fn caller(
        &self,
        request: &ServiceRequest,
        live: &Live,
        role: Role,
    ) -> Result<Caller, ApiError> {
        let unknown = || ApiError::new(Code::NotServed, "nobody knows whose this connection is");
        let connection = Connection::of(request).ok_or_else(unknown)?;
        let refuse = |detail| ApiError::new(Code::NotServed, detail);
        match self {
            Served::One(served) => {
                let (uid, via) = connection.owner().map_err(refuse)?;
                match served.iter().find(|(own, _)| *own == uid) {
                    Some((_, name)) => {
                        let who = (Arc::clone(name), Some(uid));
                        Ok(Caller::of_one_user(who, role, (via, Connection::origin(request))))
                    }
                    None => Err(refuse(format!(
                        "this server serves {} only, and you are user {uid}; where a token is set \
                         (DOWNBEAT_TOKEN, --token-file), it serves whoever sends that",
                        words(served)
                    ))),
                }
            }
            Served::System(users) => {
                if !connection.is_socket() {
                    return Err(ApiError::new(Code::Unauthorized, no_token(live)));
                }
                let (uid, via) = connection.owner().map_err(refuse)?;
                let person = users.by_uid(ids::Uid(uid)).await;
                match person.map_err(|error| ApiError::unavailable(error.to_string()))? {
                    Some(person) => {
                        let origin = Connection::origin(request);
                        Ok(Caller::of_many(person, &live.people, (via, origin)))
                    }
                    None => Err(refuse(format!("this system has no user {uid}"))),
                }
            }
        }
    }
}

fn no_token(live: &Live) -> String {
    format!(
        "over TCP this server knows of nobody who he is without his token (`downbeat token create` \
         on its machine makes one; DOWNBEAT_TOKEN and --token-file send it); ask it at unix:{}",
        live.people.socket.display()
    )
}

fn words(served: &[(Uid, Arc<str>)]) -> String {
    let each: Vec<String> = served.iter().map(|(uid, name)| format!("{name} ({uid})")).collect();
    each.join(" and ")
}
