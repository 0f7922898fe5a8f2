//! *Purpose*: the folders that a server keeps its state in.
//!
//! *Owns*: making them, opening those that their own user has closed, and refusing those that are
//! not his alone.
//!
//! *Promises*: nobody else can read or write what is kept; a folder that holds other things is
//! never closed to others unasked.
//!
//! *Not here*: the locks inside (`store::lock`).

use std::fs::{DirBuilder, Metadata, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::socket::OpenTo;
use crate::people;

/// The bits that let others in.
const OTHERS: u32 = 0o077;
/// The bits that let others pass through to what is theirs.
const PASSAGE: u32 = 0o011;
/// The bits that let others write.
const OTHERS_WRITE: u32 = 0o022;
/// What a folder for the user alone has.
const PRIVATE: u32 = 0o700;

/// Makes a folder for this user alone, with those above it.
pub(super) fn make(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE).create(path).with_context(|| {
        format!("cannot make the folder {}; choose another --data-dir", path.display())
    })
}

/// Makes the folder of all state, or sees to it that one which is there is this user's alone.
///
/// # Errors
/// When it is another's, or open to others.
pub(super) fn own(path: &Path, to: OpenTo) -> Result<()> {
    make(path)?;
    let shown = path.display();
    let found = path.metadata().with_context(|| format!("cannot look at {shown}"))?;
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me {
        let (owner, me) = (people::named(found.uid()), people::named(me));
        bail!(
            "the data folder {shown} is of {owner}, and this server runs as {me}: run it as its \
             owner, or give it over (chown -R), or choose another --data-dir"
        );
    }
    let passes = to == OpenTo::All && found.mode() & OTHERS == PASSAGE;
    if found.mode() & OTHERS == 0 || passes {
        return open(path);
    }
    if found.mode() & OTHERS_WRITE == 0 && is_ours(path) {
        log::warn!("Others could read the data folder {shown}; it is closed to them now (0700)");
        let closed = std::fs::set_permissions(path, Permissions::from_mode(PRIVATE));
        return closed.with_context(|| format!("cannot close {shown} to others"));
    }
    bail!(
        "the data folder {shown} is open to others (mode {:04o}): see that nothing in it is \
         theirs, then run chmod 700 {shown}, or choose another --data-dir",
        found.mode() & 0o7777
    )
}

/// Gives this user back the rights to a folder of its own that a job of his may have taken away.
pub(super) fn open(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() && found.mode() & PRIVATE != PRIVATE => {
            let shown = path.display();
            log::warn!("The folder {shown} was closed to its own user; it is open to him now");
            let opened = std::fs::set_permissions(path, Permissions::from_mode(PRIVATE));
            opened.with_context(|| format!("cannot open {shown}"))
        }
        _ => Ok(()),
    }
}

/// Whether a folder is empty, or holds state of this program: then it is nobody else's business.
fn is_ours(path: &Path) -> bool {
    let state = ["downbeat.db", "server.lock"];
    let is_there = |name: &str| path.join(name).symlink_metadata().is_ok();
    let is_empty = || std::fs::read_dir(path).is_ok_and(|mut all| all.next().is_none());
    state.iter().any(|name| is_there(name)) || is_empty()
}

/// Refuses a link: what it leads to may be of somebody else's choosing.
pub(super) fn is_no_link(path: &Path) -> Result<()> {
    let found = path.symlink_metadata();
    if found.as_ref().is_ok_and(Metadata::is_symlink) {
        bail!("{} is a link; name the file that is meant itself", path.display());
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn with_mode(mode: u32, file: Option<&str>) -> (tempfile::TempDir, Result<()>, u32) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        make(&path).unwrap();
        if let Some(file) = file {
            std::fs::write(path.join(file), "").unwrap();
        }
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let done = own(&path, OpenTo::OwnUser);
        let mode = path.metadata().unwrap().mode() & 0o777;
        (dir, done, mode)
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused_with_what_to_do() {
        for mode in [0o777, 0o770, 0o702, 0o720] {
            let (_dir, done, left) = with_mode(mode, None);
            let said = done.unwrap_err().to_string();
            assert!(said.contains("chmod 700") && said.contains("is open to others"), "{said}");
            assert_eq!(left, mode);
        }
    }

    #[test]
    fn a_folder_that_others_may_read_is_closed_if_it_is_the_servers_and_refused_otherwise() {
        for (file, is_taken) in [(None, true), (Some("downbeat.db"), true), (Some("mine"), false)] {
            let (_dir, done, left) = with_mode(0o755, file);
            assert_eq!((done.is_ok(), left == 0o700), (is_taken, is_taken), "{file:?} {done:?}");
        }
    }

    #[test]
    fn a_folder_that_its_user_has_closed_is_opened_to_him_alone() {
        for mode in [0o000, 0o200, 0o500] {
            let (_dir, done, left) = with_mode(mode, None);
            assert_eq!((done.is_ok(), left), (true, 0o700), "{mode:o} {done:?}");
        }
    }
}
