//! *Purpose*: browsers that somebody has let in by `downbeat web`.
//!
//! *Owns*: [`WebSessions`], codes and what they are exchanged for; [`Maker`], who had a code made.
//!
//! *Promises*: a code is good once, and for a minute; a session for a working day. Nothing here
//! outlives the server, and of no text more than its hash is kept.
//!
//! *Not here*: the routes (`api::web_login`), who asks with a session (`api::web_caller`), tokens
//! of users (`api::tokens`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::config::Secret;
use crate::job::ids::Uid;
use crate::kernel::access::{Origin, Role};
use crate::time::Time;

/// How long a code is good for, seconds: it is followed at once, or somebody else has read it.
pub const CODE_FOR_S: i64 = 60;
/// How long a session lasts, seconds: a working day, and no stolen laptop opens it the next.
pub const SESSION_FOR_S: i64 = 12 * 3_600;
/// Codes and sessions of one person: his browsers, and then some. Of more the oldest ends.
const OF_ONE_MAX: usize = 16;
/// Codes and sessions of all: each takes some hundred bytes.
const OF_ALL_MAX: usize = 4_096;
/// What every code begins with, so that one in a file is seen to be one.
const CODE: &str = "dbc_";
/// What every session's text begins with.
const SESSION: &str = "dbs_";
/// What the number of a session begins with where the history names it; no token's does.
const NUMBER: &str = "web-";
/// Bytes of a hash that are a number.
const NUMBER_BYTES: usize = 6;

type Hash = [u8; 32];

/// How whoever had a code made was known.
#[derive(Clone, Debug)]
pub enum By {
    /// By his connection.
    Connection,
    /// By a token of his own, of this number.
    OwnToken(Arc<str>),
    /// By a token of a server of one user.
    ServerToken(Secret),
}

/// Who had a code made.
#[derive(Clone, Debug)]
pub struct Maker {
    /// His number, where it was known.
    pub uid: Option<Uid>,
    /// His name.
    pub name: Arc<str>,
    /// What he was then.
    pub role: Role,
    /// How he was known.
    pub by: By,
}

/// A code or a session that is open.
#[derive(Clone, Debug)]
pub struct Open {
    /// How the history names it.
    pub number: Arc<str>,
    /// Who had it made.
    pub maker: Maker,
    /// From when on it opens nothing.
    pub expires: Time,
}

/// Those that are open.
#[derive(Debug, Default)]
struct Shelf(HashMap<Hash, Open>);

impl Shelf {
    /// One more.
    fn put(&mut self, text: &str, maker: Maker, (now, expires): (Time, Time)) -> Option<Open> {
        self.0.retain(|_, one| now < one.expires);
        let is_his = |one: &Open| (one.maker.uid, &one.maker.name) == (maker.uid, &maker.name);
        let his = || self.0.iter().filter(|(_, one)| is_his(one));
        if his().count() >= OF_ONE_MAX
            && let Some((oldest, _)) = his().min_by_key(|(_, one)| one.expires)
        {
            let oldest = *oldest;
            self.0.remove(&oldest);
        }
        if self.0.len() >= OF_ALL_MAX {
            return None;
        }
        let hash = hash(text);
        let digits = hash.iter().take(NUMBER_BYTES).map(|byte| format!("{byte:02x}"));
        let number = format!("{NUMBER}{}", digits.collect::<String>()).into();
        let one = Open { number, maker, expires };
        self.0.insert(hash, one.clone());
        Some(one)
    }
}

/// What is looked up is a hash, which whoever guesses does not choose: how long that takes tells
/// him nothing.
fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// A text that nobody guesses, of so many times 122 random bits.
fn text(prefix: &str, times: usize) -> String {
    let random = (0..times).map(|_| uuid::Uuid::new_v4().simple().to_string());
    format!("{prefix}{}", random.collect::<String>())
}

/// Codes and sessions.
#[derive(Debug, Default)]
pub struct WebSessions {
    /// Where the server is reached, as `http://HOST:PORT`.
    pub address: String,
    codes: Mutex<Shelf>,
    sessions: Mutex<Shelf>,
}

impl WebSessions {
    /// None yet, of a server at this address.
    #[must_use]
    pub fn at(address: String) -> WebSessions {
        WebSessions { address, ..WebSessions::default() }
    }

    /// A new code: its text, and what is known of it; `None` when there are too many.
    #[must_use]
    pub fn new_code(&self, maker: Maker, now: Time) -> Option<(String, Open)> {
        let text = text(CODE, 1);
        let one = locked(&self.codes).put(&text, maker, (now, now.plus_s(CODE_FOR_S)))?;
        Some((text, one))
    }

    /// Whose code this is; it opens nothing any more.
    #[must_use]
    pub fn use_code(&self, text: &str, now: Time) -> Option<Open> {
        let one = locked(&self.codes).0.remove(&hash(text))?;
        (now < one.expires).then_some(one)
    }

    /// A new session; `None` when there are too many.
    #[must_use]
    pub fn new_session(&self, maker: Maker, now: Time) -> Option<(String, Open)> {
        let text = text(SESSION, 2);
        let one = locked(&self.sessions).put(&text, maker, (now, now.plus_s(SESSION_FOR_S)))?;
        Some((text, one))
    }

    /// The session that this text opens.
    #[must_use]
    pub fn session(&self, text: &str, now: Time) -> Option<Open> {
        if !text.starts_with(SESSION) {
            return None;
        }
        let one = locked(&self.sessions).0.get(&hash(text)).cloned()?;
        (now < one.expires).then_some(one)
    }

    /// The session of this number.
    #[must_use]
    pub fn numbered(&self, number: &str, now: Time) -> Option<Open> {
        let sessions = locked(&self.sessions);
        let mut all = sessions.0.values();
        all.find(|one| &*one.number == number && now < one.expires).cloned()
    }

    /// Ends the session of this number.
    pub fn end(&self, number: &str) {
        locked(&self.sessions).0.retain(|_, one| &*one.number != number);
    }
}

/// Whether a request with this origin came with a session.
#[must_use]
pub fn is_session(origin: &Origin) -> bool {
    origin.token.as_deref().is_some_and(|number| number.starts_with(NUMBER))
}

/// A shelf is whole even if whoever looked at it was ended by a bug.
fn locked(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn maker(uid: u32) -> Maker {
        Maker { uid: Some(Uid(uid)), name: "alice".into(), role: Role::User, by: By::Connection }
    }

    #[test]
    fn a_code_is_good_once_and_for_a_minute() {
        let all = WebSessions::default();
        let now = Time(0);
        let (code, open) = all.new_code(maker(1), now).unwrap();
        assert!(code.starts_with(CODE) && !format!("{all:?}").contains(&code), "{all:?}");
        assert_eq!(open.expires, Time(60_000_000));
        let wrong = code.replace(CODE, SESSION);
        assert!(all.use_code(&wrong, now).is_none() && all.use_code("", now).is_none());
        assert!(all.use_code(&code, Time(59_999_999)).is_some());
        assert!(all.use_code(&code, now).is_none(), "it was used");
        let (late, _) = all.new_code(maker(1), now).unwrap();
        assert!(all.use_code(&late, Time(60_000_000)).is_none());
        assert!(all.use_code(&late, now).is_none(), "one that was late is used too");
    }

    #[test]
    fn a_session_ends_after_a_day_s_work_and_a_code_is_none() {
        let all = WebSessions::default();
        let (code, _) = all.new_code(maker(1), Time(0)).unwrap();
        let (text, open) = all.new_session(maker(1), Time(0)).unwrap();
        assert!(all.session(&code, Time(0)).is_none());
        assert!(all.session(&text, Time(12 * 3_600_000_000 - 1)).is_some());
        assert!(all.session(&text, Time(12 * 3_600_000_000)).is_none());
        assert!(all.numbered(&open.number, Time(0)).is_some());
        all.end(&open.number);
        assert!(all.numbered(&open.number, Time(0)).is_none());
        assert!(all.session(&text, Time(0)).is_none());
    }

    #[test]
    fn there_are_so_many_of_one_and_so_many_of_all() {
        let all = WebSessions::default();
        let of = |uid: u32, at: i64| all.new_session(maker(uid), Time(at)).map(|(text, _)| text);
        let first = of(1, 0).unwrap();
        let second = of(1, 1).unwrap();
        for at in 2..=16 {
            of(1, at).unwrap();
        }
        assert!(all.session(&first, Time(20)).is_none(), "the oldest has ended");
        assert!(all.session(&second, Time(20)).is_some());
        let others = (OF_ALL_MAX - OF_ONE_MAX) / OF_ONE_MAX;
        for uid in 0..others {
            for at in 0..OF_ONE_MAX {
                of(10 + u32::try_from(uid).unwrap(), at.try_into().unwrap()).unwrap();
            }
        }
        assert!(of(2, 21).is_none(), "there are too many");
        assert!(of(1, 21).is_some(), "who has some gets a new one for the oldest");
        assert!(of(2, 13 * 3_600_000_000).is_some(), "those that are over do not count");
    }
}
