//! The text form of the loop IR, for `nodec show` and golden listings.
//!
//! A statement a line, blocks by indentation; scalars are written with their type where they are
//! defined, constants in the shortest form that reads back as the same bits.

use crate::lower::loops::{BufferId, BufferKind, DType, Index, Loop, LoopFunc, LoopModule, Prim, Stmt};
use std::fmt;

impl fmt::Display for LoopModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, func) in self.funcs.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            func.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for LoopFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = |ids: &[BufferId]| {
            let texts: Vec<String> = ids.iter().map(|id| declaration(self, *id)).collect();
            texts.join(", ")
        };
        writeln!(f, "func {}({}) -> ({}) {{", self.name, ports(&self.inputs), ports(&self.outputs))?;
        for (id, buffer) in self.buffers.entries() {
            match &buffer.kind {
                BufferKind::Input | BufferKind::Output => {}
                BufferKind::Local(offset) => {
                    writeln!(f, "  local {} at {offset}", declaration(self, id))?;
                }
                BufferKind::Constant(bits) => {
                    let dtype = buffer.dtype;
                    let shown: Vec<String> = bits.iter().take(4).map(|b| table_entry(dtype, *b)).collect();
                    let dots = if bits.len() > 4 { ", …" } else { "" };
                    writeln!(f, "  table {} = [{}{dots}]", declaration(self, id), shown.join(", "))?;
                }
            }
        }
        block(f, self, &self.body, 1)?;
        writeln!(f, "}}")
    }
}

fn declaration(func: &LoopFunc, id: BufferId) -> String {
    let buffer = &func.buffers[id];
    format!("{id} {}: {}[{}]", buffer.name, buffer.dtype.name(), buffer.len)
}

fn table_entry(dtype: DType, bits: u64) -> String {
    constant(dtype, crate::lower::prim::convert(DType::F64, dtype, bits))
}

/// The shortest decimal that reads back as these bits; hexadecimal where there is none.
fn constant(dtype: DType, bits: u64) -> String {
    let float = match dtype {
        DType::F64 => f64::from_bits(bits),
        DType::F32 => f64::from(f32::from_bits(bits as u32)),
        DType::I64 => return format!("{}", bits as i64),
        DType::Bool => return format!("{}", bits != 0),
    };
    match dtype {
        DType::F32 if float.is_finite() => format!("{:?}", f32::from_bits(bits as u32)),
        _ if float.is_nan() => format!("{bits:#x}"),
        _ => format!("{float:?}"),
    }
}

fn block(f: &mut fmt::Formatter<'_>, func: &LoopFunc, stmts: &[Stmt], depth: usize) -> fmt::Result {
    stmts.iter().try_for_each(|stmt| statement(f, func, stmt, depth))
}

fn statement(f: &mut fmt::Formatter<'_>, func: &LoopFunc, stmt: &Stmt, depth: usize) -> fmt::Result {
    let indent = "  ".repeat(depth);
    match stmt {
        Stmt::Let { id, prim, args } => {
            let dtype = func.scalars[*id];
            write!(f, "{indent}{id}: {} = {}", dtype.name(), prim.name())?;
            match prim {
                Prim::Const(bits) => write!(f, " {}", constant(dtype, *bits))?,
                Prim::Counter(var) => write!(f, " {var}")?,
                _ => {
                    let args: Vec<String> = args.iter().map(|arg| arg.to_string()).collect();
                    write!(f, " {}", args.join(", "))?;
                }
            }
            writeln!(f)
        }
        Stmt::Load { id, buffer, index } => {
            writeln!(f, "{indent}{id}: {} = {buffer}[{index}]", func.scalars[*id].name())
        }
        Stmt::Store { buffer, index, value } => writeln!(f, "{indent}{buffer}[{index}] = {value}"),
        Stmt::Loop(Loop { var, count, carried, body }) => {
            write!(f, "{indent}for {var} in 0..{count}")?;
            for (i, c) in carried.iter().enumerate() {
                let lead = if i == 0 { " carrying" } else { "," };
                let dtype = func.scalars[c.inside].name();
                write!(f, "{lead} {}: {dtype} = {} then {}", c.inside, c.init, c.next)?;
            }
            writeln!(f, " {{")?;
            block(f, func, body, depth + 1)?;
            write!(f, "{indent}}}")?;
            for (i, c) in carried.iter().enumerate() {
                let lead = if i == 0 { " giving" } else { "," };
                write!(f, "{lead} {}: {}", c.after, func.scalars[c.after].name())?;
            }
            writeln!(f)
        }
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        let mut term = |f: &mut fmt::Formatter<'_>, sign: bool, text: String| {
            let lead = match (first, sign) {
                (true, false) => "",
                (true, true) => "-",
                (false, false) => " + ",
                (false, true) => " - ",
            };
            first = false;
            write!(f, "{lead}{text}")
        };
        for (var, coefficient) in &self.terms {
            let size = coefficient.unsigned_abs();
            let text = if size == 1 { var.to_string() } else { format!("{size}*{var}") };
            term(f, *coefficient < 0, text)?;
        }
        if let Some(id) = self.dynamic {
            term(f, false, id.to_string())?;
        }
        if self.offset != 0 || (self.terms.is_empty() && self.dynamic.is_none()) {
            term(f, self.offset < 0, self.offset.unsigned_abs().to_string())?;
        }
        Ok(())
    }
}
