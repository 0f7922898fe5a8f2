//! *Purpose*: tables and blocks for people.
//!
//! *Owns*: [`table`], [`figures`], [`fitted`], [`block`].
//!
//! *Promises*: off a terminal, or with NO_COLOR set, there is no colour and no wrapping, so
//! that `grep` and `awk` work; a terminal that says it has no width has an unknown one.
//!
//! *Not here*: what stands in them (the verbs).

use std::io::IsTerminal;

use comfy_table::{
    Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, Width, presets,
};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::api::wire::v1::{StateWord, escaped};

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

/// How wide the terminal is that our results go to: what people say (`COLUMNS`), or what it says
/// itself. A pseudo terminal that nobody gave a size says 0.
pub(crate) fn width() -> Option<usize> {
    let out = std::io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let own = || rustix::termios::tcgetwinsize(&out).ok().map(|size| usize::from(size.ws_col));
    said.or_else(own).filter(|width| *width > 0)
}

/// How high the terminal is; off one, or when it does not say, nobody knows.
pub(crate) fn height() -> Option<usize> {
    let out = std::io::stdout();
    let size = rustix::termios::tcgetwinsize(&out).ok().filter(|_| out.is_terminal());
    size.map(|size| usize::from(size.ws_row)).filter(|height| *height > 0)
}

/// Whether and how a value may be cut where there is no room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It is whole or nothing.
    Never,
    /// At its end, and so many characters are left at the least.
    To(usize),
    /// At its front: what is behind tells more, as of a path.
    Front(usize),
}

/// What stands in one column of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    text: String,
    state: Option<StateWord>,
}

impl Line {
    /// Any text.
    pub(crate) fn plain(text: String) -> Line {
        // What would be written out later is wider than it seems.
        let text = escaped(&text, |_| false).into_owned();
        Line { text, state: None }
    }

    /// A state, seen at a glance.
    pub(crate) fn state(word: StateWord) -> Line {
        Line { text: word.word().to_owned(), state: Some(word) }
    }
}

/// A table of one line for each row. Where it is wider than there is room, what may be cut is,
/// the widest first; a width that is not known has room for all.
pub(crate) fn fitted(
    heads: Vec<(String, Cut)>,
    rows: Vec<Vec<Line>>,
    width: Option<usize>,
) -> String {
    let widest = |n: usize| {
        let cells = rows.iter().filter_map(|row| row.get(n)).map(|line| line.text.width());
        cells.chain([heads[n].0.width()]).max().unwrap_or_default()
    };
    let mut widths: Vec<usize> = (0..heads.len()).map(widest).collect();
    if let Some(width) = width {
        let cuts: Vec<Cut> = heads.iter().map(|(_, cut)| *cut).collect();
        fit(&mut widths, &cuts, width);
    }
    let cell = |(line, (room, cut)): (Line, (&usize, &Cut))| match line.state {
        Some(word) => state(word),
        None => Cell::new(shortened(&line.text, *room, *cut)),
    };
    let cuts = heads.iter().map(|(_, cut)| cut);
    let cuts: Vec<(&usize, &Cut)> = widths.iter().zip(cuts).collect();
    let rows = rows.into_iter();
    let rows = rows.map(|row| row.into_iter().zip(cuts.iter().copied()).map(cell).collect());
    let names: Vec<&str> = heads.iter().map(|(name, _)| name.as_str()).collect();
    let mut table = plain(&names, rows.collect());
    for column in table.column_iter_mut() {
        // One blank after each: with the one before it two between columns.
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Makes the widest of those that may be cut narrower until all have room.
fn fit(widths: &mut [usize], cuts: &[Cut], room: usize) {
    let between = 2 * widths.len().saturating_sub(1);
    loop {
        let needed = widths.iter().sum::<usize>() + between;
        if needed <= room {
            return;
        }
        let may = widths.iter().enumerate().filter(|(n, width)| match cuts[*n] {
            Cut::Never => false,
            Cut::To(least) | Cut::Front(least) => **width > least,
        });
        let Some((widest, _)) = may.max_by_key(|(_, width)| **width) else { return };
        widths[widest] -= 1;
    }
}

/// The text in so much room, with `…` where it is cut.
fn shortened(text: &str, room: usize, cut: Cut) -> String {
    if text.width() <= room || cut == Cut::Never {
        return text.to_owned();
    }
    let mut left = room.saturating_sub(1);
    let mut fits = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= left;
        left = if fits { left - width } else { 0 };
        fits
    };
    match cut {
        Cut::Front(_) => {
            let kept: Vec<char> = text.chars().rev().take_while(|c| fits(c)).collect();
            format!("…{}", kept.into_iter().rev().collect::<String>())
        }
        Cut::To(_) | Cut::Never => {
            let kept: String = text.chars().take_while(|c| fits(c)).collect();
            format!("{kept}…")
        }
    }
}

fn filled(header: &[&str], rows: Vec<Vec<Cell>>) -> Table {
    let mut table = plain(header, rows);
    if let Some(width) = width() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    table
}

/// A table as wide as what stands in it.
fn plain(header: &[&str], rows: Vec<Vec<Cell>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
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
    fn a_table_without_room_is_cut_and_never_wrapped() {
        let heads = || {
            vec![
                ("NAME".to_owned(), Cut::To(4)),
                ("STATE".to_owned(), Cut::Never),
                ("PATH".to_owned(), Cut::Front(5)),
            ]
        };
        let rows = || {
            let name = Line::plain("a-long-name!".into());
            let path = Line::plain("/a/long/path".into());
            vec![vec![name, Line::state(StateWord::OutOfMemory), path]]
        };
        let at = |width| {
            let text = fitted(heads(), rows(), width);
            text.lines().nth(1).map(str::to_owned).unwrap_or_default()
        };
        assert_eq!(at(None), "a-long-name!  OUT_OF_MEMORY  /a/long/path");
        assert_eq!(at(Some(80)), at(None));
        assert_eq!(at(Some(34)), "a-long-n…  OUT_OF_MEMORY  …ng/path");
        assert_eq!(at(Some(5)), "a-l…  OUT_OF_MEMORY  …path");
        assert_eq!(Line::plain("a\nb".into()).text, "a\\u{a}b", "as wide as it will be shown");
        let wide = shortened("日本語の名前", 6, Cut::To(4));
        assert_eq!(wide, "日本…", "characters of two columns count as two");
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
