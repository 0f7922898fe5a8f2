//! *Purpose*: the curves of `depth` as a picture.
//!
//! *Owns*: its axes and colours.
//!
//! *Promises*: readable on a light and on a dark page: it brings its white ground along; an
//! empty queue, which a logarithmic axis does not have, stands at 1 and is labelled 0.
//!
//! *Not here*: the numbers (`depth` prints them too).

use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;

/// Pixels.
const SIZE: (u32, u32) = (900, 760);
/// Ours.
const BLUE: RGBColor = RGBColor(31, 90, 166);
/// The second line of a panel.
const ORANGE: RGBColor = RGBColor(200, 90, 10);

/// What was measured at one depth.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Pending jobs.
    pub depth: usize,
    /// Quick jobs per second.
    pub rate: f64,
    /// The same, in ratio to an empty queue.
    pub ratio: f64,
    /// Restart to ready.
    pub restart_ms: f64,
    /// The slowest page's median.
    pub page_ms: f64,
}

/// All of it.
pub struct Curves {
    /// By depth, ascending.
    pub points: Vec<Point>,
}

type Value = fn(&Point) -> f64;
type Drawn = Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Curves {
    /// Writes the picture.
    pub fn draw(&self, path: &Path) {
        match self.try_draw(path) {
            Ok(()) => println!("\nPicture: {}", path.display()),
            Err(e) => println!("\nNo picture: {}: {e}", path.display()),
        }
    }

    fn try_draw(&self, path: &Path) -> Drawn {
        let root = SVGBackend::new(path, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let panels = root.split_evenly((3, 1));
        let [rate, ratio, time] = panels.as_slice() else { return Ok(()) };
        let top = |value: Value| self.points.iter().map(value).fold(0.0, f64::max);
        self.panel(rate, "quick jobs per second", 0.0..top(|p| p.rate) * 1.2, |p| p.rate)?;
        let most = top(|p| p.ratio).max(1.0) * 1.2;
        self.panel(ratio, "in ratio to an empty queue", 0.0..most, |p| p.ratio)?;
        self.times(time)?;
        root.present()?;
        Ok(())
    }

    /// A panel with a linear vertical axis.
    fn panel(
        &self,
        area: &Area<'_>,
        title: &str,
        range: std::ops::Range<f64>,
        value: Value,
    ) -> Drawn {
        let mut chart = builder(area, title).build_cartesian_2d(self.axis(), range)?;
        let mut mesh = chart.configure_mesh();
        mesh.y_label_formatter(&|value| super::sums::rate(*value));
        mesh.light_line_style(WHITE).y_labels(5).x_desc("pending jobs").draw()?;
        let line = || self.points.iter().map(|p| (place(p), value(p)));
        chart.draw_series(LineSeries::new(line(), BLUE.stroke_width(2)))?;
        chart.draw_series(line().map(|p| Circle::new(p, 4, BLUE.filled())))?;
        Ok(())
    }

    /// Milliseconds, over orders of magnitude.
    fn times(&self, area: &Area<'_>) -> Drawn {
        let lines: [(&str, Value, RGBColor); 2] = [
            ("restart to ready", |p| p.restart_ms, BLUE),
            ("slowest page of 1,000 jobs, median", |p| p.page_ms, ORANGE),
        ];
        let all = self.points.iter().flat_map(|p| [p.restart_ms, p.page_ms]);
        let (least, most) = all.fold((1.0_f64, 10.0_f64), |(a, b), v| (a.min(v), b.max(v)));
        let range = (least.max(0.01)..most * 30.0).log_scale();
        let title = "milliseconds, logarithmic";
        let mut chart = builder(area, title).build_cartesian_2d(self.axis(), range)?;
        chart.configure_mesh().light_line_style(WHITE).x_desc("pending jobs").draw()?;
        for (name, value, colour) in lines {
            let line = || self.points.iter().map(|p| (place(p), value(p)));
            let series = LineSeries::new(line(), colour.stroke_width(2));
            let swatch = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour);
            chart.draw_series(series)?.label(name).legend(swatch);
            chart.draw_series(line().map(|p| Circle::new(p, 4, colour.filled())))?;
        }
        let mut legend = chart.configure_series_labels();
        legend.position(SeriesLabelPosition::UpperLeft).background_style(WHITE);
        legend.border_style(BLACK).draw()?;
        Ok(())
    }

    fn axis(&self) -> Depths {
        Depths { most: self.points.last().map_or(1.0, place) }
    }
}

/// Where a depth stands on the axis.
fn place(point: &Point) -> f64 {
    (point.depth.max(1) as f64).log10()
}

fn builder<'a, 'b>(area: &'a Area<'b>, title: &str) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(area);
    builder.caption(title, ("sans-serif", 17)).margin(8).margin_right(24);
    builder.x_label_area_size(38).y_label_area_size(64);
    builder
}

/// The axis of depths, in powers of ten; its first place is the empty queue.
struct Depths {
    most: f64,
}

impl Ranged for Depths {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = (value + 0.1) / (self.most + 0.2).max(1.0);
        limit.0 + (part * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        (0..=self.most.floor() as u32).map(f64::from).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        0.0..self.most
    }
}

impl ValueFormatter<f64> for Depths {
    fn format_ext(&self, value: &f64) -> String {
        if *value < 0.5 {
            "0".to_owned()
        } else {
            super::sums::thousands(10_f64.powf(*value) as usize)
        }
    }
}
