//! *Purpose*: what was not honoured, as a list that nobody can make long.
//!
//! *Owns*: [`Warnings`].
//!
//! *Promises*: however many there are, so many sentences are kept, the rest is counted.
//!
//! *Not here*: what is not honoured (`wire::sbatch`, `wire::submit`).

use crate::job::faults::and_more;

/// So many are said; they are stored with the job and shown with it each time.
pub const WARNINGS_SHOWN: usize = 20;
/// Longest of them, in characters: an option of a script may be a megabyte.
const CHARS_MAX: usize = 300;

/// The first warnings, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings {
    shown: Vec<String>,
    more: usize,
}

impl Warnings {
    /// One more.
    pub fn push(&mut self, sentence: String) {
        if self.shown.len() == WARNINGS_SHOWN {
            self.more += 1;
            return;
        }
        let end = sentence.char_indices().nth(CHARS_MAX);
        let kept = end.map(|(end, _)| format!("{}...", &sentence[..end]));
        self.shown.push(kept.unwrap_or(sentence));
    }

    /// Those that are said, and as the last one how many more there are.
    #[must_use]
    pub fn listed(mut self) -> Vec<String> {
        if self.more > 0 {
            self.shown.push(format!("{}.", and_more(self.more)));
        }
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_twenty_are_said_and_the_rest_is_counted() {
        let mut warnings = Warnings::default();
        (0..19).for_each(|n| warnings.push(n.to_string()));
        assert_eq!(warnings.clone().listed().len(), 19);
        (0..100).for_each(|_| warnings.push("x".repeat(1_000_000)));
        let listed = warnings.listed();
        assert_eq!((listed.len(), listed[20].as_str()), (21, "and 99 more."));
        assert_eq!(listed[19].len(), 303);
    }
}
