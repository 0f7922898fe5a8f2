//! *Purpose*: takes fields out of a JSON object one by one, by type.
//!
//! *Owns*: [`Fields`].
//!
//! *Promises*: a wrong type names its field and what was found; what nobody took is refused by
//! name, and the names that are known are said once; every fault of an object is found in one go.
//! `null` counts as absent.
//!
//! *Not here*: what the fields mean (`wire::submit`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::job::faults::{FAULTS_SHOWN, Faults, FieldError};
use crate::text::quote::shorten;

/// A JSON value's type in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// About as many fields as a job can have.
const FIELDS: usize = 24;

/// An object whose fields are being taken.
pub(super) struct Fields<'a> {
    map: Map<String, Value>,
    path: String,
    known: Vec<&'static str>,
    errors: &'a mut Faults,
}

impl<'a> Fields<'a> {
    /// The fields of `map`, which stands at `path` (`""`, `"job."`, `"jobs[1]."`).
    pub(super) fn new(
        map: Map<String, Value>,
        path: impl Into<String>,
        errors: &'a mut Faults,
    ) -> Self {
        let known = Vec::with_capacity(FIELDS);
        Fields { map, path: path.into(), known, errors }
    }

    /// The body's own name of a field.
    pub(super) fn path(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    pub(super) fn refuse(&mut self, name: &str, message: impl Into<String>) {
        let field = self.path(name);
        self.errors.push(FieldError::new(field, message));
    }

    pub(super) fn errors(&mut self) -> &mut Faults {
        self.errors
    }

    /// Any value; `null` is none.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.map.remove(name).filter(|v| !v.is_null())
    }

    /// Any value, `null` too: it says something of its own.
    pub(super) fn take_null_too(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.map.remove(name)
    }

    /// Looks without taking.
    pub(super) fn peek(&self, name: &str) -> Option<&Value> {
        self.map.get(name)
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => {
                self.refuse(name, format!("is {}; a string is expected", kind(&other)));
                None
            }
        }
    }

    pub(super) fn whole(&mut self, name: &'static str) -> Option<i64> {
        match self.take(name)? {
            Value::Number(number) if number.is_i64() => number.as_i64(),
            Value::Number(number) => {
                self.refuse(name, format!("{number} is not a whole number that fits 63 bits"));
                None
            }
            other => {
                self.refuse(name, format!("is {}; a whole number is expected", kind(&other)));
                None
            }
        }
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(flag) => Some(flag),
            other => {
                self.refuse(name, format!("is {}; true or false is expected", kind(&other)));
                None
            }
        }
    }

    /// A value that `parse` understands.
    pub(super) fn parsed<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.take(name)?;
        parse(&value).map_err(|message| self.refuse(name, message)).ok()
    }

    /// An object of strings.
    pub(super) fn strings(&mut self, name: &'static str) -> Option<BTreeMap<String, String>> {
        match self.take(name)? {
            Value::Object(map) => {
                let mut strings = BTreeMap::new();
                for (key, value) in map {
                    match value {
                        Value::String(text) => {
                            strings.insert(key, text);
                        }
                        other => self.refuse(
                            &format!("{name}.{key}"),
                            format!("is {}; a string is expected", kind(&other)),
                        ),
                    }
                }
                Some(strings)
            }
            other => {
                self.refuse(name, format!("is {}; an object of strings is expected", kind(&other)));
                None
            }
        }
    }

    /// Refuses by name what nobody took.
    pub(super) fn finish(self) {
        let (path, known) = (self.path, self.known.join(", "));
        for (n, name) in self.map.keys().take(FAULTS_SHOWN).enumerate() {
            let field = format!("{path}{}", shorten(name));
            let message = match n {
                0 => format!("is not a known field; known are {known}"),
                _ => "is not a known field".to_owned(),
            };
            self.errors.push(FieldError::new(field, message));
        }
        self.errors.count(self.map.len().saturating_sub(FAULTS_SHOWN));
    }
}
