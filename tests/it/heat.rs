//! Heat maps: the numbers over the grid, and their picture.

use nodec::cli::plot::{HeatMap, png};
use nodec::ir::program::{Heat, Series};
use nodec::{Model, Run};

fn heat(run: &Run) -> Heat {
    match run.program().plots[0].series.as_slice() {
        [Series::Heat(heat)] => heat.clone(),
        other => panic!("{other:?}"),
    }
}

fn built(text: &str) -> Run {
    let model = Model::parse(text).unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render()));
    model.bind().build().unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render()))
}

/// A turn by `a` and growth by `exp(k)`: `z(1) = exp(k) R(a) z(0)`. Cells of [0, 2] × [-1, 1], four along a
/// side, have their middles at 0.25, 0.75, … and -0.75, -0.25, ….
#[test]
fn each_cell_is_a_run_from_its_middle() {
    let text = "param k = 0.5, a = 1.0\ntime t in 0..1\nstate w = 3.0, z: [2] = [5, 6]\nw' = 0\n\
                z' = k*z + a*[-z[1], z[0]]\noutput kept = sum(z(start))\n\
                plot heatmap(z(end)[0] + w(end), over = z, x = 0..2, y = -1..1, points = 4)\n\
                solve { rtol = 1e-10, atol = 1e-12 }\n";
    let mut run = built(text);
    for k in [0.5, -1.0] {
        assert!(run.set_param("k", &[k]));
        let found = run.on_grid(&heat(&run)).unwrap();
        assert_eq!(found.len(), 16);
        for (cell, value) in found.iter().enumerate() {
            let (x, y) = (0.25 + 0.5 * (cell % 4) as f64, -0.75 + 0.5 * (cell / 4) as f64);
            let expected = 3.0 + k.exp() * (x * 1.0_f64.cos() - y * 1.0_f64.sin());
            assert!((value - expected).abs() < 1e-8, "{value}, not {expected}, at {x}, {y}");
        }
        // The run itself is where the file says.
        assert_eq!(run.solve().unwrap().value("kept").unwrap().values, [11.0]);
    }
}

/// `x' = x²` from above 1 is infinite before the end.
#[test]
fn a_cell_whose_run_fails_is_empty() {
    let text = "time t in 0..1\nstate z: [2] = [0, 0]\nz' = [z[0]^2, 0]\n\
                plot heatmap(z(end)[0], over = z, x = 0..2, y = 0..1, points = 2)\nsolve { rtol = 1e-9 }";
    let run = built(text);
    let found = run.on_grid(&heat(&run)).unwrap();
    assert!((found[0] - 1.0).abs() < 1e-7 && (found[2] - 1.0).abs() < 1e-7, "{found:?}");
    assert!(found[1].is_nan() && found[3].is_nan());
}

#[test]
fn the_picture_has_the_colours_of_the_ends_and_no_more_paths_than_colours() {
    let values: Vec<f64> = (0..100).map(|cell| if cell == 37 { f64::NAN } else { f64::from(cell) }).collect();
    let label = |text: &str| text.to_owned();
    let map = HeatMap {
        label: label("a < b"),
        x_label: label("z[0]"),
        y_label: label("z[1]"),
        x: (-2.0, 3.0),
        y: (-2.0, 2.0),
        columns: 10,
        values,
    };
    let svg = map.svg();
    // The least cell is at the bottom left and dark, the largest at the top right and light.
    assert!(svg.contains("<path d=\"M0 9h1v1h-1z\" fill=\"#440154\"/>"), "{svg}");
    assert!(svg.contains("<path d=\"M9 0h1v1h-1z\" fill=\"#fde725\"/>"));
    assert!(!svg.contains("M7 6h") && svg.contains("a &lt; b"));
    assert!(png(&svg, 1.0).unwrap().starts_with(b"\x89PNG"));
    // Nothing at all is an empty picture.
    assert!(png(&HeatMap::default().svg(), 1.0).is_ok());
}
