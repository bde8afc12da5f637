//! Entries by number: which is the largest, which one a label names, how likely it is.

use crate::base::span::Span;
use crate::ir::op::Op;
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::infer::call::Given;
use crate::sema::infer::{reduced, size};
use crate::sema::prelude::{Map, Reduction};
use crate::sema::resolve::{Checker, ScopeId};
use crate::sema::typed::{Elem, Expr, Extreme, Kind, Pick, Ty};

impl<'a> Checker<'a> {
    /// `argmax(x)`, `argmin(x, axis = k)`
    pub(super) fn extreme(
        &mut self,
        name: &'a str,
        which: Extreme,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        let (x, axis) = self.along(name, given, span, scope)?;
        let x = self.real(x, name)?;
        let axis = self.one_axis(name, &x, axis)?;
        let mut dims = x.ty.dims.clone();
        dims.remove(axis as usize);
        let phase = x.phase;
        let kind = Kind::Extreme(which, Box::new(x), axis);
        Some(Expr { kind, ty: Ty { elem: Elem::Int, dims }, phase, span })
    }

    /// The entries of `x` along `axis` that `index` names, as reals: for a vector of numbers as many,
    /// for one the entry itself.
    pub(super) fn gathered(&mut self, x: Expr, axis: usize, index: Expr, span: Span) -> Option<Expr> {
        let x = self.real(x, "[...]")?;
        if index.ty.dims.len() > 1 {
            let expected = "one number or a vector of numbers";
            return self.misfit("[...]", &index, expected);
        }
        let to_front = |rank: usize| {
            let others = (0..rank as u32).filter(|other| *other != axis as u32);
            std::iter::once(axis as u32).chain(others).collect::<Vec<_>>()
        };
        let x = permuted(x, to_front);
        let mut dims = index.ty.dims.clone();
        dims.extend(x.ty.dims[1..].iter().cloned());
        let phase = x.phase.max(index.phase);
        let is_vector = !index.ty.is_scalar();
        let found =
            Expr { kind: Kind::Gather(Box::new(x), Box::new(index)), ty: Ty::real(dims), phase, span };
        if !is_vector {
            return Some(found);
        }
        // The chosen axis goes back to its place.
        Some(permuted(found, |rank| {
            let mut axes: Vec<u32> = (1..rank as u32).collect();
            axes.insert(axis, 0);
            axes
        }))
    }

    /// `cross_entropy(logits, label)`: `-log softmax(logits)[label]`, as `logsumexp(logits) -
    /// logits[label]`, which is finite for large logits.
    pub(super) fn cross_entropy(
        &mut self,
        name: &'a str,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        let expected = "a vector of logits and the number of the true class";
        let [logits, label] = self.positional(name, given, span, expected)?;
        let (logits, label) = (self.infer_real(logits, name, scope), self.infer(label, scope));
        let (logits, label) = (logits?, label?);
        self.rank(name, &logits, 1, "a vector of logits, one for each class")?;
        if label.ty != Ty::scalar(Elem::Int) {
            let expected = "the number of the true class, an `int`";
            return self.misfit(name, &label, expected);
        }
        let logits = self.used_twice(logits, scope);
        let chosen = self.chosen_entry(logits.clone(), label, span)?;
        let total = reduced(Reduction::LogSumExp, logits, vec![0], span);
        Some(self.elementwise(Op::Sub, vec![total, chosen], span))
    }

    /// The logarithm of the probabilities that `x` names.
    pub(super) fn log_prob_of_class(&mut self, probabilities: Expr, x: Expr, span: Span) -> Option<Expr> {
        self.rank("categorical", &probabilities, 1, "a vector of probabilities, one for each class")?;
        // Elsewhere values are real; here they are places.
        let label = match x.kind {
            Kind::ToReal(label) => *label,
            Kind::Real(at) if at.fract() == 0.0 => size(Dim::number(at as i64), x.span),
            _ => x,
        };
        if label.ty.elem != Elem::Int {
            let expected = "the numbers of classes, of type `int`";
            return self.misfit("categorical", &label, expected);
        }
        let chosen = self.chosen_entry(probabilities, label, span)?;
        Some(self.applied(Map::Op(Op::Log), chosen))
    }

    /// The entries of a vector that `label` names.
    fn chosen_entry(&mut self, entries: Expr, label: Expr, span: Span) -> Option<Expr> {
        match &label.kind {
            Kind::Size(at) => {
                let (at, axis) = (self.settled(at), self.settled(&entries.ty.dims[0]));
                let beyond = axis.minus(&at).as_number().is_some_and(|rest| rest <= 0);
                if beyond || at.as_number().is_some_and(|n| n < 0) {
                    let (at, axis) = (at.to_string(), axis.to_string());
                    return self.fail(errors::out_of_bounds(label.span, &at, &axis));
                }
                let phase = entries.phase;
                let kind = Kind::Index(Box::new(entries), vec![Pick::At(at)]);
                Some(Expr { kind, ty: Ty::scalar(Elem::Real), phase, span })
            }
            _ => self.gathered(entries, 0, label, span),
        }
    }
}

/// `x` with its axes in the order that `axes` makes of their number.
fn permuted(x: Expr, axes: impl FnOnce(usize) -> Vec<u32>) -> Expr {
    let axes = axes(x.ty.dims.len());
    if axes.iter().enumerate().all(|(n, axis)| n as u32 == *axis) {
        return x;
    }
    let dims: Vec<Dim> = axes.iter().map(|axis| x.ty.dims[*axis as usize].clone()).collect();
    let ty = Ty { elem: x.ty.elem, dims };
    let (phase, span) = (x.phase, x.span);
    Expr { kind: Kind::Permute(Box::new(x), axes), ty, phase, span }
}
