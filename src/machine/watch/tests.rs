//! *Purpose*: when it is looked, on machines with times of their own.
//!
//! *Owns*: nothing.
//!
//! *Promises*: nothing is waited for.
//!
//! *Not here*: what is read (`times`).

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::devices::{DeviceNode, Vendor};

fn stat(root: &std::path::Path, busy: u64, idle: u64) {
    fs::create_dir_all(root.join("proc")).unwrap();
    fs::write(root.join("proc/stat"), format!("cpu  1\ncpu3 {busy} 0 0 {idle} 0\nintr 1\n"))
        .unwrap();
}

fn watch(root: &std::path::Path, gpus: Vec<Gpu>, held: &'static [u32]) -> Watch {
    let of = |list: &[u32]| list.iter().copied().collect();
    let held: HeldGpus = Box::new(move || of(held));
    let built = (root.to_owned(), Topology::default());
    Watch::new(built, (root.to_owned(), gpus), held)
}

#[test]
fn a_load_is_that_between_two_looks_and_is_soon_not_known_any_more() {
    let root = tempfile::tempdir().unwrap();
    let watch = watch(root.path(), vec![], &[]);
    let at = clock::monotonic();
    stat(root.path(), 0, 0);
    watch.eyes.look_at_cpus();
    assert_eq!(watch.eyes.found().known(at), Loads::default(), "one look is none");
    stat(root.path(), 30, 10);
    watch.eyes.look_at_cpus();
    let load = |later: Duration| watch.eyes.found().known(clock::monotonic() + later).cpus;
    assert_eq!(*load(Duration::ZERO), BTreeMap::from([(3, 750)]));
    assert_eq!(*load(KNOWN_FOR * 2), BTreeMap::new());
    // A machine that slept between two looks.
    let late = clock::monotonic() + KNOWN_FOR * 2;
    let times = Times::read(root.path()).unwrap();
    watch.eyes.found().seen(late, times);
    assert_eq!(*watch.eyes.found().known(late).cpus, BTreeMap::new());
}

#[test]
fn it_stops_when_nobody_has_asked_for_a_while() {
    let root = tempfile::tempdir().unwrap();
    let watch = watch(root.path(), vec![], &[]);
    stat(root.path(), 0, 0);
    watch.eyes.look_at_cpus();
    let now = clock::monotonic();
    let mut found = watch.eyes.found();
    assert!(!found.goes_on(now), "nobody has ever asked");
    found.until = Some(now + WANTED_FOR);
    assert!(found.goes_on(now) && !found.goes_on(now + WANTED_FOR));
    assert!(found.until.is_none() && found.times.is_none(), "the next one begins anew");
}

#[test]
fn only_what_uses_a_gpu_that_no_job_holds_is_outside() {
    let root = tempfile::tempdir().unwrap();
    let device = |index, path: &str| {
        fs::create_dir_all(root.path().join("dev")).unwrap();
        symlink(path, root.path().join(format!("dev/nvidia{index}"))).unwrap();
        let number = rustix::fs::stat(path).unwrap().st_rdev;
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        let nodes = vec![DeviceNode { path: format!("/dev/nvidia{index}").into(), major, minor }];
        Gpu { vendor: Some(Vendor::Nvidia), nodes, ..Gpu::declared(index) }
    };
    let gpus = vec![device(0, "/dev/null"), device(1, "/dev/zero")];
    for (pid, opens) in [(41, "/dev/null"), (42, "/dev/zero")] {
        let folder = root.path().join(format!("proc/{pid}/fd"));
        fs::create_dir_all(&folder).unwrap();
        symlink(opens, folder.join("3")).unwrap();
    }
    let watch = watch(root.path(), gpus, &[0]);
    watch.eyes.look_at_gpus(&mut Probe::default());
    let found = watch.eyes.found().known(clock::monotonic()).gpus;
    let outside: Vec<Option<i32>> =
        found.iter().map(|gpu| gpu.outside.as_ref().and_then(|(pid, _)| *pid)).collect();
    assert_eq!(outside, [None, Some(42)], "the first is a job's own");
    assert!(found.iter().all(|gpu| gpu.load == GpuLoad::default()), "there is no nvidia-smi");
}
