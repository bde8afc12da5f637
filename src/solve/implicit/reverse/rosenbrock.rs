//! Rosenbrock methods backwards.
//!
//! With `W = M/(γh) - J` the stages are `W k_i = f(y_i) + M Σ_j C_ij k_j/h + h d_i f_t`, `J` and `f_t`
//! those of the start. If stage `i` receives `v_i` from what follows it, `Wᵀ μ_i = v_i`, the rate at
//! `y_i` receives `μ_i`, and so does the derivative `f_t h d_i + f_y k_i` of the rate at the start,
//! whose own derivatives are second ones.

use super::super::Implicit;
use super::super::linear::Lu;
use super::super::pace::Failed;
use super::super::rosenbrock::{Rosenbrock, STAGES, rodas5p};
use super::linearised;
use crate::solve::outcome::{Outcome, Stats};
use crate::solve::problem::Real;
use crate::solve::reverse::{Answer, Ask, Of, Reverse, Taken, add};

impl<T: Real, S: Implicit<T> + ?Sized> Reverse<T> for Rosenbrock<'_, T, S> {
    fn take(&mut self, step: Taken, y: &[f64], _: Option<&[f64]>) -> Result<(), Outcome> {
        let Taken { t, h, t_new } = step;
        self.field.inside = step.inside();
        self.y.copy_from_slice(y);
        linearised(&mut self.field, t, y)?;
        self.field.time_slope(t, y, &mut self.f_t);
        self.stages(t, h, &mut Stats::default()).map_err(|failed| failed.outcome(t, h))?;
        self.arrive();
        self.taken = (t, h, t_new);
        Ok(())
    }

    fn end(&self) -> &[f64] {
        &self.y_new
    }

    fn powers(&mut self) -> Vec<f64> {
        let dim = self.field.dim;
        let mut powers = vec![0.0; 4 * dim];
        for at in 0..dim {
            for (p, c) in self.interior(at).into_iter().enumerate() {
                powers[p * dim + at] = c;
            }
        }
        powers
    }

    fn pull(
        &mut self,
        bar: &mut [f64],
        inner: &[(f64, Vec<f64>)],
        answer: &mut Answer<'_>,
    ) -> Result<(), Outcome> {
        let (dim, n, (t, h, _)) = (self.field.dim, self.field.n, self.taken);
        let gamma_h = rodas5p::GAMMA * h;
        let (mut v, mut by_stage) = (bar.to_vec(), vec![0.0; STAGES * dim]);
        bar.fill(0.0);
        let (mut lu, jacobian, mass) = (Lu::default(), self.field.whole_jacobian(), &self.field.mass);
        if !lu.factor(n, |i, j| mass.entry(i, j) / gamma_h - jacobian[i * n + j]) {
            return Err(Failed::Singular.outcome(t, h));
        }
        for (theta, inner) in inner {
            add(bar, 1.0 - theta, inner);
            add(&mut v, *theta, inner);
            for j in 0..STAGES {
                let weight = rodas5p::H.iter().rev().fold(0.0, |sum, row| sum * theta + row[j]);
                add(&mut by_stage[j * dim..][..dim], theta * (1.0 - theta) * weight, inner);
            }
        }
        add(bar, 1.0, &v);
        for (j, weight) in rodas5p::A[STAGES - 1].iter().chain(&[1.0]).enumerate() {
            add(&mut by_stage[j * dim..][..dim], *weight, &v);
        }
        for i in (0..STAGES).rev() {
            let (earlier, own) = by_stage.split_at_mut(i * dim);
            let mu = &mut own[..dim];
            // The channels of the stage are what the rest leaves them.
            mu[n..].iter_mut().for_each(|mu| *mu *= gamma_h);
            if mu[n..].iter().any(|mu| *mu != 0.0) {
                let asked = [&vec![0.0; n][..], &mu[n..]].concat();
                let by_y = answer(&Ask { t, y: &self.y, of: Of::RateByState, bar: &asked });
                add(&mut mu[..n], 1.0, &by_y[..n]);
            }
            lu.solve_transposed(&mut mu[..n]);
            let mut y = self.y.clone();
            for (j, a) in rodas5p::A[i].iter().enumerate() {
                add(&mut y, *a, &self.k[j * dim..][..dim]);
            }
            let by_y = answer(&Ask { t: t + rodas5p::C[i] * h, y: &y, of: Of::Rate, bar: mu });
            add(bar, 1.0, &by_y);
            let mut weighed = mu.to_vec();
            self.field.mass.transposed_times(&mu[..n], &mut weighed[..n]);
            for (j, before) in earlier.chunks_mut(dim).enumerate() {
                add(before, rodas5p::A[i].get(j).copied().unwrap_or(0.0), &by_y);
                add(before, rodas5p::COUPLING[i][j] / h, &weighed);
            }
            let mut direction = self.k[i * dim..][..dim].to_vec();
            direction[n..].fill(0.0);
            let of = Of::Along(h * rodas5p::D[i], &direction);
            add(bar, 1.0, &answer(&Ask { t, y: &self.y, of, bar: mu }));
        }
        Ok(())
    }

    fn pull_start(
        &mut self,
        step: Taken,
        y: &[f64],
        bar: &mut [f64],
        answer: &mut Answer<'_>,
    ) -> Result<(), Outcome> {
        self.field.inside = step.inside();
        super::pull_start(&mut self.field, step.t, y, bar, answer)
    }
}
