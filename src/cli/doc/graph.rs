//! What depends on what, as SVG: a column for what is given, one for what moves, then what follows
//! from them.

use super::escaped;
use crate::syntax::ast::{Expr, ExprKind, File, Item, ItemKind};
use std::collections::{BTreeMap, BTreeSet};

const ROW: usize = 34;
const COLUMN: usize = 190;
const HEIGHT: usize = 24;
const MARGIN: usize = 16;

/// A box of the picture.
struct Node {
    name: String,
    class: &'static str,
    /// Names it is computed from.
    uses: BTreeSet<String>,
    column: usize,
    row: usize,
}

/// The picture; empty if nothing is declared.
pub fn graph(file: &File) -> String {
    let mut nodes = nodes(file);
    if nodes.is_empty() {
        return String::new();
    }
    place(&mut nodes);
    draw(&nodes)
}

fn class(item: &Item) -> Option<&'static str> {
    match &item.kind {
        ItemKind::Const(_) => Some("const"),
        ItemKind::Param(_) => Some("param"),
        ItemKind::Input(_)
        | ItemKind::Data(_)
        | ItemKind::Random { .. }
        | ItemKind::Noise { .. }
        | ItemKind::Control { .. } => Some("data"),
        ItemKind::State(_) | ItemKind::Algebraic(_) | ItemKind::Discrete(_) => Some("state"),
        ItemKind::Let(_) | ItemKind::Fn(_) => Some("let"),
        ItemKind::Channel { .. } => Some("channel"),
        ItemKind::Output(_) | ItemKind::Metric { .. } => Some("output"),
        ItemKind::Loss { .. } => Some("loss"),
        ItemKind::Use(_)
        | ItemKind::Time { .. }
        | ItemKind::Layer(_)
        | ItemKind::System(_)
        | ItemKind::Event(_)
        | ItemKind::Plot { .. }
        | ItemKind::Export { .. }
        | ItemKind::Settings { .. }
        | ItemKind::Profile { .. }
        | ItemKind::Sweep { .. }
        | ItemKind::Ensemble { .. }
        | ItemKind::Equation { .. }
        | ItemKind::Likelihood { .. }
        | ItemKind::Error => None,
    }
}

fn names(exprs: &[&Expr]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for expr in exprs {
        expr.walk(&mut |part| {
            if let ExprKind::Name(name) = &part.kind {
                found.insert(name.to_string());
            }
        });
    }
    found
}

fn nodes(file: &File) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut push = |name: &str, class: &'static str, uses: BTreeSet<String>| {
        nodes.push(Node { name: name.to_string(), class, uses, column: 0, row: 0 });
    };
    for item in &file.items {
        match (&item.kind, class(item)) {
            (ItemKind::Const(decls) | ItemKind::Output(decls) | ItemKind::Input(decls), Some(class)) => {
                for decl in decls {
                    push(&decl.name.name, class, names(decl.value.as_deref().as_slice()));
                }
            }
            (ItemKind::Param(decls), Some(class)) => {
                decls.iter().for_each(|decl| push(&decl.name.name, class, BTreeSet::new()))
            }
            (ItemKind::State(unknowns), Some(class)) => {
                for unknown in unknowns.iter().filter(|unknown| unknown.primes == 0) {
                    push(&unknown.name.name, class, names(unknown.value.as_deref().as_slice()));
                }
            }
            (ItemKind::Loss { name, value }, _) => {
                push(name.as_ref().map_or("loss", |name| &name.name), "loss", names(&[value]));
            }
            (ItemKind::Likelihood { data, distribution }, _) => {
                let uses = names(&[data, distribution]);
                push("likelihood", "loss", uses);
            }
            (_, Some(class)) => {
                let uses = names(&item.exprs());
                item.declares().iter().for_each(|name| push(&name.name, class, uses.clone()));
            }
            (_, None) => {}
        }
    }
    // The rate of a state is what its equation uses.
    for item in &file.items {
        if let ItemKind::Equation { lhs, rhs } = &item.kind {
            let moved = names(&[lhs]);
            let uses = names(&[rhs]);
            for node in nodes.iter_mut().filter(|node| node.class == "state" && moved.contains(&node.name)) {
                node.uses.extend(uses.iter().filter(|name| **name != node.name).cloned());
            }
        }
    }
    let known: BTreeSet<String> = nodes.iter().map(|node| node.name.clone()).collect();
    for node in &mut nodes {
        let own = node.name.clone();
        node.uses.retain(|name| known.contains(name) && *name != own);
    }
    nodes
}

/// Given things first, what moves second, what follows from them by how far it is from them.
fn place(nodes: &mut [Node]) {
    let position: BTreeMap<String, usize> =
        nodes.iter().enumerate().map(|(at, node)| (node.name.clone(), at)).collect();
    let given = |class: &str| matches!(class, "const" | "param" | "data");
    for node in nodes.iter_mut() {
        node.column = match node.class {
            class if given(class) => 0,
            "state" => 1,
            _ => 2,
        };
    }
    // As many rounds as there are nodes settle every chain; a circle settles at the bound.
    for _ in 0..nodes.len().min(12) {
        for at in 0..nodes.len() {
            if given(nodes[at].class) || nodes[at].class == "state" {
                continue;
            }
            let uses = nodes[at].uses.iter().filter_map(|name| position.get(name));
            let behind =
                uses.filter(|used| nodes[**used].column >= 2).map(|used| nodes[*used].column + 1).max();
            nodes[at].column = behind.unwrap_or(2).min(8);
        }
    }
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    for node in nodes.iter_mut() {
        let row = rows.entry(node.column).or_default();
        node.row = *row;
        *row += 1;
    }
    let tallest = rows.values().copied().max().unwrap_or(0);
    for node in nodes.iter_mut() {
        // Columns are centred on the tallest: positions are counted in half rows.
        node.row = 2 * node.row + (tallest - rows[&node.column]);
    }
}

fn draw(nodes: &[Node]) -> String {
    let width_of = |node: &Node| node.name.chars().count() * 8 + 22;
    let left = |node: &Node| MARGIN + node.column * COLUMN;
    let top = |node: &Node| MARGIN + node.row * ROW / 2;
    let width = nodes.iter().map(|node| left(node) + width_of(node)).max().unwrap_or(0) + MARGIN;
    let height = nodes.iter().map(|node| top(node) + HEIGHT).max().unwrap_or(0) + MARGIN;
    let mut svg = format!(
        "<svg class=\"graph\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"What depends on what\">\n"
    );
    for node in nodes {
        for used in nodes.iter().filter(|used| node.uses.contains(&used.name)) {
            let middle = |node: &Node| top(node) + HEIGHT / 2;
            let (y0, y1) = (middle(used), middle(node));
            let path = if used.column < node.column {
                let (x0, x1) = (left(used) + width_of(used), left(node));
                let bend = (x1.saturating_sub(x0)) / 2;
                format!("M{x0} {y0} C{} {y0} {} {y1} {x1} {y1}", x0 + bend, x1 - bend)
            } else {
                // Back to a state, or within a column: round the left side.
                let (x0, x1) = (left(used), left(node));
                let out = x0.min(x1).saturating_sub(46);
                format!("M{x0} {y0} C{out} {y0} {out} {y1} {x1} {y1}")
            };
            svg += &format!(
                "<path class=\"edge\" d=\"{path}\"><title>{} → {}</title></path>\n",
                escaped(&used.name),
                escaped(&node.name)
            );
        }
    }
    for node in nodes {
        let (x, y, w) = (left(node), top(node), width_of(node));
        svg += &format!(
            "<g class=\"node {}\"><rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{HEIGHT}\" rx=\"12\"/>\
             <text x=\"{}\" y=\"{}\">{}</text></g>\n",
            node.class,
            x + w / 2,
            y + HEIGHT / 2 + 4,
            escaped(&node.name)
        );
    }
    svg + "</svg>\n"
}
