//! A whole step of the Taylor method as one function: the series, the choice of the step, its end and its
//! error, by the usual norm.
//!
//! What [`Taylor`](crate::solve::taylor::Taylor) does of any norm with two calls and what stands between
//! them. The norm alone decides which way a run goes, so that it has the same bits whatever else is asked.

use crate::ad;
use crate::ir::builder::Builder;
use crate::ir::func::{Func, ValueId};
use crate::ir::op::Op;
use crate::ir::types::{Shape, Type};
use crate::opt;
use crate::plan::kernels::rate;
use crate::plan::motion::ended;
use crate::plan::unit::PlanError;
use crate::solve::taylor::{Goal, Takeoff, radius_factor};

/// A step of the Taylor method of this order for `rate: t, inside, y: [n], rest.. -> dy: [n]`, of whose
/// components the first `n_counted` count:
///
/// `takeoff: [5], y: [n], goal: [3 + n], rest.. -> x: [order * n], y_new: [n], err: [n], chosen: [3]`
///
/// `takeoff` is a [`Takeoff`] and `goal` a [`Goal`]; `chosen` is a [`Chosen`](crate::solve::taylor::Chosen), `x` the series as of
/// [`series`](super::motion::series), `y_new` and `err` as of [`finish`](super::motion::finish). With the
/// means `m_k` of the squares of `x_k/(atol + rtol |y|)` the step wished for is
/// `2^(min(-log₂(m_p)/(2 p), -log₂(m_(p-1))/(2 (p - 1))) - 0.7 log₂(e)/(p - 1))`: see
/// [`radius_factor`].
pub(crate) fn leap(rate_func: &Func, order: usize, n_counted: usize) -> Result<Func, PlanError> {
    let mut b = Builder::new("leap");
    let state = rate_func.ty(rate_func.params[rate::Y].value).clone();
    let (n, dtype) = (state.shape.dims()[0], state.dtype);
    let vector = |len: usize| Type { shape: Shape::new(&[len]), dtype };
    let takeoff = b.param("takeoff", vector(Takeoff::LEN));
    let y = b.param("y", state);
    let goal = b.param("goal", vector(Goal::PACE + n));
    let rest = rate_func.params[rate::A..].iter();
    let rest: Vec<ValueId> =
        rest.map(|port| b.param(port.name.clone(), rate_func.ty(port.value).clone())).collect();
    let [t, inside, ahead, most, least] = entries(&mut b, takeoff);
    let [rtol, stretch, shared] = entries(&mut b, goal);

    let atol = b.part(goal, Goal::PACE, Goal::PACE + n_counted);
    let norm = Mean { rtol, atol, n_counted };
    let start = norm.part(&mut b, y);
    let start = b.unary(Op::Abs, start);
    // Quotients take long: these are there when the series is.
    let weights = norm.weights(&mut b, start);
    let slope = b.inline(rate_func, &[&[t, inside, y], rest.as_slice()].concat())[0];
    let one = b.splat_like(1.0, t);
    let coefficients = ad::taylor(&mut b, &[(y, slope), (t, one)], &[y], order)?;
    let terms = &coefficients[0][1..];

    let mut exponent = |k: usize| {
        let mean = norm.of(&mut b, terms[k - 1], weights);
        let log = b.unary(Op::QuickLog2, mean);
        b.scale(-0.5 / k as f64, log)
    };
    let [last, before] = [exponent(order), exponent(order - 1)];
    let least_exponent = b.binary(Op::Min, last, before);
    let safety = b.splat_like(libm::log2(radius_factor(order)), least_exponent);
    let safe = b.add(least_exponent, safety);
    let radius = b.unary(Op::QuickExp2, safe);

    // What is not a number says nothing: begin small. It is not less than anything.
    let is_less = b.binary(Op::Lt, most, radius);
    let size = b.select(is_less, most, radius);
    let is_less = b.binary(Op::Lt, least, size);
    let size = b.select(is_less, size, least);
    // The step that `Landing::fitted` makes of it.
    let left = b.unary(Op::Abs, ahead);
    let reach = b.mul(size, shared);
    let shares = b.binary(Op::Lt, left, reach);
    let half = b.scale(0.5, left);
    let tried = b.select(shares, half, size);
    let zero = b.zeros_like(ahead);
    let is_back = b.binary(Op::Lt, ahead, zero);
    let back = b.neg(tried);
    let along = b.select(is_back, back, tried);
    let reach = b.mul(size, stretch);
    let lands = b.binary(Op::Le, left, reach);
    let h = b.select(lands, ahead, along);

    let [y_new, err] = ended(&mut b, rate_func, [t, h, y], terms, &rest);
    let end = norm.part(&mut b, y_new);
    let end = b.unary(Op::Abs, end);
    let largest = b.binary(Op::Max, start, end);
    let weights = norm.weights(&mut b, largest);
    let mean = norm.of(&mut b, err, weights);
    let chosen = b.pack(&[h, size, mean], dtype);
    let series = b.pack(terms, dtype);
    let results = [("x", series), ("y_new", y_new), ("err", err), ("chosen", chosen)];
    Ok(opt::optimise(b.finish(results.map(|(name, value)| (name.into(), value)).to_vec())))
}

/// The first entries of a vector.
fn entries<const N: usize>(b: &mut Builder, vector: ValueId) -> [ValueId; N] {
    std::array::from_fn(|at| {
        let entry = b.part(vector, at, at + 1);
        b.reshape(entry, Shape::new(&[]))
    })
}

/// The mean of the squares of the components that count, in units of their tolerances.
struct Mean {
    rtol: ValueId,
    /// `[n_counted]`
    atol: ValueId,
    n_counted: usize,
}

impl Mean {
    /// The components of a state that count.
    fn part(&self, b: &mut Builder, y: ValueId) -> ValueId {
        b.part(y, 0, self.n_counted)
    }

    /// One over `atol + rtol size`, and a number where that is zero: no error is none there too.
    fn weights(&self, b: &mut Builder, size: ValueId) -> ValueId {
        let relative = b.mul(self.rtol, size);
        let tolerance = b.add(self.atol, relative);
        let smallest = b.splat_like(f64::MIN_POSITIVE, tolerance);
        let tolerance = b.binary(Op::Max, tolerance, smallest);
        let one = b.splat_like(1.0, tolerance);
        b.div(one, tolerance)
    }

    /// The mean of `(v weights)²`.
    fn of(&self, b: &mut Builder, v: ValueId, weights: ValueId) -> ValueId {
        let v = self.part(b, v);
        let ratios = b.mul(v, weights);
        let sum = b.dot(ratios, ratios);
        b.scale(1.0 / self.n_counted as f64, sum)
    }
}
