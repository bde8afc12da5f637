//! Draws: `random eps: [D] ~ normal(0, 1)` and `sample(normal(0, 1))`.
//!
//! A draw comes from outside as standard numbers, one set for each example, and is carried to its
//! distribution by an expression, so that derivatives by the parameters of the distribution flow.

use crate::base::span::Span;
use crate::ir::op::Op;
use crate::ir::program::{Draw, PortSource};
use crate::sema::errors;
use crate::sema::infer::call::Given;
use crate::sema::infer::{Value, number, to_real};
use crate::sema::prelude::{Distribution, Map};
use crate::sema::resolve::{Binding, Checker, ScopeId};
use crate::sema::typed::{DefId, DefKind, Elem, Expr, Phase, Ty};
use crate::syntax::ast::{self, Ident};
use std::sync::Arc;

impl<'a> Checker<'a> {
    /// The item `random name: ty ~ distribution`.
    pub(crate) fn random(
        &mut self,
        name: &'a Ident,
        ty: Option<&'a ast::Type>,
        distribution: &'a ast::Expr,
    ) -> Option<Binding<'a>> {
        let home = self.home();
        let declared = match ty {
            Some(ty) => Some(self.written_type(ty, home)?),
            None => None,
        };
        if let (Some(declared), Some(ty)) = (&declared, ty)
            && declared.elem != Elem::Real
        {
            let message = "a draw is real";
            return self.fail(errors::wrong_kind(ty.span, message, "`real` or `[sizes]`"));
        }
        let path: Arc<str> = match &*self.space().path {
            "" => name.name.clone(),
            owner => format!("{owner}.{}", name.name).into(),
        };
        let drawn = self.draw(distribution, declared, path, name.span, home)?;
        let binding = self.binding_of(name, Value::Expr(drawn), DefKind::Let, home);
        Some(self.with_type_span(binding, ty))
    }

    /// The expression `sample(distribution)`: a draw of the shape of the parameters.
    pub(super) fn sample(
        &mut self,
        name: &'a str,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        let expected = "one distribution, as in `sample(normal(0, 1))`";
        let [distribution] = self.positional(name, given, span, expected)?;
        if !self.scopes[scope].loops.is_empty() {
            let instead = "draw an array and take its entries: `let u = sample(uniform(zeros(n), 1))`";
            return self.fail(errors::not_yet(span, "a draw in each turn of a comprehension is", instead));
        }
        let route: Vec<String> = self.route.iter().map(ToString::to_string).collect();
        let owner = &self.space().path;
        let dot = if owner.is_empty() { "" } else { "." };
        let path = format!("{owner}{dot}sample {}", route.join(".")).into();
        self.draw(distribution, None, path, span, scope)
    }

    /// A draw from `distribution` with a shape that is declared, or is that of the parameters.
    pub(crate) fn draw(
        &mut self,
        distribution: &'a ast::Expr,
        declared: Option<Ty>,
        path: Arc<str>,
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        let (kind, params) = self.distribution(distribution, scope)?;
        for param in &params {
            self.require(param, Phase::Example, "a distribution that is drawn from")?;
        }
        let mut ty = Ty::scalar(Elem::Real);
        for param in params.iter().filter(|param| !param.ty.is_scalar()) {
            if ty.is_scalar() {
                ty.dims.clone_from(&param.ty.dims);
            } else if !self.same_sizes(&ty.dims, &param.ty.dims, param.span) {
                let first = Ty { elem: Elem::Real, dims: ty.dims };
                return self.fail(errors::declared_shape(
                    "this parameter",
                    param.span,
                    &first,
                    param.span,
                    &param.ty,
                    None,
                ));
            }
        }
        if let Some(declared) = declared {
            if !ty.is_scalar() && !self.same_ty(&declared, &ty, distribution.span) {
                let what = "the distribution";
                return self.fail(errors::declared_shape(
                    what,
                    span,
                    &declared,
                    distribution.span,
                    &ty,
                    None,
                ));
            }
            ty = declared;
        }
        let Some(standard) = standard(kind) else {
            let what = format!("drawing from `{}` is", self.text(distribution.span));
            let instead =
                "use `normal`, `lognormal`, `uniform`, `exponential`, `cauchy`, `laplace` or `rademacher`";
            return self.fail(errors::not_yet(distribution.span, what, instead));
        };
        let port = self.drawn_port(path, span, ty, standard);
        let port = self.named(port, span);
        let drawn = self.carried_to(kind, params, port, span);
        Some(Expr { span, ..drawn })
    }

    /// The port of the draws at `path`; one for each path.
    fn drawn_port(&mut self, path: Arc<str>, span: Span, ty: Ty, draw: Draw) -> DefId {
        let ports = self.late_ports.values().map(|port| port.def);
        let known = ports.into_iter().find(|def| self.defs[*def].name == path);
        known.unwrap_or_else(|| self.late_port(path, span, ty, PortSource::Drawn(draw)))
    }

    /// The standard draw `x` as a draw of the distribution.
    ///
    /// Source: L. Devroye, Non-Uniform Random Variate Generation, 1986, II.2: the inverse of the
    /// distribution function.
    fn carried_to(&mut self, kind: Distribution, params: Vec<Expr>, x: Expr, span: Span) -> Expr {
        let mut params = params.into_iter();
        let (first, second) = (params.next(), params.next());
        match (kind, first, second) {
            (Distribution::Rademacher, ..) => x,
            (Distribution::Normal, Some(mean), Some(sd)) => self.shifted(mean, sd, x, span),
            (Distribution::Lognormal, Some(mean), Some(sd)) => {
                let exponent = self.shifted(mean, sd, x, span);
                self.applied(Map::Op(Op::Exp), exponent)
            }
            (Distribution::Uniform, Some(lo), Some(hi)) => {
                let width = self.elementwise(Op::Sub, vec![hi, lo.clone()], span);
                self.shifted(lo, width, x, span)
            }
            // -log(u)/rate
            (Distribution::Exponential, Some(rate), None) => {
                let log = self.applied(Map::Op(Op::Log), x);
                let log = self.elementwise(Op::Neg, vec![log], span);
                self.elementwise(Op::Div, vec![log, rate], span)
            }
            // location + scale tan(π (u - 1/2))
            (Distribution::Cauchy, Some(location), Some(scale)) => {
                let middle = self.elementwise(Op::Sub, vec![x, number(0.5, span)], span);
                let angle = vec![number(std::f64::consts::PI, span), middle];
                let angle = self.elementwise(Op::Mul, angle, span);
                let tan = self.applied(Map::Op(Op::Tan), angle);
                self.shifted(location, scale, tan, span)
            }
            // location - scale sign(u - 1/2) log(1 - 2 |u - 1/2|)
            (Distribution::Laplace, Some(location), Some(scale)) => {
                let middle = self.elementwise(Op::Sub, vec![x, number(0.5, span)], span);
                let sign = self.applied(Map::Op(Op::Sign), middle.clone());
                let size = self.applied(Map::Op(Op::Abs), middle);
                let size = self.elementwise(Op::Mul, vec![number(-2.0, span), size], span);
                let log = self.applied(Map::Op(Op::Log1p), size);
                let log = self.elementwise(Op::Mul, vec![sign, log], span);
                let log = self.elementwise(Op::Neg, vec![log], span);
                self.shifted(location, scale, log, span)
            }
            (kind, ..) => crate::bug!("{kind:?} has no standard draw"),
        }
    }

    /// `location + scale*x`
    fn shifted(&mut self, location: Expr, scale: Expr, x: Expr, span: Span) -> Expr {
        let scaled = self.elementwise(Op::Mul, vec![to_real(scale), x], span);
        self.elementwise(Op::Add, vec![to_real(location), scaled], span)
    }

    /// `step` or `epoch` of a training, as a real.
    pub(super) fn training_count(&mut self, name: &str, span: Span) -> Option<Expr> {
        let source = match name {
            "step" => PortSource::Step,
            "epoch" => PortSource::Epoch,
            _ => return None,
        };
        let known = self.late_ports.values().find(|port| port.source == source).map(|port| port.def);
        let def = match known {
            Some(def) => def,
            None => self.late_port(name.into(), span, Ty::scalar(Elem::Real), source),
        };
        Some(self.named(def, span))
    }
}

/// What a distribution is drawn by; `None` where no expression carries a standard draw to it.
fn standard(distribution: Distribution) -> Option<Draw> {
    match distribution {
        Distribution::Normal | Distribution::Lognormal => Some(Draw::Normal),
        Distribution::Uniform | Distribution::Exponential => Some(Draw::Uniform),
        Distribution::Cauchy | Distribution::Laplace => Some(Draw::Uniform),
        Distribution::Rademacher => Some(Draw::Rademacher),
        Distribution::Gamma | Distribution::Beta | Distribution::StudentT => None,
        Distribution::Bernoulli | Distribution::Categorical | Distribution::Poisson => None,
    }
}
