//! The machines that wide code is made for.
//!
//! All that the other modules know of them is in a [`Machine`]: its registers, its vectors, and which
//! forms it has. What a machine has no form for is made of others (`select/expand`), and lanes that its
//! registers cannot hold come in blocks, one after the other (`select/blocks`).

use super::encode::{self as x, Encoding, Form, Len};

/// An instruction set, with the fused multiply-adds that go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// F, DQ, BW and VL.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
}

impl Isa {
    /// All of them, the best first.
    pub const ALL: [Isa; 2] = [Isa::Avx512, Isa::Avx2];

    /// Whether this machine has it.
    pub fn is_supported(self) -> bool {
        #[cfg(all(target_arch = "x86_64", unix))]
        return match self {
            Isa::Avx512 => {
                std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx512dq")
                    && std::arch::is_x86_feature_detected!("avx512bw")
                    && std::arch::is_x86_feature_detected!("avx512vl")
            }
            Isa::Avx2 => {
                std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
            }
        };
        #[cfg(not(all(target_arch = "x86_64", unix)))]
        false
    }

    pub(super) fn machine(self) -> &'static Machine {
        match self {
            Isa::Avx512 => &AVX512,
            Isa::Avx2 => &AVX2,
        }
    }
}

/// What comes out of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masks {
    /// Bits of a mask register; they choose from there.
    Registers,
    /// All bits of each lane of a vector; such a vector chooses.
    Vectors,
}

/// What code is made for.
#[derive(Debug)]
pub struct Machine {
    pub encoding: Encoding,
    /// A vector, and half of it.
    pub full: Len,
    pub half: Len,
    /// Vector registers that hold values.
    pub n_regs: usize,
    /// Those that are free between instructions.
    pub scratch: [u8; 2],
    /// Most values that a loop carries in registers.
    pub carried: usize,
    pub masks: Masks,
    /// Whether an operand can be one element in memory for all lanes.
    pub broadcasts: bool,
    /// The upper half of a vector to the lower; the immediate byte is 1.
    pub extract: Form,
    /// A lower half into the upper; the immediate byte is 1.
    pub insert: Form,
    /// Vectors of `f64` in a block of lanes, as long as these are enough: two hide the latency of each
    /// other where there are registers for them.
    pub doubles: usize,
    /// Whether there are registers for two turns of a loop at once.
    pub pairs_turns: bool,
    /// How pairs of 128 bits are added up, see [`Round`].
    wide_rounds: &'static [Round],
}

/// One addition on the way to sums over the lanes. Of vectors of which neighbours are to be added,
/// `low` and `high` of two give the neighbours on the left and on the right, the first vector's before
/// the second's; `swap` makes neighbours change places. Each has its immediate byte.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub low: (Form, Option<u8>),
    pub high: (Form, Option<u8>),
    pub swap: (Form, Option<u8>),
}

impl Machine {
    pub fn has(&self, form: &Form) -> bool {
        form.has(self.encoding)
    }

    /// Bytes of a vector.
    pub fn bytes(&self) -> usize {
        16 << self.full as usize
    }

    /// Lanes of a block of `width`, for a function of `f32` (`single`) or of `f64`: as many as fill one
    /// vector, or [`doubles`](Machine::doubles).
    pub fn lanes(&self, width: usize, single: bool) -> usize {
        let fitting = if single { self.bytes() / 4 } else { self.bytes() / 8 * self.doubles };
        fitting.min(width)
    }

    /// The additions of neighbours, of twos of these, and so on: with as many vectors as have elements,
    /// they leave the sum of each vector, in order.
    pub fn rounds(&self, double: bool) -> impl Iterator<Item = &'static Round> {
        let within: &[Round] = if double { &DOUBLES } else { &SINGLES };
        within.iter().chain(self.wide_rounds)
    }
}

const fn round(form: Form, low: u8, high: u8, swap: u8) -> Round {
    Round { low: (form, Some(low)), high: (form, Some(high)), swap: (form, Some(swap)) }
}

/// In each 128 bits.
static SINGLES: [Round; 2] = [round(x::SHUFFLE_PS, 0x88, 0xdd, 0xb1), round(x::SHUFFLE_PS, 0x88, 0xdd, 0x4e)];
static DOUBLES: [Round; 1] =
    [Round { low: (x::UNPACK_LOW, None), high: (x::UNPACK_HIGH, None), swap: (x::SHUFFLE_PS, Some(0x4e)) }];

static AVX512: Machine = Machine {
    encoding: Encoding::Evex,
    full: Len::Z,
    half: Len::Y,
    n_regs: 30,
    scratch: [30, 31],
    carried: 24,
    masks: Masks::Registers,
    broadcasts: true,
    extract: x::EXTRACT_HALF,
    insert: x::INSERT_HALF,
    doubles: 2,
    pairs_turns: true,
    wide_rounds: &[
        round(x::SHUFFLE_QUARTERS, 0x88, 0xdd, 0xb1),
        round(x::SHUFFLE_QUARTERS, 0x88, 0xdd, 0x4e),
    ],
};

static AVX2: Machine = Machine {
    encoding: Encoding::Vex,
    full: Len::Y,
    half: Len::X,
    n_regs: 14,
    scratch: [14, 15],
    carried: 10,
    masks: Masks::Vectors,
    broadcasts: false,
    extract: x::EXTRACT_128,
    insert: x::INSERT_128,
    doubles: 1,
    pairs_turns: false,
    wide_rounds: &[round(x::PERMUTE_128, 0x20, 0x31, 0x01)],
};
