//! Which elements of a result depend on which elements of a parameter, as far as derivatives see.
//!
//! In: a function without requests. Out: for each element of a result the elements of the parameter
//! that its derivative can be other than zero by, or some more. Rearrangements are followed element
//! by element, by the meaning in their own row, which moves numbers of sets as it moves numbers;
//! products with constants leave out what is multiplied by zero.

use crate::base::hash::FastMap;
use crate::base::index::IndexVec;
use crate::ir::eval::apply;
use crate::ir::func::{Attr, Func, Node, ValueId};
use crate::ir::op::{Derivative, Lowering, Op};
use crate::ir::ops::contract::summed_letters;
use crate::ir::tensor::Tensor;
use crate::ir::types::{Shape, Type};
use std::sync::Arc;

/// Elements looked at, products of contractions included, before the search is given up.
const MAX_WORK: usize = 1 << 25;
/// Members of all different sets together before the search is given up.
const MAX_MEMBERS: usize = 1 << 24;

/// For each element of result `result` of `func`, the elements of parameter `param` that it depends
/// on, ascending; `None` if there is too much to look at.
pub fn sparsity(func: &Func, result: usize, param: usize) -> Option<Vec<Arc<[u32]>>> {
    let mut search = Search { func, sets: Sets::new(), work: 0, values: IndexVec::new() };
    for (id, node) in func.nodes.entries() {
        search.spend(node.ty.shape.count())?;
        let value = search.value(node, id == func.params[param].value)?;
        search.values.push(value);
    }
    let of_result = &search.values[func.results[result].value];
    let count = func.ty(func.results[result].value).shape.count();
    let set = |at: usize| {
        search.sets.members[of_result.numbers.as_ref().map_or(EMPTY, |all| all[at] as usize)].clone()
    };
    Some((0..count).map(set).collect())
}

/// What is known of a value.
struct Value {
    /// The numbers of the sets of its elements; `None` if all of them are empty.
    numbers: Option<Vec<f64>>,
    /// Its elements, if it is made of constants alone.
    constant: Option<Tensor>,
}

struct Search<'f> {
    func: &'f Func,
    sets: Sets,
    work: usize,
    values: IndexVec<ValueId, Value>,
}

impl Search<'_> {
    fn spend(&mut self, elements: usize) -> Option<()> {
        self.work += elements;
        (self.work <= MAX_WORK && self.sets.total <= MAX_MEMBERS).then_some(())
    }

    fn value(&mut self, node: &Node, is_param: bool) -> Option<Value> {
        let count = node.ty.shape.count();
        if is_param {
            let numbers = (0..count).map(|at| self.sets.number(Arc::from([at as u32])) as f64).collect();
            return Some(Value { numbers: Some(numbers), constant: None });
        }
        let operands: Vec<&Value> = node.args.iter().map(|arg| &self.values[*arg]).collect();
        let constants: Option<Vec<&Tensor>> = operands.iter().map(|value| value.constant.as_ref()).collect();
        let constant = constants.filter(|_| node.op != Op::Param);
        if let Some(constant) = constant.and_then(|args| apply(node.op, &args, &node.attr, &node.ty)) {
            return Some(Value { numbers: None, constant: Some(constant) });
        }
        let passes = match node.op.def().derivative {
            Derivative::Zero | Derivative::Leaf | Derivative::Barrier => false,
            Derivative::Request => return None,
            Derivative::Linear(_)
            | Derivative::Bilinear(_)
            | Derivative::Elementwise(_)
            | Derivative::Composite(_) => node.ty.dtype.is_float(),
        };
        if !passes || operands.iter().all(|value| value.numbers.is_none()) {
            return Some(Value { numbers: None, constant: None });
        }
        let numbers = match node.op.def().lowering {
            Lowering::Scalar(_) => self.elementwise(node),
            Lowering::IndexMap => self.rearranged(node)?,
            Lowering::Reduce(_) => self.reduced(node),
            Lowering::Contract => self.contracted(node)?,
            Lowering::Leaf | Lowering::Expanded => return None,
        };
        Some(Value { numbers: Some(numbers), constant: None })
    }

    fn shape(&self, value: ValueId) -> &Shape {
        &self.func.ty(value).shape
    }

    /// The set of an element of an operand; no operand that is not a float has one.
    fn set(&self, value: ValueId, at: usize) -> usize {
        self.values[value].numbers.as_ref().map_or(EMPTY, |numbers| numbers[at] as usize)
    }

    /// Whether an element is known to be zero.
    fn is_zero(&self, value: ValueId, at: usize) -> bool {
        self.values[value].constant.as_ref().is_some_and(|constant| constant.data[at] == 0.0)
    }

    fn elementwise(&mut self, node: &Node) -> Vec<f64> {
        let args = node.args.clone();
        let is_product = matches!(node.op.def().derivative, Derivative::Bilinear(_));
        let element = |at: usize| {
            if is_product && args.iter().any(|arg| self.is_zero(*arg, at)) {
                return EMPTY as f64;
            }
            let found = args.iter().map(|arg| self.set(*arg, at)).collect();
            self.sets.union(found) as f64
        };
        (0..node.ty.shape.count()).map(element).collect()
    }

    fn rearranged(&mut self, node: &Node) -> Option<Vec<f64>> {
        if matches!(node.op, Op::Gather | Op::ScatterAdd) {
            return self.indexed(node);
        }
        let operand = |arg: &ValueId| self.tensor(*arg);
        let operands: Vec<Tensor> = node.args.iter().map(operand).collect();
        // Not rounded to the element type: these are numbers of sets.
        let ty = Type { dtype: crate::ir::types::DType::F64, shape: node.ty.shape.clone() };
        let refs: Vec<&Tensor> = operands.iter().collect();
        apply(node.op, &refs, &node.attr, &ty).map(|moved| moved.data)
    }

    /// The numbers of the sets of an operand, as a tensor.
    fn tensor(&self, value: ValueId) -> Tensor {
        let shape = self.shape(value).clone();
        let data = self.values[value].numbers.clone();
        let data = data.unwrap_or_else(|| vec![EMPTY as f64; shape.count()]);
        Tensor::new(Type { dtype: crate::ir::types::DType::F64, shape }, data)
    }

    /// `gather` and `scatter_add`; where the index is not known, it may be any.
    fn indexed(&mut self, node: &Node) -> Option<Vec<f64>> {
        let (x, index) = (node.args[0], node.args[1]);
        let (from, to) = (self.shape(x).clone(), node.ty.shape.clone());
        let gathers = node.op == Op::Gather;
        let n_rows = if gathers { from.dims()[0] } else { to.dims()[0] };
        let width: usize = (if gathers { &from } else { &to }).dims()[1..].iter().product();
        let n_picks = self.shape(index).count();
        let known = self.values[index].constant.as_ref().map(|constant| constant.data.clone());
        let rows = |pick: usize| match &known {
            Some(index) => index[pick] as usize..index[pick] as usize + 1,
            None => 0..n_rows,
        };
        self.spend((0..n_picks).map(|pick| rows(pick).len() * width).sum())?;
        let mut found: Vec<Vec<usize>> = vec![Vec::new(); to.count()];
        for pick in 0..n_picks {
            for row in rows(pick) {
                for at in 0..width {
                    let (source, target) = match gathers {
                        true => (row * width + at, pick * width + at),
                        false => (pick * width + at, row * width + at),
                    };
                    found[target].push(self.set(x, source));
                }
            }
        }
        Some(found.into_iter().map(|found| self.sets.union(found) as f64).collect())
    }

    fn reduced(&mut self, node: &Node) -> Vec<f64> {
        let Attr::Axes(axes) = &node.attr else { crate::bug!("reduction with {:?}", node.attr) };
        let shape = self.shape(node.args[0]).clone();
        let kept = (0..shape.rank()).filter(|axis| !axes.contains(&(*axis as u32)));
        // How far a step along each axis leads in the result.
        let mut strides = vec![0; shape.rank()];
        kept.zip(node.ty.shape.strides()).for_each(|(axis, stride)| strides[axis] = stride);
        let mut found: Vec<Vec<usize>> = vec![Vec::new(); node.ty.shape.count()];
        for (at, position) in positions(shape.dims()).enumerate() {
            let target = place(&position, &strides);
            found[target].push(self.set(node.args[0], at));
        }
        found.into_iter().map(|found| self.sets.union(found) as f64).collect()
    }

    fn contracted(&mut self, node: &Node) -> Option<Vec<f64>> {
        let Attr::Contract(spec) = &node.attr else { crate::bug!("contract with {:?}", node.attr) };
        let (x, y) = (node.args[0], node.args[1]);
        let summed = summed_letters(spec);
        let length = |letter: &u8| {
            let in_lhs = spec.lhs.iter().position(|l| l == letter).map(|axis| self.shape(x).dims()[axis]);
            let in_rhs = || spec.rhs.iter().position(|l| l == letter).map(|axis| self.shape(y).dims()[axis]);
            in_lhs.or_else(in_rhs).expect("a letter is in an operand")
        };
        let sum_dims: Vec<usize> = summed.iter().map(length).collect();
        let out_dims: Vec<usize> = spec.out.iter().map(length).collect();
        let count = |dims: &[usize]| dims.iter().product::<usize>();
        let products = count(&out_dims).checked_mul(count(&sum_dims))?;
        self.spend(products)?;
        let letters: Vec<u8> = spec.out.iter().chain(&summed).copied().collect();
        let [of_x, of_y] =
            [(x, &spec.lhs), (y, &spec.rhs)].map(|(arg, own)| strides(self.shape(arg), own, &letters));
        let mut numbers = Vec::with_capacity(count(&out_dims));
        for out in positions(&out_dims) {
            let mut found = Vec::new();
            for sum in positions(&sum_dims) {
                let position: Vec<usize> = out.iter().chain(&sum).copied().collect();
                let (at_x, at_y) = (place(&position, &of_x), place(&position, &of_y));
                if !self.is_zero(x, at_x) && !self.is_zero(y, at_y) {
                    found.extend([self.set(x, at_x), self.set(y, at_y)]);
                }
            }
            numbers.push(self.sets.union(found) as f64);
        }
        Some(numbers)
    }
}

/// How far a step along each of `letters` leads in an operand whose axes are `own`.
fn strides(shape: &Shape, own: &[u8], letters: &[u8]) -> Vec<usize> {
    let of_operand = shape.strides();
    let stride = |letter: &u8| own.iter().position(|l| l == letter).map_or(0, |axis| of_operand[axis]);
    letters.iter().map(stride).collect()
}

fn place(position: &[usize], strides: &[usize]) -> usize {
    position.iter().zip(strides).map(|(at, stride)| at * stride).sum()
}

/// Every position of a box, in row-major order.
fn positions(dims: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let dims = dims.to_vec();
    (0..dims.iter().product::<usize>()).map(move |flat| {
        let (mut position, mut rest) = (vec![0; dims.len()], flat);
        for axis in (0..dims.len()).rev() {
            position[axis] = rest % dims[axis];
            rest /= dims[axis];
        }
        position
    })
}

/// The number of the set without members: zero, as which `pad` fills.
const EMPTY: usize = 0;

/// Sets of elements, each kept once.
struct Sets {
    members: Vec<Arc<[u32]>>,
    numbers: FastMap<Arc<[u32]>, usize>,
    unions: FastMap<(usize, usize), usize>,
    total: usize,
}

impl Sets {
    fn new() -> Sets {
        let mut sets =
            Sets { members: Vec::new(), numbers: FastMap::default(), unions: FastMap::default(), total: 0 };
        let empty = sets.number(Arc::from([]));
        debug_assert_eq!(empty, EMPTY);
        sets
    }

    /// The number of the set with these members, ascending.
    fn number(&mut self, members: Arc<[u32]>) -> usize {
        if let Some(number) = self.numbers.get(&members) {
            return *number;
        }
        let number = self.members.len();
        self.total += members.len();
        self.members.push(members.clone());
        self.numbers.insert(members, number);
        number
    }

    /// The number of the union of sets, by halves, so that many sets of one member cost little.
    fn union(&mut self, mut found: Vec<usize>) -> usize {
        found.retain(|set| *set != EMPTY);
        found.sort_unstable();
        found.dedup();
        while found.len() > 1 {
            let pairs = found.chunks(2).map(|pair| match pair {
                [a, b] => self.union_of_two(*a, *b),
                _ => pair[0],
            });
            found = pairs.collect();
        }
        found.first().copied().unwrap_or(EMPTY)
    }

    fn union_of_two(&mut self, a: usize, b: usize) -> usize {
        if a == b {
            return a;
        }
        let key = (a.min(b), a.max(b));
        if let Some(number) = self.unions.get(&key) {
            return *number;
        }
        let mut members: Vec<u32> = self.members[a].iter().chain(self.members[b].iter()).copied().collect();
        members.sort_unstable();
        members.dedup();
        let number = self.number(members.into());
        self.unions.insert(key, number);
        number
    }
}
