//! *Purpose*: what was held, waited and ran in a time.
//!
//! *Owns*: `GET /samples`: which steps a time is shown in.
//!
//! *Promises*: at most [`POINTS_MAX`] points; a step is never shorter than what was kept, so no
//! point is made up. It shows sums of the whole machine, as `/resources` does.
//!
//! *Not here*: measuring (`kernel::parts::samples`), keeping (`store`).

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::App;
use super::error::ApiError;
use super::wire::samples::Samples;
use crate::clock::{self, rfc3339};
use crate::store::samples::{LONG_S, MINUTE_S, MINUTES_KEPT_S, Row, Sums};
use crate::text::when;
use crate::time::{SECOND_US, Time};

/// The most points of an answer: more than a screen has columns for.
pub const POINTS_MAX: i64 = 1_500;
/// The time that is meant where none is named, seconds.
const LATELY_S: i64 = 18 * 3_600;
/// The longest time, seconds: four years are 210,000 rows, which take a second.
const SPAN_S_MAX: i64 = 4 * 366 * 86_400;
/// Steps that people can read, seconds; beyond them whole days.
const STEPS_S: [i64; 12] =
    [60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400];
/// The last of these.
const DAY_S: i64 = 86_400;

/// Query of `samples`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct SamplesQuery {
    /// From when on: RFC 3339, `now-18h` or `-18h`; 18 hours before its end without.
    from: Option<String>,
    /// Until when, likewise; now without.
    until: Option<String>,
    /// The length of a step, whole minutes as seconds. Without, as short as it can be.
    step_s: Option<i64>,
}

/// `GET /samples`.
#[utoipa::path(get, path = "/api/v1/samples", tag = "server", params(SamplesQuery),
    description = "What jobs held, and how many waited, ran, started and ended, in equal steps. At \
        most 1,500 of them: without `step_s` a step is as long as it must be. Minutes are kept for \
        48 hours; what is older is known in steps of ten minutes, as long as ended jobs are kept. \
        Where nobody knows what was, as while no server ran, there is null.",
    responses((status = 200, body = Samples), (status = 400,
        body = super::wire::problem::Problem)))]
pub async fn samples(
    app: web::Data<App>,
    query: web::Query<SamplesQuery>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(of(&app, &query).await?))
}

/// The samples that are asked for.
///
/// # Errors
/// 400 for what is no time and no step, and what the database says.
pub async fn of(app: &App, query: &SamplesQuery) -> Result<Samples, ApiError> {
    let time = |name, text: &Option<String>| {
        let time = text.as_deref().map(when::parse_back).transpose();
        time.map_err(|message| ApiError::parameter(name, message))
    };
    let now = clock::now();
    let until = time("until", &query.until)?.unwrap_or(now).min(now);
    let from = time("from", &query.from)?.unwrap_or_else(|| until.plus_s(-LATELY_S));
    let steps = Steps::of((from, until), query.step_s, now)
        .map_err(|(name, message)| ApiError::parameter(name, message))?;
    let span = (steps.start, steps.end());
    let rows = app.read_raw(move |db| db.samples(span)).await?;
    Ok(steps.shown(&rows, app.now().total_cpus))
}

/// Steps of a time, seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Steps {
    start: i64,
    step_s: i64,
    points: i64,
}

impl SamplesQuery {
    /// Those since then, in steps of so many seconds.
    #[must_use]
    pub fn since(from: &str, step_s: i64) -> SamplesQuery {
        SamplesQuery { from: Some(from.to_owned()), until: None, step_s: Some(step_s) }
    }
}

impl Steps {
    /// Those that contain this time.
    ///
    /// # Errors
    /// Names what has no such steps, and says why.
    fn of(
        (from, until): (Time, Time),
        step_s: Option<i64>,
        now: Time,
    ) -> Result<Steps, (&'static str, String)> {
        if from >= until {
            return Err(("from", "is not before the end of the time".to_owned()));
        }
        let seconds = |time: Time| time.0.div_euclid(SECOND_US);
        let (from, until, now) =
            (seconds(from), (until.0 - 1).div_euclid(SECOND_US) + 1, seconds(now));
        if until - from > SPAN_S_MAX {
            return Err(("from", "is more than four years before the end of the time".to_owned()));
        }
        // A chore puts minutes together some time after they are old.
        let is_old = from < now - MINUTES_KEPT_S;
        let least = if is_old { LONG_S } else { MINUTE_S };
        let Some(step_s) = step_s else {
            let days = (2..).map(|days| days * DAY_S);
            let mut all = STEPS_S.into_iter().chain(days).filter(|step_s| *step_s >= least);
            let fits =
                all.find(|step_s| Steps::containing(from, until, *step_s).points <= POINTS_MAX);
            return Ok(Steps::containing(from, until, fits.unwrap_or(SPAN_S_MAX)));
        };
        if step_s < MINUTE_S || step_s % MINUTE_S != 0 || step_s > SPAN_S_MAX {
            return Err((
                "step_s",
                "is not a number of whole minutes, such as 60 or 3600".to_owned(),
            ));
        }
        if step_s % least != 0 {
            let message = "is no multiple of 600: of what is older than 48 hours ten minutes are \
                           known together";
            return Err(("step_s", message.to_owned()));
        }
        let steps = Steps::containing(from, until, step_s);
        if steps.points > POINTS_MAX {
            let message = format!("gives {} points, at most {POINTS_MAX} go", steps.points);
            return Err(("step_s", message));
        }
        Ok(steps)
    }

    fn containing(from: i64, until: i64, step_s: i64) -> Steps {
        let start = from - from.rem_euclid(step_s);
        let points = (until - start + step_s - 1) / step_s;
        Steps { start, step_s, points }
    }

    fn end(&self) -> i64 {
        self.start + self.step_s * self.points
    }

    fn shown(&self, rows: &[Row], cpus_total: u32) -> Samples {
        let mut sums = vec![Sums::default(); usize::try_from(self.points).unwrap_or(0)];
        for row in rows {
            let point = usize::try_from((row.start - self.start) / self.step_s);
            if let Some(sum) = point.ok().and_then(|point| sums.get_mut(point)) {
                sum.add(row);
            }
        }
        let start = rfc3339(Time(self.start * SECOND_US));
        let mut shown = Samples { start, step_s: self.step_s, cpus_total, ..Samples::default() };
        for sum in sums {
            let count = |n: i128| u64::try_from(n).ok().filter(|_| sum.minutes > 0);
            shown.cpus_held.push(sum.mean(sum.cpu_us));
            shown.memory_held_bytes.push(count(sum.memory_minutes / sum.minutes.max(1)));
            shown.gpus_held.push(sum.mean(sum.gpu_us));
            shown.pending.push(sum.mean(sum.pending_us));
            shown.running.push(sum.mean(sum.running_us));
            shown.started.push(count(sum.started));
            shown.ended_ok.push(count(sum.ended_ok));
            shown.ended_not_ok.push(count(sum.ended_not_ok));
            let wait_s = || sum.waited_us as f64 / SECOND_US as f64 / sum.started as f64;
            shown.wait_s.push((sum.started > 0).then(wait_s));
        }
        shown
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOW: i64 = 1_796_000_000;

    fn of(from_s: i64, step_s: Option<i64>) -> Result<(i64, i64), String> {
        let time = |before: i64| Time((NOW - before) * SECOND_US);
        let steps = Steps::of((time(from_s), time(0)), step_s, time(0));
        steps
            .map(|steps| (steps.step_s, steps.points))
            .map_err(|(name, said)| format!("{name} {said}"))
    }

    #[test]
    fn a_step_is_as_short_as_it_can_be_and_as_long_as_it_must() {
        let hour = 3_600;
        for (hours, step_s) in
            [(1, 60), (18, 60), (24, 60), (26, 120), (48, 120), (49, 600), (240, 600), (720, 1_800)]
        {
            let (chosen, points) = of(hours * hour, None).unwrap();
            assert_eq!(chosen, step_s, "{hours} hours");
            assert!(points <= POINTS_MAX && points >= hours * hour / step_s, "{points}");
        }
        assert_eq!(of(1_400 * DAY_S, None).unwrap().0, DAY_S);
        assert_eq!(of(1, None), Ok((60, 1)));
        assert_eq!(of(hour, Some(600)).unwrap().0, 600);
    }

    #[test]
    fn steps_that_cannot_be_are_refused_by_name() {
        for (from, step_s, said) in [
            (0, None, "from is not before"),
            (5 * 366 * DAY_S, None, "from is more than four years"),
            (3_600, Some(0), "step_s is not a number of whole minutes"),
            (3_600, Some(-60), "step_s is not a number of whole minutes"),
            (3_600, Some(90), "step_s is not a number of whole minutes"),
            (3_600, Some(i64::MAX), "step_s is not a number of whole minutes"),
            (3 * DAY_S, Some(60), "step_s is no multiple of 600"),
            (2 * DAY_S, Some(60), "step_s gives 2881 points, at most 1500 go"),
        ] {
            let refused = of(from, step_s).unwrap_err();
            assert!(refused.starts_with(said), "{refused}");
        }
    }

    #[test]
    fn what_is_not_known_is_null_and_what_is_known_is_a_mean() {
        let row = |start, minutes, cpu_us, started| Row {
            step_s: MINUTE_S,
            start,
            minutes,
            cpu_us: cpu_us * SECOND_US,
            memory_bytes: 100,
            gpu_us: 0,
            pending_us: 0,
            running_us: 0,
            started,
            ended_ok: started,
            ended_not_ok: 0,
            waited_us: 3 * SECOND_US,
        };
        let steps = Steps { start: 1_200, step_s: 120, points: 3 };
        let rows = [row(1_200, 1, 60, 0), row(1_440, 1, 30, 1), row(1_500, 1, 90, 1)];
        let shown = steps.shown(&rows, 8);
        assert_eq!(shown.cpus_held, [Some(1.0), None, Some(1.0)], "of what is known of a step");
        assert_eq!(shown.memory_held_bytes, [Some(100), None, Some(100)]);
        assert_eq!(shown.started, [Some(0), None, Some(2)]);
        assert_eq!(shown.wait_s, [None, None, Some(3.0)]);
        assert_eq!((shown.start.as_str(), shown.cpus_total), ("1970-01-01T00:20:00.000000Z", 8));
    }
}
