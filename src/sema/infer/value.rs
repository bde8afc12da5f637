//! Values that are more than numbers: records, tuples, lists and functions.
//!
//! They exist only while a program is checked. Their parts are typed expressions, which get a name
//! of their own when the whole gets one, so that nothing is computed twice.

use crate::base::span::Span;
use crate::sema::errors;
use crate::sema::infer::size;
use crate::sema::prelude;
use crate::sema::resolve::{Binding, Callable, Checker, ScopeId};
use crate::sema::typed::{Def, DefKind, Expr, Kind};
use crate::syntax::ast::{self, Arg, ExprKind, Ident, IndexExpr};
use std::sync::Arc;

/// What an expression stands for.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    /// Numbers.
    Expr(Expr),
    /// `(z = x, logp = 0)`
    Record(Vec<(Arc<str>, Value<'a>)>),
    /// `(a, b)`
    Tuple(Vec<Value<'a>>),
    /// `[tanh, relu]`, `[Dense[2, 2]()]`, `[]`
    List(Vec<Value<'a>>),
    /// A function, a layer, a system.
    Callable(Callable<'a>),
}

/// Most expressions in one value: records of records grow by powers of two.
const MAX_PARTS: usize = 20_000;

impl From<Expr> for Value<'_> {
    fn from(expr: Expr) -> Self {
        Value::Expr(expr)
    }
}

impl Value<'_> {
    /// How many expressions and functions it is made of.
    fn n_parts(&self) -> usize {
        match self {
            Value::Expr(_) | Value::Callable(_) => 1,
            Value::Record(fields) => 1 + fields.iter().map(|(_, value)| value.n_parts()).sum::<usize>(),
            Value::Tuple(parts) | Value::List(parts) => 1 + parts.iter().map(Value::n_parts).sum::<usize>(),
        }
    }

    /// The same value, seen as written at `span`.
    pub(crate) fn at(self, span: Span) -> Self {
        match self {
            Value::Expr(expr) => Value::Expr(Expr { span, ..expr }),
            Value::Record(_) | Value::Tuple(_) | Value::List(_) | Value::Callable(_) => self,
        }
    }
}

impl<'a> Checker<'a> {
    /// What an expression stands for in `scope`.
    pub(crate) fn evaluate(&mut self, expr: &'a ast::Expr, scope: ScopeId) -> Option<Value<'a>> {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Paren(inner) => Some(self.evaluate(inner, scope)?.at(span)),
            ExprKind::Tuple(args) => {
                let value = self.tuple(args, span, scope)?;
                self.small_enough(value, span)
            }
            ExprKind::Array(args) => {
                let value = self.array(args, span, scope)?;
                self.small_enough(value, span)
            }
            ExprKind::Name(name) => self.name(name, span, scope),
            ExprKind::Lambda(pattern, body) => Some(Value::Callable(Callable::Lambda(pattern, body, scope))),
            ExprKind::Call { callee, args } => self.call(callee, args, None, span, scope),
            ExprKind::Pipe(value, function) => match &function.unparenthesised().kind {
                ExprKind::Call { callee, args } => self.call(callee, args, Some(value), span, scope),
                _ => self.call(function, &[], Some(value), span, scope),
            },
            ExprKind::Field { base, name } => self.field(base, name, span, scope),
            ExprKind::Index { base, indices } => self.index(base, indices, span, scope),
            ExprKind::If { condition, then, otherwise } => {
                self.choice_of_values(condition, then, otherwise, span, scope)
            }
            ExprKind::Fold(fold) => self.fold(fold, span, scope),
            _ => self.infer(expr, scope).map(Value::Expr),
        }
    }

    fn small_enough(&mut self, value: Value<'a>, span: Span) -> Option<Value<'a>> {
        if value.n_parts() > MAX_PARTS {
            return self.fail(errors::too_large(span, "this record or list", MAX_PARTS));
        }
        Some(value)
    }

    /// A value that must be numbers.
    pub(crate) fn plain(&mut self, value: Value<'a>, span: Span) -> Option<Expr> {
        let (what, expected) = match value {
            Value::Expr(expr) => return Some(expr),
            Value::Record(fields) => {
                let names: Vec<String> = fields.iter().map(|(name, _)| format!("`.{name}`")).collect();
                let message = "a record is not a number";
                let expected = format!("a number; its fields are {}", names.join(", "));
                return self.fail(errors::wrong_kind(span, message, &expected));
            }
            Value::Tuple(_) => ("a tuple is not a number".to_owned(), "a number, or an array as in `[a, b]`"),
            Value::List(parts) if parts.is_empty() => {
                return self.fail(errors::unknown_size(span, "an empty array"));
            }
            Value::List(_) => ("a list of these is not an array of numbers".to_owned(), "numbers"),
            Value::Callable(callable) => {
                let text = self.text(span);
                match callable {
                    Callable::Instance(_) => (
                        format!("`{text}` is a {}, not a number", self.noun_of(callable)),
                        "a number; call it with `(...)`",
                    ),
                    Callable::Template(_) => (
                        format!("`{text}` is a {}, not a number", self.noun_of(callable)),
                        "a number; `param name = ...` makes one that can be called",
                    ),
                    Callable::Lambda(..) => (
                        "a function is not a number".to_owned(),
                        "a number; functions may be arguments of functions",
                    ),
                    Callable::Trajectory(..) => (
                        format!("`{text}` varies along its run"),
                        "a number; evaluate it at a time with `(...)`",
                    ),
                    Callable::Function(..) | Callable::Builtin(..) | Callable::Inverse(_) => {
                        (format!("`{text}` is a function, not a number"), "a number; call it with `(...)`")
                    }
                }
            }
        };
        self.fail(errors::wrong_kind(span, what, expected))
    }

    fn noun_of(&self, callable: Callable<'a>) -> &'static str {
        let is_system = match callable {
            Callable::Instance(instance) => self.instances[instance].template.is_system,
            Callable::Template(template) => template.is_system,
            Callable::Function(..) | Callable::Lambda(..) => return "function",
            Callable::Builtin(..) | Callable::Inverse(_) | Callable::Trajectory(..) => return "function",
        };
        if is_system { "system" } else { "layer" }
    }

    // ---- names -----------------------------------------------------------------------------

    /// What a name stands for.
    fn name(&mut self, name: &'a str, span: Span, scope: ScopeId) -> Option<Value<'a>> {
        match self.lookup(name, span, scope) {
            Some(binding) => self.bound(binding, name, span),
            None => {
                if let Some(expr) = self.language_name(name, span) {
                    return Some(Value::Expr(expr));
                }
                if name == "main" {
                    return Some(Value::Callable(Callable::Instance(self.main_instance())));
                }
                if let Some(count) = self.training_count(name, span) {
                    return Some(Value::Expr(count));
                }
                if let Some(builtin) = prelude::function(name) {
                    return Some(Value::Callable(Callable::Builtin(name, builtin)));
                }
                self.unknown_name(name, span, scope, false);
                None
            }
        }
    }

    /// What a name stands for whose meaning is `binding`.
    pub(super) fn bound(&mut self, binding: Binding<'a>, name: &str, span: Span) -> Option<Value<'a>> {
        match binding {
            Binding::Value(def) => Some(Value::Expr(self.named(def, span))),
            Binding::Size(dim) => Some(Value::Expr(size(self.settled(&dim), span))),
            Binding::Callable(callable) => Some(Value::Callable(callable)),
            Binding::Aggregate(value) => Some(value.at(span)),
            Binding::DataSet(_) => self.fail(errors::wrong_kind(
                span,
                format!("`{name}` is a data set, not a number"),
                "one of its fields, as in `obs.t`",
            )),
            Binding::Module(_) => self.fail(errors::wrong_kind(
                span,
                format!("`{name}` is a module, not a number"),
                &format!("one of the things it gives, as in `{name}.f`"),
            )),
            Binding::Poisoned => {
                self.failed = true;
                None
            }
        }
    }

    /// The value with a definition for each of its expressions, so that it may be used many times.
    pub(crate) fn kept(&mut self, value: Value<'a>, scope: ScopeId) -> Value<'a> {
        self.shared(value, &Arc::from("value"), DefKind::Local, scope)
    }

    /// What `name` stands for if it is bound to `value` in `scope`.
    pub(crate) fn binding_of(
        &mut self,
        name: &Ident,
        value: Value<'a>,
        kind: DefKind,
        scope: ScopeId,
    ) -> Binding<'a> {
        match value {
            Value::Expr(expr) => {
                let def = Def {
                    name: name.name.clone(),
                    span: name.span,
                    ty_span: None,
                    kind,
                    ty: expr.ty.clone(),
                    phase: expr.phase,
                    value: Some(expr),
                    loops: self.scopes[scope].loops.clone(),
                    varied: false,
                };
                Binding::Value(self.defs.push(def))
            }
            Value::Callable(callable) => Binding::Callable(callable),
            Value::Record(_) | Value::Tuple(_) | Value::List(_) => {
                Binding::Aggregate(self.shared(value, &name.name, kind, scope))
            }
        }
    }

    fn shared(&mut self, value: Value<'a>, name: &Arc<str>, kind: DefKind, scope: ScopeId) -> Value<'a> {
        let parts = |checker: &mut Self, parts: Vec<Value<'a>>| {
            let numbered = parts.into_iter().enumerate();
            numbered
                .map(|(n, part)| checker.shared(part, &format!("{name}[{n}]").into(), kind, scope))
                .collect()
        };
        match value {
            Value::Expr(expr) => match &expr.kind {
                Kind::Def(_) | Kind::Size(_) | Kind::Real(_) | Kind::Bool(_) => Value::Expr(expr),
                _ => {
                    let span = expr.span;
                    let ident = Ident { name: name.clone(), span };
                    let binding = self.binding_of(&ident, Value::Expr(expr), kind, scope);
                    let Binding::Value(def) = binding else { crate::bug!("an expression gets a definition") };
                    Value::Expr(self.named(def, span))
                }
            },
            Value::Record(fields) => Value::Record(
                fields
                    .into_iter()
                    .map(|(field, value)| {
                        let name = format!("{name}.{field}").into();
                        (field, self.shared(value, &name, kind, scope))
                    })
                    .collect(),
            ),
            Value::Tuple(values) => Value::Tuple(parts(self, values)),
            Value::List(values) => Value::List(parts(self, values)),
            Value::Callable(_) => value,
        }
    }

    // ---- records and tuples ----------------------------------------------------------------

    /// `(a, b)`, `(z = x, logp = 0)`, `(..r, z = y)`
    fn tuple(&mut self, args: &'a [Arg], span: Span, scope: ScopeId) -> Option<Value<'a>> {
        if args.iter().all(|arg| matches!(arg, Arg::Positional(_))) && !args.is_empty() {
            let parts: Vec<Option<Value<'a>>> = args
                .iter()
                .map(|arg| match arg {
                    Arg::Positional(part) => self.evaluate(part, scope),
                    Arg::Named(..) | Arg::Spread(..) | Arg::Comprehension(..) => None,
                })
                .collect();
            return parts.into_iter().collect::<Option<_>>().map(Value::Tuple);
        }
        let mut fields: Vec<(Arc<str>, Value<'a>)> = Vec::new();
        let mut written: Vec<&'a Ident> = Vec::new();
        let mut fine = true;
        for arg in args {
            match arg {
                Arg::Named(name, value) => {
                    if let Some(first) = written.iter().find(|other| other.name == name.name) {
                        self.report(errors::defined_twice(&name.name, first.span, name.span));
                        fine = false;
                    }
                    written.push(name);
                    match self.evaluate(value, scope) {
                        Some(value) => put(&mut fields, &name.name, value),
                        None => fine = false,
                    }
                }
                Arg::Spread(base, spread) => match self.evaluate(base, scope) {
                    Some(Value::Record(others)) => {
                        others.into_iter().for_each(|(name, value)| put(&mut fields, &name, value));
                    }
                    Some(_) => {
                        let message = "`..` in a record takes the fields of another record";
                        return self.fail(errors::wrong_kind(*spread, message, "a record"));
                    }
                    None => fine = false,
                },
                Arg::Positional(part) | Arg::Comprehension(part, _) => {
                    return self.fail(errors::wrong_kind(
                        part.span,
                        "every part of a record has a name",
                        "`name = value`",
                    ));
                }
            }
        }
        if fields.is_empty() && fine {
            return self.fail(errors::wrong_kind(span, "there is nothing in these parentheses", "a value"));
        }
        fine.then_some(Value::Record(fields))
    }

    /// `[a, b]`, `[I, ..hidden, O]`, `[f(i) for i in r]`
    pub(super) fn array(&mut self, args: &'a [Arg], span: Span, scope: ScopeId) -> Option<Value<'a>> {
        if let [Arg::Comprehension(body, clauses)] = args {
            if !self.is_unrolled(body, clauses, scope) {
                return self.comprehension(body, clauses, None, span, scope).map(Value::Expr);
            }
            let mut parts = Vec::new();
            self.turns(clauses, scope, &mut |checker, scope| {
                parts.push(checker.evaluate(body, scope)?);
                Some(())
            })?;
            return self.listed(parts, span);
        }
        let mut parts = Vec::new();
        let mut spreads = Vec::new();
        let mut fine = true;
        for arg in args {
            match arg {
                Arg::Positional(part) => match self.evaluate(part, scope) {
                    Some(part) => parts.push(part),
                    None => fine = false,
                },
                Arg::Named(name, _) => {
                    return self.fail(errors::wrong_kind(
                        name.span,
                        "an array has no names",
                        "elements, as in `[a, b]`",
                    ));
                }
                Arg::Spread(list, spread) => match self.evaluate(list, scope) {
                    Some(Value::List(more) | Value::Tuple(more)) => parts.extend(more),
                    Some(Value::Expr(expr)) => match self.static_parts(&expr) {
                        Some(more) if parts.len() + more.len() > MAX_PARTS => {
                            return self.fail(errors::too_large(*spread, "this list", MAX_PARTS));
                        }
                        Some(more) => parts.extend(more.into_iter().map(Value::Expr)),
                        None if expr.ty.is_scalar() => {
                            let story = self.story(&expr);
                            return self
                                .fail(errors::wrong_operand("..", *spread, "an array", &expr.ty, story));
                        }
                        None => spreads.push((parts.len(), expr)),
                    },
                    Some(Value::Record(_) | Value::Callable(_)) => {
                        let message = "`..` in an array takes the elements of a list";
                        return self.fail(errors::wrong_kind(*spread, message, "a list"));
                    }
                    None => fine = false,
                },
                Arg::Comprehension(body, _) => {
                    return self.fail(errors::not_yet(
                        body.span,
                        "a comprehension beside other elements is",
                        "use `concat(a, b)`",
                    ));
                }
            }
        }
        if !fine {
            return None;
        }
        if spreads.is_empty() {
            return self.listed(parts, span);
        }
        self.spliced(parts, spreads, span).map(Value::Expr)
    }

    /// An array of `parts`, with the elements of others from their places on.
    fn spliced(&mut self, parts: Vec<Value<'a>>, spreads: Vec<(usize, Expr)>, span: Span) -> Option<Expr> {
        let parts: Vec<Option<Expr>> = parts.into_iter().map(|part| self.plain(part, span)).collect();
        let parts: Vec<Expr> = parts.into_iter().collect::<Option<_>>()?;
        let mut pieces = Vec::new();
        let mut from = 0;
        for (to, spread) in spreads {
            if from < to {
                pieces.push(self.stacked(parts[from..to].to_vec(), span)?);
            }
            pieces.push(spread);
            from = to;
        }
        if from < parts.len() {
            pieces.push(self.stacked(parts[from..].to_vec(), span)?);
        }
        self.joined("[..]", pieces, 0, span)
    }

    /// An array if all parts are numbers, else a list.
    pub(super) fn listed(&mut self, parts: Vec<Value<'a>>, span: Span) -> Option<Value<'a>> {
        let is_array = !parts.is_empty() && parts.iter().all(|part| matches!(part, Value::Expr(_)));
        if !is_array {
            return Some(Value::List(parts));
        }
        let parts = parts.into_iter().filter_map(|part| match part {
            Value::Expr(expr) => Some(expr),
            Value::Record(_) | Value::Tuple(_) | Value::List(_) | Value::Callable(_) => None,
        });
        self.stacked(parts.collect(), span).map(Value::Expr)
    }

    // ---- parts -----------------------------------------------------------------------------

    /// `base[i, a..b, :, _]`
    fn index(
        &mut self,
        base: &'a ast::Expr,
        indices: &'a [IndexExpr],
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        match self.evaluate(base, scope)? {
            Value::Expr(base) => self.index_of(base, indices, span, scope).map(Value::Expr),
            Value::List(parts) | Value::Tuple(parts) => self.part_of_list(parts, indices, span, scope),
            value => {
                let base_span = base.span;
                self.plain(value, base_span).map(Value::Expr)
            }
        }
    }

    fn part_of_list(
        &mut self,
        parts: Vec<Value<'a>>,
        indices: &'a [IndexExpr],
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        let [index] = indices else {
            let message = "a list has one axis";
            return self.fail(errors::wrong_kind(span, message, "one index"));
        };
        let count = parts.len();
        let what = "an index of a list";
        let range = |lo: Option<i64>, hi: Option<i64>| {
            let (lo, hi) = (lo.unwrap_or(0), hi.unwrap_or(count as i64));
            (0 <= lo && lo <= hi && hi <= count as i64).then_some(lo as usize..hi as usize)
        };
        let number = |checker: &mut Self, expr: &'a ast::Expr| {
            let size = checker.size_of(expr, scope, what)?;
            match checker.settled(&size).as_number() {
                Some(number) => Some(number),
                None => checker.fail(errors::not_a_size(expr.span, what)),
            }
        };
        let taken = match index {
            IndexExpr::All(_) => range(None, None),
            IndexExpr::From(lo, _) => range(Some(number(self, lo)?), None),
            IndexExpr::To(hi, _) => range(None, Some(number(self, hi)?)),
            IndexExpr::At(expr) => match &expr.unparenthesised().kind {
                ExprKind::Range(lo, hi) => range(Some(number(self, lo)?), Some(number(self, hi)?)),
                _ => {
                    let at = number(self, expr)?;
                    return match usize::try_from(at).ok().and_then(|at| parts.get(at)) {
                        Some(part) => Some(part.clone().at(span)),
                        None => {
                            let count = count.to_string();
                            self.fail(errors::out_of_bounds(expr.span, &at.to_string(), &count))
                        }
                    };
                }
            },
        };
        match taken {
            Some(range) => Some(Value::List(parts[range].to_vec())),
            None => self.fail(errors::out_of_bounds(span, self.text(span), &count.to_string())),
        }
    }

    /// `obs.t`, `r.z`, `net.W`, `A.T`
    fn field(
        &mut self,
        base: &'a ast::Expr,
        name: &'a Ident,
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        if let ExprKind::Name(base_name) = &base.kind {
            match self.lookup(base_name, base.span, scope) {
                Some(Binding::DataSet(set)) => {
                    return self.data_field_of(set, base_name, name, span).map(Value::Expr);
                }
                Some(Binding::Module(space)) => {
                    let binding = self.given_by(space, base_name, name)?;
                    return self.bound(binding, &name.name, span);
                }
                _ => {}
            }
        }
        match self.evaluate(base, scope)? {
            Value::Record(fields) => match fields.iter().find(|(field, _)| *field == name.name) {
                Some((_, value)) => Some(value.clone().at(span)),
                None => {
                    let known: Vec<&str> = fields.iter().map(|(field, _)| &**field).collect();
                    let text = self.text(base.span);
                    self.fail(errors::unknown_member(name.span, text, &name.name, &known))
                }
            },
            Value::Callable(Callable::Instance(instance)) => {
                let binding = self.member(instance, name)?;
                self.bound(binding, &name.name, span)
            }
            Value::Expr(base) => self.field_of(base, name, span).map(Value::Expr),
            value @ (Value::Tuple(_) | Value::List(_) | Value::Callable(_)) => {
                self.plain(value, base.span).map(Value::Expr)
            }
        }
    }

    // ---- choice ----------------------------------------------------------------------------

    fn choice_of_values(
        &mut self,
        condition: &'a ast::Expr,
        then: &'a ast::Expr,
        otherwise: &'a ast::Expr,
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        let condition = self.infer(condition, scope);
        // A choice that is made at compile time has one side.
        match condition.as_ref().and_then(|condition| self.decided(condition)) {
            Some(true) => return Some(self.evaluate(then, scope)?.at(span)),
            Some(false) => return Some(self.evaluate(otherwise, scope)?.at(span)),
            None => {}
        }
        let (then, otherwise) = (self.evaluate(then, scope), self.evaluate(otherwise, scope));
        self.chosen(condition?, then?, otherwise?, span)
    }

    fn chosen(
        &mut self,
        condition: Expr,
        then: Value<'a>,
        otherwise: Value<'a>,
        span: Span,
    ) -> Option<Value<'a>> {
        match (then, otherwise) {
            (Value::Expr(then), Value::Expr(otherwise)) => {
                self.choice(condition, then, otherwise, span).map(Value::Expr)
            }
            (Value::Record(then), Value::Record(otherwise)) => {
                let names = |fields: &[(Arc<str>, Value<'a>)]| {
                    fields.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
                };
                if names(&then) != names(&otherwise) {
                    let message = "the two sides of `if` are records with different fields";
                    return self.fail(errors::wrong_kind(span, message, "the same fields in the same order"));
                }
                let fields = then.into_iter().zip(otherwise).map(|((name, then), (_, otherwise))| {
                    Some((name, self.chosen(condition.clone(), then, otherwise, span)?))
                });
                fields.collect::<Option<_>>().map(Value::Record)
            }
            (Value::Tuple(then), Value::Tuple(otherwise)) if then.len() == otherwise.len() => {
                let parts = then
                    .into_iter()
                    .zip(otherwise)
                    .map(|(then, otherwise)| self.chosen(condition.clone(), then, otherwise, span));
                parts.collect::<Option<_>>().map(Value::Tuple)
            }
            (then, otherwise) => {
                let then = self.plain(then, span)?;
                let otherwise = self.plain(otherwise, span)?;
                self.choice(condition, then, otherwise, span).map(Value::Expr)
            }
        }
    }

    /// The truth of a condition that compares static integers.
    pub(super) fn decided(&self, condition: &Expr) -> Option<bool> {
        crate::sema::decide::decided(condition, &|dim| self.settled(dim).as_number())
    }

    // ---- types -----------------------------------------------------------------------------

    /// `value` as the type that is written for it. `what` is the subject of the message.
    pub(crate) fn fitted_value(
        &mut self,
        value: Value<'a>,
        ty: &'a ast::Type,
        span: Span,
        what: &str,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        match (&ty.kind, value) {
            (ast::TypeKind::Record(expected), Value::Record(fields)) => {
                let known: Vec<&str> = expected.iter().map(|(name, _)| &*name.name).collect();
                if let Some((stranger, _)) = fields.iter().find(|(name, _)| !known.contains(&&**name)) {
                    return self.fail(errors::unknown_member(span, "the declared record", stranger, &known));
                }
                let fitted = expected.iter().map(|(name, ty)| {
                    match fields.iter().find(|(field, _)| *field == name.name) {
                        Some((field, value)) => {
                            let what = format!("`.{field}` of {what}");
                            let value = self.fitted_value(value.clone(), ty, span, &what, scope)?;
                            Some((field.clone(), value))
                        }
                        None => {
                            let message = format!("{what} has no field `{}`", name.name);
                            self.fail(errors::wrong_kind(span, message, "all fields that are declared"))
                        }
                    }
                });
                fitted.collect::<Option<_>>().map(Value::Record)
            }
            (ast::TypeKind::Record(_), _) => {
                let message = format!("{what} is declared to be a record");
                self.fail(errors::wrong_kind(span, message, "`(name = value, ...)`"))
            }
            (ast::TypeKind::Fn { .. }, value @ Value::Callable(_)) => Some(value),
            (ast::TypeKind::Fn { .. }, _) => {
                let message = format!("{what} is declared to be a function");
                self.fail(errors::wrong_kind(span, message, "a function, as in `tanh` or `v -> 2*v`"))
            }
            (ast::TypeKind::Name(_) | ast::TypeKind::Tensor { .. }, value) => {
                let expr = self.plain(value, span)?;
                let expected = self.written_type(ty, scope)?;
                let story = self.size_story(ty, scope);
                self.fitted_with(expr, &expected, ty.span, what, story).map(Value::Expr)
            }
        }
    }
}

/// Sets a field, at its old place if it is there.
fn put<'a>(fields: &mut Vec<(Arc<str>, Value<'a>)>, name: &Arc<str>, value: Value<'a>) {
    match fields.iter_mut().find(|(field, _)| field == name) {
        Some((_, old)) => *old = value,
        None => fields.push((name.clone(), value)),
    }
}
