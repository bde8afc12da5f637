//! The formatter: canonical, stable, and never at the cost of a comment or of the meaning.

use nodec::base::span::Sources;
use nodec::diag::{Diagnostic, Sink};
use nodec::syntax::format::format;
use nodec::syntax::print::print;
use nodec::syntax::token::{Lexeme, Token};
use nodec::syntax::{Parsed, parse};
use proptest::prelude::*;

fn read(text: &str) -> (Parsed, Vec<Diagnostic>) {
    let mut sources = Sources::new();
    let source = sources.add("test.node", text);
    let mut sink = Sink::new();
    let parsed = parse(source, text, &mut sink);
    (parsed, sink.into_diagnostics())
}

fn formatted(text: &str) -> String {
    format(&read(text).0.tokens, text)
}

fn comments(tokens: &[Lexeme], text: &str) -> Vec<String> {
    let marked = tokens.iter().filter(|l| matches!(l.token, Token::Comment | Token::Doc));
    marked.map(|l| l.slice(text).trim_start_matches('#').trim().to_string()).collect()
}

/// The three promises, for a text without mistakes.
fn keeps_its_promises(name: &str, text: &str) {
    let (before, faults) = read(text);
    assert_eq!(faults, [], "{name}");
    let once = format(&before.tokens, text);
    let (after, faults) = read(&once);
    assert_eq!(faults, [], "{name} formatted:\n{once}");
    assert_eq!(print(&before.file), print(&after.file), "{name}: the meaning");
    assert_eq!(comments(&before.tokens, text), comments(&after.tokens, &once), "{name}: the comments");
    assert_eq!(formatted(&once), once, "{name}: twice is once");
    // A line may stay wide only where it has no place to be broken at: a comment or a string.
    for line in once.lines() {
        let code = line.split('#').next().unwrap_or_default();
        assert!(code.trim_end().chars().count() <= 100 || code.contains('"'), "{name}: {line}");
    }
}

#[test]
fn the_programs_of_the_design_keep_comments_and_meaning() {
    for (name, text) in crate::programs::all() {
        keeps_its_promises(&name, &text);
        // The same program on narrow lines, on wide ones and without blanks keeps them too.
        keeps_its_promises(&name, &text.replace("  ", " "));
        keeps_its_promises(&name, &text.replace(", ", ",").replace(" = ", "="));
        let spread =
            |line: &str| if line.contains('#') { line.to_string() } else { line.replace(", ", ",\n") };
        keeps_its_promises(&name, &text.lines().map(spread).collect::<Vec<_>>().join("\n"));
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(formatted(text), expected);
    assert_eq!(formatted(expected), expected);
}

#[test]
fn blanks_are_canonical() {
    check("x'=-2*k*x+a [ 0 ]", "x' = -2*k*x + a[0]\n");
    check("let  H=dot( p,p ) / 2", "let H = dot(p, p) / 2\n");
    check("x' = 2^ -1 ; y' = - x", "x' = 2^-1\ny' = -x\n");
    check("use std.layers(MLP)", "use std.layers (MLP)\n");
    check(
        "fn rk(f:fn( [D] )->[D],x:[D])->[D]=x+f(x)",
        "fn rk(f: fn([D]) -> [D], x: [D]) -> [D] = x + f(x)\n",
    );
    check("let b = a[: ,_, ..2]", "let b = a[:, _, ..2]\n");
    check("let b = (.. s, z = 1)", "let b = (..s, z = 1)\n");
    check("solve {method=rk4,dt=0.1}", "solve { method = rk4, dt = 0.1 }\n");
    check("when x<0{stop}", "when x < 0 { stop }\n");
    check("##  The decay.  \nx' = 1", "## The decay.\nx' = 1\n");
}

#[test]
fn equals_signs_stand_below_each_other() {
    check("x' = 1\nyy' = 2\n0 = z", "x'  = 1\nyy' = 2\n0   = z\n");
    check("channel a' = 1\nchannel bcd' = 2", "channel a'   = 1\nchannel bcd' = 2\n");
    check(
        "param a in positive = 1 ~ normal(0, 1)\nparam beta in unit = 2.5 ~ normal(0, 1)",
        "param a    in positive = 1   ~ normal(0, 1)\nparam beta in unit     = 2.5 ~ normal(0, 1)\n",
    );
    check(
        "data d = csv(\"a\") {\n t: [T]\n mask: [T]\n}",
        "data d = csv(\"a\") {\n  t:    [T]\n  mask: [T]\n}\n",
    );
    check("x' = 1\n\nyy' = 2", "x' = 1\n\nyy' = 2\n");
}

#[test]
fn comments_keep_their_place() {
    check("a = 1 # one\nbcd = 2   # two", "a   = 1  # one\nbcd = 2  # two\n");
    check("# first\n\n\n\na = 1\n# last", "# first\n\na = 1\n# last\n");
    check("solve { # how\n  dt = 1\n  # end\n}", "solve {  # how\n  dt = 1\n  # end\n}\n");
    check("a = f(1, # one\n2)", "a = f(1,  # one\n  2)\n");
}

#[test]
fn lines_are_indented_by_what_they_stand_in() {
    check(
        "layer A[D] {\nparam a = 1,\nb = 2\nfn (x) {\nlet y = x\ny\n}\n}",
        "layer A[D] {\n  param a = 1,\n    b = 2\n  fn (x) {\n    let y = x\n    y\n  }\n}\n",
    );
    check("let w = c\n|> tanh\n|> relu", "let w = c\n  |> tanh\n  |> relu\n");
    check("a = f(\n1,\n2\n)", "a = f(\n  1,\n  2\n)\n");
}

#[test]
fn wide_lines_are_broken() {
    let term = "alpha_long*x_long";
    let text = format!("x' = {}", [term; 8].join(" + "));
    let once = formatted(&text);
    assert!(once.lines().count() == 2 && once.lines().all(|line| line.len() <= 100), "{once}");
    keeps_its_promises("a sum", &text);
    let text = format!("train {{ {} }}", [format!("{} = 1", "k".repeat(20)).as_str(); 6].join(", "));
    assert!(formatted(&text).starts_with("train {\n  "));
    keeps_its_promises("settings", &text);
    let text = format!("a = f({})", ["g(argument, another)"; 9].join(", "));
    keeps_its_promises("a call", &text);
}

/// Pieces of text that make and break programs.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "x", "y", "state", "param", "let", "layer A", "system B", "data d =", "solve", "loss", "fn", "when",
        "if", "then", "else", "for", "in", "fold", "(", ")", "[", "]", "{", "}", "=", "==", "'", "+", "-",
        "*", "**", "/", "^", "..", ".", ",", ":", ";", ":=", "~", "->", "|>", "?", "1", "2.5", "1.", ".5",
        "\"s\"", "\"s", "\\", "#c\n", "## d\n", "\n", "\n\n", " ", "  ", "% c\n", "//c\n", "σ", "∂", "not",
        "and", "<", "true", "@", "as", "use", "vs", "\r\n", "\t", "$",
    ])
}

/// Lines that are items on their own.
fn line() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "x' = -k*x + a[0]",
        "state x=1.0,y = 2",
        "  # alone",
        "",
        "let (a,b) = f(x , y)  # trailing",
        "## doc\nz = 1",
        "solve {method = rk4, dt=0.1}",
        "solve {\n rtol=1e-6 # tight\n\n # own\n}",
        "layer A[D] {\nparam w = 1\n\nfn (x) = x\n}",
        "fn f(x) {\nlet y = x; y\n}",
        "when x<0{v := -v; stop}",
        "a = f(1,# one\n2\n)",
        "w = c\n|> tanh # t\n|> f(\n2)",
        "let h = fold h = 0 for k in 0..3 {\n h + k }",
        "data d = csv(\"a\") { ## col\n t:[T]\n xx: [T,2] = column(\"x\") }",
        "loss f = mean((x(end) - 1)^2) + mean((y(end) - 2)^2) + mean((zeta(end) - 3)^2) + mean((omega(end) - 4)^2)",
        "param a in positive = 1 ~ normal(0, 1)",
        "param bcd: [2] in unit = [1, 2]",
        "plot x, y vs t",
        "a = 1; b = 2 # two",
        "y'' = if a then b\n else c",
        "use \"a.node\" as m",
        "obs.y ~ normal(x(obs.t), s)",
        "system S {\n## doc\nstate q = 1\n# end\n}",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_and_formatted_without_a_panic(pieces in prop::collection::vec(piece(), 0..40)) {
        let text: String = pieces.concat();
        let (parsed, _) = read(&text);
        let once = format(&parsed.tokens, &text);
        let kept = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != ';' && *c != '#').count();
        // Nothing but blanks, separators and marks of docs may come or go.
        prop_assert_eq!(kept(&text.replace('\u{feff}', "")), kept(&once));
    }

    #[test]
    fn any_program_of_lines_keeps_the_promises(lines in prop::collection::vec(line(), 0..12)) {
        let text = lines.join("\n");
        let (_, faults) = read(&text);
        prop_assume!(faults.is_empty());
        keeps_its_promises("lines", &text);
    }
}

#[test]
fn an_item_in_the_middle_of_a_line_may_go_on_left_of_it() {
    // `loss =` at the margin of an item would end it; the margin is that of the line, not the column.
    keeps_its_promises("with line ends", "solve { rtol = f(a, # why\n  loss = x, # more\n  run = 1) }\n");
}

#[test]
fn a_comment_behind_a_separator_does_not_become_a_doc_line() {
    check("## what\n;## and why\nstate x = 1  ## start\n", "## what\n# and why\nstate x = 1  # start\n");
    keeps_its_promises("a separator", "## what\n;## and why\nstate x = 1\n");
}
