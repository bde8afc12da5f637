//! Calls: trajectories at a time, functions of the file (inlined), distributions.

use crate::base::index::Idx;
use crate::base::span::Span;
use crate::ir::op::Op;
use crate::sema::containers::Template;
use crate::sema::errors;
use crate::sema::infer::Value;
use crate::sema::prelude::{self, Builtin, Distribution};
use crate::sema::resolve::{Binding, Callable, Checker, OpenCall, ScopeId};
use crate::sema::typed::{DefKind, Expr, Kind, Phase, Ty};
use crate::syntax::ast::{self, Arg, ExprKind, Ident};
use std::sync::Arc;

/// An argument as given.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    /// Its name, if it has one.
    pub name: Option<&'a Ident>,
    /// What is given.
    pub value: &'a ast::Expr,
}

/// Functions that call others twice grow by powers of two; beyond this a model is not what was meant.
const MAX_INLINED: usize = 20_000;

/// Most calls inside each other: what is inlined is a tree, and trees are walked recursively.
const MAX_CALL_DEPTH: usize = 64;

impl<'a> Checker<'a> {
    /// `callee(args)`, or `first |> callee(args)`.
    pub(super) fn call(
        &mut self,
        callee: &'a ast::Expr,
        args: &'a [Arg],
        first: Option<&'a ast::Expr>,
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        match self.target(callee, scope)? {
            Value::Callable(callable) => {
                self.route.push(span.source.index() << 32 | span.lo as usize);
                let value = self.apply(callable, callee, args, first, span, scope);
                self.route.pop();
                value
            }
            Value::Expr(target) => self.trajectory(target, args, first, span, scope).map(Value::Expr),
            value @ (Value::Record(_) | Value::Tuple(_) | Value::List(_)) => {
                self.plain(value, callee.span).map(Value::Expr)
            }
        }
    }

    /// What is called. A name that nothing defines is said to be no function.
    fn target(&mut self, callee: &'a ast::Expr, scope: ScopeId) -> Option<Value<'a>> {
        let callee = callee.unparenthesised();
        if let Some((template, _)) = self.template_of_call(callee, scope) {
            return Some(Value::Callable(Callable::Template(template)));
        }
        if let ExprKind::Index { base, .. } = &callee.kind
            && let Some(function @ Callable::Function(..)) = self.function_named(base, scope)
        {
            return Some(Value::Callable(function));
        }
        let ExprKind::Name(name) = &callee.kind else { return self.evaluate(callee, scope) };
        if self.lookup(name, callee.span, scope).is_none()
            && self.language_name(name, callee.span).is_none()
            && prelude::function(name).is_none()
            && &**name != "main"
        {
            self.unknown_name(name, callee.span, scope, true);
            return None;
        }
        self.evaluate(callee, scope)
    }

    /// The layer or system that is called by its own name.
    fn template_of_call(
        &mut self,
        callee: &'a ast::Expr,
        scope: ScopeId,
    ) -> Option<(Template<'a>, Option<&'a [ast::IndexExpr]>)> {
        match &callee.kind {
            ExprKind::Index { .. } => self.template(callee, scope),
            _ => None,
        }
    }

    /// The function of the file that a plain name stands for.
    fn function_named(&mut self, expr: &'a ast::Expr, scope: ScopeId) -> Option<Callable<'a>> {
        let ExprKind::Name(name) = &expr.kind else { return None };
        match self.lookup(name, expr.span, scope)? {
            Binding::Callable(callable) => Some(callable),
            _ => None,
        }
    }

    /// `x(tau)`
    fn trajectory(
        &mut self,
        callee: Expr,
        args: &'a [Arg],
        first: Option<&'a ast::Expr>,
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
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
        self.no_run_in_a_time(&time)?;
        if time.ty.dims.len() > 1 {
            return self.misfit(self.text(callee.span), &time, "one time or a vector of times");
        }
        let dims = [time.ty.dims.as_slice(), callee.ty.dims.as_slice()].concat();
        let ty = Ty { elem: callee.ty.elem, dims };
        let phase = time.phase.max(Phase::Run);
        Some(Expr { kind: Kind::At(Box::new(callee), Box::new(time)), ty, phase, span })
    }

    pub(crate) fn given(&mut self, args: &'a [Arg], first: Option<&'a ast::Expr>) -> Option<Vec<Given<'a>>> {
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
        callee: &'a ast::Expr,
        args: &'a [Arg],
        first: Option<&'a ast::Expr>,
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        if let (
            Callable::Builtin(_, Builtin::Reduce(reduction, _)),
            [Arg::Comprehension(body, clauses)],
            None,
        ) = (callable, args, first)
        {
            return self.reduction(reduction, body, clauses, span, scope).map(Value::Expr);
        }
        if let Callable::Template(template) = callable {
            return self.direct(template, callee, args, first, span, scope);
        }
        let given = self.given(args, first)?;
        match callable {
            Callable::Function(function, home) => {
                let name = function.name.as_ref().expect("a function that is named has a name");
                if let ExprKind::Index { indices, .. } = &callee.unparenthesised().kind {
                    let inner = self.explicit_sizes(function, &name.name, home, indices, span, scope)?;
                    return self.inline(function, &name.name, inner, &given, span, scope);
                }
                self.inline(function, &name.name, home, &given, span, scope)
            }
            Callable::Lambda(pattern, body, home) => {
                let [Given { name: None, value }] = given.as_slice() else {
                    return self.fail(errors::wrong_arguments(span, self.text(callee.span), "one argument"));
                };
                let value = self.evaluate(value, scope)?;
                let inner = self.open(home);
                self.scopes[inner].loops = self.scopes[scope].loops.clone();
                self.bind_pattern(pattern, value, inner)?;
                self.enter_call(span)?;
                let value = self.evaluate(body, inner);
                self.call_depth -= 1;
                Some(value?.at(span))
            }
            Callable::Instance(instance) => self.call_instance(instance, &given, span, scope),
            Callable::Inverse(instance) => self.run_inverse(instance, &given, span, scope),
            Callable::Trajectory(call, moved) => self.trajectory_at(call, moved, &given, span, scope),
            Callable::Builtin(name, builtin) => self.builtin(name, builtin, &given, callee.span, span, scope),
            Callable::Template(_) => crate::bug!("a template is instantiated above"),
        }
    }

    /// A layer or a system called by the name of its declaration.
    fn direct(
        &mut self,
        template: Template<'a>,
        callee: &'a ast::Expr,
        args: &'a [Arg],
        first: Option<&'a ast::Expr>,
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        let name = &template.container.name.name;
        if !template.is_system || first.is_some() {
            return self.fail(errors::needs_a_param(span, name, template.is_system, self.text(callee.span)));
        }
        self.anonymous_system(template, callee, args, span, scope)
    }

    /// `sum(f(i) for i in r)`
    fn reduction(
        &mut self,
        reduction: prelude::Reduction,
        body: &'a ast::Expr,
        clauses: &'a [ast::ForClause],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        if !self.is_unrolled(body, clauses, scope) {
            return self.comprehension(body, clauses, Some(reduction), span, scope);
        }
        let mut parts = Vec::new();
        self.turns(clauses, scope, &mut |checker, scope| {
            let part = checker.infer(body, scope)?;
            if !part.ty.is_scalar() {
                let what = "the body of a reduction";
                return checker.not_scalar(what, &part);
            }
            parts.push(super::to_real(part));
            Some(())
        })?;
        let stacked = self.stacked(parts, span)?;
        Some(super::reduced(reduction, stacked, vec![0], span))
    }

    /// Counts a call that is being inlined; one that goes too deep is refused.
    fn enter_call(&mut self, span: Span) -> Option<()> {
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
        if self.call_depth == MAX_CALL_DEPTH {
            return self.fail(errors::calls_too_deep(span, MAX_CALL_DEPTH));
        }
        self.call_depth += 1;
        Some(())
    }

    // ---- functions of the file -------------------------------------------------------------

    /// A scope for a function whose sizes are written: `f[3](x)`.
    fn explicit_sizes(
        &mut self,
        function: &'a ast::Function,
        name: &str,
        home: ScopeId,
        indices: &'a [ast::IndexExpr],
        span: Span,
        scope: ScopeId,
    ) -> Option<ScopeId> {
        if indices.len() != function.generics.len() {
            let names: Vec<&str> = function.generics.iter().map(|generic| &*generic.name).collect();
            let declared = function.name.as_ref().map_or(span, |name| name.span);
            let diagnostic = errors::wrong_number_of_sizes(span, name, &names, indices.len(), declared);
            return self.fail(diagnostic);
        }
        let inner = self.open(home);
        for (generic, index) in function.generics.iter().zip(indices) {
            let ast::IndexExpr::At(expr) = index else {
                return self.fail(errors::not_a_size(span, "a size"));
            };
            let size = self.size_of(expr, scope, "a size")?;
            self.bind(inner, &generic.name, Binding::Size(size));
        }
        Some(inner)
    }

    pub(crate) fn inline(
        &mut self,
        function: &'a ast::Function,
        name: &Arc<str>,
        home: ScopeId,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        let is_open = |call: &OpenCall<'a>| std::ptr::eq(call.function, function) && call.home == home;
        if self.calls.iter().any(is_open) {
            let declared = function.name.as_ref().map_or(function.body.span, |name| name.span);
            return self.fail(errors::recursion(name, span, declared));
        }
        self.enter_call(span)?;
        let value = self.inlined(function, name, home, given, span, scope);
        self.call_depth -= 1;
        Some(value?.at(span))
    }

    fn inlined(
        &mut self,
        function: &'a ast::Function,
        name: &Arc<str>,
        home: ScopeId,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        let inner = self.open(home);
        self.scopes[inner].loops = self.scopes[scope].loops.clone();
        let arguments = self.arguments(name, &function.params, given, span)?;
        // Sizes first by the parameters that just name one, then all types are checked.
        let mut values: Vec<(&'a ast::Decl, Value<'a>, Span)> = Vec::new();
        let mut fine = true;
        for (param, argument, from_caller) in arguments {
            match self.evaluate(argument, if from_caller { scope } else { inner }) {
                Some(value) => {
                    self.settle_generics(function, param, &value, inner);
                    values.push((param, value, argument.span));
                }
                None => fine = false,
            }
        }
        if !fine {
            return None;
        }
        for generic in &function.generics {
            let is_bound = |scope: &crate::sema::resolve::Scope<'a>| {
                scope.names.iter().any(|(known, _)| *known == generic.name)
            };
            if !is_bound(&self.scopes[inner]) && !is_bound(&self.scopes[home]) {
                let size = self.open_size(&generic.name, name, span);
                self.bind(inner, &generic.name, Binding::Size(size));
            }
        }
        for (param, value, at) in values {
            let value = match &param.ty {
                Some(ty) => {
                    let what = format!("the argument `{}` of `{name}`", param.name.name);
                    self.fitted_value(value, ty, at, &what, inner)?
                }
                None => value,
            };
            self.bind_argument(param, value, inner);
        }
        self.calls.push(OpenCall { function, home });
        let result = self.body(function, inner);
        self.calls.pop();
        result
    }

    /// Which argument each parameter gets; the flag says whether it is from the caller.
    pub(crate) fn arguments(
        &mut self,
        name: &str,
        params: &'a [ast::Decl],
        given: &[Given<'a>],
        span: Span,
    ) -> Option<Vec<(&'a ast::Decl, &'a ast::Expr, bool)>> {
        let names: Vec<&str> = params.iter().map(|param| &*param.name.name).collect();
        let expected = format!("({})", names.join(", "));
        let n_positional = given.iter().filter(|arg| arg.name.is_none()).count();
        let stranger = given.iter().filter_map(|arg| arg.name).find(|arg| !names.contains(&&*arg.name));
        if n_positional > names.len() || stranger.is_some() {
            return self.fail(errors::wrong_arguments(stranger.map_or(span, |arg| arg.span), name, expected));
        }
        let mut positional = given.iter().filter(|arg| arg.name.is_none());
        let mut arguments = Vec::new();
        for param in params {
            let named = given.iter().find(|arg| arg.name.is_some_and(|name| name.name == param.name.name));
            let chosen = match (named, &param.value) {
                (Some(arg), _) => (arg.value, true),
                (None, default) => match (positional.next(), default) {
                    (Some(arg), _) => (arg.value, true),
                    (None, Some(default)) => (&**default, false),
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

    /// Gives the parameter `param` of `name` in the scope `inner` the value of `argument`.
    pub(crate) fn take_argument(
        &mut self,
        name: &str,
        param: &'a ast::Decl,
        argument: &'a ast::Expr,
        from: ScopeId,
        inner: ScopeId,
    ) -> Option<()> {
        let value = self.evaluate(argument, from)?;
        let value = match &param.ty {
            Some(ty) => {
                let what = format!("the argument `{}` of `{name}`", param.name.name);
                self.fitted_value(value, ty, argument.span, &what, inner)?
            }
            None => value,
        };
        self.bind_argument(param, value, inner);
        Some(())
    }

    /// Binds the generics that the type of `param` just names to the sizes of its argument.
    fn settle_generics(
        &mut self,
        function: &'a ast::Function,
        param: &'a ast::Decl,
        value: &Value<'a>,
        scope: ScopeId,
    ) {
        let Value::Expr(value) = value else { return };
        let Some(ast::TypeKind::Tensor { dims, .. }) = param.ty.as_ref().map(|ty| &ty.kind) else { return };
        for (dim, found) in dims.iter().zip(&value.ty.dims) {
            if let ExprKind::Name(name) = &dim.value.unparenthesised().kind
                && function.generics.iter().any(|generic| generic.name == *name)
                && !self.scopes[scope].names.iter().any(|(known, _)| known == name)
            {
                self.bind(scope, name, Binding::Size(found.clone()));
            }
        }
    }

    fn bind_argument(&mut self, param: &'a ast::Decl, value: Value<'a>, scope: ScopeId) {
        let binding = self.binding_of(&param.name, value, DefKind::Local, scope);
        if let (Binding::Value(def), Some(ty)) = (&binding, &param.ty) {
            self.defs[*def].ty_span = Some(ty.span);
        }
        self.bind(scope, &param.name.name, binding);
    }

    fn body(&mut self, function: &'a ast::Function, scope: ScopeId) -> Option<Value<'a>> {
        let scope = self.open(scope);
        let value = self.block(&function.body, scope)?;
        match &function.result {
            Some(ty) => self.fitted_value(value, ty, function.body.value.span, "the result", scope),
            None => Some(value),
        }
    }

    /// The value that the `let`s of a block lead to.
    pub(super) fn block(&mut self, block: &'a ast::Block, scope: ScopeId) -> Option<Value<'a>> {
        let mut scope = scope;
        for item in &block.lets {
            let value = self.evaluate(&item.value, scope)?;
            let value = match &item.ty {
                Some(ty) => self.fitted_value(value, ty, item.value.span, "this value", scope)?,
                None => value,
            };
            scope = self.open(scope);
            self.bind_pattern(&item.pattern, value, scope)?;
        }
        self.evaluate(&block.value, scope)
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
                let params: Vec<Expr> = params.into_iter().collect::<Option<_>>()?;
                for position in distribution.positive() {
                    let param = &params[*position];
                    if self.literal(param).is_some_and(|number| number <= 0.0) {
                        let diagnostic = errors::not_positive(param.span, name, names[*position]);
                        return self.fail(diagnostic);
                    }
                }
                Some((distribution, params))
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

    /// The number that is written, or that a const is.
    pub(crate) fn literal(&self, expr: &Expr) -> Option<f64> {
        match &expr.kind {
            Kind::Real(x) => Some(*x),
            Kind::Size(dim) => dim.as_number().map(|n| n as f64),
            Kind::ToReal(x) => self.literal(x),
            Kind::Elementwise(Op::Neg, operands) => {
                operands.first().and_then(|x| self.literal(x)).map(|x| -x)
            }
            Kind::Def(def) if self.defs[*def].kind == DefKind::Const => {
                self.defs[*def].value.as_ref().and_then(|value| self.literal(value))
            }
            _ => None,
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
        if let (Distribution::Categorical, [probabilities]) = (distribution, params.as_slice()) {
            return self.log_prob_of_class(probabilities.clone(), x, span);
        }
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
