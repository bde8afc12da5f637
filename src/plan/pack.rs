//! The functions of a [`Program`] in packed form.
//!
//! A solver sees one state vector, an optimiser one parameter vector; the language sees many
//! tensors. [`Packed`] holds the system's functions with all states and channels in one vector
//! `y: [n]`, all params in one vector `p: [P]`, and one `[m, n]` matrix for each evaluation site.
//! What a function does not need is still among its operands, so that every role has one fixed
//! calling convention. The packing is slices and reshapes, which lowering turns into addresses.

use crate::ir::builder::Builder;
use crate::ir::func::{Func, ValueId};
use crate::ir::op::Op;
use crate::ir::program::{Constraint, Program, Role};
use crate::ir::system::{Site, Solve, System};
use crate::ir::types::{DType, Shape, Type};
use crate::plan::compiled::the_solve;

/// A system's functions over packed vectors. `n` is the length of the state vector (states, then
/// channels), `P` that of the parameter vector.
#[derive(Clone, Debug)]
pub struct Packed {
    /// `u: [P] -> p: [P]`: free space to declared scale.
    pub constrain: Func,
    /// `p, data.. -> t0, t1, y0: [n]`
    pub start: Func,
    /// `t, y, p, data.. -> dy: [n]`
    pub rate: Func,
    /// `p, data.. -> times: [M]`, the sites of kind `Times` one after the other.
    pub times: Func,
    /// `t0, t1, site: [m, n].., p, data.. -> total, then each result`; see [`Target::Total`].
    pub post: Func,
    /// `t, y, t0, t1, site.., p, data.. -> curves: [C]`, all curves flattened.
    pub observe: Func,
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

/// Lengths of the packed vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Entries of the states.
    pub n_states: usize,
    /// Entries of states and channels.
    pub n: usize,
    /// Entries of the params.
    pub n_params: usize,
    /// Rows of each site: 1 for a single time.
    pub site_rows: Vec<usize>,
    /// Entries of the curves.
    pub n_curves: usize,
}

impl Layout {
    /// The lengths for `program`.
    pub fn of(program: &Program) -> Layout {
        let solve = the_solve(program);
        let system = &program.systems[solve.system];
        let count = |types: &mut dyn Iterator<Item = &Type>| types.map(|ty| ty.shape.count()).sum();
        let n_states = count(&mut system.states.iter().map(|state| &state.ty));
        let n_channels: usize = count(&mut system.channels.iter().map(|channel| &channel.ty));
        Layout {
            n_states,
            n: n_states + n_channels,
            n_params: count(&mut program.params.iter().map(|param| &param.ty)),
            site_rows: solve.sites.iter().map(|site| site.count.unwrap_or(1)).collect(),
            n_curves: count(&mut program.curves.iter().map(|curve| &curve.ty)),
        }
    }
}

/// Packs every function of `program`.
pub fn pack(program: &Program) -> Packed {
    let layout = Layout::of(program);
    let packer = Packer::new(program, &layout);
    Packed {
        constrain: packer.constrain(),
        start: packer.start(),
        rate: packer.rate(),
        times: packer.times(),
        post: packer.post(),
        observe: packer.observe(),
    }
}

/// `t0, t1, site: [m, n].., p, data.. -> value` of `target` alone. A run result must be a scalar.
pub fn objective(program: &Program, target: Target) -> Func {
    Packer::new(program, &Layout::of(program)).objective(target)
}

struct Packer<'a> {
    program: &'a Program,
    system: &'a System,
    solve: &'a Solve,
    layout: &'a Layout,
}

impl<'a> Packer<'a> {
    fn new(program: &'a Program, layout: &'a Layout) -> Packer<'a> {
        let solve = the_solve(program);
        Packer { program, system: &program.systems[solve.system], solve, layout }
    }

    fn scalar(&self) -> Type {
        Type::scalar(self.program.real)
    }

    fn vector(&self, len: usize) -> Type {
        Type::new(self.program.real, &[len])
    }

    /// Declares `p` and the data, and returns the params as separate tensors followed by the data.
    fn params_and_data(&self, b: &mut Builder) -> Vec<ValueId> {
        let packed = b.param("p", self.vector(self.layout.n_params));
        let shapes: Vec<Shape> = self.program.params.iter().map(|param| param.ty.shape.clone()).collect();
        let mut values = b.unpack(packed, &shapes);
        for port in &self.program.data {
            values.push(b.param(port.path.clone(), port.ty.clone()));
        }
        values
    }

    /// Declares `y` and returns states and channels as separate tensors.
    fn unknowns(&self, b: &mut Builder) -> Vec<ValueId> {
        let packed = b.param("y", self.vector(self.layout.n));
        let shapes: Vec<Shape> = self.unknown_shapes().collect();
        b.unpack(packed, &shapes)
    }

    fn unknown_shapes(&self) -> impl Iterator<Item = Shape> {
        let unknowns = self.system.states.iter().chain(&self.system.channels);
        unknowns.map(|unknown| unknown.ty.shape.clone())
    }

    /// Declares `t0`, `t1` and the sites, and returns them with every site taken apart into its
    /// unknowns.
    fn run_values(&self, b: &mut Builder) -> Vec<ValueId> {
        let mut values = vec![b.param("t0", self.scalar()), b.param("t1", self.scalar())];
        for (number, (site, rows)) in self.solve.sites.iter().zip(&self.layout.site_rows).enumerate() {
            let ty = Type::new(self.program.real, &[*rows, self.layout.n]);
            let matrix = b.param(format!("site{number}"), ty);
            values.extend(self.site_unknowns(b, site, *rows, matrix));
        }
        values
    }

    fn site_unknowns(&self, b: &mut Builder, site: &Site, rows: usize, matrix: ValueId) -> Vec<ValueId> {
        let mut at = 0;
        let mut values = Vec::new();
        for shape in self.unknown_shapes() {
            let columns = (at as u32, (at + shape.count()) as u32);
            let part = b.slice(matrix, &[(0, rows as u32), columns]);
            let mut dims: Vec<usize> = site.count.into_iter().collect();
            dims.extend(shape.dims());
            values.push(b.reshape(part, Shape::new(&dims)));
            at += shape.count();
        }
        values
    }

    fn constrain(&self) -> Func {
        let mut b = Builder::new("constrain");
        let free = b.param("u", self.vector(self.layout.n_params));
        let shapes: Vec<Shape> = self.program.params.iter().map(|param| param.ty.shape.clone()).collect();
        let parts = b.unpack(free, &shapes);
        let declared: Vec<ValueId> = self
            .program
            .params
            .iter()
            .zip(parts)
            .map(|(param, u)| constrained(&mut b, param.constraint, u))
            .collect();
        let p = b.pack(&declared, self.program.real);
        b.finish(vec![("p".into(), p)])
    }

    fn start(&self) -> Func {
        let mut b = Builder::new("start");
        let args = self.params_and_data(&mut b);
        let values = b.inline(&self.solve.start, &args);
        let (times, states) = values.split_at(2);
        let y0 = b.pack(states, self.program.real);
        b.finish(vec![("t0".into(), times[0]), ("t1".into(), times[1]), ("y0".into(), y0)])
    }

    fn rate(&self) -> Func {
        let mut b = Builder::new("rate");
        let t = b.param("t", self.scalar());
        let mut args = vec![t, t];
        args.extend(self.unknowns(&mut b));
        args.extend(self.params_and_data(&mut b));
        let rates = b.inline(&self.system.field, &args);
        let dy = b.pack(&rates, self.program.real);
        b.finish(vec![("dy".into(), dy)])
    }

    fn times(&self) -> Func {
        let mut b = Builder::new("times");
        let args = self.params_and_data(&mut b);
        let times = b.inline(&self.solve.times, &args);
        let packed = b.pack(&times, self.program.real);
        b.finish(vec![("times".into(), packed)])
    }

    /// The body of `post`: the total and each result.
    fn results(&self, b: &mut Builder) -> (ValueId, Vec<ValueId>) {
        let mut args = self.run_values(b);
        args.extend(self.params_and_data(b));
        let values = b.inline(&self.program.post, &args);
        let mut total = b.splat(0.0, self.scalar());
        for (result, value) in self.program.results.iter().zip(&values) {
            match result.role {
                Role::Loss | Role::Likelihood | Role::Prior => total = b.add(total, *value),
                Role::Metric | Role::Output | Role::Plot => {}
            }
        }
        (total, values)
    }

    /// The sum of the results that have a role that counts.
    fn sum(&self, b: &mut Builder, values: &[ValueId], counts: impl Fn(Role) -> bool) -> ValueId {
        let zero = b.splat(0.0, self.scalar());
        let chosen = self.program.results.iter().zip(values).filter(|(result, _)| counts(result.role));
        chosen.fold(zero, |sum, (_, value)| b.add(sum, *value))
    }

    fn post(&self) -> Func {
        let mut b = Builder::new("post");
        let (total, values) = self.results(&mut b);
        let named = self.program.results.iter().zip(values).enumerate();
        let mut results = vec![("total".into(), total)];
        results.extend(named.map(|(i, (result, value))| (format!("{i} {}", result.name).into(), value)));
        b.finish(results)
    }

    fn objective(&self, target: Target) -> Func {
        let mut b = Builder::new("objective");
        let (total, values) = self.results(&mut b);
        let value = match target {
            Target::Total => total,
            Target::Example => {
                self.sum(&mut b, &values, |role| matches!(role, Role::Loss | Role::Likelihood))
            }
            Target::Priors => self.sum(&mut b, &values, |role| role == Role::Prior),
            Target::Result(number) => values[number],
        };
        b.finish(vec![("value".into(), value)])
    }

    fn observe(&self) -> Func {
        let mut b = Builder::new("observe");
        let mut args = vec![b.param("t", self.scalar())];
        args.extend(self.unknowns(&mut b));
        args.extend(self.run_values(&mut b));
        args.extend(self.params_and_data(&mut b));
        let curves = b.inline(&self.program.observe, &args);
        let real = self.program.real;
        let curves: Vec<ValueId> = curves.into_iter().map(|curve| as_real(&mut b, curve, real)).collect();
        let packed = b.pack(&curves, real);
        b.finish(vec![("curves".into(), packed)])
    }
}

/// The bijection from free space to `constraint`.
fn constrained(b: &mut Builder, constraint: Constraint, u: ValueId) -> ValueId {
    match constraint {
        Constraint::Free => u,
        Constraint::Positive => b.unary(Op::Exp, u),
        Constraint::Interval(lo, hi) => {
            let unit = b.unary(Op::Sigmoid, u);
            let spread = b.scale(hi - lo, unit);
            let base = b.splat_like(lo, spread);
            b.add(base, spread)
        }
    }
}

/// The free coordinate of a value on the declared scale: the inverse of [`Packed::constrain`].
/// `None` if the value does not lie inside the set.
pub fn unconstrained(constraint: Constraint, value: f64) -> Option<f64> {
    let free = match constraint {
        Constraint::Free => value,
        Constraint::Positive => libm::log(value),
        Constraint::Interval(lo, hi) => libm::log(value - lo) - libm::log(hi - value),
    };
    free.is_finite().then_some(free)
}

fn as_real(b: &mut Builder, value: ValueId, real: DType) -> ValueId {
    if b.ty(value).dtype == real {
        return value;
    }
    b.must(Op::Convert, &[value], crate::ir::func::Attr::To(real))
}
