//! Fuzzing: whatever the text, the compiler says what is wrong and stays alive.
//!
//! Each entry point has its own test, its own properties and a count of cases of its own. In the
//! default run the cases are a fixed few hundred; `NODEC_FUZZ_SECONDS=600` runs each entry point
//! for that long, and `NODEC_SEED` starts elsewhere. A failure names its seed and shows the text.

mod files;
mod grammar;
mod random;

use nodec::Model;
use nodec::base::span::Sources;
use nodec::diag::render::{Format, render};
use nodec::diag::{Diagnostic, Sink};
use nodec::syntax::lexer::{Lexed, lex};
use nodec::syntax::print::print;
use nodec::syntax::token::{Token, dump};
use nodec::syntax::{Parsed, format, parse};
use random::Random;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Programs that are right and programs that are wrong in every way we know.
fn corpus() -> Vec<String> {
    let mut corpus: Vec<String> = crate::programs::all().into_iter().map(|(_, text)| text).collect();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/nasty");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10);
    corpus
        .extend(files.iter().map(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned()));
    let styles = std::fs::read_to_string("tests/it/styles.md").unwrap();
    let blocks = styles.split("```node\n").skip(1).filter_map(|block| block.split("\n```").next());
    corpus.extend(blocks.map(|block| format!("{block}\n")));
    corpus
}

/// Runs `property` on text after text. `usual` is how many without a time.
fn fuzz(entry: &str, usual: u64, property: impl Fn(&str, bool)) {
    let corpus = corpus();
    let case = |random: &mut Random| match random.below(10) {
        0 => (random::bytes(random), false),
        1 => (random::characters(random), false),
        2 | 3 => (random::tokens(random), false),
        4 | 5 => (grammar::program(random), true),
        6 => {
            let program = grammar::program(random);
            (random::mutated(&[program], random), false)
        }
        _ => (random::mutated(&corpus, random), false),
    };
    let bytes = |(text, _): &(String, bool)| text.clone().into_bytes();
    drive(entry, usual, case, bytes, |(text, well_formed)| property(text, *well_formed));
}

/// Runs `property` on case after case, `usual` of them without a time; `bytes` shows one.
fn drive<C>(
    entry: &str,
    usual: u64,
    case: impl Fn(&mut Random) -> C,
    bytes: impl Fn(&C) -> Vec<u8>,
    property: impl Fn(&C),
) {
    let seed: u64 = std::env::var("NODEC_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let seconds = std::env::var("NODEC_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let begun = Instant::now();
    // An abort (a full stack) names no seed, so the case lies in a file while it is read.
    let current = std::env::temp_dir().join(format!("nodec-fuzz-{entry}-{}", std::process::id()));
    let mut cases = 0;
    let mut slowest = Duration::ZERO;
    loop {
        let go_on = match seconds {
            Some(seconds) => begun.elapsed() < Duration::from_secs(seconds),
            None => cases < usual,
        };
        if !go_on {
            break;
        }
        let seed = seed + cases;
        let case = case(&mut Random::new(seed));
        if seconds.is_some() {
            std::fs::write(&current, bytes(&case)).unwrap();
        }
        let started = Instant::now();
        let held = catch_unwind(AssertUnwindSafe(|| property(&case)));
        let took = started.elapsed();
        let shown = || String::from_utf8_lossy(&bytes(&case)).into_owned();
        assert!(held.is_ok(), "{entry}: seed {seed} fails:\n{}", shown());
        // Generous: a usual case takes a tenth of a millisecond, and the machine may be busy.
        assert!(took < Duration::from_secs(5), "{entry}: seed {seed} takes {took:?}:\n{}", shown());
        slowest = slowest.max(took);
        cases += 1;
    }
    let _ = std::fs::remove_file(current);
    if seconds.is_some() {
        // Straight to the stream: the harness keeps what `println!` says of a test that passes.
        let spent = begun.elapsed().as_secs_f64();
        let line = format!(
            "fuzz {entry}: {cases} cases in {spent:.0} s, none found; the slowest took {slowest:?}\n"
        );
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    let memory = peak_memory();
    assert!(memory < 4 << 30, "{entry}: {} MiB at the most", memory >> 20);
}

/// The most memory the process has had, in bytes; 0 where the system does not say.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.parse::<usize>().ok());
    kib.unwrap_or(0) << 10
}

fn tokens_of(text: &str) -> (Lexed, Sources, Vec<Diagnostic>) {
    let mut sources = Sources::new();
    let source = sources.add("fuzz.node", text);
    let mut sink = Sink::new();
    let lexed = lex(source, text, 0..text.len(), &mut sink);
    (lexed, sources, sink.into_diagnostics())
}

fn tree_of(text: &str) -> (Parsed, Sources, Vec<Diagnostic>) {
    let mut sources = Sources::new();
    let source = sources.add("fuzz.node", text);
    let mut sink = Sink::new();
    let parsed = parse(source, text, &mut sink);
    (parsed, sources, sink.into_diagnostics())
}

/// Messages can be shown in every format, and what they point at is in the text.
fn can_be_shown(text: &str, sources: &Sources, messages: &[Diagnostic]) {
    for message in messages {
        let labels = message.primary.iter().chain(&message.secondary).map(|label| label.span);
        let edits = message.helps.iter().flat_map(|help| &help.edits).map(|edit| edit.span);
        for span in labels.chain(edits) {
            assert!(text.get(span.range()).is_some(), "{message:?} points outside");
        }
        assert!(message.helps.len() <= 3 && !message.message.is_empty(), "{message:?}");
    }
    let some = &messages[..messages.len().min(4)];
    for format in [Format::Full, Format::Short, Format::Json] {
        assert!(some.is_empty() || !render(some, sources, format, false).is_empty());
    }
}

/// Every character that is not blank is in one token, in order.
#[test]
fn lexer() {
    fuzz("lexer", 800, |text, _| {
        let (lexed, sources, messages) = tokens_of(text);
        let mut at = 0;
        for lexeme in &lexed.tokens {
            assert!(lexeme.lo >= at && lexeme.hi >= lexeme.lo, "{lexeme:?}");
            assert!(text[at..lexeme.lo].chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\u{feff}')));
            at = lexeme.hi;
        }
        assert!(text[at..].chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\u{feff}')));
        assert!(dump(&lexed.tokens, text).lines().count() >= lexed.tokens.len());
        can_be_shown(text, &sources, &messages);
    });
}

/// What the parser reads has balanced brackets and no two separators in a row.
#[test]
fn layout() {
    fuzz("layout", 800, |text, _| {
        let (lexed, _, _) = tokens_of(text);
        let mut open = Vec::new();
        for (at, lexeme) in lexed.laid.iter().enumerate() {
            assert!(!lexeme.token.is_trivia() && text.is_char_boundary(lexeme.lo));
            if let Some(closer) = lexeme.token.closer() {
                open.push(closer);
            } else if lexeme.token.is_closer() {
                assert_eq!(open.pop(), Some(lexeme.token));
            }
            if at > 0 {
                let previous = lexed.laid[at - 1];
                assert!(previous.token != Token::Semi || lexeme.token != Token::Semi);
                assert!(previous.hi <= lexeme.lo || previous.lo == previous.hi);
            }
        }
        assert_eq!(open, []);
    });
}

/// A program that follows the grammar has no message, any text has messages that can be shown.
#[test]
fn parser() {
    fuzz("parser", 800, |text, well_formed| {
        let (parsed, sources, messages) = tree_of(text);
        if well_formed {
            assert_eq!(messages, []);
        }
        can_be_shown(text, &sources, &messages);
        assert!(messages.len() <= text.len() + 1);
        for item in &parsed.file.items {
            assert!(text.get(item.span.range()).is_some());
        }
        assert!(print(&parsed.file).lines().count() >= parsed.file.items.len());
    });
}

fn comments(parsed: &Parsed, text: &str) -> Vec<String> {
    let marked = parsed.tokens.iter().filter(|l| matches!(l.token, Token::Comment | Token::Doc));
    marked.map(|l| l.slice(text).trim_start_matches('#').trim().to_string()).collect()
}

/// Twice is once, comments stay in order, the tree is the same; nothing but blanks, separators and
/// marks of docs comes or goes, whatever the text.
#[test]
fn formatter() {
    fuzz("formatter", 800, |text, _| {
        let (before, _, messages) = tree_of(text);
        let once = format::format(&before.tokens, text);
        let kept =
            |text: &str| text.chars().filter(|c| !c.is_whitespace() && !";#\u{feff}".contains(*c)).count();
        assert_eq!(kept(text), kept(&once));
        if messages.is_empty() {
            let (after, _, faults) = tree_of(&once);
            assert_eq!(faults, [], "{once}");
            assert_eq!(print(&before.file), print(&after.file), "the meaning of\n{once}");
            assert_eq!(comments(&before, text), comments(&after, &once), "the comments of\n{once}");
            assert_eq!(format::format(&after.tokens, &once), once, "twice is once");
        }
    });
}

/// The whole front half: names, shapes, equations, settings; short runs of what is right.
#[test]
fn check() {
    let runnable = "param mu = 2.0\nconst c = [1, 2]\ntime t in 0..1\nstate x = 2.0, x' = 0.0\n\
                    state z: [2] = [1, 0]\nlet V = dot(z, z)/2 + c[1]\nx'' = mu*(1 - x^2)*x' - x\n\
                    z' = -grad(V, z) + [sin(t), x]\nchannel w' = div(z') + sumsq(z'')\noutput e = w(end)\n\
                    plot x, z[0] vs t\n";
    fuzz("check", 500, |text, _| {
        let mut random = Random::new(text.len() as u64);
        let runs = random.chance(3);
        let text = if runs { random::mutated(&[runnable.to_owned()], &mut random) } else { text.to_owned() };
        match Model::from_text("m.node", &text, PathBuf::from("no/such/folder")) {
            Ok(model) => {
                assert!(model.bind().check().is_ok() || !model.equations().is_empty());
                if runs && let Ok(run) = model.bind().setting("solve.max_steps", "200").build() {
                    let _ = run.solve();
                }
            }
            Err(diagnostics) => assert!(!diagnostics.render().is_empty()),
        }
    });
}

/// Ten times the text takes at most about ten times as long.
#[test]
fn time_grows_with_the_length_alone() {
    let pieces = [
        "x' = -k*x\n",
        "(",
        ")",
        "[",
        "{",
        "{ a = 1 ",
        "'",
        "- ",
        "-",
        "\"",
        "\"\n",
        "#\n",
        "## d\n",
        "/*",
        "/* *",
        "|",
        "|x",
        "\\a",
        "∂",
        "$",
        "x ",
        "1 ",
        "1.",
        "..",
        "a.",
        "f(",
        "f(1)",
        "system A {\n",
        "}\n",
        "if a then ",
        "x |> ",
        "fold a = b ",
        "[1 2; 3]\n",
        "def f(x):\n",
        "function f(x)\n  y\n",
        "end\n",
        "a + \n",
        "loss = (\n",
        "state x = 1, ",
        "² ",
        "x,\n",
        "plot (a\n",
        "solve {\n",
        "let (",
        "\r",
        "a'\n",
        "x' = (\n",
        "y' = 2k\n",
        "parameters {\n",
    ];
    for piece in pieces {
        let time = |bytes: usize| {
            let text = piece.repeat(bytes / piece.len());
            let begun = Instant::now();
            let (parsed, _, messages) = tree_of(&text);
            format::format(&parsed.tokens, &text);
            assert!(messages.len() <= text.len() + 1);
            begun.elapsed()
        };
        let short = time(2_000);
        assert!(short < Duration::from_millis(300), "{piece:?}: 2 kB take {short:?}");
        let long = time(20_000);
        let most = short * 40 + Duration::from_millis(300);
        assert!(long < most, "{piece:?}: 2 kB take {short:?}, 20 kB {long:?}");
    }
}
