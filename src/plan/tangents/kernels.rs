//! The functions that carry sensitivities, compiled.

use crate::ad;
use crate::ir::builder::Builder;
use crate::ir::func::{Func, ValueId};
use crate::ir::types::{Shape, Type};
use crate::opt;
use crate::plan::Plan;
use crate::plan::compiled::extension;
use crate::plan::controls::Adjoint;
use crate::plan::derivatives::{Derivatives, mass_pattern};
use crate::plan::halves::Halves;
use crate::plan::kernels::{Expansion, Moves, Moving, rate, with_tangent};
use crate::plan::motion;
use crate::plan::pack::Target;
use crate::plan::step as steps;
use crate::plan::tangents::AT_ONCE;
use crate::plan::unit::{Kernel, PlanError, compile};
use crate::solve::implicit::sparse::Pattern;
use crate::solve::method::Kind;

/// A system with its sensitivities in `D` directions: `w = (z, S_1 .. S_D, c, C_1 .. C_D)` with
/// states first, `a` and `q` followed by their tangents likewise.
pub(crate) struct SensitiveKernels {
    /// `t, inside, w, a, q, data.. -> w'`
    pub rate: Kernel,
    pub moves: Moves,
    /// `(t, inside, y, a, q, data.., dt, dy, da, dq) -> r, dr`; `None` without conditions.
    pub roots: Option<Kernel>,
    /// By event: `(t, inside, y, a, q, data.., dt, dy, da, dq) -> y_new, dy_new`.
    pub jumps: Vec<Kernel>,
    /// By event: `(a, q, data.., da, dq) -> times, dtimes`; `None` for a condition.
    pub times: Vec<Option<Kernel>>,
}

/// The tangents of what a solve computes before it begins.
pub(crate) struct SolveTangents {
    /// `(.., d known.., d p) -> t0, t1, y0, a`, then their tangents.
    pub start: Kernel,
    /// `(.., d known.., d p) -> times, d times`; `None` if the times do not move.
    pub times: Option<Kernel>,
    /// Which times depend on params.
    pub moving: Moving,
}

/// The tangent of an objective.
#[derive(Clone)]
pub(crate) struct ObjectiveTangent {
    /// `(.., d known.., d p) -> value, terms..`, then their tangents.
    pub tangent: Kernel,
    /// The solves whose known values it takes.
    pub reads: Vec<usize>,
    /// How many results it has, tangents not counted.
    pub n_results: usize,
}

impl Plan {
    /// Directions that travel at once.
    pub(crate) fn n_directions(&self) -> usize {
        self.layout.n_params.min(AT_ONCE)
    }

    pub(crate) fn make_sensitive(&self, system: usize) -> Result<SensitiveKernels, PlanError> {
        let (layout, packed) = (&self.layout.systems[system], &self.funcs.packed);
        let (n_states, n_directions) = (layout.n_states, self.n_directions());
        let method = &self.methods[system];
        let with = sensitive(&packed.rates[system], n_states, n_directions)?;
        let backend = self.backend();
        let all = n_states * (1 + n_directions);
        let mass = || {
            let own = mass_pattern(packed.motions[system].mass.as_ref(), n_states);
            let entries = (0..=n_directions).flat_map(|block| {
                let own = own.entries();
                own.map(move |(row, column)| (block * n_states + row, block * n_states + column))
            });
            Pattern::new(all, entries.collect::<Vec<_>>())
        };
        let derivatives = || Derivatives::of(&with, all, self.forms[system], mass, backend);
        let moves = match method.kind {
            Kind::Explicit(tableau) => {
                let [step] = compile([&opt::optimise(steps::step(&with, tableau))], backend)?;
                Moves::Explicit { step, extension: extension(&with, tableau, backend)? }
            }
            Kind::Stiff(_) => Moves::Stiff(derivatives()?),
            Kind::Symplectic(_) => match Halves::of(&self.program.systems[system])? {
                Ok(Halves { positions, momenta }) => {
                    let blocks = |half: Vec<usize>| -> Vec<usize> {
                        let block = |number| half.iter().map(move |at| number * n_states + at);
                        (0..=n_directions).flat_map(block).collect()
                    };
                    Moves::Symplectic(Halves { positions: blocks(positions), momenta: blocks(momenta) })
                }
                Err(coupled) => {
                    crate::bug!("a symplectic method for a system that is not separable: {coupled:?}")
                }
            },
            Kind::Multistep | Kind::Reversible(_) => Moves::Multistep,
            Kind::Taylor { order } => {
                let (series, finish) = (motion::series(&with, order)?, motion::finish(&with, order));
                let [series, finish] = compile([&series, &finish], backend)?;
                Moves::Taylor { order, expansion: Expansion::Series(series), finish }
            }
            Kind::Auto(tableau) => {
                let [step] = compile([&opt::optimise(steps::step(&with, tableau))], backend)?;
                Moves::Auto { step, derivatives: derivatives()? }
            }
            Kind::Stochastic(_) => return Err(self.no_way(system, Adjoint::Forward)),
        };
        let of = &packed.motions[system];
        let one = |func: Func| compile([&func], backend).map(|[kernel]| kernel);
        let by_now = |func: &Func| one(with_tangent(func, &[rate::T, rate::Y, rate::A, rate::Q])?);
        // A function of the fixed operands alone begins with them.
        let by_fixed =
            |func: &Option<Func>| func.as_ref().map(|func| one(with_tangent(func, &[0, 1])?)).transpose();
        Ok(SensitiveKernels {
            rate: one(with)?,
            moves,
            roots: of.roots.as_ref().map(by_now).transpose()?,
            jumps: of.jumps.iter().map(by_now).collect::<Result<_, _>>()?,
            times: of.times.iter().map(by_fixed).collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn make_solve_tangents(&self, solve: usize) -> Result<SolveTangents, PlanError> {
        self.check_jumps(solve)?;
        let moving = self.moving(solve);
        if moving.stops {
            let (adjoint, what) = (Adjoint::Forward.name(), "knots that depend on params");
            return Err(PlanError::NotThrough { adjoint, what, span: self.program.solves[solve].span });
        }
        self.check_constraints(solve, Adjoint::Forward)?;
        let packed = &self.funcs.packed.solves[solve];
        let backend = self.backend();
        let one = |func: Func| compile([&func], backend).map(|[kernel]| kernel);
        let times = match moving.sites {
            true => Some(one(with_tangent(&packed.times.func, &self.known_and_p(&packed.times))?)?),
            false => None,
        };
        let start = one(with_tangent(&packed.start.func, &self.known_and_p(&packed.start))?)?;
        Ok(SolveTangents { start, times, moving })
    }

    pub(crate) fn make_objective_tangent(&self, target: Target) -> Result<ObjectiveTangent, PlanError> {
        let (value, _) = self.objective_funcs(target)?;
        let tangent = with_tangent(&value.func, &self.known_and_p(&value))?;
        let [tangent] = compile([&tangent], self.backend())?;
        Ok(ObjectiveTangent { tangent, reads: value.reads, n_results: value.func.results.len() })
    }
}

/// The rate of `w` as in [`SensitiveKernels`], of the rate `t, inside, y, a, q, data.. -> y'` whose
/// first `n_states` entries are states.
fn sensitive(rate_func: &Func, n_states: usize, n_directions: usize) -> Result<Func, PlanError> {
    let tangent = ad::jvp_func(rate_func, &[rate::Y, rate::A, rate::Q])?;
    let mut mapped = vec![false; tangent.params.len()];
    let n_operands = rate_func.params.len();
    mapped[n_operands..].fill(true);
    let batched = ad::batch_func(&tangent, &mapped, n_directions)?;

    let mut b = Builder::new("sensitive");
    let len = |port: usize| rate_func.ty(rate_func.params[port].value).shape.count();
    let packed = [rate::Y, rate::A, rate::Q];
    let mut args: Vec<ValueId> = Vec::new();
    for (number, port) in rate_func.params.iter().enumerate() {
        let mut ty: Type = rate_func.ty(port.value).clone();
        if packed.contains(&number) {
            ty.shape = Shape::new(&[len(number) * (1 + n_directions)]);
        }
        args.push(b.param(port.name.clone(), ty));
    }
    let (n, w) = (len(rate::Y), args[rate::Y]);
    let (n_channels, first) = (n - n_states, n_states * (1 + n_directions));
    let [of_states, of_channels] = [(0, n_states), (first, n_channels)].map(|(at, len)| {
        let rows = b.part(w, at + len, at + len * (1 + n_directions));
        (b.part(w, at, at + len), b.reshape(rows, Shape::new(&[n_directions, len])))
    });
    args[rate::Y] = b.concat(&[of_states.0, of_channels.0], 0);
    let mut seeds = vec![b.concat(&[of_states.1, of_channels.1], 1)];
    for port in [rate::A, rate::Q] {
        let (all, len) = (args[port], len(port));
        args[port] = b.part(all, 0, len);
        let rows = b.part(all, len, len * (1 + n_directions));
        seeds.push(b.reshape(rows, Shape::new(&[n_directions, len])));
    }
    let dy = b.inline(rate_func, &args)[0];
    args.extend(seeds);
    let ds = b.inline(&batched, &args)[1];
    let rows = |b: &mut Builder, lo: usize, hi: usize| {
        let part = b.slice(ds, &[(0, n_directions as u32), (lo as u32, hi as u32)]);
        b.flatten(part)
    };
    let parts = [
        b.part(dy, 0, n_states),
        rows(&mut b, 0, n_states),
        b.part(dy, n_states, n),
        rows(&mut b, n_states, n),
    ];
    let dw = b.concat(&parts, 0);
    Ok(opt::optimise(b.finish(vec![("dw".into(), dw)])))
}
