//! Stiff runs with dense and with sparse Jacobians, by the number of cells.

use nodec::{Model, Run};
use std::time::Instant;

/// The Brusselator on a line, `radau5` at rtol 1e-6, 2 states a cell.
pub fn lines() {
    println!(
        "\n| cells | directions dense | sparse | entries of factors dense | sparse | ms dense | sparse | ratio |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut times = Vec::new();
    for cells in [16, 32, 64, 125, 250, 500] {
        let [dense, sparse] = ["dense", "sparse"].map(|form| {
            let run = brusselator(cells, form);
            let repeats = if cells > 100 { 1 } else { 5 };
            let mut best = f64::INFINITY;
            for _ in 0..repeats {
                let begun = Instant::now();
                run.solve().expect("it runs");
                best = best.min(begun.elapsed().as_secs_f64() * 1e3);
            }
            (best, run.solve().expect("it runs").stats())
        });
        println!(
            "| {cells} | {} | {} | {} | {} | {:.1} | {:.1} | {:.1} |",
            2 * cells,
            sparse.1.colours,
            dense.1.fill,
            sparse.1.fill,
            dense.0,
            sparse.0,
            dense.0 / sparse.0
        );
        times.push((f64::from(cells).ln(), sparse.0.ln()));
    }
    let (first, last) = (times[1], times[times.len() - 1]);
    println!(
        "log-log slope of the sparse time over the cells: {:.2}",
        (last.1 - first.1) / (last.0 - first.0)
    );
}

fn brusselator(cells: u32, form: &str) -> Run {
    let text = format!(
        "use std.systems (Brusselator)\nparam s = Brusselator[{cells}]()\noutput u = s().u[0]\n\
         solve {{ method = radau5, rtol = 1e-6, atol = 1e-6, jacobian = {form} }}\n"
    );
    Model::parse(&text).expect("it checks").bind().build().expect("it compiles")
}
