//! *Purpose*: times in which no job may run, as JSON.
//!
//! *Owns*: [`Window`], [`WindowBody`], [`parse`].
//!
//! *Promises*: all faults of a body are found at once.
//!
//! *Not here*: what a window does (`kernel::commands::maintenance`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::Fields;
use super::submit::{BodyRefused, object_or_nothing};
use super::values::time;
use crate::job::faults::Faults;
use crate::text::quote::first_that_acts;
use crate::time::Time;

/// Longest reason, bytes: a sentence.
const REASON_BYTES_MAX: usize = 1_024;

/// A window to make; without times the server is drained until somebody resumes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WindowBody {
    /// From when on no job may run: RFC 3339 or `now+2h`; at once without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// Until when; until somebody ends it without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "new disks")]
    pub reason: Option<String>,
}

/// A time in which no job may run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Window {
    /// Its number.
    pub id: i64,
    /// From when on.
    #[schema(format = DateTime)]
    pub start_time: String,
    /// Until when; null until somebody ends it.
    #[schema(format = DateTime)]
    pub end_time: Option<String>,
    /// What it is for.
    pub reason: String,
    /// Who wanted it.
    pub principal: String,
    /// Whether it has begun.
    pub active: bool,
}

/// What a body asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowAsked {
    /// From when on; at once without.
    pub start: Option<Time>,
    /// Until when.
    pub end: Option<Time>,
    /// What it is for.
    pub reason: String,
}

/// Reads a body.
///
/// # Errors
/// [`BodyRefused`], with every fault in it.
pub fn parse(body: &[u8]) -> Result<WindowAsked, BodyRefused> {
    let (map, mut errors) = (object_or_nothing(body)?, Faults::default());
    let mut fields = Fields::new(map, String::new(), &mut errors);
    let asked = WindowAsked {
        start: fields.parsed("start_time", time),
        end: fields.parsed("end_time", time),
        reason: fields.text("reason").unwrap_or_default(),
    };
    if asked.reason.len() > REASON_BYTES_MAX || asked.reason.contains('\0') {
        fields.refuse("reason", format!("is at most {REASON_BYTES_MAX} bytes, without NUL"));
    }
    if let Some(c) = first_that_acts(&asked.reason) {
        let message = "must not contain control characters, or marks that nobody sees";
        fields.refuse("reason", format!("{message} ({c})"));
    }
    fields.finish();
    if errors.is_empty() { Ok(asked) } else { Err(BodyRefused::Fields(errors)) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_window_needs_nothing_and_says_what_is_wrong() {
        let all = br#"{"start_time": "1970-01-01T00:00:01Z", "end_time": "1970-01-01T00:00:02Z",
            "reason": "disks"}"#;
        let (start, end) = (Some(Time(1_000_000)), Some(Time(2_000_000)));
        assert_eq!(parse(all), Ok(WindowAsked { start, end, reason: "disks".into() }));
        let none = WindowAsked { start: None, end: None, reason: String::new() };
        assert_eq!(parse(b""), Ok(none.clone()));
        assert_eq!(parse(b"{}"), Ok(none));
        let body = format!(r#"{{"start_time": 5, "until": 1, "reason": "{}"}}"#, "x".repeat(1_025));
        let BodyRefused::Fields(faults) = parse(body.as_bytes()).unwrap_err() else { panic!() };
        let faults = faults.listed();
        let mut fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["reason", "start_time", "until"]);
        assert!(parse(b"[]").unwrap_err().to_string().starts_with("body: is a list"));
    }
}
