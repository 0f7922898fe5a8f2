//! *Purpose*: which GPUs this machine has.
//!
//! *Owns*: the order in which they are counted: by PCI address, of all vendors together.
//!
//! *Promises*: the same cards have the same numbers after every start, in whatever order their
//! driver finds them; a machine without any is no error.
//!
//! *Not here*: what is read (`nvidia`, `amd`).

use std::collections::BTreeMap;
use std::path::Path;

use super::gpu::{DiscoverError, Gpu, Vendor, pci_numbers};
use super::{amd, mig, nvidia};

/// The GPUs of the machine whose root this is (`/`), each at the place of its index.
///
/// # Errors
/// When a driver shows something that is not understood, or a device is missing: a sentence that
/// names the file. What is not known must not be handed out.
pub fn discover(root: &Path) -> Result<Vec<Gpu>, DiscoverError> {
    let mut gpus = mig::cut(root, nvidia::discover(root)?)?;
    gpus.extend(amd::discover(root)?);
    // Parts of one card share its address; their devices tell them apart.
    gpus.sort_by_key(|gpu| (pci_numbers(&gpu.pci), gpu.nodes.first().map(|node| node.minor)));
    let mut next: BTreeMap<Option<Vendor>, u32> = BTreeMap::new();
    for (gpu, index) in gpus.iter_mut().zip(0..) {
        let ordinal = next.entry(gpu.vendor).or_default();
        (gpu.index, gpu.ordinal) = (index, *ordinal);
        *ordinal += 1;
    }
    Ok(gpus)
}

#[cfg(test)]
#[path = "discover/tests.rs"]
#[allow(clippy::unwrap_used)]
mod tests;
