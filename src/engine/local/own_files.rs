//! *Purpose*: files and folders that the server makes for a job of somebody else, in folders of its
//! own.
//!
//! *Owns*: the rights of both: what others may pass through, and what is its owner's alone.
//!
//! *Promises*: nobody is given a file by its name: only by the descriptor of what was just made
//! there and was nobody's before. What stands there already is used only if it is its owner's, of
//! the right kind and of one name; what a try before this one made and gave to nobody is made anew.
//!
//! *Not here*: which files a job has (`launch`), what is the owner's own to make (`child`).
//!
//! The folder around is the server's: whoever owned it could put another file in the place of one
//! that the server reads.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use crate::engine::Person;

/// The rights of a folder of the server's in which others find what is theirs: they pass through
/// it and cannot list it.
pub const PASSAGE: u32 = 0o711;
/// Whom a folder is for that is an owner's alone.
const FOLDER: Mode = Mode::RWXU;
/// Whom a stream is for.
const STREAM: Mode = Mode::from_raw_mode(0o600);
/// Whom a script is for: nothing but its text is to run under its name.
const SCRIPT: Mode = Mode::from_raw_mode(0o400);
/// All bits of rights.
const RIGHTS: u32 = 0o7777;
/// The bits that let others change a folder.
const WRITABLE: u32 = 0o022;
/// The bits that let others in.
const OTHERS: u32 = 0o077;

/// How a folder is opened to be given rights, or something in it.
const AS_FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn taken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, what)
}

/// Lets others pass through a folder of the server's.
///
/// # Errors
/// What the system says; also that the folder is another's.
pub fn let_pass(folder: &Path) -> io::Result<()> {
    let folder = rustix::fs::open(folder, AS_FOLDER, Mode::empty())?;
    let about = rustix::fs::fstat(&folder)?;
    if !is_the_server_s(&about) {
        return Err(taken("it is no folder of the server's"));
    }
    if about.st_mode & RIGHTS != PASSAGE {
        rustix::fs::fchmod(&folder, Mode::from_raw_mode(PASSAGE))?;
    }
    Ok(())
}

/// Lets others pass through the data folder and the spool in it, up to what is theirs.
///
/// # Errors
/// What the system says; also which folder above them is closed.
pub fn open_home(data_dir: &Path, spool: &Path) -> io::Result<()> {
    let_pass(data_dir)?;
    let_pass(spool)?;
    for above in data_dir.ancestors().skip(1) {
        if above.metadata()?.mode() & 0o001 == 0 {
            let sentence = format!("{} is closed to users; chmod o+x opens it", above.display());
            return Err(io::Error::other(sentence));
        }
    }
    Ok(())
}

/// How often something is made anew in the place of what a try before this one left half made.
const TRIES: u32 = 3;

/// Makes a folder in one of the server's for this person alone, or takes one that is that.
///
/// # Errors
/// What the system says; also that something else stands there.
pub fn folder(around: &Path, name: &Path, person: &Person) -> io::Result<()> {
    let around = rustix::fs::open(around, AS_FOLDER, Mode::empty())?;
    for _ in 0..TRIES {
        match rustix::fs::mkdirat(&around, name, FOLDER) {
            Ok(()) => {
                let folder = rustix::fs::openat(&around, name, AS_FOLDER, Mode::empty())?;
                rustix::fs::fchmod(&folder, FOLDER)?;
                return Ok(give(&folder, person)?);
            }
            Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        let about = rustix::fs::statat(&around, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_folder = FileType::from_raw_mode(about.st_mode) == FileType::Directory;
        if is_folder && about.st_uid == person.uid && about.st_mode & OTHERS == 0 {
            return Ok(());
        }
        // Of a try that made it and gave it to nobody, it is empty.
        let is_left = is_folder && is_the_server_s(&about);
        if !is_left || rustix::fs::unlinkat(&around, name, AtFlags::REMOVEDIR).is_err() {
            break;
        }
    }
    Err(taken("something else is there"))
}

/// Makes a stream in a folder of the server's that this person alone may read and write, or takes
/// one that is that.
///
/// # Errors
/// What the system says; also that something else stands there.
pub fn stream(around: &Path, name: &Path, person: &Person) -> io::Result<()> {
    let around = rustix::fs::open(around, AS_FOLDER, Mode::empty())?;
    let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..TRIES {
        match rustix::fs::openat(&around, name, new, STREAM) {
            Ok(stream) => {
                rustix::fs::fchmod(&stream, STREAM)?;
                return Ok(give(&stream, person)?);
            }
            Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        // Not opened: its owner could keep us waiting by a lease.
        let about = rustix::fs::statat(&around, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if is_stream_of(&about, person.uid) {
            return Ok(());
        }
        let is_left = is_plain(&about) && is_the_server_s(&about) && about.st_size == 0;
        if !is_left || rustix::fs::unlinkat(&around, name, AtFlags::empty()).is_err() {
            break;
        }
    }
    Err(taken("something else is there"))
}

/// Makes a new file of this text that this person alone may read, under a name that nobody has. As
/// long as it is written it is the server's.
///
/// # Errors
/// What the system says.
pub fn script(path: &Path, text: &[u8], person: &Person) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut script = File::from(rustix::fs::openat(CWD, path, flags, STREAM)?);
    io::Write::write_all(&mut script, text)?;
    rustix::fs::fchmod(&script, SCRIPT)?;
    Ok(give(&script, person)?)
}

/// Whether a stream that the server made for this user is still that.
#[must_use]
pub fn is_stream_of(about: &Stat, uid: u32) -> bool {
    is_plain(about) && about.st_uid == uid
}

/// Whether nobody but the server can change what is in a folder.
#[must_use]
pub fn is_kept_folder(about: &Stat) -> bool {
    is_the_server_s(about) && about.st_mode & WRITABLE == 0
}

/// A regular file of one name: what has another may be somebody's who never meant it to be here.
fn is_plain(about: &Stat) -> bool {
    FileType::from_raw_mode(about.st_mode) == FileType::RegularFile && about.st_nlink == 1
}

fn is_the_server_s(about: &Stat) -> bool {
    about.st_uid == rustix::process::geteuid().as_raw()
}

/// Only to one who was admitted: other numbers would leave it the server's.
fn give(file: impl std::os::fd::AsFd, person: &Person) -> rustix::io::Result<()> {
    let (uid, gid) = (person.uid, person.gid);
    let (uid, gid) = (Uid::from_raw_unchecked(uid), Gid::from_raw_unchecked(gid));
    rustix::fs::fchown(file, Some(uid), Some(gid))
}
