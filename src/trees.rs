//! *Purpose*: takes a folder of a job away, and nothing else.
//!
//! *Owns*: the walk through what a job left behind, whole or piece by piece.
//!
//! *Promises*: no link is followed and no mount is entered, whoever changes what meanwhile; what a
//! job made unwritable or unreadable for itself is removed all the same; folders of any depth are;
//! what cannot be removed is named.
//!
//! *Not here*: which folders may go (`actors::retention`, `engine::local::scratch`).

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How deep the walk goes before it pulls up what is below: each level takes a descriptor.
const DEPTH_MAX: usize = 64;
/// Folders that are pulled up for one job: deeper than `64 × 10,000` nobody nests by mistake.
const PULLED_MAX: u32 = 10_000;

/// Removes this folder below that one; one that is not there is removed.
///
/// # Errors
/// A sentence that names what could not be removed, and why.
pub fn remove(above: &Path, name: &str) -> Result<(), String> {
    remove_piece(above, name, u64::MAX).map(drop)
}

/// The same for at most so many files and folders of it; answers whether nothing is left.
///
/// # Errors
/// See [`remove`].
pub fn remove_piece(above: &Path, name: &str, most: u64) -> Result<bool, String> {
    let told = |at: &str, e: Errno| format!("{}/{at}: {}", above.display(), why(e));
    // Only its place: whoever may pass through it need not be allowed to list it.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = match rustix::fs::open(above, flags, Mode::empty()) {
        Ok(parent) => parent,
        Err(Errno::NOENT) => return Ok(true),
        Err(e) => return Err(told("", e)),
    };
    let mut walk = Walk { pulled: 0, top: None, left: most };
    let mut path = name.to_owned();
    let name = std::ffi::CString::new(name).map_err(|e| e.to_string())?;
    match walk.tree(parent.as_fd(), &name, &mut path, 0) {
        Ok(()) => Ok(true),
        Err(Halt::Enough) => Ok(false),
        Err(Halt::Failed(e)) => Err(told(&path, e)),
    }
}

/// Why a walk ends before its end.
enum Halt {
    /// It has removed as much as it may.
    Enough,
    /// Something cannot be removed.
    Failed(Errno),
}

impl From<Errno> for Halt {
    fn from(error: Errno) -> Halt {
        Halt::Failed(error)
    }
}

fn why(error: Errno) -> String {
    match error {
        Errno::XDEV | Errno::BUSY => "something is mounted there; unmount it".to_owned(),
        other => std::io::Error::from(other).to_string(),
    }
}

/// One walk.
struct Walk {
    pulled: u32,
    /// The job's own folder, once it is open.
    top: Option<OwnedFd>,
    /// How much it may still remove.
    left: u64,
}

impl Walk {
    /// Removes what has this name, whatever it is. When it fails, `path` names where.
    fn tree(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        path: &mut String,
        depth: usize,
    ) -> Result<(), Halt> {
        let folder = match open_folder(parent, name) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return self.unlink(parent, name, AtFlags::empty());
            }
            Err(e) => return Err(e.into()),
        };
        if self.top.is_none() {
            self.top = Some(rustix::io::fcntl_dupfd_cloexec(&folder, 0)?);
        }
        loop {
            let mut found = false;
            for entry in Dir::read_from(&folder)? {
                let entry = entry?;
                let own = entry.file_name();
                if own == c"." || own == c".." {
                    continue;
                }
                found = true;
                let length = path.len();
                path.push('/');
                path.push_str(&own.to_string_lossy());
                match entry.file_type() {
                    FileType::Directory | FileType::Unknown if depth + 1 >= DEPTH_MAX => {
                        self.pull_up(folder.as_fd(), own)?;
                    }
                    FileType::Directory | FileType::Unknown => {
                        self.tree(folder.as_fd(), own, path, depth + 1)?;
                    }
                    _ => self.unlink(folder.as_fd(), own, AtFlags::empty())?,
                }
                path.truncate(length);
            }
            // What was pulled up stands in the first folder now.
            if !found {
                break;
            }
        }
        self.unlink(parent, name, AtFlags::REMOVEDIR)
    }

    fn unlink(&mut self, parent: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<(), Halt> {
        self.left = self.left.checked_sub(1).ok_or(Halt::Enough)?;
        Ok(unlink(parent, name, flags)?)
    }

    /// Moves what is too deep into the job's own folder, whose turn comes again.
    fn pull_up(&mut self, folder: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
        let Some(top) = &self.top else { return Err(Errno::NOENT) };
        loop {
            self.pulled += 1;
            if self.pulled > PULLED_MAX {
                return Err(Errno::NAMETOOLONG);
            }
            let to = format!(".removed-{}", self.pulled);
            let pull = || rustix::fs::renameat(folder, name, top, to.as_str());
            let pulled = match pull() {
                Err(Errno::ACCESS) => {
                    writable(folder)?;
                    pull()
                }
                other => other,
            };
            match pulled {
                // Of the piece before this one, or of somebody who has guessed the name.
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                other => return other,
            }
        }
    }
}

fn resolve() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS
}

/// Opens a folder to be walked through, even if its owner took that right from himself.
fn open_folder(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |flags| rustix::fs::openat2(parent, name, flags, Mode::empty(), resolve());
    match open(flags | OFlags::RDONLY) {
        Err(Errno::ACCESS) => {
            // Neither its name nor a link that took its place is what is changed, but itself.
            let itself = open(flags | OFlags::PATH)?;
            writable(itself.as_fd())?;
            open(flags | OFlags::RDONLY)
        }
        other => other,
    }
}

fn unlink(parent: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<(), Errno> {
    match rustix::fs::unlinkat(parent, name, flags) {
        Err(Errno::ACCESS) => {
            writable(parent)?;
            rustix::fs::unlinkat(parent, name, flags)
        }
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Gives the owner of a folder every right in it. By its descriptor, which may be one that only
/// names it.
fn writable(folder: BorrowedFd<'_>) -> Result<(), Errno> {
    let itself = format!("/proc/self/fd/{}", folder.as_raw_fd());
    rustix::fs::chmodat(CWD, itself.as_str(), Mode::RWXU, AtFlags::empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_folder_goes_with_all_that_is_in_it_and_nothing_that_a_link_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let (jobs, other) = (dir.path().join("jobs"), dir.path().join("other"));
        fs::create_dir_all(jobs.join("7/work/a/b")).unwrap();
        fs::create_dir_all(&other).unwrap();
        fs::write(other.join("kept"), "").unwrap();
        fs::write(jobs.join("7/stdout"), "x").unwrap();
        symlink(&other, jobs.join("7/work/link")).unwrap();
        symlink(other.join("kept"), jobs.join("7/work/a/b/link")).unwrap();
        for folder in ["7/work/a/b", "7/work/a"] {
            let mode = fs::Permissions::from_mode(0o111);
            fs::set_permissions(jobs.join(folder), mode).unwrap();
        }
        fs::create_dir(jobs.join("8")).unwrap();
        assert_eq!(remove(&jobs, "7"), Ok(()));
        assert_eq!(remove(&jobs, "7"), Ok(()), "it is gone already");
        assert!(!jobs.join("7").exists() && jobs.join("8").exists() && other.join("kept").exists());
        symlink(&other, jobs.join("9")).unwrap();
        assert_eq!(remove(&jobs, "9"), Ok(()));
        assert!(other.join("kept").exists(), "only the link went");
    }

    #[test]
    fn a_folder_that_is_deeper_than_there_are_descriptors_goes_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut at =
            rustix::fs::open(dir.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
                .unwrap();
        for n in 0..3_000 {
            let name = if n == 0 { "1" } else { "d" };
            rustix::fs::mkdirat(&at, name, Mode::RWXU).unwrap();
            at = rustix::fs::openat(&at, name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
                .unwrap();
        }
        drop(at);
        fs::create_dir(dir.path().join("1/.removed-1")).unwrap();
        fs::write(dir.path().join("1/.removed-2"), "").unwrap();
        let mut pieces = 1;
        while !remove_piece(dir.path(), "1", 100).unwrap() {
            pieces += 1;
        }
        assert_eq!(pieces, 31, "3,002 entries, a hundred at a time");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_large_folder_goes_piece_by_piece_and_a_link_in_its_place_alone() {
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("there");
        fs::create_dir_all(there.join("a")).unwrap();
        for n in 0..25 {
            fs::write(there.join(format!("a/{n}")), "").unwrap();
        }
        let left = || fs::read_dir(there.join("a")).unwrap().count();
        assert_eq!(remove_piece(dir.path(), "there", 10), Ok(false));
        assert_eq!(left(), 15);
        assert_eq!(remove_piece(dir.path(), "there", 17), Ok(true), "with both folders");
        symlink("/etc", &there).unwrap();
        assert_eq!(remove_piece(dir.path(), "there", 10), Ok(true));
        assert!(there.symlink_metadata().is_err() && Path::new("/etc/passwd").exists());
    }
}
