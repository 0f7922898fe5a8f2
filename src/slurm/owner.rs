//! *Purpose*: whose a job is, as Slurm's programs say it.
//!
//! *Owns*: [`Owned`], and who calls.
//!
//! *Promises*: a job always has an owner; a number that nobody knows is the one that Slurm has for
//! nobody.
//!
//! *Not here*: what else is said of a job (`api::wire::slurm::facts`).

use std::sync::LazyLock;

use crate::api::wire::slurm::facts::Facts;
use crate::people;

/// Who calls. Asked once: each of ten thousand lines may name him.
#[must_use]
pub fn me() -> String {
    static ME: LazyLock<String> = LazyLock::new(|| {
        let uid = rustix::process::geteuid().as_raw();
        people::name(uid).unwrap_or_else(|| uid.to_string())
    });
    ME.clone()
}

/// A user by name or number.
#[must_use]
pub fn user_named(word: &str) -> String {
    word.parse().ok().and_then(people::name).unwrap_or_else(|| word.to_owned())
}

/// What the system knows of the owner of a job.
pub trait Owned {
    /// Whose it is. A server of one user calls a job of which nobody was named by no name; whoever
    /// is served there may take it for his own.
    fn user(self) -> String;

    /// The number of its owner; on a server of one user that of whoever is called so.
    fn uid(self) -> String;
}

impl Owned for Facts<'_> {
    fn user(self) -> String {
        if self.0.user.is_empty() { me() } else { self.0.user.clone() }
    }

    fn uid(self) -> String {
        let uid = self.0.uid.or_else(|| people::uid(&self.user()));
        uid.map_or_else(|| "4294967294".to_owned(), |uid| uid.to_string())
    }
}
