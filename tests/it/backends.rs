//! The back ends against each other.
