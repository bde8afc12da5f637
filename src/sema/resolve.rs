//! Names: what the items of a file declare, and what a name stands for where it is used.
//!
//! Items come in any order, so a declaration is looked into when its name is first needed, and a
//! declaration that needs itself is found on the way. A name whose declaration is wrong is
//! poisoned: using it says nothing more.

use crate::base::index::IndexVec;
use crate::base::span::{Sources, Span};
use crate::diag::{Diagnostic, Sink};
use crate::sema::Known;
use crate::sema::dim::{Dim, Symbol};
use crate::sema::errors;
use crate::sema::prelude::{self, Builtin};
use crate::sema::typed::{Def, DefId, DefKind, Expr, Kind, Phase, Ty};
use crate::syntax::ast::{self, ExprKind, Ident, ItemKind, Pattern};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Binding<'a> {
    /// A value.
    Value(DefId),
    /// A static integer.
    Size(Dim),
    /// Something to call.
    Callable(Callable<'a>),
    /// A data set, by number.
    DataSet(usize),
    /// Its declaration is wrong, and that has been said.
    Poisoned,
}

/// Something to call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Callable<'a> {
    /// A function of the file.
    Function(&'a ast::Function, ScopeId),
    /// `v -> 2*v`
    Lambda(&'a Pattern, &'a ast::Expr, ScopeId),
    /// A function of the language.
    Builtin(&'a str, Builtin),
}

/// A scope in [`Checker::scopes`].
pub(crate) type ScopeId = usize;

/// The scope of the file.
pub(crate) const FILE: ScopeId = 0;

/// Local names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope<'a> {
    /// Where a name is looked up that is not here.
    pub parent: Option<ScopeId>,
    /// Later ones hide earlier ones.
    pub names: Vec<(Arc<str>, Binding<'a>)>,
    /// The comprehensions around it.
    pub loops: Vec<Symbol>,
}

/// Where a name of the file is declared.
#[derive(Clone, Debug)]
pub(crate) enum Declared<'a> {
    Const(&'a ast::Decl),
    Input(&'a ast::Decl, usize),
    Output(&'a ast::Decl),
    Param(&'a ast::ParamDecl, usize),
    State(&'a ast::Unknown, usize),
    Channel(&'a Ident, Option<&'a ast::Type>, &'a ast::Expr, usize),
    Time,
    Let(&'a ast::Let, Vec<usize>),
    DataSet(usize),
    Size,
    Function(&'a ast::Function),
    /// Of a kind that is not built yet, which has been said.
    NotYet,
}

impl Declared<'_> {
    /// As messages call it.
    pub fn noun(&self) -> &'static str {
        match self {
            Declared::Const(_) => "const",
            Declared::Input(..) => "input",
            Declared::Output(_) => "output",
            Declared::Param(..) => "param",
            Declared::State(..) => "state",
            Declared::Channel(..) => "channel",
            Declared::Time => "time variable",
            Declared::Let(..) => "let",
            Declared::DataSet(_) => "data set",
            Declared::Size => "size",
            Declared::Function(_) => "function",
            Declared::NotYet => "name",
        }
    }
}

/// A name of the file.
#[derive(Clone, Debug)]
pub(crate) struct Global<'a> {
    pub declared: Declared<'a>,
    pub span: Span,
    pub found: Found<'a>,
}

/// How far a declaration has been looked into.
#[derive(Clone, Debug)]
pub(crate) enum Found<'a> {
    NotYet,
    Underway,
    Done(Binding<'a>),
}

/// The unknowns of one name: `x`, `x'`, …
#[derive(Clone, Debug)]
pub(crate) struct Motion {
    /// Number of the first one among the states.
    pub first: usize,
    /// Number of primes of the rate.
    pub order: u32,
}

/// A data set.
#[derive(Clone, Debug)]
pub(crate) struct DataSet<'a> {
    pub data: &'a ast::Data,
    /// Number of its first field among the ports.
    pub first_port: usize,
    /// Its fields, once looked into; a wrong one is `None`.
    pub fields: Option<Vec<Option<DefId>>>,
}

/// What checking a file has found so far.
pub(crate) struct Checker<'a> {
    pub file: &'a ast::File,
    pub sources: &'a Sources,
    pub known: &'a Known,
    pub sink: &'a mut Sink,
    /// Whether an error has been reported by this check.
    pub failed: bool,
    pub defs: IndexVec<DefId, Def>,
    pub globals: BTreeMap<Arc<str>, Global<'a>>,
    /// The names of the file in order, for suggestions.
    pub names: Vec<Arc<str>>,
    pub scopes: Vec<Scope<'a>>,
    pub motions: BTreeMap<Arc<str>, Motion>,
    pub n_states: usize,
    /// The name of each state without its primes, by number.
    pub motion_names: Vec<Arc<str>>,
    pub data_sets: Vec<DataSet<'a>>,
    pub time: Option<(&'a Ident, &'a ast::Expr)>,
    /// Functions being inlined.
    pub calls: Vec<(&'a ast::Function, Span)>,
    /// How many calls were inlined so far.
    pub n_inlined: usize,
    symbols: u32,
    sizes: BTreeMap<Arc<str>, Dim>,
}

impl<'a> Checker<'a> {
    pub fn new(
        file: &'a ast::File,
        sources: &'a Sources,
        known: &'a Known,
        sink: &'a mut Sink,
    ) -> Checker<'a> {
        Checker {
            file,
            sources,
            known,
            sink,
            failed: false,
            defs: IndexVec::new(),
            globals: BTreeMap::new(),
            names: Vec::new(),
            scopes: vec![Scope::default()],
            motions: BTreeMap::new(),
            n_states: 0,
            motion_names: Vec::new(),
            data_sets: Vec::new(),
            time: None,
            calls: Vec::new(),
            n_inlined: 0,
            symbols: 0,
            sizes: BTreeMap::new(),
        }
    }

    /// Reports, once for each distinct message: a function inlined twice says its errors once.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.failed |= diagnostic.severity() == crate::diag::Severity::Error;
        if !self.sink.diagnostics().contains(&diagnostic) {
            self.sink.report(diagnostic);
        }
    }

    /// Reports, for use as `return self.fail(…)`.
    pub fn fail<T>(&mut self, diagnostic: Diagnostic) -> Option<T> {
        self.report(diagnostic);
        None
    }

    /// The text at `span`.
    pub fn text(&self, span: Span) -> &'a str {
        self.sources.slice(span)
    }

    /// A symbol of its own.
    pub fn symbol(&mut self, name: impl Into<Arc<str>>) -> Symbol {
        self.symbols += 1;
        Symbol { id: self.symbols, name: name.into() }
    }

    /// A scope inside `parent`.
    pub fn open(&mut self, parent: ScopeId) -> ScopeId {
        let loops = self.scopes[parent].loops.clone();
        self.scopes.push(Scope { parent: Some(parent), names: Vec::new(), loops });
        self.scopes.len() - 1
    }

    /// Gives `name` a meaning in `scope`.
    pub fn bind(&mut self, scope: ScopeId, name: &Arc<str>, binding: Binding<'a>) {
        self.scopes[scope].names.push((name.clone(), binding));
    }

    // ---- declarations ----------------------------------------------------------------------

    /// Enters the names that the items of the file declare.
    pub fn declare(&mut self) {
        let file = self.file;
        let (mut n_params, mut n_ports, mut n_channels) = (0, 0, 0);
        self.declare_states();
        for item in &file.items {
            match &item.kind {
                ItemKind::Const(decls) => {
                    decls.iter().for_each(|decl| self.enter(&decl.name, Declared::Const(decl)));
                }
                ItemKind::Input(decls) => {
                    for decl in decls {
                        self.enter(&decl.name, Declared::Input(decl, n_ports));
                        n_ports += 1;
                    }
                }
                ItemKind::Output(decls) => {
                    decls.iter().for_each(|decl| self.enter(&decl.name, Declared::Output(decl)));
                }
                ItemKind::Param(decls) => {
                    for decl in decls {
                        self.enter(&decl.name, Declared::Param(decl, n_params));
                        n_params += 1;
                    }
                }
                ItemKind::Time { name, interval } => match self.time {
                    Some((first, _)) => self.report(errors::defined_twice(&name.name, first.span, name.span)),
                    None => {
                        self.time = Some((name, interval));
                        self.enter(name, Declared::Time);
                    }
                },
                ItemKind::Let(item) => self.enter_pattern(item, &item.pattern, &mut Vec::new()),
                ItemKind::Data(data) => {
                    self.enter(&data.name, Declared::DataSet(self.data_sets.len()));
                    self.data_sets.push(DataSet { data, first_port: n_ports, fields: None });
                    n_ports += data.fields.len();
                }
                ItemKind::Channel { name, ty, value } => {
                    self.enter(name, Declared::Channel(name, ty.as_ref(), value, n_channels));
                    n_channels += 1;
                }
                ItemKind::Fn(function) => {
                    if let Some(name) = &function.name {
                        self.enter(name, Declared::Function(function));
                    }
                }
                ItemKind::Use(ast::Use::Module { names, .. }) => {
                    names.iter().flatten().for_each(|name| self.enter(name, Declared::NotYet));
                }
                ItemKind::Use(ast::Use::File { alias, .. }) => {
                    alias.iter().for_each(|name| self.enter(name, Declared::NotYet));
                }
                ItemKind::Algebraic(unknowns) | ItemKind::Discrete(unknowns) => {
                    let plain = unknowns.iter().filter(|unknown| unknown.primes == 0);
                    plain.for_each(|unknown| self.enter(&unknown.name, Declared::NotYet));
                }
                ItemKind::Random { name, .. }
                | ItemKind::Noise { name, .. }
                | ItemKind::Control { name, .. } => {
                    self.enter(name, Declared::NotYet);
                }
                ItemKind::Layer(container) | ItemKind::System(container) => {
                    self.enter(&container.name, Declared::NotYet);
                }
                ItemKind::State(_) | ItemKind::Event(_) | ItemKind::Loss { .. } | ItemKind::Metric { .. } => {
                }
                ItemKind::Plot { .. } | ItemKind::Export { .. } | ItemKind::Settings { .. } => {}
                ItemKind::Profile { .. } | ItemKind::Sweep { .. } | ItemKind::Ensemble { .. } => {}
                ItemKind::Equation { .. } | ItemKind::Likelihood { .. } | ItemKind::Error => {}
            }
        }
        self.declare_sizes();
    }

    fn enter(&mut self, name: &Ident, declared: Declared<'a>) {
        self.enter_as(name.name.clone(), name.span, declared);
    }

    fn enter_as(&mut self, name: Arc<str>, span: Span, declared: Declared<'a>) {
        if let Some(first) = self.globals.get(&name) {
            let first = first.span;
            self.report(errors::defined_twice(&name, first, span));
            return;
        }
        self.names.push(name.clone());
        self.globals.insert(name, Global { declared, span, found: Found::NotYet });
    }

    fn enter_pattern(&mut self, item: &'a ast::Let, pattern: &'a Pattern, path: &mut Vec<usize>) {
        match pattern {
            Pattern::Name(name) => self.enter(name, Declared::Let(item, path.clone())),
            Pattern::Tuple(parts, _) => {
                for (position, part) in parts.iter().enumerate() {
                    path.push(position);
                    self.enter_pattern(item, part, path);
                    path.pop();
                }
            }
        }
    }

    /// Numbers the states: in file order of their names, each followed by its hidden ones.
    fn declare_states(&mut self) {
        let file = self.file;
        let unknowns = || {
            let states = file.items.iter().filter_map(|item| match &item.kind {
                ItemKind::State(unknowns) => Some(unknowns),
                _ => None,
            });
            states.flatten()
        };
        let mut primes_of: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        for unknown in unknowns() {
            primes_of.entry(&unknown.name.name).or_default().insert(unknown.primes);
        }
        for unknown in unknowns() {
            let name = &unknown.name.name;
            if self.motions.contains_key(name) {
                continue;
            }
            let declared = &primes_of[&**name];
            let order = declared.last().map_or(1, |primes| primes + 1);
            self.motions.insert(name.clone(), Motion { first: self.n_states, order });
            self.motion_names.extend(std::iter::repeat_n(name.clone(), order as usize));
            self.n_states += order as usize;
            for primes in 0..order {
                if !declared.contains(&primes) {
                    let name = format!("{name}{}", "'".repeat(primes as usize));
                    self.report(errors::no_start(unknown.span, &name));
                }
            }
        }
        for unknown in unknowns() {
            let number = self.motions[&unknown.name.name].first + unknown.primes as usize;
            let name = format!("{}{}", unknown.name.name, "'".repeat(unknown.primes as usize));
            let span = Span { hi: unknown.name.span.hi + unknown.primes, ..unknown.name.span };
            self.enter_as(name.into(), span, Declared::State(unknown, number));
        }
    }

    /// An unbound name among the sizes of a data field is bound by the file.
    fn declare_sizes(&mut self) {
        for set in 0..self.data_sets.len() {
            for field in &self.data_sets[set].data.fields {
                if let ast::TypeKind::Tensor { dims, .. } = &field.ty.kind {
                    for dim in dims {
                        if let ExprKind::Name(name) = &dim.value.unparenthesised().kind
                            && !self.globals.contains_key(name)
                        {
                            self.enter_as(name.clone(), dim.value.span, Declared::Size);
                        }
                    }
                }
            }
        }
    }

    /// The size of this name, a number if the data are known.
    fn named_size(&mut self, name: &Arc<str>) -> Dim {
        if let Some(n) = self.known.sizes.get(name) {
            return Dim::number(*n as i64);
        }
        if let Some(dim) = self.sizes.get(name) {
            return dim.clone();
        }
        let dim = Dim::symbol(self.symbol(name.clone()));
        self.sizes.insert(name.clone(), dim.clone());
        dim
    }

    // ---- lookup ----------------------------------------------------------------------------

    /// What `name` stands for in `scope`; `None` if nothing declares it.
    pub fn lookup(&mut self, name: &str, span: Span, scope: ScopeId) -> Option<Binding<'a>> {
        let mut at = Some(scope);
        while let Some(scope) = at {
            if let Some((_, binding)) =
                self.scopes[scope].names.iter().rev().find(|(known, _)| **known == *name)
            {
                return Some(binding.clone());
            }
            at = self.scopes[scope].parent;
        }
        self.global(name, span)
    }

    /// What `name` stands for in the file.
    pub fn global(&mut self, name: &str, used: Span) -> Option<Binding<'a>> {
        let (key, global) = self.globals.get_key_value(name)?;
        let key = key.clone();
        match &global.found {
            Found::Done(binding) => return Some(binding.clone()),
            Found::Underway => {
                let span = global.span;
                self.report(errors::circular_definition(&key, span, used));
                return Some(Binding::Poisoned);
            }
            Found::NotYet => {}
        }
        let (declared, span) = (global.declared.clone(), global.span);
        self.set_found(&key, Found::Underway);
        let binding = self.resolve(&key, span, declared).unwrap_or(Binding::Poisoned);
        self.set_found(&key, Found::Done(binding.clone()));
        Some(binding)
    }

    fn set_found(&mut self, name: &str, found: Found<'a>) {
        self.globals.get_mut(name).expect("the name was looked up just before").found = found;
    }

    fn resolve(&mut self, name: &Arc<str>, span: Span, declared: Declared<'a>) -> Option<Binding<'a>> {
        match declared {
            Declared::Const(decl) => self.constant(decl),
            Declared::Input(decl, number) => self.input(decl, number),
            Declared::Output(decl) => self.output(decl),
            Declared::Param(decl, number) => self.param(decl, number),
            Declared::State(unknown, number) => self.state(name, span, unknown, number),
            Declared::Channel(ident, ty, value, number) => self.channel(ident, ty, value, number),
            Declared::Time => Some(self.value(
                name,
                span,
                DefKind::Time,
                Ty::scalar(crate::sema::typed::Elem::Real),
                Phase::Time,
                None,
            )),
            Declared::Let(item, path) => self.top_let(name, span, item, &path),
            Declared::DataSet(number) => {
                self.data_set(number);
                Some(Binding::DataSet(number))
            }
            Declared::Size => Some(Binding::Size(self.named_size(name))),
            Declared::Function(function) => Some(Binding::Callable(Callable::Function(function, FILE))),
            Declared::NotYet => None,
        }
    }

    /// Makes a definition at the top level.
    pub fn value(
        &mut self,
        name: &Arc<str>,
        span: Span,
        kind: DefKind,
        ty: Ty,
        phase: Phase,
        value: Option<Expr>,
    ) -> Binding<'a> {
        let def = Def {
            name: name.clone(),
            span,
            ty_span: None,
            kind,
            ty,
            phase,
            value,
            loops: Vec::new(),
            varied: false,
        };
        Binding::Value(self.defs.push(def))
    }

    /// A name of the language that nothing declares: `start`, `end`, `pi`.
    pub fn language_name(&self, name: &str, span: Span) -> Option<Expr> {
        let real = Ty::scalar(crate::sema::typed::Elem::Real);
        match name {
            "start" => Some(Expr { kind: Kind::Start, ty: real, phase: Phase::Run, span }),
            "end" => Some(Expr { kind: Kind::End, ty: real, phase: Phase::Run, span }),
            _ => {
                let (_, number) = prelude::NUMBERS.iter().find(|(known, _)| *known == name)?;
                Some(Expr { kind: Kind::Real(*number), ty: real, phase: Phase::Static, span })
            }
        }
    }

    /// Says that `name` is unknown, with the nearest name that is known.
    pub fn unknown_name(&mut self, name: &str, span: Span, scope: ScopeId, called: bool) {
        let mut candidates: Vec<(&'static str, Arc<str>)> = Vec::new();
        let mut at = Some(scope);
        while let Some(scope) = at {
            candidates.extend(self.scopes[scope].names.iter().map(|(name, _)| ("local name", name.clone())));
            at = self.scopes[scope].parent;
        }
        let declared = self.names.iter().filter(|name| !name.contains('\''));
        candidates.extend(declared.map(|name| (self.globals[name].declared.noun(), name.clone())));
        if called {
            candidates.extend(prelude::FUNCTIONS.iter().map(|(name, _)| ("function", Arc::from(*name))));
        }
        let nearest = nearest(name, candidates.iter().map(|(_, name)| &**name));
        let similar = nearest.map(|position| (candidates[position].0, &*candidates[position].1));
        let diagnostic = if called {
            errors::unknown_function(span, name, similar)
        } else {
            errors::unknown_name(span, name, similar)
        };
        self.report(diagnostic);
    }
}

/// The position of the candidate nearest to `name`, if one is near: at most a third of its letters
/// (and at least one) inserted, dropped, replaced or swapped with a neighbour. The first wins.
pub(crate) fn nearest<'n>(name: &str, candidates: impl Iterator<Item = &'n str>) -> Option<usize> {
    let allowed = (name.chars().count() / 3).max(1);
    let distances = candidates.enumerate().map(|(position, other)| (edit_distance(name, other), position));
    let (distance, position) = distances.min()?;
    let replaces_everything = distance >= name.chars().count();
    (distance <= allowed && !replaces_everything).then_some(position)
}

/// The restricted Damerau–Levenshtein distance: least number of insertions, deletions,
/// replacements and swaps of neighbours. Source: Damerau, Communications of the ACM 7 (1964).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_strangers_are_not() {
        let known = ["alpha", "beta", "delta", "gamma", "x"];
        assert_eq!(nearest("gama", known.into_iter()), Some(3));
        assert_eq!(nearest("detla", known.into_iter()), Some(2));
        assert_eq!(nearest("omega", known.into_iter()), None);
        assert_eq!(nearest("y", known.into_iter()), None);
    }
}
