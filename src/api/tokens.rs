//! *Purpose*: tokens of users.
//!
//! *Owns*: `/tokens`: list, make, revoke.
//!
//! *Promises*: a token is never more than its user, and its text is shown once. With a token no
//! token is made, so that one that was stolen ends when it is revoked or expires.
//!
//! *Not here*: whose a request is that comes with one (`api::by_token`).

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::{App, durable};
use super::caller::Caller;
use super::code::Code;
use super::error::ApiError;
use super::intake::Body;
use super::page;
use super::served::Served;
use super::wire::token::{self, NewToken, TokenAsked, TokenInfo};
use crate::actors::messages::{MakeToken, RevokeToken};
use crate::clock::{self, rfc3339};
use crate::job::faults::FieldError;
use crate::kernel::access::{Action, Role, Via};
use crate::kernel::token::{Minted, Token, Wanted};
use crate::store::filter::PAGE_MAX;

/// Tokens of one user: one for each machine and program of a person, and then some.
const TOKENS_OF_A_USER_MAX: i64 = 100;

/// Query of `tokens`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct TokenQuery {
    /// Those of all users, for administrators.
    all: Option<bool>,
    /// 1 to 1000, the default. Where there is more, a header `Link` with `rel="next"` leads there.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    /// Goes on behind a token, as `Link` says it.
    cursor: Option<String>,
}

/// `GET /tokens`.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", params(TokenQuery),
    description = "Your tokens. A server of one user has none but that of its settings.",
    responses((status = 200, body = [TokenInfo]), (status = 403,
        body = super::wire::problem::Problem)))]
pub async fn list(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    query: web::Query<TokenQuery>,
) -> Result<HttpResponse, ApiError> {
    let TokenQuery { all, limit, cursor } = query.into_inner();
    let limit = page::limit(limit, PAGE_MAX)?;
    let of = match all {
        Some(true) => {
            caller.may_at_all(Action::OthersTokens, "listing all tokens")?;
            None
        }
        // Nobody's number: what came with the token of a server of one user.
        _ => match caller.who.uid {
            Some(uid) => Some(uid),
            None => return Ok(page::answer::<TokenInfo>(&request, &[], None)),
        },
    };
    let found = app.read_raw(move |db| db.tokens(of, (cursor.as_deref(), limit))).await?;
    let next = found.last().filter(|_| found.len() as i64 == limit).map(|token| token.id.clone());
    let shown: Vec<TokenInfo> = found.into_iter().map(shown).collect();
    Ok(page::answer(&request, &shown, next))
}

/// `POST /tokens`.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens",
    description = "Makes a token: whoever sends it is its user, over TCP too. Its text is in this \
        answer alone. With a token none is made: ask over the server's socket.",
    request_body = token::TokenBody,
    responses((status = 201, body = NewToken),
        (status = 403, body = super::wire::problem::Problem),
        (status = 422, body = super::wire::problem::Problem)))]
pub async fn make(
    app: web::Data<App>,
    caller: Caller,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    let wanted = wanted(&app, &caller, token::parse(&body)?).await?;
    let of = wanted.user.0;
    let action = if caller.who.uid == Some(of) { Action::OwnTokens } else { Action::OthersTokens };
    let by = caller.may_at_all(action, "making tokens")?;
    let random = || uuid::Uuid::new_v4().simple().to_string();
    let minted = Minted::of(&[random(), random(), random()].concat(), wanted, clock::now());
    if app.read_raw(move |db| db.token_count(of)).await? >= TOKENS_OF_A_USER_MAX {
        let message = format!(
            "{} has {TOKENS_OF_A_USER_MAX} tokens, as many as one may have; revoke some first",
            minted.token.user
        );
        return Err(ApiError::fields(&FieldError::new("user", message).into()));
    }
    let made = MakeToken { token: minted.token.clone(), by };
    durable(app.system.make_token.send(made)).await?.map_err(stopping)?;
    let (token, info) = (minted.text, shown(minted.token));
    Ok(HttpResponse::Created().json(NewToken { token, info }))
}

/// Whose token is to be made, and what it lets him be.
async fn wanted(app: &App, caller: &Caller, asked: TokenAsked) -> Result<Wanted, ApiError> {
    let refused = |detail: String| ApiError::new(Code::NotPermitted, detail);
    let (Served::System(users), Some(me)) = (&app.served, &caller.person) else {
        return Err(refused(
            "a server of one user has no tokens of users; its own token is set by DOWNBEAT_TOKEN \
             or --token-file"
                .to_owned(),
        ));
    };
    if caller.who.via == Via::Token {
        let socket = app.live().people.socket.display().to_string();
        return Err(refused(format!(
            "with a token no token is made; ask at unix:{socket}, on the server's machine"
        )));
    }
    let field = |name, message: String| ApiError::fields(&FieldError::new(name, message).into());
    let person = match asked.user.filter(|user| *user != me.name) {
        None => std::sync::Arc::clone(me),
        Some(user) => {
            caller.may_at_all(Action::OthersTokens, "making tokens of others")?;
            let found = users.by_name(&user).await;
            let found = found.map_err(|error| ApiError::unavailable(error.to_string()))?;
            found.ok_or_else(|| field("user", format!("\"{user}\" is no user of this system")))?
        }
    };
    let is = app.live().people.role(&person);
    if let Some(role) = asked.role.filter(|role| *role > is) {
        let (role, is): (&str, &str) = (role.into(), is.into());
        return Err(refused(format!("role: {} is no {role} here, but {is}", person.name)));
    }
    let user = (person.uid, person.name.clone());
    let role = asked.role.unwrap_or(is.min(Role::User));
    Ok(Wanted { user, name: asked.name, role, for_s: asked.for_s })
}

/// `DELETE /tokens/{id}`.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens",
    description = "Revokes a token: what comes with it is refused from the answer on.",
    params(("id" = String, Path)),
    responses((status = 200, body = TokenInfo),
        (status = 403, body = super::wire::problem::Problem),
        (status = 404, body = super::wire::problem::Problem)))]
pub async fn revoke(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = id.into_inner();
    let wanted = id.clone();
    let found = app.read_raw(move |db| db.token(&wanted)).await?;
    // Another's token and one that is not there are answered alike.
    let others = || caller.may_at_all(Action::OthersTokens, "revoking tokens of others");
    let own = |token: &Token| caller.who.uid == Some(token.uid);
    let Some(token) = found.filter(|token| own(token) || others().is_ok()) else {
        return Err(ApiError::new(Code::NoSuchToken, format!("you have no token \"{id}\"")));
    };
    let by = match own(&token) {
        true => caller.may_at_all(Action::OwnTokens, "revoking tokens")?,
        false => others()?,
    };
    let revoke = RevokeToken { id: token.id.clone(), by };
    durable(app.system.revoke_token.send(revoke)).await?.map_err(stopping)?;
    Ok(HttpResponse::Ok().json(shown(token)))
}

fn stopping<E>(_: E) -> ApiError {
    ApiError::unavailable("the server is stopping")
}

fn shown(token: Token) -> TokenInfo {
    TokenInfo {
        id: token.id,
        name: token.name,
        user: token.user,
        uid: token.uid.0,
        role: token.role,
        created_at: rfc3339(token.created),
        expires_at: rfc3339(token.expires),
        expired: token.expires <= clock::now(),
    }
}
