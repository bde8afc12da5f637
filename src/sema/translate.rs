//! Habits from other languages that the grammar takes, but that mean nothing here: `np.exp(x)`,
//! `Sin[x]`, `der(x) = …`, `y = 3*x` without a word that declares `y`.
//!
//! [`translated`] looks for them in a file that has errors, and puts its messages, which say how
//! the thing is written here, in the place of those they explain. A file without errors is not
//! looked at, so that no habit can forbid what the language allows.

use crate::base::span::{Sources, Span};
use crate::diag::{Diagnostic, Severity};
use crate::sema::errors;
use crate::sema::prelude;
use crate::syntax::ast::{Arg, BinaryOp, Expr, ExprKind, File, IndexExpr, Item, ItemKind, UnaryOp};
use std::collections::BTreeSet;

/// Modules whose functions are part of the language.
const MODULES: [&str; 9] = ["np", "numpy", "math", "Math", "cmath", "jnp", "jax", "torch", "scipy"];

/// Functions with their name here.
const RENAMED: [(&str, &str); 15] = [
    ("ln", "log"),
    ("arctan", "atan"),
    ("arcsin", "asin"),
    ("arccos", "acos"),
    ("arctanh", "atanh"),
    ("arcsinh", "asinh"),
    ("arccosh", "acosh"),
    ("fabs", "abs"),
    ("sgn", "sign"),
    ("length", "len"),
    ("size", "len"),
    ("average", "mean"),
    ("maximum", "max"),
    ("minimum", "min"),
    ("ceiling", "ceil"),
];

/// A habit: where it stands, which names it leaves unexplained, and the message.
struct Habit {
    /// Errors inside this span are replaced.
    reach: Span,
    /// Errors about this name elsewhere are consequences, and are replaced too.
    excuses: Option<String>,
    message: Diagnostic,
}

/// `diagnostics` with messages that translate in the place of those they explain.
pub(super) fn translated(file: &File, sources: &Sources, diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    if diagnostics.iter().all(|diagnostic| diagnostic.severity() != Severity::Error) {
        return diagnostics;
    }
    let mut reader = Reader {
        sources,
        declared: BTreeSet::new(),
        moving: BTreeSet::new(),
        time: None,
        habits: Vec::new(),
    };
    reader.collect(&file.items);
    reader.items(&file.items);
    let habits = reader.habits;
    let mut said = vec![false; habits.len()];
    let mut kept = Vec::new();
    for diagnostic in diagnostics {
        let place = diagnostic.primary.as_ref().map(|label| label.span);
        let inside = |reach: Span| {
            place.is_some_and(|at| reach.lo <= at.lo && at.hi <= reach.hi && reach.source == at.source)
        };
        let about = place.map_or("", |at| sources.slice(at).trim_end_matches('\''));
        let explains = |habit: &Habit| inside(habit.reach) || habit.excuses.as_deref() == Some(about);
        if let Some(at) = habits.iter().position(explains) {
            if !said[at] {
                said[at] = true;
                kept.push(habits[at].message.clone());
            }
            continue;
        }
        kept.push(diagnostic);
    }
    kept
}

struct Reader<'a> {
    sources: &'a Sources,
    declared: BTreeSet<&'a str>,
    /// States and other unknowns.
    moving: BTreeSet<&'a str>,
    time: Option<&'a str>,
    habits: Vec<Habit>,
}

impl<'a> Reader<'a> {
    fn collect(&mut self, items: &'a [Item]) {
        for item in items {
            self.declared.extend(item.declares().into_iter().map(|name| &*name.name));
            match &item.kind {
                ItemKind::State(_) | ItemKind::Algebraic(_) | ItemKind::Discrete(_) => {
                    self.moving.extend(item.declares().into_iter().map(|name| &*name.name));
                }
                ItemKind::Time { name, .. } => self.time = Some(&*name.name),
                ItemKind::Fn(function) => {
                    self.declared.extend(function.params.iter().map(|param| &*param.name.name));
                    let lets = function.body.lets.iter().flat_map(|binding| binding.pattern.names());
                    self.declared.extend(lets.map(|name| &*name.name));
                }
                ItemKind::Layer(container) | ItemKind::System(container) => {
                    self.declared.extend(container.params.iter().flatten().map(|param| &*param.name.name));
                    self.collect(&container.items);
                }
                _ => {}
            }
        }
    }

    fn items(&mut self, items: &'a [Item]) {
        for item in items {
            match &item.kind {
                ItemKind::Equation { lhs, rhs } => self.equation(item, lhs, rhs),
                ItemKind::Time { interval, .. } => self.interval(interval),
                ItemKind::Layer(container) | ItemKind::System(container) => {
                    self.items(&container.items);
                    continue;
                }
                _ => {}
            }
            let in_equation =
                matches!(item.kind, ItemKind::Equation { .. } | ItemKind::Channel { .. } | ItemKind::Let(_));
            for outermost in item.exprs() {
                outermost.walk(&mut |expr| self.expr(expr, in_equation));
            }
        }
    }

    fn add(&mut self, reach: Span, message: Diagnostic) {
        self.habits.push(Habit { reach, excuses: None, message });
    }

    fn text(&self, span: Span) -> &'a str {
        self.sources.slice(span)
    }

    fn is_unknown(&self, name: &str) -> bool {
        !self.declared.contains(name) && prelude::function(name).is_none()
    }

    /// `time t in [0, 10]`
    fn interval(&mut self, interval: &Expr) {
        if let ExprKind::Array(args) = &interval.kind
            && let [Arg::Positional(from), Arg::Positional(to)] = &args[..]
        {
            let range = format!("{}..{}", self.text(from.span), self.text(to.span));
            self.add(interval.span, errors::interval_in_brackets(interval.span, range));
        }
    }

    fn equation(&mut self, item: &Item, lhs: &'a Expr, rhs: &Expr) {
        if let Some((state, primes)) = self.written_rate(lhs) {
            let message = errors::other_rate(lhs.span, self.text(lhs.span), state, primes);
            self.habits.push(Habit { reach: item.span, excuses: Some(state.to_string()), message });
            return;
        }
        match &lhs.kind {
            ExprKind::Name(name) if self.is_unknown(name) => {
                let number = matches!(rhs.kind, ExprKind::Int(_) | ExprKind::Float(_));
                let tspan = matches!(&**name, "tspan" | "t_span");
                let message =
                    errors::undeclared(lhs.span, item.span, name, self.text(rhs.span), number, tspan);
                self.habits.push(Habit { reach: item.span, excuses: Some(name.to_string()), message });
            }
            ExprKind::Call { callee, args } if args.len() == 1 && !contains_name(rhs, self.time) => {
                let (ExprKind::Name(name), [Arg::Positional(at)]) = (&callee.kind, &args[..]) else { return };
                let number = matches!(at.kind, ExprKind::Int(_) | ExprKind::Float(_))
                    || matches!(&at.kind, ExprKind::Name(name) if &**name == "start");
                let known = self.moving.contains(&**name);
                if number && (known || self.is_unknown(name)) {
                    let message =
                        errors::start_as_equation(item.span, lhs.span, name, self.text(rhs.span), known);
                    let excuses = (!known).then(|| name.to_string());
                    self.habits.push(Habit { reach: item.span, excuses, message });
                }
            }
            _ => {}
        }
    }

    /// The state and the order, if `lhs` is a derivative as others write it.
    fn written_rate(&self, lhs: &'a Expr) -> Option<(&'a str, usize)> {
        let state = |expr: &'a Expr| match &expr.unparenthesised().kind {
            ExprKind::Name(name) => self.moving.get(&**name).copied(),
            _ => None,
        };
        match &lhs.kind {
            ExprKind::Name(name) if self.is_unknown(name) => {
                let base = differential_name(name)?;
                self.moving.get(base.as_str()).map(|state| (*state, 1))
            }
            ExprKind::Call { callee, args } => match &callee.kind {
                // `x'(t)`, `x''(t)`
                ExprKind::Prime(_) => {
                    let (base, primes) = unprimed(callee);
                    let time = matches!(&args[..], [Arg::Positional(Expr { kind: ExprKind::Name(name), .. })] if Some(&**name) == self.time);
                    state(base).filter(|_| time).map(|state| (state, primes))
                }
                ExprKind::Name(name)
                    if matches!(&**name, "der" | "D" | "Dt" | "diff" | "ddt" | "Derivative" | "deriv") =>
                {
                    let Some(Arg::Positional(first)) = args.first() else { return None };
                    state(first).map(|state| (state, 1))
                }
                _ => None,
            },
            // `d(x)/dt`
            ExprKind::Binary { op: BinaryOp::Div, lhs: numerator, rhs: denominator, .. } => {
                let by_time =
                    matches!(&denominator.kind, ExprKind::Name(name) if name.strip_prefix('d') == self.time);
                match &numerator.kind {
                    ExprKind::Call { callee, args } if by_time => {
                        let is_d = matches!(&callee.kind, ExprKind::Name(name) if &**name == "d");
                        match args.first() {
                            Some(Arg::Positional(first)) if is_d => state(first).map(|state| (state, 1)),
                            _ => None,
                        }
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn expr(&mut self, expr: &'a Expr, in_equation: bool) {
        match &expr.kind {
            ExprKind::Name(name) if self.is_unknown(name) => self.name(expr, name),
            ExprKind::Binary { op: BinaryOp::Sub, lhs, rhs, .. } if matches!(&lhs.kind, ExprKind::Name(name) if &**name == "return") =>
            {
                let after = format!("-{}", self.text(rhs.span));
                self.add(expr.span, errors::returned(lhs.span, expr.span, after));
            }
            ExprKind::Binary { op: BinaryOp::Pow, lhs, rhs, .. } => {
                let euler =
                    matches!(&lhs.kind, ExprKind::Name(name) if &**name == "e" && self.is_unknown(name));
                if euler {
                    let exponent = self.text(rhs.unparenthesised().span);
                    self.add(
                        expr.span,
                        errors::written(
                            expr.span,
                            "the exponential function is `exp`",
                            "`e` is not a name of the language",
                            format!("exp({exponent})"),
                        ),
                    );
                }
            }
            ExprKind::Field { base, name } => self.field(base, &name.name, name.span),
            ExprKind::Index { base, indices } => self.index(expr, base, indices, in_equation),
            ExprKind::Call { callee, args } => self.call(expr, callee, args, in_equation),
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Str(_) | ExprKind::Bool(_) => {}
            ExprKind::Name(_) | ExprKind::Paren(_) | ExprKind::Tuple(_) | ExprKind::Array(_) => {}
            ExprKind::Unary(UnaryOp::Neg | UnaryOp::Not, _) | ExprKind::Binary { .. } => {}
            ExprKind::Prime(_) | ExprKind::Range(..) | ExprKind::Pipe(..) | ExprKind::Lambda(..) => {}
            ExprKind::If { .. } | ExprKind::Fold(_) | ExprKind::Error => {}
        }
    }

    fn name(&mut self, expr: &Expr, name: &str) {
        match name {
            "True" | "False" | "TRUE" | "FALSE" => {
                let lower = name.to_lowercase();
                self.add(
                    expr.span,
                    errors::written(
                        expr.span,
                        "`true` and `false` are written in lower case",
                        "read as a name",
                        lower,
                    ),
                );
            }
            "None" | "null" | "NULL" | "nil" | "nothing" | "missing" => {
                self.add(expr.span, errors::no_value(expr.span, name))
            }
            "Pi" | "PI" | "π" => {
                self.add(
                    expr.span,
                    errors::written(
                        expr.span,
                        "the number is called `pi`",
                        "read as another name",
                        "pi".to_string(),
                    ),
                );
            }
            _ => {}
        }
    }

    /// `np.exp`, `x.shape`
    fn field(&mut self, base: &Expr, field: &str, at: Span) {
        if let ExprKind::Name(module) = &base.kind
            && MODULES.contains(&&**module)
            && self.is_unknown(module)
        {
            let dotted = Span { hi: at.lo, ..base.span };
            self.add(base.span, errors::module_of_a_function(base.span, dotted, module, field));
        } else if matches!(field, "shape" | "size" | "length") {
            self.add(at, errors::shape_of(at, field));
        }
    }

    /// `Sin[x]`, `x[t]`, `x[t - 1]`
    fn index(&mut self, expr: &Expr, base: &Expr, indices: &[IndexExpr], in_equation: bool) {
        let (ExprKind::Name(name), [IndexExpr::At(at)]) = (&base.kind, indices) else { return };
        let lower = name.to_lowercase();
        if self.is_unknown(name) && prelude::function(&lower).is_some() {
            let text = format!("{lower}({})", self.text(at.span));
            self.add(
                expr.span,
                errors::written(
                    expr.span,
                    "functions are called with round brackets",
                    "read as an index",
                    text,
                ),
            );
        } else if self.moving.contains(&**name) && contains_name(at, self.time) {
            let now = matches!(&at.kind, ExprKind::Name(name) if Some(&**name) == self.time);
            self.add(expr.span, errors::time_in_brackets(expr.span, name, now && in_equation));
        }
    }

    fn call(&mut self, expr: &'a Expr, callee: &Expr, args: &[Arg], in_equation: bool) {
        let arguments: Vec<&str> = args
            .iter()
            .filter_map(|arg| match arg {
                Arg::Positional(value) => Some(self.text(value.span)),
                Arg::Named(..) | Arg::Spread(..) | Arg::Comprehension(..) => None,
            })
            .collect();
        let name = match &callee.kind {
            ExprKind::Name(name) => name,
            // `x.sum()`
            ExprKind::Field { base, name } if prelude::function(&name.name).is_some() && args.is_empty() => {
                let text = format!("{}({})", name.name, self.text(base.span));
                self.add(
                    expr.span,
                    errors::written(
                        expr.span,
                        "functions are called by their name",
                        "values have no functions of their own",
                        text,
                    ),
                );
                return;
            }
            _ => return,
        };
        if in_equation
            && self.moving.contains(&**name)
            && arguments.len() == 1
            && Some(arguments[0]) == self.time
        {
            let message = format!("in an equation `{name}` is its value now");
            self.add(
                expr.span,
                errors::written(expr.span, &message, "the time is not written", name.to_string()),
            );
            return;
        }
        if !self.is_unknown(name) {
            return;
        }
        let renamed =
            RENAMED.iter().find(|(other, _)| *other == &**name).map(|(_, here)| (*here).to_string());
        let lower = name.to_lowercase();
        let lower = (lower != **name && prelude::function(&lower).is_some()).then_some(lower);
        if let Some(here) = renamed.or(lower) {
            let message = format!("`{name}` is called `{here}`");
            self.add(
                callee.span,
                errors::written(callee.span, &message, "not a function of the language", here),
            );
            return;
        }
        let replaced = match (&**name, &arguments[..]) {
            ("pow" | "power", [base, exponent]) => {
                Some(("powers are written `^`", format!("{}^{}", bracketed(base), bracketed(exponent))))
            }
            ("square", [base]) => Some(("powers are written `^`", format!("{}^2", bracketed(base)))),
            ("heaviside" | "step" | "H", [x]) => {
                Some(("a step is a choice", format!("(if {x} > 0 then 1 else 0)")))
            }
            ("range", [n]) => Some(("ranges are written `..`", format!("0..{n}"))),
            ("range", [from, to]) => Some(("ranges are written `..`", format!("{from}..{to}"))),
            ("transpose", [a]) => Some(("the transpose is written `.T`", format!("{}.T", bracketed(a)))),
            ("matmul" | "mmul", [a, b]) => {
                Some(("the matrix product is written `@`", format!("{} @ {}", bracketed(a), bracketed(b))))
            }
            ("der" | "diff", [x]) => {
                Some(("derivatives are written with a prime", format!("{}'", bracketed(x))))
            }
            ("array" | "list" | "vector" | "c", [list]) if list.starts_with('[') => {
                Some(("lists are written in square brackets", (*list).to_string()))
            }
            ("c", entries) if entries.len() > 1 => {
                Some(("lists are written in square brackets", format!("[{}]", entries.join(", "))))
            }
            ("float" | "double" | "real", [x]) => {
                Some(("numbers are not converted by a call", (*x).to_string()))
            }
            ("cond" | "ifelse" | "where" | "ite", [c, a, b]) => {
                Some(("a choice is written `if c then a else b`", format!("(if {c} then {a} else {b})")))
            }
            _ => None,
        };
        if let Some((message, text)) = replaced {
            self.add(
                expr.span,
                errors::written(
                    expr.span,
                    message,
                    format!("`{name}` is not a function of the language"),
                    text,
                ),
            );
        }
    }
}

/// `x` as it is, `a + b` in brackets.
fn bracketed(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']' | '\''));
    if plain { text.to_string() } else { format!("({text})") }
}

/// The name whose derivative `dxdt`, `dx_dt`, `x_dot`, `xdot` and `ẋ` spell.
fn differential_name(name: &str) -> Option<String> {
    const DOTTED: [(char, char); 8] =
        [('ẋ', 'x'), ('ẏ', 'y'), ('ż', 'z'), ('ṙ', 'r'), ('ṗ', 'p'), ('ṡ', 's'), ('ṁ', 'm'), ('ṅ', 'n')];
    let spelled = name
        .strip_prefix('d')
        .and_then(|rest| rest.strip_suffix("_dt").or_else(|| rest.strip_suffix("dt")))
        .or_else(|| name.strip_suffix("_dot"))
        .or_else(|| name.strip_suffix("dot"))
        .or_else(|| name.strip_prefix('d'))
        .filter(|base| !base.is_empty());
    let mut chars = name.chars();
    let dotted = match (chars.next(), chars.next()) {
        (Some(only), None) => {
            DOTTED.iter().find(|(dotted, _)| *dotted == only).map(|(_, plain)| plain.to_string())
        }
        _ => None,
    };
    dotted.or_else(|| spelled.map(str::to_string))
}

fn unprimed(expr: &Expr) -> (&Expr, usize) {
    let (mut base, mut primes) = (expr, 0);
    while let ExprKind::Prime(of) = &base.kind {
        base = of;
        primes += 1;
    }
    (base, primes)
}

fn contains_name(expr: &Expr, name: Option<&str>) -> bool {
    let mut found = false;
    expr.walk(&mut |part| found |= matches!(&part.kind, ExprKind::Name(other) if Some(&**other) == name));
    found
}
