//! Euler's method, order 1.

use super::{Dense, Tableau, q};

/// Euler's method: one evaluation, order 1.
pub(super) const EULER: Tableau = Tableau {
    name: "euler",
    doc: "Euler's method; for teaching and for comparing with codes that use it",
    source: "L. Euler, Institutionum calculi integralis I (1768), § 650",
    order: 1,
    c: &[q(0, 1)],
    a: &[&[]],
    b: &[q(1, 1)],
    embedded: None,
    // The straight line from y to y_new.
    dense: Dense { order: 1, extra: &[], weights: &[&[q(1, 1)]] },
};
