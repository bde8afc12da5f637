//! What a `data` item says about where its numbers come from: the call after the `=`.

use crate::base::span::Span;
use crate::data::{Format, Part, Shares};
use crate::diag::{Code, Diagnostic};
use crate::sema::Maker;
use crate::settings::value;
use crate::syntax::ast::{Arg, Expr, ExprKind};

/// Files that hold one part of a data set, each with the place of its name: one for all fields, or
/// one for each.
pub(super) type Files<'a> = Vec<(&'a str, Span)>;

/// `csv("a.csv", by = "patient", split = [0.8, 0.1, 0.1], seed = 0)`
pub(super) struct Source<'a> {
    /// What gives the numbers.
    pub origin: Origin<'a>,
    /// How the examples are divided.
    pub split: Option<(Shares, Span)>,
}

/// What gives the numbers of a data set.
pub(super) enum Origin<'a> {
    /// Files.
    Files {
        /// How they hold their numbers.
        format: Format,
        /// Which.
        files: FileSet<'a>,
        /// The column that says which example a row belongs to.
        by: Option<(&'a str, Span)>,
    },
    /// A program, whose draws are keyed by this.
    Made(u64),
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

/// Reads the call; E0706 for arguments that mean nothing. What `sema` has looked at is taken as it is.
pub(super) fn source(expr: &Expr) -> Read<Source<'_>> {
    let (name, args) = call(expr);
    if name != "windows" {
        return numbers(expr);
    }
    let positional = |arg: &'_ Arg| matches!(arg, Arg::Positional(_));
    let Some(Arg::Positional(inner)) = args.iter().find(|arg| positional(arg)) else {
        crate::bug!("windows of nothing")
    };
    let whole = numbers(inner)?;
    if let Some((_, span)) = whole.split {
        return Err(wrong("segments are divided, so `split` is an argument of `windows`", span));
    }
    let (shares, seed) = (named(args, "split"), named(args, "seed"));
    let is_whole = !matches!(&whole.origin, Origin::Files { files: FileSet::Parts(_), .. });
    let split = divided(shares, seed, is_whole, expr.span)?;
    if let (None, Some((_, span))) = (shares, seed) {
        return Err(wrong("`seed` is for a `split`, and there is none", span));
    }
    Ok(Source { split, ..whole })
}

/// The name and the arguments of a source.
fn call(expr: &Expr) -> (&str, &[Arg]) {
    if let ExprKind::Call { callee, args } = &expr.unparenthesised().kind
        && let ExprKind::Name(name) = &callee.unparenthesised().kind
    {
        return (name, args);
    }
    crate::bug!("a source of data that is no call")
}

/// The argument called `key`, and where it is named.
fn named<'a>(args: &'a [Arg], key: &str) -> Option<(&'a Expr, Span)> {
    args.iter().find_map(|arg| match arg {
        Arg::Named(name, value) if &*name.name == key => Some((value, name.span)),
        Arg::Named(..) | Arg::Positional(_) | Arg::Spread(..) | Arg::Comprehension(..) => None,
    })
}

/// A source that is not cut into windows.
fn numbers(expr: &Expr) -> Read<Source<'_>> {
    let (name, args) = call(expr);
    if Maker::by_name(name).is_some() {
        let (shares, seed) = (named(args, "split"), named(args, "seed"));
        let split = divided(shares, seed, true, expr.span)?;
        let seed = seed.map_or(Ok(0), |(seed, _)| whole_seed(seed))?;
        return Ok(Source { origin: Origin::Made(seed), split });
    }
    let Some(format) = Format::by_name(name) else { crate::bug!("`{name}` is no source of data") };
    let mut whole: Option<Files<'_>> = None;
    let mut parts: [Option<Files<'_>>; 3] = [None, None, None];
    let (mut by, mut shares, mut seed) = (None, None, None);
    for arg in args {
        match arg {
            Arg::Positional(value) if whole.is_none() => whole = Some(files(value)?),
            Arg::Named(key, value) => match &*key.name {
                "by" if format.is_table() => by = Some(text(value)?),
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
    if let (None, Some((_, span))) = (shares, seed) {
        return Err(wrong("`seed` is for a `split`, and there is none", span));
    }
    let split = divided(shares, seed, matches!(files, FileSet::Whole(_)), expr.span)?;
    Ok(Source { origin: Origin::Files { format, files, by }, split })
}

/// `split = [0.8, 0.1, 0.1], seed = 0`, of what is not in parts already.
fn divided(
    shares: Option<(&Expr, Span)>,
    seed: Option<(&Expr, Span)>,
    is_whole: bool,
    span: Span,
) -> Read<Option<(Shares, Span)>> {
    let Some((shares, _)) = shares else { return Ok(None) };
    if !is_whole {
        return Err(wrong("the files are the parts, so there is nothing to split", span));
    }
    Ok(Some((split(shares, seed.map(|(value, _)| value))?, shares.span)))
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
    let seed = seed.map_or(Ok(0), whole_seed)?;
    Shares::new(numbers, seed).ok_or_else(|| wrong(wanted, shares.span))
}

fn whole_seed(seed: &Expr) -> Read<u64> {
    let number = value::number(seed).filter(|x| *x >= 0.0 && x.fract() == 0.0 && *x < 2.0_f64.powi(53));
    Ok(number.ok_or_else(|| wrong("a seed is a whole number", seed.span))? as u64)
}

/// E0706, with what a source looks like.
pub(super) fn wrong(message: &str, span: Span) -> Box<Diagnostic> {
    let diagnostic = Diagnostic::new(Code("E0706"), message, span, "here");
    Box::new(diagnostic.help(
        "for example `csv(\"a.csv\", split = [0.8, 0.1, 0.1], seed = 0)` or `npy(train = \"a.npy\", test = \"b.npy\")`",
    ))
}
