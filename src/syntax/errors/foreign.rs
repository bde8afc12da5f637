//! The messages for what other languages write differently: E0119 to E0123, and E0112.
//!
//! Each says how it is written here, with a patch where there is one way only.

use super::{edit, point};
use crate::base::span::Span;
use crate::diag::{Code, Diagnostic, Edit};

fn foreign(message: impl Into<String>, span: Span, label: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code("E0119"), message, span, label)
}

/// E0112: `d/dt x`
pub fn differential_operator(span: Span, state: &str) -> Diagnostic {
    let label = "an operator in front of a name";
    Diagnostic::new(Code("E0112"), "derivatives are written with a prime", span, label)
        .fix("write", vec![edit(span, format!("{state}'"))])
}

/// E0119: `solve_ivp(…)`, `ode45(…)`, `NDSolve[…]`
pub fn solver_call(span: Span, name: &str) -> Diagnostic {
    foreign("a model is not solved by a call", span, format!("`{name}` is not needed"))
        .note("the file says what moves, and `nodec run FILE` solves it")
        .help("write `time t in 0..10`, `state x = 1.0` and `x' = ...`; the method is a setting, `solve { method = tsit5 }`")
}

/// E0119: `import numpy as np`. `line` is the whole line, `library` whether it is one of functions.
pub fn import(word: Span, line: Span, library: bool) -> Diagnostic {
    if library {
        foreign("functions need no import", word, "`exp`, `sin`, `mean` and the others are always there")
            .fix("take the line out", vec![edit(line, "")])
    } else {
        foreign("modules are taken in with `use`", word, "no item starts with this word").help(
            "write `use std.layers (MLP)` for the standard library, `use \"ours.node\" as ours` for a file",
        )
    }
}

/// E0119: `def f(x): return e`. `edits` turn it into `fn f(x) = e`, where that is possible.
pub fn function_word(word: Span, text: &str, name: &str, edits: Vec<Edit>) -> Diagnostic {
    let diagnostic =
        foreign("functions start with `fn`", word, format!("`{text}` is a word of other languages"));
    if edits.is_empty() {
        diagnostic.help(format!(
            "write `fn {name}(x) = ...`, or `fn {name}(x) {{ ... }}` with `let` lines and the value last"
        ))
    } else {
        diagnostic.fix("write", edits)
    }
}

/// E0119: `lambda x: e`, `@(x) e`
pub fn anonymous_function(word: Span, text: &str, named: bool, edits: Vec<Edit>) -> Diagnostic {
    let message = if named {
        "functions with a name start with `fn`"
    } else {
        "a function without a name is written `x -> ...`"
    };
    foreign(message, word, format!("`{text}` does not start a function")).fix("write", edits)
}

/// E0119: `x .* y`, `@. x*y`. `edits` take the marks out.
pub fn elementwise(span: Span, text: &str, edits: Vec<Edit>) -> Diagnostic {
    let diagnostic = foreign(
        "operators and functions work on each entry already",
        span,
        format!("`{text}` is not needed"),
    );
    let diagnostic = diagnostic.fix("write", edits);
    if text == ".*" {
        diagnostic.note("`*` multiplies entry by entry; the matrix product is `@`")
    } else {
        diagnostic
    }
}

/// E0119: `x += 1`, `x++`. `jump` is the line it would be in the body of an event.
pub fn update(span: Span, text: &str, target: &str, in_event: bool, jump: Edit) -> Diagnostic {
    if in_event {
        return foreign("a jump is written `:=`", span, format!("`{text}` is not an operator"))
            .fix("write", vec![jump]);
    }
    foreign("nothing is updated step by step", span, format!("`{text}` is not an operator"))
        .note("a line holds at every moment; the solver makes the steps")
        .help(format!("for a rate write `{target}' = ...`; for a jump `when ... {{ {} }}`", jump.text))
}

/// E0119: `~=` and `<>`
pub fn not_equal(span: Span, text: &str) -> Diagnostic {
    foreign("inequality is written `!=`", span, format!("`{text}` is not an operator"))
        .fix("write", vec![edit(span, "!=")])
}

/// E0119: `{1, 2}` where a value stands
pub fn brace_list(open: Span, close: Option<Span>) -> Diagnostic {
    let diagnostic = foreign("lists are written with square brackets", open, "braces hold lines, not values");
    match close {
        Some(close) => diagnostic.fix("write", vec![edit(open, "["), edit(close, "]")]),
        None => diagnostic.help("write `[1, 2]`"),
    }
}

/// E0119: `+x`
pub fn unary_plus(span: Span) -> Diagnostic {
    foreign("there is no `+` in front of a value", span, "it would change nothing")
        .fix("leave it away", vec![edit(span, "")])
}

/// E0119: `while c { … }`, `for i = 1:10`
pub fn loop_statement(span: Span, text: &str) -> Diagnostic {
    foreign("there are no loops of statements", span, format!("no item starts with `{text}`"))
        .note("a file declares what holds; the order of its lines does not matter")
        .help("for values write `[f(i) for i in 0..N]` or `sum(f(i) for i in 0..N)`, for a recursion `fold`; for what happens at a moment `when ... { }`")
}

/// E0119: `float x = 1`. `fix` is the declaration, if there is a value.
pub fn declared_by_type(span: Span, text: &str, name: &str, has_value: bool) -> Diagnostic {
    let diagnostic = foreign(
        "a declaration starts with what it declares, not with its type",
        span,
        format!("`{text}` is a type"),
    );
    if has_value {
        diagnostic.fix("a number that stays as it is", vec![edit(span, "const")]).help(format!(
            "a number to fit is `param {name} = ...`, an unknown with its start value `state {name} = ...`"
        ))
    } else {
        diagnostic.help(format!(
            "write `param {name}` for a number to fit, `state {name}` for an unknown, `data d = csv(\"file.csv\") {{ {name}: [T] }}` for data"
        ))
    }
}

/// E0119: `parameters { … }`. `replacement` is what the block says, where that is plain.
pub fn section(span: Span, text: &str, replacement: Option<Edit>) -> Diagnostic {
    let diagnostic = foreign("there are no sections", span, format!("`{text}` holds no lines of its own"))
        .note("each line says what it declares, in any order");
    match (replacement, text) {
        (Some(edit), _) => diagnostic.fix("write", vec![edit]),
        (None, "data") => diagnostic.help("write `data d = csv(\"file.csv\") { y: [N] }`"),
        (None, "model") => {
            diagnostic.help("leave `model` and its braces away: priors stand on the `param`, likelihoods on lines of their own")
        }
        (None, _) => diagnostic.help(format!("leave `{text}` away")),
    }
}

/// E0119: `model Decay`, `program main`
pub fn whole_model(span: Span, text: &str) -> Diagnostic {
    foreign("the file is the model", span, format!("`{text}` and its `end` are not needed"))
        .help("leave both away; a part that is used more than once is a `system Name { ... }`")
}

/// E0119: `end` on a line of its own
pub fn end_line(span: Span, text: &str) -> Diagnostic {
    foreign("blocks end with `}`", span, format!("`{text}` closes nothing; `end` is the last time of the run"))
        .help("leave the line away; blocks are `{ ... }`, and only events, settings, schemas, layers and systems have them")
}

/// E0119: `time t = 0..10`
pub fn time_equals(span: Span) -> Diagnostic {
    foreign("the time runs in an interval", span, "`in` belongs here").fix("write", vec![edit(span, "in")])
}

/// E0119: `0:10`. `twice` if a step is given, `0:0.1:10`.
pub fn colon_range(span: Span, twice: bool) -> Diagnostic {
    let diagnostic = foreign("ranges are written `..`", span, "not a range");
    if twice {
        diagnostic.help("write `linspace(from, to, count)`; the times of a run's output are `solve { save = every(0.1) }`")
    } else {
        diagnostic.fix("write", vec![edit(span, "..")])
    }
}

/// E0119: `x' = a, y' = b`
pub fn comma_between_items(span: Span) -> Diagnostic {
    foreign("items end with the line, or with `;`", span, "a comma does not end an equation")
        .fix("write", vec![edit(span, ";")])
}

/// E0119: `x: real = 3` without a word that says what `x` is
pub fn undeclared_with_type(name: Span, text: &str) -> Diagnostic {
    foreign(format!("this does not say what `{text}` is"), name, "a name alone declares nothing")
        .fix("a name for a value", vec![edit(point(name, name.lo as usize), "let ")])
        .help("`const` is a number that stays as it is, `param` one to fit, `state` an unknown")
}

/// E0119: `return e`. `gap` is the word with the blank after it.
pub fn return_word(word: Span, gap: Span) -> Diagnostic {
    foreign("the last line of a block is its value", word, "nothing is returned by a word")
        .fix("leave it away", vec![edit(gap, "")])
}

/// E0119: `print(x)`
pub fn print_call(span: Span, text: &str) -> Diagnostic {
    foreign("a file declares, it does not do", span, format!("`{text}` is not a declaration"))
        .help("a number to be printed is `output name = ...`, a picture `plot x vs t`, a table `export \"run.csv\" { t, x }`")
}

/// E0119: `IF x THEN y`
pub fn upper_case(span: Span, edits: Vec<Edit>) -> Diagnostic {
    foreign("keywords are written in lower case", span, "read as a name").fix("write", edits)
}

/// E0119: `\alpha`. `replacement` is how it is written here.
pub fn latex(span: Span, text: &str, replacement: Option<&str>) -> Diagnostic {
    let diagnostic = foreign("there are no commands with a backslash", span, format!("`{text}` is LaTeX"));
    match replacement {
        Some(replacement) => diagnostic.fix("write", vec![edit(span, replacement)]),
        None => diagnostic.help(
            "a quotient is `a/b`, a product `a*b`, a power `a^b`; Greek letters may be used as they are, `α`",
        ),
    }
}

/// E0119: `let mut x`
pub fn mutable(span: Span, gap: Span) -> Diagnostic {
    foreign("nothing changes once it is defined", span, "not a word of this language")
        .fix("leave it away", vec![edit(gap, "")])
}

/// E0120: `==`, `<-` or `:=` where something is defined. `edits` put it right.
pub fn definition(span: Span, text: &str, edits: Vec<Edit>) -> Diagnostic {
    let label = match text {
        "==" => "`==` asks whether two things are equal",
        ":=" => "`:=` is a jump, in the body of an event",
        _ => "read as `<` and `-`",
    };
    Diagnostic::new(Code("E0120"), "definitions and equations are written `=`", span, label)
        .fix("write", edits)
}

/// E0121: `5 ms`. `gap` is the unit with the blank before it; `line` is where its line starts.
pub fn unit(span: Span, gap: Span, unit: &str, name: Option<(&str, usize)>) -> Diagnostic {
    let diagnostic = Diagnostic::new(
        Code("E0121"),
        "numbers carry no units",
        span,
        format!("`{unit}` is not part of a number"),
    );
    match name {
        Some((name, line)) => diagnostic.fix(
            "say the unit in the line above, where plots and documentation find it",
            vec![edit(point(span, line), format!("## {name} [{unit}]\n")), edit(gap, "")],
        ),
        None => diagnostic.fix("leave it away", vec![edit(gap, "")]),
    }
}

/// E0122: `[1 2; 3 4]`. `edits` put the commas and brackets in.
pub fn list_entries(span: Span, rows: bool, edits: Vec<Edit>) -> Diagnostic {
    let (message, label) = if rows {
        ("a matrix is a list of its rows", "rows are lists of their own")
    } else {
        ("the entries of a list are separated by commas", "a comma belongs between these")
    };
    Diagnostic::new(Code("E0122"), message, span, label).fix("write", edits)
}

/// E0123: `if c { … }`, `if c: …`, `if c … end`
pub fn if_statement(head: Span, found: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0123"),
        "an `if` is a value, not a statement",
        found,
        "`then` and a value belong here",
    )
    .label(head, "this `if`")
    .help("write `x' = if x > 0 then a else b`; for what happens at one moment `when x > 0 { ... }`")
}

/// E0123: `c ? a : b`, `a if c else b`, `elif`. `edits` put it right.
pub fn choice(span: Span, text: &str, edits: Vec<Edit>) -> Diagnostic {
    let message = "a choice is written `if c then a else b`";
    let diagnostic = Diagnostic::new(Code("E0123"), message, span, format!("`{text}` does not make one"));
    if edits.is_empty() { diagnostic } else { diagnostic.fix("write", edits) }
}
