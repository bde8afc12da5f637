//! Primes and derivative operators.

use crate::base::span::Span;
use crate::ir::system::UnknownKind;
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::infer::builtin::reduced;
use crate::sema::infer::call::Given;
use crate::sema::infer::{number, to_real};
use crate::sema::phase::reach;
use crate::sema::prelude::{Reduction, Special};
use crate::sema::resolve::{Binding, Checker, ScopeId};
use crate::sema::space::Mover;
use crate::sema::typed::{DefId, DefKind, Elem, Expr, Kind, Operator, Phase, Ty};
use crate::syntax::ast::{self, ExprKind};

/// An expression without its primes, and their number.
pub(crate) fn unprimed(expr: &ast::Expr) -> (&ast::Expr, u32) {
    let (mut expr, mut primes) = (expr, 0);
    while let ExprKind::Prime(inner) = &expr.kind {
        expr = inner;
        primes += 1;
    }
    (expr, primes)
}

impl<'a> Checker<'a> {
    /// `e'`, `e''`, …
    pub(super) fn prime(&mut self, expr: &'a ast::Expr, scope: ScopeId) -> Option<Expr> {
        let (base, primes) = unprimed(expr);
        let span = expr.span;
        let inferred = self.infer(base, scope)?;
        if let Kind::Def(def) = inferred.kind {
            match self.defs[def].kind {
                DefKind::State(number) => return self.prime_of_state(number, primes, span),
                DefKind::Channel(number) => {
                    let (ty, phase) = (inferred.ty.clone(), Phase::Time);
                    let rate = Expr { kind: Kind::ChannelRate(number), ty, phase, span };
                    return Some(flow(rate, primes - 1, span));
                }
                DefKind::Time => return Some(number(if primes == 1 { 1.0 } else { 0.0 }, span)),
                _ => {}
            }
        }
        if let Kind::Def(def) = inferred.kind
            && let DefKind::Noise(number) = self.defs[def].kind
        {
            if primes > 1 {
                return self.fail(errors::bare_noise(span));
            }
            return Some(Expr { kind: Kind::White(number), ty: inferred.ty, phase: Phase::Time, span });
        }
        if inferred.phase != Phase::Time {
            let name = self.text(base.span);
            return self.fail(errors::prime_of_constant(span, name, inferred.ty.dims.len() == 2));
        }
        let inferred = self.real(inferred, "'")?;
        Some(flow(inferred, primes, span))
    }

    /// The derivative of the state of this number: a hidden state, a rate, or beyond.
    fn prime_of_state(&mut self, number: usize, primes: u32, span: Span) -> Option<Expr> {
        let Mover { space, name } = self.movers[number].clone();
        self.within(space, |checker| checker.prime_of(&name, number, primes, span))
    }

    fn prime_of(&mut self, name: &str, number: usize, primes: u32, span: Span) -> Option<Expr> {
        let motion = self.space().motions[name].clone();
        if motion.kind == UnknownKind::Discrete {
            return self.fail(errors::prime_of_discrete(span, name));
        }
        let target = number + primes as usize;
        let last = motion.first + motion.order as usize - 1;
        if target <= last {
            let name = format!("{name}{}", "'".repeat(target - motion.first));
            return match self.global(&name, span) {
                Some(Binding::Value(def)) => Some(self.named(def, span)),
                _ => {
                    self.failed = true;
                    None
                }
            };
        }
        let hidden = format!("{name}{}", "'".repeat(motion.order as usize - 1));
        let Some(Binding::Value(def)) = self.global(&hidden, span) else {
            self.failed = true;
            return None;
        };
        let ty = self.defs[def].ty.clone();
        let rate = Expr { kind: Kind::Rate(last), ty, phase: Phase::Time, span };
        Some(flow(rate, (target - last) as u32 - 1, span))
    }

    /// `grad(e, x)` and its relatives.
    pub(super) fn derivative(
        &mut self,
        name: &'a str,
        special: Special,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        if let Some(arg) = given.iter().find_map(|arg| arg.name) {
            return self.fail(errors::wrong_arguments(arg.span, name, "arguments without names"));
        }
        let args: Vec<&'a ast::Expr> = given.iter().map(|arg| arg.value).collect();
        match special {
            Special::StopGradient => {
                let [e] = self.positional(name, given, span, "one expression")?;
                let e = self.infer_real(e, name, scope)?;
                let (ty, phase) = (e.ty.clone(), e.phase);
                return Some(Expr { kind: Kind::StopGradient(Box::new(e)), ty, phase, span });
            }
            Special::Ddt | Special::Taylor => {
                let [e, order] = self.positional(name, given, span, "an expression and a static order")?;
                let order_span = order.span;
                let e = self.infer_real(e, name, scope)?;
                let order = self.size_of(order, scope, "an order")?;
                let order = match order.as_number().and_then(|n| u32::try_from(n).ok()) {
                    Some(order) if order <= 16 => order,
                    _ => return self.fail(errors::not_a_size(order_span, "an order (0 to 16)")),
                };
                if e.phase != Phase::Time {
                    return self.fail(errors::prime_of_constant(e.span, self.text(e.span), false));
                }
                if special == Special::Ddt {
                    return Some(flow(e, order, span));
                }
                let mut factorial = 1.0;
                let mut coefficients = Vec::new();
                for k in 0..=order {
                    factorial *= f64::from(k.max(1));
                    let derivative = flow(e.clone(), k, span);
                    let operands = vec![derivative, number(factorial, span)];
                    coefficients.push(self.elementwise(crate::ir::op::Op::Div, operands, span));
                }
                return self.stacked(coefficients, span);
            }
            _ => {}
        }
        let (of, by, with) = match (special, args.as_slice()) {
            (Special::Div | Special::JacFrob2, [of]) => match self.own_name(of) {
                Some(by) => (*of, by, None),
                None => {
                    return self.fail(errors::wrong_arguments(
                        span,
                        name,
                        "an expression and a name; the name may be left out of `z'`",
                    ));
                }
            },
            (
                Special::Grad | Special::Jac | Special::Div | Special::JacFrob2 | Special::Laplacian,
                [of, by],
            ) => (*of, *by, None),
            (Special::Jvp | Special::Vjp | Special::Hvp, [of, by, with]) => (*of, *by, Some(*with)),
            (Special::Jvp | Special::Vjp | Special::Hvp, _) => {
                return self.fail(errors::wrong_arguments(
                    span,
                    name,
                    "an expression, a name and a direction",
                ));
            }
            _ => return self.fail(errors::wrong_arguments(span, name, "an expression and a name")),
        };
        let by_span = by.span;
        let (of, by) = (self.infer_real(of, name, scope), self.varied(name, by, scope));
        let (of, by) = (of?, by?);
        let with = match with {
            Some(with) => Some(self.infer_real(with, name, scope)?),
            None => None,
        };
        self.operator(name, special, of, by, by_span, with, span)
    }

    /// The state whose prime `of` is.
    fn own_name(&self, of: &'a ast::Expr) -> Option<&'a ast::Expr> {
        let (base, primes) = unprimed(of.unparenthesised());
        (primes > 0 && matches!(base.kind, ExprKind::Name(_))).then_some(base)
    }

    /// The definition that a derivative operator varies.
    fn varied(&mut self, operator: &str, by: &'a ast::Expr, scope: ScopeId) -> Option<DefId> {
        let by = by.unparenthesised();
        let (base, _) = unprimed(by);
        let ExprKind::Name(name) = &base.kind else {
            return self.fail(errors::derivative_by_expression(operator, by.span));
        };
        let expr = self.infer(by, scope)?;
        let def = match (expr.kind, self.lookup(name, by.span, scope)) {
            (Kind::Def(def), _) => def,
            // A static integer is a number to the reader; its definition says where it came from.
            (Kind::Size(_), Some(Binding::Value(def))) => def,
            _ => return self.fail(errors::derivative_by_expression(operator, by.span)),
        };
        if self.defs[def].ty.elem != Elem::Real {
            let ty = self.defs[def].ty.clone();
            return self.fail(errors::derivative_by_integer(operator, by.span, &ty));
        }
        self.defs_mut(def).varied = true;
        Some(def)
    }

    fn defs_mut(&mut self, def: DefId) -> &mut crate::sema::typed::Def {
        &mut self.defs[def]
    }

    /// A place in `of` where `by` acts by way of a run: an operator derives expressions, and would
    /// miss that.
    fn through_a_run(&self, of: &Expr, by: DefId) -> Option<Span> {
        let acts_on_runs = match self.defs[by].kind {
            DefKind::Param(_) | DefKind::Input(_) | DefKind::Data(_) | DefKind::Const => true,
            DefKind::State(_) | DefKind::Channel(_) | DefKind::Time | DefKind::Noise(_) => false,
            // A name that is known before the run may be part of its equations.
            DefKind::Let | DefKind::Output | DefKind::Local | DefKind::Control => {
                self.defs[by].phase != Phase::Time
            }
        };
        let mut found = None;
        reach(&self.defs, of, &mut |part| {
            match &part.kind {
                Kind::Def(def) if *def == by => return false,
                Kind::At(..) if acts_on_runs => found = found.or(Some(part.span)),
                Kind::Solved { call, .. } => {
                    let mut acts = acts_on_runs;
                    for start in self.runs[*call].starts.values() {
                        reach(&self.defs, start, &mut |part| {
                            acts |= matches!(part.kind, Kind::Def(def) if def == by);
                            !acts
                        });
                    }
                    if acts {
                        found = found.or(Some(part.span));
                    }
                }
                _ => {}
            }
            found.is_none()
        });
        found
    }

    /// A draw in `of` that `by` acts on otherwise than by an expression: as the shape of a gamma draw.
    fn through_the_kind_of_a_draw(&self, of: &Expr, by: DefId) -> Option<Span> {
        let mut found = None;
        reach(&self.defs, of, &mut |part| {
            if let Kind::Def(def) = &part.kind
                && let Some(params) = self.decided_by.get(def)
                && found.is_none()
            {
                for param in params {
                    reach(&self.defs, param, &mut |inner| {
                        if matches!(inner.kind, Kind::Def(def) if def == by) {
                            found = Some(part.span);
                        }
                        found.is_none()
                    });
                }
            }
            found.is_none()
        });
        found
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one call")]
    fn operator(
        &mut self,
        name: &str,
        special: Special,
        of: Expr,
        by: DefId,
        by_span: Span,
        with: Option<Expr>,
        span: Span,
    ) -> Option<Expr> {
        if let Some(run) = self.through_a_run(&of, by) {
            let instead = "a loss is trained through runs; within one, derive what the run computes";
            return self.fail(errors::not_yet(run, format!("`{name}` through a run is"), instead));
        }
        if let Some(draw) = self.through_the_kind_of_a_draw(&of, by) {
            let instead = "give it a shape that is a number, and let the name act by rate, location or scale";
            return self.fail(errors::not_yet(draw, format!("`{name}` by what decides a draw is"), instead));
        }
        let by_ty = self.defs[by].ty.clone();
        let by_phase = self.defs[by].phase;
        let phase = of.phase.max(by_phase).max(with.as_ref().map_or(Phase::Static, |with| with.phase));
        let scalar = matches!(special, Special::Grad | Special::Laplacian | Special::Hvp);
        if scalar && !of.ty.is_scalar() {
            let story = self.story(&of);
            return self.fail(errors::grad_of_tensor(name, of.span, &of.ty, story));
        }
        let direction_ty = if special == Special::Vjp { of.ty.clone() } else { by_ty.clone() };
        let with = match with {
            Some(with) => {
                Some(self.fitted(with, &direction_ty, by_span, format_args!("the direction of `{name}`"))?)
            }
            None => None,
        };
        let make = |operator, of: Expr, with: Option<Expr>, ty: Ty| Expr {
            kind: Kind::Derivative { operator, of: Box::new(of), by, with: with.map(Box::new) },
            ty,
            phase,
            span,
        };
        Some(match special {
            Special::Grad => make(Operator::Grad, of, None, by_ty),
            Special::Vjp => make(Operator::Vjp, of, with, by_ty),
            Special::Jvp => {
                let ty = of.ty.clone();
                make(Operator::Jvp, of, with, ty)
            }
            Special::Jac => {
                let dims = [of.ty.dims.as_slice(), by_ty.dims.as_slice()].concat();
                make(Operator::Jacobian, of, None, Ty::real(dims))
            }
            Special::Div => {
                let what = "the first argument of `div`";
                let of = self.fitted(of, &by_ty, by_span, what)?;
                make(Operator::Divergence, of, None, Ty::scalar(Elem::Real))
            }
            Special::JacFrob2 if of.ty.dims == by_ty.dims => {
                make(Operator::JacFrob2, of, None, Ty::scalar(Elem::Real))
            }
            Special::JacFrob2 => {
                let dims: Vec<Dim> = [of.ty.dims.as_slice(), by_ty.dims.as_slice()].concat();
                let axes = (0..dims.len() as u32).collect();
                let jacobian = make(Operator::Jacobian, of, None, Ty::real(dims));
                reduced(Reduction::SumSq, jacobian, axes, span)
            }
            Special::Laplacian => {
                let gradient = make(Operator::Grad, of, None, by_ty);
                make(Operator::Divergence, gradient, None, Ty::scalar(Elem::Real))
            }
            _ => {
                let gradient = make(Operator::Grad, of, None, by_ty.clone());
                make(Operator::Jvp, gradient, with, by_ty)
            }
        })
    }
}

/// The derivative of this order along the motion.
fn flow(of: Expr, order: u32, span: Span) -> Expr {
    if order == 0 {
        return Expr { span, ..of };
    }
    let of = to_real(of);
    let ty = of.ty.clone();
    Expr { kind: Kind::Flow(Box::new(of), order), ty, phase: Phase::Time, span }
}
