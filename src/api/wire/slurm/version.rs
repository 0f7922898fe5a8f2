//! *Purpose*: how one fact is written for clients of one version of Slurm's API, and for another's.
//!
//! *Owns*: [`Version`]; `FORMS`, the one table of how they differ; [`Field`], a fact with its
//! name and the versions that have it.
//!
//! *Promises*: what differs between versions is in this table and in the spans of fields, and is
//! asked for nowhere else.
//!
//! *Not here*: which fields there are (`slurm::jobs`, `slurm::history`, `slurm::machine`).
//!
//! Source: what slurmrestd 22.05 answered (0.0.38); clients that were generated from the documents
//! of slurmrestd 23.02 to 24.11 (0.0.39 to 0.0.42).

use serde_json::{Map, Value, json};
use strum::VariantArray;

use crate::job::signal::name_of;

/// A version of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
#[allow(missing_docs, reason = "each is the version that it is named after: 0.0.38 …")]
pub enum Version {
    V38,
    V39,
    V40,
    V41,
    V42,
}

/// The kinds of facts that are not written alike in all versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A number that may not be set.
    Number,
    /// The same of the list of jobs' times, seconds since 1970.
    Time,
    /// The state of a job.
    State,
    /// How a job ended, in the queue.
    Exit,
    /// The same in the accounting.
    EndedWith,
    /// Some words.
    Words,
    /// The numbers of Slurm's own version.
    Release,
}

/// How a fact is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A number, or null where it is not set.
    Plain,
    /// An object that says whether it is set, and whether it is without end.
    Struct,
    /// One word.
    Word,
    /// A list of words.
    List,
    /// As the system has it: the code times 256, or the signal.
    Status,
    /// That in an object of its own.
    StatusStruct,
    /// An object with a word, a number and, where there is one, a signal.
    Parts,
    /// The same, its word in a list and its numbers objects.
    PartsStruct,
    /// Words with commas between.
    Commas,
}

use Form::{Commas, List, Parts, PartsStruct, Plain, Status, StatusStruct, Struct, Word};

/// How each kind is written from version to version.
#[rustfmt::skip]
const FORMS: &[(Kind, [Form; 5])] = &[
    //                   0.0.38  0.0.39        0.0.40       0.0.41       0.0.42
    (Kind::Number,    [Plain,  Struct,       Struct,      Struct,      Struct]),
    (Kind::Time,      [Plain,  Plain,        Struct,      Struct,      Struct]),
    (Kind::State,     [Word,   Word,         List,        List,        List]),
    (Kind::Exit,      [Status, StatusStruct, PartsStruct, PartsStruct, PartsStruct]),
    (Kind::EndedWith, [Parts,  Parts,        PartsStruct, PartsStruct, PartsStruct]),
    (Kind::Words,     [Commas, List,         List,        List,        List]),
    (Kind::Release,   [Plain,  Plain,        Word,        Word,        Word]),
];

impl Version {
    /// By the word that stands in a path.
    #[must_use]
    pub fn named(word: &str) -> Option<Version> {
        Version::VARIANTS.iter().copied().find(|version| version.name() == word)
    }

    /// The word that stands in a path.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["v0.0.38", "v0.0.39", "v0.0.40", "v0.0.41", "v0.0.42"][self as usize]
    }

    /// The first Slurm that had it.
    #[must_use]
    pub fn release(self) -> &'static str {
        ["22.05.8", "23.02.0", "23.11.0", "24.05.0", "24.11.0"][self as usize]
    }

    /// Whether a field that no version knows is refused; else it is said that nobody looks at it.
    #[must_use]
    pub fn refuses_unknown_fields(self) -> bool {
        self == Version::V38
    }

    fn form(self, kind: Kind) -> Form {
        let found = FORMS.iter().find(|(own, _)| *own == kind);
        found.map_or(Plain, |(_, forms)| forms[self as usize])
    }

    /// All of these that this version has, as one object.
    #[must_use]
    pub fn object(self, fields: Vec<Field>) -> Value {
        let own = fields.into_iter().filter(|field| field.first <= self && self <= field.last);
        let all: Map<String, Value> =
            own.map(|field| (field.name.to_owned(), self.value(field.fact))).collect();
        Value::Object(all)
    }

    fn value(self, fact: Fact) -> Value {
        match fact {
            Fact::Plain(value) => value,
            Fact::Number(number) => self.number(Kind::Number, number, false),
            Fact::Limit(number) => self.number(Kind::Number, number, true),
            Fact::Time(time) => self.number(Kind::Time, Some(time), false),
            Fact::State(word) if self.form(Kind::State) == Word => word.into(),
            Fact::State(word) => json!([word]),
            Fact::Exit(code) => self.exit(Kind::Exit, &code),
            Fact::EndedWith(code) => self.exit(Kind::EndedWith, &code),
            Fact::Words(words) if self.form(Kind::Words) == Commas => words.join(",").into(),
            Fact::Words(words) => words.into(),
            Fact::Release(number) if self.form(Kind::Release) == Plain => {
                number.parse::<u32>().unwrap_or(0).into()
            }
            Fact::Release(number) => number.into(),
            Fact::Object(fields) => self.object(fields),
            Fact::All(all) => all.into_iter().map(|fields| self.object(fields)).collect(),
        }
    }

    fn number(self, kind: Kind, number: Option<i64>, is_endless: bool) -> Value {
        match self.form(kind) {
            Struct => json!({
                "set": number.is_some(),
                "infinite": number.is_none() && is_endless,
                "number": number.unwrap_or(0),
            }),
            _ => number.into(),
        }
    }

    /// `code:signal`.
    fn exit(self, kind: Kind, text: &str) -> Value {
        let (code, signal) = text.split_once(':').unwrap_or((text, "0"));
        let (code, signal) = (code.parse::<i64>().unwrap_or(0), signal.parse::<i64>().unwrap_or(0));
        let status = code * 256 + signal;
        let word = match (code, signal) {
            (0, 0) => "SUCCESS",
            (_, 0) => "ERROR",
            _ => "SIGNALED",
        };
        let name = name_of(signal).unwrap_or_default();
        let number = |number| self.number(Kind::Number, number, false);
        match self.form(kind) {
            Status => status.into(),
            StatusStruct => number(Some(status)),
            PartsStruct => json!({
                "status": [word],
                "return_code": number(Some(code)),
                "signal": {"id": number(Some(signal).filter(|n| *n > 0)), "name": name},
            }),
            _ if signal > 0 => json!({
                "status": word,
                "return_code": code,
                "signal": {"signal_id": signal, "name": name},
            }),
            _ => json!({"status": word, "return_code": code}),
        }
    }
}

/// A fact, before it is known for which version.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// It is written alike everywhere.
    Plain(Value),
    /// A number, if it is set.
    Number(Option<i64>),
    /// A number; without one there is no bound.
    Limit(Option<i64>),
    /// Seconds since 1970, 0 where it is not known.
    Time(i64),
    /// A state.
    State(&'static str),
    /// `code:signal`, in the queue.
    Exit(String),
    /// `code:signal`, in the accounting.
    EndedWith(String),
    /// Words.
    Words(Vec<String>),
    /// A part of Slurm's own version.
    Release(String),
    /// Facts under one name.
    Object(Vec<Field>),
    /// A list of such.
    All(Vec<Vec<Field>>),
}

/// A fact, its name, and the versions that have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    name: &'static str,
    first: Version,
    last: Version,
    fact: Fact,
}

/// A field that all versions have.
pub fn field(name: &'static str, fact: impl Into<Fact>) -> Field {
    Field { name, first: Version::V38, last: Version::V42, fact: fact.into() }
}

impl Field {
    /// The first version that has it.
    #[must_use]
    pub fn from(self, first: Version) -> Field {
        Field { first, ..self }
    }

    /// The last version that has it.
    #[must_use]
    pub fn until(self, last: Version) -> Field {
        Field { last, ..self }
    }
}

impl<T: Into<Value>> From<T> for Fact {
    fn from(value: T) -> Fact {
        Fact::Plain(value.into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What a fact is in 0.0.38, 0.0.39 and from 0.0.40 on.
    fn written(fact: &Fact) -> [Value; 3] {
        let all = [Version::V38, Version::V39, Version::V40];
        assert_eq!(Version::V40.value(fact.clone()), Version::V42.value(fact.clone()));
        all.map(|version| version.value(fact.clone()))
    }

    #[test]
    fn each_kind_is_written_as_each_version_has_it() {
        let set = |number: i64| json!({"set": true, "infinite": false, "number": number});
        let unset = json!({"set": false, "infinite": false, "number": 0});
        let endless = json!({"set": false, "infinite": true, "number": 0});
        assert_eq!(written(&Fact::Number(Some(7))), [json!(7), set(7), set(7)]);
        assert_eq!(written(&Fact::Number(None)), [Value::Null, unset.clone(), unset.clone()]);
        assert_eq!(written(&Fact::Limit(Some(5))), [json!(5), set(5), set(5)]);
        assert_eq!(written(&Fact::Limit(None)), [Value::Null, endless.clone(), endless]);
        assert_eq!(written(&Fact::Time(9)), [json!(9), json!(9), set(9)]);
        assert_eq!(written(&Fact::State("RUNNING"))[1..], [json!("RUNNING"), json!(["RUNNING"])]);
        let exit = written(&Fact::Exit("3:0".to_owned()));
        assert_eq!((&exit[0], &exit[1]), (&json!(768), &set(768)));
        assert_eq!(exit[2]["return_code"], set(3));
        assert_eq!((&exit[2]["status"], &exit[2]["signal"]["id"]), (&json!(["ERROR"]), &unset));
        let killed = written(&Fact::EndedWith("0:9".to_owned()));
        assert_eq!(killed[0]["status"], "SIGNALED");
        assert_eq!(killed[0]["signal"]["signal_id"], 9);
        assert_eq!(killed[2]["signal"], json!({"id": set(9), "name": "KILL"}));
        assert_eq!(written(&Fact::Words(vec!["a".into()]))[..2], [json!("a"), json!(["a"])]);
    }

    #[test]
    fn a_field_is_in_its_versions_alone_and_a_version_has_one_name() {
        let fields = || vec![field("a", 1), field("b", "x").from(Version::V40).until(Version::V41)];
        assert_eq!(Version::V39.object(fields()), json!({"a": 1}));
        assert_eq!(Version::V41.object(fields()), json!({"a": 1, "b": "x"}));
        assert_eq!(Version::V42.object(fields()), json!({"a": 1}));
        for version in Version::VARIANTS {
            assert_eq!(Version::named(version.name()), Some(*version));
        }
        assert_eq!((Version::named("v0.0.37"), Version::named("0.0.38")), (None, None));
        assert_eq!(FORMS.len(), 7);
    }
}
