//! Lengths of the packed vectors, and which params a motion reads.

use crate::ir::program::Program;
use crate::ir::system::{Solve, System, Unknown};
use crate::ir::types::Type;
use std::ops::Range;

/// Lengths of the packed vectors of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// By system.
    pub systems: Vec<SystemLayout>,
    /// By solve.
    pub solves: Vec<SolveLayout>,
    /// Entries of the params.
    pub n_params: usize,
    /// Entries of the curves.
    pub n_curves: usize,
    /// Entries of what a member draws as params and inputs.
    pub n_draws: usize,
}

/// Lengths of the vectors of a motion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemLayout {
    /// Entries of the states and modes.
    pub n_states: usize,
    /// Entries of states, modes and channels.
    pub n: usize,
    /// Entries of the args.
    pub n_args: usize,
    /// The params that the motion reads, by their number, ascending.
    pub params: Vec<usize>,
    /// Where their entries stand in the vector of all params; neighbours are joined.
    pub ranges: Vec<Range<usize>>,
}

/// Lengths of the known values of a solve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SolveLayout {
    /// Which system it is of.
    pub system: usize,
    /// Rows of each site: 1 for a single time.
    pub site_rows: Vec<usize>,
    /// Rows of all sites.
    pub rows: usize,
}

impl Layout {
    /// The lengths for `program`, whose requests for derivatives are resolved.
    pub fn of(program: &Program) -> Layout {
        let counts: Vec<usize> = program.params.iter().map(|param| param.ty.shape.count()).collect();
        Layout {
            systems: program.systems.iter().map(|system| SystemLayout::of(system, &counts)).collect(),
            solves: program.solves.iter().map(SolveLayout::of).collect(),
            n_params: counts.iter().sum(),
            n_curves: count(program.curves.iter().map(|curve| &curve.ty)),
            n_draws: count(program.draws.result_types()),
        }
    }

    /// The lengths of the system that `solve` integrates.
    pub fn system_of(&self, solve: usize) -> &SystemLayout {
        &self.systems[self.solves[solve].system]
    }
}

impl SystemLayout {
    fn of(system: &System, param_counts: &[usize]) -> SystemLayout {
        let params = params_read(system, param_counts.len());
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut at = 0;
        for (number, count) in param_counts.iter().enumerate() {
            if params.binary_search(&number).is_ok() && *count > 0 {
                match ranges.last_mut() {
                    Some(last) if last.end == at => last.end += count,
                    Some(_) | None => ranges.push(at..at + count),
                }
            }
            at += count;
        }
        let n_states = count(system.states.iter().chain(&system.modes).map(|state| &state.ty));
        SystemLayout {
            n_states,
            n: n_states + count(system.channels.iter().map(|channel| &channel.ty)),
            n_args: count(system.args.iter()),
            params,
            ranges,
        }
    }

    /// Whether the motion reads the param of this number.
    pub fn reads(&self, param: usize) -> bool {
        self.params.binary_search(&param).is_ok()
    }

    /// Entries of the params that the motion reads.
    pub fn n_params(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    /// The entries of `all: [P]` that the motion reads.
    pub fn gather<T: Copy>(&self, all: &[T]) -> Vec<T> {
        self.ranges.iter().flat_map(|range| all[range.clone()].iter().copied()).collect()
    }

    /// Writes the entries `own` that the motion reads to their places in `all: [P]`.
    pub fn scatter<T: Copy>(&self, own: &[T], all: &mut [T]) {
        let mut at = 0;
        for range in &self.ranges {
            all[range.clone()].copy_from_slice(&own[at..at + range.len()]);
            at += range.len();
        }
    }
}

impl SolveLayout {
    fn of(solve: &Solve) -> SolveLayout {
        let site_rows: Vec<usize> = solve.sites.iter().map(|site| site.count.unwrap_or(1)).collect();
        SolveLayout { system: solve.system, rows: site_rows.iter().sum(), site_rows }
    }
}

/// States, then modes, then channels.
pub(crate) fn unknowns(system: &System) -> impl Iterator<Item = &Unknown> {
    system.states.iter().chain(&system.modes).chain(&system.channels)
}

/// The numbers of the params that any function of the motion reads.
fn params_read(system: &System, n_params: usize) -> Vec<usize> {
    let first = system.n_before_args() + system.args.len();
    let mut read = vec![false; n_params];
    for func in system.motion() {
        let by_func = func.reads(0..func.results.len());
        read.iter_mut().zip(&by_func[first..]).for_each(|(read, by_func)| *read |= by_func);
    }
    // Periods and times of events take the args first.
    for func in system.events.iter().filter_map(|event| event.trigger.clock()) {
        let by_func = func.reads(0..func.results.len());
        read.iter_mut().zip(&by_func[system.args.len()..]).for_each(|(read, by_func)| *read |= by_func);
    }
    (0..n_params).filter(|param| read[*param]).collect()
}

fn count<'a>(types: impl Iterator<Item = &'a Type>) -> usize {
    types.map(|ty| ty.shape.count()).sum()
}
