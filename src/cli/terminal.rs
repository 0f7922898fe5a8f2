//! *Purpose*: text meets a terminal.
//!
//! *Owns*: [`shown`], through which every result and every remark for a person goes.
//!
//! *Promises*: names, comments, paths and sentences of others are seen and never obeyed; the
//! colours of our own tables stay.
//!
//! *Not here*: which characters are obeyed (`text::quote`), a job's own output
//! (`cli::logs`), JSON.

use std::borrow::Cow;

use crate::api::wire::v1::escaped;

/// What a table writes to colour a cell, and to end that. Whoever else writes it colours a word.
const COLOURS: [&str; 2] = ["\u{1b}[38;5;", "\u{1b}[39m"];

/// The text as a terminal may get it.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    let plain = |text: &str| escaped(text, |c| c == '\n' || c == '\t').into_owned();
    let Some(first) = text.find('\u{1b}') else {
        return escaped(text, |c| c == '\n' || c == '\t');
    };
    let mut out = plain(&text[..first]);
    let mut rest = &text[first..];
    while !rest.is_empty() {
        let length = colour(rest);
        out.push_str(&rest[..length]);
        rest = &rest[length..];
        // At least one character goes on, so that this ends.
        let from = if length == 0 { 1 } else { 0 };
        let next = rest[from..].find('\u{1b}').map_or(rest.len(), |at| at + from);
        out.push_str(&plain(&rest[..next]));
        rest = &rest[next..];
    }
    Cow::Owned(out)
}

/// How long the colour is that stands here; 0 when there is none.
fn colour(text: &str) -> usize {
    let [begins, ends] = COLOURS;
    if text.starts_with(ends) {
        return ends.len();
    }
    let Some(number) = text.strip_prefix(begins) else { return 0 };
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let whole = (1..=3).contains(&digits) && number[digits..].starts_with('m');
    if whole { begins.len() + digits + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_seen_and_not_obeyed_and_colours_stay() {
        assert_eq!(shown("two\nlines\tand more"), "two\nlines\tand more");
        assert_eq!(shown("\u{1b}]0;PWN\u{7}\u{1b}[2J"), "\\u{1b}]0;PWN\\u{7}\\u{1b}[2J");
        let own = "1 \u{1b}[38;5;10mCOMPLETED\u{1b}[39m name";
        assert_eq!(shown(own), own);
        assert_eq!(
            shown("a\u{1b}[8mb\u{1b}[38;5;1234mc\u{1b}"),
            "a\\u{1b}[8mb\\u{1b}[38;5;1234mc\\u{1b}"
        );
        assert_eq!(shown("\u{202e}evil\u{200b}"), "\\u{202e}evil\\u{200b}");
    }
}
