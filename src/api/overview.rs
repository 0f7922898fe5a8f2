//! *Purpose*: all of a first page in one answer.
//!
//! *Owns*: `GET /overview`, its tag, and how many jobs it has.
//!
//! *Promises*: each part is made by the function that the route of that part uses, so no number can
//! differ from it; an answer is bounded; who has the newest is told so without one.
//!
//! *Not here*: the parts.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::job_line::{self, places};
use super::wire::array::TaskCounts;
use super::wire::job::Job;
use super::wire::overview::{EndedToday, Overview, SHOWN};
use super::{accounts, allocations, forecast, maintenance, me, render};
use crate::actors::messages::Explain;
use crate::clock::{self, LocalTime, rfc3339};
use crate::job::ids::JobId;
use crate::job::state::StateWord;
use crate::kernel::views::explain::Explained;
use crate::kernel::views::payers::PayersBy;
use crate::kernel::views::snapshot::Snapshot;
use crate::store::ended::Ended;
use crate::store::filter::JobFilter;
use crate::store::order::SortKey;
use crate::store::read::JobAndAllocation;
use crate::time::Time;

/// Jobs that run, and that wait: more than a screen shows.
const LISTED: i64 = 100;
/// Jobs that ended, and the asker's own.
const LATEST: i64 = 20;
/// Accounts and users.
const PAYERS: usize = 100;

/// `GET /overview`.
#[utoipa::path(get, path = "/api/v1/overview", tag = "server",
    description = "How it all stands, in one bounded answer: what there is and who holds it, what \
        runs, waits and ended, accounts and people, what is foretold. Its `ETag` changes with each \
        change that the server makes; with that as `If-None-Match` the answer is 304 until then. \
        What only time changes, as how long a job has run, changes no tag, but that a day begins \
        does.",
    params(("If-None-Match" = Option<String>, Header,
        description = "The `ETag` of the last answer")),
    responses((status = 200, body = Overview), (status = 304, description = "Nothing changed")))]
pub async fn overview(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let tag = tag(&app, &caller);
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = |known: &str| known.split(',').any(|one| one.trim() == tag);
    if known.is_some_and(is_known) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish());
    }
    let overview = all(&app, &caller).await?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, tag)).json(overview))
}

/// What the answer depends on: the commit, what is known without one, the day, who asks.
fn tag(app: &App, caller: &Caller) -> String {
    let who = &caller.who;
    let mut hasher = DefaultHasher::new();
    (&who.name, who.acts_as, who.role as u8, &who.coordinates).hash(&mut hasher);
    who.sees_own_only.hash(&mut hasher);
    format!("{:?}{:?}", app.system.trouble.borrow().drains(), app.live().policy).hash(&mut hasher);
    LocalTime::day_of(clock::now()).0.hash(&mut hasher);
    format!("\"{}-{:x}\"", app.now().commit_no, hasher.finish())
}

/// All of it, as far as somebody may see it.
///
/// # Errors
/// What the database says, and when the server is stopping.
pub async fn all(app: &App, caller: &Caller) -> Result<Overview, ApiError> {
    // First, so that nothing is older than it says.
    let (now, time) = (app.now(), clock::now());
    let message = Explain { jobs: Vec::new(), policy: app.live().policy, as_if: None };
    let explained = app.system.explain.send(message).await;
    let explained = explained.map_err(|_| ApiError::unavailable("the server is stopping"))?;
    let running = JobFilter {
        states: vec![StateWord::Running, StateWord::Completing],
        key: SortKey::End,
        ascending: true,
        limit: LISTED,
        now: time,
        ..JobFilter::default()
    };
    let final_states = StateWord::ALL.iter().copied().filter(|state| state.is_final());
    let ended = JobFilter {
        states: final_states.collect(),
        key: SortKey::EndTime,
        limit: LATEST,
        ..JobFilter::default()
    };
    // Where users are not told apart, all are the asker's.
    let own = caller.person.iter().map(|person| person.name.to_string()).collect();
    let own = JobFilter { users: own, limit: LATEST, ..JobFilter::default() };
    let lists = [
        found(app, caller, running).await?,
        waiting(app, caller, &explained).await?,
        found(app, caller, ended).await?,
        found(app, caller, own).await?,
    ];
    let [running, waiting, ended, own] = rendered(app, caller, lists).await;
    let mut people = accounts::lines(app, caller, PayersBy::User).await?;
    let mut charged = accounts::lines(app, caller, PayersBy::Account).await?;
    people.truncate(PAYERS);
    charged.truncate(PAYERS);
    Ok(Overview {
        time: rfc3339(time),
        commit_no: now.commit_no.0,
        me: me::of(app, caller.clone()).await?,
        resources: allocations::held_now(app, caller).await?,
        counts: counts(&now, caller),
        ended_today: ended_today(app, caller, time).await?,
        running,
        waiting,
        ended,
        own,
        accounts: charged,
        people,
        forecast: forecast::foretold(app, caller, &explained, None).await?,
        maintenance: maintenance::all(app),
    })
}

/// How many jobs are in each state; `None` for who sees his own alone.
#[must_use]
pub fn counts(now: &Snapshot, caller: &Caller) -> Option<TaskCounts> {
    let counts = || StateWord::ALL.iter().map(|state| (*state, now.count(*state))).collect();
    caller.who.scope().own().is_none().then(|| TaskCounts(counts()))
}

/// How many ended since the day began; `None` for who sees his own alone.
async fn ended_today(
    app: &App,
    caller: &Caller,
    now: Time,
) -> Result<Option<EndedToday>, ApiError> {
    if caller.who.scope().own().is_some() {
        return Ok(None);
    }
    let since = LocalTime::day_of(now);
    let ended = app.read_raw(move |db| db.ended_since(since)).await?;
    let (since, Ended { completed, other, is_more }) = (rfc3339(since), ended);
    Ok(Some(EndedToday { since, completed, other, is_more }))
}

async fn found(
    app: &App,
    caller: &Caller,
    filter: JobFilter,
) -> Result<Vec<JobAndAllocation>, ApiError> {
    let scope = caller.who.scope();
    Ok(app.read(move |db| db.jobs(&filter, &scope)).await?.jobs)
}

/// The line, and behind it those that may not start yet.
async fn waiting(
    app: &App,
    caller: &Caller,
    explained: &Explained,
) -> Result<Vec<JobAndAllocation>, ApiError> {
    let places = places(explained);
    let in_line: HashSet<JobId> = places.iter().map(|(job, _)| *job).collect();
    let states = vec![StateWord::Pending];
    let filter = JobFilter { states, limit: LISTED, ascending: true, ..JobFilter::default() };
    let page = job_line::of_places(app, caller.who.scope(), filter.clone(), places).await?;
    let mut jobs = page.jobs;
    if (jobs.len() as i64) < LISTED {
        let others = found(app, caller, filter).await?;
        jobs.extend(others.into_iter().filter(|(row, _)| !in_line.contains(&row.id)));
        jobs.truncate(LISTED as usize);
    }
    Ok(jobs)
}

/// Lists of jobs as the wire has them; why they wait is asked once for all.
async fn rendered<const N: usize>(
    app: &App,
    caller: &Caller,
    lists: [Vec<JobAndAllocation>; N],
) -> [Vec<Job>; N] {
    let lengths = lists.each_ref().map(Vec::len);
    let jobs = lists.into_iter().flatten().collect();
    let mut jobs = render::many(app, caller, jobs, &SHOWN).await.into_iter();
    lengths.map(|length| jobs.by_ref().take(length).collect())
}
