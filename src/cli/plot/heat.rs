//! The layout of a heat map.

use super::HeatMap;
use super::axis::Axis;
use super::svg::{Frame, HEIGHT, RULE, TEXT, WIDTH, draw_axes, escaped, opening, text_width};
use std::fmt::Write as _;

/// Colours that are told apart in the picture.
const LEVELS: usize = 128;

/// The map `viridis`, even in perceived lightness and for colour-blind eyes, at 33 even places; straight
/// lines between them stay within 2/255 of its 256 colours. Source: S. van der Walt and N. Smith, "A better
/// default colormap for Matplotlib", SciPy 2015 (dedicated to the public, CC0).
const VIRIDIS: [u32; 33] = [
    0x440154, 0x470d60, 0x48186a, 0x482374, 0x472d7b, 0x453681, 0x424086, 0x3f4989, 0x3b528b, 0x375a8d,
    0x33638d, 0x2f6a8e, 0x2c728e, 0x297a8e, 0x26818e, 0x23898e, 0x21908c, 0x1f988b, 0x1f9f88, 0x21a685,
    0x28ae80, 0x31b57b, 0x3ebc74, 0x4cc26c, 0x5dc963, 0x6ece58, 0x82d34c, 0x96d83f, 0xabdc32, 0xc0df24,
    0xd5e21a, 0xeae51a, 0xfde725,
];

/// The colour at `share` of the way from the least to the largest.
fn colour(share: f64) -> String {
    let at = share.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let below = (at as usize).min(VIRIDIS.len() - 2);
    let part = |shift: u32| {
        let channel = |knot: usize| f64::from((VIRIDIS[knot] >> shift) & 0xff);
        channel(below) + (channel(below + 1) - channel(below)) * (at - below as f64)
    };
    format!("#{:02x}{:02x}{:02x}", part(16).round() as u8, part(8).round() as u8, part(0).round() as u8)
}

fn level_colour(level: usize) -> String {
    colour(level as f64 / (LEVELS - 1) as f64)
}

impl HeatMap {
    /// The heat map as a complete SVG document.
    pub fn svg(&self) -> String {
        let finite = || self.values.iter().copied().filter(|value| value.is_finite());
        let (lo, hi) =
            finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
        let scale = Axis::new(lo, hi, 0.0, 6);
        let (x, y) = (Axis::new(self.x.0, self.x.1, 0.0, 7), Axis::new(self.y.0, self.y.1, 0.0, 6));
        let widest = |axis: &Axis| axis.words.iter().map(|word| text_width(word)).fold(0.0, f64::max);
        let frame = Frame {
            left: 44.0 + widest(&y),
            right: WIDTH - 106.0 - widest(&scale),
            top: 34.0,
            bottom: HEIGHT - 56.0,
            x,
            y,
        };
        let mut out = opening();
        draw_axes(&mut out, &frame, &self.x_label, &self.y_label);
        self.draw_cells(&mut out, &frame, &scale);
        draw_scale(&mut out, &frame, &scale, &self.label);
        out.push_str("</svg>\n");
        out
    }

    /// The cells of one level as one path, neighbours in a row joined, in units of cells.
    fn draw_cells(&self, out: &mut String, frame: &Frame, scale: &Axis) {
        if self.columns == 0 {
            return;
        }
        let level = |value: f64| {
            value.is_finite().then(|| (scale.share(value) * (LEVELS - 1) as f64).round() as usize)
        };
        let mut paths = vec![String::new(); LEVELS];
        let rows = self.values.len() / self.columns;
        for (row, values) in self.values.chunks_exact(self.columns).enumerate() {
            let levels: Vec<Option<usize>> = values.iter().map(|value| level(*value)).collect();
            let mut column = 0;
            for run in levels.chunk_by(|a, b| a == b) {
                if let Some(level) = run[0] {
                    let (up, width) = (rows - 1 - row, run.len());
                    let _ = write!(paths[level.min(LEVELS - 1)], "M{column} {up}h{width}v1h-{width}z");
                }
                column += run.len();
            }
        }
        let (width, height) = (frame.right - frame.left, frame.bottom - frame.top);
        let _ = writeln!(
            out,
            "<g transform=\"translate({:.2} {:.2}) scale({} {})\" shape-rendering=\"crispEdges\">",
            frame.left,
            frame.top,
            width / self.columns as f64,
            height / rows.max(1) as f64
        );
        for (level, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
            let _ = writeln!(out, "<path d=\"{path}\" fill=\"{}\"/>", level_colour(level));
        }
        out.push_str("</g>\n");
    }
}

/// The scale of colours at the right, with its words.
fn draw_scale(out: &mut String, frame: &Frame, scale: &Axis, label: &str) {
    let (left, width) = (frame.right + 24.0, 16.0);
    let height = (frame.bottom - frame.top) / LEVELS as f64;
    out.push_str("<g shape-rendering=\"crispEdges\">\n");
    for level in 0..LEVELS {
        let y = frame.bottom - (level + 1) as f64 * height;
        let _ = writeln!(
            out,
            "<rect x=\"{left:.2}\" y=\"{y:.2}\" width=\"{width}\" height=\"{:.2}\" fill=\"{}\"/>",
            height + 0.5,
            level_colour(level)
        );
    }
    out.push_str("</g>\n");
    let right = left + width;
    for (tick, word) in scale.ticks.iter().zip(&scale.words) {
        let y = frame.bottom - scale.share(*tick) * (frame.bottom - frame.top);
        let _ = writeln!(out, "<path d=\"M{right:.2} {y:.2}h5\" stroke=\"{RULE}\" stroke-width=\"1\"/>");
        let _ = writeln!(out, "<text x=\"{:.2}\" y=\"{:.2}\">{word}</text>", right + 9.0, y + 0.36 * TEXT);
    }
    if scale.exponent != 0 {
        let _ =
            writeln!(out, "<text x=\"{left:.2}\" y=\"{:.2}\">{}</text>", frame.top - 12.0, scale.factor());
    }
    let (x, y) = (WIDTH - 14.0, 0.5 * (frame.top + frame.bottom));
    let _ = writeln!(
        out,
        "<text transform=\"translate({x:.2} {y:.2}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        escaped(label)
    );
}
