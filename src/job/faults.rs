//! *Purpose*: what is wrong with a request, as a list that nobody can make long.
//!
//! *Owns*: [`FieldError`], [`Faults`], [`SpecRefused`], and the bounds of what is said.
//!
//! *Promises*: however many faults a request has, so many are kept and said, the rest is counted.
//!
//! *Not here*: what is a fault (`kernel::admission`, `api::wire`).

use serde::{Deserialize, Serialize};

/// So many faults are named; nobody mends more in one go.
pub const FAULTS_SHOWN: usize = 20;
/// Longest name of a field that is repeated, in characters; a key of a body may be megabytes.
const FIELD_CHARS_MAX: usize = 160;
/// Longest sentence about one field, in characters.
const MESSAGE_CHARS_MAX: usize = 1_000;
/// What the count of the rest is filed under.
const REST: &str = "body";

/// A field that is wrong, and why, in words for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field's name.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl FieldError {
    /// A field error.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> FieldError {
        FieldError { field: field.into(), message: message.into() }
    }
}

/// The first faults of a request, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    shown: Vec<FieldError>,
    more: usize,
}

impl Faults {
    /// One fault.
    pub fn push(&mut self, fault: FieldError) {
        if self.shown.len() == FAULTS_SHOWN {
            self.more += 1;
            return;
        }
        let FieldError { field, message } = fault;
        let (field, message) = (cut(field, FIELD_CHARS_MAX), cut(message, MESSAGE_CHARS_MAX));
        self.shown.push(FieldError { field, message });
    }

    /// So many more, of which nothing is said but their number.
    pub fn count(&mut self, more: usize) {
        self.more += more;
    }

    /// Those of a part of the request, said in other words.
    pub fn absorb(&mut self, others: Faults, words: impl Fn(FieldError) -> FieldError) {
        others.shown.into_iter().map(words).for_each(|fault| self.push(fault));
        self.more += others.more;
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shown.len() + self.more
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty() && self.more == 0
    }

    /// Those that are named, and as the last one how many more there are.
    #[must_use]
    pub fn listed(&self) -> Vec<FieldError> {
        let rest = (self.more > 0).then(|| FieldError::new(REST, and_more(self.more)));
        self.shown.iter().cloned().chain(rest).collect()
    }
}

impl From<FieldError> for Faults {
    fn from(fault: FieldError) -> Faults {
        let mut faults = Faults::default();
        faults.push(fault);
        faults
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, fault) in self.shown.iter().enumerate() {
            let between = if n == 0 { "" } else { "; " };
            write!(f, "{between}{}: {}", fault.field, fault.message)?;
        }
        if self.more > 0 { write!(f, "; {}", and_more(self.more)) } else { Ok(()) }
    }
}

/// Every bad field of one request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpecRefused(pub Faults);

/// How the rest of a list is counted.
#[must_use]
pub fn and_more(more: usize) -> String {
    format!("and {more} more")
}

/// The beginning of a text that is too long to be repeated.
fn cut(text: String, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_twenty_are_named_and_the_rest_is_counted() {
        let mut faults = Faults::default();
        (0..19).for_each(|n| faults.push(FieldError::new(format!("f{n}"), "is wrong")));
        assert_eq!((faults.len(), faults.listed().len()), (19, 19));
        assert!(faults.to_string().ends_with("f18: is wrong"));
        let mut other = Faults::from(FieldError::new("x".repeat(1_000_000), "y".repeat(1_000_000)));
        other.count(5);
        faults.absorb(other, |fault| fault);
        faults.push(FieldError::new("late", "is wrong"));
        let listed = faults.listed();
        assert_eq!((faults.len(), listed.len()), (26, 21));
        assert_eq!(listed[20], FieldError::new("body", "and 6 more"));
        assert!(faults.to_string().ends_with("...; and 6 more"), "{faults}");
        assert!(faults.to_string().len() < 2_000);
    }
}
