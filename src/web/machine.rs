//! *Purpose*: the machine as bricks: who holds which CPU and GPU, and how busy each is.
//!
//! *Owns*: [`NodeMap`], [`Brick`], [`Card`].
//!
//! *Promises*: each CPU is drawn once, in the order of the machine's nodes; a brick is a job's
//! neighbours within eight CPUs; a CPU that is busy though no job holds it is told apart.
//!
//! *Not here*: the sheet's classes for widths, colours and loads (`assets/style.css`).

use std::collections::{BTreeMap, HashMap};

use super::board::Sight;
use super::slots::{Slots, owner};
use super::words;
use crate::api::wire::job::Job;
use crate::api::wire::overview::Overview;
use crate::api::wire::resources::{Cpu, GpuState, ResourceState};
use crate::job::ids::{CpuId, JobId};

/// CPUs of a group: bricks are at most so wide.
const GROUP: usize = 8;
/// From this load on, per mille, a CPU that nobody holds is busy from outside.
pub const OUTSIDE_LOAD: u16 = 250;
/// The steps of a load in the sheet, per mille each.
const LOAD_STEP: u16 = 100;
/// What GPUs are called among resources.
const GPU: &str = "gpu";
/// CPUs that are drawn one by one; of a larger machine the first.
const DRAWN_MAX: usize = 4_096;

/// A NUMA node, in groups of bricks.
pub struct NodeMap {
    /// What it is.
    pub name: String,
    /// Its CPUs.
    pub groups: Vec<Vec<Brick>>,
}

/// Neighbours that one job holds, or one CPU that none does.
pub struct Brick {
    /// The job's page; empty of what no job holds.
    pub path: String,
    /// Width, colour, and what else is to be seen.
    pub class: String,
    /// All of it in a sentence.
    pub title: String,
    /// The job's name, or the CPU's number.
    pub name: String,
    /// Whose it is.
    pub note: String,
    /// How busy each of its CPUs is, as classes.
    pub loads: Vec<String>,
}

/// A GPU.
pub struct Card {
    /// The page of the job that holds it; empty when none does.
    pub path: String,
    /// Its colour.
    pub class: String,
    /// Who has it.
    pub name: String,
    /// Which it is.
    pub note: String,
    /// Its memory.
    pub memory: String,
    /// How busy it is.
    pub load: String,
}

/// All CPUs, node by node. `own` is who looks.
pub fn nodes(sight: &Sight, own: Option<&str>) -> Vec<NodeMap> {
    let all = &sight.overview;
    let jobs: HashMap<JobId, &Job> = all.running.iter().map(|job| (job.id, job)).collect();
    let mut nodes: BTreeMap<Option<u32>, Vec<&Cpu>> = BTreeMap::new();
    for cpu in all.resources.cpus.iter().take(DRAWN_MAX) {
        nodes.entry(cpu.node).or_default().push(cpu);
    }
    let held_back = &all.resources.held_back_cpus;
    let hidden = hides(all);
    let node = |(node, cpus): (Option<u32>, Vec<&Cpu>)| {
        let bricks =
            |group: &[&Cpu]| bricks(group, (&jobs, held_back, &sight.slots), (own, hidden));
        let ids: Vec<u32> = cpus.iter().map(|cpu| cpu.id.0).collect();
        let memory = node
            .and_then(|node| all.resources.nodes.iter().find(|one| one.node == node)?.memory_bytes);
        let parts = [
            node.map(|n| format!("Node {n}")),
            Some(format!("CPU {}", range(&ids))),
            memory.map(words::size),
        ];
        NodeMap {
            name: parts.into_iter().flatten().collect::<Vec<_>>().join(" · "),
            groups: cpus.chunks(GROUP).map(bricks).collect(),
        }
    };
    nodes.into_iter().map(node).collect()
}

/// `0 to 7`, `3`, or how many where there are gaps.
fn range(ids: &[u32]) -> String {
    match (ids.first(), ids.last()) {
        (Some(first), Some(last)) if first == last => first.to_string(),
        (Some(first), Some(last)) if (last - first) as usize + 1 == ids.len() => {
            format!("{first} to {last}")
        }
        _ => format!("{} of them", ids.len()),
    }
}

/// Whether CPUs of which no holder is told are not all free: jobs that are none of the reader's
/// business hold some of them, and nobody tells him which.
fn hides(all: &Overview) -> bool {
    let held = &all.resources;
    let nobodys = held.cpus.iter().filter(|cpu| cpu.job_id.is_none());
    let free = nobodys.filter(|cpu| !held.held_back_cpus.contains(&cpu.id)).count();
    free > held.available_cpus as usize
}

type Known<'a> = (&'a HashMap<JobId, &'a Job>, &'a [CpuId], &'a Slots);

fn bricks(
    group: &[&Cpu],
    (jobs, held_back, slots): Known<'_>,
    (own, hidden): (Option<&str>, bool),
) -> Vec<Brick> {
    let together = |a: &&Cpu, b: &&Cpu| a.job_id.is_some() && a.job_id == b.job_id;
    let brick = |cpus: &[&Cpu]| {
        let loads: Vec<String> = cpus.iter().map(|cpu| load_class(cpu.load)).collect();
        let ids: Vec<u32> = cpus.iter().map(|cpu| cpu.id.0).collect();
        let title = format!("CPU {}", range(&ids));
        let Some(id) = cpus[0].job_id else {
            let held_back = held_back.contains(&cpus[0].id);
            return nobodys(cpus[0], (held_back, hidden), (loads, title));
        };
        let busy = percent(cpus.iter().map(|cpu| cpu.load));
        let said = busy.map_or(String::new(), |busy| format!(", {busy} % busy"));
        held((id, jobs.get(&id).copied(), own), slots, (loads, title + &said))
    };
    group.chunk_by(together).map(brick).collect()
}

fn held(
    (id, job, own): (JobId, Option<&Job>, Option<&str>),
    slots: &Slots,
    (loads, title): (Vec<String>, String),
) -> Brick {
    let width = loads.len();
    let Some(job) = job else {
        let (path, name) = (id.to_string(), id.to_string());
        let class = format!("w{width} {}", slots.class(id));
        return Brick { path, class, title, name, note: String::new(), loads };
    };
    let mut class = format!("w{width} {}", slots.class(owner(job)));
    if own.is_some_and(|own| own == job.user) {
        class.push_str(" mine");
    }
    if job.kill_time.is_some() {
        class.push_str(" ends");
    }
    let note = format!("{} {}", job.shown_id(), job.user);
    Brick { path: words::path(job), class, title, name: job.name.clone(), note, loads }
}

/// A CPU that no job holds that whoever looks may know of.
fn nobodys(
    cpu: &Cpu,
    (held_back, hidden): (bool, bool),
    (loads, title): (Vec<String>, String),
) -> Brick {
    let outside = cpu.load.is_some_and(|load| load >= OUTSIDE_LOAD);
    let (class, note, why) = match (held_back, outside) {
        (true, _) => ("alien", "held back", ": held back by the audit"),
        _ if hidden => ("free", "not yours", ": free, or held by a job that is not shown to you"),
        (_, true) => ("alien", "outside", ": free, but busy from outside the queue"),
        _ => ("free", "free", ": free"),
    };
    Brick {
        path: String::new(),
        class: class.to_owned(),
        title: format!("{title}{why}"),
        name: cpu.id.to_string(),
        note: note.to_owned(),
        loads,
    }
}

/// A core that does nearly nothing stands still: its own noise is no news.
fn load_class(load: Option<u16>) -> String {
    format!("l{}", ((load.unwrap_or(0) + LOAD_STEP / 2) / LOAD_STEP).min(9))
}

/// The mean of what is known, in percent.
fn percent(loads: impl Iterator<Item = Option<u16>>) -> Option<u64> {
    let known: Vec<u64> = loads.flatten().map(u64::from).collect();
    (!known.is_empty()).then(|| known.iter().sum::<u64>() / known.len() as u64 / 10)
}

/// How busy a job's CPUs are: what was measured of its processes, else its CPUs' loads.
pub fn busy_percent(job: &Job, all: &Overview) -> Option<u64> {
    let used = job.usage_now.as_ref().and_then(|usage| usage.cpus_busy);
    let measured = used.map(|busy| (busy * 100.0 / f64::from(job.cpus.max(1))).round() as u64);
    measured.map(|busy| busy.min(100)).or_else(|| {
        let own = all.resources.cpus.iter().filter(|cpu| cpu.job_id == Some(job.id));
        percent(own.map(|cpu| cpu.load))
    })
}

/// The GPUs, and what kind they are when all are of one.
pub fn gpus(sight: &Sight) -> (Vec<Card>, String) {
    let gpus = &sight.overview.resources.gpus;
    let kind = gpus.first().map(|first| first.name.as_str()).unwrap_or_default();
    let kind = if gpus.iter().all(|gpu| gpu.name == kind) { kind } else { "" };
    (gpus.iter().map(|gpu| card(gpu, sight)).collect(), kind.to_owned())
}

/// Likewise of GPUs.
fn hides_gpus(all: &Overview) -> bool {
    let gpus = all.resources.resources.iter().find(|one| one.name == GPU);
    let nobodys = |one: &ResourceState| {
        one.units.iter().filter(|unit| unit.job_id.is_none() && unit.held_back.is_none()).count()
    };
    gpus.is_some_and(|one| one.available.is_some_and(|free| nobodys(one) as u64 > free))
}

fn card(gpu: &GpuState, sight: &Sight) -> Card {
    let running = &sight.overview.running;
    let job = gpu.job_id.and_then(|id| running.iter().find(|job| job.id == id));
    let memory = match (gpu.used_bytes, gpu.memory_bytes) {
        (Some(used), Some(all)) => format!("{} of {}", words::size(used), words::size(all)),
        (None, Some(all)) => words::size(all),
        _ => "not known".to_owned(),
    };
    let load = gpu.load.map_or(String::new(), |load| format!("{} %", load / 10));
    let note = |who: &str| format!("GPU {} {who}", gpu.index);
    match (job, gpu.job_id, &gpu.outside) {
        (Some(job), ..) => Card {
            path: words::path(job),
            class: sight.slots.class(owner(job)),
            name: job.name.clone(),
            note: note(&format!("· {} {}", job.shown_id(), job.user)),
            memory,
            load,
        },
        (None, Some(id), _) => Card {
            path: id.to_string(),
            class: sight.slots.class(id),
            name: format!("job {id}"),
            note: note(""),
            memory,
            load,
        },
        (None, None, Some(outside)) => Card {
            path: String::new(),
            class: "alien".to_owned(),
            name: "outside the queue".to_owned(),
            note: note(
                outside
                    .user
                    .as_deref()
                    .map(|user| format!("· {user}"))
                    .as_deref()
                    .unwrap_or_default(),
            ),
            memory,
            load,
        },
        (None, None, None) => Card {
            path: String::new(),
            class: "free".to_owned(),
            name: if hides_gpus(&sight.overview) { "not yours" } else { "free" }.to_owned(),
            note: note(""),
            memory,
            load,
        },
    }
}
