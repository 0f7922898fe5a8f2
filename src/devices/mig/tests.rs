//! *Purpose*: parts of cards, against trees of machines with cut cards and an `nvidia-smi`.
//!
//! *Owns*: those trees.
//!
//! *Promises*: no GPU and no root is needed: `/dev/null` stands in for a device.
//!
//! *Not here*: whole cards (`discover`).

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::devices::discover;

const LIST: &str = "\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-a)
  MIG 3g.20gb     Device  0: (UUID: MIG-0)
  MIG 1c.2g.10gb  Device  1: (UUID: MIG-GPU-a/5/1)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-b)
";

const QUERY: &str = "
==============NVSMI LOG==============

Attached GPUs                             : 2
GPU 00000000:01:00.0
    Product Name                          : NVIDIA A100-SXM4-40GB
    MIG Mode
        Current                           : Enabled
        Pending                           : Enabled
    MIG Device
        Index                             : 0
        GPU Instance ID                   : 2
        Compute Instance ID               : 0
        Device Attributes
            Shared
                Multiprocessor count      : 42
    MIG Device
        Index                             : 1
        GPU Instance ID                   : 5
        Compute Instance ID               : 1
    Minor Number                          : 3
    Processes
        GPU Instance ID                   : 2
        Compute Instance ID               : 0
            Process ID                    : 77
GPU 00000000:41:00.0
    MIG Mode
        Current                           : Disabled
    Processes
        GPU instance ID                   : N/A
";

struct Machine(tempfile::TempDir);

impl Machine {
    /// With two cards; of the first one says `nvidia-smi` that it is cut.
    fn new() -> Machine {
        let machine = Machine(tempfile::tempdir().unwrap());
        for (pci, minor, uuid) in [("0000:01:00.0", 3, "GPU-a"), ("0000:41:00.0", 0, "GPU-b")] {
            machine.put(
                &format!("proc/driver/nvidia/gpus/{pci}/information"),
                &format!(
                    "Model: A100\nGPU UUID: {uuid}\nBus Location: {pci}\nDevice Minor: {minor}\n"
                ),
            );
            machine.device(&format!("dev/nvidia{minor}"), "/dev/null");
            machine.put(&format!("{CAPABILITIES}/gpu{minor}/mig/config"), "DeviceFileMinor: 1\n");
        }
        machine.says(LIST, QUERY);
        machine
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn device(&self, path: &str, leads_to: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(leads_to, path).unwrap();
    }

    fn says(&self, list: &str, query: &str) {
        self.put("list", list);
        self.put("query", query);
        let root = self.0.path().display();
        let text = format!(
            "#!/bin/sh\ncase $1 in -L) exec cat {root}/list;; -q) exec cat {root}/query;; \
             *) exit 2;; esac\n"
        );
        self.put("usr/bin/nvidia-smi", &text);
        let rights = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.0.path().join("usr/bin/nvidia-smi"), rights).unwrap();
    }

    /// The driver has made this part of the first card.
    fn part(&self, gpu: u32, compute: u32, minors: [u32; 2], devices: [&str; 2]) {
        let folder = format!("{CAPABILITIES}/gpu3/mig/gi{gpu}");
        for (file, minor) in
            [("access".to_owned(), minors[0]), (format!("ci{compute}/access"), minors[1])]
        {
            let text = format!("DeviceFileMinor: {minor}\nDeviceFileMode: 292\n");
            self.put(&format!("{folder}/{file}"), &text);
        }
        for (minor, leads_to) in minors.into_iter().zip(devices) {
            self.device(&format!("dev/nvidia-caps/nvidia-cap{minor}"), leads_to);
        }
    }

    fn error(&self) -> String {
        discover(self.0.path()).unwrap_err().to_string()
    }
}

#[test]
fn a_card_that_is_cut_is_its_parts_and_the_others_are_whole() {
    let machine = Machine::new();
    assert_eq!(discover(machine.0.path()).unwrap().len(), 2, "the folders alone are no parts");
    machine.part(2, 0, [21, 22], ["/dev/zero", "/dev/full"]);
    machine.part(5, 1, [48, 50], ["/dev/random", "/dev/urandom"]);
    let found = discover(machine.0.path()).unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|gpu| (gpu.index, gpu.uuid.as_deref().unwrap(), &*gpu.model, gpu.card.is_some()))
        .collect();
    assert_eq!(
        told,
        [
            (0, "MIG-0", "A100 3g.20gb", true),
            (1, "MIG-GPU-a/5/1", "A100 1c.2g.10gb", true),
            (2, "GPU-b", "A100", false),
        ]
    );
    let paths = |nodes: &[DeviceNode]| -> Vec<String> {
        nodes.iter().map(|node| node.path.display().to_string()).collect()
    };
    let own = ["/dev/nvidia-caps/nvidia-cap22", "/dev/nvidia-caps/nvidia-cap21"];
    assert_eq!(paths(&found[0].nodes), own);
    assert_eq!(found[0].card.as_ref().unwrap().path, Path::new("/dev/nvidia3"));
    assert_eq!(paths(&found[2].nodes), ["/dev/nvidia0"]);
}

#[test]
fn parts_that_cannot_be_told_are_an_error_that_says_what_is_missing() {
    let told = |list: &str, query: &str, sentence: &str| {
        let machine = Machine::new();
        machine.part(2, 0, [21, 22], ["/dev/zero", "/dev/full"]);
        machine.part(5, 1, [48, 50], ["/dev/random", "/dev/urandom"]);
        machine.says(list, query);
        let said = machine.error();
        assert!(said.contains(sentence), "{said}");
    };
    told("", QUERY, "0000:01:00.0: nvidia-smi -L does not list its parts");
    told(LIST, "", "0000:01:00.0: nvidia-smi -q does not list its parts");
    told(&LIST.replace("Device  0:", "Device  x:"), QUERY, "MIG 3g.20gb     Device  x:");
    told(&LIST.replace("(UUID: MIG-0)", ""), QUERY, "is not understood: \"MIG 3g.20gb");
    let numberless = QUERY.replace("GPU Instance ID                   : 5", "");
    told(LIST, &numberless, "Compute Instance ID");
    let machine = Machine::new();
    machine.part(2, 0, [21, 22], ["/dev/zero", "/dev/full"]);
    fs::remove_file(machine.0.path().join("dev/nvidia-caps/nvidia-cap22")).unwrap();
    assert!(machine.error().contains("/dev/nvidia-caps/nvidia-cap22 is missing"));
    machine.put(&format!("{CAPABILITIES}/gpu3/mig/gi2/access"), "DeviceFileMode: 292\n");
    assert!(machine.error().contains("gi2/access cannot be read: DeviceFileMinor is no number"));
    fs::remove_file(machine.0.path().join("usr/bin/nvidia-smi")).unwrap();
    assert!(machine.error().contains("nvidia-smi -L says nothing: it is not there"));
}
