//! *Purpose*: what one attempt used, as it is measured.
//!
//! *Owns*: [`Recording`]: its steps, and how they become longer.
//!
//! *Promises*: at most [`POINTS_MAX`] steps, however long it runs; a step that becomes one with the
//! next is their mean, and of memory the most. A time without a measurement is not known.
//!
//! *Not here*: when it is measured (`actors::usage_watch`).

use crate::job::usage_series::UsageSeries;
use crate::time::{SECOND_US, Time};

/// From one measurement to the next, seconds.
pub const EVERY_S: u32 = 10;
/// The most steps: an hour of them as short as they are, a day of four minutes.
pub const POINTS_MAX: usize = 360;

/// What was measured at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Time of CPUs that was used so far, by whoever of the attempt lives or has ended, µs.
    pub cpu_us: Option<u64>,
    /// Memory, bytes.
    pub rss_bytes: Option<u64>,
    /// How busy its GPUs were lately, per mille.
    pub gpu_load: Option<u16>,
}

/// The newest figures of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latest {
    /// When it was measured.
    pub time: Time,
    /// CPUs that were busy since the measurement before, per mille of one.
    pub cpus_busy: Option<u32>,
    /// Memory, bytes.
    pub rss_bytes: Option<u64>,
    /// How busy its GPUs were, per mille.
    pub gpu_load: Option<u16>,
}

/// One attempt.
#[derive(Clone, Debug)]
pub struct Recording {
    start: Time,
    /// How many measurements a step has room for.
    every: usize,
    steps: Vec<Step>,
    before: Option<(Time, u64)>,
    latest: Latest,
    /// How many steps there were when it was kept last, and of what length.
    kept: (usize, usize),
}

/// Sums of what was measured in a step, and of how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Step {
    busy: (u64, u32),
    rss_bytes: Option<u64>,
    gpu: (u64, u32),
}

impl Recording {
    /// Begins with a first measurement: from it on it is known what is used.
    #[must_use]
    pub fn begin(time: Time, reading: Reading) -> Recording {
        let Reading { cpu_us, rss_bytes, gpu_load } = reading;
        Recording {
            start: time,
            every: 1,
            steps: Vec::new(),
            before: cpu_us.map(|cpu_us| (time, cpu_us)),
            latest: Latest { time, cpus_busy: None, rss_bytes, gpu_load },
            kept: (0, 1),
        }
    }

    /// Goes on where another server stopped; `None` when that had other steps than these.
    #[must_use]
    pub fn resume(of: &UsageSeries, time: Time, reading: Reading) -> Option<Recording> {
        let every = usize::try_from(of.step_s / EVERY_S).ok().filter(|every| *every > 0)?;
        let of_each = of.cpus_busy.iter().zip(&of.rss_bytes).zip(&of.gpu_load);
        let weight = of.step_s / EVERY_S;
        let sum = |mean: Option<u32>| {
            mean.map_or((0, 0), |mean| (u64::from(mean) * u64::from(weight), weight))
        };
        let steps: Vec<Step> = of_each
            .map(|((busy, rss_bytes), gpu)| Step {
                busy: sum(*busy),
                rss_bytes: *rss_bytes,
                gpu: sum(*gpu),
            })
            .collect();
        let is_ours =
            of.step_s.is_multiple_of(EVERY_S) && steps.len() <= POINTS_MAX && of.start <= time;
        let kept = (steps.len(), every);
        let new = Recording::begin(time, reading);
        is_ours.then_some(Recording { start: of.start, every, steps, kept, ..new })
    }

    /// Takes one more measurement.
    pub fn note(&mut self, time: Time, reading: Reading) {
        let busy = self.busy_since(time, reading.cpu_us);
        self.before = reading.cpu_us.map(|cpu_us| (time, cpu_us));
        let Reading { rss_bytes, gpu_load, .. } = reading;
        self.latest = Latest { time, cpus_busy: busy, rss_bytes, gpu_load };
        let every_us = i64::from(EVERY_S) * SECOND_US;
        // A timer is never late by half of its time, or that measurement is none.
        let slot = (time.since_us(self.start) + every_us / 2).div_euclid(every_us) - 1;
        // Of before it began: the clock was set back.
        let Ok(slot) = usize::try_from(slot) else { return };
        while slot / self.every >= POINTS_MAX {
            self.thin();
        }
        let at = slot / self.every;
        if self.steps.len() <= at {
            self.steps.resize(at + 1, Step::default());
        }
        self.steps[at].add(Step {
            busy: busy.map_or((0, 0), |busy| (busy.into(), 1)),
            rss_bytes,
            gpu: gpu_load.map_or((0, 0), |load| (load.into(), 1)),
        });
    }

    /// CPUs that were busy since the measurement before, per mille of one.
    fn busy_since(&self, time: Time, cpu_us: Option<u64>) -> Option<u32> {
        let (before, was_us) = self.before?;
        let wall_us = u64::try_from(time.since_us(before)).ok().filter(|us| *us > 0)?;
        // One that has ended without being waited for takes its time along.
        let used_us = cpu_us?.checked_sub(was_us)?;
        u32::try_from(u128::from(used_us) * 1_000 / u128::from(wall_us)).ok()
    }

    fn thin(&mut self) {
        let together = |pair: &[Step]| {
            let mut one = Step::default();
            pair.iter().for_each(|step| one.add(*step));
            one
        };
        self.steps = self.steps.chunks(2).map(together).collect();
        self.every = self.every.saturating_mul(2);
    }

    /// The newest figures.
    #[must_use]
    pub fn latest(&self) -> Latest {
        self.latest
    }

    /// All of it; `None` before the first step.
    #[must_use]
    pub fn series(&self) -> Option<UsageSeries> {
        let mean = |(sum, n): (u64, u32)| (n > 0).then(|| sum / u64::from(n.max(1)));
        let least = |mean: Option<u64>| mean.map(|mean| u32::try_from(mean).unwrap_or(u32::MAX));
        let steps = || self.steps.iter();
        (!self.steps.is_empty()).then(|| UsageSeries {
            start: self.start,
            step_s: u32::try_from(self.every).unwrap_or(u32::MAX).saturating_mul(EVERY_S),
            cpus_busy: steps().map(|step| least(mean(step.busy))).collect(),
            rss_bytes: steps().map(|step| step.rss_bytes).collect(),
            gpu_load: steps().map(|step| least(mean(step.gpu))).collect(),
        })
    }

    /// The same, when a tenth of what there can be has come since it was answered last.
    pub fn take_if_due(&mut self) -> Option<UsageSeries> {
        let now = (self.steps.len(), self.every);
        let (had, of) = self.kept;
        let is_due = now.0 >= had * of / now.1 + POINTS_MAX / 10;
        let series = is_due.then(|| self.series())?;
        self.kept = now;
        series
    }
}

impl Step {
    fn add(&mut self, more: Step) {
        for (sum, more) in [(&mut self.busy, more.busy), (&mut self.gpu, more.gpu)] {
            *sum = (sum.0.saturating_add(more.0), sum.1.saturating_add(more.1));
        }
        self.rss_bytes = self.rss_bytes.max(more.rss_bytes);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn s(seconds: i64) -> Time {
        Time(seconds * SECOND_US)
    }

    /// One that has used so many seconds of CPU, and so much memory.
    fn used(cpu_s: u64, rss_bytes: u64) -> Reading {
        let (cpu_us, rss_bytes) = (Some(cpu_s * 1_000_000), Some(rss_bytes));
        Reading { cpu_us, rss_bytes, gpu_load: None }
    }

    #[test]
    fn a_step_is_what_was_used_between_two_measurements() {
        let mut of = Recording::begin(s(1_000), used(500, 7));
        assert_eq!((of.series(), of.latest().cpus_busy), (None, None), "not known yet");
        of.note(s(1_010), used(520, 9));
        of.note(s(1_020), Reading::default());
        of.note(s(1_030), used(530, 8));
        of.note(Time(s(1_040).0 + 900_000), used(533, 3));
        let series = of.series().unwrap();
        assert_eq!((series.start, series.step_s), (s(1_000), 10));
        assert_eq!(series.cpus_busy, [Some(2_000), None, None, Some(275)], "by the true time");
        assert_eq!(series.rss_bytes, [Some(9), None, Some(8), Some(3)]);
        assert_eq!(series.gpu_load, [None; 4]);
        assert_eq!(of.latest().cpus_busy, Some(275));
        of.note(s(1_070), used(533, 3));
        assert_eq!(of.series().unwrap().cpus_busy[4..], [None, None, Some(0)], "late: a gap");
        of.note(s(990), used(540, 3));
        of.note(s(1_080), used(530, 3));
        assert_eq!(of.series().unwrap().cpus_busy[7..], [None], "counted less than before");
    }

    #[test]
    fn however_long_it_runs_there_are_so_many_steps_and_their_mean_stays() {
        let mut of = Recording::begin(s(0), used(0, 0));
        let mut lengths = Vec::new();
        for n in 1..=3_000 {
            of.note(s(n * 10), used(n.unsigned_abs() * 5, n.unsigned_abs()));
            let series = of.series().unwrap();
            assert!(series.cpus_busy.len() <= POINTS_MAX);
            lengths.push(series.step_s);
        }
        lengths.dedup();
        assert_eq!(lengths, [10, 20, 40, 80, 160]);
        let series = of.series().unwrap();
        assert_eq!(series.cpus_busy.len(), 3_000_usize.div_ceil(16));
        assert!(series.cpus_busy.iter().all(|busy| *busy == Some(500)));
        assert_eq!(series.rss_bytes.last(), Some(&Some(3_000)));
        assert_eq!(series.rss_bytes[0], Some(16), "the most of its time");
        // A machine that slept for a year.
        of.note(s(31_536_000), used(15_000, 1));
        assert!(of.series().unwrap().cpus_busy.len() <= POINTS_MAX);
    }

    #[test]
    fn another_server_goes_on_where_the_last_one_stopped() {
        let mut of = Recording::begin(s(0), used(0, 0));
        for n in 1..=400 {
            of.note(s(n * 10), used(n.unsigned_abs() * 10, 5));
        }
        let kept = of.series().unwrap();
        let mut next = Recording::resume(&kept, s(4_105), used(9_000, 6)).unwrap();
        assert_eq!(next.series().unwrap(), kept, "the first one says nothing of the time before");
        next.note(s(4_115), used(9_005, 6));
        let series = next.series().unwrap();
        assert_eq!(series.cpus_busy[199..], [Some(1_000), None, None, None, None, None, Some(500)]);
        let strange = UsageSeries { step_s: 7, ..kept };
        assert!(Recording::resume(&strange, s(5_000), used(0, 0)).is_none());
    }

    #[test]
    fn it_is_kept_now_and_then() {
        let mut of = Recording::begin(s(0), used(0, 0));
        let mut kept = Vec::new();
        for n in 1..=800 {
            of.note(s(n * 10), used(0, 0));
            kept.extend(of.take_if_due().map(|_| n));
        }
        assert_eq!(kept[..11], [36, 72, 108, 144, 180, 216, 252, 288, 324, 360, 431]);
        assert!(kept.len() < 20, "{kept:?}");
    }
}
