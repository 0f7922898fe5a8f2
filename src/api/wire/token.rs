//! *Purpose*: tokens of users, as JSON.
//!
//! *Owns*: [`TokenInfo`], [`NewToken`], [`TokenBody`], [`parse`].
//!
//! *Promises*: the text of a token stands in the answer to its making alone; all faults of a body
//! are found at once.
//!
//! *Not here*: who may have one (`api::tokens`), what is kept of it (`kernel::token`).

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::fields::{Fields, kind};
use super::submit::{BodyRefused, object_or_nothing};
use crate::job::faults::Faults;
use crate::kernel::access::Role;
use crate::text::duration;
use crate::text::quote::first_that_acts;

/// Longest name, bytes: what a list shows in a line.
const NAME_BYTES_MAX: usize = 64;
/// How long a token is good for that asks for nothing, seconds: one that is used is made anew four
/// times a year, one that is lost is worth nothing after a quarter.
pub const LIFETIME_S: i64 = 90 * 86_400;
/// Longest, seconds: somebody looks once a year at who may come in.
pub const LIFETIME_S_MAX: i64 = 366 * 86_400;

/// A token to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenBody {
    /// What you call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "laptop")]
    pub name: Option<String>,
    /// The most that it lets its sender be: `viewer`, `user`, `operator` or `admin`; `user`
    /// without, or what its user is, if that is less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Whose it is, for administrators; your own without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How long it is good for: seconds, or text such as `30d`; 90 days without, 366 at the most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "30d")]
    pub expires_in: Option<Value>,
}

/// A token that there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenInfo {
    /// Its number; the history names it so.
    #[schema(example = "1f0c5a9b2e47")]
    pub id: String,
    /// What its user calls it.
    pub name: String,
    /// Whose it is.
    pub user: String,
    /// His number.
    pub uid: u32,
    /// The most that it lets its sender be.
    pub role: Role,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// From when on it opens nothing.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// Whether that is over.
    pub expired: bool,
}

/// A token that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// What is sent as `Authorization: Bearer TOKEN`. It is shown this once.
    pub token: String,
    /// The rest.
    #[serde(flatten)]
    pub info: TokenInfo,
}

/// What a body asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenAsked {
    /// What its user calls it.
    pub name: String,
    /// The most that it lets its sender be.
    pub role: Option<Role>,
    /// Whose it is.
    pub user: Option<String>,
    /// How long it is good for, seconds.
    pub for_s: i64,
}

/// Reads a body.
///
/// # Errors
/// [`BodyRefused`], with every fault in it.
pub fn parse(body: &[u8]) -> Result<TokenAsked, BodyRefused> {
    let (map, mut errors) = (object_or_nothing(body)?, Faults::default());
    let mut fields = Fields::new(map, String::new(), &mut errors);
    let asked = TokenAsked {
        name: fields.text("name").unwrap_or_default(),
        role: fields.parsed("role", role),
        user: fields.text("user"),
        for_s: fields.parsed("expires_in", lifetime).unwrap_or(LIFETIME_S),
    };
    if asked.name.len() > NAME_BYTES_MAX {
        fields.refuse("name", format!("is longer than {NAME_BYTES_MAX} bytes"));
    }
    if let Some(c) = first_that_acts(&asked.name) {
        let message = "must not contain control characters, or marks that nobody sees";
        fields.refuse("name", format!("{message} ({c})"));
    }
    fields.finish();
    if errors.is_empty() { Ok(asked) } else { Err(BodyRefused::Fields(errors)) }
}

fn role(value: &Value) -> Result<Role, String> {
    let role = value.as_str().and_then(|text| Role::from_str(text).ok());
    role.ok_or_else(|| "is none of \"viewer\", \"user\", \"operator\" and \"admin\"".to_owned())
}

fn lifetime(value: &Value) -> Result<i64, String> {
    let seconds = match value {
        Value::String(text) => duration::parse_s(text)?,
        other => other
            .as_i64()
            .ok_or_else(|| format!("is {}; write \"30d\", or whole seconds", kind(other)))?,
    };
    match seconds {
        1..=LIFETIME_S_MAX => Ok(seconds),
        _ => Err(format!("is 1 second to {} days", LIFETIME_S_MAX / 86_400)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_token_needs_nothing_and_says_what_is_wrong() {
        let none = TokenAsked { name: String::new(), role: None, user: None, for_s: LIFETIME_S };
        assert_eq!(parse(b""), Ok(none.clone()));
        assert_eq!(parse(b"{}"), Ok(none));
        let all = br#"{"name": "n", "role": "viewer", "user": "ann", "expires_in": "2d"}"#;
        let (name, user) = ("n".to_owned(), Some("ann".to_owned()));
        let asked = TokenAsked { name, role: Some(Role::Viewer), user, for_s: 172_800 };
        assert_eq!(parse(all), Ok(asked));
        assert_eq!(parse(br#"{"expires_in": 60}"#).unwrap().for_s, 60);
        let wrong =
            br#"{"name": "a\u0000", "role": "root", "user": 5, "expires_in": "367d", "x": 1}"#;
        let BodyRefused::Fields(faults) = parse(wrong).unwrap_err() else { panic!() };
        let faults = faults.listed();
        let mut fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["expires_in", "name", "role", "user", "x"]);
        for never in ["0", "-1", "1.5", "\"never\"", "null"] {
            let body = format!(r#"{{"expires_in": {never}}}"#);
            assert_eq!(parse(body.as_bytes()).is_err(), never != "null", "{never}");
        }
    }
}
