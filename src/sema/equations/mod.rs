//! The equations of motion: what moves each unknown, and nothing in them that an equation may not
//! see.

mod count;
mod flow;
mod lines;

pub(crate) use flow::{circle, is_known_path, misused_primes, moving, of_dynamics};
pub(crate) use lines::children;

use crate::base::index::IndexVec;
use crate::base::span::Span;
use crate::ir::op::Op;
use crate::ir::system::UnknownKind;
use crate::sema::errors;
use crate::sema::infer::to_real;
use crate::sema::phase::reach;
use crate::sema::resolve::{Binding, Checker};
use crate::sema::space::{Declared, primed, unknowns};
use crate::sema::typed::{Channel, Def, DefId, DefKind, Elem, Expr, Kind, Line, Phase, State};
use crate::syntax::ast::{self, ItemKind};
use lines::{Implicit, Solved, Sorted};

impl<'a> Checker<'a> {
    /// The unknowns with their starts and rates, `None` in place of a wrong one, and the lines that
    /// are not in solved form.
    pub(crate) fn unknowns(&mut self) -> (Vec<Option<State>>, Vec<Line>) {
        let Sorted { solved, implicit, misdeclared } = self.sorted_lines();
        let mut states: Vec<Option<State>> = vec![None; self.movers.len()];
        for (unknown, kind) in unknowns(self.items()) {
            let base = unknown.name.name.clone();
            let name = primed(&base, unknown.primes);
            let Some(motion) = self.space().motions.get(&base).cloned() else { continue };
            if unknown.primes >= motion.order {
                continue;
            }
            let number = motion.first + unknown.primes as usize;
            let last = motion.first + motion.order as usize - 1;
            let binding = self.global(&name, unknown.span);
            // A system inside a program may leave starts to its callers.
            let start = match unknown.value {
                None if self.space().instance.is_some() => Some(None),
                _ => self.start_value(unknown, &name, kind, &binding).map(Some),
            };
            let Some(Binding::Value(def)) = binding else { continue };
            let rate = match (kind, solved.get(&base)) {
                (UnknownKind::Rate, _) if number < last => self
                    .hidden_rate(&base, unknown.primes + 1, unknown.span)
                    .map(|(rate, span)| Some((rate, false, span))),
                (UnknownKind::Rate, Some(line)) => {
                    self.rate(line, def, &base).map(|(rate, plain)| Some((rate, plain, line.equation)))
                }
                (UnknownKind::Rate | UnknownKind::Algebraic | UnknownKind::Discrete, _) => Some(None),
            };
            if let (Some(start), Some(rate)) = (start, rate) {
                let (rate, plain, equation) = match rate {
                    Some((rate, plain, equation)) => (Some(rate), plain, equation),
                    None => (None, false, self.defs[def].span),
                };
                states[number] = Some(State { def, kind, start, rate, plain, equation });
            }
        }
        let lines: Vec<Option<Line>> = implicit.iter().map(|line| self.line(line)).collect();
        let lines: Option<Vec<Line>> = lines.into_iter().collect();
        let own = self.own_states();
        let found = || states[own.clone()].iter().flatten();
        let each_has_its_own =
            found().all(|state| state.rate.is_some() || state.kind == UnknownKind::Discrete);
        if implicit.is_empty() && each_has_its_own {
            return (states, Vec::new());
        }
        let all: Option<Vec<State>> = states[own.clone()].iter().cloned().collect();
        if let (Some(all), Some(lines), false) = (all, &lines, misdeclared) {
            // No line speaks of the unknowns of other systems; any state stands for them.
            let at = |number: usize| all[number.saturating_sub(own.start).min(all.len() - 1)].clone();
            let padded: Vec<State> = if all.is_empty() { Vec::new() } else { (0..own.end).map(at).collect() };
            self.count_equations(&padded, own.start, lines, solved.len());
        }
        (states, lines.unwrap_or_default())
    }

    /// The numbers of the unknowns of this space.
    pub(crate) fn own_states(&self) -> std::ops::Range<usize> {
        let count: usize = self.space().motions.values().map(|motion| motion.order as usize).sum();
        self.space().first_state..self.space().first_state + count
    }

    /// What a line that is not in solved form says: the two sides are equal.
    fn line(&mut self, line: &Implicit<'a>) -> Option<Line> {
        let (lhs, rhs) = (self.side(line.lhs), self.side(line.rhs));
        let (lhs, rhs) = (self.real(lhs?, "=")?, self.real(rhs?, "=")?);
        self.level("=", line.span, &lhs, &rhs)?;
        let residual = match (&lhs.kind, &rhs.kind) {
            (Kind::Real(0.0), _) if rhs.ty.dims.len() >= lhs.ty.dims.len() => rhs,
            _ => self.elementwise(Op::Sub, vec![lhs, rhs], line.span),
        };
        self.in_motion(&residual)?;
        Some(Line { residual, span: line.span })
    }

    /// A side of an equation of motion.
    fn side(&mut self, expr: &'a ast::Expr) -> Option<Expr> {
        let outer = std::mem::replace(&mut self.in_equation, true);
        let value = self.infer(expr, self.home());
        self.in_equation = outer;
        value
    }

    fn start_value(
        &mut self,
        unknown: &'a ast::Unknown,
        name: &str,
        kind: UnknownKind,
        binding: &Option<Binding<'a>>,
    ) -> Option<Expr> {
        let Some(value) = &unknown.value else {
            return self.fail(errors::no_start(unknown.span, kind.noun(), name));
        };
        let value = self.infer(value, self.home())?;
        self.require(&value, Phase::Example, format_args!("the start value of `{name}`"))?;
        let Some(Binding::Value(def)) = binding else { return None };
        let (ty, declared) =
            (self.defs[*def].ty.clone(), self.defs[*def].ty_span.unwrap_or(unknown.name.span));
        let value = if ty.elem == Elem::Real { to_real(value) } else { value };
        let value = self.fitted(value, &ty, declared, format_args!("the start value of `{name}`"))?;
        self.before_the_run(&value, name, self.space().instance.is_none())?;
        Some(value)
    }

    /// The rate of a state that is not the last of its name is the next one.
    fn hidden_rate(&mut self, base: &str, primes: u32, span: Span) -> Option<(Expr, Span)> {
        let next = format!("{base}{}", "'".repeat(primes as usize));
        match self.global(&next, span)? {
            Binding::Value(def) => Some((self.named(def, self.defs[def].span), self.defs[def].span)),
            _ => None,
        }
    }

    /// The rate that a line in solved form gives, and whether it is [`State::plain`].
    fn rate(&mut self, line: &Solved<'a>, def: DefId, name: &str) -> Option<(Expr, bool)> {
        let rate = to_real(self.side(line.rhs?)?);
        let found = &self.defs[def];
        let (ty, declared) = (found.ty.clone(), found.ty_span.unwrap_or(found.span));
        if !self.same_ty(&rate.ty, &ty, rate.span) {
            let story = self.story(&rate);
            return self.fail(errors::equation_shapes(name, declared, &ty, rate.span, &rate.ty, story));
        }
        let plain = self.in_motion(&rate)?;
        Some((rate, plain))
    }

    /// The channels; `None` in place of a wrong one.
    pub(crate) fn channels(&mut self) -> Vec<Option<Channel>> {
        let items = self.items();
        let mut channels = Vec::new();
        for item in items {
            let ItemKind::Channel { name, value, .. } = &item.kind else { continue };
            channels.push(self.channel_rate(name, value));
        }
        channels
    }

    fn channel_rate(&mut self, name: &ast::Ident, value: &'a ast::Expr) -> Option<Channel> {
        let Binding::Value(def) = self.global(&name.name, name.span)? else { return None };
        if self.defs[def].span != name.span {
            return None;
        }
        let rate = to_real(self.side(value)?);
        let (ty, declared) = (self.defs[def].ty.clone(), self.defs[def].ty_span.unwrap_or(name.span));
        if !self.same_ty(&rate.ty, &ty, rate.span) {
            let story = self.story(&rate);
            return self.fail(errors::equation_shapes(&name.name, declared, &ty, rate.span, &rate.ty, story));
        }
        self.in_motion(&rate)?;
        Some(Channel { def, rate })
    }

    /// What an equation of motion may not see: unknowns at other times, and channels. Says of what it may see
    /// whether it is [`State::plain`].
    pub(super) fn in_motion(&mut self, rate: &Expr) -> Option<bool> {
        let (mut wrong, mut plain) = (None, true);
        let defs = &self.defs;
        reach(defs, rate, &mut |part| {
            plain &= is_plain(defs, part);
            if wrong.is_none() {
                wrong = match &part.kind {
                    Kind::At(of, _) if !is_known_path(defs, of) => Some((part.span, None)),
                    Kind::Def(def) if matches!(defs[*def].kind, DefKind::Channel(_)) => {
                        Some((part.span, Some(*def)))
                    }
                    _ => None,
                };
            }
            wrong.is_none()
        });
        match wrong {
            None => Some(plain),
            Some((span, None)) => {
                let text = self.text(span);
                let name = text.split('(').next().unwrap_or(text);
                self.fail(errors::delay(span, name))
            }
            Some((span, Some(def))) => {
                let (name, declared) = (self.defs[def].name.clone(), self.defs[def].span);
                let integrand = match self.space().globals.get(&name).map(|global| &global.declared) {
                    Some(Declared::Channel(_, _, value, _)) => self.text(value.span),
                    _ => "...",
                };
                let item = self
                    .items()
                    .iter()
                    .find(|item| item.span.lo <= declared.lo && declared.hi <= item.span.hi);
                let item = item.map_or(declared, |item| item.span);
                let keyword = Span { hi: item.lo + "channel".len() as u32, ..item };
                self.fail(errors::channel_feeds_back(&name, span, keyword, item, integrand))
            }
        }
    }

    /// What must be known before the run may not use the run; its ends only where `ends` says so.
    pub(crate) fn before_the_run(&mut self, expr: &Expr, name: &str, ends: bool) -> Option<()> {
        let mut wrong = None;
        let defs = &self.defs;
        reach(defs, expr, &mut |part| {
            if wrong.is_none() {
                wrong = match &part.kind {
                    Kind::At(of, _) if !is_known_path(defs, of) => Some(part.span),
                    Kind::Start | Kind::End if !ends => Some(part.span),
                    _ => None,
                };
            }
            wrong.is_none()
        });
        match wrong {
            None => Some(()),
            Some(span) => self.fail(errors::circular_definition(name, expr.span, span)),
        }
    }
}

/// Whether an expression, what it is made of aside, is such as [`State::plain`] says.
fn is_plain(defs: &IndexVec<DefId, Def>, part: &Expr) -> bool {
    match &part.kind {
        Kind::Real(_) | Kind::Size(_) | Kind::Bool(_) | Kind::Fill(_) | Kind::ToReal(_) | Kind::ToInt(_) => {
            true
        }
        Kind::Elementwise(..) | Kind::Map(..) | Kind::PowInt(..) | Kind::If(..) => true,
        Kind::MatMul(..) | Kind::Stack(_) | Kind::Index(..) | Kind::Reduce(..) => true,
        Kind::Def(def) => match defs[*def].kind {
            DefKind::Const | DefKind::Param(_) | DefKind::Input(_) | DefKind::Data(_) => true,
            DefKind::State(_) | DefKind::Time | DefKind::Let | DefKind::Output | DefKind::Local => true,
            DefKind::Channel(_) | DefKind::Noise(_) | DefKind::Control => false,
        },
        // Some of these are as harmless, but rare where there are many equations.
        _ => false,
    }
}
