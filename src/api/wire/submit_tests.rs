//! *Purpose*: tests of `wire::submit`.
//!
//! *Owns*: a body for each promise.
//!
//! *Promises*: none of its own.
//!
//! *Not here*: time forms and `#SBATCH` lines, which are tested where they are read.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::super::amount::Amount;
use super::super::body::{NestedBody, NestedJob, SubmitBody};
use super::super::retry::RetryBody;
use super::*;
use crate::job::invocation::{Ulimit, Ulimits};
use crate::job::request::Request;
use crate::job::spec::CpusAsked;
use crate::job::tasks::Tasks;
use crate::kernel::admission::Site;

fn site() -> Site {
    Site { total_cpus: 8, kill_grace_s: 30, output_roots: vec![], ..Site::default() }
}

fn read(body: Value) -> Submission {
    parse_submit(body.to_string().as_bytes(), ApiDialect::V1).unwrap()
}

fn faults(result: Result<Submission, BodyRefused>) -> Vec<(String, String)> {
    match result.unwrap_err() {
        BodyRefused::Fields(errors) => {
            errors.listed().into_iter().map(|e| (e.field, e.message)).collect()
        }
        BodyRefused::Malformed(message) => panic!("malformed: {message}"),
    }
}

fn refused(body: Value) -> Vec<(String, String)> {
    faults(parse_submit(body.to_string().as_bytes(), ApiDialect::V1))
}

fn fields(body: Value) -> Vec<String> {
    refused(body).into_iter().map(|(field, _)| field).collect()
}

fn map(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}

fn limits() -> BTreeMap<String, Amount> {
    let amounts = [("core", Amount::Text("unlimited".into())), ("nofile", Amount::Number(9))];
    amounts.map(|(name, amount)| (name.to_owned(), amount)).into()
}

/// What the fields about the call of the script say in the bodies below.
fn called() -> Invocation {
    Invocation {
        script_is_bytes: false,
        arguments: vec!["a b".into()],
        standard_input: Some("in".into()),
        umask: Some("027".parse().unwrap()),
        limits: Ulimits([(Ulimit::Core, None), (Ulimit::Nofile, Some(9))].into()),
        submit_directory: Some("/from".into()),
        submit_host: Some("login".into()),
        command: Some("/from/train.sh".into()),
        mail_type: Some("END,FAIL".into()),
        mail_user: Some("me@example.org".into()),
    }
}

#[test]
fn a_script_in_another_encoding_is_sent_as_base64() {
    // Latin-1: the ö is one byte.
    let sent = read(json!({"script_base64": "I1NCQVRDSCAtYyAyCmVjaG8gc2No9m4K"})).request;
    assert_eq!((sent.cpus, sent.invocation.script_is_bytes), (CpusAsked::Count(2), true));
    assert_eq!(script::to_bytes(sent.script, true), b"#SBATCH -c 2\necho sch\xf6n\n");
    let plain = read(json!({"script_base64": "dHJ1ZQ=="})).request;
    assert_eq!(plain, JobRequest::new("true"));
    assert_eq!(fields(json!({"script_base64": "*"})), ["script_base64"]);
    assert_eq!(fields(json!({"script": "true", "script_base64": "dHJ1ZQ=="})), ["script_base64"]);
}

#[test]
fn how_a_script_is_called_is_refused_by_the_name_of_the_field() {
    let body = json!({
        "script": "true", "args": ["a", 5], "standard_input": 1, "umask": "99",
        "limits": {"nofiles": 1, "core": -1, "cpu": "much"}, "ntasks": 0, "cpus_per_task": 9e9,
    });
    let mut named = fields(body);
    named.sort();
    assert_eq!(
        named,
        [
            "args[1]",
            "cpus_per_task",
            "limits.core",
            "limits.cpu",
            "limits.nofiles",
            "ntasks",
            "standard_input",
            "umask"
        ]
    );
    let site = site();
    let said = |body: Value| {
        let (_, faults) = (0, read(body).check(&site).unwrap_err());
        let fault = &faults.listed()[0];
        format!("{}: {}", fault.field, fault.message)
    };
    let nul = said(json!({"script": "true", "args": ["a", "b\0"]}));
    assert_eq!(nul, "args[1]: must not contain a NUL byte");
    let many = vec!["x"; 10_001];
    assert!(said(json!({"script": "true", "args": many})).starts_with("args: 10001 of them"));
    let long = vec!["x".repeat(1 << 19)];
    assert!(said(json!({"script": "true", "args": long})).starts_with("args: are 524289 bytes"));
    let pattern = said(json!({"script": "true", "standard_input": "%y"}));
    assert!(pattern.starts_with("standard_input: %y is not a placeholder"), "{pattern}");
    let nodes = said(json!({"script": "#SBATCH -n 4 --ntasks-per-node=2\ntrue"}));
    assert!(nodes.starts_with("script: line 1, --ntasks: 4 tasks with 2 on each node"), "{nodes}");
}

#[test]
fn a_script_is_all_a_job_needs() {
    assert_eq!(read(json!({"script": "true"})).request, JobRequest::new("true"));
    let nulls = json!({"script": "true", "cpus": null, "name": null, "time_limit": null});
    assert_eq!(read(nulls).request, JobRequest::new("true"));
}

fn text(t: &str) -> Option<String> {
    Some(t.to_owned())
}

/// A body with every field.
fn flat() -> SubmitBody {
    SubmitBody {
        script: "true".into(),
        script_base64: None,
        name: text("n"),
        account: text("a"),
        user: text("u"),
        partition: text("p"),
        cpus: Some(6),
        cpus_per_task: Some(2),
        ntasks: Some(3),
        ntasks_per_node: Some(3),
        exclusive: Some(false),
        memory: Some(Amount::Text("1G".into())),
        gpus: Some(Amount::Text("a100:2".into())),
        gpus_per_task: None,
        resources: Some(BTreeMap::from([("license/m".to_owned(), Amount::Number(1))])),
        time_limit: Some(Amount::Number(2)),
        working_directory: text("/w"),
        standard_output: text("o%a"),
        standard_error: text("e%j"),
        environment: Some(map("A", "1")),
        priority: Some(-3),
        labels: Some(map("k", "v")),
        comment: text("c"),
        kill_grace_s: Some(5),
        kill_grace: text("5s"),
        held: Some(true),
        begin_time: text("1970-01-01T00:00:05Z"),
        deadline: text("1970-01-01T00:00:09Z"),
        dependency: text("afterok:1:2"),
        kill_on_invalid_dependency: Some(true),
        array: text("0-9%2"),
        retry: Some(RetryBody { max: 3, ..RetryBody::default() }),
        signal: text("B:USR1@9"),
        open_mode: text("append"),
        args: vec!["a b".into()],
        standard_input: text("in"),
        umask: text("027"),
        limits: Some(limits()),
        submit_directory: text("/from"),
        submit_host: text("login"),
        command: text("/from/train.sh"),
        mail_type: text("end,FAIL"),
        mail_user: text("me@example.org"),
        data_source: text("CLI"),
    }
}

#[test]
fn every_field_of_the_flat_schema_is_read() {
    let request = read(serde_json::to_value(flat()).unwrap()).request;
    let expected = JobRequest {
        name: text("n"),
        account: text("a"),
        user: text("u"),
        partition: text("p"),
        cpus: CpusAsked::Count(6),
        tasks: Tasks { ntasks: Some(3), ntasks_per_node: Some(3), cpus_per_task: Some(2) },
        memory_bytes: Some(1 << 30),
        resources: Request::default().with("gpu:a100", 2).with("license/m", 1),
        limit: LimitAsked::Seconds(120),
        priority: -3,
        working_directory: text("/w"),
        standard_output: text("o%a"),
        standard_error: text("e%j"),
        environment: map("A", "1"),
        labels: map("k", "v"),
        comment: text("c"),
        kill_grace_s: Some(5),
        held: true,
        begin: Some(Time(5_000_000)),
        deadline: Some(Time(9_000_000)),
        dependencies: "afterok:1:2".parse().unwrap(),
        array: Some("0-9%2".parse().unwrap()),
        retry: Some(RetryPolicy::usual(3)),
        signal: Some("B:USR1@9".parse().unwrap()),
        open_mode: OpenMode::Append,
        kill_on_invalid_dependency: Some(true),
        invocation: called(),
        data_source: DataSource::Cli,
        ..JobRequest::new("true")
    };
    assert_eq!(request, expected);
}

#[test]
fn every_field_of_the_nested_schema_is_read() {
    let job = NestedJob {
        name: text("n"),
        account: text("a"),
        user: text("u"),
        partition: text("p"),
        current_working_directory: text("/w"),
        standard_output: text("o"),
        standard_error: text("e"),
        environment: Some(map("A", "1")),
        ntasks: None,
        ntasks_per_node: Some(2),
        cpus_per_task: Some(3),
        memory_per_node: Some(Amount::Text("1G".into())),
        time_limit: Some(Amount::Text("1:00:00".into())),
        exclusive: Some(false),
        priority: Some(1),
        labels: Some(map("k", "v")),
        comment: text("c"),
        kill_grace_s: Some(5),
        kill_grace: text("5s"),
        held: Some(true),
        begin_time: text("1970-01-01T00:00:05Z"),
        deadline: text("1970-01-01T00:00:09Z"),
        dependency: text("afterok:1:2"),
        kill_on_invalid_dependency: Some(true),
        array: text("0-9%2"),
        retry: Some(RetryBody { max: 3, ..RetryBody::default() }),
        signal: text("B:USR1@9"),
        open_mode: text("append"),
        args: vec!["a b".into()],
        standard_input: text("in"),
        umask: text("027"),
        limits: Some(limits()),
        submit_directory: text("/from"),
        submit_host: text("login"),
        command: text("/from/train.sh"),
        mail_type: text("end,FAIL"),
        mail_user: text("me@example.org"),
        data_source: text("WEB"),
    };
    let body = NestedBody { job, script: "true".into() };
    let request = read(serde_json::to_value(&body).unwrap()).request;
    assert_eq!(request.cpus, CpusAsked::Count(6));
    assert_eq!(request.limit, LimitAsked::Seconds(3600));
    assert_eq!(request.retry, Some(RetryPolicy::usual(3)));
    assert_eq!(request.signal, Some("B:USR1@9".parse().unwrap()));
    assert_eq!(request.open_mode, OpenMode::Append);
    assert_eq!(request.invocation, called());
    assert_eq!(request.memory_bytes, Some(1 << 30));
    assert_eq!(request.working_directory.as_deref(), Some("/w"));
    assert!(request.create_working_directory && request.held);
    assert_eq!((request.begin, request.deadline), (Some(Time(5_000_000)), Some(Time(9_000_000))));
    assert_eq!(request.dependencies.to_string(), "afterok:1:2");
    assert_eq!(request.array.unwrap().to_string(), "0-9%2");
    assert_eq!(request.data_source, DataSource::Web);
}

#[test]
fn the_nested_form_knows_exclusive_and_lists_of_variables() {
    let body =
        json!({"script": "true", "job": {"exclusive": true, "environment": ["A=1", "B=x=y"]}});
    let request = read(body).request;
    assert_eq!(request.cpus, CpusAsked::All);
    assert_eq!(request.environment["B"], "x=y");
    assert_eq!(fields(json!({"script": "true", "environment": ["A=1"]})), ["environment"]);
}

#[test]
fn unknown_fields_and_wrong_types_are_refused_by_name_all_at_once() {
    let body = json!({
        "script": 5, "cpu": 1, "cpus": "4", "priority": 1.5, "environment": {"A": 1},
        "exclusive": "yes", "memory": "much", "labels": [], "kill_grace": true, "data_source": "X",
    });
    let mut named = fields(body);
    named.sort();
    assert_eq!(
        named,
        [
            "cpu",
            "cpus",
            "data_source",
            "environment.A",
            "exclusive",
            "kill_grace",
            "labels",
            "memory",
            "priority",
            "script"
        ]
    );
    let nested = json!({"job": {"cpus": 4, "name": 1}, "script": "true", "cpus": 1});
    assert_eq!(fields(nested), ["cpus", "job.name", "job.cpus"]);
    assert_eq!(fields(json!({"job": {}})), ["script"]);
    assert_eq!(fields(json!({"job": 3, "script": "true"})), ["job"]);
    assert_eq!(fields(json!([1])), ["body"]);
    assert_eq!(fields(json!({"script": "true", "cpus": 0})), ["cpus"]);
    assert_eq!(fields(json!({"script": "true", "cpus": 4, "cpus_per_task": 3})), ["cpus"]);
}

#[test]
fn what_is_not_json_is_told_apart() {
    for body in ["", "  ", "{", "{\"script\": \"true\"} x", "\u{feff}{}"] {
        let refused = parse_submit(body.as_bytes(), ApiDialect::V1).unwrap_err();
        assert!(matches!(refused, BodyRefused::Malformed(_)), "{body}");
    }
    assert!(matches!(parse_submit(b"\xff", ApiDialect::V1), Err(BodyRefused::Malformed(_))));
}

#[test]
fn the_old_routes_refuse_x_colon_y_in_a_body_but_not_in_a_script() {
    let body = json!({"script": "true", "time_limit": "10:30"}).to_string();
    assert!(parse_submit(body.as_bytes(), ApiDialect::V1).is_ok());
    let named = faults(parse_submit(body.as_bytes(), ApiDialect::Seed));
    assert_eq!(named[0].0, "time_limit");
    assert!(named[0].1.contains("two readings"));
    let script = json!({"script": "#SBATCH -t 10:30\ntrue"}).to_string();
    let request = parse_submit(script.as_bytes(), ApiDialect::Seed).unwrap().request;
    assert_eq!(request.limit, LimitAsked::Seconds(630));
}

#[test]
fn sbatch_lines_fill_what_the_body_leaves_out() {
    let script = "#!/bin/bash\n#SBATCH -J inside -c 2 -n 3 -t 5 --mem-per-cpu=10 --mail-type=END\n\
                  #SBATCH --export=A=1,B=2,C\ntrue\n";
    let request =
        read(json!({"script": script, "name": "outside", "environment": {"A": "9"}})).request;
    assert_eq!(request.name.as_deref(), Some("outside"));
    assert_eq!(request.cpus, CpusAsked::Count(6));
    assert_eq!(request.limit, LimitAsked::Seconds(300));
    assert_eq!(request.memory_bytes, Some(60 << 20));
    assert_eq!(request.environment["A"], "9");
    assert_eq!(request.environment["B"], "2");
    assert_eq!(request.warnings.len(), 2);
    let one = read(json!({"script": script, "cpus": 1})).request;
    assert_eq!(one.cpus, CpusAsked::Count(1));
}

#[test]
fn a_refusal_of_the_kernel_speaks_the_body_s_language() {
    let check = |body| -> Vec<(String, String)> {
        let errors = read(body).check(&site()).unwrap_err();
        errors.listed().into_iter().map(|e| (e.field, e.message)).collect()
    };
    assert_eq!(check(json!({"script": "true", "cpus": 9}))[0].0, "cpus");
    let nested = json!({"script": "true", "job": {
        "cpus_per_task": 9, "current_working_directory": "rel", "environment": {"A\u{0}": "1"}}});
    let named: Vec<String> = check(nested).into_iter().map(|(f, _)| f).collect();
    assert_eq!(
        named,
        ["job.cpus_per_task", "job.current_working_directory", "job.environment.A\u{0}"]
    );
    let (field, message) = check(json!({"script": "#SBATCH -c 9\ntrue"})).remove(0);
    assert_eq!(field, "script");
    assert!(message.starts_with("line 1, --cpus-per-task: 9 asked for"), "{message}");
    assert_eq!(check(json!({"job": {}, "script": " "}))[0].0, "script");
}

#[test]
fn a_batch_names_the_job_and_its_field() {
    let good = json!({"jobs": [{"script": "true"}, {"script": "true", "job": {"name": "x"}}]});
    assert_eq!(parse_batch(good.to_string().as_bytes()).unwrap().len(), 2);
    let bad = |body: Value| -> Vec<String> {
        match parse_batch(body.to_string().as_bytes()).unwrap_err() {
            BodyRefused::Fields(errors) => errors.listed().into_iter().map(|e| e.field).collect(),
            BodyRefused::Malformed(message) => panic!("{message}"),
        }
    };
    let body = json!({"jobs": [
        {"script": "true"}, {"script": "true", "cpus": 0}, 7, {"job": {"time_limit": "x"}}]});
    assert_eq!(bad(body), ["jobs[1].cpus", "jobs[2]", "jobs[3].script", "jobs[3].job.time_limit"]);
    assert_eq!(bad(json!({"jobs": []})), ["jobs"]);
    assert_eq!(bad(json!({"job": []})), ["jobs", "job"]);
    assert_eq!(bad(json!([])), ["body"]);
    let many = vec![json!({"script": "true"}); BATCH_JOBS_MAX + 1];
    assert_eq!(bad(json!({"jobs": many})), ["jobs"]);
    let body = json!({"jobs": [{"script": "true"}, {"script": "true", "cpus": 9}]}).to_string();
    let second = parse_batch(body.as_bytes()).unwrap().remove(1);
    assert_eq!(second.check(&site()).unwrap_err().listed()[0].field, "jobs[1].cpus");
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "(#SBATCH -[a-z] .{0,5}\n){0,3}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        "script|job|jobs|cpus|time_limit|environment|memory|kill_grace|exclusive",
        ".{0,5}"
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_body_is_answered(value in any_value()) {
        let body = value.to_string();
        for dialect in [ApiDialect::V1, ApiDialect::Seed] {
            if let Ok(submission) = parse_submit(body.as_bytes(), dialect) {
                let _ = submission.check(&site());
            }
        }
        let _ = parse_batch(body.as_bytes());
    }

    #[test]
    fn any_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = parse_submit(&body, ApiDialect::V1);
    }
}

fn asked(body: Value) -> String {
    read(body).request.resources.to_string()
}

#[test]
fn resources_of_a_body_win_over_the_lines_about_the_same() {
    let script = "#SBATCH --gres=gpu:a100:1,shard:2 -L matlab:2\ntrue";
    let all = asked(json!({"script": script}));
    assert_eq!(all, "gpu:a100=1,license/matlab=2,shard=2");
    let own = asked(json!({"script": script, "gpus": 3, "resources": {"license/matlab": 1}}));
    assert_eq!(own, "gpu=3,license/matlab=1,shard=2");
    let none = asked(json!({"script": script, "gpus": 0, "resources": {"shard": 0}}));
    assert_eq!(none, "license/matlab=2");
    let bytes = asked(json!({"script": "#SBATCH --tmp=1\ntrue"}));
    assert_eq!(bytes, "scratch=1048576");
    assert_eq!(asked(json!({"script": "true", "resources": {"scratch": "2K"}})), "scratch=2048");
}

#[test]
fn what_is_asked_for_by_task_is_given_to_each() {
    let script = "#SBATCH -n 3 --gpus-per-task=2\ntrue";
    assert_eq!(asked(json!({"script": script})), "gpu=6");
    assert_eq!(asked(json!({"script": script, "gpus_per_task": "t4:1"})), "gpu:t4=3");
    let body = json!({"script": "true", "ntasks_per_node": 2, "gpus_per_task": 1});
    assert_eq!(asked(body), "gpu=2");
}

#[test]
fn a_resource_that_makes_no_sense_is_refused_by_its_field() {
    let with = |field: &str, value: Value| json!({"script": "true", field: value});
    for (body, field) in [
        (with("gpus", json!(-1)), "gpus"),
        (with("gpus", json!(1.5)), "gpus"),
        (with("gpus", json!(["1"])), "gpus"),
        (with("gpus", json!("a100:x")), "gpus"),
        (with("resources", json!([1])), "resources"),
        (with("resources", json!({"gpu": -1})), "resources.gpu"),
        (with("resources", json!({"gpu": "x"})), "resources.gpu"),
        (with("resources", json!({"a b": 1})), "resources.a b"),
        (json!({"script": "true", "gpus": 1, "resources": {"gpu": 1}}), "gpus"),
        (json!({"script": "true", "gpus": 1, "gpus_per_task": 1}), "gpus_per_task"),
        (with("script", json!("#SBATCH --gres=gpu:x:y:z\ntrue")), "script"),
    ] {
        assert_eq!(fields(body.clone()), [field], "{body}");
    }
}

#[test]
fn every_body_is_counted_before_it_is_read() {
    use super::super::{maintenance, token, update};
    let many = format!("[{}0]", "0,".repeat(VALUES_MAX)).into_bytes();
    let refusals = [
        parse_batch(&many).map(drop),
        update::parse(&many, crate::time::Time(0)).map(drop),
        maintenance::parse(&many).map(drop),
        token::parse(&many).map(drop),
    ];
    for refused in refusals {
        let Err(BodyRefused::Malformed(why)) = refused else { panic!("{refused:?}") };
        assert!(why.contains("at most 1000000"), "{why}");
    }
}
