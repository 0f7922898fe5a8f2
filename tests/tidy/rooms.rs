//! *Purpose*: who may import whom, between rooms and inside of them.
//!
//! *Owns*: the floors, and those inside of the kernel.
//!
//! *Promises*: a room imports from below only, and there what its line allows; inside of a room no
//! two files import each other, whatever the way round.
//!
//! *Not here*: what may stand only in one place (`main`).

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::source::{Source, imports, is_within, tree_of_sources};

/// The floors, lowest first: who may import whom. A room may always import itself. `serve`, `demo`,
/// `main` and `lib` put everything together and have no line here.
const ROOMS: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("fault", &[]),
    ("host", &[]),
    ("panics", &[]),
    ("threads", &[]),
    ("trees", &[]),
    ("peer", &[]),
    ("clock", &["time", "fault"]),
    ("text", &["time", "clock"]),
    ("job", &["time", "text"]),
    ("people", &["threads", "job"]),
    ("devices", &["clock", "text", "people"]),
    ("machine", &["threads", "clock", "text", "devices"]),
    ("ulimits", &["job"]),
    ("resources", &["text", "job"]),
    ("policy", &["time", "text", "job", "resources"]),
    ("kernel", &["time", "text", "job", "resources", "policy"]),
    ("store", &["fault", "time", "job", "resources", "kernel"]),
    ("observe", &["time", "clock", "job", "resources", "policy", "kernel"]),
    ("engine", &["fault", "trees", "time", "clock", "job", "ulimits"]),
    ("installation", &["engine::Elsewhere", "engine::local"]),
    (
        "actors",
        &[
            "fault",
            "time",
            "clock",
            "text",
            "devices",
            "job",
            "resources",
            "policy",
            "kernel",
            "store",
            "observe",
            "engine",
        ],
    ),
    (
        "config",
        &[
            "host",
            "people",
            "devices",
            "text",
            "job",
            "resources",
            "policy",
            "kernel::access",
            "kernel::admission",
            "kernel::parts::accounts",
            "kernel::parts::limits",
            "kernel::parts::priority",
            "kernel::parts::rules",
            "store::postgres::address",
        ],
    ),
    (
        "api::wire",
        &[
            "host",
            "time",
            "clock",
            "text",
            "job",
            "resources",
            "kernel::access",
            "kernel::admission",
        ],
    ),
    (
        "api",
        &[
            "fault",
            "panics",
            "threads",
            "peer",
            "people",
            "time",
            "clock",
            "text",
            "machine",
            "job",
            "resources",
            "policy::name",
            "kernel::access",
            "kernel::admission",
            "kernel::commands::cancel::Cancelled",
            "kernel::commands::edit::Edited",
            "kernel::commands::requeue::Requeued",
            "kernel::commands::signal",
            "kernel::commands::suspend",
            "kernel::parts::eligibility::DependencySnapshot",
            "kernel::parts::maintenance",
            "kernel::parts::rules::WHOLE",
            "kernel::token",
            "kernel::views",
            "store::arrays",
            "store::backend::Readers",
            "store::dependencies",
            "store::ended",
            "store::error",
            "store::events",
            "store::filter",
            "store::history",
            "store::order",
            "store::read",
            "store::reader",
            "store::record",
            "store::samples",
            "store::steps",
            "store::used",
            "observe",
            "actors::messages",
            "actors::System",
            "actors::usage_watch",
            "config::PublicHost",
            "config::people",
            "config::Secret",
        ],
    ),
    ("web", &["time", "clock", "job", "kernel::access", "kernel::views::snapshot", "api"]),
    ("simulate", &["job", "resources", "policy"]),
    (
        "cli",
        &[
            "fault",
            "host",
            "time",
            "peer",
            "people",
            "clock",
            "text",
            "job",
            "ulimits",
            "resources",
            "config",
            "api::wire",
            "simulate",
        ],
    ),
    ("slurm", &["people", "time", "clock", "text", "job", "api::wire", "cli"]),
];

/// The floors of the kernel, lowest first: what of the kernel each may import besides itself.
const KERNEL: &[(&str, &[&str])] = &[
    ("kernel::access", &[]),
    ("kernel::token", &["kernel::access"]),
    ("kernel::transition", &[]),
    ("kernel::parts", &["kernel::transition"]),
    ("kernel::change", &["kernel::access", "kernel::parts", "kernel::token"]),
    ("kernel::state", &["kernel::access", "kernel::change", "kernel::parts"]),
    ("kernel::views", &["kernel::parts", "kernel::state", "kernel::transition"]),
    (
        "kernel::commands",
        &[
            "kernel::access",
            "kernel::change",
            "kernel::parts",
            "kernel::state",
            "kernel::transition",
        ],
    ),
];

/// Complains about each import that the room of the file may not have.
pub fn no_arrow_points_upward(source: &Source) -> Vec<String> {
    let module = source.module().join("::");
    let Some((room, allowed)) = ROOMS.iter().find(|(room, _)| is_within(&module, room)) else {
        return vec![];
    };
    let named = imports(source).into_iter();
    let forbidden = named.filter(|path| {
        !is_within(path, room) && !allowed.iter().any(|place| is_within(path, place))
    });
    forbidden.map(|path| format!("src/{}: {room} may not import {path}", source.path)).collect()
}

/// Complains about each import that the floor of the file may not have, and where a part of the
/// kernel names the kernel.
pub fn parts_know_no_kernel(source: &Source) -> Vec<String> {
    let module = source.module().join("::");
    let Some((floor, below)) = KERNEL.iter().find(|(floor, _)| is_within(&module, floor)) else {
        return vec![];
    };
    // `pub(in crate::kernel)` is no import.
    let named = imports(source).into_iter().filter(|path| path.starts_with("kernel::"));
    let above = named.filter(|path| {
        !is_within(path, floor) && !below.iter().any(|place| is_within(path, place))
    });
    let mut found: Vec<String> =
        above.map(|path| format!("src/{}: {floor} may not import {path}", source.path)).collect();
    if *floor == "kernel::parts" {
        found.extend(source.only_in(r"\bKernel\b", &[]));
    }
    found
}

/// The room of a module; what has no line is a room by its first name.
fn room(module: &str) -> &str {
    let listed = ROOMS.iter().map(|(room, _)| *room).find(|room| is_within(module, room));
    listed.unwrap_or_else(|| module.split("::").next().unwrap_or_default())
}

/// Which files of its own room each file imports.
fn arrows(sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeSet<String> = sources.iter().map(|s| s.module().join("::")).collect();
    let file_of = |path: &str| {
        let mut place = path;
        loop {
            if modules.contains(place) {
                return Some(place.to_owned());
            }
            place = place.rsplit_once("::")?.0;
        }
    };
    let of = |source: &Source| {
        let own = source.module().join("::");
        let code = source.code();
        let mut named: BTreeSet<String> =
            imports(source).iter().filter_map(|path| file_of(path)).collect();
        // A file may name the files below it without saying where they are.
        for module in &modules {
            let below = module.strip_prefix(&own).and_then(|rest| rest.strip_prefix("::"));
            if let Some(name) = below.filter(|name| !own.is_empty() && !name.contains("::"))
                && Regex::new(&format!(r"(^|[^:\w]|\bself::){name}::")).unwrap().is_match(&code)
            {
                named.insert(module.clone());
            }
        }
        named.retain(|other| *other != own && room(other) == room(&own));
        (own, named)
    };
    sources.iter().map(of).collect()
}

/// The files that are reached from this one, along any way.
fn reached(from: &str, arrows: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(here) = open.pop() {
        for next in arrows.get(here).into_iter().flatten() {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    seen
}

/// The files of each circle.
fn circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<BTreeSet<String>> {
    let reach: BTreeMap<&str, BTreeSet<String>> =
        arrows.keys().map(|from| (from.as_str(), reached(from, arrows))).collect();
    let of = |from: &&str| -> BTreeSet<String> {
        let back = |other: &&String| reach.get(other.as_str()).is_some_and(|r| r.contains(*from));
        reach[*from].iter().filter(back).cloned().collect()
    };
    reach.keys().map(of).filter(|circle| !circle.is_empty()).collect()
}

/// What there is of circles, in figures and then by name.
fn told(
    arrows: &BTreeMap<String, BTreeSet<String>>,
    circles: &BTreeSet<BTreeSet<String>>,
) -> String {
    let all: usize = arrows.values().map(BTreeSet::len).sum();
    let inside = |circle: &BTreeSet<String>| -> usize {
        circle.iter().map(|from| arrows[from].intersection(circle).count()).sum()
    };
    let mut told = format!(
        "{} arrows inside of rooms, {} of them in {} circles of {} files\n",
        all,
        circles.iter().map(inside).sum::<usize>(),
        circles.len(),
        circles.iter().map(BTreeSet::len).sum::<usize>(),
    );
    for circle in circles {
        told += &format!("{}\n", circle.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
    }
    told
}

#[test]
fn the_floors_stand_on_one_another() {
    for floors in [ROOMS, KERNEL] {
        for (n, (room, allowed)) in floors.iter().enumerate() {
            for place in *allowed {
                let below = floors[..n].iter().any(|(lower, _)| is_within(place, lower));
                assert!(below, "{room} may import {place}, which is not below it");
            }
        }
    }
}

#[test]
fn what_a_room_may_import_it_imports() {
    let sources = tree_of_sources("src");
    for (room_of, allowed) in ROOMS {
        let own = sources.iter().filter(|source| room(&source.module().join("::")) == *room_of);
        let named: Vec<String> = own.flat_map(imports).collect();
        for place in *allowed {
            let used = named.iter().any(|path| is_within(path, place));
            assert!(used, "{room_of} may import {place} and does not: take it out of the table");
        }
    }
}

#[test]
fn files_of_a_room_import_in_one_direction() {
    let arrows = arrows(&tree_of_sources("src"));
    let found = circles(&arrows);
    let told = told(&arrows, &found);
    println!("{told}");
    assert!(found.is_empty(), "{told}");
}

#[test]
fn a_circle_is_found_whatever_the_way_round() {
    let sources = [
        ("kernel/a.rs", "use super::b::B;\nuse crate::job::ids::JobId;"),
        ("kernel/b.rs", "use crate::kernel::c;"),
        ("kernel/c.rs", "fn f() { super::a::g() }"),
        ("kernel/d.rs", "use super::a::A;"),
        ("kernel/e.rs", "mod f;\nuse f::F;"),
        ("kernel/e/f.rs", "use super::E;"),
        ("job/ids.rs", "use crate::kernel::a::A;"),
    ];
    let arrows = arrows(&sources.map(|(path, text)| Source::new(path, text)));
    let found = circles(&arrows);
    let named: Vec<Vec<&str>> =
        found.iter().map(|circle| circle.iter().map(String::as_str).collect()).collect();
    let circle = vec!["kernel::a", "kernel::b", "kernel::c"];
    assert_eq!(named, [circle, vec!["kernel::e", "kernel::e::f"]]);
    let told = told(&arrows, &found);
    assert!(
        told.starts_with("6 arrows inside of rooms, 5 of them in 2 circles of 5 files"),
        "{told}"
    );
}
