//! Spaces: the items of one file, layer or system, and the names that they declare.
//!
//! The names of a space are entered at once and looked into when they are first needed. Unknowns,
//! channels and what comes from outside are numbered through all spaces.

use crate::base::hash::FastMap;
use crate::base::span::Span;
use crate::ir::system::UnknownKind;
use crate::sema::containers::InstanceId;
use crate::sema::errors;
use crate::sema::resolve::{Binding, Checker, DataSet, Scope, ScopeId};
use crate::syntax::ast::{self, ExprKind, Ident, ItemKind, Pattern};
use smallvec::SmallVec;
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
    pub globals: Globals<'a>,
    /// The unknowns, by the name without primes.
    pub motions: FastMap<Arc<str>, Motion>,
    pub time: Option<(&'a Ident, &'a ast::Expr)>,
    /// Numbers of its first state and its first channel.
    pub first_state: usize,
    pub first_channel: usize,
    /// What stands before the names of its params: `net.fc[0]`; empty for a file.
    pub path: Arc<str>,
    /// The instance whose items these are.
    pub instance: Option<InstanceId>,
}

/// How a name is declared.
#[derive(Clone, Debug)]
pub(crate) enum Declared<'a> {
    Const(&'a ast::Decl),
    Input(&'a ast::Decl, usize),
    Output(&'a ast::Decl),
    Param(&'a ast::ParamDecl, usize),
    State(&'a ast::Unknown, usize, UnknownKind),
    Channel(&'a Ident, Option<&'a ast::Type>, &'a ast::Expr, usize),
    Noise(Option<&'a ast::Type>, &'a ast::Expr, usize),
    Control(&'a ast::Expr),
    Time,
    Let(&'a ast::Let, Vec<usize>),
    DataSet(usize),
    Random(&'a Ident, Option<&'a ast::Type>, &'a ast::Expr),
    Size,
    Function(&'a ast::Function),
    /// A layer, or a system.
    Template(&'a ast::Container, bool),
    /// A used file, by number.
    Module(usize),
    /// A name of a used file: its number, its name, the name.
    Imported(usize, &'a str, &'a Ident),
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
            Declared::State(_, _, kind) => kind.noun(),
            Declared::Channel(..) => "channel",
            Declared::Noise(..) => "noise",
            Declared::Control(_) => "control",
            Declared::Time => "time variable",
            Declared::Let(..) => "let",
            Declared::DataSet(_) => "data set",
            Declared::Random(..) => "draw",
            Declared::Size => "size",
            Declared::Function(_) => "function",
            Declared::Template(_, false) => "layer",
            Declared::Template(_, true) => "system",
            Declared::Module(_) => "module",
            Declared::Imported(..) => "name",
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

/// The names of a space in the order in which they are declared. A table of places is a fraction of one of
/// declarations, and names are looked up often.
#[derive(Default)]
pub(crate) struct Globals<'a> {
    entries: Vec<(Arc<str>, Global<'a>)>,
    places: FastMap<Arc<str>, u32>,
}

impl<'a> Globals<'a> {
    /// Where `name` stands, if it is declared.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).map(|place| *place as usize)
    }

    /// The name in this place and how it is declared.
    pub fn at(&self, place: usize) -> &(Arc<str>, Global<'a>) {
        &self.entries[place]
    }

    /// Notes how far the declaration in this place has been looked into.
    pub fn set_found(&mut self, place: usize, found: Found<'a>) {
        self.entries[place].1.found = found;
    }

    /// How `name` is declared.
    pub fn get(&self, name: &str) -> Option<&Global<'a>> {
        self.place(name).map(|place| &self.entries[place].1)
    }

    /// Whether `name` is declared.
    pub fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Declares a name that is not declared yet.
    fn insert(&mut self, name: Arc<str>, global: Global<'a>) {
        let place = u32::try_from(self.entries.len()).expect("fewer than 2^32 names");
        self.places.insert(name.clone(), place);
        self.entries.push((name, global));
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Names and declarations in order.
    pub fn iter(&self) -> impl Iterator<Item = &(Arc<str>, Global<'a>)> {
        self.entries.iter()
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.entries.iter().map(|(name, _)| name)
    }
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
    /// Number of primes of the rate; 1 for an unknown without a rate.
    pub order: u32,
    /// What its declaration says that determines it.
    pub kind: UnknownKind,
}

/// Which unknown a state belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Mover {
    /// Where it is declared.
    pub space: SpaceId,
    /// Its name without primes.
    pub name: Arc<str>,
}

/// The unknowns that items declare, in file order.
pub(crate) fn unknowns(items: &[ast::Item]) -> Vec<(&ast::Unknown, UnknownKind)> {
    let declared = items.iter().filter_map(|item| match &item.kind {
        ItemKind::State(unknowns) => Some((unknowns, UnknownKind::Rate)),
        ItemKind::Algebraic(unknowns) => Some((unknowns, UnknownKind::Algebraic)),
        ItemKind::Discrete(unknowns) => Some((unknowns, UnknownKind::Discrete)),
        _ => None,
    });
    declared.flat_map(|(unknowns, kind)| unknowns.iter().map(move |unknown| (unknown, kind))).collect()
}

impl<'a> Checker<'a> {
    /// A space for `items`, the names of which are entered; `outside` is the scope around it.
    pub fn open_space(&mut self, items: &'a [ast::Item], outside: Option<ScopeId>, path: &str) -> SpaceId {
        let id = self.spaces.len();
        self.scopes.push(Scope { parent: outside, space: Some(id), names: Vec::new(), loops: Vec::new() });
        let home = self.scopes.len() - 1;
        self.spaces.push(Space {
            items,
            home,
            globals: Globals::default(),
            motions: FastMap::default(),
            time: None,
            first_state: self.movers.len(),
            first_channel: self.n_channels,
            path: path.into(),
            instance: None,
        });
        self.within(id, |checker| checker.declare());
        id
    }

    /// The space of a used file.
    pub fn module(&mut self, number: usize) -> SpaceId {
        if let Some(space) = self.modules.get(&number) {
            return *space;
        }
        let files = self.files;
        let id = self.spaces.len();
        self.scopes.push(Scope { parent: None, space: Some(id), names: Vec::new(), loops: Vec::new() });
        let home = self.scopes.len() - 1;
        self.spaces.push(Space {
            items: &files.used[number].items,
            home,
            globals: Globals::default(),
            motions: FastMap::default(),
            time: None,
            first_state: self.movers.len(),
            first_channel: self.n_channels,
            path: "".into(),
            instance: None,
        });
        self.modules.insert(number, id);
        self.within(id, |checker| checker.declare_given());
        id
    }

    /// Enters what a used file gives: its consts, functions, layers and systems, and for these what
    /// it uses itself.
    fn declare_given(&mut self) {
        for item in self.items() {
            match &item.kind {
                ItemKind::Const(decls) => {
                    decls.iter().for_each(|decl| self.enter(&decl.name, Declared::Const(decl)));
                }
                ItemKind::Fn(function) => {
                    if let Some(name) = &function.name {
                        self.enter(name, Declared::Function(function));
                    }
                }
                ItemKind::Layer(container) => {
                    self.enter(&container.name, Declared::Template(container, false));
                }
                ItemKind::System(container) => {
                    self.enter(&container.name, Declared::Template(container, true));
                }
                ItemKind::Use(used) => self.enter_used(used, item.span),
                _ => {}
            }
        }
    }

    /// Enters the names that a `use` takes, or the name of the module.
    fn enter_used(&mut self, used: &'a ast::Use, item: Span) {
        let number = self.files.linked(item);
        let declared = |declared: Declared<'a>| if number.is_some() { declared } else { Declared::NotYet };
        let at = number.unwrap_or(0);
        self.failed |= number.is_none();
        match used {
            ast::Use::Module { path, names: Some(names) } => {
                let Some(module) = path.parts.last() else { return };
                for name in names {
                    self.enter(name, declared(Declared::Imported(at, &module.name, name)));
                }
            }
            ast::Use::Module { path, names: None } => {
                if let Some(module) = path.parts.last() {
                    self.enter(module, declared(Declared::Module(at)));
                }
            }
            ast::Use::File { alias: Some(alias), .. } => {
                self.enter(alias, declared(Declared::Module(at)));
            }
            ast::Use::File { file, alias: None } => self.report(errors::module_without_name(file.span)),
        }
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
        self.declare_unknowns();
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
                    self.enter(name, Declared::Channel(name, ty.as_deref(), value, self.n_channels));
                    self.n_channels += 1;
                }
                ItemKind::Fn(function) => {
                    if let Some(name) = &function.name {
                        self.enter(name, Declared::Function(function));
                    }
                }
                ItemKind::Use(used) => self.enter_used(used, item.span),
                ItemKind::Random { name, ty, distribution } => {
                    self.enter(name, Declared::Random(name, ty.as_deref(), distribution));
                }
                ItemKind::Noise { name, ty, value } => {
                    self.enter(name, Declared::Noise(ty.as_deref(), value, self.n_noises));
                    self.n_noises += 1;
                }
                ItemKind::Control { name, value } => self.enter(name, Declared::Control(value)),
                ItemKind::Layer(container) => {
                    self.enter(&container.name, Declared::Template(container, false));
                }
                ItemKind::System(container) => {
                    self.enter(&container.name, Declared::Template(container, true));
                }
                ItemKind::State(_) | ItemKind::Algebraic(_) | ItemKind::Discrete(_) => {}
                ItemKind::Event(_) | ItemKind::Loss { .. } | ItemKind::Metric { .. } => {}
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

    /// Numbers the unknowns: in file order of their names, each followed by its hidden ones.
    fn declare_unknowns(&mut self) {
        let unknowns = unknowns(self.items());
        let mut primes_of: FastMap<&str, SmallVec<[u32; 4]>> = FastMap::default();
        for (unknown, kind) in &unknowns {
            if *kind != UnknownKind::Rate && unknown.primes > 0 {
                self.report(errors::prime_without_rate(unknown.span, &unknown.name.name, kind.noun()));
                continue;
            }
            primes_of.entry(&unknown.name.name).or_default().push(unknown.primes);
        }
        for (unknown, kind) in &unknowns {
            let name = &unknown.name.name;
            let Some(declared) = primes_of.get(&**name) else { continue };
            if self.space().motions.contains_key(name) {
                continue;
            }
            let order = declared.iter().max().map_or(1, |primes| primes + 1);
            let motion = Motion { first: self.movers.len(), order, kind: *kind };
            self.space_mut().motions.insert(name.clone(), motion);
            let mover = Mover { space: self.here, name: name.clone() };
            self.movers.extend(std::iter::repeat_n(mover, order as usize));
            for primes in 0..order {
                if !declared.contains(&primes) {
                    let name = format!("{name}{}", "'".repeat(primes as usize));
                    self.report(errors::no_start(unknown.span, kind.noun(), &name));
                }
            }
        }
        for (unknown, kind) in unknowns {
            let Some(motion) = self.space().motions.get(&unknown.name.name) else { continue };
            if unknown.primes >= motion.order {
                continue;
            }
            let number = motion.first + unknown.primes as usize;
            let name = primed(&unknown.name.name, unknown.primes);
            let span = Span { hi: unknown.name.span.hi + unknown.primes, ..unknown.name.span };
            self.enter_as(name, span, Declared::State(unknown, number, kind));
        }
    }

    /// An unbound name among the sizes of a data field is bound by the file.
    fn declare_sizes(&mut self) {
        for set in 0..self.data_sets.len() {
            for field in &self.data_sets[set].data.fields {
                for (name, span) in field.example_dims().iter().flat_map(|dim| names_in(&dim.value)) {
                    if !self.space().globals.contains(&name) {
                        self.enter_as(name, span, Declared::Size);
                    }
                }
            }
        }
    }
}

/// `x''`
pub(crate) fn primed(name: &Arc<str>, primes: u32) -> Arc<str> {
    match primes {
        0 => name.clone(),
        _ => format!("{name}{}", "'".repeat(primes as usize)).into(),
    }
}

/// The names in a size: `C` in `2*C + 1`.
pub(crate) fn names_in(size: &ast::Expr) -> Vec<(Arc<str>, Span)> {
    match &size.unparenthesised().kind {
        ExprKind::Name(name) => vec![(name.clone(), size.span)],
        ExprKind::Unary(_, inner) => names_in(inner),
        ExprKind::Binary { lhs, rhs, .. } => [names_in(lhs), names_in(rhs)].concat(),
        _ => Vec::new(),
    }
}
