//! *Purpose*: which CPUs are near which memory, and which share a core.
//!
//! *Owns*: [`Topology`], [`Node`], reading them below `/sys/devices/system`.
//!
//! *Promises*: a machine that tells nothing of itself has no nodes, and its CPUs no core; what is
//! not understood is not known.
//!
//! *Not here*: which CPUs are handed out (`config`).
//!
//! Source: `Documentation/ABI/stable/sysfs-devices-node` and `sysfs-devices-system-cpu` of Linux.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::text::cpu_list;

/// Below the root.
const NODES: &str = "sys/devices/system/node";
/// Below the root.
const CPUS: &str = "sys/devices/system/cpu";
/// The most nodes: Linux has no more.
const NODES_MAX: usize = 1_024;
/// The most that is read of a file: real ones have some 100 bytes, `meminfo` of a node 1.5 KiB.
const TEXT_BYTES_MAX: u64 = 64 * 1024;

/// A NUMA node: CPUs, and the memory that is near them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// As the system numbers it.
    pub id: u32,
    /// Its CPUs, ascending; none where it is memory alone.
    pub cpus: Vec<u32>,
    /// Its memory, bytes; `None` when the system does not tell.
    pub memory_bytes: Option<u64>,
}

/// How the machine is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Its nodes, by number.
    pub nodes: Vec<Node>,
    /// By CPU: the lowest CPU of the same core.
    cores: BTreeMap<u32, u32>,
    /// By CPU.
    node_of: BTreeMap<u32, u32>,
}

impl Topology {
    /// That of the machine whose root this is (`/`), as far as these CPUs go.
    #[must_use]
    pub fn read(root: &Path, cpus: impl IntoIterator<Item = u32>) -> Topology {
        let nodes = nodes(&root.join(NODES));
        let node_of = nodes.iter().flat_map(|node| node.cpus.iter().map(|cpu| (*cpu, node.id)));
        let node_of = node_of.collect();
        let core = |cpu: u32| {
            let folder = root.join(CPUS).join(format!("cpu{cpu}/topology"));
            // A core's number is one of its socket only; who shares it is told of the machine.
            let shares = text(&folder.join("core_cpus_list"));
            let shares = shares.or_else(|| text(&folder.join("thread_siblings_list")))?;
            Some((cpu, cpu_list::parse(shares.trim()).ok()?.first().copied()?))
        };
        Topology { cores: cpus.into_iter().filter_map(core).collect(), nodes, node_of }
    }

    /// The lowest CPU of the core that this one is of.
    #[must_use]
    pub fn core(&self, cpu: u32) -> Option<u32> {
        self.cores.get(&cpu).copied()
    }

    /// The node that a CPU is of.
    #[must_use]
    pub fn node(&self, cpu: u32) -> Option<u32> {
        self.node_of.get(&cpu).copied()
    }
}

fn nodes(folder: &Path) -> Vec<Node> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| {
        let name = entry.file_name();
        Some((name.to_str()?.strip_prefix("node")?.parse::<u32>().ok()?, entry.path()))
    });
    let mut nodes: Vec<Node> = ids
        .take(NODES_MAX)
        .filter_map(|(id, path)| {
            let list = text(&path.join("cpulist"))?;
            let cpus = match list.trim() {
                "" => Vec::new(),
                list => cpu_list::parse(list).ok()?.into_iter().collect(),
            };
            let memory_bytes = text(&path.join("meminfo")).as_deref().and_then(memory_bytes);
            Some(Node { id, cpus, memory_bytes })
        })
        .collect();
    nodes.sort_by_key(|node| node.id);
    nodes
}

/// `Node 0 MemTotal:       17786652 kB`.
fn memory_bytes(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.split_once("MemTotal:"))?.1;
    total.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1_024)
}

/// A text that is no longer than it may be.
fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let read = File::open(path).ok()?.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text).ok()?;
    (read as u64 <= TEXT_BYTES_MAX).then_some(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join("sys/devices/system").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn two_sockets_with_two_threads_a_core_and_memory_without_cpus() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "node/node1/cpulist", "2-3,6-7\n");
        put(root.path(), "node/node0/cpulist", "0-1,4-5\n");
        put(root.path(), "node/node10/cpulist", "\n");
        put(root.path(), "node/node0/meminfo", "Node 0 MemTotal:       1000 kB\nNode 0 MemFree: 1");
        put(root.path(), "node/node1/meminfo", "Node 1 MemTotal: many kB\n");
        put(root.path(), "node/possible", "0-10\n");
        for cpu in 0..4 {
            put(root.path(), &format!("cpu/cpu{cpu}/topology/core_cpus_list"), &format!("{cpu}\n"));
        }
        let siblings = "cpu/cpu6/topology/thread_siblings_list";
        put(root.path(), siblings, "2,6\n");
        let topology = Topology::read(root.path(), 0..8);
        let node = |id, cpus: &[u32], memory_bytes| Node { id, cpus: cpus.to_vec(), memory_bytes };
        let first = node(0, &[0, 1, 4, 5], Some(1_024_000));
        assert_eq!(topology.nodes, [first, node(1, &[2, 3, 6, 7], None), node(10, &[], None)]);
        assert_eq!(
            (topology.core(2), topology.core(6), topology.core(7)),
            (Some(2), Some(2), None)
        );
        assert_eq!(
            (topology.node(4), topology.node(7), topology.node(8)),
            (Some(0), Some(1), None)
        );
    }

    #[test]
    fn a_machine_that_tells_nothing_has_no_nodes() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Topology::read(root.path(), 0..8), Topology::default());
    }
}
