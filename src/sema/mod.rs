//! Layer 3: from the tree of a program to functions of the tensor IR.
//!
//! [`check`] finds out what the names of a file mean, what shapes and phases its expressions have
//! and what moves its states, and reports every error in one run; without the data files the sizes
//! they give stay symbolic. [`elaborate`] takes a checked file and the data and gives the
//! [`Program`](crate::ir::program::Program) that `plan` runs. Neither reads files, solves, or knows of settings: their entries
//! are only collected.

mod bias;
mod checks;
mod containers;
mod decide;
pub mod dim;
mod distributions;
mod elaborate;
mod equations;
pub mod errors;
mod events;
mod export;
mod heatmap;
mod infer;
mod items;
pub mod library;
mod listing;
mod many;
mod params;
mod paths;
mod phase;
pub mod prelude;
mod ragged;
mod resolve;
mod roots;
mod show;
pub mod sizes;
pub mod sources;
mod space;
pub mod subscripts;
mod systems;
mod translate;
pub mod typed;

use crate::base::span::{Sources, Span};
use crate::diag::{Diagnostic, Sink};
use crate::ir::types::DType;
use crate::syntax::ast;
use dim::Dim;
use library::Files;
use std::collections::BTreeMap;
use std::sync::Arc;
use typed::{Elem, Model};

pub use elaborate::elaborate;
pub use sources::{Made, Maker, Windows};

/// What is known beside the file when it is checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// The sizes that data files bind: `T` is 21.
    pub sizes: BTreeMap<Arc<str>, usize>,
    /// Values that replace those of consts.
    pub consts: BTreeMap<Arc<str>, Given>,
}

/// Numbers given from outside to a name of the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// One number; it fills a tensor.
    Number(f64),
    /// All entries, row-major.
    Entries(Vec<f64>),
}

impl Given {
    /// The entries of a tensor of `count`, or how many were given instead.
    pub fn entries(&self, count: usize) -> Result<Vec<f64>, usize> {
        match self {
            Given::Number(number) => Ok(vec![*number; count]),
            Given::Entries(entries) if entries.len() == count => Ok(entries.clone()),
            Given::Entries(entries) => Err(entries.len()),
        }
    }
}

/// What a checked file turned out to be.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The file and what it uses.
    pub(crate) files: Arc<Files>,
    /// What was known.
    pub(crate) known: Known,
    /// Its meaning; `None` if it has errors.
    model: Option<Model>,
    /// The data it asks for, in file order.
    pub data: Vec<DataRequest>,
    /// Consts in file order.
    pub consts: Vec<Declared>,
    /// Params in file order, those of layers by path.
    pub params: Vec<Declared>,
    /// Inputs in file order.
    pub inputs: Vec<Declared>,
    /// Unknowns in the order of the state vector, hidden ones (`x'`) included.
    pub states: Vec<Declared>,
    /// The `solve`, `train` and `run` blocks in file order.
    pub settings: Vec<Settings>,
    /// The profiles in file order.
    pub profiles: Vec<Profile>,
}

/// A declared name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The name.
    pub name: Arc<str>,
    /// Where it is declared.
    pub span: Span,
}

/// A `solve`, `train` or `run` block.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which.
    pub group: ast::SettingsGroup,
    /// Its rows.
    pub entries: Vec<ast::Entry>,
    /// The block.
    pub span: Span,
}

/// A named set of overrides.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name.
    pub name: Arc<str>,
    /// Its rows.
    pub entries: Vec<ast::Entry>,
    /// The block.
    pub span: Span,
}

/// A data set that the file asks for.
#[derive(Clone, Debug)]
pub struct DataRequest {
    /// Its name in the file.
    pub name: Arc<str>,
    /// Where that is declared.
    pub span: Span,
    /// Where it comes from: `csv("a.csv", …)`.
    pub source: ast::Expr,
    /// The segments that its series are cut into, if it is `windows(…)`.
    pub windows: Option<Windows>,
    /// The program that makes it, if it is `synthetic(…)` or `simulate(…)`.
    pub made: Option<Arc<Made>>,
    /// Its schema.
    pub fields: Vec<FieldRequest>,
}

/// A field of a data set.
#[derive(Clone, Debug)]
pub struct FieldRequest {
    /// Its name: `hare`.
    pub name: Arc<str>,
    /// Its path, by which [`Bindings`] give its values: `pelts.hare`.
    pub path: Arc<str>,
    /// Its elements.
    pub elem: Elem,
    /// The sizes of one example; a named one is bound by the file.
    pub dims: Vec<Dim>,
    /// The word `batch` in front of them, if every example has its own value.
    pub batch: Option<Span>,
    /// Whether the first of them differs from example to example (`T?`).
    pub ragged: bool,
    /// The columns it is read from.
    pub columns: Columns,
    /// The whole declaration.
    pub span: Span,
    /// Its name.
    pub name_span: Span,
    /// Its type.
    pub ty_span: Span,
}

/// Which columns of a table a field is made of. Spans are those of the strings, quotes included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns {
    /// The one called like the field.
    Named,
    /// `column("…")`
    One(Arc<str>, Span),
    /// `columns("a".."b")`
    Range((Arc<str>, Span), (Arc<str>, Span)),
    /// `columns("a", "b")`
    Several(Vec<(Arc<str>, Span)>),
}

/// The shape of a data field and its values, row-major; of a field with a `batch` axis the shape of
/// one example, and no values; no values either where only the shape is known.
pub type FieldValue = (Vec<usize>, Option<Vec<f64>>);

/// What is filled in when a checked file becomes a [`Program`](crate::ir::program::Program).
#[derive(Clone, Debug)]
pub struct Bindings {
    /// Element type of `real`.
    pub real: DType,
    /// Each data field by path.
    pub data: BTreeMap<Arc<str>, FieldValue>,
    /// Values that replace those of consts, params and inputs.
    pub overrides: BTreeMap<Arc<str>, Given>,
    /// What starting values are drawn from.
    pub seed: u64,
}

impl Default for Bindings {
    fn default() -> Bindings {
        Bindings { real: DType::F64, data: BTreeMap::new(), overrides: BTreeMap::new(), seed: 0 }
    }
}

/// Checks a file. Every error is reported to `sink`; the result tells what could be found out.
pub fn check(files: &Arc<Files>, sources: &Sources, known: &Known, sink: &mut Sink) -> Checked {
    let mut own = Sink::new();
    let mut checker = resolve::Checker::new(files, sources, known, &mut own);
    checker.open_space(&files.main.items, None, "");
    let requests = checker.data_requests();
    let makes = requests.iter().any(|(_, making)| making.is_some());
    let later = if makes { checker.later_names() } else { BTreeMap::new() };
    let model = checker.model();
    let mut data = Vec::new();
    for (mut request, making) in requests {
        let made = making.and_then(|making| sources::made(files, sources, known, &making, &later, &mut own));
        request.made = made.map(Arc::new);
        data.push(request);
    }
    let messages = translate::translated(&files.main, sources, own.into_diagnostics());
    messages.into_iter().for_each(|message| sink.report(message));
    let mut checked = Checked {
        files: files.clone(),
        known: known.clone(),
        model,
        data,
        consts: Vec::new(),
        params: Vec::new(),
        inputs: Vec::new(),
        states: Vec::new(),
        settings: Vec::new(),
        profiles: Vec::new(),
    };
    collect(&files.main, &mut checked);
    checked
}

/// The names and settings that the file declares, whether or not it has errors.
fn collect(file: &ast::File, checked: &mut Checked) {
    let declared = |ident: &ast::Ident| Declared { name: ident.name.clone(), span: ident.span };
    for item in &file.items {
        match &item.kind {
            ast::ItemKind::Const(decls) => {
                checked.consts.extend(decls.iter().map(|decl| declared(&decl.name)))
            }
            ast::ItemKind::Input(decls) => {
                checked.inputs.extend(decls.iter().map(|decl| declared(&decl.name)))
            }
            ast::ItemKind::Param(decls) => {
                checked.params.extend(decls.iter().map(|decl| declared(&decl.name)))
            }
            ast::ItemKind::Settings { group, entries } => {
                checked.settings.push(Settings { group: *group, entries: entries.clone(), span: item.span });
            }
            ast::ItemKind::Profile { name, entries } => {
                checked.profiles.push(Profile {
                    name: name.name.clone(),
                    entries: entries.clone(),
                    span: item.span,
                });
            }
            _ => {}
        }
    }
    if let Some(model) = &checked.model {
        let params = model.params.iter().map(|param| &model.defs[param.def]);
        checked.params = params.map(|def| Declared { name: def.name.clone(), span: def.span }).collect();
        let own = model.main.map_or(0..0, |main| model.systems[main].states.clone());
        let states = model.states[own].iter().map(|state| &model.defs[state.def]);
        checked.states = states.map(|def| Declared { name: def.name.clone(), span: def.span }).collect();
    }
}

impl Checked {
    /// Whether the file has no errors.
    pub fn is_fine(&self) -> bool {
        self.model.is_some()
    }

    /// The typed tree; `None` if the file has errors.
    pub fn model(&self) -> Option<&Model> {
        self.model.as_ref()
    }

    /// W0610 for each estimate of a trace that does not enter linearly; `estimated` says of a system,
    /// by name, whether its traces are estimated.
    pub fn nonlinear_estimates(&self, estimated: &dyn Fn(&str) -> bool) -> Vec<Diagnostic> {
        self.model.as_ref().map_or(Vec::new(), |model| bias::nonlinear_estimates(model, estimated))
    }

    /// What was extracted from the file, as text: unknowns with starts and rates, lines, events, channels,
    /// params, terms, curves, mass matrix, diffusion. `None` if the file has errors.
    pub fn equations(&self, sources: &Sources) -> Option<String> {
        let text = show::equations(self.model.as_ref()?, sources);
        // What waits for data has no matrices yet.
        let program = elaborate(self, &Bindings::default(), sources, &mut Sink::new());
        let matrices: Option<String> =
            program.map(|program| program.systems.iter().map(show::matrices).collect());
        Some(text + &matrices.unwrap_or_default())
    }

    /// What each name of the file is: its type and when it is known. `None` if the file has errors.
    pub fn shapes(&self) -> Option<String> {
        self.model.as_ref().map(listing::shapes)
    }

    /// The typed tree, an expression a line. `None` if the file has errors.
    pub fn typed(&self, sources: &Sources) -> Option<String> {
        self.model.as_ref().map(|model| listing::typed(model, sources))
    }
}
