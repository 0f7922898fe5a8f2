//! *Purpose*: the life of a job as one `match`.
//!
//! *Owns*: [`JobState`], [`Fact`] and [`transition`].
//!
//! *Promises*: an allocation enters with `Granted` and leaves with the final state, in the
//! same step; once a cancel of a live attempt is in, the end is CANCELLED whatever the
//! script's last act; TIMEOUT only when the supervisor's record says so and no cancel came
//! first; OUT_OF_MEMORY when a process of the job was killed for want of memory before any stop,
//! whatever the script's own code; an attempt that was preempted, or that somebody asked to run
//! again, leads back into the queue however it ends, unless a cancel comes; no end is invented: the
//! code is null where no script ended.
//!
//! *Not here*: which attempt a fact belongs to (`kernel::state`), who sends facts
//! (`actors::executor`).

use crate::job::outcome::{EndState, Exit, Handle, Stop};
use crate::job::state::{EndReason, Hold, StateWord};
use crate::resources::allocation::Allocation;
use crate::time::Time;

/// Where a job stands. What holds CPUs holds the [`Allocation`] itself.
#[derive(Debug, PartialEq, Eq)]
pub enum JobState {
    /// In the queue.
    Pending,
    /// CPUs held, launch ordered; users read RUNNING.
    Starting(Allocation),
    /// The script runs.
    Running(Allocation, Handle),
    /// Told to stop, not yet gone: CPUs still held.
    Completing(Allocation, EndReason, Option<Handle>),
    /// Over.
    Finished(EndState),
    /// The attempt is over, the job is not: it goes back into the queue.
    Requeued(EndState, RequeueReason),
}

/// Why a job goes back into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequeueReason {
    /// Somebody asked for it.
    Asked {
        /// Whether it shall be held.
        hold: Hold,
    },
    /// Its attempt made room for another job.
    Preempted,
    /// It is retried.
    Retry {
        /// Not before.
        begin: Time,
    },
    /// Nobody could say who its owner is: it is tried again later.
    UserUnknown,
}

impl JobState {
    /// The word users read.
    #[must_use]
    pub fn word(&self) -> StateWord {
        match self {
            JobState::Pending | JobState::Requeued(..) => StateWord::Pending,
            JobState::Starting(_) | JobState::Running(..) => StateWord::Running,
            JobState::Completing(..) => StateWord::Completing,
            JobState::Finished(end) => end.word,
        }
    }

    /// Whether a cancel of it is in.
    #[must_use]
    pub fn is_being_cancelled(&self) -> bool {
        matches!(self, JobState::Completing(_, EndReason::Cancelled, _))
    }

    /// Whether its script was told to stop, for whatever reason.
    #[must_use]
    pub fn is_told_to_stop(&self) -> bool {
        matches!(self, JobState::Completing(_, why, _) if why.is_told())
    }

    /// Its script's process, once that was spawned.
    #[must_use]
    pub fn handle(&self) -> Option<Handle> {
        match self {
            JobState::Running(_, handle) => Some(*handle),
            JobState::Completing(_, _, handle) => *handle,
            JobState::Pending
            | JobState::Starting(_)
            | JobState::Finished(_)
            | JobState::Requeued(..) => None,
        }
    }

    /// The CPUs it holds.
    #[must_use]
    pub fn allocation(&self) -> Option<&Allocation> {
        match self {
            JobState::Starting(a) | JobState::Running(a, _) | JobState::Completing(a, ..) => {
                Some(a)
            }
            JobState::Pending | JobState::Finished(_) | JobState::Requeued(..) => None,
        }
    }
}

/// Something that happened to one attempt.
#[derive(Debug, PartialEq, Eq)]
pub enum Fact {
    /// The ledger gave CPUs.
    Granted(Allocation),
    /// The script was spawned.
    Started(Handle),
    /// The attempt is over and its tree is gone.
    Exited(Exit),
    /// Somebody wants it to end.
    CancelAsked,
    /// Somebody wants its job to run again.
    RequeueAsked {
        /// Whether it shall be held then.
        hold: Hold,
    },
    /// A job of a partition that goes before its own needs its room.
    PreemptAsked,
    /// Its supervisor has begun to enforce the time limit.
    LimitReached,
    /// Its supervisor has begun to end it for what it wrote.
    OutputLimitReached,
    /// Its script has ended, and processes that it left behind go on.
    ScriptEnded,
    /// Its supervisor is gone without a record.
    Lost,
    /// No script could be started; the sentence says why.
    LaunchFailed(String),
    /// Nobody can say now who its owner is, so nothing was started; the sentence says why.
    UserUnknown(String),
    /// It is gone and nobody knows how it ended; the sentence says what is known.
    Vanished(String),
}

impl Fact {
    /// The word in events and messages.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Fact::Granted(_) => "granted",
            Fact::Started(_) => "started",
            Fact::Exited(exit) if !exit.left_behind.is_empty() => "exited_leftovers_killed",
            Fact::Exited(_) => "exited",
            Fact::CancelAsked => "cancel_asked",
            Fact::RequeueAsked { .. } => "requeue_asked",
            Fact::PreemptAsked => "preempted",
            Fact::LimitReached => "limit_reached",
            Fact::OutputLimitReached => "output_limit_reached",
            Fact::ScriptEnded => "script_ended",
            Fact::Lost => "lost",
            Fact::LaunchFailed(_) => "launch_failed",
            Fact::UserUnknown(_) => "user_unknown",
            Fact::Vanished(_) => "vanished",
        }
    }
}

/// Why a fact changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Late, doubled, or of an attempt that is over: normal, counted.
    #[error("stale")]
    Stale,
    /// Impossible in this state: a bug of ours.
    #[error("illegal")]
    Illegal,
}

/// What a fact led to.
#[derive(Debug)]
pub enum Outcome {
    /// The next state; what it gave back.
    Moved(JobState, Option<Allocation>),
    /// The state as it was, the fact handed back, and why.
    Unmoved(JobState, Fact, Refused),
}

/// The whole machine: state × fact → next state.
#[must_use]
pub fn transition(state: JobState, fact: Fact, now: Time) -> Outcome {
    use EndReason::{Finishing, Lost, OutputLimit, Preempted, TimeLimit};
    use JobState::{Completing, Finished, Pending, Running, Starting};
    use Outcome::{Moved, Unmoved};
    use Refused::{Illegal, Stale};
    match (state, fact) {
        (Pending, Fact::Granted(a)) => Moved(Starting(a), None),
        (Pending, Fact::CancelAsked) => {
            let end = without_script(StateWord::Cancelled, None, now, None);
            Moved(Finished(end), None)
        }
        (Pending, fact) => Unmoved(Pending, fact, Illegal),

        (Starting(a), Fact::Started(h)) => Moved(Running(a, h), None),
        (Running(a, h), fact @ Fact::Started(_)) => Unmoved(Running(a, h), fact, Stale),
        (Completing(a, why, None), Fact::Started(h)) => Moved(Completing(a, why, Some(h)), None),

        (Starting(a), Fact::CancelAsked) => Moved(Completing(a, EndReason::Cancelled, None), None),
        (Running(a, h), Fact::CancelAsked) => {
            Moved(Completing(a, EndReason::Cancelled, Some(h)), None)
        }
        (
            Completing(
                a,
                TimeLimit | Lost | Finishing | OutputLimit | Preempted | EndReason::Requeued { .. },
                h,
            ),
            Fact::CancelAsked,
        ) => Moved(Completing(a, EndReason::Cancelled, h), None),

        (Starting(a), Fact::RequeueAsked { hold }) => {
            Moved(Completing(a, EndReason::Requeued { hold }, None), None)
        }
        (Running(a, h), Fact::RequeueAsked { hold }) => {
            Moved(Completing(a, EndReason::Requeued { hold }, Some(h)), None)
        }
        (
            Completing(a, TimeLimit | Lost | Finishing | OutputLimit, h),
            Fact::RequeueAsked { hold },
        ) => Moved(Completing(a, EndReason::Requeued { hold }, h), None),
        (Completing(a, Preempted, h), Fact::RequeueAsked { hold }) if hold > Hold::No => {
            Moved(Completing(a, EndReason::Requeued { hold }, h), None)
        }
        (Completing(a, EndReason::Requeued { hold: before }, h), Fact::RequeueAsked { hold })
            if hold > before =>
        {
            Moved(Completing(a, EndReason::Requeued { hold }, h), None)
        }

        (Starting(a), Fact::PreemptAsked) => Moved(Completing(a, Preempted, None), None),
        (Running(a, h), Fact::PreemptAsked) => Moved(Completing(a, Preempted, Some(h)), None),

        (Starting(a), Fact::LimitReached) => Moved(Completing(a, EndReason::TimeLimit, None), None),
        (Running(a, h), Fact::LimitReached) => {
            Moved(Completing(a, EndReason::TimeLimit, Some(h)), None)
        }
        (Starting(a), Fact::OutputLimitReached) => Moved(Completing(a, OutputLimit, None), None),
        (Running(a, h), Fact::OutputLimitReached) => {
            Moved(Completing(a, OutputLimit, Some(h)), None)
        }
        (Starting(a), Fact::ScriptEnded) => Moved(Completing(a, Finishing, None), None),
        (Running(a, h), Fact::ScriptEnded) => Moved(Completing(a, Finishing, Some(h)), None),
        (Starting(a), Fact::Lost) => Moved(Completing(a, EndReason::Lost, None), None),
        (Running(a, h), Fact::Lost) => Moved(Completing(a, EndReason::Lost, Some(h)), None),

        (Starting(a), Fact::Exited(exit)) => Moved(Finished(after_exit(exit, None)), Some(a)),
        (Running(a, _), Fact::Exited(exit)) => Moved(Finished(after_exit(exit, None)), Some(a)),
        (Completing(a, why, _), Fact::Exited(exit)) => {
            Moved(over(why, after_exit(exit, Some(why))), Some(a))
        }

        (Starting(a), Fact::LaunchFailed(error)) => {
            let end = without_script(StateWord::Failed, Some(error), now, None);
            Moved(Finished(end), Some(a))
        }
        (Starting(a), Fact::UserUnknown(error)) => {
            let end = without_script(StateWord::Failed, Some(error), now, None);
            Moved(JobState::Requeued(end, RequeueReason::UserUnknown), Some(a))
        }
        (Completing(a, why, None), Fact::LaunchFailed(error) | Fact::UserUnknown(error)) => {
            let word = unless_cancelled(why, StateWord::Failed);
            Moved(over(why, without_script(word, Some(error), now, None)), Some(a))
        }
        (Starting(a), Fact::Vanished(error)) => {
            let end = without_script(StateWord::NodeFail, Some(error), now, None);
            Moved(Finished(end), Some(a))
        }
        (Running(a, h), Fact::Vanished(error)) => {
            let end = without_script(StateWord::NodeFail, Some(error), now, Some(h));
            Moved(Finished(end), Some(a))
        }
        (Completing(a, why, h), Fact::Vanished(error)) => {
            let word = unless_cancelled(why, StateWord::NodeFail);
            Moved(over(why, without_script(word, Some(error), now, h)), Some(a))
        }

        (state @ Completing(_, EndReason::Cancelled, _), fact @ Fact::CancelAsked)
        | (state @ Completing(_, _, Some(_)), fact @ Fact::Started(_))
        | (
            state @ Completing(..),
            fact @ (Fact::LimitReached
            | Fact::OutputLimitReached
            | Fact::ScriptEnded
            | Fact::Lost
            | Fact::PreemptAsked
            | Fact::RequeueAsked { .. }),
        ) => Unmoved(state, fact, Stale),
        (state @ (Finished(_) | JobState::Requeued(..)), fact @ Fact::Granted(_)) => {
            Unmoved(state, fact, Illegal)
        }
        (state @ (Finished(_) | JobState::Requeued(..)), fact) => Unmoved(state, fact, Stale),
        (state @ (Starting(_) | Running(..) | Completing(..)), fact @ Fact::Granted(_))
        | (
            state @ (Running(..) | Completing(..)),
            fact @ (Fact::LaunchFailed(_) | Fact::UserUnknown(_)),
        ) => Unmoved(state, fact, Illegal),
    }
}

/// Where an attempt's end leads that was being brought about.
fn over(why: EndReason, end: EndState) -> JobState {
    match why {
        EndReason::Requeued { hold } => JobState::Requeued(end, RequeueReason::Asked { hold }),
        EndReason::Preempted => JobState::Requeued(end, RequeueReason::Preempted),
        EndReason::Cancelled
        | EndReason::TimeLimit
        | EndReason::Lost
        | EndReason::Finishing
        | EndReason::OutputLimit => JobState::Finished(end),
    }
}

fn unless_cancelled(why: EndReason, word: StateWord) -> StateWord {
    if why == EndReason::Cancelled { StateWord::Cancelled } else { word }
}

fn without_script(
    word: StateWord,
    error: Option<String>,
    end_time: Time,
    handle: Option<Handle>,
) -> EndState {
    EndState { handle, ..EndState::without_script(word, error, end_time) }
}

/// Why a job failed that was ended for what it wrote.
const TOO_MUCH_OUTPUT: &str = "its kept output reached --max-output, so it was ended; what it had \
                               written is kept";

/// Names what the script left behind.
fn left_behind(them: &[String]) -> Vec<String> {
    if them.is_empty() {
        return Vec::new();
    }
    let names = them.join(", ");
    vec![format!(
        "The script had ended and left processes behind that did not finish in time; they were \
         ended: {names}."
    )]
}

fn after_exit(exit: Exit, why: Option<EndReason>) -> EndState {
    let clean = exit.exit_code.is_some_and(|c| c.code == 0 && c.signal == 0);
    let ran_out_first = exit.out_of_memory.is_some_and(|hit| hit.before_stop);
    let word = match (why, exit.stop) {
        (Some(EndReason::Cancelled), _) | (_, Some(Stop::Cancelled)) => StateWord::Cancelled,
        (_, Some(Stop::TimeLimit)) if !ran_out_first => StateWord::Timeout,
        _ if exit.out_of_memory.is_some() => StateWord::OutOfMemory,
        (_, Some(Stop::OutputLimit)) => StateWord::Failed,
        _ if clean => StateWord::Completed,
        _ => StateWord::Failed,
    };
    EndState {
        word,
        exit_code: exit.exit_code,
        error: match exit.out_of_memory.filter(|_| word == StateWord::OutOfMemory) {
            Some(hit) => Some(hit.to_string()),
            None if word == StateWord::Failed && exit.stop == Some(Stop::OutputLimit) => {
                Some(TOO_MUCH_OUTPUT.to_owned())
            }
            None => None,
        },
        warnings: left_behind(&exit.left_behind),
        end_time: exit.end_time,
        usage: exit.usage,
        handle: exit.handle,
    }
}
