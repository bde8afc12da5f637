//! Settings of one system: a `solve` block inside it, and `cnf.solve.rtol` from outside.
//!
//! A system with a block of its own starts from the built-in values; every other one follows the
//! `solve` block of the file. A profile and the command line set `solve.rtol` everywhere and
//! `cnf.solve.rtol` for one system, called by its item's name or by the param that it is.

use super::{Origin, Override, Request, Slots, errors, set_twice};
use crate::base::span::{Sources, Span};
use crate::diag::Sink;
use crate::syntax::ast::{Entry, Expr, File, ItemKind, SettingsGroup};

/// The table of the file, and those of the systems that differ from it.
pub(super) struct Tables<'a> {
    pub main: Slots,
    pub systems: Vec<(String, Slots)>,
    /// What `name.solve.…` may begin with.
    pub named: Vec<&'a str>,
}

/// The names that a system may go by: its item's, and params.
pub(super) fn named<'a>(request: &Request<'a>) -> Vec<&'a str> {
    let items = request.file.items.iter().filter_map(|item| match &item.kind {
        ItemKind::System(system) => Some(&*system.name.name),
        _ => None,
    });
    items.chain(request.names.iter().copied()).collect()
}

/// The tables of the systems that have a `solve` block.
pub(super) fn own(file: &File, sources: &Sources, sink: &mut Sink) -> Vec<(String, Slots)> {
    let mut tables = Vec::new();
    for item in &file.items {
        let ItemKind::System(system) = &item.kind else { continue };
        let mut slots: Option<Slots> = None;
        for inner in &system.items {
            let ItemKind::Settings { group: SettingsGroup::Solve, entries } = &inner.kind else { continue };
            set_twice(entries, sources, sink);
            let slots = slots.get_or_insert_with(Slots::new);
            for entry in entries {
                slots.assign_entry(Some("solve"), entry, Origin::File(entry.span), sources, sink);
            }
        }
        tables.extend(slots.map(|slots| (system.name.name.to_string(), slots)));
    }
    tables
}

impl<'a> Tables<'a> {
    /// `cnf.solve.rtol` taken apart: the system, and the setting.
    pub fn system_of<'k>(&self, key: &'k str) -> Option<(&'k str, &'k str)> {
        let (name, _) = key.split_once(".solve.")?;
        let first = name.split(['.', '[']).next().unwrap_or(name);
        self.named.contains(&first).then(|| (name, &key[name.len() + 1..]))
    }

    /// Sets `key` for one system, or everywhere.
    pub fn assign(
        &mut self,
        key: &str,
        span: Span,
        value: &Expr,
        origin: Origin,
        sources: &Sources,
        sink: &mut Sink,
    ) {
        if let Some((name, setting)) = self.system_of(key) {
            let at = match self.systems.iter().position(|(system, _)| system == name) {
                Some(at) => at,
                None => {
                    self.systems.push((name.to_owned(), self.main.clone()));
                    self.systems.len() - 1
                }
            };
            return self.systems[at].1.assign(setting, span, value, origin, sources, sink);
        }
        self.main.assign(key, span, value, origin.clone(), sources, sink);
        if key.starts_with("solve.") {
            for (_, slots) in &mut self.systems {
                // What is wrong with it has been said.
                slots.assign(key, span, value, origin.clone(), sources, &mut Sink::new());
            }
        }
    }

    /// Applies the profile `wanted`: its settings are set, its values of consts, params and inputs
    /// given back.
    pub fn apply_profile(
        &mut self,
        wanted: &str,
        request: &Request<'a>,
        sources: &mut Sources,
        sink: &mut Sink,
    ) -> Vec<Override> {
        let profiles = request.file.items.iter().filter_map(|item| match &item.kind {
            ItemKind::Profile { name, entries } => Some((&*name.name, entries)),
            _ => None,
        });
        let profiles: Vec<(&str, &Vec<Entry>)> = profiles.collect();
        if !profiles.iter().any(|(name, _)| *name == wanted) {
            let text = format!("--profile {wanted}");
            let source = sources.add("command line", text.as_str());
            let names: Vec<&str> = profiles.iter().map(|(name, _)| *name).collect();
            let span = Span::new(source, "--profile ".len(), text.len());
            sink.report(errors::unknown_profile(wanted, span, &names));
        }
        let mut overrides = Vec::new();
        for (name, entries) in profiles.into_iter().filter(|(name, _)| *name == wanted) {
            set_twice(entries, sources, sink);
            for entry in entries {
                let parts: Vec<&str> = entry.path.parts.iter().map(|part| &*part.name).collect();
                match parts.as_slice() {
                    [only] if request.names.contains(only) => overrides.push(Override {
                        name: (*only).to_owned(),
                        name_span: entry.path.span,
                        value: (*entry.value).clone(),
                    }),
                    _ => {
                        let origin = Origin::Profile(name.to_owned(), entry.span);
                        self.assign(&parts.join("."), entry.path.span, &entry.value, origin, sources, sink);
                    }
                }
            }
        }
        overrides
    }
}
