//! *Purpose*: a part of a job, as JSON.
//!
//! *Owns*: [`Fields`], which of them are wanted; [`Picked`], a job with these alone.
//!
//! *Promises*: whoever lists ten thousand jobs pays for what he wants to see of them. `id` and
//! `state` are always there.
//!
//! *Not here*: what the fields mean (`wire::job`).

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::job::Job;
use crate::text::quote::shorten;

/// A job, of which these fields are told.
#[derive(Clone, Copy, Debug)]
pub struct Picked<'a> {
    /// The job.
    pub job: &'a Job,
    /// What of it.
    pub fields: &'a Fields,
}

/// A page of jobs, of which these fields are told.
#[derive(Debug, serde::Serialize)]
pub struct PickedList<'a> {
    /// The jobs.
    pub jobs: Vec<Picked<'a>>,
    /// As of a whole page.
    pub next_cursor: Option<String>,
}

macro_rules! fields {
    ($($name:ident)+) => {
        /// Which fields of a job are wanted.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Fields {
            $(
                #[doc = concat!("Whether `", stringify!($name), "` is.")]
                pub $name: bool,
            )+
        }

        impl Fields {
            /// Every field.
            pub const ALL: Fields = Fields { $($name: true,)+ };

            /// No field.
            pub const NONE: Fields = Fields { $($name: false,)+ };

            /// All that there are.
            pub const NAMES: &[&str] = &[$(stringify!($name)),+];

            fn want(&mut self, name: &str) -> bool {
                match name {
                    $(stringify!($name) => self.$name = true,)+
                    _ => return false,
                }
                true
            }
        }

        impl Serialize for Picked<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                $(if self.fields.$name {
                    map.serialize_entry(stringify!($name), &self.job.$name)?;
                })+
                map.end()
            }
        }
    };
}

fields! {
    id name account user uid redacted partition state state_reason state_detail position
    estimated_start_time estimate_basis priority held held_by begin_time deadline dependency
    array_job_id array_task_id array_tasks array retry restart_count signal
    kill_on_invalid_dependency open_mode cpus ntasks cpus_per_task args memory_bytes resources
    time_limit_s working_directory
    standard_output standard_error standard_input submit_directory stdout_path stderr_path
    command mail_type mail_user
    kept_until labels comment data_source submit_time eligible_time start_time end_time
    expected_end_time kill_time suspend_time suspended_s elapsed_s
    exit_code exit_status exit_signal error warnings attempt node allocation usage
    usage_now
}

impl Fields {
    /// Reads names with commas between.
    ///
    /// # Errors
    /// A sentence that names the field that no job has.
    pub fn parse(text: &str) -> Result<Fields, String> {
        let mut fields = Fields { id: true, state: true, ..Fields::default() };
        for name in text.split(',').map(str::trim) {
            if !fields.want(name) {
                return Err(format!("\"{}\" is no field of a job", shorten(name)));
            }
        }
        Ok(fields)
    }

    /// Whether it has to be found out why jobs wait.
    #[must_use]
    pub fn tell_reasons(&self) -> bool {
        self.state_reason
            || self.state_detail
            || self.position
            || self.estimated_start_time
            || self.estimate_basis
    }

    /// Whether paths have to be made.
    #[must_use]
    pub fn tell_paths(&self) -> bool {
        self.working_directory
            || self.standard_output
            || self.standard_error
            || self.stdout_path
            || self.stderr_path
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_is_told_field_by_field_as_in_whole() {
        let job: Job = serde_json::from_value(json!({
            "id": 17, "name": "n", "account": "", "user": "u", "partition": "p",
            "state": "PENDING", "priority": 3, "cpus": 1, "labels": {"a": "b"},
            "data_source": "API", "submit_time": "t", "elapsed_s": 0, "attempt": 0,
        }))
        .unwrap();
        let whole = serde_json::to_value(&job).unwrap();
        let told = |names: &str| {
            let fields = Fields::parse(names).unwrap();
            serde_json::to_value(Picked { job: &job, fields: &fields }).unwrap()
        };
        assert_eq!(told(&Fields::NAMES.join(",")), whole, "every field has its name here");
        assert_eq!(
            told("name, cpus"),
            json!({"id": 17, "state": "PENDING", "name": "n", "cpus": 1})
        );
        // What was not told is what it is when nothing is known.
        let part: Job = serde_json::from_value(told("name")).unwrap();
        assert_eq!((&*part.name, part.cpus, part.exit_code), ("n", 0, None));
        for names in ["", "id,,", "colour"] {
            assert!(Fields::parse(names).unwrap_err().contains("is no field of a job"), "{names}");
        }
        assert!(serde_json::from_value::<Job>(json!({"id": 1})).is_err(), "a state it must have");
        let reasons = |names| Fields::parse(names).unwrap().tell_reasons();
        assert!(reasons("position") && !reasons("name"));
    }
}
