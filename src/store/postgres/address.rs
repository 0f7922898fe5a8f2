//! *Purpose*: where a PostgreSQL database is.
//!
//! *Owns*: [`Address`], read from a URL.
//!
//! *Promises*: what is shown of it holds no password.
//!
//! *Not here*: what else a URL may say, which libpq reads.

use std::fmt::{self, Debug, Display, Formatter};

/// The schema that is used where the URL names none.
pub const USUAL_SCHEMA: &str = "downbeat";
/// PostgreSQL cuts longer names off.
const SCHEMA_BYTES_MAX: usize = 63;
/// Our own word among the options of the URL.
const SCHEMA: &str = "schema";
/// Options of libpq whose values are secret.
const SECRET: [&str; 2] = ["password", "sslpassword"];
/// Who reads this has a password with a sign that ends it.
const UNWRITTEN: &str = "has a user or a password with a sign in it that has to be written in \
     percent: @ as %40, / as %2F, ? as %3F, # as %23";
/// What stands in place of a secret.
const HIDDEN: &str = "***";

/// Where a database is, and in which schema.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// What libpq is told.
    url: String,
    schema: String,
    shown: String,
}

impl Address {
    /// Reads `postgres://user:password@host:port/database?options`, among the options perhaps
    /// `schema`.
    ///
    /// # Errors
    /// A sentence without the URL.
    pub fn parse(text: &str) -> Result<Address, String> {
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let rest = rest.ok_or("begins with neither postgres:// nor postgresql://")?;
        if text.contains('\0') {
            return Err("holds a NUL byte".to_owned());
        }
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        // libpq would take a part of such a password for a host or a port, and say it.
        let (before, behind) = rest.split_once('@').unwrap_or(("", rest));
        if before.contains(['/', '?', '#']) || behind.contains('@') {
            return Err(UNWRITTEN.to_owned());
        }
        let (mut schema, mut kept) = (USUAL_SCHEMA.to_owned(), Vec::new());
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some((SCHEMA, name)) => schema = named(name)?,
                _ => kept.push(option),
            }
        }
        let url = |place: &str, options: &[String]| match options {
            [] => format!("postgres://{place}"),
            all => format!("postgres://{place}?{}", all.join("&")),
        };
        let all: Vec<String> = kept.iter().map(ToString::to_string).collect();
        let mut open: Vec<String> = kept.into_iter().map(hidden).collect();
        if schema != USUAL_SCHEMA {
            open.push(format!("{SCHEMA}={schema}"));
        }
        Ok(Address { url: url(place, &all), shown: url(&without_password(place), &open), schema })
    }

    /// What libpq is told. Holds the password.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The schema, a plain name that needs no quotes.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }
}

/// A name that means the same with and without quotes.
fn named(name: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !begins || !name.chars().all(is_plain) || name.len() > SCHEMA_BYTES_MAX {
        return Err(format!(
            "schema is not a name of small letters, digits and _, of at most {SCHEMA_BYTES_MAX}"
        ));
    }
    if name.starts_with("pg_") {
        return Err("schema begins with pg_, which PostgreSQL keeps for itself".to_owned());
    }
    Ok(name.to_owned())
}

fn hidden(option: &str) -> String {
    match option.split_once('=') {
        Some((name, _)) if SECRET.contains(&name) => format!("{name}={HIDDEN}"),
        _ => option.to_owned(),
    }
}

/// `user:password@host` with the password hidden. An address without `@` has none.
fn without_password(place: &str) -> String {
    let Some((who, rest)) = place.split_once('@') else { return place.to_owned() };
    match who.split_once(':') {
        Some((user, _)) => format!("{user}:{HIDDEN}@{rest}"),
        None => format!("{who}@{rest}"),
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Debug for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (text, shown) in [
            ("postgres://me:hunter2@h:5433/db", "postgres://me:***@h:5433/db"),
            ("postgresql://me:hun%40ter2@h/db", "postgres://me:***@h/db"),
            ("postgres:///db?host=/run&password=hunter2", "postgres:///db?host=/run&password=***"),
            ("postgres://h/db?sslpassword=hunter2&a=b", "postgres://h/db?sslpassword=***&a=b"),
            ("postgres://me@h1,h2/db", "postgres://me@h1,h2/db"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), shown);
        }
    }

    #[test]
    fn the_schema_is_ours_and_libpq_does_not_hear_of_it() {
        let usual = Address::parse("postgres://h/db").unwrap();
        assert_eq!((usual.url(), usual.schema()), ("postgres://h/db", "downbeat"));
        let other = Address::parse("postgres://h/db?schema=two&connect_timeout=3").unwrap();
        assert_eq!((other.url(), other.schema()), ("postgres://h/db?connect_timeout=3", "two"));
        assert_eq!(other.to_string(), "postgres://h/db?connect_timeout=3&schema=two");
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for (text, said) in [
            ("mysql://me:hunter2@h/db", "begins with neither"),
            ("postgres://me:hun@ter2@h/db", "has a user or a password"),
            ("postgres://me:hunt/er2@h/db", "has a user or a password"),
            ("postgres://me:hunt?er2@h/db", "has a user or a password"),
            ("postgres://me:hunt#er2@h/db", "has a user or a password"),
            ("postgres://me:hunter2@h/db?schema=A", "schema is not a name"),
            ("postgres://me:hunter2@h/db?schema=a;drop", "schema is not a name"),
            ("postgres://me:hunter2@h/db?schema=", "schema is not a name"),
            ("postgres://me:hunter2@h/db?schema=pg_x", "schema begins with pg_"),
        ] {
            let refused = Address::parse(text).unwrap_err();
            assert!(refused.starts_with(said), "{refused}");
            assert!(!refused.contains("hun") && !refused.contains("er2"), "{refused}");
        }
    }
}
