//! What an innermost loop will read is fetched some turns ahead, where memory is crossed in long strides: the
//! machine foresees neighbours by itself, but not the next row of a large matrix.

use super::Allocate;
use crate::backend::wide::vector::{At, Base, ClassId, Home, Inst, sources};

/// Bytes of a cache line.
const LINE: i64 = 64;

/// The shortest stride in bytes that the machine is helped with.
const LONG: i64 = 16 * LINE;

/// Instructions that pass while a line comes, about.
const WAIT: usize = 256;

/// Most turns ahead.
const MOST_TURNS: usize = 16;

/// Most lines in a turn.
const MOST_LINES: usize = 8;

impl Allocate<'_> {
    /// Fetches what the innermost loop that ends at `end`, a turn of which begins, will want: of inputs, what
    /// it reads in a later turn of its own; of sums, what it adds to in the next turn of the loop around it.
    pub(super) fn fetch_ahead(&mut self, end: usize) {
        let vectors = self.vectors;
        let turns = (WAIT / (end - self.now).max(1)).clamp(1, MOST_TURNS) as i64;
        let mut lines: Vec<(ClassId, i64)> = Vec::new();
        let mut want = |at: &At, by: i64| {
            let line = (i64::from(at.disp) + by).div_euclid(LINE) * LINE;
            let known = |(class, disp): &(ClassId, i64)| *class == at.class && *disp == line;
            if !lines.iter().any(known) {
                lines.push((at.class, line));
            }
        };
        for inst in &vectors.insts[self.now..end] {
            sources(inst, &mut |value| {
                if let Home::Memory(at, _) = &vectors.homes[value]
                    && let class = &vectors.classes[at.class]
                    && matches!(class.base, Base::Input(_))
                    && let Some((_, _, step)) = class.outer
                    && step.abs() >= LONG
                {
                    want(at, step * turns);
                }
            });
            if let Inst::Sum { to, .. } = inst {
                for at in to {
                    let around = vectors.classes[at.class].outer;
                    let around = around.and_then(|(outer, ..)| vectors.classes[outer].outer);
                    if let Some((_, _, step)) = around.filter(|(.., step)| step.abs() >= LONG) {
                        want(at, step);
                    }
                }
            }
        }
        if lines.len() > MOST_LINES {
            return;
        }
        for (class, disp) in lines {
            if let (Some(pointer), Ok(disp)) = (self.pointer_of[class], i32::try_from(disp)) {
                self.asm.prefetch(pointer, disp);
            }
        }
    }
}
