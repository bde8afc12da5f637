//! Batching: one function of many examples from a function of one.
//!
//! Mapped values gain a leading axis of length `n`; values that are the same for every example
//! stay as they are, so that shared weights make one matrix product. Knows the structural ops by
//! name, because they number axes; everything elementwise is one rule.

use crate::ad::errors::AdError;
use crate::base::index::IndexVec;
use crate::ir::builder::Builder;
use crate::ir::func::{Attr, Func, Node, ValueId};
use crate::ir::op::{Lowering, Op};
use crate::ir::types::{DType, Shape};

/// `func` on `n` examples at once: each parameter with `mapped[i]` and every result has a leading
/// axis of length `n`. Requests have to be expanded before.
pub fn batch_func(func: &Func, mapped: &[bool], n: usize) -> Result<Func, AdError> {
    assert_eq!(func.params.len(), mapped.len(), "one flag for each parameter of `{}`", func.name);
    let mut batch = Batch { b: Builder::new(func.name.clone()), n };
    let mut params = Vec::with_capacity(mapped.len());
    for (port, mapped) in func.params.iter().zip(mapped) {
        let mut ty = func.ty(port.value).clone();
        if *mapped {
            ty.shape = batch.batched(&ty.shape);
        }
        params.push(Lifted { id: batch.b.param(port.name.clone(), ty), mapped: *mapped });
    }
    let mut values: IndexVec<ValueId, Lifted> = IndexVec::new();
    for node in func.nodes.iter() {
        batch.b.set_span(node.span);
        let args: Vec<Lifted> = node.args.iter().map(|arg| values[*arg]).collect();
        values.push(match (node.op, &node.attr) {
            (Op::Param, Attr::Index(index)) => params[*index as usize],
            _ => batch.node(node, &args)?,
        });
    }
    let results =
        func.results.iter().map(|port| (port.name.clone(), batch.spread(values[port.value]))).collect();
    Ok(batch.b.finish(results))
}

/// A value of one example, or of many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifted {
    /// The value.
    pub id: ValueId,
    /// Whether it has a leading axis, one place for each example.
    pub mapped: bool,
}

/// `node` with operands of `n` examples.
pub(crate) fn lift(b: &mut Builder, node: &Node, args: &[Lifted], n: usize) -> Result<Lifted, AdError> {
    let mut batch = Batch { b: std::mem::take(b), n };
    let lifted = batch.node(node, args);
    *b = batch.b;
    lifted
}

struct Batch {
    b: Builder,
    n: usize,
}

impl Batch {
    fn batched(&self, shape: &Shape) -> Shape {
        Shape(std::iter::once(self.n).chain(shape.dims().iter().copied()).collect())
    }

    /// The value with a leading axis, whatever it is.
    fn spread(&mut self, value: Lifted) -> ValueId {
        if value.mapped {
            return value.id;
        }
        let shape = self.batched(self.b.shape(value.id));
        let axes: Vec<u32> = (1..shape.rank() as u32).collect();
        self.b.broadcast(value.id, shape, &axes)
    }

    fn node(&mut self, node: &Node, args: &[Lifted]) -> Result<Lifted, AdError> {
        if node.op.def().lowering == Lowering::Expanded {
            return Err(AdError::Request { op: node.op.def().name, span: node.span });
        }
        if args.iter().all(|arg| !arg.mapped) {
            let ids: Vec<ValueId> = args.iter().map(|arg| arg.id).collect();
            let id = match node.op {
                Op::Constant => self.b.intern(node.op, node.attr.clone(), node.args.clone(), node.ty.clone()),
                Op::Variable => self.b.variable(ids[0]),
                op => self.b.must(op, &ids, node.attr.clone()),
            };
            return Ok(Lifted { id, mapped: false });
        }
        let id = match node.op.def().lowering {
            Lowering::Scalar(_) => {
                let ids: Vec<ValueId> = args.iter().map(|arg| self.spread(*arg)).collect();
                match node.op {
                    Op::Variable => self.b.variable(ids[0]),
                    op => self.b.must(op, &ids, node.attr.clone()),
                }
            }
            Lowering::IndexMap => self.rearranged(node, args),
            Lowering::Reduce(_) => {
                let attr = Attr::Axes(shifted(axes_of(&node.attr)));
                self.b.must(node.op, &[args[0].id], attr)
            }
            Lowering::Contract => self.contraction(node, args),
            Lowering::Leaf | Lowering::Expanded => {
                crate::bug!("`{}` has no mapped operands", node.op.def().name)
            }
        };
        Ok(Lifted { id, mapped: true })
    }

    fn rearranged(&mut self, node: &Node, args: &[Lifted]) -> ValueId {
        let x = args[0].id;
        let n = self.n as u32;
        let attr = match &node.attr {
            Attr::Shape(shape) if node.op == Op::ScatterAdd => {
                return self.scattered(args[0], args[1], shape);
            }
            Attr::Shape(shape) => Attr::Shape(self.batched(shape)),
            Attr::Axes(axes) if node.op == Op::Permute => {
                Attr::Axes(std::iter::once(0).chain(shifted(axes)).collect())
            }
            Attr::Broadcast { shape, axes } => Attr::Broadcast {
                shape: self.batched(shape).into(),
                axes: std::iter::once(0).chain(shifted(axes)).collect(),
            },
            Attr::Ranges(ranges) => {
                Attr::Ranges(std::iter::once((0, n)).chain(ranges.iter().copied()).collect())
            }
            Attr::Pads(pads) => Attr::Pads(std::iter::once((0, 0)).chain(pads.iter().copied()).collect()),
            Attr::Axes(axes) => Attr::Axes(shifted(axes)),
            Attr::Windows(windows) => {
                Attr::Windows(windows.iter().map(|(axis, length)| (axis + 1, *length)).collect())
            }
            Attr::Axis(axis) => {
                let ids: Vec<ValueId> = args.iter().map(|arg| self.spread(*arg)).collect();
                return self.b.concat(&ids, axis + 1);
            }
            Attr::None if node.op == Op::Gather => return self.gathered(args[0], args[1]),
            other => crate::bug!("no rule to batch `{}` with {other:?}", node.op.def().name),
        };
        self.b.must(node.op, &[x], attr)
    }

    fn gathered(&mut self, x: Lifted, index: Lifted) -> ValueId {
        if !index.mapped {
            // The rows of all examples at once: the batch axis stands second meanwhile.
            let turned = self.second_axis_first(x.id);
            let rows = self.b.must(Op::Gather, &[turned, index.id], Attr::None);
            let indices = self.b.shape(index.id).rank();
            return if indices == 0 { rows } else { self.second_axis_first(rows) };
        }
        let (table, offset) =
            if x.mapped { (self.leading_axes_joined(x.id), self.b.shape(x.id).0[1]) } else { (x.id, 0) };
        let flat = self.flat_index(index.id, offset);
        let rows = self.b.must(Op::Gather, &[table, flat], Attr::None);
        let rest = self.b.shape(table).dims()[1..].to_vec();
        let dims = self.b.shape(index.id).dims().iter().copied().chain(rest).collect();
        self.b.reshape(rows, Shape(dims))
    }

    fn scattered(&mut self, x: Lifted, index: Lifted, shape: &Shape) -> ValueId {
        let batched = self.batched(shape);
        let spread = self.spread(x);
        if !index.mapped {
            let turned =
                if self.b.shape(index.id).rank() == 0 { spread } else { self.second_axis_first(spread) };
            let mut dims = batched.0;
            dims.swap(0, 1);
            let sums = self.b.must(Op::ScatterAdd, &[turned, index.id], Attr::Shape(Shape(dims)));
            return self.second_axis_first(sums);
        }
        let scalar = self.b.shape(index.id).rank() == 1;
        let rows = if scalar { spread } else { self.leading_axes_joined(spread) };
        let flat = self.flat_index(index.id, shape.0[0]);
        let mut dims = shape.0.clone();
        dims[0] *= self.n;
        let sums = self.b.must(Op::ScatterAdd, &[rows, flat], Attr::Shape(Shape(dims)));
        self.b.reshape(sums, batched)
    }

    /// Each example's indices, moved by `offset` times its number, in one vector.
    fn flat_index(&mut self, index: ValueId, offset: usize) -> ValueId {
        let shape = self.b.shape(index).clone();
        let moved = if offset == 0 {
            index
        } else {
            let examples = self.b.must(Op::Iota, &[], Attr::Shape(Shape::new(&[self.n])));
            let starts = self.b.scale(offset as f64, examples);
            let starts = self.b.broadcast(starts, shape, &[0]);
            self.b.add(index, starts)
        };
        debug_assert_eq!(self.b.ty(moved).dtype, DType::I64);
        self.b.flatten(moved)
    }

    fn second_axis_first(&mut self, x: ValueId) -> ValueId {
        let rank = self.b.shape(x).rank() as u32;
        let axes: Vec<u32> = [1, 0].into_iter().chain(2..rank).collect();
        self.b.permute(x, &axes)
    }

    fn leading_axes_joined(&mut self, x: ValueId) -> ValueId {
        let dims = self.b.shape(x).dims();
        let joined = std::iter::once(dims[0] * dims[1]).chain(dims[2..].iter().copied()).collect();
        self.b.reshape(x, Shape(joined))
    }

    fn contraction(&mut self, node: &Node, args: &[Lifted]) -> ValueId {
        let Attr::Contract(spec) = &node.attr else { crate::bug!("contract with {:?}", node.attr) };
        let mut spec = (**spec).clone();
        let used = spec.lhs.iter().chain(&spec.rhs);
        let letter = used.max().map_or(0, |last| last + 1);
        if args[0].mapped {
            spec.lhs.insert(0, letter);
        }
        if args[1].mapped {
            spec.rhs.insert(0, letter);
        }
        spec.out.insert(0, letter);
        self.b.must(Op::Contract, &[args[0].id, args[1].id], Attr::Contract(spec.into()))
    }
}

fn shifted(axes: &[u32]) -> smallvec::SmallVec<[u32; 4]> {
    axes.iter().map(|axis| axis + 1).collect()
}

fn axes_of(attr: &Attr) -> &[u32] {
    match attr {
        Attr::Axes(axes) => axes,
        other => crate::bug!("reduction with {other:?}"),
    }
}
