//! *Purpose*: files in folders that scripts can reach.
//!
//! *Owns*: how such a file is opened, read, written and put in another's place.
//!
//! *Promises*: no link is followed, nothing waits for a pipe or a device, nothing without an end is
//! read. What is not a plain file is an error of its own kind ([`is_strange`]); where we write, it
//! is moved out of the way.
//!
//! *Not here*: what the files mean (`spool`); the folders above them are the server's own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{OFlags, RenameFlags};

/// How what stood in the place of one of our files is called afterwards.
const ASIDE: &str = "strange";

/// Opens a plain file, with these options and for nobody but its owner if it is made.
///
/// # Errors
/// What the system says; [`is_strange`] for what is not a plain file.
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = options.mode(0o600).custom_flags(flags.bits() as i32).open(path);
    let file = opened.map_err(|e| match rustix::io::Errno::from_io_error(&e) {
        // A link, a pipe that nobody reads or a socket, a folder.
        Some(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO | rustix::io::Errno::ISDIR) => {
            strange()
        }
        _ => e,
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(strange()) }
}

/// The same for a file of our own: what is not a plain file is moved out of the way first.
///
/// # Errors
/// What the system says.
pub fn open_own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    match open(path, options) {
        Err(e) if is_strange(&e) => {
            move_aside(path)?;
            open(path, options)
        }
        other => other,
    }
}

/// Reads a plain file of at most so many bytes.
///
/// # Errors
/// What the system says; an error of its own kind for what is no plain file, or longer.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    read_open(&mut open(path, OpenOptions::new().read(true))?, bytes_max)
}

/// Reads an open file of at most so many bytes, as long as it is now.
///
/// # Errors
/// See [`read`].
pub fn read_open(file: &mut File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    if length > bytes_max {
        return Err(strange());
    }
    // One byte more than there is: a short read is the end, and one call says so.
    let mut text = vec![0; usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1)];
    let mut filled = 0;
    while filled < text.len() {
        match file.read(&mut text[filled..]) {
            Ok(0) => break,
            Ok(count) => {
                filled += count;
                if filled as u64 >= length {
                    break;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    text.truncate(filled.min(usize::try_from(bytes_max).unwrap_or(usize::MAX)));
    Ok(text)
}

/// Puts a file in the place of another. A folder that somebody put there is moved out of the way.
///
/// # Errors
/// What the system says.
pub fn replace(new: &Path, path: &Path) -> io::Result<()> {
    match fs::rename(new, path) {
        Err(e) if matches!(e.kind(), io::ErrorKind::IsADirectory) => {
            move_aside(path)?;
            fs::rename(new, path)
        }
        other => other,
    }
}

/// Gives a file a name that nobody has; [`io::ErrorKind::AlreadyExists`] when somebody has it.
///
/// # Errors
/// What the system says.
pub fn rename_new(new: &Path, path: &Path) -> io::Result<()> {
    let cwd = rustix::fs::CWD;
    match rustix::fs::renameat_with(cwd, new, cwd, path, RenameFlags::NOREPLACE) {
        // Some file systems and kernels do not know it. A second name is as exclusive.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
            fs::hard_link(new, path)?;
            fs::remove_file(new)
        }
        other => Ok(other?),
    }
}

/// Whether an error says that something is there which is no plain file of ours.
#[must_use]
pub fn is_strange(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

fn strange() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "is not a plain file of the server's")
}

/// Gives whatever stands there a name that nobody looks for.
///
/// # Errors
/// What the system says.
pub fn move_aside(path: &Path) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{ASIDE}.{}", uuid::Uuid::new_v4().simple()));
    fs::rename(path, aside)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    /// Everything that somebody may put in the place of a file.
    fn strangers(home: &Path) -> Vec<std::path::PathBuf> {
        let at = |name: &str| home.join(name);
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        symlink("/etc/passwd", at("link")).unwrap();
        symlink("/dev/zero", at("endless")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
        ["pipe", "link", "endless", "dangling", "folder", "socket"].map(at).to_vec()
    }

    #[test]
    fn what_is_not_a_plain_file_is_neither_read_nor_waited_for_nor_written_through() {
        let home = tempfile::tempdir().unwrap();
        for path in strangers(home.path()) {
            let refused = read(&path, 10).unwrap_err();
            assert!(is_strange(&refused), "{}: {refused}", path.display());
            let mut file = open_own(&path, OpenOptions::new().write(true).create(true)).unwrap();
            io::Write::write_all(&mut file, b"ours").unwrap();
            assert_eq!(read(&path, 10).unwrap(), b"ours", "{}", path.display());
        }
        assert!(!home.path().join("nowhere").exists());
    }

    #[test]
    fn a_file_that_is_longer_than_a_record_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("long");
        fs::write(&path, [b'x'; 11]).unwrap();
        assert!(is_strange(&read(&path, 10).unwrap_err()));
        assert_eq!(read(&path, 11).unwrap().len(), 11);
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(is_strange(&read(&path, 11).unwrap_err()), "a hole has no end either");
    }

    #[test]
    fn a_record_takes_the_place_of_whatever_stands_there() {
        let home = tempfile::tempdir().unwrap();
        for path in strangers(home.path()) {
            let new = home.path().join("new");
            fs::write(&new, "true").unwrap();
            replace(&new, &path).unwrap();
            assert_eq!(read(&path, 10).unwrap(), b"true", "{}", path.display());
        }
    }

    #[test]
    fn a_name_that_somebody_has_is_not_taken() {
        let home = tempfile::tempdir().unwrap();
        let (new, path) = (home.path().join("new"), home.path().join("name"));
        fs::write(&new, "second").unwrap();
        fs::write(&path, "first").unwrap();
        let refused = rename_new(&new, &path).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        fs::remove_file(&path).unwrap();
        rename_new(&new, &path).unwrap();
        assert!(!new.exists());
    }
}
