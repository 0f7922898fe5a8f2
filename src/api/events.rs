//! *Purpose*: all transitions as server-sent events.
//!
//! *Owns*: `GET /events`.
//!
//! *Promises*: the id of an event is its durable sequence number; history and live are one
//! path, so a client that comes back with `Last-Event-ID` misses nothing and gets nothing
//! twice; a slow client costs one page of memory. One look is bounded, however few events a filter
//! leaves.
//!
//! *Not here*: events of one job (`api::jobs`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, Responder, web};
use actix_web_lab::sse;
use futures_util::stream;
use tokio::sync::watch;

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::job_words::{label_of, states_of};
use super::jobs::Pairs;
use super::let_in::LetIn;
use super::places::Place;
use super::render;
use crate::job::ids::{EventId, JobId};
use crate::kernel::access::Scope;
use crate::store::events::EventFilter;
use crate::store::reader::Reader;
use crate::store::record::EventRecord;

/// Events of one look.
const PAGE: i64 = 500;
/// Jobs, and labels, that one stream can name.
const NAMED_MAX: usize = 100;
/// The header by which a client comes back to a stream.
pub(super) const LAST_EVENT_ID: &str = "Last-Event-ID";
/// A comment line so often, so that proxies keep a silent stream open.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

struct Follower {
    app: web::Data<App>,
    let_in: LetIn,
    last_event: watch::Receiver<EventId>,
    sent: EventId,
    filter: Arc<EventFilter>,
    scope: Scope,
    page: VecDeque<EventRecord>,
    /// The last answer was that what comes next cannot be read.
    failed: bool,
    _place: Place,
}

impl Follower {
    async fn next(&mut self) -> Option<Result<EventRecord, ApiError>> {
        loop {
            if let Some(event) = self.page.pop_front() {
                self.sent = event.id;
                return Some(Ok(event));
            }
            if self.failed {
                return None;
            }
            let sent = self.sent;
            self.last_event.wait_for(|last| *last > sent).await.ok()?;
            if let Err(error) = self.let_in.check(&self.app).await {
                self.failed = true;
                return Some(Err(error));
            }
            // Ids that a refused submission burnt: where there is nothing, nothing is behind them.
            let reached = *self.last_event.borrow();
            let (filter, scope) = (Arc::clone(&self.filter), self.scope.clone());
            let read = move |db: &mut dyn Reader| db.events(sent, PAGE, &filter, &scope);
            match self.app.read_raw(read).await {
                Ok(page) => {
                    self.page = page.events.into();
                    if self.page.is_empty() {
                        self.sent = page.looked_to.unwrap_or(reached);
                    }
                }
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// The event behind which a client goes on that comes back.
///
/// # Errors
/// 400 for what is no id.
pub(super) fn last_event_id(request: &HttpRequest) -> Result<Option<u64>, ApiError> {
    let Some(id) = request.headers().get(LAST_EVENT_ID) else { return Ok(None) };
    let id = id.to_str().ok().and_then(|id| id.parse().ok());
    let unknown = || ApiError::parameter(LAST_EVENT_ID, "is not an id that this server gave");
    id.map(Some).ok_or_else(unknown)
}

fn filter(pairs: Vec<(String, String)>) -> Result<EventFilter, ApiError> {
    let mut filter = EventFilter::default();
    for (key, value) in pairs {
        let bad = |message: String| ApiError::parameter(&key, message);
        match key.as_str() {
            "job" => {
                let id = value.parse().map_err(|_| bad(format!("\"{value}\" is no job's id")))?;
                filter.jobs.push(JobId(id));
            }
            "state" => filter.states.extend(states_of(&value).map_err(bad)?),
            "label" => filter.labels.push(label_of(&value).map_err(bad)?),
            _ => return Err(bad("is not a parameter of this route".to_owned())),
        }
        if filter.jobs.len() > NAMED_MAX || filter.labels.len() > NAMED_MAX {
            return Err(bad(format!("is there more than {NAMED_MAX} times")));
        }
    }
    Ok(filter)
}

/// `GET /events`. Starts behind `Last-Event-ID` (0 for all that is remembered), else now.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    description = "Each transition is an event `transition` with its number as id; its data is an \
        `Event` as JSON. When the next one cannot be read, an event `problem` says why in a \
        sentence and ends the stream. Filters leave out what is not asked for; several of one kind \
        mean any of them, but for labels, of which all are meant.",
    params(("Last-Event-ID" = Option<String>, Header,
        description = "Go on behind this event; 0 from the beginning"),
        ("job" = Option<Vec<i64>>, Query,
            description = "Of this job; of an array, of its tasks too. Repeatable"),
        ("state" = Option<Vec<String>>, Query,
            description = "Into this state. Repeatable; also comma-separated"),
        ("label" = Option<Vec<String>>, Query,
            description = "Of jobs with this label, `key:value`. Repeatable")),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = 400, body = super::wire::problem::Problem)))]
pub async fn stream(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    query: Pairs,
) -> Result<HttpResponse, ApiError> {
    let filter = Arc::new(filter(query.into_inner())?);
    let last = *app.system.last_event.borrow();
    let sent = match last_event_id(&request)? {
        None => last,
        Some(id) => match i64::try_from(id).map(EventId) {
            Ok(id) if id <= last => id,
            _ => {
                let message = format!("is {id}, and the last event is {last}");
                return Err(ApiError::parameter(LAST_EVENT_ID, message));
            }
        },
    };
    let place = app.streams.take(&caller)?;
    let last_event = app.system.last_event.clone();
    let page = VecDeque::new();
    let scope = caller.who.scope_of_details();
    let (failed, let_in, _place) = (false, LetIn::now(&app, &caller), place);
    let follower = Follower { app, let_in, last_event, sent, filter, scope, page, failed, _place };
    let events = stream::unfold(follower, |mut follower| async move {
        let data = match follower.next().await? {
            Ok(event) => {
                let id = event.id.to_string();
                let event = serde_json::to_string(&render::event(event)).ok()?;
                sse::Data::new(event).id(id).event("transition")
            }
            // Without it the end of the stream would look like that of a server that stops.
            Err(error) => sse::Data::new(error.detail).event("problem"),
        };
        Some((Ok::<_, actix_web::Error>(sse::Event::Data(data)), follower))
    });
    let sse = sse::Sse::from_stream(events).with_keep_alive(KEEP_ALIVE);
    Ok(sse.respond_to(&request).map_into_boxed_body())
}
