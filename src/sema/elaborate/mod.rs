//! From the typed tree and the data to a [`Program`]: functions of the tensor IR.
//!
//! Each function is first made with inputs as they are met ([`frame`]), which also finds the
//! evaluation sites, and is then given the parameter list that [`Program`] prescribes.

mod dynamics;
mod events;
mod frame;
mod guard;
mod hoist;
mod initial;
mod linear;
pub(crate) mod path;
mod warn;

use crate::base::index::IndexVec;
use crate::base::span::{Sources, Span};
use crate::diag::{Diagnostic, Severity, Sink};
use crate::ir::builder::Builder;
use crate::ir::eval::eval;
use crate::ir::func::{Attr, Func, ValueId};
use crate::ir::op::Op;
use crate::ir::program::{Axis, Constraint, Curve, DataPort, Examples, Param, Program, Role, RunResult};
use crate::ir::system::{Site, SiteKind, Solve};
use crate::ir::types::{DType, Shape, Type};
use crate::sema::Given;
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::sizes::Sizes;
use crate::sema::typed::{self, Def, DefId, DefKind, Elem, Expr, Model, Phase};
use crate::sema::{Bindings, Checked, Known, check};
use frame::{Frame, Input, MAX_ELEMENTS, Moment, Sites, World};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A value, or why there is none.
type Made<T> = Result<T, Box<Diagnostic>>;

/// Fills in the data, the sizes they bind and the values that are set from outside, and gives the
/// functions of the model. Reports to `sink` and gives `None` if the file has errors, or shows
/// some now that the sizes are known.
pub fn elaborate(
    checked: &Checked,
    bindings: &Bindings,
    sources: &Sources,
    sink: &mut Sink,
) -> Option<Program> {
    checked.model()?;
    let known = known(checked, bindings, sink)?;
    let again;
    let checked = if known == checked.known {
        checked
    } else {
        // With numbers for the sizes, the same check finds what the data do not fit.
        let mut found = Sink::new();
        again = check(&checked.files, sources, &known, &mut found);
        let errors = found.into_diagnostics().into_iter().filter(|d| d.severity() == Severity::Error);
        errors.for_each(|error| sink.report(error));
        &again
    };
    let model = checked.model()?;
    match (Elaboration { model, bindings }).program() {
        Ok(program) => {
            warn::warnings(&program).into_iter().for_each(|warning| sink.report(warning));
            Some(program)
        }
        Err(diagnostic) => {
            sink.report(*diagnostic);
            None
        }
    }
}

/// The sizes that the data bind and the consts that are set.
fn known(checked: &Checked, bindings: &Bindings, sink: &mut Sink) -> Option<Known> {
    let mut known = checked.known.clone();
    for (name, values) in &bindings.overrides {
        if checked.consts.iter().any(|declared| declared.name == *name) {
            known.consts.insert(name.clone(), values.clone());
        }
    }
    let mut fine = true;
    for field in checked.data.iter().flat_map(|request| &request.fields) {
        let Some((shape, _)) = bindings.data.get(&field.path) else {
            sink.report(errors::no_data(field.span, &field.path));
            fine = false;
            continue;
        };
        let agrees = shape.len() == field.dims.len()
            && field.dims.iter().zip(shape).all(|(dim, size)| match dim.as_symbol() {
                Some(symbol) => *known.sizes.entry(symbol.name.clone()).or_insert(*size) == *size,
                None => dim.as_number().is_none_or(|n| n == *size as i64),
            });
        if !agrees {
            let expected = typed::dims_text(&field.dims);
            sink.report(errors::data_shape(
                field.ty_span,
                &field.path,
                &expected,
                &Shape::new(shape).to_string(),
            ));
            fine = false;
        }
    }
    fine.then_some(known)
}

/// The elements of a static expression, row-major.
pub(crate) fn static_values(defs: &IndexVec<DefId, Def>, sizes: &Sizes, expr: &Expr) -> Made<Vec<f64>> {
    let world = World {
        defs,
        sizes,
        ragged: &BTreeMap::new(),
        states: &[],
        channels: &[],
        interval: None,
        real: DType::F64,
    };
    let mut frame = Frame::new("static", world, Moment::Never);
    let value = frame.value(expr)?;
    let func = frame.finish(vec![("value".into(), value)]).0;
    match eval(&func, &[]) {
        Ok(mut results) => Ok(results.pop().map(|tensor| tensor.data).unwrap_or_default()),
        Err(error) => {
            let what = format!("a derivative here ({error}) is");
            Err(Box::new(errors::not_yet(expr.span, what, "write the number, or the derivative by hand")))
        }
    }
}

/// Whether every element lies strictly inside the set.
pub(crate) fn is_inside(constraint: Constraint, values: &[f64]) -> bool {
    values.iter().all(|x| match constraint {
        Constraint::Free => x.is_finite(),
        Constraint::Positive => *x > 0.0 && x.is_finite(),
        Constraint::Interval(lo, hi) => lo < *x && *x < hi,
    })
}

/// The element that the middle of free space, 0, is mapped to.
fn middle(constraint: Constraint) -> f64 {
    match constraint {
        Constraint::Free => 0.0,
        Constraint::Positive => 1.0,
        Constraint::Interval(lo, hi) => lo + (hi - lo) / 2.0,
    }
}

struct Elaboration<'m> {
    model: &'m Model,
    bindings: &'m Bindings,
}

/// The parameter list of a function.
type Signature = Vec<(Input, Arc<str>, Type)>;

impl<'m> Elaboration<'m> {
    fn program(&self) -> Made<Program> {
        let model = self.model;
        let start = self.start()?;
        self.check_dimension()?;
        let mut system = self.system()?;
        let args = hoist::hoisted(&mut system, self.motion_signature().len() - self.outside().len());
        let start = both(start, &args);
        let mut sites = Sites::new(self.world());
        let (post, post_order) = self.post(&mut sites)?;
        let (observe, observe_order) = self.observe(&mut sites)?;
        let (times, times_order, sites) = sites.finish();
        let site_values = self.site_values(&sites);
        let outside = self.outside();
        let ends = vec![self.scalar(Input::Start, "t0"), self.scalar(Input::End, "t1")];
        let now = self.now();
        let post = arranged(post, &post_order, [ends.clone(), site_values.clone(), outside.clone()].concat());
        let observe = arranged(observe, &observe_order, [now, ends, site_values, outside.clone()].concat());
        let times = arranged(times, &times_order, outside);
        let stops = self.stops()?;
        let span = model.defs[model.time].span;
        let solve = Solve { system: 0, inverse: false, start, sites, times, stops, span };
        Ok(Program {
            real: self.bindings.real,
            params: self.params()?,
            data: self.ports()?,
            examples: if model.ports.iter().any(|port| port.batch) { Examples::Data } else { Examples::One },
            systems: vec![system],
            solves: vec![solve],
            main: Some(0),
            results: self.results(&post),
            post,
            curves: self.curves(&observe),
            observe,
            plots: model.plots.clone(),
            exports: model.exports.clone(),
        })
    }

    /// Refuses states of more than [`MAX_ELEMENTS`] together. Each alone has no more.
    fn check_dimension(&self) -> Made<()> {
        let mut count = 0;
        let states = self.model.states.iter().map(|state| state.def);
        for def in states.chain(self.model.channels.iter().map(|channel| channel.def)) {
            count += self.ty(def).shape.count();
            if count > MAX_ELEMENTS {
                let span = self.model.defs[def].span;
                return Err(Box::new(errors::too_large(span, "the state of the system", MAX_ELEMENTS)));
            }
        }
        Ok(())
    }

    fn world(&self) -> World<'m> {
        let model = self.model;
        World {
            defs: &model.defs,
            sizes: &model.sizes,
            ragged: &model.ragged,
            states: &model.states,
            channels: &model.channels,
            interval: Some(&model.interval),
            real: self.bindings.real,
        }
    }

    /// The IR type of a definition; sizes are numbers by now.
    fn ty(&self, def: DefId) -> Type {
        let found = &self.model.defs[def];
        let ty = &found.ty;
        let number =
            |dim| number_of(dim, &[], &self.model.sizes, found.span).map_or(0, |n| n.max(0) as usize);
        let dims = ty.dims.iter().map(number).collect();
        let dtype = match ty.elem {
            Elem::Real => self.bindings.real,
            // An unknown is a number that a solver keeps.
            Elem::Int if matches!(self.model.defs[def].kind, DefKind::State(_)) => self.bindings.real,
            Elem::Int => DType::I64,
            Elem::Bool => DType::Bool,
        };
        Type { dtype, shape: Shape(dims) }
    }

    // ---- what comes from outside -----------------------------------------------------------

    fn params(&self) -> Made<Vec<Param>> {
        let params = self.model.params.iter().map(|param| {
            let def = &self.model.defs[param.def];
            let ty = self.ty(param.def);
            let init = match (self.bindings.overrides.get(&def.name), &param.init) {
                (Some(values), _) => self.set_values(def, values, ty.shape.count())?,
                (None, Some(init)) => static_values(&self.model.defs, &self.model.sizes, init)?,
                (None, None) if param.drawn.is_some() => {
                    initial::draws(param.drawn.as_ref(), self.bindings.seed, &def.name, &ty.shape)
                }
                (None, None) => vec![middle(param.constraint); ty.shape.count()],
            };
            if !is_inside(param.constraint, &init) {
                return Err(Box::new(errors::outside_its_set(def.span, &def.name, &init, param.constraint)));
            }
            Ok(Param { path: def.name.clone(), ty, init, constraint: param.constraint, span: def.span })
        });
        params.collect()
    }

    /// The numbers set from outside; one number fills a tensor.
    fn set_values(&self, def: &Def, given: &Given, count: usize) -> Made<Vec<f64>> {
        given
            .entries(count)
            .map_err(|found| Box::new(errors::override_count(def.span, &def.name, &def.ty, found)))
    }

    fn ports(&self) -> Made<Vec<DataPort>> {
        let ports = self.model.ports.iter().map(|port| {
            let def = &self.model.defs[port.def];
            let ty = self.ty(port.def);
            let value = match (
                self.bindings.overrides.get(&def.name),
                self.bindings.data.get(&def.name),
                &port.default,
            ) {
                (Some(values), _, _) => Some(self.set_values(def, values, ty.shape.count())?),
                (None, Some(_), _) if port.batch => None,
                (None, Some((_, values)), _) => Some(values.clone()),
                (None, None, Some(default)) => {
                    Some(static_values(&self.model.defs, &self.model.sizes, default)?)
                }
                (None, None, None) => None,
            };
            Ok(DataPort {
                path: def.name.clone(),
                ty,
                axis: if port.batch { Axis::Example } else { Axis::Whole },
                source: port.source.clone(),
                value,
                span: def.span,
            })
        });
        ports.collect()
    }

    // ---- parameter lists -------------------------------------------------------------------

    fn scalar(&self, input: Input, name: &str) -> (Input, Arc<str>, Type) {
        (input, name.into(), Type::scalar(self.bindings.real))
    }

    fn of_def(&self, input: Input, def: DefId) -> (Input, Arc<str>, Type) {
        (input, self.model.defs[def].name.clone(), self.ty(def))
    }

    /// Params, then data.
    fn outside(&self) -> Signature {
        let params =
            self.model.params.iter().enumerate().map(|(n, param)| self.of_def(Input::Param(n), param.def));
        let ports =
            self.model.ports.iter().enumerate().map(|(n, port)| self.of_def(Input::Data(n), port.def));
        params.chain(ports).collect()
    }

    /// Time, states, channels: what a curve sees.
    fn now(&self) -> Signature {
        let model = self.model;
        let time = self.of_def(Input::Time, model.time);
        let states =
            model.states.iter().enumerate().map(|(n, state)| self.of_def(Input::State(n), state.def));
        let channels =
            model.channels.iter().enumerate().map(|(n, channel)| self.of_def(Input::Channel(n), channel.def));
        std::iter::once(time).chain(states).chain(channels).collect()
    }

    /// For each site, each state and each channel.
    fn site_values(&self, sites: &[Site]) -> Signature {
        let mut signature = Signature::new();
        for (site, Site { count, .. }) in sites.iter().enumerate() {
            let mut enter = |input, def: DefId| {
                let mut ty = self.ty(def);
                if let Some(count) = count {
                    ty.shape.0.insert(0, *count);
                }
                signature.push((input, format!("{}@{site}", self.model.defs[def].name).into(), ty));
            };
            self.model
                .states
                .iter()
                .enumerate()
                .for_each(|(n, state)| enter(Input::SiteState(site, n), state.def));
            self.model
                .channels
                .iter()
                .enumerate()
                .for_each(|(n, channel)| enter(Input::SiteChannel(site, n), channel.def));
        }
        signature
    }

    // ---- the functions ---------------------------------------------------------------------

    fn start(&self) -> Made<Func> {
        let model = self.model;
        let mut frame = Frame::new("start", self.world(), Moment::Never);
        let mut results = vec![
            ("t0".into(), frame.value(&model.interval.0)?),
            ("t1".into(), frame.value(&model.interval.1)?),
        ];
        for state in &model.states {
            let start = frame.value(&state.start)?;
            let start = frame.b.must(Op::Convert, &[start], Attr::To(self.bindings.real));
            results.push((model.defs[state.def].name.clone(), start));
        }
        for channel in &model.channels {
            let zero = frame.b.splat(0.0, self.ty(channel.def));
            results.push((model.defs[channel.def].name.clone(), zero));
        }
        let (func, order) = frame.finish(results);
        Ok(arranged(func, &order, self.outside()))
    }

    fn post(&self, sites: &mut Sites<'m>) -> Made<(Func, Vec<Input>)> {
        let mut frame = Frame::with_sites("post", self.world(), Moment::Never, sites);
        let mut results = Vec::new();
        for root in &self.model.results {
            let value = frame.value(&root.value)?;
            let value = match root.role {
                Role::Likelihood | Role::Prior => {
                    frame.b.set_span(Some(root.span));
                    let value = frame.masked(value, &root.value, 0.0)?;
                    let sum = frame.b.sum(value);
                    frame.b.neg(sum)
                }
                Role::Loss | Role::Metric | Role::Output | Role::Plot => value,
            };
            results.push((root.name.clone(), value));
        }
        Ok(frame.finish(unique(results)))
    }

    fn observe(&self, sites: &mut Sites<'m>) -> Made<(Func, Vec<Input>)> {
        let mut frame = Frame::with_sites("observe", self.world(), Moment::Now, sites);
        let mut results = Vec::new();
        for root in &self.model.curves {
            results.push((root.name.clone(), frame.value(&root.value)?));
        }
        Ok(frame.finish(unique(results)))
    }

    fn results(&self, post: &Func) -> Vec<RunResult> {
        let types = post.result_types().cloned();
        let roots = self.model.results.iter().zip(types);
        roots
            .map(|(root, ty)| RunResult { role: root.role, name: root.name.clone(), ty, span: root.span })
            .collect()
    }

    fn curves(&self, observe: &Func) -> Vec<Curve> {
        let types = observe.result_types().cloned();
        let roots = self.model.curves.iter().zip(types);
        roots
            .map(|(root, ty)| Curve { name: root.name.clone(), ty, output: root.output, span: root.span })
            .collect()
    }
}

/// The results of two functions of the same inputs, those of `first` first.
fn both(first: Func, second: &Func) -> Func {
    let mut b = Builder::new(first.name.clone());
    let params = first.params.iter().map(|port| b.param(port.name.clone(), first.ty(port.value).clone()));
    let params: Vec<ValueId> = params.collect();
    let mut results = Vec::new();
    for part in [&first, second] {
        let names = part.results.iter().map(|port| port.name.clone());
        results.extend(names.zip(b.inline(part, &params)));
    }
    b.finish(unique(results))
}

/// Result names made unique within their function: `y`, `y #2`.
fn unique(mut results: Vec<(Arc<str>, ValueId)>) -> Vec<(Arc<str>, ValueId)> {
    let mut taken = BTreeSet::new();
    for (result, _) in &mut results {
        let name = result.clone();
        let mut n = 1;
        while !taken.insert(result.clone()) {
            n += 1;
            *result = format!("{name} #{n}").into();
        }
    }
    results
}

/// `func`, whose parameters stand for the inputs in `order`, with the parameter list `signature`.
fn arranged(func: Func, order: &[Input], signature: Signature) -> Func {
    let mut b = Builder::new(func.name.clone());
    let params: HashMap<Input, ValueId> =
        signature.into_iter().map(|(input, name, ty)| (input, b.param(name, ty))).collect();
    let args: Vec<ValueId> = order
        .iter()
        .map(|input| match params.get(input) {
            Some(value) => *value,
            None => crate::bug!("`{}` reads {input:?}, which it is not given", func.name),
        })
        .collect();
    let names: Vec<Arc<str>> = func.results.iter().map(|port| port.name.clone()).collect();
    let values = b.inline(&func, &args);
    b.finish(names.into_iter().zip(values).collect())
}

/// The number that a size is; loop variables have their present values.
fn number_of(dim: &Dim, loops: &[(u32, i64)], sizes: &Sizes, span: Span) -> Made<i64> {
    value_of(dim, loops, sizes).ok_or_else(|| Box::new(errors::unknown_size(span, &format!("`{dim}`"))))
}

fn value_of(dim: &Dim, loops: &[(u32, i64)], sizes: &Sizes) -> Option<i64> {
    dim.value(&|symbol| {
        let turn = loops.iter().rev().find(|(id, _)| *id == symbol.id).map(|(_, n)| *n);
        turn.or_else(|| value_of(sizes.get(&symbol.id)?, loops, sizes))
    })
}

/// Whether a phase needs a moment to be evaluated at.
fn moves(phase: Phase) -> bool {
    match phase {
        Phase::Time => true,
        Phase::Static | Phase::Run | Phase::Example => false,
    }
}

/// The kind of a site that is a bare `start` or `end`.
fn named_site(time: &Expr) -> Option<SiteKind> {
    match &time.kind {
        typed::Kind::Start => Some(SiteKind::Start),
        typed::Kind::End => Some(SiteKind::End),
        _ => None,
    }
}
