//! *Purpose*: pages of a server that stands still, compared with kept ones.
//!
//! *Owns*: `src/web/kept`, which `KEEP_PAGES=1 cargo test --lib web::tests` writes anew.
//!
//! *Promises*: a page is the same wherever the tests run; what is kept is looked at in a diff.
//!
//! *Not here*: the server's values (`state`), what a parser says of pages (`strict`).

mod state;
mod strict;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use regex::{Captures, Regex};
use serde_json::json;

use super::admin::AdminPage;
use super::charts::SPANS;
use super::job::{JobPage, Known};
use super::jobs::JobsPage;
use super::overview::OverviewPage;
use super::region::Page;
use super::submit::{Pattern, SubmitPage};
use super::usage::{Asked, UsagePage};
use crate::api::reads::Caller;
use crate::clock::{LocalTime, parse_rfc3339};
use crate::kernel::access::{Origin, Role, Via};

/// Times for programs, which are UTC.
static TIME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z").unwrap());

/// The same with times as clocks here show them, as all the other times on a page are.
fn local(html: &str) -> String {
    let here = |found: &Captures<'_>| {
        let at = LocalTime::of(parse_rfc3339(&found[0]).unwrap());
        let day = format!("{}-{:02}-{:02}", at.year, at.month, at.day);
        format!("{day} {:02}:{:02}:{:02}", at.hour, at.minute, at.second)
    };
    TIME.replace_all(html, here).into_owned()
}

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/kept").join(format!("{name}.html"))
}

fn first_page(overview: serde_json::Value) -> OverviewPage {
    let (sight, samples) = (state::sight(overview), state::of(state::samples()));
    OverviewPage::new(state::shell("/"), &sight, (&samples, SPANS[0]), state::now())
}

fn page_of(known: Known) -> JobPage {
    JobPage::new(state::shell(&format!("/jobs/{}", known.job.id)), known, state::now())
}

fn list() -> JobsPage {
    let asked = [("user", "mara"), ("sort", "-id"), ("open", "4139"), ("q", "\"<b>\" & 1")];
    let asked = asked.map(|(key, value)| (key.to_owned(), value.to_owned()));
    JobsPage::new(state::shell("/jobs"), &state::listed(), &asked, state::now())
}

fn form() -> SubmitPage {
    let pattern = Pattern {
        of: "4102".parse().unwrap(),
        job: state::of(state::vit_large()),
        script: "#!/bin/bash\n#SBATCH --cpus-per-task=4\n</textarea><b>\n".to_owned(),
        in_own_folder: false,
    };
    let who = (Arc::from("mara"), Some(1_001));
    let caller = Caller::of_one_user(who, Role::User, (Via::Socket, Origin::default()));
    let recent = [state::of(state::vit_large()), state::of(state::make_dataset())];
    let told = state::told();
    let accounts = &told.sight.overview.accounts;
    let lists = (&told.partitions[..], &accounts[..]);
    SubmitPage::new(state::shell("/submit?from=4102"), (Some(pattern), &caller), &recent, lists)
}

/// Each page as it stands on a busy server, and pages of what is rare.
fn pages() -> Vec<(&'static str, Box<dyn Page>)> {
    let mut others = state::told();
    (others.audit, others.history, others.operates) = (None, None, false);
    let admin = |told| Box::new(AdminPage::new(state::shell("/admin"), told, state::now().now));
    let used = state::of(state::used());
    let by_user = Asked::parse(&[]).unwrap();
    let waits = Known { waits: Some(state::waits()), ..state::known(state::vit_huge()) };
    let awaited =
        Known { then: Some(state::of(state::then())), ..state::known(state::vit_large()) };
    let hidden = state::with(
        state::vit_large(),
        json!({"redacted": true, "name": "",
        "usage_now": null, "command": null, "working_directory": null, "stdout_path": null,
        "labels": {}, "comment": null, "signal": null, "allocation": null, "retry": null}),
    );
    vec![
        ("overview", Box::new(first_page(state::overview()))),
        ("overview-empty", Box::new(first_page(state::nothing()))),
        ("jobs", Box::new(list())),
        ("job-pending", Box::new(page_of(waits))),
        ("job-running", Box::new(page_of(awaited))),
        ("job-ended", Box::new(page_of(state::known(state::make_dataset())))),
        ("job-redacted", Box::new(page_of(Known::of(state::of(hidden))))),
        ("admin", admin(&state::told())),
        ("admin-of-users", admin(&others)),
        ("submit", Box::new(form())),
        (
            "usage",
            Box::new(UsagePage::new(state::shell("/usage"), by_user, &used, state::now().now)),
        ),
    ]
}

#[test]
fn pages_are_as_they_were_kept() {
    let keep = std::env::var_os("KEEP_PAGES").is_some();
    assert!(!keep || std::env::var_os("CI").is_none(), "what is kept is looked at by somebody");
    let mut others = String::new();
    for (name, page) in pages() {
        let now = local(&page.whole().unwrap().html) + "\n";
        if keep {
            std::fs::write(kept(name), &now).unwrap();
        } else if std::fs::read_to_string(kept(name)).ok().as_ref() != Some(&now) {
            others.push_str(&format!("=== {name} is now\n{now}"));
        }
    }
    assert!(others.is_empty(), "{others}");
}

#[test]
fn a_region_is_the_same_by_itself_and_in_its_page() {
    for (name, page) in pages() {
        let whole = page.whole().unwrap().html;
        for region in page.regions().unwrap() {
            assert!(whole.contains(region.html.trim()), "{name}: {}", region.id);
            assert!(page.document().unwrap().contains(region.html.trim()), "{name}: {}", region.id);
        }
    }
}

#[test]
fn all_pages_are_what_a_strict_parser_takes() {
    for (name, page) in pages() {
        strict::page(name, &page.document().unwrap());
        for region in page.regions().unwrap() {
            strict::region(name, region.id, &region.html);
        }
    }
}

#[test]
fn a_machine_of_1024_cpus_is_drawn_whole() {
    let mut large = state::overview();
    let cpu = |id: u32| {
        json!({"id": id, "job_id": (id < 1_000).then_some(4102), "node": id / 128,
        "load": 999})
    };
    large["resources"]["cpus"] = (0..1_024).map(cpu).collect();
    large["resources"]["total_cpus"] = json!(1_024);
    let page = first_page(large).document().unwrap();
    strict::page("large", &page);
    assert_eq!(page.matches("<i class=\"l9\">").count(), 1_024);
    assert_eq!(page.matches("<div class=\"g\">").count(), 128);
}

#[test]
fn who_waits_for_a_job_is_said_with_how_many_more() {
    let told = |n: usize, has_more: bool| {
        let mut then = state::then();
        let one = then["jobs"][0].clone();
        then["jobs"] = json!(vec![one; n]);
        then["has_more"] = json!(has_more);
        let then = Some(state::of(then));
        let page = page_of(Known { then, ..state::known(state::vit_large()) }).document().unwrap();
        let found = page.split_once("<dt>Then<dd>");
        let said = found.map(|(_, rest)| rest.split_once('\n').unwrap().0.to_owned());
        said.map(|said| {
            (said.matches("<a ").count(), said.rsplit("</a> ").next().unwrap().to_owned())
        })
    };
    let said = |n: usize, words: &str| Some((n, words.to_owned()));
    assert_eq!(told(0, false), None);
    assert_eq!(told(1, false), said(1, "waits for it"));
    assert_eq!(told(3, false), said(3, "wait for it"));
    assert_eq!(told(4, false), said(3, "and 1 more wait for it"));
    assert_eq!(told(100, true), said(3, "and more than 97 more wait for it"));
}

#[test]
fn more_ends_than_are_counted_are_said_to_be_more() {
    let mut busy = state::overview();
    busy["ended_today"] = json!({"since": state::at(28, 0, 0, 0), "completed": 99_999,
        "other": 1, "is_more": true});
    let page = first_page(busy.clone()).document().unwrap();
    assert!(page.contains("<dt>Ended today<dd>more than 100,000<dd class=\"s\"></div>"), "{page}");
    busy["ended_today"] = json!(null);
    let page = first_page(busy).document().unwrap();
    assert!(!page.contains("Ended today"), "who sees his own alone is told no number");
}

#[test]
fn what_others_hold_unseen_is_not_called_free() {
    let mut private = state::overview();
    for cpu in private["resources"]["cpus"].as_array_mut().unwrap() {
        (cpu["job_id"], cpu["load"]) = (json!(null), json!(null));
    }
    let units: Vec<_> = (0..4).map(|id| json!({"id": id, "job_id": null})).collect();
    private["resources"]["resources"][0]["units"] = json!(units);
    private["running"] = json!([]);
    let page = first_page(private).document().unwrap();
    assert_eq!(page.matches("free, or held by a job that is not shown to you").count(), 15);
    assert!(!page.contains(": free\"") && page.contains("<b>not yours</b>"), "{page}");
}

/// Names that would be more than text, or longer than any place for them.
fn hostile() -> [String; 4] {
    [
        "<b onclick=\"x()\" id='main'>&amp;\"'</b>".to_owned(),
        "\u{202e}gnp.exe\u{202d}\u{2066}".to_owned(),
        "n".repeat(255),
        "--><!-- ]]></title></textarea></option></script>`${x}`".to_owned(),
    ]
}

#[test]
fn names_are_text_whatever_they_are() {
    for name in hostile() {
        let called = json!({"name": name, "user": name, "account": name, "partition": name,
            "comment": name, "labels": {name.clone(): name}, "command": name, "error": name,
            "working_directory": name, "state_detail": name, "dependency": name});
        let job = |of| state::with(of, called.clone());
        let mut overview = state::overview();
        for list in ["running", "waiting", "ended", "own"] {
            for one in overview[list].as_array_mut().unwrap() {
                *one = job(one.clone());
            }
        }
        overview["people"][0]["name"] = json!(name);
        overview["maintenance"][0]["reason"] = json!(name);
        overview["resources"]["gpus"][2]["outside"]["user"] = json!(name);
        let mut list = state::listed();
        list.jobs = list.jobs.iter().map(|one| state::of(job(json!(one)))).collect();
        list.me = name.clone();
        let jobs = JobsPage::new(state::shell("/jobs"), &list, &[], state::now());
        let of_job = |of| page_of(state::known(job(of)));
        let pages: [Box<dyn Page>; 5] = [
            Box::new(first_page(overview)),
            Box::new(jobs),
            Box::new(of_job(state::vit_huge())),
            Box::new(of_job(state::vit_large())),
            Box::new(of_job(state::make_dataset())),
        ];
        for page in pages {
            let html = page.document().unwrap();
            let seen = strict::page(&name, &html);
            assert!(seen.text.contains(&name), "{name} stands there: {html}");
            let wild = |one: &&String| one.starts_with("on") || *one == "style";
            assert_eq!(seen.attributes.iter().find(wild), None, "{html}");
        }
    }
}

#[test]
fn marks_that_turn_text_around_do_not_reach_beyond_a_name() {
    let turned = "\u{202e}gnp";
    let called = |of| state::with(of, json!({"name": turned, "user": turned, "account": turned}));
    let mut overview = state::overview();
    for list in ["running", "waiting", "ended", "own"] {
        for one in overview[list].as_array_mut().unwrap() {
            *one = called(one.clone());
        }
    }
    let job = page_of(state::known(called(state::vit_huge())));
    for page in [first_page(overview).document().unwrap(), job.document().unwrap()] {
        for (at, _) in page.match_indices(turned) {
            let before = &page[..at];
            let within = before.rfind("<bdi>") > before.rfind("</bdi>");
            let tag = before.rfind('<') > before.rfind('>');
            assert!(within || tag, "{}", &page[at.saturating_sub(200)..at + 20]);
        }
    }
}
