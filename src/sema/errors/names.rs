//! E02xx: names, and what is not built yet. E0112, Leibniz' notation, is here too, since only
//! names tell it from a quotient.

use crate::base::span::Span;
use crate::diag::{Code, Diagnostic, Edit};

/// `dx/dt = …`
pub fn leibniz(span: Span, state: &str, numerator: &str, denominator: &str, is_state: bool) -> Diagnostic {
    let known = if is_state { format!(", but `{state}` is a state") } else { String::new() };
    Diagnostic::new(
        Code("E0112"),
        "derivatives are written with a prime",
        span,
        format!("`{numerator}` and `{denominator}` are not defined{known}"),
    )
    .fix("write", vec![Edit { span, text: format!("{state}'") }])
}

/// A name that nothing defines. `similar` is the noun and the name of the nearest known one.
pub fn unknown_name(span: Span, name: &str, similar: Option<(&str, &str)>) -> Diagnostic {
    let diagnostic = Diagnostic::new(
        Code("E0201"),
        format!("cannot find `{name}` in this system"),
        span,
        "not a state, param, const, input or let",
    );
    with_similar(diagnostic, span, similar)
}

/// A function that nothing defines.
pub fn unknown_function(span: Span, name: &str, similar: Option<(&str, &str)>) -> Diagnostic {
    let message = format!("cannot find the function `{name}`");
    let diagnostic =
        Diagnostic::new(Code("E0201"), message, span, "not a function of the language or of this file");
    with_similar(diagnostic, span, similar)
}

fn with_similar(diagnostic: Diagnostic, span: Span, similar: Option<(&str, &str)>) -> Diagnostic {
    match similar {
        Some((noun, other)) => {
            let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            let help = format!("{article} {noun} with a similar name exists");
            diagnostic.fix(help, vec![Edit { span, text: other.to_owned() }])
        }
        None => diagnostic,
    }
}

/// A field that a data set does not have.
pub fn unknown_field(span: Span, data: &str, field: &str, known: &[&str]) -> Diagnostic {
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    Diagnostic::new(Code("E0202"), format!("`{data}` has no field `{field}`"), span, "not in its schema")
        .help(format!("it has {}", known.join(", ")))
}

/// A name that is not what its place asks for.
pub fn wrong_kind(span: Span, what: impl Into<String>, expected: &str) -> Diagnostic {
    Diagnostic::new(Code("E0203"), what, span, format!("expected {expected}"))
}

/// A call with the wrong arguments.
pub fn wrong_arguments(span: Span, callee: &str, expected: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::new(
        Code("E0204"),
        format!("`{callee}` does not take these arguments"),
        span,
        format!("it takes {expected}"),
    )
}

/// `interval(2, 1)`
pub fn interval_reversed(span: Span, lo: f64, hi: f64) -> Diagnostic {
    Diagnostic::new(
        Code("E0204"),
        "the ends of this interval are the wrong way round",
        span,
        format!("{lo} is above {hi}"),
    )
    .fix("write the lower end first", vec![Edit { span, text: format!("interval({hi}, {lo})") }])
}

/// Two items of one name.
pub fn defined_twice(name: &str, first: Span, second: Span) -> Diagnostic {
    Diagnostic::new(Code("E0205"), format!("`{name}` is defined twice"), second, "here again")
        .label(first, "first defined here")
        .help("give one of them another name")
}

/// Definitions that need each other.
pub fn circular_definition(name: &str, span: Span, used: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0206"),
        format!("`{name}` is defined by itself"),
        used,
        "needed here to know itself",
    )
    .label(span, "declared here")
    .help("if a motion is meant, write it as an equation: `x' = ...`")
}

/// `~` with something other than data on its left. `param` is the param and `text` the expression.
pub fn likelihood_of_params(
    span: Span,
    statement: Span,
    param: Option<&str>,
    fix: Option<String>,
) -> Diagnostic {
    let label = match param {
        Some(param) => {
            format!("this transforms the param `{param}`, and the density would need a Jacobian term")
        }
        None => "no data field here".to_owned(),
    };
    let what = if param.is_some() { "params" } else { "other things" };
    let message = format!("the left of `~` must be data, found an expression of {what}");
    let diagnostic = Diagnostic::new(Code("E0214"), message, span, label);
    match fix {
        Some(text) => diagnostic.fix(
            "put the prior on the declaration, on the scale you think in",
            vec![Edit { span: statement, text }],
        ),
        None => diagnostic.help("priors stand on the declaration: `param k = 1 ~ normal(0, 1)`"),
    }
}

/// In the language, not built yet.
pub fn not_yet(span: Span, what: impl std::fmt::Display, instead: impl Into<String>) -> Diagnostic {
    Diagnostic::new(
        Code("E0290"),
        format!("{what} not supported yet"),
        span,
        "in the language, but not built",
    )
    .help(instead)
}

/// A function that calls itself.
pub fn recursion(name: &str, call: Span, declared: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0320"),
        format!("`{name}` calls itself"),
        call,
        "functions are inlined, so this would not end",
    )
    .label(declared, "declared here")
    .help("write the iteration as a comprehension or a reduction over a range")
}

/// `--set` gives a const another number of elements.
pub fn override_count(span: Span, name: &str, ty: &crate::sema::typed::Ty, given: usize) -> Diagnostic {
    Diagnostic::new(
        Code("E0802"),
        format!("`{name}` is {ty}, but {given} {} set", if given == 1 { "entry is" } else { "entries are" }),
        span,
        "declared here",
    )
}

/// Nobody has given the values of a data field.
pub fn no_data(span: Span, path: &str) -> Diagnostic {
    Diagnostic::new(Code("E0705"), format!("there are no values for `{path}`"), span, "declared here")
}

/// The values of a data field have another shape than the schema says, or two files disagree on a
/// size of one name.
pub fn data_shape(span: Span, path: &str, expected: &str, found: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0704"),
        format!("`{path}` should be {expected}, found {found}"),
        span,
        "declared here",
    )
    .note("one name is one size in the whole program")
}

/// A starting value on or beyond the border of the set its param lives in.
pub fn outside_its_set(
    span: Span,
    name: &str,
    values: &[f64],
    set: crate::ir::program::Constraint,
) -> Diagnostic {
    use crate::ir::program::Constraint;
    let set = match set {
        Constraint::Free => "the real numbers".to_owned(),
        Constraint::Positive => "the positive numbers".to_owned(),
        Constraint::Interval(lo, hi) => format!("the numbers between {lo} and {hi}, ends excluded"),
    };
    let values: Vec<String> = values.iter().map(f64::to_string).collect();
    let message = format!("param `{name}` starts at {}, outside {set}", values.join(", "));
    Diagnostic::new(Code("E0806"), message, span, "must start inside the set it lives in")
        .help("start it inside, or change the set after `in`")
}
