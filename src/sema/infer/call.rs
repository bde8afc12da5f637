//! Calls: trajectories at a time, functions of the file (inlined), distributions.

use crate::base::span::Span;
use crate::sema::errors;
use crate::sema::phase::reach;
use crate::sema::prelude::{self, Builtin, Distribution};
use crate::sema::resolve::{Binding, Callable, Checker, ScopeId};
use crate::sema::typed::{DefKind, Expr, Kind, Phase, Ty};
use crate::syntax::ast::{self, Arg, ExprKind, Ident};

/// An argument as given.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// Its name, if it has one.
    pub name: Option<&'a Ident>,
    /// What is given.
    pub value: &'a ast::Expr,
}

/// Functions that call others twice grow by powers of two; beyond this a model is not what was meant.
const MAX_INLINED: usize = 20_000;

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
        self.n_inlined += 1;
        if self.n_inlined > MAX_INLINED {
            // Said once; the calls that remain fail silently.
            return if self.n_inlined == MAX_INLINED + 1 {
                let what = format!("more than {MAX_INLINED} calls of functions in one model are");
                let instead = "functions are inlined; name what is used twice with a `let`";
                self.fail(errors::not_yet(span, what, instead))
            } else {
                None
            };
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
