//! *Purpose*: what accounts have and may have, and users.
//!
//! *Owns*: `GET /accounts`.
//!
//! *Promises*: who sees his own jobs alone, or of usage his own, is told of himself and of accounts
//! that he coordinates.
//!
//! *Not here*: what was used in a time (`api::usage`), counting (`kernel::views::payers`).

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::page::PageQuery;
use super::wire::accounts::AccountLine;
use super::wire::me::{Allowance, Limits};
use crate::actors::messages::GetPayers;
use crate::config::people::Private;
use crate::kernel::views::payers::{PayerNow, PayersBy};

/// Query of `accounts`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AccountsQuery {
    /// By what jobs are told apart: `account` or `user`; `account` without.
    by: Option<String>,
    /// 1 to 1000, default 1000. Where there is more, a header `Link` with `rel="next"` leads there.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    /// Goes on behind an entry, as `Link` says it.
    cursor: Option<String>,
}

/// `GET /accounts`.
#[utoipa::path(get, path = "/api/v1/accounts", tag = "server", params(AccountsQuery),
    description = "What each account has and may have now, or each user, by name: shares and \
        usage, CPUs, GPUs and memory held, limits, jobs that run and wait. On a server of one \
        user users are not told apart, and are one line without a name.",
    responses((status = 200, body = [AccountLine]), (status = "4XX",
        body = super::wire::problem::Problem)))]
pub async fn list(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    query: web::Query<AccountsQuery>,
) -> Result<HttpResponse, ApiError> {
    let AccountsQuery { by, limit, cursor } = query.into_inner();
    let by = match by.as_deref() {
        None | Some("account") => PayersBy::Account,
        Some("user") => PayersBy::User,
        Some(_) => return Err(ApiError::parameter("by", "is neither \"account\" nor \"user\"")),
    };
    let lines = lines(&app, &caller, by).await?;
    PageQuery { limit, cursor }.of(&request, &lines, |line| line.name.clone())
}

/// All of them that somebody may know of, by name.
///
/// # Errors
/// When the server is stopping.
pub async fn lines(app: &App, caller: &Caller, by: PayersBy) -> Result<Vec<AccountLine>, ApiError> {
    let scope = match app.live().people.is_private(Private::Usage) {
        true => caller.who.scope_of_details(),
        false => caller.who.scope(),
    };
    let all = app.system.payers.send(GetPayers(by)).await;
    let all = all.map_err(|_| ApiError::unavailable("the server is stopping"))?;
    let is_known = |payer: &PayerNow| match (scope.own(), by) {
        (None, _) => true,
        (Some(own), PayersBy::Account) => own.accounts.contains(&payer.name),
        (Some(_), PayersBy::User) => payer.name == caller.who.name,
    };
    Ok(all.into_iter().filter(is_known).map(|payer| line(payer, by)).collect())
}

fn line(payer: PayerNow, by: PayersBy) -> AccountLine {
    let PayerNow { rule, share, .. } = &payer;
    let of = |used: u64, max: Option<u64>| Allowance { used, max };
    let limits = Limits {
        running_cpus: of(payer.cpus.into(), rule.max_running_cpus.map(u64::from)),
        running_jobs: of(payer.running, rule.max_running_jobs.map(u64::from)),
        queued_jobs: of(payer.waiting, rule.max_queued_jobs.map(u64::from)),
        queued_bytes: of(payer.waiting_bytes, rule.max_queued_bytes),
        running: rule.max_running.iter().map(|(name, max)| (name.to_string(), max)).collect(),
    };
    AccountLine {
        name: payer.name.to_string(),
        shares: share.filter(|_| by == PayersBy::Account).map(|_| rule.shares),
        cpu_hours: share.map(|(used_s, _)| used_s / 3_600.0),
        share_factor: share.map(|(_, factor)| factor),
        cpus: payer.cpus,
        gpus: payer.gpus,
        memory_bytes: payer.memory_bytes,
        running: payer.running,
        waiting: payer.waiting,
        limits,
    }
}
