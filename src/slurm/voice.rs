//! *Purpose*: the sentences of the programs that submit jobs.
//!
//! *Owns*: [`Voice`].
//!
//! *Promises*: what is refused is said in the words of Slurm first, then in ours, which know the
//! field and the line.
//!
//! *Not here*: what is refused (`api::wire::sbatch`, the server).
//!
//! Source: what sbatch and srun of Slurm 22.05 answered.

use super::failure::{BAD_OPTION, Failure};
use crate::api::wire::sbatch::{Directives, Misread};
use crate::cli::CliError;

/// Options whose value is a number of something.
const COUNTS: [&str; 6] =
    ["cpus-per-task", "cpus-per-gpu", "mincpus", "ntasks", "ntasks-per-gpu", "ntasks-per-node"];

/// Who speaks.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    /// Its name.
    pub command: &'static str,
    /// How it begins to say that nothing was submitted.
    pub failed: &'static str,
}

impl Voice {
    /// Whether the options make sense.
    ///
    /// # Errors
    /// What makes none, in the words of Slurm.
    pub fn sensible(self, options: &Directives) -> Result<(), Failure> {
        let Some(misread) = &options.misread else { return Ok(()) };
        let failure = self.misread_as(misread);
        // What we know beyond Slurm: the line, and what is wrong.
        let known = options.errors.clone().listed().into_iter().map(|error| {
            let place = if error.field == "script" { String::new() } else { error.field + ": " };
            format!("{}: error: {place}{}", self.command, error.message)
        });
        Err(known.take(1).fold(failure, |failure, line| failure.and(line)))
    }

    fn misread_as(self, misread: &Misread) -> Failure {
        let command = self.command;
        let senseless = |what: String| {
            let failure = Failure::new(format!("{command}: {what}")).with_code(BAD_OPTION);
            failure.and(format!("Try \"{command} --help\" for more information"))
        };
        match misread {
            Misread::Unknown(word) => match word.strip_prefix("--") {
                Some(_) => senseless(format!("unrecognized option '{word}'")),
                None => senseless(format!("invalid option -- '{}'", word.trim_start_matches('-'))),
            },
            Misread::NoValue(name) => senseless(format!("option '--{name}' requires an argument")),
            Misread::NeedlessValue(name) => {
                senseless(format!("option '--{name}' doesn't allow an argument"))
            }
            Misread::NoOption(word) => {
                let what = format!("Invalid directive found in batch script: {word}");
                Failure::error(self.command, &what).with_code(BAD_OPTION)
            }
            Misread::Script => {
                Failure::error(self.command, "the script cannot be read as it is meant")
            }
            Misread::Refused(name) => self.failed(match *name {
                "constraint" | "prefer" | "cluster-constraint" => "Invalid feature specification",
                "reservation" => "Requested reservation is invalid",
                "bb" | "bbf" => "Burst Buffer request invalid",
                "uid" | "gid" => "Access/permission denied",
                "clusters" => "Invalid cluster name",
                _ => "Requested operation is presently disabled",
            }),
            Misread::Value(name, value) => self.of_value(name, value),
        }
    }

    /// A value that makes no sense.
    fn of_value(self, name: &str, value: &str) -> Failure {
        let first = |field: &str| self.failed(about(field));
        match name {
            name if COUNTS.contains(&name) => {
                let what = format!("Invalid numeric value \"{value}\" for --{name}.");
                Failure::error(self.command, &what)
            }
            "array" | "dependency" | "licenses" => first(name),
            "nodelist" | "exclude" => self.failed("Invalid node name specified"),
            "gres" | "gpus" | "gpus-per-task" => {
                Failure::error(self.command, "Invalid generic resource (gres) specification")
            }
            "nodes" if !value.starts_with(|c: char| c.is_ascii_digit()) => {
                let what = format!("\"{value}\" is not a valid node count");
                Failure::error(self.command, &what).with_code(BAD_OPTION)
            }
            "nodes" => first("cpus"),
            "begin" | "deadline" => {
                Failure::new(format!("Invalid time specification (pos=0): {value}"))
                    .and(format!("{}: error: Invalid --{name} specification", self.command))
                    .with_code(BAD_OPTION)
            }
            name => {
                let what = format!("Invalid --{name} specification");
                Failure::error(self.command, &what).with_code(BAD_OPTION)
            }
        }
    }

    pub fn failed(self, why: &str) -> Failure {
        Failure::error(self.command, &format!("{}: {why}", self.failed))
    }

    /// What the server refused, or that there is none.
    pub fn refused(self, error: &CliError) -> Failure {
        let first = match error {
            CliError::Refused { status: 401 | 403, .. } => "Access/permission denied",
            CliError::Refused { status: 429, .. } => "Slurm temporarily unable to accept job",
            CliError::Refused { fields, message, .. } => {
                let field = fields.first().map_or("", |error| error.field.as_str());
                let is_limit = message.contains("max_");
                let is_license = field == "resources" && message.contains("license/");
                match field {
                    _ if is_license => about("licenses"),
                    _ if is_limit => {
                        "Job violates accounting/QOS policy (job submit limit, user's size and/or \
                     time limits)"
                    }
                    field => about(field),
                }
            }
            CliError::Unreachable { .. } | CliError::Broken { .. } | CliError::Lost { .. } => {
                "Unable to contact slurm controller (connect failure)"
            }
            _ => return Failure::of(self.command, error),
        };
        // Real Slurm finds that out before it sends the job.
        let first = match first {
            "Invalid generic resource (gres) specification" => Failure::error(self.command, first),
            first => self.failed(first),
        };
        error.to_string().lines().fold(first, |failure, line| {
            failure.and(format!("{}: error: {}", self.command, line.trim_start()))
        })
    }
}

/// Slurm's words for what is wrong with this field of a job.
fn about(field: &str) -> &'static str {
    match field {
        "partition" => "Invalid partition name specified",
        "account" => "Invalid account or account/partition combination specified",
        "array" => "Invalid job array specification",
        "dependency" => "Job dependency problem",
        "time_limit" => "Requested time limit is invalid (missing or exceeds some limit)",
        "licenses" => "Invalid license specification",
        "resources" => "Invalid generic resource (gres) specification",
        "cpus" | "cpus_per_task" | "ntasks" | "ntasks_per_node" | "memory" | "exclusive" => {
            "Requested node configuration is not available"
        }
        "deadline" => "Invalid deadline specified",
        "working_directory" => "Unable to change directory",
        "user" => "Access/permission denied",
        _ => "Invalid job request",
    }
}
