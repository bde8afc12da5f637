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

/// A sweep over something that is not a number given from outside.
pub fn not_swept(span: Span, text: &str) -> Diagnostic {
    let what = format!("`{text}` cannot take several values");
    wrong_kind(span, what, "the name of a `const`, a `param` or an `input` of this file")
}

/// An ensemble that draws something else than a start or a number given from outside.
pub fn not_drawn(span: Span, text: &str) -> Diagnostic {
    let what = format!("`{text}` is nothing that a member draws");
    wrong_kind(span, what, "the start of a state, `x(start)`, or the name of a `param` or an `input`")
}

/// Two sweeps over one name.
pub fn swept_twice(name: &str, first: Span, second: Span) -> Diagnostic {
    Diagnostic::new(Code("E0205"), format!("`{name}` is swept twice"), second, "here again")
        .label(first, "takes these values")
        .help("write all of its values as one vector")
}

/// `ensemble 0 { … }`
pub fn no_members(span: Span, count: i64) -> Diagnostic {
    let what = format!("an ensemble of {count} members");
    wrong_kind(span, what, "a whole number above 0")
}

/// A sweep over nothing, or over infinity.
pub fn no_values(span: Span, name: &str) -> Diagnostic {
    let what = format!("`{name}` takes no value, or one that is not finite");
    wrong_kind(span, what, "one finite number at least")
}

/// A second `ensemble` item.
pub fn second_ensemble(first: Span, second: Span) -> Diagnostic {
    Diagnostic::new(Code("E0205"), "a file has one ensemble", second, "a second one")
        .label(first, "the first one")
        .help("write all that a member draws into one block")
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
    set: crate::ir::constraint::Constraint,
) -> Diagnostic {
    let set = set.noun();
    let values: Vec<String> = values.iter().map(f64::to_string).collect();
    let message = format!("param `{name}` starts at {}, outside {set}", values.join(", "));
    Diagnostic::new(Code("E0806"), message, span, "must start inside the set it lives in")
        .help("start it inside, or change the set after `in`")
}

/// `use plus.maths`: not a module of the standard library, nor a file.
pub fn not_a_module(span: Span, std: Option<String>) -> Diagnostic {
    let message = "a module is `std.name`, or a file in quotes";
    let diagnostic = Diagnostic::new(Code("E0207"), message, span, "neither of the two");
    match std {
        Some(text) => diagnostic.fix("the standard library has it", vec![Edit { span, text }]),
        None => diagnostic.help("write `use std.layers (MLP)` or `use \"ours.node\" as ours`"),
    }
}

/// `use std.layer`: the standard library has no such module.
pub fn unknown_module(span: Span, name: &str, similar: Option<&str>, known: &[&str]) -> Diagnostic {
    let message = format!("the standard library has no module `{name}`");
    let diagnostic = Diagnostic::new(Code("E0207"), message, span, "not a module")
        .help(format!("it has {}", listed(known)));
    match similar {
        Some(other) => {
            diagnostic.fix("a module with a similar name exists", vec![Edit { span, text: other.to_owned() }])
        }
        None => diagnostic,
    }
}

/// `use "ours.node"`: the file cannot be read.
pub fn unreadable_module(span: Span, path: &str, why: &str) -> Diagnostic {
    let message = format!("the module `{path}` cannot be read");
    Diagnostic::new(Code("E0207"), message, span, why.to_owned())
}

/// `use "ours.node"` without a name.
pub fn module_without_name(span: Span) -> Diagnostic {
    let message = "a used file needs a name in this one";
    Diagnostic::new(Code("E0207"), message, span, "add `as name`")
        .help("write `use \"ours.node\" as ours`; then `ours.f` is what it calls `f`")
}

/// Files that use each other. `chain` is how the first comes to itself: each file between, and the
/// `use` that asks for it.
pub fn modules_in_a_circle(name: &str, span: Span, chain: &[(String, Span)]) -> Diagnostic {
    let message = format!("`{name}` uses itself");
    let mut diagnostic = Diagnostic::new(Code("E0208"), message, span, "used again here");
    for (between, span) in chain {
        diagnostic = diagnostic.label(*span, format!("by `{between}`, used here"));
    }
    diagnostic.help("move what both need into a third file")
}

/// A name that a module does not give.
pub fn not_in_the_module(span: Span, module: &str, name: &str, known: &[&str]) -> Diagnostic {
    let message = format!("`{module}` gives no `{name}`");
    let diagnostic = Diagnostic::new(Code("E0209"), message, span, "not among its names");
    let diagnostic = with_nearest(diagnostic, span, name, known);
    diagnostic.help(format!("it gives {}", listed(known)))
}

/// A field of a record, or an item of a layer, that is not there.
pub fn unknown_member(span: Span, owner: &str, name: &str, known: &[&str]) -> Diagnostic {
    let message = format!("`{owner}` has no `{name}`");
    let diagnostic = Diagnostic::new(Code("E0202"), message, span, "not among its names");
    let known: Vec<&str> = known.iter().copied().filter(|name| !name.contains('\'')).collect();
    let diagnostic = with_nearest(diagnostic, span, name, &known);
    diagnostic.help(format!("it has {}", listed(&known)))
}

/// `cnf.z`: what moves is known only along a run.
pub fn state_of_a_system(span: Span, system: &str, name: &str) -> Diagnostic {
    let message = format!("`{name}` moves with `{system}` and has no value outside of it");
    Diagnostic::new(Code("E0401"), message, span, "this varies along a run")
        .help("call the system to run it; its states at the end are the fields of what it gives")
}

/// `Dense[2](…)` of a layer with two sizes.
pub fn wrong_number_of_sizes(
    span: Span,
    name: &str,
    generics: &[&str],
    given: usize,
    declared: Span,
) -> Diagnostic {
    let sizes = |n: usize| if n == 1 { "1 size".to_owned() } else { format!("{n} sizes") };
    let message = format!("`{name}` has {}, found {given}", sizes(generics.len()));
    let takes = match generics {
        [] => "it takes none".to_owned(),
        names => format!("it takes `[{}]`", names.join(", ")),
    };
    Diagnostic::new(Code("E0210"), message, span, takes)
        .label(declared, "declared here")
        .help("all may be left away where use tells them; `_` leaves one open")
}

/// `param net = MLP`
pub fn layer_without_call(span: Span, name: &str, text: &str) -> Diagnostic {
    let message = format!("`{name}` is a layer or a system, and makes one when it is called");
    Diagnostic::new(Code("E0203"), message, span, "not called")
        .fix("call it", vec![Edit { span, text: format!("{text}()") }])
}

/// A list of layers and other things.
pub fn not_a_layer(span: Span) -> Diagnostic {
    let message = "a list of layers holds layers and systems alone";
    Diagnostic::new(Code("E0203"), message, span, "expected a layer, as in `Dense[2, 2]()`")
}

/// `Dense[2, 2]()(x)`, or `x |> Truth()`: an instance without a `param`.
pub fn needs_a_param(span: Span, name: &str, is_system: bool, text: &str) -> Diagnostic {
    let noun = if is_system { "system" } else { "layer" };
    let message = format!("the {noun} `{name}` has no name here");
    Diagnostic::new(Code("E0203"), message, span, "its params would have no path")
        .help(format!("make it with `param net = {text}(...)`, then call `net(...)`"))
}

/// An item that a layer or a system cannot hold.
pub fn not_in_a_container(span: Span, noun: &str, holds: &str) -> Diagnostic {
    let message = format!("this does not belong into a {noun}");
    Diagnostic::new(Code("E0203"), message, span, format!("a {noun} holds {holds}"))
        .help("write it at the top level of the file")
}

/// A layer that does nothing is called.
pub fn layer_without_fn(span: Span, name: &str, declared: Span) -> Diagnostic {
    let message = format!("the layer `{name}` cannot be called");
    Diagnostic::new(Code("E0203"), message, span, "it has no `fn` without a name")
        .label(declared, "declared here")
        .help("write `fn (x) = ...` into it")
}

/// Calls inside calls inside calls.
pub fn calls_too_deep(span: Span, most: usize) -> Diagnostic {
    let message = format!("calls are nested more than {most} deep");
    Diagnostic::new(Code("E0320"), message, span, "functions are inlined, and this goes too deep")
        .help("is a function given to itself as an argument?")
}

/// Many turns of something that is unrolled.
pub fn too_many_turns(span: Span, what: &str, most: usize) -> Diagnostic {
    let message = format!("{what} of more than {most} turns is too large");
    Diagnostic::new(Code("E0311"), message, span, "this range")
        .note("every turn is written out, since its shape may differ")
        .help("check the consts that the range comes from")
}

/// The keyword that an item starts with.
pub fn head(item: Span, text: &str) -> Span {
    let len = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len()).max(1);
    Span { hi: item.hi.min(item.lo + len as u32), ..item }
}

fn with_nearest(diagnostic: Diagnostic, span: Span, name: &str, known: &[&str]) -> Diagnostic {
    match crate::sema::resolve::nearest(name, known.iter().copied()) {
        Some(at) => diagnostic.fix("a similar name exists", vec![Edit { span, text: known[at].to_owned() }]),
        None => diagnostic,
    }
}

/// "`a`, `b`", shortened where it is long.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let mut quoted: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    if names.len() > SHOWN {
        quoted.push(format!("and {} more", names.len() - SHOWN));
    }
    if quoted.is_empty() { "nothing".to_owned() } else { quoted.join(", ") }
}

/// `normal(0, -1)`
pub fn not_positive(span: Span, distribution: &str, parameter: &str) -> Diagnostic {
    let message = format!("the {parameter} of `{distribution}` must be above 0");
    Diagnostic::new(Code("E0204"), message, span, "this is not")
}
