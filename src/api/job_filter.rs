//! *Purpose*: the query of `GET /jobs`, read.
//!
//! *Owns*: how each parameter is written, how long a page is when nobody says, and which orders
//! need which states.
//!
//! *Promises*: what is no value of its parameter is refused by the parameter's name.
//!
//! *Not here*: which parameters there are (`api::parameters`), the words of `q` (`api::job_words`),
//! what they find (`store::body::find`).

use super::cursor::{self, POSITION};
use super::error::ApiError;
use super::job_words::{self, label_of, states_of};
use super::wire::pick::Fields;
use crate::clock;
use crate::job::ids::JobId;
use crate::job::outcome::ExitCode;
use crate::job::state::StateWord;
use crate::store::filter::{IDS_MAX, JobFilter, LINES_MAX, NAMED_MAX, PAGE_MAX};
use crate::store::order::SortKey;
use crate::time::Time;

/// Jobs of a page when nobody says.
const PAGE: i64 = 100;

/// What a query asks for.
pub(super) struct Asked {
    /// The jobs that it means.
    pub(super) filter: JobFilter,
    /// What of them is wanted if not all.
    pub(super) fields: Option<Fields>,
    /// In the order of the line, behind this place in it; `None`: in that of the filter.
    pub(super) in_line: Option<u64>,
}

/// What a query asks for.
///
/// # Errors
/// 400, naming the parameter.
pub(super) fn asked(pairs: Vec<(String, String)>) -> Result<Asked, ApiError> {
    let fields = pairs.iter().rfind(|(key, _)| key == "fields");
    let fields = fields.map(|(key, names)| {
        Fields::parse(names).map_err(|message| ApiError::parameter(key, message))
    });
    let fields = fields.transpose()?;
    let most = if fields.is_some() { LINES_MAX } else { PAGE_MAX };
    let filter = JobFilter { limit: PAGE, now: clock::now(), ..JobFilter::default() };
    let mut reader = Reader { filter, after: None, is_line: false, most };
    for (key, value) in pairs {
        reader.take(&key, value).map_err(|message| ApiError::parameter(&key, message))?;
    }
    let Reader { mut filter, after, is_line, .. } = reader;
    for (name, all) in [("account", &filter.accounts), ("user", &filter.users)] {
        if all.len() > NAMED_MAX {
            let message = format!("is named {} times; at most {NAMED_MAX}", all.len());
            return Err(ApiError::parameter(name, message));
        }
    }
    if filter.fold && !is_line && filter.key != SortKey::Id {
        let message = "goes with sort=id, sort=-id and sort=position alone";
        return Err(ApiError::parameter("fold", message));
    }
    has_states_for_order(&filter, is_line)?;
    // Last, for the order may be said behind it.
    let bad = |message| ApiError::parameter("cursor", message);
    let mut in_line = None;
    if is_line {
        let place = after.map(|text| cursor::place(&text)).transpose().map_err(bad)?;
        in_line = Some(place.unwrap_or(0));
    } else {
        let read = |text: String| cursor::read(&text, filter.key, filter.ascending);
        filter.after = after.map(read).transpose().map_err(bad)?;
    }
    Ok(Asked { filter, fields, in_line })
}

/// A query that is being read.
struct Reader {
    filter: JobFilter,
    after: Option<String>,
    is_line: bool,
    /// Longest page.
    most: i64,
}

impl Reader {
    fn take(&mut self, key: &str, value: String) -> Result<(), String> {
        let filter = &mut self.filter;
        match key {
            "state" => filter.states.extend(states_of(&value)?),
            "account" => filter.accounts.push(value),
            "name" => filter.name = Some(value),
            "name_like" => filter.name_like = Some(value),
            "user" => filter.users.push(value),
            "q" => job_words::read(&value, filter)?,
            "partition" => filter.partition = Some(value),
            "exit_code" => {
                let code = value.parse::<ExitCode>();
                filter.exit_code = Some(code.map_err(|_| "is written code:signal, as in 3:0")?);
            }
            "ids" => filter.ids = Some(ids(&value, filter.ids.take())?),
            "array_job_id" => {
                filter.array = Some(value.parse().map_err(|_| "is the id of an array")?);
            }
            "label" => filter.labels.push(label_of(&value)?),
            "since" => filter.since = Some(time(&value)?),
            "until" => filter.until = Some(time(&value)?),
            "ended_since" => filter.ended_since = Some(time(&value)?),
            "ended_until" => filter.ended_until = Some(time(&value)?),
            "limit" => {
                let most = self.most;
                let limit = value.parse().ok().filter(|n| (1..=most).contains(n));
                filter.limit = limit.ok_or_else(|| format!("is a number from 1 to {most}"))?;
            }
            "cursor" => self.after = Some(value),
            "fields" => {}
            "fold" if value == "arrays" => filter.fold = true,
            "fold" => return Err("is \"arrays\" or left out".to_owned()),
            "sort" if value == POSITION => self.is_line = true,
            "sort" => {
                self.is_line = false;
                let down = value.strip_prefix('-');
                filter.key = down.unwrap_or(&value).parse()?;
                filter.ascending = down.is_none();
            }
            _ => return Err("is not a parameter of this route".to_owned()),
        }
        Ok(())
    }
}

fn time(value: &str) -> Result<Time, String> {
    let wanted = "is not an RFC 3339 time such as 2026-11-22T03:42:17Z";
    clock::parse_rfc3339(value).ok_or_else(|| format!("\"{value}\" {wanted}"))
}

/// Some orders are of jobs in some states alone: only these have what is put in order.
fn has_states_for_order(filter: &JobFilter, is_line: bool) -> Result<(), ApiError> {
    let (order, states): (_, &[StateWord]) = match filter.key {
        _ if is_line => (POSITION, &[StateWord::Pending]),
        SortKey::End => (SortKey::End.word(), &[StateWord::Running, StateWord::Completing]),
        _ => return Ok(()),
    };
    if !filter.states.is_empty() && filter.states.iter().all(|state| states.contains(state)) {
        return Ok(());
    }
    let words: Vec<&str> = states.iter().map(|state| state.word()).collect();
    let message = format!("sort={order} is of {} alone; ask for no other", words.join(" and "));
    Err(ApiError::parameter("state", message))
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
