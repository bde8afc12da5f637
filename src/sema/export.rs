//! `export "run.csv" { t, x }`: tables of the run, as files of the run directory.

use crate::base::span::Span;
use crate::ir::program::{Export, Table};
use crate::sema::errors;
use crate::sema::infer::to_real;
use crate::sema::resolve::Checker;
use crate::sema::roots::{Roots, curve_of};
use crate::syntax::ast::{self, ItemKind};

/// What a run writes by itself.
const TAKEN: &[&str] = &["trajectory.csv", "metrics.csv"];

impl<'a> Checker<'a> {
    /// The exports of this space, their columns among the curves.
    pub(crate) fn exports(&mut self, roots: &mut Roots) -> Vec<Export> {
        let mut exports: Vec<Export> = Vec::new();
        for item in self.items() {
            let ItemKind::Export { file, columns } = &item.kind else { continue };
            if let Some(first) = exports.iter().find(|export| export.file == file.value) {
                let first = first.span;
                self.report(errors::defined_twice(&file.value, first, file.span));
                continue;
            }
            let table = self.table(file);
            let columns: Option<Vec<usize>> =
                columns.iter().map(|column| self.export_column(column, roots)).collect();
            if let (Some(table), Some(columns)) = (table, columns) {
                exports.push(Export { file: file.value.clone(), table, columns, span: file.span });
            }
        }
        exports
    }

    fn table(&mut self, file: &ast::StrLit) -> Option<Table> {
        let name = &*file.value;
        if name.contains(['/', '\\']) || name.starts_with('.') || TAKEN.contains(&name) {
            let expected = "a file name of its own, without folders: it is written into the run directory";
            return self.fail(errors::wrong_kind(file.span, "this file cannot be written", expected));
        }
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("csv") => Some(Table::Csv),
            Some("npz") => Some(Table::Npz),
            Some("parquet") => Some(Table::Parquet),
            _ => {
                let expected = "a name that ends in `.csv`, `.npz` or `.parquet`";
                self.fail(errors::wrong_kind(file.span, "a file of an unknown kind", expected))
            }
        }
    }

    fn export_column(&mut self, column: &'a ast::Expr, roots: &mut Roots) -> Option<usize> {
        let value = to_real(self.infer(column, self.home())?);
        let span: Span = column.span;
        Some(curve_of(self.text(span).into(), value, roots))
    }
}
