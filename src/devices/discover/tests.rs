//! *Purpose*: discovery against trees of machines with GPUs.
//!
//! *Owns*: how such a tree is made.
//!
//! *Promises*: no GPU and no root is needed: `/dev/null` stands in for a device.
//!
//! *Not here*: who uses them (`usage`).

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Machine {
        Machine(tempfile::tempdir().unwrap())
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn device(&self, path: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink("/dev/null", path).unwrap();
    }

    fn nvidia(&self, pci: &str, minor: u32) {
        let text = format!(
            "Model: \t\t NVIDIA A100-SXM4-40GB\nIRQ:   \t\t 156\n\
             GPU UUID: \t GPU-5c2d3f{minor}\nVideo BIOS: \t 92.00.19\nBus Type: \t PCIe\n\
             Bus Location: \t {pci}\nDevice Minor: \t {minor}\nGPU Excluded:\t No\n"
        );
        self.put(&format!("proc/driver/nvidia/gpus/{pci}/information"), &text);
        self.device(&format!("dev/nvidia{minor}"));
    }

    fn amd(&self, node: u32, properties: &str) {
        let folder = format!("sys/class/kfd/kfd/topology/nodes/{node}");
        self.put(&format!("{folder}/properties"), properties);
    }

    fn found(&self) -> Vec<Gpu> {
        discover(self.0.path()).unwrap()
    }

    fn error(&self) -> String {
        discover(self.0.path()).unwrap_err().to_string()
    }
}

/// What a card of AMD says at this place on the bus.
fn card(bus: u32, minor: u32) -> String {
    format!(
        "cpu_cores_count 0\nsimd_count 304\ngfx_target_version 90402\nlocation_id {}\ndomain 1\n\
         drm_render_minor {minor}\nunique_id 11463563297327164561\n",
        bus << 8
    )
}

#[test]
fn a_machine_without_gpus_has_none() {
    assert_eq!(Machine::new().found(), []);
}

#[test]
fn gpus_are_counted_by_their_place_on_the_bus_and_not_by_the_number_of_their_driver() {
    let machine = Machine::new();
    machine.nvidia("0000:c1:00.0", 0);
    machine.nvidia("0000:01:00.0", 2);
    machine.nvidia("0000:41:00.0", 1);
    let found = machine.found();
    let order: Vec<_> = found.iter().map(|gpu| (gpu.index, gpu.ordinal, &*gpu.pci)).collect();
    assert_eq!(order, [(0, 0, "0000:01:00.0"), (1, 1, "0000:41:00.0"), (2, 2, "0000:c1:00.0")]);
    let first = &found[0];
    assert_eq!((first.vendor, &*first.model), (Some(Vendor::Nvidia), "NVIDIA A100-SXM4-40GB"));
    assert_eq!(first.uuid.as_deref(), Some("GPU-5c2d3f2"));
    let node = &first.nodes[0];
    assert_eq!((node.path.to_str(), node.major, node.minor), (Some("/dev/nvidia2"), 1, 3));
}

#[test]
fn cards_of_amd_are_found_among_the_cpus_and_counted_with_all_others() {
    let machine = Machine::new();
    machine.amd(0, "cpu_cores_count 64\nsimd_count 0\n");
    machine.amd(1, &card(0xc5, 129));
    machine.amd(2, &card(0x05, 128));
    machine.nvidia("0001:41:00.0", 0);
    machine.put("sys/class/kfd/kfd/topology/nodes/1/name", "aqua_vanjaram\n");
    for minor in [128, 129] {
        machine.device(&format!("dev/dri/renderD{minor}"));
    }
    let found = machine.found();
    let order: Vec<_> =
        found.iter().map(|gpu| (gpu.index, gpu.ordinal, &*gpu.pci, &*gpu.model)).collect();
    assert_eq!(
        order,
        [
            (0, 0, "0001:05:00.0", "gfx942"),
            (1, 0, "0001:41:00.0", "NVIDIA A100-SXM4-40GB"),
            (2, 1, "0001:c5:00.0", "aqua_vanjaram"),
        ]
    );
    assert_eq!(found[0].uuid.as_deref(), Some("GPU-9f16c21515642c91"));
    assert_eq!(found[0].nodes[0].path.to_str(), Some("/dev/dri/renderD128"));
}

#[test]
fn a_device_that_is_missing_or_none_is_named() {
    let machine = Machine::new();
    machine.nvidia("0000:01:00.0", 3);
    let device = machine.0.path().join("dev/nvidia3");
    fs::remove_file(&device).unwrap();
    assert_eq!(machine.error(), "GPU 0000:01:00.0: /dev/nvidia3 is missing");
    fs::write(&device, "").unwrap();
    assert_eq!(machine.error(), "GPU 0000:01:00.0: /dev/nvidia3 is not a character device");
    let machine = Machine::new();
    machine.amd(1, &card(5, 128));
    assert_eq!(machine.error(), "GPU 0001:05:00.0: /dev/dri/renderD128 is missing");
}

#[test]
fn what_is_not_understood_is_named_and_nothing_is_made_up() {
    let file = "proc/driver/nvidia/gpus/0000:01:00.0/information";
    let says = |text: &str| {
        let machine = Machine::new();
        machine.put(file, text);
        machine.device("dev/nvidia0");
        machine.error()
    };
    let whole = "Model: A\nBus Location: 0000:01:00.0\nDevice Minor: 0\n";
    for (from, to, sentence) in [
        ("Device Minor: 0", "Device Minor: x", "information: Device Minor is not a number"),
        ("Device Minor: 0", "", "information: Device Minor is missing"),
        ("0000:01:00.0", "somewhere", "information: Bus Location is no PCI address"),
        ("Model: A", "", "information: Model is missing"),
    ] {
        let said = says(&whole.replace(from, to));
        assert!(said.ends_with(sentence), "{said}");
    }
    assert!(says(&"x".repeat(100_000)).contains("information cannot be read"));
    let machine = Machine::new();
    fs::create_dir_all(machine.0.path().join("proc/driver/nvidia/gpus/0000:01:00.0")).unwrap();
    assert!(machine.error().contains("information cannot be read"));
    let machine = Machine::new();
    machine.amd(1, "simd_count 304\nlocation_id 256\n");
    assert!(machine.error().ends_with("1/properties: drm_render_minor is missing"));
}

#[test]
fn a_card_that_the_driver_has_not_spoken_with_has_no_uuid_and_an_excluded_one_is_not_there() {
    let machine = Machine::new();
    machine.nvidia("0000:01:00.0", 0);
    machine.nvidia("0000:02:00.0", 1);
    let file = "proc/driver/nvidia/gpus/0000:01:00.0/information";
    machine.put(
        file,
        "Model: A\nGPU UUID: GPU-????????-????-????\nBus Location: 0000:01:00.0\nDevice Minor: 0\n",
    );
    assert_eq!((machine.found().len(), &machine.found()[0].uuid), (2, &None));
    machine.put(file, "Model: A\nBus Location: 0000:01:00.0\nDevice Minor: 0\nGPU Excluded: Yes\n");
    let found = machine.found();
    assert_eq!((found.len(), found[0].index, &*found[0].pci), (1, 0, "0000:02:00.0"));
}

#[test]
fn more_entries_than_gpus_can_be_are_refused() {
    let machine = Machine::new();
    for n in 0..=crate::devices::GPUS_MAX {
        fs::create_dir_all(machine.0.path().join(format!("proc/driver/nvidia/gpus/{n}"))).unwrap();
    }
    assert!(machine.error().contains("has more than 128 entries"), "{}", machine.error());
}
