//! Params: numbers with a set, a start and a prior, and the layers that have some of their own.

use crate::base::random::MAX_POISSON_RATE;
use crate::base::span::Span;
use crate::ir::constraint::Constraint;
use crate::ir::types::Shape;
use crate::sema::distributions::Bound;
use crate::sema::infer::{Value, to_real};
use crate::sema::prelude::{self, Builtin, Distribution, Special};
use crate::sema::resolve::{Binding, Callable, Checker};
use crate::sema::typed::{DefId, DefKind, Drawn, Elem, Expr, Kind, Param, Phase, Prior, Ty};
use crate::sema::{elaborate, errors};
use crate::syntax::ast::{self, Arg, ExprKind, ItemKind};
use std::sync::Arc;

/// What may stand behind `in`.
const SETS: &str =
    "`positive`, `unit`, `interval(a, b)`, `simplex`, `ordered`, `corr_cholesky` or `orthogonal`";

impl<'a> Checker<'a> {
    pub(crate) fn param(&mut self, decl: &'a ast::ParamDecl, number: usize) -> Option<Binding<'a>> {
        let path: Arc<str> = match &*self.space().path {
            "" => decl.name.name.clone(),
            owner => format!("{owner}.{}", decl.name.name).into(),
        };
        if let Some(value) = &decl.value
            && let Some(made) = self.instances(value, &path, self.home())
        {
            return self.param_of_layers(decl, made?);
        }
        let mut drawn = None;
        let init = match &decl.value {
            Some(value) => match self.drawn(value) {
                Some(found) => match found? {
                    // The shape is that of the declaration.
                    Drawn::Fill(fill) => {
                        let ty = self.declared_type(decl)?;
                        let kind = Kind::Fill(fill);
                        Some(Expr { kind, ty, phase: Phase::Static, span: value.span })
                    }
                    found => {
                        drawn = Some(found);
                        None
                    }
                },
                None => Some(to_real(self.infer(value, self.home())?)),
            },
            None => None,
        };
        let init = match (init, &decl.ty) {
            (Some(init), Some(ty)) => {
                let expected = self.written_type(ty, self.home())?;
                Some(self.fitted(
                    init,
                    &expected,
                    ty.span,
                    format_args!("the starting value of `{}`", decl.name.name),
                )?)
            }
            (init, _) => init,
        };
        if let Some(init) = &init {
            self.require(init, Phase::Static, "the starting value of a param")?;
        }
        let ty = match (&init, &decl.ty) {
            (Some(init), _) => init.ty.clone(),
            (None, _) => self.declared_type(decl)?,
        };
        if ty.elem != Elem::Real {
            return self.fail(errors::derivative_by_integer("param", decl.name.span, &ty));
        }
        let binding = self.value(&path, decl.name.span, DefKind::Param(number), ty, Phase::Run, init);
        if let (Binding::Value(def), Some(drawn)) = (&binding, drawn) {
            self.drawn.insert(*def, drawn);
        }
        Some(self.with_type_span(binding, decl.ty.as_deref()))
    }

    fn declared_type(&mut self, decl: &'a ast::ParamDecl) -> Option<Ty> {
        match &decl.ty {
            Some(ty) => self.written_type(ty, self.home()),
            None => Some(Ty::scalar(Elem::Real)),
        }
    }

    /// A param that is a layer or a system, or a list of them.
    fn param_of_layers(&mut self, decl: &'a ast::ParamDecl, made: Value<'a>) -> Option<Binding<'a>> {
        let extra = [&decl.constraint, &decl.prior].into_iter().flatten().map(|expr| expr.span).next();
        if let Some(span) = decl.ty.as_deref().map(|ty| ty.span).or(extra) {
            let message = "a layer has no type, set or prior of its own";
            let expected = "none here; they stand at the params inside of the layer";
            return self.fail(errors::wrong_kind(span, message, expected));
        }
        Some(match made {
            Value::Callable(callable) => Binding::Callable(callable),
            list => Binding::Aggregate(list),
        })
    }

    /// How a starting value is drawn, if it is: `glorot()`, `normal(0, 0.1)`, also by the name of an
    /// argument. `Some(None)` if wrong.
    #[allow(clippy::option_option, reason = "a number, a wrong draw, a draw")]
    fn drawn(&mut self, value: &'a ast::Expr) -> Option<Option<Drawn>> {
        let value = value.unparenthesised();
        let (callee, args) = match &value.kind {
            ExprKind::Call { callee, args } => (&**callee, args.as_slice()),
            ExprKind::Name(_) => (value, &[][..]),
            _ => return None,
        };
        let ExprKind::Name(name) = &callee.kind else { return None };
        let builtin = match self.lookup(name, callee.span, self.home()) {
            Some(Binding::Callable(Callable::Builtin(_, builtin))) => builtin,
            Some(_) => return None,
            None => prelude::function(name)?,
        };
        let drawn = match builtin {
            Builtin::Initialiser(initialiser) if args.is_empty() => Drawn::Weights(initialiser),
            Builtin::Initialiser(_) => {
                return Some(self.fail(errors::wrong_arguments(value.span, name, "no arguments here")));
            }
            Builtin::Special(Special::Zeros) if args.is_empty() => Drawn::Fill(0.0),
            Builtin::Special(Special::Ones) if args.is_empty() => Drawn::Fill(1.0),
            Builtin::Distribution(_) => return Some(self.drawn_from(value)),
            _ => return None,
        };
        Some(Some(drawn))
    }

    fn drawn_from(&mut self, value: &'a ast::Expr) -> Option<Drawn> {
        let (distribution, params) = self.distribution(value, self.home())?;
        let mut numbers = Vec::new();
        for param in &params {
            if !param.ty.is_scalar() {
                let what = "a parameter of a starting value's distribution";
                return self.not_scalar(what, param);
            }
            self.require(param, Phase::Static, "the starting value of a param")?;
            numbers.extend(self.static_values(param)?);
        }
        if !elaborate::draws_from(distribution) {
            let what = format!("starting values from `{}` are", self.text(value.span));
            let instead = "use a distribution of real numbers, such as `normal(0, 1)`";
            return self.fail(errors::not_yet(value.span, what, instead));
        }
        if distribution == Distribution::Poisson && numbers.iter().any(|rate| *rate > MAX_POISSON_RATE) {
            return self.fail(errors::too_likely(value.span, MAX_POISSON_RATE));
        }
        Some(Drawn::From(distribution, numbers))
    }

    /// The set that stands after `in`.
    pub(crate) fn constraint(&mut self, expr: &'a ast::Expr) -> Option<Constraint> {
        let expr = expr.unparenthesised();
        match &expr.kind {
            ExprKind::Name(name) => match &**name {
                "positive" => Some(Constraint::Positive),
                "unit" => Some(Constraint::Interval(0.0, 1.0)),
                "simplex" => Some(Constraint::Simplex),
                "ordered" => Some(Constraint::Ordered),
                "corr_cholesky" => Some(Constraint::CorrCholesky),
                "orthogonal" => Some(Constraint::Orthogonal),
                _ => self.fail(errors::wrong_kind(expr.span, format!("`{name}` is not a set"), SETS)),
            },
            ExprKind::Call { callee, args } if matches!(&callee.kind, ExprKind::Name(name) if &**name == "interval") =>
            {
                let [Arg::Positional(lo), Arg::Positional(hi)] = args.as_slice() else {
                    return self.fail(errors::wrong_arguments(
                        expr.span,
                        "interval",
                        "a lower and an upper bound",
                    ));
                };
                let (lo, hi) = (self.static_number(lo, "a bound"), self.static_number(hi, "a bound"));
                let (lo, hi) = (lo?, hi?);
                if lo < hi && (hi - lo).is_finite() {
                    return Some(Constraint::Interval(lo, hi));
                }
                if hi < lo {
                    return self.fail(errors::interval_reversed(expr.span, lo, hi));
                }
                self.fail(errors::wrong_arguments(
                    expr.span,
                    "interval",
                    "a lower bound below the upper one, both finite",
                ))
            }
            _ => self.fail(errors::wrong_kind(expr.span, "this is not a set", SETS)),
        }
    }

    pub(crate) fn static_number(&mut self, expr: &'a ast::Expr, what: &str) -> Option<f64> {
        let value = self.infer(expr, self.home())?;
        let value = self.scalar(value, what)?;
        self.require(&value, Phase::Static, what)?;
        self.static_values(&value)?.first().copied()
    }

    // ---- with sets and priors --------------------------------------------------------------

    /// The params of this space and of the layers in it, in the order of the declarations.
    pub(crate) fn params(&mut self, found: &mut Vec<Option<Param>>) {
        let decls = self.items().iter().filter_map(|item| match &item.kind {
            ItemKind::Param(decls) => Some(decls),
            _ => None,
        });
        for decl in decls.flatten() {
            let binding = self.global(&decl.name.name, decl.name.span);
            if self.space().globals.get(&decl.name.name).is_none_or(|global| global.span != decl.name.span) {
                continue;
            }
            match binding {
                Some(Binding::Callable(callable)) => self.params_inside(&Value::Callable(callable), found),
                Some(Binding::Aggregate(value)) => self.params_inside(&value, found),
                _ => found.push(self.whole_param(decl)),
            }
        }
    }

    fn params_inside(&mut self, value: &Value<'a>, found: &mut Vec<Option<Param>>) {
        match value {
            Value::Callable(Callable::Instance(instance)) => {
                let space = self.instances[*instance].space;
                self.within(space, |checker| checker.params(found));
            }
            Value::List(parts) | Value::Tuple(parts) => {
                parts.iter().for_each(|part| self.params_inside(part, found));
            }
            Value::Expr(_) | Value::Record(_) | Value::Callable(_) => {}
        }
    }

    pub(crate) fn params_of_anonymous_systems(&mut self, found: &mut Vec<Option<Param>>) {
        for (_, instance) in self.anonymous.clone() {
            self.params_inside(&Value::Callable(Callable::Instance(instance)), found);
        }
    }

    fn whole_param(&mut self, decl: &'a ast::ParamDecl) -> Option<Param> {
        let constraint = match &decl.constraint {
            Some(constraint) => self.constraint(constraint),
            None => Some(Constraint::Free),
        };
        let Binding::Value(def) = self.global(&decl.name.name, decl.name.span)? else { return None };
        if self.defs[def].span != decl.name.span {
            return None;
        }
        if let (Some(constraint), Some(written)) = (constraint, &decl.constraint) {
            self.set_fits(constraint, def, written.span)?;
        }
        let prior = match &decl.prior {
            Some(prior) => Some(self.prior(def, prior, constraint)?),
            None => None,
        };
        let init = self.defs[def].value.clone();
        let known = init.as_ref().and_then(|init| {
            let sizes = init.ty.dims.iter().map(|dim| usize::try_from(dim.as_number()?).ok());
            Some((init, Shape(sizes.collect::<Option<_>>()?)))
        });
        if let (Some((init, shape)), Some(constraint)) = (known, constraint) {
            let values = self.static_values(init)?;
            if constraint.free(&values, &shape).is_none() {
                return self.fail(errors::outside_its_set(init.span, &decl.name.name, &values, constraint));
            }
        }
        let drawn = self.drawn.get(&def).cloned();
        Some(Param { def, init, drawn, constraint: constraint?, prior })
    }

    /// Whether the param has the shape that its set asks for.
    fn set_fits(&mut self, set: Constraint, def: DefId, written: Span) -> Option<()> {
        let ty = self.settled_ty(self.defs[def].ty.clone());
        let expected = match (set, ty.dims.as_slice()) {
            (Constraint::Free | Constraint::Positive | Constraint::Interval(..), _) => return Some(()),
            (Constraint::Simplex | Constraint::Ordered, [_, ..]) => return Some(()),
            (Constraint::Simplex | Constraint::Ordered, []) => "a vector, or an array of rows",
            (Constraint::CorrCholesky | Constraint::Orthogonal, [rows, columns])
                if self.same_size(rows, columns, written) =>
            {
                return Some(());
            }
            (Constraint::CorrCholesky | Constraint::Orthogonal, _) => "a square matrix",
        };
        let param = &self.defs[def];
        let span = param.ty_span.unwrap_or(param.span);
        let story = errors::Story { span: written, text: "by its set".to_owned(), help: None };
        self.fail(errors::wrong_operand(&set.to_string(), span, expected, &ty, Some(story)))
    }

    /// Warns of a prior that is 0 within the set of its param.
    fn prior_covers(&mut self, distribution: Distribution, params: &[Expr], set: Constraint, prior: Span) {
        let Some(bounds) = distribution.support() else {
            let instead = "a density, such as `normal(0, 1)`; a param is no whole number";
            let message = format!("`{}` is no prior of a real number", self.text(prior));
            self.report(errors::wrong_kind(prior, message, instead));
            return;
        };
        let numbers: Vec<Option<f64>> = params.iter().map(|param| self.literal(param)).collect();
        let end = |bound: Bound| match bound {
            Bound::At(x) => Some(x),
            Bound::Param(number) => numbers.get(number).copied().flatten(),
        };
        let (Some(lo), Some(hi)) = (end(bounds.0), end(bounds.1)) else { return };
        let (first, last) = set.range();
        if lo > first || hi < last {
            self.report(errors::prior_leaves_out(prior, self.text(prior), (lo, hi), set));
        }
    }

    fn prior(&mut self, def: DefId, prior: &'a ast::Expr, set: Option<Constraint>) -> Option<Prior> {
        let (distribution, params) = self.distribution(prior, self.home())?;
        if let Some(set) = set {
            self.prior_covers(distribution, &params, set, prior.span);
        }
        for param in &params {
            self.require(param, Phase::Run, "a prior")?;
        }
        let x = self.named(def, self.defs[def].span);
        let ty = x.ty.clone();
        let log_prob = self.log_prob(distribution, params, x, prior.span)?;
        if !self.same_ty(&log_prob.ty, &ty, prior.span) {
            let declared = self.defs[def].span;
            return self.fail(errors::declared_shape(
                "the prior",
                declared,
                &ty,
                prior.span,
                &log_prob.ty,
                None,
            ));
        }
        Some(Prior { log_prob, span: prior.span })
    }
}
