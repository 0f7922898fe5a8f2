//! *Purpose*: holds the rooms to what `src/lib.rs` promises: who may import whom, and what may
//! stand only in one place.
//!
//! *Owns*: the rules, each a function that is shown a bad sample too, to see it fire.
//!
//! *Promises*: it reads what the compiler reads, without comments and without unit tests; a
//! complaint names file, line and rule.
//!
//! *Not here*: circles of files (`rooms`), lengths (`sizes`), style, which rustfmt and clippy know
//! better.

#![allow(clippy::unwrap_used)]

mod rooms;
mod sizes;
mod source;

use rooms::{no_arrow_points_upward, parts_know_no_kernel};
use source::{Source, imports, tree_of_sources};

fn the_kernel_knows_no_world(source: &Source) -> Vec<String> {
    let world = r"\b(actix\w*|diesel\w*|tokio|log|libc|rustix|chrono|std::(fs|io|net|process|thread|env))::";
    if source.is_below(&["kernel/", "job/", "resources/", "policy/"]) {
        source.only_in(world, &[])
    } else {
        vec![]
    }
}

fn there_is_one_clock(source: &Source) -> Vec<String> {
    source.only_in(r"\b(Instant|SystemTime|Utc|Local)::now\b", &["clock.rs"])
}

/// The engine starts scripts, the demo a server; one file asks the driver's own program, one has
/// the desktop open a browser.
fn few_start_processes(source: &Source) -> Vec<String> {
    let start = r"process::(\{.*)?\bCommand\b|\bCommand::new\b|\bposix_spawnp?\b|\bfork\(";
    source.only_in(
        start,
        &[
            "engine/",
            "demo.rs",
            "demo/",
            "cli/web.rs",
            "devices/smi.rs",
            "slurm/srun/",
            "slurm/salloc/",
            "slurm/terminal.rs",
            "slurm/terminal/",
        ],
    )
}

fn only_the_writer_changes_the_database(source: &Source) -> Vec<String> {
    let write = r#"\b(insert_into|insert_or_ignore_into|replace_into)\b|(^|[^.\w ]|[^n] )\b(update|delete)\(|"\s*(INSERT|UPDATE|DELETE|REPLACE)\b"#;
    if source.is_below(&["store/"]) || source.text.contains("diesel::") {
        source.only_in(
            write,
            &[
                "store/body/write.rs",
                "store/body/write/",
                "store/sqlite/prepared.rs",
                "store/sqlite/words.rs",
                "store/postgres/words.rs",
            ],
        )
    } else {
        vec![]
    }
}

fn only_one_file_is_unsafe(source: &Source) -> Vec<String> {
    source.only_in(r"\bunsafe\b", &["engine/local/sys.rs"])
}

fn cpu_state_needs_no_lock(source: &Source) -> Vec<String> {
    let lock = r"\b(Mutex|RwLock|Condvar)\b";
    if source.is_below(&["kernel/", "resources/", "actors/"]) {
        source.only_in(lock, &[])
    } else {
        vec![]
    }
}

/// A hint may be sent without waiting; commands and facts may not.
fn only_hints_are_not_awaited(source: &Source) -> Vec<String> {
    let places = [
        "actors/resource_manager.rs",
        "actors/resource_manager/commits.rs",
        "actors/recovery.rs",
        "actors/executor.rs",
    ];
    source.only_in(r"\bdo_send\(", &places)
}

/// What tests build in must be easy to see, and easy to leave out.
fn features_stand_in_four_files(source: &Source) -> Vec<String> {
    let places = ["engine/mod.rs", "fault.rs", "kernel/mod.rs", "store/body/migrate.rs"];
    source.only_in(r#"\bfeature\s*=\s*""#, &places)
}

/// Whose a connection is, is asked in one place, where the traps are known.
fn netlink_is_spoken_in_one_file(source: &Source) -> Vec<String> {
    source.only_in(r"\bnetlink\b|\bsock_diag\w*::", &["peer.rs"])
}

fn users_are_asked_for_in_one_file(source: &Source) -> Vec<String> {
    source.only_in(r"\bnix::unistd\b|\bgetpw\w*|\bgetgr(nam|gid|ouplist)\w*", &["people.rs"])
}

/// Who a process is, is changed where the order of the acts is known, and in a child alone: a server
/// with a thread of somebody else's is that user's to kill.
fn few_become_somebody_else(source: &Source) -> Vec<String> {
    let words = r"\b(set(re|res|e|fs)?[ug]id|(set|init)groups|set_thread_(res_)?[ug]id|set_thread_groups|capset|set_capabilities|keyctl)\b";
    source.only_in(words, &["engine/local/sys.rs", "engine/local/child"])
}

fn nothing_is_unwrapped(source: &Source) -> Vec<String> {
    source.only_in(r"\.unwrap\(\)", &[])
}

/// A panic ends the process and boot repairs; only a broken promise of our own deserves that.
fn few_may_panic(source: &Source) -> Vec<String> {
    let places = [
        "actors/resource_manager.rs",
        "actors/resource_manager/commits.rs",
        "actors/store_writer.rs",
        "kernel/outbox.rs",
    ];
    source.only_in(r"\b(panic|todo|unimplemented|dbg)!", &places)
}

fn every_file_says_what_it_is_for(source: &Source) -> Vec<String> {
    let doc: String =
        source.text.lines().take_while(|l| l.starts_with("//!")).collect::<Vec<_>>().join("\n");
    let parts = ["*Purpose*:", "*Owns*:", "*Promises*:", "*Not here*:"];
    let missing = parts.iter().filter(|part| !doc.contains(*part));
    missing.map(|part| format!("src/{}: its doc lacks {part}", source.path)).collect()
}

fn lines_fit(source: &Source) -> Vec<String> {
    let long = source.text.lines().enumerate().filter(|(_, line)| line.chars().count() > 100);
    long.map(|(i, _)| format!("src/{}:{}: over 100 characters", source.path, i + 1)).collect()
}

fn files_stay_small(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if lines > 600 { vec![format!("src/{}: {lines} lines", source.path)] } else { vec![] }
}

/// For each rule two tests: the sources obey it, and it fires on each bad sample.
macro_rules! rules {
    ($($rule:ident: $(($path:literal, $bad:expr)),+;)*) => {$(
        mod $rule {
            #[test]
            fn is_obeyed() {
                let sources = super::tree_of_sources("src");
                assert!(sources.len() > 50, "only {} sources were found", sources.len());
                let found: Vec<String> = sources.iter().flat_map(super::$rule).collect();
                assert!(found.is_empty(), "{}\n{}", stringify!($rule), found.join("\n"));
            }

            #[test]
            fn fires_on_a_bad_sample() {
                $(
                    let bad = super::Source::new($path, &$bad);
                    assert!(!super::$rule(&bad).is_empty(), "{}:\n{}", bad.path, bad.text);
                )+
            }
        }
    )*};
}

rules! {
    no_arrow_points_upward:
        ("job/spec.rs", "use crate::clock;"),
        ("resources/ledger.rs", "crate::fault::point(crate::fault::SUBMIT_RECEIVED);"),
        ("api/jobs.rs", "use crate::kernel::{change::Edit, ledger::Ledger};"),
        ("api/wire/job.rs", "use super::super::app::App;"),
        ("cli/mod.rs", "use super::actors;"),
        ("store/read.rs", "fn f() { crate::actors::start() }"),
        ("observe/mod.rs", "use crate::{\n    kernel::views,\n    store::read as r,\n};");
    parts_know_no_kernel:
        ("kernel/parts/arrays.rs", "pub fn look(kernel: &Kernel) {}"),
        ("kernel/parts/queue/line.rs", "use crate::kernel::change::Step;"),
        ("kernel/views/rank.rs", "use crate::kernel::commands::cancel::Cancelled;"),
        ("kernel/state.rs", "use super::views::snapshot::Snapshot;");
    the_kernel_knows_no_world: ("job/spec.rs", "use std::fs::File;");
    there_is_one_clock: ("engine/mod.rs", "let now = std::time::Instant::now();");
    few_start_processes:
        ("devices/usage.rs", "std::process::Command::new(\"nvidia-smi\").spawn()?;"),
        ("api/jobs.rs", "use std::process::{Child, Command};"),
        ("cli/run.rs", "std::process::Command::new(\"sh\").spawn()?;");
    only_the_writer_changes_the_database:
        ("store/read.rs", "diesel::insert_into(jobs::table)"),
        ("actors/audit.rs", "use diesel::prelude::*;\n    diesel::update(jobs::table)"),
        ("store/load.rs", "    delete(events::table).execute(conn)?;"),
        ("store/load.rs", "sql_query(\"UPDATE meta SET epoch = 1\")");
    only_one_file_is_unsafe: ("engine/local/stepd.rs", "    unsafe { libc::fork() };");
    cpu_state_needs_no_lock: ("resources/ledger.rs", "use std::sync::Mutex;");
    only_hints_are_not_awaited: ("api/jobs.rs", "submit.do_send(jobs);");
    features_stand_in_four_files: ("serve.rs", "#[cfg(feature = \"fault-points\")]");
    netlink_is_spoken_in_one_file: ("cli/client.rs", "use rustix::net::netlink::SOCK_DIAG;");
    users_are_asked_for_in_one_file: ("peer.rs", "let user = nix::unistd::User::from_uid(uid);");
    few_become_somebody_else:
        ("people.rs", "nix::unistd::setresuid(uid, uid, uid)?;"),
        ("engine/local/helper.rs", "rustix::thread::set_thread_groups(&groups)?;"),
        ("engine/local/launch.rs", "syscall!(Sysno::keyctl, 1, 0)"),
        ("serve.rs", "libc::setegid(0);");
    nothing_is_unwrapped: ("api/jobs.rs", "let x = y.unwrap();");
    few_may_panic: ("api/jobs.rs", "    todo!()");
    every_file_says_what_it_is_for: ("api/jobs.rs", "//! *Purpose*: jobs.\n\nuse std::io;");
    lines_fit: ("api/jobs.rs", "x".repeat(101));
    files_stay_small: ("api/jobs.rs", "\n".repeat(601));
}

#[test]
fn comments_and_unit_tests_are_not_code() {
    let text = "// a.unwrap()\nuse x; // b.unwrap()\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n    \
                c.unwrap()\n}\nfn f() {\n    d.unwrap()\n}\n";
    assert_eq!(nothing_is_unwrapped(&Source::new("x.rs", text)), ["src/x.rs:9: d.unwrap()"]);
    let text = "#[cfg(test)]\n#[path = \"y\"]\nmod tests;\nfn f() { d.unwrap() }";
    assert_eq!(nothing_is_unwrapped(&Source::new("x.rs", text)).len(), 1);
}

#[test]
fn a_tree_of_imports_is_read_to_its_leaves() {
    let text = "use crate::{a::{self, b as c, d::E}, f::*};\nuse super::super::g;\npub(super) x: H";
    let found = imports(&Source::new("p/q/r.rs", text));
    assert_eq!(found, ["a", "a::b", "a::d::E", "f::*", "p::g"]);
}

/// A program without fault points reads none of these variables: a test that sets one waits for
/// ever wherever only the crash matrix is built with them.
fn names_a_fault(source: &Source) -> bool {
    let variable = regex::Regex::new(concat!("DOWNBEAT_", "(FAULT_DIR|CLOCK_SKEW_FILE)")).unwrap();
    !source.path.starts_with("faults/") && variable.is_match(&source.text)
}

#[test]
fn faults_are_caused_where_they_are_compiled_in() {
    let sources = tree_of_sources("tests");
    let named = sources.iter().filter(|source| names_a_fault(source));
    let named: Vec<&str> = named.map(|source| source.path.as_str()).collect();
    assert_eq!(named, ["process.rs"], "which looks that no release knows their names");
    let bad = concat!("server.env.push((\"DOWNBEAT_", "FAULT_DIR\", dir));");
    assert!(names_a_fault(&Source::new("cli/top.rs", bad)));
    assert!(!names_a_fault(&Source::new("faults/bugs.rs", bad)));
}
