//! Random streams, keyed rather than shared.
//!
//! A [`Stream`] is a pure function of (seed, item path, training step, example): what it draws
//! depends on nothing else, so results do not change with the order of declarations, the batch
//! size, threads or the device. The generator is Philox4x32-10, which needs no state but a count.
//! Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, Parallel random numbers: as easy
//! as 1, 2, 3, SC'11.

mod variates;

pub use variates::{BLOCKS, MAX_POISSON_RATE};

/// The numbers of one random item in one training step and one example.
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    example: u64,
    /// Number of the next block of four words.
    block: u64,
    words: [u32; 4],
    /// How many of `words` are used up.
    n_used: usize,
    /// The second number of the last pair of normal draws.
    spare: Option<f64>,
}

impl Stream {
    /// The stream of the item at `path` (as in `flow.eps`) under `seed`, in training step `step`,
    /// for example number `example`.
    ///
    /// Seed, path and step are hashed to a Philox key; example and position in the stream are its
    /// counter. So two streams of one item never meet, and two items share one with a chance of
    /// 2^-64.
    pub fn new(seed: u64, path: &str, step: u64, example: u64) -> Stream {
        let [p0, p1] = halves(fnv1a(path));
        let [s0, s1] = halves(step);
        let mixed = philox4x32([p0, p1, s0, s1], halves(seed));
        let key = [mixed[0], mixed[1]];
        Stream { key, example, block: 0, words: [0; 4], n_used: 4, spare: None }
    }

    /// Goes to block `block` of the stream: a place of four times 32 bits, from which two normal
    /// numbers are drawn.
    pub fn seek(&mut self, block: u64) {
        (self.block, self.n_used, self.spare) = (block, 4, None);
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.n_used == 4 {
            let ([b0, b1], [e0, e1]) = (halves(self.block), halves(self.example));
            self.words = philox4x32([b0, b1, e0, e1], self.key);
            self.block += 1;
            self.n_used = 0;
        }
        self.n_used += 1;
        self.words[self.n_used - 1]
    }

    /// The next 64 bits, low word first.
    pub fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        low | u64::from(self.next_u32()) << 32
    }

    /// Uniform on `[0, 1)`: a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * 2.0_f64.powi(-53)
    }

    /// Uniform on `(0, 1)`: of [0, 1), with half the least other value in place of 0.
    pub fn open_uniform(&mut self) -> f64 {
        match self.uniform() {
            0.0 => 2.0_f64.powi(-54),
            inside => inside,
        }
    }

    /// Standard normal. Source: G. E. P. Box, M. E. Muller, A note on the generation of random
    /// normal deviates, Ann. Math. Statist. 29 (1958). Reaches to 8.57 standard deviations.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // In (0, 1], so that the logarithm is finite.
        let u = 1.0 - self.uniform();
        let angle = std::f64::consts::TAU * self.uniform();
        let radius = (-2.0 * libm::log(u)).sqrt();
        self.spare = Some(radius * libm::sin(angle));
        radius * libm::cos(angle)
    }
}

/// The Philox4x32 bijection with ten rounds: four words from a counter and a key.
pub fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    // Multipliers and Weyl increments of the paper, section 4.3 and table 2.
    const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    for _ in 0..10 {
        let [low0, high0] = halves(u64::from(MULTIPLIERS[0]) * u64::from(counter[0]));
        let [low1, high1] = halves(u64::from(MULTIPLIERS[1]) * u64::from(counter[2]));
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// FNV-1a, 64 bits. Source: G. Fowler, L. C. Noll, K.-P. Vo, IETF draft-eastlake-fnv.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The low and the high word.
fn halves(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three vectors for `philox4x32 10` in `tests/kat_vectors` of the Random123 distribution.
    #[test]
    fn philox_gives_the_published_answers() {
        let all = u32::MAX;
        let cases = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([all; 4], [all; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox4x32(counter, key), expected);
        }
    }

    /// `a` and `foobar` in the test suite of the FNV draft, appendix C.
    #[test]
    fn the_path_hash_gives_the_published_answers() {
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_stream_depends_on_each_part_of_its_key() {
        let first = |seed, path, step, example| Stream::new(seed, path, step, example).next_u64();
        let base = first(1, "a.b", 2, 3);
        assert_eq!(base, first(1, "a.b", 2, 3));
        for other in
            [first(0, "a.b", 2, 3), first(1, "a.c", 2, 3), first(1, "a.b", 3, 3), first(1, "a.b", 2, 4)]
        {
            assert_ne!(base, other);
        }
    }

    /// Sample moments of `n` independent draws lie within five standard errors.
    #[test]
    fn draws_have_the_moments_of_their_distributions() {
        let n = 100_000;
        let mut stream = Stream::new(7, "test", 0, 0);
        let near = |sum: f64, mean: f64, variance: f64| {
            let (found, bound) = (sum / f64::from(n), 5.0 * (variance / f64::from(n)).sqrt());
            assert!((found - mean).abs() < bound, "{found} is not {mean} within {bound}");
        };
        let uniforms: Vec<f64> = (0..n).map(|_| stream.uniform()).collect();
        assert!(uniforms.iter().all(|u| (0.0..1.0).contains(u)));
        near(uniforms.iter().sum(), 0.5, 1.0 / 12.0);
        // Var(u²) = 1/5 - 1/9.
        near(uniforms.iter().map(|u| u * u).sum(), 1.0 / 3.0, 4.0 / 45.0);
        let normals: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        near(normals.iter().sum(), 0.0, 1.0);
        // Var(z²) = 2, Var(z⁴) = 105 - 9, and the two numbers of a pair are uncorrelated.
        near(normals.iter().map(|z| z * z).sum(), 1.0, 2.0);
        near(normals.iter().map(|z| z.powi(4)).sum(), 3.0, 96.0);
        near(2.0 * normals.chunks(2).map(|pair| pair[0] * pair[1]).sum::<f64>(), 0.0, 2.0);
        // P(|z| < 1) = erf(1/√2) = 0.682689492137086 (DLMF 7.2.1).
        let p = 0.682_689_492_137_086;
        near(normals.iter().filter(|z| z.abs() < 1.0).count() as f64, p, p * (1.0 - p));
    }
}
