//! Names: what the items of a file declare, and what a name stands for where it is used.
//!
//! Items come in any order, so a declaration is looked into when its name is first needed, and a
//! declaration that needs itself is found on the way. A name whose declaration is wrong is
//! poisoned: using it says nothing more.

use crate::base::hash::FastMap;
use crate::base::index::IndexVec;
use crate::base::span::{Sources, Span};
use crate::diag::{Diagnostic, Sink};
use crate::sema::Known;
use crate::sema::containers::{Instance, InstanceId, Template};
use crate::sema::dim::{Dim, Symbol};
use crate::sema::errors;
use crate::sema::infer::Value;
use crate::sema::library::Files;
use crate::sema::prelude::{self, Builtin};
use crate::sema::ragged::Ragged;
use crate::sema::sizes::Open;
use crate::sema::space::{Declared, FILE, Found, Mover, Space, SpaceId};
use crate::sema::systems::OpenRun;
use crate::sema::typed::{
    Channel, Def, DefId, DefKind, Drawn, Expr, Kind, Moved, Phase, Port, State, System, Ty,
};
use crate::syntax::ast::{self, Pattern};
use std::collections::BTreeMap;
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
    /// A record, a tuple or a list.
    Aggregate(Value<'a>),
    /// A file that is used.
    Module(SpaceId),
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
    /// `Dense`, a layer or a system that has no params yet.
    Template(Template<'a>),
    /// A layer or a system.
    Instance(InstanceId),
    /// `inverse(cnf)`
    Inverse(InstanceId),
    /// `solve(cnf, z = x).z`: of this call, this unknown.
    Trajectory(usize, Moved),
}

/// A function whose body is being looked at.
pub(crate) struct OpenCall<'a> {
    pub function: &'a ast::Function,
    /// What it sees: another instance of a layer is another function.
    pub home: ScopeId,
}

/// A scope in [`Checker::scopes`].
pub(crate) type ScopeId = usize;

/// Local names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope<'a> {
    /// Where a name is looked up that is not here.
    pub parent: Option<ScopeId>,
    /// The space whose names belong here, behind the local ones.
    pub space: Option<SpaceId>,
    /// Later ones hide earlier ones.
    pub names: Vec<(Arc<str>, Binding<'a>)>,
    /// The comprehensions around it.
    pub loops: Vec<Symbol>,
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
    pub files: &'a Files,
    pub sources: &'a Sources,
    pub known: &'a Known,
    pub sink: &'a mut Sink,
    /// Whether an error has been reported by this check.
    pub failed: bool,
    pub defs: IndexVec<DefId, Def>,
    pub spaces: Vec<Space<'a>>,
    /// The space whose items are looked into.
    pub here: SpaceId,
    pub scopes: Vec<Scope<'a>>,
    /// What each state belongs to, by number.
    pub movers: Vec<Mover>,
    pub n_params: usize,
    pub n_ports: usize,
    pub n_channels: usize,
    pub n_noises: usize,
    /// Ports that no item declares, by number.
    pub late_ports: BTreeMap<usize, Port>,
    /// Where a draw is that is being looked at: the calls and the turns around it.
    pub route: Vec<usize>,
    /// The ragged axes, by symbol.
    pub ragged: BTreeMap<u32, Ragged>,
    pub data_sets: Vec<DataSet<'a>>,
    /// Functions being inlined.
    pub calls: Vec<OpenCall<'a>>,
    /// What decides which standard draws a port has, if it is more than a distribution's name.
    pub decided_by: BTreeMap<DefId, Vec<Expr>>,
    /// From where to where the loops of comprehensions and folds go, by symbol.
    pub loop_ranges: BTreeMap<u32, (Dim, Dim)>,
    /// Whether an equation of motion is being looked at.
    pub in_equation: bool,
    /// How many turns of folds and lists were written out so far.
    pub n_turns: usize,
    /// How many calls are being inlined inside each other.
    pub call_depth: usize,
    /// The layers and systems in use.
    pub instances: Vec<Instance<'a>>,
    /// Systems without a `param`, with the declaration by which they are found again.
    pub anonymous: Vec<(Option<&'a ast::Container>, InstanceId)>,
    /// The file as an instance, once it is called.
    pub main: Option<InstanceId>,
    /// The first instance that has not been looked into.
    pub next_instance: InstanceId,
    /// Calls of systems.
    pub runs: Vec<OpenRun>,
    /// The systems that have been looked into, `None` for wrong ones; the file has no instance.
    pub systems: Vec<(Option<InstanceId>, Option<System>)>,
    /// The states of all systems, by number.
    pub all_states: Vec<Option<State>>,
    /// The channels of all systems, by number.
    pub all_channels: Vec<Option<Channel>>,
    /// How the starting values of params are drawn.
    pub drawn: BTreeMap<DefId, Drawn>,
    /// The spaces of the files that are used, once they are looked into.
    pub modules: BTreeMap<usize, SpaceId>,
    /// Sizes to be found out, by symbol.
    pub open_sizes: BTreeMap<u32, Open>,
    /// Where sizes are written that layers and systems are given, by the scope and the name they have
    /// inside.
    pub written_sizes: BTreeMap<(ScopeId, Arc<str>), Span>,
    /// Calls of layers that say what they give, with the scope in which they say it.
    pub layer_calls: FastMap<Span, (&'a ast::Type, ScopeId)>,
    /// How many calls were inlined so far.
    pub n_inlined: usize,
    /// Names of the program that are there only once it runs, with what they are: not for data that
    /// it makes itself.
    pub later: BTreeMap<Arc<str>, (&'static str, Span)>,
    symbols: u32,
    sizes: BTreeMap<Arc<str>, Dim>,
}

impl<'a> Checker<'a> {
    pub fn new(files: &'a Files, sources: &'a Sources, known: &'a Known, sink: &'a mut Sink) -> Checker<'a> {
        Checker {
            files,
            sources,
            known,
            sink,
            failed: false,
            defs: IndexVec::new(),
            spaces: Vec::new(),
            here: FILE,
            scopes: Vec::new(),
            movers: Vec::new(),
            n_params: 0,
            n_ports: 0,
            n_channels: 0,
            n_noises: 0,
            late_ports: BTreeMap::new(),
            route: Vec::new(),
            ragged: BTreeMap::new(),
            data_sets: Vec::new(),
            calls: Vec::new(),
            decided_by: BTreeMap::new(),
            loop_ranges: BTreeMap::new(),
            in_equation: false,
            n_turns: 0,
            call_depth: 0,
            instances: Vec::new(),
            anonymous: Vec::new(),
            main: None,
            next_instance: 0,
            runs: Vec::new(),
            systems: Vec::new(),
            all_states: Vec::new(),
            all_channels: Vec::new(),
            drawn: BTreeMap::new(),
            modules: BTreeMap::new(),
            open_sizes: BTreeMap::new(),
            written_sizes: BTreeMap::new(),
            layer_calls: FastMap::default(),
            n_inlined: 0,
            later: BTreeMap::new(),
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
        self.scopes.push(Scope { parent: Some(parent), space: None, names: Vec::new(), loops });
        self.scopes.len() - 1
    }

    /// Gives `name` a meaning in `scope`.
    pub fn bind(&mut self, scope: ScopeId, name: &Arc<str>, binding: Binding<'a>) {
        self.scopes[scope].names.push((name.clone(), binding));
    }

    /// The size of this name, a number if the data are known.
    fn named_size(&mut self, name: &Arc<str>) -> Dim {
        if let Some(dim) = self.sizes.get(name) {
            return dim.clone();
        }
        let ragged = self.ragged_place(name);
        if let (Some(n), None) = (self.known.sizes.get(name), ragged) {
            return Dim::number(*n as i64);
        }
        let symbol = self.symbol(name.clone());
        if let Some(span) = ragged {
            self.ragged.insert(symbol.id, Ragged { name: name.clone(), span });
        }
        let dim = Dim::symbol(symbol);
        self.sizes.insert(name.clone(), dim.clone());
        dim
    }

    /// Whether a data file binds the size `name`.
    pub fn is_data_size(&self, name: &str) -> bool {
        let globals = &self.spaces[FILE].globals;
        globals.get(name).is_some_and(|global| matches!(global.declared, Declared::Size))
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
            if let Some(space) = self.scopes[scope].space
                && let Some(binding) = self.within(space, |checker| checker.global(name, span))
            {
                return Some(binding);
            }
            at = self.scopes[scope].parent;
        }
        None
    }

    /// What the items of this space declare as `name`.
    pub fn global(&mut self, name: &str, used: Span) -> Option<Binding<'a>> {
        self.space().globals.place(name).map(|place| self.global_at(place, used))
    }

    /// The same by the place of the name.
    pub fn global_at(&mut self, place: usize, used: Span) -> Binding<'a> {
        let (name, global) = self.space().globals.at(place);
        match &global.found {
            Found::Done(binding) => return binding.clone(),
            Found::Underway => {
                let message = errors::circular_definition(name, global.span, used);
                self.report(message);
                return Binding::Poisoned;
            }
            Found::NotYet => {}
        }
        let (name, declared, span) = (name.clone(), global.declared.clone(), global.span);
        let here = self.here;
        self.spaces[here].globals.set_found(place, Found::Underway);
        let route = std::mem::take(&mut self.route);
        let binding = self.resolve(&name, span, declared).unwrap_or(Binding::Poisoned);
        self.route = route;
        self.spaces[here].globals.set_found(place, Found::Done(binding.clone()));
        binding
    }

    fn resolve(&mut self, name: &Arc<str>, span: Span, declared: Declared<'a>) -> Option<Binding<'a>> {
        match declared {
            Declared::Const(decl) => self.constant(decl),
            Declared::Input(decl, number) => self.input(decl, number),
            Declared::Output(decl) => self.output(decl),
            Declared::Param(decl, number) => self.param(decl, number),
            Declared::State(unknown, number, kind) => self.state(name, span, unknown, number, kind),
            Declared::Channel(ident, ty, value, number) => self.channel(ident, ty, value, number),
            Declared::Noise(ty, value, number) => self.noise(name, span, ty, value, number),
            Declared::Control(path) => self.control(name, span, path),
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
            Declared::Random(name, ty, distribution) => self.random(name, ty, distribution),
            Declared::Size => Some(Binding::Size(self.named_size(name))),
            Declared::Function(function) => {
                Some(Binding::Callable(Callable::Function(function, self.home())))
            }
            Declared::Template(container, is_system) => {
                let template = Template { container, home: self.home(), is_system };
                Some(Binding::Callable(Callable::Template(template)))
            }
            Declared::Module(number) => Some(Binding::Module(self.module(number))),
            Declared::Imported(number, module, ident) => {
                let space = self.module(number);
                self.given_by(space, module, ident)
            }
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
        if let Some((noun, declared)) = self.later.get(name) {
            let diagnostic = errors::not_for_data(span, name, noun, *declared);
            return self.report(diagnostic);
        }
        let mut candidates: Vec<(&'static str, Arc<str>)> = Vec::new();
        let mut at = Some(scope);
        while let Some(scope) = at {
            candidates.extend(self.scopes[scope].names.iter().map(|(name, _)| ("local name", name.clone())));
            if let Some(space) = self.scopes[scope].space.map(|space| &self.spaces[space]) {
                let declared = space.globals.iter().filter(|(name, _)| !name.contains('\''));
                candidates.extend(declared.map(|(name, global)| (global.declared.noun(), name.clone())));
            }
            at = self.scopes[scope].parent;
        }
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
