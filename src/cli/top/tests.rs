//! *Purpose*: screens, compared with kept ones.
//!
//! *Owns*: an overview that does not change, and what keys do to a state.
//!
//! *Promises*: the clock stands still, on the clock of wherever the tests run.
//!
//! *Not here*: a real terminal (`tests/cli/top`).

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::input::{Wish, key};
use super::marks::Marks;
use super::state::{Mode, State};
use crate::api::wire::v1::JobId;
use crate::clock::{LocalTime, rfc3339};

/// 2026-11-28 is a Saturday.
fn at(day: u32, hour: u32, minute: u32, second: u32) -> String {
    let time = LocalTime { year: 2026, month: 11, day, hour, minute, second };
    rfc3339(time.moment().unwrap())
}

/// A job, and what is different about it.
fn job(id: i64, name: &str, user: &str, more: Value) -> Value {
    let mut job = json!({
        "id": id, "name": name, "user": user, "account": "lab", "state": "PENDING", "cpus": 1,
        "partition": "default", "resources": {},
    });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

fn running() -> Value {
    let runs = |elapsed_s: i64, limit_s: i64, end: String, cpus: u32| {
        json!({"state": "RUNNING", "elapsed_s": elapsed_s, "time_limit_s": limit_s, "cpus": cpus,
            "start_time": at(28, 4, 0, 0), "expected_end_time": end})
    };
    let mut hostile = runs(120, 1_200, at(28, 14, 50, 7), 2);
    hostile["state"] = json!("COMPLETING");
    hostile["kill_time"] = json!(at(28, 14, 32, 25));
    let mut task = runs(2_400, 7_200, at(28, 15, 52, 7), 2);
    (task["array_job_id"], task["array_task_id"]) = (json!(4139), json!(11));
    let mut other = task.clone();
    other["array_task_id"] = json!(12);
    let used = json!({"user_cpu_s": 119_000.0, "system_cpu_s": 960.0, "max_rss_bytes": 1});
    let mut busy = runs(34_872, 43_200, at(28, 16, 51, 0), 4);
    (busy["usage"], busy["memory_bytes"]) = (used, json!(96_i64 << 30));
    json!([
        job(4150, "ci\u{1b}[2Jbuild", "ci", hostile),
        job(4170, "sweep-lr", "lena", task),
        job(4171, "sweep-lr", "lena", other),
        job(4102, "vit-large", "mara", busy),
        job(
            4098,
            "a-name-that-is-longer-than-its-column",
            "jonas",
            runs(97_960, 172_800, at(29, 11, 20, 0), 4)
        ),
    ])
}

fn waiting() -> Value {
    let why = |word: &str, sentence: &str| json!({"state_reason": word, "state_detail": sentence});
    let mut first = why("Resources", "is next; needs 16 CPUs, 2 of 16 are free");
    (first["cpus"], first["position"]) = (json!(16), json!(1));
    first["estimated_start_time"] = json!(at(28, 16, 51, 0));
    first["time_limit_s"] = json!(86_400);
    let mut array = why("JobArrayTaskLimit", "as many tasks of its array run as may at a time, 4");
    (array["array_job_id"], array["array_tasks"]) = (json!(4139), json!("15-99%4"));
    json!([
        job(4151, "vit-huge", "mara", first),
        job(4139, "sweep-lr", "lena", array),
        job(4153, "eval-ckpt", "mara", why("Dependency", "waits for job 4102")),
    ])
}

fn ended() -> Value {
    let over = |state: &str, code: Value, end: String| {
        let took = 720;
        json!({"state": state, "exit_code": code, "elapsed_s": took, "end_time": end})
    };
    json!([
        job(4146, "rnaseq-qc", "priya", over("COMPLETED", json!("0:0"), at(28, 14, 30, 0))),
        job(4145, "unet-512", "lena", over("OUT_OF_MEMORY", json!("0:9"), at(28, 14, 23, 0))),
        job(4136, "bench-io", "ci", over("NODE_FAIL", Value::Null, at(28, 13, 20, 0))),
    ])
}

fn overview() -> Value {
    let holders =
        [4150, 4150, 4170, 4170, 4171, 4171, 4102, 4102, 4102, 4102, 4098, 4098, 4098, 4098, 0, 0];
    let cpu = |(id, job): (usize, &i64)| {
        let job = Some(*job).filter(|job| *job > 0);
        json!({"id": id, "job_id": job, "node": id / 8})
    };
    let cpus: Vec<Value> = holders.iter().enumerate().map(cpu).collect();
    let unit = |id: u32, job: Option<i64>| json!({"id": id, "type": "a100", "job_id": job});
    let earliest = |cpus: u32, start: String, limit_s: Option<i64>| {
        let gpus = 0;
        json!({"cpus": cpus, "gpus": gpus, "start_time": start, "limit_s": limit_s})
    };
    json!({
        "time": at(28, 14, 32, 0), "commit_no": 7,
        "me": {"user": "mara", "uid": 1001, "role": "user", "via": "socket"},
        "resources": {
            "node": "atlas", "total_cpus": 16, "used_cpus": 14, "available_cpus": 2,
            "utilization": 87.5, "total_memory_bytes": 512_u64 << 30,
            "used_memory_bytes": 408_u64 << 30, "cpus": cpus, "running_jobs": 5,
            "pending_jobs": 1_089, "resource_managers": 1,
            "resources": [{"name": "gpu", "total": 2, "used": 1, "available": 1,
                "units": [unit(0, Some(4102)), unit(1, None)]}],
        },
        "counts": {"failed": 170, "completed": 3_650},
        "ended_today": {"since": at(28, 0, 0, 0), "completed": 365, "other": 17, "is_more": false},
        "running": running(), "waiting": waiting(), "ended": ended(), "own": [],
        "accounts": [], "people": [],
        "forecast": {"time": at(28, 14, 32, 0), "free": [
            {"time": at(28, 14, 32, 0), "cpus": 2}, {"time": at(28, 16, 51, 0), "cpus": 0},
            {"time": at(28, 18, 30, 0), "cpus": 12}], "starts": [], "earliest": [
            earliest(1, at(28, 14, 32, 0), None), earliest(2, at(28, 14, 32, 0), Some(8_280)),
            earliest(4, at(28, 15, 52, 7), None)]},
        "maintenance": [{"id": 1, "start_time": at(29, 8, 0, 0), "end_time": at(29, 12, 0, 0),
            "reason": "new disks", "principal": "root", "active": false}],
    })
}

fn state_of(overview: &Value, is_ascii: bool) -> State {
    let mut state = State::new(Marks::new(is_ascii, false), false);
    state.take(&overview.to_string()).unwrap();
    "14:32:07".clone_into(&mut state.heard);
    let time = LocalTime { year: 2026, month: 11, day: 28, hour: 14, minute: 32, second: 7 };
    state.now = time.moment().unwrap();
    state
}

/// The lines of a screen, without blanks behind them.
fn drawn(state: &State, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| super::draw::screen(state, frame)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let line = |y: u16| -> String {
        let line: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        format!("{}\n", line.trim_end())
    };
    (0..height).map(line).collect()
}

fn press(state: &mut State, keys: &str) -> Vec<Wish> {
    let code = |letter: char| match letter {
        '\n' => KeyCode::Enter,
        '\u{1b}' => KeyCode::Esc,
        letter => KeyCode::Char(letter),
    };
    let event = |letter| KeyEvent::new(code(letter), KeyModifiers::NONE);
    keys.chars().map(|letter| key(state, event(letter))).collect()
}

/// Hours of which it is known what was held, and one of which it is not.
fn samples() -> String {
    let held = |n: u32| (n != 6).then(|| f64::from(n % 17));
    let held: Vec<Option<f64>> = (0..17).map(held).collect();
    let none = vec![Value::Null; held.len()];
    json!({"start": at(27, 21, 32, 0), "step_s": 3_600, "cpus_total": 16, "cpus_held": held,
        "memory_held_bytes": none, "gpus_held": none, "pending": none, "running": none,
        "started": none, "ended_ok": none, "ended_not_ok": none, "wait_s": none})
    .to_string()
}

/// With what was held, and a log that is followed.
fn with_log() -> State {
    let mut state = state_of(&overview(), false);
    state.take_samples(&samples()).unwrap();
    state.chosen = Some(JobId(4102));
    assert_eq!(press(&mut state, "l"), [Wish::Log(JobId(4102))]);
    state.log_says(JobId(4102), b"epoch 41/60\nprogress 1\rprogress 2\nepoch ");
    state.log_says(JobId(4102), b"42/60\x1b[31m\n");
    state.log_says(JobId(9), b"of a log that is shown no more\n");
    state
}

#[test]
fn screens_are_as_they_were_kept() {
    let kept = [
        ((120, 40), include_str!("screens/120x40.txt")),
        ((80, 24), include_str!("screens/80x24.txt")),
        ((60, 15), include_str!("screens/60x15.txt")),
        ((200, 60), include_str!("screens/200x60.txt")),
    ];
    let state = with_log();
    let others = kept.into_iter().filter_map(|((width, height), kept)| {
        let drawn = drawn(&state, (width, height));
        (drawn != kept).then(|| format!("=== {width}x{height} is now\n{drawn}"))
    });
    let others: String = others.collect();
    assert!(others.is_empty(), "{others}");
}

#[test]
fn any_size_is_drawn_and_small_ones_show_what_runs() {
    for width in [0, 1, 7, 33, 59, 60, 99, 100, 300] {
        for height in [0, 1, 2, 5, 14, 15, 16, 80] {
            if width > 0 && height > 0 {
                drawn(&with_log(), (width, height));
            }
        }
    }
    let small = drawn(&with_log(), (40, 10));
    assert!(small.contains("RUNNING") && !small.contains("WAITING"), "{small}");
    let empty = State::new(Marks::new(false, false), false);
    assert!(drawn(&empty, (80, 24)).contains("no answer yet"));
}

#[test]
fn no_figure_is_cut_on_the_smallest_screen() {
    let small = drawn(&with_log(), (60, 15));
    let head = small.lines().find(|line| line.contains("RUNNING")).unwrap();
    assert!(head.ends_with("CPU BUSY       TIME ENDS BY"), "{small}");
    let mut chosen = with_log();
    press(&mut chosen, "/vit-large\n");
    let small = drawn(&chosen, (60, 15));
    assert!(small.contains("  4  86%    9:41:19 16:51\n"), "{small}");
}

#[test]
fn letters_alone_are_enough() {
    let mut state = state_of(&overview(), true);
    state.take_samples(&samples()).unwrap();
    press(&mut state, "m");
    let drawn = drawn(&state, (120, 40));
    assert!(drawn.is_ascii(), "{drawn}");
}

#[test]
fn what_a_newer_server_tells_is_shown_and_what_it_does_not_is_left_out() {
    let without = drawn(&state_of(&overview(), false), (80, 24));
    assert!(!without.contains('▇'), "{without}");
    let mut told = overview();
    told["resources"]["cpus"][6]["load"] = json!(950);
    told["resources"]["gpus"] = json!([
        {"index": 0, "name": "A100", "load": 920},
        {"index": 1, "name": "A100", "outside": {"pid": 7, "user": "jonas"}}]);
    let with = drawn(&state_of(&told, false), (80, 24));
    assert!(with.contains("c▇") && with.contains("92 %"), "{with}");
    assert!(with.contains("outside: jonas"), "{with}");
}

#[test]
fn ends_of_today_are_said_as_far_as_they_are_counted_and_fit() {
    let mut told = overview();
    told["ended_today"]["is_more"] = json!(true);
    let more = drawn(&state_of(&told, false), (120, 40));
    assert!(more.contains("○ 1,089  today more than 382 "), "{more}");
    assert!(!drawn(&state_of(&told, false), (70, 24)).contains("382"), "half of it is no number");
    told["ended_today"] = Value::Null;
    let none = drawn(&state_of(&told, false), (120, 40));
    assert!(!none.contains("today"), "an older server, or one that keeps jobs to whose they are");
    let letters = drawn(&state_of(&overview(), true), (120, 40));
    assert!(letters.contains("today + 365 x 17"), "{letters}");
}

#[test]
fn a_server_that_is_away_is_said_and_what_is_known_stays() {
    let mut state = state_of(&overview(), false);
    state.is_away();
    let away = drawn(&state, (120, 40));
    assert!(away.contains("reconnecting, as of 14:32:07"), "{away}");
    assert!(away.contains("vit-large"));
    state.is_live();
    assert!(!drawn(&state, (120, 40)).contains("reconnecting"));
}

#[test]
fn an_order_is_asked_about_and_given_by_y_alone() {
    let mut state = state_of(&overview(), false);
    state.chosen = Some(JobId(4102));
    assert_eq!(press(&mut state, "c"), [Wish::Nothing]);
    assert!(drawn(&state, (80, 24)).contains("Cancel 4102 vit-large? y/N"));
    assert_eq!(press(&mut state, "n"), [Wish::Nothing]);
    assert_eq!(state.mode, Mode::Reading);
    let [_, given] = &press(&mut state, "cy")[..] else { panic!() };
    assert!(matches!(given, Wish::Order(order) if order.question().contains("Cancel 4102")));
    press(&mut state, "+");
    assert!(drawn(&state, (80, 24)).contains("Let 4102 vit-large run for 13 h in all? y/N"));
    press(&mut state, "n");
    state.chosen = Some(JobId(4170));
    press(&mut state, "c");
    let asked = drawn(&state, (80, 24));
    assert!(asked.contains("Cancel all of array 4139 sweep-lr? y/N"), "{asked}");
    press(&mut state, "nh");
    assert!(drawn(&state, (80, 24)).contains("does not go with this job"));
}

#[test]
fn what_is_chosen_stays_while_rows_come_and_go() {
    let mut state = state_of(&overview(), false);
    press(&mut state, "jj");
    let chosen = state.chosen;
    let letter = |state: &State| state.letter_of(chosen.unwrap());
    let before = letter(&state);
    let mut next = overview();
    next["running"].as_array_mut().unwrap().remove(0);
    state.take(&next.to_string()).unwrap();
    assert_eq!((state.chosen, letter(&state)), (chosen, before));
    next["running"] = json!([]);
    state.take(&next.to_string()).unwrap();
    assert_eq!(state.chosen, Some(JobId(4151)), "the first that is left");
}

#[test]
fn a_filter_and_mine_leave_rows_out() {
    let mut state = state_of(&overview(), false);
    press(&mut state, "/vit\n");
    let names = |state: &State| -> Vec<String> {
        let rows = [state.running(), state.waiting(), state.ended()].concat();
        rows.iter().map(|row| row.job.name.clone()).collect()
    };
    assert_eq!(names(&state), ["vit-large", "vit-huge"]);
    press(&mut state, "\u{1b}m");
    assert_eq!(names(&state), ["vit-large", "vit-huge", "eval-ckpt"]);
    press(&mut state, "ma");
    assert_eq!(state.running().len(), 5, "tasks one by one");
    assert_eq!(press(&mut state, "?xq"), [Wish::Nothing, Wish::Nothing, Wish::Quit]);
}
