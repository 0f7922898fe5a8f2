//! *Purpose*: the query of `GET /jobs`, read.
//!
//! *Owns*: how each parameter is written, and how long a page is when nobody says.
//!
//! *Promises*: what is no value of its parameter is refused by the parameter's name.
//!
//! *Not here*: which parameters there are (`api::parameters`), what they find (`store::find`).

use super::cursor;
use super::error::ApiError;
use super::wire::pick::Fields;
use crate::clock;
use crate::job::ids::JobId;
use crate::job::outcome::ExitCode;
use crate::job::state::StateWord;
use crate::store::filter::{IDS_MAX, JobFilter, LINES_MAX, PAGE_MAX};
use crate::time::Time;

/// Jobs of a page when nobody says.
const PAGE: i64 = 100;

/// The jobs that a query means, and what of them is wanted if not all.
///
/// # Errors
/// 400, naming the parameter.
pub(super) fn filter(
    pairs: Vec<(String, String)>,
) -> Result<(JobFilter, Option<Fields>), ApiError> {
    let fields = pairs.iter().rfind(|(key, _)| key == "fields");
    let fields = fields.map(|(key, names)| {
        Fields::parse(names).map_err(|message| ApiError::parameter(key, message))
    });
    let fields = fields.transpose()?;
    let most = if fields.is_some() { LINES_MAX } else { PAGE_MAX };
    let mut filter = JobFilter { limit: PAGE, ..JobFilter::default() };
    let mut after = None;
    for (key, value) in pairs {
        let bad = |message: String| ApiError::parameter(&key, message);
        let time = || -> Result<Time, ApiError> {
            let wanted = "is not an RFC 3339 time such as 2026-11-22T03:42:17Z";
            clock::parse_rfc3339(&value).ok_or_else(|| bad(format!("\"{value}\" {wanted}")))
        };
        match key.as_str() {
            "state" => {
                filter.states.extend(states_of(&value).map_err(bad)?);
            }
            "account" => filter.account = Some(value),
            "name" => filter.name = Some(value),
            "name_like" => filter.name_like = Some(value),
            "user" => filter.user = Some(value),
            "partition" => filter.partition = Some(value),
            "exit_code" => {
                let code = value.parse::<ExitCode>();
                let wanted = |_| bad("is written code:signal, as in 3:0".to_owned());
                filter.exit_code = Some(code.map_err(wanted)?);
            }
            "ids" => filter.ids = Some(ids(&value, filter.ids.take()).map_err(bad)?),
            "array_job_id" => {
                let array = value.parse().map_err(|_| bad("is the id of an array".to_owned()))?;
                filter.array = Some(array);
            }
            "label" => {
                filter.labels.push(label_of(&value).map_err(bad)?);
            }
            "since" => filter.since = Some(time()?),
            "until" => filter.until = Some(time()?),
            "ended_since" => filter.ended_since = Some(time()?),
            "ended_until" => filter.ended_until = Some(time()?),
            "limit" => {
                filter.limit = value
                    .parse()
                    .ok()
                    .filter(|n| (1..=most).contains(n))
                    .ok_or_else(|| bad(format!("is a number from 1 to {most}")))?;
            }
            "cursor" => after = Some(value),
            "fields" => {}
            "sort" => {
                let down = value.strip_prefix('-');
                filter.key = down.unwrap_or(&value).parse().map_err(bad)?;
                filter.ascending = down.is_none();
            }
            _ => return Err(bad("is not a parameter of this route".to_owned())),
        }
    }
    // Last, for the order may be said behind it.
    filter.after = after
        .map(|text| cursor::read(&text, filter.key, filter.ascending))
        .transpose()
        .map_err(|message| ApiError::parameter("cursor", message))?;
    Ok((filter, fields))
}

/// States with commas between.
pub(super) fn states_of(text: &str) -> Result<Vec<StateWord>, String> {
    text.split(',').map(|word| word.trim().parse()).collect()
}

/// A label as a filter has it.
pub(super) fn label_of(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once(':').ok_or("is written key:value")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The ids of a list, and those before them.
fn ids(list: &str, before: Option<Vec<JobId>>) -> Result<Vec<JobId>, String> {
    let mut ids = before.unwrap_or_default();
    for word in list.split(',').map(str::trim) {
        ids.push(word.parse().map(JobId).map_err(|_| format!("\"{word}\" is no job's number"))?);
    }
    if ids.len() > IDS_MAX {
        return Err(format!("names {} jobs; at most {IDS_MAX}", ids.len()));
    }
    Ok(ids)
}
