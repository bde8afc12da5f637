//! The JSON files of a run directory: their rows.

use super::table::Estimate;
use crate::base::span::Sources;
use crate::data::Part;
use crate::engine::DataFile;
use crate::settings::{Resolved, set_by};
use crate::train::minibatch::{Report, Term};
use serde::Serialize;
use std::collections::BTreeMap;

/// A row of `settings.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingRecord {
    /// The dotted name.
    pub key: String,
    /// As it was written; `null` if unset.
    pub value: Option<String>,
    /// Who set it.
    pub set_by: String,
}

/// A row of `params.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParamRecord {
    /// The parameter, an entry of a tensor as `sigma[0]`.
    pub name: String,
    /// Its value, on the scale it is declared on.
    pub value: f64,
    /// Its standard error, if there is one.
    pub standard_error: Option<f64>,
}

/// A line of `metrics.jsonl`: where the fit stood after a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricRecord {
    /// Steps taken.
    pub step: u64,
    /// Evaluations of objective and gradient.
    pub evaluations: u64,
    /// What is lowered.
    pub objective: f64,
    /// Largest magnitude in its gradient.
    pub gradient_norm: f64,
}

/// A line of `metrics.jsonl` of training on examples, or a part in `results.json`: means over
/// examples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeansRecord {
    /// `train`, `valid` or `test`.
    pub part: &'static str,
    /// Steps taken.
    pub step: u64,
    /// Epochs that were over.
    pub epoch: u64,
    /// What is lowered.
    pub objective: f64,
    /// Euclidean norm of the gradient, before it was clipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f64>,
    /// Factor on the learning rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Losses and likelihoods by name; where nothing is lowered, metrics too.
    pub terms: BTreeMap<String, f64>,
}

/// A row of `data.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataRecord {
    /// The file as the program names it.
    pub file: String,
    /// Rows of data.
    pub rows: usize,
    /// Its length.
    pub bytes: usize,
    /// Its SHA3-256 in hexadecimal.
    pub sha3_256: String,
}

/// The rows of `settings.json`.
pub fn settings(resolved: &[Resolved], sources: &Sources) -> Vec<SettingRecord> {
    let record = |row: &Resolved| SettingRecord {
        key: row.key.clone(),
        value: (!row.text.is_empty()).then(|| row.text.clone()),
        set_by: set_by(row, sources),
    };
    resolved.iter().map(record).collect()
}

/// The rows of `params.json`.
pub fn params(estimates: &[Estimate]) -> Vec<ParamRecord> {
    let record = |row: &Estimate| ParamRecord {
        name: row.name.clone(),
        value: row.value,
        standard_error: row.standard_error,
    };
    estimates.iter().map(record).collect()
}

/// Means over examples of `part`, with the names of their terms.
pub fn means(part: Part, report: &Report, terms: &[Term]) -> MeansRecord {
    MeansRecord {
        part: part.name(),
        step: report.step,
        epoch: report.epoch,
        objective: report.objective,
        gradient_norm: report.gradient_norm,
        rate: report.rate,
        terms: terms
            .iter()
            .zip(&report.terms)
            .filter(|(term, value)| term.lowered || !value.is_nan())
            .map(|(term, value)| (term.name.clone(), *value))
            .collect(),
    }
}

/// A row of `data.json`.
pub fn data(file: &DataFile) -> DataRecord {
    DataRecord {
        file: file.path.clone(),
        rows: file.rows,
        bytes: file.digest.bytes,
        sha3_256: file.digest.to_string(),
    }
}
