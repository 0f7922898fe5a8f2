//! *Purpose*: accepts jobs.
//!
//! *Owns*: `POST /jobs`, `POST /jobs/batch`, and idempotent submission.
//!
//! *Promises*: 201 is sent only when the jobs are durable; a bad body stores nothing; the same
//! key and body answer the same jobs again.
//!
//! *Not here*: reading bodies (`api::wire::submit`), the kernel's door (`kernel::admission`).

use std::collections::BTreeSet;
use std::pin::{Pin, pin};
use std::sync::Arc;

use actix_rt::time::{Sleep, sleep};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::{Either, select};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

use super::app::{App, DATABASE_WAIT};
use super::caller::Caller;
use super::code::Code;
use super::error::ApiError;
use super::intake::Body;
use super::owner::own;
use super::render;
use super::wire::dialect::ApiDialect;
use super::wire::job::{BatchAccepted, Job};
use super::wire::submission::FieldOrigins;
use super::wire::submit::{Submission, parse_batch, parse_submit};
use crate::actors::messages::{KeyAsked, SubmitJobs, SubmitRefused, Submitted};
use crate::clock;
use crate::job::dependency::Dependency;
use crate::job::faults::{Faults, FieldError};
use crate::job::ids::{CommitNo, JobId};
use crate::job::spec::{JobSpec, SingletonKey};
use crate::job::state::StateWord;
use crate::kernel::access::{self, Action, Permitted, Scope};
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::store::dependencies::LookedUp;
use crate::store::read::JobAndAllocation;
use crate::store::record::{AllocationRecord, JobRecord};
use crate::time::Time;

/// Longest `Idempotency-Key`.
const KEY_BYTES_MAX: usize = 255;
/// Between a principal and his key; no key holds it.
const OF: char = '\u{1F}';
/// Jobs that are durable now, or were already.
pub struct Accepted {
    /// Their ids.
    pub ids: Vec<JobId>,
    /// What was submitted; `None` when an earlier request with this key made them.
    pub new: Option<New>,
}

/// Jobs that this request made.
pub struct New {
    specs: Vec<Arc<JobSpec>>,
    time: Time,
    granted: Option<Box<(AllocationRecord, Option<String>)>>,
}

impl Accepted {
    /// 201 for new jobs, 200 for those that are there already.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        if self.new.is_none() { StatusCode::OK } else { StatusCode::CREATED }
    }

    /// What was not honoured of a new job, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let spec = self.new.as_ref().and_then(|new| new.specs.first());
        spec.map(|spec| spec.warnings.clone()).unwrap_or_default()
    }

    /// The one job of a request for one. A new one is answered as it was committed, without
    /// asking the database for what was just put there.
    async fn job(&self, app: &App, caller: &Caller) -> Result<Job, ApiError> {
        let id = self.ids.first().copied().unwrap_or(JobId(0));
        let found = match &self.new {
            Some(New { specs, time, granted }) => specs
                .first()
                .map(|spec| as_committed(id, (*time, spec), granted.as_deref().cloned())),
            None => None,
        };
        Ok(match found {
            Some(found) => render::one(app, caller, found).await,
            None => render::one(app, caller, app.job(id).await?).await,
        })
    }
}

/// A job as the commit that stored it left it: waiting, or granted what it asks for.
fn as_committed(
    id: JobId,
    (time, spec): (Time, &JobSpec),
    granted: Option<(AllocationRecord, Option<String>)>,
) -> JobAndAllocation {
    let row = JobRecord::submitted(id, time, spec);
    let Some((allocation, partition)) = granted else { return (row, None) };
    let (state, attempt) = (StateWord::Running, allocation.attempt.n);
    let partition = partition.unwrap_or_else(|| row.partition.clone());
    (JobRecord { state, attempt, partition, ..row }, Some(allocation))
}

/// What else a request for one job says.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct SubmitQuery {
    /// Only say what would become of it: it is checked, nothing is stored, and the answer (200) is
    /// the job as it would wait now, with id 0; of a batch, no ids.
    pub dry_run: Option<bool>,
}

/// `POST /jobs`.
#[utoipa::path(post, path = "/api/v1/jobs", tag = "jobs",
    description = "Submits one job. 201 is sent when it is on disk. `#SBATCH` lines of the script \
        fill what the body leaves out.",
    params(SubmitQuery, ("Idempotency-Key" = Option<String>, Header,
        description = "Same key and body: the same job again")),
    request_body = super::wire::body::SubmitBody,
    responses((status = 201, body = super::wire::job::Job), (status = 200,
        body = super::wire::job::Job),
        (status = "4XX", body = super::wire::problem::Problem), (status = "5XX",
            body = super::wire::problem::Problem)))]
pub async fn submit(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    query: web::Query<SubmitQuery>,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    if query.dry_run.unwrap_or(false) {
        return Ok(HttpResponse::Ok().json(tried(&app, &caller, &body).await?));
    }
    let submission = parse_submit(&body, ApiDialect::V1)?;
    let accepted = accept(&app, (&request, &caller), &body, vec![submission]).await?;
    let job = accepted.job(&app, &caller).await?;
    Ok(HttpResponse::build(accepted.status())
        .insert_header((header::LOCATION, format!("/api/v1/jobs/{}", job.id)))
        .json(job))
}

/// The one job of a body as it would wait now. Nothing is stored.
///
/// # Errors
/// Those of its submission.
pub async fn tried(app: &App, caller: &Caller, body: &[u8]) -> Result<Job, ApiError> {
    let submission = parse_submit(body, ApiDialect::V1)?;
    let checked = checked(app, caller, vec![submission]).await?;
    let elsewhere = elsewhere(app, &caller.who, &checked).await?;
    let spec = checked.specs.into_iter().next().ok_or_else(|| ApiError::unavailable("no job"))?;
    render::dry_run(app, spec, elsewhere).await
}

/// `POST /jobs/batch`: all or nothing.
#[utoipa::path(post, path = "/api/v1/jobs/batch", tag = "jobs",
    description = "Submits up to 10,000 jobs, all or none of them, in one transaction.",
    params(SubmitQuery, ("Idempotency-Key" = Option<String>, Header,
        description = "Same key and body: the same jobs again")),
    request_body = super::wire::body::BatchBody,
    responses((status = 201, body = BatchAccepted), (status = 200, body = BatchAccepted),
        (status = "4XX", body = super::wire::problem::Problem), (status = "5XX",
            body = super::wire::problem::Problem)))]
pub async fn batch(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    query: web::Query<SubmitQuery>,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    let submissions = parse_batch(&body)?;
    if query.dry_run.unwrap_or(false) {
        elsewhere(&app, &caller.who, &checked(&app, &caller, submissions).await?).await?;
        return Ok(HttpResponse::Ok().json(BatchAccepted { job_ids: Vec::new() }));
    }
    let accepted = accept(&app, (&request, &caller), &body, submissions).await?;
    let status = accepted.status();
    Ok(HttpResponse::build(status).json(BatchAccepted { job_ids: accepted.ids }))
}

/// Checks jobs and makes them durable, once per key.
///
/// # Errors
/// Bad fields (422), a key used for another body (409), a database that cannot be written.
pub async fn accept(
    app: &App,
    (request, caller): (&HttpRequest, &Caller),
    body: &[u8],
    submissions: Vec<Submission>,
) -> Result<Accepted, ApiError> {
    let checked = checked(app, caller, submissions).await?;
    let by = caller.may_at_all(Action::Submit, "submitting")?;
    if checked.specs.iter().any(|spec| spec.priority > 0) {
        caller.may_at_all(Action::Raise, "a priority above 0")?;
    }
    match key_of(request)? {
        None => {
            let mut looks = Looks::new("the jobs that are waited for are just changing");
            loop {
                let sent = send(app, &checked, None, by.clone(), &mut looks).await?;
                if let Sent::Accepted(accepted) = sent {
                    return Ok(accepted);
                }
            }
        }
        Some(key) => once(app, key, body, checked, by).await,
    }
}

/// Jobs that passed the kernel's door, and how the body named the parts of each.
struct Checked {
    specs: Vec<Arc<JobSpec>>,
    origins: Vec<FieldOrigins>,
}

impl Checked {
    /// The refusal, in the body's words, of every job of which `wrong` says something.
    fn refuse(&self, wrong: impl Fn(&JobSpec) -> Option<FieldError>) -> Result<(), ApiError> {
        let each = self.specs.iter().zip(&self.origins);
        let mut faults = Faults::default();
        each.filter_map(|(spec, origins)| Some(origins.renamed(wrong(spec)?)))
            .for_each(|fault| faults.push(fault));
        if faults.is_empty() { Ok(()) } else { Err(ApiError::fields(&faults)) }
    }
}

async fn checked(
    app: &App,
    caller: &Caller,
    mut submissions: Vec<Submission>,
) -> Result<Checked, ApiError> {
    own(app, caller, &mut submissions).await?;
    let mut checked = Checked {
        specs: Vec::with_capacity(submissions.len()),
        origins: Vec::with_capacity(submissions.len()),
    };
    let live = app.live();
    let mut faults = Faults::default();
    for submission in submissions {
        match submission.check(&live.site) {
            Ok((spec, origins)) => {
                checked.specs.push(Arc::new(spec));
                checked.origins.push(origins);
            }
            Err(refused) => faults.absorb(refused, |fault| fault),
        }
    }
    if !faults.is_empty() {
        return Err(ApiError::fields(&faults));
    }
    checked.refuse(|spec| {
        let passed = spec.deadline.is_some_and(|deadline| deadline <= clock::now());
        let message = "has passed already; the job could never start";
        passed.then(|| FieldError::new("deadline", message))
    })?;
    Ok(checked)
}

async fn once(
    app: &App,
    key: Arc<str>,
    body: &[u8],
    checked: Checked,
    by: Permitted,
) -> Result<Accepted, ApiError> {
    let body_hash: Arc<str> = hex(&Sha256::digest(body)).into();
    // A key is its sender's: another's tells him nothing, and takes none away.
    let owned: Arc<str> = format!("{}{OF}{key}", key_owner(&by)).into();
    let mut looks = Looks::new("another request with this Idempotency-Key is still under way");
    loop {
        let wanted = owned.to_string();
        let found = app.read_raw(move |db| db.key(&wanted)).await?;
        if let Some(row) = found.value {
            if row.body_hash != *body_hash {
                let detail = format!("Idempotency-Key \"{key}\" was used for another body");
                return Err(ApiError::new(Code::IdempotencyKeyReused, detail));
            }
            let ids = (0..i64::from(row.count)).map(|n| JobId(row.first.0 + n)).collect();
            return Ok(Accepted { ids, new: None });
        }
        let asked = KeyAsked {
            key: Arc::clone(&owned),
            body_hash: Arc::clone(&body_hash),
            read_at: found.commit_no,
        };
        match send(app, &checked, Some(asked), by.clone(), &mut looks).await? {
            Sent::Accepted(accepted) => return Ok(accepted),
            Sent::LookAgain => {}
        }
    }
}

/// Whose a key is.
fn key_owner(by: &Permitted) -> String {
    let caller = by.caller();
    caller.acts_as.map_or_else(|| caller.name.to_string(), |uid| uid.to_string())
}

/// The wait of one request for the database: for the commit of its jobs, and before that for those
/// that the key, or the ends of jobs that are waited for, are in. It looks again behind each of
/// these, and each can be the reason once.
pub(super) struct Looks {
    late: Pin<Box<Sleep>>,
    /// What is said when one of the latter takes too long.
    of: &'static str,
}

impl Looks {
    pub(super) fn new(of: &'static str) -> Looks {
        Looks { late: Box::pin(sleep(DATABASE_WAIT)), of }
    }

    pub(super) async fn until(&mut self, app: &App, at: CommitNo) -> Result<(), ApiError> {
        let mut snapshot = app.system.snapshot.clone();
        let reached = pin!(snapshot.wait_for(|s| s.commit_no >= at));
        match select(self.late.as_mut(), reached).await {
            Either::Right((Ok(_), _)) => Ok(()),
            Either::Right((Err(_), _)) => Err(ApiError::unavailable("the server is stopping")),
            Either::Left(_) => Err(ApiError::unavailable(self.of)),
        }
    }
}

/// What is said of jobs whose commit takes too long. Whoever has not named a key can only look.
fn in_doubt(key: bool) -> ApiError {
    let again = match key {
        true => "send the same again with the same Idempotency-Key, and they are stored once",
        false => "look at the list of jobs before you send the same again",
    };
    ApiError::unavailable(format!(
        "the database cannot be written now, and whether the jobs will be stored is not known; \
         {again}"
    ))
}

enum Sent {
    Accepted(Accepted),
    LookAgain,
}

async fn send(
    app: &App,
    checked: &Checked,
    key: Option<KeyAsked>,
    by: Permitted,
    looks: &mut Looks,
) -> Result<Sent, ApiError> {
    let elsewhere = elsewhere(app, by.caller(), checked).await?;
    let specs = checked.specs.clone();
    let has_key = key.is_some();
    let message = SubmitJobs { specs: specs.clone(), elsewhere, key, by };
    let sent = match select(looks.late.as_mut(), pin!(app.system.submit.send(message))).await {
        Either::Right((sent, _)) => sent,
        Either::Left(_) => return Err(in_doubt(has_key)),
    };
    match sent.map_err(|_| ApiError::unavailable("the server is stopping"))? {
        Ok(Submitted { ids, time, granted }) => {
            Ok(Sent::Accepted(Accepted { ids, new: Some(New { specs, time, granted }) }))
        }
        Err(SubmitRefused::LookAgain(at)) => {
            looks.until(app, at).await?;
            Ok(Sent::LookAgain)
        }
        Err(SubmitRefused::TooMany(place, why)) => {
            let error = FieldError::new(why.field, why.sentence);
            let renamed = checked.origins.get(place).map(|origins| origins.renamed(error.clone()));
            Err(ApiError::fields(&renamed.unwrap_or(error).into()))
        }
        Err(refused @ SubmitRefused::Stopping) => Err(ApiError::unavailable(refused.to_string())),
        Err(SubmitRefused::NothingStored(why)) if why.contains("full") => Err(ApiError::new(
            Code::DiskFull,
            format!("nothing stored: {why}; make room on the disk and send it again"),
        )),
        Err(refused) => Err(ApiError::unavailable(refused.to_string())),
    }
}

/// Looks up what jobs wait for.
pub(super) async fn looked_up(
    app: &App,
    scope: Scope,
    named: Vec<Dependency>,
    families: BTreeSet<SingletonKey>,
) -> Result<LookedUp, ApiError> {
    if named.is_empty() && families.is_empty() {
        return Ok(LookedUp::default());
    }
    let read = app.read_raw(move |db| {
        let mut found = db.look_up(&named, &scope)?;
        for family in families {
            let members = db.family(&family)?;
            found.elsewhere.singletons.insert(family, members);
        }
        Ok(found)
    });
    read.await
}

/// What the database knows of the jobs that these wait for.
async fn elsewhere(
    app: &App,
    caller: &access::Caller,
    checked: &Checked,
) -> Result<DependencySnapshot, ApiError> {
    let specs = &checked.specs;
    let named = specs.iter().flat_map(|spec| &spec.dependencies.list).copied();
    let named: Vec<Dependency> = named.collect();
    let singletons = specs.iter().filter(|spec| spec.dependencies.singleton);
    let families: BTreeSet<SingletonKey> = singletons.map(|spec| spec.family()).collect();
    let found = looked_up(app, caller.scope(), named, families).await?;
    checked.refuse(|spec| {
        let mut list = spec.dependencies.list.iter();
        let message = list.find_map(|one| found.missing.get(one))?;
        Some(FieldError::new("dependency", message.clone()))
    })?;
    Ok(found.elsewhere)
}

fn key_of(request: &HttpRequest) -> Result<Option<Arc<str>>, ApiError> {
    let Some(value) = request.headers().get("Idempotency-Key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= KEY_BYTES_MAX => Ok(Some(key.into())),
        _ => {
            let message = format!("must be 1 to {KEY_BYTES_MAX} printable characters");
            Err(ApiError::parameter("Idempotency-Key", message))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
