//! *Purpose*: who uses each GPU.
//!
//! *Owns*: [`Use`], [`Probe`], and what speaks for a use: an open device, a process that the driver
//! lists, memory that is held.
//!
//! *Promises*: that a card is free is said only when everything that can be asked was asked and
//! said so; a card that could not be asked for is `Unknown`, with the reason. Nothing is waited for
//! without a bound, but it takes milliseconds to seconds: for a thread that may wait.
//!
//! *Not here*: what follows for the ledger (`resources`), which cards jobs of ours hold: the caller
//! does not ask about those.
//!
//! **What is not looked at** for a use: how busy a card is, for a process between two computations
//! holds its memory and leaves no room; devices under names outside `/dev`: asking a descriptor
//! what it leads to would wait for any file system that does not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::amd;
use super::gpu::{Gpu, Vendor};
use super::load::{GpuLoad, loads};
use super::read;
use super::smi::{Smi, Told};
use crate::people;

/// Memory of a card below which nobody holds any, MiB: drivers keep some for themselves; the least
/// that a program needs to compute is more.
const MEMORY_OF_NOBODY_MIB: u64 = 64;
/// The most descriptors that are looked at: that takes some seconds; more of them say that
/// something is wrong with the machine.
const DESCRIPTORS_MAX: usize = 2_000_000;
/// Services that keep every card open and compute nothing, as the kernel cuts their names; only of
/// the system's own users, below [`USERS_FROM`].
const WATCHERS: [&str; 5] =
    ["nvidia-persiste", "nv-hostengine", "dcgm-exporter", "nv-fabricmanage", "systemd-logind"];
/// The first number of a user who is a person, as distributions count.
const USERS_FROM: u32 = 1000;
/// What stands for the command where memory is held by no process that is known.
const NO_PROCESS: &str = "memory held, no process";

/// The use of one GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// Nobody uses it.
    Free,
    /// Somebody does.
    By {
        /// The process; `None` when memory is held and no process is known: one that cannot end, or
        /// one of another container.
        pid: Option<i32>,
        /// Whose it is; empty when nobody knows.
        user: String,
        /// What runs; without a process a sentence.
        command: String,
    },
    /// It could not be found out, and why. Not to be handed out.
    Unknown(String),
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Use::Free => f.write_str("free"),
            Use::By { pid: Some(pid), user, command } => {
                let words: Vec<&str> =
                    [&**user, command].into_iter().filter(|w| !w.is_empty()).collect();
                write!(f, "used by process {pid}")?;
                if words.is_empty() { Ok(()) } else { write!(f, " ({})", words.join(", ")) }
            }
            Use::By { pid: None, command, .. } => f.write_str(command),
            Use::Unknown(why) => write!(f, "its use is not known: {why}"),
        }
    }
}

/// Whoever looks, again and again.
#[derive(Debug, Default)]
pub struct Probe {
    smi: Smi,
}

impl Probe {
    /// The use of each of these GPUs, in their order, on the machine whose root this is (`/`).
    /// Blocks for as long as `nvidia-smi` may take: never to be called by an actor.
    pub fn usage(&mut self, root: &Path, gpus: &[Gpu]) -> Vec<Use> {
        let has = |vendor| gpus.iter().any(|gpu| gpu.vendor == Some(vendor));
        let nvidia = if has(Vendor::Nvidia) { self.smi.ask(root) } else { None };
        let amd = if has(Vendor::Amd) { computing_on_amd(root) } else { None };
        let seen = Seen::look(root, gpus);
        let look = Look { root, nvidia, amd, seen };
        gpus.iter().enumerate().map(|(n, gpu)| look.usage(n, gpu)).collect()
    }

    /// How busy each of these GPUs is, in their order. Blocks as [`Probe::usage`] does.
    pub fn loads(&mut self, root: &Path, gpus: &[Gpu]) -> Vec<GpuLoad> {
        loads(&mut self.smi, root, gpus)
    }
}

fn computing_on_amd(root: &Path) -> Option<Result<Vec<(u32, i32)>, String>> {
    amd::computing(root).map_err(|e| e.to_string()).transpose()
}

/// All that was found out at once.
struct Look<'a> {
    root: &'a Path,
    nvidia: Option<Result<Told, String>>,
    /// The number of the device, the process.
    amd: Option<Result<Vec<(u32, i32)>, String>>,
    seen: Seen,
}

impl Look<'_> {
    fn usage(&self, n: usize, gpu: &Gpu) -> Use {
        let asked = self.ask_driver(gpu);
        let listed = asked.as_ref().map(|asked| asked.pids.clone()).unwrap_or_default();
        let opened = self.seen.pids.get(&n).cloned().unwrap_or_default();
        let watches = |pid: &i32| !listed.contains(pid) && is_watcher(self.root, *pid);
        // What was seen counts, whatever could not be.
        if let Some(pid) = listed.union(&opened).find(|pid| !watches(pid)) {
            return by(self.root, *pid);
        }
        if let Some(why) = gone(self.root, gpu) {
            return Use::Unknown(why);
        }
        let asked = match asked {
            Ok(asked) => asked,
            Err(why) => return Use::Unknown(why),
        };
        if asked.memory_mib.is_some_and(|held| held > MEMORY_OF_NOBODY_MIB) {
            let command = NO_PROCESS.to_owned();
            return Use::By { pid: None, user: String::new(), command };
        }
        match &self.seen.missed {
            _ if gpu.nodes.is_empty() => Use::Free,
            // As an ordinary user one cannot look at others; then the driver's word is enough.
            Some(Missed::OfOthers) if asked.is_known => Use::Free,
            Some(missed) => Use::Unknown(missed.sentence()),
            None => Use::Free,
        }
    }

    /// What the driver says of the use of a card.
    fn ask_driver(&self, gpu: &Gpu) -> Result<Asked, String> {
        // Of a part the driver says what it says of the card: its neighbours' processes too.
        if gpu.card.is_some() {
            return Ok(Asked::default());
        }
        match (gpu.vendor, &self.nvidia, &self.amd) {
            (Some(Vendor::Nvidia), Some(told), _) => {
                let told = told.as_ref().map_err(Clone::clone)?;
                let uuid = gpu.uuid.as_deref().ok_or(
                    "the driver does not know its UUID yet; keep the driver resident \
                     (nvidia-persistenced)",
                )?;
                let memory = told.memory_mib.get(uuid);
                let memory_mib = *memory.ok_or("nvidia-smi does not list it any more")?;
                let pids = told.computing.iter().filter(|(of, _)| of == uuid);
                let pids = pids.map(|(_, pid)| *pid).collect();
                Ok(Asked { is_known: true, pids, memory_mib })
            }
            (Some(Vendor::Amd), _, Some(computing)) => {
                let computing = computing.as_ref().map_err(Clone::clone)?;
                let is_its = |minor: u32| {
                    let device = format!("renderD{minor}");
                    gpu.nodes.iter().any(|node| node.path.ends_with(&device))
                };
                let pids = computing.iter().filter(|(minor, _)| is_its(*minor));
                let pids = pids.map(|(_, pid)| *pid).collect();
                Ok(Asked { is_known: true, pids, memory_mib: None })
            }
            _ => Ok(Asked::default()),
        }
    }
}

/// What a driver says of one card.
#[derive(Default)]
struct Asked {
    /// Whether it was there to be asked.
    is_known: bool,
    pids: BTreeSet<i32>,
    memory_mib: Option<u64>,
}

/// Why a card that was there is not now.
fn gone(root: &Path, gpu: &Gpu) -> Option<String> {
    gpu.nodes.iter().chain(&gpu.card).find_map(|node| {
        let name = node.path.strip_prefix("/").unwrap_or(&node.path);
        match read::device(&root.join(name)) {
            Ok(Some(numbers)) if numbers == (node.major, node.minor) => None,
            Ok(_) => Some(format!("{} is not what it was", node.path.display())),
            Err(e) => Some(format!("{}: {e}", node.path.display())),
        }
    })
}

/// Who has devices of GPUs open.
#[derive(Default)]
struct Seen {
    /// By the place of the GPU.
    pids: BTreeMap<usize, BTreeSet<i32>>,
    /// What could not be looked at.
    missed: Option<Missed>,
}

enum Missed {
    /// Processes of other users.
    OfOthers,
    /// Too many descriptors are open.
    TooMany,
    /// `/proc` cannot be read.
    Everything(io::Error),
}

impl Missed {
    fn sentence(&self) -> String {
        match self {
            Missed::OfOthers => "an ordinary user cannot see what others have open, and no driver \
                                 says who computes"
                .to_owned(),
            Missed::TooMany => format!("more than {DESCRIPTORS_MAX} files are open"),
            Missed::Everything(e) => format!("/proc cannot be read: {e}"),
        }
    }
}

impl Seen {
    fn look(root: &Path, gpus: &[Gpu]) -> Seen {
        let mut seen = Seen::default();
        if gpus.iter().all(|gpu| gpu.nodes.is_empty()) {
            return seen;
        }
        let processes = match fs::read_dir(root.join("proc")) {
            Ok(processes) => processes,
            Err(e) => return Seen { missed: Some(Missed::Everything(e)), ..seen },
        };
        let mut left = DESCRIPTORS_MAX;
        for process in processes.flatten() {
            let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            match fs::read_dir(process.path().join("fd")) {
                Ok(links) => {
                    for link in links.flatten() {
                        if left == 0 {
                            return Seen { missed: Some(Missed::TooMany), ..seen };
                        }
                        left -= 1;
                        for n in leads_to(root, &link.path(), gpus) {
                            seen.pids.entry(n).or_default().insert(pid);
                        }
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                    seen.missed = Some(Missed::OfOthers);
                }
                // It has just ended.
                Err(_) => {}
            }
        }
        seen
    }
}

/// The places of the GPUs whose device this descriptor is. Only what is in `/dev` is asked for its
/// numbers: anything else could be on a disk that does not answer.
fn leads_to(root: &Path, link: &Path, gpus: &[Gpu]) -> Vec<usize> {
    let Ok(target) = fs::read_link(link) else { return Vec::new() };
    let below = target.strip_prefix(root).or_else(|_| target.strip_prefix("/"));
    let Ok(name) = below else { return Vec::new() };
    if !name.starts_with("dev") {
        return Vec::new();
    }
    let numbers = read::device(link).ok().flatten();
    let is_it = |gpu: &Gpu| {
        gpu.nodes.iter().any(|node| match numbers {
            Some(numbers) => numbers == (node.major, node.minor),
            None => node.path.strip_prefix("/").is_ok_and(|path| path == name),
        })
    };
    gpus.iter().enumerate().filter(|(_, gpu)| is_it(gpu)).map(|(n, _)| n).collect()
}

fn is_watcher(root: &Path, pid: i32) -> bool {
    let folder = root.join(format!("proc/{pid}"));
    let is_of_the_system = fs::metadata(&folder).is_ok_and(|about| about.uid() < USERS_FROM);
    is_of_the_system && WATCHERS.contains(&&*command(&folder))
}

fn by(root: &Path, pid: i32) -> Use {
    let folder = root.join(format!("proc/{pid}"));
    // One that is not to be seen here is of another container.
    let user = fs::metadata(&folder).map(|about| user(about.uid())).unwrap_or_default();
    Use::By { pid: Some(pid), user, command: command(&folder) }
}

fn command(process: &Path) -> String {
    read::text(&process.join("comm")).unwrap_or_default().trim_end().to_owned()
}

fn user(uid: u32) -> String {
    people::name(uid).unwrap_or_else(|| uid.to_string())
}

#[cfg(test)]
#[path = "usage/tests.rs"]
#[allow(clippy::unwrap_used)]
mod tests;
