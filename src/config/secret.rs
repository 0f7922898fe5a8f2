//! *Purpose*: a token that cannot be printed by accident.
//!
//! *Owns*: [`Secret`].
//!
//! *Promises*: `Debug` and `Display` show three asterisks; comparison takes constant time.
//!
//! *Not here*: who asks for it (`api`), who sends it (`cli::client`).

use std::fmt;
use std::path::Path;

use subtle::ConstantTimeEq;

use super::trusted;

/// A token.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// A token that can stand in a header: visible ASCII, at least one character.
    ///
    /// # Errors
    /// A sentence that does not quote it.
    pub fn new(text: &str) -> Result<Secret, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("may hold visible ASCII characters only, without blanks".to_owned());
        }
        Ok(Secret(text.to_owned()))
    }

    /// Whether another is the same.
    #[must_use]
    pub fn is(&self, other: &Secret) -> bool {
        self.matches(&other.0)
    }

    /// The token that a file holds.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn read(path: &Path) -> Result<Secret, String> {
        let text = trusted::read(path)
            .map_err(|error| format!("{} is not read: {error}", path.display()))?;
        Secret::new(&text).map_err(|message| format!("the token in {} {message}", path.display()))
    }

    /// The token itself, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `text` is the token.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_printed() {
        let token = Secret::new(" hunter2\n").unwrap();
        assert_eq!(format!("{token:?} {token}"), "*** ***");
        assert!(token.matches("hunter2") && !token.matches("hunter") && !token.matches(""));
        assert!(Secret::new(" ").is_err() && Secret::new("a b").is_err());
    }
}
