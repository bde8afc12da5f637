//! Every instruction, read back by an independent decoder.

use super::*;
use iced_x86::{Decoder, DecoderOptions, Instruction, OpKind, Register};

const BOTH: [Encoding; 2] = [Encoding::Evex, Encoding::Vex];
const BASES: [Gpr; 6] = [RAX, RSP, RBP, 12, 13, 15];
const DISPS: [i32; 8] = [0, 4, 8, 64, -128, 1000, 1 << 13, -100_003];

/// Registers of either kind.
fn regs(encoding: Encoding) -> [u8; 6] {
    match encoding {
        Encoding::Evex => [0, 5, 8, 13, 16, 31],
        Encoding::Vex => [0, 5, 7, 8, 13, 15],
    }
}

/// What an independent decoder makes of the bytes; all of them are one instruction.
fn decoded(asm: &Assembler) -> Instruction {
    let mut decoder = Decoder::new(64, &asm.bytes, DecoderOptions::NONE);
    let instruction = decoder.decode();
    assert!(!instruction.is_invalid(), "{:02x?}", asm.bytes);
    assert_eq!(instruction.len(), asm.bytes.len(), "{instruction:?} of {:02x?}", asm.bytes);
    instruction
}

fn name(instruction: &Instruction) -> String {
    format!("{:?}", instruction.mnemonic()).to_lowercase()
}

/// What the manual calls a form.
fn expected_name(form: &Form, encoding: Encoding) -> &'static str {
    match (encoding, form.name) {
        (Encoding::Evex, name) => name,
        (Encoding::Vex, "vpandd" | "vpandq") => "vpand",
        (Encoding::Vex, "vpord" | "vporq") => "vpor",
        (Encoding::Vex, "vpxord" | "vpxorq") => "vpxor",
        (Encoding::Vex, "vrndscaleps") => "vroundps",
        (Encoding::Vex, "vrndscalepd") => "vroundpd",
        (Encoding::Vex, name) => name,
    }
}

/// The register operands, by number.
fn registers(instruction: &Instruction) -> Vec<u8> {
    let ops = (0..instruction.op_count()).filter(|op| instruction.op_kind(*op) == OpKind::Register);
    ops.map(|op| instruction.op_register(op).number() as u8).collect()
}

fn needs_number(form: &Form) -> bool {
    form.map == M3A || [COMPARE_PS, COMPARE_PD, SHUFFLE_PS].contains(form)
}

/// Whether the form has a second source beside the one that may be in memory.
fn is_ternary(form: &Form) -> bool {
    let binary = [
        LOAD,
        STORE,
        LOAD_PD,
        STORE_PD,
        MOVE,
        BROADCAST_SS,
        BROADCAST_SD,
        STORE_SS,
        STORE_SD,
        SQRT_PS,
        SQRT_PD,
        ROUND_PS,
        ROUND_PD,
        PS_TO_PD,
        PD_TO_PS,
        Q_TO_PD,
        Q_TO_PS,
        PD_TO_Q,
        D_TO_Q,
        Q_TO_D,
        B_TO_D,
        D_TO_B,
        EXTRACT_HALF,
        BROADCAST_B,
        B_TO_Q,
        D_TO_Q_SIGNED,
        PD_TO_D,
        EXTRACT_128,
        PERMUTE_Q,
    ];
    !binary.contains(form)
}

/// Whether the first operand is a mask register.
fn gives_mask(form: &Form, encoding: Encoding) -> bool {
    encoding == Encoding::Evex && [COMPARE_PS, COMPARE_PD, COMPARE_Q, TEST_D].contains(form)
}

/// Forms whose operands are all vectors, but for a mask as the first.
fn plain(encoding: Encoding) -> impl Iterator<Item = &'static Form> {
    let others = [
        BROADCAST_D_GPR,
        MASK_TO_D,
        D_TO_MASK,
        SHIFT_D,
        SHIFT_Q,
        GATHER_PS,
        GATHER_PD,
        SCATTER_PS,
        SCATTER_PD,
        CHOOSE,
        MASKED_LOAD_PS,
        MASKED_LOAD_PD,
        MASKED_STORE_PS,
        MASKED_STORE_PD,
    ];
    FORMS.iter().filter(move |form| form.has(encoding) && !others.contains(form))
}

fn len(form: &Form, encoding: Encoding) -> Len {
    match (*form, encoding) {
        (STORE_SS | STORE_SD | ADD_SS | ADD_SD, _) => Len::X,
        (_, Encoding::Evex) => Len::Z,
        (_, Encoding::Vex) => Len::Y,
    }
}

#[test]
fn registers_are_where_they_belong() {
    for encoding in BOTH {
        let regs = regs(encoding);
        for form in plain(encoding).filter(|form| ![STORE_SS, STORE_SD].contains(form)) {
            for dst in regs.map(|reg| if gives_mask(form, encoding) { 1 + reg % 7 } else { reg }) {
                for src in regs.map(|src| if is_ternary(form) { src } else { 0 }) {
                    for rm in regs {
                        let mut asm = Assembler::new(encoding);
                        let imm = needs_number(form).then_some(1);
                        asm.op(form, len(form, encoding), dst, src, Rm::Reg(rm), imm);
                        let found = decoded(&asm);
                        assert_eq!(name(&found), expected_name(form, encoding));
                        let mut expected = if is_ternary(form) { vec![dst, src, rm] } else { vec![dst, rm] };
                        if [STORE, STORE_PD, Q_TO_D, D_TO_B, EXTRACT_HALF, EXTRACT_128].contains(form) {
                            expected.reverse();
                        }
                        assert_eq!(registers(&found), expected, "{found:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn addresses_are_what_was_said() {
    for encoding in BOTH {
        for form in plain(encoding).filter(|form| ![MOVE].contains(form)) {
            for base in BASES {
                for disp in DISPS {
                    for broadcast in [false, true] {
                        let can = encoding == Encoding::Evex && form.element() > 0;
                        if broadcast && (!can || [LOAD, STORE, LOAD_PD, STORE_PD].contains(form)) {
                            continue;
                        }
                        let mut asm = Assembler::new(encoding);
                        let imm = needs_number(form).then_some(1);
                        let mem = Rm::Mem(Mem { base, disp, broadcast });
                        let src = if is_ternary(form) { 7 } else { 0 };
                        let dst = match encoding {
                            _ if gives_mask(form, encoding) => 3,
                            Encoding::Evex => 19,
                            Encoding::Vex => 9,
                        };
                        asm.op(form, len(form, encoding), dst, src, mem, imm);
                        let found = decoded(&asm);
                        assert_eq!(name(&found), expected_name(form, encoding));
                        assert_eq!(found.memory_base().number(), usize::from(base), "{found:?}");
                        assert_eq!(found.memory_index(), Register::None, "{found:?}");
                        assert_eq!(found.memory_displacement64() as i64, i64::from(disp), "{found:?}");
                        assert_eq!(found.is_broadcast(), broadcast, "{found:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn masks_gathers_and_shifts() {
    for k in 1..8 {
        for zero in [false, true] {
            let mut asm = Assembler::new(Encoding::Evex);
            asm.masked(&BLEND_PD, Len::Z, 17, 9, Rm::Reg(30), Mask { k, zero }, None);
            let found = decoded(&asm);
            assert_eq!((found.op_mask().number(), found.zeroing_masking()), (usize::from(k), zero));
        }
        let joined = |write: fn(&mut Assembler, u8)| {
            let mut asm = Assembler::new(Encoding::Evex);
            write(&mut asm, k);
            let found = decoded(&asm);
            (name(&found), registers(&found))
        };
        assert_eq!(joined(|asm, k| asm.mask_join(k, 2, 5)), ("kunpckbw".into(), vec![k, 2, 5]));
        assert_eq!(joined(|asm, k| asm.mask_high(k, 6)), ("kshiftrw".into(), vec![k, 6]));
        assert_eq!(joined(|asm, k| asm.mask_all(k)), ("kxnorw".into(), vec![k, k, k]));
        assert_eq!(joined(|asm, k| asm.op(&MASK_TO_D, Len::Z, 20, 0, Rm::Reg(k), None)).1, vec![20, k]);
        assert_eq!(joined(|asm, k| asm.op(&D_TO_MASK, Len::Z, k, 0, Rm::Reg(20), None)).1, vec![k, 20]);
    }
    for encoding in BOTH {
        let forms = [GATHER_PS, GATHER_PD, SCATTER_PS, SCATTER_PD];
        for form in forms.into_iter().filter(|form| form.has(encoding)) {
            for index in regs(encoding) {
                for base in BASES {
                    for disp in DISPS {
                        let mut asm = Assembler::new(encoding);
                        let (reg, mask) = if encoding == Encoding::Evex { (29, 1) } else { (14, 11) };
                        asm.indexed(&form, len(&form, encoding), reg, index, (base, disp), mask);
                        let found = decoded(&asm);
                        assert_eq!(name(&found), form.name);
                        assert_eq!(found.memory_index().number(), usize::from(index), "{found:?}");
                        assert_eq!(found.memory_base().number(), usize::from(base), "{found:?}");
                        assert_eq!(found.memory_displacement64() as i64, i64::from(disp), "{found:?}");
                        let scale = if [GATHER_PS, SCATTER_PS].contains(&form) { 4 } else { 8 };
                        assert_eq!(found.memory_index_scale(), scale);
                        if encoding == Encoding::Vex {
                            assert_eq!(registers(&found), [reg, mask]);
                        }
                    }
                }
            }
        }
        let [.., src, rm] = regs(encoding);
        for (form, op, mnemonic) in
            [(SHIFT_D, 2, "vpsrld"), (SHIFT_D, 6, "vpslld"), (SHIFT_Q, 2, "vpsrlq"), (SHIFT_Q, 6, "vpsllq")]
        {
            let mut asm = Assembler::new(encoding);
            asm.op(&form, len(&form, encoding), op, src, Rm::Reg(rm), Some(4));
            let found = decoded(&asm);
            assert_eq!((name(&found).as_str(), registers(&found)), (mnemonic, vec![src, rm]));
        }
    }
}

#[test]
fn first_lanes() {
    for (k, by) in [(1, RAX), (5, 11), (7, RDI), (3, 13)] {
        let mut asm = Assembler::new(Encoding::Evex);
        asm.mask_set(k, 0x7f, by);
        let mut decoder = Decoder::new(64, &asm.bytes, DecoderOptions::NONE);
        let both: Vec<Instruction> = decoder.iter().collect();
        assert_eq!(both.len(), 2);
        assert_eq!((name(&both[0]).as_str(), both[0].immediate(1)), ("mov", 0x7f));
        assert_eq!(registers(&both[0]), vec![by]);
        assert_eq!((name(&both[1]).as_str(), registers(&both[1])), ("kmovw", vec![k, by]));
    }
    let forms = [MASKED_LOAD_PS, MASKED_LOAD_PD, MASKED_STORE_PS, MASKED_STORE_PD];
    for form in forms {
        for mask in regs(Encoding::Vex) {
            for base in BASES {
                for disp in DISPS {
                    let mut asm = Assembler::new(Encoding::Vex);
                    let mem = Rm::Mem(Mem { base, disp, broadcast: false });
                    asm.op(&form, Len::Y, 9, mask, mem, None);
                    let found = decoded(&asm);
                    assert_eq!(name(&found), form.name);
                    let stores = [MASKED_STORE_PS, MASKED_STORE_PD].contains(&form);
                    let expected = if stores { vec![mask, 9] } else { vec![9, mask] };
                    assert_eq!(registers(&found), expected, "{found:?}");
                    assert_eq!(found.memory_base().number(), usize::from(base), "{found:?}");
                    assert_eq!(found.memory_displacement64() as i64, i64::from(disp), "{found:?}");
                }
            }
        }
    }
}

#[test]
fn data_behind_the_code() {
    for dst in [RAX, RCX, 11, 13] {
        let mut asm = Assembler::new(Encoding::Evex);
        asm.zero(RAX);
        let lea = asm.lea_here(dst);
        asm.ret();
        asm.place_here(lea, &[1, 2, 3]);
        let mut decoder = Decoder::new(64, &asm.bytes, DecoderOptions::NONE);
        let found = decoder.iter().nth(1).expect("three instructions");
        assert_eq!((name(&found).as_str(), registers(&found)), ("lea", vec![dst]));
        assert_eq!(asm.bytes.len() % 64, 3);
        assert_eq!(asm.bytes[found.memory_displacement64() as usize..], [1, 2, 3]);
    }
}

/// What only VEX has: a mask that is a fourth operand, and scalars stored at a computed place.
#[test]
fn choices_and_elements() {
    for mask in regs(Encoding::Vex) {
        let mut asm = Assembler::new(Encoding::Vex);
        asm.op(&CHOOSE, Len::Y, 9, 3, Rm::Reg(12), Some(mask << 4));
        let found = decoded(&asm);
        assert_eq!((name(&found).as_str(), registers(&found)), ("vblendvps", vec![9, 3, 12, mask]));
    }
    for (form, scale) in [(STORE_SS, 4), (STORE_SD, 8)] {
        for index in [RAX, RBX, 8, 11] {
            for base in BASES {
                for disp in DISPS {
                    let mut asm = Assembler::new(Encoding::Vex);
                    asm.indexed(&form, Len::X, 14, index, (base, disp), 0);
                    let found = decoded(&asm);
                    assert_eq!(name(&found), form.name);
                    assert_eq!(found.memory_index().number(), usize::from(index), "{found:?}");
                    assert_eq!(found.memory_base().number(), usize::from(base), "{found:?}");
                    assert_eq!(found.memory_displacement64() as i64, i64::from(disp), "{found:?}");
                    assert_eq!((found.memory_index_scale(), registers(&found)), (scale, vec![14]));
                }
            }
        }
    }
}

#[test]
fn general_registers() {
    let written = |write: &dyn Fn(&mut Assembler)| {
        let mut asm = Assembler::new(Encoding::Evex);
        write(&mut asm);
        let found = decoded(&asm);
        (name(&found), found)
    };
    for reg in [RAX, RCX, RDX, RBX, RBP, RSI, RDI, 8, 12, 13, 15] {
        let number = usize::from(reg);
        for base in BASES {
            for disp in DISPS {
                let (load, found) = written(&|asm| asm.load(reg, base, disp));
                assert_eq!((load.as_str(), found.op_register(0).number()), ("mov", number));
                assert_eq!(found.memory_base().number(), usize::from(base));
                assert_eq!(found.memory_displacement64() as i64, i64::from(disp));
                let (store, found) = written(&|asm| asm.store(reg, base, disp));
                assert_eq!((store.as_str(), found.op_register(1).number()), ("mov", number));
                assert_eq!(written(&|asm| asm.lea(reg, base, disp)).0, "lea");
                assert_eq!(written(&|asm| asm.load_byte(reg, base, disp)).0, "movzx");
                let (add, found) = written(&|asm| asm.add_to(base, disp, -77));
                assert_eq!((add.as_str(), found.immediate(1) as i64), ("add", -77));
                assert_eq!(written(&|asm| asm.set(base, disp, 5)).0, "mov");
                assert_eq!(written(&|asm| asm.compare_at(base, disp, 5)).0, "cmp");
            }
        }
        let (copy, found) = written(&|asm| asm.copy(reg, 14));
        assert_eq!((copy.as_str(), registers(&found)), ("mov", vec![reg, 14]));
        let (add, found) = written(&|asm| asm.add(reg, -5));
        assert_eq!(
            (add.as_str(), found.op_register(0).number(), found.immediate(1) as i64),
            ("add", number, -5)
        );
        assert_eq!(written(&|asm| asm.compare(reg, 9)).1.op_register(0).number(), number);
        assert_eq!(written(&|asm| asm.zero(reg)).0, "xor");
        assert_eq!(written(&|asm| asm.negate(reg)).0, "neg");
        assert_eq!(written(&|asm| asm.push(reg)).1.op_register(0).number(), number);
        assert_eq!(written(&|asm| asm.pop(reg)).1.op_register(0).number(), number);
        let (align, found) = written(&|asm| asm.align(reg));
        assert_eq!((align.as_str(), found.immediate(1) as i64), ("and", -64));
    }
    assert_eq!(written(&|asm| asm.clear_upper()).0, "vzeroupper");
    assert_eq!(written(&|asm| asm.ret()).0, "ret");
    let mut asm = Assembler::new(Encoding::Evex);
    asm.clear_upper();
    let label = asm.label();
    asm.zero(RAX);
    asm.jump_if_not_equal(label);
    let mut decoder = Decoder::new(64, &asm.bytes, DecoderOptions::NONE);
    let last = decoder.iter().last().expect("three instructions");
    assert_eq!((name(&last).as_str(), last.near_branch64()), ("jne", 3));
}
