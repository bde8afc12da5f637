//! What `sema` is told of numbers from outside, and the words where it cannot be.

use crate::base::span::Span;
use crate::diag::{Code, Diagnostic};
use crate::engine::Dataset;
use crate::engine::dataset::Absent;
use crate::sema::FieldValue;
use std::collections::BTreeMap;
use std::sync::Arc;

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

pub(super) fn unknown_name(name: &str, names: &[&str]) -> Diagnostic {
    let message = format!("the model has no const, param or input called `{name}`");
    Diagnostic::without_span(Code("E0801"), message).help(format!("it has {}", names.join(", ")))
}

pub(super) fn not_numbers(name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0802"),
        format!("`{name}` takes a number or a list of numbers"),
        span,
        "not a number",
    )
    .help("expressions stay in the file; on the command line write the value")
}
