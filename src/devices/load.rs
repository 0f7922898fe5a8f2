//! *Purpose*: how busy each GPU is.
//!
//! *Owns*: [`GpuLoad`], asking `nvidia-smi` and reading what AMD's driver shows.
//!
//! *Promises*: what a driver does not say is `None`, never 0. It takes milliseconds to seconds: for
//! a thread that may wait.
//!
//! *Not here*: who uses a card (`usage`), when it is asked (`machine::watch`).
//!
//! Source: `nvidia-smi --help-query-gpu`; `drivers/gpu/drm/amd/pm/amdgpu_pm.c` and
//! `amdgpu_vram_mgr.c` of Linux for the files of AMD.

use std::path::Path;

use super::gpu::{Gpu, Vendor};
use super::read;
use super::smi::{Card, Smi};

/// Of MiB.
const MIB: u64 = 1024 * 1024;
/// Per mille of a percent.
const PER_MILLE: u64 = 10;

/// One GPU now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GpuLoad {
    /// Its memory, bytes.
    pub memory_bytes: Option<u64>,
    /// Of that in use, bytes.
    pub used_bytes: Option<u64>,
    /// How much of the time it computed lately, per mille.
    pub load: Option<u16>,
}

/// Each of these GPUs, in their order, on the machine whose root this is (`/`).
pub fn loads(smi: &mut Smi, root: &Path, gpus: &[Gpu]) -> Vec<GpuLoad> {
    let has_nvidia = gpus.iter().any(|gpu| gpu.vendor == Some(Vendor::Nvidia));
    let cards = if has_nvidia { smi.cards(root) } else { None };
    let cards = match cards {
        Some(Ok(cards)) => cards,
        Some(Err(why)) => {
            log::debug!("The load of GPUs is not known: {why}");
            Vec::new()
        }
        None => Vec::new(),
    };
    let of = |gpu: &Gpu| match gpu.vendor {
        // Of a part of a card the driver says only what the whole does.
        _ if gpu.card.is_some() => GpuLoad::default(),
        Some(Vendor::Nvidia) => {
            let card = cards.iter().find(|card| Some(&card.uuid) == gpu.uuid.as_ref());
            card.map(on_nvidia).unwrap_or_default()
        }
        Some(Vendor::Amd) => on_amd(root, &gpu.pci),
        None => GpuLoad::default(),
    };
    gpus.iter().map(of).collect()
}

fn on_nvidia(card: &Card) -> GpuLoad {
    GpuLoad {
        memory_bytes: card.memory_mib.and_then(|mib| mib.checked_mul(MIB)),
        used_bytes: card.used_mib.and_then(|mib| mib.checked_mul(MIB)),
        load: card.percent.and_then(per_mille),
    }
}

fn on_amd(root: &Path, pci: &str) -> GpuLoad {
    let folder = root.join("sys/bus/pci/devices").join(pci);
    let number = |name: &str| read::text(&folder.join(name)).ok()?.trim().parse::<u64>().ok();
    GpuLoad {
        memory_bytes: number("mem_info_vram_total"),
        used_bytes: number("mem_info_vram_used"),
        load: number("gpu_busy_percent").and_then(per_mille),
    }
}

fn per_mille(percent: u64) -> Option<u16> {
    u16::try_from(percent.checked_mul(PER_MILLE)?.min(100 * PER_MILLE)).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn gpu(index: u32, vendor: Vendor, pci: &str) -> Gpu {
        let (pci, uuid) = (pci.to_owned(), Some(format!("GPU-{index}")));
        Gpu { vendor: Some(vendor), pci, uuid, ..Gpu::declared(index) }
    }

    #[test]
    fn each_vendor_tells_what_it_knows_and_the_rest_is_not_known() {
        let root = tempfile::tempdir().unwrap();
        let says = "#!/bin/sh\ncase $1 in --query-gpu=uuid,memory.total,memory.used,\
                    utilization.gpu) echo 'GPU-1, 81920, 61440, 92'; echo 'GPU-0, 100, [N/A], \
                    [Not Supported]';; *) exit 2;; esac\n";
        put(root.path(), "usr/bin/nvidia-smi", says);
        let amd = "sys/bus/pci/devices/0000:03:00.0";
        put(root.path(), &format!("{amd}/gpu_busy_percent"), "7\n");
        put(root.path(), &format!("{amd}/mem_info_vram_total"), "4096\n");
        let mut all: Vec<Gpu> = (0..2).map(|n| gpu(n, Vendor::Nvidia, "0000:01:00.0")).collect();
        all.extend([gpu(2, Vendor::Amd, "0000:03:00.0"), Gpu::declared(3)]);
        let of = |memory_bytes, used_bytes, load| GpuLoad { memory_bytes, used_bytes, load };
        let known = [
            of(Some(100 * MIB), None, None),
            of(Some(80 << 30), Some(60 << 30), Some(920)),
            of(Some(4096), None, Some(70)),
            GpuLoad::default(),
        ];
        assert_eq!(loads(&mut Smi::default(), root.path(), &all), known);
        put(root.path(), "usr/bin/nvidia-smi", "#!/bin/sh\necho rubbish\n");
        let known = loads(&mut Smi::default(), root.path(), &all[..2]);
        assert_eq!(known, [GpuLoad::default(); 2]);
        assert_eq!(loads(&mut Smi::default(), root.path(), &[]), []);
    }
}
