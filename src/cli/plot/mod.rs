//! Charts of lines and points, as SVG and as PNG.
//!
//! A [`Chart`] holds numbers and words; [`Chart::svg`] lays it out, and [`png`] draws that same
//! SVG with an embedded font, so the picture is the same on every machine. The SVG is written here
//! because charting crates place their marks on whole pixels, which shows in smooth curves.

pub mod axis;
mod heat;
pub mod svg;

use resvg::{tiny_skia, usvg};
use thiserror::Error;

/// How the points of a series are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Joined by straight lines; a point that is not finite breaks the line.
    Line,
    /// Joined by straight lines, with a dot each.
    Marked,
    /// A dot each.
    Points,
    /// The area between pairs of points, lower and upper, with the same abscissa.
    Band,
}

/// Pairs of numbers with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// As the legend shows it.
    pub label: String,
    /// Abscissa and ordinate.
    pub points: Vec<(f64, f64)>,
    /// How they are drawn. Lines, points and bands are coloured in the same order, so that the first
    /// line, the first set of points and the first band belong together. A band is not in the legend.
    pub mark: Mark,
}

/// A chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// Above it; may be empty.
    pub title: String,
    /// Below the horizontal axis.
    pub x_label: String,
    /// Beside the vertical axis; may be empty.
    pub y_label: String,
    /// The numbers of both axes are logarithms to base 10: the axes show what they are the logarithms of.
    pub powers: bool,
    /// What is shown, in the order of the legend.
    pub series: Vec<Series>,
}

/// Numbers over a rectangle, as colours with a scale beside them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeatMap {
    /// Beside the scale.
    pub label: String,
    /// Below the horizontal axis.
    pub x_label: String,
    /// Beside the vertical axis.
    pub y_label: String,
    /// From left to right.
    pub x: (f64, f64),
    /// From bottom to top.
    pub y: (f64, f64),
    /// Cells in a row.
    pub columns: usize,
    /// The number of each cell, row by row from the bottom. A cell that is not finite stays empty.
    pub values: Vec<f64>,
}

/// Why a picture could not be drawn.
#[derive(Debug, Error)]
#[error("cannot draw the picture: {0}")]
pub struct DrawError(String);

/// The font of all charts; see the README beside it.
const FONT: &[u8] = include_bytes!("Roboto-Regular.ttf");

/// Draws `svg` as PNG, with `scale` pixels for each of its units.
pub fn png(svg: &str, scale: f32) -> Result<Vec<u8>, DrawError> {
    let mut options = usvg::Options { font_family: String::from("Roboto"), ..usvg::Options::default() };
    options.fontdb_mut().load_font_data(FONT.to_vec());
    options.fontdb_mut().set_sans_serif_family("Roboto");
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| DrawError(error.to_string()))?;
    let size = tree.size().to_int_size().scale_by(scale).ok_or_else(|| DrawError(String::from("no area")))?;
    let mut pixmap = tiny_skia::Pixmap::new(size.width(), size.height())
        .ok_or_else(|| DrawError(String::from("no area")))?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|error| DrawError(error.to_string()))
}
