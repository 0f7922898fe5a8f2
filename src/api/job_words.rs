//! *Purpose*: what people type to find jobs.
//!
//! *Owns*: the words of `q`, and how a state and a label are written.
//!
//! *Promises*: a word that means nothing is refused and named.
//!
//! *Not here*: the other parameters (`api::job_filter`).
//!
//! **The words**, with blanks between: a number is a job, `17_4` a task of an array;
//! `user:NAME`, `account:NAME`, `state:STATE` and `label:KEY=VALUE` are the parameters of these
//! names; anything else is how a name begins.

use crate::job::array_spec::JobRef;
use crate::job::state::StateWord;
use crate::store::filter::JobFilter;
use crate::text::quote::shorten;

/// Reads them into a filter.
///
/// # Errors
/// Says which word is none.
pub(super) fn read(text: &str, filter: &mut JobFilter) -> Result<(), String> {
    for word in text.split_whitespace() {
        match word.split_once(':') {
            Some((key, value)) => token(word, (key, value), filter)?,
            None if is_number(word) => {
                let of: JobRef = word.parse()?;
                if filter.one.replace(of).is_some_and(|before| before != of) {
                    return Err("names two jobs; ask for them by ids".to_owned());
                }
            }
            None => {
                if let Some(before) = filter.name_begins.replace(word.to_owned()) {
                    let (before, word) = (shorten(&before), shorten(word));
                    return Err(format!(
                        "\"{before}\" and \"{word}\" are two beginnings of a name; one is taken"
                    ));
                }
            }
        }
    }
    Ok(())
}

/// States with commas between.
pub(super) fn states_of(text: &str) -> Result<Vec<StateWord>, String> {
    text.split(',').map(|word| word.trim().parse()).collect()
}

/// A label as a filter has it.
pub(super) fn label_of(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once(':').ok_or("is written key:value")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn token(word: &str, (key, value): (&str, &str), filter: &mut JobFilter) -> Result<(), String> {
    match key {
        "user" => filter.users.push(value.to_owned()),
        "account" => filter.accounts.push(value.to_owned()),
        "state" => filter.states.extend(states_of(&value.to_ascii_uppercase())?),
        "label" => {
            let label = value.split_once('=').ok_or("label: is written label:key=value")?;
            filter.labels.push((label.0.to_owned(), label.1.to_owned()));
        }
        _ => {
            let word = shorten(word);
            return Err(format!("\"{word}\" is none of user:, account:, state: and label:"));
        }
    }
    Ok(())
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
        && word.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::job::ids::JobId;

    fn found(text: &str) -> Result<JobFilter, String> {
        let mut filter = JobFilter::default();
        read(text, &mut filter).map(|()| filter)
    }

    #[test]
    fn words_are_parts_of_a_filter() {
        let words = "  vit user:mara user:jonas account:chem state:running label:sweep=a=b 17_4 ";
        let expected = JobFilter {
            name_begins: Some("vit".to_owned()),
            users: vec!["mara".to_owned(), "jonas".to_owned()],
            accounts: vec!["chem".to_owned()],
            states: vec![StateWord::Running],
            labels: vec![("sweep".to_owned(), "a=b".to_owned())],
            one: Some(JobRef { job: JobId(17), task: Some(4) }),
            ..JobFilter::default()
        };
        assert_eq!(found(words), Ok(expected));
        assert_eq!(found("17").unwrap().one, Some(JobId(17).into()));
        assert_eq!(found("_4").unwrap().name_begins.as_deref(), Some("_4"));
        assert_eq!(found("").unwrap(), JobFilter::default());
    }

    #[test]
    fn what_means_nothing_is_named() {
        for (text, said) in [
            ("colour:red", "\"colour:red\" is none of user:"),
            ("label:x", "label:key=value"),
            ("state:asleep", "ASLEEP"),
            ("a b", "two beginnings"),
            ("1 2", "two jobs"),
            ("17_x4", ""),
            ("99999999999999999999", "not a job id"),
        ] {
            let found = found(text);
            let refused = found.as_ref().err().is_some_and(|error| error.contains(said));
            assert!(refused || said.is_empty(), "{text}: {found:?}");
        }
    }
}
