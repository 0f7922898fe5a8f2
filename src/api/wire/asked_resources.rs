//! *Purpose*: the resources that a submit body and its script's lines ask for, as one request.
//!
//! *Owns*: [`Body`], which reads the fields; [`Asked`], what of body and lines counts.
//!
//! *Promises*: a body's word about a resource wins over the lines' about the same one; one
//! resource in two fields of the same place is refused.
//!
//! *Not here*: the grammar of lists (`job::resource_list`), whether a server has what is named
//! (`kernel::admission`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::fields::{Fields, kind};
use super::sbatch::{Directives, Placed};
use super::submission::FieldOrigins;
use crate::job::request::{RESOURCES_OF_A_JOB_MAX, Request, check_name, split};
use crate::job::resource_list;
use crate::text::size;

/// What the fields of a body say.
#[derive(Debug, Default)]
pub(super) struct Body {
    gpus: Option<Request>,
    gpus_per_task: Option<Request>,
    resources: Option<Request>,
    /// Resources that it names, be it to ask for none.
    named: BTreeSet<String>,
}

impl Body {
    pub(super) fn read(fields: &mut Fields<'_>) -> Body {
        let mut body = Body {
            gpus: fields.parsed("gpus", gpus),
            gpus_per_task: fields.parsed("gpus_per_task", gpus),
            ..Body::default()
        };
        body.resources = resources(fields, &mut body.named);
        if body.gpus.is_some() || body.gpus_per_task.is_some() {
            if body.named.contains(crate::job::request::GPU) {
                fields.refuse("gpus", "resources names gpu too; send one of them");
            }
            if body.gpus.is_some() && body.gpus_per_task.is_some() {
                fields.refuse("gpus_per_task", "gpus is there too; send one of them");
            }
            body.named.insert(crate::job::request::GPU.to_owned());
        }
        body
    }

    /// All that is asked for by the body and, of what it does not name, by the lines; so many
    /// tasks each get what is asked for by task.
    pub(super) fn with(
        &self,
        lines: &Directives,
        tasks: i64,
        origins: &mut FieldOrigins,
    ) -> Request {
        let mut all = Request::default();
        let own = [
            ("gpus", &self.gpus, 1),
            ("gpus_per_task", &self.gpus_per_task, tasks),
            ("resources", &self.resources, 1),
        ];
        for (field, request, times) in own {
            if let Some(request) = request {
                origins.say("resources", field);
                add(&mut all, request, times);
            }
        }
        let of_lines = [
            (&lines.gpus, 1),
            (&lines.gpus_per_task, tasks),
            (&lines.gres, 1),
            (&lines.licenses, 1),
            (&lines.tmp, 1),
        ];
        for (line, times) in of_lines {
            let Some(Placed { value, place }) = line else { continue };
            let kept = value.iter().filter(|(name, _)| !self.named.contains(split(name).0));
            let kept: Request = kept.map(|(name, amount)| (name.clone(), amount)).collect();
            if !kept.is_empty() {
                origins.line("resources", place);
                add(&mut all, &kept, times);
            }
        }
        all
    }
}

fn add(all: &mut Request, more: &Request, times: i64) {
    let times = u64::try_from(times).unwrap_or(1);
    for (name, amount) in more.iter() {
        let amount = amount.saturating_mul(times);
        all.set(name, all.get(name).max(amount));
    }
}

/// `2`, `"a100:2"`.
fn gpus(value: &Value) -> Result<Request, String> {
    match value {
        Value::Number(number) => match number.as_u64() {
            Some(count) => resource_list::gpus(&count.to_string()),
            None => Err(format!("{number} is not a count")),
        },
        Value::String(text) => resource_list::gpus(text),
        other => Err(format!("is {}; write 2 or \"a100:2\"", kind(other))),
    }
}

/// `{"gpu": 2, "license/matlab": 1, "scratch": "10G"}`.
fn resources(fields: &mut Fields<'_>, named: &mut BTreeSet<String>) -> Option<Request> {
    let map = match fields.take("resources")? {
        Value::Object(map) => map,
        other => {
            fields.refuse("resources", format!("is {}; an object is expected", kind(&other)));
            return None;
        }
    };
    if map.len() > RESOURCES_OF_A_JOB_MAX {
        let message = format!("names {}; at most {RESOURCES_OF_A_JOB_MAX}", map.len());
        fields.refuse("resources", message);
        return None;
    }
    let mut all = Request::default();
    for (name, value) in &map {
        let amount = match value {
            Value::Number(number) => {
                number.as_u64().ok_or_else(|| format!("{number} is not a whole amount"))
            }
            Value::String(text) => size::parse(text).map(i64::unsigned_abs),
            other => Err(format!("is {}; a whole amount is expected", kind(other))),
        };
        let amount = check_name(name).map_err(|refused| refused.to_string()).and(amount);
        match amount {
            Ok(amount) => {
                named.insert(split(name).0.to_owned());
                all.set(name, amount);
            }
            Err(message) => {
                let name: String = name.chars().take(64).collect();
                fields.refuse(&format!("resources.{name}"), message);
            }
        }
    }
    Some(all)
}
