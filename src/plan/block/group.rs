//! Blocks that run side by side, so that lanes do not wait for each other.
//!
//! The runs of a block need different numbers of attempts, and each attempt costs as much for one lane as
//! for all. So when a quarter of a block has ended, the others leave: the runs that have left the blocks of
//! a group go on in blocks of their own, [`Sequel`]s, and so on until there is one block left to end in.
//! On the way back a sequel comes before the blocks whose runs it has ended, and hands each its cotangents
//! where the run left it. Which runs belong together depends on the order of the examples and on nothing
//! else.

use crate::backend::Workspace;
use crate::plan::Plan;
use crate::plan::block::forward::{How, Left};
use crate::plan::block::operands::{Block, LaneData, Point};
use crate::plan::block::trace::LaneSolved;
use crate::plan::controls::Controls;
use crate::plan::unit::{Element, PlanError, take_lane};
use crate::solve::lanes::Trip;

/// Blocks in a group, at most.
pub(crate) const MOST_BLOCKS: usize = 4;

/// Bytes that a step of all blocks of a group keeps, at most, if there is to be more than one: what a group
/// keeps in its steps is to stay in the nearer caches until it is read on the way back. A guess, half of such a
/// cache of one core; other values were not tried.
const MOST_BYTES: usize = 1 << 19;

/// A run in another piece of its solve: in a block of the group by its number, or behind these in a sequel by
/// its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub piece: usize,
    pub lane: usize,
}

/// A block of runs that have left theirs.
pub(super) struct Sequel<T> {
    pub data: LaneData,
    pub solved: LaneSolved<T>,
    /// Where the runs come from, by lane. In lanes beyond them is the last of them again.
    pub sources: Vec<Source>,
    /// Cotangents of the states at the rows of the sites, `[rows, n, width]`.
    pub site_bars: Vec<T>,
    /// Cotangents of what the runs have brought along: states and rates, `[n, width]`, and args, `[A, width]`.
    pub y: Vec<T>,
    pub k: Vec<T>,
    pub a: Vec<T>,
}

/// The sequels of one solve: memory that is kept from one group to the next.
#[derive(Default)]
pub(super) struct Sequels<T> {
    all: Vec<Sequel<T>>,
    /// How many of them are of this group.
    len: usize,
}

/// The blocks of a group, and what their runs have left.
pub(super) struct Group<'a, T> {
    pub plan: &'a Plan,
    pub point: &'a Point<T>,
    /// By block.
    pub data: &'a [LaneData],
    /// By block and solve.
    pub solves: &'a [Vec<LaneSolved<T>>],
}

impl Plan {
    /// How many blocks are differentiated together.
    pub(crate) fn group_size(&self) -> Result<usize, PlanError> {
        let mut kept = 0;
        for system in 0..self.program.systems.len() {
            let keeping = self.system_pulls(system)?.keeping.as_ref();
            let len = keeping.map_or(0, |keeping| keeping.len * self.block_width());
            kept = kept.max(len * self.program.real.bytes());
        }
        Ok((MOST_BYTES / kept.max(1)).clamp(1, MOST_BLOCKS))
    }
}

impl<T> Sequels<T> {
    pub fn of_group(&mut self) -> &mut [Sequel<T>] {
        &mut self.all[..self.len]
    }
}

impl<T: Element> Sequels<T> {
    /// Runs solve `number` of all blocks to its end, whose `data` and solves are given, by block. False if one
    /// of the examples cannot be solved: alone, it says why.
    pub fn run(
        &mut self,
        number: usize,
        (plan, point, data): (&Plan, &Point<T>, &[LaneData]),
        solves: &mut [Vec<LaneSolved<T>>],
        (controls, traces): (&Controls, bool),
        workspace: &mut Workspace,
    ) -> Result<bool, PlanError> {
        self.len = 0;
        let mut left: Vec<(Source, Trip<T, ()>)> = Vec::new();
        let how = How { controls, traces, breaks_up: data.len() > 1 };
        for (piece, (data, solves)) in data.iter().zip(&mut *solves).enumerate() {
            let block = Block { plan, point, data };
            let (before, own) = solves.split_at_mut(number);
            let Some(own) = block.solve(number, before, &mut own[0], &how, workspace)? else {
                return Ok(false);
            };
            left.extend(sourced(piece, own));
        }
        let width = plan.block_width();
        while !left.is_empty() {
            let how = How { breaks_up: left.len() > width, ..how };
            let mut remaining = std::mem::take(&mut left).into_iter().peekable();
            while remaining.peek().is_some() {
                let (sources, trips): (Vec<Source>, Vec<_>) = remaining.by_ref().take(width).unzip();
                let piece = data.len() + self.len;
                let sequel = self.begin(number, (plan, data), solves, sources, &trips);
                let block = Block { plan, point, data: &sequel.data };
                let found = block.go_on(number, trips, &mut sequel.solved, &how, workspace)?;
                let Some(found) = found else { return Ok(false) };
                left.extend(sourced(piece, found));
            }
        }
        self.tell(number, plan, solves);
        Ok(true)
    }

    /// The next sequel, with all that its runs bring along.
    fn begin(
        &mut self,
        number: usize,
        (plan, data): (&Plan, &[LaneData]),
        solves: &[Vec<LaneSolved<T>>],
        sources: Vec<Source>,
        trips: &[Trip<T, ()>],
    ) -> &mut Sequel<T> {
        let (width, n_blocks) = (plan.block_width(), data.len());
        if self.all.len() == self.len {
            let most = solves[0][number].kept.borrow().bytes();
            self.all.push(Sequel {
                data: LaneData::new(&plan.program.data, width),
                solved: LaneSolved { is_sequel: true, ..LaneSolved::within(most) },
                sources: Vec::new(),
                site_bars: Vec::new(),
                y: Vec::new(),
                k: Vec::new(),
                a: Vec::new(),
            });
        }
        let (before, rest) = self.all.split_at_mut(self.len);
        self.len += 1;
        let Sequel { data: own_data, solved, sources: own_sources, .. } = &mut rest[0];
        solved.times.clear();
        let n = plan.layout.system_of(number).n;
        solved.y0.resize(n * width, T::default());
        solved.visits.clear_like(&solves[0][number].visits);
        for lane in 0..width {
            let Source { piece, lane: other } = *sources.get(lane).unwrap_or(&sources[sources.len() - 1]);
            let (data, from) = match piece.checked_sub(n_blocks) {
                None => (&data[piece], &solves[piece][number]),
                Some(sequel) => (&before[sequel].data, &before[sequel].solved),
            };
            own_data.take_lane(lane, data, other);
            let n_rows = from.times.len() / width;
            solved.times.extend_from_slice(&from.times[other * n_rows..][..n_rows]);
            solved.visits.push_like(&from.visits, other);
            solved.a.resize(from.a.len(), T::default());
            take_lane(&mut solved.a, lane, &from.a, other, width);
            let trip = trips.get(lane).unwrap_or(&trips[trips.len() - 1]);
            let on = trip.under_way.as_ref().expect("a run that has left is under way");
            let places = solved.y0.iter_mut().skip(lane).step_by(width);
            places.zip(&on.y).for_each(|(to, from)| *to = *from);
        }
        *own_sources = sources;
        &mut rest[0]
    }

    /// Tells the blocks what has become of the runs that left them: the rows of the sites that these have come
    /// to, and their evaluations.
    fn tell(&mut self, number: usize, plan: &Plan, solves: &mut [Vec<LaneSolved<T>>]) {
        let (width, n) = (plan.block_width(), plan.layout.system_of(number).n);
        for last in (0..self.len).rev() {
            let (before, rest) = self.all.split_at_mut(last);
            let Sequel { solved, sources, .. } = &rest[0];
            for (lane, Source { piece, lane: other }) in sources.iter().enumerate() {
                let to = match piece.checked_sub(solves.len()) {
                    None => &mut solves[*piece][number],
                    Some(sequel) => &mut before[sequel].solved,
                };
                to.evaluations[*other] = solved.evaluations[lane];
                let n_new = to.visits.ahead(*other).len() - solved.visits.ahead(lane).len();
                for _ in 0..n_new {
                    let row = to.visits.ahead(*other)[0];
                    let place = row * n * width..(row + 1) * n * width;
                    take_lane(&mut to.sites[place.clone()], *other, &solved.sites[place], lane, width);
                    to.visits.pass(*other);
                }
            }
        }
    }

    /// Gives the sequels the cotangents at the rows of the sites, which the blocks have: `bars(block)`.
    pub fn take_site_bars<'b>(&mut self, n_blocks: usize, width: usize, bars: impl Fn(usize) -> &'b [T])
    where
        T: 'b,
    {
        for number in 0..self.len {
            let (before, rest) = self.all.split_at_mut(number);
            let Sequel { sources, site_bars, .. } = &mut rest[0];
            site_bars.clear();
            for (lane, Source { piece, lane: other }) in sources.iter().enumerate() {
                let from = match piece.checked_sub(n_blocks) {
                    None => bars(*piece),
                    Some(sequel) => &before[sequel].site_bars,
                };
                site_bars.resize(from.len(), T::default());
                take_lane(site_bars, lane, from, *other, width);
            }
        }
    }
}

fn sourced<T>(piece: usize, left: Left<T>) -> impl Iterator<Item = (Source, Trip<T, ()>)> {
    left.into_iter().map(move |(lane, trip)| (Source { piece, lane }, trip))
}

impl<T> Group<'_, T> {
    pub fn block(&self, number: usize) -> Block<'_, T> {
        Block { plan: self.plan, point: self.point, data: &self.data[number] }
    }
}
