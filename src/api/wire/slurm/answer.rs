//! *Purpose*: what stands around every answer of Slurm's API.
//!
//! *Owns*: [`answer`]; [`Trouble`], an error as Slurm tells it.
//!
//! *Promises*: the name and the version in it are those of the version that was asked.
//!
//! *Not here*: statuses (`api::slurmrest`), what is answered (`slurm::jobs` and the others).

use serde_json::Value;

use super::facts::CLUSTER;
use super::version::Version::{V38, V39, V40};
use super::version::{Fact, Field, Version, field};

/// An error as Slurm tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What happened.
    pub description: String,
    /// Slurm's number for it.
    pub number: i64,
    /// Slurm's sentence for it.
    pub error: &'static str,
    /// What of the request it is about.
    pub source: String,
}

impl Trouble {
    fn fields(self) -> Vec<Field> {
        vec![
            field("description", self.description),
            field("error_number", self.number),
            field("error", self.error),
            field("source", self.source),
        ]
    }
}

/// Who answers; `command` is the program that asked, if one did.
fn meta(version: Version, command: &str) -> Fact {
    let release = format!("{} (Downbeat {})", version.release(), env!("CARGO_PKG_VERSION"));
    let part = |n: usize| {
        let part = version.release().split('.').nth(n).unwrap_or("0");
        let short = part.trim_start_matches('0');
        Fact::Release(if short.is_empty() { "0" } else { short }.to_owned())
    };
    let numbers = vec![field("major", part(0)), field("micro", part(2)), field("minor", part(1))];
    let name = version.name();
    let plugin = vec![
        field("type", format!("openapi/{name}")).until(V39),
        field("type", "openapi/slurmctld").from(V40),
        field("name", format!("Slurm OpenAPI {name}")),
        field("data_parser", format!("data_parser/{name}")).from(V39),
        field("accounting_storage", "accounting_storage/downbeat").from(V40),
    ];
    let slurm = vec![
        field("version", Fact::Object(numbers)),
        field("release", release),
        field("cluster", CLUSTER).from(V40),
    ];
    let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    Fact::Object(vec![
        field("plugin", Fact::Object(plugin)),
        field("command", command).from(V40),
        field("Slurm", Fact::Object(slurm.clone())).until(V39),
        field("slurm", Fact::Object(slurm)).from(V40),
    ])
}

/// What was found, with who answers, what went wrong, and what was not honoured.
#[must_use]
pub fn answer(
    version: Version,
    command: &str,
    found: Vec<Field>,
    (errors, warnings): (Vec<Trouble>, Vec<String>),
) -> Value {
    let warning = |text: String| vec![field("description", text), field("source", "request")];
    let mut all = vec![
        field("meta", meta(version, command)),
        field("errors", Fact::All(errors.into_iter().map(Trouble::fields).collect())),
        field("warnings", Fact::All(warnings.into_iter().map(warning).collect())).from(V39),
    ];
    all.extend(found);
    version.object(all)
}

/// The answer to a submission.
#[must_use]
pub fn submitted(version: Version, job: i64, warnings: Vec<String>) -> Value {
    let own =
        || vec![field("job_id", job), field("step_id", "BATCH"), field("job_submit_user_msg", "")];
    let mut result = own();
    result.extend([field("error_code", 0), field("error", "")]);
    let mut all = own();
    // What older clients have no place for is said where they show it.
    if version == V38 && !warnings.is_empty() {
        all.pop();
        all.push(field("job_submit_user_msg", warnings.join("\n")));
    }
    all.push(field("result", Fact::Object(result)).from(V39));
    answer(version, "", all, (Vec::new(), warnings))
}
