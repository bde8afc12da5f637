//! `--sweep 'mu = logspace(0, 3, 40)'`: the values that one name takes, run by run.

use super::value::{linspace, number, numbers};
use crate::base::span::Sources;
use crate::diag::Sink;
use crate::syntax::ast::{Arg, Expr, ExprKind};
use crate::syntax::parser::parse_expr;

/// The values of a const, param or input.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// What is set.
    pub name: String,
    /// To these, in this order; at least one.
    pub values: Vec<f64>,
}

/// Most runs of a sweep: each keeps its results.
const MAX_RUNS: f64 = 1e6;

impl Sweep {
    /// `name = linspace(from, to, count)`, `logspace(…)` (of exponents of ten), or a list of
    /// numbers; `None` if it is something else.
    pub fn parse(text: &str) -> Option<Sweep> {
        let (name, list) = text.split_once('=')?;
        let source = Sources::new().add("command line", list);
        let expr = parse_expr(source, list, 0..list.len(), &mut Sink::new())?;
        let values = values(&expr)?;
        let name = name.trim().to_owned();
        (!name.is_empty() && !values.is_empty()).then_some(Sweep { name, values })
    }
}

fn values(expr: &Expr) -> Option<Vec<f64>> {
    let ExprKind::Call { callee, args } = &expr.unparenthesised().kind else { return numbers(expr) };
    let ExprKind::Name(function) = &callee.kind else { return None };
    let plain = args.iter().map(|arg| match arg {
        Arg::Positional(value) => number(value).filter(|value| value.is_finite()),
        Arg::Named(..) | Arg::Spread(..) | Arg::Comprehension(..) => None,
    });
    let [from, to, count] = plain.collect::<Option<Vec<f64>>>()?[..] else { return None };
    if count.fract() != 0.0 || !(1.0..=MAX_RUNS).contains(&count) {
        return None;
    }
    let grid = linspace(from, to, count as u64);
    match &**function {
        "linspace" => Some(grid),
        "logspace" => Some(grid.into_iter().map(libm::exp10).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_and_lists() {
        let values = |text: &str| Sweep::parse(text).map(|sweep| (sweep.name, sweep.values));
        let mu = |values: &[f64]| Some((String::from("mu"), values.to_vec()));
        assert_eq!(values("mu = linspace(0, 1, 3)"), mu(&[0.0, 0.5, 1.0]));
        assert_eq!(values("mu=logspace(0, 2, 3)"), mu(&[1.0, 10.0, 100.0]));
        assert_eq!(values("mu = [3, 1/2]"), mu(&[3.0, 0.5]));
        for wrong in
            ["mu", "mu = ", "= [1]", "mu = f(1, 2, 3)", "mu = linspace(0, 1, 0)", "mu = linspace(0, 1)"]
        {
            assert_eq!(values(wrong), None, "{wrong}");
        }
    }
}
