//! Folds and scans over data: `fold h = h0 for k in 0..T { … }`.
//!
//! The number of turns is known when the data are, so one turn stands for all: what is carried has
//! one type throughout. What is carried may be a record or a tuple; its numbers are carried one by
//! one.

use crate::base::span::Span;
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::infer::{Value, size, to_real};
use crate::sema::resolve::{Checker, ScopeId};
use crate::sema::typed::{self, Def, DefId, DefKind, Expr, Kind, Loop, Phase, Pick, Ty};
use crate::syntax::ast::{self, Arg, ExprKind};
use std::sync::Arc;

/// What a fold runs over.
struct Turns {
    looped: Loop,
    reversed: bool,
    /// What the loop variable stands for.
    element: Expr,
}

impl<'a> Checker<'a> {
    /// A fold or scan whose turns are counted by the data.
    pub(super) fn data_fold(&mut self, fold: &'a ast::Fold, span: Span, scope: ScopeId) -> Option<Value<'a>> {
        let inner = self.open(scope);
        let turns = self.data_turns(&fold.range, inner)?;
        if fold.scan && turns.reversed && self.is_ragged(&turns.looped.hi) {
            let instead = "scan forwards, or take what a `fold` carries at the end";
            let what = "a `scan` that runs backwards over a ragged axis is";
            return self.fail(errors::not_yet(fold.range.span, what, instead));
        }
        let init = self.evaluate(&fold.init, scope)?;
        let mut first = Vec::new();
        self.numbers_of(&init, fold.init.span, &mut first)?;
        let known = first.iter().map(|part| part.phase).max().unwrap_or(Phase::Static);
        let mut phase = known.max(turns.element.phase);
        // What is carried is known as late as the body is; phases are few, so this ends.
        let (carried, next) = loop {
            let inner = self.open(inner);
            let carried: Vec<DefId> = first.iter().map(|part| self.carried(part, phase, inner)).collect();
            let mut names = carried.clone().into_iter();
            let value = self.with_numbers(&init, &mut names);
            self.bind_pattern(&fold.carried, value, inner)?;
            self.bind_pattern(&fold.variable, Value::Expr(turns.element.clone()), inner)?;
            let value = self.block(&fold.body, inner)?;
            let mut next = Vec::new();
            self.numbers_of(&value, fold.body.value.span, &mut next)?;
            self.same_numbers(fold, &first, &next)?;
            let last = next.iter().map(|part| part.phase).max().unwrap_or(Phase::Static);
            if last <= phase {
                break (carried, next);
            }
            phase = last;
        };
        let count = turns.looped.hi.minus(&turns.looped.lo);
        let made = Arc::new(typed::Fold {
            looped: turns.looped,
            reversed: turns.reversed,
            loops: self.scopes[scope].loops.clone(),
            carried,
            init: first,
            next,
            phase,
        });
        let mut part = 0;
        let value = self.mapped(&init, &mut |ty| {
            let (kind, ty) = match fold.scan {
                false => (Kind::Fold(made.clone(), part), ty.clone()),
                true => {
                    let dims = std::iter::once(count.clone()).chain(ty.dims.iter().cloned()).collect();
                    (Kind::Scan(made.clone(), part), Ty { elem: ty.elem, dims })
                }
            };
            part += 1;
            Expr { kind, ty, phase, span }
        });
        Some(value)
    }

    /// What a range over data runs through. Its symbol is a loop of `scope` from here on.
    fn data_turns(&mut self, range: &'a ast::Expr, scope: ScopeId) -> Option<Turns> {
        let range = range.unparenthesised();
        if let ExprKind::Call { callee, args } = &range.kind
            && matches!(&callee.kind, ExprKind::Name(name) if &**name == "reverse")
            && let [Arg::Positional(inner)] = args.as_slice()
        {
            let turns = self.data_turns(inner, scope)?;
            return Some(Turns { reversed: !turns.reversed, ..turns });
        }
        let symbol = self.symbol(self.text(range.span));
        let index = Dim::symbol(symbol.clone());
        if let ExprKind::Range(lo, hi) = &range.kind {
            let what = "an end of a range";
            let (lo, hi) = (self.size_of(lo, scope, what), self.size_of(hi, scope, what));
            let (lo, hi) = (self.settled(&lo?), self.settled(&hi?));
            self.scopes[scope].loops.push(symbol.clone());
            self.loop_ranges.insert(symbol.id, (lo.clone(), hi.clone()));
            let looped = Loop { symbol, lo, hi, condition: None };
            return Some(Turns { looped, reversed: false, element: size(index, range.span) });
        }
        let over = self.infer(range, scope)?;
        let Some((first, rest)) = over.ty.dims.split_first() else {
            let what = "a range or a tensor to run over";
            return self.misfit("for", &over, what);
        };
        let (hi, rest) = (self.settled(first), rest.to_vec());
        self.scopes[scope].loops.push(symbol.clone());
        let whole = rest.iter().map(|dim| Pick::Range(Dim::number(0), dim.clone()));
        let picks = std::iter::once(Pick::At(index)).chain(whole).collect();
        let (ty, phase) = (Ty { elem: over.ty.elem, dims: rest.clone() }, over.phase);
        let element = Expr { kind: Kind::Index(Box::new(over), picks), ty, phase, span: range.span };
        self.loop_ranges.insert(symbol.id, (Dim::number(0), hi.clone()));
        let looped = Loop { symbol, lo: Dim::number(0), hi, condition: None };
        Some(Turns { looped, reversed: false, element })
    }

    /// A name for a number that is carried.
    fn carried(&mut self, part: &Expr, phase: Phase, scope: ScopeId) -> DefId {
        self.defs.push(Def {
            name: "carried".into(),
            span: part.span,
            ty_span: None,
            kind: DefKind::Local,
            ty: part.ty.clone(),
            phase,
            value: None,
            loops: self.scopes[scope].loops.clone(),
            varied: false,
        })
    }

    /// The numbers a value consists of, in order.
    fn numbers_of(&mut self, value: &Value<'a>, span: Span, numbers: &mut Vec<Expr>) -> Option<()> {
        match value {
            Value::Expr(expr) => numbers.push(to_real(expr.clone())),
            Value::Record(fields) => {
                for (_, field) in fields {
                    self.numbers_of(field, span, numbers)?;
                }
            }
            Value::Tuple(parts) | Value::List(parts) => {
                for part in parts {
                    self.numbers_of(part, span, numbers)?;
                }
            }
            Value::Callable(_) => {
                self.plain(value.clone(), span)?;
            }
        }
        Some(())
    }

    /// `value` with each of its numbers replaced by the next of `names`.
    fn with_numbers(&self, value: &Value<'a>, names: &mut dyn Iterator<Item = DefId>) -> Value<'a> {
        self.mapped(value, &mut |_| {
            let def = names.next().expect("a name for each number");
            let found = &self.defs[def];
            Expr { kind: Kind::Def(def), ty: found.ty.clone(), phase: found.phase, span: found.span }
        })
    }

    /// `value` with each of its numbers made anew from its type as a real.
    fn mapped(&self, value: &Value<'a>, make: &mut dyn FnMut(&Ty) -> Expr) -> Value<'a> {
        match value {
            Value::Expr(expr) => Value::Expr(make(&to_real(expr.clone()).ty)),
            Value::Record(fields) => Value::Record(
                fields.iter().map(|(name, field)| (name.clone(), self.mapped(field, make))).collect(),
            ),
            Value::Tuple(parts) => Value::Tuple(parts.iter().map(|part| self.mapped(part, make)).collect()),
            Value::List(parts) => Value::List(parts.iter().map(|part| self.mapped(part, make)).collect()),
            Value::Callable(callable) => Value::Callable(*callable),
        }
    }

    /// Whether a turn gives what it is given.
    fn same_numbers(&mut self, fold: &'a ast::Fold, first: &[Expr], next: &[Expr]) -> Option<()> {
        let span = fold.body.value.span;
        if first.len() != next.len() {
            let message = "the body of a fold gives something else than it carries".to_owned();
            return self.fail(errors::wrong_kind(span, message, "a value like the one it starts with"));
        }
        for (first, next) in first.iter().zip(next) {
            if !self.same_ty(&first.ty, &next.ty, span) {
                return self.fail(errors::fold_changes((first.span, &first.ty), (span, &next.ty)));
            }
        }
        Some(())
    }
}
