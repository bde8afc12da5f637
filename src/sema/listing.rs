//! A checked file as listings, for `nodec show`: what each name is, and the typed tree.

use crate::base::span::Sources;
use crate::sema::typed::{DefKind, Expr, Model, Phase};
use std::fmt::Write;

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Static => "static",
        Phase::Run => "run",
        Phase::Example => "example",
        Phase::Time => "time",
    }
}

/// A line for each name of the file: what it is, its type, and when it is known.
pub(super) fn shapes(model: &Model) -> String {
    let mut out = String::new();
    let defs = model.defs.iter().filter(|def| def.kind != DefKind::Local);
    let width = defs.clone().map(|def| def.name.chars().count()).max().unwrap_or(0);
    for def in defs {
        let (kind, ty) = (def.kind.noun(), def.ty.to_string());
        let line = format!("{:<width$}  {kind:<13}  {ty:<14}  {}", def.name, phase(def.phase));
        writeln!(out, "{}", line.trim_end()).expect("writing to a string does not fail");
    }
    out
}

/// The typed tree: the values of names and the rates of unknowns, an expression a line.
pub(super) fn typed(model: &Model, sources: &Sources) -> String {
    let mut out = String::new();
    let mut add = |head: String, expr: &Expr| {
        out.push_str(&head);
        out.push('\n');
        node(expr, 1, sources, &mut out);
    };
    for def in model.defs.iter().filter(|def| def.kind != DefKind::Local) {
        if let Some(value) = &def.value {
            add(format!("{} {} =", def.kind.noun(), def.name), value);
        }
    }
    for state in &model.states {
        if let Some(start) = &state.start {
            add(format!("start of {} =", model.defs[state.def].name), start);
        }
        if let Some(rate) = &state.rate {
            add(format!("rate of {} =", model.defs[state.def].name), rate);
        }
    }
    for line in model.systems.iter().flat_map(|system| &system.dynamics.lines) {
        add("line: 0 =".to_owned(), &line.residual);
    }
    for channel in &model.channels {
        add(format!("rate of channel {} =", model.defs[channel.def].name), &channel.rate);
    }
    for root in &model.results {
        add(format!("result {} =", root.name), &root.value);
    }
    out
}

/// The expression as `Form  type  phase  text`, then what it is made of, indented.
fn node(expr: &Expr, depth: usize, sources: &Sources, out: &mut String) {
    let form = format!("{:?}", expr.kind);
    let form: String = form.chars().take_while(|c| c.is_alphanumeric()).collect();
    let text = sources.slice(expr.span).split_whitespace().collect::<Vec<_>>().join(" ");
    let indent = "  ".repeat(depth);
    let line = format!("{indent}{form}  {}  {}  `{text}`", expr.ty, phase(expr.phase));
    out.push_str(&line);
    out.push('\n');
    let mut itself = true;
    expr.walk(&mut |part| {
        if std::mem::take(&mut itself) {
            return true;
        }
        node(part, depth + 1, sources, out);
        false
    });
}
