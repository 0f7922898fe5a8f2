//! *Purpose*: a schedule as a picture.
//!
//! *Owns*: [`svg`]: two panels over the same days, the queue and the machine.
//!
//! *Promises*: readable on a light and on a dark page: it brings its white ground along.
//!
//! *Not here*: what is drawn (`simulate::curve`), the file it goes to (`cli::simulate`).

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::curve::{Bin, Curve};

/// Pixels.
const SIZE: (u32, u32) = (960, 560);
/// Seconds in a day.
const DAY_S: f64 = 86_400.0;
const BLUE: RGBColor = RGBColor(31, 90, 166);
const ORANGE: RGBColor = RGBColor(200, 90, 10);

/// The picture could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the picture could not be drawn: {0}")]
pub struct NotDrawn(String);

type Drawn = Result<(), Box<dyn Error>>;

/// Draws a curve under this title.
///
/// # Errors
/// [`NotDrawn`] with what the drawing library says.
pub fn svg(curve: &Curve, title: &str) -> Result<String, NotDrawn> {
    let mut text = String::new();
    draw(&curve.bins(), title, &mut text).map_err(|error| NotDrawn(error.to_string()))?;
    Ok(text)
}

fn draw(bins: &[Bin], title: &str, text: &mut String) -> Drawn {
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let panels = root.titled(title, ("sans-serif", 20))?.split_evenly((2, 1));
    let [upper, lower] = panels.as_slice() else { return Ok(()) };
    let longest = bins.iter().map(|bin| bin.queue).max().unwrap_or_default().max(1);
    let queue = Panel { title: "queue length, jobs (the longest of each bin)", colour: BLUE };
    queue.draw(upper, bins, longest as f64 * 1.05, |bin| bin.queue as f64)?;
    let machine = Panel { title: "utilisation, % (the mean of each bin)", colour: ORANGE };
    machine.draw(lower, bins, 105.0, |bin| bin.utilization * 100.0)?;
    root.present()?;
    Ok(())
}

struct Panel {
    title: &'static str,
    colour: RGBColor,
}

impl Panel {
    fn draw(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        bins: &[Bin],
        top: f64,
        value: fn(&Bin) -> f64,
    ) -> Drawn {
        let days = |span: i64| span as f64 / DAY_S;
        let end = bins.last().map_or(1.0, |bin| days(bin.until));
        let mut builder = ChartBuilder::on(area);
        builder.caption(self.title, ("sans-serif", 16)).margin(8).margin_right(24);
        builder.x_label_area_size(38).y_label_area_size(64);
        let mut chart = builder.build_cartesian_2d(0.0..end, 0.0..top)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_label_formatter(&|x| label(*x)).y_label_formatter(&|y| label(*y));
        mesh.max_light_lines(0).y_labels(6).x_desc("days since the first job").draw()?;
        // A bin is a step: level from its beginning to its end.
        let steps = bins.iter().flat_map(|bin| {
            let value = value(bin);
            [(days(bin.from), value), (days(bin.until), value)]
        });
        chart.draw_series(LineSeries::new(steps, &self.colour))?;
        Ok(())
    }
}

/// A number without the noise behind its sixth place.
fn label(value: f64) -> String {
    ((value * 1e6).round() / 1e6).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::policy::input::PassInput;
    use crate::resources::capacity::Capacity;

    #[test]
    fn both_panels_have_a_line_axes_in_days_and_a_white_ground() {
        let mut curve = Curve::default();
        for (day, held) in [(0, 1), (3, 4), (12, 0)] {
            let (now, free, total) = (day * 86_400, Capacity::of(4 - held), Capacity::of(4));
            curve.look(&PassInput { now, free, total, ..PassInput::default() });
        }
        let svg = svg(&curve, "a <b>").unwrap();
        assert_eq!(svg.matches("days since the first job").count(), 2);
        for words in ["queue length, jobs", "utilisation, %", "a &lt;b&gt;"] {
            assert!(svg.contains(words), "{words}: {svg}");
        }
        for colour in ["#1F5AA6", "#C85A0A"] {
            let line = format!("stroke=\"{colour}\"");
            assert!(svg.lines().any(|l| l.contains("<polyline") && l.contains(&line)), "{colour}");
        }
        let ground = format!("<rect x=\"0\" y=\"0\" width=\"{}\"", SIZE.0);
        assert!(svg.contains(&ground) && svg.contains("fill=\"#FFFFFF\""), "{svg}");
        assert!(svg.contains(">\n12\n<"), "{svg}");
    }

    #[test]
    fn a_curve_of_nothing_has_axes() {
        assert!(svg(&Curve::default(), "").unwrap().contains("queue length"));
    }

    #[test]
    fn labels_have_no_noise() {
        assert_eq!(label(0.1 + 0.2), "0.3");
        assert_eq!(label(1_500.0), "1500");
    }
}
