//! *Purpose*: files that decide what this program does are its user's own.
//!
//! *Owns*: [`read`], [`Distrust`].
//!
//! *Promises*: what is checked is what is read: the open file, not its name.
//!
//! *Not here*: what the files say (`config::settings`, `config::secret`).

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::people;

/// The bits that let the group and others write.
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// The bit by which only its owner may replace a file of a folder.
const STICKY: u32 = 0o1000;

/// The longest file that is read, bytes: settings and tokens are some kilobytes, and a hole of a
/// file can be as long as a disk is not.
const BYTES_MAX: u64 = 1024 * 1024;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum Distrust {
    /// It cannot be.
    #[error(transparent)]
    Unread(#[from] io::Error),
    /// Somebody else decides what is in it.
    #[error("{0}")]
    Foreign(String),
}

/// The text of a file that is this user's or root's, and that nobody else may write.
///
/// # Errors
/// [`Distrust`].
pub fn read(path: &Path) -> Result<String, Distrust> {
    // Not waited for: a pipe or a device in its place must not keep a server from stopping.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let mut file = File::options().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("is not a plain file").into());
    }
    own(path, &found)?;
    if found.len() > BYTES_MAX {
        let said = format!("has {} bytes; at most {BYTES_MAX} are read", found.len());
        return Err(io::Error::other(said).into());
    }
    let mut text = String::new();
    // It may have grown since.
    file.by_ref().take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// The same of a file that was not named but found: its folder must be trusted too.
///
/// # Errors
/// [`Distrust`].
pub fn read_found(path: &Path) -> Result<String, Distrust> {
    let text = read(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let found = folder.metadata()?;
    // In `/tmp` everybody may make files, and nobody may replace another's.
    if found.mode() & STICKY == 0 {
        own(&std::path::absolute(folder)?, &found)?;
    }
    Ok(text)
}

fn own(path: &Path, found: &Metadata) -> Result<(), Distrust> {
    let me = rustix::process::geteuid().as_raw();
    let shown = path.display();
    if found.uid() != me && found.uid() != 0 {
        let owner = people::named(found.uid());
        return Err(Distrust::Foreign(format!("{shown} belongs to {owner}, who could change it")));
    }
    // A group of the same number as its user is his alone, as most systems make it.
    let group_is_mine = found.gid() == me && me != 0;
    let by_group = found.mode() & GROUP_WRITES != 0 && !group_is_mine && found.gid() != 0;
    if by_group || found.mode() & OTHERS_WRITE != 0 {
        let mode = found.mode() & 0o7777;
        let said = format!("others may write {shown} (mode {mode:04o}); run chmod go-w {shown}");
        return Err(Distrust::Foreign(said));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_others_may_write_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("downbeat.toml");
        write(&path, "x").unwrap();
        for (file, folder, named, found) in [
            (0o600, 0o700, true, true),
            (0o644, 0o755, true, true),
            (0o666, 0o755, false, false),
            (0o602, 0o700, false, false),
            (0o644, 0o777, true, false),
            (0o644, 0o1777, true, true),
        ] {
            set_permissions(&path, Permissions::from_mode(file)).unwrap();
            set_permissions(dir.path(), Permissions::from_mode(folder)).unwrap();
            let got = (read(&path).is_ok(), read_found(&path).is_ok());
            assert_eq!(got, (named, found), "{file:o} in {folder:o}");
        }
        set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let said = read(&path).unwrap_err().to_string();
        assert!(said.contains("others may write") && said.contains("chmod go-w"), "{said}");
    }

    #[test]
    fn what_is_longer_than_settings_are_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("downbeat.toml");
        write(&path, "x").unwrap();
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        let said = read(&path).unwrap_err().to_string();
        assert!(said.contains("at most 1048576 are read"), "{said}");
    }

    #[test]
    fn what_belongs_to_somebody_else_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("downbeat.toml");
        write(&path, "x").unwrap();
        // Only root can give a file away.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            let said = read(&path).unwrap_err().to_string();
            assert!(said.contains("(65534), who could change it"), "{said}");
        }
    }
}
