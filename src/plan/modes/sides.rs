//! Do the sides of a choice meet, whatever it chooses between? Asked of single numbers.
//!
//! What follows from a comparison elementwise, as `if h > 0 then h else 0.1*h` does, is a function of
//! one entry each of a few values. If it is continuous in these as free variables, nothing after it
//! jumps, whatever they are computed from, and the motion need not be tried (`probe`). A free
//! variable can be anything, so a jump here need not be one of the motion: then nothing is said.

use super::probe::{Distances, bisected, crossed, differs};
use super::{Candidate, Kind, kind};
use crate::base::index::IndexVec;
use crate::base::random::Stream;
use crate::ir::eval;
use crate::ir::func::{Attr, Func, ValueId};
use crate::ir::op::{Lowering, Op};
use crate::ir::ops::leaf::converted;
use crate::ir::tensor::Tensor;
use crate::ir::types::{DType, Shape, Type};

/// Lines through the free variables, their reach, the intervals of each in which a change is looked
/// for, and the changes that have to be seen.
const LINES: u64 = 40;
const REACH: [f64; 8] = [1.0, 0.3, 3.0, 1.0, 10.0, 100.0, 0.1, 1000.0];
const INTERVALS: usize = 8;
const ENOUGH: usize = 12;

/// Most values that follow from a comparison until its sides meet, and most operations of such a value.
const MOST_AFFECTED: usize = 16;
const MOST_NODES: usize = 64;

/// Who reads each value.
pub(super) struct Users {
    readers: IndexVec<ValueId, Vec<ValueId>>,
    is_result: IndexVec<ValueId, bool>,
}

impl Users {
    pub(super) fn of(func: &Func) -> Users {
        let mut readers: IndexVec<ValueId, Vec<ValueId>> = func.nodes.iter().map(|_| Vec::new()).collect();
        for (id, node) in func.nodes.entries() {
            node.args.iter().for_each(|arg| readers[*arg].push(id));
        }
        let mut is_result: IndexVec<ValueId, bool> = func.nodes.iter().map(|_| false).collect();
        func.results.iter().for_each(|port| is_result[port.value] = true);
        Users { readers, is_result }
    }
}

/// Whether everything that follows from the candidate is continuous where it changes; `false` if that
/// is not known.
pub(super) fn meet(func: &Func, users: &Users, candidate: &Candidate, real: DType) -> bool {
    let (mut affected, mut meeting) = (vec![candidate.node], Vec::new());
    let mut next = 0;
    while let Some(value) = affected.get(next).copied() {
        next += 1;
        if users.is_result[value] || next > MOST_AFFECTED {
            return false;
        }
        for user in &users.readers[value] {
            if affected.contains(user) || meeting.contains(user) {
                continue;
            }
            let Some(cone) = Cone::of(func, candidate, *user) else { return false };
            match func.ty(*user).dtype.is_float() && cone.is_continuous(real) {
                true => meeting.push(*user),
                false => affected.push(*user),
            }
        }
    }
    true
}

/// A value as a function of single numbers.
struct Cone<'f> {
    func: &'f Func,
    candidate: &'f Candidate,
    /// What is computed, operands first; the value comes last.
    nodes: Vec<ValueId>,
    /// The free variables.
    free: Vec<ValueId>,
}

impl Cone<'_> {
    /// `None` if the value is more than that, or jumps elsewhere as well.
    fn of<'f>(func: &'f Func, candidate: &'f Candidate, value: ValueId) -> Option<Cone<'f>> {
        let mut cone = Cone { func, candidate, nodes: Vec::new(), free: Vec::new() };
        let mut bent = false;
        if !is_elementwise(func, value) {
            return None;
        }
        let shape = &func.ty(value).shape;
        // Operands first: an explicit stack, since chains are long.
        let mut stack = vec![(value, false)];
        while let Some((id, is_ready)) = stack.pop() {
            if cone.nodes.contains(&id) || cone.free.contains(&id) {
                continue;
            }
            let node = &func.nodes[id];
            let fits = node.ty.shape == *shape || node.ty.shape.count() == 1;
            let is_constant = matches!((node.op, &node.attr), (Op::Constant, Attr::Splat(_)));
            if is_ready || is_constant {
                cone.nodes.push(id);
            } else if fits && is_elementwise(func, id) {
                if id != candidate.node && (kind(func, node).is_some() || node.op == Op::Eq) {
                    return None;
                }
                bent |= matches!(node.op, Op::Abs | Op::Min | Op::Max);
                stack.push((id, true));
                stack.extend(node.args.iter().map(|arg| (*arg, false)));
            } else if node.ty.dtype.is_float() {
                cone.free.push(id);
            } else {
                return None;
            }
            if stack.len() + cone.nodes.len() > MOST_NODES {
                return None;
            }
        }
        // Of several variables, only what is analytic has no corners to hide a jump behind.
        (!bent || cone.free.len() == 1).then_some(cone)
    }

    /// Value, candidate and what the candidate compares, at these variables.
    fn at(&self, variables: &[f64]) -> Option<(f64, f64, f64)> {
        let mut known: Vec<(ValueId, Tensor)> = Vec::with_capacity(variables.len() + self.nodes.len());
        let scalar = |id: ValueId| Type { dtype: self.func.ty(id).dtype, shape: Shape::scalar() };
        for (id, x) in self.free.iter().zip(variables) {
            let ty = scalar(*id);
            known.push((*id, Tensor::new(ty.clone(), vec![converted(*x, ty.dtype)])));
        }
        for id in &self.nodes {
            let node = &self.func.nodes[*id];
            let find =
                |arg: &ValueId| &known.iter().find(|(id, _)| id == arg).expect("operands come first").1;
            let args: Vec<&Tensor> = node.args.iter().map(find).collect();
            let value = match (node.op, &node.attr) {
                (Op::Broadcast, _) => args[0].clone(),
                (op, attr) => eval::apply(op, &args, attr, &scalar(*id))?,
            };
            known.push((*id, value));
        }
        let of = |id: ValueId| known.iter().find(|(known, _)| *known == id).map(|(_, value)| value.data[0]);
        let height = match (self.candidate.kind, &*self.func.nodes[self.candidate.node].args) {
            (Kind::Comparison { .. }, [a, b]) => of(*a)? - of(*b)?,
            (_, args) => of(args[0])?,
        };
        Some((known.last()?.1.data[0], of(self.candidate.node)?, height))
    }

    /// Whether the value is continuous wherever the candidate was seen to change, which was often enough.
    fn is_continuous(&self, real: DType) -> bool {
        let Distances { near, far, .. } = Distances::of(real);
        let mut seen = 0;
        for number in 0..LINES {
            let mut stream = Stream::new(0, "sides", number, 0);
            let reach = REACH[number as usize % REACH.len()];
            let ends: Vec<[f64; 2]> =
                self.free.iter().map(|_| [0, 1].map(|_| reach * stream.normal())).collect();
            let at = |share: f64| {
                let between: Vec<f64> = ends.iter().map(|[a, b]| a + share * (b - a)).collect();
                self.at(&between)
            };
            for interval in 0..INTERVALS {
                let (lo, hi) = (interval as f64 / INTERVALS as f64, (interval + 1) as f64 / INTERVALS as f64);
                let (Some((_, before, _)), Some((_, after, _))) = (at(lo), at(hi)) else { return false };
                if before == after {
                    continue;
                }
                let same = |share: f64| at(share).is_some_and(|(_, value, _)| value == before);
                let height = |share: f64| match self.candidate.kind {
                    Kind::Comparison { .. } | Kind::Sign => at(share).map(|(_, _, height)| height),
                    Kind::Floor | Kind::Conversion => None,
                };
                let (lo, hi) =
                    crossed((lo, hi), near, height, same).unwrap_or_else(|| bisected((lo, hi), near, same));
                let points = [lo - far, lo - near, hi + near, hi + far].map(at);
                let [Some(a), Some(b), Some(c), Some(d)] = points else { return false };
                let values = [a.0, b.0, c.0, d.0];
                if differs(values, real) {
                    return false;
                }
                seen += usize::from(values.iter().all(|x| x.is_finite()));
            }
        }
        seen >= ENOUGH
    }
}

/// Whether an entry of the value is computed from one entry of each operand.
fn is_elementwise(func: &Func, value: ValueId) -> bool {
    let node = &func.nodes[value];
    match node.op.def().lowering {
        Lowering::Scalar(_) => true,
        // Of one number there is one entry.
        Lowering::IndexMap => node.op == Op::Broadcast && func.ty(node.args[0]).shape.count() == 1,
        Lowering::Reduce(_) | Lowering::Contract | Lowering::Leaf | Lowering::Expanded => false,
    }
}
