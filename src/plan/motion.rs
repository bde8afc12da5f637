//! The functions of a motion beside its rate: mass matrix, series and what ends a step along it, events.

use crate::ad;
use crate::backend::Backend;
use crate::ir::builder::Builder;
use crate::ir::func::{Func, ValueId};
use crate::ir::system::Trigger;
use crate::ir::types::{Shape, Type};
use crate::opt;
use crate::plan::kernels::rate;
use crate::plan::pack::Packer;
use crate::plan::unit::{Kernel, PlanError, compile};

/// The functions of a motion beside its rate, packed.
#[derive(Clone, Debug)]
pub struct PackedMotion {
    /// `t, inside, y, a, q, data.. -> M: [n_states * n_states]`
    pub mass: Option<Func>,
    /// `t, inside, y, a, q, data.. -> g: [n_states * m]`, over all noises.
    pub diffusion: Option<Func>,
    /// `t, inside, y, a, q, data.. -> r: [R]`, the roots of all conditions one after another.
    pub roots: Option<Func>,
    /// `t, inside, y, a, q, data.. -> y_new: [n]`, by event.
    pub jumps: Vec<Func>,
    /// `a, q, data.. -> times`, by event; `None` for a condition.
    pub times: Vec<Option<Func>>,
}

/// Compiled.
pub(crate) struct MotionKernels {
    pub mass: Option<Kernel>,
    pub roots: Option<Kernel>,
    pub jumps: Vec<Kernel>,
    pub times: Vec<Option<Kernel>>,
}

impl Packer<'_> {
    pub(super) fn motion(&self, system: usize) -> PackedMotion {
        let of = &self.program.systems[system];
        let conditions: Vec<&Func> = of.events.iter().filter_map(|event| event.trigger.roots()).collect();
        PackedMotion {
            mass: of.mass.as_ref().map(|mass| self.of_now(system, "mass", &[mass])),
            diffusion: of.diffusion.as_ref().map(|g| self.of_now(system, "diffusion", &[g])),
            roots: (!conditions.is_empty()).then(|| self.of_now(system, "roots", &conditions)),
            jumps: of.events.iter().map(|event| self.jump(system, &event.jump)).collect(),
            times: of.events.iter().map(|event| self.times(system, &event.trigger)).collect(),
        }
    }

    /// All results of `funcs` in one vector.
    fn of_now(&self, system: usize, name: &str, funcs: &[&Func]) -> Func {
        let mut b = Builder::new(name);
        let args = self.now(&mut b, system);
        let values: Vec<ValueId> = funcs.iter().flat_map(|func| b.inline(func, &args)).collect();
        let packed = self.packed(&mut b, &values);
        b.finish(vec![(name.into(), packed)])
    }

    /// States and modes after, and the channels, which keep their values.
    fn jump(&self, system: usize, func: &Func) -> Func {
        let of = &self.program.systems[system];
        let mut b = Builder::new("jump");
        let args = self.now(&mut b, system);
        let mut values = b.inline(func, &args);
        let n_channels = of.channels.len();
        values.extend(&args[of.n_before_args() - n_channels..][..n_channels]);
        let packed = self.packed(&mut b, &values);
        b.finish(vec![("y_new".into(), packed)])
    }

    fn times(&self, system: usize, trigger: &Trigger) -> Option<Func> {
        let func = trigger.clock()?;
        let mut b = Builder::new("event_times");
        let args = self.fixed(&mut b, system);
        let values = b.inline(func, &args);
        let packed = self.packed(&mut b, &values);
        Some(b.finish(vec![("times".into(), packed)]))
    }
}

impl PackedMotion {
    /// With every function optimised.
    pub(crate) fn optimised(self) -> PackedMotion {
        PackedMotion {
            mass: self.mass.map(opt::optimise),
            diffusion: self.diffusion.map(opt::optimise),
            roots: self.roots.map(opt::optimise),
            jumps: self.jumps.into_iter().map(opt::optimise).collect(),
            times: self.times.into_iter().map(|times| times.map(opt::optimise)).collect(),
        }
    }

    pub(crate) fn compile(&self, backend: &dyn Backend) -> Result<MotionKernels, PlanError> {
        let one = |func: &Func| compile([func], backend).map(|[kernel]| kernel);
        let optional = |func: &Option<Func>| func.as_ref().map(one).transpose();
        Ok(MotionKernels {
            mass: optional(&self.mass)?,
            roots: optional(&self.roots)?,
            jumps: self.jumps.iter().map(one).collect::<Result<_, _>>()?,
            times: self.times.iter().map(optional).collect::<Result<_, _>>()?,
        })
    }
}

/// `t, inside, y, a, q, data.. -> x: [order * n]` with the coefficients `x_1, x_2, ..` of the solution
/// `y + Σ x_k τ^k` through `(t, y)` of the equation that `rate` is the right-hand side of.
pub(crate) fn series(rate_func: &Func, order: usize) -> Result<Func, PlanError> {
    let mut b = Builder::new("series");
    let args = operands(&mut b, rate_func);
    let slope = b.inline(rate_func, &args)[0];
    let (t, y) = (args[0], args[rate::Y]);
    let one = b.splat(1.0, rate_func.ty(rate_func.params[0].value).clone());
    let coefficients = ad::taylor(&mut b, &[(y, slope), (t, one)], &[y], order)?;
    let dtype = rate_func.ty(rate_func.params[rate::Y].value).dtype;
    let flat = b.pack(&coefficients[0][1..], dtype);
    Ok(opt::optimise(b.finish(vec![("series".into(), flat)])))
}

/// The end of a step along such a series, see [`Expand::finish`](crate::solve::Expand::finish):
///
/// `t, h, y: [n], x: [order * n], a, q, data.. -> y_new: [n], err: [n]`
///
/// Both sums by Horner's rule: `s_k = x_k + h s_{k+1}` and `d_k = s_k + h d_{k+1}`, of which
/// `y + h s_1` is the state and `d_1` the slope.
pub(crate) fn finish(rate_func: &Func, order: usize) -> Func {
    let mut b = Builder::new("finish");
    let ty = |at: usize| rate_func.ty(rate_func.params[at].value).clone();
    let (time, state) = (ty(rate::T), ty(rate::Y));
    let n = state.shape.dims()[0];
    let terms = Type { shape: Shape::new(&[order * n]), dtype: state.dtype };
    let (t, h) = (b.param("t", time.clone()), b.param("h", time));
    let (y, series) = (b.param("y", state), b.param("x", terms));
    let rest = rate_func.params[rate::A..].iter();
    let rest: Vec<ValueId> =
        rest.map(|port| b.param(port.name.clone(), rate_func.ty(port.value).clone())).collect();
    let terms: Vec<ValueId> = (0..order).map(|k| b.part(series, k * n, (k + 1) * n)).collect();
    let [y_new, err] = ended(&mut b, rate_func, [t, h, y], &terms, &rest);
    opt::optimise(b.finish(vec![("y_new".into(), y_new), ("err".into(), err)]))
}

/// State and error at the end of a step of size `h` from `(t, y)` along `y + Σ terms_k τ^k`, k from 1; `rest`
/// are the operands of the rate behind its state.
pub(super) fn ended(
    b: &mut Builder,
    rate_func: &Func,
    [t, h, y]: [ValueId; 3],
    terms: &[ValueId],
    rest: &[ValueId],
) -> [ValueId; 2] {
    let (last, before) = terms.split_last().expect("a series has terms");
    let (mut sum, mut slope) = (*last, *last);
    for term in before.iter().rev() {
        let above = b.mul(h, sum);
        sum = b.add(*term, above);
        let above = b.mul(h, slope);
        slope = b.add(sum, above);
    }
    let rise = b.mul(h, sum);
    let y_new = b.add(y, rise);
    let end = b.add(t, h);
    let half = b.scale(0.5, h);
    let inside = b.add(t, half);
    let slope_wanted = b.inline(rate_func, &[&[end, inside, y_new], rest].concat())[0];
    let short = b.sub(slope_wanted, slope);
    let share = b.scale(1.0 / (terms.len() as f64 + 1.0), h);
    [y_new, b.mul(share, short)]
}

/// Declares the operands of `func` again.
pub(super) fn operands(b: &mut Builder, func: &Func) -> Vec<ValueId> {
    func.params.iter().map(|port| b.param(port.name.clone(), func.ty(port.value).clone())).collect()
}
