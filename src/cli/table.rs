//! *Purpose*: tables and blocks for people.
//!
//! *Owns*: [`table`], [`figures`], [`block`].
//!
//! *Promises*: off a terminal, or with NO_COLOR set, there is no colour and no wrapping, so
//! that `grep` and `awk` work.
//!
//! *Not here*: what stands in them (the verbs).

use std::io::IsTerminal;

use comfy_table::{
    Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, Width, presets,
};

use crate::api::wire::v1::StateWord;

/// A cell whose state is seen at a glance.
pub(crate) fn state(word: StateWord) -> Cell {
    let cell = Cell::new(word.word());
    match word {
        StateWord::Running | StateWord::Completing => cell.fg(Color::Cyan),
        StateWord::Completed => cell.fg(Color::Green),
        StateWord::Pending => cell.fg(Color::Yellow),
        StateWord::Cancelled => cell,
        _ => cell.fg(Color::Red),
    }
}

/// A table with a header.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<Cell>>) -> String {
    filled(header, rows).trim_fmt()
}

/// A table whose columns, all but the first, hold figures: they stand to the right, and however
/// narrow the terminal is a figure is not cut in two.
pub(crate) fn figures(header: &[&str], rows: Vec<Vec<Cell>>) -> String {
    let longest_word = |n: usize| {
        let cells = rows.iter().filter_map(|row| row.get(n)).map(Cell::content);
        let words = cells.flat_map(|text| text.split(' ').map(|word| word.chars().count()).max());
        words.max().unwrap_or_default()
    };
    let least: Vec<usize> = (0..header.len()).map(longest_word).collect();
    let mut table = filled(header, rows);
    for (column, least) in table.column_iter_mut().zip(least).skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
        // With a blank on either side.
        let least = u16::try_from(least + 2).unwrap_or(u16::MAX);
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
    }
    table.trim_fmt()
}

fn filled(header: &[&str], rows: Vec<Vec<Cell>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    // The library looks at the terminal by itself, but not at https://no-color.org.
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    if no_color || !std::io::stdout().is_terminal() {
        table.force_no_tty();
    }
    table.set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    table
}

/// `key: value` lines with the values in one column; lines without a value are left out.
pub(crate) fn block(lines: &[(&str, Option<String>)]) -> String {
    let shown: Vec<(&str, &String)> =
        lines.iter().filter_map(|(key, value)| Some((*key, value.as_ref()?))).collect();
    let width = shown.iter().map(|(key, _)| key.len()).max().unwrap_or(0) + 1;
    shown.iter().map(|(key, value)| format!("{:<width$} {value}\n", format!("{key}:"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_a_terminal_a_table_is_plain_text() {
        let text = table(&["ID", "STATE"], vec![vec![Cell::new(1), state(StateWord::Failed)]]);
        assert!(!text.contains('\u{1b}'), "{text:?}");
        let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
        assert_eq!(lines, [["ID", "STATE"], ["1", "FAILED"]]);
    }

    #[test]
    fn figures_end_below_one_another() {
        let rows = vec![vec![Cell::new("a"), Cell::new(1)], vec![Cell::new("b"), Cell::new(1_000)]];
        let text = figures(&["WHO", "N"], rows);
        let ends: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!((ends.len(), ends[0], ends[1]), (3, ends[1], ends[2]), "{text}");
    }

    #[test]
    fn a_block_lines_its_values_up() {
        let text =
            block(&[("a", Some("1".into())), ("long", Some("2".into())), ("left out", None)]);
        assert_eq!(text, "a:    1\nlong: 2\n");
    }
}
