//! *Purpose*: `--export`, as `sbatch` means it.
//!
//! *Owns*: [`Export`], and which of a caller's variables a job gets.
//!
//! *Promises*: `DOWNBEAT_*` never travels; a variable that is given a value has that value.
//!
//! *Not here*: what the server adds to a job's environment (`engine`).

use std::collections::BTreeMap;

/// What `--export` asks for: `ALL`, `NONE`, or names, some with values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// Whether the caller's whole environment goes along.
    pub all: bool,
    /// Single variables; without a value the caller's goes along.
    pub names: Vec<(String, Option<String>)>,
}

impl Export {
    /// `ALL`, which is the default.
    #[must_use]
    pub fn everything() -> Export {
        Export { all: true, names: Vec::new() }
    }

    /// Reads `ALL`, `NONE`, `NAME`, `NAME=value` or several of these with commas between; a
    /// value with a comma in it is quoted: `A='1,2'`.
    ///
    /// # Errors
    /// A sentence for the person who wrote it.
    pub fn parse(text: &str) -> Result<Export, String> {
        let mut export = Export::default();
        let mut none = false;
        let parts = split_commas(text)?;
        for part in &parts {
            match part.split_once('=') {
                Some(("", _)) => return Err(format!("\"{part}\" has no name before \"=\"")),
                Some((name, value)) => {
                    export.names.push((name.to_owned(), Some(value.to_owned())));
                }
                // In any case, as sbatch reads them.
                None if part.eq_ignore_ascii_case("ALL") => export.all = true,
                None if ["NONE", "NIL"].iter().any(|word| part.eq_ignore_ascii_case(word)) => {
                    none = true;
                }
                None if part.is_empty() => {
                    return Err("names no variable; write ALL, NONE or NAME[=value],…".to_owned());
                }
                None => export.names.push((part.clone(), None)),
            }
        }
        if none && parts.len() > 1 {
            return Err("NONE stands alone; leave it out to pass only the names".to_owned());
        }
        Ok(export)
    }

    /// The variables of `caller` that a job gets.
    pub fn pick(
        &self,
        caller: impl IntoIterator<Item = (String, String)>,
    ) -> BTreeMap<String, String> {
        let mut picked: BTreeMap<String, String> = caller
            .into_iter()
            .filter(|(name, _)| !name.starts_with("DOWNBEAT_") && !name.is_empty())
            .filter(|(name, _)| self.all || self.names.iter().any(|(n, _)| n == name))
            .collect();
        for (name, value) in &self.names {
            if let Some(value) = value {
                picked.insert(name.clone(), value.clone());
            }
        }
        picked
    }
}

/// Splits at commas outside of quotes, and takes the quotes away.
fn split_commas(text: &str) -> Result<Vec<String>, String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (None, ',') => parts.push(std::mem::take(&mut part)),
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            (_, c) => part.push(c),
        }
    }
    if quote.is_some() {
        return Err("a quotation mark is not closed".to_owned());
    }
    parts.push(part);
    Ok(parts)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn caller() -> Vec<(String, String)> {
        [("PATH", "/bin"), ("A", "1"), ("DOWNBEAT_TOKEN", "secret")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .to_vec()
    }

    fn picked(text: &str) -> String {
        let picked = Export::parse(text).unwrap().pick(caller());
        picked.iter().map(|(n, v)| format!("{n}={v} ")).collect()
    }

    #[test]
    fn names_all_and_none_pick_what_sbatch_picks() {
        assert_eq!(picked("ALL"), "A=1 PATH=/bin ");
        assert_eq!(picked("all"), picked("ALL"));
        assert_eq!(picked("NONE"), "");
        assert_eq!(picked("Nil"), "");
        assert_eq!(picked("A"), "A=1 ");
        assert_eq!(picked("A=2,B='x,y'"), "A=2 B=x,y ");
        assert_eq!(picked("ALL,A=2"), "A=2 PATH=/bin ");
        assert_eq!(picked("UNSET"), "");
    }

    #[test]
    fn downbeat_s_own_variables_never_travel() {
        assert_eq!(picked("DOWNBEAT_TOKEN"), "");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "=x", "A,,B", "NONE,A", "A='x"] {
            assert!(Export::parse(text).is_err(), "{text}");
        }
    }
}
