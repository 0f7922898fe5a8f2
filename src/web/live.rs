//! *Purpose*: what keeps an open page right.
//!
//! *Owns*: `GET /live`.
//!
//! *Promises*: a page is told how its parts stand, not what happened to them: whoever comes back
//! gets all of them and is right. At most once a second, only parts that changed; who reads slowly
//! gets the newest and never what is over. Where nothing is committed a page is drawn anew every
//! 5 s, for the loads of cores. Before each round it is looked whether its reader would be let in
//! as the same by now; if not, the stream ends.
//!
//! *Not here*: what stands in a region (each page), what they share (`web::board`).

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, Responder, web};
use actix_web_lab::sse;
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::watch;

use super::board::Board;
use super::page::{View, undrawn};
use super::region::Region;
use crate::api::App;
use crate::api::reads::{ApiError, Caller, LetIn, Place};
use crate::clock;
use crate::kernel::views::snapshot::Snapshot;

/// Between two rounds: faster than anybody reads.
const ROUND: Duration = Duration::from_secs(1);
/// So often a page is drawn anew though nothing was committed: how busy cores are has changed.
const LOADS: Duration = Duration::from_secs(5);
/// A comment line so often, so that proxies keep a silent stream open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The event whose data is an element.
const REGION: &str = "region";
/// The event that says why nothing more comes.
const PROBLEM: &str = "problem";

/// Which page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveQuery {
    /// Its address, path and query.
    view: String,
    /// Whether it is a frame that holds nothing yet.
    #[serde(default)]
    frame: bool,
    /// The jobs that a list shows, their numbers with commas between: they stay where they are.
    #[serde(default)]
    shown: String,
}

struct Viewer {
    app: web::Data<App>,
    board: Arc<Board>,
    caller: Caller,
    let_in: LetIn,
    view: View,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    /// What the page has, by hash.
    has: HashMap<&'static str, u64>,
    to_send: VecDeque<Region>,
    whole: bool,
    last: Option<Instant>,
    failed: bool,
    _place: Place,
}

impl Viewer {
    async fn next(&mut self) -> Option<Result<Region, ApiError>> {
        loop {
            if let Some(region) = self.to_send.pop_front() {
                return Some(Ok(region));
            }
            if self.failed {
                return None;
            }
            self.wait().await?;
            self.last = Some(clock::monotonic());
            match self.look().await {
                Ok(to_send) => self.to_send = to_send,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Until there may be something new; `None` when the server stops.
    async fn wait(&mut self) -> Option<()> {
        let is_done = self.last.is_some() || !self.whole;
        if !self.view.is_live() && is_done {
            while self.snapshot.changed().await.is_ok() {}
            return None;
        }
        let Some(last) = self.last else { return Some(()) };
        let next = ROUND.saturating_sub(last.elapsed());
        actix_rt::time::sleep(next).await;
        match actix_rt::time::timeout(LOADS.saturating_sub(ROUND), self.snapshot.changed()).await {
            Ok(Err(_)) => None,
            Ok(Ok(())) | Err(_) => Some(()),
        }
    }

    /// What the page has not got yet; a frame gets all of it, in which its parts are.
    async fn look(&mut self) -> Result<VecDeque<Region>, ApiError> {
        self.let_in.check(&self.app).await?;
        let page = self.view.now(&self.app, &self.board, &self.caller, true).await?;
        let changed = self.changed(page.regions().map_err(undrawn)?);
        if !std::mem::take(&mut self.whole) {
            return Ok(changed);
        }
        Ok([page.whole().map_err(undrawn)?].into())
    }

    fn changed(&mut self, regions: Vec<Region>) -> VecDeque<Region> {
        let mut changed = VecDeque::new();
        for region in regions {
            let mut hasher = DefaultHasher::new();
            region.html.hash(&mut hasher);
            let hash = hasher.finish();
            if self.has.insert(region.id, hash) != Some(hash) {
                changed.push_back(region);
            }
        }
        changed
    }
}

/// `GET /live`.
///
/// # Errors
/// 404 for what is no page, and what its first drawing says; 503 when too many streams are open.
pub async fn live(
    app: web::Data<App>,
    board: web::Data<Board>,
    request: HttpRequest,
    caller: Caller,
    query: web::Query<LiveQuery>,
) -> Result<HttpResponse, ApiError> {
    let view = View::parse(&query.view)?.showing(&query.shown)?;
    let place = app.streams.take(&caller)?;
    let mut viewer = Viewer {
        snapshot: app.system.snapshot.clone(),
        board: board.into_inner(),
        let_in: LetIn::now(&app, &caller),
        app,
        caller,
        view,
        has: HashMap::new(),
        to_send: VecDeque::new(),
        whole: query.frame,
        last: None,
        failed: false,
        _place: place,
    };
    // What cannot be shown at all is an error, and no stream.
    viewer.to_send = viewer.look().await?;
    viewer.last = Some(clock::monotonic());
    let regions = stream::unfold(viewer, |mut viewer| async move {
        let data = match viewer.next().await? {
            Ok(region) => sse::Data::new(region.html).event(REGION),
            Err(error) => sse::Data::new(error.detail).event(PROBLEM),
        };
        Some((Ok::<_, actix_web::Error>(sse::Event::Data(data)), viewer))
    });
    let sse = sse::Sse::from_stream(regions).with_keep_alive(KEEP_ALIVE);
    Ok(sse.respond_to(&request).map_into_boxed_body())
}
