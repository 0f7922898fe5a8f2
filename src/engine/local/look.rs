//! *Purpose*: what has become of an attempt.
//!
//! *Owns*: the rules by which a spool folder, its lock and the processes of this machine become an
//! [`AttemptStatus`]; the killing of what a lost attempt left.
//!
//! *Promises*: an end is believed only of an attempt that is over: its supervisor said so, or its
//! lock is free and no process bears its key. An attempt is lost only when its supervisor is gone.
//! What was granted elsewhere is never signalled. Scripts can write into the spool: what stands
//! there is a claim, the lock and the processes are the proof.
//!
//! *Not here*: what a file holds (`spool`), which processes belong to an attempt (`processes`),
//! what follows (`actors::executor`).

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::Signal;

use super::attempts::{Entry, Overtime, held};
use super::cgroup;
use super::inner::Inner;
use super::proc::{self, Identity};
use super::processes::{self, Bearing, Daemon, UnrecordedAttempt};
use super::signal_files;
use super::spool::{self, End, Folder};
use super::state::State;
use crate::clock;
use crate::engine::{AttemptStatus, Control, EngineError, ExitRecord, Key, LimitWish};
use crate::fault::{self, Point};
use crate::job::signal::NumberedSignal;

/// How long a supervisor may be late with what it has to do at a limit or a cancel before the
/// server does it: longer than any machine that works keeps a process waiting.
const LATE: Duration = Duration::from_secs(10);

/// How long a supervisor that cannot be told by its lock, or by nothing but its lock, may take to
/// write a record that it owes.
const UNLOCKED: Duration = Duration::from_secs(5);

/// What is known of an attempt whose hints do not come to this server.
pub enum AdoptedSupervisor {
    /// Its record is there.
    Ended,
    /// Nothing was started.
    Absent,
    /// It is about to say who it is, or about to be seen as gone.
    Passing,
    /// Its supervisor lives in another container.
    Unreachable,
    /// This is its supervisor; readable when it ends.
    Alive(OwnedFd),
}

impl Inner {
    /// The record of an attempt of ours whose supervisor has said that it is over.
    pub fn told_end(&self, key: &Key) -> Option<ExitRecord> {
        let entry = self.attempts.get(&key.name())?;
        let record = held(&entry.record).take()?;
        self.origin.is_of(&key.boot_id).then_some(*record)
    }

    /// See [`crate::engine::Engine::reattach`].
    pub fn reattach(&self, key: &Key) -> Result<AttemptStatus, EngineError> {
        let folder = self.folder(&key.name());
        opened(|| self.look_at(key), || folder.open_up())
    }

    /// See [`crate::engine::Engine::known`].
    pub fn known(&self) -> Result<Vec<String>, EngineError> {
        let spool = self.data_dir.join("spool");
        let mut names = opened(|| spool::known(&spool), || spool::open_up(&self.data_dir))?;
        let more = opened(|| self.scratch.names(), || spool::open(self.scratch.base()))?;
        names.extend(more);
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn look_at(&self, key: &Key) -> Result<AttemptStatus, EngineError> {
        let name = key.name();
        let folder = self.folder(&name);
        let is_ours = self.origin.is_of(&key.boot_id);
        if let Some(entry) = self.attempts.get(&name).filter(|_| is_ours) {
            if entry.told.load(Ordering::Acquire)
                && let Some(end) = folder.read_exit()?
            {
                return self.at_end(key, end);
            }
            if let Some(failure) = held(&entry.failure).take() {
                return Err(failure);
            }
            if held(&entry.lost).is_some() {
                return Ok(AttemptStatus::Lost);
            }
        }
        let Some(mut file) = folder.open_state()? else {
            return self.without_state(key, &folder);
        };
        let state = folder.read_open_state(&mut file)?;
        // Of elsewhere it says no more than that it lives; what another one says is not of it.
        let is_of_it = is_ours || state.boot_id.is_empty() || state.boot_id == key.boot_id;
        if is_of_it && self.is_held(key, &file, &state)? {
            return self.living(&name, &folder, state);
        }
        if let Some(end) = folder.read_exit()? {
            match self.who_is_left(key)? {
                UnrecordedAttempt::Nobody => return self.at_end(key, end),
                UnrecordedAttempt::Supervised(_) => return self.living(&name, &folder, state),
                UnrecordedAttempt::Abandoned => {
                    log::warn!("Attempt {name} has a record of its end, and processes");
                }
            }
        }
        if !is_ours {
            return Ok(AttemptStatus::Foreign(self.elsewhere));
        }
        // In a folder that was put back from a copy nobody holds the lock. Whoever lives and has
        // nobody of it below him may be about to write its record; after that he serves others.
        if let Some(supervisor) = self.supervisor(&state)
            && proc::find(supervisor).map_err(|e| folder.error("state", e))?.is_some()
            && (self.is_early(&name)
                || matches!(self.who_is_left(key)?, UnrecordedAttempt::Supervised(_)))
        {
            return self.living(&name, &folder, state);
        }
        *held(&self.attempts.entry(&name).lost) = Some(file);
        fault::point(fault::LOST_LOCKED);
        Ok(AttemptStatus::Lost)
    }

    /// Whether a record may still be on its way that was first missed a moment ago.
    fn is_early(&self, name: &str) -> bool {
        let entry = self.attempts.entry(name);
        let since = *held(&entry.unlocked_since).get_or_insert_with(clock::monotonic);
        !entry.over.load(Ordering::Acquire) && since.elapsed() < UNLOCKED
    }

    /// Whether a supervisor holds the lock. Anybody can lock a file and write into one: where the
    /// supervisor that is named does not live, the processes say whether another does.
    fn is_held(&self, key: &Key, file: &File, state: &State) -> Result<bool, EngineError> {
        let error = |e| self.folder(&key.name()).error("state", e);
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => match self.supervisor(state) {
                None => Ok(true),
                Some(supervisor) if proc::find(supervisor).map_err(error)?.is_some() => Ok(true),
                Some(_) => match self.who_is_left(key)? {
                    UnrecordedAttempt::Supervised(_) => Ok(true),
                    UnrecordedAttempt::Abandoned => Ok(false),
                    // Whoever holds it may have seen the last of them end, and owe the record.
                    UnrecordedAttempt::Nobody => Ok(self.is_early(&key.name())),
                },
            },
            Err(e) => Err(error(e.into())),
        }
    }

    /// What can be said of an attempt whose supervisor has written its last word.
    fn at_end(&self, key: &Key, end: End) -> Result<AttemptStatus, EngineError> {
        match end {
            End::Record(record) => Ok(AttemptStatus::Exited(record)),
            // A key is good for one boot.
            End::Withdrawn if !self.origin.is_of(&key.boot_id) => {
                Ok(AttemptStatus::Foreign(self.elsewhere))
            }
            End::Withdrawn => {
                let name = &key.name();
                // As if there had never been an order: this one may be given again.
                self.attempts.begin_anew(name);
                self.folder(name).remove()?;
                Ok(AttemptStatus::NeverStarted)
            }
        }
    }

    /// What can be said of an attempt that has no `state`: it was never begun, or somebody took
    /// its folder away. An attempt that lives must not look unbegun: it would run twice.
    fn without_state(&self, key: &Key, folder: &Folder) -> Result<AttemptStatus, EngineError> {
        let name = &key.name();
        let unseen = |e| folder.error("state", e);
        if !self.origin.is_of(&key.boot_id) {
            return match folder.read_exit()? {
                Some(end) => self.at_end(key, end),
                None => Ok(AttemptStatus::Foreign(self.elsewhere)),
            };
        }
        let entry = self.attempts.entry(name);
        // After its end the same supervisor may serve another attempt.
        if !entry.over.load(Ordering::Acquire)
            && let Some(state) = held(&entry.seen).clone()
            && let Some(supervisor) = self.supervisor(&state)
        {
            if proc::find(supervisor).map_err(unseen)?.is_some() {
                return Ok(alive(&state));
            }
            entry.over.store(true, Ordering::Release);
        }
        if let Some(end) = folder.read_exit()? {
            match self.who_is_left(key)? {
                UnrecordedAttempt::Nobody => return self.at_end(key, end),
                UnrecordedAttempt::Supervised(supervisor) => {
                    return Ok(self.found(&entry, supervisor));
                }
                UnrecordedAttempt::Abandoned => return Ok(AttemptStatus::Lost),
            }
        }
        if entry.over.load(Ordering::Acquire) {
            return Ok(AttemptStatus::Lost);
        }
        let under_way = entry.under_way.load(Ordering::Acquire);
        if under_way || entry.sent() != 0 && entry.sent() == self.client.generation() {
            // Sent to the daemon that lives, or just about to be: it may be in its socket.
            return Ok(AttemptStatus::Launching);
        }
        match self.without_folder(name).map_err(unseen)? {
            UnrecordedAttempt::Nobody => Ok(AttemptStatus::NeverStarted),
            UnrecordedAttempt::Supervised(supervisor) => Ok(self.found(&entry, supervisor)),
            UnrecordedAttempt::Abandoned => {
                entry.over.store(true, Ordering::Release);
                Ok(AttemptStatus::Lost)
            }
        }
    }

    /// Remembers a supervisor that was found without its file.
    fn found(&self, entry: &Entry, supervisor: Identity) -> AttemptStatus {
        let boot_id = self.origin.id().to_owned();
        let state = State { boot_id, supervisor: Some(supervisor), ..State::default() };
        *held(&entry.seen) = Some(state);
        AttemptStatus::Launching
    }

    /// Who lives of an attempt with a record that no supervisor told us of. Nobody of an attempt
    /// that had no process when this server first looked: later ones would not be its own.
    fn who_is_left(&self, key: &Key) -> Result<UnrecordedAttempt, EngineError> {
        if !self.origin.is_of(&key.boot_id) {
            return Ok(UnrecordedAttempt::Nobody);
        }
        let name = key.name();
        let error = |e| self.folder(&name).error("state", e);
        let is_of_this_server = self.attempts.get(&name).is_some_and(|entry| entry.sent() != 0);
        if !is_of_this_server {
            if self.first_seen.get().is_none() {
                let keys = processes::keys().map_err(error)?;
                let _first_wins = self.first_seen.set(keys);
            }
            if self.first_seen.get().is_some_and(|keys| !keys.contains(&name)) {
                return Ok(UnrecordedAttempt::Nobody);
            }
        }
        self.without_folder(&name).map_err(error)
    }

    fn without_folder(&self, name: &str) -> io::Result<UnrecordedAttempt> {
        let name = Bearing { key: name, owner: self.owner(name) };
        processes::without_folder(name, &self.data_dir, self.client.daemon(), self.program)
    }

    /// The number of the user whose processes are of this attempt, if that is not the server's own.
    /// Nobody knows it of an attempt of a former server whose folder was taken away.
    fn owner(&self, name: &str) -> Option<u32> {
        let entry = self.attempts.get(name);
        if let Some(owner) = entry.as_ref().and_then(|entry| entry.owner.get()) {
            return Some(*owner);
        }
        let owner = self.folder(name).read_order().ok()?.order.person?.uid;
        if let Some(entry) = entry {
            let _the_same = entry.owner.set(owner);
        }
        Some(owner)
    }

    /// An attempt that lives. Its supervisor has everything to do itself; if a script has stopped
    /// it, it is woken, and what it should have done long ago is done here.
    fn living(
        &self,
        name: &str,
        folder: &Folder,
        state: State,
    ) -> Result<AttemptStatus, EngineError> {
        let entry = self.attempts.entry(name);
        if let Some(supervisor) = self.supervisor(&state) {
            if proc::stat(supervisor.pid).is_some_and(|seen| seen.is_stopped()) {
                log::warn!("The supervisor of attempt {name} was stopped; it is continued");
                proc::signal(supervisor, Signal::CONT);
            }
            if state.script.is_some() {
                self.end_what_is_late(name, folder, &entry, supervisor)?;
            }
        }
        let status = alive(&state);
        *held(&entry.seen) = Some(state);
        Ok(status)
    }

    fn end_what_is_late(
        &self,
        name: &str,
        folder: &Folder,
        entry: &Entry,
        supervisor: Identity,
    ) -> Result<(), EngineError> {
        let now = clock::monotonic();
        let mut overtime = held(&entry.overtime);
        if overtime.since.is_none() {
            let order = folder.read_order()?.order;
            let limit = order.limit_s.map(|s| Duration::from_secs(s.into()));
            let grace = Duration::from_secs(order.kill_grace_s.into());
            // An adopted one has run for longer than we know: its end is enforced later, not never.
            *overtime = Overtime { since: Some(now), limit, grace, ..*overtime };
        }
        if overtime.is_over(now, LATE) {
            let them = processes::under_supervisor(supervisor);
            log::warn!("Attempt {name} lives beyond its end; {} processes are killed", them.len());
            let alive: Vec<Identity> =
                them.into_iter().filter_map(|pid| Some(proc::stat(pid)?.identity)).collect();
            processes::kill(&alive).map_err(|e| folder.error("state", e))?;
        }
        Ok(())
    }

    /// What `state` says, or said when it was last seen.
    pub(super) fn state(&self, name: &str) -> Result<State, EngineError> {
        let seen = || held(&self.attempts.get(name)?.seen).clone();
        Ok(self.folder(name).read_state()?.or_else(seen).unwrap_or_default())
    }

    /// The supervisor of an attempt of ours, if it has said who it is.
    pub(super) fn supervisor(&self, state: &State) -> Option<Identity> {
        state.supervisor.filter(|_| self.origin.is_of(&state.boot_id))
    }

    /// See [`crate::engine::Engine::control`].
    pub fn control(&self, name: &str, control: Control) -> Result<(), EngineError> {
        let folder = self.folder(name);
        let missing = self.missing(name, control)?;
        if !control.cancel && missing.is_none() {
            return Ok(());
        }
        let wish = || folder.create().and_then(|_| folder.write_control(control));
        opened(wish, || folder.open_up())?;
        if control.cancel {
            fault::point(fault::CANCEL_WRITTEN);
            let entry = self.attempts.entry(name);
            held(&entry.overtime).stop_asked.get_or_insert_with(clock::monotonic);
        } else {
            missing.into_iter().for_each(fault::point);
        }
        self.poke(name)
    }

    /// See [`crate::engine::Engine::signal`].
    pub fn signal(&self, name: &str, signals: &[NumberedSignal]) -> Result<(), EngineError> {
        let folder = self.folder(name);
        for signal in signals {
            opened(|| signal_files::write(&folder, name, *signal), || folder.open_up())?;
        }
        fault::point(fault::SIGNAL_WRITTEN);
        self.poke(name)
    }

    /// Tells the supervisor that there is something new in its folder.
    fn poke(&self, name: &str) -> Result<(), EngineError> {
        let state = self.state(name)?;
        // One that has not said who it is will read the wish before it spawns anything.
        if let Some(supervisor) = self.supervisor(&state) {
            proc::signal(supervisor, Signal::USR1);
            // It may have been stopped.
            proc::signal(supervisor, Signal::CONT);
        }
        Ok(())
    }

    /// What the supervisor of this attempt neither does nor will find wished for; then where a
    /// server stands that has written it. This one takes it for done in any case.
    fn missing(&self, name: &str, control: Control) -> Result<Option<Point>, EngineError> {
        let folder = self.folder(name);
        let entry = self.attempts.entry(name);
        let found = folder.read_control();
        let suspends = found.suspend != control.suspend;
        held(&entry.overtime).suspend(control.suspend, clock::monotonic());
        let changes = match control.limit {
            Some(limit) => {
                held(&entry.overtime).wished = Some(limit);
                let ordered = || folder.read_order().map(|file| LimitWish::of(file.order.limit_s));
                found.limit.map_or_else(ordered, Ok)? != limit
            }
            None => false,
        };
        let written = if suspends { fault::SUSPEND_WRITTEN } else { fault::LIMIT_WRITTEN };
        Ok((suspends || changes).then_some(written))
    }

    /// See [`crate::engine::Engine::kill_leftovers`].
    pub fn kill_leftovers(&self, key: &Key) -> Result<usize, EngineError> {
        let name = key.name();
        let folder = self.folder(&name);
        match self.reattach(key)? {
            AttemptStatus::Lost => {}
            AttemptStatus::Foreign(_) | AttemptStatus::NeverStarted | AttemptStatus::Exited(_) => {
                return Ok(0);
            }
            other => {
                let sentence = format!("its supervisor lives ({other:?})");
                return Err(folder.error("state", io::Error::other(sentence)));
            }
        }
        let state = self.state(&name)?;
        let bearing = Bearing { key: &name, owner: self.owner(&name) };
        let them = processes::of_lost(bearing, &self.proven(state.clone()), self.daemon());
        let seen =
            them.and_then(|them| processes::kill(&them)).map_err(|e| folder.error("state", e))?;
        for group in state.groups_of(&name).iter().filter(|_| seen == 0) {
            if let Err(e) = cgroup::remove(group) {
                log::warn!("The control group {} is left behind: {e}", group.display());
            }
        }
        Ok(seen)
    }

    fn daemon(&self) -> Option<Daemon> {
        Some(Daemon { pid: self.client.daemon()?, program: self.program? })
    }

    /// What of a state may lead to a process: no number of elsewhere.
    fn proven(&self, state: State) -> State {
        if self.origin.is_of(&state.boot_id) { state } else { State::default() }
    }

    /// See [`crate::engine::Engine::processes`].
    pub fn processes(&self, key: &Key) -> Result<Vec<i32>, EngineError> {
        let name = key.name();
        let state = self.state(&name)?;
        let folder = self.folder(&name);
        let unseen = |e| folder.error("state", e);
        // Of elsewhere: neither its numbers nor its key mean anybody here.
        let noted = if state.boot_id.is_empty() { &key.boot_id } else { &state.boot_id };
        if !noted.is_empty() && !self.origin.is_of(noted) {
            return Ok(Vec::new());
        }
        if let Some(supervisor) = self.supervisor(&state)
            && proc::find(supervisor).map_err(unseen)?.is_some()
        {
            let them = processes::under_supervisor(supervisor);
            // If it has gone on to another attempt meanwhile, they are of that one.
            let is_over = folder.has_exit()
                || self.supervisor(&self.state(&name)?).is_none_or(|now| now != supervisor);
            return Ok(if is_over { Vec::new() } else { them });
        }
        if folder.has_exit() {
            // Written when the last process was gone.
            return Ok(Vec::new());
        }
        let bearing = Bearing { key: &name, owner: self.owner(&name) };
        let them = processes::of_lost(bearing, &self.proven(state), self.daemon());
        Ok(them.map_err(unseen)?.into_iter().map(|one| one.pid).collect())
    }

    /// What to wait for beside hints: a supervisor whose hints do not reach us.
    pub fn adopted(&self, name: &str) -> AdoptedSupervisor {
        let folder = self.folder(name);
        if folder.has_exit() {
            return AdoptedSupervisor::Ended;
        }
        let seen = || held(&self.attempts.get(name)?.seen).clone();
        let state = match folder.read_state() {
            Ok(Some(state)) if state.script.is_some() => state,
            // One whose `state` was taken away will not say more in it.
            Ok(None) => match seen() {
                Some(state) => state,
                None => return AdoptedSupervisor::Absent,
            },
            _ => return AdoptedSupervisor::Passing,
        };
        match self.supervisor(&state) {
            None => AdoptedSupervisor::Unreachable,
            Some(supervisor) => {
                proc::open(supervisor).map_or(AdoptedSupervisor::Passing, AdoptedSupervisor::Alive)
            }
        }
    }
}

/// Does something in folders of ours; when a script has closed them, once more with them open.
fn opened<T>(
    act: impl Fn() -> Result<T, EngineError>,
    open: impl FnOnce(),
) -> Result<T, EngineError> {
    match act() {
        Err(EngineError::Spool { source, .. } | EngineError::Scratch { source, .. })
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            open();
            act()
        }
        other => other,
    }
}

/// What a state whose supervisor lives says.
fn alive(state: &State) -> AttemptStatus {
    match state.handle() {
        Some(handle) => AttemptStatus::Running { handle, stopping: state.stopping },
        None => AttemptStatus::Launching,
    }
}
