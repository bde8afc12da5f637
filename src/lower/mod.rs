//! Layer 4: tensor IR to loop IR.

pub mod loops;
