//! *Purpose*: how much was held, waited and ran, minute by minute.
//!
//! *Owns*: [`Samples`], which integrates; [`Levels`] and [`Counts`], what it is told; [`Sample`],
//! a minute.
//!
//! *Promises*: exact: a level counts for as long as it was, however short, so nothing is missed
//! between two looks. Only whole minutes come out, of the clock on the wall, each once: where it is
//! not known what was in a part of a minute there is none.
//!
//! *Not here*: what is held (`kernel::views`), keeping minutes (`store`).

use crate::time::{SECOND_US, Time};

/// The length of a sample, µs.
pub const MINUTE_US: i64 = 60 * SECOND_US;
/// A longer time without a word was no time in which nothing happened: the machine slept, or its
/// clock was set. Somebody speaks each minute.
const SILENCE_US_MAX: i64 = 2 * MINUTE_US;

/// What is so until something else is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// CPUs that jobs hold.
    pub cpus: u64,
    /// Bytes of memory that jobs hold.
    pub memory: u64,
    /// GPUs that jobs hold.
    pub gpus: u64,
    /// Jobs that wait, tasks of arrays among them.
    pub pending: u64,
    /// Jobs that hold CPUs.
    pub running: u64,
}

/// What happened at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Attempts whose scripts were started.
    pub started: u64,
    /// Jobs that completed.
    pub ended_ok: u64,
    /// Jobs that ended in another way.
    pub ended_not_ok: u64,
    /// How long those that were started had waited, all together, µs.
    pub waited_us: i64,
}

/// A minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Its begin.
    pub start: Time,
    /// CPUs times µs.
    pub cpu_us: i64,
    /// Bytes of memory that jobs held, in the mean: as a product they would not have room.
    pub memory_bytes: i64,
    /// GPUs times µs.
    pub gpu_us: i64,
    /// Waiting jobs times µs.
    pub pending_us: i64,
    /// Running jobs times µs.
    pub running_us: i64,
    /// What happened in it.
    pub counts: Counts,
}

/// Integrates; see the module.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    open: Option<Open>,
    /// The end of the last minute that came out: a clock that is set back makes none twice.
    out: Time,
}

#[derive(Clone, Debug)]
struct Open {
    /// The begin of the minute.
    start: Time,
    /// Up to when it is integrated.
    at: Time,
    /// Whether all of it is known.
    is_whole: bool,
    levels: Levels,
    /// Levels times µs: CPUs, memory, GPUs, pending, running.
    sums: [u128; 5],
    counts: Counts,
}

impl Samples {
    /// At this time these levels begin to hold, and that happened. Answers the minutes that are
    /// over by it.
    pub fn at(&mut self, time: Time, levels: Levels, counts: Counts) -> Vec<Sample> {
        let mut over = Vec::new();
        let known =
            self.open.take().filter(|open| (0..=SILENCE_US_MAX).contains(&time.since_us(open.at)));
        let mut open = known.unwrap_or_else(|| Open::new(minute_of(time), time));
        while time >= open.end() {
            open.through(open.end());
            if open.is_whole && open.start >= self.out {
                self.out = open.end();
                over.push(open.sample());
            }
            open = Open { levels: open.levels, ..Open::new(open.end(), open.end()) };
        }
        open.through(time);
        open.levels = levels;
        open.counts.add(counts);
        self.open = Some(open);
        over
    }
}

/// The begin of the minute that a time is in.
#[must_use]
pub fn minute_of(time: Time) -> Time {
    Time(time.0 - time.0.rem_euclid(MINUTE_US))
}

impl Open {
    fn new(start: Time, at: Time) -> Open {
        let (levels, counts) = (Levels::default(), Counts::default());
        Open { start, at, is_whole: start == at, levels, sums: [0; 5], counts }
    }

    fn end(&self) -> Time {
        Time(self.start.0 + MINUTE_US)
    }

    fn through(&mut self, time: Time) {
        let held_us = u128::from(time.since_us(self.at).unsigned_abs());
        let Levels { cpus, memory, gpus, pending, running } = self.levels;
        for (sum, level) in self.sums.iter_mut().zip([cpus, memory, gpus, pending, running]) {
            *sum = sum.saturating_add(u128::from(level) * held_us);
        }
        self.at = time;
    }

    fn sample(&self) -> Sample {
        let least = |sum: u128| i64::try_from(sum).unwrap_or(i64::MAX);
        let [cpu_us, memory_us, gpu_us, pending_us, running_us] = self.sums;
        Sample {
            start: self.start,
            cpu_us: least(cpu_us),
            memory_bytes: least(memory_us / u128::from(MINUTE_US.unsigned_abs())),
            gpu_us: least(gpu_us),
            pending_us: least(pending_us),
            running_us: least(running_us),
            counts: self.counts,
        }
    }
}

impl Counts {
    fn add(&mut self, more: Counts) {
        self.started = self.started.saturating_add(more.started);
        self.ended_ok = self.ended_ok.saturating_add(more.ended_ok);
        self.ended_not_ok = self.ended_not_ok.saturating_add(more.ended_not_ok);
        self.waited_us = self.waited_us.saturating_add(more.waited_us);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOTHING: Counts = Counts { started: 0, ended_ok: 0, ended_not_ok: 0, waited_us: 0 };

    fn s(seconds: i64) -> Time {
        Time(seconds * SECOND_US)
    }

    fn held(cpus: u64) -> Levels {
        Levels { cpus, memory: cpus * 1_000, ..Levels::default() }
    }

    #[test]
    fn a_minute_is_what_was_held_times_how_long() {
        let mut samples = Samples::default();
        assert_eq!(samples.at(s(30), held(4), NOTHING), [], "of that minute a half is not known");
        assert_eq!(samples.at(s(60), held(1), NOTHING), []);
        let started = Counts { started: 2, waited_us: 7, ..NOTHING };
        assert_eq!(samples.at(s(90), held(3), started), []);
        let [first, second] = samples.at(s(180), held(9), started)[..] else { panic!("two") };
        assert_eq!((first.start, first.cpu_us), (s(60), (30 + 90) * SECOND_US));
        assert_eq!((first.memory_bytes, first.counts), (2_000, started));
        assert_eq!((second.start, second.cpu_us, second.counts), (s(120), s(180).0, NOTHING));
        let third = samples.at(s(240), held(9), NOTHING)[0];
        assert_eq!(third.counts, started, "what happens at the end of a minute is in the next");
    }

    #[test]
    fn what_was_while_nobody_spoke_is_not_made_up() {
        let mut samples = Samples::default();
        samples.at(s(60), held(1), NOTHING);
        assert_eq!(samples.at(s(60 + 121), held(1), NOTHING), [], "it slept");
        assert_eq!(samples.at(s(239), held(1), NOTHING), []);
        assert_eq!(samples.at(s(300), held(1), NOTHING)[0].start, s(240), "from then on whole");
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_minute_twice() {
        let mut samples = Samples::default();
        samples.at(s(60), held(1), NOTHING);
        assert_eq!(samples.at(s(120), held(1), NOTHING).len(), 1);
        assert_eq!(samples.at(s(0), held(2), NOTHING), []);
        assert_eq!(samples.at(s(60), held(2), NOTHING), [], "of before the last");
        assert_eq!(samples.at(s(120), held(2), NOTHING), [], "it is out already");
        assert_eq!(samples.at(s(180), held(2), NOTHING)[0].start, s(120));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_between_minutes(
            steps in proptest::collection::vec((1..100_i64, 0..5_u64), 1..60)
        ) {
            let mut samples = Samples::default();
            let (mut now, mut level, mut told) = (s(60), 0, 0);
            samples.at(now, held(0), NOTHING);
            let mut naive = vec![0_i64; 200];
            for (seconds, next) in steps {
                for second in now.0 / SECOND_US..now.0 / SECOND_US + seconds {
                    naive[usize::try_from(second / 60).unwrap()] += level * SECOND_US;
                }
                now = now.plus_s(seconds);
                for sample in samples.at(now, held(next), NOTHING) {
                    let minute = usize::try_from(sample.start.0 / MINUTE_US).unwrap();
                    prop_assert_eq!((minute, sample.cpu_us), (told + 1, naive[minute]));
                    told = minute;
                }
                level = next.cast_signed();
            }
            prop_assert_eq!(told, usize::try_from(now.0 / MINUTE_US).unwrap() - 1);
        }
    }
}
