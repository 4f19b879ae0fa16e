//! One plot as SVG: lines over an axis from zero, so that what is flat looks flat.
//!
//! It has no background and follows the reader's choice of light or dark.

use crate::Result;
use plotters::prelude::*;

const SIZE: (u32, u32) = (760, 400);
const FONT: &str = "system-ui, sans-serif";
/// Of text and lines behind; the style below changes them where it is dark.
const INK: RGBColor = RGBColor(0x1f, 0x23, 0x28);
const GRID: RGBColor = RGBColor(0xd0, 0xd7, 0xde);
const STYLE: &str = "<style>@media (prefers-color-scheme: dark){text{fill:#e6edf3}\
     [stroke=\"#1F2328\"]{stroke:#e6edf3}[stroke=\"#D0D7DE\"]{stroke:#3d444d}}</style>";
/// Told apart on white, on black, and without colours by their order in the legend.
const COLOURS: [RGBColor; 4] = [
    RGBColor(0x1f, 0x77, 0xd0),
    RGBColor(0xd0, 0x6a, 0x00),
    RGBColor(0x1a, 0x93, 0x4f),
    RGBColor(0xa0, 0x5a, 0xd0),
];
const BAND: RGBColor = RGBColor(0x80, 0x80, 0x80);

/// What is shown.
pub struct Plot<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    /// Each step along `x` is ten times as much.
    pub tenfold: bool,
    pub series: Vec<(&'a str, Vec<(f64, f64)>)>,
    /// A part of `x` in which something happens.
    pub band: Option<(f64, f64)>,
}

impl Plot<'_> {
    pub fn svg(&self) -> Result<String> {
        let mut text = String::new();
        self.draw(&mut text)?;
        let title = format!("<title>{}</title>{STYLE}", self.title);
        let inside = text.find("<svg").and_then(|at| Some(at + text.get(at..)?.find('>')? + 1));
        text.insert_str(inside.ok_or("the plot is no SVG")?, &title);
        Ok(text)
    }

    fn draw(&self, text: &mut String) -> Result<()> {
        let place = |x: f64| if self.tenfold { x.log10() } else { x };
        let points = || self.series.iter().flat_map(|(_, points)| points);
        let least = if self.tenfold { points().map(|point| point.0).fold(f64::MAX, f64::min) } else { 0.0 };
        let far = points().map(|point| point.0).fold(1.0, f64::max);
        let high = points().map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max) * 1.3;
        let ink = |size: i32| (FONT, size).into_font().color(&INK);
        let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .margin_right(28)
            .caption(self.title, ink(17))
            .x_label_area_size(46)
            .y_label_area_size(64)
            .build_cartesian_2d(place(least)..place(far), 0.0..high)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .label_style(ink(13))
            .axis_desc_style(ink(14))
            .x_desc(self.x)
            .y_desc(self.y)
            .x_labels(if !self.tenfold && far < 10.0 { 5 } else { 9 })
            .y_labels(6)
            .x_label_formatter(&|x| grouped(if self.tenfold { 10_f64.powf(*x) } else { *x }))
            .y_label_formatter(&|y| grouped(*y))
            .draw()?;
        if let Some((from, until)) = self.band {
            chart.draw_series([Rectangle::new([(from, 0.0), (until, high)], BAND.mix(0.3).filled())])?;
        }
        for ((name, points), colour) in self.series.iter().zip(COLOURS) {
            let points = points.iter().map(|(x, y)| (place(*x), *y));
            let dots = if points.len() < 20 { 4 } else { 0 };
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)).point_size(dots))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(3)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .label_font(ink(13))
            .border_style(TRANSPARENT)
            .draw()?;
        area.present()?;
        Ok(())
    }
}

/// How many of something, as a number to calculate with.
pub fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// A number as people write it: `1,000`, and few digits where it is small.
pub fn grouped(value: f64) -> String {
    let whole = value.round();
    if (value - whole).abs() > 1e-6 && value.abs() < 10.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{whole:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
