//! *Purpose*: values of a submit body that have a shape of their own.
//!
//! *Owns*: counts, the environment, the grace, the door's word.
//!
//! *Promises*: a value that is not understood is refused with its field's name.
//!
//! *Not here*: which fields there are (`wire::submit`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::{Fields, kind};
use super::time_limit;
use crate::kernel::job::DataSource;
use crate::text::size;

/// A count.
pub(super) fn at_least_one(fields: &mut Fields<'_>, name: &'static str) -> Option<i64> {
    let count = fields.whole(name)?;
    if count < 1 {
        fields.refuse(name, format!("is {count}; at least 1"));
        return None;
    }
    Some(count)
}

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
        Value::String(text) => time_limit::parse_duration_s(text),
        Value::Number(n) => n.as_i64().ok_or_else(|| format!("{n} is not whole seconds")),
        other => Err(format!("is {}; write \"30s\"", kind(other))),
    });
    if seconds.is_some() && text.is_some() && seconds != text {
        fields.refuse("kill_grace", "differs from kill_grace_s; send one of them");
    }
    seconds.or(text)
}

/// Reads a JSON number of bytes, or text like `"512M"`.
pub(super) fn memory(value: &Value) -> Result<i64, String> {
    match value {
        Value::String(text) => size::parse(text),
        Value::Number(number) => number
            .as_i64()
            .ok_or_else(|| format!("{number} is not a whole number of bytes that fits 63 bits")),
        other => Err(format!("is {}; write \"512M\", \"2G\" or bytes", kind(other))),
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
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn memory_is_text_or_a_whole_number_of_bytes() {
        assert_eq!(memory(&json!(4096)), Ok(4096));
        assert_eq!(memory(&json!("4K")), Ok(4096));
        for value in [json!(1.5), json!(["1G"]), json!(u64::MAX)] {
            assert!(memory(&value).is_err(), "{value}");
        }
    }
}
