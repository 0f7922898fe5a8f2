//! *Purpose*: tokens of users.
//!
//! *Owns*: [`Token`], what is kept of one; [`Minted`], one that was just made.
//!
//! *Promises*: the text of a token stands in [`Minted`] alone; what is kept proves only that a text
//! that comes is the one that was given out.
//!
//! *Not here*: whose a request is (`api::by_token`), the table (`store::body::tokens`), chance
//! (`api::tokens`).

use std::fmt::Write;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::job::ids::Uid;
use crate::kernel::access::Role;
use crate::time::Time;

/// What every token begins with, so that one in a file or a log is seen to be one.
const PREFIX: &str = "dbt_";
/// Characters of a token's number.
const ID_LEN: usize = 12;
/// Longest text that is looked at: one that is longer is none of ours.
const TEXT_MAX: usize = 128;

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its number: the part of its text that may be shown.
    pub id: String,
    /// Whose it is.
    pub uid: Uid,
    /// The name that he had when it was made; a number that is another's by now opens nothing.
    pub user: String,
    /// What he calls it.
    pub name: String,
    /// The most that it lets him be.
    pub role: Role,
    /// SHA-256 of its text, hex.
    pub hash: String,
    /// When it was made.
    pub created: Time,
    /// From when on it opens nothing.
    pub expires: Time,
}

/// Whose a new token is, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whose: number and name.
    pub user: (Uid, String),
    /// What he calls it.
    pub name: String,
    /// The most that it lets him be.
    pub role: Role,
    /// How long it is good for, seconds.
    pub for_s: i64,
}

/// A token and its text, which is shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct Minted {
    /// What is kept.
    pub token: Token,
    /// What is sent.
    pub text: String,
}

impl Minted {
    /// A new token of these random digits: the first are its number, the rest its secret. That must
    /// be more than anybody can guess, since its hash has no salt.
    #[must_use]
    pub fn of(random: &str, wanted: Wanted, now: Time) -> Minted {
        let (id, secret) = random.split_at_checked(ID_LEN).unwrap_or((random, ""));
        let (id, text) = (id.to_owned(), format!("{PREFIX}{id}_{secret}"));
        let Wanted { user: (uid, user), name, role, for_s } = wanted;
        let (hash, expires) = (hash(&text), now.plus_s(for_s));
        Minted { token: Token { id, uid, user, name, role, hash, created: now, expires }, text }
    }
}

impl Token {
    /// The number of the token that this text would be; `None` when it is none of ours.
    #[must_use]
    pub fn id_in(text: &str) -> Option<&str> {
        let rest = text.strip_prefix(PREFIX).filter(|_| text.len() <= TEXT_MAX)?;
        let (id, _) = rest.split_once('_')?;
        (id.len() == ID_LEN && id.bytes().all(|b| b.is_ascii_alphanumeric())).then_some(id)
    }

    /// Whether this text opens it now.
    #[must_use]
    pub fn opens(&self, text: &str, now: Time) -> bool {
        let is_its: bool = self.hash.as_bytes().ct_eq(hash(text).as_bytes()).into();
        is_its & (now < self.expires)
    }
}

fn hash(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a text does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn minted(random: char) -> Minted {
        let random = format!("0123456789a{}", random.to_string().repeat(65));
        let user = (Uid(1_000), "alice".to_owned());
        let wanted = Wanted { user, name: "laptop".into(), role: Role::User, for_s: 60 };
        Minted::of(&random, wanted, Time(1))
    }

    #[test]
    fn only_its_own_whole_text_opens_a_token_and_only_until_it_expires() {
        let Minted { token, text } = minted('b');
        assert_eq!(Token::id_in(&text), Some(token.id.as_str()));
        assert!(token.opens(&text, Time(1)));
        assert!(token.opens(&text, Time(60_000_000)));
        assert!(!token.opens(&text, token.expires), "it has expired");
        let other = minted('c');
        assert_ne!((&other.text, &other.token.id), (&text, &token.id));
        let secret = other.text.rsplit_once('_').unwrap().1;
        let swapped = format!("dbt_{}_{secret}", token.id);
        for wrong in [&text[..text.len() - 1], &format!("{text}0"), &swapped, "", &token.hash] {
            assert!(!token.opens(wrong, Time(1)), "{wrong}");
        }
        assert!(!format!("{token:?}").contains(text.rsplit_once('_').unwrap().1));
    }

    #[test]
    fn a_text_that_is_none_of_ours_has_no_number() {
        let long = format!("dbt_0123456789ab_{}", "0".repeat(128));
        for text in ["", "hunter2", "dbt_", "dbt__x", "dbt_0123_x", "dbt_0123456789a'_x", &long] {
            assert_eq!(Token::id_in(text), None, "{text}");
        }
    }
}
