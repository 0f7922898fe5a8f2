//! *Purpose*: reads what is to be different about a pending job.
//!
//! *Owns*: [`UpdateBody`], [`parse`].
//!
//! *Promises*: all faults of a body are found at once; a body that changes nothing is refused.
//!
//! *Not here*: what a change does (`kernel::commands::edit`).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::amount::Amount;
use super::dialect::ApiDialect;
use super::fields::{Fields, kind};
use super::submit::BodyRefused;
use super::values::{limit, time};
use crate::job::faults::{Faults, FieldError, SpecRefused};
use crate::kernel::admission::{Site, limit_allowed};
use crate::kernel::change::Edit;
use crate::time::Time;

/// What is to be different; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateBody {
    /// Larger runs first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Minutes, or text as Slurm has it: `"1-12:00:00"`, `"90s"`, `"UNLIMITED"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<Amount>,
    /// Whether it waits until somebody releases it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
    /// Not before; `"now"` or null takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begin_time: Option<String>,
    /// Not after; `"none"` or null takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
}

/// Reads a body for a job of this site and partition.
///
/// # Errors
/// [`BodyRefused`], with every fault in it.
pub fn parse(body: &[u8], site: (&Site, &str), now: Time) -> Result<Edit, BodyRefused> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| BodyRefused::Malformed(error.to_string()))?;
    let mut errors = Faults::default();
    let Value::Object(map) = value else {
        let message = format!("is {}; an object is expected", kind(&value));
        return Err(BodyRefused::Fields(FieldError::new("body", message).into()));
    };
    let mut fields = Fields::new(map, String::new(), &mut errors);
    let limit = fields.parsed("time_limit", |v| limit(v, ApiDialect::V1));
    let edit = Edit {
        held: fields.flag("held"),
        priority: fields.whole("priority"),
        limit_s: None,
        begin: point(&mut fields, "begin_time", "now"),
        deadline: point(&mut fields, "deadline", "none"),
    };
    if edit.deadline.flatten().is_some_and(|deadline| deadline <= now) {
        fields.refuse("deadline", "has passed already; cancel the job instead");
    }
    fields.finish();
    let limit_s = match limit.map(|asked| limit_allowed(asked, site)).transpose() {
        Ok(limit) => limit,
        Err(SpecRefused(refused)) => {
            errors.absorb(refused, |fault| fault);
            None
        }
    };
    let edit = Edit { limit_s, ..edit };
    if errors.is_empty() && edit == Edit::default() {
        let message = "changes nothing; send priority, time_limit, held, begin_time or deadline";
        errors.push(FieldError::new("body", message));
    }
    if errors.is_empty() { Ok(edit) } else { Err(BodyRefused::Fields(errors)) }
}

/// A time, or the word that takes it away; `null` does so too.
fn point(fields: &mut Fields<'_>, name: &'static str, away: &str) -> Option<Option<Time>> {
    let value = fields.take_null_too(name)?;
    if value.is_null() || value.as_str().is_some_and(|text| text.trim() == away) {
        return Some(None);
    }
    time(&value).map(Some).map_err(|message| fields.refuse(name, message)).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn site() -> Site {
        Site { total_cpus: 4, max_limit_s: Some(3_600), kill_grace_s: 30, ..Site::default() }
    }

    fn faults(body: &str) -> Vec<String> {
        match parse(body.as_bytes(), (&site(), ""), Time(0)).unwrap_err() {
            BodyRefused::Fields(errors) => {
                errors.listed().into_iter().map(|e| format!("{}: {}", e.field, e.message)).collect()
            }
            BodyRefused::Malformed(message) => vec![message],
        }
    }

    #[test]
    fn what_is_left_out_stays() {
        let read = |body: &str| parse(body.as_bytes(), (&site(), ""), Time(0)).unwrap();
        let held = Edit { held: Some(true), ..Edit::default() };
        assert_eq!(read(r#"{"held": true}"#), held);
        let all = read(
            r#"{"priority": -3, "time_limit": "90s", "begin_time": "now",
                "deadline": "1970-01-01T00:00:09Z"}"#,
        );
        let deadline = Some(Some(Time(9_000_000)));
        let edit = Edit { priority: Some(-3), limit_s: Some(Some(90)), deadline, ..held };
        assert_eq!(all, Edit { held: None, begin: Some(None), ..edit });
        assert_eq!(read(r#"{"deadline": "none"}"#).deadline, Some(None));
        let nulls = read(r#"{"deadline": null, "begin_time": null, "priority": null}"#);
        let cleared = Edit { begin: Some(None), deadline: Some(None), ..Edit::default() };
        assert_eq!(nulls, cleared);
    }

    #[test]
    fn every_fault_is_named() {
        assert!(faults("{}")[0].starts_with("body: changes nothing"));
        assert!(faults("[]")[0].starts_with("body: is a list"));
        let many = faults(r#"{"priority": "high", "begin_time": 5, "name": "x"}"#);
        assert_eq!(many.len(), 3, "{many:?}");
        assert!(faults(r#"{"time_limit": "2h"}"#)[0].contains("this server allows 3600 s"));
        let past = parse(br#"{"deadline": "1970-01-01T00:00:09Z"}"#, (&site(), ""), Time(i64::MAX));
        assert!(past.unwrap_err().to_string().contains("has passed already"));
    }
}
