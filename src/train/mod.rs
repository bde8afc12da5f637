//! Layer 8: fitting: optimisers on flat vectors, the uncertainty of what they find, and
//! [`Run::fit`](crate::Run::fit), which puts them to work on a model.

pub mod covariance;
pub mod lbfgs;
pub mod line_search;
pub mod optimizer;
pub mod schedule;
pub mod trainer;

pub use covariance::{Covariance, NotPositiveDefinite};
pub use lbfgs::Lbfgs;
pub use optimizer::{Adam, Limits, Minimum, Optimizer, Progress, Sgd, Why};
pub use trainer::{Fit, NoErrors};
