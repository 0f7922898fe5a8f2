//! *Purpose*: looks whether the head of a script is read as its author means it.
//!
//! *Owns*: the first line; lines that look like directives and are none.
//!
//! *Promises*: a script whose first line the system would not see, or see otherwise, is refused
//! with the line and the remedy; a directive that is not read is said.
//!
//! *Not here*: what the directives say (`wire::sbatch`).

use super::Directives;

/// Directives of other systems, and what comes behind the word.
const OTHERS: [(&str, &str); 6] =
    [("#PBS", " "), ("#BSUB", " "), ("#$", " -"), ("#COBALT", " "), ("#MSUB", " "), ("#OAR", " ")];

/// Says what is wrong with it.
pub(super) fn examine(script: &str, directives: &mut Directives) {
    if let Some((line, why)) = misread(script) {
        directives.refuse(&format!("line {line}"), &why);
        return;
    }
    let mut in_head = true;
    let mut said: Vec<&str> = Vec::new();
    for (index, line) in script.lines().enumerate() {
        let trimmed = line.trim_start();
        in_head &= trimmed.is_empty() || trimmed.starts_with('#');
        let is_own = line.strip_prefix("#SBATCH").is_some_and(begins_a_word);
        let number = index + 1;
        if is_own && !in_head {
            directives.warnings.push(format!(
                "line {number}: this #SBATCH line is not read: it stands behind the first command."
            ));
        } else if in_head && !is_own && looks_like_one(trimmed) {
            directives.warnings.push(format!(
                "line {number}: this line is not read; a directive begins with #SBATCH, without \
                 blanks and in capitals."
            ));
        }
        for (word, behind) in OTHERS.iter().filter(|_| in_head) {
            let rest = line.strip_prefix(word);
            if rest.is_some_and(|rest| rest.starts_with(behind)) && !said.contains(word) {
                said.push(word);
                directives.warnings.push(format!(
                    "line {number}: {word} lines are not read here; write them as #SBATCH lines."
                ));
            }
        }
    }
}

fn begins_a_word(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(char::is_whitespace)
}

/// `# SBATCH`, `#sbatch`, ` #SBATCH`; not `##SBATCH`, which is a directive put out of use.
fn looks_like_one(trimmed: &str) -> bool {
    let Some(rest) = trimmed.strip_prefix('#') else { return false };
    let rest = rest.trim_start();
    let word = rest.get(..6).filter(|word| word.eq_ignore_ascii_case("sbatch"));
    // A sentence about sbatch is a remark.
    word.is_some() && rest[6..].trim_start().starts_with('-')
}

/// The line that the system would read otherwise than its author, and why.
fn misread(script: &str) -> Option<(usize, String)> {
    if script.starts_with('\u{feff}') {
        let why = "begins with a byte order mark, so that nobody sees its #!; save the script as \
                   UTF-8 without one";
        return Some((1, why.to_owned()));
    }
    let first = script.lines().next().unwrap_or_default();
    if !first.starts_with("#!") {
        let written = script.lines().enumerate().find(|(_, line)| !line.trim().is_empty());
        if let Some((index, line)) = written.filter(|(_, line)| line.trim_start().starts_with("#!"))
        {
            let what = if line.starts_with("#!") { "empty lines" } else { "blanks" };
            let why = format!("{what} before #! hide it: it counts at the very beginning only");
            return Some((index + 1, why));
        }
    }
    let is_read = |(index, line): &(usize, &str)| *index == 0 || line.starts_with("#SBATCH");
    let dos = script.split('\n').enumerate().filter(is_read).find(|(_, line)| line.ends_with('\r'));
    dos.map(|(index, _)| {
        let why = "ends in a carriage return, as Windows writes lines; convert the script: dos2unix, \
                   or sed -i 's/\\r$//'";
        (index + 1, why.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::super::read;

    fn errors(script: &str) -> Vec<String> {
        read(script).errors.listed().into_iter().map(|e| e.message).collect()
    }

    fn warnings(script: &str) -> Vec<String> {
        assert_eq!(errors(script), Vec::<String>::new(), "{script}");
        read(script).warnings.listed()
    }

    #[test]
    fn a_first_line_that_nobody_would_see_is_refused() {
        for (script, line, part) in [
            ("\u{feff}#!/bin/bash\ntrue", 1, "byte order mark"),
            ("\u{feff}true", 1, "byte order mark"),
            (" #!/bin/bash\ntrue", 1, "blanks before #!"),
            ("\t#!/usr/bin/env python3\n", 1, "blanks before #!"),
            ("\n\n#!/bin/sh\ntrue", 3, "empty lines before #!"),
            ("#!/bin/bash\r\ntrue\r\n", 1, "carriage return"),
            ("true\r\n", 1, "carriage return"),
            ("#!/bin/bash\n#SBATCH -c 2\r\ntrue\n", 2, "carriage return"),
        ] {
            let said = errors(script);
            let begin = format!("line {line}: ");
            assert!(said.len() == 1 && said[0].starts_with(&begin), "{script:?}: {said:?}");
            assert!(said[0].contains(part), "{script:?}: {said:?}");
        }
        for fine in
            ["#!/bin/bash\ntrue", "\ntrue\n#!/bin/bash", "#! /bin/sh\n", "# a\n#!b", "a\nb\r\n"]
        {
            assert_eq!(errors(fine), Vec::<String>::new(), "{fine:?}");
        }
    }

    #[test]
    fn a_directive_that_is_not_read_is_said() {
        let behind = warnings("#!/bin/bash\necho hi\n#SBATCH -c 2\n");
        assert!(behind.len() == 1 && behind[0].starts_with("line 3: "), "{behind:?}");
        for odd in [" #SBATCH -c 2", "# SBATCH -c 2", "#sbatch --time=5", "#Sbatch\t-c 2"] {
            let said = warnings(&format!("#!/bin/sh\n{odd}\ntrue"));
            assert!(said.len() == 1 && said[0].contains("without blanks"), "{odd}: {said:?}");
        }
        for remark in ["##SBATCH -c 2", "# sbatch is how this is run", "#SBATCHED -c", "#", "# é"]
        {
            assert_eq!(warnings(&format!("#!/bin/sh\n{remark}\ntrue")), Vec::<String>::new());
        }
    }

    #[test]
    fn the_headers_of_other_systems_are_named_once() {
        let script = "#!/bin/bash\n#PBS -l nodes=1\n#PBS -N x\n#BSUB -J y\n#$ -cwd\n#$HOME\ntrue\n\
                      #PBS -q late\n";
        let said = warnings(script);
        let begins: Vec<&str> = said.iter().map(|s| &s[..s.find(" lines").unwrap_or(0)]).collect();
        assert_eq!(begins, ["line 2: #PBS", "line 4: #BSUB", "line 5: #$"]);
    }
}
