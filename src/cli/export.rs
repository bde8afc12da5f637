//! Tables of a run: `export` items as files.

use super::run::entry_names;
use super::run_dir::{RunDir, RunDirError};
use crate::data::{npz, parquet};
use crate::engine::{Solution, Trajectory};
use crate::ir::program::{Export, Program, Table};

/// Writes the file of each `export` item: its columns at the saved times.
pub(super) fn write_exports(
    program: &Program,
    solution: &Solution,
    folder: &RunDir,
) -> Result<(), RunDirError> {
    for export in &program.exports {
        match export.table {
            Table::Csv => {
                let columns: Vec<_> = columns(export, program, solution).collect();
                folder.write_csv(&export.file, &borrowed(&columns))?;
            }
            Table::Parquet => {
                let columns: Vec<_> = columns(export, program, solution).collect();
                folder.write(&export.file, parquet::encoded(&borrowed(&columns)))?;
            }
            Table::Npz => {
                let n_times = solution.ts().len();
                let shapes: Vec<Vec<usize>> = curves(export, program, solution)
                    .map(|curve| [&[n_times], curve.shape()].concat())
                    .collect();
                let arrays: Vec<(&str, &[usize], &[f64])> = curves(export, program, solution)
                    .zip(&shapes)
                    .map(|(curve, shape)| (curve.name(), shape.as_slice(), curve.values()))
                    .collect();
                folder.write(&export.file, npz::encoded(&arrays))?;
            }
        }
    }
    Ok(())
}

/// The columns of each `export` item.
pub(super) fn table_columns(program: &Program, solution: &Solution) -> Vec<Vec<Vec<f64>>> {
    let table = |export| columns(export, program, solution).map(|(_, values)| values).collect();
    program.exports.iter().map(table).collect()
}

/// What an `export` item has as columns or arrays.
fn curves<'s>(
    export: &'s Export,
    program: &Program,
    solution: &'s Solution,
) -> impl Iterator<Item = &'s Trajectory> + use<'s> {
    let n_unknowns = program.main_system().map_or(0, |system| system.states.len() + system.channels.len());
    export.columns.iter().map(move |index| &solution.trajectories()[n_unknowns + index])
}

/// Name and values of a column for each entry.
fn columns<'s>(
    export: &'s Export,
    program: &Program,
    solution: &'s Solution,
) -> impl Iterator<Item = (String, Vec<f64>)> + use<'s> {
    curves(export, program, solution).flat_map(|curve| {
        let names = entry_names(curve.name(), curve.shape());
        let width = names.len();
        names.into_iter().enumerate().map(move |(entry, name)| {
            let column = curve.values().iter().skip(entry).step_by(width.max(1));
            (name, column.copied().collect())
        })
    })
}

fn borrowed(columns: &[(String, Vec<f64>)]) -> Vec<(&str, &[f64])> {
    columns.iter().map(|(name, values)| (name.as_str(), values.as_slice())).collect()
}
