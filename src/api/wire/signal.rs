//! *Purpose*: a signal for a running job, as JSON.
//!
//! *Owns*: [`SignalBody`], [`parse`].
//!
//! *Promises*: all faults of a body are found at once.
//!
//! *Not here*: what is sent to whom (`job::signal`).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::fields::{Fields, kind};
use super::submit::{BodyRefused, object_or_nothing};
use crate::job::faults::Faults;
use crate::job::signal::{Recipients, Signal, number_of};

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignalBody {
    /// Its name, with or without `SIG`, or its number.
    #[schema(example = "USR1")]
    pub signal: String,
    /// Who of the job gets it: the `script` itself, all `others`, or `all`; others without.
    #[serde(default)]
    pub to: Recipients,
}

/// Reads a body.
///
/// # Errors
/// [`BodyRefused`], with every fault in it.
pub fn parse(body: &[u8]) -> Result<Signal, BodyRefused> {
    let (map, mut errors) = (object_or_nothing(body)?, Faults::default());
    let mut fields = Fields::new(map, String::new(), &mut errors);
    if fields.peek("signal").is_none() {
        fields.refuse("signal", "is needed: a name such as USR1 or a number from 1 to 31");
    }
    let number = fields.parsed("signal", |value| match value {
        Value::String(text) => number_of(text),
        Value::Number(number) => number_of(&number.to_string()),
        other => Err(format!("is {}; a name such as USR1 is expected", kind(other))),
    });
    let to = fields.parsed("to", |value| match value {
        Value::String(text) => text.parse(),
        other => Err(format!("is {}; script, others or all is expected", kind(other))),
    });
    fields.finish();
    match number.filter(|_| errors.is_empty()) {
        Some(number) => Ok(Signal { number, to: to.unwrap_or_default() }),
        None => Err(BodyRefused::Fields(errors)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_named_or_numbered() {
        for text in [r#"{"signal": "USR1"}"#, r#"{"signal": "sigusr1"}"#, r#"{"signal": 10}"#] {
            let signal = parse(text.as_bytes()).unwrap();
            assert_eq!(signal, Signal { number: 10, to: Recipients::Others }, "{text}");
        }
        let all = parse(br#"{"signal": "9", "to": "all"}"#).unwrap();
        assert_eq!(all, Signal { number: 9, to: Recipients::All });
    }

    #[test]
    fn every_fault_is_named() {
        let faults = |text: &str| match parse(text.as_bytes()) {
            Err(BodyRefused::Fields(faults)) => faults.to_string(),
            other => panic!("{text}: {other:?}"),
        };
        assert!(faults("{}").contains("signal"), "{}", faults("{}"));
        let both = faults(r#"{"signal": "USR3", "to": "them", "for": 1}"#);
        for part in ["\"USR3\" is not a signal", "for the script, for others or for all", "for"] {
            assert!(both.contains(part), "{both}");
        }
        assert!(faults(r#"{"signal": 32}"#).contains("from 1 to 31"));
        assert!(faults(r#"{"signal": true}"#).contains("a name such as USR1 is expected"));
    }
}
