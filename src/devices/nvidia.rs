//! *Purpose*: the GPUs that the driver of NVIDIA shows.
//!
//! *Owns*: reading `/proc/driver/nvidia/gpus/*/information`.
//!
//! *Promises*: the driver's own text is enough: neither its library nor `nvidia-smi` is asked.
//!
//! *Not here*: parts of a card, which that text does not show (`mig`).
//!
//! The text is that of the driver's README, "The proc filesystem": a word, a colon, a value.

use std::path::Path;

use super::gpu::{DiscoverError, GPUS_MAX, Gpu, Vendor, pci_numbers};
use super::read;

/// Below the root.
const GPUS: &str = "proc/driver/nvidia/gpus";

/// Those that are there, in no order.
///
/// # Errors
/// When one is there and is not understood, or its device is missing.
pub fn discover(root: &Path) -> Result<Vec<Gpu>, DiscoverError> {
    let mut found = Vec::new();
    for folder in read::entries(&root.join(GPUS), GPUS_MAX)? {
        found.extend(gpu(root, &folder.join("information"))?);
    }
    Ok(found)
}

/// `None` for one that an administrator has excluded from use.
fn gpu(root: &Path, path: &Path) -> Result<Option<Gpu>, DiscoverError> {
    let text = read::text(path)
        .map_err(|source| DiscoverError::Unread { path: path.to_owned(), source })?;
    let wrong = |field, problem: &str| DiscoverError::Field {
        path: path.to_owned(),
        field,
        problem: problem.to_owned(),
    };
    let value = |field: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(name, _)| name.trim() == field).map(|(_, value)| value.trim())
    };
    let is_excluded = |field| value(field).is_some_and(|word| word.eq_ignore_ascii_case("yes"));
    if is_excluded("GPU Excluded") || is_excluded("Blacklisted") {
        return Ok(None);
    }
    let needed = |field| value(field).ok_or_else(|| wrong(field, "is missing"));
    let pci = needed("Bus Location")?.to_ascii_lowercase();
    pci_numbers(&pci).ok_or_else(|| wrong("Bus Location", "is no PCI address"))?;
    let minor = needed("Device Minor")?;
    let minor: u32 = minor.parse().map_err(|_| wrong("Device Minor", "is not a number"))?;
    let node = read::node(root, &format!("dev/nvidia{minor}"), &pci)?;
    // Until the driver has spoken with the card it shows question marks.
    let uuid = value("GPU UUID").filter(|uuid| !uuid.is_empty() && !uuid.contains('?'));
    Ok(Some(Gpu {
        index: 0,
        ordinal: 0,
        vendor: Some(Vendor::Nvidia),
        uuid: uuid.map(str::to_owned),
        model: needed("Model")?.to_owned(),
        nodes: vec![node],
        card: None,
        pci,
    }))
}
