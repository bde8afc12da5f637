//! `nodec`: a language, compiler and solver for differential equations, with exact derivatives.

pub mod ad;
pub mod backend;
pub mod base;
pub mod cli;
pub mod data;
pub mod diag;
pub mod ir;
pub mod lower;
pub mod opt;
pub mod sema;
pub mod settings;
pub mod solve;
pub mod syntax;
pub mod train;
