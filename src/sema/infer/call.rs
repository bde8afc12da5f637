//! Calls: trajectories at a time, functions of the file (inlined), functions of the language.

use crate::base::span::Span;
use crate::ir::op::Op;
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::infer::index::transposed;
use crate::sema::infer::{size, to_real};
use crate::sema::phase::reach;
use crate::sema::prelude::{self, Builtin, Distribution, Map, Reduction, Special};
use crate::sema::resolve::{Binding, Callable, Checker, ScopeId};
use crate::sema::typed::{DefKind, Elem, Expr, Kind, Phase, Ty};
use crate::syntax::ast::{self, Arg, ExprKind, Ident};

/// An argument as given.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// Its name, if it has one.
    pub name: Option<&'a Ident>,
    /// What is given.
    pub value: &'a ast::Expr,
}

impl<'a> Checker<'a> {
    /// `callee(args)`, or `first |> callee(args)`.
    pub(super) fn call(
        &mut self,
        callee: &'a ast::Expr,
        args: &'a [Arg],
        first: Option<&'a ast::Expr>,
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        if let Some(callable) = self.callable(callee, scope) {
            return self.apply(callable?, callee.span, args, first, span, scope);
        }
        let callee = self.infer(callee, scope)?;
        if callee.phase != Phase::Time {
            let what = match &callee.kind {
                Kind::Def(def) => format!("a {}", self.defs[*def].kind.noun()),
                _ => "a number".to_owned(),
            };
            return self.fail(errors::not_a_trajectory(callee.span, self.text(callee.span), &what));
        }
        let given = self.given(args, first)?;
        let [Given { name: None, value: time }] = given.as_slice() else {
            return self.fail(errors::wrong_arguments(
                span,
                self.text(callee.span),
                "one time, or a vector of times",
            ));
        };
        let time = self.infer(time, scope)?;
        let time = self.real(time, "a time")?;
        if time.phase == Phase::Time {
            return self.fail(errors::moving_site(time.span));
        }
        let mut nested = None;
        reach(&self.defs, &time, &mut |part| {
            if matches!(part.kind, Kind::At(..)) {
                nested = nested.or(Some(part.span));
            }
            nested.is_none()
        });
        if let Some(span) = nested {
            return self.fail(errors::not_yet(
                span,
                "a time that depends on the trajectory is",
                "give the time as a number, a param or data",
            ));
        }
        if time.ty.dims.len() > 1 {
            let story = self.story(&time);
            return self.fail(errors::wrong_operand(
                self.text(callee.span),
                time.span,
                "one time or a vector of times",
                &time.ty,
                story,
            ));
        }
        let dims = [time.ty.dims.as_slice(), callee.ty.dims.as_slice()].concat();
        let ty = Ty { elem: callee.ty.elem, dims };
        let phase = time.phase.max(Phase::Run);
        Some(Expr { kind: Kind::At(Box::new(callee), Box::new(time)), ty, phase, span })
    }

    /// What is called, if it is a function: `Some(None)` if its name is poisoned or unknown.
    #[allow(clippy::option_option, reason = "not a function, a wrong function, a function")]
    fn callable(&mut self, callee: &'a ast::Expr, scope: ScopeId) -> Option<Option<Callable<'a>>> {
        match &callee.unparenthesised().kind {
            ExprKind::Lambda(pattern, body) => Some(Some(Callable::Lambda(pattern, body, scope))),
            ExprKind::Name(name) => match self.lookup(name, callee.span, scope) {
                Some(Binding::Callable(callable)) => Some(Some(callable)),
                Some(Binding::Poisoned) => {
                    self.failed = true;
                    Some(None)
                }
                Some(Binding::Value(_) | Binding::Size(_) | Binding::DataSet(_)) => None,
                None => {
                    if self.language_name(name, callee.span).is_some() {
                        return None;
                    }
                    let builtin = prelude::function(name);
                    if builtin.is_none() {
                        self.unknown_name(name, callee.span, scope, true);
                    }
                    Some(builtin.map(|builtin| Callable::Builtin(name, builtin)))
                }
            },
            _ => None,
        }
    }

    fn given(&mut self, args: &'a [Arg], first: Option<&'a ast::Expr>) -> Option<Vec<Given<'a>>> {
        let mut given: Vec<Given<'a>> = first.map(|value| Given { name: None, value }).into_iter().collect();
        for arg in args {
            given.push(match arg {
                Arg::Positional(value) => Given { name: None, value },
                Arg::Named(name, value) => Given { name: Some(name), value },
                Arg::Spread(_, span) => {
                    return self.fail(errors::not_yet(*span, "`..` in a call is", "write the arguments out"));
                }
                Arg::Comprehension(body, _) => {
                    let instead = "put brackets around it: `f([... for i in r])`";
                    return self.fail(errors::wrong_kind(
                        body.span,
                        "only a reduction takes a comprehension",
                        instead,
                    ));
                }
            });
        }
        Some(given)
    }

    fn apply(
        &mut self,
        callable: Callable<'a>,
        callee: Span,
        args: &'a [Arg],
        first: Option<&'a ast::Expr>,
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        if let (
            Callable::Builtin(_, Builtin::Reduce(reduction, _)),
            [Arg::Comprehension(body, clauses)],
            None,
        ) = (callable, args, first)
        {
            return self.comprehension(body, clauses, Some(reduction), span, scope);
        }
        let given = self.given(args, first)?;
        match callable {
            Callable::Function(function, home) => self.inline(function, home, &given, span, scope),
            Callable::Lambda(pattern, body, home) => {
                let [Given { name: None, value }] = given.as_slice() else {
                    return self.fail(errors::wrong_arguments(span, self.text(callee), "one argument"));
                };
                let value = self.infer(value, scope)?;
                let inner = self.open(home);
                self.scopes[inner].loops = self.scopes[scope].loops.clone();
                self.bind_pattern(pattern, value, inner)?;
                Some(Expr { span, ..self.infer(body, inner)? })
            }
            Callable::Builtin(name, builtin) => self.builtin(name, builtin, &given, callee, span, scope),
        }
    }

    // ---- functions of the file -------------------------------------------------------------

    fn inline(
        &mut self,
        function: &'a ast::Function,
        home: ScopeId,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        let name = function.name.as_ref().expect("a function outside a layer has a name");
        if self.calls.iter().any(|(open, _)| std::ptr::eq(*open, function)) {
            return self.fail(errors::recursion(&name.name, span, name.span));
        }
        let inner = self.open(home);
        self.scopes[inner].loops = self.scopes[scope].loops.clone();
        let arguments = self.arguments(function, given, span)?;
        // Sizes first by the parameters that just name one, then all types are checked.
        let mut values: Vec<(&'a ast::Decl, Expr)> = Vec::new();
        let mut fine = true;
        for (param, argument, from) in arguments {
            let from = if from { scope } else { inner };
            if let Some(callable) = self.function_value(argument, from) {
                match callable {
                    Some(callable) => self.bind(inner, &param.name.name, Binding::Callable(callable)),
                    None => fine = false,
                }
                continue;
            }
            match self.infer(argument, from) {
                Some(value) => {
                    self.settle_generics(function, param, &value, inner);
                    values.push((param, value));
                }
                None => fine = false,
            }
        }
        if !fine {
            return None;
        }
        for (param, value) in values {
            let value = match &param.ty {
                Some(ty) => {
                    let expected = self.written_type(ty, inner)?;
                    let what = format!("the argument `{}` of `{}`", param.name.name, name.name);
                    self.fitted(value, &expected, ty.span, &what)?
                }
                None => value,
            };
            self.bind_argument(param, value, inner);
        }
        self.calls.push((function, span));
        let result = self.body(function, inner);
        self.calls.pop();
        Some(Expr { span, ..result? })
    }

    /// Which argument each parameter gets; the flag says whether it is from the caller.
    fn arguments(
        &mut self,
        function: &'a ast::Function,
        given: &[Given<'a>],
        span: Span,
    ) -> Option<Vec<(&'a ast::Decl, &'a ast::Expr, bool)>> {
        let name = function.name.as_ref().map_or("fn", |name| &name.name);
        let names: Vec<&str> = function.params.iter().map(|param| &*param.name.name).collect();
        let expected = format!("({})", names.join(", "));
        let n_positional = given.iter().filter(|arg| arg.name.is_none()).count();
        let stranger = given.iter().filter_map(|arg| arg.name).find(|arg| !names.contains(&&*arg.name));
        if n_positional > names.len() || stranger.is_some() {
            return self.fail(errors::wrong_arguments(stranger.map_or(span, |arg| arg.span), name, expected));
        }
        let mut positional = given.iter().filter(|arg| arg.name.is_none());
        let mut arguments = Vec::new();
        for param in &function.params {
            let named = given.iter().find(|arg| arg.name.is_some_and(|name| name.name == param.name.name));
            let chosen = match (named, &param.value) {
                (Some(arg), _) => (arg.value, true),
                (None, default) => match (positional.next(), default) {
                    (Some(arg), _) => (arg.value, true),
                    (None, Some(default)) => (default, false),
                    (None, None) => return self.fail(errors::wrong_arguments(span, name, expected)),
                },
            };
            arguments.push((param, chosen.0, chosen.1));
        }
        if positional.next().is_some() {
            return self.fail(errors::wrong_arguments(span, name, expected));
        }
        Some(arguments)
    }

    /// The function that an argument is, if it is one.
    #[allow(clippy::option_option, reason = "not a function, a wrong function, a function")]
    fn function_value(&mut self, argument: &'a ast::Expr, scope: ScopeId) -> Option<Option<Callable<'a>>> {
        match &argument.unparenthesised().kind {
            ExprKind::Lambda(..) => self.callable(argument, scope),
            ExprKind::Name(name) => match self.lookup(name, argument.span, scope) {
                Some(Binding::Callable(callable)) => Some(Some(callable)),
                Some(_) => None,
                None => prelude::function(name).map(|builtin| Some(Callable::Builtin(name, builtin))),
            },
            _ => None,
        }
    }

    /// Binds the generics that the type of `param` just names to the sizes of its argument.
    fn settle_generics(
        &mut self,
        function: &'a ast::Function,
        param: &'a ast::Decl,
        value: &Expr,
        scope: ScopeId,
    ) {
        let Some(ast::Type { kind: ast::TypeKind::Tensor { dims, .. }, .. }) = &param.ty else { return };
        for (dim, found) in dims.iter().zip(&value.ty.dims) {
            if let ExprKind::Name(name) = &dim.value.unparenthesised().kind
                && function.generics.iter().any(|generic| generic.name == *name)
                && !self.scopes[scope].names.iter().any(|(known, _)| known == name)
            {
                self.bind(scope, name, Binding::Size(found.clone()));
            }
        }
    }

    fn bind_argument(&mut self, param: &'a ast::Decl, value: Expr, scope: ScopeId) {
        let pattern_name = &param.name;
        let def = crate::sema::typed::Def {
            name: pattern_name.name.clone(),
            span: pattern_name.span,
            ty_span: param.ty.as_ref().map(|ty| ty.span),
            kind: DefKind::Local,
            ty: value.ty.clone(),
            phase: value.phase,
            value: Some(value),
            loops: self.scopes[scope].loops.clone(),
            varied: false,
        };
        let def = self.defs.push(def);
        self.bind(scope, &pattern_name.name, Binding::Value(def));
    }

    fn body(&mut self, function: &'a ast::Function, scope: ScopeId) -> Option<Expr> {
        let mut scope = scope;
        for item in &function.body.lets {
            let value = self.infer(&item.value, scope)?;
            let value = match &item.ty {
                Some(ty) => {
                    let expected = self.written_type(ty, scope)?;
                    self.fitted(value, &expected, ty.span, "this value")?
                }
                None => value,
            };
            scope = self.open(scope);
            self.bind_pattern(&item.pattern, value, scope)?;
        }
        let value = self.infer(&function.body.value, scope)?;
        match &function.result {
            Some(ty) => {
                let expected = self.written_type(ty, scope)?;
                self.fitted(value, &expected, ty.span, "the result")
            }
            None => Some(value),
        }
    }

    // ---- functions of the language ---------------------------------------------------------

    fn builtin(
        &mut self,
        name: &'a str,
        builtin: Builtin,
        given: &[Given<'a>],
        callee: Span,
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        match builtin {
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
        }
    }

    /// Exactly `N` arguments without names.
    pub(super) fn positional<const N: usize>(
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
        let x = to_real(self.infer(operand, scope)?);
        let axes: Vec<u32> = match axis {
            None => (0..x.ty.dims.len() as u32).collect(),
            Some(axis) => {
                let at = self.size_of(axis.value, scope, "an axis")?;
                match at.as_number() {
                    Some(n) if n >= 0 && (n as usize) < x.ty.dims.len() => vec![n as u32],
                    _ => {
                        let rank = x.ty.dims.len().to_string();
                        return self.fail(errors::wrong_axis(axis.value.span, &at.to_string(), &rank));
                    }
                }
            }
        };
        Some(reduced(reduction, x, axes, span))
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
                if a.ty.dims.is_empty() || a.ty.dims != b.ty.dims {
                    let (left, right) = (self.story(&a), self.story(&b));
                    return self.fail(errors::unequal_shapes(
                        name,
                        span,
                        (a.span, &a.ty, left),
                        (b.span, &b.ty, right),
                    ));
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
            Special::Softmax => {
                let [x] = self.positional(name, given, span, "one vector")?;
                let x = self.infer_real(x, name, scope)?;
                self.rank(name, &x, 1, "a vector")?;
                let log_sum = reduced(Reduction::LogSumExp, x.clone(), vec![0], span);
                let shifted = self.elementwise(Op::Sub, vec![x, log_sum], span);
                let (ty, phase) = (shifted.ty.clone(), shifted.phase);
                Some(Expr { kind: Kind::Map(Map::Op(Op::Exp), Box::new(shifted)), ty, phase, span })
            }
            Special::Trace => {
                let [x] = self.positional(name, given, span, "one square matrix")?;
                let x = self.infer_real(x, name, scope)?;
                let n = match x.ty.dims.as_slice() {
                    [rows, columns] if rows == columns => rows.clone(),
                    _ => {
                        let story = self.story(&x);
                        return self.fail(errors::wrong_operand(
                            name,
                            x.span,
                            "a square matrix",
                            &x.ty,
                            story,
                        ));
                    }
                };
                let symbol = self.symbol("i");
                let at = Dim::symbol(symbol.clone());
                let picks = vec![crate::sema::typed::Pick::At(at.clone()), crate::sema::typed::Pick::At(at)];
                let phase = x.phase;
                let element =
                    Expr { kind: Kind::Index(Box::new(x), picks), ty: Ty::scalar(Elem::Real), phase, span };
                let loops =
                    vec![crate::sema::typed::Loop { symbol, lo: Dim::number(0), hi: n, condition: None }];
                let kind =
                    Kind::Comprehension { loops, body: Box::new(element), reduction: Some(Reduction::Sum) };
                Some(Expr { kind, ty: Ty::scalar(Elem::Real), phase, span })
            }
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
                let mut dims = Vec::new();
                for size in sizes {
                    let Arg::Positional(size) = size else {
                        return self.fail(errors::not_a_size(shape.span, "the shape"));
                    };
                    dims.push(self.size_of(size, scope, "a size")?);
                }
                if count(&dims) != count(&x.ty.dims) {
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
                if x.ty.is_scalar() {
                    let story = self.story(&x);
                    return self.fail(errors::wrong_operand(name, x.span, "an array", &x.ty, story));
                }
                let (ty, phase) = (x.ty.clone(), x.phase);
                Some(Expr { kind: Kind::Reverse(Box::new(x), 0), ty, phase, span })
            }
            Special::Len => {
                let [x] = self.positional(name, given, span, "one array")?;
                let x = self.infer(x, scope)?;
                match x.ty.dims.first() {
                    Some(dim) => Some(size(dim.clone(), span)),
                    None => {
                        let story = self.story(&x);
                        self.fail(errors::wrong_operand(name, x.span, "an array", &x.ty, story))
                    }
                }
            }
            Special::Zeros | Special::Ones => {
                let fill = if special == Special::Zeros { 0.0 } else { 1.0 };
                let mut dims = Vec::new();
                for arg in given {
                    dims.push(self.size_of(arg.value, scope, "a size")?);
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

    fn pair(&mut self, name: &'a str, given: &[Given<'a>], span: Span, scope: ScopeId) -> Option<[Expr; 2]> {
        let [a, b] = self.positional(name, given, span, "two arguments")?;
        let (a, b) = (self.infer_real(a, name, scope), self.infer_real(b, name, scope));
        Some([a?, b?])
    }

    fn rank(&mut self, name: &str, x: &Expr, rank: usize, expected: &str) -> Option<()> {
        if x.ty.dims.len() == rank {
            return Some(());
        }
        let story = self.story(x);
        self.fail(errors::wrong_operand(name, x.span, expected, &x.ty, story))
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
                    parts.push(to_real(part));
                }
            }
        }
        let Some(first) = parts.first() else {
            return self.fail(errors::wrong_arguments(span, name, "one array or more"));
        };
        let mut dims = first.ty.dims.clone();
        if axis >= dims.len() {
            let story = self.story(first);
            return self.fail(errors::wrong_operand(
                name,
                first.span,
                "arrays that have this axis",
                &first.ty,
                story,
            ));
        }
        for other in &parts[1..] {
            let mut rest = other.ty.dims.clone();
            let fits = rest.len() == dims.len() && {
                rest[axis] = dims[axis].clone();
                rest == dims
            };
            if !fits {
                let (a, b) = (self.story(first), self.story(other));
                return self.fail(errors::unequal_shapes(
                    name,
                    span,
                    (first.span, &first.ty, a),
                    (other.span, &other.ty, b),
                ));
            }
            dims[axis] = dims[axis].plus(&other.ty.dims[axis]);
        }
        let phase = parts.iter().map(|part| part.phase).max().unwrap_or(Phase::Static);
        Some(Expr { kind: Kind::Concat(parts, axis as u32), ty: Ty::real(dims), phase, span })
    }

    // ---- distributions ---------------------------------------------------------------------

    /// A distribution with its parameters.
    pub(crate) fn distribution(
        &mut self,
        expr: &'a ast::Expr,
        scope: ScopeId,
    ) -> Option<(Distribution, Vec<Expr>)> {
        let ExprKind::Call { callee, args } = &expr.unparenthesised().kind else {
            return self.fail(errors::wrong_kind(
                expr.span,
                "this is not a distribution",
                "one such as `normal(0, 1)`",
            ));
        };
        // A param called `gamma` does not hide the distribution where only a distribution fits.
        let name = match &callee.kind {
            ExprKind::Name(name) => name,
            _ => {
                return self.fail(errors::wrong_kind(
                    callee.span,
                    "this is not a distribution",
                    "one such as `normal(0, 1)`",
                ));
            }
        };
        match prelude::function(name) {
            Some(Builtin::Distribution(distribution)) => {
                let given = self.given(args, None)?;
                let names = distribution.params();
                if given.len() != names.len() || given.iter().any(|arg| arg.name.is_some()) {
                    return self.fail(errors::wrong_arguments(
                        expr.span,
                        name,
                        format!("({})", names.join(", ")),
                    ));
                }
                let params: Vec<Option<Expr>> =
                    given.iter().map(|arg| self.infer_real(arg.value, name, scope)).collect();
                Some((distribution, params.into_iter().collect::<Option<_>>()?))
            }
            Some(Builtin::NotYet(instead)) => {
                self.fail(errors::not_yet(callee.span, format!("`{name}` is"), instead))
            }
            Some(_) => self.fail(errors::wrong_kind(
                callee.span,
                format!("`{name}` is not a distribution"),
                "one such as `normal(0, 1)`",
            )),
            None => {
                let known: Vec<&str> = prelude::FUNCTIONS
                    .iter()
                    .filter(|(_, builtin)| matches!(builtin, Builtin::Distribution(_)))
                    .map(|(name, _)| *name)
                    .collect();
                let nearest = crate::sema::resolve::nearest(name, known.iter().copied());
                let similar = nearest.map(|position| ("distribution", known[position]));
                self.fail(errors::unknown_function(callee.span, name, similar))
            }
        }
    }

    /// The log-density of each element of `x`.
    pub(crate) fn log_prob(
        &mut self,
        distribution: Distribution,
        params: Vec<Expr>,
        x: Expr,
        span: Span,
    ) -> Option<Expr> {
        let mut widest = x.clone();
        for param in &params {
            self.level("~", span, &widest, param)?;
            if widest.ty.is_scalar() {
                widest = param.clone();
            }
        }
        let phase = params.iter().map(|param| param.phase).max().unwrap_or(Phase::Static).max(x.phase);
        let ty = Ty::real(widest.ty.dims);
        Some(Expr { kind: Kind::LogProb { distribution, params, x: Box::new(x) }, ty, phase, span })
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
