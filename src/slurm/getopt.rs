//! *Purpose*: reads command lines as the programs of Slurm do.
//!
//! *Owns*: [`Opt`], [`Given`], and the sentences about options that make no sense.
//!
//! *Promises*: beginnings of long names, letters in one word, values behind `=`, behind a letter or
//! in the next word, as getopt_long(3) of GNU has them; what makes no sense is said in its words.
//!
//! *Not here*: what options mean (the commands).

use std::ffi::OsString;

use lexopt::{Arg, Parser};

use super::failure::{BAD_OPTION, FAILED, Failure};
use crate::api::wire::sbatch::Takes;

/// What an option does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What it does in Slurm: a line for the help.
    Does(&'static str),
    /// Nothing, and why that does no harm.
    Nothing(&'static str),
    /// It is refused, and why.
    Refused(&'static str),
}

/// An option: its long name, its letter, whether it takes a value, what it does.
pub type Opt = (&'static str, Option<char>, Takes, Effect);

/// A command, as far as its command line is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Grammar<'a> {
    /// Its name.
    pub command: &'a str,
    /// Its options.
    pub options: &'a [Opt],
    /// Whether options end with the first word that is none: it begins another command line.
    pub ends_with_a_word: bool,
}

/// What was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Options by their long names, in their order.
    pub options: Vec<(&'static str, Option<String>)>,
    /// The words between and behind them.
    pub words: Vec<String>,
}

impl Given {
    /// Whether an option was given.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(own, _)| *own == name)
    }

    /// The value of an option; of what is given twice the later one.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// All values of an option that may be given again and again.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.options.iter().filter(move |(own, _)| *own == name).filter_map(|(_, v)| v.as_deref())
    }
}

impl Grammar<'_> {
    /// Reads what was typed behind the command's name.
    ///
    /// # Errors
    /// An option that is not known, or has a value too many or too few.
    pub fn read(&self, typed: impl IntoIterator<Item = OsString>) -> Result<Given, Failure> {
        let mut parser = Parser::from_args(typed);
        let mut given = Given::default();
        loop {
            let next = match parser.next() {
                Ok(next) => next,
                Err(error) => return Err(self.senseless(&error.to_string())),
            };
            match next {
                None => return Ok(given),
                Some(Arg::Long(name)) => {
                    let name = name.to_owned();
                    let found = self.by_name(&name, &mut parser)?;
                    let value = self.value_of(found.2, found.0, &mut parser)?;
                    given.options.push((self.allowed(found)?, value));
                }
                Some(Arg::Short(letter)) => {
                    let found = self.options.iter().find(|(_, own, ..)| *own == Some(letter));
                    let unknown = || self.senseless(&format!("invalid option -- '{letter}'"));
                    let found = *found.ok_or_else(unknown)?;
                    let value = self.value_of_letter(found.2, letter, &mut parser)?;
                    given.options.push((self.allowed(found)?, value));
                }
                Some(Arg::Value(word)) => {
                    given.words.push(self.text(word)?);
                    if self.ends_with_a_word {
                        let rest = parser.raw_args().map_err(|e| self.senseless(&e.to_string()))?;
                        for word in rest {
                            given.words.push(self.text(word)?);
                        }
                        return Ok(given);
                    }
                }
            }
        }
    }

    /// The option of this name, or of the only one that begins so.
    fn by_name(&self, name: &str, parser: &mut Parser) -> Result<Opt, Failure> {
        if let Some(exact) = self.options.iter().find(|(own, ..)| *own == name) {
            return Ok(*exact);
        }
        let meant: Vec<&Opt> =
            self.options.iter().filter(|(own, ..)| own.starts_with(name)).collect();
        if let [only] = meant[..] {
            return Ok(*only);
        }
        let typed = match parser.optional_value() {
            Some(value) => format!("--{name}={}", value.to_string_lossy()),
            None => format!("--{name}"),
        };
        if meant.is_empty() {
            return Err(self.senseless(&format!("unrecognized option '{typed}'")));
        }
        let names: Vec<String> = meant.iter().map(|(own, ..)| format!("'--{own}'")).collect();
        let names = names.join(" ");
        Err(self.senseless(&format!("option '{typed}' is ambiguous; possibilities: {names}")))
    }

    fn value_of(
        &self,
        takes: Takes,
        name: &str,
        parser: &mut Parser,
    ) -> Result<Option<String>, Failure> {
        match takes {
            Takes::Nothing => match parser.optional_value() {
                None => Ok(None),
                Some(_) => {
                    let what = format!("option '--{name}' doesn't allow an argument");
                    Err(self.senseless(&what))
                }
            },
            Takes::Maybe => parser.optional_value().map(|value| self.text(value)).transpose(),
            Takes::Value => {
                let what = format!("option '--{name}' requires an argument");
                let missing = |_| self.senseless(&what);
                let value = parser.value().map_err(missing)?;
                self.text(value).map(Some)
            }
        }
    }

    fn value_of_letter(
        &self,
        takes: Takes,
        letter: char,
        parser: &mut Parser,
    ) -> Result<Option<String>, Failure> {
        match takes {
            // What stands behind it are more letters.
            Takes::Nothing => Ok(None),
            Takes::Maybe => parser.optional_value().map(|value| self.text(value)).transpose(),
            Takes::Value => {
                let missing =
                    |_| self.senseless(&format!("option requires an argument -- '{letter}'"));
                let value = parser.value().map_err(missing)?;
                self.text(value).map(Some)
            }
        }
    }

    /// The option's name, unless it is refused.
    fn allowed(&self, (name, _, _, effect): Opt) -> Result<&'static str, Failure> {
        match effect {
            Effect::Refused(why) => {
                let what = format!("--{name} is not honoured here: {why}");
                Err(Failure::error(self.command, &what).with_code(self.code()))
            }
            Effect::Does(_) | Effect::Nothing(_) => Ok(name),
        }
    }

    fn text(&self, word: OsString) -> Result<String, Failure> {
        word.into_string().map_err(|word| {
            let what = format!("\"{}\" is not UTF-8", word.to_string_lossy());
            Failure::error(self.command, &what).with_code(self.code())
        })
    }

    fn code(&self) -> u8 {
        if self.ends_with_a_word { BAD_OPTION } else { FAILED }
    }

    fn senseless(&self, what: &str) -> Failure {
        let command = self.command;
        let failure = Failure::new(format!("{command}: {what}")).with_code(self.code());
        failure.and(format!("Try \"{command} --help\" for more information"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const OPTIONS: &[Opt] = &[
        ("hold", Some('H'), Takes::Nothing, Effect::Does("")),
        ("job-name", Some('J'), Takes::Value, Effect::Does("")),
        ("no-kill", Some('k'), Takes::Maybe, Effect::Nothing("")),
        ("no-requeue", None, Takes::Nothing, Effect::Does("")),
        ("reboot", None, Takes::Nothing, Effect::Refused("it would hurt")),
        ("time", Some('t'), Takes::Value, Effect::Does("")),
    ];

    fn read(line: &str) -> Result<Given, String> {
        let grammar = Grammar { command: "sbatch", options: OPTIONS, ends_with_a_word: true };
        let words = line.split_whitespace().map(OsString::from);
        grammar.read(words).map_err(|failure| failure.lines[0].clone())
    }

    #[test]
    fn options_are_read_as_getopt_reads_them() {
        let given = read("-HJ a --ti=5 -t6 --job x --no-k=y file --hold -x").unwrap();
        let value = |text: &str| Some(text.to_owned());
        let expected = [
            ("hold", None),
            ("job-name", value("a")),
            ("time", value("5")),
            ("time", value("6")),
            ("job-name", value("x")),
            ("no-kill", value("y")),
        ];
        assert_eq!(given.options, expected);
        assert_eq!(given.words, ["file", "--hold", "-x"]);
        assert_eq!((given.value("time"), given.has("hold")), (Some("6"), true));
    }

    #[test]
    fn what_makes_no_sense_is_said_in_the_words_of_getopt() {
        for (line, said) in [
            ("--foo", "sbatch: unrecognized option '--foo'"),
            ("--fo=1", "sbatch: unrecognized option '--fo=1'"),
            ("--reboot", "sbatch: error: --reboot is not honoured here: it would hurt"),
            ("-Z", "sbatch: invalid option -- 'Z'"),
            ("-t", "sbatch: option requires an argument -- 't'"),
            ("--time", "sbatch: option '--time' requires an argument"),
            ("--hold=3", "sbatch: option '--hold' doesn't allow an argument"),
            (
                "--no",
                "sbatch: option '--no' is ambiguous; possibilities: '--no-kill' '--no-requeue'",
            ),
        ] {
            assert_eq!(read(line).unwrap_err(), said, "{line}");
        }
    }
}
