//! *Purpose*: points in time on the command line.
//!
//! *Owns*: [`as_sent`].
//!
//! *Promises*: a time without an offset is of the clock here; the server is sent one that says so.
//!
//! *Not here*: the forms (`text::when`).

use super::error::CliError;
use crate::clock;
use crate::text::when::{self, Zone};

/// A time as the server takes it. A word that stands for none goes as it is.
///
/// # Errors
/// When it is no time, by the name of the flag.
pub(super) fn as_sent(
    flag: &str,
    text: Option<&str>,
    word: &str,
) -> Result<Option<String>, CliError> {
    match text {
        Some(text) if text.trim() != word => {
            let time = when::parse(text, Zone::Local);
            let time = time.map_err(|message| CliError::Usage(format!("{flag}: {message}")))?;
            Ok(Some(clock::rfc3339(time)))
        }
        word => Ok(word.map(str::to_owned)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_says_its_zone() {
        let sent = as_sent("--begin", Some("2030-05-05T12:00"), "now").unwrap().unwrap();
        assert!(sent.ends_with('Z') && clock::parse_rfc3339(&sent).is_some(), "{sent}");
        assert_eq!(as_sent("--begin", Some(" now"), "now").unwrap().as_deref(), Some(" now"));
        assert_eq!(as_sent("--begin", None, "now").unwrap(), None);
        let refused = as_sent("--from", Some("soon"), "").unwrap_err();
        assert!(refused.to_string().contains("--from: \"soon\" is not a time"), "{refused}");
    }
}
