//! The page: headings, tables and formulas in the order in which a paper would have them.

use super::{escaped, graph, math, words_and_unit};
use crate::base::span::{Sources, Span};
use crate::syntax::ast::{
    Decl, Doc, Entry, EventKind, File, Item, ItemKind, Jump, ParamDecl, SettingsGroup, Type, Unknown,
};
use std::fmt::Write;

/// The HTML of `file`, called `name`.
pub fn page(name: &str, file: &File, sources: &Sources) -> String {
    let writer = Writer { file, sources };
    let lede = writer.lede();
    let sections = [
        ("What depends on what", writer.picture()),
        ("Equations", writer.equations()),
        ("Unknowns", writer.unknowns()),
        ("Params", writer.params()),
        ("Constants and inputs", writer.constants()),
        ("Data", writer.data()),
        ("Definitions", writer.definitions()),
        ("Events", writer.events()),
        ("Results and losses", writer.results()),
        ("Settings", writer.settings()),
        ("The program", writer.program()),
    ];
    let title = escaped(&name.replace('_', " "));
    let mut out = String::new();
    let mut add = |text: &str| out.push_str(text);
    add("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
    add("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    add(&format!("<title>{title}</title>\n<style>\n{}</style>\n", include_str!("page.css")));
    add(&format!("<main>\n<h1>{title}</h1>\n"));
    if !lede.is_empty() {
        add(&format!("<p class=\"lede\">{}</p>\n", escaped(&lede)));
    }
    for (heading, body) in sections.iter().filter(|(_, body)| !body.is_empty()) {
        add(&format!("<h2>{heading}</h2>\n{body}"));
    }
    add("<footer>Made by <code>nodec doc</code>.</footer>\n</main>\n</html>\n");
    out
}

struct Writer<'a> {
    file: &'a File,
    sources: &'a Sources,
}

/// A table without the columns that are empty throughout.
fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let used: Vec<usize> =
        (0..heads.len()).filter(|at| rows.iter().any(|row| !row[*at].is_empty())).collect();
    let head: String = used.iter().map(|at| format!("<th>{}</th>", heads[*at])).collect();
    let mut out = format!("<table>\n<tr>{head}</tr>\n");
    for row in rows {
        let cells: String = used.iter().map(|at| format!("<td>{}</td>", row[*at])).collect();
        writeln!(out, "<tr>{cells}</tr>").expect("writing to a string does not fail");
    }
    out + "</table>\n"
}

fn unit(of: Option<String>) -> String {
    of.map_or_else(String::new, |unit| format!("<span class=\"unit\">{}</span>", escaped(&unit)))
}

impl Writer<'_> {
    fn text(&self, span: Span) -> String {
        escaped(&self.sources.slice(span).split_whitespace().collect::<Vec<_>>().join(" "))
    }

    fn code(&self, span: Span) -> String {
        format!("<code>{}</code>", self.text(span))
    }

    fn ty(&self, ty: &Option<Box<Type>>) -> String {
        ty.as_ref().map_or_else(String::new, |ty| self.code(ty.span))
    }

    /// The `##` lines of the first item speak of the whole file.
    fn lede(&self) -> String {
        self.file.items.first().map_or_else(String::new, |item| words_and_unit(&item.docs).0)
    }

    /// The words and the unit of an item; those of the first are the lede.
    fn docs(&self, item: &Item) -> (String, String) {
        let first = self.file.items.first().is_some_and(|first| std::ptr::eq(first, item));
        let docs: &[Doc] = if first { &[] } else { &item.docs };
        let (words, of) = words_and_unit(docs);
        (escaped(&words), unit(of))
    }

    fn picture(&self) -> String {
        let svg = graph::graph(self.file);
        if svg.is_empty() {
            return svg;
        }
        let legend = "<p class=\"legend\"><b class=\"p\">params</b> · <b class=\"d\">data and inputs</b> · \
                      <b class=\"s\">unknowns</b> · <b class=\"o\">channels and outputs</b> · <b class=\"l\">losses</b></p>\n";
        format!("<div class=\"picture\">\n{svg}</div>\n{legend}")
    }

    fn formula(&self, item: &Item, math: String) -> String {
        let (words, unit) = self.docs(item);
        let words = if words.is_empty() && unit.is_empty() {
            String::new()
        } else {
            format!("<p>{words} {unit}</p>")
        };
        format!("<div class=\"formula\">{math}{words}</div>\n")
    }

    fn equations(&self) -> String {
        let mut out = String::new();
        for item in &self.file.items {
            match &item.kind {
                ItemKind::Equation { lhs, rhs } => {
                    out += &self.formula(item, math::formula(lhs, "=", rhs, self.sources))
                }
                ItemKind::Channel { name, value, .. } => {
                    out += &self.formula(item, math::definition(&name.name, 1, value, self.sources));
                }
                ItemKind::Time { name, interval } => {
                    let time = math::symbol(&name.name, 0, self.sources);
                    let words =
                        format!("<p>The time {time} runs over {}.</p>", math::inline(interval, self.sources));
                    out += &format!("<div class=\"formula\">{words}</div>\n");
                }
                _ => {}
            }
        }
        out
    }

    fn unknowns(&self) -> String {
        let mut rows = Vec::new();
        for item in &self.file.items {
            let (kind, unknowns): (&str, &[Unknown]) = match &item.kind {
                ItemKind::State(unknowns) => ("state", unknowns),
                ItemKind::Algebraic(unknowns) => ("algebraic", unknowns),
                ItemKind::Discrete(unknowns) => ("discrete", unknowns),
                _ => continue,
            };
            let (words, unit) = self.docs(item);
            for unknown in unknowns {
                let start = unknown
                    .value
                    .as_ref()
                    .map_or_else(String::new, |value| math::inline(value, self.sources));
                let name = math::symbol(&unknown.name.name, unknown.primes as usize, self.sources);
                rows.push(vec![
                    name,
                    kind.to_string(),
                    self.ty(&unknown.ty),
                    start,
                    unit.clone(),
                    words.clone(),
                ]);
            }
        }
        table(&["", "kind", "type", "start", "unit", "meaning"], &rows)
    }

    fn params(&self) -> String {
        let mut rows = Vec::new();
        for item in &self.file.items {
            let ItemKind::Param(decls) = &item.kind else { continue };
            let (words, unit) = self.docs(item);
            for ParamDecl { name, ty, constraint, value, prior, span: _ } in decls {
                let shown = |part: &Option<Box<crate::syntax::ast::Expr>>| {
                    part.as_ref().map_or_else(String::new, |part| math::inline(part, self.sources))
                };
                let symbol = math::symbol(&name.name, 0, self.sources);
                let name = format!("<code>{}</code>", escaped(&name.name));
                rows.push(vec![
                    symbol,
                    name,
                    self.ty(ty),
                    shown(constraint),
                    shown(value),
                    shown(prior),
                    unit.clone(),
                    words.clone(),
                ]);
            }
        }
        table(&["", "name", "type", "in", "start", "prior", "unit", "meaning"], &rows)
    }

    fn constants(&self) -> String {
        let mut rows = Vec::new();
        for item in &self.file.items {
            let (kind, decls): (&str, &[Decl]) = match &item.kind {
                ItemKind::Const(decls) => ("const", decls),
                ItemKind::Input(decls) => ("input", decls),
                _ => continue,
            };
            let (words, unit) = self.docs(item);
            for decl in decls {
                let value =
                    decl.value.as_ref().map_or_else(String::new, |value| math::inline(value, self.sources));
                let name = math::symbol(&decl.name.name, 0, self.sources);
                rows.push(vec![
                    name,
                    kind.to_string(),
                    self.ty(&decl.ty),
                    value,
                    unit.clone(),
                    words.clone(),
                ]);
            }
        }
        table(&["", "kind", "type", "value", "unit", "meaning"], &rows)
    }

    fn data(&self) -> String {
        let mut rows = Vec::new();
        for item in &self.file.items {
            let ItemKind::Data(data) = &item.kind else { continue };
            for field in &data.fields {
                let (words, of) = words_and_unit(&field.docs);
                let path = format!("<code>{}.{}</code>", escaped(&data.name.name), escaped(&field.name.name));
                rows.push(vec![
                    path,
                    self.code(field.ty.span),
                    self.code(data.source.span),
                    unit(of),
                    escaped(&words),
                ]);
            }
        }
        table(&["field", "type", "from", "unit", "meaning"], &rows)
    }

    fn definitions(&self) -> String {
        let mut out = String::new();
        for item in &self.file.items {
            match &item.kind {
                ItemKind::Let(binding) => {
                    let math = match &binding.pattern.names()[..] {
                        [only] => math::definition(&only.name, 0, &binding.value, self.sources),
                        _ => format!("<p>{}</p>", self.code(item.span)),
                    };
                    out += &self.formula(item, math);
                }
                ItemKind::Fn(function) => {
                    let params: Vec<&str> = function.params.iter().map(|param| &*param.name.name).collect();
                    let name = function.name.as_ref().map_or("", |name| &name.name);
                    let head = format!("<code>{}({})</code>", escaped(name), params.join(", "));
                    let math = match function.body.lets.is_empty() {
                        true => {
                            format!("<p>{head} is {}</p>", math::inline(&function.body.value, self.sources))
                        }
                        false => format!("<p>{}</p>", self.code(item.span)),
                    };
                    out += &self.formula(item, math);
                }
                ItemKind::Layer(container) | ItemKind::System(container) => {
                    let text = escaped(self.sources.slice(item.span));
                    let (words, _) = self.docs(item);
                    out += &format!(
                        "<p><b>{}</b> {words}</p>\n<pre>{text}</pre>\n",
                        escaped(&container.name.name)
                    );
                }
                _ => {}
            }
        }
        out
    }

    fn events(&self) -> String {
        let mut rows = Vec::new();
        for item in &self.file.items {
            let ItemKind::Event(event) = &item.kind else { continue };
            let head = match event.kind {
                EventKind::When => "when",
                EventKind::Every => "every",
                EventKind::At => "at",
            };
            let jumps: Vec<String> = event
                .body
                .iter()
                .map(|jump| match jump {
                    Jump::Assign { target, value } => {
                        format!(
                            "{} := {}",
                            math::inline(target, self.sources),
                            math::inline(value, self.sources)
                        )
                    }
                    Jump::Stop(_) => "the run ends".to_string(),
                    Jump::Let(binding) => self.code(binding.span),
                })
                .collect();
            rows.push(vec![
                format!("{head} {}", math::inline(&event.trigger, self.sources)),
                jumps.join("<br>"),
                self.docs(item).0,
            ]);
        }
        table(&["at", "then", "meaning"], &rows)
    }

    fn results(&self) -> String {
        let mut out = String::new();
        for item in &self.file.items {
            match &item.kind {
                ItemKind::Output(decls) => {
                    for decl in decls {
                        if let Some(value) = &decl.value {
                            out += &self
                                .formula(item, math::definition(&decl.name.name, 0, value, self.sources));
                        }
                    }
                }
                ItemKind::Loss { name, value } | ItemKind::Metric { name, value } => {
                    let name = name.as_ref().map_or("loss", |name| &name.name);
                    out += &self.formula(item, math::definition(name, 0, value, self.sources));
                }
                ItemKind::Likelihood { data, distribution } => {
                    out += &self.formula(item, math::formula(data, "∼", distribution, self.sources));
                }
                _ => {}
            }
        }
        out
    }

    fn settings(&self) -> String {
        let mut rows = Vec::new();
        for item in &self.file.items {
            let (head, entries): (String, &[Entry]) = match &item.kind {
                ItemKind::Settings { group, entries } => {
                    let head = match group {
                        SettingsGroup::Solve => "solve.",
                        SettingsGroup::Train => "train.",
                        SettingsGroup::Run => "run.",
                    };
                    (head.to_string(), entries)
                }
                ItemKind::Profile { name, entries } => (format!("{}: ", name.name), entries),
                _ => continue,
            };
            for entry in entries {
                let key = format!("<code>{}{}</code>", escaped(&head), self.text(entry.path.span));
                rows.push(vec![key, self.code(entry.value.span)]);
            }
        }
        table(&["setting", "value"], &rows)
    }

    fn program(&self) -> String {
        format!("<pre>{}</pre>\n", escaped(self.sources.text(self.file.source).trim_end()))
    }
}
