//! *Purpose*: columns as Slurm prints them.
//!
//! *Owns*: [`Column`], [`Pad`], [`table`].
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
/// that nobody knows Slurm says nothing.
pub fn by_letters<T>(
    format: &str,
    known: impl Fn(char, Pad) -> Option<Column<T>>,
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
            None => {}
        }
    }
    end_with(&mut columns, text);
    columns
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
        columns.iter().for_each(|column| column.pad.put(&(column.fact)(row), &mut text));
        text.push('\n');
    }
    text
}
