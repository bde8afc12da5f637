//! Layer 3: derivatives as passes from IR to IR.
//!
//! Forward, reverse and Taylor mode are derived from the derivative class in each op's row; no op
//! that is not structural is named here. Each pass adds nodes to a [`Builder`] or makes a function
//! from a function, and its result can be differentiated again by any of them, in any order.
//!
//! **Independent nodes.** Whatever is differentiated by (a seed, a `wrt`, a flow variable) is taken
//! as independent: no pass looks below it. It should be a parameter or a
//! [`variable`](Builder::variable). Another node may be bypassed by folding (a part of a part is a
//! part of the whole), and then nothing flows through it.
//!
//! **Zeros.** A derivative that is zero by construction is absent, not a constant: it is never
//! multiplied and costs nothing. This is the one place where `0 * x = 0` holds, and it holds
//! because the factor is zero as a function, not as a number.

pub mod batch;
pub mod errors;
pub mod expand;
pub mod jvp;
pub mod keep;
pub mod primes;
pub mod sparsity;
pub mod taylor;
pub mod vjp;
mod walk;

pub use batch::batch_func;
pub use errors::AdError;
pub use expand::expand;
pub use jvp::{jvp, jvp_func};
pub use keep::{Kept, keep};
pub use sparsity::sparsity;
pub use taylor::{series, taylor};
pub use vjp::{vjp, vjp_func};

use crate::ir::builder::Builder;
use std::sync::Arc;

/// `prefix.name`, with the prefix repeated until no parameter has that name.
fn fresh_name(b: &Builder, prefix: &str, name: &str) -> Arc<str> {
    let mut fresh = format!("{prefix}.{name}");
    while b.params().iter().any(|port| *port.name == *fresh) {
        fresh = format!("{prefix}.{fresh}");
    }
    fresh.into()
}
