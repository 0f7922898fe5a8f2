//! *Purpose*: values of a submit body that have a shape of their own.
//!
//! *Owns*: the environment, the grace, the door's word.
//!
//! *Promises*: a value that is not understood is refused with its field's name.
//!
//! *Not here*: which fields there are (`wire::submit`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::dialect::ApiDialect;
use super::fields::{Fields, kind};
use crate::job::spec::DataSource;
use crate::text::time_limit::{self, LimitAsked};
use crate::text::when::Zone;
use crate::text::{duration, size, when};
use crate::time::Time;

/// Bytes from which on a bare number cannot be meant as MiB: no script runs in less, and nobody has
/// so many.
const BARE_BYTES_MIN: i64 = size::MIB as i64;

/// An object of strings; slurmrestd's list of `NAME=value` too, where that is understood.
pub(super) fn environment(
    fields: &mut Fields<'_>,
    lists_too: bool,
) -> Option<BTreeMap<String, String>> {
    let Some(Value::Array(list)) = fields.peek("environment") else {
        return fields.strings("environment");
    };
    let list = list.clone();
    if !lists_too {
        return fields.strings("environment");
    }
    fields.take("environment");
    let mut variables = BTreeMap::new();
    for (index, entry) in list.iter().enumerate() {
        match entry.as_str().and_then(|e| e.split_once('=')) {
            Some((name, value)) => {
                variables.insert(name.to_owned(), value.to_owned());
            }
            None => fields
                .refuse(&format!("environment[{index}]"), "a string \"NAME=value\" is expected"),
        }
    }
    Some(variables)
}

/// Seconds, under either of two names.
pub(super) fn kill_grace_s(fields: &mut Fields<'_>) -> Option<i64> {
    let seconds = fields.whole("kill_grace_s");
    let text = fields.parsed("kill_grace", |value| match value {
        Value::String(text) => duration::parse_s(text),
        Value::Number(n) => n.as_i64().ok_or_else(|| format!("{n} is not whole seconds")),
        other => Err(format!("is {}; write \"30s\"", kind(other))),
    });
    if seconds.is_some() && text.is_some() && seconds != text {
        fields.refuse("kill_grace", "differs from kill_grace_s; send one of them");
    }
    seconds.or(text)
}

/// Reads a JSON number of bytes, or text like `"512M"`. In a script a bare number is MiB: one that
/// would be hardly any memory as bytes is refused rather than read in one of the two ways.
pub(super) fn memory(value: &Value) -> Result<i64, String> {
    let either = |bytes: i64| match bytes {
        1..BARE_BYTES_MIN => Err(format!(
            "{bytes} bytes, or \"{bytes}M\"? A bare number is bytes; write \"{bytes}B\" or \
             \"{bytes}M\""
        )),
        bytes => Ok(bytes),
    };
    match value {
        Value::String(text) if text.trim().bytes().all(|b| b.is_ascii_digit()) => {
            size::parse(text).and_then(either)
        }
        Value::String(text) => size::parse(text),
        Value::Number(number) => number
            .as_i64()
            .ok_or_else(|| format!("{number} is not a whole number of bytes that fits 63 bits"))
            .and_then(either),
        other => Err(format!("is {}; write \"512M\", \"2G\" or bytes", kind(other))),
    }
}

/// A JSON number of minutes, or text in any of the forms of a time limit.
pub(super) fn limit(value: &Value, dialect: ApiDialect) -> Result<LimitAsked, String> {
    let forms = time_limit::FORMS;
    match (value, dialect) {
        (Value::String(text), ApiDialect::V1) => time_limit::parse(text),
        (Value::String(text), ApiDialect::Seed) => time_limit::parse_unambiguous(text),
        (Value::Number(number), _) => match number.as_i64() {
            Some(minutes) => time_limit::of_minutes(minutes),
            None => Err(format!("{number} is not a whole number of minutes; {forms}")),
        },
        (other, _) => Err(format!("is {}; {forms}", kind(other))),
    }
}

/// A point in time.
pub(super) fn time(value: &Value) -> Result<Time, String> {
    match value {
        Value::String(text) => when::parse(text, Zone::Said),
        other => Err(format!("is {}; {}", kind(other), when::FORMS)),
    }
}

/// One of the three words.
pub(super) fn data_source(value: &Value) -> Result<DataSource, String> {
    [DataSource::Api, DataSource::Cli, DataSource::Web]
        .into_iter()
        .find(|source| value.as_str() == Some(source.word()))
        .ok_or_else(|| "is none of \"API\", \"CLI\" and \"WEB\"".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn memory_is_text_or_a_whole_number_of_bytes() {
        assert_eq!(memory(&json!(1 << 20)), Ok(1 << 20));
        assert_eq!(memory(&json!("1048576")), Ok(1 << 20));
        for (text, bytes) in [("4K", 4096), ("512B", 512), ("0.5K", 512)] {
            assert_eq!(memory(&json!(text)), Ok(bytes));
        }
        for value in [json!(1.5), json!(["1G"]), json!(u64::MAX)] {
            assert!(memory(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_bare_number_that_may_be_bytes_or_mib_is_refused_with_both_readings() {
        for value in [json!(512), json!("512"), json!(" 512 ")] {
            let said = memory(&value).unwrap_err();
            assert!(said.starts_with("512 bytes, or \"512M\"?"), "{said}");
        }
        assert!(memory(&json!(1)).is_err() && memory(&json!((1 << 20) - 1)).is_err());
    }

    #[test]
    fn a_limit_is_text_or_a_whole_number_of_minutes() {
        assert_eq!(limit(&json!(10), ApiDialect::V1), Ok(LimitAsked::Seconds(600)));
        assert_eq!(limit(&json!("1:30"), ApiDialect::V1), Ok(LimitAsked::Seconds(90)));
        assert!(limit(&json!("1:30"), ApiDialect::Seed).is_err());
        for value in [json!(0), json!(-1), json!(1.5), json!(true), json!([1]), json!(u64::MAX)] {
            assert!(limit(&value, ApiDialect::V1).is_err(), "{value}");
        }
    }

    #[test]
    fn a_point_in_time_is_text() {
        assert_eq!(time(&json!("1970-01-01T00:00:01Z")), Ok(Time(1_000_000)));
        assert!(time(&json!(5)).is_err_and(|said| said.starts_with("is a number")));
    }
}
