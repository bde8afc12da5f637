//! Does a motion jump where a comparison changes? Asked by trying.
//!
//! Along random lines through the unknowns, each with params and data of its own near those the run
//! begins with, a place is bisected where the comparison changes, and the motion is evaluated on either
//! side at two distances. What jumps differs by as much close by as farther off; where two sides meet,
//! the difference goes with the distance.

use super::sides::{self, Users};
use super::{Candidate, Kind};
use crate::base::random::Stream;
use crate::ir::eval;
use crate::ir::func::{Attr, Func, Port, ValueId, without_dead_nodes};
use crate::ir::op::Op;
use crate::ir::ops::leaf::converted;
use crate::ir::program::Program;
use crate::ir::system::{System, UnknownKind};
use crate::ir::tensor::Tensor;
use crate::ir::types::{DType, Type};

/// How far the ends of lines are from the start of the run, against the size of an unknown; again and
/// again.
const REACH: [f64; 8] = [1.0, 0.3, 3.0, 1.0, 10.0, 100.0, 0.1, 1000.0];
/// Lines before a comparison that never changes is taken for one that jumps.
const MAX_LINES: usize = 16;
/// Places that are enough of one number, and those taken from one line. Of the many of a layer, which cost
/// more, one place is.
const ENOUGH: usize = 6;
const PER_LINE: usize = 2;
/// Intervals of a line within which one change is looked for.
const INTERVALS: usize = 8;
/// Of many numbers one changes soon.
const INTERVALS_OF_MANY: usize = 2;
/// How closely a place is found, against the distance at which the motion is evaluated beside it.
const NARROW: f64 = 0.01;
/// A difference that shrinks by less than this while the distance shrinks by [`Distances`] is a jump.
const PERSISTS: f64 = 0.1;

/// Distances from the place of change, as shares of the line, and the rounding errors of an
/// evaluation, as a share of its result.
pub(super) struct Distances {
    pub near: f64,
    pub far: f64,
    rounding: f64,
}

impl Distances {
    pub fn of(real: DType) -> Distances {
        match real {
            DType::F32 => Distances { near: 1e-5, far: 1e-2, rounding: 1e-4 },
            DType::F64 | DType::I64 | DType::Bool => Distances { near: 1e-12, far: 1e-6, rounding: 1e-9 },
        }
    }
}

/// The candidates where a motion, or the comparison of another one that jumps, jumps.
pub(super) fn jumping(func: &Func, candidates: &[Candidate], ground: &Ground<'_>) -> Vec<Candidate> {
    // What must not jump: values, or differences of two.
    let mut smooth: Vec<(ValueId, Option<ValueId>)> =
        func.results.iter().map(|port| (port.value, None)).collect();
    let mut found = Vec::new();
    let users = Users::of(func);
    // Those that read others come first, so that what they compare is among what must not jump.
    for candidate in candidates.iter().rev() {
        if !sides::meet(func, &users, candidate, ground.program.real)
            && jumps(func, candidate, &smooth, ground)
        {
            let args = &func.nodes[candidate.node].args;
            smooth.push(match candidate.kind {
                Kind::Comparison { .. } => (args[1], Some(args[0])),
                Kind::Sign | Kind::Floor | Kind::Conversion => (args[0], None),
            });
            found.push(*candidate);
        }
    }
    found.reverse();
    found
}

fn jumps(
    func: &Func,
    candidate: &Candidate,
    smooth: &[(ValueId, Option<ValueId>)],
    ground: &Ground<'_>,
) -> bool {
    // What changes, and what it is compared with zero for, if it is.
    let node = &func.nodes[candidate.node];
    let compared: &[ValueId] = match candidate.kind {
        Kind::Comparison { .. } | Kind::Sign => &node.args,
        Kind::Floor | Kind::Conversion => &[],
    };
    let looked_at = [&[candidate.node], compared].concat();
    let results = looked_at.iter().map(|value| Port { name: "changes".into(), value: *value }).collect();
    let alone = without_dead_nodes(Func { results, ..func.clone() });
    let look = |line: &Line, share: f64| eval::eval(&alone, &line.at(share)).ok();
    let at = |line: &Line, share: f64| look(line, share).map(|mut values| values.swap_remove(0));
    let (enough, intervals) =
        if node.ty.shape.count() == 1 { (ENOUGH, INTERVALS) } else { (1, INTERVALS_OF_MANY) };
    let mut seen = 0;
    for number in 0..MAX_LINES {
        let line = ground.line(number);
        let mut here = 0;
        let mut left = (0.0, at(&line, 0.0));
        for right in 1..=intervals {
            let right = right as f64 / intervals as f64;
            let right = (right, at(&line, right));
            if let ((lo, Some(before)), (hi, Some(after))) = (&left, &right)
                && let Some(entry) = (0..before.data.len()).find(|at| before.data[*at] != after.data[*at])
            {
                let same = |share: f64| {
                    at(&line, share).is_some_and(|value| value.data[entry] == before.data[entry])
                };
                let height = |share: f64| {
                    let values = look(&line, share)?;
                    let [_, first, rest @ ..] = values.as_slice() else { return None };
                    Some(first.data[entry] - rest.first().map_or(0.0, |second| second.data[entry]))
                };
                let near = Distances::of(line.real).near;
                let place = crossed((*lo, *hi), near, height, same)
                    .unwrap_or_else(|| bisected((*lo, *hi), near, same));
                if jumps_at(func, smooth, &line, place) {
                    return true;
                }
                (seen, here) = (seen + 1, here + 1);
                if seen == enough {
                    return false;
                }
                if here == PER_LINE {
                    break;
                }
            }
            left = right;
        }
    }
    // Nobody knows.
    seen == 0
}

/// Two places much nearer to each other than `near` between which `same` stops to hold, by the secant
/// method for the zero of `height`; `None` if it does not lead there.
pub(super) fn crossed(
    (lo, hi): (f64, f64),
    near: f64,
    height: impl Fn(f64) -> Option<f64>,
    same: impl Fn(f64) -> bool,
) -> Option<(f64, f64)> {
    /// Doubles the digits at least every other step.
    const STEPS: usize = 12;
    let room = NARROW * near;
    let (mut a, mut b) = ((lo, height(lo)?), (hi, height(hi)?));
    for _ in 0..STEPS {
        let c = b.0 - b.1 * (b.0 - a.0) / (b.1 - a.1);
        if !(lo < c - room && c + room < hi) {
            return None;
        }
        if (c - b.0).abs() <= 0.5 * room {
            return (same(c - room) && !same(c + room)).then_some((c - room, c + room));
        }
        (a, b) = (b, (c, height(c)?));
    }
    None
}

/// Two places much nearer to each other than `near`, or neighbouring numbers, between which `same` stops
/// to hold.
pub(super) fn bisected((mut lo, mut hi): (f64, f64), near: f64, same: impl Fn(f64) -> bool) -> (f64, f64) {
    loop {
        let middle = lo + 0.5 * (hi - lo);
        if hi - lo <= NARROW * near || middle <= lo || middle >= hi {
            return (lo, hi);
        }
        match same(middle) {
            true => lo = middle,
            false => hi = middle,
        }
    }
}

fn jumps_at(func: &Func, smooth: &[(ValueId, Option<ValueId>)], line: &Line, (lo, hi): (f64, f64)) -> bool {
    let Distances { near, far, .. } = Distances::of(line.real);
    let values = |share: f64| eval::values(func, &line.at(share)).ok();
    let points = [lo - far, lo - near, hi + near, hi + far].map(values);
    let [Some(before_far), Some(before), Some(after), Some(after_far)] = &points else { return true };
    smooth.iter().any(|(value, minus)| {
        let entry = |values: &[Tensor], at: usize| {
            let minus = minus.map_or(0.0, |minus| values[minus.0 as usize].data[at]);
            values[value.0 as usize].data[at] - minus
        };
        (0..func.ty(*value).shape.count()).any(|at| {
            differs([before_far, before, after, after_far].map(|values| entry(values, at)), line.real)
        })
    })
}

/// Whether a number with these values far before, near before, near after and far after a place
/// jumps there.
pub(super) fn differs([a, b, c, d]: [f64; 4], real: DType) -> bool {
    let size = [a, b, c, d].into_iter().fold(0.0, |size: f64, x| size.max(x.abs()));
    let (close, wide) = ((c - b).abs(), (d - a).abs());
    close > PERSISTS * wide && close > Distances::of(real).rounding * size
}

/// Where a motion is tried: around the start of a run of it.
pub(super) struct Ground<'a> {
    program: &'a Program,
    system: &'a System,
    types: Vec<Type>,
    /// Its number.
    number: usize,
    /// Whether numbers become integers, which may be indices.
    counts: bool,
}

/// Arguments of the motion along a line, by the share of it.
struct Line {
    real: DType,
    ends: Vec<[Tensor; 2]>,
}

impl Line {
    fn at(&self, share: f64) -> Vec<Tensor> {
        let between = |[from, to]: &[Tensor; 2]| {
            let pairs = from.data.iter().zip(&to.data);
            let data = pairs.map(|(a, b)| match a == b {
                true => *a,
                false => converted(a + share * (b - a), from.ty.dtype),
            });
            Tensor::new(from.ty.clone(), data.collect())
        };
        self.ends.iter().map(between).collect()
    }
}

impl<'a> Ground<'a> {
    pub fn new(program: &'a Program, number: usize, func: &Func) -> Ground<'a> {
        let is_count = |node: &crate::ir::func::Node| {
            node.op == Op::Convert && matches!(node.attr, Attr::To(DType::I64))
        };
        Ground {
            program,
            system: &program.systems[number],
            types: func.param_types().cloned().collect(),
            number,
            counts: func.nodes.iter().any(is_count),
        }
    }

    /// Line number `number`.
    fn line(&self, number: usize) -> Line {
        let mut stream = Stream::new(0, &self.system.name, number as u64, 0);
        let outside = self.outside(&mut stream);
        let known = self.start(&outside);
        // Start and end come first, then states, channels and args.
        let (t0, t1) = known.as_ref().map_or((0.0, 1.0), |known| (known[0].data[0], known[1].data[0]));
        let mut ends = Vec::new();
        let time = [0, 1].map(|_| t0 + (t1 - t0) * stream.uniform());
        for _ in ["t", "inside"] {
            ends.push(
                time.map(|t| Tensor::new(self.types[0].clone(), vec![converted(t, self.program.real)])),
            );
        }
        let of_start = |at: usize| known.as_ref().map(|known| known[2 + at].data.clone());
        let (n_states, n_channels) = (self.system.states.len(), self.system.channels.len());
        let reach = REACH[number % REACH.len()];
        for at in 0..n_states + n_channels {
            let ty = &self.types[2 + at];
            let start = of_start(at).unwrap_or_else(|| vec![0.0; ty.shape.count()]);
            let rests = self.system.states.get(at).is_some_and(|state| state.kind == UnknownKind::Discrete);
            let first = moved(&start, ty, reach, rests && self.counts, &mut stream);
            let second = match rests {
                true => first.clone(),
                false => moved(&start, ty, reach, false, &mut stream),
            };
            ends.push([first, second]);
        }
        for at in n_states + n_channels..n_states + n_channels + self.system.args.len() {
            let ty = &self.types[2 + at];
            let value = match of_start(at) {
                Some(value) => Tensor::new(ty.clone(), value),
                None => moved(&vec![0.0; ty.shape.count()], ty, 1.0, !ty.dtype.is_float(), &mut stream),
            };
            ends.push([value.clone(), value]);
        }
        ends.extend(outside.into_iter().map(|value| [value.clone(), value]));
        Line { real: self.program.real, ends }
    }

    /// Params and data near those of the beginning. The entries of a data field keep their order.
    fn outside(&self, stream: &mut Stream) -> Vec<Tensor> {
        let mut outside = Vec::new();
        for param in &self.program.params {
            let near = |x: &f64, stream: &mut Stream| match *x == 0.0 {
                true => 0.1 * stream.normal(),
                false => x * (1.0 + 0.1 * stream.normal()),
            };
            let data = param.init.iter().map(|x| converted(near(x, stream), param.ty.dtype)).collect();
            outside.push(Tensor::new(param.ty.clone(), data));
        }
        for port in &self.program.data {
            let (ty, count) = (&port.ty, port.ty.shape.count());
            let factor = if ty.dtype.is_float() { 1.0 + 0.1 * stream.uniform() } else { 1.0 };
            let data = match &port.value {
                Some(value) => value.iter().map(|x| converted(x * factor, ty.dtype)).collect(),
                None if ty.dtype.is_float() => {
                    (0..count).map(|_| converted(stream.normal(), ty.dtype)).collect()
                }
                None => vec![0.0; count],
            };
            outside.push(Tensor::new(ty.clone(), data));
        }
        outside
    }

    /// What a run of the system starts with: start and end, unknowns, args; `None` if that needs other
    /// runs or is no number.
    fn start(&self, outside: &[Tensor]) -> Option<Vec<Tensor>> {
        let solve = self.program.solves.iter().find(|solve| solve.system == self.number)?;
        if solve.start.params.len() != outside.len() {
            return None;
        }
        let start = crate::ad::expand(solve.start.clone()).ok()?;
        let known = eval::eval(&start, outside).ok()?;
        known.iter().all(|value| value.data.iter().all(|x| x.is_finite())).then_some(known)
    }
}

/// `start` moved by random numbers of its own size, or at least 1, times `reach`.
fn moved(start: &[f64], ty: &Type, reach: f64, stays: bool, stream: &mut Stream) -> Tensor {
    let by = |x: &f64, stream: &mut Stream| match stays {
        true => *x,
        false => converted(x + reach * x.abs().max(1.0) * stream.normal(), ty.dtype),
    };
    Tensor::new(ty.clone(), start.iter().map(|x| by(x, stream)).collect())
}
