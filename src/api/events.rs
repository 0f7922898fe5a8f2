//! *Purpose*: all transitions as server-sent events.
//!
//! *Owns*: `GET /events`.
//!
//! *Promises*: the id of an event is its durable sequence number; history and live are one
//! path, so a client that comes back with `Last-Event-ID` misses nothing and gets nothing
//! twice; a slow client costs one page of memory.
//!
//! *Not here*: events of one job (`api::jobs`).

use std::collections::VecDeque;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, Responder, web};
use actix_web_lab::sse;
use futures_util::stream;
use tokio::sync::watch;

use super::app::App;
use super::error::ApiError;
use super::places::Place;
use super::render;
use crate::job::ids::EventId;
use crate::store::read;
use crate::store::record::EventRecord;

/// Events of one read.
const PAGE: i64 = 500;
/// A comment line so often, so that proxies keep a silent stream open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

struct Reader {
    app: web::Data<App>,
    last_event: watch::Receiver<EventId>,
    sent: EventId,
    page: VecDeque<EventRecord>,
    /// The last answer was that what comes next cannot be read.
    failed: bool,
    _place: Place,
}

impl Reader {
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
            let read = self.app.read_raw(move |conn| read::events_after(conn, sent, PAGE)).await;
            self.page = match read {
                Ok(page) => page.into(),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            };
            if self.page.is_empty() {
                // Ids that a refused submission burnt: there is nothing behind them.
                self.sent = *self.last_event.borrow();
            }
        }
    }
}

/// `GET /events`. Starts behind `Last-Event-ID` (0 for all that is remembered), else now.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    description = "Each transition is an event `transition` with its number as id. When the next \
        one cannot be read, an event `problem` says why in a sentence and ends the stream.",
    params(("Last-Event-ID" = Option<String>, Header,
        description = "Go on behind this event; 0 from the beginning")),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub async fn stream(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let sent = match request.headers().get("Last-Event-ID") {
        None => *app.system.last_event.borrow(),
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.parse().ok());
            let id = id.ok_or_else(|| ApiError::parameter("Last-Event-ID", "is not a number"))?;
            let last = *app.system.last_event.borrow();
            if id > last.0 {
                let message = format!("is {id}, and the last event is {last}");
                return Err(ApiError::parameter("Last-Event-ID", message));
            }
            EventId(id)
        }
    };
    let place = app.streams.take()?;
    let last_event = app.system.last_event.clone();
    let reader =
        Reader { app, last_event, sent, page: VecDeque::new(), failed: false, _place: place };
    let events = stream::unfold(reader, |mut reader| async move {
        let data = match reader.next().await? {
            Ok(event) => {
                let id = event.id.to_string();
                let event = serde_json::to_string(&render::event(event)).ok()?;
                sse::Data::new(event).id(id).event("transition")
            }
            // Without it the end of the stream would look like that of a server that stops.
            Err(error) => sse::Data::new(error.detail).event("problem"),
        };
        Some((Ok::<_, actix_web::Error>(sse::Event::Data(data)), reader))
    });
    let sse = sse::Sse::from_stream(events).with_keep_alive(KEEP_ALIVE);
    Ok(sse.respond_to(&request).map_into_boxed_body())
}
