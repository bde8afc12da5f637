//! The equations of motion: one solved line for each unknown, and nothing in them that an
//! equation may not see.

use crate::base::index::IndexVec;
use crate::base::span::Span;
use crate::sema::errors;
use crate::sema::infer::{to_real, unprimed};
use crate::sema::phase::reach;
use crate::sema::resolve::{Binding, Checker};
use crate::sema::space::Declared;
use crate::sema::typed::{Channel, Def, DefId, DefKind, Expr, Kind, Phase, State};
use crate::syntax::ast::{self, Arg, BinaryOp, ExprKind, IndexExpr, ItemKind};
use std::collections::{BTreeMap, BTreeSet};

/// A line that gives the motion of a state.
struct Solved<'a> {
    equation: Span,
    /// `None` if the line is in error, which has been said.
    rhs: Option<&'a ast::Expr>,
}

/// The line of each unknown.
type SolvedLines<'a> = BTreeMap<std::sync::Arc<str>, Solved<'a>>;

impl<'a> Checker<'a> {
    /// The states with their starts and rates; `None` in place of a wrong one.
    pub(crate) fn states(&mut self) -> Vec<Option<State>> {
        let (solved, implicit) = self.solved_lines();
        let mut states: Vec<Option<State>> = vec![None; self.movers.len()];
        let items = self.items();
        let mut missing = false;
        for item in items {
            let ItemKind::State(unknowns) = &item.kind else { continue };
            for unknown in unknowns {
                let base = unknown.name.name.clone();
                let name = format!("{base}{}", "'".repeat(unknown.primes as usize));
                let motion = self.space().motions[&base].clone();
                let number = motion.first + unknown.primes as usize;
                let last = motion.first + motion.order as usize - 1;
                let binding = self.global(&name, unknown.span);
                // A system inside a program may leave starts to its callers.
                let start = match unknown.value {
                    None if self.space().instance.is_some() => Some(None),
                    _ => self.start_value(unknown, &name, &binding).map(Some),
                };
                if number == last && !solved.contains_key(&base) {
                    missing = true;
                    let mut constraints = implicit.iter().filter(|(_, primes)| !primes);
                    let n_constraints = constraints.clone().count();
                    let counts = [solved.len(), n_constraints, self.space().motions.len()];
                    let left_over = constraints.next().map(|(span, _)| (*span, counts));
                    let primes = "'".repeat(motion.order as usize);
                    self.report(errors::no_equation(unknown.name.span, &base, &primes, left_over));
                }
                let Some(Binding::Value(def)) = binding else { continue };
                let rate = if number == last {
                    solved.get(&base).and_then(|line| Some((self.rate(line, def, &base)?, line.equation)))
                } else {
                    self.hidden_rate(&base, unknown.primes + 1, unknown.span)
                };
                if let (Some(start), Some((rate, equation))) = (start, rate) {
                    states[number] = Some(State { def, start, rate, equation });
                }
            }
        }
        for (span, _) in implicit {
            // A missing equation names the constraint already.
            if !missing {
                let instead = "solve for the prime: `x' = ...`; a name for an expression is `let y = ...`";
                self.report(errors::not_yet(span, "implicit equations are", instead));
            }
            self.failed = true;
        }
        states
    }

    fn start_value(
        &mut self,
        unknown: &'a ast::Unknown,
        name: &str,
        binding: &Option<Binding<'a>>,
    ) -> Option<Expr> {
        let Some(value) = &unknown.value else {
            return self.fail(errors::no_start(unknown.span, name));
        };
        let value = to_real(self.infer(value, self.home())?);
        self.require(&value, Phase::Example, &format!("the start value of `{name}`"))?;
        let Some(Binding::Value(def)) = binding else { return None };
        let (ty, declared) =
            (self.defs[*def].ty.clone(), self.defs[*def].ty_span.unwrap_or(unknown.name.span));
        let value = self.fitted(value, &ty, declared, &format!("the start value of `{name}`"))?;
        self.before_the_run(&value, name)?;
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

    fn rate(&mut self, line: &Solved<'a>, def: DefId, name: &str) -> Option<Expr> {
        let rate = to_real(self.infer(line.rhs?, self.home())?);
        let found = &self.defs[def];
        let (ty, declared) = (found.ty.clone(), found.ty_span.unwrap_or(found.span));
        if !self.same_ty(&rate.ty, &ty, rate.span) {
            let story = self.story(&rate);
            return self.fail(errors::equation_shapes(name, declared, &ty, rate.span, &rate.ty, story));
        }
        self.in_motion(&rate)?;
        Some(rate)
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
        let rate = to_real(self.infer(value, self.home())?);
        let (ty, declared) = (self.defs[def].ty.clone(), self.defs[def].ty_span.unwrap_or(name.span));
        if !self.same_ty(&rate.ty, &ty, rate.span) {
            let story = self.story(&rate);
            return self.fail(errors::equation_shapes(&name.name, declared, &ty, rate.span, &rate.ty, story));
        }
        self.in_motion(&rate)?;
        Some(Channel { def, rate })
    }

    /// What an equation of motion may not see: other times, channels, the ends of the run.
    fn in_motion(&mut self, rate: &Expr) -> Option<()> {
        let mut wrong = None;
        reach(&self.defs, rate, &mut |part| {
            if wrong.is_none() {
                wrong = match &part.kind {
                    Kind::At(..) | Kind::Start | Kind::End => Some((part.span, None)),
                    Kind::Def(def) if matches!(self.defs[*def].kind, DefKind::Channel(_)) => {
                        Some((part.span, Some(*def)))
                    }
                    _ => None,
                };
            }
            wrong.is_none()
        });
        match wrong {
            None => Some(()),
            Some((span, None)) => {
                let text = self.text(span);
                if text == "start" || text == "end" {
                    let instead = "name the time by the const or param that it comes from";
                    return self.fail(errors::not_yet(span, format!("`{text}` in an equation is"), instead));
                }
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

    /// What must be known before the run may not use the run.
    pub(crate) fn before_the_run(&mut self, expr: &Expr, name: &str) -> Option<()> {
        let mut wrong = None;
        reach(&self.defs, expr, &mut |part| {
            if wrong.is_none() && matches!(part.kind, Kind::At(..) | Kind::Start | Kind::End) {
                wrong = Some(part.span);
            }
            wrong.is_none()
        });
        match wrong {
            None => Some(()),
            Some(span) => self.fail(errors::circular_definition(name, expr.span, span)),
        }
    }

    /// Sorts the equations: the line of each unknown, and those that are not in solved form, with
    /// whether they contain a prime.
    fn solved_lines(&mut self) -> (SolvedLines<'a>, Vec<(Span, bool)>) {
        let items = self.items();
        let mut solved: SolvedLines<'a> = BTreeMap::new();
        let mut implicit = Vec::new();
        for item in items {
            let ItemKind::Equation { lhs, rhs } = &item.kind else { continue };
            let (base, primes) = unprimed(lhs.unparenthesised());
            if let (ExprKind::Name(name), true) = (&base.kind, primes > 0) {
                let Some(motion) = self.space().motions.get(name).cloned() else {
                    self.equation_of_a_stranger(name, base.span);
                    continue;
                };
                if motion.order != primes {
                    self.report(errors::wrong_order(lhs.span, name, motion.order, primes));
                }
                match solved.get(name) {
                    Some(first) => self.report(errors::two_equations(name, first.equation, item.span)),
                    None => {
                        solved.insert(name.clone(), Solved { equation: item.span, rhs: Some(rhs) });
                    }
                }
                continue;
            }
            if self.is_leibniz(lhs) {
                continue;
            }
            match nonlinear(lhs).or_else(|| nonlinear(rhs)) {
                Some((prime, span, how)) => {
                    let (base, _) = unprimed(prime);
                    let name = self.text(base.span);
                    self.report(errors::nonlinear_prime(span, name, how));
                }
                None => implicit.push((item.span, has_prime(lhs) || has_prime(rhs))),
            }
            self.failed = true;
        }
        // Leibniz' line and a nonlinear line are the missing equation of what they speak of.
        self.excuse(&mut solved);
        (solved, implicit)
    }

    /// An unknown that a line in error speaks of is not said to lack an equation as well.
    fn excuse(&mut self, solved: &mut SolvedLines<'a>) {
        let items = self.items();
        for item in items {
            let ItemKind::Equation { lhs, rhs } = &item.kind else { continue };
            let mut names = Vec::new();
            match leibniz_names(lhs) {
                Some((numerator, _)) => names.push(numerator[1..].to_owned()),
                None if nonlinear(lhs).or_else(|| nonlinear(rhs)).is_some()
                    || has_prime(lhs)
                    || has_prime(rhs) =>
                {
                    primed_names(lhs, &mut names);
                    primed_names(rhs, &mut names);
                }
                None => {}
            }
            let (base, primes) = unprimed(lhs.unparenthesised());
            if primes > 0 && matches!(base.kind, ExprKind::Name(_)) {
                continue;
            }
            for name in names {
                if self.space().motions.contains_key(name.as_str()) && !solved.contains_key(name.as_str()) {
                    self.failed = true;
                    let rhs = leibniz_names(lhs).map(|_| rhs);
                    solved.insert(name.into(), Solved { equation: item.span, rhs });
                }
            }
        }
    }

    fn equation_of_a_stranger(&mut self, name: &str, span: Span) {
        match self.space().globals.get(name).map(|global| global.declared.clone()) {
            None => self.unknown_name(name, span, self.home(), false),
            Some(Declared::NotYet) => self.failed = true,
            Some(declared) => self.report(errors::not_an_unknown(span, name, declared.noun())),
        }
    }

    /// `dx/dt = …`, where neither is a name.
    fn is_leibniz(&mut self, lhs: &ast::Expr) -> bool {
        let Some((numerator, denominator)) = leibniz_names(lhs) else { return false };
        if self.space().globals.contains_key(numerator) || self.space().globals.contains_key(denominator) {
            return false;
        }
        let state = &numerator[1..];
        let is_state = self.space().motions.contains_key(state);
        self.report(errors::leibniz(lhs.span, state, numerator, denominator, is_state));
        true
    }
}

fn leibniz_names(lhs: &ast::Expr) -> Option<(&str, &str)> {
    let ExprKind::Binary { op: BinaryOp::Div, lhs: numerator, rhs: denominator, .. } = &lhs.kind else {
        return None;
    };
    let (ExprKind::Name(numerator), ExprKind::Name(denominator)) = (&numerator.kind, &denominator.kind)
    else {
        return None;
    };
    let is_differential = |name: &str| name.len() > 1 && name.starts_with('d');
    (is_differential(numerator) && is_differential(denominator)).then_some((&**numerator, &**denominator))
}

/// The expressions directly inside one.
pub(crate) fn children(expr: &ast::Expr) -> Vec<&ast::Expr> {
    fn of_args(args: &[Arg]) -> impl Iterator<Item = &ast::Expr> {
        args.iter().map(|arg| match arg {
            Arg::Positional(e) | Arg::Named(_, e) | Arg::Spread(e, _) | Arg::Comprehension(e, _) => e,
        })
    }
    match &expr.kind {
        ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Str(_) | ExprKind::Bool(_) => Vec::new(),
        ExprKind::Name(_) | ExprKind::Error => Vec::new(),
        ExprKind::Paren(e) | ExprKind::Unary(_, e) | ExprKind::Prime(e) | ExprKind::Lambda(_, e) => vec![e],
        ExprKind::Field { base, .. } => vec![base],
        ExprKind::Tuple(args) | ExprKind::Array(args) => of_args(args).collect(),
        ExprKind::Binary { lhs, rhs, .. } => vec![lhs, rhs],
        ExprKind::Call { callee, args } => std::iter::once(&**callee).chain(of_args(args)).collect(),
        ExprKind::Index { base, indices } => {
            let indices = indices.iter().filter_map(|index| match index {
                IndexExpr::At(e) | IndexExpr::From(e, _) | IndexExpr::To(e, _) => Some(e),
                IndexExpr::All(_) => None,
            });
            std::iter::once(&**base).chain(indices).collect()
        }
        ExprKind::Range(a, b) | ExprKind::Pipe(a, b) => vec![a, b],
        ExprKind::If { condition, then, otherwise } => vec![condition, then, otherwise],
        ExprKind::Fold(fold) => vec![&fold.init, &fold.range, &fold.body.value],
    }
}

fn has_prime(expr: &ast::Expr) -> bool {
    first_prime(expr).is_some()
}

fn first_prime(expr: &ast::Expr) -> Option<&ast::Expr> {
    if matches!(expr.kind, ExprKind::Prime(_)) {
        return Some(expr);
    }
    children(expr).into_iter().find_map(first_prime)
}

fn primed_names(expr: &ast::Expr, names: &mut Vec<String>) {
    let (base, primes) = unprimed(expr);
    if let (ExprKind::Name(name), true) = (&base.kind, primes > 0) {
        names.push(name.to_string());
    }
    children(expr).into_iter().for_each(|child| primed_names(child, names));
}

/// A prime that does not enter linearly: the prime, the place to mark, and how it enters.
fn nonlinear(expr: &ast::Expr) -> Option<(&ast::Expr, Span, &'static str)> {
    let found = match &expr.kind {
        ExprKind::Binary { op: BinaryOp::Pow, lhs, rhs, .. } => match (first_prime(lhs), &rhs.kind) {
            (Some(_), ExprKind::Int(1)) => None,
            (Some(prime), ExprKind::Int(2)) => Some((prime, "appears squared")),
            (Some(prime), _) => Some((prime, "appears in a power")),
            (None, _) => first_prime(rhs).map(|prime| (prime, "appears in an exponent")),
        },
        ExprKind::Binary { op: BinaryOp::Mul | BinaryOp::MatMul, lhs, rhs, .. } if has_prime(lhs) => {
            first_prime(rhs).map(|prime| (prime, "is multiplied by another prime"))
        }
        ExprKind::Binary { op: BinaryOp::Div, rhs, .. } => {
            first_prime(rhs).map(|prime| (prime, "appears in a denominator"))
        }
        ExprKind::Call { callee, args } => {
            let is_linear = matches!(&callee.kind, ExprKind::Name(name) if matches!(&**name, "sum" | "mean" | "concat" | "stack" | "reshape" | "flatten" | "transpose" | "dot"));
            let inside = args.iter().find_map(|arg| match arg {
                Arg::Positional(e) | Arg::Named(_, e) | Arg::Spread(e, _) | Arg::Comprehension(e, _) => {
                    first_prime(e)
                }
            });
            inside.filter(|_| !is_linear).map(|prime| (prime, "appears inside a function"))
        }
        _ => None,
    };
    match found {
        Some((prime, how)) => Some((prime, expr.span, how)),
        None => children(expr).into_iter().find_map(nonlinear),
    }
}

/// The states whose rates `expr` needs, when primes are substituted.
fn needs(defs: &IndexVec<DefId, Def>, states: &[State], expr: &Expr) -> BTreeSet<usize> {
    let mut needed = BTreeSet::new();
    let mut flows = Vec::new();
    reach(defs, expr, &mut |part| {
        match &part.kind {
            Kind::Rate(number) => {
                needed.insert(*number);
            }
            Kind::Flow(of, order) => flows.push(((**of).clone(), *order)),
            _ => {}
        }
        true
    });
    for (of, order) in flows {
        needed.extend(moving(defs, states, &of, order).states);
    }
    needed
}

/// What the derivatives of an expression along the motion are made of.
pub(crate) struct Moving {
    /// The states whose rates enter.
    pub states: BTreeSet<usize>,
    /// Whether the time itself does.
    pub time: bool,
}

/// What the first `order` derivatives of `expr` along the motion are made of: the states it
/// depends on, then those on which their rates depend, and so on.
pub(crate) fn moving(defs: &IndexVec<DefId, Def>, states: &[State], expr: &Expr, order: u32) -> Moving {
    let mut found = Moving { states: BTreeSet::new(), time: false };
    let mut level = vec![expr.clone()];
    for _ in 0..order {
        let mut next = Vec::new();
        for expr in level {
            let direct = dependence(defs, states, &expr);
            found.time |= direct.time;
            for number in direct.states {
                if found.states.insert(number) {
                    next.push(states[number].rate.clone());
                }
            }
        }
        level = next;
    }
    found
}

/// The states on which the value of `expr` depends.
fn dependence(defs: &IndexVec<DefId, Def>, states: &[State], expr: &Expr) -> Moving {
    let mut found = Moving { states: BTreeSet::new(), time: false };
    let mut substituted = BTreeSet::new();
    let mut open = vec![expr.clone()];
    while let Some(expr) = open.pop() {
        let mut flows = Vec::new();
        reach(defs, &expr, &mut |part| {
            match &part.kind {
                Kind::Def(def) => match defs[*def].kind {
                    DefKind::State(number) => {
                        found.states.insert(number);
                    }
                    DefKind::Time => found.time = true,
                    _ => {}
                },
                Kind::Rate(number) if substituted.insert(*number) => open.push(states[*number].rate.clone()),
                Kind::Flow(of, order) => flows.push((of.clone(), *order)),
                _ => {}
            }
            // What stands at another time does not move with this one.
            !matches!(part.kind, Kind::At(..))
        });
        for (of, order) in flows {
            // A derivative along the motion depends on the rates that make it.
            for number in moving(defs, states, &of, order).states {
                if substituted.insert(number) {
                    open.push(states[number].rate.clone());
                }
            }
        }
    }
    found
}

/// How far the search for a circle has come at a state.
#[derive(Clone, Copy)]
enum Visit {
    /// Not there yet.
    None,
    /// On the path, at this position.
    Underway(usize),
    /// No circle goes through it.
    Done,
}

/// A circle of primes that define each other, if there is one.
pub(crate) fn circle(defs: &IndexVec<DefId, Def>, states: &[State]) -> Option<Vec<usize>> {
    let edges: Vec<BTreeSet<usize>> = states.iter().map(|state| needs(defs, states, &state.rate)).collect();
    // Depth first; `path` is the chain of primes being substituted.
    fn visit(
        at: usize,
        edges: &[BTreeSet<usize>],
        visits: &mut [Visit],
        path: &mut Vec<usize>,
    ) -> Option<Vec<usize>> {
        match visits[at] {
            Visit::Done => return None,
            Visit::Underway(position) => return Some(path[position..].to_vec()),
            Visit::None => visits[at] = Visit::Underway(path.len()),
        }
        path.push(at);
        for next in &edges[at] {
            if let Some(circle) = visit(*next, edges, visits, path) {
                return Some(circle);
            }
        }
        path.pop();
        visits[at] = Visit::Done;
        None
    }
    let mut visits = vec![Visit::None; states.len()];
    (0..states.len()).find_map(|start| visit(start, &edges, &mut visits, &mut Vec::new()))
}
