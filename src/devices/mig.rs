//! *Purpose*: the parts of NVIDIA's cards that are cut (MIG).
//!
//! *Owns*: which parts a card has, by `nvidia-smi` and `/proc/driver/nvidia/capabilities`; which
//! devices lead to a part.
//!
//! *Promises*: a card that is cut is never given as a whole: its parts take its place. Nothing is
//! asked where no card is cut. Parts that are not understood are an error that names the line.
//!
//! *Not here*: whole cards (`nvidia`), running `nvidia-smi` (`smi`).
//!
//! **What is asked** (NVIDIA's guide to MIG, "Device Enumeration"). `nvidia-smi -L` gives each part
//! a name and a UUID, by card and by the part's place on it. `nvidia-smi -q` gives that place the
//! numbers of its GPU instance and its compute instance. `/proc` gives these the minor numbers of
//! `/dev/nvidia-caps/nvidia-cap*`: a program needs the card's own device and both of these.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::gpu::{DeviceNode, DiscoverError, GPUS_MAX, Gpu, pci_numbers};
use super::read;
use super::smi::Smi;

/// Below the root, a folder for each card.
const CAPABILITIES: &str = "proc/driver/nvidia/capabilities";
/// Beside the folders of a card's GPU instances there are some files that are not ours.
const ENTRIES_MAX: usize = GPUS_MAX + 32;

/// The cards, each that is cut replaced by its parts.
///
/// # Errors
/// When a card is cut and its parts cannot be told.
pub fn cut(root: &Path, cards: Vec<Gpu>) -> Result<Vec<Gpu>, DiscoverError> {
    let mut is_cut = Vec::new();
    for card in &cards {
        is_cut.push(!instances(root, card)?.is_empty());
    }
    if !is_cut.contains(&true) {
        return Ok(cards);
    }
    let parts = Parts::ask(root)?;
    let mut found = Vec::new();
    for (card, is_cut) in cards.into_iter().zip(is_cut) {
        if is_cut { found.extend(parts.of(root, &card)?) } else { found.push(card) }
    }
    Ok(found)
}

/// The folders of the GPU instances of a card.
fn instances(root: &Path, card: &Gpu) -> Result<Vec<String>, DiscoverError> {
    let number = card.nodes.first().and_then(DeviceNode::number_in_name);
    let Some(number) = number else { return Ok(Vec::new()) };
    let folder = root.join(CAPABILITIES).join(format!("gpu{number}/mig"));
    let entries = read::entries(&folder, ENTRIES_MAX)?;
    let names = entries.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let is_instance =
        |name: &String| name.strip_prefix("gi").is_some_and(|number| number.parse::<u32>().is_ok());
    Ok(names.filter(is_instance).collect())
}

/// A part as `nvidia-smi` names it.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    profile: String,
    uuid: String,
}

/// The numbers of a part's GPU instance and compute instance on its card.
type Instances = (u32, u32);

/// All parts of the machine.
#[derive(Debug, Default)]
struct Parts {
    /// By the UUID of the card and the place of the part on it.
    named: BTreeMap<(String, u32), Named>,
    /// By the PCI address of the card and the place of the part on it.
    numbered: BTreeMap<([u32; 4], u32), Instances>,
}

impl Parts {
    fn ask(root: &Path) -> Result<Parts, DiscoverError> {
        let mut smi = Smi::default();
        let mut say = |question: &str| {
            let no_program = || Err("it is not there".to_owned());
            smi.say(root, question).unwrap_or_else(no_program).map_err(|why| DiscoverError::Parts {
                why: format!("nvidia-smi {question} says nothing: {why}"),
            })
        };
        Ok(Parts { named: named(&say("-L")?)?, numbered: numbered(&say("-q")?)? })
    }

    fn of(&self, root: &Path, card: &Gpu) -> Result<Vec<Gpu>, DiscoverError> {
        let wrong =
            |why: &str| DiscoverError::Parts { why: format!("the card at {}: {why}", card.pci) };
        let uuid = card.uuid.clone().ok_or_else(|| wrong("its UUID is not known"))?;
        let pci = pci_numbers(&card.pci).ok_or_else(|| wrong("its PCI address is none"))?;
        let own = card.nodes.first().ok_or_else(|| wrong("it has no device"))?;
        let number = own.number_in_name().ok_or_else(|| wrong("its device has no number"))?;
        let numbered = self.numbered.range((pci, 0)..=(pci, u32::MAX));
        let mut parts = Vec::new();
        for (&(_, place), &(gpu, compute)) in numbered {
            let named = self.named.get(&(uuid.clone(), place));
            let named = named.ok_or_else(|| wrong("nvidia-smi -L does not list its parts"))?;
            let folder = format!("{CAPABILITIES}/gpu{number}/mig/gi{gpu}");
            let gpu_node = capability(root, &format!("{folder}/access"), &card.pci)?;
            let compute_node =
                capability(root, &format!("{folder}/ci{compute}/access"), &card.pci)?;
            parts.push(Gpu {
                uuid: Some(named.uuid.clone()),
                model: format!("{} {}", card.model, named.profile),
                nodes: vec![compute_node, gpu_node],
                card: Some(own.clone()),
                ..card.clone()
            });
        }
        if parts.is_empty() {
            Err(wrong("nvidia-smi -q does not list its parts"))
        } else {
            Ok(parts)
        }
    }
}

/// The device that a file of `/proc` names by its minor number.
fn capability(root: &Path, file: &str, pci: &str) -> Result<DeviceNode, DiscoverError> {
    let path = root.join(file);
    let text =
        read::text(&path).map_err(|source| DiscoverError::Unread { path: path.clone(), source })?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let minor = lines.find(|(name, _)| name.trim() == "DeviceFileMinor");
    let minor: Option<u32> = minor.and_then(|(_, number)| number.trim().parse().ok());
    let problem = io::Error::new(io::ErrorKind::InvalidData, "DeviceFileMinor is no number");
    let minor = minor.ok_or(DiscoverError::Unread { path, source: problem })?;
    read::node(root, &format!("dev/nvidia-caps/nvidia-cap{minor}"), pci)
}

fn not_understood(line: &str) -> DiscoverError {
    let line: String = line.trim().chars().take(80).collect();
    DiscoverError::Parts { why: format!("a line of nvidia-smi is not understood: {line:?}") }
}

/// What `nvidia-smi -L` says: a line for each card, below it one for each of its parts:
/// `MIG 1g.5gb Device 0: (UUID: MIG-…)`.
fn named(text: &str) -> Result<BTreeMap<(String, u32), Named>, DiscoverError> {
    let mut card = None;
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let uuid = || {
            let uuid = line.rsplit_once("(UUID: ")?.1.trim_end().strip_suffix(')')?;
            Some(uuid.to_owned())
        };
        if line.starts_with("GPU ") {
            card = Some(uuid().ok_or_else(|| not_understood(line))?);
        } else if let Some(rest) = line.trim_start().strip_prefix("MIG ") {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let (Some(card), [profile, "Device", place, ..], Some(uuid)) =
                (&card, &words[..], uuid())
            else {
                return Err(not_understood(line));
            };
            let place = place.trim_end_matches(':').parse().map_err(|_| not_understood(line))?;
            let profile = (*profile).to_owned();
            found.insert((card.clone(), place), Named { profile, uuid });
        }
    }
    Ok(found)
}

/// What `nvidia-smi -q` says: below each card, at its own depth, a paragraph for each part.
fn numbered(text: &str) -> Result<BTreeMap<([u32; 4], u32), Instances>, DiscoverError> {
    let mut found = BTreeMap::new();
    let mut card = None;
    // Of the paragraph that is read: the part's place and its GPU instance.
    let mut part: Option<(Option<u32>, Option<u32>)> = None;
    for line in text.lines() {
        if let Some(pci) = line.strip_prefix("GPU ") {
            card = Some(pci_numbers(pci.trim()).ok_or_else(|| not_understood(line))?);
            part = None;
        } else if line.trim() == "MIG Device" {
            part = Some((None, None));
        }
        // The same words stand elsewhere too, as for processes.
        let (Some((name, value)), Some((place, gpu))) = (line.split_once(':'), &mut part) else {
            continue;
        };
        let number = || value.trim().parse::<u32>().map_err(|_| not_understood(line));
        match name.trim() {
            "Index" => *place = Some(number()?),
            "GPU Instance ID" => *gpu = Some(number()?),
            "Compute Instance ID" => {
                let (Some(card), Some(place), Some(gpu)) = (card, *place, *gpu) else {
                    return Err(not_understood(line));
                };
                found.insert((card, place), (gpu, number()?));
                part = None;
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
#[path = "mig/tests.rs"]
#[allow(clippy::unwrap_used)]
mod tests;
