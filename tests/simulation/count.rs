//! *Purpose*: how often each fault, and each thing worth seeing, happened.
//!
//! *Owns*: [`Event`] and the least number of each in a run of the tests.
//!
//! *Promises*: what happened more rarely than that fails the run, so that no fault silently
//! stops.
//!
//! *Not here*: causing them (`faults`).

use std::fmt;

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident: $least:literal;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Event { $($(#[$doc])* $name),* }

        /// Every event and how often it must happen, about a third of how often it does.
        const LEAST: &[(Event, u64)] = &[$((Event::$name, $least)),*];
    };
}

events! {
    JobAcknowledged: 10_000;
    CancelAcknowledged: 8_000;
    RequeueAcknowledged: 500;
    RequeueAfterCancel: 250;
    RequeueToldToLookAgain: 4;
    WaitsAgain: 300;
    Revived: 1_200;
    Preempted: 100;
    Retried: 450;
    SubmissionRefused: 1_000;
    KeySentAgain: 1_000;
    KeyFoundStored: 1_000;
    ToldToLookAgain: 400;
    // The disk.
    CommitRefused: 400;
    CommitAnswerLost: 400;
    OutcomeUnknownDurable: 400;
    OutcomeUnknownNotDurable: 400;
    FoundDurableAtRetry: 400;
    SlowCommit: 1_000;
    ManyStepsInOneCommit: 500;
    // Crashes, by where the commit was.
    CrashIdle: 700;
    CrashBeforeItLeft: 500;
    CrashInTheWriterBeforeCommit: 400;
    CrashInTheWriterAfterCommit: 300;
    CrashAfterCommitBeforeTheAnswer: 400;
    CrashAfterAFailure: 40;
    CrashBeforeEffects: 100;
    CrashAmongEffects: 80;
    CrashBeforeReplies: 90;
    CrashAmongReplies: 90;
    // Messages.
    MailLost: 700;
    MailDoubled: 2_000;
    StaleFact: 3_000;
    HintLost: 7_000;
    StopLost: 200;
    LaunchLost: 100;
    LaunchDoubled: 500;
    PlanStale: 4_000;
    OtherRules: 6_000;
    Adopted: 4_000;
    // Machine and clock.
    DaemonKilled: 1_000;
    OrderTakenByADyingDaemon: 100;
    SupervisorKilled: 1_000;
    RecordAtTheLastMoment: 300;
    Rebooted: 300;
    KilledTwice: 2_000;
    ExitRacedCancel: 50;
    LimitRacedCancel: 40;
    ClockSetForward: 1_000;
    ClockSetBack: 1_000;
    EndedBeforeItStarted: 300;
    // Ends.
    Completed: 1_000;
    Failed: 3_000;
    Cancelled: 7_000;
    TimedOut: 1_000;
    LostToTheNode: 1_000;
}

#[derive(Clone, Debug)]
pub struct Count([u64; LEAST.len()]);

impl Default for Count {
    fn default() -> Count {
        Count([0; LEAST.len()])
    }
}

impl Count {
    pub fn happened(&mut self, event: Event) {
        self.0[event as usize] += 1;
    }

    pub fn happened_if(&mut self, event: Event, it_did: bool) {
        self.0[event as usize] += u64::from(it_did);
    }

    pub fn add(&mut self, other: &Count) {
        for (mine, more) in self.0.iter_mut().zip(other.0) {
            *mine += more;
        }
    }

    pub fn too_rare(&self) -> Vec<String> {
        let rare = LEAST.iter().filter(|(event, least)| self.0[*event as usize] < *least);
        rare.map(|(event, least)| {
            format!("{event:?}: {} of at least {least}", self.0[*event as usize])
        })
        .collect()
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = LEAST.iter().map(|(event, _)| format!("{event:?} {}", self.0[*event as usize]));
        f.write_str(&each.collect::<Vec<_>>().join(", "))
    }
}
