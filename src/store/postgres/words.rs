//! *Purpose*: SQL as PostgreSQL speaks it.
//!
//! *Owns*: the words of statements that are not the same for each database.
//!
//! *Promises*: a statement has an order that one index alone has.
//!
//! *Not here*: statements (`store::body`).

/// Begins a transaction that writes: the lock of the session keeps others away.
pub const BEGIN: &str = "BEGIN";
/// Inserts rows.
pub const INSERT: &str = "INSERT INTO ";
/// No statement names its index.
pub const IS_TOLD_INDEXES: bool = false;
/// The greatest of several values; those that are nothing do not count.
pub const GREATEST: &str = "greatest";
/// The least of several values, likewise.
pub const LEAST: &str = "least";

pub use diesel::pg::PgRowByRowLoadingMode as RowByRow;

/// The table of jobs; the order of the statement says along which index it is walked.
pub fn jobs(this: &str, _index: Option<&str>) -> String {
    format!("jobs AS {this}")
}

/// Each row with that of its job, in this order (`join_collapse_limit`).
pub fn joined(this: &str, id: &str) -> String {
    format!(" JOIN jobs AS {this} ON {this}.id = {id}")
}

/// Tests a text by a pattern of `*`, `?` and `[…]`: the sign between them, and the pattern, as a
/// regular expression.
pub fn like(pattern: &str) -> (&'static str, String) {
    ("~", regular(pattern))
}

/// The pattern as a regular expression; one whose bracket is not closed matches nothing.
fn regular(pattern: &str) -> String {
    const NOTHING: &str = "^\\A(?!)";
    let mut signs = pattern.chars().peekable();
    let mut regular = String::from("^");
    while let Some(sign) = signs.next() {
        match sign {
            '*' => regular.push_str(".*"),
            '?' => regular.push('.'),
            '[' => {
                regular.push('[');
                let mut is_first = true;
                if signs.peek() == Some(&'^') {
                    regular.push('^');
                    signs.next();
                }
                loop {
                    let Some(sign) = signs.next() else { return NOTHING.to_owned() };
                    match sign {
                        ']' if !is_first => break,
                        '\\' | '[' | ']' => regular.extend(['\\', sign]),
                        sign => regular.push(sign),
                    }
                    is_first = false;
                }
                regular.push(']');
            }
            sign if sign.is_alphanumeric() || sign == '_' => regular.push(sign),
            // A sign before which a stroke stands means itself.
            sign if sign.is_ascii() => regular.extend(['\\', sign]),
            sign => regular.push(sign),
        }
    }
    regular.push('$');
    regular
}

/// These columns hold nothing.
pub fn nothing_in(columns: &str) -> String {
    format!("ROW({columns}) IS NULL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_same_in_other_words() {
        for (pattern, is) in [
            ("a*b?", r"^a.*b.$"),
            ("[a-c]x", r"^[a-c]x$"),
            ("[^a]", r"^[^a]$"),
            ("[]a]", r"^[\]a]$"),
            ("a.b+(c)|$", r"^a\.b\+\(c\)\|\$$"),
            (r"back\slash", r"^back\\slash$"),
            ("é€", "^é€$"),
        ] {
            assert_eq!(regular(pattern), is, "{pattern}");
        }
        assert!(!regular("[a").contains('['));
    }
}
