//! Sources of data: files, `windows(…)` over another source, and programs that make numbers.
//!
//! `synthetic(f(…), seed = 1)` and `simulate(System(…), at = times)` are programs of their own. Of the
//! file they see what can stand by itself, so data depend on nothing that is fitted; each of their
//! results is a column. They are checked here and elaborated like any other program; nothing is drawn
//! or solved.

use crate::base::span::{Sources, Span};
use crate::diag::Sink;
use crate::ir::program::{PortSource, Role};
use crate::ir::system::UnknownKind;
use crate::sema::infer::call::Given;
use crate::sema::infer::{Value, to_real};
use crate::sema::library::Files;
use crate::sema::resolve::{Binding, Callable, Checker};
use crate::sema::roots::Roots;
use crate::sema::space::{Declared, FILE, SpaceId};
use crate::sema::typed::{Expr, Model, Moved, Phase, RunRoot, Ty};
use crate::sema::{Checked, Known, errors};
use crate::syntax::ast::{self, Arg, ExprKind, Ident};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What makes data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// A function that makes one example of what it draws.
    Synthetic,
    /// A system that is solved.
    Simulate,
}

impl Maker {
    /// The maker that a program calls `name`.
    pub fn by_name(name: &str) -> Option<Maker> {
        [Maker::Synthetic, Maker::Simulate].into_iter().find(|maker| maker.name() == name)
    }

    /// As a program calls it.
    pub fn name(self) -> &'static str {
        match self {
            Maker::Synthetic => "synthetic",
            Maker::Simulate => "simulate",
        }
    }

    /// The arguments it takes, in words.
    fn expected(self) -> &'static str {
        match self {
            Maker::Synthetic => "`(f(..., n = 1000), seed = 0)`, and a `split` if wanted",
            Maker::Simulate => "`(System(...), at = times)`, and `noise`, `seed`, `split` if wanted",
        }
    }
}

/// Segments of series: rows `s, s + 1, …, s + length - 1` for `s = 0, stride, 2 stride, …`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Rows of a segment.
    pub length: usize,
    /// Rows between the starts of two segments.
    pub stride: usize,
    /// Where the length is written.
    pub span: Span,
}

/// A program that makes data.
#[derive(Clone, Debug)]
pub struct Made {
    /// What kind it is.
    pub maker: Maker,
    /// Each of its results is a column, for one example.
    pub program: Checked,
    /// The names of the columns; a function that gives no record makes one without a name.
    pub columns: Vec<Option<Arc<str>>>,
    /// How many examples there are; of one alone if it says nothing.
    pub count: Option<usize>,
    /// The call that makes an example.
    pub span: Span,
}

/// The parts of `synthetic(…)` or `simulate(…)`.
#[derive(Clone, Debug)]
pub(crate) struct Making {
    maker: Maker,
    /// The name of the data set.
    name: Arc<str>,
    /// `two_moons(noise = 0.05)`, without the number of examples.
    call: ast::Expr,
    /// `n`
    count: Option<ast::Expr>,
    at: Option<ast::Expr>,
    noise: Option<ast::Expr>,
}

/// What reads files.
const FILES: [&str; 6] = ["csv", "npy", "npz", "idx", "ts", "parquet"];

/// `name(args)`, and where the name stands.
fn call(expr: &ast::Expr) -> Option<(&Arc<str>, Span, &[Arg])> {
    let ExprKind::Call { callee, args } = &expr.unparenthesised().kind else { return None };
    let ExprKind::Name(name) = &callee.unparenthesised().kind else { return None };
    Some((name, callee.span, args))
}

impl<'a> Checker<'a> {
    /// What the source of `data` is, looked at from outside.
    pub(crate) fn source(&mut self, data: &'a ast::Data) -> (Option<Windows>, Option<Making>) {
        match call(&data.source) {
            Some((name, _, args)) if &**name == "windows" => {
                let Some((inner, windows)) = self.windows(args, data.source.span) else {
                    return (None, None);
                };
                (windows, self.numbers(inner, &data.name.name))
            }
            _ => (None, self.numbers(&data.source, &data.name.name)),
        }
    }

    /// A source of numbers: a file, or a program.
    fn numbers(&mut self, source: &'a ast::Expr, data: &Arc<str>) -> Option<Making> {
        let Some((name, span, args)) = call(source) else {
            return self.fail(errors::not_a_source(source.span, None));
        };
        match (Maker::by_name(name), &**name) {
            (Some(maker), _) => self.making(maker, args, source.span, data),
            (None, file) if FILES.contains(&file) => None,
            (None, "windows") => {
                let expected = "a file, `synthetic` or `simulate`";
                self.fail(errors::wrong_kind(span, "windows of windows are windows", expected))
            }
            (None, other) => self.fail(errors::not_a_source(span, Some(other))),
        }
    }

    /// `windows(source, length = 10, stride = 1)`
    #[allow(clippy::type_complexity, reason = "the source and how it is cut")]
    fn windows(&mut self, args: &'a [Arg], span: Span) -> Option<(&'a ast::Expr, Option<Windows>)> {
        let expected = "`(source, length = 10)`, and `stride`, `split`, `seed` if wanted";
        let (mut source, mut length, mut stride) = (None, None, None);
        for arg in args {
            match arg {
                Arg::Positional(value) if source.is_none() => source = Some(value),
                Arg::Named(name, value) => match &*name.name {
                    "length" => length = Some(value),
                    "stride" => stride = Some(value),
                    "split" | "seed" => {}
                    _ => return self.fail(errors::wrong_arguments(name.span, "windows", expected)),
                },
                Arg::Positional(value) | Arg::Spread(value, _) | Arg::Comprehension(value, _) => {
                    return self.fail(errors::wrong_arguments(value.span, "windows", expected));
                }
            }
        }
        let (Some(source), Some(length)) = (source, length) else {
            return self.fail(errors::wrong_arguments(span, "windows", expected));
        };
        let mut positive = |expr: &'a ast::Expr, what: &str| {
            let found = self.size_of(expr, self.home(), what)?.as_number().filter(|n| *n >= 1);
            match found.and_then(|n| usize::try_from(n).ok()) {
                Some(n) => Some(n),
                None => self.fail(errors::no_length(expr.span, what)),
            }
        };
        let windows = match stride {
            Some(stride) => positive(length, "length").zip(positive(stride, "stride")),
            None => positive(length, "length").map(|length| (length, 1)),
        };
        let windows = windows.map(|(rows, stride)| Windows { length: rows, stride, span: length.span });
        Some((source, windows))
    }

    /// The parts of a source that is a program.
    fn making(&mut self, maker: Maker, args: &'a [Arg], span: Span, name: &Arc<str>) -> Option<Making> {
        let (name, refused) =
            (name.clone(), |at| errors::wrong_arguments(at, maker.name(), maker.expected()));
        let (mut what, mut at, mut noise, mut outside) = (None, None, None, None);
        for arg in args {
            match arg {
                Arg::Positional(value) if what.is_none() => what = Some(value),
                Arg::Named(name, value) => match (&*name.name, maker) {
                    ("seed" | "split", _) => {}
                    ("at", Maker::Simulate) => at = Some(value.clone()),
                    ("noise", Maker::Simulate) => noise = Some(value.clone()),
                    ("n", _) => outside = Some(name.span),
                    _ => return self.fail(refused(name.span)),
                },
                Arg::Positional(value) | Arg::Spread(value, _) | Arg::Comprehension(value, _) => {
                    return self.fail(refused(value.span));
                }
            }
        }
        let Some(what) = what else { return self.fail(refused(span)) };
        let ExprKind::Call { callee, args } = &what.unparenthesised().kind else {
            return self.fail(errors::makes_no_example(what.span, maker.name(), example_of(maker)));
        };
        if let Some(outside) = outside {
            return self.fail(errors::count_outside(outside, what.span));
        }
        let count = args.iter().find_map(|arg| match arg {
            Arg::Named(name, value) if &*name.name == "n" => Some(value.clone()),
            Arg::Named(..) | Arg::Positional(_) | Arg::Spread(..) | Arg::Comprehension(..) => None,
        });
        match maker {
            Maker::Synthetic if count.is_none() => {
                return self.fail(errors::no_count(what.span, args.is_empty()));
            }
            Maker::Simulate if at.is_none() => return self.fail(refused(span)),
            Maker::Synthetic | Maker::Simulate => {}
        }
        let is_count = |arg: &Arg| matches!(arg, Arg::Named(name, _) if &*name.name == "n");
        let args = args.iter().filter(|arg| !is_count(arg)).cloned().collect();
        let call = ExprKind::Call { callee: callee.clone(), args };
        let call = ast::Expr { kind: call, span: what.span };
        Some(Making { maker, name, call, count, at, noise })
    }

    /// The names of the file that data cannot be made of.
    pub(crate) fn later_names(&self) -> BTreeMap<Arc<str>, (&'static str, Span)> {
        let later = self.spaces[FILE].globals.iter().filter(|(_, global)| match &global.declared {
            Declared::Const(_) | Declared::Let(..) | Declared::Function(_) | Declared::Template(..) => false,
            Declared::Module(_) | Declared::Imported(..) | Declared::NotYet => false,
            Declared::Input(..) | Declared::Output(_) | Declared::Param(..) | Declared::State(..) => true,
            Declared::Channel(..) | Declared::Noise(..) | Declared::Control(_) | Declared::Time => true,
            Declared::DataSet(_) | Declared::Random(..) | Declared::Size => true,
        });
        later.map(|(name, global)| (name.clone(), (global.declared.noun(), global.span))).collect()
    }

    /// The number of examples, and the model that makes one of them.
    fn making_model(&mut self, making: &'a Making) -> Option<(Option<usize>, Columns, Model)> {
        let count = match &making.count {
            Some(count) => match self.size_of(count, self.home(), "a number of examples")?.as_number() {
                Some(n) if n >= 1 => Some(n as usize),
                Some(_) | None => return self.fail(errors::not_a_size(count.span, "a number of examples")),
            },
            None => None,
        };
        let columns = match making.maker {
            Maker::Synthetic => self.synthetic(making)?,
            Maker::Simulate => self.simulated(making)?,
        };
        let mut names = Vec::new();
        let mut roots = Roots::default();
        for Column { name, value } in columns {
            let value = to_real(value);
            self.require(&value, Phase::Example, "a column of data")?;
            roots.results.push(RunRoot {
                role: Role::Output,
                name: name.clone().unwrap_or_else(|| making.name.clone()),
                span: value.span,
                value,
            });
            names.push(name);
        }
        self.look_into_instances();
        for port in self.late_ports.values() {
            if matches!(port.source, PortSource::Step | PortSource::Epoch) {
                let (span, name) = (self.defs[port.def].span, self.defs[port.def].name.clone());
                return self.fail(errors::data_of_a_training(span, &name));
            }
        }
        self.name_draws(&making.name);
        let model = self.assembled(Vec::new(), Vec::new(), roots, false)?;
        Some((count, names, model))
    }

    /// Draws are keyed by the data set and their position in it, so that they do not depend on where
    /// in the text they stand.
    fn name_draws(&mut self, data: &str) {
        let ports: Vec<_> = self.late_ports.values().map(|port| port.def).collect();
        for (number, def) in ports.into_iter().enumerate() {
            self.defs[def].name = format!("{data} draw {number}").into();
        }
    }

    /// What the function of `synthetic` gives.
    fn synthetic(&mut self, making: &'a Making) -> Option<Vec<Column>> {
        if let ExprKind::Call { callee, .. } = &making.call.kind
            && let ExprKind::Name(name) = &callee.unparenthesised().kind
            && let Some(Binding::Callable(Callable::Function(function, _))) =
                self.lookup(name, callee.span, self.home())
            && let Some(param) = function.params.iter().find(|param| &*param.name.name == "n")
        {
            return self.fail(errors::count_is_taken(param.name.span, name, making.call.span));
        }
        let span = making.call.span;
        match self.evaluate(&making.call, self.home())? {
            Value::Expr(value) => Some(vec![Column { name: None, value }]),
            Value::Record(fields) => {
                let columns = fields
                    .into_iter()
                    .map(|(name, value)| Some(Column { name: Some(name), value: self.plain(value, span)? }));
                columns.collect()
            }
            Value::Tuple(_) | Value::List(_) | Value::Callable(_) => {
                let maker = making.maker;
                self.fail(errors::makes_no_example(span, maker.name(), example_of(maker)))
            }
        }
    }

    /// The times and the unknowns of the system of `simulate`.
    fn simulated(&mut self, making: &'a Making) -> Option<Vec<Column>> {
        let (home, span, maker) = (self.home(), making.call.span, making.maker);
        let instance = match self.evaluate(&making.call, home)? {
            Value::Callable(Callable::Instance(instance)) if self.instances[instance].template.is_system => {
                instance
            }
            _ => return self.fail(errors::makes_no_example(span, maker.name(), example_of(maker))),
        };
        let at = making.at.as_ref().expect("a simulation without times is refused before");
        let times = self.infer(at, home)?;
        let times = to_real(self.real(times, "a time")?);
        if times.ty.dims.len() != 1 {
            let story = self.story(&times);
            return self.fail(errors::wrong_operand("at", times.span, "a vector of times", &times.ty, story));
        }
        if let Some((state, declared)) = self.startless(instance, &BTreeMap::new()) {
            return self.fail(errors::start_not_simulated(span, &state, declared));
        }
        let space = self.instances[instance].space;
        let time = self.spaces[space].time.map_or_else(|| "t".into(), |(time, _)| time.name.clone());
        let mut columns = vec![Column { name: Some(time), value: times }];
        let run = self.open_run(instance, false, &[], span, home)?;
        for (name, moved, _) in self.moved_of(instance)? {
            let given = [Given { name: None::<&'a Ident>, value: at }];
            let value = self.trajectory_at(run, moved, &given, span, home)?;
            let value = self.plain(value, span)?;
            let value = match &making.noise {
                Some(noise) if self.takes_noise(space, moved, &name) => {
                    let ty = Ty::real(value.ty.dims.clone());
                    let path = format!("noise {name}").into();
                    let noise = self.draw(noise, Some(ty), path, noise.span, home)?;
                    self.elementwise(crate::ir::op::Op::Add, vec![to_real(value), noise], span)
                }
                Some(_) | None => value,
            };
            columns.push(Column { name: Some(name), value });
        }
        Some(columns)
    }

    /// Noise of a measurement is added to what moves and what is determined by it.
    fn takes_noise(&self, space: SpaceId, moved: Moved, name: &Arc<str>) -> bool {
        match (moved, self.spaces[space].motions.get(name).map(|motion| motion.kind)) {
            (Moved::State(_), Some(UnknownKind::Rate | UnknownKind::Algebraic)) => true,
            (Moved::State(_), Some(UnknownKind::Discrete) | None) | (Moved::Channel(_), _) => false,
        }
    }
}

/// The names of columns.
type Columns = Vec<Option<Arc<str>>>;

/// A column for one example.
struct Column {
    name: Option<Arc<str>>,
    value: Expr,
}

/// What a maker needs, in words.
fn example_of(maker: Maker) -> &'static str {
    match maker {
        Maker::Synthetic => "a call of a function that gives an array, or a record of them",
        Maker::Simulate => "a system of this file with its arguments, as in `Truth()`",
    }
}

/// The program that makes the data of `making`, or a report of what is wrong with it. `later` is what
/// data cannot be made of.
pub(crate) fn made(
    files: &Arc<Files>,
    sources: &Sources,
    known: &Known,
    making: &Making,
    later: &BTreeMap<Arc<str>, (&'static str, Span)>,
    sink: &mut Sink,
) -> Option<Made> {
    let files = Arc::new(files.definitions());
    let mut own = Sink::new();
    let mut checker = Checker::new(&files, sources, known, &mut own);
    checker.later = later.clone();
    checker.open_space(&files.main.items, None, "");
    let found = checker.making_model(making);
    for diagnostic in own.into_diagnostics() {
        // What the file says by itself has been said.
        if !sink.diagnostics().contains(&diagnostic) {
            sink.report(diagnostic);
        }
    }
    let (count, columns, model) = found?;
    let program = Checked {
        files,
        known: known.clone(),
        model: Some(model),
        data: Vec::new(),
        consts: Vec::new(),
        params: Vec::new(),
        inputs: Vec::new(),
        states: Vec::new(),
        settings: Vec::new(),
        profiles: Vec::new(),
    };
    Some(Made { maker: making.maker, program, columns, count, span: making.call.span })
}
