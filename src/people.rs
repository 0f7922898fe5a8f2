//! *Purpose*: users, as this system knows them.
//!
//! *Owns*: all questions to the name service (NSS); [`Directory`], whoever answers them;
//! [`People`], who asks without waiting for ever.
//!
//! *Promises*: somebody who is not known is never taken for somebody. Answers may come from
//! elsewhere than this machine and take their time: [`People`] asks aside, a few questions at a
//! time and one about each user, each with a deadline, and remembers answers for [`REMEMBERED`]. A
//! question that hangs holds up neither the others nor the end of the server.
//!
//! *Not here*: who is at the other end of a connection (`crate::peer`), who may do what
//! (`kernel::access`), which users are served (`config::people`).

use std::ffi::CString;
use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use tokio::sync::Semaphore;

use crate::job::ids::Uid;
use crate::threads::{Apart, Turns};

/// How long an answer is believed: as long as a person takes to notice that he was put into a
/// group. Somebody who is not known is asked for again at once.
pub const REMEMBERED: Duration = Duration::from_secs(60);
/// Longest wait for an answer. A directory elsewhere may hang.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Questions at a time: those that hang keep a thread each.
const ASKED_MAX: usize = 8;
/// Users that are remembered: those of a large site that are there at a time.
const KNOWN_MAX: u64 = 10_000;
/// Groups of one user: what the kernel takes.
const GROUPS_MAX: usize = 65_536;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// His number.
    pub uid: Uid,
    /// His name.
    pub name: String,
    /// The number of his own group.
    pub gid: u32,
    /// The groups that he is in, his own among them.
    pub groups: Vec<Group>,
    /// His home.
    pub home: PathBuf,
    /// His shell.
    pub shell: PathBuf,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub gid: u32,
    /// Its name, where it has one.
    pub name: Option<String>,
}

impl Person {
    /// Whether he is in a group of this name.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own.name.as_deref() == Some(group))
    }
}

/// The directory could not say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the directory of users does not answer: {0}")]
pub struct NoAnswer(pub String);

/// Who knows users. May take its time, and is asked on a thread that may wait.
pub trait Directory: Debug + Send + Sync {
    /// The user with this number; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot say.
    fn by_uid(&self, uid: Uid) -> Result<Option<Person>, NoAnswer>;

    /// The number of the user with this name; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot say.
    fn uid_of(&self, name: &str) -> Result<Option<Uid>, NoAnswer>;
}

/// The name service of this system.
#[derive(Debug)]
pub struct NameService;

impl Directory for NameService {
    fn by_uid(&self, uid: Uid) -> Result<Option<Person>, NoAnswer> {
        let found = nix::unistd::User::from_uid(uid.0.into());
        let Some(user) = found.map_err(no_answer)? else { return Ok(None) };
        let name = CString::new(user.name.clone()).map_err(no_answer)?;
        let gids = nix::unistd::getgrouplist(&name, user.gid).map_err(no_answer)?;
        let group = |gid: nix::unistd::Gid| {
            let name = nix::unistd::Group::from_gid(gid).map_err(no_answer)?;
            Ok(Group { gid: gid.as_raw(), name: name.map(|group| group.name) })
        };
        let groups = gids.into_iter().take(GROUPS_MAX).map(group).collect::<Result<_, _>>()?;
        let (gid, home, shell) = (user.gid.as_raw(), user.dir, user.shell);
        Ok(Some(Person { uid, name: user.name, gid, groups, home, shell }))
    }

    fn uid_of(&self, name: &str) -> Result<Option<Uid>, NoAnswer> {
        let found = nix::unistd::User::from_name(name).map_err(no_answer)?;
        Ok(found.map(|user| Uid(user.uid.as_raw())))
    }
}

fn no_answer(error: impl ToString) -> NoAnswer {
    NoAnswer(error.to_string())
}

/// Asks for users, and remembers them for a while.
#[derive(Clone, Debug)]
pub struct People {
    directory: Arc<dyn Directory>,
    known: Cache<Uid, Arc<Person>>,
    room: Arc<Semaphore>,
    /// One question at a time about each.
    turns: Arc<Turns<Uid>>,
    threads: Arc<Apart>,
    within: Duration,
}

/// Why there is nobody to remember.
#[derive(Clone, Debug)]
enum Missing {
    Nobody,
    Unknown(NoAnswer),
}

impl People {
    /// Those of this directory.
    ///
    /// # Errors
    /// When the system has no thread to ask on.
    pub fn of(directory: Arc<dyn Directory>) -> io::Result<People> {
        let known = Cache::builder().max_capacity(KNOWN_MAX).time_to_live(REMEMBERED).build();
        let room = Arc::new(Semaphore::new(ASKED_MAX));
        let threads = Arc::new(Apart::start("users", 1, ASKED_MAX)?);
        let turns = Arc::new(Turns::new(1));
        Ok(People { directory, known, room, turns, threads, within: ANSWER_WITHIN })
    }

    /// The user with this number; `None` when there is none.
    ///
    /// # Errors
    /// When nobody can say now.
    pub async fn by_uid(&self, uid: Uid) -> Result<Option<Arc<Person>>, NoAnswer> {
        // Of those who want to know the same at a time one asks.
        match self.known.try_get_with(uid, self.find(uid)).await {
            Ok(person) => Ok(Some(person)),
            Err(missing) => match &*missing {
                Missing::Nobody => Ok(None),
                Missing::Unknown(error) => Err(error.clone()),
            },
        }
    }

    /// Asks for somebody once an earlier question about him has its answer, or is late too.
    async fn find(&self, uid: Uid) -> Result<Arc<Person>, Missing> {
        let late = |_| Missing::Unknown(self.late());
        let turn = tokio::time::timeout(self.within, self.turns.of(uid).acquire_owned());
        let turn = turn.await.map_err(late)?;
        let found = self.ask(move |directory| {
            let _until_it_answers = turn;
            directory.by_uid(uid)
        });
        found.await.map_err(Missing::Unknown)?.map(Arc::new).ok_or(Missing::Nobody)
    }

    /// The user with this name; `None` when there is none.
    ///
    /// # Errors
    /// When nobody can say now.
    pub async fn by_name(&self, name: &str) -> Result<Option<Arc<Person>>, NoAnswer> {
        let name = name.to_owned();
        match self.ask(move |directory| directory.uid_of(&name)).await? {
            Some(uid) => self.by_uid(uid).await,
            None => Ok(None),
        }
    }

    fn late(&self) -> NoAnswer {
        NoAnswer(format!("not within {} s", self.within.as_secs()))
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Directory) -> Result<T, NoAnswer> + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let late = |_| self.late();
        let (directory, room) = (Arc::clone(&self.directory), Arc::clone(&self.room));
        let threads = Arc::clone(&self.threads);
        let asked = async move {
            let place = room.acquire_owned().await.map_err(no_answer)?;
            let answer = threads.handle().spawn_blocking(move || {
                let answer = question(&*directory);
                drop(place);
                answer
            });
            answer.await.map_err(no_answer)?
        };
        tokio::time::timeout(self.within, asked).await.map_err(late)?
    }
}

/// Where names come from, for people.
pub const SOURCE: &str = match cfg!(any(target_env = "musl", target_feature = "crt-static")) {
    true => {
        "read from /etc/passwd and /etc/group alone: this build is static, and asks no directory \
         of users (LDAP, sssd)"
    }
    false => "asked for by the system's name services (nsswitch.conf)",
};

/// A user as people call him: `alice (1002)`, or the number alone. Asks, and may wait.
#[must_use]
pub fn named(uid: u32) -> String {
    match name(uid) {
        Some(name) => format!("{name} ({uid})"),
        None => format!("user {uid}"),
    }
}

/// The primary group of a user of this name, and its number. Asks, and may wait.
#[must_use]
pub fn primary_group(name: &str) -> Option<(String, u32)> {
    let user = nix::unistd::User::from_name(name).ok().flatten()?;
    let group = nix::unistd::Group::from_gid(user.gid).ok().flatten()?;
    Some((group.name, user.gid.as_raw()))
}

/// The number of a user of this name. Asks, and may wait.
#[must_use]
pub fn uid(name: &str) -> Option<u32> {
    nix::unistd::User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
}

/// A user's name. Asks, and may wait.
#[must_use]
pub fn name(uid: u32) -> Option<String> {
    nix::unistd::User::from_uid(uid.into()).ok().flatten().map(|user| user.name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::threads;

    #[derive(Debug, Default)]
    struct Slow {
        questions: AtomicUsize,
        /// Answers come when the other end is dropped.
        hangs: Option<Mutex<Receiver<()>>>,
    }

    impl Directory for Slow {
        fn by_uid(&self, uid: Uid) -> Result<Option<Person>, NoAnswer> {
            self.questions.fetch_add(1, Ordering::SeqCst);
            if let Some(gate) = &self.hangs {
                let _opened = gate.lock().unwrap().recv();
            }
            let person = |name: &str| Person {
                uid,
                name: name.to_owned(),
                gid: 7,
                groups: vec![Group { gid: 7, name: Some("art".to_owned()) }],
                home: "/home".into(),
                shell: "/bin/sh".into(),
            };
            Ok((uid.0 == 1002).then(|| person("alice")))
        }

        fn uid_of(&self, name: &str) -> Result<Option<Uid>, NoAnswer> {
            Ok((name == "alice").then_some(Uid(1002)))
        }
    }

    #[test]
    fn somebody_who_is_known_is_remembered_and_nobody_is_not() {
        let runtime = threads::runtime("people", 1, 4).unwrap();
        let directory = Arc::new(Slow::default());
        let people = People::of(directory.clone()).unwrap();
        runtime.block_on(async {
            // Who wants to know the same at the same time hears the same answer.
            let both = futures_util::join!(people.by_uid(Uid(1002)), people.by_uid(Uid(1002)));
            assert!(both.0.is_ok() && both.0 == both.1, "{both:?}");
            for _ in 0..3 {
                let alice = people.by_uid(Uid(1002)).await.unwrap().unwrap();
                assert!(alice.is_in("art") && !alice.is_in("wheel"), "{alice:?}");
            }
            assert_eq!(directory.questions.load(Ordering::SeqCst), 1);
            assert_eq!(people.by_uid(Uid(1)).await.unwrap(), None);
            assert_eq!(people.by_uid(Uid(1)).await.unwrap(), None);
            assert_eq!(directory.questions.load(Ordering::SeqCst), 3);
            assert_eq!(people.by_name("alice").await.unwrap().unwrap().uid, Uid(1002));
            assert_eq!(people.by_name("bob").await.unwrap(), None);
        });
    }

    #[test]
    fn root_is_known_to_the_name_service() {
        let root = NameService.by_uid(Uid(0)).unwrap().unwrap();
        assert_eq!((root.name.as_str(), root.gid), ("root", 0));
        assert!(root.is_in("root") && root.home.is_absolute(), "{root:?}");
        assert_eq!(NameService.uid_of("root").unwrap(), Some(Uid(0)));
        assert_eq!(NameService.by_uid(Uid(u32::MAX - 7)).unwrap(), None);
    }

    #[test]
    fn a_directory_that_hangs_is_given_up_and_keeps_no_more_threads_than_it_may() {
        let runtime = threads::runtime("people", 1, 2 * ASKED_MAX).unwrap();
        let (open, gate) = channel();
        let directory = Arc::new(Slow { hangs: Some(Mutex::new(gate)), ..Slow::default() });
        let mut people = People::of(directory.clone()).unwrap();
        people.within = Duration::from_millis(1);
        runtime.block_on(async {
            let each = (0..3 * ASKED_MAX as u32).map(|n| people.by_uid(Uid(2_000 + n)));
            let answers = futures_util::future::join_all(each).await;
            assert!(answers.iter().all(Result::is_err), "{answers:?}");
        });
        assert!(directory.questions.load(Ordering::SeqCst) <= ASKED_MAX);
        drop(open);
    }
}
