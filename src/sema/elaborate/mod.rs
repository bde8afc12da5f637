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
#[allow(clippy::needless_range_loop, reason = "the indices are those of the elimination")]
mod linear;
pub(crate) mod path;
mod runs;
mod warn;

use crate::base::hash::{FastMap, FastSet};
use crate::base::index::IndexVec;
use crate::base::span::{Sources, Span};
use crate::diag::{Diagnostic, Severity, Sink};
use crate::ir::builder::Builder;
use crate::ir::constraint::Constraint;
use crate::ir::eval::eval;
use crate::ir::func::{Func, ValueId};
use crate::ir::program::{
    Axis, Curve, DataPort, Examples, Init, Outside, Param, PortSource, Program, Role, RunResult, Sweep, Swept,
};
use crate::ir::system::SiteKind;
use crate::ir::types::{DType, Shape, Type};
use crate::sema::Given;
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::sizes::Sizes;
use crate::sema::typed::{self, Def, DefId, DefKind, Drawn, Elem, Expr, Model, Phase};
use crate::sema::{Bindings, Checked, Known, check};
pub(crate) use frame::MAX_TURNS;
use frame::{AllSites, Frame, Input, MAX_ELEMENTS, Moment, World};
pub(crate) use initial::draws_from;
use runs::Runs;
use std::cell::Cell;
use std::collections::BTreeMap;
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
        time: None,
        main: 0,
        shared: &[],
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

/// The longest row that a set can have, if the last axis of `shape` is longer. The bijections are
/// written out as dense matrices, that of `orthogonal` step by step.
fn max_row(constraint: Constraint, shape: &Shape) -> Option<usize> {
    let most = match constraint {
        Constraint::Free | Constraint::Positive | Constraint::Interval(..) => return None,
        Constraint::Simplex | Constraint::Ordered => 512,
        Constraint::CorrCholesky => 64,
        Constraint::Orthogonal => 32,
    };
    shape.dims().last().is_some_and(|n| *n > most).then_some(most)
}

struct Elaboration<'m> {
    model: &'m Model,
    bindings: &'m Bindings,
}

/// The parameter list of a function.
type Signature = Vec<(Input, Arc<str>, Type)>;

impl Elaboration<'_> {
    fn program(&self) -> Made<Program> {
        let model = self.model;
        self.check_dimension()?;
        self.check_knots()?;
        let shared: Vec<Cell<usize>> = (0..model.calls.len()).map(Cell::new).collect();
        let runs = Runs::new(self, &shared)?;
        let (systems, asked) = runs.motions()?;
        let mut sites = runs.sites();
        let starts = runs.starts(&asked, &mut sites)?;
        let stops = runs.stops(&mut sites)?;
        let (post, post_order) = self.post(&runs, &mut sites)?;
        let (observe, observe_order) = self.observe(&runs, &mut sites)?;
        let (draws, draws_order) = self.draws(&runs)?;
        let found = runs.finish(sites);
        let known = runs.known(runs.order(), &found);
        let outside = self.outside();
        let now = model.main.map(|main| self.now(main)).unwrap_or_default();
        let post = arranged(post, &post_order, [known.clone(), outside.clone()].concat());
        let observe = arranged(observe, &observe_order, [now, known, outside.clone()].concat());
        Ok(Program {
            real: self.bindings.real,
            params: self.params()?,
            data: self.ports()?,
            examples: self.examples()?,
            systems,
            main: runs.order().iter().position(|run| *run == runs.main()),
            solves: runs.solves(starts, stops, found),
            results: self.results(&post),
            post,
            curves: self.curves(&observe),
            observe,
            plots: model.plots.clone(),
            exports: model.exports.clone(),
            sweeps: self.sweeps()?,
            redrawn: model
                .many
                .ensemble
                .iter()
                .flat_map(|all| &all.draws)
                .map(|(def, _)| self.outside_of(*def))
                .collect(),
            draws: arranged(draws, &draws_order, outside),
        })
    }

    /// What the examples of a run are. The draws of a model without examples in its data are of
    /// samples.
    fn examples(&self) -> Made<Examples> {
        if let Some(ensemble) = &self.model.many.ensemble {
            let count = number_of(&ensemble.count, &[], &self.model.sizes, ensemble.span)?;
            return match usize::try_from(count) {
                Ok(count) if count > 0 => Ok(Examples::Members(count)),
                Ok(_) | Err(_) => Err(Box::new(errors::no_members(ensemble.span, count))),
            };
        }
        let mut each = self.model.ports.iter().filter(|port| port.batch);
        let drawn = |port: &typed::Port| matches!(port.source, PortSource::Drawn(_));
        Ok(match each.next() {
            None => Examples::One,
            Some(first) if drawn(first) && each.all(drawn) => Examples::Samples,
            Some(_) => Examples::Data,
        })
    }

    /// Refuses states of more than [`MAX_ELEMENTS`] together. Each alone has no more.
    fn check_dimension(&self) -> Made<()> {
        let model = self.model;
        for system in &model.systems {
            let mut count = 0;
            let states = model.states[system.states.clone()].iter().map(|state| state.def);
            let channels = model.channels[system.channels.clone()].iter().map(|channel| channel.def);
            for def in states.chain(channels) {
                count += self.ty(def).shape.count();
                if count > MAX_ELEMENTS {
                    let span = model.defs[def].span;
                    return Err(Box::new(errors::too_large(span, "the state of the system", MAX_ELEMENTS)));
                }
            }
        }
        Ok(())
    }

    /// Refuses paths whose times are known now and go back.
    fn check_knots(&self) -> Made<()> {
        let model = self.model;
        for times in model.knot_times().filter(|times| times.phase == Phase::Static) {
            let values = static_values(&model.defs, &model.sizes, times)?;
            if let Some(at) = (1..values.len()).find(|at| values[*at] < values[at - 1]) {
                return Err(Box::new(errors::knots_go_back(times.span, at, &values)));
            }
        }
        Ok(())
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

    /// The IR type of an expression.
    fn type_of(&self, expr: &Expr) -> Type {
        let model = self.model;
        let sizes = expr.ty.dims.iter().map(|dim| {
            let size = number_of(dim, &[], &model.sizes, expr.span).unwrap_or(0);
            usize::try_from(size).unwrap_or(0)
        });
        Type { dtype: self.bindings.real, shape: Shape(sizes.collect()) }
    }

    // ---- what comes from outside -----------------------------------------------------------

    fn params(&self) -> Made<Vec<Param>> {
        let params = self.model.params.iter().map(|param| {
            let def = &self.model.defs[param.def];
            let ty = self.ty(param.def);
            let init = match (self.bindings.overrides.get(&def.name), &param.init) {
                (Some(values), _) => self.set_values(def, values, ty.shape.count())?,
                (None, Some(init)) => static_values(&self.model.defs, &self.model.sizes, init)?,
                (None, None) => match (&param.drawn, param.constraint) {
                    // These are finite whatever is drawn.
                    (Some(drawn @ Drawn::Weights(_)), Constraint::Free) => {
                        let (drawn, seed) = (drawn.clone(), self.bindings.seed);
                        let (path, shape) = (def.name.clone(), ty.shape.clone());
                        let init = Init::later(move || initial::draws(&drawn, seed, &path, &shape));
                        return Ok(self.param(param, ty, init));
                    }
                    (Some(drawn), _) => initial::draws(drawn, self.bindings.seed, &def.name, &ty.shape),
                    (None, constraint) => constraint.middle(&ty.shape),
                },
            };
            if let Some(most) = max_row(param.constraint, &ty.shape) {
                let what = format!("a row of more than {most} numbers in `{}` is", param.constraint);
                let instead = "use several params, or `positive` and divide by the sum";
                return Err(Box::new(errors::not_yet(def.span, what, instead)));
            }
            if param.constraint.free(&init, &ty.shape).is_none() {
                return Err(Box::new(errors::outside_its_set(def.span, &def.name, &init, param.constraint)));
            }
            Ok(self.param(param, ty, init.into()))
        });
        params.collect()
    }

    fn param(&self, param: &typed::Param, ty: Type, init: Init) -> Param {
        let def = &self.model.defs[param.def];
        Param { path: def.name.clone(), ty, init, constraint: param.constraint, span: def.span }
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
                (None, Some((_, values)), _) => values.clone(),
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

    /// Time, states, channels of a system: what a curve sees.
    fn now(&self, system: usize) -> Signature {
        let (model, system) = (self.model, &self.model.systems[system]);
        let time = self.of_def(Input::Time, system.time);
        let states = system.states.clone().map(|n| self.of_def(Input::State(n), model.states[n].def));
        let channels = system.channels.clone().map(|n| self.of_def(Input::Channel(n), model.channels[n].def));
        std::iter::once(time).chain(states).chain(channels).collect()
    }

    // ---- the functions of the whole run ----------------------------------------------------

    fn post<'e>(&'e self, runs: &Runs<'e>, sites: &mut AllSites<'e>) -> Made<(Func, Vec<Input>)> {
        let mut frame = Frame::with_sites("post", runs.world(self.model.main), Moment::Never, sites);
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

    fn observe<'e>(&'e self, runs: &Runs<'e>, sites: &mut AllSites<'e>) -> Made<(Func, Vec<Input>)> {
        let mut frame = Frame::with_sites("observe", runs.world(self.model.main), Moment::Now, sites);
        let mut results = Vec::new();
        for root in &self.model.curves {
            results.push((root.name.clone(), frame.value(&root.value)?));
        }
        Ok(frame.finish(unique(results)))
    }

    /// What members draw as params and inputs.
    fn draws<'e>(&'e self, runs: &Runs<'e>) -> Made<(Func, Vec<Input>)> {
        let mut frame = Frame::new("draws", runs.world(None), Moment::Never);
        let mut results = Vec::new();
        for (def, drawn) in self.model.many.ensemble.iter().flat_map(|ensemble| &ensemble.draws) {
            results.push((self.model.defs[*def].name.clone(), frame.value(drawn)?));
        }
        Ok(frame.finish(unique(results)))
    }

    /// A param or an input, by number.
    fn outside_of(&self, def: DefId) -> Outside {
        match self.model.defs[def].kind {
            DefKind::Param(number) => Outside::Param(number),
            DefKind::Input(_) => {
                let port = self.model.ports.iter().position(|port| port.def == def);
                Outside::Port(port.expect("an input is a port"))
            }
            kind => crate::bug!("a {} does not come from outside", kind.noun()),
        }
    }

    fn sweeps(&self) -> Made<Vec<Sweep>> {
        let sweeps = self.model.many.sweeps.iter().map(|sweep| {
            let values = static_values(&self.model.defs, &self.model.sizes, &sweep.values)?;
            if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
                return Err(Box::new(errors::no_values(sweep.values.span, &sweep.name)));
            }
            let of = match self.model.defs[sweep.def].kind {
                DefKind::Const => Swept::Const,
                _ => Swept::Outside(self.outside_of(sweep.def)),
            };
            Ok(Sweep { name: sweep.name.clone(), of, values, span: sweep.span })
        });
        sweeps.collect()
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

/// Result names made unique within their function: `y`, `y #2`.
fn unique(mut results: Vec<(Arc<str>, ValueId)>) -> Vec<(Arc<str>, ValueId)> {
    let mut taken: FastSet<Arc<str>> = FastSet::default();
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
    let params: FastMap<Input, ValueId> =
        signature.into_iter().map(|(input, name, ty)| (input, b.param(name, ty))).collect();
    let args: Vec<ValueId> = order
        .iter()
        .map(|input| match params.get(input) {
            Some(value) => *value,
            None => crate::bug!("`{}` reads {input:?}, which it is not given", func.name),
        })
        .collect();
    let names: Vec<Arc<str>> = func.results.iter().map(|port| port.name.clone()).collect();
    let values = b.absorb(func, &args);
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
