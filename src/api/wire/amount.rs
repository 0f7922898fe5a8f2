//! *Purpose*: a value of a body that is a number or text.
//!
//! *Owns*: [`Amount`].
//!
//! *Promises*: it is sent as it was given.
//!
//! *Not here*: what the text means (`text`), which fields have one (`wire::body`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A number of the unit the field names, or text with a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Amount {
    /// A bare number.
    Number(i64),
    /// Text with a unit.
    Text(String),
}
