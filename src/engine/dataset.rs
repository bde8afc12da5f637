//! The data a program asks for: requests of `sema` carried out by `data`, shapes compared with the
//! schema, examples divided into parts.

use crate::base::numbers::Examples;
use crate::base::span::{Sources, Span};
use crate::data::windows::{Cut, windows};
use crate::data::{self, Array, Digest, Element, Format, Part, Place, errors};
use crate::diag::{Diagnostic, Sink};
use crate::engine::made::Makings;
use crate::engine::source::{FileSet, Files, Origin, Source, source, wrong};
use crate::sema::dim::{Dim, Symbol};
use crate::sema::typed::Elem;
use crate::sema::{Checked, Columns, DataRequest, FieldRequest, Windows};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A data file that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFile {
    /// As the program names it.
    pub path: String,
    /// Rows of data.
    pub rows: usize,
    /// Its fingerprint.
    pub digest: Digest,
}

/// The data of a program.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// The sizes that the files bind.
    pub(crate) sizes: BTreeMap<Arc<str>, usize>,
    /// The values of each field, by path.
    pub(crate) fields: BTreeMap<Arc<str>, FieldData>,
    /// What was read.
    pub(crate) files: Vec<DataFile>,
    /// What was not read because a file of it is not there; see [`Missing::Noted`].
    pub(crate) absent: Vec<Absent>,
    /// How many examples each part has, in the order of [`Part::ALL`]; `None` if no field has a
    /// `batch` axis.
    pub(crate) n_examples: Option<[usize; 3]>,
}

impl Dataset {
    /// The values of the field at `path` (`obs.t`) in `part`: one example if the field has no
    /// `batch` axis. `None` if there is no such field, or no such part of its data set.
    pub fn field(&self, path: &str, part: Part) -> Option<&Examples> {
        self.fields.get(path)?.parts[part as usize].as_ref()
    }

    /// How many examples `part` has; `None` if the data have no `batch` axis.
    pub fn n_examples(&self, part: Part) -> Option<usize> {
        self.n_examples.map(|counts| counts[part as usize])
    }

    /// How many entries the ragged axis called `size` has in `example` of `part`.
    pub fn length(&self, size: &str, part: Part, example: usize) -> Option<usize> {
        let of_size = |field: &&FieldData| field.ragged.as_deref() == Some(size);
        let field = self.fields.values().find(of_size)?;
        Some(field.parts[part as usize].as_ref()?.length(example))
    }

    /// Reports the fields (E0707) that are the times of a path and go back.
    pub(crate) fn check_knots(&self, checked: &Checked, sink: &mut Sink) {
        for (path, used) in checked.knot_fields() {
            let mut fields = checked.data.iter().flat_map(|request| &request.fields);
            let field = fields.find(|field| field.path == path);
            if let (Some(field), Some(back)) = (field, self.goes_back(&path)) {
                sink.report(errors::goes_back(&path, field.name_span, used, &back));
            }
        }
    }

    /// The first place where the field at `path` descends along its first axis, if there is one.
    fn goes_back(&self, path: &str) -> Option<errors::GoesBack> {
        let field = self.fields.get(path)?;
        for examples in field.parts.iter().flatten() {
            for example in 0..examples.len() {
                let values = examples.to_f64(example);
                let real = if examples.is_ragged() { examples.length(example) } else { values.len() };
                if let Some(row) = (1..real).find(|row| values[*row] < values[row - 1]) {
                    let example = field.batch.then_some(example + 1);
                    return Some(errors::GoesBack {
                        example,
                        row: row + 1,
                        before: values[row - 1],
                        time: values[row],
                    });
                }
            }
        }
        None
    }

    /// The sizes that the files bind, by name.
    pub fn sizes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.sizes.iter().map(|(name, size)| (&**name, *size))
    }
}

/// What becomes of a data set that is not at hand: a file of it is not there, or a program makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// E0701 for the file; what a program makes is made.
    Refused,
    /// Where a file is not there it is left out, and [`Dataset::absent`] says so; of what a program makes
    /// there are the shapes alone.
    Noted,
}

/// A data set that was left out.
#[derive(Clone, Debug)]
pub(crate) struct Absent {
    /// Its name.
    pub name: Arc<str>,
    /// Its files that are not there, and where the program names them.
    pub files: Vec<(String, Span)>,
    /// The path of each field and its sizes.
    pub fields: Vec<(Arc<str>, Vec<Dim>)>,
}

impl Absent {
    /// The shape of a field of these sizes; `None` if one of them is known to the file alone.
    pub fn shape(dims: &[Dim], sizes: &BTreeMap<Arc<str>, usize>) -> Option<Vec<usize>> {
        let known = |symbol: &Symbol| sizes.get(&symbol.name).map(|size| *size as i64);
        dims.iter().map(|dim| usize::try_from(dim.value(&known)?).ok()).collect()
    }

    /// Its sizes that nothing says, each once.
    pub fn open_sizes(&self, sizes: &BTreeMap<Arc<str>, usize>) -> Vec<String> {
        let symbols = self.fields.iter().flat_map(|(_, dims)| dims).flat_map(Dim::symbols);
        let mut open: Vec<String> = Vec::new();
        for symbol in symbols.filter(|symbol| !sizes.contains_key(&symbol.name)) {
            if !open.iter().any(|name| **name == *symbol.name) {
                open.push(symbol.name.to_string());
            }
        }
        open
    }
}

/// The values of a field.
#[derive(Clone, Debug)]
pub(crate) struct FieldData {
    /// Whether every example has its own value.
    pub batch: bool,
    /// The name of the axis that differs from example to example.
    pub ragged: Option<Arc<str>>,
    /// The examples of each part; where `batch` is false, one example, the same for all parts.
    pub parts: [Option<Examples>; 3],
}

impl FieldData {
    /// The shape of one example.
    pub fn shape(&self) -> &[usize] {
        self.parts.iter().flatten().next().map_or(&[], Examples::shape)
    }
}

/// Reads everything that `requests` ask for, or reports what is wrong with it. Of a data set
/// without a `batch` axis that is split, `part` is taken.
pub(crate) fn load(
    requests: &[DataRequest],
    makings: &Makings<'_>,
    folder: &Path,
    part: Part,
    missing: Missing,
    sources: &mut Sources,
    sink: &mut Sink,
) -> Option<Dataset> {
    let (dataset, bound) = (Dataset::default(), BTreeMap::new());
    let mut loader = Loader { makings, folder, part, missing, sources, sink, dataset, bound };
    let mut complete = true;
    for request in requests {
        complete &= loader.data_set(request).is_some();
    }
    let Loader { mut dataset, bound, .. } = loader;
    dataset.sizes = bound.into_iter().map(|(name, (_, size))| (name, size)).collect();
    complete.then_some(dataset)
}

struct Loader<'a> {
    makings: &'a Makings<'a>,
    folder: &'a Path,
    part: Part,
    missing: Missing,
    sources: &'a mut Sources,
    sink: &'a mut Sink,
    dataset: Dataset,
    /// Sizes with where they were bound.
    bound: BTreeMap<Arc<str>, (Span, usize)>,
}

impl Loader<'_> {
    fn fail<T>(&mut self, diagnostic: Diagnostic) -> Option<T> {
        self.sink.report(diagnostic);
        None
    }

    fn data_set(&mut self, request: &DataRequest) -> Option<()> {
        let source = source(&request.source).map_err(|diagnostic| self.sink.report(*diagnostic)).ok()?;
        if let (Missing::Noted, Origin::Files { files, .. }) = (self.missing, &source.origin)
            && self.is_absent(files, request)
        {
            return Some(());
        }
        let mut parts: [Option<Vec<Array>>; 3] = [None, None, None];
        match &source.origin {
            Origin::Files { files: FileSet::Whole(files), .. } => {
                parts[0] = Some(self.arrays(&source, files, request)?);
            }
            Origin::Files { files: FileSet::Parts(of_parts), .. } => {
                for (arrays, files) in parts.iter_mut().zip(of_parts) {
                    if let Some(files) = files {
                        *arrays = Some(self.arrays(&source, files, request)?);
                    }
                }
            }
            Origin::Made(seed) => parts[0] = Some(self.made(request, *seed)?),
        }
        for arrays in parts.iter_mut().flatten() {
            *arrays = self.cut(request, std::mem::take(arrays))?;
        }
        let has_batch = request.fields.iter().any(|field| field.batch.is_some());
        match source.split {
            Some((shares, span)) if !has_batch => self.split_rows(request, &mut parts, shares, span)?,
            Some(_) | None => {}
        }
        let mut fine = true;
        for arrays in parts.iter().flatten() {
            fine &= self.all_fit(request, arrays);
        }
        if !fine {
            return None;
        }
        if has_batch { self.examples(request, parts, &source) } else { self.whole(request, parts) }
    }

    /// The arrays that a program makes, once their shapes are known to be those of the schema.
    fn made(&mut self, request: &DataRequest, seed: u64) -> Option<Vec<Array>> {
        let fields: Vec<data::FieldRequest> = request.fields.iter().map(asked).collect();
        let making = self.makings.of(&request.name);
        let many = if request.windows.is_none() { making.are_many(&fields) } else { Ok(()) };
        let columns = many.and_then(|()| making.columns(&fields));
        let columns = columns.map_err(|diagnostic| self.sink.report(*diagnostic)).ok()?;
        let shapes = making.blank(&columns);
        let cut = self.cut(request, shapes.clone())?;
        if !self.all_fit(request, &cut) {
            return None;
        }
        if self.missing == Missing::Noted {
            return Some(shapes);
        }
        let made = making.arrays(&columns, &fields, seed, self.makings.settings);
        made.map_err(|diagnostic| self.sink.report(*diagnostic)).ok()
    }

    /// The segments of the arrays, if the data set is made of segments.
    fn cut(&mut self, request: &DataRequest, arrays: Vec<Array>) -> Option<Vec<Array>> {
        let Some(Windows { length, stride, span }) = request.windows else { return Some(arrays) };
        let fields: Vec<data::FieldRequest> = request.fields.iter().map(asked).collect();
        let cut = windows(&arrays, &fields, Cut { length, stride, span });
        cut.map_err(|diagnostic| self.sink.report(*diagnostic)).ok()
    }

    /// Whether every array is what the schema says.
    fn all_fit(&mut self, request: &DataRequest, arrays: &[Array]) -> bool {
        let mut fine = true;
        for (field, array) in request.fields.iter().zip(arrays) {
            fine &= self.fits(field, array);
        }
        fine && self.lengths_agree(request, arrays)
    }

    /// Whether a file of the data set is not there, in which case it is noted.
    fn is_absent(&mut self, files: &FileSet<'_>, request: &DataRequest) -> bool {
        let named: Vec<(&str, Span)> = match files {
            FileSet::Whole(files) => files.clone(),
            FileSet::Parts(of_parts) => of_parts.iter().flatten().flatten().copied().collect(),
        };
        let folder = self.folder;
        let absent = named.into_iter().filter(|(path, span)| Place { path, span: *span, folder }.is_absent());
        let files: Vec<(String, Span)> = absent.map(|(path, span)| (path.to_owned(), span)).collect();
        if files.is_empty() {
            return false;
        }
        let fields = request.fields.iter().map(|field| (field.path.clone(), field.dims.clone())).collect();
        self.dataset.absent.push(Absent { name: request.name.clone(), files, fields });
        true
    }

    /// The arrays of the fields out of `files`, in the order of the schema.
    fn arrays(
        &mut self,
        source: &Source<'_>,
        files: &Files<'_>,
        request: &DataRequest,
    ) -> Option<Vec<Array>> {
        let Origin::Files { format, by, .. } = &source.origin else { crate::bug!("files of a program") };
        let mut fields: Vec<data::FieldRequest> = request.fields.iter().map(asked).collect();
        if request.windows.is_some() {
            // What is cut are series: one, or one of every example.
            let many = by.is_some() || *format == Format::Ts;
            for field in &mut fields {
                field.rank = field.rank.saturating_sub(usize::from(!field.batch));
                (field.batch, field.ragged) = (many, many);
            }
        }
        let per_field = files.len() > 1;
        if per_field && files.len() != fields.len() {
            let span = files.iter().map(|(_, span)| *span).reduce(Span::to).unwrap_or(request.span);
            let message = format!("{} files for {} fields", files.len(), fields.len());
            return self.fail(*wrong(&message, span));
        }
        let mut arrays = Vec::new();
        for (number, (path, span)) in files.iter().enumerate() {
            let place = Place { path, span: *span, folder: self.folder };
            let wanted = if per_field { vec![fields[number].clone()] } else { fields.clone() };
            let by = by.map(|(column, span)| (column.to_owned(), span));
            let asked = data::Request { format: *format, place, by, fields: wanted };
            let loaded = data::load(&asked, self.sources, self.sink)?;
            let (rows, digest) = (loaded.rows, loaded.digest);
            self.dataset.files.push(DataFile { path: (*path).to_owned(), rows, digest });
            arrays.extend(loaded.arrays);
        }
        if *format == Format::Npy && request.windows.is_none() {
            let place = |number: usize| {
                let (path, span) = files[if per_field { number } else { 0 }];
                Place { path, span, folder: self.folder }
            };
            return data::packed(arrays, &fields, place, self.sink);
        }
        Some(arrays)
    }

    /// Divides the rows of the only example, keeping their order.
    fn split_rows(
        &mut self,
        request: &DataRequest,
        parts: &mut [Option<Vec<Array>>; 3],
        shares: data::Shares,
        span: Span,
    ) -> Option<()> {
        let whole = parts[0].take().expect("a split is of one set of files");
        let rows = whole.first().and_then(|array| array.shape.first()).copied().unwrap_or(0);
        for (field, array) in request.fields.iter().zip(&whole) {
            if array.shape.first() != Some(&rows) {
                let message = format!(
                    "`{}` cannot be split: it does not have the {rows} rows of the others",
                    field.name
                );
                return self.fail(*wrong(&message, field.ty_span));
            }
        }
        for (part, mut chosen) in parts.iter_mut().zip(shares.parts(rows)) {
            chosen.sort_unstable();
            *part = (!chosen.is_empty()).then(|| whole.iter().map(|array| array.rows(&chosen)).collect());
        }
        if parts[self.part as usize].is_none() {
            let message = format!("of {rows} rows none is left for `{}`", self.part.name());
            return self.fail(*wrong(&message, span));
        }
        // Each part has sizes of its own; only one is bound.
        for part in Part::ALL.into_iter().filter(|part| *part != self.part) {
            parts[part as usize] = None;
        }
        Some(())
    }

    /// A data set that is one example.
    fn whole(&mut self, request: &DataRequest, parts: [Option<Vec<Array>>; 3]) -> Option<()> {
        let asked = usize::from(parts[self.part as usize].is_some()) * self.part as usize;
        let chosen = parts.into_iter().nth(asked).flatten();
        let Some(arrays) = chosen else {
            return self
                .fail(*wrong(&format!("there is no part `{}`", self.part.name()), request.source.span));
        };
        for (field, array) in request.fields.iter().zip(arrays) {
            let examples = array.into_examples(false);
            let parts = [Some(examples.clone()), Some(examples.clone()), Some(examples)];
            let field_data = FieldData { batch: false, ragged: None, parts };
            self.dataset.fields.insert(field.path.clone(), field_data);
        }
        Some(())
    }

    /// A data set of many examples.
    fn examples(
        &mut self,
        request: &DataRequest,
        parts: [Option<Vec<Array>>; 3],
        source: &Source<'_>,
    ) -> Option<()> {
        let mut by_part: [Option<Vec<Examples>>; 3] = [None, None, None];
        for (part, arrays) in parts.into_iter().enumerate() {
            let Some(arrays) = arrays else { continue };
            let fields = request.fields.iter().zip(arrays);
            by_part[part] =
                Some(fields.map(|(field, array)| array.into_examples(field.batch.is_some())).collect());
        }
        let of_batch = |number: usize| request.fields[number].batch.is_some();
        let counted = request.fields.iter().position(|field| field.batch.is_some()).expect("one has it");
        if let Some((shares, _)) = &source.split {
            let all = by_part[0].take().expect("a split is of one set of files");
            for (part, chosen) in by_part.iter_mut().zip(shares.parts(all[counted].len())) {
                let select = |(number, field): (usize, &Examples)| {
                    if of_batch(number) { field.select(&chosen) } else { field.clone() }
                };
                *part = Some(all.iter().enumerate().map(select).collect());
            }
        }
        let mut counts = [0; 3];
        for (count, fields) in counts.iter_mut().zip(&by_part) {
            let Some(fields) = fields else { continue };
            *count = fields[counted].len();
            let other = (0..fields.len()).find(|at| of_batch(*at) && fields[*at].len() != *count);
            if let Some(other) = other {
                let (first, second) = (&request.fields[counted], &request.fields[other]);
                let found = fields[other].len();
                return self.fail(errors::size_disagreement(
                    "batch",
                    (first.ty_span, *count),
                    (second.ty_span, found),
                ));
            }
        }
        if counts[self.part as usize] == 0 {
            let message = format!("the data have no example for `{}`", self.part.name());
            return self.fail(*wrong(&message, request.source.span));
        }
        match self.dataset.n_examples {
            Some(known) if known != counts => {
                let message =
                    format!("`{}` has {counts:?} examples, the data set before it {known:?}", request.name);
                return self.fail(
                    Diagnostic::new(crate::diag::Code("E0704"), message, request.span, "train, valid, test")
                        .help("examples of two data sets belong together one by one"),
                );
            }
            Some(_) | None => self.dataset.n_examples = Some(counts),
        }
        for (number, field) in request.fields.iter().enumerate() {
            let of_part = by_part.iter().map(|fields| fields.as_ref().map(|fields| fields[number].clone()));
            let of_part: Vec<Option<Examples>> = of_part.collect();
            let longest = of_part.iter().flatten().filter_map(|field| field.shape().first()).copied().max();
            let padded =
                of_part.into_iter().map(|field| field.map(|field| field.padded_to(longest.unwrap_or(0))));
            let parts: Vec<Option<Examples>> = padded.collect();
            let parts = <[_; 3]>::try_from(parts).expect("a data set has three parts");
            let batch = field.batch.is_some();
            // A field without the axis is the same everywhere, also where a part has no examples.
            let parts = match (batch, &parts[0]) {
                (false, Some(one)) => [Some(one.clone()), Some(one.clone()), Some(one.clone())],
                (true, _) | (false, None) => parts,
            };
            let ragged = field.dims.first().filter(|_| field.ragged).and_then(Dim::as_symbol);
            let ragged = ragged.map(|symbol| symbol.name.clone());
            self.dataset.fields.insert(field.path.clone(), FieldData { batch, ragged, parts });
        }
        Some(())
    }

    /// Whether `array` is what the schema says, binding the sizes that have a name. A ragged axis
    /// is bound to the longest example there is.
    fn fits(&mut self, field: &FieldRequest, array: &Array) -> bool {
        let shape = &array.shape[usize::from(field.batch.is_some() && !array.shape.is_empty())..];
        let whole = array.shape.len() == field.dims.len() + usize::from(field.batch.is_some());
        if !whole {
            let written = crate::sema::typed::dims_text(&field.dims);
            self.sink.report(errors::other_shape(
                &field.name,
                &written,
                field.batch.is_some(),
                &array.shape,
                field.ty_span,
            ));
            return false;
        }
        let axes: Vec<(Dim, usize)> = field.dims.iter().cloned().zip(shape.iter().copied()).collect();
        axes.into_iter().enumerate().all(|(axis, (dim, size))| {
            let ragged = field.ragged && axis == 0;
            self.axis_fits(field, &dim, size, ragged)
        })
    }

    fn axis_fits(&mut self, field: &FieldRequest, dim: &Dim, size: usize, ragged: bool) -> bool {
        let here = (field.ty_span, size);
        if let Some(symbol) = dim.as_symbol() {
            let known = self.bound.entry(symbol.name.clone()).or_insert(here);
            if ragged {
                known.1 = known.1.max(size);
            }
            let known = *known;
            if known.1 != size && !ragged {
                self.sink.report(errors::size_disagreement(&symbol.name, known, here));
                return false;
            }
            return true;
        }
        let bound = |symbol: &Symbol| self.bound.get(&symbol.name).map(|(_, size)| *size as i64);
        let known = match dim.value(&bound) {
            Some(known) => known,
            None => match solved(dim, size as i64, &bound) {
                Some((symbol, value)) => {
                    self.bound.insert(symbol.name, (field.ty_span, value));
                    return true;
                }
                None => i64::MIN,
            },
        };
        if known == size as i64 {
            return true;
        }
        let known = (known >= 0).then_some(known);
        self.sink.report(errors::other_size(&field.name, &dim.to_string(), known, size, field.ty_span));
        false
    }

    /// Whether the fields that share a ragged axis have equal lengths in every example.
    fn lengths_agree(&mut self, request: &DataRequest, arrays: &[Array]) -> bool {
        let mut first: BTreeMap<Dim, usize> = BTreeMap::new();
        for (number, field) in request.fields.iter().enumerate().filter(|(_, field)| field.ragged) {
            let Some(dim) = field.dims.first() else { continue };
            let earlier = *first.entry(dim.clone()).or_insert(number);
            let (Some(a), Some(b)) = (&arrays[earlier].lengths, &arrays[number].lengths) else { continue };
            if let Some(example) = (0..a.len().min(b.len())).find(|at| a[*at] != b[*at]) {
                let names = (&*request.fields[earlier].name, &*field.name);
                let lengths = (a[example], b[example]);
                let size = dim.to_string();
                self.sink.report(errors::lengths_differ(&size, example, names, lengths, field.ty_span));
                return false;
            }
        }
        true
    }
}

/// The only unknown symbol of `dim` and the size it must have for `dim` to be `size`, if it
/// appears linearly and the division is exact.
fn solved(dim: &Dim, size: i64, known: &dyn Fn(&Symbol) -> Option<i64>) -> Option<(Symbol, usize)> {
    let mut unknown = dim.symbols().into_iter().filter(|symbol| known(symbol).is_none());
    let (symbol, None) = (unknown.next()?, unknown.next()) else { return None };
    let at = |n: i64| dim.value(&|other| if *other == symbol { Some(n) } else { known(other) });
    let (zero, one, two) = (at(0)?, at(1)?, at(2)?);
    let slope = one.checked_sub(zero)?;
    let linear = two.checked_sub(one)? == slope && slope != 0;
    let rest = size.checked_sub(zero)?;
    if !linear || rest % slope != 0 {
        return None;
    }
    Some((symbol, usize::try_from(rest / slope).ok()?))
}

/// A line of the schema in the words of the data layer.
fn asked(field: &FieldRequest) -> data::FieldRequest {
    let owned = |(name, span): &(Arc<str>, Span)| (name.to_string(), *span);
    data::FieldRequest {
        name: field.name.to_string(),
        span: field.name_span,
        element: match field.elem {
            Elem::Real => Element::Real,
            Elem::Int => Element::Int,
            Elem::Bool => Element::Bool,
        },
        ty_span: field.ty_span,
        columns: match &field.columns {
            Columns::Named => data::Columns::Named,
            Columns::One(name, span) => data::Columns::One(name.to_string(), *span),
            Columns::Range(first, last) => data::Columns::Range(owned(first), owned(last)),
            Columns::Several(names) => data::Columns::Several(names.iter().map(owned).collect()),
        },
        batch: field.batch.is_some(),
        rank: field.dims.len(),
        ragged: field.ragged,
    }
}
