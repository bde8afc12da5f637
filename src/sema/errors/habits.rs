//! What other languages write differently, where only names tell: E0112, E0119 and E0215.

use crate::base::span::Span;
use crate::diag::{Code, Diagnostic, Edit};

/// E0119: something that is written `text` here.
pub fn written(span: Span, message: &str, label: impl Into<String>, text: String) -> Diagnostic {
    Diagnostic::new(Code("E0119"), message, span, label).fix("write", vec![Edit { span, text }])
}

/// E0112: `der(x) = …`, `dxdt = …`, `x'(t) = …`
pub fn other_rate(span: Span, text: &str, state: &str, primes: usize) -> Diagnostic {
    let here = format!("{state}{}", "'".repeat(primes));
    let label = if text.contains('\'') {
        "the time is not written".to_string()
    } else {
        format!("`{state}` is a state, and its rate is `{here}`")
    };
    Diagnostic::new(Code("E0112"), "derivatives are written with a prime", span, label)
        .fix("write", vec![Edit { span, text: here }])
}

/// E0119: `np.exp`. `dotted` also covers the point.
pub fn module_of_a_function(span: Span, dotted: Span, module: &str, field: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0119"),
        "functions are called without a module",
        span,
        format!("there is no `{module}` here"),
    )
    .fix(format!("`{field}` alone"), vec![Edit { span: dotted, text: String::new() }])
}

/// E0119: `None`
pub fn no_value(span: Span, name: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0119"),
        "there is no missing value",
        span,
        format!("`{name}` is not a name of the language"),
    )
    .help("leave the declaration without a value: `param k`, `input dose`; in a choice give both values")
}

/// E0119: `x.shape`
pub fn shape_of(span: Span, field: &str) -> Diagnostic {
    Diagnostic::new(Code("E0119"), "sizes are names in types", span, format!("values have no `{field}`"))
        .help("name the size where the value is declared, `const N = 3` and `state x: [N]`; the first size of `x` is `len(x)`")
}

/// E0119: `time t in [0, 10]`
pub fn interval_in_brackets(span: Span, range: String) -> Diagnostic {
    written(span, "the interval of time is a range", "a list of two numbers", range)
}

/// E0119: `x[t]`, `x[t - 1]`. `now` is whether the value at this moment is meant.
pub fn time_in_brackets(span: Span, state: &str, now: bool) -> Diagnostic {
    if now {
        let message = format!("in an equation `{state}` is its value now");
        return written(span, &message, "square brackets take a part of a list", state.to_string());
    }
    Diagnostic::new(
        Code("E0119"),
        "another time is not an index",
        span,
        "square brackets take a part of a list",
    )
    .note("the solver chooses its own steps; there is no step before this one")
    .help(format!("its rate is `{state}'`, its value now `{state}`, and outside the equations `{state}(2.5)` is its value at a time"))
}

/// E0119: `return -x` in a block. `expr` is all of it, `text` the value.
pub fn returned(word: Span, expr: Span, text: String) -> Diagnostic {
    Diagnostic::new(
        Code("E0119"),
        "the last line of a block is its value",
        word,
        "nothing is returned by a word",
    )
    .fix("leave it away", vec![Edit { span: expr, text }])
}

/// E0215: `k = 0.5` where nothing declares `k`. `number` is whether a plain number stands on the
/// right, `interval` whether the name is that of an interval of time elsewhere.
pub fn undeclared(
    name: Span,
    item: Span,
    text: &str,
    value: &str,
    number: bool,
    interval: bool,
) -> Diagnostic {
    let start = Span { hi: name.lo, ..name };
    let diagnostic = Diagnostic::new(
        Code("E0215"),
        format!("this does not say what `{text}` is"),
        name,
        "`=` alone states an equation between things that are known",
    );
    let insert = |word: &str| vec![Edit { span: start, text: format!("{word} ") }];
    if interval {
        let range = value.trim_matches(['[', ']', '(', ')']).replace(", ", "..").replace(',', "..");
        let edits = vec![Edit { span: item, text: format!("time t in {range}") }];
        return diagnostic.fix("for the time of the run write", edits);
    }
    if number {
        diagnostic
            .fix("for a number that stays as it is write", insert("const"))
            .fix("for a number to fit, or to set from outside, write", insert("param"))
    } else {
        diagnostic.fix("for a name of the expression write", insert("let"))
    }
}

/// E0215: `x(0) = 1`. `known` is whether `x` is declared.
pub fn start_as_equation(item: Span, lhs: Span, name: &str, value: &str, known: bool) -> Diagnostic {
    let diagnostic = Diagnostic::new(
        Code("E0215"),
        "start values stand on the declaration",
        lhs,
        "not an equation that holds at every moment",
    );
    if known {
        diagnostic.help(format!(
            "write `state {name} = {value}` where `{name}` is declared, and leave this line away"
        ))
    } else {
        diagnostic.fix("write", vec![Edit { span: item, text: format!("state {name} = {value}") }])
    }
}
