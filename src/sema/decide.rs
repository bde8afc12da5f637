//! What is decided at compile time: conditions that compare static integers, and how many turns
//! the loops of a comprehension take.

use crate::ir::op::Op;
use crate::sema::dim::Dim;
use crate::sema::typed::{Expr, Kind, Loop};

/// The truth of a condition that compares static integers, where `number` knows them.
pub(crate) fn decided(condition: &Expr, number: &dyn Fn(&Dim) -> Option<i64>) -> Option<bool> {
    let truth = |position: usize, operands: &[Expr]| decided(&operands[position], number);
    let sizes = |operands: &[Expr]| match operands {
        [Expr { kind: Kind::Size(a), .. }, Expr { kind: Kind::Size(b), .. }] => {
            Some((number(a)?, number(b)?))
        }
        _ => None,
    };
    match &condition.kind {
        Kind::Bool(truth) => Some(*truth),
        Kind::Elementwise(Op::Not, operands) => truth(0, operands).map(|truth| !truth),
        Kind::Elementwise(Op::And, operands) => Some(truth(0, operands)? && truth(1, operands)?),
        Kind::Elementwise(Op::Or, operands) => Some(truth(0, operands)? || truth(1, operands)?),
        Kind::Elementwise(Op::Lt, operands) => sizes(operands).map(|(a, b)| a < b),
        Kind::Elementwise(Op::Le, operands) => sizes(operands).map(|(a, b)| a <= b),
        Kind::Elementwise(Op::Eq, operands) => sizes(operands).map(|(a, b)| a == b),
        _ => None,
    }
}

/// Why the turns of loops have no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uncounted {
    /// An end of a range or a side of a condition is not known.
    Unknown,
    /// There are more than allowed.
    TooMany,
}

/// How many turns `loops` take in all whose conditions hold; at most `most` are looked at.
pub(crate) fn n_turns(loops: &[Loop], known: &dyn Fn(&Dim) -> Dim, most: usize) -> Result<usize, Uncounted> {
    let mut count = Count { known, turns: Vec::new(), n_seen: 0, n_counted: 0, most };
    count.through(loops)?;
    Ok(count.n_counted)
}

struct Count<'k> {
    known: &'k dyn Fn(&Dim) -> Dim,
    /// The loop variables and what they are.
    turns: Vec<(u32, i64)>,
    n_seen: usize,
    n_counted: usize,
    most: usize,
}

impl Count<'_> {
    fn through(&mut self, loops: &[Loop]) -> Result<(), Uncounted> {
        let Some((Loop { symbol, lo, hi, condition }, inner)) = loops.split_first() else {
            self.n_counted += 1;
            return Ok(());
        };
        let end = |dim| self.number(dim).ok_or(Uncounted::Unknown);
        for turn in end(lo)?..end(hi)? {
            self.n_seen += 1;
            if self.n_seen > self.most {
                return Err(Uncounted::TooMany);
            }
            self.turns.push((symbol.id, turn));
            let counts = match condition {
                None => Some(true),
                Some(condition) => decided(condition, &|dim| self.number(dim)),
            };
            match counts {
                Some(true) => self.through(inner)?,
                Some(false) => {}
                None => return Err(Uncounted::Unknown),
            }
            self.turns.pop();
        }
        Ok(())
    }

    fn number(&self, dim: &Dim) -> Option<i64> {
        let turn = |id: u32| self.turns.iter().find(|(known, _)| *known == id).map(|(_, turn)| *turn);
        (self.known)(dim).value(&|symbol| turn(symbol.id))
    }
}
