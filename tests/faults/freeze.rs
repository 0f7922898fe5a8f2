//! *Purpose*: the test's end of a fault point.
//!
//! *Owns*: [`Faults`]: the folder in which points are armed, and its two FIFOs; [`Gate`], at
//! which scripts wait for the test.
//!
//! *Promises*: waits have a deadline; nobody who waits at a FIFO polls.
//!
//! *Not here*: the process's end (`src/fault.rs`).

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use crate::common::until;

/// A FIFO that this process holds open at both ends, so that nobody meets an end of file.
fn fifo(path: &Path) -> File {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    OpenOptions::new().read(true).write(true).custom_flags(nonblock).open(path).unwrap()
}

/// The folder named by `DOWNBEAT_FAULT_DIR`.
pub struct Faults {
    pub dir: PathBuf,
    hit: File,
    go: File,
}

impl Faults {
    pub fn new(dir: PathBuf) -> Faults {
        fs::create_dir(&dir).unwrap();
        let (hit, go) = (fifo(&dir.join("hit")), fifo(&dir.join("go")));
        Faults { dir, hit, go }
    }

    /// Whoever passes this point next freezes there.
    pub fn arm(&self, point: &str) {
        fs::write(self.dir.join(point), "").unwrap();
    }

    /// Waits until somebody is frozen at this point; answers who.
    pub fn frozen(&mut self, point: &str) -> u32 {
        let mut text = String::new();
        let line = until(&format!("somebody to reach {point}"), || {
            let mut bytes = [0; 128];
            if let Ok(count) = self.hit.read(&mut bytes) {
                text.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            text.strip_suffix('\n').map(ToOwned::to_owned).ok_or_else(|| format!("{text:?}"))
        });
        let (pid, name) = line.split_once(' ').expect("pid and name");
        assert_eq!(name, point);
        pid.parse().unwrap()
    }

    /// Lets the frozen one go on.
    pub fn go(&mut self) {
        self.go.write_all(b"!").unwrap();
    }
}

/// Where scripts wait until the test lets them end.
pub struct Gate {
    pub path: PathBuf,
    fifo: File,
}

impl Gate {
    pub fn new(path: PathBuf) -> Gate {
        let fifo = fifo(&path);
        Gate { path, fifo }
    }

    /// Lets every script pass, now and later: there are more lines than scripts.
    pub fn open(&mut self) {
        self.fifo.write_all(&b"pass\n".repeat(16)).unwrap();
    }
}
