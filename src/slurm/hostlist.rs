//! *Purpose*: lists of nodes as Slurm shortens them: `n[1-3,5],m`.
//!
//! *Owns*: [`expand`].
//!
//! *Promises*: a number keeps its leading zeros; a list of more than [`NODES_MAX`] nodes is
//! refused.
//!
//! *Not here*: which nodes there are.

/// So many nodes at the most: more than the largest cluster has.
const NODES_MAX: usize = 100_000;

/// Each node by itself; `None` where this is no such list, or it is too long.
#[must_use]
pub fn expand(list: &str) -> Option<Vec<String>> {
    let mut nodes = Vec::new();
    for word in super::jobs::words(list) {
        nodes.extend(one(word)?);
        if nodes.len() > NODES_MAX {
            return None;
        }
    }
    Some(nodes)
}

fn one(word: &str) -> Option<Vec<String>> {
    let Some((before, rest)) = word.split_once('[') else { return Some(vec![word.to_owned()]) };
    let (numbers, behind) = rest.split_once(']')?;
    let behind = one(behind)?;
    let mut nodes = Vec::new();
    for part in numbers.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let width = first.len();
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if last < first || last - first >= NODES_MAX {
            return None;
        }
        for number in first..=last {
            nodes.extend(behind.iter().map(|behind| format!("{before}{number:0width$}{behind}")));
        }
        if nodes.len() > NODES_MAX {
            return None;
        }
    }
    Some(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_taken_apart() {
        let all = |list| expand(list).map(|nodes| nodes.join(" "));
        assert_eq!(all("n[1-3,5],m").as_deref(), Some("n1 n2 n3 n5 m"));
        assert_eq!(all("n[08-10]x").as_deref(), Some("n08x n09x n10x"));
        assert_eq!(all("a[1-2]b[1-2]").as_deref(), Some("a1b1 a1b2 a2b1 a2b2"));
        for list in ["n[1", "n[2-1]", "n[x]", "n[0-99999999]"] {
            assert_eq!(all(list), None, "{list}");
        }
    }
}
