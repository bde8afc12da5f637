//! The functions of a [`Program`] in packed form.
//!
//! A solver sees one state vector, an optimiser one parameter vector; the language sees many
//! tensors. Here all states, modes and channels of a system are one vector `y: [n]`, its args one vector
//! `a: [A]`, all params one vector `p: [P]`, those that the motion reads one vector `q: [Q]`, and
//! the known values of a solve its ends and one `[m, n]` matrix for each site. What a function does
//! not need is still among its operands, so that every role has one fixed calling convention;
//! only the solves that a function of the run does not read are left out ([`RunFunc`]). The
//! packing is slices and reshapes, which lowering turns into addresses.

use crate::ir::builder::Builder;
use crate::ir::func::{Attr, Func, ValueId};
use crate::ir::op::Op;
use crate::ir::program::{Program, Role};
use crate::ir::system::{Site, System};
use crate::ir::types::{DType, Shape, Type};
use crate::plan::layout::{Layout, unknowns};
use crate::plan::motion::PackedMotion;
use crate::plan::scale;
use std::sync::Arc;

/// All functions of a program, packed.
#[derive(Clone, Debug)]
pub struct Packed {
    /// `u -> p`; see [`scale::constrain`].
    pub constrain: Func,
    /// `t, inside, y, a, q, data.. -> dy: [n]`, by system.
    pub rates: Vec<Func>,
    /// By system.
    pub motions: Vec<PackedMotion>,
    /// By solve.
    pub solves: Vec<PackedSolve>,
    /// `known.., p, data.. -> total, then each result`; see [`Target::Total`].
    pub post: RunFunc,
    /// `t, y, known.., p, data.. -> curves: [C]`, all curves flattened.
    pub observe: RunFunc,
    /// `p, data.. -> draws: [D]`, what a member draws as params and inputs.
    pub draws: RunFunc,
}

/// What a solve computes before it begins.
#[derive(Clone, Debug)]
pub struct PackedSolve {
    /// `known.., p, data.. -> t0, t1, y0: [n], a: [A]`
    pub start: RunFunc,
    /// `known.., p, data.. -> times: [M]`, the sites of kind `Times` one after the other.
    pub times: RunFunc,
    /// `known.., p, data.. -> stops: [S]`, all of them in one vector.
    pub stops: RunFunc,
}

/// A function of the known values `t0, t1, site: [m, n]..` of some solves, here `known..`.
#[derive(Clone, Debug)]
pub struct RunFunc {
    /// The function.
    pub func: Func,
    /// The solves whose known values it takes: those it reads, ascending.
    pub reads: Vec<usize>,
}

/// A scalar of the whole run that can be differentiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The training objective of one example: the sum of losses, likelihoods and priors.
    Total,
    /// What each example adds to the objective: losses and likelihoods.
    Example,
    /// What is counted once however many examples there are: priors.
    Priors,
    /// The run result of this number.
    Result(usize),
}

impl Target {
    /// The results whose sum it is, by their number.
    pub fn terms(self, program: &Program) -> Vec<usize> {
        let counts = |role: Role| match (role, self) {
            (Role::Loss | Role::Likelihood, Target::Total | Target::Example) => true,
            (Role::Prior, Target::Total | Target::Priors) => true,
            (Role::Loss | Role::Likelihood | Role::Prior, _) => false,
            (Role::Metric | Role::Output | Role::Plot, _) => false,
        };
        match self {
            Target::Result(number) => vec![number],
            Target::Total | Target::Example | Target::Priors => {
                (0..program.results.len()).filter(|number| counts(program.results[*number].role)).collect()
            }
        }
    }
}

/// Packs every function of `program`, whose requests for derivatives are resolved.
pub fn pack(program: &Program, layout: &Layout) -> Packed {
    let packer = Packer { program, layout };
    let n_solves = program.solves.len();
    Packed {
        constrain: scale::constrain(program),
        rates: (0..program.systems.len()).map(|system| packer.rate(system)).collect(),
        motions: (0..program.systems.len()).map(|system| packer.motion(system)).collect(),
        solves: (0..n_solves).map(|solve| packer.solve(solve)).collect(),
        post: packer.post(),
        observe: packer.observe(),
        draws: packer
            .before(0, "draws", &program.draws, |b, values| vec![("draws", packer.packed(b, values))]),
    }
}

/// `known.., p, data.. -> value, then each of its terms` of `target` alone. A run result must be a
/// scalar.
pub fn objective(program: &Program, layout: &Layout, target: Target) -> RunFunc {
    Packer { program, layout }.objective(target)
}

/// `known.., p, data.. -> each` of the results numbered in `wanted`, as reals.
pub fn results(program: &Program, layout: &Layout, wanted: &[usize]) -> RunFunc {
    let packer = Packer { program, layout };
    let mut b = Builder::new("results");
    let (reads, values) = packer.results(&mut b, wanted);
    let results = packer.named(&mut b, wanted, &values);
    RunFunc { func: b.finish(results), reads }
}

pub(super) struct Packer<'a> {
    pub program: &'a Program,
    layout: &'a Layout,
}

impl Packer<'_> {
    fn scalar(&self) -> Type {
        Type::scalar(self.program.real)
    }

    fn vector(&self, len: usize) -> Type {
        Type::new(self.program.real, &[len])
    }

    // ---- operands --------------------------------------------------------------------------

    /// Declares `p` and the data, and returns the params as separate tensors followed by the data.
    fn params_and_data(&self, b: &mut Builder) -> Vec<ValueId> {
        let packed = b.param("p", self.vector(self.layout.n_params));
        let shapes: Vec<Shape> = self.program.params.iter().map(|param| param.ty.shape.clone()).collect();
        let mut values = b.unpack(packed, &shapes);
        values.extend(self.data(b));
        values
    }

    /// Declares `q` and the data, and returns all params, with zeros for those that the motion of
    /// `system` does not read, followed by the data.
    fn read_params_and_data(&self, b: &mut Builder, system: usize) -> Vec<ValueId> {
        let layout = &self.layout.systems[system];
        let packed = b.param("q", self.vector(layout.n_params()));
        let types = || self.program.params.iter().map(|param| &param.ty);
        let shapes: Vec<Shape> =
            types().enumerate().filter(|(n, _)| layout.reads(*n)).map(|(_, ty)| ty.shape.clone()).collect();
        let mut read = b.unpack(packed, &shapes).into_iter();
        let mut values = Vec::new();
        for (number, ty) in types().enumerate() {
            values.push(match layout.reads(number) {
                true => read.next().expect("as many parts as params that are read"),
                false => b.splat(0.0, ty.clone()),
            });
        }
        values.extend(self.data(b));
        values
    }

    fn data(&self, b: &mut Builder) -> Vec<ValueId> {
        self.program.data.iter().map(|port| b.param(port.path.clone(), port.ty.clone())).collect()
    }

    /// Declares `y` and returns states, modes and channels as separate tensors.
    fn unknowns(&self, b: &mut Builder, system: usize) -> Vec<ValueId> {
        let packed = b.param("y", self.vector(self.layout.systems[system].n));
        let types: Vec<Type> =
            unknowns(&self.program.systems[system]).map(|unknown| unknown.ty.clone()).collect();
        unpacked(b, packed, &types)
    }

    /// The known values of the solves `0..n_solves`: those in `reads` are declared, each with every
    /// site taken apart into its unknowns, the others are zeros.
    fn known(&self, b: &mut Builder, n_solves: usize, reads: &[usize]) -> Vec<ValueId> {
        let mut values = Vec::new();
        for solve in 0..n_solves {
            let read = reads.contains(&solve);
            let enter = |b: &mut Builder, name: String, ty: Type| match read {
                true => b.param(self.of_solve(name, solve), ty),
                false => b.splat(0.0, ty),
            };
            values.push(enter(b, "t0".into(), self.scalar()));
            values.push(enter(b, "t1".into(), self.scalar()));
            let system = self.program.system_of(solve);
            let sites = &self.program.solves[solve].sites;
            for (number, (site, rows)) in sites.iter().zip(&self.layout.solves[solve].site_rows).enumerate() {
                let ty = Type::new(self.program.real, &[*rows, self.layout.system_of(solve).n]);
                let matrix = enter(b, format!("site{number}"), ty);
                values.extend(site_unknowns(b, system, site, *rows, matrix));
            }
        }
        values
    }

    /// `t0` in a program of one solve, `t0.2` in one of several.
    fn of_solve(&self, name: String, solve: usize) -> String {
        if self.program.solves.len() == 1 { name } else { format!("{name}.{solve}") }
    }

    /// Which of the solves `0..n_solves` the given results of `func` read; their known values stand
    /// from parameter `first` on.
    fn solves_read(&self, func: &Func, first: usize, n_solves: usize, results: &[usize]) -> Vec<usize> {
        let read = func.reads(results.iter().copied());
        let mut at = first;
        let mut solves = Vec::new();
        for solve in 0..n_solves {
            let system = self.program.system_of(solve);
            let n_unknowns = system.states.len() + system.channels.len();
            let n_known = 2 + self.program.solves[solve].sites.len() * n_unknowns;
            if read[at..at + n_known].iter().any(|read| *read) {
                solves.push(solve);
            }
            at += n_known;
        }
        solves
    }

    // ---- functions -------------------------------------------------------------------------

    fn rate(&self, system: usize) -> Func {
        let mut b = Builder::new("rate");
        let args = self.now(&mut b, system);
        let rates = b.inline(&self.program.systems[system].field, &args);
        let dy = self.packed(&mut b, &rates);
        b.finish(vec![("dy".into(), dy)])
    }

    /// Declares `t, inside, y, a, q, data..`, and returns what functions of *now* take.
    pub(super) fn now(&self, b: &mut Builder, system: usize) -> Vec<ValueId> {
        let mut args = vec![b.param("t", self.scalar()), b.param("inside", self.scalar())];
        args.extend(self.unknowns(b, system));
        args.extend(self.fixed(b, system));
        args
    }

    /// Declares `a, q, data..`, and returns args, params and data.
    pub(super) fn fixed(&self, b: &mut Builder, system: usize) -> Vec<ValueId> {
        let packed = b.param("a", self.vector(self.layout.systems[system].n_args));
        let mut args = unpacked(b, packed, &self.program.systems[system].args);
        args.extend(self.read_params_and_data(b, system));
        args
    }

    fn solve(&self, number: usize) -> PackedSolve {
        let solve = &self.program.solves[number];
        let start = self.before(number, "start", &solve.start, |b, values| {
            let (times, rest) = values.split_at(2);
            let of = self.program.system_of(number);
            let (unknowns, args) = rest.split_at(of.states.len() + of.channels.len());
            let (states, channels) = unknowns.split_at(of.states.len());
            let modes = of.modes.iter().map(|mode| b.splat(0.0, mode.ty.clone()));
            let modes: Vec<ValueId> = modes.collect();
            let (y0, a) = (self.packed(b, &[states, &modes, channels].concat()), self.packed(b, args));
            vec![("t0", times[0]), ("t1", times[1]), ("y0", y0), ("a", a)]
        });
        let times =
            self.before(number, "times", &solve.times, |b, values| vec![("times", self.packed(b, values))]);
        let stops =
            self.before(number, "stops", &solve.stops, |b, values| vec![("stops", self.packed(b, values))]);
        PackedSolve { start, times, stops }
    }

    /// A function of the solves before `number`, with its results as `results` arranges them.
    fn before(
        &self,
        number: usize,
        name: &str,
        func: &Func,
        results: impl Fn(&mut Builder, &[ValueId]) -> Vec<(&'static str, ValueId)>,
    ) -> RunFunc {
        let all: Vec<usize> = (0..func.results.len()).collect();
        let reads = self.solves_read(func, 0, number, &all);
        let mut b = Builder::new(name);
        let mut args = self.known(&mut b, number, &reads);
        args.extend(self.params_and_data(&mut b));
        let values = b.inline(func, &args);
        let results = results(&mut b, &values);
        let func = b.finish(results.into_iter().map(|(name, value)| (name.into(), value)).collect());
        RunFunc { func, reads }
    }

    /// The body of `post` for the results in `wanted`: the value of every result, of which those not
    /// wanted must not be used.
    fn results(&self, b: &mut Builder, wanted: &[usize]) -> (Vec<usize>, Vec<ValueId>) {
        let n_solves = self.program.solves.len();
        let reads = self.solves_read(&self.program.post, 0, n_solves, wanted);
        let mut args = self.known(b, n_solves, &reads);
        args.extend(self.params_and_data(b));
        (reads, b.inline(&self.program.post, &args))
    }

    /// The sum of the terms of `target`, of the values of all results.
    fn sum(&self, b: &mut Builder, target: Target, values: &[ValueId]) -> ValueId {
        match target {
            Target::Result(number) => values[number],
            Target::Total | Target::Example | Target::Priors => {
                let zero = b.splat(0.0, self.scalar());
                target.terms(self.program).iter().fold(zero, |sum, number| b.add(sum, values[*number]))
            }
        }
    }

    fn post(&self) -> RunFunc {
        let mut b = Builder::new("post");
        let all: Vec<usize> = (0..self.program.results.len()).collect();
        let (reads, values) = self.results(&mut b, &all);
        let total = self.sum(&mut b, Target::Total, &values);
        let mut results = vec![("total".into(), total)];
        results.extend(self.named(&mut b, &all, &values));
        RunFunc { func: b.finish(results), reads }
    }

    fn objective(&self, target: Target) -> RunFunc {
        let mut b = Builder::new("objective");
        let terms = target.terms(self.program);
        let (reads, values) = self.results(&mut b, &terms);
        let value = self.sum(&mut b, target, &values);
        let mut results = vec![("value".into(), value)];
        results.extend(self.named(&mut b, &terms, &values));
        RunFunc { func: b.finish(results), reads }
    }

    /// The results numbered in `numbers`, as reals.
    fn named(&self, b: &mut Builder, numbers: &[usize], values: &[ValueId]) -> Vec<(Arc<str>, ValueId)> {
        let name = |number: usize| format!("{number} {}", self.program.results[number].name).into();
        let real = self.program.real;
        numbers.iter().map(|number| (name(*number), converted(b, values[*number], real))).collect()
    }

    fn observe(&self) -> RunFunc {
        let mut b = Builder::new("observe");
        let Some(main) = self.program.main else {
            let curves = b.splat(0.0, self.vector(0));
            return RunFunc { func: b.finish(vec![("curves".into(), curves)]), reads: Vec::new() };
        };
        let mut args = vec![b.param("t", self.scalar())];
        let system = self.program.system_of(main);
        let mut unknowns = self.unknowns(&mut b, self.program.solves[main].system);
        unknowns.drain(system.states.len()..system.states.len() + system.modes.len());
        args.extend(unknowns);
        let func = &self.program.observe;
        let all: Vec<usize> = (0..func.results.len()).collect();
        let reads = self.solves_read(func, args.len(), self.program.solves.len(), &all);
        args.extend(self.known(&mut b, self.program.solves.len(), &reads));
        args.extend(self.params_and_data(&mut b));
        let curves = b.inline(func, &args);
        let packed = self.packed(&mut b, &curves);
        RunFunc { func: b.finish(vec![("curves".into(), packed)]), reads }
    }

    /// All entries in one vector of reals.
    pub(super) fn packed(&self, b: &mut Builder, values: &[ValueId]) -> ValueId {
        let reals: Vec<ValueId> =
            values.iter().map(|value| converted(b, *value, self.program.real)).collect();
        b.pack(&reals, self.program.real)
    }
}

/// States and channels of `system` at a site, each `[T, ..]` for a vector of times.
fn site_unknowns(
    b: &mut Builder,
    system: &System,
    site: &Site,
    rows: usize,
    matrix: ValueId,
) -> Vec<ValueId> {
    let mut at = 0;
    let mut values = Vec::new();
    let modes = system.states.len()..system.states.len() + system.modes.len();
    for (number, Type { dtype, shape }) in unknowns(system).map(|unknown| &unknown.ty).enumerate() {
        if modes.contains(&number) {
            at += shape.count();
            continue;
        }
        let columns = (at as u32, (at + shape.count()) as u32);
        let part = b.slice(matrix, &[(0, rows as u32), columns]);
        let mut dims: Vec<usize> = site.count.into_iter().collect();
        dims.extend(shape.dims());
        let part = b.reshape(part, Shape::new(&dims));
        values.push(converted(b, part, *dtype));
        at += shape.count();
    }
    values
}

/// The parts of a packed vector of reals, in these types.
fn unpacked(b: &mut Builder, packed: ValueId, types: &[Type]) -> Vec<ValueId> {
    let shapes: Vec<Shape> = types.iter().map(|ty| ty.shape.clone()).collect();
    let parts = b.unpack(packed, &shapes);
    parts.into_iter().zip(types).map(|(part, ty)| converted(b, part, ty.dtype)).collect()
}

fn converted(b: &mut Builder, value: ValueId, dtype: DType) -> ValueId {
    if b.ty(value).dtype == dtype { value } else { b.must(Op::Convert, &[value], Attr::To(dtype)) }
}
