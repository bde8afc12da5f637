//! Fits the Lotka–Volterra equations to the Hudson Bay pelt counts, from a Rust program.

use std::ops::ControlFlow;

/// The fitted params with their standard errors, and the hares between two counts.
pub fn fitted() -> Result<String, nodec::Error> {
    let model = nodec::Model::load("examples/lotka_volterra/lotka_volterra.node")?;
    let mut run = model.bind().set("x0", 35.0).rtol(1e-8).build()?;

    let fit = run.fit(|progress| {
        eprintln!("step {:2}  objective {:.6}", progress.step, progress.value);
        if progress.step < 100 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;

    let mut table = String::new();
    for (number, param) in fit.params.iter().enumerate() {
        for (entry, value) in param.values.iter().enumerate() {
            let error = fit.errors.as_ref().map_or(f64::NAN, |errors| errors[number].values[entry]);
            table += &format!("{:6} {value:8.4} ± {error:.4}\n", param.path);
        }
    }
    let hares = fit.solution["x"].scalar_at(1905.5);
    table += &format!("hares in the middle of 1905: {:.1} thousand\n", hares.unwrap_or(f64::NAN));
    Ok(table)
}

fn main() -> std::process::ExitCode {
    match fitted() {
        Ok(table) => print!("{table}"),
        Err(error) => {
            eprint!("{error}");
            return std::process::ExitCode::FAILURE;
        }
    }
    std::process::ExitCode::SUCCESS
}
