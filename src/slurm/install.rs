//! *Purpose*: `downbeat slurm install`: links by which Slurm's programs are found.
//!
//! *Owns*: the links.
//!
//! *Promises*: what is there already and is not ours stays, and is said; what was made is told,
//! with the command that takes it away again.
//!
//! *Not here*: the programs.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::getopt::Effect::Does;
use super::getopt::{Grammar, Opt};
use super::say::output;
use crate::api::wire::sbatch::Takes::{Nothing, Value};

const COMMAND: &str = "downbeat slurm install";
#[rustfmt::skip]
const OPTIONS: &[Opt] = &[
    ("dir", Some('d'), Value, Does("The folder for the links, one of your PATH")),
    ("help", Some('h'), Nothing, Does("This help")),
];

/// Makes links under these names.
///
/// # Errors
/// What it says on standard error.
pub fn run(typed: Vec<OsString>, names: impl Iterator<Item = &'static str>) -> Result<u8, Failure> {
    let grammar = Grammar { command: COMMAND, options: OPTIONS, ends_with_a_word: false };
    let given = grammar.read(typed)?;
    if let Some(text) = super::help::asked(&grammar, &given) {
        return output(COMMAND, &text).map(|()| 0);
    }
    let Some(folder) = given.value("dir").map(PathBuf::from) else {
        return Err(Failure::error(COMMAND, "name the folder: --dir DIR").with_code(2));
    };
    let own = std::env::current_exe();
    let own = own.map_err(|e| Failure::error(COMMAND, &format!("where am I? {e}")))?;
    let mut paths = Vec::new();
    for name in names {
        let path = folder.join(name);
        link(&own, &path)?;
        paths.push(path.display().to_string());
    }
    let shown = folder.display();
    let mut text = format!("{} lead to {} now, in {shown}.\n", paths.len(), own.display());
    let is_found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|one| one == folder));
    if !is_found {
        text.push_str(&format!("Put it on your PATH: export PATH={shown}:$PATH\n"));
    }
    text.push_str(&format!("To undo it: rm {}\n", shell_words::join(&paths)));
    output(COMMAND, &text).map(|()| 0)
}

fn link(own: &Path, path: &Path) -> Result<(), Failure> {
    let failed = |why: String| {
        let what = format!("{}: {why}; nothing of it was changed", path.display());
        Failure::error(COMMAND, &what)
    };
    match symlink(own, path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => match std::fs::read_link(path) {
            Ok(old) if old == own => Ok(()),
            _ => Err(failed("something else is there already".to_owned())),
        },
        Err(e) => Err(failed(e.to_string())),
    }
}
