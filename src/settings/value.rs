//! Reading the value of a setting: literals, arithmetic on them, names and calls.

use super::errors;
use super::table::{Choice, Kind, Row};
use crate::base::span::Span;
use crate::diag::Diagnostic;
use crate::solve::method::Method;
use crate::syntax::ast::{Arg, BinaryOp, Expr, ExprKind, UnaryOp};

/// A value of the type that its row asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A whole number.
    Count(u64),
    /// Times, or whole numbers.
    List(Vec<f64>),
    /// `true` or `false`.
    Flag(bool),
    /// A name.
    Term(String),
    /// Names of unknowns, each with its place.
    Unknowns(Vec<(String, Span)>),
    /// The name of a method that is built.
    Method(&'static str),
    /// A choice that is built, with every argument in the order of its table.
    Choice(&'static str, Vec<Value>),
}

/// The number that a literal or arithmetic on literals stands for.
pub fn number(expr: &Expr) -> Option<f64> {
    match &expr.kind {
        ExprKind::Int(value) => Some(*value as f64),
        ExprKind::Float(value) => Some(*value),
        ExprKind::Paren(inner) => number(inner),
        ExprKind::Unary(UnaryOp::Neg, inner) => Some(-number(inner)?),
        ExprKind::Binary { op, lhs, rhs, .. } => {
            let (lhs, rhs) = (number(lhs)?, number(rhs)?);
            match op {
                BinaryOp::Add => Some(lhs + rhs),
                BinaryOp::Sub => Some(lhs - rhs),
                BinaryOp::Mul => Some(lhs * rhs),
                BinaryOp::Div => Some(lhs / rhs),
                BinaryOp::Pow => Some(libm::pow(lhs, rhs)),
                BinaryOp::MatMul
                | BinaryOp::Eq
                | BinaryOp::Ne
                | BinaryOp::Lt
                | BinaryOp::Le
                | BinaryOp::Gt
                | BinaryOp::Ge
                | BinaryOp::And
                | BinaryOp::Or => None,
            }
        }
        _ => None,
    }
}

/// The entries, row-major, of a literal number or a nest of lists of them.
pub fn numbers(expr: &Expr) -> Option<Vec<f64>> {
    let ExprKind::Array(entries) = &expr.unparenthesised().kind else {
        return number(expr).map(|number| vec![number]);
    };
    let mut all = Vec::new();
    for entry in entries {
        match entry {
            Arg::Positional(entry) => all.extend(numbers(entry)?),
            Arg::Named(..) | Arg::Spread(..) | Arg::Comprehension(..) => return None,
        }
    }
    Some(all)
}

/// The value of `expr` for `row`, or E0802 or E0290.
pub fn read(row: &Row, key: &str, kind: Kind, expr: &Expr) -> Result<Value, Box<Diagnostic>> {
    let wrong = || Box::new(errors::wrong_type(key, kind, row.doc, expr.span));
    match kind {
        Kind::Positive | Kind::PerState => bounded(expr, |x| x > 0.0).ok_or_else(wrong),
        Kind::Any => bounded(expr, |_| true).ok_or_else(wrong),
        Kind::NonNegative => bounded(expr, |x| x >= 0.0).ok_or_else(wrong),
        Kind::Share => bounded(expr, |x| (0.0..1.0).contains(&x)).ok_or_else(wrong),
        Kind::AtMostOne => bounded(expr, |x| x > 0.0 && x <= 1.0).ok_or_else(wrong),
        Kind::AtLeastOne => bounded(expr, |x| x >= 1.0).ok_or_else(wrong),
        Kind::Count => whole(expr).filter(|n| *n >= 1).map(Value::Count).ok_or_else(wrong),
        Kind::Seed => whole(expr).map(Value::Count).ok_or_else(wrong),
        Kind::Flag => match expr.unparenthesised().kind {
            ExprKind::Bool(flag) => Ok(Value::Flag(flag)),
            _ => Err(wrong()),
        },
        Kind::Counts => {
            let counts = match &expr.unparenthesised().kind {
                ExprKind::Array(_) => numbers(expr).ok_or_else(wrong)?,
                _ => return Err(wrong()),
            };
            let increasing = counts.windows(2).all(|pair| pair[0] < pair[1]);
            let whole = counts.iter().all(|count| *count >= 1.0 && count.fract() == 0.0);
            if increasing && whole { Ok(Value::List(counts)) } else { Err(wrong()) }
        }
        Kind::Term => term(expr).map(Value::Term).ok_or_else(wrong),
        Kind::Method => {
            let ExprKind::Name(name) = &expr.unparenthesised().kind else { return Err(wrong()) };
            let method = Method::by_name(name).ok_or_else(|| errors::unknown_method(name, expr.span))?;
            Ok(Value::Method(method.name))
        }
        Kind::Times(choices) => match &expr.unparenthesised().kind {
            ExprKind::Array(args) => times(args).ok_or_else(wrong),
            _ => choose(row, key, kind, choices, expr),
        },
        Kind::Unknowns(choices) => match &expr.unparenthesised().kind {
            ExprKind::Array(args) => unknowns(args).ok_or_else(wrong),
            _ => choose(row, key, kind, choices, expr),
        },
        Kind::OneOf(choices) => choose(row, key, kind, choices, expr),
    }
}

/// The value of `name(args)` or `name` among `choices`.
fn choose(
    row: &Row,
    key: &str,
    kind: Kind,
    choices: &'static [Choice],
    expr: &Expr,
) -> Result<Value, Box<Diagnostic>> {
    let wrong = || Box::new(errors::wrong_type(key, kind, row.doc, expr.span));
    let (name, args): (&str, &[Arg]) = match &expr.unparenthesised().kind {
        ExprKind::Name(name) => (name, &[]),
        ExprKind::Call { callee, args } => match &callee.kind {
            ExprKind::Name(name) => (name, args),
            _ => return Err(wrong()),
        },
        _ => return Err(wrong()),
    };
    let choice = choices.iter().find(|choice| choice.name == name).ok_or_else(wrong)?;
    if !choice.built {
        return Err(Box::new(errors::not_built(&format!("{key} = {name}"), expr.span, kind)));
    }
    let mut values: Vec<Option<Value>> = vec![None; choice.args.len()];
    for (position, arg) in args.iter().enumerate() {
        let (slot, value) = match arg {
            Arg::Positional(value) => (position, value),
            Arg::Named(ident, value) => {
                let slot = choice.args.iter().position(|known| *known.name == *ident.name);
                (slot.ok_or_else(|| errors::unknown_argument(choice, &ident.name, ident.span))?, value)
            }
            Arg::Spread(inner, _) | Arg::Comprehension(inner, _) => {
                return Err(Box::new(errors::wrong_type(key, kind, row.doc, inner.span)));
            }
        };
        let known = choice.args.get(slot).ok_or_else(|| errors::too_many_arguments(choice, value.span))?;
        let key = format!("{key}.{}", known.name);
        values[slot] = Some(read(&Row { doc: known.doc, ..*row }, &key, known.kind, value)?);
    }
    let values = values.into_iter().zip(choice.args).map(|(value, known)| match (value, known.default) {
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default_of(known.kind, default)),
        (None, None) => Err(Box::new(errors::missing_argument(choice, known, expr.span))),
    });
    let values: Vec<Value> = values.collect::<Result<_, _>>()?;
    match values.as_slice() {
        [_, _, Value::Count(count)] if matches!(kind, Kind::Times(_)) && *count > MAX_TIMES => {
            Err(Box::new(errors::too_many_times(key, *count, MAX_TIMES, expr.span)))
        }
        _ => Ok(Value::Choice(choice.name, values)),
    }
}

/// Most times that a grid may have.
const MAX_TIMES: u64 = 10_000_000;

/// The value of a default as it is spelled in the table. Defaults of choices have no arguments.
pub fn default_of(kind: Kind, text: &'static str) -> Value {
    let plain = text.replace('_', "");
    match kind {
        Kind::Any
        | Kind::Positive
        | Kind::NonNegative
        | Kind::Share
        | Kind::AtMostOne
        | Kind::AtLeastOne
        | Kind::PerState => {
            Value::Number(plain.parse().unwrap_or_else(|_| crate::bug!("`{text}` is not a number")))
        }
        Kind::Count | Kind::Seed => {
            Value::Count(plain.parse().unwrap_or_else(|_| crate::bug!("`{text}` is not a count")))
        }
        Kind::Flag => Value::Flag(text == "true"),
        Kind::Term => Value::Term(text.to_owned()),
        Kind::Counts => crate::bug!("no list of counts has a default"),
        Kind::Method => Value::Method(text),
        Kind::OneOf(choices) | Kind::Times(choices) | Kind::Unknowns(choices) => {
            let name = text.trim_end_matches("()");
            let choice = choices.iter().find(|choice| choice.name == name);
            let choice = choice.unwrap_or_else(|| crate::bug!("`{text}` is not among its choices"));
            let args = choice.args.iter().map(|arg| match arg.default {
                Some(default) => default_of(arg.kind, default),
                None => crate::bug!("the default `{text}` needs an argument"),
            });
            Value::Choice(choice.name, args.collect())
        }
    }
}

/// `nll`, `obs.y` or `"prior k"`
fn term(expr: &Expr) -> Option<String> {
    match &expr.unparenthesised().kind {
        ExprKind::Name(name) | ExprKind::Str(name) => Some(name.to_string()),
        ExprKind::Field { base, name, .. } => Some(format!("{}.{}", term(base)?, name.name)),
        _ => None,
    }
}

/// The names in a list that is not empty; primes belong to them.
fn unknowns(args: &[Arg]) -> Option<Value> {
    let name = |arg: &Arg| match arg {
        Arg::Positional(expr) => unknown(expr).map(|name| (name, expr.span)),
        Arg::Named(..) | Arg::Spread(..) | Arg::Comprehension(..) => None,
    };
    let names = args.iter().map(name).collect::<Option<Vec<_>>>()?;
    (!names.is_empty()).then_some(Value::Unknowns(names))
}

/// `x` or `x'`
fn unknown(expr: &Expr) -> Option<String> {
    match &expr.unparenthesised().kind {
        ExprKind::Name(name) => Some(name.to_string()),
        ExprKind::Prime(inner) => Some(unknown(inner)? + "'"),
        _ => None,
    }
}

fn bounded(expr: &Expr, allowed: impl Fn(f64) -> bool) -> Option<Value> {
    number(expr).filter(|x| x.is_finite() && allowed(*x)).map(Value::Number)
}

/// A whole number of at least 0; `1e4` is one.
fn whole(expr: &Expr) -> Option<u64> {
    if let ExprKind::Int(value) = expr.unparenthesised().kind {
        return u64::try_from(value).ok();
    }
    // Below 2⁵³ every whole `f64` is exact.
    number(expr).filter(|x| x.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(x)).map(|x| x as u64)
}

fn times(args: &[Arg]) -> Option<Value> {
    let time = |arg: &Arg| match arg {
        Arg::Positional(expr) => number(expr).filter(|x| x.is_finite()),
        Arg::Named(..) | Arg::Spread(..) | Arg::Comprehension(..) => None,
    };
    args.iter().map(time).collect::<Option<Vec<f64>>>().map(Value::List)
}

/// `count` numbers from `from` to `to`, both included.
pub fn linspace(from: f64, to: f64, count: u64) -> Vec<f64> {
    let last = count.saturating_sub(1).max(1) as f64;
    (0..count).map(|k| if k as f64 == last { to } else { from + (to - from) * (k as f64 / last) }).collect()
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// Nobody set it.
    BuiltIn,
    /// A `solve`, `train` or `run` block.
    File(Span),
    /// A profile.
    Profile(String, Span),
    /// The command line.
    CommandLine(Span),
}

impl Origin {
    /// Where it was set; `None` for a built-in default.
    pub fn span(&self) -> Option<Span> {
        match self {
            Origin::BuiltIn => None,
            Origin::File(span) | Origin::Profile(_, span) | Origin::CommandLine(span) => Some(*span),
        }
    }
}
