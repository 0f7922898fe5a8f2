//! *Purpose*: how a process of the server's becomes somebody else, for good.
//!
//! *Owns*: [`Become`]: the order of the acts, and the proof that they worked.
//!
//! *Promises*: after [`Become::take`] has succeeded the process is that user in every number, has
//! exactly that user's groups, no capability, no way back, none of the server's keys, and dies with
//! whoever started it. When an act fails, nothing may be done but to end. Nothing here takes
//! memory, panics or writes `errno`.
//!
//! *Not here*: who may be become (`persons`), what is done as that user (`child`, `helper`).
//!
//! The order matters. Groups go first, since only root may set them. Each number is set three times
//! over, so that no saved one leads back. What is set is read back: a call that answers "done" and
//! did nothing is how others' jobs came to run as root.

use std::ffi::CStr;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::path::DecInt;
use rustix::process::{DumpableBehavior, Pid, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};
use rustix::thread::{Gid, Uid};

use crate::engine::Person;
use crate::engine::local::sys;

/// What could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// To leave the keyring of the server's session.
    Keyring,
    /// To keep others from looking into the process.
    Hide,
    /// To give up capabilities that are handed on.
    Capabilities,
    /// To have the user's groups and no other.
    Groups,
    /// To have the number of the user's primary group.
    GroupNumber,
    /// To have the user's number.
    UserNumber,
    /// To prove all that.
    Proof,
    /// To die with whoever started it.
    Parent,
}

/// A person, as the system wants it.
pub struct Become {
    parent: Pid,
    uid: Uid,
    gid: Gid,
    /// In rising order, as the system gives them back.
    groups: Vec<Gid>,
}

/// No capability at all.
const NONE: CapabilitySets = CapabilitySets {
    effective: CapabilitySet::empty(),
    permitted: CapabilitySet::empty(),
    inheritable: CapabilitySet::empty(),
};

impl Become {
    /// To become this person, one who was admitted, in a child of this process.
    #[must_use]
    pub fn new(person: &Person, parent: Pid) -> Become {
        let mut groups: Vec<Gid> =
            person.groups.iter().map(|gid| Gid::from_raw_unchecked(*gid)).collect();
        groups.sort_unstable_by_key(|gid| gid.as_raw());
        let uid = Uid::from_raw_unchecked(person.uid);
        Become { parent, uid, gid: Gid::from_raw_unchecked(person.gid), groups }
    }

    /// Becomes the person. In the child.
    ///
    /// # Errors
    /// What could not be done: then the process is neither the one nor the other.
    pub fn take(&self) -> Result<(), (Act, Errno)> {
        let at = |act: Act| move |error: Errno| (act, error);
        match sys::join_new_session_keyring() {
            // A kernel without keys has none to hand on.
            Ok(()) | Err(Errno::NOSYS) => {}
            Err(e) => return Err((Act::Keyring, e)),
        }
        // A name in the records of the machine; nothing of the user's rights hangs on it.
        let _may_be_refused = log_in(self.uid.as_raw());
        hide().map_err(at(Act::Hide))?;
        give_up_inheritable().map_err(at(Act::Capabilities))?;
        let (uid, gid) = (self.uid, self.gid);
        rustix::thread::set_thread_groups(&self.groups).map_err(at(Act::Groups))?;
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(at(Act::GroupNumber))?;
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(at(Act::UserNumber))?;
        // Another number makes the process as open as `fs.suid_dumpable` says.
        hide().map_err(at(Act::Hide))?;
        rustix::thread::set_capabilities(None, NONE).map_err(at(Act::Capabilities))?;
        self.prove().map_err(at(Act::Proof))?;
        // Another number clears the signal too; it may have been due meanwhile.
        die_with(self.parent).map_err(at(Act::Parent))
    }

    fn prove(&self) -> Result<(), Errno> {
        let (uid, gid) = (self.uid.as_raw(), self.gid.as_raw());
        let is_proven = sys::user_numbers()? == [uid; 3]
            && sys::group_numbers()? == [gid; 3]
            && sys::has_groups(&self.groups)?
            && rustix::thread::capabilities(None)? == NONE
            && rustix::thread::set_thread_uid(Uid::ROOT).is_err();
        if is_proven { Ok(()) } else { Err(Errno::PERM) }
    }
}

/// Has the system's own audit name this user for what the process does from now on, unless
/// somebody has logged in before, whom it names then.
///
/// # Errors
/// What the system says; `NOENT` where there is no such audit.
fn log_in(uid: u32) -> Result<(), Errno> {
    const FILE: &CStr = c"/proc/self/loginuid";
    /// As it is written while nobody has logged in: the number -1.
    const NOBODY: &[u8] = b"4294967295";
    let file = rustix::fs::open(FILE, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let mut said = [0; 16];
    let length = rustix::io::read(&file, &mut said)?;
    if said.get(..length).is_some_and(|said| said.trim_ascii() == NOBODY) {
        // From the beginning: the kernel takes no other place.
        rustix::io::pwrite(&file, DecInt::new(uid).as_bytes(), 0)?;
    }
    Ok(())
}

/// No process of the user's may trace this one, or read its memory; it leaves no core.
fn hide() -> Result<(), Errno> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// Capabilities that a program would be handed although its user has none. The bounding set stays:
/// programs that are root's by their file shall work.
fn give_up_inheritable() -> Result<(), Errno> {
    rustix::thread::set_keep_capabilities(false)?;
    rustix::thread::clear_ambient_capability_set()?;
    let sets = rustix::thread::capabilities(None)?;
    let sets = CapabilitySets { inheritable: CapabilitySet::empty(), ..sets };
    rustix::thread::set_capabilities(None, sets)
}

/// Has this process die with its parent, who must still be there.
///
/// # Errors
/// `SRCH` when the parent is gone.
pub fn die_with(parent: Pid) -> Result<(), Errno> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(Errno::SRCH) }
}
