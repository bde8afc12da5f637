//! Layer 8: fitting: optimisers on flat vectors, the uncertainty of what they find, and
//! [`Run::fit`](crate::Run::fit), which puts them to work on a model.

pub mod checkpoint;
pub mod covariance;
pub mod lbfgs;
pub mod line_search;
pub mod minibatch;
pub mod model;
mod on_model;
pub mod optimizer;
pub mod rule;
pub mod schedule;
pub mod sum;
pub mod trainer;

pub use covariance::{Covariance, NotPositiveDefinite};
pub use lbfgs::Lbfgs;
pub use model::{BatchGradient, BatchGradients, Trained};
pub use optimizer::{FirstOrder, Limits, Minimum, Optimizer, Progress, Why};
pub use rule::Rule;
pub use trainer::{Curvature, Fit, NoErrors};
