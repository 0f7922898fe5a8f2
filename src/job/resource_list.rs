//! *Purpose*: lists of resources as people write them on a command line and in `#SBATCH` lines.
//!
//! *Owns*: [`gres`], [`gpus`], [`licenses`], [`claim`].
//!
//! *Promises*: what is read is a request by name; a name twice, a count that is none, and what
//! would mean something else in Slurm are refused with a sentence.
//!
//! *Not here*: whether a server has what is named (`resources::inventory`).
//!
//! Source: sbatch(1) of Slurm 24.05, `--gres`, `--gpus`, `--licenses`.

use super::request::{GPU, LICENSE, Request, check_name};

/// `gpu`, `gpu:2`, `gpu:a100:2`, several with commas; `none`.
///
/// # Errors
/// A sentence for the person who wrote it.
pub fn gres(text: &str) -> Result<Request, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Request::default());
    }
    let mut all = Request::default();
    for one in parts(text, "gpu:2")? {
        let one = one.strip_prefix("gres/").unwrap_or(one);
        let words: Vec<&str> = one.split(':').collect();
        let (name, count) = match words[..] {
            [name] => (name.to_owned(), 1),
            [name, last] => match last.parse::<u64>() {
                Ok(count) => (name.to_owned(), count),
                Err(_) => (format!("{name}:{last}"), 1),
            },
            [name, kind, last] => (format!("{name}:{kind}"), count(one, last)?),
            _ => return Err(format!("\"{one}\" is not NAME[:TYPE][:COUNT]")),
        };
        add(&mut all, &name, count)?;
    }
    Ok(all)
}

/// `2`, `a100:2`, several types with commas.
///
/// # Errors
/// A sentence for the person who wrote it.
pub fn gpus(text: &str) -> Result<Request, String> {
    let mut all = Request::default();
    for one in parts(text, "2")? {
        let (name, count) = match one.split_once(':') {
            Some((kind, number)) => (format!("{GPU}:{kind}"), count(one, number)?),
            None => match one.parse::<u64>() {
                Ok(number) => (GPU.to_owned(), number),
                Err(_) => (format!("{GPU}:{one}"), 1),
            },
        };
        add(&mut all, &name, count)?;
    }
    Ok(all)
}

/// `matlab`, `matlab:2`, several with commas.
///
/// # Errors
/// A sentence for the person who wrote it.
pub fn licenses(text: &str) -> Result<Request, String> {
    if text.contains('|') {
        return Err("one of several licences cannot be asked for; name the one".to_owned());
    }
    let mut all = Request::default();
    for one in parts(text, "matlab:2")? {
        let (name, count) = match one.split_once([':', '=']) {
            Some((name, number)) => (name, count(one, number)?),
            None => (one, 1),
        };
        let name = name.strip_prefix(LICENSE).unwrap_or(name);
        add(&mut all, &format!("{LICENSE}{name}"), count)?;
    }
    Ok(all)
}

/// `name=2`; one without a count.
///
/// # Errors
/// A sentence for the person who wrote it.
pub fn claim(text: &str) -> Result<(String, u64), String> {
    let (name, count) = match text.split_once('=') {
        Some((name, number)) => (name, count(text, number)?),
        None => (text, 1),
    };
    check_name(name).map_err(|refused| refused.to_string())?;
    Ok((name.to_owned(), count))
}

fn parts<'a>(
    text: &'a str,
    example: &str,
) -> Result<impl Iterator<Item = &'a str> + use<'a>, String> {
    match text.split(',').all(|part| !part.trim().is_empty()) {
        true => Ok(text.split(',').map(str::trim)),
        false => Err(format!("has an empty part; write {example}, several with commas")),
    }
}

fn count(whole: &str, number: &str) -> Result<u64, String> {
    number.parse().map_err(|_| {
        let (whole, number): (String, String) =
            (whole.chars().take(40).collect(), number.chars().take(40).collect());
        format!("in \"{whole}\" the count \"{number}\" is not a whole number")
    })
}

fn add(all: &mut Request, name: &str, count: u64) -> Result<(), String> {
    check_name(name).map_err(|refused| refused.to_string())?;
    if all.get(name) > 0 {
        return Err(format!("names {name} twice"));
    }
    all.set(name, count);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    type Grammar = fn(&str) -> Result<Request, String>;

    #[test]
    fn lists_are_read_as_slurm_writes_them() {
        for (read, text, means) in [
            (gres as Grammar, "gpu", "gpu=1"),
            (gres, "gpu:2", "gpu=2"),
            (gres, "gpu:a100", "gpu:a100=1"),
            (gres, "gpu:a100:2,shard:3", "gpu:a100=2,shard=3"),
            (gres, "gres/gpu:2", "gpu=2"),
            (gres, "none", ""),
            (gres, "NONE", ""),
            (gres, "gpu:0", ""),
            (gpus, "2", "gpu=2"),
            (gpus, "0", ""),
            (gpus, "a100:2, h100:1", "gpu:a100=2,gpu:h100=1"),
            (gpus, "a100", "gpu:a100=1"),
            (licenses, "matlab", "license/matlab=1"),
            (licenses, "matlab:2,foo=3", "license/foo=3,license/matlab=2"),
            (licenses, "license/matlab:2", "license/matlab=2"),
        ] {
            assert_eq!(read(text).map(|r| r.to_string()), Ok(means.to_owned()), "{text}");
        }
        assert_eq!(claim("lock=1"), Ok(("lock".to_owned(), 1)));
        assert_eq!(claim("license/x"), Ok(("license/x".to_owned(), 1)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (read, text) in [
            (gres as Grammar, ""),
            (gres, "gpu:a:b:c"),
            (gres, "gpu:a100:x"),
            (gres, "gpu,,x"),
            (gres, "gpu:1,gpu:2"),
            (gres, "a b"),
            (gpus, "a100:"),
            (gpus, "a100:-1"),
            (gpus, ":2"),
            (gpus, "a100:99999999999999999999999"),
            (licenses, "a|b"),
            (licenses, "a:x"),
            (licenses, "a@db:1"),
        ] {
            assert!(read(text).is_err(), "{text}: {:?}", read(text));
        }
        for text in ["", "=1", "a=", "a=x", "a=-1", "a b=1"] {
            assert!(claim(text).is_err(), "{text}");
        }
    }
}
