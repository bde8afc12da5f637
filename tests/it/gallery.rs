//! The gallery of diagnostics: what a mistake looks like on the terminal, to the column.

use nodec::base::span::Sources;
use nodec::diag::Sink;
use nodec::diag::render::{Format, render};

/// The messages for `text`, as if its first line were line `line` of `file`.
fn messages(file: &str, line: usize, text: &str, format: Format) -> String {
    let text = "\n".repeat(line - 1) + text;
    let mut sources = Sources::new();
    let source = sources.add(file, text.as_str());
    let mut sink = Sink::new();
    nodec::syntax::parse(source, &text, &mut sink);
    render(sink.diagnostics(), &sources, format, false)
}

#[track_caller]
fn check(file: &str, line: usize, text: &str, expected: &str) {
    assert_eq!(messages(file, line, text, Format::Full).trim_end(), expected.trim());
}

#[test]
fn juxtaposition() {
    check(
        "decay.node",
        4,
        "x' = -2k*x\n",
        "
error[E0110]: a number and a name need an operator between them
 --> decay.node:4:7
  |
4 | x' = -2k*x
  |       ^^ read as the number `2` followed by the name `k`
  |
help: write the multiplication out
  |
4 | x' = -2*k*x
  |        +",
    );
}

#[test]
fn an_operator_at_the_start_of_a_line() {
    check(
        "lotka.node",
        9,
        "x' = alpha*x\n   - beta*x*y\n",
        "
error[E0115]: this line starts with `-`, so it is a new item
  --> lotka.node:10:4
   |
 9 | x' = alpha*x
   |      ------- the equation for `x` ends here
10 |    - beta*x*y
   |    ^ did you mean to go on with the line above?
   |
   = help: end the line above with the `-`, or put the right-hand side in parentheses; every other operator may start a line",
    );
}

#[test]
fn a_bracket_that_is_never_closed() {
    check(
        "fit.node",
        12,
        "loss fit = mean((y(obs.t) - obs.y)^2\n\nsolve { method = dopri5 }\n",
        "
error[E0106]: this `(` is never closed
  --> fit.node:12:16
   |
12 | loss fit = mean((y(obs.t) - obs.y)^2
   |                ^ opened here
13 |
14 | solve { method = dopri5 }
   | ----- a new item starts here, so parsing went on from this line",
    );
}

#[test]
fn double_quotes() {
    check(
        "a.node",
        1,
        "let a = csv('a.csv')\n",
        "
error[E0101]: strings use double quotes
 --> a.node:1:13
  |
1 | let a = csv('a.csv')
  |             ^^^^^^^ `'` is the time derivative
  |
help: write
  |
1 - let a = csv('a.csv')
1 + let a = csv(\"a.csv\")
  |",
    );
}

#[test]
fn chained_comparisons() {
    check(
        "a.node",
        1,
        "let b = 0 < x < 1\n",
        "
error[E0131]: comparisons do not chain
 --> a.node:1:15
  |
1 | let b = 0 < x < 1
  |           -   ^ the second comparison
  |           |
  |           the first
  |
help: compare twice
  |
1 | let b = 0 < x and x < 1
  |               +++++",
    );
}

#[test]
fn short_and_json() {
    assert_eq!(
        messages("decay.node", 4, "x' = -2k*x\n", Format::Short),
        "decay.node:4:7: error[E0110]: a number and a name need an operator between them\n"
    );
    assert_eq!(
        messages("decay.node", 4, "x' = -2k*x\n", Format::Json),
        "{\"code\":\"E0110\",\"severity\":\"error\",\
         \"message\":\"a number and a name need an operator between them\",\
         \"spans\":[{\"primary\":true,\"label\":\"read as the number `2` followed by the name `k`\",\
         \"file\":\"decay.node\",\"line\":4,\"column\":7,\"start\":9,\"end\":11}],\"notes\":[],\
         \"helps\":[{\"message\":\"write the multiplication out\",\
         \"edits\":[{\"file\":\"decay.node\",\"line\":4,\"column\":8,\"start\":10,\"end\":10,\"text\":\"*\"}]}]}\n"
    );
}
