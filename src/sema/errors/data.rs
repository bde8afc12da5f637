//! Sources of data: what `synthetic`, `simulate` and `windows` are not given as they need it.

use crate::base::span::Span;
use crate::diag::{Code, Diagnostic, Edit};

/// What stands where a source of data should.
pub fn not_a_source(span: Span, name: Option<&str>) -> Diagnostic {
    let message = match name {
        Some(name) => format!("`{name}` is no source of data"),
        None => "this is no source of data".to_owned(),
    };
    let expected =
        "expected `csv(\"file.csv\")`, `npy`, `npz`, `idx`, `ts`, `synthetic`, `simulate` or `windows`";
    Diagnostic::new(Code("E0203"), message, span, expected)
}

/// `synthetic(two_moons())`: nothing says how many. `close` is the closing bracket of the call;
/// `empty` whether nothing stands in it.
pub fn no_count(call: Span, empty: bool) -> Diagnostic {
    let message = "`synthetic` is not told how many examples to make";
    let at = Span { lo: call.hi - 1, hi: call.hi - 1, ..call };
    let text = if empty { "n = 1000" } else { ", n = 1000" }.to_owned();
    Diagnostic::new(Code("E0204"), message, call, "makes one example")
        .fix("say it in the call", vec![Edit { span: at, text }])
}

/// `synthetic(two_moons(), n = 1000)`
pub fn count_outside(n: Span, call: Span) -> Diagnostic {
    Diagnostic::new(Code("E0204"), "`n` stands one bracket too far out", n, "counts the examples")
        .label(call, "belongs into this call: `(..., n = 1000)`")
}

/// A function with a parameter `n` of its own.
pub fn count_is_taken(param: Span, function: &str, call: Span) -> Diagnostic {
    let message = format!("`{function}` has a parameter `n`, and `n` counts the examples here");
    Diagnostic::new(Code("E0204"), message, call, "`n` in this call is the number of examples")
        .label(param, "would never be given")
        .help("call the parameter otherwise")
}

/// What does not make one example. `expected` is what would.
pub fn makes_no_example(span: Span, maker: &str, expected: &str) -> Diagnostic {
    let message = format!("`{maker}` does not know what one example is");
    Diagnostic::new(Code("E0203"), message, span, format!("expected {expected}"))
}

/// A name of the file that data cannot be made of.
pub fn not_for_data(span: Span, name: &str, noun: &str, declared: Span) -> Diagnostic {
    let message = format!("the data are made before there is the {noun} `{name}`");
    Diagnostic::new(Code("E0402"), message, span, "too late here")
        .label(declared, format!("the {noun}"))
        .help("data are made of consts, functions, layers and systems; hand numbers over as arguments")
}

/// `step` or `epoch` in what makes data.
pub fn data_of_a_training(span: Span, name: &str) -> Diagnostic {
    let message = format!("the data are made before any training, so there is no `{name}`");
    Diagnostic::new(Code("E0402"), message, span, "too late here")
}

/// A simulated system with a state that waits for a caller to give its start.
pub fn start_not_simulated(call: Span, state: &str, declared: Span) -> Diagnostic {
    let message = format!("the state `{state}` has no start value");
    Diagnostic::new(Code("E0510"), message, call, "nothing here can give it")
        .label(declared, "declared without one here")
        .help(format!("give it in the system, from an argument if it differs: `system A(start) {{ state {state} = start ... }}`"))
}

/// A length or a stride of windows that is no number from 1 on.
pub fn no_length(span: Span, what: &str) -> Diagnostic {
    let message = format!("the {what} of windows is a whole number of at least 1, known in this file");
    Diagnostic::new(Code("E0204"), message, span, "this is not")
}
