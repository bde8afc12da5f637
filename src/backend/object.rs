//! Machine code as data: what a back end has made, before it has a place in memory.
//!
//! An [`Object`] is made from loop IR, becomes an [`Executable`](crate::backend::Executable), and can be
//! kept as bytes in between: there is one way into executable memory for code that was made just now and
//! for code that was kept. The bytes hold no names, which no number depends on: whoever reads them gives
//! the functions their names again. `decoded` trusts nothing but the code itself: what
//! is cut short, has a tag that is not known, or more than there should be, is no object.

use crate::backend::lanes::Spread;
use crate::backend::{Signature, wide};
use crate::lower::loops::DType;
use cranelift::codegen::binemit::Reloc;
use cranelift_module::{ModuleReloc, ModuleRelocTarget};

/// The functions of one compiled unit.
#[derive(Default)]
pub struct Object {
    pub(super) pieces: Vec<Piece>,
}

/// A function in machine code.
pub(super) struct Piece {
    pub signature: Signature,
    /// Bytes.
    pub workspace: usize,
    pub code: Vec<u8>,
    pub align: u64,
    /// What stands at an address that is known later. A symbol of a user is a table, by its number.
    pub relocs: Vec<ModuleReloc>,
    /// The numbers it reads, each 64 bytes aligned.
    pub tables: Vec<Vec<u8>>,
}

/// Functions that are called for several examples at once.
pub struct LaneObject {
    pub(super) width: usize,
    pub(super) pieces: Vec<LanePiece>,
    /// Those that go lane by lane, in order, for one example.
    pub(super) narrow: Object,
}

/// A function of several examples.
pub(super) enum LanePiece {
    /// Code for all of them.
    Wide { signature: Signature, code: wide::Code },
    /// The next of those that go lane by lane.
    Narrow(Spreads),
}

/// What the buffers of a function are to the examples, in call order.
#[derive(Clone, Debug)]
pub(super) struct Spreads {
    pub inputs: Vec<Spread>,
    pub outputs: Vec<Spread>,
}

impl Object {
    /// As bytes; `None` where the code has something that only this process knows.
    pub(super) fn encoded(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes)?;
        Some(bytes)
    }

    /// From bytes, for functions of these names.
    pub(super) fn decoded(bytes: &[u8], names: &[&str]) -> Option<Object> {
        let mut reader = Reader(bytes);
        let object = Object::decode(&mut reader, names)?;
        reader.0.is_empty().then_some(object)
    }

    fn encode(&self, to: &mut Vec<u8>) -> Option<()> {
        write_len(to, self.pieces.len());
        self.pieces.iter().try_for_each(|piece| piece.encode(to))
    }

    fn decode(from: &mut Reader<'_>, names: &[&str]) -> Option<Object> {
        (from.len()? == names.len()).then_some(())?;
        let pieces = names.iter().map(|name| Piece::decode(from, name));
        Some(Object { pieces: pieces.collect::<Option<_>>()? })
    }
}

impl Piece {
    fn encode(&self, to: &mut Vec<u8>) -> Option<()> {
        self.signature.encode(to);
        write_len(to, self.workspace);
        write_bytes(to, &self.code);
        to.extend(self.align.to_le_bytes());
        write_len(to, self.tables.len());
        self.tables.iter().for_each(|table| write_bytes(to, table));
        write_len(to, self.relocs.len());
        for reloc in &self.relocs {
            let kind = RELOCS.iter().position(|kind| *kind == reloc.kind)?;
            to.push(kind as u8);
            to.extend(reloc.offset.to_le_bytes());
            to.extend(reloc.addend.to_le_bytes());
            match &reloc.name {
                ModuleRelocTarget::User { namespace: _, index } => {
                    to.push(TO_TABLE);
                    to.extend(index.to_le_bytes());
                }
                ModuleRelocTarget::LibCall(call) => {
                    to.push(TO_LIBRARY);
                    write_bytes(to, call.to_string().as_bytes());
                }
                ModuleRelocTarget::KnownSymbol(_) | ModuleRelocTarget::FunctionOffset(..) => return None,
            }
        }
        Some(())
    }

    fn decode(from: &mut Reader<'_>, name: &str) -> Option<Piece> {
        let signature = Signature::decode(from, name)?;
        let workspace = from.len()?;
        let code = from.bytes()?.to_vec();
        let align = u64::from_le_bytes(from.array()?);
        align.is_power_of_two().then_some(())?;
        let tables: Vec<Vec<u8>> = from.list(|from| Some(from.bytes()?.to_vec()))?;
        let relocs = from.list(|from| {
            let kind = *RELOCS.get(usize::from(from.byte()?))?;
            let offset = u32::from_le_bytes(from.array()?);
            // The longest address is of eight bytes.
            (offset as usize + 4 + 4 * usize::from(kind == Reloc::Abs8) <= code.len()).then_some(())?;
            let addend = i64::from_le_bytes(from.array()?);
            let name = match from.byte()? {
                TO_TABLE => {
                    let index = u32::from_le_bytes(from.array()?);
                    ((index as usize) < tables.len()).then_some(())?;
                    ModuleRelocTarget::user(TABLES, index)
                }
                TO_LIBRARY => {
                    ModuleRelocTarget::LibCall(std::str::from_utf8(from.bytes()?).ok()?.parse().ok()?)
                }
                _ => return None,
            };
            Some(ModuleReloc { offset, kind, name, addend })
        })?;
        Some(Piece { signature, workspace, code, align, relocs, tables })
    }
}

impl LaneObject {
    /// As bytes; `None` where the code has something that only this process knows.
    pub(super) fn encoded(&self) -> Option<Vec<u8>> {
        let mut to = Vec::new();
        write_len(&mut to, self.width);
        write_len(&mut to, self.pieces.len());
        for piece in &self.pieces {
            match piece {
                LanePiece::Wide { signature, code: wide::Code { bytes, constants, workspace } } => {
                    to.push(WIDE);
                    signature.encode(&mut to);
                    write_bytes(&mut to, bytes);
                    write_bytes(&mut to, constants);
                    write_len(&mut to, *workspace);
                }
                LanePiece::Narrow(Spreads { inputs, outputs }) => {
                    to.push(NARROW);
                    for spreads in [inputs, outputs] {
                        write_len(&mut to, spreads.len());
                        to.extend(spreads.iter().map(|spread| number_of(&SPREADS, spread)));
                    }
                }
            }
        }
        self.narrow.encode(&mut to)?;
        Some(to)
    }

    /// From bytes, for functions of these names.
    pub(super) fn decoded(bytes: &[u8], names: &[&str]) -> Option<LaneObject> {
        let mut from = Reader(bytes);
        let width = from.len()?;
        (width.is_power_of_two() && from.len()? == names.len()).then_some(())?;
        let mut narrow_names = Vec::new();
        let pieces = names.iter().map(|name| match from.byte()? {
            WIDE => {
                let signature = Signature::decode(&mut from, name)?;
                let bytes = from.bytes()?.to_vec();
                let constants = from.bytes()?.to_vec();
                let code = wide::Code { bytes, constants, workspace: from.len()? };
                Some(LanePiece::Wide { signature, code })
            }
            NARROW => {
                narrow_names.push(*name);
                let mut spreads = || from.list(|from| SPREADS.get(usize::from(from.byte()?)).copied());
                Some(LanePiece::Narrow(Spreads { inputs: spreads()?, outputs: spreads()? }))
            }
            _ => None,
        });
        let pieces = pieces.collect::<Option<Vec<_>>>()?;
        let narrow = Object::decode(&mut from, &narrow_names)?;
        let mut signatures = narrow.pieces.iter().map(|piece| &piece.signature);
        let fit = pieces.iter().all(|piece| match piece {
            LanePiece::Wide { .. } => true,
            LanePiece::Narrow(Spreads { inputs, outputs }) => signatures.next().is_some_and(|signature| {
                (inputs.len(), outputs.len()) == (signature.inputs.len(), signature.outputs.len())
            }),
        });
        (fit && from.0.is_empty()).then_some(LaneObject { width, pieces, narrow })
    }
}

impl Signature {
    fn encode(&self, to: &mut Vec<u8>) {
        for buffers in [&self.inputs, &self.outputs] {
            write_len(to, buffers.len());
            for (dtype, len) in buffers {
                to.push(number_of(&DTYPES, dtype));
                write_len(to, *len);
            }
        }
    }

    fn decode(from: &mut Reader<'_>, name: &str) -> Option<Signature> {
        let mut buffers = || from.list(|from| Some((*DTYPES.get(usize::from(from.byte()?))?, from.len()?)));
        Some(Signature { name: name.to_owned(), inputs: buffers()?, outputs: buffers()? })
    }
}

/// The namespace of symbols that are tables: that of data in [`ModuleRelocTarget`].
pub(super) const TABLES: u32 = 1;

/// By their number in the bytes: those that code for x86-64 and AArch64 has in memory of this process. Code
/// with another one is not kept.
const RELOCS: [Reloc; 6] = [
    Reloc::Abs8,
    Reloc::X86PCRel4,
    Reloc::X86CallPCRel4,
    Reloc::Arm64Call,
    Reloc::Aarch64AdrPrelPgHi21,
    Reloc::Aarch64AddAbsLo12Nc,
];
const DTYPES: [DType; 4] = [DType::F64, DType::F32, DType::I64, DType::Bool];
const SPREADS: [Spread; 3] = [Spread::Shared, Spread::Lanes, Spread::Sum];
const TO_TABLE: u8 = 0;
const TO_LIBRARY: u8 = 1;
const WIDE: u8 = 0;
const NARROW: u8 = 1;

fn number_of<T: PartialEq>(all: &[T], one: &T) -> u8 {
    let number = all.iter().position(|other| other == one);
    number.expect("the list has every variant") as u8
}

fn write_len(to: &mut Vec<u8>, len: usize) {
    to.extend((len as u64).to_le_bytes());
}

fn write_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    write_len(to, bytes.len());
    to.extend(bytes);
}

/// What is left to read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn len(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.array()?)).ok()
    }

    fn bytes(&mut self) -> Option<&'b [u8]> {
        let len = self.len()?;
        self.take(len)
    }

    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let len = self.len()?;
        // Nothing is reserved for a length that may be wrong: every element takes bytes.
        (0..len).map(|_| one(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cranelift::codegen::ir::{KnownSymbol, LibCall};

    fn object(reloc: ModuleRelocTarget) -> Object {
        let relocs = vec![ModuleReloc { offset: 2, kind: Reloc::Abs8, name: reloc, addend: -4 }];
        let signature = Signature {
            name: "f".into(),
            inputs: vec![(DType::F32, 3), (DType::Bool, 1)],
            outputs: vec![(DType::I64, 2)],
        };
        let tables = vec![vec![1, 2, 3], Vec::new()];
        let piece = Piece { signature, workspace: 64, code: vec![7; 10], align: 16, relocs, tables };
        Object { pieces: vec![piece] }
    }

    #[test]
    fn an_object_comes_back_as_it_was_or_not_at_all() {
        for name in [ModuleRelocTarget::user(TABLES, 1), ModuleRelocTarget::LibCall(LibCall::FmaF64)] {
            let bytes = object(name).encoded().expect("it can be kept");
            let again = Object::decoded(&bytes, &["g"]).expect("it can be read");
            assert_eq!(again.pieces[0].signature.name, "g");
            assert_eq!(again.encoded().as_ref(), Some(&bytes));
            assert!((0..bytes.len()).all(|len| Object::decoded(&bytes[..len], &["g"]).is_none()));
            assert!(Object::decoded(&[&bytes[..], &[0]].concat(), &["g"]).is_none());
            assert!(Object::decoded(&bytes, &[]).is_none() && Object::decoded(&bytes, &["g", "h"]).is_none());
        }
    }

    #[test]
    fn what_only_this_process_knows_is_not_kept() {
        let known = ModuleRelocTarget::KnownSymbol(KnownSymbol::ElfGlobalOffsetTable);
        assert_eq!(object(known).encoded(), None);
        let no_such_table = object(ModuleRelocTarget::user(TABLES, 2)).encoded().expect("bytes");
        assert!(Object::decoded(&no_such_table, &["f"]).is_none());
        let mut beyond = object(ModuleRelocTarget::user(TABLES, 0));
        beyond.pieces[0].relocs[0].offset = 3;
        assert!(Object::decoded(&beyond.encoded().expect("bytes"), &["f"]).is_none());
    }

    #[test]
    fn lanes_come_back_as_they_were() {
        let narrow = object(ModuleRelocTarget::user(TABLES, 0));
        let spreads = Spreads { inputs: vec![Spread::Shared, Spread::Lanes], outputs: vec![Spread::Lanes] };
        let code = wide::Code { bytes: vec![1, 2], constants: vec![3; 64], workspace: 128 };
        let signature = narrow.pieces[0].signature.clone();
        let pieces = vec![LanePiece::Narrow(spreads), LanePiece::Wide { signature, code }];
        let bytes = LaneObject { width: 16, pieces, narrow }.encoded().expect("it can be kept");
        let again = LaneObject::decoded(&bytes, &["g", "h"]).expect("it can be read");
        assert_eq!(again.narrow.pieces[0].signature.name, "g");
        assert_eq!(again.encoded().as_ref(), Some(&bytes));
        assert!((0..bytes.len()).all(|len| LaneObject::decoded(&bytes[..len], &["g", "h"]).is_none()));
    }
}
