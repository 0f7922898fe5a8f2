//! *Purpose*: whatever people write, it is a value or a refusal.
//!
//! *Owns*: each parser of people's text, fed with huge numbers, signs, fractions, far dates and
//! other alphabets.
//!
//! *Promises*: overflow is checked here as in a release, so one that nobody thought of fails.
//!
//! *Not here*: what the words mean (the parsers' own tests), the same over HTTP
//! (`tests/http/numbers.rs`).

#![allow(clippy::unwrap_used)]

use std::path::Path;

use downbeat::api::wire::dialect::ApiDialect;
use downbeat::api::wire::export::Export;
use downbeat::api::wire::sbatch;
use downbeat::api::wire::submit::{parse_batch, parse_submit};
use downbeat::clock;
use downbeat::config::settings::FileSettings;
use downbeat::config::{Available, Config, ServeArgs};
use downbeat::job::array_spec::{ArraySpec, JobRef};
use downbeat::job::dependency::Dependencies;
use downbeat::job::ids::{CpuId, JobId};
use downbeat::job::outcome::ExitCode;
use downbeat::job::retry_policy::{Cause, parse_causes};
use downbeat::job::signal::EarlySignal;
use downbeat::job::state::StateWord;
use downbeat::policy::name::Policy;
use downbeat::text::when::Zone;
use downbeat::text::{duration, size, time_limit, when};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A number as somebody might write it who wants to know what happens.
fn number() -> impl Strategy<Value = String> {
    let near = prop_oneof![
        Just(u64::MAX.to_string()),
        Just(i64::MAX.to_string()),
        Just("9223372036854775808".to_owned()),
        Just("18446744073709551616".to_owned()),
        Just("4294967296".to_owned()),
        Just("2147483648".to_owned()),
        Just("0".to_owned()),
        "[0-9]{1,45}",
        "[٠-٩]{1,5}",
    ];
    (prop_oneof![Just(""), Just("-"), Just("+")], near, "(\\.[0-9]{0,25}|e[0-9]{1,4})?")
        .prop_map(|(sign, digits, rest)| format!("{sign}{digits}{rest}"))
}

/// Numbers with what stands between them in one of the forms.
fn words() -> impl Strategy<Value = String> {
    let mark = "( |[-:,%@+=_?.~/KMGTPEsmhdwy]|[KMGT]iB|now\\+|afterok:|exit_code:|signal:|B:USR1@|fcfs\\+easy@|\
                bytes=|%4|é|T|Z|\u{200b})?";
    proptest::collection::vec((mark, number()), 1..5).prop_map(|parts| {
        parts.into_iter().map(|(mark, number)| mark + &number).collect::<String>()
    })
}

/// A moment near an end of the calendar, or none.
fn moment() -> impl Strategy<Value = String> {
    let year = prop_oneof![
        Just(0),
        Just(1),
        Just(1969),
        Just(1970),
        Just(9999),
        Just(10_000),
        0..99_999_u32
    ];
    (
        year,
        0..14_u32,
        0..33_u32,
        0..26_u32,
        0..62_u32,
        "(\\.[0-9]{1,40})?",
        "(Z|[+-][0-9]{2}:[0-9]{2})?",
    )
        .prop_map(|(y, mo, d, h, mi, fraction, zone)| {
            format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:59{fraction}{zone}")
        })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => words(), 2 => moment(), 1 => ".{0,40}"]
}

fn read_all(text: &str) {
    let _ = (size::parse(text), size::parse_mib(text));
    let _ = (time_limit::parse(text), time_limit::parse_unambiguous(text));
    let _ = (duration::parse_s(text), parse_causes(text), Export::parse(text));
    let _ = (text.parse::<Dependencies>(), text.parse::<ArraySpec>(), text.parse::<EarlySignal>());
    let _ = (text.parse::<JobRef>(), text.parse::<JobId>(), text.parse::<Cause>());
    let _ = (text.parse::<Policy>(), text.parse::<ExitCode>(), text.parse::<StateWord>());
    for zone in [Zone::Said, Zone::Local] {
        if let Ok(time) = when::parse(text, zone) {
            // What is accepted can be written and read again.
            assert_eq!(clock::parse_rfc3339(&clock::rfc3339(time)), Some(time), "{text}");
        }
    }
    if let Some(time) = clock::parse_rfc3339(text) {
        let _ = (clock::rfc3339(time), time.plus_s(i64::MAX), time.since_us(clock::now()));
    }
}

/// The fields of a body that hold text, and those that hold a number too.
const FIELDS: &[&str] = &[
    "memory",
    "time_limit",
    "begin_time",
    "deadline",
    "dependency",
    "array",
    "signal",
    "kill_grace",
    "cpus",
    "cpus_per_task",
    "ntasks_per_node",
    "priority",
    "kill_grace_s",
    "standard_output",
];

const OPTIONS: &[&str] = &[
    "--mem",
    "--mem-per-cpu",
    "--time",
    "--begin",
    "--deadline",
    "--dependency",
    "--array",
    "--signal",
    "--cpus-per-task",
    "--ntasks",
    "--nodes",
    "--ntasks-per-node",
    "--export",
];

fn number_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn site() -> downbeat::kernel::admission::Site {
    config(&ServeArgs::default(), &FileSettings::default()).unwrap().site()
}

fn config(args: &ServeArgs, file: &FileSettings) -> Result<Config, String> {
    let cpus = (0..4).map(CpuId).collect();
    let available = Available { cpus, memory: Some(1 << 30), ..Available::default() };
    let args = ServeArgs { data_dir: Some("/nowhere".into()), ..args.clone() };
    Config::resolve(&args, file, &|_| None, &available).map_err(|error| error.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_parser_answers_every_text(text in text()) {
        read_all(&text);
    }

    #[test]
    fn every_body_is_a_submission_or_a_refusal(
        fields in proptest::collection::vec((0..FIELDS.len(), text(), any::<bool>()), 1..4),
        options in proptest::collection::vec((0..OPTIONS.len(), text()), 0..3),
    ) {
        let lines: String = options
            .iter()
            .map(|(at, text)| format!("#SBATCH {}={}\n", OPTIONS[*at], text.replace('\n', "")))
            .collect();
        let mut body = json!({"script": format!("#!/bin/sh\n{lines}true")});
        for (at, text, bare) in &fields {
            body[FIELDS[*at]] = if *bare { number_or_text(text) } else { json!(text) };
        }
        body["retry"] = json!({"max": number_or_text(&fields[0].1), "delay": fields[0].1});
        let _ = sbatch::read(&lines);
        let site = site();
        for dialect in [ApiDialect::V1, ApiDialect::Seed] {
            if let Ok(submission) = parse_submit(body.to_string().as_bytes(), dialect) {
                let _ = submission.check(&site);
            }
        }
        let batch = json!({"jobs": [body]}).to_string();
        for submission in parse_batch(batch.as_bytes()).into_iter().flatten() {
            let _ = submission.check(&site);
        }
    }

    #[test]
    fn every_setting_is_taken_or_refused(text in text()) {
        let some = || Some(text.clone());
        let nothing = ServeArgs::default;
        for args in [
            ServeArgs { memory: some(), ..nothing() },
            ServeArgs { default_memory_per_cpu: some(), ..nothing() },
            ServeArgs { cpus: some(), ..nothing() },
            ServeArgs { policy: some(), ..nothing() },
            ServeArgs { tick: some(), ..nothing() },
            ServeArgs { default_time_limit: some(), ..nothing() },
            ServeArgs { max_time_limit: some(), ..nothing() },
            ServeArgs { kill_grace: some(), ..nothing() },
            ServeArgs { retention: some(), ..nothing() },
            ServeArgs { log_level: some(), ..nothing() },
        ] {
            let _ = config(&args, &FileSettings::default());
        }
        let value = json!(text);
        for table in [
            format!("[[partition]]\nname = \"a\"\nmax_memory_per_job = {value}"),
            format!("[[partition]]\nname = \"a\"\ncpus = {value}"),
            format!("[[partition]]\nname = \"a\"\nmax_time_limit = {value}"),
            format!("[[partition]]\nname = \"a\"\npriority_weight = {text}"),
            format!("[[account]]\nname = \"a\"\nshares = {text}"),
            format!("[[account]]\nname = \"a\"\nmax_running_cpus = {text}"),
            format!("[priority]\nmax_age = {value}"),
            format!("[priority]\nfair_share_half_life = {value}"),
            format!("[priority]\nage_weight = {text}"),
        ] {
            if let Ok(file) = FileSettings::parse(&table, Path::new("x.toml")) {
                let _ = config(&ServeArgs::default(), &file);
            }
        }
    }
}
