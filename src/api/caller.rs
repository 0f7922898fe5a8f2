//! *Purpose*: who asks.
//!
//! *Owns*: [`Caller`], the name that events remember; [`Connection`], whose other end is asked for
//! at most once; [`Owners`], whom a server without a token serves.
//!
//! *Promises*: nothing that a request says about its sender counts, except a token; who is not
//! known is refused.
//!
//! *Not here*: how an owner is found (`crate::peer`), tokens (`api::auth`).

use std::any::Any;
use std::cell::OnceCell;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Extensions, Payload, ServiceRequest};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use rustix::net::sockopt;
use tokio::net::TcpStream;

use super::code::Code;
use super::error::ApiError;
use crate::peer::{self, Ends, Uid, Unknown};

/// A silent connection is asked so late, so often and so many times whether its peer still lives,
/// so that those of machines that vanished end within two minutes.
const SILENT_FOR: Duration = Duration::from_secs(60);
/// See [`SILENT_FOR`].
const ASKED_EVERY: Duration = Duration::from_secs(15);
/// See [`SILENT_FOR`].
const ASKED_TIMES: u32 = 4;

/// Who asks, as events and history name him: a user of this machine, or whose token was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(pub Arc<str>);

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Caller, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Caller::of(request))
    }
}

impl Caller {
    /// Who sent this request.
    ///
    /// # Errors
    /// When the guard did not say.
    pub fn of(request: &HttpRequest) -> Result<Caller, ApiError> {
        let caller = request.extensions().get::<Caller>().cloned();
        caller.ok_or_else(|| ApiError::new(Code::NotServed, "nobody is known to ask this"))
    }
}

/// What is known of a connection.
pub struct Connection {
    ends: Option<Ends>,
    owner: OnceCell<Result<Uid, Unknown>>,
}

/// Notes the two ends of a connection that was just accepted. Its owner is asked for when a first
/// request needs him.
pub fn connected(io: &dyn Any, known: &mut Extensions) {
    let Some(stream) = io.downcast_ref::<TcpStream>() else { return };
    // Without these a connection only ends later.
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, SILENT_FOR);
    let _ = sockopt::set_tcp_keepintvl(stream, ASKED_EVERY);
    let _ = sockopt::set_tcp_keepcnt(stream, ASKED_TIMES);
    let addresses = (stream.local_addr(), stream.peer_addr());
    let ends = match addresses {
        (Ok(ours), Ok(theirs)) => Ends::of(stream, ours, theirs).ok(),
        _ => None,
    };
    known.insert(Connection { ends, owner: OnceCell::new() });
}

/// Whom a server without a token serves on loopback: its own user and root.
#[derive(Clone, Debug)]
pub struct Owners(Vec<(Uid, Arc<str>)>);

impl Owners {
    /// Those of this process; their names are looked up here, once.
    #[must_use]
    pub fn of_this_process() -> Owners {
        let own = rustix::process::geteuid().as_raw();
        let each = if own == 0 { vec![0] } else { vec![own, 0] };
        let named = |uid| peer::name(uid).unwrap_or_else(|| uid.to_string()).into();
        Owners(each.into_iter().map(|uid| (uid, named(uid))).collect())
    }

    /// Who sent a request, by his end of the connection.
    ///
    /// # Errors
    /// 403 for everybody else, and for whoever is not known.
    pub fn caller(&self, request: &ServiceRequest) -> Result<Caller, ApiError> {
        let refuse = |detail: String| Err(ApiError::new(Code::NotServed, detail));
        let connection = request.request().conn_data::<Connection>();
        let owner = connection.and_then(|connection| {
            let ends = connection.ends?;
            Some(connection.owner.get_or_init(|| ends.peer()))
        });
        match owner {
            Some(Ok(uid)) => match self.0.iter().find(|(served, _)| served == uid) {
                Some((_, name)) => Ok(Caller(Arc::clone(name))),
                None => refuse(format!(
                    "this server serves {} only, and you are user {uid}; where a token is set \
                     (DOWNBEAT_TOKEN, --token-file), it serves whoever sends that",
                    self.words()
                )),
            },
            Some(Err(Unknown::NoAnswer(why))) => refuse(format!(
                "this system does not tell whose a connection is ({why}), so this server needs a \
                 token: start it with DOWNBEAT_TOKEN or --token-file"
            )),
            Some(Err(Unknown::Gone)) | None => {
                refuse("whose this connection is cannot be known any more".to_owned())
            }
        }
    }

    fn words(&self) -> String {
        let each: Vec<String> =
            self.0.iter().map(|(uid, name)| format!("{name} ({uid})")).collect();
        each.join(" and ")
    }
}
