//! What needs the motion: derivatives, primes, trajectories at a time.

use super::{Frame, Input, MAX_UNROLLED, Moment};
use crate::ir::func::{Attr, ValueId};
use crate::ir::op::Op;
use crate::ir::types::Type;
use crate::sema::dim::Dim;
use crate::sema::elaborate::Made;
use crate::sema::elaborate::path::Path;
use crate::sema::equations::{is_known_path, moving};
use crate::sema::errors;
use crate::sema::typed::{DefId, DefKind, Expr, Interpolation, Kind, Moved, Operator, Pick};

impl<'m> Frame<'m, '_> {
    /// `start` and `end`: given to functions of the whole run, computed before it.
    pub(super) fn end_of_run(&mut self, input: Input) -> Made<ValueId> {
        let sites = self.sites.as_ref().filter(|_| !self.own_ends);
        match (sites, self.world.interval) {
            (Some(_), _) | (None, None) => Ok(self.input(input, Type::scalar(self.world.real))),
            (None, Some((start, end))) => self.value(if input == Input::Start { start } else { end }),
        }
    }

    pub(super) fn derivative(
        &mut self,
        operator: Operator,
        of: &'m Expr,
        by: DefId,
        with: Option<&'m Expr>,
    ) -> Made<ValueId> {
        let of = self.value(of)?;
        let by = self.def(by)?;
        let with = match with {
            Some(with) => Some(self.value(with)?),
            None => None,
        };
        let none = Attr::None;
        Ok(match (operator, with) {
            (Operator::Grad, _) => {
                let one = self.b.splat_like(1.0, of);
                self.b.must(Op::Vjp, &[of, one, by], none)
            }
            (Operator::Vjp, Some(w)) => self.b.must(Op::Vjp, &[of, w, by], none),
            (Operator::Jvp, Some(v)) => self.b.must(Op::Jvp, &[of, by, v], none),
            (Operator::Jacobian, _) => self.b.must(Op::Jacobian, &[of, by], none),
            (Operator::Divergence, _) => self.b.must(Op::Divergence, &[of, by], none),
            (Operator::JacFrob2, _) => self.b.must(Op::JacFrob2, &[of, by], none),
            (Operator::Vjp | Operator::Jvp, None) => crate::bug!("a derivative along no direction"),
        })
    }

    /// The derivative along the motion: of the states that matter, each with its rate.
    pub(super) fn flow(&mut self, of: &'m Expr, order: u32) -> Made<ValueId> {
        let world = self.world;
        let matters = moving(world.defs, world.states, of, order);
        let mut operands = vec![self.value(of)?];
        for number in matters.states {
            operands.push(self.def(world.states[number].def)?);
            operands.push(self.rate(number)?);
        }
        if matters.time
            && let Some(time) = world.time
        {
            operands.push(self.def(time)?);
            operands.push(self.b.scalar(1.0, world.real));
        }
        if operands.len() == 1 {
            return Ok(self.b.zeros_like(operands[0]));
        }
        Ok(self.b.must(Op::FlowDerivative, &operands, Attr::Order(order)))
    }

    pub(super) fn at_time(&mut self, expr: &Expr, of: &'m Expr, time: &'m Expr) -> Made<ValueId> {
        if is_known_path(self.world.defs, of) {
            return self.path_at(expr, of, time);
        }
        let loops = self.loops.clone();
        let element = match self.element_of_times(time) {
            Some((times, at)) => Some((times, self.number(at, time.span)?)),
            None => None,
        };
        let Some(sites) = &mut self.sites else {
            crate::bug!("a trajectory is evaluated in `{:?}`", expr.span)
        };
        let main = &mut sites[self.world.main];
        if let Some((times, element)) = element {
            let site = main.site(times, &loops)?;
            let element = main.count(site).zip(usize::try_from(element).ok()).filter(|(n, at)| at < n);
            let Some((_, element)) = element else { crate::bug!("a loop stays within its array") };
            let moment = Moment::Site { site, element: Some(element), time: times };
            return self.at(moment, |frame| frame.value(of));
        }
        let site = main.site(time, &loops)?;
        let Some(count) = main.count(site) else {
            let moment = Moment::Site { site, element: None, time };
            return self.at(moment, |frame| frame.value(of));
        };
        if let Some((def, at)) = self.plain_unknown(of) {
            let ty = self.def_type(def)?;
            let ty = Type { dtype: self.world.real, ..ty };
            let all = self.all_at_site(site, &ty, &*at);
            return Ok(self.counted(def, all));
        }
        if count > MAX_UNROLLED {
            let what = format!("an expression at more than {MAX_UNROLLED} times is");
            return Err(Box::new(errors::not_yet(
                expr.span,
                what,
                "evaluate the states at the times and write the expression of those",
            )));
        }
        let mut values = Vec::with_capacity(count);
        for element in 0..count {
            let moment = Moment::Site { site, element: Some(element), time };
            values.push(self.at(moment, |frame| frame.value(of))?);
        }
        if values.is_empty() {
            let shape = self.shape(&expr.ty.dims, expr.span)?;
            return Ok(self.b.splat(0.0, Type { dtype: self.dtype(expr.ty.elem), shape }));
        }
        Ok(self.stacked(&values))
    }

    /// An expression of paths and the time alone, which needs no run, at a time or a vector of times.
    fn path_at(&mut self, expr: &Expr, of: &'m Expr, time: &'m Expr) -> Made<ValueId> {
        let times = self.value(time)?;
        let Some(count) = self.b.shape(times).dims().first().copied() else {
            return self.at(Moment::Instant(times), |frame| frame.value(of));
        };
        if count > MAX_UNROLLED {
            let what = format!("a path at more than {MAX_UNROLLED} times is");
            return Err(Box::new(errors::not_yet(expr.span, what, "take fewer times")));
        }
        let mut values = Vec::with_capacity(count);
        for element in 0..count {
            let time = self.row(times, element);
            values.push(self.at(Moment::Instant(time), |frame| frame.value(of))?);
        }
        if values.is_empty() {
            let shape = self.shape(&expr.ty.dims, expr.span)?;
            return Ok(self.b.splat(0.0, Type { dtype: self.dtype(expr.ty.elem), shape }));
        }
        Ok(self.stacked(&values))
    }

    /// The value of a path now. On which piece that is, the motion is told by a time inside it;
    /// elsewhere the time itself says so.
    pub(super) fn path(
        &mut self,
        scheme: Interpolation,
        time: DefId,
        times: &'m Expr,
        values: &'m Expr,
        expr: &Expr,
    ) -> Made<ValueId> {
        let now = self.def(time)?;
        let in_motion = matches!(self.moment, Moment::Now) && self.sites.is_none();
        let inside = match in_motion {
            true => self.input(Input::Inside, Type::scalar(self.world.real)),
            false => now,
        };
        let (times, values) = (self.value(times)?, self.value(values)?);
        if self.b.shape(times).count() < 2 {
            let found = self.b.shape(times).count() as i64;
            return Err(Box::new(errors::too_few_knots(expr.span, found)));
        }
        let path = Path::through(&mut self.b, scheme, times, values);
        Ok(path.value(&mut self.b, now, inside))
    }

    /// An unknown of a call of a system, at its end or at times.
    pub(super) fn solved(
        &mut self,
        expr: &'m Expr,
        call: usize,
        moved: Moved,
        at: Option<&'m Expr>,
    ) -> Made<ValueId> {
        let ty = Type { dtype: self.dtype(expr.ty.elem), shape: self.shape(&expr.ty.dims, expr.span)? };
        if let Some(args) = &mut self.args {
            let same = |other: &&Expr| match &other.kind {
                Kind::Solved { call: c, moved: m, at: None } => at.is_none() && *c == call && *m == moved,
                _ => false,
            };
            let known = args.iter().position(same);
            let number = known.unwrap_or(args.len());
            if known.is_none() {
                args.push(expr);
            }
            return Ok(self.input(Input::Arg(number), ty));
        }
        let run = self.world.shared[call].get();
        let loops = self.loops.clone();
        let Some(sites) = &mut self.sites else { crate::bug!("a call of a system in `{:?}`", expr.span) };
        let site = match at {
            Some(time) => sites[run].site(time, &loops)?,
            None => sites[run].end(expr.span),
        };
        Ok(self.input(Input::Site(run, site, moved), ty))
    }

    /// Where a loop runs over the elements of a named vector of times, the vector and which element it
    /// is: all turns then share one site.
    fn element_of_times(&self, time: &'m Expr) -> Option<(&'m Expr, &'m Dim)> {
        match &time.kind {
            Kind::Def(def) => {
                let found = &self.world.defs[*def];
                let is_local = found.kind == DefKind::Local && !found.varied;
                found.value.as_ref().filter(|_| is_local).and_then(|value| self.element_of_times(value))
            }
            Kind::Index(times, picks) => match (&times.kind, picks.as_slice()) {
                (Kind::Def(def), [Pick::At(at)])
                    if at.as_number().is_none() && self.world.defs[*def].loops.is_empty() =>
                {
                    Some((&**times, at))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The state or channel that an expression just names, whose values at all times of a site are
    /// one tensor already.
    #[allow(clippy::type_complexity, reason = "an unknown and how its values are asked for")]
    fn plain_unknown(&self, expr: &Expr) -> Option<(DefId, Box<dyn Fn(usize) -> Input>)> {
        let Kind::Def(def) = expr.kind else { return None };
        let (found, main) = (&self.world.defs[def], self.world.main);
        match found.kind {
            DefKind::State(number) => {
                Some((def, Box::new(move |site| Input::Site(main, site, Moved::State(number)))))
            }
            DefKind::Channel(number) => {
                Some((def, Box::new(move |site| Input::Site(main, site, Moved::Channel(number)))))
            }
            DefKind::Let | DefKind::Local | DefKind::Output if !found.varied => {
                self.plain_unknown(found.value.as_ref()?)
            }
            _ => None,
        }
    }
}
