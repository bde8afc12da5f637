//! Schemes for noise backwards: the path is given, so a step is an explicit function of its start.

use super::{Scheme, Sde, Stochastic};
use crate::solve::brownian::Brownian;
use crate::solve::outcome::{Outcome, Stats};
use crate::solve::problem::Real;
use crate::solve::reverse::{Answer, Ask, Of, Reverse, Taken, add};
use crate::solve::solve::Stepping;

/// A scheme on its way back through one system.
pub struct Retraced<'a, T, S: ?Sized> {
    sde: Sde<'a, T, S>,
    y: Vec<f64>,
    end: Vec<f64>,
}

/// For a scheme whose steps are told it, and not asked for.
const NO_STEPPING: Stepping = Stepping::Fixed { dt: 1.0 };

impl<'a, T: Real, S: Stochastic<T> + ?Sized> Retraced<'a, T, S> {
    /// `scheme` for `system`, driven by the `paths` of the forward pass.
    pub fn new(system: &'a mut S, scheme: Scheme, paths: &'a [Brownian]) -> Self {
        let dim = system.dim();
        let sde = Sde::new(system, scheme, paths, &NO_STEPPING);
        Retraced { sde, y: vec![0.0; dim], end: vec![0.0; dim] }
    }

    /// The cotangents of rates and shares of the noise, at `(t, y)`, sent to the state there.
    fn ask(&self, (t, y): (f64, &[f64]), rates: &[f64], shares: &[f64], answer: &mut Answer<'_>) -> Vec<f64> {
        let mut sum = vec![0.0; y.len()];
        for (of, bar) in [(Of::Rate, rates), (Of::Diffusion, shares)] {
            if !bar.is_empty() {
                add(&mut sum, 1.0, &answer(&Ask { t, y, of, bar }));
            }
        }
        sum
    }

    /// `v gᵀ` over the components that noise drives, `[n_driven, m]`.
    fn outer(&self, v: &[f64], g: &[f64]) -> Vec<f64> {
        let n_driven = self.sde.system.n_driven();
        v[..n_driven].iter().flat_map(|v| g.iter().map(move |g| v * g)).collect()
    }
}

impl<T: Real, S: Stochastic<T> + ?Sized> Reverse<T> for Retraced<'_, T, S> {
    fn take(&mut self, step: Taken, y: &[f64], _: Option<&[f64]>) -> Result<(), Outcome> {
        let Taken { t, h, t_new } = step;
        self.y.copy_from_slice(y);
        let y: Vec<T> = y.iter().map(|y| T::from_f64(*y)).collect();
        self.sde.draw(t, t_new);
        self.sde.step(t, h, step.inside(), &y, &mut Stats::default());
        self.sde.taken = (t, h, t_new);
        self.end.iter_mut().zip(&self.sde.y_new).for_each(|(end, y)| *end = y.to_f64());
        Ok(())
    }

    fn end(&self) -> &[f64] {
        &self.end
    }

    /// A straight line.
    fn powers(&mut self) -> Vec<f64> {
        self.end.iter().zip(&self.y).map(|(end, y)| end - y).collect()
    }

    fn pull(
        &mut self,
        bar: &mut [f64],
        inner: &[(f64, Vec<f64>)],
        answer: &mut Answer<'_>,
    ) -> Result<(), Outcome> {
        let ((t, h, _), y) = (self.sde.taken, &self.y);
        let (dw, dz) = (&self.sde.dw, &self.sde.dz);
        let mut v = bar.to_vec();
        bar.fill(0.0);
        for (theta, inner) in inner {
            add(bar, 1.0 - theta, inner);
            add(&mut v, *theta, inner);
        }
        let times = |factor: f64, v: &[f64]| -> Vec<f64> { v.iter().map(|v| factor * v).collect() };
        let y_try: Vec<f64> = self.sde.y_try.iter().map(|y| y.to_f64()).collect();
        // The formulas of the steps, read from their ends.
        let (rates, mut shares) = match self.sde.scheme {
            Scheme::EulerMaruyama => (times(h, &v), self.outer(&v, dw)),
            Scheme::Heun => {
                let half = times(0.5, dw);
                let (rates, shares) = (times(0.5 * h, &v), self.outer(&v, &half));
                let by_try = self.ask((t + h, &y_try), &rates, &shares, answer);
                add(bar, 1.0, &by_try);
                let mut rates = rates;
                add(&mut rates, h, &by_try);
                let mut shares = shares;
                add(&mut shares, 1.0, &self.outer(&by_try, dw));
                (rates, shares)
            }
            Scheme::Milstein => {
                let (root, m) = (h.abs().sqrt(), dw.len());
                let second: Vec<f64> = dw.iter().map(|dw| 0.5 * (dw * dw - h.abs()) / root).collect();
                let first: Vec<f64> = dw.iter().zip(&second).map(|(dw, second)| dw - second).collect();
                let by_try = self.ask((t, &y_try), &[], &self.outer(&v, &second), answer);
                add(bar, 1.0, &by_try);
                let mut shares = self.outer(&v, &first);
                for (at, by_try) in by_try.iter().enumerate().take(m) {
                    shares[at * m + at] += root * by_try;
                }
                (times(h, &v), shares)
            }
            Scheme::Sra1 => {
                let chi = times(1.0 / h, dz);
                let last: Vec<f64> = dw.iter().zip(&chi).map(|(dw, chi)| dw - chi).collect();
                let by_try = self.ask((t + 0.75 * h, &y_try), &times(2.0 / 3.0 * h, &v), &[], answer);
                add(bar, 1.0, &by_try);
                let mut ahead = self.outer(&v, &last);
                add(&mut ahead, 1.0, &self.outer(&by_try, &times(1.5, &chi)));
                add(bar, 1.0, &self.ask((t + h, y), &[], &ahead, answer));
                let mut rates = times(h / 3.0, &v);
                add(&mut rates, 0.75 * h, &by_try);
                (rates, self.outer(&v, &chi))
            }
        };
        if self.sde.dw.is_empty() {
            shares.clear();
        }
        add(bar, 1.0, &v);
        add(bar, 1.0, &self.ask((t, y), &rates, &shares, answer));
        Ok(())
    }
}
