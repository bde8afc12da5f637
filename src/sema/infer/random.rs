//! Draws: `random eps: [D] ~ normal(0, 1)` and `sample(normal(0, 1))`.
//!
//! A draw comes from outside as standard numbers, one set for each example, and is carried to its
//! distribution by an expression, so that derivatives by the parameters of the distribution flow.

use crate::base::random::MAX_POISSON_RATE;
use crate::base::span::Span;
use crate::ir::op::Op;
use crate::ir::program::{Draw, PortSource};
use crate::sema::dim::{Dim, Symbol};
use crate::sema::errors;
use crate::sema::infer::arrays::part;
use crate::sema::infer::call::Given;
use crate::sema::infer::{Value, number, reduced, to_real};
use crate::sema::phase::reach;
use crate::sema::prelude::{Distribution, Map, Reduction};
use crate::sema::resolve::{Binding, Checker, ScopeId};
use crate::sema::typed::{DefId, DefKind, Elem, Expr, Kind, Phase, Pick, Ty};
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
            let message = "the type of a draw follows from its distribution";
            return self.fail(errors::wrong_kind(ty.span, message, "no type, or `[sizes]`"));
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
        let ty = self.drawn_type(kind, &params, declared, distribution.span, span)?;
        let standard = self.standard(kind, &params)?;
        let loops = self.draws_of_loops(span, scope)?;
        let counts = loops.iter().map(|(_, lo, hi)| hi.minus(lo));
        let all = Ty::real(counts.chain(ty.dims.iter().cloned()).collect());
        let port = self.drawn_port(path, span, all, standard);
        let deciding = params.iter().take(n_deciding(kind)).cloned().collect();
        self.decided_by.insert(port, deciding);
        let mut port = self.named(port, span);
        if !loops.is_empty() {
            let turns = loops.into_iter().map(|(symbol, lo, _)| Pick::At(Dim::symbol(symbol).minus(&lo)));
            let whole = ty.dims.iter().map(|dim| Pick::Range(Dim::number(0), dim.clone()));
            let (picks, phase) = (turns.chain(whole).collect(), port.phase);
            port = Expr { kind: Kind::Index(Box::new(port), picks), ty, phase, span };
        }
        let drawn = self.carried_to(kind, params, port, span);
        Some(Expr { span, ..drawn })
    }

    /// The type of the standard draws: that of the parameters, or as declared.
    fn drawn_type(
        &mut self,
        kind: Distribution,
        params: &[Expr],
        declared: Option<Ty>,
        distribution: Span,
        span: Span,
    ) -> Option<Ty> {
        if let (Distribution::Categorical, [probabilities]) = (kind, params) {
            let expected = "a vector of probabilities, one for each class";
            self.rank("categorical", probabilities, 1, expected)?;
            if declared.is_some_and(|declared| !declared.is_scalar()) {
                let instead = "draw one in each turn: `[sample(categorical(p)) for i in 0..n]`";
                return self.fail(errors::not_yet(span, "an array of draws of classes is", instead));
            }
            return Some(Ty::scalar(Elem::Real));
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
        let Some(declared) = declared else { return Some(ty) };
        if !ty.is_scalar() && !self.same_ty(&declared, &ty, distribution) {
            let what = "the distribution";
            return self.fail(errors::declared_shape(what, span, &declared, distribution, &ty, None));
        }
        Some(declared)
    }

    /// The loops around a draw, with their ranges: it is another one in every turn.
    fn draws_of_loops(&mut self, span: Span, scope: ScopeId) -> Option<Vec<(Symbol, Dim, Dim)>> {
        let symbols = self.scopes[scope].loops.clone();
        let mut loops: Vec<(Symbol, Dim, Dim)> = Vec::with_capacity(symbols.len());
        for symbol in symbols {
            let Some((lo, hi)) = self.loop_ranges.get(&symbol.id).cloned() else {
                crate::bug!("the loop over `{}` has no range", symbol.name)
            };
            let (lo, hi) = (self.settled(&lo), self.settled(&hi));
            let moves = |symbol: &Symbol| {
                self.ragged.contains_key(&symbol.id) || loops.iter().any(|(outer, ..)| outer == symbol)
            };
            if [&lo, &hi].into_iter().any(|end| end.symbols().iter().any(moves)) {
                let instead = "draw an array and take its entries: `let u = sample(uniform(zeros(n), 1))`";
                let what = "a draw in each turn of a loop whose range differs from turn to turn is";
                return self.fail(errors::not_yet(span, what, instead));
            }
            loops.push((symbol, lo, hi));
        }
        Some(loops)
    }

    /// What a distribution is drawn by. Where no differentiable expression carries a standard draw to
    /// it, the parameters that say which standard draw it is must be known before the run.
    fn standard(&mut self, kind: Distribution, params: &[Expr]) -> Option<Draw> {
        Some(match (kind, params) {
            (Distribution::Normal | Distribution::Lognormal, _) => Draw::Normal,
            (Distribution::Uniform | Distribution::Exponential, _) => Draw::Uniform,
            (Distribution::Cauchy | Distribution::Laplace, _) => Draw::Uniform,
            (Distribution::Rademacher, _) => Draw::Rademacher,
            (Distribution::Gamma, [shape, _]) => Draw::Gamma(self.known_before(shape)?),
            (Distribution::Beta, [a, b]) => Draw::Beta(self.known_before(a)?, self.known_before(b)?),
            (Distribution::StudentT, [freedom, ..]) => Draw::StudentT(self.known_before(freedom)?),
            (Distribution::Poisson, [rate]) => {
                let rates = self.known_before(rate)?;
                if rates.iter().any(|rate| *rate > MAX_POISSON_RATE) {
                    return self.fail(errors::too_likely(rate.span, MAX_POISSON_RATE));
                }
                Draw::Poisson(rates)
            }
            (Distribution::Bernoulli | Distribution::Categorical, [probability]) => {
                self.not_fitted(probability)?;
                Draw::Uniform
            }
            (kind, params) => crate::bug!("{kind:?} with {} parameters", params.len()),
        })
    }

    /// The numbers of a parameter that decides which standard draw is taken.
    fn known_before(&mut self, param: &Expr) -> Option<Arc<[f64]>> {
        self.require(param, Phase::Static, "a draw of this distribution")?;
        let mut turns = None;
        param.walk(&mut |part| {
            let dims: Vec<&Dim> = match &part.kind {
                Kind::Size(dim) => vec![dim],
                Kind::Index(_, picks) => {
                    let at = |pick: &'_ Pick| matches!(pick, Pick::At(dim) if dim.as_number().is_none());
                    if picks.iter().any(at) {
                        turns = Some(part.span);
                    }
                    Vec::new()
                }
                _ => Vec::new(),
            };
            if dims.iter().any(|dim| dim.symbols().iter().any(|s| self.loop_ranges.contains_key(&s.id))) {
                turns = Some(part.span);
            }
            turns.is_none()
        });
        if let Some(span) = turns {
            let instead = "draw the array at once: `let g = sample(gamma([1, 2, 3], 1))`";
            let what = "a draw whose distribution differs in kind from turn to turn is";
            return self.fail(errors::not_yet(span, what, instead));
        }
        let values = self.static_values(param)?;
        if values.iter().all(|value| *value > 0.0 && value.is_finite()) && !values.is_empty() {
            return Some(values.into());
        }
        let message = format!("`{}` is not positive", self.text(param.span));
        self.fail(errors::wrong_kind(param.span, message, "numbers above 0"))
    }

    /// Refuses a param where a draw of whole numbers would hide its derivative.
    fn not_fitted(&mut self, probability: &Expr) -> Option<()> {
        let mut fitted = None;
        reach(&self.defs, probability, &mut |part| {
            if let Kind::Def(def) = &part.kind
                && matches!(self.defs[*def].kind, DefKind::Param(_))
            {
                fitted = Some(self.defs[*def].name.clone());
            }
            fitted.is_none() && !matches!(part.kind, Kind::StopGradient(_))
        });
        let Some(name) = fitted else { return Some(()) };
        let message = format!("a draw of whole numbers has no derivative by the param `{name}`");
        let expected = "a probability that is not fitted, or `stop_gradient(..)` around it";
        self.fail(errors::wrong_kind(probability.span, message, expected))
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
        let (first, second, third) = (params.next(), params.next(), params.next());
        match (kind, first, second) {
            (Distribution::Rademacher | Distribution::Beta | Distribution::Poisson, ..) => x,
            (Distribution::Gamma, Some(_), Some(rate)) => {
                self.elementwise(Op::Div, vec![x, to_real(rate)], span)
            }
            (Distribution::StudentT, Some(_), Some(location)) => {
                let Some(scale) = third else { crate::bug!("Student's distribution has a scale") };
                self.shifted(location, scale, x, span)
            }
            (Distribution::Bernoulli, Some(probability), None) => {
                let is_one = self.elementwise(Op::Lt, vec![x, to_real(probability)], span);
                to_real(is_one)
            }
            (Distribution::Categorical, Some(probabilities), None) => self.class_at(probabilities, x, span),
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

    /// The class whose share of (0, 1) `u` falls into: how many of the shares end before it, the last
    /// not counted, whose end is 1 up to rounding.
    fn class_at(&mut self, probabilities: Expr, u: Expr, span: Span) -> Expr {
        let n = probabilities.ty.dims[0].clone();
        let (ty, phase) = (probabilities.ty.clone(), probabilities.phase);
        let ends = Expr { kind: Kind::Cumsum(Box::new(probabilities), 0), ty, phase, span };
        let ends = part(ends, Dim::number(0), n.minus(&Dim::number(1)), span);
        let before = self.elementwise(Op::Le, vec![ends, u], span);
        let count = reduced(Reduction::Sum, to_real(before), vec![0], span);
        let phase = count.phase;
        Expr { kind: Kind::ToInt(Box::new(count)), ty: Ty::scalar(Elem::Int), phase, span }
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

/// How many of the first parameters decide which standard draw a draw is made of.
fn n_deciding(kind: Distribution) -> usize {
    match kind {
        Distribution::Gamma | Distribution::StudentT | Distribution::Poisson => 1,
        Distribution::Beta => 2,
        Distribution::Normal | Distribution::Lognormal | Distribution::Uniform => 0,
        Distribution::Exponential | Distribution::Cauchy | Distribution::Laplace => 0,
        Distribution::Bernoulli | Distribution::Categorical | Distribution::Rademacher => 0,
    }
}
