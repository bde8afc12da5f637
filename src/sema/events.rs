//! Events: when they happen, and what jumps.
//!
//! A condition is taken apart into comparisons, of each of which the difference of the two sides
//! is a root function; a jump gives the value just after from the values just before.

use crate::base::span::Span;
use crate::ir::op::Op;
use crate::ir::system::{Condition, UnknownKind};
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::infer::{to_real, unprimed};
use crate::sema::prelude::Map;
use crate::sema::resolve::{Binding, Checker, ScopeId};
use crate::sema::typed::{DefId, DefKind, Elem, Event, Expr, Kind, Phase, Pick, Trigger, Ty};
use crate::syntax::ast::{self, EventKind, ExprKind, IndexExpr, ItemKind, Jump};
use std::collections::BTreeMap;

/// What jumps in an event so far: the value just after and where it is assigned.
type Jumps = BTreeMap<usize, (Expr, Assigned)>;

/// What of an unknown has been assigned.
#[derive(Clone)]
struct Assigned {
    span: Span,
    /// The elements along the first axis, if not all.
    elements: Option<Vec<Dim>>,
}

impl<'a> Checker<'a> {
    /// The events of this space.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for item in self.items() {
            let ItemKind::Event(event) = &item.kind else { continue };
            events.extend(self.event(event, item.span));
        }
        events
    }

    fn event(&mut self, event: &'a ast::Event, item: Span) -> Option<Event> {
        let trigger = self.trigger(event);
        let scope = self.open(self.home());
        let mut jumps = Jumps::new();
        let mut stop = false;
        let mut fine = true;
        for line in &event.body {
            let made = match line {
                Jump::Stop(_) => {
                    stop = true;
                    Some(())
                }
                Jump::Let(item) => self.event_let(item, scope),
                Jump::Assign { target, value } => self.assignment(target, value, scope, &mut jumps),
            };
            fine &= made.is_some();
        }
        if !fine {
            return None;
        }
        let name = self.text(Span { hi: event.trigger.span.hi, ..item });
        let name = name.strip_prefix("when").unwrap_or(name).trim().into();
        let jumps = jumps.into_iter().map(|(number, (value, _))| (number, value)).collect();
        Some(Event { name, trigger: trigger?, jumps, stop, span: event.trigger.span, item })
    }

    fn event_let(&mut self, item: &'a ast::Let, scope: ScopeId) -> Option<()> {
        let value = self.infer(&item.value, scope)?;
        let value = match &item.ty {
            Some(ty) => {
                let expected = self.written_type(ty, scope)?;
                self.fitted(value, &expected, ty.span, "this value")?
            }
            None => value,
        };
        self.in_motion(&value)?;
        self.bind_pattern(&item.pattern, value, scope)
    }

    // ---- triggers --------------------------------------------------------------------------

    fn trigger(&mut self, event: &'a ast::Event) -> Option<Trigger> {
        let value = self.infer(&event.trigger, self.home())?;
        match event.kind {
            EventKind::When => {
                self.in_motion(&value)?;
                let mut roots = Vec::new();
                let condition = self.condition(&value, &mut roots)?;
                Some(Trigger::When(roots, condition))
            }
            EventKind::Every => {
                let period = self.scalar(value, "a period")?;
                self.require(&period, Phase::Example, "a period")?;
                self.before_the_run(&period, "every", true)?;
                if let Kind::Real(x) = period.kind
                    && x <= 0.0
                {
                    return self.fail(errors::no_period(period.span, x));
                }
                Some(Trigger::Every(period))
            }
            EventKind::At => {
                let times = self.real(value, "at")?;
                self.require(&times, Phase::Example, "the times of an event")?;
                self.before_the_run(&times, "at", true)?;
                let times = match times.ty.dims.len() {
                    0 => {
                        let (phase, span) = (times.phase, times.span);
                        let ty = Ty::real(vec![Dim::number(1)]);
                        Expr { kind: Kind::Stack(vec![times]), ty, phase, span }
                    }
                    1 => times,
                    _ => {
                        let story = self.story(&times);
                        let expected = "a time or a vector of times";
                        return self
                            .fail(errors::wrong_operand("at", times.span, expected, &times.ty, story));
                    }
                };
                Some(Trigger::At(times))
            }
        }
    }

    /// A condition over comparisons; their differences are added to `roots`.
    fn condition(&mut self, value: &Expr, roots: &mut Vec<Expr>) -> Option<Condition> {
        if value.ty.elem != Elem::Bool || !value.ty.is_scalar() {
            return self.fail(errors::not_a_condition(value.span, &value.ty));
        }
        let both = |checker: &mut Self, parts: &[Expr], roots: &mut Vec<Expr>| {
            let (a, b) = (checker.condition(&parts[0], roots), checker.condition(&parts[1], roots));
            Some((Box::new(a?), Box::new(b?)))
        };
        match &value.kind {
            Kind::Elementwise(op @ (Op::Lt | Op::Le), parts) => {
                let sides = vec![to_real(parts[1].clone()), to_real(parts[0].clone())];
                roots.push(self.elementwise(Op::Sub, sides, value.span));
                Some(Condition::Root { root: roots.len() - 1, strict: *op == Op::Lt })
            }
            Kind::Elementwise(Op::Eq, parts) => {
                let times = [(0, 1), (1, 0)].into_iter().find_map(|(one, other)| {
                    let is_time =
                        matches!(parts[one].kind, Kind::Def(def) if self.defs[def].kind == DefKind::Time);
                    is_time.then(|| self.text(parts[other].span).to_owned())
                });
                self.fail(errors::equality_in_when(value.span, times))
            }
            Kind::Elementwise(Op::And, parts) => both(self, parts, roots).map(|(a, b)| Condition::And(a, b)),
            Kind::Elementwise(Op::Or, parts) => both(self, parts, roots).map(|(a, b)| Condition::Or(a, b)),
            Kind::Elementwise(Op::Not, parts) => match self.condition(&parts[0], roots)? {
                // not (r > 0) is -r >= 0, but turning the root would lose the place it came from.
                Condition::Not(inner) => Some(*inner),
                inner => Some(Condition::Not(Box::new(inner))),
            },
            Kind::Def(def) => match self.defs[*def].value.clone() {
                Some(inner) => self.condition(&inner, roots),
                None => self.fail(errors::not_a_condition(value.span, &value.ty)),
            },
            _ => self.fail(errors::not_a_condition(value.span, &value.ty)),
        }
    }

    // ---- jumps -----------------------------------------------------------------------------

    fn assignment(
        &mut self,
        target: &'a ast::Expr,
        value: &'a ast::Expr,
        scope: ScopeId,
        jumps: &mut Jumps,
    ) -> Option<()> {
        let (name, pick) = match &target.unparenthesised().kind {
            ExprKind::Index { base, indices } => match indices.as_slice() {
                [IndexExpr::At(at)] => (&**base, Some(at)),
                _ => return self.fail(errors::not_assignable(target.span, None)),
            },
            _ => (target.unparenthesised(), None),
        };
        let (number, def) = self.assigned_unknown(name)?;
        let (ty, declared) = (self.defs[def].ty.clone(), self.defs[def].ty_span);
        let declared = declared.unwrap_or(self.defs[def].span);
        let value = self.infer(value, scope)?;
        self.in_motion(&value)?;
        let what = format!("the value of `{}` after the event", self.text(target.span));
        let expected = match pick {
            Some(_) if ty.is_scalar() => return self.fail(errors::not_assignable(target.span, None)),
            Some(_) => Ty { elem: ty.elem, dims: ty.dims[1..].to_vec() },
            None => ty.clone(),
        };
        let value = match ty.elem {
            Elem::Int if value.ty.elem == Elem::Real && self.is_whole(&value) => Expr {
                ty: Ty { elem: Elem::Int, ..value.ty.clone() },
                kind: Kind::ToInt(Box::new(value.clone())),
                ..value
            },
            Elem::Int => value,
            Elem::Real | Elem::Bool => to_real(value),
        };
        if ty.elem == Elem::Int && value.ty.elem == Elem::Real {
            return self.fail(errors::not_whole(value.span, self.text(target.span), declared));
        }
        let value = self.fitted(value, &expected, declared, &what)?;
        let before = jumps.get(&number).cloned();
        let Some(pick) = pick else {
            if let Some((_, first)) = before {
                return self.fail(errors::assigned_twice(target.span, &self.defs[def].name, first.span));
            }
            jumps.insert(number, (value, Assigned { span: target.span, elements: None }));
            return Some(());
        };
        let at = self.size_of(pick, scope, "the element that jumps")?;
        let mut elements = Vec::new();
        if let Some((_, first)) = &before {
            match &first.elements {
                Some(known) if !known.contains(&at) => elements.clone_from(known),
                Some(_) | None => {
                    let name = self.text(target.span);
                    return self.fail(errors::assigned_twice(target.span, name, first.span));
                }
            }
        }
        if let (Some(i), Some(n)) = (at.as_number(), ty.dims[0].as_number())
            && !(0..n).contains(&i)
        {
            return self.fail(errors::out_of_bounds(pick.span, &i.to_string(), &n.to_string()));
        }
        elements.push(at.clone());
        let whole = before.map_or_else(|| self.named(def, target.span), |(value, _)| value);
        let value = replaced(whole, at, value, target.span);
        jumps.insert(number, (value, Assigned { span: target.span, elements: Some(elements) }));
        Some(())
    }

    /// The unknown that stands left of `:=`.
    fn assigned_unknown(&mut self, name: &'a ast::Expr) -> Option<(usize, DefId)> {
        let (base, primes) = unprimed(name);
        let ExprKind::Name(base_name) = &base.kind else {
            return self.fail(errors::not_assignable(name.span, None));
        };
        let Some(motion) = self.space().motions.get(base_name).cloned() else {
            return match self.space().globals.get(base_name).map(|global| global.declared.noun()) {
                Some(noun) => self.fail(errors::not_assignable(name.span, Some((base_name, noun)))),
                None => {
                    self.unknown_name(base_name, base.span, self.home(), false);
                    None
                }
            };
        };
        if motion.kind == UnknownKind::Algebraic || primes >= motion.order {
            let noun = if primes > 0 { "rate" } else { motion.kind.noun() };
            return self.fail(errors::not_assignable(name.span, Some((self.text(name.span), noun))));
        }
        let full = format!("{base_name}{}", "'".repeat(primes as usize));
        match self.global(&full, name.span)? {
            Binding::Value(def) => Some((motion.first + primes as usize, def)),
            _ => None,
        }
    }

    /// Whether a real is a whole number by construction.
    fn is_whole(&self, value: &Expr) -> bool {
        match &value.kind {
            Kind::Real(x) => x.fract() == 0.0,
            Kind::ToReal(x) => x.ty.elem != Elem::Real,
            Kind::Elementwise(Op::Add | Op::Sub | Op::Mul | Op::Neg | Op::Min | Op::Max, parts) => {
                parts.iter().all(|part| self.is_whole(part))
            }
            Kind::Map(Map::Op(Op::Floor | Op::Sign), _) => true,
            Kind::Map(Map::Op(Op::Abs), x) => self.is_whole(x),
            Kind::If(_, x, y) => self.is_whole(x) && self.is_whole(y),
            Kind::Def(def) => self.defs[*def].value.as_ref().is_some_and(|value| self.is_whole(value)),
            _ => false,
        }
    }
}

/// `whole` with another element `at` along its first axis.
fn replaced(whole: Expr, at: Dim, element: Expr, span: Span) -> Expr {
    let phase = whole.phase.max(element.phase);
    let (ty, n) = (whole.ty.clone(), whole.ty.dims[0].clone());
    let rows = |lo: Dim, hi: Dim| {
        let mut picks = vec![Pick::Range(lo.clone(), hi.clone())];
        picks.extend(ty.dims[1..].iter().map(|dim| Pick::Range(Dim::number(0), dim.clone())));
        let mut dims = ty.dims.clone();
        dims[0] = hi.minus(&lo);
        let kind = Kind::Index(Box::new(whole.clone()), picks);
        Expr { kind, ty: Ty { elem: ty.elem, dims }, phase: whole.phase, span }
    };
    let mut row = ty.dims.clone();
    row[0] = Dim::number(1);
    let row = Ty { elem: ty.elem, dims: row };
    let row = Expr { phase: element.phase, kind: Kind::Reshape(Box::new(element)), ty: row, span };
    let after = at.plus(&Dim::number(1));
    let parts = vec![rows(Dim::number(0), at), row, rows(after, n)];
    Expr { kind: Kind::Concat(parts, 0), ty, phase, span }
}
