//! *Purpose*: texts of others inside our own: characters that do something to whoever looks at a
//! text, instead of being seen, and texts that are too long to be repeated.
//!
//! *Owns*: which characters those are, how they are shown, and how a text is cut.
//!
//! *Promises*: a text that was escaped moves no cursor, changes no title, hides nothing and turns
//! nothing round; it reads as before otherwise.
//!
//! *Not here*: where text meets a terminal (`cli`, `serve`), which fields are refused
//! (`kernel::admission`).
//!
//! Sources: Unicode 16.0, general categories Cc and Cf, `Default_Ignorable_Code_Point` (without
//! variation selectors, of which emoji are made), Zl and Zp; "Trojan Source" (Boucher, Anderson,
//! 2021).

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character acts on a terminal or on the text around it, or is never seen: control
/// characters, marks that turn the direction, marks without a width.
#[must_use]
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e00ff}'
            | '\u{e01f0}'..='\u{e0fff}')
}

/// The first such character of a text, as a sentence names it.
#[must_use]
pub fn first_that_acts(text: &str) -> Option<String> {
    text.chars().find(|c| acts(*c)).map(|c| format!("U+{:04X}", u32::from(c)))
}

/// The same text with such characters written out: `\u{1b}`; those that `keep` names stay.
#[must_use]
pub fn escaped(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let shown = |c: char| !acts(c) || keep(c);
    if text.chars().all(shown) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if shown(c) {
            out.push(c);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
    }
    Cow::Owned(out)
}

/// What a message quotes of a text that may be megabytes long.
#[must_use]
pub fn shorten(text: &str) -> String {
    if text.chars().count() <= 64 {
        return text.to_owned();
    }
    text.chars().take(61).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_written_out_and_all_else_is_as_it_was() {
        let kept = |c| c == '\n';
        for plain in ["", "a b/c-%j", "Zürich 中文 עברית 👩 e\u{301} ❤\u{fe0f}", "two\nlines"]
        {
            assert_eq!(escaped(plain, kept), plain);
        }
        let all = "\u{1b}]0;x\u{7}|\u{9b}2J|\r|\u{202e}|\u{2066}|\u{200b}|\u{feff}|\u{2028}|\
                   \u{e0041}|\u{ad}";
        let shown = escaped(all, kept);
        assert!(!shown.chars().any(acts), "{shown}");
        assert!(shown.starts_with("\\u{1b}]0;x\\u{7}|\\u{9b}2J|\\u{d}|\\u{202e}|"), "{shown}");
        assert_eq!(first_that_acts("a\u{1b}").as_deref(), Some("U+001B"));
        assert_eq!(first_that_acts("a\n"), Some("U+000A".to_owned()));
        assert_eq!(first_that_acts("é"), None);
    }

    #[test]
    fn a_long_text_is_quoted_by_its_beginning() {
        assert_eq!(shorten(&"é".repeat(64)), "é".repeat(64));
        assert_eq!(shorten(&"é".repeat(65)), "é".repeat(61) + "...");
    }
}
