//! *Purpose*: reads what is to be different about a job.
//!
//! *Owns*: [`UpdateBody`], [`parse`].
//!
//! *Promises*: all faults of a body are found at once; a body that changes nothing is refused.
//!
//! *Not here*: whether it is allowed (`kernel::admission::edit`), what a change does
//! (`kernel::commands::edit`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::amount::Amount;
use super::dialect::ApiDialect;
use super::fields::{Fields, kind};
use super::submit::{BodyRefused, object};
use super::values::{limit, memory, time};
use crate::job::dependency::Dependencies;
use crate::job::edit::EditRequest;
use crate::job::faults::{Faults, FieldError};
use crate::text::quote::shorten;
use crate::time::Time;

/// What is to be different; what is left out stays. Of a running job time_limit, deadline, name,
/// labels and comment can be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateBody {
    /// Larger runs first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Minutes, or text as Slurm has it: `"1-12:00:00"`, `"90s"`, `"UNLIMITED"`; counted from the
    /// start of its script.
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
    /// CPUs. Its tasks become as many as these are for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<i64>,
    /// Bytes, or text such as `"2G"`; null for what the server gives to a job that names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Amount>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The partition that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// Whom to charge; `""` or null for nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The jobs that it waits for, as for a new one; `"none"` or null for nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dependency: Option<String>,
    /// Labels to set; null takes one away, and null for the whole field all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, Option<String>>>,
    /// A remark; `""` or null takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Reads a body.
///
/// # Errors
/// [`BodyRefused`], with every fault in it.
pub fn parse(body: &[u8], now: Time) -> Result<EditRequest, BodyRefused> {
    let (map, mut errors) = (object(body)?, Faults::default());
    let mut fields = Fields::new(map, String::new(), &mut errors);
    let edit = EditRequest {
        held: fields.flag("held"),
        priority: fields.whole("priority"),
        limit: fields.parsed("time_limit", |v| limit(v, ApiDialect::V1)),
        begin: or_away(&mut fields, "begin_time", &["now"], time),
        deadline: or_away(&mut fields, "deadline", &["none"], time),
        name: fields.text("name"),
        account: or_away(&mut fields, "account", &[""], text).map(Option::unwrap_or_default),
        partition: fields.text("partition"),
        cpus: fields.whole("cpus"),
        memory_bytes: or_away(&mut fields, "memory", &[], memory),
        dependencies: or_away(&mut fields, "dependency", &["none", ""], dependencies)
            .map(Option::unwrap_or_default),
        labels: or_away(&mut fields, "labels", &[], labels),
        comment: or_away(&mut fields, "comment", &[""], text),
    };
    if edit.deadline.flatten().is_some_and(|deadline| deadline <= now) {
        fields.refuse("deadline", "has passed already; cancel the job instead");
    }
    fields.finish();
    if errors.is_empty() && edit == EditRequest::default() {
        let message = "changes nothing; send priority, time_limit, held, begin_time, deadline, \
                       cpus, memory, name, partition, account, dependency, labels or comment";
        errors.push(FieldError::new("body", message));
    }
    if errors.is_empty() { Ok(edit) } else { Err(BodyRefused::Fields(errors)) }
}

/// A value, or one of the words that take it away; `null` does so too.
fn or_away<T>(
    fields: &mut Fields<'_>,
    name: &'static str,
    away: &[&str],
    read: impl FnOnce(&Value) -> Result<T, String>,
) -> Option<Option<T>> {
    let value = fields.take_null_too(name)?;
    if value.is_null() || value.as_str().is_some_and(|text| away.contains(&text.trim())) {
        return Some(None);
    }
    read(&value).map(Some).map_err(|message| fields.refuse(name, message)).ok()
}

fn text(value: &Value) -> Result<String, String> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| format!("is {}; a string is expected", kind(value)))
}

fn dependencies(value: &Value) -> Result<Dependencies, String> {
    text(value)?.parse()
}

fn labels(value: &Value) -> Result<BTreeMap<String, Option<String>>, String> {
    let Value::Object(map) = value else {
        return Err(format!("is {}; an object of strings is expected", kind(value)));
    };
    let label = |(key, value): (&String, &Value)| match value {
        Value::Null => Ok((key.clone(), None)),
        Value::String(text) => Ok((key.clone(), Some(text.clone()))),
        other => {
            Err(format!("\"{}\" is {}; a string or null is expected", shorten(key), kind(other)))
        }
    };
    map.iter().map(label).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::text::time_limit::LimitAsked;

    fn faults(body: &str) -> Vec<String> {
        match parse(body.as_bytes(), Time(0)).unwrap_err() {
            BodyRefused::Fields(errors) => {
                errors.listed().into_iter().map(|e| format!("{}: {}", e.field, e.message)).collect()
            }
            BodyRefused::Malformed(message) => vec![message],
        }
    }

    fn read(body: &str) -> EditRequest {
        parse(body.as_bytes(), Time(0)).unwrap()
    }

    #[test]
    fn what_is_left_out_stays() {
        let held = EditRequest { held: Some(true), ..EditRequest::default() };
        assert_eq!(read(r#"{"held": true}"#), held);
        let all = read(
            r#"{"priority": -3, "time_limit": "90s", "begin_time": "now", "cpus": 2,
                "deadline": "1970-01-01T00:00:09Z", "memory": "2G", "name": "n", "partition": "p",
                "account": "a", "dependency": "afterany:7", "comment": "c",
                "labels": {"k": "v", "l": null}}"#,
        );
        let labels = [("k".to_owned(), Some("v".to_owned())), ("l".to_owned(), None)];
        let edit = EditRequest {
            held: None,
            priority: Some(-3),
            limit: Some(LimitAsked::Seconds(90)),
            begin: Some(None),
            deadline: Some(Some(Time(9_000_000))),
            name: Some("n".into()),
            account: Some("a".into()),
            partition: Some("p".into()),
            cpus: Some(2),
            memory_bytes: Some(Some(2 << 30)),
            dependencies: Some("afterany:7".parse().unwrap()),
            labels: Some(Some(BTreeMap::from(labels))),
            comment: Some(Some("c".into())),
        };
        assert_eq!(all, edit);
    }

    #[test]
    fn null_takes_away_what_can_be_away_and_leaves_the_rest() {
        let nulls = read(
            r#"{"deadline": null, "begin_time": null, "priority": null, "account": null,
                "dependency": null, "labels": null, "comment": null, "memory": null,
                "name": null, "cpus": null, "partition": null, "time_limit": null}"#,
        );
        let away = EditRequest {
            begin: Some(None),
            deadline: Some(None),
            account: Some(String::new()),
            dependencies: Some(Dependencies::default()),
            labels: Some(None),
            comment: Some(None),
            memory_bytes: Some(None),
            ..EditRequest::default()
        };
        assert_eq!(nulls, away);
        assert_eq!(read(r#"{"dependency": "none"}"#).dependencies, Some(Dependencies::default()));
        assert_eq!(read(r#"{"deadline": "none"}"#).deadline, Some(None));
    }

    #[test]
    fn every_fault_is_named() {
        assert!(faults("{}")[0].starts_with("body: changes nothing"));
        assert!(faults("[]")[0].starts_with("body: is a list"));
        let many = faults(
            r#"{"priority": "high", "begin_time": 5, "user": "x", "labels": {"a": 1},
                "dependency": "after", "memory": 512, "comment": []}"#,
        );
        assert_eq!(many.len(), 7, "{many:?}");
        let past = parse(br#"{"deadline": "1970-01-01T00:00:09Z"}"#, Time(i64::MAX));
        assert!(past.unwrap_err().to_string().contains("has passed already"));
    }
}
