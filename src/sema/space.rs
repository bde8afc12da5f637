//! Spaces: the items of one file, layer or system, and the names that they declare.
//!
//! The names of a space are entered at once and looked into when they are first needed. Unknowns,
//! channels and what comes from outside are numbered through all spaces.

use crate::base::span::Span;
use crate::sema::errors;
use crate::sema::resolve::{Binding, Checker, DataSet, Scope, ScopeId};
use crate::syntax::ast::{self, ExprKind, Ident, ItemKind, Pattern};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A space in [`Checker::spaces`].
pub(crate) type SpaceId = usize;

/// The space of the file.
pub(crate) const FILE: SpaceId = 0;

/// Items in one place, and the names they declare.
pub(crate) struct Space<'a> {
    pub items: &'a [ast::Item],
    /// Its scope: what its items see.
    pub home: ScopeId,
    pub globals: BTreeMap<Arc<str>, Global<'a>>,
    /// Its names in order, for suggestions.
    pub names: Vec<Arc<str>>,
    /// The unknowns, by the name without primes.
    pub motions: BTreeMap<Arc<str>, Motion>,
    pub time: Option<(&'a Ident, &'a ast::Expr)>,
}

/// How a name is declared.
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

/// A name that an item declares.
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

/// Which unknown a state belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Mover {
    /// Where it is declared.
    pub space: SpaceId,
    /// Its name without primes.
    pub name: Arc<str>,
}

impl<'a> Checker<'a> {
    /// A space for `items`, the names of which are entered; `home` is the scope outside of it.
    pub fn open_space(&mut self, items: &'a [ast::Item], outside: Option<ScopeId>) -> SpaceId {
        let id = self.spaces.len();
        self.scopes.push(Scope { parent: outside, space: Some(id), names: Vec::new(), loops: Vec::new() });
        let home = self.scopes.len() - 1;
        self.spaces.push(Space {
            items,
            home,
            globals: BTreeMap::new(),
            names: Vec::new(),
            motions: BTreeMap::new(),
            time: None,
        });
        self.within(id, |checker| checker.declare());
        id
    }

    /// What `work` finds with `space` as the space whose items are looked into.
    pub fn within<T>(&mut self, space: SpaceId, work: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.here, space);
        let found = work(self);
        self.here = outer;
        found
    }

    /// The space whose items are looked into.
    pub fn space(&self) -> &Space<'a> {
        &self.spaces[self.here]
    }

    fn space_mut(&mut self) -> &mut Space<'a> {
        &mut self.spaces[self.here]
    }

    /// The items that are looked into.
    pub fn items(&self) -> &'a [ast::Item] {
        self.space().items
    }

    /// The scope of the items that are looked into.
    pub fn home(&self) -> ScopeId {
        self.space().home
    }

    /// Enters the names that the items of this space declare.
    fn declare(&mut self) {
        self.declare_states();
        for item in self.items() {
            match &item.kind {
                ItemKind::Const(decls) => {
                    decls.iter().for_each(|decl| self.enter(&decl.name, Declared::Const(decl)));
                }
                ItemKind::Input(decls) => {
                    for decl in decls {
                        self.enter(&decl.name, Declared::Input(decl, self.n_ports));
                        self.n_ports += 1;
                    }
                }
                ItemKind::Output(decls) => {
                    decls.iter().for_each(|decl| self.enter(&decl.name, Declared::Output(decl)));
                }
                ItemKind::Param(decls) => {
                    for decl in decls {
                        self.enter(&decl.name, Declared::Param(decl, self.n_params));
                        self.n_params += 1;
                    }
                }
                ItemKind::Time { name, interval } => match self.space().time {
                    Some((first, _)) => self.report(errors::defined_twice(&name.name, first.span, name.span)),
                    None => {
                        self.space_mut().time = Some((name, interval));
                        self.enter(name, Declared::Time);
                    }
                },
                ItemKind::Let(item) => self.enter_pattern(item, &item.pattern, &mut Vec::new()),
                ItemKind::Data(data) => {
                    self.enter(&data.name, Declared::DataSet(self.data_sets.len()));
                    self.data_sets.push(DataSet { data, first_port: self.n_ports, fields: None });
                    self.n_ports += data.fields.len();
                }
                ItemKind::Channel { name, ty, value } => {
                    self.enter(name, Declared::Channel(name, ty.as_ref(), value, self.n_channels));
                    self.n_channels += 1;
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
        if let Some(first) = self.space().globals.get(&name) {
            let first = first.span;
            self.report(errors::defined_twice(&name, first, span));
            return;
        }
        self.space_mut().names.push(name.clone());
        self.space_mut().globals.insert(name, Global { declared, span, found: Found::NotYet });
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
        let items = self.items();
        let unknowns = || {
            let states = items.iter().filter_map(|item| match &item.kind {
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
            if self.space().motions.contains_key(name) {
                continue;
            }
            let declared = &primes_of[&**name];
            let order = declared.last().map_or(1, |primes| primes + 1);
            let motion = Motion { first: self.movers.len(), order };
            self.space_mut().motions.insert(name.clone(), motion);
            let mover = Mover { space: self.here, name: name.clone() };
            self.movers.extend(std::iter::repeat_n(mover, order as usize));
            for primes in 0..order {
                if !declared.contains(&primes) {
                    let name = format!("{name}{}", "'".repeat(primes as usize));
                    self.report(errors::no_start(unknown.span, &name));
                }
            }
        }
        for unknown in unknowns() {
            let number = self.space().motions[&unknown.name.name].first + unknown.primes as usize;
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
                            && !self.space().globals.contains_key(name)
                        {
                            self.enter_as(name.clone(), dim.value.span, Declared::Size);
                        }
                    }
                }
            }
        }
    }
}
