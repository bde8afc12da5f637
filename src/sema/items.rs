//! Declarations: what each item of the file makes of its names.

use crate::base::span::Span;
use crate::ir::program::Constraint;
use crate::sema::dim::Dim;
use crate::sema::infer::{number, size, to_real};
use crate::sema::resolve::{Binding, Checker};
use crate::sema::typed::{DefId, DefKind, Elem, Expr, Kind, Phase, Ty};
use crate::sema::{DataRequest, FieldRequest};
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
        let value = self.declared_value(value, decl.ty.as_ref(), &decl.name)?;
        self.require(&value, Phase::Static, "a const")?;
        let value = self.overridden(&decl.name.name, value)?;
        let (ty, span) = (value.ty.clone(), decl.name.span);
        let binding = self.value(&decl.name.name, span, DefKind::Const, ty, Phase::Static, Some(value));
        Some(self.with_type_span(binding, decl.ty.as_ref()))
    }

    /// The value that `--set` gives a const instead of its own.
    fn overridden(&mut self, name: &Arc<str>, value: Expr) -> Option<Expr> {
        let Some(given) = self.known.consts.get(name) else { return Some(value) };
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
                self.fitted(value, &expected, ty.span, &format!("`{}`", name.name))
            }
            None => Some(value),
        }
    }

    fn with_type_span(&mut self, binding: Binding<'a>, ty: Option<&'a ast::Type>) -> Binding<'a> {
        if let (Binding::Value(def), Some(ty)) = (&binding, ty) {
            self.defs[*def].ty_span = Some(ty.span);
        }
        binding
    }

    pub(crate) fn input(&mut self, decl: &'a ast::Decl, number: usize) -> Option<Binding<'a>> {
        let default = match &decl.value {
            Some(value) => {
                let value = to_real(self.infer(value, self.home())?);
                let value = self.declared_value(value, decl.ty.as_ref(), &decl.name)?;
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
        Some(self.with_type_span(binding, decl.ty.as_ref()))
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
        let value = self.declared_value(value, decl.ty.as_ref(), &decl.name)?;
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
        let mut value = self.infer(&item.value, self.home())?;
        if let Some(ty) = &item.ty {
            let expected = self.written_type(ty, self.home())?;
            value = self.fitted(value, &expected, ty.span, "this value")?;
        }
        let mut pattern = &item.pattern;
        for position in path {
            let ast::Pattern::Tuple(parts, pattern_span) = pattern else {
                crate::bug!("the path of `{name}`")
            };
            value = self.component(value, *position, parts.len(), *pattern_span)?;
            pattern = &parts[*position];
        }
        let (ty, phase) = (value.ty.clone(), value.phase);
        let binding = self.value(name, span, DefKind::Let, ty, phase, Some(value));
        Some(if path.is_empty() { self.with_type_span(binding, item.ty.as_ref()) } else { binding })
    }

    pub(crate) fn param(&mut self, decl: &'a ast::ParamDecl, number: usize) -> Option<Binding<'a>> {
        let init = match &decl.value {
            Some(value) if self.is_initialiser(value) => {
                let instead = "give the starting value as a number";
                return self.fail(errors::not_yet(value.span, "starting values that are drawn are", instead));
            }
            Some(value) => Some(to_real(self.infer(value, self.home())?)),
            None => None,
        };
        let init = match (init, &decl.ty) {
            (Some(init), Some(ty)) => {
                let expected = self.written_type(ty, self.home())?;
                Some(self.fitted(
                    init,
                    &expected,
                    ty.span,
                    &format!("the starting value of `{}`", decl.name.name),
                )?)
            }
            (init, _) => init,
        };
        if let Some(init) = &init {
            self.require(init, Phase::Static, "the starting value of a param")?;
        }
        let ty = match (&init, &decl.ty) {
            (Some(init), _) => init.ty.clone(),
            (None, Some(ty)) => self.written_type(ty, self.home())?,
            (None, None) => Ty::scalar(Elem::Real),
        };
        if ty.elem != Elem::Real {
            return self.fail(errors::derivative_by_integer("param", decl.name.span, &ty));
        }
        let binding =
            self.value(&decl.name.name, decl.name.span, DefKind::Param(number), ty, Phase::Run, init);
        Some(self.with_type_span(binding, decl.ty.as_ref()))
    }

    /// Whether a starting value is to be drawn: a distribution or a layer. Those have functions of
    /// their own only after `~`.
    fn is_initialiser(&mut self, value: &'a ast::Expr) -> bool {
        let ExprKind::Call { callee, .. } = &value.unparenthesised().kind else { return false };
        let callee = match &callee.kind {
            ExprKind::Index { base, .. } => base,
            _ => callee,
        };
        match &callee.kind {
            ExprKind::Name(name) if !self.space().globals.contains_key(name) => {
                use crate::sema::prelude::{Builtin, function};
                matches!(function(name), Some(Builtin::Distribution(_)))
            }
            _ => false,
        }
    }

    /// The set that stands after `in`.
    pub(crate) fn constraint(&mut self, expr: &'a ast::Expr) -> Option<Constraint> {
        let expr = expr.unparenthesised();
        match &expr.kind {
            ExprKind::Name(name) => match &**name {
                "positive" => Some(Constraint::Positive),
                "unit" => Some(Constraint::Interval(0.0, 1.0)),
                "simplex" | "ordered" | "corr_cholesky" | "orthogonal" => {
                    let instead = "use `positive`, `unit` or `interval(a, b)` for each element";
                    self.fail(errors::not_yet(expr.span, format!("the set `{name}` is"), instead))
                }
                _ => self.fail(errors::wrong_kind(
                    expr.span,
                    format!("`{name}` is not a set"),
                    "`positive`, `unit` or `interval(a, b)`",
                )),
            },
            ExprKind::Call { callee, args } if matches!(&callee.kind, ExprKind::Name(name) if &**name == "interval") =>
            {
                let [Arg::Positional(lo), Arg::Positional(hi)] = args.as_slice() else {
                    return self.fail(errors::wrong_arguments(
                        expr.span,
                        "interval",
                        "a lower and an upper bound",
                    ));
                };
                let (lo, hi) = (self.static_number(lo, "a bound"), self.static_number(hi, "a bound"));
                let (lo, hi) = (lo?, hi?);
                if lo < hi && (hi - lo).is_finite() {
                    return Some(Constraint::Interval(lo, hi));
                }
                if hi < lo {
                    return self.fail(errors::interval_reversed(expr.span, lo, hi));
                }
                self.fail(errors::wrong_arguments(
                    expr.span,
                    "interval",
                    "a lower bound below the upper one, both finite",
                ))
            }
            _ => self.fail(errors::wrong_kind(
                expr.span,
                "this is not a set",
                "`positive`, `unit` or `interval(a, b)`",
            )),
        }
    }

    fn static_number(&mut self, expr: &'a ast::Expr, what: &str) -> Option<f64> {
        let value = self.infer(expr, self.home())?;
        let value = self.scalar(value, what)?;
        self.require(&value, Phase::Static, what)?;
        self.static_values(&value)?.first().copied()
    }

    /// The elements of a static expression.
    pub(crate) fn static_values(&mut self, value: &Expr) -> Option<Vec<f64>> {
        match elaborate::static_values(&self.defs, value) {
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
    ) -> Option<Binding<'a>> {
        let base = &unknown.name.name;
        let ty = match (&unknown.ty, &unknown.value) {
            (Some(ty), _) => {
                let ty_span = ty.span;
                let ty = self.written_type(ty, self.home())?;
                if ty.elem != Elem::Real {
                    let instead = "a state is real; what jumps between integers is `discrete`";
                    return self.fail(errors::wrong_kind(ty_span, format!("a state of {ty}"), instead));
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
                return self.fail(errors::no_start(unknown.span, base));
            }
        };
        let binding = self.value(name, span, DefKind::State(number), ty, Phase::Time, None);
        Some(self.with_type_span(binding, unknown.ty.as_ref()))
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
        if let ast::TypeKind::Tensor { dims, .. } = &field.ty.kind
            && let Some(batch) =
                dims.iter().find(|dim| matches!(&dim.value.kind, ExprKind::Name(name) if &**name == "batch"))
        {
            let instead = "leave `batch` away: the whole file is then one example";
            return self.fail(errors::not_yet(batch.value.span, "minibatches are", instead));
        }
        let ty = self.written_type(&field.ty, self.home())?;
        let path: Arc<str> = format!("{}.{}", data.name.name, field.name.name).into();
        let binding = self.value(&path, field.name.span, DefKind::Data(port), ty, Phase::Example, None);
        match self.with_type_span(binding, Some(&field.ty)) {
            Binding::Value(def) => Some(def),
            _ => None,
        }
    }

    /// What the data layer is asked for.
    pub(crate) fn data_requests(&mut self) -> Vec<DataRequest> {
        let mut requests = Vec::new();
        for set in 0..self.data_sets.len() {
            self.data_set(set);
            let data = self.data_sets[set].data;
            let source = data.source.unparenthesised();
            let is_csv = matches!(&source.kind, ExprKind::Call { callee, .. } if matches!(&callee.kind, ExprKind::Name(name) if &**name == "csv"));
            if !is_csv {
                let what = match &source.kind {
                    ExprKind::Call { callee, .. } => {
                        format!("the data source `{}` is", self.text(callee.span))
                    }
                    _ => "this data source is".to_owned(),
                };
                self.report(errors::not_yet(
                    source.span,
                    what,
                    "write the numbers to a file and read it with `csv(\"file.csv\")`",
                ));
            }
            let defs = self.data_sets[set].fields.clone().unwrap_or_default();
            let mut fields = Vec::new();
            for (field, def) in data.fields.iter().zip(defs) {
                let column = self.column(field);
                let (Some(def), Some((column, column_span))) = (def, column) else { continue };
                let ty = self.defs[def].ty.clone();
                fields.push(FieldRequest {
                    name: field.name.name.clone(),
                    path: self.defs[def].name.clone(),
                    elem: ty.elem,
                    dims: ty.dims,
                    column,
                    span: field.span,
                    name_span: field.name.span,
                    ty_span: field.ty.span,
                    column_span,
                });
            }
            requests.push(DataRequest {
                name: data.name.name.clone(),
                span: data.name.span,
                source: data.source.clone(),
                fields,
            });
        }
        requests
    }

    fn column(&mut self, field: &'a ast::Field) -> Option<(Arc<str>, Span)> {
        let Some(value) = &field.value else { return Some((field.name.name.clone(), field.name.span)) };
        if let ExprKind::Call { callee, args } = &value.kind
            && let ExprKind::Name(name) = &callee.kind
        {
            match (&**name, args.as_slice()) {
                ("column", [Arg::Positional(ast::Expr { kind: ExprKind::Str(column), span })]) => {
                    return Some((column.clone(), *span));
                }
                ("columns", _) => {
                    let instead = "declare one field for each column and put them together with `stack(...)`";
                    return self.fail(errors::not_yet(value.span, "`columns` is", instead));
                }
                _ => {}
            }
        }
        self.fail(errors::wrong_kind(value.span, "this does not name a column", "`column(\"name\")`"))
    }
}
