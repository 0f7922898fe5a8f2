//! *Purpose*: looks whether the head of a script is read as its author means it.
//!
//! *Owns*: the first line; lines that look like directives and are none.
//!
//! *Promises*: a script whose first line the system would not see, or see otherwise, is refused
//! with the line and the remedy; a directive that is not read is said.
//!
//! *Not here*: what the directives say (`wire::sbatch`).

/// Directives of other systems, and what comes behind the word.
const OTHERS: [(&str, &str); 6] =
    [("#PBS", " "), ("#BSUB", " "), ("#$", " -"), ("#COBALT", " "), ("#MSUB", " "), ("#OAR", " ")];

/// What of a script is not read, a sentence each.
pub(super) fn unread(script: &str) -> Vec<String> {
    let (mut warnings, mut in_head) = (Vec::new(), true);
    let mut said: Vec<&str> = Vec::new();
    for (index, line) in script.lines().enumerate() {
        let trimmed = line.trim_start();
        in_head &= trimmed.is_empty() || trimmed.starts_with('#');
        let is_own = line.strip_prefix("#SBATCH").is_some_and(begins_a_word);
        let number = index + 1;
        if is_own && !in_head {
            warnings.push(format!(
                "line {number}: this #SBATCH line is not read: it stands behind the first command."
            ));
        } else if in_head && !is_own && looks_like_one(trimmed) {
            warnings.push(format!(
                "line {number}: this line is not read; a directive begins with #SBATCH, without \
                 blanks and in capitals."
            ));
        }
        for (word, behind) in OTHERS.iter().filter(|_| in_head) {
            let rest = line.strip_prefix(word);
            if rest.is_some_and(|rest| rest.starts_with(behind)) && !said.contains(word) {
                said.push(word);
                warnings.push(format!(
                    "line {number}: {word} lines are not read here; write them as #SBATCH lines."
                ));
            }
        }
    }
    warnings
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
pub(super) fn misread(script: &str) -> Option<(usize, String)> {
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
        let why = "ends in a carriage return, as Windows writes lines; convert the script: \
                   dos2unix, or sed -i 's/\\r$//'";
        (index + 1, why.to_owned())
    })
}
