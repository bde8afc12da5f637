//! What a `data` item says about where its numbers come from: the call after the `=`.

use crate::base::span::Span;
use crate::data::{Format, Part, Shares};
use crate::diag::{Code, Diagnostic};
use crate::settings::value;
use crate::syntax::ast::{Arg, Expr, ExprKind};

/// Files that hold one part of a data set, each with the place of its name: one for all fields, or
/// one for each.
pub(super) type Files<'a> = Vec<(&'a str, Span)>;

/// `csv("a.csv", by = "patient", split = [0.8, 0.1, 0.1], seed = 0)`
pub(super) struct Source<'a> {
    /// How the files hold their numbers.
    pub format: Format,
    /// The files.
    pub files: FileSet<'a>,
    /// The column that says which example a row belongs to.
    pub by: Option<(&'a str, Span)>,
    /// How the examples are divided.
    pub split: Option<(Shares, Span)>,
}

/// The files of a data set.
pub(super) enum FileSet<'a> {
    /// `npy("a.npy")`
    Whole(Files<'a>),
    /// `npy(train = "a.npy", test = "b.npy")`, in the order of [`Part::ALL`].
    Parts([Option<Files<'a>>; 3]),
}

/// A value, or what is wrong.
type Read<T> = Result<T, Box<Diagnostic>>;

/// Reads the call; E0290 for what is not built, E0706 for arguments that mean nothing.
pub(super) fn source(expr: &Expr) -> Read<Source<'_>> {
    let (name, args) = match &expr.unparenthesised().kind {
        ExprKind::Call { callee, args } => match &callee.kind {
            ExprKind::Name(name) => (name, args),
            _ => return Err(not_built("this source of data", callee.span)),
        },
        _ => return Err(not_built("this source of data", expr.span)),
    };
    let Some(format) = Format::by_name(name) else {
        return Err(not_built(&format!("the data source `{name}`"), expr.span));
    };
    let mut whole: Option<Files<'_>> = None;
    let mut parts: [Option<Files<'_>>; 3] = [None, None, None];
    let (mut by, mut shares, mut seed) = (None, None, None);
    for arg in args {
        match arg {
            Arg::Positional(value) if whole.is_none() => whole = Some(files(value)?),
            Arg::Named(key, value) => match &*key.name {
                "by" if format == Format::Csv => by = Some(text(value)?),
                "by" => return Err(wrong("only a table has rows to group", key.span)),
                "split" => shares = Some((value, key.span)),
                "seed" => seed = Some((value, key.span)),
                other => match Part::by_name(other) {
                    Some(part) => parts[part as usize] = Some(files(value)?),
                    None => return Err(wrong(&format!("`{name}` has no argument `{other}`"), key.span)),
                },
            },
            Arg::Positional(value) | Arg::Spread(value, _) | Arg::Comprehension(value, _) => {
                return Err(wrong("one file, or one list of files, is enough", value.span));
            }
        }
    }
    let files = match (whole, parts) {
        (Some(whole), [None, None, None]) => FileSet::Whole(whole),
        (None, parts @ [Some(_), _, _]) => FileSet::Parts(parts),
        (None, [None, ..]) => return Err(wrong("which file is it?", expr.span)),
        (Some(_), _) => {
            return Err(wrong("either one file, or one for each of `train`, `valid`, `test`", expr.span));
        }
    };
    let split = match (shares, seed) {
        (None, None) => None,
        (None, Some((_, span))) => return Err(wrong("`seed` is for a `split`, and there is none", span)),
        (Some(_), _) if matches!(files, FileSet::Parts(_)) => {
            return Err(wrong("the files are the parts, so there is nothing to split", expr.span));
        }
        (Some((value, _)), seed) => Some((split(value, seed.map(|(value, _)| value))?, value.span)),
    };
    Ok(Source { format, files, by, split })
}

/// `"a.npy"` or `["a.npy", "b.npy"]`
fn files(expr: &Expr) -> Read<Files<'_>> {
    let ExprKind::Array(entries) = &expr.unparenthesised().kind else { return Ok(vec![text(expr)?]) };
    let each = entries.iter().map(|entry| match entry {
        Arg::Positional(file) => text(file),
        Arg::Named(_, file) | Arg::Spread(file, _) | Arg::Comprehension(file, _) => {
            Err(wrong("a list of names of files is wanted", file.span))
        }
    });
    each.collect()
}

fn text(expr: &Expr) -> Read<(&str, Span)> {
    match &expr.unparenthesised().kind {
        ExprKind::Str(text) => Ok((text, expr.span)),
        _ => Err(wrong("a name between quotes is wanted", expr.span)),
    }
}

/// `[0.8, 0.1, 0.1]` and `0`
fn split(shares: &Expr, seed: Option<&Expr>) -> Read<Shares> {
    let wanted = "three shares that add up to 1, for `train`, `valid` and `test`, are wanted";
    let numbers = value::numbers(shares).and_then(|numbers| <[f64; 3]>::try_from(numbers).ok());
    let numbers = numbers.ok_or_else(|| wrong(wanted, shares.span))?;
    let seed = match seed {
        None => 0,
        Some(seed) => {
            let number =
                value::number(seed).filter(|x| *x >= 0.0 && x.fract() == 0.0 && *x < 2.0_f64.powi(53));
            number.ok_or_else(|| wrong("a seed is a whole number", seed.span))? as u64
        }
    };
    Shares::new(numbers, seed).ok_or_else(|| wrong(wanted, shares.span))
}

/// E0706, with what a source looks like.
pub(super) fn wrong(message: &str, span: Span) -> Box<Diagnostic> {
    let diagnostic = Diagnostic::new(Code("E0706"), message, span, "here");
    Box::new(diagnostic.help(
        "for example `csv(\"a.csv\", split = [0.8, 0.1, 0.1], seed = 0)` or `npy(train = \"a.npy\", test = \"b.npy\")`",
    ))
}

fn not_built(what: &str, span: Span) -> Box<Diagnostic> {
    let message = format!("{what} is not supported yet");
    Box::new(
        Diagnostic::new(Code("E0290"), message, span, "part of the language, not built")
            .help("`csv`, `npy`, `npz`, `idx` and `ts` read files"),
    )
}
