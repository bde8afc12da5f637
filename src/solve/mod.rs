//! Layer 2: numerical integration. Depends on nothing but `base`; a good ODE library on its own.
//!
//! ```
//! use nodec::solve::{Adaptive, Options, RungeKutta, SaveAt, Tableau, solve};
//!
//! // y' = -y, y(0) = 1
//! let tsit5 = Tableau::by_name("tsit5").expect("it is in the table");
//! let mut step = RungeKutta::new(tsit5, 1, |_t, y: &[f64], dy: &mut [f64]| dy[0] = -y[0]);
//! let options = Options::adaptive(Adaptive::new(1e-8, 1e-8, 1));
//! let mut saved = SaveAt::new(&[0.5, 1.0], (0.0, 2.0), 1);
//! let end = solve(&mut step, tsit5, (0.0, 2.0), &[1.0], &options, &mut saved)?;
//!
//! assert!(end.outcome.is_success());
//! assert!((end.y[0] - (-2.0_f64).exp()).abs() < 1e-7);
//! assert!((saved.ys()[0] - (-0.5_f64).exp()).abs() < 1e-7);
//! # Ok::<(), nodec::solve::Invalid>(())
//! ```

#[allow(clippy::needless_range_loop, reason = "the indices are those of the formulas")]
pub mod adams;
pub mod auto;
pub mod brownian;
pub mod control;
pub mod controller;
pub mod convention;
pub mod dense;
pub mod event;
pub mod explicit;
pub mod implicit;
#[allow(clippy::needless_range_loop, reason = "the indices are the lanes")]
pub mod lanes;
pub mod method;
pub mod outcome;
pub mod power;
pub mod problem;
pub mod record;
pub mod reverse;
pub mod reversible;
mod roots;
pub mod sde;
#[allow(clippy::module_inception, reason = "the loop is what the layer is named after")]
pub mod solve;
pub mod stepper;
#[allow(clippy::excessive_precision, reason = "the digits are those of the source")]
#[allow(clippy::needless_range_loop, reason = "the indices are those of the formulas")]
pub mod symplectic;
pub mod tableau;
pub mod taylor;
mod watch;

pub use adams::Adams;
pub use auto::Auto;
pub use brownian::Brownian;
pub use control::{Adaptive, Atol, Errors, Landing, Norm, StartNorm};
pub use controller::{Controller, Past, Rule};
pub use convention::Convention;
pub use dense::{Accepted, Interior};
pub use event::{Condition, Effect, Events, Jump, NoEvents, Trigger};
pub use explicit::Explicit;
pub use implicit::{Bdf, Collocation, Dirk, Esdirk, Gauss, Implicit, Radau, Rosenbrock};
pub use method::{Kind, Method, Stiff};
pub use outcome::{End, Invalid, Outcome, Quantity, Stats, Unsteered};
pub use problem::{Rates, Real, Step};
pub use record::{Observer, Recorded, SaveAt, SaveSteps};
pub use reverse::{Answer, Ask, Of, Reverse, Taken};
pub use reversible::{Reversible, Reversing};
pub use sde::{Retraced, Scheme, Sde, Stochastic};
pub use solve::{Options, Stepping, integrate, solve};
pub use stepper::{Carried, Flow, Grid, Leg, Mode, Stepper};
pub use symplectic::{Composition, Separable, Symplectic};
pub use tableau::{Embedded, RungeKutta, Tableau};
pub use taylor::{Expand, Taylor};
