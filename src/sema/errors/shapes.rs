//! E03xx: types and shapes, and E060x: derivatives of the wrong thing.

use crate::base::span::Span;
use crate::diag::{Code, Diagnostic, Edit};
use crate::sema::typed::Ty;

/// How a type is spoken of.
fn shape(ty: &Ty) -> String {
    if ty.is_scalar() { "a scalar".to_owned() } else { ty.to_string() }
}

/// Why a value has its shape.
#[derive(Clone, Debug)]
pub struct Story {
    /// Where that was settled.
    pub span: Span,
    /// In words.
    pub text: String,
    /// What would settle it otherwise.
    pub help: Option<String>,
}

pub(crate) fn told(diagnostic: Diagnostic, story: Option<Story>) -> Diagnostic {
    match story {
        Some(Story { span, text, help }) => match (diagnostic.label(span, text), help) {
            (diagnostic, Some(help)) => diagnostic.help(help),
            (diagnostic, None) => diagnostic,
        },
        None => diagnostic,
    }
}

/// The two sides of an equation differ.
pub fn equation_shapes(
    name: &str,
    declared: Span,
    lhs: &Ty,
    rhs_span: Span,
    rhs: &Ty,
    story: Option<Story>,
) -> Diagnostic {
    let diagnostic = Diagnostic::new(
        Code("E0301"),
        format!(
            "the equation for `{name}` has shape {} on the right but {} on the left",
            shape(rhs),
            shape(lhs)
        ),
        rhs_span,
        format!("this is {}", shape(rhs)),
    )
    .label(declared, format!("`{name}` is {} here", shape(lhs)));
    told(diagnostic, story)
}

/// A value does not have the type that its place declares.
pub fn declared_shape(
    what: &str,
    declared: Span,
    expected: &Ty,
    span: Span,
    found: &Ty,
    story: Option<Story>,
) -> Diagnostic {
    let diagnostic = Diagnostic::new(
        Code("E0301"),
        format!("{what} should be {}, found {}", shape(expected), shape(found)),
        span,
        format!("this is {}", shape(found)),
    );
    let diagnostic = if declared == span {
        diagnostic
    } else {
        diagnostic.label(declared, format!("declared {} here", shape(expected)))
    };
    told(diagnostic, story)
}

/// A turn of a fold over data gives another shape than it is given.
pub fn fold_changes(before: (Span, &Ty), after: (Span, &Ty)) -> Diagnostic {
    let (given, found) = (shape(before.1), shape(after.1));
    Diagnostic::new(
        Code("E0301"),
        format!("a fold over data carries one shape, found {given} before a turn and {found} after it"),
        after.0,
        format!("this is {found}"),
    )
    .label(before.0, format!("it starts as {given}"))
    .help("the number of turns comes from the data; over a static range, `0..3`, the shape may change")
}

/// Elementwise operands of different shapes.
pub fn unequal_shapes(
    operator: &str,
    operator_span: Span,
    lhs: (Span, &Ty, Option<Story>),
    rhs: (Span, &Ty, Option<Story>),
) -> Diagnostic {
    let message = format!("`{operator}` needs equal shapes, found {} and {}", shape(lhs.1), shape(rhs.1));
    let mut diagnostic = Diagnostic::new(Code("E0304"), message, operator_span, "")
        .label(lhs.0, shape(lhs.1))
        .label(rhs.0, shape(rhs.1));
    for story in [lhs.2, rhs.2].into_iter().flatten() {
        diagnostic = diagnostic.label(story.span, story.text);
    }
    diagnostic = diagnostic.note("shapes are never stretched silently");
    if lhs.1.dims.len() == rhs.1.dims.len() {
        diagnostic.help("take a part, as in `a[..3]`, or reduce one side")
    } else {
        diagnostic.help("take a part, as in `a[:, 0]`, or insert an axis, as in `a[:, _]`")
    }
}

/// Something else than one number where one is needed.
pub fn needs_scalar(what: &str, span: Span, found: &Ty, story: Option<Story>) -> Diagnostic {
    let diagnostic = Diagnostic::new(
        Code("E0305"),
        format!("{what} must be one number, found {}", shape(found)),
        span,
        format!("this is {}", shape(found)),
    )
    .help("reduce it with `sum(...)` or `mean(...)`");
    told(diagnostic, story)
}

/// A size that nothing settles.
pub fn unknown_size(span: Span, what: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0306"),
        format!("the size of {what} could not be inferred"),
        span,
        "declare its type here",
    )
    .help("write it out, as in `x: [3]`")
}

/// A size of a layer that no use tells.
pub fn open_size(span: Span, owner: &str, size: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0306"),
        format!("the size `{size}` of `{owner}` could not be inferred"),
        span,
        "left open here, and no use tells it",
    )
    .help(format!("write the sizes out, as in `{owner}[2, 2](...)`"))
}

/// A size must be an integer known at compile time.
pub fn not_a_size(span: Span, what: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0307"),
        format!("{what} must be an integer known at compile time"),
        span,
        "this is not",
    )
    .help("sizes come from integer consts, from data fields and from `len(...)`")
}

/// The condition of a comprehension depends on more than static integers.
pub fn undecided(span: Span) -> Diagnostic {
    let message = "the condition of a comprehension must be known at compile time";
    Diagnostic::new(Code("E0307"), message, span, "may compare loop variables and sizes only")
        .help("choose the value instead: `sum(if c then e else 0 for i in r)`")
}

/// An array whose entries cannot be counted.
pub fn uncounted(span: Span) -> Diagnostic {
    let message = "the number of entries must be known at compile time";
    Diagnostic::new(
        Code("E0307"),
        message,
        span,
        "a range or a condition here depends on the data, or on a loop around",
    )
    .help("take the whole range and choose the values: `[if c then e else 0 for i in r]`")
}

/// Entries of an array whose shapes differ.
pub fn shape_of_each_turn(span: Span, found: &Ty) -> Diagnostic {
    let message = format!("the entries of an array have one shape, found {}", shape(found));
    Diagnostic::new(Code("E0301"), message, span, "another shape in every turn")
}

/// The mean of a Poisson distribution that is drawn from.
pub fn too_likely(span: Span, most: f64) -> Diagnostic {
    super::not_yet(
        span,
        format!("drawing from `poisson` with a mean above {most} is"),
        "use `normal(rate, sqrt(rate))`",
    )
}

/// An operand of the wrong element type or number of axes.
pub fn wrong_operand(
    callee: &str,
    span: Span,
    expected: &str,
    found: &Ty,
    story: Option<Story>,
) -> Diagnostic {
    let message = format!(
        "`{callee}` needs {expected}, found {}",
        if found.is_scalar() { found.to_string() } else { shape(found) }
    );
    told(
        Diagnostic::new(
            Code("E0308"),
            message,
            span,
            format!("this is {}", if found.is_scalar() { found.to_string() } else { shape(found) }),
        ),
        story,
    )
}

/// A size below 0.
pub fn negative_size(span: Span, size: i64) -> Diagnostic {
    Diagnostic::new(Code("E0307"), format!("the size of an axis is negative: {size}"), span, "this size")
        .help("sizes are whole numbers of at least 0")
}

/// An index outside its axis.
pub fn out_of_bounds(span: Span, index: &str, size: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0309"),
        format!("index {index} is outside an axis of length {size}"),
        span,
        "counting starts at 0",
    )
}

/// More elements, or turns of a loop, than are allowed.
pub fn too_large(span: Span, what: &str, most: usize) -> Diagnostic {
    Diagnostic::new(Code("E0311"), format!("{what} is too large"), span, "here")
        .note(format!("at most {most} elements"))
        .help("check the consts and data that the size comes from")
}

/// More indices than axes.
pub fn too_many_indices(span: Span, found: &Ty, given: usize) -> Diagnostic {
    Diagnostic::new(
        Code("E0310"),
        format!("{given} {} for {}", if given == 1 { "index" } else { "indices" }, shape(found)),
        span,
        "more indices than axes",
    )
}

/// A prime on something that does not move.
pub fn prime_of_constant(span: Span, name: &str, is_matrix: bool) -> Diagnostic {
    let message = format!("`'` is the time derivative, and `{name}` does not depend on time");
    let diagnostic = Diagnostic::new(Code("E0602"), message, span, "this would be zero");
    if is_matrix {
        diagnostic.fix("for the transpose write", vec![Edit { span, text: format!("{name}.T") }])
    } else {
        diagnostic.help("leave the prime away")
    }
}

/// The second argument of a derivative operator is not a name.
pub fn derivative_by_expression(operator: &str, span: Span) -> Diagnostic {
    let message = format!("the second argument of `{operator}` must be a name");
    Diagnostic::new(Code("E0603"), message, span, "an expression cannot be varied")
        .help("give it a name with `let` and use that name in the first argument too")
}

/// `grad` of something that is not a scalar.
pub fn grad_of_tensor(operator: &str, span: Span, found: &Ty, story: Option<Story>) -> Diagnostic {
    let message = format!("`{operator}` needs a scalar, found {}", shape(found));
    let diagnostic = Diagnostic::new(Code("E0604"), message, span, format!("this is {}", shape(found)));
    told(diagnostic, story).help(
        "for the matrix of all derivatives write `jac(f, x)`; for one direction `jvp(f, x, v)`; for the trace `div(f, x)`",
    )
}

/// A derivative with respect to something that is not real.
pub fn derivative_by_integer(operator: &str, span: Span, found: &Ty) -> Diagnostic {
    let message = format!("`{operator}` varies real numbers, found {found}");
    Diagnostic::new(Code("E0605"), message, span, "this cannot vary continuously")
}

/// The inner sizes of a matrix product differ.
pub fn inner_sizes(
    operator: Span,
    lhs: (Span, &Ty, Option<Story>),
    rhs: (Span, &Ty, Option<Story>),
) -> Diagnostic {
    let message = format!("`@` needs equal inner sizes, found {} and {}", shape(lhs.1), shape(rhs.1));
    let diagnostic = Diagnostic::new(Code("E0301"), message, operator, "")
        .label(lhs.0, shape(lhs.1))
        .label(rhs.0, shape(rhs.1));
    let diagnostic = told(told(diagnostic, lhs.2), rhs.2);
    if lhs.1.dims.len() == 2 { diagnostic.help("for the transpose write `A.T`") } else { diagnostic }
}

/// A pattern that takes a value into the wrong number of parts.
pub fn pattern_size(
    what: &str,
    expected: &str,
    pattern: Span,
    span: Span,
    found: &Ty,
    story: Option<Story>,
) -> Diagnostic {
    let diagnostic = Diagnostic::new(
        Code("E0301"),
        format!("{what} needs {expected}, found {}", shape(found)),
        pattern,
        what,
    )
    .label(span, format!("this is {}", shape(found)));
    told(diagnostic, story)
}

/// An axis that an array does not have.
pub fn wrong_axis(span: Span, axis: &str, rank: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0309"),
        format!("there is no axis {axis} among {rank}"),
        span,
        "counting starts at 0",
    )
}

/// `split(x, n)` of an axis that `n` does not divide.
pub fn uneven_parts(span: Span, array: Span, found: &Ty, parts: i64) -> Diagnostic {
    let length = found.dims.first().map(ToString::to_string).unwrap_or_default();
    let message = format!("an axis of length {length} has no {parts} equal parts");
    Diagnostic::new(Code("E0301"), message, span, "the number of parts")
        .label(array, format!("this is {}", shape(found)))
        .help("for unequal parts write ranges, as in `x[..3]` and `x[3..]`")
}

/// `pad` with more or fewer numbers than axes.
pub fn pad_count(span: Span, given: usize, array: Span, found: &Ty) -> Diagnostic {
    let message = format!(
        "`pad` needs a number for each axis, found {given} for {}",
        if found.dims.len() == 1 { "1 axis".to_owned() } else { format!("{} axes", found.dims.len()) }
    );
    Diagnostic::new(Code("E0301"), message, span, "zeros on both sides of each axis")
        .label(array, format!("this is {}", shape(found)))
}

/// Subscripts of `einsum` that mean nothing.
pub fn subscripts(span: Span, message: impl Into<String>, label: &str) -> Diagnostic {
    Diagnostic::new(Code("E0312"), message, span, label)
        .help("one letter for each axis, a comma between arrays: `einsum(\"ij,j->i\", A, x)`")
}

/// A sum of two letters along an axis in which the second has no place.
pub fn no_window(array: Span, length: i64, axis: usize) -> Diagnostic {
    let message = format!("no window of {length} fits along an axis of {axis}");
    Diagnostic::new(Code("E0312"), message, array, "this array")
        .note("along an axis `(i+p)`, `p` counts the places in a window and `i` the places of windows")
}

/// A letter of a sum of two, which no array has for itself.
pub fn subscript_alone(span: Span, letter: char) -> Diagnostic {
    let message = format!("nothing says how many places `{letter}` has");
    Diagnostic::new(Code("E0312"), message, span, "this letter")
        .help("another array has an axis of one of the two: `einsum(\"p,(i+p)->i\", w, x)`")
}

/// Letters that are not as many as axes.
pub fn subscript_count(span: Span, letters: usize, array: Span, found: &Ty) -> Diagnostic {
    let letters = if letters == 1 { "1 letter".to_owned() } else { format!("{letters} letters") };
    Diagnostic::new(
        Code("E0312"),
        format!("{letters} for {}", shape(found)),
        span,
        "one letter for each axis",
    )
    .label(array, format!("this is {}", shape(found)))
}

/// A letter for two axes of different length.
pub fn subscript_sizes(span: Span, letter: char, first: (Span, &str), second: (Span, &str)) -> Diagnostic {
    let message = format!("`{letter}` is {} in one array and {} in another", first.1, second.1);
    Diagnostic::new(Code("E0312"), message, span, "this axis")
        .label(first.0, format!("`{letter}` is {} here", first.1))
        .label(second.0, format!("`{letter}` is {} here", second.1))
}
