//! How a run failed, in words: E09xx.
//!
//! In: a [`Failure`] of the plan, which speaks of components and numbers. Out: a diagnostic that
//! speaks of states, equations and what to change.

use crate::base::span::Span;
use crate::diag::{Code, Diagnostic};
use crate::engine::cause::{self, STIFF_NOTE};
use crate::ir::eval;
use crate::ir::func::{Func, ValueId};
use crate::ir::op::Op;
use crate::ir::system::{System, Trigger, Unknown, UnknownKind};
use crate::ir::tensor::Tensor;
use crate::plan::Plan;
use crate::plan::controls::{Failure, Returning, Stuck};
use crate::plan::unit::PlanError;
use crate::settings::Settings;
use crate::solve::outcome::{Outcome, Quantity};

/// What a run was given, for the words about it.
pub(crate) struct Given<'a> {
    /// The compiled model.
    pub plan: &'a Plan,
    /// Its params on the declared scale, `[P]`.
    pub params: &'a [f64],
    /// The settings in force.
    pub settings: &'a Settings,
}

impl Given<'_> {
    /// A message about the setting `key`, with `label` where it was set, if somebody set it.
    fn about(&self, code: Code, message: String, key: &str, label: &str) -> Diagnostic {
        let row = self.settings.resolved.iter().find(|row| row.key == key);
        match row.and_then(|row| row.origin.span()) {
            Some(span) => Diagnostic::new(code, message, span, label),
            None => Diagnostic::without_span(code, message),
        }
    }
}

/// The message for `failure`.
pub(crate) fn diagnose(failure: &Failure, given: &Given<'_>) -> Diagnostic {
    match failure {
        Failure::Outcome(stuck) => ended_early(stuck, given),
        Failure::OutsideRun { solve, site, time, t0, t1 } => {
            let span = given.plan.program.solves[*solve].sites[*site].span;
            let message = format!("a trajectory is wanted at {}, outside the run", number(*time));
            Diagnostic::new(
                Code("E0906"),
                message,
                span,
                format!("the run goes from {} to {}", number(*t0), number(*t1)),
            )
            .help("widen the interval of `time`, or leave these times out")
        }
        Failure::Grazes { solve, event, t } => {
            let event = &given.plan.system_of(*solve).events[*event];
            let message = format!("the time of `{}` has no derivative at t = {}", event.name, number(*t));
            Diagnostic::new(Code("E0907"), message, event.span, "this touches its limit and does not pass it")
                .help("let it pass: an event that is only touched appears and vanishes as params move")
        }
        Failure::TooManySaves { dt, count, allowed } => {
            let message = format!("`solve.save = every({})` asks for {count} rows", brief(*dt));
            Diagnostic::without_span(Code("E0906"), message).note(format!("at most {allowed} are kept")).help(
                "save at wider distances, or only where needed: `solve { save = linspace(0, 10, 101) }`",
            )
        }
        Failure::SaveOutsideRun { time, t0, t1 } => {
            let message = format!("a state is to be saved at {}, outside the run", number(*time));
            let label = format!("the run goes from {} to {}", number(*t0), number(*t1));
            given.about(Code("E0906"), message, "solve.save", &label).help("save at times within the run")
        }
        Failure::Invalid(invalid) => Diagnostic::without_span(Code("E0802"), invalid.to_string())
            .help("`nodec config` lists every setting with its value and who set it"),
        Failure::Carrying { solve, outcome } => went_astray(*solve, outcome, given),
        Failure::GoingBack { solve, by, outcome } => went_back(*solve, *by, outcome, given),
        Failure::Plan(error) => uncompiled(error),
    }
}

/// The words for a solve with sensitivities that ended early where the solve alone did not.
fn went_astray(solve: usize, outcome: &Outcome, given: &Given<'_>) -> Diagnostic {
    let span = given.plan.program.solves[solve].span;
    let (code, what, t) = match outcome {
        Outcome::StepTooSmall { t, h, .. } => {
            ("E0901", format!("the step size fell to {}", brief(h.abs())), *t)
        }
        Outcome::MaxSteps { t, max_steps, .. } => {
            ("E0904", format!("the {max_steps} steps were used up"), *t)
        }
        Outcome::NonFinite { t, .. } => ("E0902", String::from("a number is not finite"), *t),
        Outcome::NewtonFailed { t, .. } | Outcome::Inconsistent { t, .. } | Outcome::Singular { t, .. } => {
            ("E0903", String::from("the equations could not be solved"), *t)
        }
        Outcome::Zeno { t, .. } => ("E0905", String::from("events come ever faster"), *t),
        Outcome::Finished | Outcome::Stopped => crate::bug!("{outcome:?} is a success"),
    };
    let message = format!("{what} at t = {} with the derivatives of the states", number(t));
    Diagnostic::new(Code(code), message, span, "the run alone passes")
        .help("the derivatives grow faster than the states here: shorten the run, or tighten the tolerances")
}

/// The words for a backward solve that ended early; those of E0901, E0902, E0904.
fn went_back(solve: usize, by: Returning, outcome: &Outcome, given: &Given<'_>) -> Diagnostic {
    let span = given.plan.program.solves[solve].span;
    let at = |code: &'static str, what: String, t: f64| {
        let message = format!("{what} at t = {} on the way back for the gradient", number(t));
        let diagnostic = Diagnostic::new(Code(code), message, span, "the adjoint equation of this run");
        match by {
            Returning::Alone => diagnostic
                .note("a solution that contracts forwards grows backwards: `backsolve` suits systems that are neither stiff nor strongly damped")
                .help("`solve.adjoint = discrete` needs no such solve"),
            Returning::Again => diagnostic
                .help("`solve.adjoint = forward` needs no equations to be solved again"),
            Returning::Along => diagnostic
                .help("the cotangents may do with tolerances of their own: `interpolating(atol = 1e-6)`"),
        }
    };
    match outcome {
        Outcome::StepTooSmall { t, h, .. } => {
            at("E0901", format!("the step size fell to {}", brief(h.abs())), *t)
        }
        Outcome::MaxSteps { t, max_steps, .. } => {
            at("E0904", format!("the {max_steps} steps were used up"), *t)
        }
        Outcome::NonFinite { t, .. } => at("E0902", String::from("a number is not finite"), *t),
        Outcome::NewtonFailed { t, .. } | Outcome::Singular { t, .. } => {
            at("E0903", String::from("the equations of a step could not be solved"), *t)
        }
        Outcome::Finished | Outcome::Stopped | Outcome::Zeno { .. } | Outcome::Inconsistent { .. } => {
            crate::bug!("a solve without events and constraints ended as {outcome:?}")
        }
    }
}

/// The message for a model that could not be compiled.
pub(crate) fn uncompiled(error: &PlanError) -> Diagnostic {
    match error {
        PlanError::Derivative(error) => error.diagnostic(),
        PlanError::NoHessian { span } => {
            let message = "second derivatives through times that depend on params are not supported yet";
            Diagnostic::new(Code("E0290"), message, *span, "the times of this run depend on params")
                .help("give `time` and the times of the data as constants or data")
        }
        PlanError::NoHessianThroughEvents { event } => {
            Diagnostic::new(Code("E0290"), error.to_string(), *event, "this interrupts the run")
                .help("gradients work")
        }
        PlanError::MethodNotDifferentiated { others, .. } => {
            Diagnostic::without_span(Code("E0290"), error.to_string()).help(*others)
        }
        PlanError::NoHessianThroughMethod { .. } => {
            Diagnostic::without_span(Code("E0290"), error.to_string())
                .help("gradients work; explicit methods have second derivatives: tsit5, dopri5")
        }
        PlanError::NotThrough { span, .. } => {
            Diagnostic::new(Code("E0290"), error.to_string(), *span, "the derivatives do not pass here")
                .help("with an explicit method `solve.adjoint = discrete` may do")
        }
        PlanError::Jump { span, why } => {
            Diagnostic::new(Code("E0909"), error.to_string(), *span, format!("no event marks it: {why}"))
                .help("say when it jumps, `when ... { side := 1 }`, or make it smooth: `sigmoid(x/0.01)`")
        }
        PlanError::Lower(error) => Diagnostic::without_span(Code("E0805"), error.to_string()),
        PlanError::Compile(error) => Diagnostic::without_span(Code("E0805"), error.to_string()),
    }
}

/// W0520: a motion that jumps where no step ends.
pub(super) fn jumps(span: Span, why: &str) -> Diagnostic {
    let message = "the motion jumps where this changes, and no step ends there";
    Diagnostic::new(Code("W0520"), message, span, format!("no event marks it: {why}"))
        .help("did you mean an event? `discrete side = 1.0` and `when ... { side := -1 }`")
}

fn ended_early(stuck: &Stuck, given: &Given<'_>) -> Diagnostic {
    let system = given.plan.system_of(stuck.solve);
    let method = given.plan.method(stuck.solve).name;
    let state = format!("state: {}", state_words(system, &stuck.y));
    match &stuck.outcome {
        Outcome::StepTooSmall { t, h, component, ratio } => {
            let (name, equation) = unknown(system, *component);
            let message = format!(
                "the step size fell to {} at t = {} ({method}, step {})",
                brief(h.abs()),
                number(*t),
                stuck.stats.attempts()
            );
            if let Some(doubling) = runs_away(*t, *h, *component, stuck, given) {
                let pole = tidy(&format!("{t:.5e}"));
                let label = format!(
                    "`{name}` runs into a pole near t = {pole}: at this rate it doubles within {}",
                    brief(doubling)
                );
                return Diagnostic::new(Code("E0901"), message, equation, label)
                    .note(state)
                    .help("if the model is right, end the run before the pole");
            }
            if let Some((before, behind)) = cause::jump(*t, *h, *component, &Rate { stuck, given }) {
                let label =
                    format!("the rate of `{name}` jumps from {} to {} here", brief(before), brief(behind));
                return Diagnostic::new(Code("E0901"), message, equation, label).note(state).help(
                    "say where it jumps: `when ... { }` for a condition, `every`, `at` or a path for times",
                );
            }
            let label =
                format!("the error estimate is dominated by `{name}`, {} times its tolerance", brief(*ratio));
            Diagnostic::new(Code("E0901"), message, equation, label)
                .note(state)
                .help(format!("if `{name}` runs into a pole or a jump, end the run before it"))
                .help("if the tolerance is beyond the precision of the run, raise `solve.rtol` and `solve.atol`")
        }
        Outcome::MaxSteps { t, h, max_steps } => {
            let message = format!(
                "the run used up its {max_steps} steps at t = {} ({method}, step size {})",
                number(*t),
                brief(h.abs())
            );
            let diagnostic = given.about(Code("E0904"), message, "solve.max_steps", "set here").note(state);
            let chosen = given.plan.method(stuck.solve);
            match cause::stiffness(chosen, *t, *h, &Rate { stuck, given }) {
                Some(fastest) => diagnostic
                    .note(format!(
                        "{STIFF_NOTE}: a part of it settles within {}, and {method} is unstable with steps much longer",
                        brief(fastest)
                    ))
                    .help("methods for stiff systems: `solve.method = radau5`, `rodas5p`, `bdf`; `auto` finds out"),
                None => diagnostic
                    .help("allow more with `solve.max_steps`, or loosen `solve.rtol` and `solve.atol`"),
            }
        }
        Outcome::NonFinite { t, component, quantity: Quantity::Start, .. } => {
            start_not_finite(*t, *component, stuck, given)
        }
        Outcome::NonFinite { t, h, component, quantity } => {
            not_finite(*t, *h, *component, *quantity, stuck, given)
                .note(format!("{state} at t = {}, the last time all was finite", number(*t)))
        }
        Outcome::Zeno { t, event, max_events } => {
            let event = &system.events[*event];
            let at = number(*t);
            let message = match max_events {
                Some(most) => format!("more than {most} events in one step at t = {at}"),
                None => format!("infinitely many events before a time close to t = {at}"),
            };
            if let Trigger::Whenever { .. } = event.trigger {
                let label = "both sides drive the motion back to where this changes";
                return Diagnostic::new(Code("E0905"), message, event.span, label)
                    .note(state)
                    .help("let it rest there: `when ... { side := 0 }` with a `discrete` side")
                    .help("or make it smooth over a small range: `tanh(v/0.01)` for `sign(v)`");
            }
            let label = format!("`{}` happens ever faster", event.name);
            let diagnostic = Diagnostic::new(Code("E0905"), message, event.span, label)
                .note(state)
                .help("end the run, or change the motion, where the events pile up: `when ... { stop }`");
            match max_events {
                Some(_) => diagnostic.help("if they are meant to be so many, raise `solve.max_events`"),
                None => diagnostic,
            }
        }
        Outcome::Inconsistent { t, component, residual } => {
            let message =
                format!("no values of the algebraic unknowns fulfil the constraints at t = {}", number(*t));
            let (_, equation) = unknown(system, *component);
            let label = format!("here {} is left when Newton's method gives up", brief(*residual));
            let mut diagnostic = Diagnostic::new(Code("E0903"), message, equation, label);
            let others = residuals(*t, stuck, given).into_iter().filter(|(span, _)| *span != equation);
            for (span, left) in others.take(MAX_RESIDUALS) {
                diagnostic = diagnostic.label(span, format!("here {}", brief(left)));
            }
            diagnostic
                .note(state)
                .help("the guesses of the algebraic unknowns may be far off, or the constraints contradict each other")
        }
        Outcome::NewtonFailed { t, h, component } => {
            let message = format!(
                "the equations of a step could not be solved at t = {} ({method}, step size {})",
                number(*t),
                brief(h.abs())
            );
            let (name, equation) = unknown(system, *component);
            Diagnostic::new(Code("E0903"), message, equation, format!("`{name}` does not settle"))
                .note(state)
                .help("a jump or a corner in the equations does this: split the run there, or use `when`")
        }
        Outcome::Singular { t, h } => {
            let message = match *h == 0.0 {
                true => {
                    format!("the constraints do not determine the algebraic unknowns at t = {}", number(*t))
                }
                false => format!(
                    "the equations of a step have no single solution at t = {} ({method})",
                    number(*t)
                ),
            };
            let algebraic = system.states.iter().find(|state| state.kind == UnknownKind::Algebraic);
            let equation = algebraic.or(system.states.first()).map(|state| state.equation);
            let diagnostic = match equation {
                Some(equation) => {
                    Diagnostic::new(Code("E0903"), message, equation, "a constraint of this system")
                }
                None => Diagnostic::without_span(Code("E0903"), message),
            };
            diagnostic
                .note(state)
                .help("each constraint must involve algebraic unknowns, and no two say the same")
        }
        Outcome::Finished | Outcome::Stopped => crate::bug!("a successful run has no failure"),
    }
}

/// The most residuals shown beside the largest.
const MAX_RESIDUALS: usize = 6;

/// What is left of each constraint at the last state tried, with its line, in the order of the
/// unknowns; of one for many numbers the largest.
fn residuals(t: f64, stuck: &Stuck, given: &Given<'_>) -> Vec<(Span, f64)> {
    let rate = Rate { stuck, given };
    let Ok(rates) = eval::eval(rate.func(), &rate.args(t, &stuck.y)) else { return Vec::new() };
    let mut at = 0;
    let mut found = Vec::new();
    for state in &given.plan.system_of(stuck.solve).states {
        let entries = at..at + state.ty.shape.count();
        at = entries.end;
        if state.kind == UnknownKind::Algebraic {
            let left = &rates[0].data[entries];
            let largest = left.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()));
            found.extend(largest.map(|largest| (state.equation, largest)));
        }
    }
    found
}

/// The time in which `component` would double at its present rate, if that is hardly longer than
/// the smallest step `h`: so it is where the solution leaves for infinity in finite time, as
/// `x' = x^2` does. Before a corner, a jump or the end of a root the rate is far too small for it.
fn runs_away(t: f64, h: f64, component: usize, stuck: &Stuck, given: &Given<'_>) -> Option<f64> {
    /// Steps within which it would double: near a pole of order p a step of size h stands about
    /// 10 h to 100 h before it and doubles in 1/p of that.
    const STEPS: f64 = 1e3;
    let rate = Rate { stuck, given };
    let rates = eval::eval(rate.func(), &rate.args(t, &stuck.y)).ok()?;
    let doubling = stuck.y[component] / rates[0].data[component];
    (doubling * h > 0.0 && doubling.abs() < STEPS * h.abs()).then_some(doubling.abs())
}

/// Names the operation that gave the start value, where it can be found.
fn start_not_finite(t: f64, component: usize, stuck: &Stuck, given: &Given<'_>) -> Diagnostic {
    let system = given.plan.system_of(stuck.solve);
    let name = entry_name(system, component);
    let message = format!("the start value of `{name}` at t = {} is not a finite number", number(t));
    let start = &given.plan.funcs.packed.solves[stuck.solve].start.func;
    let declared = unknown_of(system, component).span;
    match culprit(start, &tensors(start, stuck.given.iter().map(Vec::as_slice))) {
        Some((op, span)) => first_culprit(message, op, span.unwrap_or(declared))
            .label(declared, format!("`{name}` is declared here")),
        None => Diagnostic::new(Code("E0902"), message, declared, "declared here"),
    }
}

/// Names the operation that first gave a number that is not finite, where it can be found: in the
/// rate at the last good state, or a step beyond it.
fn not_finite(
    t: f64,
    h: f64,
    component: usize,
    quantity: Quantity,
    stuck: &Stuck,
    given: &Given<'_>,
) -> Diagnostic {
    let (name, equation) = unknown(given.plan.system_of(stuck.solve), component);
    let what = match quantity {
        Quantity::Start => crate::bug!("start values have words of their own"),
        Quantity::Jump { event } => {
            let event = &given.plan.system_of(stuck.solve).events[event];
            let message =
                format!("`{}` gives `{name}` a value that is not finite at t = {}", event.name, number(t));
            return Diagnostic::new(Code("E0902"), message, event.span, "in this event");
        }
        Quantity::Jacobian => {
            format!("a derivative of the rate of `{name}` is not a finite number at t = {}", number(t))
        }
        Quantity::Rate => format!("the rate of `{name}` is not a finite number at t = {}", number(t)),
        Quantity::State => format!("`{name}` is not a finite number after t = {}", number(t)),
        Quantity::Error => {
            format!("the error estimate of `{name}` is not a finite number after t = {}", number(t))
        }
    };
    let rate = Rate { stuck, given };
    let at = |t: f64, y: &[f64]| culprit(rate.func(), &rate.args(t, y));
    match at(t, &stuck.y).or_else(|| at(t + h, &rate.beyond(t, h))) {
        Some((op, Some(span))) if span != equation => {
            first_culprit(what, op, span).label(equation, format!("in the equation for `{name}`"))
        }
        Some((op, _)) => first_culprit(what, op, equation),
        None => Diagnostic::new(Code("E0902"), what, equation, "in this equation")
            .help("a solution that grows without bound in finite time does this: end the run before it"),
    }
}

fn first_culprit(message: String, op: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code("E0902"), message, span, format!("`{op}` gives the first one here"))
}

/// The rate of the solve that got stuck.
pub(super) struct Rate<'a> {
    stuck: &'a Stuck,
    given: &'a Given<'a>,
}

impl Rate<'_> {
    /// The last good state.
    pub fn state(&self) -> &[f64] {
        &self.stuck.y
    }

    /// How many of its entries are states, not channels.
    pub fn n_states(&self) -> usize {
        self.given.plan.layout.system_of(self.stuck.solve).n_states
    }

    /// The rates at `(t, y)`; `None` if they cannot be evaluated.
    pub fn at(&self, t: f64, y: &[f64]) -> Option<Vec<f64>> {
        let results = eval::eval(self.func(), &self.args(t, y)).ok()?;
        results.into_iter().next().map(|rates| rates.data)
    }

    fn func(&self) -> &Func {
        let plan = self.given.plan;
        &plan.funcs.packed.rates[plan.layout.solves[self.stuck.solve].system]
    }

    fn args(&self, t: f64, y: &[f64]) -> Vec<Tensor> {
        let read = self.given.plan.layout.system_of(self.stuck.solve).gather(self.given.params);
        let values = [&[t], &[t], y, &self.stuck.args, &read];
        tensors(self.func(), values.into_iter().chain(self.stuck.data().map(Vec::as_slice)))
    }

    /// `y + h rate(t, y)`: a point the failed step has looked at, or nearly so.
    fn beyond(&self, t: f64, h: f64) -> Vec<f64> {
        let y = &self.stuck.y;
        match eval::eval(self.func(), &self.args(t, y)) {
            Ok(results) => y.iter().zip(&results[0].data).map(|(y, dy)| y + h * dy).collect(),
            Err(_) => y.clone(),
        }
    }
}

/// The first op of `func` that makes a number that is not finite of finite ones, and where it is
/// written.
fn culprit(func: &Func, args: &[Tensor]) -> Option<(&'static str, Option<Span>)> {
    let values = eval::values(func, args).ok()?;
    let finite = |value: ValueId| values[value.0 as usize].data.iter().all(|x| x.is_finite());
    func.nodes
        .entries()
        .find(|(id, node)| node.op != Op::Param && !finite(*id) && node.args.iter().all(|arg| finite(*arg)))
        .map(|(_, node)| (node.op.def().name, node.span))
}

fn tensors<'a>(func: &Func, values: impl Iterator<Item = &'a [f64]>) -> Vec<Tensor> {
    func.param_types().zip(values).map(|(ty, values)| Tensor::new(ty.clone(), values.to_vec())).collect()
}

/// The name of entry `component` of the packed state, and where its rate is given.
fn unknown(system: &System, component: usize) -> (String, Span) {
    (entry_name(system, component), unknown_of(system, component).equation)
}

/// `x`, `u[1]`, `W[0, 2]`
pub(super) fn entry_name(system: &System, component: usize) -> String {
    let (unknown, mut rest) = located(system, component);
    let mut index = Vec::new();
    for len in unknown.ty.shape.dims().iter().rev() {
        index.insert(0, (rest % len).to_string());
        rest /= len;
    }
    if index.is_empty() {
        unknown.name.to_string()
    } else {
        format!("{}[{}]", unknown.name, index.join(", "))
    }
}

pub(super) fn unknown_of(system: &System, component: usize) -> &Unknown {
    located(system, component).0
}

/// The state, mode or channel that holds entry `component` of the packed state, and where in it.
fn located(system: &System, component: usize) -> (&Unknown, usize) {
    let mut at = component;
    for unknown in system.states.iter().chain(&system.modes).chain(&system.channels) {
        let count = unknown.ty.shape.count();
        if at < count {
            return (unknown, at);
        }
        at -= count;
    }
    crate::bug!("component {component} of a state of fewer entries")
}

/// `x = 1.5, y[0] = 2`: the states, as many as fit a line.
fn state_words(system: &System, y: &[f64]) -> String {
    const SHOWN: usize = 6;
    let n_states: usize = system.states.iter().map(|state| state.ty.shape.count()).sum();
    let mut words: Vec<String> = (0..n_states.min(SHOWN))
        .map(|component| format!("{} = {}", entry_name(system, component), number(y[component])))
        .collect();
    if n_states > SHOWN {
        words.push(format!("and {} more", n_states - SHOWN));
    }
    words.join(", ")
}

/// A number in full where that is short, else to ten digits.
fn number(x: f64) -> String {
    let (short, rounded) = (format!("{x}"), format!("{x:.9e}"));
    if short.len() <= 12 { short } else { tidy(&rounded) }
}

/// A number to three digits.
pub(super) fn brief(x: f64) -> String {
    if (1e-3..1e4).contains(&x.abs()) { format!("{x:.3}") } else { tidy(&format!("{x:.2e}")) }
}

/// Without the zeros that end a mantissa, and without an exponent of zero.
fn tidy(scientific: &str) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..10).contains(&exponent) {
        let value: f64 = scientific.parse().unwrap_or(f64::NAN);
        return format!("{value}");
    }
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    format!("{mantissa}e{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(4.0), "4");
        assert_eq!(number(1.0 / 3.0), "0.3333333333");
        assert_eq!(number(2.5e-17), "2.5e-17");
        assert_eq!(brief(1.0), "1.000");
        assert_eq!(brief(3.14159e12), "3.14e12");
    }
}
