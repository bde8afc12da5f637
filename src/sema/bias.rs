//! W0610: estimated traces in places where they do not enter linearly.
//!
//! The mean of an estimate `d` is the trace; the mean of `f(d)` is `f` of the trace only if `f` is
//! linear. What carries an estimate is followed from the motion, where alone traces are estimated,
//! through states and channels to the values of the run. Which systems estimate is a setting, so
//! the caller says.

use crate::base::span::Span;
use crate::diag::Diagnostic;
use crate::ir::op::Op;
use crate::sema::errors;
use crate::sema::prelude::Reduction;
use crate::sema::typed::{DefId, DefKind, Expr, Fold, Kind, Model, Moved, Operator, Trigger};
use crate::sema::{equations, typed};
use std::collections::BTreeMap;

/// A warning for each innermost nonlinear function of an estimate; `estimated` says of a system, by
/// name, whether its traces are.
pub(crate) fn nonlinear_estimates(model: &Model, estimated: &dyn Fn(&str) -> bool) -> Vec<Diagnostic> {
    let estimated = model.systems.iter().map(|system| estimated(&system.name)).collect();
    let mut bias = Bias {
        model,
        estimated,
        unknowns: BTreeMap::new(),
        carried: BTreeMap::new(),
        memo: BTreeMap::new(),
        found: Vec::new(),
    };
    if !bias.estimated.contains(&true) {
        return Vec::new();
    }
    // Every round makes at least one more unknown a carrier.
    loop {
        let before = bias.unknowns.len();
        bias.memo.clear();
        bias.found.clear();
        bias.spread();
        if bias.unknowns.len() == before {
            break;
        }
    }
    // A value that is an estimate, or linear in one, is as it should be.
    for root in &model.results {
        bias.of(&root.value, false);
    }
    bias.found.into_iter().map(|(place, estimate)| errors::nonlinear_estimate(place, estimate)).collect()
}

/// Something with a value of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Def(DefId),
    Rate(usize),
    ChannelRate(usize),
}

struct Bias<'m> {
    model: &'m Model,
    /// By system.
    estimated: Vec<bool>,
    /// The unknowns that carry an estimate, and which.
    unknowns: BTreeMap<Moved, Span>,
    /// What folds that are being looked at carry.
    carried: BTreeMap<DefId, Span>,
    /// What a name carries, in a motion with estimates and elsewhere.
    memo: BTreeMap<(Named, bool), Option<Span>>,
    /// Nonlinear functions, and the estimates in them.
    found: Vec<(Span, Span)>,
}

impl<'m> Bias<'m> {
    /// Makes carriers of the unknowns whose rates, starts and jumps carry an estimate.
    fn spread(&mut self) {
        let model = self.model;
        for (number, system) in model.systems.iter().enumerate() {
            let estimated = self.estimated[number];
            for state in system.states.clone() {
                let rate = model.states[state].rate.as_ref().and_then(|rate| self.of(rate, estimated));
                let start = model.states[state].start.as_ref().and_then(|start| self.of(start, false));
                self.carry(Moved::State(state), rate.or(start));
            }
            for channel in system.channels.clone() {
                let rate = self.of(&model.channels[channel].rate, estimated);
                self.carry(Moved::Channel(channel), rate);
            }
            for line in &system.dynamics.lines {
                let estimate = self.of(&line.residual, estimated);
                system.states.clone().for_each(|state| self.carry(Moved::State(state), estimate));
            }
            for event in &system.dynamics.events {
                let trigger: &[Expr] = match &event.trigger {
                    Trigger::When(roots, _) => roots,
                    Trigger::Every(time) | Trigger::At(time) => std::slice::from_ref(time),
                };
                for trigger in trigger {
                    self.nonlinear(trigger.span, &[trigger], false);
                }
                for (state, value) in &event.jumps {
                    let estimate = self.of(value, false);
                    self.carry(Moved::State(*state), estimate);
                }
            }
        }
        for call in &model.calls {
            for (unknown, start) in &call.starts {
                let estimate = self.of(start, false);
                self.carry(*unknown, estimate);
            }
        }
    }

    fn carry(&mut self, unknown: Moved, estimate: Option<Span>) {
        if let Some(estimate) = estimate {
            self.unknowns.entry(unknown).or_insert(estimate);
        }
    }

    /// The estimate that `expr` is a linear function of, if there is one.
    fn of(&mut self, expr: &'m Expr, motion: bool) -> Option<Span> {
        let model = self.model;
        match &expr.kind {
            Kind::Real(_) | Kind::Size(_) | Kind::Bool(_) | Kind::Fill(_) | Kind::Iota | Kind::Eye => None,
            Kind::White(_) | Kind::Start | Kind::End => None,
            Kind::Def(def) => self.of_def(*def, motion),
            Kind::Rate(number) => {
                let rate = model.states[*number].rate.as_ref()?;
                self.named(Named::Rate(*number), rate, motion)
            }
            Kind::ChannelRate(number) => {
                self.named(Named::ChannelRate(*number), &model.channels[*number].rate, motion)
            }
            Kind::ToReal(x) | Kind::Index(x, _) | Kind::Reshape(x) | Kind::Permute(x, _) => {
                self.of(x, motion)
            }
            Kind::Reverse(x, _) | Kind::Pad(x, _) | Kind::Repeat(x, _) | Kind::Cumsum(x, _) => {
                self.of(x, motion)
            }
            Kind::StopGradient(x) => self.of(x, motion),
            Kind::Stack(parts) | Kind::Concat(parts, _) => self.any(parts, motion),
            Kind::Elementwise(op, operands) => match (op, operands.as_slice()) {
                (Op::Add | Op::Sub | Op::Neg, operands) => self.any(operands, motion),
                (Op::Mul, [x, y]) => self.product(expr, x, y, motion),
                (Op::Div, [x, y]) => {
                    self.nonlinear(expr.span, &[y], motion);
                    self.of(x, motion)
                }
                (_, operands) => self.nonlinear(expr.span, &operands.iter().collect::<Vec<_>>(), motion),
            },
            Kind::PowInt(x, n) if n.as_number() == Some(1) => self.of(x, motion),
            Kind::PowInt(_, n) if n.as_number() == Some(0) => None,
            Kind::Map(_, x) | Kind::PowInt(x, _) | Kind::ToInt(x) | Kind::Extreme(_, x, _) => {
                self.nonlinear(expr.span, &[x], motion)
            }
            Kind::Determinant(x) | Kind::Eigen(x) => self.nonlinear(expr.span, &[x], motion),
            Kind::MatMul(x, y) | Kind::Outer(x, y) | Kind::Einsum(x, y, _) => {
                self.product(expr, x, y, motion)
            }
            Kind::Solution(a, b) => {
                self.nonlinear(expr.span, &[a], motion);
                self.of(b, motion)
            }
            Kind::Gather(x, at) => {
                self.nonlinear(expr.span, &[at], motion);
                self.of(x, motion)
            }
            Kind::If(condition, then, otherwise) => {
                self.nonlinear(expr.span, &[condition], motion);
                self.of(then, motion).or_else(|| self.of(otherwise, motion))
            }
            Kind::Path { times, values, scheme: _, time: _ } => {
                self.nonlinear(expr.span, &[times], motion);
                self.of(values, motion)
            }
            Kind::Reduce(reduction, x, _) if is_linear(*reduction) => self.of(x, motion),
            Kind::Reduce(_, x, _) => self.nonlinear(expr.span, &[x], motion),
            Kind::Comprehension { body, loops: _, reduction } if reduction.is_none_or(is_linear) => {
                self.of(body, motion)
            }
            Kind::Comprehension { body, .. } => self.nonlinear(expr.span, &[body], motion),
            Kind::Fold(fold, _) | Kind::Scan(fold, _) => self.of_fold(fold, motion),
            Kind::Derivative { operator: Operator::Divergence | Operator::JacFrob2, .. } if motion => {
                Some(expr.span)
            }
            Kind::Derivative { of, with, by: _, operator: _ } => {
                let estimate = self.of(of, motion);
                estimate.or_else(|| self.of(with.as_deref()?, motion))
            }
            Kind::Flow(of, order) => {
                let moving = equations::moving(&model.defs, &model.states, of, *order).states;
                let rates = moving.into_iter().filter_map(|state| model.states[state].rate.as_ref());
                let rates: Vec<&Expr> = rates.collect();
                let estimate = rates.into_iter().find_map(|rate| self.of(rate, motion));
                self.of(of, motion).or(estimate)
            }
            Kind::Solved { call: _, moved, at } => {
                let times = at.as_deref();
                times.and_then(|times| self.nonlinear(expr.span, &[times], motion));
                self.unknowns.get(moved).copied()
            }
            Kind::At(of, time) => {
                self.nonlinear(expr.span, &[time], false);
                self.of(of, false)
            }
            Kind::LogProb { params, x, distribution: _ } => {
                let operands: Vec<&Expr> = params.iter().chain([&**x]).collect();
                self.nonlinear(expr.span, &operands, motion)
            }
        }
    }

    fn of_def(&mut self, def: DefId, motion: bool) -> Option<Span> {
        let model = self.model;
        let found: &'m typed::Def = &model.defs[def];
        match found.kind {
            DefKind::State(number) => self.unknowns.get(&Moved::State(number)).copied(),
            DefKind::Channel(number) => self.unknowns.get(&Moved::Channel(number)).copied(),
            DefKind::Const | DefKind::Param(_) | DefKind::Input(_) | DefKind::Data(_) => None,
            DefKind::Noise(_) | DefKind::Time => None,
            DefKind::Control | DefKind::Let | DefKind::Output | DefKind::Local => {
                match (&found.value, self.carried.get(&def)) {
                    (_, Some(estimate)) => Some(*estimate),
                    (Some(value), None) => self.named(Named::Def(def), value, motion),
                    (None, None) => None,
                }
            }
        }
    }

    fn named(&mut self, name: Named, value: &'m Expr, motion: bool) -> Option<Span> {
        if let Some(known) = self.memo.get(&(name, motion)) {
            return *known;
        }
        let estimate = self.of(value, motion);
        self.memo.insert((name, motion), estimate);
        estimate
    }

    fn any(&mut self, exprs: &'m [Expr], motion: bool) -> Option<Span> {
        // All are looked at, so that each says what is wrong inside of it.
        let estimates: Vec<Option<Span>> = exprs.iter().map(|expr| self.of(expr, motion)).collect();
        estimates.into_iter().flatten().next()
    }

    /// Linear in either factor, but not in both: they share the probe.
    fn product(&mut self, expr: &Expr, x: &'m Expr, y: &'m Expr, motion: bool) -> Option<Span> {
        match (self.of(x, motion), self.of(y, motion)) {
            (Some(estimate), Some(_)) => {
                self.report(expr.span, estimate);
                None
            }
            (estimate, None) | (None, estimate) => estimate,
        }
    }

    /// Reports the function at `place` if one of its operands carries an estimate. What is reported
    /// carries nothing on: one mistake, one message.
    fn nonlinear(&mut self, place: Span, operands: &[&'m Expr], motion: bool) -> Option<Span> {
        for operand in operands {
            if let Some(estimate) = self.of(operand, motion) {
                self.report(place, estimate);
            }
        }
        None
    }

    fn of_fold(&mut self, fold: &'m Fold, motion: bool) -> Option<Span> {
        let init = self.any(&fold.init, motion);
        let before = self.carried.clone();
        let mut estimate = init;
        for _ in 0..2 {
            if let Some(estimate) = estimate {
                self.carried.extend(fold.carried.iter().map(|def| (*def, estimate)));
                self.memo.clear();
            }
            let next = self.any(&fold.next, motion);
            estimate = estimate.or(next);
        }
        self.carried = before;
        estimate
    }

    fn report(&mut self, place: Span, estimate: Span) {
        if !self.found.iter().any(|(known, _)| *known == place) {
            self.found.push((place, estimate));
        }
    }
}

fn is_linear(reduction: Reduction) -> bool {
    match reduction {
        Reduction::Sum | Reduction::Mean => true,
        Reduction::Product | Reduction::Max | Reduction::Min => false,
        Reduction::SumSq | Reduction::Norm | Reduction::LogSumExp => false,
    }
}
