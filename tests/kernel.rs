//! *Purpose*: the kernel's laws: the matrix of state × fact, who may do what, the door.
//!
//! *Owns*: the printed matrices.
//!
//! *Promises*: every state meets every fact, and every role every action, so a new one of any fails
//! here until its row is written.
//!
//! *Not here*: the policy (`tests/policy`), sequences of steps (`tests/simulation`).

#![allow(clippy::unwrap_used)]

use downbeat::job::array_spec::JobRef;
use downbeat::job::files::expand_pattern;
use downbeat::job::ids::{Attempt, CpuId, JobId, Uid};
use downbeat::job::outcome::{EndState, Exit, Handle, OutOfMemory, Stop};
use downbeat::job::spec::{CpusAsked, JobRequest, JobSpec, SCRIPT_BYTES_MAX};
use downbeat::job::state::{EndReason, Hold, StateWord};
use downbeat::kernel::access::{Action, Caller, Relation, Role, Whose, may, may_at_all, permits};
use downbeat::kernel::admission::{Site, SiteMemory};
use downbeat::kernel::testing;
use downbeat::kernel::transition::{Fact, JobState, Outcome, Refused, RequeueReason, transition};
use downbeat::resources::capacity::Demand;
use downbeat::resources::ledger::Ledger;
use downbeat::text::time_limit::LimitAsked;
use downbeat::time::Time;
use strum::VariantArray;

const HANDLE: Handle = Handle { pid: 7, start_time: Time(5) };

fn allocation() -> downbeat::resources::allocation::Allocation {
    let attempt = Attempt { job: JobId(1), n: 1 };
    Ledger::new([CpuId(0)]).allocate(attempt, &Demand::of(1)).unwrap()
}

fn exit(code: u8, stop: Option<Stop>) -> Exit {
    Exit { stop, handle: Some(HANDLE), ..testing::exit(code, Time(9)) }
}

type Make<T> = (&'static str, fn() -> T);

const STATES: [Make<JobState>; 15] = [
    ("Pending", || JobState::Pending),
    ("Starting", || JobState::Starting(allocation())),
    ("Running", || JobState::Running(allocation(), HANDLE)),
    ("Cancel -", || JobState::Completing(allocation(), EndReason::Cancelled, None)),
    ("Cancel +", || JobState::Completing(allocation(), EndReason::Cancelled, Some(HANDLE))),
    ("Limit -", || JobState::Completing(allocation(), EndReason::TimeLimit, None)),
    ("Limit +", || JobState::Completing(allocation(), EndReason::TimeLimit, Some(HANDLE))),
    ("Lost -", || JobState::Completing(allocation(), EndReason::Lost, None)),
    ("Lost +", || JobState::Completing(allocation(), EndReason::Lost, Some(HANDLE))),
    ("Requeue -", || JobState::Completing(allocation(), REQUEUED, None)),
    ("Requeue +", || JobState::Completing(allocation(), REQUEUED, Some(HANDLE))),
    ("Preempt -", || JobState::Completing(allocation(), EndReason::Preempted, None)),
    ("Preempt +", || JobState::Completing(allocation(), EndReason::Preempted, Some(HANDLE))),
    ("Finished", || JobState::Finished(ended())),
    ("Back", || JobState::Requeued(ended(), RequeueReason::Asked { hold: Hold::No })),
];

const REQUEUED: EndReason = EndReason::Requeued { hold: Hold::No };

fn ended() -> EndState {
    EndState::without_script(StateWord::Completed, None, Time(1))
}

const FACTS: [Make<Fact>; 16] = [
    ("grant", || Fact::Granted(allocation())),
    ("start", || Fact::Started(HANDLE)),
    ("exit0", || Fact::Exited(exit(0, None))),
    ("exit3", || Fact::Exited(exit(3, None))),
    ("xlim", || Fact::Exited(exit(0, Some(Stop::TimeLimit)))),
    ("xcan", || Fact::Exited(exit(0, Some(Stop::Cancelled)))),
    ("never", || {
        Fact::Exited(Exit { exit_code: None, handle: None, ..exit(0, Some(Stop::Cancelled)) })
    }),
    ("cancl", || Fact::CancelAsked),
    ("limit", || Fact::LimitReached),
    ("lost", || Fact::Lost),
    ("nolau", || Fact::LaunchFailed("why".into())),
    ("gone", || Fact::Vanished("why".into())),
    ("requ", || Fact::RequeueAsked { hold: Hold::No }),
    ("rhold", || Fact::RequeueAsked { hold: Hold::ByUser }),
    ("preem", || Fact::PreemptAsked),
    ("nousr", || Fact::UserUnknown("why".into())),
];

/// What each state answers to each fact. `run` RUNNING, `end` COMPLETING, `com` COMPLETED, `fai`
/// FAILED, `tim` TIMEOUT, `can` CANCELLED, `nod` NODE_FAIL, `pen` PENDING again; `*`: the CPUs are
/// given back; `?`: the code is unknown. `-`: the fact is stale; `!`: it cannot be. Behind a reason
/// to end, `-` is an attempt of which no start was heard, `+` one that was started.
#[rustfmt::skip]
const MATRIX: &str = "
          grant start exit0 exit3 xlim  xcan  never cancl limit lost  nolau gone  requ  rhold preem nousr
Pending   run   !     !     !     !     !     !     can?  !     !     !     !     !     !     !     !
Starting  !     run   com*  fai*  tim*  can*  can*? end   end   end   fai*? nod*? end   end   end   pen*?
Running   !     -     com*  fai*  tim*  can*  can*? end   end   end   !     nod*? end   end   end   !
Cancel -  !     end   can*  can*  can*  can*  can*? -     -     -     can*? can*? -     -     -     can*?
Cancel +  !     -     can*  can*  can*  can*  can*? -     -     -     !     can*? -     -     -     !
Limit -   !     end   com*  fai*  tim*  can*  can*? end   -     -     fai*? nod*? end   end   -     fai*?
Limit +   !     -     com*  fai*  tim*  can*  can*? end   -     -     !     nod*? end   end   -     !
Lost -    !     end   com*  fai*  tim*  can*  can*? end   -     -     fai*? nod*? end   end   -     fai*?
Lost +    !     -     com*  fai*  tim*  can*  can*? end   -     -     !     nod*? end   end   -     !
Requeue - !     end   pen*  pen*  pen*  pen*  pen*? end   -     -     pen*? pen*? -     end   -     pen*?
Requeue + !     -     pen*  pen*  pen*  pen*  pen*? end   -     -     !     pen*? -     end   -     !
Preempt - !     end   pen*  pen*  pen*  pen*  pen*? end   -     -     pen*? pen*? -     end   -     pen*?
Preempt + !     -     pen*  pen*  pen*  pen*  pen*? end   -     -     !     pen*? -     end   -     !
Finished  !     -     -     -     -     -     -     -     -     -     -     -     -     -     -     -
Back      !     -     -     -     -     -     -     -     -     -     -     -     -     -     -     -
";

/// A word of the table for a state.
fn short(word: StateWord) -> &'static str {
    match word {
        StateWord::Running => "run",
        StateWord::Completing => "end",
        StateWord::Completed => "com",
        StateWord::Failed => "fai",
        StateWord::Timeout => "tim",
        StateWord::Cancelled => "can",
        StateWord::NodeFail => "nod",
        StateWord::Pending => "pen",
        StateWord::OutOfMemory => "oom",
    }
}

fn answer(state: JobState, fact: Fact) -> String {
    let held = state.allocation().is_some();
    let before = state.word();
    match transition(state, fact, Time(10)) {
        Outcome::Unmoved(state, _, why) => {
            assert_eq!(state.word(), before, "a refusal changes nothing");
            if why == Refused::Stale { "-".into() } else { "!".into() }
        }
        Outcome::Moved(JobState::Finished(end), given_back) => {
            assert_eq!(given_back.is_some(), held, "the end gives back exactly what was held");
            let star = if held { "*" } else { "" };
            format!("{}{star}{}", short(end.word), if end.exit_code.is_none() { "?" } else { "" })
        }
        Outcome::Moved(JobState::Requeued(end, _), given_back) => {
            assert_eq!(given_back.is_some(), held, "the way back gives back what was held");
            let star = if held { "*" } else { "" };
            format!(
                "{}{star}{}",
                short(StateWord::Pending),
                if end.exit_code.is_none() { "?" } else { "" }
            )
        }
        Outcome::Moved(next, given_back) => {
            assert!(given_back.is_none(), "only an end gives back");
            assert!(next.allocation().is_some(), "what is live holds its CPUs");
            short(next.word()).to_owned()
        }
    }
}

#[test]
fn the_matrix_of_state_and_fact_is_as_written() {
    let mut rows =
        vec![format!("{:10}{}", "", FACTS.map(|(word, _)| format!("{word:6}")).concat())];
    for (name, state) in STATES {
        let answers = FACTS.map(|(_, fact)| format!("{:6}", answer(state(), fact())));
        rows.push(format!("{name:10}{}", answers.concat()));
    }
    let rows: Vec<&str> = rows.iter().map(|row| row.trim_end()).collect();
    let written: Vec<&str> = MATRIX.trim_matches('\n').lines().collect();
    assert_eq!(rows, written, "as it is, and as it is written:\n{}\n{MATRIX}", rows.join("\n"));
}

/// What an owner (`o`), a coordinator of its account (`c`) and anybody else (`a`) may do to a job,
/// by role. `-` is nobody. Of what concerns no job it is all or nobody.
const RIGHTS: &str = "
                         viewer  user    operator  admin
see                      o c a   o c a   o c a     o c a
read_details             o c     o c     o c a     o c a
read_output              o       o       o c a     o c a
control                  -       o c     o c a     o c a
suspend                  -       -       o c a     o c a
release_operator_hold    -       -       o c a     o c a
raise                    -       -       o c a     o c a
submit                   -       o c a   o c a     o c a
submit_for_others        -       -       -         o c a
operate                  -       -       o c a     o c a
own_tokens               -       o c a   o c a     o c a
others_tokens            -       -       -         o c a
";

#[test]
fn who_may_do_what_is_as_written() {
    let letters = |role: Role, action: Action| {
        let each = [Relation::Owner, Relation::Coordinator, Relation::Other].into_iter();
        let letter = |of: Relation| match of {
            Relation::Owner => "o",
            Relation::Coordinator => "c",
            Relation::Other => "a",
        };
        let may: Vec<&str> = each.filter(|of| permits(role, *of, action)).map(letter).collect();
        if may.is_empty() { "-".to_owned() } else { may.join(" ") }
    };
    let width = |role: Role| if role == Role::Operator { 10 } else { 8 };
    let line = |first: &str, cell: &dyn Fn(Role) -> String| {
        let cells = Role::VARIANTS.iter().map(|role| format!("{:1$}", cell(*role), width(*role)));
        format!("{first:25}{}", cells.collect::<String>()).trim_end().to_owned()
    };
    let mut rows = vec![line("", &|role| <&str>::from(role).to_owned())];
    for action in Action::VARIANTS {
        rows.push(line(action.into(), &|role| letters(role, *action)));
    }
    let written: Vec<&str> = RIGHTS.trim_matches('\n').lines().collect();
    assert_eq!(rows, written, "as it is, and as it is written:\n{}\n{RIGHTS}", rows.join("\n"));
}

#[test]
fn a_job_is_his_who_owns_it_and_in_a_private_house_nobody_else_knows_of_it() {
    let alice = Caller {
        uid: Some(Uid(7)),
        acts_as: Some(Uid(7)),
        role: Role::User,
        ..testing::caller("alice")
    };
    let own = Whose { owner: Some(Uid(7)), account: "" };
    let bobs = Whose { owner: Some(Uid(8)), account: "physics" };
    let who = std::sync::Arc::new(alice.clone());
    assert_eq!(may(&who, Action::Control, own).unwrap().caller(), &alice);
    assert!(may(&who, Action::See, bobs).is_ok());
    let refused = may(&who, Action::Control, bobs).unwrap_err();
    assert!(!refused.is_hidden);
    assert_eq!(
        refused.to_string(),
        "alice may not cancel, signal, hold, requeue or change it; that needs the role operator"
    );
    let mut private = Caller { sees_own_only: true, ..alice };
    let who = std::sync::Arc::new(private.clone());
    assert!(may(&who, Action::See, bobs).unwrap_err().is_hidden);
    assert!(!who.scope().sees(bobs) && who.scope().sees(own));
    private.coordinates.insert("physics".into());
    let who = std::sync::Arc::new(private.clone());
    assert!(may(&who, Action::Control, bobs).is_ok() && who.scope().sees(bobs));
    assert!(may(&who, Action::ReadOutput, bobs).is_err());
    assert!(may_at_all(&who, Action::Operate).is_err());
    let who = std::sync::Arc::new(Caller { role: Role::Operator, ..private });
    assert!(may(&who, Action::ReadOutput, Whose { account: "", ..bobs }).is_ok());
    assert!(may_at_all(&who, Action::Operate).is_ok());
}

fn site() -> Site {
    Site {
        total_cpus: 4,
        memory: SiteMemory { total: Some(8 << 30), per_cpu: None },
        kill_grace_s: 30,
        output_roots: vec!["/logs".into()],
        ..Site::default()
    }
}

/// One broken field, and the name that the refusal must give.
#[test]
fn the_door_names_every_bad_field_and_lets_nothing_through() {
    type Break = fn(&mut JobRequest);
    let cases: [(&str, Break); 23] = [
        ("script", |r| r.script = " \n".into()),
        ("script", |r| r.script = "a\0b".into()),
        ("script", |r| r.script = "x".repeat(SCRIPT_BYTES_MAX + 1)),
        ("name", |r| r.name = Some("n".repeat(256))),
        ("name", |r| r.name = Some(String::new())),
        ("account", |r| r.account = Some("a\nb".into())),
        ("cpus", |r| r.cpus = CpusAsked::Count(0)),
        ("cpus", |r| r.cpus = CpusAsked::Count(5)),
        ("memory", |r| r.memory_bytes = Some(0)),
        ("memory", |r| r.memory_bytes = Some((8 << 30) + 1)),
        ("time_limit", |r| r.limit = LimitAsked::Seconds(0)),
        ("time_limit", |r| r.limit = LimitAsked::Seconds(i64::MAX)),
        ("kill_grace_s", |r| r.kill_grace_s = Some(-1)),
        ("working_directory", |r| r.working_directory = Some("here".into())),
        ("working_directory", |r| r.working_directory = Some("/a\0".into())),
        ("standard_output", |r| r.standard_output = Some("../x".into())),
        ("standard_output", |r| r.standard_output = Some("/etc/passwd".into())),
        ("standard_error", |r| r.standard_error = Some("%z".into())),
        ("standard_error", |r| r.standard_error = Some("out/".into())),
        ("environment.A=B", |r| _ = r.environment.insert("A=B".into(), String::new())),
        ("environment.BIG", |r| _ = r.environment.insert("BIG".into(), "x".repeat(131_072))),
        ("labels.a:b", |r| _ = r.labels.insert("a:b".into(), String::new())),
        ("comment", |r| r.comment = Some("c".repeat(20_000))),
    ];
    for (field, break_it) in cases {
        let mut request = JobRequest::new("true");
        break_it(&mut request);
        let refused = JobSpec::try_from((request, &site())).expect_err(field);
        let listed = refused.0.listed();
        let named: Vec<&str> = listed.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(named, [field], "{refused}");
    }
    let mut two = JobRequest::new("");
    two.cpus = CpusAsked::Count(0);
    assert_eq!(JobSpec::try_from((two, &site())).unwrap_err().0.len(), 2, "all at once");
}

#[test]
fn output_below_a_root_is_let_through() {
    let mut request = JobRequest::new("true");
    request.working_directory = Some("/home/a".into());
    request.standard_output = Some("/home/a/out/%j".into());
    request.standard_error = Some("/logs/%x.err".into());
    assert!(JobSpec::try_from((request, &site())).is_ok());
    assert_eq!(expand_pattern("a%j-%x-%%", JobId(17), None, "n/m"), "a17-n_m-%");
    let task = JobRef { job: JobId(17), task: Some(4) };
    assert_eq!(expand_pattern("%A_%a-%j", JobId(21), Some(task), "n"), "17_4-21");
    assert_eq!(expand_pattern("%A_%a", JobId(21), None, "n"), "21_4294967294", "as in Slurm");
}

#[test]
fn a_limit_above_the_maximum_is_refused_and_a_default_is_capped_by_it() {
    let site = Site { max_limit_s: Some(60), ..site() };
    let with = |limit| {
        let mut request = JobRequest::new("true");
        request.limit = limit;
        JobSpec::try_from((request, &site)).map(|s| s.limit_s)
    };
    assert_eq!(with(LimitAsked::Default), Ok(Some(60)));
    assert_eq!(with(LimitAsked::Seconds(60)), Ok(Some(60)));
    assert!(with(LimitAsked::Seconds(61)).is_err());
    assert!(with(LimitAsked::Unlimited).is_err());
}

#[test]
fn whoever_ran_out_of_memory_before_any_stop_ended_for_that() {
    let hit = |before_stop| OutOfMemory {
        limit_bytes: 64 << 20,
        peak_bytes: Some(64 << 20),
        kills: 1,
        at_its_limit: true,
        before_stop,
    };
    let end = |state: JobState, code, stop, before_stop| {
        let exit = Exit { out_of_memory: Some(hit(before_stop)), ..exit(code, stop) };
        match transition(state, Fact::Exited(exit), Time(10)) {
            Outcome::Moved(JobState::Finished(end), Some(_)) => end,
            other => panic!("{other:?}"),
        }
    };
    let running = || JobState::Running(allocation(), HANDLE);
    let completing = |why| JobState::Completing(allocation(), why, Some(HANDLE));
    for code in [0, 3] {
        let end = end(running(), code, None, true);
        assert_eq!((end.word, end.exit_code.unwrap().code), (StateWord::OutOfMemory, code));
        let error = end.error.unwrap();
        assert!(error.contains("its limit of 64 MiB (peak 64 MiB)"), "{error}");
    }
    let limit = Some(Stop::TimeLimit);
    let word = |state, stop, before_stop| end(state, 0, stop, before_stop).word;
    assert_eq!(word(completing(EndReason::TimeLimit), limit, false), StateWord::Timeout);
    assert_eq!(word(completing(EndReason::TimeLimit), limit, true), StateWord::OutOfMemory);
    assert_eq!(word(completing(EndReason::Lost), None, true), StateWord::OutOfMemory);
    let cancelled = completing(EndReason::Cancelled);
    assert_eq!(word(cancelled, Some(Stop::Cancelled), true), StateWord::Cancelled);
    let late = end(completing(EndReason::Cancelled), 0, None, true);
    assert_eq!((late.word, late.error), (StateWord::Cancelled, None));
}

#[test]
fn a_job_that_asks_for_no_memory_gets_the_default_of_its_cpus() {
    let with = |per_cpu, cpus, memory_bytes| {
        let site = Site { memory: SiteMemory { per_cpu, ..site().memory }, ..site() };
        let request = JobRequest { cpus, memory_bytes, ..JobRequest::new("true") };
        JobSpec::try_from((request, &site)).map(|s| s.memory_bytes)
    };
    let three = CpusAsked::Count(3);
    assert_eq!(with(None, three, None), Ok(None));
    assert_eq!(with(Some(1 << 30), three, None), Ok(Some(3 << 30)));
    assert_eq!(with(Some(1 << 30), CpusAsked::All, None), Ok(Some(4 << 30)));
    assert_eq!(with(Some(1 << 30), three, Some(5)), Ok(Some(5)), "what it asks for counts");
    let refused = with(Some(3 << 30), three, None).unwrap_err().to_string();
    let said = "memory: 9 GiB by default (3 GiB for each CPU), this server has 8 GiB; ask for less";
    assert_eq!(refused, said);
    let uncounted = Site { memory: SiteMemory::default(), ..site() };
    let request = JobRequest { memory_bytes: Some(i64::MAX), ..JobRequest::new("true") };
    assert_eq!(JobSpec::try_from((request, &uncounted)).unwrap().memory_bytes, Some(i64::MAX));
}
