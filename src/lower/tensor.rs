//! Tensor IR to loop IR.
//!
//! One question does the work: what is the element of a value at given coordinates? Rearrangements
//! answer with an element of their operand, elementwise ops with a scalar expression of elements,
//! reductions and contractions with a loop. Coordinates are affine in the loop variables, so chains
//! of ops fuse by themselves; [`place`](super::place) says which values are stored on the way.
//!
//! Sums run in ascending row-major order of the summed axes, whatever the place of their operands.

use super::LowerError;
use super::place::{Arena, Place, last_readers, lone_products, places, unravel};
use crate::base::index::{Idx, IndexVec};
use crate::ir::func::{Attr, Contraction, Func, Node, ValueId};
use crate::ir::op::{Lowering, Monoid, Op, ScalarOp};
use crate::ir::ops::arith::exponent;
use crate::ir::ops::contract::summed_letters;
use crate::lower::code::Code;
use crate::lower::loops::{BufferId, BufferKind, DType, Index, LoopFunc, Prim, ScalarId, Target};
use crate::lower::math;
use smallvec::{SmallVec, smallvec};

/// The limits that [`lower`] tries, largest first.
const LIMITS: [usize; 3] = [16, 4, 1];

/// Straight-line code beyond this compiles slowly, super-linearly so: keep loops instead.
const MOST_STATEMENTS: usize = 6_000;

/// Coordinates of an element, one for each axis.
type Coords = SmallVec<[Index; 4]>;

/// The loops of `func`, whose requests for derivatives have been expanded. Inputs are its
/// parameters and outputs its results, in order. Small tensors become scalars and short sums are
/// written out, if the function stays small enough.
pub fn lower(func: &Func, target: Target) -> Result<LoopFunc, LowerError> {
    let [larger @ .., smallest] = LIMITS;
    for limit in larger {
        if let Some(lowered) = lower_below(func, target, limit, MOST_STATEMENTS)? {
            return Ok(lowered);
        }
    }
    lower_within(func, target, smallest)
}

/// As [`lower`], where tensors of at most `limit` elements are scalars and sums of at most `limit`
/// terms are written out (`limit` is at least 1). The results do not depend on it, to the last bit.
pub fn lower_within(func: &Func, target: Target, limit: usize) -> Result<LoopFunc, LowerError> {
    Ok(lower_below(func, target, limit, usize::MAX)?.expect("no function has so many statements"))
}

/// As [`lower_within`], but nothing once there are more than `most` statements.
fn lower_below(
    func: &Func,
    target: Target,
    limit: usize,
    most: usize,
) -> Result<Option<LoopFunc>, LowerError> {
    for node in func.nodes.iter() {
        if node.op.def().lowering == Lowering::Expanded {
            return Err(LowerError { func: func.name.clone(), op: node.op.def().name });
        }
    }
    let limit = limit.max(1);
    let lone = if target.fma { lone_products(func) } else { func.nodes.iter().map(|_| false).collect() };
    let places = places(func, limit);
    let mut pass = Pass {
        func,
        limit,
        code: Code::new(target),
        last: last_readers(func, &places, &lone),
        lone,
        places,
        scalars: func.nodes.iter().map(|_| Vec::new()).collect(),
        buffers: func.nodes.iter().map(|_| None).collect(),
        arena: Arena::default(),
    };
    pass.declare();
    for (id, node) in func.nodes.entries() {
        pass.define(id, node);
        if pass.code.n_stmts() > most {
            return Ok(None);
        }
    }
    pass.results();
    let workspace = pass.arena.size;
    Ok(Some(LoopFunc { workspace, ..pass.code.finish(&func.name) }))
}

struct Pass<'f> {
    func: &'f Func,
    /// Most elements of a tensor of scalars, and most terms of a sum that is written out.
    limit: usize,
    code: Code,
    places: IndexVec<ValueId, Place>,
    last: IndexVec<ValueId, usize>,
    /// Products that the sum using them computes, rounding once.
    lone: IndexVec<ValueId, bool>,
    /// The elements of values that are scalars.
    scalars: IndexVec<ValueId, Vec<ScalarId>>,
    /// The memory of values that have some.
    buffers: IndexVec<ValueId, Option<BufferId>>,
    arena: Arena,
}

impl Pass<'_> {
    fn dims(&self, value: ValueId) -> &[usize] {
        self.func.ty(value).shape.dims()
    }

    fn count(&self, value: ValueId) -> usize {
        self.func.ty(value).shape.count()
    }

    /// Declares inputs, outputs and tables.
    fn declare(&mut self) {
        for port in &self.func.params {
            let (dtype, len) = (self.func.ty(port.value).dtype, self.count(port.value));
            self.buffers[port.value] = Some(self.code.buffer(&port.name, dtype, len, BufferKind::Input));
        }
        for (id, node) in self.func.nodes.entries() {
            if let (Op::Constant, Attr::Elements(bits)) = (node.op, &node.attr) {
                self.buffers[id] = Some(self.code.table(&format!("table{}", id.0), node.ty.dtype, bits));
            }
        }
    }

    /// Makes what the place of a value asks for at its definition.
    fn define(&mut self, id: ValueId, node: &Node) {
        match self.places[id] {
            Place::Given | Place::Inline => {}
            Place::Scalars if self.lone[id] => {}
            Place::Scalars => self.scalars[id] = self.elements(id),
            Place::ScalarsAndBuffer => {
                let elements = self.elements(id);
                let buffer = self.local(id);
                for (at, element) in elements.iter().enumerate() {
                    self.code.store(buffer, constant(at), *element);
                }
                self.scalars[id] = elements;
                self.buffers[id] = Some(buffer);
            }
            Place::Buffer => {
                let buffer = self.local(id);
                self.fill(id, node, buffer);
                self.buffers[id] = Some(buffer);
            }
        }
    }

    /// Copies every result to its output.
    fn results(&mut self) {
        let outputs: Vec<BufferId> = self
            .func
            .results
            .iter()
            .map(|port| {
                let ty = self.func.ty(port.value);
                self.code.buffer(&port.name, ty.dtype, ty.shape.count(), BufferKind::Output)
            })
            .collect();
        for (port, output) in self.func.results.iter().zip(outputs) {
            if self.count(port.value) <= self.limit {
                for at in 0..self.count(port.value) {
                    let coords = constants(&unravel(at, self.dims(port.value)));
                    self.code.store(output, constant(at), self.element(port.value, &coords));
                }
            } else {
                let dims = self.dims(port.value).to_vec();
                self.for_each(&dims, &|coords| {
                    self.code.store(output, self.flat(coords, &dims), self.element(port.value, coords));
                });
            }
        }
    }

    /// A local buffer for a value.
    fn local(&mut self, id: ValueId) -> BufferId {
        let ty = self.func.ty(id);
        let bytes = ty.shape.count() * ty.dtype.bytes();
        let offset = self.arena.place(bytes, id.index(), self.last[id]);
        self.code.buffer(&format!("v{}", id.0), ty.dtype, ty.shape.count(), BufferKind::Local(offset))
    }

    /// The elements of a small value.
    fn elements(&self, id: ValueId) -> Vec<ScalarId> {
        let dims = self.dims(id);
        (0..self.count(id)).map(|at| self.computed(id, &constants(&unravel(at, dims)))).collect()
    }

    /// Stores a value to its buffer.
    fn fill(&self, id: ValueId, node: &Node, buffer: BufferId) {
        let dims = self.dims(id);
        match (node.op, &node.attr) {
            (Op::Concat, Attr::Axis(axis)) => {
                let mut start = 0;
                for part in &node.args {
                    self.fill_part(*part, buffer, dims, *axis as usize, start);
                    start += self.dims(*part)[*axis as usize];
                }
            }
            (Op::Pad, Attr::Pads(pads)) => {
                self.fill_zeros(buffer, dims, node.ty.dtype);
                self.for_each(self.dims(node.args[0]), &|coords| {
                    let moved =
                        coords.iter().zip(pads).map(|(at, (before, _))| shifted(at, i64::from(*before)));
                    let moved: Coords = moved.collect();
                    self.code.store(buffer, self.flat(&moved, dims), self.element(node.args[0], coords));
                });
            }
            (Op::ScatterAdd, _) if dims.contains(&0) => {}
            (Op::ScatterAdd, _) => {
                self.fill_zeros(buffer, dims, node.ty.dtype);
                let (x, index) = (node.args[0], node.args[1]);
                let scattered = self.dims(index).len();
                self.for_each(self.dims(x), &|coords| {
                    let (which, rest) = coords.split_at(scattered);
                    let mut target: Coords = smallvec![self.entry(index, which, dims[0])];
                    target.extend(rest.iter().cloned());
                    let at = self.flat(&target, dims);
                    let before = self.code.load_again(buffer, at.clone());
                    let after = self.code.op(Prim::Add, &[before, self.element(x, coords)]);
                    self.code.store(buffer, at, after);
                });
            }
            _ => self.for_each(dims, &|coords| {
                self.code.store(buffer, self.flat(coords, dims), self.computed(id, coords));
            }),
        }
    }

    fn fill_part(&self, part: ValueId, buffer: BufferId, dims: &[usize], axis: usize, start: usize) {
        self.for_each(self.dims(part), &|coords| {
            let mut moved: Coords = coords.into();
            moved[axis] = shifted(&moved[axis], start as i64);
            self.code.store(buffer, self.flat(&moved, dims), self.element(part, coords));
        });
    }

    fn fill_zeros(&self, buffer: BufferId, dims: &[usize], dtype: DType) {
        self.for_each(dims, &|coords| {
            self.code.store(buffer, self.flat(coords, dims), self.code.number(dtype, 0.0));
        });
    }

    /// The element of a value, wherever it lives.
    fn element(&self, value: ValueId, coords: &[Index]) -> ScalarId {
        let dims = self.dims(value);
        match (self.scalars[value].as_slice(), known(coords, dims)) {
            ([only], _) => return *only,
            ([_, ..], Some(at)) => return self.scalars[value][at],
            _ => {}
        }
        match self.buffers[value] {
            Some(buffer) => self.code.load(buffer, self.flat(coords, dims)),
            None => self.computed(value, coords),
        }
    }

    /// The element of a value, computed here.
    fn computed(&self, value: ValueId, coords: &[Index]) -> ScalarId {
        let node = &self.func.nodes[value];
        match node.op.def().lowering {
            Lowering::Scalar(op) => self.scalar(node, op, coords),
            Lowering::IndexMap => self.moved(node, coords),
            Lowering::Reduce(monoid) => self.reduced(node, monoid, coords),
            Lowering::Contract => self.contracted(node, coords),
            Lowering::Leaf => match (node.op, &node.attr) {
                (Op::Constant, Attr::Splat(bits)) => self.code.number(node.ty.dtype, f64::from_bits(*bits)),
                (Op::Iota, _) => self.integer(&coords[0]),
                _ => crate::bug!("`{}` has memory of its own", node.op.def().name),
            },
            Lowering::Expanded => crate::bug!("a request for a derivative was not expanded"),
        }
    }

    fn scalar(&self, node: &Node, op: ScalarOp, coords: &[Index]) -> ScalarId {
        if let Some(fused) = self.fused(node, op, coords) {
            return fused;
        }
        let args: SmallVec<[ScalarId; 3]> = node.args.iter().map(|arg| self.element(*arg, coords)).collect();
        match op {
            ScalarOp::PowInt => math::pow_int(&self.code, args[0], exponent(&node.attr)),
            ScalarOp::Polygamma => {
                let Attr::Index(order) = node.attr else { crate::bug!("polygamma without an order") };
                math::polygamma(&self.code, args[0], order)
            }
            ScalarOp::Convert => self.code.convert(args[0], node.ty.dtype),
            _ => math::expand(&self.code, op, &args)
                .unwrap_or_else(|| crate::bug!("`{}` has no scalar expansion", node.op.def().name)),
        }
    }

    /// `a*b + c`, `c + a*b`, `a*b - c` and `c - a*b` with a product that nothing else uses, rounded
    /// once.
    fn fused(&self, node: &Node, op: ScalarOp, coords: &[Index]) -> Option<ScalarId> {
        if !matches!(op, ScalarOp::Add | ScalarOp::Sub) {
            return None;
        }
        let (x, y) = (node.args[0], node.args[1]);
        let negated = |id: ScalarId| self.code.op(Prim::Neg, &[id]);
        let factors = |value: ValueId| {
            let args = &self.func.nodes[value].args;
            (self.element(args[0], coords), self.element(args[1], coords))
        };
        let (product, other) = if self.lone[x] {
            (x, y)
        } else if self.lone[y] {
            (y, x)
        } else {
            return None;
        };
        let ((a, b), c) = (factors(product), self.element(other, coords));
        let (a, c) = match op {
            ScalarOp::Sub if product == x => (a, negated(c)),
            ScalarOp::Sub => (negated(a), c),
            _ => (a, c),
        };
        Some(self.code.op(Prim::Fma, &[a, b, c]))
    }

    /// An element that is one of the operands' elsewhere.
    fn moved(&self, node: &Node, coords: &[Index]) -> ScalarId {
        let x = node.args[0];
        let dims = self.dims(x);
        match (node.op, &node.attr) {
            (Op::Reshape, _) => self.reshaped(x, coords, node.ty.shape.dims()),
            (Op::Permute, Attr::Axes(axes)) => {
                let mut inner: Coords = smallvec![Index::default(); dims.len()];
                for (at, axis) in coords.iter().zip(axes) {
                    inner[*axis as usize] = at.clone();
                }
                self.element(x, &inner)
            }
            (Op::Broadcast, Attr::Broadcast { axes, .. }) => {
                let inner: Coords = axes.iter().map(|axis| coords[*axis as usize].clone()).collect();
                self.element(x, &inner)
            }
            (Op::Slice, Attr::Ranges(ranges)) => {
                let inner = coords.iter().zip(ranges).map(|(at, (lo, _))| shifted(at, i64::from(*lo)));
                self.element(x, &inner.collect::<Coords>())
            }
            (Op::Reverse, Attr::Axes(axes)) => {
                let mut inner: Coords = coords.into();
                for axis in axes.iter().map(|axis| *axis as usize) {
                    inner[axis] = shifted(&self.scaled(&inner[axis], -1), dims[axis] as i64 - 1);
                }
                self.element(x, &inner)
            }
            // No index is one of an entry: who calls keeps the promise by not calling.
            (Op::Gather, _) if dims[0] == 0 => self.code.number(node.ty.dtype, f64::NAN),
            (Op::Gather, _) => {
                let index = node.args[1];
                let (which, rest) = coords.split_at(self.dims(index).len());
                let mut inner: Coords = smallvec![self.entry(index, which, dims[0])];
                inner.extend(rest.iter().cloned());
                self.element(x, &inner)
            }
            (Op::Pad | Op::Concat, _) if known(coords, node.ty.shape.dims()).is_none() => {
                crate::bug!("`{}` has pieces and cannot be read inside a loop", node.op.def().name)
            }
            (Op::Pad, Attr::Pads(pads)) => {
                let inner: Coords = coords
                    .iter()
                    .zip(pads)
                    .map(|(at, (before, _))| shifted(at, -i64::from(*before)))
                    .collect();
                let inside = inner.iter().zip(dims).all(|(at, dim)| (0..*dim as i64).contains(&at.offset));
                if inside { self.element(x, &inner) } else { self.code.number(node.ty.dtype, 0.0) }
            }
            (Op::Concat, Attr::Axis(axis)) => {
                let axis = *axis as usize;
                let mut inner: Coords = coords.into();
                for part in &node.args {
                    let length = self.dims(*part)[axis] as i64;
                    if inner[axis].offset < length {
                        return self.element(*part, &inner);
                    }
                    inner[axis].offset -= length;
                }
                crate::bug!("an element beyond the end of a concatenation")
            }
            (op, attr) => crate::bug!("no rule to lower `{}` with {attr:?}", op.def().name),
        }
    }

    /// The element of `x` with the same row-major number as `coords` in `dims`.
    fn reshaped(&self, x: ValueId, coords: &[Index], dims: &[usize]) -> ScalarId {
        let inner = self.dims(x);
        if let Some(at) = known(coords, dims) {
            return self.element(x, &constants(&unravel(at, inner)));
        }
        let flat = self.flat(coords, dims);
        if let Some(buffer) = self.buffers[x] {
            return self.code.load(buffer, flat);
        }
        // Axes of length 1 come and go; everything else keeps its coordinate.
        let long = |dims: &[usize]| dims.iter().copied().filter(|dim| *dim != 1).collect::<Vec<usize>>();
        if long(dims) == long(inner) {
            let mut kept = coords.iter().zip(dims).filter(|(_, dim)| **dim != 1).map(|(at, _)| at.clone());
            let coords: Coords = inner
                .iter()
                .map(|dim| if *dim == 1 { constant(0) } else { kept.next().expect("as many long axes") })
                .collect();
            return self.element(x, &coords);
        }
        if inner.len() == 1 {
            return self.element(x, &[flat]);
        }
        // Splats and rearrangements of one axis do not get here; the general case divides.
        assert!(self.count(x) < 1 << 31, "{} elements are numbered with 31 bits", self.count(x));
        let number = self.integer(&flat);
        let mut coords: Coords = smallvec![Index::default(); inner.len()];
        let mut rest = number;
        for axis in (0..inner.len()).rev() {
            let dim = self.code.integer(inner[axis] as i64);
            let quotient = self.divided(rest, inner[axis]);
            let back = self.code.op(Prim::Mul, &[quotient, dim]);
            coords[axis] = self.dynamic(self.code.op(Prim::Sub, &[rest, back]));
            rest = quotient;
        }
        self.element(x, &coords)
    }

    /// The number of an entry among `n`, which is the element of `index` at `coords`. Who made the
    /// function keeps it in `0..n`; it is clamped so that no argument can lead outside of a buffer.
    fn entry(&self, index: ValueId, coords: &[Index], n: usize) -> Index {
        if n <= 1 {
            return constant(0);
        }
        let last = self.code.integer(n as i64 - 1);
        let below = self.code.op(Prim::Min, &[self.element(index, coords), last]);
        self.dynamic(self.code.op(Prim::Max, &[below, self.code.integer(0)]))
    }

    /// `floor(n / d)` for `0 <= n < 2^31` and a constant `0 < d < 2^31`, by one high product with
    /// `ceil(2^64 / d)`. Source: Granlund and Montgomery, "Division by invariant integers using
    /// multiplication", PLDI 1994, theorem 4.2 with 31-bit operands.
    fn divided(&self, n: ScalarId, d: usize) -> ScalarId {
        if d == 1 {
            return n;
        }
        let reciprocal = (u64::MAX / d as u64).wrapping_add(1);
        self.code.op(Prim::MulHi, &[n, self.code.integer(reciprocal as i64)])
    }

    fn reduced(&self, node: &Node, monoid: Monoid, coords: &[Index]) -> ScalarId {
        let Attr::Axes(axes) = &node.attr else { crate::bug!("a reduction without axes") };
        let x = node.args[0];
        let dims = self.dims(x);
        let lengths: Vec<usize> = axes.iter().map(|axis| dims[*axis as usize]).collect();
        let dtype = node.ty.dtype;
        // A sum starts from -0, the number that leaves every first term as it is.
        let (prim, neutral) = match monoid {
            Monoid::Sum => (Prim::Add, if lengths.contains(&0) { 0.0 } else { -0.0 }),
            Monoid::Product => (Prim::Mul, 1.0),
            Monoid::Max => (Prim::Max, f64::NEG_INFINITY),
            Monoid::Min => (Prim::Min, f64::INFINITY),
        };
        self.accumulated(&lengths, self.code.number(dtype, neutral), &|acc, summed| {
            let mut outer = coords.iter();
            let mut inner = summed.iter();
            let full = (0..dims.len()).map(|axis| {
                let next = if axes.contains(&(axis as u32)) { inner.next() } else { outer.next() };
                next.expect("as many coordinates as axes").clone()
            });
            let full: Coords = full.collect();
            self.code.op(prim, &[acc, self.element(x, &full)])
        })
    }

    fn contracted(&self, node: &Node, coords: &[Index]) -> ScalarId {
        let Attr::Contract(spec) = &node.attr else { crate::bug!("a contraction without letters") };
        let (x, y) = (node.args[0], node.args[1]);
        let summed = summed_letters(spec);
        let lengths: Vec<usize> =
            summed.iter().map(|letter| self.letter_length(spec, *letter, x, y)).collect();
        let operand = |value: ValueId, letters: &[u8], turn: &[Index]| {
            let at = |letter: &u8| match spec.out.iter().position(|l| l == letter) {
                Some(axis) => coords[axis].clone(),
                None => turn[summed.iter().position(|l| l == letter).expect("summed or kept")].clone(),
            };
            self.element(value, &letters.iter().map(at).collect::<Coords>())
        };
        let neutral = self.code.number(node.ty.dtype, if lengths.contains(&0) { 0.0 } else { -0.0 });
        self.accumulated(&lengths, neutral, &|acc, turn| {
            let (a, b) = (operand(x, &spec.lhs, turn), operand(y, &spec.rhs, turn));
            // The first product, rounded as every backend rounds `a·b + -0`.
            if acc == neutral { self.code.op(Prim::Mul, &[a, b]) } else { self.code.mul_add(a, b, acc) }
        })
    }

    fn letter_length(&self, spec: &Contraction, letter: u8, x: ValueId, y: ValueId) -> usize {
        match spec.lhs.iter().position(|l| *l == letter) {
            Some(axis) => self.dims(x)[axis],
            None => {
                let axis = spec.rhs.iter().position(|l| *l == letter);
                self.dims(y)[axis.expect("a summed letter belongs to an operand")]
            }
        }
    }

    /// `acc = next(acc, turn)` for every turn over axes of these lengths, in row-major order.
    fn accumulated(
        &self,
        lengths: &[usize],
        init: ScalarId,
        next: &dyn Fn(ScalarId, &[Index]) -> ScalarId,
    ) -> ScalarId {
        let turns: usize = lengths.iter().product();
        if turns <= self.limit {
            let coords = (0..turns).map(|turn| constants(&unravel(turn, lengths)));
            return coords.fold(init, |acc, coords| next(acc, &coords));
        }
        self.accumulated_in_loops(lengths, init, &mut Coords::new(), next)
    }

    fn accumulated_in_loops(
        &self,
        lengths: &[usize],
        init: ScalarId,
        outer: &mut Coords,
        next: &dyn Fn(ScalarId, &[Index]) -> ScalarId,
    ) -> ScalarId {
        let Some((length, rest)) = lengths.split_first() else { return next(init, outer) };
        if *length == 1 {
            outer.push(constant(0));
            let result = self.accumulated_in_loops(rest, init, outer, next);
            outer.pop();
            return result;
        }
        let var = self.code.open_loop();
        let inside = self.code.carried(self.code.dtype(init));
        outer.push(Index { offset: 0, terms: smallvec![(var, 1)], dynamic: None });
        let result = self.accumulated_in_loops(rest, inside, outer, next);
        outer.pop();
        self.code.close_loop(*length, &[(init, inside, result)])[0]
    }

    /// Loops over all coordinates of a tensor of these axis lengths.
    fn for_each(&self, dims: &[usize], body: &dyn Fn(&[Index])) {
        if dims.contains(&0) {
            return;
        }
        self.for_each_inside(dims, &mut Coords::new(), body);
    }

    fn for_each_inside(&self, dims: &[usize], outer: &mut Coords, body: &dyn Fn(&[Index])) {
        match dims.split_first() {
            None => body(outer),
            Some((1, rest)) => {
                outer.push(constant(0));
                self.for_each_inside(rest, outer, body);
                outer.pop();
            }
            Some((dim, rest)) => {
                let var = self.code.open_loop();
                outer.push(Index { offset: 0, terms: smallvec![(var, 1)], dynamic: None });
                self.for_each_inside(rest, outer, body);
                outer.pop();
                self.code.close_loop(*dim, &[]);
            }
        }
    }

    // ---- coordinates -----------------------------------------------------------------------

    /// The row-major number of an element.
    fn flat(&self, coords: &[Index], dims: &[usize]) -> Index {
        let mut stride = 1;
        let mut flat = Index::default();
        for (at, dim) in coords.iter().zip(dims).rev() {
            flat = self.plus(&flat, &self.scaled(at, stride));
            stride *= *dim as i64;
        }
        flat
    }

    fn plus(&self, a: &Index, b: &Index) -> Index {
        let mut terms = a.terms.clone();
        for (var, factor) in &b.terms {
            match terms.iter_mut().find(|(known, _)| known == var) {
                Some((_, sum)) => *sum += factor,
                None => terms.push((*var, *factor)),
            }
        }
        terms.retain(|(_, factor)| *factor != 0);
        terms.sort_unstable();
        let dynamic = match (a.dynamic, b.dynamic) {
            (Some(x), Some(y)) => Some(self.code.op(Prim::Add, &[x, y])),
            (x, y) => x.or(y),
        };
        Index { offset: a.offset + b.offset, terms, dynamic }
    }

    fn scaled(&self, at: &Index, factor: i64) -> Index {
        let terms = at.terms.iter().map(|(var, k)| (*var, k * factor)).filter(|(_, k)| *k != 0).collect();
        let dynamic = at.dynamic.map(|x| match factor {
            1 => x,
            _ => self.code.op(Prim::Mul, &[x, self.code.integer(factor)]),
        });
        Index { offset: at.offset * factor, terms, dynamic }
    }

    /// A computed integer as a coordinate.
    fn dynamic(&self, x: ScalarId) -> Index {
        match self.code.as_constant(x) {
            Some(bits) => Index { offset: bits as i64, ..Index::default() },
            None => Index { offset: 0, terms: smallvec![], dynamic: Some(x) },
        }
    }

    /// A coordinate as an integer.
    fn integer(&self, at: &Index) -> ScalarId {
        let mut sum = self.code.integer(at.offset);
        for (var, factor) in &at.terms {
            let term = self.code.op(Prim::Mul, &[self.code.counter(*var), self.code.integer(*factor)]);
            sum = self.code.op(Prim::Add, &[sum, term]);
        }
        match at.dynamic {
            Some(x) => self.code.op(Prim::Add, &[sum, x]),
            None => sum,
        }
    }
}

fn constant(at: usize) -> Index {
    Index { offset: at as i64, ..Index::default() }
}

fn constants(coords: &[usize]) -> Coords {
    coords.iter().map(|at| constant(*at)).collect()
}

fn shifted(at: &Index, by: i64) -> Index {
    Index { offset: at.offset + by, ..at.clone() }
}

/// The row-major number of an element whose coordinates are constants.
fn known(coords: &[Index], dims: &[usize]) -> Option<usize> {
    let mut flat = 0;
    for (at, dim) in coords.iter().zip(dims) {
        if !at.terms.is_empty() || at.dynamic.is_some() {
            return None;
        }
        flat = flat * dim + at.offset as usize;
    }
    Some(flat)
}
