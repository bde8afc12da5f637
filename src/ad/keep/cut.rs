//! Which values to keep: a minimum cut.
//!
//! Every value that is wanted is either kept, at a price, or computed again, at another, and then all
//! its operands are wanted too. In the network of two nodes a value, *wanted* and *again*, with the
//! price of keeping on the edge from the one to the other, the price of computing on the edge from the
//! second to the sink, and edges without bound from it to its operands as wanted, the cuts are the
//! choices, and the cost of a choice is the capacity of its cut. Source of the cut: Dinic, Soviet Math.
//! Doklady 11 (1970); of the reduction: Picard, Management Science 22 (1976).

use crate::base::index::{Idx, IndexVec};
use crate::ir::func::{Func, ValueId};
use crate::ir::op::{Lowering, Op};
use std::collections::VecDeque;

/// What a value costs.
pub(super) struct Price {
    /// Kept; `None` if it cannot be.
    pub kept: Option<u64>,
    /// Computed again from its operands.
    pub again: u64,
}

/// The values of `func` that are kept where all `wanted` have to be there and the costs together are
/// least, ascending. Parameters and constants are there for nothing.
pub(super) fn cheapest(func: &Func, wanted: &[ValueId], price: impl Fn(ValueId) -> Price) -> Vec<ValueId> {
    let is_given = |value: ValueId| {
        let op = func.nodes[value].op;
        op == Op::Param || op.def().lowering == Lowering::Leaf
    };
    let mut network = Network::new(2 * func.nodes.len() + 2);
    let (source, sink) = (2 * func.nodes.len(), 2 * func.nodes.len() + 1);
    let (as_wanted, as_again) = (|value: ValueId| 2 * value.index(), |value: ValueId| 2 * value.index() + 1);
    let mut met: IndexVec<ValueId, bool> = func.nodes.iter().map(|_| false).collect();
    let mut values: Vec<ValueId> = wanted.iter().copied().filter(|value| !is_given(*value)).collect();
    values.iter().for_each(|value| network.edge(source, as_wanted(*value), UNBOUNDED));
    values.iter().for_each(|value| met[*value] = true);
    let mut at = 0;
    while let Some(value) = values.get(at).copied() {
        at += 1;
        let Price { kept, again } = price(value);
        network.edge(as_wanted(value), as_again(value), kept.unwrap_or(UNBOUNDED));
        network.edge(as_again(value), sink, again);
        for arg in func.nodes[value].args.iter().copied().filter(|arg| !is_given(*arg)) {
            network.edge(as_again(value), as_wanted(arg), UNBOUNDED);
            if !std::mem::replace(&mut met[arg], true) {
                values.push(arg);
            }
        }
    }
    network.saturate(source, sink);
    let levels = network.levels(source);
    let reached = |node: usize| levels[node] != UNREACHED;
    values.retain(|value| reached(as_wanted(*value)) && !reached(as_again(*value)));
    values.sort_unstable();
    values
}

/// More than all prices together.
const UNBOUNDED: u64 = u64::MAX / 4;

/// The level of a node that no path leads to.
const UNREACHED: u32 = u32::MAX;

/// A flow network. Edge `e ^ 1` is edge `e` backwards.
struct Network {
    /// The edges of each node, by their numbers.
    edges: Vec<Vec<usize>>,
    to: Vec<usize>,
    /// What still can flow.
    room: Vec<u64>,
}

impl Network {
    fn new(n_nodes: usize) -> Network {
        Network { edges: vec![Vec::new(); n_nodes], to: Vec::new(), room: Vec::new() }
    }

    fn edge(&mut self, from: usize, to: usize, capacity: u64) {
        for (at, to, room) in [(from, to, capacity), (to, from, 0)] {
            self.edges[at].push(self.to.len());
            self.to.push(to);
            self.room.push(room);
        }
    }

    /// The fewest edges with room from `source` to each node.
    fn levels(&self, source: usize) -> Vec<u32> {
        let mut levels = vec![UNREACHED; self.edges.len()];
        levels[source] = 0;
        let mut queue = VecDeque::from([source]);
        while let Some(node) = queue.pop_front() {
            for edge in &self.edges[node] {
                let to = self.to[*edge];
                if self.room[*edge] > 0 && levels[to] == UNREACHED {
                    levels[to] = levels[node] + 1;
                    queue.push_back(to);
                }
            }
        }
        levels
    }

    /// Sends as much from `source` to `sink` as there is room for, along shortest paths.
    fn saturate(&mut self, source: usize, sink: usize) {
        loop {
            let levels = self.levels(source);
            if levels[sink] == UNREACHED {
                return;
            }
            // The edges of each node before this one lead nowhere.
            let mut next = vec![0; self.edges.len()];
            let mut path: Vec<usize> = Vec::new();
            loop {
                let node = path.last().map_or(source, |edge| self.to[*edge]);
                if node == sink {
                    let flow = path.iter().map(|edge| self.room[*edge]).min().expect("source is not sink");
                    for edge in &path {
                        self.room[*edge] -= flow;
                        self.room[*edge ^ 1] += flow;
                    }
                    let full = path.iter().position(|edge| self.room[*edge] == 0);
                    path.truncate(full.expect("the narrowest edge is full"));
                    continue;
                }
                let leads_on = |edge: usize| self.room[edge] > 0 && levels[self.to[edge]] == levels[node] + 1;
                let ahead = self.edges[node][next[node]..].iter().position(|edge| leads_on(*edge));
                match ahead {
                    Some(skipped) => {
                        next[node] += skipped;
                        path.push(self.edges[node][next[node]]);
                    }
                    None => {
                        next[node] = self.edges[node].len();
                        let Some(edge) = path.pop() else { break };
                        next[self.to[edge ^ 1]] += 1;
                    }
                }
            }
        }
    }
}
