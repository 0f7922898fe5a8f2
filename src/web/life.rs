//! *Purpose*: the life of a job, as one bar and one sentence.
//!
//! *Owns*: [`Life`].
//!
//! *Promises*: the bar goes from the submission to the end, known or latest possible; it stands
//! still for a hundredth of that, so that it is not sent anew because a second passed.
//!
//! *Not here*: events one by one (`web::job`).

use super::words::{self, AsOf};
use crate::api::wire::attempt::Attempt;
use crate::api::wire::job::Job;
use crate::job::state::StateWord;
use crate::time::{SECOND_US, Time};

/// How wide a bar is.
const WIDTH: i64 = 1_000;
/// In so many steps the present moves through it.
const STEPS: i64 = 100;
/// Runs that are told in words; of more the number.
const TOLD: usize = 3;

/// A part of a bar.
pub struct Phase {
    /// Its class in the sheet.
    pub class: &'static str,
    /// Where it begins.
    pub x: i64,
    /// How wide it is.
    pub width: i64,
}

/// A life.
pub struct Life {
    /// In words.
    pub said: String,
    /// As a bar.
    pub phases: Vec<Phase>,
}

struct Scale {
    from: Time,
    us: i64,
}

impl Scale {
    fn x(&self, at: Time) -> i64 {
        let part = at.since_us(self.from).clamp(0, self.us);
        i64::try_from(i128::from(part) * i128::from(WIDTH) / i128::from(self.us)).unwrap_or(0)
    }

    fn phase(&self, class: &'static str, (from, until): (Time, Time)) -> Option<Phase> {
        let (x, end) = (self.x(from), self.x(until));
        // What was short is seen all the same.
        (until > from).then(|| Phase { class, x, width: (end - x).max(1) })
    }
}

/// The life of a job with these runs, oldest first; `None` when its submission is no time.
pub fn of(job: &Job, attempts: &[Attempt], at: AsOf) -> Option<Life> {
    let from = words::moment(Some(&job.submit_time))?;
    let latest = words::moment(job.expected_end_time.as_deref());
    let end = words::moment(job.end_time.as_deref());
    let whole = end.or(latest).unwrap_or(at.now).max(Time(from.0 + 1));
    let step_us = (whole.since_us(from) / STEPS).max(SECOND_US);
    let now = Time(from.0 + (at.now.since_us(from) / step_us + 1) * step_us);
    let until = end.unwrap_or(now);
    let scale = Scale { from, us: whole.max(until).since_us(from).max(1) };
    let mut phases = Vec::new();
    let mut waits_from = from;
    for run in attempts {
        let Some(began) = words::moment(Some(&run.allocation_time)) else { continue };
        let ended = words::moment(run.end_time.as_deref());
        phases.extend(scale.phase("ph-wait", (waits_from, began)));
        let class = if is_bad(run) { "ph-bad" } else { "ph-run" };
        phases.extend(scale.phase(class, (began, ended.unwrap_or(until))));
        waits_from = ended.unwrap_or(until);
    }
    phases.extend(scale.phase("ph-wait", (waits_from, until)));
    if let (None, Some(latest)) = (end, latest) {
        phases.extend(scale.phase("plan", (until, latest)));
    }
    Some(Life { said: said(job, attempts, at), phases })
}

/// Whether it ended otherwise than it should.
fn is_bad(run: &Attempt) -> bool {
    let live = [StateWord::Running, StateWord::Completing, StateWord::Completed];
    run.end_time.is_some()
        && run.state.as_deref().is_none_or(|word| live.iter().all(|state| state.word() != word))
}

/// `waited 27 m, ran 1 h 11 m and failed with 75:0, runs since 04:51, must end by 16:51`
fn said(job: &Job, attempts: &[Attempt], at: AsOf) -> String {
    let span = |from: Option<&str>, until: Option<&str>| {
        let (from, until) = (words::moment(from)?, words::moment(until)?);
        Some(words::duration(until.since_us(from) / SECOND_US))
    };
    let clock = |text: Option<&str>| at.clock(text).map(|clock| clock.said);
    let mut parts = Vec::new();
    let first = attempts.first().map(|run| run.allocation_time.as_str());
    match (first.or(job.end_time.as_deref()), first) {
        (Some(until), _) => {
            let waited = span(Some(&job.submit_time), Some(until));
            parts.extend(waited.map(|waited| format!("waited {waited}")));
        }
        (None, _) => {
            let since = clock(Some(&job.submit_time));
            parts.extend(since.map(|since| format!("waits since {since}")));
        }
    }
    let earlier = attempts.len().saturating_sub(TOLD);
    if earlier > 0 {
        parts.push(format!("ran {earlier} times before"));
    }
    for run in attempts.iter().skip(earlier) {
        match span(run.start_time.as_deref(), run.end_time.as_deref()) {
            Some(ran) => parts.push(format!("ran {ran}{}", how(run))),
            None if run.end_time.is_some() => parts.push(format!("was not started{}", how(run))),
            None => {
                let since = clock(run.start_time.as_deref());
                parts.extend(since.map(|since| format!("runs since {since}")));
            }
        }
    }
    if job.state.is_final() && attempts.is_empty() {
        parts.push("was not run".to_owned());
    }
    if job.state == StateWord::Pending && !attempts.is_empty() {
        parts.push("waits again".to_owned());
    }
    let by = clock(job.expected_end_time.as_deref()).filter(|_| !job.state.is_final());
    parts.extend(by.map(|by| format!("must end by {by}")));
    parts.join(", ")
}

fn how(run: &Attempt) -> String {
    let word = run.state.as_deref().unwrap_or("not known how");
    let word = word.to_lowercase().replace('_', " ");
    let code = run.exit_code.as_ref().map(|code| format!(" with {code}")).unwrap_or_default();
    match is_bad(run) {
        true => format!(" and ended {word}{code}"),
        false => String::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(fields: serde_json::Value) -> Job {
        let mut all = json!({"id": 1, "name": "j", "account": "", "user": "u", "partition": "p",
            "state": "RUNNING", "priority": 0, "cpus": 1, "labels": {}, "attempt": 1,
            "submit_time": "2026-11-24T10:00:00.000000Z", "elapsed_s": 0});
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    fn run(fields: serde_json::Value) -> Attempt {
        let mut all = json!({"attempt": 1, "cpu_ids": []});
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn a_life_is_what_it_waited_ran_and_may_still_run() {
        let at = |clock: &str| format!("2026-11-24T{clock}:00.000000Z");
        let job = job(json!({"expected_end_time": at("11:40")}));
        let runs = [
            run(json!({"state": "FAILED", "exit_code": "75:0", "allocation_time": at("10:10"),
                "start_time": at("10:10"), "end_time": at("10:20")})),
            run(json!({"state": "RUNNING", "allocation_time": at("10:30"),
                "start_time": at("10:30")})),
        ];
        let now = words::moment(Some(&at("11:00"))).unwrap();
        let life = of(&job, &runs, AsOf { now, is_live: true }).unwrap();
        let phases: Vec<_> = life.phases.iter().map(|p| (p.class, p.x, p.width)).collect();
        let wanted = [
            ("ph-wait", 0, 100),
            ("ph-bad", 100, 100),
            ("ph-wait", 200, 100),
            ("ph-run", 300, 310),
            ("plan", 610, 390),
        ];
        assert_eq!(phases, wanted);
        assert!(life.said.starts_with("waited 10 m, ran 10 m and ended failed with 75:0, runs si"));
        let later = AsOf { now: now.plus_s(30), is_live: true };
        assert_eq!(of(&job, &runs, later).unwrap().phases[3].width, 310, "it stands still");
    }

    #[test]
    fn a_job_that_never_ran_only_waited() {
        let cancelled =
            job(json!({"state": "CANCELLED", "end_time": "2026-11-24T10:01:00.000000Z"}));
        let now = words::moment(Some("2026-11-24T12:00:00.000000Z")).unwrap();
        let life = of(&cancelled, &[], AsOf { now, is_live: false }).unwrap();
        assert_eq!(life.said, "waited 1 m, was not run");
        assert_eq!((life.phases.len(), life.phases[0].width), (1, 1_000));
    }
}
