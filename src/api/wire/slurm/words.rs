//! *Purpose*: how Slurm writes what everybody has: states, times, spans, sizes.
//!
//! *Owns*: the words of states, and the forms of times and spans.
//!
//! *Promises*: no state has a word that Slurm does not have; times are of this place's clock.
//!
//! *Not here*: which field has which form (`slurm::facts` of the wire).
//!
//! Source: squeue(1), sacct(1) of Slurm 22.05, and what its programs answered.

use crate::clock::{self, LocalTime};
use crate::job::state::StateWord;
use crate::time::{SECOND_US, Time};

/// Every state that Slurm has a word for: in full, and as `squeue` shortens it.
const STATES: &[(&str, &str)] = &[
    ("PENDING", "PD"),
    ("RUNNING", "R"),
    ("SUSPENDED", "S"),
    ("COMPLETED", "CD"),
    ("CANCELLED", "CA"),
    ("FAILED", "F"),
    ("TIMEOUT", "TO"),
    ("NODE_FAIL", "NF"),
    ("PREEMPTED", "PR"),
    ("BOOT_FAIL", "BF"),
    ("DEADLINE", "DL"),
    ("OUT_OF_MEMORY", "OOM"),
    ("COMPLETING", "CG"),
    ("CONFIGURING", "CF"),
    ("RESIZING", "RS"),
    ("RESV_DEL_HOLD", "RD"),
    ("REQUEUED", "RQ"),
    ("REQUEUE_FED", "RF"),
    ("REQUEUE_HOLD", "RH"),
    ("REVOKED", "RV"),
    ("SIGNALING", "SI"),
    ("SPECIAL_EXIT", "SE"),
    ("STAGE_OUT", "SO"),
    ("STOPPED", "ST"),
];

/// The state of a running job that is suspended: for us it runs all the same.
pub const SUSPENDED: &str = "SUSPENDED";

/// The short word of a state.
#[must_use]
pub fn short(state: &str) -> &'static str {
    STATES.iter().find(|(word, _)| *word == state).map_or("", |(_, short)| short)
}

/// The word of a state that is asked for by either of its words, in any case; `None` when Slurm
/// has none such.
#[must_use]
pub fn asked(word: &str) -> Option<&'static str> {
    let is_it = |(long, short): &&(&str, &str)| {
        word.eq_ignore_ascii_case(long) || word.eq_ignore_ascii_case(short)
    };
    STATES.iter().find(is_it).map(|(long, _)| *long)
}

/// The state of ours that jobs are in which Slurm has in this one; `None` when none here ever is.
#[must_use]
pub fn ours(word: &str) -> Option<StateWord> {
    if word == SUSPENDED { Some(StateWord::Running) } else { word.parse().ok() }
}

/// All words, as an error lists them.
#[must_use]
pub fn all_states() -> String {
    let words: Vec<&str> = STATES.iter().map(|(word, _)| *word).collect();
    words.join(",")
}

/// `2026-11-28T08:22:27`, of this place's clock; of what is not known `unknown`.
#[must_use]
pub fn moment(text: Option<&str>, unknown: &str) -> String {
    match text.and_then(clock::parse_rfc3339) {
        Some(time) => local(time),
        None => unknown.to_owned(),
    }
}

/// The same of a time.
#[must_use]
pub fn local(time: Time) -> String {
    let LocalTime { year, month, day, hour, minute, second } = LocalTime::of(time);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Seconds since 1970, for JSON; 0 of what is not known.
#[must_use]
pub fn epoch(text: Option<&str>) -> i64 {
    text.and_then(clock::parse_rfc3339).map_or(0, seconds)
}

/// The same of a time.
#[must_use]
pub fn seconds(time: Time) -> i64 {
    time.since_us(Time::default()) / SECOND_US
}

/// `1-02:03:04` or `02:03:04`.
#[must_use]
pub fn span(seconds: i64) -> String {
    let (days, hours, minutes, seconds) = parts(seconds);
    match days {
        0 => format!("{hours:02}:{minutes:02}:{seconds:02}"),
        _ => format!("{days}-{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// The same as `squeue` has it: `0:05`, `2:03:04`, `1-02:03:04`.
#[must_use]
pub fn short_span(seconds: i64) -> String {
    let (days, hours, minutes, seconds) = parts(seconds);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{seconds:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => span(((days * 24 + hours) * 60 + minutes) * 60 + seconds),
    }
}

fn parts(seconds: i64) -> (i64, i64, i64, i64) {
    let seconds = seconds.max(0);
    (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
}

/// Memory: `100M`, `2G`; of bytes that are no whole MiB `1.50M`.
#[must_use]
pub fn memory(bytes: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
    for (shift, unit) in UNITS {
        if bytes >> shift > 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    match bytes {
        0 => "0".to_owned(),
        bytes => format!("{:.2}M", bytes as f64 / f64::from(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_ours_has_a_word_of_slurm_s() {
        for state in StateWord::ALL {
            assert!(!short(state.word()).is_empty(), "{state}");
            assert_eq!(asked(short(state.word())).map(ours), Some(Some(*state)));
        }
        assert_eq!((asked("pd"), asked("s")), (Some("PENDING"), Some(SUSPENDED)));
        assert_eq!((ours(SUSPENDED), ours("STOPPED")), (Some(StateWord::Running), None));
        assert_eq!(asked("foo"), None);
    }

    #[test]
    fn spans_are_written_as_slurm_writes_them() {
        for (seconds, long, brief) in [
            (0, "00:00:00", "0:00"),
            (65, "00:01:05", "1:05"),
            (7_384, "02:03:04", "2:03:04"),
            (93_784, "1-02:03:04", "1-02:03:04"),
        ] {
            assert_eq!((span(seconds).as_str(), short_span(seconds).as_str()), (long, brief));
        }
        assert_eq!(memory(100 << 20), "100M");
        assert_eq!((memory(2 << 30), memory(3 << 19)), ("2G".to_owned(), "1536K".to_owned()));
    }
}
