//! *Purpose*: what the fields of a job description mean, as clients of Slurm's API send it.
//!
//! *Owns*: `TABLE`: for each field the option of `sbatch` that it stands for, and the forms of
//! its values; [`given`].
//!
//! *Promises*: what becomes of a field is what becomes of its option; each field is taken in the
//! forms of all versions, and under the names of all. A value that asks for nothing (`null`, empty,
//! not set) is as if it were not there.
//!
//! *Not here*: what becomes of the options (`wire::sbatch`), the rest of a body
//! (`slurm::submission`).
//!
//! Source: the documents of slurmrestd 22.05, and of 23.02 to 24.11 in clients made of them.

use serde_json::{Map, Value};

use crate::api::wire::fields::kind;
use crate::api::wire::sbatch::Given;
use crate::clock::rfc3339;
use crate::job::faults::{Faults, FieldError};
use crate::text::quote::shorten;
use crate::time::Time;

/// The last second that a time can be, as `text::when` has it: the end of the year 9999.
const LAST_S: i64 = 253_402_300_799;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Text, or a number, as it is; lists with commas between.
    Text,
    /// A whole number, plain or in an object.
    Count,
    /// Minutes, likewise; or text with colons.
    Minutes,
    /// MiB, likewise; or text with a unit.
    Mib,
    /// Seconds since 1970, likewise; or text.
    Moment,
    /// True or false: false asks for nothing.
    Flag,
    /// True for yes, false for no.
    YesNo,
    /// A number, a range, or a list of the least and the most.
    Nodes,
    /// True, or the words that old and new versions have for it.
    Exclusive,
    /// The resources of a node or a job: `gres/gpu:2`.
    Tres,
}

/// What a field is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goes {
    /// It is this option.
    To(&'static str, Form),
    /// `sbatch` has no such option, and it could change what runs.
    Refused(&'static str),
    /// Likewise, and it changes nothing here.
    Harmless(&'static str),
}

use Form::{Count, Exclusive, Flag, Mib, Minutes, Moment, Nodes, Text, Tres, YesNo};
use Goes::{Harmless, Refused, To};

const ONE_JOB: &str = "a job has one part here; submit several, or start steps";
const OF_SERVER: &str = "the server says that itself";
const NO_DISPLAY: &str = "this server forwards no display";

/// Every field of a job description, but those that are no options: `script`, `environment`,
/// `argv`, `hold`, `requeue`, and the parts of an early signal.
#[rustfmt::skip]
const TABLE: &[(&str, Goes)] = &[
    ("account", To("account", Text)),
    ("account_gather_frequency", To("acctg-freq", Text)),
    ("admin_comment", To("extra", Text)),
    ("allocation_node_list", Harmless(OF_SERVER)),
    ("allocation_node_port", Harmless(OF_SERVER)),
    ("array", To("array", Text)),
    ("batch_features", To("batch", Text)),
    ("begin_time", To("begin", Moment)),
    ("burst_buffer", To("bb", Text)),
    ("cluster_constraint", To("cluster-constraint", Text)),
    ("clusters", To("clusters", Text)),
    ("comment", To("comment", Text)),
    ("constraints", To("constraint", Text)),
    ("container", To("container", Text)),
    ("container_id", To("container-id", Text)),
    ("contiguous", To("contiguous", Flag)),
    ("core_specification", To("core-spec", Count)),
    ("cores_per_socket", To("cores-per-socket", Count)),
    ("cpu_binding", To("hint", Text)),
    ("cpu_binding_flags", To("hint", Text)),
    ("cpu_binding_hint", To("hint", Text)),
    ("cpu_frequency", To("cpu-freq", Text)),
    ("cpus_per_gpu", To("cpus-per-gpu", Count)),
    ("cpus_per_task", To("cpus-per-task", Count)),
    ("cpus_per_tres", Refused("write cpus_per_task")),
    ("crontab", Refused("this server has no cron jobs")),
    ("current_working_directory", To("chdir", Text)),
    ("deadline", To("deadline", Moment)),
    ("delay_boot", To("delay-boot", Count)),
    ("dependency", To("dependency", Text)),
    ("distribution", To("distribution", Text)),
    ("distribution_plane_size", To("distribution", Count)),
    ("end_time", Refused("write deadline")),
    ("excluded_nodes", To("exclude", Text)),
    ("exclusive", To("exclusive", Exclusive)),
    ("extra", To("extra", Text)),
    ("flags", Refused("write the field that stands for the flag")),
    ("get_user_environment", To("get-user-env", Flag)),
    ("gpu_binding", To("gpu-bind", Text)),
    ("gpu_frequency", To("gpu-freq", Text)),
    ("gpus", To("gpus", Text)),
    ("gpus_per_node", To("gpus-per-node", Text)),
    ("gpus_per_socket", To("gpus-per-socket", Text)),
    ("gpus_per_task", To("gpus-per-task", Text)),
    ("gres", To("gres", Tres)),
    ("gres_flags", To("gres-flags", Text)),
    ("group_id", To("gid", Text)),
    ("hetjob_group", Refused(ONE_JOB)),
    ("immediate", Refused("a job that does not start at once waits here")),
    ("job_id", Refused("the server numbers its jobs itself")),
    ("kill_on_invalid_dependency", To("kill-on-invalid-dep", YesNo)),
    ("kill_on_node_fail", To("no-kill", Flag)),
    ("licenses", To("licenses", Text)),
    ("mail_type", To("mail-type", Text)),
    ("mail_user", To("mail-user", Text)),
    ("maximum_cpus", Harmless("a job has the CPUs that it asks for, no more.")),
    ("maximum_nodes", Harmless("this server is one node, so it holds anyway.")),
    ("mcs_label", To("mcs-label", Text)),
    ("memory_binding", To("mem-bind", Text)),
    ("memory_binding_type", To("mem-bind", Text)),
    ("memory_per_cpu", To("mem-per-cpu", Mib)),
    ("memory_per_gpu", To("mem-per-gpu", Mib)),
    ("memory_per_node", To("mem", Mib)),
    ("memory_per_tres", Refused("write memory_per_node")),
    ("minimum_boards_per_node", Harmless("which CPUs a job gets cannot be chosen here.")),
    ("minimum_cpus", To("mincpus", Count)),
    ("minimum_cpus_per_node", To("mincpus", Count)),
    ("minimum_nodes", To("nodes", Nodes)),
    ("minimum_sockets_per_board", Harmless("which CPUs a job gets cannot be chosen here.")),
    ("name", To("job-name", Text)),
    ("network", To("network", Text)),
    ("nice", To("nice", Count)),
    ("no_kill", To("no-kill", Flag)),
    ("nodes", To("nodes", Nodes)),
    ("ntasks_per_tres", To("ntasks-per-gpu", Count)),
    ("oom_kill_step", Harmless("memory is that of the whole job.")),
    ("open_mode", To("open-mode", Text)),
    ("overcommit", To("overcommit", Flag)),
    ("oversubscribe", To("oversubscribe", Flag)),
    ("partition", To("partition", Text)),
    ("power_flags", Harmless("power is the machine's.")),
    ("prefer", To("prefer", Text)),
    ("priority", To("priority", Count)),
    ("profile", To("profile", Text)),
    ("qos", To("qos", Text)),
    ("reboot", To("reboot", Flag)),
    ("required_nodes", To("nodelist", Text)),
    ("required_switches", To("switches", Count)),
    ("reservation", To("reservation", Text)),
    ("reserve_ports", To("resv-ports", Count)),
    ("resv_mpi_ports", To("resv-ports", Count)),
    ("rlimits", Refused("set them in the script: ulimit")),
    ("segment_size", To("segment", Count)),
    ("selinux_context", Refused("a job has the context of the server")),
    ("shared", To("exclusive", Exclusive)),
    ("signal", To("signal", Text)),
    ("site_factor", Refused("write priority")),
    ("sockets_per_node", To("sockets-per-node", Count)),
    ("spank_environment", Harmless("this server has no plugins.")),
    ("spread_job", To("spread-job", Flag)),
    ("standard_error", To("error", Text)),
    ("standard_input", To("input", Text)),
    ("standard_output", To("output", Text)),
    ("tasks", To("ntasks", Count)),
    ("tasks_per_board", To("ntasks-per-socket", Count)),
    ("tasks_per_core", To("ntasks-per-core", Count)),
    ("tasks_per_node", To("ntasks-per-node", Count)),
    ("tasks_per_socket", To("ntasks-per-socket", Count)),
    ("temporary_disk_per_node", To("tmp", Mib)),
    ("thread_specification", To("thread-spec", Count)),
    ("threads_per_core", To("threads-per-core", Count)),
    ("time_limit", To("time", Minutes)),
    ("time_minimum", To("time-min", Minutes)),
    ("tres_bind", To("tres-bind", Text)),
    ("tres_freq", To("gpu-freq", Text)),
    ("tres_per_job", To("gres", Tres)),
    ("tres_per_node", To("gres", Tres)),
    ("tres_per_socket", To("gpus-per-socket", Text)),
    ("tres_per_task", To("tres-per-task", Text)),
    ("user_id", To("uid", Text)),
    ("wait_all_nodes", To("wait-all-nodes", Flag)),
    ("wait_for_switch", To("switches", Count)),
    ("wckey", To("wckey", Text)),
    ("x11", Refused(NO_DISPLAY)),
    ("x11_magic_cookie", Refused(NO_DISPLAY)),
    ("x11_target_host", Refused(NO_DISPLAY)),
    ("x11_target_port", Refused(NO_DISPLAY)),
];

/// What the fields of a description ask for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// As options of `sbatch`.
    pub options: Vec<Given>,
    /// What changes nothing here, one sentence each.
    pub warnings: Vec<String>,
    /// Fields that no version has.
    pub unknown: Vec<String>,
}

impl Asked {
    /// One more option. Several fields may stand for one: resources of a node and of a job come
    /// together, of two least numbers the larger counts, and of others both must say the same.
    fn take(&mut self, given: Given, errors: &mut Faults) {
        let is_same = |one: &&mut Given| one.option == given.option;
        let Some(before) = self.options.iter_mut().find(is_same) else {
            return self.options.push(given);
        };
        if before.value == given.value {
            return;
        }
        let number = |one: &Given| one.value.as_deref().and_then(|text| text.parse::<i64>().ok());
        match given.option {
            "gres" => {
                let lists = [before.value.take(), given.value];
                before.value = Some(lists.into_iter().flatten().collect::<Vec<_>>().join(","));
            }
            "mincpus" if number(before).is_some() && number(&given).is_some() => {
                before.value = number(before).max(number(&given)).map(|least| least.to_string());
            }
            // Each of the two is looked at, and none changes what runs.
            "nodes" | "switches" | "extra" | "hint" | "mem-bind" | "distribution" => {
                self.options.push(given);
            }
            _ => {
                let message = format!("{} says otherwise; send one of them", before.field);
                errors.push(FieldError::new(given.field, message));
            }
        }
    }
}

/// The options that the fields of a description stand for; `path` is before their names.
pub(super) fn given(map: &Map<String, Value>, path: &str, errors: &mut Faults) -> Asked {
    let mut asked = Asked::default();
    for (name, value) in map {
        let field = format!("{path}{}", shorten(name));
        let Some((_, goes)) = TABLE.iter().find(|(own, _)| own == name) else {
            asked.unknown.push(field);
            continue;
        };
        if is_unset(value) {
            continue;
        }
        match *goes {
            To(option, form) => match written(form, value) {
                Ok(Some(value)) => asked.take(Given { field, option, value }, errors),
                Ok(None) => {}
                Err(message) => errors.push(FieldError::new(field, message)),
            },
            Refused(why) => errors.push(FieldError::new(field, format!("{why} (leave it out)"))),
            Harmless(why) => asked.warnings.push(format!("{field} is not honoured here: {why}")),
        }
    }
    asked
}

/// Whether a value asks for nothing, in any version's way.
pub(super) fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => {
            let is = |name: &str| map.get(name).and_then(Value::as_bool).unwrap_or(false);
            map.is_empty() || map.contains_key("set") && !is("set") && !is("infinite")
        }
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// What a number in an object, or a plain one, is to say: `None` is without end.
fn number(value: &Value) -> Result<Option<i64>, String> {
    let expected = || format!("is {}; a whole number is expected", kind(value));
    match value {
        Value::Number(number) => {
            let whole = || format!("{number} is not a whole number that fits 63 bits");
            number.as_i64().map(Some).ok_or_else(whole)
        }
        Value::Object(map) if map.get("infinite") == Some(&Value::Bool(true)) => Ok(None),
        Value::Object(map) => match map.get("number").and_then(Value::as_i64) {
            Some(number) => Ok(Some(number)),
            None => Err("has no whole \"number\"".to_owned()),
        },
        _ => Err(expected()),
    }
}

/// A number that has an end.
fn finite(value: &Value) -> Result<i64, String> {
    number(value)?.ok_or_else(|| "is infinite; a number is expected".to_owned())
}

/// The value of an option; `None`: nothing is asked for, `Some(None)`: it takes none.
fn written(form: Form, value: &Value) -> Result<Option<Option<String>>, String> {
    let some = |text: String| Ok(Some(Some(text)));
    match (form, value) {
        (Flag, Value::Bool(true)) => Ok(Some(None)),
        (Flag, Value::Number(number)) => Ok((number.as_i64() != Some(0)).then_some(None)),
        (Flag, _) => Err(format!("is {}; true or false is expected", kind(value))),
        (YesNo, Value::Bool(true)) => some("yes".to_owned()),
        (YesNo | Text | Minutes | Mib | Moment | Nodes | Count, Value::String(text)) => {
            some(text.clone())
        }
        (Minutes, _) => some(match number(value)? {
            None => "UNLIMITED".to_owned(),
            Some(minutes) => minutes.to_string(),
        }),
        (Mib, _) => some(format!("{}M", finite(value)?)),
        (Moment, _) => moment(finite(value)?),
        (Nodes, Value::Bool(true)) => Ok(None),
        (Nodes, Value::Array(ends)) => {
            let ends = ends.iter().map(finite).collect::<Result<Vec<_>, _>>()?;
            match ends[..] {
                [only] => some(only.to_string()),
                [least, most] => some(format!("{least}-{most}")),
                _ => Err("names more than the least and the most".to_owned()),
            }
        }
        (Count | Nodes, _) => some(finite(value)?.to_string()),
        (Exclusive, _) => exclusive(value),
        (Tres, _) => some(tres(&text(value)?)),
        (Text | YesNo, _) => some(text(value)?),
    }
}

/// Seconds since 1970; 0 is no time at all.
fn moment(seconds: i64) -> Result<Option<Option<String>>, String> {
    match seconds {
        0 => Ok(None),
        1..=LAST_S => Ok(Some(Some(rfc3339(Time::default().plus_s(seconds))))),
        _ => Err(format!("{seconds} is not a time; seconds since 1970 are expected")),
    }
}

/// Text; a number as text; the words of a list with commas between.
fn text(value: &Value) -> Result<String, String> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(format!("is {}; a string is expected", kind(other))),
    };
    match value {
        Value::Array(list) => Ok(list.iter().map(one).collect::<Result<Vec<_>, _>>()?.join(",")),
        other => one(other),
    }
}

/// All CPUs; whatever else is asked for is `sbatch`'s to refuse.
fn exclusive(value: &Value) -> Result<Option<Option<String>>, String> {
    if value == &Value::Bool(true) {
        return Ok(Some(None));
    }
    match &*text(value)?.to_ascii_lowercase() {
        // Where CPUs are never shared, that somebody allows it changes nothing.
        "false" | "oversubscribe" | "ok" => Ok(None),
        "true" | "exclusive" | "none" => Ok(Some(None)),
        other => Ok(Some(Some(other.to_owned()))),
    }
}

/// `gres:gpu:2` and `gres/gpu=2` as `--gres` has them.
fn tres(list: &str) -> String {
    let one = |one: &str| {
        let one = one.trim();
        let one = one.strip_prefix("gres:").or(one.strip_prefix("gres/")).unwrap_or(one);
        one.replace('=', ":")
    };
    list.split(',').map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::wire::sbatch::options;

    fn options_of(body: Value) -> Vec<(&'static str, Option<String>)> {
        let mut errors = Faults::default();
        let asked = given(body.as_object().unwrap(), "job.", &mut errors);
        assert!(errors.is_empty(), "{errors}");
        asked.options.into_iter().map(|one| (one.option, one.value)).collect()
    }

    fn refused(body: Value) -> String {
        let mut errors = Faults::default();
        given(body.as_object().unwrap(), "job.", &mut errors);
        errors.to_string()
    }

    #[test]
    fn each_field_stands_once_and_for_an_option_that_there_is() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} and {}", pair[0].0, pair[1].0);
        }
        for (field, goes) in TABLE {
            if let To(option, _) = goes {
                assert!(options().any(|known| known.name == *option), "{field}: {option}");
            }
        }
    }

    #[test]
    fn numbers_are_plain_or_in_objects() {
        let set = |number: i64| json!({"set": true, "infinite": false, "number": number});
        for limit in [json!(5), json!("5"), set(5)] {
            let all = options_of(json!({"time_limit": limit}));
            assert_eq!(all, [("time", Some("5".to_owned()))]);
        }
        let endless = json!({"time_limit": {"set": false, "infinite": true, "number": 0}});
        assert_eq!(options_of(endless), [("time", Some("UNLIMITED".to_owned()))]);
        let memory = options_of(json!({"memory_per_node": set(100)}));
        assert_eq!(memory, [("mem", Some("100M".to_owned()))]);
        let unset = json!({"set": false, "infinite": false, "number": 9});
        assert_eq!(options_of(json!({"priority": unset, "name": "", "gres": null})), []);
        let begin = options_of(json!({"begin_time": 1}));
        assert_eq!(begin, [("begin", Some("1970-01-01T00:00:01.000000Z".to_owned()))]);
    }

    #[test]
    fn lists_and_words_are_those_of_any_version() {
        let nodes = |value: Value| options_of(json!({"nodes": value}))[0].1.clone().unwrap();
        assert_eq!((nodes(json!([1, 2])), nodes(json!("1-2"))), ("1-2".into(), "1-2".into()));
        for all in [json!(true), json!("true"), json!(["true"]), json!("exclusive")] {
            assert_eq!(options_of(json!({"exclusive": all})), [("exclusive", None)]);
        }
        assert_eq!(options_of(json!({"shared": ["none"]})), [("exclusive", None)]);
        let gres = |name: &str, text: &str| options_of(json!({name: text}))[0].1.clone().unwrap();
        assert_eq!(gres("tres_per_job", "gres/gpu=2"), "gpu:2");
        assert_eq!(gres("tres_per_node", "gres:gpu:a100:2"), "gpu:a100:2");
        let mail = options_of(json!({"mail_type": ["END", "FAIL"]}));
        assert_eq!(mail, [("mail-type", Some("END,FAIL".to_owned()))]);
    }

    #[test]
    fn fields_that_stand_for_one_option_come_together_or_are_refused() {
        let least = options_of(json!({"minimum_cpus": 4, "minimum_cpus_per_node": 1}));
        assert_eq!(least, [("mincpus", Some("4".to_owned()))]);
        let both = options_of(json!({"tres_per_job": "gres/gpu:1", "tres_per_node": "gres/x:2"}));
        assert_eq!(both, [("gres", Some("gpu:1,x:2".to_owned()))]);
        let gone = "job.shared: job.exclusive says otherwise; send one of them";
        assert!(refused(json!({"exclusive": "user", "shared": ["none"]})).contains(gone));
    }

    #[test]
    fn a_value_of_another_type_is_refused_by_name() {
        for (body, said) in [
            (json!({"tasks": true}), "job.tasks: is true or false; a whole number is expected"),
            (json!({"tasks": {"set": true}}), "job.tasks: has no whole \"number\""),
            (json!({"hetjob_group": 1}), "job.hetjob_group: a job has one part here"),
            (json!({"name": {"a": 1}}), "job.name: is an object; a string is expected"),
            (json!({"contiguous": "yes"}), "job.contiguous: is a string"),
            (json!({"begin_time": -1}), "job.begin_time: -1 is not a time"),
            (json!({"tasks": 1.5}), "job.tasks: 1.5 is not a whole number"),
        ] {
            let errors = refused(body);
            assert!(errors.contains(said), "{errors}");
        }
    }
}
