//! *Purpose*: who used how much.
//!
//! *Owns*: `GET /usage`.
//!
//! *Promises*: whoever sees his own jobs only, or of usage only his own, gets nothing of others.
//!
//! *Not here*: adding up (`store::used`).

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::wire::usage::{UsageLine, UsageReport};
use crate::clock::{self, rfc3339};
use crate::config::people::Private;
use crate::store::used::{self, By, JOBS_MAX, TooMany, Used};
use crate::text::when::{self, Zone};
use crate::time::SECOND_US;

/// The time that is meant where none is named.
const LATELY: Duration = Duration::from_secs(86_400);

/// Query of `usage`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// By what is added up: `user` or `account`; `user` without.
    by: Option<String>,
    /// From when on, RFC 3339; a day before its end without.
    since: Option<String>,
    /// Until when; now without.
    until: Option<String>,
}

/// `GET /usage`.
#[utoipa::path(get, path = "/api/v1/usage", tag = "server", params(UsageQuery),
    description = "Who used how much in a time: CPU and GPU hours of every attempt, jobs by their \
        ends, waits. It is added up over jobs that are not forgotten yet.",
    responses((status = 200, body = UsageReport)))]
pub async fn usage(
    app: web::Data<App>,
    caller: Caller,
    query: web::Query<UsageQuery>,
) -> Result<HttpResponse, ApiError> {
    let UsageQuery { by, since, until } = query.into_inner();
    let by = match by.as_deref() {
        None | Some("user") => By::User,
        Some("account") => By::Account,
        Some(_) => return Err(ApiError::parameter("by", "is neither \"user\" nor \"account\"")),
    };
    let time = |name, text: Option<String>| {
        let time = text.map(|text| when::parse(&text, Zone::Said)).transpose();
        time.map_err(|message| ApiError::parameter(name, message))
    };
    let now = clock::now();
    let until = time("until", until)?.unwrap_or(now).min(now);
    let day_before = until.plus_s(-LATELY.as_secs().cast_signed());
    let since = time("since", since)?.unwrap_or(day_before);
    if since >= until {
        return Err(ApiError::parameter("since", "is not before the end of the time"));
    }
    let scope = match app.live().people.is_private(Private::Usage) {
        true => caller.who.scope_of_details(),
        false => caller.who.scope(),
    };
    let found = app.read_raw(move |conn| used::used(conn, (since, until), by, &scope)).await?;
    let found = found.map_err(|TooMany| {
        let message = format!("is too early: more than {JOBS_MAX} jobs ended since");
        ApiError::parameter("since", message)
    })?;
    let mut lines: Vec<UsageLine> = found.into_iter().map(line).collect();
    lines.sort_by(|a, b| b.cpu_hours.total_cmp(&a.cpu_hours));
    let by = match by {
        By::User => "user",
        By::Account => "account",
    };
    let (since, until) = (rfc3339(since), rfc3339(until));
    Ok(HttpResponse::Ok().json(UsageReport { since, until, by: by.to_owned(), lines }))
}

fn line((name, of): (String, Used)) -> UsageLine {
    let hours = |us: i64| us as f64 / (3_600 * SECOND_US) as f64;
    let Used { ended, completed, cancelled, running, cpu_us, gpu_us, waited } = of;
    let mean = |(jobs, us): (u64, i64)| us as f64 / SECOND_US as f64 / jobs as f64;
    UsageLine {
        name,
        cpu_hours: hours(cpu_us),
        gpu_hours: hours(gpu_us),
        jobs: ended,
        completed,
        failed: ended - completed - cancelled,
        cancelled,
        running,
        mean_wait_s: Some(waited).filter(|(jobs, _)| *jobs > 0).map(mean),
    }
}
