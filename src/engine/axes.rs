//! What the runs of a model differ in, and what many runs cannot be of.

use crate::base::span::{Sources, Span};
use crate::diag::{Code, Diagnostic, Sink};
use crate::engine::run::RunParts;
use crate::ir::program::{Axis, Examples, Plot, PortSource, Program, Series, Swept, Table};
use crate::sema::library::Files;
use crate::settings::Sweep;
use crate::syntax::ast::{self, ExprKind, ItemKind, SettingsGroup};
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most runs of one model.
pub(crate) const MAX_RUNS: usize = 10_000_000;

/// Most values of consts: each combination is compiled for itself.
const MAX_PROGRAMS: usize = 1_000;

/// What the runs of a model differ in.
#[derive(Clone)]
pub(crate) struct Axes {
    /// In the order of the file, those of the command line behind.
    pub sweeps: Vec<crate::ir::program::Sweep>,
    /// Runs at each point of the sweeps: the members of an ensemble, or the samples of draws.
    pub members: usize,
    /// The model for each combination of swept consts, the last running fastest; empty if none is
    /// swept.
    pub programs: Vec<RunParts>,
}

impl Axes {
    /// How many runs there are.
    pub fn n_runs(&self) -> usize {
        self.sweeps.iter().map(|sweep| sweep.values.len()).product::<usize>() * self.members
    }

    /// The value of each sweep, and the member, of a run.
    pub fn place(&self, number: usize) -> (SmallVec<[f64; 4]>, usize) {
        let (mut rest, member) = (number / self.members, number % self.members);
        let mut point = SmallVec::from_elem(0.0, self.sweeps.len());
        for (value, sweep) in point.iter_mut().zip(&self.sweeps).rev() {
            *value = sweep.values[rest % sweep.values.len()];
            rest /= sweep.values.len();
        }
        (point, member)
    }

    /// Which of [`Axes::programs`] a run is of.
    pub fn program(&self, number: usize) -> usize {
        let (mut rest, mut program, mut stride) = (number / self.members, 0, 1);
        for sweep in self.sweeps.iter().rev() {
            if sweep.of == Swept::Const {
                program += stride * (rest % sweep.values.len());
                stride *= sweep.values.len();
            }
            rest /= sweep.values.len();
        }
        program
    }
}

/// The combinations of the values of the consts among `sweeps`, the last running fastest.
pub(crate) fn consts(sweeps: &[crate::ir::program::Sweep]) -> Vec<Vec<(Arc<str>, f64)>> {
    let consts = sweeps.iter().filter(|sweep| sweep.of == Swept::Const);
    consts.fold(vec![Vec::new()], |points, sweep| {
        let extended = points.iter().flat_map(|point| {
            let with = |value: &f64| point.iter().cloned().chain([(sweep.name.clone(), *value)]).collect();
            sweep.values.iter().map(with)
        });
        extended.collect()
    })
}

/// `files` with the sweeps `given` in place of its own over the same names, and without those over
/// names that are `set`.
pub(crate) fn swept(
    files: &Arc<Files>,
    given: &[Sweep],
    set: &BTreeSet<Arc<str>>,
    sources: &mut Sources,
    sink: &mut Sink,
) -> Arc<Files> {
    let is_over = |item: &ast::Item, gone: &dyn Fn(&str) -> bool| match &item.kind {
        ItemKind::Sweep { target, .. } => {
            matches!(&target.unparenthesised().kind, ExprKind::Name(name) if gone(name))
        }
        _ => false,
    };
    let replaced = |name: &str| set.contains(name) || given.iter().any(|sweep| sweep.name() == name);
    if given.is_empty() && !files.main.items.iter().any(|item| is_over(item, &replaced)) {
        return files.clone();
    }
    let mut items: Vec<ast::Item> = Vec::new();
    items.extend(files.main.items.iter().filter(|item| !is_over(item, &replaced)).cloned());
    items.extend(given.iter().filter_map(|sweep| sweep.item(sources, sink)));
    Arc::new(files.with_main(ast::File { source: files.main.source, items }))
}

/// The first word of the first item that makes many runs, if there is one.
pub(crate) fn cause(file: &ast::File, sources: &Sources) -> Option<Span> {
    let makes_many =
        |item: &&ast::Item| matches!(item.kind, ItemKind::Sweep { .. } | ItemKind::Ensemble { .. });
    let item = file.items.iter().find(makes_many)?;
    let text = sources.slice(item.span);
    let word = text.find(' ').unwrap_or(text.len());
    Some(Span { hi: item.span.lo + word as u32, ..item.span })
}

/// Why there cannot be many runs, if there cannot. `cause` is the place of the first sweep or of
/// the ensemble.
pub(crate) fn unfit(program: &Program, file: &ast::File, cause: Span, samples: usize) -> Option<Diagnostic> {
    let train = file.items.iter().find(|item| match &item.kind {
        ItemKind::Settings { group, .. } => *group == SettingsGroup::Train,
        _ => false,
    });
    if let Some(train) = train {
        let message = "a model that is trained cannot be run many times";
        let span = Span { hi: train.span.lo + "train".len() as u32, ..train.span };
        return Some(
            Diagnostic::new(Code("E0810"), message, cause, "a run for each value or member, without training")
                .label(span, "trains one model")
                .help("leave one of them away; to train with several values, run the file once for each: `--set name=value`"),
        );
    }
    let batch = program.data.iter().find(|port| {
        port.axis == Axis::Example && matches!(port.source, PortSource::Given | PortSource::Length(_))
    });
    if let Some(port) = batch {
        let message = "a model of many examples cannot be run many times";
        return Some(
            Diagnostic::new(Code("E0810"), message, cause, "these runs would be examples too")
                .label(port.span, "every example has its own of this")
                .help("run the file once for each value: `--set name=value`"),
        );
    }
    if let Some(export) = program.exports.iter().find(|export| export.table != Table::Csv) {
        let message = "this kind of file for the tables of many runs is not supported yet";
        return Some(
            Diagnostic::new(Code("E0290"), message, export.span, "in the language, but not built")
                .help("write them as rows of one table: a name that ends in `.csv`"),
        );
    }
    let is_heat = |plot: &&Plot| plot.series.iter().any(|series| matches!(series, Series::Heat(_)));
    if let Some(plot) = program.plots.iter().find(is_heat) {
        let message = "a heat map of many runs is not supported yet";
        return Some(
            Diagnostic::new(Code("E0290"), message, plot.span, "in the language, but not built")
                .help("give each swept name one value: `--set name=value`"),
        );
    }
    let members = members(program, samples);
    let sizes = program.sweeps.iter().map(|sweep| sweep.values.len());
    let n_runs = sizes.chain([members]).try_fold(1_usize, usize::checked_mul);
    if n_runs.is_none_or(|count| count > MAX_RUNS) {
        let message = format!("these are more than {MAX_RUNS} runs");
        return Some(
            Diagnostic::new(Code("E0810"), message, cause, "the sweeps and the members, multiplied")
                .help("take fewer values of each"),
        );
    }
    let mut consts = program.sweeps.iter().filter(|sweep| sweep.of == Swept::Const);
    let n_programs = consts.clone().map(|sweep| sweep.values.len()).product::<usize>();
    if n_programs > MAX_PROGRAMS {
        let first = consts.next().map_or(cause, |sweep| sweep.span);
        let message = format!("a swept const is compiled for each value, at most {MAX_PROGRAMS} times");
        return Some(
            Diagnostic::new(Code("E0810"), message, first, format!("here are {n_programs} values"))
                .help("declare it as a `param`, if it is not a size: a param is compiled once"),
        );
    }
    None
}

/// How many runs there are at each point of the sweeps.
pub(crate) fn members(program: &Program, samples: usize) -> usize {
    match program.examples {
        Examples::Members(count) => count,
        Examples::Samples => samples,
        Examples::One | Examples::Data => 1,
    }
}

/// A swept const changes more than numbers: the name of a result that has another shape with it.
pub(crate) fn reshaped(first: &Program, other: &Program) -> Option<(Span, Arc<str>)> {
    let results = first.results.iter().zip(&other.results);
    let mut results = results.map(|(a, b)| (a.span, &a.name, a.ty.shape == b.ty.shape));
    let unknowns = |program: &Program| {
        let system = program.main_system();
        let all = system.into_iter().flat_map(|system| system.states.iter().chain(&system.channels));
        all.map(|unknown| (unknown.span, unknown.name.clone(), unknown.ty.shape.clone())).collect::<Vec<_>>()
    };
    let (a, b) = (unknowns(first), unknowns(other));
    let mut unknowns = a.iter().zip(&b).map(|(a, b)| (a.0, &a.1, a.2 == b.2));
    let curves = first.curves.iter().zip(&other.curves);
    let mut curves = curves.map(|(a, b)| (a.span, &a.name, a.ty.shape == b.ty.shape));
    let mut all = unknowns.by_ref().chain(results.by_ref()).chain(curves.by_ref());
    all.find(|(_, _, same)| !same).map(|(span, name, _)| (span, name.clone()))
}

/// The message for [`reshaped`].
pub(crate) fn changes_shape(span: Span, name: &str, cause: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0810"),
        format!("`{name}` changes its shape from one value to the next"),
        cause,
        "the results of a sweep are one array",
    )
    .label(span, "of another shape with another value")
    .help("run the file once for each value: `--set name=value`")
}
