//! *Purpose*: reads how a script is to be called, of a submit body.
//!
//! *Owns*: the fields `args`, `standard_input`, `umask`, `limits`, `submit_directory`,
//! `submit_host`, `command`, `mail_type`, `mail_user`.
//!
//! *Promises*: a value that is not understood is refused with its field's name.
//!
//! *Not here*: bounds (`kernel::admission`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::{Fields, kind};
use crate::job::invocation::{Invocation, Ulimit, Ulimits, mail_types};

pub(super) fn read(fields: &mut Fields<'_>) -> Invocation {
    Invocation {
        // Known where the script is read.
        script_is_bytes: false,
        arguments: arguments(fields),
        standard_input: fields.text("standard_input"),
        umask: fields.text("umask").and_then(|text| {
            text.parse().map_err(|message: String| fields.refuse("umask", message)).ok()
        }),
        limits: limits(fields),
        submit_directory: fields.text("submit_directory"),
        submit_host: fields.text("submit_host"),
        command: fields.text("command"),
        mail_type: fields.text("mail_type").and_then(|text| {
            mail_types(&text).map_err(|message| fields.refuse("mail_type", message)).ok()
        }),
        mail_user: fields.text("mail_user"),
    }
}

/// A list of strings.
fn arguments(fields: &mut Fields<'_>) -> Vec<String> {
    let list = match fields.take("args") {
        None => return Vec::new(),
        Some(Value::Array(list)) => list,
        Some(other) => {
            fields.refuse("args", format!("is {}; a list of strings is expected", kind(&other)));
            return Vec::new();
        }
    };
    let mut arguments = Vec::with_capacity(list.len());
    for (index, argument) in list.into_iter().enumerate() {
        match argument {
            Value::String(text) => arguments.push(text),
            other => {
                let message = format!("is {}; a string is expected", kind(&other));
                fields.refuse(&format!("args[{index}]"), message);
            }
        }
    }
    arguments
}

/// `{"nofile": 1024, "core": "unlimited"}`.
fn limits(fields: &mut Fields<'_>) -> Ulimits {
    let map = match fields.take("limits") {
        None => return Ulimits::default(),
        Some(Value::Object(map)) => map,
        Some(other) => {
            fields.refuse("limits", format!("is {}; an object is expected", kind(&other)));
            return Ulimits::default();
        }
    };
    let mut limits = BTreeMap::new();
    for (name, value) in map {
        let field = format!("limits.{}", name.chars().take(64).collect::<String>());
        let Ok(limit) = name.parse::<Ulimit>() else {
            let names: Vec<&str> = Ulimit::all().map(Ulimit::name).collect();
            fields.refuse(&field, format!("is none of {}", names.join(", ")));
            continue;
        };
        match (value.as_u64(), value.as_str()) {
            (Some(number), _) => limits.insert(limit, Some(number)),
            (None, Some("unlimited")) => limits.insert(limit, None),
            (None, _) => {
                fields.refuse(&field, "is no whole number and not \"unlimited\"");
                None
            }
        };
    }
    Ulimits(limits)
}
