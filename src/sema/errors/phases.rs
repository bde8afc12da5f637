//! E04xx: a value that is known too late for its place.

use crate::base::span::Span;
use crate::diag::{Code, Diagnostic, Edit};

/// A trajectory where a number is needed. `place` is `a loss`; `times` an expression for the times
/// of the data, if there is one at hand; `callable` whether the thing can take a time as it stands.
pub fn varies_with_time(
    span: Span,
    name: &str,
    place: &str,
    times: Option<&str>,
    callable: bool,
) -> Diagnostic {
    let message = format!("`{name}` varies with time, and {place} needs a number");
    let mut diagnostic = Diagnostic::new(Code("E0401"), message, span, "which time?");
    if !callable {
        return diagnostic.help("give it a name with `let` and evaluate that: `name(end)`");
    }
    let after = Span { lo: span.hi, ..span };
    if let Some(times) = times {
        diagnostic = diagnostic.fix(
            "evaluate it at the times of the data",
            vec![Edit { span: after, text: format!("({times})") }],
        );
        return diagnostic
            .fix("or at the end of the run", vec![Edit { span: after, text: "(end)".to_owned() }]);
    }
    diagnostic.fix("evaluate it at the end of the run", vec![Edit { span: after, text: "(end)".to_owned() }])
}

/// A param or data where a static number is needed.
pub fn known_too_late(span: Span, name: &str, known: &str, place: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0402"),
        format!("`{name}` is known only {known}, and {place} needs a number known before"),
        span,
        "too late here",
    )
}

/// A trajectory inside an equation.
pub fn delay(span: Span, name: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0403"),
        format!("delays are not supported yet: `{name}` at another time inside an equation"),
        span,
        "an equation sees only the present",
    )
    .help(format!(
        "`{name}` alone is its value now; a start value can be named by the param or const it comes from"
    ))
}

/// A time for a trajectory that itself varies with time.
pub fn moving_site(span: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0403"),
        "delays are not supported yet: this time varies along the run",
        span,
        "must be known before the run",
    )
}

/// A time given to something that does not vary.
pub fn not_a_trajectory(span: Span, name: &str, what: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0404"),
        format!("`{name}` is {what}, not a trajectory or a function"),
        span,
        "cannot be called",
    )
    .help("leave the parentheses away, or put `*` for a product")
}
