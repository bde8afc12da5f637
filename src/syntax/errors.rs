//! The messages of the front end, E01xx, one function each.

pub mod foreign;

use crate::base::span::Span;
use crate::diag::{Code, Diagnostic, Edit};

fn edit(span: Span, text: impl Into<String>) -> Edit {
    Edit { span, text: text.into() }
}

/// The empty span at byte `at` of the source of `span`.
fn point(span: Span, at: usize) -> Span {
    Span::new(span.source, at, at)
}

/// E0100: nothing more specific is known. `expected` holds at most three alternatives.
pub fn expected(span: Span, expected: &[&str], found: &str) -> Diagnostic {
    let wanted = alternatives(expected);
    Diagnostic::new(
        Code("E0100"),
        format!("expected {wanted}, found {found}"),
        span,
        format!("{wanted} belongs here"),
    )
}

fn alternatives(of: &[&str]) -> String {
    match of {
        [] => "something else".to_string(),
        [one] => (*one).to_string(),
        [init @ .., last] => format!("{} or {last}", init.join(", ")),
    }
}

/// E0101: `'text'`. `span` covers both quotes.
pub fn single_quotes(span: Span) -> Diagnostic {
    let (lo, hi) = (span.lo as usize, span.hi as usize);
    let quotes = [Span::new(span.source, lo, lo + 1), Span::new(span.source, hi - 1, hi)];
    Diagnostic::new(Code("E0101"), "strings use double quotes", span, "`'` is the time derivative")
        .fix("write", quotes.map(|quote| edit(quote, "\"")).to_vec())
}

/// E0102: a `/* … */` comment with its text; `last` is whether nothing follows it on its line.
pub fn block_comment(span: Span, text: &str, last: bool) -> Diagnostic {
    let lo = span.lo as usize;
    let mark = Span::new(span.source, lo, lo + 2);
    let diagnostic =
        Diagnostic::new(Code("E0102"), "comments start with `#`", mark, "`/*` does not start a comment");
    let lines = text.matches('\n').count();
    if !last || lines > 8 {
        return diagnostic.help("put `#` in front of each line of it");
    }
    let mut edits = vec![edit(mark, "#")];
    edits.extend(text.match_indices('\n').map(|(at, _)| edit(point(span, lo + at + 1), "# ")));
    if let Some(inside) = text.strip_suffix("*/").filter(|inside| inside.len() > 1) {
        let kept = lo + inside.trim_end_matches([' ', '\t']).len();
        edits.push(edit(Span::new(span.source, kept, lo + text.len()), ""));
    }
    diagnostic.fix("write", edits)
}

/// E0102: a `//` or `%` comment; `span` covers it, `marks` is what it starts with. `quotient` is
/// whether it stands between two operands without a blank, as in `a//2`.
pub fn wrong_comment(span: Span, marks: &str, quotient: bool) -> Diagnostic {
    let lo = span.lo as usize;
    let mark = Span::new(span.source, lo, lo + marks.len());
    let diagnostic = Diagnostic::new(
        Code("E0102"),
        "comments start with `#`",
        mark,
        format!("`{marks}` does not start a comment"),
    );
    if quotient {
        return diagnostic
            .note("there is no operator for whole quotients or remainders")
            .help("a quotient rounded down is `floor(a/b)`");
    }
    let diagnostic = diagnostic.fix("write", vec![edit(mark, "#")]);
    if marks == "%" { diagnostic.note("there is no remainder operator") } else { diagnostic }
}

/// E0103: `**`
pub fn star_star(span: Span) -> Diagnostic {
    Diagnostic::new(Code("E0103"), "powers are written `^`", span, "not an operator")
        .fix("write", vec![edit(span, "^")])
}

/// E0104: `1.` or `.5`; the missing digit belongs at byte `at`.
pub fn bare_point(span: Span, at: usize) -> Diagnostic {
    let side = if at == span.lo as usize { "before" } else { "after" };
    Diagnostic::new(
        Code("E0104"),
        "a number needs a digit on both sides of the point",
        span,
        format!("no digit {side} the point"),
    )
    .fix("write", vec![edit(point(span, at), "0")])
}

/// E0103: a raised digit, `x²`
pub fn superscript(span: Span, power: &str) -> Diagnostic {
    Diagnostic::new(Code("E0103"), "powers are written `^`", span, "a raised digit has no meaning")
        .fix("write", vec![edit(span, format!("^{power}"))])
}

/// E0105: characters the language does not use. `prefix` is whether a value follows and none
/// stands before.
pub fn unknown_character(span: Span, text: &str, prefix: bool) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code("E0105"), format!("`{text}` has no meaning here"), span, "");
    match text {
        "&" | "&&" => diagnostic.fix("write", vec![edit(span, "and")]),
        "|" | "||" => diagnostic.fix("write", vec![edit(span, "or")]),
        "!" if prefix => diagnostic.fix("write", vec![edit(span, "not ")]),
        "−" | "–" => diagnostic.fix("write a plain minus", vec![edit(span, "-")]),
        "×" | "·" | "⋅" | "∗" => diagnostic.fix("write", vec![edit(span, "*")]),
        "÷" => diagnostic.fix("write", vec![edit(span, "/")]),
        "≤" => diagnostic.fix("write", vec![edit(span, "<=")]),
        "≥" => diagnostic.fix("write", vec![edit(span, ">=")]),
        "≠" => diagnostic.fix("write", vec![edit(span, "!=")]),
        "→" => diagnostic.fix("write", vec![edit(span, "->")]),
        "√" => diagnostic.help("a square root is `sqrt(x)`"),
        "∫" => diagnostic.help("an integral along the run is `channel name' = ...`"),
        "∑" | "∏" => diagnostic.help("a sum is `sum(f(i) for i in 0..N)`"),
        "’" | "′" => diagnostic.fix("write a plain prime", vec![edit(span, "'")]),
        "“" | "”" => diagnostic.fix("write a plain quote", vec![edit(span, "\"")]),
        _ => diagnostic,
    }
}

/// E0105: `∂x/∂t`; `quotient` is all of it.
pub fn partial(span: Span, name: &str, quotient: Option<Span>) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code("E0105"), "`∂` has no meaning here", span, "");
    match quotient {
        Some(quotient) => diagnostic
            .fix("for the derivative by time write", vec![edit(quotient, format!("{name}'"))])
            .help("by a name it is `grad(e, x)` or `jac(f, x)`; a field on a grid is a list with a state for each point"),
        None => diagnostic.help("the derivative by time is `x'`, by a name `grad(e, x)` or `jac(f, x)`"),
    }
}

/// E0105: `|x|`, from bar to bar.
pub fn bars(open: Span, close: Span) -> Diagnostic {
    Diagnostic::new(Code("E0105"), "`|` has no meaning here", open.to(close), "an absolute value")
        .fix("write", vec![edit(open, "abs("), edit(close, ")")])
}

/// E0106: a bracket that a new item, or the end of the file (`next` is `None`), shows to be open.
pub fn unclosed(open: Span, bracket: &str, next: Option<Span>) -> Diagnostic {
    let diagnostic =
        Diagnostic::new(Code("E0106"), format!("this `{bracket}` is never closed"), open, "opened here");
    match next {
        Some(next) => diagnostic.label(next, "a new item starts here, so parsing went on from this line"),
        None => diagnostic.note("the file ends before it is closed"),
    }
}

/// E0106: a bracket still open where the closer of an outer one stands.
pub fn unclosed_before(open: Span, bracket: &str, closer: Span, closing: &str) -> Diagnostic {
    Diagnostic::new(Code("E0106"), format!("this `{bracket}` is never closed"), open, "opened here")
        .label(closer, format!("`{closing}` closes a bracket outside it"))
}

/// E0107: a closing bracket that closes nothing.
pub fn unopened(span: Span, bracket: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0107"),
        format!("this `{bracket}` closes nothing"),
        span,
        "no bracket is open here that it could close",
    )
    .fix("take it out", vec![edit(span, "")])
}

/// E0108: a string without its closing quote.
pub fn open_string(span: Span) -> Diagnostic {
    Diagnostic::new(Code("E0108"), "this string is never closed", span, "it runs to the end of the line")
        .help("close it with `\"`; a line end inside a string is written `\\n`")
}

/// E0109: a number that does not fit.
pub fn number_too_large(span: Span, limit: &str) -> Diagnostic {
    Diagnostic::new(Code("E0109"), "this number is too large", span, limit)
}

/// E0110: two operands side by side; `first` and `second` are what they are ("a number", "a name").
pub fn juxtaposition(first: (Span, &str, &str), second: (Span, &str, &str)) -> Diagnostic {
    let ((first_span, first_kind, first_text), (second_span, second_kind, second_text)) = (first, second);
    let headline = match (first_kind, second_kind) {
        (a, b) if a == b => format!("two {}s need an operator between them", &a["a ".len()..]),
        (a, b) => format!("{a} and {b} need an operator between them"),
    };
    let the = |kind: &str, text: &str| {
        if kind == "a bracket" {
            "a bracket".to_string()
        } else {
            format!("the {} `{text}`", &kind["a ".len()..])
        }
    };
    let label =
        format!("read as {} followed by {}", the(first_kind, first_text), the(second_kind, second_text));
    let gap = Span::new(first_span.source, first_span.hi as usize, second_span.lo as usize);
    Diagnostic::new(Code("E0110"), headline, first_span.to(second_span), label)
        .fix("write the multiplication out", vec![edit(gap, "*")])
}

/// E0110: `2(x + 1)`
pub fn number_called(number: Span, text: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0110"),
        "a number and a bracket need an operator between them",
        number,
        format!("read as a call of the number `{text}`"),
    )
    .fix("write the multiplication out", vec![edit(point(number, number.hi as usize), "*")])
}

/// E0111: `if c then a` without `else`; `span` is where it is missing.
pub fn missing_else(span: Span, head: Span) -> Diagnostic {
    Diagnostic::new(Code("E0111"), "an `if` needs an `else`", span, "`else` belongs here")
        .label(head, "this `if`")
        .help("an `if` is an expression and has a value either way; for a jump at one moment write `when`")
}

/// E0113: an escape other than `\"`, `\\` and `\n`.
pub fn unknown_escape(span: Span) -> Diagnostic {
    Diagnostic::new(Code("E0113"), "no such escape in a string", span, "known are `\\\"`, `\\\\` and `\\n`")
        .help("a backslash is written `\\\\`")
}

/// E0114: nested too deeply, in brackets or in operators.
pub fn too_deep(span: Span, what: &str, limit: usize) -> Diagnostic {
    Diagnostic::new(Code("E0114"), format!("more than {limit} {what}"), span, "this one is too many")
        .help("give a part of it a name with `let`; long sums are written `sum(… for i in …)`")
}

/// E0115: a line that starts with `-`. `above` is where the item above ends, `what` that item.
pub fn starts_with_minus(minus: Span, above: Option<(Span, String)>) -> Diagnostic {
    let diagnostic = Diagnostic::new(
        Code("E0115"),
        "this line starts with `-`, so it is a new item",
        minus,
        "did you mean to go on with the line above?",
    );
    let diagnostic = match above {
        Some((span, what)) => diagnostic.label(span, format!("{what} ends here")),
        None => diagnostic,
    };
    diagnostic.help("end the line above with the `-`, or put the right-hand side in parentheses; every other operator may start a line")
}

/// E0116: `=` where an expression asks whether two things are equal.
pub fn single_equals(span: Span) -> Diagnostic {
    Diagnostic::new(Code("E0116"), "equality is written `==`", span, "`=` defines, it does not compare")
        .fix("write", vec![edit(span, "==")])
}

/// E0117: a misspelt item keyword.
pub fn unknown_item(span: Span, name: &str, similar: &str) -> Diagnostic {
    Diagnostic::new(Code("E0117"), format!("`{name}` does not start an item"), span, "no item is called that")
        .fix("an item with a similar name exists", vec![edit(span, similar)])
}

/// E0117: another language's word for an item. `replaced` also covers a type behind it.
pub fn synonym(word: Span, name: &str, replaced: Span, keyword: &str) -> Diagnostic {
    let label = format!("this is `{keyword}` here");
    Diagnostic::new(Code("E0117"), format!("`{name}` does not start an item"), word, label)
        .fix("write", vec![edit(replaced, keyword)])
}

/// E0118: the line above `found` ends in an operator, so it goes on.
pub fn unfinished_line(operator: Span, text: &str, found: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0118"),
        format!("this line ends with `{text}`, so it goes on in the next"),
        operator,
        "something is missing after it",
    )
    .label(found, "which this does not fit")
}

/// E0130: the left of `->` is not a pattern.
pub fn not_a_pattern(span: Span, text: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0130"),
        "the left of `->` must be a name or a tuple of names",
        span,
        format!("`{text}` is neither"),
    )
}

/// E0131: `a < b < c`. `second` and `first` are the operators, `middle` the operand between them.
pub fn chained_comparison(second: Span, first: Span, middle: Span, text: &str) -> Diagnostic {
    Diagnostic::new(Code("E0131"), "comparisons do not chain", second, "the second comparison")
        .label(first, "the first")
        .fix("compare twice", vec![edit(point(middle, middle.hi as usize), format!(" and {text}"))])
}
