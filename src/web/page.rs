//! *Purpose*: which page an address means, and how it is drawn.
//!
//! *Owns*: [`View`], the handlers of pages.
//!
//! *Promises*: a page that is asked for and the same page kept right by its stream are drawn by the
//! same code; whoever is not known gets the frame alone.
//!
//! *Not here*: what stands in a page (one file for each).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::admin::{AdminPage, Told};
use super::board::{Board, Tried};
use super::charts::{SPANS, Span};
use super::docs::DocsPage;
use super::job::{JobPage, Known};
use super::jobs::{self, JobsPage};
use super::listed;
use super::overview::OverviewPage;
use super::region::Page;
use super::shell::Shell;
use super::submit::{Pattern, SubmitPage};
use super::usage::{self, UsagePage};
use super::why::Waiting;
use super::words::AsOf;
use crate::api::App;
use crate::api::reads::{self, ApiError, Caller, PayersBy, SamplesQuery, UsageOfQuery, UsageQuery};
use crate::clock;
use crate::job::array_spec::JobRef;
use crate::job::ids::JobId;
use crate::job::state::StateWord;

/// The media type of pages.
pub const HTML: &str = "text/html; charset=utf-8";
/// The page that asks for a token.
pub const LOGIN: &str = "/login";
/// The routes of the API, for people to read.
pub const DOCS: &str = "/docs";
/// How the server itself stands.
pub const ADMIN: &str = "/admin";
/// The page that submits a job.
pub const SUBMIT: &str = "/submit";
/// Events of a job that are read for its page.
const EVENTS: i64 = 1_000;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// The first page, with a chart that goes so far back.
    Overview(Span),
    /// Jobs that these parameters find; of a list that is read already, those that it shows.
    Jobs(Vec<(String, String)>, Vec<JobId>),
    /// One job.
    Job(JobRef),
    /// A job to submit, as this one was.
    Submit(Option<JobRef>),
    /// The server itself.
    Admin,
    /// Who used how much.
    Usage(usage::Asked),
    /// The routes of the API.
    Docs,
}

impl View {
    /// The page at this address, path and query.
    ///
    /// # Errors
    /// 404 when there is none, 400 for a parameter that it does not have.
    pub fn parse(address: &str) -> Result<View, ApiError> {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let pairs = web::Query::<Vec<(String, String)>>::from_query(query);
        let pairs = pairs.map_err(|error| ApiError::parameter("query", error.to_string()))?;
        let pairs: Vec<(String, String)> =
            pairs.into_inner().into_iter().filter(|(_, value)| !value.is_empty()).collect();
        match path {
            "/" => span(&pairs).map(View::Overview),
            "/jobs" => match pairs.iter().find(|(key, _)| !jobs::ASKED.contains(&key.as_str())) {
                None => Ok(View::Jobs(pairs, Vec::new())),
                Some((key, _)) => {
                    let known = jobs::ASKED.join(", ");
                    Err(ApiError::parameter(key, format!("is not one of {known}")))
                }
            },
            ADMIN | DOCS => match pairs.first() {
                None if path == DOCS => Ok(View::Docs),
                None => Ok(View::Admin),
                Some((key, _)) => Err(ApiError::parameter(key, "means nothing here")),
            },
            SUBMIT => from(&pairs).map(View::Submit),
            usage::PATH => match usage::Asked::parse(&pairs) {
                Ok(asked) => Ok(View::Usage(asked)),
                Err((key, why)) => Err(ApiError::parameter(&key, why)),
            },
            other => match other.strip_prefix("/jobs/").map(str::parse) {
                Some(Ok(of)) => Ok(View::Job(of)),
                _ => Err(ApiError::no_route(other)),
            },
        }
    }

    /// The page as it stands now; `is_live` for its stream, whose reader counts times by himself,
    /// and before whom a list stands still from the first time on.
    ///
    /// # Errors
    /// What the database says.
    pub async fn now(
        &mut self,
        app: &App,
        board: &Board,
        caller: &Caller,
        is_live: bool,
    ) -> Result<Box<dyn Page>, ApiError> {
        let as_of = || AsOf { now: clock::now(), is_live };
        let address = self.address();
        let shell = |what: &str| Shell::new(app, Some(caller), &address, what);
        Ok(match self {
            View::Overview(span) => {
                let sight = board.sight(app, caller).await?;
                let since = SamplesQuery::since(&format!("-{}", span.word), span.step_s);
                let samples = reads::samples(app, &since).await?;
                let shell = shell("");
                Box::new(OverviewPage::new(shell, &sight, (&samples, *span), as_of()))
            }
            View::Jobs(asked, shown) => {
                let list = listed::read(app, caller, asked, shown).await?;
                if is_live && shown.is_empty() {
                    *shown = list.jobs.iter().map(|job| job.id).collect();
                }
                let shell = shell("Jobs");
                Box::new(JobsPage::new(shell, &list, asked, as_of()))
            }
            View::Job(of) => {
                let known = known(app, board, caller, *of).await?;
                let title = format!("{} {}", known.job.shown_id(), known.job.name);
                let shell = shell(&title);
                Box::new(JobPage::new(shell, known, as_of()))
            }
            View::Docs => Box::new(DocsPage::new(shell("API"))),
            View::Admin => {
                let told = Told::read(app, board, caller).await?;
                let shell = shell("Admin");
                Box::new(AdminPage::new(shell, &told, clock::now()))
            }
            View::Submit(from) => {
                let shell = shell("Submit");
                Box::new(form(app, board, caller, (shell, *from)).await?)
            }
            View::Usage(asked) => {
                let shell = shell("Usage");
                Box::new(used(app, caller, (shell, *asked)).await?)
            }
        })
    }

    /// The same where a list that shows these is being read; other pages have none.
    ///
    /// # Errors
    /// 400 for what are no numbers of jobs, or too many.
    pub fn showing(self, ids: &str) -> Result<View, ApiError> {
        let View::Jobs(asked, _) = self else { return Ok(self) };
        let shown = listed::ids("shown", ids)?;
        Ok(View::Jobs(asked, shown))
    }

    /// Whether it changes while it is looked at.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self, View::Usage(_))
    }

    fn shell(&self, app: &App, caller: Option<&Caller>, what: &str) -> Shell {
        Shell::new(app, caller, &self.address(), what)
    }

    fn address(&self) -> String {
        match self {
            View::Overview(span) if *span == SPANS[0] => "/".to_owned(),
            View::Overview(span) => format!("/?span={}", span.word),
            View::Jobs(asked, _) => jobs::address(asked),
            View::Job(of) => format!("/jobs/{of}"),
            View::Admin => ADMIN.to_owned(),
            View::Docs => DOCS.to_owned(),
            View::Submit(None) => SUBMIT.to_owned(),
            View::Submit(Some(of)) => format!("{SUBMIT}?from={of}"),
            View::Usage(asked) => asked.address(),
        }
    }
}

/// A page that could not be written.
pub fn undrawn(error: askama::Error) -> ApiError {
    ApiError::foreign(StatusCode::INTERNAL_SERVER_ERROR, format!("the page is not drawn: {error}"))
}

/// How far back the chart goes.
fn span(pairs: &[(String, String)]) -> Result<Span, ApiError> {
    let Some((key, asked)) = pairs.first() else { return Ok(SPANS[0]) };
    let known = SPANS.iter().find(|span| key == "span" && span.word == asked).copied();
    let words = SPANS.map(|span| span.word).join(", ");
    let wanted = || ApiError::parameter(key, format!("is no span; there are {words}"));
    known.ok_or_else(wanted)
}

/// Which job a form is filled with.
fn from(pairs: &[(String, String)]) -> Result<Option<JobRef>, ApiError> {
    let Some((key, asked)) = pairs.first() else { return Ok(None) };
    if key != "from" {
        return Err(ApiError::parameter(key, "is not \"from\""));
    }
    let of = asked.parse().map_err(|_| ApiError::parameter(key, "is no job, as 17 or 17_4"))?;
    Ok(Some(of))
}

async fn form(
    app: &App,
    board: &Board,
    caller: &Caller,
    (shell, from): (Shell, Option<JobRef>),
) -> Result<SubmitPage, ApiError> {
    let pattern = match from {
        Some(of) => Some(Pattern::read(app, caller, of).await?),
        None => None,
    };
    let sight = board.sight(app, caller).await?;
    let partitions = reads::partitions(app).await?;
    let accounts = reads::accounts(app, caller, PayersBy::Account).await?;
    let own = &sight.overview.own;
    Ok(SubmitPage::new(shell, (pattern, caller), own, (&partitions, &accounts)))
}

async fn used(
    app: &App,
    caller: &Caller,
    (shell, asked): (Shell, usage::Asked),
) -> Result<UsagePage, ApiError> {
    let now = clock::now();
    let days = asked.days(now);
    let since = days.first().copied().unwrap_or(now);
    let days = if asked.by == "day" { &days[..] } else { &[] };
    let query = UsageQuery::since(asked.by, since, days);
    Ok(UsagePage::new(shell, asked, &reads::usage(app, caller, query).await?, now))
}

async fn known(app: &App, board: &Board, caller: &Caller, of: JobRef) -> Result<Known, ApiError> {
    let mut job = reads::job(app, caller, of).await?;
    if job.is_array() {
        job.array = reads::array_counts(app, vec![job.id]).await?.remove(&job.id);
    }
    if job.redacted {
        return Ok(Known::of(job));
    }
    let usage = reads::job_usage(app, caller, of, &UsageOfQuery::default()).await?;
    let (script, is_bytes) = reads::script(app, caller, of).await?;
    let may_change = reads::may_change(app, caller, of).await;
    let waits = match job.state {
        StateWord::Pending => Some(Waiting {
            sight: board.sight(app, caller).await?,
            rank: reads::rank(app, caller, of).await.ok(),
            tried: match may_change {
                true => board.tried(app, caller, &job).await,
                false => Tried::default(),
            },
        }),
        _ => None,
    };
    Ok(Known {
        efficiency: Some(board.efficiency(app, caller, (&job, &usage)).await),
        usage: Some(usage),
        events: reads::events(app, caller, of, (EVENTS, None)).await?,
        attempts: reads::attempts(app, caller, of).await?,
        script: String::from_utf8(script).ok().filter(|_| !is_bytes),
        then: Some(reads::dependents(app, caller, of).await?),
        may_change,
        waits,
        ..Known::of(job)
    })
}

/// `GET /login`. Its script keeps a token in the browser's storage of this origin, port included: a
/// cookie would be sent to servers of other users on other ports of this machine.
///
/// # Errors
/// None that a template has.
pub async fn login(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    let html = Shell::new(&app, None, LOGIN, "Sign in").login().render().map_err(undrawn)?;
    Ok(HttpResponse::Ok().content_type(HTML).body(html))
}

/// A page.
///
/// # Errors
/// 404, 400, and what the database says.
pub async fn page(
    app: web::Data<App>,
    board: web::Data<Board>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let address = request.uri().path_and_query().map_or("/", |own| own.as_str());
    let mut view = View::parse(address)?;
    let html = match Caller::of(&request) {
        Ok(caller) => view.now(&app, &board, &caller, false).await?.document(),
        Err(_) => view.shell(&app, None, "").frame().render(),
    };
    Ok(HttpResponse::Ok().content_type(HTML).body(html.map_err(undrawn)?))
}
