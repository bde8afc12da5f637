//! One gradient by every way there is, and against differences of whole runs.
//!
//! [`Run::gradient_by`] takes the gradient by one [`Way`] whatever the settings say;
//! [`Run::slopes`] compares it, along the params, with central differences of runs, which know
//! nothing of derivatives.

use crate::base::random::Stream;
use crate::diag::{Code, Diagnostic};
use crate::engine::diagnostics::{Diagnostics, Error};
use crate::engine::run::{Gradient, Run};
use crate::ir::program::Role;
use crate::plan::controls::{Adjoint, BackNorm, Backsolve, Interpolating};
use crate::plan::pack::Target;
use crate::solve::control::Atol;
use crate::solve::solve::Stepping;

/// A way to take a gradient through the solves of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// As in `solve.adjoint`.
    pub name: &'static str,
    adjoint: Adjoint,
}

/// The continuous adjoint with tolerances of the run.
const fn backsolve(norm: BackNorm) -> Adjoint {
    Adjoint::Backsolve(Backsolve { norm, rtol: None, atol: None })
}

/// The same along the path of the run.
const ALONG: Adjoint = Adjoint::Interpolating(Interpolating { rtol: None, atol: None });

impl Way {
    /// All of them.
    pub const ALL: [Way; 6] = [
        Way { name: "discrete", adjoint: Adjoint::Discrete },
        Way { name: "checkpoint(16)", adjoint: Adjoint::Checkpoint(16) },
        Way { name: "backsolve()", adjoint: backsolve(BackNorm::Default) },
        Way { name: "backsolve(norm = seminorm)", adjoint: backsolve(BackNorm::Seminorm) },
        Way { name: "interpolating()", adjoint: ALONG },
        Way { name: "forward", adjoint: Adjoint::Forward },
    ];
}

/// The derivative along one direction of one param, by a gradient and by differences.
#[derive(Clone, Debug, PartialEq)]
pub struct Slope {
    /// The param, with its entry: `W[3]`; or the param alone, along a random direction of length 1.
    pub along: String,
    /// By the gradient.
    pub gradient: f64,
    /// By differences of runs.
    pub differences: f64,
    /// How far the differences may be off: their change when the distance is halved, what they differ
    /// by from either side, and the tolerance of the runs over the distance.
    pub doubt: f64,
}

impl Slope {
    /// Whether gradient and differences disagree by more than the differences can be off. Where
    /// these are no numbers, at the border of a domain, nothing can be said.
    pub fn is_wrong(&self) -> bool {
        let off = (self.gradient - self.differences).abs();
        self.doubt.is_finite() && (off.is_nan() || off > self.doubt)
    }
}

/// A param of at most this many entries is looked at entry by entry, a larger one along as many
/// random directions.
const ENTRIES: usize = 8;

/// Distance of the differences against the size of the param: their error is of order 4, so this
/// leaves 1e-12 of it.
const DISTANCE: f64 = 1e-3;

/// What a run may be off by, against its tolerance.
const PER_TOLERANCE: f64 = 10.0;

impl Run {
    /// The gradient of the scalar called `name`, or of the training objective, by `way`. `None` if
    /// the model has no such scalar.
    pub fn gradient_by(&self, name: Option<&str>, way: Way) -> Option<Result<Gradient, Error>> {
        let target = self.target(name)?;
        Some(self.numbered(0).and_then(|mut run| {
            run.parts_mut().controls.adjoints.fill(way.adjoint);
            run.gradient_of(target)
        }))
    }

    /// The names of the scalars of the run that can be differentiated, in file order.
    pub fn scalars(&self) -> Vec<&str> {
        let results = self.program().results.iter();
        results
            .filter(|result| result.ty.is_scalar() && result.ty.dtype.is_float())
            .map(|result| &*result.name)
            .collect()
    }

    /// What a gradient is usually wanted of: the training objective (`None`), or without one every
    /// scalar of the run.
    pub fn differentiable(&self) -> Vec<Option<&str>> {
        let counts = |role: Role| match role {
            Role::Loss | Role::Likelihood | Role::Prior => true,
            Role::Metric | Role::Output | Role::Plot => false,
        };
        match self.program().results.iter().any(|result| counts(result.role)) {
            true => vec![None],
            false => self.scalars().into_iter().map(Some).collect(),
        }
    }

    /// Compares the gradients of [`differentiable`](Run::differentiable) with differences of runs, as
    /// [`slopes`](Run::slopes) does: a message (E0908) for each that is wrong, about the worst param.
    pub fn check_gradients(&self) -> Result<Diagnostics, Error> {
        let mut wrong = Vec::new();
        for name in self.differentiable() {
            let slopes = self.slopes(name).expect("the scalar exists")?;
            let off = |slope: &Slope| (slope.gradient - slope.differences).abs() / slope.doubt;
            let worst = slopes.iter().filter(|slope| slope.is_wrong());
            wrong.extend(
                worst.max_by(|a, b| off(a).total_cmp(&off(b))).map(|worst| self.contradicted(name, worst)),
            );
        }
        Ok(Diagnostics::new(wrong, self.parts().sources.clone()))
    }

    fn contradicted(&self, name: Option<&str>, worst: &Slope) -> Diagnostic {
        let Slope { along, gradient, differences, doubt } = worst;
        let of = name.map_or_else(|| String::from("the objective"), |name| format!("`{name}`"));
        let message = format!(
            "the derivative of {of} by `{along}` is {gradient:.6e}, differences of runs give {differences:.6e}"
        );
        let params = &self.program().params;
        let param = params
            .iter()
            .find(|param| along.split('[').next() == Some(&*param.path) || *along == *param.path);
        let diagnostic = match param {
            Some(param) => Diagnostic::new(Code("E0908"), message, param.span, "the worst of the params"),
            None => Diagnostic::without_span(Code("E0908"), message),
        };
        diagnostic
            .note(format!("the differences are good to {doubt:.0e}"))
            .help("a `stop_gradient`, or what jumps in a result as this param moves, is not followed")
    }

    /// The derivatives of the scalar called `name`, or of the training objective, along every param,
    /// by the gradient and by differences of whole runs, both with tolerances a thousand times
    /// stricter than those of the run (at least 1e-12), so that what is compared is not their error.
    /// `None` if the model has no such scalar.
    pub fn slopes(&self, name: Option<&str>) -> Option<Result<Vec<Slope>, Error>> {
        let target = self.target(name)?;
        Some(self.numbered(0).and_then(|mut run| {
            let tolerance = run.tighten();
            run.slopes_of(target, tolerance)
        }))
    }

    fn slopes_of(&self, target: Target, tolerance: f64) -> Result<Vec<Slope>, Error> {
        let gradient = self.gradient_of(target)?;
        let largest =
            gradient.by.iter().flat_map(|param| &param.values).fold(0.0_f64, |max, g| max.max(g.abs()));
        let mut slopes = Vec::new();
        for (param, by) in self.params().iter().zip(&gradient.by) {
            for (along, direction) in directions(&param.path, param.values.len()) {
                let size = param.values.iter().zip(&direction).map(|(p, d)| (p * d).abs()).sum::<f64>();
                // A set that ends nearby allows shorter distances only.
                let mut h = DISTANCE * size.max(0.1);
                let moved = |run: &mut Run, by: f64| {
                    let values: Vec<f64> =
                        param.values.iter().zip(&direction).map(|(p, d)| p + by * d).collect();
                    run.set_param(&param.path, &values)
                };
                let mut other = self.clone();
                while h > f64::MIN_POSITIVE && !(moved(&mut other, 2.0 * h) && moved(&mut other, -2.0 * h)) {
                    h *= 0.25;
                }
                let mut value = |by: f64| -> Result<f64, Error> {
                    moved(&mut other, by);
                    other.value_of(target)
                };
                let [left2, left, right, right2] = [value(-2.0 * h)?, value(-h)?, value(h)?, value(2.0 * h)?];
                let here = gradient.value;
                let (near, far) = ((right - left) / (2.0 * h), (right2 - left2) / (4.0 * h));
                // Slopes from either side, good to order 2: at a kink they differ.
                let from_left = (3.0 * here - 4.0 * left + left2) / (2.0 * h);
                let from_right = (-3.0 * here + 4.0 * right - right2) / (2.0 * h);
                let noise = PER_TOLERANCE * tolerance * (1.0 + here.abs()) / h;
                slopes.push(Slope {
                    along,
                    gradient: by.values.iter().zip(&direction).map(|(g, d)| g * d).sum(),
                    differences: (4.0 * near - far) / 3.0,
                    doubt: (near - far).abs() + (from_right - from_left).abs() + noise + 1e-6 * largest,
                });
            }
        }
        Ok(slopes)
    }

    /// Stricter tolerances; gives the loosest of them.
    fn tighten(&mut self) -> f64 {
        let stricter = |tolerance: f64| (1e-3 * tolerance).max(1e-12).min(tolerance);
        let mut loosest = f64::EPSILON;
        for options in &mut self.parts_mut().controls.options {
            match &mut options.stepping {
                Stepping::Fixed { .. } => {}
                Stepping::Adaptive(adaptive) => {
                    adaptive.rtol = stricter(adaptive.rtol);
                    let largest = match &mut adaptive.atol {
                        Atol::Scalar(atol) => {
                            *atol = stricter(*atol);
                            *atol
                        }
                        Atol::PerComponent(own) => {
                            own.iter_mut().for_each(|atol| *atol = stricter(*atol));
                            own.iter().copied().fold(0.0, f64::max)
                        }
                    };
                    loosest = f64::max(loosest, adaptive.rtol.max(largest));
                }
            }
        }
        loosest
    }
}

/// What a param of `count` entries is looked at along, each with its name.
fn directions(path: &str, count: usize) -> Vec<(String, Vec<f64>)> {
    let number = count.min(ENTRIES);
    (0..number)
        .map(|at| {
            if count > ENTRIES {
                let mut stream = Stream::new(0, path, at as u64, 0);
                let mut sign = || if stream.next_u32() & 1 == 0 { 1.0 } else { -1.0 };
                let length = (count as f64).sqrt();
                return (path.to_owned(), (0..count).map(|_| sign() / length).collect());
            }
            let unit = (0..count).map(|entry| f64::from(u8::from(entry == at))).collect();
            (if count == 1 { path.to_owned() } else { format!("{path}[{at}]") }, unit)
        })
        .collect()
}
