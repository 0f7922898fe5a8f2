//! *Purpose*: reads when a job shall be run again by itself.
//!
//! *Owns*: [`RetryBody`], and taking `retry` out of a body.
//!
//! *Promises*: every fault is named with its part (`retry.max`).
//!
//! *Not here*: what ends a cause covers, and the bounds (`kernel::parts::retries`).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::amount::Amount;
use super::fields::{Fields, kind};
use crate::job::faults::Faults;
use crate::job::retry_policy::{Cause, RETRY_MAX_DELAY_S, RetryPolicy};
use crate::text::duration;

/// When a job is run again by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetryBody {
    /// How often at most, from 1 to 100; a job is run once more often than that.
    #[schema(minimum = 1, maximum = 100, example = 3)]
    pub max: i64,
    /// After which ends: `failed`, `exit_code:75`, `exit_code:1-5`, `signal`, `signal:9`,
    /// `timeout`, `node_fail`, `out_of_memory`; `failed` and `node_fail` when left out. Never after
    /// a cancel.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["exit_code:75", "node_fail"]))]
    pub on: Option<Vec<String>>,
    /// The wait before the first retry, `10s` when left out; it doubles with each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "10s")]
    pub delay: Option<Amount>,
    /// The longest wait, `1h` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "1h")]
    pub max_delay: Option<Amount>,
}

/// Takes `retry` out of a body.
pub(super) fn read(fields: &mut Fields<'_>) -> Option<RetryPolicy> {
    let path = fields.path("retry");
    let map = match fields.take("retry")? {
        Value::Object(map) => map,
        other => {
            let message =
                format!("is {}; an object such as {{\"max\": 3}} is expected", kind(&other));
            fields.refuse("retry", message);
            return None;
        }
    };
    let mut errors = Faults::default();
    let mut parts = Fields::new(map, format!("{path}."), &mut errors);
    let max = parts.whole("max");
    if max.is_none() && parts.errors().is_empty() {
        parts.refuse("max", "is missing; how often at most, from 1 to 100");
    }
    // What is out of bounds is refused at the kernel's door, with all other bounds.
    let max = max.map(|max| u32::try_from(max.max(0)).unwrap_or(u32::MAX));
    let mut policy = RetryPolicy::usual(max.unwrap_or(1));
    if let Some(on) = parts.parsed("on", causes) {
        policy.on = on;
    }
    if let Some(delay_s) = parts.parsed("delay", seconds) {
        policy.delay_s = delay_s;
        policy.max_delay_s = delay_s.max(RETRY_MAX_DELAY_S);
    }
    if let Some(max_delay_s) = parts.parsed("max_delay", seconds) {
        policy.max_delay_s = max_delay_s;
    }
    parts.finish();
    let is_good = errors.is_empty();
    fields.errors().absorb(errors, |fault| fault);
    is_good.then_some(policy)
}

fn causes(value: &Value) -> Result<Vec<Cause>, String> {
    let Value::Array(list) = value else {
        return Err(format!("is {}; a list such as [\"failed\"] is expected", kind(value)));
    };
    let cause = |one: &Value| match one {
        Value::String(text) => text.parse(),
        other => Err(format!("holds {}; strings are expected", kind(other))),
    };
    list.iter().map(cause).collect()
}

fn seconds(value: &Value) -> Result<u32, String> {
    let seconds = match value {
        Value::String(text) => duration::parse_s(text)?,
        Value::Number(n) => n.as_i64().ok_or_else(|| format!("{n} is not whole seconds"))?,
        other => return Err(format!("is {}; write \"10s\"", kind(other))),
    };
    u32::try_from(seconds).map_err(|_| format!("{seconds} s is no wait"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn asked(retry: Value) -> Result<RetryPolicy, Vec<String>> {
        let mut errors = Faults::default();
        let map: Map<String, Value> = [("retry".to_owned(), retry)].into_iter().collect();
        let policy = read(&mut Fields::new(map, "jobs[1].", &mut errors));
        policy.ok_or_else(|| {
            errors.listed().into_iter().map(|e| format!("{}: {}", e.field, e.message)).collect()
        })
    }

    #[test]
    fn a_number_is_enough() {
        assert_eq!(asked(json!({"max": 3})), Ok(RetryPolicy::usual(3)));
        let on = vec![Cause::ExitCode(75, 75), Cause::NodeFail];
        let all = json!({"max": 2, "on": ["exit_code:75", "node_fail"], "delay": 5,
                         "max_delay": "2m"});
        let policy = RetryPolicy { max: 2, on, delay_s: 5, max_delay_s: 120 };
        assert_eq!(asked(all), Ok(policy));
        // A long delay without a bound is its own bound.
        let long = asked(json!({"max": 2, "delay": "2h"})).unwrap();
        assert_eq!((long.delay_s, long.max_delay_s), (7_200, 7_200));
    }

    #[test]
    fn every_fault_is_named_with_its_part() {
        for (retry, says) in [
            (json!(3), "jobs[1].retry: is a number; an object such as {\"max\": 3}"),
            (json!({}), "jobs[1].retry.max: is missing"),
            (json!({"max": "3"}), "jobs[1].retry.max: is a string"),
            (json!({"max": 3, "on": "failed"}), "jobs[1].retry.on: is a string; a list"),
            (json!({"max": 3, "on": ["x"]}), "jobs[1].retry.on: \"x\" is not a cause"),
            (json!({"max": 3, "delay": "soon"}), "jobs[1].retry.delay: \"soon\" is not"),
            (json!({"max": 3, "delay": -1}), "jobs[1].retry.delay: -1 s is no wait"),
            (json!({"max": 3, "often": 1}), "jobs[1].retry.often: is not a known field"),
        ] {
            let said = asked(retry).unwrap_err();
            assert!(said.len() == 1 && said[0].starts_with(says), "{said:?}");
        }
    }
}
