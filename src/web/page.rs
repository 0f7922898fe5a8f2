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
use super::board::Board;
use super::docs::DocsPage;
use super::job::{JobPage, Known};
use super::jobs::{self, JobsPage};
use super::overview::{OverviewPage, SPANS};
use super::region::Page;
use super::shell::Shell;
use super::submit::{Pattern, SubmitPage};
use crate::api::App;
use crate::api::reads::{self, ApiError, Caller, PayersBy, SamplesQuery, UsageOfQuery};
use crate::clock;
use crate::job::array_spec::JobRef;

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
    Overview(&'static str),
    /// Jobs that these parameters find.
    Jobs(Vec<(String, String)>),
    /// One job.
    Job(JobRef),
    /// A job to submit, as this one was.
    Submit(Option<JobRef>),
    /// The server itself.
    Admin,
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
                None => Ok(View::Jobs(pairs)),
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
            other => match other.strip_prefix("/jobs/").map(str::parse) {
                Some(Ok(of)) => Ok(View::Job(of)),
                _ => Err(ApiError::no_route(other)),
            },
        }
    }

    /// The page as it stands now.
    ///
    /// # Errors
    /// What the database says.
    pub async fn now(
        &self,
        app: &App,
        board: &Board,
        caller: &Caller,
    ) -> Result<Box<dyn Page>, ApiError> {
        Ok(match self {
            View::Overview(span) => {
                let all = board.overview(app, caller).await?;
                let since = SamplesQuery::since(&format!("-{span}"));
                let samples = reads::samples(app, &since).await?;
                let shell = self.shell(app, Some(caller), "");
                Box::new(OverviewPage::new(shell, &all, (&samples, span), clock::now()))
            }
            View::Jobs(asked) => {
                let list = listed(app, caller, asked).await?;
                let shell = self.shell(app, Some(caller), "Jobs");
                Box::new(JobsPage::new(shell, &list, asked, clock::now()))
            }
            View::Job(of) => {
                let known = known(app, caller, *of).await?;
                let title = format!("{} {}", known.job.shown_id(), known.job.name);
                let shell = self.shell(app, Some(caller), &title);
                Box::new(JobPage::new(shell, known, clock::now()))
            }
            View::Docs => Box::new(DocsPage::new(self.shell(app, Some(caller), "API"))),
            View::Admin => {
                let told = Told::read(app, board, caller).await?;
                let shell = self.shell(app, Some(caller), "Admin");
                Box::new(AdminPage::new(shell, &told, clock::now()))
            }
            View::Submit(from) => {
                let pattern = match from {
                    Some(of) => Some(Pattern::read(app, caller, *of).await?),
                    None => None,
                };
                let own = board.overview(app, caller).await?;
                let partitions = reads::partitions(app).await?;
                let accounts = reads::accounts(app, caller, PayersBy::Account).await?;
                let shell = self.shell(app, Some(caller), "Submit");
                Box::new(SubmitPage::new(
                    shell,
                    (pattern, caller),
                    &own.own,
                    (&partitions, &accounts),
                ))
            }
        })
    }

    fn shell(&self, app: &App, caller: Option<&Caller>, what: &str) -> Shell {
        Shell::new(app, caller, &self.address(), what)
    }

    fn address(&self) -> String {
        match self {
            View::Overview(span) if *span == SPANS[0] => "/".to_owned(),
            View::Overview(span) => format!("/?span={span}"),
            View::Jobs(asked) => jobs::address(asked),
            View::Job(of) => format!("/jobs/{of}"),
            View::Admin => ADMIN.to_owned(),
            View::Docs => DOCS.to_owned(),
            View::Submit(None) => SUBMIT.to_owned(),
            View::Submit(Some(of)) => format!("{SUBMIT}?from={of}"),
        }
    }
}

/// A page that could not be written.
pub fn undrawn(error: askama::Error) -> ApiError {
    ApiError::foreign(StatusCode::INTERNAL_SERVER_ERROR, format!("the page is not drawn: {error}"))
}

/// How far back the chart goes.
fn span(pairs: &[(String, String)]) -> Result<&'static str, ApiError> {
    let Some((key, asked)) = pairs.first() else { return Ok(SPANS[0]) };
    let known = SPANS.iter().find(|span| key == "span" && *span == asked).copied();
    let wanted = || ApiError::parameter(key, format!("is no span; there are {}", SPANS.join(", ")));
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

async fn listed(
    app: &App,
    caller: &Caller,
    asked: &[(String, String)],
) -> Result<crate::api::wire::job::JobList, ApiError> {
    let mut query = asked.to_vec();
    query.push(("limit".to_owned(), jobs::ROWS.to_owned()));
    let sort = asked.iter().find(|(key, _)| key == "sort").map(|(_, sort)| sort.as_str());
    // Arrays are one row each in the orders that know them so.
    if matches!(sort, None | Some("id" | "-id" | "position")) {
        query.push(("fold".to_owned(), "arrays".to_owned()));
    }
    reads::jobs(app, caller, query).await.map(|(list, _)| list)
}

async fn known(app: &App, caller: &Caller, of: JobRef) -> Result<Known, ApiError> {
    let job = reads::job(app, caller, of).await?;
    if job.redacted {
        return Ok(Known { job, usage: None, events: Vec::new(), script: None });
    }
    let usage = reads::job_usage(app, caller, of, &UsageOfQuery::default()).await?;
    let events = reads::events(app, caller, of, (EVENTS, None)).await?;
    let (script, is_bytes) = reads::script(app, caller, of).await?;
    let script = String::from_utf8(script).ok().filter(|_| !is_bytes);
    Ok(Known { job, usage: Some(usage), events, script })
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
    let view = View::parse(address)?;
    let html = match Caller::of(&request) {
        Ok(caller) => view.now(&app, &board, &caller).await?.document(),
        Err(_) => view.shell(&app, None, "").frame().render(),
    };
    Ok(HttpResponse::Ok().content_type(HTML).body(html.map_err(undrawn)?))
}
