//! Tensor IR to loop IR.
//!
//! One question does the work: what is the element of a value at given coordinates? Rearrangements
//! answer with an element of their operand, elementwise ops with a scalar expression of elements,
//! reductions and contractions with a loop. Coordinates are affine in the loop variables, so chains
//! of ops fuse by themselves; [`place`](super::place) says which values are stored on the way.
//!
//! Sums run in ascending row-major order of the summed axes, whatever the place of their operands and
//! whatever other sums are accumulated beside them (`sums`, `tiles`).

mod coords;
mod products;
mod sums;
mod tiles;
mod windows;

use super::LowerError;
use super::place::{Arena, Place, last_readers, places, summed_turns, unravel};
use crate::base::index::{Idx, IndexVec};
use crate::ir::func::{Attr, Func, Node, ValueId};
use crate::ir::op::{Lowering, Op, ScalarOp};
use crate::ir::ops::arith::exponent;
use crate::ir::rounding::lone_products;
use crate::lower::code::Code;
use crate::lower::loops::{BufferId, BufferKind, DType, Index, LoopFunc, Prim, ScalarId, Target};
use crate::lower::math;
use coords::{constant, constants, known, shifted};
use smallvec::{SmallVec, smallvec};
use tiles::{SIDE_BY_SIDE, weights};

/// What [`lower`] tries in turn: most elements of a tensor of scalars, most sums side by side, most
/// statements. Straight-line code of more of them compiles slowly, super-linearly so: then loops are
/// kept instead.
const ATTEMPTS: [(usize, usize, usize); 4] =
    [(16, SIDE_BY_SIDE, 6_000), (4, SIDE_BY_SIDE, 6_000), (1, SIDE_BY_SIDE, 9_000), (1, 1, usize::MAX)];

/// Coordinates of an element, one for each axis.
type Coords = SmallVec<[Index; 4]>;

/// The loops of `func`, whose requests for derivatives have been expanded. Inputs are its
/// parameters and outputs its results, in order. Small tensors become scalars and short sums are
/// written out, if the function stays small enough.
pub fn lower(func: &Func, target: Target) -> Result<LoopFunc, LowerError> {
    for (limit, side_by_side, most) in ATTEMPTS {
        // Larger tiles are longer code, of a compiler that takes no longer for each statement of it.
        let most = if limit == 1 { most.saturating_mul(target.accumulators / SIDE_BY_SIDE) } else { most };
        if let Some(lowered) = lower_below(func, target, (limit, side_by_side), most)? {
            return Ok(lowered);
        }
    }
    crate::bug!("the last attempt has no bound")
}

/// As [`lower`], where tensors of at most `limit` elements are scalars and sums of at most `limit`
/// terms are written out (`limit` is at least 1), each sum alone at a limit of 1. The results do not
/// depend on it, to the last bit.
pub fn lower_within(func: &Func, target: Target, limit: usize) -> Result<LoopFunc, LowerError> {
    let shape = (limit.max(1), if limit > 1 { SIDE_BY_SIDE } else { 1 });
    Ok(lower_below(func, target, shape, usize::MAX)?.expect("no function has so many statements"))
}

/// As [`lower_within`], but nothing once there are more than `most` statements.
fn lower_below(
    func: &Func,
    target: Target,
    (limit, side_by_side): (usize, usize),
    most: usize,
) -> Result<Option<LoopFunc>, LowerError> {
    for node in func.nodes.iter() {
        if node.op.def().lowering == Lowering::Expanded {
            return Err(LowerError { func: func.name.clone(), op: node.op.def().name });
        }
    }
    let lone = if target.fma { lone_products(func) } else { func.nodes.iter().map(|_| false).collect() };
    let places = places(func, limit);
    let mut pass = Pass {
        func,
        limit,
        side_by_side,
        code: Code::new(target),
        weights: weights(func, &places, limit),
        last: last_readers(func, &places, &lone),
        lone,
        places,
        scalars: func.nodes.iter().map(|_| Vec::new()).collect(),
        buffers: func.nodes.iter().map(|_| None).collect(),
        outputs: Vec::new(),
        early: func.nodes.iter().map(|_| Vec::new()).collect(),
        is_read: is_read(func),
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
    /// Most sums that are accumulated side by side.
    side_by_side: usize,
    code: Code,
    /// About how many statements an element takes where it is computed.
    weights: IndexVec<ValueId, usize>,
    places: IndexVec<ValueId, Place>,
    last: IndexVec<ValueId, usize>,
    /// Products that the sum using them computes, rounding once.
    lone: IndexVec<ValueId, bool>,
    /// The elements of values that are scalars.
    scalars: IndexVec<ValueId, Vec<ScalarId>>,
    /// The memory of values that have some.
    buffers: IndexVec<ValueId, Option<BufferId>>,
    /// Of the results, in order.
    outputs: Vec<BufferId>,
    /// Where in outputs the elements of a value belong, which are stored when they are known.
    early: IndexVec<ValueId, Vec<(BufferId, usize)>>,
    /// Whether a node reads the value.
    is_read: IndexVec<ValueId, bool>,
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
        for port in &self.func.results {
            let (dtype, len) = (self.func.ty(port.value).dtype, self.count(port.value));
            self.outputs.push(self.code.buffer(&port.name, dtype, len, BufferKind::Output));
        }
        for (id, node) in self.func.nodes.entries() {
            let (Op::Concat, Attr::Axis(axis), Place::Buffer) = (node.op, &node.attr, self.places[id]) else {
                continue;
            };
            let (dims, axis) = (node.ty.shape.dims(), *axis as usize);
            let Some(output) = self.own_output(id).filter(|_| dims[..axis].iter().all(|dim| *dim == 1))
            else {
                continue;
            };
            let mut start = 0;
            for part in &node.args {
                if self.places[*part] == Place::Scalars {
                    self.early[*part].push((output, start));
                }
                start += self.count(*part);
            }
        }
    }

    /// Makes what the place of a value asks for at its definition.
    fn define(&mut self, id: ValueId, node: &Node) {
        match self.places[id] {
            Place::Given | Place::Inline => {}
            Place::Scalars if self.lone[id] => {}
            Place::Scalars => {
                let elements = self.elements(id);
                for (output, start) in &self.early[id] {
                    for (at, element) in elements.iter().enumerate() {
                        self.code.store(*output, constant(start + at), *element);
                    }
                }
                self.scalars[id] = elements;
            }
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
                let buffer = self.own_output(id).unwrap_or_else(|| self.local(id));
                self.fill(id, node, buffer);
                self.buffers[id] = Some(buffer);
            }
        }
    }

    /// The output that a value can be written to at once: nothing reads it, and each element is written
    /// once.
    fn own_output(&self, id: ValueId) -> Option<BufferId> {
        let mut ports = (0..self.outputs.len()).filter(|port| self.func.results[*port].value == id);
        let port = ports.next()?;
        let alone = ports.next().is_none() && !self.is_read[id];
        let once = !matches!(self.func.nodes[id].op, Op::ScatterAdd | Op::Pad);
        (alone && once).then(|| self.outputs[port])
    }

    /// Writes every result to its output, unless it is there already.
    fn results(&mut self) {
        for (port, output) in self.func.results.iter().zip(&self.outputs) {
            if self.buffers[port.value] == Some(*output) {
                continue;
            }
            if self.count(port.value) <= self.limit {
                for at in 0..self.count(port.value) {
                    let coords = constants(&unravel(at, self.dims(port.value)));
                    self.code.store(*output, constant(at), self.element(port.value, &coords));
                }
            } else {
                self.copy(port.value, *output, 0);
            }
        }
    }

    /// Writes the elements of a value, in row-major order, to `buffer[start..]`.
    fn copy(&self, value: ValueId, buffer: BufferId, start: usize) {
        // A rearrangement in the same order is no concern of its operand.
        let mut value = value;
        while self.buffers[value].is_none()
            && self.scalars[value].is_empty()
            && self.func.nodes[value].op == Op::Reshape
        {
            value = self.func.nodes[value].args[0];
        }
        if !self.scalars[value].is_empty() {
            for (at, element) in self.scalars[value].iter().enumerate() {
                self.code.store(buffer, constant(start + at), *element);
            }
            return;
        }
        let to_output = self.outputs.contains(&buffer);
        if let Some(from) = self.buffers[value] {
            let count = self.count(value);
            self.for_tiles(&[count], &self.copy_tile(count, to_output), &|tile| {
                for at in tile.iter().map(|coords| &coords[0]) {
                    self.code.store(buffer, shifted(at, start as i64), self.code.load(from, at.clone()));
                }
            });
            return;
        }
        let dims = self.dims(value);
        if to_output && self.is_sum_of_products(value) {
            return self.for_product_tiles(dims, &|tile| {
                for (coords, element) in tile.iter().zip(self.sums_of_products(value, tile)) {
                    self.code.store(buffer, shifted(&self.flat(coords, dims), start as i64), element);
                }
            });
        }
        self.for_tiles(dims, &self.tile(value, to_output), &|tile| {
            for coords in tile {
                let at = shifted(&self.flat(coords, dims), start as i64);
                self.code.store(buffer, at, self.element(value, coords));
            }
        });
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
        let coords: Vec<Coords> = (0..self.count(id)).map(|at| constants(&unravel(at, dims))).collect();
        coords.chunks(self.side_by_side).flat_map(|tile| self.computed_together(id, tile)).collect()
    }

    /// Stores a value to its buffer.
    fn fill(&self, id: ValueId, node: &Node, buffer: BufferId) {
        let dims = self.dims(id);
        match (node.op, &node.attr) {
            (Op::Concat, Attr::Axis(axis)) => {
                let mut start = 0;
                for part in &node.args {
                    if self.early[*part].iter().any(|(output, _)| *output == buffer) {
                        start += self.dims(*part)[*axis as usize];
                        continue;
                    }
                    self.fill_part(*part, buffer, dims, *axis as usize, start);
                    start += self.dims(*part)[*axis as usize];
                }
            }
            (Op::Pad, Attr::Pads(pads)) => {
                self.fill_frame(buffer, dims, pads, node.ty.dtype);
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
            (Op::Reshape, _) => self.copy(node.args[0], buffer, 0),
            _ if summed_turns(self.func, node) > 1 => {
                let body = |tile: &[Coords]| {
                    let elements = self.computed_together(id, tile);
                    for (coords, element) in tile.iter().zip(elements) {
                        self.code.store(buffer, self.flat(coords, dims), element);
                    }
                };
                match self.loops_of_windows(node) {
                    Some(loops) => self.for_pieces(dims, &loops, &body),
                    None => self.for_tiles(dims, &self.tile(id, false), &body),
                }
            }
            _ if self.outputs.contains(&buffer) && self.is_sum_of_products(id) => self.copy(id, buffer, 0),
            _ => self.for_tiles(dims, &self.tile(id, self.outputs.contains(&buffer)), &|tile| {
                for coords in tile {
                    self.code.store(buffer, self.flat(coords, dims), self.computed(id, coords));
                }
            }),
        }
    }

    fn fill_part(&self, part: ValueId, buffer: BufferId, dims: &[usize], axis: usize, start: usize) {
        if dims[..axis].iter().all(|dim| *dim == 1) {
            return self.copy(part, buffer, start * dims[axis + 1..].iter().product::<usize>());
        }
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

    /// Zeros before and after along each axis.
    fn fill_frame(&self, buffer: BufferId, dims: &[usize], pads: &[(u32, u32)], dtype: DType) {
        // Where what lies beside one axis begins along those before it, which it does not go beyond.
        let mut starts = vec![0; dims.len()];
        let mut lengths = dims.to_vec();
        for (axis, (before, after)) in pads.iter().map(|(b, a)| (*b as usize, *a as usize)).enumerate() {
            for (start, length) in [(0, before), (dims[axis] - after, after)] {
                (starts[axis], lengths[axis]) = (start, length);
                self.for_each(&lengths, &|coords| {
                    let moved = coords.iter().zip(&starts).map(|(at, start)| shifted(at, *start as i64));
                    let at = self.flat(&moved.collect::<Coords>(), dims);
                    self.code.store(buffer, at, self.code.number(dtype, 0.0));
                });
            }
            (starts[axis], lengths[axis]) = (before, dims[axis] - before - after);
        }
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
            Lowering::Reduce(_) | Lowering::Contract => self.computed_together(value, &[coords.into()])[0],
            Lowering::Leaf => match (node.op, &node.attr) {
                (Op::Constant, Attr::Splat(bits)) => self.code.number(node.ty.dtype, f64::from_bits(*bits)),
                (Op::Iota, _) => self.integer(&coords[0]),
                _ => crate::bug!("`{}` has memory of its own", node.op.def().name),
            },
            Lowering::Expanded => crate::bug!("a request for a derivative was not expanded"),
        }
    }

    /// Some elements of a value, computed here; sums side by side.
    fn computed_together(&self, value: ValueId, tile: &[Coords]) -> Vec<ScalarId> {
        let node = &self.func.nodes[value];
        match node.op.def().lowering {
            Lowering::Reduce(monoid) => self.reduced(node, monoid, tile),
            Lowering::Contract => self.contracted(node, tile),
            Lowering::Scalar(_) | Lowering::IndexMap | Lowering::Leaf | Lowering::Expanded => {
                tile.iter().map(|coords| self.computed(value, coords)).collect()
            }
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
        let (product, other) = self.lone_product(node, op)?;
        Some(self.fuse(node, product, coords, self.element(other, coords)))
    }

    /// The product that a sum or difference computes itself, and the other operand.
    fn lone_product(&self, node: &Node, op: ScalarOp) -> Option<(ValueId, ValueId)> {
        if !matches!(op, ScalarOp::Add | ScalarOp::Sub) {
            return None;
        }
        let (x, y) = (node.args[0], node.args[1]);
        if self.lone[x] { Some((x, y)) } else { self.lone[y].then_some((y, x)) }
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
            (Op::Windows, Attr::Windows(windows)) => {
                let (places, within) = coords.split_at(dims.len());
                let mut inner: Coords = places.into();
                for ((axis, _), within) in windows.iter().zip(within) {
                    inner[*axis as usize] = self.plus(&places[*axis as usize], within);
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
    /// function keeps it in `0..n`; it is clamped so that no argument can lead outside of a buffer, unless
    /// it is one of a table that does not.
    fn entry(&self, index: ValueId, coords: &[Index], n: usize) -> Index {
        if n <= 1 {
            return constant(0);
        }
        let element = self.element(index, coords);
        let inside = |bits: &u64| (0.0..n as f64).contains(&f64::from_bits(*bits));
        if matches!(&self.func.nodes[index].attr, Attr::Elements(table) if table.iter().all(inside)) {
            return self.dynamic(element);
        }
        let last = self.code.integer(n as i64 - 1);
        let below = self.code.op(Prim::Min, &[element, last]);
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
}

fn is_read(func: &Func) -> IndexVec<ValueId, bool> {
    let mut is_read: IndexVec<ValueId, bool> = func.nodes.iter().map(|_| false).collect();
    for arg in func.nodes.iter().flat_map(|node| &node.args) {
        is_read[*arg] = true;
    }
    is_read
}
