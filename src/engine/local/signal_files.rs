//! *Purpose*: signals on their way from the server to a supervisor, a file each in the attempt's
//! folder: `signal.<number>`.
//!
//! *Owns*: these files.
//!
//! *Promises*: a file is whole or not there; what was written for another attempt of a used folder
//! is nobody's; who takes one has removed it, so that it is done once.
//!
//! *Not here*: what else is in the folder (`spool`), sending (`attempt_watch`).
//!
//! Why a file each: a file that both sides change would need a lock between them, and whoever
//! writes `control` anew may replace what nobody has read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};

use super::plain;
use super::spool::Folder;
use crate::engine::EngineError;
use crate::job::ids::EventId;
use crate::job::signal::{NumberedSignal, Signal};

/// How their names begin.
const PREFIX: &str = "signal.";
/// The longest that is read: a key, a number and a word.
const BYTES_MAX: u64 = 1024;

/// Writes a signal for the attempt of this name. Doing it again is harmless.
///
/// # Errors
/// When the system refuses.
pub fn write(folder: &Folder, name: &str, signal: NumberedSignal) -> Result<(), EngineError> {
    let NumberedSignal { no, signal: Signal { number, to } } = signal;
    let (file, new) = (format!("{PREFIX}{no}"), folder.file("new.signal"));
    plain::open_own(&new, OpenOptions::new().write(true).create(true))
        .and_then(|mut new| {
            new.set_len(0)?;
            new.write_all(format!("{name} {number} {}\n", to.word()).as_bytes())
        })
        .and_then(|()| plain::replace(&new, &folder.file(&file)))
        .map_err(|e| folder.error(&file, e))
}

/// Takes the signals of the attempt of this name behind this one out of its folder, in order.
#[must_use]
pub fn take(folder: &Folder, name: &str, done: EventId) -> Vec<NumberedSignal> {
    let entries = fs::read_dir(folder.file("")).into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.strip_prefix(PREFIX)?.parse().ok().map(EventId)
    });
    let mut numbers: Vec<EventId> = numbers.collect();
    numbers.sort_unstable();
    let taken = numbers.into_iter().filter_map(|no| {
        let path = folder.file(&format!("{PREFIX}{no}"));
        let text = plain::read(&path, BYTES_MAX).unwrap_or_default();
        // One that cannot be removed is known by its number the next time.
        let _gone: io::Result<()> = fs::remove_file(&path);
        let signal = read(&String::from_utf8_lossy(&text), name)?;
        Some(NumberedSignal { no, signal }).filter(|_| no > done)
    });
    taken.collect()
}

fn read(text: &str, name: &str) -> Option<Signal> {
    let rest = text.strip_suffix('\n')?.strip_prefix(name)?.strip_prefix(' ')?;
    let (number, to) = rest.split_once(' ')?;
    Some(Signal { number: number.parse().ok()?, to: to.parse().ok()? })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::job::signal::Recipients;

    fn numbered(no: i64) -> NumberedSignal {
        NumberedSignal { no: EventId(no), signal: Signal { number: 10, to: Recipients::Script } }
    }

    #[test]
    fn each_is_taken_once_and_in_order() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::at(home.path().to_owned());
        for no in [11, 9, 10] {
            write(&folder, "7.1.nonce", numbered(no)).unwrap();
        }
        let taken = take(&folder, "7.1.nonce", EventId(9));
        assert_eq!(taken, [numbered(10), numbered(11)], "9 was done before");
        assert_eq!(take(&folder, "7.1.nonce", EventId(9)), [], "all are gone");
    }

    #[test]
    fn what_is_no_signal_of_this_attempt_is_nothing() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::at(home.path().to_owned());
        write(&folder, "6.1.nonce", numbered(1)).unwrap();
        for (no, text) in [(2, "7.1.nonce 10 script"), (3, "7.1.nonce 10 them\n"), (4, "")] {
            fs::write(folder.file(&format!("{PREFIX}{no}")), text).unwrap();
        }
        assert_eq!(take(&folder, "7.1.nonce", EventId(0)), []);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
