//! What comes from outside of the system and varies with time: paths and noises.
//!
//! A path is an expression of the time: `control u = linear(ts, xs)` is its value now, so that its
//! slope is `u'` and its value at another time `u(2.5)`, like those of any other expression.

use crate::base::span::Span;
use crate::ir::system::Calculus;
use crate::sema::Checked;
use crate::sema::errors;
use crate::sema::resolve::{Binding, Checker};
use crate::sema::typed::{DefId, DefKind, Elem, Expr, Interpolation, Kind, Model, Noise, Phase, Ty};
use crate::syntax::ast::{self, Arg, ExprKind, ItemKind};
use std::sync::Arc;

/// The interpolation of this name.
fn interpolation(name: &str) -> Option<Interpolation> {
    match name {
        "linear" => Some(Interpolation::Linear),
        "cubic" => Some(Interpolation::Cubic),
        "hermite" => Some(Interpolation::Hermite),
        _ => None,
    }
}

/// A call of a name with arguments that have none.
fn plain_call(expr: &ast::Expr) -> Option<(&str, Vec<&ast::Expr>)> {
    let ExprKind::Call { callee, args } = &expr.unparenthesised().kind else { return None };
    let ExprKind::Name(name) = &callee.kind else { return None };
    let args: Option<Vec<&ast::Expr>> = args
        .iter()
        .map(|arg| match arg {
            Arg::Positional(value) => Some(value),
            Arg::Named(..) | Arg::Spread(..) | Arg::Comprehension(..) => None,
        })
        .collect();
    Some((name, args?))
}

impl<'a> Checker<'a> {
    /// Whether this is a call of an interpolation, which nothing else is called like.
    pub(crate) fn is_path(&self, value: &ast::Expr) -> bool {
        let name = plain_call(value).map(|(name, _)| name);
        name.is_some_and(|name| interpolation(name).is_some() && !self.space().globals.contains(name))
    }

    pub(crate) fn control(
        &mut self,
        name: &Arc<str>,
        span: Span,
        path: &'a ast::Expr,
    ) -> Option<Binding<'a>> {
        if !self.is_path(path) {
            let expected = "`linear(ts, xs)`, `cubic(ts, xs)` or `hermite(ts, xs)`";
            return self.fail(errors::wrong_kind(path.span, "this is not a path", expected));
        }
        let (scheme, times, values) = self.knots(path, Phase::Example, "the knots of a path")?;
        let path = self.path(scheme, times, values, path.span)?;
        Some(self.value(name, span, DefKind::Control, path.ty.clone(), Phase::Time, Some(path)))
    }

    /// `input u = linear(ts, xs)`: the values at the knots come from outside, with a default.
    pub(crate) fn path_input(
        &mut self,
        decl: &'a ast::Decl,
        path: &'a ast::Expr,
        number: usize,
    ) -> Option<Binding<'a>> {
        let what = "the default of an input";
        let (scheme, times, values) = self.knots(path, Phase::Static, what)?;
        let (name, span, ty) = (&decl.name.name, decl.name.span, values.ty.clone());
        let port = self.value(name, span, DefKind::Input(number), ty, Phase::Run, Some(values));
        let Binding::Value(port) = port else { crate::bug!("a definition that is no value") };
        let values = self.named(port, span);
        let path = self.path(scheme, times, values, path.span)?;
        if let Some(ty) = &decl.ty {
            let expected = self.written_type(ty, self.home())?;
            self.fitted(path.clone(), &expected, ty.span, format_args!("`{name}`"))?;
        }
        Some(self.value(name, span, DefKind::Control, path.ty.clone(), Phase::Time, Some(path)))
    }

    /// The port that an input is: its own definition, or that of the values of its path.
    pub(crate) fn port_of(&self, def: DefId) -> DefId {
        match self.defs[def].value.as_ref().map(|value| &value.kind) {
            Some(Kind::Path { values, .. }) => match values.kind {
                Kind::Def(port) => port,
                _ => def,
            },
            _ => def,
        }
    }

    /// The interpolation, the times and the values of a path.
    fn knots(
        &mut self,
        path: &'a ast::Expr,
        latest: Phase,
        what: &str,
    ) -> Option<(Interpolation, Expr, Expr)> {
        let (name, args) = plain_call(path)?;
        let scheme = interpolation(name)?;
        let [times, values] = args.as_slice() else {
            return self.fail(errors::wrong_arguments(path.span, name, "times, and values at these times"));
        };
        let (times, values) = (self.infer(times, self.home()), self.infer(values, self.home()));
        let (times, values) = (self.real(times?, name)?, self.real(values?, name)?);
        for part in [&times, &values] {
            self.require(part, latest, what)?;
            self.before_the_run(part, name, self.space().instance.is_none())?;
        }
        if times.ty.dims.len() != 1 {
            return self.misfit(name, &times, "a vector of times");
        }
        if values.ty.dims.first() != times.ty.dims.first() {
            return self.unequal(name, path.span, &times, &values);
        }
        if let Some(n) = times.ty.dims[0].as_number().filter(|n| *n < 2) {
            return self.fail(errors::too_few_knots(times.span, n));
        }
        Some((scheme, times, values))
    }

    fn path(&mut self, scheme: Interpolation, times: Expr, values: Expr, span: Span) -> Option<Expr> {
        let Some((time, _)) = self.space().time else {
            return self.fail(errors::no_time(span));
        };
        let Some(Binding::Value(time)) = self.global(&time.name, span) else { return None };
        let ty = Ty::real(values.ty.dims[1..].to_vec());
        let kind = Kind::Path { scheme, time, times: Box::new(times), values: Box::new(values) };
        Some(Expr { kind, ty, phase: Phase::Time, span })
    }

    // ---- noises ----------------------------------------------------------------------------

    pub(crate) fn noise(
        &mut self,
        name: &Arc<str>,
        span: Span,
        ty: Option<&'a ast::Type>,
        value: &'a ast::Expr,
        number: usize,
    ) -> Option<Binding<'a>> {
        self.calculus(value)?;
        let shape = match ty {
            Some(written) => {
                let ty = self.written_type(written, self.home())?;
                if ty.elem != Elem::Real {
                    return self.fail(errors::wrong_element(written.span, "noise", &ty));
                }
                ty
            }
            None => Ty::scalar(Elem::Real),
        };
        let binding = self.value(name, span, DefKind::Noise(number), shape, Phase::Time, None);
        Some(self.with_type_span(binding, ty))
    }

    /// `wiener(ito)`
    fn calculus(&mut self, value: &'a ast::Expr) -> Option<Calculus> {
        let meant = match plain_call(value) {
            Some(("wiener", args)) => match args.as_slice() {
                [ast::Expr { kind: ExprKind::Name(name), .. }] => match &**name {
                    "ito" => Some(Calculus::Ito),
                    "stratonovich" => Some(Calculus::Stratonovich),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        };
        let expected = "`wiener(ito)` or `wiener(stratonovich)`: the two mean different integrals";
        match meant {
            Some(calculus) => Some(calculus),
            None => self.fail(errors::wrong_kind(value.span, "this is not a noise", expected)),
        }
    }

    /// The noises of this space.
    pub(crate) fn noises(&mut self) -> Vec<Noise> {
        let mut noises = Vec::new();
        for item in self.items() {
            let ItemKind::Noise { name, value, .. } = &item.kind else { continue };
            let Some(Binding::Value(def)) = self.global(&name.name, name.span) else { continue };
            if let Some(calculus) = self.calculus(value) {
                noises.push(Noise { def, calculus });
            }
        }
        noises
    }
}

impl Model {
    /// The times of its paths.
    pub fn knot_times(&self) -> impl Iterator<Item = &Expr> {
        self.defs.iter().filter_map(|def| match &def.value.as_ref()?.kind {
            Kind::Path { times, .. } => Some(&**times),
            _ => None,
        })
    }
}

impl Checked {
    /// The data fields, by path, that are the times of a path, and where they are so used.
    pub fn knot_fields(&self) -> Vec<(Arc<str>, Span)> {
        let Some(model) = &self.model else { return Vec::new() };
        let field = |times: &Expr| {
            let mut expr = times;
            loop {
                expr = match &expr.kind {
                    Kind::ToReal(inner) => inner,
                    Kind::Def(def) => match (&model.defs[*def].kind, &model.defs[*def].value) {
                        (DefKind::Data(_), _) => {
                            return Some((model.defs[*def].name.clone(), times.span));
                        }
                        (_, Some(value)) => value,
                        (_, None) => return None,
                    },
                    _ => return None,
                };
            }
        };
        model.knot_times().filter_map(field).collect()
    }
}
