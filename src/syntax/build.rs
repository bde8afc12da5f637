//! Constructors for the actions of the grammar.
//!
//! The [`Builder`] holds what an action needs beside its parts: the text, to read names and
//! numbers from, and a list of faults, for what the grammar takes but the language does not
//! (`0 < x < 1`, a lambda whose left side is not a pattern).

use crate::base::span::{SourceId, Span};
use crate::diag::Diagnostic;
use crate::syntax::ast::*;
use crate::syntax::errors;
use std::sync::Arc;

/// What the actions of the grammar build with.
pub struct Builder<'t> {
    source: SourceId,
    text: &'t str,
    /// Faults found while building.
    pub faults: Vec<Diagnostic>,
}

/// A comma list with whether it ended in a comma, which tells `(a,)` from `(a)`.
pub struct Listed<X> {
    /// What is listed.
    pub entries: Vec<X>,
    trailing: bool,
}

impl<X> Listed<X> {
    /// The entries before a separator and the one after the last.
    pub fn new(mut entries: Vec<X>, last: Option<X>) -> Listed<X> {
        let trailing = last.is_none() && !entries.is_empty();
        entries.extend(last);
        Listed { entries, trailing }
    }
}

impl<'t> Builder<'t> {
    /// A builder for a parse of `text`.
    pub fn new(source: SourceId, text: &'t str) -> Builder<'t> {
        Builder { source, text, faults: Vec::new() }
    }

    /// The span of the bytes `l..r`.
    pub fn span(&self, l: usize, r: usize) -> Span {
        // A production of no tokens starts at the next token and ends after the last one.
        Span::new(self.source, l, r.max(l))
    }

    fn slice(&self, span: Span) -> &'t str {
        &self.text[span.range()]
    }

    /// An expression at `l..r`.
    pub fn expr(&self, l: usize, r: usize, kind: ExprKind) -> Box<Expr> {
        Box::new(Expr { kind, span: self.span(l, r) })
    }

    // Names and literals

    /// A `##` line.
    pub fn doc(&self, l: usize, r: usize) -> Doc {
        let span = self.span(l, r);
        Doc { text: self.slice(span).trim_start_matches('#').trim().into(), span }
    }

    /// A name.
    pub fn ident(&self, l: usize, r: usize) -> Ident {
        let span = self.span(l, r);
        Ident { name: self.slice(span).into(), span }
    }

    /// A name as an expression.
    pub fn name_expr(&self, ident: Ident) -> Box<Expr> {
        Box::new(Expr { kind: ExprKind::Name(ident.name), span: ident.span })
    }

    /// A dotted name of one part.
    pub fn path(&self, name: Ident) -> Path {
        Path { span: name.span, parts: vec![name] }
    }

    /// `path.name`
    pub fn longer_path(&self, mut path: Path, name: Ident) -> Path {
        path.span = path.span.to(name.span);
        path.parts.push(name);
        path
    }

    /// A whole number; too large is E0109.
    pub fn int(&mut self, l: usize, r: usize) -> Box<Expr> {
        let span = self.span(l, r);
        let kind = match self.digits(span).parse() {
            Ok(value) => ExprKind::Int(value),
            Err(_) => self.fault(errors::number_too_large(span, "a whole number is at most 2^63 - 1")),
        };
        Box::new(Expr { kind, span })
    }

    /// A number with a point or an exponent; too large is E0109.
    pub fn float(&mut self, l: usize, r: usize) -> Box<Expr> {
        let span = self.span(l, r);
        let kind = match self.digits(span).parse::<f64>() {
            Ok(value) if value.is_finite() => ExprKind::Float(value),
            _ => self.fault(errors::number_too_large(span, "a number is at most about 1.8e308")),
        };
        Box::new(Expr { kind, span })
    }

    fn digits(&self, span: Span) -> String {
        self.slice(span).replace('_', "")
    }

    /// A string, its escapes resolved; an unknown escape is E0113.
    pub fn string(&mut self, l: usize, r: usize) -> StrLit {
        let span = self.span(l, r);
        let text = self.slice(span);
        let inside = text.strip_prefix('"').unwrap_or(text);
        let inside = if inside.len() + 1 < text.len() || inside.ends_with('"') {
            inside.strip_suffix('"').unwrap_or(inside)
        } else {
            inside
        };
        let mut value = String::with_capacity(inside.len());
        let mut chars = inside.char_indices();
        while let Some((at, c)) = chars.next() {
            if c != '\\' {
                value.push(c);
                continue;
            }
            match chars.next() {
                Some((_, c @ ('"' | '\\'))) => value.push(c),
                Some((_, 'n')) => value.push('\n'),
                Some((_, other)) => {
                    let at = l + 1 + at;
                    self.faults.push(errors::unknown_escape(self.span(at, at + 1 + other.len_utf8())));
                }
                // Only in a string without its closing quote, which has been reported.
                None => {}
            }
        }
        StrLit { value: value.into(), span }
    }

    /// A string as an expression.
    pub fn string_expr(&self, string: StrLit) -> Box<Expr> {
        Box::new(Expr { kind: ExprKind::Str(string.value), span: string.span })
    }

    fn fault(&mut self, diagnostic: Diagnostic) -> ExprKind {
        self.faults.push(diagnostic);
        ExprKind::Error
    }

    // Operators

    /// `-x`, `not c`
    pub fn unary(&self, l: usize, op: UnaryOp, operand: Box<Expr>) -> Box<Expr> {
        let span = self.span(l, operand.span.hi as usize);
        Box::new(Expr { kind: ExprKind::Unary(op, operand), span })
    }

    /// `lhs op rhs`
    pub fn binary(&self, lhs: Box<Expr>, (op, op_span): (BinaryOp, Span), rhs: Box<Expr>) -> Box<Expr> {
        let span = lhs.span.to(rhs.span);
        Box::new(Expr { kind: ExprKind::Binary { op, op_span, lhs, rhs }, span })
    }

    /// `lhs op rhs` for a comparison, which must not follow another (E0131).
    pub fn comparison(&mut self, lhs: Box<Expr>, op: (BinaryOp, Span), rhs: Box<Expr>) -> Box<Expr> {
        if let ExprKind::Binary { op: first, op_span, rhs: middle, .. } = &lhs.kind
            && is_comparison(*first)
        {
            let fault = errors::chained_comparison(op.1, *op_span, middle.span, self.slice(middle.span));
            self.faults.push(fault);
        }
        self.binary(lhs, op, rhs)
    }

    /// `a..b` and `x |> f`
    pub fn join(
        &self,
        lhs: Box<Expr>,
        rhs: Box<Expr>,
        kind: impl Fn(Box<Expr>, Box<Expr>) -> ExprKind,
    ) -> Box<Expr> {
        let span = lhs.span.to(rhs.span);
        Box::new(Expr { kind: kind(lhs, rhs), span })
    }

    /// `parameter -> body`; a left side that is not a pattern is E0130.
    pub fn lambda(&mut self, parameter: Box<Expr>, body: Box<Expr>) -> Box<Expr> {
        let span = parameter.span.to(body.span);
        let kind = match pattern(&parameter) {
            Ok(pattern) => ExprKind::Lambda(pattern, body),
            Err(culprit) => self.fault(errors::not_a_pattern(culprit, self.slice(culprit))),
        };
        Box::new(Expr { kind, span })
    }

    /// `if c then a else b`
    pub fn choice(&self, l: usize, condition: Box<Expr>, then: Box<Expr>, otherwise: Box<Expr>) -> Box<Expr> {
        let span = self.span(l, otherwise.span.hi as usize);
        Box::new(Expr { kind: ExprKind::If { condition, then, otherwise }, span })
    }

    /// `fold …` and `scan …`
    pub fn fold(&self, l: usize, fold: Fold) -> Box<Expr> {
        let span = self.span(l, fold.body.span.hi as usize);
        Box::new(Expr { kind: ExprKind::Fold(Box::new(fold)), span })
    }

    // Postfix

    /// `callee(args)`; a number before the bracket lacks an operator (E0110).
    pub fn call(&mut self, callee: Box<Expr>, args: Vec<Arg>, r: usize) -> Box<Expr> {
        let span = self.span(callee.span.lo as usize, r);
        let kind = if matches!(callee.kind, ExprKind::Int(_) | ExprKind::Float(_)) {
            self.fault(errors::number_called(callee.span, self.slice(callee.span)))
        } else {
            ExprKind::Call { callee, args }
        };
        Box::new(Expr { kind, span })
    }

    /// `base[indices]`
    pub fn index(&self, base: Box<Expr>, indices: Vec<IndexExpr>, r: usize) -> Box<Expr> {
        let span = self.span(base.span.lo as usize, r);
        Box::new(Expr { kind: ExprKind::Index { base, indices }, span })
    }

    /// `base.name`
    pub fn field(&self, base: Box<Expr>, name: Ident) -> Box<Expr> {
        let span = base.span.to(name.span);
        Box::new(Expr { kind: ExprKind::Field { base, name }, span })
    }

    /// `of'`
    pub fn prime(&self, of: Box<Expr>, r: usize) -> Box<Expr> {
        let span = self.span(of.span.lo as usize, r);
        Box::new(Expr { kind: ExprKind::Prime(of), span })
    }

    /// `(…)`: a grouping if it holds one plain expression and no comma, else a tuple.
    pub fn parenthesised(&self, l: usize, args: Listed<Arg>, r: usize) -> Box<Expr> {
        let Listed { mut entries, trailing } = args;
        let kind = match (entries.pop(), entries.is_empty(), trailing) {
            (Some(Arg::Positional(only)), true, false) => ExprKind::Paren(Box::new(only)),
            (last, _, _) => {
                entries.extend(last);
                ExprKind::Tuple(entries)
            }
        };
        self.expr(l, r, kind)
    }

    /// `..of` in a tuple
    pub fn spread(&self, l: usize, of: Expr) -> Arg {
        let span = self.span(l, of.span.hi as usize);
        Arg::Spread(of, span)
    }

    /// `from..` in an index
    pub fn index_from(&self, from: Expr, r: usize) -> IndexExpr {
        let span = self.span(from.span.lo as usize, r);
        IndexExpr::From(from, span)
    }

    /// `..to` in an index
    pub fn index_to(&self, l: usize, to: Expr) -> IndexExpr {
        let span = self.span(l, to.span.hi as usize);
        IndexExpr::To(to, span)
    }

    // Parts of items

    /// `(a, b)` as a pattern; brackets around one pattern change nothing.
    pub fn tuple_pattern(&self, l: usize, mut parts: Vec<Pattern>, r: usize) -> Pattern {
        match parts.pop() {
            Some(only) if parts.is_empty() => only,
            last => {
                parts.extend(last);
                Pattern::Tuple(parts, self.span(l, r))
            }
        }
    }

    /// `path = value`
    pub fn entry(&self, path: Path, value: Box<Expr>) -> Entry {
        let span = path.span.to(value.span);
        Entry { path, value, span }
    }

    /// `target ~ distribution`
    pub fn draw(&self, target: Box<Expr>, distribution: Box<Expr>) -> Draw {
        let span = target.span.to(distribution.span);
        Draw { target, distribution, span }
    }

    /// `= value` as the body of a function
    pub fn short_body(&self, value: Box<Expr>) -> (Block, bool) {
        let span = value.span;
        (Block { lets: Vec::new(), value, span }, true)
    }

    /// `fn …`
    pub fn function(
        &self,
        name: Option<Ident>,
        generics: Option<Vec<Ident>>,
        params: Vec<Decl>,
        result: Option<Box<Type>>,
        (body, short): (Block, bool),
    ) -> Function {
        Function { name, generics: generics.unwrap_or_default(), params, result, body, short }
    }
}

fn is_comparison(op: BinaryOp) -> bool {
    match op {
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => true,
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::MatMul
        | BinaryOp::Pow
        | BinaryOp::And
        | BinaryOp::Or => false,
    }
}

/// The pattern that `expr` spells, or the span of the part that spells none.
fn pattern(expr: &Expr) -> Result<Pattern, Span> {
    match &expr.kind {
        ExprKind::Name(name) => Ok(Pattern::Name(Ident { name: Arc::clone(name), span: expr.span })),
        ExprKind::Paren(inner) => pattern(inner),
        ExprKind::Tuple(args) if !args.is_empty() => {
            let part = |arg: &Arg| match arg {
                Arg::Positional(part) => pattern(part),
                Arg::Named(..) | Arg::Spread(..) | Arg::Comprehension(..) => Err(expr.span),
            };
            Ok(Pattern::Tuple(args.iter().map(part).collect::<Result<_, _>>()?, expr.span))
        }
        _ => Err(expr.span),
    }
}
