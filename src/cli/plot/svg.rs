//! The layout of a chart.

use super::axis::Axis;
use super::{Chart, Mark, Series};
use std::fmt::{self, Write as _};

/// Size of the picture in CSS pixels.
pub(super) const WIDTH: f64 = 720.0;
pub(super) const HEIGHT: f64 = 440.0;
/// Size of the words.
pub(super) const TEXT: f64 = 13.0;
const TITLE: f64 = 15.0;
/// Ink of the words, of the axes, of the grid.
const INK: &str = "#22262b";
pub(super) const RULE: &str = "#70777f";
const GRID: &str = "#e6e8eb";

/// Seven colours that remain distinct in the common kinds of colour blindness: M. Okabe and K.
/// Ito, "Color universal design", 2008, without yellow, which is too light for lines.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/// How a series is drawn.
#[derive(Clone, Copy)]
struct Ink {
    colour: &'static str,
    dashed: bool,
}

/// The attributes of a line.
impl fmt::Display for Ink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dashes = if self.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        write!(f, "stroke=\"{}\" stroke-width=\"2\"{dashes}", self.colour)
    }
}

impl Mark {
    fn joins(self) -> bool {
        self == Mark::Line || self == Mark::Marked
    }
}

/// Where the axes are.
pub(super) struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    pub x: Axis,
    pub y: Axis,
}

impl Frame {
    fn px(&self, x: f64) -> f64 {
        self.left + self.x.share(x) * (self.right - self.left)
    }

    pub fn py(&self, y: f64) -> f64 {
        self.bottom - self.y.share(y) * (self.bottom - self.top)
    }
}

impl Chart {
    /// The chart as a complete SVG document.
    pub fn svg(&self) -> String {
        let legend = self.legend();
        let title_height = if self.title.is_empty() { 0.0 } else { 28.0 };
        let legend_height = 22.0 * legend.len() as f64;
        let (x, y) = self.axes();
        let widest = y.words.iter().map(|word| text_width(word)).fold(0.0, f64::max);
        let label_width = if self.y_label.is_empty() { 0.0 } else { 22.0 };
        let frame = Frame {
            left: 22.0 + widest + label_width,
            right: WIDTH - 24.0,
            top: 20.0 + title_height + legend_height + if y.exponent == 0 { 0.0 } else { 14.0 },
            bottom: HEIGHT - if self.x_label.is_empty() { 36.0 } else { 56.0 },
            x,
            y,
        };
        let mut out = opening();
        if !self.title.is_empty() {
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{TITLE}\">{}</text>",
                frame.left,
                14.0 + TITLE,
                escaped(&self.title)
            );
        }
        for (row, entries) in legend.iter().enumerate() {
            self.draw_legend(&mut out, entries, frame.left, 30.0 + title_height + 22.0 * row as f64 - 6.0);
        }
        draw_axes(&mut out, &frame, &self.x_label, &self.y_label);
        self.draw_series(&mut out, &frame);
        out.push_str("</svg>\n");
        out
    }

    /// Axes that hold every finite point.
    fn axes(&self) -> (Axis, Axis) {
        let finite = || {
            let points = self.series.iter().flat_map(|series| &series.points);
            points.filter(|(x, y)| x.is_finite() && y.is_finite())
        };
        let range = |of: fn(&(f64, f64)) -> f64| {
            finite().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)))
        };
        let (x_lo, x_hi) = range(|point| point.0);
        let (y_lo, y_hi) = range(|point| point.1);
        if self.powers {
            return (Axis::powers(x_lo, x_hi), Axis::powers(y_lo, y_hi));
        }
        // Positive numbers that come near zero are seen best from there.
        let from_zero = y_lo > 0.0 && y_lo < 0.25 * y_hi;
        let y = if from_zero { Axis::new(0.0, 1.05 * y_hi, 0.0, 6) } else { Axis::new(y_lo, y_hi, 0.05, 6) };
        (Axis::new(x_lo, x_hi, 0.02, 7), y)
    }

    /// Bands first, then lines, so that nothing covers a point.
    fn draw_series(&self, out: &mut String, frame: &Frame) {
        for (series, Ink { colour, .. }) in self.coloured().filter(|(series, _)| series.mark == Mark::Band) {
            let path = area(series, frame);
            if !path.is_empty() {
                let _ = writeln!(out, "<path d=\"{path}\" fill=\"{colour}\" fill-opacity=\"0.22\"/>");
            }
        }
        for (series, ink) in self.coloured().filter(|(series, _)| series.mark.joins()) {
            let path = path(series, frame);
            if !path.is_empty() {
                let _ = writeln!(
                    out,
                    "<path d=\"{path}\" fill=\"none\" {ink} stroke-linejoin=\"round\" stroke-linecap=\"round\"/>"
                );
            }
        }
        let dotted = |mark: Mark| mark == Mark::Points || mark == Mark::Marked;
        for (series, Ink { colour, .. }) in self.coloured().filter(|(series, _)| dotted(series.mark)) {
            for (x, y) in series.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
                dot(out, frame.px(*x), frame.py(*y), colour);
            }
        }
    }

    /// Every series with its ink: the k-th line, set of points and band share a colour. Beyond the last
    /// colour they begin again, and lines are dashed.
    fn coloured(&self) -> impl Iterator<Item = (&Series, Ink)> {
        let mut used = [0; 3];
        self.series.iter().map(move |series| {
            let count = match series.mark {
                Mark::Line | Mark::Marked => &mut used[0],
                Mark::Points => &mut used[1],
                Mark::Band => &mut used[2],
            };
            let ink = Ink { colour: COLOURS[*count % COLOURS.len()], dashed: *count >= COLOURS.len() };
            *count += 1;
            (series, ink)
        })
    }

    /// The entries of the legend, by row. A lone series without company needs none: it is named
    /// on the vertical axis or in the title.
    fn legend(&self) -> Vec<Vec<(&Series, Ink)>> {
        let mut rows: Vec<Vec<(&Series, Ink)>> = Vec::new();
        let mut room = 0.0;
        let named = || self.coloured().filter(|(series, _)| series.mark != Mark::Band);
        if named().count() < 2 {
            return rows;
        }
        for entry in named() {
            let width = entry_width(entry.0);
            match rows.last_mut() {
                Some(row) if room >= width => row.push(entry),
                Some(_) | None => {
                    rows.push(vec![entry]);
                    room = WIDTH - 96.0;
                }
            }
            room -= width;
        }
        rows
    }

    fn draw_legend(&self, out: &mut String, entries: &[(&Series, Ink)], left: f64, y: f64) {
        let mut x = left;
        for (series, ink) in entries {
            let middle = y - 0.36 * TEXT;
            if series.mark.joins() {
                let end = x + 22.0;
                let _ = writeln!(
                    out,
                    "<path d=\"M{x:.2} {middle:.2}L{end:.2} {middle:.2}\" {ink} stroke-linecap=\"round\"/>"
                );
            }
            match series.mark {
                Mark::Points | Mark::Marked => dot(out, x + 11.0, middle, ink.colour),
                Mark::Line | Mark::Band => {}
            }
            let _ =
                writeln!(out, "<text x=\"{:.2}\" y=\"{y:.2}\">{}</text>", x + 29.0, escaped(&series.label));
            x += entry_width(series);
        }
    }
}

/// The beginning of a document: its size, its font, a white ground.
pub(super) fn opening() -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"Roboto, Helvetica, Arial, sans-serif\" \
         font-size=\"{TEXT}\" fill=\"{INK}\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    )
}

/// The axes with their words, and the grid.
pub(super) fn draw_axes(out: &mut String, frame: &Frame, x_label: &str, y_label: &str) {
    let Frame { left, right, top, bottom, .. } = *frame;
    let line = |out: &mut String, x1: f64, y1: f64, x2: f64, y2: f64, colour: &str| {
        let _ = writeln!(
            out,
            "<path d=\"M{x1:.2} {y1:.2}L{x2:.2} {y2:.2}\" stroke=\"{colour}\" stroke-width=\"1\" fill=\"none\"/>"
        );
    };
    for tick in &frame.y.ticks {
        line(out, left, frame.py(*tick), right, frame.py(*tick), GRID);
    }
    for tick in &frame.x.minor {
        line(out, frame.px(*tick), bottom, frame.px(*tick), bottom + 3.0, RULE);
    }
    for tick in &frame.y.minor {
        line(out, left - 3.0, frame.py(*tick), left, frame.py(*tick), RULE);
    }
    for (tick, word) in frame.x.ticks.iter().zip(&frame.x.words) {
        let x = frame.px(*tick);
        line(out, x, bottom, x, bottom + 5.0, RULE);
        let y = bottom + 9.0 + TEXT;
        let _ = writeln!(out, "<text x=\"{x:.2}\" y=\"{y:.2}\" text-anchor=\"middle\">{word}</text>");
    }
    for (tick, word) in frame.y.ticks.iter().zip(&frame.y.words) {
        let (x, y) = (left - 9.0, frame.py(*tick) + 0.36 * TEXT);
        let _ = writeln!(out, "<text x=\"{x:.2}\" y=\"{y:.2}\" text-anchor=\"end\">{word}</text>");
    }
    line(out, left, bottom, right, bottom, RULE);
    line(out, left, top, left, bottom, RULE);
    let x_label = [x_label, &frame.x.factor()].join(" ");
    let _ = writeln!(
        out,
        "<text x=\"{:.2}\" y=\"{:.2}\" text-anchor=\"middle\">{}</text>",
        0.5 * (left + right),
        HEIGHT - 14.0,
        escaped(x_label.trim())
    );
    if frame.y.exponent != 0 {
        let _ = writeln!(out, "<text x=\"{left:.2}\" y=\"{:.2}\">{}</text>", top - 8.0, frame.y.factor());
    }
    if !y_label.is_empty() {
        let (x, y) = (8.0 + TEXT, 0.5 * (top + bottom));
        let _ = writeln!(
            out,
            "<text transform=\"translate({x:.2} {y:.2}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escaped(y_label)
        );
    }
}

/// Room of an entry of the legend.
fn entry_width(series: &Series) -> f64 {
    29.0 + text_width(&series.label) + 24.0
}

/// About how wide `text` is: the advances of Roboto, rounded to a few classes.
pub(super) fn text_width(text: &str) -> f64 {
    let advance = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | 'I' => 0.25,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' => 0.34,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.87,
        c if c.is_uppercase() => 0.65,
        _ => 0.555,
    };
    text.chars().map(advance).sum::<f64>() * TEXT
}

/// A dot with a thin white edge, which keeps it apart from the lines under it.
fn dot(out: &mut String, x: f64, y: f64, colour: &str) {
    let _ = writeln!(
        out,
        "<circle cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"4\" fill=\"{colour}\" stroke=\"#ffffff\" stroke-width=\"1\"/>"
    );
}

/// The path of a line; a point nearer than a quarter of a pixel to the last one kept adds nothing.
fn path(series: &Series, frame: &Frame) -> String {
    let mut out = String::new();
    let mut pen: Option<(f64, f64)> = None;
    let last = series.points.len().saturating_sub(1);
    for (at, (x, y)) in series.points.iter().enumerate() {
        if !(x.is_finite() && y.is_finite()) {
            pen = None;
            continue;
        }
        let (px, py) = (frame.px(*x), frame.py(*y));
        let near = pen.is_some_and(|(x, y)| (px - x).abs().max((py - y).abs()) < 0.25);
        if near && at != last {
            continue;
        }
        let _ = write!(out, "{}{px:.2} {py:.2}", if pen.is_some() { 'L' } else { 'M' });
        pen = Some((px, py));
    }
    out
}

/// The outline of a band: along its lower edge and back along the upper one, for each stretch in
/// which both are finite.
fn area(series: &Series, frame: &Frame) -> String {
    let mut out = String::new();
    let pairs: Vec<[(f64, f64); 2]> = series.points.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
    let is_finite = |pair: &[(f64, f64); 2]| pair.iter().all(|(x, y)| x.is_finite() && y.is_finite());
    for stretch in pairs.split(|pair| !is_finite(pair)).filter(|stretch| stretch.len() > 1) {
        let edge = stretch.iter().map(|pair| pair[0]).chain(stretch.iter().rev().map(|pair| pair[1]));
        for (at, (x, y)) in edge.enumerate() {
            let _ = write!(out, "{}{:.2} {:.2}", if at == 0 { 'M' } else { 'L' }, frame.px(x), frame.py(y));
        }
        out.push('Z');
    }
    out
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
