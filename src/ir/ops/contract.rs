//! The sum of products over shared indices: matrix products, dot products, outer products.

use super::ANY;
use crate::ir::builder::Builder;
use crate::ir::func::{Attr, Contraction, ValueId};
use crate::ir::infer::operand_count;
use crate::ir::infer::wrong_attr;
use crate::ir::op::{Derivative, Eval, Lowering, OpDef, ShapeError, Signature};
use crate::ir::tensor::Tensor;
use crate::ir::types::{Shape, Type};
use smallvec::SmallVec;

/// Einsum of two operands.
pub const CONTRACT: OpDef = OpDef {
    name: "contract",
    doc: "The einsum `lhs, rhs -> out` (attribute `Contract`): letters absent from `out` are summed, in the order \
          in which they first occur in `lhs`, then `rhs`, the last fastest, starting from the first product. An \
          empty sum is 0.",
    source: "Einstein, Annalen der Physik 49, 1916, section 5; NumPy: einsum",
    signature: Signature::Rule(|args, attr| {
        operand_count(args, 2)?;
        let Attr::Contract(spec) = attr else { return Err(wrong_attr("a contraction", attr)) };
        for (position, ty) in args.iter().enumerate() {
            if !ty.dtype.is_float() {
                return Err(ShapeError::Element(position, "a float"));
            }
        }
        if args[0].dtype != args[1].dtype {
            return Err(ShapeError::Element(1, args[0].dtype.name()));
        }
        if spec.lhs.len() != args[0].shape.rank() {
            return Err(ShapeError::Rank(0, "one axis for each letter"));
        }
        if spec.rhs.len() != args[1].shape.rank() {
            return Err(ShapeError::Rank(1, "one axis for each letter"));
        }
        for letters in [&spec.lhs, &spec.rhs, &spec.out] {
            if (1..letters.len()).any(|at| letters[..at].contains(&letters[at])) {
                return Err(ShapeError::Other(format!("a letter repeats in {letters:?}")));
            }
        }
        for (letter, dim) in spec.lhs.iter().zip(args[0].shape.dims()) {
            if let Some(other) = length(&spec.rhs, &args[1].shape, *letter)
                && other != *dim
            {
                return Err(ShapeError::Unequal(args[0].shape.clone(), args[1].shape.clone()));
            }
        }
        let mut dims = SmallVec::new();
        for letter in &spec.out {
            let dim = length(&spec.lhs, &args[0].shape, *letter)
                .or_else(|| length(&spec.rhs, &args[1].shape, *letter))
                .ok_or_else(|| ShapeError::Other(format!("letter {letter} is in no operand")))?;
            dims.push(dim);
        }
        Ok(Type { dtype: args[0].dtype, shape: Shape(dims) })
    }),
    eval: Eval::Tensor(|args, attr, ty| {
        let Attr::Contract(spec) = attr else { crate::bug!("contract with {attr:?}") };
        let (lhs, rhs) = (args[0], args[1]);
        let summed = summed_letters(spec);
        let summed_dims = summed.iter().map(|letter| {
            length(&spec.lhs, &lhs.ty.shape, *letter)
                .or_else(|| length(&spec.rhs, &rhs.ty.shape, *letter))
                .expect("a summed letter is in an operand")
        });
        let summed_shape = Shape(summed_dims.collect());
        // Where each operand begins for an element of the result, and how far it goes for each term.
        let [left, right] = [(&spec.lhs, lhs), (&spec.rhs, rhs)].map(|(letters, x)| {
            let starts = offsets(&spec.out, &ty.shape, letters, &x.ty.shape);
            (&x.data, starts, offsets(&summed, &summed_shape, letters, &x.ty.shape))
        });
        let mut data = Vec::with_capacity(ty.shape.count());
        for (a, b) in left.1.iter().zip(&right.1) {
            let products = left.2.iter().zip(&right.2).map(|(i, j)| left.0[a + i] * right.0[b + j]);
            data.push(products.reduce(|total, product| total + product).unwrap_or(0.0));
        }
        Tensor::new(ty.clone(), data)
    }),
    derivative: Derivative::Bilinear(transpose),
    lowering: Lowering::Contract,
    domain: &[ANY],
};

/// For every position in `shape`, whose axes have the letters `over`, the part of the row-major number
/// of an element of `operand`, with axes `letters`, that comes from these.
fn offsets(over: &[u8], shape: &Shape, letters: &[u8], operand: &Shape) -> Vec<usize> {
    let stride = |letter: &u8| {
        letters.iter().position(|l| l == letter).map_or(0, |axis| operand.0[axis + 1..].iter().product())
    };
    let mut offsets = vec![0];
    for (letter, dim) in over.iter().zip(shape.dims()) {
        let stride: usize = stride(letter);
        offsets = offsets.iter().flat_map(|start| (0..*dim).map(move |at| start + at * stride)).collect();
    }
    offsets
}

/// The letters that are summed, in the order of the sum.
pub fn summed_letters(spec: &Contraction) -> SmallVec<[u8; 4]> {
    let mut summed: SmallVec<[u8; 4]> = SmallVec::new();
    for letter in spec.lhs.iter().chain(&spec.rhs) {
        if !spec.out.contains(letter) && !summed.contains(letter) {
            summed.push(*letter);
        }
    }
    summed
}

/// `out, other -> operand`, a contraction again; along a letter that only the operand has, the
/// cotangent repeats.
fn transpose(b: &mut Builder, operand: usize, args: &[ValueId], attr: &Attr, ct: ValueId) -> ValueId {
    let Attr::Contract(spec) = attr else { crate::bug!("contract with {attr:?}") };
    let (own, other) = if operand == 0 { (&spec.lhs, &spec.rhs) } else { (&spec.rhs, &spec.lhs) };
    let known = |letter: &u8| spec.out.contains(letter) || other.contains(letter);
    let kept: Vec<u8> = own.iter().copied().filter(|letter| known(letter)).collect();
    let axes: Vec<u32> = (0..own.len() as u32).filter(|axis| known(&own[*axis as usize])).collect();
    let part = b.einsum(ct, args[1 - operand], &spec.out, other, &kept);
    let shape = b.shape(args[operand]).clone();
    b.broadcast(part, shape, &axes)
}

fn length(letters: &[u8], shape: &Shape, letter: u8) -> Option<usize> {
    letters.iter().position(|l| *l == letter).map(|axis| shape.0[axis])
}
