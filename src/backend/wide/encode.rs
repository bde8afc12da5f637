//! Machine code of x86-64 with AVX-512 or AVX2, instruction by instruction.
//!
//! Only the forms that wide code needs, one table row each. Vector instructions are written with the
//! [`Encoding`] of the machine, those on mask registers with VEX. Source: Intel 64 and IA-32
//! Architectures Software Developer's Manual, volume 2, sections 2.3 (VEX) and 2.7 (EVEX), and the
//! pages of the instructions. Its tests read every form back with an independent decoder.

/// A general register by its number: 0 is `rax`, 4 `rsp`.
pub type Gpr = u8;

pub const RAX: Gpr = 0;
pub const RCX: Gpr = 1;
pub const RDX: Gpr = 2;
pub const RBX: Gpr = 3;
pub const RSP: Gpr = 4;
pub const RBP: Gpr = 5;
pub const RSI: Gpr = 6;
pub const RDI: Gpr = 7;

/// Bytes of a vector operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Len {
    /// 128 bits.
    X = 0,
    /// 256 bits.
    Y = 1,
    /// 512 bits.
    Z = 2,
}

impl Len {
    pub fn bytes(self) -> i32 {
        16 << self as i32
    }
}

/// What a displacement of one byte counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Vectors, or elements of this many bytes where one is broadcast.
    Full(i32),
    /// This many bytes.
    Bytes(i32),
    /// Vectors over this number.
    Part(i32),
}

/// How vector instructions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// For AVX-512: 32 registers, masks, broadcast operands.
    Evex,
    /// For AVX and AVX2: 16 registers.
    Vex,
}

/// An instruction without its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// As the manual writes it, of the first of a family.
    pub name: &'static str,
    map: u8,
    prefix: u8,
    opcode: u8,
    unit: Unit,
    /// The bit W in EVEX, where the form has that encoding.
    evex: Option<bool>,
    /// The bit W in VEX, likewise.
    vex: Option<bool>,
}

impl Form {
    /// Bytes of an element that can be broadcast from memory, 0 if none can.
    pub fn element(&self) -> u8 {
        match self.unit {
            Unit::Full(bytes) => bytes as u8,
            Unit::Bytes(_) | Unit::Part(_) => 0,
        }
    }

    /// Whether it can be written so.
    pub fn has(&self, encoding: Encoding) -> bool {
        self.wide(encoding).is_some()
    }

    fn wide(&self, encoding: Encoding) -> Option<bool> {
        match encoding {
            Encoding::Evex => self.evex,
            Encoding::Vex => self.vex,
        }
    }
}

/// The opcode maps.
const M0F: u8 = 1;
const M38: u8 = 2;
const M3A: u8 = 3;

/// The prefixes.
const NP: u8 = 0;
const P66: u8 = 1;
const PF3: u8 = 2;
const PF2: u8 = 3;

/// The bit W.
const W0: Option<bool> = Some(false);
const W1: Option<bool> = Some(true);
const NO: Option<bool> = None;

macro_rules! forms {
    ($($(#[$doc:meta])* $id:ident = $name:literal $map:ident $prefix:ident $opcode:literal $unit:expr, $evex:ident $vex:ident;)*) => {
        $($(#[$doc])* pub const $id: Form = Form {
            name: $name, map: $map, prefix: $prefix, opcode: $opcode, unit: $unit, evex: $evex, vex: $vex,
        };)*
        /// Every form.
        #[cfg(test)]
        const FORMS: &[Form] = &[$($id),*];
    };
}

const F4: Unit = Unit::Full(4);
const F8: Unit = Unit::Full(8);

// The last two columns are the bit W in EVEX and in VEX. Names are those of EVEX where they differ.
forms! {
    LOAD = "vmovups" M0F NP 0x10 F4, W0 W0;
    STORE = "vmovups" M0F NP 0x11 F4, W0 W0;
    LOAD_PD = "vmovupd" M0F P66 0x10 F8, W1 NO;
    STORE_PD = "vmovupd" M0F P66 0x11 F8, W1 NO;
    /// The first source is the mask.
    MASKED_LOAD_PS = "vmaskmovps" M38 P66 0x2c F4, NO W0;
    /// The first source is the mask.
    MASKED_LOAD_PD = "vmaskmovpd" M38 P66 0x2d F8, NO W0;
    /// The first source is the mask.
    MASKED_STORE_PS = "vmaskmovps" M38 P66 0x2e F4, NO W0;
    /// The first source is the mask.
    MASKED_STORE_PD = "vmaskmovpd" M38 P66 0x2f F8, NO W0;
    MOVE = "vmovaps" M0F NP 0x28 F4, W0 W0;
    BROADCAST_SS = "vbroadcastss" M38 P66 0x18 Unit::Bytes(4), W0 W0;
    BROADCAST_SD = "vbroadcastsd" M38 P66 0x19 Unit::Bytes(8), W1 W0;
    BROADCAST_D_GPR = "vpbroadcastd" M38 P66 0x7c F4, W0 NO;
    STORE_SS = "vmovss" M0F PF3 0x11 Unit::Bytes(4), W0 W0;
    STORE_SD = "vmovsd" M0F PF2 0x11 Unit::Bytes(8), W1 W0;
    ADD_SS = "vaddss" M0F PF3 0x58 Unit::Bytes(4), W0 W0;
    ADD_SD = "vaddsd" M0F PF2 0x58 Unit::Bytes(8), W1 W0;
    ADD_PS = "vaddps" M0F NP 0x58 F4, W0 W0;
    ADD_PD = "vaddpd" M0F P66 0x58 F8, W1 W0;
    MUL_PS = "vmulps" M0F NP 0x59 F4, W0 W0;
    MUL_PD = "vmulpd" M0F P66 0x59 F8, W1 W0;
    SUB_PS = "vsubps" M0F NP 0x5c F4, W0 W0;
    SUB_PD = "vsubpd" M0F P66 0x5c F8, W1 W0;
    MIN_PS = "vminps" M0F NP 0x5d F4, W0 W0;
    MIN_PD = "vminpd" M0F P66 0x5d F8, W1 W0;
    DIV_PS = "vdivps" M0F NP 0x5e F4, W0 W0;
    DIV_PD = "vdivpd" M0F P66 0x5e F8, W1 W0;
    MAX_PS = "vmaxps" M0F NP 0x5f F4, W0 W0;
    MAX_PD = "vmaxpd" M0F P66 0x5f F8, W1 W0;
    SQRT_PS = "vsqrtps" M0F NP 0x51 F4, W0 W0;
    SQRT_PD = "vsqrtpd" M0F P66 0x51 F8, W1 W0;
    FMADD132_PS = "vfmadd132ps" M38 P66 0x98 F4, W0 W0;
    FMADD132_PD = "vfmadd132pd" M38 P66 0x98 F8, W1 W1;
    FMADD213_PS = "vfmadd213ps" M38 P66 0xa8 F4, W0 W0;
    FMADD213_PD = "vfmadd213pd" M38 P66 0xa8 F8, W1 W1;
    FMADD231_PS = "vfmadd231ps" M38 P66 0xb8 F4, W0 W0;
    FMADD231_PD = "vfmadd231pd" M38 P66 0xb8 F8, W1 W1;
    FNMADD132_PS = "vfnmadd132ps" M38 P66 0x9c F4, W0 W0;
    FNMADD132_PD = "vfnmadd132pd" M38 P66 0x9c F8, W1 W1;
    FNMADD213_PS = "vfnmadd213ps" M38 P66 0xac F4, W0 W0;
    FNMADD213_PD = "vfnmadd213pd" M38 P66 0xac F8, W1 W1;
    FNMADD231_PS = "vfnmadd231ps" M38 P66 0xbc F4, W0 W0;
    FNMADD231_PD = "vfnmadd231pd" M38 P66 0xbc F8, W1 W1;
    FMSUB132_PS = "vfmsub132ps" M38 P66 0x9a F4, W0 W0;
    FMSUB132_PD = "vfmsub132pd" M38 P66 0x9a F8, W1 W1;
    FMSUB213_PS = "vfmsub213ps" M38 P66 0xaa F4, W0 W0;
    FMSUB213_PD = "vfmsub213pd" M38 P66 0xaa F8, W1 W1;
    FMSUB231_PS = "vfmsub231ps" M38 P66 0xba F4, W0 W0;
    FMSUB231_PD = "vfmsub231pd" M38 P66 0xba F8, W1 W1;
    FNMSUB132_PS = "vfnmsub132ps" M38 P66 0x9e F4, W0 W0;
    FNMSUB132_PD = "vfnmsub132pd" M38 P66 0x9e F8, W1 W1;
    FNMSUB213_PS = "vfnmsub213ps" M38 P66 0xae F4, W0 W0;
    FNMSUB213_PD = "vfnmsub213pd" M38 P66 0xae F8, W1 W1;
    FNMSUB231_PS = "vfnmsub231ps" M38 P66 0xbe F4, W0 W0;
    FNMSUB231_PD = "vfnmsub231pd" M38 P66 0xbe F8, W1 W1;
    ROUND_PS = "vrndscaleps" M3A P66 0x08 F4, W0 W0;
    ROUND_PD = "vrndscalepd" M3A P66 0x09 F8, W1 W0;
    COMPARE_PS = "vcmpps" M0F NP 0xc2 F4, W0 W0;
    COMPARE_PD = "vcmppd" M0F P66 0xc2 F8, W1 W0;
    COMPARE_Q = "vpcmpq" M3A P66 0x1f F8, W1 NO;
    TEST_D = "vptestmd" M38 P66 0x27 F4, W0 NO;
    MASK_TO_D = "vpmovm2d" M38 PF3 0x38 F4, W0 NO;
    D_TO_MASK = "vpmovd2m" M38 PF3 0x39 F4, W0 NO;
    BLEND_PS = "vblendmps" M38 P66 0x65 F4, W0 NO;
    BLEND_PD = "vblendmpd" M38 P66 0x65 F8, W1 NO;
    AND_D = "vpandd" M0F P66 0xdb F4, W0 W0;
    AND_Q = "vpandq" M0F P66 0xdb F8, W1 W0;
    OR_D = "vpord" M0F P66 0xeb F4, W0 W0;
    OR_Q = "vporq" M0F P66 0xeb F8, W1 W0;
    XOR_D = "vpxord" M0F P66 0xef F4, W0 W0;
    XOR_Q = "vpxorq" M0F P66 0xef F8, W1 W0;
    TERNARY_D = "vpternlogd" M3A P66 0x25 F4, W0 NO;
    TERNARY_Q = "vpternlogq" M3A P66 0x25 F8, W1 NO;
    ADD_Q = "vpaddq" M0F P66 0xd4 F8, W1 W0;
    SUB_Q = "vpsubq" M0F P66 0xfb F8, W1 W0;
    MUL_Q = "vpmullq" M38 P66 0x40 F8, W1 NO;
    MUL_UDQ = "vpmuludq" M0F P66 0xf4 F8, W1 W0;
    MIN_Q = "vpminsq" M38 P66 0x39 F8, W1 NO;
    MAX_Q = "vpmaxsq" M38 P66 0x3d F8, W1 NO;
    SHIFT_LEFT_Q = "vpsllvq" M38 P66 0x47 F8, W1 W1;
    SHIFT_RIGHT_Q = "vpsrlvq" M38 P66 0x45 F8, W1 W1;
    /// By a constant; the register is an operation, 2 for right, 6 for left.
    SHIFT_D = "vpsrld" M0F P66 0x72 F4, W0 W0;
    /// By a constant; the register is an operation, 2 for right, 6 for left.
    SHIFT_Q = "vpsrlq" M0F P66 0x73 F8, W1 W0;
    PS_TO_PD = "vcvtps2pd" M0F NP 0x5a Unit::Part(2), W0 W0;
    PD_TO_PS = "vcvtpd2ps" M0F P66 0x5a F8, W1 W0;
    Q_TO_PD = "vcvtqq2pd" M0F PF3 0xe6 F8, W1 NO;
    Q_TO_PS = "vcvtqq2ps" M0F NP 0x5b F8, W1 NO;
    PD_TO_Q = "vcvttpd2qq" M0F P66 0x7a F8, W1 NO;
    D_TO_Q = "vpmovzxdq" M38 P66 0x35 Unit::Part(2), W0 W0;
    /// Destination and source change places.
    Q_TO_D = "vpmovqd" M38 PF3 0x35 Unit::Part(2), W0 NO;
    B_TO_D = "vpmovzxbd" M38 P66 0x31 Unit::Part(4), W0 W0;
    /// Destination and source change places.
    D_TO_B = "vpmovdb" M38 PF3 0x31 Unit::Part(4), W0 NO;
    /// Destination and source change places.
    EXTRACT_HALF = "vextractf64x4" M3A P66 0x1b Unit::Bytes(32), W1 NO;
    INSERT_HALF = "vinsertf64x4" M3A P66 0x1a Unit::Bytes(32), W1 NO;
    SHUFFLE_QUARTERS = "vshuff64x2" M3A P66 0x23 F8, W1 NO;
    UNPACK_LOW = "vunpcklpd" M0F P66 0x14 F8, W1 W0;
    UNPACK_HIGH = "vunpckhpd" M0F P66 0x15 F8, W1 W0;
    SHUFFLE_PS = "vshufps" M0F NP 0xc6 F4, W0 W0;
    GATHER_PS = "vgatherqps" M38 P66 0x93 Unit::Bytes(4), W0 W0;
    GATHER_PD = "vgatherqpd" M38 P66 0x93 Unit::Bytes(8), W1 W1;
    SCATTER_PS = "vscatterqps" M38 P66 0xa3 Unit::Bytes(4), W0 NO;
    SCATTER_PD = "vscatterqpd" M38 P66 0xa3 Unit::Bytes(8), W1 NO;
    BROADCAST_B = "vpbroadcastb" M38 P66 0x78 Unit::Bytes(1), NO W0;
    B_TO_Q = "vpmovzxbq" M38 P66 0x32 Unit::Part(8), NO W0;
    D_TO_Q_SIGNED = "vpmovsxdq" M38 P66 0x25 Unit::Part(2), NO W0;
    PD_TO_D = "vcvttpd2dq" M0F P66 0xe6 F8, NO W0;
    PACK_D = "vpackssdw" M0F P66 0x6b F4, NO W0;
    PACK_W = "vpacksswb" M0F P66 0x63 F4, NO W0;
    SUB_B = "vpsubb" M0F P66 0xf8 F4, NO W0;
    SUB_D = "vpsubd" M0F P66 0xfa F4, NO W0;
    EQUAL_D = "vpcmpeqd" M0F P66 0x76 F4, NO W0;
    EQUAL_Q = "vpcmpeqq" M38 P66 0x29 F8, NO W0;
    GREATER_Q = "vpcmpgtq" M38 P66 0x37 F8, NO W0;
    /// The number of the mask's register stands in the upper half of the immediate byte.
    CHOOSE = "vblendvps" M3A P66 0x4a F4, NO W0;
    /// Destination and source change places.
    EXTRACT_128 = "vextractf128" M3A P66 0x19 Unit::Bytes(16), NO W0;
    INSERT_128 = "vinsertf128" M3A P66 0x18 Unit::Bytes(16), NO W0;
    /// The first source has the numbers of elements of the second.
    PERMUTE_PD = "vpermpd" M38 P66 0x16 F8, W1 NO;
    /// The first source has the numbers of elements of the destination and, from 8 on, the second source.
    PERMUTE_BOTH = "vpermt2pd" M38 P66 0x7f F8, W1 NO;
    PERMUTE_128 = "vperm2f128" M3A P66 0x06 F8, NO W0;
    PERMUTE_Q = "vpermpd" M3A P66 0x01 F8, NO W1;
}

/// An address: a register and a distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mem {
    pub base: Gpr,
    pub disp: i32,
    /// One element for all lanes.
    pub broadcast: bool,
}

/// The operand that may be in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rm {
    Reg(u8),
    Mem(Mem),
}

/// Which lanes are written: those of a mask register, the others kept or set to zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    /// 0 for all lanes.
    pub k: u8,
    pub zero: bool,
}

/// A place in the code to jump back to.
#[derive(Clone, Copy, Debug)]
pub struct Label(usize);

/// Writes code.
#[derive(Debug)]
pub struct Assembler {
    pub bytes: Vec<u8>,
    encoding: Encoding,
}

impl Assembler {
    /// Nothing yet; vector instructions will be written so.
    pub fn new(encoding: Encoding) -> Assembler {
        Assembler { bytes: Vec::new(), encoding }
    }

    // ---- vector instructions ---------------------------------------------------------------

    /// `form dst, src, rm, imm` over `len` bytes. `dst` and `src` are vector registers, or mask
    /// registers where the form has them. Only EVEX has masks.
    #[allow(clippy::too_many_arguments, reason = "the operands of an instruction")]
    pub fn masked(&mut self, form: &Form, len: Len, dst: u8, src: u8, rm: Rm, mask: Mask, imm: Option<u8>) {
        let (x, b, broadcast) = match rm {
            Rm::Reg(rm) => (rm >> 4 & 1, rm >> 3 & 1, false),
            Rm::Mem(mem) => (0, mem.base >> 3 & 1, mem.broadcast),
        };
        self.prefix(form, len, (dst, src), (x, b), (broadcast, mask, src >> 4 & 1));
        match rm {
            Rm::Reg(rm) => self.bytes.push(0xc0 | (dst & 7) << 3 | rm & 7),
            Rm::Mem(mem) => {
                let unit = self.unit(form, len, broadcast);
                self.address(dst & 7, mem.base, None, mem.disp, unit);
            }
        }
        self.bytes.extend(imm);
    }

    fn prefix(
        &mut self,
        form: &Form,
        len: Len,
        (dst, src): (u8, u8),
        (x, b): (u8, u8),
        (broadcast, mask, v): (bool, Mask, u8),
    ) {
        let not = |bit: u8| bit & 1 ^ 1;
        let Some(wide) = form.wide(self.encoding) else {
            crate::bug!("`{}` in {:?}", form.name, self.encoding)
        };
        let second = u8::from(wide) << 7 | (!src & 15) << 3 | form.prefix;
        match self.encoding {
            Encoding::Evex => self.bytes.extend([
                0x62,
                not(dst >> 3) << 7 | not(x) << 6 | not(b) << 5 | not(dst >> 4) << 4 | form.map,
                second | 4,
                u8::from(mask.zero) << 7 | (len as u8) << 5 | u8::from(broadcast) << 4 | not(v) << 3 | mask.k,
            ]),
            Encoding::Vex => {
                let second = second | (len as u8) << 2;
                let first = not(dst >> 3) << 7;
                if form.map == M0F && x | b == 0 {
                    self.bytes.extend([0xc5, first | second]);
                } else {
                    self.bytes.extend([0xc4, first | not(x) << 6 | not(b) << 5 | form.map, second]);
                }
            }
        }
        self.bytes.push(form.opcode);
    }

    /// The same for all lanes.
    pub fn op(&mut self, form: &Form, len: Len, dst: u8, src: u8, rm: Rm, imm: Option<u8>) {
        self.masked(form, len, dst, src, rm, Mask::default(), imm);
    }

    /// A gather into, or a scatter from, `reg`: elements at `base + disp + scale·index`, for the lanes
    /// of `mask`, which is spent: a mask register, in VEX a vector. `len` is that of the indices.
    pub fn indexed(&mut self, form: &Form, len: Len, reg: u8, index: u8, (base, disp): (Gpr, i32), mask: u8) {
        let (src, k) = match self.encoding {
            Encoding::Evex => (0, mask),
            Encoding::Vex => (mask, 0),
        };
        let mask = Mask { k, zero: false };
        self.prefix(form, len, (reg, src), (index >> 3, base >> 3), (false, mask, index >> 4));
        let Unit::Bytes(scale) = form.unit else { crate::bug!("`{}` has no elements", form.name) };
        let sib = (scale.trailing_zeros() as u8) << 6 | (index & 7) << 3 | base & 7;
        let unit = self.unit(form, len, false);
        self.address(reg & 7, base, Some(sib), disp, unit);
    }

    /// What a displacement of one byte counts.
    fn unit(&self, form: &Form, len: Len, broadcast: bool) -> i32 {
        match (self.encoding, form.unit) {
            (Encoding::Vex, _) => 1,
            (Encoding::Evex, Unit::Full(element)) if broadcast => element,
            (Encoding::Evex, Unit::Full(_)) => len.bytes(),
            (Encoding::Evex, Unit::Bytes(bytes)) => bytes,
            (Encoding::Evex, Unit::Part(part)) => len.bytes() / part,
        }
    }

    /// Mod, register and address; a displacement of one byte counts `unit` bytes.
    fn address(&mut self, reg: u8, base: Gpr, sib: Option<u8>, disp: i32, unit: i32) {
        let short = (disp % unit == 0).then(|| i8::try_from(disp / unit).ok()).flatten();
        let rm = if sib.is_some() { 4 } else { base & 7 };
        self.bytes.push(if short.is_some() { 0x40 } else { 0x80 } | reg << 3 | rm);
        match sib {
            Some(sib) => self.bytes.push(sib),
            None if base & 7 == 4 => self.bytes.push(0x24),
            None => {}
        }
        match short {
            Some(short) => self.bytes.push(short as u8),
            None => self.bytes.extend(disp.to_le_bytes()),
        }
    }

    // ---- mask registers --------------------------------------------------------------------

    /// `dst = high << 8 | low`
    pub fn mask_join(&mut self, dst: u8, high: u8, low: u8) {
        self.bytes.extend([0xc5, (!high & 15) << 3 | 1 << 2 | P66 | 0x80, 0x4b, 0xc0 | dst << 3 | low]);
    }

    /// `dst = src >> 8`
    pub fn mask_high(&mut self, dst: u8, src: u8) {
        self.bytes.extend([0xc4, 0xe3, 0xf8 | P66, 0x30, 0xc0 | dst << 3 | src, 8]);
    }

    /// All lanes.
    pub fn mask_all(&mut self, dst: u8) {
        self.bytes.extend([0xc5, (!dst & 15) << 3 | 1 << 2 | 0x80, 0x46, 0xc0 | dst << 3 | dst]);
    }

    /// `dst = bits`, by way of a general register.
    pub fn mask_set(&mut self, dst: u8, bits: u16, by: Gpr) {
        self.bytes.extend([0x40 | by >> 3, 0xb8 | by & 7]);
        self.bytes.extend(u32::from(bits).to_le_bytes());
        self.bytes.extend([0xc4, (by >> 3 & 1 ^ 1) << 5 | 0xc1, 0x78, 0x92, 0xc0 | dst << 3 | by & 7]);
    }

    // ---- general registers -----------------------------------------------------------------

    fn rex(&mut self, reg: Gpr, base: Gpr) {
        self.bytes.push(0x48 | (reg >> 3) << 2 | base >> 3);
    }

    fn near(&mut self, reg: u8, base: Gpr, disp: i32) {
        self.address(reg & 7, base, None, disp, 1);
    }

    /// `dst = [base + disp]`
    pub fn load(&mut self, dst: Gpr, base: Gpr, disp: i32) {
        self.rex(dst, base);
        self.bytes.push(0x8b);
        self.near(dst, base, disp);
    }

    /// `[base + disp] = src`
    pub fn store(&mut self, src: Gpr, base: Gpr, disp: i32) {
        self.rex(src, base);
        self.bytes.push(0x89);
        self.near(src, base, disp);
    }

    /// `dst = base + disp`
    pub fn lea(&mut self, dst: Gpr, base: Gpr, disp: i32) {
        self.rex(dst, base);
        self.bytes.push(0x8d);
        self.near(dst, base, disp);
    }

    /// `dst` = the address of `here`, which [`place_here`](Assembler::place_here) puts in.
    pub fn lea_here(&mut self, dst: Gpr) -> Label {
        self.rex(dst, 0);
        self.bytes.extend([0x8d, dst << 3 & 0x38 | 5, 0, 0, 0, 0]);
        self.label()
    }

    /// Ends what stands at a multiple of 64 bytes with `data`, which `lea` is the address of.
    pub fn place_here(&mut self, Label(lea): Label, data: &[u8]) {
        self.bytes.resize(self.bytes.len().next_multiple_of(64), 0xcc);
        let distance = (self.bytes.len() - lea) as i32;
        self.bytes[lea - 4..lea].copy_from_slice(&distance.to_le_bytes());
        self.bytes.extend_from_slice(data);
    }

    /// `dst = src`
    pub fn copy(&mut self, dst: Gpr, src: Gpr) {
        self.rex(src, dst);
        self.bytes.extend([0x89, 0xc0 | (src & 7) << 3 | dst & 7]);
    }

    /// `dst += value`
    pub fn add(&mut self, dst: Gpr, value: i32) {
        self.rex(0, dst);
        self.bytes.extend([0x81, 0xc0 | dst & 7]);
        self.bytes.extend(value.to_le_bytes());
    }

    /// `[base + disp] += value`
    pub fn add_to(&mut self, base: Gpr, disp: i32, value: i32) {
        self.rex(0, base);
        self.bytes.push(0x81);
        self.near(0, base, disp);
        self.bytes.extend(value.to_le_bytes());
    }

    /// `[base + disp] = value`
    pub fn set(&mut self, base: Gpr, disp: i32, value: i32) {
        self.rex(0, base);
        self.bytes.push(0xc7);
        self.near(0, base, disp);
        self.bytes.extend(value.to_le_bytes());
    }

    /// `dst = 0`
    pub fn zero(&mut self, dst: Gpr) {
        self.rex(dst, dst);
        self.bytes.extend([0x31, 0xc0 | (dst & 7) << 3 | dst & 7]);
    }

    /// `dst = -dst`
    pub fn negate(&mut self, dst: Gpr) {
        self.rex(0, dst);
        self.bytes.extend([0xf7, 0xd8 | dst & 7]);
    }

    /// `dst = [base + disp]`, one byte.
    pub fn load_byte(&mut self, dst: Gpr, base: Gpr, disp: i32) {
        self.rex(dst, base);
        self.bytes.extend([0x0f, 0xb6]);
        self.near(dst, base, disp);
    }

    /// `dst &= -64`
    pub fn align(&mut self, dst: Gpr) {
        self.rex(0, dst);
        self.bytes.extend([0x83, 0xe0 | dst & 7, 0xc0]);
    }

    /// Compares `reg` with `value`.
    pub fn compare(&mut self, reg: Gpr, value: i32) {
        self.rex(0, reg);
        self.bytes.extend([0x81, 0xf8 | reg & 7]);
        self.bytes.extend(value.to_le_bytes());
    }

    /// Compares `[base + disp]` with `value`.
    pub fn compare_at(&mut self, base: Gpr, disp: i32, value: i32) {
        self.rex(0, base);
        self.bytes.push(0x81);
        self.near(7, base, disp);
        self.bytes.extend(value.to_le_bytes());
    }

    /// Here.
    pub fn label(&self) -> Label {
        Label(self.bytes.len())
    }

    /// Goes back to `label` if the last comparison found what it compares different.
    pub fn jump_if_not_equal(&mut self, label: Label) {
        self.bytes.extend([0x0f, 0x85]);
        let distance = label.0 as i64 - (self.bytes.len() as i64 + 4);
        self.bytes.extend((distance as i32).to_le_bytes());
    }

    pub fn push(&mut self, reg: Gpr) {
        self.bytes.extend([0x40 | reg >> 3, 0x50 | reg & 7]);
    }

    pub fn pop(&mut self, reg: Gpr) {
        self.bytes.extend([0x40 | reg >> 3, 0x58 | reg & 7]);
    }

    /// Clears the upper halves of all vector registers, without which code that does not know them
    /// is slow.
    pub fn clear_upper(&mut self) {
        self.bytes.extend([0xc5, 0xf8, 0x77]);
    }

    pub fn ret(&mut self) {
        self.bytes.push(0xc3);
    }
}

#[cfg(test)]
mod tests;
