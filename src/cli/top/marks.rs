//! *Purpose*: signs and colours.
//!
//! *Owns*: which sign stands for which state, and how full a bar is.
//!
//! *Promises*: each state has a sign of its own, so no colour is needed to tell them apart; of the
//! sixteen colours of a terminal neither black nor blue is used for text, which many cannot read.
//!
//! *Not here*: where they stand (`top::draw`, `top::lists`).

use ratatui::style::{Color, Modifier, Style};

use crate::api::wire::v1::StateWord;

/// How things are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    is_ascii: bool,
    has_colours: bool,
}

impl Marks {
    pub(super) fn new(is_ascii: bool, has_colours: bool) -> Marks {
        Marks { is_ascii, has_colours }
    }

    fn of(self, sign: &'static str, letter: &'static str) -> &'static str {
        if self.is_ascii { letter } else { sign }
    }

    pub(super) fn state(self, state: StateWord) -> &'static str {
        match state {
            StateWord::Pending => self.of("○", "o"),
            StateWord::Running => self.of("▶", ">"),
            StateWord::Completing => self.of("◐", "~"),
            StateWord::Completed => self.of("✓", "+"),
            StateWord::Cancelled => self.of("⊘", "-"),
            StateWord::Timeout => self.of("⧗", "T"),
            StateWord::OutOfMemory => self.of("■", "M"),
            StateWord::NodeFail => self.of("◇", "?"),
            _ => self.of("✗", "x"),
        }
    }

    /// The colour of a state, beside its sign.
    pub(super) fn colour(self, state: StateWord) -> Style {
        match state {
            StateWord::Pending => Style::new(),
            StateWord::Running => self.good(),
            StateWord::Completing => self.warning(),
            StateWord::Completed => self.good(),
            StateWord::Cancelled => self.faint(),
            _ => self.bad(),
        }
    }

    fn coloured(self, colour: Color) -> Style {
        if self.has_colours { Style::new().fg(colour) } else { Style::new() }
    }

    pub(super) fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    pub(super) fn warning(self) -> Style {
        self.coloured(Color::Yellow)
    }

    pub(super) fn bad(self) -> Style {
        self.coloured(Color::Red)
    }

    pub(super) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn head(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Something that nobody has.
    pub(super) fn free(self) -> &'static str {
        self.of("·", ".")
    }

    pub(super) fn live(self) -> &'static str {
        self.of("●", "*")
    }

    /// What stands between what was and what will be.
    pub(super) fn now(self) -> &'static str {
        self.of("│", "|")
    }

    pub(super) fn rule(self) -> &'static str {
        self.of("─", "-")
    }

    /// A load in thousandths as one of eight heights.
    pub(super) fn load(self, thousandths: u64) -> &'static str {
        const SIGNS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
        const LETTERS: [&str; 8] = ["1", "2", "3", "4", "5", "6", "7", "8"];
        let height = (thousandths.min(1_000) * 7 / 1_000) as usize;
        if self.is_ascii { LETTERS[height] } else { SIGNS[height] }
    }

    /// How much of something is over, as a bar of so many columns.
    pub(super) fn bar(self, part: f64, columns: usize) -> String {
        let full = (part.clamp(0.0, 1.0) * columns as f64).round() as usize;
        let (done, left) = (self.of("━", "="), self.of("─", "-"));
        format!("{}{}", done.repeat(full), left.repeat(columns - full))
    }

    /// How busy something is, as a bar of so many columns.
    pub(super) fn busy(self, part: f64, columns: usize) -> String {
        let full = (part.clamp(0.0, 1.0) * columns as f64).round() as usize;
        let (done, left) = (self.of("█", "#"), self.of("░", "."));
        format!("{}{}", done.repeat(full), left.repeat(columns - full))
    }

    pub(super) fn cut(self) -> &'static str {
        self.of("…", "~")
    }

    pub(super) fn arrows(self) -> &'static str {
        self.of("↑↓", "jk")
    }
}
