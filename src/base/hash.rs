//! A hash for tables inside the compiler.
//!
//! Keys are a few small numbers that the compiler made itself, or names of one file, so that the protection
//! of the standard hash against chosen keys buys nothing and costs most of a look-up. Tables with this hash
//! are for looking up; nothing reads their order.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A [`HashMap`] with [`FastHash`].
pub type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHash>>;

/// A [`HashSet`] with [`FastHash`].
pub type FastSet<K> = HashSet<K, BuildHasherDefault<FastHash>>;

/// Rotate, exclusive or, multiply, a word at a time, and a final mix so that the high bits, which
/// tables look at, depend on every word. Source: the hash of Firefox ("FxHash"); the finalizer is
/// that of MurmurHash3 (A. Appleby, 2011).
#[derive(Clone, Copy, Debug, Default)]
pub struct FastHash(u64);

impl FastHash {
    fn word(&mut self, word: u64) {
        // 2^64 divided by the golden ratio, odd.
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Hasher for FastHash {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in words.by_ref() {
            self.word(u64::from_le_bytes(word.try_into().expect("chunks of eight")));
        }
        let rest = words.remainder();
        if !rest.is_empty() {
            self.word(rest.iter().rev().fold(rest.len() as u64, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.word(u64::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.word(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.word(n);
    }

    fn write_usize(&mut self, n: usize) {
        self.word(n as u64);
    }

    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ self.0 >> 33).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        mixed ^ mixed >> 33
    }
}
