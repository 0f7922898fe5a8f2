//! *Purpose*: the GPUs that the driver of AMD shows.
//!
//! *Owns*: reading `/sys/class/kfd/kfd/topology/nodes/*/properties`, and which processes compute
//! (`/sys/class/kfd/kfd/proc`).
//!
//! *Promises*: CPUs, which stand in the same list, are no GPUs; a card that is not this container's
//! is not there.
//!
//! *Not here*: who uses a card by its device (`usage`).
//!
//! Source: `drivers/gpu/drm/amd/amdkfd/kfd_topology.c`, `kfd_process.c` of Linux.

use std::io;
use std::path::{Path, PathBuf};

use super::gpu::{DiscoverError, GPUS_MAX, Gpu, Vendor};
use super::read;

/// Below the root.
const NODES: &str = "sys/class/kfd/kfd/topology/nodes";
/// The most entries of that folder: each socket is one too.
const NODES_MAX: usize = 8 * GPUS_MAX;
/// Where the driver lists who computes, below the root.
const PROCESSES: &str = "sys/class/kfd/kfd/proc";
/// The most processes of that list: each holds memory of a card.
const PROCESSES_MAX: usize = 16 * 1024;

/// Those that are there, in no order.
///
/// # Errors
/// When one is there and is not understood, or its device is missing.
pub fn discover(root: &Path) -> Result<Vec<Gpu>, DiscoverError> {
    let mut found = Vec::new();
    for folder in read::entries(&root.join(NODES), NODES_MAX)? {
        found.extend(gpu(root, &folder)?);
    }
    Ok(found)
}

/// The lines of `properties`.
struct Properties {
    path: PathBuf,
    text: String,
}

impl Properties {
    /// `None` when the driver says that the node is not ours: it refuses to show a GPU whose
    /// device a control group denies to this process.
    fn read(folder: &Path) -> Result<Option<Properties>, DiscoverError> {
        let path = folder.join("properties");
        match read::text(&path) {
            Ok(text) => Ok(Some(Properties { path, text })),
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error()) => Ok(None),
            Err(source) => Err(DiscoverError::Unread { path, source }),
        }
    }

    fn wrong(&self, field: &'static str, problem: &str) -> DiscoverError {
        DiscoverError::Field { path: self.path.clone(), field, problem: problem.to_owned() }
    }

    fn optional(&self, field: &'static str) -> Result<Option<u64>, DiscoverError> {
        let mut lines = self.text.lines().filter_map(|line| line.split_once(' '));
        let Some((_, value)) = lines.find(|(name, _)| *name == field) else { return Ok(None) };
        let number = value.trim().parse().map_err(|_| self.wrong(field, "is not a number"))?;
        Ok(Some(number))
    }

    fn number(&self, field: &'static str) -> Result<u64, DiscoverError> {
        self.optional(field)?.ok_or_else(|| self.wrong(field, "is missing"))
    }
}

fn gpu(root: &Path, folder: &Path) -> Result<Option<Gpu>, DiscoverError> {
    let Some(properties) = Properties::read(folder)? else { return Ok(None) };
    if properties.number("simd_count")? == 0 {
        return Ok(None);
    }
    // Bus, device and function as the kernel packs them; the domain came later.
    let location = properties.number("location_id")?;
    let domain = properties.optional("domain")?.unwrap_or(0);
    let (bus, device, function) = (location >> 8 & 0xff, location >> 3 & 0x1f, location & 7);
    let pci = format!("{domain:04x}:{bus:02x}:{device:02x}.{function:x}");
    let minor = properties.number("drm_render_minor")?;
    let node = read::node(root, &format!("dev/dri/renderD{minor}"), &pci)?;
    // 0 is said of cards that have none. The form is what the vendor's tools take.
    let id = properties.optional("unique_id")?.filter(|id| *id != 0);
    Ok(Some(Gpu {
        index: 0,
        ordinal: 0,
        vendor: Some(Vendor::Amd),
        pci,
        uuid: id.map(|id| format!("GPU-{id:016x}")),
        model: model(folder, &properties)?,
        nodes: vec![node],
        card: None,
    }))
}

/// The name of the chip, or its generation where the driver has no name.
fn model(folder: &Path, properties: &Properties) -> Result<String, DiscoverError> {
    let path = folder.join("name");
    let name = match read::text(&path) {
        Ok(name) => name.trim().to_owned(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(DiscoverError::Unread { path, source }),
    };
    let version = properties.optional("gfx_target_version")?.filter(|_| name.is_empty());
    Ok(match version {
        Some(v) => format!("gfx{}{}{:x}", v / 10_000, v / 100 % 100, v % 100),
        None => name,
    })
}

/// The processes that have memory of a card, by the number of the card's device. `None` where the
/// driver does not tell.
///
/// # Errors
/// When it tells something that is not understood.
pub fn computing(root: &Path) -> Result<Option<Vec<(u32, i32)>>, DiscoverError> {
    let mut minors = Vec::new();
    for folder in read::entries(&root.join(NODES), NODES_MAX)? {
        let Some(properties) = Properties::read(&folder)? else { continue };
        if properties.number("simd_count")? == 0 {
            continue;
        }
        let minor = properties.number("drm_render_minor")?;
        let minor = u32::try_from(minor)
            .map_err(|_| properties.wrong("drm_render_minor", "is not a number"))?;
        let path = folder.join("gpu_id");
        let id = read::text(&path).map_err(|source| DiscoverError::Unread { path, source })?;
        minors.push((minor, format!("vram_{}", id.trim())));
    }
    let processes = root.join(PROCESSES);
    if !processes.exists() {
        return Ok(None);
    }
    let mut found = Vec::new();
    for folder in read::entries(&processes, PROCESSES_MAX)? {
        let name = folder.file_name().and_then(|name| name.to_str());
        let Some(pid) = name.and_then(|name| name.parse().ok()) else { continue };
        for (minor, file) in &minors {
            // One that has just ended has no files any more.
            let held = read::text(&folder.join(file)).unwrap_or_default();
            if held.trim().parse::<u64>().is_ok_and(|bytes| bytes > 0) {
                found.push((*minor, pid));
            }
        }
    }
    Ok(Some(found))
}
