//! Expressions: from the tree to typed expressions, with every misfit reported where it stands.
//!
//! An expression that is wrong gives `None` after its message; whatever contains it gives `None`
//! silently. Functions are inlined in `call`, parts are taken in `index`, derivatives are in
//! `derivative`.

mod arrays;
mod builtin;
pub(crate) mod call;
mod choose;
mod data_fold;
mod derivative;
mod divergence;
mod einsum;
mod fold;
mod index;
mod linear;
mod misfit;
mod random;
mod value;

pub(crate) use builtin::reduced;
pub(crate) use derivative::unprimed;
pub(crate) use value::Value;

use crate::base::span::Span;
use crate::ir::op::Op;
use crate::sema::dim::Dim;
use crate::sema::errors::{self, Story};
use crate::sema::resolve::{Checker, ScopeId};
use crate::sema::typed::{DefId, DefKind, Elem, Expr, Kind, Phase, Ty};
use crate::syntax::ast::{self, BinaryOp, ExprKind, Pattern, UnaryOp};
use std::fmt::Display;

impl<'a> Checker<'a> {
    /// The meaning of an expression in `scope`.
    pub(crate) fn infer(&mut self, expr: &'a ast::Expr, scope: ScopeId) -> Option<Expr> {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Int(n) => Some(size(Dim::number(*n), span)),
            ExprKind::Float(x) => Some(number(*x, span)),
            ExprKind::Bool(truth) => Some(Expr {
                kind: Kind::Bool(*truth),
                ty: Ty::scalar(Elem::Bool),
                phase: Phase::Static,
                span,
            }),
            ExprKind::Str(_) => self.fail(errors::wrong_kind(span, "a text is not a number", "a number")),
            ExprKind::Unary(UnaryOp::Neg, operand) => {
                let operand = self.infer(operand, scope)?;
                if let Kind::Size(dim) = &operand.kind {
                    return Some(size(dim.times_number(-1), span));
                }
                let operand = self.real(operand, "-")?;
                Some(self.elementwise(Op::Neg, vec![operand], span))
            }
            ExprKind::Unary(UnaryOp::Not, operand) => {
                let operand = self.infer(operand, scope)?;
                let operand = self.truth(operand, "not")?;
                let ty = operand.ty.clone();
                Some(Expr { phase: operand.phase, kind: Kind::Elementwise(Op::Not, vec![operand]), ty, span })
            }
            ExprKind::Binary { op, op_span, lhs, rhs } => {
                let (lhs, rhs) = (self.infer(lhs, scope), self.infer(rhs, scope));
                self.binary(*op, *op_span, lhs?, rhs?, span)
            }
            ExprKind::Prime(_) => self.prime(expr, scope),
            ExprKind::Range(..) => self.fail(errors::wrong_kind(
                span,
                "a range is not a number",
                "a number; ranges stand after `in` and in indices",
            )),
            ExprKind::Name(_) | ExprKind::Paren(_) | ExprKind::Tuple(_) | ExprKind::Array(_) => {
                self.infer_value(expr, scope)
            }
            ExprKind::Call { .. } | ExprKind::Index { .. } | ExprKind::Field { .. } | ExprKind::Pipe(..) => {
                self.infer_value(expr, scope)
            }
            ExprKind::Lambda(..) | ExprKind::If { .. } | ExprKind::Fold(_) => self.infer_value(expr, scope),
            ExprKind::Error => {
                self.failed = true;
                None
            }
        }
    }

    /// An expression of a kind whose value may be more than numbers, where numbers are needed.
    fn infer_value(&mut self, expr: &'a ast::Expr, scope: ScopeId) -> Option<Expr> {
        let value = self.evaluate(expr, scope)?;
        let expr = self.plain(value, expr.span)?;
        Some(Expr { ty: self.settled_ty(expr.ty), ..expr })
    }

    /// A use of `def`.
    pub(crate) fn named(&self, def: DefId, span: Span) -> Expr {
        let found = &self.defs[def];
        if let Some(Kind::Size(dim)) = found.value.as_ref().map(|value| &value.kind) {
            return size(self.settled(dim), span);
        }
        Expr { kind: Kind::Def(def), ty: self.settled_ty(found.ty.clone()), phase: found.phase, span }
    }

    // ---- conversions -----------------------------------------------------------------------

    /// `expr` as reals; a truth value is refused.
    pub(crate) fn real(&mut self, expr: Expr, callee: &str) -> Option<Expr> {
        match expr.ty.elem {
            Elem::Real => Some(expr),
            Elem::Int => Some(to_real(expr)),
            Elem::Bool => self.misfit(callee, &expr, "numbers"),
        }
    }

    /// `expr`, which must be a truth value.
    pub(super) fn truth(&mut self, expr: Expr, callee: &str) -> Option<Expr> {
        if expr.ty.elem == Elem::Bool {
            return Some(expr);
        }
        self.misfit(callee, &expr, "truth values")
    }

    /// `expr` as what `expected` asks for: its shape, and its elements where an integer may stand
    /// for a real. `what` is the subject of the message.
    pub(crate) fn fitted(
        &mut self,
        expr: Expr,
        expected: &Ty,
        declared: Span,
        what: impl Display,
    ) -> Option<Expr> {
        self.fitted_with(expr, expected, declared, what, None)
    }

    /// [`Checker::fitted`] with the story of the expected shape.
    pub(super) fn fitted_with(
        &mut self,
        expr: Expr,
        expected: &Ty,
        declared: Span,
        what: impl Display,
        expected_story: Option<Story>,
    ) -> Option<Expr> {
        let expr =
            if expected.elem == Elem::Real && expr.ty.elem == Elem::Int { to_real(expr) } else { expr };
        if self.same_ty(&expr.ty, expected, expr.span) {
            return Some(Expr { ty: self.settled_ty(expr.ty), ..expr });
        }
        let story = self.story(&expr);
        let (expected, found) = (self.settled_ty(expected.clone()), self.settled_ty(expr.ty));
        let message =
            errors::declared_shape(&what.to_string(), declared, &expected, expr.span, &found, story);
        self.fail(errors::told(message, expected_story))
    }

    /// `expr` as one real number.
    pub(crate) fn scalar(&mut self, expr: Expr, what: &str) -> Option<Expr> {
        let expr = if expr.ty.elem == Elem::Bool { to_real(expr) } else { self.real(expr, what)? };
        if expr.ty.is_scalar() {
            return Some(expr);
        }
        self.not_scalar(what, &expr)
    }

    /// Why `expr` has its shape, if a declaration elsewhere says so.
    pub(crate) fn story(&self, expr: &Expr) -> Option<Story> {
        // What a layer gives has the shape that its sizes say.
        if let Some((ty, scope)) = self.layer_calls.get(&expr.span)
            && let Some(story) = self.size_story(ty, *scope)
        {
            return Some(story);
        }
        let def = match &expr.kind {
            Kind::Def(def) => &self.defs[*def],
            Kind::At(of, _) | Kind::ToReal(of) => return self.story(of),
            _ => return None,
        };
        match (def.ty_span, &def.value) {
            (Some(span), _) => Some(Story { span, text: "declared here".to_owned(), help: None }),
            (None, Some(value)) if value.span != expr.span => {
                Some(Story { span: value.span, text: "computed here".to_owned(), help: None })
            }
            _ => None,
        }
    }

    // ---- operators -------------------------------------------------------------------------

    /// An elementwise op of real operands whose shapes agree already.
    pub(crate) fn elementwise(&mut self, op: Op, operands: Vec<Expr>, span: Span) -> Expr {
        let shaped = operands.iter().find(|operand| !operand.ty.is_scalar());
        let dims = shaped.map(|operand| operand.ty.dims.clone()).unwrap_or_default();
        let phase = operands.iter().map(|operand| operand.phase).max().unwrap_or(Phase::Static);
        let elem = match op {
            Op::Lt | Op::Le | Op::Eq | Op::And | Op::Or | Op::Not => Elem::Bool,
            _ => Elem::Real,
        };
        Expr { kind: Kind::Elementwise(op, operands), ty: Ty { elem, dims }, phase, span }
    }

    fn binary(&mut self, op: BinaryOp, op_span: Span, lhs: Expr, rhs: Expr, span: Span) -> Option<Expr> {
        let symbol = op.symbol();
        if let (Kind::Size(a), Kind::Size(b)) = (&lhs.kind, &rhs.kind)
            && let Some(dim) = static_arithmetic(op, a, b)
        {
            return Some(size(dim, span));
        }
        match op {
            BinaryOp::And | BinaryOp::Or => {
                let (lhs, rhs) = (self.truth(lhs, symbol), self.truth(rhs, symbol));
                let (lhs, rhs) = (lhs?, rhs?);
                self.level(symbol, op_span, &lhs, &rhs)?;
                let op = if op == BinaryOp::And { Op::And } else { Op::Or };
                Some(self.elementwise(op, vec![lhs, rhs], span))
            }
            BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
                // Integers are compared as such: exactly, and, if static, while unrolling.
                let both = lhs.ty.elem == Elem::Int && rhs.ty.elem == Elem::Int;
                let (lhs, rhs) =
                    if both { (lhs, rhs) } else { (self.real(lhs, symbol)?, self.real(rhs, symbol)?) };
                self.level(symbol, op_span, &lhs, &rhs)?;
                Some(match op {
                    BinaryOp::Lt => self.elementwise(Op::Lt, vec![lhs, rhs], span),
                    BinaryOp::Le => self.elementwise(Op::Le, vec![lhs, rhs], span),
                    BinaryOp::Gt => self.elementwise(Op::Lt, vec![rhs, lhs], span),
                    BinaryOp::Ge => self.elementwise(Op::Le, vec![rhs, lhs], span),
                    BinaryOp::Ne => {
                        let equal = self.elementwise(Op::Eq, vec![lhs, rhs], span);
                        self.elementwise(Op::Not, vec![equal], span)
                    }
                    _ => self.elementwise(Op::Eq, vec![lhs, rhs], span),
                })
            }
            BinaryOp::MatMul => {
                let (lhs, rhs) = (self.real(lhs, symbol)?, self.real(rhs, symbol)?);
                self.matmul(lhs, rhs, op_span, span)
            }
            BinaryOp::Pow => {
                let exponent = match &rhs.kind {
                    Kind::Size(dim) => Some(dim.clone()),
                    _ => None,
                };
                let base = self.real(lhs, symbol)?;
                if let Some(exponent) = exponent {
                    let (ty, phase) = (base.ty.clone(), base.phase);
                    return Some(Expr { kind: Kind::PowInt(Box::new(base), exponent), ty, phase, span });
                }
                let exponent = self.real(rhs, symbol)?;
                self.level(symbol, op_span, &base, &exponent)?;
                Some(self.elementwise(Op::Pow, vec![base, exponent], span))
            }
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div => {
                let (lhs, rhs) = (self.real(lhs, symbol), self.real(rhs, symbol));
                let (lhs, rhs) = (lhs?, rhs?);
                self.level(symbol, op_span, &lhs, &rhs)?;
                let op = match op {
                    BinaryOp::Add => Op::Add,
                    BinaryOp::Sub => Op::Sub,
                    BinaryOp::Mul => Op::Mul,
                    _ => Op::Div,
                };
                Some(self.elementwise(op, vec![lhs, rhs], span))
            }
        }
    }

    fn matmul(&mut self, lhs: Expr, rhs: Expr, op_span: Span, span: Span) -> Option<Expr> {
        for operand in [&lhs, &rhs] {
            if !matches!(operand.ty.dims.len(), 1 | 2) {
                return self.misfit("@", operand, "vectors or matrices");
            }
        }
        let (left, right) = (&lhs.ty.dims, &rhs.ty.dims);
        let (Some(inner), Some(outer)) = (left.last(), right.first()) else {
            crate::bug!("the operands of `@` have axes")
        };
        if !self.same_size(inner, outer, op_span) {
            let (a, b) = (self.story(&lhs), self.story(&rhs));
            return self.fail(errors::inner_sizes(op_span, (lhs.span, &lhs.ty, a), (rhs.span, &rhs.ty, b)));
        }
        let dims = [&left[..left.len() - 1], &right[1..]].concat();
        let phase = lhs.phase.max(rhs.phase);
        Some(Expr { kind: Kind::MatMul(Box::new(lhs), Box::new(rhs)), ty: Ty::real(dims), phase, span })
    }

    fn choice(&mut self, condition: Expr, then: Expr, otherwise: Expr, span: Span) -> Option<Expr> {
        let condition = self.truth(condition, "if")?;
        let (then, otherwise) = match (then.ty.elem, otherwise.ty.elem) {
            (a, b) if a == b => match (&then.kind, &otherwise.kind) {
                // Which of two static integers it is need not be static.
                (Kind::Size(_), _) | (_, Kind::Size(_)) => (to_real(then), to_real(otherwise)),
                _ => (then, otherwise),
            },
            (Elem::Bool, _) => (then, self.truth(otherwise, "else")?),
            _ => (self.real(then, "if")?, self.real(otherwise, "if")?),
        };
        self.level("if", span, &then, &otherwise)?;
        let shaped = if then.ty.is_scalar() { &otherwise } else { &then };
        if !condition.ty.is_scalar() && !shaped.ty.is_scalar() {
            self.level("if", condition.span, &condition, shaped)?;
        }
        let dims = if shaped.ty.is_scalar() { condition.ty.dims.clone() } else { shaped.ty.dims.clone() };
        let ty = Ty { elem: then.ty.elem, dims };
        let phase = condition.phase.max(then.phase).max(otherwise.phase);
        Some(Expr {
            kind: Kind::If(Box::new(condition), Box::new(then), Box::new(otherwise)),
            ty,
            phase,
            span,
        })
    }

    // ---- patterns and types ----------------------------------------------------------------

    /// Gives the names of a pattern the parts of `value`.
    pub(crate) fn bind_pattern(
        &mut self,
        pattern: &'a Pattern,
        value: impl Into<Value<'a>>,
        scope: ScopeId,
    ) -> Option<()> {
        let value = value.into();
        match pattern {
            Pattern::Name(name) => {
                let binding = self.binding_of(name, value, DefKind::Local, scope);
                self.bind(scope, &name.name, binding);
                Some(())
            }
            Pattern::Tuple(parts, span) => {
                for (position, part) in parts.iter().enumerate() {
                    let element = self.part_of(value.clone(), position, parts.len(), *span)?;
                    self.bind_pattern(part, element, scope)?;
                }
                Some(())
            }
        }
    }

    /// Part `position` of a value that a pattern takes into `count` parts.
    pub(crate) fn part_of(
        &mut self,
        value: Value<'a>,
        position: usize,
        count: usize,
        pattern: Span,
    ) -> Option<Value<'a>> {
        match value {
            Value::Expr(expr) => self.component(expr, position, count, pattern).map(Value::Expr),
            Value::Tuple(parts) | Value::List(parts) if parts.len() == count => {
                parts.into_iter().nth(position)
            }
            Value::Tuple(parts) | Value::List(parts) => {
                let message = format!("a pattern of {count} names for {} values", parts.len());
                self.fail(errors::wrong_kind(pattern, message, "as many names as values"))
            }
            Value::Record(_) | Value::Callable(_) => {
                let message = "only a tuple or an array is taken apart by a pattern";
                self.fail(errors::wrong_kind(pattern, message, "one name; fields are read with `.name`"))
            }
        }
    }

    /// Element `position` of an array that a pattern takes into `count` parts.
    pub(crate) fn component(
        &mut self,
        value: Expr,
        position: usize,
        count: usize,
        pattern: Span,
    ) -> Option<Expr> {
        if value.ty.dims.first().and_then(Dim::as_number) != Some(count as i64) {
            let story = self.story(&value);
            let what = format!("a pattern of {count} names");
            let expected = format!("{count} parts");
            return self.fail(errors::pattern_size(&what, &expected, pattern, value.span, &value.ty, story));
        }
        let span = value.span;
        let ty = Ty { elem: value.ty.elem, dims: value.ty.dims[1..].to_vec() };
        let phase = value.phase;
        let pick = crate::sema::typed::Pick::At(Dim::number(position as i64));
        let mut picks = vec![pick];
        picks.extend(ty.dims.iter().map(|dim| crate::sema::typed::Pick::Range(Dim::number(0), dim.clone())));
        Some(Expr { kind: Kind::Index(Box::new(value), picks), ty, phase, span })
    }

    /// A type as written.
    pub(crate) fn written_type(&mut self, ty: &'a ast::Type, scope: ScopeId) -> Option<Ty> {
        match &ty.kind {
            ast::TypeKind::Name(name) => Some(Ty::scalar(self.element(name)?)),
            ast::TypeKind::Tensor { element, dims } => self.written_tensor(element.as_ref(), dims, scope),
            ast::TypeKind::Fn { .. } | ast::TypeKind::Record(_) => self.fail(errors::wrong_kind(
                ty.span,
                "functions and records are arguments, never stored",
                "`real`, `int`, `bool` or `[sizes]`",
            )),
        }
    }

    /// The type `element[dims]`; reals without an element.
    pub(crate) fn written_tensor(
        &mut self,
        element: Option<&'a ast::Ident>,
        dims: &'a [ast::DimExpr],
        scope: ScopeId,
    ) -> Option<Ty> {
        let elem = match element {
            Some(name) => self.element(name),
            None => Some(Elem::Real),
        };
        let dims: Vec<Option<Dim>> = dims.iter().map(|dim| self.written_dim(dim, scope)).collect();
        Some(Ty { elem: elem?, dims: dims.into_iter().collect::<Option<_>>()? })
    }

    fn element(&mut self, name: &ast::Ident) -> Option<Elem> {
        match &*name.name {
            "real" => Some(Elem::Real),
            "int" => Some(Elem::Int),
            "bool" => Some(Elem::Bool),
            "f32" | "f64" => {
                let instead = "use `real`; `run.precision` says which it is";
                self.fail(errors::not_yet(name.span, format!("the type `{}` is", name.name), instead))
            }
            other => self.fail(errors::wrong_kind(
                name.span,
                format!("`{other}` is not a type"),
                "`real`, `int`, `bool` or `[sizes]`",
            )),
        }
    }

    fn written_dim(&mut self, dim: &'a ast::DimExpr, scope: ScopeId) -> Option<Dim> {
        let size = self.size_of(&dim.value, scope, "a size")?;
        self.not_negative(size, dim.value.span)
    }

    /// A size that may be one.
    pub(crate) fn not_negative(&mut self, size: Dim, span: Span) -> Option<Dim> {
        match size.as_number() {
            Some(n) if n < 0 => self.fail(errors::negative_size(span, n)),
            Some(_) | None => Some(size),
        }
    }

    /// A static integer, where `/` is exact division.
    pub(crate) fn size_of(&mut self, expr: &'a ast::Expr, scope: ScopeId, what: &str) -> Option<Dim> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.size_of(inner, scope, what),
            ExprKind::Binary { op: BinaryOp::Div, lhs, rhs, .. } => {
                let (lhs, rhs) = (self.size_of(lhs, scope, what)?, self.size_of(rhs, scope, what)?);
                match rhs.as_number().and_then(|n| self.divided_size(&lhs, n, expr.span)) {
                    Some(dim) => Some(dim),
                    None => self.fail(errors::not_a_size(expr.span, what)),
                }
            }
            ExprKind::Binary {
                op: op @ (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul), lhs, rhs, ..
            } => {
                let (lhs, rhs) = (self.size_of(lhs, scope, what)?, self.size_of(rhs, scope, what)?);
                static_arithmetic(*op, &lhs, &rhs)
            }
            _ => {
                let inferred = self.infer(expr, scope)?;
                match inferred.kind {
                    Kind::Size(dim) => Some(self.settled(&dim)),
                    _ => self.fail(errors::not_a_size(expr.span, what)),
                }
            }
        }
    }
}

/// A static integer.
pub(crate) fn size(dim: Dim, span: Span) -> Expr {
    Expr { kind: Kind::Size(dim), ty: Ty::scalar(Elem::Int), phase: Phase::Static, span }
}

/// A real number.
pub(crate) fn number(x: f64, span: Span) -> Expr {
    Expr { kind: Kind::Real(x), ty: Ty::scalar(Elem::Real), phase: Phase::Static, span }
}

/// The same numbers as reals.
pub(crate) fn to_real(expr: Expr) -> Expr {
    if expr.ty.elem == Elem::Real {
        return expr;
    }
    if let Kind::Size(dim) = &expr.kind
        && let Some(n) = dim.as_number()
    {
        return number(n as f64, expr.span);
    }
    let ty = Ty::real(expr.ty.dims.clone());
    Expr { phase: expr.phase, span: expr.span, kind: Kind::ToReal(Box::new(expr)), ty }
}

/// Arithmetic that stays within the integers; `/` does not.
fn static_arithmetic(op: BinaryOp, a: &Dim, b: &Dim) -> Option<Dim> {
    match op {
        BinaryOp::Add => Some(a.plus(b)),
        BinaryOp::Sub => Some(a.minus(b)),
        BinaryOp::Mul => Some(a.times(b)),
        BinaryOp::Pow => {
            let (a, b) = (a.as_number()?, u32::try_from(b.as_number()?).ok()?);
            a.checked_pow(b).map(Dim::number)
        }
        BinaryOp::Div | BinaryOp::MatMul | BinaryOp::And | BinaryOp::Or => None,
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => None,
    }
}
