//! *Purpose*: what a supervisor says of itself and its attempt, in the file `state`.
//!
//! *Owns*: [`State`] and its lines.
//!
//! *Promises*: a line counts only with its end; one of an unknown kind does not count. Scripts can
//! write into the file: what is named there as a control group of the attempt leads to none but its
//! own.
//!
//! *Not here*: the file, and its lock (`spool`); who may conclude what from it (`look`).

use std::path::{Path, PathBuf};

use super::cgroup;
use super::devices;
use super::freezer;
use super::memory;
use super::proc::Identity;
use crate::engine::{Handle, Stop, Stopping};
use crate::time::Time;

/// What `state` says so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Where the supervisor lives, see `Origin`.
    pub boot_id: String,
    /// The supervisor, once it runs.
    pub supervisor: Option<Identity>,
    /// The script, once it was spawned.
    pub script: Option<Identity>,
    /// When.
    pub start_time: Time,
    /// Why it is about to end.
    pub stopping: Option<Stopping>,
    /// Its own control groups, for memory, devices and to be frozen in, each from before
    /// it is made.
    pub groups: Vec<PathBuf>,
    /// The control group of its supervisor, and of whoever that starts.
    pub track: Option<PathBuf>,
}

impl State {
    /// The script's process as the rest of the house knows it.
    #[must_use]
    pub fn handle(&self) -> Option<Handle> {
        self.script.map(|s| Handle { pid: s.pid, start_time: self.start_time })
    }

    /// The line a supervisor writes first.
    #[must_use]
    pub fn supervisor_line(who: Identity, boot_id: &str) -> String {
        format!("supervisor {} {} {boot_id}\n", who.pid, who.ticks)
    }

    /// The line of a spawned script.
    #[must_use]
    pub fn script_line(who: Identity, start_time: Time) -> String {
        format!("script {} {} {}\n", who.pid, who.ticks, start_time.0)
    }

    /// The line of the supervisor's control group.
    #[must_use]
    pub fn track_line(track: &Path) -> String {
        format!("track {}\n", track.display())
    }

    /// Its own control groups, as far as they can be those of the attempt of this name: what a
    /// script may have written there leads nowhere else.
    #[must_use]
    pub fn groups_of(&self, name: &str) -> Vec<PathBuf> {
        let is_below = |group: &PathBuf| {
            [memory::BASE, devices::BASE, freezer::BASE]
                .iter()
                .any(|base| cgroup::is_below(group, base))
        };
        let groups = self.groups.iter().filter(|group| group.ends_with(name) && is_below(group));
        groups.cloned().collect()
    }

    /// The line of a control group of its own.
    #[must_use]
    pub fn group_line(group: &Path) -> String {
        format!("group {}\n", group.display())
    }

    /// The line of a stop.
    #[must_use]
    pub fn stopping_line(stop: Stop) -> &'static str {
        match stop {
            Stop::Cancelled => "stopping cancelled\n",
            Stop::TimeLimit => "stopping time_limit\n",
            Stop::OutputLimit => "stopping output_limit\n",
        }
    }

    /// The line of a script that has ended before its tree.
    pub const FINISHING_LINE: &str = "stopping finishing\n";

    /// Reads the lines; one without its end, or of an unknown kind, does not count.
    #[must_use]
    pub fn parse(text: &str) -> State {
        let mut state = State::default();
        for line in text.split_inclusive('\n').filter_map(|l| l.strip_suffix('\n')) {
            let words: Vec<&str> = line.split(' ').collect();
            let who = |pid: &str, ticks: &str| {
                Some(Identity { pid: pid.parse().ok()?, ticks: ticks.parse().ok()? })
            };
            match words.as_slice() {
                ["supervisor", pid, ticks, boot] => {
                    state.supervisor = who(pid, ticks);
                    state.boot_id = (*boot).to_owned();
                }
                ["script", pid, ticks, start] => {
                    state.script = who(pid, ticks);
                    state.start_time = Time(start.parse().unwrap_or_default());
                }
                ["track", ..] => state.track = line.strip_prefix("track ").map(PathBuf::from),
                ["group", ..] => {
                    state.groups.extend(line.strip_prefix("group ").map(PathBuf::from));
                }
                ["stopping", why] => state.stopping = stopping(why).or(state.stopping),
                _ => {}
            }
        }
        state
    }
}

fn stopping(word: &str) -> Option<Stopping> {
    Some(match word {
        "cancelled" => Stopping::Told(Stop::Cancelled),
        "time_limit" => Stopping::Told(Stop::TimeLimit),
        "output_limit" => Stopping::Told(Stop::OutputLimit),
        "finishing" => Stopping::Finishing,
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_state_counts_only_with_its_end() {
        let boss = Identity { pid: 7, ticks: 99 };
        let script = Identity { pid: 8, ticks: 100 };
        let mut text = State::supervisor_line(boss, "boot");
        text += &State::script_line(script, Time(5));
        let seen = State::parse(&text);
        assert_eq!((seen.supervisor, seen.script, seen.stopping), (Some(boss), Some(script), None));
        assert_eq!(seen.handle(), Some(Handle { pid: 8, start_time: Time(5) }));
        let torn = State::parse(text.trim_end());
        assert_eq!((torn.supervisor, torn.script), (Some(boss), None));
        text += State::stopping_line(Stop::TimeLimit);
        assert_eq!(State::parse(&text).stopping, Some(Stopping::Told(Stop::TimeLimit)));
    }

    #[test]
    fn the_control_groups_of_an_attempt_are_those_that_bear_its_name_below_ours() {
        let (memory, devices) = (
            "/sys/fs/cgroup/memory/a b/downbeat/7.1.ab",
            "/sys/fs/cgroup/devices/downbeat.devices/7.1.ab",
        );
        let others = [
            "/sys/fs/cgroup/memory/downbeat/8.1.ab",
            "/sys/fs/cgroup/memory/other/7.1.ab",
            "/tmp/downbeat/7.1.ab",
        ];
        let noted = [memory, others[0], devices, others[1], others[2]];
        let text: String = noted.iter().map(|group| State::group_line(Path::new(group))).collect();
        let state = State::parse(&text);
        assert_eq!(state.groups.len(), noted.len());
        assert_eq!(state.groups_of("7.1.ab"), [memory, devices].map(PathBuf::from));
    }
}
