//! *Purpose*: steps of numbers as a path of SVG.
//!
//! *Owns*: [`area`], [`Scale`].
//!
//! *Promises*: a gap in what is known is a gap in the path; coordinates have one digit behind the
//! point at the most, so that a path stays short.
//!
//! *Not here*: words beside a chart (each page).

use std::fmt::Write as _;

/// The width and the height of every chart, which its SVG stretches.
pub const WIDTH: f64 = 1_000.0;
/// See [`WIDTH`].
pub const HEIGHT: f64 = 100.0;

/// Where something lies in a chart.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The begin, seconds since 1970.
    pub from: i64,
    /// The end.
    pub until: i64,
    /// What stands at the top.
    pub top: f64,
}

impl Scale {
    /// How far to the right a moment is.
    #[must_use]
    pub fn x(&self, at: i64) -> f64 {
        let span = (self.until - self.from).max(1) as f64;
        ((at - self.from) as f64 / span).clamp(0.0, 1.0) * WIDTH
    }

    fn y(&self, value: f64) -> f64 {
        let part = if self.top > 0.0 { value / self.top } else { 0.0 };
        (1.0 - part.clamp(0.0, 1.0)) * HEIGHT
    }
}

/// A coordinate as short as it can be.
fn short(n: f64) -> String {
    let text = format!("{n:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Steps as an area on the ground: each begins at its moment and lasts until the next one, the last
/// until `end`.
#[must_use]
pub fn area(steps: &[(i64, Option<f64>)], end: i64, scale: Scale) -> String {
    let mut path = String::new();
    let mut is_open = false;
    for (at, value) in steps {
        let x = short(scale.x(*at));
        // Writing to a string cannot fail.
        let _ = match (value, is_open) {
            (Some(value), false) => write!(path, "M{x} {HEIGHT}V{}", short(scale.y(*value))),
            (Some(value), true) => write!(path, "H{x}V{}", short(scale.y(*value))),
            (None, true) => write!(path, "H{x}V{HEIGHT}Z"),
            (None, false) => Ok(()),
        };
        is_open = value.is_some();
    }
    if is_open {
        let _ = write!(path, "H{}V{HEIGHT}Z", short(scale.x(end)));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_a_gap_and_the_last_step_lasts_to_the_end() {
        let scale = Scale { from: 0, until: 100, top: 4.0 };
        let steps = [(0, Some(4.0)), (25, Some(1.0)), (50, None), (75, Some(2.0))];
        assert_eq!(area(&steps, 100, scale), "M0 100V0H250V75H500V100ZM750 100V50H1000V100Z");
        assert_eq!(area(&[], 100, scale), "");
        assert_eq!(area(&[(0, None)], 100, scale), "");
    }

    #[test]
    fn nothing_leaves_the_chart() {
        let scale = Scale { from: 10, until: 20, top: 1.0 };
        assert_eq!(area(&[(0, Some(7.0))], 99, scale), "M0 100V0H1000V100Z");
        let flat = Scale { top: 0.0, ..scale };
        assert_eq!(area(&[(10, Some(0.0))], 20, flat), "M0 100V100H1000V100Z");
    }
}
