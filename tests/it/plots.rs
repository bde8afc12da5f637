//! Charts: well-formed, deterministic, and drawn with the embedded font.

use nodec::cli::plot::{Chart, Mark, Series, png};

fn chart() -> Chart {
    // Two damped waves and a sample of each; nothing is read from them but their extent.
    let wave = |phase: f64| {
        (0..400).map(move |k| {
            let t = f64::from(k) * 0.05;
            (1900.0 + t, 40.0 + 38.0 * (-0.02 * t).exp() * (0.65 * t + phase).sin())
        })
    };
    let series = |label: &str, phase, mark| {
        let every = if mark == Mark::Line { 1 } else { 20 };
        Series { label: label.to_owned(), points: wave(phase).step_by(every).collect(), mark }
    };
    Chart {
        title: String::from("Lotka–Volterra predator–prey, fitted to the Hudson Bay pelt counts"),
        x_label: String::from("t"),
        y_label: String::new(),
        powers: false,
        series: vec![
            series("x", 0.0, Mark::Line),
            series("y", -1.0, Mark::Line),
            series("pelts.hare", 0.0, Mark::Points),
            series("pelts.lynx", -1.0, Mark::Points),
        ],
    }
}

#[test]
fn a_chart_is_drawn_the_same_every_time() {
    let svg = chart().svg();
    assert_eq!(svg, chart().svg());
    assert_eq!(svg.matches("<circle").count(), 2 * 20 + 2, "every point and its entry in the legend");
    let picture = png(&svg, 2.0).expect("the chart is valid SVG");
    assert_eq!(&picture[1..4], b"PNG");
    assert_eq!(picture, png(&svg, 2.0).expect("the chart is valid SVG"));
    if let Ok(folder) = std::env::var("NODEC_PLOTS") {
        std::fs::write(std::path::Path::new(&folder).join("chart.png"), picture).unwrap();
        let mut small = chart();
        small.title.clear();
        small.series.truncate(1);
        small.y_label = String::from("energy drift & more");
        small.series[0].points.iter_mut().for_each(|point| point.1 *= 1e-8);
        std::fs::write(std::path::Path::new(&folder).join("small.png"), png(&small.svg(), 2.0).unwrap())
            .unwrap();
    }
}

#[test]
fn labels_and_gaps_keep_the_file_valid() {
    let mut odd = chart();
    odd.series[0].label = String::from("a<b & c");
    odd.series[0].points[10].1 = f64::NAN;
    odd.series[1].points.clear();
    let svg = odd.svg();
    assert!(svg.contains("a&lt;b &amp; c") && !svg.contains("NaN"));
    assert!(png(&svg, 1.0).is_ok() && png(&Chart::default().svg(), 1.0).is_ok());
}
