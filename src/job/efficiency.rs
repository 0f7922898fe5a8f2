//! *Purpose*: what a run used of what it asked for, and what it could ask for instead.
//!
//! *Owns*: [`Ran`], [`Advice`], when there is any, its sentence.
//!
//! *Promises*: advice is given of a run that completed, was long enough to tell and was measured,
//! and of no other; each is one sentence, first what sets free the most.
//!
//! *Not here*: measuring (`engine`), whether a smaller job would start now (`api::efficiency`).

use super::state::StateWord;
use crate::text::duration::short;
use crate::text::size;

/// A shorter run tells nothing, seconds: it is measured every 10 s, and its start is most of it.
pub const TELLS_S: i64 = 60;
/// What is busy above whole CPUs and is no need for one more: other threads of a program that
/// computes in one.
const CPU_SLACK: f64 = 0.1;
/// Memory is advised so many times larger than the most that was seen: a peak between two
/// measurements is missed, and another input is larger.
const MEMORY_MARGIN: f64 = 1.25;
/// Memory that is set free, bytes, or nothing is said: who gives back less makes room for nobody.
const MEMORY_WORTH: u64 = 1 << 30;
/// A limit is advised so many times longer than the run: times vary more than memory does, and a
/// job past its limit is stopped.
const LIMIT_MARGIN: i64 = 2;
/// A limit that is shorter by so much, seconds, or nothing is said: gaps that backfill finds are
/// seldom shorter.
const LIMIT_WORTH_S: i64 = 1_800;
/// GPUs that are less busy than so much of one, each, are idle: their drivers alone show up so.
const GPU_IDLE: f64 = 0.05;
/// Of what was asked for this part is not needed, or nothing is said: less is a guess.
const UNUSED: f64 = 0.25;

/// A run as it was asked for and as it went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ran {
    /// Where in its life the job is.
    pub state: StateWord,
    /// How long it ran, without what it was suspended, seconds.
    pub elapsed_s: i64,
    /// Its time limit, seconds; `None` is unlimited.
    pub limit_s: Option<i64>,
    /// CPUs that it asked for.
    pub cpus: u32,
    /// CPUs that were busy, in the mean of the run.
    pub cpus_used: Option<f64>,
    /// The same in the busiest step that was measured.
    pub cpus_most: Option<f64>,
    /// Memory that it asked for, bytes.
    pub memory_bytes: Option<u64>,
    /// The most that its largest process alone was seen to have, or all of them together, bytes.
    pub memory_used: Option<u64>,
    /// Whether all of them were seen together.
    pub memory_was_measured: bool,
    /// GPUs that it asked for.
    pub gpus: u64,
    /// GPUs that were busy, in the mean of the run.
    pub gpus_used: Option<f64>,
}

/// What the same job could ask for next time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Advice {
    /// No GPUs.
    NoGpus {
        /// How many it asked for.
        asked: u64,
        /// How busy they were, percent of all.
        busy: f64,
    },
    /// Fewer CPUs.
    Cpus {
        /// How many it asked for.
        asked: u32,
        /// How many were busy in the mean.
        used: f64,
        /// How many were, when the most were.
        most: f64,
        /// How many are enough.
        enough: u32,
    },
    /// Less memory, bytes.
    Memory {
        /// How much it asked for.
        asked: u64,
        /// The most that it had.
        used: u64,
        /// How much is enough.
        enough: u64,
    },
    /// A shorter limit, seconds.
    Limit {
        /// The one that it had; `None` is unlimited.
        asked: Option<i64>,
        /// How long it ran.
        used: i64,
        /// How long is enough.
        enough: i64,
    },
}

/// CPUs that were busy in the mean of a run.
#[must_use]
pub fn busy(cpu_s: f64, elapsed_s: f64) -> Option<f64> {
    (elapsed_s > 0.0).then(|| cpu_s / elapsed_s)
}

/// A part of a whole, in percent; none of nothing.
#[must_use]
pub fn percent(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| 100.0 * part / whole)
}

impl Ran {
    /// What it could ask for instead, the most useful first. GPUs come first, since they are the
    /// fewest; then CPUs and memory, before the other what it could have less of by the larger
    /// part; then time, which is held by nobody and only lets it start sooner.
    #[must_use]
    pub fn advice(&self) -> Vec<Advice> {
        if self.state != StateWord::Completed || self.elapsed_s < TELLS_S {
            return Vec::new();
        }
        let mut room: Vec<(f64, Advice)> =
            [self.cpus(), self.memory()].into_iter().flatten().collect();
        room.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let room = room.into_iter().map(|(_, advice)| advice);
        self.gpus().into_iter().chain(room).chain(self.limit()).collect()
    }

    fn gpus(&self) -> Option<Advice> {
        let (asked, used) = (self.gpus, self.gpus_used.filter(|_| self.gpus > 0)?);
        let busy = used / asked as f64;
        (busy < GPU_IDLE).then_some(Advice::NoGpus { asked, busy: 100.0 * busy })
    }

    /// What of its CPUs is not needed, as a part of them.
    fn cpus(&self) -> Option<(f64, Advice)> {
        let (asked, used) = (self.cpus, self.cpus_used?);
        // A phase that uses all of them is slower with fewer, whatever the mean says.
        let most = self.cpus_most?.max(used);
        let enough = (most - CPU_SLACK).ceil().max(1.0);
        let unused = 1.0 - enough / f64::from(asked);
        let enough = enough as u32;
        (unused >= UNUSED).then_some((unused, Advice::Cpus { asked, used, most, enough }))
    }

    fn memory(&self) -> Option<(f64, Advice)> {
        let used = self.memory_used.filter(|_| self.memory_was_measured)?;
        let asked = self.memory_bytes?;
        let enough = rounded(used as f64 * MEMORY_MARGIN);
        let unused = 1.0 - enough as f64 / asked as f64;
        let is_worth_it = unused >= UNUSED && asked - enough >= MEMORY_WORTH;
        is_worth_it.then_some((unused, Advice::Memory { asked, used, enough }))
    }

    fn limit(&self) -> Option<Advice> {
        let (asked, used) = (self.limit_s, self.elapsed_s);
        let enough = whole(used.saturating_mul(LIMIT_MARGIN));
        let spared = asked.is_none_or(|limit| limit - enough >= LIMIT_WORTH_S);
        spared.then_some(Advice::Limit { asked, used, enough })
    }
}

/// Memory that people would write, not less: whole GiB from four on, else whole 128 MiB.
fn rounded(bytes: f64) -> u64 {
    const STEPS: [u64; 2] = [1 << 30, 128 << 20];
    let bytes = bytes.ceil() as u64;
    let step = if bytes >= 4 * STEPS[0] { STEPS[0] } else { STEPS[1] };
    bytes.div_ceil(step) * step
}

/// Time that people would write, not less, seconds: whole hours from two on, else five minutes.
fn whole(seconds: i64) -> i64 {
    let step = if seconds >= 2 * 3_600 { 3_600 } else { 300 };
    seconds.saturating_add(step - 1) / step * step
}

impl Advice {
    /// As flags of `downbeat submit`; none where they are left out.
    #[must_use]
    pub fn flags(&self) -> Option<String> {
        match *self {
            Advice::NoGpus { .. } => None,
            Advice::Cpus { enough, .. } => Some(format!("--cpus {enough}")),
            Advice::Memory { enough, .. } => Some(format!("--memory {}", size::format(enough))),
            Advice::Limit { enough, .. } => Some(match enough % 3_600 {
                0 => format!("--time {}h", enough / 3_600),
                _ => format!("--time {}m", enough / 60),
            }),
        }
    }

    /// In a sentence, with whether it would start now, where that is known.
    #[must_use]
    pub fn sentence(&self, starts_now: bool) -> String {
        let flags = self.flags().map_or_else(|| "none".to_owned(), |flags| format!("`{flags}`"));
        let had = match *self {
            Advice::NoGpus { asked, busy } => {
                let s = if asked == 1 { "" } else { "s" };
                format!("asked {asked} GPU{s}, {busy:.0} % busy")
            }
            Advice::Cpus { asked, used, most, .. } => {
                format!("asked {asked} CPUs, used {used:.1}, at most {most:.1}")
            }
            Advice::Memory { asked, used, .. } => {
                format!("asked {}, used {} at most", size::shown(asked), size::shown(used))
            }
            Advice::Limit { asked: None, used, .. } => {
                format!("ran {} without a time limit", short(used))
            }
            Advice::Limit { asked: Some(asked), used, .. } => {
                format!("ran {} of {}", short(used), short(asked))
            }
        };
        let then = match (self, starts_now) {
            (_, true) => "would start now",
            (Advice::Limit { .. }, _) => "fits into gaps that it does not fit into so",
            _ => "would be enough",
        };
        format!("{had}; {flags} {then}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// A run that needed all that it asked for.
    fn full() -> Ran {
        Ran {
            state: StateWord::Completed,
            elapsed_s: 3_600,
            limit_s: Some(7_200),
            cpus: 16,
            cpus_used: Some(15.2),
            cpus_most: Some(16.0),
            memory_bytes: Some(64 * GIB),
            memory_used: Some(60 * GIB),
            memory_was_measured: true,
            gpus: 2,
            gpus_used: Some(1.8),
        }
    }

    #[test]
    fn advice_is_of_what_sets_free_the_most() {
        let cpus = |mean, most| Ran { cpus_used: Some(mean), cpus_most: Some(most), ..full() };
        let memory = |used| Ran { memory_used: Some(used), ..full() };
        let limit = |elapsed_s, limit_s| Ran { elapsed_s, limit_s, ..full() };
        let both = |used| Ran { memory_used: Some(used), ..cpus(1.2, 1.9) };
        let gpus = |gpus, gpus_used| Ran { gpus, gpus_used: Some(gpus_used), ..both(GIB) };
        let table = [
            (full(), ""),
            (cpus(1.2, 1.9), "asked 16 CPUs, used 1.2, at most 1.9; `--cpus 2` would be enough"),
            (cpus(1.0, 1.05), "asked 16 CPUs, used 1.0, at most 1.1; `--cpus 1` would be enough"),
            (cpus(0.0, 0.0), "asked 16 CPUs, used 0.0, at most 0.0; `--cpus 1` would be enough"),
            (
                cpus(12.0, 12.0),
                "asked 16 CPUs, used 12.0, at most 12.0; `--cpus 12` would be enough",
            ),
            (cpus(12.0, 12.2), ""),
            (cpus(2.0, 16.0), ""),
            (memory(3 * GIB), "asked 64 GiB, used 3 GiB at most; `--memory 3840M` would be enough"),
            (memory(33 * GIB), "asked 64 GiB, used 33 GiB at most; `--memory 42G` would be enough"),
            (memory(40 * GIB), ""),
            (both(10 * GIB), "asked 16 CPUs, used 1.2, at most 1.9; `--cpus 2` would be enough"),
            (both(GIB), "asked 64 GiB, used 1 GiB at most; `--memory 1280M` would be enough"),
            (gpus(2, 0.02), "asked 2 GPUs, 1 % busy; none would be enough"),
            (gpus(1, 0.0), "asked 1 GPU, 0 % busy; none would be enough"),
            (gpus(0, 0.0), "asked 64 GiB, used 1 GiB at most; `--memory 1280M` would be enough"),
            (
                limit(240, Some(43_200)),
                "ran 4m00s of 12h00m; `--time 10m` fits into gaps that it does not fit into so",
            ),
            (
                limit(7_300, None),
                "ran 2h01m without a time limit; `--time 5h` fits into gaps that it does not fit \
                 into so",
            ),
            (
                limit(240, Some(2_400)),
                "ran 4m00s of 40m00s; `--time 10m` fits into gaps that it \
                does not fit into so",
            ),
            (limit(240, Some(2_399)), ""),
        ];
        for (ran, wanted) in table {
            let first = ran.advice().first().map(|advice| advice.sentence(false));
            let said = first.unwrap_or_default();
            assert_eq!(said, wanted, "{ran:?}");
        }
        let said = cpus(1.2, 1.9).advice().first().map(|advice| advice.sentence(true));
        let wanted = "asked 16 CPUs, used 1.2, at most 1.9; `--cpus 2` would start now";
        assert_eq!(said.as_deref(), Some(wanted));
    }

    #[test]
    fn nothing_is_said_of_what_tells_nothing() {
        let idle = Ran { cpus_used: Some(0.1), cpus_most: Some(0.1), ..full() };
        assert!(!idle.advice().is_empty());
        for state in [
            StateWord::Pending,
            StateWord::Running,
            StateWord::Completing,
            StateWord::Failed,
            StateWord::Cancelled,
            StateWord::Timeout,
            StateWord::OutOfMemory,
            StateWord::NodeFail,
        ] {
            assert_eq!(Ran { state, ..idle }.advice(), [], "{state}");
        }
        assert_eq!(Ran { elapsed_s: TELLS_S - 1, ..idle }.advice(), []);
        let unknown = Ran {
            cpus_used: None,
            cpus_most: None,
            memory_used: None,
            gpus_used: None,
            limit_s: Some(3_600),
            ..full()
        };
        assert_eq!(unknown.advice(), []);
        let alone = Ran { memory_used: Some(1), memory_was_measured: false, ..full() };
        assert_eq!(alone.advice(), [], "what one process had says little of all");
        assert_eq!(Ran { memory_bytes: None, memory_used: Some(1), ..full() }.advice(), []);
        assert_eq!(Ran { cpus: 1, ..idle }.advice(), []);
    }

    #[test]
    fn parts_are_of_something() {
        assert_eq!((busy(30.0, 20.0), busy(1.0, 0.0)), (Some(1.5), None));
        assert_eq!((percent(1.0, 4.0), percent(1.0, 0.0)), (Some(25.0), None));
    }
}
