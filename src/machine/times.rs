//! *Purpose*: how busy each CPU was between two looks.
//!
//! *Owns*: [`Times`], one reading of `/proc/stat`.
//!
//! *Promises*: a CPU that one of the two looks does not show, or whose counters stood still or ran
//! backwards, has no load.
//!
//! *Not here*: when it is looked (`watch`).
//!
//! Source: proc_stat(5). Time that waits for a disk is idle: the CPU could be used. Time of a guest
//! is in that of its user already.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Below the root.
const STAT: &str = "proc/stat";
/// The most that is read of it: the lines of CPUs come first, some 100 bytes each, and 2,048 of
/// them have room.
const STAT_BYTES_MAX: u64 = 256 * 1024;
/// All of a CPU's time, per mille.
const ALL: u64 = 1_000;
/// The columns of time that count; those of guests follow.
const COLUMNS: usize = 8;

/// The counters of each CPU, in ticks since the machine started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times(BTreeMap<u32, Ticks>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    busy: u64,
    all: u64,
}

impl Times {
    /// Reads them on the machine whose root this is (`/`).
    ///
    /// # Errors
    /// When it cannot be read, or is not understood.
    pub fn read(root: &Path) -> io::Result<Times> {
        let mut text = String::new();
        File::open(root.join(STAT))?.take(STAT_BYTES_MAX).read_to_string(&mut text)?;
        let times = Times::parse(&text);
        times.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is not understood"))
    }

    fn parse(text: &str) -> Option<Times> {
        let mut lines = text.split_inclusive('\n').peekable();
        // The first is the sum of all.
        lines.next().filter(|line| line.starts_with("cpu "))?;
        let mut times = BTreeMap::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("cpu")) {
            // One that was cut is no line.
            let (name, ticks) = line.strip_suffix('\n')?.split_once(' ')?;
            times.insert(name.strip_prefix("cpu")?.parse().ok()?, Ticks::parse(ticks)?);
        }
        Some(Times(times))
    }

    /// The load of each CPU since an earlier look, per mille of its time.
    #[must_use]
    pub fn load_since(&self, before: &Times) -> BTreeMap<u32, u16> {
        let load = |(cpu, now): (&u32, &Ticks)| {
            let before = before.0.get(cpu)?;
            let all = now.all.checked_sub(before.all).filter(|all| *all > 0)?;
            let busy = now.busy.checked_sub(before.busy)?.min(all);
            Some((*cpu, u16::try_from(busy.saturating_mul(ALL) / all).ok()?))
        };
        self.0.iter().filter_map(load).collect()
    }
}

impl Ticks {
    /// `user nice system idle iowait irq softirq steal`.
    fn parse(text: &str) -> Option<Ticks> {
        let columns = text.split_whitespace().take(COLUMNS).map(str::parse);
        let columns: Vec<u64> = columns.collect::<Result<_, _>>().ok()?;
        let all = columns.iter().try_fold(0_u64, |sum, ticks| sum.checked_add(*ticks))?;
        let idle = columns.get(3)?.checked_add(*columns.get(4)?)?;
        Some(Ticks { busy: all - idle, all })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn times(cpus: &str) -> Option<Times> {
        Times::parse(&format!("cpu  9 9 9 9 9 9 9 9 9 9\n{cpus}intr 7 0\n"))
    }

    #[test]
    fn load_is_what_was_done_of_the_time_between_two_looks() {
        let before = times("cpu0 10 0 10 80 0 0 0 0 0 0\ncpu7 5 5 5 5 5 5 5 5 5 5\n").unwrap();
        let after = times("cpu0 60 0 35 95 10 0 0 0 50 0\ncpu7 5 5 5 105 5 5 5 5 5 5\n").unwrap();
        let load = after.load_since(&before);
        assert_eq!(load, BTreeMap::from([(0, 750), (7, 0)]), "a wait for a disk is idle");
    }

    #[test]
    fn what_is_not_known_of_a_cpu_is_no_load() {
        let before = times("cpu0 9 0 0 9 0 0 0 0 0 0\ncpu1 9 0 0 9 0 0 0 0 0 0\n").unwrap();
        for (now, why) in [
            ("cpu0 9 0 0 9 0 0 0 0 0 0\n", "no time went by"),
            ("cpu0 8 0 0 20 0 0 0 0 0 0\n", "its work ran backwards"),
            ("cpu0 1 0 0 1 0 0 0 0 0 0\n", "it was counted anew"),
            ("cpu2 99 0 0 99 0 0 0 0 0 0\n", "it was not there"),
        ] {
            assert_eq!(times(now).unwrap().load_since(&before), BTreeMap::new(), "{why}");
        }
    }

    #[test]
    fn what_is_not_understood_is_no_reading() {
        for text in ["", "intr 7\n", "cpu  1\ncpu0 1 2 3\n", "cpu  1\ncpux 1 2 3 4 5\n"] {
            assert_eq!(Times::parse(text), None, "{text}");
        }
        assert_eq!(Times::parse("cpu  1\ncpu0 1 2 3 4 5 6 7 8"), None, "a line that was cut");
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Times::read(root.path()).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!Times::read(Path::new("/")).unwrap().0.is_empty(), "this machine has one");
    }
}
