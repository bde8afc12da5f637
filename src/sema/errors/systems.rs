//! E05xx: equations and unknowns, and the warnings W060x.

use crate::base::span::Span;
use crate::diag::{Code, Diagnostic, Edit};

/// A state that no equation moves.
/// `left_over` is a constraint that determines nothing, with how many rates, constraints and states
/// there are.
pub fn no_equation(
    span: Span,
    name: &str,
    primes: &str,
    left_over: Option<(Span, [usize; 3])>,
) -> Diagnostic {
    let diagnostic = Diagnostic::new(
        Code("E0501"),
        format!("`{name}` is a state without an equation"),
        span,
        format!("no `{name}{primes} = ...` in this system"),
    );
    let diagnostic = match left_over {
        Some((span, [rates, constraints, states])) => {
            let counted = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
            let (rates, constraints) = (counted(rates, "rate"), counted(constraints, "constraint"));
            let counts = format!("{rates} + {constraints}, {}", counted(states, "state"));
            diagnostic.label(span, format!("this constraint has no unknown of its own: {counts}"))
        }
        None => diagnostic,
    };
    diagnostic
        .help(format!("if the constraint determines `{name}`, declare it `algebraic {name} = 0.0`"))
        .help(format!("if `{name}` changes only in `when` blocks, declare it `discrete {name} = 0.0`"))
}

/// Primes defined by each other. `chain` holds each state and the place of its equation.
pub fn circular_primes(chain: &[(String, Span)]) -> Diagnostic {
    let names: Vec<String> = chain.iter().map(|(name, _)| format!("`{name}'`")).collect();
    let (first, rest) = chain.split_first().expect("a cycle has a member");
    let message = match rest {
        [] => format!("{} is defined by itself", names[0]),
        _ => format!("{} are defined by each other", names.join(" and ")),
    };
    let mut diagnostic = Diagnostic::new(Code("E0502"), message, first.1, "this needs its own value");
    for (name, span) in rest {
        diagnostic = diagnostic.label(*span, format!("and `{name}'` is defined here"));
    }
    diagnostic.help("solve for the primes by hand, so that each stands alone on the left of one equation")
}

/// A prime in a place that is not linear.
pub fn nonlinear_prime(span: Span, name: &str, how: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0503"),
        "a system must be linear in its derivatives",
        span,
        format!("`{name}'` {how}"),
    )
    .note("nodec reads the mass matrix off the equations as the coefficients of the primes")
    .help(format!("solve for `{name}'` by hand, or name it: `algebraic v = 1.0`, `{name}' = v`"))
}

/// Two equations for one state.
pub fn two_equations(name: &str, first: Span, second: Span) -> Diagnostic {
    Diagnostic::new(Code("E0504"), format!("`{name}` has two equations"), second, "and here again")
        .label(first, "its motion is given here")
}

/// A channel that is read during the run.
pub fn channel_feeds_back(name: &str, used: Span, declared: Span, item: Span, integrand: &str) -> Diagnostic {
    let text = format!("state {name} = 0.0\n{name}' = {integrand}");
    Diagnostic::new(
        Code("E0505"),
        format!("channel `{name}` is used in an equation of motion"),
        used,
        "a channel only accumulates; nothing may depend on it during the run",
    )
    .label(declared, "declared a channel here")
    .fix("if the feedback is meant, make it part of the state", vec![Edit { span: item, text }])
}

/// A state without a start value.
pub fn no_start(span: Span, name: &str) -> Diagnostic {
    Diagnostic::new(Code("E0510"), format!("`{name}` has no start value"), span, "where does it begin?")
        .help(format!("write `state {name} = 0.0`"))
}

/// An equation for something that is not an unknown.
pub fn not_an_unknown(span: Span, name: &str, noun: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0511"),
        format!("`{name}` is a {noun}, so it has no equation of motion"),
        span,
        "not a state",
    )
    .help(format!("declare it a state: `state {name} = 0.0`"))
}

/// A prime of too low an order on the left.
pub fn wrong_order(span: Span, name: &str, declared: u32, found: u32) -> Diagnostic {
    let primes = |n: u32| "'".repeat(n as usize);
    let message = format!(
        "the equation of `{name}` gives `{name}{}`, but its declaration asks for `{name}{}`",
        primes(found),
        primes(declared)
    );
    Diagnostic::new(Code("E0512"), message, span, "the order does not agree")
        .help(format!("a second-order state has two start values: `state {name} = 0.0, {name}' = 0.0`"))
}

/// A system without a time.
pub fn no_time(span: Span) -> Diagnostic {
    Diagnostic::new(Code("E0513"), "this system has no time", span, "moves along which interval?")
        .help("write `time t in 0..10`")
}

/// A param that training cannot move.
pub fn idle_param(span: Span, name: &str) -> Diagnostic {
    Diagnostic::new(
        Code("W0601"),
        format!("no loss depends on `param {name}`, so training cannot change it"),
        span,
        "keeps its starting value",
    )
    .help(format!("if it is fixed, declare it `const {name}`"))
}

/// A channel that nobody evaluates.
pub fn idle_channel(span: Span, name: &str) -> Diagnostic {
    Diagnostic::new(Code("W0602"), format!("nobody evaluates the channel `{name}`"), span, "computed in vain")
        .help(format!("use `{name}(end)` in a loss or an output, or plot it"))
}

/// A system is called with what moves.
pub fn system_in_an_equation(span: Span, system: &str, moving: Span) -> Diagnostic {
    let message = format!("the system `{system}` is run inside of an equation");
    Diagnostic::new(Code("E0411"), message, span, "this would be a whole run at every time")
        .label(moving, "this varies with time")
        .help("run it before or after: from a `let`, a loss, or the start value of a state")
}

/// The caller gives a name twice.
pub fn given_twice(span: Span, name: &str) -> Diagnostic {
    let message = format!("`{name}` is given twice");
    Diagnostic::new(Code("E0204"), message, span, "here again").help("give every state and channel once")
}

/// A state has no start of its own, and the caller gives none.
pub fn start_not_given(span: Span, system: &str, state: &str, declared: Span) -> Diagnostic {
    let message = format!("the state `{state}` of `{system}` has no start value");
    Diagnostic::new(Code("E0510"), message, span, format!("`{state}` is not given here"))
        .label(declared, "declared without one here")
        .help(format!("give it in the call, as in `({state} = ...)`"))
}

/// What moves with one system is used in another.
pub fn another_systems(span: Span, system: &str) -> Diagnostic {
    let message = format!("this varies along the run of `{system}`, which is another one");
    Diagnostic::new(Code("E0412"), message, span, "has no value here")
        .help("a system gives its states and channels at the end of a call; hand over what is needed as an argument")
}

/// Runs that need each other's results.
pub fn runs_in_a_circle(circle: &[(String, Span)]) -> Diagnostic {
    let Some(((name, span), others)) = circle.split_first() else { crate::bug!("an empty circle") };
    let message = format!("the run of `{name}` needs its own result");
    let mut diagnostic = Diagnostic::new(Code("E0413"), message, *span, "needed to begin");
    for (other, span) in others {
        diagnostic = diagnostic.label(*span, format!("by way of `{other}`"));
    }
    diagnostic.help("what a system starts from must be known before it runs")
}
