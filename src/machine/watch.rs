//! *Purpose*: looks how busy the machine is, while somebody wants to know.
//!
//! *Owns*: [`Watch`]: when CPUs and GPUs are looked at, and what was found.
//!
//! *Promises*: it looks only for so long as somebody asked lately; an answer waits for nothing: the
//! first one knows no load, the next ones that of the last seconds. A driver that hangs keeps no
//! CPU from being looked at.
//!
//! *Not here*: what is read (`times`, `topology`, `devices`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::times::Times;
use super::topology::Topology;
use crate::clock;
use crate::devices::usage::{Probe, Use};
use crate::devices::{Gpu, GpuLoad};
use crate::threads;

/// From one look at the CPUs to the next. A load is that of the time between two.
const CPUS_EVERY: Duration = Duration::from_secs(2);
/// The same of GPUs, at least: to ask a driver costs some 100 ms of a CPU.
const GPUS_EVERY: Duration = Duration::from_secs(5);
/// So long it goes on to look after somebody asked: longer than pages wait that ask again.
const WANTED_FOR: Duration = Duration::from_secs(60);
/// What was found longer ago than this is not told any more: a look that hangs, a machine that
/// slept.
const KNOWN_FOR: Duration = Duration::from_secs(15);

/// The GPUs that jobs hold now, by number.
pub type HeldGpus = Box<dyn Fn() -> BTreeSet<u32> + Send + Sync>;

/// One GPU, looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuNow {
    /// Its number.
    pub index: u32,
    /// How busy it is.
    pub load: GpuLoad,
    /// Who uses it though no job holds it: the process, if it is known, and whose it is.
    pub outside: Option<(Option<i32>, String)>,
}

/// What was found last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loads {
    /// The load of each CPU that is known, per mille.
    pub cpus: Arc<BTreeMap<u32, u16>>,
    /// Each GPU, once it was looked at.
    pub gpus: Arc<Vec<GpuNow>>,
}

/// Looks; see the module.
pub struct Watch {
    /// How the machine is built.
    pub topology: Topology,
    eyes: Arc<Eyes>,
}

struct Eyes {
    root: PathBuf,
    gpu_root: PathBuf,
    gpus: Vec<Gpu>,
    held: HeldGpus,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    /// Until when it looks; `None`: it does not.
    until: Option<Instant>,
    /// The last look at the CPUs.
    times: Option<(Instant, Times)>,
    cpus: Option<(Instant, Arc<BTreeMap<u32, u16>>)>,
    gpus: Option<(Instant, Arc<Vec<GpuNow>>)>,
    /// When GPUs were last asked for.
    gpus_asked: Option<Instant>,
    /// Whether that has not come to an end.
    is_asking: bool,
}

impl Watch {
    /// Of the machine whose root this is (`/`), built so; of its GPUs, which stand below that root,
    /// and which of them jobs hold.
    #[must_use]
    pub fn new(
        (root, topology): (PathBuf, Topology),
        (gpu_root, gpus): (PathBuf, Vec<Gpu>),
        held: HeldGpus,
    ) -> Watch {
        let eyes = Eyes { root, gpu_root, gpus, held, found: Mutex::default() };
        Watch { topology, eyes: Arc::new(eyes) }
    }

    /// The GPUs of the machine.
    #[must_use]
    pub fn gpus(&self) -> &[Gpu] {
        &self.eyes.gpus
    }

    /// What is known now; from now on it is looked for a while.
    #[must_use]
    pub fn loads(&self) -> Loads {
        let now = clock::monotonic();
        let mut found = self.eyes.found();
        if found.until.replace(now + WANTED_FOR).is_none() {
            drop(threads::shared().spawn(look_on(Arc::clone(&self.eyes))));
        }
        found.known(now)
    }
}

/// Looks until nobody has asked for a while.
async fn look_on(eyes: Arc<Eyes>) {
    let mut probe = Some(Probe::default());
    let (back, mut came_back) = tokio::sync::mpsc::channel(1);
    loop {
        if let Ok(asked) = came_back.try_recv() {
            probe = Some(asked);
        }
        if let Some(mut asks) = probe.take_if(|_| eyes.found().is_time_for_gpus(&eyes.gpus)) {
            let (eyes, back) = (Arc::clone(&eyes), back.clone());
            drop(threads::shared().spawn_blocking(move || {
                eyes.look_at_gpus(&mut asks);
                // Nobody looks any more.
                let _gone = back.try_send(asks);
            }));
        }
        let looks = Arc::clone(&eyes);
        let looked = threads::shared().spawn_blocking(move || looks.look_at_cpus()).await;
        if looked.is_err() || !eyes.found().goes_on(clock::monotonic()) {
            return;
        }
        tokio::time::sleep(CPUS_EVERY).await;
    }
}

impl Eyes {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_at_cpus(&self) {
        match Times::read(&self.root) {
            Ok(times) => self.found().seen(clock::monotonic(), times),
            Err(error) => log::debug!("The load of CPUs is not known: {error}"),
        }
    }

    fn look_at_gpus(&self, probe: &mut Probe) {
        let loads = probe.loads(&self.gpu_root, &self.gpus);
        let held = (self.held)();
        let free: Vec<Gpu> =
            self.gpus.iter().filter(|gpu| !held.contains(&gpu.index)).cloned().collect();
        let uses = if free.is_empty() { vec![] } else { probe.usage(&self.gpu_root, &free) };
        // One that was given to a job meanwhile is used by that job.
        let held = (self.held)();
        let mut outside: BTreeMap<u32, (Option<i32>, String)> = BTreeMap::new();
        for (gpu, used) in free.iter().zip(uses) {
            if let (Use::By { pid, user, .. }, false) = (used, held.contains(&gpu.index)) {
                outside.insert(gpu.index, (pid, user));
            }
        }
        let gpus = self.gpus.iter().zip(loads).map(|(gpu, load)| {
            let outside = outside.remove(&gpu.index);
            GpuNow { index: gpu.index, load, outside }
        });
        let gpus = Arc::new(gpus.collect());
        let mut found = self.found();
        found.gpus = Some((clock::monotonic(), gpus));
        found.is_asking = false;
    }
}

impl Found {
    /// What is new enough to be told.
    fn known(&self, now: Instant) -> Loads {
        let is_new = |at: &Instant| now.saturating_duration_since(*at) <= KNOWN_FOR;
        let cpus = self.cpus.as_ref().filter(|(at, _)| is_new(at));
        let gpus = self.gpus.as_ref().filter(|(at, _)| is_new(at));
        Loads {
            cpus: cpus.map(|(_, cpus)| Arc::clone(cpus)).unwrap_or_default(),
            gpus: gpus.map(|(_, gpus)| Arc::clone(gpus)).unwrap_or_default(),
        }
    }

    fn seen(&mut self, now: Instant, times: Times) {
        let before = self.times.replace((now, times));
        let before = before.filter(|(at, _)| now.saturating_duration_since(*at) <= KNOWN_FOR);
        self.cpus = before
            .zip(self.times.as_ref())
            .map(|((_, before), (_, times))| (now, Arc::new(times.load_since(&before))));
    }

    /// Whether GPUs are to be asked for now; if so, they are.
    fn is_time_for_gpus(&mut self, gpus: &[Gpu]) -> bool {
        let now = clock::monotonic();
        let is_time =
            self.gpus_asked.is_none_or(|at| now.saturating_duration_since(at) >= GPUS_EVERY);
        let asks = is_time && !self.is_asking && gpus.iter().any(|gpu| gpu.vendor.is_some());
        if asks {
            (self.gpus_asked, self.is_asking) = (Some(now), true);
        }
        asks
    }

    /// Whether somebody still wants to know; if not, it is forgotten what was seen.
    fn goes_on(&mut self, now: Instant) -> bool {
        let goes_on = self.until.is_some_and(|until| now < until);
        if !goes_on {
            (self.until, self.times, self.cpus, self.gpus) = (None, None, None, None);
        }
        goes_on
    }
}

#[cfg(test)]
#[path = "watch/tests.rs"]
#[allow(clippy::unwrap_used)]
mod tests;
