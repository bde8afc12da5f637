//! Tables of a run: `export` items as files.

use super::run::entry_names;
use super::run_dir::{RunDir, RunDirError};
use crate::engine::{Solution, Trajectory};
use crate::ir::program::{Export, Program, Table};
use flate2::Crc;

/// Writes the file of each `export` item: its columns at the saved times.
pub(super) fn write_exports(
    program: &Program,
    solution: &Solution,
    folder: &RunDir,
) -> Result<(), RunDirError> {
    for export in &program.exports {
        match export.table {
            Table::Csv => {
                let columns: Vec<(String, Vec<f64>)> = columns(export, program, solution).collect();
                let named: Vec<(&str, &[f64])> =
                    columns.iter().map(|(name, values)| (name.as_str(), values.as_slice())).collect();
                folder.write_csv(&export.file, &named)?;
            }
            Table::Npz => {
                let arrays = curves(export, program, solution).map(|curve| {
                    let shape = [&[solution.ts().len()], curve.shape()].concat();
                    (format!("{}.npy", curve.name()), npy(&shape, curve.values()))
                });
                folder.write(&export.file, stored(&arrays.collect::<Vec<_>>()))?;
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

/// An array of `f64` as NumPy writes it. Source: NumPy, NEP 1, format version 1.0.
fn npy(shape: &[usize], values: &[f64]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({sizes}), }}");
    // The data begin at a multiple of 64, behind a header that ends in a newline.
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// A ZIP archive of files that are stored as they are, all of the same fixed date. Source: PKWARE,
/// .ZIP File Format Specification (APPNOTE.TXT) 6.3.9, sections 4.3.7, 4.3.12 and 4.3.16.
fn stored(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    // 1 January 1980, the first date there is.
    const DATE: u32 = 0x0021_0000;
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let mut crc = Crc::new();
        crc.update(bytes);
        let offset = archive.len() as u32;
        // Version 2.0; flag 11: the name is UTF-8; method 0: stored.
        let mut common = Vec::new();
        common.extend(20_u16.to_le_bytes());
        common.extend(0x0800_u16.to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        common.extend(DATE.to_le_bytes());
        common.extend(crc.sum().to_le_bytes());
        common.extend((bytes.len() as u32).to_le_bytes());
        common.extend((bytes.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(name.as_bytes());
        archive.extend(bytes);
        directory.extend(b"PK\x01\x02");
        directory.extend(20_u16.to_le_bytes());
        directory.extend(&common);
        // No comment, first disk, no attributes.
        directory.extend([0; 2 + 2 + 2 + 4]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (count, offset) = (files.len() as u16, archive.len() as u32);
    let length = directory.len() as u32;
    archive.extend(directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend(length.to_le_bytes());
    archive.extend(offset.to_le_bytes());
    archive.extend([0; 2]);
    archive
}
