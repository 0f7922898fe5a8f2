//! *Purpose*: the page of the server itself.
//!
//! *Owns*: [`AdminPage`], which of its parts somebody sees.
//!
//! *Promises*: whoever may not ask a route sees in place of its part that it is not for him;
//! buttons are there for whoever may press them.
//!
//! *Not here*: what the buttons do, which the page's script asks of the API.

use std::sync::Arc;

use askama::Template;

use super::board::{Board, Sight};
use super::region::page;
use super::shell::{Shell, encoded};
use super::words;
use crate::api::App;
use crate::api::reads::{self, ApiError, Caller};
use crate::api::wire::accounts::AccountLine;
use crate::api::wire::history::HistoryEntry;
use crate::api::wire::maintenance::Window;
use crate::api::wire::overview::Overview;
use crate::api::wire::partitions::Partition;
use crate::api::wire::report::{Audit, Info};
use crate::kernel::access::{Action, Role, Via};
use crate::time::Time;

/// Requests that are shown.
const LATEST: i64 = 20;
/// Findings of the audit that are shown.
const FOUND: usize = 10;
/// Where a setting came from when nobody set it.
const UNSET: &str = "default";

/// What the page is made of.
pub struct Told {
    /// How things stand.
    pub sight: Arc<Sight>,
    /// What this server is.
    pub info: Info,
    /// `None`: not the reader's business.
    pub audit: Option<Arc<Audit>>,
    /// Likewise.
    pub history: Option<Vec<HistoryEntry>>,
    /// All partitions.
    pub partitions: Vec<Partition>,
    /// Times in which no job may run.
    pub windows: Vec<Window>,
    /// Whether he may drain it.
    pub operates: bool,
}

impl Told {
    /// As far as somebody may read it.
    ///
    /// # Errors
    /// What the database says, and when the server is stopping.
    pub async fn read(app: &App, board: &Board, caller: &Caller) -> Result<Told, ApiError> {
        let knows = caller.may_know_the_server().is_ok();
        Ok(Told {
            sight: board.sight(app, caller).await?,
            info: reads::info(app, caller).await,
            audit: if knows { Some(board.books.read(app, caller).await?) } else { None },
            history: if knows { Some(reads::history(app, caller, LATEST).await?) } else { None },
            partitions: reads::partitions(app).await?,
            windows: reads::maintenance(app),
            operates: caller.may_at_all(Action::Operate, "this").is_ok(),
        })
    }
}

struct Fact {
    name: &'static str,
    words: String,
}

struct Payer {
    name: String,
    query: String,
    shares: String,
    hours: String,
    factor: String,
    cpus: u32,
    max: u64,
    waiting: String,
}

struct Part {
    name: String,
    up: bool,
    cpus: u32,
    running: String,
    waiting: String,
    longest: String,
}

struct Planned {
    id: i64,
    when: String,
    active: bool,
    about: String,
}

struct Deed {
    id: i64,
    time: String,
    clock: String,
    who: String,
    what: String,
    job: Option<i64>,
    how: String,
}

struct Setting {
    name: String,
    value: String,
    source: String,
}

struct Books {
    agree: bool,
    note: String,
    facts: Vec<Fact>,
    found: Vec<String>,
}

/// The page of the server itself.
#[derive(Template)]
#[template(
    path = "admin.html",
    blocks = ["main", "about", "books", "accounts", "parts", "holds", "deeds", "settings", "you"]
)]
pub struct AdminPage {
    shell: Shell,
    about: String,
    operates: bool,
    drained: bool,
    running: u64,
    waiting: u64,
    books: Option<Books>,
    facts: Vec<Fact>,
    half_life: String,
    accounts: Vec<Payer>,
    parts: Vec<Part>,
    windows: Vec<Planned>,
    isolation: Vec<crate::api::wire::report::Ability>,
    notes: Vec<String>,
    deeds: Option<Vec<Deed>>,
    set: Vec<Setting>,
    unset: Vec<Setting>,
    you: String,
}

impl AdminPage {
    /// How it stands.
    #[must_use]
    pub fn new(shell: Shell, told: &Told, now: Time) -> AdminPage {
        let (all, info) = (&told.sight.overview, &told.info);
        let up = i64::try_from(info.uptime_s).unwrap_or(i64::MAX);
        let up = words::since(up);
        let (unset, set) = info
            .configuration
            .iter()
            .map(|(name, of)| Setting {
                name: name.clone(),
                value: of.value.clone(),
                source: of.source.clone(),
            })
            .partition(|setting: &Setting| setting.source == UNSET);
        AdminPage {
            about: format!("downbeat {} on {}, up {up}", info.version, info.host),
            shell,
            operates: told.operates,
            drained: told.windows.iter().any(|window| window.active),
            running: all.resources.running_jobs,
            waiting: all.resources.pending_jobs,
            books: told.audit.as_ref().map(|audit| books(audit, all, now)),
            facts: facts(all, info),
            half_life: half_life(info),
            accounts: all.accounts.iter().map(payer).collect(),
            parts: told.partitions.iter().map(part).collect(),
            windows: told.windows.iter().map(|window| planned(window, now)).collect(),
            isolation: info.isolation.clone(),
            notes: info.notes.clone(),
            deeds: told.history.as_ref().map(|all| all.iter().map(|one| deed(one, now)).collect()),
            set,
            unset,
            you: you(all),
        }
    }
}

page!(AdminPage {
    about: as_about,
    books: as_books,
    accounts: as_accounts,
    parts: as_parts,
    holds: as_holds,
    deeds: as_deeds,
    settings: as_settings,
    you: as_you,
});

fn clock(text: &str, now: Time) -> String {
    words::moment(Some(text)).map(|at| words::clock_of(at, now)).unwrap_or_default()
}

fn books(audit: &Audit, all: &Overview, now: Time) -> Books {
    let mut found: Vec<String> =
        audit.drift.iter().map(|drift| format!("{} ({})", drift.message, drift.remedy)).collect();
    let past = audit.history.iter().map(|past| {
        let at = clock(&past.found_at, now);
        format!("{at}: {} ({})", past.drift.message, past.drift.remedy)
    });
    found.extend(past);
    let ever = match audit.history.len() {
        0 => "none by this server".to_owned(),
        n => words::number(n as u64),
    };
    found.truncate(FOUND);
    let managers = all.resources.resource_managers.to_string();
    Books {
        agree: audit.consistent,
        note: format!(
            "commit {}, checked {}",
            words::number(u64::try_from(audit.commit_no).unwrap_or_default()),
            words::moment(Some(&audit.checked_at))
                .map_or("at no known time".to_owned(), |at| words::clock_of(at, now)),
        ),
        facts: vec![
            Fact { name: "Drift ever found", words: ever },
            Fact { name: "Resource managers", words: managers },
        ],
        found,
    }
}

fn facts(all: &Overview, info: &Info) -> Vec<Fact> {
    let held_back = match &all.resources.held_back_cpus {
        none if none.is_empty() => "no CPU".to_owned(),
        some => {
            let ids: Vec<String> = some.iter().map(ToString::to_string).collect();
            format!("CPU {}", ids.join(", "))
        }
    };
    let known = |bytes: Option<u64>| bytes.map_or("not known".to_owned(), words::size);
    let free = match info.free_bytes {
        Some(free) => format!("{} free on its disk", words::size(free)),
        None => "what is free on its disk is not known".to_owned(),
    };
    let database = format!("{}, {free}", known(info.database_bytes));
    vec![Fact { name: "Held back", words: held_back }, Fact { name: "Database", words: database }]
}

fn half_life(info: &Info) -> String {
    let priority = info.configuration.get("priority").map(|of| of.value.as_str());
    priority.filter(|value| *value != "none").unwrap_or_default().to_owned()
}

fn payer(line: &AccountLine) -> Payer {
    let limit = &line.limits.running_cpus;
    Payer {
        name: if line.name.is_empty() { "none".to_owned() } else { line.name.clone() },
        query: encoded(&line.name),
        shares: line.shares.map(|n| n.to_string()).unwrap_or_default(),
        hours: line.cpu_hours.map(|n| words::number(n.round() as u64)).unwrap_or_default(),
        factor: line.share_factor.map(|n| format!("{n:.2}")).unwrap_or_default(),
        cpus: line.cpus,
        max: limit.max.unwrap_or(0),
        waiting: words::number(line.waiting),
    }
}

fn part(of: &Partition) -> Part {
    Part {
        name: of.name.clone(),
        up: of.state == "up",
        cpus: of.total_cpus,
        running: words::number(of.running_jobs),
        waiting: words::number(of.pending_jobs),
        longest: of
            .max_time_limit_s
            .map_or("any".to_owned(), |seconds| words::duration(seconds.into())),
    }
}

fn planned(window: &Window, now: Time) -> Planned {
    let start = clock(&window.start_time, now);
    let end = window.end_time.as_deref().map(|end| clock(end, now));
    let parts = [window.reason.clone(), format!("by {}", window.principal)];
    Planned {
        id: window.id,
        when: match end {
            Some(end) => format!("{start} to {end}"),
            None => format!("{start} until resumed"),
        },
        active: window.active,
        about: parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; "),
    }
}

fn deed(of: &HistoryEntry, now: Time) -> Deed {
    let what = match (of.job_id, of.count) {
        (Some(job), n) if n > 1 => {
            format!("{}, jobs {job} to {}", of.verb, job.0 + i64::from(n) - 1)
        }
        _ => of.verb.clone(),
    };
    let detail = Some(of.detail.clone()).filter(|detail| !detail.is_empty());
    let token = of.token.as_ref().map(|token| format!("token {token}"));
    let from = token.or_else(|| of.remote.clone().filter(|_| of.via == "token"));
    let how = [detail, Some(of.via.clone()), from];
    Deed {
        id: of.id,
        time: of.time.clone(),
        clock: clock(&of.time, now),
        who: of.user.clone(),
        what,
        job: of.job_id.filter(|_| of.count <= 1).map(|job| job.0),
        how: how.into_iter().flatten().collect::<Vec<_>>().join(", "),
    }
}

fn you(all: &Overview) -> String {
    let me = &all.me;
    let role: &str = match me.role {
        Role::Viewer => "viewer",
        Role::User => "user",
        Role::Operator => "operator",
        Role::Admin => "administrator",
    };
    let via = match me.via {
        Via::Socket => "known by the server's socket",
        Via::Tcp => "known by this machine",
        Via::Token => "known by a token",
    };
    format!("{}, {role}, {via}", me.user)
}
