//! The JSON files of a run directory: their rows.

use super::table::Estimate;
use crate::base::span::Sources;
use crate::engine::DataFile;
use crate::settings::{Resolved, set_by};
use serde::Serialize;

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

/// A row of `data.json`.
pub fn data(file: &DataFile) -> DataRecord {
    DataRecord {
        file: file.path.clone(),
        rows: file.rows,
        bytes: file.digest.bytes,
        sha3_256: file.digest.to_string(),
    }
}
