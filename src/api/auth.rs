//! *Purpose*: what every request passes before its handler.
//!
//! *Owns*: request numbers, the token, the checks against foreign web pages, the media type.
//!
//! *Promises*: only `/health/*`, what pages are made of, and `/metrics` where the settings say so,
//! is open to all. With a token set, the rest is for whoever sends it; without one, or over the
//! socket, for whom the server serves; who is not known gets a page without data. What only
//! administrators may do is refused without theirs; what a foreign page could have caused, or read,
//! is refused; a panic of a handler, which owns no state, is a 500 of that request; every answer
//! carries `X-Request-ID`.
//!
//! *Not here*: TLS, roles.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes};
use actix_web::{Error, HttpMessage, HttpResponse};

use super::aside::{Turns, with_turns};
use super::by_token::TokenCheck;
use super::caller::{Caller, Connection};
use super::code::Code;
use super::crowd::Crowd;
use super::error::{ApiError, RequestId};
use super::intake::{Held, Intake};
use super::live::{InForce, Live};
use super::parameters::Parameters;
use super::refusals::Refusals;
use super::route_rights::{Needs, RouteRights};
use super::safe_headers::harden;
use super::served::Served;
use super::slurmrest::trouble as slurmrest;
use super::web_sessions::WebSessions;
use crate::clock;
use crate::config::{PublicHost, Secret};
use crate::kernel::access::{Action, Role, Via};
use crate::panics::{self, Harmless};
use crate::text::quote::shorten;

/// Longest request number that is echoed.
const REQUEST_ID_MAX: usize = 128;
/// Who sent the token, for events.
const TOKEN: &str = "token";
/// Who sent the administrators' token, for events.
const ADMIN_TOKEN: &str = "admin-token";
/// What Prometheus asks for, which has no user.
const METRICS: &str = "/metrics";
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Who a client of Slurm's API says he is.
const X_SLURM_USER_NAME: HeaderName = HeaderName::from_static("x-slurm-user-name");
/// His token.
const X_SLURM_USER_TOKEN: HeaderName = HeaderName::from_static("x-slurm-user-token");

/// What the guard knows.
pub struct Auth {
    /// The settings in force: tokens are among them.
    pub in_force: InForce,
    /// The host as it was given to `--listen`.
    pub listen_host: String,
    /// Further names under which it is known.
    pub public_hosts: Vec<PublicHost>,
    /// This machine's name.
    pub host: String,
    /// Who is served without a token.
    pub served: Served,
    /// Who looks at tokens of users, where all users are served.
    pub tokens: Option<TokenCheck>,
    /// Browsers that were let in by a code.
    pub web: Arc<WebSessions>,
    /// How much each may ask, likewise.
    pub crowd: Option<Arc<Crowd>>,
    /// Where refusals are noted.
    pub refusals: Refusals,
    /// Takes bodies in.
    pub intake: Intake,
    /// What may stand in a query.
    pub parameters: Parameters,
    /// What routes need.
    pub rights: RouteRights,
}

/// The guard, for `middleware::from_fn`.
///
/// # Errors
/// Those of the handler; refusals are answers.
pub async fn guard(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = request_id(&request);
    request.extensions_mut().insert(RequestId(id.clone()));
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let auth = request.app_data::<web::Data<Auth>>().cloned();
    let verdict = admit(&mut request).await;
    let note = |error: &ApiError, who: (Option<&Caller>, Option<&str>)| {
        if let Some(auth) = &auth {
            auth.refusals.note(error, who, (&format!("{method} {path}"), &id));
        }
    };
    let mut response = match verdict {
        Err(refused) => {
            let who = Caller::of(request.request()).ok();
            let remote = Connection::origin(&request).remote;
            note(&refused, (who.as_ref(), remote.as_deref()));
            let answer = told(request.path(), &refused, &id);
            request.into_response(answer)
        }
        Ok((_held, turns)) => match answering(turns, request, next).await {
            Ok(response) => {
                let response = response?.map_into_boxed_body();
                if let Some(error) = own_error(&response) {
                    let remote = Connection::origin_of(response.request()).remote;
                    let who = Caller::of(response.request()).ok();
                    note(error, (who.as_ref(), remote.as_deref()));
                }
                let response = answered(response, &id);
                if method == Method::HEAD { without_stream(response) } else { response }
            }
            Err(bug) => {
                log::error!("A bug ended {method} {path}: {bug} (request {id})");
                let mut answer = ApiError::bug().answer(&id);
                number(answer.headers_mut(), &id);
                harden(answer.headers_mut());
                return Err(InternalError::from_response(bug, answer).into());
            }
        },
    };
    let status = response.status();
    if status.is_server_error() {
        log::warn!("{method} {path} {status} (request {id})");
    } else {
        log::debug!("{method} {path} {status} (request {id})");
    }
    number(response.headers_mut(), &id);
    harden(response.headers_mut());
    Ok(response)
}

/// The handler's answer, in its asker's turns. Whatever of it panics, a call too, is one bug.
fn answering(
    turns: Turns,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Harmless<impl Future<Output = Result<ServiceResponse<impl MessageBody>, Error>>> {
    Harmless::new(async move { with_turns(turns, next.call(request)).await })
}

fn number(headers: &mut HeaderMap, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, value);
    }
}

/// The error that a handler answered with.
fn own_error(response: &ServiceResponse<BoxBody>) -> Option<&ApiError> {
    response.response().error().and_then(|error| error.as_error())
}

/// An error in the form of the API that was asked.
fn told(path: &str, error: &ApiError, id: &str) -> HttpResponse {
    slurmrest::answer_to(path, error).unwrap_or_else(|| error.answer(id))
}

/// The answer of a handler, its errors as problems.
fn answered(response: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    match own_error(&response) {
        Some(error) => {
            let answer = told(response.request().path(), error, id);
            response.into_response(answer)
        }
        None if response.response().body().size() == BodySize::Stream => {
            let id = id.to_owned();
            response.map_body(|_, body| HarmlessBody { body, id }.boxed())
        }
        None => foreign_error(response, id),
    }
}

/// A stream is made for nobody when only its head is asked for: one that does not end would keep
/// its connection from the next request.
fn without_stream(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    match response.response().body().size() {
        BodySize::Stream => response.map_body(|_, _| body::None::new().boxed()),
        _ => response,
    }
}

/// A body that is made while it is sent. A bug in that breaks off this one answer.
struct HarmlessBody {
    body: BoxBody,
    id: String,
}

impl MessageBody for HarmlessBody {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match panics::harmless(|| Pin::new(&mut self.body).poll_next(cx)) {
            Ok(polled) => polled,
            Err(bug) => {
                log::error!("A bug broke off an answer: {bug} (request {})", self.id);
                Poll::Ready(Some(Err(Box::new(bug))))
            }
        }
    }
}

/// Errors that actix itself made (an unreadable path) become problems too.
fn foreign_error(response: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    let Some(error) = response.response().error() else { return response };
    let answer = ApiError::foreign(response.status(), error.to_string()).answer(id);
    response.into_response(answer)
}

fn request_id(request: &ServiceRequest) -> String {
    let sent = request.headers().get(X_REQUEST_ID).and_then(|v| v.to_str().ok());
    match sent {
        Some(id) if !id.is_empty() && id.len() <= REQUEST_ID_MAX && is_plain(id) => id.to_owned(),
        _ => uuid::Uuid::new_v4().to_string(),
    }
}

/// It stands in the log and in the history, in columns.
fn is_plain(id: &str) -> bool {
    id.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

/// Checks a request and takes its body in; what comes back is held until it is answered.
async fn admit(request: &mut ServiceRequest) -> Result<(Held, Turns), ApiError> {
    let Some(auth) = request.app_data::<web::Data<Auth>>().cloned() else {
        return Err(ApiError::unavailable("the server is not ready"));
    };
    let needs = auth.rights.of_request(request);
    if needs == Needs::Nothing {
        return Ok(Default::default());
    }
    if request.path() == METRICS && auth.in_force.borrow().people.metrics_open() {
        auth.parameters.check(request)?;
        return Ok(Default::default());
    }
    let caller = match check(request, &auth).await {
        Err(unknown) if needs == Needs::Page && unknown.code == Code::Unauthorized => {
            return Ok(Default::default());
        }
        known => known?,
    };
    request.extensions_mut().insert(caller.clone());
    let action = if let Needs::To(action) = needs { action } else { Action::See };
    caller.may_at_all(action, "this")?;
    let crowd = auth.crowd.as_ref();
    crowd.map_or(Ok(()), |crowd| crowd.admits(&caller.who, request.method()))?;
    auth.parameters.check(request)?;
    let turns = crowd.and_then(|crowd| crowd.turns(&caller.who));
    let held = with_turns(turns.clone(), auth.intake.take(request)).await?;
    Ok((held, turns))
}

async fn check(request: &ServiceRequest, auth: &Auth) -> Result<Caller, ApiError> {
    let host = text(request, &header::HOST).unwrap_or_default();
    let live = Arc::clone(&auth.in_force.borrow());
    let of_browser = auth.by_session(request, &live).await?;
    let known = match (&auth.tokens, sent_token(request), auth.by_token(request)) {
        _ if of_browser.is_some() => of_browser,
        (Some(tokens), Some(sent), _) => Some(tokens.caller(sent, request, &live).await?),
        // Whoever reaches the socket is known without a token; a wrong one is refused there too.
        (_, None, Err(_)) if is_over_socket(request) => None,
        (.., by_token) => by_token?,
    };
    // A foreign page may lead a browser here under its own name, but it has no token.
    if known.is_none() && !auth.is_our_host(host) {
        let detail = format!("Host \"{host}\" is not this server; a web page may be behind it");
        return Err(ApiError::new(Code::ForeignPage, detail));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        check_mutation(request, auth, host)?;
    }
    let caller = match known {
        Some(known) => known,
        None => auth.served.caller(request, &live, role_without(&live.admin_token)).await?,
    };
    is_who_he_says(request, &caller)?;
    Ok(caller)
}

/// Clients of Slurm's API say who they are, too; where that is known it must be true.
fn is_who_he_says(request: &ServiceRequest, caller: &Caller) -> Result<(), ApiError> {
    let said = text(request, &X_SLURM_USER_NAME).filter(|said| !said.is_empty());
    let own = caller.who.uid.is_some().then_some(&*caller.who.name);
    match (said, own) {
        (Some(said), Some(own)) if slurmrest::is_ours(request.path()) && said != own => {
            let detail = format!("{X_SLURM_USER_NAME} says {}, and you are {own}", shorten(said));
            Err(ApiError::new(Code::Unauthorized, detail))
        }
        _ => Ok(()),
    }
}

fn is_over_socket(request: &ServiceRequest) -> bool {
    Connection::of(request).is_some_and(Connection::is_socket)
}

/// What could change something must not come of a foreign page.
fn check_mutation(request: &ServiceRequest, auth: &Auth, host: &str) -> Result<(), ApiError> {
    if let Some(origin) = text(request, &header::ORIGIN)
        && !auth.is_our_origin(origin, host)
    {
        let detail = format!("a page of \"{origin}\" may not change anything here");
        return Err(ApiError::new(Code::ForeignPage, detail));
    }
    let has_body = request.headers().contains_key(header::TRANSFER_ENCODING)
        || text(request, &header::CONTENT_LENGTH).is_some_and(|n| n != "0");
    let is_json = text(request, &header::CONTENT_TYPE)
        .and_then(|t| t.split(';').next())
        .is_some_and(|t| t.trim().eq_ignore_ascii_case("application/json"));
    if has_body && !is_json {
        let detail = "send the body as Content-Type: application/json";
        return Err(ApiError::new(Code::UnsupportedMediaType, detail));
    }
    Ok(())
}

fn text<'a>(request: &'a ServiceRequest, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name).and_then(|v| v.to_str().ok())
}

/// The token of a request; clients of Slurm's API have a header of their own for it.
fn sent_token(request: &ServiceRequest) -> Option<&str> {
    let of_slurm = || {
        let sent = text(request, &X_SLURM_USER_TOKEN).map(str::trim);
        sent.filter(|sent| !sent.is_empty() && slurmrest::is_ours(request.path()))
    };
    let Some(sent) = text(request, &header::AUTHORIZATION) else { return of_slurm() };
    bearer(sent)
}

/// What stands behind `Bearer` in `Authorization`.
pub(super) fn bearer(sent: &str) -> Option<&str> {
    let (scheme, sent) = sent.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| sent.trim())
}

/// The token of a server of one user by which its sender is called so.
pub(super) fn server_token(live: &Live, name: &str) -> Option<Secret> {
    match name {
        ADMIN_TOKEN => live.admin_token.clone(),
        TOKEN => live.token.clone(),
        _ => None,
    }
}

impl Auth {
    /// Who sends this request, if a browser that was let in by a code does.
    async fn by_session(
        &self,
        request: &ServiceRequest,
        live: &Live,
    ) -> Result<Option<Caller>, ApiError> {
        let now = clock::now();
        let session = sent_token(request).and_then(|sent| self.web.session(sent, now));
        let Some(session) = session else { return Ok(None) };
        session.caller((self.tokens.as_ref(), live), Connection::origin(request), now).await
    }

    /// Who sends this request, if a token in it says so.
    ///
    /// # Errors
    /// 401 where a token is needed.
    fn by_token(&self, request: &ServiceRequest) -> Result<Option<Caller>, ApiError> {
        let sent = sent_token(request);
        let live = self.in_force.borrow();
        let is = |token: &Option<Secret>| match (token, sent) {
            (Some(token), Some(sent)) => token.matches(sent),
            _ => false,
        };
        if is(&live.admin_token) {
            return Ok(Some(by_token(request, ADMIN_TOKEN, Role::Admin)));
        }
        if is(&live.token) {
            return Ok(Some(by_token(request, TOKEN, role_without(&live.admin_token))));
        }
        if live.token.is_none() {
            return Ok(None);
        }
        let detail = "send Authorization: Bearer TOKEN (the command line takes DOWNBEAT_TOKEN)";
        Err(ApiError::new(Code::Unauthorized, detail))
    }

    fn is_our_host(&self, host: &str) -> bool {
        let name = name_of(host);
        let any = self.listen_host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        // Listening everywhere there is a token, which no foreign page has.
        let own = [&self.listen_host, &self.host].into_iter().any(|n| name.eq_ignore_ascii_case(n));
        let public = self.public_hosts.iter().any(|public| public.is_host(host));
        is_loopback(name) || (own && !name.is_empty()) || any || public
    }

    /// A proxy may pass its own name on, or that of the server.
    fn is_our_origin(&self, origin: &str, host: &str) -> bool {
        let Some((_, origin)) = origin.split_once("://") else { return false };
        let public = self.public_hosts.iter().any(|public| public.is_origin(origin));
        origin.eq_ignore_ascii_case(host) || public
    }
}

/// Where there is no administrators' token everybody who is served is one.
fn role_without(admin_token: &Option<Secret>) -> Role {
    if admin_token.is_some() { Role::User } else { Role::Admin }
}

fn by_token(request: &ServiceRequest, name: &str, role: Role) -> Caller {
    Caller::of_one_user((name.into(), None), role, (Via::Token, Connection::origin(request)))
}

/// The name in `name:port`, brackets of IPv6 removed.
fn name_of(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::people::People;
    use crate::kernel::admission::Site;
    use crate::policy::name::Policy;

    #[test]
    #[allow(clippy::unwrap_used)]
    fn only_loopback_and_the_listen_name_are_ours() {
        let auth = Auth {
            in_force: tokio::sync::watch::channel(Arc::new(Live {
                site: Site::default(),
                policy: Policy::default(),
                token: None,
                admin_token: None,
                people: Arc::new(People::one()),
                configuration: BTreeMap::new(),
                notes: Vec::new(),
            }))
            .1,
            listen_host: "batch.example".to_owned(),
            public_hosts: vec![PublicHost::parse("jobs.example.org").unwrap()],
            host: "big".to_owned(),
            served: Served::own_user(),
            tokens: None,
            web: Arc::default(),
            crowd: None,
            refusals: Refusals::new(Arc::default()),
            intake: Intake::new(1),
            parameters: crate::api::parameters(),
            rights: crate::api::rights(&[]),
        };
        for host in ["localhost:8000", "127.0.0.1", "[::1]:8000", "batch.example:8000", "Big:1"] {
            assert!(auth.is_our_host(host), "{host}");
        }
        for host in ["evil.example", "evil.example:8000", "", "127.0.0.1.evil.example"] {
            assert!(!auth.is_our_host(host), "{host}");
        }
        assert!(auth.is_our_host("jobs.example.org") && !auth.is_our_host("jobs.example.org:1"));
        assert!(auth.is_our_origin("http://localhost:8000", "localhost:8000"));
        assert!(auth.is_our_origin("https://jobs.example.org", "127.0.0.1:8000"));
        assert!(!auth.is_our_origin("https://jobs.example.org:1", "127.0.0.1:8000"));
        assert!(!auth.is_our_origin("http://evil.example", "localhost:8000"));
        assert!(!auth.is_our_origin("null", "localhost:8000"));
    }
}
