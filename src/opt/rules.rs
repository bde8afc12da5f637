//! The rewrites, each with its law.
//!
//! A rule looks at one node of the builder and gives an equal value that costs less, or nothing.
//! All laws here are exact in floating point, for every operand (the sign of a zero aside). What
//! the builder does by itself stands in `ir::fold`.

use crate::ir::builder::Builder;
use crate::ir::func::{Attr, ValueId};
use crate::ir::op::Op;

/// One rewrite.
pub struct Rule {
    /// The law, as an equation.
    pub law: &'static str,
    /// A value equal to the node's, if the law applies to it.
    pub rewrite: fn(&mut Builder, ValueId) -> Option<ValueId>,
}

/// All rewrites, tried in this order.
pub const RULES: &[Rule] = &[
    Rule { law: "a + (-b) = a - b", rewrite: add_negated },
    Rule { law: "a - (-b) = a + b", rewrite: sub_negated },
    Rule { law: "(-a) * (-b) = a * b, and likewise for quotients and contractions", rewrite: both_negated },
    Rule { law: "-(a - b) = b - a", rewrite: negated_difference },
    Rule { law: "(-a) * c = a * (-c) for a constant c", rewrite: negated_times_constant },
    Rule { law: "x / 2^k = x * 2^-k", rewrite: divided_by_power_of_two },
    Rule { law: "|-x| = |x|", rewrite: absolute_of_negated },
    Rule { law: "a contraction that sums nothing and keeps every axis is a product", rewrite: plain_product },
    Rule {
        law: "a sum along an axis of what was joined along it leaves out zeros",
        rewrite: sum_without_zeros,
    },
    Rule { law: "neighbours, each with zeros around it, add to both side by side", rewrite: joined_paddings },
];

fn operand_of(b: &Builder, op: Op, x: ValueId) -> Option<ValueId> {
    let node = b.node(x);
    (node.op == op).then(|| node.args[0])
}

/// Both operands of `value` if it is a node of `op`.
fn operands_of(b: &Builder, op: Op, value: ValueId) -> Option<(ValueId, ValueId)> {
    let node = b.node(value);
    (node.op == op).then(|| (node.args[0], node.args[1]))
}

// Rounding is symmetric about zero, so a sign can move through sums and products unchanged.

fn add_negated(b: &mut Builder, value: ValueId) -> Option<ValueId> {
    let (x, y) = operands_of(b, Op::Add, value)?;
    if let Some(y) = operand_of(b, Op::Neg, y) {
        return Some(b.sub(x, y));
    }
    operand_of(b, Op::Neg, x).map(|x| b.sub(y, x))
}

fn sub_negated(b: &mut Builder, value: ValueId) -> Option<ValueId> {
    let (x, y) = operands_of(b, Op::Sub, value)?;
    operand_of(b, Op::Neg, y).map(|y| b.add(x, y))
}

fn both_negated(b: &mut Builder, value: ValueId) -> Option<ValueId> {
    let node = b.node(value);
    if !matches!(node.op, Op::Mul | Op::Div | Op::Contract) {
        return None;
    }
    let x = operand_of(b, Op::Neg, node.args[0])?;
    let y = operand_of(b, Op::Neg, node.args[1])?;
    let (op, attr) = (node.op, node.attr.clone());
    Some(b.must(op, &[x, y], attr))
}

fn negated_difference(b: &mut Builder, value: ValueId) -> Option<ValueId> {
    let difference = operand_of(b, Op::Neg, value)?;
    operands_of(b, Op::Sub, difference).map(|(x, y)| b.sub(y, x))
}

fn negated_times_constant(b: &mut Builder, value: ValueId) -> Option<ValueId> {
    let (x, y) = operands_of(b, Op::Mul, value)?;
    for (x, c) in [(x, y), (y, x)] {
        if let (Some(x), Some(c)) = (operand_of(b, Op::Neg, x), b.as_splat(c)) {
            return Some(b.scale(-c, x));
        }
    }
    None
}

fn divided_by_power_of_two(b: &mut Builder, value: ValueId) -> Option<ValueId> {
    let (x, divisor) = operands_of(b, Op::Div, value)?;
    let divisor = b.as_splat(divisor)?;
    // Exact as long as the reciprocal is a normal number of both float types.
    let mantissa = divisor.to_bits() & ((1 << 52) - 1);
    let exact = mantissa == 0 && (2f64.powi(-60)..=2f64.powi(60)).contains(&divisor.abs());
    exact.then(|| b.scale(1.0 / divisor, x))
}

fn absolute_of_negated(b: &mut Builder, value: ValueId) -> Option<ValueId> {
    let x = operand_of(b, Op::Abs, value)?;
    operand_of(b, Op::Neg, x).map(|x| b.unary(Op::Abs, x))
}

fn plain_product(b: &mut Builder, value: ValueId) -> Option<ValueId> {
    let node = b.node(value);
    match &node.attr {
        Attr::Contract(spec) if spec.lhs == spec.out && spec.rhs == spec.out => {
            let (x, y) = (node.args[0], node.args[1]);
            Some(b.mul(x, y))
        }
        _ => None,
    }
}

fn sum_without_zeros(b: &mut Builder, value: ValueId) -> Option<ValueId> {
    let joined = b.node(operand_of(b, Op::Sum, value)?);
    let (Attr::Axes(axes), Attr::Axis(axis)) = (&b.node(value).attr, &joined.attr) else { return None };
    if !axes.contains(axis) {
        return None;
    }
    let parts: Vec<ValueId> = joined.args.iter().copied().filter(|x| b.as_splat(*x) != Some(0.0)).collect();
    if parts.is_empty() || parts.len() == joined.args.len() {
        return None;
    }
    let (axes, axis) = (axes.clone(), *axis);
    let joined = b.concat(&parts, axis);
    Some(b.sum_axes(joined, &axes))
}

/// The gradient of a state that was taken apart arrives as a sum of its parts, each padded with
/// zeros; this makes it one vector. No element has two terms that are not zero, so regrouping
/// `(s + x) + y` to `s + (x + y)` is exact as well.
fn joined_paddings(b: &mut Builder, value: ValueId) -> Option<ValueId> {
    let (x, y) = operands_of(b, Op::Add, value)?;
    for (x, y) in [(x, y), (y, x)] {
        if let Some(joined) = neighbours(b, x, y) {
            return Some(joined);
        }
        if b.node(x).op == Op::Add {
            let inner = b.node(x).args.clone();
            for (rest, x) in [(inner[0], inner[1]), (inner[1], inner[0])] {
                if let Some(joined) = neighbours(b, x, y).or_else(|| neighbours(b, y, x)) {
                    return Some(b.add(rest, joined));
                }
            }
        }
    }
    None
}

/// `pad(x) + pad(y)` where `y` begins where `x` ends along one axis and both cover the same range
/// of every other axis.
fn neighbours(b: &mut Builder, x: ValueId, y: ValueId) -> Option<ValueId> {
    let part = |value: ValueId| match &b.node(value).attr {
        Attr::Pads(pads) => Some((b.node(value).args[0], pads.clone())),
        _ => None,
    };
    let ((x, mut pads), (y, next)) = (part(x)?, part(y)?);
    let differ: Vec<usize> = (0..pads.len()).filter(|axis| pads[*axis] != next[*axis]).collect();
    let [axis] = differ[..] else { return None };
    if pads[axis].0 + b.shape(x).0[axis] as u32 != next[axis].0 {
        return None;
    }
    pads[axis].1 = next[axis].1;
    let joined = b.concat(&[x, y], axis as u32);
    Some(b.must(Op::Pad, &[joined], Attr::Pads(pads)))
}
