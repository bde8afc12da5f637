//! For every op, small functions that use it, with arguments from its domain.

use nodec::ir::builder::Builder;
use nodec::ir::func::{Attr, Func, ValueId};
use nodec::ir::op::{Domain, Lowering, Op};
use nodec::ir::tensor::Tensor;
use nodec::ir::types::{DType, Shape, Type};
use std::sync::Arc;

/// A function whose result `y` is one application of an op to its parameters.
pub struct Sample {
    pub func: Func,
    pub args: Vec<Tensor>,
}

impl Sample {
    /// The parameters that have derivatives.
    pub fn floats(&self) -> Vec<usize> {
        (0..self.args.len()).filter(|i| self.args[*i].ty.dtype.is_float()).collect()
    }

    /// Whether the result has derivatives.
    pub fn smooth(&self) -> bool {
        self.func.result_types().all(|ty| ty.dtype.is_float())
    }
}

/// A repeatable stream of numbers (Knuth's MMIX multiplier).
pub struct Stream(pub u64);

impl Stream {
    pub fn uniform(&mut self, lo: f64, hi: f64) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        lo + (hi - lo) * (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn tensor(&mut self, ty: &Type, domain: &Domain) -> Tensor {
        let data = (0..ty.shape.count())
            .map(|_| match ty.dtype {
                DType::Bool => self.uniform(0.0, 2.0).floor().min(1.0),
                DType::I64 => self.uniform(0.0, 3.0).floor().min(2.0),
                DType::F64 => self.uniform(domain.lo, domain.hi),
                DType::F32 => f64::from(self.uniform(domain.lo, domain.hi) as f32),
            })
            .collect();
        Tensor::new(ty.clone(), data)
    }
}

/// The samples of `op`. Requests have none: they are not evaluated but expanded.
pub fn samples(op: Op) -> Vec<Sample> {
    let f64s = |dims: &[usize]| Type::new(DType::F64, dims);
    let bools = |dims: &[usize]| Type::new(DType::Bool, dims);
    let index = |dims: &[usize]| Type::new(DType::I64, dims);
    let axes = |axes: &[u32]| Attr::Axes(axes.into());
    let shape = |dims: &[usize]| Attr::Shape(Shape::new(dims));
    let windows = |windows: &[(u32, u32)]| Attr::Windows(windows.into());
    let einsum = |lhs: &[u8], rhs: &[u8], out: &[u8]| {
        Attr::Contract(
            nodec::ir::func::Contraction { lhs: lhs.into(), rhs: rhs.into(), out: out.into() }.into(),
        )
    };
    let cases: Vec<(Vec<Type>, Attr)> = match op {
        Op::Param | Op::Constant => vec![],
        Op::Iota => vec![(vec![], shape(&[3]))],
        Op::Variable => vec![(vec![f64s(&[3])], Attr::Index(0))],
        Op::Convert => vec![
            (vec![f64s(&[3])], Attr::To(DType::I64)),
            (vec![f64s(&[3])], Attr::To(DType::Bool)),
            (vec![index(&[3])], Attr::To(DType::F64)),
        ],
        Op::PowInt => [-3, -1, 0, 1, 2, 3, 5].map(|n: i32| (vec![f64s(&[3])], Attr::Index(n as u32))).into(),
        Op::Polygamma => [1, 2, 5].map(|n| (vec![f64s(&[3])], Attr::Index(n))).into(),
        Op::And | Op::Or => vec![(vec![bools(&[6]), bools(&[6])], Attr::None)],
        Op::Not => vec![(vec![bools(&[2])], Attr::None)],
        Op::Select => vec![(vec![bools(&[2, 3]), f64s(&[2, 3]), f64s(&[2, 3])], Attr::None)],
        Op::Reshape => vec![(vec![f64s(&[2, 3])], shape(&[3, 1, 2])), (vec![f64s(&[])], shape(&[1]))],
        Op::Permute => vec![(vec![f64s(&[2, 3, 4])], axes(&[1, 2, 0])), (vec![f64s(&[2, 3])], axes(&[1, 0]))],
        Op::Broadcast => vec![
            (
                vec![f64s(&[])],
                Attr::Broadcast { shape: Shape::new(&[2, 3]).into(), axes: [].as_slice().into() },
            ),
            (
                vec![f64s(&[3])],
                Attr::Broadcast { shape: Shape::new(&[2, 3, 2]).into(), axes: [1].as_slice().into() },
            ),
        ],
        Op::Slice => vec![(vec![f64s(&[4, 3])], Attr::Ranges([(1, 3), (0, 2)].as_slice().into()))],
        Op::Pad => vec![(vec![f64s(&[2, 3])], Attr::Pads([(1, 0), (0, 2)].as_slice().into()))],
        Op::Concat => vec![(vec![f64s(&[2, 1]), f64s(&[2, 3]), f64s(&[2, 2])], Attr::Axis(1))],
        Op::Reverse => vec![(vec![f64s(&[2, 3])], axes(&[1])), (vec![f64s(&[2, 3])], axes(&[0, 1]))],
        Op::Windows => vec![
            (vec![f64s(&[5])], windows(&[(0, 2)])),
            (vec![f64s(&[2, 4, 3])], windows(&[(1, 3), (2, 2)])),
            (vec![f64s(&[3])], windows(&[(0, 4)])),
        ],
        Op::Gather => vec![
            (vec![f64s(&[3, 2]), index(&[4])], Attr::None),
            (vec![f64s(&[3, 2]), index(&[])], Attr::None),
            (vec![f64s(&[3]), index(&[2])], Attr::None),
        ],
        Op::ScatterAdd => vec![
            (vec![f64s(&[4, 2]), index(&[4])], shape(&[3, 2])),
            (vec![f64s(&[2]), index(&[])], shape(&[3, 2])),
        ],
        Op::Sum | Op::Product | Op::ReduceMax | Op::ReduceMin => vec![
            (vec![f64s(&[5])], axes(&[0])),
            (vec![f64s(&[2, 3, 3])], axes(&[0, 2])),
            (vec![f64s(&[2, 3])], axes(&[])),
        ],
        Op::Contract => vec![
            (vec![f64s(&[2, 3]), f64s(&[3, 4])], einsum(&[0, 1], &[1, 2], &[0, 2])),
            (vec![f64s(&[3]), f64s(&[3])], einsum(&[0], &[0], &[])),
            (vec![f64s(&[2]), f64s(&[3])], einsum(&[0], &[1], &[1, 0])),
            (vec![f64s(&[2, 3]), f64s(&[4])], einsum(&[0, 1], &[2], &[2])),
            (vec![f64s(&[2, 3]), f64s(&[2])], einsum(&[0, 1], &[0], &[1, 0])),
        ],
        _ if op.def().lowering == Lowering::Expanded => vec![],
        _ => elementwise(op),
    };
    cases.into_iter().enumerate().map(|(number, (types, attr))| sample(op, number, &types, attr)).collect()
}

/// Ops without an attribute that take one to three operands of one type.
fn elementwise(op: Op) -> Vec<(Vec<Type>, Attr)> {
    let ty = Type::new(DType::F64, &[4]);
    let fits = |n: &usize| nodec::ir::infer::result_type(op, &vec![&ty; *n], &Attr::None).is_ok();
    let n = (1..=3).find(fits).unwrap_or_else(|| panic!("`{}` needs samples here", op.def().name));
    vec![(vec![ty.clone(); n], Attr::None)]
}

fn sample(op: Op, number: usize, types: &[Type], attr: Attr) -> Sample {
    let mut b = Builder::new(op.def().name);
    let mut stream = Stream(1000 * op as u64 + number as u64);
    let mut values: Vec<ValueId> = Vec::new();
    let mut args = Vec::new();
    for (position, ty) in types.iter().enumerate() {
        let domains = op.def().domain;
        args.push(stream.tensor(ty, &domains[position.min(domains.len() - 1)]));
        values.push(b.param(format!("x{position}"), ty.clone()));
    }
    let y = if op == Op::Variable { b.variable(values[0]) } else { b.must(op, &values, attr) };
    Sample { func: b.finish(vec![(Arc::from("y"), y)]), args }
}
