//! Declarations: what each item of the file makes of its names.

use crate::base::span::Span;
use crate::ir::system::UnknownKind;
use crate::sema::dim::Dim;
use crate::sema::infer::{number, size, to_real};
use crate::sema::resolve::{Binding, Checker};
use crate::sema::sources::Making;
use crate::sema::space::FILE;
use crate::sema::typed::{DefId, DefKind, Elem, Expr, Kind, Phase, Ty};
use crate::sema::{Columns, DataRequest, FieldRequest};
use crate::sema::{elaborate, errors};
use crate::syntax::ast::{self, Arg, ExprKind};
use std::sync::Arc;

impl<'a> Checker<'a> {
    pub(crate) fn constant(&mut self, decl: &'a ast::Decl) -> Option<Binding<'a>> {
        let Some(value) = &decl.value else {
            return self.fail(errors::wrong_kind(
                decl.span,
                format!("`{}` has no value", decl.name.name),
                "`const name = value`",
            ));
        };
        let value = self.infer(value, self.home())?;
        let value = self.declared_value(value, decl.ty.as_deref(), &decl.name)?;
        self.require(&value, Phase::Static, "a const")?;
        let value = self.overridden(&decl.name.name, value)?;
        let (ty, span) = (value.ty.clone(), decl.name.span);
        let binding = self.value(&decl.name.name, span, DefKind::Const, ty, Phase::Static, Some(value));
        Some(self.with_type_span(binding, decl.ty.as_deref()))
    }

    /// The value that `--set` gives a const instead of its own.
    fn overridden(&mut self, name: &Arc<str>, value: Expr) -> Option<Expr> {
        // What is set from outside is set in the file itself.
        let given = (self.here == FILE).then(|| self.known.consts.get(name)).flatten();
        let Some(given) = given else { return Some(value) };
        let count: i64 = value.ty.dims.iter().map(|dim| dim.as_number().unwrap_or(0)).product();
        let numbers = match given.entries(count.max(0) as usize) {
            Ok(numbers) => numbers,
            Err(found) => {
                return self.fail(errors::override_count(value.span, name, &value.ty, found));
            }
        };
        let whole = |x: f64| x.fract() == 0.0 && x.abs() < 9e15;
        let (elem, span) = (value.ty.elem, value.span);
        let element = |x: f64| {
            if elem == Elem::Int && whole(x) { size(Dim::number(x as i64), span) } else { number(x, span) }
        };
        if value.ty.is_scalar() {
            return Some(element(numbers[0]));
        }
        let all_whole = numbers.iter().all(|x| whole(*x));
        let elem = if elem == Elem::Int && all_whole { Elem::Int } else { Elem::Real };
        let parts: Vec<Expr> = numbers
            .iter()
            .map(|x| if elem == Elem::Int { size(Dim::number(*x as i64), span) } else { number(*x, span) })
            .collect();
        let flat = Ty { elem, dims: vec![Dim::number(numbers.len() as i64)] };
        let flat = Expr { kind: Kind::Stack(parts), ty: flat, phase: Phase::Static, span };
        let ty = Ty { elem, dims: value.ty.dims };
        Some(Expr { kind: Kind::Reshape(Box::new(flat)), ty, phase: Phase::Static, span })
    }

    /// A value as its declaration asks, if it asks for something.
    fn declared_value(&mut self, value: Expr, ty: Option<&'a ast::Type>, name: &ast::Ident) -> Option<Expr> {
        match ty {
            Some(ty) => {
                let expected = self.written_type(ty, self.home())?;
                self.fitted(value, &expected, ty.span, format_args!("`{}`", name.name))
            }
            None => Some(value),
        }
    }

    pub(crate) fn with_type_span(&mut self, binding: Binding<'a>, ty: Option<&'a ast::Type>) -> Binding<'a> {
        if let (Binding::Value(def), Some(ty)) = (&binding, ty) {
            self.defs[*def].ty_span = Some(ty.span);
        }
        binding
    }

    pub(crate) fn input(&mut self, decl: &'a ast::Decl, number: usize) -> Option<Binding<'a>> {
        if let Some(path) = &decl.value
            && self.is_path(path)
        {
            return self.path_input(decl, path, number);
        }
        let default = match &decl.value {
            Some(value) => {
                let value = to_real(self.infer(value, self.home())?);
                let value = self.declared_value(value, decl.ty.as_deref(), &decl.name)?;
                self.require(&value, Phase::Static, "the default of an input")?;
                Some(value)
            }
            None => None,
        };
        let ty = match (&default, &decl.ty) {
            (Some(value), _) => value.ty.clone(),
            (None, Some(ty)) => self.written_type(ty, self.home())?,
            (None, None) => Ty::scalar(Elem::Real),
        };
        let binding =
            self.value(&decl.name.name, decl.name.span, DefKind::Input(number), ty, Phase::Run, default);
        Some(self.with_type_span(binding, decl.ty.as_deref()))
    }

    pub(crate) fn output(&mut self, decl: &'a ast::Decl) -> Option<Binding<'a>> {
        let Some(value) = &decl.value else {
            return self.fail(errors::wrong_kind(
                decl.span,
                format!("`{}` has no value", decl.name.name),
                "`output name = value`",
            ));
        };
        let value = to_real(self.infer(value, self.home())?);
        let value = self.declared_value(value, decl.ty.as_deref(), &decl.name)?;
        let (ty, phase) = (value.ty.clone(), value.phase);
        Some(self.value(&decl.name.name, decl.name.span, DefKind::Output, ty, phase, Some(value)))
    }

    pub(crate) fn top_let(
        &mut self,
        name: &Arc<str>,
        span: Span,
        item: &'a ast::Let,
        path: &[usize],
    ) -> Option<Binding<'a>> {
        let mut value = self.evaluate(&item.value, self.home())?;
        if let Some(ty) = &item.ty {
            value = self.fitted_value(value, ty, item.value.span, "this value", self.home())?;
        }
        let mut pattern = &item.pattern;
        for position in path {
            let ast::Pattern::Tuple(parts, pattern_span) = pattern else {
                crate::bug!("the path of `{name}`")
            };
            value = self.part_of(value, *position, parts.len(), *pattern_span)?;
            pattern = &parts[*position];
        }
        let ident = ast::Ident { name: name.clone(), span };
        let binding = self.binding_of(&ident, value, DefKind::Let, self.home());
        Some(if path.is_empty() { self.with_type_span(binding, item.ty.as_deref()) } else { binding })
    }

    /// The elements of a static expression.
    pub(crate) fn static_values(&mut self, value: &Expr) -> Option<Vec<f64>> {
        let sizes = self.found_sizes();
        match elaborate::static_values(&self.defs, &sizes, value) {
            Ok(values) => Some(values),
            Err(diagnostic) => self.fail(*diagnostic),
        }
    }

    pub(crate) fn state(
        &mut self,
        name: &Arc<str>,
        span: Span,
        unknown: &'a ast::Unknown,
        number: usize,
        kind: UnknownKind,
    ) -> Option<Binding<'a>> {
        let base = &unknown.name.name;
        let ty = match (&unknown.ty, &unknown.value) {
            (Some(ty), _) => {
                let ty_span = ty.span;
                let ty = self.written_type(ty, self.home())?;
                let fits = match (ty.elem, kind) {
                    (Elem::Real, _) | (Elem::Int, UnknownKind::Discrete) => true,
                    (Elem::Int | Elem::Bool, _) => false,
                };
                if !fits {
                    return self.fail(errors::wrong_element(ty_span, kind.noun(), &ty));
                }
                ty
            }
            (None, _) if unknown.primes > 0 => {
                let found = self.global(base, span)?;
                let Binding::Value(def) = found else { return None };
                self.defs[def].ty.clone()
            }
            (None, Some(value)) => to_real(self.infer(value, self.home())?).ty,
            (None, None) => {
                return self.fail(errors::no_start(unknown.span, kind.noun(), base));
            }
        };
        let binding = self.value(name, span, DefKind::State(number), ty, Phase::Time, None);
        Some(self.with_type_span(binding, unknown.ty.as_deref()))
    }

    pub(crate) fn channel(
        &mut self,
        name: &ast::Ident,
        ty: Option<&'a ast::Type>,
        value: &'a ast::Expr,
        number: usize,
    ) -> Option<Binding<'a>> {
        let shape = match ty {
            Some(ty) => self.written_type(ty, self.home())?,
            None => to_real(self.infer(value, self.home())?).ty,
        };
        let binding = self.value(&name.name, name.span, DefKind::Channel(number), shape, Phase::Time, None);
        Some(self.with_type_span(binding, ty))
    }

    // ---- data ------------------------------------------------------------------------------

    /// Looks into the schema of a data set.
    pub(crate) fn data_set(&mut self, set: usize) {
        if self.data_sets[set].fields.is_some() {
            return;
        }
        let (data, first_port) = (self.data_sets[set].data, self.data_sets[set].first_port);
        self.data_sets[set].fields = Some(vec![None; data.fields.len()]);
        let fields = data
            .fields
            .iter()
            .enumerate()
            .map(|(position, field)| self.data_field(data, field, first_port + position))
            .collect();
        self.data_sets[set].fields = Some(fields);
    }

    fn data_field(&mut self, data: &'a ast::Data, field: &'a ast::Field, port: usize) -> Option<DefId> {
        let earlier = data.fields.iter().take_while(|other| other.span != field.span);
        if let Some(first) = earlier.into_iter().find(|other| other.name.name == field.name.name) {
            return self.fail(errors::defined_twice(&field.name.name, first.name.span, field.name.span));
        }
        if let Some(batch) = field.example_dims().iter().find(|dim| dim.is_batch()) {
            return self.fail(errors::wrong_kind(
                batch.value.span,
                "`batch` counts the examples of a data set".to_owned(),
                "`batch` in front of all sizes, once",
            ));
        }
        let home = self.home();
        let ty = match &field.ty.kind {
            ast::TypeKind::Tensor { element, .. } => {
                self.written_tensor(element.as_ref(), field.example_dims(), home)?
            }
            ast::TypeKind::Name(_) | ast::TypeKind::Fn { .. } | ast::TypeKind::Record(_) => {
                self.written_type(&field.ty, home)?
            }
        };
        let path: Arc<str> = format!("{}.{}", data.name.name, field.name.name).into();
        let binding = self.value(&path, field.name.span, DefKind::Data(port), ty, Phase::Example, None);
        match self.with_type_span(binding, Some(&field.ty)) {
            Binding::Value(def) => Some(def),
            _ => None,
        }
    }

    /// What the data layer is asked for; of data that the program makes, how.
    pub(crate) fn data_requests(&mut self) -> Vec<(DataRequest, Option<Making>)> {
        let mut requests = Vec::new();
        for set in 0..self.data_sets.len() {
            self.data_set(set);
            let data = self.data_sets[set].data;
            let (windows, making) = self.source(data);
            let defs = self.data_sets[set].fields.clone().unwrap_or_default();
            let mut fields = Vec::new();
            for (field, def) in data.fields.iter().zip(defs) {
                let columns = self.columns(field);
                let (Some(def), Some(columns)) = (def, columns) else { continue };
                let ty = self.defs[def].ty.clone();
                fields.push(FieldRequest {
                    name: field.name.name.clone(),
                    path: self.defs[def].name.clone(),
                    elem: ty.elem,
                    dims: ty.dims,
                    columns,
                    batch: field.batch().map(|dim| dim.value.span),
                    ragged: field.example_dims().first().is_some_and(|dim| dim.ragged),
                    span: field.span,
                    name_span: field.name.span,
                    ty_span: field.ty.span,
                });
            }
            let request = DataRequest {
                name: data.name.name.clone(),
                span: data.name.span,
                source: (*data.source).clone(),
                windows,
                made: None,
                fields,
            };
            requests.push((request, making));
        }
        requests
    }

    /// What follows the type of a field: `column("a")`, `columns("a".."c")`, `columns("a", "b")`.
    fn columns(&mut self, field: &'a ast::Field) -> Option<Columns> {
        let Some(value) = &field.value else { return Some(Columns::Named) };
        let text = |expr: &ast::Expr| match &expr.kind {
            ExprKind::Str(name) => Some((name.clone(), expr.span)),
            _ => None,
        };
        if let ExprKind::Call { callee, args } = &value.kind
            && let ExprKind::Name(name) = &callee.kind
        {
            let found = match (&**name, args.as_slice()) {
                ("column", [Arg::Positional(column)]) => {
                    text(column).map(|(column, span)| Columns::One(column, span))
                }
                ("columns", [Arg::Positional(ast::Expr { kind: ExprKind::Range(first, last), .. })]) => {
                    text(first).zip(text(last)).map(|(first, last)| Columns::Range(first, last))
                }
                ("columns", [_, ..]) => {
                    let each = args.iter().map(|arg| match arg {
                        Arg::Positional(column) => text(column),
                        Arg::Named(..) | Arg::Spread(..) | Arg::Comprehension(..) => None,
                    });
                    each.collect::<Option<Vec<_>>>().map(Columns::Several)
                }
                _ => None,
            };
            if found.is_some() {
                return found;
            }
        }
        let expected = "`column(\"name\")`, `columns(\"first\"..\"last\")` or `columns(\"a\", \"b\")`";
        self.fail(errors::wrong_kind(value.span, "this does not name a column", expected))
    }
}
