//! *Purpose*: the work that everybody is given.
//!
//! *Owns*: the trivial script, the script that says when it acts, waiting for what it says.
//!
//! *Promises*: everybody runs the same file contents; gaps between probes are random, so that
//! no probe locks on to anybody's tick.
//!
//! *Not here*: who runs it (`limits`, `server`, `peers`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The trivial script.
pub const TRIVIAL: &str = "#!/bin/bash\n:\n";
/// Holds its CPU until it is killed.
pub const SLEEPER: &str = "#!/bin/bash\nexec sleep 100000\n";
/// Between two looks at something that takes milliseconds.
const LOOK: Duration = Duration::from_micros(200);

/// A folder of `jobs` trivial scripts.
pub fn scripts(dir: &Path, jobs: usize) -> Vec<PathBuf> {
    let folder = dir.join("s");
    fs::create_dir_all(&folder).unwrap();
    (0..jobs).map(|n| script(&folder.join(n.to_string()), TRIVIAL)).collect()
}

/// An executable file.
pub fn script(path: &Path, text: &str) -> PathBuf {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}

/// A script whose first act is to write the time into a file.
pub fn marker(mark: &Path) -> String {
    format!("#!/bin/bash\necho $EPOCHREALTIME > {}\n", mark.display())
}

/// Now, µs since 1970.
pub fn now_us() -> i64 {
    downbeat::clock::now().0
}

/// When the script of [`marker`] acted; an error after `patience`.
pub fn first_act(mark: &Path, patience: Duration) -> Result<i64, String> {
    let end = Instant::now() + patience;
    loop {
        let text = fs::read_to_string(mark).unwrap_or_default();
        if text.ends_with('\n') {
            let digits = text.trim().replace(['.', ','], "");
            return digits.parse().map_err(|e| format!("{text:?}: {e}"));
        }
        if Instant::now() > end {
            return Err(format!("the script did not act within {patience:?}"));
        }
        std::thread::sleep(LOOK);
    }
}

/// Submits `probes` scripts one by one, idle between them, by `submit`, which gets the script's
/// text and a path it may be written to; answers submit → first act, ms.
pub fn latencies(
    dir: &Path,
    probes: usize,
    gap_us: std::ops::Range<u64>,
    mut submit: impl FnMut(&str, &Path) -> Result<(), String>,
) -> Result<Vec<f64>, String> {
    let mut rng = fastrand::Rng::with_seed(1);
    let folder = tempfile::tempdir_in(dir).map_err(|e| e.to_string())?;
    (0..probes)
        .map(|n| {
            std::thread::sleep(Duration::from_micros(rng.u64(gap_us.clone())));
            let mark = folder.path().join(format!("mark{n}"));
            let path = folder.path().join(format!("probe{n}"));
            let text = marker(&mark);
            script(&path, &text);
            let before = now_us();
            submit(&text, &path)?;
            Ok((first_act(&mark, Duration::from_secs(30))? - before) as f64 / 1_000.0)
        })
        .collect()
}
