//! The functions of a motion beside its rate: mass matrix, series, events.

use crate::ad;
use crate::backend::Backend;
use crate::ir::builder::Builder;
use crate::ir::func::{Func, ValueId};
use crate::ir::system::Trigger;
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

/// Declares the operands of `func` again.
pub(super) fn operands(b: &mut Builder, func: &Func) -> Vec<ValueId> {
    func.params.iter().map(|port| b.param(port.name.clone(), func.ty(port.value).clone())).collect()
}
