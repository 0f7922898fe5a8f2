//! *Purpose*: what is known of a GPU.
//!
//! *Owns*: [`Gpu`], [`Vendor`], [`DeviceNode`], what can be wrong with one ([`DiscoverError`]), how
//! a PCI address is read.
//!
//! *Promises*: a GPU is who it is by its PCI address and its UUID; the number of a driver (the
//! minor) is no identity: it changes with the order in which cards answer.
//!
//! *Not here*: where it is read (`nvidia`, `amd`), who is counted first (`discover`).

use std::io;
use std::path::PathBuf;

/// The most GPUs of one machine: eight cards that are cut into eight parts each are 64, and
/// the drivers give no more numbers than this.
pub const GPUS_MAX: usize = 128;

/// Who made a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vendor {
    /// NVIDIA.
    Nvidia,
    /// AMD.
    Amd,
}

/// A character device by which programs reach a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceNode {
    /// As a program names it: `/dev/nvidia0`, whatever root it was found below.
    pub path: PathBuf,
    /// The driver's number.
    pub major: u32,
    /// The device's number within the driver.
    pub minor: u32,
}

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Its place among all GPUs of the machine, by PCI address, from 0. The ledger counts by it.
    pub index: u32,
    /// Its place among those of its vendor, by PCI address, from 0: the programs of one vendor do
    /// not count the cards of another.
    pub ordinal: u32,
    /// Who made it; `None` when only the settings know of it.
    pub vendor: Option<Vendor>,
    /// Its PCI address, `0000:01:00.0`; empty when only the settings know of it.
    pub pci: String,
    /// The vendor's name for it; `None` while the driver does not know it.
    pub uuid: Option<String>,
    /// What it is called, for people.
    pub model: String,
    /// Its own device nodes. Those that all GPUs share (`/dev/nvidiactl`, `/dev/kfd`) are not among
    /// them.
    pub nodes: Vec<DeviceNode>,
    /// Of a part of a card: the card's device, which all its parts share.
    pub card: Option<DeviceNode>,
}

impl DeviceNode {
    /// The number by which NVIDIA's driver knows a card: that in the name of its device.
    #[must_use]
    pub(super) fn number_in_name(&self) -> Option<u32> {
        self.path.file_name()?.to_str()?.strip_prefix("nvidia")?.parse().ok()
    }
}

impl Gpu {
    /// One of which nothing is known but that the settings name it.
    #[must_use]
    pub fn declared(index: u32) -> Gpu {
        let (pci, model, nodes) = (String::new(), String::new(), Vec::new());
        let (uuid, card) = (None, None);
        Gpu { index, ordinal: index, vendor: None, pci, uuid, model, nodes, card }
    }
}

/// Why it is not known which GPUs there are. Each sentence names the file.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// Something is there and cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Unread {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is missing, or its value is none.
    #[error("{}: {field} {problem}", .path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The line.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The GPU is there, its device is not.
    #[error("GPU {pci}: {} {problem}", .path.display())]
    Node {
        /// The GPU.
        pci: String,
        /// The device.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A card is cut into parts, and these cannot be told.
    #[error("the parts of a GPU (MIG) are not known: {why}")]
    Parts {
        /// A sentence.
        why: String,
    },
    /// More than can be.
    #[error("{} has more than {most} entries, more than there can be", .path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// How many there may be.
        most: usize,
    },
}

/// A PCI address as numbers: domain, bus, device, function. `None` when the text is none.
#[must_use]
pub(super) fn pci_numbers(text: &str) -> Option<[u32; 4]> {
    let (rest, function) = text.rsplit_once('.')?;
    let mut parts = rest.split(':');
    let mut hex = || u32::from_str_radix(parts.next()?, 16).ok();
    let (domain, bus, device) = (hex()?, hex()?, hex()?);
    let function = u32::from_str_radix(function, 16).ok()?;
    let fits = bus <= 0xff && device <= 0x1f && function <= 7 && parts.next().is_none();
    fits.then_some([domain, bus, device, function])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_pci_address_is_four_numbers() {
        assert_eq!(pci_numbers("0000:01:00.0"), Some([0, 1, 0, 0]));
        assert_eq!(pci_numbers("00000001:FF:1f.7"), Some([1, 0xff, 0x1f, 7]));
        for none in ["", "01:00.0", "0000:01:00", "0:0:0:0.0", "0:100:0.0", "0:0:20.0", "x:0:0.0"] {
            assert_eq!(pci_numbers(none), None, "{none}");
        }
    }
}
