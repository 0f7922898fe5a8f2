//! *Purpose*: values of the file that may stand with or without quotation marks.
//!
//! *Owns*: [`Scalar`], [`Switch`].
//!
//! *Promises*: each is text again as it was written.
//!
//! *Not here*: which settings there are (`config::settings`).

use serde::Deserialize;

/// A value of the file that may stand with or without quotation marks.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged, expecting = "a string or a whole number is expected")]
pub enum Scalar {
    /// `8`
    Number(i64),
    /// `"8"`
    Text(String),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scalar::Number(number) => number.fmt(f),
            Scalar::Text(text) => text.fmt(f),
        }
    }
}

/// A switch of the file that may stand with or without quotation marks.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged, expecting = "true or false is expected")]
pub enum Switch {
    /// `true`
    Bare(bool),
    /// `"true"`
    Text(String),
}

impl std::fmt::Display for Switch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Switch::Bare(is) => is.fmt(f),
            Switch::Text(text) => text.fmt(f),
        }
    }
}
