//! Rates that jump where an unknown passes a value (W0520).

use crate::base::index::IndexVec;
use crate::base::span::Span;
use crate::ir::op::Op;
use crate::ir::system::UnknownKind;
use crate::sema::equations::flow::dependence;
use crate::sema::phase::reach;
use crate::sema::typed::{Def, DefId, Expr, Kind, Model};

/// Each `if` of the motion that chooses between two different numbers by a moving unknown: the
/// `if`, and the name of an unknown it depends on. Sides that are more than numbers may meet where
/// the condition changes, and are not looked at.
pub(crate) fn jumping_choices(model: &Model) -> Vec<(Span, String)> {
    let mut found: Vec<(Span, String)> = Vec::new();
    let rates = model.states.iter().filter_map(|state| state.rate.as_ref());
    let rates = rates
        .chain(model.systems.iter().flat_map(|system| &system.dynamics.lines).map(|line| &line.residual));
    for rate in rates {
        reach(&model.defs, rate, &mut |part| {
            if let Kind::If(condition, then, otherwise) = &part.kind
                && let (Some(a), Some(b)) = (number(&model.defs, then), number(&model.defs, otherwise))
                && a != b
            {
                let states = dependence(&model.defs, &model.states, condition).states;
                let moving = states.into_iter().find(|n| model.states[*n].kind != UnknownKind::Discrete);
                if let Some(number) = moving
                    && !found.iter().any(|(span, _)| *span == part.span)
                {
                    found.push((part.span, model.defs[model.states[number].def].name.to_string()));
                }
            }
            true
        });
    }
    found
}

/// The number that an expression is.
fn number(defs: &IndexVec<DefId, Def>, expr: &Expr) -> Option<f64> {
    match &expr.kind {
        Kind::Real(x) => Some(*x),
        Kind::Size(dim) => dim.as_number().map(|n| n as f64),
        Kind::ToReal(x) => number(defs, x),
        Kind::Elementwise(Op::Neg, parts) => parts.first().and_then(|x| number(defs, x)).map(|x| -x),
        Kind::Def(def) => defs[*def].value.as_ref().and_then(|value| number(defs, value)),
        _ => None,
    }
}
