//! What was extracted from a file, as text, for `nodec show --stage equations`.

use crate::base::span::Sources;
use crate::ir::program::{Constraint, Role};
use crate::sema::typed::{DefId, Expr, Model, dims_text};
use std::fmt::Write;

/// One line for each unknown, channel, param, term and curve.
pub(super) fn equations(model: &Model, sources: &Sources) -> String {
    let mut out = String::new();
    let text = |expr: &Expr| one_line(sources.slice(expr.span));
    let typed = |def: DefId| {
        let def = &model.defs[def];
        if def.ty.is_scalar() { def.name.to_string() } else { format!("{}: {}", def.name, def.ty) }
    };
    let mut line = |words: String| writeln!(out, "{words}").expect("writing to a string does not fail");
    for (number, system) in model.systems.iter().enumerate() {
        if model.main != Some(number) {
            line(format!("system {}", system.name));
        }
        let (start, end) = (text(&system.interval.0), text(&system.interval.1));
        line(format!("time {} in {start}..{end}", model.defs[system.time].name));
        let states = &model.states[system.states.clone()];
        for state in states {
            let start = state.start.as_ref().map_or_else(String::new, |start| format!(" = {}", text(start)));
            line(format!("state {}{start}", typed(state.def)));
        }
        for state in states {
            line(format!("  {}' = {}", model.defs[state.def].name, text(&state.rate)));
        }
        for channel in &model.channels[system.channels.clone()] {
            line(format!("channel {}' = {}", typed(channel.def), text(&channel.rate)));
        }
    }
    for call in &model.calls {
        let inverse = if call.inverse { " backwards" } else { "" };
        line(format!(
            "run of {}{inverse}: {}",
            model.systems[call.system].name,
            one_line(sources.slice(call.span))
        ));
    }
    for instance in model.instances.iter().filter(|instance| !instance.is_system) {
        let noun = "layer";
        let sizes = if instance.sizes.is_empty() { String::new() } else { dims_text(&instance.sizes) };
        line(format!("{noun} {} = {}{sizes}", instance.path, instance.name));
    }
    for param in &model.params {
        let set = match param.constraint {
            Constraint::Free => String::new(),
            Constraint::Positive => " in positive".to_owned(),
            Constraint::Interval(lo, hi) => format!(" in interval({lo}, {hi})"),
        };
        let init = param.init.as_ref().map(|init| format!(" = {}", text(init))).unwrap_or_default();
        let prior = param
            .prior
            .as_ref()
            .map(|prior| format!(" ~ {}", one_line(sources.slice(prior.span))))
            .unwrap_or_default();
        line(format!("param {}{set}{init}{prior}", typed(param.def)));
    }
    for port in &model.ports {
        let def = &model.defs[port.def];
        line(format!("{} {}: {}", def.kind.noun(), def.name, def.ty));
    }
    for root in &model.results {
        let role = match root.role {
            Role::Loss => "loss",
            Role::Likelihood => "likelihood",
            Role::Prior => continue,
            Role::Metric => "metric",
            Role::Output => "output",
            Role::Plot => continue,
        };
        line(format!("{role} {}: {}", root.name, one_line(sources.slice(root.span))));
    }
    for curve in &model.curves {
        let role = if curve.output { "output" } else { "curve" };
        line(format!("{role} {}", curve.name));
    }
    out
}

/// Text that may stand on several lines, on one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
