//! Means over examples whose bits do not depend on how many threads there are.
//!
//! The examples of a batch are cut into at most [`LEAVES`] runs of neighbours. A run is added up
//! from its first example to its last, the runs pairwise as the leaves of a binary tree. Which
//! thread takes which run is left to chance; what is added to what is not.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Runs of neighbours in a batch: more threads than this find nothing to do, and as many gradients
/// are held at once.
pub const LEAVES: usize = 32;

/// The sum of a run, or why there is none.
type Sum<E> = Result<Vec<f64>, E>;

/// The mean of `of(example)` over `examples`, each a vector of `width` numbers that `of` adds to
/// what it is given. The first failure (in the order of the examples) is the result if there is
/// one.
///
/// # Panics
/// If `examples` is empty.
pub fn mean<E: Send>(
    examples: &[usize],
    width: usize,
    threads: usize,
    of: impl Fn(usize, &mut [f64]) -> Result<(), E> + Sync,
) -> Result<Vec<f64>, E> {
    assert!(!examples.is_empty(), "a mean of something");
    let n_leaves = examples.len().min(LEAVES);
    let run =
        |leaf: usize| &examples[leaf * examples.len() / n_leaves..(leaf + 1) * examples.len() / n_leaves];
    let leaf_sum = |leaf: usize| {
        let mut sum = vec![0.0; width];
        run(leaf).iter().try_for_each(|example| of(*example, &mut sum)).map(|()| sum)
    };
    let sums: Vec<Mutex<Option<Sum<E>>>> = (0..n_leaves).map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let work = || {
        while !failed.load(Ordering::Relaxed) {
            let leaf = next.fetch_add(1, Ordering::Relaxed);
            if leaf >= n_leaves {
                return;
            }
            let sum = leaf_sum(leaf);
            if sum.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            *sums[leaf].lock().expect("no thread panics while it holds a sum") = Some(sum);
        }
    };
    let threads = threads.clamp(1, n_leaves);
    if threads == 1 {
        work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
    }
    // Leaves are taken in order, so before the first failure none is missing.
    let mut level = Vec::with_capacity(n_leaves);
    for sum in sums {
        let sum = sum.into_inner().expect("no thread panicked");
        level.push(sum.expect("every leaf before the first failure was taken")?);
    }
    while level.len() > 1 {
        let mut pairs = level.into_iter();
        let mut above = Vec::new();
        while let Some(mut left) = pairs.next() {
            if let Some(right) = pairs.next() {
                left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
            }
            above.push(left);
        }
        level = above;
    }
    let mut mean = level.pop().expect("a tree has a root");
    let count = examples.len() as f64;
    mean.iter_mut().for_each(|sum| *sum /= count);
    Ok(mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0.1, 0.2, … do not add exactly, so another order would give other bits.
    fn value(example: usize, sum: &mut [f64]) -> Result<(), usize> {
        sum[0] += 0.1 * example as f64;
        sum[1] += 1.0;
        Ok(())
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let examples: Vec<usize> = (0..1001).rev().collect();
        let one = mean(&examples, 2, 1, value).unwrap();
        // 0.1·1000/2, within the rounding of a thousand sums.
        assert!((one[0] - 50.0).abs() < 1e-11 && one[1] == 1.0, "{one:?}");
        for threads in [2, 3, 7, 64] {
            let several = mean(&examples, 2, threads, value).unwrap();
            assert_eq!(several[0].to_bits(), one[0].to_bits(), "{threads} threads");
        }
    }

    #[test]
    fn the_first_failure_is_the_result_whatever_the_threads() {
        let examples: Vec<usize> = (0..100).collect();
        let of = |example: usize, _: &mut [f64]| if example >= 40 { Err(example) } else { Ok(()) };
        for threads in [1, 2, 8] {
            assert_eq!(mean(&examples, 1, threads, of), Err(40));
        }
    }

    #[test]
    fn a_batch_smaller_than_the_tree() {
        assert_eq!(mean(&[4, 2], 2, 8, value).unwrap()[1], 1.0);
    }
}
