//! *Purpose*: lists of CPUs as people write them.
//!
//! *Owns*: [`parse`], [`format()`], [`each`], [`named`], [`units`].
//!
//! *Promises*: what [`format()`] writes of numbers in order, [`parse`] reads.
//!
//! *Not here*: which CPUs there are (`crate::config`), tasks of an array, whose lists have steps
//! too (`job::array_spec`).

use std::collections::{BTreeMap, BTreeSet};

/// Reads `0-3,8`.
///
/// # Errors
/// A sentence for the person who wrote it.
pub fn parse(text: &str) -> Result<BTreeSet<u32>, String> {
    let mut cpus = BTreeSet::new();
    let unread = || format!("\"{text}\" is not a list of CPU ids such as \"0-3,8\"");
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        // Sixteen bits, so that a typing error does not fill the memory.
        let number = |text: &str| text.trim().parse::<u16>().map_err(|_| unread());
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(format!("\"{}\" counts backwards", part.trim()));
        }
        cpus.extend((first..=last).map(u32::from));
    }
    Ok(cpus)
}

/// In runs: `0-3,8`.
#[must_use]
pub fn format(cpus: impl IntoIterator<Item = u32>) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for cpu in cpus {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(cpu) => *last = cpu,
            _ => runs.push((cpu, cpu)),
        }
    }
    let shown = runs.into_iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    shown.collect::<Vec<_>>().join(",")
}

/// One by one: `0, 1, 8`.
#[must_use]
pub fn each(cpus: impl IntoIterator<Item = u32>) -> String {
    cpus.into_iter().map(|cpu| cpu.to_string()).collect::<Vec<_>>().join(", ")
}

/// As a sentence names them: `no CPU`, `CPU 8`, `CPUs 0, 1, 8`.
#[must_use]
pub fn named(cpus: impl IntoIterator<Item = u32>) -> String {
    let cpus: Vec<u32> = cpus.into_iter().collect();
    match cpus.as_slice() {
        [] => "no CPU".to_owned(),
        [one] => format!("CPU {one}"),
        many => format!("CPUs {}", each(many.iter().copied())),
    }
}

/// Units by resource, as a sentence names them: `CPUs 0, 1, gpu 3`.
#[must_use]
pub fn units<'a>(units: impl IntoIterator<Item = (&'a str, u32)>) -> String {
    let mut by_resource: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for (resource, unit) in units {
        by_resource.entry(resource).or_default().insert(unit);
    }
    let named = by_resource.into_iter().map(|(resource, ids)| match resource {
        "cpu" => named(ids),
        resource => format!("{resource} {}", each(ids)),
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() { "no CPU".to_owned() } else { named.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_named_by_resource() {
        assert_eq!(units([("gpu", 3), ("cpu", 1), ("gpu", 0), ("cpu", 0)]), "CPUs 0, 1, gpu 0, 3");
        assert_eq!(units([]), "no CPU");
    }

    #[test]
    fn a_list_is_read_and_written_in_runs() {
        for (text, cpus, canonical) in [
            ("0", vec![0], "0"),
            ("0-3,8", vec![0, 1, 2, 3, 8], "0-3,8"),
            (" 8 , 0 - 1,1-2", vec![0, 1, 2, 8], "0-2,8"),
            ("65535", vec![65_535], "65535"),
        ] {
            let read = parse(text);
            assert_eq!(read, Ok(cpus.into_iter().collect()), "{text}");
            assert_eq!(format(read.into_iter().flatten()), canonical);
        }
        assert_eq!(format([u32::MAX, 0]), "4294967295,0", "what is not in order is no run");
        assert_eq!(format([]), "");
    }

    #[test]
    fn what_is_no_list_is_refused_with_a_sentence() {
        for text in ["", ",", "0,", "x", "0-", "-1", "0-1-2", "1.5", "65536", "0 1"] {
            assert!(parse(text).is_err_and(|said| said.contains("such as \"0-3,8\"")), "{text}");
        }
        assert_eq!(parse("0, 3-1"), Err("\"3-1\" counts backwards".to_owned()));
    }

    #[test]
    fn one_by_one_and_in_a_sentence() {
        assert_eq!(each([0, 1, 8]), "0, 1, 8");
        let sentences = [named([]), named([8]), named([0, 1, 8])];
        assert_eq!(sentences, ["no CPU", "CPU 8", "CPUs 0, 1, 8"]);
    }
}
