//! *Purpose*: times, in the zone of whoever runs the tests.
//!
//! *Owns*: the forms.
//!
//! *Promises*: nothing depends on which zone that is.
//!
//! *Not here*: other zones (`tests/cli`, which sets `TZ`).

use super::*;

const HERE: LocalTime =
    LocalTime { year: 2030, month: 5, day: 31, hour: 13, minute: 30, second: 15 };

fn said(text: &str) -> Result<Time, String> {
    parse(text, Zone::Said)
}

/// What a text is on the clock on the wall, at [`HERE`].
fn on_the_wall(text: &str) -> String {
    shown(text, Facing::Ahead)
}

fn shown(text: &str, facing: Facing) -> String {
    match local(text, HERE.moment().unwrap(), facing) {
        Some(Local::Moment(time)) => {
            let LocalTime { year, month, day, hour, minute, second } = LocalTime::of(time);
            format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
        }
        Some(Local::Nowhen) => "nowhen".to_owned(),
        None => "none".to_owned(),
    }
}

#[test]
fn a_time_is_rfc_3339_or_counts_from_now() {
    assert_eq!(said("1970-01-01T00:00:01Z"), Ok(Time(1_000_000)));
    assert_eq!(said("1970-01-01T01:00:01+01:00"), Ok(Time(1_000_000)));
    let before = clock::now();
    let ahead = said("now+2h").unwrap();
    assert!(ahead >= before.plus_s(7_200) && ahead <= clock::now().plus_s(7_200));
    assert!(said("now").unwrap() >= before);
    for bad in ["", "now+", "now+soon", "now-1h", "2026-13-01T00:00:00Z", "soon"] {
        assert!(said(bad).unwrap_err().contains("now+2h"), "{bad}");
    }
    for far in [
        "now+9223372036854775807s",
        "now+106751991167d",
        "9999-12-31T23:59:59-23:59",
        "1969-12-31T23:59:59Z",
        "0000-01-01T00:00:00+23:59",
    ] {
        assert!(said(far).unwrap_err().contains("between the years 1970 and 9999"), "{far}");
    }
    assert!(said("9999-12-31T23:59:59.999999Z").is_ok());
}

#[test]
fn now_takes_the_units_of_sbatch() {
    for (text, seconds) in [
        ("now", 0),
        ("now+90", 90),
        ("now+0minutes", 0),
        ("now+5hours", 18_000),
        ("now+1hour", 3_600),
        ("now + 30 min", 1_800),
        ("now+2days", 172_800),
        ("now+1week", 604_800),
        ("now+1h30m", 5_400),
    ] {
        assert_eq!(relative(text), Some(seconds), "{text}");
    }
    for none in ["now+1fortnight", "now+hours", "now+-1", "now+9223372036854775807weeks", "then"] {
        assert_eq!(relative(none), None, "{none}");
    }
}

#[test]
fn the_clock_on_the_wall_is_read_as_sbatch_reads_it() {
    for (text, wanted) in [
        ("16:00", "2030-05-31 16:00:00"),
        ("13:30:15", "2030-06-01 13:30:15"),
        ("9:05", "2030-06-01 09:05:00"),
        ("4:00pm", "2030-05-31 16:00:00"),
        ("12am", "2030-06-01 00:00:00"),
        ("12:30 PM", "2030-06-01 12:30:00"),
        ("noon", "2030-06-01 12:00:00"),
        ("midnight", "2030-06-01 00:00:00"),
        ("teatime", "2030-05-31 16:00:00"),
        ("today", "2030-05-31 00:00:00"),
        ("tomorrow", "2030-06-01 00:00:00"),
        ("Tomorrow 16:00", "2030-06-01 16:00:00"),
        ("2030-05-05", "2030-05-05 00:00:00"),
        ("2030-05-05T00:01", "2030-05-05 00:01:00"),
        ("2030-05-05t23:59:59", "2030-05-05 23:59:59"),
        ("2030-5-5 7:00", "2030-05-05 07:00:00"),
        ("0605", "2030-06-05 00:00:00"),
        ("050531", "2031-05-05 00:00:00"),
        ("05/05", "2031-05-05 00:00:00"),
        ("12/24/2030", "2030-12-24 00:00:00"),
        ("06.05.31T08:00", "2031-06-05 08:00:00"),
        ("2030-02-30", "nowhen"),
        ("13/01", "nowhen"),
        ("24:00", "none"),
        ("13pm", "none"),
        ("1:2:3:4", "none"),
        ("2030-05", "none"),
        ("30-05-05", "none"),
        ("tomorrows", "none"),
        ("T16:00", "none"),
        ("2030-05-05T", "none"),
    ] {
        assert_eq!(on_the_wall(text), wanted, "{text}");
    }
}

#[test]
fn looking_back_a_time_has_passed() {
    for (text, wanted) in [
        ("16:00", "2030-05-30 16:00:00"),
        ("13:30:15", "2030-05-31 13:30:15"),
        ("9:05", "2030-05-31 09:05:00"),
        ("today", "2030-05-31 00:00:00"),
        ("yesterday", "2030-05-30 00:00:00"),
        ("Yesterday 16:00", "2030-05-30 16:00:00"),
        ("0605", "2029-06-05 00:00:00"),
        ("05/05", "2030-05-05 00:00:00"),
        ("2030-05-05T00:01", "2030-05-05 00:01:00"),
    ] {
        assert_eq!(shown(text, Facing::Back), wanted, "{text}");
    }
    assert_eq!(on_the_wall("yesterday"), "none", "nobody begins a job then");
    let before = clock::now();
    let back = parse_past("now-2h").unwrap();
    assert!(back >= before.plus_s(-7_200) && back <= clock::now().plus_s(-7_200));
    assert!(parse_past("now").unwrap() >= before);
    assert_eq!(parse_past("1970-01-01T00:00:01Z"), Ok(Time(1_000_000)));
    for bad in ["", "now+2h", "now-soon", "soon", "2030-02-30", "now-9223372036854775807s"] {
        assert!(parse_past(bad).unwrap_err().contains("yesterday"), "{bad}");
    }
}

#[test]
fn where_a_zone_has_to_be_said_a_time_without_one_is_refused_as_that() {
    for text in ["2030-05-05T00:01", "16:00", "tomorrow", "1970-01-01T00:00:01"] {
        assert!(said(text).unwrap_err().contains("says no zone"), "{text}");
    }
    assert!(parse("2030-05-05T00:01", Zone::Local).is_ok());
    assert!(parse("2030-02-30", Zone::Local).unwrap_err().starts_with("there is no 2030-02-30"));
    assert!(parse("soon", Zone::Local).unwrap_err().contains("tomorrow"));
}

#[test]
fn a_time_that_has_passed_is_read_on_nobodys_clock() {
    let now = clock::now();
    let ago = |text: &str| now.since_us(parse_back(text).unwrap()) / crate::time::SECOND_US;
    for (text, seconds) in [("now", 0), ("-90", 90), ("-18h", 64_800), ("now-2d", 172_800)] {
        assert!((ago(text) - seconds).abs() <= 1, "{text}: {}", ago(text));
    }
    let said = parse_back("2026-11-22T16:00:00Z").unwrap();
    assert_eq!(clock::rfc3339(said), "2026-11-22T16:00:00.000000Z");
    for text in ["", "16:00", "yesterday", "now+2h", "18h", "-soon", "2026-11-22T16:00", "--1h"] {
        let refused = parse_back(text).unwrap_err();
        assert!(refused.ends_with(BACK_FORMS), "{text}: {refused}");
    }
}
