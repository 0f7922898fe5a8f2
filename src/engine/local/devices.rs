//! *Purpose*: keeps a job from the devices that it does not hold.
//!
//! *Owns*: [`Wall`] (what this machine offers), how a control group comes to deny devices.
//!
//! *Promises*: what is said to stand was tried at the start of the server, by a process that was
//! refused; a group denies the devices that it is told, and nothing else, to whoever is in it and
//! all that they start, for as long as it is there: no process has to live for it. A job without
//! such devices has no group for it.
//!
//! *Not here*: which devices a job may not open (the order), moving a process in before its first
//! instruction (`child`), removing what a lost attempt left (`look`).
//!
//! **Version 1** has a controller for it: `devices.deny` takes `c MAJOR:MINOR rwm`. Where a group
//! above allows nothing but a list, an entry of it that covers several devices cannot be narrowed,
//! which the system does not say: the list is read again.
//!
//! **Version 2** has none: a program of the kernel's own (BPF) is attached to the group and asked
//! at each opening. It stays as long as the group; those of groups above are asked too. It is
//! assembled here, since a compiler for it would be larger than all of this:
//!
//! ```text
//! r2 = the kind of device        if r2 is not "character": allow
//! r3 = major, r4 = minor         for each denied device: if r3 and r4 are its: deny
//! allow
//! ```
//!
//! **What it is not.** A wall against root, who can leave any group.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::cgroup;
use super::sys;
use crate::engine::CharDevice;

/// The folder of all groups that deny devices, in the server's own group.
pub const BASE: &str = "downbeat.devices";
/// The most devices that one job is denied: more than the GPUs of any machine have; the program of
/// version 2 has four instructions for each.
pub const DENIED_MAX: usize = 1024;
/// The largest numbers that the kernel gives devices: 12 and 20 bits.
const MAJOR_MAX: u32 = (1 << 12) - 1;
/// See [`MAJOR_MAX`].
const MINOR_MAX: u32 = (1 << 20) - 1;
/// What is denied for a trial: it is on every machine, and whoever tries has no need of it.
const TRIAL: (CharDevice, &std::ffi::CStr) = (CharDevice { major: 1, minor: 3 }, c"/dev/null");
/// What `devices.list` says of a group that allows everything but what it was told to deny.
const ALL_ALLOWED: &str = "a *:* rwm";

/// What keeps jobs from devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wall {
    /// A group of version 1 for each job, in this folder.
    V1(PathBuf),
    /// A program on a group of version 2: the one that limits its memory, or its own in this
    /// folder.
    V2(PathBuf),
    /// Nothing: a job is told which are its own, and that is all.
    Advisory,
}

impl Wall {
    /// Finds out what works here, by trying; with it the sentence for `/info`. With
    /// `only_version_2` version 1 is passed over.
    #[must_use]
    pub fn find(only_version_2: bool) -> (Wall, String) {
        let own = match fs::read_to_string(cgroup::OWN) {
            Ok(text) => text,
            Err(e) => return Wall::advisory(&format!("{}: {e}", cgroup::OWN)),
        };
        let mut places = cgroup::places(Path::new(cgroup::MOUNT), &own, "devices");
        if only_version_2 {
            places.v1.clear();
        }
        let base = |own: &PathBuf| cgroup::above_server(own).join(BASE);
        let v1 = places.v1.iter().map(|own| Wall::V1(base(own)));
        let walls: Vec<Wall> = v1.chain(places.v2.iter().map(|own| Wall::V2(base(own)))).collect();
        let mut why = "there are none".to_owned();
        for wall in walls {
            match wall.try_out() {
                Ok(()) => {
                    let says = wall.sentence();
                    return (wall, says);
                }
                Err(e) => why = e,
            }
        }
        Wall::advisory(&why)
    }

    /// None, and the sentence for `/info`.
    #[must_use]
    pub fn advisory(why: &str) -> (Wall, String) {
        let says = format!(
            "advisory: no control group can deny devices here ({why}); a job is told which GPUs \
             are its own, and could open the others"
        );
        (Wall::Advisory, says)
    }

    fn sentence(&self) -> String {
        let version = if matches!(self, Wall::V1(_)) { "version 1" } else { "version 2" };
        format!(
            "stands: the devices of GPUs that a job does not hold are denied to it and to all that \
             it starts by a control group ({version}), which root's script can leave"
        )
    }

    /// As a line for the step daemon.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Wall::V1(base) => format!("v1 {}", base.display()),
            Wall::V2(base) => format!("v2 {}", base.display()),
            Wall::Advisory => "advisory".to_owned(),
        }
    }

    /// Reads [`Wall::line`].
    #[must_use]
    pub fn parse(line: &str) -> Wall {
        match line.split_once(' ') {
            Some(("v1", base)) => Wall::V1(base.into()),
            Some(("v2", base)) => Wall::V2(base.into()),
            _ => Wall::Advisory,
        }
    }

    /// The folder of groups, where there is a wall.
    #[must_use]
    pub fn base(&self) -> Option<&Path> {
        match self {
            Wall::V1(base) | Wall::V2(base) => Some(base),
            Wall::Advisory => None,
        }
    }

    /// Removes empty groups of attempts that nobody knows any more.
    pub fn sweep(&self, is_known: impl Fn(&str) -> bool) {
        if let Some(base) = self.base() {
            cgroup::sweep(base, is_known);
        }
    }

    /// Leaves nothing behind when no job has a group: for the step daemon.
    pub fn leave(&self) {
        if let Some(base) = self.base() {
            let _in_use_if_not = fs::remove_dir(base);
        }
    }

    /// Has a group deny these devices; to be called once for a group.
    ///
    /// # Errors
    /// What the system says; what was denied by then stays denied.
    pub fn deny(&self, group: &Path, devices: &[CharDevice]) -> io::Result<()> {
        if devices.len() > DENIED_MAX {
            let sentence = format!("{} devices are more than {DENIED_MAX}", devices.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
        }
        if let Some(none) =
            devices.iter().find(|one| one.major > MAJOR_MAX || one.minor > MINOR_MAX)
        {
            let sentence = format!("{}:{} is no device", none.major, none.minor);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
        }
        match self {
            Wall::V1(_) => {
                for CharDevice { major, minor } in devices {
                    fs::write(group.join("devices.deny"), format!("c {major}:{minor} rwm"))?;
                }
                let allowed = fs::read_to_string(group.join("devices.list"))?;
                match devices.iter().find(|device| is_allowed(&allowed, **device)) {
                    Some(CharDevice { major, minor }) => Err(io::Error::other(format!(
                        "a group above allows devices together with {major}:{minor}"
                    ))),
                    None => Ok(()),
                }
            }
            Wall::V2(_) => {
                let program = sys::load_device_program(&program(devices))?;
                let group = fs::File::open(group)?;
                sys::attach_device_program(group.as_fd(), program.as_fd())
            }
            Wall::Advisory => Ok(()),
        }
    }

    /// Makes a group that denies a device, has a process in it try that device, and removes the
    /// group.
    fn try_out(&self) -> Result<(), String> {
        let Some(base) = self.base() else { return Ok(()) };
        // One process may try twice at a time.
        static TRIALS: AtomicU32 = AtomicU32::new(0);
        let n = TRIALS.fetch_add(1, Ordering::Relaxed);
        let group = base.join(format!("trial.{}.{n}", std::process::id()));
        let tried = self.try_in(base, &group);
        let removed = cgroup::remove(&group);
        tried.and(removed).map_err(|e| {
            self.leave();
            format!("{}: {e}", base.display())
        })
    }

    fn try_in(&self, base: &Path, group: &Path) -> io::Result<()> {
        cgroup::make(base, group, cgroup::make_folder)?;
        let (device, path) = TRIAL;
        self.deny(group, &[device])?;
        let door: OwnedFd = cgroup::door(group)?;
        sys::try_to_enter(door.as_fd())?;
        match sys::try_to_open_within(door.as_fd(), path) {
            Err(e) if e.raw_os_error() == Some(libc::EPERM) => Ok(()),
            Err(e) => Err(e),
            Ok(()) => Err(io::Error::other("a device that is denied can be opened")),
        }
    }
}

/// Whether a group of version 1 still allows a device, by its `devices.list`.
fn is_allowed(list: &str, device: CharDevice) -> bool {
    if list.trim() == ALL_ALLOWED {
        return false;
    }
    let covers = |word: &str, number: u32| word == "*" || word.parse() == Ok(number);
    list.lines().any(|line| {
        let mut words = line.split_whitespace();
        let (kind, numbers) = (words.next(), words.next().unwrap_or_default());
        let (major, minor) = numbers.split_once(':').unwrap_or_default();
        matches!(kind, Some("a" | "c"))
            && covers(major, device.major)
            && covers(minor, device.minor)
    })
}

/// An instruction, as the kernel's `struct bpf_insn` holds it in a word.
fn instruction(code: u8, to: u8, from: u8, offset: i16, value: i32) -> u64 {
    let [a, b] = offset.to_ne_bytes();
    let [c, d, e, f] = value.to_ne_bytes();
    u64::from_ne_bytes([code, registers(to, from), a, b, c, d, e, f])
}

/// Two registers in a byte; which half is which depends on the machine.
fn registers(to: u8, from: u8) -> u8 {
    if cfg!(target_endian = "little") { from << 4 | to } else { to << 4 | from }
}

/// The program that denies these devices, whose numbers fit the signed value of an instruction.
fn program(devices: &[CharDevice]) -> Vec<u64> {
    /// `BPF_LDX | BPF_MEM | BPF_W`: a word of what the program is asked about.
    const LOAD: u8 = 0x61;
    /// `BPF_ALU64 | BPF_AND | BPF_K`.
    const AND: u8 = 0x57;
    /// `BPF_ALU64 | BPF_MOV | BPF_K`.
    const SET: u8 = 0xb7;
    /// `BPF_JMP | BPF_JEQ | BPF_K`.
    const IF_EQUAL: u8 = 0x15;
    /// `BPF_JMP | BPF_JNE | BPF_K`.
    const IF_NOT: u8 = 0x55;
    /// `BPF_JMP | BPF_EXIT`: the answer is register 0.
    const ANSWER: u8 = 0x95;
    /// `BPF_DEVCG_DEV_CHAR`, in the lower half of the first word.
    const CHARACTER: i32 = 2;
    /// The lower half; the upper one holds what is wanted of the device.
    const KIND: i32 = 0xffff;
    let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let answer = |allow: i32| [instruction(SET, 0, 0, 0, allow), instruction(ANSWER, 0, 0, 0, 0)];
    let mut program = vec![instruction(LOAD, 2, 1, 0, 0), instruction(AND, 2, 0, 0, KIND)];
    program.push(instruction(IF_EQUAL, 2, 0, 2, CHARACTER));
    program.extend(answer(1));
    program.push(instruction(LOAD, 3, 1, 4, 0));
    program.push(instruction(LOAD, 4, 1, 8, 0));
    for CharDevice { major, minor } in devices {
        program.push(instruction(IF_NOT, 3, 0, 3, number(*major)));
        program.push(instruction(IF_NOT, 4, 0, 2, number(*minor)));
        program.extend(answer(0));
    }
    program.extend(answer(1));
    program
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_survives_its_line() {
        let base = PathBuf::from("/sys/fs/cgroup/a b/downbeat.devices");
        for wall in [Wall::V1(base.clone()), Wall::V2(base), Wall::Advisory] {
            assert_eq!(Wall::parse(&wall.line()), wall);
        }
        assert_eq!(Wall::parse(""), Wall::Advisory);
    }

    #[test]
    fn what_a_group_still_allows_is_read_from_its_list() {
        let device = CharDevice { major: 195, minor: 0 };
        for (list, allowed) in [
            ("a *:* rwm\n", false),
            ("", false),
            ("c 1:3 rwm\nb 195:0 rwm\nc 195:1 rwm\n", false),
            ("c 1:3 rwm\nc 195:0 r\n", true),
            ("c 195:* rwm\n", true),
            ("c *:* m\n", true),
        ] {
            assert_eq!(is_allowed(list, device), allowed, "{list}");
        }
    }

    #[test]
    fn the_program_has_four_instructions_for_each_device() {
        let devices = [CharDevice { major: 195, minor: 0 }, CharDevice { major: 226, minor: 128 }];
        assert_eq!((program(&[]).len(), program(&devices).len()), (9, 17));
        let first = instruction(0x55, 3, 0, 3, 195);
        assert_eq!(program(&devices)[7], first);
    }
}
