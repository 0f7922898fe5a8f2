//! *Purpose*: who the owners of jobs are when these start.
//!
//! *Owns*: [`OwnersNow`].
//!
//! *Promises*: a job runs as the user who submitted it, with the groups that he has now, or it does
//! not run: not when his name has gone to another number, nor when he may have no jobs any more.
//!
//! *Not here*: who may have jobs (`config::people`), what becomes of a job that does not run
//! (`actors::executor`).

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::opener::to_engine;
use crate::actors::owners::{NotRun, Owners, RunsAs};
use crate::api::InForce;
use crate::config::people::People as Rules;
use crate::job::ids::{Owner, Uid};
use crate::people::{People, Person};

/// Knows owners by the name service and the settings in force.
#[derive(Debug)]
pub(super) struct OwnersNow {
    pub(super) users: People,
    pub(super) in_force: InForce,
}

impl Owners for OwnersNow {
    fn of<'a>(&'a self, owner: Owner, name: &'a str) -> BoxFuture<'a, Result<RunsAs, NotRun>> {
        Box::pin(async move {
            // A job from when the server was of one user: root's, for only root serves all.
            let uid = owner.unwrap_or(Uid(0));
            let found = self.users.by_uid(uid).await;
            let person = found.map_err(|error| NotRun::Later(error.to_string()))?;
            let rules = Arc::clone(&self.in_force.borrow().people);
            runs_as(&rules, person.as_deref(), uid, owner.map(|_| name))
        })
    }
}

fn runs_as(
    rules: &Rules,
    person: Option<&Person>,
    uid: Uid,
    name: Option<&str>,
) -> Result<RunsAs, NotRun> {
    let Some(person) = person else {
        return Err(NotRun::Withheld(format!("this system has no user {uid} any more")));
    };
    if let Some(name) = name.filter(|name| *name != person.name) {
        let now = &person.name;
        return Err(NotRun::Withheld(format!("{name} is no longer user {uid}, which is {now}")));
    }
    rules.admits(person).map_err(|denied| NotRun::Withheld(denied.to_string()))?;
    Ok(RunsAs {
        name: person.name.clone(),
        uid: person.uid.0,
        person: (person.uid.0 != 0).then(|| to_engine(person)),
        home: person.home.clone(),
        shell: person.shell.clone(),
        path: rules.path.clone(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::people::Group;

    #[test]
    fn a_job_runs_as_who_submitted_it_or_not_at_all() {
        let rules = Rules::one();
        let group = Group { gid: 7, name: None };
        let alice = Person {
            uid: Uid(60_002),
            name: "alice".to_owned(),
            gid: 60_002,
            groups: vec![group],
            home: "/home/alice".into(),
            shell: "/bin/zsh".into(),
        };
        let uid = alice.uid;
        let run = runs_as(&rules, Some(&alice), uid, Some("alice")).unwrap().person.unwrap();
        assert_eq!((run.uid, run.gid, &run.groups[..]), (60_002, 60_002, &[7][..]));
        let why = |person, uid, name| match runs_as(&rules, person, uid, name) {
            Err(NotRun::Withheld(why)) => why,
            other => panic!("{other:?}"),
        };
        let said = why(Some(&alice), uid, Some("bob"));
        assert_eq!(said, "bob is no longer user 60002, which is alice");
        assert!(why(None, uid, Some("alice")).contains("no user 60002 any more"));
        let root = Person { uid: Uid(0), name: "root".to_owned(), gid: 0, ..alice.clone() };
        assert!(why(Some(&root), Uid(0), None).contains("root has no jobs here"));
    }
}
