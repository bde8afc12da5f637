//! Which examples are for training, which for validation, which for the final test.
//!
//! `split = [0.8, 0.1, 0.1], seed = 0` shuffles the examples and cuts the shuffled list into three
//! in this order; the cuts are at the rounded cumulative shares, so every example is in exactly one
//! part. The shuffle is Fisher and Yates's with the stream of item `data.split` under the seed, so
//! it depends on the seed and the number of examples alone.

use crate::base::random::Stream;

/// A part of a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What is fitted to.
    #[default]
    Train,
    /// What the fit is watched on.
    Valid,
    /// What the result is judged by.
    Test,
}

impl Part {
    /// All of them, in the order of `split`.
    pub const ALL: [Part; 3] = [Part::Train, Part::Valid, Part::Test];

    /// As a program calls it.
    pub fn name(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Valid => "valid",
            Part::Test => "test",
        }
    }

    /// The part called `name`.
    pub fn by_name(name: &str) -> Option<Part> {
        Part::ALL.into_iter().find(|part| part.name() == name)
    }
}

/// `split = [0.8, 0.1, 0.1], seed = 0`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// The share of each part; they are at least 0 and add up to 1.
    pub shares: [f64; 3],
    /// What decides which examples go where.
    pub seed: u64,
}

/// How far from 1 a sum of shares may be: a few roundings of decimal fractions.
const ROUNDING: f64 = 1e-9;

impl Shares {
    /// `None` if a share is negative or they do not add up to 1.
    pub fn new(shares: [f64; 3], seed: u64) -> Option<Shares> {
        let sum: f64 = shares.iter().sum();
        let fine = shares.iter().all(|share| *share >= 0.0) && (sum - 1.0).abs() <= ROUNDING;
        fine.then_some(Shares { shares, seed })
    }

    /// The examples of each part, out of `count`, in their shuffled order.
    pub fn parts(&self, count: usize) -> [Vec<usize>; 3] {
        let order = permutation(count, &mut Stream::new(self.seed, "data.split", 0, 0));
        let cut = |share: f64| ((share * count as f64).round() as usize).min(count);
        let [first, second, _] = self.shares;
        let (train, valid) = (cut(first), cut(first + second));
        [order[..train].to_vec(), order[train..valid].to_vec(), order[valid..].to_vec()]
    }
}

/// The numbers `0..count` shuffled: every order is equally likely (up to 2⁻⁵³ or so a draw).
/// Source: R. Durstenfeld, Algorithm 235: random permutation, Comm. ACM 7 (1964).
pub fn permutation(count: usize, stream: &mut Stream) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        let chosen = (stream.uniform() * (last + 1) as f64) as usize;
        order.swap(last, chosen.min(last));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_in_one_part() {
        let shares = Shares::new([0.7, 0.15, 0.15], 3).unwrap();
        let parts = shares.parts(21);
        // Cumulative shares 14.7 and 17.85, rounded.
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [15, 3, 3]);
        let mut all = parts.concat();
        assert_ne!(all, (0..21).collect::<Vec<_>>(), "shuffled");
        all.sort_unstable();
        assert_eq!(all, (0..21).collect::<Vec<_>>());
        assert_ne!(Shares::new([0.7, 0.15, 0.15], 4).unwrap().parts(21)[0], parts[0]);
    }

    #[test]
    fn shares_add_up_to_one() {
        assert!(Shares::new([0.8, 0.1, 0.1], 0).is_some());
        assert!(Shares::new([0.8, 0.1, 0.2], 0).is_none());
        assert!(Shares::new([1.5, -0.5, 0.0], 0).is_none());
    }

    /// Of 6000 shuffles of three, each of the six orders takes a sixth within five standard
    /// deviations, √(6000·(1/6)·(5/6)) each.
    #[test]
    fn every_order_is_equally_likely() {
        let mut counts = std::collections::BTreeMap::new();
        let mut stream = Stream::new(1, "orders", 0, 0);
        for _ in 0..6000 {
            *counts.entry(permutation(3, &mut stream)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (count - 1000_i32).abs() < 145), "{counts:?}");
    }
}
