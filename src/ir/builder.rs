//! The one way to make nodes.
//!
//! A [`Builder`] checks operand types against the op's signature, folds constants, applies the
//! identities that cost nothing (`x + 0`, `x * 1`; see [`fold`](crate::ir::fold)) and interns: asking twice for
//! the same node gives the same [`ValueId`]. [`Builder::op`] reports misfits as values, for `sema`
//! to put into words; the named methods are for passes, which know their types, and stop with
//! `bug!` on a misfit. `b.add(x, y)` and its like also accept one scalar operand and broadcast it.

use crate::base::hash::{FastHash, FastMap};
use crate::base::index::{Idx, IndexVec};
use crate::base::span::Span;
use crate::ir::fold::is_commutative;
use crate::ir::func::{Args, Attr, Contraction, Func, Node, Pairs, Port, ValueId};
use crate::ir::op::{Op, ShapeError};
use crate::ir::ops::leaf::converted;
use crate::ir::types::{DType, Shape, Type};
use smallvec::SmallVec;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::Arc;

/// Makes a [`Func`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    name: String,
    params: Vec<Port>,
    nodes: IndexVec<ValueId, Node>,
    /// Nodes by the hash of what they are; where two share one, the later has the next number.
    interned: FastMap<u64, ValueId>,
    /// How many nodes are in `interned`. Those behind were taken over from a function or renamed, and are
    /// entered when a node is made.
    n_interned: usize,
    variables: u32,
    span: Option<Span>,
}

impl Builder {
    /// Starts an empty function.
    pub fn new(name: impl Into<String>) -> Builder {
        Builder { name: name.into(), ..Builder::default() }
    }

    /// Starts from a copy of `func`: same parameters, same value ids, no results yet.
    pub fn from_func(func: &Func) -> Builder {
        let mut b = Builder::new(func.name.clone());
        b.params.clone_from(&func.params);
        b.nodes.clone_from(&func.nodes);
        b.variables = variables(&b.nodes);
        b
    }

    /// Goes on from the first `count` nodes of `func`, all parameters among them: same value ids, no
    /// results yet. Returns the nodes behind.
    pub(crate) fn taken_over(func: Func, count: usize) -> (Builder, IndexVec<ValueId, Node>) {
        let mut nodes = func.nodes;
        let rest = nodes.split_off(count);
        let variables = variables(&nodes);
        (Builder { name: func.name, params: func.params, nodes, variables, ..Builder::default() }, rest)
    }

    /// Makes room for `more` nodes.
    pub fn reserve(&mut self, more: usize) {
        self.nodes.reserve(more);
        self.interned.reserve(more);
    }

    /// Makes room for `more` nodes that are not looked up.
    pub(crate) fn reserve_nodes(&mut self, more: usize) {
        self.nodes.reserve(more);
    }

    /// The function of all nodes, under their numbers.
    pub(crate) fn whole(self, results: Vec<Port>) -> Func {
        Func { name: self.name, params: self.params, nodes: self.nodes, results }
    }

    /// Forgets the nodes from `count` on.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.nodes.truncate(count);
        self.interned.clear();
        self.n_interned = 0;
    }

    /// Nodes made from here on are said to come from `span`.
    pub fn set_span(&mut self, span: Option<Span>) {
        self.span = span;
    }

    /// The span in force.
    pub fn span(&self) -> Option<Span> {
        self.span
    }

    /// The type of a value.
    pub fn ty(&self, value: ValueId) -> &Type {
        &self.nodes[value].ty
    }

    /// The shape of a value.
    pub fn shape(&self, value: ValueId) -> &Shape {
        &self.nodes[value].ty.shape
    }

    /// The node of a value.
    pub fn node(&self, value: ValueId) -> &Node {
        &self.nodes[value]
    }

    /// Number of nodes so far; ids below it are valid and in definition order.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node yet.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The parameters so far.
    pub fn params(&self) -> &[Port] {
        &self.params
    }

    /// Declares the next parameter.
    pub fn param(&mut self, name: impl Into<Arc<str>>, ty: Type) -> ValueId {
        let index = u32::try_from(self.params.len()).expect("fewer than 2^32 parameters");
        let value = self.intern(Op::Param, Attr::Index(index), Args::new(), ty);
        self.params.push(Port { name: name.into(), value });
        value
    }

    /// The identity of `x` under an identity of its own, for a derivative operator to vary.
    pub fn variable(&mut self, x: ValueId) -> ValueId {
        let ty = self.ty(x).clone();
        let index = self.variables;
        self.variables += 1;
        self.intern(Op::Variable, Attr::Index(index), Args::from_slice(&[x]), ty)
    }

    /// A node, or why its operands do not fit. Element types and shapes must be exact: nothing is
    /// broadcast or converted here.
    pub fn op(&mut self, op: Op, args: &[ValueId], attr: Attr) -> Result<ValueId, ShapeError> {
        let ty = {
            let types: SmallVec<[&Type; 4]> = args.iter().map(|arg| self.ty(*arg)).collect();
            crate::ir::infer::result_type(op, &types, &attr)?
        };
        Ok(crate::ir::fold::simplify(self, op, args, &attr, &ty)
            .unwrap_or_else(|| self.intern(op, attr, Args::from_slice(args), ty)))
    }

    /// A node whose operands fit by construction.
    pub fn must(&mut self, op: Op, args: &[ValueId], attr: Attr) -> ValueId {
        match self.op(op, args, attr) {
            Ok(value) => value,
            Err(error) => {
                let types: Vec<String> = args.iter().map(|a| self.ty(*a).to_string()).collect();
                crate::bug!("`{}` of {}: {error:?}", op.def().name, types.join(", "))
            }
        }
    }

    /// Interns a node as it stands, without folding. For `param`, constants and the folder.
    pub(crate) fn intern(&mut self, op: Op, attr: Attr, args: Args, ty: Type) -> ValueId {
        self.enter();
        match self.known(op, &attr, &args, &ty) {
            Ok(id) => id,
            Err(free) => {
                let id = self.nodes.push(Node { op, attr, args, ty, span: self.span });
                self.interned.insert(free, id);
                self.n_interned += 1;
                id
            }
        }
    }

    /// A copy of a node of another function with operands of the same types, `args`.
    pub(crate) fn copy(&mut self, node: &Node, args: &[ValueId]) -> ValueId {
        crate::ir::fold::simplify(self, node.op, args, &node.attr, &node.ty).unwrap_or_else(|| {
            self.intern(node.op, node.attr.clone(), Args::from_slice(args), node.ty.clone())
        })
    }

    /// A copy of a node of another function, as it stands but for its operands, which `map` gives: not
    /// looked up, not folded. No other node may become the same, so no two values may become one.
    pub(crate) fn rename(&mut self, mut node: Node, map: &IndexVec<ValueId, ValueId>) -> ValueId {
        node.args.iter_mut().for_each(|arg| *arg = map[*arg]);
        if is_commutative(node.op) && node.args[0] > node.args[1] {
            node.args.swap(0, 1);
        }
        node.span = node.span.or(self.span);
        self.nodes.push(node)
    }

    /// Enters the nodes that were taken over.
    fn enter(&mut self) {
        if self.n_interned == self.nodes.len() {
            return;
        }
        self.interned.reserve(self.nodes.len() - self.n_interned);
        for at in self.n_interned..self.nodes.len() {
            let id = ValueId::from_usize(at);
            let Node { op, attr, args, ty, span: _ } = &self.nodes[id];
            if let Err(free) = self.known(*op, attr, args, ty) {
                self.interned.insert(free, id);
            }
        }
        self.n_interned = self.nodes.len();
    }

    /// The node that is this already, or where in the table it belongs.
    fn known(&self, op: Op, attr: &Attr, args: &Args, ty: &Type) -> Result<ValueId, u64> {
        let mut at = BuildHasherDefault::<FastHash>::default().hash_one((op, attr, args, ty));
        while let Some(id) = self.interned.get(&at) {
            let node = &self.nodes[*id];
            if node.op == op && node.args == *args && node.attr == *attr && node.ty == *ty {
                return Ok(*id);
            }
            at = at.wrapping_add(1);
        }
        Err(at)
    }

    /// Finishes: keeps what the results need (all parameters stay) and renumbers.
    pub fn finish(self, results: Vec<(Arc<str>, ValueId)>) -> Func {
        let results = results.into_iter().map(|(name, value)| Port { name, value }).collect();
        let func = Func { name: self.name, params: self.params, nodes: self.nodes, results };
        crate::ir::func::without_dead_nodes(func)
    }

    // ---- constants -------------------------------------------------------------------------

    /// A constant of type `ty` with every element `value`, rounded to the element type.
    pub fn splat(&mut self, value: f64, ty: Type) -> ValueId {
        let bits = converted(value, ty.dtype).to_bits();
        self.intern(Op::Constant, Attr::Splat(bits), Args::new(), ty)
    }

    /// A scalar constant.
    pub fn scalar(&mut self, value: f64, dtype: DType) -> ValueId {
        self.splat(value, Type::scalar(dtype))
    }

    /// A constant tensor. Equal elements give a splat. Panics if the count does not match.
    pub fn constant(&mut self, elements: &[f64], ty: Type) -> ValueId {
        assert_eq!(elements.len(), ty.shape.count(), "elements of {ty}");
        let bits: Vec<u64> = elements.iter().map(|e| converted(*e, ty.dtype).to_bits()).collect();
        match bits.first() {
            Some(first) if bits.iter().all(|b| b == first) => {
                self.intern(Op::Constant, Attr::Splat(*first), Args::new(), ty)
            }
            _ => self.intern(Op::Constant, Attr::Elements(bits.into()), Args::new(), ty),
        }
    }

    /// Zeros of the type of `x`.
    pub fn zeros_like(&mut self, x: ValueId) -> ValueId {
        let ty = self.ty(x).clone();
        self.splat(0.0, ty)
    }

    /// A constant of the type of `x`.
    pub fn splat_like(&mut self, value: f64, x: ValueId) -> ValueId {
        let ty = self.ty(x).clone();
        self.splat(value, ty)
    }

    /// The value of every element, if `x` is a splat constant.
    pub fn as_splat(&self, x: ValueId) -> Option<f64> {
        match (self.nodes[x].op, &self.nodes[x].attr) {
            (Op::Constant, Attr::Splat(bits)) => Some(f64::from_bits(*bits)),
            _ => None,
        }
    }

    // ---- elementwise -----------------------------------------------------------------------

    /// Brings two operands to one shape where one of them is a scalar.
    pub fn level(&mut self, x: ValueId, y: ValueId) -> (ValueId, ValueId) {
        if self.shape(x).rank() == 0 && self.shape(y).rank() > 0 {
            (self.broadcast_scalar(x, y), y)
        } else if self.shape(y).rank() == 0 && self.shape(x).rank() > 0 {
            (x, self.broadcast_scalar(y, x))
        } else {
            (x, y)
        }
    }

    fn broadcast_scalar(&mut self, x: ValueId, like: ValueId) -> ValueId {
        let shape = self.shape(like).clone();
        self.broadcast(x, shape, &[])
    }

    /// A unary elementwise op.
    pub fn unary(&mut self, op: Op, x: ValueId) -> ValueId {
        self.must(op, &[x], Attr::None)
    }

    /// A binary elementwise op; one operand may be a scalar.
    pub fn binary(&mut self, op: Op, x: ValueId, y: ValueId) -> ValueId {
        let (x, y) = self.level(x, y);
        self.must(op, &[x, y], Attr::None)
    }

    /// `x + y`
    pub fn add(&mut self, x: ValueId, y: ValueId) -> ValueId {
        self.binary(Op::Add, x, y)
    }

    /// `x - y`
    pub fn sub(&mut self, x: ValueId, y: ValueId) -> ValueId {
        self.binary(Op::Sub, x, y)
    }

    /// `x * y`, elementwise
    pub fn mul(&mut self, x: ValueId, y: ValueId) -> ValueId {
        self.binary(Op::Mul, x, y)
    }

    /// `x / y`, elementwise
    pub fn div(&mut self, x: ValueId, y: ValueId) -> ValueId {
        self.binary(Op::Div, x, y)
    }

    /// `-x`
    pub fn neg(&mut self, x: ValueId) -> ValueId {
        self.unary(Op::Neg, x)
    }

    /// `factor * x`
    pub fn scale(&mut self, factor: f64, x: ValueId) -> ValueId {
        let factor = self.splat_like(factor, x);
        self.mul(factor, x)
    }

    /// `x^n` for an integer `n`.
    pub fn pow_int(&mut self, x: ValueId, n: i32) -> ValueId {
        self.must(Op::PowInt, &[x], Attr::Index(n as u32))
    }

    /// `if c then x else y`, elementwise
    pub fn select(&mut self, c: ValueId, x: ValueId, y: ValueId) -> ValueId {
        let (x, y) = self.level(x, y);
        let c = if self.shape(c).rank() == 0 && self.shape(x).rank() > 0 {
            self.broadcast_scalar(c, x)
        } else {
            c
        };
        self.must(Op::Select, &[c, x, y], Attr::None)
    }

    // ---- layout ----------------------------------------------------------------------------

    /// The elements of `x` in row-major order under another shape of the same count.
    pub fn reshape(&mut self, x: ValueId, shape: Shape) -> ValueId {
        self.must(Op::Reshape, &[x], Attr::Shape(shape))
    }

    /// Result axis `i` is operand axis `axes[i]`.
    pub fn permute(&mut self, x: ValueId, axes: &[u32]) -> ValueId {
        self.must(Op::Permute, &[x], Attr::Axes(axes.into()))
    }

    /// Operand axis `i` becomes axis `axes[i]` of `shape`; along the others elements repeat.
    pub fn broadcast(&mut self, x: ValueId, shape: Shape, axes: &[u32]) -> ValueId {
        self.must(Op::Broadcast, &[x], Attr::Broadcast { shape: shape.into(), axes: axes.into() })
    }

    /// The half-open range of each axis.
    pub fn slice(&mut self, x: ValueId, ranges: &[(u32, u32)]) -> ValueId {
        self.must(Op::Slice, &[x], Attr::Ranges(ranges.into()))
    }

    /// Elements `lo..hi` of a vector.
    pub fn part(&mut self, x: ValueId, lo: usize, hi: usize) -> ValueId {
        self.slice(x, &[(lo as u32, hi as u32)])
    }

    /// Windows along axes: pairs of an axis, ascending, and a length.
    pub fn windows(&mut self, x: ValueId, windows: Pairs) -> ValueId {
        self.must(Op::Windows, &[x], Attr::Windows(windows))
    }

    /// Joins along `axis`.
    pub fn concat(&mut self, parts: &[ValueId], axis: u32) -> ValueId {
        self.must(Op::Concat, parts, Attr::Axis(axis))
    }

    /// All elements in one vector.
    pub fn flatten(&mut self, x: ValueId) -> ValueId {
        let count = self.shape(x).count();
        self.reshape(x, Shape::new(&[count]))
    }

    /// The elements of all parts, flattened, in one vector. No parts give an empty `dtype` vector.
    pub fn pack(&mut self, parts: &[ValueId], dtype: DType) -> ValueId {
        if parts.is_empty() {
            return self.splat(0.0, Type::new(dtype, &[0]));
        }
        let flat: Vec<ValueId> = parts.iter().map(|part| self.flatten(*part)).collect();
        self.concat(&flat, 0)
    }

    /// Takes a packed vector apart into values of these shapes, in order.
    pub fn unpack(&mut self, packed: ValueId, shapes: &[Shape]) -> Vec<ValueId> {
        let mut at = 0;
        let mut parts = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let part = self.part(packed, at, at + shape.count());
            parts.push(self.reshape(part, shape.clone()));
            at += shape.count();
        }
        parts
    }

    // ---- reductions and products -----------------------------------------------------------

    /// Sum over `axes` (ascending).
    pub fn sum_axes(&mut self, x: ValueId, axes: &[u32]) -> ValueId {
        self.must(Op::Sum, &[x], Attr::Axes(axes.into()))
    }

    /// Sum of all elements.
    pub fn sum(&mut self, x: ValueId) -> ValueId {
        let axes: Vec<u32> = (0..self.shape(x).rank() as u32).collect();
        self.sum_axes(x, &axes)
    }

    /// `Σ x·y` over all elements of two tensors of one shape.
    pub fn dot(&mut self, x: ValueId, y: ValueId) -> ValueId {
        let letters: Vec<u8> = (0..self.shape(x).rank() as u8).collect();
        self.einsum(x, y, &letters, &letters, &[])
    }

    /// The einsum `lhs, rhs -> out`.
    pub fn einsum(&mut self, x: ValueId, y: ValueId, lhs: &[u8], rhs: &[u8], out: &[u8]) -> ValueId {
        let spec = Contraction { lhs: lhs.into(), rhs: rhs.into(), out: out.into() };
        self.must(Op::Contract, &[x, y], Attr::Contract(spec.into()))
    }

    /// The matrix product of operands with one or two axes each.
    pub fn matmul(&mut self, x: ValueId, y: ValueId) -> ValueId {
        let (lhs, rhs, out): (&[u8], &[u8], &[u8]) = match (self.shape(x).rank(), self.shape(y).rank()) {
            (2, 2) => (&[0, 1], &[1, 2], &[0, 2]),
            (2, 1) => (&[0, 1], &[1], &[0]),
            (1, 2) => (&[1], &[1, 2], &[2]),
            (1, 1) => (&[1], &[1], &[]),
            ranks => crate::bug!("matrix product of operands with {ranks:?} axes"),
        };
        self.einsum(x, y, lhs, rhs, out)
    }

    /// Whether there is nothing but parameters, each of which stands in `args` once at most. A function of
    /// these then keeps its nodes: none is there already, and what could be folded has been.
    fn is_only(&self, args: &[ValueId]) -> bool {
        if self.nodes.len() != self.params.len() {
            return false;
        }
        let mut met = vec![false; self.nodes.len()];
        args.iter().all(|arg| !std::mem::replace(&mut met[arg.index()], true))
    }

    /// `func` applied to `args` as [`Builder::inline`] does it; its nodes are moved where they stay what they are.
    pub(crate) fn absorb(&mut self, func: Func, args: &[ValueId]) -> Vec<ValueId> {
        let same_types = func.param_types().zip(args).all(|(ty, arg)| ty == self.ty(*arg));
        if !same_types || self.variables > 0 || !self.is_only(args) {
            return self.inline(&func, args);
        }
        assert_eq!(func.params.len(), args.len(), "arguments of `{}`", func.name);
        self.reserve_nodes(func.nodes.len());
        self.variables = variables(&func.nodes);
        let mut map: IndexVec<ValueId, ValueId> = IndexVec::with_capacity(func.nodes.len());
        for node in func.nodes {
            map.push(match (node.op, &node.attr) {
                (Op::Param, Attr::Index(index)) => args[*index as usize],
                _ => self.rename(node, &map),
            });
        }
        func.results.iter().map(|port| map[port.value]).collect()
    }

    /// `func` applied to `args`: its nodes are copied in. Returns its results.
    pub fn inline(&mut self, func: &Func, args: &[ValueId]) -> Vec<ValueId> {
        assert_eq!(func.params.len(), args.len(), "arguments of `{}`", func.name);
        let same_types = func.param_types().zip(args).all(|(ty, arg)| ty == self.ty(*arg));
        let renames = same_types && self.is_only(args);
        if renames {
            self.reserve_nodes(func.nodes.len());
        } else {
            self.reserve(func.nodes.len());
        }
        let mut map: IndexVec<ValueId, ValueId> = IndexVec::with_capacity(func.nodes.len());
        let outer = self.span;
        let mut variables: FastMap<u32, u32> = FastMap::default();
        for node in func.nodes.iter() {
            self.span = node.span.or(outer);
            let operands = || -> Args { node.args.iter().map(|arg| map[*arg]).collect() };
            let copy = match (node.op, &node.attr) {
                (Op::Param, Attr::Index(index)) => args[*index as usize],
                (Op::Variable, Attr::Index(index)) => {
                    let fresh = *variables.entry(*index).or_insert_with(|| {
                        self.variables += 1;
                        self.variables - 1
                    });
                    let variable = Node { attr: Attr::Index(fresh), ..node.clone() };
                    if renames {
                        self.rename(variable, &map)
                    } else {
                        self.intern(Op::Variable, variable.attr, operands(), variable.ty)
                    }
                }
                _ if renames => self.rename(node.clone(), &map),
                (Op::Constant, attr) => self.intern(Op::Constant, attr.clone(), Args::new(), node.ty.clone()),
                _ if same_types => self.copy(node, &operands()),
                (op, attr) => self.must(op, &operands(), attr.clone()),
            };
            map.push(copy);
        }
        self.span = outer;
        func.results.iter().map(|port| map[port.value]).collect()
    }
}

/// One more than the largest identity of a variable.
fn variables(nodes: &IndexVec<ValueId, Node>) -> u32 {
    let identity = |node: &Node| match (node.op, &node.attr) {
        (Op::Variable, Attr::Index(identity)) => identity + 1,
        _ => 0,
    };
    nodes.iter().map(identity).max().unwrap_or(0)
}
