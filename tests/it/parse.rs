//! The front end on whole texts: the programs of the design, and the mistakes people make.

use nodec::base::span::Sources;
use nodec::diag::{Diagnostic, Sink};
use nodec::syntax::ast::{ExprKind, File, ItemKind};
use nodec::syntax::print::print;
use nodec::syntax::token::dump;

fn parse(text: &str) -> (File, Vec<Diagnostic>) {
    let mut sources = Sources::new();
    let source = sources.add("test.node", text);
    let mut sink = Sink::new();
    let parsed = nodec::syntax::parse(source, text, &mut sink);
    (parsed.file, sink.into_diagnostics())
}

/// The codes of `text` with the text under each primary label.
fn faults(text: &str) -> Vec<(&'static str, &str)> {
    let (_, diagnostics) = parse(text);
    let mut faults = Vec::new();
    for diagnostic in diagnostics {
        let span = diagnostic.primary.expect("messages of the parser have a place").span;
        faults.push((diagnostic.code.0, &text[span.range()]));
    }
    faults
}

#[test]
fn every_program_of_the_design_is_read_without_a_message() {
    for (name, text) in crate::programs::all() {
        let (file, diagnostics) = parse(&text);
        assert_eq!(diagnostics, [], "{name}");
        assert!(file.items.len() > 4, "{name}");
    }
}

#[test]
fn each_habit_gets_its_own_message() {
    let cases = [
        ("x' = -2k*x", ("E0110", "2k")),
        ("x' = a b", ("E0110", "a b")),
        ("x' = 2(a + b)", ("E0110", "2")),
        ("let a = csv('a.csv')", ("E0101", "'a.csv'")),
        ("use 'a.node'", ("E0101", "'a.node'")),
        ("x' = 1 // decay (fast", ("E0102", "//")),
        ("x' = 1 % decay", ("E0102", "%")),
        ("x' = x**2", ("E0103", "**")),
        ("x' = 1.*x", ("E0104", "1.")),
        ("x' = 1.e5", ("E0104", "1.e5")),
        ("x' = .5*x", ("E0104", ".5")),
        ("x' = a $ b", ("E0105", "$")),
        ("x' = f(a))", ("E0107", ")")),
        ("use \"a.node", ("E0108", "\"a.node")),
        ("\"s", ("E0108", "\"s")),
        ("use \"a\\\"", ("E0108", "\"a\\\"")),
        ("solve method = rk4", ("E0100", "method")),
        ("x' = 99999999999999999999", ("E0109", "99999999999999999999")),
        ("x' = 1e999", ("E0109", "1e999")),
        ("x' = if c then 1", ("E0111", "")),
        ("use \"a\\q\"", ("E0113", "\\q")),
        ("x' = a*x\n  - b*x", ("E0115", "-")),
        ("x' = if c = 1 then 1 else 0", ("E0116", "=")),
        ("parm k = 0.3", ("E0117", "parm")),
        ("x' =\ny' = 3", ("E0118", "=")),
        ("let f = 2*x -> x", ("E0130", "2*x")),
        ("let b = 0 < x < 1", ("E0131", "<")),
        ("x' = (", ("E0106", "(")),
        ("solve {\n  rtol = 1e-6\n", ("E0106", "{")),
        ("x' = )", ("E0107", ")")),
        ("let a = 1 then", ("E0100", "then")),
        ("time in 0..20", ("E0100", "in")),
    ];
    for (text, fault) in cases {
        assert_eq!(faults(text), [fault], "{text}");
    }
}

#[test]
fn one_run_reports_every_mistake_once() {
    let text = "\
state x = 1.0
x' = -2k*x
param k = $
let y = 0 < x < 1
solve {
  rtol = ,
  atol = 1e-6
  method dopri5
}
layer Net[C] {
  param a = Dense[C, C]()
  param b = (1 +
  fn (z) = z
}
loss fit = mean((y - 1)^2
train { steps = 10 }
y' = 3
";
    let found: Vec<&str> = faults(text).into_iter().map(|(code, _)| code).collect();
    assert_eq!(found, ["E0110", "E0105", "E0131", "E0100", "E0100", "E0106", "E0106"]);
    let (file, _) = parse(text);
    let readable = |kind: &ItemKind| !matches!(kind, ItemKind::Error);
    assert!(file.items.iter().filter(|item| readable(&item.kind)).count() >= 4);
}

#[test]
fn an_unclosed_bracket_costs_one_item() {
    let text = "loss fit = mean((y(obs.t) - obs.y)^2\n\nsolve { method = dopri5 }\nx' = 1\n";
    let (file, diagnostics) = parse(text);
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].secondary[0].span.range(), 38..43);
    assert!(matches!(file.items[1].kind, ItemKind::Settings { .. }));
    assert!(matches!(file.items[2].kind, ItemKind::Equation { .. }));
}

#[test]
fn a_missing_brace_costs_one_item() {
    let text = "solve {\n  rtol = 1e-6\ntrain { steps = 3 }\n";
    assert_eq!(faults(text), [("E0106", "{")]);
}

#[test]
fn item_keywords_are_names_elsewhere() {
    let text = "state state = 1.0\nstate' = -state\ndata d = csv(\"a\") {\n  time: [T]\n  loss: [T]\n}\n\
                let y = d.if\nloss = y\nrun = 3\nat(end) ~ normal(0, 1)";
    let (file, diagnostics) = parse(text);
    assert_eq!(diagnostics.iter().map(|d| d.code.0).collect::<Vec<_>>(), ["E0100"], "`at(` heads an event");
    assert!(matches!(&file.items[1].kind, ItemKind::Equation { .. }));
    assert!(matches!(&file.items[4].kind, ItemKind::Loss { name: None, .. }));
    assert!(matches!(&file.items[5].kind, ItemKind::Equation { .. }));
}

#[test]
fn powers_bind_as_on_paper() {
    let (file, _) = parse("y = -x^2^-1'");
    let ItemKind::Equation { rhs, .. } = &file.items[0].kind else { panic!("an equation") };
    assert!(matches!(rhs.kind, ExprKind::Unary(..)));
}

#[test]
fn deep_texts_are_refused_rather_than_overflowing() {
    for text in [
        format!("x' = {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("x' = {}1", "-".repeat(100_000)),
        format!("x' = 1{}", " + 1".repeat(100_000)),
        format!("x' = x{}", "'".repeat(100_000)),
        format!("x' = f{}", "(1)".repeat(100_000)),
        format!("x' = {} 1", "if a then b else ".repeat(100_000)),
        format!("let f: {} real = 1", "fn() -> ".repeat(100_000)),
        "system A { ".repeat(100_000),
    ] {
        let (_, diagnostics) = parse(&text);
        assert!(diagnostics.iter().any(|d| d.code.0 == "E0114"), "{}", &text[..40]);
    }
    // The highest trees that are taken can be walked and dropped on a test's small stack.
    for text in [
        format!("x' = 1{}", " + 1".repeat(795)),
        format!("x' = {}1", "-".repeat(795)),
        format!("x' = {}1{}", "(".repeat(199), ")".repeat(199)),
    ] {
        let (file, diagnostics) = parse(&text);
        assert_eq!(diagnostics, []);
        assert!(print(&file).len() > 199);
    }
}

#[test]
fn a_value_on_the_command_line_is_an_expression() {
    let text = "--set mu=2*50";
    let mut sources = Sources::new();
    let source = sources.add("command line", text);
    let mut sink = Sink::new();
    let expr = nodec::syntax::parse_expr(source, text, 9..13, &mut sink).expect("a value");
    assert_eq!(expr.span.range(), 9..13);
    assert!(nodec::syntax::parse_expr(source, text, 9..11, &mut sink).is_none());
    assert!(nodec::syntax::parse_expr(source, text, 9..9, &mut sink).is_none());
    assert_eq!(sink.diagnostics().len(), 2);
}

#[test]
fn no_message_names_more_than_three_alternatives() {
    for (_, text) in crate::programs::all() {
        for at in (0..text.len()).step_by(7).filter(|at| text.is_char_boundary(*at)) {
            let (_, diagnostics) = parse(&text[..at]);
            for diagnostic in diagnostics {
                let wanted = diagnostic.message.split(", found").next().unwrap_or_default();
                assert!(
                    wanted.matches(", ").count() + wanted.matches(" or ").count() <= 2,
                    "{}",
                    diagnostic.message
                );
            }
        }
    }
}

#[test]
fn messages_come_in_the_order_of_the_text() {
    let found: Vec<&str> = faults("x' = 2k\ny = $\nz = (1").into_iter().map(|(code, _)| code).collect();
    assert_eq!(found, ["E0110", "E0105", "E0106"]);
}

#[test]
fn trees_and_tokens_can_be_read() {
    let text =
        "## Decay.\nparam k in unit = 0.5 ~ beta(2, 2)\nx'' = -2*k*x[i, ..] # c\nsolve { rtol = 1e-6 }";
    let (file, _) = parse(text);
    let expected = "\
(doc \"Decay.\") (param (k (in unit) (= 0.5) (~ (call beta 2 2))))
(equation (prime (prime x)) (* (* (neg 2) k) (index x i :)))
(solve (rtol 1e-6))
";
    assert_eq!(print(&file), expected);
    let mut sources = Sources::new();
    let source = sources.add("test.node", "σ' = 1 # c\ny = 2");
    let parsed = nodec::syntax::parse(source, sources.text(source), &mut Sink::new());
    let expected = "\
1:1      Ident        σ
1:2      Prime        '
1:4      Eq           =
1:6      Int          1
1:8      Comment      # c
1:11     Semi         \\n
2:1      Ident        y
2:3      Eq           =
2:5      Int          2
";
    assert_eq!(dump(&parsed.tokens, sources.text(source)), expected);
}
