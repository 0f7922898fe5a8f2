//! *Purpose*: takes the bodies of requests in.
//!
//! *Owns*: [`Intake`], the bounds of bodies in time and in memory; [`Body`], one that is complete.
//!
//! *Promises*: a body that does not come ends its request; all bodies that are under way together
//! take bounded memory, and requests whose bodies are under way take a part of the connections. The
//! bounds hold for what a packed body holds too.
//!
//! *Not here*: what a body means (`api::wire`), how one is unpacked (`api::coding`).

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::app::aside;
use super::caller::Caller;
use super::code::Code;
use super::coding::{self, Coding};
use super::error::ApiError;
use super::places::{Place, Room};
use crate::clock;

/// Largest body, bytes: a batch of scripts.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of bodies that are under way or being read: a few of the largest.
const BYTES_IN_ALL: usize = 4 * BODY_BYTES_MAX;
/// Longest wait for the next bytes of a body.
const NEXT_WITHIN: Duration = Duration::from_secs(10);
/// Longest wait for a whole body: the largest one over a slow line.
const WHOLE_WITHIN: Duration = Duration::from_secs(120);

/// The bounds of all bodies.
#[derive(Clone)]
pub struct Intake {
    bytes: Arc<Semaphore>,
    room: Room,
}

/// A body that is complete; its bytes count until the request is answered.
#[derive(Clone, Default)]
pub struct Body(pub Bytes);

/// What a body under way holds.
#[derive(Default)]
pub struct Held(#[allow(dead_code, reason = "held, never looked at")] Option<Share>);

/// What one body has of the bytes of all.
struct Share {
    all: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Intake {
    /// Takes in so many bodies at a time.
    #[must_use]
    pub fn new(bodies: usize) -> Intake {
        let bytes = Arc::new(Semaphore::new(BYTES_IN_ALL));
        Intake { bytes, room: Room::new("requests whose bodies are on their way", bodies) }
    }

    /// Reads the body of a request and leaves it for the handler; what comes back is to be held
    /// until the request is answered.
    ///
    /// # Errors
    /// 408 when it does not come, 413 when it is too large, 415 when it is coded in a way that
    /// nobody here reads, 400 when it is not so coded, 503 when there is no room for it.
    pub async fn take(&self, request: &mut ServiceRequest) -> Result<Held, ApiError> {
        let payload = match request.take_payload() {
            Payload::None => return Ok(Held(None)),
            payload => payload,
        };
        let coding = Coding::of(request.headers())?;
        let announced = announced(request);
        if announced.is_some_and(|bytes| bytes > BODY_BYTES_MAX) {
            return Err(too_large());
        }
        let place: Place = self.room.take(&Caller::of(request.request())?)?;
        let (sent, held) = self.receive(payload).await?;
        drop(place);
        let (body, held) = match coding {
            Coding::Plain => (sent, held),
            Coding::Gzip => {
                let mut share = self.share();
                let unpacking = aside(move || {
                    let grow = |bytes| share.grow(bytes);
                    let body = coding::unpack(&sent, BODY_BYTES_MAX, grow, too_large)?;
                    drop(held);
                    Ok::<_, ApiError>((body, share))
                });
                unpacking.await??
            }
        };
        request.extensions_mut().insert(Body(body));
        Ok(Held(Some(held)))
    }

    /// All bytes of a body as they were sent.
    async fn receive(&self, mut payload: Payload) -> Result<(Bytes, Share), ApiError> {
        let (mut whole, mut share) = (BytesMut::new(), self.share());
        let last = Instant::from_std(clock::monotonic() + WHOLE_WITHIN);
        loop {
            let next = timeout(NEXT_WITHIN, timeout_at(last, payload.next())).await;
            let chunk = match next {
                Ok(Ok(None)) => return Ok((whole.freeze(), share)),
                Ok(Ok(Some(Ok(chunk)))) => chunk,
                Ok(Ok(Some(Err(error)))) => {
                    return Err(ApiError::new(Code::BadRequest, error.to_string()));
                }
                Ok(Err(_)) | Err(_) => return Err(does_not_come()),
            };
            if whole.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(too_large());
            }
            share.grow(chunk.len())?;
            whole.extend_from_slice(&chunk);
        }
    }

    fn share(&self) -> Share {
        Share { all: Arc::clone(&self.bytes), held: None }
    }
}

impl Share {
    /// Takes room for so many more bytes.
    fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        let permit = u32::try_from(bytes)
            .ok()
            .and_then(|bytes| Arc::clone(&self.all).try_acquire_many_owned(bytes).ok());
        let permit: OwnedSemaphorePermit = permit.ok_or_else(|| {
            let detail = format!("bodies of {BYTES_IN_ALL} bytes are on their way already");
            ApiError::unavailable(detail)
        })?;
        match &mut self.held {
            None => self.held = Some(permit),
            Some(held) => OwnedSemaphorePermit::merge(held, permit),
        }
        Ok(())
    }
}

fn announced(request: &ServiceRequest) -> Option<usize> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large() -> ApiError {
    let detail = format!("the body is larger than {BODY_BYTES_MAX} bytes");
    ApiError::new(Code::BodyTooLarge, detail)
}

fn does_not_come() -> ApiError {
    let (next, whole) = (NEXT_WITHIN.as_secs(), WHOLE_WITHIN.as_secs());
    let detail = format!(
        "the body did not come: the next bytes are waited for {next} s, all of them {whole} s"
    );
    ApiError::new(Code::BodyTimeout, detail)
}

impl FromRequest for Body {
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Body, Self::Error>>;

    /// Of a request without a body, an empty one.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(request.extensions().get::<Body>().cloned().unwrap_or_default()))
    }
}
