//! `kl(p, q)`: how far one distribution is from another.

use crate::base::span::Span;
use crate::ir::op::Op;
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::infer::call::Given;
use crate::sema::infer::number;
use crate::sema::prelude::{Distribution, Map};
use crate::sema::resolve::{Checker, ScopeId};
use crate::sema::typed::{Expr, Kind};

impl<'a> Checker<'a> {
    /// The Kullback–Leibler divergence `∫ p log(p/q)`, elementwise.
    ///
    /// Source: M. Gil, F. Alajaji, T. Linder, Rényi divergence measures for commonly used univariate
    /// continuous distributions, Information Sciences 249 (2013), tables 2 and 3.
    pub(super) fn divergence(
        &mut self,
        name: &'a str,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        let [p, q] =
            self.positional(name, given, span, "two distributions, as in `kl(normal(m, s), normal(0, 1))`")?;
        let (p, q) = (self.distribution(p, scope), self.distribution(q, scope));
        let ((p, of_p), (q, of_q)) = (p?, q?);
        let mut parameters = Vec::new();
        for parameter in of_p.into_iter().chain(of_q) {
            let parameter = self.used_twice(parameter, scope);
            if let Some(other) = parameters.iter().find(|other: &&Expr| !other.ty.is_scalar()).cloned() {
                self.level(name, span, &other, &parameter)?;
            }
            parameters.push(parameter);
        }
        use Distribution::{Exponential, Laplace, Lognormal, Normal};
        match (p, q, <[Expr; 4]>::try_from(parameters)) {
            // log(s2/s1) + (s1² + (m1 - m2)²)/(2 s2²) - 1/2; a change of variable changes nothing.
            (Normal, Normal, Ok([m1, s1, m2, s2])) | (Lognormal, Lognormal, Ok([m1, s1, m2, s2])) => {
                let ratio = self.elementwise(Op::Div, vec![s1, s2.clone()], span);
                let ratio = self.used_twice(ratio, scope);
                let apart = self.elementwise(Op::Sub, vec![m1, m2], span);
                let apart = self.elementwise(Op::Div, vec![apart, s2], span);
                let (wide, far) = (self.squared(ratio.clone()), self.squared(apart));
                let sum = self.elementwise(Op::Add, vec![wide, far], span);
                let sum = self.elementwise(Op::Sub, vec![sum, number(1.0, span)], span);
                let half = self.elementwise(Op::Mul, vec![number(0.5, span), sum], span);
                let log = self.logarithm(ratio);
                Some(self.elementwise(Op::Sub, vec![half, log], span))
            }
            // log(b2/b1) + d/b2 + b1/b2 exp(-d/b1) - 1 with d = |m1 - m2|
            (Laplace, Laplace, Ok([m1, b1, m2, b2])) => {
                let apart = self.elementwise(Op::Sub, vec![m1, m2], span);
                let apart = self.applied(Map::Op(Op::Abs), apart);
                let apart = self.used_twice(apart, scope);
                let ratio = self.elementwise(Op::Div, vec![b1.clone(), b2.clone()], span);
                let ratio = self.used_twice(ratio, scope);
                let near = self.elementwise(Op::Div, vec![apart.clone(), b1], span);
                let near = self.elementwise(Op::Neg, vec![near], span);
                let near = self.applied(Map::Op(Op::Exp), near);
                let near = self.elementwise(Op::Mul, vec![ratio.clone(), near], span);
                let far = self.elementwise(Op::Div, vec![apart, b2], span);
                let sum = self.elementwise(Op::Add, vec![near, far], span);
                let sum = self.elementwise(Op::Sub, vec![sum, number(1.0, span)], span);
                let log = self.logarithm(ratio);
                Some(self.elementwise(Op::Sub, vec![sum, log], span))
            }
            // log(r1/r2) + r2/r1 - 1
            (Exponential, Exponential, Err(rates)) if rates.len() == 2 => {
                let ratio = self.elementwise(Op::Div, vec![rates[1].clone(), rates[0].clone()], span);
                let ratio = self.used_twice(ratio, scope);
                let above = self.elementwise(Op::Sub, vec![ratio.clone(), number(1.0, span)], span);
                let log = self.logarithm(ratio);
                Some(self.elementwise(Op::Sub, vec![above, log], span))
            }
            _ => {
                let instead = "write the divergence out; it is there for two distributions that are both \
                               `normal`, `lognormal`, `laplace` or `exponential`";
                self.fail(errors::not_yet(span, "`kl` of these two distributions is", instead))
            }
        }
    }

    fn squared(&mut self, x: Expr) -> Expr {
        let (ty, phase, span) = (x.ty.clone(), x.phase, x.span);
        Expr { kind: Kind::PowInt(Box::new(x), Dim::number(2)), ty, phase, span }
    }

    fn logarithm(&mut self, x: Expr) -> Expr {
        self.applied(Map::Op(Op::Log), x)
    }
}
