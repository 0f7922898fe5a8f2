//! *Purpose*: the words between supervisors, the step daemon and the server.
//!
//! *Owns*: [`Notice`], its line of text, and the pipe that the lines of supervisors go through.
//!
//! *Promises*: a notice is a hint: losing one loses time, never truth, which is in the spool.
//! A line fits `PIPE_BUF`, so that many supervisors may write to one pipe.
//!
//! *Not here*: the truth (`spool`), who hears the lines (`notice_reader`), what a hint wakes
//! (`attempts`).

use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PIPE_BUF, PipeFlags};

use crate::engine::ExitRecord;

/// Room for what supervisors say while the server is busy or stopped: the most that an ordinary
/// user may ask for.
const PIPE_BYTES: usize = 1024 * 1024;
/// The longest sentence in a line: with its name it fits `PIPE_BUF`, whatever the letters.
const SENTENCE_CHARS_MAX: usize = 800;

/// One notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The step daemon holds its lock: no other can start anything from now on.
    Ready,
    /// The daemon did not take the order of this name, and why; nothing was started.
    NotTaken(String, String),
    /// The machine is short of something that the attempt of this name waits for.
    Trouble(String, String),
    /// The supervisor gave the order of this name back, and why; nothing was started.
    GivenBack(String, String),
    /// The script of this name was spawned or is being stopped.
    Changed(String),
    /// The record of this name is written, says its supervisor; the record itself if it fits.
    Ended(String, Option<Box<ExitRecord>>),
    /// The step daemon saw the supervisor of this name die, and does not know of a record.
    Died(String),
}

impl Notice {
    /// As a line, its end included.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Notice::Ready => "ready\n".to_owned(),
            Notice::NotTaken(name, why) => format!("not-taken {name} {}\n", sentence(why)),
            Notice::GivenBack(name, why) => format!("given-back {name} {}\n", sentence(why)),
            Notice::Trouble(name, why) => format!("trouble {name} {}\n", sentence(why)),
            Notice::Changed(name) => format!("changed {name}\n"),
            Notice::Ended(name, record) => ended(name, record.as_deref()),
            Notice::Died(name) => format!("died {name}\n"),
        }
    }

    /// Reads a line without its end; `None` for what no daemon of this version writes.
    #[must_use]
    pub fn parse(line: &str) -> Option<Notice> {
        let mut words = line.splitn(3, ' ');
        let notice = match (words.next()?, words.next()) {
            ("ready", None) => Notice::Ready,
            (word @ ("not-taken" | "given-back" | "trouble"), Some(name)) => {
                let (name, why) = (name.to_owned(), words.next()?.to_owned());
                return Some(match word {
                    "trouble" => Notice::Trouble(name, why),
                    "given-back" => Notice::GivenBack(name, why),
                    _ => Notice::NotTaken(name, why),
                });
            }
            ("changed", Some(name)) => Notice::Changed(name.to_owned()),
            ("ended", Some(name)) => {
                let record = words.next().map(serde_json::from_str).transpose().ok()?;
                return Some(Notice::Ended(name.to_owned(), record));
            }
            ("died", Some(name)) => Notice::Died(name.to_owned()),
            _ => return None,
        };
        words.next().is_none().then_some(notice)
    }
}

/// With the record, if a pipe takes that as a whole: who hears it need not read the file.
fn ended(name: &str, record: Option<&ExitRecord>) -> String {
    let record = record.and_then(|record| serde_json::to_string(record).ok());
    let line = record.map(|record| format!("ended {name} {record}\n"));
    line.filter(|line| line.len() <= PIPE_BUF).unwrap_or_else(|| format!("ended {name}\n"))
}

/// A sentence that is part of a line: short, and without an end of line.
fn sentence(why: &str) -> String {
    let plain = why.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(SENTENCE_CHARS_MAX).collect()
}

/// The pipe of all supervisors: the server's end, and the one that they write to. Who writes never
/// waits: what has no room is lost, as a hint may be.
///
/// # Errors
/// When no descriptor is left.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // The usual 64 KiB are what a thousand jobs say that are cancelled at once.
    let _as_it_is = rustix::pipe::fcntl_setpipe_size(&theirs, PIPE_BYTES);
    Ok((ours, theirs))
}

/// Tells the server, if there is one and its pipe has room; answers whether.
pub fn hint(pipe: &OwnedFd, notice: &Notice) -> bool {
    rustix::io::write(pipe, notice.line().as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::job::outcome::Usage;

    fn record(sentence: &str) -> Box<ExitRecord> {
        Box::new(ExitRecord {
            version: 1,
            exit_code: None,
            stop: None,
            launch_error: Some(sentence.to_owned()),
            handle: None,
            end_time: clock::now(),
            usage: Usage::default(),
            out_of_memory: None,
            left_behind: vec!["17 (a name\nof two lines)".to_owned()],
        })
    }

    #[test]
    fn a_record_that_does_not_fit_is_left_where_it_is_written() {
        let line = Notice::Ended("17.1.ab".to_owned(), Some(record(&"x".repeat(PIPE_BUF)))).line();
        assert_eq!(line, "ended 17.1.ab\n");
    }

    #[test]
    fn every_notice_survives_its_line() {
        let name = || "17.1.ab".to_owned();
        for notice in [
            Notice::Ready,
            Notice::NotTaken(name(), "no process, for now".to_owned()),
            Notice::GivenBack(name(), "no process".to_owned()),
            Notice::Trouble(name(), "short of memory".to_owned()),
            Notice::Changed(name()),
            Notice::Ended(name(), None),
            Notice::Ended(name(), Some(record("interpreter /no/such not found"))),
            Notice::Died(name()),
        ] {
            assert_eq!(Notice::parse(notice.line().trim_end()), Some(notice));
        }
        for line in
            ["", "ready now", "changed", "ended", "ended 17.1.ab x", "hello you", "trouble 17.1.ab"]
        {
            assert_eq!(Notice::parse(line), None, "{line:?}");
        }
    }
}
