//! The text form of a function.
//!
//! One line a node, in definition order: `%2 = add(%0, %1) : f64[3]`. Stable, exact (numbers are
//! printed so that they read back to the same bits), and read back by [`parse`](super::parse).
//! Spans are not printed.

use crate::ir::func::{Attr, Func, Node, Port};
use crate::ir::op::Op;
use crate::ir::ops::arith::exponent;
use std::fmt;

impl fmt::Display for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "func {:?} ({}) {{", self.name, Ports(&self.params))?;
        for (id, node) in self.nodes.entries() {
            writeln!(f, "  {id} = {node}")?;
        }
        writeln!(f, "  return ({})", Ports(&self.results))?;
        writeln!(f, "}}")
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.def().name)?;
        if !self.args.is_empty() {
            write!(f, "({})", List(&self.args))?;
        }
        match (self.op, &self.attr) {
            (Op::PowInt, attr @ Attr::Index(_)) => write!(f, " ^{}", exponent(attr))?,
            (_, Attr::None) => {}
            (_, Attr::Index(index)) => write!(f, " #{index}")?,
            (_, Attr::Splat(bits)) => write!(f, " {}", Number(*bits))?,
            (_, Attr::Elements(bits)) => {
                let numbers: Vec<Number> = bits.iter().map(|b| Number(*b)).collect();
                write!(f, " [{}]", List(&numbers))?;
            }
            (_, Attr::Axes(axes)) => write!(f, " axes [{}]", List(axes))?,
            (_, Attr::Shape(shape)) => write!(f, " shape {shape}")?,
            (_, Attr::Broadcast { shape, axes }) => write!(f, " shape {shape} axes [{}]", List(axes))?,
            (_, Attr::Ranges(ranges)) => write!(f, " ranges [{}]", Pairs(ranges, ".."))?,
            (_, Attr::Pads(pads)) => write!(f, " pads [{}]", Pairs(pads, "+"))?,
            (_, Attr::Windows(windows)) => write!(f, " windows [{}]", Pairs(windows, ":"))?,
            (_, Attr::Axis(axis)) => write!(f, " axis {axis}")?,
            (_, Attr::Contract(spec)) => {
                write!(f, " [{}], [{}] -> [{}]", List(&spec.lhs), List(&spec.rhs), List(&spec.out))?;
            }
            (_, Attr::Order(order)) => write!(f, " order {order}")?,
            (_, Attr::To(dtype)) => write!(f, " to {}", dtype.name())?,
        }
        write!(f, " : {}", self.ty)
    }
}

/// A number that reads back to the same bits; a NaN shows them.
struct Number(u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = f64::from_bits(self.0);
        if value.is_nan() { write!(f, "nan:{:016x}", self.0) } else { write!(f, "{value:?}") }
    }
}

struct List<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, item) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

struct Pairs<'a>(&'a [(u32, u32)], &'static str);

impl fmt::Display for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, second)) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{first}{}{second}", self.1)?;
        }
        Ok(())
    }
}

struct Ports<'a>(&'a [Port]);

impl fmt::Display for Ports<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, port) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{:?}: {}", port.name, port.value)?;
        }
        Ok(())
    }
}
