//! Reductions and contractions: several elements of one value together.
//!
//! The elements of a tile are accumulated side by side: each in the order of its own sum, so that its
//! bits do not depend on the tile, and what they read in common is read once. Alone, a sum waits for
//! the latency of every addition.

use super::coords::{constant, constants};
use super::{Coords, Pass};
use crate::ir::func::{Attr, Contraction, Node, ValueId};
use crate::ir::op::Monoid;
use crate::ir::ops::contract::summed_letters;
use crate::lower::loops::{Index, Prim, ScalarId};
use crate::lower::place::unravel;
use smallvec::smallvec;

/// The next values of accumulators, at a turn.
type Next<'a> = &'a dyn Fn(&[ScalarId], &[Index]) -> Vec<ScalarId>;

impl Pass<'_> {
    pub(super) fn reduced(&self, node: &Node, monoid: Monoid, tile: &[Coords]) -> Vec<ScalarId> {
        let Attr::Axes(axes) = &node.attr else { crate::bug!("a reduction without axes") };
        let x = node.args[0];
        let dims = self.dims(x);
        let lengths: Vec<usize> = axes.iter().map(|axis| dims[*axis as usize]).collect();
        // A sum starts from -0, the number that leaves every first term as it is.
        let (prim, neutral) = match monoid {
            Monoid::Sum => (Prim::Add, if lengths.contains(&0) { 0.0 } else { -0.0 }),
            Monoid::Product => (Prim::Mul, 1.0),
            Monoid::Max => (Prim::Max, f64::NEG_INFINITY),
            Monoid::Min => (Prim::Min, f64::INFINITY),
        };
        let neutral = self.code.number(node.ty.dtype, neutral);
        self.accumulated(&lengths, 1, &vec![neutral; tile.len()], &|accs, summed| {
            let next = |(acc, coords): (&ScalarId, &Coords)| {
                let (mut outer, mut inner) = (coords.iter(), summed.iter());
                let full = (0..dims.len()).map(|axis| {
                    let next = if axes.contains(&(axis as u32)) { inner.next() } else { outer.next() };
                    next.expect("as many coordinates as axes").clone()
                });
                let full: Coords = full.collect();
                self.code.op(prim, &[*acc, self.element(x, &full)])
            };
            accs.iter().zip(tile).map(next).collect()
        })
    }

    pub(super) fn contracted(&self, node: &Node, tile: &[Coords]) -> Vec<ScalarId> {
        let Attr::Contract(spec) = &node.attr else { crate::bug!("a contraction without letters") };
        let (x, y) = (node.args[0], node.args[1]);
        let summed = summed_letters(spec);
        let lengths: Vec<usize> =
            summed.iter().map(|letter| self.letter_length(spec, *letter, x, y)).collect();
        let neutral = self.code.number(node.ty.dtype, if lengths.contains(&0) { 0.0 } else { -0.0 });
        let written = self.written(node, tile.len());
        self.accumulated(&lengths, written, &vec![neutral; tile.len()], &|accs, turn| {
            let next = |(acc, coords): (&ScalarId, &Coords)| {
                let at = |letter: &u8| match spec.out.iter().position(|l| l == letter) {
                    Some(axis) => coords[axis].clone(),
                    None => turn[summed.iter().position(|l| l == letter).expect("summed or kept")].clone(),
                };
                let a = self.element(x, &spec.lhs.iter().map(at).collect::<Coords>());
                let b = self.element(y, &spec.rhs.iter().map(at).collect::<Coords>());
                // The first product, rounded as every backend rounds `a·b + -0`.
                if *acc == neutral { self.code.op(Prim::Mul, &[a, b]) } else { self.code.mul_add(a, b, *acc) }
            };
            accs.iter().zip(tile).map(next).collect()
        })
    }

    /// The factors of an element of a product, or of a contraction that sums nothing.
    pub(super) fn factors(&self, product: &Node, coords: &[Index]) -> (ScalarId, ScalarId) {
        let (x, y) = (product.args[0], product.args[1]);
        let Attr::Contract(spec) = &product.attr else {
            return (self.element(x, coords), self.element(y, coords));
        };
        let at = |letter: &u8| {
            let axis = spec.out.iter().position(|l| l == letter).expect("nothing is summed");
            coords[axis].clone()
        };
        let a = self.element(x, &spec.lhs.iter().map(at).collect::<Coords>());
        (a, self.element(y, &spec.rhs.iter().map(at).collect::<Coords>()))
    }

    fn letter_length(&self, spec: &Contraction, letter: u8, x: ValueId, y: ValueId) -> usize {
        match spec.lhs.iter().position(|l| *l == letter) {
            Some(axis) => self.dims(x)[axis],
            None => {
                let axis = spec.rhs.iter().position(|l| *l == letter);
                self.dims(y)[axis.expect("a summed letter belongs to an operand")]
            }
        }
    }

    /// `accs = next(accs, turn)` for every turn over axes of these lengths, in row-major order; of the last
    /// axes at most `written` turns are written out.
    fn accumulated(
        &self,
        lengths: &[usize],
        written: usize,
        inits: &[ScalarId],
        next: Next<'_>,
    ) -> Vec<ScalarId> {
        let written = if lengths.iter().product::<usize>() <= self.limit { self.limit } else { written };
        self.accumulated_in_loops(lengths, written, inits, &mut Coords::new(), next)
    }

    fn accumulated_in_loops(
        &self,
        lengths: &[usize],
        written: usize,
        inits: &[ScalarId],
        outer: &mut Coords,
        next: Next<'_>,
    ) -> Vec<ScalarId> {
        let turns: usize = lengths.iter().product();
        if turns <= written {
            let n_outer = outer.len();
            let accs = (0..turns).fold(inits.to_vec(), |accs, turn| {
                outer.extend(constants(&unravel(turn, lengths)));
                let accs = next(&accs, outer);
                outer.truncate(n_outer);
                accs
            });
            return accs;
        }
        let (length, rest) = lengths.split_first().expect("one turn is written out");
        if *length == 1 {
            outer.push(constant(0));
            let results = self.accumulated_in_loops(rest, written, inits, outer, next);
            outer.pop();
            return results;
        }
        let var = self.code.open_loop();
        let inside: Vec<ScalarId> =
            inits.iter().map(|init| self.code.carried(self.code.dtype(*init))).collect();
        outer.push(Index { offset: 0, terms: smallvec![(var, 1)], dynamic: None });
        let results = self.accumulated_in_loops(rest, written, &inside, outer, next);
        outer.pop();
        let carried: Vec<_> = inits
            .iter()
            .zip(&inside)
            .zip(&results)
            .map(|((init, inside), next)| (*init, *inside, *next))
            .collect();
        self.code.close_loop(*length, &carried)
    }
}
