//! *Purpose*: who may do what.
//!
//! *Owns*: [`Role`], [`Action`], [`Relation`]; [`Caller`], who asks; [`may`], the only place where
//! a request is permitted; [`Permitted`], the proof that it was; [`Scope`], the jobs that somebody
//! sees.
//!
//! *Promises*: pure. Nothing is permitted that the table in `tests/kernel.rs` does not show. A
//! [`Permitted`] is made by [`may`] and [`may_at_all`] alone, and whatever changes a job asks for
//! one, so a change that nobody permitted does not compile.
//!
//! *Not here*: who somebody is (`api::caller`), roles and coordinators of the settings (`config`),
//! what a refusal looks like (`api::error`).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};
use utoipa::ToSchema;

use crate::job::ids::{Owner, Uid};

/// What somebody is to the server. Each may all that those before it may.
#[derive(
    Hash,
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    VariantArray,
    IntoStaticStr,
    EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Submits jobs, and gives orders about his own.
    User,
    /// Gives orders about the jobs of all, and the server.
    Operator,
    /// Submits for others, and has tokens made for them.
    Admin,
}

/// What somebody is to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantArray, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Relation {
    /// It is his.
    Owner,
    /// It is charged to an account that he coordinates.
    Coordinator,
    /// None of these.
    Other,
}

/// What can be done to a job, or to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantArray, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Action {
    /// To see that a job is there, and what everybody may know of it.
    See,
    /// To read a job's script, folder, paths, comment, labels and error.
    ReadDetails,
    /// To read what a job has written.
    ReadOutput,
    /// To cancel, signal, hold, requeue or change a job.
    Control,
    /// To suspend a job, or to let it go on: as long as it is suspended it keeps its CPUs, and its
    /// time limit does not come nearer. With Slurm too its owner may not.
    Suspend,
    /// To release a job that an operator holds.
    ReleaseOperatorHold,
    /// To raise a job above what its owner could ask for: a priority above 0, more than its
    /// partition allows, more time once it runs.
    Raise,
    /// To submit jobs.
    Submit,
    /// To submit jobs of others.
    SubmitForOthers,
    /// To drain and resume the server, to have it audited, to read who asked for what.
    Operate,
    /// To make, list and revoke one's own tokens.
    OwnTokens,
    /// The same of others'.
    OthersTokens,
}

impl Action {
    /// What it is, behind "may not", done to a job that is called so.
    fn words(self, job: &str) -> String {
        match self {
            Action::See => format!("see {job}"),
            Action::ReadDetails => format!("read the script and the details of {job}"),
            Action::ReadOutput => format!("read what {job} writes"),
            Action::Control => format!("cancel, signal, hold, requeue or change {job}"),
            Action::Suspend => format!("suspend {job} or let it go on"),
            Action::ReleaseOperatorHold => format!("release {job}: an operator holds it"),
            Action::Raise => "raise a job above what its owner may ask for".to_owned(),
            Action::Submit => "submit jobs".to_owned(),
            Action::SubmitForOthers => "submit jobs of others".to_owned(),
            Action::Operate => "give orders to the server".to_owned(),
            Action::OwnTokens => "make tokens".to_owned(),
            Action::OthersTokens => "see to tokens of others".to_owned(),
        }
    }
}

/// How somebody is known.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Via {
    /// He reached a socket of the server; the kernel says who he is.
    Socket,
    /// His is the other end of a connection on loopback; the kernel says so.
    Tcp,
    /// He sent a token.
    Token,
}

/// Where a request came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Its number, as the sender or the server named it.
    pub request: Arc<str>,
    /// The number of the token that came with it, of a user's own.
    pub token: Option<Arc<str>>,
    /// The process that sent it, over a socket.
    pub process: Option<i32>,
    /// The address that sent it, over TCP.
    pub remote: Option<Arc<str>>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// His number; nobody knows that of whoever sends the token of a server of one user.
    pub uid: Option<Uid>,
    /// As events and history name him.
    pub name: Arc<str>,
    /// Whose jobs are his own, and as whom they run: himself, or on a server of one user that user.
    pub acts_as: Owner,
    /// What he is to the server.
    pub role: Role,
    /// The accounts that he coordinates.
    pub coordinates: BTreeSet<Arc<str>>,
    /// Whether he sees only his own jobs and those of accounts that he coordinates.
    pub sees_own_only: bool,
    /// How he is known.
    pub via: Via,
    /// Where he asks from.
    pub origin: Origin,
}

/// Whose a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whose<'a> {
    /// Its owner.
    pub owner: Owner,
    /// Whom it is charged to; empty for nobody.
    pub account: &'a str,
}

/// A job that is not his, or what only others may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.about("it"))]
pub struct Refused {
    /// Who asked.
    pub who: Arc<str>,
    /// For what.
    pub action: Action,
    /// Whether he may not even know that the job is there.
    pub is_hidden: bool,
    /// The least role that could.
    pub needs: Option<Role>,
}

impl Refused {
    /// The sentence, about a job that is called so.
    #[must_use]
    pub fn about(&self, job: &str) -> String {
        let needs = self.needs.map(|role| format!("; that needs the role {}", <&str>::from(role)));
        format!("{} may not {}{}", self.who, self.action.words(job), needs.unwrap_or_default())
    }
}

/// Who is behind an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal {
    /// As events and history name him; empty for the scheduler itself.
    pub name: Arc<str>,
    /// His number; the server itself has none.
    pub uid: Option<Uid>,
}

impl Principal {
    /// The server itself, for this reason.
    #[must_use]
    pub fn server(why: impl Into<Arc<str>>) -> Principal {
        Principal { name: why.into(), uid: None }
    }
}

/// The proof that somebody may do what he asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permitted(Arc<Caller>);

impl Permitted {
    /// Who was permitted.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.0
    }

    /// Whether he may do this as well.
    #[must_use]
    pub fn may_too(&self, action: Action) -> bool {
        may_at_all(&self.0, action).is_ok()
    }

    /// As events remember him.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal { name: Arc::clone(&self.0.name), uid: self.0.uid }
    }
}

impl Caller {
    /// What he is to a job.
    #[must_use]
    pub fn relation(&self, whose: Whose<'_>) -> Relation {
        if whose.owner == self.acts_as {
            Relation::Owner
        } else if self.coordinates.contains(whose.account) {
            Relation::Coordinator
        } else {
            Relation::Other
        }
    }

    /// Whether he holds such a job as an operator, so that its owner cannot release it.
    #[must_use]
    pub fn holds_as_operator(&self, whose: Whose<'_>) -> bool {
        self.role >= Role::Operator && self.relation(whose) != Relation::Owner
    }

    /// The jobs that he sees.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope_of(self.sees_own_only)
    }

    /// The jobs whose details he may read.
    #[must_use]
    pub fn scope_of_details(&self) -> Scope {
        self.scope_of(true)
    }

    fn scope_of(&self, own_only: bool) -> Scope {
        let is_narrow = own_only && self.role < Role::Operator;
        Scope(is_narrow.then(|| Own { owner: self.acts_as, accounts: self.coordinates.clone() }))
    }
}

/// The jobs that somebody sees. Made by [`Caller::scope`], and for the server's own questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope(Option<Own>);

/// Jobs of one user, and of accounts that he coordinates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The user.
    pub owner: Owner,
    /// The accounts.
    pub accounts: BTreeSet<Arc<str>>,
}

impl Scope {
    /// All jobs: what the server itself asks for, whose answer no caller gets.
    pub const SERVER: Scope = Scope(None);

    /// The only jobs that are seen; `None`: all are.
    #[must_use]
    pub fn own(&self) -> Option<&Own> {
        self.0.as_ref()
    }

    /// Whether this job is seen.
    #[must_use]
    pub fn sees(&self, whose: Whose<'_>) -> bool {
        self.0
            .as_ref()
            .is_none_or(|own| own.owner == whose.owner || own.accounts.contains(whose.account))
    }
}

/// Whether somebody may do this to a job.
///
/// # Errors
/// When he may not.
pub fn may(caller: &Arc<Caller>, action: Action, whose: Whose<'_>) -> Result<Permitted, Refused> {
    let relation = caller.relation(whose);
    let is_hidden = !caller.scope().sees(whose);
    if !is_hidden && permits(caller.role, relation, action) {
        return Ok(Permitted(Arc::clone(caller)));
    }
    let mut roles = Role::VARIANTS.iter().copied();
    let needs = roles.find(|role| *role > caller.role && permits(*role, relation, action));
    Err(Refused { who: Arc::clone(&caller.name), action, is_hidden, needs })
}

/// Whether somebody may do this to the server, or to one job at least.
///
/// # Errors
/// When he may not.
pub fn may_at_all(caller: &Arc<Caller>, action: Action) -> Result<Permitted, Refused> {
    let may = |role: Role| Relation::VARIANTS.iter().any(|of| permits(role, *of, action));
    if may(caller.role) {
        return Ok(Permitted(Arc::clone(caller)));
    }
    let needs = Role::VARIANTS.iter().copied().find(|role| may(*role));
    Err(Refused { who: Arc::clone(&caller.name), action, is_hidden: false, needs })
}

/// The table. Of what concerns no job the relation does not count.
#[must_use]
pub fn permits(role: Role, relation: Relation, action: Action) -> bool {
    let is_his = relation != Relation::Other;
    match action {
        Action::See => true,
        Action::ReadDetails => is_his || role >= Role::Operator,
        Action::ReadOutput => relation == Relation::Owner || role >= Role::Operator,
        Action::Control => is_his && role >= Role::User || role >= Role::Operator,
        Action::Suspend | Action::ReleaseOperatorHold | Action::Raise | Action::Operate => {
            role >= Role::Operator
        }
        Action::Submit | Action::OwnTokens => role >= Role::User,
        Action::SubmitForOthers | Action::OthersTokens => role >= Role::Admin,
    }
}
