//! *Purpose*: who asks.
//!
//! *Owns*: [`Caller`], and the way from a request to what he may do; [`Connection`], whose other
//! end is asked for at most once.
//!
//! *Promises*: nothing that a request says about its sender counts, except a token; who is not
//! known is refused.
//!
//! *Not here*: how an owner is found (`crate::peer`), whom the server serves (`api::served`),
//! tokens (`api::auth`), the rights themselves (`kernel::access`).

use std::any::Any;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::future::{Ready, ready};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Extensions, Payload, ServiceRequest};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use rustix::net::{Shutdown, shutdown, sockopt};
use tokio::net::{TcpStream, UnixStream};

use super::code::Code;
use super::crowd::{Crowd, Door};
use super::error::{ApiError, RequestId};
use super::per_user::One;
use crate::config::people::{People, Private};
use crate::job::array_spec::JobRef;
use crate::job::ids as job;
use crate::kernel::access::{self, Action, Origin, Permitted, Refused, Role, Via};
use crate::kernel::token::Token;
use crate::peer::{Ends, Uid, Unknown};
use crate::people::Person;
use crate::store::record::JobRecord;

/// A silent connection is asked so late, so often and so many times whether its peer still lives,
/// so that those of machines that vanished end within two minutes.
const SILENT_FOR: Duration = Duration::from_secs(60);
/// See [`SILENT_FOR`].
const ASKED_EVERY: Duration = Duration::from_secs(15);
/// See [`SILENT_FOR`].
const ASKED_TIMES: u32 = 4;

/// Who asks: a user of this machine, or whose token was sent.
#[derive(Clone, Debug)]
pub struct Caller {
    /// To the kernel.
    pub who: Arc<access::Caller>,
    /// To the system, on a server of all users.
    pub person: Option<Arc<Person>>,
}

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

    /// Somebody whom a server of one user serves: what its own user may, he may.
    #[must_use]
    pub fn of_one_user(
        (name, uid): (Arc<str>, Option<Uid>),
        role: Role,
        (via, origin): (Via, Origin),
    ) -> Caller {
        let who = access::Caller {
            uid: uid.map(job::Uid),
            name,
            acts_as: None,
            role,
            coordinates: BTreeSet::new(),
            sees_own_only: false,
            via,
            origin,
        };
        Caller { who: Arc::new(who), person: None }
    }

    /// Who may have only a part of what there is: a user of a server of all users, unless he is an
    /// operator.
    #[must_use]
    pub fn limited(&self) -> Option<job::Uid> {
        let person = self.person.as_ref().filter(|_| self.who.role < Role::Operator);
        person.map(|person| person.uid)
    }

    /// A user of a server of all users.
    #[must_use]
    pub fn of_many(person: Arc<Person>, people: &People, (via, origin): (Via, Origin)) -> Caller {
        let who = access::Caller {
            uid: Some(person.uid),
            name: person.name.as_str().into(),
            acts_as: Some(person.uid),
            role: people.role(&person),
            coordinates: people.coordinates(&person),
            sees_own_only: people.is_private(Private::Jobs),
            via,
            origin,
        };
        Caller { who: Arc::new(who), person: Some(person) }
    }

    /// A user of a server of all users, as far as his token lets him.
    #[must_use]
    pub fn of_token(person: Arc<Person>, people: &People, token: &Token, origin: Origin) -> Caller {
        let origin = Origin { token: Some(token.id.as_str().into()), ..origin };
        let Caller { who, person } = Caller::of_many(person, people, (Via::Token, origin));
        let mut who = Arc::unwrap_or_clone(who);
        who.role = who.role.min(token.role);
        Caller { who: Arc::new(who), person }
    }

    /// Whether he may do this to a job.
    ///
    /// # Errors
    /// 403; of a job that he must not know of the 404 of one that is not there.
    pub fn may(&self, action: Action, of: JobRef, row: &JobRecord) -> Result<Permitted, ApiError> {
        access::may(&self.who, action, row.whose()).map_err(|refused| match refused.is_hidden {
            true => ApiError::hidden_job(of),
            false => ApiError::new(Code::NotPermitted, refused.about(&format!("job {of}"))),
        })
    }

    /// Whether he may do this to the server, or to one job at least.
    ///
    /// # Errors
    /// 403.
    pub fn may_at_all(&self, action: Action, what: &str) -> Result<Permitted, ApiError> {
        access::may_at_all(&self.who, action).map_err(|refused| self.refusal(&refused, what))
    }

    /// Whether he may read what the server knows of itself, which names jobs of all. On a server of
    /// one user all of it is that user's.
    ///
    /// # Errors
    /// 403.
    pub fn may_know_the_server(&self) -> Result<(), ApiError> {
        match self.who.acts_as {
            Some(_) => self.may_at_all(Action::Operate, "this").map(drop),
            None => Ok(()),
        }
    }

    /// On a server of one user it is the administrators' token that is missing.
    fn refusal(&self, refused: &Refused, what: &str) -> ApiError {
        if self.who.acts_as.is_some() {
            return ApiError::new(Code::NotPermitted, refused.to_string());
        }
        let detail = format!(
            "{what} needs the administrators' token: send it as Authorization: Bearer TOKEN (the \
             command line takes it from DOWNBEAT_TOKEN or --token-file)"
        );
        ApiError::new(Code::AdminsOnly, detail)
    }
}

/// What is known of a connection.
pub struct Connection {
    ends: Option<Ends>,
    owner: OnceCell<Result<Uid, Unknown>>,
    via: Via,
    process: Option<i32>,
    remote: Option<Arc<str>>,
    /// One of those that its user may have.
    _place: Option<One<Door>>,
}

/// Notes whose a connection is that was just accepted: of one over the socket in the data folder
/// the kernel said so when it was made; the owner of one over TCP is asked for when a first request
/// needs him. One too many of a user's is closed.
pub fn connected(crowd: Option<&Crowd>, io: &dyn Any, known: &mut Extensions) {
    if let Some(stream) = io.downcast_ref::<UnixStream>() {
        let peer = stream.peer_cred();
        let process = peer.as_ref().ok().and_then(|peer| peer.pid());
        let owner = peer.map(|peer| peer.uid()).map_err(Unknown::from).into();
        let uid = stream.peer_cred().ok().map(|peer| job::Uid(peer.uid()));
        let Some(place) = place(crowd, uid, stream) else { return };
        let (ends, via) = (None, Via::Socket);
        known.insert(Connection { ends, owner, via, process, remote: None, _place: place });
    } else if let Some(stream) = io.downcast_ref::<TcpStream>() {
        let Some(place) = place(crowd, None, stream) else { return };
        known.insert(Connection { _place: place, ..over_tcp(stream) });
    }
}

/// A place for one more connection; without one it is closed, so that its client is told at once.
fn place(crowd: Option<&Crowd>, door: Door, stream: impl AsFd) -> Option<Option<One<Door>>> {
    let Some(crowd) = crowd else { return Some(None) };
    let place = crowd.enters(door);
    if place.is_none() {
        // One that is closed already is what was wanted.
        let _ = shutdown(stream, Shutdown::Both);
    }
    place
}

fn over_tcp(stream: &TcpStream) -> Connection {
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
    let remote = stream.peer_addr().ok().map(|address| address.to_string().into());
    let owner = OnceCell::new();
    Connection { ends, owner, via: Via::Tcp, process: None, remote, _place: None }
}

impl Connection {
    /// That of a request.
    #[must_use]
    pub fn of(request: &ServiceRequest) -> Option<&Connection> {
        request.request().conn_data::<Connection>()
    }

    /// Where this request on it comes from.
    #[must_use]
    pub fn origin(request: &ServiceRequest) -> Origin {
        Connection::origin_of(request.request())
    }

    /// The same, to a handler.
    #[must_use]
    pub fn origin_of(request: &HttpRequest) -> Origin {
        let connection = request.conn_data::<Connection>();
        let number = request.extensions().get::<RequestId>().map(|id| id.0.as_str().into());
        Origin {
            request: number.unwrap_or_default(),
            token: None,
            process: connection.and_then(|own| own.process),
            remote: connection.and_then(|own| own.remote.clone()),
        }
    }

    /// Whether it is over a socket of this machine.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.via == Via::Socket
    }

    /// Whose other end it is, and how that is known.
    ///
    /// # Errors
    /// A sentence, when that is not known.
    pub fn owner(&self) -> Result<(Uid, Via), String> {
        let gone = || "whose this connection is cannot be known any more".to_owned();
        let owner = match (self.owner.get(), self.ends) {
            (None, Some(ends)) => self.owner.get_or_init(|| ends.peer()),
            (known, _) => known.ok_or_else(gone)?,
        };
        match owner {
            Ok(uid) => Ok((*uid, self.via)),
            Err(Unknown::Gone) => Err(gone()),
            Err(Unknown::NoAnswer(why)) => Err(format!(
                "this system does not tell whose a connection is ({why}), so this server needs a \
                 token: start it with DOWNBEAT_TOKEN or --token-file"
            )),
        }
    }
}
