//! *Purpose*: the routes of Slurm's accounting: `/slurmdb/…`.
//!
//! *Owns*: one job, and jobs by time, state, user and the like.
//!
//! *Promises*: a parameter by which jobs are not picked here is refused by name: an answer never
//! has jobs that were not asked for.
//!
//! *Not here*: the words (`api::wire::slurm::history`), the queue (`api::slurmrest`).

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::found::{named, owners, picked};
use super::query::{Asked, Pairs, job_in};
use super::reply::{JOBS, ok};
use crate::api::app::App;
use crate::api::aside::aside;
use crate::api::caller::Caller;
use crate::api::code::Code;
use crate::api::error::ApiError;
use crate::api::steps;
use crate::api::wire::job::Job;
use crate::api::wire::slurm::answer::{Trouble, answer};
use crate::api::wire::slurm::facts::Facts;
use crate::api::wire::slurm::version::{Version, field};
use crate::api::wire::slurm::{history, words};
use crate::api::wire::step::Step;
use crate::job::ids::JobId;
use crate::job::state::StateWord;
use crate::store::filter::{JobFilter, PAGE_MAX};
use crate::store::reader::Reader;

/// What jobs are picked by.
const PICKS: [&str; 10] = [
    "start_time",
    "end_time",
    "state",
    "users",
    "user",
    "account",
    "partition",
    "job_name",
    "step",
    "cluster",
];
/// What changes nothing about an answer that has all fields of all jobs, the last run of each.
const NO_MATTER: [&str; 5] =
    ["skip_steps", "disable_wait_for_result", "format", "disable_truncate_usage_time", "groups"];
/// Jobs whose steps are asked for at a time.
const IDS: usize = PAGE_MAX as usize;

/// `GET /slurmdb/…/job/{id}`. Of what is not there nothing is found, which is no error to Slurm.
pub async fn show(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Asked(version): Asked,
) -> Result<HttpResponse, ApiError> {
    Pairs::of(&request)?.only(&[])?;
    let found = match job_in(&request) {
        Ok(id) => named(&app, &caller, id).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(jobs) => shown(&app, &caller, version, jobs).await,
        Err(error) if error.code == Code::NoSuchJob => {
            let nothing = Trouble {
                description: error.detail,
                number: 9003,
                error: "Nothing found with query",
                source: "id".to_owned(),
            };
            let none = vec![field("jobs", Value::Array(Vec::new()))];
            let answer = answer(version, "", none, (vec![nothing], Vec::new()));
            Ok(HttpResponse::Ok().json(answer))
        }
        Err(error) => Err(error),
    }
}

/// `GET /slurmdb/…/jobs`.
pub async fn list(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Asked(version): Asked,
) -> Result<HttpResponse, ApiError> {
    let pairs = Pairs::of(&request)?;
    pairs.only(&PICKS.into_iter().chain(NO_MATTER).collect::<Vec<_>>())?;
    let wanted = Wanted::read(&pairs)?;
    let mut jobs = match wanted.ids.is_empty() {
        true => picked(&app, &caller, wanted.filters()).await?,
        false => {
            let ids = Some(wanted.ids.clone());
            picked(&app, &caller, vec![JobFilter { ids, ..JobFilter::default() }]).await?
        }
    };
    jobs.retain(|job| wanted.has(job));
    shown(&app, &caller, version, jobs).await
}

/// Which jobs; a list that is empty picks none out.
#[derive(Debug, Default)]
struct Wanted {
    since: Option<i64>,
    until: Option<i64>,
    states: Option<Vec<&'static str>>,
    ids: Vec<JobId>,
    /// Users, accounts, partitions, names.
    words: [Vec<String>; 4],
}

impl Wanted {
    fn read(pairs: &Pairs) -> Result<Wanted, ApiError> {
        let seconds = |name| -> Result<Option<i64>, ApiError> {
            let time = pairs.time(name)?;
            Ok(time.map(words::seconds))
        };
        let states = pairs.words("state");
        let known = states.iter().map(|word| state(word)).collect::<Result<Vec<_>, _>>();
        let known = known.map_err(|message| ApiError::parameter("state", message))?;
        let id = |word: &String| {
            let number = word.split_once('.').map_or(word.as_str(), |(job, _)| job).parse();
            let message = || format!("\"{word}\" is no job's number");
            number.map(JobId).map_err(|_| ApiError::parameter("step", message()))
        };
        let ids = pairs.words("step").iter().map(id).collect::<Result<Vec<_>, _>>()?;
        if ids.len() > IDS {
            return Err(ApiError::parameter("step", format!("names more than {IDS} jobs")));
        }
        let mut users = pairs.words("users");
        users.extend(pairs.words("user"));
        Ok(Wanted {
            since: seconds("start_time")?,
            until: seconds("end_time")?,
            states: (!states.is_empty()).then_some(known),
            ids,
            words: [
                users,
                pairs.words("account"),
                pairs.words("partition"),
                pairs.words("job_name"),
            ],
        })
    }

    /// What the database is asked for: at least these.
    fn filters(&self) -> Vec<JobFilter> {
        let only = |words: &[String]| match words {
            [one] => Some(one.clone()),
            _ => None,
        };
        let [users, accounts, partitions, names] = &self.words;
        let ours = |word: &&'static str| words::ours(word);
        let ours: Option<Vec<StateWord>> =
            self.states.as_ref().map(|all| all.iter().filter_map(ours).collect());
        let wanted = |state: &StateWord| ours.as_ref().is_none_or(|all| all.contains(state));
        let time = |seconds: i64| crate::time::Time::default().plus_s(seconds);
        let of = |is_final: bool| {
            let all = StateWord::ALL.iter().copied();
            let states: Vec<_> =
                all.filter(|state| state.is_final() == is_final && wanted(state)).collect();
            // No state at all would mean any.
            (!states.is_empty()).then(|| JobFilter {
                states,
                users: only(users).into_iter().collect(),
                accounts: only(accounts).into_iter().collect(),
                partition: only(partitions),
                name: only(names),
                until: self.until.map(|until| time(until + 1)),
                ended_since: self.since.filter(|_| is_final).map(time),
                ..JobFilter::default()
            })
        };
        [of(false), of(true)].into_iter().flatten().collect()
    }

    /// Whether it is one of these: it had not ended by then, and had begun before.
    fn has(&self, job: &Job) -> bool {
        let end = job.end_time.as_deref().map(|end| words::epoch(Some(end)));
        let begin = words::epoch(job.start_time.as_deref().or(Some(&job.submit_time)));
        let own = [&job.user, &job.account, &job.partition, &job.name];
        let mut words = self.words.iter().zip(own);
        self.since.is_none_or(|since| end.is_none_or(|end| end >= since))
            && self.until.is_none_or(|until| begin <= until)
            && self.states.as_ref().is_none_or(|all| all.contains(&Facts(job).state()))
            && words.all(|(all, own)| all.is_empty() || all.contains(own))
    }
}

/// A state as Slurm's clients ask for it.
fn state(word: &str) -> Result<&'static str, String> {
    let known = words::asked(word);
    known.ok_or_else(|| format!("\"{word}\" is not a state; there are {}", words::all_states()))
}

/// Jobs with what each told of its steps.
async fn shown(
    app: &App,
    caller: &Caller,
    version: Version,
    jobs: Vec<Job>,
) -> Result<HttpResponse, ApiError> {
    let mut steps = steps_of(app, caller, &jobs).await?;
    let each = aside(move || {
        let owners = owners(&jobs);
        let one = |(job, owner): (&Job, _)| {
            let steps = steps.remove(&job.id).unwrap_or_default();
            history::job(version, job, (owner, &steps))
        };
        jobs.iter().zip(&owners).map(one).collect::<Vec<Value>>()
    });
    Ok(ok(version, vec![field(JOBS, each.await?)], Vec::new()))
}

async fn steps_of(
    app: &App,
    caller: &Caller,
    jobs: &[Job],
) -> Result<HashMap<JobId, Vec<Step>>, ApiError> {
    let mut all: HashMap<JobId, Vec<Step>> = HashMap::new();
    let started = jobs.iter().filter(|job| job.start_time.is_some()).map(|job| job.id);
    let started: Vec<JobId> = started.collect();
    for part in started.chunks(IDS) {
        let mut after = 0;
        loop {
            let (ids, scope) = (part.to_vec(), caller.who.scope_of_details());
            let read = move |db: &mut dyn Reader| db.steps(Some(&ids), &scope, (after, PAGE_MAX));
            let rows = app.read(read).await?;
            let is_last = (rows.len() as i64) < PAGE_MAX;
            after = rows.last().map_or(after, |row| row.id);
            for step in rows.iter().map(steps::shown) {
                all.entry(step.job_id).or_default().push(step);
            }
            if is_last {
                break;
            }
        }
    }
    all.values_mut().for_each(|steps| steps.sort_by_key(|step| (step.attempt, step.step)));
    Ok(all)
}
