//! Means over examples whose bits do not depend on how many threads there are.
//!
//! The examples of a batch are cut into blocks of neighbours, the blocks into at most [`LEAVES`] runs.
//! A run is added up from its first block to its last, the runs pairwise as the leaves of a binary
//! tree. Which thread takes which run is left to chance; what is added to what is not. Two sums that
//! belong together are added as soon as both are there, so only a few are held at once: one for each
//! thread, and one for each level of the tree.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Runs of blocks in a batch: more threads than this find nothing to do.
pub const LEAVES: usize = 32;

/// What is added up of examples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// The terms.
    pub terms: Vec<f64>,
    /// The slopes; empty as long as there are none.
    pub slopes: Vec<f64>,
}

impl Sums {
    /// Adds slopes: all that there are, in order.
    pub fn add_slopes(&mut self, slopes: impl ExactSizeIterator<Item = f64>) {
        if self.slopes.is_empty() {
            // As if to zeros, of which there is no negative one.
            self.slopes.extend(slopes.map(|slope| 0.0 + slope));
        } else {
            debug_assert_eq!(
                self.slopes.len(),
                slopes.len(),
                "slopes of all examples are by the same params"
            );
            self.slopes.iter_mut().zip(slopes).for_each(|(sum, slope)| *sum += slope);
        }
    }

    fn add(&mut self, other: &Sums) {
        self.terms.iter_mut().zip(&other.terms).for_each(|(sum, term)| *sum += term);
        self.add_slopes(other.slopes.iter().copied());
    }
}

/// Adds up the numbers of examples, and keeps the memory for the next time.
#[derive(Debug, Default)]
pub struct Adder {
    spare: Mutex<Vec<Sums>>,
}

/// Sums that wait for their neighbours.
struct Tree {
    /// By level, the leaves first: the sums of the nodes whose neighbour is not done.
    levels: Vec<Vec<Option<Sums>>>,
}

impl Tree {
    fn new(n_leaves: usize) -> Tree {
        let (mut levels, mut nodes) = (Vec::new(), n_leaves);
        loop {
            levels.push((0..nodes).map(|_| None).collect());
            if nodes == 1 {
                return Tree { levels };
            }
            nodes = nodes.div_ceil(2);
        }
    }

    /// Puts the sum of a node to where it waits. If it need not, because its neighbour is there: both, in
    /// order.
    fn meet(&mut self, level: usize, node: usize, sum: Sums) -> Option<[Sums; 2]> {
        let nodes = &mut self.levels[level];
        match nodes.get_mut(node ^ 1).and_then(Option::take) {
            Some(other) => Some(if node.is_multiple_of(2) { [sum, other] } else { [other, sum] }),
            None => {
                nodes[node] = Some(sum);
                None
            }
        }
    }
}

impl Adder {
    /// The mean of `of` over `examples`, each with `n_terms` terms: `of` adds those of a block of at most
    /// `block` neighbours, and slopes if there are any, to what it is given. The first failure (in the order
    /// of the blocks) is the result if there is one.
    ///
    /// # Panics
    /// If `examples` is empty, or `block` is 0.
    pub fn mean<E: Send>(
        &self,
        examples: &[usize],
        block: usize,
        n_terms: usize,
        threads: usize,
        of: impl Fn(&[usize], &mut Sums) -> Result<(), E> + Sync,
    ) -> Result<Sums, E> {
        assert!(!examples.is_empty(), "a mean of something");
        let blocks: Vec<&[usize]> = examples.chunks(block).collect();
        let n_leaves = blocks.len().min(LEAVES);
        let run = |leaf: usize| &blocks[leaf * blocks.len() / n_leaves..(leaf + 1) * blocks.len() / n_leaves];
        let (tree, failures) = (Mutex::new(Tree::new(n_leaves)), Mutex::new(Vec::new()));
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let work = || {
            while !failed.load(Ordering::Relaxed) {
                let leaf = next.fetch_add(1, Ordering::Relaxed);
                if leaf >= n_leaves {
                    return;
                }
                let mut sum = self.nothing(n_terms);
                match run(leaf).iter().try_for_each(|block| of(block, &mut sum)) {
                    Ok(()) => self.climb(&tree, leaf, sum),
                    Err(failure) => {
                        failed.store(true, Ordering::Relaxed);
                        locked(&failures).push((leaf, failure));
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.clamp(1, n_leaves) {
                scope.spawn(work);
            }
            work();
        });
        // Leaves are taken in order, so the first of all failures is among those that were met.
        let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, failure)) = failures.into_iter().min_by_key(|(leaf, _)| *leaf) {
            return Err(failure);
        }
        let root = locked(&tree).levels.last_mut().and_then(|level| level[0].take());
        let mut mean = root.expect("all leaves were added up");
        let count = examples.len() as f64;
        mean.terms.iter_mut().chain(&mut mean.slopes).for_each(|sum| *sum /= count);
        Ok(mean)
    }

    /// Gives back the memory of a mean.
    pub fn keep(&self, mean: Sums) {
        locked(&self.spare).push(mean);
    }

    /// Adds the sum of a leaf to what is there, as far up the tree as that goes.
    fn climb(&self, tree: &Mutex<Tree>, leaf: usize, sum: Sums) {
        let (mut node, mut sum) = (leaf, sum);
        for level in 0.. {
            let (root, alone) = {
                let tree = locked(tree);
                let nodes = tree.levels[level].len();
                (nodes == 1, node + 1 == nodes && node.is_multiple_of(2))
            };
            if root || !alone {
                let met = locked(tree).meet(level, node, sum);
                let Some([mut left, right]) = met else { return };
                left.add(&right);
                self.keep(right);
                sum = left;
            }
            node /= 2;
        }
    }

    fn nothing(&self, n_terms: usize) -> Sums {
        let mut sums = locked(&self.spare).pop().unwrap_or_default();
        sums.terms.clear();
        sums.terms.resize(n_terms, 0.0);
        sums.slopes.clear();
        sums
    }
}

/// What a mutex guards: no thread leaves it half changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0.1, 0.2, … do not add exactly, so another order would give other bits.
    fn values(block: &[usize], sum: &mut Sums) -> Result<(), usize> {
        for example in block {
            sum.terms[0] += 0.1 * *example as f64;
            sum.add_slopes([1.0].into_iter());
        }
        Ok(())
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let examples: Vec<usize> = (0..1001).rev().collect();
        for block in [1, 8, 100] {
            let adder = Adder::default();
            let one = adder.mean(&examples, block, 1, 1, values).unwrap();
            // 0.1·1000/2, within the rounding of a thousand sums.
            assert!((one.terms[0] - 50.0).abs() < 1e-11 && one.slopes == [1.0], "{one:?}");
            for threads in [2, 3, 7, 64] {
                let several = adder.mean(&examples, block, 1, threads, values).unwrap();
                assert_eq!(several.terms[0].to_bits(), one.terms[0].to_bits(), "{threads} threads");
                adder.keep(several);
            }
        }
    }

    /// The tree of 3 leaves: the first two, then the third.
    #[test]
    fn neighbours_are_added_first() {
        let of = |block: &[usize], sum: &mut Sums| {
            let number = [1.0, 1e-16, 1e-16][block[0]];
            sum.terms[0] += number;
            sum.add_slopes([number].into_iter());
            Ok::<(), ()>(())
        };
        let mean = |examples: &[usize]| {
            let Sums { terms, slopes } = Adder::default().mean(examples, 1, 1, 1, of).unwrap();
            [terms, slopes]
        };
        assert_eq!(mean(&[0, 1, 2]), [[1.0 / 3.0], [1.0 / 3.0]]);
        let sum = 2e-16 + 1.0;
        assert_eq!(mean(&[1, 2, 0]), [[sum / 3.0], [sum / 3.0]]);
    }

    #[test]
    fn one_thread_holds_a_sum_for_each_level() {
        let adder = Adder::default();
        let examples: Vec<usize> = (0..320).collect();
        adder.mean(&examples, 10, 1, 1, values).unwrap();
        // Of 32 leaves: at most one at each of the levels 16, 8, 4, 2, 1 and two leaves; the mean is out.
        assert!(locked(&adder.spare).len() <= 6, "{} sums", locked(&adder.spare).len());
    }

    #[test]
    fn the_first_failure_is_the_result_whatever_the_threads() {
        let examples: Vec<usize> = (0..100).collect();
        let of = |block: &[usize], _: &mut Sums| match block.iter().find(|example| **example >= 40) {
            Some(example) => Err(*example),
            None => Ok(()),
        };
        for (threads, block) in [(1, 1), (2, 1), (8, 3)] {
            assert_eq!(Adder::default().mean(&examples, block, 1, threads, of), Err(40));
        }
    }

    #[test]
    fn a_batch_smaller_than_the_tree() {
        assert_eq!(Adder::default().mean(&[4, 2], 1, 1, 8, values).unwrap().slopes, [1.0]);
    }
}
