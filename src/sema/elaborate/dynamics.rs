//! What moves a system, taken apart: the field, the mass matrix, the diffusion.
//!
//! Lines in solved form give rates. What is left is linear in its primes and is taken apart by its
//! derivatives by these: `r(p) = J p + r(0)` with the primes `p` of unknowns and noises gives the
//! rows `J` of the mass matrix, `-r(0)` of the field and `-∂r/∂W'` of the diffusion. A row of `J`
//! that is zero by construction makes its equation a constraint.

use super::frame::{Frame, Input, World};
use super::{Elaboration, Made, Signature, events, hoist, linear, unique};
use crate::ad::primes::{self, Block};
use crate::base::hash::FastMap;
use crate::base::span::Span;
use crate::ir::builder::Builder;
use crate::ir::func::{Func, ValueId};
use crate::ir::system::{System, Unknown, UnknownKind};
use crate::ir::types::{Shape, Type};
use crate::ir::zeros;
use crate::sema::errors;
use crate::sema::typed::{self, DefId, DefKind, Dynamics, Expr, Model, State};
use std::sync::Arc;

/// The rows of a system that is not all in solved form.
struct Rows {
    /// The equations as functions of primes that are zero: rates of the states in solved form, then
    /// residuals of the lines, then rates of channels. Its inputs.
    rest: Func,
    order: Vec<Input>,
    /// `∂ equation / ∂ prime` for each block.
    blocks: Func,
    which: Vec<(usize, Input)>,
    /// Where the entries of the matrix may differ from zero.
    patterns: Vec<Vec<bool>>,
}

/// Which equation stands in which row.
struct Slots {
    /// How many equations are in solved form, and which is that of each state.
    n_solved: usize,
    solved: Vec<Option<usize>>,
    /// For each entry of all states the line and the entry of it that is its row; `None` if it has a
    /// line of its own in solved form.
    lines: Vec<Option<(usize, usize)>>,
    constraints: Vec<bool>,
}

/// One system in the making.
pub(super) struct Motion<'r, 'e> {
    elaboration: &'e Elaboration<'e>,
    model: &'e Model,
    world: World<'e>,
    /// Its number.
    number: usize,
    of: &'e typed::System,
    /// What its functions ask to be computed once.
    args: &'r mut Vec<&'e Expr>,
}

impl<'r, 'e> Motion<'r, 'e> {
    pub fn new(
        elaboration: &'e Elaboration<'e>,
        world: World<'e>,
        number: usize,
        args: &'r mut Vec<&'e Expr>,
    ) -> Motion<'r, 'e> {
        let model = elaboration.model;
        Motion { elaboration, model, world, number, of: &model.systems[number], args }
    }

    /// The system, and the function of the args that only its own functions need:
    /// `args of `args`, params, data -> the other args`.
    pub fn system(mut self) -> Made<(System, Func)> {
        let mut rows = self.rows()?;
        let events = events::loose(self.world, &self.of.dynamics, self.of.states.clone(), self.args)?;
        let (model, elaboration) = (self.model, self.elaboration);
        let unknown = |def: DefId, kind: UnknownKind, equation: Span| {
            let found = &model.defs[def];
            Unknown { name: found.name.clone(), ty: elaboration.ty(def), kind, span: found.span, equation }
        };
        let equation = |state: &State| state.rate.as_ref().map_or(state.equation, |rate| rate.span);
        let states = model.states[self.of.states.clone()].iter();
        let channels = model.channels[self.of.channels.clone()].iter();
        let signature = self.signature();
        let mut system = System {
            name: self.of.name.clone(),
            time: model.defs[self.of.time].name.clone(),
            states: states.map(|state| unknown(state.def, state.kind, equation(state))).collect(),
            modes: Vec::new(),
            channels: channels
                .map(|channel| unknown(channel.def, UnknownKind::Rate, channel.rate.span))
                .collect(),
            args: self.args.iter().map(|arg| elaboration.type_of(arg)).collect(),
            field: Func::default(),
            mass: None,
            constraints: Vec::new(),
            rates: None,
            noises: self.noises(),
            diffusion: None,
            jumps: Vec::new(),
            events: events
                .into_iter()
                .map(|event| event.arranged(&signature, self.args.len(), elaboration))
                .collect(),
        };
        self.equations(&mut system, &mut rows)?;
        let hoisted = hoist::hoisted(&mut system, elaboration.now(self.number).len() + 1);
        Ok((system, hoisted))
    }

    /// What the functions of the motion are given.
    fn signature(&self) -> Signature {
        let mut signature = self.elaboration.now(self.number);
        signature.insert(1, self.elaboration.scalar(Input::Inside, "inside"));
        let args = self.args.iter().enumerate();
        signature.extend(
            args.map(|(n, arg)| (Input::Arg(n), format!("arg {n}").into(), self.elaboration.type_of(arg))),
        );
        signature.extend(self.elaboration.outside());
        signature
    }

    fn noises(&self) -> Vec<crate::ir::system::Noise> {
        let noises = self.of.dynamics.noises.iter().map(|noise| {
            let def = &self.model.defs[noise.def];
            let (path, ty) = (def.name.clone(), self.elaboration.ty(noise.def));
            crate::ir::system::Noise { path, ty, calculus: noise.calculus, span: def.span }
        });
        noises.collect()
    }

    /// The unknown of this position in the system.
    fn state(&self, position: usize) -> &'e State {
        &self.model.states[self.of.states.start + position]
    }

    /// The equation of an algebraic unknown is the line whose residual stands in its row.
    fn place_constraints(&self, system: &mut System, slots: &Slots) {
        let mut entry = 0;
        for state in &mut system.states {
            let count = state.ty.shape.count();
            let line = slots.lines[entry..entry + count].iter().flatten().next();
            if let (UnknownKind::Algebraic, Some((line, _))) = (state.kind, line) {
                state.equation = self.of.dynamics.lines[*line].span;
            }
            entry += count;
        }
    }

    /// Field, mass matrix and diffusion.
    fn equations(&self, system: &mut System, rows: &mut Rows) -> Made<()> {
        let slots = self.slots(rows, &system.states)?;
        self.place_constraints(system, &slots);
        let rest = std::mem::take(&mut rows.rest);
        system.field = self.field(system, rest, &rows.order, &slots);
        system.diffusion = self.diffusion(system, rows, &slots);
        system.mass = self.mass(system, rows, &slots);
        if system.mass.is_some() {
            let noisy_line = rows.which.iter().find_map(|(equation, input)| {
                let line = equation.checked_sub(slots.n_solved)?;
                matches!(input, Input::White(_)).then_some(line)
            });
            if let Some(line) = noisy_line {
                let span = self.of.dynamics.lines[line].span;
                let instead = "solve the line for its prime, so that it stands alone on the left";
                return Err(Box::new(errors::not_yet(span, "noise beside a mass matrix is", instead)));
            }
        }
        let open: Vec<usize> = (0..slots.lines.len()).filter(|entry| slots.lines[*entry].is_some()).collect();
        system.rates = self.rates(system, &open, &slots);
        system.constraints = slots.constraints;
        Ok(())
    }

    fn field(&self, system: &System, rest: Func, order: &[Input], slots: &Slots) -> Func {
        let mut b = Builder::new("field");
        let inputs = self.inputs(&mut b, order);
        let rest = b.absorb(rest, &inputs);
        let mut results: Vec<(Arc<str>, ValueId)> = Vec::new();
        let mut entry = 0;
        for (number, state) in system.states.iter().enumerate() {
            let count = state.ty.shape.count();
            let value = match (slots.solved[number], state.kind) {
                (Some(at), _) => rest[at],
                (None, UnknownKind::Discrete) => b.splat(0.0, state.ty.clone()),
                (None, UnknownKind::Rate | UnknownKind::Algebraic) => {
                    let mut parts = Vec::new();
                    for entry in entry..entry + count {
                        let (line, at) =
                            slots.lines[entry].expect("an open unknown has a line for each entry");
                        let flat = b.flatten(rest[slots.n_solved + line]);
                        let part = b.part(flat, at, at + 1);
                        parts.push(if slots.constraints[entry] { part } else { b.neg(part) });
                    }
                    let packed = b.pack(&parts, state.ty.dtype);
                    b.reshape(packed, state.ty.shape.clone())
                }
            };
            results.push((format!("{}'", state.name).into(), value));
            entry += count;
        }
        let first_channel = slots.n_solved + self.of.dynamics.lines.len();
        for (channel, value) in system.channels.iter().zip(&rest[first_channel..]) {
            results.push((format!("{}'", channel.name).into(), *value));
        }
        b.finish(unique(results))
    }

    /// `None` if it is the identity on the rows of rates and zero on those of constraints.
    fn mass(&self, system: &System, rows: &Rows, slots: &Slots) -> Option<Func> {
        if self.of.dynamics.lines.is_empty() {
            return None;
        }
        let n = slots.lines.len();
        let mut b = Builder::new("mass");
        let inputs = self.inputs(&mut b, &rows.order);
        let blocks = b.inline(&rows.blocks, &inputs);
        let (mut matrix, mut unit) = (Vec::with_capacity(n), true);
        for entry in 0..n {
            let row = match slots.lines[entry] {
                None => self.unit_row(&mut b, n, Some(entry)),
                Some(_) if slots.constraints[entry] => self.unit_row(&mut b, n, None),
                Some((line, at)) => {
                    let at = at as u32;
                    let mut parts = Vec::new();
                    for (state, Unknown { ty, .. }) in system.states.iter().enumerate() {
                        let count = ty.shape.count();
                        let block = (slots.n_solved + line, Input::Prime(state));
                        parts.push(match rows.which.iter().position(|which| *which == block) {
                            Some(block) => b.slice(blocks[block], &[(at, at + 1), (0, count as u32)]),
                            None => b.splat(0.0, Type::new(self.elaboration.bindings.real, &[1, count])),
                        });
                    }
                    let row = b.concat(&parts, 1);
                    unit &= row == self.unit_row(&mut b, n, Some(entry));
                    row
                }
            };
            matrix.push(row);
        }
        let mass = b.concat(&matrix, 0);
        (!unit).then(|| b.finish(vec![("mass".into(), mass)]))
    }

    /// The states whose rate a line in solved form gives.
    fn solved(&self) -> impl Iterator<Item = usize> + use<'e> {
        let states = self.model.states[self.of.states.clone()].iter().enumerate();
        states.filter(|(_, state)| state.rate.is_some()).map(|(number, _)| number)
    }

    /// A row of the identity matrix, or of zeros.
    fn unit_row(&self, b: &mut Builder, n: usize, at: Option<usize>) -> ValueId {
        let mut row = vec![0.0; n];
        if let Some(at) = at {
            row[at] = 1.0;
        }
        b.constant(&row, Type::new(self.elaboration.bindings.real, &[1, n]))
    }

    /// A parameter for each input of the motion, in its order, and zeros for primes.
    fn inputs(&self, b: &mut Builder, order: &[Input]) -> Vec<ValueId> {
        let signature = self.signature();
        let params: FastMap<Input, ValueId> =
            signature.into_iter().map(|(input, name, ty)| (input, b.param(name, ty))).collect();
        let inputs = order.iter().map(|input| {
            if let Some(value) = params.get(input) {
                return *value;
            }
            match input {
                Input::Prime(state) => {
                    let ty = self.elaboration.ty(self.model.states[*state].def);
                    b.splat(0.0, ty)
                }
                Input::White(noise) => {
                    let ty = self.elaboration.ty(self.of.dynamics.noises[self.noise(*noise)].def);
                    b.splat(0.0, ty)
                }
                other => crate::bug!("the motion reads {other:?}"),
            }
        });
        inputs.collect()
    }

    /// The position in the system of the noise of this number.
    fn noise(&self, number: usize) -> usize {
        let is_this = |noise: &typed::Noise| self.model.defs[noise.def].kind == DefKind::Noise(number);
        self.of
            .dynamics
            .noises
            .iter()
            .position(is_this)
            .unwrap_or_else(|| crate::bug!("a noise of another system"))
    }

    /// The equations, taken apart.
    fn rows(&mut self) -> Made<Rows> {
        let (model, first) = (self.model, self.of.states.start);
        let Dynamics { lines, .. } = &self.of.dynamics;
        let solved = self.solved();
        let mut frame = Frame::with_args("equations", self.world, self.args);
        let (mut results, mut spans) = (Vec::new(), Vec::new());
        for number in solved.map(|position| first + position) {
            results.push((model.defs[model.states[number].def].name.clone(), frame.rate(number)?));
            spans.push(model.states[number].rate.as_ref().map(|rate| rate.span));
        }
        for line in lines {
            results.push(("line".into(), frame.value(&line.residual)?));
            spans.push(Some(line.span));
        }
        for number in self.of.channels.clone() {
            results.push(("channel".into(), frame.channel_rate(number)?));
            spans.push(None);
        }
        let (func, order) = frame.finish(unique(results));
        let is_prime = |input: &Input| matches!(input, Input::Prime(_) | Input::White(_));
        let primes: Vec<usize> = (0..order.len()).filter(|at| is_prime(&order[*at])).collect();
        if primes.is_empty() {
            let mut b = Builder::new("blocks");
            for port in &func.params {
                b.param(port.name.clone(), func.ty(port.value).clone());
            }
            let blocks = b.finish(Vec::new());
            return Ok(Rows { rest: func, order, blocks, which: Vec::new(), patterns: Vec::new() });
        }
        let (blocks, which) =
            match primes::coefficients(&func, &primes).map_err(|e| Box::new(e.diagnostic()))? {
                Ok(found) => found,
                Err(not) => {
                    let span = spans[not.result].unwrap_or(self.of.span);
                    return Err(Box::new(match order[not.param] {
                        Input::White(noise) => {
                            let def = self.of.dynamics.noises[self.noise(noise)].def;
                            errors::nonlinear_noise(span, &self.model.defs[def].name)
                        }
                        Input::Prime(state) => {
                            let name = &self.model.defs[self.model.states[state].def].name;
                            errors::nonlinear_prime(span, name, 1, "does not enter linearly", None)
                        }
                        other => crate::bug!("linear in {other:?}"),
                    }));
                }
            };
        // From here on unknowns and noises go by their positions in the system.
        let which = which.into_iter().map(|Block { result, param }| {
            let input = match order[param] {
                Input::Prime(state) => Input::Prime(state - first),
                Input::White(noise) => Input::White(self.noise(noise)),
                other => crate::bug!("a coefficient of {other:?}"),
            };
            (result, input)
        });
        let which = which.collect();
        let patterns = zeros::may_differ(&blocks);
        Ok(Rows { rest: primes::at_zero(&func, &primes), order, blocks, which, patterns })
    }

    /// Gives each entry of an open unknown an equation: one with its prime if there is one, one
    /// without primes to an algebraic unknown.
    fn slots(&self, rows: &Rows, states: &[Unknown]) -> Made<Slots> {
        let mut solved = vec![None; states.len()];
        self.solved().enumerate().for_each(|(equation, state)| solved[state] = Some(equation));
        let n_solved = self.solved().count();
        let (mut first, mut owner) = (Vec::with_capacity(states.len()), Vec::new());
        for (state, Unknown { ty, .. }) in states.iter().enumerate() {
            first.push(owner.len());
            owner.extend(std::iter::repeat_n(state, ty.shape.count()));
        }
        let n = owner.len();
        let mut slots = Slots { n_solved, solved, lines: vec![None; n], constraints: vec![false; n] };
        let is_open = |entry: usize| {
            let state = self.state(owner[entry]);
            state.rate.is_none() && state.kind != UnknownKind::Discrete
        };
        // Each row of a line with the entries whose primes it has.
        let mut with_primes: Vec<((usize, usize), Vec<usize>)> = Vec::new();
        let mut without: Vec<(usize, usize)> = Vec::new();
        for (line, port) in
            rows.rest.results[n_solved..].iter().take(self.of.dynamics.lines.len()).enumerate()
        {
            for at in 0..rows.rest.ty(port.value).shape.count() {
                let mut entries = Vec::new();
                for ((equation, input), pattern) in rows.which.iter().zip(&rows.patterns) {
                    let Input::Prime(state) = input else { continue };
                    if *equation == n_solved + line {
                        let count = states[*state].ty.shape.count();
                        let row = &pattern[at * count..(at + 1) * count];
                        entries.extend((0..count).filter(|j| row[*j]).map(|j| first[*state] + j));
                    }
                }
                match entries.is_empty() {
                    true => without.push((line, at)),
                    false => with_primes.push(((line, at), entries)),
                }
            }
        }
        // Rows with primes go to entries of states, that of the prime if that can be; augmenting
        // paths as in Kuhn's method for bipartite matchings.
        let mut row_of: Vec<Option<usize>> = vec![None; n];
        for row in 0..with_primes.len() {
            let mut tried = vec![false; n];
            if !matched(row, &with_primes, &mut row_of, &mut tried) {
                let span = self.of.dynamics.lines[with_primes[row].0.0].span;
                let instead = "eliminate the prime from all lines but one, and solve that one for it";
                return Err(Box::new(errors::not_yet(
                    span,
                    "two lines with the prime of one unknown are",
                    instead,
                )));
            }
        }
        for (entry, row) in row_of.iter().enumerate() {
            slots.lines[entry] = row.map(|row| with_primes[row].0);
        }
        let is_algebraic = |entry: &usize| self.state(owner[*entry]).kind == UnknownKind::Algebraic;
        let open: Vec<usize> = (0..n).filter(|at| is_open(*at) && slots.lines[*at].is_none()).collect();
        let (algebraic, zero_rows): (Vec<usize>, Vec<usize>) = open.iter().copied().partition(is_algebraic);
        if open.len() != without.len() {
            crate::bug!("{} equations for {} unknowns", without.len(), open.len());
        }
        for (entry, row) in algebraic.into_iter().chain(zero_rows).zip(without) {
            slots.lines[entry] = Some(row);
            slots.constraints[entry] = true;
        }
        Ok(slots)
    }

    /// The field with the mass matrix solved away on the `open` entries, if that can be.
    fn rates(&self, system: &System, open: &[usize], slots: &Slots) -> Option<Func> {
        let mass = system.mass.as_ref()?;
        if slots.constraints.contains(&true) || open.len() > linear::MAX_ELIMINATED {
            return None;
        }
        let n_states = system.states.len();
        let mut b = Builder::new("rates");
        let params: Vec<ValueId> = system
            .field
            .params
            .iter()
            .map(|port| b.param(port.name.clone(), system.field.ty(port.value).clone()))
            .collect();
        let field = b.inline(&system.field, &params);
        let matrix = b.inline(mass, &params)[0];
        let real = self.elaboration.bindings.real;
        let flat = b.pack(&field[..n_states], real);
        let mut entries: Vec<ValueId> =
            (0..b.shape(flat).count()).map(|at| b.part(flat, at, at + 1)).collect();
        let right: Vec<ValueId> = open.iter().map(|at| entries[*at]).collect();
        let mut rows = Vec::new();
        for row in open.iter().map(|at| *at as u32) {
            let row_entries: Vec<ValueId> = open
                .iter()
                .map(|at| b.slice(matrix, &[(row, row + 1), (*at as u32, *at as u32 + 1)]))
                .collect();
            rows.push(b.concat(&row_entries, 1));
        }
        let (matrix, right) = (b.concat(&rows, 0), b.pack(&right, real));
        let found = linear::solved(&mut b, matrix, right);
        for (position, at) in open.iter().enumerate() {
            entries[*at] = b.part(found, position, position + 1);
        }
        let flat = b.pack(&entries, real);
        let shapes: Vec<Shape> = system.states.iter().map(|state| state.ty.shape.clone()).collect();
        let states = b.unpack(flat, &shapes);
        let values = states.into_iter().chain(field[n_states..].iter().copied());
        let names = system.field.results.iter().map(|port| port.name.clone());
        let results = names.zip(values).collect();
        Some(b.finish(results))
    }

    /// `g: [n, m]` over the entries of all states and of all noises.
    fn diffusion(&self, system: &System, rows: &Rows, slots: &Slots) -> Option<Func> {
        if system.noises.is_empty() {
            return None;
        }
        let mut b = Builder::new("diffusion");
        let inputs = self.inputs(&mut b, &rows.order);
        let blocks = b.inline(&rows.blocks, &inputs);
        let block = |equation: usize, noise: usize| {
            rows.which.iter().position(|which| *which == (equation, Input::White(noise))).map(|at| blocks[at])
        };
        let mut matrix = Vec::new();
        let mut entry = 0;
        for (state, Unknown { ty, .. }) in system.states.iter().enumerate() {
            let count = ty.shape.count();
            // Whole blocks of rates, single rows of lines.
            let rows: Vec<(Option<usize>, Option<u32>, usize)> = match slots.solved[state] {
                Some(equation) => vec![(Some(equation), None, count)],
                None => (entry..entry + count)
                    .map(|entry| match slots.lines[entry] {
                        Some((line, row)) => (Some(slots.n_solved + line), Some(row as u32), 1),
                        None => (None, None, 1),
                    })
                    .collect(),
            };
            for (equation, row, height) in rows {
                let mut parts = Vec::new();
                for (noise, Type { shape, dtype }) in system.noises.iter().map(|noise| &noise.ty).enumerate()
                {
                    let m = shape.count();
                    parts.push(match (equation.and_then(|equation| block(equation, noise)), row) {
                        (Some(block), None) => block,
                        (Some(block), Some(row)) => {
                            let part = b.slice(block, &[(row, row + 1), (0, m as u32)]);
                            b.neg(part)
                        }
                        (None, _) => b.splat(0.0, Type::new(*dtype, &[height, m])),
                    });
                }
                matrix.push(b.concat(&parts, 1));
            }
            entry += count;
        }
        let matrix = b.concat(&matrix, 0);
        Some(b.finish(vec![("diffusion".into(), matrix)]))
    }
}

/// Finds an entry for `row`, moving other rows on if that helps.
fn matched(
    row: usize,
    rows: &[((usize, usize), Vec<usize>)],
    row_of: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    let free = rows[row].1.iter().copied().find(|entry| row_of[*entry].is_none());
    if let Some(entry) = free {
        row_of[entry] = Some(row);
        return true;
    }
    for entry in rows[row].1.iter().copied() {
        if std::mem::replace(&mut tried[entry], true) {
            continue;
        }
        let other = row_of[entry].expect("no entry is free");
        if matched(other, rows, row_of, tried) {
            row_of[entry] = Some(row);
            return true;
        }
    }
    false
}
