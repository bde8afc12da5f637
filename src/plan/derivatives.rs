//! The derivatives of a rate that implicit methods want.
//!
//! A Jacobian is made of tangents in several directions at once: those of the states if it is dense;
//! if it is sparse, one direction for each colour of its columns, from which every entry of the
//! pattern is read. Which it is follows from the pattern: see [`Sparsity`].

use crate::ad;
use crate::backend::Backend;
use crate::ir::builder::Builder;
use crate::ir::func::{Attr, Func, ValueId};
use crate::ir::op::Op;
use crate::ir::types::{DType, Shape, Type};
use crate::ir::zeros::may_differ;
use crate::opt;
use crate::plan::kernels::rate;
use crate::plan::motion::operands;
use crate::plan::unit::{Kernel, PlanError, compile};
use crate::solve::implicit::Sparsity;
use crate::solve::implicit::sparse::{Form, Pattern};
use std::sync::Arc;

/// The derivatives of a rate, compiled.
pub(crate) struct Derivatives {
    /// `t, inside, y, a, q, data.. -> ∂dy/∂y`, `[n * n_states]` or the entries of the pattern.
    pub jacobian: Kernel,
    /// `t, inside, y, a, q, data.. -> ∂dy/∂t: [n]`
    pub time_slope: Kernel,
    /// Where the Jacobian has entries, and the slopes of the channels, if it is sparse.
    pub sparse: Option<Sparse>,
}

/// What a sparse Jacobian has besides.
pub(crate) struct Sparse {
    pub sparsity: Arc<Sparsity>,
    /// See [`Sparsity::transposed`].
    pub transposed: (Arc<Sparsity>, Vec<usize>),
    /// `t, inside, y, a, q, data.., v: [n_states] -> (∂dy/∂y) v` of the channels; `None` without any.
    pub channels: Option<Kernel>,
}

impl Derivatives {
    /// Of `rate_func`, the rate of `n_states` states and of channels. `mass` is where the mass matrix
    /// may have entries.
    pub fn of(
        rate_func: &Func,
        n_states: usize,
        form: Form,
        mass: impl FnOnce() -> Pattern,
        backend: &dyn Backend,
    ) -> Result<Derivatives, PlanError> {
        let [time_slope] = compile([&time_slope(rate_func)?], backend)?;
        let Some(sparsity) = chosen(rate_func, n_states, form, mass) else {
            let [jacobian] = compile([&dense(rate_func, n_states)?], backend)?;
            return Ok(Derivatives { jacobian, time_slope, sparse: None });
        };
        let [jacobian] = compile([&compressed(rate_func, &sparsity)?], backend)?;
        let n = rate_func.ty(rate_func.params[rate::Y].value).shape.count();
        let channels = if n > n_states {
            let [channels] = compile([&channel_slopes(rate_func, n_states)?], backend)?;
            Some(channels)
        } else {
            None
        };
        let (transposed, from) = sparsity.transposed();
        let transposed = (Arc::new(transposed), from);
        let sparse = Some(Sparse { sparsity: Arc::new(sparsity), transposed, channels });
        Ok(Derivatives { jacobian, time_slope, sparse })
    }
}

/// The sparsity of the Jacobian of `rate_func`, if it is to be used.
fn chosen(rate_func: &Func, n_states: usize, form: Form, mass: impl FnOnce() -> Pattern) -> Option<Sparsity> {
    match form {
        Form::Dense => None,
        Form::Auto if n_states < Sparsity::FEW_STATES => None,
        Form::Auto => pattern(rate_func, n_states)
            .filter(|pattern| 4 * pattern.nonzeros() <= n_states * n_states)
            .map(|pattern| Sparsity::new(pattern, &mass()))
            .filter(Sparsity::pays),
        Form::Sparse => {
            let every =
                || Pattern::new(n_states, (0..n_states * n_states).map(|at| (at / n_states, at % n_states)));
            Some(Sparsity::new(pattern(rate_func, n_states).unwrap_or_else(every), &mass()))
        }
    }
}

/// Where the Jacobian of the states may have entries; `None` if that is not known.
fn pattern(rate_func: &Func, n_states: usize) -> Option<Pattern> {
    let rows = ad::sparsity(rate_func, 0, rate::Y)?;
    let states = rows.iter().take(n_states).enumerate();
    let entries = states.flat_map(|(row, columns)| columns.iter().map(move |column| (row, *column as usize)));
    Some(Pattern::new(n_states, entries.filter(|(_, column)| *column < n_states)))
}

/// Where the mass matrix `mass: [n, n]` may have entries.
pub(crate) fn mass_pattern(mass: Option<&Func>, n: usize) -> Pattern {
    let entries = mass.map_or_else(Vec::new, |mass| may_differ(mass).swap_remove(0));
    let entries = entries.into_iter().enumerate().filter(|(_, differs)| *differs);
    Pattern::new(n, entries.map(|(at, _)| (at / n, at % n)))
}

/// The tangents of `rate_func` in the directions `seeds: [n_seeds, n]` as `[n_seeds, n]`; also its
/// operands.
fn tangents(b: &mut Builder, rate_func: &Func, n_seeds: usize, seeds: &[f64]) -> Result<ValueId, PlanError> {
    let tangent = ad::jvp_func(rate_func, &[rate::Y])?;
    let mut mapped = vec![false; tangent.params.len()];
    let seed = mapped.len() - 1;
    mapped[seed] = true;
    let batched = ad::batch_func(&tangent, &mapped, n_seeds)?;
    let mut args = operands(b, rate_func);
    args.push(b.constant(seeds, batched.ty(batched.params[seed].value).clone()));
    Ok(b.inline(&batched, &args)[1])
}

/// `t, inside, y, a, q, data.. -> ∂dy/∂y: [n * n_states]`, row-major.
fn dense(rate_func: &Func, n_states: usize) -> Result<Func, PlanError> {
    let n = rate_func.ty(rate_func.params[rate::Y].value).shape.count();
    let mut b = Builder::new("jacobian");
    let identity: Vec<f64> = (0..n_states * n).map(|at| f64::from(u8::from(at / n == at % n))).collect();
    let columns = tangents(&mut b, rate_func, n_states, &identity)?;
    let rows = b.permute(columns, &[1, 0]);
    let flat = b.flatten(rows);
    Ok(opt::optimise(b.finish(vec![("jacobian".into(), flat)])))
}

/// `t, inside, y, a, q, data.. -> ∂dy/∂y`, the entries of the pattern: the columns of one colour have
/// no row in common, so that each entry stands alone in the tangent along all of them.
fn compressed(rate_func: &Func, sparsity: &Sparsity) -> Result<Func, PlanError> {
    let n = rate_func.ty(rate_func.params[rate::Y].value).shape.count();
    let mut b = Builder::new("jacobian");
    let mut seeds = vec![0.0; sparsity.n_colours * n];
    for (column, colour) in sparsity.colours.iter().enumerate() {
        seeds[colour * n + column] = 1.0;
    }
    let tangents = tangents(&mut b, rate_func, sparsity.n_colours, &seeds)?;
    let flat = b.flatten(tangents);
    let places: Vec<f64> = sparsity
        .jacobian
        .entries()
        .map(|(row, column)| (sparsity.colours[column] * n + row) as f64)
        .collect();
    let places = b.constant(&places, Type { dtype: DType::I64, shape: Shape::new(&[places.len()]) });
    let entries = b.must(Op::Gather, &[flat, places], Attr::None);
    Ok(opt::optimise(b.finish(vec![("jacobian".into(), entries)])))
}

/// `t, inside, y, a, q, data.., v: [n_states] -> (∂dy/∂y) v` of the channels.
fn channel_slopes(rate_func: &Func, n_states: usize) -> Result<Func, PlanError> {
    let tangent = ad::jvp_func(rate_func, &[rate::Y])?;
    let y = rate_func.ty(rate_func.params[rate::Y].value).clone();
    let n = y.shape.count();
    let mut b = Builder::new("channel_slopes");
    let mut args = operands(&mut b, rate_func);
    let v = b.param("v", Type { dtype: y.dtype, shape: Shape::new(&[n_states]) });
    let rest = b.splat(0.0, Type { dtype: y.dtype, shape: Shape::new(&[n - n_states]) });
    args.push(b.concat(&[v, rest], 0));
    let slopes = b.inline(&tangent, &args)[1];
    let of_channels = b.part(slopes, n_states, n);
    Ok(opt::optimise(b.finish(vec![("slopes".into(), of_channels)])))
}

/// `t, inside, y, a, q, data.. -> ∂dy/∂t: [n]` of `rate`.
fn time_slope(rate_func: &Func) -> Result<Func, PlanError> {
    let tangent = ad::jvp_func(rate_func, &[0])?;
    let mut b = Builder::new("time_slope");
    let mut args = operands(&mut b, rate_func);
    let ty: Type = rate_func.ty(rate_func.params[0].value).clone();
    args.push(b.splat(1.0, ty));
    let slope = b.inline(&tangent, &args)[1];
    Ok(opt::optimise(b.finish(vec![("slope".into(), slope)])))
}
