//! `nodec`: a language, compiler and solver for differential equations, with exact derivatives.
//!
//! A `.node` file declares states, their equations, data and losses. A [`Model`] is such a file,
//! read and checked; [`Model::bind`] gives it numbers and settings and compiles it; the [`Run`]
//! that comes out solves, differentiates and fits. The command `nodec` is a thin layer over these
//! calls.
//!
//! ```
//! let model = nodec::Model::parse("
//!     param mu = 1.0
//!     time t in 0..10
//!     state x = 2.0, x' = 0.0
//!     x'' = mu*(1 - x^2)*x' - x
//!     channel work' = x^2
//! ")?;
//! let run = model.bind().set("mu", 5.0).method("tsit5").rtol(1e-8).build()?;
//! let solution = run.solve()?;
//! let x = solution["x"].at(3.2);
//! let work = solution.end("work");
//! # assert!(x.is_some() && work.is_some());
//! # Ok::<(), nodec::Error>(())
//! ```
//!
//! # The house
//!
//! ```text
//!  .node text
//!       │ syntax      tokens → tree                   never fails: tree and diagnostics
//!       ▼
//!    typed tree       sema      names, types, phases  all errors in one run
//!       │ elaborate
//!       ▼
//!    tensor IR ───── ad ────── jvp · vjp · taylor     requests resolved inside out
//!       │     └───── eval ──── reference meaning ──────────────┐
//!       │ opt                                                  │ must agree
//!       ▼                                                      │
//!    loop IR  ─── backend::interp ──────────────────────────── ┤
//!       ├──────── backend::cranelift ─── machine code ──────── ┤
//!       └──────── backend::wide ───── many examples or elements ┘
//!                      │
//!               Executable  implements  solve::Step  (built by plan)
//!                      │
//!    states + channels ── solve ── trace, sites, outcome, statistics
//!                      │
//!                    train
//! ```
//!
//! Layers import downwards only; `tests/it/tidy.rs` holds the table and checks it.
//!
//! | layer | module | knows |
//! | --- | --- | --- |
//! | 0 | [`base`] | indices, source texts, random streams |
//! | 1 | [`diag`] | messages as values, their codes and pages, their rendering |
//! | 2 | [`syntax`] | text to tree and back |
//! | 2 | [`ir`] | the tensor IR: one row per op, functions, the reference evaluator |
//! | 2 | [`solve`] | integration of closures or compiled steps; imports only `base` |
//! | 3 | [`sema`] | the tree's meaning, and its functions in the IR |
//! | 3 | [`ad`], [`opt`] | IR to IR |
//! | 4 | [`lower`] | tensor IR to loop IR; each transcendental function once |
//! | 5 | [`backend`] | loop IR to something that runs, all to the same bits |
//! | 6 | [`plan`] | a compiled model: the step as IR, forward and reverse passes |
//! | 6 | [`data`] | files of numbers |
//! | 7 | [`engine`], [`settings`] | the whole order |
//! | 8 | [`train`] | fitting |
//! | 9 | [`cli`] | the command: the only printing, the only exit codes |
//!
//! # Invariants
//!
//! - An op is one row ([`ir::op::OpDef`]); forward, reverse and Taylor mode are derived from its
//!   derivative class, and [`ad`] names no op that is not structural.
//! - A back end sees scalar primitives and loops, never an op; each primitive rounds once, and no
//!   back end contracts or reorders, so equal programs give equal bits on all of them.
//! - Many examples at once are lanes ([`backend::lanes`]): the function of one example, every scalar of
//!   it a vector. So an example has the same bits alone and among others, and what is right for one is
//!   right for all.
//! - A method is a table of exact numbers with a citation ([`solve::tableau`]).
//! - A step is a function of the IR ([`plan::step`]), so its derivatives are the same passes as
//!   for any other function.
//! - Mistakes of the user are [`diag::Diagnostic`]s, numbers that go wrong are
//!   [`solve::outcome::Outcome`]s, and a panic is a bug of ours.
//! - Files and devices are touched in [`cli`] and [`data`] alone, by [`Model`], which reads the program
//!   and the files it uses, and by [`backend::store`] and [`backend::kept`], which keep machine code in a
//!   folder if they are given one. Clocks are read to say how long something took, and whether code is
//!   worth keeping; no result depends on them.

pub mod ad;
pub mod backend;
pub mod base;
pub mod cli;
pub mod data;
pub mod diag;
pub mod engine;
pub mod ir;
pub mod lower;
pub mod opt;
pub mod plan;
pub mod sema;
pub mod settings;
pub mod solve;
pub mod syntax;
pub mod train;

pub use backend::store::CodeCache;
pub use engine::{
    Array, Binder, Checkpoint, DataFile, Dataset, Diagnostics, Error, Gradient, Model, OwnError, ParamValue,
    Run, RunNumber, RunValue, Runs, Slope, Solution, Trajectory, TrajectoryKind, Way,
};
pub use train::{Curvature, Fit, NoErrors};
