//! What was extracted from a file, as text, for `nodec show --stage equations`.

use crate::base::span::Sources;
use crate::ir::constraint::Constraint;
use crate::ir::func::Func;
use crate::ir::program::Role;
use crate::ir::system::{Calculus, System};
use crate::ir::zeros;
use crate::sema::typed::{DefId, DefKind, Expr, Model, dims_text};
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
            line(format!("{} {}{start}", state.kind.noun(), typed(state.def)));
        }
        for noise in &system.dynamics.noises {
            let calculus = match noise.calculus {
                Calculus::Ito => "ito",
                Calculus::Stratonovich => "stratonovich",
            };
            line(format!("noise {} = wiener({calculus})", typed(noise.def)));
        }
        for state in states {
            if let Some(rate) = &state.rate {
                line(format!("  {}' = {}", model.defs[state.def].name, text(rate)));
            }
        }
        for implicit in &system.dynamics.lines {
            line(format!("  {}", one_line(sources.slice(implicit.span))));
        }
        for event in &system.dynamics.events {
            line(format!("  {}", one_line(sources.slice(event.item))));
        }
        for channel in &model.channels[system.channels.clone()] {
            line(format!("channel {}' = {}", typed(channel.def), text(&channel.rate)));
        }
    }
    for (def, path) in model.defs.ids().filter_map(|id| Some((id, model.defs[id].value.as_ref()?))) {
        if model.defs[def].kind == DefKind::Control {
            line(format!("control {} = {}", typed(def), text(path)));
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
        let set = match param.constraint == Constraint::Free {
            true => String::new(),
            false => format!(" in {}", param.constraint),
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

/// Matrices with more entries than this are said by their size.
const MAX_SHOWN: usize = 144;

/// The mass matrix and the diffusion by what is in them: `0` and `*` for what is zero by construction
/// and what may be something else, the numbers of a matrix of numbers. Which rows are constraints.
pub(super) fn matrices(system: &System) -> String {
    let mut names: Vec<String> = Vec::new();
    for state in &system.states {
        let count = state.ty.shape.count();
        let entry = |at| if state.ty.shape.rank() == 0 { String::new() } else { format!("[{at}]") };
        names.extend((0..count).map(|at| format!("{}{}", state.name, entry(at))));
    }
    let mut out = String::new();
    let mut matrix = |what: &str, func: &Func| {
        let [n, m] = func.ty(func.results[0].value).shape.dims() else { crate::bug!("{what} is no matrix") };
        if n * m > MAX_SHOWN {
            writeln!(out, "{what}: {n} by {m}").expect("writing to a string does not fail");
            return;
        }
        let pattern = zeros::may_differ(func).remove(0);
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        writeln!(out, "{what}").expect("writing to a string does not fail");
        for (row, entries) in pattern.chunks(*m).enumerate() {
            let entries: Vec<&str> = entries.iter().map(|differs| if *differs { "*" } else { "0" }).collect();
            let is_constraint = what == "mass matrix" && system.constraints[row];
            let note = if is_constraint { "  a constraint" } else { "" };
            let name = &names[row];
            let pad = " ".repeat(width - name.chars().count());
            writeln!(out, "  {name}{pad}  {}{note}", entries.join(" "))
                .expect("writing to a string does not fail");
        }
    };
    system.mass.iter().for_each(|mass| matrix("mass matrix", mass));
    system.diffusion.iter().for_each(|diffusion| matrix("diffusion", diffusion));
    out
}

/// Text that may stand on several lines, on one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
