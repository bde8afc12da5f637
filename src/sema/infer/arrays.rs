//! Functions that arrange the elements of arrays, and arrays made of nothing but their size.

use crate::base::span::Span;
use crate::ir::op::Op;
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::infer::call::Given;
use crate::sema::infer::{Value, number, reduced, size, to_real};
use crate::sema::prelude::{Map, Reduction, Special};
use crate::sema::resolve::{Checker, ScopeId};
use crate::sema::typed::{Elem, Expr, Kind, Phase, Pick, Ty};
use crate::syntax::ast::{Arg, ExprKind};

impl<'a> Checker<'a> {
    /// `split`, `diff`, `pad`, `eye`, `cumsum`
    pub(super) fn arrangement(
        &mut self,
        name: &'a str,
        special: Special,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        match special {
            Special::Split => self.split(name, given, span, scope),
            Special::Diff => self.differences(name, given, span, scope),
            Special::Pad => self.padded(name, given, span, scope),
            Special::Eye => {
                let [n] = self.positional(name, given, span, "one size")?;
                let at = n.span;
                let n = self.size_of(n, scope, "a size")?;
                let n = self.not_negative(n, at)?;
                Some(Expr { kind: Kind::Eye, ty: Ty::real(vec![n.clone(), n]), phase: Phase::Static, span })
            }
            Special::Cumsum => {
                let (x, axis) = self.along(name, given, span, scope)?;
                let x = self.real(x, name)?;
                let axis = self.one_axis(name, &x, axis)?;
                let (ty, phase) = (x.ty.clone(), x.phase);
                Some(Expr { kind: Kind::Cumsum(Box::new(x), axis), ty, phase, span })
            }
            other => crate::bug!("`{name}` ({other:?}) arranges nothing"),
        }
    }

    /// The axis that is said, or the only one.
    pub(super) fn one_axis(&mut self, name: &str, x: &Expr, axis: Option<u32>) -> Option<u32> {
        match (axis, x.ty.dims.len()) {
            (Some(axis), _) => Some(axis),
            (None, 1) => Some(0),
            (None, _) => {
                let expected = "a vector, or an array with `axis = k`";
                self.misfit(name, x, expected)
            }
        }
    }

    /// `split(x, n)`: parts of equal size along the first axis, one behind the other under a new one.
    fn split(&mut self, name: &'a str, given: &[Given<'a>], span: Span, scope: ScopeId) -> Option<Expr> {
        let [x, n] = self.positional(name, given, span, "an array and the number of equal parts")?;
        let (n_span, x) = (n.span, self.infer(x, scope)?);
        let n = self.size_of(n, scope, "a number of parts")?;
        let Some(n) = n.as_number().filter(|n| *n > 0) else {
            return self.fail(errors::not_a_size(n_span, "a number of parts"));
        };
        let length = self.length(name, &x)?;
        let Some(part) = self.divided_size(&length, n, n_span) else {
            return self.fail(errors::uneven_parts(n_span, x.span, &x.ty, n));
        };
        let dims = [&[Dim::number(n), part], &x.ty.dims[1..]].concat();
        let (elem, phase) = (x.ty.elem, x.phase);
        Some(Expr { kind: Kind::Reshape(Box::new(x)), ty: Ty { elem, dims }, phase, span })
    }

    /// `diff(x)`, `diff(x, pad = p)`: `x[k] - x[k - 1]`, with `p` in front.
    fn differences(
        &mut self,
        name: &'a str,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        let expected = "one array, and `pad = p` for a first element";
        let pad = given.iter().find(|arg| arg.name.is_some_and(|name| &*name.name == "pad"));
        let plain: Vec<Given<'a>> = given.iter().filter(|arg| arg.name.is_none()).copied().collect();
        if given.len() != plain.len() + usize::from(pad.is_some()) {
            return self.fail(errors::wrong_arguments(span, name, expected));
        }
        let [x] = self.positional(name, &plain, span, expected)?;
        let x = self.infer_real(x, name, scope)?;
        let length = self.length(name, &x)?;
        if length.as_number() == Some(0) {
            return self.fail(errors::out_of_bounds(x.span, "0", "0"));
        }
        let x = self.used_twice(x, scope);
        let one = Dim::number(1);
        let later = part(x.clone(), one.clone(), length.clone(), span);
        let earlier = part(x, Dim::number(0), length.minus(&one), span);
        let steps = self.elementwise(Op::Sub, vec![later, earlier], span);
        let Some(pad) = pad else { return Some(steps) };
        let pad = self.infer_real(pad.value, name, scope)?;
        let pad = self.scalar(pad, "what stands in front")?;
        let mut ty = steps.ty.clone();
        ty.dims[0] = one;
        let phase = pad.phase.max(steps.phase);
        // A scalar beside zeros of the shape is that scalar everywhere.
        let zeros = Expr { kind: Kind::Fill(0.0), ty, phase: Phase::Static, span };
        let first = self.elementwise(Op::Add, vec![zeros, pad], span);
        let mut ty = steps.ty.clone();
        ty.dims[0] = length;
        Some(Expr { kind: Kind::Concat(vec![first, steps], 0), ty, phase, span })
    }

    /// `pad(x, [0, 1, 1])`: that many zeros on both sides of each axis.
    fn padded(&mut self, name: &'a str, given: &[Given<'a>], span: Span, scope: ScopeId) -> Option<Expr> {
        let expected = "an array and a number of zeros for each axis, as in `pad(x, [0, 1])`";
        let [x, amounts] = self.positional(name, given, span, expected)?;
        let x = self.infer_real(x, name, scope)?;
        let amounts = match &amounts.unparenthesised().kind {
            ExprKind::Array(sizes) => {
                let sizes: &'a [Arg] = sizes;
                let dims = self.sizes(sizes, amounts.span, scope)?;
                if dims.len() != x.ty.dims.len() {
                    return self.fail(errors::pad_count(amounts.span, dims.len(), x.span, &x.ty));
                }
                dims
            }
            _ => return self.fail(errors::wrong_arguments(amounts.span, name, expected)),
        };
        let dims = x.ty.dims.iter().zip(&amounts).map(|(dim, n)| dim.plus(&n.times_number(2))).collect();
        let phase = x.phase;
        let pads = amounts.into_iter().map(|n| (n.clone(), n)).collect();
        Some(Expr { kind: Kind::Pad(Box::new(x), pads), ty: Ty::real(dims), phase, span })
    }

    /// `linspace(a, b, n)`: `n` numbers from `a` to `b`, both among them, equally far apart;
    /// `logspace(a, b, n)`: ten to the power of each.
    pub(super) fn spaced(
        &mut self,
        name: &'a str,
        special: Special,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        let [a, b, n] = self.positional(name, given, span, "the first, the last and how many")?;
        let n_span = n.span;
        let (a, b) = (self.infer_real(a, name, scope), self.infer_real(b, name, scope));
        let n = self.size_of(n, scope, "how many");
        let (a, b) = (self.scalar(a?, "the first")?, self.scalar(b?, "the last")?);
        let n = self.not_negative(n?, n_span)?;
        let last = to_real(size(n.minus(&Dim::number(1)), span));
        let steps = self.elementwise(Op::Max, vec![last, number(1.0, span)], span);
        let iota = Expr { kind: Kind::Iota, ty: Ty::real(vec![n]), phase: Phase::Static, span };
        let share = self.elementwise(Op::Div, vec![iota, steps], span);
        let share = self.used_twice(share, scope);
        // a (1 - s) + b s is `a` at s = 0 and `b` at s = 1, exactly.
        let rest = self.elementwise(Op::Sub, vec![number(1.0, span), share.clone()], span);
        let from = self.elementwise(Op::Mul, vec![a, rest], span);
        let to = self.elementwise(Op::Mul, vec![b, share], span);
        let values = self.elementwise(Op::Add, vec![from, to], span);
        Some(match special {
            Special::Logspace => self.elementwise(Op::Pow, vec![number(10.0, span), values], span),
            _ => values,
        })
    }

    /// `softmax`, `log_softmax`, `any`, `all`, `var`, `std`
    pub(super) fn summary(
        &mut self,
        name: &'a str,
        special: Special,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        let (x, axis) = self.along(name, given, span, scope)?;
        if let Special::Any | Special::All = special {
            let x = self.truth(x, name)?;
            let (is_all, zero) = (special == Special::All, number(0.0, span));
            let x = if is_all { self.elementwise(Op::Not, vec![x], span) } else { x };
            let axes = axis.map_or_else(|| (0..x.ty.dims.len() as u32).collect(), |axis| vec![axis]);
            let count = reduced(Reduction::Sum, to_real(x), axes, span);
            return Some(if is_all {
                self.elementwise(Op::Eq, vec![count, zero], span)
            } else {
                self.elementwise(Op::Lt, vec![zero, count], span)
            });
        }
        let x = self.real(x, name)?;
        let x = self.used_twice(x, scope);
        if let Special::Softmax | Special::LogSoftmax = special {
            let axis = self.one_axis(name, &x, axis)?;
            // The largest element is subtracted first, where large ones still have all their digits.
            let largest = reduced(Reduction::Max, x.clone(), vec![axis], span);
            let largest = repeated(largest, axis, &x.ty);
            let (ty, phase) = (largest.ty.clone(), largest.phase);
            let largest = Expr { kind: Kind::StopGradient(Box::new(largest)), ty, phase, span };
            let shifted = self.elementwise(Op::Sub, vec![x, largest], span);
            let shifted = self.used_twice(shifted, scope);
            let total = reduced(Reduction::LogSumExp, shifted.clone(), vec![axis], span);
            let total = repeated(total, axis, &shifted.ty);
            let shifted = self.elementwise(Op::Sub, vec![shifted, total], span);
            return Some(match special {
                Special::Softmax => self.applied(Map::Op(Op::Exp), shifted),
                _ => shifted,
            });
        }
        let axes: Vec<u32> = axis.map_or_else(|| (0..x.ty.dims.len() as u32).collect(), |axis| vec![axis]);
        let mean = reduced(Reduction::Mean, x.clone(), axes.clone(), span);
        let mean = match axis {
            Some(axis) => repeated(mean, axis, &x.ty),
            None => mean,
        };
        let deviation = self.elementwise(Op::Sub, vec![x, mean], span);
        let (ty, phase) = (deviation.ty.clone(), deviation.phase);
        let square = Expr { kind: Kind::PowInt(Box::new(deviation), Dim::number(2)), ty, phase, span };
        let variance = reduced(Reduction::Mean, square, axes, span);
        Some(match special {
            Special::Std => self.applied(Map::Op(Op::Sqrt), variance),
            _ => variance,
        })
    }

    /// An elementwise function.
    pub(super) fn applied(&mut self, map: Map, x: Expr) -> Expr {
        let (ty, phase, span) = (x.ty.clone(), x.phase, x.span);
        Expr { kind: Kind::Map(map, Box::new(x)), ty, phase, span }
    }

    /// `x` with a name of its own, so that it may stand in two places and is looked at once.
    pub(super) fn used_twice(&mut self, x: Expr, scope: ScopeId) -> Expr {
        match self.kept(Value::Expr(x), scope) {
            Value::Expr(x) => x,
            Value::Record(_) | Value::Tuple(_) | Value::List(_) | Value::Callable(_) => {
                crate::bug!("an expression stays one")
            }
        }
    }
}

/// Elements `lo..hi` along the first axis.
pub(super) fn part(x: Expr, lo: Dim, hi: Dim, span: Span) -> Expr {
    let mut ty = x.ty.clone();
    let mut picks: Vec<Pick> = ty.dims.iter().map(|dim| Pick::Range(Dim::number(0), dim.clone())).collect();
    ty.dims[0] = hi.minus(&lo);
    picks[0] = Pick::Range(lo, hi);
    let phase = x.phase;
    Expr { kind: Kind::Index(Box::new(x), picks), ty, phase, span }
}

/// `x`, which was reduced over `axis`, at each place along it again.
fn repeated(x: Expr, axis: u32, ty: &Ty) -> Expr {
    let ty = Ty { elem: Elem::Real, dims: ty.dims.clone() };
    let (phase, span) = (x.phase, x.span);
    Expr { kind: Kind::Repeat(Box::new(x), axis), ty, phase, span }
}
