//! *Purpose*: a job that was read from a body, and how its sender named the parts of it.
//!
//! *Owns*: [`Submission`], the only way from a body through the kernel's door.
//!
//! *Promises*: a refusal names the field as the body named it, or the script and its line.
//!
//! *Not here*: reading the body (`wire::submit`), the bounds (`kernel::admission`).

use std::collections::BTreeMap;

use super::sbatch::{LINE, Placed};
use crate::job::faults::{Faults, FieldError};
use crate::job::spec::{JobRequest, JobSpec};
use crate::kernel::admission::Site;

/// A body that was read: the request, and how its sender named the parts of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// What is asked for.
    pub request: JobRequest,
    origins: FieldOrigins,
}

/// Where a field of the request came from, when not from the body's field of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Body(&'static str),
    Line(String),
    /// A field that stands for an option, with all that stands before it.
    Field(String),
}

impl Submission {
    /// Says a refusal in the words of the body.
    #[must_use]
    pub fn renamed(&self, error: FieldError) -> FieldError {
        self.origins.renamed(error)
    }

    /// Checks the request against what the site allows. The origins are for what is found out
    /// later.
    ///
    /// # Errors
    /// Every bad field, as the body names it.
    pub fn check(self, site: &Site) -> Result<(JobSpec, FieldOrigins), Faults> {
        let Submission { request, origins } = self;
        match JobSpec::try_from((request, site)) {
            Ok(spec) => Ok((spec, origins)),
            Err(refused) => {
                let mut faults = Faults::default();
                faults.absorb(refused.0, |e| origins.renamed(e));
                Err(faults)
            }
        }
    }
}

/// How the sender named the parts of a request. Most requests have no fault and most parts their
/// usual name, so what is needed for the others only is made for them only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldOrigins {
    path: String,
    prefix: String,
    unusual: BTreeMap<&'static str, Source>,
}

impl FieldOrigins {
    /// `path` stands before the fields of the job, `prefix` before its script.
    pub(super) fn new(path: String, prefix: String) -> FieldOrigins {
        FieldOrigins { path, prefix, unusual: BTreeMap::new() }
    }

    pub(super) fn submission(self, request: JobRequest) -> Submission {
        Submission { request, origins: self }
    }

    /// Says a refusal of the kernel in the words of the body.
    #[must_use]
    pub fn renamed(&self, error: FieldError) -> FieldError {
        let (head, tail) = match error.field.find('.') {
            Some(dot) => error.field.split_at(dot),
            None => (error.field.as_str(), ""),
        };
        let (path, prefix) = (&self.path, &self.prefix);
        match self.unusual.get(head) {
            None => FieldError::new(format!("{prefix}{}", error.field), error.message),
            Some(Source::Body(name)) => {
                FieldError::new(format!("{path}{name}{tail}"), error.message)
            }
            Some(Source::Line(place)) => {
                FieldError::new(format!("{prefix}script"), format!("{place}: {}", error.message))
            }
            Some(Source::Field(name)) => FieldError::new(format!("{name}{tail}"), error.message),
        }
    }

    /// `field` of the request was `own` in the body.
    pub(super) fn say(&mut self, field: &'static str, own: &'static str) {
        if field != own || self.path != self.prefix {
            self.unusual.insert(field, Source::Body(own));
        }
    }

    /// `field` of the request stood in a `#SBATCH` line, or in a field that stands for an option.
    pub(super) fn line(&mut self, field: &'static str, place: &str) {
        let source = if place.starts_with(LINE) { Source::Line } else { Source::Field };
        self.unusual.insert(field, source(place.to_owned()));
    }

    /// The body's value, else the line's; remembers which.
    pub(super) fn either<T>(
        &mut self,
        field: &'static str,
        own: &'static str,
        body: Option<T>,
        line: Option<Placed<T>>,
    ) -> Option<T> {
        match (body, line) {
            (None, Some(line)) => {
                self.line(field, &line.place);
                Some(line.value)
            }
            (body, _) => {
                self.say(field, own);
                body
            }
        }
    }
}
