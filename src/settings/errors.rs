//! E08xx and E0290: what a setting can have wrong, one named constructor each.

use super::table::{Arg, Choice, Kind};
use crate::base::span::Span;
use crate::diag::{Code, Diagnostic, Edit};
use crate::solve::method::Method;

/// No setting of this name. `command_line` says where it stands; `near` is the closest name with
/// its whole key and present value.
pub fn unknown(name: &str, span: Span, command_line: bool, near: Option<(&str, &str, &str)>) -> Diagnostic {
    let (message, label) = if command_line {
        (format!("no setting or param is called `{name}`"), "not in this model")
    } else {
        (format!("no setting is called `{name}`"), "not a setting")
    };
    let mut diagnostic = Diagnostic::new(Code("E0801"), message, span, label);
    if let Some((near, key, now)) = near {
        let now = if now.is_empty() { "not set".to_owned() } else { format!("now {now}") };
        let is = if near == key { String::new() } else { format!(", which is `{key}`") };
        diagnostic = diagnostic.help(format!("did you mean `{near}`{is} ({now})?"));
    }
    diagnostic.help("`nodec config model.node` lists every setting with its value and where it came from")
}

/// The last part of several settings.
pub fn ambiguous(name: &str, span: Span, candidates: &[String]) -> Diagnostic {
    let listed: Vec<String> = candidates.iter().map(|key| format!("`{key}`")).collect();
    Diagnostic::new(Code("E0801"), format!("`{name}` is the end of several settings"), span, "which one?")
        .help(format!("write the whole name: {}", listed.join(", ")))
}

/// No profile of this name.
pub fn unknown_profile(name: &str, span: Span, profiles: &[&str]) -> Diagnostic {
    let help = if profiles.is_empty() {
        String::from("the file has no `profile`")
    } else {
        let listed: Vec<String> = profiles.iter().map(|name| format!("`{name}`")).collect();
        format!("the file has {}", listed.join(", "))
    };
    Diagnostic::new(Code("E0801"), format!("no profile is called `{name}`"), span, "not in this file")
        .help(help)
}

/// The value is not what the setting may be.
pub fn wrong_type(key: &str, kind: Kind, doc: &str, span: Span) -> Diagnostic {
    let expected = kind.expected();
    Diagnostic::new(Code("E0802"), format!("`{key}` must be {expected}"), span, format!("not {expected}"))
        .note(format!("`{key}`: {doc}"))
}

/// One block sets one name twice.
pub fn set_twice(name: &str, first: Span, second: Span) -> Diagnostic {
    Diagnostic::new(Code("E0808"), format!("`{name}` is set twice"), second, "and here again")
        .label(first, "set here")
        .help("keep one of them; a `profile` sets another value for some runs")
}

/// `mistake` is about `--set p=1, 2`, which stands at `value`.
pub fn in_brackets(mistake: Diagnostic, value: Span) -> Diagnostic {
    let (lo, hi) = (value.lo as usize, value.hi as usize);
    let at = |at: usize, text: &str| Edit { span: Span::new(value.source, at, at), text: text.into() };
    mistake.fix("a list of numbers stands in brackets", vec![at(lo, "["), at(hi, "]")])
}

/// A training setting of a model that is not trained. `span` is where it was set.
pub fn nothing_trains(key: &str, span: Span) -> Diagnostic {
    Diagnostic::new(
        Code("W0801"),
        format!("`{key}` has no effect: the model has no `train` block"),
        span,
        "only training reads this",
    )
    .help("add `train { }` to the model to fit it")
}

/// A setting of training on minibatches where the data are one example.
pub fn one_example(key: &str, span: Span) -> Diagnostic {
    let message = format!("`{key}` has no effect: the data are one example");
    Diagnostic::new(Code("W0801"), message, span, "only training on many examples reads this")
        .help("a `batch` axis in the schema makes an example of each row: `x: [batch]`")
}

/// A setting of step-size control that the method does not read.
pub fn steers_otherwise(key: &str, method: &str, adaptive: bool, span: Span) -> Diagnostic {
    let label = if adaptive { "this method chooses by a rule of its own" } else { "its steps are all `dt`" };
    Diagnostic::new(Code("W0801"), format!("`{key}` has no effect with `{method}`"), span, label)
}

/// Two bounds on the step size that no step can keep: `low` is to be at most `high`.
pub fn bounds_cross(low: (&str, Span), high: (&str, Span)) -> Diagnostic {
    let message = format!("`{}` is larger than `{}`", low.0, high.0);
    Diagnostic::new(Code("E0802"), message, low.1, "no step can be both")
        .label(high.1, "set here")
        .help("`solve.dt_min`, `solve.dt` and `solve.dt_max` rise in this order")
}

/// A name in `solve.error_norm` that no unknown has.
pub fn no_such_unknown(name: &str, span: Span, known: &[&str]) -> Diagnostic {
    let message = format!("the model has no state or channel `{name}`");
    let diagnostic = Diagnostic::new(Code("E0801"), message, span, "cannot steer the step size");
    diagnostic.help(format!("states and channels: {}", known.join(", ")))
}

/// An argument that the choice does not have.
pub fn unknown_argument(choice: &Choice, name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0802"),
        format!("`{}` has no argument `{name}`", choice.name),
        span,
        "not one of its",
    )
    .help(arguments(choice))
}

/// More arguments than the choice has.
pub fn too_many_arguments(choice: &Choice, span: Span) -> Diagnostic {
    let message = format!("`{}` has only {} arguments", choice.name, choice.args.len());
    Diagnostic::new(Code("E0802"), message, span, "one too many").help(arguments(choice))
}

/// An argument without a default is not there.
pub fn missing_argument(choice: &Choice, arg: &Arg, span: Span) -> Diagnostic {
    let message = format!("`{}` needs its argument `{}`", choice.name, arg.name);
    Diagnostic::new(Code("E0802"), message, span, "given without it").note(format!(
        "`{}`: {}, {}",
        arg.name,
        arg.doc,
        arg.kind.expected()
    ))
}

/// A grid of more times than are kept.
pub fn too_many_times(key: &str, count: u64, most: u64, span: Span) -> Diagnostic {
    let message = format!("`{key}` asks for {count} times");
    Diagnostic::new(Code("E0802"), message, span, "too many")
        .note(format!("at most {most} are kept"))
        .help("take a coarser grid: `solve { save = linspace(0, 10, 101) }`")
}

fn arguments(choice: &Choice) -> String {
    if choice.args.is_empty() {
        return format!("`{}` stands alone", choice.name);
    }
    let listed: Vec<String> = choice.args.iter().map(|arg| format!("`{}`: {}", arg.name, arg.doc)).collect();
    format!("its arguments are {}", listed.join("; "))
}

/// A method that nobody has heard of.
pub fn unknown_method(name: &str, span: Span) -> Diagnostic {
    let built: Vec<&str> = Method::all().map(|method| method.name).collect();
    let message = format!("no method is called `{name}`");
    let near = super::closest(name, Method::all().map(|method| method.name));
    let diagnostic = Diagnostic::new(Code("E0802"), message, span, "not a method");
    match near {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
    .help(format!("methods: {}", built.join(", ")))
}

/// A setting, or a value of one, that is in the language and not built.
pub fn not_built(what: &str, span: Span, kind: Kind) -> Diagnostic {
    let diagnostic =
        Diagnostic::new(Code("E0290"), format!("`{what}` is not supported yet"), span, "not supported yet");
    match kind {
        Kind::OneOf([]) => diagnostic,
        Kind::OneOf(_) | Kind::Times(_) | Kind::Unknowns(_) => {
            diagnostic.help(format!("it can be {}", kind.expected()))
        }
        _ => diagnostic,
    }
}

/// An explicit method on a system with algebraic unknowns (LANGUAGE.md 4.15).
pub fn needs_every_rate(method: &str, method_span: Span, unknown: &str, declared: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0803"),
        format!("`{method}` cannot solve a system with algebraic unknowns"),
        method_span,
        "an explicit method: every state needs a rate",
    )
    .label(declared, format!("`{unknown}` has none"))
    .help("methods for index-1 DAEs: radau5, bdf, rodas5p")
}

/// An explicit method on a system whose lines are not solved for the primes.
pub fn needs_solved_lines(method: &str, method_span: Span, line: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0803"),
        format!("`{method}` cannot solve a system with a mass matrix"),
        method_span,
        "an explicit method: every line must give one prime, `x' = ...`",
    )
    .label(line, "this line does not")
    .help("methods for mass matrices: radau5, bdf, rodas5p")
}

/// A method without noise on a system with noise, or the other way round, or noise that the method
/// does not know.
pub fn wrong_noise(method: &str, at: Span, noise: Option<Span>, why: &str, help: &str) -> Diagnostic {
    let message = format!("`{method}` cannot solve this system");
    let diagnostic = Diagnostic::new(Code("E0803"), message, at, why.to_owned());
    let diagnostic = match noise {
        Some(noise) => diagnostic.label(noise, "this noise"),
        None => diagnostic,
    };
    diagnostic.help(help.to_owned())
}

/// A fixed-step method without a step.
pub fn needs_dt(method: &str, method_span: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0803"),
        format!("`{method}` takes steps of one size and `dt` is not set"),
        method_span,
        "has no error estimate to choose its step by",
    )
    .help("set it: `solve { dt = 0.01 }`, or `--set dt=0.01`")
}

/// A symplectic method on a system that is not separable; `term` is what couples it.
pub fn not_separable(method: &str, method_span: Span, term: Span, [state, by]: [&str; 2]) -> Diagnostic {
    Diagnostic::new(
        Code("E0804"),
        format!("`{method}` needs a system whose halves drive each other only"),
        method_span,
        "a symplectic method for separable systems",
    )
    .label(term, format!("the rate of `{state}` depends on `{by}`, which is in the same half"))
    .help("any other method solves it: tsit5, dopri5; in fixed steps rk4")
}
