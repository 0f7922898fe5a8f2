//! *Purpose*: opens files as the users whose they are.
//!
//! *Owns*: [`AsOwners`].
//!
//! *Promises*: nobody but the engine becomes somebody; a user who is not known reads nothing.
//!
//! *Not here*: becoming him (`engine`), which files (`api`).

use std::fs::File;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::api::{NotOpen, OwnersFiles};
use crate::engine::{self, Engine, OpenError};
use crate::job::files::StreamFile;
use crate::job::ids::Uid;
use crate::people::{People, Person};

/// The engine, and who users are.
pub(super) struct AsOwners {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) users: People,
}

impl OwnersFiles for AsOwners {
    fn open(
        &self,
        owner: Uid,
        stream: StreamFile,
    ) -> BoxFuture<'static, Result<Option<File>, NotOpen>> {
        let (engine, users) = (Arc::clone(&self.engine), self.users.clone());
        Box::pin(async move {
            let found = users.by_uid(owner).await;
            let found = found.map_err(|error| NotOpen::Later(error.to_string()))?;
            let gone = || NotOpen::Refused(format!("this system has no user {owner} any more"));
            let person = to_engine(&*found.ok_or_else(gone)?);
            match engine.open_stream(person, stream).await {
                Ok(file) => Ok(Some(file)),
                Err(OpenError::Absent) => Ok(None),
                Err(error @ (OpenError::Timeout | OpenError::Busy)) => {
                    Err(NotOpen::Later(error.to_string()))
                }
                Err(error) => Err(NotOpen::Refused(error.to_string())),
            }
        })
    }
}

/// A user, as the engine becomes him.
pub(super) fn to_engine(person: &Person) -> engine::Person {
    engine::Person {
        uid: person.uid.0,
        gid: person.gid,
        groups: person.groups.iter().map(|group| group.gid).collect(),
        name: person.name.clone(),
    }
}
