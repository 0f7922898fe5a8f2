//! *Purpose*: columns as Slurm prints them.
//!
//! *Owns*: [`Column`], [`Pad`], [`table`], and how formats name columns: by letters, by names.
//!
//! *Promises*: what is wider than its column is cut, as real Slurm does, so that clients who split
//! at columns are not misled.
//!
//! *Not here*: which columns there are.

/// How a value stands in its column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pad {
    /// Text before it, as it is.
    pub before: String,
    /// So many characters; `None`: as many as it has.
    pub width: Option<usize>,
    /// At the right of its column.
    pub right: bool,
    /// Whether what is wider is cut.
    pub cuts: bool,
}

/// A column of rows of this kind.
#[derive(Clone, Debug)]
pub struct Column<T> {
    /// What stands above it.
    pub head: &'static str,
    /// How it stands there.
    pub pad: Pad,
    /// Of which fields of the row, where whoever asks for rows can leave some out.
    pub needs: &'static str,
    /// What stands in it.
    pub fact: fn(&T) -> String,
}

/// A last column that is nothing but text behind the others.
pub fn end_with<T>(columns: &mut Vec<Column<T>>, text: String) {
    if !text.is_empty() {
        let pad = Pad { before: text, ..Pad::default() };
        columns.push(Column { head: "", pad, needs: "", fact: |_| String::new() });
    }
}

/// Reads a format of text and of letters behind `%`, with a width between: `%.10i|%t`. Of a letter
/// that nobody knows Slurm complains, and leaves it as it stands.
pub fn by_letters<T>(
    format: &str,
    known: impl Fn(char, Pad) -> Option<Column<T>>,
    unknown: impl Fn(char),
) -> Vec<Column<T>> {
    let mut columns: Vec<Column<T>> = Vec::new();
    let mut letters = format.chars().peekable();
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let right = letters.next_if_eq(&'.').is_some();
        let mut digits = String::new();
        while let Some(digit) = letters.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        let Some(letter) = letters.next() else { break };
        let pad = Pad { before: text.clone(), width: digits.parse().ok(), right, cuts: true };
        match known(letter, pad) {
            Some(column) => {
                text.clear();
                columns.push(column);
            }
            None if letter == '%' => text.push('%'),
            None => {
                unknown(letter);
                let dot = if right { "." } else { "" };
                text.push_str(&format!("%{dot}{digits}{letter}"));
            }
        }
    }
    end_with(&mut columns, text);
    columns
}

/// Reads names with commas between, each with a form behind a colon: `JobID:.10,State:8|`. A name
/// may stand for several columns; of one that nobody knows only the text behind its width is left.
pub fn by_names<T>(
    names: &str,
    known: impl Fn(&str, Pad) -> Vec<Column<T>>,
    unknown: impl Fn(&str),
) -> Vec<Column<T>> {
    /// How wide a column is without a form.
    const WIDTH: usize = 20;
    let mut columns: Vec<Column<T>> = Vec::new();
    let mut text = String::new();
    for word in names.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let (name, (width, right, behind)) = match word.split_once(':') {
            Some((name, form)) => (name, read_form(form)),
            None => (word, (Some(WIDTH), false, "")),
        };
        let pad = Pad { before: String::new(), width, right, cuts: true };
        let mut found = known(name, pad);
        match found.first_mut() {
            Some(first) => first.pad.before.insert_str(0, &std::mem::take(&mut text)),
            None => unknown(name),
        }
        columns.append(&mut found);
        text.push_str(behind);
    }
    end_with(&mut columns, text);
    columns
}

/// A width, whether it is one at the right, and the text behind it. Without a width the column is
/// as wide as what stands in it; of one below zero Slurm shows nothing.
fn read_form(form: &str) -> (Option<usize>, bool, &str) {
    let right = form.starts_with('.');
    let form = form.strip_prefix('.').unwrap_or(form);
    let starts_with_digit = |text: &&str| text.starts_with(|c: char| c.is_ascii_digit());
    let below = form.strip_prefix('-').filter(starts_with_digit);
    let digits = below.unwrap_or(form);
    let behind = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    let width = digits[..digits.len() - behind.len()].parse().ok();
    let width = if below.is_some() { Some(0) } else { width.filter(|width| *width > 0) };
    (width, right, behind)
}

impl Pad {
    fn put(&self, value: &str, line: &mut String) {
        line.push_str(&self.before);
        let Some(width) = self.width else { return line.push_str(value) };
        let length = value.chars().count();
        let blanks = width.saturating_sub(length);
        let shown = value.chars().take(if self.cuts { width } else { length });
        if self.right {
            line.extend(std::iter::repeat_n(' ', blanks));
            line.extend(shown);
        } else {
            line.extend(shown);
            line.extend(std::iter::repeat_n(' ', blanks));
        }
    }
}

/// The line of a row.
pub fn line<T>(columns: &[Column<T>], row: &T) -> String {
    let mut text = String::new();
    columns.iter().for_each(|column| column.pad.put(&(column.fact)(row), &mut text));
    text
}

/// A line for each row, and one of heads if they are wanted.
pub fn table<'a, T: 'a>(
    columns: &[Column<T>],
    rows: impl IntoIterator<Item = &'a T>,
    heads: bool,
) -> String {
    let mut text = String::new();
    if heads {
        columns.iter().for_each(|column| column.pad.put(column.head, &mut text));
        text.push('\n');
    }
    for row in rows {
        text.push_str(&line(columns, row));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: [(&str, &str); 2] = [("main*", "PARTITION"), ("1", "NODES")];

    fn named(name: &str, pad: Pad) -> Vec<Column<[&'static str; 2]>> {
        match name {
            "partition" => {
                vec![Column { head: SHOWN[0].1, pad, needs: "", fact: |row| row[0].to_owned() }]
            }
            "nodes" => {
                vec![Column { head: SHOWN[1].1, pad, needs: "", fact: |row| row[1].to_owned() }]
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn names_have_the_forms_that_slurm_reads() {
        let row = SHOWN.map(|(value, _)| value);
        for (names, heads, values, refused) in [
            ("partition", "PARTITION           ", "main*               ", ""),
            ("partition:.12,nodes:3", "   PARTITIONNOD", "       main*1  ", ""),
            ("partition:5abc", "PARTIabc", "main*abc", ""),
            ("partition:.8abc", "PARTITIOabc", "   main*abc", ""),
            ("partition:abc", "PARTITIONabc", "main*abc", ""),
            ("partition:.", "PARTITION", "main*", ""),
            ("partition:0", "PARTITION", "main*", ""),
            ("partition:3.5x,nodes:5", "PAR.5xNODES", "mai.5x1    ", ""),
            ("partition:5:7,,nodes:5,", "PARTI:7NODES", "main*:71    ", ""),
            ("partition:-8,nodes:3", "NOD", "1  ", ""),
            ("partition:8abc:,nodes:-3x,nodes:3", "PARTITIOabc:xNOD", "main*   abc:x1  ", ""),
            ("nonsense", "", "", "nonsense"),
            ("no:8abc,nodes:5", "abcNODES", "abc1    ", "no"),
            ("", "", "", ""),
        ] {
            let said = std::cell::RefCell::new(String::new());
            let columns = by_names(names, named, |name| said.borrow_mut().push_str(name));
            assert_eq!(table(&columns, [&row], true), format!("{heads}\n{values}\n"), "{names}");
            assert_eq!(*said.borrow(), refused, "{names}");
        }
    }
}
