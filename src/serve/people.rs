//! *Purpose*: what is different where all users are served.
//!
//! *Owns*: whom the server serves, as whom jobs run and files of jobs are opened, who may connect
//! to its socket.
//!
//! *Promises*: one user's server asks nobody who he is, and changes to nobody.
//!
//! *Not here*: the rules (`config::people`), how it is done (`actors::owners`, `api::opener`,
//! `engine`).

use std::io;
use std::sync::Arc;

use super::opener::AsOwners;
use super::owners::OwnersNow;
use crate::actors::owners::Owners;
use crate::api::{Crowd, InForce, OwnersFiles, Served, TokenCheck};
use crate::config::Config;
use crate::config::people::Mode;
use crate::engine::Engine;
use crate::people::{NameService, People};
use crate::serve::socket::OpenTo;
use crate::store::backend::Readers;

/// Whom the server serves, and as whom jobs run.
///
/// # Errors
/// When the system has no thread to ask the directory of users on.
pub(super) fn served(
    config: &Config,
    in_force: InForce,
) -> io::Result<(Served, Option<Arc<dyn Owners>>)> {
    match config.people.mode {
        Mode::One => Ok((Served::own_user(), None)),
        Mode::System => {
            let users = People::of(Arc::new(NameService))?;
            let owners = OwnersNow { users: users.clone(), in_force };
            Ok((Served::System(users), Some(Arc::new(owners))))
        }
    }
}

/// Who looks at tokens of users.
pub(super) fn token_check(served: &Served, readers: &Readers) -> Option<TokenCheck> {
    match served {
        Served::One(_) => None,
        Served::System(users) => {
            Some(TokenCheck { users: users.clone(), readers: readers.clone() })
        }
    }
}

/// How much each user may ask of a server that takes so many connections.
pub(super) fn crowd(served: &Served, connections: usize) -> Option<Arc<Crowd>> {
    match served {
        Served::One(_) => None,
        Served::System(_) => Some(Arc::new(Crowd::new(connections))),
    }
}

/// Who opens files of jobs as their owners.
pub(super) fn owners_files(
    served: &Served,
    engine: &Arc<dyn Engine>,
) -> Option<Arc<dyn OwnersFiles>> {
    match served {
        Served::One(_) => None,
        Served::System(users) => {
            Some(Arc::new(AsOwners { engine: Arc::clone(engine), users: users.clone() }))
        }
    }
}

/// Who may connect to its socket.
pub(super) fn open_to(config: &Config) -> OpenTo {
    match config.people.mode {
        Mode::One => OpenTo::OwnUser,
        Mode::System => OpenTo::All,
    }
}
