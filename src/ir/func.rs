//! A function of the tensor IR: interned nodes in definition order, parameters, results.
//!
//! A [`Func`] describes one example; the batch axis is added by `ad::batch`. Nodes are pure and
//! unique: two nodes of one function never have equal op, attribute, operands and type, and every
//! operand precedes its user. Functions are made by [`Builder`](crate::ir::builder::Builder) and
//! by nothing else, which is what upholds this.

use crate::base::index::{Idx, IndexVec};
use crate::base::span::Span;
use crate::ir::op::Op;
use crate::ir::types::{Shape, Type};
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

crate::index_type!(
    /// A node of a [`Func`], and the value it stands for.
    ValueId, "%"
);

/// Operands of a node.
pub type Args = SmallVec<[ValueId; 3]>;

/// One operation with its result type.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// What the op needs beside its operands.
    pub attr: Attr,
    /// From what.
    pub args: Args,
    /// The type of the result.
    pub ty: Type,
    /// The source text it came from. Not part of a node's identity: the first one to build it wins.
    pub span: Option<Span>,
}

/// Two numbers for each of a few axes.
pub type Pairs = SmallVec<[(u32, u32); 2]>;

/// What an op needs beside its operands. Each op's definition says which form it takes. What would make
/// every node larger is behind a pointer: a function has many nodes, most of them scalar.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attr {
    /// Nothing.
    None,
    /// The number of a parameter, or the identity of a [`Op::Variable`].
    Index(u32),
    /// A constant every element of which has these `f64` bits (converted to the element type).
    Splat(u64),
    /// A constant given element by element as `f64` bits.
    Elements(Arc<[u64]>),
    /// Axes: the permutation of `Permute` (result axis `i` is operand axis `axes[i]`), the axes a
    /// reduction removes (ascending), those `Reverse` turns round.
    Axes(SmallVec<[u32; 4]>),
    /// A result shape, for `Reshape`.
    Shape(Shape),
    /// `Broadcast`: operand axis `i` becomes result axis `axes[i]` (ascending); the others are new.
    Broadcast {
        /// Result shape.
        shape: Arc<Shape>,
        /// Where the operand's axes go.
        axes: Arc<[u32]>,
    },
    /// `Slice`: for each axis the half-open range kept.
    Ranges(Pairs),
    /// `Pad`: for each axis the number of zeros before and after.
    Pads(Pairs),
    /// `Windows`: axes, ascending, and for each the length of a window.
    Windows(Pairs),
    /// `Concat`: the axis along which operands are joined.
    Axis(u32),
    /// `Contract`: an einsum of two operands; each letter is a small number, unique within an
    /// operand; letters absent from the result are summed.
    Contract(Arc<Contraction>),
    /// `Derivative`s along the flow: how many.
    Order(u32),
    /// `Convert`: to which element type.
    To(crate::ir::types::DType),
}

/// The index letters of an einsum `lhs, rhs -> out`. Every letter of `out` occurs in `lhs` or
/// `rhs`, and no letter repeats within one of the three lists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Contraction {
    /// One letter for each axis of the left operand.
    pub lhs: SmallVec<[u8; 4]>,
    /// One letter for each axis of the right operand.
    pub rhs: SmallVec<[u8; 4]>,
    /// One letter for each axis of the result.
    pub out: SmallVec<[u8; 4]>,
}

/// A named value: a parameter or a result.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its name, unique among the parameters (or results) of the function.
    pub name: Arc<str>,
    /// Its value.
    pub value: ValueId,
}

/// A function. `params[i].value` is the node `Op::Param` with index `i`.
#[derive(Clone, Debug, Default)]
pub struct Func {
    /// Its name in printed IR.
    pub name: String,
    /// What it takes.
    pub params: Vec<Port>,
    /// What it computes, operands first.
    pub nodes: IndexVec<ValueId, Node>,
    /// What it gives.
    pub results: Vec<Port>,
}

impl Func {
    /// The type of a value.
    pub fn ty(&self, value: ValueId) -> &Type {
        &self.nodes[value].ty
    }

    /// Whether `value` is computed from `source`.
    pub fn depends(&self, value: ValueId, source: ValueId) -> bool {
        let mut reached = vec![false; self.nodes.len()];
        for (id, node) in self.nodes.entries() {
            reached[id.index()] = id == source || node.args.iter().any(|arg| reached[arg.index()]);
        }
        reached[value.index()]
    }

    /// Which parameters the results numbered in `results` are computed from, by their number.
    pub fn reads(&self, results: impl IntoIterator<Item = usize>) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        results.into_iter().for_each(|result| needed[self.results[result].value.index()] = true);
        for (id, node) in self.nodes.entries().rev() {
            if needed[id.index()] {
                node.args.iter().for_each(|arg| needed[arg.index()] = true);
            }
        }
        self.params.iter().map(|port| needed[port.value.index()]).collect()
    }

    /// The types of the parameters.
    pub fn param_types(&self) -> impl Iterator<Item = &Type> {
        self.params.iter().map(|port| self.ty(port.value))
    }

    /// The types of the results.
    pub fn result_types(&self) -> impl Iterator<Item = &Type> {
        self.results.iter().map(|port| self.ty(port.value))
    }
}

/// What a function computes, without the names and the places in the source that it does not depend on. Equal
/// contents hash equally, and others, with a hash that can tell them apart, do not.
#[derive(Clone, Copy, Debug)]
pub struct Content<'f>(&'f Func);

impl Func {
    /// See [`Content`].
    pub fn content(&self) -> Content<'_> {
        Content(self)
    }
}

impl Hash for Content<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Func { name: _, params, nodes, results } = self.0;
        nodes.len().hash(state);
        for Node { op, attr, args, ty, span: _ } in nodes.iter() {
            (op, attr, args, ty).hash(state);
        }
        for ports in [params, results] {
            ports.len().hash(state);
            ports.iter().for_each(|Port { name: _, value }| value.hash(state));
        }
    }
}

/// The nodes that the results need, and all parameters, renumbered in the old order.
pub(crate) fn without_dead_nodes(func: Func) -> Func {
    let mut needed = vec![false; func.nodes.len()];
    for port in func.params.iter().chain(&func.results) {
        needed[port.value.index()] = true;
    }
    for (id, node) in func.nodes.entries().rev() {
        if needed[id.index()] {
            for arg in &node.args {
                needed[arg.index()] = true;
            }
        }
    }
    if needed.iter().all(|needed| *needed) {
        return func;
    }
    let mut map: IndexVec<ValueId, ValueId> = IndexVec::new();
    let mut nodes = IndexVec::new();
    for (mut node, needed) in func.nodes.into_iter().zip(needed) {
        // A dead node's place in the map is never read.
        map.push(ValueId::from_usize(nodes.len()));
        if needed {
            node.args.iter_mut().for_each(|arg| *arg = map[*arg]);
            nodes.push(node);
        }
    }
    let renumbered = |ports: Vec<Port>| -> Vec<Port> {
        ports.into_iter().map(|port| Port { value: map[port.value], ..port }).collect()
    };
    Func { name: func.name, params: renumbered(func.params), nodes, results: renumbered(func.results) }
}
