//! Layer 2: numerical integration. Depends on nothing but `base`; a good ODE library on its own.

pub mod problem;
