//! *Purpose*: who uses a card, against trees of machines with processes and an `nvidia-smi`.
//!
//! *Owns*: those trees.
//!
//! *Promises*: no GPU and no root is needed.
//!
//! *Not here*: which cards there are (`discover`).

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use super::*;
use crate::clock;
use crate::devices::gpu::DeviceNode;

struct Machine {
    root: tempfile::TempDir,
    gpus: Vec<Gpu>,
    probe: Probe,
}

impl Machine {
    /// With two cards of this vendor.
    fn of(vendor: Vendor) -> Machine {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("dev/dri")).unwrap();
        fs::create_dir_all(root.path().join("proc")).unwrap();
        let gpu = |(n, device): (u32, &str)| {
            let (name, path) = match vendor {
                Vendor::Nvidia => (format!("nvidia{n}"), format!("/dev/nvidia{n}")),
                Vendor::Amd => {
                    (format!("dri/renderD{}", 128 + n), format!("/dev/dri/renderD{}", 128 + n))
                }
            };
            symlink(device, root.path().join("dev").join(name)).unwrap();
            let (major, minor) = read::device(Path::new(device)).unwrap().unwrap();
            let nodes = vec![DeviceNode { path: path.into(), major, minor }];
            let (vendor, uuid) = (Some(vendor), Some(format!("GPU-{n}")));
            Gpu { vendor, uuid, pci: format!("0000:0{n}:00.0"), nodes, ..Gpu::declared(n) }
        };
        let gpus = [(0, "/dev/null"), (1, "/dev/zero")].map(gpu).to_vec();
        Machine { root, gpus, probe: Probe::default() }
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A process that has this open.
    fn process(&self, pid: i32, command: &str, opens: &str) {
        self.put(&format!("proc/{pid}/comm"), &format!("{command}\n"));
        let folder = self.root.path().join(format!("proc/{pid}/fd"));
        fs::create_dir(&folder).unwrap();
        symlink(opens, folder.join("3")).unwrap();
        symlink("socket:[1]", folder.join("4")).unwrap();
        symlink("/nfs/that/hangs", folder.join("5")).unwrap();
    }

    /// An `nvidia-smi` that answers so to the two questions.
    fn smi(&self, cards: &str, processes: &str) {
        self.script(&format!(
            "case $1 in --query-gpu=uuid,memory.used) printf '{cards}';; \
             --query-compute-apps=*) printf '{processes}';; *) exit 2;; esac"
        ));
    }

    fn script(&self, text: &str) {
        self.put("usr/bin/nvidia-smi", &format!("#!/bin/sh\n{text}\n"));
        let rights = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.root.path().join("usr/bin/nvidia-smi"), rights).unwrap();
    }

    fn usage(&mut self) -> Vec<Use> {
        self.probe.usage(self.root.path(), &self.gpus)
    }

    fn says(&mut self) -> [String; 2] {
        let said: Vec<String> = self.usage().iter().map(ToString::to_string).collect();
        said.try_into().unwrap()
    }
}

fn me() -> String {
    user(rustix::process::geteuid().as_raw())
}

#[test]
fn a_process_that_has_a_device_open_uses_it() {
    let mut machine = Machine::of(Vendor::Nvidia);
    assert_eq!(machine.usage(), [Use::Free, Use::Free]);
    machine.process(41, "python", "/dev/null");
    machine.process(42, "python", "/dev/nvidia1");
    machine.process(43, "editor", "/home/me/dev/nvidia0");
    let by = |pid| Use::By { pid: Some(pid), user: me(), command: "python".to_owned() };
    assert_eq!(machine.usage(), [by(41), by(42)], "by number, and by name where there is none");
    assert_eq!(machine.says()[1], format!("used by process 42 ({}, python)", me()));
}

#[test]
fn a_process_that_the_driver_lists_uses_the_card_though_it_opens_nothing() {
    let mut machine = Machine::of(Vendor::Nvidia);
    machine.smi("GPU-0, 3\\nGPU-1, 1024\\n", "77, GPU-1, 1000\\n");
    let listed = Use::By { pid: Some(77), user: String::new(), command: String::new() };
    assert_eq!(machine.usage(), [Use::Free, listed], "of another container");
    assert_eq!(machine.says()[1], "used by process 77");
}

#[test]
fn memory_that_no_process_holds_is_held_all_the_same() {
    let mut machine = Machine::of(Vendor::Nvidia);
    machine.smi("GPU-0, 63\\nGPU-1, 5000\\n", "");
    let [idle, held] = machine.says();
    assert_eq!((&*idle, &*held), ("free", "memory held, no process"));
    machine.smi("GPU-0, [N/A]\\nGPU-1, [Not Supported]\\n", "");
    assert_eq!(machine.usage(), [Use::Free, Use::Free], "cards without memory of their own");
}

#[test]
fn a_question_that_fails_leaves_the_use_unknown() {
    for (script, why) in [
        ("echo 'Failed to initialize NVML'; exit 9", "(exit status: 9): Failed to initialize NVML"),
        ("echo rubbish", "not understood: rubbish"),
        ("echo 'GPU-0, many'", "not understood: GPU-0, many"),
        ("printf 'GPU-0 \\033[2J'", "not understood: GPU-0 \\u{1b}[2J"),
        ("kill -9 $$", "failed (signal: 9"),
        ("yes 'GPU-0, 1'", "more than it can have to say"),
        ("case $1 in --query-gpu=*) echo 'GPU-0, 1';; *) echo 'x, GPU-0, 1';; esac", "x, GPU-0, 1"),
    ] {
        let mut machine = Machine::of(Vendor::Nvidia);
        machine.script(script);
        for said in machine.says() {
            assert!(said.contains("its use is not known") && said.contains(why), "{said}");
        }
    }
}

#[test]
fn an_outsider_that_is_seen_is_named_though_the_question_fails() {
    let mut machine = Machine::of(Vendor::Nvidia);
    machine.script("exit 1");
    machine.process(41, "python", "/dev/nvidia0");
    let [seen, unknown] = machine.says();
    assert!(seen.contains("process 41"), "{seen}");
    assert!(unknown.contains("not known"), "{unknown}");
}

#[test]
fn a_question_that_hangs_is_ended_with_all_that_it_started() {
    let mut machine = Machine::of(Vendor::Nvidia);
    let told = machine.root.path().join("told");
    machine.script(&format!("sleep 600 & echo $! > {}; wait", told.display()));
    machine.probe.smi.bound = Duration::from_secs(1);
    let said = machine.says();
    assert!(said[0].contains("did not answer within 1s"), "{}", said[0]);
    let sleeper: i32 = fs::read_to_string(told).unwrap().trim().parse().unwrap();
    let until = clock::monotonic() + Duration::from_secs(10);
    let lives = || {
        let stat = fs::read_to_string(format!("/proc/{sleeper}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    while lives() {
        assert!(clock::monotonic() < until, "{sleeper} lives");
        std::thread::yield_now();
    }
    assert!(machine.probe.smi.is_free(), "it has ended");
}

#[test]
fn a_card_that_vanishes_is_not_free() {
    let mut machine = Machine::of(Vendor::Nvidia);
    machine.smi("GPU-0, 0\\n", "");
    let [there, gone] = machine.says();
    assert_eq!(there, "free");
    assert!(gone.contains("nvidia-smi does not list it"), "{gone}");
    fs::remove_file(machine.root.path().join("dev/nvidia0")).unwrap();
    symlink("/dev/full", machine.root.path().join("dev/nvidia0")).unwrap();
    assert!(machine.says()[0].contains("/dev/nvidia0 is not what it was"));
    fs::remove_file(machine.root.path().join("dev/nvidia0")).unwrap();
    assert!(machine.says()[0].contains("/dev/nvidia0: "));
}

#[test]
fn a_service_that_keeps_all_cards_open_uses_none_unless_it_computes() {
    let mut machine = Machine::of(Vendor::Nvidia);
    machine.process(9, "nvidia-persiste", "/dev/nvidia0");
    let is_of_the_system = rustix::process::geteuid().as_raw() < USERS_FROM;
    assert_eq!(machine.usage()[0] == Use::Free, is_of_the_system);
    machine.smi("GPU-0, 300\\nGPU-1, 0\\n", "9, GPU-0, 290\\n");
    assert!(machine.says()[0].contains("process 9"));
}

#[test]
fn who_computes_on_a_card_of_amd_is_read_from_its_driver() {
    let mut machine = Machine::of(Vendor::Amd);
    for n in [0, 1] {
        let folder = format!("sys/class/kfd/kfd/topology/nodes/{n}");
        let text = format!("simd_count 8\nlocation_id 1\ndrm_render_minor {}\n", 128 + n);
        machine.put(&format!("{folder}/properties"), &text);
        machine.put(&format!("{folder}/gpu_id"), &format!("{}\n", 500 + n));
    }
    machine.put("sys/class/kfd/kfd/proc/88/vram_500", "0\n");
    machine.put("sys/class/kfd/kfd/proc/88/vram_501", "4096\n");
    let [free, used] = machine.says();
    assert_eq!((&*free, &*used), ("free", "used by process 88"));
    machine.put("sys/class/kfd/kfd/topology/nodes/1/properties", "nonsense\n");
    assert!(machine.says()[0].contains("simd_count is missing"));
}

#[test]
fn a_gpu_that_the_settings_alone_know_is_free() {
    let root = tempfile::tempdir().unwrap();
    let mut probe = Probe::default();
    assert_eq!(probe.usage(root.path(), &[Gpu::declared(0)]), [Use::Free]);
}
