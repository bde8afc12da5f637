//! Layer 8: what training does with an objective: optimisers on flat vectors, and the uncertainty
//! of what they find.

pub mod covariance;
pub mod lbfgs;
pub mod line_search;
pub mod optimizer;
pub mod schedule;

pub use covariance::{Covariance, NotPositiveDefinite};
pub use lbfgs::Lbfgs;
pub use optimizer::{Adam, Limits, Minimum, Optimizer, Progress, Sgd, Why};
