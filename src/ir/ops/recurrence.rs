//! Ops whose Taylor coefficients follow from one another by a sum of products, which costs less than the
//! series of their partials: a row each in the table of Griewank and Walther, Evaluating Derivatives, 2008,
//! table 13.2.

use crate::ir::builder::Builder;
use crate::ir::func::ValueId;
use crate::ir::op::Op;
use crate::ir::ops::arith::exponent;

/// What a value `y` is of others, so that its coefficients follow from theirs and from its own of lower order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recurrence {
    /// `y = x z`
    Product(ValueId, ValueId),
    /// `y = x / z`; a numerator that does not move may be left out.
    Quotient(Option<ValueId>, ValueId),
    /// `y² = x`
    Root(ValueId),
    /// `y = x^p`, so that `x y' = p y x'`.
    Power(ValueId, f64),
}

/// The recurrence for coefficient `k ≥ 1` of `value`, if its op has one. Where `x = 0`, all of `x^n` exist, and
/// so do those of `x^p` up to `k = p` and, though infinite, the first; but the recurrence of a power divides
/// by `x`: these are left to products and to partials.
pub fn recurrence(b: &mut Builder, value: ValueId, k: usize) -> Option<Recurrence> {
    let node = b.node(value);
    let (op, x, z) = (node.op, node.args.first().copied()?, node.args.get(1).copied());
    match (op, z) {
        (Op::Mul, Some(z)) => Some(Recurrence::Product(x, z)),
        (Op::Div, Some(z)) => Some(Recurrence::Quotient(Some(x), z)),
        (Op::Sqrt, _) => Some(Recurrence::Root(x)),
        (Op::Pow, Some(p)) => {
            let p = b.as_splat(p)?;
            let exists = p > 0.0 && (k as f64 <= p || k == 1);
            (p.is_finite() && !exists).then_some(Recurrence::Power(x, p))
        }
        (Op::PowInt, _) => match exponent(&node.attr) {
            0 | 1 | i32::MIN => None,
            n @ 2.. => {
                let half = b.pow_int(x, n / 2);
                let other = if n % 2 == 0 { half } else { b.pow_int(x, n / 2 + 1) };
                Some(Recurrence::Product(half, other))
            }
            n => {
                let power = b.pow_int(x, -n);
                Some(Recurrence::Quotient(None, power))
            }
        },
        _ => None,
    }
}
