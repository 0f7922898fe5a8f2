//! *Purpose*: whose the jobs of a request are.
//!
//! *Owns*: [`own`], which says so of each before it is checked.
//!
//! *Promises*: on a server of all users a job is its sender's, whatever its body says; only an
//! administrator's may be another's. Who may have no jobs here, or charge no such account, has
//! none. On a server of one user `user` is a label.
//!
//! *Not here*: who the sender is (`api::served`), the rules (`config::people`), that he is the same
//! when the job starts (`actors::order`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::app::App;
use super::caller::Caller;
use super::code::Code;
use super::error::ApiError;
use super::served::Served;
use super::wire::submission::Submission;
use crate::config::people::People;
use crate::job::faults::{Faults, FieldError};
use crate::kernel::access::{Action, Role, may_at_all};
use crate::people::{self, Person};

/// Says of each job whose it is.
///
/// # Errors
/// 403 where the sender may not, 422 where a job of several, or a name, is wrong.
pub async fn own(
    app: &App,
    caller: &Caller,
    submissions: &mut [Submission],
) -> Result<(), ApiError> {
    let (Some(me), Served::System(users)) = (&caller.person, &app.served) else { return Ok(()) };
    let rules = Arc::clone(&app.live().people);
    let mut known = BTreeMap::from([(me.name.clone(), Arc::clone(me))]);
    let mut faults = Faults::default();
    let is_one = submissions.len() == 1;
    for submission in submissions {
        let wanted = submission.request.user.clone().unwrap_or_else(|| me.name.clone());
        let found = match known.get(&wanted) {
            Some(person) => Ok(Arc::clone(person)),
            None => another(caller, users, &wanted).await?,
        };
        let checked = found.and_then(|person| {
            known.insert(wanted, Arc::clone(&person));
            admitted(caller, &rules, &person, submission.request.account.as_deref())?;
            Ok(person)
        });
        match checked {
            Ok(person) => {
                submission.request.user = Some(person.name.clone());
                submission.request.owner = Some(person.uid);
            }
            Err(fault) => faults.push(submission.renamed(fault)),
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        // Of several it is said which, as of every other field.
        false if !is_one => Err(ApiError::fields(&faults)),
        false => Err(ApiError {
            errors: faults.listed(),
            ..ApiError::new(Code::NotPermitted, format!("Nothing was stored. {faults}"))
        }),
    }
}

/// Another user, for whom only administrators submit.
async fn another(
    caller: &Caller,
    users: &people::People,
    name: &str,
) -> Result<Result<Arc<Person>, FieldError>, ApiError> {
    if let Err(refused) = may_at_all(&caller.who, Action::SubmitForOthers) {
        return Ok(Err(FieldError::new("user", format!("is \"{name}\", and {refused}"))));
    }
    let found = users.by_name(name).await;
    let found = found.map_err(|error| ApiError::unavailable(error.to_string()))?;
    Ok(found
        .ok_or_else(|| FieldError::new("user", format!("\"{name}\" is no user of this system"))))
}

fn admitted(
    caller: &Caller,
    rules: &People,
    person: &Person,
    account: Option<&str>,
) -> Result<(), FieldError> {
    rules.admits(person).map_err(|denied| FieldError::new("user", denied.to_string()))?;
    account.map_or(Ok(()), |account| charged(caller, rules, person, account))
}

/// Whether somebody may have jobs of this user charged to this account.
fn charged(
    caller: &Caller,
    rules: &People,
    person: &Person,
    account: &str,
) -> Result<(), FieldError> {
    if caller.who.role >= Role::Operator || rules.may_charge(person, account) {
        return Ok(());
    }
    let message = format!("\"{account}\" is not for the jobs of {}", person.name);
    Err(FieldError::new("account", message))
}

/// Whether somebody may have a job charged to another account: only to one that he may charge
/// himself.
///
/// # Errors
/// 403, naming the field.
pub fn may_charge(app: &App, caller: &Caller, account: &str) -> Result<(), ApiError> {
    let Some(me) = &caller.person else { return Ok(()) };
    charged(caller, &app.live().people, me, account).map_err(|fault| {
        let faults = Faults::from(fault);
        let detail = format!("Nothing was changed. {faults}");
        ApiError { errors: faults.listed(), ..ApiError::new(Code::NotPermitted, detail) }
    })
}
