//! The operands of calls for a block, and the numbers it runs on.

use crate::backend::lanes::Spread;
use crate::ir::program::DataPort;
use crate::plan::Plan;
use crate::plan::block::trace::LaneSolved;
use crate::plan::unit::{Column, Data, Element, Inputs};
use std::ops::Range;

/// What all blocks of a step of training share.
#[derive(Clone, Debug)]
pub(crate) struct Point<T> {
    /// The params on their declared scale, `[P]`.
    pub p: Vec<T>,
    /// Those that the motion of a system reads, `[Q]`, by system.
    pub q: Vec<Vec<T>>,
    /// What does not differ between examples is in its place.
    pub data: Data,
}

impl<T: Element> Point<T> {
    /// At params `p`, with data whose values that do not differ are meant.
    pub fn new(plan: &Plan, p: Vec<T>, data: Data) -> Point<T> {
        let q = plan.layout.systems.iter().map(|system| system.gather(&p)).collect();
        Point { p, q, data }
    }
}

/// The data of the examples of a block that differ between them: `[len, width]` each, by port; `None`
/// for what they share.
#[derive(Debug, Default)]
pub(crate) struct LaneData {
    columns: Vec<Option<Column>>,
    width: usize,
}

impl LaneData {
    /// Zeros.
    pub fn new(ports: &[DataPort], width: usize) -> LaneData {
        let column = |port: &DataPort| {
            port.differs().then(|| Column::zeros(port.ty.dtype, port.ty.shape.count() * width))
        };
        LaneData { columns: ports.iter().map(column).collect(), width }
    }

    /// The ports that differ, by their number.
    pub fn ports(&self) -> impl Iterator<Item = usize> + use<> {
        let each = self.columns.iter().enumerate();
        each.filter_map(|(number, column)| column.as_ref().map(|_| number)).collect::<Vec<_>>().into_iter()
    }

    /// Gives port number `port` these values in `lanes`.
    pub fn set(&mut self, port: usize, lanes: Range<usize>, values: &[f64]) {
        let column = self.columns[port].as_mut().expect("a port that differs");
        lanes.for_each(|lane| column.set(values, lane, self.width));
    }

    /// Gives lane `lane` the data of lane `other` of `from`.
    pub fn take_lane(&mut self, lane: usize, from: &LaneData, other: usize) {
        for (column, from) in self.columns.iter_mut().zip(&from.columns) {
            if let (Some(column), Some(from)) = (column, from) {
                column.take_lane(lane, from, other, self.width);
            }
        }
    }
}

/// A block and the numbers it runs on.
pub(crate) struct Block<'a, T> {
    pub plan: &'a Plan,
    pub point: &'a Point<T>,
    pub data: &'a LaneData,
}

impl<T> Clone for Block<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Block<'_, T> {}

impl<'a, T: Element> Block<'a, T> {
    /// How many lanes there are.
    pub fn width(&self) -> usize {
        self.data.width
    }

    /// The operands `known.., p, data..` of a function that takes the solves in `reads`.
    pub fn run_inputs<'b>(&self, reads: &[usize], known: &'b [LaneSolved<T>]) -> Inputs<'b>
    where
        'a: 'b,
    {
        let mut inputs = Inputs::new();
        for solve in reads {
            let LaneSolved { ends, sites, .. } = &known[*solve];
            inputs.extend([T::input(&ends[0]), T::input(&ends[1])]);
            let n = self.plan.layout.system_of(*solve).n;
            let mut rows = &sites[..];
            for count in &self.plan.layout.solves[*solve].site_rows {
                let (site, rest) = rows.split_at(count * n * self.width());
                inputs.push(T::input(site));
                rows = rest;
            }
        }
        inputs.push(T::input(&self.point.p));
        self.push_data(&mut inputs);
        inputs
    }

    /// Appends the operands `a, q, data..` of a function of the motion of `solve`: as `spreads` says what
    /// they are to it, or what differs in lanes.
    pub fn push_motion<'b>(
        &self,
        inputs: &mut Inputs<'b>,
        solve: usize,
        a: &'b [T],
        spreads: Option<&[Spread]>,
    ) where
        'a: 'b,
    {
        let shared = |operand: usize| spreads.is_some_and(|spreads| spreads[operand] == Spread::Shared);
        let q = &self.point.q[self.plan.layout.solves[solve].system];
        // Of what a function does not read, it does not matter whose it is.
        inputs.push(T::input(if shared(0) { &a[..a.len() / self.width()] } else { a }));
        inputs.push(T::input(q));
        let each = self.data.columns.iter().zip(self.point.data.inputs()).enumerate();
        inputs.extend(each.map(|(port, (own, one))| match own {
            Some(own) if !shared(2 + port) => own.input(),
            Some(_) | None => one,
        }));
    }

    fn push_data<'b>(&self, inputs: &mut Inputs<'b>)
    where
        'a: 'b,
    {
        let each = self.data.columns.iter().zip(self.point.data.inputs());
        inputs.extend(each.map(|(own, shared)| own.as_ref().map_or(shared, Column::input)));
    }
}
