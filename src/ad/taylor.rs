//! Taylor mode: power series.
//!
//! Normalised coefficients `x(τ) = Σ x_k τ^k`. The coefficients of all nodes are made order by
//! order. One rule for each derivative class suffices: linear ops act on each coefficient,
//! bilinear ops convolve, and an elementwise op with partial `∂` obeys
//! `k y_k = Σ_{j=1..k} j x_j ∂_{k-j}`. The partial is an ordinary node of the interned graph whose
//! own coefficients of order below `k` exist already (`sin` asks for `cos`, which asks for
//! `-sin`, which is there), so K orders cost O(K²). Quotients, roots and powers have a
//! [`Recurrence`] that costs one sum where partials cost two or more.
//!
//! A sum over pairs of orders begins with those nearest each other: what the order before has just
//! left comes last, so that a processor works on the sums of several orders at once. A long one is two,
//! of the pairs and of the same the other way round: a sum waits for each of its additions.
//!
//! Source: Griewank and Walther, Evaluating Derivatives, 2008, chapter 13, table 13.2; Jorba and
//! Zou, Experimental Mathematics 14, 2005.

use crate::ad::errors::AdError;
use crate::ad::walk::{Walk, floats, linear_image, plus, unless_zero};
use crate::base::hash::{FastMap, FastSet};
use crate::base::index::Idx;
use crate::ir::builder::Builder;
use crate::ir::func::ValueId;
use crate::ir::op::Derivative;
use crate::ir::ops::recurrence::{Recurrence, recurrence};
use std::ops::RangeInclusive;

/// The terms of a sum that is long.
const LONG: usize = 6;

/// The normalised Taylor coefficients, orders `0..=order`, of each of `outputs` along the flow
/// `dx/dτ = f`, where `flow = [(x, f), …]` and the `f` may depend on the `x`; time is a pair
/// `(t, 1)`. The `x` are independent nodes. The k-th derivative is `k!` times coefficient k.
pub fn taylor(
    b: &mut Builder,
    flow: &[(ValueId, ValueId)],
    outputs: &[ValueId],
    order: usize,
) -> Result<Vec<Vec<ValueId>>, AdError> {
    let rates: Vec<ValueId> = flow.iter().map(|(_, f)| *f).collect();
    floats(b, &rates, "a rate")?;
    let curves = flow.iter().map(|(x, f)| (*x, Curve::Flow(*f))).collect();
    coefficients(b, curves, &rates, outputs, order)
}

/// The normalised Taylor coefficients, orders `0..=order`, of each of `outputs` when each
/// independent node `x` of `inputs = [(x, [x_1, x_2, …]), …]` is the series
/// `x + x_1 τ + x_2 τ² + …`; coefficients not given are zero.
pub fn series(
    b: &mut Builder,
    inputs: &[(ValueId, Vec<ValueId>)],
    outputs: &[ValueId],
    order: usize,
) -> Result<Vec<Vec<ValueId>>, AdError> {
    let curves = inputs.iter().map(|(x, terms)| (*x, Curve::Given(terms.clone()))).collect();
    coefficients(b, curves, &[], outputs, order)
}

/// How an independent node moves.
enum Curve {
    /// With this rate.
    Flow(ValueId),
    /// As this series, from order 1 on.
    Given(Vec<ValueId>),
}

fn coefficients(
    b: &mut Builder,
    curves: FastMap<ValueId, Curve>,
    rates: &[ValueId],
    outputs: &[ValueId],
    order: usize,
) -> Result<Vec<Vec<ValueId>>, AdError> {
    floats(b, outputs, "what is differentiated")?;
    let independent: FastSet<ValueId> = curves.keys().copied().collect();
    let inputs: Vec<ValueId> = {
        let mut inputs: Vec<ValueId> = independent.iter().copied().collect();
        inputs.sort_unstable();
        inputs
    };
    floats(b, &inputs, "what it is differentiated by")?;
    // The last order of the rates is of no use to anyone.
    let last = Walk::new(b, outputs, &independent)?;
    let all = Walk::new(b, &[outputs, rates].concat(), &independent)?;

    let mut table =
        Table { curves, moving: Vec::new(), expansions: all.expansions, known: FastMap::default() };
    for k in 1..=order {
        let nodes = if k == order { &last.order } else { &all.order };
        for value in nodes {
            table.coefficient(b, *value, k);
        }
    }
    let mut rows = Vec::with_capacity(outputs.len());
    for y in outputs {
        let row = (0..=order).map(|k| {
            let coefficient = table.coefficient(b, *y, k);
            coefficient.unwrap_or_else(|| b.zeros_like(*y))
        });
        rows.push(row.collect());
    }
    Ok(rows)
}

/// Every coefficient made so far.
struct Table {
    curves: FastMap<ValueId, Curve>,
    /// For each node of the builder, whether it depends on an independent node.
    moving: Vec<bool>,
    expansions: FastMap<ValueId, ValueId>,
    known: FastMap<(ValueId, usize), Option<ValueId>>,
}

impl Table {
    /// Coefficient `k` of `value`; absent if it is zero by construction.
    fn coefficient(&mut self, b: &mut Builder, value: ValueId, k: usize) -> Option<ValueId> {
        if k == 0 {
            return unless_zero(b, value);
        }
        if !self.moves(b, value) {
            return None;
        }
        if let Some(known) = self.known.get(&(value, k)) {
            return *known;
        }
        let made = self.made(b, value, k).and_then(|c| unless_zero(b, c));
        self.known.insert((value, k), made);
        made
    }

    fn made(&mut self, b: &mut Builder, value: ValueId, k: usize) -> Option<ValueId> {
        match self.curves.get(&value) {
            Some(Curve::Given(terms)) => return terms.get(k - 1).copied(),
            // x_k = f_{k-1} / k
            Some(Curve::Flow(f)) => {
                let f = *f;
                let rate = self.coefficient(b, f, k - 1)?;
                return Some(b.scale(1.0 / k as f64, rate));
            }
            None => {}
        }
        if let Some(rule) = recurrence(b, value, k) {
            return self.recurred(b, value, k, rule);
        }
        let node = b.node(value).clone();
        let mut sum = None;
        match node.op.def().derivative {
            Derivative::Linear(_) => {
                let images: Vec<Option<ValueId>> =
                    node.args.iter().map(|x| self.coefficient(b, *x, k)).collect();
                sum = linear_image(b, value, &images);
            }
            Derivative::Bilinear(_) => {
                // y_k = Σ_{j=0..k} a_j ∘ b_{k-j}
                for (j, _) in outwards(0..=k, k) {
                    let left = self.coefficient(b, node.args[0], j);
                    let right = self.coefficient(b, node.args[1], k - j);
                    if let (Some(left), Some(right)) = (left, right) {
                        let term = b.must(node.op, &[left, right], node.attr.clone());
                        sum = Some(plus(b, sum, term));
                    }
                }
            }
            Derivative::Elementwise(partials) => {
                // k y_k = Σ_{j=1..k} (j x_j) ∂_{k-j}
                let mut sums = [None, None];
                for (x, partial) in node.args.iter().zip(partials) {
                    if !self.moves(b, *x) {
                        continue;
                    }
                    let slope = partial(b, &node.args, value);
                    for (j, half) in outwards(1..=k, k) {
                        let Some(x_j) = self.coefficient(b, *x, j) else { continue };
                        let Some(slope) = self.coefficient(b, slope, k - j) else { continue };
                        let rise = b.scale(j as f64, x_j);
                        let term = b.mul(rise, slope);
                        sums[half] = Some(plus(b, sums[half], term));
                    }
                }
                sum = joined(b, sums).map(|sum| b.scale(1.0 / k as f64, sum));
            }
            Derivative::Composite(expand) => {
                let expansion = match self.expansions.get(&value) {
                    Some(expansion) => *expansion,
                    None => expand(b, &node.args, &node.attr),
                };
                self.expansions.insert(value, expansion);
                sum = self.coefficient(b, expansion, k);
            }
            Derivative::Zero | Derivative::Leaf | Derivative::Barrier | Derivative::Request => {}
        }
        sum
    }

    /// Coefficient `k ≥ 1` of `value` by its recurrence.
    fn recurred(&mut self, b: &mut Builder, value: ValueId, k: usize, rule: Recurrence) -> Option<ValueId> {
        match rule {
            // y_k = Σ_{j=0..k} x_j z_{k-j}
            Recurrence::Product(x, z) if x == z => self.squares(b, x, 0, k),
            Recurrence::Product(x, z) => self.convolution(b, (x, z), 0..=k, k),
            // y_k = (x_k - Σ_{j=1..k} z_j y_{k-j}) / z_0
            Recurrence::Quotient(x, z) => {
                let of_x = x.and_then(|x| self.coefficient(b, x, k));
                let sum = self.convolution(b, (z, value), 1..=k, k);
                let over = reciprocal(b, 1.0, z);
                rest(b, of_x, sum).map(|rest| b.mul(rest, over))
            }
            // y_k = (x_k - Σ_{j=1..k-1} y_j y_{k-j}) / 2 y_0
            Recurrence::Root(x) => {
                let of_x = self.coefficient(b, x, k);
                let (sum, over) = (self.squares(b, value, 1, k), reciprocal(b, 0.5, value));
                rest(b, of_x, sum).map(|rest| b.mul(rest, over))
            }
            // y_k = Σ_{j=1..k} ((p + 1) j/k - 1) x_j y_{k-j} / x_0
            Recurrence::Power(x, p) => {
                let mut sums = [None, None];
                for (j, half) in outwards(1..=k, k) {
                    let (x_j, y) = (self.coefficient(b, x, j), self.coefficient(b, value, k - j));
                    if let (Some(x_j), Some(y)) = (x_j, y) {
                        let weighted = b.scale((p + 1.0) * j as f64 / k as f64 - 1.0, x_j);
                        let term = b.mul(weighted, y);
                        sums[half] = Some(plus(b, sums[half], term));
                    }
                }
                let over = reciprocal(b, 1.0, x);
                joined(b, sums).map(|sum| b.mul(sum, over))
            }
        }
    }

    /// `Σ x_j z_{k-j}` over `js`.
    fn convolution(
        &mut self,
        b: &mut Builder,
        (x, z): (ValueId, ValueId),
        js: RangeInclusive<usize>,
        k: usize,
    ) -> Option<ValueId> {
        let mut sums = [None, None];
        for (j, half) in outwards(js, k) {
            let (x_j, z_rest) = (self.coefficient(b, x, j), self.coefficient(b, z, k - j));
            if let (Some(x_j), Some(z_rest)) = (x_j, z_rest) {
                let term = b.mul(x_j, z_rest);
                sums[half] = Some(plus(b, sums[half], term));
            }
        }
        joined(b, sums)
    }

    /// `Σ_{j=first..k-first} x_j x_{k-j}`, each product once: the older of its factors is doubled.
    fn squares(&mut self, b: &mut Builder, x: ValueId, first: usize, k: usize) -> Option<ValueId> {
        let js = first..=k / 2;
        let is_long = js.clone().count() >= LONG;
        let mut sums = [None, None];
        for j in js.rev() {
            let (Some(x_j), Some(x_rest)) = (self.coefficient(b, x, j), self.coefficient(b, x, k - j)) else {
                continue;
            };
            let factor = if 2 * j == k { x_j } else { b.scale(2.0, x_j) };
            let term = b.mul(factor, x_rest);
            let half = usize::from(is_long && j % 2 == 1);
            sums[half] = Some(plus(b, sums[half], term));
        }
        joined(b, sums)
    }

    /// Whether `value` depends on an independent node. Operands precede users, so one pass over
    /// the nodes made since the last question answers it.
    fn moves(&mut self, b: &Builder, value: ValueId) -> bool {
        for at in self.moving.len()..=value.index() {
            let id = ValueId::from_usize(at);
            let node = b.node(id);
            let passes = node.ty.dtype.is_float()
                && match node.op.def().derivative {
                    Derivative::Linear(_)
                    | Derivative::Bilinear(_)
                    | Derivative::Elementwise(_)
                    | Derivative::Composite(_) => true,
                    Derivative::Zero | Derivative::Leaf | Derivative::Barrier | Derivative::Request => false,
                };
            let moves = self.curves.contains_key(&id)
                || passes && node.args.iter().any(|arg| self.moving[arg.index()]);
            self.moving.push(moves);
        }
        self.moving[value.index()]
    }
}

/// The numbers of `js`, those first that lie nearest `k/2`: of the pairs `(j, k - j)` those whose later
/// one comes earliest. With each comes which of two sums it belongs to, where there are enough for two.
fn outwards(js: RangeInclusive<usize>, k: usize) -> Vec<(usize, usize)> {
    let mut js: Vec<usize> = js.collect();
    js.sort_by_key(|j| (*j).max(k - j));
    let is_long = js.len() >= LONG;
    js.into_iter().map(|j| (j, usize::from(is_long && j > k - j))).collect()
}

/// Both sums together.
fn joined(b: &mut Builder, sums: [Option<ValueId>; 2]) -> Option<ValueId> {
    match sums {
        [sum, Some(other)] => Some(plus(b, sum, other)),
        [sum, None] => sum,
    }
}

/// `x - sum`, where what is absent is zero.
fn rest(b: &mut Builder, x: Option<ValueId>, sum: Option<ValueId>) -> Option<ValueId> {
    match (x, sum) {
        (Some(x), Some(sum)) => Some(b.sub(x, sum)),
        (Some(x), None) => Some(x),
        (None, Some(sum)) => Some(b.neg(sum)),
        (None, None) => None,
    }
}

/// `factor / x`, the same node for every order.
fn reciprocal(b: &mut Builder, factor: f64, x: ValueId) -> ValueId {
    let factor = b.splat_like(factor, x);
    b.div(factor, x)
}
