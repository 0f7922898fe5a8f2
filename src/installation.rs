//! *Purpose*: which installation this is: a data folder with its database, in one place.
//!
//! *Owns*: the file `installation` in the data folder; the comparison with what the database says
//! and with where the folder is.
//!
//! *Promises*: a copy, however it was made (a backup of the database, `cp -a`, a snapshot), is
//! known as one, takes a name of its own, and treats what ran under the original as foreign:
//! nothing of it is signalled. A folder that is renamed on its file system stays the same
//! installation, and so does a database that is put back from a backup.
//!
//! *Not here*: what becomes of foreign attempts (`engine`), the database's side (`store`).

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::engine::Elsewhere;
use crate::engine::local::{Machine, Origin};

/// The file in the data folder.
const FILE: &str = "installation";
/// Longer than anything that we write there.
const FILE_BYTES_MAX: u64 = 4096;

/// What is in the way of knowing which installation this is.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path}: {source}; it says to which installation this folder belongs. Remove it only if no job \
     runs: those that do would end NODE_FAIL"
)]
pub struct InstallationError {
    /// Which file or folder.
    path: PathBuf,
    /// What the system said.
    source: io::Error,
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Noted {
    id: String,
    /// Device and inode of the data folder.
    folder: (u64, u64),
    machine: Machine,
    /// The boot of which attempts are ours that know only their boot, from before there was a name.
    older: Option<String>,
}

impl Noted {
    fn text(&self) -> String {
        let Noted { id, folder: (device, inode), machine, older } = self;
        let Machine { boot, namespaces } = machine;
        let mut text = format!(
            "installation {id}\nfolder {device} {inode}\nboot {boot}\nnamespaces {namespaces}\n"
        );
        if let Some(boot) = older {
            text.push_str(&format!("older {boot}\n"));
        }
        text
    }

    fn parse(text: &str) -> Option<Noted> {
        let line =
            |word: &str| text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        let (device, inode) = line("folder")?.split_once(' ')?;
        Some(Noted {
            id: line("installation").filter(|id| !id.is_empty())?.to_owned(),
            folder: (device.parse().ok()?, inode.parse().ok()?),
            machine: Machine {
                boot: line("boot")?.to_owned(),
                namespaces: line("namespaces")?.to_owned(),
            },
            older: line("older").map(str::to_owned),
        })
    }
}

/// What a server knows of itself before it touches anything.
#[derive(Debug)]
pub struct Installation {
    noted: Noted,
    /// Whose attempts are ours.
    pub origin: Origin,
    /// Where those come from that are not.
    pub elsewhere: Elsewhere,
    /// Whether this is a copy that has just got a name of its own.
    pub is_copy: bool,
    path: PathBuf,
    is_noted: bool,
}

impl Installation {
    /// Finds out. `database_says` is the name in the database, empty in one that has none yet.
    /// `adopt` says that this folder, though it looks like a copy, is the original: moved, or put
    /// back where it was.
    ///
    /// # Errors
    /// When the folder or its file cannot be read.
    pub fn find(
        data_dir: &Path,
        database_says: &str,
        adopt: bool,
    ) -> Result<Installation, InstallationError> {
        let path = data_dir.join(FILE);
        let error = |path: &Path| {
            let path = path.to_owned();
            move |source| InstallationError { path, source }
        };
        let folder = fs::metadata(data_dir).map_err(error(data_dir))?;
        let folder = (folder.dev(), folder.ino());
        let machine = Machine::here().map_err(error(Path::new("/proc")))?;
        let before = read(&path).map_err(error(&path))?;
        let found = Found { before: before.clone(), database_says, folder, machine: &machine };
        let is_copy = found.is_copy() && !adopt;
        let older = match &before {
            Some(before) => before.older.clone(),
            // A folder in which jobs ran before there were names.
            None => data_dir.join("spool").exists().then(|| machine.boot.clone()),
        };
        let noted = Noted {
            id: found.id(is_copy),
            folder,
            older: older.filter(|boot| !is_copy && *boot == machine.boot),
            machine,
        };
        let elsewhere = match &before {
            _ if is_copy => Elsewhere::Installation,
            Some(Noted { machine, .. })
                if machine.boot == noted.machine.boot && *machine != noted.machine =>
            {
                Elsewhere::Container
            }
            _ => Elsewhere::Boot,
        };
        Ok(Installation {
            origin: Origin::new(&noted.id, &noted.machine, noted.older.is_some()),
            elsewhere,
            is_copy,
            path,
            is_noted: before.as_ref() == Some(&noted),
            noted,
        })
    }

    /// Its name, which the database shall bear.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.noted.id
    }

    /// Notes it in the folder, once the database bears the name: a crash in between leaves two
    /// names that differ, which is a copy again.
    ///
    /// # Errors
    /// What the system says.
    pub fn keep(&self) -> Result<(), InstallationError> {
        if self.is_noted {
            return Ok(());
        }
        let error = |source| InstallationError { path: self.path.clone(), source };
        let new = self.path.with_extension("new");
        let _left_by_a_crash = fs::remove_file(&new);
        let made = File::options().write(true).create_new(true).mode(0o600).open(&new);
        made.and_then(|mut file| {
            file.write_all(self.noted.text().as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&new, &self.path))
        .map_err(error)?;
        let folder = self.path.parent().map(File::open).transpose();
        folder.and_then(|folder| folder.map_or(Ok(()), |f| f.sync_all())).map_err(error)
    }
}

/// All that speaks for or against a copy.
struct Found<'a> {
    before: Option<Noted>,
    database_says: &'a str,
    folder: (u64, u64),
    machine: &'a Machine,
}

impl Found<'_> {
    fn is_copy(&self) -> bool {
        let Some(before) = &self.before else {
            // A database that knows its folder, in one that does not know it.
            return !self.database_says.is_empty();
        };
        let is_another = !self.database_says.is_empty() && self.database_says != before.id;
        let (device, inode) = self.folder;
        // The number of a device may change at a boot, and whatever ran has ended with it.
        let has_moved = before.folder.1 != inode
            || before.folder.0 != device && before.machine.boot == self.machine.boot;
        is_another || has_moved
    }

    fn id(&self, is_copy: bool) -> String {
        let known = [self.database_says, self.before.as_ref().map_or("", |before| &before.id)];
        let known = known.into_iter().find(|id| !id.is_empty()).filter(|_| !is_copy);
        known.map_or_else(|| uuid::Uuid::new_v4().simple().to_string(), str::to_owned)
    }
}

fn read(path: &Path) -> io::Result<Option<Noted>> {
    let text = match crate::engine::local::read_plain(path, FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let noted = Noted::parse(&String::from_utf8_lossy(&text));
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
    noted.map(Some).ok_or_else(damaged)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn find(folder: &Path, database_says: &str) -> Installation {
        Installation::find(folder, database_says, false).unwrap()
    }

    fn made(folder: &Path) -> Installation {
        fs::create_dir_all(folder).unwrap();
        let new = find(folder, "");
        assert!(!new.is_copy);
        new.keep().unwrap();
        new
    }

    #[test]
    fn an_installation_is_the_same_at_every_start_and_under_another_name_of_its_folder() {
        let home = tempfile::tempdir().unwrap();
        let first = made(&home.path().join("a"));
        let moved = home.path().join("b");
        fs::rename(home.path().join("a"), &moved).unwrap();
        for database_says in [first.id(), ""] {
            let again = find(&moved, database_says);
            assert_eq!((again.is_copy, again.id()), (false, first.id()));
            assert!(again.origin.is_of(first.origin.id()));
        }
    }

    #[test]
    fn a_copy_has_a_name_of_its_own_and_the_original_keeps_its_own() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a");
        let first = made(&folder);
        let (copied, backup) = (home.path().join("copied"), home.path().join("backup"));
        for place in [&copied, &backup] {
            fs::create_dir(place).unwrap();
        }
        fs::copy(folder.join(FILE), copied.join(FILE)).unwrap();
        for place in [&copied, &backup] {
            let copy = find(place, first.id());
            assert!(copy.is_copy, "{}", place.display());
            assert_eq!(copy.elsewhere, Elsewhere::Installation);
            assert_ne!(copy.id(), first.id());
            assert!(!copy.origin.is_of(first.origin.id()));
            copy.keep().unwrap();
            assert!(!find(place, copy.id()).is_copy, "it has a name now");
        }
        assert!(!find(&folder, first.id()).is_copy);
        assert!(find(&folder, "another").is_copy, "the database of another installation");
    }

    #[test]
    fn a_crash_between_database_and_folder_makes_a_copy_again() {
        let home = tempfile::tempdir().unwrap();
        let first = made(home.path());
        let other = find(home.path(), "another");
        // The database bears the new name, the folder still the old one.
        let again = find(home.path(), other.id());
        assert!(again.is_copy);
        assert_ne!(again.id(), first.id());
    }

    #[test]
    fn a_copy_is_adopted_only_on_purpose() {
        let home = tempfile::tempdir().unwrap();
        let adopted = Installation::find(home.path(), "moved", true).unwrap();
        assert_eq!((adopted.is_copy, adopted.id()), (false, "moved"));
    }

    #[test]
    fn attempts_from_before_there_were_names_are_ours_only_where_jobs_ran() {
        let boot = Machine::here().unwrap().boot;
        let home = tempfile::tempdir().unwrap();
        assert!(!find(home.path(), "").origin.is_of(&boot), "a backup in a new folder");
        fs::create_dir(home.path().join("spool")).unwrap();
        let first = find(home.path(), "");
        assert!(first.origin.is_of(&boot));
        first.keep().unwrap();
        assert!(find(home.path(), first.id()).origin.is_of(&boot), "they may run for long");
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let home = tempfile::tempdir().unwrap();
        for text in ["", "installation x\n", "installation \nfolder 1 2\nboot b\nnamespaces n\n"] {
            fs::write(home.path().join(FILE), text).unwrap();
            let refused = Installation::find(home.path(), "", false).unwrap_err().to_string();
            assert!(refused.contains("installation: it is damaged"), "{refused}");
        }
    }
}
