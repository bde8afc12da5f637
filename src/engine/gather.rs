//! What a model is checked and built from: settings, the data in its files, and the program with the
//! sizes that these bind.

use crate::data::{self, Place};
use crate::diag::{Diagnostic, Severity, Sink};
use crate::engine::bind::{Binder, Overrides, Work};
use crate::engine::dataset::{Absent, Missing};
use crate::engine::{Dataset, Model, dataset};
use crate::sema::{self, Checked, FieldValue, Known};
use crate::settings::Settings;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A program with its settings and data.
pub(super) struct Gathered {
    pub(super) settings: Settings,
    pub(super) overrides: Overrides,
    pub(super) checked: Arc<Checked>,
    pub(super) dataset: Dataset,
}

impl Work {
    /// Settings, data, and the program checked with the sizes they bind.
    pub(super) fn gathered(&mut self, binder: &Binder, missing: Missing) -> Option<Gathered> {
        let model = &binder.model;
        let (settings, overrides) = self.settings(binder)?;
        let consts = &model.checked.consts;
        let is_const = |name: &Arc<str>| consts.iter().any(|declared| declared.name == *name);
        let changed = overrides.iter().filter(|(name, _)| is_const(name));
        let mut known =
            Known { consts: changed.map(|(n, v)| (n.clone(), v.clone())).collect(), ..Known::default() };
        // A const that is set may be a size of the schema.
        let (checked, found) = self.checked(model, &known, (model.checked.clone(), model.warnings.clone()));
        if found.iter().any(|diagnostic| diagnostic.severity() == Severity::Error) {
            found.into_iter().for_each(|diagnostic| self.sink.report(diagnostic));
            return None;
        }
        let (sources, sink) = (&mut self.sources, &mut self.sink);
        let dataset = dataset::load(&checked.data, &model.folder, binder.part, missing, sources, sink)?;
        known.sizes = dataset.sizes.clone();
        let (checked, found) = self.checked(model, &known, (checked, found));
        found.into_iter().for_each(|diagnostic| self.sink.report(diagnostic));
        for (path, used) in checked.knot_fields() {
            let field =
                checked.data.iter().flat_map(|request| &request.fields).find(|field| field.path == path);
            if let (Some(field), Some(back)) = (field, dataset.goes_back(&path)) {
                self.sink.report(data::errors::goes_back(&path, field.name_span, used, &back));
            }
        }
        for absent in &dataset.absent {
            let open = absent.open_sizes(&dataset.sizes);
            for (path, span) in &absent.files {
                let place = Place { path, span: *span, folder: &model.folder };
                self.sink.report(data::errors::checked_without(&place, &absent.name, &open));
            }
        }
        (!self.sink.has_errors()).then_some(Gathered { settings, overrides, checked, dataset })
    }

    /// The program checked with what is `known`, and what was found; `before` if that was with the
    /// same.
    fn checked(
        &self,
        model: &Model,
        known: &Known,
        before: (Arc<Checked>, Vec<Diagnostic>),
    ) -> (Arc<Checked>, Vec<Diagnostic>) {
        if *known == before.0.known {
            return before;
        }
        let mut sink = Sink::new();
        let checked = sema::check(&model.files, &self.sources, known, &mut sink);
        (Arc::new(checked), sink.into_diagnostics())
    }
}

/// What `sema` is told of the data: the values of what is the same for every example, the shape of
/// the rest.
pub(super) fn values(data: &Dataset) -> BTreeMap<Arc<str>, FieldValue> {
    let each = data.fields.iter().map(|(path, field)| {
        let values = match (field.batch, field.parts.iter().flatten().next()) {
            (false, Some(only)) => Some(only.to_f64(0)),
            (true, _) | (false, None) => None,
        };
        (path.clone(), (field.shape().to_vec(), values))
    });
    let absent = data.absent.iter().flat_map(|absent| &absent.fields);
    let absent =
        absent.filter_map(|(path, dims)| Some((path.clone(), (Absent::shape(dims, &data.sizes)?, None))));
    each.chain(absent).collect()
}
