//! Systems as functions: a call runs one from its start to its end, or back.
//!
//! What is given is a record of states and channels, and so is what comes out. A call is noted
//! once it is met; the systems that are called are looked into when all calls are known.

use crate::base::span::Span;
use crate::sema::containers::{InstanceId, Template};
use crate::sema::errors;
use crate::sema::infer::call::Given;
use crate::sema::infer::{Value, to_real};
use crate::sema::phase::reach;
use crate::sema::resolve::{Binding, Callable, Checker, ScopeId};
use crate::sema::space::FILE;
use crate::sema::typed::{Call, DefId, DefKind, Dynamics, Elem, Expr, Kind, Moved, Phase, System, Ty};
use crate::syntax::ast::{self, ExprKind, ItemKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A call of a system, until systems have numbers.
#[derive(Clone, Debug)]
pub(crate) struct OpenRun {
    pub instance: InstanceId,
    pub inverse: bool,
    /// The start values that are given.
    pub starts: BTreeMap<Moved, Expr>,
    pub span: Span,
}

/// Most calls of systems in one program.
const MAX_RUNS: usize = 4_096;

impl<'a> Checker<'a> {
    // ---- calls -----------------------------------------------------------------------------

    /// `cnf(z = x)`: the states and channels at the end of a run.
    pub(crate) fn run_system(
        &mut self,
        instance: InstanceId,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        self.run(instance, false, given, span, scope)
    }

    /// `inverse(cnf)(z = x)`
    pub(crate) fn run_inverse(
        &mut self,
        instance: InstanceId,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        self.run(instance, true, given, span, scope)
    }

    fn run(
        &mut self,
        instance: InstanceId,
        inverse: bool,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        let call = self.open_run(instance, inverse, given, span, scope)?;
        let ends = self.moved_of(instance)?.into_iter().map(|(name, moved, def)| {
            let ty = self.settled_ty(self.defs[def].ty.clone());
            let kind = Kind::Solved { call, moved, at: None };
            (name, Value::Expr(Expr { kind, ty, phase: Phase::Example, span }))
        });
        Some(Value::Record(ends.collect()))
    }

    /// `Truth()`: the system of this declaration, the same one wherever it is written without sizes
    /// and arguments.
    pub(crate) fn anonymous_system(
        &mut self,
        template: Template<'a>,
        callee: &'a ast::Expr,
        args: &'a [ast::Arg],
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        let sizes = match &callee.unparenthesised().kind {
            ExprKind::Index { indices, .. } => Some(indices.as_slice()),
            _ => None,
        };
        let is_plain = sizes.is_none() && args.is_empty();
        let is_this = |other: &Option<&'a ast::Container>| {
            other.is_some_and(|container| std::ptr::eq(container, template.container))
        };
        let known = self.anonymous.iter().find(|(container, _)| is_this(container));
        if let (Some((_, instance)), true) = (known, is_plain) {
            return Some(Value::Callable(Callable::Instance(*instance)));
        }
        let name = &template.container.name.name;
        let earlier =
            self.instances.iter().filter(|other| other.path.split(' ').next() == Some(name)).count();
        let path = if earlier == 0 { name.to_string() } else { format!("{name} {}", earlier + 1) };
        let instance = self.instantiate(template, sizes, args, &path, span, scope)?;
        self.anonymous.push((is_plain.then_some(template.container), instance));
        Some(Value::Callable(Callable::Instance(instance)))
    }

    /// `inverse(cnf)`
    pub(crate) fn inverse_of(
        &mut self,
        name: &str,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        let [system] = self.positional(name, given, span, "a system")?;
        let instance = self.system_named(system, scope, "only a system has an inverse")?;
        Some(Value::Callable(Callable::Inverse(instance)))
    }

    /// `solve(cnf, z = x)`: the states and channels as functions of time.
    pub(crate) fn solve_of(
        &mut self,
        name: &str,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        let Some((Given { name: None, value: system }, given)) = given.split_first() else {
            return self.fail(errors::wrong_arguments(
                span,
                name,
                "a system and the start values of its states",
            ));
        };
        let system = *system;
        let instance = self.system_named(system, scope, "only a system can be solved")?;
        let call = self.open_run(instance, false, given, span, scope)?;
        let curves = self.moved_of(instance)?.into_iter();
        let curves =
            curves.map(|(name, moved, _)| (name, Value::Callable(Callable::Trajectory(call, moved))));
        Some(Value::Record(curves.collect()))
    }

    fn system_named(&mut self, expr: &'a ast::Expr, scope: ScopeId, message: &str) -> Option<InstanceId> {
        match self.evaluate(expr, scope)? {
            Value::Callable(Callable::Instance(instance)) if self.instances[instance].template.is_system => {
                Some(instance)
            }
            _ => self.fail(errors::wrong_kind(expr.span, message, "a system, as made by `param a = Cnf()`")),
        }
    }

    /// `solve(cnf, z = x).z(tau)`
    pub(crate) fn trajectory_at(
        &mut self,
        call: usize,
        moved: Moved,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        let [Given { name: None, value: time }] = given else {
            return self.fail(errors::wrong_arguments(
                span,
                "a trajectory",
                "one time, or a vector of times",
            ));
        };
        let time = self.infer(time, scope)?;
        let time = self.real(time, "a time")?;
        if time.phase == Phase::Time {
            return self.fail(errors::moving_site(time.span));
        }
        if time.ty.dims.len() > 1 {
            let story = self.story(&time);
            let expected = "one time or a vector of times";
            return self.fail(errors::wrong_operand("a trajectory", time.span, expected, &time.ty, story));
        }
        self.no_run_in_a_time(&time)?;
        let instance = self.runs[call].instance;
        let (_, _, def) = self.moved_of(instance)?.into_iter().find(|(_, other, _)| *other == moved)?;
        let unknown = self.settled_ty(self.defs[def].ty.clone());
        let dims = [time.ty.dims.as_slice(), unknown.dims.as_slice()].concat();
        let kind = Kind::Solved { call, moved, at: Some(Box::new(time)) };
        Some(Value::Expr(Expr { kind, ty: Ty { elem: Elem::Real, dims }, phase: Phase::Example, span }))
    }

    /// A time at which a trajectory is evaluated does not come from a trajectory.
    pub(crate) fn no_run_in_a_time(&mut self, time: &Expr) -> Option<()> {
        let mut nested = None;
        reach(&self.defs, time, &mut |part| {
            if matches!(part.kind, Kind::At(..) | Kind::Solved { .. }) {
                nested = nested.or(Some(part.span));
            }
            nested.is_none()
        });
        match nested {
            None => Some(()),
            Some(span) => self.fail(errors::not_yet(
                span,
                "a time that depends on the trajectory is",
                "give the time as a number, a param or data",
            )),
        }
    }

    /// Notes a call.
    pub(crate) fn open_run(
        &mut self,
        instance: InstanceId,
        inverse: bool,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<usize> {
        let system = self.instances[instance].template.container.name.name.clone();
        let mut values: Vec<(Arc<str>, Value<'a>, Span)> = Vec::new();
        let mut fine = true;
        for arg in given {
            let value = self.evaluate(arg.value, scope);
            match (arg.name, value) {
                (_, None) => fine = false,
                (Some(name), Some(value)) => values.push((name.name.clone(), value, name.span)),
                (None, Some(Value::Record(fields))) => {
                    values.extend(fields.into_iter().map(|(name, value)| (name, value, arg.value.span)));
                }
                (None, Some(_)) => {
                    let expected = "a record of its states and channels, or `state = value`";
                    return self.fail(errors::wrong_arguments(arg.value.span, &system, expected));
                }
            }
        }
        if !fine {
            return None;
        }
        let all = self.moved_of(instance)?;
        let mut starts = BTreeMap::new();
        for (name, value, at) in values {
            let Some((_, moved, def)) = all.iter().find(|(known, _, _)| *known == name) else {
                let known: Vec<&str> = all.iter().map(|(name, _, _)| &**name).collect();
                return self.fail(errors::unknown_member(at, &system, &name, &known));
            };
            let value = to_real(self.plain(value, at)?);
            if value.phase == Phase::Time {
                return self.fail(errors::system_in_an_equation(span, &system, value.span));
            }
            let found = &self.defs[*def];
            let (ty, declared) = (found.ty.clone(), found.ty_span.unwrap_or(found.span));
            let value = self.fitted(value, &ty, declared, format_args!("the start of `{name}`"))?;
            if starts.insert(*moved, value).is_some() {
                return self.fail(errors::given_twice(at, &name));
            }
        }
        if self.runs.len() >= MAX_RUNS {
            return self.fail(errors::too_large(span, "the list of calls of systems", MAX_RUNS));
        }
        self.check_given_starts(instance, &starts, span)?;
        self.runs.push(OpenRun { instance, inverse, starts, span });
        Some(self.runs.len() - 1)
    }

    /// Every state without a start of its own must be given one.
    fn check_given_starts(
        &mut self,
        instance: InstanceId,
        starts: &BTreeMap<Moved, Expr>,
        span: Span,
    ) -> Option<()> {
        match self.startless(instance, starts) {
            None => Some(()),
            Some((state, declared)) => {
                let system = &self.instances[instance].template.container.name.name;
                self.fail(errors::start_not_given(span, system, &state, declared))
            }
        }
    }

    /// The first state that neither has a start nor is given one, and where it is declared.
    pub(crate) fn startless(
        &self,
        instance: InstanceId,
        starts: &BTreeMap<Moved, Expr>,
    ) -> Option<(Arc<str>, Span)> {
        let space = &self.spaces[self.instances[instance].space];
        let unknowns = space.items.iter().filter_map(|item| match &item.kind {
            ItemKind::State(unknowns) => Some(unknowns),
            _ => None,
        });
        let mut unknowns = unknowns.flatten();
        let missing = unknowns.find(|unknown| {
            let number = || space.motions[&unknown.name.name].first;
            unknown.value.is_none() && unknown.primes == 0 && !starts.contains_key(&Moved::State(number()))
        });
        missing.map(|unknown| (unknown.name.name.clone(), unknown.span))
    }

    /// The states and channels of a system: name, number, definition. Hidden ones are left out.
    pub(crate) fn moved_of(&mut self, instance: InstanceId) -> Option<Vec<(Arc<str>, Moved, DefId)>> {
        let space = self.instances[instance].space;
        let items = self.spaces[space].items;
        let mut names: Vec<&'a ast::Ident> = Vec::new();
        for item in items {
            if let ItemKind::State(unknowns) = &item.kind {
                names.extend(unknowns.iter().filter(|u| u.primes == 0).map(|unknown| &unknown.name));
            }
        }
        for item in items {
            if let ItemKind::Channel { name, .. } = &item.kind {
                names.push(name);
            }
        }
        let mut moved = Vec::new();
        for name in names {
            let binding = self.within(space, |checker| checker.global(&name.name, name.span));
            let Some(Binding::Value(def)) = binding else {
                self.failed = true;
                return None;
            };
            match self.defs[def].kind {
                DefKind::State(number) => moved.push((name.name.clone(), Moved::State(number), def)),
                DefKind::Channel(number) => moved.push((name.name.clone(), Moved::Channel(number), def)),
                _ => {}
            }
        }
        Some(moved)
    }

    /// The file as a system.
    pub(crate) fn main_instance(&mut self) -> InstanceId {
        if let Some(main) = self.main {
            return main;
        }
        let files = self.files;
        let template = Template { container: &files.whole, home: self.spaces[FILE].home, is_system: true };
        let span = Span { source: files.main.source, lo: 0, hi: 0 };
        let path: Arc<str> = "main".into();
        self.instances.push(crate::sema::containers::Instance {
            template,
            space: FILE,
            path,
            sizes: Vec::new(),
            span,
            owner: None,
        });
        self.main = Some(self.instances.len() - 1);
        self.instances.len() - 1
    }

    // ---- systems ---------------------------------------------------------------------------

    /// Looks into every instance that has not been looked into. Looking into one may make others.
    pub(crate) fn look_into_instances(&mut self) {
        while let Some(instance) = self.instances.get(self.next_instance).cloned() {
            let number = self.next_instance;
            self.next_instance += 1;
            if instance.space == FILE {
                continue;
            }
            self.within(instance.space, |checker| {
                checker.look_into_everything();
                if instance.template.is_system {
                    let system = checker.system(&instance.path);
                    checker.systems.push((Some(number), system));
                }
            });
        }
    }

    /// The motion of this space.
    pub(crate) fn system(&mut self, name: &Arc<str>) -> Option<System> {
        let interval = self.interval();
        let (first_state, first_channel) = (self.space().first_state, self.space().first_channel);
        let (states, lines) = self.unknowns();
        let dynamics = Dynamics { lines, noises: self.noises(), events: self.events() };
        let channels = self.channels();
        let n_states = self.own_states().len();
        self.all_states.resize(self.movers.len(), None);
        for (number, state) in states.into_iter().enumerate() {
            if (first_state..first_state + n_states).contains(&number) {
                self.all_states[number] = state;
            }
        }
        let n_channels = channels.len();
        self.all_channels.resize(self.n_channels, None);
        for (position, channel) in channels.into_iter().enumerate() {
            self.all_channels[first_channel + position] = channel;
        }
        let (time, interval) = interval?;
        Some(System {
            name: name.clone(),
            time,
            interval,
            states: first_state..first_state + n_states,
            channels: first_channel..first_channel + n_channels,
            dynamics,
            span: self.defs[time].span,
        })
    }

    /// The calls with the numbers of their systems.
    pub(crate) fn calls_of_systems(&self, numbers: &BTreeMap<InstanceId, usize>) -> Option<Vec<Call>> {
        let calls = self.runs.iter().map(|run| {
            let system = match self.instances[run.instance].space {
                FILE => 0,
                _ => *numbers.get(&run.instance)?,
            };
            Some(Call { system, inverse: run.inverse, starts: run.starts.clone(), span: run.span })
        });
        calls.collect()
    }
}
