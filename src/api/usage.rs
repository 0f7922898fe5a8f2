//! *Purpose*: who used how much.
//!
//! *Owns*: `GET /usage`, [`of`].
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
use crate::store::used::{By, JOBS_MAX, Key, TooMany, Used};
use crate::text::when::{self, Zone};
use crate::time::{SECOND_US, Time};

/// The time that is meant where none is named.
const LATELY: Duration = Duration::from_secs(86_400);

/// The most lines of an answer: what one page, or one table, shows.
const LINES_MAX: usize = 1_000;
/// The most days that are told apart: those of the longest year.
const DAYS_MAX: usize = 366;
const DAY_S: i64 = 86_400;
const GIB: f64 = (1_u64 << 30) as f64;

/// Query of `usage`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// By what is added up: `user`, `account`, `name` or `day`; `user` without.
    by: Option<String>,
    /// From when on, RFC 3339; a day before its end without.
    since: Option<String>,
    /// Until when; now without.
    until: Option<String>,
    /// With `by=day`: when days begin, RFC 3339 with commas, 366 at most; at midnight UTC without.
    days: Option<String>,
}

impl UsageQuery {
    /// By this, since then; with the begins of days where that is by day.
    #[must_use]
    pub fn since(by: &str, since: Time, days: &[Time]) -> UsageQuery {
        let days: Vec<String> = days.iter().map(|day| rfc3339(*day)).collect();
        UsageQuery {
            by: Some(by.to_owned()),
            since: Some(rfc3339(since)),
            until: None,
            days: (!days.is_empty()).then(|| days.join(",")),
        }
    }
}

/// `GET /usage`.
#[utoipa::path(get, path = "/api/v1/usage", tag = "server", params(UsageQuery),
    description = "Who used how much in a time: CPU, GPU and memory hours of every attempt, jobs \
        by their ends, waits. It is added up over jobs that are not forgotten yet.",
    responses((status = 200, body = UsageReport)))]
pub async fn usage(
    app: web::Data<App>,
    caller: Caller,
    query: web::Query<UsageQuery>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(of(&app, &caller, query.into_inner()).await?))
}

/// Who used how much.
///
/// # Errors
/// 400, naming the parameter; what the database says.
pub async fn of(app: &App, caller: &Caller, query: UsageQuery) -> Result<UsageReport, ApiError> {
    let UsageQuery { by: word, since, until, days } = query;
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
    let word = word.unwrap_or_else(|| "user".to_owned());
    let by = by(&word, days, (since, until))?;
    let scope = match app.live().people.is_private(Private::Usage) {
        true => caller.who.scope_of_details(),
        false => caller.who.scope(),
    };
    let found = app.read_raw(move |db| db.used((since, until), &by, &scope)).await?;
    let found = found.map_err(|TooMany| {
        let message = format!("is too early: more than {JOBS_MAX} jobs ended since");
        ApiError::parameter("since", message)
    })?;
    let mut lines: Vec<UsageLine> = found.into_iter().map(line).collect();
    if word != "day" {
        lines.sort_by(|a, b| b.cpu_hours.total_cmp(&a.cpu_hours));
    }
    let left_off = lines.len().saturating_sub(LINES_MAX) as u64;
    lines.truncate(LINES_MAX);
    Ok(UsageReport { since: rfc3339(since), until: rfc3339(until), by: word, lines, left_off })
}

/// By what is added up, of a time.
fn by(word: &str, days: Option<String>, window: (Time, Time)) -> Result<By, ApiError> {
    if days.is_some() && word != "day" {
        return Err(ApiError::parameter("days", "goes with `by=day` only"));
    }
    Ok(match word {
        "user" => By::User,
        "account" => By::Account,
        "name" => By::Name,
        "day" => By::Day(begins(days, window)?),
        _ => {
            let message = "is none of \"user\", \"account\", \"name\" and \"day\"";
            return Err(ApiError::parameter("by", message));
        }
    })
}

/// When days begin, in their order.
fn begins(said: Option<String>, (since, until): (Time, Time)) -> Result<Vec<Time>, ApiError> {
    let Some(said) = said else {
        let first = since.0.div_euclid(DAY_S * SECOND_US) + 1;
        let last = until.0.div_euclid(DAY_S * SECOND_US);
        if last - first >= DAYS_MAX as i64 {
            let message = format!("is more than {DAYS_MAX} days before the end");
            return Err(ApiError::parameter("since", message));
        }
        return Ok((first..=last).map(|day| Time(day * DAY_S * SECOND_US)).collect());
    };
    let read = |text: &str| clock::parse_rfc3339(text.trim());
    let days: Option<Vec<Time>> = said.split(',').take(DAYS_MAX + 1).map(read).collect();
    match days {
        Some(days) if days.len() > DAYS_MAX => {
            Err(ApiError::parameter("days", format!("are more than {DAYS_MAX}")))
        }
        Some(days) if days.is_sorted() => Ok(days),
        _ => Err(ApiError::parameter("days", "are not times of RFC 3339, in their order")),
    }
}

fn line((key, of): (Key, Used)) -> UsageLine {
    let hours = |us: i64| us as f64 / (3_600 * SECOND_US) as f64;
    let Used { ended, completed, cancelled, running, cpu_us, gpu_us, waited, .. } = of;
    let mean = |(jobs, us): (u64, i64)| us as f64 / SECOND_US as f64 / jobs as f64;
    let (busy_us, had_us) = of.busy_us;
    UsageLine {
        name: match key {
            Key::Name(name) => name,
            Key::Day(day) => rfc3339(day),
        },
        cpu_hours: hours(cpu_us),
        cpu_used_hours: hours(busy_us),
        cpu_efficiency: (had_us > 0).then(|| busy_us as f64 / had_us as f64),
        gpu_hours: hours(gpu_us),
        memory_gib_hours: of.memory_byte_us as f64 / GIB / (3_600 * SECOND_US) as f64,
        jobs: ended,
        completed,
        failed: ended - completed - cancelled,
        cancelled,
        running,
        mean_wait_s: Some(waited).filter(|(jobs, _)| *jobs > 0).map(mean),
    }
}
