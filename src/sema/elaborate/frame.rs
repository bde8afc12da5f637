//! One function of the IR in the making.
//!
//! A frame turns typed expressions into nodes. Its inputs are declared when they are first met. A
//! name has one node for each moment it is evaluated at, and a name that a derivative operator
//! varies has a node that nothing else can be: a `variable`.

mod arrays;
mod choice;
mod eigen;
mod fold;
mod linear;
mod motion;
mod sites;

pub(super) use sites::{AllSites, Sites};

use super::guard::{anywhere, both, guarded};
use super::{Made, moves, number_of};
use crate::base::hash::FastMap;
use crate::base::index::{Idx, IndexVec};
use crate::base::span::Span;
use crate::ir::builder::Builder;
use crate::ir::func::{Attr, Func, ValueId};
use crate::ir::op::Op;
use crate::ir::types::{DType, Shape, Type};
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::prelude::{Reduction, spread};
use crate::sema::sizes::Sizes;
use crate::sema::typed::{
    Channel, Def, DefId, DefKind, Elem, Expr, Kind, Loop, Moved, Pick, State, dims_text,
};
use choice::is_elementwise;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most values that a comprehension may have: each is a copy of its body.
const MAX_UNROLLED: usize = 20_000;

/// Most turns of the loops of a comprehension, those counted whose condition is false.
pub(crate) const MAX_TURNS: usize = 1 << 20;

/// Most elements of one value, and of all states together. Memory and the time to compile grow
/// with them, so a size beyond is more likely a slip of the pen.
pub(super) const MAX_ELEMENTS: usize = 1 << 24;

/// Refuses a value of more than [`MAX_ELEMENTS`].
fn small_enough(count: usize, shape: impl FnOnce() -> String, span: Span) -> Made<()> {
    if count <= MAX_ELEMENTS {
        return Ok(());
    }
    Err(Box::new(errors::too_large(span, &format!("a value of shape {}", shape()), MAX_ELEMENTS)))
}

/// What a frame knows of the model.
#[derive(Clone, Copy)]
pub(super) struct World<'m> {
    pub defs: &'m IndexVec<DefId, Def>,
    pub sizes: &'m Sizes,
    pub ragged: &'m BTreeMap<u32, DefId>,
    pub states: &'m [State],
    pub channels: &'m [Channel],
    pub interval: Option<&'m (Expr, Expr)>,
    /// The independent variable of the system that the function belongs to.
    pub time: Option<DefId>,
    /// The number of the run of the file.
    pub main: usize,
    /// Which call stands for a call.
    pub shared: &'m [Cell<usize>],
    pub real: DType,
}

/// Something that a function is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Input {
    Time,
    /// A time inside the smooth piece of the motion that is meant.
    Inside,
    State(usize),
    Channel(usize),
    /// The prime of a state that no line in solved form gives.
    Prime(usize),
    /// The prime of a noise.
    White(usize),
    Start,
    End,
    /// The start or (`true`) the end of a run.
    Ends(usize, bool),
    /// Of a run, at a site, an unknown.
    Site(usize, usize, Moved),
    /// What a run computes once for its motion.
    Arg(usize),
    Param(usize),
    Data(usize),
}

/// When states are evaluated.
#[derive(Clone, Copy)]
pub(super) enum Moment<'m> {
    /// There is no time.
    Never,
    /// At the time of the function.
    Now,
    /// At a site: which, at which of its times, and the expression for these.
    Site { site: usize, element: Option<usize>, time: &'m Expr },
    /// At a time, where nothing but paths is asked for.
    Instant(ValueId),
}

impl Moment<'_> {
    /// What tells moments apart.
    fn key(self) -> (usize, usize) {
        match self {
            Moment::Never => (0, 0),
            Moment::Now => (1, 0),
            Moment::Site { site, element, time: _ } => (site + 3, element.map_or(0, |element| element + 1)),
            Moment::Instant(time) => (2, time.index()),
        }
    }
}

/// What has a node of its own in a frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Named {
    Def(DefId),
    Rate(usize),
    ChannelRate(usize),
    /// What a fold that carries this makes, or a scan.
    Carried(DefId, bool),
}

/// The name, the moment, the values of the loops around its declaration, the guard.
type Key = (Named, (usize, usize), Vec<i64>, Option<ValueId>);

/// A function in the making.
pub(super) struct Frame<'m, 's> {
    pub b: Builder,
    world: World<'m>,
    moment: Moment<'m>,
    sites: Option<&'s mut AllSites<'m>>,
    /// Whether `start` and `end` are those of the interval, computed here.
    pub own_ends: bool,
    /// What the motion asks to be computed once, if this is a function of it.
    args: Option<&'s mut Vec<&'m Expr>>,
    inputs: Vec<Input>,
    input_values: FastMap<Input, ValueId>,
    memo: FastMap<Key, ValueId>,
    loops: Vec<(u32, i64)>,
    guard: Option<ValueId>,
}

impl<'m, 's> Frame<'m, 's> {
    pub fn new(name: &str, world: World<'m>, moment: Moment<'m>) -> Frame<'m, 's> {
        Frame {
            b: Builder::new(name),
            world,
            moment,
            sites: None,
            own_ends: false,
            args: None,
            inputs: Vec::new(),
            input_values: FastMap::default(),
            memo: FastMap::default(),
            loops: Vec::new(),
            guard: None,
        }
    }

    pub fn with_sites(
        name: &str,
        world: World<'m>,
        moment: Moment<'m>,
        sites: &'s mut AllSites<'m>,
    ) -> Frame<'m, 's> {
        Frame { sites: Some(sites), ..Frame::new(name, world, moment) }
    }

    /// A function of the motion, which may read what a run computes once.
    pub fn with_args(name: &str, world: World<'m>, args: &'s mut Vec<&'m Expr>) -> Frame<'m, 's> {
        Frame { args: Some(args), ..Frame::new(name, world, Moment::Now) }
    }

    /// The function, and the inputs that its parameters are.
    pub fn finish(self, results: Vec<(Arc<str>, ValueId)>) -> (Func, Vec<Input>) {
        (self.b.finish(results), self.inputs)
    }

    // ---- types -----------------------------------------------------------------------------

    fn number(&self, dim: &Dim, span: Span) -> Made<i64> {
        number_of(dim, &self.loops, self.world.sizes, span)
    }

    fn shape(&self, dims: &[Dim], span: Span) -> Made<Shape> {
        let sizes = dims.iter().map(|dim| {
            let n = self.number(dim, span)?;
            usize::try_from(n).map_err(|_| Box::new(errors::negative_size(span, n)))
        });
        let sizes = sizes.collect::<Made<Vec<usize>>>()?;
        let count = sizes.iter().fold(1_usize, |count, size| count.saturating_mul(*size));
        small_enough(count, || dims_text(dims), span)?;
        Ok(Shape(sizes.into()))
    }

    fn dtype(&self, elem: Elem) -> DType {
        match elem {
            Elem::Real => self.world.real,
            Elem::Int => DType::I64,
            Elem::Bool => DType::Bool,
        }
    }

    pub fn def_type(&self, def: DefId) -> Made<Type> {
        let found = &self.world.defs[def];
        Ok(Type { dtype: self.dtype(found.ty.elem), shape: self.shape(&found.ty.dims, found.span)? })
    }

    pub fn input(&mut self, input: Input, ty: Type) -> ValueId {
        if let Some(value) = self.input_values.get(&input) {
            return *value;
        }
        let value = self.b.param(format!("{input:?}"), ty);
        self.inputs.push(input);
        self.input_values.insert(input, value);
        value
    }

    // ---- names -----------------------------------------------------------------------------

    /// The node of a name at the present moment.
    fn def(&mut self, def: DefId) -> Made<ValueId> {
        let found = &self.world.defs[def];
        let loops = found.loops.iter().map(|symbol| self.number(&Dim::symbol(symbol.clone()), found.span));
        let loops = loops.collect::<Made<Vec<i64>>>()?;
        let moment = if moves(found.phase) { self.moment.key() } else { (0, 0) };
        // A name that is varied has one node, whatever branch it is seen from: the node the
        // derivative is taken by must be the node that is used.
        let guard = if found.varied || found.value.is_none() { None } else { self.guard };
        let key = (Named::Def(def), moment, loops, guard);
        if let Some(value) = self.memo.get(&key) {
            return Ok(*value);
        }
        let outer = std::mem::replace(&mut self.guard, guard);
        let value = self.fresh(def);
        self.guard = outer;
        let mut value = value?;
        // States and the time are what primes vary. A state is a part of a larger tensor, here or
        // once functions are packed, and a part has no identity of its own.
        let moving = matches!(found.kind, DefKind::State(_) | DefKind::Time);
        if found.varied || moving {
            value = self.b.variable(value);
        }
        self.memo.insert(key, value);
        Ok(value)
    }

    fn fresh(&mut self, def: DefId) -> Made<ValueId> {
        let found = &self.world.defs[def];
        match found.kind {
            DefKind::Param(number) => {
                let ty = self.def_type(def)?;
                Ok(self.input(Input::Param(number), ty))
            }
            DefKind::Input(number) | DefKind::Data(number) => {
                let ty = self.def_type(def)?;
                Ok(self.input(Input::Data(number), ty))
            }
            DefKind::State(number) => {
                let main = self.world.main;
                let at = move |site| Input::Site(main, site, Moved::State(number));
                self.unknown(def, Input::State(number), &at)
            }
            DefKind::Channel(number) => {
                let main = self.world.main;
                let at = move |site| Input::Site(main, site, Moved::Channel(number));
                self.unknown(def, Input::Channel(number), &at)
            }
            DefKind::Time => self.time(),
            DefKind::Noise(_) => Err(Box::new(errors::bare_noise(found.span))),
            DefKind::Control | DefKind::Const | DefKind::Let | DefKind::Output | DefKind::Local => {
                match &found.value {
                    Some(value) => self.value(value),
                    None => crate::bug!("`{}` has no value", found.name),
                }
            }
        }
    }

    fn unknown(&mut self, def: DefId, now: Input, at: &dyn Fn(usize) -> Input) -> Made<ValueId> {
        let ty = Type { dtype: self.world.real, ..self.def_type(def)? };
        let value = match self.moment {
            Moment::Never | Moment::Instant(_) => {
                crate::bug!("`{}` has no value outside the run", self.world.defs[def].name)
            }
            Moment::Now => self.input(now, ty),
            Moment::Site { site, element: None, time: _ } => self.input(at(site), ty),
            Moment::Site { site, element: Some(element), time: _ } => {
                let all = self.all_at_site(site, &ty, at);
                self.row(all, element)
            }
        };
        Ok(self.counted(def, value))
    }

    /// An unknown as it is declared: a discrete integer is kept as a real.
    fn counted(&mut self, def: DefId, value: ValueId) -> ValueId {
        match self.world.defs[def].ty.elem {
            Elem::Int => self.b.must(Op::Convert, &[value], Attr::To(DType::I64)),
            Elem::Real | Elem::Bool => value,
        }
    }

    fn all_at_site(&mut self, site: usize, ty: &Type, at: &dyn Fn(usize) -> Input) -> ValueId {
        let main = self.world.main;
        let count = self.sites.as_ref().and_then(|sites| sites[main].count(site));
        let mut ty = ty.clone();
        if let Some(count) = count {
            ty.shape.0.insert(0, count);
        }
        self.input(at(site), ty)
    }

    /// Element `at` along the first axis.
    fn row(&mut self, x: ValueId, at: usize) -> ValueId {
        let dims = self.b.shape(x).dims().to_vec();
        let mut ranges: Vec<(u32, u32)> = dims.iter().map(|n| (0, *n as u32)).collect();
        ranges[0] = (at as u32, at as u32 + 1);
        let slice = self.b.slice(x, &ranges);
        self.b.reshape(slice, Shape::new(&dims[1..]))
    }

    fn time(&mut self) -> Made<ValueId> {
        match self.moment {
            Moment::Never => crate::bug!("there is no time outside the run"),
            Moment::Now => Ok(self.input(Input::Time, Type::scalar(self.world.real))),
            Moment::Instant(time) => Ok(time),
            Moment::Site { time, element, site: _ } => {
                let times = self.at(Moment::Never, |frame| frame.value(time))?;
                Ok(match element {
                    Some(element) => self.row(times, element),
                    None => times,
                })
            }
        }
    }

    /// What `make` makes at another moment.
    fn at<T>(&mut self, moment: Moment<'m>, make: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.moment, moment);
        let made = make(self);
        self.moment = outer;
        made
    }

    /// The rate of a state. It belongs to the motion, so no guard and no loop touches it.
    pub fn rate(&mut self, number: usize) -> Made<ValueId> {
        let states = self.world.states;
        match &states[number].rate {
            Some(rate) => self.apart(Named::Rate(number), rate),
            None => {
                let ty = self.def_type(states[number].def)?;
                Ok(self.input(Input::Prime(number), ty))
            }
        }
    }

    /// The integrand of a channel.
    pub fn channel_rate(&mut self, number: usize) -> Made<ValueId> {
        let channels = self.world.channels;
        self.apart(Named::ChannelRate(number), &channels[number].rate)
    }

    fn apart(&mut self, named: Named, expr: &'m Expr) -> Made<ValueId> {
        let key = (named, self.moment.key(), Vec::new(), None);
        if let Some(value) = self.memo.get(&key) {
            return Ok(*value);
        }
        let (guard, loops) = (self.guard.take(), std::mem::take(&mut self.loops));
        let value = self.value(expr);
        (self.guard, self.loops) = (guard, loops);
        let value = value?;
        self.memo.insert(key, value);
        Ok(value)
    }

    // ---- expressions -----------------------------------------------------------------------

    /// The node of an expression.
    pub fn value(&mut self, expr: &'m Expr) -> Made<ValueId> {
        let outer = self.b.span();
        self.b.set_span(Some(expr.span));
        let guard = self.guard;
        if let Some(by_element) = guard.filter(|_| !is_elementwise(&expr.kind)) {
            self.guard = Some(anywhere(&mut self.b, by_element));
        }
        let value = self.spanned(expr);
        self.guard = guard;
        self.b.set_span(outer);
        let value = value?;
        let shape = self.b.shape(value);
        small_enough(shape.count(), || shape.to_string(), expr.span)?;
        Ok(value)
    }

    fn values(&mut self, exprs: &'m [Expr]) -> Made<Vec<ValueId>> {
        exprs.iter().map(|expr| self.value(expr)).collect()
    }

    fn safe(&mut self, x: ValueId, safe: f64) -> ValueId {
        guarded(&mut self.b, self.guard, x, safe)
    }

    fn spanned(&mut self, expr: &'m Expr) -> Made<ValueId> {
        let real = self.world.real;
        match &expr.kind {
            Kind::Real(x) => Ok(self.b.scalar(*x, real)),
            Kind::Size(dim) if self.is_ragged(dim) => {
                let size = self.true_size(dim, expr)?;
                Ok(self.b.must(Op::Convert, &[size], Attr::To(DType::I64)))
            }
            Kind::Size(dim) => {
                let n = self.number(dim, expr.span)?;
                Ok(self.b.scalar(n as f64, DType::I64))
            }
            Kind::Bool(truth) => Ok(self.b.scalar(f64::from(u8::from(*truth)), DType::Bool)),
            Kind::Fill(x) => {
                let shape = self.shape(&expr.ty.dims, expr.span)?;
                Ok(self.b.splat(*x, Type { dtype: real, shape }))
            }
            Kind::Def(def) => self.def(*def),
            Kind::Rate(number) => self.rate(*number),
            Kind::ChannelRate(number) => self.channel_rate(*number),
            Kind::White(number) => {
                let shape = self.shape(&expr.ty.dims, expr.span)?;
                Ok(self.input(Input::White(*number), Type { dtype: real, shape }))
            }
            Kind::Path { scheme, time, times, values } => self.path(*scheme, *time, times, values, expr),
            Kind::ToInt(x) => {
                let x = self.value(x)?;
                Ok(self.b.must(Op::Convert, &[x], Attr::To(DType::I64)))
            }
            Kind::Start => self.end_of_run(Input::Start),
            Kind::End => self.end_of_run(Input::End),
            Kind::ToReal(x) => {
                if let Kind::Size(dim) = &x.kind {
                    if self.is_ragged(dim) {
                        return self.true_size(dim, expr);
                    }
                    let n = self.number(dim, expr.span)?;
                    return Ok(self.b.scalar(n as f64, real));
                }
                let x = self.value(x)?;
                Ok(self.b.must(Op::Convert, &[x], Attr::To(real)))
            }
            Kind::Elementwise(op, operands) => self.elementwise(*op, operands),
            Kind::Map(map, x) => {
                let x = self.value(x)?;
                let x = match map.safe_operand() {
                    Some(safe) => self.safe(x, safe),
                    None => x,
                };
                Ok(map.build(&mut self.b, x))
            }
            Kind::PowInt(x, n) => {
                let n = self.number(n, expr.span)?;
                let x = self.value(x)?;
                let x = if (0..=1).contains(&n) { x } else { self.safe(x, 1.0) };
                match i32::try_from(n) {
                    Ok(n) => Ok(self.b.pow_int(x, n)),
                    Err(_) => Err(Box::new(errors::not_yet(
                        expr.span,
                        format!("the power {n} is"),
                        "use a smaller exponent",
                    ))),
                }
            }
            Kind::MatMul(x, y) => {
                let (left, right) = (self.value(x)?, self.value(y)?);
                // What lies past the end of a short example must not be summed.
                let left = match x.ty.dims.last() {
                    Some(summed) if self.is_ragged(summed) => self.masked(left, x, 0.0)?,
                    Some(_) | None => left,
                };
                Ok(self.b.matmul(left, right))
            }
            Kind::Outer(x, y) => {
                let (x, y) = (self.value(x)?, self.value(y)?);
                Ok(self.b.einsum(x, y, &[0], &[1], &[0, 1]))
            }
            Kind::If(c, x, y) => self.choice(expr, c, x, y),
            Kind::Stack(parts) => {
                let values = self.values(parts)?;
                Ok(self.stacked(&values))
            }
            Kind::Concat(parts, axis) => {
                let values = self.values(parts)?;
                Ok(self.b.concat(&values, *axis))
            }
            Kind::Index(base, picks) => self.index(expr, base, picks),
            Kind::Reshape(x) => {
                let shape = self.shape(&expr.ty.dims, expr.span)?;
                let x = self.value(x)?;
                Ok(self.b.reshape(x, shape))
            }
            Kind::Permute(x, axes) => {
                let x = self.value(x)?;
                Ok(self.b.permute(x, axes))
            }
            Kind::Reverse(x, axis) => {
                let x = self.value(x)?;
                Ok(self.b.must(Op::Reverse, &[x], Attr::Axes([*axis].as_slice().into())))
            }
            Kind::Pad(..) | Kind::Repeat(..) | Kind::Iota | Kind::Eye | Kind::Cumsum(..) => {
                self.arranged(expr)
            }
            Kind::Einsum(..) | Kind::Extreme(..) | Kind::Gather(..) => self.arranged(expr),
            Kind::Determinant(..) | Kind::Eigen(..) | Kind::Solution(..) => self.arranged(expr),
            Kind::Reduce(reduction, x, axes)
                if axes.iter().any(|axis| self.is_ragged(&x.ty.dims[*axis as usize])) =>
            {
                self.ragged_reduction(*reduction, x, axes, expr.span)
            }
            Kind::Reduce(reduction, x, axes) => {
                let x = self.value(x)?;
                let empty = axes.iter().any(|axis| self.b.shape(x).dims()[*axis as usize] == 0);
                self.reduced(*reduction, x, axes, empty, expr.span)
            }
            Kind::Comprehension { loops, body, reduction } => {
                self.comprehension(expr, loops, body, *reduction)
            }
            Kind::Fold(fold, part) => self.fold(fold, *part, false, expr),
            Kind::Scan(fold, part) => self.fold(fold, *part, true, expr),
            Kind::Derivative { operator, of, by, with } => {
                self.derivative(*operator, of, *by, with.as_deref())
            }
            Kind::Flow(of, order) => self.flow(of, *order),
            Kind::StopGradient(x) => {
                let x = self.value(x)?;
                Ok(self.b.unary(Op::StopGradient, x))
            }
            Kind::At(of, time) => self.at_time(expr, of, time),
            Kind::Solved { call, moved, at } => self.solved(expr, *call, *moved, at.as_deref()),
            Kind::LogProb { distribution, params, x } => {
                let mut operands = self.values(params)?;
                operands.push(self.value(x)?);
                for (operand, safe) in operands.iter_mut().zip(distribution.safe_operands()) {
                    *operand = self.safe(*operand, *safe);
                }
                let Some((x, params)) = operands.split_last() else { crate::bug!("`x` is among them") };
                let value = distribution.log_prob(&mut self.b, params, *x);
                let shape = self.shape(&expr.ty.dims, expr.span)?;
                Ok(spread(&mut self.b, value, &shape))
            }
        }
    }

    fn elementwise(&mut self, op: Op, operands: &'m [Expr]) -> Made<ValueId> {
        let mut values = self.values(operands)?;
        match (op, values.as_mut_slice()) {
            (Op::Div, [_, divisor]) => *divisor = guarded(&mut self.b, self.guard, *divisor, 1.0),
            (Op::Pow, [base, exponent]) => {
                *base = guarded(&mut self.b, self.guard, *base, 1.0);
                *exponent = guarded(&mut self.b, self.guard, *exponent, 1.0);
            }
            _ => {}
        }
        match values.as_slice() {
            [x] => Ok(self.b.unary(op, *x)),
            [x, y] => Ok(self.b.binary(op, *x, *y)),
            _ => crate::bug!("`{}` of {} operands", op.def().name, values.len()),
        }
    }

    fn reduced(
        &mut self,
        reduction: Reduction,
        x: ValueId,
        axes: &[u32],
        empty: bool,
        span: Span,
    ) -> Made<ValueId> {
        if empty && !matches!(reduction, Reduction::Sum | Reduction::SumSq | Reduction::Product) {
            return Err(Box::new(errors::out_of_bounds(span, "0", "0")));
        }
        let x = match reduction {
            Reduction::Norm => self.safe(x, 1.0),
            Reduction::LogSumExp => self.safe(x, 0.0),
            Reduction::Sum | Reduction::Product | Reduction::Mean => x,
            Reduction::Max | Reduction::Min | Reduction::SumSq => x,
        };
        Ok(reduction.build(&mut self.b, x, axes))
    }

    fn stacked(&mut self, values: &[ValueId]) -> ValueId {
        let rows: Vec<ValueId> = values
            .iter()
            .map(|value| {
                let mut shape = self.b.shape(*value).clone();
                shape.0.insert(0, 1);
                self.b.reshape(*value, shape)
            })
            .collect();
        self.b.concat(&rows, 0)
    }

    fn index(&mut self, expr: &Expr, base: &'m Expr, picks: &[Pick]) -> Made<ValueId> {
        let base = self.value(base)?;
        let dims = self.b.shape(base).dims().to_vec();
        let mut axes = dims.iter();
        let mut ranges = Vec::new();
        for pick in picks {
            let (lo, hi) = match pick {
                Pick::New => continue,
                Pick::At(at) => {
                    let at = self.number(at, expr.span)?;
                    (at, at + 1)
                }
                Pick::Range(lo, hi) => (self.number(lo, expr.span)?, self.number(hi, expr.span)?),
            };
            let size = *axes.next().expect("as many picks as axes");
            if lo < 0 || hi < lo || hi > size as i64 {
                let shown = if matches!(pick, Pick::At(_)) { lo.to_string() } else { format!("{lo}..{hi}") };
                return Err(Box::new(errors::out_of_bounds(expr.span, &shown, &size.to_string())));
            }
            ranges.push((lo as u32, hi as u32));
        }
        let shape = self.shape(&expr.ty.dims, expr.span)?;
        let slice = self.b.slice(base, &ranges);
        Ok(self.b.reshape(slice, shape))
    }

    fn comprehension(
        &mut self,
        expr: &Expr,
        loops: &'m [Loop],
        body: &'m Expr,
        reduction: Option<Reduction>,
    ) -> Made<ValueId> {
        let mut values = Vec::new();
        self.unroll(loops, body, reduction, &mut values, &mut 0)?;
        match reduction {
            None if values.is_empty() => {
                let shape = self.shape(&expr.ty.dims, expr.span)?;
                Ok(self.b.splat(0.0, Type { dtype: self.dtype(expr.ty.elem), shape }))
            }
            None => Ok(self.stacked(&values)),
            Some(reduction) => {
                let packed = self.b.pack(&values, self.world.real);
                if loops.iter().any(|looped| self.is_ragged(&looped.hi)) {
                    return self.ragged_sum(reduction, packed, loops, expr);
                }
                self.reduced(reduction, packed, &[0], values.is_empty(), expr.span)
            }
        }
    }

    fn unroll(
        &mut self,
        loops: &'m [Loop],
        body: &'m Expr,
        reduction: Option<Reduction>,
        values: &mut Vec<ValueId>,
        turns: &mut usize,
    ) -> Made<()> {
        let Some((Loop { symbol, lo, hi, condition }, inner)) = loops.split_first() else {
            if values.len() == MAX_UNROLLED {
                let what = format!("a comprehension of more than {MAX_UNROLLED} values is");
                return Err(Box::new(errors::not_yet(body.span, what, "write it with whole arrays")));
            }
            let value = self.value(body)?;
            values.push(value);
            return Ok(());
        };
        let end = hi;
        let (lo, hi) = (self.number(lo, body.span)?, self.number(hi, body.span)?);
        for i in lo..hi {
            *turns += 1;
            if *turns > MAX_TURNS {
                return Err(Box::new(errors::too_large(body.span, "a comprehension", MAX_TURNS)));
            }
            self.loops.push((symbol.id, i));
            let before = values.len();
            let counts = condition.as_ref().is_none_or(|condition| self.decided(condition) == Some(true));
            let made = if counts { self.unroll(inner, body, reduction, values, turns) } else { Ok(()) };
            self.loops.pop();
            made?;
            if let Some(reduction) = reduction.filter(|_| self.is_ragged(end)) {
                let within = self.within(i, end, body)?;
                for value in &mut values[before..] {
                    let fill = self.b.splat_like(reduction.neutral(), *value);
                    *value = self.b.select(within, *value, fill);
                }
            }
        }
        Ok(())
    }
}
