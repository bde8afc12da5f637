//! Which states drive which: the two halves of a separable system.

use crate::ad::{self, AdError};
use crate::base::span::Span;
use crate::ir::func::Func;
use crate::ir::system::{System, UnknownKind};
use crate::opt;

/// The halves of a separable system, as positions in the state vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halves {
    /// Moved by drifts: rates that depend on the other half alone.
    pub positions: Vec<usize>,
    /// Moved by kicks.
    pub momenta: Vec<usize>,
}

/// Why a system is not separable: the rate of a state that depends on its own half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coupled {
    /// The state.
    pub state: usize,
    /// The state it depends on, in its own half.
    pub by: usize,
    /// Where its rate is given.
    pub span: Span,
}

impl Halves {
    /// The halves of `system`: every rate may depend on states of the other half alone. The first
    /// state is a position, and so is the first of each group of states that are not connected to
    /// those before.
    ///
    /// What a rate reads is what is left after derivatives are expanded and the field is simplified.
    pub fn of(system: &System) -> Result<Result<Halves, Coupled>, AdError> {
        let field = opt::optimise(ad::expand(system.field.clone())?);
        Ok(Halves::by_reads(system, &field))
    }

    fn by_reads(system: &System, field: &Func) -> Result<Halves, Coupled> {
        let n = system.states.len();
        // Operands of the field: time, the time inside, then the states.
        let reads: Vec<Vec<usize>> = (0..n)
            .map(|state| {
                let read = field.reads([state]);
                (0..n).filter(|other| read[2 + other]).filter(|other| moves(system, *other)).collect()
            })
            .collect();
        let mut half: Vec<Option<bool>> = vec![None; n];
        for first in 0..n {
            if half[first].is_some() {
                continue;
            }
            half[first] = Some(true);
            let mut group = vec![first];
            while let Some(state) = group.pop() {
                let mine = half[state] == Some(true);
                let neighbours =
                    (0..n).filter(|other| reads[state].contains(other) || reads[*other].contains(&state));
                for other in neighbours {
                    match half[other] {
                        None => {
                            half[other] = Some(!mine);
                            group.push(other);
                        }
                        Some(theirs) if theirs == mine => {
                            let (state, by) =
                                if reads[state].contains(&other) { (state, other) } else { (other, state) };
                            return Err(Coupled { state, by, span: system.states[state].equation });
                        }
                        Some(_) => {}
                    }
                }
            }
        }
        let (mut halves, mut at) = (Halves { positions: Vec::new(), momenta: Vec::new() }, 0);
        for (state, half) in system.states.iter().zip(&half) {
            let count = state.ty.shape.count();
            let mine = if *half == Some(true) { &mut halves.positions } else { &mut halves.momenta };
            mine.extend(at..at + count);
            at += count;
        }
        Ok(halves)
    }
}

/// Whether a state moves between events.
fn moves(system: &System, state: usize) -> bool {
    match system.states[state].kind {
        UnknownKind::Rate | UnknownKind::Algebraic => true,
        UnknownKind::Discrete => false,
    }
}
