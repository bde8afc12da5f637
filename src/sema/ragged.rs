//! Ragged axes: sizes that differ from example to example.
//!
//! `T?` in a schema makes `T` ragged. An example arrives with its arrays as long as the longest
//! one, the last real entry repeated, and with its true length in a port of its own. Reductions and
//! folds see real entries alone; [`Checker::ragged_is_fine`] refuses what would mix real entries with
//! others.

use crate::base::span::Span;
use crate::ir::program::PortSource;
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::resolve::Checker;
use crate::sema::subscripts::Subscripts;
use crate::sema::typed::{Def, DefId, DefKind, Elem, Expr, Kind, Phase, Pick, Port, Ty};
use crate::syntax::ast::ExprKind;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A ragged axis.
#[derive(Clone, Debug)]
pub(crate) struct Ragged {
    /// Its name: `T`.
    pub name: Arc<str>,
    /// Where a schema says so.
    pub span: Span,
}

impl<'a> Checker<'a> {
    /// Where a schema says that the size `name` is ragged.
    pub(crate) fn ragged_place(&self, name: &str) -> Option<Span> {
        let fields = self.data_sets.iter().flat_map(|set| &set.data.fields);
        let mut dims = fields.flat_map(|field| field.example_dims());
        let is_it = |value: &ExprKind| matches!(value, ExprKind::Name(found) if **found == *name);
        dims.find(|dim| dim.ragged && is_it(&dim.value.unparenthesised().kind)).map(|dim| dim.value.span)
    }

    /// Whether a size differs from example to example.
    pub(crate) fn is_ragged(&self, dim: &Dim) -> bool {
        !self.ragged.is_empty()
            && self.settled(dim).symbols().iter().any(|symbol| self.ragged.contains_key(&symbol.id))
    }

    /// A port that no item declares. What counts the training is the same for all examples; of the
    /// rest each has its own.
    pub(crate) fn late_port(&mut self, name: Arc<str>, span: Span, ty: Ty, source: PortSource) -> DefId {
        let number = self.n_ports;
        self.n_ports += 1;
        let batch = !matches!(source, PortSource::Step | PortSource::Epoch);
        let def = self.defs.push(Def {
            name,
            span,
            ty_span: None,
            kind: DefKind::Data(number),
            ty,
            phase: if batch { Phase::Example } else { Phase::Run },
            value: None,
            loops: Vec::new(),
            varied: false,
        });
        self.late_ports.insert(number, Port { def, default: None, batch, source });
        def
    }

    /// The lengths of all ragged axes, by symbol.
    pub(crate) fn lengths(&mut self) -> BTreeMap<u32, DefId> {
        let axes: Vec<(u32, Ragged)> = self.ragged.iter().map(|(id, axis)| (*id, axis.clone())).collect();
        let port = |(id, Ragged { name, span }): (u32, Ragged)| {
            let path = format!("length of {name}").into();
            (id, self.late_port(path, span, Ty::scalar(Elem::Int), PortSource::Length(name)))
        };
        axes.into_iter().map(port).collect()
    }

    /// Refuses what would let entries past the end of a short example count, everywhere.
    pub(crate) fn ragged_is_fine(&mut self, roots: &[&Expr]) {
        if self.ragged.is_empty() {
            return;
        }
        for def in self.defs.ids().collect::<Vec<_>>() {
            let found = &self.defs[def];
            let noun = match found.kind {
                DefKind::Param(_) | DefKind::State(_) | DefKind::Channel(_) | DefKind::Noise(_) => {
                    Some(found.kind.noun())
                }
                DefKind::Const | DefKind::Input(_) | DefKind::Data(_) | DefKind::Time => None,
                DefKind::Let | DefKind::Output | DefKind::Local | DefKind::Control => None,
            };
            let sizes: Vec<Dim> = found.ty.dims.iter().map(|dim| self.settled(dim)).collect();
            if let Some(noun) = noun.filter(|_| sizes.iter().any(|dim| self.is_ragged(dim))) {
                let what = format!("a {noun} whose size differs from example to example is");
                let instead = "run through the ragged axis in a `fold`";
                self.report(errors::not_yet(found.span, what, instead));
            }
            if let Some(value) = self.defs[def].value.clone() {
                self.ragged_rules(&value);
            }
        }
        roots.iter().for_each(|root| self.ragged_rules(root));
    }

    /// Refuses, in a value of the program, what would let the entries past the end of a short
    /// example count.
    fn ragged_rules(&mut self, value: &Expr) {
        if self.ragged.is_empty() {
            return;
        }
        let mut refused: Vec<(Span, &str, &str)> = Vec::new();
        value.walk(&mut |expr| {
            refused.extend(self.ragged_fault(expr).map(|(what, instead)| (expr.span, what, instead)));
            true
        });
        for (span, what, instead) in refused {
            self.report(errors::not_yet(span, what, instead));
        }
    }

    fn ragged_fault(&self, expr: &Expr) -> Option<(&'static str, &'static str)> {
        let along = |x: &Expr, axis: u32| self.is_ragged(&x.ty.dims[axis as usize]);
        match &expr.kind {
            Kind::Reverse(x, axis) if along(x, *axis) => {
                Some(("turning a ragged axis round is", "run through `reverse(0..T)` in a `fold`"))
            }
            Kind::Concat(parts, axis) if parts[..parts.len() - 1].iter().any(|part| along(part, *axis)) => {
                Some(("putting something behind a ragged axis is", "put it in front"))
            }
            Kind::Reshape(x) if x.ty.dims.iter().any(|dim| self.is_ragged(dim)) => Some((
                "a new shape for something with a ragged axis is",
                "reshape each entry: `[flatten(x[k]) for k in 0..T]`",
            )),
            Kind::Extreme(_, x, axis) if along(x, *axis) => {
                Some(("the place of an extreme along a ragged axis is", "carry it through a `fold`"))
            }
            Kind::Gather(x, _) if along(x, 0) => {
                Some(("an entry by number along a ragged axis is", "run through all of them"))
            }
            Kind::Pad(x, pads) => {
                let mut behind =
                    pads.iter().zip(&x.ty.dims).filter(|((_, after), _)| after.as_number() != Some(0));
                behind.any(|(_, dim)| self.is_ragged(dim)).then_some((
                    "putting something behind a ragged axis is",
                    "put it in front, with `concat`",
                ))
            }
            Kind::Einsum(x, y, subscripts) => {
                let Subscripts { spec, windows: [left, right] } = &**subscripts;
                let mut sums = [(&spec.lhs, x, left), (&spec.rhs, y, right)].into_iter().flat_map(
                    |(letters, operand, windows)| {
                        let letters = letters.iter().zip(&operand.ty.dims).enumerate();
                        letters.filter(|(axis, (letter, dim))| {
                            let is_window = windows.iter().any(|(other, _)| *other as usize == *axis);
                            self.is_ragged(dim) && (is_window || !spec.out.contains(letter))
                        })
                    },
                );
                sums.next().map(|_| {
                    ("an `einsum` that sums over a ragged axis is", "use `@`, or `sum` over an axis")
                })
            }
            Kind::Index(x, picks) => {
                let kept = picks.iter().filter(|pick| !matches!(pick, Pick::New));
                let mut ragged = kept.zip(&x.ty.dims).filter(|(_, dim)| self.is_ragged(dim));
                ragged.find_map(|(pick, dim)| self.ragged_pick(pick, dim))
            }
            _ => None,
        }
    }

    fn ragged_pick(&self, pick: &Pick, dim: &Dim) -> Option<(&'static str, &'static str)> {
        match pick {
            Pick::New => None,
            Pick::At(at) if self.is_ragged(at) => {
                Some(("an entry counted from the end of a ragged axis is", "carry it through a `fold`"))
            }
            Pick::At(at) => match at.as_number() {
                Some(n) if n > 0 => Some((
                    "an entry that a short example may not have is",
                    "take entry 0, or run through all of them",
                )),
                Some(_) | None => None,
            },
            Pick::Range(lo, hi) if self.is_ragged(lo) || (hi != dim && !self.is_ragged(hi)) => {
                Some(("a part that a short example may not have is", "take all but the first: `x[1..]`"))
            }
            Pick::Range(..) => None,
        }
    }
}
