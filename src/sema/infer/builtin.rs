//! Functions of the language: what they take and what they give.

use crate::base::span::Span;
use crate::ir::op::Op;
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::infer::call::Given;
use crate::sema::infer::index::transposed;
use crate::sema::infer::{Value, size, to_real};
use crate::sema::prelude::{Builtin, Map, Reduction, Special};
use crate::sema::resolve::{Checker, ScopeId};
use crate::sema::typed::{Elem, Expr, Extreme, Kind, Loop, Phase, Pick, Ty};
use crate::syntax::ast::{self, Arg, ExprKind};

impl<'a> Checker<'a> {
    pub(super) fn builtin(
        &mut self,
        name: &'a str,
        builtin: Builtin,
        given: &[Given<'a>],
        callee: Span,
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        let value = match builtin {
            Builtin::Initialiser(_) => {
                let message = format!("`{name}()` draws starting values, and is not a number");
                self.fail(errors::wrong_kind(span, message, "a number; it stands behind the `=` of a param"))
            }
            Builtin::Special(Special::Eigh) => return self.eigen(name, given, span, scope),
            Builtin::Special(Special::Inverse) => return self.inverse_of(name, given, span, scope),
            Builtin::Special(Special::Solve) if self.solves_matrix(given, scope) => {
                self.linear_solution(name, given, span, scope)
            }
            Builtin::Special(Special::Solve) => return self.solve_of(name, given, span, scope),
            Builtin::NotYet(instead) => self.fail(errors::not_yet(callee, format!("`{name}` is"), instead)),
            Builtin::Distribution(distribution) => {
                let message =
                    format!("`{name}({})` is a distribution, not a number", distribution.params().join(", "));
                self.fail(errors::wrong_kind(
                    span,
                    message,
                    "a number; distributions stand after `~` and in `log_prob`",
                ))
            }
            Builtin::Map(map) => {
                let [x] = self.positional(name, given, span, "one argument")?;
                let x = self.infer_real(x, name, scope)?;
                let (ty, phase) = (x.ty.clone(), x.phase);
                Some(Expr { kind: Kind::Map(map, Box::new(x)), ty, phase, span })
            }
            Builtin::Reduce(reduction, pairwise) => {
                self.reduce(name, reduction, pairwise, given, span, scope)
            }
            Builtin::Special(special) => self.special(name, special, given, span, scope),
        };
        value.map(Value::Expr)
    }

    /// Exactly `N` arguments without names.
    pub(crate) fn positional<const N: usize>(
        &mut self,
        name: &str,
        given: &[Given<'a>],
        span: Span,
        expected: &str,
    ) -> Option<[&'a ast::Expr; N]> {
        let values: Vec<&'a ast::Expr> =
            given.iter().filter(|arg| arg.name.is_none()).map(|arg| arg.value).collect();
        match <[&'a ast::Expr; N]>::try_from(values) {
            Ok(values) if given.len() == N => Some(values),
            _ => self.fail(errors::wrong_arguments(span, name, expected)),
        }
    }

    pub(super) fn infer_real(&mut self, expr: &'a ast::Expr, callee: &str, scope: ScopeId) -> Option<Expr> {
        let expr = self.infer(expr, scope)?;
        self.real(expr, callee)
    }

    fn reduce(
        &mut self,
        name: &'a str,
        reduction: Reduction,
        pairwise: Option<Op>,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        if let (Some(op), [Given { name: None, value: a }, Given { name: None, value: b }]) =
            (pairwise, given)
        {
            let (a, b) = (self.infer_real(a, name, scope), self.infer_real(b, name, scope));
            let (a, b) = (a?, b?);
            self.level(name, span, &a, &b)?;
            return Some(self.elementwise(op, vec![a, b], span));
        }
        let (x, axis) = self.along(name, given, span, scope)?;
        let x = to_real(x);
        let summary = match reduction {
            Reduction::Max | Reduction::Min | Reduction::Mean | Reduction::Sum | Reduction::Product => true,
            Reduction::SumSq | Reduction::Norm | Reduction::LogSumExp => false,
        };
        // In a function the operand may be of any shape, and at one time a number is all there is.
        let is_curve = x.ty.dims.is_empty() && x.phase == Phase::Time;
        if summary && is_curve && !self.in_equation && scope == self.home() {
            self.report(errors::summary_of_a_number(span, name, x.span));
        }
        let axes = match axis {
            None => (0..x.ty.dims.len() as u32).collect(),
            Some(axis) => vec![axis],
        };
        Some(reduced(reduction, x, axes, span))
    }

    /// One array, and the axis that is meant if one is said.
    pub(super) fn along(
        &mut self,
        name: &'a str,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<(Expr, Option<u32>)> {
        let axis = given.iter().find(|arg| arg.name.is_some_and(|name| &*name.name == "axis"));
        let n_axes = usize::from(axis.is_some());
        let operand = match given.iter().filter(|arg| arg.name.is_none()).collect::<Vec<_>>().as_slice() {
            [only] if given.len() == 1 + n_axes => only.value,
            _ => {
                return self.fail(errors::wrong_arguments(
                    span,
                    name,
                    "one array, and `axis = k` if not all axes are meant",
                ));
            }
        };
        let x = self.infer(operand, scope)?;
        let Some(axis) = axis else { return Some((x, None)) };
        let at = self.size_of(axis.value, scope, "an axis")?;
        match at.as_number() {
            Some(n) if n >= 0 && (n as usize) < x.ty.dims.len() => Some((x, Some(n as u32))),
            _ => {
                let rank = x.ty.dims.len().to_string();
                self.fail(errors::wrong_axis(axis.value.span, &at.to_string(), &rank))
            }
        }
    }

    fn special(
        &mut self,
        name: &'a str,
        special: Special,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        match special {
            Special::Grad | Special::Jac | Special::Jvp | Special::Vjp | Special::Div | Special::JacFrob2 => {
                self.derivative(name, special, given, span, scope)
            }
            Special::Laplacian | Special::Hvp | Special::Ddt | Special::Taylor | Special::StopGradient => {
                self.derivative(name, special, given, span, scope)
            }
            Special::Dot => {
                let [a, b] = self.pair(name, given, span, scope)?;
                if a.ty.dims.is_empty() || !self.same_sizes(&a.ty.dims, &b.ty.dims, span) {
                    return self.unequal(name, span, &a, &b);
                }
                let product = self.elementwise(Op::Mul, vec![a, b], span);
                let axes = (0..product.ty.dims.len() as u32).collect();
                Some(reduced(Reduction::Sum, product, axes, span))
            }
            Special::Outer => {
                let [a, b] = self.pair(name, given, span, scope)?;
                for operand in [&a, &b] {
                    self.rank(name, operand, 1, "vectors")?;
                }
                let dims = [a.ty.dims.as_slice(), b.ty.dims.as_slice()].concat();
                let phase = a.phase.max(b.phase);
                Some(Expr { kind: Kind::Outer(Box::new(a), Box::new(b)), ty: Ty::real(dims), phase, span })
            }
            Special::Mse => {
                let [a, b] = self.pair(name, given, span, scope)?;
                self.level(name, span, &a, &b)?;
                let difference = self.elementwise(Op::Sub, vec![a, b], span);
                let (ty, phase) = (difference.ty.clone(), difference.phase);
                let axes = (0..ty.dims.len() as u32).collect();
                let square =
                    Expr { kind: Kind::PowInt(Box::new(difference), Dim::number(2)), ty, phase, span };
                Some(reduced(Reduction::Mean, square, axes, span))
            }
            Special::Hypot => {
                let [a, b] = self.pair(name, given, span, scope)?;
                self.level(name, span, &a, &b)?;
                let squares: Vec<Expr> = [a, b]
                    .into_iter()
                    .map(|x| Expr {
                        ty: x.ty.clone(),
                        phase: x.phase,
                        span,
                        kind: Kind::PowInt(Box::new(x), Dim::number(2)),
                    })
                    .collect();
                let sum = self.elementwise(Op::Add, squares, span);
                let (ty, phase) = (sum.ty.clone(), sum.phase);
                Some(Expr { kind: Kind::Map(Map::Op(Op::Sqrt), Box::new(sum)), ty, phase, span })
            }
            Special::Clamp => {
                let [x, lo, hi] =
                    self.positional(name, given, span, "a value, a lower and an upper bound")?;
                let (x, lo) = (self.infer_real(x, name, scope)?, self.infer_real(lo, name, scope)?);
                let hi = self.infer_real(hi, name, scope)?;
                self.level(name, span, &x, &lo)?;
                let above = self.elementwise(Op::Max, vec![x, lo], span);
                self.level(name, span, &above, &hi)?;
                Some(self.elementwise(Op::Min, vec![above, hi], span))
            }
            Special::Softmax | Special::LogSoftmax | Special::Any | Special::All => {
                self.summary(name, special, given, span, scope)
            }
            Special::Var | Special::Std => self.summary(name, special, given, span, scope),
            Special::Split | Special::Diff | Special::Pad | Special::Eye | Special::Cumsum => {
                self.arrangement(name, special, given, span, scope)
            }
            Special::Linspace | Special::Logspace => self.spaced(name, special, given, span, scope),
            Special::Einsum => self.einsum(name, given, span, scope),
            Special::Argmax => self.extreme(name, Extreme::Largest, given, span, scope),
            Special::Argmin => self.extreme(name, Extreme::Smallest, given, span, scope),
            Special::CrossEntropy => self.cross_entropy(name, given, span, scope),
            Special::Det | Special::Inv => self.of_matrix(name, special, given, span, scope),
            Special::Sample => self.sample(name, given, span, scope),
            Special::Kl => self.divergence(name, given, span, scope),
            Special::BatchMean => self.batch_mean(name, given, span, scope),
            Special::Trace => {
                let [x] = self.positional(name, given, span, "one square matrix")?;
                let x = self.infer_real(x, name, scope)?;
                let n = self.square(name, &x)?;
                let symbol = self.symbol("i");
                let at = Dim::symbol(symbol.clone());
                let picks = vec![Pick::At(at.clone()), Pick::At(at)];
                let phase = x.phase;
                let element =
                    Expr { kind: Kind::Index(Box::new(x), picks), ty: Ty::scalar(Elem::Real), phase, span };
                let loops = vec![Loop { symbol, lo: Dim::number(0), hi: n, condition: None }];
                let kind =
                    Kind::Comprehension { loops, body: Box::new(element), reduction: Some(Reduction::Sum) };
                Some(Expr { kind, ty: Ty::scalar(Elem::Real), phase, span })
            }
            Special::Eigh | Special::Inverse | Special::Solve => crate::bug!("`{name}` is not a number"),
            Special::Concat => self.concat(name, given, span, scope),
            Special::Stack => {
                let parts: Vec<Option<Expr>> = given.iter().map(|arg| self.infer(arg.value, scope)).collect();
                let parts: Vec<Expr> = parts.into_iter().collect::<Option<_>>()?;
                self.stacked(parts, span)
            }
            Special::Reshape => {
                let [x, shape] =
                    self.positional(name, given, span, "an array and the sizes, as in `reshape(x, [2, 3])`")?;
                let x = self.infer(x, scope)?;
                let ExprKind::Array(sizes) = &shape.unparenthesised().kind else {
                    return self.fail(errors::not_a_size(shape.span, "the shape"));
                };
                let dims = self.sizes(sizes, shape.span, scope)?;
                if !self.same_size(&count(&dims), &count(&x.ty.dims), shape.span) {
                    let ty = Ty { elem: x.ty.elem, dims };
                    let story = self.story(&x);
                    return self.fail(errors::declared_shape(
                        "the reshaped array",
                        shape.span,
                        &ty,
                        x.span,
                        &x.ty,
                        story,
                    ));
                }
                let (elem, phase) = (x.ty.elem, x.phase);
                Some(Expr { kind: Kind::Reshape(Box::new(x)), ty: Ty { elem, dims }, phase, span })
            }
            Special::Flatten => {
                let [x] = self.positional(name, given, span, "one array")?;
                let x = self.infer(x, scope)?;
                let ty = Ty { elem: x.ty.elem, dims: vec![count(&x.ty.dims)] };
                let phase = x.phase;
                Some(Expr { kind: Kind::Reshape(Box::new(x)), ty, phase, span })
            }
            Special::Transpose => {
                let [x] = self.positional(name, given, span, "one matrix")?;
                let x = self.infer(x, scope)?;
                self.rank(name, &x, 2, "a matrix")?;
                Some(transposed(x, span))
            }
            Special::Reverse => {
                let [x] = self.positional(name, given, span, "one array")?;
                let x = self.infer(x, scope)?;
                self.length(name, &x)?;
                let (ty, phase) = (x.ty.clone(), x.phase);
                Some(Expr { kind: Kind::Reverse(Box::new(x), 0), ty, phase, span })
            }
            Special::Len => {
                let [x] = self.positional(name, given, span, "one array")?;
                let x = match self.evaluate(x, scope)? {
                    Value::List(parts) | Value::Tuple(parts) => {
                        return Some(size(Dim::number(parts.len() as i64), span));
                    }
                    value => self.plain(value, x.span)?,
                };
                let length = self.length(name, &x)?;
                Some(size(self.settled(&length), span))
            }
            Special::Zeros | Special::Ones => {
                let fill = if special == Special::Zeros { 0.0 } else { 1.0 };
                let mut dims = Vec::new();
                for arg in given {
                    match &arg.value.unparenthesised().kind {
                        ExprKind::Array(sizes) if given.len() == 1 => {
                            dims = self.sizes(sizes, arg.value.span, scope)?
                        }
                        _ => {
                            let size = self.size_of(arg.value, scope, "a size")?;
                            dims.push(self.not_negative(size, arg.value.span)?);
                        }
                    }
                }
                if dims.is_empty() {
                    return self.fail(errors::wrong_arguments(
                        span,
                        name,
                        format!("the sizes, as in `{name}(3)`"),
                    ));
                }
                Some(Expr { kind: Kind::Fill(fill), ty: Ty::real(dims), phase: Phase::Static, span })
            }
            Special::LogProb => {
                let [distribution, x] = self.positional(name, given, span, "a distribution and a value")?;
                let (distribution, params) = self.distribution(distribution, scope)?;
                let x = self.infer_real(x, name, scope)?;
                self.log_prob(distribution, params, x, span)
            }
        }
    }

    /// `batch_mean(e)`, which is refused: in an equation and anywhere else.
    fn batch_mean(&mut self, name: &'a str, given: &[Given<'a>], span: Span, scope: ScopeId) -> Option<Expr> {
        let [e] = self.positional(name, given, span, "one expression")?;
        let e = self.infer(e, scope)?;
        self.fail(errors::batch_statistic(span, self.in_equation || e.phase == Phase::Time))
    }

    /// The sizes in `[2, N]`.
    pub(super) fn sizes(&mut self, sizes: &'a [Arg], span: Span, scope: ScopeId) -> Option<Vec<Dim>> {
        let mut dims = Vec::with_capacity(sizes.len());
        for size in sizes {
            let Arg::Positional(size) = size else { return self.fail(errors::not_a_size(span, "the shape")) };
            let dim = self.size_of(size, scope, "a size")?;
            dims.push(self.not_negative(dim, size.span)?);
        }
        Some(dims)
    }

    fn pair(&mut self, name: &'a str, given: &[Given<'a>], span: Span, scope: ScopeId) -> Option<[Expr; 2]> {
        let [a, b] = self.positional(name, given, span, "two arguments")?;
        let (a, b) = (self.infer_real(a, name, scope), self.infer_real(b, name, scope));
        Some([a?, b?])
    }

    fn concat(&mut self, name: &'a str, given: &[Given<'a>], span: Span, scope: ScopeId) -> Option<Expr> {
        let mut axis = 0;
        let mut parts = Vec::new();
        for arg in given {
            match arg.name {
                Some(key) if &*key.name == "axis" => {
                    let at = self.size_of(arg.value, scope, "an axis")?;
                    axis = match at.as_number() {
                        Some(n) if n >= 0 => n as usize,
                        _ => return self.fail(errors::not_a_size(arg.value.span, "an axis")),
                    };
                }
                Some(key) => {
                    return self.fail(errors::wrong_arguments(key.span, name, "arrays and `axis = k`"));
                }
                None => {
                    let part = self.infer(arg.value, scope)?;
                    parts.push(part);
                }
            }
        }
        if parts.is_empty() {
            return self.fail(errors::wrong_arguments(span, name, "one array or more"));
        }
        self.joined(name, parts, axis, span)
    }

    /// Arrays end to end along an axis.
    pub(super) fn joined(&mut self, name: &str, parts: Vec<Expr>, axis: usize, span: Span) -> Option<Expr> {
        let parts: Vec<Expr> = parts.into_iter().map(to_real).collect();
        let Some(first) = parts.first() else { crate::bug!("nothing to join") };
        let mut dims = first.ty.dims.clone();
        if axis >= dims.len() {
            return self.misfit(name, first, "arrays that have this axis");
        }
        for other in &parts[1..] {
            let mut rest = other.ty.dims.clone();
            let fits = rest.len() == dims.len() && {
                rest[axis] = dims[axis].clone();
                self.same_sizes(&rest, &dims, other.span)
            };
            if !fits {
                return self.unequal(name, span, first, other);
            }
            dims[axis] = dims[axis].plus(&other.ty.dims[axis]);
        }
        let phase = parts.iter().map(|part| part.phase).max().unwrap_or(Phase::Static);
        Some(Expr { kind: Kind::Concat(parts, axis as u32), ty: Ty::real(dims), phase, span })
    }
}

/// A reduction over `axes`.
pub(crate) fn reduced(reduction: Reduction, x: Expr, axes: Vec<u32>, span: Span) -> Expr {
    let kept = x.ty.dims.iter().enumerate().filter(|(axis, _)| !axes.contains(&(*axis as u32)));
    let ty = Ty::real(kept.map(|(_, dim)| dim.clone()).collect());
    let phase = x.phase;
    Expr { kind: Kind::Reduce(reduction, Box::new(x), axes), ty, phase, span }
}

fn count(dims: &[Dim]) -> Dim {
    dims.iter().fold(Dim::number(1), |product, dim| product.times(dim))
}
