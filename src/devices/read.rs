//! *Purpose*: reads what drivers show, below a root.
//!
//! *Owns*: how much is read of a file and of a folder; what a device node is.
//!
//! *Promises*: nothing without an end is read, nothing is waited for.
//!
//! *Not here*: what the texts mean (`nvidia`, `amd`).

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::gpu::{DeviceNode, DiscoverError};

/// The longest text of a driver that is read: real ones have some hundreds of bytes.
const TEXT_BYTES_MAX: u64 = 64 * 1024;

/// The whole text of a file, whatever bytes it holds.
///
/// # Errors
/// What the system says; an error too when it has more than [`TEXT_BYTES_MAX`].
pub fn text(path: &Path) -> io::Result<String> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let mut bytes = Vec::new();
    // The length that `/proc` and `/sys` give is no length.
    file.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > TEXT_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too long for what it is"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What is in a folder, sorted by name; nothing when the folder is not there.
///
/// # Errors
/// When it cannot be read, or has more than `most` entries.
pub fn entries(path: &Path, most: usize) -> Result<Vec<PathBuf>, DiscoverError> {
    let unread = |source| DiscoverError::Unread { path: path.to_owned(), source };
    let listed = match fs::read_dir(path) {
        Ok(listed) => listed,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(unread(e)),
    };
    let mut found = Vec::new();
    for entry in listed {
        if found.len() == most {
            return Err(DiscoverError::TooMany { path: path.to_owned(), most });
        }
        found.push(entry.map_err(unread)?.path());
    }
    found.sort();
    Ok(found)
}

/// The device with this name below the root, of the GPU with this address.
///
/// # Errors
/// When it is not there, or no character device.
pub fn node(root: &Path, name: &str, pci: &str) -> Result<DeviceNode, DiscoverError> {
    let path = Path::new("/").join(name);
    let wrong = |problem: &str| DiscoverError::Node {
        pci: pci.to_owned(),
        path: path.clone(),
        problem: problem.to_owned(),
    };
    match device(&root.join(name)) {
        Ok(Some((major, minor))) => Ok(DeviceNode { path, major, minor }),
        Ok(None) => Err(wrong("is not a character device")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(wrong("is missing")),
        Err(e) => Err(wrong(&e.to_string())),
    }
}

/// The numbers of the character device that a path leads to; `None` for anything else.
///
/// # Errors
/// What the system says.
pub fn device(path: &Path) -> io::Result<Option<(u32, u32)>> {
    let about = fs::metadata(path)?;
    let numbers = (rustix::fs::major(about.rdev()), rustix::fs::minor(about.rdev()));
    Ok(about.file_type().is_char_device().then_some(numbers))
}
