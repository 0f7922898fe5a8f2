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

use super::aside::aside;
use super::caller::Caller;
use super::code::Code;
use super::coding::{self, Coding};
use super::error::ApiError;
use super::per_user::{One, PerUser};
use super::places::{Place, Room};
use crate::clock;
use crate::job::ids::Uid;

/// Largest body, bytes: a batch of scripts.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of bodies that are under way or being read: a few of the largest.
const BYTES_IN_ALL: usize = 4 * BODY_BYTES_MAX;
/// Of them one user of a server of all users may have so many: half, so that others can send the
/// largest body still.
const BYTES_OF_A_USER: usize = BYTES_IN_ALL / 2;
/// Longest wait for the next bytes of a body.
const NEXT_WITHIN: Duration = Duration::from_secs(10);
/// Longest wait for a whole body: the largest one over a slow line.
const WHOLE_WITHIN: Duration = Duration::from_secs(120);

/// The bounds of all bodies.
#[derive(Clone)]
pub struct Intake {
    bytes: Arc<Semaphore>,
    of_users: Arc<PerUser<Uid>>,
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
    of_users: Arc<PerUser<Uid>>,
    user: Option<Uid>,
    own: Option<One<Uid>>,
}

impl Intake {
    /// Takes in so many bodies at a time.
    #[must_use]
    pub fn new(bodies: usize) -> Intake {
        let bytes = Arc::new(Semaphore::new(BYTES_IN_ALL));
        let of_users = Arc::new(PerUser::new(BYTES_OF_A_USER));
        Intake {
            bytes,
            of_users,
            room: Room::new("requests whose bodies are on their way", bodies),
        }
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
        let caller = Caller::of(request.request())?;
        let place: Place = self.room.take(&caller)?;
        let (sent, held) = self.receive(payload, caller.limited()).await?;
        drop(place);
        let (body, held) = match coding {
            Coding::Plain => (sent, held),
            Coding::Gzip => {
                let mut share = self.share(caller.limited());
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
    async fn receive(
        &self,
        mut payload: Payload,
        user: Option<Uid>,
    ) -> Result<(Bytes, Share), ApiError> {
        let (mut whole, mut share) = (BytesMut::new(), self.share(user));
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

    fn share(&self, user: Option<Uid>) -> Share {
        let (all, of_users) = (Arc::clone(&self.bytes), Arc::clone(&self.of_users));
        Share { all, held: None, of_users, user, own: None }
    }
}

impl Share {
    /// Takes room for so many more bytes.
    fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        if bytes == 0 {
            return Ok(());
        }
        if let Some(user) = self.user {
            let (mut own, more) = match self.own.take() {
                Some(own) => (Some(own), bytes),
                None => (self.of_users.take(user), bytes - 1),
            };
            let may = own.as_mut().is_some_and(|own| own.grow(more));
            self.own = own;
            if !may {
                let detail =
                    format!("bodies of yours of {BYTES_OF_A_USER} bytes are on their way already");
                return Err(ApiError::unavailable(detail));
            }
        }
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
