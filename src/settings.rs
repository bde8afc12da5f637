//! The settings of a run: what `solve`, `train` and `run` blocks, profiles and the command line say.
//!
//! In go the entries of a file and the flags of a command; out come typed [`Settings`], the record
//! of who set what, and the `--set NAME=value` flags that name something of the model. Later wins:
//! built-in, file, profile, command line. Mistakes are E0801, E0802, E0808 and E0290, with a span in the
//! file or in the source called `command line`.

pub mod errors;
pub mod sweep;
mod systems;
pub mod table;
pub mod typed;
pub mod value;

use crate::base::span::{Sources, Span};
use crate::diag::{Code, Diagnostic, Sink};
use crate::syntax::ast::{Entry, Expr, File, ItemKind, SettingsGroup};
use crate::syntax::parser::parse_expr;
use std::ops::Range;
pub use sweep::Sweep;
use systems::Tables;
use table::{Arg, Choice, Kind, Row, SETTINGS};
pub use typed::{
    Adjoint, Backend, Cpu, ErrorNorm, Moments, NormChoice, OptimizerChoice, Patience, Precision, RunSettings,
    Save, Schedule, Settings, SolveSettings, StateTolerance, Steering, Trace, TrainSettings,
};
pub use value::{Origin, Value};

/// A flag of the command line that sets something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// As messages show it: `--set lr=3e-4`.
    text: String,
    /// The key in `text`.
    key: Range<usize>,
    /// The value in `text`.
    value: Range<usize>,
    /// The setting it is an alias of, if the key is not one itself.
    alias: Option<&'static str>,
}

impl Flag {
    /// `--set key=value`; `None` without a key, a `=` or a value.
    pub fn set(assignment: &str) -> Option<Flag> {
        let (key, value) = assignment.split_once('=')?;
        if key.trim().is_empty() || value.trim().is_empty() {
            return None;
        }
        let text = format!("--set {assignment}");
        let start = "--set ".len() + (key.len() - key.trim_start().len());
        let value_start = "--set ".len() + key.len() + 1;
        Some(Flag { key: start..start + key.trim().len(), value: value_start..text.len(), text, alias: None })
    }

    /// `--name value`, which sets `setting`.
    pub fn alias(name: &str, setting: &'static str, value: &str) -> Flag {
        let text = format!("--{name} {value}");
        Flag { key: 2..2 + name.len(), value: 3 + name.len()..text.len(), text, alias: Some(setting) }
    }
}

/// `--set NAME=value` where `NAME` is a `const`, `param` or `input` of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// What is set.
    pub name: String,
    /// Where it is named.
    pub name_span: Span,
    /// To what; spans are in the source `command line`.
    pub value: Expr,
}

/// What a settings table is resolved from.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The model.
    pub file: &'a File,
    /// The profile to apply.
    pub profile: Option<&'a str>,
    /// The flags, in the order they were given.
    pub flags: &'a [Flag],
    /// The `const`s, `param`s and `input`s of the model: they win over the last part of a setting.
    pub names: &'a [&'a str],
}

/// One line of `nodec config`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The dotted name.
    pub key: String,
    /// The value as it was written; empty if unset.
    pub text: String,
    /// Who set it.
    pub origin: Origin,
    /// What it is.
    pub doc: &'static str,
}

/// Resolves the settings of a run. `None` after an error, which went to `sink`.
pub fn resolve(
    request: &Request<'_>,
    sources: &mut Sources,
    sink: &mut Sink,
) -> Option<(Settings, Vec<Override>)> {
    let mut own = Sink::new();
    let mut overrides = Vec::new();
    let mut table = Tables { main: Slots::new(), systems: Vec::new(), named: systems::named(request) };
    for item in &request.file.items {
        if let ItemKind::Settings { group, entries } = &item.kind {
            let group = match group {
                SettingsGroup::Solve => "solve",
                SettingsGroup::Train => "train",
                SettingsGroup::Run => "run",
            };
            set_twice(entries, sources, &mut own);
            for entry in entries {
                table.main.assign_entry(Some(group), entry, Origin::File(entry.span), sources, &mut own);
            }
        }
    }
    table.systems = systems::own(request.file, sources, &mut own);
    if let Some(wanted) = request.profile {
        overrides = table.apply_profile(wanted, request, sources, &mut own);
    }
    for flag in request.flags {
        let source = sources.add("command line", flag.text.as_str());
        let mut mistakes = Sink::new();
        let Some(value) = parse_expr(source, &flag.text, flag.value.clone(), &mut mistakes) else {
            let span = Span::new(source, flag.value.start, flag.value.end);
            let mistakes = mistakes.into_diagnostics().into_iter();
            match is_bare_list(&flag.text[flag.value.clone()]) {
                true => mistakes.for_each(|mistake| own.report(errors::in_brackets(mistake, span))),
                false => mistakes.for_each(|mistake| own.report(mistake)),
            }
            continue;
        };
        let span = Span::new(source, flag.key.start, flag.key.end);
        let name = &flag.text[flag.key.clone()];
        if flag.alias.is_none() && request.names.contains(&name) {
            overrides.push(Override { name: name.to_owned(), name_span: span, value });
            continue;
        }
        let whole = Span::new(source, 0, flag.text.len());
        let key = match flag.alias {
            None if table.system_of(name).is_some() => Ok(name.to_owned()),
            alias => table.main.complete(alias.unwrap_or(name), span, request.names),
        };
        match key {
            Ok(key) => table.assign(&key, span, &value, Origin::CommandLine(whole), sources, &mut own),
            Err(diagnostic) => own.report(*diagnostic),
        }
    }
    let all = std::iter::once(&mut table.main).chain(table.systems.iter_mut().map(|(_, slots)| slots));
    let slots = all.flat_map(|slots| slots.slots.iter_mut());
    slots.filter_map(|slot| slot.not_built.take()).for_each(|d| own.report(d));
    let tables = std::iter::once(&table.main).chain(table.systems.iter().map(|(_, slots)| slots));
    tables.filter_map(Slots::crossed_bounds).for_each(|diagnostic| own.report(diagnostic));
    let failed = own.has_errors();
    own.into_diagnostics().into_iter().for_each(|diagnostic| sink.report(diagnostic));
    (!failed).then(|| (table.main.typed(table.systems), overrides))
}

/// Reports the names that one block sets more than once.
fn set_twice(entries: &[Entry], sources: &Sources, sink: &mut Sink) {
    let same = |a: &Entry, b: &Entry| {
        a.path.parts.iter().map(|part| &part.name).eq(b.path.parts.iter().map(|part| &part.name))
    };
    for (at, entry) in entries.iter().enumerate() {
        if let Some(first) = entries[..at].iter().find(|earlier| same(earlier, entry)) {
            let name = sources.slice(entry.path.span);
            sink.report(errors::set_twice(name, first.span, entry.span));
        }
    }
}

/// Whether `text` is numbers with commas between them, which would be a list in brackets.
fn is_bare_list(text: &str) -> bool {
    let bracketed = format!("[{text}]");
    let source = Sources::new().add("list", bracketed.as_str());
    let list = parse_expr(source, &bracketed, 0..bracketed.len(), &mut Sink::new());
    list.is_some_and(|list| value::numbers(&list).is_some())
}

/// `nodec config`: every setting, its value, and who set it, in aligned columns.
pub fn listing(resolved: &[Resolved], sources: &Sources) -> String {
    let key_width = resolved.iter().map(|row| row.key.len()).max().unwrap_or(0);
    let text_width = resolved.iter().map(|row| row.text.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for row in resolved {
        let Resolved { key, text, doc, .. } = row;
        out.push_str(&format!("{key:key_width$}  {text:text_width$}  # {}: {doc}\n", set_by(row, sources)));
    }
    out
}

/// Who set a setting, in words: `built in`, `m.node:3`, `profile eval, m.node:7`, `--set lr=1e-2`.
pub fn set_by(row: &Resolved, sources: &Sources) -> String {
    match &row.origin {
        Origin::BuiltIn if row.text.is_empty() => String::from("not set"),
        Origin::BuiltIn => String::from("built in"),
        Origin::File(span) => place(*span, sources),
        Origin::Profile(name, span) => format!("profile {name}, {}", place(*span, sources)),
        Origin::CommandLine(span) => sources.slice(*span).to_owned(),
    }
}

fn place(span: Span, sources: &Sources) -> String {
    let line = sources.position(span.source, span.lo).line;
    format!("{}:{line}", sources.name(span.source))
}

/// A row and what it holds at present.
#[derive(Clone)]
struct Slot {
    row: &'static Row,
    value: Option<Value>,
    /// As it was written.
    text: String,
    origin: Origin,
    /// Where the value stands, for later stages to point at.
    span: Option<Span>,
    /// Why it cannot be used, if it is of the language but not built: said only if nothing later
    /// replaces it.
    not_built: Option<Diagnostic>,
}

/// An argument of a choice that was set by its dotted name, or the tolerance of one state.
#[derive(Clone)]
struct Detail {
    key: String,
    text: String,
    origin: Origin,
    doc: &'static str,
}

/// The table being filled.
#[derive(Clone)]
struct Slots {
    slots: Vec<Slot>,
    details: Vec<Detail>,
    tolerances: Vec<StateTolerance>,
}

impl Slots {
    fn new() -> Slots {
        let slot = |row: &'static Row| Slot {
            row,
            value: row.default.map(|text| value::default_of(row.kind, text)),
            text: row.default.unwrap_or("").to_owned(),
            origin: Origin::BuiltIn,
            span: None,
            not_built: None,
        };
        Slots { slots: SETTINGS.iter().map(slot).collect(), details: Vec::new(), tolerances: Vec::new() }
    }

    /// Takes a line of a block or of a profile; `group` is the block's.
    fn assign_entry(
        &mut self,
        group: Option<&str>,
        entry: &Entry,
        origin: Origin,
        sources: &Sources,
        sink: &mut Sink,
    ) {
        let parts = entry.path.parts.iter().map(|part| &*part.name);
        let key: Vec<&str> = group.into_iter().chain(parts).collect();
        self.assign(&key.join("."), entry.path.span, &entry.value, origin, sources, sink);
    }

    /// Sets `key`, a whole dotted name that stands at `span`.
    fn assign(
        &mut self,
        key: &str,
        span: Span,
        expr: &Expr,
        origin: Origin,
        sources: &Sources,
        sink: &mut Sink,
    ) {
        let text = sources.slice(expr.span).trim().to_owned();
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.row.key == key) {
            if !slot.row.built {
                sink.report(errors::not_built(key, span, Kind::OneOf(&[])));
                return;
            }
            match value::read(slot.row, key, slot.row.kind, expr) {
                Ok(value) => {
                    *slot = Slot {
                        row: slot.row,
                        value: Some(value),
                        text,
                        origin,
                        span: Some(expr.span),
                        not_built: None,
                    };
                    // A new choice has arguments of its own; a new tolerance leaves those of states.
                    if !matches!(slot.row.kind, Kind::PerState) {
                        self.details.retain(|detail| !detail.key.starts_with(&format!("{key}.")));
                    }
                }
                Err(diagnostic) if diagnostic.code == Code("E0290") => slot.not_built = Some(*diagnostic),
                Err(diagnostic) => sink.report(*diagnostic),
            }
            return;
        }
        match self.assign_detail(key, expr) {
            Some(Ok(doc)) => {
                self.details.retain(|detail| detail.key != key);
                self.details.push(Detail { key: key.to_owned(), text, origin, doc });
            }
            Some(Err(diagnostic)) => sink.report(*diagnostic),
            None => sink.report(self.unknown(key, span, matches!(origin, Origin::CommandLine(_)), &[])),
        }
    }

    /// Sets `row.name`: an argument of the present choice, or the tolerance of a state. Gives its
    /// documentation; `None` if there is no such thing.
    fn assign_detail(&mut self, key: &str, expr: &Expr) -> Option<Result<&'static str, Box<Diagnostic>>> {
        let (parent, name) = key.rsplit_once('.')?;
        let slot = self.slots.iter_mut().find(|slot| slot.row.key == parent)?;
        if let Kind::PerState = slot.row.kind {
            let tolerance = match value::read(slot.row, key, Kind::Positive, expr) {
                Ok(Value::Number(tolerance)) => tolerance,
                Ok(other) => crate::bug!("a positive number was read as {other:?}"),
                Err(diagnostic) => return Some(Err(diagnostic)),
            };
            self.tolerances.retain(|known| known.state != name);
            self.tolerances.push(StateTolerance {
                state: name.to_owned(),
                value: tolerance,
                span: expr.span,
            });
            return Some(Ok(slot.row.doc));
        }
        let Some(Value::Choice(choice, values)) = &mut slot.value else { return None };
        let (at, arg) =
            args_of(slot.row.kind, choice).iter().enumerate().find(|(_, arg)| arg.name == name)?;
        let row = Row { doc: arg.doc, ..*slot.row };
        Some(value::read(&row, key, arg.kind, expr).map(|value| {
            values[at] = value;
            arg.doc
        }))
    }

    /// E0802 if `dt_min`, `dt` and `dt_max`, as far as they are set, do not rise.
    fn crossed_bounds(&self) -> Option<Diagnostic> {
        let bounds = ["solve.dt_min", "solve.dt", "solve.dt_max"].map(|key| {
            let slot = self.slots.iter().find(|slot| slot.row.key == key)?;
            match (&slot.value, slot.span) {
                (Some(Value::Number(value)), Some(span)) => Some((key, *value, span)),
                _ => None,
            }
        });
        let set: Vec<(&str, f64, Span)> = bounds.into_iter().flatten().collect();
        let crossed = set.windows(2).find(|pair| pair[0].1 > pair[1].1)?;
        Some(errors::bounds_cross((crossed[0].0, crossed[0].2), (crossed[1].0, crossed[1].2)))
    }

    /// Every name that can be set at present, with its value as text.
    fn keys(&self) -> Vec<(String, String)> {
        let mut keys = Vec::new();
        for slot in &self.slots {
            keys.push((slot.row.key.to_owned(), slot.text.clone()));
            if let Some(Value::Choice(choice, values)) = &slot.value {
                for (arg, value) in args_of(slot.row.kind, choice).iter().zip(values) {
                    keys.push((format!("{}.{}", slot.row.key, arg.name), typed::spelled(value)));
                }
            }
        }
        keys
    }

    /// The whole key that `name`, found at `span` on the command line, stands for.
    fn complete(&self, name: &str, span: Span, model: &[&str]) -> Result<String, Box<Diagnostic>> {
        let keys = self.keys();
        if keys.iter().any(|(key, _)| key == name) || name.starts_with("solve.atol.") {
            return Ok(name.to_owned());
        }
        if name.starts_with("atol.") {
            return Ok(format!("solve.{name}"));
        }
        let ends_with = |key: &str| key.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        let found: Vec<String> = keys.into_iter().map(|(key, _)| key).filter(|key| ends_with(key)).collect();
        match found.as_slice() {
            [key] => Ok(key.clone()),
            [] => Err(Box::new(self.unknown(name, span, true, model))),
            [_, _, ..] => Err(Box::new(errors::ambiguous(name, span, &found))),
        }
    }

    /// E0801 with the name that was probably meant: compared with whole keys if `name` is dotted,
    /// else with last parts and the names of the model.
    fn unknown(&self, name: &str, span: Span, command_line: bool, model: &[&str]) -> Diagnostic {
        let keys = self.keys();
        let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
        let short = |key: &str| if name.contains('.') { key.to_owned() } else { last(key) };
        let names: Vec<String> = keys.iter().map(|(key, _)| short(key)).collect();
        if let Some(near) = closest(name, model.iter().copied()) {
            return errors::unknown(name, span, command_line, None).help(format!("did you mean `{near}`?"));
        }
        let near = closest(name, names.iter().map(String::as_str));
        let near = near.and_then(|near| {
            let at = names.iter().position(|known| known == near)?;
            Some((near, keys[at].0.as_str(), keys[at].1.as_str()))
        });
        errors::unknown(name, span, command_line, near)
    }
}

/// What stands in the parentheses of `choice`.
fn args_of(kind: Kind, choice: &str) -> &'static [Arg] {
    match kind {
        Kind::OneOf(choices) | Kind::Times(choices) | Kind::Unknowns(choices) => {
            choices.iter().find(|known: &&Choice| known.name == choice).map_or(&[], |known| known.args)
        }
        _ => &[],
    }
}

/// The candidate nearest to `name`, if it is near: at most a third of its letters differ, or it is
/// contained in `name` whole (`lrate` for `lr`).
pub(crate) fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.filter_map(|candidate| {
        let distance = edit_distance(name, candidate);
        let longest = name.chars().count().max(candidate.chars().count());
        let begins = candidate.len() >= 2 && (name.starts_with(candidate) || candidate.starts_with(name));
        (3 * distance <= longest || begins).then_some((distance, candidate))
    });
    scored.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b` (the
/// optimal string alignment distance).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(rows[i - 2][j - 2] + 1);
            }
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
