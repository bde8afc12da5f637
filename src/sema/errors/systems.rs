//! E05xx: equations and unknowns, and the warnings W060x.

use crate::base::span::Span;
use crate::diag::{Code, Diagnostic, Edit};
use crate::ir::constraint::Constraint;
use crate::sema::typed::Ty;

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

/// A prime in a place that is not linear; `named` is a free name and the line with it in place of
/// the prime.
pub fn nonlinear_prime(
    span: Span,
    name: &str,
    primes: u32,
    how: &str,
    named: Option<(&str, &str)>,
) -> Diagnostic {
    let prime = format!("{name}{}", "'".repeat(primes as usize));
    Diagnostic::new(
        Code("E0503"),
        "a system must be linear in its derivatives",
        span,
        format!("`{prime}` {how}"),
    )
    .note("nodec reads the mass matrix off the equations as the coefficients of the primes")
    .help(match named {
        Some((free, line)) => format!(
            "solve for `{prime}` by hand, or name it: `algebraic {free} = 1.0`, `{prime} = {free}`, `{line}`"
        ),
        None => format!("solve for `{prime}` by hand, or name it: `algebraic v = 1.0`, `{prime} = v`"),
    })
}

/// A noise that does not enter linearly.
pub fn nonlinear_noise(span: Span, name: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0503"),
        format!("a system must be linear in its noise, and `{name}'` is not"),
        span,
        "a power or a product of white noise has no meaning",
    )
    .note("nodec reads the diffusion off the equations as the coefficient of the noise")
}

/// Two equations for one state.
pub fn two_equations(name: &str, first: Span, second: Span) -> Diagnostic {
    Diagnostic::new(Code("E0504"), format!("`{name}` has two equations"), second, "and here again")
        .label(first, "its motion is given here")
}

/// More equations than unknowns. `names` are the unknowns that the line speaks of directly or
/// through the lines `others`.
pub fn too_many_equations(span: Span, names: &[String], others: &[Span]) -> Diagnostic {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let message = match names.as_slice() {
        [] => "this equation has no unknown of its own".to_owned(),
        _ => format!("one equation too many for {}", names.join(" and ")),
    };
    let mut diagnostic = Diagnostic::new(Code("E0504"), message, span, "nothing is left for it to determine");
    for other in others.iter().take(3) {
        diagnostic = diagnostic.label(*other, "determined by this one already");
    }
    diagnostic.help("leave one of them away, or declare what it determines: `algebraic z = 0.0`")
}

/// An algebraic unknown for which there are too few equations.
pub fn no_constraint(span: Span, name: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0501"),
        format!("`{name}` is algebraic, and no constraint determines it"),
        span,
        "not one equation is left for it",
    )
    .help(format!("write a constraint with it, such as `0 = {name} - 1`"))
    .help(format!("if it has a rate, declare it `state {name} = 0.0`"))
}

/// A constraint without the algebraic unknown it should determine. `derivative` is the lowest
/// derivative of the constraint that has it, with its order.
pub fn index_above_one(
    span: Span,
    name: &str,
    declared: Span,
    derivative: Option<(u32, String)>,
) -> Diagnostic {
    let diagnostic = Diagnostic::new(
        Code("E0506"),
        format!("the constraints do not determine `{name}` (the index is above 1)"),
        span,
        format!("`{name}` does not occur in this constraint"),
    )
    .label(declared, "declared algebraic");
    match derivative {
        Some((order, text)) => {
            let nth = ["first", "second", "third"][(order as usize).clamp(1, 3) - 1];
            diagnostic
                .help(format!("its {nth} derivative has `{name}`: write `{text}` instead"))
                .note("start values must then satisfy the constraint and its lower derivatives")
        }
        None => diagnostic.help(format!("differentiate constraints by hand until `{name}` appears")),
    }
}

/// The prime of an unknown driven by noise.
pub fn prime_of_noisy(span: Span, name: &str, equation: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0507"),
        format!("`{name}` is driven by noise, so `{name}'` has no value"),
        span,
        "used here",
    )
    .label(equation, "noise enters here")
    .help("write out the part of the rate that is meant, without the noise")
}

/// The prime of a noise outside of the equations.
pub fn noise_elsewhere(span: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0507"),
        "white noise has no value outside of the equations of states",
        span,
        "nowhere to enter",
    )
    .help("make what it drives a state: `state s = 0.0`, `s' = W'`")
}

/// A noise without its prime.
pub fn bare_noise(span: Span) -> Diagnostic {
    Diagnostic::new(Code("E0507"), "a noise enters by its first prime", span, "not `W'`")
        .help("for the process itself make a state of it: `state w = 0.0`, `w' = W'`")
}

/// A prime that no line gives and that can therefore not be used. `noun` is what the unknown is.
pub fn no_prime(span: Span, name: &str, declared: Span, noun: &str) -> Diagnostic {
    let diagnostic = Diagnostic::new(
        Code("E0508"),
        format!("`{name}'` is not known here: no line `{name}' = ...` gives it"),
        span,
        "nothing to substitute",
    );
    match noun {
        "algebraic" => diagnostic.label(declared, format!("`{name}` is algebraic")),
        _ => diagnostic.label(declared, format!("the prime of `{name}` stands in implicit lines only")),
    }
    .help(format!("solve one line for `{name}'`, so that it stands alone on the left"))
}

/// An equality that a run passes through in an instant. `times` is what the time is compared with.
pub fn equality_in_when(span: Span, times: Option<String>) -> Diagnostic {
    let message = "`==` holds for an instant, and a condition must become true";
    let diagnostic = Diagnostic::new(Code("E0509"), message, span, "never seen to hold");
    match times {
        Some(times) => diagnostic.help(format!("for a time write `at {times} {{ ... }}`")),
        None => diagnostic.help("write `<` or `>`: the event happens when the value passes"),
    }
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

/// An unknown without a start value.
pub fn no_start(span: Span, noun: &str, name: &str) -> Diagnostic {
    Diagnostic::new(Code("E0510"), format!("`{name}` has no start value"), span, "where does it begin?")
        .help(format!("write `{noun} {name} = 0.0`"))
}

/// A start value for the prime of something without a rate.
pub fn prime_without_rate(span: Span, name: &str, noun: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0511"),
        format!("`{name}` is declared {noun}, so it has no rate"),
        span,
        "only a state has primes",
    )
    .help(format!("write `{noun} {name} = 0.0`"))
}

/// A rate for something without one.
pub fn rate_of_restless(span: Span, name: &str, noun: &str) -> Diagnostic {
    let by = if noun == "algebraic" { "a constraint determines it" } else { "only events change it" };
    Diagnostic::new(Code("E0511"), format!("`{name}` is declared {noun}, so it has no rate"), span, by)
        .help(format!("if this line moves it, declare it `state {name} = 0.0`"))
}

/// The prime of something that rests.
pub fn prime_of_discrete(span: Span, name: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0602"),
        format!("`{name}` is discrete: it rests between events, and has no rate"),
        span,
        "this would be zero",
    )
}

/// What is left of `:=` and cannot jump.
pub fn not_assignable(span: Span, found: Option<(&str, &str)>) -> Diagnostic {
    let message = match found {
        Some((name, noun)) => {
            let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            format!("`{name}` is {article} {noun}, and only states and discretes jump")
        }
        None => "only states and discretes jump".to_owned(),
    };
    Diagnostic::new(Code("E0515"), message, span, "cannot be assigned")
        .help("assign the whole of an unknown, `v := ...`, or one element, `v[0] := ...`")
}

/// An unknown that gets two values in one event.
pub fn assigned_twice(span: Span, name: &str, first: Span) -> Diagnostic {
    Diagnostic::new(Code("E0515"), format!("`{name}` is assigned twice in one event"), span, "and here again")
        .label(first, "assigned here")
        .note("assignments are simultaneous: each reads the values just before")
}

/// A value for an integer that need not be one.
pub fn not_whole(span: Span, name: &str, declared: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0308"),
        format!("`{name}` is an int, and this need not be a whole number"),
        span,
        "a real",
    )
    .label(declared, "declared here")
    .help("round it: `floor(...)`")
}

/// A trigger of `when` that is not made of comparisons.
pub fn not_a_condition(span: Span, ty: &Ty) -> Diagnostic {
    Diagnostic::new(
        Code("E0514"),
        "a condition is made of comparisons of numbers, joined by `and`, `or` and `not`",
        span,
        format!("this is {ty}"),
    )
    .help("for a vector compare its least or largest element: `when min(x) < 0`")
}

/// A period that is no period.
pub fn no_period(span: Span, found: f64) -> Diagnostic {
    Diagnostic::new(Code("E0516"), "a period must be positive", span, format!("this is {found}"))
}

/// Fewer than two knots.
pub fn too_few_knots(span: Span, found: i64) -> Diagnostic {
    let knots = if found == 1 { "1 knot".to_owned() } else { format!("{found} knots") };
    Diagnostic::new(Code("E0516"), "a path needs at least two knots", span, format!("{knots} here"))
}

/// Knots at times that go back: `times[at]` is before the one before it.
pub fn knots_go_back(span: Span, at: usize, times: &[f64]) -> Diagnostic {
    let (before, after) = (times[at - 1], times[at]);
    Diagnostic::new(
        Code("E0516"),
        "the knots of a path must ascend in time",
        span,
        format!("{after} comes after {before}"),
    )
}

/// Elements of a kind that an unknown or a noise cannot have.
pub fn wrong_element(span: Span, noun: &str, ty: &Ty) -> Diagnostic {
    let diagnostic =
        Diagnostic::new(Code("E0203"), format!("a {noun} of {ty}"), span, "this is expected to be real");
    match noun {
        "state" => diagnostic.help("a state is real; what jumps between integers is `discrete`"),
        _ => diagnostic.help("write `real`, or sizes alone: `[3]`"),
    }
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

/// A prior that is 0 on a part of the set of its param.
pub fn prior_leaves_out(span: Span, prior: &str, (lo, hi): (f64, f64), set: Constraint) -> Diagnostic {
    let message = format!("`{prior}` is 0 for a part of {}", set.noun());
    let within = match (lo, hi) {
        (0.0, f64::INFINITY) => "positive".to_owned(),
        (0.0, 1.0) => "unit".to_owned(),
        (lo, hi) if hi.is_finite() => format!("interval({lo}, {hi})"),
        _ => "a smaller set".to_owned(),
    };
    Diagnostic::new(Code("W0603"), message, span, "the param may go where this has no density")
        .help(format!("declare the param `in {within}`"))
}

/// A channel that nobody evaluates.
pub fn idle_channel(span: Span, name: &str) -> Diagnostic {
    Diagnostic::new(Code("W0602"), format!("nobody evaluates the channel `{name}`"), span, "computed in vain")
        .help(format!("use `{name}(end)` in a loss or an output, or plot it"))
}

/// A condition that is true at the start.
pub fn true_at_the_start(span: Span, name: &str) -> Diagnostic {
    Diagnostic::new(
        Code("W0510"),
        format!("`{name}` is true at the start, so the event does not happen there"),
        span,
        "happens when it becomes true",
    )
    .help("it waits until the condition has been false; what is to hold from the start belongs into the start values")
}

/// An estimate that does not enter linearly.
pub fn nonlinear_estimate(span: Span, estimate: Span) -> Diagnostic {
    Diagnostic::new(
        Code("W0610"),
        "a trace that is estimated stands inside a nonlinear function",
        span,
        "its mean is not that of the exact trace",
    )
    .label(estimate, "estimated with random probes: `solve.trace = hutchinson(..)`")
    .help("use something that is linear in it, such as its logarithm here, or set `solve.trace = exact`")
}

/// `max(x)` of a curve `x` of numbers, which is `x` at every time.
pub fn summary_of_a_number(span: Span, name: &str, operand: Span) -> Diagnostic {
    let message = format!("`{name}` of a single number is the number");
    Diagnostic::new(Code("W0604"), message, span, "does nothing: a curve again, not one number for the run")
        .label(operand, "one number at every time")
        .help(format!(
            "of the run: `{name}(x(linspace(0, 10, 1001)))`, with its times; an integral is a channel"
        ))
}

/// A statistic of a batch, in what moves or outside of it.
pub fn batch_statistic(span: Span, moving: bool) -> Diagnostic {
    let (message, label, help) = if moving {
        (
            "`batch_mean` would couple the examples of a batch in the motion",
            "each example is solved on its own, with its own steps",
            "take the mean before the run, or use a statistic of one example, as in layer norm",
        )
    } else {
        (
            "`batch_mean` would make the result of an example depend on the others of its batch",
            "an example has the same result in every batch",
            "a loss is a mean over the examples already; for a mean inside of one, learn it: `param m = 0` and `loss tie = (e - m)^2`",
        )
    };
    Diagnostic::new(Code("E0410"), message, span, label).help(help)
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
