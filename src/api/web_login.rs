//! *Purpose*: the way from a terminal to a browser.
//!
//! *Owns*: `POST /web/codes`, `POST /web/sessions`, `DELETE /web/sessions`.
//!
//! *Promises*: a code comes as a token does, in a header, which stands in no address and in no
//! log; that one was made, and that it was used, stands in the history before it is answered.
//!
//! *Not here*: what is kept of them (`api::web_sessions`), `downbeat web` (`cli::web`).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::app::{App, durable};
use super::auth::{self, Auth};
use super::caller::{Caller, Connection};
use super::code::Code;
use super::error::ApiError;
use super::live::Live;
use super::web_sessions::{By, Maker, Open, is_session};
use super::wire::web::{WebCode, WebSession};
use crate::actors::messages::NoteSignIn;
use crate::clock::{self, rfc3339};
use crate::kernel::access::{Action, Permitted, Via};

/// `POST /web/codes`.
#[utoipa::path(post, path = "/api/v1/web/codes", tag = "web",
    description = "Makes a code that opens the pages in a browser with your rights: it is good \
        once, and for a minute. With a session that came of one none is made.",
    responses((status = 201, body = WebCode),
        (status = 403, body = super::wire::problem::Problem)))]
pub async fn make(
    app: web::Data<App>,
    auth: web::Data<Auth>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let by = caller.may_at_all(Action::See, "opening the pages")?;
    let maker = maker(&app.live(), &caller)?;
    let (code, open) = auth.web.new_code(maker, clock::now()).ok_or_else(too_many)?;
    note(&app, "make web code", open.number.to_string(), by).await?;
    let (expires_at, address) = (rfc3339(open.expires), auth.web.address.clone());
    Ok(HttpResponse::Created().json(WebCode { code, expires_at, address }))
}

/// `POST /web/sessions`.
#[utoipa::path(post, path = "/api/v1/web/sessions", tag = "web",
    description = "Exchanges a code, sent as `Authorization: Bearer CODE`, for a session, which is \
        sent likewise: it has the rights of whoever had the code made, lasts 12 hours, and ends \
        with the server and with the token that the code was made with.",
    responses((status = 201, body = WebSession),
        (status = 401, body = super::wire::problem::Problem)))]
pub async fn exchange(
    app: web::Data<App>,
    auth: web::Data<Auth>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let closed = || {
        let detail = "this code opens nothing: it was used, or is older than a minute, or nobody \
                      was given it; `downbeat web` makes another";
        ApiError::new(Code::Unauthorized, detail)
    };
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|sent| sent.to_str().ok());
    let sent = sent.and_then(auth::bearer).ok_or_else(closed)?;
    let now = clock::now();
    let code = auth.web.use_code(sent, now).ok_or_else(closed)?;
    let Open { number: of_code, maker, .. } = code;
    let (session, open) = auth.web.new_session(maker, now).ok_or_else(too_many)?;
    let (live, origin) = (app.live(), Connection::origin_of(&request));
    let caller = open.caller((auth.tokens.as_ref(), &live), origin, now).await?;
    let by = caller.ok_or_else(closed)?.may_at_all(Action::See, "opening the pages")?;
    note(&app, "open web session", format!("{} by code {of_code}", open.number), by).await?;
    let expires_at = rfc3339(open.expires);
    Ok(HttpResponse::Created().json(WebSession { token: session, expires_at }))
}

/// `DELETE /web/sessions`.
#[utoipa::path(delete, path = "/api/v1/web/sessions", tag = "web",
    description = "Ends the session that this request comes with; of any other nothing.",
    responses((status = 204)))]
pub async fn end(auth: web::Data<Auth>, caller: Caller) -> HttpResponse {
    if let Some(number) =
        caller.who.origin.token.as_deref().filter(|_| is_session(&caller.who.origin))
    {
        auth.web.end(number);
    }
    HttpResponse::NoContent().finish()
}

/// Who a session is that comes of this request.
fn maker(live: &Live, caller: &Caller) -> Result<Maker, ApiError> {
    let who = &caller.who;
    if is_session(&who.origin) {
        let detail = "a browser that was let in by a code lets no other in; run `downbeat web`";
        return Err(ApiError::new(Code::NotPermitted, detail));
    }
    let by = match (who.via, &who.origin.token, auth::server_token(live, &who.name)) {
        (Via::Socket | Via::Tcp, ..) => By::Connection,
        (Via::Token, Some(id), _) => By::OwnToken(id.clone()),
        (Via::Token, None, Some(token)) => By::ServerToken(token),
        (Via::Token, None, None) => {
            return Err(ApiError::unavailable("the server's token is another by now; ask again"));
        }
    };
    Ok(Maker { uid: who.uid, name: who.name.clone(), role: who.role, by })
}

async fn note(
    app: &App,
    verb: &'static str,
    detail: String,
    by: Permitted,
) -> Result<(), ApiError> {
    let noted = durable(app.system.sign_in.send(NoteSignIn { verb, detail, by })).await?;
    noted.map_err(|_| ApiError::unavailable("the server is stopping"))
}

fn too_many() -> ApiError {
    ApiError::unavailable("too many browsers are let in already; ask again later")
}
