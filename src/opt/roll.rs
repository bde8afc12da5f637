//! Rolling: entries of one form, written out one by one, become one expression of a vector.
//!
//! Comprehensions, families of equations and columns of a Jacobian arrive entry by entry, joined at
//! last by a `concat`. Entries whose expressions differ in nothing but constants and in which
//! elements they take from elsewhere are computed together: constants become a table, elements a
//! `gather` by constant numbers (which [`taken`] turns into slices where it can), every op its batched
//! self. Code then grows with the number of forms instead of the number of entries. Each entry is
//! computed by the operations it was computed by before.

pub(super) mod taken;

use crate::ad::batch::{Lifted, lift};
use crate::base::hash::{FastHash, FastMap, FastSet};
use crate::base::index::Idx;
use crate::ir::builder::Builder;
use crate::ir::fold::is_commutative;
use crate::ir::func::{Attr, Node, ValueId};
use crate::ir::op::{Lowering, Op};
use crate::ir::types::{Shape, Type};
use std::hash::{BuildHasher, BuildHasherDefault, Hash};

/// Fewest entries of one form that are computed together.
const FEWEST: usize = 4;

/// Most vectors that entries which are computed already are taken from.
const MOST_HOMES: usize = 3;

/// Most elements of a table of constants or numbers.
const LARGEST_TABLE: usize = 1 << 20;

/// What is known of the function that is being made.
#[derive(Default)]
pub(super) struct Roll {
    /// Of each node of the builder: equal numbers for values that differ in constants and in which
    /// elements they take.
    forms: Vec<u64>,
    /// Of each node the value whose elements it only rearranges.
    roots: Vec<ValueId>,
    /// What has been made of entries.
    packs: FastMap<Vec<ValueId>, Option<Lifted>>,
    /// The vector an entry has become part of, and its place there.
    homes: FastMap<ValueId, (ValueId, usize)>,
}

impl Roll {
    /// Whether [`Roll::joined`] may have something to say about the node.
    pub fn looks_at(node: &Node) -> bool {
        node.op == Op::Concat && node.attr == Attr::Axis(0) && node.args.len() >= FEWEST
    }

    /// The join `value`, with entries of one form computed together; `None` if there are none.
    pub fn joined(&mut self, b: &mut Builder, value: ValueId) -> Option<ValueId> {
        let node = b.node(value);
        if !Roll::looks_at(node) {
            return None;
        }
        let node = node.clone();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut known: FastMap<u64, usize> = FastMap::default();
        for (at, entry) in node.args.iter().enumerate() {
            let form = self.form(b, *entry);
            let group = *known.entry(form).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(at);
        }
        // The entries in the order in which they are made, and what makes them.
        let (mut order, mut parts) = (Vec::new(), Vec::new());
        let mut rolled = false;
        for group in groups {
            let entries: Vec<ValueId> = group.iter().map(|at| node.args[*at]).collect();
            let packed = if group.len() < FEWEST { None } else { self.pack(b, &entries) };
            match packed {
                Some(packed) => {
                    let all = spread(b, packed, entries.len());
                    let mut dims = b.shape(entries[0]).clone();
                    dims.0[0] *= entries.len();
                    parts.push((group[0], b.reshape(all, dims)));
                    order.push(group);
                    rolled = true;
                }
                None => {
                    parts.extend(group.iter().zip(entries).map(|(at, entry)| (*at, entry)));
                    order.extend(group.into_iter().map(|at| vec![at]));
                }
            }
        }
        rolled.then(|| in_order(b, &node, parts, order))
    }

    /// One vector of values of one form, `[n, ..shape]`, or their one value if they are all the same.
    fn pack(&mut self, b: &mut Builder, lanes: &[ValueId]) -> Option<Lifted> {
        if lanes.iter().all(|lane| *lane == lanes[0]) {
            return Some(Lifted { id: lanes[0], mapped: false });
        }
        if let Some(known) = self.packs.get(lanes) {
            return *known;
        }
        let packed = self.packed(b, lanes);
        if let Some(Lifted { id, mapped: true }) = packed {
            for (at, lane) in lanes.iter().enumerate() {
                self.homes.entry(*lane).or_insert((id, at));
            }
        }
        self.packs.insert(lanes.to_vec(), packed);
        packed
    }

    fn packed(&mut self, b: &mut Builder, lanes: &[ValueId]) -> Option<Lifted> {
        let first = b.node(lanes[0]).clone();
        let n = lanes.len();
        if lanes.iter().any(|lane| b.ty(*lane) != &first.ty) || n * first.ty.shape.count() > LARGEST_TABLE {
            return None;
        }
        let mapped = |id| Some(Lifted { id, mapped: true });
        if lanes.iter().all(|lane| b.node(*lane).op == Op::Constant) {
            return mapped(table(b, lanes, &first.ty));
        }
        if lanes.iter().all(|lane| is_view(b, b.node(*lane))) {
            return self.viewed(b, lanes, &first.ty).and_then(mapped);
        }
        if let Some(made) = self.shared(b, lanes) {
            return mapped(made);
        }
        if let Some(found) = self.found(b, lanes) {
            return mapped(found);
        }
        let alike = |node: &Node| {
            node.op == first.op && node.attr == first.attr && node.args.len() == first.args.len()
        };
        if !lifts(&first) || !lanes.iter().all(|lane| alike(b.node(*lane))) {
            return None;
        }
        let mut columns = vec![Vec::with_capacity(n); first.args.len()];
        let forms: Vec<u64> = first.args.iter().map(|arg| self.form(b, *arg)).collect();
        for lane in lanes {
            let mut args = b.node(*lane).args.clone();
            if is_commutative(first.op) && self.form(b, args[0]) != forms[0] {
                args.swap(0, 1);
            }
            for (column, arg) in columns.iter_mut().zip(args) {
                column.push(arg);
            }
        }
        let args: Option<Vec<Lifted>> = columns.iter().map(|column| self.pack(b, column)).collect();
        lift(b, &first, &args?, n).ok()
    }

    /// Entries that are rearrangements: of one value, or of values of one form.
    fn viewed(&mut self, b: &mut Builder, lanes: &[ValueId], ty: &Type) -> Option<ValueId> {
        let count = ty.shape.count();
        let traced: Vec<(ValueId, Vec<u32>)> =
            lanes.iter().map(|lane| traced(b, *lane, (0..count as u32).collect())).collect();
        let roots: Vec<ValueId> = traced.iter().map(|(root, _)| *root).collect();
        let (source, pitch) = if roots.iter().all(|root| *root == roots[0]) {
            (roots[0], 0)
        } else {
            let size = b.shape(roots[0]).count();
            let packed = self.pack(b, &roots)?;
            (packed.id, if packed.mapped { size } else { 0 })
        };
        let numbers = traced.iter().enumerate().flat_map(|(lane, (_, numbers))| {
            numbers.iter().map(move |number| lane as u32 * pitch as u32 + number)
        });
        let numbers: Vec<u32> = numbers.collect();
        Some(taken::gathered(b, source, &numbers, batched(&ty.shape, lanes.len())))
    }

    /// Entries many of which are the same: each once, and then put where they are wanted.
    fn shared(&mut self, b: &mut Builder, lanes: &[ValueId]) -> Option<ValueId> {
        let distinct = distinct(lanes);
        if distinct.len() < FEWEST || 4 * distinct.len() > 3 * lanes.len() {
            return None;
        }
        let packed = self.pack(b, &distinct)?;
        let rows: FastMap<ValueId, usize> = distinct.into_iter().zip(0..).collect();
        let rows: Vec<usize> = lanes.iter().map(|lane| rows[lane]).collect();
        Some(placed(b, packed.id, &rows, lanes))
    }

    /// Entries most of which are part of vectors already.
    fn found(&mut self, b: &mut Builder, lanes: &[ValueId]) -> Option<ValueId> {
        let mut homes: Vec<(ValueId, usize)> = Vec::new();
        let mut others: Vec<ValueId> = Vec::new();
        let mut beyond = 0;
        for lane in lanes {
            match self.homes.get(lane) {
                None => others.push(*lane),
                Some((home, _)) if homes.iter().any(|(known, _)| known == home) => {}
                Some((home, _)) => {
                    homes.push((*home, beyond));
                    beyond += b.shape(*home).0[0];
                }
            }
        }
        let most = others.len() * 4 <= lanes.len();
        let many = others.is_empty() || others.len() >= FEWEST && others.len() * 2 <= lanes.len();
        let short = homes.len() <= MOST_HOMES && beyond <= 2 * lanes.len();
        if homes.is_empty() || !(homes.len() == 1 && most || short && many) {
            return None;
        }
        let shape = b.shape(lanes[0]).clone();
        let mut parts: Vec<ValueId> = homes.iter().map(|(home, _)| *home).collect();
        let packed = if others.len() < FEWEST { None } else { self.pack(b, &others) };
        match packed {
            Some(Lifted { id, mapped: true }) => parts.push(id),
            _ => parts.extend(others.iter().map(|lane| b.reshape(*lane, batched(&shape, 1)))),
        }
        let mut rows = Vec::with_capacity(lanes.len());
        let mut next = beyond;
        let others: FastSet<ValueId> = others.into_iter().collect();
        for lane in lanes {
            let home = match others.contains(lane) {
                true => None,
                false => self.homes.get(lane),
            };
            let start = home.map(|(home, at)| {
                let (_, start) = homes.iter().find(|(known, _)| known == home).expect("it is one of them");
                start + at
            });
            rows.push(start.unwrap_or_else(|| {
                next += 1;
                next - 1
            }));
        }
        let all = b.concat(&parts, 0);
        Some(placed(b, all, &rows, lanes))
    }

    /// See [`Roll::forms`].
    fn form(&mut self, b: &Builder, value: ValueId) -> u64 {
        for at in self.forms.len()..=value.index() {
            let id = ValueId::from_usize(at);
            let node = b.node(id);
            let root = if is_view(b, node) { self.roots[node.args[0].index()] } else { id };
            self.roots.push(root);
            let form = if root != id {
                hash((1, &node.ty, self.forms[root.index()]))
            } else if node.op == Op::Constant {
                hash((2, &node.ty))
            } else if lifts(node) {
                let mut args: Vec<u64> = node.args.iter().map(|arg| self.forms[arg.index()]).collect();
                if is_commutative(node.op) {
                    args.sort_unstable();
                }
                hash((3, node.op, &node.attr, &node.ty, args))
            } else {
                hash((4, at))
            };
            self.forms.push(form);
        }
        self.forms[value.index()]
    }
}

/// The parts of a join, each with the number of its first entry, put so that entries stand where they
/// stood; `order` holds the entries of each part.
fn in_order(
    b: &mut Builder,
    node: &Node,
    mut parts: Vec<(usize, ValueId)>,
    mut order: Vec<Vec<usize>>,
) -> ValueId {
    order.sort_by_key(|entries| entries[0]);
    parts.sort_by_key(|(first, _)| *first);
    let parts: Vec<ValueId> = parts.into_iter().map(|(_, part)| part).collect();
    let all = b.concat(&parts, 0);
    let made: Vec<usize> = order.concat();
    if made.is_sorted() {
        return all;
    }
    let size = |at: usize| b.shape(node.args[at]).count();
    let mut starts = vec![0; made.len()];
    let mut next = 0;
    for at in &made {
        starts[*at] = next;
        next += size(*at);
    }
    let numbers: Vec<u32> = (0..made.len())
        .flat_map(|at| (starts[at]..starts[at] + size(at)).map(|number| number as u32))
        .collect();
    taken::gathered(b, all, &numbers, node.ty.shape.clone())
}

/// Each entry once, in the order in which they come.
fn distinct(lanes: &[ValueId]) -> Vec<ValueId> {
    let mut known = FastMap::default();
    lanes.iter().filter(|lane| known.insert(**lane, ()).is_none()).copied().collect()
}

/// The rows of `all` with these numbers, which are the entries `lanes`.
fn placed(b: &mut Builder, all: ValueId, rows: &[usize], lanes: &[ValueId]) -> ValueId {
    let shape = b.shape(lanes[0]).clone();
    let size = shape.count();
    let numbers = rows.iter().flat_map(|row| (0..size).map(move |at| (row * size + at) as u32));
    let numbers: Vec<u32> = numbers.collect();
    taken::gathered(b, all, &numbers, batched(&shape, lanes.len()))
}

fn hash(of: impl Hash) -> u64 {
    BuildHasherDefault::<FastHash>::default().hash_one(of)
}

/// Whether the op can be applied to a vector of operands.
fn lifts(node: &Node) -> bool {
    let lowering = node.op.def().lowering;
    !matches!(lowering, Lowering::Leaf | Lowering::Expanded) && node.op != Op::Variable
}

/// Whether every element of the node is an element of its first operand, at a place that is known.
fn is_view(b: &Builder, node: &Node) -> bool {
    match node.op {
        Op::Reshape | Op::Permute | Op::Broadcast | Op::Slice | Op::Reverse => true,
        Op::Gather => b.node(node.args[1]).op == Op::Constant,
        _ => false,
    }
}

/// The value that `value` is a view of, and which elements of it those of `value` with these numbers are.
fn traced(b: &Builder, mut value: ValueId, mut numbers: Vec<u32>) -> (ValueId, Vec<u32>) {
    while is_view(b, b.node(value)) {
        let node = b.node(value);
        if node.op != Op::Reshape {
            taken::seen_through(b, node, &mut numbers);
        }
        value = node.args[0];
    }
    (value, numbers)
}

fn batched(shape: &Shape, n: usize) -> Shape {
    Shape(std::iter::once(n).chain(shape.dims().iter().copied()).collect())
}

/// A packed value with its leading axis.
fn spread(b: &mut Builder, packed: Lifted, n: usize) -> ValueId {
    if packed.mapped {
        return packed.id;
    }
    let shape = batched(b.shape(packed.id), n);
    let axes: Vec<u32> = (1..shape.rank() as u32).collect();
    b.broadcast(packed.id, shape, &axes)
}

/// Constants as one.
fn table(b: &mut Builder, lanes: &[ValueId], ty: &Type) -> ValueId {
    let count = ty.shape.count();
    let elements: Vec<f64> = (lanes.iter())
        .flat_map(|lane| match &b.node(*lane).attr {
            Attr::Splat(bits) => vec![f64::from_bits(*bits); count],
            Attr::Elements(bits) => bits.iter().map(|bits| f64::from_bits(*bits)).collect(),
            other => crate::bug!("a constant with {other:?}"),
        })
        .collect();
    b.constant(&elements, Type { dtype: ty.dtype, shape: batched(&ty.shape, lanes.len()) })
}
