//! *Purpose*: how a schedule went over time.
//!
//! *Owns*: [`Curve`]: how many jobs waited and how much of the machine was held, in bins.
//!
//! *Promises*: there are never more than [`BINS_MAX`] bins, however long the trace is; every
//! second from the first pass to the last is in exactly one of them.
//!
//! *Not here*: how it is drawn (`simulate::picture`), figures of the whole
//! (`simulate::summary`).

use crate::policy::input::{Instant, PassInput, Span};

/// The most bins: about one for each pixel of a picture.
pub const BINS_MAX: usize = 1_000;

/// What a stretch of time was like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Its beginning, counted from the first pass.
    pub from: Span,
    /// Its end.
    pub until: Span,
    /// The most jobs that were left waiting.
    pub queue: usize,
    /// Of the processors, 0 to 1, on average.
    pub utilization: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    queue: usize,
    /// Processors × time.
    held: i128,
}

/// What a pass left behind, which lasts until the next.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    queue: usize,
    held: u32,
}

/// A schedule over time, as its passes leave it.
///
/// Nobody knows beforehand how long a schedule will be: bins begin a second wide, and whenever
/// they would be too many each two become one.
#[derive(Clone, Debug)]
pub struct Curve {
    processors: u32,
    first: Instant,
    width: Span,
    sums: Vec<Sum>,
    last: Option<Look>,
}

impl Default for Curve {
    fn default() -> Curve {
        Curve { processors: 0, first: 0, width: 1, sums: Vec::new(), last: None }
    }
}

impl Curve {
    /// Takes in what stands after a pass.
    pub fn look(&mut self, input: &PassInput) {
        let processors = input.total.all_cpus();
        let held = processors - input.free.all_cpus();
        let look = Look { at: input.now, queue: input.queue.len(), held };
        match self.last.replace(look) {
            Some(last) => self.spread(last, look.at),
            None => (self.processors, self.first) = (processors, look.at),
        }
    }

    /// What `last` saw lasted until then.
    fn spread(&mut self, last: Look, until: Instant) {
        if until <= last.at {
            return;
        }
        while (until - 1 - self.first) / self.width >= BINS_MAX as i64 {
            self.widen();
        }
        let mut at = last.at;
        while at < until {
            let n = ((at - self.first) / self.width) as usize;
            let end = until.min(self.first + (n as i64 + 1) * self.width);
            if self.sums.len() <= n {
                self.sums.resize(n + 1, Sum::default());
            }
            let sum = &mut self.sums[n];
            sum.queue = sum.queue.max(last.queue);
            sum.held += i128::from(last.held) * i128::from(end - at);
            at = end;
        }
    }

    /// Each two bins become one.
    fn widen(&mut self) {
        self.width *= 2;
        let both = |pair: &[Sum]| Sum {
            queue: pair.iter().map(|sum| sum.queue).max().unwrap_or_default(),
            held: pair.iter().map(|sum| sum.held).sum(),
        };
        self.sums = self.sums.chunks(2).map(both).collect();
    }

    /// The bins, one behind the other; the last one ends with the last pass.
    #[must_use]
    pub fn bins(&self) -> Vec<Bin> {
        let end = self.last.map_or(0, |last| last.at - self.first);
        let bin = |(n, sum): (usize, &Sum)| {
            let from = n as i64 * self.width;
            let until = end.min(from + self.width);
            let most = f64::from(self.processors) * (until - from) as f64;
            Bin { from, until, queue: sum.queue, utilization: sum.held as f64 / most }
        };
        self.sums.iter().enumerate().map(bin).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::resources::capacity::Capacity;
    use crate::simulate::replay::{Setting, replay};
    use crate::simulate::summary::Summary;
    use crate::simulate::swf::{Trace, TraceJob};

    /// Passes at these instants, with so many CPUs of four held.
    fn curve(looks: &[(i64, u32)]) -> Curve {
        let mut curve = Curve::default();
        for (now, held) in looks {
            let (free, total) = (Capacity::of(4 - held), Capacity::of(4));
            curve.look(&PassInput { now: *now, free, total, ..PassInput::default() });
        }
        curve
    }

    /// `count` jobs of three of four processors for 10 s, all submitted at instant 100.
    fn burst(count: i64) -> Trace {
        let job = |n: i64| TraceJob {
            number: n,
            line: n as u32,
            submit: 100,
            run: 10,
            request: 10,
            cpus: 3,
        };
        Trace {
            name: "burst".into(),
            cpus: 4,
            jobs: (0..count).map(job).collect(),
            dropped: 0,
            longer: None,
        }
    }

    fn of(trace: &Trace) -> (Curve, Summary) {
        let mut curve = Curve::default();
        let setting: Setting = "fcfs+easy".parse().unwrap();
        let outcome = replay(trace, setting, &mut |input, _| curve.look(input));
        (curve, Summary::of(trace, &outcome))
    }

    #[test]
    fn a_short_schedule_is_told_second_by_second() {
        let (curve, _) = of(&burst(3));
        let bins = curve.bins();
        assert_eq!(bins.len(), 30);
        let queues: Vec<usize> = bins.iter().step_by(10).map(|bin| bin.queue).collect();
        assert_eq!(queues, [2, 1, 0], "what is started at once does not wait");
        assert!(bins.iter().all(|bin| bin.utilization == 0.75), "{bins:?}");
        assert_eq!((bins[7].from, bins[7].until), (7, 8));
    }

    #[test]
    fn however_long_a_schedule_is_its_bins_stay_few_and_hold_all_of_it() {
        for count in [99, 100, 101, 5_000] {
            let (curve, summary) = of(&burst(count));
            let bins = curve.bins();
            assert!((BINS_MAX / 2..=BINS_MAX).contains(&bins.len()), "{count}: {}", bins.len());
            assert_eq!((bins[0].from, bins[bins.len() - 1].until), (0, summary.makespan));
            assert!(bins.windows(2).all(|pair| pair[0].until == pair[1].from), "{count}");
            assert_eq!(bins[0].queue, count as usize - 1);
            assert!(bins.is_sorted_by(|a, b| a.queue >= b.queue), "{count}");
            let held = |bin: &Bin| bin.utilization * (bin.until - bin.from) as f64;
            let mean = bins.iter().map(held).sum::<f64>() / summary.makespan as f64;
            assert!((mean - summary.utilization).abs() < 1e-9, "{count}: {mean}");
        }
    }

    #[test]
    fn a_bin_takes_the_mean_of_what_was_held_and_the_last_is_as_long_as_it_lasted() {
        // 2,003 s need bins of 4 s: 4, 0, 0, 0 in the first; the last one has 0, 2, 2.
        let bins = curve(&[(50, 4), (51, 0), (2_051, 2), (2_053, 0)]).bins();
        assert_eq!(bins.len(), 501);
        assert_eq!(bins[0].utilization, 0.25);
        assert_eq!((bins[499].utilization, bins[499].until), (0.0, 2_000));
        assert_eq!((bins[500].from, bins[500].until), (2_000, 2_003));
        assert!((bins[500].utilization - 4.0 / 12.0).abs() < 1e-12, "{:?}", bins[500]);
    }

    #[test]
    fn a_pause_of_ages_costs_a_few_steps() {
        let bins = curve(&[(0, 4), (1 << 60, 0), ((1 << 60) + 1, 0)]).bins();
        assert!(bins.len() <= BINS_MAX);
        assert_eq!(bins[0].utilization, 1.0);
        assert!(Curve::default().bins().is_empty());
    }
}
