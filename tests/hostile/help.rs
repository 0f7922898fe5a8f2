//! *Purpose*: stage props: small file systems, foreign connections, marks of what ran.
//!
//! *Owns*: [`Mount`], [`Marks`], [`Foreign`], what `/proc` says about a process.
//!
//! *Promises*: a prop is taken away when it goes out of scope, also when its case fails.
//!
//! *Not here*: servers (`common`), people with borrowed numbers (`strangers`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use serde_json::{Value, json};

use crate::common::{Server, until};

/// Far longer than a server takes to refuse; one that serves instead is stopped then.
const REFUSAL_MAX: Duration = Duration::from_secs(20);

/// Room for a database and a few jobs.
const DISK_BYTES: u64 = 64 << 20;

/// Says that a case cannot be staged here. `tests/run` lists it.
pub fn skipped(test: &str, why: &str) {
    println!("SKIPPED {test}: {why}");
}

/// A file system that was mounted for one case.
pub struct Mount {
    path: PathBuf,
}

impl Mount {
    /// An empty file system in memory.
    pub fn tmpfs(path: &Path, options: &str) -> Result<Mount, String> {
        fs::create_dir_all(path).unwrap();
        Mount::with(path, &["-t", "tmpfs", "-o", options, "tmpfs"])
    }

    /// The same folder, read-only.
    pub fn read_only(path: &Path) -> Result<Mount, String> {
        let folder = path.to_string_lossy();
        let mount = Mount::with(path, &["--bind", &folder])?;
        mount.remount("remount,bind,ro")?;
        Ok(mount)
    }

    /// A disk of its own, in a file beside it.
    pub fn disk(path: &Path) -> Result<Mount, String> {
        let image = path.with_extension("image");
        File::create(&image).unwrap().set_len(DISK_BYTES).unwrap();
        run("mkfs.ext4", &["-q"], &image)?;
        fs::create_dir_all(path).unwrap();
        let mount = Mount::with(path, &["-o", "loop", &image.to_string_lossy()])?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        Ok(mount)
    }

    fn with(path: &Path, words: &[&str]) -> Result<Mount, String> {
        run("mount", words, path)?;
        Ok(Mount { path: path.to_owned() })
    }

    pub fn remount(&self, options: &str) -> Result<(), String> {
        run("mount", &["-o", options], &self.path)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a job of a failed case may still stand in it.
        let _gone = run("umount", &["-l"], &self.path);
    }
}

/// A disk that takes no writes: whoever writes waits while this value lives.
pub struct Frozen<'a>(&'a Mount);

impl Frozen<'_> {
    pub fn freeze(disk: &Mount) -> Result<Frozen<'_>, String> {
        run("fsfreeze", &["--freeze"], &disk.path)?;
        Ok(Frozen(disk))
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let _gone = run("fsfreeze", &["--unfreeze"], &self.0.path);
    }
}

fn run(program: &str, words: &[&str], path: &Path) -> Result<(), String> {
    let done = Command::new(program).args(words).arg(path).output();
    match done {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
        Err(e) => Err(format!("{program}: {e}")),
    }
}

/// Starts a server in a namespace of processes of its own, which ends with it.
pub fn is_in_container() -> Vec<String> {
    let words = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"];
    words.map(str::to_owned).to_vec()
}

/// A file that nobody can write while this value lives.
pub struct Immutable(PathBuf);

impl Immutable {
    pub fn make(path: PathBuf) -> Result<Immutable, String> {
        run("chattr", &["+i"], &path)?;
        Ok(Immutable(path))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let _gone = run("chattr", &["-i"], &self.0);
    }
}

/// Marks that scripts leave outside the server's folder: what really ran, and how often.
pub struct Marks(pub PathBuf);

impl Marks {
    pub fn of(server: &Server) -> Marks {
        Marks(server.dir.path().to_owned())
    }

    /// A script that marks its start, does something, marks its end and exits with a code.
    pub fn script(&self, name: &str, does: &str, code: i64) -> String {
        let dir = self.0.display();
        format!("echo s >> {dir}/{name}.start\n{does}\necho e >> {dir}/{name}.end\nexit {code}\n")
    }

    pub fn starts(&self, name: &str) -> usize {
        self.lines(&format!("{name}.start"))
    }

    pub fn ends(&self, name: &str) -> usize {
        self.lines(&format!("{name}.end"))
    }

    /// Waits until the script has made its first mark: a start that is told is a moment earlier.
    #[track_caller]
    pub fn begun(&self, name: &str) {
        until(&format!("{name} to have begun"), || match self.starts(name) {
            1 => Ok(()),
            n => Err(format!("{n} starts")),
        });
    }

    fn lines(&self, file: &str) -> usize {
        fs::read_to_string(self.0.join(file)).map_or(0, |text| text.lines().count())
    }
}

/// What a script does until a file is there.
pub fn until_file(path: &Path) -> String {
    format!("until [ -e {} ]; do sleep 0.05; done", path.display())
}

/// Another program that has the database open.
pub struct Foreign(SqliteConnection);

impl Foreign {
    pub fn open(path: &Path) -> Foreign {
        let mut conn = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
        // The log is looked at, so that it is folded in when this is the last to close it.
        conn.batch_execute("PRAGMA busy_timeout = 20000; SELECT COUNT(*) FROM sqlite_master")
            .unwrap();
        Foreign(conn)
    }

    pub fn does(&mut self, statements: &str) {
        self.0.batch_execute(statements).unwrap();
    }
}

/// Starts a server that is expected to refuse; answers what it said.
#[track_caller]
pub fn refused(server: &Server) -> String {
    let mut child = server.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + REFUSAL_MAX;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().unwrap();
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(1), "{said}\n{}", String::from_utf8_lossy(&stdout));
    said
}

/// Every file below a folder with its bytes, but for what a server may touch while it refuses.
pub fn bytes_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    let files = files.filter(|e| e.file_type().is_file());
    // The last one is SQLite's index of its log, rebuilt by whoever reads.
    let names = ["server.lock", "downbeat.db.lock", "stepd.lock", "stepd.log", "downbeat.db-shm"];
    let files = files.filter(|e| !names.contains(&&*e.file_name().to_string_lossy()));
    files.map(|e| (e.path().to_owned(), fs::read(e.path()).unwrap())).collect()
}

/// Whether a process lives; one that has ended and is not reaped does not.
pub fn alive(pid: u32) -> bool {
    stat(pid).is_some_and(|s| s[0] != "Z")
}

/// The fields of `/proc/<pid>/stat` behind the name: state, parent, …
pub fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = &text[text.rfind(')')? + 2..];
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

pub fn parent(pid: u32) -> u32 {
    stat(pid).unwrap()[1].parse().unwrap()
}

/// When a process started, in ticks since boot.
pub fn ticks(pid: u32) -> u64 {
    stat(pid).unwrap()[19].parse().unwrap()
}

pub fn is_stopped(pid: u32) -> bool {
    stat(pid).is_some_and(|s| s[0] == "T")
}

/// Resident memory, bytes.
pub fn resident(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// The script's process of a job that has started.
pub fn script_of(job: &Value) -> u32 {
    job["allocation"]["process_id"].as_u64().unwrap().try_into().unwrap()
}

/// The only attempt's folder of a job in the spool.
pub fn spool_of(server: &Server, job: i64) -> PathBuf {
    let prefix = format!("{job}.");
    let entries = fs::read_dir(server.data().join("spool")).unwrap().flatten();
    let mut found =
        entries.filter(|e| e.file_name().to_string_lossy().starts_with(&prefix)).map(|e| e.path());
    found.next().unwrap_or_else(|| panic!("job {job} has no folder in the spool"))
}

#[track_caller]
pub fn gone(pid: u32) {
    until(&format!("process {pid} to be gone"), || {
        if alive(pid) { Err("it lives".to_owned()) } else { Ok(()) }
    });
}

/// Waits until no `sleep` of so many seconds is left.
#[track_caller]
pub fn nothing_sleeps(seconds: u32) {
    until("the sleeper to be gone", || {
        let wanted = [b"sleep".to_vec(), seconds.to_string().into_bytes()];
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if line.split(|b| *b == 0).take(2).eq(wanted.iter().map(Vec::as_slice)) {
                return Err(entry.path().display().to_string());
            }
        }
        Ok(())
    });
}

/// Every living process whose environment names this attempt or command line this word.
pub fn carrying(word: &str) -> Vec<u32> {
    let found = crate::common::processes_of(Path::new(word));
    found.into_iter().filter(|pid| alive(*pid)).collect()
}

#[track_caller]
pub fn ends_as(server: &Server, job: i64, state: &str, code: Option<&str>) -> Value {
    let ended = server.ended(job);
    assert_eq!(ended["state"], state, "{ended}");
    assert_eq!(ended["exit_code"].as_str(), code, "{ended}");
    ended
}

/// Cancels a live job: 202, or 200 when it has ended before the answer was made.
#[track_caller]
pub fn cancel(server: &Server, job: i64) -> Value {
    let answer = server.post(&format!("/api/v1/jobs/{job}/cancel"), &json!({}));
    assert!(matches!(answer.status, 200 | 202), "{answer:?}");
    let job = answer.json();
    assert!(matches!(job["state"].as_str(), Some("COMPLETING" | "CANCELLED")), "{job}");
    job
}

/// Writes until nothing more fits; answers the file.
pub fn fill(folder: &Path) -> PathBuf {
    let path = folder.join("ballast");
    let mut file = fs::File::create(&path).unwrap();
    for size in [65_536, 4096, 1] {
        let block = vec![b'x'; size];
        while file.write_all(&block).is_ok() {}
    }
    path
}

/// Time in which nothing is done, not a wait for something.
pub fn pause(time: Duration) {
    let end = Instant::now() + time;
    until("time to pass", || if Instant::now() >= end { Ok(()) } else { Err("early".to_owned()) });
}
