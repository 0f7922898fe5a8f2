//! *Purpose*: which jobs the page of jobs shows.
//!
//! *Owns*: [`Listed`], [`read`].
//!
//! *Promises*: what a reader has before him stays there, whatever state it comes to, until he asks
//! for the list as it is; what is new is counted. Nobody loads more than a page.
//!
//! *Not here*: rows (`web::jobs`), what a filter means (`api`).

use std::collections::{HashMap, HashSet};

use crate::api::App;
use crate::api::reads::{self, ApiError, Caller, PayersBy};
use crate::api::wire::array::TaskCounts;
use crate::api::wire::job::Job;
use crate::clock;
use crate::job::ids::JobId;
use crate::job::state::StateWord;

/// Rows of a page.
pub const ROWS: usize = 50;
/// Arrays of a page that are open.
const OPEN_MAX: usize = 10;
/// Tasks that are shown of each kind: those that ended badly, and those that run.
const TASKS: &str = "10";
/// Accounts that a filter offers.
const ACCOUNTS: usize = 100;

/// Times that a filter offers: as an address has them, in hours, in words.
pub const SINCE: [(&str, i64, &str); 3] =
    [("24h", 24, "24 hours"), ("7d", 7 * 24, "7 days"), ("30d", 30 * 24, "30 days")];

/// A page of jobs.
pub struct Listed {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
    /// How many would stand here too by now, at most a page of them.
    pub more: usize,
    /// Whether those are newer than all that stand here.
    pub are_newer: bool,
    /// Tasks of arrays that are open.
    pub tasks: HashMap<JobId, Vec<Job>>,
    /// How many jobs are in which state, if the reader may know.
    pub counts: Option<TaskCounts>,
    /// The accounts that jobs were charged to.
    pub accounts: Vec<String>,
    /// Who reads; empty where users are not told apart.
    pub me: String,
}

/// Numbers of jobs with commas between.
///
/// # Errors
/// 400 for what is none, and when there are more than a page has.
pub fn ids(name: &str, text: &str) -> Result<Vec<JobId>, ApiError> {
    let words = text.split(',').filter(|word| !word.is_empty());
    let ids: Result<Vec<JobId>, _> = words.map(|word| word.parse().map(JobId)).collect();
    match ids {
        Ok(ids) if ids.len() <= ROWS => Ok(ids),
        Ok(_) => Err(ApiError::parameter(name, format!("has more than {ROWS} jobs"))),
        Err(_) => Err(ApiError::parameter(name, "is numbers of jobs with commas between")),
    }
}

/// A parameter of the page as the API has it.
fn sent(key: &str, value: &str) -> (String, String) {
    let hours = SINCE.iter().find(|(word, ..)| key == "since" && *word == value);
    let before = hours.map(|(_, hours, _)| clock::now().plus_s(-hours * 3_600));
    pair(key, before.map_or(value.to_owned(), clock::rfc3339))
}

fn pair(key: &str, value: impl Into<String>) -> (String, String) {
    (key.to_owned(), value.into())
}

/// The page that these parameters mean, or of one that is read already how its jobs are by now.
///
/// # Errors
/// 400 for a parameter that is no value of its kind, and what the database says.
pub async fn read(
    app: &App,
    caller: &Caller,
    asked: &[(String, String)],
    shown: &[JobId],
) -> Result<Listed, ApiError> {
    let value = |name: &str| asked.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let open = value("open").map(|text| ids("open", text)).transpose()?.unwrap_or_default();
    let mut query: Vec<_> = asked
        .iter()
        .filter(|(key, _)| key != "open")
        .map(|(key, value)| sent(key, value))
        .collect();
    query.push(pair("limit", ROWS.to_string()));
    // Arrays are one row each in the orders that know them so.
    let sort = value("sort").map(String::as_str);
    let fold = matches!(sort, None | Some("id" | "-id" | "position"));
    if fold {
        query.push(pair("fold", "arrays"));
    }
    if !shown.is_empty() {
        query.push(pair("fields", "id"));
    }
    let (fresh, _) = reads::jobs(app, caller, query).await?;
    let (jobs, more) = match shown.is_empty() {
        true => (fresh.jobs, Vec::new()),
        false => {
            let known: HashSet<JobId> = shown.iter().copied().collect();
            let more = fresh.jobs.iter().map(|job| job.id).filter(|id| !known.contains(id));
            (by_number(app, caller, shown, fold).await?, more.collect())
        }
    };
    let newest = shown.iter().max().copied();
    let mut tasks = HashMap::new();
    let arrays = jobs.iter().filter(|job| job.array.is_some() && open.contains(&job.id));
    for array in arrays.take(OPEN_MAX) {
        tasks.insert(array.id, tasks_of(app, caller, array.id).await?);
    }
    let accounts = reads::accounts(app, caller, PayersBy::Account).await?;
    let accounts = accounts.into_iter().map(|line| line.name).filter(|name| !name.is_empty());
    Ok(Listed {
        jobs,
        next_cursor: fresh.next_cursor,
        are_newer: newest.is_some_and(|newest| more.iter().all(|id| *id > newest)),
        more: more.len(),
        tasks,
        counts: reads::counts(&app.now(), caller),
        accounts: accounts.take(ACCOUNTS).collect(),
        me: caller.person.as_ref().map(|person| person.name.to_string()).unwrap_or_default(),
    })
}

/// These jobs in this order; those that are no more are left out.
async fn by_number(
    app: &App,
    caller: &Caller,
    shown: &[JobId],
    fold: bool,
) -> Result<Vec<Job>, ApiError> {
    let ids: Vec<String> = shown.iter().map(ToString::to_string).collect();
    let mut query = vec![pair("ids", ids.join(",")), pair("limit", ROWS.to_string())];
    if fold {
        query.push(pair("fold", "arrays"));
    }
    let (found, _) = reads::jobs(app, caller, query).await?;
    let mut found: HashMap<JobId, Job> = found.jobs.into_iter().map(|job| (job.id, job)).collect();
    Ok(shown.iter().filter_map(|id| found.remove(id)).collect())
}

/// The tasks of an array that somebody looks for: those that ended badly, and those that run.
async fn tasks_of(app: &App, caller: &Caller, array: JobId) -> Result<Vec<Job>, ApiError> {
    let is_bad = |state: &StateWord| state.is_final() && *state != StateWord::Completed;
    let bad = StateWord::ALL.iter().copied().filter(is_bad).collect::<Vec<_>>();
    let mut tasks = Vec::new();
    for states in [bad, vec![StateWord::Running, StateWord::Completing]] {
        let mut query = vec![pair("array_job_id", array.to_string()), pair("limit", TASKS)];
        query.extend(states.iter().map(|state| pair("state", state.word())));
        let (found, _) = reads::jobs(app, caller, query).await?;
        tasks.extend(found.jobs.into_iter().filter(|job| job.array_task_id.is_some()));
    }
    Ok(tasks)
}
