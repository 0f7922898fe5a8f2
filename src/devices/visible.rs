//! *Purpose*: what the environment of a job says of GPUs.
//!
//! *Owns*: the variables of each vendor, and Slurm's.
//!
//! *Promises*: a job that holds no GPU is told that it has none, which is not the same as being
//! told nothing; no two variables of one vendor filter one after the other.
//!
//! *Not here*: keeping a program that asks nobody from the others (`engine::local::devices`).
//!
//! **Two numbers.** `SLURM_JOB_GPUS` names GPUs by their numbers on the machine, as the ledger
//! does. The vendor's variable holds what a program sees: where the others are denied, a program
//! sees its own alone and counts them from 0 (both drivers pass over what cannot be opened).
//!
//! **Parts** of NVIDIA's cards (MIG) have UUIDs and no numbers, so on a machine with some every
//! card of NVIDIA is named by its UUID.
//!
//! **AMD.** Only `ROCR_VISIBLE_DEVICES`: it is the lowest filter, and the indices of
//! `HIP_VISIBLE_DEVICES` or `CUDA_VISIBLE_DEVICES` above it would count what it has left over.

use super::gpu::{Gpu, Vendor};

/// Every variable that says which GPUs a program may use. What a job brings of them is to be taken
/// out before [`visible`] is put in: a leftover would filter once more.
pub const VARIABLES: [&str; 9] = [
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
    "HIP_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "SLURM_GPUS_ON_NODE",
    "SLURM_JOB_GPUS",
    "ZE_AFFINITY_MASK",
];

/// How a program is told which GPUs are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// By its number among those of its vendor. For a job that could open the others too.
    Index,
    /// By its number among those that the job holds. For a job to which all others are denied.
    IndexOfHeld,
    /// By UUID, which is the same in both cases. Some programs do not understand it.
    Uuid,
}

/// A GPU is to be named by its UUID, and none is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("GPU {index} has no UUID that is known, so it cannot be named by it; name GPUs by index")]
pub struct UuidUnknown {
    /// Its index on the machine.
    pub index: u32,
}

/// What a job is told that holds these of all GPUs of the machine. Those that only the settings
/// know are named as NVIDIA's are.
///
/// # Errors
/// When one has no UUID and shall be named by it.
pub fn visible(
    all: &[Gpu],
    held: &[&Gpu],
    naming: Naming,
) -> Result<Vec<(&'static str, String)>, UuidUnknown> {
    let mut said = Vec::new();
    for vendor in [Vendor::Nvidia, Vendor::Amd] {
        let is_of = |gpu: &Gpu| gpu.vendor.unwrap_or(Vendor::Nvidia) == vendor;
        if !all.iter().any(is_of) {
            continue;
        }
        let mut own: Vec<&Gpu> = held.iter().copied().filter(|gpu| is_of(gpu)).collect();
        own.sort_by_key(|gpu| gpu.ordinal);
        // No number names a part of a card.
        let is_cut = all.iter().any(|gpu| is_of(gpu) && gpu.card.is_some());
        let names = names(&own, if is_cut { Naming::Uuid } else { naming })?;
        match vendor {
            Vendor::Nvidia => {
                said.push(("CUDA_DEVICE_ORDER", "PCI_BUS_ID".to_owned()));
                said.push(("CUDA_VISIBLE_DEVICES", names));
            }
            Vendor::Amd => said.push(("ROCR_VISIBLE_DEVICES", names)),
        }
    }
    if !held.is_empty() {
        let mut indices: Vec<u32> = held.iter().map(|gpu| gpu.index).collect();
        indices.sort_unstable();
        said.push(("SLURM_JOB_GPUS", listed(indices.iter())));
        said.push(("SLURM_GPUS_ON_NODE", held.len().to_string()));
    }
    Ok(said)
}

fn names(own: &[&Gpu], naming: Naming) -> Result<String, UuidUnknown> {
    Ok(match naming {
        Naming::Index => listed(own.iter().map(|gpu| gpu.ordinal)),
        Naming::IndexOfHeld => listed(0..own.len()),
        Naming::Uuid => {
            let uuid = |gpu: &&Gpu| gpu.uuid.clone().ok_or(UuidUnknown { index: gpu.index });
            own.iter().map(uuid).collect::<Result<Vec<String>, _>>()?.join(",")
        }
    })
}

fn listed<T: ToString>(numbers: impl Iterator<Item = T>) -> String {
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn gpu(index: u32, ordinal: u32, vendor: Option<Vendor>) -> Gpu {
        let uuid = vendor.map(|_| format!("GPU-{index}"));
        Gpu { ordinal, vendor, uuid, ..Gpu::declared(index) }
    }

    fn said(all: &[Gpu], held: &[usize], naming: Naming) -> String {
        let held: Vec<&Gpu> = held.iter().map(|n| &all[*n]).collect();
        let said = visible(all, &held, naming).unwrap();
        assert!(said.iter().all(|(name, _)| VARIABLES.contains(name)), "{said:?}");
        said.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_job_is_told_its_own_gpus_as_programs_count_them_and_as_the_machine_does() {
        let nvidia = Some(Vendor::Nvidia);
        let all = [gpu(0, 0, nvidia), gpu(1, 1, nvidia), gpu(2, 2, nvidia)];
        let cuda = "CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES";
        let slurm = "SLURM_JOB_GPUS=1,2 SLURM_GPUS_ON_NODE=2";
        assert_eq!(said(&all, &[2, 1], Naming::Index), format!("{cuda}=1,2 {slurm}"));
        assert_eq!(said(&all, &[2, 1], Naming::IndexOfHeld), format!("{cuda}=0,1 {slurm}"));
        assert_eq!(said(&all, &[2, 1], Naming::Uuid), format!("{cuda}=GPU-1,GPU-2 {slurm}"));
    }

    #[test]
    fn a_job_that_holds_none_is_told_so_and_on_a_machine_without_any_it_is_told_nothing() {
        let all = [gpu(0, 0, Some(Vendor::Nvidia)), gpu(1, 0, Some(Vendor::Amd))];
        let none = "CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES= ROCR_VISIBLE_DEVICES=";
        for naming in [Naming::Index, Naming::IndexOfHeld, Naming::Uuid] {
            assert_eq!(said(&all, &[], naming), none);
            assert_eq!(said(&[], &[], naming), "");
        }
    }

    #[test]
    fn the_cards_of_one_vendor_are_not_counted_by_the_programs_of_another() {
        let (nvidia, amd) = (Some(Vendor::Nvidia), Some(Vendor::Amd));
        let all = [gpu(0, 0, nvidia), gpu(1, 0, amd), gpu(2, 1, nvidia), gpu(3, 1, amd)];
        assert_eq!(
            said(&all, &[2, 3], Naming::Index),
            "CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=1 ROCR_VISIBLE_DEVICES=1 \
             SLURM_JOB_GPUS=2,3 SLURM_GPUS_ON_NODE=2"
        );
        let amd_alone = [gpu(0, 0, amd)];
        assert_eq!(
            said(&amd_alone, &[0], Naming::Index),
            "ROCR_VISIBLE_DEVICES=0 SLURM_JOB_GPUS=0 SLURM_GPUS_ON_NODE=1",
            "a second variable would filter what the first has left"
        );
    }

    #[test]
    fn where_a_card_is_cut_all_of_its_vendor_are_named_by_uuid() {
        let mut all = [gpu(0, 0, Some(Vendor::Nvidia)), gpu(1, 1, Some(Vendor::Nvidia))];
        let path = "/dev/nvidia1".into();
        all[1].card = Some(crate::devices::DeviceNode { path, major: 195, minor: 1 });
        all[1].uuid = Some("MIG-7".to_owned());
        for naming in [Naming::Index, Naming::IndexOfHeld, Naming::Uuid] {
            assert!(
                said(&all, &[1], naming).contains("CUDA_VISIBLE_DEVICES=MIG-7 SLURM_JOB_GPUS=1 ")
            );
            assert!(
                said(&all, &[0], naming).contains("CUDA_VISIBLE_DEVICES=GPU-0 SLURM_JOB_GPUS=0 ")
            );
            assert!(said(&all, &[], naming).ends_with("CUDA_VISIBLE_DEVICES="));
        }
    }

    #[test]
    fn gpus_that_the_settings_alone_know_have_indices_and_no_uuid() {
        let all = [gpu(0, 0, None), gpu(1, 1, None)];
        assert!(said(&all, &[1], Naming::Index).contains("CUDA_VISIBLE_DEVICES=1 "));
        let refused = visible(&all, &[&all[1]], Naming::Uuid).unwrap_err();
        assert_eq!(refused, UuidUnknown { index: 1 });
    }
}
