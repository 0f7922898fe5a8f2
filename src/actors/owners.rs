//! *Purpose*: as whom a job runs, on a server of all users.
//!
//! *Owns*: [`Owners`], who knows it; [`RunsAs`]; [`NotRun`], why it does not.
//!
//! *Promises*: nothing but the words.
//!
//! *Not here*: who knows (`serve::owners`), becoming him (`engine`).

use std::fmt::Debug;
use std::path::PathBuf;

use futures_util::future::BoxFuture;

use crate::engine::Person;
use crate::job::ids::Owner;

/// As whom a job runs, and what his script is told of him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunsAs {
    /// His name.
    pub name: String,
    /// His number.
    pub uid: u32,
    /// To the engine; `None` of root, who is the server's own user.
    pub person: Option<Person>,
    /// His home.
    pub home: PathBuf,
    /// His shell.
    pub shell: PathBuf,
    /// Where his jobs look for programs.
    pub path: String,
}

/// Why a job is not started now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRun {
    /// Its owner may have no jobs, or is not who he was: it is held.
    #[error("{0}")]
    Withheld(String),
    /// Nobody can say who its owner is: it waits, and is tried again.
    #[error("{0}")]
    Later(String),
}

/// Who knows the owners of jobs.
pub trait Owners: Debug + Send + Sync {
    /// The owner of a job, whose name was this when it was submitted.
    ///
    /// # Errors
    /// When it does not run.
    fn of<'a>(&'a self, owner: Owner, name: &'a str) -> BoxFuture<'a, Result<RunsAs, NotRun>>;
}
