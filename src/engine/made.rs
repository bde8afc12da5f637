//! Data that programs make: `synthetic` and `simulate` as plans whose results are columns.
//!
//! The shapes of the columns are known once a program is elaborated, so the schema is compared with
//! them before anything is compiled, drawn or solved. The numbers are made in `f64`, whatever
//! `run.precision` says, one example after the other; the draws of example `i` are keyed by the seed of
//! the source, the name of the data set and `i`, so that more examples begin with the same ones.

use crate::base::numbers::Numbers;
use crate::base::span::Span;
use crate::data::windows::MAX_NUMBERS;
use crate::data::{Array, FieldRequest, Part, errors};
use crate::diag::Diagnostic;
use crate::engine::bind::{Work, shared_noise};
use crate::engine::controls::adjoints;
use crate::engine::dataset::Dataset;
use crate::engine::example::{self, At};
use crate::engine::outcome::{Given, diagnose, uncompiled};
use crate::engine::prepare::Prepared;
use crate::engine::source::{Origin, source};
use crate::ir::types::DType;
use crate::plan::controls::{Controls, Failure, Save};
use crate::plan::operands::Context;
use crate::plan::unit::Data;
use crate::sema::{self, Bindings, DataRequest, Made, Maker};
use crate::settings::Settings;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The programs that make data.
pub(super) struct Makings<'a> {
    /// What they are run with.
    pub settings: &'a Settings,
    /// By the name of the data set.
    pub makings: BTreeMap<Arc<str>, Making>,
}

impl Makings<'_> {
    /// What makes the data set called `name`.
    pub fn of(&self, name: &str) -> &Making {
        match self.makings.get(name) {
            Some(making) => making,
            None => crate::bug!("no program makes `{name}`"),
        }
    }
}

/// A program that makes data, elaborated.
pub(super) struct Making {
    prepared: Prepared,
    maker: Maker,
    /// The names of its results.
    names: Vec<Option<Arc<str>>>,
    /// How many examples it makes, if it makes many.
    count: Option<usize>,
    /// The call that makes an example.
    span: Span,
}

impl Work {
    /// The programs that `requests` ask for, elaborated.
    pub(super) fn makings(
        &mut self,
        requests: &[DataRequest],
        settings: &Settings,
    ) -> Option<BTreeMap<Arc<str>, Making>> {
        let mut makings = BTreeMap::new();
        for request in requests {
            if let Some(made) = &request.made {
                makings.insert(request.name.clone(), self.making(made, request, settings)?);
            }
        }
        Some(makings)
    }

    fn making(&mut self, made: &Made, request: &DataRequest, settings: &Settings) -> Option<Making> {
        let source = source(&request.source).map_err(|diagnostic| self.sink.report(*diagnostic)).ok()?;
        let Origin::Made(seed) = source.origin else { crate::bug!("a program that reads files") };
        let bindings = Bindings { real: DType::F64, seed, ..Bindings::default() };
        let program = sema::elaborate(&made.program, &bindings, &self.sources, &mut self.sink)?;
        if let Some(diagnostic) = shared_noise(&program, made.count.is_some()) {
            self.sink.report(diagnostic);
            return None;
        }
        let prepared = self.prepared(program, &made.program, |_, item| settings.solve_of_data(item))?;
        let (maker, names) = (made.maker, made.columns.clone());
        Some(Making { prepared, maker, names, count: made.count, span: made.span })
    }
}

impl Making {
    /// E0704 for a field of many examples where there is one.
    pub fn are_many(&self, fields: &[FieldRequest]) -> Result<(), Box<Diagnostic>> {
        match fields.iter().find(|field| field.batch && self.count.is_none()) {
            Some(field) => Err(Box::new(errors::one_run(field, self.span))),
            None => Ok(()),
        }
    }

    /// Which of the results each field is: E0703 for one that is none, E0311 for one of too many numbers.
    pub fn columns(&self, fields: &[FieldRequest]) -> Result<Vec<usize>, Box<Diagnostic>> {
        fields.iter().enumerate().map(|(number, field)| self.column(number, field)).collect()
    }

    fn column(&self, number: usize, field: &FieldRequest) -> Result<usize, Box<Diagnostic>> {
        let Some((wanted, asked)) = field.columns.only(field) else {
            return Err(Box::new(errors::no_columns_made(field, self.maker.name())));
        };
        let column = match self.names.as_slice() {
            // What has no name is called as one likes, but it is one.
            [None] if number > 0 => return Err(Box::new(errors::one_result(field, self.span))),
            [None] => 0,
            names => match names.iter().position(|name| name.as_deref() == Some(wanted)) {
                Some(column) => column,
                None => {
                    let known: Vec<&str> = names.iter().flatten().map(|name| &**name).collect();
                    let maker = (self.maker.name(), self.span);
                    return Err(Box::new(errors::no_such_result(maker, wanted, asked, &known)));
                }
            },
        };
        let count = self.shape(column).iter().fold(1_usize, |product, size| product.saturating_mul(*size));
        if count > MAX_NUMBERS {
            return Err(Box::new(errors::too_many_numbers(self.span, count, MAX_NUMBERS)));
        }
        Ok(column)
    }

    /// Arrays of zeros in the shapes of these results: all that is looked at before they are made.
    pub fn blank(&self, columns: &[usize]) -> Vec<Array> {
        let blank = |column: &usize| {
            let shape = self.shape(*column);
            Array { numbers: Numbers::U8(vec![0; shape.iter().product()]), shape, lengths: None }
        };
        columns.iter().map(blank).collect()
    }

    /// `[examples, ..]` of a result, without the first axis where it is of one example.
    fn shape(&self, column: usize) -> Vec<usize> {
        let one = &self.prepared.program.results[column].ty.shape;
        self.count.into_iter().chain(one.dims().iter().copied()).collect()
    }

    /// Makes these results, one for each of `fields`: E09xx if a run fails, E0705 for a number that is
    /// not what the schema says.
    pub fn arrays(
        &self,
        columns: &[usize],
        fields: &[FieldRequest],
        seed: u64,
        settings: &Settings,
    ) -> Result<Vec<Array>, Box<Diagnostic>> {
        let made = self.numbers(columns, seed, settings)?;
        let arrays = columns.iter().zip(made).zip(fields).map(|((column, numbers), field)| {
            let array = Array::regular(Numbers::F64(numbers), self.shape(*column));
            let maker = (self.maker.name(), self.span);
            array
                .conforming(field.element)
                .map_err(|(why, index)| Box::new(errors::bad_made_entry(&why, field, maker, &index)))
        });
        arrays.collect()
    }

    /// The numbers of these results, of all examples end to end.
    fn numbers(
        &self,
        columns: &[usize],
        seed: u64,
        settings: &Settings,
    ) -> Result<Vec<Vec<f64>>, Box<Diagnostic>> {
        let plan = self.prepared.plan(settings).map_err(|error| Box::new(uncompiled(&error)))?;
        let program = &plan.program;
        let params: Vec<f64> = program.params.iter().flat_map(|param| param.init.iter().copied()).collect();
        let controls = Controls {
            options: self.prepared.options.clone(),
            seed,
            save: Save::Nothing,
            adjoints: adjoints(&plan, &self.prepared.solves),
        };
        let failed = |failure: Failure| {
            let given = Given { plan: &plan, params: &params, settings };
            Box::new(diagnose(&failure, &given).label(self.span, "while these data were made"))
        };
        let count = self.count.unwrap_or(1);
        let mut made: Vec<Vec<f64>> = columns
            .iter()
            .map(|column| Vec::with_capacity(count * program.results[*column].ty.shape.count()))
            .collect();
        let nothing = Dataset::default();
        for example in 0..count {
            let at = At::evaluated(Part::Train, example);
            let data = Data::new(&program.data, &example::values(&program.data, &nothing, seed, at));
            let context = Context { plan: &plan, p: &params, data: &data };
            let run = context.simulate(&controls).map_err(failed)?;
            let (_, values) = context.results(&run);
            for (column, numbers) in columns.iter().zip(&mut made) {
                numbers.extend_from_slice(&values[*column]);
            }
        }
        Ok(made)
    }
}
